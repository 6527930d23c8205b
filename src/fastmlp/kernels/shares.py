"""How the work is cut into shares, and sums that outlive a call."""

from __future__ import annotations

from fastmlp.kernels.blocks import BIASES, FAN_OUT
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.turning import transpose_rows
from fastmlp.kernels.vectors import lanes, least, number

# Fewer columns than this are copied one by one: half a vector of them would be turned for nothing.
FEWEST_COLUMNS_TURNED = 6


@routine
def gather(rows, base, width, order, start, count, panel, p0, step):
    """Turn `count` rows into a panel: those that the order names from `start` on, counted from row `base`.

    The lanes past the last row repeat it. Squares of a vector's width are turned in registers; they may write up to a
    vector's width of rows past the panel, which whoever comes next in scratch overwrites.
    """
    size = lanes(panel)
    last = start + count - 1
    some = width + size - FEWEST_COLUMNS_TURNED
    squares = some // size if some > 0 else 0
    if squares > 0:
        for j in range(0, count, size):
            transpose_rows(rows, base, width, order, start + j, last, squares, panel, p0 + j, step)
    k = squares * size
    if k < width:
        for j in range((count + size - 1) // size * size):
            row = (base + order[least(start + j, last)]) * width
            for column in range(k, width):
                panel[p0 + column * step + j] = rows[row + column]


@kernel
def added(total, rest, value):
    """A long sum with a value more, and the rounding error that it leaves behind (Neumaier 1974)."""
    after = total + value
    if abs(total) >= abs(value):
        rest += (total - after) + value
    else:
        rest += (value - after) + total
    return after, rest


@kernel
def add(sums, place, value):
    """Add to a long sum and, behind it, to its rounding error."""
    sums[place], sums[place + 1] = added(sums[place], sums[place + 1], value)


@kernel
def reset(running, place):
    """Begin the losses of a part or block of a batch."""
    running[place] = number(running, 0)
    running[place + 1] = number(running, 0)


@kernel
def size_of(net):
    """How many parameters there are, without padding."""
    last = net.n_layers - 1
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
