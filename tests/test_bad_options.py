"""Options that cannot be meant: errors that name them, their value and the remedy, before any work."""

import warnings

import numpy as np
import pytest

from fastmlp import train

X = np.random.default_rng(1).standard_normal((12, 3))
Y = np.arange(12) % 2
VALUES = X[:, 0] - X[:, 1]
NAN, INF = np.nan, np.inf

# Of each number: its name, values of a wrong type, values out of range, and what is asked for.
NUMBERS = [
    ("weight_decay", ["a", None, 1j, [1.0]], [-1, NAN, INF], "from 0 on"),
    ("rho", ["a", None], [-0.1, 1, NAN], "from 0 and below 1"),
    ("l1", ["a", None, [0.1]], [-1e-9, NAN, INF], "from 0 on"),
    ("max_grad_norm", ["a", [1]], [0, -1, NAN, INF], "above 0"),
    ("label_smoothing", ["a", None], [-0.1, 1.1, NAN], "from 0 to 1"),
    ("delta", ["a", None], [0, -1, NAN, INF], "above 0"),
    ("quantile", ["a", None], [0, 1, -0.1, NAN], "above 0 and below 1"),
    ("dropout", ["a", None, 1j], [-0.1, 1, 1.5, NAN], "from 0 and below 1"),
    ("tol", ["a", None], [-1e-9, NAN, INF], "from 0 on"),
    ("max_seconds", ["a", [1]], [0, -1, NAN, INF], "above 0"),
    ("momentum", ["a", None], [NAN, INF], "from 0 and below 1"),
]
WHOLE_NUMBERS = ["patience", "max_fun", "callback_every", "epochs"]


