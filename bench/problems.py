"""The one table of the benchmarks: problems x libraries x threads.

`ARTICLE` and `SIZES` are the problems, `LIBRARIES` the contenders. A contender trains a problem through the interface
its users have and returns its loss curve; everything else (warm-up, rounds, threads, skipping) is done once, by those
who run the table. A new peer is one function and one line of `LIBRARIES`.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_moons

import fastmlp

Array = NDArray[Any]
DTYPES = ("float64", "float32")
# Peers hold a batch's activations whole, for all layers, and about three arrays of each: beyond this they are left out.
PEERS_BYTES_LIMIT = 1_500_000_000


@dataclass(frozen=True)
class Problem:
    """A net, its data and how it is trained: tanh, softmax and cross-entropy, plain gradient descent."""

    sizes: tuple[int, ...]
    n_samples: int
    batch_size: int | None
    dtype: str
    learning_rate: float
    l2: float
    # The peers' passes in a round, after which losses are compared. fastmlp makes `pace` times as many, so that its
    # rounds are not too short for the clock and the call's own start does not hide what a pass costs.
    passes: int
    pace: int
    # The article's start weights, drawn as it draws them, and not the package's defaults.
    as_in_article: bool
    libraries: tuple[str, ...]

    @property
    def net(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def name(self) -> str:
        whose = "the article's " if self.as_in_article else ""
        return f"{whose}{self.net}, {self.n_samples:,} samples, {self.batch}, {self.dtype}"

    @property
    def table(self) -> str:
        return "article" if self.as_in_article else "sizes"

    @property
    def batch(self) -> str:
        return "full batch" if self.batch_size is None else f"batch {self.batch_size}"

    @property
    def batch_bytes(self) -> int:
        """About what a library needs that takes a batch through layer by layer."""
        return 3 * (self.batch_size or self.n_samples) * sum(self.sizes) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Library:
    """A contender: `train(problem, X, y, threads)` returns the loss of each pass."""

    name: str
    engine: str | None
    module: str
    train: Callable[[Problem, Array, Array, int], Sequence[float]]
    threads: tuple[int, ...]

    def passes(self, problem: Problem) -> int:
        return problem.passes * (problem.pace if self.engine == "kernels" else 1)

    def left_out(self, problem: Problem) -> str | None:
        """Why this cell is not measured."""
        if find_spec(self.module) is None:
            return f"{self.name} is left out: {self.module} is not installed"
        if self.engine != "kernels" and problem.batch_bytes > PEERS_BYTES_LIMIT:
            return f"{self.name} is left out: {problem.name} would need about {problem.batch_bytes / 1e9:.1f} GB"
        return None


def train_fastmlp(problem: Problem, X: Array, y: Array, threads: int, engine: str = "kernels") -> Array:
    """One call of `train`, checks of the input and all."""
    return fastmlp.train(
        X,
        y,
        problem.sizes[1:-1],
        activation="tanh",
        solver="sgd",
        learning_rate=problem.learning_rate,
        l2=problem.l2,
        batch_size=problem.batch_size,
        epochs=problem.passes,
        init="lecun_normal" if problem.as_in_article else "glorot_uniform",
        seed=np.random.RandomState(0) if problem.as_in_article else 0,
        threads=threads,
        engine=engine,
    ).loss_curve


def train_reference(problem: Problem, X: Array, y: Array, threads: int) -> Array:
    return train_fastmlp(problem, X, y, threads, "reference")


def train_article_numpy(problem: Problem, X: Array, y: Array, threads: int) -> Sequence[float]:
    """The article's loop, line by line; nothing is tuned. It computes no loss until the end."""
    (n_features, n_hidden, n_classes), n_samples = problem.sizes, len(X)
    reg_lambda, epsilon = problem.l2 * n_samples, problem.learning_rate / n_samples
    random = np.random.RandomState(0)
    W1 = (random.randn(n_features, n_hidden) / np.sqrt(n_features)).astype(X.dtype)
    b1 = np.zeros((1, n_hidden), X.dtype)
    W2 = (random.randn(n_hidden, n_classes) / np.sqrt(n_hidden)).astype(X.dtype)
    b2 = np.zeros((1, n_classes), X.dtype)
    for _ in range(problem.passes):
        z1 = X.dot(W1) + b1
        a1 = np.tanh(z1)
        z2 = a1.dot(W2) + b2
        exp_scores = np.exp(z2)
        probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

        delta3 = probs
        delta3[range(n_samples), y] -= 1
        dW2 = (a1.T).dot(delta3)
        db2 = np.sum(delta3, axis=0, keepdims=True)
        delta2 = delta3.dot(W2.T) * (1 - np.power(a1, 2))
        dW1 = np.dot(X.T, delta2)
        db1 = np.sum(delta2, axis=0)

        dW2 += reg_lambda * W2
        dW1 += reg_lambda * W1
        W1 += -epsilon * dW1
        b1 += -epsilon * db1
        W2 += -epsilon * dW2
        b2 += -epsilon * db2
    scores = np.exp(np.tanh(X.dot(W1) + b1).dot(W2) + b2)
    losses = -np.log(scores[range(n_samples), y] / scores.sum(axis=1))
    return [float((losses.sum() + reg_lambda / 2 * ((W1**2).sum() + (W2**2).sum())) / n_samples)]


