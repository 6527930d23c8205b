"""Explicit SIMD values: a vector type for Numba, its arithmetic, loads and stores, and sums in a fixed tree.

A vector holds consecutive samples (or consecutive parameters) of one dtype. Its width is that of the machine's registers,
in float32 lanes 16, 8 or 4, and half of that in float64; ``FASTMLP_LANES`` forces it, and LLVM splits what the CPU lacks.
Every product-and-sum is an explicit fma, so that results do not hang on what the compiler fuses.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from fastmlp.kernels.cache import LANES_VARIABLE
from fastmlp.kernels.memory import MemoryType


def _host_features() -> dict[str, bool]:
    """The CPU features Numba compiles for, which its own settings may narrow."""
    if numba.config.CPU_FEATURES:
        return {name[1:]: name[0] == "+" for name in numba.config.CPU_FEATURES.split(",") if name}
    if numba.config.CPU_NAME == "generic":
        return {}
    return dict(llvmlite.binding.get_host_cpu_features())


FEATURES = _host_features()
# The processor that LLVM writes instructions for.
CPU = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
FLOAT32_LANES = int(os.environ.get(LANES_VARIABLE) or (16 if FEATURES.get("avx512f") else 8 if FEATURES.get("avx") else 4))
# Where the CPU has no fma instruction, llvm.fma would call the C library for each lane.
FMA = "llvm.fma" if FEATURES.get("fma") or FEATURES.get("neon") else "llvm.fmuladd"
BYTES = {types.float32: 4, types.float64: 8}
I32 = ir.IntType(32)
# The flags of vectors' arithmetic, in place of those that Numba would give it: each operation is rounded by itself,
# wherever it stands, so that two kernels that write the same formula compute the same bits.
EXACT = ("nsz",)


class VectorType(types.Type):
    """A register's worth of floating-point values."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = FLOAT32_LANES * 4 // BYTES[dtype]
        super().__init__(name=f"vector({dtype} x {self.lanes})")


class MaskType(types.Type):
    """One truth value for each lane of a vector."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"mask({lanes})")


def ir_vector(vector: VectorType) -> ir.VectorType:
    """The type LLVM knows the vector by."""
    return ir.VectorType(ir.FloatType() if vector.dtype == types.float32 else ir.DoubleType(), vector.lanes)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, ir_vector(kind))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: MaskType) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


# Writing instructions: what the intrinsics here, in elementary.py and in dense.py are made of.


def is_float32(vector: ir.VectorType) -> bool:
    """Whether the lanes are float32, not float64."""
    return bool(vector.element == ir.FloatType())


def constant(vector: ir.VectorType, number: float) -> ir.Constant:
    """The vector with `number` in every lane."""
    return ir.Constant(vector, [number] * vector.count)


def call(builder: ir.IRBuilder, name: str, *args: ir.Value) -> ir.Value:
    """Call the LLVM intrinsic `name`, overloaded on the first argument's type."""
    vector = args[0].type
    signature = ir.FunctionType(vector, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, f"{name}.{_mangled(vector)}"), args)


def splat(builder: ir.IRBuilder, vector: ir.VectorType, scalar: ir.Value) -> ir.Value:
    """The vector with a run-time scalar in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(I32, vector.count), None))


def shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
    """The vector of the given lanes of `a` and, counted on from its end, `b`."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def data_of(context: Any, builder: ir.IRBuilder, kind: Any, array: ir.Value) -> ir.Value:
    """Where memory or a contiguous array begins."""
    if isinstance(kind, MemoryType):
        return array
    return context.make_array(kind)(context, builder, array).data


def load_at(builder: ir.IRBuilder, vector: ir.VectorType, data: ir.Value, index: ir.Value) -> ir.Value:
    """The lanes that begin at element `index`."""
    place = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    return builder.load(place, align=4 if is_float32(vector) else 8)


def store_at(builder: ir.IRBuilder, value: ir.Value, data: ir.Value, index: ir.Value) -> None:
    """Write the lanes from element `index` on."""
    place = builder.bitcast(builder.gep(data, [index]), value.type.as_pointer())
    builder.store(value, place, align=4 if is_float32(value.type) else 8)


