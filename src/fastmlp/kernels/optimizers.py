"""Parameter updates. Padding has zero gradients and stays zero."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.elementary import expm1
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import fill, first, fma, lanes, load, number, select, sqrt, store, store_first
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
def update(net, state, solver, settings, rate, l2, scale, step, here, lo, hi, place):
    """Step from the parameters at `here` to those at the other place, for those from `lo` to `hi`.

    `scale` turns the summed gradient into a mean, and `step` counts the updates from 1. The sums of squared weights go to
    `place`, lane by lane; nowhere where that is negative, as for biases.
    """
    if solver == Solver.ADAM:
        squares = adam(net, state, settings, rate, l2, scale, step, here, lo, hi)
    else:
        squares = sgd(net, state, settings, rate, l2, scale, here, lo, hi)
    if place >= 0:
        store(state.squares, place, squares)


@routine
def sgd(net, state, settings, rate, l2, scale, here, lo, hi):
    """v = momentum v - rate g; w = w + v, or with Nesterov's look ahead w = w + momentum v - rate g."""
    params, velocity, width = state.params, state.moments, lanes(state.params)
    there, zero = net.n_parameters - here, fill(params, number(params, 0))
    rates = zero - fill(params, rate)
    momentum, nesterov = settings[Setting.MOMENTUM], settings[Setting.NESTEROV] > 0
    momenta, squares = fill(params, momentum), zero
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        if momentum > 0:
            v = fma(momenta, load(velocity, i), rates * g)
            put(velocity, i, v, hi - i)
            w = w + (fma(momenta, v, rates * g) if nesterov else v)
        else:
            w = fma(rates, g, w)
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def adam(net, state, settings, rate, l2, scale, step, here, lo, hi):
    """Kingma and Ba (2015), algorithm 1. Their epsilon stands beside the corrected second moment, scikit-learn's before."""
    params, moments, width = state.params, state.moments, lanes(state.params)
    there, zero, size = net.n_parameters - here, fill(params, number(params, 0)), net.n_parameters
    beta_1, rest_1 = fill(params, settings[Setting.BETA_1]), fill(params, settings[Setting.ONE_MINUS_BETA_1])
    beta_2, rest_2 = fill(params, settings[Setting.BETA_2]), fill(params, settings[Setting.ONE_MINUS_BETA_2])
    steps = fill(params, number(params, step))
    correction_1 = zero - expm1(steps * fill(params, settings[Setting.LOG_BETA_1]))
    root_2 = sqrt(zero - expm1(steps * fill(params, settings[Setting.LOG_BETA_2])))
    rates = (zero - fill(params, rate)) * root_2 / correction_1
    epsilon, squares = fill(params, settings[Setting.EPSILON]), zero
    if settings[Setting.EPSILON_INSIDE] == 0:
        epsilon = epsilon * root_2
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        m = fma(beta_1, load(moments, i), rest_1 * g)
        v = fma(beta_2, load(moments, size + i), rest_2 * (g * g))
        put(moments, i, m, hi - i)
        put(moments, size + i, v, hi - i)
        w = fma(rates, m / (sqrt(v) + epsilon), w)
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@kernel
def gradient_at(net, state, l2, scale, w, i):
    """The gradient of the mean loss and of the penalty, of which biases are free."""
    zero, decays = fill(state.params, number(state.params, 0)), fill(state.params, l2)
    decays = select(first(state.params, net.n_weights - i), decays, zero)
    return fma(decays, w, load(state.gradient, i) * fill(state.params, scale))


@kernel
def put(array, i, value, count):
    """Write the first `count` lanes."""
    if count >= lanes(array):
        store(array, i, value)
    else:
        store_first(array, i, value, count)


@kernel
def squares_with(net, squares, params, w, i, hi):
    """Add a vector's squared weights."""
    weights = select(first(params, min(net.n_weights, hi) - i), w, fill(params, number(params, 0)))
    return fma(weights, weights, squares)
