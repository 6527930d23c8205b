"""When training stops, and with which net: patience, adaptive rates, a limit of time; on many settings drawn at random."""

import os
import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from fastmlp import reference, schedules, train
from fastmlp.options import Hyperparameters, Loss

RUNS = int(os.environ.get("FASTMLP_STOPPING_RUNS", "50"))
by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_rule = pytest.mark.parametrize(("patience", "tol"), [(1, 0.0), (3, 0.0), (2, 0.05), (5, 0.01)])


def first_stop(gains, patience):
    """After which epoch, counted from 1, so many on end were no gain; None for never."""
    stalled = 0
    for epoch, gain in enumerate(gains, 1):
        stalled = 0 if gain else stalled + 1
        if stalled == patience:
            return epoch
    return None


def gains_in_score(scores, tol):
    """Which epochs have a score no worse than tol above the best before."""
    best = np.maximum.accumulate(np.concatenate([[-np.inf], scores[:-1]]))
    return scores >= best + tol


def gains_in_objective(losses, tol):
    """Which epochs have a mean objective no more than the least before less tol."""
    least = np.minimum.accumulate(np.concatenate([np.array([np.inf], losses.dtype), losses[:-1]]))
    return losses <= least - losses.dtype.type(tol)


def noisy_data(random):
    """Samples of one of five kinds, few, so that nets overfit and scores fall again; and the loss to be named."""
    n_samples, n_features = int(random.integers(45, 140)), int(random.integers(1, 6))
    X = random.standard_normal((n_samples, n_features))
    value = X[:, 0] + random.standard_normal(n_samples)
    kind = random.choice(["classes", "two classes", "values", "several values", "labels"])
    y = {
        "classes": np.array(["low", "mid", "high"])[np.digitize(value, [-0.5, 0.5])],
        "two classes": value > 0,
        "values": value,
        "several values": np.column_stack([value, value**2]),
        "labels": np.column_stack([value > 0, value > 1]).astype(int),
    }[kind]
    return X, y, "binary_cross_entropy" if kind == "two classes" else None


def drawn(number):
    """A training of which nothing is fixed but the number it is drawn with."""
    random = np.random.default_rng(number)
    X, y, loss = noisy_data(random)
    solver = str(random.choice(["adam", "sgd", "adamw", "rmsprop", "rprop", "lbfgs"]))
    full, regression = solver in ("rprop", "lbfgs"), y.dtype.kind == "f"
    metric = random.choice(["loss", "r2" if regression else "accuracy", "function"])
    options = {
        "hidden": [(), 8, (20, 5)][random.integers(3)],
        "activation": "tanh",
        "loss": loss,
        "solver": solver,
        "learning_rate": {"sgd": 0.2, "rprop": 0.02}.get(solver, 0.03),
        "batch_size": None if full else [None, 7, 16, "auto"][random.integers(4)],
        "dropout": 0.0 if solver == "lbfgs" else float(random.choice([0.0, 0.3])),
        "l2": float(random.choice([0.0, 0.01])),
        "epochs": int(random.integers(3, 50)),
        "seed": number,
        "dtype": str(random.choice(["float32", "float64"])),
        "sample_weight": random.uniform(0, 2, len(X)) if random.random() < 0.5 else None,
        "validation": float(random.uniform(0.15, 0.6)) if random.random() < 0.7 else (X[::3], y[::3]),
        "metric": negative_distance if metric == "function" else str(metric),
        "patience": [None, 1, 2, 5][random.integers(4)],
        "tol": float(random.choice([0.0, 1e-4, 0.02])),
    }
    return X, y, options


def negative_distance(wanted, predicted):
    return -np.mean(wanted != predicted) if wanted.dtype.kind != "f" else -np.mean(np.abs(wanted - predicted))


def measured(net, X, y, weights):
    """The loss on samples, and the score that is accuracy or R2, by the reference and scikit-learn."""
    numbers = y if net.classes is None else np.searchsorted(net.classes, y)
    numbers = numbers.reshape(len(X), -1).astype(net.dtype)
    z, _ = reference.forward(net.weights, net.biases, net.activations, X.astype(net.dtype))
    losses, _ = reference.loss_backward(net.loss, Hyperparameters(), z[-1], numbers)
    outputs = reference.output(net.loss, z[-1])
    if net.loss == Loss.SQUARED_ERROR:
        predicted = outputs.reshape(y.shape)
        return np.average(losses, weights=weights), r2_score(y, predicted, sample_weight=weights), predicted
    if net.loss == Loss.CROSS_ENTROPY:
        predicted = net.classes[outputs.argmax(axis=1)]
    else:
        predicted = (outputs > 0.5).astype(int) if net.classes is None else net.classes[(outputs[:, 0] > 0.5).astype(int)]
    return np.average(losses, weights=weights), accuracy_score(y, predicted, sample_weight=weights), predicted


