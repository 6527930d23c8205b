"""Patience: after which epochs a run stalls, and that it goes on as if nothing had been."""

import numpy as np
import pytest

from fastmlp.options import Loss, Status
from table import DTYPES, ENGINES, NETS, TANH, WHOLE, Case, begin, start, trained

# Losses that fall and rise: large steps, and dropout.
EPOCHS, SAMPLES, RATE = 30, 60, 0.5
WAYS = [*(("kernels", dtype) for dtype in DTYPES), ("reference", np.float64)]
by_way = pytest.mark.parametrize(("engine", "dtype"), WAYS, ids=["kernels-float64", "kernels-float32", "reference"])
by_net = pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
by_rule = pytest.mark.parametrize(("patience", "tol"), [(1, 0.0), (3, 0.0), (4, 0.05)])


def noisy(sizes):
    hidden = len(sizes) - 2
    return Case(sizes, (TANH,) * hidden, Loss.CROSS_ENTROPY, "sgd", "l2", SAMPLES, 25, "some", (0.4,) * hidden)


def stalls(losses, patience, tol):
    """After which epochs, counted from 1, `patience` ones on end were not below the least before them by more than tol."""
    ends, count, least = [], 0, losses.dtype.type(np.inf)
    for epoch, loss in enumerate(losses, 1):
        count = count + 1 if loss > least - losses.dtype.type(tol) else 0
        least = min(least, loss)
        if count == patience:
            ends.append(epoch)
            count = 0
    return ends


def stops(run, losses, budget=WHOLE, rate=RATE):
    """After which epochs the run stalls on its way to the end."""
    rates, ends, until = np.full(losses.size, rate, losses.dtype), [], losses.size * SAMPLES
    while (status := run.advance(rates, losses, until, budget)) != Status.FINISHED:
        assert status in (Status.RUNNING, Status.STALLED)
        if status == Status.STALLED:
            assert run.done % SAMPLES == 0
            ends.append(run.done // SAMPLES)
    assert run.done == until
    return ends


@by_rule
@by_way
@by_net
def test_a_run_stalls_by_the_rule_and_goes_on(sizes, engine, dtype, patience, tol):
    case = noisy(sizes)
    given = start(case, dtype, epochs=EPOCHS)
    plain, expected = trained(engine, case, given, EPOCHS, RATE)
    ends = stalls(expected, patience, tol)
    assert len(ends) >= 2
    for budget in (WHOLE, 1):
        run, losses = begin(engine, case, given, patience=patience, tol=tol), np.zeros(EPOCHS, dtype)
        assert stops(run, losses, budget) == ends
        assert losses.tobytes() == expected.tobytes()
        assert run.params.tobytes() == plain.params.tobytes()


@pytest.mark.parametrize("second", ENGINES)
@pytest.mark.parametrize("first", ENGINES)
@by_net
def test_a_snapshot_keeps_what_has_been_waited_for(sizes, first, second):
    case, rule = noisy(sizes), {"patience": 3, "tol": 0.05}
    given = start(case, epochs=EPOCHS)
    straight, losses = begin("reference", case, given, **rule), np.zeros(EPOCHS)
    expected = stops(straight, losses)
    before = expected[1] - 1
    begun, rest = begin(first, case, given, **rule), given._replace(order=given.order[before:].copy())
    ends, reached = stops(begun, np.zeros(before)), begun.snapshot()
    assert reached.stalled == 2
    assert reached.best_loss == pytest.approx(losses[:before].min(), rel=1e-12)
    run = begin(second, case, rest, reached, **rule)
    ends += [before + end for end in stops(run, np.zeros(EPOCHS - before))]
    assert ends == expected


@pytest.mark.parametrize(("tol", "ends"), [(0.0, []), (1e-3, [3, 5, 7])])
@by_way
def test_losses_that_stay_the_same_stall_by_the_tolerance_alone(engine, dtype, tol, ends):
    """An epoch counts that is above the least less the tolerance: without one, not where it is as low."""
    case = Case(penalty="free", n_samples=SAMPLES, batch_size=SAMPLES)
    run, losses = begin(engine, case, start(case, dtype), patience=2, tol=tol), np.zeros(8, dtype)
    assert stops(run, losses, rate=0) == ends
    assert (losses == losses[0]).all()
    assert stalls(losses, 2, tol) == ends
