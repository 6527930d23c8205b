"""A pytest plugin that puts fastmlp's estimators in the place of scikit-learn's, whose own tests then judge them.

``pytest -p patch_mlp --pyargs sklearn.neural_network.tests.test_mlp``, with this folder on the path.
"""

import sklearn.neural_network
from sklearn.neural_network import _multilayer_perceptron

from fastmlp import MLPClassifier, MLPRegressor

for module in (sklearn.neural_network, _multilayer_perceptron):
    module.MLPClassifier, module.MLPRegressor = MLPClassifier, MLPRegressor


def pytest_terminal_summary(terminalreporter):
    """Say that the tests have met them."""
    from sklearn.neural_network.tests import test_mlp

    if test_mlp.MLPClassifier is MLPClassifier and test_mlp.MLPRegressor is MLPRegressor:
        terminalreporter.write_line("fastmlp's estimators are in place")
