"""Degenerate data: what comes out is finite and has the shape it should have, or an error says clearly what is wrong."""

import re
import warnings

import numpy as np
import pytest
from scipy import sparse

from fastmlp import MLPClassifier, MLPRegressor, cross_validate, train, train_many

TRIAL = "degenerate data are finite or a clear error"
RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((12, 3))
Y = np.arange(12) % 3
VALUES = X @ [1.0, -2.0, 0.5]
ONE = (np.arange(12) == 4) * 1.0
FIRST = (np.arange(12) < 4) * 1.0
NAMES = r"(?<!\w)(X|y|sample_weight|class_weight|validation|hidden|batch_size)(?!\w)"
SMALL = {"hidden": 4, "epochs": 3, "seed": 0}
# Warnings of our own; NumPy's are none of anybody's.
OURS = ("the objective is not finite in epoch", "L-BFGS stopped after", "Stochastic Optimizer", "lbfgs failed to converge")


def scaled(factor):
    return X * factor


# Of each: X, y, and options.
CASES = {
    "one row": (X[:1], VALUES[:1], {}),
    "one row of a class": (X[:1], Y[:1], {}),
    "one row of labels": (X[:1], (X[:1] > 0).astype(int), {}),
    "one feature": (X[:, :1], Y, {}),
    "one feature, one row": (X[:1, :1], VALUES[:1], {}),
    "one class": (X, np.zeros(12, int), {}),
    "one class of texts": (X, np.full(12, "a"), {}),
    "two rows": (X[:2], Y[:2], {}),
    "two rows alike": (X[[0, 0]], Y[:2], {}),
    "two rows alike, values": (X[[0, 0]], VALUES[:2], {}),
    "all rows alike": (np.repeat(X[:1], 12, 0), Y, {}),
    "all rows alike, values": (np.repeat(X[:1], 12, 0), VALUES, {}),
    "duplicates": (np.concatenate([X, X]), np.concatenate([Y, Y]), {}),
    "duplicates that contradict each other": (np.concatenate([X, X]), np.concatenate([Y, 2 - Y]), {}),
    "a constant column": (np.where([True, False, False], 3.0, X), Y, {}),
    "constant columns": (np.full((12, 3), 7.0), Y, {}),
    "columns of zeros": (np.zeros((12, 3)), Y, {}),
    "columns of negative zeros": (-np.zeros((12, 3)), VALUES, {}),
    "columns alike": (X[:, [0, 0, 0]], Y, {}),
    "constant y": (X, np.full(12, 2.5), {}),
    "y of zeros": (X, np.zeros(12), {"loss": "squared_error"}),
    "counts of zero": (X, np.zeros(12), {"loss": "poisson"}),
    "constant columns and y": (np.ones((12, 3)), np.full(12, -1.5), {}),
    "labels that are all 0": (X, np.zeros((12, 2), int), {}),
    "labels that are all 1": (X, np.ones((12, 2), int), {}),
    "labels with a constant one": (X, np.column_stack([Y > 0, np.ones(12, int)]).astype(int), {}),
    "more features than rows": (RANDOM.standard_normal((3, 40)), Y[:3], {}),
    "a class for each row": (X, np.arange(12), {}),
    "a class of one row": (X, (np.arange(12) == 3).astype(int), {}),
    "fewer rows than a batch": (X, Y, {"batch_size": 12}),
    "more rows asked for than there are": (X, Y, {"batch_size": 100}),
    "a batch of one": (X, Y, {"batch_size": 1}),
    "a batch of one, values": (X, VALUES, {"batch_size": 1}),
    "a last batch of one": (X, Y, {"batch_size": 11}),
    "no hidden layer": (X, Y, {"hidden": ()}),
    "no hidden layer, one row": (X[:1], VALUES[:1], {"hidden": ()}),
    "one unit": (X, Y, {"hidden": 1}),
    "ones units": (X[:, :1], VALUES, {"hidden": (1, 1, 1)}),
    "one epoch": (X, Y, {"epochs": 1}),
    "patience of one": (X, Y, {"patience": 1, "epochs": 20}),
    "patience of one and no tolerance": (X, VALUES, {"patience": 1, "tol": 0, "epochs": 20}),
    "patience without end": (X, Y, {"patience": 2**63 - 1}),
    "callbacks without end": (X, Y, {"callback_every": 2**63 - 1, "callback": print}),
    "evaluations without end": (X, Y, {"solver": "lbfgs", "max_fun": 2**63 - 1}),
    "threads without end": (X, Y, {"threads": 2**63 - 1}),
    "a batch without end": (X, Y, {"batch_size": 2**63 - 1}),
    "weights on one row": (X, Y, {"sample_weight": ONE}),
    "weights on one row, batches of 1": (X, Y, {"sample_weight": ONE, "batch_size": 1}),
    "batches without weight": (X, Y, {"sample_weight": FIRST, "batch_size": 4, "shuffle": False}),
    "batches without weight, shuffled": (X, VALUES, {"sample_weight": FIRST, "batch_size": 2}),
    "a first batch without weight": (X, Y, {"sample_weight": 1 - FIRST, "batch_size": 4, "shuffle": False}),
    "weights of one class": (X, Y, {"sample_weight": (Y == 1) * 1.0}),
    "no weight of a class": (X, Y, {"class_weight": {0: 0}}),
    "tiny weights": (X, Y, {"sample_weight": np.full(12, 1e-30)}),
    "weights too small": (X, Y, {"sample_weight": np.full(12, 1e-300)}),
    "huge weights": (X, Y, {"sample_weight": np.full(12, 1e30)}),
    "weights far apart": (X, Y, {"sample_weight": np.where(ONE, 1e30, 1e-30)}),
    "validation of one row": (X, VALUES, {"validation": 0.08}),
    "validation that leaves one row": (X, VALUES, {"validation": 0.92}),
    "validation that leaves one of each class": (X, Y, {"validation": 0.99}),
    "validation with a class of one row": (X, (np.arange(12) == 3).astype(int), {"validation": 0.3}),
    "validation with a class for each row": (X, np.arange(12), {"validation": 0.3}),
    "validation of two rows": (X[:2], VALUES[:2], {"validation": 0.5}),
    "validation of one row for all": (X[:1], VALUES[:1], {"validation": 0.5}),
    "validation by accuracy": (X, Y, {"validation": 0.3, "metric": "accuracy", "patience": 1}),
    "validation by R2 of one row": (X, VALUES, {"validation": (X[:1], VALUES[:1]), "metric": "r2", "patience": 1}),
    "validation by R2 of constant values": (X, np.full(12, 2.0), {"validation": 0.3, "metric": "r2"}),
    "validation of a class alone": (X, Y, {"validation": (X[Y == 1], Y[Y == 1])}),
    "validation without weight": (X, Y, {"validation": 0.3, "sample_weight": ONE}),
    "a class that is not in training": (X, Y, {"sample_weight": (Y < 2) * 1.0, "validation": (X, Y)}),
    "tiny values": (scaled(1e-30), Y, {}),
    "values that are tinier": (scaled(1e-300), VALUES, {}),
    "denormal values": (np.full((12, 3), 5e-324), Y, {}),
    "denormal values of float32": (np.full((12, 3), 1e-45), Y, {}),
    "a column of denormal spread": (np.where([True, False, False], X * 5e-324, X), Y, {}),
    "values that differ by a bit": (1 + X * 1e-16, Y, {}),
    "tiny targets": (X, VALUES * 1e-30, {}),
    "targets that are tinier": (X, VALUES * 1e-300, {}),
    "denormal targets": (X, np.full(12, 5e-324), {}),
    "large targets": (X, VALUES * 1e15, {}),
    "truths alone": (X > 0, X[:, 0] > 0, {}),
    "smoothing of all": (X, Y, {"label_smoothing": 1.0}),
    "dropout of nearly all": (X, Y, {"dropout": 0.999}),
    "dropout of one unit": (X, Y, {"dropout": 0.5, "hidden": 1}),
    "a norm of nearly nothing": (X, Y, {"max_grad_norm": 1e-30}),
    "penalties alone": (X, Y, {"l2": 1e3, "l1": 1e3, "learning_rate": 1e-6}),
    "start weights of zero": (X, Y, {"init": ([np.zeros((3, 4)), np.zeros((4, 3))], [np.zeros(4), np.zeros(3)])}),
    "no rate": (X, Y, {"schedule": lambda epoch: 0.0}),
}  # fmt: skip
SOLVERS = ("sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs")
# What solvers of full batches take as well.
OF_BATCHES = {"batch_size", "solver", "schedule", "dropout", "max_grad_norm"}
FULL = [what for what, (_, _, options) in CASES.items() if not options.keys() & OF_BATCHES]


