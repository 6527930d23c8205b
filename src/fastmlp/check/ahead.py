"""The kernels compiled before they are judged: for one dtype in another process, while this one sees to the other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from fastmlp.cache import look
from fastmlp.check.accuracy import DType
from fastmlp.check.checks import SECTIONS, carry_out
from fastmlp.kernels.run import available_cores

# Files that the checks need of the cache: six entry points, of which one draws row orders and has no dtype.
COMPILED = 11
OTHER = "import numpy; from fastmlp.check.ahead import compile_for; compile_for(numpy.float64)"


def is_needed() -> bool:
    """Whether the cache lacks kernels, and there are a core and a folder for another process to compile some."""
    kept = look()
    return available_cores() > 1 and kept.problem is None and len(kept.current) < COMPILED


def compile_all() -> None:
    """Compile what the checks need, onto the disk."""
    nowhere = subprocess.DEVNULL
    try:
        other = subprocess.Popen([sys.executable, "-c", OTHER], stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:  # then each is compiled when its check comes
        return
    try:
        compile_for(np.float32)
        other.wait()
    finally:
        other.kill()
        other.wait()


def compile_for(dtype: DType) -> None:
    """Make all checks of a dtype, whatever they find."""
    for section in SECTIONS:
        for check in section.checks:
            if dtype in check.bounds:
                carry_out(section, check, dtype)
