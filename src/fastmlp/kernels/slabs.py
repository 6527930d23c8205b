"""A wide net's batch slab by slab, layer by layer: each thread owns a part of a layer's weights.

It alone reads those in the forward pass, adds up their gradient and updates them, so that weights, of which there are many,
stay in its cache, and gathers the inputs for itself while they are not too many; what threads exchange are the values of
the hidden layers. A layer of many units is divided by units. Its weights lie in groups of `GROUP` units, each (fan_in,
units) and the next one behind it, since a core that reads a row on and on would take lines out of another's cache. A layer
of few units is divided by inputs, and its forward pass by samples.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.activations import activate, activate_backward, multiply
from fastmlp.kernels.blocks import (
    ACTIVATION,
    BIAS_SUMS,
    BIASES,
    BY_UNITS,
    DELTA,
    DROPPED,
    FAN_IN,
    FAN_OUT,
    GROUP,
    KEY,
    LOSSES,
    PAD,
    PANEL,
    SLOPE,
    SQUARES,
    TURNED,
    WEIGHT,
    WEIGHTS,
)
from fastmlp.kernels.dense import (
    FROM_OUTPUT,
    FROM_SCALARS,
    FROM_ZERO,
    backward_input,
    backward_weights,
    bias_sums,
    fold,
    forward_dense,
    product,
    turn,
    turned_row,
)
from fastmlp.kernels.dropout import drop
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.losses import loss_backward, weight_of
from fastmlp.kernels.optimizers import prepare, update
from fastmlp.kernels.shares import add, cut, gather, parts_of, reset
from fastmlp.kernels.threads import meet
from fastmlp.kernels.vectors import lanes, least, store, total


@kernel
def own(size, group, rank, threads):
    """From where to where a thread's share of so many units or inputs goes, in whole groups."""
    groups = (size + group - 1) // group
    return cut(groups, rank, threads) * group, least(size, cut(groups, rank + 1, threads) * group)


@kernel
def own_units(net, layer, rank, threads):
    """From where to where a thread's own units of a layer go."""
    return own(net.layers[layer, FAN_OUT], GROUP if net.layers[layer, BY_UNITS] > 0 else PAD, rank, threads)


@kernel
def own_inputs(net, layer, rank, threads):
    """From where to where a thread's own inputs of a layer go: the units of the layer below."""
    if layer > 0:
        return own_units(net, layer - 1, rank, threads)
    return own(net.layers[layer, FAN_IN], PAD, rank, threads)


@routine
def columns_of(samples, block, n_blocks, width):
    """The first sample of a block of a slab, and how many it has."""
    vectors = (samples + width - 1) // width
    lo, hi = cut(vectors, block, n_blocks) * width, cut(vectors, block + 1, n_blocks) * width
    return lo, least(samples, hi) - lo


@kernel
def gradients(net, data, state, settings, here, step, rows, size, round_, rank, threads, sync, goal):
    """One thread's share of a round: a slab, forward and backward, to the gradient of the thread's own weights.

    `rows` is where the batch's rows stand in the order. Returns how many rounds the batch has, how many blocks this one
    had, and at which count of the barrier all threads will have met again.
    """
    scratch = state.scratch
    samples = least(net.slab, size - round_ * net.slab)
    x, x0, y, y0 = scratch, net.inputs, scratch, net.targets
    if data.laid_out:
        x, x0 = data.X, round_ * net.n_features * net.stride
        y, y0 = data.y, round_ * net.n_targets * net.stride
    else:
        place = rows + round_ * net.slab
        if net.own_inputs > 0:
            x0 = net.scratch + net.own_inputs * rank
        goal = slab_gather(net, data, x, x0, place, samples, rank, threads, sync, goal)
    goal = slab_forward(net, state, settings, here, step, x, x0, y, y0, samples, round_, rank, threads, sync, goal)
    if net.learns:
        goal = slab_backward(net, state, here, x, x0, samples, round_, rank, threads, sync, goal)
    rounds = parts_of(size, net.slab)
    # Nobody may lay the next slab over this one while another thread reads it; an update touches none of it.
    if round_ + 1 < rounds:
        goal = meet(sync, threads, goal)
    return rounds, parts_of(samples, net.block), goal