@pytest.mark.parametrize("number", range(RUNS))
def test_the_net_returned_is_the_best_on_its_own_curve(number):
    X, y, options = drawn(number)
    net = train(X, y, **options)
    scores, best = net.validation_scores, net.best_epoch
    assert scores.shape == net.validation_curve.shape == net.loss_curve.shape == (net.n_epochs,)
    assert best == scores.argmax() + 1

    held = net._training.held_out
    weights = None if held is None or options["sample_weight"] is None else options["sample_weight"][held]
    given = options["validation"] if held is None else (X[held], y[held])
    loss, score, predicted = measured(net, *given, weights)
    close = {"rel": 1e-9, "abs": 1e-11} if net.dtype == np.float64 else {"rel": 1e-4, "abs": 1e-5}
    assert net.validation_curve[best - 1] == pytest.approx(loss, **close)
    if options["metric"] == "loss":
        np.testing.assert_array_equal(scores, -net.validation_curve)
    else:
        own = negative_distance(given[1], predicted) if callable(options["metric"]) else score
        assert scores[best - 1] == pytest.approx(own, **close)

    expected = (
        None if options["patience"] is None else first_stop(gains_in_score(scores, options["tol"]), options["patience"])
    )
    if expected is not None:
        assert (net.n_epochs, net.status) == (expected, "stopped early")
    elif options["solver"] != "lbfgs":
        assert (net.n_epochs, net.status) == (options["epochs"], "finished")
    else:
        assert net.n_epochs <= options["epochs"]

    # Trained for no longer than that, it ends with these parameters.
    again = train(X, y, **{**options, "epochs": best, "patience": None})
    assert again.params.tobytes() == net.params.tobytes()
    np.testing.assert_array_equal(again._training.run.params, net.params)


@pytest.mark.skipif(RUNS < 40, reason="too few for what they have in common")
def test_the_settings_drawn_try_everything():
    several = [drawn(number) for number in range(RUNS)]
    for name in ("solver", "batch_size", "dtype", "patience", "tol", "loss", "hidden", "dropout"):
        assert len({options[name] for *_, options in several}) > 1, name
    assert len({str(options["metric"])[:9] for *_, options in several}) == 4
    assert {y.dtype.kind + str(y.ndim) for _, y, _ in several} == {"U1", "b1", "f1", "f2", "i2"}
    stopped = [train(X, y, **options).status == "stopped early" for X, y, options in several[:20]]
    assert 0 < sum(stopped) < 20


# Losses that fall and rise.
NOISY = {
    "adam": {"learning_rate": 0.05, "batch_size": 16, "dropout": 0.4},
    "sgd": {"solver": "sgd", "learning_rate": 0.5, "batch_size": 30, "momentum": 0.5, "l1": 0.001},
    "rprop": {"solver": "rprop", "learning_rate": 0.1, "dropout": 0.4},
}


@by_engine
@by_dtype
@by_rule
@pytest.mark.parametrize("options", NOISY.values(), ids=NOISY)
def test_without_validation_the_objective_is_waited_for(blobs, options, patience, tol, dtype, engine):
    X, y = blobs
    options = {"hidden": 4, "seed": 0, "dtype": dtype, "engine": engine, **options}
    whole = train(X, y, epochs=40, **options)
    expected = first_stop(gains_in_objective(whole.loss_curve, tol), patience)
    assert 1 < expected < 40
    net = train(X, y, epochs=40, patience=patience, tol=tol, **options)
    assert (net.n_epochs, net.status, net.best_epoch) == (expected, "stopped early", None)
    assert net.loss_curve.tobytes() == whole.loss_curve[:expected].tobytes()
    assert net.params.tobytes() == train(X, y, epochs=expected, **options).params.tobytes()
    assert whole.status == "finished"


