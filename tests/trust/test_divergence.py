"""However a training diverges: it ends within the epoch, and what is given out is finite and can be used."""

import itertools
import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastmlp import MLPClassifier, MLPRegressor, train, train_many
from fastmlp.loop import Loop
from fastmlp.network import layers_of
from fastmlp.options import Hyperparameters
from fastmlp.reference import loss_backward
from fastmlp.reference.network import forward

SEED = 20260805
N_SAMPLES, EPOCHS = 60, 40
SOLVERS = ("sgd", "momentum", "adam", "adamw", "rmsprop", "rprop", "lbfgs")
VALUES = ("squared_error", "absolute_error", "huber", "poisson", "quantile")
CLASSES = ("cross_entropy", "binary_cross_entropy")
EXTRAS = ({}, {"validation": 0.2}, {"validation": 0.2, "metric": "a function"}, {"weights": True}, {"dropout": 0.3})
EXTRAS += ({"l2": 0.1, "l1": 0.01}, {"schedule": "cosine"})
# What drives a training away: its rate, X, one value of it, y, or all of them.
DRIVES = ("rate", "X", "one value of X", "y", "all")


def draw(place):
    """The training of this number, each choice at random."""
    random = np.random.default_rng([SEED, place])
    dtype = np.dtype(("float64", "float32")[place % 2])
    limit = 308 if dtype == np.float64 else 38
    drive, scale = random.choice(DRIVES), 10.0 ** random.uniform(10, limit)
    loss, solver = str(random.choice(VALUES + CLASSES)), str(random.choice(SOLVERS))
    X, y = random.standard_normal((N_SAMPLES, 4)), random.standard_normal(N_SAMPLES)
    largest = 10.0**limit
    with np.errstate(over="ignore"):
        X = np.clip(X * scale, -largest, largest) if drive in ("X", "all") else X
        y = np.clip(y * scale, -largest, largest) if drive in ("y", "all") else y
    if drive == "one value of X":
        X[random.integers(N_SAMPLES), 1] = largest
    y = (y > 0).astype(int) if loss in CLASSES else np.abs(y).astype(dtype) if loss == "poisson" else y.astype(dtype)
    options = {
        "solver": "sgd" if solver == "momentum" else solver, "momentum": 0.9 * (solver == "momentum"), "loss": loss,
        "learning_rate": 10.0 ** random.uniform(3, 30) if drive in ("rate", "all") else 0.01,
        "hidden": ((5,), (6, 5), ())[random.integers(3)], "activation": str(random.choice(["relu", "tanh", "softplus"])),
        "batch_size": (None, 7, 60, 1)[random.integers(4)], "step_sizes": (1e-6, 10.0 ** random.uniform(3, 30)),
        "epochs": EPOCHS, "seed": place, **EXTRAS[random.integers(len(EXTRAS))],
    }  # fmt: skip
    if solver in ("rprop", "lbfgs"):
        options |= {"batch_size": None, "schedule": None}
    if solver == "lbfgs" or not options["hidden"]:
        options["dropout"] = 0.0
    if options.pop("weights", False):
        options["sample_weight"] = random.uniform(0, 2, N_SAMPLES)
    if options.get("metric") == "a function":
        options["metric"] = lambda wanted, predicted: -float(np.mean(wanted != predicted))
    return X.astype(dtype), y, options


def check_usable(net, X):
    """What must hold of whatever is given out."""
    assert np.isfinite(net.params).all()
    assert np.isfinite(net.loss_curve).all()
    assert net.predict(X).shape == (len(X),)


def check_stopped(loop, net, X, y, options):
    """The epoch in which the objective was not finite is the last, and it was not."""
    run, n_samples = loop.run, loop.job.n_samples
    assert net.n_epochs == min(loop.done, EPOCHS)
    assert loop.done == EPOCHS or run.done < (net.n_epochs + 1) * n_samples
    weights, biases = layers_of(run.params, net.sizes)
    with np.errstate(all="ignore"):
        targets = np.searchsorted(net.classes, y) if net.classes is not None else y
        outputs = forward(weights, biases, net.activations, X)[0][-1]
        losses = loss_backward(net.loss, Hyperparameters(), outputs, targets.reshape(-1, 1).astype(X.dtype))[0]
        # Sums over the rows of an epoch, and over the weights, have less room.
        sizes = [losses, losses * len(X), *(W**2 for W in weights), *biases]
        worst = max(float(np.abs(size).max()) if np.isfinite(size).all() else np.inf for size in sizes)
    if not options.get("dropout"):
        assert worst > np.finfo(X.dtype).max / 1e6


def check_alone(X, y, options, monkeypatch):
    loops, advance = [], Loop.train
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "train", lambda loop: (loops.append(loop), advance(loop))[1])
        with pytest.warns(RuntimeWarning, match=r"not finite in epoch \d+ of 40: .*(too large|reach|scales|step_sizes)"):
            net = train(X, y, **options)
    assert net.status == "diverged"
    check_usable(net, X)
    check_stopped(loops[0], net, X, y, options)


