"""How a net and its samples lie in memory. Shapes alone decide, so results do not depend on the machine or the threads.

A *panel* holds a layer's values for a *slab* of samples: a row for each unit, `stride` elements apart. A *block* is some
of its vectors, few enough that their values in all layers stay in the first caches while they go forward and backward in
one visit.

Nets take a batch block by block, and each block adds to the gradient at once: a layer of few weights to partial sums, a
vector for each weight, other layers to the gradient itself. Batches are cut into parts, each with a gradient of its own,
so that threads can share them. *Wide* nets, whose gradient is too large for that, take a batch in slabs, layer by layer:
each weight's gradient is one sum over the slab, and threads share the weights (slabs.py).

Parameters are one flat vector: all weights, layer after layer, each (fan_in, fan_out) in C order, then all biases. Arrays
that the loops walk through in vectors are padded to `PAD` elements, with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Activation

PAD = 16  # the widest vector, in elements
# Samples in a block: as many as BLOCK_BYTES hold, measured where a block's partial sums weigh against its values. Those of
# a wide net only share out what is done by samples.
LARGEST_BLOCK = 256
SMALLEST_BLOCK = 64
BLOCK_BYTES = 80 * 1024
LARGEST_SLAB = 512
# Layers with no more weights than this keep a vector of partial sums for each; nets with no others are narrow.
MOST_LANE_SUMS = 512
MOST_LANE_SUMS_IN_ALL = 2048
# A net with more weights than this is wide: 128 KB of float32, which a second cache holds beside a block.
MOST_WEIGHTS_IN_PARTS = 32_768
# A batch of a narrow net has a part for every four blocks, up to eight, and each part's sums are folded into its gradient
# every 32 blocks: float32 sums of millions of samples stay accurate. Of a net between narrow and wide a part has at least
# SMALLEST_BLOCK samples.
MOST_PARTS = 8
BLOCKS_PER_PART = 4
BLOCKS_PER_FOLD = 32
# Threads share layers of wide nets in groups of units, and layers with fewer units than two groups by inputs.
GROUP = 64
# Threads of a wide net gather a slab's inputs each for itself where they are no more than this.
MOST_OWN_INPUTS = 1_000_000
# The update of other nets goes through the parameters in up to this many slices of at least 1,024.
MOST_SLICES = 16
SLICE = 1024
# The activations from this one on leave their slopes.
FIRST_WITH_SLOPE = Activation.GELU

# Columns of Net.layers. The output layer's delta takes the place of its weighted sums; TURNED is where a delta lies samples
# by units. WEIGHT_SUMS and BIAS_SUMS number the partial sums, a vector each: as the parameters themselves in a narrow net;
# WEIGHT_SUMS is -1 where a layer has too many weights. BY_UNITS says whether threads share a wide net's layer by units, not
# by inputs, and SQUARES where the sums of its squared weights begin. SLOPE is the place of the activation's slopes, -1
# where they follow from what it returns, and DROPPED says of how many in 2^32 outputs dropout leaves none.
LAYER_COLUMNS = 14
FAN_IN, FAN_OUT, ACTIVATION, WEIGHTS, BIASES, PANEL, DELTA = range(7)
WEIGHT_SUMS, BIAS_SUMS, TURNED, BY_UNITS, SQUARES, SLOPE, DROPPED = range(7, LAYER_COLUMNS)
# Places in State.cursor: how many samples are done, in all epochs together; which round of the batch is next, how many
# updates were made, where the current parameters lie, at how many samples done the row order begins, the key of the
# dropout, and for how many epochs the objective has stalled.
DONE, ROUND, STEP, HERE, FIRST, KEY, STALLED, CURSOR_SIZE = range(8)
# Places in State.running: sums that outlive a call, each long one with the rounding error it has left behind; the weight of
# all samples, and the least mean objective of an epoch. The losses of a batch follow from LOSSES on, for each part or block
# of a slab a pair, and behind it one of its samples' weights, in cache lines apart: threads would wait for each other's
# otherwise.
EPOCH_LOSS, EPOCH_REST, WHOLE_WEIGHT, BEST_LOSS, LOSSES = 0, 1, 2, 3, PAD
WEIGHT = 2


class Net(NamedTuple):
    """The shape of a net and the places of its arrays; offsets and sizes count elements.

    `n_targets` counts the rows of targets, of which the last has the samples' weights if the net is `weighted`; one that
    does not learn only measures its loss.
    """

    layers: NDArray[np.int64]
    n_layers: int
    loss: int
    narrow: bool
    wide: bool
    slab: int
    stride: int
    block: int
    parts: int
    shares: int
    slices: int
    n_features: int
    n_targets: int
    weighted: bool
    learns: bool
    n_weights: int
    n_parameters: int
    n_squares: int
    n_norms: int
    inputs: int
    targets: int
    scratch: int
    own_inputs: int
    sums: int


class Data(NamedTuple):
    """The samples. `X` and `y` are flat: rows, or with `laid_out` a panel for each slab.

    `order` has the numbers, among these rows, of those that come next: of one or more epochs, or of a part of one.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    order: NDArray[np.int32]
    n_samples: int
    batch_size: int
    laid_out: bool


