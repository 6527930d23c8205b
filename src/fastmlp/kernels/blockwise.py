"""A batch block by block: forward through all layers and back in one visit, adding to the gradient of the block's part."""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.activations import activate, activate_backward, multiply
from fastmlp.kernels.blocks import (
    ACTIVATION,
    BLOCKS_PER_FOLD,
    DELTA,
    DROPPED,
    FAN_IN,
    FAN_OUT,
    KEY,
    LOSSES,
    PAD,
    PANEL,
    SLOPE,
    TURNED,
    WEIGHT,
    WEIGHT_SUMS,
)
from fastmlp.kernels.dense import (
    FROM_OUTPUT,
    FROM_ZERO,
    backward_input,
    backward_sums,
    backward_weights,
    fold,
    fold_layer,
    forward_dense,
    turn,
)
from fastmlp.kernels.dropout import drop
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.losses import loss_backward, weight_of
from fastmlp.kernels.optimizers import prepare, update
from fastmlp.kernels.shares import add, cut, gather, parts_of, reset, size_of
from fastmlp.kernels.threads import meet
from fastmlp.kernels.vectors import fill, lanes, least, load, number, store, total


@kernel
def forward(net, params, here, x, x0, scratch, c0, vectors, key, step, sample):
    """Fill the panels of all layers, in the scratch at `c0`; the last one keeps its weighted sums.

    Of dropout `key`, `step` and `sample` say what is left out: the run, the update, and the place in the batch.
    """
    source, s0, first = x, x0, np.int64(0)
    last = net.n_layers - 1
    for layer in range(last + 1):
        panel, units = net.layers[layer, PANEL] + c0, net.layers[layer, FAN_OUT]
        forward_dense(net, layer, params, here, source, s0, scratch, panel, vectors)
        if layer < last:
            slope = net.layers[layer, SLOPE] + c0
            activate(net.layers[layer, ACTIVATION], scratch, panel, slope, net.stride, units, vectors)
            if net.layers[layer, DROPPED] > 0:
                drop(net, layer, scratch, panel, slope, vectors, key, step, sample, first, units)
        source, s0 = scratch, panel


@kernel
def backward(net, state, here, x, x0, c0, share, begin, count, vectors):
    """From the delta of the output layer to those of all layers, and to the gradient of the share."""
    params, scratch, first = state.params, state.scratch, np.int64(0)
    s0, g0 = net.sums * lanes(scratch) * share, net.n_parameters * share
    for layer in range(net.n_layers - 1, -1, -1):
        delta, units = net.layers[layer, DELTA] + c0, net.layers[layer, FAN_OUT]
        left, l0, fan_in = x, x0, net.layers[layer, FAN_IN]
        if layer > 0:
            left, l0 = scratch, net.layers[layer - 1, PANEL] + c0
        backward_sums(net, layer, left, l0, scratch, delta, state.sums, s0, vectors)
        if net.layers[layer, WEIGHT_SUMS] < 0:
            to = net.layers[layer, TURNED] + c0
            turn(net, layer, scratch, delta, to, first, units, vectors)
            backward_weights(net, layer, left, l0, scratch, to, state.gradient, g0, begin, count, first, fan_in)
        if layer > 0:
            below = net.layers[layer - 1, DELTA] + c0
            backward_input(net, layer, params, here, scratch, delta, below, vectors, first, fan_in)
            if net.layers[layer - 1, SLOPE] >= 0:
                multiply(scratch, net.layers[layer - 1, SLOPE] + c0, below, net.stride, fan_in, vectors)
            else:
                activate_backward(net.layers[layer - 1, ACTIVATION], scratch, l0, below, net.stride, fan_in, vectors)


@kernel
def visit(net, data, state, settings, here, step, rows, count, block, c0, share, begin):
    """Take a block forward and backward and add its loss and its gradient to those of its share.

    `rows` is where its rows stand in the order, `c0` the place of the thread's scratch; `begin` says whether the block is
    the first of its share.
    """
    scratch, zero = state.scratch, np.int64(0)
    vectors = (count + lanes(scratch) - 1) // lanes(scratch)
    x, x0, y, y0 = scratch, net.inputs + c0, scratch, net.targets + c0
    if data.laid_out:
        x, x0 = data.X, block * net.n_features * net.stride
        y, y0 = data.y, block * net.n_targets * net.stride
    else:
        gather(data.X, zero, net.n_features, data.order, rows, count, x, x0, net.stride)
        gather(data.y, zero, net.n_targets, data.order, rows, count, y, y0, net.stride)
    forward(net, state.params, here, x, x0, scratch, c0, vectors, state.cursor[KEY], step, block * net.block)
    last = net.n_layers - 1
    panel, outputs = net.layers[last, PANEL] + c0, net.layers[last, FAN_OUT]
    loss = total(loss_backward(net, settings, scratch, panel, outputs, y, y0, count, lanes(scratch)))
    add(state.running, LOSSES + PAD * share, loss)
    if net.weighted:
        add(state.running, LOSSES + PAD * share + WEIGHT, total(weight_of(net, y, y0, count, lanes(y))))
    if net.learns:
        backward(net, state, here, x, x0, c0, share, begin, count, vectors)


