"""Sweeps on threads, processes and clusters: the bits of a local sweep, whatever happens to the workers."""

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from joblib.externals import loky

from fastmlp import schedules, train, train_many
from fastmlp.sweep import remote, worker

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* nets were not begun:RuntimeWarning"),
    pytest.mark.usefixtures("interrupts"),
]
METHODS = ["fork", "spawn", "forkserver"]
# Nets of 20 ms each, and such as nobody waits for.
SHORT = [{"hidden": 20, "epochs": 1000, "seed": seed, "tol": 0.0} for seed in range(400)]
ENDLESS = [{"hidden": 20, "epochs": 10**7, "seed": seed, "tol": 0.0} for seed in range(6)]
# A busy machine may take its time beyond what is promised.
AT_ONCE = 0.5 + 0.3


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(3)
    X = random.standard_normal((400, 6))
    return X, np.digitize(X[:, 0] + random.standard_normal(400), [-0.5, 0.5])


@pytest.fixture(scope="module")
def pool():
    """Two processes that the tests leave as they are."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("forkserver")) as pool:
        yield pool


@pytest.fixture(scope="module")
def client():
    """A cluster of two processes, which come back when they are killed."""
    distributed = pytest.importorskip("distributed")
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": 1,
        # A worker killed twice in this time is not brought back.
        "distributed.deploy.lost-worker-timeout": "1 hour",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["threads", "pool", "dask"])
def executor(request):
    """Each kind."""
    if request.param == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
    elif request.param == "pool":
        yield request.getfixturevalue("pool")
    else:
        client = request.getfixturevalue("client")
        client.wait_for_workers(2, timeout=30)
        client.run(warm_up)
        yield client.get_executor()


def warm_up():
    """Load the kernels: a worker may be new."""
    train([[0.0], [1.0]], [0, 1], 2, epochs=1)


def assert_same(sweep, local):
    assert sweep.statuses == local.statuses
    assert list(sweep.errors) == list(local.errors)
    for net, wanted in zip(sweep, local, strict=True):
        assert (net is None) == (wanted is None)
        if net is not None:
            assert net.params.tobytes() == wanted.params.tobytes()
            assert net.loss_curve.tobytes() == wanted.loss_curve.tobytes()
            assert net.best_epoch == wanted.best_epoch


def varied(seeds):
    """Nets of several shapes and solvers."""
    nets = [
        {"hidden": 5},
        {"hidden": 5, "dropout": 0.3},
        {"hidden": (20, 3), "activation": "tanh", "validation": 0.25, "patience": 2},
        {"hidden": 9, "solver": "sgd", "momentum": 0.9, "schedule": schedules.adaptive(), "learning_rate": 0.2},
        {"hidden": 9, "solver": "lbfgs", "epochs": 7},
        {"hidden": 40, "solver": "rprop", "dtype": "float32"},
    ]
    return [{**net, "seed": seed} if seed is not None else net for net in nets for seed in seeds]


def test_all_kinds_give_the_bits_of_a_local_sweep(executor, samples):
    X, y = samples
    configs = [*varied([0, 1]), {"hidden": 5, "metric": "accuracy", "validation": (X[:50], y[:50])}]
    rows = [np.arange(place % 3, 400, 2) if place % 2 else np.arange(300) for place in range(len(configs))]
    for threads in (None, 2):
        options = {"epochs": 12, "seed": 5, "rows": rows}
        assert_same(
            train_many(X, y, configs, executor=executor, threads=threads, **options), train_many(X, y, configs, **options)
        )


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_processes_of_each_kind(method, samples):
    local = train_many(*samples, varied([None]), seed=4, epochs=5)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for _ in range(2):
            assert_same(train_many(*samples, varied([None]), seed=4, epochs=5, executor=pool), local)


def test_loky(samples):
    with loky.ProcessPoolExecutor(2) as pool:
        assert_same(train_many(*samples, varied([1]), epochs=5, executor=pool), train_many(*samples, varied([1]), epochs=5))


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_shared_random_sources(executor, source, samples):
    sweeps = [
        train_many(*samples, varied([None]), seed=source(8), epochs=4, executor=chosen) for chosen in (None, executor)
    ]
    assert_same(*sweeps)


def test_folds_and_lists_are_shared_but_once(samples):
    X, y = samples
    fold, own = np.arange(0, 400, 2), np.arange(1, 400, 2)
    given = (X[own], y[own])
    configs = [{"hidden": 3, "validation": given, "seed": 1}, {"hidden": 4, "validation": given, "seed": 1}]
    parcels = remote.Parcels(X, y, {}, configs, [fold, fold])
    assert len(parcels.shared.things) == 2
    assert len(parcels.nets([0, 1])) < 1000
    places, opened, rows = parcels.shared.opened(parcels.nets([1]))
    assert places == [1]
    assert opened == [configs[1]]
    assert rows[0] is fold
    # Rows of one net alone are no concern of others.
    parcels = remote.Parcels(X, y, {}, configs, [fold, own])
    assert len(parcels.shared.things) == 1
    assert parcels.shared.opened(parcels.nets([1]))[2][0].tolist() == own.tolist()


class Noted:
    """Features that leave a line in a file wherever they arrive."""

    def __init__(self, array, path):
        self.array, self.path = array, path

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)

    def __reduce__(self):
        return arrived, (self.array, self.path)


def arrived(array, path):
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    return Noted(array, path)


class Counting(Executor):
    """Another executor whose letters are weighed."""

    def __init__(self, executor):
        self._executor, self.weights = executor, []
        self._max_workers = executor._max_workers

    def submit(self, function, *arguments):
        self.weights.append(sum(len(argument) for argument in arguments if isinstance(argument, bytes)))
        return self._executor.submit(function, *arguments)


def test_samples_are_sent_to_each_process_once(pool, samples, tmp_path):
    X, y = samples
    for name in ("first", "second"):
        path, counting = tmp_path / name, Counting(pool)
        sweep = train_many(Noted(X, path), y, SHORT[:60], executor=counting)
        assert_same(sweep, train_many(X, y, SHORT[:60]))
        pids = path.read_text().split()
        assert len(pids) == len(set(pids)) == 2
        assert os.getpid() not in map(int, pids)
        heavy = [weight > X.nbytes for weight in counting.weights]
        # One process may have been quick enough to take what was meant for the other.
        assert 2 <= sum(heavy) <= 3
        assert len(heavy) > 5


def test_samples_are_scattered_once(client, samples, tmp_path):
    X, y = samples
    path, executor, seen = tmp_path / "arrivals", client.get_executor(), []
    submit = executor.submit
    executor.submit = lambda *arguments, **options: seen.append(options) or submit(*arguments, **options)
    train_many(Noted(X, path), y, SHORT[:60], executor=executor)
    # Else Dask would give back an earlier failure to who asks for the same again.
    assert seen == [{"pure": False}] * len(seen)
    pids = path.read_text().split()
    # The scheduler, in this process, only passes on what it is handed.
    assert sorted(pids) == sorted(set(pids))
    assert set(map(int, pids)) <= set(client.run(os.getpid).values())
    assert len(pids) == 2


def test_large_samples_do_not_go_through_the_graph(client):
    """Dask would warn, which is an error here."""
    random = np.random.default_rng(0)
    X, y = random.standard_normal((200_000, 20)).astype(np.float32), random.integers(0, 2, 200_000)
    rows = [random.integers(0, 200_000, 200_000) for _ in range(12)]
    configs = {"hidden": [2], "seed": list(range(12))}
    assert_same(
        train_many(X, y, configs, rows=rows, epochs=1, executor=client.get_executor()),
        train_many(X, y, configs, rows=rows, epochs=1),
    )


def test_workers_say_what_they_lack(pool, samples, monkeypatch):
    X, y = samples
    counting = Counting(pool)
    monkeypatch.setattr("fastmlp.sweep.sending._is_yet_to_fork", lambda executor: True)
    assert_same(train_many(X, y, SHORT[:60], executor=counting), train_many(X, y, SHORT[:60]))
    heavy = [weight > X.nbytes for weight in counting.weights]
    assert not any(heavy[:2])
    assert 2 <= sum(heavy) <= 3


class Inline(Executor):
    """Works at once, in the caller's thread; loses what `loses` says of the number of the group and its places."""

    def __init__(self, loses=lambda number, places: None):
        self._loses, self.groups, self.futures = loses, [], []
        self._max_workers = 2

    def submit(self, function, *arguments):
        self.groups.append(pickle.loads(arguments[2])[0])
        future = Future()
        self.futures.append(future)
        lost = self._loses(len(self.groups), self.groups[-1])
        if isinstance(lost, RuntimeError):
            raise lost
        if isinstance(lost, Exception):
            future.set_exception(lost)
        elif lost is None:
            future.set_result(function(*arguments))
        return future


