"""Trainings that diverge: their cause and the remedy are named, and what is given out can be used."""

import pickle
import re

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier, MLPRegressor, load, train, train_many
from fastmlp.divergence import some_of, standardised
from fastmlp.options import Loss
from fastmlp.scales import warn_of_wild_scales, warn_of_wild_targets
from table import DTYPES, by_engine

# Warnings of scales come before, and have tests of their own.
pytestmark = pytest.mark.filterwarnings("ignore:(X. |y.* reach|y.* deviate):UserWarning")
RANDOM = np.random.default_rng(11)
X = RANDOM.standard_normal((121, 3))
VALUES = X @ [1.0, -2.0, 0.5] + 0.1 * RANDOM.standard_normal(121)
CLASSES = (VALUES > 0).astype(int)
COUNTS = np.abs(np.round(VALUES))
WIDE = X * [1, 1, 1e5]
SGD = {"solver": "sgd", "learning_rate": 0.01}

# What is said of each cause.
RATE = r"(learning_rate=\S+|the learning rate \S+ that its schedule comes to) is too large"
FEATURES = r"X: columns? .* reach(es| up to) \S+; standardise X: \(X - X.mean\(axis=0\)\) / X.std\(axis=0\)"
TARGETS = r"y reaches \S+; (standardise y|divide y by its mean)"
INIT = r"the start weights in init reach \S+; give smaller ones"
TOLD = {
    "rate": RATE,
    "X": FEATURES,
    "y": TARGETS,
    "init": INIT,
    "l2": r"l2=\S+ is too large",
    "start": "the weights of start",
}
TOLD |= {"weight_decay": r"weight_decay=\S+ is too large", "dropout": r"dropout=0.99 scales", "step_sizes": "step_sizes="}


def layers(scale):
    random = np.random.default_rng(3)
    return [scale * random.standard_normal((3, 8)), scale * random.standard_normal((8, 1))], [np.zeros(8), np.zeros(1)]


def rising(epoch):
    return 1.0 if epoch < 5 else 1e200


CAUSES = {
    "a wild rate": ("rate", X, VALUES, {**SGD, "learning_rate": 1e3}),
    "a large rate": ("rate", X, VALUES, {**SGD, "learning_rate": 3.0}),
    "a wild rate for classes": ("rate", X, CLASSES, {**SGD, "learning_rate": 1e30, "l2": 0.01}),
    "a wild rate in minibatches": ("rate", X, VALUES, {**SGD, "learning_rate": 1e5, "batch_size": 7}),
    "a rate with momentum": ("rate", X, VALUES, {**SGD, "learning_rate": 2.0, "momentum": 0.9}),
    "a schedule": ("rate", X, VALUES, {**SGD, "schedule": rising}),
    "a wide column": ("X", WIDE, VALUES, SGD),
    "a wide column in minibatches": ("X", WIDE, VALUES, {**SGD, "batch_size": 16}),
    "all columns wide": ("X", 3e4 * X, VALUES, SGD),
    "X overflows at once": ("X", X * [1, 1e200, 1], VALUES, {}),
    "one value of X": ("X", np.vstack([X, [0, 1e170, 0]]), np.append(VALUES, 0), SGD),
    "X under exp": ("X", 1e4 * X, COUNTS, {"loss": "poisson"}),
    "prices": ("y", X, 3e5 * VALUES + 5e5, SGD),
    "prices in minibatches": ("y", X, 3e5 * VALUES + 5e5, {**SGD, "batch_size": 10}),
    "y overflows at once": ("y", X, 1e200 * VALUES, {}),
    "y overflows at once, L-BFGS": ("y", X, 1e200 * VALUES, {"solver": "lbfgs"}),
    "large counts": ("y", X, np.round(1e6 * COUNTS), {**SGD, "loss": "poisson"}),
    "large start weights": ("init", X, VALUES, {**SGD, "init": layers(1e3)}),
    "start weights overflow at once": ("init", X, VALUES, {"init": layers(1e200)}),
    "l2": ("l2", X, VALUES, {**SGD, "l2": 1e5}),
    "decay": ("weight_decay", X, VALUES, {"solver": "adamw", "weight_decay": 1e5}),
    "dropout": ("dropout", X, VALUES, {**SGD, "learning_rate": 0.02, "dropout": 0.99, "hidden": (50, 50, 50)}),
    "X and the rate": ("X rate", WIDE, VALUES, {**SGD, "learning_rate": 1e3}),
    "X and y": ("X y", WIDE, 1e6 * VALUES, SGD),
    "X, y and the rate": ("X y rate", WIDE, 1e6 * VALUES, {**SGD, "learning_rate": 1e30}),
    "y and the rate": ("y rate", X, 1e6 * VALUES, {**SGD, "learning_rate": 1e3}),
    "X and the start weights": ("X init", 1e200 * X, VALUES, {"init": layers(1e180)}),
}


