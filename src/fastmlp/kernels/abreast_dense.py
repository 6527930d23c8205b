"""The matrix products of nets abreast: a net in each lane, so that weights are vectors as inputs are.

Every sum runs as it does for a net alone, whose lanes are samples (dense.py): inputs in order, one fma after the other; and
samples so many lanes apart first, the sums of these by neighbours afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.blocks import BIASES, FAN_IN, FAN_OUT, WEIGHTS
from fastmlp.kernels.dense import FROM_SCALARS, FROM_ZERO, SHAPES_APART, Tile, at, chosen_shape
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import (
    EXACT,
    VectorType,
    constant,
    data_of,
    ir_vector,
    lanes,
    least,
    load_at,
    store_at,
)

# Units or inputs by samples of a product, and inputs by units of a gradient: as many as registers hold beside factors.
PRODUCT_ROWS, PRODUCT_COLUMNS = 4, 4
PRODUCT_SHAPES = [(rows, columns) for rows in (4, 3, 2, 1) for columns in (4, 1)]
SHAPES_IN_ORDER = [(rows, columns) for rows in (4, 2, 1, 0) for columns in (4, 2, 1)]
SHAPES_BY_NEIGHBOURS = [(rows, columns) for rows in (2, 1, 0) for columns in (2, 1)]
assert max(columns for _, columns in PRODUCT_SHAPES) < SHAPES_APART


@intrinsic
def abreast_tile(
    typingctx: Any, rows: Any, columns: Any, left: Any, left0: Any, left_row: Any, left_depth: Any, right: Any,
    right0: Any, right_depth: Any, out: Any, out0: Any, out_row: Any, depth: Any, begin: Any, start0: Any
) -> Any:  # fmt: skip
    """out[row, column] = begin + sum over p of left[row, p] * right[p, column], all of them vectors.

    Steps are in elements, columns stand side by side. With `FROM_SCALARS` sums begin with vectors of `left` at `start0`.
    """
    vector = VectorType(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        left_data, right_data, out_data = (
            data_of(context, builder, array, args[place]) for place, array in ((2, left), (6, right), (9, out))
        )
        (l0, l_row, l_depth), (r0, r_depth), (o0, o_row, n, start, s0) = args[3:6], args[7:9], args[10:]

        def begins(how: int) -> Any:
            return builder.if_then(builder.icmp_signed("==", start, ir.Constant(start.type, how)))

        def first(row: int, column: int) -> ir.Value:
            return load_at(builder, kind, left_data, at(builder, s0, (row, kind.count)))

        def factor(row: int, p: ir.Value) -> ir.Value:
            return load_at(builder, kind, left_data, at(builder, l0, (l_row, row), (l_depth, p)))

        def other(column: int, p: ir.Value) -> ir.Value:
            return load_at(builder, kind, right_data, at(builder, r0, (column, kind.count), (r_depth, p)))

        def write(row: int, column: int, value: ir.Value) -> None:
            store_at(builder, value, out_data, at(builder, o0, (o_row, row), (column, kind.count)))

        with chosen_shape(builder, args[0], args[1]) as shape:
            for n_rows, n_columns in PRODUCT_SHAPES:
                with shape(n_rows, n_columns):
                    tile = Tile(builder, kind, n_rows, n_columns)
                    with begins(FROM_ZERO):
                        tile.start(lambda row, column: constant(kind, 0.0))
                    with begins(FROM_SCALARS):
                        tile.start(first)
                    tile.add_products(n, factor, other)
                    tile.finish(write)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(
        *[integers] * 2, left, *[integers] * 3, right, *[integers] * 2, out, *[integers] * 5
    ), codegen  # fmt: skip


def _gradient(sums: Callable[..., Any], shapes: list[tuple[int, int]]) -> Callable[..., Any]:
    """The code of a tile of a gradient: `sums(rows, columns, left, right, n)` writes its instructions."""

    def typed(
        typingctx: Any, rows: Any, columns: Any, a: Any, a0: Any, a_step: Any, d: Any, d0: Any, d_step: Any, out: Any,
        o0: Any, o_row: Any, n: Any
    ) -> Any:  # fmt: skip
        vector = VectorType(out.dtype)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir_vector(vector)
            a_data, d_data, out_data = (
                data_of(context, builder, array, args[place]) for place, array in ((2, a), (5, d), (8, out))
            )
            (a0_, a_step_), (d0_, d_step_), (o0_, o_row_, n_) = args[3:5], args[6:8], args[9:]

            def left(row: int, p: ir.Value | int) -> ir.Value:
                return load_at(builder, kind, a_data, at(builder, a0_, (a_step_, row), (kind.count, p)))

            def ones(row: int, p: ir.Value | int) -> ir.Value:
                return constant(kind, 1.0)

            def right(column: int, p: ir.Value | int) -> ir.Value:
                return load_at(builder, kind, d_data, at(builder, d0_, (d_step_, column), (kind.count, p)))

            with chosen_shape(builder, args[0], args[1]) as shape:
                for n_rows, n_columns in shapes:
                    with shape(n_rows, n_columns):
                        factor = left if n_rows else ones
                        for (row, column), value in sums(
                            builder, kind, max(1, n_rows), n_columns, factor, right, n_
                        ).items():
                            store_at(builder, value, out_data, at(builder, o0_, (o_row_, row), (column, kind.count)))
            return context.get_dummy_value()

        integers = types.int64
        return types.void(*[integers] * 2, a, *[integers] * 2, d, *[integers] * 2, out, *[integers] * 3), codegen

    return typed


def _in_order(
    builder: ir.IRBuilder, kind: ir.VectorType, rows: int, columns: int, left: Any, right: Any, n: ir.Value
) -> dict[tuple[int, int], ir.Value]:
    tile = Tile(builder, kind, rows, columns)
    tile.start(lambda row, column: constant(kind, 0.0))
    tile.add_products(n, left, right)
    return {place: builder.load(pointer) for place, pointer in tile.sums.items()}


def _by_neighbours(
    builder: ir.IRBuilder, kind: ir.VectorType, rows: int, columns: int, left: Any, right: Any, n: ir.Value
) -> dict[tuple[int, int], ir.Value]:
    places = [(row, column) for row in range(rows) for column in range(columns)]

    def summed(lo: int, hi: int) -> dict[tuple[int, int], ir.Value]:
        if hi - lo == 1:
            factors, others = [left(row, lo) for row in range(rows)], [right(column, lo) for column in range(columns)]
            return {(row, column): builder.fmul(factors[row], others[column], flags=EXACT) for row, column in places}
        first, second = summed(lo, (lo + hi) // 2), summed((lo + hi) // 2, hi)
        return {place: builder.fadd(first[place], second[place], flags=EXACT) for place in places}

    return summed(0, kind.count)


def _spread(
    builder: ir.IRBuilder, kind: ir.VectorType, rows: int, columns: int, left: Any, right: Any, n: ir.Value
) -> dict[tuple[int, int], ir.Value]:
    def summed(lo: int, hi: int) -> dict[tuple[int, int], ir.Value]:
        if hi - lo == 1:
            first = builder.mul(n, ir.Constant(n.type, lo))
            return _in_order(
                builder, kind, rows, columns, lambda row, p: left(row, builder.add(first, p)),
                lambda column, p: right(column, builder.add(first, p)), n
            )  # fmt: skip
        first_half, second_half = summed(lo, (lo + hi) // 2), summed((lo + hi) // 2, hi)
        return {place: builder.fadd(value, second_half[place], flags=EXACT) for place, value in first_half.items()}

    return summed(0, kind.count)


def _named(name: str, doc: str, typed: Callable[..., Any]) -> Any:
    typed.__name__ = typed.__qualname__ = name
    typed.__doc__ = doc
    return intrinsic(typed)


ordered_tile = _named(
    "ordered_tile",
    "out[row, column] = sum over `n` samples of a[row] * d[column], in order; with no `rows` the sum of d[column].",
    _gradient(_in_order, SHAPES_IN_ORDER),
)
neighbours_tile = _named(
    "neighbours_tile",
    "The same over as many samples as vectors have lanes, neighbours first.",
    _gradient(_by_neighbours, SHAPES_BY_NEIGHBOURS),
)
spread_tile = _named(
    "spread_tile",
    "The same over `n` times as many samples: `n` in order, and these sums neighbours first.",
    _gradient(_spread, SHAPES_BY_NEIGHBOURS),
)


@routine
def abreast_product(left, l0, l_row, l_depth, right, r0, r_depth, out, o0, o_row, rows, columns, depth, begin, s0):
    """out = begin + left @ right in tiles."""
    width = lanes(out)
    for column in range(0, columns, PRODUCT_COLUMNS):
        for row in range(0, rows, PRODUCT_ROWS):
            abreast_part(
                left, l0 + row * l_row, l_row, l_depth, right, r0 + column * width, r_depth, out,
                o0 + row * o_row + column * width, o_row, least(PRODUCT_ROWS, rows - row),
                least(PRODUCT_COLUMNS, columns - column), depth, begin, s0 + row * width
            )  # fmt: skip


@kernel
def abreast_part(left, l0, l_row, l_depth, right, r0, r_depth, out, o0, o_row, rows, columns, depth, begin, s0):
    """One tile where it is whole, else its columns one by one."""
    width = lanes(out)
    each = PRODUCT_COLUMNS if columns == PRODUCT_COLUMNS else 1
    for column in range(0, columns, each):
        abreast_tile(
            rows, each, left, l0, l_row, l_depth, right, r0 + column * width, r_depth, out, o0 + column * width, o_row,
            depth, begin, s0
        )  # fmt: skip


@kernel
def abreast_forward(net, layer, params, here, x, x0, scratch, out0, size):
    """out = W.T @ x + b for `size` samples."""
    width, fan_in, fan_out = lanes(scratch), net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT]
    w0, b0 = here + net.layers[layer, WEIGHTS] * width, here + net.layers[layer, BIASES] * width
    begin = np.int64(FROM_SCALARS)
    abreast_product(
        params, w0, width, fan_out * width, x, x0, net.stride, scratch, out0, net.stride, fan_out, size, fan_in, begin, b0
    )  # fmt: skip


@kernel
def abreast_input(net, layer, params, here, scratch, delta0, upstream, size):
    """upstream = W @ delta."""
    width, fan_in, fan_out = lanes(scratch), net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT]
    w0, begin = here + net.layers[layer, WEIGHTS] * width, np.int64(FROM_ZERO)
    abreast_product(
        params, w0, fan_out * width, width, scratch, delta0, net.stride, scratch, upstream, net.stride, fan_in, size,
        fan_out, begin, w0
    )  # fmt: skip


@kernel
def part_of(size):
    """The largest tile's side for so many rows or columns: 4, 2 or 1."""
    return 4 if size >= 4 else (2 if size >= 2 else 1)


