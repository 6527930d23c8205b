"""What nets of a sweep are asked for: lists, grids and distributions, seeds, and what cannot be meant."""

import re
import warnings

import numpy as np
import pytest
import scipy.stats
from sklearn.model_selection import KFold, ParameterGrid, ParameterSampler

from fastmlp import train, train_many
from fastmlp.sweep import many
from fastmlp.sweep.configs import expanded, settle_seeds
from sweeps import LANES, by_dtype, samples, told

X, Y = samples("classes")
SMALL = {"hidden": 3, "epochs": 2, "batch_size": 16}
MANY = LANES["float64"] + 2


def asked(sweep, *names):
    return [tuple(config[name] for name in names) for config in sweep.configs]


def test_a_list_stays_as_it_is():
    configs = [{"l2": 0.1}, {"learning_rate": 0.1, "seed": 4}, {}, {"hidden": (2, 2), "epochs": 1}]
    before = [dict(config) for config in configs]
    sweep = train_many(X, Y, configs, **SMALL)
    assert configs == before
    assert [{**config, "seed": None} for config in sweep.configs] == [{**config, "seed": None} for config in configs]
    assert [net.sizes for net in sweep] == [(3, 3, 3)] * 3 + [(3, 2, 2, 3)]
    assert [net.n_epochs for net in sweep] == [2, 2, 2, 1]
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert told(net) == told(train(X, Y, **{**SMALL, **config}))


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda grid: (config for config in grid)])
def test_any_iterable_of_dicts_will_do(kind):
    grid = ParameterGrid({"l2": [0.0, 0.1], "seed": [1, 2]})
    assert train_many(X, Y, kind(grid), **SMALL).configs == list(grid)


@pytest.mark.parametrize(
    "grid",
    [
        {"seed": [0, 1, 2]},
        {"seed": [3], "l2": [0.1, 0.01], "learning_rate": (0.1, 0.2)},
        {"seed": range(2), "hidden": [3, (2, 2)], "Zeta": [1], "activation": ["relu", "tanh"]},
        {"seed": np.arange(3), "l2": np.array([0.0, 0.5])},
    ],
)
def test_a_mapping_has_the_order_of_parameter_grid(grid):
    found = expanded(grid, None, None)
    assert found == list(ParameterGrid({name: list(values) for name, values in grid.items()}))
    assert all(type(value) in (int, float, str, tuple) for config in found for value in config.values())
    if "Zeta" not in grid:
        assert train_many(X, Y, grid, **SMALL).configs == found


def test_an_empty_mapping_is_one_net():
    assert expanded({}, None, None) == [{}]


@pytest.mark.parametrize("source", [int, np.random.default_rng, np.random.RandomState])
def test_combinations_are_drawn_once_each(source):
    grid = {"a": list("xyz"), "b": range(4), "c": [0.5]}
    every = [tuple(config.items()) for config in expanded(grid, None, None)]
    assert len(set(every)) == 12
    found = {}
    for seed in range(40):
        drawn = [tuple(config.items()) for config in expanded(grid, 5, source(seed))]
        assert drawn == [tuple(config.items()) for config in expanded(grid, 5, source(seed))]
        assert len(set(drawn)) == 5
        assert set(drawn) <= set(every)
        found[tuple(drawn)] = set(drawn)
    assert len(found) == 40
    assert set.union(*found.values()) == set(every)
    # A shuffle of all of them.
    whole = [tuple(config.items()) for config in expanded(grid, 12, source(1))]
    assert sorted(map(str, whole)) == sorted(map(str, every))
    assert whole != every
    with pytest.warns(UserWarning, match="n_draws=13 is more than the 12 combinations there are; each is taken once"):
        assert len(expanded(grid, 13, source(1))) == 12


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("names", [7, 25])
def test_of_many_combinations_few_are_drawn(source, names):
    """10 ** 7 and 10 ** 25 of them."""
    grid = {f"p{place:02}": range(10) for place in range(names)}
    drawn = expanded(grid, 200, source(0))
    assert len({tuple(config.values()) for config in drawn}) == 200
    # No value of any parameter is left out.
    assert {len({config[name] for config in drawn}) for name in grid} == {10}


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_distributions(source):
    space = {
        "learning_rate": scipy.stats.loguniform(1e-3, 1e-1),
        "hidden": scipy.stats.randint(2, 6),
        "activation": ["relu", "tanh", "gelu"],
    }
    sweep = train_many(X, Y, space, n_draws=60, draw_seed=source(3), epochs=1)
    assert [list(config)[:3] for config in sweep.configs] == [sorted(space)] * 60
    assert {config["activation"] for config in sweep.configs} == {"relu", "tanh", "gelu"}
    assert {config["hidden"] for config in sweep.configs} == {2, 3, 4, 5}
    rates = np.array([config["learning_rate"] for config in sweep.configs])
    assert scipy.stats.kstest(np.log(rates), "uniform", (np.log(1e-3), np.log(100))).pvalue > 0.01
    assert {type(config["hidden"]) for config in sweep.configs} == {int}
    again = train_many(X, Y, space, n_draws=60, draw_seed=source(3), epochs=1)
    names = ("learning_rate", "hidden", "activation")
    assert asked(again, *names) == asked(sweep, *names)
    assert asked(again, "seed") != asked(sweep, "seed")