def tried(work, check):
    """Whether what the work makes passes the check, or an error names an argument; and NumPy has no word in it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check(work())
        except (TypeError, ValueError) as error:
            if not re.search(NAMES, str(error)):
                raise AssertionError(f"names nothing: {error}") from error
    for warning in caught:
        ours = warning.category is UserWarning or str(warning.message).startswith(OURS)
        assert ours, f"{warning.category.__name__}: {warning.message}"


def finite(net, X, y):
    """Fail unless all that a net is and says is finite and of the right shape."""
    assert np.isfinite(net.params).all()
    assert np.isfinite(net.loss_curve).all()
    if net.validation_curve is not None:
        assert np.isfinite(net.validation_curve).all()
    predicted = net.predict(X)
    assert predicted.shape == np.shape(y)
    assert predicted.dtype.kind in "US" or np.isfinite(predicted).all()
    # Of targets next to nothing the score may be beyond all floats.
    score = net.score(X, y)
    assert np.isfinite(score) or (score == -np.inf and not net.is_classifier and np.abs(y).max() < 1e-150)
    if net.is_classifier:
        probabilities = net.predict_proba(X)
        assert probabilities.shape == (len(X), len(net.classes) if net.classes is not None else net.sizes[-1])
        assert np.isfinite(probabilities).all()
        assert (probabilities >= 0).all()
        if net.classes is not None:
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["kernels", "reference"])
def test_train(engine, dtype, trials):
    with trials(TRIAL) as trial:
        for what, (samples, y, options) in CASES.items():
            with trial.case(f"train, {engine}, {dtype}: {what}"):
                given = {**SMALL, "dtype": dtype, "engine": engine, **options}
                tried(lambda X=samples, y=y, g=given: train(X, y, **g), lambda net, X=samples, y=y: finite(net, X, y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_solvers(dtype, trials, count):
    with trials(TRIAL) as trial:
        for number, solver in enumerate(SOLVERS):
            for what in FULL[number % count(6, 1) :: count(6, 1)]:
                samples, y, options = CASES[what]
                with trial.case(f"{solver}, {dtype}: {what}"):
                    given = {**SMALL, "dtype": dtype, "solver": solver, "epochs": 30, **options}
                    tried(lambda X=samples, y=y, g=given: train(X, y, **g), lambda net, X=samples, y=y: finite(net, X, y))


def test_both_engines_alike(trials):
    """Where one refuses the other does, in the same words."""
    with trials(TRIAL) as trial:
        for what, (samples, y, options) in CASES.items():
            with trial.case(f"engines: {what}"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                told = []
                for engine in ("kernels", "reference"):
                    try:
                        told.append(train(samples, y, engine=engine, **{**SMALL, **options}).status)
                    except ValueError as error:
                        told.append(str(error))
                assert told[0] == told[1]


def test_sweeps_and_folds(trials):
    """Nets abreast are no less careful; what one cannot be is its own error."""
    with trials(TRIAL) as trial:
        for what, (samples, y, options) in CASES.items():
            with trial.case(f"sweep: {what}"):
                tried(
                    lambda X=samples, y=y, o=options: train_many(
                        X, y, [{"seed": seed} for seed in range(9)], **{**SMALL, **o}
                    ),
                    lambda sweep, X=samples, y=y: [finite(net, X, y) for net in sweep],
                )
        for what in ("constant columns", "constant y", "a class for each row", "one feature", "two rows", "y of zeros"):
            samples, y, options = CASES[what]
            with trial.case(f"folds: {what}"):
                tried(
                    lambda X=samples, y=y, o=options: cross_validate(X, y, {**SMALL, **o}, cv=2).scores,
                    lambda scores: np.testing.assert_array_equal(np.isfinite(scores), True),
                )


ESTIMATORS = {
    "as it is": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "early stopping of few": {"early_stopping": True, "validation_fraction": 0.1},
    "L-BFGS": {"solver": "lbfgs"},
    "Rprop": {"solver": "rprop"},
    "batches of 1": {"batch_size": 1},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "patience without end": {"n_iter_no_change": 2**63 - 1},
}
# As scikit-learn words it.
REFUSED = (
    r"The validation set is too small|should be greater or equal to the number of classes|n_samples=1|only 1 member|"
    r"least populated class|will be empty|non-finite parameter weights|Unknown label type"
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_estimators(dtype, trials, count):
    def check(net):
        assert all(np.isfinite(part).all() for part in (*net.coefs_, *net.intercepts_))
        assert np.isfinite(net.loss_curve_).all()
        predicted = net.predict(samples)
        assert len(predicted) == len(samples)
        if isinstance(net, MLPClassifier):
            probabilities = net.predict_proba(samples)
            assert probabilities.shape[1] == len(net.classes_)
            assert np.isfinite(probabilities).all()
            assert np.isfinite(net.predict_log_proba(samples[:, :])).all() or probabilities.min() == 0
        else:
            assert np.isfinite(predicted).all()

    def fit(make, parameters, y, weights):
        try:
            return make(**{"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0, **parameters}).fit(
                samples, y, weights
            )
        except ValueError as error:
            if re.search(REFUSED, str(error)):
                raise ValueError(f"y: {error}") from None
            raise

    with trials(TRIAL) as trial:
        for number, (what, (given, y, options)) in enumerate(CASES.items()):
            if options.keys() - {"sample_weight"}:
                continue
            make = MLPRegressor if np.asarray(y).dtype.kind == "f" else MLPClassifier
            with np.errstate(under="ignore", over="ignore"):
                samples = np.asarray(given).astype(dtype)
            for way, parameters in [*ESTIMATORS.items()][number % count(4, 1) :: count(4, 1)]:
                with trial.case(f"{make.__name__}, {np.dtype(dtype)}, {way}: {what}"):
                    tried(lambda m=make, p=parameters, y=y, o=options: fit(m, p, y, o.get("sample_weight")), check)


def test_no_rows_to_predict(trials):
    """An empty batch is told, not answered."""
    net = train(X, Y, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = MLPClassifier((3,), max_iter=2, random_state=0).fit(X, Y)
    with trials(TRIAL) as trial:
        for rows in (X[:0], X[:0].astype(np.float32), [], sparse.csr_matrix(X[:0])):
            for method in (net.predict, net.predict_proba, lambda rows: net.score(rows, [])):
                with trial.case("no rows"), pytest.raises((ValueError, TypeError), match=r"^X "):
                    method(rows)
            for method in (estimator.predict, estimator.predict_proba, lambda rows: estimator.score(rows, [])):
                with trial.case("no rows, estimators"), pytest.raises(ValueError, match=r"(?<!\w)X(?!\w)"):
                    method(rows)
