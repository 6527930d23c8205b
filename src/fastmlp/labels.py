"""Labels of classes as JSON has them: their dtype by its name, and values."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.headers import HeaderError, anything, list_of, record, shown, text

LABELS = record({"dtype": text, "values": list_of(anything, least=1)})
# NumPy's strings of any length, from 2.0 on.
STRINGS = "StringDType()"
# A dtype that labels may have: as NumPy writes those of truth values, whole and other numbers and strings, or "object".
LABEL_DTYPE = re.compile(r"\|b1|[|<>][iu]1|[<>][iu][248]|[<>]f[248]|[<>]U[0-9]{1,8}|StringDType\(\)|object")
# Strings are padded to the longest: labels may take so much, and eight times their texts.
LARGEST_LABELS = 32_000_000


def described_labels(classes: NDArray[Any] | None) -> dict[str, Any] | None:
    """Labels as JSON has them.

    Raises
    ------
    TypeError
        If they are neither numbers, truth values nor strings.
    """
    if classes is None:
        return None
    values = [value.item() if isinstance(value, np.generic) else value for value in classes.tolist()]
    if not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise TypeError(f"labels of dtype {classes.dtype} cannot be saved: use numbers, truth values or strings")
    return {"dtype": {"O": "object", "T": STRINGS}.get(classes.dtype.kind, classes.dtype.str), "values": values}


def check_labels(all_described: list[dict[str, Any] | None]) -> None:
    """Raise HeaderError where labels are not of the dtype that they name, or strings would take many times their texts."""
    padded = texts = 0
    for described in all_described:
        if described is None:
            continue
        dtype, values = described["dtype"], described["values"]
        if not LABEL_DTYPE.fullmatch(dtype):
            raise HeaderError(f"classes are of dtype {shown(dtype)}, which labels are never of")
        is_label = _is_label(dtype)
        for value in values:
            if not is_label(value):
                raise HeaderError(f"the class {shown(value)} is not of dtype {dtype}")
        if "U" in dtype:  # as in "<U7"
            padded += np.dtype(dtype).itemsize * len(values)
            texts += sum(map(len, values))
    if padded > LARGEST_LABELS + 8 * texts:
        raise HeaderError(f"classes of {texts:,} signs would take {padded / 1e6:,.0f} MB; give long strings as objects")


def _is_label(dtype: str) -> Callable[[Any], bool]:
    """Whether a value is one that an array of this dtype holds."""
    if dtype == "object":
        return lambda value: isinstance(value, str | bool | int) or _is_number(value, sys.float_info.max)
    if dtype == STRINGS:
        return _is_utf8
    exact = np.dtype(dtype)
    if exact.kind == "b":
        return lambda value: isinstance(value, bool)
    if exact.kind == "U":
        longest = exact.itemsize // 4
        return lambda value: isinstance(value, str) and len(value) <= longest
    if exact.kind == "f":
        largest = float(np.finfo(exact).max)
        return lambda value: _is_number(value, largest)
    limits = np.iinfo(exact)
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and limits.min <= value <= limits.max


def _is_number(value: Any, largest: float) -> bool:
    return isinstance(value, float) and abs(value) <= largest


def _is_utf8(value: Any) -> bool:
    """Whether it is a text, none with half a sign in it."""
    return isinstance(value, str) and not any("\ud800" <= sign <= "\udfff" for sign in value)


def labels_of(described: Mapping[str, Any] | None) -> NDArray[Any] | None:
    """Labels that were described so, and checked; strings as objects where this NumPy has no others."""
    if described is None:
        return None
    dtype: Any = described["dtype"]
    if dtype == STRINGS:
        dtype = np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else object
    return np.array(described["values"], dtype=dtype)
