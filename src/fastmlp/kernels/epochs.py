"""The training loop: forward, loss, backward and update over blocks, batches and epochs; and prediction.

A call works through rounds (some blocks of each part, or a slab) for a budget of blocks, and may stop after any of them.
What it has reached is in the state it was given, so the results do not depend on where calls end. Several threads may make
the same call at once: each follows the same way through epochs and batches and does its share of the work, and they meet
where one needs what another has done. The shares add up in an order that does not depend on how many threads there are.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.activations import activate, activate_backward
from fastmlp.kernels.blocks import (
    ACTIVATION,
    BIASES,
    BLOCKS_PER_FOLD,
    DELTA,
    DONE,
    EPOCH_LOSS,
    EPOCH_REST,
    FAN_IN,
    FAN_OUT,
    FIRST,
    HERE,
    LOSSES,
    PAD,
    PANEL,
    ROUND,
    STEP,
    TURNED,
    WEIGHT_SUMS,
    Net,
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
    turned_row,
)
from fastmlp.kernels.jit import entry, kernel, routine
from fastmlp.kernels.losses import loss_backward, softmax
from fastmlp.kernels.optimizers import Setting, update
from fastmlp.kernels.threads import begin, meet
from fastmlp.kernels.vectors import fill, lanes, load, number, store, total, transpose_rows
from fastmlp.options import Activation, Loss, Status

# Fewer columns than this are copied one by one: half a vector of them would be turned for nothing.
FEWEST_COLUMNS_TURNED = 6
# Threads share the rows of a layer's gradient by tiles of this many.
TILE_ROWS = 4


@routine
def gather(rows, base, width, order, start, count, panel, p0, step):
    """Turn `count` rows into a panel: those that the order names from `start` on, counted from row `base`.

    The lanes past the last row repeat it. Squares of a vector's width are turned in registers; they may write up to a
    vector's width of rows past the panel, which whoever comes next in scratch overwrites.
    """
    size = lanes(panel)
    last = start + count - 1
    k = 0
    while width - k >= FEWEST_COLUMNS_TURNED:
        for j in range(0, count, size):
            transpose_rows(rows, base, width, order, start + j, last, k, panel, p0 + k * step + j, step)
        k += size
    if k < width:
        for j in range((count + size - 1) // size * size):
            row = (base + order[min(start + j, last)]) * width
            for column in range(k, width):
                panel[p0 + column * step + j] = rows[row + column]


@routine
def net_of(layers, shape):
    """The net that :func:`fastmlp.kernels.blocks.shape_of` has put into an array."""
    return Net(
        layers, shape[0], shape[1] != 0, shape[2] != 0, shape[3], shape[4], shape[5], shape[6], shape[7], shape[8],
        shape[9], shape[10], shape[11], shape[12], shape[13], shape[14], shape[15], shape[16]
    )  # fmt: skip


@kernel
def forward(net, params, here, x, x0, scratch, c0, vectors):
    """Fill a block of the panels of all layers; the last one keeps its weighted sums."""
    source, s0 = x, x0
    last = net.layers.shape[0] - 1
    for layer in range(last + 1):
        panel = net.layers[layer, PANEL] + c0
        forward_dense(net, layer, params, here, source, s0, scratch, panel, vectors)
        if layer < last:
            units = net.layers[layer, FAN_OUT]
            activate(net.layers[layer, ACTIVATION], scratch, panel, net.stride, units, vectors)
        source, s0 = scratch, panel


@kernel
def backward(net, state, here, x, x0, c0, s0, g0, begin, count, vectors):
    """From the delta of the output layer to those of all layers, and to the gradients.

    A wide net's deltas are kept for the whole slab.
    """
    params, scratch = state.params, state.scratch
    for layer in range(net.layers.shape[0] - 1, -1, -1):
        delta = net.layers[layer, DELTA] + c0
        left, l0 = x, x0
        if layer > 0:
            left, l0 = scratch, net.layers[layer - 1, PANEL] + c0
        if not net.wide:
            backward_sums(net, layer, left, l0, scratch, delta, state.sums, s0, vectors)
        if net.layers[layer, WEIGHT_SUMS] < 0:
            units, to = net.layers[layer, FAN_OUT], net.layers[layer, TURNED] + c0
            if net.wide:
                to = net.layers[layer, TURNED] + c0 * turned_row(units)
            turn(scratch, delta, to, net.stride, units, vectors)
            if not net.wide:
                first, fan_in = np.int64(0), net.layers[layer, FAN_IN]
                backward_weights(net, layer, left, l0, scratch, to, state.gradient, g0, begin, first, fan_in, count)
        if layer > 0:
            below, panel = net.layers[layer - 1, DELTA] + c0, net.layers[layer - 1, PANEL] + c0
            backward_input(net, layer, params, here, scratch, delta, below, vectors)
            activation, units = net.layers[layer - 1, ACTIVATION], net.layers[layer - 1, FAN_OUT]
            activate_backward(activation, scratch, panel, below, net.stride, units, vectors)


@kernel
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
def visit(net, data, state, here, rows, first, count, slab, c0, share, begin):
    """Take a block forward and backward and add its loss, and but for wide nets its gradient, to those of its share.

    `rows` is where its rows stand in the order, `first` its first sample in slab number `slab`, `c0` the place of its first
    column in scratch; `begin` says whether it is the first of its share.
    """
    scratch = state.scratch
    vectors = (count + lanes(scratch) - 1) // lanes(scratch)
    x, x0, y, y0 = scratch, net.inputs + c0, scratch, net.targets + c0
    if data.laid_out:
        x, x0 = data.X, slab * net.n_features * net.stride + first
        y, y0 = data.y, slab * net.n_targets * net.stride + first
    else:
        gather(data.X, 0, net.n_features, data.order, rows, count, x, x0, net.stride)
        gather(data.y, 0, net.n_targets, data.order, rows, count, y, y0, net.stride)
    forward(net, state.params, here, x, x0, scratch, c0, vectors)
    last = net.layers.shape[0] - 1
    panel, outputs = net.layers[last, PANEL] + c0, net.layers[last, FAN_OUT]
    loss = loss_backward(net.loss, scratch, panel, net.stride, outputs, y, y0, count)
    add(state.running, LOSSES + PAD * share, loss)
    s0, g0 = net.sums * lanes(scratch) * share, net.n_parameters * share
    backward(net, state, here, x, x0, c0, s0, g0, begin, count, vectors)


@kernel
def reset(running, place):
    """Begin the losses of a part or block of a batch."""
    running[place] = running.dtype.type(0)
    running[place + 1] = running.dtype.type(0)


@kernel
def size_of(net):
    """How many parameters there are, without padding."""
    last = net.layers.shape[0] - 1
    return net.layers[last, BIASES] + net.layers[last, FAN_OUT]


@kernel
def parts_of(size, part):
    """How many parts of the size `part` a positive size has; division is slow beside a small net's step."""
    return 1 if size <= part else (size + part - 1) // part


