"""What is kept of a table until all of it was read, and what becomes of it then."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmlp.files.columns import Columns, Moments, check_finite
from fastmlp.files.errors import TableError
from fastmlp.files.parts import Array, Part, Source, Texts, shown

# Larger than what the allocator ever keeps for itself: what is let go is the system's at once. Many small arrays, kept
# between others that are not, hold twice their memory.
BLOCK_BYTES = 48_000_000
ROWS_AT_ONCE = 8192


class Rows:
    """Rows of numbers in large blocks: they can be let go of block by block while a matrix is made of them."""

    def __init__(self, n_columns: int, dtype: DTypeLike, rows_of_a_block: int) -> None:
        self._shape, self._dtype = (rows_of_a_block, n_columns), dtype
        self._blocks: list[Array] = []
        self._used = rows_of_a_block

    def append(self, rows: Array) -> None:
        """Copy the rows."""
        while len(rows):
            if self._used == self._shape[0]:
                self._blocks.append(np.empty(self._shape, self._dtype))
                self._used = 0
            fits = rows[: self._shape[0] - self._used]
            self._blocks[-1][self._used : self._used + len(fits)] = fits
            self._used += len(fits)
            rows = rows[len(fits) :]

    def __iter__(self) -> Iterator[Array]:
        """The blocks, the last as far as it is filled."""
        yield from self._blocks[:-1]
        yield from (block[: self._used] for block in self._blocks[-1:])

    def joined(self) -> Array:
        """All of them in one array; nothing is kept."""
        rows = [block.copy() for block in self.released()]
        return np.concatenate([np.empty((0, self._shape[1]), self._dtype), *rows])

    def released(self) -> Iterator[Array]:
        """The same; each is let go of when the next is asked for."""
        self._blocks.reverse()
        while self._blocks:
            rows = self._used if len(self._blocks) == 1 else self._shape[0]
            yield self._blocks.pop()[:rows]


class Joined:
    """The texts of a column, part after part: the places of each part among all texts that were seen."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def join(self, texts: Texts) -> NDArray[np.int32]:
        """Places for the part's rows, -1 where the text is missing."""
        to = np.array([self.places.setdefault(text, len(self.places)) for text in texts.values] + [-1], np.int32)
        return to[texts.codes]

    @property
    def values(self) -> list[str]:
        """All texts by their places."""
        return list(self.places)