def test_within_a_process_nothing_is_copied(samples, tmp_path):
    X, y = samples
    path = tmp_path / "arrivals"
    for kind in (ThreadPoolExecutor(2), Inline()):
        with kind:
            train_many(Noted(X, path), y, varied([1]), epochs=3, executor=kind)
    assert not path.exists()
    assert not worker._known


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_processes_have_the_samples_already(samples, tmp_path):
    X, y = samples
    path = tmp_path / "arrivals"
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        train_many(Noted(X, path), y, varied([1]), epochs=3, executor=pool)
        assert not path.exists()
        train_many(Noted(X, path), y, varied([1]), epochs=3, executor=pool)
    assert len(set(path.read_text().split())) == len(path.read_text().split()) <= 2


def test_workers_keep_the_samples_of_few_sweeps():
    before = dict(worker._known)
    try:
        worker._known.clear()
        for token in "abcd":
            worker.remember(token, worker.Shared([[0.0]], [0], {}, []))
        assert list(worker._known) == ["c", "d"]
        terms = worker.Terms(1, np.inf, "")
        assert worker.train_sent("a", None, b"", terms) is None
        nothing = remote.Parcels([], [], {}, [], None).nets([])
        assert worker.train_sent("c", None, nothing, terms) == []
        worker.remember("e", worker.Shared([[0.0]], [0], {}, []))
        assert list(worker._known) == ["c", "e"]
    finally:
        worker._known.clear()
        worker._known.update(before)