def diverged(warned, n=1):
    """What is told of why."""
    messages = [str(warning.message) for warning in warned if warning.category is RuntimeWarning]
    assert len(messages) == n
    return messages[0]


def check_causes(message, names):
    assert {name for name, said in TOLD.items() if re.search(said, message)} == set(names.split())


@by_engine
@pytest.mark.parametrize("cause", CAUSES)
def test_the_cause_is_named_and_no_other(cause, engine):
    names, features, y, options = CAUSES[cause]
    options = {"hidden": 8, "epochs": 60, "batch_size": None, "seed": 0, "engine": engine, **options}
    with pytest.warns(RuntimeWarning) as warned:
        net = train(features, y, **options)
    message = diverged(warned)
    assert message.startswith(f"the objective is not finite in epoch {net.n_epochs + 1} of 60: ")
    check_causes(message, names)
    assert {warning.filename for warning in warned} == {__file__}
    check_usable(net, features)


@pytest.mark.parametrize("engine", ["kernels"])
@pytest.mark.parametrize(
    "cause", ["a wild rate", "X overflows at once", "y overflows at once", "prices", "all columns wide"]
)
def test_the_cause_in_float32(cause, engine):
    names, features, y, options = CAUSES[cause]
    options = {"hidden": 8, "epochs": 60, "batch_size": None, "seed": 0, **options}
    with np.errstate(over="ignore"):
        narrow = [np.clip(part, -1e30, 1e30).astype(np.float32) for part in (features, y)]
    with pytest.warns(RuntimeWarning) as warned:
        net = train(*narrow, **options)
    assert net.dtype == np.float32
    check_causes(diverged(warned), names)
    check_usable(net, narrow[0])


@pytest.mark.parametrize("cause", ["a wild rate", "prices", "X and the rate"])
def test_a_remedy_helps(cause):
    """What is proposed, done, keeps the objective finite."""
    names, features, y, options = CAUSES[cause]
    if "X" in names:
        features = (features - features.mean(axis=0)) / features.std(axis=0)
    if "y" in names:
        y = (y - y.mean(axis=0)) / y.std(axis=0)
    if "rate" in names:
        options = {**options, "learning_rate": 0.1}
    assert train(features, y, 8, epochs=200, batch_size=None, seed=0, **options).status == "finished"


def check_usable(net, features):
    """Whatever became of a training."""
    assert net.status == "diverged"
    assert np.isfinite(net.params).all()
    assert np.isfinite(net.loss_curve).all()
    assert len(net.predict(features[:2])) == 2


def test_causes_of_weighted_samples():
    """Samples without weight are no evidence."""
    weights = np.ones(121)
    weights[::3] = 0
    wild = X.copy()
    wild[::3] *= 1e6
    with pytest.warns(RuntimeWarning) as warned:
        train(wild, VALUES, 8, sample_weight=weights, epochs=60, batch_size=None, seed=0, **{**SGD, "learning_rate": 1e3})
    check_causes(diverged(warned), "rate")


def test_causes_of_streamed_samples(monkeypatch):
    monkeypatch.setattr("fastmlp.inputs.LARGEST_COPY", 1000)
    monkeypatch.setattr("fastmlp.scales.ROWS_FOR_SPREAD", 30)
    monkeypatch.setattr("fastmlp.inputs.ROWS_FOR_SPREAD", 30)
    with pytest.warns(RuntimeWarning) as warned:
        net = train(WIDE.astype(np.float32), VALUES, 8, dtype="float64", epochs=60, batch_size=16, seed=0, **SGD)
    check_causes(diverged(warned), "X")
    check_usable(net, WIDE)


