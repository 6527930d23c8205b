"""What a training has reached, in files: the bits of a training that goes on from them, and files that lie."""

import warnings

import numpy as np
import pytest

from fastmlp import initialise, load, storage, train, train_many
from test_continuing import CASES, EPOCHS, bits, by_case

GENERATORS = {
    name: lambda name=name: np.random.Generator(getattr(np.random, name)(7)) for name in initialise.BIT_GENERATORS
}


pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def pieces(X, y, path, lengths, **options):
    """Trainings one after the other; between them nets come out of files, if there is a path."""
    options = {"hidden": 4, "batch_size": 16, "learning_rate": 0.03, "seed": int, **options}
    if options.get("solver") in ("rprop", "lbfgs"):
        options["batch_size"] = None
    seed, net = options.pop("seed")(7), None
    for epochs in lengths:
        net = train(X, y, start=net, epochs=epochs, seed=seed if net is None else None, **options)
        if path is not None:
            net = load(net.save(path, training=True))
    return net


@by_case
@pytest.mark.parametrize(("engine", "dtype"), [("kernels", "float32"), ("reference", "float64")])
def test_going_on_from_files(blobs, path, options, engine, dtype):
    options = {"dtype": dtype, "engine": engine, **options}
    whole = pieces(*blobs, None, [EPOCHS], **options)
    for lengths in ([4, EPOCHS - 4], [1, 3, EPOCHS - 4]):
        net = pieces(*blobs, path, lengths, **options)
        assert (bits(net), net.status, net.n_epochs) == (bits(whole), whole.status, whole.n_epochs)
    # What was loaded is written as it was.
    content = path.read_bytes()
    assert load(path).save(path, training=True).read_bytes() == content
    assert net.save(path, training=True).read_bytes() == content


@pytest.mark.parametrize("kind", [*GENERATORS, "RandomState"])
def test_random_numbers_go_on(blobs, path, kind):
    make = GENERATORS.get(kind, lambda: np.random.RandomState(7))
    options = {"shuffle": "blocks", "seed": lambda _: make()}
    assert bits(pieces(*blobs, path, [2, 3], **options)) == bits(pieces(*blobs, None, [5], **options))


@pytest.mark.parametrize("source", ["RandomState", "Generator"])
def test_what_a_source_holds_back_goes_on(source):
    random = np.random.RandomState(7) if source == "RandomState" else np.random.default_rng(7)
    _ = random.standard_normal() if source == "RandomState" else random.integers(9, dtype=np.int32)
    again = initialise.Remembered.of(initialise.Remembered(random).described()).restored()
    draw = (lambda of: of.randn(3)) if source == "RandomState" else (lambda of: of.integers(9, size=3, dtype=np.int32))
    np.testing.assert_array_equal(draw(again), draw(random))


def test_nets_trained_abreast_go_on(blobs, path):
    options = {"hidden": 4, "batch_size": 16, "validation": 0.3}
    nets = train_many(*blobs, [{"seed": seed} for seed in range(4)], epochs=4, **options)
    for net, whole in zip(
        nets, train_many(*blobs, [{"seed": seed} for seed in range(4)], epochs=7, **options), strict=True
    ):
        again = load(net.save(path, training=True))
        assert bits(train(*blobs, start=again, epochs=3, **options)) == bits(whole)


def test_without_the_training_there_is_none(blobs, path):
    net = pieces(*blobs, None, [2])
    assert load(net.save(path))._training is None
    small = path.stat().st_size
    with pytest.raises(ValueError, match="this net has no training to go on with; save it without"):
        load(path).save(path, training=True)
    assert path.stat().st_size == small < net.save(path, training=True).stat().st_size


def test_a_source_that_is_not_numpys_own_cannot_be_written(blobs, path):
    class Own(np.random.PCG64):
        @property
        def state(self):
            return {**super().state, "bit_generator": "Own"}

        @state.setter
        def state(self, state):
            np.random.PCG64.state.__set__(self, {**state, "bit_generator": "PCG64"})

    for seed in (np.random.Generator(Own(1)), np.random.RandomState(np.random.PCG64(1))):
        net = pieces(*blobs, None, [2], seed=lambda _, seed=seed: seed)
        with pytest.raises(TypeError, match="cannot be written"):
            net.save(path, training=True)
        assert not path.exists()
        net.save(path)
        path.unlink()


