"""Validation: which rows are held out and never trained on, and what the scores and the losses of them are."""

from itertools import count

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from fastmlp import batches, inputs, reference, train, validation
from fastmlp.initialise import KEYS, start_params
from fastmlp.options import Hyperparameters

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Rising:
    """A score that each epoch betters, so that the net returned is the last; it keeps what it was given."""

    def __init__(self, by=1):
        self._numbers, self.calls = count(1, by), []

    def __call__(self, wanted, predicted):
        self.calls.append((wanted, predicted))
        return next(self._numbers)


class Falling(Rising):
    """A score that no later epoch betters."""

    def __init__(self):
        super().__init__(by=-1)


def losses_of(net, X, y, **settings):
    """Each sample's loss at a net's parameters, by the reference."""
    numbers = y if net.classes is None else np.searchsorted(net.classes, y)
    z, _ = reference.forward(net.weights, net.biases, net.activations, X.astype(net.dtype))
    return reference.loss_backward(net.loss, Hyperparameters(**settings), z[-1], numbers.reshape(len(X), -1))[0]


def held_rows(net):
    return net._training.held_out


def everything(net):
    """The bits of all that a validated training gives out."""
    curves = (net.params, net.loss_curve, net.validation_curve, net.validation_scores)
    return [part.tobytes() for part in curves], net.best_epoch, net.n_epochs, net.status


@pytest.mark.parametrize("seed", range(30))
def test_of_each_class_the_same_share_is_held_out(seed):
    random = np.random.default_rng(seed)
    counts = random.integers(1, 40, random.integers(2, 8))
    labels, share = random.permutation(np.repeat(np.arange(len(counts)), counts)), random.uniform(0.05, 0.95)
    rows = validation.held_out(share, len(labels), labels, np.random.default_rng(seed))
    np.testing.assert_array_equal(rows, np.unique(rows))
    held = np.bincount(labels[rows], minlength=len(counts))
    assert (np.abs(held - share * counts) < 1).all()
    assert (held < counts).all()
    if share <= 0.5 and counts.min() > 2:
        assert len(rows) == round(share * len(labels))


@pytest.mark.parametrize(("share", "n_samples"), [(0.1, 10), (0.25, 10), (0.5, 3), (0.999, 2000)])
def test_of_values_a_share_is_held_out(share, n_samples):
    rows = validation.held_out(share, n_samples, None, np.random.default_rng(0))
    assert len(rows) == len(set(rows.tolist())) == round(share * n_samples)
    assert (rows == np.sort(rows)).all()


def test_any_row_may_be_held_out():
    found = [validation.held_out(0.2, 10, np.arange(10) % 2, np.random.default_rng(seed)) for seed in range(100)]
    assert set(np.concatenate(found).tolist()) == set(range(10))


@by_engine
def test_classes_of_one_sample_are_trained_on(engine):
    X, y = np.random.default_rng(0).standard_normal((20, 2)), np.array(["rare"] + ["often"] * 19)
    net = train(X, y, 3, epochs=1, seed=0, validation=0.5, engine=engine)
    assert 0 not in held_rows(net)
    assert net.classes.tolist() == ["often", "rare"]


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
@by_engine
def test_the_order_of_the_draws(blobs, source, engine):
    """Start weights, rows held out, dropout's key, row orders."""
    X, y = blobs
    given, random = source(3), source(3)
    net = train(
        X, y, 4, epochs=2, batch_size=16, seed=given, dropout=0.2, validation=0.2, metric=Rising(), learning_rate=1e-12,
        engine=engine,
    )  # fmt: skip
    np.testing.assert_allclose(net.params, start_params("glorot_uniform", net.sizes, random), atol=1e-9)
    held = validation.held_out(0.2, 90, y, random)
    np.testing.assert_array_equal(held_rows(net), held)
    is_generator = isinstance(random, np.random.Generator)
    key = random.integers(1, KEYS) if is_generator else random.randint(1, KEYS, dtype=np.int64)
    assert net._training.run.key == key
    if is_generator:
        assert net._training.counted == (random.integers(1, KEYS), 2)
    else:
        for _ in range(2):
            random.shuffle(np.arange(72, dtype=np.int32))
    assert random.uniform() == given.uniform()


def test_the_seed_alone_says_which_rows_are_held_out(blobs):
    X, y = blobs

    def rows(**options):
        return held_rows(train(X, y, 4, epochs=1, **{"seed": 0, "validation": 0.2, **options})).tolist()

    assert rows() == rows(batch_size=None, solver="lbfgs") == rows(engine="reference", dtype="float32")
    assert rows() != rows(seed=1)
    assert len(rows(validation=0.4)) == 36


