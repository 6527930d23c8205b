"""The less usual activations and their slopes against extended precision, in units in the last place."""

from itertools import product

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.check.accuracy import all_sizes, between, evaluated, ulps
from fastmlp.kernels import curves
from fastmlp.kernels.jit import kernel, passing_entry
from fastmlp.kernels.vectors import FMA, lanes, load, store
from fastmlp.options import Activation

LEAKY_RELU, ELU, SELU, SOFTPLUS, GELU, SILU, MISH = tuple(Activation)[4:]
SLOPE = 100


@kernel
def apply(function, x, y):
    for i in range(0, x.shape[0], lanes(x)):
        a = load(x, i)
        if function == LEAKY_RELU:
            store(y, i, curves.leaky_relu(a))
        elif function == LEAKY_RELU + SLOPE:
            store(y, i, curves.leaky_relu_slope(a))
        elif function == ELU:
            store(y, i, curves.elu(a))
        elif function == ELU + SLOPE:
            store(y, i, curves.elu_slope(a))
        elif function == SELU:
            store(y, i, curves.selu(a))
        elif function == SELU + SLOPE:
            store(y, i, curves.selu_slope(a))
        elif function == SOFTPLUS:
            store(y, i, curves.softplus(a))
        elif function == SOFTPLUS + SLOPE:
            store(y, i, curves.softplus_slope(a))
        elif function == GELU:
            store(y, i, curves.gelu(a))
        elif function == GELU + SLOPE:
            store(y, i, curves.gelu_slope(a))
        elif function == SILU:
            store(y, i, curves.silu(a))
        elif function == SILU + SLOPE:
            store(y, i, curves.silu_slope(a))
        elif function == MISH:
            store(y, i, curves.mish(a))
        else:
            store(y, i, curves.mish_slope(a))


# Not `entry`: its cache on disk would not notice edits here.
compiled = passing_entry(apply.py_func)


def evaluate(function, values):
    return evaluated(compiled, int(function), values)


def slope(function, x):
    """As the backward pass computes it: of the weighted sums, or from what the activation returns."""
    return evaluate(function + SLOPE, x if function >= GELU else evaluate(function, x))


# Exactly, in extended precision.
ROOT = np.sqrt(8 * np.arctan(np.longdouble(1)))  # of 2 pi


def logistic(x):
    return 1 / (1 + np.exp(-x))


def density(x):
    """exp(-x^2 / 2); x in two parts, since what its square loses counts the more the larger it is."""
    high = np.rint(x * 2**20) / 2**20
    return np.exp(-high * high / 2) * np.exp(-(x - high) * (x + high) / 2)


def normal(x):
    """The share of a standard normal distribution below x: by its series near 0, by its continued fraction far from it."""
    size = np.minimum(np.abs(x), 200)
    near, far = np.minimum(size, 1.5), np.maximum(size, 1.5)
    term = total = near
    for n in range(3, 99, 2):
        term = term * near * near / n
        total = total + term
    fraction = far
    for n in range(300, 0, -1):
        fraction = far + n / fraction
    below = np.where(size < 1.5, 0.5 - density(near) / ROOT * total, density(far) / ROOT / fraction)
    return np.where(x > 0, 1 - below, below)


def mish_parts(x):
    """tanh(softplus(x)) and 1 less its square, by n / (n + 2) with n = exp(x) (exp(x) + 2)."""
    e = np.exp(np.minimum(x, 1000))
    n = e * (e + 2)
    return n / (n + 2), 4 * (n + 1) / (n + 2) ** 2


def exact_value(activation, x):
    """The activation, and by what it has multiplied x."""
    one, low = np.ones_like(x), np.minimum(x, 0)
    if activation == ELU:
        return np.where(x > 0, x, np.expm1(low)), one
    if activation == SELU:
        return curves.SELU_SCALE * np.where(x > 0, x, curves.SELU_ALPHA * np.expm1(low)), one
    if activation == SOFTPLUS:
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), one
    factor = {GELU: normal, SILU: logistic, MISH: lambda x: mish_parts(x)[0]}[activation](x)
    return x * factor, factor


def exact_slope(activation, x):
    """The derivative, and of two terms that may cancel the sum of their sizes, else 1: what its error is measured by."""
    one, low = np.ones_like(x), np.minimum(x, 0)
    if activation == ELU:
        return np.where(x > 0, 1, np.exp(low)), one
    if activation == SELU:
        return curves.SELU_SCALE * np.where(x > 0, 1, curves.SELU_ALPHA * np.exp(low)), one
    if activation == SOFTPLUS:
        return logistic(x), logistic(x)
    if activation == GELU:
        first, second = normal(x), x * density(np.clip(x, -200, 200)) / ROOT
    elif activation == SILU:
        first, second = logistic(x), x * logistic(x) * logistic(-x)
    else:
        first, rest = mish_parts(x)
        second = x * rest * logistic(x)
    return first + second, first + np.abs(second)


