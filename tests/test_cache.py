"""The disk cache: it saves compiling, never runs stale code, and no harm to it does any."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import fastmlp
from fastmlp.kernels import cache as kept

PACKAGE = Path(fastmlp.__file__).parent
# Trains nets of three shapes with few options and with many, in float32, and tells what came of it; the last net is saved.
TRAIN = """
net_file = sys.argv[1]
y = np.arange(30) % 3
read_only = np.frombuffer(X.tobytes(), np.float32).reshape(X.shape)
for hidden, batch_size, rows in (((), None, X), (3, 7, read_only), ((5, 4), 30, X)):
    for settings in ({"solver": "sgd"}, {"solver": "rmsprop", "l1": 0.1, "dropout": 0.2, "sample_weight": np.arange(30.0)}):
        net = fastmlp.train(rows, y, hidden, activation="tanh", batch_size=batch_size, epochs=3, seed=0, **settings)
        digest.update(net.params.tobytes())
net.save(net_file)
told["trained"] = digest.hexdigest()
"""
# Predicts with the net saved, which takes less compiling.
PREDICT = """
net = fastmlp.load(sys.argv[1])
told["predicted"] = net.predict_proba(X).tolist()
told["signatures"] = [len(entry.signatures) for entry in entries]
told["hits"] = [sum(entry.stats.cache_hits.values()) for entry in entries]
told["folder"] = entries[1].stats.cache_path
"""
START = """
import hashlib, json, sys
import numpy as np
import fastmlp
from fastmlp.kernels import cache as kept, epochs

X = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
entries, digest, told = (epochs.run_blocks, epochs.predict), hashlib.sha256(), {"package": fastmlp.__file__}
"""
END = "print(json.dumps(told))"


def begin(package, cache, code, *arguments):
    """A process that imports fastmlp from the folder `package` and keeps compiled kernels in `cache`."""
    environment = {**os.environ, "PYTHONPATH": str(package), "FASTMLP_CACHE_DIR": str(cache)}
    command = [sys.executable, "-W", "error", "-c", START + code + END, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, package):
    """What the process told."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert errors == ""
    told = json.loads(out)
    assert Path(told["package"]).is_relative_to(package)
    return told


