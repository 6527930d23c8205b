"""Threads and processes: what README's contract allows gives the bits of a thread alone, and nothing hangs."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from configurations import NAMES, digest, samples, train
from joblib import Parallel, delayed
from joblib.externals.loky import ProcessPoolExecutor
from sklearn.exceptions import ConvergenceWarning
from test_repeats import PLACES

import fastmlp
from fastmlp.kernels.jit import passing_entry

# Of a child on a machine with much else to do.
SECONDS = 120
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
METHODS = multiprocessing.get_all_start_methods()


class Training(threading.Thread):
    """Another thread, which trains with threads of its own until it is told to end."""

    def __init__(self, what):
        super().__init__()
        self._what, self._end, self.hashes = what, threading.Event(), set()

    def run(self):
        while not self._end.is_set():
            self.hashes.add(digest(self._what, 3))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.join()
        assert self.hashes == {digest(self._what)}


@pytest.mark.long
def test_many_threads_predict_with_one_net(trials, count):
    net, X = train("between, Adam", 1)
    estimator = fastmlp.MLPClassifier((20,), max_iter=2, random_state=0).fit(X, net.predict(X))
    inputs = [X[:1], X[:7], X[:333], X, np.asfortranarray(X[:50]), X[:9].astype(np.float32), X[:2].tolist()]
    asked = [(function, rows) for function in (net.predict, net.predict_proba, estimator.predict_proba) for rows in inputs]
    wanted = [function(rows).tobytes() for function, rows in asked]
    predictions = count(300, 5000)
    start = threading.Barrier(8)

    def predict(seed):
        places = np.random.default_rng(seed).integers(len(asked), size=predictions)
        start.wait()
        return [int(place) for place in places if asked[place][0](asked[place][1]).tobytes() != wanted[place]]

    with trials("8 threads x 5,000 predicts on one net") as trial, Training("wide, dropout"), ThreadPoolExecutor(8) as pool:
        for wrong in pool.map(predict, range(8)):
            trial.tried += predictions
            trial.failures += [f"{asked[place][0].__name__} of input {place}" for place in wrong]


@pytest.mark.long
def test_trainings_at_once(trials, count):
    alone = {name: digest(name) for name in NAMES}
    random = np.random.default_rng(0)
    start = threading.Barrier(4)

    def fit(work):
        start.wait()
        return digest(*work)

    with trials("4 trainings at once") as trial, ThreadPoolExecutor(4) as pool:
        for _ in range(count(1, 25)):
            names = random.permutation(NAMES)
            for round_ in names.reshape(-1, 4):
                work = [(str(name), int(random.integers(1, 4))) for name in round_]
                for (name, threads), future in zip(work, [pool.submit(fit, one) for one in work], strict=True):
                    with trial.case(f"{name}, threads={threads}"):
                        assert future.result(SECONDS) == alone[name]


def in_child(pickled, X):
    """What a child trains, and predicts with what it was sent."""
    net, estimator = pickle.loads(pickled)
    trained = [digest(name, 2) for name in ("wide, Adam, slabs", "many nets", "MLPClassifier")]
    return os.getpid(), net.predict_proba(X).tobytes(), estimator.predict_proba(X).tobytes(), *trained


def send(pipe, function, arguments):
    pipe.send(function(*arguments))


def from_process(method, function, arguments=()):
    """What the function returns in a process of this start method, which does not outlive its time."""
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=send, args=(theirs, function, arguments))
    child.start()
    theirs.close()
    try:
        assert ours.poll(SECONDS), "the child hangs"
        return ours.recv()
    finally:
        child.join(5)
        child.kill()
        child.join()
        child.close()


def from_loky(arguments):
    pool = ProcessPoolExecutor(1)
    try:
        return pool.submit(in_child, *arguments).result(SECONDS)
    finally:
        pool.shutdown(kill_workers=True)


@pytest.fixture(scope="module")
def sent():
    """What children are sent, after fits in this process; and what they must find."""
    net, X = train("between, Adam", 2)
    estimator = fastmlp.MLPClassifier((20,), max_iter=2, random_state=0).fit(X, net.predict(X))
    arguments = pickle.dumps((net, estimator)), X[:50]
    return arguments, in_child(*arguments)[1:]


@pytest.mark.long
@pytest.mark.parametrize("method", [*METHODS, "loky"])
def test_a_child_trains_and_predicts(method, sent, trials, count):
    arguments, wanted = sent
    with trials("start methods") as trial:
        for place in range(count(2, 50)):
            with trial.case(f"{method} {place}"):
                pid, *found = from_loky(arguments) if method == "loky" else from_process(method, in_child, arguments)
                assert pid != os.getpid()
                assert tuple(found) == wanted


@forks
@pytest.mark.long
def test_a_child_forked_while_others_train(sent, trials, count):
    arguments, wanted = sent
    random = np.random.default_rng(0)
    with trials("start methods") as trial, Training("wide, dropout"), Training("many nets"):
        for place in range(count(4, 50)):
            with trial.case(f"fork {place} while others train"):
                time.sleep(random.uniform(0, 0.1))
                assert tuple(from_process("fork", in_child, arguments)[1:]) == wanted


def compiled():
    return passing_entry(lambda x: x + x)(21)


@forks
def test_a_child_forked_while_another_compiles_compiles_too(trials):
    """The other holds the compiler's lock, which would stay shut in the child."""
    from numba.core.compiler_lock import global_compiler_lock

    held, released = threading.Event(), []

    def compiling():
        with global_compiler_lock:
            held.set()
            time.sleep(0.3)
            released.append(time.perf_counter())

    other = threading.Thread(target=compiling)
    other.start()
    held.wait()
    with trials("start methods") as trial, trial.case("fork while a thread holds the compiler's lock"):
        assert from_process("fork", compiled) == 42
        assert released
    other.join()


