"""Without steps an epoch has one gradient, to which its batches add: it is that of all samples at once."""

import numpy as np
import pytest

from fastmlp import fitting, inputs, train
from fastmlp.options import Activation, Loss, Status
from table import TOLERANCES, WHOLE, Case, begin, by_dtype, by_engine, relative_error, start

CASES = [
    Case(sizes, (activation,) * (len(sizes) - 2), loss, "none", penalty, n_samples, batch_size, weights)
    for sizes, activation, loss in (
        ((2, 3, 2), Activation.TANH, Loss.CROSS_ENTROPY),
        ((33, 40, 17, 3), Activation.RELU, Loss.SQUARED_ERROR),
        ((200, 170, 3), Activation.TANH, Loss.BINARY_CROSS_ENTROPY),
        ((4, 1), Activation.TANH, Loss.POISSON),
    )
    for penalty, weights in (("l2", "none"), ("l2-per-sample", "some"), ("l1-l2", "zero-batch"), ("free", "many-zero"))
    for n_samples, batch_size in ((65, 16), (65, 64), (20, 1))
]


def whole_epoch(engine, case, given, order=None, threads=1):
    """Objective and gradient of all samples; the second time that they are asked for, as a solver does."""
    order = np.arange(case.n_samples, dtype=np.int32)[np.newaxis] if order is None else order
    run = begin(engine, case, given._replace(order=order), threads=threads)
    for _ in range(2):
        run.begin_again(given.params)
        losses = np.full(1, np.nan, given.params.dtype)
        assert run.advance(np.ones(1, given.params.dtype), losses, case.n_samples, WHOLE) == Status.FINISHED
    np.testing.assert_array_equal(run.params, given.params)
    return losses[0], run.gradient


@by_engine
@by_dtype
@pytest.mark.parametrize("case", CASES, ids=str)
def test_batches_add_up_to_the_whole(case, dtype, engine):
    given = start(case, dtype)
    together = case._replace(batch_size=case.n_samples)
    expected = whole_epoch("reference", together, given)
    for got, wanted in zip(whole_epoch(engine, case, given, given.order), expected, strict=True):
        assert relative_error(got, wanted) <= 3 * TOLERANCES[dtype]


@by_dtype
@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_threads_add_up_to_the_same_bits(case, dtype):
    given = start(case, dtype)
    alone, together = (whole_epoch("kernels", case, given, given.order, threads) for threads in (1, 2))
    assert alone[0] == together[0]
    np.testing.assert_array_equal(alone[1], together[1])


@by_engine
@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_on_streamed_rows_is_that_on_rows_in_memory(monkeypatch, tmp_path, random, weighted, engine):
    X = random.standard_normal((200, 4)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    np.save(tmp_path / "X.npy", X)
    options = {
        "activation": "tanh", "solver": "lbfgs", "l2": 0.01, "epochs": 12, "seed": 0, "engine": engine,
        "sample_weight": np.arange(200) % 3 if weighted else None,
    }  # fmt: skip
    expected = train(X.astype(np.float64), y, 5, **options)
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    monkeypatch.setattr(fitting, "STREAMED_ROWS", 64)
    net = train(np.load(tmp_path / "X.npy", mmap_mode="r"), y, 5, dtype="float64", **options)
    assert relative_error(net.params, expected.params) <= 1e-7
    assert relative_error(net.loss_curve, expected.loss_curve) <= 1e-9
