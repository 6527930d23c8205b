"""A whole table as a net takes it: one matrix, whose rows are those to train on, then to validate with, then to test on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.files.columns import MOST_CATEGORIES, Columns, Moments, check_finite
from fastmlp.files.errors import TableError
from fastmlp.files.parts import NUMBER, Array, Part, Report, Source, Texts, shown
from fastmlp.files.target import Target, of_numbers, of_texts
from fastmlp.validation import held_out

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass
class Data:
    """Rows and targets: classes as their numbers, or standardised numbers.

    `left_out` rows have no target. `counts` are of rows to train on, to validate with and to test on, in this order.
    """

    X: Array
    y: Array
    columns: Columns
    target: Target
    left_out: int
    counts: tuple[int, int, int]

    def rows(self, use: int) -> tuple[Array, Array]:
        """Those to train on, to validate with or to test on, and their targets."""
        begin = sum(self.counts[:use])
        rows = slice(begin, begin + self.counts[use])
        return self.X[rows], self.y[rows]


@dataclass
class Wanted:
    """What is to be made of a table: the target, its task if it is not to be guessed, the shares held out."""

    target: str
    task: str | None = None
    standardise_target: bool = True
    validation: float = 0.0
    test: float = 0.0
    most_categories: int = MOST_CATEGORIES
    dtype: str = "float32"
    seed: int = 0


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


@dataclass
class Kept:
    """What was read, in the working dtype, part by part: `numbers` (n_rows, n_numbers), `codes` (n_rows, n_categories).

    The numbers are standardised by the mean and scale of the first part: however far from zero a column lies, the digits
    that tell its values apart are kept.
    """

    moments: Moments
    has_number: NDArray[np.bool_]
    texts: list[Joined]
    of_target: Joined = field(default_factory=Joined)
    numbers: list[Array] = field(default_factory=list)
    codes: list[Array] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)
    left_out: int = 0


def read(source: Source, kinds: Mapping[str, str], wanted: Wanted, report: Report) -> Data:
    """Read the table, choose the rows to hold out, and learn from the others what the columns are.

    Beside the matrix it needs the memory of a part of it: parts go into the matrix one after the other and are let go.

    Raises
    ------
    TableError
        If the table is not what can be learnt from; the message says where, and the remedy.
    """
    columns = Columns.of({name: kind for name, kind in kinds.items() if name != wanted.target})
    if not columns.kinds:
        raise TableError(f"{source.path}: there is no column beside the target {wanted.target!r}; give at least one")
    n_numbers = len(columns.numbers)
    kept = Kept(Moments(n_numbers), np.zeros(n_numbers, np.bool_), [Joined() for _ in columns.categories])
    for part in source.parts(kinds, report):
        _keep(part, source, columns, wanted, kept)
    _check_values(kept, columns, source)
    where = f"{source.path}, column {wanted.target!r}"
    targets = np.concatenate(kept.targets)
    if not len(targets):
        raise TableError(f"{where}: the target is missing in every row; give another --target")
    if kinds[wanted.target] == NUMBER:
        target, y = of_numbers(wanted.target, targets, wanted.task, where)
    else:
        target, y = of_texts(wanted.target, kept.of_target.values, targets, wanted.task, where)
    uses = _uses(y, target, wanted, source)
    if target.labels is None and wanted.standardise_target:
        trained = y[uses == TRAIN]
        target.mean, target.scale = float(trained.mean()), float(trained.std()) or 1.0
    y = (y - target.mean) / target.scale if target.labels is None else y
    _learn(kept, columns, uses == TRAIN, source)
    places = np.empty(len(y), np.int64)
    places[np.argsort(uses, kind="stable")] = np.arange(len(y))
    by_place = np.empty(len(y), np.int32 if target.labels else wanted.dtype)
    by_place[places] = y
    n_train, n_validation, n_test = (int((uses == use).sum()) for use in (TRAIN, VALIDATION, TEST))
    X = _matrix(kept, columns, places, np.dtype(wanted.dtype))
    return Data(X, by_place, columns, target, kept.left_out, (n_train, n_validation, n_test))


def _keep(part: Part, source: Source, columns: Columns, wanted: Wanted, kept: Kept) -> None:
    """Keep a part's rows, those without a target left out."""
    numbers = np.empty((part.n_rows, len(columns.numbers)))
    for place, number in enumerate(columns.numbers):
        values = part.numbers[number.name]
        check_finite(values, number.name, part, source)
        numbers[:, place] = values
    codes = np.empty((part.n_rows, len(columns.categories)), np.int32)
    for place, column in enumerate(columns.categories):
        codes[:, place] = kept.texts[place].join(part.texts[column.name])
        _check_categories(column.name, kept.texts[place].values, source, wanted)
    if wanted.target in part.texts:
        targets: Array = kept.of_target.join(part.texts[wanted.target])
        known = targets >= 0
    else:
        targets = part.numbers[wanted.target]
        check_finite(targets, wanted.target, part, source)
        known = ~np.isnan(targets)
    kept.has_number |= ~np.isnan(numbers).all(axis=0)
    if not kept.targets:
        kept.moments.learn(numbers)
    numbers -= kept.moments.mean
    numbers /= kept.moments.scale
    kept.numbers.append(numbers[known].astype(wanted.dtype))
    kept.codes.append(codes[known])
    kept.targets.append(targets[known])
    kept.left_out += int(part.n_rows - known.sum())


