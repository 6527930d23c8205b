"""What nobody can mean, by the kind of the argument: tables of values, of parameters, and how a refusal is judged."""

import re
import time
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse
from sklearn.utils._param_validation import InvalidParameterError

SECONDS = 5
N = 24
X = np.random.default_rng(1).standard_normal((N, 3))
Y = np.arange(N) % 2
VALUES = X[:, 0] - X[:, 1]
X.flags.writeable = Y.flags.writeable = VALUES.flags.writeable = False
NAN, INF = np.nan, np.inf
BASE = {"epochs": 2, "hidden": 3, "seed": 0}
RAISED = (TypeError, ValueError, InvalidParameterError)


def fingerprint(value):
    """What tells a value from what it would be had somebody written to it."""
    if isinstance(value, tuple | dict):
        return tuple(map(fingerprint, value.values() if isinstance(value, dict) else value))
    if isinstance(value, np.ndarray) and value.dtype.kind != "O" and value.nbytes < 1 << 20:
        return value.shape, value.dtype.str, value.flags.writeable, value.tobytes()
    if isinstance(value, int) and abs(value) > 1 << 64:
        return value
    return type(value), str(value)


def refused(name, call, *given, errors=RAISED):
    """Fail unless the call raises one of these very errors, naming the argument, soon, with no warning and no change."""
    before = fingerprint(given)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = call()
        except errors as error:
            told = error
        else:
            raise AssertionError(f"accepted: {str(result)[:60]}")
    assert time.perf_counter() - begin < SECONDS, "slow"
    judged(name, told, errors)
    assert fingerprint(given) == before, "the input has changed"


def judged(name, told, errors=RAISED):
    """Fail unless this is one of these very errors, and names the argument."""
    assert type(told) in errors, type(told)
    assert re.search(rf"(?<!\w){name}(?!\w)", str(told)), f"does not name {name}: {str(told)[:200]}"


class Lazy:
    """Has no array in it."""

    def __repr__(self):
        return "Lazy()"


# Of numbers.

NO_NUMBERS = {
    "text": "a",
    "digits": "0.5",
    "bytes": b"1",
    "complex": 1j,
    "NumPy's complex": np.complex128(0.5),
    "list": [0.5],
    "array of one": np.array([0.5]),
    "array": np.full(2, 0.5),
    "dict": {},
    "true": True,
    "NumPy's true": np.True_,
    "false": False,
    "date": np.datetime64("2020-01-01"),
    "time span": np.timedelta64(1, "s"),
    "object": Lazy(),
    "function": abs,
    "class": float,
    "generator": (x for x in [0.5]),
}
NOT_FINITE = {
    "NaN": NAN,
    "float32 NaN": np.float32(NAN),
    "NaN in an array": np.array(NAN),
    "decimal NaN": Decimal("NaN"),
    "infinity": INF,
    "minus infinity": -INF,
    "huge int": 10**400,
    "int of no end": 10**5000,
    "huge fraction": Fraction(10**400),
    "huge decimal": Decimal("1e400"),
}
NOT_WHOLE = {
    "half": 1.5,
    "one as a float": 1.0,
    "NumPy's one as a float": np.float64(1),
    "NaN": NAN,
    "infinity": INF,
    "fraction": Fraction(3, 2),
    "decimal": Decimal(1),
    "minus one": -1,
    "NumPy's minus one": np.int64(-1),
    "minus many": -(10**400),
}
# Of each number that train takes: values out of its range, and whether it may be None.
NUMBERS = {
    "learning_rate": ([0, -1e-9, 0.0], False),
    "momentum": ([-1e-9, 1, 2], False),
    "beta_1": ([-1e-9, 1, 2], False),
    "beta_2": ([-1e-9, 1, 2], False),
    "epsilon": ([0, -1e-9], False),
    "weight_decay": ([-1e-9], False),
    "rho": ([-1e-9, 1], False),
    "l2": ([-1e-9, np.float32(-1)], False),
    "l1": ([-1e-9], False),
    "dropout": ([-1e-9, 1, 1.5], False),
    "max_grad_norm": ([0, -1], True),
    "label_smoothing": ([-1e-9, 1.0001], False),
    "delta": ([0, -1], False),
    "quantile": ([0, 1, -1], False),
    "tol": ([-1e-9], False),
    "max_seconds": ([0, -1], True),
    "validation": ([0, 1, 0.01, -0.5], True),
}
# Of each whole number: values out of its range, and whether it may be None.
WHOLE = {
    "hidden": ([0, (3, 0), (3, -1), (10**12,), 10**12, 10**30, 10**400, (2**31, 2**31), "3", (3.0,), (True,)], False),
    "epochs": ([0, 10**13, 10**30, 10**400], False),
    "patience": ([0, 10**400], True),
    "max_fun": ([0, 10**400], False),
    "callback_every": ([0, 10**400], False),
    "threads": ([0, 10**400], True),
    "batch_size": ([0, "all", "", (3,)], True),
    "seed": (["0", (1,), np.random], True),
}
LISTS_ARE_GOOD = {"hidden", "dropout"}
TRUTHS = {"nesterov", "progress", "shuffle"}
NO_TRUTHS = {"text": "no", "empty text": "", "zero": 0, "one": 1, "None": None, "array": np.array([True]), "list": [True]}
NAMES = ("activation", "loss", "solver", "init", "metric", "engine", "schedule")
NO_NAMES = {
    "unknown": "unknown",
    "empty": "",
    "capitals": "ADAM",
    "blanks": " adam",
    "bytes": b"adam",
    "number": 3,
    "NaN": NAN,
    "true": True,
    "array": np.array(["adam", "sgd"]),
    "dict": {"adam": 1},
    "set": {"adam"},
    "object": Lazy(),
}
ROUND = ([np.ones((3, 3)), np.ones((3, 2))], [np.zeros(3), np.zeros(2)])


