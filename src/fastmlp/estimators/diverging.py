"""Why an estimator's training diverged, in scikit-learn's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastmlp.divergence import EXTREME_ROWS, ROWS, Case, Names, cause_of, some_of
from fastmlp.estimators.tables import Table, dense
from fastmlp.kernels.run import Run
from fastmlp.options import Problem, Snapshot
from fastmlp.scales import warn_of_wild_scales, warn_of_wild_targets

Array = NDArray[Any]
NAMES = Names(
    "learning_rate_init", "alpha", "put a StandardScaler before the net", "put it into a TransformedTargetRegressor"
)


def warn_of_scales(table: Table) -> None:
    """Warn where X, unless it is sparse, or y are of scales that a net learns badly from."""
    if not issparse(table.X):
        warn_of_wild_scales(table.X)
    warn_of_wild_targets(table.targets, table.kind.loss)


def why_diverged(
    problem: Problem,
    start: Snapshot,
    table: Table,
    rates: Array,
    learning_rate: float,
    n_epochs: int,
    params: Array,
    first: bool,
) -> str:
    """The cause and the remedy, where `params` are those that the objective was not finite at, after so many epochs.

    `first` says whether the start weights were drawn.
    """
    weighted, X = table.weights is not None, table.X
    y = table.weighted(table.targets)
    if issparse(X):
        sizes = abs(X).max(axis=1).toarray().ravel()
        rows = np.unique([*np.argsort(sizes)[-EXTREME_ROWS:], *range(0, len(y), max(1, len(y) // ROWS))])
        X, y = dense(X[rows]), y[rows]
    case = Case(
        problem, Run, start, "" if first else "fitted", *some_of(X, y, weighted), weighted, rates, learning_rate, NAMES
    )
    return cause_of(case, n_epochs, 0 if n_epochs == 0 and np.array_equal(params, start.params) else 1)
