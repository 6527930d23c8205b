"""A sweep in a file comes back as it was, to the bit, or not at all with a word why."""

import dataclasses
import json
import os
from datetime import date

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastmlp
from fastmlp import Network, Sweep, schedules, storage, train, train_many
from fastmlp.options import Activation, Loss
from fastmlp.sweep import NotKept, storing
from fastmlp.sweep.tasks import Outcome

CURVES = ("loss_curve", "validation_curve", "validation_scores")


def same_array(ours, theirs):
    if ours is None or theirs is None:
        assert ours is theirs
        return
    assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def same_net(ours, theirs, X):
    """That nothing but the state of the training is lost."""
    if ours is None:
        assert theirs is None
        return
    for name in ("sizes", "activations", "loss", "flat_targets", "best_epoch", "status"):
        assert getattr(theirs, name) == getattr(ours, name)
        assert type(getattr(theirs, name)) is type(getattr(ours, name))
    for name in ("params", *CURVES):
        same_array(getattr(ours, name), getattr(theirs, name))
    if ours.classes is not None:
        assert theirs.classes.dtype == ours.classes.dtype
        assert theirs.classes.tolist() == ours.classes.tolist()
        assert theirs.predict_proba(X).tobytes() == ours.predict_proba(X).tobytes()
    else:
        assert theirs.classes is None
    np.testing.assert_array_equal(theirs.predict(X), ours.predict(X))


def same(ours, theirs, X):
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        same_net(our, their, X)
    assert theirs.statuses == ours.statuses
    same_array(ours.seconds, theirs.seconds)
    assert {place: (type(error), str(error)) for place, error in theirs.errors.items()} == {
        place: (type(error), str(error)) for place, error in ours.errors.items()
    }


