"""The estimators beside scikit-learn's own: whole fits with default parameters, a search, updates, predictions.

    python bench/estimators.py --rounds 5
    python bench/estimators.py iris digits --rounds 9

They take turns. Prints the medians of times and of the rounds' ratios; scikit-learn on one thread or all cores, whichever
is faster. The losses, which tell that both did the same, are those at the end of training.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fastmlp

Work = Callable[[], Any]
# What fastmlp's columns are called, and the threads they have.
OURS = {"one thread": 1, "threads by itself": None}
GRID = {"hidden_layer_sizes": [(50,), (100,), (50, 50)], "alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}


@lru_cache
def data(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Standardised samples, and labels."""
    loaders = {"iris": load_iris, "breast_cancer": load_breast_cancer, "digits": load_digits}
    if name in loaders:
        X, y = loaders[name](return_X_y=True)
    else:
        n_features, n_classes = {"10,000 x 30": (30, 2), "10,000 x 784": (784, 10)}[name]
        X, y = make_classification(10_000, n_features, n_informative=n_features // 2, n_classes=n_classes, random_state=0)
    return StandardScaler().fit_transform(X), y


def fit(net: Any, name: str) -> Work:
    X, y = data(name)
    return lambda: clone(net).fit(X, y).loss_


def search(net: Any, name: str) -> Work:
    X, y = data(name)
    grid = {**GRID, "activation": ["relu", "tanh"]}
    return lambda: GridSearchCV(clone(net), grid, n_jobs=2, cv=5).fit(X, y).best_score_


def update(net: Any, name: str) -> Work:
    """A thousand batches of 32 rows, 64-100-10."""
    X, y = data("digits")

    def updates() -> float:
        fitted = clone(net).partial_fit(X[:32], y[:32], classes=np.arange(10))
        for start in range(0, 32_000, 32):
            rows = slice(start % 1760, start % 1760 + 32)
            fitted.partial_fit(X[rows], y[rows])
        return float(fitted.loss_)

    return updates


def predict(net: Any, name: str) -> Work:
    """A thousand times one row, 64-100-10."""
    X, y = data("digits")
    net = clone(net).set_params(max_iter=5)
    seconds(lambda: net.fit(X, y).loss_)
    return lambda: float(np.mean([net.predict(X[row : row + 1])[0] == y[row] for row in range(1000)]))


TASKS: dict[str, tuple[Callable[[Any, str], Work], str]] = {
    **dict.fromkeys(("iris", "breast_cancer", "digits", "10,000 x 30", "10,000 x 784"), (fit, "fit")),
    "search": (search, "24 candidates x 5 folds on digits, two processes"),
    "partial_fit": (update, "1,000 updates with 32 rows of digits"),
    "predict": (predict, "1,000 predictions of one row of digits"),
}


def prepare(task: str, estimator: Any) -> Work:
    """What a round runs."""
    make, _ = TASKS[task]
    return make(estimator, "digits" if make is search else task)


def seconds(work: Work, threads: int | None = None) -> tuple[float, float]:
    """How long it takes, and what comes out."""
    with threadpool_limits(limits=threads), warnings.catch_warnings():
        # Fits with default parameters often reach the last iteration.
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.perf_counter()
        result = work()
        return time.perf_counter() - begin, float(result)


def compare(task: str, rounds: int) -> str:
    """A row of the table."""
    theirs = prepare(task, neural_network.MLPClassifier(random_state=0))
    ours = {name: prepare(task, fastmlp.MLPClassifier(random_state=0, n_jobs=n_jobs)) for name, n_jobs in OURS.items()}
    columns: dict[str, list[float]] = {name: [] for name in ("theirs", *ours)}
    results = {}
    for _ in range(rounds):
        runs = [seconds(theirs, threads) for threads in sorted({1, os.cpu_count() or 1})]
        columns["theirs"].append(min(run[0] for run in runs))
        results["theirs"] = runs[0][1]
        for name, work in ours.items():
            taken, results[name] = seconds(work)
            columns[name].append(taken)
    cells = [task if TASKS[task][0] is fit else TASKS[task][1], shown(columns["theirs"], results["theirs"])]
    for name in ours:
        ratio = statistics.median(one / other for one, other in zip(columns["theirs"], columns[name], strict=True))
        cells.append(f"{shown(columns[name], results[name])}, {ratio:.1f}x")
    return "| " + " | ".join(cells) + " |"


def shown(times: list[float], result: float) -> str:
    median = statistics.median(times)
    return f"{median * 1e3:.3g} ms ({result:.4g})" if median < 1 else f"{median:.3g} s ({result:.4g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    unknown = set(wanted.tasks) - set(TASKS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(TASKS)}")
    # The search's processes warn for themselves.
    os.environ["PYTHONWARNINGS"] = "ignore"
    seconds(prepare("iris", fastmlp.MLPClassifier(max_iter=1)))
    print("| | scikit-learn | " + " | ".join(f"fastmlp, {name}" for name in OURS) + " |")
    print("| --- | --: | --: | --: |")
    for task in wanted.tasks:
        print(compare(task, 1 if TASKS[task][0] is search else wanted.rounds), flush=True)


if __name__ == "__main__":
    main()
