"""Nets of a sweep have the bits that each has alone, in groups that go abreast and one by one."""

import threading

import numpy as np
import pytest

from fastmlp import loop, train, train_many
from fastmlp.batches import Streamed
from fastmlp.kernels.abreast_run import nets_worth_it
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver
from fastmlp.sweep import abreast
from sweeps import (
    LANES,
    SWEEPS_ABREAST,
    SWEEPS_OF_ANY,
    Made,
    alone,
    by_dtype,
    check_same,
    going_on,
    made_abreast,
    made_of_any,
    named,
    samples,
    spied,
    together,
    told,
)


@pytest.mark.parametrize("chosen", SWEEPS_ABREAST, ids=named)
def test_nets_abreast(chosen, monkeypatch):
    made, sizes = made_abreast(chosen), spied(monkeypatch)
    check_same(made, threads=chosen["threads"])
    # Samples of other weights are other samples.
    if chosen["weights"] == "none" or not chosen["differ"]:
        assert sizes
        assert sizes[0] == min(len(made.configs), LANES[chosen["dtype"]])


@pytest.mark.parametrize("chosen", SWEEPS_OF_ANY, ids=named)
def test_nets_one_by_one(chosen, monkeypatch):
    sizes = spied(monkeypatch)
    check_same(made_of_any(chosen), threads=chosen["threads"])
    assert sizes == []


def small(kind="classes", n_nets=16, seed="int", n_samples=90, **common):
    """Small nets that differ by their seeds alone."""
    X, y = samples(kind, n_samples)
    options = {"hidden": 3, "activation": "tanh", "epochs": 5, "batch_size": 16, "learning_rate": 0.03, **common}
    return Made(X, y, [{"seed": place} for place in range(n_nets)], options, seed)


def worth_it(batch_size, dtype):
    problem = Problem((3, 3, 3), (Activation.TANH,), Loss.CROSS_ENTROPY, Solver.ADAM, Hyperparameters())
    return nets_worth_it(problem, batch_size, np.dtype(dtype))


@by_dtype
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_groups_are_filled_and_the_rest_is_trained_one_by_one(dtype, threads, monkeypatch):
    lanes, least = LANES[dtype], worth_it(16, dtype)
    assert 2 < least < lanes
    sizes = spied(monkeypatch)
    for n_nets, wanted in [
        (1, []),
        (least - 1, []),
        (least, [least]),
        (lanes - 1, [lanes - 1]),
        (lanes, [lanes]),
        (lanes + 1, [lanes]),
        (lanes + least, [lanes, least]),
        (2 * lanes + 1, [lanes, lanes]),
    ]:
        sizes.clear()
        check_same(small(n_nets=n_nets, dtype=dtype), threads=threads)
        assert sorted(sizes, reverse=True) == wanted


@by_dtype
@pytest.mark.parametrize("seed", ["int", "Generator", "RandomState"])
@pytest.mark.parametrize("n_samples", [1, 2, 4096, 4097])
def test_numbers_of_samples(n_samples, seed, dtype, monkeypatch):
    """Up to 4,096 rows have orders of their own kind."""
    sizes = spied(monkeypatch)
    check_same(small("values", LANES[dtype], seed, n_samples, dtype=dtype, epochs=2, batch_size=min(n_samples, 32)))
    assert sizes == [LANES[dtype]]


@pytest.mark.parametrize("threads", [1, 2, 4])
@by_dtype
def test_wide_nets(dtype, threads):
    made = small(n_nets=3, hidden=(200, 170), dtype=dtype, epochs=2, batch_size=32)
    check_same(made._replace(configs=[*made.configs, {"seed": 9, "hidden": 4}]), threads=threads)


# What ends nets of a group at different times.
ENDS = {
    "stalled": {"solver": "sgd", "batch_size": 30, "learning_rate": 0.3, "patience": 2, "tol": 0.01},
    "some wait": {"solver": "rmsprop", "batch_size": 16, "learning_rate": 0.1, "tol": 1e-3},
    "diverged": {"solver": "sgd", "batch_size": 16, "hidden": (4, 3), "activation": "relu"},
    "diverged or stalled": {"solver": "sgd", "batch_size": None, "patience": 3, "tol": 0.0, "activation": "relu"},
}


