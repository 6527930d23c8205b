"""After ``fastmlp.warmup`` nothing is compiled any more, whatever is trained."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from functools import partial
from itertools import product

import numpy as np
import pytest
from numba.core import event
from numba.core.dispatcher import Dispatcher

import fastmlp
from fastmlp import inputs, kernels
from fastmlp.kernels import warm as warm_kernels
from fastmlp.kernels.cache import KernelCache
from fastmlp.kernels.jit import entry
from fastmlp.kernels.warm import Entry, entries
from fastmlp.network import Network
from fastmlp.options import Solver
from table import CASES, WHOLE, begin, start

X = np.random.default_rng(5).standard_normal((60, 3))
y = np.arange(60) % 3
WEIGHTS = np.linspace(0, 2, 60)


def trained_by_every_option(dtype):
    """Trainings that differ in what could reach a kernel in another type."""
    rows = X.astype(dtype)
    read_only = np.frombuffer(rows.tobytes(), dtype).reshape(rows.shape)
    memory = np.zeros(rows.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(rows.tobytes(), np.uint8)
    unaligned = memory.view(dtype).reshape(rows.shape)
    assert not unaligned.flags.aligned
    forms = (rows, read_only, unaligned, rows.T.copy().T, rows[::-1], rows.tolist())
    for form, weights in product(forms, (None, WEIGHTS, WEIGHTS.astype(np.float32))):
        yield fastmlp.train(form, y, 4, epochs=2, seed=0, dtype=dtype, batch_size=16, sample_weight=weights)
    for solver, hidden in product([solver.name.lower() for solver in Solver], [(), 3, (200, 180)]):
        yield fastmlp.train(rows, y, hidden, solver=solver, epochs=2, seed=0, dtype=dtype)
    for given in ({"dropout": 0.5}, {"l1": 0.1, "max_grad_norm": 1.0}, {"validation": 0.2, "patience": 1}, {"patience": 1}):
        for hidden, threads in product([3, (200, 180)], [1, 2]):
            yield fastmlp.train(rows, y, hidden, epochs=2, seed=0, dtype=dtype, threads=threads, batch_size=30, **given)
    for targets in (X[:, 0], X[:, :2].astype(np.float32), (X[:, :2] > 0).astype(int), y.astype(str), y > 0):
        yield fastmlp.train(rows, targets, 3, epochs=2, seed=0, dtype=dtype)
    for shuffle, seed in product([True, False, "blocks"], [1, np.random.default_rng(1), np.random.RandomState(1), None]):
        yield fastmlp.train(rows, y, 3, epochs=2, seed=seed, dtype=dtype, batch_size=7, shuffle=shuffle)
    net = fastmlp.train(rows, y, 3, epochs=2, seed=0, dtype=dtype)
    yield fastmlp.train(rows, y, start=net, epochs=2)
    yield fastmlp.train(np.asfortranarray(X, ">f8"), y, 3, epochs=2, seed=0, dtype=dtype)


def trained_in_sweeps(dtype):
    rows = X.astype(dtype)
    rows.flags.writeable = False
    grid = [{"learning_rate": 0.01 * k, "seed": k} for k in range(1, 20)]
    for given in (
        {},
        {"batch_size": 8},
        {"sample_weight": WEIGHTS},
        {"validation": 0.2, "patience": 1},
        {"shuffle": False},
    ):
        yield from fastmlp.train_many(rows, y, grid, hidden=3, epochs=3, dtype=dtype, **given)
    wide = [{"hidden": hidden} for hidden in ((), 3, (200, 180))]
    yield from fastmlp.train_many(rows, y, wide, epochs=2, seed=0, dtype=dtype, threads=2)
    yield from fastmlp.cross_validate(rows, y, hidden=3, epochs=2, dtype=dtype, cv=10).sweep


@pytest.fixture(scope="module")
def warm():
    """Numba is asked for all that it compiles from here on."""
    fastmlp.warmup()
    compiled = []

    class Listener(event.Listener):
        def on_start(self, event):
            compiled.append(event.data["dispatcher"])

        def on_end(self, event):
            pass

    listener = Listener()
    event.register("numba:compile", listener)
    yield compiled
    event.unregister("numba:compile", listener)


@pytest.fixture
def compiles_nothing(warm):
    before = len(warm)
    yield
    assert warm[before:] == []


by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
quietly = pytest.mark.filterwarnings("ignore")


def entry_points():
    """All functions in kernels/ that are kept on disk."""
    for module in pkgutil.iter_modules(kernels.__path__, "fastmlp.kernels."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Dispatcher) and isinstance(value._cache, KernelCache):
                yield value.py_func.__qualname__, value


def test_every_entry_point_is_warmed():
    """But for those that only `fastmlp bench` and `fastmlp check` call."""
    warmed = {id(entry.dispatcher) for dtype in (np.float32, np.float64) for entry in entries(np.dtype(dtype))}
    cold = {name for name, dispatcher in entry_points() if id(dispatcher) not in warmed}
    assert cold == {"multiply_and_add", "tanh_of_all", "evaluate"}


@quietly
@by_dtype
def test_training_and_predicting_compile_nothing(compiles_nothing, dtype, tmp_path):
    n_nets = 0
    for net in trained_by_every_option(dtype):
        predict(net, X, tmp_path)
        n_nets += 1
    assert n_nets > 50


@quietly
@by_dtype
def test_sweeps_compile_nothing(compiles_nothing, dtype, tmp_path):
    nets = list(trained_in_sweeps(dtype))
    assert len(nets) > 50
    for net in nets[::10]:
        predict(net, X, tmp_path)


def predict(net, rows, folder):
    """By the net, by one read from a file, and for rows in other forms."""
    given = rows.astype(net.dtype)
    given.flags.writeable = False
    read = fastmlp.load(net.save(folder / "net.safetensors"))
    for one, form in product((net, read), (given, given[::2], np.asfortranarray(given), rows.tolist(), given[:1])):
        assert len(one.predict(form)) == len(form)


@quietly
@by_dtype
def test_streams_compile_nothing(compiles_nothing, dtype, monkeypatch, tmp_path):
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    np.save(tmp_path / "rows.npy", X.astype("float16"))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for given in (
        {},
        {"batch_size": None},
        {"solver": "lbfgs", "batch_size": None},
        {"shuffle": "blocks"},
        {"validation": 0.2},
    ):
        net = fastmlp.train(rows, y, 3, epochs=2, seed=0, dtype=dtype, **{"batch_size": 16, **given})
        assert isinstance(net, Network)
        net.predict(rows)


@quietly
@by_dtype
def test_estimators_compile_nothing(compiles_nothing, dtype):
    import scipy.sparse

    rows = X.astype(dtype)
    rows.flags.writeable = False
    for solver, samples in product(("adam", "sgd", "lbfgs"), (rows, scipy.sparse.csr_matrix(rows))):
        model = fastmlp.MLPClassifier(3, solver=solver, max_iter=3, random_state=0).fit(samples, y)
        model.predict_proba(samples)
    model = fastmlp.MLPRegressor(hidden_layer_sizes=3, max_iter=3, random_state=0).fit(rows, X[:, 0])
    model.partial_fit(rows, X[:, 0]).predict(rows)


@quietly
def test_no_case_of_the_table_compiles(compiles_nothing):
    for case, dtype in product(CASES[::20], (np.float32, np.float64)):
        run = begin("kernels", case, start(case, dtype))
        run.advance(np.full(2, 0.01, dtype), np.zeros(2, dtype), case.n_samples, WHOLE)


LATER = """
import json, sys
import numpy as np
from numba.core import event