def copy_of_package(folder):
    shutil.copytree(PACKAGE, folder / "fastmlp", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


class Trained(NamedTuple):
    """A first process: its package, its cache, the net it saved and what it told."""

    package: Path
    cache: Path
    net_file: Path
    told: dict


KERNEL = f"run_slabs-{'0' * 24}.bin"
# What lies where stamps do, how many days old it is, and the files in it: two stamps, one of them stale, one that somebody
# has put a file in, and what has never been one.
OLDER = {
    "0123456789abcdef": (60, [KERNEL]),
    "fedcba9876543210": (5, [KERNEL]),
    "00112233445566ff": (60, [KERNEL, "notes.txt"]),
    "src": (60, ["main.py", KERNEL]),
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Trained on an empty cache, beside whose folder lay others of old."""
    package, cache = copy_of_package(tmp_path_factory.mktemp("package")), tmp_path_factory.mktemp("cache")
    for name, (days, files) in OLDER.items():
        folder = cache / "fastmlp" / name
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("")
        then = folder.stat().st_mtime - days * 24 * 3600
        os.utime(folder, (then, then))
    net_file = cache.parent / "net.safetensors"
    return Trained(package, cache, net_file, finish(begin(package, cache, TRAIN + PREDICT, net_file), package))


def test_new_shapes_compile_nothing(first):
    assert first.told["signatures"] == [1, 1]
    assert first.told["hits"] == [0, 0]


def test_one_file_for_each_function_and_no_leftovers(first):
    folder = Path(first.told["folder"])
    assert folder.parent == first.cache / "fastmlp"
    names = sorted(file.name.split("-")[0] for file in folder.iterdir())
    assert names == ["draw_orders", "predict", "run_blocks"]
    assert {file.suffix for file in folder.iterdir()} == {".bin"}


def test_stamps_nobody_used_for_a_month_are_removed_and_nothing_else(first):
    left = {folder.name: sorted(file.name for file in folder.iterdir()) for folder in (first.cache / "fastmlp").iterdir()}
    del left[Path(first.told["folder"]).name]
    assert left == {"fedcba9876543210": [KERNEL], "00112233445566ff": ["notes.txt"], "src": sorted(OLDER["src"][1])}


def test_second_process_compiles_nothing(first):
    again = finish(begin(first.package, first.cache, TRAIN + PREDICT, first.net_file), first.package)
    assert again == {**first.told, "hits": [1, 1]}


def truncate(file):
    file.write_bytes(file.read_bytes()[:1000])


def replace_by_another(file):
    payload = pickle.dumps("whole, but nothing that was compiled")
    file.write_bytes(payload + hashlib.sha256(payload).digest())


HARMS = [truncate, replace_by_another]


@pytest.fixture(scope="module")
def later(first, tmp_path_factory):
    """What processes tell that find damaged caches, no folder that could be written, and other options' code."""
    places = {}
    for harm in HARMS:
        cache = tmp_path_factory.mktemp(harm.__name__)
        shutil.copytree(first.cache, cache, dirs_exist_ok=True)
        (file,) = cache.glob("fastmlp/*/predict-*.bin")
        harm(file)
        places[harm.__name__] = first.package, cache
    blocked = tmp_path_factory.mktemp("blocked") / "file"
    blocked.write_text("not a folder")
    places["blocked"] = first.package, blocked
    renumbered = copy_of_package(tmp_path_factory.mktemp("renumbered"))
    options = renumbered / "fastmlp" / "options.py"
    text = options.read_text()
    assert text.count("TANH = 2") == text.count("RELU = 3") == 1
    options.write_text(text.replace("TANH = 2", "TANH = 3").replace("RELU = 3", "RELU = 2"))
    places["renumbered"] = renumbered, first.cache
    processes = {name: begin(*place, PREDICT, first.net_file) for name, place in places.items()}
    return {name: finish(process, places[name][0]) for name, process in processes.items()}


@pytest.mark.parametrize("name", ["blocked", *(harm.__name__ for harm in HARMS)])
def test_harm_costs_no_more_than_compiling(first, later, name):
    assert later[name]["predicted"] == first.told["predicted"]
    assert later[name]["hits"] == [0, 0]


@pytest.mark.parametrize("name", [harm.__name__ for harm in HARMS])
def test_damaged_files_are_replaced(first, later, name):
    (file,) = Path(later[name]["folder"]).glob("predict-*.bin")
    content = file.read_bytes()
    assert len(content) > 10_000
    assert hashlib.sha256(content[: -kept.DIGEST_BYTES]).digest() == content[-kept.DIGEST_BYTES :]


def test_kernels_of_other_options_are_not_run(first, later):
    """With two activations' numbers exchanged, stale kernels would take the one for the other."""
    told = later["renumbered"]
    assert told["hits"] == [0, 0]
    assert told["folder"] != first.told["folder"]
    assert told["predicted"] == first.told["predicted"]


EDITS = """
from pathlib import Path

here = Path(fastmlp.__file__).parent
told["stamps"] = [kept.stamp()]
for file in [*sorted((here / "kernels").glob("*.py")), here / "options.py"]:
    file.write_text(file.read_text() + "# edited\\n")
    kept.stamp.cache_clear()
    told["stamps"].append(kept.stamp())
(here / "kernels" / "new.py").write_text("")
kept.stamp.cache_clear()
told["stamps"].append(kept.stamp())
"""


def test_every_edit_is_noticed(tmp_path):
    copy_of_package(tmp_path)
    stamps = finish(begin(tmp_path, tmp_path / "cache", EDITS), tmp_path)["stamps"]
    assert len(stamps) == len(set(stamps)) == len(list((PACKAGE / "kernels").glob("*.py"))) + 3
    assert stamps[0] == kept.stamp()


@pytest.mark.parametrize("change", [("FASTMLP_LANES", "4"), ("NUMBA_OPT", "1"), ("NUMBA_BOUNDSCHECK", "1")])
def test_settings_are_part_of_the_stamp(tmp_path, monkeypatch, change):
    monkeypatch.setenv(*change)
    told = finish(begin(PACKAGE.parent, tmp_path, "told['stamp'] = kept.stamp()\n"), PACKAGE.parent)
    assert told["stamp"] != kept.stamp()


def test_folder_goes_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path / "ours"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numbas"))
    assert kept.cache_folder() == tmp_path / "ours" / "fastmlp"
    monkeypatch.delenv("FASTMLP_CACHE_DIR")
    assert kept.cache_folder() == tmp_path / "numbas" / "fastmlp"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    if sys.platform == "linux":
        assert kept.cache_folder() == tmp_path / "user" / "fastmlp"


def test_other_pythons_have_code_of_their_own(monkeypatch):
    before = kept.stamp()
    monkeypatch.setattr(sys, "version", "3.99.0")
    kept.stamp.cache_clear()
    try:
        assert kept.stamp() != before
    finally:
        kept.stamp.cache_clear()


def test_relative_folders_do_not_move_with_the_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMLP_CACHE_DIR", "here")
    assert kept.cache_folder() == tmp_path / "here" / "fastmlp"
    monkeypatch.setenv("FASTMLP_CACHE_DIR", "~/there")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept.cache_folder() == tmp_path / "home" / "there" / "fastmlp"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it goes by other things")
@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_without_a_home_there_is_no_folder(monkeypatch, variable):
    """Least of all one where the process happens to be."""
    for name in ("FASTMLP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "caches")
    assert kept.cache_folder() is None


UNKNOWN = """
import json, sys
import numba
numba.version_info = (99, 0)
import numpy as np
import fastmlp
from fastmlp.kernels import jit
from numba.core import compiler

assert jit.PartCompiler is jit.EntryCompiler is compiler.Compiler
X = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
net = fastmlp.train(X, np.arange(30) % 2, 3, epochs=3, seed=0)
print(json.dumps(net.params.tolist() + net.predict_proba(X)[:, 0].tolist()))
"""


def test_unknown_versions_of_numba_give_the_same(tmp_path):
    environment = {**os.environ, "FASTMLP_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", UNKNOWN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    X = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
    net = fastmlp.train(X, np.arange(30) % 2, 3, epochs=3, seed=0)
    assert json.loads(done.stdout) == net.params.tolist() + net.predict_proba(X)[:, 0].tolist()
