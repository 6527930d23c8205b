"""The estimators: what they offer beyond scikit-learn's, and what they put right."""

import copy
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, schedules, train
from fastmlp.options import Activation

pytestmark = pytest.mark.filterwarnings(
    # Some samples are wild on purpose.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:(X. |y.* reach):UserWarning",
)
X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
TWO = (Y > 0).astype(int)
VALUES = np.sin(X[:, 0]) + X[:, 1] ** 2
LABELS = make_multilabel_classification(120, 6, n_classes=4, random_state=0)[1]
SMALL = {"hidden_layer_sizes": (5, 4), "max_iter": 8, "random_state": 0}


def same(a, b):
    return all((p == q).all() for p, q in zip((*a.coefs_, *a.intercepts_), (*b.coefs_, *b.intercepts_), strict=True))


def trained(net, X, y, **options):
    """`train` from the start weights of `net`, on full batches."""
    begin = clone(net).set_params(max_iter=1, learning_rate_init=1e-300, solver="sgd", early_stopping=False, dropout=0.0)
    begin.set_params(l1=0.0, max_grad_norm=None).fit(X, y)
    settings = net.get_params()
    return train(
        X, y, settings["hidden_layer_sizes"], epochs=settings["max_iter"], batch_size=None, seed=0,
        init=(begin.coefs_, begin.intercepts_), **{"l2": settings["alpha"] / len(X), "activation": "relu", **options},
    )  # fmt: skip


BEYOND = {
    **{name: ({"activation": name}, {"activation": name}) for name in (a.name.lower() for a in Activation)},
    "an activation for each": ({"activation": ["gelu", "tanh"]}, {"activation": ["gelu", "tanh"]}),
    "adamw": ({"solver": "adamw", "weight_decay": 0.1}, {"solver": "adamw", "weight_decay": 0.1}),
    "rmsprop": ({"solver": "rmsprop", "rho": 0.9}, {"solver": "rmsprop", "rho": 0.9}),
    "rprop": ({"solver": "rprop", "etas": (0.4, 1.3)}, {"solver": "rprop", "etas": (0.4, 1.3)}),
    "step": ({"learning_rate": "step"}, {"schedule": "step"}),
    "cosine": ({"learning_rate": schedules.cosine(epochs=8, warmup=2)}, {"schedule": schedules.cosine(epochs=8, warmup=2)}),
    "exponential": ({"learning_rate": "exponential"}, {"schedule": "exponential"}),
    "a function": ({"learning_rate": lambda epoch: 1 / (1 + epoch)}, {"schedule": lambda epoch: 1 / (1 + epoch)}),
    "l1": ({"l1": 0.01}, {"l1": 0.01}),
    "clipping": ({"max_grad_norm": 0.1}, {"max_grad_norm": 0.1}),
    "smoothing": ({"label_smoothing": 0.2}, {"label_smoothing": 0.2}),
    "balanced": ({"class_weight": "balanced"}, {"class_weight": "balanced"}),
    "weights of classes": ({"class_weight": {0: 2.0, 1: 0.5}}, {"class_weight": {0: 2.0, 1: 0.5}}),
}