def test_a_trial_that_would_take_too_long_is_not_made(monkeypatch):
    """What is far out of the ordinary is named all the same, and where nothing is, the usual cause."""
    monkeypatch.setattr("fastmlp.divergence.MULTIPLICATIONS", 0)
    with pytest.warns(RuntimeWarning) as warned:
        train(X, 3e5 * VALUES, 8, epochs=60, batch_size=None, seed=0, **SGD)
    check_causes(diverged(warned), "y")
    with pytest.warns(
        RuntimeWarning, match="the learning_rate is probably too large for this data; lower learning_rate or"
    ):
        train(X, VALUES, (30, 30, 30), epochs=60, batch_size=None, seed=0, solver="sgd", learning_rate=0.9)


def test_going_on_from_large_weights():
    net = train(X, VALUES, 8, epochs=1, seed=0)
    net.params *= 1e60
    with pytest.warns(RuntimeWarning) as warned:
        again = train(X, VALUES, start=net, epochs=5, **{**SGD, "learning_rate": 1e-6})
    check_causes(diverged(warned), "start")
    check_usable(again, X)


def test_a_diverged_net_is_saved_loaded_and_gone_on_from(tmp_path):
    with pytest.warns(RuntimeWarning, match="is not finite in epoch"):
        net = train(X, VALUES, 8, epochs=60, batch_size=None, seed=0, **{**SGD, "learning_rate": 3.0})
    again = load(net.save(tmp_path / "net.safetensors"))
    for other in (again, pickle.loads(pickle.dumps(net))):
        assert other.status == "diverged"
        np.testing.assert_array_equal(other.params, net.params)
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    with pytest.warns(RuntimeWarning) as warned:
        train(X, VALUES, start=net, epochs=5, batch_size=None, **{**SGD, "learning_rate": 3.0})
    assert re.search(rf"in epoch \d of {net.n_epochs + 5}: the weights of start reach", diverged(warned))


def test_the_start_weights_are_kept_where_the_first_objective_is_not_finite():
    start = train(X, VALUES, 8, epochs=1, seed=5, learning_rate=1e-300, solver="sgd", batch_size=None)
    for solver in ("sgd", "adam", "rprop", "lbfgs"):
        with pytest.warns(RuntimeWarning, match=r"epoch 1 of 7: .* This is the network that training began with$"):
            net = train(1e200 * X, VALUES, 8, epochs=7, seed=5, solver=solver, batch_size=None)
        np.testing.assert_array_equal(net.params, start.params)
        assert net.n_epochs == 0


# Parameters that overflow although the objective does not show it: the weight of a unit that is always 0 from then on.
HIDDEN_OVERFLOW = {
    "hidden": 1, "loss": "absolute_error", "solver": "sgd", "learning_rate": 1e308, "batch_size": None,
    "init": ([[[1e-3]], [[1e3]]], [[0.0], [0.0]]),
}  # fmt: skip
TWO = np.array([[1.0], [2.0]]), np.array([1.5, 1.0])


# Later it shows after all.
ENDINGS = {
    "seen at the end": ({"epochs": 2}, r"the parameters are not finite in epoch 2 of 2"),
    "seen by the validation": ({"epochs": 4, "validation": TWO}, r"the parameters are not finite in epoch 1 of 4"),
    "seen by the objective": ({"epochs": 4}, "the objective is not finite in epoch 3 of 4"),
}


@by_engine
@pytest.mark.parametrize("ending", ENDINGS)
def test_infinite_weights_that_do_not_show_are_not_given_out(engine, ending):
    options, said = ENDINGS[ending]
    with pytest.warns(RuntimeWarning, match=rf"{said}: learning_rate=.* training began with$"):
        net = train(*TWO, engine=engine, **options, **HIDDEN_OVERFLOW)
    check_usable(net, TWO[0])
    np.testing.assert_array_equal(net.params, [1e-3, 1e3, 0, 0])
    assert net.best_epoch is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_infinite_weights_in_a_sweep_are_not_given_out(ending):
    options, said = ENDINGS[ending]
    with pytest.warns(RuntimeWarning, match="^16 of 16 nets diverged, see Sweep.messages"):
        sweep = train_many(*TWO, [{"seed": place} for place in range(16)], **options, **HIDDEN_OVERFLOW)
    with pytest.warns(RuntimeWarning, match=said) as warned:
        alone = train(*TWO, **options, **HIDDEN_OVERFLOW)
    assert set(sweep.messages.values()) == {str(warned[0].message)}
    for net in sweep:
        check_usable(net, TWO[0])
        assert net.loss_curve.tobytes() == alone.loss_curve.tobytes()


