"""A fitted net: its parameters, what it predicts, and how its training went."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.checks import as_array, as_numbers
from fastmlp.inputs import check_lengths, check_total_weight, finite_weights, in_parts, is_ready, require_finite
from fastmlp.label_kinds import kind_of_labels
from fastmlp.options import Activation, Loss

if TYPE_CHECKING:
    from fastmlp.state import TrainingState

# How a training may end.
STATUSES = (
    "finished", "stopped early", "stopped by callback", "out of time", "interrupted", "diverged", "converged", "eliminated",
)  # fmt: skip


# Of a power of 2 that is a float64 with room above it.
LARGEST_EXPONENT = 1000


def layers_of(params: NDArray[Any], sizes: Sequence[int]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """The weights (fan_in, fan_out) and the biases (fan_out,) of each layer, views of flat parameters."""
    weights, biases, start = [], [], 0
    for fan_in, fan_out in pairwise(sizes):
        weights.append(params[start : start + fan_in * fan_out].reshape(fan_in, fan_out))
        start += fan_in * fan_out
    for fan_out in sizes[1:]:
        biases.append(params[start : start + fan_out])
        start += fan_out
    return weights, biases


class Predictor:
    """What predicts by its outputs: a net, or several of them.

    Attributes
    ----------
    classes : ndarray or None
        The labels, sorted, in the order of `predict_proba`'s columns; None for regression and multilabel nets.
    flat_targets : bool
        Whether `y` had one dimension, so that `predict` returns one.
    """

    classes: NDArray[Any] | None
    flat_targets: bool

    @property
    def is_classifier(self) -> bool:
        """Whether classes or labels are predicted, not values."""
        raise NotImplementedError

    def _outputs(self, X: Any) -> NDArray[Any]:
        """The outputs (n_samples, n_outputs) after the output's activation."""
        raise NotImplementedError

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Class probabilities.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes) in the net's dtype
            Columns in the order of `classes`; for a multilabel net the probability of each label.

        Raises
        ------
        ValueError
            If the net is a regression net, or `X` has another number of columns than in training or is not finite.
        """
        if not self.is_classifier:
            raise ValueError("predict_proba: a regression net has no probabilities; use predict")
        return self._probabilities(self._outputs(X))

    def _probabilities(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """A column for each class, where two of them share an output too."""
        if self.classes is None or outputs.shape[1] > 1:
            return outputs
        if len(self.classes) == 1:
            return np.ones_like(outputs)
        return np.column_stack([1 - outputs, outputs])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class, the labels with a probability above one half, or the values.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray
            (n_samples,) labels of `classes`' dtype; (n_samples, n_labels) of 0 and 1 for a multilabel net; for a
            regression net values of the shape `y` had.

        Raises
        ------
        ValueError
            If `X` has another number of columns than in training or is not finite.
        """
        return self._predicted(self._outputs(X))

    def _predicted(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """What the outputs say."""
        if self.classes is not None:
            places = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(np.intp)
            # Nobody else holds them, and of many samples they are large.
            del outputs
            return np.asarray(self.classes.take(places, mode="clip"))
        if self.is_classifier:
            outputs = (outputs > 0.5).astype(np.int64)
        return outputs[:, 0] if self.flat_targets else outputs

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy, or for regression the coefficient of determination R2, averaged over the outputs.

        For multilabel nets a row counts as right when all its labels are.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
        y : array-like (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like (n_samples,) or None

        Raises
        ------
        TypeError, ValueError
            If `X` is not what the net was trained on, `y` is not of the kind that it predicts, one for each row and finite,
            or weights are not finite numbers from 0 on, one for each row and some above 0.
        """
        predicted = self.predict(X)
        wanted = self._checked_targets(y, predicted)
        if sample_weight is None:
            return self._scored(predicted, wanted, None)
        weights = finite_weights(sample_weight, len(predicted))
        with np.errstate(over="ignore"):
            check_total_weight(float(weights.sum()), weights.dtype)
        return self._scored(predicted, wanted, weights)

    def _checked_targets(self, y: ArrayLike, predicted: NDArray[Any]) -> NDArray[Any]:
        """Targets in the shape of the predictions, which they are of one kind with."""
        array = as_array("y", y)
        check_lengths(len(predicted), array.shape[0] if array.ndim else 0)
        if array.size != predicted.size:
            raise ValueError(f"y has shape {array.shape}, but the net predicts {predicted.shape}; give the same")
        kind, array = kind_of_labels("y", y, array), array.reshape(predicted.shape)
        if self.classes is not None:
            known = kind_of_labels("classes", self.classes, self.classes)
            if kind != known:
                raise TypeError(f"y holds {kind}, but the labels that the net knows are {known}; give the same")
            if array.dtype.kind != "f":
                return array
        try:
            with np.errstate(over="ignore"):
                values = as_numbers(array).astype(np.float64)
        except (TypeError, OverflowError):
            raise TypeError("y holds what is no number, but the net predicts numbers; give the same") from None
        if not np.isfinite(values).all():
            raise ValueError("y holds NaN or infinity: leave such rows out, of X and y alike")
        return array if self.is_classifier else values

    def _scored(self, predicted: NDArray[Any], wanted: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """The score of predictions; targets have their shape."""
        if self.is_classifier:
            right = predicted == wanted
            return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weights))
        return _r2(wanted.astype(np.float64), predicted.astype(np.float64), weights)


def _r2(wanted: NDArray[np.float64], predicted: NDArray[np.float64], weights: NDArray[Any] | None) -> float:
    """The coefficient of determination, averaged over the outputs."""
    # It has no unit: squares of what is large or small have room in this one, and a power of 2 changes no bit.
    unit = np.ldexp(1.0, min(LARGEST_EXPONENT, -int(np.frexp(np.abs(wanted).max())[1])))
    # Of a net that diverges predictions are far off: the score is -inf.
    with np.errstate(over="ignore"):
        wanted, predicted = wanted * unit, predicted * unit
        errors = np.average((wanted - predicted) ** 2, axis=0, weights=weights)
    spread = np.average((wanted - np.average(wanted, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    # As in scikit-learn: constant targets score 1 when met exactly, else 0.
    r2 = np.where(spread > 0, 1 - errors / np.where(spread > 0, spread, 1), np.where(errors > 0, 0.0, 1.0))
    return float(np.mean(r2))


@dataclass(eq=False)
class Network(Predictor):
    """A multi-layer perceptron as :func:`fastmlp.train` returns it.

    It can be pickled and copied, and training goes on from the twin as it would from the net; ``copy.copy`` shares the
    arrays, ``copy.deepcopy`` does not.

    Attributes
    ----------
    sizes : tuple of int
        Features, units of each hidden layer, outputs.
    activations : tuple of Activation
        One for each hidden layer.
    loss : Loss
        What was minimised; it decides the outputs' activation (softmax, logistic, exp or identity).
    params : ndarray, flat
        All weights, layer after layer, each (fan_in, fan_out) in C order, then all biases. `weights` and `biases` are
        views of it.
    classes : ndarray or None
        The labels, sorted, in the order of `predict_proba`'s columns; None for regression and multilabel nets.
    flat_targets : bool
        Whether `y` had one dimension, so that `predict` returns one.
    loss_curve : ndarray (n_epochs,)
        For each epoch the mean of its batches' objectives, weighted by their samples, each taken before its update,
        penalty included.
    validation_curve : ndarray (n_epochs,) or None
        The validation samples' loss after each epoch, without penalties, label smoothing and dropout; None without
        validation.
    validation_scores : ndarray (n_epochs,) or None
        Their score in the metric that chose the best epoch: the larger the better. With ``metric="loss"`` the loss with its
        sign changed.
    best_epoch : int or None
        The epoch, counted from 1, after which the parameters were these; None without validation.
    status : str
        How training ended: "finished", "stopped early", "stopped by callback", "out of time", "interrupted", "diverged", by
        L-BFGS "converged", or in a sweep's halving "eliminated".
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    params: NDArray[Any]
    classes: NDArray[Any] | None
    flat_targets: bool
    loss_curve: NDArray[Any]
    validation_curve: NDArray[Any] | None = None
    validation_scores: NDArray[Any] | None = None
    best_epoch: int | None = None
    status: str = "finished"
    # What a training that goes on from this net needs beside it.
    _training: TrainingState | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        names = ", ".join(activation.name.lower() for activation in self.activations)
        loss = f", loss {self.loss_curve[-1]:.6g}" if self.loss_curve.size else ""
        shape = "-".join(map(str, self.sizes))
        return f"<Network {shape} ({names or 'linear'}), {self.loss_curve.size} epochs{loss}>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: what the net was trained in and predicts in."""
        return self.params.dtype

    @property
    def is_classifier(self) -> bool:
        """Whether the net predicts classes or labels, not values."""
        return self.loss in (Loss.CROSS_ENTROPY, Loss.BINARY_CROSS_ENTROPY)

    @property
    def n_epochs(self) -> int:
        """Epochs the net was trained for."""
        return int(self.loss_curve.size)

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of each layer, (fan_in, fan_out); views of `params`."""
        return layers_of(self.params, self.sizes)[0]

    @property
    def biases(self) -> list[NDArray[Any]]:
        """The biases of each layer, (fan_out,); views of `params`."""
        return layers_of(self.params, self.sizes)[1]

    def _outputs(self, X: Any) -> NDArray[Any]:
        """The outputs (n_samples, n_outputs) after the output's activation."""
        # The quick way for those who predict row after row.
        if is_ready(X, self.params.dtype):
            return self._outputs_of(X)
        parts = [self._outputs_of(rows, first) for rows, first in in_parts(X, self.params.dtype)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _outputs_of(self, rows: NDArray[Any], first: int = 0) -> NDArray[Any]:
        """The outputs of rows as the kernels take them; messages count them from `first`."""
        if rows.shape[1] != self.sizes[0]:
            raise ValueError(f"X has {rows.shape[1]} columns, but the net was trained on {self.sizes[0]}; give the same")
        from fastmlp.kernels.run import predictor

        outputs, is_finite = predictor(self.sizes, self.activations, self.loss, rows.dtype).outputs(self.params, rows)
        if not is_finite:
            require_finite(rows, rows, None, first)
        return outputs

    def save(self, path: str | os.PathLike[str], *, training: bool = False) -> Path:
        """Write the net to a safetensors file, whole or not at all.

        Parameters
        ----------
        path : where; an existing file is replaced.
        training : whether to keep what another training needs to go on from this one as if there had been no end: the
            solver's state, that of the random numbers, the samples held out, the best net so far. The file grows by two to
            five times the parameters.

        Returns
        -------
        Path
            Where the file is.

        Raises
        ------
        TypeError
            If the labels are neither numbers, truth values nor strings, or the training's random numbers come from a bit
            generator that is not NumPy's own.
        ValueError
            If the `training` is wanted of a net that has none: one that diverged, or was loaded without. If the net is not
            what training makes, so that it could not be loaded again: parameters that are not finite, curves of other
            lengths.
        OSError
            If the file cannot be written; an existing one is then as it was.
        """
        from fastmlp.storage import save

        return save(self, path, training=training)

    def to_onnx(self, path: str | os.PathLike[str]) -> Path:
        """Write the net to an ONNX file, whole or not at all, for runtimes that know nothing of fastmlp.

        The model takes ``X`` (n_samples, n_features) in the net's dtype, for any number of samples, and does not look for
        NaN and infinity in it. Of a classifier it gives ``label`` and ``probabilities``, in the shapes of `predict` and
        `predict_proba`; of a regression net ``variable``, in that of `predict`. Integer labels are int64 there, or uint64
        where they need it; floats, truth values and strings stay what they are. It needs opset 13 alone, and runs in
        onnxruntime in float64 too.

        Parameters
        ----------
        path : where; an existing file is replaced.

        Returns
        -------
        Path
            Where the file is.

        Raises
        ------
        ImportError
            If onnx is not installed: ``pip install "fastmlp[onnx]"``.
        TypeError
            If the labels are neither numbers, truth values nor strings, or of several types.
        ValueError
            If labels do not fit into 64 bits or are no Unicode text, or the parameters do not fit into 2 GiB.
        OSError
            If the file cannot be written; an existing one is then as it was.
        """
        from fastmlp.export import to_onnx

        return to_onnx(self, path)

    def to_sklearn(self) -> Any:
        """The net as a fitted estimator of scikit-learn's own, ``MLPClassifier`` or ``MLPRegressor``.

        It predicts the same but for rounding; a softmax of two classes becomes the one logistic output that scikit-learn
        has for two. How to train is no part of a net: those parameters have scikit-learn's defaults, and ``set_params``
        changes them before a ``partial_fit``, or a ``fit`` with ``warm_start``, goes on from the net.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            With a copy of the parameters.

        Raises
        ------
        ValueError
            If scikit-learn cannot express the net: it has relu, tanh, logistic and identity, one for all hidden layers; the
            cross-entropies, the squared error and, from 1.7 on, Poisson; and labels that are no fractions.
        """
        from fastmlp.estimators.export import to_sklearn

        return to_sklearn(self)
