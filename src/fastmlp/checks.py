"""What can be told at once of values as users hand them in: whether they are numbers, and whether there is room."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def shown(value: Any) -> str:
    """The value as messages have it."""
    try:
        return repr(value)
    except ValueError:
        # Python does not write out a whole number of thousands of digits.
        return f"<{type(value).__name__} too long to be shown>"


def as_float(value: Any) -> float:
    """A real number as a float.

    Raises
    ------
    TypeError
        If it is none: text, a truth value, a complex number, a date or an array of one are none.
    OverflowError
        If it is larger than any float.
    """
    if type(value) is float:
        return value
    kind = str(getattr(getattr(value, "dtype", None), "kind", "f"))
    is_number = hasattr(value, "__float__") or hasattr(value, "__index__")
    if not is_number or isinstance(value, bool) or kind not in "fiu" or getattr(value, "ndim", 0) != 0:
        raise TypeError(f"{shown(value)} is no number")
    return float(value)


def as_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """`values` as an array.

    Raises
    ------
    TypeError
        If they are sparse.
    ValueError
        If rows have different lengths, or values are masked.
    """
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix: give a dense array, {name}.toarray()")
    refuse_masked(name, values)
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths: give each row the same number of values") from None


def as_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """The array, of numbers; of objects each is made a float.

    Raises
    ------
    TypeError
        If some are no numbers.
    OverflowError
        If some are larger than any float.
    """
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind != "O":
        raise TypeError(f"{array.dtype} values are no numbers")
    return np.array([float(v) if is_truth(v) else as_float(v) for v in array.flat]).reshape(array.shape)


def is_truth(value: Any) -> bool:
    """Whether the value is True or False."""
    return isinstance(value, bool | np.bool_)


def refuse_masked(name: str, values: Any) -> None:
    """Raise ValueError where some values are masked: as a plain array they would be what lies below the mask."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values: fill them in, by {name}.filled(...), or leave such rows out")


@lru_cache(maxsize=1)
def memory_of_machine() -> float:
    """Bytes, or infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def check_room(what: str, n_bytes: int) -> None:
    """Raise ValueError where so many bytes are more than the machine has."""
    if n_bytes > memory_of_machine():
        raise ValueError(
            f"{what} takes {n_bytes / 1e9:.3g} GB, but the machine has {memory_of_machine() / 1e9:.3g} GB; give less"
        )
