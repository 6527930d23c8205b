"""Callbacks: when they are called, what they are told, and that they can stop a training and do nothing else to it."""

import warnings

import numpy as np
import pytest

from fastmlp import train
from fastmlp.loop import Epoch

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
SOLVERS = {
    "minibatches": {"batch_size": 16},
    "full batches": {"batch_size": None},
    "rprop": {"solver": "rprop"},
    "lbfgs": {"solver": "lbfgs"},
}
by_solver = pytest.mark.parametrize("options", SOLVERS.values(), ids=SOLVERS)


@by_engine
@by_solver
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("every", [1, 3, 20])
@pytest.mark.parametrize("validation", [None, 0.3])
def test_callbacks_are_told_what_the_curves_say(blobs, options, every, validation, dtype, engine):
    seen = []
    options = {"epochs": 10, "seed": 0, "dtype": dtype, "engine": engine, "validation": validation, **options}
    net = train(*blobs, 4, callback=seen.append, callback_every=every, **options)
    assert [epoch.epoch for epoch in seen] == list(range(every, 11, every))
    assert all(type(epoch) is Epoch for epoch in seen)
    at = slice(every - 1, None, every)
    assert [epoch.loss for epoch in seen] == net.loss_curve[at].tolist()
    if validation is None:
        assert {(epoch.validation_loss, epoch.validation_score) for epoch in seen} <= {(None, None)}
    else:
        assert [epoch.validation_loss for epoch in seen] == net.validation_curve[at].tolist()
        assert [epoch.validation_score for epoch in seen] == net.validation_scores[at].tolist()
    if options.get("solver") is None:
        assert {epoch.learning_rate for epoch in seen} <= {float(net.dtype.type(1e-3))}
    # None of it shows in the net.
    plain = train(*blobs, 4, **options)
    assert net.params.tobytes() == plain.params.tobytes()
    assert net.loss_curve.tobytes() == plain.loss_curve.tobytes()


def test_callbacks_are_told_the_rate_of_the_epoch(blobs):
    rates = []
    factors = [1.0, 0.5, 0.0, 0.25]
    train(
        *blobs, 4, epochs=4, seed=0, learning_rate=0.5, schedule=factors.__getitem__,
        callback=lambda epoch: rates.append(epoch.learning_rate),
    )  # fmt: skip
    assert rates == [0.5, 0.25, 0.0, 0.125]


@by_engine
@by_solver
@pytest.mark.parametrize("validation", [None, 0.3])
@pytest.mark.parametrize("said", [True, np.True_])
def test_true_stops(blobs, options, validation, said, engine):
    options = {"seed": 0, "engine": engine, "validation": validation, **options}
    net = train(*blobs, 4, epochs=10, callback=lambda epoch: said if epoch.epoch == 4 else None, **options)
    assert (net.status, net.n_epochs) == ("stopped by callback", 4)
    plain = train(*blobs, 4, epochs=4, **options)
    assert net.params.tobytes() == plain.params.tobytes()
    assert net.loss_curve.tobytes() == plain.loss_curve.tobytes()
    assert net.best_epoch == plain.best_epoch


@pytest.mark.parametrize("said", [None, False, 0, 1, "yes", np.float64(1), [True]])
def test_nothing_else_stops(blobs, said):
    net = train(*blobs, 4, epochs=4, seed=0, callback=lambda epoch: said)
    assert (net.status, net.n_epochs) == ("finished", 4)


def test_stopping_every_other_epoch(blobs):
    net = train(*blobs, 4, epochs=10, seed=0, callback=lambda epoch: epoch.epoch > 2, callback_every=2)
    assert net.n_epochs == 4


@by_engine
@by_solver
def test_the_network_is_a_copy_that_predicts(blobs, options, engine):
    X, y = blobs
    seen = []

    def look(epoch):
        net = epoch.network
        assert net.params.tobytes() == epoch.network.params.tobytes()
        seen.append((net.n_epochs, net.loss_curve.copy(), net.params.copy(), net.score(X, y), net.predict_proba(X)))
        net.params[:] = 0
        net.loss_curve[:] = 0

    options = {"seed": 0, "engine": engine, **options}
    net = train(X, y, 4, epochs=5, callback=look, **options)
    for epoch, (n_epochs, losses, params, score, probabilities) in enumerate(seen, 1):
        plain = train(X, y, 4, epochs=epoch, **options)
        assert n_epochs == epoch
        assert losses.tobytes() == plain.loss_curve.tobytes()
        assert params.tobytes() == plain.params.tobytes()
        assert score == plain.score(X, y)
        assert probabilities.tobytes() == plain.predict_proba(X).tobytes()
    assert net.params.tobytes() == plain.params.tobytes()
    assert net.loss_curve.tobytes() == plain.loss_curve.tobytes()


def test_the_network_has_the_validation_curves(blobs):
    """And the parameters of the epoch, not the best ones."""
    seen = []

    def look(epoch):
        net = epoch.network
        seen.append((net.validation_curve.tolist(), net.validation_scores.tolist(), net.params.copy()))

    options = {"epochs": 4, "seed": 0, "validation": 0.3, "metric": lambda wanted, predicted: 1.0}
    net = train(*blobs, 4, callback=look, **options)
    for done, (losses, scores, _) in enumerate(seen, 1):
        assert losses == net.validation_curve[:done].tolist()
        assert scores == [1.0] * done
    assert net.best_epoch == 1
    assert net.params.tobytes() == seen[0][2].tobytes() != seen[3][2].tobytes()


@by_engine
@by_solver
def test_errors_in_a_callback_come_through(blobs, options, engine):
    def fail(epoch):
        raise LookupError(f"in epoch {epoch.epoch}")

    with pytest.raises(LookupError, match="in epoch 2"):
        train(*blobs, 4, epochs=5, seed=0, callback=fail, callback_every=2, engine=engine, **options)


@by_engine
def test_warnings_of_a_callback_come_through(blobs, engine):
    with pytest.warns(UserWarning, match="look here"):
        train(*blobs, 4, epochs=1, seed=0, engine=engine, callback=lambda _: warnings.warn("look here", stacklevel=1))


def test_a_callback_may_train(blobs):
    """Nets of their own, as a search does."""
    inner = []
    net = train(
        *blobs, 4, epochs=3, seed=0, callback=lambda _: inner.append(train(*blobs, 4, epochs=3, seed=0).params.tobytes())
    )
    assert inner == [net.params.tobytes()] * 3
