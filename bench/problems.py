"""The problems of the benchmarks: the article's nets, data of growing size, and the steps of nets from tiny to wide."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_moons

from fastmlp.bench.workload import Cost

Array = NDArray[Any]
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Problem(Cost):
    """A net, its data and how it is trained: tanh, softmax and cross-entropy."""

    table: str
    sizes: tuple[int, ...]
    n_samples: int
    batch_size: int | None
    dtype: str
    solver: str
    learning_rate: float
    l2: float
    # The peers' passes in a round, after which losses are compared. fastmlp makes `pace` times as many, so that its
    # rounds are not too short for the clock and the call's own start does not hide what a pass costs.
    passes: int
    pace: int
    libraries: tuple[str, ...]
    activation: str = "tanh"

    @property
    def as_in_article(self) -> bool:
        """Whether start weights are drawn as the article draws them, and not by the package's defaults."""
        return self.table == "article"

    @property
    def name(self) -> str:
        whose = "the article's " if self.as_in_article else ""
        return f"{whose}{self.net}, {self.n_samples:,} samples, {self.batch}, {self.solver}, {self.dtype}"

    @property
    def activations(self) -> int:
        """Values of tanh in a pass."""
        return self.n_samples * sum(self.sizes[1:-1])

    @property
    def batch(self) -> str:
        return "full batch" if self.batch_size is None else f"batch {self.batch_size}"


GENERAL = ("fastmlp", "NumPy reference", "scikit-learn")
OF_ARTICLE = ("fastmlp", "NumPy as in the article", "NumPy reference", "scikit-learn")
OF_STEPS = ("fastmlp", "scikit-learn", "PyTorch", "PyTorch, compiled", "JAX")
OF_STEPS_IN_FLOAT64 = ("fastmlp", "scikit-learn", "JAX")

ARTICLE = [
    Problem("article", (2, hidden, 2), 200, None, dtype, "sgd", 2.0, 0.01 / 200, 20_000, 1, OF_ARTICLE)
    for hidden in (3, 20, 50)
    for dtype in DTYPES
]

# Sizes, learning rate, samples x passes in a peer's round (about half a second for the small data sets), pace with full
# batches; with minibatches a fifth of it, since there fastmlp's passes take longer.
NETS = (
    ((2, 3, 2), 0.5, 2_000_000, 50),
    ((2, 50, 2), 0.5, 500_000, 20),
    ((30, 64, 64, 2), 0.1, 200_000, 5),
)
N_SAMPLES = (200, 1_000, 10_000, 100_000, 1_000_000)
SIZES = [
    Problem(
        "sizes",
        sizes,
        n,
        batch_size,
        dtype,
        "sgd",
        learning_rate=rate,
        l2=1e-4,
        passes=max(2, sample_passes // n),
        pace=pace if batch_size is None else max(2, pace // 5),
        libraries=GENERAL,
    )
    for sizes, rate, sample_passes, pace in NETS
    for batch_size in (None, 256)
    for dtype in DTYPES
    for n in N_SAMPLES
    if batch_size is None or batch_size < n
]


# Sizes, batch, solver, samples, a peer's passes in a round, and fastmlp's pace.
NETS_OF_STEPS = (
    ((2, 3, 2), None, "sgd", 200, 4_000, 20),
    ((2, 50, 2), None, "sgd", 200, 2_000, 10),
    ((64, 100, 10), 200, "adam", 2_000, 100, 4),
    ((30, 64, 64, 2), 256, "adam", 2_048, 100, 4),
    ((784, 128, 10), 128, "adam", 2_048, 20, 2),
    ((784, 512, 10), 128, "adam", 2_048, 10, 1),
    ((784, 512, 512, 10), 128, "adam", 2_048, 6, 1),
    ((784, 1024, 1024, 10), 512, "sgd", 2_048, 4, 1),
    ((4, 32, 16, 4), None, "adam", 10_000, 200, 4),
)
STEPS = [
    Problem("steps", sizes, n, batch_size, dtype, solver, 1e-3, 0.0, passes, pace, libraries)
    for sizes, batch_size, solver, n, passes, pace in NETS_OF_STEPS
    for dtype, libraries in (("float32", OF_STEPS), ("float64", OF_STEPS_IN_FLOAT64))
]


@lru_cache(maxsize=1)
def data(problem: Problem) -> tuple[Array, Array]:
    """X and y as users have them: read from an .npz, with whatever alignment in memory that gives."""
    n_features, n_samples = problem.sizes[0], problem.n_samples
    random = np.random.default_rng(0)
    if problem.table == "steps":
        # How long a step takes does not depend on what there is to be learnt.
        X, y = random.standard_normal((n_samples, n_features)), random.integers(0, problem.sizes[-1], n_samples)
    elif n_features == 2:
        X, y = make_moons(n_samples, noise=0.20, random_state=0)
    else:
        X = random.standard_normal((n_samples, n_features))
        # Inside a ball or outside of it; its radius makes the classes about equal.
        y = ((X**2).sum(axis=1) > n_features - 0.66).astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.npz")
        np.savez(path, X=X.astype(problem.dtype), y=y)
        with np.load(path) as arrays:
            return arrays["X"], arrays["y"]
