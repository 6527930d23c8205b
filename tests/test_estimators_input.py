"""What the estimators cannot be meant to be given: errors that name it, before any work."""

import copy
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from fastmlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of scikit-learn's own checks.
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),
    # Of samples at the end of what floats can hold.
    pytest.mark.filterwarnings("ignore:(X. |y.* reach):UserWarning"),
]
NAN, INF = np.nan, np.inf
X = np.random.default_rng(1).standard_normal((24, 3))
Y = np.arange(24) % 3
VALUES = X[:, 0] - X[:, 1]
LABELS = (X > 0).astype(int)
ESTIMATORS = {"classifier": (MLPClassifier, Y), "regressor": (MLPRegressor, VALUES)}
both = pytest.mark.parametrize(("make", "y"), ESTIMATORS.values(), ids=ESTIMATORS)


def net_of(make, **parameters):
    return make(**{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, **parameters})


def train(net, way, samples, y, weights=None, right=None):
    """Give a net such samples in one of the ways there are; to validate with, where others are right to train on."""
    if way.startswith("y_val") or way == "X_val":
        net.fit(X, right, X_val=samples, y_val=y)
    elif way.startswith("partial_fit"):
        net.partial_fit(samples, y, weights, **classes(net))
    else:
        net.fit(samples, y, weights)


def classes(net):
    return {"classes": [0, 1, 2]} if isinstance(net, MLPClassifier) else {}


def bits(net):
    return b"".join(part.tobytes() for part in (*net.coefs_, *net.intercepts_))


# Parameters.

# Of each: what is of a wrong type, and what is a wrong value.
PARAMETERS = {
    "hidden_layer_sizes": ([1.5, "a", None], [0, -1]),
    "activation": ([None, 3], ["sigmoid", "RELU"]),
    "solver": ([None, 3, ["adam"]], ["newton", "Adam"]),
    "alpha": (["a", None, [1.0]], [-1, NAN, INF]),
    "batch_size": ([1.5, None, [2]], [0, -1, "all"]),
    "learning_rate": ([None, 0.1, ["constant"]], ["falling"]),
    "learning_rate_init": (["a", None], [0, -1, NAN, INF]),
    "power_t": (["a", None], [-1, NAN]),
    "max_iter": ([1.5, "a", None], [0, -1]),
    "shuffle": (["yes", None, 2], []),
    "random_state": (["a", 1.5, np.random.default_rng(0)], [-1]),
    "tol": (["a", None], [-1e-9, NAN]),
    "verbose": (["loud", None], [-1]),
    "warm_start": (["yes", None], []),
    "momentum": (["a", None], [-0.1, 1.1, NAN]),
    "nesterovs_momentum": (["yes", None], []),
    "early_stopping": (["yes", None], []),
    "validation_fraction": (["a", None], [-0.1, 1, NAN]),
    "beta_1": (["a", None], [-0.1, 1, NAN]),
    "beta_2": (["a", None], [-0.1, 1, NAN]),
    "epsilon": (["a", None], [0, -1, NAN]),
    "n_iter_no_change": (["a", None, 1.5], [0, -1, NAN]),
    "max_fun": (["a", None, 1.5], [0]),
    "weight_decay": (["a", None], [-1, NAN, INF]),
    "rho": (["a", None], [-0.1, 1, NAN]),
    "etas": ([0.5, None, "ab"], []),
    "step_sizes": ([0.5, None, "ab"], []),
    "l1": (["a", None], [-1, NAN, INF]),
    "dropout": (["a", None], [-0.1, 1, NAN]),
    "max_grad_norm": (["a", [1.0]], [0, -1, NAN, INF]),
    "metric": ([3, ["loss"]], ["f1"]),
    "callback": ([3, "a"], []),
    "n_jobs": ([1.5, "a"], []),
}
OF_ONE = {
    MLPClassifier: {"class_weight": ([3, 1.5], ["even"]), "label_smoothing": (["a", None], [-0.1, 1.1, NAN])},
    MLPRegressor: {
        "loss": ([3, None], ["mse", "log_loss"]),
        "delta": (["a", None], [0, -1, NAN, INF]),
        "quantile": (["a", None], [0, 1, NAN]),
    },
}