def refused(error, message, y=Y, **options):
    """Whether the training is refused with such an error, without a word beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message) as caught:
            train(X, y, **options)
    assert type(caught.value) is error


@pytest.mark.parametrize(("name", "no_numbers", "out_of_range", "wanted"), NUMBERS)
def test_numbers(name, no_numbers, out_of_range, wanted, no_work):
    for value in no_numbers:
        refused(TypeError, rf"^{name}={value!r}: give a number {wanted}$".replace("[", r"\["), **{name: value})
    for value in out_of_range:
        refused(ValueError, rf"^{name}={value!r}: give a finite number {wanted}$", **{name: value})


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
def test_whole_numbers(name, no_work):
    for value in (1.5, "a", True, np.True_, [1]):
        refused(TypeError, rf"^{name}=.*: give a whole number from 1 on$", **{name: value})
    for value in (0, -1, np.int64(-3)):
        refused(ValueError, rf"^{name}=.*{int(value)}.*: give a whole number from 1 on$", **{name: value})


BAD = [
    ({"etas": 0.5}, TypeError, r"etas=0\.5: give two numbers"),
    ({"etas": (0.5, 1.2, 2)}, TypeError, r"etas=\(0\.5, 1\.2, 2\): give two numbers"),
    ({"etas": ("a", 1.2)}, TypeError, r"etas\[0\]='a': give a number above 0"),
    ({"etas": (0, 1.2)}, ValueError, r"etas\[0\]=0: give a finite number above 0"),
    ({"etas": (0.5, NAN)}, ValueError, r"etas\[1\]=nan"),
    ({"etas": (0.5, 0.9)}, ValueError, r"etas=\(0\.5, 0\.9\): .*the first no more and the second no less than 1"),
    ({"etas": (1.1, 1.2)}, ValueError, r"etas=\(1\.1, 1\.2\)"),
    ({"step_sizes": None}, TypeError, r"step_sizes=None: give two numbers"),
    ({"step_sizes": (1, 0.1)}, ValueError, r"step_sizes=\(1, 0\.1\): give two numbers, the lesser one first"),
    ({"step_sizes": (0, 1)}, ValueError, r"step_sizes\[0\]=0"),
    ({"step_sizes": (1e-6, INF)}, ValueError, r"step_sizes\[1\]=inf"),
    ({"dropout": [0.1, 0.2]}, ValueError, r"dropout has 2 entries, but there are 1 hidden layers; give one for each"),
    ({"dropout": [], "hidden": 3}, ValueError, r"dropout has 0 entries"),
    ({"dropout": [0.1], "hidden": ()}, ValueError, r"dropout has 1 entries, but there are 0 hidden layers"),
    ({"dropout": (0.1, 1.0), "hidden": (3, 3)}, ValueError, r"dropout\[1\]=1\.0: give a finite number from 0 and below 1"),
    ({"dropout": [0.1, "a"], "hidden": (3, 3)}, TypeError, r"dropout\[1\]='a'"),
    ({"solver": "newton"}, ValueError, r"solver='newton' is unknown: choose one of 'sgd', 'adam', 'adamw', 'rmsprop', 'rp"),
    ({"activation": "sigmoid"}, ValueError, r"activation='sigmoid' is unknown: .*'logistic'.*'gelu', 'silu', 'mish'"),
    (
        {"loss": "mse"},
        ValueError,
        r"loss='mse' is unknown: choose one of .*'absolute_error', 'huber', 'poisson', 'quantile'",
    ),
    ({"schedule": "linear"}, ValueError, r"schedule='linear' is unknown: .*'invscaling', 'adaptive'"),
    ({"shuffle": "yes"}, ValueError, r"shuffle='yes' is unknown: choose True, False or 'blocks'"),
    ({"shuffle": None}, ValueError, r"shuffle=None"),
    ({"callback": 5}, TypeError, r"callback=5: give a function, or None"),
    ({"start": "net"}, TypeError, r"start='net': give a Network to go on from, or None"),
    ({"start": (X, Y)}, TypeError, r"(?s)start=.*: give a Network"),
    ({"metric": "f1"}, ValueError, r"metric='f1' is unknown: choose one of 'loss', 'accuracy', 'r2', or give a function"),
    ({"metric": None}, ValueError, r"metric=None is unknown"),
    ({"metric": "r2"}, ValueError, r"metric='r2' does not suit cross_entropy; choose 'loss' or 'accuracy'"),
    ({"metric": "r2", "loss": "binary_cross_entropy"}, ValueError, r"metric='r2' does not suit binary_cross_entropy"),
    (
        {"metric": "accuracy", "y": VALUES},
        ValueError,
        r"metric='accuracy' does not suit squared_error; choose 'loss' or 'r2'",
    ),
    ({"metric": "accuracy", "loss": "huber"}, ValueError, r"metric='accuracy' does not suit huber"),
    ({"loss": "poisson", "y": VALUES}, ValueError, r"y holds -\d.*: loss='poisson' takes counts or rates, from 0 on"),
    # What does not go together.
    ({"solver": "rprop", "batch_size": 5}, ValueError, r"batch_size=5: solver='rprop' takes full batches; leave batch_si"),
    ({"solver": "lbfgs", "batch_size": 12}, ValueError, r"batch_size=12: solver='lbfgs' takes full batches"),
    ({"solver": "rprop", "schedule": "cosine"}, ValueError, r"schedule='cosine': solver='rprop' finds its own steps"),
    ({"solver": "lbfgs", "schedule": "adaptive"}, ValueError, r"schedule='adaptive': solver='lbfgs' finds its own steps"),
    ({"solver": "lbfgs", "dropout": 0.1}, ValueError, r"dropout: solver='lbfgs' needs the same objective at each step"),
    (
        {"solver": "lbfgs", "max_grad_norm": 1},
        ValueError,
        r"max_grad_norm: solver='lbfgs' needs the gradient as it is; leave",
    ),
    ({"schedule": "adaptive", "patience": 0}, ValueError, r"patience=0"),
    ({"schedule": lambda epoch: NAN}, ValueError, r"schedule returned nan for epoch 0"),
    # Weights.
    ({"sample_weight": np.ones(11)}, ValueError, r"sample_weight has shape \(11,\); give one weight for each of the 12"),
    ({"sample_weight": np.ones((12, 2))}, ValueError, r"sample_weight has shape \(12, 2\)"),
    ({"sample_weight": 2.0}, ValueError, r"sample_weight has shape \(\)"),
    ({"sample_weight": [[1], [1, 2]] * 6}, ValueError, r"sample_weight has rows of different lengths"),
    ({"sample_weight": ["a"] * 12}, TypeError, r"sample_weight holds <U1 values; give one number from 0 on for each"),
    ({"sample_weight": np.ones(12) * 1j}, TypeError, r"sample_weight holds complex128 values"),
    ({"sample_weight": [None] * 12}, TypeError, r"sample_weight holds object values"),
    (
        {"sample_weight": np.where(np.arange(12) == 7, -1, 1)},
        ValueError,
        r"sample_weight holds -1\.0 for sample 7; give fin",
    ),
    ({"sample_weight": np.where(np.arange(12) == 3, NAN, 1)}, ValueError, r"sample_weight holds nan for sample 3"),
    ({"sample_weight": np.full(12, INF)}, ValueError, r"sample_weight holds inf for sample 0"),
    (
        {"sample_weight": np.full(12, 1e300), "dtype": "float32"},
        ValueError,
        r"sample_weight holds weights too large for fl",
    ),
    ({"sample_weight": np.zeros(12)}, ValueError, r"weight"),
    ({"class_weight": "auto"}, ValueError, r"class_weight='auto': give 'balanced' or a dict from labels to weights"),
    ({"class_weight": [1, 2]}, TypeError, r"class_weight=\[1, 2\]: give 'balanced' or a dict"),
    ({"class_weight": {3: 1}}, ValueError, r"class_weight: 3 is no label of y; those are 0, 1"),
    ({"class_weight": {"0": 1}}, ValueError, r"class_weight: '0' is no label of y"),
    ({"class_weight": {1: -1}}, ValueError, r"class_weight: -1 for 1; give a finite number from 0 on"),
    ({"class_weight": {1: NAN}}, ValueError, r"class_weight: nan for 1"),
    ({"class_weight": {1: "a"}}, TypeError, r"class_weight: 'a' for 1; give a number from 0 on"),
    ({"class_weight": {1: [1, 2]}}, TypeError, r"class_weight: \[1, 2\] for 1"),
    (
        {"class_weight": "balanced", "y": VALUES},
        ValueError,
        r"class_weight='balanced': there are no classes in y; weight sam",
    ),
    ({"class_weight": {0: 1}, "y": np.column_stack([Y, Y])}, ValueError, r"class_weight=.*: there are no classes in y"),
    # Validation.
    ({"validation": 0}, ValueError, r"validation=0: give a finite number above 0 and below 1"),
    ({"validation": 1}, ValueError, r"validation=1: give"),
    ({"validation": True}, TypeError, r"validation=True: give"),
    ({"validation": NAN}, ValueError, r"validation=nan"),
    ({"validation": "0.1"}, TypeError, r"validation='0\.1': give a share such as 0\.1, or \(X_val, y_val\), or None"),
    ({"validation": (X,)}, TypeError, r"(?s)validation=.*: give a share such as 0\.1, or \(X_val, y_val\), or None"),
    ({"validation": []}, TypeError, r"validation=\[\]: give a share"),
    ({"validation": X}, TypeError, r"(?s)validation=.*: give a "),
    (
        {"validation": 0.01},
        ValueError,
        r"validation=0\.01 of 12 samples holds out 0 of them: at least one must be held out",
    ),
    ({"validation": 0.99, "y": VALUES}, ValueError, r"validation=0\.99 of 12 samples holds out 12 of them"),
    ({"validation": (X[:, :2], Y)}, ValueError, r"validation: X_val has 2 columns, but X has 3; give the same"),
    ({"validation": (X[0], Y)}, ValueError, r"validation: X has 1 dimension"),
    ({"validation": (X * NAN, Y)}, ValueError, r"validation: X holds nan in row 0, column 0"),
    ({"validation": (X.astype(str) + "x", Y)}, TypeError, r"validation: X: column 0 holds '.*' in row 0, which is no num"),
    ({"validation": (X, Y[:3])}, ValueError, r"validation: y_val has 3: give one target for each row"),
    ({"validation": (X[:0], Y[:0])}, ValueError, r"validation: X is empty"),
    ({"validation": (X, Y + 1)}, ValueError, r"validation: y_val holds the label 2, which the net does not know; .* 0, 1"),
    ({"validation": (X, Y.astype(str))}, ValueError, r"validation: y_val holds the label '0', which the net does not know"),
    ({"validation": (X, VALUES * NAN)}, ValueError, r"validation: y_val holds NaN or infinity"),
    ({"validation": (X, X), "y": VALUES}, ValueError, r"validation: y_val has 3 columns, but the net has 1; give the same"),
    ({"validation": (X, ["a"] * 12), "y": VALUES}, ValueError, r"validation: y_val holds what is no number"),
    (
        {"validation": (X, -np.ones(12)), "y": VALUES**2, "loss": "poisson"},
        ValueError,
        r"validation: y_val holds -1: loss='p",
    ),
    ({"validation": (X, Y, np.ones(3))}, ValueError, r"validation: sample_weight has shape \(3,\)"),
    ({"validation": (X, Y, -np.ones(12))}, ValueError, r"validation: sample_weight holds -1\.0 for sample 0"),
    ({"validation": (X, Y, np.zeros(12))}, ValueError, r"validation: all samples have the weight 0; give some a positive"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=lambda value: str(value)[:40].replace("\n", ""))
@pytest.mark.parametrize("engine", ["kernels", "reference"])
def test_bad_values_and_wrong_combinations(options, error, message, engine, no_work):
    refused(error, message, engine=engine, **options)


@pytest.mark.parametrize("options", [{"shuffle": np.array([True, False])}, {"engine": ["kernels"]}, {"metric": np.ones(2)}])
def test_arrays_in_place_of_names(options, no_work):
    (name,) = options
    with pytest.raises((TypeError, ValueError), match=rf"^{name}="):
        train(X, Y, **options)


def test_nothing_is_drawn_before_an_error(no_work):
    """The user's source stands where it stood."""
    random = np.random.default_rng(0)
    refused(ValueError, "metric='f1'", seed=random, metric="f1", validation=0.3)
    refused(ValueError, "learning_rate=0", seed=random, learning_rate=0)
    assert random.uniform() == np.random.default_rng(0).uniform()


