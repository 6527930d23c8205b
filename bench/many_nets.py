"""The problems of the sweeps: many small nets on the same samples, a search, and calls that hardly train at all.

Each says who trains it and, where all of its nets would take someone too long, how many of them are measured: nets are
trained one after the other there, so that the whole follows in proportion. A new problem is one entry of `PROBLEMS`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.preprocessing import StandardScaler

from fastmlp.initialise import start_params
from fastmlp.network import layers_of

Array = NDArray[Any]
# All of a problem's nets are measured.
ALL = None
MANY, MANY_ALONE, LOOP = "fastmlp.train_many", "fastmlp.train_many, 1 thread", "fastmlp.train in a loop, 1 thread"
SKLEARN, JAX, TORCH = "scikit-learn, joblib", "JAX, vmap", "PyTorch, vmap"
SEARCH, SEARCH_SKLEARN = "GridSearchCV of fastmlp's", "GridSearchCV of scikit-learn's"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Nets to train, in float32, and by whom: names of contenders, and how many nets of each are measured."""

    name: str
    nets: int
    data: str
    solver: str
    batch_size: int | None
    passes: int
    contenders: Mapping[str, int | None]
    # What is shown beside the times, so that one sees that all did the same: its mean over the nets.
    shown: str = "loss"

    def measured(self, contender: str) -> int:
        """How many nets of a contender are trained for the clock."""
        return min(self.contenders[contender] or self.nets, self.nets)

    def part(self, share: float) -> Self:
        """The problem with a share of its nets."""
        return replace(self, nets=min(self.nets, max(2, round(self.nets * share))))


@dataclass(frozen=True, kw_only=True)
class Nets(Problem):
    """Nets that differ by their start and their row orders alone."""

    sizes: tuple[int, ...]
    activation: str
    learning_rate: float
    l2: float = 0.0
    init: str = "glorot_uniform"

    def starts(self, nets: int) -> tuple[list[Array], list[Array]]:
        """Start weights and biases by layers, of all nets stacked, for those who do not draw any."""
        flat = [start_params(self.init, self.sizes, np.random.default_rng(seed)) for seed in range(nets)]
        layers = [layers_of(params.astype(np.float32), self.sizes) for params in flat]
        weights, biases = ([np.stack(layer) for layer in zip(*side, strict=True)] for side in zip(*layers, strict=True))
        return weights, biases


@dataclass(frozen=True, kw_only=True)
class Search(Problem):
    """Each point of a grid on each fold, scored on what the fold holds out; all nets with the same seed."""

    folds: int
    hidden: tuple[int | tuple[int, ...], ...]
    learning_rates: tuple[float, ...]
    # As scikit-learn has it: over the rows of a batch it is `l2`.
    alphas: tuple[float, ...]

    def points(self) -> list[tuple[int | tuple[int, ...], float, float]]:
        """Hidden layers, learning rate and alpha of as many points as the nets are on so many folds, evenly chosen."""
        grid = list(itertools.product(self.hidden, self.learning_rates, self.alphas))
        wanted = max(1, self.nets // self.folds)
        return [grid[place * len(grid) // wanted] for place in range(wanted)]

    def part(self, share: float) -> Self:
        """The problem with a share of the grid's points, on all folds."""
        return replace(self, nets=self.folds * max(1, round(self.nets / self.folds * share)))


@dataclass(frozen=True)
class Run:
    """What a contender does in a round: only `train` is timed."""

    train: Callable[[Any], Any]
    # From what comes of `train` to the mean of what is shown.
    outcome: Callable[[Any], float]
    # Makes what `train` is given, each time anew.
    before: Callable[[], Any] = lambda: None
    # Seconds of compiling, once and before the first round.
    compiling: float = 0.0
    note: str = ""

    def seconds(self) -> tuple[float, float]:
        """How long a round takes, and the mean of what is shown."""
        given = self.before()
        begin = time.perf_counter()
        result = self.train(given)
        taken = time.perf_counter() - begin
        return taken, self.outcome(result)


@lru_cache
def data(name: str) -> tuple[Array, Array]:
    """Samples in float32, standardised but for the moons, and labels."""
    if name == "moons":
        X, y = make_moons(200, noise=0.20, random_state=0)
    else:
        X, y = {"iris": load_iris, "digits": load_digits}[name](return_X_y=True)
        X = StandardScaler().fit_transform(X)
    return X.astype(np.float32), y


MOONS: dict[str, Any] = {
    "data": "moons",
    "sizes": (2, 3, 2),
    "activation": "tanh",
    "solver": "sgd",
    "learning_rate": 2.0,
    "l2": 5e-5,
    "batch_size": None,
    "init": "lecun_normal",
}
IRIS: dict[str, Any] = {
    "data": "iris",
    "sizes": (4, 8, 3),
    "activation": "relu",
    "solver": "adam",
    "learning_rate": 0.01,
    "batch_size": 16,
}
OF_CALLS = {MANY: ALL, MANY_ALONE: ALL, LOOP: 500}
PROBLEMS: dict[str, Problem] = {
    "moons": Nets(
        name="1,000 nets 2-3-2 on 200 moons, full batch, SGD, 1,000 passes",
        nets=1_000,
        passes=1_000,
        contenders={MANY: ALL, LOOP: ALL, SKLEARN: 24, JAX: ALL, TORCH: ALL},
        **MOONS,
    ),
    "iris": Nets(
        name="10,000 nets 4-8-3 on iris, batch 16, Adam, 100 passes",
        nets=10_000,
        passes=100,
        contenders={MANY: ALL, LOOP: 1_000, SKLEARN: 48, JAX: ALL, TORCH: ALL},
        **IRIS,
    ),
    "digits": Search(
        name="64 points of a grid x 5 folds on digits, batch 32, Adam, 30 passes",
        nets=64 * 5,
        data="digits",
        solver="adam",
        batch_size=32,
        passes=30,
        contenders={MANY: ALL, SEARCH: ALL, SEARCH_SKLEARN: ALL},
        shown="accuracy",
        folds=5,
        hidden=(16, 32, 64, (32, 16)),
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
        alphas=(1e-5, 1e-3, 1e-1, 1.0),
    ),
    "calls": Nets(name="2,000 nets 2-3-2 on 200 moons, one step", nets=2_000, passes=1, contenders=OF_CALLS, **MOONS),
    "calls-16": Nets(
        name="2,000 nets 4-8-3 on iris, batch 16, one pass", nets=2_000, passes=1, contenders=OF_CALLS, **IRIS
    ),
}
