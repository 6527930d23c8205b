"""Rows into columns: squares of vectors are turned in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.kernels.vectors import (
    I32,
    VectorType,
    data_of,
    first_lanes,
    ir_vector,
    load_at,
    load_first_at,
    shuffle,
    store_at,
)


def transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """The columns of a square of vectors, or of squares beside each other, by exchanging larger blocks (Eklundh 1972)."""
    size, count, values = len(rows), rows[0].type.count, list(rows)
    distance = 1
    while distance < size:
        for i in range(size):
            if not i & distance:
                a, b = values[i], values[i + distance]
                low = [j if not j & distance else count + j - distance for j in range(count)]
                high = [j + distance if not j & distance else count + j for j in range(count)]
                values[i], values[i + distance] = shuffle(builder, a, b, low), shuffle(builder, a, b, high)
        distance *= 2
    return values


@intrinsic
def transpose(typingctx: Any, source: Any, s0: Any, s_step: Any, out: Any, o0: Any, o_step: Any) -> Any:
    """Turn a square of a vector's width: out[j * o_step + i] = source[i * s_step + j]."""
    vector = VectorType(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        from_data, to_data = data_of(context, builder, source, args[0]), data_of(context, builder, out, args[3])
        rows, start = [], args[1]
        for _ in range(kind.count):
            rows.append(load_at(builder, kind, from_data, start))
            start = builder.add(start, args[2])
        start = args[4]
        for column in transposed(builder, rows):
            store_at(builder, column, to_data, start)
            start = builder.add(start, args[5])
        return context.get_dummy_value()

    return types.void(source, *[types.int64] * 2, out, *[types.int64] * 2), codegen


@intrinsic
def transpose_rows(
    typingctx: Any, rows: Any, base: Any, width: Any, order: Any, start: Any, last: Any, squares: Any, out: Any, o0: Any,
    o_step: Any
) -> Any:  # fmt: skip
    """Turn the rows ``base + order[start], base + order[start + 1], ...``, a vector of them, square after square.

    Past place `last` of the order its row is repeated; past column `width` zeros are read. Along the rows, so that the
    memory sees a few streams that go on.
    """
    vector = VectorType(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        data, numbers, to_data = (
            data_of(context, builder, array, args[place]) for place, array in ((0, rows), (3, order), (7, out))
        )
        (base_, width_), (start_, last_, n_squares), (o0_, step) = args[1:3], args[4:7], args[8:]
        size = ir.Constant(width_.type, kind.count)
        first_elements = []
        for j in range(kind.count):
            place = builder.add(start_, ir.Constant(start_.type, j))
            place = builder.select(builder.icmp_signed("<", place, last_), place, last_)
            row = builder.sext(builder.load(builder.gep(numbers, [place])), width_.type)
            first_elements.append(builder.mul(builder.add(base_, row), width_))
        with cgutils.for_range(builder, n_squares) as loop:
            k = builder.mul(loop.index, size)
            mask = first_lanes(builder, kind.count, builder.sub(width_, k))
            values = [load_first_at(builder, kind, data, builder.add(first, k), mask) for first in first_elements]
            to = builder.add(o0_, builder.mul(k, step))
            for column in transposed(builder, values):
                store_at(builder, column, to_data, to)
                to = builder.add(to, step)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, *[integers] * 2, order, *[integers] * 3, out, *[integers] * 2), codegen


# Columns that are turned together where rows are padded to whole groups of them.
FOUR = 4


@intrinsic
def transpose_fours(typingctx: Any, rows: Any, width: Any, order: Any, start: Any, out: Any, o0: Any, o_step: Any) -> Any:
    """Turn the rows ``order[start], order[start + 1], ...``, a vector of them; their `width` is a multiple of four."""
    vector = VectorType(out.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir_vector(vector)
        data, numbers, to_data = (
            data_of(context, builder, array, args[place]) for place, array in ((0, rows), (2, order), (4, out))
        )
        width_, start_, o0_, step = args[1], args[3], args[5], args[6]
        four, part = ir.Constant(width_.type, FOUR), ir.VectorType(kind.element, FOUR)
        first_elements = []
        for j in range(kind.count):
            row = builder.load(builder.gep(numbers, [builder.add(start_, ir.Constant(start_.type, j))]))
            first_elements.append(builder.mul(builder.sext(row, width_.type), width_))
        with cgutils.for_range(builder, builder.sdiv(width_, four)) as loop:
            k = builder.mul(loop.index, four)
            values = [load_at(builder, part, data, builder.add(first, k)) for first in first_elements]
            to = builder.add(o0_, builder.mul(k, step))
            for column in _columns(builder, kind, values):
                store_at(builder, column, to_data, to)
                to = builder.add(to, step)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, order, integers, out, *[integers] * 2), codegen


def _columns(builder: ir.IRBuilder, kind: ir.VectorType, rows: list[ir.Value]) -> list[ir.Value]:
    """The four columns of as many rows of four as a vector has lanes."""
    if kind.count < FOUR:
        columns = []
        for column in range(FOUR):
            value = ir.Constant(kind, ir.Undefined)
            for lane, row in enumerate(rows):
                element = builder.extract_element(row, ir.Constant(I32, column))
                value = builder.insert_element(value, element, ir.Constant(I32, lane))
            columns.append(value)
        return columns
    # Every fourth row one behind the other, so that squares of four stand beside each other.
    return transposed(builder, [_joined(builder, rows[place::FOUR]) for place in range(FOUR)])


def _joined(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    first, second = _joined(builder, parts[:half]), _joined(builder, parts[half:])
    return shuffle(builder, first, second, list(range(2 * first.type.count)))
