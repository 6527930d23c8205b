"""Weights of samples and classes, as users give them; and data with little in them."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from fastmlp import train
from table import relative_error

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
SOLVERS = ["sgd", "adam", "rprop", "lbfgs"]
RATES = {"sgd": 0.1}


def bits(net):
    return net.params.tobytes(), net.loss_curve.tobytes()


LABELS = {
    "numbers": np.array([0, 1, 2]),
    "strings": np.array(["a", "b", "c"]),
    "objects": np.array(["a", "b", "c"], object),
    "floats": np.array([0.5, 1.0, 2.5]),
}


@by_engine
@by_dtype
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("given", ["some", "all", "balanced"])
def test_weights_of_classes_are_weights_of_their_samples(blobs, labels, given, dtype, engine):
    X, y = blobs[0][:70], labels[np.maximum(blobs[1][:70] * (np.arange(70) % 3 > 0), 0)]
    options = {"epochs": 4, "batch_size": 16, "seed": 0, "dtype": dtype, "engine": engine, "loss": "cross_entropy"}
    class_weight = {
        "some": {labels[1]: 3.0},
        "all": dict(zip(labels.tolist(), (0.5, 3, 0), strict=True)),
        "balanced": "balanced",
    }[given]
    if given == "balanced":
        weights = compute_sample_weight("balanced", y)
    else:
        weights = np.array([class_weight.get(label, 1) for label in y.tolist()])
    assert bits(train(X, y, 4, class_weight=class_weight, **options)) == bits(
        train(X, y, 4, sample_weight=weights, **options)
    )
    own = np.random.default_rng(0).uniform(0, 2, 70)
    both = train(X, y, 4, class_weight=class_weight, sample_weight=own, **options)
    assert bits(both) == bits(train(X, y, 4, sample_weight=own * weights, **options))
    assert bits(both) != bits(train(X, y, 4, sample_weight=own, **options))


def test_weights_of_two_classes_with_one_output(moons):
    X, y = moons
    options = {"loss": "binary_cross_entropy", "epochs": 4, "seed": 0}
    for labels in (y, y == 1):
        ours = train(X, labels, 4, class_weight={True: 5.0}, **options)
        assert bits(ours) == bits(train(X, labels, 4, sample_weight=np.where(y, 5.0, 1.0), **options))


@pytest.mark.parametrize("weights", [np.ones(90), np.full(90, 3), [[2.0]] * 90, np.ones(90, bool), np.ones(90, np.float16)])
def test_weights_that_are_all_alike_change_nothing(blobs, weights):
    options = {"epochs": 4, "batch_size": 16, "seed": 0}
    ours, plain = train(*blobs, 4, sample_weight=weights, **options), train(*blobs, 4, **options)
    assert relative_error(ours.params, plain.params) <= 1e-12
    assert relative_error(ours.loss_curve, plain.loss_curve) <= 1e-12


@by_engine
@by_dtype
@pytest.mark.parametrize("size", [1e-30, 1e-5, 1e5, 1e30])
def test_only_the_ratios_of_weights_count(blobs, size, dtype, engine):
    weights = np.random.default_rng(0).uniform(0, 2, 90)
    options = {"epochs": 4, "batch_size": 16, "seed": 0, "dtype": dtype, "engine": engine}
    ours, plain = (train(*blobs, 4, sample_weight=w, **options) for w in (weights * size, weights))
    assert relative_error(ours.params, plain.params) <= (1e-10 if dtype == "float64" else 1e-3)
    assert relative_error(ours.loss_curve, plain.loss_curve) <= (1e-12 if dtype == "float64" else 1e-4)


@by_engine
@by_dtype
@pytest.mark.parametrize("size", [1e-44, 3e38, 1e307])
def test_weights_at_the_ends_of_the_range(blobs, size, dtype, engine):
    """Are refused, or count as others do."""
    try:
        net = train(*blobs, 4, epochs=4, seed=0, sample_weight=np.full(90, size), dtype=dtype, engine=engine)
    except ValueError as error:
        assert "sample_weight" in str(error)  # noqa: PT017
    else:
        plain = train(*blobs, 4, epochs=4, seed=0, dtype=dtype, engine=engine)
        assert net.status == "finished"
        assert relative_error(net.loss_curve, plain.loss_curve) <= 0.05


@by_engine
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["classes", "values"])
def test_whole_weights_are_repeated_rows(blobs, kind, solver, engine):
    """At full batches, where their places do not count."""
    X, y = blobs if kind == "classes" else (blobs[0], np.sin(blobs[0][:, 0]))
    weights = np.random.default_rng(0).integers(0, 4, 90)
    options = {"solver": solver, "epochs": 5, "seed": 0, "batch_size": None, "l2": 0.01, "activation": "tanh"}
    options |= {"learning_rate": RATES.get(solver, 0.01), "engine": engine}
    ours = train(X, y, 4, sample_weight=weights, **options)
    theirs = train(X.repeat(weights, axis=0), y.repeat(weights), 4, **options)
    assert relative_error(ours.params, theirs.params) <= 1e-9
    assert relative_error(ours.loss_curve, theirs.loss_curve) <= 1e-11


@by_engine
@pytest.mark.parametrize("solver", SOLVERS)
def test_samples_without_weight_have_no_influence(blobs, solver, engine):
    X, y = blobs
    weights = (np.arange(90) % 2).astype(float)
    changed = np.where(weights[:, None] > 0, X, -7.0)
    options = {"solver": solver, "epochs": 5, "seed": 0, "batch_size": None, "engine": engine, "sample_weight": weights}
    assert bits(train(X, y, 4, **options)) == bits(train(changed, np.where(weights > 0, y, 0), 4, **options))


@pytest.mark.parametrize("batch_size", [None, 50])
def test_balancing_finds_the_few(random, batch_size):
    X = random.standard_normal((1000, 2))
    y = (random.random(1000) < 0.05).astype(int)
    X[y == 1] += 1.5

    def recall(class_weight):
        net = train(
            X, y, 10, epochs=100, learning_rate=0.01, seed=0, batch_size=batch_size, class_weight=class_weight
        )  # fmt: skip
        return (net.predict(X)[y == 1] == 1).mean(), (net.predict(X)[y == 0] == 0).mean()

    plain, balanced = recall(None), recall("balanced")
    assert plain[0] < 0.5 < 0.75 < balanced[0]
    assert balanced[1] > 0.75


@by_engine
def test_a_class_without_weight_is_not_learned(blobs, engine):
    X, y = blobs
    net = train(X, y, 10, epochs=200, learning_rate=0.05, seed=0, class_weight={0: 0.0}, engine=engine)
    assert net.classes.tolist() == [0, 1, 2]
    assert (net.predict(X) != 0).all()
    assert net.score(X[y > 0], y[y > 0]) > 0.9


@by_engine
@by_dtype
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_batches_without_weight_are_passed_over(blobs, solver, dtype, engine):
    """As if they were not there."""
    X, y = blobs
    weights = np.ones(90)
    weights[30:60] = 0
    options = {
        "solver": solver,
        "epochs": 4,
        "seed": 0,
        "batch_size": 30,
        "shuffle": False,
        "dtype": dtype,
        "engine": engine,
    }
    ours = train(X, y, 4, sample_weight=weights, **options)
    kept = weights > 0
    theirs = train(X[kept], y[kept], 4, sample_weight=weights[kept], **options)
    assert bits(ours) == bits(theirs)


@by_engine
@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize(
    "options",
    [
        {"sample_weight": np.zeros(90)},
        {"class_weight": {0: 0, 1: 0, 2: 0}},
        {"sample_weight": np.arange(90) % 3 == 0, "class_weight": {0: 0}},
        {"sample_weight": np.full(90, 1e-300), "dtype": "float32"},
        {"sample_weight": np.zeros(90), "validation": (np.zeros((3, 2)), [0, 1, 2])},
    ],
)
def test_weights_that_are_all_zero_are_refused(blobs, no_work, options, batch_size, engine):
    with pytest.raises(ValueError, match="weight"):
        train(*blobs, 4, epochs=2, seed=0, batch_size=batch_size, engine=engine, **options)


@by_engine
@by_dtype
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs"])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
def test_one_sample_of_one_feature(loss, solver, dtype, engine):
    net = train([[0.5]], [2.5], 3, loss=loss, solver=solver, epochs=20, seed=0, dtype=dtype, engine=engine, l2=0.01)
    assert net.status in ("finished", "converged", "stopped early")
    assert np.isfinite(net.params).all()
    assert net.loss_curve[-1] <= net.loss_curve[0]


@by_engine
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "mish", "selu"])
def test_features_that_never_vary(solver, activation, engine):
    """Nothing can be learned but how frequent the classes are."""
    X, y = np.full((40, 3), 2.0), np.arange(40) % 4 == 0
    net = train(X, y, (3, 3), activation=activation, solver=solver, epochs=30, seed=0, engine=engine, learning_rate=0.03)
    assert np.isfinite(net.loss_curve).all()
    assert np.ptp(net.predict_proba(X)[:, 0]) == 0
    assert net.loss_curve[-1] < net.loss_curve[0]


@by_engine
@pytest.mark.parametrize("solver", SOLVERS)
def test_features_and_targets_of_zero(solver, engine):
    X, y = np.zeros((20, 2)), np.zeros(20)
    net = train(
        X, y, 3, solver=solver, loss="squared_error", epochs=10, seed=0, engine=engine, dropout=0.0, max_grad_norm=None
    )
    assert np.isfinite(net.params).all()
    begun = train(X, y, (), solver=solver, init=([np.zeros((2, 1))], [np.zeros(1)]), loss="huber", epochs=5, engine=engine)
    np.testing.assert_array_equal(begun.params, 0)
    assert begun.loss_curve.tolist() == [0.0] * begun.n_epochs


@by_engine
@pytest.mark.parametrize("options", [{"max_grad_norm": 1.0}, {"l1": 0.5}, {"dropout": 0.99}, {"label_smoothing": 1.0}])
def test_gradients_of_zero_and_targets_of_nothing(blobs, options, engine):
    """No division by a norm of 0, and no unit kept in most updates."""
    X, y = blobs
    weights = [np.zeros((2, 4)), np.zeros((4, 3))], [np.zeros(4), np.zeros(3)]
    net = train(np.zeros_like(X), y, 4, init=weights, epochs=5, batch_size=None, solver="sgd", engine=engine, **options)
    assert np.isfinite(net.params).all()
    assert net.loss_curve == pytest.approx(np.log(3), rel=1e-6)