class Kept:
    """The columns' rows, numbers in the working dtype and texts by their places.

    Numbers are kept by their distance from a middle one of the first part that has any: however far from zero a column
    lies, the digits that tell its values apart are kept. When all is read, and it is known which rows are to be trained on,
    :meth:`learn` finds what the columns are, and :meth:`matrix` what the net takes.
    """

    def __init__(self, columns: Columns, source: Source, dtype: DTypeLike, most_categories: int) -> None:
        self.columns, self._source, self._most_categories = columns, source, most_categories
        n_numbers, n_texts = len(columns.numbers), len(columns.categories)
        rows_of_a_block = BLOCK_BYTES // max(np.dtype(dtype).itemsize * n_numbers, 4 * n_texts)
        self._numbers = Rows(n_numbers, dtype, rows_of_a_block)
        self._codes = Rows(n_texts, np.int32, rows_of_a_block)
        self._texts = [Joined() for _ in columns.categories]
        self._shift = np.zeros(n_numbers)
        self._has_number = np.zeros(n_numbers, np.bool_)
        self._dtype = np.dtype(dtype)

    def keep(self, part: Part, known: NDArray[np.bool_]) -> None:
        """Keep a part's rows, of which those that are not `known` have no target and are left out.

        Raises
        ------
        TableError
            If a number is infinite, or a column holds more texts than categories are allowed.
        """
        numbers = np.empty((part.n_rows, len(self.columns.numbers)))
        for place, number in enumerate(self.columns.numbers):
            check_finite(part.numbers[number.name], number.name, part, self._source, self._dtype)
            numbers[:, place] = part.numbers[number.name]
        codes = np.empty((part.n_rows, len(self.columns.categories)), np.int32)
        for place, (column, joined) in enumerate(zip(self.columns.categories, self._texts, strict=True)):
            codes[:, place] = joined.join(part.texts[column.name])
            self._check_categories(column.name, joined)
        if not known.all():
            numbers, codes = numbers[known], codes[known]
        self._look_first(numbers)
        numbers -= self._shift
        self._numbers.append(numbers)
        self._codes.append(codes)

    def _look_first(self, numbers: Array) -> None:
        """Take the middle of columns that had no value so far, which lies among them where a mean may not."""
        fresh = ~self._has_number & ~np.isnan(numbers).all(axis=0)
        if fresh.any():
            self._shift[fresh] = np.nanmedian(numbers[:, fresh], axis=0)
            self._has_number |= fresh

    def _check_categories(self, name: str, joined: Joined) -> None:
        if len(joined.places) > self._most_categories:
            raise TableError(
                f"{self._source.path}, column {name!r}: more than {self._most_categories} different texts, such as "
                f'{shown(joined.values[:2])}; leave it out with --drop "{name}", or allow more with --most-categories'
            )

    def check_values(self) -> None:
        """Raise TableError where a column has no value."""
        has_value = [*self._has_number, *(bool(joined.places) for joined in self._texts)]
        for column, has in zip(self.columns.all, has_value, strict=True):
            if not has:
                self._refuse_empty(column.name, "not one value")

    def _refuse_empty(self, name: str, problem: str) -> None:
        raise TableError(f'{self._source.path}, column {name!r}: {problem}; leave it out with --drop "{name}"')

    def learn(self, trains: NDArray[np.bool_]) -> None:
        """Find what the columns are, by the rows to train on alone: the others are for judging what was learnt.

        Raises
        ------
        TableError
            If a column has no value in these.
        """
        moments, start = Moments(len(self.columns.numbers)), 0
        counts = [np.zeros(len(joined.places) + 1, np.int64) for joined in self._texts]
        for numbers, codes in zip(self._numbers, self._codes, strict=True):
            for begin in range(0, len(numbers), ROWS_AT_ONCE):
                some = slice(begin, begin + ROWS_AT_ONCE)
                trained = trains[start + begin : start + begin + len(numbers[some])]
                moments.learn(numbers[some][trained])
                for count, of_column in zip(counts, codes[some][trained].T, strict=True):
                    # What is missing, -1, is counted in the last place.
                    np.add.at(count, of_column, 1)
            start += len(numbers)
        self._tell_numbers(moments, int(trains.sum()))
        for column, joined, count in zip(self.columns.categories, self._texts, counts, strict=True):
            column.values = sorted(value for value, place in joined.places.items() if count[place])
            column.missing = int(count[-1])
            if not column.values:
                self._refuse_empty(column.name, "not one value in the rows to train on")

    def _tell_numbers(self, moments: Moments, n_rows: int) -> None:
        scales, is_constant = moments.scale, moments.is_constant
        for place, number in enumerate(self.columns.numbers):
            number.mean = float(self._shift[place] + moments.mean[place])
            # A column with one value tells nothing; with a scale of 0 it is always 0, whatever comes later.
            number.scale = 0.0 if is_constant[place] else float(scales[place])
            number.missing = int(n_rows - moments.count[place])
            if number.missing == n_rows:
                self._refuse_empty(number.name, "not one value in the rows to train on")

    def matrix(self, places: Array) -> Array:
        """What the net takes, each row in its place; nothing is kept afterwards."""
        columns = self.columns
        means, scales = np.array([(one.mean, one.scale or np.inf) for one in columns.numbers]).reshape(-1, 2).T
        factor = (1 / scales).astype(self._dtype)
        shift = ((self._shift - means) / scales).astype(self._dtype)
        places_of = [column.places(joined.values) for column, joined in zip(columns.categories, self._texts, strict=True)]
        X = np.empty((len(places), columns.width), self._dtype)
        rows, start = np.empty((ROWS_AT_ONCE, columns.width), self._dtype), 0
        for numbers, codes in zip(self._numbers.released(), self._codes.released(), strict=True):
            for begin in range(0, len(numbers), ROWS_AT_ONCE):
                some = slice(begin, begin + ROWS_AT_ONCE)
                standardised = numbers[some] * factor + shift
                into = rows[: len(standardised)]
                columns.fill(into, standardised, [to[of] for to, of in zip(places_of, codes[some].T, strict=True)])
                X[places[start : start + len(into)]] = into
                start += len(into)
        return X