def ended(ends, seed, dtype):
    kind = "values" if "diverged" in ends else "classes"
    made = small(kind, LANES[dtype], seed, dtype=dtype, **{"epochs": 60, **ENDS[ends]})
    if "diverged" in ends:
        rates = [0.01, 1e30, 5.0, 0.02, 1e3, 30.0, 1e10, 0.1]
        made = made._replace(configs=[{**c, "learning_rate": rates[c["seed"] % 8]} for c in made.configs])
    if ends == "some wait":
        made = made._replace(configs=[{**c, "patience": [None, 1, 2, 4][c["seed"] % 4]} for c in made.configs])
    return made


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("seed", ["int", "Generator", "RandomState"])
@pytest.mark.parametrize("ends", ENDS)
@by_dtype
def test_nets_that_end_at_different_times(ends, seed, cut, dtype, monkeypatch):
    """The user's own sources of random numbers stand where each net's training left them."""
    if cut:
        monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
        monkeypatch.setattr(abreast, "BYTES_DRAWN_AHEAD", 2 * 4 * 90 * LANES[dtype])
    made, sizes = ended(ends, seed, dtype), spied(monkeypatch)
    # A lane without a net repeats the first, and must not end as a net does.
    made = made._replace(configs=made.configs[1:] if cut else made.configs)
    sweep = check_same(made)
    assert sizes == [LANES[dtype] - cut]
    assert len({net.n_epochs for net in sweep}) > 2
    if "diverged" in ends:
        assert 1 < sweep.statuses.count("diverged") < len(sweep)


@by_dtype
def test_a_net_that_diverges_in_its_last_update(dtype, monkeypatch):
    sizes, largest = spied(monkeypatch), float(np.finfo(dtype).max)
    X, y = samples("values")
    configs = [{"seed": place, "learning_rate": largest if place == 3 else 0.01} for place in range(LANES[dtype])]
    common = {"hidden": 4, "solver": "sgd", "batch_size": None, "epochs": 1, "dtype": dtype}
    sweep = check_same(Made(X, 1e3 * y, configs, common))
    assert sizes == [LANES[dtype]]
    assert sweep.statuses == ["diverged" if place == 3 else "finished" for place in range(LANES[dtype])]
    assert sweep[3].n_epochs == 1


@by_dtype
@pytest.mark.parametrize("batch_size", [16, None])
@pytest.mark.parametrize("seed", ["int", "Generator", "RandomState"])
@pytest.mark.parametrize("ahead", [1, 1 << 18])
def test_nets_that_are_halted(dtype, batch_size, seed, ahead, monkeypatch):
    """They are what so many epochs alone give, and training goes on as if there had been no end."""
    monkeypatch.setattr(abreast, "BYTES_DRAWN_AHEAD", ahead)
    advance, calls, batches = abreast.AbreastRun.advance, [], 1 if batch_size is None else 6

    def an_epoch(run, rates, losses, until, budget):
        calls.append(run.done)
        return advance(run, rates, losses, until, batches)

    monkeypatch.setattr(abreast.AbreastRun, "advance", an_epoch)
    monkeypatch.setattr("fastmlp.sweep.halt.Halt.__call__", lambda self: "interrupted" if len(calls) >= 4 else None)
    made = small(n_nets=LANES[dtype], dtype=dtype, batch_size=batch_size, epochs=30, seed=seed)
    sweep, seeds = together(made)
    assert sweep.statuses == ["interrupted"] * LANES[dtype]
    monkeypatch.undo()
    shorter = made._replace(common={**made.common, "epochs": 4})
    wanted, their_seeds = alone(shorter)
    for net, single in zip(sweep, wanted, strict=True):
        assert {**told(net), "status": ""} == {**told(single), "status": ""}
    for net, single in zip(going_on(made, sweep), going_on(made, wanted), strict=True):
        assert told(net) == told(single)
    if seed != "int":
        assert [source.uniform() for source in seeds] == [source.uniform() for source in their_seeds]