@pytest.mark.parametrize("y", [Y, TWO], ids=["three classes", "two"])
@pytest.mark.parametrize(("ours", "theirs"), BEYOND.values(), ids=BEYOND)
def test_options_of_train_do_what_they_do_there(ours, theirs, y):
    net = MLPClassifier(**SMALL, alpha=0.0, epsilon=1e-300, **ours).fit(X, y)
    loss = "cross_entropy" if len(np.unique(y)) > 2 else "binary_cross_entropy"
    expected = trained(net, X, y, loss=loss, epsilon=1e-300, learning_rate=0.001, **theirs)
    for found, wanted in zip((*net.coefs_, *net.intercepts_), (*expected.weights, *expected.biases), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(net.loss_curve_, expected.loss_curve, rtol=1e-9)


@pytest.mark.parametrize(
    "options", [{"loss": "absolute_error"}, {"loss": "huber", "delta": 0.3}, {"loss": "quantile", "quantile": 0.8}]
)
def test_losses_of_train_do_what_they_do_there(options):
    net = MLPRegressor(**SMALL, alpha=0.0, epsilon=1e-300, **options).fit(X, VALUES)
    expected = trained(net, X, VALUES, epsilon=1e-300, **options)
    np.testing.assert_allclose(net.loss_curve_, expected.loss_curve, rtol=1e-9)
    np.testing.assert_allclose(net.predict(X), expected.predict(X), rtol=1e-6)


def test_dropout():
    plain, none, half = (MLPClassifier(**SMALL, dropout=share).fit(X, Y) for share in (0, [0.0, 0.0], 0.5))
    again, each = MLPClassifier(**SMALL, dropout=0.5).fit(X, Y), MLPClassifier(**SMALL, dropout=(0.5, 0.0)).fit(X, Y)
    assert same(plain, none)
    assert same(half, again)
    assert not same(plain, half)
    assert not same(half, each)


def test_the_bits_do_not_hang_on_threads():
    big = np.random.default_rng(0).standard_normal((4000, 30))
    settings = {"hidden_layer_sizes": 60, "max_iter": 3, "batch_size": 512, "random_state": 0}
    one, two, any_ = (MLPClassifier(n_jobs=n, **settings).fit(big, big[:, 0] > 0) for n in (1, 2, -1))
    assert same(one, two)
    assert same(one, any_)


def test_class_weights_multiply_those_of_samples():
    weights = np.random.default_rng(0).uniform(0, 2, len(X))
    by_class = MLPClassifier(**SMALL, class_weight={0: 2.0, 2: 0.25}).fit(X, Y, sample_weight=weights)
    by_sample = MLPClassifier(**SMALL).fit(X, Y, sample_weight=weights * np.array([2.0, 1.0, 0.25])[Y])
    assert same(by_class, by_sample)
    columns = MLPClassifier(**SMALL, class_weight="balanced").fit(X, LABELS)
    assert not same(columns, MLPClassifier(**SMALL).fit(X, LABELS))


def test_a_callback_is_told_the_epochs_and_may_stop():
    told = []

    def callback(epoch):
        told.append((epoch.epoch, epoch.loss, epoch.network.predict(X[:1]).shape))
        return epoch.epoch == 3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = MLPClassifier(**SMALL, callback=callback).fit(X, Y)
    assert [(epoch, shape) for epoch, _, shape in told] == [(1, (1,)), (2, (1,)), (3, (1,))]
    assert [loss for _, loss, _ in told] == net.loss_curve_
    assert net.n_iter_ == 3


def test_an_interrupted_fit_gives_the_net_so_far():
    def callback(epoch):
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        net = MLPClassifier(**SMALL, callback=callback).fit(X, Y)
    assert caught[0].filename == __file__
    assert net.n_iter_ == 3
    assert same(net, MLPClassifier(**{**SMALL, "max_iter": 3}).fit(X, Y))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_as_scikit_learn_does(capsys, early_stopping):
    net = MLPClassifier(**SMALL, verbose=True, early_stopping=early_stopping, tol=5.0, n_iter_no_change=2).fit(X, Y)
    printed = capsys.readouterr().out.splitlines()
    assert f"Iteration 1, loss = {net.loss_curve_[0]:.8f}" == printed[0]
    assert ("Validation score: " in printed[1]) == early_stopping
    assert printed[-1].endswith("did not improve more than tol=5.000000 for 2 consecutive epochs. Stopping.")


VERBOSE = {
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.5,
        "n_iter_no_change": 1,
        "learning_rate_init": 0.05,
    },
    "to the end": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "max_iter": 200},
    "stopped": {"tol": 0.5, "n_iter_no_change": 2},
    "scores": {"early_stopping": True, "n_iter_no_change": 3},
}


@pytest.mark.parametrize("options", VERBOSE.values(), ids=VERBOSE)
def test_verbose_prints_what_scikit_learn_prints(capsys, options):
    printed = []
    for cls in (sklearn.neural_network.MLPClassifier, MLPClassifier):
        net = cls(**{**SMALL, "verbose": True, **options}).fit(X, TWO)
        if not options.get("early_stopping"):
            net.partial_fit(X, TWO)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("Iteration") >= 3


# Validation.

HELD = (X[80:], Y[80:])


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "rprop"])
def test_samples_to_validate_with_leave_the_training_alone(solver):
    plain = MLPClassifier(**SMALL, solver=solver).fit(X[:80], Y[:80])
    net = MLPClassifier(**SMALL, solver=solver).fit(X[:80], Y[:80], X_val=HELD[0], y_val=HELD[1])
    assert same(plain, net)
    assert len(net.validation_loss_curve_) == len(net.validation_scores_) == net.n_iter_
    assert net.validation_scores_[-1] == net.score(*HELD)
    probabilities = net.predict_proba(HELD[0])[np.arange(40), HELD[1]]
    assert net.validation_loss_curve_[-1] == pytest.approx(-np.log(probabilities).mean(), rel=1e-9)
    assert net.network_.validation_curve.tolist() == net.validation_loss_curve_
    assert plain.validation_loss_curve_ is None