# ---- workers that are lost


def test_dask_workers_killed_at_random(client, samples):
    random = np.random.default_rng(20)
    configs = {"hidden": [10, (20, 5)], "seed": list(range(32))}
    local = train_many(*samples, configs, epochs=600)
    for _ in range(10):
        client.wait_for_workers(2, timeout=30)
        pid = random.choice(sorted(client.run(os.getpid).values()))
        timer = threading.Timer(random.uniform(0.02, 0.6), os.kill, (pid, signal.SIGKILL))
        timer.start()
        sweep = train_many(*samples, configs, epochs=600, executor=client.get_executor())
        timer.cancel()
        timer.join()
        assert_same(sweep, local)


def test_all_dask_workers_killed_at_once(client, samples):
    """Then X and y are lost, and what waits for them would wait for ever."""
    configs = {"hidden": [20], "seed": list(range(24))}
    local = train_many(*samples, configs, epochs=10000)
    client.wait_for_workers(2, timeout=30)
    for pid in client.run(os.getpid).values():
        threading.Timer(0.4, os.kill, (pid, signal.SIGKILL)).start()
    begin = time.monotonic()
    assert_same(train_many(*samples, configs, epochs=10000, executor=client.get_executor()), local)
    assert time.monotonic() - begin > 0.4


def test_a_pool_that_breaks(samples):
    configs = {"hidden": [20], "seed": list(range(40))}
    local = train_many(*samples, configs, epochs=1000)
    seen = []

    def kill(outcome):
        seen.append(outcome.place)
        if len(seen) == 3:
            os.kill(next(iter(pool._processes)), signal.SIGKILL)

    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        with pytest.warns(
            RuntimeWarning, match=r"trains no longer \(BrokenProcessPool.*nets left are trained here"
        ) as caught:
            sweep = train_many(*samples, configs, epochs=1000, executor=pool, callback=kill)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    assert_same(sweep, local)
    assert sorted(seen) == list(range(40))


@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_that_is_shut_down(kind, when, samples):
    configs = {"hidden": [20], "seed": list(range(20))}
    seen = []

    def shut_down(outcome):
        seen.append(outcome.place)
        chosen.shutdown(wait=False, cancel_futures=True)

    chosen = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    if when == "before":
        chosen.shutdown()
    with pytest.warns(RuntimeWarning, match=r"trains no longer \(RuntimeError: cannot schedule new futures"):
        sweep = train_many(*samples, configs, epochs=1000, executor=chosen, callback=shut_down)
    chosen.shutdown()
    assert_same(sweep, train_many(*samples, configs, epochs=1000))
    assert sorted(seen) == list(range(20))


def test_nets_that_are_lost_again_and_again_are_tried_apart(samples, monkeypatch):
    apart = []
    monkeypatch.setattr(remote, "Suspects", recording(apart))
    executor = Inline(lambda number, places: OSError("lost") if 3 in places else None)
    assert_same(train_many(*samples, SHORT[:20], executor=executor), train_many(*samples, SHORT[:20]))
    assert sum(3 in places for places in executor.groups) == remote.MOST_LOSSES
    assert len(apart) == 1
    assert 3 in apart[0]
    # Others are with it by as much as two halvings leave.
    assert len(apart[0]) <= 5


