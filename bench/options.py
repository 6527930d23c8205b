"""What each option of `train` costs: a step of 64-100-10 on batches of 200 with it, over one without.

    python bench/options.py --dtype float32 --rounds 9

The options take turns with the step they are compared to (A B C, A B C, ...). Prints the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastmlp

N_SAMPLES, N_FEATURES, N_CLASSES, BATCH = 2_000, 64, 10, 200
SHARED = {"hidden": 100, "activation": "tanh", "learning_rate": 1e-4, "batch_size": BATCH, "seed": 0, "threads": 1}
SOLVERS = ("adam", "adamw", "rmsprop")
ACTIVATIONS = ("relu", "logistic", "leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "mish")
LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "quantile", "binary_cross_entropy")
# Each option beside what it is compared to.
BASE: dict[str, Any] = {"solver": "sgd"}
OPTIONS: dict[str, dict[str, Any]] = {
    **{f"solver {name}": {"solver": name} for name in SOLVERS},
    "momentum 0.9": {"solver": "sgd", "momentum": 0.9},
    **{f"activation {name}": {**BASE, "activation": name} for name in ACTIVATIONS},
    **{f"loss {name}": {**BASE, "loss": name} for name in LOSSES},
    "dropout 0.5": {**BASE, "dropout": 0.5},
    "sample weights": {**BASE, "sample_weight": np.ones(N_SAMPLES)},
    "label smoothing": {**BASE, "label_smoothing": 0.1},
    "l2": {**BASE, "l2": 1e-4},
    "l1": {**BASE, "l1": 1e-4},
    "gradient clipping": {**BASE, "max_grad_norm": 1.0},
    "patience": {**BASE, "patience": 10_000},
    "validation, a tenth more": {**BASE, "validation": "tenth"},
}


@lru_cache
def data(dtype: str, loss: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """X, and targets that suit the loss."""
    random = np.random.default_rng(0)
    X = random.standard_normal((N_SAMPLES, N_FEATURES)).astype(dtype)
    labels = random.integers(0, N_CLASSES, N_SAMPLES)
    if loss is None:
        return X, labels
    one_hot = (labels[:, np.newaxis] == np.arange(N_CLASSES)).astype(int)
    return X, one_hot if loss == "binary_cross_entropy" else one_hot.astype(float)


def train(option: dict[str, Any], dtype: str, epochs: int) -> fastmlp.Network:
    """Train with an option of the table."""
    X, y = data(dtype, option.get("loss"))
    if option.get("validation") == "tenth":
        tenth = N_SAMPLES // 10
        option = {**option, "validation": (X[:tenth], y[:tenth])}
    return fastmlp.train(X, y, epochs=epochs, **{**SHARED, **option})


def seconds_per_step(option: dict[str, Any], dtype: str, epochs: int) -> float:
    begin = time.perf_counter()
    train(option, dtype, epochs)
    return (time.perf_counter() - begin) / (epochs * -(-N_SAMPLES // BATCH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=60)
    wanted = parser.parse_args()
    options = {"solver sgd": BASE, **OPTIONS}
    for option in options.values():
        train(option, wanted.dtype, 1)
    times: dict[str, list[float]] = {name: [] for name in options}
    for _ in range(wanted.rounds):
        for name, option in options.items():
            times[name].append(seconds_per_step(option, wanted.dtype, wanted.epochs))
    for name, column in times.items():
        ratios = [one / base for one, base in zip(column, times["solver sgd"], strict=True)]
        print(f"{name:28} {statistics.median(column) * 1e6:8.1f} us a step {statistics.median(ratios):6.2f}x")


if __name__ == "__main__":
    main()
