"""Examples in docstrings say what comes out."""

import doctest

import pytest

from fastmlp.estimators import classifier, regressor


@pytest.mark.parametrize("module", [classifier, regressor], ids=lambda module: module.__name__)
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted >= 4
    assert result.failed == 0


@pytest.mark.parametrize("cls", [classifier.MLPClassifier, regressor.MLPRegressor])
def test_every_parameter_and_attribute_is_told(cls):
    for name in cls().get_params():
        assert f" {name}" in cls.__doc__, name
    assert "{" + "parameters" not in cls.__doc__
    assert all(len(line) <= 128 for line in cls.__doc__.splitlines())