def recording(apart):
    class Recording(remote.Suspects):
        def __init__(self, tasks, *rest):
            apart.append([task.place for task in tasks])
            super().__init__(tasks, *rest)

    return Recording


def test_what_was_lost_is_never_trained_here(samples, monkeypatch):
    """Where the executor takes no more, either."""
    apart = []
    monkeypatch.setattr(remote, "Suspects", recording(apart))
    executor = Inline(
        lambda number, places: OSError("lost") if number == 1 else RuntimeError("shut") if number > 2 else None
    )
    with pytest.warns(RuntimeWarning, match=r"trains no longer \(RuntimeError: shut\); the 19 nets left"):
        sweep = train_many(*samples, SHORT[:20], executor=executor)
    assert_same(sweep, train_many(*samples, SHORT[:20]))
    assert [place for places in apart for place in places] == executor.groups[0]


def test_an_executor_that_loses_all_is_given_up(samples):
    executor = Inline(lambda number, places: OSError("no such package"))
    executor._max_workers = 1
    with pytest.warns(RuntimeWarning, match=r"trains no longer \(OSError: no such package\)"):
        sweep = train_many(*samples, SHORT[:4], executor=executor)
    assert_same(sweep, train_many(*samples, SHORT[:4]))
    assert len(executor.groups) < 20


def test_what_is_lost_in_silence_is_sent_again(samples, monkeypatch):
    monkeypatch.setattr(remote, "SECONDS_OF_SILENCE", 0.2)
    monkeypatch.setattr("fastmlp.sweep.sending.Posted.is_cut_off", lambda self: True)
    executor = Inline(lambda number, places: "never heard of again" if number in (1, 2, 5) else None)
    assert_same(train_many(*samples, SHORT[:20], executor=executor), train_many(*samples, SHORT[:20]))
    assert [future.cancelled() for future in executor.futures[:2]] == [True, True]


def deadly(epoch):
    """Ends its process."""
    if epoch.epoch == 3:
        os._exit(7)


def test_a_net_that_ends_its_worker(samples, request):
    configs = [{"hidden": 5, "seed": seed, "callback": deadly if seed == 7 else None} for seed in range(10)]
    wanted = train_many(*samples, [{**config, "callback": None} for config in configs], epochs=20)
    with (
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool,
        pytest.warns(RuntimeWarning) as caught,
    ):
        assert_deadly(train_many(*samples, configs, epochs=20, executor=pool), wanted)
    messages = [str(warning.message) for warning in caught]
    assert [message.partition(" nets failed")[0][-7:] for message in messages if "failed" in message] == ["1 of 10"]
    assert len(messages) == 2


def test_a_net_that_ends_its_dask_worker(client, samples):
    configs = [{"hidden": 5, "seed": seed, "callback": deadly if seed == 7 else None} for seed in range(10)]
    wanted = train_many(*samples, [{**config, "callback": None} for config in configs], epochs=20)
    with pytest.warns(RuntimeWarning, match=r"^1 of 10 nets failed.*configs\[7\]: the net was lost") as caught:
        assert_deadly(train_many(*samples, configs, epochs=20, executor=client.get_executor()), wanted)
    assert len(caught) == 1


def assert_deadly(sweep, wanted):
    assert list(sweep.errors) == [7]
    assert "exit code 7" in str(sweep.errors[7])
    assert sweep.statuses[7] == "failed"
    assert sweep[7] is None
    for place in set(range(10)) - {7}:
        assert sweep[place].params.tobytes() == wanted[place].params.tobytes()


def failing(epoch):
    raise Unreadable("a", "b")


