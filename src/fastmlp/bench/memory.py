"""How much memory a piece of work needs, as the operating system counts it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def with_peak(work: Callable[[], Result]) -> tuple[Result, int | None]:
    """What the work returns, and by how many bytes the process grew at most meanwhile; None where nobody counts."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        # Memory that was freed and not given back would be used again unseen.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        RESET.write_text(RESET_PEAK)
        before = _kilobytes("VmRSS")
        result = work()
        return result, 1024 * max(0, _kilobytes("VmHWM") - before)
    except OSError:
        return work(), None


def _kilobytes(name: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise OSError(f"{STATUS} does not tell {name}")
