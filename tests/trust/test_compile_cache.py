"""The compile cache gives right code or none: cold processes at once, and damaged and foreign files."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

import fastmlp
from fastmlp.kernels import cache as kept
from fastmlp.kernels.jit import entry
from kernels_kept import IS_ROOT, SOMEBODY, check, double, files_in, triple, whole

# Cold processes.

COLD = """
import hashlib, json, sys, time
from pathlib import Path
import numpy as np
import fastmlp
from fastmlp.kernels import epochs

X, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 3
net = fastmlp.load(sys.argv[1])
while not Path(sys.argv[2]).exists():
    time.sleep(0.001)
if sys.argv[3] == "train":
    net = fastmlp.train(X, y, 3, epochs=5, batch_size=8, seed=0)
told = {"params": net.params.tobytes().hex(), "predicted": net.predict_proba(X).tobytes().hex()}
print(json.dumps([told, sum(sum(e.stats.cache_misses.values()) for e in (epochs.run_blocks, epochs.predict))]))
"""


def start(cache, *arguments, **environment):
    command = [sys.executable, "-W", "error", "-c", COLD, *map(str, arguments)]
    environment = {**os.environ, "FASTMLP_CACHE_DIR": str(cache), **environment}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    """What the process told, and how much it compiled."""
    out, errors = process.communicate(timeout=1800)
    assert (process.returncode, errors) == (0, "")
    return json.loads(out)


@pytest.fixture(scope="module")
def net_file(tmp_path_factory):
    X, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 3
    net = fastmlp.train(X, y, 3, epochs=2, seed=0, engine="reference")
    return net.save(tmp_path_factory.mktemp("net") / "net.safetensors")


@pytest.mark.long
def test_cold_at_once(trials, count, net_file, tmp_path, request):
    full = request.config.getoption("full")
    with trials("16 processes cold at once") as trial:
        first = None
        for turn in range(count(1, 3)):
            cache, go = tmp_path / f"cache{turn}", tmp_path / f"go{turn}"
            processes = [start(cache, net_file, go, "train" if full else "predict") for _ in range(count(4, 16))]
            time.sleep(2)
            go.touch()
            for place, process in enumerate(processes):
                with trial.case(f"round {turn}, process {place}"):
                    told, _ = finish(process)
                    first = first or told
                    assert told == first
            with trial.case(f"round {turn}, afterwards"):
                names = [file.name.split("-")[0] for file in whole(cache)]
                assert names == (["draw_orders", "predict", "run_blocks"] if full else ["predict"])
                assert finish(start(cache, net_file, go, "train" if full else "predict")) == [first, 0]


# Damaged files.


def rewritten(change):
    """Damage that changes the content."""

    def damage(file, others, random):
        content = bytearray(file.read_bytes())
        file.write_bytes(change(content, random))

    damage.__name__ = change.__name__
    return damage


@rewritten
def truncated(content, random):
    return content[: random.integers(len(content))]


@rewritten
def bit_flipped(content, random):
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    return content


@rewritten
def emptied(content, random):
    return b""


@rewritten
def zeroed_from_somewhere(content, random):
    place = random.integers(len(content) - kept.DIGEST_BYTES)
    return content[:place] + bytes(len(content) - place)


@rewritten
def lengthened(content, random):
    return content + random.bytes(random.integers(1, 100))


@rewritten
def garbage_digest(content, random):
    return content[: -kept.DIGEST_BYTES] + random.bytes(kept.DIGEST_BYTES)


@rewritten
def garbage(content, random):
    return random.bytes(len(content))


@rewritten
def without_key(content, random):
    """As files were before they said what they are for."""
    payload = content[kept.DIGEST_BYTES : -kept.DIGEST_BYTES]
    return payload + hashlib.sha256(payload).digest()


@rewritten
def foreign_pickle(content, random):
    inside = bytes(content[: kept.DIGEST_BYTES]) + pickle.dumps(random.standard_normal(100))
    return inside + hashlib.sha256(inside).digest()


def of_another(name):
    """A whole file that was made for something else, under this name."""

    def damage(file, others, random):
        file.write_bytes(others[name])

    damage.__name__ = f"of another {name}"
    return damage


def folder_in_its_place(file, others, random):
    file.unlink()
    file.mkdir()
    (file / "file").write_text("")


def pipe(file, others, random):
    file.unlink()
    os.mkfifo(file)


def link_to_nowhere(file, others, random):
    file.unlink()
    file.symlink_to("nowhere")


def link_to_itself(file, others, random):
    file.unlink()
    file.symlink_to(file.name)


def open_to_all(file, others, random):
    file.chmod(0o666)


def of_another_user(file, others, random):
    os.chown(file, SOMEBODY, SOMEBODY)


DAMAGES = [
    truncated, bit_flipped, emptied, zeroed_from_somewhere, lengthened, garbage_digest, garbage, without_key,
    foreign_pickle, *map(of_another, ("function", "signature", "stamp", "CPU")), folder_in_its_place, pipe,
    link_to_nowhere, link_to_itself, open_to_all, *([of_another_user] if IS_ROOT else []),
]  # fmt: skip


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def others(cache, monkeypatch):
    """Whole files that do not fit: of another function, signature, stamp and CPU."""

    def made(function=double, factor=2, dtype=np.float32):
        check(function, factor, 0, dtype)
        (file,) = files_in(cache)
        content = file.read_bytes()
        file.unlink()
        return content

    contents = {"function": made(triple, 3), "signature": made(dtype=np.float64)}
    with monkeypatch.context() as patch:
        patch.setattr(kept, "stamp", lambda: "0123456789abcdef")
        contents["stamp"] = made()
    codegen = type(entry(double).targetctx.codegen())
    with monkeypatch.context() as patch:
        patch.setattr(codegen, "magic_tuple", lambda self: ("x86_64-unknown-linux-gnu", "i486", ""))
        contents["CPU"] = made()
    assert len(set(contents.values())) == 4
    return contents


@pytest.mark.long
def test_damaged_or_foreign_files(trials, count, cache, others):
    random = np.random.default_rng(142)
    check(hits=0)
    (file,) = whole(cache)
    with trials("damaged or foreign cache files") as trial:
        for damage in [damage for damage in DAMAGES for _ in range(count(1, 6))]:
            with trial.case(damage.__name__):
                check(hits=1)
                damage(file, others, random)
                check(hits=0)
                if damage is folder_in_its_place:
                    shutil.rmtree(file)
                    check(hits=0)
                # What was damaged has been replaced, and is found.
                assert whole(cache) == [file]
                check(hits=1)


@pytest.mark.long
def test_damaged_kernels(trials, count, net_file, tmp_path):
    """Those of the package, by whole processes."""
    random = np.random.default_rng(143)
    cache, go = tmp_path / "cache", tmp_path
    first = finish(start(cache, net_file, go, "predict"))
    assert first[1] == 1
    (file,) = whole(cache)
    with trials("damaged or foreign cache files") as trial:
        for damage in count([bit_flipped], [truncated, bit_flipped, emptied, garbage_digest, open_to_all]):
            with trial.case(f"predict, {damage.__name__}"):
                damage(file, {}, random)
                assert finish(start(cache, net_file, go, "predict")) == first
                assert whole(cache) == [file]
                assert finish(start(cache, net_file, go, "predict")) == [first[0], 0]
