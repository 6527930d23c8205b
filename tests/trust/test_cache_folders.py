"""Where compiled kernels cannot be kept, all runs as it does elsewhere, and nothing is left over."""

import os
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastmlp.kernels import cache as kept
from kernels_kept import IS_ROOT, SOMEBODY, check, files_in, whole

VARIABLES = ("FASTMLP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
TRIAL = "cache folders that cannot be used"


def a_file(folder, patch):
    folder.write_text("")


def below_a_file(folder, patch):
    folder.write_text("")
    patch.setenv("FASTMLP_CACHE_DIR", str(folder / "below"))


def its_folder_a_file(folder, patch):
    folder.mkdir()
    (folder / "fastmlp").write_text("")


def its_stamp_a_file(folder, patch):
    (folder / "fastmlp").mkdir(parents=True)
    (folder / "fastmlp" / kept.stamp()).write_text("")


def its_stamp_a_link_to_nowhere(folder, patch):
    (folder / "fastmlp").mkdir(parents=True)
    (folder / "fastmlp" / kept.stamp()).symlink_to("nowhere")


def called(place):
    """A value of the variable that names no folder."""

    def prepare(folder, patch):
        patch.setenv("FASTMLP_CACHE_DIR", place)

    prepare.__name__ = f"FASTMLP_CACHE_DIR={place[:20]!r}"
    return prepare


def no_home(folder, patch):
    """A user whom the system does not know, as in many a container."""
    for name in VARIABLES:
        patch.delenv(name, raising=False)
    patch.setattr(os.path, "expanduser", lambda path: path)


def home_that_cannot_be(folder, patch):
    for name in VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("HOME", "/proc/nowhere")


def failing(module, name, error):
    """A function of the system that fails where the cache calls it."""

    def prepare(folder, patch):
        real = getattr(module, name)

        def fail(*arguments, **named):
            if sys._getframe(1).f_globals is vars(kept):
                raise error
            return real(*arguments, **named)

        patch.setattr(module, name, fail)

    prepare.__name__ = f"{name} fails: {error!r}"
    return prepare


def removed_before_writing(folder, patch):
    real = Path.mkdir

    def mkdir(path, *arguments, **named):
        real(path, *arguments, **named)
        if folder in path.parents:
            shutil.rmtree(folder)

    patch.setattr(Path, "mkdir", mkdir)


def removed_before_renaming(folder, patch):
    real = os.replace

    def replace(source, target):
        shutil.rmtree(folder)
        real(source, target)

    patch.setattr(os, "replace", replace)


def files_of_no_more_than_a_kilobyte(folder, patch):
    """A disk that fills in the middle of a file."""
    import resource

    real, limits = open, resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextmanager
    def limited(*arguments, **named):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with real(*arguments, **named) as file:
                yield file
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    patch.setattr(kept, "open", limited, raising=False)


FOLDERS = [
    a_file, below_a_file, its_folder_a_file, its_stamp_a_file, its_stamp_a_link_to_nowhere, no_home,
    home_that_cannot_be, removed_before_writing, removed_before_renaming, files_of_no_more_than_a_kilobyte,
    *map(called, ("/dev/null", "/dev/full", "/proc/nowhere", "/proc/self/mem", "/" + "x" * 300, "/" + "x/" * 3000)),
    *(failing(os, "open", error) for error in (OSError(24, "too many open files"), PermissionError(13, "denied"))),
    *(failing(os, "replace", error) for error in (OSError(18, "another disk"), OSError(28, "no space"), MemoryError())),
    failing(os, "fstat", OSError(5, "input/output error")), failing(pickle, "loads", MemoryError()),
    failing(pickle, "loads", RecursionError()),
]  # fmt: skip


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Named as the one of the cache; not there yet."""
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.long
def test_folders_that_cannot_be_used(trials, tmp_path, monkeypatch):
    with trials(TRIAL) as trial:
        for number, prepare in enumerate(FOLDERS):
            with trial.case(prepare.__name__):
                here = tmp_path / str(number)
                here.mkdir()
                with monkeypatch.context() as patch:
                    patch.chdir(here)
                    patch.setenv("FASTMLP_CACHE_DIR", str(here / "cache"))
                    prepare(here / "cache", patch)
                    before = set(files_in(here))
                    check(hits=0)
                    check(hits=0)
                left = set(files_in(here)) - before
                # Where only reading fails there is something to be read.
                assert all(kept.is_fit(file) for file in left if file.suffix == ".bin")
                assert {file.suffix for file in left} <= {".bin"}


@contextmanager
def mounted(folder, *options):
    """A small disk of its own; skips where that is not permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if not IS_ROOT or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
def test_full_disks(trials, folder):
    """Full from the beginning, and with room for a part of a file."""
    with mounted(folder, "size=64k"), trials(TRIAL) as trial:
        for free in (0, 1):
            with trial.case(f"a full disk, {free} pages free"):
                check(hits=0)
                (file,) = whole(folder)
                assert file.stat().st_size > 4096
                file.unlink()
                with (folder / "filler").open("wb", buffering=0) as filler:
                    while shutil.disk_usage(folder).free > free * 4096:
                        filler.write(bytes(4096))
                check(hits=0)
                check(hits=0)
                assert files_in(folder) == [folder / "filler"]
                (folder / "filler").unlink()


@pytest.mark.long
def test_disks_that_can_only_be_read(trials, folder):
    with mounted(folder, "size=1m"), trials(TRIAL) as trial:
        with trial.case("a disk that can only be read, empty"):
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            check(hits=0)
            assert files_in(folder) == []
        with trial.case("a disk that can only be read, with the kernel"):
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
            check(hits=0)
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            check(hits=1)


@contextmanager
def somebody():
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.long
@pytest.mark.skipif(not IS_ROOT, reason="only root can be somebody else")
def test_folders_of_others(trials, tmp_path_factory, monkeypatch):
    base = tmp_path_factory.getbasetemp().parent.parent / f"fastmlp-{os.getpid()}"
    base.mkdir(mode=0o755)
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(base))
    try:
        with trials(TRIAL) as trial:
            with trial.case("root's, which serves others"):
                check(hits=0)
                with somebody():
                    check(hits=1)
            with trial.case("root's, which others cannot write to"):
                shutil.rmtree(base / "fastmlp")
                with somebody():
                    check(hits=0)
                assert files_in(base) == []
            with trial.case("root's, which others cannot look into"):
                check(hits=0)
                base.chmod(0o700)
                with somebody():
                    check(hits=0)
                base.chmod(0o777)
            with trial.case("another user's, whose code root does not run"):
                shutil.rmtree(base / "fastmlp")
                with somebody():
                    check(hits=0)
                    check(hits=1)
                check(hits=0)
                assert [file.stat().st_uid for file in whole(base)] == [0]
    finally:
        shutil.rmtree(base)


