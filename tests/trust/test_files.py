"""Files cut, damaged or made to harm, and writes that fail: nothing wrong is read, nothing that was there is lost."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from crafted import READERS, a_model, a_net, a_sweep
from fastmlp import writing
from hostile import cases
from tables_in_files import flowers, run, write_csv

# Beside twice the file.
MOST_BYTES, MOST_SECONDS = 50_000_000, 1.0
REMEDIES = ("again", "give one that", "update fastmlp")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of a whole file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    whole = {"net": a_net(), "sweep": a_sweep(), "model": a_model()}
    return {kind: thing.save(folder / kind).read_bytes() for kind, thing in whole.items()}


def refused(path, reader):
    """Whether the file is refused, with its name and the remedy; else what it holds."""
    try:
        return False, reader(path)
    except ValueError as error:
        message = str(error)
    if not (message.startswith(f"{path}: ") and any(remedy in message for remedy in REMEDIES)):
        raise AssertionError(message)
    return True, None


@pytest.mark.parametrize("kind", READERS)
def test_files_truncated_at_every_byte(kind, files, trials, count, tmp_path):
    content, path = files[kind], tmp_path / "file"
    with trials("files truncated at every byte") as trial:
        for length in range(0, len(content), 1 if kind == "net" else count(7, 1)):
            with trial.case(f"{kind}, {length} of {len(content)} bytes"):
                path.write_bytes(content[:length])
                assert refused(path, READERS[kind])[0]


@pytest.mark.parametrize("kind", READERS)
def test_flipped_bits(kind, files, trials, count, tmp_path):
    """One bit, or a few, anywhere."""
    content, path = files[kind], tmp_path / "file"
    path.write_bytes(content)
    whole = READERS[kind](path)
    random = np.random.default_rng(1)
    with trials("flipped bits") as trial:
        for _ in range(count(200, 5000)):
            changed = np.frombuffer(content, np.uint8).copy()
            places = random.integers(changed.size, size=random.choice([1, 1, 1, 2, 16]))
            np.bitwise_xor.at(changed, places, (1 << random.integers(8, size=places.size)).astype(np.uint8))
            with trial.case(f"{kind}, bytes {places.tolist()}"):
                path.write_bytes(changed.tobytes())
                was_refused, found = refused(path, READERS[kind])
                assert was_refused or found == whole


def test_hostile_headers(files, trials, tmp_path):
    names = {}
    for kind, content in files.items():
        (tmp_path / f"whole-{kind}.{kind}").write_bytes(content)
    for number, (name, kind, content) in enumerate(cases(files)):
        path = tmp_path / f"{number:04}.{kind}"
        path.write_bytes(content)
        names[path.name] = name
    script = Path(__file__).with_name("reading.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300)
    told = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    for kind in files:
        whole = told[f"whole-{kind}.{kind}"]
        assert (whole["message"], whole["events"]) == ("was read", [])
    with trials("hostile headers") as trial:
        for file, name in names.items():
            with trial.case(name):
                line, size = told[file], (tmp_path / file).stat().st_size
                assert line["error"] in ("ValueError", "TableError"), (line["error"], line["message"])
                assert line["message"].startswith(f"{tmp_path / file}: ")
                assert len(line["message"]) < 1000
                assert line["events"] == []
                assert line["peak"] < 2 * size + MOST_BYTES, f"{line['peak'] / 1e6:.0f} MB of {size / 1e6:.0f}"
                assert line["seconds"] < MOST_SECONDS


class Faults:
    """Stands for `os` in the module that writes, and in its files: the call of this number fails."""

    CALLS = ("stat", "access", "open", "fsync", "chmod", "replace", "close", "scandir", "unlink")

    def __init__(self, failing, error):
        self._failing, self._error = failing, error
        self.calls = []

    def __getattr__(self, name):
        return self.counted(name, getattr(os, name)) if name in self.CALLS else getattr(os, name)

    def counted(self, name, call):
        def counted(*arguments, **options):
            self.calls.append(name)
            if len(self.calls) - 1 == self._failing:
                if name == "file.close":  # a file is closed whatever it says of it
                    call(*arguments)
                raise self._error
            return call(*arguments, **options)

        return counted

    @property
    def was_replaced(self):
        return "replace" in self.calls[: self._failing]


@contextmanager
def faults(failing, error):
    found = Faults(failing, error)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "os", found)
        for name in ("write", "close"):
            patch.setattr(writing._File, name, found.counted(f"file.{name}", getattr(writing._File, name)))
        yield found


def system_error(number):
    return OSError(number, os.strerror(number), f"/somewhere/.file.{'0' * 16}.part")


ERRORS = {name: system_error(getattr(errno, name)) for name in ("ENOSPC", "EACCES", "EIO", "EROFS", "EDQUOT", "EINTR")}
ERRORS |= {"none": OSError("failed"), "interrupt": KeyboardInterrupt(), "memory": MemoryError()}


def check_left(path, before, error, is_new):
    """That the file is the old one, or the new one where it was replaced, and that nothing is beside it."""
    assert path.is_file() == (before is not None or is_new)
    if path.is_file():
        assert (path.read_bytes() == before) != is_new
    assert [entry.name for entry in path.parent.iterdir()] == [path.name] * path.is_file()
    if isinstance(error, OSError):
        assert str(path) in str(error)
        assert ".part" not in str(error)


def try_to(write, path, before, failing, error):
    """One write of which a call fails, and what is left; whether there was such a call."""
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)
    raised = None
    with faults(failing, error) as found:
        try:
            write(path)
        except BaseException as came:
            raised = came
    if len(found.calls) > failing:
        # What fails behind the replacing is no error any more, or an interrupt.
        passed_over = found.calls[failing] == "chmod" or found.was_replaced
        # Python writes again what a signal interrupted.
        passed_over |= found.calls[failing] == "file.write" and isinstance(error, InterruptedError)
        if isinstance(error, OSError) and passed_over:
            assert raised is None
        else:
            assert type(raised) is type(error)
        check_left(path, before, raised, found.was_replaced or raised is None)
    return len(found.calls) > failing


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("before", [None, b"what was there"], ids=["new", "old"])
def test_each_call_fails_in_turn(kind, before, trials, count, tmp_path):
    thing = {"net": a_net, "sweep": a_sweep, "model": a_model}[kind]()
    (tmp_path / "folder").mkdir()
    # The error must name the path that was given, not where a link leads to.
    (tmp_path / "link").symlink_to("folder", target_is_directory=True)
    path = tmp_path / "link" / "file"
    with trials("write faults leave the previous file whole") as trial:
        for name in list(ERRORS)[:: count(2, 1)]:
            failing, is_more = 0, True
            while is_more and failing < 100:
                with trial.case(f"{kind}, {name} at call {failing}"):
                    is_more = try_to(thing.save, path, before, failing, ERRORS[name])
                failing += 1
            assert 8 < failing < 100


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_writes_that_stop_short(share, files, trials, tmp_path):
    """Some bytes are written, and no more: the disk is full, or the user may have no more."""
    resource = pytest.importorskip("resource")
    net, path = a_net(), tmp_path / "file"
    path.write_bytes(files["sweep"])
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    with trials("write faults leave the previous file whole") as trial, trial.case(f"a file of {share} of its size"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(files["net"])), allowed[1]))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                net.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
        check_left(path, files["sweep"], caught.value, False)


def test_a_disk_writes_less_than_it_is_asked_to(files, trials, tmp_path, monkeypatch):
    write = writing._File.write
    monkeypatch.setattr(writing._File, "write", lambda file, data: write(file, bytes(data)[:100]))
    with trials("write faults leave the previous file whole") as trial, trial.case("100 bytes at a time"):
        assert a_net().save(tmp_path / "file").read_bytes() == files["net"]


def test_a_full_disk(files, trials, tmp_path):
    """A real one, where the system lets mount one, and the device that always is."""
    with trials("write faults leave the previous file whole") as trial:
        with trial.case("/dev/full"), pytest.raises(OSError, match=r"No space left.*'/dev/full'"):
            a_net().save("/dev/full")
        large = dataclasses.replace(a_net(validation=None), loss_curve=np.zeros(10_000))
        options = ["-t", "tmpfs", "-o", "size=12k", "fastmlp", str(tmp_path)]
        try:
            mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
        except OSError:
            mounted = False
        if not mounted:
            return
        try:
            with trial.case("a full disk"):
                path = tmp_path / "file"
                path.write_bytes(files["net"])
                (tmp_path / "filler").write_bytes(bytes(4096))
                with pytest.raises(OSError, match="No space left") as caught:
                    large.save(path)
                (tmp_path / "filler").unlink()
                check_left(path, files["net"], caught.value, False)
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("call", ["open", "file.write", "fsync", "replace"])
def test_commands_that_cannot_write(call, trials, tmp_path):
    (tmp_path / "folder").mkdir()
    table, path = write_csv(tmp_path / "table.csv", flowers()), tmp_path / "folder" / "model"
    path.write_bytes(b"what was there")
    with trials("write faults leave the previous file whole") as trial, trial.case(f"fastmlp train, {call}"):
        with faults(None, None) as found:
            a_net().save(tmp_path / "other")
        failing = found.calls.index(call)
        with faults(failing, ERRORS["ENOSPC"]):
            told = run("train", table, "--target", "kind", "-o", path, "--epochs", 2, "--hidden", 2, "--no-pictures")
        assert told.exit_code == 1
        assert f"{path}: No space left on device" in told.output
        check_left(path, b"what was there", None, False)
