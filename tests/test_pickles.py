"""Pickles and copies predict and go on as what they were made of; what they share is told."""

import copy
import pickle

import numpy as np
import pytest

from fastmlp import train, train_many

TWINS = {"copy": copy.copy, "deep copy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


def all_of(net):
    return net.params.tobytes(), net.loss_curve.tobytes(), net.status, net.best_epoch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("twin", TWINS)
def test_nets_of_a_sweep_go_on_from_a_twin_of_it(blobs, twin, dtype):
    X, y = blobs
    options = {"epochs": 3, "batch_size": 17, "dtype": dtype}
    sweep = train_many(X, y, {"hidden": [3, (4, 2)], "solver": ["adam", "sgd"]}, validation=0.2, **options)
    other = TWINS[twin](sweep)
    for config, ours, theirs in zip(sweep.configs, sweep, other, strict=True):
        net, again = (
            train(X, y, start=start, solver=config["solver"], validation=0.2, **options) for start in (ours, theirs)
        )
        assert all_of(net) == all_of(again)
        assert net.n_epochs == 6


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_keeps_the_state_of_the_training(blobs, protocol):
    X, y = blobs
    net = train(X, y, 3, epochs=3, seed=0, dropout=0.2, batch_size=20)
    again = pickle.loads(pickle.dumps(net, protocol))
    assert all_of(train(X, y, 3, start=again, epochs=2, dropout=0.2, batch_size=20)) == all_of(
        train(X, y, 3, epochs=5, seed=0, dropout=0.2, batch_size=20)
    )


@pytest.mark.parametrize("twin", TWINS)
def test_a_copy_shares_its_arrays_others_do_not(blobs, twin):
    net = train(*blobs, 3, epochs=1, seed=0)
    again = TWINS[twin](net)
    for name in ("params", "loss_curve", "classes"):
        assert np.shares_memory(getattr(net, name), getattr(again, name)) == (twin == "copy")
