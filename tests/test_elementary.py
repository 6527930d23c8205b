"""exp, log, tanh, the logistic function and exp - 1 against extended precision, in units in the last place."""

import numpy as np
import pytest

from fastmlp.check.accuracy import between
from fastmlp.check.elementary import FUNCTIONS, bound, special_missed, values, worst
from fastmlp.kernels import elementary


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error(name, dtype):
    error, place = worst(name, dtype)
    assert 0 < error <= bound(name, dtype), place


def test_tanh_is_odd_and_never_above_one(dtype):
    x = FUNCTIONS["tanh"].numbers(dtype)
    found = values("tanh", x)
    assert np.abs(found).max() <= 1
    np.testing.assert_array_equal(values("tanh", -x), -found)


def test_tanh_never_falls_by_more_than_its_rounding(dtype):
    """Numbers side by side may be rounded apart by two units in the last place, and no further."""
    x = np.sort(np.abs(between(0, 25, dtype, 400_000)))
    found = values("tanh", x)
    assert (np.diff(found) >= -2 * np.spacing(found[1:])).all()
    beyond = np.array([20, 100, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(values("tanh", beyond), 1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    assert special_missed(name, dtype) == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_that_are_missed_are_counted(name, dtype, monkeypatch):
    """A function that is 7 everywhere has none of them right."""
    monkeypatch.setattr("fastmlp.check.elementary.values", lambda name, x: np.full_like(x, 7))
    assert special_missed(name, dtype) == len(FUNCTIONS[name].special) + 1


def test_every_function_is_tested():
    public = {name for name, value in vars(elementary).items() if type(value).__name__ == "_Intrinsic"}
    assert set(FUNCTIONS) <= public
    assert public - set(FUNCTIONS) <= {"fma"}
    assert len({function.number for function in FUNCTIONS.values()}) == len(FUNCTIONS)