@by_engine
@pytest.mark.parametrize("batch_size", [None, 16])
def test_the_metric_is_given_targets_as_they_were_and_predictions(blobs, engine, batch_size):
    X, y = blobs
    names = np.array(["c", "a", "b"])[y]
    metric = Rising()
    net = train(X, names, 4, epochs=3, seed=0, validation=0.3, metric=metric, engine=engine, batch_size=batch_size)
    held = held_rows(net)
    assert len(metric.calls) == 3
    for wanted, _ in metric.calls:
        np.testing.assert_array_equal(wanted, names[held])
    np.testing.assert_array_equal(metric.calls[-1][1], net.predict(X[held]))
    assert net.validation_scores.tolist() == [1, 2, 3]
    assert net.best_epoch == 3


def test_the_metric_is_given_two_arrays_of_one_shape(blobs, curve):
    """A column is taken for a vector, and predictions are one."""
    for X, y in (blobs, curve):
        for targets in (y, y[:, None]):
            metric = Rising()
            train(X, targets, 3, epochs=1, seed=0, validation=0.2, metric=metric)
            train(X, targets, 3, epochs=1, seed=0, validation=(X, targets), metric=metric)
            for wanted, predicted in metric.calls:
                assert wanted.shape == predicted.shape


POISONED = {
    "adam": {"batch_size": 16},
    "adam, all rows": {"batch_size": None},
    "momentum": {"solver": "sgd", "momentum": 0.9, "learning_rate": 0.01, "batch_size": 16, "dropout": 0.2},
    "blocks": {"batch_size": 16, "shuffle": "blocks", "solver": "rmsprop"},
    "in order": {"batch_size": 16, "shuffle": False, "solver": "adamw"},
    "rprop": {"solver": "rprop", "learning_rate": 0.01},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.fixture(params=["in memory", "streamed"])
def in_small_steps(request, monkeypatch):
    """Once as it is, once with minibatches read some at a time."""
    if request.param == "streamed":
        monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
        monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 40 * 2 * 4)
        monkeypatch.setattr(validation, "STREAMED_ROWS", 7)
    return request.param


@by_engine
@pytest.mark.filterwarnings("ignore:(X. |y.* reach):UserWarning")
@pytest.mark.parametrize("options", POISONED.values(), ids=POISONED)
@pytest.mark.parametrize("kind", ["classes", "values"])
def test_rows_held_out_are_never_trained_on(blobs, curve, kind, options, engine, in_small_steps):
    """Nothing that stands in them shows in the parameters, nor where the training is gone on with."""
    X, y = blobs if kind == "classes" else curve
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    options = {"dtype": "float32", "validation": 0.2, "engine": engine, **options}

    def trained(X, y, weights):
        first = train(X, y, 4, epochs=3, seed=0, sample_weight=weights, metric=Rising(), **options)
        return first, train(X, y, start=first, epochs=2, sample_weight=weights, metric=Rising(by=10), **options)

    plain = trained(X, y, weights)
    held = held_rows(plain[0])
    X, y, weights = X.copy(), y.copy(), weights.copy()
    X[held] = 1e6 * (1 - 2 * X[held])
    weights[held] = 1e6
    if kind == "values":
        y[held] = 1e6
    for ours, theirs in zip(plain, trained(X, y, weights), strict=True):
        np.testing.assert_array_equal(held_rows(theirs), held)
        assert ours.params.tobytes() == theirs.params.tobytes()
        assert ours.loss_curve.tobytes() == theirs.loss_curve.tobytes()
        assert (ours.validation_curve != theirs.validation_curve).all()
    # And what stands in the others does.
    X[np.setdiff1d(np.arange(len(X)), held)] *= -1
    assert trained(X, y, weights)[0].params.tobytes() != plain[0].params.tobytes()


@by_engine
@by_dtype
def test_samples_given_to_validate_with_are_not_trained_on(blobs, engine, dtype):
    X, y = blobs
    options = {"hidden": 4, "epochs": 4, "seed": 0, "batch_size": 16, "engine": engine, "dtype": dtype}
    net = train(X, y, validation=(X[::3] + 5, y[::3]), metric=Rising(), **options)
    plain = train(X, y, **options)
    assert net.params.tobytes() == plain.params.tobytes()
    assert net.loss_curve.tobytes() == plain.loss_curve.tobytes()
    assert (plain.validation_curve, plain.validation_scores, plain.best_epoch) == (None, None, None)


