"""The training loop: forward, loss, backward and update over blocks, batches and epochs; and prediction.

A call works through rounds (some blocks of each part, or a slab) for a budget of blocks, and may stop after any of them.
What it has reached is in the state it was given, so the results do not depend on where calls end. Several threads may make
the same call at once: each follows the same way through epochs and batches and does its share of the work, and they meet
where one needs what another has done. The shares add up in an order that does not depend on how many threads there are.
"""

from __future__ import annotations

import math

import numpy as np

from fastmlp.kernels import slabs
from fastmlp.kernels.activations import activate
from fastmlp.kernels.blocks import (
    BEST_LOSS,
    DONE,
    EPOCH_LOSS,
    EPOCH_REST,
    FAN_OUT,
    FIRST,
    HERE,
    LAYER_COLUMNS,
    LOSSES,
    PAD,
    PANEL,
    ROUND,
    STALLED,
    STEP,
    WEIGHT,
    WHOLE_WEIGHT,
    Data,
    Net,
    State,
)
from fastmlp.kernels.blockwise import forward, gradients, prepare_share, update_share
from fastmlp.kernels.elementary import exp
from fastmlp.kernels.jit import entry, kernel, routine, with_parts
from fastmlp.kernels.losses import l2_penalty, softmax
from fastmlp.kernels.optimizers import Setting
from fastmlp.kernels.shares import added, gather, parts_of
from fastmlp.kernels.threads import begin, meet
from fastmlp.kernels.vectors import every, fill, first_lane, lanes, least, load, memory, number, store, table, total
from fastmlp.options import Activation, Loss, Solver, Status


@kernel
def total_of(net, running, place, size):
    """A sum over the samples of a batch, from what all threads have left; `place` is 0 for the losses."""
    places, result = net.parts, number(running, 0)
    if net.wide:
        places = parts_of(least(net.slab, size), net.block)
    for at in range(LOSSES + place, LOSSES + place + PAD * places, PAD):
        result += running[at] + running[at + 1]
    return result


@kernel
def sum_of(values, lo, hi):
    """The sum of the elements from `lo` to `hi`, lane by lane first."""
    sums = fill(values, number(values, 0))
    for i in range(lo, hi, lanes(values)):
        sums = sums + load(values, i)
    return total(sums)


@kernel
def penalty_of(net, settings, squares, step, l2):
    """What the penalties add to the objective, from the sums over the weights that the last update has left: a vector."""
    penalty, first = fill(squares, number(squares, 0)), 2 * net.n_squares * (step % 2)
    if first_lane(l2) > 0:
        penalty = l2_penalty(squares, l2, fill(squares, sum_of(squares, first, first + net.n_squares)))
    if settings[Setting.L1] > 0:
        sums = sum_of(squares, first + net.n_squares, first + 2 * net.n_squares)
        penalty = penalty + every(settings, Setting.L1) * fill(squares, sums)
    return penalty


@routine
def shrinkage(norms, n_norms, most):
    """The factor that makes the gradient's norm no more than `most`; 1 where there is no such bound."""
    one = number(norms, 1)
    if most == number(norms, 0):
        return one
    norm = math.sqrt(sum_of(norms, np.int64(0), n_norms))
    return most / norm if norm > most else one


@kernel
def net_of(layers, shape):
    """The net that :func:`fastmlp.kernels.blocks.shape_of` has put into an array."""
    return Net(
        table(layers, LAYER_COLUMNS), shape[0], shape[1], shape[2] != 0, shape[3] != 0, shape[4], shape[5], shape[6],
        shape[7], shape[8], shape[9], shape[10], shape[11], shape[12] != 0, shape[13] != 0, shape[14], shape[15], shape[16],
        shape[17], shape[18], shape[19], shape[20], shape[21], shape[22]
    )  # fmt: skip


@kernel
def memories_of_data(data):
    return Data(memory(data.X), memory(data.y), memory(data.order), data.n_samples, data.batch_size, data.laid_out)


@kernel
def memories_of_state(state):
    return State(
        memory(state.cursor), memory(state.running), memory(state.squares), memory(state.norms), memory(state.params),
        memory(state.gradient), memory(state.sums), memory(state.moments), memory(state.scratch)
    )  # fmt: skip