def test_draws_are_those_of_a_distribution_by_itself():
    """With a RandomState they are ParameterSampler's, who also takes the names in order."""
    space = {"l2": scipy.stats.uniform(0, 2), "beta_1": scipy.stats.uniform(0, 0.9)}
    ours = expanded(space, 5, np.random.RandomState(0))
    assert ours == list(ParameterSampler(space, 5, random_state=np.random.RandomState(0)))


@by_dtype
@pytest.mark.parametrize("n_nets", [2, MANY])
def test_without_seeds_nets_differ_and_can_be_had_again(n_nets, dtype):
    sweep = train_many(X, Y, [{}] * n_nets, dtype=dtype, **SMALL)
    seeds = [config["seed"] for config in sweep.configs]
    assert len(set(seeds)) == n_nets
    assert {type(seed) for seed in seeds} == {int}
    assert len({net.params.tobytes() for net in sweep}) == n_nets
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert told(net) == told(train(X, Y, **{**sweep.common, **config}))
    again = train_many(X, Y, [{"seed": None}] * n_nets, dtype=dtype, **SMALL)
    assert not set(seeds) & {config["seed"] for config in again.configs}


@by_dtype
def test_one_int_is_the_seed_of_all(dtype):
    sweep = train_many(X, Y, [{"l2": 0.1 * place} for place in range(MANY)], seed=5, dtype=dtype, **SMALL)
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert config["seed"] == 5
        assert told(net) == told(train(X, Y, seed=5, l2=config["l2"], dtype=dtype, **SMALL))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shared", ["common", "configs"])
def test_of_a_generator_that_nets_share_each_has_a_child(shared, threads):
    ours, theirs = np.random.default_rng(4), np.random.default_rng(4)
    common = {"seed": ours} if shared == "common" else {}
    configs = [{} if shared == "common" else {"seed": ours} for _ in range(MANY)]
    sweep = train_many(X, Y, configs, threads=threads, **SMALL, **common)
    for net, child in zip(sweep, theirs.spawn(MANY), strict=True):
        assert told(net) == told(train(X, Y, seed=child, **SMALL))
    assert ours.random() == theirs.random()
    # Nobody has drawn from the child that the config holds.
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert told(net) == told(train(X, Y, **{**sweep.common, **config}))
    # The next sweep has other children.
    again = train_many(X, Y, configs, **SMALL, **common)
    assert not {net.params.tobytes() for net in sweep} & {net.params.tobytes() for net in again}


