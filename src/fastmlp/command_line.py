"""Options of commands, from text to what they mean."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastmlp.writing import named

# The exit code of a command that Ctrl-C ends: 128 and the signal's number.
INTERRUPTED = 130


class UsageError(ValueError):
    """An option is not what it must be: the message names it, its value and the remedy."""


def whole(option: str, text: str, least: int) -> int:
    """A whole number, 1e6 among others; UsageError where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value >= least and value.is_integer()):
        raise UsageError(f"{option} {text!r}: give a whole number from {least} on")
    return int(value)


def units(text: str) -> tuple[int, ...]:
    """Units of each hidden layer: 100, or 64,64; ``none`` for no hidden layer."""
    return () if text == "none" else tuple(whole("--hidden", part, 1) for part in text.split(","))


def batch(text: str) -> int | str:
    """Rows in a batch: auto, full or a number."""
    return text if text in ("auto", "full") else whole("--batch", text, 1)


def check_output(out: Path, *inputs: Path) -> None:
    """Raise UsageError where what is to be written would take the place of a folder, or of what is read."""
    if out.is_dir():
        raise UsageError(f"--out {out}: a folder; give a file")
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise UsageError(f"--out {out}: would take the place of what is read; give another file")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"--out {out}: {above} is a file, not a folder; give another file")


def make_writable(folder: Path) -> None:
    """Make the folder and try it, so that a long run does not end in an error that could be told at its start.

    Raises
    ------
    OSError
        If it cannot be made, or no file can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with named(folder), tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def made_writable(folder: Path) -> Iterator[None]:
    """The same for some work; what was made is removed if it comes to nothing."""
    made = [above for above in (folder.absolute(), *folder.absolute().parents) if not above.exists()]
    try:
        make_writable(folder)
        yield
    except BaseException:
        for one in made:
            with suppress(OSError):
                one.rmdir()
        raise