def prefetch_at(builder: ir.IRBuilder, data: ir.Value, index: ir.Value) -> None:
    """Ask for the cache line of element `index`, which may lie outside of the array."""
    place = builder.gep(data, [index])
    arguments = [place, *(ir.Constant(I32, number) for number in (0, 3, 1))]  # to read, to stay, data
    signature = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0"), arguments)


def load_first_at(builder: ir.IRBuilder, vector: ir.VectorType, data: ir.Value, index: ir.Value, mask: ir.Value) -> Any:
    """The lanes that begin at element `index` where the mask holds, else 0; the others are not touched."""
    place = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    align, name = ir.Constant(I32, 4 if is_float32(vector) else 8), f"llvm.masked.load.{_mangled(vector)}.p0"
    signature = ir.FunctionType(vector, [place.type, I32, mask.type, vector])
    arguments = [place, align, mask, constant(vector, 0.0)]
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments)


def store_first_at(builder: ir.IRBuilder, value: ir.Value, data: ir.Value, index: ir.Value, mask: ir.Value) -> None:
    """Write the lanes from element `index` on where the mask holds."""
    vector = value.type
    place = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    align, name = ir.Constant(I32, 4 if is_float32(vector) else 8), f"llvm.masked.store.{_mangled(vector)}.p0"
    signature = ir.FunctionType(ir.VoidType(), [vector, place.type, I32, mask.type])
    builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [value, place, align, mask])


def _mangled(vector: ir.VectorType) -> str:
    return f"v{vector.count}f{32 if is_float32(vector) else 64}"


def first_lanes(builder: ir.IRBuilder, lanes: int, count: ir.Value) -> ir.Value:
    """The mask of the lanes below `count`, a 64-bit integer."""
    narrow = builder.trunc(count, I32)
    wide = splat(builder, ir.VectorType(I32, lanes), narrow)
    return builder.icmp_signed("<", ir.Constant(ir.VectorType(I32, lanes), list(range(lanes))), wide)


