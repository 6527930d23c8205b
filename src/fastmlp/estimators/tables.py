"""Samples that scikit-learn has checked, dense or sparse, on their way to the engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastmlp.batches import InMemory, Orders, Streamed
from fastmlp.initialise import Random
from fastmlp.inputs import surely_finite
from fastmlp.targets import Kind, smoothed
from fastmlp.validation import Held, is_read_in_parts

Array = NDArray[Any]


class SparseRows:
    """A sparse matrix whose rows are made dense when they are asked for."""

    def __init__(self, matrix: Any) -> None:
        self._matrix, self.shape, self.dtype = matrix.tocsr(), matrix.shape, matrix.dtype

    def __getitem__(self, rows: Any) -> Array:
        return np.asarray(self._matrix[rows].toarray())


def dense(X: Any) -> Array:
    """Rows in C order."""
    return np.ascontiguousarray(X.toarray() if issparse(X) else X)


def are_ready_targets(y: Any, numeric: bool) -> bool:
    """Whether targets are finite numbers or, unless `numeric`, labels, one for each sample, in an array."""
    if type(y) is not np.ndarray or y.ndim != 1:
        return False
    kind = y.dtype.kind
    return kind in "iub" or (kind == "U" and not numeric) or (kind == "f" and surely_finite(y))


@dataclass
class Table:
    """Samples: X dense or sparse, y as given, targets and weights as the engines take them."""

    X: Any
    y: Array
    targets: Array
    weights: Array | None
    kind: Kind

    @property
    def n_samples(self) -> int:
        """How many there are."""
        return int(self.X.shape[0])

    @property
    def total_weight(self) -> float | None:
        """The sum of the weights, if there are any."""
        with np.errstate(over="ignore"):
            return None if self.weights is None else float(self.weights.sum(dtype=np.float64))

    def rows(self, numbers: NDArray[np.intp]) -> Table:
        """Some of the samples."""
        X = self.X.tocsr() if issparse(self.X) else self.X
        weights = None if self.weights is None else self.weights[numbers]
        return Table(X[numbers], self.y[numbers], self.targets[numbers], weights, self.kind)

    def weighted(self, targets: Array) -> Array:
        """Targets with the weights, if there are any, behind them."""
        return targets if self.weights is None else np.column_stack([targets, self.weights])

    def batches(self, size: int, epochs: int, random: Random | None, label_smoothing: float = 0.0) -> InMemory | Streamed:
        """The samples batch by batch; `random` shuffles them. What is sparse is dense a few batches at a time."""
        y = self.weighted(smoothed(self.targets, self.kind.loss, label_smoothing))
        orders = Orders(random if size < self.n_samples else None, self.n_samples)
        if issparse(self.X) and size < self.n_samples:
            return Streamed(SparseRows(self.X), y, orders, size, epochs)
        return InMemory(dense(self.X), y, orders, size, epochs)

    def held(self) -> Held:
        """The samples as ones to validate with."""
        if self.total_weight == 0:
            raise ValueError("sample_weight: those to validate with have no weight; give others, or another random_state.")
        y = self.weighted(self.targets)
        if issparse(self.X) and is_read_in_parts(self.n_samples):
            return Held(SparseRows(self.X), np.arange(self.n_samples), y, self.y, self.weights)
        return Held(dense(self.X), None, y, self.y, self.weights)
