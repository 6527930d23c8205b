"""How a net and a block of samples lie in memory. Shapes alone decide, so results do not depend on the machine's caches.

A *panel* holds a block's values of one layer: a row of ``net.block`` samples for each unit, of which the first
``vectors`` vectors are in use. Parameters are one flat vector: all weights, layer after layer, each (fan_in, fan_out) in
C order, then all biases. Vectors that the loops walk through are padded to `PAD` elements, with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PAD = 16  # the widest vector, in elements
LARGEST_BLOCK = 256
SMALLEST_BLOCK = 64
# A block's panels should stay in the first cache: 24 KB leaves room for the weights on any CPU of the last ten years.
BLOCK_BYTES = 24 * 1024
# Layers with no more weights than this keep a vector of partial sums for each, in the cache beside the panels.
MOST_LANE_SUMS = 512

# Columns of Net.layers.
FAN_IN, FAN_OUT, ACTIVATION, WEIGHTS, BIASES, PANEL, WEIGHT_SUMS, BIAS_SUMS = range(8)
# Places in State.cursor: where the next block begins, how many updates were made, where the current parameters lie, and
# which epoch the row orders begin with.
EPOCH, BATCH, ROW, STEP, HERE, FIRST = range(6)
# Places in State.running: sums that outlive a call, each long one with the rounding error it has left behind.
EPOCH_LOSS, EPOCH_REST, BATCH_LOSS, BATCH_REST, SQUARES = range(5)


class Net(NamedTuple):
    """The shape of a net and the places of its arrays; offsets count elements."""

    layers: NDArray[np.int64]
    loss: int
    block: int
    n_features: int
    n_targets: int
    n_weights: int
    n_parameters: int
    inputs: int
    targets: int
    upstream: int
    turned: int


class Data(NamedTuple):
    """The samples. `X` and `y` are flat: rows, or with `laid_out` a panel for each block.

    `order` has the row orders of one or more epochs, one after the other.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    order: NDArray[np.int32]
    n_samples: int
    batch_size: int
    laid_out: bool


class State(NamedTuple):
    """What a run has reached. A call goes on from it, so results do not depend on where calls end.

    `params` holds the current parameters at ``cursor[HERE]`` and those before the last update in its other half.
    """

    cursor: NDArray[np.int64]
    running: NDArray[Any]
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


def block_size(sizes: Sequence[int], itemsize: int) -> int:
    """Samples in a block."""
    bytes_per_sample = (sum(sizes) + max(sizes)) * itemsize
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, BLOCK_BYTES // bytes_per_sample // SMALLEST_BLOCK * SMALLEST_BLOCK))


def plan(sizes: Sequence[int], activations: Sequence[int], loss: int, n_targets: int, dtype: Any) -> Net:
    """Lay out a net of ``len(sizes) - 1`` layers.

    `activations` has one code for each hidden layer; the output's activation belongs to the loss.
    """
    block = block_size(sizes, np.dtype(dtype).itemsize)
    n_weights = sum(a * b for a, b in pairwise(sizes))
    weights, biases, sums = 0, n_weights, 0
    place = sizes[0] * block
    targets, place = place, place + n_targets * block
    layers = []
    for fan_in, fan_out, activation in zip(sizes, sizes[1:], [*activations, 0], strict=False):
        in_lanes = fan_in * fan_out <= MOST_LANE_SUMS
        bias_sums = sums + (padded(fan_in * fan_out) * PAD if in_lanes else 0)
        layers.append((fan_in, fan_out, activation, weights, biases, place, sums if in_lanes else -1, bias_sums))
        weights, biases, place = weights + fan_in * fan_out, biases + fan_out, place + fan_out * block
        sums = bias_sums + padded(fan_out) * PAD
    upstream, turned = place, place + max(sizes[1:]) * block
    table = np.array(layers, np.int64)
    return Net(table, loss, block, sizes[0], n_targets, n_weights, padded(biases), 0, targets, upstream, turned)


def scratch_size(net: Net) -> int:
    """Elements of scratch a block needs."""
    turned = net.block * padded(int(net.layers[:, FAN_OUT].max()))
    # Squares are turned whole: they read and write up to PAD rows past a panel's end.
    return int(net.turned + turned + PAD * net.block)


def sums_size(net: Net) -> int:
    """Elements of the partial sums, for any vector width."""
    return int(net.layers[-1, BIAS_SUMS] + padded(int(net.layers[-1, FAN_OUT])) * PAD)


def lay_out(rows: NDArray[Any], block: int) -> NDArray[Any]:
    """Turn rows (n_samples, n_features) into flat panels, a panel for each block, the last one filled up with zeros."""
    n_samples, n_features = rows.shape
    n_blocks = -(-n_samples // block)
    flat = aligned(n_blocks * n_features * block, rows.dtype)
    panels = flat.reshape(n_blocks, n_features, block)
    whole = n_samples // block
    panels[:whole] = rows[: whole * block].reshape(whole, block, n_features).transpose(0, 2, 1)
    if whole < n_blocks:
        panels[whole, :, : n_samples - whole * block] = rows[whole * block :].T
    return flat


def new_state(net: Net, params: NDArray[Any], n_moments: int) -> State:
    """The state before the first epoch, from flat parameters without padding."""
    dtype = params.dtype
    twice = aligned(2 * net.n_parameters, dtype)
    twice[: params.size] = twice[net.n_parameters : net.n_parameters + params.size] = params
    running = np.zeros(5, dtype)
    running[SQUARES] = np.square(params[: net.n_weights], dtype=np.float64).sum()
    return State(
        np.zeros(6, np.int64),
        running,
        twice,
        aligned(net.n_parameters, dtype),
        aligned(sums_size(net), dtype),
        aligned(max(1, n_moments * net.n_parameters), dtype),
        aligned(scratch_size(net), dtype),
    )
