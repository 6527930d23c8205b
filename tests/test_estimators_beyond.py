"""What the estimators can do beyond scikit-learn's, and where scikit-learn errs and they do not."""

import copy
import math
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, reference, schedules, train
from fastmlp.estimators import base
from fastmlp.initialise import KEYS, start_params
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Snapshot, Solver

pytestmark = pytest.mark.filterwarnings(
    # Some samples are wild on purpose.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:(X. |y.* reach):UserWarning",
)
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
SOLVERS = ["adam", "sgd", "adamw", "rmsprop", "rprop", "lbfgs"]
STOCHASTIC = SOLVERS[:4]
by_solver = pytest.mark.parametrize("solver", SOLVERS)
by_stochastic = pytest.mark.parametrize("solver", STOCHASTIC)
# Trains to `max_iter`, whatever the loss does.
PATIENT = {"n_iter_no_change": math.inf}
EPOCHS = 6


@pytest.fixture
def labels(blobs):
    """Three labels, 0 or 1, for each sample."""
    X = blobs[0]
    return X, np.column_stack([X[:, 0] > 1, X[:, 1] > 1, X[:, 0] > X[:, 1]]).astype(int)


def classifier(hidden=(5, 4), **parameters):
    return MLPClassifier(hidden, **{"max_iter": EPOCHS, "random_state": 0, "learning_rate_init": 0.02, **parameters})


def regressor(hidden=(5, 4), **parameters):
    defaults = {"max_iter": EPOCHS, "random_state": 0, "learning_rate_init": 0.02}
    return MLPRegressor(hidden_layer_sizes=hidden, **{**defaults, **parameters})


def flat(estimator):
    return np.concatenate([part.ravel() for part in (*estimator.coefs_, *estimator.intercepts_)])


def bits(estimator):
    return flat(estimator).tobytes(), np.array(estimator.loss_curve_).tobytes()


def task(kind, blobs, curve):
    """An estimator's class, samples and targets of one kind."""
    (X, y), (Z, value) = blobs, curve
    return {
        "binary": (classifier, X, np.where(y > 0, "yes", "no")),
        "classes": (classifier, X, np.array(["a", "b", "c"])[y]),
        "labels": (classifier, X, np.column_stack([y == 0, y < 2, X[:, 0] > 0]).astype(int)),
        "values": (regressor, Z, value),
        "several values": (regressor, Z, np.column_stack([value, -value])),
    }[kind]


KINDS = ["binary", "classes", "labels", "values", "several values"]
by_kind = pytest.mark.parametrize("kind", KINDS)


# What is beyond scikit-learn, judged by the reference.


def judged(problem, X, targets, rates, batch_size=None, weights=None):
    """Parameters and losses by the reference, which is told the problem, and draws as scikit-learn does."""
    random, n_samples = np.random.RandomState(0), len(X)
    factor = 2.0 if set(problem.activations) == {Activation.LOGISTIC} else 6.0
    params = start_params("glorot_uniform", problem.sizes, random, factor)
    key = int(random.randint(1, KEYS, dtype=np.int64)) if problem.dropout else 0
    order, orders = np.arange(n_samples, dtype=np.int32), []
    for _ in rates:
        random.shuffle(order)
        orders.append(order.copy())
    y = np.asarray(targets, float).reshape(n_samples, -1)
    y = y if weights is None else np.column_stack([y, weights])
    run = reference.Run(
        problem, Snapshot(params, key=key), X, y, np.concatenate(orders), n_samples, batch_size or n_samples,
        total_weight=None if weights is None else weights.sum(),
    )  # fmt: skip
    losses = np.zeros(len(rates))
    run.advance(np.array(rates), losses, len(rates) * n_samples, 1 << 40)
    return run.params, losses