@both
def test_every_parameter_is_in_the_table(make, y):
    assert make().get_params().keys() == {*PARAMETERS, *OF_ONE[make]}


@both
def test_wrong_types_and_values(make, y, no_work):
    for name, (wrong_types, wrong_values) in {**PARAMETERS, **OF_ONE[make]}.items():
        for value in (*wrong_types, *wrong_values):
            with pytest.raises(InvalidParameterError, match=f"^The '{name}' parameter of {make.__name__} must be"):
                net_of(make, **{name: value}).fit(X, y)


def test_wrong_parameters_of_partial_fit(no_work):
    for name, (wrong_types, wrong_values) in {**PARAMETERS, **OF_ONE[MLPClassifier]}.items():
        # With no such solver there is no such method.
        for value in (*wrong_types, *wrong_values) if name != "solver" else ():
            with pytest.raises(InvalidParameterError, match=f"^The '{name}' parameter of MLPClassifier must be"):
                net_of(MLPClassifier, **{name: value}).partial_fit(X, Y, classes=[0, 1, 2])


# Of each: the parameters, what the message says.
TOGETHER = {
    "a layer of no units": ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
    "a layer of negative units": ({"hidden_layer_sizes": np.array([-2])}, "hidden_layer_sizes must be > 0"),
    "a layer of half a unit": ({"hidden_layer_sizes": (10.5,)}, "hidden_layer_sizes"),
    "a layer of NaN units": ({"hidden_layer_sizes": (NAN,)}, "hidden_layer_sizes"),
    "a layer of text": ({"hidden_layer_sizes": ("a",)}, "hidden_layer_sizes"),
    "a layer of nothing": ({"hidden_layer_sizes": (None,)}, "hidden_layer_sizes"),
    "layers in two dimensions": ({"hidden_layer_sizes": [[3, 4]]}, "hidden_layer_sizes"),
    "too many activations": ({"activation": ["relu", "tanh"]}, "activation has 2 entries, but there are 1 hidden layers"),
    "too few activations": ({"activation": []}, "activation has 0 entries"),
    "activations of no layer": ({"activation": ["relu"], "hidden_layer_sizes": ()}, "activation has 1 entries"),
    "an unknown activation": ({"activation": ["sigmoid"]}, r"activation\[0\]='sigmoid' is unknown: choose one of"),
    "an activation that is a number": ({"activation": [3]}, r"activation\[0\]=3 is unknown"),
    "too many dropouts": ({"dropout": [0.1, 0.2]}, "dropout has 2 entries, but there are 1 hidden layers"),
    "too few dropouts": ({"dropout": ()}, "dropout has 0 entries"),
    "dropout of all": ({"dropout": [1.0]}, r"dropout\[0\]=1\.0: give a finite number from 0 and below 1"),
    "dropout of NaN": ({"dropout": np.array([NAN])}, r"dropout\[0\]="),
    "dropout of text": ({"dropout": ["a"]}, r"dropout\[0\]='a'"),
    "dropouts in two dimensions": ({"dropout": [[0.1]]}, r"dropout\[0\]"),
    "lbfgs with dropout": ({"solver": "lbfgs", "dropout": 0.1}, "solver='lbfgs' takes neither dropout nor max_grad_norm"),
    "lbfgs with a norm": ({"solver": "lbfgs", "max_grad_norm": 1.0}, "solver='lbfgs' takes neither dropout nor max_grad"),
    "rprop in batches": ({"solver": "rprop", "batch_size": 8}, "batch_size=8: solver='rprop' takes full batches"),
    "one eta": ({"etas": (0.5,)}, r"etas=\(0\.5,\): give two numbers"),
    "three etas": ({"etas": [0.5, 1.2, 2]}, "etas=.*: give two numbers"),
    "etas of text": ({"etas": ("a", 1.2)}, r"etas\[0\]='a'"),
    "etas of 0": ({"etas": (0, 1.2)}, r"etas\[0\]=0"),
    "etas of NaN": ({"etas": (0.5, NAN)}, r"etas\[1\]=nan"),
    "etas that shrink": ({"etas": (0.5, 0.9)}, "etas=.*the second no less than 1"),
    "etas that grow": ({"etas": (1.1, 1.2)}, "etas=.*the first no more"),
    "one step size": ({"step_sizes": [1]}, "step_sizes=.*: give two numbers"),
    "step sizes the wrong way round": ({"step_sizes": (1, 0.1)}, "step_sizes=.*the lesser one first"),
    "a step size of 0": ({"step_sizes": (0, 1)}, r"step_sizes\[0\]=0"),
    "a step size of infinity": ({"step_sizes": (1e-6, INF)}, r"step_sizes\[1\]=inf"),
}


