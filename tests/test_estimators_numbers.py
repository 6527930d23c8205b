"""The estimators' numbers are scikit-learn's: attributes, predictions and what is drawn at random."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csc_matrix, csr_array, csr_matrix
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.preprocessing import scale

import fastmlp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CLASSES = {name: (getattr(neural_network, name), getattr(fastmlp, name)) for name in ("MLPClassifier", "MLPRegressor")}
SHARED = ("loss_", "loss_curve_", "best_loss_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_")
OF_VALIDATION = ("validation_scores_", "best_validation_score_")


def loaded(name, rows=None):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return scale(X)[:rows], y[:rows] if name in ("iris", "wine", "breast_cancer", "digits") else scale(y)[:rows]


def made(name, *arguments, **settings):
    X, y = getattr(datasets, f"make_{name}")(*arguments, random_state=0, **settings)
    return X, scale(y) if name in ("regression", "friedman1", "friedman2", "friedman3", "sparse_uncorrelated") else y


CLASSIFICATION = {
    "iris": loaded("iris"),
    "wine": loaded("wine"),
    "breast_cancer": loaded("breast_cancer"),
    "digits": loaded("digits", 600),
    "moons": made("moons", 200, noise=0.2),
    "circles": made("circles", 150, noise=0.1),
    "blobs": made("blobs", 120, centers=4),
    "two classes": made("classification", 450),
    "three classes": made("classification", 210, n_informative=5, n_classes=3),
    "five classes": made("classification", 333, n_informative=8, n_classes=5),
    "quantiles": made("gaussian_quantiles", n_samples=250, n_features=4),
    "multilabel": made("multilabel_classification", 220, n_classes=4),
}
REGRESSION = {
    "diabetes": loaded("diabetes"),
    "linnerud": loaded("linnerud"),
    "regression": made("regression", 230, 12),
    "three outputs": made("regression", 205, 6, n_targets=3),
    "friedman1": made("friedman1", 210),
    "friedman2": (scale(made("friedman2", 150)[0]), made("friedman2", 150)[1]),
    "friedman3": (scale(made("friedman3", 150)[0]), made("friedman3", 150)[1]),
    "uncorrelated": made("sparse_uncorrelated", 201, 10),
    "one feature": (np.linspace(-2, 2, 90)[:, np.newaxis], np.sin(np.linspace(-2, 2, 90))),
}
SETS = [("MLPClassifier", name) for name in CLASSIFICATION] + [("MLPRegressor", name) for name in REGRESSION]
DATA = {**CLASSIFICATION, **REGRESSION}


def both(name, X, y, fit=None, **settings):
    """scikit-learn's and ours, fitted alike."""
    settings = {"hidden_layer_sizes": (20,), "random_state": 3, "max_iter": 20, **settings}
    nets = [cls(**settings) for cls in CLASSES[name]]
    return [net.fit(X, y, **(fit or {})) for net in nets]


def close(a, b, tolerance):
    """max|a - b| / max|b|, over all layers."""
    scales = [max(np.abs(part).max(), 1e-300) for part in a]
    return max(np.abs(p - q).max() / s for p, q, s in zip(a, b, scales, strict=True)) <= tolerance


def assert_same(theirs, ours, X, tolerance=1e-9, losses=True):
    """All that both say of themselves, and what they predict."""
    assert close(theirs.coefs_, ours.coefs_, tolerance)
    assert close(theirs.intercepts_, ours.intercepts_, tolerance)
    assert [part.dtype for part in theirs.coefs_] == [part.dtype for part in ours.coefs_]
    for name in SHARED:
        if hasattr(theirs, name) and (losses or "loss" not in name):
            expected, found = getattr(theirs, name), getattr(ours, name)
            assert found == expected or found == pytest.approx(expected, rel=tolerance, abs=tolerance), name
    for name in OF_VALIDATION:
        if hasattr(theirs, name):
            assert getattr(ours, name) == getattr(theirs, name) or getattr(ours, name) == pytest.approx(
                getattr(theirs, name), rel=tolerance
            )
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        right = np.asarray(theirs.predict(X) == ours.predict(X))
        assert right.mean() >= 0.999
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=100 * tolerance)
        assert ours.predict(X).dtype == theirs.predict(X).dtype
    else:
        predicted = theirs.predict(X)
        np.testing.assert_allclose(ours.predict(X), predicted, rtol=0, atol=100 * tolerance * np.abs(predicted).max())