def state(**changes):
    """A change of the state's header."""
    return lambda header, arrays: header["training"].update(changes)


def array(name, make):
    """A change of one of the state's arrays."""
    return lambda header, arrays: arrays.update({f"training.{name}": make(arrays[f"training.{name}"])})


def without(name):
    return lambda header, arrays: arrays.pop(f"training.{name}")


def random(change):
    return lambda header, arrays: change(header["training"]["random"])


def in_random(**changes):
    return random(lambda source: source["state"].update(changes))


def in_numbers(**changes):
    return random(lambda source: source["state"]["state"].update(changes))


LIES = {
    "no header": lambda header, arrays: header.update(training=None),
    "a list": lambda header, arrays: header.update(training=[1]),
    **{f"no {name}": lambda header, arrays, name=name: header["training"].pop(name) for name in (
        "solver", "hyperparameters", "dropout", "step", "key", "stalled", "random", "counted", "n_rows", "share",
        "best_epoch", "best_stalled", "validated", "iterations",
    )},
    "unknown solver": state(solver="newton"), "solver is a number": state(solver=1), "another solver": state(solver="sgd"),
    "unknown setting": lambda header, arrays: header["training"]["hyperparameters"].update(warp=9),
    "no etas": lambda header, arrays: header["training"]["hyperparameters"].pop("etas"),
    "dropout is a number": state(dropout=0.5),
    **{f"{name}={value}": state(**{name: value}) for name in (
        "step", "key", "stalled", "n_rows", "best_epoch", "best_stalled", "iterations"
    ) for value in (-1, 1 << 63, 1 << 90, 0.5, "1", None, True, [1])},
    "more iterations than epochs": state(iterations=5),
    **{f"counted {value}": state(counted=value) for value in (
        [], [1], 3, "ab", {"key": 1}, [1, 1, 1], [-1, 1], [1 << 80, 1], [1, 0.5], [1, None]
    )},
    "fewer rows": state(n_rows=20), "no rows": state(n_rows=0), "validated is a number": state(validated=3),
    **{f"no {name}": without(name) for name in ("params", "order", "scalars")},
    **{f"{name} {what}": array(name, change)
    for name in ("params", "best_params", "moments", "previous") for what, change in (
        ("too long", lambda part: np.concatenate([part, part], axis=-1)), ("too short", lambda part: part[..., :-1]),
        ("of another dtype", lambda part: part.astype(np.float32)), ("whole numbers", lambda part: part.astype(np.int64)),
        ("deep", lambda part: part[np.newaxis]), ("empty", lambda part: part[..., :0]),
    )},
    "params not finite": array("params", lambda part: part * np.nan),
    "best not finite": array("best_params", lambda part: part / 0.0),
    "fewer moments": array("moments", lambda part: part[:1]),
    "more moments": array("moments", lambda part: part[[0, 1, 1]]),
    "penalties of another dtype": array("penalties", lambda part: part.astype(np.int8)),
    "deep penalties": array("penalties", lambda part: part[np.newaxis]),
    "order of floats": array("order", lambda part: np.ones(63)),
    "deep order": array("order", lambda part: part[np.newaxis]),
    **{f"held out {what}": array("held_out", change) for what, change in (
        ("none", lambda rows: rows[:0]), ("too large", lambda rows: rows + 1000), ("negative", lambda rows: rows - 100),
        ("turned", lambda rows: rows[::-1]), ("twice", lambda rows: np.repeat(rows, 2)),
        ("floats", lambda rows: rows * 1.0),
        ("all", lambda rows: np.arange(90)), ("deep", lambda rows: rows[np.newaxis]),
    )},
    "scalars too long": array("scalars", lambda part: np.ones(4)),
    "scalars too short": array("scalars", lambda part: part[:2]),
    **{f"rate factor {value}": array("scalars", lambda part, value=value: np.array([1.0, value, 1.0])) for value in (
        0.0, -1.0, 2.0, np.nan, np.inf
    )},
    "no generator": state(random=None), "random number": state(random=7),
    "no legacy": random(lambda part: part.pop("legacy")),
    "unknown generator": in_random(bit_generator="Generator"), "a function": in_random(bit_generator="seed"),
    "another generator": in_random(bit_generator="MT19937"), "Philox": in_random(bit_generator="Philox"),
    "legacy": random(lambda part: part.update(legacy=True)), "no numbers": in_random(state=None),
    "one number": in_random(state=1), "no increment": random(lambda part: part["state"]["state"].pop("inc")),
    "large number": in_numbers(state=1 << 200), "negative number": in_numbers(state=-1), "a word": in_numbers(inc="1"),
    "has_uint32": in_random(has_uint32=1 << 80),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(blobs):
    """A net with all that a state may have."""
    return train(*blobs, 4, epochs=4, seed=1, batch_size=16, validation=0.3, dropout=0.2)


def changed(net, path, change):
    """A file that was changed, with a digest that is right."""
    net.save(path, training=True)
    header, arrays = storage.read(path, storage.NET, storage.FORMAT, storage._check_net)
    change(header, arrays)
    return storage.write(path, storage.NET, header, arrays, storage._check_net)


@pytest.mark.filterwarnings("ignore:invalid value|divide by zero")
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_files_that_lie_are_refused(saved, path, lie):
    changed(saved, path, lie)
    with pytest.raises(ValueError, match=r"net.safetensors: the training's state is not one of fastmlp's .*; save"):
        load(path)


PLACES = {
    "MT19937": [{"state": {"key": [1] * 624, "pos": pos}} for pos in (-1, 625, 1 << 40, 0.5, None)]
    + [{"state": {"key": key, "pos": 0}} for key in ([], [1] * 623, [-1] * 624, [1 << 40] * 624, ["a"] * 624, None, 3)],
    "Philox": [{"buffer_pos": pos} for pos in (-1, 5, 1 << 40, 0.5, None)]
    + [{"buffer": [1] * 3}, {"buffer": None}, {"state": {"counter": [1], "key": [1, 1]}}],
    "SFC64": [{"state": {"state": [1, 2]}}, {"state": {"state": [-1] * 4}}, {"state": {"state": None}}],
}


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (make, change)
        for name, changes in PLACES.items()
        for make in ([GENERATORS[name], np.random.RandomState] if name == "MT19937" else [GENERATORS[name]])
        for change in changes
    ],
)
def test_random_numbers_that_are_none_are_refused(make, change):
    """Some generators read from whatever place they are told."""
    source = make()
    described = initialise.Remembered(source).described()
    described["state"].update(change)
    with pytest.raises((ValueError, TypeError, KeyError)):
        initialise.Remembered.of(described)