@pytest.mark.parametrize(("parameters", "message"), TOGETHER.values(), ids=TOGETHER)
@both
def test_parameters_that_do_not_go_together(make, y, parameters, message, no_work):
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        net_of(make, **parameters).fit(X, y)


@both
def test_metrics_of_the_other_estimator(make, y, no_work):
    other = "r2" if make is MLPClassifier else "accuracy"
    with pytest.raises(ValueError, match=f"metric='{other}' does not suit"):
        net_of(make, metric=other).fit(X, y)


# What float32 cannot hold, by its name.
TOO_MUCH = {
    "alpha": 1e300,
    "l1": 1e300,
    "learning_rate_init": 1e300,
    "epsilon": 1e-300,
    "max_grad_norm": 1e-300,
    "tol": 1e300,
}


@pytest.mark.parametrize(("name", "value"), TOO_MUCH.items())
def test_parameters_out_of_the_range_of_float32(name, value, no_work):
    with pytest.raises(ValueError, match=rf"^{name}\b.*out of float32's range"):
        net_of(MLPRegressor, **{name: value}).fit(X.astype(np.float32), VALUES)


@pytest.mark.parametrize("factor", [-1.0, NAN, INF, "a", None])
def test_learning_rates_that_are_none(factor, no_work):
    with pytest.raises((ValueError, TypeError)):
        net_of(MLPRegressor, learning_rate=lambda epoch: factor).fit(X, VALUES)


def test_weights_of_classes_that_are_none(no_work):
    for class_weight in ({0: -1.0}, {0: NAN}, {0: INF}, {7: 1.0}, {0: 0, 1: 0, 2: 0}):
        with pytest.raises(ValueError, match="weight"):
            net_of(MLPClassifier, class_weight=class_weight).fit(X, Y)
    with pytest.raises(ValueError, match="weight"):
        net_of(MLPClassifier, class_weight={0: 1.0, 1: 2.0}).fit(X, LABELS)


def test_weights_of_classes_too_large_for_float32(no_work):
    with pytest.raises(ValueError, match="weight"):
        net_of(MLPClassifier, class_weight={0: 1e300}).fit(X.astype(np.float32), Y)


@both
def test_too_few_samples_to_hold_out(make, y, no_work):
    with pytest.raises(ValueError, match=r"The validation set is too small\. Increase 'validation_fraction'"):
        net_of(make, early_stopping=True, validation_fraction=0.01).fit(X, y)


# Samples.