def test_of_a_random_state_that_nets_share_each_has_one_seeded_from_it():
    ours, theirs = np.random.RandomState(4), np.random.RandomState(4)
    sweep = train_many(X, Y, [{}] * MANY, seed=ours, **SMALL)
    numbers = theirs.randint(1 << 31, size=MANY, dtype=np.int64)
    for net, number in zip(sweep, numbers, strict=True):
        assert told(net) == told(train(X, Y, seed=np.random.RandomState(number), **SMALL))
    for net, config in zip(sweep, sweep.configs, strict=True):
        assert told(net) == told(train(X, Y, **{**sweep.common, **config}))
    assert ours.uniform() == theirs.uniform()


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
def test_some_share_a_source_and_others_have_their_own(source):
    shared, own = source(1), source(2)
    configs = [{"seed": shared}, {"seed": own}, {"seed": 7}, {"seed": shared}, {}]
    sweep = train_many(X, Y, configs, **SMALL, seed=None)
    theirs = source(2)
    assert told(sweep[1]) == told(train(X, Y, seed=theirs, **SMALL))
    assert own.uniform() == theirs.uniform()
    assert sweep.configs[1]["seed"] is own
    assert told(sweep[2]) == told(train(X, Y, seed=7, **SMALL))
    children = [sweep.configs[place]["seed"] for place in (0, 3)]
    assert all(isinstance(child, type(shared)) for child in children)
    assert len({id(shared), *map(id, children)}) == 3
    assert isinstance(sweep.configs[4]["seed"], int)


def test_a_single_net_has_the_generator_itself():
    ours, theirs = np.random.default_rng(4), np.random.default_rng(4)
    sweep = train_many(X, Y, [{}], seed=ours, **SMALL)
    assert told(sweep[0]) == told(train(X, Y, seed=theirs, **SMALL))
    assert ours.random() == theirs.random()


def test_seeds_that_are_drawn_leave_those_of_numpy_alone():
    np.random.seed(3)  # noqa: NPY002
    configs = [{} for _ in range(3)]
    settle_seeds(configs, {})
    assert np.random.random() == np.random.RandomState(3).random()  # noqa: NPY002


NAN = np.nan
BAD_CONFIGS = [
    ([], {}, ValueError, "configs is empty: give at least one dict"),
    (5, {}, TypeError, "configs=5: give a list of dicts of train's parameters, or a mapping of lists"),
    ("adam", {}, TypeError, "configs='adam': give a list of dicts"),
    ([{}, 3], {}, TypeError, r"configs\[1\]=3: give a dict of train's parameters by name"),
    ([{}, {1: 2}], {}, TypeError, r"configs\[1\]=\{1: 2\}: give a dict"),
    ({"l2": 0.1}, {}, TypeError, r"configs\['l2'\]=0\.1: give a list of values to try, or what has rvs to draw from"),
    ({"solver": "adam"}, {}, TypeError, r"configs\['solver'\]='adam': give a list"),
    ({"l2": []}, {}, ValueError, r"configs\['l2'\] is empty: give at least one value to try, or leave l2 out"),
    ({"l2": scipy.stats.uniform()}, {}, ValueError, r"n_draws=None: configs\['l2'\] is a distribution; say how many"),
    ([{}], {"n_draws": 3}, ValueError, r"n_draws=3: there is nothing to draw from"),
    ({"l2": [0.1]}, {"n_draws": 0}, ValueError, r"n_draws=0: give a whole number from 1 on"),
    ({"l2": [0.1]}, {"n_draws": 1.5}, TypeError, r"n_draws=1\.5: give a whole number"),
    ({"l2": [0.1]}, {"n_draws": 1, "draw_seed": -1}, ValueError, r"^draw_seed=-1: give a whole number from 0 on"),
    ({"l2": [0.1]}, {"n_draws": 1, "draw_seed": "a"}, TypeError, r"^draw_seed='a': give a whole number from 0 on"),
    ([{}], {"threads": 0}, ValueError, r"threads=0: give a whole number from 1 on"),
    ([{}], {"max_seconds": 0}, ValueError, r"max_seconds=0: give a finite number above 0"),
    ([{}], {"callback": 3}, TypeError, r"callback=3: give a function, or None"),
    ([{}], {"learning_rates": 3}, TypeError, r"learning_rates: train has no such parameter; did you mean 'learning_rate'"),
    ([{}, {}], {"rows": [[1, 2]]}, ValueError, r"rows has 1 entries, but there are 2 nets; give one index array for each"),
    ([{}], {"rows": 3}, TypeError, r"rows=3: give a list with an index array for each net, or None"),
    ([{}], {"rows": "all"}, TypeError, r"rows='all': give a list"),
    ([{}], {"rows": [[]]}, ValueError, r"rows\[0\] is empty: give at least one row"),
    ([{}], {"rows": [np.zeros(90, bool)]}, ValueError, r"rows\[0\] is empty"),
    ([{}], {"rows": [[0, 90]]}, ValueError, r"rows\[0\] holds 90, but X has the rows 0 to 89"),
    ([{}], {"rows": [[-1, 2]]}, ValueError, r"rows\[0\] holds -1, but X has the rows 0 to 89"),
    ([{}], {"rows": [[0.0, 1.0]]}, TypeError, r"rows\[0\] is float64 of shape \(2,\); give row numbers, or a mask over"),
    ([{}], {"rows": [np.ones(89, bool)]}, TypeError, r"rows\[0\] is bool of shape \(89,\); give row numbers, or a mask"),
    ([{}] * 4, {"rows": list(KFold(4).split(X))}, TypeError, r"rows\[0\] is tuple of several arrays; give one array of"),
    ([{}] * 2, {"rows": list(KFold(2).split(X))}, TypeError, r"rows\[0\] is int64 of shape \(2, 45\); give row numbers"),
]


