"""The specification: a multi-layer perceptron and its training in textbook NumPy.

Samples are rows. ``weights[l]`` is (fan_in, fan_out), ``biases[l]`` (fan_out,), layer by layer; ``a[0]`` is X and ``a[l]``
what layer l puts out. The objective of a batch is

    J = sum_i loss_i / n + l2 / 2 * sum of squared weights        (biases are free)

The compiled kernels compute the same; tests hold the two equal. Nothing here is shared with them but the options.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver, Status

Array = NDArray[Any]


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z)), by the exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e / (1 + e), 1 / (1 + e))


def softmax(z: Array) -> Array:
    """exp(z) over its sum in each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def activate(activation: Activation, z: Array) -> Array:
    """a = f(z)."""
    if activation == Activation.LOGISTIC:
        return logistic(z)
    if activation == Activation.TANH:
        return np.asarray(np.tanh(z))
    if activation == Activation.RELU:
        return np.asarray(np.where(z < 0, 0, z))
    return z


def activate_backward(activation: Activation, a: Array, delta: Array) -> Array:
    """delta * f'(z), in terms of a = f(z)."""
    if activation == Activation.LOGISTIC:
        return np.asarray(delta * a * (1 - a))
    if activation == Activation.TANH:
        return np.asarray(delta * (1 - a**2))
    if activation == Activation.RELU:
        return np.where(a > 0, delta, 0)
    return delta


def output(loss: Loss, z: Array) -> Array:
    """The prediction that belongs to the output layer's weighted sums."""
    if loss == Loss.CROSS_ENTROPY:
        return softmax(z)
    if loss == Loss.BINARY_CROSS_ENTROPY:
        return logistic(z)
    return z


def loss_backward(loss: Loss, z: Array, y: Array) -> tuple[float, Array]:
    """The sum of the samples' losses and its gradient with respect to z: prediction - target for each of these losses.

    `y` is (n_samples, 1) class numbers for the cross-entropy, else (n_samples, n_outputs) targets.
    """
    if loss == Loss.CROSS_ENTROPY:
        rows, labels = np.arange(len(z)), y[:, 0].astype(np.intp)
        shifted = z - z.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]
        delta = softmax(z)
        delta[rows, labels] -= 1
        return float(losses.sum()), delta
    delta = output(loss, z) - y
    if loss == Loss.BINARY_CROSS_ENTROPY:
        # log(1 + exp(z)) - y z, the minus logarithm of the probability given to y.
        return float((np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - y * z).sum()), delta
    return float((delta**2).sum()) / 2, delta


def forward(weights: Sequence[Array], biases: Sequence[Array], activations: Sequence[Activation], X: Array) -> list[Array]:
    """X, the hidden layers' activations and the output layer's weighted sums."""
    a = [X]
    for W, b, activation in zip(weights, biases, [*activations, Activation.IDENTITY], strict=True):
        a.append(activate(activation, a[-1] @ W + b))
    return a


def backward(
    weights: Sequence[Array], activations: Sequence[Activation], a: Sequence[Array], delta: Array
) -> tuple[list[Array], list[Array]]:
    """Gradients of the weights and the biases, from the delta of the output layer."""
    weight_gradients, bias_gradients = [], []
    for layer in reversed(range(len(weights))):
        weight_gradients.append(a[layer].T @ delta)
        bias_gradients.append(delta.sum(axis=0))
        if layer > 0:
            delta = activate_backward(activations[layer - 1], a[layer], delta @ weights[layer].T)
    return weight_gradients[::-1], bias_gradients[::-1]


def objective_and_gradient(
    problem: Problem, weights: Sequence[Array], biases: Sequence[Array], X: Array, y: Array
) -> tuple[float, list[Array], list[Array]]:
    """J of a batch and its gradient."""
    n_samples = len(X)
    settings = problem.hyperparameters
    l2 = settings.l2 / n_samples if settings.l2_per_sample else settings.l2
    a = forward(weights, biases, problem.activations, X)
    loss, delta = loss_backward(problem.loss, a[-1], y)
    weight_gradients, bias_gradients = backward(weights, problem.activations, a, delta / n_samples)
    objective = loss / n_samples + l2 / 2 * sum(float((W**2).sum()) for W in weights)
    return objective, [g + l2 * W for g, W in zip(weight_gradients, weights, strict=True)], bias_gradients