def check_streamed(X, y, options, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("fastmlp.inputs.LARGEST_COPY", 100)
        check_alone(np.asfortranarray(X), y, {**options, "dtype": X.dtype}, monkeypatch)


def check_wide(X, y, options, _):
    """Of nets so wide that they are computed in slabs; whether they diverge is their own affair."""
    X = np.column_stack([X] * 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = train(X, y, **{**options, "hidden": (170,), "epochs": 5})
    check_usable(net, X)


def check_sweep(X, y, options, _, n_nets=16):
    """Each net of a sweep says and gives what it does alone."""
    configs = [{"seed": place} for place in range(n_nets)]
    common = {name: value for name, value in options.items() if name != "seed"}
    with pytest.warns(RuntimeWarning, match=r"of \d+ nets diverged, see Sweep.messages; the first, configs\[\d+\]: "):
        sweep = train_many(X, y, configs, **common)
    for place, net in enumerate(sweep):
        check_usable(net, X)
        assert (net.status == "diverged") == (place in sweep.messages)
    place = min(sweep.messages)
    with pytest.warns(RuntimeWarning) as warned:
        alone = train(X, y, **{**common, **configs[place]})
    assert str(warned[-1].message) == sweep.messages[place]
    np.testing.assert_array_equal(alone.params, sweep[place].params)
    np.testing.assert_array_equal(alone.loss_curve, sweep[place].loss_curve)


def estimator_of(options):
    regresses = options["loss"] in VALUES
    make = MLPRegressor if regresses else MLPClassifier
    loss = {"loss": options["loss"]} if regresses else {}
    return make(
        hidden_layer_sizes=options["hidden"] or (5,), activation=options["activation"], solver=options["solver"],
        learning_rate_init=options["learning_rate"], momentum=options["momentum"], random_state=options["seed"],
        max_iter=EPOCHS, step_sizes=options["step_sizes"], n_iter_no_change=EPOCHS,
        batch_size="auto" if options["solver"] == "rprop" else 20, **loss,
    )  # fmt: skip


def refused(call):
    """What scikit-learn's message and ours say where a training did not come to a net, or nothing."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def check_fit(X, y, options, _):
    net, epochs = estimator_of(options), []
    net.set_params(callback=epochs.append)
    message = refused(lambda: net.fit(X, y, options.get("sample_weight")))
    if message:
        assert "non-finite parameter weights" in message
        assert f"In iteration {min(EPOCHS, len(epochs)) + 1}: " in message
        with pytest.raises(NotFittedError):
            net.predict(X)
    else:
        check_usable(net.network_, X)
    net.set_params(early_stopping=True, random_state=0, solver="sgd")
    net.fit(X, y)
    assert all(np.isfinite(part).all() for part in (*net.coefs_, *net.intercepts_))
    assert np.isfinite(net.loss_curve_[:-1]).all()
    assert net.predict(X).shape == (len(X),)


def check_partial_fit(X, y, options, _):
    net = estimator_of({**options, "solver": options["solver"] if options["solver"] not in ("rprop", "lbfgs") else "sgd"})
    classes = {} if options["loss"] in VALUES else {"classes": [0, 1]}
    if refused(lambda: net.partial_fit(np.zeros_like(X), np.zeros(len(y), int), **classes)):
        with pytest.raises(NotFittedError):
            net.predict(X)
        return
    for _ in range(EPOCHS):
        before = [part.copy() for part in (*net.coefs_, *net.intercepts_)]
        message = refused(lambda: net.partial_fit(X, y))
        if message:
            assert "non-finite parameter weights" in message
            for part, kept in zip((*net.coefs_, *net.intercepts_), before, strict=True):
                np.testing.assert_array_equal(part, kept)
            break
    check_usable(net.network_, X)


WAYS = {
    "alone": check_alone,
    "threads": lambda X, y, options, patch: check_alone(X, y, {**options, "threads": 2}, patch),
    "reference": lambda X, y, options, patch: check_alone(X, y, {**options, "engine": "reference"}, patch),
    "streamed": check_streamed,
    "wide": check_wide,
    "abreast": check_sweep,
    "some in a sweep": lambda X, y, options, patch: check_sweep(X, y, options, patch, 3),
    "fit": check_fit,
    "partial_fit": check_partial_fit,
}


# scikit-learn sums X up to see whether it is finite.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:invalid value encountered in reduce:RuntimeWarning")
def test_diverging_runs(trials, monkeypatch):
    ways, done = itertools.cycle(WAYS), 0
    with trials("diverging runs stopped within an epoch, weights finite") as trial:
        for place in itertools.count():
            X, y, options = draw(place)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                net = train(X, y, **options)
            check_usable(net, X)
            if net.status != "diverged":
                continue
            way = next(ways)
            with trial.case(f"{place}, {way}: {options['solver']}, {options['loss']}"):
                WAYS[way](X, y, options, monkeypatch)
            done += 1
            if done == 200:
                break