# Forks while another thread compiles for the first time.
COMPILING = """
import os, sys, threading, time
from configurations import digest
from fastmlp.kernels import run

name = "narrow, SGD, full batch"
other = threading.Thread(target=digest, args=(name,))
other.start()
time.sleep(float(sys.argv[1]))
child = os.fork()
mine = digest(name)
print(mine, flush=True)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
other.join()
"""


@forks
@pytest.mark.long
def test_a_child_forked_while_another_compiles_trains(tmp_path, trials, count):
    wanted = digest("narrow, SGD, full batch")
    with trials("start methods") as trial:
        for place, delay in enumerate(np.linspace(1, 3, count(1, 5))):
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, PLACES)),
                "FASTMLP_CACHE_DIR": str(tmp_path / str(place)),
            }
            with trial.case(f"fork {delay:.1f} s into the first training"):
                done = subprocess.run(
                    [sys.executable, "-c", COMPILING, str(delay)],
                    capture_output=True,
                    text=True,
                    env=environment,
                    timeout=2 * SECONDS,
                )
                assert done.returncode == 0, done.stderr
                assert done.stdout.split() == [wanted] * 2


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_estimators_in_joblib(backend, trials):
    X, y = samples(300, 6, "classes", "float64")
    nets = [fastmlp.MLPClassifier((30,), max_iter=3, random_state=seed) for seed in range(4)]
    wanted = [net.fit(X, y).predict_proba(X).tobytes() for net in nets]
    found = Parallel(n_jobs=2, backend=backend, timeout=SECONDS)(delayed(fitted)(net, X, y) for net in nets)
    with trials("start methods") as trial, trial.case(f"joblib, {backend}"):
        assert [net.predict_proba(X).tobytes() for net in found] == wanted


def fitted(net, X, y):

    warnings.simplefilter("ignore", ConvergenceWarning)
    return net.fit(X, y)


def test_other_threads_work_while_kernels_do():
    """A call takes some 50 ms, and does not keep the interpreter to itself."""
    X, y = samples(20_000, 20, "classes", "float32")
    ticks, ended = [], threading.Event()

    def tick():
        while not ended.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    fastmlp.train(X, y, 100, epochs=20, batch_size=None, threads=1, seed=0)
    ended.set()
    other.join()
    assert len(ticks) > 20


def test_no_thread_is_left():
    before = threading.active_count()
    for name in ("wide, dropout", "many nets"):
        digest(name, 4)
    assert threading.active_count() == before


def test_an_interrupt_is_heard_in_the_main_thread_alone(interrupts):
    """Elsewhere a training ends by its callback or by `max_seconds`."""
    X, y = samples(500, 20, "classes", "float32")
    begun, ends = threading.Event(), threading.Event()

    def heard(epoch):
        begun.set()
        return ends.is_set()

    with ThreadPoolExecutor(2) as pool:
        called = pool.submit(fastmlp.train, X, y, 50, epochs=10_000_000, seed=0, threads=2, callback=heard)
        timed = pool.submit(fastmlp.train, X, y, 50, epochs=10_000_000, seed=0, threads=2, max_seconds=0.5)
        assert begun.wait(SECONDS)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert timed.result(SECONDS).status == "out of time"
        assert not called.done()
        ends.set()
        assert called.result(SECONDS).status == "stopped by callback"
