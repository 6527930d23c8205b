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


def train_sklearn(problem: Problem, X: Array, y: Array, threads: int) -> Sequence[float]:
    """`MLPClassifier` on the same objective, but for its one logistic output for two classes and its own start weights."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rows = problem.batch_size or len(X)
    net = MLPClassifier(
        problem.sizes[1:-1],
        activation="tanh",
        solver=problem.solver,
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


def prepare_torch(problem: Problem, X: Array, y: Array, threads: int, compiled: bool = False) -> Training:
    """The usual loop: autograd, a fused optimiser, a permutation for each pass; the loss compiled or not."""
    import torch

    torch.set_num_threads(threads)
    rows, labels = torch.tensor(X), torch.tensor(y)
    size = problem.batch_size or len(X)
    layers: list[Any] = []
    for fan_in, fan_out in zip(problem.sizes, problem.sizes[1:], strict=False):
        layers += [torch.nn.Linear(fan_in, fan_out, dtype=rows.dtype), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    start = {name: value.clone() for name, value in net.state_dict().items()}

    def objective(inputs: Any, targets: Any) -> Any:
        return torch.nn.functional.cross_entropy(net(inputs), targets)

    if compiled:
        # It compiles anew for another number of threads, and gives up after eight times.
        torch._dynamo.config.recompile_limit = 64
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations inside PyTorch
            objective = torch.compile(objective)
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[problem.solver]

    def train(passes: int = problem.passes) -> Losses:
        torch.set_num_threads(threads)
        net.load_state_dict(start)
        optimizer = kind(net.parameters(), problem.learning_rate, weight_decay=problem.l2, fused=True)
        losses = []
        for _ in range(passes):
            order = torch.randperm(len(rows)) if size < len(rows) else None
            of_pass = []
            for begin in range(0, len(rows), size):
                batch = slice(None) if order is None else order[begin : begin + size]
                optimizer.zero_grad(set_to_none=True)
                loss = objective(rows[batch], labels[batch])
                loss.backward()
                optimizer.step()
                of_pass.append(loss.detach())
            losses.append(of_pass)
        return [float(torch.stack(of_pass).mean()) for of_pass in losses]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(2)
    return train


def prepare_jax(problem: Problem, X: Array, y: Array, threads: int) -> Training:
    """All passes in one jitted scan over jitted batches, with automatic gradients; XLA chooses its threads."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    random, tree = np.random.default_rng(0), jax.tree_util.tree_map
    net = [
        (jnp.asarray(random.standard_normal(shape) / shape[0] ** 0.5, X.dtype), jnp.zeros(shape[1], X.dtype))
        for shape in zip(problem.sizes, problem.sizes[1:], strict=False)
    ]
    rows, labels = jnp.asarray(X), jnp.asarray(y)
    size = problem.batch_size or len(X)
    steps = len(X) // size
    rate, l2 = problem.learning_rate, problem.l2

    def objective(net: Any, X: Any, y: Any) -> Any:
        for place, (W, b) in enumerate(net):
            X = X @ W + b
            X = jnp.tanh(X) if place < len(net) - 1 else X
        loss = -jnp.take_along_axis(jax.nn.log_softmax(X), y[:, None], 1).mean()
        return loss + l2 / 2 * sum((W**2).sum() for W, _ in net) if l2 else loss

    def update(state: Any, batch: Any) -> Any:
        net, m, v, t = state
        some = (rows[batch], labels[batch]) if steps > 1 else (rows, labels)
        loss, g = jax.value_and_grad(objective)(net, *some)
        if problem.solver == "sgd":
            return (tree(lambda p, g: p - rate * g, net, g), m, v, t), loss
        t += 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)

        def step(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return (tree(step, net, m, v), m, v, t), loss

    @jax.jit
    def run(state: Any, key: Any) -> Any:
        def one_pass(state: Any, key: Any) -> Any:
            order = jnp.arange(len(X)) if steps == 1 else jax.random.permutation(key, len(X))
            state, losses = jax.lax.scan(update, state, order[: steps * size].reshape(steps, size))
            return state, losses.mean()

        return jax.lax.scan(one_pass, state, jax.random.split(key, problem.passes))

    zeros = tree(jnp.zeros_like, net)
    state, key = (net, zeros, zeros, jnp.asarray(0, X.dtype)), jax.random.PRNGKey(0)

    def train() -> Losses:
        # With the mode it was compiled in, whatever other problems have set since.
        jax.config.update("jax_enable_x64", X.dtype == np.float64)
        return np.asarray(jax.block_until_ready(run(state, key))[1])

    train()
    return train


# Peers run on one thread and on all cores: reports keep the faster.
LIBRARIES = {
    library.name: library
    for library in (
        Library("fastmlp", "kernels", "fastmlp", warmed_up(train_fastmlp), (1,)),
        Library("NumPy as in the article", None, "numpy", warmed_up(train_article_numpy), THREADS),
        Library("NumPy reference", "reference", "fastmlp", warmed_up(partial(train_fastmlp, engine="reference")), THREADS),
        Library("scikit-learn", None, "sklearn", warmed_up(train_sklearn), THREADS),
        Library("PyTorch", None, "torch", prepare_torch, THREADS),
        Library("PyTorch, compiled", None, "torch", partial(prepare_torch, compiled=True), (CORES,)),
        Library("JAX", None, "jax", prepare_jax, (CORES,)),
    )
}
