"""What all kinds of files are read as: some rows at a time, each column as numbers or as texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp.files.errors import TableError

NUMBER, TEXT = "number", "text"
# What stands for a value that is missing.
MISSING = frozenset(
    {"", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NULL", "null", "NaN", "nan", "-NaN", "-nan", "NaT"}
)
# About so many values are read at once.
VALUES_AT_ONCE = 1_000_000

Array = NDArray[Any]
# How many bytes of the file are read.
Report = Callable[[int], None]


@dataclass(frozen=True)
class Layout:
    """How a text file is written; None where the file itself shall tell.

    `texts` are the columns whose numbers are names, `left_out` those not to be looked at. Unless it `decides`, what the
    columns are is known already, from the training.
    """

    delimiter: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    has_header: bool = True
    texts: Collection[str] = ()
    left_out: Collection[str] = ()
    decides: bool = True


@dataclass
class Texts:
    """A column of texts: for each row the place of its text among `values`, -1 where it is missing."""

    codes: NDArray[np.int32]
    values: list[str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Of the texts themselves; spaces around them do not count."""
        places: dict[str, int] = {}
        codes = np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int32, len(texts))
        return cls.coded(codes, list(places))

    @classmethod
    def coded(cls, codes: NDArray[np.int32], texts: Sequence[str]) -> Texts:
        """Of places among texts as they stand in the file, of which some may be missing, or not occur."""
        places: dict[str, int] = {}
        to = np.full(len(texts) + 1, -1, np.int32)  # one more for those that are missing already, -1
        occurs = np.zeros(len(to), np.bool_)
        occurs[codes] = True
        for place, text in enumerate(texts):
            stripped = text.strip()
            if occurs[place] and stripped not in MISSING:
                to[place] = places.setdefault(stripped, len(places))
        return cls(to[codes], list(places))


@dataclass
class Part:
    """Some rows: `numbers` as float64 with NaN where one is missing; `first` rows came before."""

    first: int
    n_rows: int
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    texts: dict[str, Texts] = field(default_factory=dict)


class Source(Protocol):
    """A table in a file.

    `size` is that of the file in bytes; `notes` say what the user should know of how it was read.
    """

    path: Path
    names: list[str]
    size: int
    notes: list[str]

    def kinds(self) -> dict[str, str]:
        """Of each column that is not left out whether it holds numbers or texts."""

    def check(self, kinds: Mapping[str, str]) -> None:
        """Raise TableError where the file's own types tell that columns are not of these kinds."""

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """The rows of these columns, some at a time, read as the kinds say."""

    def where(self, row: int) -> str:
        """Where a row, counted from 0, stands in the file."""


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise TableError where two columns have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TableError(f"{path}: two columns are called {name!r}; give each a name of its own")
        seen.add(name)


def as_text(value: object) -> str:
    """As CSV has it: nothing for None, and a whole float, which gaps make of integers, as the integer."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def shown(names: Collection[str], most: int = 10) -> str:
    """Names in a row, the first of them where there are many."""
    listed = list(names)
    return ", ".join(map(repr, listed[:most])) + (f" and {len(listed) - most} more" if len(listed) > most else "")
