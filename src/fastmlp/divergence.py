"""Why a training diverged, found out by trying again: its first updates on some of the samples, one thing changed.

What is out of the ordinary is suspected: start weights, X, y, penalties, dropout, the learning rate. The cause is the
smallest set of suspects without which the first updates go well. Where they go well anyhow, or trying would take too long,
those alone are named that are far out of the ordinary. A wrong cause would be worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.initialise import start_params
from fastmlp.network import layers_of
from fastmlp.options import Hyperparameters, Loss, Problem, Snapshot, Solver, Status
from fastmlp.scales import NEAR_ZERO, columns_named

Array = NDArray[Any]
# Rows that updates are tried with, some of them those with the largest values.
ROWS, EXTREME_ROWS = 64, 8
# And how many updates; fewer where they would take more multiplications than these together.
UPDATES, LEAST_UPDATES = 100, 3
MULTIPLICATIONS = 200_000_000
# An objective that has grown by more than this is on its way to infinity.
MOST_GROWTH = 10
# From here on something is suspected, and accused without a trial.
ORDINARY, GRAVE = 10.0, 1000.0
# Learning rates that are tried in place of one that is larger.
RATES = (0.1, 0.01, 0.001, 0.0001)
GRAVE_RATE, ABSURD_RATE = 1.0, 10.0
DEFAULT_RATE = 1e-3
LARGEST_DROPOUT = 0.9
# Where start weights come from that are not drawn: what they are called, and what to do about them.
GIVEN = {
    "init": ("the start weights in init", "give smaller ones, or leave init out"),
    "start": ("the weights of start", "begin with another net, or leave start out"),
    "fitted": ("the weights fitted before", "fit anew with warm_start=False"),
}
UNKNOWN = "the {rate} is probably too large for this data; lower {rate} or standardise X"


class Names(NamedTuple):
    """What the caller calls things, and how X and y are standardised there."""

    rate: str = "learning_rate"
    l2: str = "l2"
    X: str = "standardise X: (X - X.mean(axis=0)) / X.std(axis=0)"
    y: str = "standardise y: (y - y.mean(axis=0)) / y.std(axis=0)"


# Those of ``train``.
TRAINS = Names()


@dataclass
class Case:
    """A training that diverged.

    Attributes
    ----------
    problem : what was minimised, and how.
    engine : makes runs.
    start : what the run began with.
    given : where the start weights came from, one of `GIVEN`, or "" where they were drawn.
    X, y : some of the rows, and their targets as the engines take them; of `weighted` ones with the weights behind.
    rates : the learning rate of each epoch.
    learning_rate : as it was asked for.
    """

    problem: Problem
    engine: Callable[..., Any]
    start: Snapshot
    given: str
    X: Array
    y: Array
    weighted: bool
    rates: Array
    learning_rate: float
    names: Names = TRAINS


class Trial(NamedTuple):
    """What updates are tried with."""

    problem: Problem
    start: Snapshot
    X: Array
    y: Array
    rate: float


class Suspect(NamedTuple):
    """Something out of the ordinary.

    Attributes
    ----------
    told : what to say of it.
    is_grave : whether it is far out of the ordinary.
    without : trials without it, to be made one after the other until one goes well.
    """

    told: Callable[[Trial], str]
    is_grave: bool
    without: Callable[[Trial], Iterator[Trial]]


def some_of(X: Array, y: Array, weighted: bool, rows: NDArray[np.intp] | None = None) -> tuple[Array, Array]:
    """Some rows of X, and their targets, to look for the cause in: those with the largest values, and others between."""
    numbers = np.arange(len(y)) if rows is None else np.unique(rows)
    if weighted:
        numbers = numbers[y[numbers, -1] > 0]
    if len(numbers) > ROWS:
        sizes = [np.maximum(np.abs(part.max(axis=1)), np.abs(part.min(axis=1)))[numbers] for part in (X, y)]
        extreme = [numbers[np.argpartition(size, -EXTREME_ROWS)[-EXTREME_ROWS:]] for size in sizes]
        between = numbers[:: -(-len(numbers) // (ROWS - 2 * EXTREME_ROWS))]
        numbers = np.unique(np.concatenate([*extreme, between]))
    return np.ascontiguousarray(X[numbers]), np.ascontiguousarray(y[numbers])


def cause_of(case: Case, n_epochs: int, n_updates: int) -> str:
    """What to tell of the cause and the remedy, after so many whole epochs and updates."""
    rate = float(np.max(case.rates[: n_epochs + 1]))
    # Whether the objective stalls is not asked here.
    settings = case.problem.hyperparameters._replace(patience=0)
    trial = Trial(case.problem._replace(hyperparameters=settings), case.start, case.X, case.y, rate)
    suspects = list(_suspects(case, trial, n_updates))
    try:
        found = _tried(suspects, trial, case, n_updates)
    except MemoryError:  # the training must not be lost to its explanation
        found = None
    if found is None:
        found = [suspect.told(trial) for suspect in suspects if suspect.is_grave]
    return "; and ".join(found) or UNKNOWN.format(rate=case.names.rate)


def _tried(suspects: list[Suspect], trial: Trial, case: Case, n_updates: int) -> list[str] | None:
    """What is told of the fewest suspects without which all goes well; None where trials cannot tell."""
    # Nothing else can be at fault.
    if len(suspects) == 1 and n_updates and trial.rate >= ABSURD_RATE and not _others(trial):
        return [suspects[0].told(trial)]
    cost = 3 * trial.start.params.size * len(trial.X)
    updates = min(UPDATES, MULTIPLICATIONS // max(1, cost)) if n_updates else 0
    if (n_updates and updates < LEAST_UPDATES) or goes_well(trial, case, updates):
        return None
    for size in range(1, len(suspects) + 1):
        for some in combinations(suspects, size):
            trials = [trial]
            for suspect in some:
                trials = [after for before in trials for after in suspect.without(before)]
            for changed in trials:
                if goes_well(changed, case, updates):
                    return [suspect.told(changed) for suspect in some]
    return None


def goes_well(trial: Trial, case: Case, updates: int) -> bool:
    """Whether the objective stays finite, and does not grow much, for so many updates or, for none, at the start."""
    n_rows, dtype = len(trial.X), trial.X.dtype
    total = float(trial.y[:, -1].sum(dtype=np.float64)) if case.weighted else None
    epochs = max(1, updates)
    with np.errstate(over="ignore"):
        rates, losses = np.full(epochs, trial.rate, dtype), np.zeros(epochs, dtype)
    run = case.engine(
        trial.problem, trial.start, trial.X, trial.y, np.empty(0, np.int32), n_rows, n_rows, 1, total, learns=updates > 0
    )
    status = Status.RUNNING
    while status == Status.RUNNING:
        status = run.advance(rates, losses, epochs * n_rows, 1 << 40)
    if status == Status.DIVERGED or not np.isfinite(run.params).all():
        return False
    return bool(losses[-1] <= MOST_GROWTH * abs(losses[0]) + 1e-3)


def _suspects(case: Case, trial: Trial, n_updates: int) -> Iterator[Suspect]:
    """What is out of the ordinary, those first that are changed for the better with the least loss."""
    if case.given and _gain(case) > ORDINARY:
        yield _of_weights(case)
    sizes = _sizes(case.X)
    if sizes.max() > ORDINARY:
        yield _of_features(case, sizes)
    targets = case.y[:, :-1] if case.weighted else case.y
    if trial.problem.loss in (*NEAR_ZERO, Loss.POISSON) and _sizes(targets).max() > ORDINARY:
        yield _of_targets(case, targets)
    settings = trial.problem.hyperparameters
    for name in ("l2", "weight_decay") if trial.problem.solver == Solver.ADAMW else ("l2",):
        strength = float(getattr(settings, name))
        if strength > 1 or strength * trial.rate > 1:
            yield _of_penalty(case, name, strength)
    if not n_updates:
        return
    if max(trial.problem.dropout, default=0) >= LARGEST_DROPOUT:
        yield _of_dropout(max(trial.problem.dropout))
    if trial.problem.solver == Solver.RPROP:
        if settings.step_sizes[1] > Hyperparameters().step_sizes[1]:
            yield _of_step_sizes(settings.step_sizes)
    elif trial.rate > RATES[-1]:
        yield _of_rate(case, trial.rate)


def _others(trial: Trial) -> bool:
    """Whether the solver's own settings may be at fault beside the rate."""
    return trial.problem.solver == Solver.RPROP


