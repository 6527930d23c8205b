"""What a user waits for before any training: whole processes, from their start to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

import problems

IMPORTS = {
    "import numpy": "import numpy",
    "import numpy, fastmlp": "import numpy, fastmlp",
    "import numpy, fastmlp.train": "import numpy; from fastmlp import train",
    "import numpy, sklearn.neural_network": "import numpy, sklearn.neural_network",
}
FIRST_TRAIN = """
import sys, numpy, fastmlp
data = numpy.load(sys.argv[1])
fastmlp.train(data["X"], data["y"], 3, activation="tanh", solver="sgd", learning_rate=2.0, batch_size=None, epochs=100)
"""
FIRST_FIT = """
import sys, warnings, numpy
from sklearn.neural_network import MLPClassifier
data = numpy.load(sys.argv[1])
warnings.simplefilter("ignore")
net = MLPClassifier(3, activation="tanh", solver="sgd", learning_rate_init=2.0, batch_size=200, max_iter=100)
net.fit(data["X"], data["y"])
"""


def run_process(code: str, *arguments: Path, cache: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env={**os.environ, "FASTMLP_CACHE_DIR": str(cache)}, check=True
    )


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = problems.data(problems.ARTICLE[0])
    path = tmp_path_factory.mktemp("start-up") / "moons.npz"
    np.savez(path, X=X, y=y)
    return path


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


def measure(benchmark: Any, case: str, rounds: int, code: str, *arguments: Path, caches: Iterator[Path]) -> None:
    """Time whole processes, each with the next of the cache folders."""
    benchmark.group = "start-up"
    benchmark.extra_info.update(problem="start-up", case=case)
    benchmark.pedantic(
        run_process, setup=lambda: ((code, *arguments), {"cache": next(caches)}), rounds=rounds, warmup_rounds=0
    )


def always(folder: Path) -> Iterator[Path]:
    while True:
        yield folder


def new_ones_in(folder: Path) -> Iterator[Path]:
    while True:
        yield Path(mkdtemp(dir=folder))


@pytest.mark.parametrize("case", IMPORTS)
def test_import(benchmark: Any, case: str, tmp_path: Path) -> None:
    run_process(IMPORTS[case], cache=tmp_path)  # reads the files from disk once
    measure(benchmark, case, 15, IMPORTS[case], caches=always(tmp_path))


def test_first_train_with_an_empty_cache(benchmark: Any, moons: Path, caches: Path) -> None:
    measure(benchmark, "first train, empty cache", 3, FIRST_TRAIN, moons, caches=new_ones_in(caches))


def test_first_train_with_a_warm_cache(benchmark: Any, moons: Path, caches: Path) -> None:
    # The test above leaves full ones; compiling takes seconds.
    cache = next(caches.iterdir(), caches / "filled here")
    run_process(FIRST_TRAIN, moons, cache=cache)
    measure(benchmark, "first train, warm cache", 9, FIRST_TRAIN, moons, caches=always(cache))


def test_first_fit_of_scikit_learn(benchmark: Any, moons: Path, tmp_path: Path) -> None:
    measure(benchmark, "first fit, scikit-learn", 9, FIRST_FIT, moons, caches=always(tmp_path))
