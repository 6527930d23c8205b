"""Activations, their derivatives, and what else a layer does to its weighted sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Activation

Array = NDArray[Any]

LEAK = 0.01
# Klambauer et al. 2017, equation 14: with these, outputs of mean 0 and variance 1 beget the like.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z)), by the exponential that cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e / (1 + e), 1 / (1 + e))


def softmax(z: Array) -> Array:
    """exp(z) over its sum in each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def softplus(z: Array) -> Array:
    """log(1 + exp(z))."""
    return np.asarray(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0))


def normal_cdf(z: Array) -> Array:
    """The share of a standard normal distribution below z."""
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def normal_pdf(z: Array) -> Array:
    """The density of a standard normal distribution."""
    return np.asarray(np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def activate(activation: Activation, z: Array) -> Array:
    """a = f(z)."""
    negative = np.minimum(z, 0)
    if activation == Activation.LOGISTIC:
        return logistic(z)
    if activation == Activation.TANH:
        return np.asarray(np.tanh(z))
    if activation == Activation.RELU:
        return np.asarray(np.where(z < 0, 0, z))
    if activation == Activation.LEAKY_RELU:
        return np.asarray(np.where(z < 0, LEAK * z, z))
    if activation == Activation.ELU:
        return np.asarray(np.where(z < 0, np.expm1(negative), z))
    if activation == Activation.SELU:
        return np.asarray(SELU_SCALE * np.where(z < 0, SELU_ALPHA * np.expm1(negative), z))
    if activation == Activation.SOFTPLUS:
        return softplus(z)
    if activation == Activation.GELU:
        return z * normal_cdf(z)
    if activation == Activation.SILU:
        return z * logistic(z)
    if activation == Activation.MISH:
        return np.asarray(z * np.tanh(softplus(z)))
    return z


def activate_backward(activation: Activation, z: Array, a: Array, delta: Array) -> Array:
    """delta * f'(z), where a = f(z)."""
    slope: Any = 1
    if activation == Activation.LOGISTIC:
        slope = a * (1 - a)
    elif activation == Activation.TANH:
        slope = 1 - a**2
    elif activation == Activation.RELU:
        return np.where(z > 0, delta, 0)
    elif activation == Activation.LEAKY_RELU:
        return np.where(z > 0, delta, LEAK * delta)
    elif activation == Activation.ELU:
        slope = np.where(z > 0, 1, np.exp(np.minimum(z, 0)))
    elif activation == Activation.SELU:
        slope = SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0)))
    elif activation == Activation.SOFTPLUS:
        slope = logistic(z)
    elif activation == Activation.GELU:
        slope = normal_cdf(z) + z * normal_pdf(z)
    elif activation == Activation.SILU:
        slope = logistic(z) * (1 + z * (1 - logistic(z)))
    elif activation == Activation.MISH:
        t = np.tanh(softplus(z))
        slope = t + z * (1 - t**2) * logistic(z)
    return np.asarray(delta * slope, dtype=delta.dtype)