def add_pairs(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Sums of neighbouring lanes: those of `a`, then those of `b`."""
    lanes = range(0, 2 * a.type.count, 2)
    odd = shuffle(builder, a, b, [lane + 1 for lane in lanes])
    return builder.fadd(shuffle(builder, a, b, list(lanes)), odd, flags=EXACT)


# What the kernels write.


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """How many elements of the array's dtype a vector holds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), VectorType(array.dtype).lanes)

    return types.int64(array), codegen


@intrinsic
def memory(typingctx: Any, array: Any) -> Any:
    """The memory of a contiguous array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return data_of(context, builder, array, args[0])

    return MemoryType(array.dtype, 0)(array), codegen


@intrinsic(prefer_literal=True)
def table(typingctx: Any, array: Any, columns: Any) -> Any:
    """The memory of an array of rows in C order, as many columns wide as the constant says."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return data_of(context, builder, array, args[0])

    return MemoryType(array.dtype, columns.literal_value)(array, columns), codegen


@intrinsic
def number(typingctx: Any, array: Any, value: Any) -> Any:
    """An integer in the array's dtype: Numba's own conversion would go by way of float64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sitofp(args[1], ir.FloatType() if array.dtype == types.float32 else ir.DoubleType())

    return array.dtype(array, types.int64), codegen


@intrinsic
def least(typingctx: Any, a: Any, b: Any) -> Any:
    """The lesser of two integers: Numba would compile a function for it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed("<", *args), *args)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """The vector of ``array[index:]``."""
    vector = VectorType(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return load_at(builder, ir_vector(vector), data_of(context, builder, array, args[0]), args[1])

    return vector(array, types.int64), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """``array[index:] = value``, for as many elements as the vector has."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        store_at(builder, args[2], data_of(context, builder, array, args[0]), args[1])
        return context.get_dummy_value()

    return types.void(array, types.int64, value), codegen


@intrinsic
def store_first(typingctx: Any, array: Any, index: Any, value: Any, count: Any) -> Any:
    """``array[index : index + count] = value``, for at most as many elements as the vector has."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = first_lanes(builder, args[2].type.count, args[3])
        store_first_at(builder, args[2], data_of(context, builder, array, args[0]), args[1], mask)
        return context.get_dummy_value()

    return types.void(array, types.int64, value, types.int64), codegen


@intrinsic
def fill(typingctx: Any, array: Any, value: Any) -> Any:
    """A scalar of the array's dtype in every lane."""
    vector = VectorType(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat(builder, ir_vector(vector), args[1])

    return vector(array, array.dtype), codegen


@intrinsic
def every(typingctx: Any, array: Any, place: Any) -> Any:
    """The vector at a place that a constant names, of settings that have one for each."""
    vector = VectorType(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        index = context.cast(builder, args[1], place, types.int64)
        return load_at(builder, ir_vector(vector), data_of(context, builder, array, args[0]), index)

    return vector(array, place), codegen


@intrinsic
def first(typingctx: Any, array: Any, count: Any) -> Any:
    """The mask of the lanes below `count`."""
    lanes_of = VectorType(array.dtype).lanes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return first_lanes(builder, lanes_of, args[1])

    return MaskType(lanes_of)(array, types.int64), codegen


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, FMA, *args)

    return a(a, a, a), codegen


@intrinsic
def sqrt(typingctx: Any, a: Any) -> Any:
    """The square root of each lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, "llvm.sqrt", args[0])

    return a(a), codegen


@intrinsic
def magnitude(typingctx: Any, a: Any) -> Any:
    """The absolute value of each lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, "llvm.fabs", args[0])

    return a(a), codegen


@intrinsic
def select(typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """``a`` where the mask holds, else ``b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(mask, a, a), codegen


@intrinsic
def total(typingctx: Any, a: Any) -> Any:
    """The sum of the lanes, neighbours first."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[0]
        while value.type.count > 1:
            lanes_of = list(range(0, value.type.count, 2))
            odd = [lane + 1 for lane in lanes_of]
            even = shuffle(builder, value, value, lanes_of)
            value = builder.fadd(even, shuffle(builder, value, value, odd), flags=EXACT)
        return builder.extract_element(value, ir.Constant(I32, 0))

    return a.dtype(a), codegen


@intrinsic
def first_lane(typingctx: Any, a: Any) -> Any:
    """The first lane: of vectors that have the same in each, their value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.Constant(I32, 0))

    return a.dtype(a), codegen


@intrinsic
def totals(typingctx: Any, array: Any, index: Any) -> Any:
    """The sums of as many consecutive vectors as a vector has lanes, each in the order of :func:`total`."""
    vector = VectorType(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, kind = data_of(context, builder, array, args[0]), ir_vector(vector)
        places = [builder.add(args[1], ir.Constant(args[1].type, lane * kind.count)) for lane in range(kind.count)]
        values = [load_at(builder, kind, data, place) for place in places]
        while len(values) > 1:
            values = [add_pairs(builder, a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
        return values[0]

    return vector(array, types.int64), codegen


def _define(symbol: Callable[..., Any], build: Callable[..., Any], returns: Callable[[VectorType], types.Type]) -> None:
    """Give vectors an operator of Python's."""

    @type_callable(symbol)
    def type_operator(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return returns(a) if isinstance(a, VectorType) and a == b else None

        return typer

    @lower_builtin(symbol, VectorType, VectorType)
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *args)


for _symbol, _method in (
    (operator.add, ir.IRBuilder.fadd),
    (operator.sub, ir.IRBuilder.fsub),
    (operator.mul, ir.IRBuilder.fmul),
    (operator.truediv, ir.IRBuilder.fdiv),
):
    _define(_symbol, lambda builder, a, b, method=_method: method(builder, a, b, flags=EXACT), lambda vector: vector)

for _symbol, _sign in ((operator.lt, "<"), (operator.gt, ">"), (operator.eq, "==")):
    # Ordered: a NaN compares false, so select(a < b, b, a) keeps a NaN in a.
    _define(
        _symbol,
        lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b),
        lambda vector: MaskType(vector.lanes),
    )
