"""What each option does to a training, told by the reference, by plain NumPy, or by what comes out."""

import numpy as np
import pytest

from fastmlp import reference, train
from fastmlp.initialise import start_params
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver
from table import relative_error

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
ACTIVATIONS = [activation.name.lower() for activation in Activation]
# In the order of the training's options: each can be given with float targets of any sign, but the last.
REGRESSION = {
    "squared_error": {},
    "absolute_error": {},
    "huber": {"delta": 0.2},
    "quantile": {"quantile": 0.8},
    "poisson": {},
}


def parameters(net):
    return reference.views(net.params.astype(np.float64), net.sizes)


def problem_of(net, **settings):
    return Problem(net.sizes, net.activations, net.loss, Solver.SGD, Hyperparameters(**settings))


def descended(net, X, y, rate, steps, seed, weights=None, **settings):
    """Parameters and objectives of plain gradient descent on all samples, step by step with the reference."""
    params, objectives = start_params("glorot_uniform", net.sizes, np.random.default_rng(seed)), []
    for _ in range(steps):
        parts = reference.views(params, net.sizes)
        J, *gradients = reference.objective_and_gradient(problem_of(net, **settings), *parts, X, y, weights)
        objectives.append(J)
        params = params - rate * np.concatenate([part.ravel() for some in gradients for part in some])
    return params, objectives


DESCENT = {"solver": "sgd", "learning_rate": 0.1, "batch_size": None, "epochs": 5, "seed": 3}


@by_engine
@pytest.mark.parametrize("second", ACTIVATIONS)
def test_each_layer_has_its_activation(blobs, second, engine):
    X, y = blobs
    net = train(X, y, (5, 4), activation=["tanh", second], engine=engine, **DESCENT)
    assert [activation.name.lower() for activation in net.activations] == ["tanh", second]
    params, objectives = descended(net, X, y[:, None], 0.1, 5, 3)
    np.testing.assert_allclose(net.loss_curve, objectives, rtol=1e-12)
    assert relative_error(net.params, params) <= 1e-11
    z, _ = reference.forward(*parameters(net), net.activations, X)
    np.testing.assert_allclose(net.predict_proba(X), reference.softmax(z[-1]), atol=1e-13)


@by_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_learns(blobs, activation, dtype):
    net = train(*blobs, (20, 10), activation=activation, epochs=200, seed=0, learning_rate=0.01, dtype=dtype)
    assert net.score(*blobs) > 0.9


def test_activations_may_be_a_tuple_or_members(blobs):
    nets = [
        train(*blobs, (5, 4), activation=activation, epochs=2, seed=0).params.tobytes()
        for activation in (["elu", "mish"], ("elu", "mish"), [Activation.ELU, Activation.MISH])
    ]
    assert nets[0] == nets[1] == nets[2] != train(*blobs, (5, 4), activation="elu", epochs=2, seed=0).params.tobytes()


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs"])
@by_dtype
def test_each_solver_learns(blobs, curve, solver, dtype):
    rate = 0.3 if solver == "sgd" else 0.01
    for X, y in (blobs, curve):
        net = train(X, y, 20, activation="tanh", solver=solver, learning_rate=rate, epochs=300, seed=0, dtype=dtype)
        assert net.score(X, y) > 0.9


@by_engine
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels"])
def test_label_smoothing(blobs, kind, engine):
    """Descends as with targets that are smooth themselves."""
    X, y = blobs
    labels = np.column_stack([y == 0, y == 1]).astype(int)
    y, smooth, loss = {
        "classes": (y, y[:, None], None),
        "two classes": (labels[:, 0], labels[:, :1] * 0.7 + 0.15, "binary_cross_entropy"),
        "labels": (labels, labels * 0.7 + 0.15, None),
    }[kind]
    net = train(X, y, 5, loss=loss, label_smoothing=0.3, engine=engine, **DESCENT)
    smoothing = {"label_smoothing": 0.3} if kind == "classes" else {}
    params, objectives = descended(net, X, smooth, 0.1, 5, 3, **smoothing)
    np.testing.assert_allclose(net.loss_curve, objectives, rtol=1e-12)
    assert relative_error(net.params, params) <= 1e-11
    assert net.params.tobytes() != train(X, y, 5, loss=loss, engine=engine, **DESCENT).params.tobytes()


