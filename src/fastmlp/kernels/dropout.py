"""Dropout: which outputs of a layer an update leaves out.

A counter goes through a mixing function, so that the choice hangs on the update, the layer, the unit and the sample's place
in the batch alone, not on blocks, threads or where calls end. See :func:`fastmlp.reference.kept_units`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.activations import activate_backward
from fastmlp.kernels.blocks import ACTIVATION, DROPPED, FIRST_WITH_SLOPE
from fastmlp.kernels.counters import GOLDEN, I64, mixed
from fastmlp.kernels.jit import routine
from fastmlp.kernels.vectors import I32, MaskType, VectorType, fill, lanes, load, number, select, splat, store


@intrinsic
def start_of(typingctx: Any, key: Any, step: Any, layer: Any, unit: Any) -> Any:
    """Where a unit's counter starts, and what it is mixed with: 64 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        key, step, layer, unit = args
        place = builder.add(builder.shl(layer, I64(32)), builder.add(unit, I64(1)))
        x = builder.add(key, builder.mul(step, I64(GOLDEN)))
        return mixed(builder, builder.add(x, builder.mul(place, I64(0xD1B54A32D192ED03))))

    return types.int64(types.int64, types.int64, types.int64, types.int64), codegen


@intrinsic
def keeps(typingctx: Any, array: Any, start: Any, sample: Any, threshold: Any) -> Any:
    """The mask of the samples from `sample` on, a lane for each, that keep the unit: they draw `threshold` or more."""
    width = VectorType(array.dtype).lanes

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, start, sample, threshold = args
        whole = ir.VectorType(I32, width)

        def every(scalar: Any) -> Any:
            return splat(builder, whole, builder.trunc(scalar, I32))

        def constant(bits: int) -> ir.Constant:
            return ir.Constant(whole, [bits] * width)

        x = builder.add(every(builder.add(start, sample)), ir.Constant(whole, list(range(width))))
        x = builder.mul(builder.xor(x, builder.lshr(x, constant(16))), constant(0x7FEB352D))
        x = builder.xor(builder.xor(x, builder.lshr(x, constant(15))), every(builder.lshr(start, I64(32))))
        x = builder.mul(x, constant(0x846CA68B))
        x = builder.xor(x, builder.lshr(x, constant(16)))
        return builder.icmp_unsigned(">=", x, every(threshold))

    return MaskType(width)(array, types.int64, types.int64, types.int64), codegen


@routine
def drop(net, layer, panel, p0, slope0, vectors, key, step, sample, lo, hi):
    """Leave out some outputs of the units from `lo` to `hi` and scale up the others; the slopes of that go to `slope0`.

    `sample` is the place in the batch of the panel's first one.
    """
    width = lanes(panel)
    activation, threshold = net.layers[layer, ACTIVATION], net.layers[layer, DROPPED]
    zero, one, there = fill(panel, number(panel, 0)), fill(panel, number(panel, 1)), slope0 - p0
    scale = fill(panel, number(panel, 1 << 32) / number(panel, (1 << 32) - threshold))
    if activation < FIRST_WITH_SLOPE:
        for unit in range(lo, hi):
            for i in range(slope0 + unit * net.stride, slope0 + unit * net.stride + vectors * width, width):
                store(panel, i, one)
        first = lo * net.stride
        activate_backward(activation, panel, p0 + first, slope0 + first, net.stride, hi - lo, vectors)
    for unit in range(lo, hi):
        start, first = start_of(key, step, layer, unit), p0 + unit * net.stride
        for i in range(first, first + vectors * width, width):
            keep = select(keeps(panel, start, sample + i - first, threshold), scale, zero)
            store(panel, i, load(panel, i) * keep)
            store(panel, i + there, load(panel, i + there) * keep)
