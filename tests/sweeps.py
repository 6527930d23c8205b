"""Sweeps beside the same nets trained alone: all that both have, bit by bit, and what trainings come to that go on."""

import warnings
from typing import NamedTuple

import numpy as np
import pytest

from fastmlp import schedules, train, train_many
from fastmlp.kernels.abreast_run import lanes_of
from fastmlp.options import Activation
from fastmlp.sweep import abreast
from table import covering

LANES = {name: lanes_of(np.dtype(name)) for name in ("float32", "float64")}
by_dtype = pytest.mark.parametrize("dtype", LANES)
# Of each kind of target: its loss, and how it is made of the classes and values of the same rows.
KINDS = {
    "classes": (None, lambda y, v: np.array(["low", "mid", "top"])[y]),
    "two classes": ("binary_cross_entropy", lambda y, v: v > 0),
    "labels": (None, lambda y, v: np.column_stack([v > 0, y > 1]).astype(int)),
    "values": (None, lambda y, v: v),
    "pairs": ("huber", lambda y, v: np.column_stack([v, -y.astype(float)])),
    "distances": ("absolute_error", lambda y, v: v),
    "quantiles": ("quantile", lambda y, v: v),
    "counts": ("poisson", lambda y, v: y.astype(float)),
}
SOLVERS = {
    "sgd": {"solver": "sgd"},
    "momentum": {"solver": "sgd", "momentum": 0.8},
    "nesterov": {"solver": "sgd", "momentum": 0.8, "nesterov": True},
    "adam": {"solver": "adam"},
    "adamw": {"solver": "adamw", "weight_decay": 0.1},
    "rmsprop": {"solver": "rmsprop"},
    "rmsprop-momentum": {"solver": "rmsprop", "momentum": 0.5},
    "rprop": {"solver": "rprop"},
    "lbfgs": {"solver": "lbfgs"},
}
SEEDS = {"int": int, "Generator": np.random.default_rng, "RandomState": np.random.RandomState}
ACTIVATIONS = [activation.name.lower() for activation in Activation]


def halves(epoch):
    return 0.5**epoch


def own_metric(wanted, predicted):
    return -float(np.abs(np.asarray(predicted != wanted, float)).mean())


SCHEDULES = {"none": None, "cosine": "cosine", "function": halves, "warm-up": schedules.step(every=2, warmup=2)}
ADAPTIVE = {"adaptive": "adaptive", "adaptive-soon": schedules.adaptive(decay=0.3)}
WEIGHTS = {
    "none": {},
    "samples": {"sample_weight": 0.5 + np.arange(90) % 4},
    "zeros": {"sample_weight": (np.arange(90) % 3).astype(float)},
    "classes": {"class_weight": {"low": 2.0}},
    "balanced": {"class_weight": "balanced"},
}


class Made(NamedTuple):
    """A sweep: its samples, the configs, each with how its seed is made, and what is common."""

    X: np.ndarray
    y: np.ndarray
    configs: list
    common: dict
    seed: str = "int"


def samples(kind, n_samples=90):
    random = np.random.default_rng(7)
    X = random.standard_normal((n_samples, 3))
    classes = np.arange(n_samples) % 3
    X[:, 0] += classes
    return X, KINDS[kind][1](classes, X[:, 1] + 0.1 * random.standard_normal(n_samples))


def alone(made, rows=None):
    """The nets trained one by one, and the sources of their random numbers."""
    nets, seeds = [], [seeded(made.seed, config) for config in made.configs]
    for place, (config, seed) in enumerate(zip(made.configs, seeds, strict=True)):
        chosen = slice(None) if rows is None else np.asarray(rows[place])
        options = {**made.common, **config, "seed": seed}
        if rows is not None and options.get("sample_weight") is not None:
            options["sample_weight"] = options["sample_weight"][chosen]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nets.append(train(made.X[chosen], made.y[chosen], **options))
    return nets, seeds