def test_smoothed_classes_are_the_cross_entropy_with_even_ones(blobs):
    """Told without the reference's own smoothing."""
    X, y = blobs
    net = train(X, y, (), label_smoothing=0.3, learning_rate=1e-12, epochs=1, batch_size=None, seed=3)
    outputs = net.predict_proba(X)
    targets = 0.7 * np.eye(3)[y] + 0.1
    assert net.loss_curve[0] == pytest.approx(-(targets * np.log(outputs)).sum(axis=1).mean(), rel=1e-9)


def test_smoothed_nets_are_less_sure(blobs):
    X, y = blobs
    sure, unsure = (
        train(X, y, 20, epochs=500, learning_rate=0.02, seed=0, label_smoothing=share).predict_proba(X).max(axis=1)
        for share in (0.0, 0.3)
    )
    assert np.median(sure) > 0.99
    assert 0.7 < np.median(unsure) < 0.9


@by_engine
@by_dtype
@pytest.mark.parametrize("loss", REGRESSION)
def test_each_loss_with_several_outputs(blobs, loss, dtype, engine):
    """Sums over the outputs, at the start and as it learns."""
    X = blobs[0]
    y = np.column_stack([X[:, 0], np.abs(X[:, 1]), X.sum(axis=1)]) ** 2
    options = {"loss": loss, "epochs": 60, "learning_rate": 0.02, "seed": 0, "dtype": dtype, "engine": engine}
    options |= {"batch_size": None, "activation": "tanh"}
    net = train(X, y, 10, **options, **REGRESSION[loss])
    assert (net.sizes, net.loss) == ((2, 10, 3), Loss[loss.upper()])
    start = start_params("glorot_uniform", net.sizes, np.random.default_rng(0))
    z, _ = reference.forward(*reference.views(start, net.sizes), net.activations, X)
    settings = Hyperparameters(**REGRESSION[loss])
    of_each = [reference.loss_backward(net.loss, settings, z[-1][:, [k]], y[:, [k]])[0] for k in range(3)]
    rel = 1e-12 if dtype == "float64" else 1e-5
    assert net.loss_curve[0] == pytest.approx(np.sum(of_each, axis=0).mean(), rel=rel)
    assert net.loss_curve[-1] < 0.9 * net.loss_curve[0]
    assert net.predict(X).shape == y.shape
    assert net.predict(X).dtype == dtype


@pytest.fixture(scope="module")
def outliers():
    """Targets that hang on nothing: most near 1, one in five far above."""
    random = np.random.default_rng(3)
    y = 1 + 0.1 * random.standard_normal(500)
    y[random.random(500) < 0.2] += 50
    return random.standard_normal((500, 1)), y


def constant(X, y, loss, **options):
    """What a linear net comes to that has next to no features."""
    net = train(1e-6 * X, y, (), loss=loss, solver="rprop", learning_rate=0.01, epochs=400, seed=0, **options)
    return net.predict(1e-6 * X).mean()


@pytest.mark.filterwarnings("ignore:X. no column:UserWarning")
def test_the_absolute_error_estimates_the_median_and_the_squared_one_the_mean(outliers):
    X, y = outliers
    assert constant(X, y, "squared_error") == pytest.approx(y.mean(), rel=1e-3)
    assert constant(X, y, "absolute_error") == pytest.approx(np.median(y), rel=0.02)
    assert y.mean() > 5 * np.median(y)


@pytest.mark.filterwarnings("ignore:X. no column:UserWarning")
def test_the_huber_loss_lies_between(outliers):
    X, y = outliers
    found = [constant(X, y, "huber", delta=delta) for delta in (1e-3, 1.0, 10.0, 1e3)]
    assert found[0] == pytest.approx(np.median(y), rel=0.02)
    assert found[-1] == pytest.approx(y.mean(), rel=1e-3)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@by_dtype
