"""Who trains many nets, through the interface its users have.

``prepare(problem, nets)`` does once what a user's program does once (compiling, starting processes) and returns a `Run`.
A new contender is one function and one line of `TRAINERS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold

import fastmlp
import vmapped
from fastmlp.bench.peers import CORES
from many_nets import JAX, LOOP, MANY, MANY_ALONE, SEARCH, SEARCH_SKLEARN, SKLEARN, TORCH, Nets, Run, Search, data

# Nets of a warm-up.
FEW = 64


@dataclass(frozen=True)
class Trainer:
    """A contender."""

    module: str
    prepare: Callable[[Any, int], Run]

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None


def options(problem: Nets) -> dict[str, Any]:
    """The problem as parameters of `train`."""
    return {
        "hidden": problem.sizes[1:-1],
        "activation": problem.activation,
        "solver": problem.solver,
        "learning_rate": problem.learning_rate,
        "l2": problem.l2,
        "batch_size": problem.batch_size,
        "epochs": problem.passes,
        "init": problem.init,
    }


def generators(nets: int) -> list[np.random.Generator]:
    """Seeds for one round, which uses them up."""
    return [np.random.default_rng(seed) for seed in range(nets)]


def mean_loss(networks: Iterable[fastmlp.Network]) -> float:
    """The mean objective of the last pass; a net that failed has none and is an error here."""
    return float(np.mean([network.loss_curve[-1] for network in networks]))


def prepare_many(problem: Nets | Search, nets: int, threads: int | None = None) -> Run:
    """One call; the number of threads as it comes, one for each core, or as told."""
    if isinstance(problem, Search):
        return prepare_many_on_folds(problem)
    X, y = data(problem.data)

    def train(seeds: list[np.random.Generator]) -> fastmlp.Sweep:
        return fastmlp.train_many(X, y, [{"seed": seed} for seed in seeds], threads=threads, **options(problem))

    train(generators(min(FEW, nets)))
    return Run(train, mean_loss, partial(generators, nets))


def prepare_loop(problem: Nets, nets: int) -> Run:
    """One call of `train` for each net."""
    X, y = data(problem.data)

    def train(seeds: list[np.random.Generator]) -> list[fastmlp.Network]:
        return [fastmlp.train(X, y, seed=seed, threads=1, **options(problem)) for seed in seeds]

    train(generators(min(FEW, nets)))
    return Run(train, mean_loss, partial(generators, nets))


def prepare_many_on_folds(problem: Search) -> Run:
    """The grid's points on each fold's rows in one call, then each net's accuracy on the rows it has not seen."""
    (X, y), points = data(problem.data), problem.points()
    folds = list(StratifiedKFold(problem.folds).split(X, y))

    def train(passes: int) -> list[float]:
        # The rows of a net are those of its fold, as the same objects: they are then checked once.
        each = [(point, fold) for point in points for fold in folds]
        sweep = fastmlp.train_many(
            X,
            y,
            [
                {"hidden": hidden, "learning_rate": rate, "l2": alpha / problem.batch_size}
                for (hidden, rate, alpha), _ in each
            ],
            rows=[rows for _, (rows, _) in each],
            solver=problem.solver,
            batch_size=problem.batch_size,
            epochs=passes,
            seed=0,
        )
        held_out = [(X[rows], y[rows]) for _, rows in folds]
        return [net.score(*held_out[place % len(folds)]) for place, net in enumerate(sweep)]

    train(1)
    return Run(train, lambda scores: float(np.mean(scores)), lambda: problem.passes)


def prepare_search(problem: Search, nets: int, estimator: Any, **extra: Any) -> Run:
    """GridSearchCV in a process for each core; the best point is not fitted again on all rows."""
    X, y = data(problem.data)
    net = estimator(
        solver=problem.solver, batch_size=problem.batch_size, max_iter=problem.passes,
        tol=0, n_iter_no_change=problem.passes + 1, random_state=0, **extra,
    )  # fmt: skip
    names = ("hidden_layer_sizes", "learning_rate_init", "alpha")
    grid = [{name: [value] for name, value in zip(names, point, strict=True)} for point in problem.points()]

    def search(net: Any, grid: Any) -> GridSearchCV:
        with warnings.catch_warnings():
            # They make all the passes they are told to, and warn of it; the processes are handed this filter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            folds = StratifiedKFold(problem.folds)
            return GridSearchCV(net, grid, n_jobs=CORES, cv=folds, refit=False, error_score="raise").fit(X, y)

    def start_processes() -> None:
        search(estimator(max_iter=1, **extra), {"batch_size": [problem.batch_size]})

    return Run(
        lambda _: search(net, grid),
        lambda done: float(np.mean(done.cv_results_["mean_test_score"])),
        start_processes,
    )


def fit_sklearn(problem: Nets, passes: int, seed: int) -> float:
    """`MLPClassifier` on the same objective, but for its one logistic output for two classes and its own start weights."""
    X, y = data(problem.data)
    rows = problem.batch_size or len(X)
    net = neural_network.MLPClassifier(
        problem.sizes[1:-1], activation=problem.activation, solver=problem.solver, momentum=0,
        learning_rate_init=problem.learning_rate, alpha=problem.l2 * rows, batch_size=rows, shuffle=rows < len(X),
        max_iter=passes, tol=0, n_iter_no_change=passes + 1, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        # It is told how many passes to make and warns of having made them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(net.fit(X, y).loss_curve_[-1])


def prepare_sklearn(problem: Nets, nets: int) -> Run:
    """Fits one after the other, in a process for each core."""

    def fits(nets: int, passes: int) -> list[float]:
        return Parallel(CORES)(delayed(fit_sklearn)(problem, passes, seed) for seed in range(nets))

    # Processes end when they have nothing to do for long.
    return Run(
        lambda _: fits(nets, problem.passes),
        lambda losses: float(np.mean(losses)),
        lambda: fits(CORES, 1),
    )


TRAINERS = {
    MANY: Trainer("fastmlp", prepare_many),
    MANY_ALONE: Trainer("fastmlp", partial(prepare_many, threads=1)),
    LOOP: Trainer("fastmlp", prepare_loop),
    SKLEARN: Trainer("sklearn", prepare_sklearn),
    JAX: Trainer("jax", vmapped.prepare_jax),
    TORCH: Trainer("torch", vmapped.prepare_torch),
    SEARCH: Trainer("fastmlp", partial(prepare_search, estimator=fastmlp.MLPClassifier, n_jobs=1)),
    SEARCH_SKLEARN: Trainer("sklearn", partial(prepare_search, estimator=neural_network.MLPClassifier)),
}
