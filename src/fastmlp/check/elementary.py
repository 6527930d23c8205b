"""The kernels' exp, log, tanh, logistic function and exp - 1 against extended precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.check.accuracy import DType, all_sizes, between, evaluated, ulps
from fastmlp.kernels import pointwise

Array = NDArray[Any]
# From where exp is 0 to where it is infinite.
ENDS: dict[DType, tuple[float, float]] = {np.float32: (-110, 95), np.float64: (-760, 720)}


class Function(NamedTuple):
    """A function of the kernels and what it is held to.

    Attributes
    ----------
    number : what :func:`fastmlp.kernels.pointwise.evaluate` knows it by.
    exact : the same in NumPy, to be taken in extended precision.
    bound : how far off it may be, in units in the last place.
    domain : where it is wanted, of all numbers.
    ranges : where it is looked at more closely, None for the whole range of exp.
    special : numbers that are no ordinary ones and, after each, what must come of it.
    """

    number: int
    exact: Callable[[Array], Array]
    bound: float
    domain: Callable[[Array], Array]
    ranges: tuple[tuple[float, float] | None, ...]
    special: tuple[tuple[float, float], ...]

    def numbers(self, dtype: DType) -> Array:
        """Where it is tried: at numbers of all sizes, and in the ranges."""
        ranges = [between(*(ends or ENDS[dtype]), dtype) for ends in self.ranges]
        return self.domain(np.concatenate([all_sizes(dtype), *ranges]))


def _all(x: Array) -> Array:
    return x


def _positive(x: Array) -> Array:
    return np.asarray(np.abs(x[x != 0]))


def _not_positive(x: Array) -> Array:
    return np.asarray(-np.abs(x))


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


INF, NAN = np.inf, np.nan
FUNCTIONS = {
    "exp": Function(
        pointwise.EXP, np.exp, 1.1, _all, (None, (-1, 1)), ((0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0))
    ),
    "log": Function(
        pointwise.LOG, np.log, 1.0, _positive, ((0.5, 2), (1e-9, 100)),
        ((1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN)),
    ),
    "tanh": Function(
        pointwise.TANH, np.tanh, 2.6, _all, ((-25, 25), (-1, 1), (-1e-3, 1e-3)),
        ((0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0)),
    ),
    "logistic": Function(
        pointwise.LOGISTIC, _logistic, 2.6, _all, (None, (-5, 5)), ((0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0))
    ),
    "expm1": Function(pointwise.EXPM1, np.expm1, 4.0, _not_positive, ((-50, 0), (-1, 0)), ((0.0, 0.0), (-INF, -1.0))),
}  # fmt: skip


def values(name: str, x: Array) -> Array:
    """What the kernels make of the numbers."""
    return evaluated(pointwise.evaluate, FUNCTIONS[name].number, x)


def bound(name: str, dtype: DType) -> float:
    """How far off the function may be; where nothing is more precise than float64, what it is judged by may be off too."""
    judge_errs = dtype == np.float64 and np.finfo(np.longdouble).eps == np.finfo(np.float64).eps
    return FUNCTIONS[name].bound + float(judge_errs)


def worst(name: str, dtype: DType) -> tuple[float, float]:
    """The largest error in units in the last place, and where.

    Results below the normal numbers have fewer digits, and of the logistic function none, since exp(-x) overflows: there it
    must be no more than the least normal number.
    """
    function = FUNCTIONS[name]
    x = function.numbers(dtype)
    found = values(name, x)
    with np.errstate(over="ignore", under="ignore"):
        exact = function.exact(x.astype(np.longdouble))
    error = ulps(found, exact)
    if name == "logistic":
        tiny = np.finfo(dtype).tiny
        low = exact < tiny
        error[low] = np.where((found[low] >= 0) & (found[low] <= tiny), 0, np.inf)
    # argmax takes a NaN for the largest.
    place = int(error.argmax())
    return float(error[place]), float(x[place])


def special_missed(name: str, dtype: DType) -> int:
    """How many of NaN, infinities and zeros do not become what they must; a zero keeps its sign in tanh alone."""
    x, expected = np.array([*FUNCTIONS[name].special, (NAN, NAN)], dtype).T
    found = values(name, np.ascontiguousarray(x))
    right = (found == expected) | (np.isnan(found) & np.isnan(expected))
    if name == "tanh":
        right &= np.isnan(x) | (np.signbit(found) == np.signbit(expected))
    return int((~right).sum())