def negative(wanted, predicted):
    return -np.mean(wanted != predicted)


CONTRADICTIONS = [
    ({"hidden": 5}, ValueError, r"hidden=5, but start has hidden layers of \(4, 3\); leave hidden out"),
    ({"hidden": (3, 4)}, ValueError, r"hidden=\(3, 4\), but start has"),
    ({"activation": "tanh"}, ValueError, r"activation='tanh', but start has \['relu', 'relu'\]; leave activation out"),
    ({"activation": ["relu"]}, ValueError, r"activation has 1 entries, but there are 2 hidden layers"),
    ({"loss": "binary_cross_entropy"}, ValueError, r"loss='binary_cross_entropy', but start was trained with 'cross_ent"),
    ({"loss": "hinge"}, ValueError, r"loss='hinge' is unknown"),
    ({"validation": 0.3, "metric": "accuracy"}, ValueError, r"metric='accuracy', but start was validated by 'loss'; give"),
    ({"validation": 0.3, "metric": negative}, ValueError, r"metric='a function', but start was validated by 'loss'"),
    ({"start": "net"}, TypeError, r"start='net': give a Network to go on from, or None"),
]


@pytest.mark.parametrize(("options", "error", "message"), CONTRADICTIONS)
def test_contradictions_are_named(blobs, no_work_after, options, error, message):
    net = train(*blobs, (4, 3), epochs=2, seed=0, validation=0.3)
    no_work_after()
    with pytest.raises(error, match=message):
        train(*blobs, **{"start": net, **options})


