"""Runs that go on: from a snapshot of another, by the same engine or the other, and from other parameters."""

import numpy as np
import pytest

from fastmlp.options import Status
from table import (
    DTYPES,
    ENGINES,
    NETS,
    PENALTIES,
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
    relative_error,
    start,
    trained,
    worst_error,
)

EPOCHS, RATE = 4, 2.0**-7


def _cases():
    """Every solver with all that changes its gradient, in three batches; every penalty in one that is laid out."""
    for sizes in NETS.values():
        hidden = len(sizes) - 2
        for solver in (*SOLVERS, "none"):
            yield Case(
                sizes, (TANH,) * hidden, solver=solver, penalty="clipped-l1-l2", n_samples=150, batch_size=64,
                weights="some", dropout=(0.3,) * hidden
            )  # fmt: skip
        for penalty in PENALTIES:
            yield Case(sizes, (TANH,) * hidden, solver="adam", penalty=penalty, n_samples=70, batch_size=70)
    yield from TOGETHER


CASES = list(_cases())


def taken_over(first, second, case, given, before):
    """A run, and its losses, that the engine `first` begins and `second` goes on with after some epochs."""
    begun, losses = trained(first, case, given, before, RATE)
    rest = given._replace(order=given.order[before:].copy())
    run, more = trained(second, case, rest, EPOCHS - before, RATE, reached=begun.snapshot())
    return run, np.concatenate([losses, more])


# After an odd number of updates and an even one: the kernels' parameters and sums of their squares change places.
WAYS = [*(("kernels", dtype, before) for dtype in DTYPES for before in (1, 2)), ("reference", np.float64, 1)]


@pytest.mark.parametrize(("engine", "dtype", "before"), WAYS, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_going_on_gives_the_bits_of_going_straight_through(case, engine, dtype, before):
    given = start(case, dtype, epochs=EPOCHS)
    assert bits(*taken_over(engine, engine, case, given, before)) == bits(*trained(engine, case, given, EPOCHS, RATE))


# Adam divides by the size of gradients that may be as small as their rounding.
CLOSE = 1e-10


@pytest.mark.parametrize(("first", "second"), [("kernels", "reference"), ("reference", "kernels")])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_engine_goes_on_where_the_other_ends(case, first, second):
    given = start(case, epochs=EPOCHS)
    run, losses = taken_over(first, second, case, given, 1)
    straight, expected = trained("reference", case, given, EPOCHS, RATE)
    assert worst_error(case, run.params, straight.params) <= CLOSE
    assert relative_error(losses, expected) <= CLOSE
    ours, theirs = run.snapshot(), straight.snapshot()
    assert ours.step == theirs.step
    # The kernels keep no velocity that nobody asks for.
    if case.solver != "sgd":
        assert relative_error(ours.moments, theirs.moments) <= CLOSE


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_a_penalty_may_begin_where_a_run_goes_on(sizes, before):
    case = Case(sizes, (TANH,) * (len(sizes) - 2), penalty="free", n_samples=70, batch_size=70)
    losses = goes_on_as(case, case._replace(penalty="l1"), before)
    assert relative_error(losses["kernels"], losses["reference"]) <= TOLERANCES[np.float64]


@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_momentum_may_begin_where_a_run_goes_on(sizes):
    case = Case(sizes, (TANH,) * (len(sizes) - 2), penalty="free", n_samples=70, batch_size=70)
    losses = goes_on_as(case, case._replace(solver="momentum"), 2)
    assert relative_error(losses["kernels"], losses["reference"]) <= TOLERANCES[np.float64]


def goes_on_as(case, other, before):
    """The losses of each engine after it has gone on with other settings."""
    given, losses = start(case), {}
    for engine in ENGINES:
        begun, _ = trained(engine, case, given, before, RATE)
        _, losses[engine] = trained(engine, other, given, 3, RATE, reached=begun.snapshot())
    return losses


@by_engine
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_a_snapshot_is_a_copy(sizes, engine):
    case = Case(sizes, (TANH,) * (len(sizes) - 2), solver="adam", penalty="l1-l2", n_samples=70, batch_size=70)
    given = start(case)
    run, _ = trained(engine, case, given, 1, RATE)
    reached = run.snapshot()
    before = [np.asarray(part).tobytes() for part in reached]
    run.advance(np.full(2, RATE), np.zeros(2), 140, WHOLE)
    trained(engine, case, given, 1, RATE, reached=reached)
    assert [np.asarray(part).tobytes() for part in reached] == before
    assert run.snapshot().params.tobytes() != reached.params.tobytes()


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("evaluations", [1, 2])
@by_dtype
@by_engine
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_beginning_again_gives_the_bits_of_a_new_run(sizes, engine, dtype, evaluations, learns):
    """With the solver that makes no step, as a line search tries parameters, and where only the loss is measured."""
    case = Case(sizes, (TANH,) * (len(sizes) - 2), solver="none", penalty="l1-l2", n_samples=150, batch_size=150)
    given, other = start(case, dtype), start(case, dtype, seed=5).params

    def evaluated(run, params):
        losses = np.full(1, np.nan, dtype)
        assert run.advance(np.ones(1, dtype), losses, case.n_samples, WHOLE) == Status.FINISHED
        np.testing.assert_array_equal(run.params, params)
        return [losses.tobytes(), run.gradient.tobytes()]

    run = begin(engine, case, given, learns=learns)
    first = [evaluated(run, given.params)]
    for params in (other, given.params)[:evaluations]:
        run.begin_again(params)
        assert run.done == 0
        first.append(evaluated(run, params))
    expected = evaluated(begin(engine, case, given._replace(params=other), learns=learns), other)
    assert first[1] == expected != first[0]
    assert first[2:] == [first[0]] * (evaluations - 1)


@by_engine
def test_beginning_again_within_an_epoch_forgets_what_was_added_up(engine):
    case = Case(solver="none", penalty="l2", n_samples=65, batch_size=9)
    given = start(case)
    run, losses = begin(engine, case, given), np.zeros(1)
    run.advance(np.ones(1), losses, 27, WHOLE)
    run.begin_again(given.params)
    run.advance(np.ones(1), losses, 65, WHOLE)
    assert bits(run, losses)[-1] == bits(*trained(engine, case, given, 1, 1))[-1]


@by_dtype
@by_engine
@pytest.mark.parametrize("weights", ["none", "some"])
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_a_run_that_takes_other_samples_goes_on_as_a_new_one_would(sizes, weights, engine, dtype):
    case = Case(
        sizes, (TANH,) * (len(sizes) - 2), solver="adam", penalty="l2", n_samples=33, batch_size=33, weights=weights
    )  # fmt: skip
    given, others = start(case, dtype), start(case, dtype, seed=6)
    run, _ = trained(engine, case, given, 2, RATE)
    reached, losses = run.snapshot()._replace(penalties=None), np.zeros(1, dtype)
    run.take(others.X, others.y, others.total_weight)
    run.begin_again(run.params)
    run.advance(np.full(1, RATE, dtype), losses, 33, WHOLE)
    new, expected = trained(engine, case, others._replace(params=reached.params), 1, RATE, reached=reached)
    assert bits(run, losses) == bits(new, expected)
    assert bits(run, losses)[0] != bits(*trained(engine, case, given, 1, RATE, reached=reached))[0]
