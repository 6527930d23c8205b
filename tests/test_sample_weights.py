"""Weights of samples: what they are equal to, and batches that have none."""

from itertools import cycle

import numpy as np
import pytest

from fastmlp.options import Loss, Status
from table import (
    NETS,
    OUTPUTS,
    PENALTIES,
    SOLVERS,
    TANH,
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
    worst_error,
)

# Every loss in a net of each kind, with the penalties in turn.
LOSSES = [*((loss, "") for loss in Loss), (Loss.CROSS_ENTROPY, "smooth"), (Loss.QUANTILE, "high-quantile")]
CASES = [
    Case((*sizes[:-1], OUTPUTS[loss][turn % 3]), (TANH,) * (len(sizes) - 2), loss, penalty=penalty, shape=shape)
    for turn, sizes in enumerate(NETS.values())
    for (loss, shape), penalty in zip(LOSSES, cycle(PENALTIES))
]


def weighted(given, weights):
    """The same data with a column of weights."""
    y = np.column_stack([given.y, weights.astype(given.y.dtype)])
    return given._replace(y=y, total_weight=float(weights.sum()))


def assert_same(case, given, other_case, other, engine, dtype):
    """Both have the same objective and the same gradient."""
    objective, gradient = objective_and_gradient(engine, case, given)
    expected_objective, expected_gradient = objective_and_gradient("reference", other_case, other)
    assert relative_error(objective, expected_objective) <= TOLERANCES[dtype]
    assert worst_error(case, gradient, expected_gradient) <= TOLERANCES[dtype]


@by_dtype
@by_engine
@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_of_one_change_nothing(case, engine, dtype):
    given = weighted(start(case, dtype), np.ones(case.n_samples))
    assert_same(case, given, case, start(case), engine, dtype)


@by_dtype
@by_engine
@pytest.mark.parametrize("case", CASES, ids=str)
def test_whole_weights_are_repeated_rows(case, engine, dtype):
    weights = np.random.default_rng(3).integers(0, 4, case.n_samples)
    plain, total = start(case), int(weights.sum())
    repeated = plain._replace(X=plain.X.repeat(weights, axis=0), y=plain.y.repeat(weights, axis=0))
    other = case._replace(n_samples=total, batch_size=total)
    assert_same(case, weighted(start(case, dtype), weights), other, repeated, engine, dtype)


@by_engine
@pytest.mark.parametrize("case", CASES, ids=str)
def test_samples_without_weight_count_nothing(case, engine):
    given = start(case._replace(weights="many-zero"))
    without = given.y[:, -1] == 0
    assert 0 < without.sum() < case.n_samples
    other = given._replace(X=given.X.copy(), y=given.y.copy())
    other.X[without] = 1e3
    other.y[without, :-1] = 1
    for ours, theirs in zip(
        objective_and_gradient(engine, case, given), objective_and_gradient(engine, case, other), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


# The first batch, one between others and the last.
@pytest.mark.parametrize(("solver", "place"), list(zip([*SOLVERS, "none"], cycle(range(3)))))
@by_dtype
@by_engine
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_a_batch_without_weight_makes_no_update(sizes, engine, dtype, solver, place):
    """A run is where it would be if the batch were not there, and so is the mean of its losses."""
    hidden = len(sizes) - 2
    case = Case(sizes, (TANH,) * hidden, Loss.HUBER, solver, "clipped-l1-l2", 90, 30, "some", (0.2,) * hidden)
    given = start(case, dtype)
    rows = given.order[0].reshape(3, 30)
    given.y[rows[place], -1] = 0
    given = given._replace(total_weight=float(given.y[:, -1].sum(dtype=np.float64)))
    run, losses = begin(engine, case, given), np.zeros(1, dtype)
    for batch in range(3):
        before, rates = run.params, np.full(1, 2.0**-7, dtype)
        assert run.advance(rates, losses, 30 * (batch + 1), WHOLE) == Status.FINISHED
        assert (run.params.tobytes() == before.tobytes()) == (batch == place or solver == "none")
    assert run.snapshot().step == 2
    fewer = given._replace(order=np.delete(rows, place, axis=0))
    other, expected = begin(engine, case._replace(n_samples=60), fewer), np.zeros(1, dtype)
    assert other.advance(np.full(1, 2.0**-7, dtype), expected, 60, WHOLE) == Status.FINISHED
    assert bits(run, losses) == bits(other, expected)


@by_engine
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_losses_are_means_by_weight(sizes, engine):
    """An epoch's of the batches' objectives, as they are one by one."""
    case = Case(sizes, (TANH,) * (len(sizes) - 2), Loss.QUANTILE, "momentum", "l2", 90, 40, "some")
    given = start(case)
    run, losses, objectives, weights = begin(engine, case, given), np.zeros(1), [], []
    for rows in np.split(given.order[0], [40, 80]):
        some = case._replace(n_samples=len(rows), batch_size=len(rows))
        weights.append(given.y[rows, -1].sum())
        batch = given._replace(
            params=run.params, X=given.X[rows], y=given.y[rows], order=given.order[:0], total_weight=float(weights[-1])
        )
        objectives.append(objective_and_gradient("reference", some, batch)[0])
        run.advance(np.full(1, 2.0**-7), losses, run.done + len(rows), WHOLE)
    assert losses[0] == pytest.approx(np.average(objectives, weights=weights), rel=1e-12)
