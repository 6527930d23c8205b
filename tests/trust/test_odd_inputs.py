"""Odd but legal inputs: however the same values are stored, nets have the same bits, and nobody writes to them."""

import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bad_samples import SPARSE
from bad_values import refused
from scipy import sparse

from fastmlp import MLPClassifier, MLPRegressor, cross_validate, train, train_many

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
TRIAL = "odd but legal inputs give equal results"
N = 30
WHOLE = np.random.default_rng(2).integers(0, 5, (N, 3)).astype(np.float64)
Y = np.arange(N) % 3
NAMES = np.array(["low", "mid", "top"])
WEIGHTS = 1.0 + np.arange(N) % 4
TARGETS = WHOLE @ [1.0, -2.0, 0.5]
SMALL = {"hidden": 4, "epochs": 3, "seed": 0, "batch_size": 7}


class Subclass(np.ndarray):
    """As a memory map is."""


class Wrapped:
    """Has no more of an array than that it can be made one."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Rows:
    """A sequence that is no list."""

    def __init__(self, values):
        self._values = values

    def __len__(self):
        return len(self._values)

    def __getitem__(self, place):
        return self._values[place]


def read_only(values):
    return np.frombuffer(values.tobytes(), values.dtype).reshape(values.shape)


def every_second(values):
    spread = np.zeros((2 * len(values), *(3 * size for size in values.shape[1:])), values.dtype)
    spread[tuple(slice(None, None, 2 if axis == 0 else 3) for axis in range(values.ndim))] = values
    return spread[tuple(slice(None, None, 2 if axis == 0 else 3) for axis in range(values.ndim))]


def unaligned(values):
    return np.frombuffer(b"." + values.tobytes(), values.dtype, offset=1).reshape(values.shape)


def mapped(values, path):
    array = np.memmap(path, values.dtype, "w+", shape=values.shape)
    array[:] = values
    array.flush()
    return np.memmap(path, values.dtype, "r", shape=values.shape)


def forms_of_array(values, path):
    """Arrays and lists that hold the values, in one dimension or two."""
    return {
        "list": values.tolist(),
        "tuple": tuple(values.tolist()),
        "array without strides": np.ascontiguousarray(values),
        "Fortran order": np.asfortranarray(values),
        "strided": every_second(values),
        "backwards": np.ascontiguousarray(values[::-1])[::-1],
        "read-only": read_only(values),
        "unaligned": unaligned(values),
        "memory map": mapped(values, path),
        "byte-swapped": values.astype(values.dtype.newbyteorder(">")),
        "subclass": values.view(Subclass),
        "masked without a mask": np.ma.array(values),
        "masked nowhere": np.ma.array(values, mask=np.zeros(values.shape, bool)),
        "wrapped": Wrapped(values),
        "no list": Rows(values.tolist()),
        "objects": values.astype(object),
        "PyArrow array" if values.ndim == 1 else "list of arrays": pa.array(values) if values.ndim == 1 else list(values),
    }


def forms_of_numbers(values, path):
    kinds = ("f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">f4")
    return {
        **forms_of_array(values, path),
        **{np.dtype(kind).str: values.astype(kind) for kind in kinds},
        "whole objects": values.astype(int).astype(object),
        "decimals": np.vectorize(lambda value: Decimal(int(value)), otypes=[object])(values),
        "fractions": np.vectorize(lambda value: Fraction(int(value)), otypes=[object])(values),
        "mixed objects": np.vectorize(lambda value: int(value) if value % 2 else float(value), otypes=[object])(values),
        "list of ints": values.astype(int).tolist(),
    }


def forms_of_tables(values):
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    return {
        "pandas": frame,
        "pandas, ints": frame.astype("int8"),
        "pandas, of several types": frame.astype({"a": "int16", "b": "float32"}),
        "pandas, nullable": frame.astype("Float64"),
        "pandas, nullable ints": frame.astype("Int32"),
        "pandas, Arrow": frame.astype("float64[pyarrow]"),
        "pandas, Arrow ints": frame.astype("int64[pyarrow]"),
        "pandas, objects": frame.astype(object),
        "pandas, sparse": frame.astype(pd.SparseDtype("float64", 0)),
        "pandas, an index from behind": frame.set_axis(range(len(frame))[::-1]),
        "polars": pl.DataFrame(values, schema=["a", "b", "c"]),
        "polars, ints": pl.DataFrame(values.astype(int), schema=["a", "b", "c"]),
        "polars, of several types": pl.DataFrame({"a": values[:, 0], "b": values[:, 1].astype(int), "c": values[:, 2]}),
        "PyArrow": pa.table({name: values[:, place] for place, name in enumerate("abc")}),
        "PyArrow, ints": pa.table({name: values[:, place].astype(int) for place, name in enumerate("abc")}),
        "matrix": np.asmatrix(values),
    }


def forms_of_labels(path):
    names = NAMES[Y]
    return {
        **forms_of_array(Y, path),
        **{np.dtype(kind).str: Y.astype(kind) for kind in ("i1", "i2", "u1", "u2", "u4", "u8", ">i4")},
        "column": Y[:, None],
        "series": pd.Series(Y),
        "nullable series": pd.Series(Y, dtype="Int64"),
        "Arrow series": pd.Series(Y, dtype="int64[pyarrow]"),
        "series with an index": pd.Series(Y, index=range(100, 100 + N)),
        "categories of ints": pd.Series(pd.Categorical(Y)),
        "frame of a column": pd.DataFrame({"y": Y}),
        "polars": pl.Series(Y),
        "texts": names,
        "text objects": names.astype(object),
        "list of texts": names.tolist(),
        "tuple of texts": tuple(names.tolist()),
        "list of NumPy texts": list(names),
        "bytes": names.astype("S"),
        "texts of any length": names.astype(np.dtypes.StringDType()),
        "series of texts": pd.Series(names),
        "series of text objects": pd.Series(names, dtype=object),
        "pandas texts": pd.Series(names, dtype="string"),
        "Arrow texts": pd.Series(names, dtype="string[pyarrow]"),
        "Arrow's own texts": pa.array(names.tolist()),
        "polars texts": pl.Series(names.tolist()),
        "polars categories": pl.Series(names.tolist(), dtype=pl.Categorical),
        "categories": pd.Series(pd.Categorical(names)),
        "categories, unordered and one unused": pd.Series(pd.Categorical(names, categories=["top", "none", "low", "mid"])),
        "texts in a column": names[:, None],
        "floats": Y.astype(float),
        "tuples": np.array([None, *((int(y),) for y in Y)], object)[1:],
    }


def bits(net):
    """All that a training comes to."""
    if hasattr(net, "coefs_"):
        return b"".join(part.tobytes() for part in (*net.coefs_, *net.intercepts_)), tuple(net.loss_curve_)
    return net.params.tobytes(), net.loss_curve.tobytes()


def stored(values):
    """The bytes that lie below, where there are any, else what is told."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.tobytes(), values.strides, values.flags.writeable
    if sparse.issparse(values):
        values = values.tocsr()
        return values.data.tobytes(), values.indices.tobytes()
    return repr(np.asarray(values).tolist())