class Unreadable(Exception):  # noqa: N818
    """Cannot be read back once it is pickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def test_errors_that_cannot_be_sent(executor, samples):
    with pytest.warns(RuntimeWarning, match=r"1 of 2 nets failed.*a and b"):
        sweep = train_many(*samples, [{"callback": failing}, {"callback": None}], hidden=3, epochs=2, executor=executor)
    assert sweep.statuses == ["failed", "finished"]


def test_bad_configs_are_found_here(executor, samples):
    configs = [{"hidden": 3}, {"hidden": -3}, {"hidden": 3, "solver": "none such"}]
    with pytest.warns(RuntimeWarning, match="2 of 3 nets failed"):
        sweep = train_many(*samples, configs, epochs=2, seed=0, executor=executor)
    with pytest.warns(RuntimeWarning, match="2 of 3 nets failed"):
        assert_same(sweep, train_many(*samples, configs, epochs=2, seed=0))


def test_what_cannot_be_sent_fails_alone(pool, samples):
    lock = threading.Lock()

    def locked(epoch):
        with lock:
            return False

    configs = [{"hidden": 3, "callback": locked if seed == 2 else None, "seed": seed} for seed in range(6)]
    with pytest.warns(RuntimeWarning, match=r"1 of 6 nets failed.*configs\[2\]: executor: a parameter cannot be sent"):
        sweep = train_many(*samples, configs, epochs=2, executor=pool)
    assert sweep.statuses == ["finished", "finished", "failed", *["finished"] * 3]
    with pytest.raises(TypeError, match="executor: X, y or what nets share cannot be sent to other processes"):
        train_many(*samples, {"hidden": [3]}, callback=None, epochs=2, executor=pool, metric=locked, validation=0.1)


# ---- sweeps that are ended


def is_free(executor):
    """Whether both workers take on other work."""
    deadline = time.monotonic() + 10
    return [executor.submit(pow, 2, n).result(timeout=deadline - time.monotonic()) for n in range(8)] == [
        2**n for n in range(8)
    ]


def ended(samples, configs, after, executor, **options):
    """What comes of a sweep, ended within a moment of that time."""
    begin = time.monotonic()
    sweep = train_many(*samples, configs, executor=executor, **options)
    assert after - 0.05 <= time.monotonic() - begin < after + AT_ONCE
    return sweep


@pytest.mark.filterwarnings("ignore:.* nets were interrupted:RuntimeWarning")
@pytest.mark.parametrize("configs", [SHORT, ENDLESS], ids=["short", "endless"])
def test_ctrl_c_returns_at_once(executor, configs, samples):
    train_many(*samples, SHORT[:4], executor=executor)
    timer = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    sweep = ended(samples, configs, 0.6, executor, max_seconds=20)
    timer.join()
    assert set(sweep.statuses) <= {"finished", "interrupted"}
    assert "interrupted" in sweep.statuses
    if configs is SHORT:
        assert_finished_are_right(sweep, samples)
    # The executor is the user's, and nets in progress have heard of the end.
    assert is_free(executor)


def assert_finished_are_right(sweep, samples):
    finished = [place for place, status in enumerate(sweep.statuses) if status == "finished"]
    assert 0 < len(finished) < len(sweep)
    some = finished[:3]
    local = train_many(*samples, [SHORT[place] for place in some])
    assert [sweep[place].params.tobytes() for place in some] == [net.params.tobytes() for net in local]


@pytest.mark.parametrize("configs", [SHORT, ENDLESS], ids=["short", "endless"])
def test_a_limit_of_time(executor, configs, samples):
    train_many(*samples, SHORT[:4], executor=executor)
    sweep = ended(samples, configs, 0.6, executor, max_seconds=0.6)
    assert set(sweep.statuses) <= {"finished", "out of time"}
    assert "out of time" in sweep.statuses
    if configs is SHORT:
        assert_finished_are_right(sweep, samples)
    assert is_free(executor)


@pytest.mark.filterwarnings("ignore:.* nets were interrupted:RuntimeWarning")
@pytest.mark.parametrize("how", ["interrupted", "out of time"])
def test_nets_in_progress_are_kept(executor, how, samples, monkeypatch):
    """As far as they come in time; here they have all the time they want."""
    monkeypatch.setattr(remote, "GRACE_SECONDS", 20)
    train_many(*samples, SHORT[:4], executor=executor)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    if how == "interrupted":
        timer.start()
    begin = time.monotonic()
    sweep = train_many(*samples, ENDLESS, executor=executor, max_seconds=1 if how == "out of time" else 20)
    assert time.monotonic() - begin < 15
    assert set(sweep.statuses) == {how}
    assert sum(net is not None for net in sweep) == 2


def test_nobody_waits_for_workers_that_do_not_hear(samples):
    executor = Inline(lambda number, places: "never heard of again")
    sweep = ended(samples, SHORT, 0.3, executor, max_seconds=0.3)
    assert sweep.statuses == ["out of time"] * len(SHORT)
    assert len(executor.futures) == 2
    assert all(future.cancelled() for future in executor.futures)


def test_a_callback_that_stops(executor, samples):
    train_many(*samples, SHORT[:4], executor=executor)
    seen = []

    def stop(outcome):
        assert threading.current_thread() is threading.main_thread()
        seen.append((outcome.place, time.monotonic()))
        return len(seen) >= 3

    sweep = train_many(*samples, SHORT, executor=executor, callback=stop)
    assert time.monotonic() - seen[2][1] < AT_ONCE
    assert set(sweep.statuses) == {"finished", "stopped by callback"}
    assert_finished_are_right(sweep, samples)
    assert is_free(executor)


def test_a_callback_that_raises(executor, samples):
    def fail(outcome):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_many(*samples, [*ENDLESS[:1], {"epochs": 2}], executor=executor, callback=fail, hidden=3)
    assert is_free(executor)


def test_progress_and_callbacks_come_once_for_each_net(executor, samples, monkeypatch):
    told, seen = [], []

    @contextlib.contextmanager
    def counting(wanted, nets):
        assert wanted
        assert nets == 30
        yield told.append

    monkeypatch.setattr("fastmlp.sweep.many.counting", counting)
    train_many(*samples, SHORT[:30], executor=executor, progress=True, callback=lambda outcome: seen.append(outcome.place))
    assert sorted(seen) == list(range(30))
    assert told == sorted(told)
    assert told[-1] == 30


@pytest.mark.usefixtures("no_work")
def test_what_is_no_executor(samples):
    with pytest.raises(TypeError, match=r"executor=3 is no concurrent.futures.Executor; see concurrent.futures, or None"):
        train_many(*samples, [{}], executor=3)


@pytest.mark.usefixtures("no_work")
def test_a_dask_client_is_no_executor(client, samples):
    with pytest.raises(TypeError, match=r"executor=<Client.*; give its get_executor\(\), or None"):
        train_many(*samples, [{}], executor=client)


def test_nothing_is_left_behind(executor, samples, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = threading.active_count()
    for limit in (None, 0.05):
        train_many(*samples, SHORT[:40], executor=executor, max_seconds=limit)
        assert list(tmp_path.iterdir()) == []
        assert not worker._known
    assert threading.active_count() <= threads + 4


# ---- how nets are put together


def tasks(sizes, samples):
    from fastmlp.samples import Source
    from fastmlp.sweep.tasks import Setups, tasks_of

    configs = [{"hidden": size, "seed": 0} for size in sizes]
    return tasks_of(Setups(Source(*samples), {}), configs, [0] * len(configs), None)[0]


def test_groups_are_of_one_shape_and_of_the_time_wanted(samples):
    from fastmlp.sweep.portions import LONGEST, SHORTEST, Portions
    from fastmlp.sweep.tasks import Outcome

    nets = tasks([10, 30, 20] * 200, samples)
    portions = Portions(nets)
    first = portions.cut(4, 1)
    assert [task.setup.problem.sizes[1] for task in first.tasks] == [30]
    assert not portions.is_timed
    # A net of 30 units takes 20 ms, and others by their cost; the first is slower.
    speed, seconds = 0.02 / first.tasks[0].cost, []
    for number in range(2000):
        if not portions:
            break
        group = first if number == 0 else portions.cut(4, 1)
        took = [task.cost * speed * (50 if number == 0 else 1) for task in group.tasks]
        seconds.append((sum(took), [task.setup.problem.sizes[1] for task in group.tasks]))
        network = object()
        portions.learn(
            group.tasks,
            [Outcome(task.place, network, "finished", None, s) for task, s in zip(group.tasks, took, strict=True)],
        )
    assert sum(len(sizes) for _, sizes in seconds) == 600
    assert [size for _, sizes in seconds for size in sizes] == [30] * 200 + [20] * 200 + [10] * 200
    assert len(seconds) < 60
    later = [took for took, _ in seconds[6:]]
    assert max(later) <= LONGEST
    assert np.median(later) > SHORTEST / 2
    assert later[-1] < SHORTEST * 1.1


def test_lost_groups_wait_before_others(samples):
    from fastmlp.sweep.portions import Group, Portions

    nets = tasks([5] * 7, samples)
    portions = Portions(nets[5:])
    for half in Group(nets[:5], losses=1).halves():
        portions.take_back(half)
    lengths = [(len(group.tasks), group.losses) for group in (portions.cut(2, 1), portions.cut(2, 1))]
    assert lengths == [(2, 1), (3, 1)]
    portions.take_back(Group(nets[:1], losses=2))
    lost, rest = portions.rest()
    assert [group.tasks for group in lost] == [nets[:1]]
    assert rest == nets[5:]
    assert not portions
    assert [half.tasks for half in Group(nets[:1]).halves()] == [nets[:1]]