def test_the_quantile_leaves_its_share_below(random, quantile, dtype):
    X = random.uniform(-1, 1, (1500, 1))
    y = np.sin(3 * X[:, 0]) + (0.2 + 0.1 * X[:, 0]) * random.standard_normal(1500)
    options = {"epochs": 150, "learning_rate": 0.02, "schedule": "cosine", "seed": 0, "dtype": dtype}
    net = train(X, y, 20, activation="tanh", loss="quantile", quantile=quantile, **options)
    below = y < net.predict(X)
    # On either side alike: the spread, which grows from left to right, is learned too.
    for part in (X[:, 0] < 0, X[:, 0] >= 0):
        assert below[part].mean() == pytest.approx(quantile, abs=0.04)


def test_poisson_predicts_rates(random):
    X = random.uniform(-1, 1, (1500, 2))
    rates = np.exp(1.5 * X[:, 0] + np.cos(3 * X[:, 1]))
    y = random.poisson(rates).astype(float)
    net = train(X, y, 20, activation="tanh", loss="poisson", epochs=100, learning_rate=0.01, seed=0)
    predicted = net.predict(X)
    assert (predicted > 0).all()

    def deviance(guess):
        return 2 * np.mean(np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / guess), 0) - y + guess)

    assert deviance(predicted) < 0.6 * deviance(y.mean())
    assert np.median(np.abs(predicted / rates - 1)) < 0.15
    assert 2 * net.loss_curve[-1] == pytest.approx(deviance(predicted), rel=0.05)


def test_counts_may_be_integers_and_zeros(blobs):
    X, y = blobs
    net, same = (train(X, counts, 3, loss="poisson", epochs=2, seed=0) for counts in (y, y.astype(float)))
    assert net.params.tobytes() == same.params.tobytes()
    none = train(X, 0 * y, 3, loss="poisson", epochs=300, seed=0, learning_rate=0.05)
    assert (none.predict(X) < 0.1).all()


@by_engine
@by_dtype
@pytest.mark.parametrize("solver", ["adam", "rprop"])
def test_no_dropout_is_none_bit_for_bit(blobs, solver, dtype, engine):
    options = {"epochs": 3, "seed": 0, "dtype": dtype, "engine": engine, "solver": solver}
    nets = [
        train(*blobs, (5, 4), **options, **dropout).params.tobytes()
        for dropout in ({}, {"dropout": 0.0}, {"dropout": [0, 0]}, {"dropout": np.zeros(2)})
    ]
    assert len(set(nets)) == 1


@by_engine
def test_each_layer_has_its_dropout(blobs, engine):
    def params(dropout):
        options = {"epochs": 3, "seed": 0, "batch_size": None, "solver": "sgd", "engine": engine}
        return train(*blobs, (5, 4), dropout=dropout, **options).params.tobytes()

    assert len({params(dropout) for dropout in (0, 0.5, [0, 0.5], [0.5, 0], [0.5, 0.3])}) == 5
    assert params(0.5) == params([0.5, 0.5]) == params((0.5, 0.5))


@by_engine
@pytest.mark.parametrize("dropout", [0.5, [0.0, 0.4], [0.4, 0.0]])
def test_updates_leave_out_what_the_key_says(blobs, dropout, engine):
    """Step by step with the reference, which masks of the documented order of draws."""
    X, y = blobs
    net = train(X, y, (6, 5), activation="tanh", dropout=dropout, engine=engine, **DESCENT)
    shares = dropout if isinstance(dropout, list) else [dropout] * 2
    random = np.random.default_rng(3)
    params = start_params("glorot_uniform", net.sizes, random)
    key = int(random.integers(1, 1 << 62))
    for step in range(5):
        kept = [
            reference.kept_units(share, key, step, layer, 90, units, np.float64)
            for layer, (share, units) in enumerate(zip(shares, (6, 5), strict=True))
        ]
        parts = reference.views(params, net.sizes)
        J, *gradients = reference.objective_and_gradient(problem_of(net), *parts, X, y[:, None], None, kept)
        assert net.loss_curve[step] == pytest.approx(J, rel=1e-12)
        params = params - 0.1 * np.concatenate([part.ravel() for some in gradients for part in some])
    assert relative_error(net.params, params) <= 1e-11
    # Predictions use all units.
    z, _ = reference.forward(*parameters(net), net.activations, X)
    np.testing.assert_allclose(net.predict_proba(X), reference.softmax(z[-1]), atol=1e-13)