SAMPLES = {
    "NaN": np.where(np.eye(24, 3), NAN, X),
    "infinity": np.where(np.eye(24, 3), INF, X),
    "both infinities": np.where(np.eye(24, 3), [INF, -INF, 1], X),
    "float32 infinity": np.where(np.eye(24, 3), INF, X).astype(np.float32),
    "a list with NaN": np.where(np.eye(24, 3), NAN, X).tolist(),
    "one dimension": X[:, 0],
    "three dimensions": X[:, :, None],
    "no rows": X[:0],
    "no columns": X[:, :0],
    "a number": 3.0,
    "text": np.full((24, 3), "a"),
    "objects": np.full((24, 3), "a", object),
    "None within": np.where(np.eye(24, 3), None, X),
    "complex": X + 1j,
    "rows of different lengths": [[1.0], [1.0, 2.0]] * 12,
    "a frame of text": pd.DataFrame(np.full((24, 3), "x")),
    "sparse NaN": sparse.csr_matrix(np.where(np.eye(24, 3), NAN, X)),
    "sparse infinity": sparse.csc_matrix(np.where(np.eye(24, 3), INF, X)),
}
by_samples = pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)


@by_samples
@both
@pytest.mark.parametrize("way", ["fit", "partial_fit", "partial_fit again", "X_val"])
def test_samples_that_are_none(make, y, samples, way, no_work_after):
    net = net_of(make)
    if way == "partial_fit again":
        net.partial_fit(X, y, **classes(net))
    no_work_after()
    with pytest.raises((ValueError, TypeError)):
        train(net, way, samples, y, right=y)


@by_samples
@both
def test_samples_that_cannot_be_predicted(make, y, samples):
    net = net_of(make).fit(X, y)
    methods = [net.predict, net.predict_proba, net.predict_log_proba] if make is MLPClassifier else [net.predict]
    for method in methods:
        with pytest.raises((ValueError, TypeError)):
            method(samples)


@pytest.mark.parametrize("n_features", [1, 2, 4])
@pytest.mark.parametrize("form", [np.ascontiguousarray, sparse.csr_matrix, pd.DataFrame])
@both
def test_another_number_of_columns(make, y, n_features, form, no_work_after):
    net, other = net_of(make).fit(X, y), form(np.ones((24, n_features)))
    no_work_after()
    methods = [net.predict, lambda rows: net.partial_fit(rows, y), lambda rows: net.fit(X, y, X_val=rows, y_val=y)]
    for method in methods:
        with pytest.raises(ValueError, match=f"X has {n_features} features, but {make.__name__} is expecting 3"):
            method(other)


def test_values_too_large_for_float32(no_work):
    with pytest.raises(ValueError, match="too large for float32"):
        net_of(MLPRegressor).fit(X.astype(np.float32), VALUES * 1e300)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_samples_too_large_for_a_net_of_float32(no_work_after):
    net = net_of(MLPRegressor).fit(X.astype(np.float32), VALUES)
    no_work_after()
    with pytest.raises(ValueError, match=r"too large|infinity"):
        net.predict(X * 1e300)
    with pytest.raises(ValueError, match=r"too large|infinity"):
        net.fit(X.astype(np.float32), VALUES, X_val=X * 1e300, y_val=VALUES)


@both
def test_samples_at_the_end_of_float32(make, y):
    """They are numbers; what is made of them may not be."""
    large = np.where(np.eye(24, 3), np.finfo(np.float32).max, X).astype(np.float32)
    net = net_of(make)
    try:
        net.fit(large, y)
    except ValueError as error:
        assert "non-finite" in str(error)  # noqa: PT017 (it need not be raised)
        with pytest.raises(NotFittedError):
            net.predict(large)
    else:
        assert all(np.isfinite(part).all() for part in net.coefs_)


# Targets.

