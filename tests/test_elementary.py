"""exp, log, tanh, the logistic function and exp - 1 against extended precision, in units in the last place."""

import numpy as np
import pytest

from accuracy import all_sizes, between, evaluated, ulps
from fastmlp.kernels import elementary
from fastmlp.kernels.elementary import exp, expm1, log, logistic, tanh
from fastmlp.kernels.jit import kernel, passing_entry
from fastmlp.kernels.vectors import lanes, load, store

EXP, LOG, TANH, LOGISTIC, EXPM1 = FUNCTIONS = range(5)


@kernel
def apply(function, x, y):
    for i in range(0, x.shape[0], lanes(x)):
        a = load(x, i)
        if function == EXP:
            store(y, i, exp(a))
        elif function == LOG:
            store(y, i, log(a))
        elif function == TANH:
            store(y, i, tanh(a))
        elif function == LOGISTIC:
            store(y, i, logistic(a))
        else:
            store(y, i, expm1(a))


# Not `entry`: its cache on disk would not notice edits here.
compiled = passing_entry(apply.py_func)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def evaluate(function, values):
    return evaluated(compiled, function, values)


LIMITS = {np.float32: (-110, 95), np.float64: (-760, 720)}


def test_exp(dtype):
    x = np.concatenate([all_sizes(dtype), between(*LIMITS[dtype], dtype), between(-1, 1, dtype)])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x.astype(np.longdouble))
    error = ulps(evaluate(EXP, x), exact)
    assert error.max() <= 1.1, x[error.argmax()]


def test_log(dtype):
    x = np.concatenate([np.abs(all_sizes(dtype)), between(0.5, 2, dtype), between(1e-9, 100, dtype)])
    x = x[x > 0]
    error = ulps(evaluate(LOG, x), np.log(x.astype(np.longdouble)))
    assert error.max() <= 1, x[error.argmax()]


def test_tanh(dtype):
    x = np.concatenate([all_sizes(dtype), between(-25, 25, dtype), between(-1, 1, dtype), between(-1e-3, 1e-3, dtype)])
    values = evaluate(TANH, x)
    error = ulps(values, np.tanh(x.astype(np.longdouble)))
    assert error.max() <= 2.6, x[error.argmax()]
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal(evaluate(TANH, -x), -values)


def test_tanh_never_falls_by_more_than_its_rounding(dtype):
    """Numbers side by side may be rounded apart by two units in the last place, and no further."""
    x = np.sort(np.abs(between(0, 25, dtype, 400_000)))
    values = evaluate(TANH, x)
    assert (np.diff(values) >= -2 * np.spacing(values[1:])).all()
    beyond = np.array([20, 100, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(evaluate(TANH, beyond), 1)


def test_logistic(dtype):
    x = np.concatenate([all_sizes(dtype), between(*LIMITS[dtype], dtype), between(-5, 5, dtype)])
    values = evaluate(LOGISTIC, x)
    with np.errstate(over="ignore", under="ignore"):
        exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    tiny = np.finfo(dtype).tiny
    # Below the normal numbers exp(-x) overflows and the result is 0.
    normal = exact >= tiny
    error = ulps(values[normal], exact[normal])
    assert error.max() <= 2.6, x[normal][error.argmax()]
    assert ((values[~normal] >= 0) & (values[~normal] <= tiny)).all()


def test_expm1_of_what_is_not_positive(dtype):
    x = -np.abs(np.concatenate([all_sizes(dtype), between(-50, 0, dtype), between(-1, 0, dtype)]))
    error = ulps(evaluate(EXPM1, x), np.expm1(x.astype(np.longdouble)))
    assert error.max() <= 4, x[error.argmax()]


@pytest.mark.parametrize(
    ("function", "pairs"),
    [
        (EXP, [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0)]),
        (LOG, [(1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (-1.0, np.nan), (-np.inf, np.nan)]),
        (TANH, [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0)]),
        (LOGISTIC, [(0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0)]),
        (EXPM1, [(0.0, 0.0), (-np.inf, -1.0)]),
    ],
    ids=["exp", "log", "tanh", "logistic", "expm1"],
)
def test_special_values(dtype, function, pairs):
    x, expected = np.array([*pairs, (np.nan, np.nan)], dtype).T
    values = evaluate(function, np.ascontiguousarray(x))
    np.testing.assert_array_equal(values, expected)
    if function == TANH:
        np.testing.assert_array_equal(np.signbit(values[:4]), np.signbit(expected[:4]))


def test_every_function_is_tested():
    names = {"exp", "log", "tanh", "logistic", "expm1"}
    public = {name for name, value in vars(elementary).items() if type(value).__name__ == "_Intrinsic"}
    assert names <= public
    assert public - names <= {"fma"}
    assert len(FUNCTIONS) == len(names)
