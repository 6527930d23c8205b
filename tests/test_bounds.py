"""What the kernels may touch, and what their machine code may hold."""

import ctypes
import re

import numpy as np
import pytest

from fastmlp import train_many
from fastmlp.kernels import run as runs
from fastmlp.kernels.abreast import run_abreast
from fastmlp.kernels.blocks import PAD
from fastmlp.kernels.epochs import predict, run_blocks, run_slabs
from fastmlp.kernels.jit import passing_entry
from fastmlp.kernels.orders import draw_orders
from fastmlp.kernels.run import Predictor
from fastmlp.options import Activation, Loss
from table import LOGISTIC, RELU, TANH, TOGETHER, WHOLE, Case, begin, bits, start

GUARD = 4096  # bytes on either side of an array
PATTERN = 0xFF  # as floats NaN, as integers -1: reading it shows too


class Guarded:
    """A copy of an array, with a zone on either side that nobody may touch.

    What lies behind the array in the memory that it was cut from comes along, up to the widest vector: kernels work in
    whole vectors.
    """

    def __init__(self, array):
        self.original = array
        room = b""
        if isinstance(array.base, np.ndarray):
            memory = array.base.reshape(-1).view(np.uint8)
            end = array.ctypes.data + array.nbytes - memory.ctypes.data
            room = memory[end : end + PAD * array.itemsize].tobytes()
        zone = bytes([PATTERN]) * GUARD
        self.memory = np.frombuffer(bytearray(zone + array.tobytes() + room + zone), np.uint8)
        self.before, self.after = self.memory[:GUARD], self.memory[-GUARD:]
        self.array = self.memory[GUARD : GUARD + array.nbytes].view(array.dtype).reshape(array.shape)

    def finish(self):
        assert (self.before == PATTERN).all(), "written before the array"
        assert (self.after == PATTERN).all(), "written past the array"
        if self.original.flags.writeable:
            self.original[...] = self.array


def with_canaries(function, calls):
    """The function, on guarded copies of all arrays it is given, alone or in tuples."""

    def guarded(value, guards):
        if isinstance(value, np.ndarray):
            guards.append(Guarded(value))
            return guards[-1].array
        if isinstance(value, tuple):
            parts = [guarded(part, guards) for part in value]
            return value._make(parts) if hasattr(value, "_make") else tuple(parts)
        return value

    def call(*args):
        guards = []
        result = function(*[guarded(value, guards) for value in args])
        for guard in guards:
            guard.finish()
        calls.append(len(guards))
        return result

    return call