def changed(part, layer, array):
    """Good start weights but for one array."""
    parts = [list(arrays) for arrays in ROUND]
    parts[part][layer] = array
    return tuple(parts)


# Parameters of a kind of their own: what to give, beside other options that it needs.
OTHERS = {
    "activation": [["tanh", "relu"], [], ["sigmoid"], [3], [None], None, ["relu", None], [["relu"]]],
    "loss": [["cross_entropy"], "mse", "squared error"],
    "solver": [None, ["adam"], "newton", "ADAM"],
    "init": [
        None, ([], []), ROUND[0], (ROUND[0],), (*ROUND, 1), (5, 5), (ROUND[0], 5), ("ab", "cd"), dict(enumerate(ROUND)),
        (ROUND[0][:1], ROUND[1]), (ROUND[0], ROUND[1][:1]), changed(0, 0, np.ones((3, 2))), changed(0, 1, np.ones(6)),
        changed(0, 0, np.ones((3, 3)).T[:2]), changed(1, 0, np.zeros((3, 1))), changed(1, 1, 0.0),
        changed(0, 0, np.full((3, 3), NAN)), changed(0, 1, np.full((3, 2), INF)), changed(1, 0, [NAN, 0, 0]),
        changed(0, 0, np.ones((3, 3)) * 1j), changed(0, 0, np.full((3, 3), "a")), changed(0, 0, None),
        changed(0, 0, [[1], [1, 2], [3]]), changed(0, 0, np.ones((3, 3), object)), changed(1, 0, ["0", "0", "0"]),
        changed(0, 0, np.ones((3, 3), "M8[s]")), changed(0, 0, sparse.csr_matrix(np.ones((3, 3)))),
        changed(0, 0, np.ma.array(np.ones((3, 3)), mask=np.eye(3))),
    ],
    "metric": [None, ["loss"], "f1", "r2", 3],
    "engine": [None, ["kernels"], "gpu", 3],
    "schedule": [
        "linear", 0.5, [1.0, 0.5], {}, lambda epoch: NAN, lambda epoch: -1, lambda epoch: INF, lambda epoch: "a",
        lambda epoch: "0.5", lambda epoch: None, lambda epoch: [1.0], lambda epoch: 1j, lambda epoch: 10**400,
        lambda epoch: np.ones(2), lambda epoch: b"1", lambda epoch: Lazy(),
    ],
    "dtype": ["float16", int, "x", np.float16, np.ones(2), 3, [np.float32], "complex128", object, NAN, ("f4", "f8")],
    "etas": [
        0.5, None, "ab", (), (0.5,), (0.5, 1.2, 2), {0.5: 1, 1.2: 1}, {0.5, 1.2}, ("0.5", "1.2"), (0, 1.2), (0.5, NAN),
        (0.5, 0.9), (1.1, 1.2), (0.5, INF), (0.5, 10**400), (True, 1.2), (0.5, 1j), [[0.5], [1.2]], np.ones((2, 2)), b"ab",
        (x for x in (0.5, 1.2)), (0.5, None),
    ],
    "step_sizes": [
        1, None, "ab", (1e-6,), (1, 0.1), (0, 1), (1e-6, INF), (NAN, 1), (-1, 1), {1e-6: 1, 1: 1}, (1e-6, 10**400),
        (1e-6, True), ("1", "2"), np.ones(3),
    ],
    "dropout": [[0.1, 0.2], [], ["a"], [1.0], [NAN], ["0.5"], [True], {0.1: 1}, np.ones((1, 1)) / 2, b"\0", [None]],
    "hidden": [None, [NAN], [None], ["a"], [[3]], {3: 1}, {3}, b"ab", bytearray(b"ab"), np.array([[3]]), np.array([1.5])],
    "callback": [5, "print", [abs], {}, True, NAN, np.ones(2)],
    "start": ["net", 3, (X, Y), X, {}, object, True, [None], b"", NAN],
    "batch_size": [INF, [5], {}, np.array([5]), "5", b"auto", "AUTO"],
    "seed": [[1, 2], np.array([1]), "a", b"1", {}, np.random.PCG64(), np.random.SeedSequence(0)],
    "sample_weight": [
        1, "a", 2.0, [], {}, np.ones(N - 1), np.ones(N + 1), np.ones((N, 2)), np.ones((1, N)), np.ones((N, 1, 1)),
        np.zeros(N), -np.ones(N), np.full(N, NAN), np.full(N, INF),
        np.where(np.arange(N) == 3, -1e-9, 1),
        np.where(np.arange(N) == 3, NAN, 1), np.where(np.arange(N) == N - 1, -INF, 1),
        np.full(N, "1"), np.full(N, b"1"),
        [None] * N, [[1], [1, 2]] * (N // 2), np.ones(N) * 1j, np.ones(N, "M8[s]"), np.ones(N, "m8[s]"), [1,
        "a"] * (N // 2),
        np.ma.array(np.ones(N), mask=np.arange(N) == 3), pd.Series([1.0, None] * (N // 2)), sparse.csr_matrix(np.ones((1,
        N))),
        pd.Series([1.0, None] * (N // 2), dtype="Float64"), np.full(N, 1e308), np.full(N, 1e-320), [10**400] * N,
        np.zeros(N, [("a", float)]), pa.array([1.0, None] * (N // 2)), pl.Series([1.0, None] * (N // 2)), ["1"] * N,
    ],
    "class_weight": [
        "auto", "", 3, [1, 2], (1, 2), np.ones(2), True, {3: 1}, {"0": 1}, {0: -1}, {0: NAN}, {0: INF}, {0: "a"}, {0: "2"},
        {0: None}, {0: [1]}, {0: [1, 2]}, {0: 1j}, {0: True}, {0: 10**400}, {0: np.ones(1)}, {0: 0, 1: 0}, {NAN: 1},
        {None: 1}, {0: b"1"}, {0: np.datetime64(1, "s")}, {0.5: 1}, {0: 1e308, 1: 1e308}, {0: Lazy()}, {(0,): 1},
    ],
    "validation": [
        "0.1", "a", (X,), [], (), (X, Y, np.ones(N), 1), X, {}, {"X": X, "y": Y}, {0.1}, (None, None), (X, None), (None, Y),
        (X[:, :2], Y), (np.column_stack([X, X]), Y), (X[0], Y), (X * NAN, Y), (np.where(X > 1, INF, X), Y), (X[:0], Y[:0]),
        (X.astype(str), Y), (X * 1j, Y), (X, Y[:-1]), (X, Y + 1), (X, Y.astype(str)), (X, Y * NAN), (X, X), (X, 3),
        (X, Y, np.ones(3)), (X, Y, -np.ones(N)), (X, Y, np.zeros(N)), (X, Y, np.full(N, NAN)), (X, Y, "a"), (X, Y, 1),
        (sparse.csr_matrix(X), Y), (X[:, :, None], Y), (1, 1), ("a", "b"), (X, Y, np.full(N, "1")), (X, [None] * N),
        (np.ma.array(X, mask=X > 1), Y), (X.astype("M8[s]"), Y), (X, Y.astype("M8[s]")), (X, np.where(Y, NAN, 0)),
    ],
    "tol": [None],
    "callback_every": [None],
}  # fmt: skip
UNKNOWN = {"learning_rat": 0.1, "alpha": 1, "max_iter": 3, "Hidden": 3, "x": 1}
# What needs others beside it to be bad.
TOGETHER = [
    ({"solver": "lbfgs", "batch_size": 5}, "batch_size"),
    ({"solver": "rprop", "batch_size": 5}, "batch_size"),
    ({"solver": "rprop", "batch_size": 0}, "batch_size"),
    ({"solver": "lbfgs", "batch_size": np.array([5])}, "batch_size"),
    ({"solver": "rprop", "batch_size": np.array([5, 6])}, "batch_size"),
    ({"solver": "lbfgs", "schedule": "cosine"}, "schedule"),
    ({"solver": "lbfgs", "dropout": 0.1}, "dropout"),
    ({"solver": "lbfgs", "max_grad_norm": 1.0}, "max_grad_norm"),
    ({"loss": "squared_error", "class_weight": "balanced"}, "class_weight"),
    ({"loss": "squared_error", "validation": 0.3, "metric": "accuracy"}, "metric"),
    ({"validation": 0.3, "metric": "r2"}, "metric"),
    ({"loss": "poisson", "y": VALUES}, "y"),
    ({"loss": "cross_entropy", "y": X}, "y"),
    ({"dtype": "float32", "learning_rate": 1e300}, "learning_rate"),
    ({"dtype": "float32", "learning_rate": 1e-300}, "learning_rate"),
    ({"dtype": "float32", "l2": 1e300}, "l2"),
    ({"dtype": "float32", "epsilon": 1e-300}, "epsilon"),
    ({"dtype": "float32", "init": changed(0, 0, np.full((3, 3), 1e300))}, "init"),
    ({"dtype": "float32", "sample_weight": np.full(N, 1e300)}, "sample_weight"),
    ({"dtype": "float32", "class_weight": {0: 1e300}}, "class_weight"),
    ({"dtype": "float32", "X": X * 1e300}, "X"),
    ({"dtype": "float32", "y": VALUES * 1e300}, "y"),
    ({"validation": 0.5, "sample_weight": [1.0] * 3}, "sample_weight"),
    ({"hidden": (), "dropout": [0.1]}, "dropout"),
    ({"hidden": (), "activation": ["relu"]}, "activation"),
    ({"hidden": 10**9, "dtype": "float32", "X": np.ones((N, 1000))}, "hidden"),
    ({"hidden": (10**6, 10**7)}, "hidden"),
]


def bad_options():
    """Every bad option: a name for the case, the options, and the parameter to be named."""
    for name, (outside, may_be_none) in NUMBERS.items():
        values = {**NO_NUMBERS, **NOT_FINITE, **dict(enumerate(outside))}
        if not may_be_none:
            values["None"] = None
        yield from ((f"{name}: {what}", {name: value}, name) for what, value in values.items() if _is_bad(name, what))
    for name, (outside, may_be_none) in WHOLE.items():
        values = {**NO_NUMBERS, **NOT_WHOLE, **dict(enumerate(outside))}
        if not may_be_none:
            values["None"] = None
        yield from ((f"{name}: {what}", {name: value}, name) for what, value in values.items())
    yield from ((f"{name}: {what}", {name: value}, name) for name in sorted(TRUTHS) for what, value in NO_TRUTHS.items())
    yield from ((f"{name}: {what}", {name: value}, name) for name in NAMES for what, value in NO_NAMES.items())
    yield from ((f"{name} {i}", {name: value}, name) for name, values in OTHERS.items() for i, value in enumerate(values))
    yield from ((f"unknown {name}", {name: value}, name) for name, value in UNKNOWN.items())
    yield from ((f"together {i}: {name}", dict(options), name) for i, (options, name) in enumerate(TOGETHER))


def _is_bad(name, what):
    # One share for each of the layers, of which there is one.
    return not (name == "dropout" and what in ("list", "array of one"))
