"""The training loop: forward, loss, backward and update over blocks, batches and epochs; and prediction.

A call does a budget of blocks and may stop anywhere, inside an epoch or a batch. What it has reached is in the state it
was given, so the results do not depend on where calls end.
"""

from __future__ import annotations

from fastmlp.kernels.activations import activate, activate_backward
from fastmlp.kernels.blocks import (
    ACTIVATION,
    BATCH,
    BATCH_LOSS,
    BATCH_REST,
    EPOCH,
    EPOCH_LOSS,
    EPOCH_REST,
    FAN_OUT,
    FIRST,
    HERE,
    PANEL,
    ROW,
    SQUARES,
    STEP,
)
from fastmlp.kernels.dense import backward_input, backward_weights, clear, fold, forward_dense
from fastmlp.kernels.jit import entry, kernel, routine
from fastmlp.kernels.losses import loss_backward, softmax
from fastmlp.kernels.optimizers import Setting, update
from fastmlp.kernels.vectors import lanes, number, transpose_rows
from fastmlp.options import Activation, Loss, Status

# Partial sums are folded into the gradient after this many blocks of a batch: float32 sums of millions stay accurate.
BLOCKS_PER_FOLD = 32
# Fewer columns than this are copied one by one: half a vector of them would be turned for nothing.
FEWEST_COLUMNS_TURNED = 6