@pytest.fixture
def no_nets(monkeypatch, no_work):
    """Fails where a piece of work is begun."""
    monkeypatch.setattr(many, "Crew", lambda *_: pytest.fail("work began"))


@pytest.mark.parametrize(("configs", "options", "error", "message"), BAD_CONFIGS)
def test_what_cannot_be_meant_of_all_nets_is_refused(configs, options, error, message, no_nets):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message):
            train_many(X, Y, configs, **options)


def holed(row, column, value):
    return np.where((np.arange(90)[:, None] == row) & (np.arange(3) == column), value, X)


BAD_COMMON = [
    {"X": holed(4, 1, NAN)},
    {"X": X[:80]},
    {"X": X[:, 0]},
    {"X": [["a", "b"]] * 90},
    {"X": np.empty((0, 3)), "y": []},
    {"y": Y[:80]},
    {"y": np.where(np.arange(90) == 3, NAN, X[:, 0])},
    {"y": 5},
    {"y": np.full(90, "low")},
    {"y": [[1], [1, 2]] * 45},
    {"l2": -1},
    {"solver": "newton"},
    {"solver": "lbfgs", "dropout": 0.1},
    {"activation": "sigmoid"},
    {"hidden": 0},
    {"hidden": (3.0,)},
    {"loss": "mse"},
    {"epochs": 0},
    {"learning_rate": 0},
    {"learning_rate": 1e300, "dtype": "float32"},
    {"dtype": "int8"},
    {"batch_size": 0},
    {"batch_size": [16]},
    {"batch_size": 2.5},
    {"seed": -1},
    {"seed": "a"},
    {"init": "best"},
    {"init": ([np.zeros((3, 2))], [np.zeros(3)])},
    {"schedule": lambda epoch: NAN},
    {"schedule": "linear"},
    {"validation": 2},
    {"validation": (X[:, :2], Y)},
    {"validation": 0.2, "metric": "r2"},
    {"sample_weight": -np.ones(90)},
    {"sample_weight": np.zeros(90)},
    {"class_weight": {"none": 2}},
    {"start": "net"},
    {"engine": "gpu"},
    {"shuffle": "rows"},
    {"patience": 0},
]


@pytest.mark.parametrize("rows", [None, [np.arange(0, 80, 2)] * 3])
@pytest.mark.parametrize("configs", [[{}, {"l2": 0.1}, {}], [{"l2": -7}, {"l2": 0.1}, {"l2": 0.2}]], ids=["good", "bad"])
@pytest.mark.parametrize("wrong", BAD_COMMON, ids=lambda wrong: "-".join(wrong))
def test_what_is_wrong_of_all_nets_is_raised_as_train_raises_it(wrong, configs, rows, no_nets):
    """At once, even where other nets are wrong besides."""
    options = {"X": X, "y": Y, **wrong}
    with pytest.raises((TypeError, ValueError)) as alone:
        train(**options)
    if "l2" in wrong:
        configs = [{}, {"seed": 1}, {}]
    if np.ndim(options["X"]) > 1 and len(options["X"]) < 90:
        rows = None
    with pytest.raises(type(alone.value), match=f"^{re.escape(str(alone.value))}$"):
        train_many(options.pop("X"), options.pop("y"), configs, rows=rows, **options)