@kernel
def cut(size, place, places):
    """Where the share number `place` of `places` begins."""
    if place == 0:
        return 0
    return size if place == places else size * place // places


@kernel
def block_gradients(net, data, state, here, rows, size, round_, rank, threads):
    """One thread's share of a round: blocks of some parts, with their gradients, or of a wide net's slab."""
    width = lanes(state.scratch)
    # Blocks are counted in the batch, a wide net's in the slab.
    origin = round_ * net.slab if net.wide else 0
    samples = min(net.slab, size - origin) if net.wide else size
    n_blocks = parts_of(samples, net.block)
    shares = n_blocks if net.wide else net.parts
    vectors = (samples + width - 1) // width
    for share in range(cut(shares, rank, threads), cut(shares, rank + 1, threads)):
        if round_ == 0:
            reset(state.running, LOSSES + PAD * share)
        begin, end = share, share + 1
        if not net.wide:
            begin = cut(n_blocks, share, shares) + round_ * BLOCKS_PER_FOLD
            end = min(begin + BLOCKS_PER_FOLD, cut(n_blocks, share + 1, shares))
        how = FROM_ZERO if round_ == 0 else FROM_OUTPUT
        for block in range(begin, end):
            slab, column, c0 = block, 0, net.scratch * rank
            lo, hi = block * net.block, min(samples, (block + 1) * net.block)
            if net.wide:
                lo = cut(vectors, block, n_blocks) * width
                hi = min(samples, cut(vectors, block + 1, n_blocks) * width)
                slab, column, c0 = round_, lo, lo
            visit(net, data, state, here, rows + origin + lo, column, hi - lo, slab, c0, share, how)
            how = FROM_OUTPUT
        if not net.wide and (round_ == 0 or begin < end):
            fold_part(net, state, share, round_ == 0, begin < end)