def test_no_working_folder(folder, tmp_path, monkeypatch):
    """What is there is found; Numba cannot compile, and is not left to say so."""
    check(hits=0)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    check(hits=1)
    for place in (os.devnull, "relative"):
        monkeypatch.setenv("FASTMLP_CACHE_DIR", place)
        with pytest.raises(FileNotFoundError, match=r"working folder does not exist any more; os\.chdir to one that does"):
            check(hits=0)


def test_nobody_else_may_write(folder):
    """Whatever the user's mask says: what lies there is run."""
    before = os.umask(0)
    try:
        check()
    finally:
        os.umask(before)
    (file,) = whole(folder)
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["write", "replace"])
def test_interrupts_leave_nothing(folder, monkeypatch, name):
    with monkeypatch.context() as patch:
        if name == "replace":
            failing(os, "replace", KeyboardInterrupt())(folder, patch)
        else:
            interrupted_writing(patch)
        with pytest.raises(KeyboardInterrupt):
            check()
        assert files_in(folder) == []
    check(hits=0)
    check(hits=1)


def interrupted_writing(patch):
    @contextmanager
    def interrupted(*arguments, **named):
        with open(*arguments, **named) as file:
            yield file
            raise KeyboardInterrupt

    patch.setattr(kept, "open", interrupted, raising=False)


def test_what_was_left_aside_goes(folder):
    """Of processes that were killed; not what others may just be writing."""
    check()
    (file,) = whole(folder)
    old, new = file.with_suffix("." + "0" * 32), file.with_suffix("." + "1" * 32)
    foreign = file.parent / "notes.txt"
    for one in (old, new, foreign):
        one.write_text("")
    for one in (old, foreign):
        then = time.time() - 2 * kept.KEEP_ASIDE_SECONDS
        os.utime(one, (then, then))
    file.unlink()
    check(hits=0)
    assert files_in(folder) == sorted([file, new, foreign])