def train_sklearn(problem: Problem, X: Array, y: Array, threads: int) -> Sequence[float]:
    """`MLPClassifier` on the same objective, but for its one logistic output for two classes and its own start weights."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rows = problem.batch_size or len(X)
    net = MLPClassifier(
        problem.sizes[1:-1],
        activation="tanh",
        solver="sgd",
        learning_rate_init=problem.learning_rate,
        momentum=0,
        alpha=problem.l2 * rows,
        batch_size=rows,
        shuffle=rows < len(X),
        max_iter=problem.passes,
        n_iter_no_change=problem.passes + 1,
        random_state=0,
    )
    with warnings.catch_warnings():
        # It is told how many passes to make and warns of having made them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return net.fit(X, y).loss_curve_


THREADS = tuple(sorted({1, os.cpu_count() or 1}))
# Kernels run on one thread, peers on one and on all cores: reports keep the faster.
LIBRARIES = {
    library.name: library
    for library in (
        Library("fastmlp", "kernels", "fastmlp", train_fastmlp, (1,)),
        Library("NumPy as in the article", None, "numpy", train_article_numpy, THREADS),
        Library("NumPy reference", "reference", "fastmlp", train_reference, THREADS),
        Library("scikit-learn", None, "sklearn", train_sklearn, THREADS),
    )
}
GENERAL = ("fastmlp", "NumPy reference", "scikit-learn")

ARTICLE = [
    Problem((2, hidden, 2), 200, None, dtype, 2.0, 0.01 / 200, 20_000, 1, True, tuple(LIBRARIES))
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
        sizes,
        n,
        batch_size,
        dtype,
        learning_rate=rate,
        l2=1e-4,
        passes=max(2, sample_passes // n),
        pace=pace if batch_size is None else max(2, pace // 5),
        as_in_article=False,
        libraries=GENERAL,
    )
    for sizes, rate, sample_passes, pace in NETS
    for batch_size in (None, 256)
    for dtype in DTYPES
    for n in N_SAMPLES
    if batch_size is None or batch_size < n
]


@dataclass(frozen=True, repr=False)
class Cell:
    """One entry of the table."""

    problem: Problem
    library: Library
    threads: int

    def __repr__(self) -> str:
        # Only characters that `pytest -k` takes.
        problem, threads = self.problem, "1 thread" if self.threads == 1 else f"{self.threads} threads"
        parts = (problem.net, f"{problem.n_samples} samples", problem.batch, problem.dtype, self.library.name, threads)
        return "/".join(parts).replace(" ", "_")

    def info(self) -> dict[str, Any]:
        """What reports need to know, beside the times."""
        problem = self.problem
        return {
            "table": problem.table,
            "problem": problem.name,
            "net": problem.net,
            "n_samples": problem.n_samples,
            "batch": problem.batch,
            "dtype": problem.dtype,
            "library": self.library.name,
            "engine": self.library.engine,
            "threads": self.threads,
            "passes": self.library.passes(problem),
            "loss_after": problem.passes,
            "unit": "seconds a pass",
        }


def cells(problems: Sequence[Problem], smoke: bool = False) -> list[Cell]:
    """All entries of these problems, contenders of one problem side by side; for a smoke test few and short ones."""
    if smoke:
        problems = [replace(problem, passes=3, pace=1) for problem in problems if problem.n_samples <= 1000]
    return [
        Cell(problem, LIBRARIES[name], threads)
        for problem in problems
        for name in problem.libraries
        for threads in (THREADS[:1] if smoke else LIBRARIES[name].threads)
    ]


@lru_cache(maxsize=1)
def data(n_features: int, n_samples: int, dtype: str) -> tuple[Array, Array]:
    """X and y as users have them: read from an .npz, with whatever alignment in memory that gives."""
    if n_features == 2:
        X, y = make_moons(n_samples, noise=0.20, random_state=0)
    else:
        X = np.random.default_rng(0).standard_normal((n_samples, n_features))
        # Inside a ball or outside of it; its radius makes the classes about equal.
        y = ((X**2).sum(axis=1) > n_features - 0.66).astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.npz")
        np.savez(path, X=X.astype(dtype), y=y)
        with np.load(path) as arrays:
            return arrays["X"], arrays["y"]
