"""What a checkpoint is refused for, what goes wrong with its file, and what may differ from call to call."""

import copy
import inspect
import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import cross_validate, storage, train, train_many
from fastmlp.schedules import adaptive, invscaling
from test_continuing import CASES, bits, by_case, own_score

OPTIONS = {"hidden": 4, "batch_size": 16, "epochs": 6, "seed": 1, "validation": 0.3, "dropout": 0.2}


def other_score(wanted, predicted):
    return -own_score(wanted, predicted)


def a_schedule(epoch):
    return 1.0


class Schedules:
    """Of which the same calls give the same."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor**epoch


# For each parameter that the bits hang on what differs: of two calls, which have the rest in common.
DIFFERENT = {
    "hidden": [({"hidden": 4}, {"hidden": 5}), ({"hidden": (4, 4)}, {"hidden": 4}), ({"hidden": ()}, {"hidden": 4})],
    "activation": [({"activation": "relu"}, {"activation": "tanh"})],
    "loss": [({"loss": "binary_cross_entropy"}, {"loss": None})],
    "solver": [({"solver": "adam"}, {"solver": "adamw"})],
    "learning_rate": [({"learning_rate": 0.1}, {"learning_rate": 0.1 + 1e-15})],
    "schedule": [
        ({"schedule": None}, {"schedule": "cosine"}), ({"schedule": "adaptive", "patience": 9}, {"patience": 9}),
        ({"schedule": Schedules(0.5)}, {"schedule": Schedules(0.6)}), ({"schedule": "invscaling"}, {}),
        ({"schedule": invscaling(power_t=0.5)}, {"schedule": invscaling(power_t=0.6)}),
        ({"schedule": adaptive(decay=0.5)}, {"schedule": adaptive(decay=0.6)}),
    ],
    "momentum": [({"solver": "sgd", "momentum": 0.5}, {"solver": "sgd"})],
    "nesterov": [({"nesterov": True}, {"nesterov": False})],
    "beta_1": [({"beta_1": 0.8}, {})],
    "beta_2": [({"beta_2": 0.8}, {})],
    "epsilon": [({"epsilon": 1e-7}, {})],
    "weight_decay": [({"weight_decay": 0.1}, {})],
    "rho": [({"rho": 0.5}, {})],
    "etas": [({"etas": (0.4, 1.2)}, {})],
    "step_sizes": [({"step_sizes": (1e-5, 50.0)}, {})],
    "max_fun": [({"max_fun": 100}, {})],
    "l2": [({"l2": 0.1}, {})],
    "l1": [({"l1": 0.1}, {})],
    "dropout": [({"dropout": 0.1}, {"dropout": 0.0})],
    "max_grad_norm": [({"max_grad_norm": 1.0}, {})],
    "label_smoothing": [({"label_smoothing": 0.1}, {})],
    "delta": [({"delta": 2.0}, {})],
    "quantile": [({"quantile": 0.2}, {})],
    "batch_size": [({"batch_size": 15}, {}), ({"batch_size": None}, {}), ({"batch_size": "auto"}, {})],
    "epochs": [({"epochs": 7}, {}), ({"epochs": 5}, {})],
    "shuffle": [({"shuffle": False}, {}), ({"shuffle": "blocks"}, {})],
    "init": [
        ({"init": "he_normal"}, {}),
        *(({"init": ([np.full((2, 4), value), np.ones((4, 2))], [np.zeros(4), np.zeros(2)])}, {}) for value in (1.0, 2.0)),
    ],
    "seed": [
        ({"seed": 2}, {}), ({"seed": None}, {}), ({"seed": np.random.default_rng(1)}, {}),
        ({"seed": np.random.default_rng(1)}, {"seed": np.random.RandomState(1)}),
        ({"seed": np.random.default_rng(1)}, {"seed": np.random.default_rng(2)}),
    ],
    "dtype": [({"dtype": "float32"}, {})],
    "sample_weight": [({"sample_weight": np.arange(90) + 1.0}, {}), ({"sample_weight": np.ones(90)}, {})],
    "class_weight": [({"class_weight": "balanced"}, {}), ({"class_weight": {0: 2.0}}, {"class_weight": {0: 3.0}})],
    "validation": [
        ({"validation": 0.2}, {}), ({"validation": None}, {"metric": "loss"}),
        ({"validation": (np.eye(2), [0, 1])}, {"validation": (np.eye(2), [1, 0])}),
        ({"validation": (np.eye(2), [0, 1])}, {"validation": (2 * np.eye(2), [0, 1])}),
        ({"validation": (np.eye(2), [0, 1], [1, 1])}, {"validation": (np.eye(2), [0, 1], [1, 2])}),
    ],
    "metric": [({"metric": "accuracy"}, {}), ({"metric": own_score}, {"metric": other_score})],
    "patience": [({"patience": 50}, {})],
    "tol": [({"tol": 0.1}, {})],
    "start": [({"start": 1}, {"start": 2}), ({"start": 1}, {})],
    "engine": [({"engine": "reference"}, {})],
}  # fmt: skip
# That the bits do not hang on.
SAME = {
    "max_seconds": 100.0, "callback": lambda epoch: None, "callback_every": 2, "progress": False, "threads": 2,
    "checkpoint_seconds": 3.0,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.fixture
def data(blobs):
    """Two classes, so that all losses of classes will do."""
    X, y = blobs
    return X, (y > 0) + 0


def stopped(X, y, path, **options):
    """A call that ran out of time after an epoch or a few."""
    return train(X, y, checkpoint=path, max_seconds=1e-9, **{**OPTIONS, **options})


def test_each_parameter_is_seen_to():
    parameters = set(inspect.signature(train).parameters) - {"X", "y", "checkpoint"}
    assert parameters == DIFFERENT.keys() | SAME.keys()


@pytest.mark.parametrize(
    ("name", "pair"), [(name, pair) for name, pairs in DIFFERENT.items() for pair in pairs],
    ids=[f"{name}-{place}" for name, pairs in DIFFERENT.items() for place in range(len(pairs))],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_another_call_is_refused_by_name(data, path, name, pair, turned):
    """And leaves the file and the seed as they were."""
    # Generators are drawn from.
    pair = copy.deepcopy(pair if not turned else pair[::-1])
    for call in pair:
        if "start" in call:
            call["start"] = train(*data, 4, epochs=call["start"], seed=1)
    stopped(*data, path, **pair[0])
    content, seed = path.read_bytes(), copy.deepcopy(pair[1].get("seed"))
    with pytest.raises(ValueError, match=rf"^checkpoint: .* is of a training with .*{name}.*; ask for the same") as refused:
        train(*data, checkpoint=path, **{**OPTIONS, **pair[1]})
    assert "blake2b" not in str(refused.value)
    assert path.read_bytes() == content
    if isinstance(seed, np.random.Generator):
        assert pair[1]["seed"].bit_generator.state == seed.bit_generator.state


def test_another_start_than_one_of_the_same_parameters_is_refused(data, path, tmp_path):
    """Its solver's state and its random numbers are others."""
    start = train(*data, 4, epochs=3, seed=1)
    bare = fastmlp.load(start.save(tmp_path / "bare"))
    options = {**OPTIONS, "validation": None, "dropout": 0.0}
    stopped(*data, path, **options, start=start)
    with pytest.raises(ValueError, match="another start"):
        train(*data, checkpoint=path, **options, start=bare)