# What was measured, in units in the last place, rounded up: of float32 and float64 the worse, with wide vectors and narrow
# ones. Where there is no fma the gaussian's exponent is as exact as the square of x, which is up to 200 and 1,500.
FUSED = FMA == "llvm.fma"
VALUES = {ELU: 1.2, SELU: 2.3, SOFTPLUS: 2, GELU: 5.3 if FUSED else 600, SILU: 2.7, MISH: 4}
# silu's has a factor 1 - s, of which x times the rounding of s is lost while the slope is not 1 yet.
SLOPES = {ELU: 0.5, SELU: 2, SOFTPLUS: 3.4, GELU: 5.5 if FUSED else 600, SILU: 19, MISH: 4.6}
ENDS = {np.float32: (-120, 100), np.float64: (-760, 720)}


@pytest.fixture(scope="module", params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(scope="module")
def sums(dtype):
    """Of all sizes, and where the curves bend."""
    ranges = [ENDS[dtype], (-40, 40), (-3, 3), (-1e-2, 1e-2)]
    return np.concatenate([all_sizes(dtype), *(between(low, high, dtype) for low, high in ranges)])


@pytest.fixture(autouse=True)
def _far_sums_are_silent():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("activation", VALUES, ids=lambda activation: activation.name.lower())
def test_values(activation, dtype, sums):
    x = sums
    exact, factor = exact_value(activation, x.astype(np.longdouble))
    x, exact, factor = (array[np.abs(exact) <= np.finfo(dtype).max] for array in (x, exact, factor))
    values = evaluate(activation, x)
    tiny = np.finfo(dtype).tiny
    normal_ones = ((np.abs(exact) >= tiny) & (factor >= tiny)) | (x == 0)
    error = ulps(values[normal_ones], exact[normal_ones])
    assert error.max() <= VALUES[activation], x[normal_ones][error.argmax()]
    # Below the normal numbers little is left of a factor, or nothing.
    rest = np.abs(values - exact)[~normal_ones]
    assert (rest <= tiny / 2 * np.maximum(np.abs(x[~normal_ones]), 1)).all()


@pytest.mark.parametrize("activation", SLOPES, ids=lambda activation: activation.name.lower())
def test_slopes(activation, dtype, sums):
    """As the backward pass finds them: of the elus and softplus by way of what they return."""
    x = sums[np.abs(sums) < 1e30]
    exact, scale = exact_slope(activation, x.astype(np.longdouble))
    slopes, tiny = slope(activation, x), np.finfo(dtype).tiny
    normal_ones = scale >= 4 * tiny * np.maximum(np.abs(x), 1)
    error = np.abs(slopes - exact)
    units = error[normal_ones] / np.spacing(scale[normal_ones].astype(dtype))
    assert units.max() <= SLOPES[activation], x[normal_ones][units.argmax()]
    assert (error[~normal_ones] <= tiny / 2 * np.maximum(np.abs(x[~normal_ones]), 1)).all()


def test_straight_lines_are_exact(dtype, sums):
    """Of one product at most: with the leak, and with selu's scale."""
    leak = dtype(curves.LEAK)
    np.testing.assert_array_equal(evaluate(LEAKY_RELU, sums), np.where(sums < 0, sums * leak, sums))
    expected = np.where(sums > 0, dtype(1), leak)
    np.testing.assert_array_equal(evaluate(LEAKY_RELU + SLOPE, sums), expected)
    positive = sums[sums > 0]
    np.testing.assert_array_equal(evaluate(ELU, positive), positive)
    np.testing.assert_array_equal(evaluate(SELU, positive), positive * dtype(curves.SELU_SCALE))
    # No more is to be added to a large sum, or taken from it.
    for activation, end in ((SOFTPLUS, 40), (GELU, 10), (SILU, 40), (MISH, 40)):
        large = sums[sums > end]
        np.testing.assert_array_equal(evaluate(activation, large), large)
        np.testing.assert_array_equal(slope(activation, large), 1)


def test_what_is_no_number_and_what_is_large(dtype):
    """As the reference takes it: a NaN stays, and the product of an infinity with 0 is one."""
    x = np.array([np.nan, np.inf, -np.inf, 0, 1e30, -1e30], dtype)
    for activation in (LEAKY_RELU, *VALUES):
        values = evaluate(activation, x)
        np.testing.assert_allclose(values, reference.activate(activation, x), rtol=np.finfo(dtype).eps * 4)
        assert np.isnan(values[0])
        slopes = slope(activation, x)[3:]
        finite, ones = x[3:], np.ones(3, dtype)
        expected = reference.activate_backward(activation, finite, reference.activate(activation, finite), ones)
        # The elus' slopes follow from 1 + a: what is left of them far below 0 is a rounding.
        np.testing.assert_allclose(slopes, expected, rtol=np.finfo(dtype).eps * 4, atol=np.finfo(dtype).eps * 2)


def test_every_function_is_tested():
    public = {name for name, value in vars(curves).items() if type(value).__name__ == "_Intrinsic"}
    tested = (LEAKY_RELU, *VALUES)
    assert public == {activation.name.lower() + end for activation, end in product(tested, ("", "_slope"))}
    assert set(VALUES) == set(SLOPES)