def test_samples_of_another_kind_are_named(blobs, curve, no_work_after):
    X, y = blobs
    net, values = (train(*data, 4, epochs=1, seed=0) for data in (blobs, curve))
    no_work_after()
    for bad, start, message in [
        ((X, y + 1), net, r"y holds the label 3, which the net does not know; its labels are 0, 1, 2"),
        ((X, y.astype(str)), net, r"y holds the label '0', which the net does not know"),
        ((X[:, [0, 1, 1]], y), net, r"X has 3 columns, but start was trained on 2; give the same"),
        ((X, np.column_stack([y, y])), net, r"y has shape \(90, 2\): the cross-entropy takes one label for each row"),
        ((X, np.column_stack([X, X])), values, r"y has 4 columns, but the net has 1; give the same"),
        ((X, np.array(["a", "b", "c"])[y]), values, r"y holds what is no number"),
    ]:
        with pytest.raises(ValueError, match=message):
            train(*bad, start=start)


OUT_OF_RANGE = [
    ({"l2": 1e300}, "l2"),
    ({"l1": 1e300}, "l1"),
    ({"delta": 1e300, "loss": "huber"}, "delta"),
    ({"max_grad_norm": 1e300}, "max_grad_norm"),
    ({"max_grad_norm": 1e-300}, "max_grad_norm"),
    ({"step_sizes": (1e-6, 1e300), "solver": "rprop"}, "step_sizes"),
    ({"tol": 1e300, "patience": 2}, "tol"),
    ({"weight_decay": 1e300, "solver": "adamw"}, "weight_decay"),
]


