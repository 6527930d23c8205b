"""The estimators beside scikit-learn's own."""

from typing import Any

import numpy as np
import pytest
from sklearn import neural_network

import estimators
import fastmlp

CLASSES = {"fastmlp": fastmlp.MLPClassifier, "scikit-learn": neural_network.MLPClassifier}


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize("task", ["iris", "breast_cancer", "digits", "partial_fit", "predict"])
def test_estimator(benchmark: Any, task: str, library: str) -> None:
    work = estimators.prepare(task, CLASSES[library](random_state=0))
    estimators.seconds(work)
    benchmark.group = f"estimators: {task}"
    _, result = benchmark.pedantic(estimators.seconds, (work,), rounds=5)
    assert np.isfinite(result)
