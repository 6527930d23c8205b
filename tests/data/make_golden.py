"""Writes the files of format 1 that must always be read, and what their nets predict. Run once: they are history."""

from pathlib import Path

import numpy as np

from fastmlp import train, train_many

HERE = Path(__file__).parent / "golden"
X = np.random.default_rng(1).uniform(-2, 2, (24, 3)).round(3)
KINDS = np.arange(24) % 3
LABELS = np.array([X[:, 0] > 0, X[:, 1] > 0]).T.astype(int)
COMMON = {"hidden": 4, "epochs": 6, "batch_size": 10, "learning_rate": 0.01, "seed": 1}
NETS = {
    "classes": (KINDS, {}),
    "classes-float32": (KINDS + 5, {"dtype": "float32", "activation": "tanh"}),
    "texts": (np.array(["blue", "a", "ünïcode"])[KINDS], {"hidden": (4, 3), "activation": ["gelu", "mish"]}),
    "objects": (np.array([2**70, -3, 1], object)[KINDS], {"hidden": ()}),
    "truth": (X[:, 0] > 0, {"loss": "binary_cross_entropy", "activation": "silu"}),
    "multilabel": (LABELS, {"activation": "elu"}),
    "values": (X[:, 0] * X[:, 1], {"activation": "selu"}),
    "several-values": (X[:, :2] ** 2, {"loss": "huber", "activation": "softplus", "dtype": "float32"}),
    "counts": (np.floor(np.exp(X[:, 2])), {"loss": "poisson", "activation": "leaky_relu"}),
    "quantiles": (X[:, 0] + X[:, 1], {"loss": "quantile", "activation": "identity"}),
    "medians": (X[:, :2], {"loss": "absolute_error", "dtype": "float32", "hidden": (2, 1)}),
    "validated": (KINDS, {"validation": 0.3, "metric": "accuracy", "activation": "logistic"}),
}


# Saved with their training, gone on from for so many epochs.
ON = 4
TRAININGS = {
    "training-adam": {"validation": 0.3, "dropout": 0.2, "l1": 1e-3},
    "training-legacy": {"seed": np.random.RandomState(3), "solver": "sgd", "momentum": 0.9, "dtype": "float32"},
    "training-philox": {"seed": np.random.Generator(np.random.Philox(5)), "shuffle": "blocks", "solver": "rmsprop"},
    "training-lbfgs": {"solver": "lbfgs", "batch_size": None, "l2": 0.01},
}


def write_trainings() -> None:
    """Those that came with checkpoints, beside the others."""
    expected = {}
    for name, options in TRAININGS.items():
        net = train(X, KINDS, **{**COMMON, **options})
        net.save(HERE / f"{name}.safetensors", training=True)
        again = {**COMMON, **options, "epochs": ON, "seed": None, "hidden": COMMON["hidden"]}
        expected[f"{name}.params"] = net.params
        expected[f"{name}.on"] = train(X, KINDS, start=net, **again).params
    np.savez_compressed(HERE / "expected-trainings.npz", **expected)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    expected = {"X": X}
    for name, (y, options) in NETS.items():
        net = train(X, y, **{**COMMON, **options})
        net.save(HERE / f"{name}.safetensors")
        expected[f"{name}.params"] = net.params
        expected[f"{name}.outputs"] = net.predict_proba(X) if net.is_classifier else net.predict(X)
        expected[f"{name}.predicted"] = net.predict(X).astype("U") if net.is_classifier else net.predict(X)
    sweep = train_many(X, KINDS, {"hidden": [2, 3], "learning_rate": [0.1, 0.01]}, epochs=3, seed=1)
    sweep.save(HERE / "sweep.safetensors")
    expected["sweep.outputs"] = np.array([net.predict_proba(X) for net in sweep])
    np.savez_compressed(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
    write_trainings()
