"""Forks while another thread compiles.

A child has one thread, the one that forked. The compiler's lock that another thread held would stay shut in it, and what
LLVM had changed by half would stay so: the child's first training would wait for ever. So whoever forks waits.
"""

from __future__ import annotations

import os

from numba.core.compiler_lock import global_compiler_lock


def wait_for_compiler() -> None:
    """Have every fork of this process wait until no thread compiles or loads compiled code.

    To be called when Numba's modules are loaded: their locks, logging's among them, are then taken after this one.
    """
    if hasattr(os, "register_at_fork"):
        release = global_compiler_lock.release
        os.register_at_fork(before=global_compiler_lock.acquire, after_in_parent=release, after_in_child=release)
