"""The column that is to be predicted: classes, or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import Array, shown
from fastmlp.inputs import ROWS_AT_ONCE

CLASSIFICATION, REGRESSION = "classification", "regression"
TASKS = (CLASSIFICATION, REGRESSION)
# Whole numbers of so few values are taken for classes.
MOST_CLASSES = 20


@dataclass
class Target:
    """What a net predicts: one of `labels`, or a number that was standardised by mean and scale."""

    name: str
    labels: list[Any] | None = None
    mean: float = 0.0
    scale: float = 1.0

    @property
    def task(self) -> str:
        """Classification or regression."""
        return REGRESSION if self.labels is None else CLASSIFICATION

    @property
    def classes(self) -> Array:
        """The labels as an array of texts or of numbers."""
        return np.array(self.labels)

    def as_json(self) -> dict[str, Any]:
        """All of it in numbers, texts and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Target:
        """What :meth:`as_json` gave."""
        return cls(**content)


def of_texts(name: str, values: list[str], codes: Array, task: str | None, where: str) -> tuple[Target, Array]:
    """The target, and class numbers of rows that hold the texts of these places.

    Raises
    ------
    TableError
        If there is one class alone, or the task needs numbers.
    """
    if task == REGRESSION:
        raise TableError(f"{where}: holds texts, such as {values[0]!r}; regression needs numbers")
    labels, places = np.unique(np.array(values), return_inverse=True)
    return Target(name, _checked(labels.tolist(), len(codes), where)), places[codes]


def of_numbers(name: str, values: Array, task: str | None, where: str) -> tuple[Target, Array]:
    """The target, and class numbers of the rows or the numbers as they are.

    Whole numbers of at most 20 values, each twice on average, are classes, unless the task says otherwise.

    Raises
    ------
    TableError
        If all numbers are the same, or there are more classes than rows can tell.
    """
    # Some rows at a time: sorting them all takes a multiple of their memory.
    parts = [np.unique(values[start : start + ROWS_AT_ONCE]) for start in range(0, len(values), ROWS_AT_ONCE)]
    found = np.unique(np.concatenate(parts))
    is_whole = bool((found == np.rint(found)).all())
    if task is None:
        few = len(found) <= min(MOST_CLASSES, max(2, len(values) // 2))
        task = CLASSIFICATION if is_whole and few else REGRESSION
    if task == REGRESSION:
        if len(found) < 2:
            raise TableError(f"{where}: all values are {found[0]:g}; there is nothing to be learnt")
        return Target(name), values
    labels = _checked([int(value) if is_whole else float(value) for value in found], len(values), where)
    return Target(name, labels), np.searchsorted(found, values).astype(np.int32)


def _checked(labels: list[Any], n_rows: int, where: str) -> list[Any]:
    if len(labels) < 2:
        raise TableError(f"{where}: all rows are of one class, {shown(labels)}; give rows of at least two")
    if len(labels) > max(2, n_rows // 2):
        instead = "give another --target" if isinstance(labels[0], str) else "give --task regression, or another --target"
        raise TableError(f"{where}: {len(labels):,} different values in {n_rows:,} rows are no classes; {instead}")
    return labels