def test_dropout_keeps_from_overfitting(random):
    X = random.standard_normal((400, 20))
    y = (X[:, 0] + random.standard_normal(400) > 0).astype(int)
    options = {"hidden": 100, "epochs": 100, "seed": 0, "learning_rate": 0.01}
    options |= {"validation": (X[200:], y[200:]), "metric": lambda wanted, predicted: 1.0}
    plain, thinned = (train(X[:200], y[:200], dropout=dropout, **options) for dropout in (0, 0.7))
    assert plain.loss_curve[-1] < 0.01 < 0.1 < thinned.loss_curve[-1]
    assert thinned.validation_curve[-1] < 0.7 * plain.validation_curve[-1]


@by_engine
@by_dtype
@pytest.mark.parametrize("penalties", [{}, {"l2": 5.0, "l1": 1.0}])
def test_the_gradient_is_no_longer_than_its_greatest_norm(blobs, penalties, dtype, engine):
    X, y = blobs

    def step(**options):
        net = train(
            X, y, 5, solver="sgd", learning_rate=0.5, epochs=1, batch_size=None, seed=0, dtype=dtype, engine=engine,
            **penalties, **options,
        )  # fmt: skip
        begin = start_params("glorot_uniform", net.sizes, np.random.default_rng(0)).astype(dtype)
        return (net.params - begin).astype(np.float64)

    plain, close = step(), 1e-4 if dtype == "float32" else 1e-12
    norm = np.linalg.norm(plain) / 0.5
    clipped = step(max_grad_norm=norm / 10)
    assert np.linalg.norm(clipped) == pytest.approx(0.05 * norm, rel=close)
    np.testing.assert_allclose(10 * clipped, plain, rtol=close, atol=close)
    np.testing.assert_array_equal(step(max_grad_norm=norm * 1.01), plain)


@pytest.mark.filterwarnings("ignore:y reaches:UserWarning")
def test_clipping_keeps_training_from_diverging(curve):
    X, y = curve
    options = {"hidden": 4, "solver": "sgd", "learning_rate": 5.0, "epochs": 50, "seed": 0, "batch_size": None}
    options["activation"] = "identity"
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert train(X, 1e3 * y, **options).status == "diverged"
    assert train(X, 1e3 * y, max_grad_norm=10.0, **options).status == "finished"


@by_engine
def test_l1_makes_weights_vanish(random, engine):
    X = random.standard_normal((200, 10))
    y = X[:, 0] - X[:, 1]
    options = {"solver": "sgd", "learning_rate": 0.01, "epochs": 300, "batch_size": None, "seed": 0, "engine": engine}
    plain, sparse, shrunk = (
        np.abs(train(X, y, (), **penalty, **options).weights[0][:, 0]) for penalty in ({}, {"l1": 0.2}, {"l2": 0.2})
    )
    # A step of plain gradient descent goes past 0 by no more than rate * l1.
    assert sparse[2:].max() <= 0.01 * 0.2 * 1.5
    assert plain[2:].max() > 2 * sparse[2:].max()
    assert (sparse[:2] > 0.7).all()
    assert (shrunk[:2] < 0.9).all()


@by_engine
def test_weight_decay_is_apart_from_the_gradient(blobs, engine):
    """With a rate of nearly nothing to learn by, weights shrink and biases do not."""
    X, y = blobs
    decayed, plain = (
        train(
            X,
            y,
            5,
            solver="adamw",
            learning_rate=1e-9,
            weight_decay=decay,
            epochs=4,
            batch_size=None,
            seed=0,
            engine=engine,
        )
        for decay in (1e8, 0.0)
    )
    for ours, theirs in zip(decayed.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, theirs * 0.9**4, atol=1e-7)
    for ours, theirs in zip(decayed.biases, plain.biases, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
