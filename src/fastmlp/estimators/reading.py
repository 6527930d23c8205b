"""How the estimators take samples: checked by scikit-learn, brought into the form that the engines take, split."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastmlp.checks import as_array, as_numbers, refuse_masked
from fastmlp.estimators.tables import Table, are_ready_targets
from fastmlp.inputs import check_total_weight, is_ready, lengths_differ, require_numbers, require_room, surely_finite
from fastmlp.label_kinds import kind_of_labels
from fastmlp.targets import Kind
from fastmlp.validation import Held

Array = NDArray[Any]
DTYPES = (np.float64, np.float32)
# What reading learns.
LEARNT = ("classes_", "_label_binarizer", "n_features_in_", "feature_names_in_")


@contextmanager
def telling(name: str, other: str | None = None, check: Callable[[], Any] | None = None) -> Iterator[None]:
    """Name the argument, where scikit-learn's message does not: the `other`, if there is one and the `check` passes."""
    try:
        # What NumPy would warn of is told as an error.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        if isinstance(error, TypeError | ValueError) and re.search(rf"\b({name}|{other or name})\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name if other is None or not _passes(check) else other}: {error}") from error


def _passes(check: Callable[[], Any] | None) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check is None or check() is not None
        except Exception:
            return False


def check_form(name: str, X: Any, y: Any) -> None:
    """Raise TypeError or ValueError where targets have a length or a form that scikit-learn's checks are no match for."""
    if lengths_differ(X, y):
        check_consistent_length(X, y)
    refuse_masked(name, y)
    if issparse(y) and y.ndim == 1:
        raise TypeError(f"{name} is sparse and has one dimension; give {name}.toarray()")


@contextmanager
def only_numbers(X: Any) -> Iterator[None]:
    """Refuse what scikit-learn, which has the first word, takes for numbers and is none: digits, dates, masked values."""
    require_room(X)
    refusal = None
    try:
        if not issparse(X):
            refuse_masked("X", X)
            require_numbers(X)
    except (TypeError, ValueError) as error:
        refusal = error
    if refusal is None:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    raise refusal


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
        with telling("y"):
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
        X, y = self._checked_samples(X, y, False, table.X.dtype, ("X_val", "y_val"))
        with telling("y_val"):
            self._check_known(y)
        given = self._table(X, y, sample_weight, None, "_val")
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

    def _checked_features(self, X: Any) -> Any:
        """X, dense or sparse, to predict for."""
        with telling("X"), only_numbers(X):
            return validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)

    def _checked_samples(
        self, X: Any, y: Any, reset: bool, dtype: Any = DTYPES, names: tuple[str, str] = ("X", "y")
    ) -> tuple[Any, Any]:
        if (
            not reset
            and not lengths_differ(X, y)
            and are_ready_targets(y, self._y_numeric)
            and self._is_ready(X)
            and len(X) == len(y)
            and dtype in (DTYPES, X.dtype)
        ):
            return X, y
        form: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": dtype}
        given, name = y, names[1]
        with telling(*names, lambda: check_array(X, **form)), only_numbers(X):
            check_form(name, X, y)
            X, y = validate_data(self, X, y, multi_output=True, y_numeric=self._y_numeric, reset=reset, **form)
            if not issparse(given):
                self._refuse_targets(name, given, as_array(name, given))
            return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _refuse_targets(self, name: str, y: Any, array: Array) -> None:
        """Raise TypeError where scikit-learn takes for targets what are none: digits, times, labels of several types."""
        if not self._y_numeric:
            kind_of_labels(name, y, array)
        elif array.dtype.kind == "O":
            as_numbers(array)

    def _table(self, X: Any, y: Any, sample_weight: Any, class_weights: Array | None, ending: str = "") -> Table:
        """The samples as the engines take them; messages put the `ending` behind the names of arguments."""
        weights, name = None, f"sample_weight{ending}"
        if sample_weight is not None:
            with telling(name):
                refuse_masked(name, sample_weight)
                weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
                as_numbers(as_array(name, sample_weight))
        elif class_weights is not None:
            name = "class_weight"
        if class_weights is not None:
            with np.errstate(over="ignore"):
                weights = class_weights.astype(X.dtype) if weights is None else weights * class_weights.astype(X.dtype)
        y = y.toarray() if issparse(y) else y
        kind = self._kind(1 if y.ndim == 1 else y.shape[1])
        if not self._y_numeric and (y.ndim == 1) != (kind.classes is not None):
            wanted = "one label" if kind.classes is not None else "a row of 0 and 1"
            raise ValueError(f"y has shape {y.shape}, but the net was trained on {wanted} for each sample; give the same.")
        with telling(f"y{ending}"):
            table = Table(X, y, self._encoded(y, kind, X.dtype), weights, kind)
        if table.total_weight is not None:
            check_total_weight(table.total_weight, X.dtype, name)
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