def test_other_data_are_refused(data, path):
    X, y = data
    stopped(X, y, path)
    changed, turned, named = X.copy(), 1 - y, np.array(["a", "b"])[y]
    changed[89, 1] = np.nextafter(changed[89, 1], 9)
    for name, other in (("X", (changed, y)), ("X", (X[::-1], y)), ("y", (X, turned)), ("y", (X, named)), ("y", (X, y > 0))):
        with pytest.raises(ValueError, match=f"another {name}; ask"):
            train(*other, checkpoint=path, **OPTIONS)


def test_labels_are_told_apart_where_there_are_many(path):
    """NumPy's own account of an array leaves the middle of it out."""
    X, y = np.random.default_rng(0).standard_normal((2400, 2)), np.arange(2400) // 2
    options = {"hidden": (), "batch_size": 600, "epochs": 2, "seed": 0}
    train(X, y, checkpoint=path, **{**OPTIONS, **options})
    with pytest.raises(ValueError, match="another y"):
        train(X, y + (y > 500), checkpoint=path, **{**OPTIONS, **options})


@pytest.mark.parametrize("name", SAME)
def test_what_may_differ(data, path, name):
    whole = train(*data, **OPTIONS)
    stopped(*data, path)
    assert bits(train(*data, checkpoint=path, **OPTIONS, **{name: SAME[name]})) == bits(whole)
    assert bits(train(*data, checkpoint=str(path), **OPTIONS, **{name: SAME[name]})) == bits(whole)