def _check_categories(name: str, values: list[str], source: Source, wanted: Wanted) -> None:
    if len(values) > wanted.most_categories:
        raise TableError(
            f"{source.path}, column {name!r}: more than {wanted.most_categories} different texts, such as "
            f'{shown(values[:2])}; leave it out with --drop "{name}", or allow more with --most-categories'
        )


def _check_values(kept: Kept, columns: Columns, source: Source) -> None:
    """Raise TableError where a column has no values."""
    has_value = [*kept.has_number, *(bool(joined.places) for joined in kept.texts)]
    for column, has in zip(columns.all, has_value, strict=True):
        if not has:
            _refuse_empty(column.name, source, "not one value")


def _uses(y: Array, target: Target, wanted: Wanted, source: Source) -> NDArray[np.int8]:
    """What each row is for."""
    random, uses = np.random.default_rng(wanted.seed), np.full(len(y), TRAIN, np.int8)
    for use, option, share in ((TEST, "--test", wanted.test), (VALIDATION, "--validation", wanted.validation)):
        if not share:
            continue
        left = np.flatnonzero(uses == TRAIN)
        try:
            out = held_out(share, len(left), None if target.labels is None else y[left], random)
        except ValueError:
            raise TableError(
                f"{source.path}: {option} {share:g} of {len(left)} rows holds out none, or all of a class; give more rows, "
                f"or {option} 0"
            ) from None
        uses[left[out]] = use
    return uses


def _learn(kept: Kept, columns: Columns, trains: NDArray[np.bool_], source: Source) -> None:
    """What the columns are, by the rows to train on alone: the others are for judging what was learnt."""
    ends = np.cumsum([len(part) for part in kept.numbers])
    parts = np.split(trains, ends[:-1])
    moments = Moments(len(columns.numbers))
    for numbers, of_part in zip(kept.numbers, parts, strict=True):
        moments.learn(numbers[of_part])
    first = kept.moments
    for place, number in enumerate(columns.numbers):
        number.mean = float(first.mean[place] + first.scale[place] * moments.mean[place])
        number.scale = float(first.scale[place] * moments.scale[place])
        number.missing = int(trains.sum() - moments.count[place])
        if not moments.count[place]:
            _refuse_empty(number.name, source, "not one value in the rows to train on")
    for place, column in enumerate(columns.categories):
        values, counts = kept.texts[place].values, np.zeros(len(kept.texts[place].values) + 1, np.int64)
        for codes, of_part in zip(kept.codes, parts, strict=True):
            # What is missing, -1, is counted in the last place.
            np.add.at(counts, codes[of_part, place], 1)
        column.values = sorted(value for value, count in zip(values, counts, strict=False) if count)
        column.missing = int(counts[-1])
        if not column.values:
            _refuse_empty(column.name, source, "not one value in the rows to train on")


def _refuse_empty(name: str, source: Source, problem: str) -> None:
    raise TableError(f'{source.path}, column {name!r}: {problem}; leave it out with --drop "{name}"')


def _matrix(kept: Kept, columns: Columns, places: Array, dtype: np.dtype[Any]) -> Array:
    """The rows in their places; `kept` is empty afterwards."""
    factor, shift = np.empty((2, len(columns.numbers)), dtype)
    for place, number in enumerate(columns.numbers):
        factor[place] = kept.moments.scale[place] / number.scale
        shift[place] = (kept.moments.mean[place] - number.mean) / number.scale
    places_of = [column.places(joined.values) for column, joined in zip(columns.categories, kept.texts, strict=True)]
    X = np.empty((len(places), columns.width), dtype)
    # From the last to the first: a list lets go of its last.
    end = len(places)
    while kept.numbers:
        numbers, codes = kept.numbers.pop(), kept.codes.pop()
        numbers *= factor
        numbers += shift
        rows = np.empty((len(numbers), columns.width), dtype)
        columns.fill(rows, numbers, [to[codes[:, place]] for place, to in enumerate(places_of)])
        X[places[end - len(rows) : end]] = rows
        end -= len(rows)
    return X
