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
from fastmlp import MLPClassifier, MLPRegressor, __main__, train, train_many

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
LABELS = (MANY[:, 0] + MANY[:, 1] > 0).astype(int)
LONG = 300_000


def own_metric(wanted, predicted):
    return float(np.mean(wanted == predicted))


def asleep(epoch):
    time.sleep(0.01)


def sweep(**options):
    return train_many(X, Y, [{"seed": place} for place in range(40)], epochs=LONG, **options)


KINDS = {
    "train": lambda: train(X, Y, 5, epochs=LONG, seed=0),
    "train, full batch": lambda: train(X, Y, 3, solver="sgd", batch_size=None, epochs=LONG, seed=0),
    "train, long epochs": lambda: train(MANY, LABELS, 256, epochs=1000, seed=0),
    "train, two threads": lambda: train(MANY, LABELS, (300, 300), batch_size=2000, epochs=1000, threads=2, seed=0),
    "train, validation": lambda: train(X, Y, 5, epochs=LONG, validation=0.3, metric=own_metric, seed=0),
    "train, much to validate": lambda: train(X, Y, 5, epochs=LONG, validation=(np.tile(X, (900, 1)), np.tile(Y, 900))),
    "train, callback": lambda: train(X, Y, 5, epochs=LONG, callback=asleep, seed=0),
    "train, L-BFGS": lambda: train(MANY, LABELS, 64, solver="lbfgs", epochs=LONG, tol=0, max_fun=10**9, seed=0),
    "train, read from float64": lambda: train(MANY.astype(np.float64), LABELS, 64, dtype="float32", epochs=1000, seed=0),
    "train, reference": lambda: train(X, Y, 5, epochs=LONG, engine="reference", seed=0),
    "train_many, abreast": lambda: sweep(hidden=3),
    "train_many, alone": lambda: sweep(hidden=50, dropout=0.2, threads=2),
    "train_many, halving": lambda: sweep(hidden=3, halving=3),
    "classifier": lambda: MLPClassifier((20,), max_iter=LONG, n_iter_no_change=LONG, tol=0, random_state=0).fit(X, Y),
    "classifier, early": lambda: MLPClassifier(
        (20,), max_iter=LONG, n_iter_no_change=LONG, early_stopping=True, random_state=0
    ).fit(X, Y),
    "regressor, lbfgs": lambda: MLPRegressor(
        solver="lbfgs", hidden_layer_sizes=(64,), max_iter=LONG, max_fun=10**9, tol=0, random_state=0
    ).fit(MANY, MANY[:, 0] ** 2),
}


def told(kind):
    """When a kind has come back from Ctrl-C, whether its nets predict finite numbers, how many there are, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        came = KINDS[kind]()
    returned = time.monotonic()
    nets = [net for net in came if net is not None] if kind.startswith("train_many") else [came]
    finite = []
    for net in nets:
        rows = X if len(net.weights[0] if hasattr(net, "weights") else net.coefs_[0]) == X.shape[1] else MANY[:50]
        finite.append(np.isfinite(net.predict(rows)).all())
        if hasattr(net, "coefs_"):
            finite.append(all(np.isfinite(weights).all() for weights in net.coefs_))
        else:
            finite.append(np.isfinite(net.params).all())
    return returned, all(finite), len(nets), [str(warning.message) for warning in caught]


def test_interrupts(trials, count):
    chance = random.Random(2)
    # Warm, so that a child begins to train at once.
    for kind in ("train", "train, two threads", "train_many, abreast", "classifier"):
        child = Child(lambda kind=kind: KINDS[kind]())
        time.sleep(1)
        child.send(signal.SIGINT)
        child.end()
    train(X, Y, 5, epochs=2, seed=0).predict(X)
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
    arguments = ["train", str(file), "--target", "y", "--epochs", str(LONG), "--patience", str(LONG), "--out"]

    def command(out):
        sys.argv = ["fastmlp", *arguments, str(out)]
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        __main__.main()

    with trials("SIGINT at random moments of the command: 130 within 0.5 s") as trial:
        for turn in range(count(6, 40)):
            child = Child(lambda turn=turn: command(tmp_path / f"{turn}.safetensors"))
            delay = chance.uniform(0.02, 2)
            time.sleep(delay)
            sent = child.send(signal.SIGINT)
            with trial.case(f"after {delay:.3f} s"):
                code, ended, _ = child.end()
                assert code == 130
                assert ended - sent <= LIMIT, f"{ended - sent:.2f} s"


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
            environment = {**os.environ, "FASTMLP_CACHE_DIR": str(tmp_path / "cache")}
            process = subprocess.Popen(
                [sys.executable, "-c", COLD], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert process.stdout.readline() == "begun\n"
            delay = chance.uniform(0.05, 4)
            time.sleep(delay)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            with trial.case(f"after {delay:.3f} s"):
                assert process.stdout.readline() in ("interrupted\n", "nothing yet\n")
                assert time.monotonic() - sent <= LIMIT
                assert process.wait(60) == 0