@pytest.mark.parametrize("n_nets", [3, MANY])
def test_batches_larger_than_the_samples_are_told_of_once(n_nets):
    with pytest.warns(UserWarning, match="^batch_size=500 is more than the 90 samples; each batch has them all$") as warned:
        sweep = train_many(X, Y, {"seed": range(n_nets)}, hidden=3, epochs=2, batch_size=500)
    assert [warning.filename for warning in warned] == [__file__]
    for seed, net in enumerate(sweep):
        assert told(net) == told(train(X, Y, 3, epochs=2, batch_size=90, seed=seed))


BAD_NETS = [
    ({"learning_rate": -1}, "learning_rate=-1: give a finite number above 0"),
    ({"learning_rate": "fast"}, "learning_rate='fast': give a number above 0"),
    ({"activation": "sigmoid"}, "activation='sigmoid' is unknown: choose one of 'identity', 'logistic'"),
    ({"l2": -1}, "l2=-1: give a finite number from 0 on"),
    ({"l2": 10**400}, "^l2=1000*: give a finite number from 0 on"),
    ({"validation": NAN}, "validation=nan: give a finite number above 0 and below 1"),
    ({"batch_size": np.timedelta64(1, "s")}, "batch_size=.*: give a whole number from 1 on"),
    ({"learning_rat": 1}, "learning_rat: train has no such parameter; did you mean 'learning_rate'?"),
    ({"X": X}, "X: train has no such parameter; see fastmlp.train"),
    ({"threads": 2}, "threads: the nets share the sweep's; give it to train_many"),
    ({"progress": True}, "progress: the nets share the sweep's"),
    ({"hidden": (3.0,)}, r"hidden\[0\]=3.0: give a whole number from 1 on"),
    ({"init": ([np.full((3, 3), NAN), np.ones((3, 3))], [np.zeros(3)] * 2)}, r"init: weights\[0\] holds NaN or infinity"),
    ({"init": "best"}, "init='best' is unknown"),
    ({"batch_size": [16]}, r"batch_size=\[16\]: give a whole number from 1 on"),
    ({"batch_size": NAN}, "batch_size=nan: give a whole number from 1 on"),
    ({"batch_size": 0}, "batch_size=0: give a whole number from 1 on"),
    ({"batch_size": "big"}, "batch_size='big': give a whole number, 'auto', or None"),
    ({"seed": -3}, "seed=-3: give a whole number from 0 on"),
    ({"seed": [1]}, r"seed=\[1\]: give a whole number from 0 on"),
    ({"validation": 1.0}, "validation=1.0: give a finite number above 0 and below 1"),
    ({"schedule": lambda epoch: 1 / epoch}, "division by zero"),
    ({"schedule": lambda epoch: -1}, "schedule returned -1.0 for epoch 0"),
    ({"callback": lambda epoch: 1 / 0}, "division by zero"),
    ({"validation": 0.3, "metric": lambda *_: {}["a"]}, "'a'"),
    ({"sample_weight": np.zeros(90)}, "sample_weight: the samples to train on have no weight together"),
    ({"solver": "rprop", "batch_size": 7}, "batch_size=7: solver='rprop' takes full batches"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD_NETS, ids=lambda part: "-".join(part) if isinstance(part, dict) else "")
@pytest.mark.parametrize("n_nets", [3, MANY])
def test_what_is_wrong_of_one_net_is_told_of_it_alone(wrong, message, n_nets):
    configs = [{"hidden": (3,), "seed": 10 + place} for place in range(n_nets)]
    configs[1] = {**configs[1], **wrong}
    common = {"epochs": 2} if "solver" in wrong else {"epochs": 2, "batch_size": 16}
    with pytest.warns(RuntimeWarning, match=rf"^1 of {n_nets} nets failed, .* the first, configs\[1\]: ") as warned:
        sweep = train_many(X, Y, configs, **common)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert sweep.statuses == ["finished", "failed", *["finished"] * (n_nets - 2)]
    assert list(sweep.errors) == [1]
    assert sweep[1] is None
    assert re.search(message, str(sweep.errors[1]))
    for place in (0, 2, n_nets - 1):
        assert told(sweep[place]) == told(train(X, Y, 3, seed=10 + place, **common))