@routine
def ordered_gradient(net, layer, x, x0, scratch, delta0, gradient, g0, samples):
    """The gradient of a layer's weights and biases, summed over samples in order."""
    width, step = lanes(gradient), net.stride
    fan_in, fan_out = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT]
    w0, b0 = g0 + net.layers[layer, WEIGHTS] * width, g0 + net.layers[layer, BIASES] * width
    row_step, unit = fan_out * width, 0
    while unit < fan_out:
        columns, i = part_of(fan_out - unit), 0
        delta = delta0 + unit * step
        while i < fan_in:
            rows = part_of(fan_in - i)
            ordered_tile(
                rows, columns, x, x0 + i * step, step, scratch, delta, step, gradient, w0 + i * row_step + unit * width,
                row_step, samples
            )  # fmt: skip
            i += rows
        ordered_tile(0, columns, x, x0, step, scratch, delta, step, gradient, b0 + unit * width, row_step, samples)
        unit += columns


@routine
def neighbours_gradient(net, layer, x, x0, scratch, delta0, gradient, n):
    """The gradient of a layer's weights and biases, over `n` samples of each lane in order, and then neighbours first."""
    width, step = lanes(gradient), net.stride
    fan_in, fan_out = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT]
    w0, b0 = net.layers[layer, WEIGHTS] * width, net.layers[layer, BIASES] * width
    row_step, unit = fan_out * width, 0
    while unit < fan_out:
        columns, i = least(2, fan_out - unit), 0
        delta = delta0 + unit * step
        # Past the inputs come the biases.
        while i <= fan_in:
            rows, to = least(2, fan_in - i), w0 + i * row_step + unit * width
            if rows == 0:
                to = b0 + unit * width
            left = x0 + i * step
            if n == 1:
                neighbours_tile(rows, columns, x, left, step, scratch, delta, step, gradient, to, row_step, n)
            else:
                spread_tile(rows, columns, x, left, step, scratch, delta, step, gradient, to, row_step, n)
            i += rows if rows > 0 else 1
        unit += columns
