"""``MLPClassifier`` and ``MLPRegressor``: scikit-learn's parameters, attributes and numbers."""

from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