def try_all(trials, what, forms, fit, wanted):
    """Whether `fit` makes of each form the net that it makes of the plain array, without a word or a change."""
    with trials(TRIAL) as trial:
        for form, given in forms.items():
            with trial.case(f"{what}: {form}"), warnings.catch_warnings():
                warnings.simplefilter("error")
                before = stored(given)
                assert bits(fit(given)) == bits(wanted)
                assert stored(given) == before


@pytest.mark.parametrize("batch_size", [7, None])
def test_features_of_train(batch_size, trials, tmp_path):
    forms = {**forms_of_numbers(WHOLE, tmp_path / "X"), **forms_of_tables(WHOLE)}
    options = {**SMALL, "batch_size": batch_size, "dtype": "float64"}
    wanted = train(WHOLE.copy(), Y, **options)
    try_all(trials, f"train, {batch_size}", forms, lambda X: train(X, Y, **options), wanted)
    predicted, score = wanted.predict_proba(WHOLE), wanted.score(WHOLE, Y)
    with trials(TRIAL) as trial:
        for form, given in forms.items():
            with trial.case(f"predict, {batch_size}: {form}"):
                assert wanted.predict_proba(given).tobytes() == predicted.tobytes()
                assert wanted.score(given, Y) == score


def test_truths_are_zeros_and_ones(trials):
    truths = WHOLE > 2
    forms = {"truths": truths, "list": truths.tolist(), "pandas": pd.DataFrame(truths), "objects": truths.astype(object),
             "nullable": pd.DataFrame(truths).astype("boolean"), "with numbers": pd.DataFrame({0: truths[:, 0], 1: 1.0 *
             truths[:, 1], 2: truths[:, 2]}), "Fortran order": np.asfortranarray(truths)}  # fmt: skip
    try_all(trials, "truths", forms, lambda X: train(X, Y, **SMALL), train(truths.astype(float), Y, **SMALL))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_of_train(dtype, trials, tmp_path):
    options = {**SMALL, "dtype": dtype, "loss": "cross_entropy"}
    forms = forms_of_labels(tmp_path / "y")
    try_all(trials, f"y, {dtype}", forms, lambda y: train(WHOLE, y, **options), train(WHOLE, Y, **options))
    with trials(TRIAL) as trial:
        for form, given in forms.items():
            with trial.case(f"score, {dtype}: {form}"):
                net = train(WHOLE, given, **options)
                labels = np.asarray(given).ravel().tolist()
                right = [predicted == label for predicted, label in zip(net.predict(WHOLE).tolist(), labels, strict=True)]
                assert net.score(WHOLE, given) == np.mean(right)


