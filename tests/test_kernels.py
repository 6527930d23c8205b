"""The compiled kernels against the reference, against chance, and against their own bounds."""

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.check.accuracy import RUN_TOLERANCES
from fastmlp.kernels.blocks import BLOCKS_PER_FOLD, plan
from fastmlp.kernels.run import Predictor
from fastmlp.options import Activation, Loss, Status
from table import (
    CASES,
    DTYPES,
    LOGISTIC,
    NETS,
    RELU,
    SOLVERS,
    TANH,
    TOGETHER,
    TOLERANCES,
    WHOLE,
    Case,
    begin,
    bits,
    by_dtype,
    by_engine,
    objective_and_gradient,
    relative_error,
    start,
    trained,
    update_tolerance,
    worst_error,
)


@by_dtype
@pytest.mark.parametrize("case", CASES, ids=str)
def test_objective_and_gradient_equal_the_reference(case, dtype):
    objective, gradient = objective_and_gradient("kernels", case, start(case, dtype))
    expected_objective, expected_gradient = objective_and_gradient("reference", case, start(case))
    if case.n_samples == case.batch_size:
        assert relative_error(objective, expected_objective) <= TOLERANCES[dtype]
    assert gradient.dtype == dtype
    assert worst_error(case, gradient, expected_gradient) <= TOLERANCES[dtype]


@by_dtype
@pytest.mark.parametrize("case", CASES, ids=str)
def test_update_equals_the_reference(case, dtype):
    """One update, and with it the moments: a second shows what the first left in them."""
    results = {}
    for engine, kind in (("kernels", dtype), ("reference", np.float64)):
        run = begin(engine, case, start(case, kind, epochs=2))
        rates, losses = np.full(2, 2.0**-7, kind), np.zeros(2, kind)
        after = []
        second = 2 * case.n_samples if case.batches == 1 else min(2 * case.batch_size, case.n_samples)
        for until in (case.batch_size, second):
            assert run.advance(rates, losses, until, WHOLE) == Status.FINISHED
            after.append(run.params)
        results[engine] = after
    for ours, theirs in zip(results["kernels"], results["reference"], strict=True):
        # test_optimizers.py holds the solvers that amplify rounding to the closer bound, with given gradients.
        assert worst_error(case, ours, theirs) <= update_tolerance(dtype, case.problem.solver)


# Not rprop in float32: a gradient near zero has another sign by rounding, and from there on its steps are others.
LONG_RUNS = [(solver, dtype) for solver in SOLVERS for dtype in DTYPES if (solver, dtype) != ("rprop", np.float32)]