LENGTHS = {"too few": Y[:-1], "too many": np.arange(25) % 3, "none": Y[:0], "one": 1, "nothing": None}
TARGETS = {
    **{name: (MLPClassifier, y) for name, y in LENGTHS.items()},
    **{f"{name} values": (MLPRegressor, y) for name, y in LENGTHS.items()},
    "NaN": (MLPRegressor, np.where(Y == 1, NAN, VALUES)),
    "infinity": (MLPRegressor, np.where(Y == 1, INF, VALUES)),
    "NaN in columns": (MLPRegressor, np.column_stack([VALUES, np.where(Y == 1, NAN, VALUES)])),
    "text": (MLPRegressor, np.full(24, "a")),
    "objects": (MLPRegressor, np.full(24, "a", object)),
    "complex values": (MLPRegressor, VALUES + 1j),
    "values in three dimensions": (MLPRegressor, np.ones((24, 2, 2))),
    "values of no column": (MLPRegressor, np.ones((24, 0))),
    "continuous": (MLPClassifier, VALUES),
    "NaN labels": (MLPClassifier, np.where(Y == 1, NAN, Y)),
    "infinite labels": (MLPClassifier, np.where(Y == 1, INF, Y)),
    "labels of two types": (MLPClassifier, np.array([1, "a", 2] * 8, object)),
    "missing labels": (MLPClassifier, np.array(["b", "a", None] * 8, object)),
    "columns of classes": (MLPClassifier, np.column_stack([Y, Y[::-1]])),
    "columns of values": (MLPClassifier, np.column_stack([VALUES, VALUES])),
    "labels in three dimensions": (MLPClassifier, np.ones((24, 2, 2), int)),
}
by_targets = pytest.mark.parametrize(("make", "y"), TARGETS.values(), ids=TARGETS)


@by_targets
@pytest.mark.parametrize("way", ["fit", "partial_fit", "partial_fit again", "warm start", "y_val"])
def test_targets_that_are_none(make, y, way, no_work_after):
    net, right = net_of(make, warm_start=way == "warm start"), Y if make is MLPClassifier else VALUES
    if way == "partial_fit again":
        net.partial_fit(X, right, **classes(net))
    if way == "warm start":
        net.fit(X, right)
    no_work_after()
    with pytest.raises((ValueError, TypeError)) as caught:
        train(net, way, X, y, right=right)
    assert type(caught.value) in (ValueError, TypeError)


@pytest.mark.parametrize("way", ["fit", "partial_fit", "partial_fit again", "y_val"])
def test_negative_targets_of_poisson(way, no_work_after):
    net, counts = net_of(MLPRegressor, loss="poisson"), np.abs(VALUES)
    if way == "partial_fit again":
        net.partial_fit(X, counts)
    no_work_after()
    with pytest.raises(ValueError, match=r"out of the valid range of the loss 'poisson', which takes y >= 0"):
        train(net, way, X, VALUES, right=counts)


def test_text_for_poisson(no_work_after):
    net = net_of(MLPRegressor, loss="poisson").partial_fit(X, np.abs(VALUES))
    no_work_after()
    with pytest.raises(ValueError, match=r"string|number"):
        net.partial_fit(X, np.full(24, "a"))


# Of each: an estimator, what it was trained on, and what is of another kind.
KINDS = {
    "labels for classes": (MLPClassifier, Y, LABELS),
    "labels for two classes": (MLPClassifier, Y > 0, LABELS[:, :2]),
    "classes for labels": (MLPClassifier, LABELS, Y),
    "fewer labels": (MLPClassifier, LABELS, LABELS[:, :2]),
    "more labels": (MLPClassifier, LABELS, np.column_stack([LABELS, LABELS])),
    "columns for values": (MLPRegressor, VALUES, np.column_stack([VALUES, VALUES])),
    "values for columns": (MLPRegressor, np.column_stack([VALUES, VALUES]), VALUES),
    "more columns": (MLPRegressor, np.column_stack([VALUES, VALUES]), np.column_stack([VALUES] * 3)),
    "fewer columns": (MLPRegressor, np.column_stack([VALUES] * 3), np.column_stack([VALUES, VALUES])),
}