@kernel
def slab_backward(net, state, here, x, x0, samples, round_, rank, threads, sync, goal):
    """From the delta of the output layer to the gradient of a thread's own weights in all layers."""
    scratch = state.scratch
    vectors = (samples + lanes(scratch) - 1) // lanes(scratch)
    how = FROM_ZERO if round_ == 0 else FROM_OUTPUT
    for layer in range(net.n_layers - 1, -1, -1):
        left, l0 = x, x0
        if layer > 0:
            left, l0 = scratch, net.layers[layer - 1, PANEL]
        slab_weights(net, state, layer, left, l0, samples, vectors, how, rank, threads)
        if layer > 0:
            lo, hi = own_inputs(net, layer, rank, threads)
            slab_input(net, state, layer, here, lo, hi, vectors)
            below, first = net.layers[layer - 1, DELTA], lo * net.stride
            activation = net.layers[layer - 1, ACTIVATION]
            if net.layers[layer - 1, SLOPE] >= 0:
                slope = net.layers[layer - 1, SLOPE] + first
                multiply(scratch, slope, below + first, net.stride, hi - lo, vectors)
            else:
                activate_backward(activation, scratch, l0 + first, below + first, net.stride, hi - lo, vectors)
            turn(net, layer - 1, scratch, below, net.layers[layer - 1, TURNED], lo, hi, vectors)
            goal = meet(sync, threads, goal)
    return goal


@routine
def slab_gather(net, data, x, x0, place, samples, rank, threads, sync, goal):
    """Gather a slab's targets by samples, and its inputs likewise or each thread for itself."""
    n_blocks, zero = parts_of(samples, net.block), np.int64(0)
    for block in range(cut(n_blocks, rank, threads), cut(n_blocks, rank + 1, threads)):
        lo, count = columns_of(samples, block, n_blocks, lanes(x))
        gather(data.y, zero, net.n_targets, data.order, place + lo, count, x, net.targets + lo, net.stride)
        if net.own_inputs == 0:
            gather(data.X, zero, net.n_features, data.order, place + lo, count, x, x0 + lo, net.stride)
    if net.own_inputs > 0:
        gather(data.X, zero, net.n_features, data.order, place, samples, x, x0, net.stride)
        return goal
    return meet(sync, threads, goal)


@routine
def slab_forward(net, state, settings, here, step, x, x0, y, y0, samples, round_, rank, threads, sync, goal):
    """Forward through all layers, to the losses and the delta of the output layer."""
    scratch, zero = state.scratch, np.int64(0)
    vectors = (samples + lanes(scratch) - 1) // lanes(scratch)
    n_blocks, last = parts_of(samples, net.block), net.n_layers - 1
    key, sample = state.cursor[KEY], round_ * net.slab
    source, s0 = x, x0
    for layer in range(last + 1):
        panel, units = net.layers[layer, PANEL], net.layers[layer, FAN_OUT]
        activation, slope = net.layers[layer, ACTIVATION], net.layers[layer, SLOPE]
        if net.layers[layer, BY_UNITS] > 0:
            lo, hi = own_units(net, layer, rank, threads)
            groups_forward(net, state, layer, here, source, s0, lo, hi, vectors)
            first = lo * net.stride
            activate(activation, scratch, panel + first, slope + first, net.stride, hi - lo, vectors)
            if net.layers[layer, DROPPED] > 0:
                drop(net, layer, scratch, panel, slope, vectors, key, step, sample, lo, hi)
        else:
            for block in range(cut(n_blocks, rank, threads), cut(n_blocks, rank + 1, threads)):
                lo, count = columns_of(samples, block, n_blocks, lanes(scratch))
                some, to = (count + lanes(scratch) - 1) // lanes(scratch), panel + lo
                forward_dense(net, layer, state.params, here, source, s0 + lo, scratch, to, some)
                if layer < last:
                    activate(activation, scratch, to, slope + lo, net.stride, units, some)
                    if net.layers[layer, DROPPED] > 0:
                        drop(net, layer, scratch, to, slope + lo, some, key, step, sample + lo, zero, units)
                    continue
                loss = total(loss_backward(net, settings, scratch, to, units, y, y0 + lo, count, lanes(scratch)))
                if round_ == 0:
                    reset(state.running, LOSSES + PAD * block)
                    reset(state.running, LOSSES + PAD * block + WEIGHT)
                add(state.running, LOSSES + PAD * block, loss)
                if net.weighted:
                    add(state.running, LOSSES + PAD * block + WEIGHT, total(weight_of(net, y, y0 + lo, count, lanes(y))))
                turned = net.layers[layer, TURNED] + lo * turned_row(units)
                turn(net, layer, scratch, to, turned, zero, units, some)
        goal = meet(sync, threads, goal)
        source, s0 = scratch, panel
    return goal


@routine
def groups_forward(net, state, layer, here, x, x0, lo, hi, vectors):
    """out = W.T @ x + b, the rows `lo` to `hi` of a panel, from weights in groups."""
    fan_in, step, panel = net.layers[layer, FAN_IN], net.stride, net.layers[layer, PANEL]
    one, begin = np.int64(1), np.int64(FROM_SCALARS)
    for unit in range(lo, hi, GROUP):
        units, w0 = least(GROUP, hi - unit), here + net.layers[layer, WEIGHTS] + fan_in * unit
        product(
            state.params, w0, one, units, x, x0, step, state.scratch, panel + unit * step, step, units, vectors, fan_in,
            begin, here + net.layers[layer, BIASES] + unit, lanes(state.scratch)
        )  # fmt: skip