def objective(net, X, y):
    """Half the squared errors of a sample, summed over the outputs, and the penalty."""
    squares = sum((weights.astype(np.float64) ** 2).sum() for weights in net.coefs_)
    return (((net.predict(X) - y) ** 2).sum() + net.alpha * squares) / (2 * len(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(("name", "data"), SETS)
def test_twenty_data_sets(name, data, solver, dtype):
    X, y = DATA[data]
    X = np.ascontiguousarray(X, dtype)
    # With two moons a line search turns on the last bit in the eleventh iteration.
    theirs, ours = both(name, X, y, solver=solver, max_iter=10 if (solver, data) == ("lbfgs", "moons") else 20)
    several = y.ndim == 2 and name == "MLPRegressor"
    if solver == "lbfgs" and several:
        # There scikit-learn's objective is the mean over the outputs, and its gradient that of the sum: ours agree.
        assert ours.loss_ == pytest.approx(objective(ours, X, y), rel=1e-9 if dtype == np.float64 else 1e-5)
        assert theirs.loss_ < 0.9 * objective(theirs, X, y)
        return
    if solver == "lbfgs" and dtype == np.float32:
        # And there it goes on in float64.
        assert [part.dtype for part in ours.coefs_] == [np.float32] * 2
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=2e-2)
        return
    # It reports no probability below the dtype's resolution, which these digits have in float32.
    losses = not several and not (data == "digits" and dtype == np.float32)
    tolerance = 1e-7 if dtype == np.float64 else 1e-3
    assert_same(theirs, ours, X, tolerance, losses)
    if losses and solver != "lbfgs":
        assert len(ours.loss_curve_) == ours.n_iter_
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)


OPTIONS = {
    "batches with a rest": {"batch_size": 32},
    "no shuffling": {"batch_size": 32, "shuffle": False},
    "identity": {"activation": "identity"},
    "logistic": {"activation": "logistic", "batch_size": 32},
    "tanh": {"activation": "tanh", "batch_size": 32},
    "two layers": {"hidden_layer_sizes": (8, 5), "batch_size": 32},
    "penalty": {"alpha": 1.0, "batch_size": 32},
    "no momentum": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "plain momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05},
    "full momentum": {"solver": "sgd", "momentum": 1.0, "max_iter": 5},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.5},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "max_iter": 40, "tol": 0.2},
    "adaptive, adam": {"learning_rate": "adaptive", "max_iter": 60, "tol": 0.1, "n_iter_no_change": 3},
    "adam's own": {"beta_1": 0.7, "beta_2": 0.99, "epsilon": 1e-3},
    "tolerance": {"tol": 0.5, "n_iter_no_change": 2, "max_iter": 100},
    "no end": {"tol": 10.0, "n_iter_no_change": np.inf, "max_iter": 30},
    "early stopping": {"early_stopping": True, "max_iter": 60, "batch_size": 32, "n_iter_no_change": 5},
    "early stopping, a third": {"early_stopping": True, "validation_fraction": 0.33, "max_iter": 40},
    "early stopping, adaptive": {
        "early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.3, "max_iter": 80,
        "n_iter_no_change": 3,
    },
    "lbfgs": {"solver": "lbfgs", "early_stopping": True, "max_iter": 10},
    "max_fun": {"solver": "lbfgs", "max_fun": 7},
}  # fmt: skip
OF_OPTIONS = [
    ("MLPClassifier", "moons"), ("MLPClassifier", "three classes"), ("MLPClassifier", "multilabel"),
    ("MLPRegressor", "friedman1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), OF_OPTIONS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options(name, data, options):
    X, y = DATA[data]
    theirs, ours = both(name, X, y, **options)
    assert_same(theirs, ours, X, 1e-7)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(("name", "data"), OF_OPTIONS)
def test_sample_weights(name, data, solver, early_stopping):
    X, y = DATA[data]
    weights = np.random.default_rng(0).integers(0, 4, len(X)) / 2
    theirs, ours = both(
        name, X, y, {"sample_weight": weights}, solver=solver, early_stopping=early_stopping, batch_size=64, max_iter=15
    )
    # The batches' losses are not means by samples' weights there.
    assert_same(theirs, ours, X, 1e-7, losses=False)


def test_poisson():
    random = np.random.default_rng(0)
    X = random.standard_normal((150, 4))
    y = random.poisson(np.exp(X[:, 0] / 2))
    for solver in ("sgd", "adam", "lbfgs"):
        theirs, ours = both("MLPRegressor", X, y, loss="poisson", solver=solver, learning_rate_init=0.01)
        assert_same(theirs, ours, X, 1e-7)
        assert ours.out_activation_ == "exp"


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [32, 1000])
def test_batches_larger_than_the_data_are_clipped_with_a_warning(batch_size, early_stopping):
    X, y = CLASSIFICATION["moons"]
    nets = []
    for cls in CLASSES["MLPClassifier"]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            nets.append(cls(batch_size=batch_size, max_iter=5, random_state=0, early_stopping=early_stopping).fit(X, y))
        clipped = [str(warning.message) for warning in caught if "clipped" in str(warning.message)]
        assert len(clipped) == (batch_size == 1000)
    assert_same(*nets, X, 1e-9)


@pytest.mark.parametrize("batch_size", [32, "auto"])
@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "sgd", "learning_rate": "invscaling"}, {"n_iter_no_change": 3, "tol": 0.2}, {"solver": "lbfgs"}],
)
def test_warm_starts(options, batch_size):
    X, y = CLASSIFICATION["three classes"]
    nets = [
        cls(warm_start=True, max_iter=6, random_state=1, batch_size=batch_size, **options)
        for cls in CLASSES["MLPClassifier"]
    ]
    for _ in range(4):
        for net in nets:
            net.fit(X, y)
        assert_same(*nets, X, 1e-7)
    assert nets[1]._no_improvement_count == getattr(nets[0], "_no_improvement_count", 0)