@routine
def fold_part(net, state, share, first, any_blocks):
    """Fold a part's sums into its gradient; `first` begins it, with zeros where the part had no blocks."""
    s0, g0 = net.sums * lanes(state.sums) * share, net.n_parameters * share
    how = FROM_ZERO if first else FROM_OUTPUT
    if net.narrow:
        fold(state.sums, s0, state.gradient, g0, size_of(net), how)
    elif any_blocks:
        for layer in range(net.layers.shape[0]):
            fold_layer(net, layer, state.sums, s0, state.gradient, g0, how)
    else:
        zero = fill(state.gradient, number(state.gradient, 0))
        for i in range(g0, g0 + net.n_parameters, lanes(state.gradient)):
            store(state.gradient, i, zero)


@kernel
def slab_gradients(net, data, state, size, round_, rank, threads):
    """One thread's share of the gradients of a wide net: each weight's is a sum over all samples of a slab."""
    zero = np.int64(0)  # a constant's own type would compile what is called anew
    count = min(net.slab, size - round_ * net.slab)
    vectors = (count + lanes(state.scratch) - 1) // lanes(state.scratch)
    how = FROM_ZERO if round_ == 0 else FROM_OUTPUT
    for layer in range(net.layers.shape[0]):
        left, l0 = state.scratch, net.inputs
        if layer > 0:
            l0 = net.layers[layer - 1, PANEL]
        elif data.laid_out:
            left, l0 = data.X, round_ * net.n_features * net.stride
        if layer % threads == rank:
            backward_sums(net, layer, left, l0, state.scratch, net.layers[layer, DELTA], state.sums, net.inputs, vectors)
            fold_layer(net, layer, state.sums, zero, state.gradient, zero, how)
        if net.layers[layer, WEIGHT_SUMS] < 0:
            tiles = (net.layers[layer, FAN_IN] + TILE_ROWS - 1) // TILE_ROWS
            lo = cut(tiles, rank, threads) * TILE_ROWS
            hi = min(cut(tiles, rank + 1, threads) * TILE_ROWS, net.layers[layer, FAN_IN])
            turned = net.layers[layer, TURNED]
            backward_weights(net, layer, left, l0, state.scratch, turned, state.gradient, zero, how, lo, hi, count)


@kernel
def objective_of(net, state, step, l2, size):
    """The objective of a batch, from the losses and the squared weights that all threads have left."""
    running, total = state.running, number(state.running, 0)
    places = net.parts
    if net.wide:
        places = parts_of(min(net.slab, size), net.block)
    for place in range(LOSSES, LOSSES + PAD * places, PAD):
        total += running[place] + running[place + 1]
    squares = number(running, 0)
    for part in range(net.slices * (step % 2), net.slices * (step % 2 + 1)):
        squares += state.squares[part]
    return total / number(running, size) + l2 / number(running, 2) * squares


@kernel
def update_slices(net, state, solver, settings, rate, l2, size, step, here, rank, threads):
    """Make one thread's share of an update: its slices of the parameters, after adding up the parts' gradients."""
    gradient = state.gradient
    scale = number(gradient, 1) / number(gradient, size)
    n_vectors = net.n_parameters // PAD
    for part in range(cut(net.slices, rank, threads), cut(net.slices, rank + 1, threads)):
        lo, hi = cut(n_vectors, part, net.slices) * PAD, cut(n_vectors, part + 1, net.slices) * PAD
        for other in range(net.n_parameters, net.n_parameters * net.parts, net.n_parameters):
            for i in range(lo, hi, lanes(gradient)):
                store(gradient, i, load(gradient, i) + load(gradient, other + i))
        state.squares[net.slices * ((step + 1) % 2) + part] = update(
            solver, settings, rate, l2, scale, step + 1, state.params, here, net.n_parameters - here, gradient,
            state.moments, net.n_weights, net.n_parameters, lo, hi
        )  # fmt: skip


