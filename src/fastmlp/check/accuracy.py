"""How far off a result is, and how far off it may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Solver

Array = NDArray[Any]
DType = type[np.float32] | type[np.float64]
DTYPES: tuple[DType, ...] = (np.float64, np.float32)
# What max|a - b| / max|b| may come to for one gradient or update: some forty roundings of float32, some thousand of
# float64, whose sums the reference does not add up more exactly than the kernels.
TOLERANCES: dict[DType, float] = {np.float64: 1e-12, np.float32: 5e-6}
# And after a hundred epochs, in which each step carries on what those before were off.
RUN_TOLERANCES: dict[DType, float] = {np.float64: 1e-9, np.float32: 1e-3}
# Of a gradient by central differences, whose own error this is.
DIFFERENCE_TOLERANCE = 1e-7
WIDEST_VECTOR = 16


def update_tolerance(dtype: DType, solver: Solver) -> float:
    """What an update may be off.

    Where a gradient is divided by its own size or only its sign counts, the rounding of a small one is as large as any.
    """
    amplifies = dtype == np.float32 and solver not in (Solver.SGD, Solver.LBFGS)
    return TOLERANCES[dtype] * (100 if amplifies else 1)


def run_tolerances(epochs: int) -> dict[DType, float]:
    """What parameters and losses may be off after so many epochs, of a hundred: errors grow at least in proportion."""
    return {dtype: tolerance * epochs / 100 for dtype, tolerance in RUN_TOLERANCES.items()}


def relative_error(a: Any, b: Any) -> float:
    """max|a - b| / max|b|; infinite where `a` is not finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not the same")
    if not np.isfinite(a).all():
        return np.inf
    difference, size = float(np.abs(a - b).max()), float(np.abs(b).max())
    return difference / size if size > 0 else difference


def ulps(values: Array, exact: Array) -> Array:
    """How far the values lie from the exact ones, in spacings of their dtype around the exact one."""
    dtype = values.dtype.type
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    same = values == rounded
    with np.errstate(invalid="ignore"):
        distance = np.abs(values.astype(np.longdouble) - exact) / np.spacing(np.abs(rounded))
    return np.asarray(np.where(same, np.fmin(distance, 0.5), distance))


def evaluated(compiled: Callable[..., Any], function: int, values: Array) -> Array:
    """The function of an array of any length, as `compiled` makes it from whole vectors."""
    x = np.zeros(-(-values.size // WIDEST_VECTOR) * WIDEST_VECTOR, values.dtype)
    x[: values.size] = values
    y = np.full_like(x, 7)
    compiled(function, x, y)
    result: Array = y[: values.size]
    return result


def all_sizes(dtype: DType, count: int = 40_000) -> Array:
    """Numbers drawn by their bits, so of any size down to the subnormals, of either sign, and the ends of the ranges."""
    random, info = np.random.default_rng(5), np.finfo(dtype)
    bits = random.integers(0, 1 << info.bits, count, dtype=np.uint64).astype(f"u{info.bits // 8}")
    drawn = bits.view(dtype)
    ends = np.array([0, info.smallest_subnormal, info.smallest_normal, info.tiny * 2, info.eps, 1, info.max], dtype)
    near = np.concatenate([np.nextafter(ends, dtype(0)), ends, np.nextafter(ends[:-1], dtype(np.inf))])
    return np.concatenate([drawn[np.isfinite(drawn)], near, -near])


def between(low: float, high: float, dtype: DType, count: int = 40_000) -> Array:
    """Numbers spread evenly, with all the wholes and halves among them."""
    halves = np.arange(np.ceil(2 * low), 2 * high + 1) / 2
    return np.concatenate([np.random.default_rng(6).uniform(low, high, count), halves]).astype(dtype)
