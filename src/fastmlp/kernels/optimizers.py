"""Parameter updates. Padding has zero gradients and stays zero."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.blocks import PAD
from fastmlp.kernels.elementary import expm1
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import (
    every,
    fill,
    first,
    fma,
    lanes,
    least,
    load,
    magnitude,
    number,
    select,
    sqrt,
    store,
    store_first,
)
from fastmlp.options import Hyperparameters, Solver

MOMENTS = {Solver.SGD: 1, Solver.ADAM: 2, Solver.ADAMW: 2, Solver.RMSPROP: 2, Solver.RPROP: 2, Solver.LBFGS: 1}


class Setting(IntEnum):
    """Places in the array of hyper-parameters, of the working dtype: a vector for each, so that lanes may differ."""

    (
        L2, MOMENTUM, NESTEROV, BETA_1, BETA_2, ONE_MINUS_BETA_1, ONE_MINUS_BETA_2, LOG_BETA_1, LOG_BETA_2, EPSILON,
        L2_PER_SAMPLE, EPSILON_INSIDE, L1, WEIGHT_DECAY, RHO, ONE_MINUS_RHO, ETA_MINUS, ETA_PLUS, LEAST_STEP, MOST_STEP,
        MAX_GRAD_NORM, LABEL_SMOOTHING, DELTA, QUANTILE, PATIENCE, TOL
    ) = range(0, 26 * PAD, PAD)  # fmt: skip


NAMED = (
    "l2", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "l2_per_sample", "epsilon_inside", "l1", "rho",
    "max_grad_norm", "label_smoothing", "delta", "quantile", "patience", "tol"
)  # fmt: skip


def settings_array(solver: Solver, chosen: Hyperparameters, dtype: Any) -> NDArray[Any]:
    """The hyper-parameters at the places of `Setting`; what float32 would round badly is computed in float64 here."""
    settings = np.zeros(len(Setting) * PAD, dtype)
    for name in NAMED:
        settings[Setting[name.upper()]] = getattr(chosen, name)
    settings[Setting.ONE_MINUS_BETA_1] = 1 - chosen.beta_1
    settings[Setting.ONE_MINUS_BETA_2] = 1 - chosen.beta_2
    settings[Setting.ONE_MINUS_RHO] = 1 - chosen.rho
    # beta = 0 keeps nothing of the past: its correction is 1 from the first step, as with any very negative logarithm.
    settings[Setting.LOG_BETA_1] = math.log(chosen.beta_1) if chosen.beta_1 else -1000.0
    settings[Setting.LOG_BETA_2] = math.log(chosen.beta_2) if chosen.beta_2 else -1000.0
    settings[Setting.WEIGHT_DECAY] = chosen.weight_decay if solver == Solver.ADAMW else 0.0
    settings[Setting.ETA_MINUS], settings[Setting.ETA_PLUS] = chosen.etas
    settings[Setting.LEAST_STEP], settings[Setting.MOST_STEP] = chosen.step_sizes
    return settings.reshape(-1, PAD)[:, :1].repeat(PAD, axis=1).reshape(-1)


@kernel
def update(net, state, solver, settings, rate, l2, scale, step, here, lo, hi, place):
    """Step from the parameters at `here` to those at the other place, for those from `lo` to `hi`.

    `rate`, `l2` and `scale` are vectors: the last turns the summed gradient into a mean. `step` counts the updates from 1.
    The sums of squared weights go to `place`, lane by lane, and those of absolute weights, if they are asked for, as far
    behind as there are squares; nowhere where that is negative, as for biases.
    """
    if solver == Solver.SGD:
        squares = sgd(net, state, settings, rate, l2, scale, here, lo, hi)
    elif solver == Solver.ADAM or solver == Solver.ADAMW:
        squares = adam(net, state, settings, rate, l2, scale, step, here, lo, hi)
    elif solver == Solver.RMSPROP:
        squares = rmsprop(net, state, settings, rate, l2, scale, here, lo, hi)
    elif solver == Solver.RPROP:
        squares = rprop(net, state, settings, rate, l2, scale, step, here, lo, hi)
    else:
        squares = leave(net, state, l2, scale, here, lo, hi)
    if place >= 0:
        store(state.squares, place, squares)
        if settings[Setting.L1] > 0:
            store(state.squares, place + net.n_squares, magnitudes(net, state.params, net.n_parameters - here, lo, hi))


@routine
def sgd(net, state, settings, rate, l2, scale, here, lo, hi):
    """v = momentum v - rate g; w = w + v, or with Nesterov's look ahead w = w + momentum v - rate g."""
    params, velocity, width = state.params, state.moments, lanes(state.params)
    there, zero = net.n_parameters - here, fill(params, number(params, 0))
    rates = zero - rate
    momentum, nesterov = settings[Setting.MOMENTUM], settings[Setting.NESTEROV] > 0
    momenta, squares = every(settings, Setting.MOMENTUM), zero
    if momentum == 0:
        for i in range(lo, hi, width):
            w = load(params, here + i)
            w = fma(rates, gradient_at(net, state, l2, scale, w, i), w)
            put(params, there + i, w, hi - i)
            squares = squares_with(net, squares, params, w, i, hi)
        return squares
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        v = fma(momenta, load(velocity, i), rates * g)
        put(velocity, i, v, hi - i)
        w = w + (fma(momenta, v, rates * g) if nesterov else v)
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def adam(net, state, settings, rate, l2, scale, step, here, lo, hi):
    """Kingma and Ba (2015), algorithm 1. Their epsilon stands beside the corrected second moment, scikit-learn's before.

    AdamW's decay (Loshchilov and Hutter 2019) is that of the weights; of Adam it is 0.
    """
    params, moments, width = state.params, state.moments, lanes(state.params)
    there, zero, size = net.n_parameters - here, fill(params, number(params, 0)), net.n_parameters
    beta_1, rest_1 = every(settings, Setting.BETA_1), every(settings, Setting.ONE_MINUS_BETA_1)
    beta_2, rest_2 = every(settings, Setting.BETA_2), every(settings, Setting.ONE_MINUS_BETA_2)
    steps = fill(params, number(params, step))
    correction_1 = zero - expm1(steps * every(settings, Setting.LOG_BETA_1))
    root_2 = sqrt(zero - expm1(steps * every(settings, Setting.LOG_BETA_2)))
    rates = (zero - rate) * root_2 / correction_1
    one, epsilon, squares = fill(params, number(params, 1)), every(settings, Setting.EPSILON), zero
    keeps = one - rate * every(settings, Setting.WEIGHT_DECAY)
    if settings[Setting.EPSILON_INSIDE] == 0:
        epsilon = epsilon * root_2
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        m = fma(beta_1, load(moments, i), rest_1 * g)
        v = fma(beta_2, load(moments, size + i), rest_2 * (g * g))
        put(moments, i, m, hi - i)
        put(moments, size + i, v, hi - i)
        w = w * select(first(params, net.n_weights - i), keeps, one)
        w = fma(rates, m / (sqrt(v) + epsilon), w)
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def rmsprop(net, state, settings, rate, l2, scale, here, lo, hi):
    """v = rho v + (1 - rho) g^2; b = momentum b + g / (sqrt(v) + epsilon); w = w - rate b."""
    params, moments, width = state.params, state.moments, lanes(state.params)
    there, zero, size = net.n_parameters - here, fill(params, number(params, 0)), net.n_parameters
    rates, momenta = zero - rate, every(settings, Setting.MOMENTUM)
    rho, rest = every(settings, Setting.RHO), every(settings, Setting.ONE_MINUS_RHO)
    epsilon, squares = every(settings, Setting.EPSILON), zero
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        v = fma(rho, load(moments, size + i), rest * (g * g))
        b = fma(momenta, load(moments, i), g / (sqrt(v) + epsilon))
        put(moments, i, b, hi - i)
        put(moments, size + i, v, hi - i)
        w = fma(rates, b, w)
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def rprop(net, state, settings, rate, l2, scale, step, here, lo, hi):
    """A step for each parameter, longer where the gradient kept its sign, shorter where it did not (iRprop-)."""
    params, moments, width = state.params, state.moments, lanes(state.params)
    there, zero, size = net.n_parameters - here, fill(params, number(params, 0)), net.n_parameters
    down, up = every(settings, Setting.ETA_MINUS), every(settings, Setting.ETA_PLUS)
    least, most = every(settings, Setting.LEAST_STEP), every(settings, Setting.MOST_STEP)
    one, squares = fill(params, number(params, 1)), zero
    for i in range(lo, hi, width):
        w = load(params, here + i)
        g = gradient_at(net, state, l2, scale, w, i)
        sizes = load(moments, size + i)
        if step == 1:
            sizes = rate
        agreement = load(moments, i) * g
        sizes = sizes * select(agreement > zero, up, select(agreement < zero, down, one))
        sizes = select(sizes < least, least, select(sizes > most, most, sizes))
        g = select(agreement < zero, zero, g)
        put(moments, i, g, hi - i)
        put(moments, size + i, sizes, hi - i)
        w = w - sign(params, g) * sizes
        put(params, there + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def leave(net, state, l2, scale, here, lo, hi):
    """No step: the gradient is added to the moments."""
    params, width = state.params, lanes(state.params)
    squares = fill(params, number(params, 0))
    for i in range(lo, hi, width):
        w = load(params, here + i)
        put(state.moments, i, load(state.moments, i) + gradient_at(net, state, l2, scale, w, i), hi - i)
        put(params, net.n_parameters - here + i, w, hi - i)
        squares = squares_with(net, squares, params, w, i, hi)
    return squares


@routine
def prepare(net, state, settings, l2, scale, here, lo, hi):
    """Add the slope of the absolute weights to the gradient, and sum the squares of what the whole gradient is then."""
    params, gradient, width = state.params, state.gradient, lanes(state.params)
    zero = fill(params, number(params, 0))
    slopes, squares = every(settings, Setting.L1) / scale, zero
    for i in range(lo, hi, width):
        w = load(params, here + i)
        slope = select(first(params, net.n_weights - i), sign(params, w) * slopes, zero)
        put(gradient, i, load(gradient, i) + slope, hi - i)
        g = select(first(params, hi - i), gradient_at(net, state, l2, scale, w, i), zero)
        squares = fma(g, g, squares)
    return squares


@routine
def magnitudes(net, params, there, lo, hi):
    """The sum of the absolute weights, lane by lane."""
    zero = fill(params, number(params, 0))
    sums = zero
    for i in range(lo, hi, lanes(params)):
        weights = select(first(params, least(net.n_weights, hi) - i), load(params, there + i), zero)
        sums = sums + magnitude(weights)
    return sums


@kernel
def sign(params, x):
    """-1, 0 or 1."""
    zero, one = fill(params, number(params, 0)), fill(params, number(params, 1))
    return select(x > zero, one, select(x < zero, zero - one, zero))


@kernel
def gradient_at(net, state, l2, scale, w, i):
    """The gradient of the mean loss and of the penalty, of which biases are free."""
    decays = select(first(state.params, net.n_weights - i), l2, fill(state.params, number(state.params, 0)))
    return fma(decays, w, load(state.gradient, i) * scale)


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
    weights = select(first(params, least(net.n_weights, hi) - i), w, fill(params, number(params, 0)))
    return fma(weights, weights, squares)