@pytest.mark.parametrize("hidden", [[4], (4,), np.array([4]), np.int32(4)])
def test_the_same_in_other_words_is_the_same(data, path, hidden):
    import pandas as pd

    X, y = data
    whole = train(X, y, **OPTIONS)
    stopped(X, y, path)
    same = {**OPTIONS, "hidden": hidden, "batch_size": np.array(16), "seed": np.uint8(1), "epochs": np.int64(6)}
    again = train(pd.DataFrame(X), pd.Series(y), checkpoint=path, shuffle=np.True_, threads=2, **same)
    assert bits(again) == bits(whole)


def test_what_cannot_be_written_is_refused_before_any_work(data, path, no_work):
    """Not after the hours that a training takes."""
    X, y = data

    class Own(np.random.PCG64):
        @property
        def state(self):
            return {**super().state, "bit_generator": "Own"}

    for seed in (np.random.Generator(Own(1)), np.random.RandomState(np.random.PCG64(1))):
        with pytest.raises(TypeError, match="cannot be written: use a generator of NumPy's own"):
            train(X, y, checkpoint=path, seed=seed)
    with pytest.raises(TypeError, match=r"labels of dtype object cannot be saved"):
        train(X, np.array([date(2020, 1, 1 + int(label)) for label in y]), loss="cross_entropy", checkpoint=path)


def test_files_that_are_none(data, path, tmp_path, no_work_after):
    net = stopped(*data, path)
    content = path.read_bytes()
    sweep = train_many(*data, [{}], epochs=1, hidden=2)
    no_work_after()
    for damage in (b"", content[:100], content[:-1], content[:-9] + b"!" + content[-8:], b"x" * 1000):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"checkpoint: .*run.safetensors.*or delete it to begin anew"):
            train(*data, checkpoint=path, **OPTIONS)
        assert path.read_bytes() == damage
    net.save(path, training=True)
    with pytest.raises(ValueError, match="holds a net, but no checkpoint; give another one, or delete it"):
        train(*data, checkpoint=path, **OPTIONS)
    sweep.save(path)
    with pytest.raises(ValueError, match="holds a sweep, not a net"):
        train(*data, checkpoint=path, **OPTIONS)


def test_places_where_no_file_can_be(data, tmp_path, monkeypatch, no_work):
    with pytest.raises(ValueError, match="is a folder; give the path of a file"):
        train(*data, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="is in no folder that there is"):
        train(*data, checkpoint=tmp_path / "none" / "run")
    with pytest.raises(ValueError, match="is no regular file"):
        train(*data, checkpoint=os.devnull)
    for wrong in (3, b"run", True, object()):
        with pytest.raises(TypeError, match="give the path of a file, or None"):
            train(*data, checkpoint=wrong)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="checkpoint_seconds="):
            train(*data, checkpoint=tmp_path / "run", checkpoint_seconds=wrong)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="its folder cannot be written"):
        train(*data, checkpoint=tmp_path / "run")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_write_that_fails_is_told_of_once(data, path, monkeypatch, error):
    whole = train(*data, **OPTIONS)
    stopped(*data, path)
    content, tried = path.read_bytes(), []

    def full(*_, **__):
        tried.append(1)
        raise error

    write = storage.write
    monkeypatch.setattr(storage, "write", full)
    with pytest.warns(RuntimeWarning, match=r"cannot be written \(.*(space|Memory).*\); training goes on") as told:
        net = train(*data, checkpoint=path, checkpoint_seconds=0, **OPTIONS)
    assert len(told) == 1 < len(tried)
    assert bits(net) == bits(whole)
    assert path.read_bytes() == content
    monkeypatch.setattr(storage, "write", write)
    assert bits(train(*data, checkpoint=path, **OPTIONS)) == bits(whole)


def test_another_version_is_told_of(data, path, monkeypatch):
    stopped(*data, path)
    monkeypatch.setattr(fastmlp, "__version__", "99.1")
    with pytest.warns(RuntimeWarning, match=r"was written by fastmlp .*, and this is 99.1: the bits may differ"):
        net = train(*data, checkpoint=path, **OPTIONS)
    # What has come to its end stays as it is.
    monkeypatch.setattr(fastmlp, "__version__", "99.2")
    assert bits(train(*data, checkpoint=path, **OPTIONS)) == bits(net)


