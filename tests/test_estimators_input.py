"""Wrong input to the estimators: scikit-learn's messages where it checks, ours in its manner, and no work begun."""

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).standard_normal((30, 3))
Y = np.arange(30) % 3

# For each parameter a value of a wrong type and one out of range, or the one there is.
WRONG = [
    ("hidden_layer_sizes", "ten"), ("hidden_layer_sizes", (5, 0)), ("hidden_layer_sizes", -1), ("activation", "swish"),
    ("activation", 3), ("activation", ["relu", "tanh"]), ("activation", ["swish"]), ("solver", "newton"), ("solver", None),
    ("alpha", -1), ("alpha", "1"), ("batch_size", 0), ("batch_size", "full"), ("batch_size", 1.5),
    ("learning_rate", "slow"),
    ("learning_rate", 0.1), ("learning_rate_init", 0), ("learning_rate_init", "fast"), ("power_t", -1), ("max_iter", 0),
    ("max_iter", 2.5), ("shuffle", "no"), ("random_state", -1), ("random_state", "seed"), ("tol", -1e-4),
    ("verbose", "very"),
    ("warm_start", "yes"), ("momentum", 1.1), ("nesterovs_momentum", "no"), ("early_stopping", "yes"),
    ("validation_fraction", 1.0), ("validation_fraction", -0.1), ("beta_1", 1.0), ("beta_2", 1.0), ("beta_2", "0.9"),
    ("epsilon", 0), ("n_iter_no_change", 0), ("n_iter_no_change", 2.5), ("max_fun", 0), ("l1", -1), ("dropout", 1.0),
    ("dropout", (0.1, 0.2)), ("dropout", [1.5]), ("weight_decay", -1), ("rho", 1.0), ("etas", (0.5,)), ("etas", (2.0, 3.0)),
    ("etas", 0.5), ("step_sizes", (1.0, 0.1)), ("step_sizes", (0.0, 1.0)), ("max_grad_norm", 0), ("metric", "auc"),
    ("callback", "print"), ("n_jobs", 1.5),
]  # fmt: skip
OF_CLASSIFIER = [
    ("class_weight", "even"), ("class_weight", 3), ("label_smoothing", 1.5), ("label_smoothing", "some"), ("metric", "r2"),
]  # fmt: skip
OF_REGRESSOR = [
    ("loss", "log_loss"), ("loss", 3), ("delta", 0), ("quantile", 1.0), ("quantile", "half"), ("metric", "accuracy"),
]  # fmt: skip
CASES = [
    *((MLPClassifier, *case) for case in WRONG + OF_CLASSIFIER),
    *((MLPRegressor, *case) for case in WRONG + OF_REGRESSOR),
]


@pytest.mark.parametrize(("cls", "name", "value"), CASES, ids=lambda part: getattr(part, "__name__", str(part)))
def test_wrong_parameters(cls, name, value, no_work):
    # ValueError, scikit-learn's InvalidParameterError among them; TypeError where a pair is none.
    net = cls(**{"hidden_layer_sizes": (5,), name: value})
    with pytest.raises(
        (ValueError, TypeError), match=name.removesuffix("_sizes") if name == "hidden_layer_sizes" else name
    ):
        net.fit(X, Y)
    assert not hasattr(net, "coefs_")


def test_every_parameter_is_in_the_table():
    for cls, more in ((MLPClassifier, OF_CLASSIFIER), (MLPRegressor, OF_REGRESSOR)):
        assert {name for name, _ in WRONG + more} == set(cls().get_params())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "lbfgs", "dropout": 0.5}, "lbfgs"),
        ({"solver": "lbfgs", "max_grad_norm": 1.0}, "lbfgs"),
        ({"solver": "rprop", "batch_size": 10}, "rprop"),
        ({"early_stopping": True, "validation_fraction": 0.01}, "validation set is too small"),
    ],
)
def test_parameters_that_do_not_go_together(settings, message, no_work):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**settings).fit(X, X[:, 0])


HUGE = 1e300 * X
DATA = {
    "NaN": (np.where(X > 2, np.nan, X), Y, "NaN"),
    "infinity": (np.where(X > 2, np.inf, X), Y, "infinity"),
    "one dimension": (X[:, 0], Y, "Expected 2D array"),
    "three dimensions": (X[np.newaxis], Y, "dim 3"),
    "no samples": (X[:0], Y[:0], "minimum of 1 is required"),
    "no features": (X[:, :0], Y, "minimum of 1 is required"),
    "strings": (np.array([["a"] * 3] * 30), Y, "could not convert"),
    "complex": (X + 1j, Y, "Complex"),
    "lengths": (X, Y[:9], "inconsistent numbers of samples"),
    "no targets": (X, None, "requires y to be passed"),
    "NaN in y": (X, np.where(Y > 1, np.nan, Y), "NaN"),
    "ragged": ([[1, 2], [3]], Y[:2], "inhomogeneous|setting an array element"),
}


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("rows", "y", "message"), DATA.values(), ids=DATA)
def test_wrong_data(cls, rows, y, message, no_work):
    with pytest.raises(ValueError, match=message):
        cls().fit(rows, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(9), "inconsistent|shape"),
        (np.full(30, np.nan), "NaN"),
        (-np.ones(30), "[Nn]egative"),
        (np.zeros(30), "at least one non-zero"),
        (np.full(30, 1e-305), "scale them"),
        (np.ones((30, 2)), "1D"),
    ],
)
def test_wrong_weights(weights, message, no_work):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(X, Y, sample_weight=weights)


def test_targets_that_the_loss_or_the_dtype_cannot_take(no_work):
    with pytest.raises(ValueError, match="poisson"):
        MLPRegressor("poisson").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="too large for float32"):
        MLPRegressor().fit(X.astype(np.float32), 1e300 * X[:, 0])
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"Multioutput target|multiclass-multioutput"):
        MLPClassifier().fit(X, np.column_stack([Y, Y]))


@pytest.fixture
def fitted():
    return MLPClassifier((5,), warm_start=True, max_iter=400, tol=0.1, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "rows", "y", "message"),
    [
        ({"hidden_layer_sizes": (6,)}, X, Y, "layers of"),
        ({"hidden_layer_sizes": (5, 5)}, X, Y, "layers of"),
        ({}, X[:, :2], Y, "expecting 3 features"),
        ({}, X, Y % 2, "same classes"),
        ({"alpha": -1}, X, Y, "alpha"),
    ],
)
def test_a_warm_start_that_does_not_suit_leaves_the_net(fitted, settings, rows, y, message, no_work_after):
    before = fitted.predict_proba(X)
    fitted.set_params(**settings)
    no_work_after()
    with pytest.raises(ValueError, match=message):
        fitted.fit(rows, y)
    fitted.set_params(hidden_layer_sizes=(5,), alpha=1e-4)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[:, :2], "expecting 3 features"), (X[0], "Expected 2D array"), (np.full((2, 3), np.nan), "NaN"),
        (X[:0], "minimum of 1 is required"), (np.array([["a"] * 3]), "could not convert|dtype"),
    ],
)  # fmt: skip
def test_wrong_data_to_predict(fitted, rows, message):
    for method in (fitted.predict, fitted.predict_proba, fitted.predict_log_proba):
        with pytest.raises(ValueError, match=message):
            method(rows)


def test_the_first_batch_needs_the_classes(no_work):
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, Y)


def test_floats_too_large_for_float32_to_predict():
    net = MLPRegressor(max_iter=400, tol=0.1, random_state=0).fit(X.astype(np.float32), X[:, 0])
    with pytest.raises(ValueError, match="too large for float32"):
        net.predict(HUGE)
