"""``fastmlp cache``: what it tells, what it removes, and how it ends."""

import os
from functools import partial

import numpy as np
import pytest
from typer.testing import CliRunner

from fastmlp.cli import app
from fastmlp.kernels import cache as kept
from fastmlp.kernels import warm
from fastmlp.kernels.jit import entry
from kernels_kept import IS_ROOT, check, double, files_in, triple, whole

OLDER = "0123456789abcdef"
OF_OLDER = f"predict-{'0' * 24}.bin"


def run(*arguments):
    return CliRunner().invoke(app, ["cache", *arguments])


def told(*arguments):
    """The lines that a command which goes well prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The cache's, which is not there yet."""
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fastmlp"


@pytest.fixture
def filled(folder):
    """With three files of this version, two of them of one kernel, and one of another."""
    check()
    check(dtype=np.float64)
    check(triple, 3)
    (folder / OLDER).mkdir()
    (folder / OLDER / OF_OLDER).write_bytes(bytes(1_000_000))
    return folder


def test_what_is_there(filled):
    where, size, current = told()
    assert where == f"Compiled kernels are kept in {filled}, as FASTMLP_CACHE_DIR says."
    n_bytes = sum(file.stat().st_size for file in files_in(filled))
    assert size == f"4 files of 2 versions, {n_bytes / 1e6:.1f} MB."
    assert current == "Of this version: double (2), triple (1)."


def test_looking_changes_nothing(folder):
    where, size = told()
    assert (where.split(", ")[0], size) == (f"Compiled kernels are kept in {folder}", "0 files of 0 versions, 0.0 MB.")
    assert not folder.parent.exists()


def test_why_there(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTMLP_CACHE_DIR")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert told()[0] == f"Compiled kernels are kept in {tmp_path / 'fastmlp'}, as NUMBA_CACHE_DIR says."
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert told()[0].endswith("in the user's cache folder; FASTMLP_CACHE_DIR names another.")
    monkeypatch.setattr(kept, "cache_folder", lambda: None)
    assert told() == ["Compiled kernels are not kept: this user has no home folder. Set FASTMLP_CACHE_DIR to a folder."]
    assert told("--clear")[0] == "Removed 0 files."


def test_damaged_files_are_told(filled):
    files = [file for file in files_in(filled) if file.name.startswith("double")]
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].chmod(0o666)
    assert told()[-1] == "Not used, since damaged or open to others: double (2)."


@pytest.mark.parametrize("place", ["folder", "above"])
def test_a_file_in_its_place(folder, place):
    if place == "folder":
        folder.parent.mkdir()
        folder.write_text("kept")
    else:
        folder.parent.write_text("kept")
    lines = told()
    assert lines[1].startswith("Nothing can be written there: not a directory. Each process compiles")
    assert told("--clear")[0] == "Removed 0 files."
    assert (folder if place == "folder" else folder.parent).read_text() == "kept"


@pytest.mark.skipif(not IS_ROOT, reason="only root can be somebody else")
def test_a_folder_of_somebody_else(filled):
    filled.chmod(0o700)
    os.seteuid(12345)
    try:
        lines, cleared = told(), run("--clear")
    finally:
        os.seteuid(0)
    assert lines[1:] == [
        "Nothing can be written there: permission denied. Each process compiles what it does not find, some five seconds.",
        "What is there cannot be read: permission denied.",
    ]
    assert cleared.exit_code == 1
    assert "Permission denied" in cleared.output
    assert len(files_in(filled)) == 4


def test_clearing_removes_what_is_ours_and_nothing_else(filled, tmp_path):
    stamped = filled / kept.stamp()
    (stamped / f"double-{'0' * 24}.{'0' * 32}").write_text("aside")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deeper").mkdir(parents=True)
    foreign = {
        filled / "notes.txt", filled / OF_OLDER, filled / OLDER / "notes.txt", filled / "src" / OF_OLDER,
        filled / OLDER / f"predict-{'1' * 24}.bin" / "inside", elsewhere / OF_OLDER,
        elsewhere / "deeper" / OF_OLDER, filled.parent / "beside.txt",
    }  # fmt: skip
    for file in foreign:
        file.parent.mkdir(exist_ok=True)
        file.write_text("foreign")
    # Links in the place of a version's folder, and of a file: the one is foreign, the other goes, what it leads to stays.
    (filled / "00112233445566ff").symlink_to(elsewhere)
    (filled / OLDER / f"predict-{'2' * 24}.bin").symlink_to(elsewhere / "deeper" / OF_OLDER)
    assert told("--clear")[0] == "Removed 6 files."
    left = {file for file in files_in(tmp_path) if not file.is_symlink()}
    assert left == foreign
    assert not stamped.exists()
    assert (filled / "00112233445566ff").is_symlink()


def test_clearing_all_leaves_no_folder(filled):
    lines = told("--clear")
    assert (lines[0], lines[2]) == ("Removed 4 files.", "0 files of 0 versions, 0.0 MB.")
    assert not filled.exists()
    assert filled.parent.exists()
    check(hits=0)
    check(hits=1)


@pytest.fixture
def small(folder, monkeypatch):
    """Kernels that are compiled soon, each time by a process that has none."""

    def entries(dtype):
        return [warm.Entry(f"{function.__name__} {dtype}", made[function.__name__], partial(call, function, dtype))
                for function in (double, triple)]  # fmt: skip

    def call(function, dtype):
        made[function.__name__](np.ones(1, dtype))

    def new_process():
        made.update(double=entry(double), triple=entry(triple))

    made = {}
    new_process()
    monkeypatch.setattr(warm, "entries", entries)
    return new_process


def test_warming(folder, small):
    assert told("--warm", "--dtype", "float32")[0] == "Compiled: double float32, triple float32."
    assert len(whole(folder)) == 2
    small()
    assert told("--warm")[0] == "Compiled: double float64, triple float64."
    small()
    lines = told("--warm")
    assert lines[0] == "Compiled: nothing, all was there."
    assert lines[-1] == "Of this version: double (2), triple (2)."
    small()
    assert told("--clear", "--warm", "--dtype", "float64")[:2] == [
        "Removed 4 files.",
        "Compiled: double float64, triple float64.",
    ]


def test_warming_where_nothing_can_be_kept(folder, small):
    folder.parent.write_text("")
    result = run("--warm", "--dtype", "float32")
    assert result.exit_code == 1
    assert result.output == f"Not kept in {folder}: double float32, triple float32; not a directory.\n"


def test_unknown_dtype():
    result = run("--warm", "--dtype", "half")
    assert result.exit_code == 2
    assert "choose float32 or float64" in " ".join(result.output.replace("│", " ").split())
