"""Nets of all activations, losses, dtypes and kinds of labels, exported and run elsewhere."""

import numpy as np

from fastmlp.options import Activation
from runtimes import KINDS, check_equal, network

ACTIVATIONS = [member.name.lower() for member in Activation]


def test_exports_predict_the_same(trials, count, tmp_path):
    with trials("exports to ONNX equal in two runtimes") as trial:
        for number in range(count(25, 100)):
            random = np.random.default_rng(number)
            # The counts have no common factor: each goes round with all of the others.
            kind, activation = list(KINDS)[number % len(KINDS)], ACTIVATIONS[number % len(ACTIVATIONS)]
            dtype = (np.float32, np.float64)[number % 2]
            units = tuple(random.integers(1, 40, size=random.integers(0 if number % 5 == 0 else 1, 4)))
            activations = [activation, *random.choice(ACTIVATIONS, size=3)][: len(units)]
            n_features, scale = int(random.integers(1, 20)), random.choice([0.1, 1.0, 2.0])
            with trial.case(f"{number}: {kind}, {n_features} features, {units}, {activations}, {dtype.__name__}"):
                net = network(random, kind, units, activations, dtype, n_features, scale)
                path = net.to_onnx(tmp_path / "net.onnx")
                rows = int(random.choice([1, 2, 50, 333]))
                check_equal(net, path, random.normal(0, 3, (rows, n_features)).astype(dtype))