def together(made, rows=None, threads=1):
    """The same nets by `train_many`, and the sources of their random numbers."""
    seeds = [seeded(made.seed, config) for config in made.configs]
    configs = [{**config, "seed": seed} for config, seed in zip(made.configs, seeds, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sweep = train_many(made.X, made.y, configs, rows=rows, threads=threads, **made.common)
    assert sweep.errors == {}
    return sweep, seeds


def seeded(kind, config):
    return SEEDS[kind](config["seed"])


def told(net):
    """All that a training gives out, and what another one goes on from."""
    curves = (net.params, net.loss_curve, net.validation_curve, net.validation_scores)
    reached = net._training
    state = None if reached is None else (*reached.run, reached.order, reached.held_out, reached.best.params)
    return {
        "status": net.status,
        "best_epoch": net.best_epoch,
        "n_epochs": net.n_epochs,
        "shape": (net.sizes, net.activations, net.loss, net.flat_targets, net.dtype.name),
        "classes": None if net.classes is None else net.classes.tolist(),
        "bits": [None if part is None else (part.dtype.name, part.tobytes()) for part in curves],
        "state": None if state is None else [None if part is None else np.asarray(part).tobytes() for part in state],
        "counted": None if reached is None else (reached.counted, reached.rate_factor, reached.best.stalled),
    }


def going_on(made, nets, rows=None, epochs=3):
    """What trainings come to that go on from nets."""
    ends = []
    for place, (config, net) in enumerate(zip(made.configs, nets, strict=True)):
        chosen = slice(None) if rows is None else np.asarray(rows[place])
        options = {**made.common, **config, "epochs": epochs, "start": net, "seed": None}
        if net.status == "diverged":
            options["seed"] = 3
        if rows is not None and options.get("sample_weight") is not None:
            options["sample_weight"] = options["sample_weight"][chosen]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ends.append(train(made.X[chosen], made.y[chosen], **options))
    return ends


def check_same(made, rows=None, threads=1):
    """Assert that a sweep's nets are those trained alone; return them."""
    wanted, their_seeds = alone(made, rows)
    sweep, seeds = together(made, rows, threads)
    assert sweep.statuses == [net.status for net in wanted]
    for place, (net, single) in enumerate(zip(sweep, wanted, strict=True)):
        assert told(net) == told(single), f"net {place}"
    for place in {0, len(wanted) - 1}:
        assert sweep[place].predict(made.X).tobytes() == wanted[place].predict(made.X).tobytes()
    ends = zip(going_on(made, sweep, rows), going_on(made, wanted, rows), strict=True)
    for place, (net, single) in enumerate(ends):
        assert told(net) == told(single), f"going on from net {place}"
    if made.seed != "int":
        assert [seed.uniform() for seed in seeds] == [seed.uniform() for seed in their_seeds]
    return sweep


def spied(monkeypatch):
    """A list to which the number of nets of each group that goes abreast is added."""
    sizes, real = [], abreast.AbreastRun

    def begin(problems, starts, *others):
        sizes.append(len(starts))
        return real(problems, starts, *others)

    monkeypatch.setattr(abreast, "AbreastRun", begin)
    return sizes


def without_what_does_not_go(options, kind):
    """The options less those that the solver, the loss or the kind of targets does not take."""
    options = dict(options)
    if options["solver"] in ("rprop", "lbfgs"):
        options.update(batch_size="auto", schedule=None)
    if options["solver"] == "lbfgs":
        options.update(dropout=0.0, max_grad_norm=None)
    if kind != "classes" and options.get("class_weight") is not None:
        options["class_weight"] = None
        options["sample_weight"] = WEIGHTS["samples"]["sample_weight"]
    if options.get("metric") == "named":
        options["metric"] = "accuracy" if kind in ("classes", "two classes", "labels") else "r2"
    if options.get("metric") == "function":
        options["metric"] = own_metric
    return options


# Nets that go abreast: of which every two values meet in some sweep.
ABREAST = {
    "kind": list(KINDS),
    "solver": [name for name in SOLVERS if name != "lbfgs"],
    "activation": ACTIVATIONS,
    "hidden": [(), (1,), (3,), (4, 3)],
    "batch_size": [1, 7, 16, 70, None, "auto", 500],
    "shuffle": [True, False, "blocks"],
    "seed": list(SEEDS),
    "schedule": list(SCHEDULES),
    "weights": ["none", "samples", "classes", "balanced"],
    "smoothing": [0.0, 0.1],
    "patience": [None, 2],
    "dtype": list(LANES),
    "nets": [0, 1, -1],
    "differ": [False, True],
    "threads": [1, 2],
}


def made_abreast(chosen):
    """The sweep of a choice, as many nets as there are lanes, one more, or one fewer."""
    n_nets = LANES[chosen["dtype"]] + chosen["nets"]
    X, y = samples(chosen["kind"])
    common = without_what_does_not_go(
        {
            "hidden": chosen["hidden"], "activation": chosen["activation"], "loss": KINDS[chosen["kind"]][0],
            "batch_size": chosen["batch_size"], "shuffle": chosen["shuffle"], "schedule": SCHEDULES[chosen["schedule"]],
            "label_smoothing": chosen["smoothing"], "patience": chosen["patience"], "tol": 0.02, "epochs": 5,
            "dtype": chosen["dtype"], "learning_rate": 0.03, "l2": 0.01, **SOLVERS[chosen["solver"]],
            **WEIGHTS[chosen["weights"]],
        },
        chosen["kind"],
    )  # fmt: skip
    configs = [{"seed": 5 + place} for place in range(n_nets)]
    for place, config in enumerate(configs if chosen["differ"] else []):
        config.update(
            l2=[0.0, 0.01, 0.3][place % 3], learning_rate=0.02 * (1 + place / 9), beta_1=0.9 - place / 50,
            beta_2=0.99 - place / 70, epsilon=1e-8 * (1 + place), rho=0.9 - place / 60, weight_decay=0.01 * place,
            etas=(0.5 - place / 99, 1.2 + place / 99), step_sizes=(1e-6 * (1 + place), 0.1 / (1 + place)),
            patience=[None, 1, 3][place % 3], tol=0.01 * (1 + place % 4), delta=1.0 / (1 + place),
            quantile=0.3 + place / 40,
        )  # fmt: skip
        if common.get("momentum"):
            config["momentum"] = 0.8 - place / 99
    return Made(X, y, configs, common, chosen["seed"])


# Everything else, one net after the other.
ANY = {
    "kind": list(KINDS),
    "solver": list(SOLVERS),
    "activation": ACTIVATIONS,
    "hidden": [(), 3, (6, 5), 40, (70, 60)],
    "schedule": list(SCHEDULES | ADAPTIVE),
    "penalty": ["none", "l1", "clipped", "clipped-l1-l2"],
    "dropout": [0.0, 0.3],
    "smoothing": [0.0, 0.1],
    "weights": list(WEIGHTS),
    "validation": ["none", "share", "given"],
    "metric": ["loss", "named", "function"],
    "patience": [None, 2],
    "batch_size": [1, 7, 16, None, "auto", 500],
    "shuffle": [True, False, "blocks"],
    "seed": list(SEEDS),
    "dtype": list(LANES),
    "threads": [1, 2, 4],
    "engine": ["kernels", "kernels", "kernels", "reference"],
}
PENALTIES = {
    "none": {},
    "l1": {"l1": 0.01},
    "clipped": {"max_grad_norm": 0.1, "l2": 0.02},
    "clipped-l1-l2": {"max_grad_norm": 0.2, "l1": 0.01, "l2": 0.1},
}


def made_of_any(chosen):
    """A sweep of few nets that differ in much."""
    X, y = samples(chosen["kind"])
    schedule = (SCHEDULES | ADAPTIVE)[chosen["schedule"]]
    common = without_what_does_not_go(
        {
            "activation": chosen["activation"], "loss": KINDS[chosen["kind"]][0], "schedule": schedule,
            "dropout": chosen["dropout"], "label_smoothing": chosen["smoothing"], "metric": chosen["metric"],
            "validation": {"none": None, "share": 0.3, "given": (X[::4], y[::4])}[chosen["validation"]],
            "patience": chosen["patience"], "tol": 0.02, "batch_size": chosen["batch_size"], "epochs": 4,
            "shuffle": chosen["shuffle"], "dtype": chosen["dtype"], "engine": chosen["engine"], "learning_rate": 0.03,
            **PENALTIES[chosen["penalty"]], **SOLVERS[chosen["solver"]], **WEIGHTS[chosen["weights"]],
        },
        chosen["kind"],
    )  # fmt: skip
    configs = [
        {"seed": 1, "hidden": chosen["hidden"]},
        {"seed": 2, "hidden": chosen["hidden"], "learning_rate": 0.1},
        {"seed": 3, "hidden": 2, "epochs": 2},
    ]
    return Made(X, y, configs, common, chosen["seed"])


SWEEPS_ABREAST = list(covering(ABREAST, 1))
SWEEPS_OF_ANY = list(covering(ANY, 2))


def named(chosen):
    return "-".join(str(value) for value in chosen.values()).replace(" ", "")
