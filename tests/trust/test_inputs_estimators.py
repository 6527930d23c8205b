"""Bad inputs of the estimators: refused by an error that names the argument, before any work, with nothing changed."""

from fractions import Fraction

import numpy as np
import pytest
from bad_samples import BAD_X, BAD_Y
from bad_values import INF, NAN, NO_NUMBERS, OTHERS, VALUES, N, X, Y, refused
from scipy import sparse
from sklearn.exceptions import NotFittedError

from fastmlp import MLPClassifier, MLPRegressor

TRIAL = "bad inputs refused with the argument named"
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
ESTIMATORS = {MLPClassifier: Y, MLPRegressor: VALUES}
HUGE = {"huge": 10**400, "of no end": 10**5000}
# Of each parameter that is one number: values out of its range, and whether it is a whole one.
NUMBERS = {
    "alpha": ([-1e-9], False),
    "learning_rate_init": ([0, -1], False),
    "power_t": ([-1], False),
    "tol": ([-1e-9], False),
    "momentum": ([-0.1, 1.1], False),
    "validation_fraction": ([-0.1, 1], False),
    "beta_1": ([-0.1, 1], False),
    "beta_2": ([-0.1, 1], False),
    "epsilon": ([0, -1], False),
    "weight_decay": ([-1], False),
    "rho": ([-0.1, 1], False),
    "l1": ([-1e-9], False),
    "dropout": ([-0.1, 1], False),
    "max_grad_norm": ([0, -1], False),
    "batch_size": ([0, -1, 1.5, "all"], True),
    "max_iter": ([0, -1, 1.5, 10**13], True),
    "max_fun": ([0, -1, 1.5], True),
    "n_iter_no_change": ([0, -1, 1.5], True),
    "hidden_layer_sizes": ([0, -1, 1.5, (0,), (3, -1), (1.5,), ("a",), (None,), 10**12, (10**12, 3), (2**31, 2**31)], True),
    "n_jobs": ([1.5], True),
}
OF_ONE = {
    MLPClassifier: {"label_smoothing": ([-0.1, 1.1], False)},
    MLPRegressor: {"delta": ([0, -1], False), "quantile": ([0, 1, -1], False)},
}
# What is no estimator's number, or is a list, which some take.
LISTS = ("list", "array of one", "array", "generator", "dict")
# Of the others: what they cannot be.
CHOICES = {
    "activation": [None, 3, "sigmoid", "RELU", [], ["relu", "tanh"], ["sigmoid"], [3], b"relu", True, NAN, {}],
    "solver": [None, 3, "newton", "Adam", ["adam"], b"adam", True],
    "learning_rate": [None, 0.1, "falling", ["constant"], lambda epoch: NAN, lambda epoch: -1, lambda epoch: "a",
                      lambda epoch:
                      None, lambda epoch: 10**400, lambda epoch: [1.0], lambda epoch: 1j, lambda epoch: "0.5"],
    "shuffle": ["yes", None, 2, NAN, []],
    "random_state": ["a", 1.5, -1, 2**32, 10**400, np.random.default_rng(0), [1], NAN],
    "verbose": ["loud", None, -1],
    "warm_start": ["yes", None, 2],
    "nesterovs_momentum": ["yes", None, 2],
    "early_stopping": ["yes", None, 2],
    "etas": [0.5, None, "ab", (0.5,), (0.5, 1.2, 2), (0, 1.2), (0.5, NAN), (0.5, 0.9), (1.1, 1.2), ("a", "b"), (0.5,
             10**400),
             {0.5: 1}, (True, 1.2), (0.5, 1j), (0.5, "1.2")],
    "step_sizes": [1, None, "ab", (1,), (1, 0.1), (0, 1), (1e-6, INF), (NAN, 1), (1e-6, 10**400), ("1", "2"), (1e-6, True)],
    "dropout": [[0.1, 0.2], [], [1.0], [NAN], ["a"], ["0.5"], [True], [10**400]],
    "metric": [3, "f1", ["loss"], NAN],
    "callback": [3, "print", True],
}  # fmt: skip
CLASS_WEIGHTS = [3, 1.5, "even", "", {7: 1.0}, {0: -1.0}, {0: NAN}, {0: INF}, {0: "a"}, {0: "2"}, {0: None}, {0: [1]},
                 {0: 10**400},
                 {0: 1j}, {0: True}, {0: 0, 1: 0}, [{0: 1}], [1, 2], (1, 2), np.ones(2), {0: 1e308, 1: 1e308},
                 {"0": 1}]  # fmt: skip
