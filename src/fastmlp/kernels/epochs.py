"""The training loop: forward, loss, backward and update over blocks, batches and epochs; and prediction.

A call works through rounds (some blocks of each part, or a slab) for a budget of blocks, and may stop after any of them.
What it has reached is in the state it was given, so the results do not depend on where calls end. Several threads may make
the same call at once: each follows the same way through epochs and batches and does its share of the work, and they meet
where one needs what another has done. The shares add up in an order that does not depend on how many threads there are.
"""

from __future__ import annotations

from fastmlp.kernels import slabs
from fastmlp.kernels.activations import activate
from fastmlp.kernels.blocks import (
    DONE,
    EPOCH_LOSS,
    EPOCH_REST,
    FAN_OUT,
    FIRST,
    HERE,
    LOSSES,
    PAD,
    PANEL,
    ROUND,
    STEP,
    Net,
)
from fastmlp.kernels.blockwise import forward, gradients, update_share
from fastmlp.kernels.jit import entry, kernel, routine, with_parts
from fastmlp.kernels.losses import softmax
from fastmlp.kernels.optimizers import Setting
from fastmlp.kernels.shares import add, gather, parts_of, reset
from fastmlp.kernels.threads import begin, meet
from fastmlp.kernels.vectors import fill, lanes, load, number, total
from fastmlp.options import Activation, Loss, Status


@kernel
def objective_of(net, state, step, l2, size):
    """The objective of a batch, from the losses and the squared weights that all threads have left."""
    running, loss = state.running, number(state.running, 0)
    places = net.parts
    if net.wide:
        places = parts_of(min(net.slab, size), net.block)
    for place in range(LOSSES, LOSSES + PAD * places, PAD):
        loss += running[place] + running[place + 1]
    objective = loss / number(running, size)
    if l2 > 0:
        first = net.n_squares * (step % 2)
        squares = fill(running, number(running, 0))
        for i in range(first, first + net.n_squares, lanes(running)):
            squares = squares + load(state.squares, i)
        objective += l2 / number(running, 2) * total(squares)
    return objective


@entry
def run_blocks(net, data, state, solver, settings, rates, losses, until, budget, rank, threads, sync):
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
        rounds, blocks, goal = gradients(
            net, data, state, here, done - first, size, round_, rank, threads, sync, goal
        )  # fmt: skip
        budget -= blocks
        round_ += 1
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
        scale, q0 = number(running, 1) / number(running, size), net.n_squares * ((step + 1) % 2)
        update_share(net, state, solver, settings, rates[epoch], l2, scale, step + 1, here, q0, rank, threads)
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


# The same for wide nets; an entry of its own, since a first training should not compile what it has no use for.
run_slabs = entry(with_parts(run_blocks.py_func, "run_slabs", gradients=slabs.gradients, update_share=slabs.update_share))


@routine
def net_of(layers, shape):
    """The net that :func:`fastmlp.kernels.blocks.shape_of` has put into an array."""
    return Net(
        layers, shape[0], shape[1] != 0, shape[2] != 0, shape[3], shape[4], shape[5], shape[6], shape[7], shape[8],
        shape[9], shape[10], shape[11], shape[12], shape[13], shape[14], shape[15], shape[16], shape[17], shape[18]
    )  # fmt: skip


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