def _of_weights(case: Case) -> Suspect:
    def without(trial: Trial) -> Iterator[Trial]:
        drawn = start_params("glorot_uniform", trial.problem.sizes, np.random.default_rng(0)).astype(case.X.dtype)
        yield trial._replace(start=Snapshot(drawn, key=trial.start.key))

    largest = float(np.abs(case.start.params).max())
    called, remedy = GIVEN[case.given]
    told = f"{called} reach {largest:.3g}; {remedy}"
    return Suspect(lambda _: told, _gain(case) > GRAVE, without)


def _of_features(case: Case, sizes: Array) -> Suspect:
    columns = [int(column) for column in np.argsort(-sizes, kind="stable") if sizes[column] > ORDINARY]
    largest = float(np.abs(case.X[:, columns[0]]).max())
    told = f"X: {columns_named(columns)} reach{'es' if len(columns) == 1 else ' up to'} {largest:.3g}"
    return Suspect(
        lambda _: f"{told}; {case.names.X}",
        float(sizes.max()) > GRAVE,
        lambda trial: iter([trial._replace(X=standardised(trial.X))]),
    )


def _of_targets(case: Case, targets: Array) -> Suspect:
    is_rate = case.problem.loss == Loss.POISSON
    remedy = "divide y by its mean" if is_rate else case.names.y

    def without(trial: Trial) -> Iterator[Trial]:
        values = trial.y.copy()
        part = values[:, : targets.shape[1]]
        part[...] = part / max(float(part.max()), 1.0) if is_rate else standardised(part)
        yield trial._replace(y=values)

    largest = float(np.abs(targets).max())
    return Suspect(lambda _: f"y reaches {largest:.3g}; {remedy}", float(_sizes(targets).max()) > GRAVE, without)


