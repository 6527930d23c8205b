"""The contenders: what trains a workload, through the interface its users have.

``prepare(workload, X, y, threads)`` does once what a user's program does once (compiling included) and returns a function
that trains afresh, by so many passes, and returns the loss of each. Beside :class:`Workload`, anything will do that has its
`sizes`, `batch_size`, `solver`, `activation`, `learning_rate`, `l2` and `passes`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.training import train

Array = NDArray[Any]
Losses = Sequence[float] | Array
Training = Callable[[], Losses]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# scikit-learn's and PyTorch's names of the activations that all have.
TORCH_ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}
PEER_SOLVERS = ("sgd", "adam")


@dataclass(frozen=True)
class Peer:
    """A contender, by what its users install."""

    name: str
    module: str
    prepare: Callable[[Any, Array, Array, int], Training]

    @property
    def is_installed(self) -> bool:
        """Whether it is there."""
        return find_spec(self.module) is not None


def train_fastmlp(workload: Any, X: Array, y: Array, threads: int, engine: str = "kernels", **options: Any) -> Losses:
    """One call of `train`, checks of the input and all."""
    return train(
        X, y, workload.sizes[1:-1], activation=workload.activation, solver=workload.solver,
        learning_rate=workload.learning_rate, l2=workload.l2, batch_size=workload.batch_size, epochs=workload.passes,
        seed=0, threads=threads or None, engine=engine, **options,
    ).loss_curve  # fmt: skip


def train_sklearn(workload: Any, X: Array, y: Array, threads: int) -> Losses:
    """`MLPClassifier` on the same objective, but for its one logistic output for two classes and its own start weights."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rows = workload.batch_size or len(X)
    net = MLPClassifier(
        workload.sizes[1:-1], activation=workload.activation, solver=workload.solver,
        learning_rate_init=workload.learning_rate, momentum=0, alpha=workload.l2 * rows, batch_size=rows,
        shuffle=rows < len(X), max_iter=workload.passes, n_iter_no_change=workload.passes + 1, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        # It is told how many passes to make and warns of having made them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        losses: Losses = net.fit(X, y).loss_curve_
        return losses


def as_it_is(train: Callable[[Any, Array, Array, int], Losses]) -> Callable[[Any, Array, Array, int], Training]:
    """`prepare` for what has nothing to prepare."""

    def prepare(workload: Any, X: Array, y: Array, threads: int) -> Training:
        return partial(train, workload, X, y, threads)

    return prepare


def prepare_torch(workload: Any, X: Array, y: Array, threads: int, compiled: bool = False) -> Training:
    """The usual loop: autograd, a fused optimiser, a permutation for each pass; the loss compiled or not."""
    import torch

    torch.set_num_threads(threads or CORES)
    rows, labels = torch.tensor(X), torch.tensor(y)
    size = workload.batch_size or len(X)
    activation = getattr(torch.nn, TORCH_ACTIVATIONS[workload.activation])
    layers: list[Any] = []
    for fan_in, fan_out in zip(workload.sizes, workload.sizes[1:], strict=False):
        layers += [torch.nn.Linear(fan_in, fan_out, dtype=rows.dtype), activation()]
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
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[workload.solver]

    def train(passes: int = workload.passes) -> Losses:
        torch.set_num_threads(threads or CORES)
        net.load_state_dict(start)
        optimizer = kind(net.parameters(), workload.learning_rate, weight_decay=workload.l2, fused=True)
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

    return train


def prepare_jax(workload: Any, X: Array, y: Array, threads: int) -> Training:
    """All passes in one jitted scan over jitted batches, with automatic gradients; XLA chooses its threads."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    random, tree = np.random.default_rng(0), jax.tree_util.tree_map
    activations = {"relu": jax.nn.relu, "tanh": jnp.tanh, "logistic": jax.nn.sigmoid, "identity": lambda x: x}
    activation = activations[workload.activation]
    net = [
        (jnp.asarray(random.standard_normal(shape) / shape[0] ** 0.5, X.dtype), jnp.zeros(shape[1], X.dtype))
        for shape in zip(workload.sizes, workload.sizes[1:], strict=False)
    ]
    rows, labels = jnp.asarray(X), jnp.asarray(y)
    size = workload.batch_size or len(X)
    steps = len(X) // size
    rate, l2 = workload.learning_rate, workload.l2

    def objective(net: Any, X: Any, y: Any) -> Any:
        for place, (W, b) in enumerate(net):
            X = X @ W + b
            X = activation(X) if place < len(net) - 1 else X
        loss = -jnp.take_along_axis(jax.nn.log_softmax(X), y[:, None], 1).mean()
        return loss + l2 / 2 * sum((W**2).sum() for W, _ in net) if l2 else loss

    def update(state: Any, batch: Any) -> Any:
        net, m, v, t = state
        some = (rows[batch], labels[batch]) if steps > 1 else (rows, labels)
        loss, g = jax.value_and_grad(objective)(net, *some)
        if workload.solver == "sgd":
            return (tree(lambda p, g: p - rate * g, net, g), m, v, t), loss
        t += 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)

        def step(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return (tree(step, net, m, v), m, v, t), loss

    @jax.jit  # type: ignore[untyped-decorator]
    def run(state: Any, key: Any) -> Any:
        def one_pass(state: Any, key: Any) -> Any:
            order = jnp.arange(len(X)) if steps == 1 else jax.random.permutation(key, len(X))
            state, losses = jax.lax.scan(update, state, order[: steps * size].reshape(steps, size))
            return state, losses.mean()

        return jax.lax.scan(one_pass, state, jax.random.split(key, workload.passes))

    zeros = tree(jnp.zeros_like, net)
    state, key = (net, zeros, zeros, jnp.asarray(0, X.dtype)), jax.random.PRNGKey(0)

    def train() -> Losses:
        # With the mode it was compiled in, whatever other problems have set since.
        jax.config.update("jax_enable_x64", X.dtype == np.float64)
        return np.asarray(jax.block_until_ready(run(state, key))[1])

    return train


OURS = Peer("fastmlp", "fastmlp", as_it_is(train_fastmlp))
# By the names that `--against` takes.
PEERS = {
    "numpy": Peer("NumPy reference", "numpy", as_it_is(partial(train_fastmlp, engine="reference"))),
    "sklearn": Peer("scikit-learn", "sklearn", as_it_is(train_sklearn)),
    "torch": Peer("PyTorch", "torch", prepare_torch),
    "jax": Peer("JAX", "jax", prepare_jax),
}
