import json
import os
import tracemalloc
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import fastmlp
from fastmlp import Network, storage, train
from fastmlp.options import Activation, Loss

LABELS = {
    "int": np.array([3, -1, 7]),
    "uint8": np.array([3, 1, 7], np.uint8),
    "str": np.array(["blue", "a", "ünïcode"]),
    "object": np.array(["blue", "a", "red"], object),
    "object-int": np.array([2**70, 5, 1], object),
    "float": np.array([0.1, 2.0, 1e300]),
    "half": np.array([0.1, 2.0, 3.0], np.float16),
    "other-end": np.array([3, 1, 7], ">i8"),
    "padded": np.array(["b", "a", ""], "U300"),
    "surrogate": np.array(["b", "\ud800", "\U0001f600"]),
    "objects": np.array([1.5, 2, True], object),
}
if hasattr(np.dtypes, "StringDType"):
    LABELS["strings"] = np.array(["blue", "a", "ünïcode"], np.dtypes.StringDType())


def same(a, b):
    assert (a.sizes, a.activations, a.loss, a.flat_targets) == (b.sizes, b.activations, b.loss, b.flat_targets)
    assert a.dtype == b.dtype
    assert a.params.tobytes() == b.params.tobytes()
    assert a.loss_curve.tobytes() == b.loss_curve.tobytes()
    assert a.loss_curve.dtype == b.loss_curve.dtype


@pytest.mark.parametrize("kind", LABELS)
def test_round_trip_of_labels(blobs, tmp_path, kind):
    X, y = blobs
    net = train(X, LABELS[kind][y], (4, 3), activation=["tanh", "relu"], loss="cross_entropy", epochs=3, seed=0)
    path = net.save(tmp_path / "net.safetensors")
    again = fastmlp.load(path)
    same(net, again)
    assert again.classes.dtype == net.classes.dtype
    assert again.classes.tolist() == net.classes.tolist()
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert again.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


def test_round_trip_of_truth_values(blobs, tmp_path):
    X, y = blobs
    net = train(X, y > 0, 3, loss="binary_cross_entropy", epochs=2, seed=0)
    again = fastmlp.load(net.save(tmp_path / "net"))
    same(net, again)
    assert again.predict(X).dtype == bool


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_of_regression_and_labels_without_hidden_layer(curve, tmp_path, dtype):
    X, y = curve
    several = np.column_stack([y > 0, y > 0.5]).astype(int)
    for targets in (y, np.column_stack([y, 2 * y]), several):
        net = train(X, targets, (), dtype=dtype, epochs=2, seed=0)
        again = fastmlp.load(str(net.save(str(tmp_path / "net"))))
        same(net, again)
        assert again.classes is None
        assert again.dtype == dtype
        assert again.predict(X).tobytes() == net.predict(X).tobytes()


@pytest.fixture
def saved(blobs, tmp_path):
    """A net and its file."""
    net = train(*blobs, 3, epochs=2, seed=0)
    return net, net.save(tmp_path / "net.safetensors")


def test_what_was_loaded_saves_as_before(saved, tmp_path):
    net, path = saved
    again = fastmlp.load(path)
    same(net, fastmlp.load(again.save(tmp_path / "again")))
    # An existing file is replaced.
    again.params[:] = 0
    assert not fastmlp.load(again.save(path)).params.any()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_truncated_file(saved, share):
    _, path = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=f"{path.name}: not a whole safetensors file"):
        fastmlp.load(path)


def test_flipped_bit_in_a_parameter(saved):
    _, path = saved
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not match its digest; the file is damaged"):
        fastmlp.load(path)


def test_changed_header(saved):
    _, path = saved
    content = path.read_bytes()
    assert content.count(b"relu") == 1
    path.write_bytes(content.replace(b"relu", b"tanh"))
    with pytest.raises(ValueError, match="does not match its digest"):
        fastmlp.load(path)


def test_foreign_files(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="not one of fastmlp's; give one that Network"):
        fastmlp.load(path)
    path.write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        fastmlp.load(path)


def test_missing_file_and_folder(saved, tmp_path):
    net, _ = saved
    with pytest.raises(FileNotFoundError, match="nowhere: no such file"):
        fastmlp.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        fastmlp.load(tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        net.save(tmp_path / "nowhere" / "net")


def test_what_could_not_be_read_again_is_not_written(saved):
    net, path = saved
    before = path.read_bytes()
    net.params[3] = np.nan
    with pytest.raises(
        ValueError, match=r"net.safetensors: not saved, .* 'weights.0' holds NaN or infinity; correct the net"
    ):
        net.save(path)
    net.params[3], net.status = 0, "fine"
    with pytest.raises(ValueError, match="status is 'fine', none of finished, stopped early"):
        net.save(path)
    assert path.read_bytes() == before


def test_files_of_the_first_version(saved):
    """They had neither a status nor a best epoch."""
    net, path = saved
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["fastmlp"])
    for name in ("status", "best_epoch", "sha256"):
        del header[name]
    with safe_open(path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    header["sha256"] = storage.digest_of(header, arrays)
    save_file(arrays, path, {"fastmlp": json.dumps(header)})
    again = fastmlp.load(path)
    same(net, again)
    assert (again.status, again.best_epoch) == ("finished", None)


def test_loading_takes_twice_the_file_at_most(tmp_path):
    sizes = (1000, 1500, 3)
    n_params = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    params = np.random.default_rng(0).standard_normal(n_params)
    net = Network(sizes, (Activation.TANH,), Loss.CROSS_ENTROPY, params, np.arange(3), True, np.empty(0))
    path = net.save(tmp_path / "net")
    tracemalloc.start()
    again = fastmlp.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    same(net, again)
    assert peak < 2.2 * path.stat().st_size
    # What is kept does not keep more.
    assert all(array.base is None for array in (again.params, again.loss_curve))


def test_newer_format(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "FORMAT", storage.FORMAT + 1)
    path = train(*blobs, 3, epochs=1, seed=0).save(tmp_path / "net")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="newer than 1; update fastmlp"):
        fastmlp.load(path)


def test_failed_save_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    net, path = saved
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    net.params[:] = 0
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        net.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_saved_file_has_the_usual_permissions(saved):
    _, path = saved
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("labels", [np.array([date(2020, 1, 1), date(2021, 1, 1)]), np.array([b"a", b"b"])])
def test_labels_that_cannot_be_saved(blobs, tmp_path, labels):
    X, y = blobs
    net = train(X, labels[y % 2], 3, epochs=1, seed=0)
    with pytest.raises(TypeError, match="cannot be saved: use numbers, truth values or strings"):
        net.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_header_is_readable_by_others(saved):
    """An 8-byte length, then JSON: what any safetensors reader sees."""
    net, path = saved
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["weights.0"]["shape"] == [2, 3]
    described = json.loads(header["__metadata__"]["fastmlp"])
    assert described["sizes"] == list(net.sizes)
    assert described["activations"] == ["relu"]
    assert described["classes"]["values"] == [0, 1, 2]
