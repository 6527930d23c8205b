"""What a check was made with: versions, the machine, and what of it the kernels use."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp
from fastmlp.cache import look
from fastmlp.kernels import vectors
from fastmlp.kernels.run import available_cores
from fastmlp.machine import cpu_name, versions

LIBRARIES = ("numba", "llvmlite", "numpy", "scipy", "scikit-learn")
COMPILERS = ("fastmlp", "Python", "numba", "llvmlite")
# Of the environment, what changes how kernels are compiled or shared by threads.
SETTINGS = ("FASTMLP_", "NUMBA_", "OMP_NUM_THREADS")


def facts() -> dict[str, Any]:
    """All of them, as JSON has them."""
    return {
        "versions": {"fastmlp": fastmlp.__version__, "Python": platform.python_version(), **versions(LIBRARIES)},
        "system": platform.platform(),
        "processor": cpu_name(),
        "cores": available_cores(),
        "llvm_processor": vectors.CPU,
        "lanes": {"float32": vectors.FLOAT32_LANES, "float64": vectors.FLOAT32_LANES // 2},
        "fused_multiply_add": vectors.FMA == "llvm.fma",
        "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)},
        "cache": cache(),
        "blas": blas(),
    }


def cache() -> dict[str, Any]:
    """Where compiled kernels are kept, and why not if that is so."""
    kept = look()
    return {"folder": str(kept.folder or "nowhere"), "usable": kept.problem is None, "error": kept.problem or ""}


def blas() -> str:
    """What NumPy multiplies matrices with, for the reference alone, as far as it tells."""
    try:
        told = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{told['name']} {told['version']}"
    except (KeyError, TypeError):
        return ""


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What the terminal shows of them: a name and what is to be said of it."""
    known, lanes, kept = found["versions"], found["lanes"], found["cache"]
    width = f"lanes: {lanes['float32']} of float32, {lanes['float64']} of float64"
    fused = "with" if found["fused_multiply_add"] else "without"
    told = f"{at_home(kept['folder'])}, usable"
    if not kept["usable"]:
        told = f"{at_home(kept['folder'])}, NOT USABLE ({kept['error']}): set FASTMLP_CACHE_DIR to a folder that is"
    return [
        ("versions", ", ".join(f"{name} {known[name]}" for name in COMPILERS if name in known)),
        ("libraries", ", ".join(f"{name} {number}" for name, number in known.items() if name not in COMPILERS)),
        ("system", found["system"]),
        ("processor", f"{found['processor']}, cores: {found['cores']}"),
        ("kernels", f"for {found['llvm_processor']}, {width}, {fused} fma"),
        ("BLAS", f"none in the kernels; NumPy's is {found['blas'] or 'unknown'}"),
        ("settings", ", ".join(f"{name}={at_home(value)}" for name, value in found["settings"].items()) or "none"),
        ("cache", told),
    ]


def at_home(path: str) -> str:
    """The path with ~ for the user's own folder."""
    try:
        return str(Path("~") / Path(path).relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return path