@pytest.mark.parametrize("metric", [None, "loss", lambda true, predicted: -float((true != predicted).sum())])
def test_given_samples_decide_when_to_stop_and_what_is_best(metric):
    net = MLPClassifier(20, early_stopping=True, max_iter=80, random_state=0, metric=metric, learning_rate_init=0.02)
    net.fit(X[:80], Y[:80], X_val=HELD[0], y_val=HELD[1], sample_weight_val=np.ones(40))
    assert net._held_rows is None
    assert net.n_iter_ < 80
    assert net.best_validation_score_ == max(net.validation_scores_)
    best = int(np.argmax(net.validation_scores_))
    fewer = clone(net).set_params(max_iter=best + 1, early_stopping=False).fit(X[:80], Y[:80])
    assert same(net, fewer)


def test_given_samples_of_other_kinds():
    names = np.array(["a", "b", "c"])
    net = MLPClassifier(**SMALL).fit(csr_matrix(X[:80]), names[Y[:80]], X_val=csr_matrix(HELD[0]), y_val=names[HELD[1]])
    assert net.validation_scores_[-1] == net.score(HELD[0], names[HELD[1]])
    net = MLPRegressor(**SMALL).fit(X[:80], VALUES[:80], X_val=X[80:], y_val=VALUES[80:])
    assert net.validation_scores_[-1] == pytest.approx(net.score(X[80:], VALUES[80:]))
    net = MLPClassifier(**SMALL).fit(X[:80], LABELS[:80], X_val=X[80:], y_val=LABELS[80:])
    assert net.validation_scores_[-1] == net.score(X[80:], LABELS[80:])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": HELD[0]}, "belong together"),
        ({"y_val": HELD[1]}, "belong together"),
        ({"sample_weight_val": HELD[1]}, "belong together"),
        ({"X_val": HELD[0], "y_val": HELD[1] + 1}, "classes not in"),
        ({"X_val": HELD[0][:, :3], "y_val": HELD[1]}, "features"),
        ({"X_val": HELD[0], "y_val": HELD[1][:9]}, "inconsistent numbers of samples"),
        ({"X_val": HELD[0] * np.nan, "y_val": HELD[1]}, "NaN"),
        ({"X_val": HELD[0], "y_val": HELD[1], "sample_weight_val": -np.ones(40)}, "[Nn]egative"),
    ],
)
def test_samples_to_validate_with_that_do_not_suit(given, message, no_work):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL).fit(X[:80], Y[:80], **given)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_the_best_weights_are_given_back_under_warm_starts_too(kind):
    cls, y = (MLPClassifier, Y) if kind == "classifier" else (MLPRegressor, VALUES)
    net = cls(early_stopping=True, warm_start=True, max_iter=6, random_state=0, validation_fraction=0.3)
    for fits in range(1, 6):
        net.fit(X, y)
        rows = net._held_rows[2]
        assert net.score(X[rows], y[rows]) == pytest.approx(net.best_validation_score_, abs=1e-12)
        assert net.best_validation_score_ == max(net.validation_scores_)
        assert len(net.validation_scores_) == len(net.loss_curve_) <= 6 * fits


def test_rows_held_out_stay_held_out():
    net, other = (
        MLPRegressor(early_stopping=True, warm_start=True, max_iter=5, random_state=0, n_iter_no_change=50).fit(X, VALUES)
        for _ in range(2)
    )
    rows, poisoned = net._held_rows[2].copy(), X.copy()
    poisoned[rows] = 1e3
    net.fit(X, VALUES)
    other.fit(poisoned, VALUES)
    assert (net._held_rows[2] == rows).all()
    assert net.loss_curve_ == other.loss_curve_
    net.fit(X[:100], VALUES[:100])
    assert net._held_rows[2].max() < 100