@kernel
def gradients(net, data, state, settings, here, step, rows, size, round_, rank, threads, sync, goal):
    """One thread's share of a round: up to `BLOCKS_PER_FOLD` blocks of each of its parts, with their gradients.

    `rows` is where the batch's rows stand in the order. Returns how many rounds the batch has, how many blocks this one
    had, and at which count of the barrier all threads will have met again.
    """
    n_blocks = parts_of(size, net.block)
    for share in range(cut(net.parts, rank, threads), cut(net.parts, rank + 1, threads)):
        if round_ == 0:
            reset(state.running, LOSSES + PAD * share)
            if net.weighted:
                reset(state.running, LOSSES + PAD * share + WEIGHT)
        how = FROM_ZERO if round_ == 0 else FROM_OUTPUT
        begin = cut(n_blocks, share, net.parts) + round_ * BLOCKS_PER_FOLD
        end = least(begin + BLOCKS_PER_FOLD, cut(n_blocks, share + 1, net.parts))
        for block in range(begin, end):
            lo, hi = block * net.block, least(size, (block + 1) * net.block)
            visit(net, data, state, settings, here, step, rows + lo, hi - lo, block, net.scratch * rank, share, how)
            how = FROM_OUTPUT
        if net.learns and (round_ == 0 or begin < end):
            fold_part(net, state, share, round_ == 0, begin < end)
    per_part = parts_of(n_blocks, net.parts)
    rounds = parts_of(per_part, BLOCKS_PER_FOLD)
    # All gradients must be there before the update.
    if round_ + 1 == rounds:
        goal = meet(sync, threads, goal)
    return rounds, least(per_part, BLOCKS_PER_FOLD) * net.parts, goal


@routine
def fold_part(net, state, share, first, any_blocks):
    """Fold a part's sums into its gradient; `first` begins it, with zeros where the part had no blocks."""
    s0, g0 = net.sums * lanes(state.sums) * share, net.n_parameters * share
    how = FROM_ZERO if first else FROM_OUTPUT
    if net.narrow:
        fold(state.sums, s0, state.gradient, g0, size_of(net), how)
    elif any_blocks:
        for layer in range(net.n_layers):
            fold_layer(net, layer, state.sums, s0, state.gradient, g0, how)
    else:
        zero = fill(state.gradient, number(state.gradient, 0))
        for i in range(g0, g0 + net.n_parameters, lanes(state.gradient)):
            store(state.gradient, i, zero)


@kernel
def prepare_share(net, state, settings, l2, scale, here, rank, threads):
    """Make a thread's slices of the gradient ready: the parts' added up, with the penalties, and their squares summed."""
    n_vectors = net.n_parameters // PAD
    for part in range(cut(net.slices, rank, threads), cut(net.slices, rank + 1, threads)):
        lo, hi = cut(n_vectors, part, net.slices) * PAD, cut(n_vectors, part + 1, net.slices) * PAD
        add_parts(net, state.gradient, lo, hi)
        store(state.norms, part * PAD, prepare(net, state, settings, l2, scale, here, lo, hi))


@routine
def add_parts(net, gradient, lo, hi):
    """Add the gradients of a batch's parts to the first one's."""
    for other in range(net.n_parameters, net.n_parameters * net.parts, net.n_parameters):
        for i in range(lo, hi, lanes(gradient)):
            store(gradient, i, load(gradient, i) + load(gradient, other + i))


@kernel
def update_share(net, state, solver, settings, rate, l2, scale, step, here, q0, prepared, rank, threads):
    """Update a thread's slices of the parameters; their squares go to `q0`."""
    n_vectors = net.n_parameters // PAD
    for part in range(cut(net.slices, rank, threads), cut(net.slices, rank + 1, threads)):
        lo, hi = cut(n_vectors, part, net.slices) * PAD, cut(n_vectors, part + 1, net.slices) * PAD
        if not prepared and net.parts > 1:
            add_parts(net, state.gradient, lo, hi)
        update(net, state, solver, settings, rate, l2, scale, step, here, lo, hi, q0 + part * PAD)