def test_a_callback_that_goes_elsewhere(data, tmp_path, monkeypatch):
    """The file stays where it was when training began, and behind a link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "run")
    monkeypatch.chdir(tmp_path)
    for place in ("run", "link"):
        options = {**OPTIONS, "callback": lambda epoch: os.chdir(tmp_path / "elsewhere"), "checkpoint_seconds": 0}
        net = train(*data, checkpoint=place, **options)
        os.chdir(tmp_path)
        assert bits(fastmlp.load(place)) == bits(net)
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link", "run"]
    assert os.listdir(tmp_path / "elsewhere") == ["run"]


def test_the_file_is_one_to_load(data, path):
    net = stopped(*data, path)
    loaded = fastmlp.load(path)
    assert loaded.predict_proba(data[0]).tobytes() == net.predict_proba(data[0]).tobytes()
    assert loaded.status == "interrupted"
    net = train(*data, checkpoint=path, **OPTIONS)
    assert (bits(fastmlp.load(path)), fastmlp.load(path).status) == (bits(net), net.status)


def test_many_nets_have_no_file(data, path):
    for name, value in (("checkpoint", path), ("checkpoint_seconds", 1.0)):
        wanted = f"{name}: a file has one net's training; give it to train"
        for call, asked in ((train_many, [{}]), (cross_validate, {})):
            with pytest.raises(TypeError, match=wanted):
                call(*data, asked, epochs=1, **{name: value})
        with pytest.warns(RuntimeWarning, match=wanted):
            sweep = train_many(*data, [{name: value}, {}], epochs=1)
        assert sweep.statuses == ["failed", "finished"]
    assert not path.exists()


def rewritten(path, change):
    """A checkpoint changed, with a digest that is right."""
    header, arrays = storage.read(path, storage.NET, storage.FORMAT, storage._check_net)
    change(header, arrays)
    return storage.write(path, storage.NET, header, arrays, storage._check_net)


def without_training(header, arrays):
    header.pop("training")
    for name in [name for name in arrays if name.startswith("training.")]:
        arrays.pop(name)


LIES = {
    "no state": without_training,
    "no message": lambda header, arrays: header["checkpoint"].pop("message"),
    "a list": lambda header, arrays: header.update(checkpoint=[]),
    "a string": lambda header, arrays: header.update(checkpoint="x"),
    "no call": lambda header, arrays: header["checkpoint"].update(call=None),
    "another solver": lambda header, arrays: header["training"].update(solver="lbfgs"),
    "another net": lambda header, arrays: (
        without_training(header, arrays), header.update(sizes=[2, 3, 2]),
        arrays.update({"weights.0": arrays["weights.0"][:, :3], "biases.0": arrays["biases.0"][:3]}),
        arrays.update({"weights.1": arrays["weights.1"][:3]}),
    ),
    "too long": lambda header, arrays: arrays.update(
        {name: np.ones(30) for name in ("loss_curve", "validation_curve", "validation_scores")}
    ),
    "random": lambda header, arrays: header["checkpoint"]["random"]["state"].update(bit_generator="MT19937"),
    "random number": lambda header, arrays: header["checkpoint"].update(random=3),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_files_that_lie_are_refused(data, path, lie, no_work_after):
    stopped(*data, path)
    rewritten(path, lie)
    no_work_after()
    with pytest.raises(ValueError, match=r"^checkpoint: "):
        train(*data, checkpoint=path, **OPTIONS)


def test_the_calls_that_tests_vary_are_written_as_json_has_them(data, path):
    stopped(*data, path)
    header, _ = storage.read(path, storage.NET, storage.FORMAT, storage._check_net)
    call = header["checkpoint"]["call"]
    assert json.loads(json.dumps(call)) == call
    assert (call["validation"], call["metric"]) == (0.3, "loss")
    assert str(Path(path)) not in json.dumps(header)


@by_case
def test_every_case_is_refused_by_every_other(blobs, path, options):
    """No two of them are taken for one."""
    from test_checkpoints import settled

    def asked(case):
        options, make_seed = settled(case)
        options.pop("callback_every", None)
        return options, make_seed

    ours, make_seed = asked(options)
    train(*blobs, checkpoint=path, max_seconds=1e-9, seed=make_seed(), **ours)
    for name, other in CASES.items():
        theirs, seed = asked(other)
        if other is options or (name in ("plain", "callback") and ours.keys() <= asked({})[0].keys()):
            continue
        with pytest.raises(ValueError, match="is of a training with"):
            train(*blobs, checkpoint=path, seed=seed(), **theirs)