def there_and_back(sweep, tmp_path):
    return Sweep.load(sweep.save(tmp_path / "sweep.safetensors"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "names",
    [np.array([3, -1, 7]), np.array(["blue", "a", "ünïcode"]), np.array(["b", "a", "r"], object), np.array([0.5, 1, 2])],
)
def test_nets_of_classes(blobs, tmp_path, names, dtype):
    X, y = blobs
    configs = {"hidden": [(), 3, (4, 3)], "activation": ["relu", "gelu"], "validation": [None, 0.2]}
    sweep = train_many(X, names[y], configs, epochs=4, dtype=dtype, loss="cross_entropy")
    again = there_and_back(sweep, tmp_path)
    same(sweep, again, X)
    assert (again.configs, again.common) == (sweep.configs, sweep.common)
    assert [list(config) for config in again.configs] == [list(config) for config in sweep.configs]
    np.testing.assert_array_equal(again.scores, sweep.scores)
    assert repr(again) == repr(sweep)


def test_nets_of_several_kinds_together(blobs, curve, tmp_path):
    X, values = curve
    truths = values > 0
    several = np.column_stack([truths, values > 0.5]).astype(int)
    nets = [
        train(X, values, 3, epochs=3, seed=0),
        train(X, np.column_stack([values, -values]), 2, epochs=2, seed=1, dtype="float32"),
        train(X, several, 3, epochs=3, seed=0, validation=0.3),
        train(X, truths, 3, loss="binary_cross_entropy", epochs=3, seed=0, dtype="float32", validation=0.3),
        # 0 and 1 are equal to False and True, and yet other labels.
        train(X, truths.astype(int), 3, epochs=3, seed=0),
        train(X, np.array([False, True], object)[truths.astype(int)], 3, epochs=3, seed=0),
        train(X, np.array([0, 1], object)[truths.astype(int)], 3, epochs=3, seed=0),
        train(X, values, (), solver="lbfgs", epochs=3, seed=0),
    ]
    nets.append(Network(nets[0].sizes, nets[0].activations, Loss.HUBER, nets[0].params, None, False, np.empty(0)))
    outcomes = [Outcome(place, net, net.status, None, 0.1 * place) for place, net in enumerate(nets)]
    outcomes.insert(3, Outcome(3, None, "failed", ValueError("no"), 0.2))
    for place, outcome in enumerate(outcomes):
        outcome.place = place
    sweep = Sweep([{"seed": place} for place in range(len(outcomes))], {}, outcomes)
    again = there_and_back(sweep, tmp_path)
    same(sweep, again, X)
    assert [type(net.classes[0]) for net in again if net and net.classes is not None and net.classes.dtype == object] == [
        bool,
        int,
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "out of time"},
        {"flat_targets": False},
        {"loss": Loss.HUBER},
        {"activations": (Activation.TANH,)},
        {"best_epoch": 2},
        {"loss_curve": np.ones(3, np.float32)},
        {"validation_curve": np.ones(3)},
        {"params": np.ones(13, np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nets_alike_but_for_one_thing(curve, tmp_path, change):
    X, y = curve
    net = train(X, y, 3, epochs=3, seed=0)
    nets = [net, dataclasses.replace(net, **change), net]
    sweep = Sweep([{}] * 3, {}, [Outcome(place, one, one.status) for place, one in enumerate(nets)])
    same(sweep, there_and_back(sweep, tmp_path), X)


def test_nets_that_diverged_failed_or_were_not_begun(blobs, tmp_path):
    X, y = blobs
    net = train(X, y, 2, epochs=1, seed=0)
    net.status = "diverged"
    errors = [
        TypeError("a"),
        ValueError("bä\n"),
        OSError(3, "c"),
        UnicodeDecodeError("utf8", b"x", 0, 1, "d"),
        MemoryError(),
    ]
    outcomes = [Outcome(place, None, "failed", error, 0.5) for place, error in enumerate(errors)]
    outcomes += [Outcome(5, None, "out of time"), Outcome(6, net, "diverged", None, 1 / 3)]
    again = there_and_back(Sweep([{"seed": place} for place in range(7)], {}, outcomes), tmp_path)
    assert again.statuses == ["failed"] * 5 + ["out of time", "diverged"]
    assert [(type(again.errors[place]), str(again.errors[place])) for place in range(5)] == [
        (TypeError, "a"),
        (ValueError, "bä\n"),
        (RuntimeError, "[Errno 3] c"),
        (ValueError, str(errors[3])),
        (RuntimeError, ""),
    ]
    assert sorted(again.errors) == [0, 1, 2, 3, 4]
    assert again.seconds.tolist() == [0.5] * 5 + [0, 1 / 3]
    assert [one is None for one in again] == [True] * 6 + [False]
    nothing = there_and_back(Sweep([{}], {}, [Outcome(0, None, "failed", ValueError("x"))]), tmp_path)
    assert (len(nothing), nothing[0], str(nothing.errors[0])) == (1, None, "x")


VALUES = [
    1, -(1 << 70), 0.1, 1e-300, float("inf"), True, False, None, "text", "ünï\ud800 $", (), (3, 2), [3, (2, [1, None])],
    ((),), np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint64((1 << 64) - 1), np.bool_(True),
    np.float16(0.1), np.str_("ab"), {0: 1.5, "b": (1, 2), (1, 2): np.int64(3)}, {},
    Loss.HUBER, Activation.TANH, np.float32, np.dtype("float64"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_as_they_were(tmp_path, value):
    sweep = Sweep([{"seed": 3, "a": value}], {"b": value}, [Outcome(0, None, "interrupted")])
    again = there_and_back(sweep, tmp_path)
    for ours, theirs in ((value, again.configs[0]["a"]), (value, again.common["b"])):
        assert theirs == ours
        assert type(theirs) is type(ours)
        assert repr(theirs) == repr(ours)
    assert list(again.configs[0]) == ["seed", "a"]


def a_metric(y_true, y_predicted):
    return 0.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.random.default_rng(0), "Generator(PCG64)"),
        (np.zeros((3, 2), np.float32), "array of shape (3, 2), float32"),
        (a_metric, "function a_metric>"),
        (schedules.exponential(decay=0.9), "not kept: "),
        (1j, "not kept: 1j>"),
        (np.longdouble(1), "not kept: "),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (int, "type int"),
        ({1}, "{1}"),
        (NotKept("gone"), "<not kept: gone>"),
        ("x" * 500, None),
        ({"x" * 500}, "..."),
    ],
)
def test_what_a_file_does_not_hold_is_told(tmp_path, value, text):
    sweep = Sweep([{"a": value, "b": (value, 1)}], {}, [Outcome(0, None, "interrupted")])
    again = there_and_back(sweep, tmp_path).configs[0]
    if text is None:
        assert again["a"] == value
        return
    assert isinstance(again["a"], NotKept)
    assert text in repr(again["a"])
    assert len(repr(again["a"])) < 220
    assert again["b"] == (again["a"], 1)


def test_nets_to_start_from_are_not_kept(blobs, tmp_path):
    X, y = blobs
    start = train(X, y, 3, epochs=1, seed=0)
    sweep = train_many(X, y, [{"seed": 0}], start=start, epochs=1, hidden=3)
    again = there_and_back(sweep, tmp_path)
    assert repr(again.common["start"]).startswith("<not kept: <Network 2-3-3 (relu), 1 epochs")
    same(sweep, again, X)
    # What is told goes into the next file as it is.
    twice = there_and_back(again, tmp_path)
    assert twice.common == again.common


def test_a_net_of_a_file_can_be_trained_again(blobs, tmp_path):
    X, y = blobs
    sweep = train_many(X, y, {"hidden": [(3,), (2, 2)], "learning_rate": [0.1, np.float32(0.01)]}, epochs=3)
    again = there_and_back(sweep, tmp_path)
    net = train(X, y, **{**again.common, **again.configs[3]})
    assert net.params.tobytes() == sweep[3].params.tobytes()


@pytest.fixture
def saved(blobs, tmp_path):
    """A sweep of two nets, one of them failed, and its file."""
    X, y = blobs
    with pytest.warns(RuntimeWarning, match="1 of 2 nets failed"):
        sweep = train_many(X, y, {"l2": [0.1, -1]}, hidden=2, epochs=2, validation=0.2, seed=0)
    return sweep, sweep.save(tmp_path / "sweep.safetensors")


def test_many_nets(blobs, tmp_path):
    X, y = blobs
    sweep = train_many(X, y, [{"hidden": 1 + place % 3, "seed": place, "l2": 0.1} for place in range(300)], epochs=2)
    many = Sweep(
        sweep.configs * 20, {}, [Outcome(place, sweep[place % 300], "finished", None, place) for place in range(6000)]
    )
    again = there_and_back(many, tmp_path)
    assert all(
        our.params.tobytes() == their.params.tobytes() and our.loss_curve.tobytes() == their.loss_curve.tobytes()
        for our, their in zip(many, again, strict=True)
    )
    assert again.configs == many.configs
    assert again.seconds.tolist() == list(range(6000))
    same(sweep, there_and_back(sweep, tmp_path), X)


def test_a_net_that_is_kept_does_not_keep_all_and_can_be_changed(saved):
    again = Sweep.load(saved[1])
    for array in (again[0].params, again[0].loss_curve, again[0].validation_scores):
        assert array.base is None
        array[:] = 0


def test_every_truncated_file_is_refused(saved):
    _, path = saved
    content = path.read_bytes()
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"{path.name}: not a whole safetensors file .*; save the sweep again"):
            Sweep.load(path)


def test_every_flipped_byte_is_noticed(saved):
    _, path = saved
    content = path.read_bytes()
    messages = "not a whole safetensors|the file is damaged, save the sweep|not one of fastmlp's"
    for place in range(0, len(content), 3):
        for mask in (1, 16, 128):
            changed = bytearray(content)
            changed[place] ^= mask
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=f"{path.name}: .*({messages})"):
                Sweep.load(path)