# What goes wrong.


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_raises_and_leaves_nothing(cls, dtype):
    net = cls(solver="sgd", learning_rate_init=1e10 if dtype == np.float32 else 1e160, random_state=0, max_iter=10_000)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        net.fit(1e3 * X.astype(dtype), VALUES if cls is MLPRegressor else Y)
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_partial_fit_that_diverges_leaves_the_weights():
    net = MLPRegressor(solver="sgd", learning_rate_init=1e-3, random_state=0).partial_fit(X, VALUES)
    before = copy.deepcopy(net)
    with pytest.raises(ValueError, match="non-finite"):
        net.partial_fit(1e200 * X, 1e200 * VALUES)
    assert same(net, before)
    assert same(net.partial_fit(X, VALUES), before.partial_fit(X, VALUES))


def test_divergence_under_early_stopping_keeps_the_best():
    settings = {"solver": "sgd", "random_state": 0, "early_stopping": True, "learning_rate_init": 1e5, "max_iter": 50}
    net = MLPRegressor(activation="identity", **settings)
    with pytest.warns(ConvergenceWarning, match="not finite in iteration"):
        net.fit(10 * X, VALUES)
    assert np.isnan(net.validation_scores_[-1])
    assert np.isnan(net.loss_curve_[-1])
    assert net.n_iter_ == len(net.loss_curve_) == len(net.validation_scores_) < 50
    assert all(np.isfinite(part).all() for part in net.coefs_)


def test_batches_without_weight_change_nothing():
    weights = np.ones(120)
    weights[40:60] = 0
    settings = {"shuffle": False, "batch_size": 20, "max_iter": 5, "random_state": 0, "n_iter_no_change": 50}
    some = MLPClassifier(**settings).fit(X, Y, sample_weight=weights)
    kept = np.r_[0:40, 60:120]
    assert same(some, MLPClassifier(**settings).fit(X[kept], Y[kept], sample_weight=weights[kept]))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("label", [1, "only"])
def test_a_single_class(solver, label):
    y = np.full(len(X), label)
    net = MLPClassifier(**SMALL, solver=solver).fit(X, y)
    assert (net.predict(X) == y).all()
    np.testing.assert_array_equal(net.predict_proba(X), np.ones((len(X), 1)))
    assert net.score(X, y) == 1
    np.testing.assert_array_equal(net.network_.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "adamw", "rmsprop", "rprop"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_keep_the_dtype(solver, dtype):
    net = MLPRegressor(**SMALL, solver=solver).fit(X.astype(dtype), VALUES)
    assert {part.dtype for part in (*net.coefs_, *net.intercepts_)} == {np.dtype(dtype)}
    assert net.predict(X.astype(dtype)).dtype == dtype
    assert np.isfinite(net.loss_)


# The net.


@pytest.mark.parametrize(
    ("cls", "y"), [(MLPClassifier, Y), (MLPClassifier, TWO), (MLPClassifier, LABELS), (MLPRegressor, VALUES)],
    ids=["classes", "two", "labels", "values"],
)  # fmt: skip
def test_the_network(cls, y, tmp_path):
    net = cls(**SMALL)
    with pytest.raises(NotFittedError):
        _ = net.network_
    net.fit(X, y)
    network = fastmlp.load(net.network_.save(tmp_path / "net.safetensors"))
    np.testing.assert_array_equal(network.predict(X), net.predict(X))
    assert network.loss_curve.tolist() == net.loss_curve_
    if cls is MLPClassifier:
        np.testing.assert_array_equal(network.predict_proba(X), net.predict_proba(X))
    before = net.predict(X)
    net.network_.params[:] = 0
    np.testing.assert_array_equal(net.predict(X), before)


def test_sparse_labels_give_sparse_predictions():
    net, plain = (MLPClassifier(**SMALL).fit(X, y) for y in (csr_matrix(LABELS), LABELS))
    assert same(net, plain)
    assert isinstance(net.predict(X), csr_matrix)
    np.testing.assert_array_equal(net.predict(X).toarray(), plain.predict(X))


def test_weights_set_by_hand_are_heeded():
    net = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    before = net.predict_proba(X)
    net.coefs_[0][:] *= -1
    changed = net.predict_proba(X)
    assert (before != changed).any()
    other = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    other.coefs_ = [-other.coefs_[0], *other.coefs_[1:]]
    np.testing.assert_array_equal(other.predict_proba(X), changed)
    assert same(net.partial_fit(X, Y), other.partial_fit(X, Y))
    net.coefs_[0][:] *= 2
    other.coefs_[0] = other.coefs_[0] * 2
    assert same(net.partial_fit(X, Y), other.partial_fit(X, Y))
    assert same(net.fit(X, Y), other.fit(X, Y))


@pytest.mark.parametrize("hidden", [(), 7, np.array([4, 3]), [6]], ids=str)
def test_hidden_layers(hidden):
    net = MLPClassifier(hidden, max_iter=5, random_state=0).fit(X, Y)
    sizes = [6, *np.atleast_1d(hidden).astype(int), 3]
    assert [part.shape for part in net.coefs_] == list(pairwise(sizes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(3,), (100,), (40, 30), (300, 300)], ids=str)
def test_a_row_is_predicted_alike_alone_and_among_others(hidden, dtype):
    rows = np.random.default_rng(0).standard_normal((1000, 6)).astype(dtype)
    net = MLPClassifier(hidden, max_iter=2, random_state=0).fit(X.astype(dtype), Y)
    together = net.predict_proba(rows)
    for row in range(0, 1000, 37):
        assert (net.predict_proba(rows[row : row + 1]) == together[row]).all()
    np.testing.assert_array_equal(net.predict_proba(csr_matrix(rows)), together)


# One batch after the other.


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_goes_on_as_the_original_does(solver, copied):
    net = MLPClassifier(10, solver=solver, random_state=0, dropout=0.2)
    for start in range(0, 96, 32):
        net.partial_fit(X[start : start + 32], Y[start : start + 32], classes=[0, 1, 2])
    other = copied(net)
    for rows in (slice(10, 42), slice(0, 20), slice(50, 82)):
        assert same(net.partial_fit(X[rows], Y[rows]), other.partial_fit(X[rows], Y[rows]))
    assert net.loss_curve_ == other.loss_curve_
    assert not hasattr(clone(net), "coefs_")


def test_dtypes_solvers_and_sizes_may_change_between_batches():
    net = MLPClassifier(10, random_state=0).partial_fit(X[:32], Y[:32], classes=[0, 1, 2])
    net.partial_fit(X[:32].astype(np.float32), Y[:32])
    assert net.coefs_[0].dtype == np.float32
    net.set_params(solver="sgd").partial_fit(X[:50], Y[:50])
    net.set_params(batch_size=7).partial_fit(X[:50], Y[:50])
    net.partial_fit(csr_matrix(X[:50]), Y[:50], sample_weight=np.ones(50))
    assert len(net.loss_curve_) == 5
    assert net.t_ == 32 + 32 + 150


@pytest.mark.parametrize("solver", ["lbfgs", "rprop"])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_there_is_no_partial_fit_for_full_batches(cls, solver):
    assert not hasattr(cls(solver=solver), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        cls(solver=solver).partial_fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "y", "message"),
    [
        ({}, Y + 1, "classes not in"),
        ({"class_weight": "balanced"}, Y, "not supported for partial_fit"),
        ({"early_stopping": True}, Y, "does not support early_stopping"),
    ],
)
def test_batches_that_do_not_suit(settings, y, message, no_work):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**settings).partial_fit(X, y, classes=[0, 1, 2])


