"""Trainings killed at random moments: checkpoints are whole, and the same call comes to the bits of an unbroken one."""

import os
import random
import signal
import time

import numpy as np
import pytest

from children import Child
from fastmlp import load, train

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]
RANDOM = np.random.default_rng(5)
X, Y = RANDOM.standard_normal((150, 3)), np.arange(150) % 3
COMMON = {"hidden": 5, "batch_size": 20, "learning_rate": 0.01, "epochs": 60}
# What a state is made of: moments, penalties, samples held out, random numbers, the best net, orders, iterations.
CALLS = {
    "adam": {"seed": 1},
    "sgd with momentum, float32": {"solver": "sgd", "momentum": 0.9, "nesterov": True, "dtype": "float32", "seed": 2},
    "validation": {"validation": 0.2, "patience": 50, "dropout": 0.2, "seed": 3},
    "RandomState": {"seed": np.random.RandomState, "l1": 1e-3, "metric": "accuracy", "validation": 0.3},
    "Generator, two layers": {"seed": np.random.default_rng, "hidden": (6, 4), "solver": "rmsprop", "max_grad_norm": 0.5},
    "blocks": {"shuffle": "blocks", "seed": 4, "schedule": "cosine"},
    "rprop": {"solver": "rprop", "batch_size": None, "seed": 5},
    "lbfgs": {"solver": "lbfgs", "batch_size": None, "l2": 0.01, "seed": 6},
    "reference": {"engine": "reference", "epochs": 25, "seed": 7},
}


def trained(call):
    options = {**COMMON, **call}
    if not isinstance(options["seed"], int):
        options["seed"] = options["seed"](11)
    return train(X, Y, **options)


def bits(net):
    curves = (net.params, net.loss_curve, net.validation_curve, net.validation_scores)
    return [None if part is None else part.tobytes() for part in curves], net.best_epoch, net.status


def test_kills(trials, count, tmp_path):
    chance, wanted, seconds, kills = random.Random(1), {}, {}, 0
    for name, call in CALLS.items():
        wanted[name] = bits(trained(call))
        begin = time.monotonic()
        trained({**call, "checkpoint": tmp_path / f"timed {name}", "checkpoint_seconds": 0})
        seconds[name] = time.monotonic() - begin
    with (
        trials("SIGKILL at random moments: a whole checkpoint") as whole,
        trials("the same call after kills: the bits of an unbroken run") as resumed,
    ):
        for turn in range(10_000):
            name = list(CALLS)[turn % len(CALLS)]
            path, broken = tmp_path / f"{turn}.safetensors", 0
            call = {**CALLS[name], "checkpoint": path, "checkpoint_seconds": 0}
            while True:
                child = Child(lambda call=call: bits(trained(call)))
                # Each goes on from where the one before was, so that one comes to the end.
                time.sleep(chance.uniform(0, seconds[name] * (1 + broken / 10)))
                child.send(signal.SIGKILL)
                code, _, came = child.end()
                if code == 0:
                    break
                assert code == -signal.SIGKILL, "the child failed by itself"
                broken += 1
                with whole.case(f"{name}, kill {broken}"):
                    if path.exists():
                        assert np.isfinite(load(path).predict_proba(X)).all()
            kills += broken
            with resumed.case(f"{name}, after {broken} kills"):
                assert came == wanted[name]
                assert bits(load(path)) == wanted[name]
            if kills >= count(40, 500) and turn >= len(CALLS) - 1:
                return
