import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

from fastmlp import batches, loop, reference, schedules, train
from fastmlp.kernels.run import Run
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Snapshot, Solver
from table import relative_error

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
ARTICLE = {
    "hidden": 3,
    "activation": "tanh",
    "solver": "sgd",
    "learning_rate": 2.0,
    "l2": 0.01 / 200,
    "batch_size": None,
    "init": "lecun_normal",
}


def objective(net, X, y, l2):
    """J at a net's weights."""
    hyperparameters = Hyperparameters(l2=l2)
    problem = Problem(net.sizes, net.activations, net.loss, Solver.SGD, hyperparameters)
    return reference.objective_and_gradient(problem, net.weights, net.biases, X, y.reshape(len(X), -1))[0]


@by_engine
def test_the_articles_numbers(moons, engine):
    X, y = moons
    net = train(X, y, epochs=1002, seed=np.random.RandomState(0), engine=engine, **ARTICLE)
    assert round(net.loss_curve[1], 6) == 0.432387
    assert round(net.loss_curve[1001], 6) == 0.068947
    for passes, expected in ((1, 0.432387), (1001, 0.068947)):
        net = train(X, y, epochs=passes, seed=np.random.RandomState(0), engine=engine, **ARTICLE)
        assert round(objective(net, X, y, ARTICLE["l2"]), 6) == expected


@by_engine
def test_the_article_ends_in_one_of_two_states(moons, engine):
    X, y = moons
    net = train(X, y, epochs=20_000, seed=np.random.RandomState(0), engine=engine, **ARTICLE)
    ends = {round(value, 6) for value in (*net.loss_curve[-2:], objective(net, X, y, ARTICLE["l2"]))}
    assert ends == {0.070758, 0.071316}
    assert net.score(X, y) > 0.96