def test_names_of_features_are_remembered():
    table = pd.DataFrame(X, columns=list("abcdef"))
    net = MLPClassifier(**SMALL).fit(table, Y)
    with pytest.warns(UserWarning, match="valid feature names"):
        net.predict(X)
    with pytest.warns(UserWarning, match="valid feature names"):
        net.partial_fit(X, Y)
    with pytest.raises(ValueError, match="feature names"):
        net.predict(table[list("fedcba")])


# Threads, and what is given.


def test_many_threads_predict_on_one_net():
    net = MLPClassifier(**SMALL).fit(X, Y)
    expected = net.predict_proba(X).tobytes()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: net.predict_proba(X).tobytes(), range(10_000)))
    assert found == {expected}


def test_fits_at_once_are_fits_alone():
    nets = [MLPClassifier(30, max_iter=40, batch_size=16, random_state=seed) for seed in range(4)]
    alone = [clone(net).fit(X, Y) for net in nets]
    # Filters of warnings are the process's: no thread may set and reset its own.
    threads = [threading.Thread(target=net.fit, args=(X, Y)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(net, other) for net, other in zip(nets, alone, strict=True))


def test_what_is_given_stays_as_it_was(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    frozen, labels, weights = X.copy(), Y.copy(), np.ones(120)
    for array in (frozen, labels, weights):
        array.flags.writeable = False
    nets = [MLPClassifier(**SMALL, early_stopping=True).fit(rows, labels, weights) for rows in (X, frozen, mapped)]
    assert same(nets[0], nets[1])
    assert same(nets[0], nets[2])
    np.testing.assert_array_equal(frozen, mapped)