@pytest.mark.parametrize("way", ["partial_fit", "warm start", "y_val", "y_val by loss", "y_val, stops early"])
@pytest.mark.parametrize(("make", "y", "other"), KINDS.values(), ids=KINDS)
def test_targets_of_another_kind(make, y, other, way, no_work_after):
    """Told in words, before a kernel reads what is not there."""
    net = net_of(make, warm_start=way == "warm start", metric="loss" if "loss" in way else None)
    net.set_params(early_stopping="early" in way)
    if not way.startswith("y_val"):
        net.fit(X, y)
        predicted = net.predict(X)
    no_work_after()
    with pytest.raises(ValueError, match=r"\by\b|\by_val\b|labels|classes|layers of|multilabel"):
        train(net, way, X, other, right=y)
    if not way.startswith("y_val"):
        np.testing.assert_array_equal(net.predict(X), predicted)


def test_labels_not_known(no_work_after):
    names = np.array(["a", "b", "c"])[Y]
    net = net_of(MLPClassifier)
    net.partial_fit(X, names, classes=["a", "b", "c"])
    other = np.where(Y == 1, "d", names)
    no_work_after()
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
        net.partial_fit(X, other)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
        net_of(MLPClassifier).fit(X, names, X_val=X, y_val=other)
    # And of another type, or between the known ones.
    for unknown in (Y, Y + 0.5, np.full(24, "aa"), np.full(24, ""), np.full(24, "z"), names.astype(object) + "x"):
        with pytest.raises((ValueError, TypeError)):
            net.partial_fit(X, unknown)


def test_numbers_between_the_known_labels(no_work_after):
    net = net_of(MLPClassifier).partial_fit(X, Y * 2, classes=[0, 2, 4])
    no_work_after()
    for unknown in (Y * 2 + 1, -Y - 1, Y * 2 + 5, Y.astype(float) + 1, Y.astype(np.int8)):
        with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
            net.partial_fit(X, unknown)


# Weights.

WEIGHTS = {
    "too few": (np.ones(23), "sample_weight.shape"),
    "too many": (np.ones(25), "sample_weight.shape"),
    "none": (np.ones(0), "sample"),
    "columns": (np.ones((24, 2)), "1D|dimension"),
    "NaN": (np.where(Y == 1, NAN, 1), "NaN"),
    "infinity": (np.where(Y == 1, INF, 1), "infinity"),
    "negative": (np.where(Y == 1, -1, 1.0), "Negative values in data passed to `sample_weight`"),
    "all negative": (-np.ones(24), "Negative values in data passed to `sample_weight`"),
    "zero": (np.zeros(24), "weight"),
    "next to zero": (np.full(24, 1e-310), "weight"),
    "too large together": (np.full(24, 1e308), "weight"),
    "text": (np.full(24, "a"), "string"),
    "complex": (np.ones(24) + 1j, "Complex"),
}