@by_dtype
@pytest.mark.parametrize("batch_size", [7, 70, None])
def test_within_an_epoch_halted_nets_keep_what_they_have_reached(dtype, batch_size, monkeypatch):
    advance, calls = abreast.AbreastRun.advance, []

    def a_batch(run, rates, losses, until, budget):
        calls.append(run.done)
        return advance(run, rates, losses, until, 1)

    monkeypatch.setattr(abreast.AbreastRun, "advance", a_batch)
    monkeypatch.setattr("fastmlp.sweep.halt.Halt.__call__", lambda self: "out of time" if len(calls) >= 15 else None)
    made = small(n_nets=LANES[dtype], dtype=dtype, batch_size=batch_size, epochs=30)
    sweep, _ = together(made)
    monkeypatch.undo()
    for place, net in enumerate(sweep):
        whole = train(made.X, made.y, **made.common, seed=place)
        assert net.n_epochs == {7: 1, 70: 7, None: 15}[batch_size]
        assert net.loss_curve.tobytes() == whole.loss_curve[: net.n_epochs].tobytes()
        assert np.isfinite(net.params).all()
        # The interrupted epoch has a row order that is not drawn again.
        assert net._training.counted is None or net._training.counted[1] == -(-15 // -(-90 // batch_size))


@by_dtype
@pytest.mark.parametrize("seed", ["int", "Generator", "RandomState"])
@pytest.mark.parametrize("solver", ["adam", "rprop", "sgd"])
def test_nets_that_go_on(dtype, seed, solver, monkeypatch):
    """Each from a net of its own, by its own random numbers or new ones; and again from what comes of that."""
    # Whether they go abreast or not.
    monkeypatch.setattr(abreast, "_samples_of", lambda setup: "the same")
    batch_size = "auto" if solver == "rprop" else 16
    made = small(n_nets=LANES[dtype], dtype=dtype, seed=seed, solver=solver, batch_size=batch_size, patience=9, l2=0.01)
    sizes, nets = spied(monkeypatch), alone(made)[0]
    check_same(made._replace(configs=[{**config, "start": net} for config, net in zip(made.configs, nets, strict=True)]))
    check_same(made._replace(common={**made.common, "start": nets[0]}))
    assert sizes == [LANES[dtype]] * 2


@pytest.mark.parametrize("validation", [0.3, "given"])
def test_nets_that_go_on_from_one_each_have_its_best_validation(validation):
    """None is told what another has reached since."""
    made = small(n_nets=5, epochs=9, patience=3, tol=0.0)
    validation = (made.X[::3], made.y[::3]) if validation == "given" else validation
    common = {**made.common, "validation": validation}
    start = train(made.X, made.y, **common, seed=1)
    sweep = check_same(made._replace(common={**common, "start": start}))
    assert len({net.best_epoch for net in sweep}) > 1


@pytest.mark.parametrize("threads", [1, 2])
def test_nets_that_are_trained_at_once_hold_out_rows_of_their_own(threads):
    meeting = threading.Barrier(threads)
    common = {"validation": 0.3, "callback": lambda epoch: meeting.wait(20) if epoch.epoch == 1 else None}
    made = small(n_nets=4)
    sweep = train_many(made.X, made.y, [{**config, **common} for config in made.configs], threads=threads, **made.common)
    wanted, _ = alone(made._replace(common={**made.common, "validation": 0.3}))
    assert [told(net) for net in sweep] == [told(net) for net in wanted]


# What nets of one sweep may differ in so that they cannot go abreast with each other.
APART = [
    {},
    {"batch_size": 7},
    {"batch_size": None},
    {"batch_size": "auto"},
    {"hidden": 4},
    {"hidden": (3, 2)},
    {"activation": "gelu"},
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0.5},
    {"solver": "sgd", "momentum": 0.5, "nesterov": True},
    {"solver": "rmsprop"},
    {"solver": "adamw"},
    {"epochs": 3},
    {"dtype": "float32"},
    {"label_smoothing": 0.1},
    {"label_smoothing": 0.2},
    {"class_weight": {"low": 2.0}},
    {"class_weight": {"low": 3.0}},
    {"l1": 0.01},
    {"max_grad_norm": 0.1},
    {"dropout": 0.2},
    {"validation": 0.2},
    {"schedule": "adaptive", "patience": 1, "tol": 0.5},
    {"engine": "reference", "epochs": 2},
]
# And what they may differ in within a group.
WITHIN = [{}, {"shuffle": False}, {"l2": 0.3}, {"patience": 2, "tol": 0.1}, {"init": "he_normal"}, {"schedule": "cosine"}]


@pytest.mark.parametrize("threads", [1, 2])
@by_dtype
def test_nets_of_many_kinds_in_one_sweep(dtype, threads, monkeypatch):
    sizes, lanes = spied(monkeypatch), LANES[dtype]
    configs = [{**WITHIN[turn % 6], **apart, "seed": turn} for turn in range(lanes) for apart in APART]
    check_same(small(dtype=dtype)._replace(configs=configs), threads=threads)
    assert sizes.count(lanes) > 10


@by_dtype
def test_nets_that_go_on_from_different_ones(dtype, monkeypatch):
    """Of other epochs, another solver, changed by hand, and without memory; and new ones."""
    monkeypatch.setattr(abreast, "_samples_of", lambda setup: "the same")
    made, sizes = small(n_nets=LANES[dtype], dtype=dtype), spied(monkeypatch)
    starts = alone(made)[0]
    starts[1].params[:] *= 0.5
    starts[2] = train(made.X, made.y, **{**made.common, "epochs": 7}, seed=3)
    starts[3] = train(made.X, made.y, **{**made.common, "solver": "sgd"}, seed=3)
    starts[4] = None
    starts[5]._training = None
    configs = [{"start": net, "seed": 40 + place} for place, net in enumerate(starts)]
    check_same(made._replace(configs=configs * 2))
    # The one changed by hand goes with those that are alike.
    alike = LANES[dtype] - 4
    assert sorted(sizes) == sorted(size for size in (min(LANES[dtype], 2 * alike), 2 * alike - LANES[dtype]) if size > 3)


