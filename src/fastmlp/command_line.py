"""Options of commands, from text to what they mean."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path


def whole(option: str, text: str, least: int) -> int:
    """A whole number, 1e6 among others; ValueError where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value >= least and value == int(value)):
        raise ValueError(f"{option} {text!r}: give a whole number from {least} on")
    return int(value)


def units(text: str) -> tuple[int, ...]:
    """Units of each hidden layer: 100, or 64,64; ``none`` for no hidden layer."""
    return () if text == "none" else tuple(whole("--hidden", part, 1) for part in text.split(","))


def batch(text: str) -> int | str:
    """Rows in a batch: auto, full or a number."""
    return text if text in ("auto", "full") else whole("--batch", text, 1)


def make_writable(folder: Path) -> None:
    """Make the folder and try it, so that a long run does not end in an error that could be told at its start.

    Raises
    ------
    OSError
        If it cannot be made, or no file can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