@routine
def slab_input(net, state, layer, here, lo, hi, vectors):
    """The rows `lo` to `hi` of the panel W @ delta."""
    delta, below, step = net.layers[layer, DELTA], net.layers[layer - 1, DELTA], net.stride
    scratch, params = state.scratch, state.params
    if net.layers[layer, BY_UNITS] == 0:
        backward_input(net, layer, params, here, scratch, delta, below, vectors, lo, hi)
        return
    fan_in, fan_out, one = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT], np.int64(1)
    how = np.int64(FROM_ZERO)
    for unit in range(0, fan_out, GROUP):
        units = least(GROUP, fan_out - unit)
        w0 = here + net.layers[layer, WEIGHTS] + fan_in * unit + lo * units
        product(
            params, w0, units, one, scratch, delta + unit * step, step, scratch, below + lo * step, step, hi - lo, vectors,
            units, how, w0, lanes(scratch)
        )  # fmt: skip
        how = np.int64(FROM_OUTPUT)


@routine
def slab_weights(net, state, layer, x, x0, samples, vectors, how, rank, threads):
    """The gradient of a thread's own weights and biases of a layer."""
    scratch, gradient, zero, one = state.scratch, state.gradient, np.int64(0), np.int64(1)
    fan_in, fan_out, width = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT], lanes(scratch)
    delta, turned = net.layers[layer, DELTA], net.layers[layer, TURNED]
    lo, hi = own_units(net, layer, rank, threads)
    if net.layers[layer, BY_UNITS] > 0:
        for unit in range(lo, hi, GROUP):
            units, to = least(GROUP, hi - unit), net.layers[layer, WEIGHTS] + fan_in * unit
            product(
                x, x0, net.stride, one, scratch, turned + unit, turned_row(fan_out), gradient, to, units, fan_in,
                (units + width - 1) // width, samples, how, x0, (units - 1) % width + 1
            )  # fmt: skip
    else:
        first, end = own_inputs(net, layer, rank, threads)
        backward_weights(net, layer, x, x0, scratch, turned, gradient, zero, how, samples, first, end)
    sums = (net.layers[layer, BIAS_SUMS] + lo) * width
    bias_sums(scratch, delta + lo * net.stride, net.stride, state.sums, sums, hi - lo, vectors)
    fold(state.sums, sums, gradient, net.layers[layer, BIASES] + lo, hi - lo, how)


@kernel
def pieces(net, layer, rank, threads):
    """Where a thread's own units or inputs of a layer begin and end, how many make a piece, and the weights of each."""
    if net.layers[layer, BY_UNITS] > 0:
        lo, hi = own_units(net, layer, rank, threads)
        return lo, hi, np.int64(GROUP), net.layers[layer, FAN_IN]
    lo, hi = own_inputs(net, layer, rank, threads)
    return lo, hi, np.int64(PAD), net.layers[layer, FAN_OUT]


@kernel
def prepare_share(net, state, settings, l2, scale, here, rank, threads):
    """Make a thread's own gradient ready, with the penalties, and sum its squares piece by piece."""
    for layer in range(net.n_layers):
        weights, biases, place = net.layers[layer, WEIGHTS], net.layers[layer, BIASES], net.layers[layer, SQUARES]
        begin, end, group, row = pieces(net, layer, rank, threads)
        for i in range(begin, end, group):
            squares = prepare(
                net, state, settings, l2, scale, here, weights + i * row, weights + least(end, i + group) * row
            )
            store(state.norms, place + i // group * PAD, squares)
        lo, hi = own_units(net, layer, rank, threads)
        place = net.n_squares + PAD * (biases - net.n_weights)
        for i in range(lo, hi, PAD):
            squares = prepare(net, state, settings, l2, scale, here, biases + i, biases + least(hi, i + PAD))
            store(state.norms, place + i * PAD, squares)


@kernel
def update_share(net, state, solver, settings, rate, l2, scale, step, here, q0, prepared, rank, threads):
    """Update a thread's own weights and biases; the squares of its weights go to `q0`, `PAD` lanes for a piece."""
    for layer in range(net.n_layers):
        weights, biases, place = net.layers[layer, WEIGHTS], net.layers[layer, BIASES], q0 + net.layers[layer, SQUARES]
        begin, end, group, row = pieces(net, layer, rank, threads)
        for i in range(begin, end, group):
            first, stop = weights + i * row, weights + least(end, i + group) * row
            update(
                net, state, solver, settings, rate, l2, scale, step, here, first, stop, place + i // group * PAD
            )  # fmt: skip
        lo, hi = own_units(net, layer, rank, threads)
        update(net, state, solver, settings, rate, l2, scale, step, here, biases + lo, biases + hi, np.int64(-1))
