"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from fastmlp.checks import as_array, as_float
from fastmlp.estimators.base import BasePerceptron
from fastmlp.estimators.conventions import keep
from fastmlp.estimators.documented import documented
from fastmlp.estimators.reading import check_form, telling
from fastmlp.label_kinds import kind_of_labels
from fastmlp.loop import Callback
from fastmlp.options import Loss
from fastmlp.schedules import AnySchedule
from fastmlp.targets import Kind
from fastmlp.validation import Metric

Array = NDArray[Any]


def _check_classes(classes: Any) -> None:
    """Raise TypeError or ValueError where they are no labels."""
    labels = as_array("classes", classes)
    kind_of_labels("classes", classes, labels)
    if labels.ndim != 1 or not labels.size:
        raise ValueError(f"classes has shape {labels.shape}; give all labels, one after the other.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("classes holds NaN or infinity; give labels that are finite.")


@documented
class MLPClassifier(ClassifierMixin, BasePerceptron):
    """Multi-layer perceptron classifier: scikit-learn's, trained by compiled kernels.

    It minimises the cross-entropy: of softmax outputs for more than two classes, of one logistic output for two, of a
    logistic output for each label of a 0/1 matrix.

    Parameters
    ----------
    {parameters}

    The following are beyond scikit-learn's.

    class_weight : dict, "balanced", list of dicts or None, default=None
        How much the samples of each class count, beside their own weights.
    label_smoothing : float, default=0.0
        The share of each target that is spread evenly over the classes.
    {extras}

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    {attributes}

    Notes
    -----
    {notes}

    Samples of a single class give one column of probabilities.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from fastmlp import MLPClassifier
    >>> X, y = make_moons(200, noise=0.20, random_state=0)
    >>> MLPClassifier((20, 20), solver="lbfgs", max_iter=1000, random_state=1).fit(X, y).score(X, y)
    1.0
    """

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's way)
        **BasePerceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="both")],
    }
    # scikit-learn's name for it.
    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: AnySchedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Mapping[Any, float] | str | list[Mapping[Any, float]] | None = None,
        label_smoothing: float = 0.0,
        l1: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        weight_decay: float = 0.01,
        rho: float = 0.99,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        max_grad_norm: float | None = None,
        metric: Metric | None = None,
        callback: Callback | None = None,
        n_jobs: int | None = None,
    ) -> None:
        keep(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Fit the net.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
            float32 is trained on in float32, all else in float64.
        y : array-like (n_samples,) of labels, or (n_samples, n_labels) of 0 and 1
        sample_weight : array-like (n_samples,) or None
            How much each sample counts.
        X_val, y_val, sample_weight_val : like the first three, or None
            Samples to validate with after each epoch; with `early_stopping` no others are held out.

        Raises
        ------
        ValueError
            If an argument is not what it must be, or the weights are no longer finite.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @available_if(BasePerceptron._is_stochastic)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> MLPClassifier:
        """Train for one epoch on these samples.

        Parameters
        ----------
        X, y, sample_weight : as for ``fit``
        classes : array-like (n_classes,)
            All labels there will be; needed by the first call alone.

        Raises
        ------
        ValueError
            If an argument is not what it must be, or the weights would no longer be finite: then they stay as they were.
        """
        with (
            self._undone_on_error(),
            telling("classes", "y", lambda: classes is None or unique_labels(classes)),
        ):
            check_form("y", X, y)
            if classes is not None and not hasattr(self, "classes_"):
                _check_classes(classes)
            if _check_partial_fit_first_call(self, classes):
                labels = y if type_of_target(y).startswith("multilabel") else classes
                self._label_binarizer = LabelBinarizer().fit(labels)
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Any:
        """The most probable class of each sample, or the labels with a probability above one half.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,), or (n_samples, n_labels) of 0 and 1: sparse if such were the labels in training
        """
        net, outputs = self._outputs(X)
        labels = net._predicted(outputs)
        return csr_matrix(labels) if self._label_binarizer.sparse_input_ else labels

    def predict_proba(self, X: Any) -> Array:
        """Class probabilities (n_samples, n_classes), in the order of ``classes_``.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        """
        net, outputs = self._outputs(X)
        return np.asarray(net._probabilities(outputs))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of class probabilities (n_samples, n_classes).

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _learn_targets(self, y: Any, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif self.warm_start:
            classes = unique_labels(y)
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                    f"got {self.classes_}, `y` has {classes}"
                )
        else:
            self._check_known(y)

    def _check_known(self, y: Any) -> None:
        """Raise ValueError where there are other labels than in training."""
        known = self.classes_
        # Some hundred microseconds less for each batch of labels that lie as the known ones do.
        alike = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind == known.dtype.kind != "O"
        if alike and np.array_equal(known.take(np.searchsorted(known, y), mode="clip"), y):
            return
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, known, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. 'y' has {classes}.")

    def _kind(self, n_outputs: int) -> Kind:
        target = self._label_binarizer.y_type_
        if target == "multiclass":
            return Kind(Loss.CROSS_ENTROPY, len(self.classes_), self.classes_, True)
        if target == "binary":
            return Kind(Loss.BINARY_CROSS_ENTROPY, 1, self.classes_, True)
        return Kind(Loss.BINARY_CROSS_ENTROPY, n_outputs, None, False)

    def _encoded(self, y: Array, kind: Kind, dtype: np.dtype[Any]) -> Array:
        if kind.classes is None:
            return np.asarray(y != 0, dtype)
        if len(kind.classes) == 1:
            return np.zeros((len(y), 1), dtype)
        return np.asarray(np.searchsorted(kind.classes, y), dtype)[:, np.newaxis]

    def _class_weights(self, y: Array, incremental: bool) -> Array | None:
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all samples; give a dict of "
                "weights, such as compute_class_weight('balanced', classes=classes, y=y) finds."
            )
        if isinstance(self.class_weight, dict) and y.ndim == 1:
            # A batch need not have all classes.
            labels = self.classes_.tolist()
            if not self.class_weight.keys() <= set(labels):
                raise ValueError(f"class_weight={self.class_weight!r} has labels that y has not; those are {labels}.")
            with telling("class_weight"):
                by_class = np.array([as_float(self.class_weight.get(label, 1.0)) for label in labels])
            weights = by_class[np.searchsorted(self.classes_, y)]
        else:
            with telling("class_weight"):
                weights = np.asarray(compute_sample_weight(self.class_weight, y), np.float64)
        if not (np.isfinite(weights).all() and weights.min() >= 0):
            raise ValueError(f"class_weight={self.class_weight!r}: give finite weights from 0 on.")
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
