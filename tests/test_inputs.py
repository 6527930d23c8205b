"""Bad and odd input: named errors before any work, and the same answer however the same numbers are stored."""

import numpy as np
import pytest

import fastmlp
from fastmlp import train
from fastmlp.options import Loss

X = np.random.default_rng(1).standard_normal((12, 3))
Y = np.arange(12) % 2


def with_value(value, row=2, column=1, dtype=np.float64):
    changed = X.astype(dtype)
    changed[row, column] = value
    return changed


class Sparse:
    def toarray(self):
        return X


class Table:
    """As much of a data frame as can be told without one."""

    columns = ("age", "town", "height")

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


NAMED = with_value("Bonn", dtype=object)
BAD_X = [
    (with_value(np.nan), ValueError, r"X holds nan in row 2, column 1: leave out or fill in"),
    (with_value(np.inf), ValueError, r"X holds inf in row 2, column 1"),
    (with_value(-np.inf), ValueError, r"X holds -inf in row 2, column 1"),
    (with_value(np.nan, dtype=np.float32), ValueError, r"X holds nan"),
    (with_value(None, dtype=object), TypeError, r"X: column 1 holds None in row 2"),
    (np.empty((0, 3)), ValueError, r"X is empty, with shape \(0, 3\)"),
    (np.empty((12, 0)), ValueError, r"X is empty, with shape \(12, 0\)"),
    ([], ValueError, r"X has 1 dimension"),
    (X[:, 0], ValueError, r"X has 1 dimension.*X\.reshape\(-1, 1\)"),
    (X[:, :, None], ValueError, r"X has 3 dimension"),
    (5.0, ValueError, r"X has 0 dimension"),
    (X[:11], ValueError, r"X has 11 rows, but y has 12"),
    (NAMED, TypeError, r"X: column 1 holds 'Bonn' in row 2, which is no number; encode it"),
    (X.astype(str)[:, :2] + "x", TypeError, r"X: column 0 holds .* in row 0, which is no number"),
    (Table(NAMED), TypeError, r"X: column 'town' holds 'Bonn'"),
    (Table(with_value(np.nan)), ValueError, r"X holds nan in row 2, column 'town'"),
    (X * 1j, TypeError, r"X is complex: give real features"),
    (Sparse(), TypeError, r"X is a sparse matrix: give a dense array"),
    ([[1, 2], [3]], (TypeError, ValueError), r"^X\b"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD_X)
def test_bad_features(bad, error, message, no_work):
    with pytest.raises(error, match=message):
        train(bad, Y)


def test_number_that_float32_cannot_hold():
    with pytest.raises(ValueError, match=r"X: 1e\+300 in row 2, column 1 is too large for float32; scale X"):
        train(with_value(1e300), Y, dtype="float32")


BAD_Y = [
    (Y[:11], {}, ValueError, r"X has 12 rows, but y has 11: give one target for each row"),
    ([], {}, ValueError, r"X has 12 rows, but y has 0"),
    (1, {}, ValueError, r"X has 12 rows, but y has 0"),
    (np.zeros(12, int), {}, ValueError, r"y holds a single class, .*0.*: give samples of at least two"),
    (np.array(["a"] * 12), {}, ValueError, r"y holds a single class, .*a"),
    (Y * 1j, {}, TypeError, r"y is complex"),
    (np.zeros((12, 2, 2)), {}, ValueError, r"y has 3 dimensions"),
    (np.where(Y, np.nan, 0.5), {}, ValueError, r"y holds NaN or infinity: leave such rows out"),
    (np.where(Y, np.inf, 0.5), {}, ValueError, r"y holds NaN or infinity"),
    (np.where(Y, np.nan, 0.5), {"loss": "cross_entropy"}, ValueError, r"y holds NaN or infinity"),
    (np.column_stack([Y, Y + 1]), {}, ValueError, r"y is a matrix.*holds other values"),
    (np.column_stack([Y, Y]), {"loss": "cross_entropy"}, ValueError, r"y has shape \(12, 2\).*binary_cross_entropy"),
    (np.arange(12) % 3, {"loss": "binary_cross_entropy"}, ValueError, r"y holds 3 classes.*takes two"),
    (np.array(["a", "b"] * 6), {"loss": "squared_error"}, ValueError, r"y holds what is no number"),
    (np.array([1, "a"] * 6, object), {}, TypeError, r"y mixes labels that cannot be compared"),
    (np.array(["a", None] * 6, object), {}, TypeError, r"y mixes labels that cannot be compared, or lacks some"),
    (Y, {"loss": "hinge"}, ValueError, r"loss='hinge' is unknown: choose one of 'cross_entropy'"),
    (Y, {"loss": 1}, ValueError, r"loss=1 is unknown"),
    ([[1, 2], [3]] * 6, {}, (TypeError, ValueError), r"^y\b"),
    (np.where(Y, 1e300, 0.5), {"dtype": "float32"}, ValueError, r"^y\b"),
]


@pytest.mark.parametrize(("bad", "options", "error", "message"), BAD_Y)
def test_bad_targets(bad, options, error, message, no_work):
    with pytest.raises(error, match=message):
        train(X, bad, **options)


BAD_OPTIONS = [
    ({"hidden": 0}, ValueError, r"hidden=0: give a whole number from 1 on"),
    ({"hidden": -3}, ValueError, r"hidden=-3"),
    ({"hidden": (3, 0)}, ValueError, r"hidden\[1\]=0"),
    ({"hidden": 2.5}, TypeError, r"hidden=2\.5"),
    ({"hidden": "3"}, TypeError, r"hidden='3'"),
    ({"hidden": True}, TypeError, r"hidden=True"),
    ({"hidden": None}, TypeError, r"hidden=None"),
    ({"activation": "swish"}, ValueError, r"activation='swish' is unknown: choose one of 'identity', 'logistic'"),
    ({"activation": None}, ValueError, r"activation=None is unknown"),
    ({"activation": ["tanh", "swish"], "hidden": (3, 3)}, ValueError, r"activation\[1\]='swish' is unknown"),
    ({"activation": ["tanh"], "hidden": (3, 3)}, ValueError, r"activation has 1 entries, but there are 2 hidden"),
    ({"solver": "newton"}, ValueError, r"solver='newton' is unknown: choose one of 'sgd', 'adam'"),
    ({"schedule": "linear"}, ValueError, r"schedule='linear' is unknown: choose one of 'constant'"),
    ({"schedule": 0.5}, TypeError, r"schedule=0\.5"),
    ({"schedule": lambda epoch: -1.0}, ValueError, r"schedule returned -1\.0 for epoch 0"),
    ({"learning_rate": 0}, ValueError, r"learning_rate=0: give a finite number above 0"),
    ({"learning_rate": -0.1}, ValueError, r"learning_rate=-0\.1"),
    ({"learning_rate": np.nan}, ValueError, r"learning_rate=nan"),
    ({"learning_rate": np.inf}, ValueError, r"learning_rate=inf"),
    ({"learning_rate": "fast"}, TypeError, r"learning_rate='fast'"),
    ({"learning_rate": None}, TypeError, r"learning_rate=None"),
    ({"learning_rate": 1j}, TypeError, r"learning_rate=1j"),
    ({"momentum": 1}, ValueError, r"momentum=1: give a finite number from 0 and below 1"),
    ({"momentum": -0.1}, ValueError, r"momentum=-0\.1"),
    ({"beta_1": 1}, ValueError, r"beta_1=1"),
    ({"beta_2": -1}, ValueError, r"beta_2=-1"),
    ({"epsilon": 0}, ValueError, r"epsilon=0"),
    ({"l2": -1e-9}, ValueError, r"l2=-1e-09: give a finite number from 0 on"),
    ({"l2": np.inf}, ValueError, r"l2=inf"),
    ({"batch_size": 0}, ValueError, r"batch_size=0: give a whole number from 1 on"),
    ({"batch_size": -5}, ValueError, r"batch_size=-5"),
    ({"batch_size": 2.5}, TypeError, r"batch_size=2\.5"),
    ({"batch_size": "all"}, ValueError, r"batch_size='all': give a whole number, 'auto', or None"),
    ({"epochs": 0}, ValueError, r"epochs=0: give a whole number from 1 on"),
    ({"epochs": -1}, ValueError, r"epochs=-1"),
    ({"epochs": 1.5}, TypeError, r"epochs=1\.5"),
    ({"init": "zeros"}, ValueError, r"init='zeros' is unknown"),
    ({"init": ([np.ones((2, 2))] * 2, [np.ones(2)] * 2), "hidden": 2}, ValueError, r"init: weights\[0\] has shape"),
    ({"seed": -1}, ValueError, r"seed=-1"),
    ({"seed": "x"}, TypeError, r"seed='x': give a whole number from 0 on, a numpy\.random\.Generator"),
    ({"seed": 1.5}, TypeError, r"seed=1\.5"),
    ({"dtype": "float16"}, ValueError, r"dtype='float16': choose float32 or float64"),
    ({"dtype": int}, ValueError, r"dtype=<class 'int'>"),
    ({"threads": 0}, ValueError, r"threads=0"),
    ({"threads": "two"}, TypeError, r"threads='two'"),
    ({"engine": "gpu"}, ValueError, r"engine='gpu' is unknown: choose one of 'kernels', 'reference'"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_bad_options(options, error, message, no_work):
    with pytest.raises(error, match=message):
        train(X, Y, **options)


def test_misspelt_option():
    with pytest.raises(TypeError, match="learning_rat"):
        train(X, Y, learning_rat=0.1)


def stored_otherwise(values):
    """The same numbers in other types, orders and places."""
    strided = np.zeros((24, 9))
    strided[::2, ::3] = values
    backwards = np.ascontiguousarray(values[::-1, ::-1])
    read_only = values.copy()
    read_only.flags.writeable = False
    shifted = np.frombuffer(b"." + values.tobytes(), offset=1).reshape(values.shape)
    return {
        "list": values.tolist(),
        "fortran": np.asfortranarray(values),
        "strided": strided[::2, ::3],
        "negative": backwards[::-1, ::-1],
        "read-only": read_only,
        "unaligned": shifted,
        "big-endian": values.astype(">f8"),
        "float16": values.astype(np.float16),
        "longdouble": values.astype(np.longdouble),
        "int": values.astype(np.int64),
        "int8": values.astype(np.int8),
        "object": values.astype(object),
        "table": Table(values),
        "matrix": values.view(Matrix),
    }


class Matrix(np.ndarray):
    """A subclass, as np.memmap is."""


WHOLE = np.random.default_rng(2).integers(-4, 5, (12, 3)).astype(np.float64)
FORMS = stored_otherwise(WHOLE)


@pytest.mark.parametrize("batch_size", [5, None])
@pytest.mark.parametrize("form", FORMS)
def test_same_numbers_same_answer(form, batch_size):
    given = FORMS[form]
    before = np.array(given)
    plain = train(WHOLE, Y, 4, epochs=5, seed=0, batch_size=batch_size)
    net = train(given, Y, 4, epochs=5, seed=0, batch_size=batch_size)
    assert net.params.tobytes() == plain.params.tobytes()
    assert net.loss_curve.tobytes() == plain.loss_curve.tobytes()
    assert net.predict_proba(given).tobytes() == plain.predict_proba(WHOLE).tobytes()
    np.testing.assert_array_equal(np.array(given), before)


@pytest.mark.parametrize("layout", ["C", "F", "read-only", "strided", "unaligned"])
def test_float32_stays_float32(layout):
    values = WHOLE.astype(np.float32)
    given = {
        "C": values,
        "F": np.asfortranarray(values),
        "read-only": np.frombuffer(values.tobytes(), np.float32).reshape(values.shape),
        "strided": np.repeat(values, 2, axis=0)[::2],
        "unaligned": np.frombuffer(b"." + values.tobytes(), np.float32, offset=1).reshape(values.shape),
    }[layout]
    net = train(given, Y, 4, epochs=5, seed=0, batch_size=5)
    assert net.dtype == net.loss_curve.dtype == net.predict_proba(given).dtype == np.float32
    assert net.params.tobytes() == train(values, Y, 4, epochs=5, seed=0, batch_size=5).params.tobytes()


def test_dtype_overrides():
    assert train(WHOLE, Y, 2, epochs=1, dtype=np.float32).dtype == np.float32
    assert train(WHOLE.astype(np.float32), Y, 2, epochs=1, dtype="float64").dtype == np.float64
    assert train(WHOLE.astype(np.float16), Y, 2, epochs=1).dtype == np.float64


@pytest.mark.parametrize("engine", ["kernels", "reference"])
@pytest.mark.parametrize("batch_size", [5, None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_are_never_changed(engine, batch_size, dtype):
    given, targets = X.astype(dtype), np.column_stack([X[:, 0] ** 2, X[:, 1]]).astype(dtype)
    before = given.tobytes(), targets.tobytes()
    net = train(given, targets, 4, epochs=5, seed=0, batch_size=batch_size, engine=engine)
    net.predict(given)
    net.score(given, targets)
    assert (given.tobytes(), targets.tobytes()) == before
    assert given.flags.writeable
    assert targets.flags.writeable


LABELS = {
    "int": Y,
    "shifted": Y * 7 - 3,
    "uint8": Y.astype(np.uint8),
    "bool": Y == 1,
    "str": np.array(["no", "yes"])[Y],
    "object": np.array(["no", "yes"], object)[Y],
    "list": Y.tolist(),
    "tuple": tuple(Y.tolist()),
    "column": Y[:, None],
    "read-only": np.frombuffer(Y.tobytes(), Y.dtype),
    "backwards": Y[::-1].copy()[::-1],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type(kind):
    labels = LABELS[kind]
    net = train(X, labels, 4, epochs=5, seed=0)
    assert net.loss == Loss.CROSS_ENTROPY
    assert net.sizes == (3, 4, 2)
    assert net.params.tobytes() == train(X, Y, 4, epochs=5, seed=0).params.tobytes()
    predicted = net.predict(X)
    assert predicted.shape == (12,)
    assert predicted.dtype == np.asarray(labels).dtype
    assert set(predicted.tolist()) <= set(np.asarray(labels).ravel().tolist())
    np.testing.assert_array_equal(net.classes, np.unique(labels))


def test_float_targets_are_regression():
    net = train(X, X[:, 0], 4, epochs=2, seed=0)
    assert (net.loss, net.sizes, net.classes) == (Loss.SQUARED_ERROR, (3, 4, 1), None)
    assert net.predict(X).shape == (12,)
    assert train(X, X[:, :1], 4, epochs=2, seed=0).predict(X).shape == (12,)
    assert train(X, X[:, :2], 4, epochs=2, seed=0).predict(X).shape == (12, 2)


def test_float_zeros_and_ones_warn():
    with pytest.warns(UserWarning, match=r"y holds only 0\.0 and 1\.0.*y\.astype\(int\)") as caught:
        net = train(X, Y.astype(float), 4, epochs=2, seed=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert net.loss == Loss.SQUARED_ERROR
    assert train(X, Y.astype(float), 4, epochs=2, seed=0, loss="squared_error").loss == Loss.SQUARED_ERROR
    assert train(X, Y.astype(float), 4, epochs=2, seed=0, loss="cross_entropy").classes.tolist() == [0, 1]


def test_integer_targets_are_regression_when_said_so():
    net = train(X, np.arange(12), 4, epochs=2, seed=0, loss="squared_error")
    assert net.predict(X).dtype == np.float64


@pytest.mark.parametrize("kind", [int, bool, np.uint8])
def test_matrix_of_truths_is_multilabel(kind):
    net = train(X, np.column_stack([Y, 1 - Y, Y]).astype(kind), 4, epochs=2, seed=0)
    assert (net.loss, net.sizes) == (Loss.BINARY_CROSS_ENTROPY, (3, 4, 3))
    assert net.predict(X).shape == (12, 3)
    assert set(net.predict(X).ravel().tolist()) <= {0, 1}


def test_wild_scales_warn_once():
    wild = X * [1, 1, 1000]
    with pytest.warns(UserWarning, match=r"X: column 2 spreads .* times as wide as column .*Standardise X") as caught:
        train(wild, Y, 3, epochs=2, seed=0, learning_rate=1e-9)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    # Neither a constant column nor a spread of up to 100 is wild.
    train(X * [1, 0, 10], Y, 3, epochs=2, seed=0)


def test_batch_larger_than_the_data_warns():
    with pytest.warns(UserWarning, match="batch_size=13 is more than the 12 samples") as caught:
        net = train(X, Y, 3, epochs=2, seed=0, batch_size=13)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert net.params.tobytes() == train(X, Y, 3, epochs=2, seed=0, batch_size=None).params.tobytes()


def test_public_names():
    assert set(fastmlp.__all__) <= set(dir(fastmlp))
    for name in fastmlp.__all__:
        assert getattr(fastmlp, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fastmlp.trian  # noqa: B018
