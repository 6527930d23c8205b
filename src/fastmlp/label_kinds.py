"""What `y` holds: labels or numbers of one kind, none of them missing."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS, TEXTS, BYTES = "numbers", "texts", "bytes"
OF_DTYPE = {"b": NUMBERS, "i": NUMBERS, "u": NUMBERS, "f": NUMBERS, "U": TEXTS, "T": TEXTS, "S": BYTES}


def kind_of_labels(name: str, y: Any, array: NDArray[Any]) -> str:
    """What kind the labels or values in `array`, made of `y`, are of; numbers of all types are of one.

    Raises
    ------
    TypeError
        If they are complex, dates, time spans or records, of more than one kind, or if some are missing.
    """
    kind = array.dtype.kind
    if kind == "c":
        raise TypeError(f"{name} is complex: give real targets or labels")
    if kind not in "O" and kind not in OF_DTYPE:
        raise TypeError(f"{name} holds {array.dtype} values: give numbers, or labels that are numbers or texts")
    # NumPy makes texts of all that is in a list with a text in it.
    if kind == "O" or (kind in "US" and isinstance(y, list | tuple) and array.ndim == 1):
        kinds = {_kind_of(value) for value in (array.flat if kind == "O" else y)}
        if len(kinds) != 1 or None in kinds or not (kinds <= {NUMBERS, TEXTS, BYTES} or _have_an_order(array)):
            raise TypeError(f"{name} mixes labels that cannot be compared, or lacks some: give labels of one type")
        return str(kinds.pop())
    return OF_DTYPE[kind]


def _have_an_order(array: NDArray[Any]) -> bool:
    try:
        np.unique(array)
    except TypeError:
        return False
    return True


def _kind_of(value: Any) -> str | None:
    """A label's kind, None where it is missing."""
    if isinstance(value, str):
        return TEXTS
    if isinstance(value, bytes):
        return BYTES
    if isinstance(value, float | np.floating):
        return NUMBERS if math.isfinite(value) else None
    try:
        # What is not a number, a time or a value is not equal to itself, or does not tell.
        if value is None or bool(value != value):
            return None
    except (TypeError, ValueError, ArithmeticError):
        return None
    return NUMBERS if isinstance(value, Number | np.bool_) else type(value).__name__