@pytest.mark.parametrize(("solver", "dtype"), LONG_RUNS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("loss", Loss, ids=lambda loss: loss.name.lower())
def test_hundred_epochs_of_minibatches_stay_by_the_reference(loss, solver, dtype):
    case = Case((3, 5, 17, 2), (TANH, LOGISTIC), loss, solver, "l2-per-sample", n_samples=75, batch_size=16)
    rate = 2.0**-5 if solver == "sgd" else 2.0**-9
    ours = trained("kernels", case, start(case, dtype, epochs=100), 100, rate)
    theirs = trained("reference", case, start(case, np.float64, epochs=100), 100, rate)
    bound = RUN_TOLERANCES[dtype]
    assert worst_error(case, ours[0].params, theirs[0].params) <= bound
    assert relative_error(ours[1], theirs[1]) <= bound
    assert theirs[1][-1] < theirs[1][0]


REPEATED = [
    Case(n_samples=1000, batch_size=1000),
    Case(n_samples=1000, batch_size=600),
    Case(solver="adam", n_samples=90, batch_size=7),
    Case((33, 40, 17, 3), (RELU, TANH), Loss.SQUARED_ERROR, "nesterov", n_samples=2700, batch_size=2600),
    Case((3, 33, 3), (LOGISTIC,), Loss.BINARY_CROSS_ENTROPY, "momentum", n_samples=300, batch_size=299),
    Case(n_samples=70_000, batch_size=70_000),
    Case((33, 40, 2), (TANH,), n_samples=40_000, batch_size=39_990),
    Case((200, 170, 3), (TANH,), n_samples=1030, batch_size=600),
    *TOGETHER,
]


@by_dtype
@pytest.mark.parametrize("case", REPEATED, ids=str)
def test_bits_depend_neither_on_the_run_nor_on_where_calls_end(case, dtype):
    given = start(case, dtype, epochs=3)
    expected = bits(*trained("kernels", case, given, 3, 2.0**-7))
    for budget in (WHOLE, 1, 3):
        assert bits(*trained("kernels", case, given, 3, 2.0**-7, budget)) == expected


@by_engine
@pytest.mark.parametrize("case", REPEATED, ids=str)
def test_budget_ends_a_call(case, engine):
    run = begin(engine, case, start(case, epochs=2))
    rates, losses, until = np.full(2, 2.0**-7), np.full(2, np.nan), 2 * case.n_samples
    calls = 1
    while run.advance(rates, losses, until, 1) == Status.RUNNING:
        calls += 1
        assert np.isfinite(losses).sum() == run.done // case.n_samples
    # A call takes some blocks of a batch, or all of them.
    assert calls >= 2 * case.batches
    done = run.params
    assert run.advance(rates, losses, until, 5) == Status.FINISHED
    assert run.params.tobytes() == done.tobytes()


@by_dtype
def test_all_ways_through_a_batch_are_there(dtype):
    """The cases above would say nothing of blocks and of folded sums if a batch were never cut into many."""
    ways = set()
    for case in REPEATED:
        net = plan(case.sizes, case.activations, case.loss, 1, dtype, case.batch_size)
        blocks = -(-case.batch_size // net.block)
        folds = net.wide or -(-blocks // net.parts) > BLOCKS_PER_FOLD
        ways.add(("narrow" if net.narrow else "wide" if net.wide else "between", bool(folds)))
    assert ways == {("narrow", False), ("narrow", True), ("between", False), ("between", True), ("wide", True)}


@by_engine
def test_rows_may_come_some_batches_at_a_time(engine):
    """As data do that are read on the way."""
    case = Case(solver="adam", n_samples=20, batch_size=6)
    given = start(case, epochs=2)
    whole, expected = trained(engine, case, given, 2, 2.0**-5)
    part = given._replace(X=given.X[:12].copy(), y=given.y[:12].copy(), order=np.arange(12, dtype=np.int32))
    run = begin(engine, case, part)
    rates, losses = np.full(2, 2.0**-5), np.zeros(2)
    for epoch in range(2):
        for rows in (given.order[epoch, :12], given.order[epoch, 12:]):
            part.X[: len(rows)], part.y[: len(rows)] = given.X[rows], given.y[rows]
            run.order_begins_at(run.done)
            assert run.advance(rates, losses, run.done + len(rows), WHOLE) == Status.FINISHED
    assert run.params.tobytes() == whole.params.tobytes()
    assert losses.tobytes() == expected.tobytes()


@by_engine
def test_orders_count_from_the_epoch_they_begin_at(engine):
    case = Case(solver="adam", n_samples=20, batch_size=6)
    given = start(case, epochs=4)
    whole, _ = trained(engine, case, given, 4, 2.0**-5)
    order = given.order[:2].copy()
    run = begin(engine, case, given._replace(order=order))
    rates, losses = np.full(4, 2.0**-5), np.zeros(4)
    run.advance(rates, losses, 40, WHOLE)
    order[:] = given.order[2:]
    run.order_begins_at(40)
    run.advance(rates, losses, 80, WHOLE)
    assert run.params.tobytes() == whole.params.tobytes()


def mean_loss(loss, z, y):
    """By definitions in which nothing overflows that need not; of the default delta 1 and quantile 1/2."""
    if loss == Loss.CROSS_ENTROPY:
        # So far apart that the sum of the exponentials is the greatest.
        return (z.max(axis=1) - z[np.arange(len(z)), y[:, 0].astype(int)]).mean()
    error = z - y
    size = np.abs(error)
    each = {
        Loss.BINARY_CROSS_ENTROPY: lambda: np.maximum(z, 0) - z * y,
        Loss.SQUARED_ERROR: lambda: error**2 / 2,
        Loss.ABSOLUTE_ERROR: lambda: size,
        Loss.HUBER: lambda: np.where(size > 1, size - 1 / 2, error**2 / 2),
        Loss.POISSON: lambda: np.exp(z) - y - y * z + y * np.log(np.maximum(y, 1)),
        Loss.QUANTILE: lambda: size / 2,
    }
    return each[loss]().sum(axis=1).mean()


def with_logits_up_to(most, loss, dtype):
    """A case without hidden layers, what it begins with, and its weighted sums, of which the greatest is `most`."""
    case = Case((2, 3), (), loss, "sgd", "free", n_samples=40, batch_size=40)
    given = start(case, dtype)
    z = given.X @ given.params[:6].reshape(2, 3)
    given.params[:6] *= most / np.abs(z).max()
    given.params[6:] = 0
    z = given.X.astype(np.float64) @ given.params[:6].astype(np.float64).reshape(2, 3)
    assert np.abs(z).max() == pytest.approx(most, rel=1e-5)
    return case, given, z


@by_dtype
@by_engine
@pytest.mark.parametrize("loss", Loss, ids=lambda loss: loss.name.lower())
def test_extreme_logits_neither_overflow_nor_become_nan(loss, engine, dtype):
    # Poisson's prediction is the exponential itself, of which float32 holds no more than that of 88.
    case, given, z = with_logits_up_to(80 if loss == Loss.POISSON else 1e4, loss, dtype)
    objective, gradient = objective_and_gradient(engine, case, given)
    assert objective == pytest.approx(mean_loss(loss, z, given.y.astype(np.float64)), rel=1e-3)
    assert np.isfinite(gradient).all()
    probabilities = Predictor(case.sizes, case.activations, loss, given.params.dtype).outputs(given.params, given.X)[0]
    assert np.isfinite(probabilities).all()


@by_dtype
@by_engine
def test_an_exponential_that_overflows_is_seen(engine, dtype):
    case, given, _ = with_logits_up_to(1e4, Loss.POISSON, dtype)
    run = begin(engine, case, given)
    assert run.advance(np.ones(1, dtype), np.zeros(1, dtype), case.n_samples, 100) == Status.DIVERGED
    np.testing.assert_array_equal(run.params, given.params)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@by_dtype
@by_engine
@pytest.mark.parametrize("activation", Activation, ids=lambda activation: activation.name.lower())
@pytest.mark.parametrize("loss", Loss, ids=lambda loss: loss.name.lower())
def test_weights_that_are_no_numbers_are_seen(loss, activation, engine, dtype, value):
    """In the output layer whatever the activation, and NaN in the hidden layer too: no clamp or select may hide it."""
    case = Case((2, 3, 2), (activation,), loss, "sgd", "free")
    for place in (0, 6, 12, 15) if np.isnan(value) else (6, 15):
        given = start(case, dtype)
        given.params[place] = value
        run = begin(engine, case, given)
        losses = np.full(1, 7, dtype)
        with np.errstate(invalid="ignore"):
            assert run.advance(np.full(1, 0.5, dtype), losses, case.n_samples, 100) == Status.DIVERGED
        assert run.done == 0
        assert losses[0] == 7
        np.testing.assert_array_equal(run.params, given.params)


@by_engine
def test_divergence_leaves_the_parameters_before_the_last_update(engine):
    case = Case((2, 3, 1), (RELU,), Loss.SQUARED_ERROR, "sgd", "free")
    given = start(case)
    run = begin(engine, case, given)
    rates, losses = np.full(50, 1e30), np.zeros(50)
    before = []
    with np.errstate(over="ignore", invalid="ignore"):
        while run.advance(rates, losses, 50 * case.n_samples, 1) == Status.RUNNING:
            before.append(run.params)
    assert len(before) == run.done // case.n_samples > 0
    expected = before[-2] if len(before) > 1 else given.params
    np.testing.assert_array_equal(run.previous_params, expected)
    assert np.isfinite(run.previous_params).all()


@pytest.mark.parametrize("weights", ["none", "zero-batch"])
@by_dtype
@by_engine
@pytest.mark.parametrize("loss", Loss, ids=lambda loss: loss.name.lower())
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_runs_that_do_not_learn_measure_the_loss(sizes, loss, engine, dtype, weights):
    """Of all samples, however they are cut into batches, without dropout."""
    hidden = len(sizes) - 2
    case = Case(sizes, (Activation.GELU,) * hidden, loss, "adam", "free", 300, 130, weights, (0.5,) * hidden)
    given, exact = start(case, dtype), start(case)
    run, losses = begin(engine, case, given, learns=False), np.full(1, np.nan, dtype)
    assert run.advance(np.ones(1, dtype), losses, case.n_samples, WHOLE) == Status.FINISHED
    y, weight = (exact.y, None) if weights == "none" else (exact.y[:, :-1], exact.y[:, -1])
    expected, *_ = reference.objective_and_gradient(
        case.problem, *reference.views(exact.params, case.sizes), exact.X, y, weight
    )
    assert relative_error(losses[0], expected) <= TOLERANCES[dtype]
    np.testing.assert_array_equal(run.params, given.params)
    reached = run.snapshot()
    assert reached.step == 0
    assert not reached.moments.any()


@by_dtype
@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_predictions_equal_the_reference(case, dtype):
    given, exact = start(case, dtype), start(case)
    weights, biases = reference.views(exact.params, case.sizes)
    expected = reference.output(case.loss, reference.forward(weights, biases, case.activations, exact.X)[0][-1])
    predictor = Predictor(case.sizes, case.activations, case.loss, given.params.dtype)
    outputs = predictor.outputs(given.params, given.X)[0]
    assert outputs.dtype == dtype
    assert relative_error(outputs, expected) <= TOLERANCES[dtype]
    # A row's prediction does not hang on the rows beside it.
    alone = np.concatenate(
        [predictor.outputs(given.params, given.X[row : row + 1])[0] for row in range(0, case.n_samples, 9)]
    )
    assert alone.tobytes() == outputs[::9].tobytes()
