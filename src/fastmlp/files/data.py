"""A whole table as a net takes it: one matrix, whose rows are those to train on, then to validate with, then to test on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmlp.files.columns import MOST_CATEGORIES, Columns, check_finite
from fastmlp.files.errors import TableError
from fastmlp.files.kept import BLOCK_BYTES, Joined, Kept, Rows
from fastmlp.files.parts import NUMBER, Array, Part, Report, Source
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
    # Where outputs are exponentials the target stays as it is.
    standardise_target: bool = True
    validation: float = 0.0
    test: float = 0.0
    most_categories: int = MOST_CATEGORIES
    dtype: str = "float32"
    seed: int = 0


def read(source: Source, kinds: Mapping[str, str], wanted: Wanted, report: Report) -> Data:
    """Read the table, choose the rows to hold out, and learn from the others what the columns are.

    Beside the matrix and what is read at once it needs no memory to speak of: what was kept of the table is let go of while
    the matrix grows.

    Raises
    ------
    TableError
        If the table is not what can be learnt from; the message says where, and the remedy.
    """
    columns = Columns.of({name: kind for name, kind in kinds.items() if name != wanted.target})
    if not columns.kinds:
        raise TableError(f"{source.path}: there is no column beside the target {wanted.target!r}; give at least one")
    kept = Kept(columns, source, wanted.dtype, wanted.most_categories)
    is_number, of_target, left_out = kinds[wanted.target] == NUMBER, Joined(), 0
    targets = Rows(1, np.float64 if is_number else np.int32, BLOCK_BYTES // 8)
    for part in source.parts(kinds, report):
        found, known = _targets(part, source, wanted.target, of_target)
        kept.keep(part, known)
        targets.append(found[known, np.newaxis])
        left_out += int(part.n_rows - known.sum())
    target, y = _target(targets.joined()[:, 0], of_target, wanted, source)
    kept.check_values()
    uses = _uses(y, target, wanted, source)
    if target.labels is None:
        y = _standardised(y, uses == TRAIN, target, wanted)
    kept.learn(uses == TRAIN)
    places = np.empty(len(y), np.int32)
    places[np.argsort(uses, kind="stable")] = np.arange(len(y), dtype=np.int32)
    by_place = np.empty(len(y), np.int32 if target.labels else wanted.dtype)
    by_place[places] = y
    n_train, n_validation, n_test = (int((uses == use).sum()) for use in (TRAIN, VALIDATION, TEST))
    return Data(kept.matrix(places), by_place, columns, target, left_out, (n_train, n_validation, n_test))


def _targets(part: Part, source: Source, name: str, of_target: Joined) -> tuple[Array, NDArray[np.bool_]]:
    """A part's targets, texts as their places, and which rows have one."""
    if name in part.texts:
        codes = of_target.join(part.texts[name])
        return codes, codes >= 0
    numbers = part.numbers[name]
    check_finite(numbers, name, part, source)
    return numbers, ~np.isnan(numbers)


def _target(values: Array, of_target: Joined, wanted: Wanted, source: Source) -> tuple[Target, Array]:
    where = f"{source.path}, column {wanted.target!r}"
    if not len(values):
        raise TableError(f"{where}: the target is missing in every row; give another --target")
    if values.dtype == np.float64:
        return of_numbers(wanted.target, values, wanted.task, where)
    return of_texts(wanted.target, of_target.values, values, wanted.task, where)


def _standardised(y: Array, trains: NDArray[np.bool_], target: Target, wanted: Wanted) -> Array:
    """Numbers less the mean of those trained on, by their standard deviation, both of which the target keeps."""
    if wanted.standardise_target:
        target.mean, target.scale = float(y[trains].mean()), float(y[trains].std()) or 1.0
    return (y - target.mean) / target.scale


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
                "or --test 0 --validation 0"
            ) from None
        uses[left[out]] = use
    return uses