@by_engine
@by_dtype
@pytest.mark.parametrize("validated", [False, True])
def test_no_worse_is_a_gain_where_tol_is_0(validated, dtype, engine):
    """Of an objective or a score that stays as it is."""
    X, y = np.zeros((20, 2)), np.zeros(20)
    options = {"init": ([np.zeros((2, 1))], [np.zeros(1)]), "epochs": 30, "patience": 3, "dtype": dtype, "engine": engine}
    options |= {"validation": 0.3, "metric": lambda wanted, predicted: 0.5} if validated else {}
    net = train(X, y, (), loss="huber", tol=0.0, **options)
    assert (net.n_epochs, net.status) == (30, "finished")
    net = train(X, y, (), loss="huber", tol=1e-9, **options)
    assert (net.n_epochs, net.status) == (4, "stopped early")


def simulated(gains, rate, schedule, patience):
    """The rate of each epoch, and after which one training stops."""
    rates, stalled, factor = [], 0, 1.0
    for epoch, gain in enumerate(gains, 1):
        # The factor is taken in float64, whatever the net's dtype.
        rates.append(rate.dtype.type(float(rate) * factor))
        stalled = 0 if gain else stalled + 1
        if stalled == patience:
            stalled = 0
            if float(rate) * factor <= schedule.least:
                return rates, epoch
            factor *= schedule.decay
    return rates, None


@by_engine
@by_dtype
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize(
    ("schedule", "patience", "tol", "epochs"),
    [
        (schedules.adaptive(), None, 1e-4, 150),
        (schedules.adaptive(decay=0.5, least=0.05), 2, 0.01, 60),
        (schedules.adaptive(decay=0.1, least=1e-3), 1, 0.0, 60),
        (schedules.adaptive(least=0.9), 3, 0.02, 60),
        (schedules.adaptive(decay=0.5, least=0.125), 1, 0.05, 60),
    ],
)
def test_adaptive_rates(blobs, schedule, patience, tol, epochs, validated, dtype, engine):
    """By a simulation that goes by nothing but the losses, or the scores."""
    seen = []
    net = train(
        *blobs, 4, solver="sgd", learning_rate=0.5, batch_size=30, seed=1, dtype=dtype, engine=engine, epochs=epochs,
        schedule=schedule, patience=patience, tol=tol, validation=0.3 if validated else None, callback=seen.append,
    )  # fmt: skip
    patience = 10 if patience is None else patience
    gains = gains_in_score(net.validation_scores, tol) if validated else gains_in_objective(net.loss_curve, tol)
    rates, stops = simulated(gains, net.dtype.type(0.5), schedule, patience)
    assert [epoch.learning_rate for epoch in seen] == [float(rate) for rate in rates]
    assert len(set(rates)) > 1 or schedule.least > 0.5
    assert net.status == ("finished" if stops is None else "stopped early")
    assert net.n_epochs == (epochs if stops is None else stops)


def test_adaptive_by_name(blobs):
    options = {"hidden": 4, "solver": "sgd", "learning_rate": 0.5, "batch_size": 30, "seed": 1, "epochs": 100}
    named, made = (train(*blobs, schedule=schedule, **options) for schedule in ("adaptive", schedules.adaptive()))
    assert named.params.tobytes() == made.params.tobytes()
    assert named.params.tobytes() != train(*blobs, **options).params.tobytes()


@by_engine
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("solver", ["adam", "rprop", "lbfgs"])
def test_a_limit_of_time(engine, solver, validated):
    random = np.random.default_rng(0)
    X, y = random.standard_normal((2_000, 20)), random.integers(0, 2, 2_000)
    options = {"hidden": 50, "solver": solver, "seed": 0, "engine": engine, "tol": 0.0}
    options["validation"] = 0.1 if validated else None
    train(X, y, epochs=1, **options)
    # With the kernels L-BFGS may be at its end soon; a step of the reference takes 10 ms, and far more on a busy machine.
    limit = {"kernels": 0.08 if solver == "lbfgs" else 0.3, "reference": 0.8}[engine]
    begin = time.monotonic()
    net = train(X, y, epochs=100_000, max_seconds=limit, **options)
    assert limit < time.monotonic() - begin < limit + 3
    assert net.status == "out of time"
    assert 0 < net.n_epochs < 100_000
    assert np.isfinite(net.params).all()
    whole = train(X, y, epochs=net.n_epochs, **options)
    assert net.loss_curve.tobytes() == whole.loss_curve.tobytes()
    if validated:
        assert net.best_epoch == whole.best_epoch
        assert net.params.tobytes() == whole.params.tobytes()


def test_time_enough_changes_nothing(blobs):
    options = {"hidden": 4, "epochs": 5, "seed": 0}
    net = train(*blobs, max_seconds=60, **options)
    assert net.status == "finished"
    assert net.params.tobytes() == train(*blobs, **options).params.tobytes()