PARTIAL = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 2},
}


@pytest.mark.parametrize("after_fit", [False, True])
@pytest.mark.parametrize("random_state", [0, "generator"])
@pytest.mark.parametrize("batch_size", [16, "auto"])
@pytest.mark.parametrize("options", PARTIAL.values(), ids=PARTIAL)
def test_partial_fits(options, batch_size, random_state, after_fit):
    X, y = CLASSIFICATION["three classes"]
    nets = []
    for cls in CLASSES["MLPClassifier"]:
        random = np.random.RandomState(5) if random_state == "generator" else random_state
        net = cls(batch_size=batch_size, random_state=random, max_iter=4, **options)
        if after_fit:
            net.fit(X, y)
        for start in range(0, 200, 40):
            size = 40 if start != 120 else 23
            net.partial_fit(X[start : start + size], y[start : start + size], classes=[0, 1, 2])
        nets.append(net)
    assert_same(*nets, X, 1e-9)
    if options.get("solver") == "sgd":
        assert nets[1]._optimizer.learning_rate == pytest.approx(nets[0]._optimizer.learning_rate, rel=1e-12)


def test_partial_fits_of_a_regressor_with_weights():
    X, y = REGRESSION["friedman1"]
    weights = np.random.default_rng(0).uniform(0, 2, len(X))
    nets = [cls(random_state=0) for cls in CLASSES["MLPRegressor"]]
    for net in nets:
        for rows in np.array_split(np.arange(len(X)), 6):
            net.partial_fit(X[rows], y[rows], sample_weight=weights[rows])
    assert_same(*nets, X, 1e-9, losses=False)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [32, "auto"])
def test_a_generator_is_left_where_scikit_learn_leaves_it(batch_size, early_stopping):
    X, y = CLASSIFICATION["moons"]
    for seeded in (False, True):
        left = []
        for cls in CLASSES["MLPClassifier"]:
            random = None if seeded else np.random.RandomState(7)
            np.random.seed(7)  # noqa: NPY002
            settings = {"batch_size": batch_size, "early_stopping": early_stopping, "n_iter_no_change": 3, "max_iter": 30}
            nets = [cls(random_state=random, **settings).fit(X, y) for _ in range(2)]
            left.append((nets, (np.random.mtrand._rand if seeded else random).uniform()))
        (theirs, after), (ours, ours_after) = left
        assert after == ours_after
        assert all(close(a.coefs_, b.coefs_, 1e-7) for a, b in zip(theirs, ours, strict=True))


LABELS = {
    "strings": lambda y: np.array(["red", "green", "blue"])[y],
    "objects": lambda y: np.array(["red", "green", "blue"], object)[y],
    "floats": lambda y: 2.0 * y,
    "truth values": lambda y: y > 0,
    "negative": lambda y: y - 1,
    "a list": lambda y: y.tolist(),
    "a series": lambda y: pd.Series(y).map({0: "a", 1: "b", 2: "c"}).astype("category"),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels(labels, early_stopping):
    X, y = CLASSIFICATION["three classes"]
    assert_same(*both("MLPClassifier", X, labels(y), early_stopping=early_stopping), X, 1e-9)


@pytest.mark.parametrize("name", CLASSES)
def test_a_column_of_targets(name):
    X, y = CLASSIFICATION["moons"]
    with pytest.warns(DataConversionWarning):
        theirs, ours = both(name, X, y.reshape(-1, 1))
    assert_same(theirs, ours, X)


INPUTS = {
    "csr": csr_matrix,
    "csr array": csr_array,
    "csc": csc_matrix,
    "Fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]),
    "polars": lambda X: pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])]),
    "float16": lambda X: X.astype(np.float16),
    "integers": lambda X: (3 * X).astype(int),
}


@pytest.mark.parametrize("options", [{}, {"batch_size": 32}, {"early_stopping": True}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("of", INPUTS.values(), ids=INPUTS)
def test_inputs(of, options):
    X, y = CLASSIFICATION["three classes"]
    given = of(X)
    theirs, ours = both("MLPClassifier", given, y, **options)
    assert_same(theirs, ours, given, 1e-7)
    assert ours.n_features_in_ == X.shape[1]
    assert list(getattr(ours, "feature_names_in_", [])) == list(getattr(theirs, "feature_names_in_", []))


def test_they_warn_of_the_last_iteration_alike():
    X, y = CLASSIFICATION["moons"]
    for solver in ("adam", "lbfgs"):
        told = []
        for cls in CLASSES["MLPClassifier"]:
            with pytest.warns(ConvergenceWarning) as caught:
                cls(solver=solver, max_iter=3, random_state=0).fit(X, y)
            told.append([str(warning.message) for warning in caught])
        assert told[0] == told[1]