def agrees(estimator, problem, X, targets, rates=(0.02,) * EPOCHS, **options):
    params, losses = judged(problem, X, targets, rates, **options)
    np.testing.assert_allclose(flat(estimator), params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(estimator.loss_curve_, losses, rtol=1e-9)


def problem(loss, sizes, solver=Solver.ADAM, activations=(Activation.TANH,) * 2, dropout=(), **settings):
    """A problem as the estimators' defaults make it, but for what is named."""
    defaults = {"l2": 1e-4, "l2_per_sample": True, "epsilon_inside": True}
    return Problem(sizes, activations, loss, solver, Hyperparameters(**{**defaults, **settings}), dropout)


NESTEROV = {"solver": Solver.SGD, "momentum": 0.9, "nesterov": True}
# Of each: what the classifier is given, and what the problem differs in from the one of the defaults.
BEYOND = {
    **{
        name.lower(): ({"activation": name.lower()}, {"activations": (number,) * 2})
        for name, number in Activation.__members__.items()
    },
    "a list of activations": (
        {"activation": ["gelu", "logistic"]}, {"activations": (Activation.GELU, Activation.LOGISTIC)},
    ),
    "a tuple of activations": ({"activation": ("elu", "mish")}, {"activations": (Activation.ELU, Activation.MISH)}),
    "an array of activations": (
        {"activation": np.array(["selu", "silu"])}, {"activations": (Activation.SELU, Activation.SILU)},
    ),
    "adamw": ({"solver": "adamw"}, {"solver": Solver.ADAMW, "weight_decay": 0.01}),
    "adamw, all its own": (
        {"solver": "adamw", "weight_decay": 0.4, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": Solver.ADAMW, "weight_decay": 0.4, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    ),
    "rmsprop": ({"solver": "rmsprop"}, {"solver": Solver.RMSPROP}),
    "rmsprop, all its own": (
        {"solver": "rmsprop", "rho": 0.8, "epsilon": 1e-3}, {"solver": Solver.RMSPROP, "rho": 0.8, "epsilon": 1e-3},
    ),
    "rprop": ({"solver": "rprop"}, {"solver": Solver.RPROP}),
    "rprop, all its own": (
        {"solver": "rprop", "etas": [0.3, 1.6], "step_sizes": (0.015, 0.03)},
        {"solver": Solver.RPROP, "etas": (0.3, 1.6), "step_sizes": (0.015, 0.03)},
    ),
    "l1": ({"l1": 0.05}, {"l1": 0.05}),
    "l1 and no l2": ({"l1": 0.05, "alpha": 0.0}, {"l1": 0.05, "l2": 0.0}),
    "dropout": ({"dropout": 0.3}, {"dropout": (0.3, 0.3)}),
    "a list of dropouts": ({"dropout": [0.5, 0.0]}, {"dropout": (0.5, 0.0)}),
    "an array of dropouts": ({"dropout": np.array([0.1, 0.4])}, {"dropout": (0.1, 0.4)}),
    "max_grad_norm": ({"max_grad_norm": 0.05, "solver": "sgd"}, {"max_grad_norm": 0.05, **NESTEROV}),
    "label_smoothing": ({"label_smoothing": 0.3}, {"label_smoothing": 0.3}),
    "alpha with adamw": ({"solver": "adamw", "alpha": 2.0}, {"solver": Solver.ADAMW, "weight_decay": 0.01, "l2": 2.0}),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("parameters", "differs"), BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_scikit_learn(blobs, parameters, differs, weighted):
    X, y = blobs
    size = 90 if parameters.get("solver") == "rprop" else 32
    weights = np.random.default_rng(1).uniform(0, 2, 90) if weighted else None
    parameters = {"activation": "tanh", "batch_size": "auto" if size == 90 else size, **PATIENT, **parameters}
    net = classifier(**parameters).fit(X, y, weights)
    wanted = problem(Loss.CROSS_ENTROPY, (2, 5, 4, 3), **differs)
    agrees(net, wanted, X, y, batch_size=size, weights=weights)


@pytest.mark.parametrize("kind", ["binary", "labels"])
def test_smooth_labels_of_logistic_outputs(blobs, kind):
    X, y = blobs
    y = y > 0 if kind == "binary" else np.column_stack([y > 0, y > 1]).astype(int)
    net = classifier(activation="tanh", label_smoothing=0.3, batch_size=32, **PATIENT).fit(X, y)
    wanted = problem(Loss.BINARY_CROSS_ENTROPY, (2, 5, 4, 1 if kind == "binary" else 2))
    agrees(net, wanted, X, 0.7 * y + 0.15, batch_size=32)


LOSSES = {
    "absolute_error": ({}, {}),
    "huber": ({}, {}),
    "huber, narrow": ({"delta": 0.1}, {"delta": 0.1}),
    "quantile": ({}, {}),
    "quantile, high": ({"quantile": 0.9}, {"quantile": 0.9}),
    "poisson": ({}, {}),
    "squared_error": ({}, {}),
}


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(("name", "parameters", "differs"), [(name, *rest) for name, rest in LOSSES.items()])
def test_losses_of_regression(curve, name, parameters, differs, n_outputs):
    X, y = curve
    name = name.split(",")[0]
    y = np.round(np.exp(y)) if name == "poisson" else y
    y = y if n_outputs == 1 else np.column_stack([y, y[::-1]])
    net = regressor(loss=name, activation="tanh", batch_size=50, **PATIENT, **parameters).fit(X, y)
    agrees(net, problem(Loss[name.upper()], (2, 5, 4, n_outputs), **differs), X, y, batch_size=50)
    assert net.out_activation_ == ("exp" if name == "poisson" else "identity")
    assert net.predict(X).shape == y.shape
    assert name != "poisson" or net.predict(X).min() > 0


def test_a_quantile_is_what_its_loss_estimates():
    X = np.zeros((400, 1))
    y = np.random.default_rng(0).uniform(0, 1, 400)
    for share in (0.1, 0.5, 0.9):
        net = regressor((), loss="quantile", quantile=share, alpha=0, max_iter=300, learning_rate_init=0.01).fit(X, y)
        assert net.predict(X[:1])[0] == pytest.approx(np.quantile(y, share), abs=0.03)


# Of each: learning_rate, and the factor it means in each of six epochs of 120 samples.
RATES = {
    "constant": ("constant", [1] * 6),
    "exponential": ("exponential", [0.99**epoch for epoch in range(6)]),
    "inverse_time": ("inverse_time", [1 / (1 + 0.01 * epoch) for epoch in range(6)]),
    "step": ("step", [1, 1, 0.1, 0.1, 0.01, 0.01]),
    "cosine": ("cosine", [(1 + math.cos(math.pi * epoch / 6)) / 2 for epoch in range(6)]),
    "a function": (lambda epoch: 1 / (epoch + 1), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]),
    "exponential()": (schedules.exponential(decay=0.5), [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
    "inverse_time()": (schedules.inverse_time(decay=1), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]),
    "step()": (schedules.step(every=4, decay=0.5), [1, 1, 1, 1, 0.5, 0.5]),
    "cosine()": (
        schedules.cosine(epochs=3, final=0.5), [0.5 + 0.25 * (1 + math.cos(math.pi * min(e, 3) / 3)) for e in range(6)],
    ),
    "a warm-up": (schedules.constant(warmup=3), [0.25, 0.5, 0.75, 1, 1, 1]),
    "invscaling()": (schedules.invscaling(power_t=0.3), [(120 * epoch + 1) ** -0.3 for epoch in range(6)]),
}  # fmt: skip


@by_stochastic
@pytest.mark.parametrize(("learning_rate", "factors"), RATES.values(), ids=RATES)
def test_learning_rates(curve, solver, learning_rate, factors):
    X, y = curve
    seen, rates = [], 0.02 * np.array(factors)
    callback = lambda epoch: seen.append(epoch.learning_rate)  # noqa: E731
    options = {"solver": solver, "learning_rate": learning_rate, "activation": "tanh", "batch_size": 50, **PATIENT}
    net = regressor(callback=callback, **options).fit(X, y)
    assert seen == pytest.approx(rates.tolist(), rel=1e-12)
    differs = {"sgd": NESTEROV, "adamw": {"solver": Solver.ADAMW, "weight_decay": 0.01}}
    differs = differs.get(solver, {"solver": Solver[solver.upper()]})
    agrees(net, problem(Loss.SQUARED_ERROR, (2, 5, 4, 1), **differs), X, y, rates, batch_size=50)


@pytest.mark.parametrize("name", ["invscaling", "adaptive"])
def test_schedules_of_gradient_descent_are_not_heeded_by_others_where_named(curve, name):
    """As in scikit-learn, which knows no others."""
    options = {"tol": 1e9, "n_iter_no_change": 2, "solver": "adam"}
    assert bits(regressor(learning_rate=name, **options).fit(*curve)) == bits(regressor(**options).fit(*curve))
    given = {"invscaling": schedules.invscaling(), "adaptive": schedules.adaptive()}[name]
    assert bits(regressor(learning_rate=given, **options).fit(*curve)) != bits(regressor(**options).fit(*curve))


def test_a_warm_start_begins_with_the_first_rate_again(curve):
    """And goes on with that of the samples seen so far, as in scikit-learn."""
    seen = []
    net = regressor(
        solver="sgd", learning_rate="invscaling", warm_start=True, max_iter=3, momentum=0, alpha=0,
        callback=lambda epoch: seen.append(epoch.learning_rate),
    )  # fmt: skip
    net.fit(*curve).fit(*curve)
    assert seen == pytest.approx([0.02 / (1 + 120 * epoch) ** 0.5 for epoch in (0, 1, 2, 0, 4, 5)])


@by_stochastic
def test_an_adaptive_rate_falls_where_training_would_stop(curve, solver):
    seen = []
    net = regressor(
        solver=solver, learning_rate=schedules.adaptive(decay=0.5, least=0.006), tol=1e9, n_iter_no_change=1, max_iter=50,
        callback=lambda epoch: seen.append(epoch.learning_rate),
    ).fit(*curve)  # fmt: skip
    # One epoch more than it is told, as in scikit-learn; the first is a gain.
    assert seen == pytest.approx([0.02] * 3 + [0.01] * 2 + [0.005] * 2)
    assert net.n_iter_ == 7


@by_solver
@by_kind
def test_train_comes_to_the_same(blobs, curve, kind, solver):
    """Where conventions do not differ, its numbers are those of `fastmlp.train`."""
    make, X, y = task(kind, blobs, curve)
    given = make(max_iter=1, solver="sgd", learning_rate_init=1e-300).fit(X, y)
    options = {"solver": solver, "learning_rate_init": 0.01, "shuffle": False, "momentum": 0.0, "alpha": 0.3, "tol": 0}
    size = "auto" if solver in ("rprop", "lbfgs") else len(X)
    # An epsilon so small that it does not matter where it is added.
    net = make(batch_size=size, epsilon=1e-300, **options, **PATIENT).fit(X, y)
    other = train(
        X, y, (5, 4), solver=solver, learning_rate=0.01, l2=0.3 / len(X), batch_size=None, epochs=EPOCHS, tol=0,
        epsilon=1e-300, init=(given.coefs_, given.intercepts_), loss="binary_cross_entropy" if kind == "binary" else None,
    )  # fmt: skip
    np.testing.assert_allclose(flat(net), other.params, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(net.loss_curve_, other.loss_curve, rtol=1e-10)
    np.testing.assert_array_equal(net.network_.predict(X), net.predict(X))
    predicted, wanted = net.predict(X), other.predict(X)
    if make is classifier:
        np.testing.assert_array_equal(predicted, wanted)
        np.testing.assert_allclose(net.predict_proba(X), other.predict_proba(X), rtol=1e-7)
    else:
        np.testing.assert_allclose(predicted, wanted, rtol=1e-7)


@pytest.mark.parametrize("class_weight", [{"b": 3.0}, {"a": 0.5, "b": 3, "c": 0}, "balanced"], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@by_solver
@by_dtype
def test_weights_of_classes_are_weights_of_their_samples(blobs, class_weight, weighted, solver, dtype):
    X, y = blobs[0][:70].astype(dtype), np.array(["a", "b", "c"])[np.maximum(blobs[1][:70] * (np.arange(70) % 3 > 0), 0)]
    weights = compute_sample_weight(class_weight if class_weight == "balanced" else {"a": 1, "c": 1, **class_weight}, y)
    # In the dtype of X, as the product is taken.
    own = np.random.default_rng(0).uniform(0, 2, 70).astype(dtype) if weighted else None
    both = weights.astype(dtype) * own if weighted else weights
    net = classifier(solver=solver, class_weight=class_weight).fit(X, y, own)
    assert bits(net) == bits(classifier(solver=solver).fit(X, y, both))
    assert bits(net) != bits(classifier(solver=solver).fit(X, y, own))


def test_weights_of_labels(labels):
    X, y = labels
    given = [{0: 1, 1: 5}, {0: 1, 1: 1}, {0: 2, 1: 1}]
    net = classifier(class_weight=given).fit(X, y)
    assert bits(net) == bits(classifier().fit(X, y, np.where(y[:, 0], 5, 1) * np.where(y[:, 2], 1, 2)))
    assert bits(net) == bits(classifier(class_weight=given).fit(X, sparse.csr_matrix(y)))


@by_stochastic
def test_weights_of_classes_batch_by_batch(blobs, solver):
    """A batch need not have all of the classes."""
    X, y = blobs
    nets = [classifier(solver=solver, class_weight=class_weight) for class_weight in ({0: 2.0, 1: 3.0}, None)]
    for rows in (slice(0, 30), np.flatnonzero(y > 0), np.flatnonzero(y == 2), slice(0, 2)):
        weights = np.array([2.0, 3.0, 1.0])[y[rows]]
        nets[0].partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        nets[1].partial_fit(X[rows], y[rows], weights, classes=[0, 1, 2])
        assert bits(nets[0]) == bits(nets[1])


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weights_of_classes_that_are_none(blobs, weight):
    with pytest.raises(ValueError, match="weight"):
        classifier(class_weight={0: weight, 1: 1.0, 2: 5.0}).fit(*blobs)


def test_balanced_weights_are_not_for_batches(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    weights = dict(zip([0, 1, 2], compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=y), strict=True))
    classifier(class_weight=weights).partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("nothing", [{"dropout": 0}, {"dropout": [0, 0.0]}, {"max_grad_norm": 1e100}, {"l1": 0}])
@by_kind
def test_options_of_no_effect(blobs, curve, kind, nothing):
    make, X, y = task(kind, blobs, curve)
    assert bits(make(batch_size=20, **nothing).fit(X, y)) == bits(make(batch_size=20).fit(X, y))


@by_kind
def test_dropout_is_left_out_in_predictions(blobs, curve, kind):
    make, X, y = task(kind, blobs, curve)
    net = make(dropout=0.5).fit(X, y)
    np.testing.assert_array_equal(net.predict(X), net.predict(X))
    np.testing.assert_array_equal(net.set_params(dropout=0.0).predict(X), net.network_.predict(X))


@by_solver
@by_dtype
def test_threads_do_not_show(solver, dtype):
    X = np.random.default_rng(0).standard_normal((700, 64)).astype(dtype)
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    nets = [classifier((100,), solver=solver, max_iter=3, n_jobs=n).fit(X, y) for n in (1, 2, None, -1)]
    assert len({bits(net) for net in nets}) == 1
    assert len({net.predict_proba(X).tobytes() for net in nets}) == 1


@pytest.mark.parametrize(("n_jobs", "threads"), [(None, None), (-1, None), (1, 1), (2, 2), (3, 3)])
def test_threads_are_as_many_as_asked_for(blobs, monkeypatch, n_jobs, threads):
    given = []

    class Spy(base.Run):
        def __init__(self, problem, start, X, y, order, n_samples, size, threads, *rest, **settings):
            given.append(threads)
            super().__init__(problem, start, X, y, order, n_samples, size, threads, *rest, **settings)

    monkeypatch.setattr(base, "Run", Spy)
    X, y = blobs
    classifier(n_jobs=n_jobs).fit(X, y, X_val=X, y_val=y)
    assert given == [threads, threads]


# Callbacks.


@by_solver
def test_callbacks_are_told_what_the_curves_say(blobs, solver):
    X, y = blobs
    seen = []
    net = classifier(solver=solver, callback=seen.append).fit(X, y, X_val=X[::2], y_val=y[::2])
    assert [epoch.epoch for epoch in seen] == list(range(1, net.n_iter_ + 1))
    assert [epoch.loss for epoch in seen] == net.loss_curve_
    assert [epoch.validation_loss for epoch in seen] == net.validation_loss_curve_
    assert [epoch.validation_score for epoch in seen] == net.validation_scores_
    assert bits(net) == bits(classifier(solver=solver).fit(X, y))
    # Each call of fit counts from 1.
    del seen[:]
    net.set_params(warm_start=True).fit(X, y)
    assert seen[0].epoch == 1


@by_solver
@pytest.mark.parametrize("early", [False, True])
def test_true_stops(blobs, solver, early):
    stop = classifier(solver=solver, max_iter=50, early_stopping=early, callback=lambda epoch: epoch.epoch == 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stop.fit(*blobs)
    assert stop.n_iter_ == len(stop.loss_curve_) == 4
    assert bits(stop) == bits(classifier(solver=solver, max_iter=4, early_stopping=early).fit(*blobs))


@pytest.mark.parametrize("batch_size", [16, "auto"])
def test_a_generator_that_others_draw_from_is_left_after_the_epochs_done(blobs, batch_size):
    """And not after those that were drawn ahead, or were never drawn."""
    drawn = []
    for parameters in ({"max_iter": 3}, {"max_iter": 50, "callback": lambda epoch: epoch.epoch == 3}):
        random = np.random.RandomState(5)
        classifier(random_state=random, batch_size=batch_size, **parameters).fit(*blobs)
        drawn.append(random.uniform())
    assert drawn[0] == drawn[1]
    random = np.random.RandomState(5)
    start_params("glorot_uniform", (2, 5, 4, 3), random)
    order = np.arange(90)
    for _ in range(3):
        random.shuffle(order)
    assert random.uniform() == drawn[0]


def test_the_network_of_an_epoch_predicts_labels(blobs):
    X, y = blobs[0], np.array(["a", "b", "c"])[blobs[1]]
    nets = []
    net = classifier(callback=lambda epoch: nets.append(epoch.network)).fit(X, y)
    np.testing.assert_array_equal(nets[-1].predict(X), net.predict(X))
    assert len({one.params.tobytes() for one in nets}) == EPOCHS


@by_solver
@pytest.mark.parametrize("early", [False, True])
def test_interrupted(blobs, solver, early):
    X, y = blobs

    def interrupt(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    net = classifier(solver=solver, max_iter=50, early_stopping=early, callback=interrupt)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$") as caught:
        net.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert net.n_iter_ == 3
    assert bits(net) == bits(classifier(solver=solver, max_iter=3, early_stopping=early).fit(X, y))
    assert net.predict(X).shape == y.shape
    net.set_params(callback=None, warm_start=True, max_iter=2).fit(X, y)
    assert len(net.loss_curve_) == 5


def test_errors_of_a_callback_are_the_users(blobs):
    def fail(epoch):
        raise ZeroDivisionError

    net = classifier(callback=fail)
    with pytest.raises(ZeroDivisionError):
        net.fit(*blobs)
    with pytest.raises(NotFittedError):
        net.predict(blobs[0])


# Samples given to validate with.


@by_solver
@by_dtype
@by_kind
def test_samples_given_to_validate_with_are_only_recorded(blobs, curve, kind, solver, dtype):
    make, X, y = task(kind, blobs, curve)
    X, weights = X.astype(dtype), np.random.default_rng(1).uniform(0.5, 2, 40)
    options = {"solver": solver, "dropout": 0 if solver == "lbfgs" else 0.2}
    plain = make(**options).fit(X[:60], y[:60])
    net = make(**options).fit(X[:60], y[:60], X_val=X[50:90], y_val=y[50:90], sample_weight_val=weights)
    assert bits(net) == bits(plain)
    assert (plain.validation_scores_, plain.validation_loss_curve_) == (None, None)
    assert net.best_validation_score_ is None
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_
    given, wanted = X[50:90], y[50:90]
    predicted = net.predict(given)
    if make is regressor:
        score = r2_score(wanted, predicted, sample_weight=weights)
        loss = mean_squared_error(wanted, predicted, sample_weight=weights, multioutput="raw_values").sum() / 2
    else:
        score = accuracy_score(wanted, predicted, sample_weight=weights)
        shares = net.predict_proba(given)
        loss = (
            np.average(-np.log(np.where(wanted, shares, 1 - shares)).sum(axis=1), weights=weights)
            if kind == "labels"
            else log_loss(wanted, shares, sample_weight=weights)
        )
    rel = 1e-10 if dtype == np.float64 else 1e-4
    assert net.validation_scores_[-1] == pytest.approx(score, rel=rel, abs=rel)
    assert net.validation_loss_curve_[-1] == pytest.approx(loss, rel=rel)


@by_kind
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop"])
@pytest.mark.parametrize("metric", [None, "loss", "function"])
def test_the_best_weights_by_samples_given_are_kept(blobs, curve, kind, solver, metric):
    """And all the others are trained on."""
    make, X, y = task(kind, blobs, curve)
    metric = (lambda wanted, predicted: np.mean(wanted != predicted)) if metric == "function" else metric
    options = {"solver": solver, "learning_rate_init": 0.2, "metric": metric, "tol": 0.0}
    given = {"X_val": X[::4], "y_val": y[::4]}
    net = make(early_stopping=True, max_iter=40, n_iter_no_change=5, **options).fit(X, y, **given)
    assert net.best_validation_score_ == max(net.validation_scores_)
    best = int(np.argmax(net.validation_scores_)) + 1
    # As good as ever is a gain.
    last = np.flatnonzero(np.equal(net.validation_scores_, net.best_validation_score_))[-1] + 1
    assert net.n_iter_ == min(40, last + 6)
    again = make(max_iter=best, **options, **PATIENT).fit(X, y)
    assert flat(again).tobytes() == flat(net).tobytes()
    assert net._held_rows is None


def test_early_stopping_counts_the_epochs_without_a_gain(blobs):
    X, y = blobs
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.4, 0.4, 0.1, 0.1, 0.9])
    net = classifier(
        early_stopping=True, metric=lambda wanted, predicted: next(scores), n_iter_no_change=2, tol=0.05, max_iter=20
    ).fit(X, y, X_val=X, y_val=y)
    # One more than it is told, as in scikit-learn.
    assert net.validation_scores_ == [0.1, 0.3, 0.2, 0.3, 0.4, 0.4, 0.1, 0.1]
    assert net.best_validation_score_ == 0.4
    assert bits(net)[0] == bits(classifier(max_iter=5).fit(X, y))[0]


@pytest.mark.parametrize("solver", ["adam", "rprop", "lbfgs"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_sparse_samples_to_validate_with(blobs, solver, form):
    X, y = blobs
    plain = classifier(solver=solver).fit(X, y, X_val=X[::2], y_val=y[::2])
    net = classifier(solver=solver).fit(X, y, X_val=form(X[::2]), y_val=y[::2])
    assert bits(net) == bits(plain)
    assert net.validation_loss_curve_ == plain.validation_loss_curve_
    assert net.validation_scores_ == plain.validation_scores_


def test_many_sparse_samples_to_validate_with():
    """So many that they are not dense all at once."""
    X = np.random.default_rng(0).standard_normal((5000, 3))
    y = X[:, 0] > 0
    plain = classifier(max_iter=2).fit(X, y, X_val=X, y_val=y)
    net = classifier(max_iter=2).fit(X, y, X_val=sparse.csr_matrix(X), y_val=y)
    assert bits(net) == bits(plain)
    assert net.validation_loss_curve_ == pytest.approx(plain.validation_loss_curve_, rel=1e-12)
    assert net.validation_scores_ == plain.validation_scores_


@by_dtype
def test_samples_to_validate_with_follow_the_dtype_of_the_others(blobs, dtype):
    X, y = blobs
    other = np.float32 if dtype == np.float64 else np.float64
    net = classifier().fit(X.astype(dtype), y, X_val=X.astype(other), y_val=y)
    assert {part.dtype for part in net.coefs_} == {np.dtype(dtype)}
    assert net.validation_loss_curve_[-1] == pytest.approx(log_loss(y, net.predict_proba(X.astype(other))), rel=1e-5)


def test_the_metric_is_given_targets_as_they_were_and_predictions(blobs, curve):
    for kind in KINDS:
        make, X, y = task(kind, blobs, curve)
        calls = []
        metric = lambda wanted, predicted, calls=calls: calls.append((wanted, predicted)) or len(calls)  # noqa: E731
        net = make(early_stopping=True, metric=metric, max_iter=3).fit(X, y, X_val=X[::2], y_val=y[::2])
        assert net.validation_scores_ == [1, 2, 3]
        np.testing.assert_array_equal(calls[-1][0], y[::2])
        np.testing.assert_array_equal(calls[-1][1], net.predict(X[::2]))


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_a_named_metric_is_heeded(blobs, curve, kind):
    make, X, y = task(kind, blobs, curve)
    by_loss = make(early_stopping=True, metric="loss").fit(X, y)
    assert by_loss.validation_scores_ == [-loss for loss in by_loss.validation_loss_curve_]
    own = "accuracy" if make is classifier else "r2"
    named, default = (make(early_stopping=True, metric=metric).fit(X, y) for metric in (own, None))
    assert named.validation_scores_ == default.validation_scores_ != by_loss.validation_scores_
    held = default._held_rows[2]
    assert default.best_validation_score_ == default.score(X[held], y[held])


def test_columns_by_their_names(blobs):
    X, y = pd.DataFrame(blobs[0], columns=["width", "height"]), blobs[1]
    net = classifier().fit(X, y, X_val=X, y_val=y)
    assert net.feature_names_in_.tolist() == ["width", "height"]
    with pytest.raises(ValueError, match="feature names"):
        classifier().fit(X, y, X_val=X[["height", "width"]], y_val=y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        net.predict(blobs[0])


# Early stopping and warm starts.


@by_kind
@pytest.mark.parametrize("metric", [None, "loss"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop"])
def test_the_best_weights_are_given_back_under_a_warm_start_too(blobs, curve, kind, metric, solver):
    """What scikit-learn gives back then are the last ones."""
    make, X, y = task(kind, blobs, curve)
    net = make(
        solver=solver, early_stopping=True, validation_fraction=0.3, warm_start=True, learning_rate_init=0.3, max_iter=4,
        metric=metric, batch_size="auto" if solver == "rprop" else 16,
    )  # fmt: skip
    was_best = []
    for _ in range(6):
        net.fit(X, y)
        held = net._held_rows[2]
        assert net.best_validation_score_ == max(net.validation_scores_)
        was_best.append(net.validation_scores_[-1] == net.best_validation_score_)
        if metric is None:
            assert net.score(X[held], y[held]) == pytest.approx(net.best_validation_score_, rel=1e-12)
        else:
            check = make(max_iter=1, warm_start=True, metric=metric, learning_rate_init=1e-300).fit(X, y)
            check.coefs_, check.intercepts_ = net.coefs_, net.intercepts_
            check.fit(X, y, X_val=X[held], y_val=y[held])
            assert -check.validation_loss_curve_[-1] == pytest.approx(net.best_validation_score_, rel=1e-9)
    # Else nothing was to be restored.
    assert not all(was_best)


@by_kind
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop"])
def test_rows_held_out_are_never_trained_on_under_a_warm_start(blobs, curve, kind, solver):
    """Nothing that stands in them shows in the weights of any epoch."""
    make, X, y = task(kind, blobs, curve)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))

    def trained(spoil):
        nets = []
        net = make(
            solver=solver, early_stopping=True, validation_fraction=0.3, warm_start=True, max_iter=3, n_iter_no_change=50,
            callback=lambda epoch: nets.append(epoch.network.params.tobytes()),
            # The last weights are the best ones.
            metric=lambda wanted, predicted: len(nets),
        ).fit(X, y, weights)  # fmt: skip
        held = net._held_rows[2]
        Z, w = X.copy(), weights.copy()
        if spoil:
            Z[held], w[held] = 100 - 50 * Z[held], 1000
        for _ in range(3):
            net.fit(Z, y, w)
            np.testing.assert_array_equal(net._held_rows[2], held)
        return nets, net.validation_loss_curve_

    (plain, losses), (spoilt, others) = trained(False), trained(True)
    assert plain == spoilt
    assert len(set(plain)) == len(plain) == 12
    assert losses[3:] != others[3:]


def test_rows_are_held_out_anew_where_there_are_more(blobs):
    X, y = blobs
    net = classifier(early_stopping=True, warm_start=True, validation_fraction=0.2).fit(X, y)
    net.fit(X[:75], y[:75])
    assert len(net._held_rows[2]) == 15
    assert net._held_rows[2].max() < 75


@by_stochastic
def test_early_stopping_may_come_and_go(blobs, solver):
    X, y = blobs
    net = classifier(solver=solver, warm_start=True).fit(X, y)
    net.set_params(early_stopping=True).fit(X, y)
    held = net._held_rows[2]
    assert len(net.loss_curve_) == 2 * len(net.validation_scores_) == 12
    assert net.score(X[held], y[held]) == net.best_validation_score_
    nets = []
    net.set_params(early_stopping=False, callback=lambda epoch: nets.append(epoch.network.params)).fit(X, y)
    # The last weights, not those that once were best.
    np.testing.assert_array_equal(flat(net), nets[-1])
    assert len(net.loss_curve_) == 18


@by_stochastic
def test_a_batch_without_weight_changes_nothing(blobs, solver):
    """In scikit-learn it is a division by zero."""
    X, y = blobs[0][:30], blobs[1][:30]
    weights = np.ones(30)
    weights[10:20] = 0
    options = {"solver": solver, "shuffle": False, "batch_size": 10, "l1": 0.01, "dropout": 0.2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        net = classifier(**options).fit(X, y, weights)
    rest = np.flatnonzero(weights)
    assert bits(net) == bits(classifier(**options).fit(X[rest], y[rest], weights[rest]))


@by_solver
@by_kind
def test_samples_without_weight_do_not_count(blobs, curve, kind, solver):
    make, X, y = task(kind, blobs, curve)
    weights = (np.arange(len(X)) % 3 > 0).astype(float)
    Z = np.where(weights[:, None], X, -50.0)
    assert bits(make(solver=solver).fit(X, y, weights)) == bits(make(solver=solver).fit(Z, y, weights))


# Divergence.


@pytest.mark.parametrize("make", [regressor, classifier])
@by_dtype
def test_divergence_ends_training_at_once(blobs, curve, make, dtype):
    """scikit-learn goes on to the end, and keeps the NaN."""
    X, y = curve if make is regressor else blobs
    epochs = []
    net = make(solver="sgd", learning_rate_init=1e10, alpha=1.0, max_iter=100_000, callback=epochs.append, **PATIENT)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        net.fit(X.astype(dtype), y)
    assert len(epochs) < 50
    for method in (net.predict, lambda rows: net.score(rows, y), lambda rows: net.network_):
        with pytest.raises(NotFittedError):
            method(X)


@by_solver
def test_values_without_an_end(curve, solver):
    """However large X is, the weights that come out are finite."""
    X, y = curve
    net = regressor(solver=solver, activation="relu")
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        net.fit(X * 1e200, y)
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_warm_start_that_diverges_leaves_the_weights(curve):
    X, y = curve
    net = regressor(warm_start=True).fit(X, y)
    before, predicted = bits(net), net.predict(X)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        net.fit(X * 1e200, y)
    assert bits(net) == before
    np.testing.assert_array_equal(net.predict(X), predicted)


@by_stochastic
@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_a_batch_that_diverges_leaves_all_as_it_was(curve, solver, batch_size):
    """So that training goes on as if it had not been."""
    X, y = curve
    net, other = (regressor(solver=solver, batch_size=batch_size, shuffle=False, l1=0.01) for _ in range(2))
    for _ in range(3):
        net.partial_fit(X, y)
        other.partial_fit(X, y)
    before = [part.copy() for part in (*net.coefs_, *net.intercepts_)]
    for _ in range(2):
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            net.partial_fit(X * 1e200, y)
    for part, kept in zip((*net.coefs_, *net.intercepts_), before, strict=True):
        np.testing.assert_array_equal(part, kept)
    for _ in range(3):
        net.partial_fit(X, y)
        other.partial_fit(X, y)
    assert bits(net) == bits(other)


def test_a_first_batch_that_diverges(curve):
    X, y = curve
    net = regressor()
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        net.partial_fit(X * 1e200, y)
    with pytest.raises(NotFittedError):
        net.predict(X)
    assert bits(net.partial_fit(X, y)) == bits(regressor().partial_fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop"])
@by_dtype
@pytest.mark.parametrize("given", [False, True])
def test_divergence_under_early_stopping_leaves_the_best_weights(curve, solver, dtype, given):
    X, y = curve[0].astype(dtype), curve[1]
    huge = 1e200 if dtype == np.float64 else 1e30
    options = {"solver": solver, "early_stopping": True, "max_iter": 50}
    validation = {"X_val": X, "y_val": y} if given else {}
    plain = regressor(**{**options, "max_iter": 5}).fit(X, y, **validation)
    net = regressor(learning_rate=lambda epoch: 1.0 if epoch < 5 else huge, **options)
    with pytest.warns(ConvergenceWarning, match="not finite in iteration .*best weights so far are kept") as caught:
        net.fit(X, y, **validation)
    assert len(caught) == 1
    assert math.isnan(net.validation_scores_[-1])
    assert math.isnan(net.loss_curve_[-1])
    assert net.n_iter_ == len(net.loss_curve_) == len(net.validation_scores_)
    assert net.n_iter_ < 15
    assert net.best_validation_score_ == plain.best_validation_score_ == np.nanmax(net.validation_scores_)
    assert flat(net).tobytes() == flat(plain).tobytes()
    assert np.isfinite(net.predict(X)).all()


def test_divergence_before_there_is_a_best(curve):
    X, y = curve
    net = regressor(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="not finite in iteration 1: X: "):
        net.fit(X * 1e200, y)
    assert np.isfinite(flat(net)).all()
    assert np.isnan(net.validation_scores_).all()
    # It may be gone on with.
    net.set_params(warm_start=True).fit(X, y)
    held = net._held_rows[2]
    assert net.score(X[held], y[held]) == net.best_validation_score_ == np.nanmax(net.validation_scores_)


# What is put right beside.


@by_dtype
@by_solver
@pytest.mark.parametrize("label", ["only", 7, True])
def test_a_single_class(blobs, dtype, solver, label):
    X, y = blobs[0].astype(dtype), np.full(90, label)
    net = classifier(solver=solver, hidden=(3,)).fit(X, y)
    assert net.classes_.tolist() == [label]
    assert (net.predict(X) == label).all()
    np.testing.assert_array_equal(net.predict_proba(X), np.ones((90, 1)))
    np.testing.assert_array_equal(net.predict_log_proba(X), np.zeros((90, 1)))
    assert net.score(X, y) == 1.0
    assert net.network_.predict_proba(X).shape == (90, 1)


def test_a_single_class_in_parts(blobs):
    X, y = blobs[0], np.full(90, "only")
    net = classifier(early_stopping=True).fit(X, y)
    assert net.best_validation_score_ == 1.0
    part = classifier().partial_fit(X, y, classes=["only"]).partial_fit(X[:5], y[:5])
    assert part.score(X, y) == 1.0
    assert part.predict_proba(X).shape == (90, 1)


@by_solver
@by_dtype
@by_kind
def test_weights_have_the_dtype_of_the_samples(blobs, curve, kind, solver, dtype):
    make, X, y = task(kind, blobs, curve)
    net = make(solver=solver, max_iter=2).fit(X.astype(dtype), y)
    assert {part.dtype for part in (*net.coefs_, *net.intercepts_)} == {np.dtype(dtype)}
    outputs = net.predict(X.astype(dtype)) if make is regressor else net.predict_proba(X.astype(dtype))
    assert outputs.dtype == dtype


@pytest.mark.parametrize("given", ["int64", "float16", "uint8", "bool", ">f8", "longdouble"])
def test_other_dtypes_are_trained_on_in_float64(blobs, given):
    X, y = np.round(np.abs(blobs[0])).astype(given), blobs[1]
    net = classifier().fit(X, y)
    assert bits(net) == bits(classifier().fit(X.astype(float), y))
    np.testing.assert_array_equal(net.predict(X), net.predict(X.astype(float)))


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_the_loss_of_several_values_is_that_of_its_gradient(curve, n_outputs):
    """scikit-learn reports the mean over the outputs, and descends along the gradient of the sum."""
    X, y = curve[0], np.column_stack([curve[1] * place for place in range(1, n_outputs + 1)])
    y = y[:, 0] if n_outputs == 1 else y
    net = regressor((), batch_size=120, learning_rate_init=1e-300, alpha=0, max_iter=1).fit(X, y)
    outputs = net.predict(X).reshape(y.shape)
    assert net.loss_ == pytest.approx(((outputs - y) ** 2).sum() / 240, rel=1e-12)


def test_the_loss_of_weighted_rows_is_their_mean(blobs):
    """In scikit-learn batches count by their rows."""
    X, y = blobs
    weights = np.linspace(0, 3, 90) ** 2
    net = classifier(batch_size=20, learning_rate_init=1e-300, alpha=0, max_iter=1).fit(X, y, weights)
    assert net.loss_ == pytest.approx(log_loss(y, net.predict_proba(X), sample_weight=weights), rel=1e-12)


# The net.


@by_kind
@by_dtype
def test_the_network(blobs, curve, kind, dtype, tmp_path):
    make, X, y = task(kind, blobs, curve)
    X = X.astype(dtype)
    net = make(activation=["mish", "tanh"])
    with pytest.raises(NotFittedError):
        _ = net.network_
    assert not hasattr(clone(net), "classes_")
    net.fit(X, y, X_val=X, y_val=y)
    network = net.network_
    assert type(network) is fastmlp.Network
    assert network.sizes == (2, 5, 4, 1 if y.ndim == 1 and kind != "classes" else (3 if make is classifier else 2))
    assert [activation.name for activation in network.activations] == ["MISH", "TANH"]
    assert network.loss_curve.tolist() == np.array(net.loss_curve_, dtype).tolist()
    assert network.validation_scores.tolist() == net.validation_scores_
    loaded = fastmlp.load(network.save(tmp_path / "net"))
    for one in (network, loaded):
        np.testing.assert_array_equal(one.predict(X), net.predict(X))
        assert one.predict(X).dtype == net.predict(X).dtype
        assert one.score(X, y) == pytest.approx(net.score(X, y), rel=1e-6)
        if make is classifier:
            np.testing.assert_array_equal(one.predict_proba(X), net.predict_proba(X))


def test_the_network_is_a_copy(blobs):
    X, y = blobs
    net = classifier().fit(X, y)
    before = bits(net)
    network = net.network_
    network.params[:], network.loss_curve[:] = 7, 7
    assert bits(net) == before
    network = net.network_
    params = network.params.copy()
    net.coefs_[0][:] = 3
    np.testing.assert_array_equal(network.params, params)


def test_the_network_can_be_trained_on(blobs):
    X, y = blobs
    network = classifier().fit(X, y).network_
    more = train(X, y, start=network, epochs=5, learning_rate=0.02)
    assert more.n_epochs == EPOCHS + 5
    assert more.loss_curve[-1] < network.loss_curve[-1]


@by_dtype
def test_labels_in_a_sparse_matrix(labels, dtype):
    X, y = labels[0].astype(dtype), labels[1]
    dense = classifier().fit(X, y)
    for form in (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_matrix):
        net = classifier().fit(X, form(y))
        assert bits(net) == bits(dense)
        predicted = net.predict(X)
        assert predicted.format == "csr"
        np.testing.assert_array_equal(predicted.toarray(), dense.predict(X))
        np.testing.assert_array_equal(net.predict_proba(X), dense.predict_proba(X))
    part, other = classifier(), classifier()
    for _ in range(3):
        part.partial_fit(X, sparse.csr_matrix(y), classes=[0, 1, 2])
        other.partial_fit(X, y, classes=[0, 1, 2])
    assert bits(part) == bits(other)
    assert sparse.issparse(part.predict(X))


def test_labels_are_learnt_each_for_itself(labels):
    X, y = labels
    net = classifier((20,), max_iter=300, solver="lbfgs", alpha=1e-3).fit(X, y)
    assert net.score(X, y) > 0.97
    assert net.out_activation_ == "logistic"
    shares = net.predict_proba(X)
    np.testing.assert_array_equal(net.predict(X), shares > 0.5)
    assert abs(shares.sum(axis=1) - 1).max() > 0.5


def test_several_values_are_learnt_each_for_itself(curve):
    X, y = curve[0], np.column_stack([curve[1], 5 - 3 * curve[1]])
    net = regressor((20,), solver="lbfgs", max_iter=400).fit(X, y)
    assert r2_score(y, net.predict(X), multioutput="raw_values").min() > 0.98
    column = regressor().fit(X, curve[1])
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        other = regressor().fit(X, curve[1][:, None])
    assert bits(column) == bits(other)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
@by_solver
@by_dtype
def test_sparse_samples_come_to_the_same(blobs, form, solver, dtype):
    X = np.where(np.random.default_rng(0).uniform(size=(90, 6)) < 0.7, 0, np.tile(blobs[0], 3)).astype(dtype)
    y = blobs[1]
    options = {"solver": solver, "batch_size": "auto" if solver == "rprop" else 16}
    net = classifier(**options).fit(form(X), y)
    assert bits(net) == bits(classifier(**options).fit(X, y))
    assert net.predict_proba(form(X)).tobytes() == net.predict_proba(X).tobytes()
    stopped = classifier(early_stopping=True, **options).fit(form(X), y)
    assert bits(stopped) == bits(classifier(early_stopping=True, **options).fit(X, y))


def test_many_sparse_rows_are_predicted_some_at_a_time():
    X = np.random.default_rng(0).standard_normal((9000, 3)).astype(np.float32)
    net = regressor(max_iter=1).fit(X, X[:, 0])
    assert net.predict(sparse.csr_matrix(X)).tobytes() == net.predict(X).tobytes()


# Weights changed by hand.


def forward(net, X):
    for weights, biases in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
        X = np.maximum(X @ weights + biases, 0)
    return X @ net.coefs_[-1] + net.intercepts_[-1]


def in_place(net):
    net.coefs_[0][:] = np.linspace(-1, 1, net.coefs_[0].size).reshape(net.coefs_[0].shape)
    net.intercepts_[-1] += 0.5


def replaced(net):
    first = np.linspace(-1, 1, net.coefs_[0].size).reshape(net.coefs_[0].shape)
    net.coefs_ = [np.asfortranarray(first), *net.coefs_[1:]]
    net.intercepts_ = [*net.intercepts_[:-1], net.intercepts_[-1] + 0.5]


CHANGES = {"in place": in_place, "replaced": replaced}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@by_kind
def test_weights_changed_by_hand_predict(blobs, curve, kind, change):
    make, X, y = task(kind, blobs, curve)
    net = make().fit(X, y)
    before = net.predict(X) if make is regressor else net.predict_proba(X)
    change(net)
    z = forward(net, X)
    if make is regressor:
        np.testing.assert_allclose(net.predict(X), z.reshape(y.shape), rtol=1e-10)
        assert not np.allclose(net.predict(X), before)
        return
    expected = {"binary": np.column_stack([1 - expit(z), expit(z)]), "classes": softmax(z, axis=1), "labels": expit(z)}
    np.testing.assert_allclose(net.predict_proba(X), expected[kind], rtol=1e-10)
    assert not np.allclose(net.predict_proba(X), before)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("way", ["partial_fit", "warm start", "lbfgs"])
def test_weights_changed_by_hand_are_gone_on_with(curve, change, way):
    X, y = curve
    options = {"batch_size": "auto" if way == "lbfgs" else 120, "momentum": 0.0, "alpha": 0.3, "max_iter": 1}
    solver = "lbfgs" if way == "lbfgs" else "sgd"
    net = regressor(solver=solver, warm_start=way != "partial_fit", **options)
    for _ in range(3):
        net.partial_fit(X, y) if way == "partial_fit" else net.fit(X, y)
    change(net)
    given = copy.deepcopy((net.coefs_, net.intercepts_))
    net.partial_fit(X, y) if way == "partial_fit" else net.fit(X, y)
    other = train(X, y, (5, 4), solver=solver, learning_rate=0.02, l2=0.3 / 120, batch_size=None, epochs=1, init=given)
    np.testing.assert_allclose(flat(net), other.params, rtol=1e-10)
    assert net.loss_curve_[-1] == pytest.approx(other.loss_curve[-1], rel=1e-12)


def test_weights_changed_by_hand_are_not_thrown_away_by_early_stopping(blobs):
    """A warm start from them is a start from other weights, whose scores are not those of the old ones."""
    X, y = blobs
    net = classifier(early_stopping=True, warm_start=True, max_iter=30, learning_rate_init=0.05).fit(X, y)
    replaced(net)
    changed = flat(net)
    net.set_params(max_iter=1, learning_rate_init=1e-9, solver="sgd", momentum=0).fit(X, y)
    np.testing.assert_allclose(flat(net), changed, atol=1e-6)


# Layers.


@pytest.mark.parametrize("none", [(), [], np.array([], int)], ids=str)
@by_kind
def test_no_hidden_layer(blobs, curve, kind, none):
    make, X, y = task(kind, blobs, curve)
    net = make(none, solver="lbfgs", alpha=0.0, max_iter=500, tol=1e-8).fit(X, y)
    assert net.n_layers_ == 2
    assert [part.shape for part in net.coefs_] == [(2, net.n_outputs_)]
    if make is regressor:
        A = np.column_stack([X, np.ones(len(X))])
        np.testing.assert_allclose(net.predict(X), A @ np.linalg.lstsq(A, y, rcond=None)[0], atol=1e-4)
    else:
        z = X @ net.coefs_[0] + net.intercepts_[0]
        expected = {"binary": np.column_stack([1 - expit(z), expit(z)]), "classes": softmax(z, axis=1), "labels": expit(z)}
        np.testing.assert_allclose(net.predict_proba(X), expected[kind], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("hidden", [6, (6,), [6], np.array([6]), np.int64(6), range(6, 7)], ids=repr)
def test_ways_to_say_one_hidden_layer(blobs, hidden):
    assert bits(classifier(hidden).fit(*blobs)) == bits(classifier((6,)).fit(*blobs))


# Batch by batch.


@pytest.mark.parametrize("solver", ["lbfgs", "rprop"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_solvers_of_full_batches_have_no_partial_fit(make, solver):
    assert not hasattr(make(solver=solver), "partial_fit")
    assert all(hasattr(make(solver=other), "partial_fit") for other in STOCHASTIC)


def test_labels_must_be_told_first(blobs):
    X, y = blobs
    net = classifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        net.partial_fit(X, y)
    net.partial_fit(X, y, classes=[0, 1, 2])
    assert net.partial_fit(X[:10], y[:10]).n_iter_ == 1
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        net.partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`.* \[0 1 2 3\]"):
        net.partial_fit(X, np.arange(90) % 4)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        net.set_params(early_stopping=True).partial_fit(X, y)


def test_labels_not_met_yet_have_a_column(blobs):
    X, y = blobs
    net = classifier(max_iter=1).partial_fit(X[:40], np.minimum(y[:40], 1), classes=[0, 1, 2, 9])
    assert net.predict_proba(X).shape == (90, 4)
    other = classifier(max_iter=1).partial_fit(X[:40], np.minimum(y[:40], 1), classes=[9, 2, 1, 0])
    assert bits(net) == bits(other)


@by_stochastic
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("learning_rate", ["constant", "step", "cosine", schedules.invscaling(power_t=0.2)], ids=str)
def test_epochs_one_by_one_are_a_fit(curve, solver, dropout, learning_rate):
    X, y = curve
    options = {"solver": solver, "dropout": dropout, "learning_rate": learning_rate, "batch_size": 50, "shuffle": False}
    whole, part = regressor(**options, **PATIENT).fit(X, y), regressor(**options, **PATIENT)
    for _ in range(EPOCHS):
        part.partial_fit(X, y)
    assert bits(part) == bits(whole)
    assert part.t_ == whole.t_ == EPOCHS * 120
    assert (part.n_iter_, part.best_loss_) == (1, whole.best_loss_)


@by_stochastic
def test_an_adaptive_rate_falls_epoch_by_epoch(curve, solver):
    X, y = curve
    options = {"solver": solver, "learning_rate": schedules.adaptive(decay=0.5), "tol": 1e9, "n_iter_no_change": 1}
    whole, part = regressor(max_iter=12, **options).fit(X, y), regressor(**options)
    for _ in range(12):
        part.partial_fit(X, y)
    assert bits(part) == bits(whole)


def sequence(net, X, y, steps, between=lambda net: net):
    """Batches of changing size, twice of one that repeats."""
    for step in steps:
        size = (90, 90, 7, 40, 1, 90)[step % 6]
        weights = None if step % 4 else np.linspace(0.5, 1, size)
        classes = {"classes": [0, 1, 2]} if isinstance(net, MLPClassifier) else {}
        net.partial_fit(X[:size], y[:size], weights, **classes)
        net = between(net)
    return net


@by_stochastic
@by_dtype
@pytest.mark.parametrize("way", ["pickle", "copy", "pickle at each step"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_copy_goes_on_bit_for_bit(blobs, make, solver, dtype, way):
    X, y = blobs[0].astype(dtype), blobs[1]
    options = {
        "solver": solver, "l1": 0.01, "alpha": 0.1, "max_grad_norm": 1.0, "dropout": 0.2, "batch_size": 90,
        "learning_rate": schedules.inverse_time(decay=0.3), "random_state": np.random.RandomState(3),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1 or larger than sample size")
        whole = sequence(make(**copy.deepcopy(options)), X, y, range(14))
        again = lambda net: pickle.loads(pickle.dumps(net))  # noqa: E731
        if way == "pickle at each step":
            other = sequence(make(**options), X, y, range(14), again)
        else:
            first = sequence(make(**options), X, y, range(8))
            other = again(first) if way == "pickle" else copy.deepcopy(first)
            sequence(first, X, y, range(8, 11))
            other = sequence(other, X, y, range(8, 14))
    assert bits(other) == bits(whole)
    assert other.t_ == whole.t_


def test_a_copy_of_a_fit_goes_on_bit_for_bit(blobs):
    X, y = blobs
    for solver in STOCHASTIC:
        net = classifier(solver=solver, early_stopping=True, warm_start=True).fit(X, y)
        other = pickle.loads(pickle.dumps(net))
        assert bits(net.fit(X, y)) == bits(other.fit(X, y))
        net, other = (one.set_params(early_stopping=False).partial_fit(X, y) for one in (net, other))
        assert bits(net) == bits(other)


def test_a_clone_begins_anew(blobs):
    X, y = blobs
    net = sequence(classifier(), X, y, range(4))
    other = clone(net)
    with pytest.raises(NotFittedError):
        other.predict(X)
    assert bits(sequence(other, X, y, range(4))) == bits(net)


@by_stochastic
def test_the_moments_outlive_a_change_of_dtype(blobs, solver):
    X, y = blobs
    net = classifier(solver=solver, batch_size=90).partial_fit(X.astype(np.float32), y, classes=[0, 1, 2])
    fresh = copy.deepcopy(net)
    fresh._optimizer = None
    net.partial_fit(X, y)
    assert {part.dtype for part in net.coefs_} == {np.dtype(np.float64)}
    whole = classifier(solver=solver, batch_size=90)
    for _ in range(2):
        whole.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(flat(net), flat(whole), atol=2e-5)
    assert np.abs(flat(fresh.partial_fit(X, y)) - flat(whole)).max() > 1e-4
    assert net.partial_fit(X.astype(np.float32), y).coefs_[0].dtype == np.float32


def test_partial_fit_goes_on_from_a_fit(blobs):
    X, y = blobs
    for solver in STOCHASTIC:
        options = {"solver": solver, "shuffle": False, "batch_size": 16, **PATIENT}
        net = classifier(max_iter=3, **options).fit(X, y)
        for _ in range(3):
            net.partial_fit(X, y)
        assert bits(net) == bits(classifier(max_iter=6, **options).fit(X, y))


# What is said.


@pytest.mark.parametrize("early", [False, True])
def test_verbose_prints_each_epoch(blobs, capsys, early):
    X, y = blobs
    net = classifier(verbose=True, early_stopping=early, tol=0.5, n_iter_no_change=2, max_iter=20).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    losses = [line for line in lines if line.startswith("Iteration")]
    assert losses == [f"Iteration {epoch}, loss = {loss:.8f}" for epoch, loss in enumerate(net.loss_curve_, 1)]
    scores = [line for line in lines if line.startswith("Validation score:")]
    assert scores == [f"Validation score: {score:f}" for score in net.validation_scores_ or []]
    what = "Validation score" if early else "Training loss"
    assert lines[-1] == f"{what} did not improve more than tol=0.500000 for 2 consecutive epochs. Stopping."
    assert len(losses) < 20
    classifier().fit(X, y)
    assert capsys.readouterr() == ("", "")


def test_verbose_prints_in_partial_fit_too(blobs, capsys):
    net = classifier(verbose=True).partial_fit(*blobs, classes=[0, 1, 2])
    assert capsys.readouterr().out == f"Iteration 1, loss = {net.loss_:.8f}\n"


def test_on_a_terminal_there_is_a_bar_instead(blobs, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    classifier(verbose=True).fit(*blobs)
    out, err = capsys.readouterr()
    assert out == ""
    assert "training" in err


@by_kind
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop", "rprop"])
def test_a_training_that_did_not_come_to_an_end_warns(blobs, curve, kind, solver):
    make, X, y = task(kind, blobs, curve)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(6\) reached") as caught:
        make(solver=solver, **PATIENT).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(solver=solver, tol=1e9, n_iter_no_change=1, max_iter=50).fit(X, y)


def test_lbfgs_says_why_it_ended(curve):
    X, y = curve
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 3 iteration"):
        net = regressor(solver="lbfgs", max_iter=3).fit(X, y)
    assert net.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="(?s)lbfgs failed to converge.*EVALUATIONS"):
        net = regressor(solver="lbfgs", max_iter=300, max_fun=5).fit(X, y)
    assert net.n_iter_ < 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = regressor((), solver="lbfgs", max_iter=300).fit(X, y)
    assert net.n_iter_ < 100


# Predictions.

NETS = {"narrow": (3, (5,)), "linear": (4, ()), "deep": (17, (33, 7, 20)), "wide": (50, (200, 150))}


@by_dtype
@pytest.mark.parametrize(("n_features", "hidden"), NETS.values(), ids=NETS)
@pytest.mark.parametrize("kind", ["binary", "classes", "values"])
def test_a_row_is_predicted_the_same_in_any_company(n_features, hidden, kind, dtype):
    X = np.random.default_rng(0).standard_normal((700, n_features)).astype(dtype)
    y = {"binary": X[:, 0] > 0, "classes": np.arange(700) % 3, "values": X[:, :2]}[kind]
    net = (regressor if kind == "values" else classifier)(hidden, max_iter=2, activation="tanh").fit(X, y)
    predict = net.predict if kind == "values" else net.predict_proba
    whole = predict(X)
    for row in (*range(0, 700, 53), 699):
        assert predict(X[row : row + 1]).tobytes() == whole[row].tobytes()
    assert predict(X[13:500]).tobytes() == whole[13:500].tobytes()
    assert predict(X[::-1]).tobytes() == whole[::-1].tobytes()
    assert predict(sparse.csr_matrix(X)).tobytes() == whole.tobytes()
    assert predict(np.asfortranarray(X)).tobytes() == whole.tobytes()


@by_dtype
def test_many_threads_predict_on_one_model(blobs, dtype):
    X, y = blobs[0].astype(dtype), blobs[1]
    net = classifier((50, 20)).fit(X, y)
    rows = [X[start : start + size] for start, size in ((0, 90), (3, 1), (10, 17), (40, 33))]
    alone = [net.predict_proba(part).tobytes() for part in rows]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda turn: net.predict_proba(rows[turn % 4]).tobytes(), range(2000)))
    assert all(one == alone[turn % 4] for turn, one in enumerate(found))


@by_solver
def test_several_fits_at_once(solver):
    random = np.random.default_rng(0)
    tasks = [(random.standard_normal((400, 20)), seed) for seed in range(8)]

    def fitted(given):
        X, seed = given
        early = solver != "lbfgs"
        net = classifier((40, 30), solver=solver, random_state=seed, early_stopping=early, max_iter=5)
        return bits(net.fit(X, (X[:, 0] > 0).astype(int)))

    alone = [fitted(given) for given in tasks]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fitted, tasks)) == alone


# Inputs.


@by_solver
@by_dtype
@by_kind
def test_inputs_are_never_changed(blobs, curve, kind, solver, dtype):
    make, X, y = task(kind, blobs, curve)
    X, y, weights = X.astype(dtype), y.copy(), np.linspace(0.5, 2, len(X))
    for array in (X, y, weights):
        array.flags.writeable = False
    before = X.tobytes(), y.tobytes(), weights.tobytes()
    options = {"solver": solver, "early_stopping": True, "batch_size": "auto" if solver == "rprop" else 16}
    if make is classifier:
        options["label_smoothing"] = 0.1
    net = make(**options).fit(X, y, weights)
    net.fit(X, y, weights, X_val=X, y_val=y, sample_weight_val=weights)
    if solver in STOCHASTIC:
        net.set_params(early_stopping=False).partial_fit(X, y, weights)
    net.predict(X)
    net.score(X, y, weights)
    assert (X.tobytes(), y.tobytes(), weights.tobytes()) == before


@by_dtype
def test_sparse_inputs_are_never_changed(labels, dtype):
    X, y = sparse.csr_matrix(labels[0].astype(dtype)), sparse.csr_matrix(labels[1])
    before = [part.copy() for matrix in (X, y) for part in (matrix.data, matrix.indices, matrix.indptr)]
    for matrix in (X, y):
        for part in (matrix.data, matrix.indices, matrix.indptr):
            part.flags.writeable = False
    classifier(label_smoothing=0.1, batch_size=16).fit(X, y, X_val=X, y_val=y).predict(X)
    for part, kept in zip((part for m in (X, y) for part in (m.data, m.indices, m.indptr)), before, strict=True):
        np.testing.assert_array_equal(part, kept)


@by_dtype
@by_solver
def test_memory_maps(blobs, tmp_path, dtype, solver):
    X, y = blobs[0].astype(dtype), blobs[1]
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    rows, labels = np.load(tmp_path / "X.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    net = classifier(solver=solver).fit(rows, labels, X_val=rows, y_val=labels)
    plain = classifier(solver=solver).fit(X, y)
    assert bits(net) == bits(plain)
    np.testing.assert_array_equal(net.predict_proba(rows), plain.predict_proba(X))
    if solver in STOCHASTIC:
        assert bits(net.partial_fit(rows, labels)) == bits(plain.partial_fit(X, y))


@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed"])
def test_layouts(blobs, order):
    X, y = blobs
    given = {
        "C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 3, axis=1)[:, ::3], "reversed": X[::-1].copy()[::-1],
    }[order]  # fmt: skip
    net, plain = classifier(batch_size=16).fit(given, y.tolist()), classifier(batch_size=16).fit(X, y)
    assert bits(net) == bits(plain)
    assert bits(net.partial_fit(given, y)) == bits(plain.partial_fit(X, y))
    assert net.predict_proba(given).tobytes() == plain.predict_proba(X).tobytes()


def test_a_fit_is_its_own_object(blobs):
    """What comes out is no view of what went in, and a second fit leaves what the first gave out."""
    X, y = blobs
    net = classifier(warm_start=True).fit(X, y)
    first, kept = net.coefs_[0], net.coefs_[0].copy()
    net.fit(X, y)
    np.testing.assert_array_equal(first, kept)
    first = net.coefs_[0]
    kept = first.copy()
    net.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(first, kept)
