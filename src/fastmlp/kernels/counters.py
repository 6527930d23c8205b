"""Random numbers that hang on a key and a counter alone: splitmix64 (Steele et al. 2014)."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

I64 = ir.IntType(64)
GOLDEN = 0x9E3779B97F4A7C15


def mixed(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """The 64 bits that splitmix64 makes of a counter."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = builder.mul(builder.xor(x, builder.lshr(x, I64(shift))), I64(factor))
    return builder.xor(x, builder.lshr(x, I64(31)))


@intrinsic
def drawn(typingctx: Any, key: Any, counter: Any) -> Any:
    """The upper 32 bits of a key's number `counter`, from 0 on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x = builder.add(args[0], builder.mul(args[1], I64(GOLDEN)))
        return builder.lshr(mixed(builder, x), I64(32))

    return types.int64(types.int64, types.int64), codegen
