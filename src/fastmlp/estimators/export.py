"""Nets as scikit-learn's own estimators."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer

from fastmlp.estimators.conventions import OUT_ACTIVATIONS
from fastmlp.network import Network
from fastmlp.options import Activation, Loss

ACTIVATIONS = (Activation.RELU, Activation.TANH, Activation.LOGISTIC, Activation.IDENTITY)
LOSSES = (Loss.CROSS_ENTROPY, Loss.BINARY_CROSS_ENTROPY, Loss.SQUARED_ERROR, Loss.POISSON)


def to_sklearn(network: Network) -> Any:
    """See :meth:`fastmlp.Network.to_sklearn`."""
    _check_expressible(network)
    shape: dict[str, Any] = {
        "hidden_layer_sizes": tuple(int(units) for units in network.sizes[1:-1]),
        "activation": (*network.activations, Activation.IDENTITY)[0].name.lower(),
    }
    if network.is_classifier:
        estimator = MLPClassifier(**shape)
        _learn_labels(estimator, network)
    else:
        # Before scikit-learn 1.7 there was no other loss, and no parameter for it.
        loss = {} if network.loss == Loss.SQUARED_ERROR else {"loss": network.loss.name.lower()}
        estimator = MLPRegressor(**loss, **shape)
        estimator.out_activation_ = OUT_ACTIVATIONS.get(network.loss, "identity")
    _learn_parameters(estimator, network)
    _learn_history(estimator, network)
    return estimator


def _refuse(what: str) -> ValueError:
    return ValueError(f"scikit-learn's estimators cannot express {what}; to_onnx can")


def _check_expressible(network: Network) -> None:
    """Raise ValueError where scikit-learn has nothing that predicts the same."""
    names = [activation.name.lower() for activation in network.activations]
    if len(set(names)) > 1:
        raise _refuse(f"hidden layers of several activations, {', '.join(names)}")
    if set(network.activations) - set(ACTIVATIONS):
        raise _refuse(f"the activation {names[0]}")
    if network.loss not in LOSSES:
        raise _refuse(f"a net trained on the loss {network.loss.name.lower()}")
    if network.loss == Loss.POISSON and "loss" not in inspect.signature(MLPRegressor).parameters:
        raise _refuse("the loss poisson before version 1.7")
    if network.classes is not None and len(network.classes) == 1:
        raise _refuse("a net of a single class, of which they give two probabilities")
    if network.classes is None and network.sizes[-1] == 1 and not network.flat_targets:
        raise _refuse("predictions in a matrix of one column")


def _learn_labels(estimator: Any, network: Network) -> None:
    labels = LabelBinarizer()
    if network.classes is None:
        labels.fit(np.eye(network.sizes[-1], dtype=np.int64))
    else:
        try:
            # It casts large floats to integers to see whether they are some.
            with np.errstate(invalid="ignore"):
                labels.fit(network.classes)
        except ValueError as error:
            raise _refuse(f"these labels ({error})") from None
    estimator._label_binarizer, estimator.classes_ = labels, labels.classes_
    estimator.out_activation_ = "softmax" if labels.y_type_ == "multiclass" else "logistic"


def _learn_parameters(estimator: Any, network: Network) -> None:
    """Copies of the parameters, which scikit-learn's solvers change in place."""
    coefs, intercepts = ([part.copy() for part in parts] for parts in (network.weights, network.biases))
    if network.loss == Loss.CROSS_ENTROPY and estimator.out_activation_ == "logistic":
        # Of two classes the softmax is the logistic function of the difference.
        coefs[-1] = coefs[-1][:, 1:] - coefs[-1][:, :1]
        intercepts[-1] = intercepts[-1][1:] - intercepts[-1][:1]
    estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    estimator._best_coefs, estimator._best_intercepts = ([part.copy() for part in parts] for parts in (coefs, intercepts))
    estimator.n_features_in_ = int(network.sizes[0])
    estimator.n_outputs_, estimator.n_layers_ = coefs[-1].shape[1], len(network.sizes)


def _learn_history(estimator: Any, network: Network) -> None:
    """What a later `partial_fit` or a fit with ``warm_start`` counts on from."""
    # scikit-learn's squared error is a mean over the outputs, ours a sum.
    curve = network.loss_curve.astype(np.float64) / (network.sizes[-1] if network.loss == Loss.SQUARED_ERROR else 1)
    estimator.loss_curve_ = curve.tolist()
    estimator.loss_ = float(curve[-1]) if curve.size else np.inf
    estimator.best_loss_ = float(curve.min()) if curve.size else np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None
    estimator._no_improvement_count = 0
    estimator.n_iter_ = network.n_epochs
    state = network._training
    held_out = 0 if state is None or state.held_out is None else len(state.held_out)
    estimator.t_ = 0 if state is None else network.n_epochs * (state.n_rows - held_out)
