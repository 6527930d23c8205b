"""Parameter updates. Padding has zero gradients and stays zero."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.elementary import expm1
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import fill, first, fma, lanes, load, number, select, sqrt, store, total
from fastmlp.options import Hyperparameters, Solver


class Setting(IntEnum):
    """Places in the array of hyper-parameters, which carries the working dtype."""

    L2 = 0
    MOMENTUM = 1
    NESTEROV = 2
    BETA_1 = 3
    BETA_2 = 4
    ONE_MINUS_BETA_1 = 5
    ONE_MINUS_BETA_2 = 6
    LOG_BETA_1 = 7
    LOG_BETA_2 = 8
    EPSILON = 9
    L2_PER_SAMPLE = 10
    EPSILON_INSIDE = 11


def settings_array(chosen: Hyperparameters, dtype: Any) -> NDArray[Any]:
    """The hyper-parameters at the places of `Setting`; what float32 would round badly is computed in float64 here."""
    settings = np.zeros(len(Setting), dtype)
    for name in ("l2", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "l2_per_sample", "epsilon_inside"):
        settings[Setting[name.upper()]] = getattr(chosen, name)
    settings[Setting.ONE_MINUS_BETA_1] = 1 - chosen.beta_1
    settings[Setting.ONE_MINUS_BETA_2] = 1 - chosen.beta_2
    # beta = 0 keeps nothing of the past: its correction is 1 from the first step, as with any very negative logarithm.
    settings[Setting.LOG_BETA_1] = math.log(chosen.beta_1) if chosen.beta_1 else -1000.0
    settings[Setting.LOG_BETA_2] = math.log(chosen.beta_2) if chosen.beta_2 else -1000.0
    return settings


@kernel
def update(solver, settings, rate, l2, scale, step, params, here, there, gradient, moments, n_weights, size, lo, hi):
    """Step from the parameters at `here` to those at `there`; return the sum of their squared weights.

    `scale` turns the summed gradient into a mean, `step` counts the updates from 1, and of the `size` parameters those from
    `lo` to `hi` are updated.
    """
    if solver == Solver.ADAM:
        return adam(settings, rate, l2, scale, step, params, here, there, gradient, moments, n_weights, size, lo, hi)
    return sgd(settings, rate, l2, scale, params, here, there, gradient, moments, n_weights, lo, hi)


@routine
def sgd(settings, rate, l2, scale, params, here, there, gradient, velocity, n_weights, lo, hi):
    """v = momentum v - rate g; w = w + v, or with Nesterov's look ahead w = w + momentum v - rate g."""
    width, zero = lanes(params), fill(params, number(params, 0))
    scales, decays, rates = fill(params, scale), fill(params, l2), zero - fill(params, rate)
    momentum, nesterov = settings[Setting.MOMENTUM], settings[Setting.NESTEROV] > 0
    momenta = fill(params, momentum)
    squares = zero
    for i in range(lo, hi, width):
        is_weight = first(params, n_weights - i)
        w = load(params, here + i)
        g = fma(select(is_weight, decays, zero), w, load(gradient, i) * scales)
        if momentum > 0:
            v = fma(momenta, load(velocity, i), rates * g)
            store(velocity, i, v)
            w = w + (fma(momenta, v, rates * g) if nesterov else v)
        else:
            w = fma(rates, g, w)
        store(params, there + i, w)
        squares = squares_with(squares, is_weight, w, zero)
    return total(squares)


@routine
def adam(settings, rate, l2, scale, step, params, here, there, gradient, moments, n_weights, size, lo, hi):
    """Kingma and Ba (2015), algorithm 1. Their epsilon stands beside the corrected second moment, scikit-learn's before."""
    width, zero = lanes(params), fill(params, number(params, 0))
    scales, decays = fill(params, scale), fill(params, l2)
    beta_1, rest_1 = fill(params, settings[Setting.BETA_1]), fill(params, settings[Setting.ONE_MINUS_BETA_1])
    beta_2, rest_2 = fill(params, settings[Setting.BETA_2]), fill(params, settings[Setting.ONE_MINUS_BETA_2])
    steps = fill(params, number(params, step))
    correction_1 = zero - expm1(steps * fill(params, settings[Setting.LOG_BETA_1]))
    root_2 = sqrt(zero - expm1(steps * fill(params, settings[Setting.LOG_BETA_2])))
    rates = (zero - fill(params, rate)) * root_2 / correction_1
    epsilon = fill(params, settings[Setting.EPSILON])
    if settings[Setting.EPSILON_INSIDE] == 0:
        epsilon = epsilon * root_2
    squares = zero
    for i in range(lo, hi, width):
        is_weight = first(params, n_weights - i)
        w = load(params, here + i)
        g = fma(select(is_weight, decays, zero), w, load(gradient, i) * scales)
        m = fma(beta_1, load(moments, i), rest_1 * g)
        v = fma(beta_2, load(moments, size + i), rest_2 * (g * g))
        store(moments, i, m)
        store(moments, size + i, v)
        w = fma(rates, m / (sqrt(v) + epsilon), w)
        store(params, there + i, w)
        squares = squares_with(squares, is_weight, w, zero)
    return total(squares)


@kernel
def squares_with(squares, is_weight, w, zero):
    """Add a vector's squared weights."""
    weights = select(is_weight, w, zero)
    return fma(weights, weights, squares)
