"""Nets abreast: many alike at once, one in each lane of the vectors, where a net alone would leave most lanes idle.

Each net has the bits that it has alone: where its samples would be the lanes (epochs.py), sums over them run in the same
order (abreast_dense.py, :func:`tree`). Panels are as there, with a vector of nets in place of each sample, and so are flat
parameters. Nets share their shape, loss and solver, and how many samples they have; samples, rates and settings may differ.
"""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.abreast_dense import abreast_forward, abreast_input, neighbours_gradient, ordered_gradient
from fastmlp.kernels.activations import activate, activate_backward, multiply
from fastmlp.kernels.blocks import (
    ACTIVATION,
    DELTA,
    DONE,
    FAN_OUT,
    FIRST,
    HERE,
    PAD,
    PANEL,
    ROUND,
    SLOPE,
    STEP,
)
from fastmlp.kernels.epochs import memories_of_data, memories_of_state, net_of
from fastmlp.kernels.jit import entry, kernel, routine
from fastmlp.kernels.losses import l2_penalty, loss_backward, weight_of
from fastmlp.kernels.optimizers import Setting, update
from fastmlp.kernels.shares import size_of
from fastmlp.kernels.turning import FOUR, transpose_fours
from fastmlp.kernels.vectors import (
    every,
    fill,
    fma,
    lanes,
    least,
    load,
    magnitude,
    memory,
    number,
    select,
    store,
    total,
)
from fastmlp.options import Status

# Vectors in State.running: what each net has reached. `ALIVE` is 1 for nets that are still trained, 0 for others, whose
# numbers go on without meaning. `OBJECTIVE` sums those of the epoch so far.
LANE_LOSS, LANE_REST, LANE_WEIGHT, LANE_BEST, LANE_STALLED, ALIVE, OBJECTIVE, LANE_RUNNING = range(0, 8 * PAD, PAD)

# A batch is few samples where alone it would be no more vectors than these.
MOST_FEW = 4
# Samples of more that are visited together, so that tiles are whole.
LEAST_SAMPLES = 8
# Gradients that wait to be added up: of one lane, of two, four and eight, and beside them that of a lane at work.
LANE_SUMS = 5


@routine
def tree(values, v0, work):
    """The sum of as many vectors as they have lanes, neighbours first, as :func:`fastmlp.kernels.vectors.total` has it."""
    width = lanes(values)
    n = width // 2
    for k in range(n):
        first = v0 + 2 * k * width
        store(work, k * width, load(values, first) + load(values, first + width))
    while n > 1:
        n //= 2
        for k in range(n):
            store(work, k * width, load(work, 2 * k * width) + load(work, (2 * k + 1) * width))
    return load(work, np.int64(0))


@kernel
def begin_of(lane, size, width):
    """Where, of `size` samples in the order of the lanes they would have alone, the first of a lane stands.

    Of a few samples each lane has room for as many.
    """
    if size <= MOST_FEW * width:
        return (size + width - 1) // width * lane
    return size // width * lane + least(lane, size % width)


@kernel
def count_of(lane, size, width):
    """How many of `size` samples are a lane's."""
    return (size - lane + width - 1) // width


