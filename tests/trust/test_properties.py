"""Laws that a user relies on, whatever the shapes, options and seeds: drawn by hypothesis."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastmlp
from problems import CLASSIFYING, problems
from table import TOLERANCES, relative_error

LAWS = {}
pytestmark = [
    # Of few rows columns may spread much or hardly at all.
    pytest.mark.filterwarnings("ignore:(X|y).*training will be slow:UserWarning"),
    # Of the exponential outputs of larger nets, even at such a rate.
    pytest.mark.filterwarnings("ignore:the objective is not finite:RuntimeWarning"),
    pytest.mark.long,
]


def law(*drawn):
    """A law, to be tried on what these strategies draw."""

    def add(function):
        LAWS[function.__name__.replace("_", " ")] = (function, drawn)
        return function

    return add


@pytest.mark.parametrize("name", LAWS)
def test_laws(name, trials, count):
    function, drawn = LAWS[name]
    with trials(f"hypothesis: {name}") as trial:

        @settings(
            max_examples=count(25, 1000), derandomize=True, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.tuples(*drawn))
        def check(values):
            trial.tried += 1
            function(*values)

        try:
            check()
        except Exception as error:
            trial.failures.append("\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]))


def same(a, b):
    """Both nets have the same bits."""
    assert a.params.tobytes() == b.params.tobytes()
    assert a.loss_curve.tobytes() == b.loss_curve.tobytes()


def near(a, b, little):
    """Nothing but rounding tells the parameters and the losses apart."""
    assert relative_error(a.params, b.params) <= little
    assert relative_error(a.loss_curve, b.loss_curve) <= little


def outputs(net, X):
    return net.predict_proba(X) if net.is_classifier else net.predict(X)


def joined(weights, biases):
    return np.concatenate([part.ravel() for part in (*weights, *biases)])


# Samples and their weights.


@law(problems(), st.integers(-8, 8))
def weights_times_a_power_of_two_give_the_same_bits(problem, power):
    same(problem.train(sample_weight=problem.weights), problem.train(sample_weight=problem.weights * 2.0**power))


@law(problems(calm=True), st.floats(1e-3, 1e3))
def weights_times_any_number_change_nothing(problem, factor):
    scaled = problem.train(sample_weight=problem.weights * factor)
    near(problem.train(sample_weight=problem.weights), scaled, problem.little)


@law(problems(calm=True, whole=True))
def the_order_of_rows_does_not_matter_in_full_batches(problem):
    order = problem.random.permutation(problem.n_samples)
    near(problem.train(), problem.train(problem.X[order], problem.y[order]), problem.little)


@law(problems(calm=True, whole=True))
def rows_repeated_are_rows_of_that_weight(problem):
    times = problem.random.integers(1, 4, problem.n_samples)
    repeated = problem.train(np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times, axis=0), batch_size=None)
    near(problem.train(sample_weight=times), repeated, problem.little)


@law(problems(calm=True, whole=True))
def rows_without_weight_are_not_there(problem):
    X, y = np.concatenate([problem.X, 3 - problem.X]), np.concatenate([problem.y, problem.y[::-1]])
    weights = np.concatenate([problem.weights, np.zeros(problem.n_samples)])
    order = problem.random.permutation(len(X))
    added = problem.train(X[order], y[order], sample_weight=weights[order], batch_size=None)
    near(problem.train(sample_weight=problem.weights), added, problem.little)


@law(problems(losses=("cross_entropy",)), st.integers(1, 5))
def weights_of_classes_are_weights_of_samples(problem, factor):
    weights = np.array([0.5, 1.0, factor, 2.0])
    by_class = problem.train(class_weight=dict(enumerate(weights[: problem.n_outputs])))
    same(by_class, problem.train(sample_weight=weights[problem.y]))


@law(problems())
def a_batch_of_all_rows_is_a_full_batch(problem):
    if problem.solver != "rprop":
        same(problem.train(batch_size=problem.n_samples), problem.train(batch_size=None))


# What is held out.


@law(problems(), st.integers(1, 9))
def samples_held_out_are_not_trained_on(problem, n_held):
    X = problem.random.uniform(-5, 5, (n_held, problem.n_features))
    y = problem.y[problem.random.integers(problem.n_samples, size=n_held)]
    plain, validated = problem.train(), problem.train(validation=(X, y))
    assert plain.loss_curve.tobytes() == validated.loss_curve.tobytes()
    # The net given back is that of the best epoch.
    if validated.best_epoch == problem.epochs:
        same(plain, validated)


@law(problems(losses=("squared_error", "huber", "quantile"), solvers=("sgd", "adam", "rmsprop")))
def targets_held_out_are_not_seen(problem):
    if problem.n_samples < 4:
        return
    options = {"validation": 0.3, "batch_size": 2}
    before = problem.train(**options)
    changed = problem.y.copy()
    changed[before._training.held_out] += 100
    assert before.loss_curve.tobytes() == problem.train(y=changed, **options).loss_curve.tobytes()


# Weights and their places.


@law(problems(calm=True, hidden=(1, 3)))
def hidden_units_change_places_with_their_weights(problem):
    weights, biases = problem.start()
    order = problem.random.permutation(problem.hidden[0])
    plain = problem.train(init=(weights, biases))
    moved = [weights[0][:, order], weights[1][order], *weights[2:]], [biases[0][order], *biases[1:]]
    other = problem.train(init=moved)
    assert relative_error(plain.loss_curve, other.loss_curve) <= problem.little
    assert relative_error(plain.weights[0][:, order], other.weights[0]) <= problem.little
    assert relative_error(outputs(plain, problem.X), outputs(other, problem.X)) <= problem.little


@law(problems(calm=True))
def features_change_places_with_their_weights(problem):
    weights, biases = problem.start()
    order = problem.random.permutation(problem.n_features)
    plain = problem.train(init=(weights, biases))
    other = problem.train(problem.X[:, order], init=([weights[0][order], *weights[1:]], biases))
    assert relative_error(plain.loss_curve, other.loss_curve) <= problem.little
    assert relative_error(plain.weights[0][order], other.weights[0]) <= problem.little


@law(problems(losses=("cross_entropy",)), st.sampled_from(["texts", "numbers", "floats"]))
def labels_are_names_alone(problem, kind):
    names = {"texts": np.array(["a", "b", "cc", "d"]), "numbers": np.array([-7, 0, 3, 2**40]), "floats": np.arange(4) / 2}[
        kind
    ]
    plain, named = problem.train(), problem.train(y=names[problem.y])
    same(plain, named)
    assert (named.predict(problem.X) == names[plain.predict(problem.X)]).all()


# The objective, its gradient and steps.

CURVES = {
    "tanh": np.tanh,
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
}


def objective(problem, weights, biases):
    """By hand."""
    a = problem.X.astype(float)
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        a = CURVES[problem.activation](a @ W + b)
    z, y = a @ weights[-1] + biases[-1], problem.y.reshape(problem.n_samples, -1)
    if problem.loss == "cross_entropy":
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), problem.y]
    elif problem.loss == "binary_cross_entropy":
        p = 1 / (1 + np.exp(-z))
        losses = -(np.log(np.where(y == 1, p, 1 - p))).sum(axis=1)
    elif problem.loss == "absolute_error":
        losses = np.abs(z - y).sum(axis=1)
    else:
        losses = ((z - y) ** 2).sum(axis=1) / 2
    return np.average(losses, weights=problem.weights) + problem.l2 / 2 * sum((W**2).sum() for W in weights)


@law(
    problems(losses=(*CLASSIFYING, "absolute_error", "squared_error"), whole=True, extras=False),
    st.sampled_from(list(CURVES)),
)
def the_first_loss_is_the_objective_at_the_start(problem, activation):
    problem.activation = activation
    weights, biases = problem.start()
    net = problem.train(init=(weights, biases), sample_weight=problem.weights)
    wanted = objective(problem, [W.astype(float) for W in weights], biases)
    assert net.loss_curve[0] == pytest.approx(wanted, rel=problem.little, abs=problem.little)


@law(problems(calm=True), st.floats(0.01, 1))
def the_penalty_pulls_at_weights_alone(problem, l2):
    start, step = problem.start(), 2.0**-7
    options = {"init": start, "epochs": 1, "learning_rate": step, "batch_size": None, "solver": "sgd", "momentum": 0.0}
    free, pulled = (problem.train(l2=strength, **options) for strength in (0, l2))
    for W, W_free, W_pulled in zip(start[0], free.weights, pulled.weights, strict=True):
        np.testing.assert_allclose(W_free - step * l2 * W.astype(float), W_pulled, rtol=0, atol=problem.little)
    assert relative_error(np.concatenate(free.biases), np.concatenate(pulled.biases)) <= problem.little


@law(problems(calm=True))
def a_first_step_is_in_proportion_to_the_rate(problem):
    start = problem.start()
    options = {"init": start, "epochs": 1, "batch_size": None, "solver": "sgd"}
    short, long = (problem.train(learning_rate=rate, **options).params - joined(*start) for rate in (2.0**-4, 2.0**-3))
    np.testing.assert_allclose(2 * short, long, rtol=0, atol=problem.little)


@law(problems(extras=False), st.floats(1e-4, 1))
def a_clipped_step_is_no_longer_than_allowed(problem, most):
    start = problem.start()
    options = {"init": start, "epochs": 1, "batch_size": None, "solver": "sgd", "learning_rate": 0.5, "momentum": 0.0}
    step = problem.train(max_grad_norm=most, **options).params.astype(float) - joined(*start)
    assert np.linalg.norm(step) <= 0.5 * most * (1 + 1e-5) + problem.little * np.sqrt(step.size)


# Engines, threads and many nets.


@law(problems(calm=True))
def both_engines_take_the_same_step(problem):
    options = {"epochs": 1, "batch_size": None, "init": problem.start(), "sample_weight": problem.weights}
    ours, theirs = (problem.train(engine=engine, **options) for engine in ("kernels", "reference"))
    for a, b in zip((*ours.weights, *ours.biases), (*theirs.weights, *theirs.biases), strict=True):
        assert relative_error(a, b) <= TOLERANCES[np.dtype(problem.dtype).type]


@law(problems(most=(300, 40, 60)))
def any_number_of_threads_gives_the_same_bits(problem):
    alone = problem.train(threads=1)
    for threads in (2, 4):
        same(alone, problem.train(threads=threads))


@law(problems(), st.integers(1, 9))
def nets_among_many_have_the_bits_they_have_alone(problem, n_nets):
    options = problem.options()
    configs = [{"seed": place, "l2": 0.001 * place} for place in range(n_nets)]
    del options["seed"], options["l2"]
    for net, config in zip(fastmlp.train_many(problem.X, problem.y, configs, **options), configs, strict=True):
        same(net, problem.train(**config))


# The course of a training.


@law(problems(), st.integers(1, 3))
def going_on_gives_the_bits_of_a_training_without_a_break(problem, first):
    problem.others.pop("schedule", None)
    begun = problem.train(epochs=first)
    options = problem.options(epochs=problem.epochs, start=begun)
    for name in ("hidden", "activation", "loss", "seed"):
        del options[name]
    same(problem.train(epochs=first + problem.epochs), fastmlp.train(problem.X, problem.y, **options))


@law(problems(), st.integers(1, 5))
def more_epochs_only_add_to_the_losses(problem, more):
    problem.others.pop("schedule", None)
    longer = problem.train(epochs=problem.epochs + more)
    assert longer.loss_curve[: problem.epochs].tobytes() == problem.train().loss_curve.tobytes()


@law(problems(), st.integers(1, 3))
def callbacks_change_nothing(problem, every):
    seen = []

    def note(epoch):
        seen.append(epoch.loss)
        epoch.network.params[:] = 0

    plain = problem.train()
    same(plain, problem.train(callback=note, callback_every=every, max_seconds=1e6))
    assert seen == plain.loss_curve[every - 1 :: every].tolist()


@law(problems())
def the_layout_of_the_data_does_not_matter(problem):
    X, y = problem.X.copy(), problem.y.copy()
    X.flags.writeable = y.flags.writeable = False
    plain = problem.train(X, y)
    wide = np.zeros((2 * problem.n_samples, 3 * problem.n_features), problem.dtype)
    wide[::2, ::3] = X
    for other in (np.asfortranarray(X), wide[::2, ::3], X.tolist(), X.astype(X.dtype.newbyteorder())):
        same(plain, problem.train(other, y))
    assert X.tobytes() == problem.X.tobytes()
    assert y.tobytes() == problem.y.tobytes()


# Predictions.


@law(problems(most=(200, 5, 6)))
def predictions_of_a_row_do_not_depend_on_others(problem):
    net = problem.train(epochs=1)
    wanted = outputs(net, problem.X)
    order = problem.random.permutation(problem.n_samples)[: problem.random.integers(1, problem.n_samples + 1)]
    assert outputs(net, problem.X[order]).tobytes() == wanted[order].tobytes()
    assert outputs(net, problem.X[order[:1]]).tobytes() == wanted[order[:1]].tobytes()


@law(problems(losses=CLASSIFYING))
def the_most_probable_class_is_predicted(problem):
    net = problem.train()
    probabilities, predicted = net.predict_proba(problem.X), net.predict(problem.X)
    if net.classes is None:
        assert (predicted == (probabilities > 0.5)).all()
        assert net.score(problem.X, problem.y) == pytest.approx((predicted == problem.y).all(axis=1).mean())
    else:
        assert (predicted == net.classes[probabilities.argmax(axis=1)]).all()
        assert net.score(problem.X, problem.y) == pytest.approx((predicted == problem.y).mean())


@law(problems(losses=CLASSIFYING), st.sampled_from([1.0, 1e3, 1e20]))
def probabilities_are_probabilities(problem, scale):
    net = problem.train()
    probabilities = net.predict_proba(problem.X * problem.X.dtype.type(scale))
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if net.classes is not None:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=8 * np.finfo(problem.dtype).eps)


@law(problems())
def saved_and_loaded_nets_predict_the_same_bits(problem):
    net = problem.train()
    with tempfile.TemporaryDirectory() as folder:
        again = fastmlp.load(net.save(Path(folder) / "net.safetensors"))
    same(net, again)
    assert net.predict(problem.X).tobytes() == again.predict(problem.X).tobytes()


@law(problems(), st.sampled_from([copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]))
def copies_predict_and_go_on_with_the_same_bits(problem, copied):
    net = problem.train()
    again = copied(net)
    same(net, again)
    assert net.predict(problem.X).tobytes() == again.predict(problem.X).tobytes()
    more = {"learning_rate": 0.01, "batch_size": problem.options()["batch_size"], "epochs": 2, "dtype": problem.dtype}
    more |= {"solver": problem.options()["solver"]}
    same(*(fastmlp.train(problem.X, problem.y, start=one, **more) for one in (net, again)))
