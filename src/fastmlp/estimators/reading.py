"""How the estimators take samples: checked by scikit-learn, brought into the form that the engines take, split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastmlp.estimators.tables import Table, are_ready_targets
from fastmlp.inputs import is_ready, surely_finite
from fastmlp.targets import Kind, check_total_weight
from fastmlp.validation import Held

Array = NDArray[Any]
DTYPES = (np.float64, np.float32)
# What reading learns.
LEARNT = ("classes_", "_label_binarizer", "n_features_in_", "feature_names_in_")


class Reading(BaseEstimator):
    """The part of the estimators that reads; the classifier and the regressor say what their targets are."""

    _y_numeric = False
    _held_rows: tuple[Any, NDArray[np.intp], NDArray[np.intp]] | None = None

    def _learn_targets(self, y: Any, incremental: bool) -> None:
        """Take note of the labels, or refuse what cannot be learnt."""
        raise NotImplementedError

    def _check_known(self, y: Any) -> None:
        """Refuse targets that are not of the kind learnt."""
        raise NotImplementedError

    def _kind(self, n_outputs: int) -> Kind:
        """What is predicted, of targets with so many columns."""
        raise NotImplementedError

    def _encoded(self, y: Array, kind: Kind, dtype: np.dtype[Any]) -> Array:
        """The targets as the engines take them."""
        raise NotImplementedError

    def _class_weights(self, y: Any, incremental: bool) -> Array | None:
        """A weight for each sample by its class, if classes have any."""
        raise NotImplementedError

    def _read(self, X: Any, y: Any, sample_weight: Any, first: bool, incremental: bool) -> Table:
        """Let scikit-learn check the samples, and bring them into the form that the engines take."""
        X, y = self._checked_samples(X, y, first)
        self._learn_targets(y, incremental)
        return self._table(X, y, sample_weight, self._class_weights(y, incremental))

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Leave the labels and names of features as they were where something is refused."""
        before = {name: vars(self)[name] for name in LEARNT if name in vars(self)}
        try:
            yield
        except BaseException:
            for name in LEARNT:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise

    def _read_validation(self, X: Any, y: Any, sample_weight: Any, table: Table) -> Held | None:
        """The samples given to validate with, if any; of the kind of those to train on."""
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val belong together, and sample_weight_val to them; give both, or none.")
        X, y = self._checked_samples(X, y, False, table.X.dtype)
        self._check_known(y)
        given = self._table(X, y, sample_weight, None)
        if given.kind.n_outputs != table.kind.n_outputs:
            raise ValueError(f"y_val has {given.kind.n_outputs} outputs, but y has {table.kind.n_outputs}; give the same.")
        return given.held()

    def _is_ready(self, X: Any) -> bool:
        """Whether scikit-learn's checks, which take as long as an update of a small net, could find and change nothing."""
        if type(X) is not np.ndarray or X.dtype not in DTYPES or not is_ready(X, X.dtype):
            return False
        return (
            X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
            and surely_finite(X)
        )

    def _checked_samples(self, X: Any, y: Any, reset: bool, dtype: Any = DTYPES) -> tuple[Any, Any]:
        if (
            not reset
            and are_ready_targets(y, self._y_numeric)
            and self._is_ready(X)
            and len(X) == len(y)
            and dtype in (DTYPES, X.dtype)
        ):
            return X, y
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=self._y_numeric, dtype=dtype, reset=reset
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _table(self, X: Any, y: Any, sample_weight: Any, class_weights: Array | None) -> Table:
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if class_weights is not None:
            with np.errstate(over="ignore"):
                weights = class_weights.astype(X.dtype) if weights is None else weights * class_weights.astype(X.dtype)
        y = y.toarray() if issparse(y) else y
        kind = self._kind(1 if y.ndim == 1 else y.shape[1])
        if not self._y_numeric and (y.ndim == 1) != (kind.classes is not None):
            wanted = "one label" if kind.classes is not None else "a row of 0 and 1"
            raise ValueError(f"y has shape {y.shape}, but the net was trained on {wanted} for each sample; give the same.")
        table = Table(X, y, self._encoded(y, kind, X.dtype), weights, kind)
        if table.total_weight is not None:
            check_total_weight(table.total_weight, X.dtype)
        return table

    def _split(self, table: Table) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The rows to train on and those held out, the same again in later fits of as many samples."""
        asked = (table.n_samples, self.validation_fraction)
        if self._held_rows is None or self._held_rows[0] != asked:
            stratify = table.targets.astype(bool) if table.kind.classes is not None and table.kind.n_outputs == 1 else None
            rows, held_rows = train_test_split(
                np.arange(table.n_samples), random_state=self._random_state, test_size=asked[1], stratify=stratify
            )
            if len(held_rows) < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
            self._held_rows = (asked, rows, held_rows)
        return self._held_rows[1:]
