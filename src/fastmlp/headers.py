"""Checks of what a file says of itself: what every entry must be stands in one place, and nothing is believed before.

A check takes a value and the words for where it stands, and raises :class:`HeaderError` where it is not what it must be.
"""

from __future__ import annotations

import json
import math
import reprlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Check = Callable[[Any, str], None]

# Python makes many times its length of a text such as "[[],[],[]": that much and no more.
LARGEST_OBJECTS = 40_000_000
# Upper bounds on what lists, dicts, their parts and texts take, in bytes.
OBJECT_BYTES = {b"[": 64, b"{": 200, b",": 40, b'"': 28}
LARGEST_WHOLE = (1 << 63) - 1


class HeaderError(ValueError):
    """What is wrong with an entry, and where it stands; who knows the file adds its name and the remedy."""


def parsed(text: str | bytes) -> Any:
    """What the JSON says; HeaderError where it is none, or an entry of it stands twice."""
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except HeaderError:
        raise
    except ValueError as error:
        raise HeaderError(f"the header is no JSON ({error})") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        # `add` returns None.
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise HeaderError(f"{shown(twice)} stands twice in the header")
    return entries


def check_room(text: bytes, more: int = 0) -> None:
    """Raise HeaderError where Python might make more than 40 MB, and `more` bytes, of this JSON."""
    # Of one sign beyond Latin-1 four bytes for each of a text.
    needed = len(text) * (4 if b"\\u" in text else 1)
    needed += sum(text.count(sign) * size for sign, size in OBJECT_BYTES.items())
    if needed > LARGEST_OBJECTS + more:
        raise HeaderError(f"the header of {len(text):,} bytes would take up to {needed / 1e6:,.0f} MB of memory, too much")


def shown(value: Any) -> str:
    """A value, in short whatever it is."""
    return reprlib.repr(value)


def whole(least: int = 0, most: int = LARGEST_WHOLE) -> Check:
    """A whole number of this range."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            until = "on" if most == LARGEST_WHOLE else f"to {most}"
            raise HeaderError(f"{where} is {shown(value)}, not a whole number from {least} {until}")

    return check


def number(least: float = -math.inf) -> Check:
    """A finite number from `least` on."""

    def check(value: Any, where: str) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Of whole numbers too large for a float there is no float to compare.
        if not is_number or not abs(value) <= sys.float_info.max or value < least:
            raise HeaderError(f"{where} is {shown(value)}, not a finite number{'' if least < 0 else f' from {least} on'}")

    return check


def truth(value: Any, where: str) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise HeaderError(f"{where} is {shown(value)}, neither true nor false")


def text(value: Any, where: str) -> None:
    """A text."""
    if not isinstance(value, str):
        raise HeaderError(f"{where} is {shown(value)}, not a text")


def anything(value: Any, where: str) -> None:
    """Whatever it is, somebody else checks it."""


def one_of(names: Collection[str]) -> Check:
    """One of these texts."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in names:
            raise HeaderError(f"{where} is {shown(value)}, none of {', '.join(names)}")

    return check


def nothing_or(inner: Check) -> Check:
    """None, or what passes the check."""

    def check(value: Any, where: str) -> None:
        if value is not None:
            inner(value, where)

    return check


def list_of(inner: Check, least: int = 0, most: int = LARGEST_WHOLE) -> Check:
    """A list of so many, each of which passes the check."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or not least <= len(value) <= most:
            until = "or more" if most == LARGEST_WHOLE else f"to {most}"
            raise HeaderError(f"{where} is {shown(value)}, not a list of {least} {until}")
        for place, part in enumerate(value):
            inner(part, f"{where}[{place}]")

    return check


def row_of(*inner: Check) -> Check:
    """A list of one part for each of the checks, which it passes."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) != len(inner):
            raise HeaderError(f"{where} is {shown(value)}, not a list of {len(inner)}")
        for place, (check_part, part) in enumerate(zip(inner, value, strict=True)):
            check_part(part, f"{where}[{place}]")

    return check


def record(entries: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """A dict with these entries, perhaps some of the optional ones, and no other."""
    known = {**entries, **(optional or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise HeaderError(f"{where} is {shown(value)}, not a dict")
        for name in entries:
            if name not in value:
                raise HeaderError(f"{where} has no {name!r}")
        for name, part in value.items():
            if name not in known:
                raise HeaderError(f"{where} has an entry {shown(name)} that nobody knows")
            known[name](part, f"{where}, {name}")

    return check


def check_arrays(
    arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[Any, tuple[int, ...]]], others: str | None = None
) -> None:
    """Raise HeaderError unless these arrays are there, of these dtypes and shapes, and no others but those of a prefix."""
    for name, (dtype, shape) in wanted.items():
        if name not in arrays:
            raise HeaderError(f"there is no array {shown(name)}")
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise HeaderError(
                f"the array {shown(name)} is {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of {shape}"
            )
    for name in arrays:
        if name not in wanted and not (others is not None and name.startswith(others)):
            raise HeaderError(f"there is an array {shown(name)} that nobody knows")
