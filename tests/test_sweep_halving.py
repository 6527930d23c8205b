"""Successive halving: who goes on, and that those who do have the bits of nets that were never halted."""

import numpy as np
import pytest

from fastmlp import schedules, train, train_many


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    X = random.standard_normal((120, 4))
    return X, (X[:, 0] + 0.5 * random.standard_normal(120) > 0).astype(int)


RATES = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 1e-4, 1e-5]
OPTIONS = {"hidden": 5, "batch_size": 16, "seed": 3, "epochs": 27}


def bits(net):
    return [np.asarray(part).tobytes() for part in (net.params, net.loss_curve, net.validation_curve, net.best_epoch)]


def alike(net, alone):
    return bits(net) == bits(alone)


def test_a_third_goes_on_at_each_rung(data):
    nets = train_many(*data, {"learning_rate": RATES}, halving=3, **OPTIONS)
    epochs = [net.n_epochs for net in nets]
    assert sorted(epochs) == [3] * 6 + [9] * 2 + [27]
    assert nets.statuses.count("eliminated") == 8
    assert [net.status for net in nets] == nets.statuses
    survivor = epochs.index(27)
    assert nets.statuses[survivor] == "finished"
    # Who goes on is who was best at the rung.
    first = [train(*data, learning_rate=rate, **{**OPTIONS, "epochs": 27}).loss_curve for rate in RATES]
    at_first = sorted(range(9), key=lambda place: first[place][2])[:3]
    assert {place for place in range(9) if epochs[place] > 3} == set(at_first)
    at_second = min(at_first, key=lambda place: first[place][8])
    assert survivor == at_second
    assert nets.best() is nets[survivor]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schedule": "cosine"},
        {"schedule": "exponential"},
        {"schedule": "invscaling"},
        {"schedule": lambda epoch: 1 / (1 + epoch)},
        {"schedule": schedules.cosine(epochs=27, warmup=3)},
        {"schedule": "adaptive", "patience": 2, "tol": 0.05},
        {"solver": "sgd", "momentum": 0.9},
        {"solver": "rmsprop"},
        {"solver": "rprop", "batch_size": None},
        {"solver": "lbfgs", "batch_size": None},
        {"dropout": 0.2},
        {"validation": 0.25},
        {"validation": 0.25, "metric": "accuracy"},
        {"batch_size": None},
        {"seed": np.random.RandomState(5)},
        {"shuffle": "blocks"},
        {"dtype": "float32", "l2": 0.1},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
def test_survivors_have_the_bits_of_nets_that_were_never_halted(data, options):
    settings = {**OPTIONS, **options}
    source = np.random.RandomState if isinstance(settings.pop("seed"), np.random.RandomState) else int
    seeds, again = ([source(k) for k in range(9)] for _ in range(2))
    nets = train_many(*data, [{"seed": seed} for seed in seeds], halving=3, **settings)
    done = [place for place, net in enumerate(nets) if nets.statuses[place] != "eliminated"]
    assert done
    for place in done:
        alone = train(*data, seed=again[place], **settings)
        assert alike(nets[place], alone)
        assert nets[place].status == alone.status
        further = [train(*data, start=net, **{**settings, "epochs": 2, "schedule": None}) for net in (nets[place], alone)]
        assert alike(*further)


def test_with_few_epochs_or_nets_there_are_fewer_rungs(data):
    few = train_many(*data, {"learning_rate": RATES}, halving=3, **{**OPTIONS, "epochs": 4})
    assert sorted(net.n_epochs for net in few) == [2] * 6 + [4] * 3
    one = train_many(*data, {"learning_rate": RATES[:2]}, halving=3, **OPTIONS)
    assert one.statuses == ["finished"] * 2


def test_nets_that_fail_diverge_or_stop_do_not_go_on(data):
    configs = [{"learning_rate": rate} for rate in RATES[:6]]
    configs += [{"learning_rate": 1e300, "solver": "sgd"}, {"hidden": -1}, {"activation": "cubic"}]
    with pytest.warns(RuntimeWarning):
        nets = train_many(*data, configs, halving=3, **OPTIONS)
    assert nets.statuses[6:] == ["diverged", "failed", "failed"]
    # Of seven nets there is one rung.
    assert sorted(net.n_epochs for net in nets[:6]) == [9] * 3 + [27] * 3


def test_early_ends_count_as_the_end(data):
    nets = train_many(*data, {"learning_rate": RATES}, halving=3, patience=2, tol=1.0, **OPTIONS)
    assert set(nets.statuses) == {"stopped early"}


def test_generators_are_drawn_from_once(data):
    nets = train_many(*data, {"learning_rate": RATES}, halving=3, **{**OPTIONS, "seed": np.random.default_rng(7)})
    place = nets.statuses.index("finished")
    seeds = np.random.default_rng(7).spawn(9)
    alone = train(*data, learning_rate=RATES[place], **{**OPTIONS, "seed": seeds[place]})
    assert alike(nets[place], alone)


def test_nets_may_go_on_from_others(data):
    start = train(*data, **{**OPTIONS, "epochs": 5})
    settings = {**OPTIONS, "start": start, "schedule": "cosine"}
    del settings["seed"]
    nets = train_many(*data, {"learning_rate": RATES}, halving=3, seed=1, **settings)
    place = nets.statuses.index("finished")
    alone = train(*data, learning_rate=RATES[place], seed=1, **settings)
    assert alike(nets[place], alone)
    assert nets[place].n_epochs == 32


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"halving": 1}, ValueError, "halving=1: give a whole number from 2 on"),
        ({"halving": 2.5}, TypeError, "halving=2.5"),
        ({"halving": "3"}, TypeError, "halving='3'"),
    ],
)
def test_bad_halving_is_named(data, options, error, message):
    with pytest.raises(error, match=message):
        train_many(*data, {"learning_rate": RATES}, **OPTIONS, **options)


def test_scores_that_cannot_be_compared_are_refused(data):
    with pytest.raises(ValueError, match="halving=3: the nets cannot be compared, some by"):
        train_many(*data, [{}, {"validation": 0.2}, {}], halving=3, **OPTIONS)


def test_an_end_by_time_leaves_the_rest(data):
    with pytest.warns(RuntimeWarning):
        nets = train_many(*data, {"learning_rate": RATES}, halving=3, max_seconds=1e-9, **OPTIONS)
    assert set(nets.statuses) == {"out of time"}


def test_seconds_add_up_and_each_rung_is_told(data):
    told = []
    nets = train_many(*data, {"learning_rate": RATES}, halving=3, callback=told.append, **OPTIONS)
    counts = np.bincount([outcome.place for outcome in told])
    assert counts.tolist() == [{3: 1, 9: 2, 27: 3}[net.n_epochs] for net in nets]
    assert (nets.seconds > 0).all()