@entry
def run_blocks(layers, shape, data, state, solver, settings, rates, losses, until, budget, rank, threads, sync):
    """Train until `until` samples are done or for `budget` blocks; write each epoch's mean objective into `losses`.

    Samples count from the beginning of the run, those of every epoch anew. Objectives are means over an epoch's batches,
    weighted by their samples, each taken before its update. Of the `threads` callers `rank` 0 writes what has been reached;
    all return the same.
    """
    net, data, state = net_of(layers, shape), memories_of_data(data), memories_of_state(state)
    settings, sync = memory(settings), memory(sync)
    cursor, running, zero = state.cursor, state.running, number(state.running, 0)
    done, first, round_ = cursor[DONE], cursor[FIRST], cursor[ROUND]
    step, here, stalled = cursor[STEP], cursor[HERE], cursor[STALLED]
    best_loss, whole_weight = running[BEST_LOSS], running[WHOLE_WEIGHT]
    # All threads keep the sum of the epoch's objectives, each for itself: all must see where it stalls.
    epoch_loss, epoch_rest = running[EPOCH_LOSS], running[EPOCH_REST]
    epoch, start = done // data.n_samples, done % data.n_samples
    wholes, patience = fill(running, whole_weight), settings[Setting.PATIENCE]
    prepares = settings[Setting.L1] > zero or settings[Setting.MAX_GRAD_NORM] > zero
    # Without steps an epoch has one gradient, to which its batches add by their weight.
    adds_up = solver == Solver.LBFGS
    status = Status.RUNNING
    # Nobody writes the cursor before all have read it.
    if not begin(sync, threads):
        return Status.RUNNING
    goal = 2 * threads
    while budget > 0 and done < until and status == Status.RUNNING:
        size = least(data.batch_size, data.n_samples - start)
        rounds, blocks, goal = gradients(
            net, data, state, settings, here, step, done - first, size, round_, rank, threads, sync, goal
        )  # fmt: skip
        budget -= blocks
        round_ += 1
        if round_ < rounds:
            continue
        round_ = 0
        weight = total_of(net, running, np.int64(WEIGHT), size) if net.weighted else number(running, size)
        if weight > zero:
            l2, weights = every(settings, Setting.L2), fill(running, weight)
            if settings[Setting.L2_PER_SAMPLE] > zero:
                l2 = l2 / (wholes if adds_up else weights)
            objective = fill(running, total_of(net, running, np.int64(0), size)) / weights
            objective = objective + penalty_of(net, settings, state.squares, step, l2)
            share = first_lane(objective * weights)
            # That of the epoch has to be finite too.
            if not abs(epoch_loss + share) < number(running, 1) / zero:
                status = Status.DIVERGED
                continue
            epoch_loss, epoch_rest = added(epoch_loss, epoch_rest, share)
            if net.learns:
                scale = fill(running, number(running, 1)) / weights
                if prepares:
                    prepare_share(net, state, settings, l2, scale, here, rank, threads)
                    goal = meet(sync, threads, goal)
                    factor = fill(running, shrinkage(state.norms, net.n_norms, settings[Setting.MAX_GRAD_NORM]))
                    scale, l2 = scale * factor, l2 * factor
                if adds_up:
                    scale, l2 = scale * (weights / wholes), l2 * (weights / wholes)
                q0 = 2 * net.n_squares * ((step + 1) % 2)
                rate = fill(rates, rates[epoch])
                update_share(
                    net, state, solver, settings, rate, l2, scale, step + 1, here, q0, prepares, rank, threads
                )  # fmt: skip
                step += 1
                here = net.n_parameters - here
        # All must have seen the batch's sums, and made their updates, before the next batch begins.
        goal = meet(sync, threads, goal)
        done += size
        start += size
        if start == data.n_samples:
            loss = first_lane(fill(running, epoch_loss + epoch_rest) / wholes)
            epoch_loss, epoch_rest = zero, zero
            if rank == 0:
                losses[epoch] = loss
            start = 0
            epoch += 1
            if patience > zero:
                stalled = stalled + 1 if loss > best_loss - settings[Setting.TOL] else 0
                if loss < best_loss:
                    best_loss = loss
                if number(running, stalled) >= patience:
                    status, stalled = Status.STALLED, 0
    if rank == 0:
        cursor[DONE], cursor[ROUND], cursor[STALLED] = done, round_, stalled
        cursor[STEP], cursor[HERE] = step, here
        running[EPOCH_LOSS], running[EPOCH_REST], running[BEST_LOSS] = epoch_loss, epoch_rest, best_loss
    if status == Status.RUNNING and done == until:
        status = Status.FINISHED
    return status


# The same for wide nets; an entry of its own, since a first training should not compile what it has no use for.
run_slabs = entry(
    with_parts(
        run_blocks.py_func,
        "run_slabs",
        gradients=slabs.gradients,
        prepare_share=slabs.prepare_share,
        update_share=slabs.update_share,
    )
)


@entry
def predict(layers, shape, params, X, order, scratch, out):
    """Write the outputs of the net for each row of X into flat rows of `out`; say whether all of X is finite.

    `layers` and `shape` are a Net's, in two arrays since Python hands over arrays faster than tuples; `order` counts the
    rows of a slab.
    """
    net = net_of(layers, shape)
    n_samples = X.shape[0] // net.n_features
    params, X, order, scratch, out = memory(params), memory(X), memory(order), memory(scratch), memory(out)
    last = net.n_layers - 1
    panel, outputs = layers[last, PANEL], layers[last, FAN_OUT]
    width, zero, none = lanes(scratch), number(scratch, 0), np.int64(0)
    # x - x is 0, or NaN where x is not finite.
    differences = fill(scratch, zero)
    for start in range(0, n_samples, net.slab):
        count = least(net.slab, n_samples - start)
        vectors = (count + width - 1) // width
        gather(X, start, net.n_features, order, none, count, scratch, net.inputs, net.stride)
        for feature in range(net.n_features):
            first = net.inputs + feature * net.stride
            for i in range(first, first + vectors * width, width):
                x = load(scratch, i)
                differences = differences + (x - x)
        forward(net, params, none, scratch, net.inputs, scratch, none, vectors, none, none, none)
        if net.loss == Loss.CROSS_ENTROPY:
            softmax(scratch, panel, net.stride, outputs, vectors)
        elif net.loss == Loss.BINARY_CROSS_ENTROPY:
            logistic_code = np.int64(Activation.LOGISTIC)
            activate(logistic_code, scratch, panel, panel, net.stride, outputs, vectors)
        elif net.loss == Loss.POISSON:
            for k in range(outputs):
                for i in range(panel + k * net.stride, panel + k * net.stride + vectors * width, width):
                    store(scratch, i, exp(load(scratch, i)))
        for j in range(count):
            for k in range(outputs):
                out[(start + j) * outputs + k] = scratch[panel + k * net.stride + j]
    return total(differences) == zero
