"""Nets abreast that hold samples out: what each finds alone, to the bit."""

import numpy as np
import pytest

from fastmlp import train, train_many
from fastmlp.sweep import abreast

N = 90


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    X = random.standard_normal((N, 4))
    return X, (X[:, 0] + 0.7 * random.standard_normal(N) > 0).astype(int)


@pytest.fixture
def groups(monkeypatch):
    """How many nets each group had that went abreast with a validation."""
    sizes = []

    class Spy(abreast.LaneValidation):
        def __init__(self, drawn, *args):
            sizes.append(len(drawn))
            super().__init__(drawn, *args)

    monkeypatch.setattr(abreast, "LaneValidation", Spy)
    return sizes


def bits(net):
    state = net._training
    return [
        np.asarray(part).tobytes()
        for part in (
            net.params, net.loss_curve, net.validation_curve, net.validation_scores, net.best_epoch,
            [] if state is None else state.held_out, [] if state is None else [state.best.score, state.best.stalled],
        )
    ] + [net.status]  # fmt: skip


OPTIONS = {"hidden": 5, "batch_size": 16, "epochs": 12, "learning_rate": 0.02}
NETS = [{"seed": seed, "l2": 0.01 * seed, "patience": None if seed % 3 else 2} for seed in range(19)]
CASES = {
    "share": {"validation": 0.2},
    "one row": {"validation": 0.015},
    "patience": {"validation": 0.2, "patience": 1, "tol": 0.01},
    "given": {"validation": (np.random.default_rng(1).standard_normal((30, 4)), np.arange(30) % 2)},
    "given, weighted": {
        "validation": (np.random.default_rng(1).standard_normal((30, 4)), np.arange(30) % 2, np.arange(30.0))
    },
    "weights": {"validation": 0.3, "sample_weight": np.linspace(0.5, 2, N)},
    "balanced": {"validation": 0.3, "class_weight": "balanced"},
    "full batch": {"validation": 0.2, "batch_size": None},
    "sgd": {"validation": 0.2, "solver": "sgd", "momentum": 0.9},
    "rprop": {"validation": 0.2, "solver": "rprop", "batch_size": None},
    "one logistic output": {"validation": 0.2, "loss": "binary_cross_entropy"},
    "diverging": {"validation": 0.2, "solver": "sgd", "learning_rate": 1e3, "loss": "squared_error"},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_validated_nets_have_the_bits_they_have_alone(data, groups, case, dtype):
    X, y = data
    options = {**OPTIONS, **CASES[case], "dtype": dtype}
    y = y.astype(float) * 3 if options.get("loss") == "squared_error" else y
    configs = [{name: value for name, value in config.items() if name != "patience"} for config in NETS]
    nets = train_many(X, y, configs if "patience" in options else NETS, **options) if case != "diverging" else None
    if nets is None:
        with pytest.warns(RuntimeWarning, match="nets diverged"):
            nets = train_many(X, y, configs, **options)
    assert sum(groups) >= 16
    for config, net in zip(nets.configs, nets, strict=True):
        if case == "diverging":
            with pytest.warns(RuntimeWarning, match="not finite"):
                alone = train(X, y, **{**options, **config})
        else:
            alone = train(X, y, **{**options, **config})
        assert bits(net) == bits(alone)
        if net.status != "diverged":
            on = [train(X, y, start=one, **{**options, **config, "seed": None, "epochs": 3}) for one in (net, alone)]
            assert bits(on[0]) == bits(on[1])


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
def test_losses_of_values(data, groups, loss):
    X, _ = data
    y = np.abs(X[:, 0]) + 0.5
    options = {**OPTIONS, "validation": 0.2, "loss": loss, "delta": 0.3, "quantile": 0.9, "learning_rate": 0.005}
    nets = train_many(X, y, NETS, **options)
    assert sum(groups) >= 16
    for config, net in zip(nets.configs, nets, strict=True):
        assert bits(net) == bits(train(X, y, **{**options, **config}))


def test_rows_of_their_own_may_hold_out_different_numbers(data, groups):
    """Of a class with a single row none is held out."""
    X, _ = data
    y = np.where(np.arange(N) == 0, 2, np.arange(N) % 2)
    rows = [np.arange(net % 2, 60 + net % 2) for net in range(20)]
    nets = train_many(X, y, [{"seed": net} for net in range(20)], rows=rows, validation=0.017, **OPTIONS)
    assert groups
    for net, some in zip(nets[::2], rows[::2], strict=True):
        alone = train(X[some], y[some], seed=nets.index(net), validation=0.017, **OPTIONS)
        assert bits(net) == bits(alone)


def test_nets_go_on_from_their_best(data, groups):
    X, y = data
    options = {**OPTIONS, "validation": 0.25}
    first = train_many(X, y, [{"seed": seed} for seed in range(16)], **options)
    further = train_many(X, y, [{"start": net} for net in first], **{**options, "epochs": 4})
    assert sum(groups) == 32
    for net, start in zip(further, first, strict=True):
        assert bits(net) == bits(train(X, y, start=start, **{**options, "epochs": 4}))
    whole = train_many(X, y, [{"seed": seed} for seed in range(16)], **{**options, "epochs": 16})
    assert [bits(net) for net in whole] == [bits(net) for net in further]


@pytest.mark.parametrize(
    "options",
    [
        {"validation": 0.2, "metric": "accuracy"},
        {"validation": 0.2, "metric": lambda true, predicted: float(np.mean(true == predicted))},
        {"validation": 0.2, "label_smoothing": 0.1},
        {"validation": 0.2, "schedule": "adaptive"},
        {"validation": (np.zeros((2, 4)).tolist(), [0, 1])},
    ],
    ids=str,
)
def test_other_validations_are_of_nets_by_themselves(data, groups, options):
    nets = train_many(*data, NETS[:8], **{**OPTIONS, **options})
    assert not groups
    for config, net in zip(nets.configs[::3], nets[::3], strict=True):
        assert bits(net) == bits(train(*data, **{**OPTIONS, **options, **config}))


def test_a_batch_that_grows_beyond_a_block_is_trained_alone(random, monkeypatch, groups):
    """Of classes with a single row none is held out, so that more rows are left than the share says."""
    monkeypatch.setattr(abreast, "nets_worth_it", lambda *_: 1)
    X = random.standard_normal((320, 2)).astype(np.float32)
    y = np.r_[np.arange(64), np.full(256, 64)]
    options = {"hidden": 1, "epochs": 2, "batch_size": None, "validation": 0.2}
    nets = train_many(X, y, [{"seed": seed} for seed in range(5)], **options)
    assert not groups
    for seed, net in enumerate(nets):
        alone = train(X, y, seed=seed, **options)
        assert len(alone._training.held_out) < 64
        assert bits(net) == bits(alone)
