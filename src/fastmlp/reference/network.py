"""Forward, backward, and the objective they serve.

Samples are rows. ``weights[l]`` is (fan_in, fan_out), ``biases[l]`` (fan_out,), layer by layer; ``z[l]`` are layer l's
weighted sums, ``a[0]`` is X and ``a[l + 1]`` what layer l makes of its sums. The objective of a batch is

    J = sum_i w_i loss_i / sum_i w_i + l2 / 2 * sum of squared weights + l1 * sum of absolute weights   (biases are free)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Activation, Problem
from fastmlp.reference.activations import activate, activate_backward
from fastmlp.reference.losses import loss_backward

Array = NDArray[Any]


def forward(
    weights: Sequence[Array], biases: Sequence[Array], activations: Sequence[Activation], X: Array, kept: Sequence[Any] = ()
) -> tuple[list[Array], list[Array]]:
    """The weighted sums of each layer; and X and the activations of the hidden layers, before dropout takes its part."""
    z, a, left = [], [X], X
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
        z.append(left @ W + b)
        if layer < len(activations):
            a.append(activate(activations[layer], z[-1]))
            left = a[-1] * kept[layer] if kept else a[-1]
    return z, a


def backward(
    weights: Sequence[Array],
    activations: Sequence[Activation],
    z: Sequence[Array],
    a: Sequence[Array],
    delta: Array,
    kept: Sequence[Any] = (),
) -> tuple[list[Array], list[Array]]:
    """Gradients of the weights and the biases, from the delta of the output layer."""
    weight_gradients, bias_gradients = [], []
    for layer in reversed(range(len(weights))):
        keep = kept[layer - 1] if kept and layer > 0 else 1
        weight_gradients.append((a[layer] * keep).T @ delta)
        bias_gradients.append(delta.sum(axis=0))
        if layer > 0:
            below = delta @ weights[layer].T * keep
            delta = activate_backward(activations[layer - 1], z[layer - 1], a[layer], below)
    return weight_gradients[::-1], bias_gradients[::-1]


def objective_and_gradient(
    problem: Problem,
    weights: Sequence[Array],
    biases: Sequence[Array],
    X: Array,
    y: Array,
    sample_weight: Array | None = None,
    kept: Sequence[Any] = (),
) -> tuple[float, list[Array], list[Array]]:
    """J of a batch and its gradient, of a norm of at most ``max_grad_norm`` (Pascanu et al. 2013)."""
    settings = problem.hyperparameters
    z, a = forward(weights, biases, problem.activations, X, kept)
    losses, delta = loss_backward(problem.loss, settings, z[-1], y)
    if sample_weight is not None:
        losses, delta = losses * sample_weight, delta * sample_weight[:, np.newaxis]
    total = len(X) if sample_weight is None else float(sample_weight.sum())
    weight_gradients, bias_gradients = backward(weights, problem.activations, z, a, delta / total, kept)
    l1, l2 = settings.l1, settings.l2 / total if settings.l2_per_sample else settings.l2
    objective = float(losses.sum()) / total + sum(penalty(W, l1, l2) for W in weights)
    weight_gradients = [g + l2 * W + l1 * np.sign(W) for g, W in zip(weight_gradients, weights, strict=True)]
    if settings.max_grad_norm > 0:
        norm = math.sqrt(sum(float((g**2).sum()) for g in (*weight_gradients, *bias_gradients)))
        factor = settings.max_grad_norm / norm if norm > settings.max_grad_norm else 1.0
        weight_gradients, bias_gradients = [g * factor for g in weight_gradients], [g * factor for g in bias_gradients]
    return objective, weight_gradients, bias_gradients


def penalty(W: Array, l1: float, l2: float) -> float:
    """What a weight matrix adds to the objective."""
    # Weights whose squares overflow may do without a penalty.
    return (l2 / 2 * float((W**2).sum()) if l2 else 0.0) + (l1 * float(np.abs(W).sum()) if l1 else 0.0)


def views(params: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """The weights and biases that a flat vector holds: all weights, layer after layer, then all biases."""
    shapes = [*pairwise(sizes), *((size,) for size in sizes[1:])]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = [part.reshape(shape) for part, shape in zip(np.split(params, ends[:-1]), shapes, strict=True)]
    return parts[: len(sizes) - 1], parts[len(sizes) - 1 :]