def test_targets_of_train(trials, tmp_path):
    whole = WHOLE[:, 0]
    forms = {**forms_of_numbers(whole, tmp_path / "y"), "column": whole[:, None], "series": pd.Series(whole),
             "nullable": pd.Series(whole, dtype="Float64"), "Arrow": pd.Series(whole, dtype="float64[pyarrow]"),
             "polars": pl.Series(whole), "frame": pd.DataFrame({"y": whole}), "matrix": np.asmatrix(whole).T}  # fmt: skip
    options = {**SMALL, "loss": "squared_error"}
    try_all(trials, "targets", forms, lambda y: train(WHOLE, y, **options), train(WHOLE, whole, **options))
    two = WHOLE[:, :2]
    forms = {
        **forms_of_numbers(two, tmp_path / "Y"),
        "pandas": pd.DataFrame(two),
        "polars": pl.DataFrame(two, schema=["a", "b"]),
    }
    try_all(trials, "columns", forms, lambda y: train(WHOLE, y, **options), train(WHOLE, two, **options))


def test_weights_of_train(trials, tmp_path):
    forms = {**forms_of_numbers(WEIGHTS, tmp_path / "w"), "column": WEIGHTS[:, None], "series": pd.Series(WEIGHTS),
             "nullable": pd.Series(WEIGHTS, dtype="Float64"), "Arrow": pd.Series(WEIGHTS, dtype="float64[pyarrow]"),
             "polars": pl.Series(WEIGHTS), "an index": pd.Series(WEIGHTS, index=range(50, 50 + N))}  # fmt: skip
    wanted = train(WHOLE, Y, sample_weight=WEIGHTS, **SMALL)
    try_all(trials, "sample_weight", forms, lambda w: train(WHOLE, Y, sample_weight=w, **SMALL), wanted)
    score = wanted.score(WHOLE, Y, WEIGHTS)
    with trials(TRIAL) as trial:
        for form, given in forms.items():
            with trial.case(f"score: sample_weight, {form}"):
                assert wanted.score(WHOLE, Y, given) == score
    truths = WEIGHTS > 2
    wanted = train(WHOLE, Y, sample_weight=truths * 1.0, **SMALL)
    try_all(trials, "sample_weight", {"truths": truths}, lambda w: train(WHOLE, Y, sample_weight=w, **SMALL), wanted)


