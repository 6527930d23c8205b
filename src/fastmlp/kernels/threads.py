"""Threads that work on one run in step: a barrier on an atomic counter, inside the compiled code.

A hand-over takes a fraction of a microsecond while every thread has a core. Where they have not, a waiting thread soon
gives its core away instead of spinning.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import FEATURES, data_of

SPINS = 2000
# Places in the array the threads share, in cache lines of their own: the counter, and whether to stop waiting.
STOP, SYNC_SIZE = 8, 16
give_way = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


@intrinsic
def arrive(typingctx: Any, sync: Any, size: Any) -> Any:
    """Add to the counter ``sync[0]``; what this thread wrote before is seen by whoever sees the sum."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", data_of(context, builder, sync, args[0]), args[1], "seq_cst")

    return types.int64(sync, types.int64), codegen


@intrinsic
def arrived(typingctx: Any, sync: Any) -> Any:
    """Read the counter ``sync[0]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(data_of(context, builder, sync, args[0]), "acquire", 8)

    return types.int64(sync), codegen


@intrinsic
def pause(typingctx: Any) -> Any:
    """Tell the core that this is a waiting loop, where it has an instruction for that."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if FEATURES.get("sse2"):
            name = "llvm.x86.sse2.pause"
            function = builder.module.globals.get(name) or ir.Function(
                builder.module, ir.FunctionType(ir.VoidType(), []), name
            )
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@routine
def wait(sync, goal):
    """Wait until the counter is at `goal`, or somebody has said stop before the work began."""
    spins = 0
    while arrived(sync) < goal and sync[STOP] == 0:
        spins += 1
        if spins < SPINS:
            pause()
        else:
            give_way()


@kernel
def meet(sync, size, goal):
    """Wait until all `size` threads have come here; return the counter at which they will next have come."""
    if size > 1:
        arrive(sync, 1)
        wait(sync, goal)
    return goal + size


@kernel
def begin(sync, size):
    """Wait until all `size` threads are there; say whether they are."""
    if size > 1:
        arrive(sync, 1)
        wait(sync, size)
        return arrived(sync) >= size
    return True
