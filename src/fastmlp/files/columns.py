"""Columns of a table, and the numbers that a net is given for them.

Numbers are standardised, a missing one is the mean; of texts each has a column of its own, which is 1 where it stands
(one-hot). That is what scikit-learn's ColumnTransformer makes with StandardScaler and OneHotEncoder (a test holds the two
equal), but learnt from parts of a table that is never in memory as a whole. What was learnt goes into JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmlp.files.errors import TableError
from fastmlp.files.parts import NUMBER, TEXT, Array, Part, Source, shown

# What a missing text is called among the categories.
NO_TEXT = "(missing)"
MOST_CATEGORIES = 100
LARGEST = {"float32": 1e37, "float64": 1e100}


@dataclass
class Number:
    """A column of numbers: mean and standard deviation, 0 where all are the same, and how many are missing."""

    name: str
    mean: float = 0.0
    scale: float = 1.0
    missing: int = 0


@dataclass
class Category:
    """A column of texts: those that occur, in order, and how many are missing."""

    name: str
    values: list[str] = field(default_factory=list)
    missing: int = 0

    @property
    def width(self) -> int:
        """How many numbers a net is given for it: what is missing is a category too, if there was such a row."""
        return len(self.values) + bool(self.missing)

    def places(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Where each of the texts stands among the values, -1 if nowhere; behind them where a missing one does."""
        places = {text: place for place, text in enumerate(self.values)}
        found = [places.get(text, -1) for text in texts]
        if -1 in found:
            # As other programs write the same: 1.0 for 1 where some are missing, and true for True.
            alike = {_plain_form(text): place for text, place in places.items()}
            found = [alike.get(_plain_form(text), -1) if at < 0 else at for text, at in zip(texts, found, strict=True)]
        return np.array([*found, len(self.values)], np.int32)


class Moments:
    """Counts, means and sums of squares about them of the columns (k,) of a matrix that is seen some rows at a time."""

    def __init__(self, n_columns: int) -> None:
        self.count = np.zeros(n_columns)
        self.mean, self.squares = np.zeros(n_columns), np.zeros(n_columns)

    def learn(self, rows: Array) -> None:
        """Go on with further rows, NaN where a value is missing (Chan, Golub and LeVeque 1983)."""
        values = rows.astype(np.float64)
        missing = np.isnan(values)
        values[missing] = 0
        count = len(values) - missing.sum(axis=0)
        mean = values.sum(axis=0) / np.maximum(count, 1)
        values -= mean
        values[missing] = 0
        total, shift = self.count + count, mean - self.mean
        weight = count / np.maximum(total, 1)
        self.squares += np.square(values, out=values).sum(axis=0) + shift**2 * self.count * weight
        self.mean += shift * weight
        self.count = total

    @property
    def scale(self) -> Array:
        """The standard deviations; 1 where all values are the same."""
        return np.where(self.is_constant, 1.0, self._deviation)

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """Which columns hold one value, but for what is rounded of its mean."""
        return self._deviation <= 10 * np.finfo(np.float64).eps * np.abs(self.mean)

    @property
    def _deviation(self) -> Array:
        return np.sqrt(self.squares / np.maximum(self.count, 1))


@dataclass
class Columns:
    """The columns that a net takes, those of numbers first, as scikit-learn's ColumnTransformer would have them."""

    numbers: list[Number]
    categories: list[Category]

    @classmethod
    def of(cls, kinds: Mapping[str, str]) -> Columns:
        """Columns about which nothing is known yet."""
        return cls(
            [Number(name) for name, kind in kinds.items() if kind == NUMBER],
            [Category(name) for name, kind in kinds.items() if kind == TEXT],
        )

    @property
    def all(self) -> list[Number | Category]:
        """Those of numbers, then those of texts."""
        return [*self.numbers, *self.categories]

    @property
    def kinds(self) -> dict[str, str]:
        """How each column is to be read."""
        return {one.name: NUMBER for one in self.numbers} | {one.name: TEXT for one in self.categories}

    @property
    def width(self) -> int:
        """How many numbers a net is given."""
        return len(self.numbers) + sum(one.width for one in self.categories)

    def fill(self, into: Array, numbers: Array, codes: Sequence[Array]) -> None:
        """Write rows: standardised numbers, NaN where missing, and ones at the places of the texts, if they have one."""
        n_numbers = len(self.numbers)
        into[:, :n_numbers] = numbers
        np.nan_to_num(into[:, :n_numbers], copy=False, nan=0.0)
        into[:, n_numbers:] = 0
        start, rows = n_numbers, np.arange(len(into))
        for column, of_column in zip(self.categories, codes, strict=True):
            known = (of_column >= 0) & (of_column < column.width)
            into[rows[known], start + of_column[known]] = 1
            start += column.width

    def rows(self, part: Part, source: Source, dtype: Any, *, new_as_none: bool = False) -> Array:
        """The rows of a part of a table, as the net takes them.

        With `new_as_none` a text that was not there in training is like none of those that were.

        Raises
        ------
        TableError
            If there is such a text, or a number is not finite.
        """
        numbers = np.empty((part.n_rows, len(self.numbers)))
        for place, number in enumerate(self.numbers):
            values = part.numbers[number.name]
            check_finite(values, number.name, part, source, dtype)
            np.divide(values - number.mean, number.scale or np.inf, out=numbers[:, place])
        codes = [self._places(one, part, source, new_as_none) for one in self.categories]
        into = np.empty((part.n_rows, self.width), dtype)
        self.fill(into, numbers, codes)
        return into

    def _places(self, column: Category, part: Part, source: Source, new_as_none: bool) -> Array:
        texts = part.texts[column.name]
        found = column.places(texts.values)[texts.codes]
        new = found < 0
        if new.any() and not new_as_none:
            row = int(new.argmax())
            raise TableError(
                f"{source.path}, {source.where(part.first + row)}, column {column.name!r}: "
                f"{texts.values[texts.codes[row]]!r} did not occur in training; known are {shown(column.values)}. "
                "Correct it, or give --new-categories as-none, which takes it for none of these"
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """All of it in numbers, texts, lists and dicts."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Columns:
        """What :meth:`as_json` gave."""
        return cls([Number(**one) for one in content["numbers"]], [Category(**one) for one in content["categories"]])


def _plain_form(text: str) -> str:
    """The same for texts that stand for one whole number or truth value."""
    if text.lower() in ("true", "false"):
        return text.lower()
    whole, point, rest = text.partition(".")
    return whole if point and whole.lstrip("-").isdigit() and not rest.strip("0") else text


def check_finite(values: Array, name: str, part: Part, source: Source, dtype: DTypeLike = np.float64) -> None:
    """Raise TableError where a number is infinite, or too large for the working dtype or, squared, for any."""
    beyond = np.abs(values) > LARGEST[np.dtype(dtype).name]
    if beyond.any():
        row = int(beyond.argmax())
        problem = "not finite" if np.isinf(values[row]) else f"too large for {np.dtype(dtype).name}"
        raise TableError(
            f"{source.path}, {source.where(part.first + row)}, column {name!r}: {values[row]} is {problem}; correct it, "
            "or leave the value empty"
        )