def test_samples_to_validate_with(trials, tmp_path):
    forms = {**forms_of_numbers(WHOLE, tmp_path / "X"), **forms_of_tables(WHOLE)}
    wanted = train(WHOLE, Y, validation=(WHOLE, Y), **SMALL)
    try_all(trials, "X_val", forms, lambda X: train(WHOLE, Y, validation=(X, Y), **SMALL), wanted)
    forms = {form: y for form, y in forms_of_labels(tmp_path / "y").items() if np.asarray(y).dtype.kind in "iu"}
    try_all(trials, "y_val", forms, lambda y: train(WHOLE, Y, validation=(WHOLE, y), **SMALL), wanted)


def test_sweeps_and_folds(trials, tmp_path):
    forms = {**forms_of_numbers(WHOLE, tmp_path / "X"), **forms_of_tables(WHOLE)}
    wanted = train_many(WHOLE, Y, [{}, {"l2": 0.1}], **SMALL, dtype="float64")[1]
    try_all(trials, "sweep", forms, lambda X: train_many(X, Y, [{}, {"l2": 0.1}], **SMALL, dtype="float64")[1], wanted)
    wanted = cross_validate(WHOLE, Y, {**SMALL, "dtype": "float64"}, cv=2).sweep[1]
    try_all(trials, "folds", forms, lambda X: cross_validate(X, Y, {**SMALL, "dtype": "float64"}, cv=2).sweep[1], wanted)


def test_what_is_the_same_but_not_for_train(trials, no_work):
    """Sparse matrices and records are refused, not read in some way."""
    records = np.zeros(N, [("a", float), ("b", float)])
    with trials(TRIAL) as trial:
        for form, given in {**SPARSE, "records": records, "view of records": records.view(np.recarray)}.items():
            with trial.case(f"refused: {form}"):
                refused("X", lambda given=given: train(given, Y[: len(Y)], **SMALL), given)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_estimators(make, trials, tmp_path):
    y, parameters = Y if make is MLPClassifier else TARGETS, {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    forms = {**forms_of_numbers(WHOLE, tmp_path / "X"), **forms_of_tables(WHOLE)}
    # float32 is trained on in float32; scikit-learn has its own way with what is no array.
    for form in ("<f4", ">f4", "<f2", "matrix", "no list", "PyArrow", "PyArrow, ints", "fractions"):
        del forms[form]
    for kind in (
        sparse.csr_matrix,
        sparse.csc_matrix,
        sparse.coo_matrix,
        sparse.csr_array,
        sparse.lil_matrix,
        sparse.dok_matrix,
    ):
        forms[kind.__name__] = kind(WHOLE)

    def fit(X, y=y, weights=None):
        net = make(**parameters)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, message="Stochastic Optimizer")
            return net.fit(X, y, weights)

    wanted = fit(WHOLE)
    try_all(trials, make.__name__, forms, fit, wanted)
    weights = {**forms_of_numbers(WEIGHTS, tmp_path / "w"), "series": pd.Series(WEIGHTS), "polars": pl.Series(WEIGHTS)}
    del weights["no list"], weights["fractions"]
    try_all(trials, f"{make.__name__}: weights", weights, lambda w: fit(WHOLE, weights=w), fit(WHOLE, weights=WEIGHTS))
    if make is MLPClassifier:
        labels = forms_of_labels(tmp_path / "y")
        # A column is warned of, as by scikit-learn, which knows no labels of these types.
        for form in (
            "column",
            "texts in a column",
            "frame of a column",
            "tuples",
            "bytes",
            "no list",
            "objects",
            "texts of any length",
        ):
            del labels[form]
        try_all(trials, "labels", labels, lambda y: fit(WHOLE, y), wanted)
