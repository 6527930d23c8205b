"""Bad inputs of functions and nets: refused by an error that names the argument, before any work, with nothing changed."""

import warnings

import bad_values as bad
import numpy as np
import pytest
from bad_samples import BAD_X, BAD_Y, SPARSE
from bad_values import BASE, INF, NAN, VALUES, N, X, Y, judged, refused

from fastmlp import cross_validate, train, train_many
from fastmlp.sweep import Ensemble

TRIAL = "bad inputs refused with the argument named"
OPTIONS = list(bad.bad_options())
SAMPLES = [("X", what, {"X": value}) for what, value in {**BAD_X, **SPARSE}.items()]
SAMPLES += [("y", what, {"y": value}) for what, value in BAD_Y.items()]
# What train has and the others have not, or have in a way of their own.
OF_SWEEP = ("threads", "progress", "callback", "max_seconds")
ENGINES = ("kernels", "reference")


def call(function, options, *rest, **common):
    """Call a function with good samples, but for those among the options."""
    options = {"X": X, "y": Y, **common, **options}
    return function(options.pop("X"), options.pop("y"), *rest, **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_options_of_train(engine, trials, no_work):
    with trials(TRIAL) as trial:
        for what, options, name in OPTIONS:
            if "engine" not in options and (engine == "kernels" or "hidden" in options or "init" in options):
                with trial.case(f"train, {engine}: {what}"):
                    refused(name, lambda o=options: call(train, {**BASE, "engine": engine, **o}), options)


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("batch_size", ["auto", None])
def test_samples_of_train(dtype, batch_size, trials, no_work):
    with trials(TRIAL) as trial:
        for name, what, options in SAMPLES:
            with trial.case(f"train, {dtype}, {batch_size}: {name}, {what}"):
                refused(
                    name, lambda o=options: call(train, {**BASE, "dtype": dtype, "batch_size": batch_size, **o}), options
                )


def test_samples_of_losses(trials, no_work):
    """What is no number is none for a loss of numbers, and what is no label none for one of labels."""
    numbers = ["None", "too few", "one", "three dimensions", "no columns", "complex", "NaN", "infinity",
               "NaN among objects",
               "None among texts", "texts and numbers", "texts and numbers in a list", "rows of different lengths",
               "texts in columns", "dates", "time spans", "pandas' NA among numbers", "records", "dicts", "masked",
               "sparse",
               "Arrow's null among numbers", "a polars null among numbers", "a list within itself"]  # fmt: skip
    more = {"texts": np.full(N, "1"), "bytes": np.full(N, b"1"), "text objects": np.array(["1"] * N, object)}
    with trials(TRIAL) as trial:
        for loss in ("squared_error", "huber", "poisson"):
            for what, y in {**{what: BAD_Y[what] for what in numbers}, **more}.items():
                with trial.case(f"train, {loss}: y, {what}"):
                    refused("y", lambda loss=loss, y=y: train(X, y, loss=loss, **BASE), y)
        for loss, y in (("binary_cross_entropy", np.arange(N) % 3), ("cross_entropy", np.where(Y, NAN, 0.0))):
            with trial.case(f"train, {loss}: y"):
                refused("y", lambda loss=loss, y=y: train(X, y, loss=loss, **BASE), y)


def test_common_arguments_of_train_many(trials, no_work):
    """What is wrong for all nets is raised."""
    with trials(TRIAL) as trial:
        for what, options, name in OPTIONS:
            if options.keys() & {*OF_SWEEP, *bad.UNKNOWN, "seed"} or name == "y":
                continue
            with trial.case(f"train_many: {what}"):
                common = {key: value for key, value in {**BASE, **options}.items() if key not in ("X", "y")}
                samples = {key: value for key, value in options.items() if key in ("X", "y")}
                refused(name, lambda s=samples, c=common: call(train_many, {**s, **c}, [{}, {"l1": 0.1}]), options)
        for name, what, options in SAMPLES:
            with trial.case(f"train_many: {name}, {what}"):
                refused(name, lambda o=options: call(train_many, o, [{}, {"seed": 3}], **BASE), options)


SWEEPS = {
    "configs": [None, 3, "adam", [], [None], [3], [{1: 2}], {"l2": 0.1}, {"l2": []}, {"solver": "adam"}, {"l2": {}},
                b"adam", [[("l2", 0.1)]], {"l2": {0.1: 1}}, np.ones(2), {1: [2]}, {"l2": b"ab"}],
    "rows": [3, "all", [[1, 2]] * 3, [[]], [[0, N]], [[-1, 2]], [[0.0, 1.0]], [np.ones(N - 1, bool)], [None], {0: [1]},
             True,
             [np.zeros(N, bool)], [["a"]], [[[0, 1]]], [[True, False]], [NAN], [[10**30]], [[1j]], [[[1], [1, 2]]]],
    "n_draws": [3, 0, -1, 1.5, "a", True, NAN],
    "draw_seed": [-1, "a", 1.5, True, [1]],
    "halving": [1, 0, -1, 1.5, "a", True, [2], NAN, 10**400],
    "threads": [0, -1, 1.5, "a", True, [1], NAN, 10**400],
    "executor": [3, "pool", True, [], object()],
    "progress": ["no", 1, 0, None, [True], np.array([True])],
    "callback": [3, "print", [print], True, NAN],
    "max_seconds": [0, -1, NAN, INF, "a", [1], True, 10**400, np.ones(1)],
}  # fmt: skip


def test_arguments_of_train_many(trials, no_work):
    with trials(TRIAL) as trial:
        for name, values in SWEEPS.items():
            for i, value in enumerate(values):
                with trial.case(f"train_many: {name} {i}"):
                    options = {name: value}
                    # There is nothing to draw from in a list.
                    listed = name not in ("n_draws", "draw_seed") or value == 3
                    configs = options.pop("configs", [{}] if listed else {"l2": [0.1]})
                    options |= {"n_draws": 1} if name == "draw_seed" else {}
                    refused(name, lambda c=configs, o=options: train_many(X, Y, c, **BASE, **o), value)
        for name, value in bad.UNKNOWN.items():
            with trial.case(f"train_many: {name}"):
                refused(name, lambda name=name, value=value: train_many(X, Y, [{}], **{name: value}))


@pytest.mark.parametrize("threads", [1, 2])
def test_configs_of_train_many(threads, trials):
    """What is wrong of one net is its error, and the others are what they are alone."""
    cases = [(what, options, name) for what, options, name in OPTIONS if not options.keys() & {"X", "y", "callback_every"}]
    good = [{}, {"hidden": 2}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ nets failed", category=RuntimeWarning)
        sweep = train_many(X, Y, [good[0], *(options for _, options, _ in cases), good[1]], threads=threads, **BASE)
    with trials(TRIAL) as trial:
        for place, (what, options, name) in enumerate(cases, 1):
            with trial.case(f"a config: {what}"):
                assert sweep[place] is None
                assert sweep.statuses[place] == "failed"
                judged(name, sweep.errors[place])
                bad.fingerprint(options)
        for place, config in ((0, good[0]), (len(cases) + 1, good[1])):
            with trial.case("a net beside those that are wrong"):
                assert sweep[place].params.tobytes() == train(X, Y, **{**BASE, **config}).params.tobytes()


FOLDS = {
    "config": [3, "adam", [], [{}], True],
    "cv": [None, 0, 1, -1, N + 1, 1.5, "a", True, NAN, [], [3], [(1, 2, 3)], [([0], [N])], [([0], [])], [([], [0])], {},
           {2: 3},
           [(np.ones(N, bool), [0.5])], [([0, 1], ["a"])], 10**400, object(), [None], np.ones(3)],
    "split_seed": [-1, "a", 1.5, True, [1], NAN],
    "scoring": ["accuracy", 3, [len], True],
}  # fmt: skip


def test_cross_validate(trials, no_work):
    with trials(TRIAL) as trial:
        for name, values in FOLDS.items():
            for i, value in enumerate(values):
                with trial.case(f"cross_validate: {name} {i}"):
                    given = {"config": BASE, name: value}
                    refused(name, lambda g=given: cross_validate(X, Y, **g), value)
        for name, what, options in SAMPLES:
            with trial.case(f"cross_validate: {name}, {what}"):
                refused(name, lambda o=options: call(cross_validate, o, dict(BASE)), options)
        for what, options, name in OPTIONS:
            if options.keys() & {*OF_SWEEP, "X", "y", "sample_weight", "seed"}:
                continue
            with trial.case(f"cross_validate: {what}"):
                refused(name, lambda o=options: cross_validate(X, Y, {**BASE, **o}, cv=2), options)


@pytest.fixture(scope="module")
def nets():
    three, columns = np.arange(N) % 3, np.column_stack([VALUES, -VALUES])
    targets = {"classes": Y, "texts": np.array(["u", "v", "w"])[three], "labels": (X > 0).astype(int), "values": VALUES}
    return {what: (train(X, y, **BASE), y) for what, y in {**targets, "columns": columns}.items()}


# Not the number of rows, which is free where there is no y.
ANY_LENGTH = ("too few rows", "too many rows", "one row", "rows without end")
OTHER_COLUMNS = {"fewer": X[:, :2], "more": np.column_stack([X, X]), "one": X[:, :1]}
BAD_WEIGHTS = dict(enumerate(bad.OTHERS["sample_weight"]))


def test_nets(nets, trials):
    samples = {what: value for what, value in {**BAD_X, **SPARSE, **OTHER_COLUMNS}.items() if what not in ANY_LENGTH}
    with trials(TRIAL) as trial:
        for kind, (net, y) in nets.items():
            for what, value in samples.items():
                methods = {"predict": net.predict, "score": lambda rows, net=net, y=y: net.score(rows, y)}
                if net.is_classifier:
                    methods["predict_proba"] = net.predict_proba
                for name, method in methods.items():
                    if kind in ("classes", "values"):
                        with trial.case(f"{kind}, {name}: X, {what}"):
                            refused("X", lambda m=method, v=value: m(v), value)
            for what, weights in BAD_WEIGHTS.items():
                with trial.case(f"{kind}, score: sample_weight {what}"):
                    refused("sample_weight", lambda n=net, y=y, w=weights: n.score(X, y, w), weights)
            for what, wrong in BAD_Y.items():
                # A single class is what may be met; columns suit nets of columns.
                if what.startswith("one class") or kind in ("labels", "columns"):
                    continue
                with trial.case(f"{kind}, score: y, {what}"):
                    refused("y", lambda n=net, w=wrong: n.score(X, w), wrong)
        for kind in ("labels", "columns"):
            net, y = nets[kind]
            wrong_y = {
                "fewer": y[:, :1],
                "NaN": y * NAN,
                "texts": y.astype(str),
                "flat": y[:, 0],
                "None": np.full(y.shape, None),
            }
            for what, wrong in wrong_y.items():
                with trial.case(f"{kind}, score: y, {what}"):
                    refused("y", lambda n=net, w=wrong: n.score(X, w), wrong)
        for kind in ("values", "columns"):
            with trial.case(f"{kind}: predict_proba"):
                refused("predict_proba", lambda n=nets[kind][0]: n.predict_proba(X))
        for wrong in (None, [], 3, [3], [nets["classes"][0], "net"], [nets["classes"][0], nets["values"][0]], "ab"):
            with trial.case(f"Ensemble: {wrong}"):
                refused("networks", lambda w=wrong: Ensemble(w))