def update(
    solver: Solver, settings: Hyperparameters, rate: float, step: int, p: Array, gradient: Array, moments: list[Array]
) -> Array:
    """The parameters after update number `step`, counted from 1; the moments change in place.

    SGD: v = momentum v - rate g, p + v, or with Nesterov's look ahead p + momentum v - rate g (Sutskever et al. 2013).
    Adam: Kingma and Ba (2015), algorithm 1.
    """
    if solver == Solver.SGD:
        (velocity,) = moments
        velocity[...] = settings.momentum * velocity - rate * gradient
        return np.asarray(p + (settings.momentum * velocity - rate * gradient if settings.nesterov else velocity))
    m, v = moments
    m[...] = settings.beta_1 * m + (1 - settings.beta_1) * gradient
    v[...] = settings.beta_2 * v + (1 - settings.beta_2) * gradient**2
    corrected_m = m / (1 - settings.beta_1**step)
    root = float(np.sqrt(1 - settings.beta_2**step))
    if settings.epsilon_inside:
        return np.asarray(p - rate * corrected_m / ((np.sqrt(v) + settings.epsilon) / root))
    return np.asarray(p - rate * corrected_m / (np.sqrt(v) / root + settings.epsilon))


def views(params: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """The weights and biases that a flat vector holds: all weights, layer after layer, then all biases."""
    shapes = [*pairwise(sizes), *((size,) for size in sizes[1:])]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = [part.reshape(shape) for part, shape in zip(np.split(params, ends[:-1]), shapes, strict=True)]
    return parts[: len(sizes) - 1], parts[len(sizes) - 1 :]


class Run:
    """A training run in progress.

    Parameters
    ----------
    problem : what is minimised, and how.
    params : flat start parameters, of the working dtype.
    X : (n_rows, n_features) rows in C order, of the working dtype.
    y : (n_rows, 1) class numbers or (n_rows, n_outputs) targets, of the working dtype.
    order : the numbers, among the rows of X and y, of those that come next; refilled by the caller. Full batches need none.
    n_samples : rows in an epoch; X and y have them all, or those that come next.
    batch_size : rows in a batch, at most n_samples.
    threads : of no effect here; NumPy has threads of its own.
    """

    def __init__(
        self,
        problem: Problem,
        params: Array,
        X: Array,
        y: Array,
        order: NDArray[np.int32],
        n_samples: int,
        batch_size: int,
        threads: int | None = None,
    ) -> None:
        self.problem, self.X, self.y, self.order = problem, X, y, order
        self.n_samples, self.batch_size = n_samples, batch_size
        self.params, self.previous_params = params.copy(), params.copy()
        self.moments = [np.zeros_like(params) for _ in range(2 if problem.solver == Solver.ADAM else 1)]
        self.done = self._step = self._first = 0
        self._total = 0.0

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the first of the row order comes next."""
        self._first = done

    def advance(self, rates: Array, losses: Array, until: int, budget: int) -> Status:
        """Train until `until` samples are done or for `budget` batches; write each epoch's mean objective into `losses`.

        Samples count from the beginning of the run, those of every epoch anew. Objectives are means over an epoch's
        batches, weighted by their samples, each taken before its update.
        """
        while budget > 0 and self.done < until:
            budget -= 1
            if not self._train_batch(rates, losses):
                return Status.DIVERGED
        return Status.FINISHED if self.done == until else Status.RUNNING

    def _train_batch(self, rates: Array, losses: Array) -> bool:
        """Make one update, or none where the objective is not finite."""
        problem, n_samples = self.problem, self.n_samples
        epoch, start = divmod(self.done, n_samples)
        rows: Any = slice(None)
        if self.batch_size < n_samples:
            rows = self.order[self.done - self._first :][: min(self.batch_size, n_samples - start)]
        X, y = self.X[rows], self.y[rows]
        weights, biases = views(self.params, problem.sizes)
        # Overflow shows in the objective, or in the next one.
        with np.errstate(over="ignore", invalid="ignore"):
            objective, *gradients = objective_and_gradient(problem, weights, biases, X, y)
        if not np.isfinite(objective):
            return False
        gradient = np.concatenate([part.ravel() for parts in gradients for part in parts])
        self._step += 1
        self.previous_params = self.params
        with np.errstate(over="ignore", invalid="ignore"):
            self.params = update(
                problem.solver, problem.hyperparameters, rates[epoch], self._step, self.params, gradient, self.moments
            )
        self._total += objective * len(X)
        self.done += len(X)
        if self.done % n_samples == 0:
            losses[epoch] = self._total / n_samples
            self._total = 0.0
        return True