def _of_penalty(case: Case, name: str, strength: float) -> Suspect:
    called = case.names.l2 if name == "l2" else name

    def without(trial: Trial) -> Iterator[Trial]:
        settings = trial.problem.hyperparameters
        settings = settings._replace(l2=0.0) if name == "l2" else settings._replace(weight_decay=0.0)
        yield trial._replace(problem=trial.problem._replace(hyperparameters=settings))

    return Suspect(lambda _: f"{called}={strength:.4g} is too large; lower {called}", strength > GRAVE, without)


def _of_dropout(share: float) -> Suspect:
    return Suspect(
        lambda _: f"dropout={share:g} scales the outputs that it leaves up by {1 / (1 - share):.3g}; lower dropout",
        False,
        lambda trial: iter([trial._replace(problem=trial.problem._replace(dropout=()))]),
    )


def _of_step_sizes(sizes: tuple[float, float]) -> Suspect:
    def without(trial: Trial) -> Iterator[Trial]:
        settings = trial.problem.hyperparameters._replace(step_sizes=Hyperparameters().step_sizes)
        yield trial._replace(problem=trial.problem._replace(hyperparameters=settings))

    return Suspect(lambda _: f"step_sizes={sizes!r} go too far; lower the second one", sizes[1] > GRAVE, without)


def _of_rate(case: Case, rate: float) -> Suspect:
    name = case.names.rate
    scheduled = not np.isclose(rate, case.learning_rate)
    called = f"the learning rate {rate:.4g} that its schedule comes to" if scheduled else f"{name}={rate:.4g}"

    def told(trial: Trial) -> str:
        better = f"to {trial.rate:g} for instance" if trial.rate < rate else f"whose default is {DEFAULT_RATE:g}"
        return f"{called} is too large for this data; lower {name}{' or its schedule' if scheduled else ''}, {better}"

    def without(trial: Trial) -> Iterator[Trial]:
        # Steps of the others are of the size of the rate itself.
        most = RATES[0] if trial.problem.solver == Solver.SGD else RATES[1]
        return (trial._replace(rate=lower) for lower in RATES if lower <= most and lower < rate)

    return Suspect(told, rate >= GRAVE_RATE, without)


def _gain(case: Case) -> float:
    """How much larger the start weights are than drawn ones, at most, or how large the biases."""
    weights, biases = layers_of(case.start.params, case.problem.sizes)
    layers = zip(weights, pairwise(case.problem.sizes), strict=True)
    gains = [float(_sizes(W.reshape(-1, 1))[0] * np.sqrt(fan_in)) for W, (fan_in, _) in layers]
    return max(*gains, *(float(np.abs(b).max()) / ORDINARY for b in biases))


def _sizes(values: Array) -> Array:
    """The root mean square of each column, however large."""
    values = values.astype(np.float64)
    largest = np.abs(values).max(axis=0)
    units = np.where(largest > 0, largest, 1)
    return np.asarray(np.sqrt(np.mean((values / units) ** 2, axis=0)) * units)


def standardised(values: Array) -> Array:
    """Columns with mean 0 and standard deviation 1, or all 0, however large they were."""
    values, dtype = values.astype(np.float64), values.dtype
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)
    deviation = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(deviation > 1e-12, deviation, 1), dtype)
