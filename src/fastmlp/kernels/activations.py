"""Activations of a panel and their derivatives, in terms of what the activation returned."""

from __future__ import annotations

from fastmlp.kernels.elementary import logistic, tanh
from fastmlp.kernels.jit import routine
from fastmlp.kernels.vectors import fill, lanes, load, number, select, store
from fastmlp.options import Activation


@routine
def activate(activation, panel, start, step, units, vectors):
    """Apply the activation in place."""
    width = lanes(panel)
    zero = fill(panel, number(panel, 0))
    if activation == Activation.TANH:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                store(panel, i, tanh(load(panel, i)))
    elif activation == Activation.LOGISTIC:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                store(panel, i, logistic(load(panel, i)))
    elif activation == Activation.RELU:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                z = load(panel, i)
                store(panel, i, select(z < zero, zero, z))


@routine
def activate_backward(activation, panel, start, delta0, step, units, vectors):
    """delta = delta * f'(z) in place, from the activations a = f(z) in the panel at `start`."""
    width = lanes(panel)
    zero, one = fill(panel, number(panel, 0)), fill(panel, number(panel, 1))
    there = delta0 - start
    for unit in range(units):
        for i in range(start + unit * step, start + unit * step + vectors * width, width):
            a, delta = load(panel, i), load(panel, i + there)
            if activation == Activation.TANH:
                delta = delta * (one - a * a)
            elif activation == Activation.LOGISTIC:
                delta = delta * (a * (one - a))
            elif activation == Activation.RELU:
                delta = select(a > zero, delta, zero)
            store(panel, i + there, delta)
