"""How well predictions agree with what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.files.parts import Array


@dataclass(frozen=True)
class OfClasses:
    """How many rows are right, how many would be if all were called by the commonest class, and which is taken for which.

    `confusion[i, j]` rows are of the class `labels[i]` and were taken for `labels[j]`.
    """

    labels: Sequence[Any]
    confusion: Array

    @classmethod
    def of(cls, labels: Sequence[Any], y_true: Array, y_predicted: Array) -> OfClasses:
        """Of class numbers."""
        confusion = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(confusion, (y_true, y_predicted), 1)
        return cls(labels, confusion)

    @property
    def n_rows(self) -> int:
        """Rows judged."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return float(np.trace(self.confusion) / self.n_rows)

    @property
    def without_a_net(self) -> float:
        """The share of the commonest class."""
        return float(self.confusion.sum(axis=1).max() / self.n_rows)


@dataclass(frozen=True)
class OfNumbers:
    """Coefficient of determination, mean absolute error and root of the mean squared one, in the target's units."""

    n_rows: int
    r2: float
    mean_absolute: float
    root_mean_square: float

    @classmethod
    def of(cls, y_true: Array, y_predicted: Array) -> OfNumbers:
        """Of numbers; R2 is NaN where all true ones are the same."""
        errors = y_predicted - y_true
        squares = float(np.square(y_true - y_true.mean()).sum())
        r2 = 1 - float(np.square(errors).sum()) / squares if squares else np.nan
        return cls(len(errors), r2, float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean())))


Score = OfClasses | OfNumbers


def score_of(labels: Sequence[Any] | None, y_true: Array, y_predicted: Array) -> Score:
    """Of class numbers if there are labels, else of numbers."""
    return OfNumbers.of(y_true, y_predicted) if labels is None else OfClasses.of(labels, y_true, y_predicted)
