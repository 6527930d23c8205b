"""Rows of X that some net has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.checks import as_array

Rows = list[NDArray[np.intp]] | None


def row_numbers(name: str, rows: ArrayLike, n_samples: int) -> NDArray[np.intp]:
    """The numbers of rows, from numbers or a mask.

    Raises
    ------
    TypeError, ValueError
        If they are neither, there are none, or some are not below `n_samples`; the message calls them `name`.
    """
    try:
        array = np.asarray(rows)
    except ValueError:
        raise TypeError(f"{name} is {type(rows).__name__} of several arrays; give one array of row numbers") from None
    if array.dtype == bool and array.shape == (n_samples,):
        array = np.flatnonzero(array)
    if array.shape == (0,):
        raise ValueError(f"{name} is empty: give at least one row")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"{name} is {array.dtype} of shape {array.shape}; give row numbers, or a mask over all rows")
    if array.min() < 0 or array.max() >= n_samples:
        wrong = array[(array < 0) | (array >= n_samples)][0]
        raise ValueError(f"{name} holds {wrong}, but X has the rows 0 to {n_samples - 1}")
    return array.astype(np.intp, copy=False)


def checked_rows(rows: Any, n_nets: int, y: ArrayLike) -> Rows:
    """The rows of each net as numbers; None for all, and where `y` has none, which is told with the other faults of it."""
    if rows is None:
        return None
    if isinstance(rows, str) or not isinstance(rows, Sequence | np.ndarray):
        raise TypeError(f"rows={rows!r}: give a list with an index array for each net, or None")
    if len(rows) != n_nets:
        raise ValueError(f"rows has {len(rows)} entries, but there are {n_nets} nets; give one index array for each")
    targets = as_array("y", y)
    if not targets.ndim:
        return None
    checked: dict[int, NDArray[np.intp]] = {}
    # Folds are given again and again: the same object is the same rows. The list keeps those that a matrix makes anew.
    listed = list(rows)
    for place, some in enumerate(listed):
        if id(some) not in checked:
            checked[id(some)] = row_numbers(f"rows[{place}]", some, len(targets))
    return [checked[id(some)] for some in listed]