@by_engine
def test_loss_curve_is_the_weighted_mean_of_batch_objectives_before_their_updates(blobs, engine):
    X, y = blobs[0][:10], blobs[1][:10]
    l2, rate = 0.3, 0.5
    net = train(
        X, y, 4, activation="tanh", solver="sgd", learning_rate=rate, l2=l2, batch_size=4, shuffle=False, seed=1, epochs=2,
        engine=engine,
    )  # fmt: skip
    problem = Problem(net.sizes, (Activation.TANH,), Loss.CROSS_ENTROPY, Solver.SGD, Hyperparameters(l2=l2))
    random = np.random.default_rng(1)
    weights, biases = [], []
    for fan_in, fan_out in ((2, 4), (4, 3)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        weights.append(random.uniform(-bound, bound, (fan_in, fan_out)))
        biases.append(random.uniform(-bound, bound, fan_out))
    expected = []
    for _ in range(2):
        total = 0
        for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
            J, dW, db = reference.objective_and_gradient(problem, weights, biases, X[rows], y[rows, None])
            total += J * len(y[rows])
            weights = [W - rate * g for W, g in zip(weights, dW, strict=True)]
            biases = [b - rate * g for b, g in zip(biases, db, strict=True)]
        expected.append(total / 10)
    np.testing.assert_allclose(net.loss_curve, expected, rtol=1e-12)
    np.testing.assert_allclose(net.params, np.concatenate([part.ravel() for part in (*weights, *biases)]), rtol=1e-11)


OPTIONS = [
    {"hidden": (5, 4), "activation": ["tanh", "logistic"], "batch_size": 7},
    {"hidden": 5, "solver": "sgd", "momentum": 0.9, "nesterov": True, "learning_rate": 0.01, "l2": 0.1, "batch_size": 13},
    {"hidden": (), "batch_size": None, "learning_rate": 0.05},
    {"hidden": 5, "schedule": "cosine", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4, "l2": 0.01},
    {"hidden": 5, "schedule": schedules.step(every=4, warmup=3), "init": "he_normal", "shuffle": False, "batch_size": 32},
    {"hidden": 5, "loss": "squared_error", "solver": "sgd", "learning_rate": 0.01},
]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_engines_agree(blobs, options):
    ours, theirs = (train(*blobs, epochs=20, seed=4, engine=engine, **options) for engine in ("kernels", "reference"))
    assert relative_error(ours.params, theirs.params) <= 1e-10
    assert relative_error(ours.loss_curve, theirs.loss_curve) <= 1e-10
    assert ours.n_epochs == theirs.n_epochs == 20


def test_it_learns(blobs, curve):
    assert train(*blobs, 20, epochs=300, seed=0, learning_rate=0.01).score(*blobs) > 0.9
    assert train(*curve, 20, epochs=500, seed=0, learning_rate=0.01).score(*curve) > 0.98


@pytest.mark.parametrize("batch_size", [None, 17])
def test_seeds(blobs, batch_size):
    def params(seed):
        return train(*blobs, 4, epochs=3, batch_size=batch_size, seed=seed).params.tobytes()

    assert params(5) == params(5) == params(np.int32(5)) == params(np.random.default_rng(5))
    assert params(np.random.RandomState(5)) == params(np.random.RandomState(5))
    assert params(5) != params(6)
    assert params(None) != params(None)
    going_on = np.random.default_rng(5)
    assert params(going_on) != params(going_on)


def test_row_orders_come_from_the_seed(blobs):
    init = [np.eye(2, 4), np.eye(4, 3)], [np.zeros(4), np.zeros(3)]

    def params(**options):
        return train(*blobs, 4, epochs=2, batch_size=17, init=init, **options).params.tobytes()

    assert params(seed=1) == params(seed=1)
    assert len({params(seed=1), params(seed=2), params(seed=1, shuffle=False)}) == 3
    assert params(seed=1, shuffle=False) == params(seed=2, shuffle=False)


@by_engine
def test_full_batches_are_not_shuffled(blobs, engine):
    options = {"epochs": 5, "seed": 1, "batch_size": None, "engine": engine}
    ours, theirs = (train(*blobs, 4, shuffle=shuffle, **options) for shuffle in (True, False))
    assert ours.params.tobytes() == theirs.params.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_and_draws_do_not_show(blobs, monkeypatch, dtype):
    options = {"hidden": 4, "epochs": 40, "batch_size": 7, "seed": 2, "dtype": dtype}
    whole = train(*blobs, **options)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    monkeypatch.setattr(batches, "ROWS_DRAWN_AHEAD", 200)
    budgets = []
    advance = Run.advance
    monkeypatch.setattr(Run, "advance", lambda self, *args: budgets.append(args[-1]) or advance(self, *args))
    cut = train(*blobs, **options)
    assert budgets[-1] == 1
    assert len(budgets) > 400
    assert cut.params.tobytes() == whole.params.tobytes()
    assert cut.loss_curve.tobytes() == whole.loss_curve.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_threads_do_not_show(blobs, threads):
    net = train(*blobs, 4, epochs=3, seed=0, threads=threads)
    assert net.params.tobytes() == train(*blobs, 4, epochs=3, seed=0).params.tobytes()


@pytest.mark.parametrize(("n_samples", "rows"), [(300, 200), (150, 150)])
def test_auto_batches(random, n_samples, rows):
    X = random.standard_normal((n_samples, 2))
    nets = [train(X, X[:, 0], 3, epochs=2, seed=0, batch_size=batch_size) for batch_size in ("auto", rows)]
    assert nets[0].params.tobytes() == nets[1].params.tobytes()


@by_engine
@pytest.mark.parametrize("n_features", [1, 2])
@pytest.mark.parametrize("y", [[0.5], [[0.5, 1.5]], [[0, 1]]], ids=["value", "values", "labels"])
def test_one_sample(engine, n_features, y):
    X = np.array([[0.3, -0.2]])[:, :n_features]
    net = train(X, y, 3, epochs=200, seed=0, learning_rate=0.05, engine=engine, activation="tanh")
    assert net.loss_curve[-1] < 0.05 * net.loss_curve[0]
    assert len(net.predict(X)) == 1


@by_engine
def test_one_feature(engine):
    X = np.linspace(-1, 1, 50)[:, None]
    net = train(X, X[:, 0] > 0, 3, epochs=200, learning_rate=0.05, seed=0, engine=engine)
    assert net.score(X, X[:, 0] > 0) > 0.95


def first_epoch_not_finite(X, y, options):
    """Counted from 1, and the parameters before the update that led to it, step by step with the reference."""
    start = train(X, y, epochs=1, engine="reference", **{**options, "learning_rate": 1e-300})
    problem = Problem(start.sizes, start.activations, start.loss, Solver.SGD, Hyperparameters())
    run = reference.Run(problem, Snapshot(start.params), X, y[:, None], np.empty(0, np.int32), len(X), len(X))
    rates, losses = np.full(100, options["learning_rate"]), np.zeros(100)
    with np.errstate(all="ignore"):
        run.advance(rates, losses, 100 * len(X), 100)
    return run.done // len(X) + 1, run.previous_params


@by_engine
@pytest.mark.parametrize("rate", [1e30, 1e3])
def test_divergence_stops_at_once_with_the_last_finite_net(curve, engine, rate):
    X, y = curve
    options = {"hidden": 4, "solver": "sgd", "learning_rate": rate, "batch_size": None, "seed": 0}
    epoch, expected = first_epoch_not_finite(X, y, options)
    assert 1 < epoch < 50
    with pytest.warns(RuntimeWarning, match=rf"not finite in epoch {epoch} of 60.*lower learning_rate") as caught:
        net = train(X, y, epochs=60, engine=engine, **options)
    assert [str(warning.message) for warning in caught[1:]] == []
    assert caught[0].filename == __file__
    assert net.n_epochs == epoch - 1
    assert np.isfinite(net.params).all()
    assert np.isfinite(net.loss_curve).all()
    np.testing.assert_allclose(net.params, expected, rtol=1e-9)


@by_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_divergence_of_classification(blobs, engine, dtype, batch_size):
    with pytest.warns(RuntimeWarning, match="not finite in epoch") as caught:
        net = train(
            *blobs, (4, 4), solver="sgd", learning_rate=1e30, l2=0.1, seed=0, dtype=dtype, epochs=60, batch_size=batch_size,
            engine=engine,
        )  # fmt: skip
    assert [str(warning.message) for warning in caught[1:]] == []
    assert net.n_epochs < 60
    assert np.isfinite(net.params).all()


@by_engine
def test_divergence_in_the_very_last_update(curve, engine):
    X, y = curve
    with pytest.warns(RuntimeWarning, match="not finite in epoch 1 of 1") as caught:
        net = train(X, 1e3 * y, 4, solver="sgd", learning_rate=1.7e308, batch_size=None, seed=0, epochs=1, engine=engine)
    assert [str(warning.message) for warning in caught[1:]] == []
    assert np.isfinite(net.params).all()
    assert net.n_epochs == 1


def test_no_warning_without_a_cause(blobs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(*blobs, 4, epochs=20, seed=0)
    assert caught == []


@by_engine
@pytest.mark.parametrize("batch_size", [None, 200])
def test_interrupt_returns_the_net_so_far(engine, batch_size, monkeypatch):
    """In the middle of many epochs, and in the middle of one."""
    X = np.random.default_rng(0).standard_normal((200 if batch_size is None else 1_000_000, 2))
    y = X[:, 0] > 0
    epochs = 3_000_000 if batch_size is None else 100
    run = {"kernels": Run, "reference": reference.Run}[engine]
    advance, timers = run.advance, []

    def advance_and_press(self, *args):
        if not timers:
            timers.append(threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)))
            timers[0].start()
        return advance(self, *args)

    monkeypatch.setattr(run, "advance", advance_and_press)
    weights, biases = [np.ones((2, 3)), np.ones((3, 2))], [np.zeros(3), np.zeros(2)]
    begin = time.monotonic()
    with pytest.warns(RuntimeWarning, match=rf"interrupted in epoch \d+ of {epochs}: this is the network") as caught:
        net = train(X, y, 3, epochs=epochs, init=(weights, biases), seed=0, engine=engine, batch_size=batch_size)
    assert 0.3 < time.monotonic() - begin < 5
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert f"epoch {net.n_epochs + 1} of" in str(caught[0].message)
    assert net.n_epochs < epochs
    assert (net.weights[1] != weights[1]).any()
    assert np.isfinite(net.params).all()
    assert net.predict(X[:5]).shape == (5,)