compiled = []

class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(str(event.data["dispatcher"]))

    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
import fastmlp

if "warm" in sys.argv:
    compiled.append(fastmlp.warmup(sys.argv[2]))
X, y = np.random.default_rng(0).standard_normal((30, 2)).astype(sys.argv[2]), np.arange(30) % 3
net = fastmlp.train(X, y, 3, epochs=3, batch_size=8, seed=0)
net.predict(X)
print(json.dumps(compiled))
"""


def later(*arguments):
    command = [sys.executable, "-W", "error", "-c", LATER, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@by_dtype
def test_later_processes_compile_nothing(warm, dtype):
    assert later("no", dtype) == []
    assert later("warm", dtype) == [[]]


def double(x):
    x[0] = 2 * x[0]


def test_it_tells_what_it_compiled(monkeypatch, tmp_path):
    """By the names of the kernels and their dtype; not what it has read, nor what was there."""
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path))
    for expected in (["double float32"], ["double float64"], []):
        double_ = entry(double)

        def entries(dtype, double_=double_):
            return [Entry(f"double {dtype}", double_, partial(double_, np.ones(1, dtype)))]

        monkeypatch.setattr(warm_kernels, "entries", entries)
        assert fastmlp.warmup("float32" if expected == ["double float32"] else None) == expected
        assert fastmlp.warmup("float32") == []
        assert all(one.is_kept() for one in entries(np.dtype("float32")))


@pytest.mark.parametrize("dtype", ["int", "float16", np.int32, 3])
def test_unknown_dtype(dtype):
    with pytest.raises(ValueError, match="choose float32 or float64, or None for both"):
        fastmlp.warmup(dtype)
