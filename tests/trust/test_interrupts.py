"""Ctrl-C at random moments: whatever trains gives back what it has within half a second."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from children import Child
from fastmlp import MLPClassifier, MLPRegressor, train, train_many

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]
# What is promised, in seconds.
LIMIT = 0.5
# When a signal may come: a warm process has begun to train long before the end of it.
LATEST = 0.6
RANDOM = np.random.default_rng(3)
X, Y = RANDOM.standard_normal((300, 4)), np.arange(300) % 3
MANY = RANDOM.standard_normal((60_000, 40), dtype=np.float32)
WIDE = np.tile(MANY, (1, 4)).astype(np.float64)
LABELS = (MANY[:, 0] + MANY[:, 1] > 0).astype(int)
LONG = 300_000


def own_metric(wanted, predicted):
    return float(np.mean(wanted == predicted))


def asleep(epoch):
    time.sleep(0.01)


def sweep(epochs, **options):
    return train_many(X, Y, [{"seed": place} for place in range(40)], epochs=epochs, **options)


def classifier(epochs, **options):
    return MLPClassifier((20,), max_iter=epochs, n_iter_no_change=LONG, tol=0, random_state=0, **options).fit(X, Y)


# What may take so many epochs.
KINDS = {
    "train": lambda epochs: train(X, Y, 5, epochs=epochs, seed=0),
    "train, full batch": lambda epochs: train(X, Y, 3, solver="sgd", batch_size=None, epochs=epochs, seed=0),
    "train, long epochs": lambda epochs: train(MANY, LABELS, 256, epochs=epochs, seed=0),
    "train, two threads": lambda epochs: train(MANY, LABELS, (300, 300), batch_size=2000, epochs=epochs, threads=2, seed=0),
    "train, metric": lambda epochs: train(X, Y, 5, epochs=epochs, validation=0.3, metric=own_metric, seed=0),
    "train, much to validate": lambda epochs: train(
        X, Y, 5, epochs=epochs, validation=(np.tile(X, (900, 1)), np.tile(Y, 900)), seed=0
    ),
    "train, callback": lambda epochs: train(X, Y, 5, epochs=epochs, callback=asleep, seed=0),
    "train, L-BFGS": lambda epochs: train(MANY, LABELS, 64, solver="lbfgs", epochs=epochs, tol=0, max_fun=10**9, seed=0),
    "train, streamed": lambda epochs: train(WIDE, LABELS, 64, dtype="float32", epochs=epochs, seed=0),
    "train, reference": lambda epochs: train(X, Y, 5, epochs=epochs, engine="reference", seed=0),
    "train_many, abreast": lambda epochs: sweep(epochs, hidden=3),
    "train_many, alone": lambda epochs: sweep(epochs, hidden=50, dropout=0.2, threads=2),
    "train_many, halving": lambda epochs: sweep(epochs, hidden=3, halving=3),
    "classifier": classifier,
    "classifier, early": lambda epochs: classifier(epochs, early_stopping=True),
    "regressor, lbfgs": lambda epochs: MLPRegressor(
        solver="lbfgs", hidden_layer_sizes=(64,), max_iter=epochs, max_fun=10**9, tol=0, random_state=0
    ).fit(MANY, MANY[:, 0] ** 2),
}


def told(kind):
    """When a kind has come back from Ctrl-C, whether its nets predict finite numbers, how many there are, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        came = KINDS[kind](LONG)
    returned = time.monotonic()
    nets = [net for net in came if net is not None] if kind.startswith("train_many") else [came]
    finite = []
    for net in nets:
        weights = net.coefs_ if hasattr(net, "coefs_") else net.weights
        rows = np.ones((2, len(weights[0])))
        finite += [np.isfinite(net.predict(rows)).all(), all(np.isfinite(layer).all() for layer in weights)]
    return returned, all(finite), len(nets), [str(warning.message) for warning in caught]


def test_interrupts(trials, count):
    chance = random.Random(2)
    # Warm, so that a child begins to train at once.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind in KINDS:
            KINDS[kind](2)
    with trials("SIGINT at random moments: back within 0.5 s, nets usable") as trial:
        for turn in range(count(2 * len(KINDS), 200)):
            kind = list(KINDS)[turn % len(KINDS)]
            child = Child(lambda kind=kind: told(kind))
            delay = chance.uniform(0.001, LATEST)
            time.sleep(delay)
            sent = child.send(signal.SIGINT)
            with trial.case(f"{kind}, after {delay:.3f} s"):
                code, returned, came = child.end()
                assert code == 0
                if came is KeyboardInterrupt:
                    # Nothing had been trained.
                    assert delay < 0.2
                    assert returned - sent <= LIMIT
                    continue
                returned, finite, nets, warned = came
                assert returned - sent <= LIMIT, f"{returned - sent:.2f} s"
                assert finite
                assert nets or delay < 0.2
                assert any("interrupted" in message for message in warned), warned


def table(folder):
    file = folder / "table.csv"
    columns = ",".join([*(f"x{place}" for place in range(X.shape[1])), "y"])
    np.savetxt(file, np.column_stack([X, Y]), delimiter=",", header=columns, comments="")
    return file


def test_interrupts_of_commands(trials, count, tmp_path):
    chance, file = random.Random(3), table(tmp_path)
    options = ["--target", "y", "--epochs", str(LONG), "--patience", str(LONG), "--out", str(tmp_path / "model")]
    with trials("SIGINT at random moments of the command: 130 within 0.5 s") as trial:
        for _ in range(count(6, 60)):
            process = begun([sys.executable, "-m", "fastmlp", "train", str(file), *options])
            # Before, Python itself is not ready to hear it.
            delay = chance.uniform(0.15, 2.5)
            time.sleep(delay)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            with trial.case(f"after {delay:.3f} s"), process:
                assert process.wait(60) == 130
                assert time.monotonic() - sent <= LIMIT


def begun(command, **environment):
    return subprocess.Popen(
        command, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


COLD = """
import sys, time
import numpy as np
import fastmlp
X, y = np.random.default_rng(0).normal(size=(300, 5)), np.arange(300) % 2
print("begun", flush=True)
try:
    print(fastmlp.train(X, y, epochs=300_000, seed=0).status, flush=True)
except KeyboardInterrupt:
    print("nothing yet", flush=True)
"""


def test_interrupts_while_kernels_are_compiled(trials, count, tmp_path):
    chance = random.Random(4)
    with trials("SIGINT while Numba is imported and compiles: back within 0.5 s") as trial:
        for _ in range(count(2, 12)):
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            process = begun([sys.executable, "-c", COLD], FASTMLP_CACHE_DIR=str(tmp_path / "cache"))
            assert process.stdout.readline() == "begun\n"
            delay = chance.uniform(0.05, 4)
            time.sleep(delay)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            with trial.case(f"after {delay:.3f} s"), process:
                assert process.stdout.readline() in ("interrupted\n", "nothing yet\n")
                assert time.monotonic() - sent <= LIMIT
                assert process.wait(60) == 0