# Sweeps.


@pytest.mark.parametrize("hidden", [3, 30])
def test_sweeps_say_what_each_net_alone_says(hidden, tmp_path):
    configs = [{"seed": place, "learning_rate": rate} for place, rate in enumerate([0.001, 3.0, 1e3, 1e30] * 4)]
    options = {"hidden": hidden, "solver": "sgd", "batch_size": 10, "epochs": 9}
    with pytest.warns(RuntimeWarning) as warned:
        sweep = train_many(X, VALUES, configs, **options)
    lost = [place for place, status in enumerate(sweep.statuses) if status == "diverged"]
    assert 8 <= len(lost) < 16
    assert list(sweep.messages) == lost
    first = f"see Sweep.messages; the first, configs[{lost[0]}]: {sweep.messages[lost[0]]}"
    assert diverged(warned) == f"{len(lost)} of 16 nets diverged, {first}"
    for place in lost:
        with pytest.warns(RuntimeWarning) as warned:
            net = train(X, VALUES, **options, **configs[place])
        assert diverged(warned) == sweep.messages[place]
        check_causes(sweep.messages[place], "rate")
        np.testing.assert_array_equal(net.params, sweep[place].params)
    again = type(sweep).load(sweep.save(tmp_path / "sweep.safetensors"))
    assert again.messages == sweep.messages


# Estimators.

CASES = {
    "learning_rate_init=1000 is too large": (X, VALUES, {"learning_rate_init": 1e3}),
    "X: column 2 reaches .*; put a StandardScaler before the net": (WIDE, VALUES, {}),
    "y reaches .*; put it into a TransformedTargetRegressor": (X, 1e6 * VALUES, {"learning_rate_init": 0.01}),
    "alpha=.* is too large; lower alpha": (X, VALUES, {"alpha": 1e9}),
}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("said", CASES)
def test_estimators_name_the_cause(said, sparse):
    features, y, options = CASES[said]
    features = csr_matrix(features) if sparse else features
    net = MLPRegressor(hidden_layer_sizes=8, solver="sgd", random_state=0, **options)
    with pytest.raises(ValueError, match=rf"need to be preprocessed\. In iteration \d+: {said}"):
        net.fit(features, y)
    net.set_params(early_stopping=True)
    with pytest.warns(
        ConvergenceWarning, match=rf"not finite in iteration \d+: {said}.*\. The best weights so far are kept"
    ):
        net.fit(features, y)
    assert np.isfinite(net.predict(features)).all()


def test_partial_fit_names_the_cause():
    net = MLPRegressor(hidden_layer_sizes=8, solver="sgd", random_state=0).partial_fit(X, VALUES)
    with pytest.raises(ValueError, match=r"In this batch: X: columns 0, 1 and 2 reach up to .*; put a StandardScaler"):
        net.partial_fit(1e200 * X, VALUES)
    net.coefs_[0] *= 1e200
    with pytest.raises(ValueError, match=r"In this batch: the weights fitted before reach .*; fit anew"):
        net.partial_fit(X, VALUES)


# Warnings of scales.


def told_once(call, pattern):
    with pytest.warns(UserWarning, match=pattern) as warned:
        call()
    assert len(warned) == 1
    assert warned[0].filename == __file__