def test_without_a_seed_the_sweep_gives_one_to_nets_that_go_on():
    made = small(n_nets=3)
    nets = alone(made)[0]
    sweep = train_many(made.X, made.y, [{"start": net} for net in nets], **made.common)
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert told(net) == told(train(made.X, made.y, **{**made.common, **config}))


def folds(kind):
    """The rows of each net, of which some are the same."""
    random = np.random.default_rng(3)
    order = random.permutation(90)
    parts = [np.sort(np.delete(order, slice(30 * place, 30 * place + 30))) for place in range(3)]
    if kind == "masks":
        return [np.isin(np.arange(90), parts[place % 3]) for place in range(17)]
    if kind == "bootstrap":
        return [random.integers(90, size=90) for _ in range(17)]
    if kind == "of other sizes":
        return [random.permutation(90)[: 40 + place % 3] for place in range(17)]
    if kind == "lists":
        return [parts[place % 3].tolist() for place in range(17)]
    if kind == "a matrix":
        return np.array([parts[place % 3] for place in range(17)])
    return [parts[place % 3] for place in range(17)]


ON_ROWS = {
    "plain": {},
    "full": {"batch_size": None},
    "one": {"batch_size": 1, "epochs": 1},
    "generator": {"seed": "Generator"},
    "random state": {"seed": "RandomState", "shuffle": "blocks"},
    "unshuffled": {"shuffle": False, "dtype": "float32"},
    "validation": {"validation": 0.2, "patience": 2},
    "stratified lbfgs": {"validation": 0.3, "solver": "lbfgs", "batch_size": None},
    "lbfgs": {"solver": "lbfgs", "batch_size": None, "l2": 0.1},
    "balanced": {"class_weight": "balanced"},
    "weights": {"sample_weight": 0.5 + np.arange(90) % 4, "class_weight": {"top": 2.0}},
    "weights held out": {"sample_weight": 0.5 + np.arange(90) % 4, "validation": 0.3, "metric": "accuracy"},
    "dropout": {"dropout": 0.3, "threads": 2},
    "wide": {"hidden": (130, 130), "epochs": 1},
    "single": {"dtype": "float32", "batch_size": 70},
}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *[(kind, options) for options in ON_ROWS.values() for kind in ("folds", "bootstrap")],
        *[(kind, {}) for kind in ("masks", "of other sizes", "lists", "a matrix")],
        *[(kind, ON_ROWS["weights"]) for kind in ("masks", "of other sizes", "lists", "a matrix")],
    ],
)  # fmt: skip
def test_nets_on_rows_of_their_own(kind, options, monkeypatch):
    options, rows, sizes = dict(options), folds(kind), spied(monkeypatch)
    seed, threads = options.pop("seed", "int"), options.pop("threads", 1)
    check_same(small(n_nets=17, seed=seed, **{"epochs": 3, **options}), rows, threads)
    if options == {} and kind != "of other sizes":
        assert sizes == [LANES["float64"]] * (17 // LANES["float64"])


def test_classes_are_those_of_all_rows():
    X, y = samples("classes")
    with_two = np.flatnonzero(y != "low")
    sweep = train_many(X, y, [{"seed": 0}], rows=[with_two], hidden=3, epochs=2)
    assert sweep[0].classes.tolist() == ["low", "mid", "top"]
    assert sweep[0].n_epochs == 2


def test_streamed_rows(monkeypatch):
    monkeypatch.setattr("fastmlp.inputs.LARGEST_COPY", 0)
    monkeypatch.setattr("fastmlp.batches.BYTES_READ_AT_ONCE", 40 * 3 * 4)
    streams = []
    monkeypatch.setattr("fastmlp.fitting.Streamed", lambda *args: streams.append(1) or Streamed(*args))
    made = small(n_nets=9, dtype="float32", epochs=2)
    for rows in (None, folds("folds")[:9], folds("bootstrap")[:9]):
        streams.clear()
        check_same(made, rows, threads=2)
        # Alone and together, and going on from both.
        assert len(streams) == 9 * 4


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_threads_do_not_show(threads):
    made = small(n_nets=40, epochs=3)
    configs = [*made.configs, {"seed": 1, "hidden": (30, 20)}, {"seed": 2, "solver": "lbfgs", "batch_size": None}]
    check_same(made._replace(configs=configs), threads=threads)


def test_there_are_sweeps_of_all_kinds():
    assert {chosen["solver"] for chosen in SWEEPS_ABREAST} | {"lbfgs"} == {chosen["solver"] for chosen in SWEEPS_OF_ANY}
    assert len({chosen["activation"] for chosen in SWEEPS_ABREAST}) == 11
    assert len({chosen["kind"] for chosen in SWEEPS_ABREAST}) == 8
    assert len(SWEEPS_ABREAST) > 80
    assert len(SWEEPS_OF_ANY) > 80