SHAPES = [
    Case((1, 1), (), Loss.SQUARED_ERROR, n_samples=1, batch_size=1),
    Case((1, 2), (), n_samples=7, batch_size=7),
    Case((2, 3, 2), (TANH,), n_samples=300, batch_size=300),
    Case((2, 3, 2), (TANH,), n_samples=300, batch_size=299),
    Case((3, 15, 16, 17, 5), (RELU, LOGISTIC, TANH), Loss.BINARY_CROSS_ENTROPY, n_samples=65, batch_size=9),
    Case((33, 40, 1), (RELU,), Loss.SQUARED_ERROR, n_samples=65, batch_size=64),
    Case((64, 10), (), n_samples=9, batch_size=9),
    Case((5, 33, 33, 3), (RELU, RELU), n_samples=130, batch_size=129),
    # Panels of slopes, another row of targets, and places for the squares of the gradient.
    Case((2, 3, 2), (Activation.GELU,), penalty="clipped", n_samples=300, batch_size=300, weights="some"),
    Case((3, 15, 17, 5), (TANH, Activation.MISH), Loss.POISSON, "", "clipped-l1-l2", 65, 64, "some", (0.5, 0.1)),
    Case((33, 40, 1), (Activation.SELU,), Loss.HUBER, "", "l1", 65, 64, "many-zero", (0.5,)),
    Case((33, 40, 3), (Activation.SILU,), penalty="clipped", n_samples=130, batch_size=130, weights="some"),
    Case((200, 170, 3), (TANH,), n_samples=70, batch_size=70),
    Case((200, 170, 3), (Activation.GELU,), Loss.QUANTILE, "", "clipped-l1-l2", 600, 520, "some", (0.5,)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["sgd", "nesterov", "adam", "rmsprop-momentum", "rprop", "none"])
@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_nothing_is_touched_outside_the_arrays(case, solver, dtype, monkeypatch):
    case = case._replace(solver=solver)
    given = start(case, dtype, epochs=2)
    results = []
    # First with canaries: without them a stray write would hit what is Python's.
    for guarded in (True, False):
        calls = []
        with monkeypatch.context() as patch:
            if guarded:
                for entry in (run_blocks, run_slabs, predict):
                    patch.setattr(runs, entry.__name__, with_canaries(entry, calls))
            run = begin("kernels", case, given)
            rates, losses = np.full(2, 2.0**-7, dtype), np.zeros(2, dtype)
            run.advance(rates, losses, 2 * case.n_samples, 1)
            run.advance(rates, losses, 2 * case.n_samples, WHOLE)
            outputs = Predictor(case.sizes, case.activations, case.loss, run.params.dtype).outputs(run.params, given.X)[0]
        results.append((*bits(run, losses), outputs.tobytes()))
        assert len(calls) == (3 if guarded else 0)
        assert all(count >= 4 for count in calls)
    # A read from the zones, which hold NaN, would show here.
    assert results[0] == results[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("case", [case for case in TOGETHER if case.solver in ("adamw", "rprop")], ids=str)
def test_threads_touch_nothing_outside_the_arrays(case, threads, dtype, monkeypatch):
    given, calls = start(case, dtype, epochs=2), []
    rates = np.full(2, 2.0**-7, dtype)
    results = []
    for guarded in (True, False):
        with monkeypatch.context() as patch:
            if guarded:
                patch.setattr(runs, "together", with_canaries(runs.together, calls))
            run, losses = begin("kernels", case, given, threads=threads), np.zeros(2, dtype)
            assert run.threads == threads
            run.advance(rates, losses, 2 * case.n_samples, WHOLE)
        results.append(bits(run, losses))
    assert len(calls) == 1
    assert results[0] == results[1]


@pytest.mark.parametrize(("n_nets", "n_samples", "n_epochs"), [(1, 1, 1), (1, 7, 3), (3, 5, 2), (16, 9, 2), (1, 1000, 4)])
@pytest.mark.parametrize("shared", [True, False])
def test_row_orders_touch_nothing_outside_the_arrays(n_nets, n_samples, n_epochs, shared):
    keys = np.arange(1, n_nets + 1)
    rows = np.arange((1 if shared else n_nets) * n_samples, dtype=np.int32)
    orders, calls = np.full(n_epochs * n_samples * n_nets, -1, np.int32), []
    with_canaries(draw_orders, calls)(keys, 5, rows, n_samples, orders)
    assert calls == [3]
    found = np.sort(orders.reshape(n_epochs, n_samples, n_nets), axis=1)
    # Of each net all rows, each once.
    wanted = rows.reshape(-1, n_samples).T if not shared else rows[:, np.newaxis]
    assert (found == wanted).all()


@pytest.mark.parametrize("place", [-1, 5])
def test_canaries_notice_a_write(place):
    def spill(pair):
        address = pair[1].ctypes.data + place * pair[1].itemsize
        ctypes.c_double.from_address(address).value = 0.0

    with pytest.raises(AssertionError, match="written"):
        with_canaries(spill, [])((np.zeros(3), np.zeros(5)))


@pytest.fixture(scope="module", params=["run_blocks", "run_slabs", "run_abreast", "predict"])
def float32_code(request):
    """The optimised LLVM code of an entry point for float32, compiled afresh: the cache keeps machine code alone."""
    case = Case((200, 170, 3) if request.param == "run_slabs" else (2, 3, 2), n_samples=20, batch_size=20)
    given = start(case, np.float32)
    begin("kernels", case, given).advance(np.ones(1, np.float32), np.zeros(1, np.float32), 20, 1)
    Predictor(case.sizes, case.activations, case.loss, given.params.dtype).outputs(given.params, given.X)
    options = {"batch_size": 20, "epochs": 1, "dtype": "float32"}
    train_many(given.X, given.y[:, 0].astype(int), [{"seed": seed} for seed in range(16)], hidden=3, **options)
    entries = {"run_blocks": run_blocks, "run_slabs": run_slabs, "run_abreast": run_abreast, "predict": predict}
    entry = entries[request.param]
    (signature,) = [signature for signature in entry.signatures if "float32" in str(signature)]
    fresh = passing_entry(entry.py_func)
    fresh.compile(signature)
    code = fresh.inspect_llvm(signature)
    assert re.search(r"<\d+ x float>", code)
    return code


def test_float32_code_has_no_double(float32_code):
    lines = [line for line in float32_code.splitlines() if re.search(r"\bdouble\b", line)]
    assert lines == []


def test_code_allocates_nothing(float32_code):
    assert "NRT_MemInfo_alloc" not in float32_code
    assert "NRT_Allocate" not in float32_code


def test_code_keeps_nan_visible(float32_code):
    """No operation is licensed to assume that there is no NaN or infinity, to approximate, or to reorder a sum."""
    flagged = re.findall(r"= f(?:add|sub|mul|div|neg|cmp) ((?:[a-z]+ )*)", float32_code)
    assert flagged
    assert not {"fast", "nnan", "ninf", "afn", "reassoc"} & {flag for flags in flagged for flag in flags.split()}