@pytest.mark.parametrize(("weights", "message"), WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("way", ["fit", "partial_fit", "partial_fit again", "early stopping"])
@both
def test_weights_that_are_none(make, y, weights, message, way, no_work_after):
    net = net_of(make, early_stopping=way == "early stopping")
    if way == "partial_fit again":
        net.partial_fit(X, y, **classes(net))
    no_work_after()
    with pytest.raises(ValueError, match=message):
        train(net, way, X, y, weights)


@pytest.mark.parametrize(("weights", "message"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_to_validate_with_that_are_none(weights, message, no_work):
    with pytest.raises(ValueError, match=message):
        net_of(MLPRegressor).fit(X, VALUES, X_val=X, y_val=VALUES, sample_weight_val=weights)


def test_weights_of_float32(no_work):
    for weights in (np.full(24, 1e38), np.full(24, 1e-44), np.full(24, 1e-50)):
        with pytest.raises(ValueError, match=r"weight|infinity|too large"):
            net_of(MLPRegressor).fit(X.astype(np.float32), VALUES, weights)


@both
def test_validation_samples_in_part(make, y, no_work):
    for given in ({"X_val": X}, {"y_val": y}, {"sample_weight_val": np.ones(24)}, {"X_val": X, "sample_weight_val": Y}):
        with pytest.raises(ValueError, match="X_val and y_val belong together"):
            net_of(make).fit(X, y, **given)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net_of(make).fit(X, y, X_val=X[:10], y_val=y[:9])


# What is left of the net.

MORE = np.column_stack([X, X])
REFITS = {
    "a wrong parameter": ({"alpha": -1}, X, {}),
    "a layer of no units": ({"hidden_layer_sizes": (0,)}, X, {}),
    "an unknown activation": ({"activation": ["sigmoid"]}, X, {}),
    "too many dropouts": ({"dropout": [0.1, 0.2]}, X, {}),
    "lbfgs with dropout": ({"solver": "lbfgs", "dropout": 0.1}, X, {}),
    "a metric of the other": ({"metric": "r2"}, X, {}),
    "a schedule that is none": ({"learning_rate": lambda epoch: -1}, X, {}),
    "nothing to hold out": ({"early_stopping": True, "validation_fraction": 0.01}, X, {}),
    "negative weights": ({}, X, {"sample_weight": -np.ones(24)}),
    "X_val alone": ({}, X, {"X_val": X}),
    "X_val of other columns": ({}, X, {"X_val": MORE, "y_val": Y}),
    "X_val with NaN": ({}, X, {"X_val": X * NAN, "y_val": Y}),
    "unknown labels in y_val": ({}, X, {"X_val": X, "y_val": Y + 7}),
    "a wrong parameter, more columns": ({"dropout": [0.1, 0.2]}, MORE, {}),
    "negative weights, more columns": ({}, MORE, {"sample_weight": -np.ones(24)}),
}


@pytest.mark.parametrize(("parameters", "samples", "given"), REFITS.values(), ids=REFITS)
def test_a_refit_that_is_refused(parameters, samples, given):
    """The net is as it was, or not fitted; never the old weights with new labels."""
    net = net_of(MLPClassifier).fit(X, np.array(["a", "b", "c"])[Y])
    before, predicted, usual = bits(net), net.predict(X), net.get_params()
    with pytest.raises((ValueError, TypeError)):
        net.set_params(**parameters).fit(samples, np.array(["d", "e", "f"])[Y], **given)
    net.set_params(**usual)
    try:
        again = net.predict(X)
    except NotFittedError:
        return
    assert bits(net) == before
    np.testing.assert_array_equal(again, predicted)


@pytest.mark.parametrize(("parameters", "samples", "given"), REFITS.values(), ids=REFITS)
def test_a_first_fit_that_is_refused(parameters, samples, given):
    """Then nothing is fitted, and the next one is the first."""
    net = net_of(MLPClassifier, warm_start=True)
    usual = net.get_params()
    with pytest.raises((ValueError, TypeError)):
        net.set_params(**parameters).fit(samples, Y, **given)
    with pytest.raises(NotFittedError):
        net.predict(X)
    with pytest.raises(NotFittedError):
        _ = net.network_
    net.set_params(**usual).fit(X, Y > 0)
    assert bits(net) == bits(net_of(MLPClassifier).fit(X, Y > 0))
    assert net.classes_.tolist() == [False, True]


def test_a_first_batch_that_is_refused():
    """With labels of its own the next one is the first."""
    net = net_of(MLPClassifier)
    with pytest.raises(ValueError, match="NaN"):
        net.partial_fit(X * NAN, Y, classes=[0, 1, 2])
    with pytest.raises(NotFittedError):
        net.predict(X)
    net.partial_fit(X, Y, classes=[0, 1, 2])
    assert bits(net) == bits(net_of(MLPClassifier).partial_fit(X, Y, classes=[0, 1, 2]))


@both
def test_a_batch_that_is_refused(make, y):
    net = net_of(make)
    net.partial_fit(X, y, **classes(net))
    other = copy.deepcopy(net)
    for arguments in ((X * NAN, y), (X, y[:-1]), (MORE, y), (X, y, -np.ones(24)), (X, y + 0.5j), (X[0], y)):
        with pytest.raises((ValueError, TypeError)):
            net.partial_fit(*arguments)
    assert bits(net) == bits(other)
    assert bits(net.partial_fit(X, y)) == bits(other.partial_fit(X, y))
    assert net.t_ == other.t_


OTHERS = {
    "more units": ({"hidden_layer_sizes": (5,)}, X, Y, r"layers of \(3, 4, 3\), but .* ask for \(3, 5, 3\)"),
    "more layers": ({"hidden_layer_sizes": (4, 4)}, X, Y, r"layers of \(3, 4, 3\), but .* ask for \(3, 4, 4, 3\)"),
    "no layer": ({"hidden_layer_sizes": ()}, X, Y, r"layers of \(3, 4, 3\), but .* ask for \(3, 3\)"),
    "fewer features": ({}, X[:, :2], Y, "X has 2 features, but MLPClassifier is expecting 3"),
    "more features": ({}, MORE, Y, "X has 6 features, but MLPClassifier is expecting 3"),
    "more classes": ({}, X, np.arange(24) % 4, "warm_start can only be used where `y` has the same classes"),
    "fewer classes": ({}, X, Y % 2, "warm_start can only be used where `y` has the same classes"),
    "other classes": ({}, X, Y + 1, "warm_start can only be used where `y` has the same classes"),
}


@pytest.mark.parametrize(("parameters", "samples", "y", "message"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("early", [False, True])
def test_a_warm_start_of_another_net(parameters, samples, y, message, early, no_work_after):
    net = net_of(MLPClassifier, warm_start=True, early_stopping=early, validation_fraction=0.2).fit(X, Y)
    before, predicted = bits(net), net.predict(X)
    no_work_after()
    with pytest.raises(ValueError, match=message):
        net.set_params(**parameters).fit(samples, y)
    assert bits(net) == before
    np.testing.assert_array_equal(net.predict(X), predicted)


def test_a_warm_start_of_other_columns(no_work_after):
    net = net_of(MLPRegressor, warm_start=True).fit(X, VALUES)
    no_work_after()
    with pytest.raises(ValueError, match=r"layers of \(3, 4, 1\), but .* ask for \(3, 4, 2\)"):
        net.fit(X, np.column_stack([VALUES, VALUES]))


# What warns.


@both
def test_a_batch_larger_than_the_samples(make, y):
    with pytest.warns(UserWarning, match="larger than sample size. It is going to be clipped") as caught:
        net = net_of(make, batch_size=25).fit(X, y)
    assert [warning.filename for warning in caught if warning.category is UserWarning] == [__file__]
    assert bits(net) == bits(net_of(make, batch_size=24).fit(X, y))


@pytest.mark.parametrize("name", ["data", "columns"])
def test_names_of_columns(name):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    net = net_of(MLPClassifier).fit(frame, Y)
    if name == "data":
        with pytest.warns(UserWarning, match="X does not have valid feature names, but MLPClassifier was fitted with"):
            net.predict(X)
        with pytest.warns(UserWarning, match="X does not have valid feature names, but MLPClassifier was fitted with"):
            net.partial_fit(X, Y)
    else:
        for wrong in (frame.rename(columns={"a": "z"}), frame[["b", "a", "c"]]):
            for method in (net.predict, lambda rows: net.partial_fit(rows, Y)):
                with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
                    method(wrong)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict(frame)
        net.partial_fit(frame, Y)


def test_messages_name_the_estimator():
    for make in (MLPClassifier, MLPRegressor):
        with pytest.raises(NotFittedError, match=re.escape(f"This {make.__name__} instance is not fitted yet")):
            make().predict(X)
