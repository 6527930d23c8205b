"""The three matrix products of a layer, in tiles of vectors held in registers while they run through the depth.

Same as ``W.T @ x + b[:, None]``, ``W @ delta`` and ``x @ delta.T`` on panels, whose columns are samples. Every sum runs
over its inputs in order, one fma after the other, so a sample's result depends neither on its place nor on the tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.kernels.blocks import BIAS_SUMS, BIASES, FAN_IN, FAN_OUT, PAD, WEIGHT_SUMS, WEIGHTS
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.turning import transpose
from fastmlp.kernels.vectors import (
    FEATURES,
    FMA,
    VectorType,
    call,
    constant,
    data_of,
    fill,
    first_lanes,
    ir_vector,
    lanes,
    least,
    load,
    load_at,
    load_first_at,
    number,
    prefetch_at,
    splat,
    store,
    store_at,
    store_first,
    store_first_at,
    totals,
)

# What a tile's sums begin with: nothing, a scalar of the left factor for each row, or what the output holds.
FROM_ZERO, FROM_SCALARS, FROM_OUTPUT = range(3)
# Columns of the widest tile: with four rows, as many as leave registers for the factors, of which there are 32 or 16.
COLUMNS = 4 if FEATURES.get("avx512f") or FEATURES.get("neon") else 3
# The tiles there are, in rows x columns, and a number that tells them apart.
PRODUCT_SHAPES = [(rows, columns) for rows in (4, 3, 2, 1) for columns in (COLUMNS, 1)]
INNER_SHAPES = [(rows, columns) for rows in (4, 3, 2, 1) for columns in (2, 1)]
SHAPES_APART = 8
# How many rows of the left factor ahead its values are asked for: a cache line of float32 where they lie side by side.
ROWS_AHEAD = 16
# 128 rows of four vectors are 32 KB, a first cache; 64 and 256 were slower by up to a twentieth.
DEPTH_AT_ONCE = 128


@contextmanager
def rolled_loop(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """A loop that LLVM leaves as it is: a tile has work enough in one turn, and few turns where layers are narrow."""
    head, body, end = (builder.append_basic_block(f"tile.{name}") for name in ("head", "body", "end"))
    before = builder.block
    builder.branch(head)
    builder.position_at_end(head)
    p = builder.phi(count.type)
    p.add_incoming(ir.Constant(count.type, 0), before)
    builder.cbranch(builder.icmp_signed("<", p, count), body, end)
    builder.position_at_end(body)
    yield p
    p.add_incoming(builder.add(p, ir.Constant(count.type, 1)), builder.block)
    disable = builder.module.add_metadata(["llvm.loop.unroll.disable"])
    loop = ir.values.MDValue(builder.module, [disable], name=str(len(builder.module.metadata)))
    loop.operands = (loop, disable)  # a loop is named by a node that begins with itself
    builder.branch(head).set_metadata("llvm.loop", loop)
    builder.position_at_end(end)


@contextmanager
def chosen_shape(builder: ir.IRBuilder, rows: ir.Value, columns: ir.Value) -> Iterator[Callable[[int, int], Any]]:
    """Branches of which the one for rows x columns is taken: within, `shape(rows, columns)` opens each."""
    number = at(builder, columns, (rows, SHAPES_APART))
    end = builder.append_basic_block("tile.shapes.end")
    switch = builder.switch(number, end)

    @contextmanager
    def shape(n_rows: int, n_columns: int) -> Iterator[None]:
        block = builder.append_basic_block(f"tile.{n_rows}.{n_columns}")
        switch.add_case(ir.Constant(number.type, n_rows * SHAPES_APART + n_columns), block)
        builder.position_at_end(block)
        yield
        builder.branch(end)

    yield shape
    builder.position_at_end(end)


class Tile:
    """`rows` x `columns` vectors in registers, while the instructions of a product are written."""

    def __init__(self, builder: ir.IRBuilder, vector: ir.VectorType, rows: int, columns: int) -> None:
        self.builder, self.rows, self.columns = builder, range(rows), range(columns)
        self.sums = {(r, c): cgutils.alloca_once(builder, vector) for r in range(rows) for c in range(columns)}

    def start(self, value: Callable[[int, int], ir.Value]) -> None:
        """Give each sum its first value."""
        for place, pointer in self.sums.items():
            self.builder.store(value(*place), pointer)

    def add_products(self, depth: ir.Value, left: Callable[..., ir.Value], right: Callable[..., ir.Value]) -> None:
        """sum[row, column] += left(row, p) * right(column, p) for each p below `depth`."""
        builder = self.builder
        with rolled_loop(builder, depth) as p:
            columns = [right(column, p) for column in self.columns]
            for row in self.rows:
                factor = left(row, p)
                for column in self.columns:
                    pointer = self.sums[row, column]
                    builder.store(call(builder, FMA, factor, columns[column], builder.load(pointer)), pointer)

    def finish(self, use: Callable[[int, int, ir.Value], Any]) -> None:
        """Hand each sum on."""
        for place, pointer in self.sums.items():
            use(*place, self.builder.load(pointer))


def at(builder: ir.IRBuilder, start: ir.Value, *steps: tuple[ir.Value | int, ir.Value | int]) -> ir.Value:
    """start + step * times + ..., in 64-bit integers."""

    def integer(value: ir.Value | int) -> ir.Value:
        return ir.Constant(start.type, value) if isinstance(value, int) else value

    for step, times in steps:
        start = builder.add(start, builder.mul(integer(step), integer(times)))
    return start


@intrinsic
def product_tile(
    typingctx: Any, rows: Any, columns: Any, left: Any, left0: Any, left_row: Any, left_depth: Any, right: Any,
    right0: Any, right_depth: Any, out: Any, out0: Any, out_row: Any, depth: Any, begin: Any, scalars: Any, count: Any
) -> Any:  # fmt: skip
    """out[row] = begin + sum over p of left[row, p] * right[p], for up to 4 `rows` of `COLUMNS` or 1 `columns` of vectors.

    Row and depth steps are in elements. Of a single column the first `count` lanes are read from and written to `out`.
    """
    vector = VectorType(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        left_data, right_data, out_data = (
            data_of(context, builder, array, args[place]) for place, array in ((2, left), (6, right), (9, out))
        )
        (l0, l_row, l_depth), (r0, r_depth), (o0, o_row, n, start, s0, most) = args[3:6], args[7:9], args[10:]

        def scalar(index: ir.Value) -> ir.Value:
            return splat(builder, kind, builder.load(builder.gep(left_data, [index])))

        def begins(how: int) -> Any:
            return builder.if_then(builder.icmp_signed("==", start, ir.Constant(start.type, how)))

        def place(row: int, column: int) -> ir.Value:
            return at(builder, o0, (o_row, row), (column, kind.count))

        def emit(n_rows: int, n_columns: int) -> None:
            tile = Tile(builder, kind, n_rows, n_columns)
            mask = first_lanes(builder, kind.count, most) if n_columns == 1 else None

            def held(row: int, column: int) -> ir.Value:
                if mask is None:
                    return load_at(builder, kind, out_data, place(row, column))
                return load_first_at(builder, kind, out_data, place(row, column), mask)

            def write(row: int, column: int, value: ir.Value) -> None:
                if mask is None:
                    store_at(builder, value, out_data, place(row, column))
                else:
                    store_first_at(builder, value, out_data, place(row, column), mask)

            with begins(FROM_ZERO):
                tile.start(lambda row, column: constant(kind, 0.0))
            with begins(FROM_SCALARS):
                tile.start(lambda row, column: scalar(at(builder, s0, (1, row))))
            with begins(FROM_OUTPUT):
                tile.start(held)

            def factor(row: int, p: ir.Value) -> ir.Value:
                if row == 0:
                    prefetch_at(builder, left_data, at(builder, l0, (l_row, ROWS_AHEAD), (l_depth, p)))
                return scalar(at(builder, l0, (l_row, row), (l_depth, p)))

            tile.add_products(
                n,
                factor,
                lambda column, p: load_at(builder, kind, right_data, at(builder, r0, (column, kind.count), (r_depth, p))),
            )
            tile.finish(write)

        with chosen_shape(builder, args[0], args[1]) as shape:
            for n_rows, n_columns in PRODUCT_SHAPES:
                with shape(n_rows, n_columns):
                    emit(n_rows, n_columns)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(
        *[integers] * 2, left, *[integers] * 3, right, *[integers] * 2, out, *[integers] * 6
    ), codegen  # fmt: skip


@intrinsic
def inner_tile(
    typingctx: Any, rows: Any, columns: Any, a: Any, a0: Any, a_step: Any, d: Any, d0: Any, d_step: Any, sums: Any,
    s0: Any, s_row: Any, vectors: Any
) -> Any:  # fmt: skip
    """sums[row, column] += a[row] * d[column] lane by lane, over `vectors` vectors of each panel row."""
    vector = VectorType(sums.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        a_data, d_data, sums_data = (
            data_of(context, builder, array, args[place]) for place, array in ((2, a), (5, d), (8, sums))
        )
        (a0_, a_step_), (d0_, d_step_), (s0_, s_row_, n) = args[3:5], args[6:8], args[9:]

        def place(row: int, column: int) -> ir.Value:
            return at(builder, s0_, (s_row_, row), (column, kind.count))

        with chosen_shape(builder, args[0], args[1]) as shape:
            for n_rows, n_columns in INNER_SHAPES:
                with shape(n_rows, n_columns):
                    tile = Tile(builder, kind, n_rows, n_columns)
                    tile.start(lambda row, column: load_at(builder, kind, sums_data, place(row, column)))
                    tile.add_products(
                        n,
                        lambda row, p: load_at(builder, kind, a_data, at(builder, a0_, (a_step_, row), (kind.count, p))),
                        lambda column, p: load_at(
                            builder, kind, d_data, at(builder, d0_, (d_step_, column), (kind.count, p))
                        ),
                    )
                    tile.finish(lambda row, column, value: store_at(builder, value, sums_data, place(row, column)))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(*[integers] * 2, a, *[integers] * 2, d, *[integers] * 2, sums, *[integers] * 3), codegen


@routine
def product(left, l0, l_row, l_depth, right, r0, r_depth, out, o0, o_row, rows, vectors, depth, begin, s0, last):
    """out = begin + left @ right in tiles of 4 rows x `COLUMNS` vectors and less, with `last` lanes in the last vector.

    The depth is cut into lengths whose right factor stays in the first cache; each goes on from what the last one stored.
    """
    width = lanes(out)
    column = 0
    while column < vectors:
        columns = COLUMNS if vectors - column > COLUMNS or (vectors - column == COLUMNS and last == width) else 1
        count = last if column == vectors - 1 else width
        how = begin
        for p in range(0, depth, DEPTH_AT_ONCE):
            length = least(DEPTH_AT_ONCE, depth - p)
            start, r, o = l0 + p * l_depth, r0 + p * r_depth + column * width, o0 + column * width
            for row in range(0, rows, 4):
                product_tile(
                    least(4, rows - row), columns, left, start + row * l_row, l_row, l_depth, right, r, r_depth, out,
                    o + row * o_row, o_row, length, how, s0 + row, count
                )  # fmt: skip
            how = FROM_OUTPUT
        column += columns


@kernel
def forward_dense(net, layer, params, here, x, x0, scratch, out0, vectors):
    """out = W.T @ x + b, a panel of ``fan_out`` rows."""
    fan_in, fan_out, step = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT], net.stride
    w0, b0 = here + net.layers[layer, WEIGHTS], here + net.layers[layer, BIASES]
    # int64, since a constant's own type would compile the product anew.
    one, begin = np.int64(1), np.int64(FROM_SCALARS)
    product(
        params, w0, one, fan_out, x, x0, step, scratch, out0, step, fan_out, vectors, fan_in, begin, b0, lanes(scratch)
    )  # fmt: skip


@kernel
def backward_input(net, layer, params, here, scratch, delta0, upstream, vectors, lo, hi):
    """upstream = W @ delta, the rows `lo` to `hi` of a panel of ``fan_in`` rows."""
    fan_out, step = net.layers[layer, FAN_OUT], net.stride
    w0, to = here + net.layers[layer, WEIGHTS] + lo * fan_out, upstream + lo * step
    one, begin = np.int64(1), np.int64(FROM_ZERO)
    product(
        params, w0, fan_out, one, scratch, delta0, step, scratch, to, step, hi - lo, vectors, fan_out, begin, w0,
        lanes(scratch)
    )  # fmt: skip


@routine
def backward_sums(net, layer, x, x0, scratch, delta0, sums, s0, vectors):
    """Add ``x * delta`` and ``delta``, lane by lane, to the partial sums that a layer has."""
    fan_in, fan_out = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT]
    weight_sums, width = net.layers[layer, WEIGHT_SUMS], lanes(sums)
    bias_sums(scratch, delta0, net.stride, sums, s0 + net.layers[layer, BIAS_SUMS] * width, fan_out, vectors)
    if weight_sums >= 0:
        start = s0 + weight_sums * width
        inner_products(x, x0, scratch, delta0, net.stride, sums, start, fan_in, fan_out, vectors)


@kernel
def backward_weights(net, layer, x, x0, scratch, t0, gradient, g0, begin, samples, lo, hi):
    """gradient = x @ delta.T over some samples, from the delta turned to `t0`, for the inputs `lo` to `hi`."""
    fan_out, width = net.layers[layer, FAN_OUT], lanes(gradient)
    vectors, last = (fan_out + width - 1) // width, (fan_out - 1) % width + 1
    left, to = x0 + lo * net.stride, g0 + net.layers[layer, WEIGHTS] + lo * fan_out
    product(
        x, left, net.stride, np.int64(1), scratch, t0, turned_row(fan_out), gradient, to, fan_out, hi - lo, vectors,
        samples, begin, x0, last
    )  # fmt: skip


@routine
def bias_sums(panel, delta0, step, sums, s0, units, vectors):
    """sums[unit] += delta[unit] lane by lane."""
    width = lanes(sums)
    for unit in range(units):
        value = load(sums, s0 + unit * width)
        for i in range(delta0 + unit * step, delta0 + unit * step + vectors * width, width):
            value = value + load(panel, i)
        store(sums, s0 + unit * width, value)


@routine
def inner_products(x, x0, panel, delta0, step, sums, s0, fan_in, fan_out, vectors):
    """sums[i, unit] += x[i] * delta[unit] lane by lane, in tiles of 4 inputs x 2 units and what is left over."""
    width = lanes(sums)
    row_step = fan_out * width
    for unit in range(0, fan_out, 2):
        for i in range(0, fan_in, 4):
            inner_tile(
                least(4, fan_in - i), least(2, fan_out - unit), x, x0 + i * step, step, panel, delta0 + unit * step, step,
                sums, s0 + i * row_step + unit * width, row_step, vectors
            )  # fmt: skip


@kernel
def turned_row(units):
    """Elements from one sample to the next of a turned delta; see blocks.uneven."""
    vectors = (units + PAD - 1) // PAD
    return (vectors + 1 - vectors % 2) * PAD


@routine
def turn(net, layer, panel, delta0, to, lo, hi, vectors):
    """Copy the units `lo` to `hi` of a layer's delta to `to`, samples by units.

    What stands past the last unit is of no meaning: nobody stores what becomes of it.
    """
    width, step, row = lanes(panel), net.stride, turned_row(net.layers[layer, FAN_OUT])
    for unit in range(lo, hi, width):
        for v in range(vectors):
            transpose(panel, delta0 + unit * step + v * width, step, panel, to + v * width * row + unit, row)


@routine
def fold(sums, s0, gradient, g0, size, begin):
    """Add `size` parameters' partial sums to their gradient, or begin it with them, and set them to zero."""
    width = lanes(sums)
    zero = fill(sums, number(sums, 0))
    for i in range(0, size, width):
        value = totals(sums, s0 + i * width)
        if begin == FROM_OUTPUT:
            value = value + load(gradient, g0 + i)
        store_first(gradient, g0 + i, value, size - i)
        for k in range(width):
            store(sums, s0 + (i + k) * width, zero)


@routine
def fold_layer(net, layer, sums, s0, gradient, g0, begin):
    """Fold the partial sums that a layer has into the gradient at `g0`."""
    fan_in, fan_out, width = net.layers[layer, FAN_IN], net.layers[layer, FAN_OUT], lanes(sums)
    if net.layers[layer, WEIGHT_SUMS] >= 0:
        start = s0 + net.layers[layer, WEIGHT_SUMS] * width
        fold(sums, start, gradient, g0 + net.layers[layer, WEIGHTS], fan_in * fan_out, begin)
    fold(sums, s0 + net.layers[layer, BIAS_SUMS] * width, gradient, g0 + net.layers[layer, BIASES], fan_out, begin)