# A number for all samples is one that scikit-learn takes.
WEIGHTS = [weights for weights in OTHERS["sample_weight"] if not isinstance(weights, int | float)]
LENGTHS = ("too few rows", "too many rows", "one row", "rows without end")
# Columns with names are warned of where those trained on had none.
NAMED = ("a polars null", "an Arrow table's null")
# What scikit-learn takes: samples of a single class.
LEGAL_Y = ("one class", "one class of texts", "one class of truths")


def train(net, way, X, y, weights=None, **given):
    """Give samples to an estimator in one of the ways there are."""
    if way == "fit":
        return net.fit(X, y, weights, **given)
    if isinstance(net, MLPClassifier):
        given["classes"] = [0, 1]
    return net.partial_fit(X, y, weights, **given)


def numbers_of(make):
    for name, (outside, is_whole) in {**NUMBERS, **OF_ONE[make]}.items():
        values = {what: value for what, value in NO_NUMBERS.items() if what not in LISTS}
        values |= HUGE | {"NaN": NAN, "a fraction": Fraction(10**400)} | dict(enumerate(outside))
        if name not in ("max_grad_norm", "n_jobs"):
            values["None"] = None
        if is_whole:
            values |= {"one as a float": 1.0}
        yield from ((name, what, value) for what, value in values.items())


@pytest.mark.parametrize("make", ESTIMATORS)
def test_parameters(make, trials, no_work):
    cases = [*numbers_of(make), *((name, i, value) for name, values in CHOICES.items() for i, value in enumerate(values))]
    with trials(TRIAL) as trial:
        for name, what, value in cases:
            for way in ("fit", "partial_fit"):
                # With no such solver there is no such method; L-BFGS and others have no use for these.
                if way == "partial_fit" and name in ("solver", "max_iter"):
                    continue
                with trial.case(f"{make.__name__}, {way}: {name}, {what}"):
                    net = make(**{**SMALL, name: value})
                    refused(name, lambda net=net, way=way: train(net, way, X, ESTIMATORS[make]), value)
        with trial.case(f"{make.__name__}: unknown"):
            refused("alhpa", lambda: make(alhpa=1))


def test_class_weights(trials, no_work):
    with trials(TRIAL) as trial:
        for i, value in enumerate([*CLASS_WEIGHTS, "balanced"]):
            for way in ("fit", "partial_fit") if not isinstance(value, str) else ("partial_fit",):
                with trial.case(f"{way}: class_weight {i}"):
                    net = MLPClassifier(**SMALL, class_weight=value)
                    refused("class_weight", lambda net=net, way=way: train(net, way, X, Y), value)
        for i, value in enumerate(
            [{0: 1.0}, [{0: 1.0}] * 5, [1, 2, 3], [{0: "a"}] * 3, [{0: 10**400}] * 3, [{7: 1.0}] * 3]
        ):
            with trial.case(f"labels: class_weight {i}"):
                net = MLPClassifier(**SMALL, class_weight=value)
                refused("class_weight", lambda net=net: net.fit(X, (X > 0).astype(int)), value)


