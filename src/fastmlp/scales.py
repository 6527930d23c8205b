"""How large features and targets are, and warnings where a net would learn badly from them as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.notices import warn
from fastmlp.options import Loss

Array = NDArray[Any]
# With the defaults, on 500 and 5,000 samples of a regression and on classes, R2 and accuracy suffer clearly from here on:
# columns whose spreads, from the least to the greatest value, differ by a factor of 100; those that spread over more than
# 300 (a grey value of 255 is not far from it) or all less than 0.01; those that lie 50 times their spread away from 0.
MOST_SPREAD = 100
WIDEST, NARROWEST = 300.0, 0.01
FARTHEST = 50
# And targets whose root mean square is above 1000 (house prices; for scikit-learn's diabetes it is 170), or whose standard
# deviation is below 0.01.
LARGEST_TARGET, NARROWEST_TARGET = 1000.0, 0.01
ROWS_FOR_SPREAD = 10_000
COLUMNS_NAMED = 3
ROUNDING = 1e-7
# What the outputs of a net are near when its training begins.
NEAR_ZERO = (Loss.SQUARED_ERROR, Loss.ABSOLUTE_ERROR, Loss.HUBER, Loss.QUANTILE)
STANDARDISE_X = "Standardise X: (X - X.mean(axis=0)) / X.std(axis=0), or a StandardScaler in a scikit-learn pipeline"
STANDARDISE_Y = "Standardise y: (y - y.mean(axis=0)) / y.std(axis=0), or scikit-learn's TransformedTargetRegressor"


def columns_named(columns: Sequence[int]) -> str:
    """Columns by number, a few of them, as the subject of a sentence."""
    numbers, more = [str(column) for column in columns[:COLUMNS_NAMED]], len(columns) - COLUMNS_NAMED
    if more > 0:
        return f"columns {', '.join(numbers)} and {more} more"
    return f"column {numbers[0]}" if len(numbers) == 1 else f"columns {', '.join(numbers[:-1])} and {numbers[-1]}"


def some_rows(rows: Array) -> Array:
    """About `ROWS_FOR_SPREAD` rows, evenly spaced."""
    return rows[:: max(1, len(rows) // ROWS_FOR_SPREAD)]


def warn_of_wild_scales(rows: Array) -> bool:
    """Warn where columns of X are far wider than others, or as a whole too wide, too narrow or too far from 0.

    Says whether it has.
    """
    some = some_rows(rows)
    told = _wild_scales(some.min(axis=0).astype(np.float64), some.max(axis=0).astype(np.float64))
    if told is not None:
        warn(f"X: {told}; training will be slow or diverge. {STANDARDISE_X}", UserWarning)
    return told is not None


def _wild_scales(least: Array, greatest: Array) -> str | None:
    """What is wrong with columns that go from `least` to `greatest`, if anything is."""
    # Halves, for sums and differences may overflow. Constant columns do not count.
    spread, centre = greatest / 2 - least / 2, np.abs(greatest / 2 + least / 2)
    varied = np.flatnonzero(spread > 0)
    if not len(varied):
        return None
    widest_first = varied[np.argsort(-spread[varied], kind="stable")]
    widest, narrowest = widest_first[0], widest_first[-1]
    with np.errstate(over="ignore"):
        uneven = widest_first[spread[widest_first] > MOST_SPREAD * spread[narrowest]]
        far = varied[centre[varied] > 2 * FARTHEST * spread[varied]]
    wide = widest_first[spread[widest_first] > WIDEST / 2]
    if len(uneven):
        times = _rounded(np.log10(spread[widest]) - np.log10(spread[narrowest]))
        return f"{_told(uneven, 'spreads', 'spread up to')} {times} times as wide as column {narrowest}"
    if len(wide):
        return f"{_told(wide, 'spreads over', 'spread over up to')} {_rounded(np.log10(spread[widest]) + np.log10(2))}"
    if len(far):
        lying = _rounded(np.log10(centre[far[0]]))
        return f"{_told(far, 'lies around', 'lie around')} {lying}, far from 0 beside the spread"
    if spread[widest] < NARROWEST / 2:
        return f"no column spreads over more than {_rounded(np.log10(spread[widest]) + np.log10(2))}"
    return None


def _told(columns: Array, one: str, several: str) -> str:
    """What a column does, or several of which the first does it the most."""
    return f"{columns_named(columns.tolist())} {one if len(columns) == 1 else several}"


def _rounded(exponent: float) -> str:
    """A power of ten to one digit, so that samples drawn from the same data say the same; however large."""
    whole = np.floor(exponent)
    digit = round(10 ** (exponent - whole))
    return f"{digit * 10.0**whole:g}" if whole < 300 else f"{digit}e+{whole:.0f}"


def warn_of_wild_targets(values: Array, loss: Loss) -> bool:
    """Warn where targets (n_samples, n_outputs) are far larger than what a net puts out at first, or hardly differ.

    Says whether it has.
    """
    if loss not in NEAR_ZERO:
        return False
    some = some_rows(values).astype(np.float64)
    largest = np.abs(some).max(axis=0)
    units = np.where(largest > 0, largest, 1)
    sizes, deviations = np.sqrt(np.mean((some / units) ** 2, axis=0)), np.std(some / units, axis=0)
    with np.errstate(over="ignore"):
        large = np.flatnonzero(sizes > LARGEST_TARGET / units)
        # What is left of a column of one number is rounding.
        narrow = np.flatnonzero((deviations < NARROWEST_TARGET / units) & (deviations > ROUNDING))
    if len(large):
        large = large[np.argsort(-largest[large], kind="stable")]
        told = f"{_told(large, 'reaches', 'reach up to')} {_rounded(np.log10(largest[large[0]]))}"
    elif len(narrow):
        narrow = narrow[np.argsort(-(deviations * units)[narrow], kind="stable")]
        deviation = (deviations * units)[narrow[0]]
        named = _told(narrow, "deviates from its mean by", "deviate from their means by up to")
        told = f"{named} {_rounded(np.log10(deviation))}"
    else:
        return False
    told = told.replace("column 0", "y", 1) if values.shape[1] == 1 else f"y: {told}"
    warn(
        f"{told}, but the outputs of a net are of the order of 1 at first; training will be "
        f"slow or diverge. {STANDARDISE_Y}",
        UserWarning,
    )
    return True