CALM = {"epochs": 1, "seed": 0, "learning_rate": 1e-12, "solver": "sgd"}
KWARGS = {"max_iter": 1, "random_state": 0, "learning_rate_init": 1e-12, "solver": "sgd"}
CALLS = {
    "train": lambda X, y: train(X, y, 3, **CALM),
    "with validation": lambda X, y: train(X, y, 3, validation=0.2, **CALM),
    "validated by others": lambda X, y: train(X, y, 3, validation=(X, y), **CALM),
    "train_many": lambda X, y: train_many(X, y, [{"hidden": h, "dtype": d} for h in (2, 30) for d in DTYPES], **CALM),
    "halving": lambda X, y: train_many(X, y, [{}] * 4, halving=2, **{**CALM, "epochs": 4}),
    "fit": lambda X, y: MLPRegressor(**KWARGS, callback=lambda _: True).fit(X, y),
    "partial_fit": lambda X, y: MLPRegressor(**KWARGS).partial_fit(X, y).partial_fit(X, y).partial_fit(2 * X, y),
}
SCALES = {
    r"X: column 2 spreads \d+0000 times as wide as column \d; .* Standardise X: \(X - X.mean": (WIDE, VALUES),
    r"X: columns \d, \d and \d spread over up to \d000; .*StandardScaler": (1e3 * X, VALUES),
    r"X: column 1 lies around 2000, far from 0 beside the spread; ": (X + np.array([0, 2020, 0]), VALUES),
    r"X: no column spreads over more than 0.00\d; ": (1e-3 * X, VALUES),
    r"y reaches 2e\+06, .* Standardise y: \(y - y.mean.* TransformedTargetRegressor": (X, 3e5 * VALUES + 5e5),
    r"y deviates from its mean by 0.00\d, ": (X, 1e-3 * VALUES + 0.5),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("pattern", SCALES)
def test_wild_scales_are_told_once(pattern, call):
    told_once(lambda: CALLS[call](*SCALES[pattern]), pattern)


def test_classifiers_are_told_of_features():
    told_once(lambda: MLPClassifier(**KWARGS, callback=lambda _: True).fit(WIDE, CLASSES), "X: column 2 spreads")


def test_nobody_is_told_of_what_is_in_order():
    """scikit-learn's diabetes, whose y goes from 25 to 346, prices in 100,000, the digits' 0 to 16, grey values."""
    from sklearn.datasets import load_diabetes, load_digits, load_iris, make_friedman1, make_moons

    for features, y in (
        load_diabetes(return_X_y=True), load_digits(return_X_y=True), load_iris(return_X_y=True),
        make_moons(random_state=0),
        make_friedman1(random_state=0), (X, RANDOM.uniform(0.15, 5.0, 121)), (X, RANDOM.uniform(5, 50, 121)),
        (RANDOM.integers(0, 256, (121, 9)), CLASSES), (X, np.full(121, 3.0)), (np.full((121, 2), 5.0), VALUES)
    ):  # fmt: skip
        assert not warn_of_wild_scales(np.asarray(features, np.float64))
        assert not warn_of_wild_targets(np.asarray(y, np.float64).reshape(len(y), -1), Loss.SQUARED_ERROR)
    assert not warn_of_wild_targets(1e6 * COUNTS[:, np.newaxis], Loss.POISSON)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scales_to_the_limits_of_numbers(dtype):
    """Nothing overflows on the way, at which NumPy would warn."""
    largest = np.finfo(dtype).max
    for features in (np.array([[-largest, 1], [largest, 2]], dtype), np.array([[largest], [-largest]], dtype)):
        with pytest.warns(UserWarning, match=r"X: column 0 spreads"):
            assert warn_of_wild_scales(features)
        assert np.isfinite(standardised(features)).all()
        with pytest.warns(UserWarning, match=r"^y.* reaches"):
            assert warn_of_wild_targets(features, Loss.SQUARED_ERROR)
    tiny = np.array([[0, 0], [np.finfo(dtype).tiny, largest]], dtype)
    with pytest.warns(UserWarning, match=r"column 1 spreads \d+e\+\d+ times as wide as column 0"):
        assert warn_of_wild_scales(tiny)
    with pytest.warns(UserWarning, match=r"y: column 1 reaches"):
        warn_of_wild_targets(tiny, Loss.SQUARED_ERROR)


def test_many_wild_columns_are_named_in_part():
    with pytest.warns(UserWarning, match="columns 8, 7, 6 and 3 more spread up to"):
        warn_of_wild_scales(np.linspace(0, 1, 50)[:, np.newaxis] * [1, 2, 3, 200, 300, 400, 500, 600, 700])


def test_the_rows_looked_at():
    wild, y, rows = RANDOM.standard_normal((5000, 2)), np.ones((5000, 2)), np.arange(10, 4000)
    wild[17, 1], wild[3], y[1234, 0], y[999, 1] = 1e9, 1e12, 1e9, 0
    features, targets = some_of(wild, y, True, rows)
    assert np.abs(features).max() == 1e9
    assert targets[:, 0].max() == 1e9
    assert targets[:, 1].min() > 0
    assert len(features) == len(targets) <= 64 + 3