@pytest.mark.parametrize("engine", ["kernels", "reference"])
@pytest.mark.parametrize("name", ["RandomState", "validation, accuracy", "lbfgs", "rprop", "plain", "l1 and l2"])
def test_what_cannot_be_told_from_the_truth_crashes_nothing(blobs, path, name, engine):
    """Orders of other rows, sums of other lengths, counts that are too large: a net comes out, if not the same."""
    options = {"engine": engine, "hidden": 4, "batch_size": 16, **CASES[name]}
    options.pop("seed", None)
    if options.get("solver") in ("rprop", "lbfgs"):
        options["batch_size"] = None
    net = train(*blobs, epochs=4, seed=np.random.RandomState(1), **options)
    changes = [
        array("order", lambda part: part + 1000), array("order", lambda part: -part), array("order", lambda part: part[:3]),
        array("order", lambda part: np.full(90, 5)), state(step=(1 << 62) - 1), state(key=(1 << 62) - 1),
        state(counted=[5, (1 << 62) - 1]), state(stalled=(1 << 62) - 1),
        array("moments", lambda part: part * np.nan), state(n_rows=100), state(validated=["loss", 1, 2, 3]),
    ]  # fmt: skip
    if engine == "kernels":
        changes += [array("penalties", lambda part: part[:1]), array("penalties", lambda part: np.tile(part, 9))]
    refused = []
    for change in changes:
        try:
            start = load(changed(net, path, change))
        except ValueError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                again = train(*blobs, start=start, epochs=2, **options)
            except ValueError as error:
                refused.append(str(error))
                continue
        assert again.n_epochs <= 6
    assert all("give the same" in message for message in refused)