SHAPED = {
    "smooth classes": ("classes", {"label_smoothing": 0.3}, {}),
    "smooth labels": ("labels", {"label_smoothing": 0.3}, {}),
    "two classes": ("two classes", {"loss": "binary_cross_entropy", "label_smoothing": 0.3}, {}),
    "values": ("values", {}, {}),
    "absolute": ("values", {"loss": "absolute_error"}, {}),
    "huber": ("values", {"loss": "huber", "delta": 0.3}, {"delta": 0.3}),
    "quantile": ("values", {"loss": "quantile", "quantile": 0.9}, {"quantile": 0.9}),
    "poisson": ("counts", {"loss": "poisson"}, {}),
}


def targets(kind, X):
    value = X[:, 0] + np.sin(X[:, 1])
    return {
        "classes": np.digitize(value, [0, 2]),
        "two classes": np.where(value > 0, "up", "down"),
        "labels": np.column_stack([value > 0, value > 1]).astype(int),
        "values": np.column_stack([value, -value]),
        "counts": np.random.default_rng(0).poisson(np.exp(np.clip(value, -2, 2))).astype(float),
    }[kind]


@by_engine
@by_dtype
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "options", "shape"), SHAPED.values(), ids=SHAPED)
def test_the_loss_is_bare_and_weighted(blobs, kind, options, shape, weighted, engine, dtype):
    """Without penalties, dropout and smoothing; with the weights, and those of the classes."""
    X, random = blobs[0], np.random.default_rng(5)
    y, weights = targets(kind, X), random.uniform(0, 2, len(X)) if weighted else None
    balanced = "balanced" if weighted and kind == "classes" else None
    net = train(
        X, y, (5, 4), epochs=3, seed=0, l2=0.5, l1=0.5, dropout=0.4, max_grad_norm=0.1, validation=0.3, metric=Rising(),
        sample_weight=weights, class_weight=balanced, engine=engine, dtype=dtype, **options,
    )  # fmt: skip
    held = held_rows(net)
    if balanced:
        weights = weights * (90 / (3 * np.bincount(y)))[y]
    expected = np.average(losses_of(net, X[held], y[held], **shape), weights=None if weights is None else weights[held])
    rel = 1e-12 if dtype == "float64" else 1e-5
    assert net.validation_curve[-1] == pytest.approx(expected, rel=rel)
    # The same samples given apart measure the same.
    others = np.setdiff1d(np.arange(90), held)
    given = (X[held], y[held]) if weights is None else (X[held], y[held], weights[held])
    again = train(
        X[others], y[others], start=net, epochs=1, learning_rate=1e-30, dtype="float64", validation=given, **shape
    )
    assert again.validation_curve[-1] == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_scores_count_the_weights(blobs, kind):
    X = blobs[0]
    y, weights = targets(kind, X), np.random.default_rng(5).uniform(0, 2, 90)
    metric, score = ("r2", r2_score) if kind == "values" else ("accuracy", accuracy_score)
    net = train(X, y, 5, epochs=15, seed=0, learning_rate=0.05, validation=0.4, metric=metric, sample_weight=weights)
    held = held_rows(net)
    expected = score(y[held], net.predict(X[held]), sample_weight=weights[held])
    assert net.validation_scores[net.best_epoch - 1] == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(score(y[held], net.predict(X[held])), rel=1e-6)


@by_engine
def test_samples_without_weight_do_not_validate(blobs, engine):
    X, y = blobs
    weights = np.arange(90) % 2
    options = {"epochs": 3, "seed": 0, "metric": "accuracy", "engine": engine}
    plain = train(X, y, 4, validation=(X, y, weights), **options)
    changed = np.where(weights[:, None], X, 1e6), np.where(weights, y, 0), weights
    assert everything(train(X, y, 4, validation=changed, **options)) == everything(plain)


@by_engine
def test_weights_of_classes_count_in_samples_apart(blobs, engine):
    """By their own labels, and as often as those occur among the samples trained on."""
    X, y = blobs
    X, y, given = X[20:], np.maximum(y[20:], 1), (X[:20], np.maximum(y[:20], 1))
    for class_weight, weights in [({2: 7.0}, [1, 7]), ("balanced", 70 / (2 * np.bincount(y)[1:]))]:
        net = train(X, y, 4, epochs=2, seed=0, class_weight=class_weight, validation=given, metric=Rising(), engine=engine)
        expected = np.average(losses_of(net, *given), weights=np.array(weights)[given[1] - 1])
        assert net.validation_curve[-1] == pytest.approx(expected, rel=1e-12)


def test_rows_held_out_are_no_samples_of_an_epoch(blobs):
    """For a schedule that counts them."""
    rates = []
    options = {"schedule": "invscaling", "learning_rate": 0.5, "callback": lambda epoch: rates.append(epoch.learning_rate)}
    train(*blobs, 4, epochs=3, seed=0, validation=0.3, **options)
    assert rates == pytest.approx([0.5, 0.5 / 64**0.5, 0.5 / 127**0.5])


