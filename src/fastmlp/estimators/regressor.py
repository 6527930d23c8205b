"""The regressor."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from fastmlp.estimators.base import BasePerceptron
from fastmlp.estimators.conventions import keep
from fastmlp.estimators.documented import documented
from fastmlp.loop import Callback
from fastmlp.options import Loss
from fastmlp.schedules import AnySchedule
from fastmlp.targets import Kind
from fastmlp.validation import Metric

Array = NDArray[Any]
LOSSES = ("squared_error", "poisson", "absolute_error", "huber", "quantile")


@documented
class MLPRegressor(RegressorMixin, BasePerceptron):
    """Multi-layer perceptron regressor: scikit-learn's, trained by compiled kernels.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"}, default="squared_error"
        What is minimised, summed over the outputs: half the square, half the Poisson deviance of exp outputs (for counts
        and rates from 0 on); beyond scikit-learn's also the absolute, the Huber and the quantile (pinball) loss.
    {parameters}

    The following are beyond scikit-learn's.

    delta : float, default=1.0
        Where the Huber loss turns from a square to a line.
    quantile : float, default=0.5
        What the quantile loss estimates.
    {extras}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from fastmlp import MLPRegressor
    >>> X, y = make_friedman1(200, noise=0.1, random_state=0)
    >>> MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", max_iter=2000, random_state=1).fit(X, y).score(X, y) > 0.98
    True
    """

    _parameter_constraints = {  # noqa: RUF012 (scikit-learn's way)
        **BasePerceptron._parameter_constraints,
        "loss": [StrOptions(set(LOSSES))],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }
    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
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
        delta: float = 1.0,
        quantile: float = 0.5,
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
    ) -> MLPRegressor:
        """Fit the net.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
            float32 is trained on in float32, all else in float64.
        y : array-like (n_samples,) or (n_samples, n_outputs)
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
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Train for one epoch on these samples.

        Parameters
        ----------
        X, y, sample_weight : as for ``fit``

        Raises
        ------
        ValueError
            If an argument is not what it must be, or the weights would no longer be finite: then they stay as they were.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> Array:
        """The values (n_samples,), or (n_samples, n_outputs) of several outputs.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        """
        net, outputs = self._outputs(X)
        return net._predicted(outputs)

    def _learn_targets(self, y: Array, incremental: bool) -> None:
        self._check_known(y)

    def _check_known(self, y: Array) -> None:
        """Raise ValueError where the loss cannot take the targets."""
        if y.dtype.kind not in "iubf":
            raise ValueError(f"y holds {y.dtype} values, which are no numbers; give numbers, or use MLPClassifier.")
        if self.loss == "poisson" and np.min(y) < 0:
            raise ValueError("Some value(s) of y are out of the valid range of the loss 'poisson', which takes y >= 0.")

    def _kind(self, n_outputs: int) -> Kind:
        return Kind(Loss[self.loss.upper()], n_outputs, None, n_outputs == 1)

    def _encoded(self, y: Array, kind: Kind, dtype: np.dtype[Any]) -> Array:
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(y.reshape(len(y), -1), dtype)
        if not np.isfinite(values).all():
            raise ValueError(f"y holds values too large for {dtype}: scale y, or give X as float64.")
        return values

    def _class_weights(self, y: Array, incremental: bool) -> None:
        return None