@routine
def gather_abreast(net, data, scratch, place, size):
    """Gather each net's samples of a batch, in the order of the lanes that they would have alone.

    The targets stand behind the features, in `data.X` as in the panels; rows are padded, which spoils panels that are not
    yet filled.
    """
    width, columns = lanes(scratch), (net.n_features + net.n_targets + FOUR - 1) // FOUR * FOUR
    for sample in range(size):
        at = (begin_of(sample % width, size, width) + sample // width) * width
        transpose_fours(data.X, columns, data.order, (place + sample) * width, scratch, net.inputs + at, net.stride)


@routine
def weights_abreast(net, state, size):
    """The sum of the samples' weights."""
    scratch, width = state.scratch, lanes(state.scratch)
    for lane in range(width):
        first, count = begin_of(lane, size, width), count_of(lane, size, width)
        weights = weight_of(net, scratch, net.targets + first * width, count * width, width)
        store(state.sums, lane * width, weights)
    return tree(state.sums, np.int64(0), state.sums)


@routine
def forward_abreast(net, state, here, lo, samples):
    """Fill the panels of all layers from `samples` samples from `lo` on; the last one keeps its weighted sums."""
    scratch, last = state.scratch, net.n_layers - 1
    source = net.inputs + lo * lanes(scratch)
    for layer in range(last + 1):
        panel, units = net.layers[layer, PANEL], net.layers[layer, FAN_OUT]
        abreast_forward(net, layer, state.params, here, scratch, source, scratch, panel, samples)
        if layer < last:
            activate(net.layers[layer, ACTIVATION], scratch, panel, net.layers[layer, SLOPE], net.stride, units, samples)
        source = panel


@kernel
def loss_abreast(net, state, settings, lane, lo, size):
    """Leave the sum of the losses of a lane's samples, and the delta in place of the weighted sums."""
    scratch, width, last = state.scratch, lanes(state.scratch), net.n_layers - 1
    first, samples = begin_of(lane, size, width), count_of(lane, size, width)
    z0, y0 = net.layers[last, PANEL] + (first - lo) * width, net.targets + first * width
    outputs, count = net.layers[last, FAN_OUT], samples * width
    store(state.sums, lane * width, loss_backward(net, settings, scratch, z0, outputs, scratch, y0, count, width))


@routine
def backward_abreast(net, state, here, samples):
    """From the delta of the output layer to those of all layers."""
    scratch = state.scratch
    for layer in range(net.n_layers - 1, 0, -1):
        delta, below, units = net.layers[layer, DELTA], net.layers[layer - 1, DELTA], net.layers[layer - 1, FAN_OUT]
        abreast_input(net, layer, state.params, here, scratch, delta, below, samples)
        if net.layers[layer - 1, SLOPE] >= 0:
            multiply(scratch, net.layers[layer - 1, SLOPE], below, net.stride, units, samples)
        else:
            left, activation = net.layers[layer - 1, PANEL], net.layers[layer - 1, ACTIVATION]
            activate_backward(activation, scratch, left, below, net.stride, units, samples)


@routine
def few_abreast(net, state, settings, here, size):
    """The gradients of a batch that alone would be few vectors, and the sums of its losses."""
    scratch, width, none, last = state.scratch, lanes(state.scratch), np.int64(0), net.n_layers - 1
    each = (size + width - 1) // width
    samples = size if each == 1 else each * width
    forward_abreast(net, state, here, none, samples)
    for lane in range(width):
        loss_abreast(net, state, settings, lane, none, size)
        if each > 1 and count_of(lane, size, width) < each:
            clear(net, scratch, last, begin_of(lane + 1, size, width) - 1)
    if not net.learns:
        return tree(state.sums, none, state.sums)
    backward_abreast(net, state, here, samples)
    for layer in range(last + 1):
        left = net.inputs
        if layer > 0:
            left = net.layers[layer - 1, PANEL]
        # Samples that there are not add nothing.
        for sample in range(samples, width):
            clear(net, scratch, layer, sample)
        neighbours_gradient(net, layer, scratch, left, scratch, net.layers[layer, DELTA], state.gradient, each)
    return tree(state.sums, none, state.sums)


@kernel
def clear(net, scratch, layer, sample):
    """Set the delta of a sample to zero."""
    first, zero = net.layers[layer, DELTA] + sample * lanes(scratch), fill(scratch, number(scratch, 0))
    for unit in range(net.layers[layer, FAN_OUT]):
        store(scratch, first + unit * net.stride, zero)


@routine
def many_abreast(net, state, settings, here, size):
    """The gradients of a larger batch, some lanes' samples at a time, which stay in the first cache."""
    width, together = lanes(state.scratch), 1
    while together * (size // width) < LEAST_SAMPLES:
        together *= 2
    for first in range(0, width, together):
        lo, hi = begin_of(first, size, width), begin_of(first + together, size, width)
        forward_abreast(net, state, here, lo, hi - lo)
        for lane in range(first, first + together):
            loss_abreast(net, state, settings, lane, lo, size)
        if net.learns:
            backward_abreast(net, state, here, hi - lo)
            for lane in range(first, first + together):
                gradient_of_lane(net, state, lane, lo, size)
    return tree(state.sums, np.int64(0), state.sums)


@routine
def gradient_of_lane(net, state, lane, lo, size):
    """Add the gradients of a lane's samples to those of its neighbours, or keep them until there are any."""
    scratch, width = state.scratch, lanes(state.scratch)
    begin, end = begin_of(lane, size, width), begin_of(lane + 1, size, width)
    # The first place is that of the whole gradient, the last one for a lane's; between them wait two lanes', four lanes'...
    here, apart = net.n_parameters * LANE_SUMS, net.n_parameters
    for layer in range(net.n_layers):
        left = net.inputs + begin * width
        if layer > 0:
            left = net.layers[layer - 1, PANEL] + (begin - lo) * width
        delta = net.layers[layer, DELTA] + (begin - lo) * width
        ordered_gradient(net, layer, scratch, left, scratch, delta, state.gradient, here, end - begin)
    waiting, rest = 0, lane
    while rest % 2 == 1:
        waiting, rest = waiting + 1, rest // 2
    to = 0 if lane == width - 1 else (waiting + 1) * apart
    for i in range(0, size_of(net) * width, width):
        sums = load(state.gradient, here + i)
        for other in range(waiting):
            sums = load(state.gradient, (other + 1) * apart + i) + sums
        store(state.gradient, to + i, sums)


@routine
def square_sums(net, params, here, squares):
    """The sums of the squared weights, of every so many-th as a net alone has them in its lanes."""
    width = lanes(params)
    for place in range(width):
        sums = fill(params, number(params, 0))
        for i in range(here + place * width, here + net.n_weights, width * width):
            w = load(params, i)
            sums = fma(w, w, sums)
        store(squares, place * width, sums)


@kernel
def added_abreast(total_, rest, value):
    """See :func:`fastmlp.kernels.shares.added`."""
    after = total_ + value
    is_less = magnitude(total_) < magnitude(value)
    return after, rest + select(is_less, (value - after) + total_, (total_ - after) + value)


@entry
def run_abreast(layers, shape, data, state, solver, settings, rates, losses, until, budget):
    """Train until `until` samples are done, or for `budget` batches; write the epochs' mean objectives into `losses`.

    As :func:`fastmlp.kernels.epochs.run_blocks` does for one net; rates and losses are a vector for each epoch, the order
    one of row numbers for each sample. Where a living net diverges the batch is not done, and where one has stalled the
    epoch is: whoever calls takes it out.
    """
    net, data, state = net_of(layers, shape), memories_of_data(data), memories_of_state(state)
    settings, rates, losses = memory(settings), memory(rates), memory(losses)
    cursor, running, width, none = state.cursor, state.running, lanes(state.running), np.int64(0)
    done, first, step, here = cursor[DONE], cursor[FIRST], cursor[STEP], cursor[HERE]
    epoch, start, begun = done // data.n_samples, done % data.n_samples, step
    zero, one = fill(running, number(running, 0)), fill(running, number(running, 1))
    infinity, alive, wholes = one / zero, load(running, np.int64(ALIVE)), load(running, np.int64(LANE_WEIGHT))
    epoch_loss, epoch_rest = load(running, np.int64(LANE_LOSS)), load(running, np.int64(LANE_REST))
    l2, patience = every(settings, Setting.L2), every(settings, Setting.PATIENCE)
    penalised = total(l2) > number(running, 0)
    status = Status.RUNNING
    while budget > 0 and done < until and status == Status.RUNNING:
        budget -= 1
        size = least(data.batch_size, data.n_samples - start)
        if not data.laid_out or cursor[ROUND] == 0:
            gather_abreast(net, data, state.scratch, done - first, size)
            cursor[ROUND] = 1
        weights = fill(running, number(running, size))
        if net.weighted:
            weights = weights_abreast(net, state, size)
        if size <= MOST_FEW * width:
            losses_ = few_abreast(net, state, settings, here, size)
        else:
            losses_ = many_abreast(net, state, settings, here, size)
        objective = losses_ / weights
        if penalised:
            objective = objective + l2_penalty(running, l2, tree(state.squares, none, state.sums))
        share = objective * weights
        store(running, np.int64(OBJECTIVE), epoch_loss + share)
        # Nets that are only measured are taken out by whoever sees their objectives.
        if net.learns and total(select(magnitude(epoch_loss + share) < infinity, zero, alive)) > number(running, 0):
            status = Status.DIVERGED
            continue
        epoch_loss, epoch_rest = added_abreast(epoch_loss, epoch_rest, share)
        if net.learns:
            step += 1
            update(
                net, state, solver, settings, load(rates, epoch * width), l2, one / weights, step, here, none,
                size_of(net) * width, np.int64(-1)
            )  # fmt: skip
            here = net.n_parameters - here
            if penalised:
                square_sums(net, state.params, here, state.squares)
        done += size
        start += size
        if start == data.n_samples:
            loss = (epoch_loss + epoch_rest) / wholes
            store(losses, epoch * width, loss)
            epoch_loss, epoch_rest, start = zero, zero, 0
            epoch += 1
            if ended(running, settings, loss, patience, alive):
                status = Status.STALLED
    if step > begun:
        square_sums(net, state.params, here, state.squares)
    cursor[DONE], cursor[STEP], cursor[HERE] = done, step, here
    store(running, np.int64(LANE_LOSS), epoch_loss)
    store(running, np.int64(LANE_REST), epoch_rest)
    if status == Status.RUNNING and done == until:
        status = Status.FINISHED
    return status


@kernel
def ended(running, settings, loss, patience, alive):
    """Count the epochs in which objectives have stalled; say whether a living net's patience is at its end."""
    zero, one = fill(running, number(running, 0)), fill(running, number(running, 1))
    best, stalled = load(running, np.int64(LANE_BEST)), load(running, np.int64(LANE_STALLED))
    counted = select(loss > best - every(settings, Setting.TOL), stalled + one, zero)
    stalled = select(patience > zero, counted, stalled)
    store(running, np.int64(LANE_STALLED), stalled)
    store(running, np.int64(LANE_BEST), select(patience > zero, select(loss < best, loss, best), best))
    waits = select(patience > zero, select(stalled < patience, zero, alive), zero)
    return total(waits) > number(running, 0)
