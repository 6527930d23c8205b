"""A process that trains and predicts for long does not grow."""

import pytest

from resident import linux_alone, told_by

MOST_GROWN = 5_000_000
# Fits and predictions of many kinds, some of which fail; prints how many there were after a first round, by how many bytes
# the process grew meanwhile, and how many calls failed that should have, and did.
SCRIPT = """
import json, sys, tempfile, warnings
from pathlib import Path
import numpy as np
import fastmlp
from resident import settled

warnings.simplefilter("ignore")
n_fits, n_predictions, n_before = map(int, sys.argv[1:])
random = np.random.default_rng(0)
X = random.standard_normal((200, 6))
y, values = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0), X @ random.standard_normal((6, 2))
hole = np.where(random.random(X.shape) < 0.01, np.nan, X)
file = Path(tempfile.mkdtemp()) / "net.safetensors"
failed = 0


def interrupt(epoch):
    raise KeyboardInterrupt


def anew(seed, targets=y, **options):
    shape = [1 + seed % 7] * (1 + seed % 3)
    return fastmlp.train(X, targets, shape, **{"epochs": 3, "seed": seed, "batch_size": 32 + seed % 9, **options})


def going_on(seed):
    first = anew(seed, dropout=0.1)
    return fastmlp.train(X, y, start=first, epochs=2, batch_size=50)


def stored(seed):
    net = anew(seed, dtype="float32")
    net.save(file)
    return fastmlp.load(file)


def many(seed):
    sweep = fastmlp.train_many(X, y, {"seed": range(9), "hidden": [3, 4]}, epochs=2, batch_size=16, validation=0.2)
    sweep.save(file)
    return fastmlp.Sweep.load(file)[seed % len(sweep)]


def classifier(seed):
    return fastmlp.MLPClassifier((5,), max_iter=3, random_state=seed, early_stopping=seed % 2 == 0).fit(X, y)


def regressor(seed):
    options = {"max_iter": 3, "random_state": seed, "solver": ["lbfgs", "sgd"][seed % 2]}
    net = fastmlp.MLPRegressor(hidden_layer_sizes=(4, 3), **options).fit(X, values)
    return net.partial_fit(X, values) if seed % 2 else net


def fails(seed):
    global failed
    for call in (
        lambda: fastmlp.train(hole, y, 3, epochs=2),
        lambda: fastmlp.train(X, y[:-1], 3, epochs=2),
        lambda: fastmlp.train(X, y, 3, epochs=2, solver="adams"),
        lambda: fastmlp.MLPClassifier((3,), max_iter=2).fit(hole, y),
        lambda: net.predict(X[:, 1:]),
        lambda: net.predict(hole),
        lambda: fastmlp.load(file.with_suffix(".missing")),
    ):
        try:
            call()
        except (ValueError, OSError):
            failed += 1
    return anew(seed)


KINDS = (
    anew,
    lambda seed: anew(seed, values, loss="huber", dtype="float32", l1=1e-3),
    lambda seed: anew(seed, validation=0.2, patience=2, schedule="adaptive"),
    lambda seed: anew(seed, solver="lbfgs", batch_size="auto"),
    lambda seed: anew(seed, engine="reference"),
    lambda seed: anew(seed, callback=interrupt),
    lambda seed: anew(seed, X * 1e6, solver="sgd", learning_rate=1e9),
    lambda seed: fastmlp.train(X, y, (200, 200), epochs=1, seed=seed, threads=2, batch_size=None),
    lambda seed: anew(seed, callback=lambda epoch: epoch.network.predict(X), threads=3),
    going_on, stored, many, classifier, regressor, fails,
)
net = anew(0)


def work(fits, predictions):
    global net
    for place in range(fits):
        net = KINDS[place % len(KINDS)](place)
        for turn in range(predictions // fits):
            rows = X[: 1 + 7 * turn % 200]
            has_classes = getattr(net, "is_classifier", hasattr(net, "classes_"))
            net.predict_proba(rows) if turn % 3 == 0 and has_classes else net.predict(rows)


work(n_before, n_before * n_predictions // n_fits)
failed, before = 0, settled()
work(n_fits, n_predictions)
print(json.dumps([settled() - before, failed]))
"""


@linux_alone
@pytest.mark.long
def test_resident_memory_does_not_grow(trials, count):
    n_fits = count(150, 2_000)
    n_predictions = count(5_000, 100_000)
    with trials("soak: resident memory grows by at most 5 MB") as trial, trial.case(f"{n_fits} fits"):
        grown, failed = told_by(SCRIPT, n_fits, n_predictions, count(60, 300), timeout=3600)
        print(f"grown by {grown / 1e6:.2f} MB")
        assert failed == 7 * (n_fits // 15)
        assert grown <= MOST_GROWN
