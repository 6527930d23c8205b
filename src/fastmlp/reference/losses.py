"""Losses of samples, their deltas, and the predictions that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Hyperparameters, Loss
from fastmlp.reference.activations import logistic, softmax, softplus

Array = NDArray[Any]


def output(loss: Loss, z: Array) -> Array:
    """The prediction that belongs to the output layer's weighted sums."""
    if loss == Loss.CROSS_ENTROPY:
        return softmax(z)
    if loss == Loss.BINARY_CROSS_ENTROPY:
        return logistic(z)
    return np.exp(z) if loss == Loss.POISSON else z


def loss_backward(loss: Loss, settings: Hyperparameters, z: Array, y: Array) -> tuple[Array, Array]:
    """Each sample's loss, summed over its outputs, and its gradient with respect to z.

    `y` is (n_samples, 1) class numbers for the cross-entropy, else (n_samples, n_outputs) targets. Label smoothing
    mixes the cross-entropy's targets with even ones (Szegedy et al. 2016); Poisson is half the deviance (McCullagh and
    Nelder 1989).
    """
    if loss == Loss.CROSS_ENTROPY:
        return _cross_entropy(settings.label_smoothing, z, y[:, 0].astype(np.intp))
    error = output(loss, z) - y
    if loss == Loss.BINARY_CROSS_ENTROPY:
        # log(1 + exp(z)) - y z, the minus logarithm of the probability given to y.
        return (softplus(z) - y * z).sum(axis=1), error
    if loss == Loss.POISSON:
        deviance = np.exp(z) - y - y * z
        some = y > 0
        deviance[some] += y[some] * np.log(y[some])
        return deviance.sum(axis=1), error
    if loss == Loss.ABSOLUTE_ERROR:
        return np.abs(error).sum(axis=1), np.sign(error)
    if loss == Loss.HUBER:
        clipped = np.clip(error, -settings.delta, settings.delta)
        return (clipped * (error - clipped / 2)).sum(axis=1), clipped
    if loss == Loss.QUANTILE:
        rise = settings.quantile
        slope = np.where(error > 0, 1 - rise, np.where(error < 0, -rise, error)).astype(z.dtype)
        return (slope * error).sum(axis=1), slope
    return (error**2).sum(axis=1) / 2, error


def _cross_entropy(smoothing: float, z: Array, labels: NDArray[np.intp]) -> tuple[Array, Array]:
    """-sum over the classes of target * log(softmax)."""
    targets = np.full_like(z, smoothing / z.shape[1])
    targets[np.arange(len(z)), labels] += 1 - smoothing
    shifted = z - z.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(targets * log_softmax).sum(axis=1), softmax(z) - targets
