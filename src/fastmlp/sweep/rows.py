"""Rows of X that some net has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