@pytest.mark.parametrize("make", ESTIMATORS)
def test_samples(make, trials, no_work):
    y = ESTIMATORS[make]
    bad_y = {what: value for what, value in BAD_Y.items() if what not in LEGAL_Y}
    if make is MLPRegressor:
        # Numbers in any column are numbers.
        del bad_y["labels in columns"], bad_y["objects in columns"]
        bad_y |= {"texts": Y.astype(str), "text objects": Y.astype(str).astype(object)}
    with trials(TRIAL) as trial:
        for way in ("fit", "partial_fit"):
            for what, value in BAD_X.items():
                with trial.case(f"{make.__name__}, {way}: X, {what}"):
                    refused(
                        "X" if what not in LENGTHS else "(X|y)",
                        lambda way=way, v=value: train(make(**SMALL), way, v, y),
                        value,
                    )
            for what, value in bad_y.items():
                with trial.case(f"{make.__name__}, {way}: y, {what}"):
                    refused("y", lambda way=way, v=value: train(make(**SMALL), way, X, v), value)
            for i, value in enumerate(WEIGHTS):
                with trial.case(f"{make.__name__}, {way}: sample_weight {i}"):
                    refused("sample_weight", lambda way=way, v=value: train(make(**SMALL), way, X, y, v), value)
        for what, value in BAD_X.items():
            if what in NAMED:
                continue
            with trial.case(f"{make.__name__}: X_val, {what}"):
                refused("(X_val|y_val)", lambda v=value: make(**SMALL).fit(X, y, X_val=v, y_val=y), value)
        for what, value in bad_y.items():
            with trial.case(f"{make.__name__}: y_val, {what}"):
                refused("y_val", lambda v=value: make(**SMALL).fit(X, y, X_val=X, y_val=v), value)
        for i, value in enumerate(WEIGHTS):
            with trial.case(f"{make.__name__}: sample_weight_val {i}"):
                given = {"X_val": X, "y_val": y, "sample_weight_val": value}
                refused("sample_weight_val", lambda g=given: make(**SMALL).fit(X, y, **g), value)


def test_classes(trials, no_work):
    with trials(TRIAL) as trial:
        for i, classes in enumerate(
            [None, 5, [], [[0, 1]], [0, NAN], [0, "a"], [0, None], {}, "01", np.ones((2, 2)), 1j, [0j, 1j]]
        ):
            with trial.case(f"classes {i}"):
                refused("classes", lambda c=classes: MLPClassifier(**SMALL).partial_fit(X, Y, classes=c), classes)
        for i, y in enumerate([Y + 1, Y.astype(str), Y + 0.5, np.where(Y, 7, 0)]):
            with trial.case(f"unknown classes {i}"):
                refused("y", lambda y=y: MLPClassifier(**SMALL).partial_fit(X, y, classes=[0, 1]), y)


@pytest.mark.parametrize("make", ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predictions(make, trials):
    net = make(**SMALL).fit(X, ESTIMATORS[make])
    samples = {
        "fewer columns": X[:, :2],
        "more columns": np.column_stack([X, X]),
        "fewer sparse columns": sparse.csr_matrix(X[:, :2]),
        "sparse NaN": sparse.csr_matrix(np.where(np.eye(N, 3), NAN, X)),
    }
    samples |= {what: value for what, value in BAD_X.items() if what not in (*LENGTHS, *NAMED)}
    methods = {"predict": net.predict, "score": lambda rows: net.score(rows, ESTIMATORS[make])}
    if make is MLPClassifier:
        methods |= {"predict_proba": net.predict_proba, "predict_log_proba": net.predict_log_proba}
    with trials(TRIAL) as trial:
        for method, call in methods.items():
            for what, value in samples.items():
                with trial.case(f"{make.__name__}.{method}: X, {what}"):
                    refused("X", lambda call=call, v=value: call(v), value)
        for method in methods:
            with trial.case(f"{make.__name__}.{method}: not fitted"), pytest.raises(NotFittedError, match=make.__name__):
                getattr(make(), method)(*((X, ESTIMATORS[make]) if method == "score" else (X,)))