@routine
def gather(rows, base, width, order, start, count, panel, p0, block):
    """Turn `count` rows into a panel: those that the order names from `start` on, counted from row `base`.

    The lanes past the last row repeat it. Squares of a vector's width are turned in registers; they may write up to a
    vector's width of rows past the panel, which whoever comes next in scratch overwrites.
    """
    size = lanes(panel)
    last = start + count - 1
    k = 0
    while width - k >= FEWEST_COLUMNS_TURNED:
        for j in range(0, count, size):
            transpose_rows(rows, base, width, order, start + j, last, k, panel, p0 + k * block + j, block)
        k += size
    if k < width:
        for j in range((count + size - 1) // size * size):
            row = (base + order[min(start + j, last)]) * width
            for column in range(k, width):
                panel[p0 + column * block + j] = rows[row + column]


@kernel
def forward(net, params, here, x, x0, scratch, vectors):
    """Fill the panels of all layers; the last one keeps its weighted sums."""
    source, s0 = x, x0
    last = net.layers.shape[0] - 1
    for layer in range(last + 1):
        panel = net.layers[layer, PANEL]
        forward_dense(net, layer, params, here, source, s0, scratch, panel, vectors)
        if layer < last:
            units = net.layers[layer, FAN_OUT]
            activate(net.layers[layer, ACTIVATION], scratch, panel, net.block, units, vectors)
        source, s0 = scratch, panel


@kernel
def backward(net, params, here, x, x0, scratch, gradient, sums, vectors):
    """Add the block's gradient, from the delta in the output's panel; each layer's delta takes the place of its panel."""
    for layer in range(net.layers.shape[0] - 1, 0, -1):
        below, delta = net.layers[layer - 1, PANEL], net.layers[layer, PANEL]
        backward_weights(net, layer, scratch, below, scratch, delta, gradient, sums, vectors)
        backward_input(net, layer, params, here, scratch, delta, vectors)
        activation, units = net.layers[layer - 1, ACTIVATION], net.layers[layer - 1, FAN_OUT]
        activate_backward(activation, scratch, below, net.upstream, net.block, units, vectors)
    backward_weights(net, 0, x, x0, scratch, net.layers[0, PANEL], gradient, sums, vectors)


@routine
def add(sums, place, value):
    """Add to a long sum and to the rounding error it leaves behind (Neumaier 1974)."""
    before = sums[place]
    after = before + value
    if abs(before) >= abs(value):
        sums[place + 1] += (before - after) + value
    else:
        sums[place + 1] += (value - after) + before
    sums[place] = after


@kernel
def block_gradient(net, data, state, start, row, count):
    """Take one block of the batch through the net and back, and add its loss and gradient."""
    vectors = (count + lanes(state.scratch) - 1) // lanes(state.scratch)
    x, x0, y, y0 = state.scratch, net.inputs, state.scratch, net.targets
    if data.laid_out:
        block = row // net.block
        x, x0, y, y0 = data.X, block * net.n_features * net.block, data.y, block * net.n_targets * net.block
    else:
        first = (state.cursor[EPOCH] - state.cursor[FIRST]) * data.n_samples + start + row
        gather(data.X, 0, net.n_features, data.order, first, count, x, x0, net.block)
        gather(data.y, 0, net.n_targets, data.order, first, count, y, y0, net.block)
    here = state.cursor[HERE]
    forward(net, state.params, here, x, x0, state.scratch, vectors)
    last = net.layers.shape[0] - 1
    panel, outputs = net.layers[last, PANEL], net.layers[last, FAN_OUT]
    add(state.running, BATCH_LOSS, loss_backward(net.loss, state.scratch, panel, net.block, outputs, y, y0, count))
    backward(net, state.params, here, x, x0, state.scratch, state.gradient, state.sums, vectors)


@kernel
def finish_batch(net, state, solver, settings, rate, size):
    """Make the update; return the batch's objective before it, or without any update a value that is not finite."""
    running, cursor, two = state.running, state.cursor, number(state.params, 2)
    weight = number(state.params, size)
    l2 = settings[Setting.L2]
    if settings[Setting.L2_PER_SAMPLE] > 0:
        l2 = l2 / weight
    objective = (running[BATCH_LOSS] + running[BATCH_REST]) / weight + l2 / two * running[SQUARES]
    if not abs(objective) < number(state.params, 1) / number(state.params, 0):
        return objective
    cursor[STEP] += 1
    here = cursor[HERE]
    there = net.n_parameters - here
    running[SQUARES] = update(
        solver, settings, rate, l2, number(state.params, 1) / weight, cursor[STEP], state.params, here, there,
        state.gradient, state.moments, net.n_weights, net.n_parameters
    )  # fmt: skip
    cursor[HERE] = there
    return objective


@entry
def run_epochs(net, data, state, solver, settings, rates, losses, until, budget):
    """Train up to epoch `until` or for `budget` blocks; write each finished epoch's mean objective into `losses`.

    Objectives are means over an epoch's batches, weighted by their samples, each taken before its update.
    """
    cursor, running = state.cursor, state.running
    zero = running.dtype.type(0)
    while budget > 0 and cursor[EPOCH] < until:
        start, row = cursor[BATCH], cursor[ROW]
        size = min(data.batch_size, data.n_samples - start)
        if row == 0:
            clear(state.gradient, net.n_parameters)
            running[BATCH_LOSS] = zero
            running[BATCH_REST] = zero
        count = min(net.block, size - row)
        block_gradient(net, data, state, start, row, count)
        budget -= 1
        cursor[ROW] = row + count
        if row + count < size:
            if (row // net.block) % BLOCKS_PER_FOLD == BLOCKS_PER_FOLD - 1:
                fold(net, state.gradient, state.sums)
            continue
        fold(net, state.gradient, state.sums)
        epoch = cursor[EPOCH]
        objective = finish_batch(net, state, solver, settings, rates[epoch], size)
        if not abs(objective) < number(running, 1) / zero:
            return Status.DIVERGED
        add(running, EPOCH_LOSS, objective * number(running, size))
        cursor[ROW] = 0
        cursor[BATCH] = start + size
        if cursor[BATCH] == data.n_samples:
            losses[epoch] = (running[EPOCH_LOSS] + running[EPOCH_REST]) / number(running, data.n_samples)
            running[EPOCH_LOSS] = zero
            running[EPOCH_REST] = zero
            cursor[BATCH] = 0
            cursor[EPOCH] = epoch + 1
    return Status.FINISHED if cursor[EPOCH] == until else Status.RUNNING


@entry
def predict(net, params, X, order, scratch, out):
    """The outputs of the net for each row of X, into flat rows of `out`; `order` counts the rows of a block."""
    last = net.layers.shape[0] - 1
    panel, outputs = net.layers[last, PANEL], net.layers[last, FAN_OUT]
    width = lanes(scratch)
    n_samples = X.shape[0] // net.n_features
    for start in range(0, n_samples, net.block):
        count = min(net.block, n_samples - start)
        vectors = (count + width - 1) // width
        gather(X, start, net.n_features, order, 0, count, scratch, net.inputs, net.block)
        forward(net, params, 0, scratch, net.inputs, scratch, vectors)
        if net.loss == Loss.CROSS_ENTROPY:
            softmax(scratch, panel, net.block, outputs, vectors)
        elif net.loss == Loss.BINARY_CROSS_ENTROPY:
            activate(Activation.LOGISTIC, scratch, panel, net.block, outputs, vectors)
        for j in range(count):
            for k in range(outputs):
                out[(start + j) * outputs + k] = scratch[panel + k * net.block + j]
