"""The contenders: what trains a problem, through the interface its users have.

``prepare(problem, X, y, threads)`` does once what a user's program does once (compiling included) and returns a function
that trains afresh and returns the loss of each pass. A new peer is one function and one line of `LIBRARIES`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp.bench import peers
from problems import Problem

Array = NDArray[Any]
Losses = Sequence[float] | Array
Training = Callable[[], Losses]
# Peers hold a batch's activations whole, for all layers, and about three arrays of each: beyond this they are left out.
PEERS_BYTES_LIMIT = 1_500_000_000
AUTOMATIC = 0
CORES = os.cpu_count() or 1
THREADS = tuple(sorted({1, CORES}))


@dataclass(frozen=True)
class Library:
    """A contender, with the numbers of threads it is run on."""

    name: str
    engine: str | None
    module: str
    prepare: Callable[[Problem, Array, Array, int], Training]
    threads: tuple[int, ...]

    def threads_for(self, problem: Problem) -> tuple[int, ...]:
        """Where steps are compared, fastmlp is also run as it comes, choosing the number by itself."""
        return (AUTOMATIC, *THREADS) if self.engine == "kernels" and problem.table == "steps" else self.threads

    def passes(self, problem: Problem) -> int:
        return problem.passes * (problem.pace if self.engine == "kernels" else 1)

    def left_out(self, problem: Problem) -> str | None:
        """Why this cell is not measured."""
        if find_spec(self.module) is None:
            return f"{self.name} is left out: {self.module} is not installed"
        if self.engine != "kernels" and problem.batch_bytes > PEERS_BYTES_LIMIT:
            return f"{self.name} is left out: {problem.name} would need about {problem.batch_bytes / 1e9:.1f} GB"
        return None


def warmed_up(train: Callable[[Problem, Array, Array, int], Losses]) -> Callable[[Problem, Array, Array, int], Training]:
    """`prepare` for what has nothing to prepare: one pass loads, compiles and touches what the timed ones will use."""

    def prepare(problem: Problem, X: Array, y: Array, threads: int) -> Training:
        train(replace(problem, passes=1), X, y, threads)
        return partial(train, problem, X, y, threads)

    return prepare


def train_fastmlp(problem: Problem, X: Array, y: Array, threads: int, engine: str = "kernels") -> Array:
    """One call of `train`, checks of the input and all."""
    return fastmlp.train(
        X,
        y,
        problem.sizes[1:-1],
        activation="tanh",
        solver=problem.solver,
        learning_rate=problem.learning_rate,
        l2=problem.l2,
        batch_size=problem.batch_size,
        epochs=problem.passes,
        init="lecun_normal" if problem.as_in_article else "glorot_uniform",
        seed=np.random.RandomState(0) if problem.as_in_article else 0,
        threads=threads or None,
        engine=engine,
    ).loss_curve


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


def ready(prepare: Callable[[Problem, Array, Array, int], Training]) -> Callable[[Problem, Array, Array, int], Training]:
    """`prepare`, and one training of few passes or all, which compiles what it needs."""

    def prepare_and_train(problem: Problem, X: Array, y: Array, threads: int) -> Training:
        train = prepare(problem, X, y, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train()
        return train

    return prepare_and_train


# Peers run on one thread and on all cores: reports keep the faster.
LIBRARIES = {
    library.name: library
    for library in (
        Library("fastmlp", "kernels", "fastmlp", warmed_up(train_fastmlp), (1,)),
        Library("NumPy as in the article", None, "numpy", warmed_up(train_article_numpy), THREADS),
        Library("NumPy reference", "reference", "fastmlp", warmed_up(partial(train_fastmlp, engine="reference")), THREADS),
        Library("scikit-learn", None, "sklearn", warmed_up(peers.train_sklearn), THREADS),
        Library("PyTorch", None, "torch", ready(peers.prepare_torch), THREADS),
        Library("PyTorch, compiled", None, "torch", ready(partial(peers.prepare_torch, compiled=True)), (CORES,)),
        Library("JAX", None, "jax", ready(peers.prepare_jax), (CORES,)),
    )
}