class State(NamedTuple):
    """What a run has reached. A call goes on from it, so results do not depend on where calls end.

    `squares` holds the sums over the weights for the current step and the next, of each the squares and then the absolute
    values. `params` holds the current parameters at ``cursor[HERE]`` and those before the last update in its other half.
    """

    cursor: NDArray[np.int64]
    running: NDArray[Any]
    squares: NDArray[Any]
    norms: NDArray[Any]
    params: NDArray[Any]
    gradient: NDArray[Any]
    sums: NDArray[Any]
    moments: NDArray[Any]
    scratch: NDArray[Any]


def padded(size: int) -> int:
    """`size` rounded up to whole vectors."""
    return -(-size // PAD) * PAD


def aligned(size: int, dtype: Any) -> NDArray[Any]:
    """Zeros that begin at a cache line, with a vector to spare behind them."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros((size + PAD) * itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    values: NDArray[Any] = memory[start : start + (size + PAD) * itemsize].view(dtype)[:size]
    return values


def uneven(size: int) -> int:
    """`size` rounded up to an odd number of vectors, lest a panel's rows crowd in a few places of the cache."""
    return padded(size) + PAD * (padded(size) // PAD % 2 == 0)


def is_narrow(sizes: Sequence[int]) -> bool:
    """Whether every weight can have a vector of partial sums."""
    weights = [a * b for a, b in pairwise(sizes)]
    return max(weights) <= MOST_LANE_SUMS and sum(weights) <= MOST_LANE_SUMS_IN_ALL


def is_wide(sizes: Sequence[int]) -> bool:
    """Whether there are too many weights for several gradients."""
    return sum(a * b for a, b in pairwise(sizes)) > MOST_WEIGHTS_IN_PARTS


def block_size(sizes: Sequence[int], itemsize: int) -> int:
    """The most samples in a block."""
    if is_wide(sizes):
        return SMALLEST_BLOCK
    bytes_per_sample = (sum(sizes) + sum(sizes[1:-1])) * itemsize
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, BLOCK_BYTES // bytes_per_sample // SMALLEST_BLOCK * SMALLEST_BLOCK))


def parts_and_block(batch_size: int, block: int, narrow: bool) -> tuple[int, int]:
    """How many parts a batch has, and how many samples its blocks have, at most `block`."""
    if narrow:
        return max(1, min(MOST_PARTS, -(-batch_size // block) // BLOCKS_PER_PART)), min(padded(batch_size), block)
    # A power of two, so that as many threads have the same work; blocks alike, so that parts are.
    parts = 1
    while parts < MOST_PARTS and 2 * parts * SMALLEST_BLOCK <= batch_size:
        parts *= 2
    blocks = parts * -(-batch_size // (parts * block))
    return parts, padded(-(-batch_size // blocks))


def plan(
    sizes: Sequence[int],
    activations: Sequence[int],
    loss: int,
    n_targets: int,
    dtype: Any,
    batch_size: int,
    *,
    dropout: Sequence[float] = (),
    weighted: bool = False,
    learns: bool = True,
    stride: int | None = None,
) -> Net:
    """Lay out a net of ``len(sizes) - 1`` layers for batches of `batch_size`.

    `activations` has one code for each hidden layer, and `dropout` a share or nothing at all; the output's activation
    belongs to the loss. A `stride` in place of its own leaves room for nets abreast.
    """
    narrow, wide, block = is_narrow(sizes), is_wide(sizes), block_size(sizes, np.dtype(dtype).itemsize)
    parts, slab = (1, min(batch_size, LARGEST_SLAB)) if wide else parts_and_block(batch_size, block, narrow)
    block = min(block, slab)
    stride = stride or (slab if narrow else uneven(slab))
    # What threads can divide among themselves: a wide net's blocks, units and inputs, or the parts of a batch.
    shares = max(-(-slab // block), *(-(-size // PAD) for size in sizes)) if wide else parts
    n_weights = sum(a * b for a, b in pairwise(sizes))
    n_parameters = padded(n_weights + sum(sizes[1:]))
    slices = max(1, min(MOST_SLICES, n_parameters // SLICE))
    weights, biases, sums, squares = 0, n_weights, 0, 0
    targets = sizes[0] * stride
    panel = targets + n_targets * stride
    delta = panel + sum(sizes[1:]) * stride
    dropped = [*(int(share * 2**32) for share in dropout or [0] * len(activations)), 0]
    with_slopes = [
        share > 0 or activation >= FIRST_WITH_SLOPE for share, activation in zip(dropped, [*activations, 0], strict=True)
    ]
    slope = delta + sum(sizes[1:-1]) * stride
    turned = slope + sum(size for size, has in zip(sizes[1:], with_slopes, strict=True) if has) * stride
    layers: list[tuple[int, ...]] = []
    for (fan_in, fan_out), activation in zip(pairwise(sizes), [*activations, 0], strict=True):
        in_lanes = narrow or (fan_in * fan_out <= MOST_LANE_SUMS and not wide)
        bias_sums = sums + (padded(fan_in * fan_out) if in_lanes else 0)
        is_last = len(layers) == len(sizes) - 2
        by_units = wide and not is_last and fan_out >= 2 * GROUP
        layers.append((
            fan_in, fan_out, activation, weights, biases, panel, panel if is_last else delta,
            (weights if narrow else sums) if in_lanes else -1, biases if narrow else bias_sums, turned,
            by_units, squares, slope if with_slopes[len(layers)] else -1, dropped[len(layers)]
        ))  # fmt: skip
        slope += fan_out * stride if layers[-1][SLOPE] >= 0 else 0
        weights, biases = weights + fan_in * fan_out, biases + fan_out
        panel, delta = panel + fan_out * stride, delta + fan_out * stride
        sums = bias_sums + padded(fan_out)
        turned += 0 if in_lanes else stride * uneven(fan_out)
        squares += PAD * (-(-fan_out // GROUP) if by_units else -(-fan_in // PAD))
    # Squares of a vector's width are turned whole: they read and write up to PAD rows past a panel's end.
    scratch = padded(turned + PAD * stride)
    sums = n_parameters if narrow else sums
    # Squares of a vector's width write past this panel's end too.
    own_inputs = padded((sizes[0] + PAD) * stride)
    n_squares = squares if wide else slices * PAD
    # Places for squares of the gradient: those of the weights' squares, and of a wide net's biases.
    n_norms = n_squares + (PAD * sum(sizes[1:]) if wide else 0)
    own_inputs = own_inputs if wide and own_inputs <= MOST_OWN_INPUTS else 0
    return Net(
        np.array(layers, np.int64), len(layers), loss, narrow, wide, slab, stride, block, parts, shares, slices, sizes[0],
        n_targets, weighted, learns, n_weights, n_parameters, n_squares, n_norms, 0, targets, scratch, own_inputs, sums
    )  # fmt: skip


def shape_of(net: Net) -> NDArray[np.int64]:
    """All of a net but its layers, in an array."""
    return np.array(net[1:], np.int64)


def in_groups(net: Net, params: NDArray[Any]) -> NDArray[Any]:
    """Flat parameters with the weights of layers that are shared by units in the order the kernels take them in."""
    return _reordered(net, params, lambda W, groups: np.concatenate([W[:, group].ravel() for group in groups]))


def in_rows(net: Net, params: NDArray[Any]) -> NDArray[Any]:
    """Undo :func:`in_groups`."""

    def joined(W: NDArray[Any], groups: list[slice]) -> NDArray[Any]:
        rows, flat = np.empty_like(W), W.reshape(-1)
        for group in groups:
            rows[:, group] = flat[len(W) * group.start : len(W) * group.stop].reshape(len(W), -1)
        return rows.ravel()

    return _reordered(net, params, joined)


def _reordered(net: Net, params: NDArray[Any], reorder: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    result = params.copy()
    for row in net.layers[net.layers[:, BY_UNITS] > 0]:
        fan_in, fan_out, start = (int(row[column]) for column in (FAN_IN, FAN_OUT, WEIGHTS))
        groups = [slice(unit, min(unit + GROUP, fan_out)) for unit in range(0, fan_out, GROUP)]
        W = params[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        result[start : start + fan_in * fan_out] = reorder(W, groups)
    return result


def lay_out(rows: NDArray[Any], slab: int, stride: int) -> NDArray[Any]:
    """Turn rows (n_samples, n_features) into flat panels, a panel for each slab, its rows filled up with zeros."""
    n_samples, n_features = rows.shape
    n_slabs = -(-n_samples // slab)
    flat = aligned(n_slabs * n_features * stride, rows.dtype)
    panels = flat.reshape(n_slabs, n_features, stride)
    whole = n_samples // slab
    panels[:whole, :, :slab] = rows[: whole * slab].reshape(whole, slab, n_features).transpose(0, 2, 1)
    if whole < n_slabs:
        panels[whole, :, : n_samples - whole * slab] = rows[whole * slab :].T
    return flat


def new_state(net: Net, dtype: Any, n_moments: int, clips: bool, threads: int) -> State:
    """The state before the first epoch; :func:`begin_with` puts the parameters in."""
    return State(
        np.zeros(CURSOR_SIZE, np.int64),
        aligned(LOSSES + PAD * net.shares, dtype),
        # Written for the next step while threads may still read those of this one.
        aligned(4 * net.n_squares, dtype),
        aligned(net.n_norms if clips else 0, dtype),
        aligned(2 * net.n_parameters, dtype),
        aligned(net.parts * net.n_parameters, dtype),
        aligned(net.parts * net.sums * PAD, dtype),
        aligned(n_moments * net.n_parameters, dtype),
        aligned(net.scratch + net.own_inputs * threads if net.wide else net.scratch * threads, dtype),
    )


def begin_with(net: Net, state: State, params: NDArray[Any], penalties: NDArray[Any] | None) -> None:
    """Put flat parameters without padding in both places, and what the penalties sum over the weights."""
    size = net.n_parameters
    state.cursor[HERE] = 0
    state.params[: params.size] = state.params[size : size + params.size] = in_groups(net, params)
    first = 2 * net.n_squares * int(state.cursor[STEP] % 2)
    sums = state.squares[first : first + 2 * net.n_squares]
    if penalties is not None and penalties.size == sums.size:
        sums[:] = penalties
        return
    sums[:] = 0
    weights = params[: net.n_weights].astype(np.float64)
    # Overflow shows in the objective.
    with np.errstate(over="ignore"):
        sums[0], sums[net.n_squares] = np.square(weights).sum(), np.abs(weights).sum()