@entry
def run_epochs(net, data, state, solver, settings, rates, losses, until, budget, rank, threads, sync):
    """Train until `until` samples are done or for `budget` blocks; write each epoch's mean objective into `losses`.

    Samples count from the beginning of the run, those of every epoch anew. Objectives are means over an epoch's batches,
    weighted by their samples, each taken before its update. Of the `threads` callers `rank` 0 writes what has been reached;
    all return the same.
    """
    cursor, running, zero = state.cursor, state.running, number(state.running, 0)
    done, first, round_ = cursor[DONE], cursor[FIRST], cursor[ROUND]
    step, here = cursor[STEP], cursor[HERE]
    epoch, start = done // data.n_samples, done % data.n_samples
    status = Status.RUNNING
    # Nobody writes the cursor before all have read it.
    if not begin(sync, threads):
        return Status.RUNNING
    goal = 2 * threads
    while budget > 0 and done < until and status == Status.RUNNING:
        size = min(data.batch_size, data.n_samples - start)
        block_gradients(net, data, state, here, done - first, size, round_, rank, threads)
        if net.wide:
            goal = meet(sync, threads, goal)
            slab_gradients(net, data, state, size, round_, rank, threads)
            rounds, blocks = parts_of(size, net.slab), net.shares
        else:
            per_part = parts_of(parts_of(size, net.block), net.parts)
            rounds, blocks = parts_of(per_part, BLOCKS_PER_FOLD), min(per_part, BLOCKS_PER_FOLD) * net.parts
        budget -= blocks
        round_ += 1
        # All gradients must be there before the update, and all of a slab's before the next one takes its place.
        if net.wide or round_ == rounds:
            goal = meet(sync, threads, goal)
        if round_ < rounds:
            continue
        round_ = 0
        l2 = settings[Setting.L2]
        if settings[Setting.L2_PER_SAMPLE] > 0:
            l2 = l2 / number(running, size)
        objective = objective_of(net, state, step, l2, size)
        if not abs(objective) < number(running, 1) / zero:
            status = Status.DIVERGED
            continue
        update_slices(net, state, solver, settings, rates[epoch], l2, size, step, here, rank, threads)
        goal = meet(sync, threads, goal)
        step += 1
        here = net.n_parameters - here
        done += size
        start += size
        if rank == 0:
            add(running, EPOCH_LOSS, objective * number(running, size))
        if start == data.n_samples:
            if rank == 0:
                losses[epoch] = (running[EPOCH_LOSS] + running[EPOCH_REST]) / number(running, data.n_samples)
                reset(running, EPOCH_LOSS)
            start = 0
            epoch += 1
    if rank == 0:
        cursor[DONE], cursor[ROUND] = done, round_
        cursor[STEP], cursor[HERE] = step, here
    if status == Status.RUNNING and done == until:
        status = Status.FINISHED
    return status


@entry
def predict(layers, shape, params, X, order, scratch, out):
    """Write the outputs of the net for each row of X into flat rows of `out`; say whether all of X is finite.

    `layers` and `shape` are a Net's, in two arrays since Python hands over arrays faster than tuples; `order` counts the
    rows of a slab.
    """
    net = net_of(layers, shape)
    last = layers.shape[0] - 1
    panel, outputs = layers[last, PANEL], layers[last, FAN_OUT]
    width, zero = lanes(scratch), number(scratch, 0)
    n_samples = X.shape[0] // net.n_features
    # x - x is 0, or NaN where x is not finite.
    differences = fill(scratch, zero)
    for start in range(0, n_samples, net.slab):
        count = min(net.slab, n_samples - start)
        vectors = (count + width - 1) // width
        gather(X, start, net.n_features, order, 0, count, scratch, net.inputs, net.stride)
        for feature in range(net.n_features):
            first = net.inputs + feature * net.stride
            for i in range(first, first + vectors * width, width):
                x = load(scratch, i)
                differences = differences + (x - x)
        forward(net, params, 0, scratch, net.inputs, scratch, 0, vectors)
        if net.loss == Loss.CROSS_ENTROPY:
            softmax(scratch, panel, net.stride, outputs, vectors)
        elif net.loss == Loss.BINARY_CROSS_ENTROPY:
            activate(Activation.LOGISTIC, scratch, panel, net.stride, outputs, vectors)
        for j in range(count):
            for k in range(outputs):
                out[(start + j) * outputs + k] = scratch[panel + k * net.stride + j]
    return total(differences) == zero
