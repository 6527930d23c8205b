"""Nets in the lanes of vectors: the bits that each has alone."""

import numpy as np
import pytest

from fastmlp.kernels import abreast_run
from fastmlp.kernels.abreast_run import AbreastRun, can_go_abreast, kind_of, lanes_of, packed
from fastmlp.kernels.run import Run
from fastmlp.options import Loss, Snapshot, Status
from table import CASES, WHOLE, by_dtype, start
from test_bounds import with_canaries

ABREAST = [
    case
    for case in CASES
    if can_go_abreast(case.problem, case.batch_size, np.dtype(np.float32)) and case.weights in ("none", "some")
]
EPOCHS = 3


def nets_of(case, dtype, n_nets):
    """What each of some nets begins with, on rows of its own, its problem and its rates."""
    given = [start(case, dtype, EPOCHS, seed=142 + net) for net in range(n_nets)]
    settings = case.problem.hyperparameters
    problems = [
        case.problem._replace(
            hyperparameters=settings._replace(l2=settings.l2 * (1 + net), beta_1=settings.beta_1 * (1 - net / 50))
        )
        for net in range(n_nets)
    ]
    # Of Poisson's loss larger ones lead nowhere.
    some = np.array([0.02, 0.01, 0.04]) if case.loss == Loss.POISSON else np.array([0.1, 0.05, 0.2])
    rates = [(some * (1 + net / 10)).astype(dtype) for net in range(n_nets)]
    return given, problems, rates


def alone(case, given, problem, rates):
    """The parameters, losses and snapshot of a net trained by itself."""
    run = Run(
        problem, Snapshot(given.params), given.X, given.y, given.order.reshape(-1), case.n_samples, case.batch_size, 1,
        given.total_weight,
    )  # fmt: skip
    losses = np.zeros_like(rates)
    status = run.advance(rates, losses, EPOCHS * case.n_samples, WHOLE)
    return run, losses, status


def abreast(case, given, problems, rates, dtype):
    """A run of all of them, with the rows of all below each other."""
    width, n_samples = lanes_of(np.dtype(dtype)), case.n_samples
    epochs = 1 if case.batch_size == n_samples else EPOCHS
    order = np.zeros((epochs, n_samples, width), np.int32)
    for lane in range(width):
        net = lane if lane < len(given) else 0
        rows = given[net].order if epochs > 1 else np.arange(n_samples)
        order[..., lane] = rows + net * n_samples
    X, y = np.concatenate([net.X for net in given]), np.concatenate([net.y for net in given])
    weights = None if given[0].total_weight is None else [net.total_weight for net in given]
    starts = [Snapshot(net.params) for net in given]
    run = AbreastRun(problems, starts, packed(X, y), y.shape[1], order, case.batch_size, weights)
    table = np.zeros((EPOCHS, width), dtype)
    for lane in range(width):
        table[:, lane] = rates[lane if lane < len(given) else 0]
    return run, table, np.zeros_like(table)


@by_dtype
@pytest.mark.parametrize("case", ABREAST, ids=str)
def test_nets_have_the_bits_they_have_alone(case, dtype):
    if not can_go_abreast(case.problem, case.batch_size, np.dtype(dtype)):
        pytest.skip("one block in float32 alone")
    given, problems, rates = nets_of(case, dtype, min(3, lanes_of(np.dtype(dtype))))
    run, table, losses = abreast(case, given, problems, rates, dtype)
    assert len({kind_of(problem) for problem in problems}) == 1
    # Calls that end anywhere.
    while run.advance(table, losses, EPOCHS * case.n_samples, 2) == Status.RUNNING:
        pass
    for lane, (net, problem, own) in enumerate(zip(given, problems, rates, strict=True)):
        single, wanted, status = alone(case, net, problem, own)
        assert status == Status.FINISHED
        assert losses[:, lane].tobytes() == wanted.tobytes()
        assert run.params()[lane].tobytes() == single.params.tobytes()
        assert run.previous_params()[lane].tobytes() == single.previous_params.tobytes()
        ours, theirs = run.snapshots()[lane], single.snapshot()
        assert ours.moments.tobytes() == theirs.moments.tobytes()
        assert ours.penalties.tobytes() == theirs.penalties.tobytes()
        assert (ours.step, ours.best_loss, ours.stalled) == (theirs.step, theirs.best_loss, theirs.stalled)
    assert run.done == EPOCHS * case.n_samples


@by_dtype
@pytest.mark.parametrize("case", ABREAST[::9], ids=str)
def test_nothing_is_touched_outside_the_arrays(case, dtype, monkeypatch):
    if not can_go_abreast(case.problem, case.batch_size, np.dtype(dtype)):
        pytest.skip("one block in float32 alone")
    calls = []
    monkeypatch.setattr(abreast_run, "run_abreast", with_canaries(abreast_run.run_abreast, calls))
    given, problems, rates = nets_of(case, dtype, 1)
    run, table, losses = abreast(case, given, problems, rates, dtype)
    while run.advance(table, losses, EPOCHS * case.n_samples, 2) == Status.RUNNING:
        pass
    assert calls
    single, wanted, _ = alone(case, given[0], problems[0], rates[0])
    assert losses[:, 0].tobytes() == wanted.tobytes()
    assert run.params()[0].tobytes() == single.params.tobytes()


def test_there_are_cases_of_all_kinds():
    problems = [case.problem for case in ABREAST]
    assert len({problem.solver for problem in problems}) == 5
    assert len({problem.loss for problem in problems}) == 7
    assert len({activation for problem in problems for activation in problem.activations}) == 11
    assert {case.weights for case in ABREAST} == {"none", "some"}
    assert len(ABREAST) > 200