def test_all_held_out_without_weight_are_refused(blobs):
    X, y = blobs
    weights = np.ones(90)
    weights[held_rows(train(X, y, 4, epochs=1, seed=0, validation=0.2))] = 0
    with pytest.raises(ValueError, match=r"validation: all samples held out have the weight 0; give .* another seed"):
        train(X, y, 4, epochs=1, seed=0, validation=0.2, sample_weight=weights)
    with pytest.raises(ValueError, match="weight"):
        train(X, y, 4, epochs=1, seed=0, validation=0.2, sample_weight=1 - weights)


@by_engine
@pytest.mark.parametrize("metric", ["loss", "accuracy", lambda wanted, predicted: np.mean(wanted == predicted)])
@pytest.mark.parametrize("weighted", [False, True])
def test_streamed_rows_validate_as_those_in_memory(blobs, monkeypatch, engine, metric, weighted):
    X, y = blobs
    options = {
        "hidden": 4, "epochs": 5, "batch_size": 16, "seed": 0, "dtype": "float32", "validation": 0.3, "metric": metric,
        "engine": engine, "sample_weight": np.arange(90) % 3 if weighted else None, "patience": 3, "learning_rate": 0.03,
    }  # fmt: skip
    rows = X.astype(np.float32)
    plain = train(rows, y, **options)
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 40 * 2 * 4)
    streams = []
    monkeypatch.setattr(validation, "Streamed", lambda *args: streams.append(batches.Streamed(*args)) or streams[-1])
    assert everything(train(X, y, **options)) == everything(plain)
    # So few are kept.
    assert streams == []
    # In several steps the sum is taken in another order.
    monkeypatch.setattr(validation, "STREAMED_ROWS", 7)
    monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 7 * 2 * 4)
    parts = train(X, y, **{**options, "patience": None})
    whole = train(rows, y, **{**options, "patience": None})
    assert len(streams[-1].X) == 7
    assert parts.loss_curve.tobytes() == whole.loss_curve.tobytes()
    np.testing.assert_allclose(parts.validation_curve, whole.validation_curve, rtol=1e-6)


def test_validating_does_not_change_the_training(blobs):
    """Callbacks, progress and the metric see to an epoch's end, and nothing of it shows."""
    X, y = blobs
    options = {"hidden": 4, "epochs": 5, "batch_size": 16, "seed": 0, "validation": 0.3}
    ours, theirs = (train(X, y, metric=metric, **options) for metric in (Rising(), lambda wanted, predicted: 1.0))
    assert ours.loss_curve.tobytes() == theirs.loss_curve.tobytes()
    assert ours.validation_curve.tobytes() == theirs.validation_curve.tobytes()
    assert (ours.best_epoch, theirs.best_epoch) == (5, 1)


@by_engine
def test_the_best_parameters_are_copies(blobs, engine):
    """Who changes those of a net changes nothing else."""
    X, y = blobs
    options = {"validation": 0.2, "metric": Falling(), "engine": engine}
    net = train(X, y, 4, epochs=3, seed=0, **options)
    assert net.best_epoch == 1
    best = net.params.copy()
    again = train(X, y, start=net, epochs=2, **options)
    again.params[:] = 7
    assert again.best_epoch == 1
    np.testing.assert_array_equal(net.params, best)
    last = train(X, y, start=net, epochs=2, **options)
    assert last.best_epoch == 1
    np.testing.assert_array_equal(last.params, best)


@by_engine
def test_the_best_net_survives_a_divergence(curve, engine):
    X, y = curve
    options = {"hidden": 4, "solver": "sgd", "batch_size": None, "seed": 0, "validation": 0.2, "engine": engine}
    plain = train(X, y, epochs=5, learning_rate=0.1, **options)
    rates = [1.0] * 5 + [1e200] * 10
    with pytest.warns(RuntimeWarning, match=r"not finite in epoch \d+ of 15.* This is the best network so far") as caught:
        net = train(X, y, epochs=15, learning_rate=0.1, schedule=rates.__getitem__, **options)
    assert [str(warning.message) for warning in caught[1:]] == []
    assert net.status == "diverged"
    assert net.best_epoch == plain.best_epoch == 5
    assert net.params.tobytes() == plain.params.tobytes()


def test_losses_without_an_end(curve):
    """Validation samples that the net cannot be measured on score NaN, and are never the best."""
    X, y = curve
    net = train(X, y, 4, epochs=4, seed=0, validation=(X * 1e300, y), patience=2)
    assert (net.n_epochs, net.status, net.best_epoch) == (2, "stopped early", None)
    assert np.isfinite(net.params).all()
