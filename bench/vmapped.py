"""JAX and PyTorch on many nets at a time: the step of one net, mapped over stacked parameters.

Both take the samples as shared by all nets, and for minibatches draw row orders of their own for each net in each pass.
Start weights are drawn before their time begins, which fastmlp draws within.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastmlp.bench.peers import CORES, TORCH_ACTIVATIONS
from many_nets import Nets, Run, data


def mean(losses: Any) -> float:
    return float(np.mean(np.asarray(losses)))


def jax_objective(problem: Nets) -> Any:
    """A net's objective on a batch."""
    import jax
    import jax.numpy as jnp

    activation = {"tanh": jnp.tanh, "relu": jax.nn.relu}[problem.activation]

    def objective(net: Any, X: Any, y: Any) -> Any:
        for W, b in net[:-1]:
            X = activation(X @ W + b)
        W, b = net[-1]
        loss = -jnp.take_along_axis(jax.nn.log_softmax(X @ W + b), y[:, None], 1).mean()
        return loss + problem.l2 / 2 * sum((W**2).sum() for W, _ in net) if problem.l2 else loss

    return objective


def jax_update(problem: Nets) -> Any:
    """A net's update by a batch, from and to (net, both of Adam's moments, number of steps)."""
    import jax
    import jax.numpy as jnp

    objective, rate, tree = jax_objective(problem), problem.learning_rate, jax.tree_util.tree_map

    def update(state: Any, X: Any, y: Any) -> Any:
        net, m, v, t = state
        loss, g = jax.value_and_grad(objective)(net, X, y)
        if problem.solver == "sgd":
            return (tree(lambda p, g: p - rate * g, net, g), m, v, t), loss
        t += 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)

        def step(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return (tree(step, net, m, v), m, v, t), loss

    return update


def jax_training(problem: Nets) -> Any:
    """A net's whole training, from its start and a key to the loss of its last pass."""
    import jax
    import jax.numpy as jnp

    X, y = map(jnp.asarray, data(problem.data))
    update, size = jax_update(problem), problem.batch_size or len(X)
    whole = len(X) // size * size

    def on_rows(state: Any, rows: Any) -> Any:
        return update(state, X[rows], y[rows])

    def one_pass(state: Any, key: Any) -> Any:
        if size == len(X):
            return update(state, X, y)
        order = jax.random.permutation(key, len(X))
        state, losses = jax.lax.scan(on_rows, state, order[:whole].reshape(-1, size))
        total = losses.sum() * size
        if whole < len(X):
            state, loss = on_rows(state, order[whole:])
            total += loss * (len(X) - whole)
        return state, total / len(X)

    def train(net: Any, key: Any) -> Any:
        zeros = jax.tree_util.tree_map(jnp.zeros_like, net)
        state = (net, zeros, zeros, jnp.float32(0))
        (net, *_), losses = jax.lax.scan(one_pass, state, jax.random.split(key, problem.passes))
        return net, losses[-1]

    return train


def prepare_jax(problem: Nets, nets: int) -> Run:
    """All passes of all nets in one compiled scan; XLA chooses its threads."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", False)
    stacked = [(jnp.asarray(W), jnp.asarray(b)) for W, b in zip(*problem.starts(nets), strict=True)]
    keys = jax.random.split(jax.random.PRNGKey(0), nets)
    begin = time.perf_counter()
    compiled = jax.jit(jax.vmap(jax_training(problem))).lower(stacked, keys).compile()
    compiling = time.perf_counter() - begin
    return Run(lambda _: jax.block_until_ready(compiled(stacked, keys)), lambda out: mean(out[1]), compiling=compiling)


def torch_gradients(problem: Nets) -> Any:
    """Gradients and losses of all nets, from their stacked parameters by name, and rows which they share or not."""
    import torch

    layers: list[Any] = []
    for fan_in, fan_out in zip(problem.sizes, problem.sizes[1:], strict=False):
        layers += [torch.nn.Linear(fan_in, fan_out), getattr(torch.nn, TORCH_ACTIVATIONS[problem.activation])()]
    net = torch.nn.Sequential(*layers[:-1])

    def objective(params: Any, X: Any, y: Any) -> Any:
        loss = torch.nn.functional.cross_entropy(torch.func.functional_call(net, params, (X,)), y)
        if not problem.l2:
            return loss
        return loss + problem.l2 / 2 * sum((p**2).sum() for name, p in params.items() if name.endswith("weight"))

    batch = None if problem.batch_size is None else 0
    return torch.func.vmap(torch.func.grad_and_value(objective), in_dims=(0, batch, batch))


def torch_training(problem: Nets, nets: int) -> Any:
    """A loop over steps of all nets, with a fused optimiser on the stacked parameters; losses of the last pass."""
    import torch

    X, y = map(torch.tensor, data(problem.data))
    size, gradients = problem.batch_size or len(X), torch_gradients(problem)
    # As torch.func.stack_module_state has them, which would want as many modules.
    start = {}
    for layer, (W, b) in enumerate(zip(*problem.starts(nets), strict=True)):
        start[f"{2 * layer}.weight"] = torch.tensor(W).transpose(1, 2).contiguous()
        start[f"{2 * layer}.bias"] = torch.tensor(b)
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[problem.solver]

    def train(threads: int, passes: int) -> Any:
        torch.set_num_threads(threads)
        params = {name: value.clone() for name, value in start.items()}
        optimizer, losses = kind(params.values(), problem.learning_rate, fused=True), None
        for _ in range(passes):
            losses = torch.zeros(nets)
            orders = None if problem.batch_size is None else torch.rand(nets, len(X)).argsort(1)
            for begin in range(0, len(X), size):
                rows = slice(None) if orders is None else orders[:, begin : begin + size]
                found, loss = gradients(params, X[rows], y[rows])
                for name, gradient in found.items():
                    params[name].grad = gradient
                optimizer.step()
                losses += loss * (min(size, len(X) - begin) / len(X))
        return losses

    return train


def prepare_torch(problem: Nets, nets: int) -> Run:
    """On one thread or one for each core, whichever is faster on a few passes."""
    train, few = torch_training(problem, nets), min(problem.passes, 50 if problem.batch_size is None else 3)

    def seconds(threads: int) -> float:
        train(threads, 1)
        begin = time.perf_counter()
        train(threads, few)
        return time.perf_counter() - begin

    best = min(sorted({1, CORES}), key=seconds)
    return Run(lambda _: train(best, problem.passes), mean, note=f"{best} thread{'s' * (best > 1)}")