def test_newer_format(saved, monkeypatch):
    sweep, path = saved
    monkeypatch.setattr(storing, "FORMAT", 2)
    sweep.save(path)
    assert Sweep.load(path).statuses == sweep.statuses
    monkeypatch.undo()
    with pytest.raises(ValueError, match="written in format 2, newer than 1; update fastmlp"):
        Sweep.load(path)


def test_files_of_another_kind(saved, tmp_path):
    sweep, path = saved
    with pytest.raises(ValueError, match=r"the file holds a sweep, not a net; read it with fastmlp.Sweep.load"):
        fastmlp.load(path)
    net = sweep[0].save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"net: the file holds a net, not a sweep; read it with fastmlp.load"):
        Sweep.load(net)
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match=r"not one of fastmlp's; give one that Sweep.save wrote"):
        Sweep.load(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="nowhere: no such file"):
        Sweep.load(tmp_path / "nowhere")


def test_a_save_that_fails_leaves_the_old_file(saved, monkeypatch):
    sweep, path = saved
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        Sweep(sweep.configs[:1], {}, [Outcome(0, None, "interrupted")]).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_labels_that_cannot_be_saved(blobs, tmp_path):
    X, y = blobs
    sweep = train_many(X, np.array([date(2020, 1, 1), date(2021, 1, 1)])[y % 2], [{}], hidden=2, epochs=1)
    with pytest.raises(TypeError, match="cannot be saved: use numbers, truth values or strings"):
        sweep.save(tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


def test_the_same_sweep_gives_the_same_bytes(saved, tmp_path):
    sweep, path = saved
    assert sweep.save(str(tmp_path / "again")).read_bytes() == path.read_bytes()
    assert Sweep.load(str(path)).save(tmp_path / "third").read_bytes() == path.read_bytes()


def test_header_says_once_what_nets_share(blobs, tmp_path):
    X, y = blobs
    path = train_many(X, y, {"seed": range(50)}, hidden=2, epochs=1).save(tmp_path / "sweep")
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    described = json.loads(header["__metadata__"]["fastmlp_sweep"])
    assert (len(described["kinds"]), len(described["labels"])) == (1, 1)
    assert described["format"] == storing.FORMAT == storage.FORMAT == 1
    assert header["params.float64"]["shape"] == [50 * 15]