@pytest.mark.parametrize("engine", ["kernels", "reference"])
@pytest.mark.parametrize(("options", "name"), OUT_OF_RANGE, ids=lambda value: str(value)[:30])
def test_numbers_that_float32_cannot_hold(options, name, engine):
    """Are refused by name, or do what they do in float64; NumPy's own warnings tell nobody anything."""
    options = {"hidden": 3, "seed": 0, "epochs": 3, "loss": "squared_error", "engine": engine, **options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            single = train(X, VALUES, dtype="float32", **options)
        except ValueError as error:
            assert name in str(error)  # noqa: PT017
            return
        double = train(X, VALUES, **options)
    assert {str(warning.message)[:30] for warning in caught} <= {"the objective is not finite in"}
    if single.status != "diverged":
        np.testing.assert_allclose(single.params, double.params, rtol=1e-3, atol=1e-4)


GOOD = [
    {"patience": np.int64(3)},
    {"dropout": np.float32(0.25)},
    {"dropout": np.array([0.25])},
    {"tol": 0},
    {"etas": [0.5, 1.2], "solver": "rprop"},
    {"step_sizes": np.array([1e-6, 1.0]), "solver": "rprop"},
    {"etas": (1, 1), "step_sizes": (0.1, 0.1), "solver": "rprop"},
    {"label_smoothing": 1},
    {"sample_weight": [1] * 12},
    {"sample_weight": np.ones((12, 1))},
    {"class_weight": {}},
    {"class_weight": {0: 1, 1: np.float32(2)}},
    {"validation": [X.tolist(), Y.tolist()]},
    {"validation": np.float32(0.25)},
    {"validation": 0.99},
    {"max_seconds": 10},
    {"callback": print, "callback_every": 100},
    {"solver": "lbfgs", "batch_size": None},
    {"solver": "rprop", "batch_size": "auto"},
    {"shuffle": np.True_},
    {"nesterov": True, "momentum": 0},
]


@pytest.mark.parametrize("options", GOOD, ids=lambda value: str(value)[:40].replace("\n", ""))
def test_good_values_of_odd_types(options):
    net = train(X, Y, 3, epochs=2, seed=0, **options)
    assert np.isfinite(net.params).all()
    assert net.n_epochs == 2
