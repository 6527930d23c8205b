"""Activations of a panel and their derivatives."""

from __future__ import annotations

from fastmlp.kernels.curves import (
    elu,
    elu_slope,
    gelu,
    gelu_slope,
    leaky_relu,
    leaky_relu_slope,
    mish,
    mish_slope,
    selu,
    selu_slope,
    silu,
    silu_slope,
    softplus,
    softplus_slope,
)
from fastmlp.kernels.elementary import logistic, tanh
from fastmlp.kernels.jit import routine
from fastmlp.kernels.vectors import fill, fma, lanes, load, number, select, store
from fastmlp.options import Activation


@routine
def activate(activation, panel, start, slope0, step, units, vectors):
    """Apply the activation in place; leave its slopes at `slope0` where they do not follow from what it returns."""
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
    elif activation != Activation.IDENTITY:
        activate_curve(activation, panel, start, slope0, step, units, vectors)


@routine
def activate_curve(activation, panel, start, slope0, step, units, vectors):
    """The less usual activations: in one loop, since compiling many costs more than choosing in it."""
    width, there = lanes(panel), slope0 - start
    for unit in range(units):
        for i in range(start + unit * step, start + unit * step + vectors * width, width):
            z = load(panel, i)
            if activation == Activation.LEAKY_RELU:
                a = leaky_relu(z)
            elif activation == Activation.ELU:
                a = elu(z)
            elif activation == Activation.SELU:
                a = selu(z)
            elif activation == Activation.SOFTPLUS:
                a = softplus(z)
            else:
                if activation == Activation.GELU:
                    a, slope = gelu(z), gelu_slope(z)
                elif activation == Activation.SILU:
                    a, slope = silu(z), silu_slope(z)
                else:
                    a, slope = mish(z), mish_slope(z)
                store(panel, i + there, slope)
            store(panel, i, a)


@routine
def activate_backward(activation, panel, start, delta0, step, units, vectors):
    """delta = delta * f'(z) in place, from the activations a = f(z) in the panel at `start`."""
    width, there = lanes(panel), delta0 - start
    zero, one = fill(panel, number(panel, 0)), fill(panel, number(panel, 1))
    if activation == Activation.TANH:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                a = load(panel, i)
                store(panel, i + there, load(panel, i + there) * fma(zero - a, a, one))
    elif activation == Activation.LOGISTIC:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                a = load(panel, i)
                store(panel, i + there, load(panel, i + there) * fma(zero - a, a, a))
    elif activation == Activation.RELU:
        for unit in range(units):
            for i in range(start + unit * step, start + unit * step + vectors * width, width):
                store(panel, i + there, select(load(panel, i) > zero, load(panel, i + there), zero))
    elif activation != Activation.IDENTITY:
        activate_curve_backward(activation, panel, start, delta0, step, units, vectors)


@routine
def activate_curve_backward(activation, panel, start, delta0, step, units, vectors):
    """The same for the activations of :func:`activate_curve` whose slopes follow from what they return."""
    width, there = lanes(panel), delta0 - start
    for unit in range(units):
        for i in range(start + unit * step, start + unit * step + vectors * width, width):
            a = load(panel, i)
            if activation == Activation.LEAKY_RELU:
                slope = leaky_relu_slope(a)
            elif activation == Activation.ELU:
                slope = elu_slope(a)
            elif activation == Activation.SELU:
                slope = selu_slope(a)
            else:
                slope = softplus_slope(a)
            store(panel, i + there, load(panel, i + there) * slope)


@routine
def multiply(panel, slope0, delta0, step, units, vectors):
    """delta = delta * f'(z) in place, from the slopes that the forward pass has left."""
    width = lanes(panel)
    for unit in range(units):
        for i in range(slope0 + unit * step, slope0 + unit * step + vectors * width, width):
            there = i + delta0 - slope0
            store(panel, there, load(panel, there) * load(panel, i))
