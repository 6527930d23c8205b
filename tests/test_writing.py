"""Files are written whole or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from fastmlp import writing
from fastmlp.writing import written_whole


def test_the_file_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with written_whole(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def write_and_raise(path, error):
    with written_whole(path) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_after_an_error_all_is_as_it_was(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_and_raise(path, error)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_others_may_read_it_as_any_file_of_the_user(tmp_path):
    with written_whole(tmp_path / "ours"):
        pass
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "none" / "file"):
        pass


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o400, 0o777])
def test_the_permissions_of_an_old_file_are_kept(tmp_path, mode, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    # Who writes may do so whatever the permissions say.
    monkeypatch.setattr(writing.os, "access", lambda *_: True)
    with written_whole(path) as file:
        # Nobody may read meanwhile who might not before.
        (aside,) = set(tmp_path.iterdir()) - {path}
        assert mode_of(aside) & ~mode == 0
        file.write(b"new")
    assert mode_of(path) == mode
    assert path.read_bytes() == b"new"


def test_a_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(writing.os, "access", lambda place, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match=f"Permission denied: '{path}'"), written_whole(path):
        pass
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_other_thread_sees_another_umask(tmp_path, monkeypatch):
    def forbidden(_):
        raise AssertionError("the umask is the process's")

    monkeypatch.setattr(os, "umask", forbidden)
    with written_whole(tmp_path / "file"):
        pass


def test_links_are_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    link, path = tmp_path / "link", tmp_path / "folder" / "file"
    link.symlink_to(path)
    for content in (b"first", b"second"):
        with written_whole(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=f"symbolic links: '{tmp_path / 'a'}'"), written_whole(tmp_path / "a"):
        pass


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, ".", "a b[*]?"])
def test_names_of_all_kinds(tmp_path, name):
    """Those that are as long as a name may be too; what is written beside has a name of its own."""
    path = tmp_path / name
    if name == ".":
        with pytest.raises(IsADirectoryError, match=str(path)), written_whole(path):
            pass
        return
    with written_whole(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_goes_a_day_later(tmp_path):
    path, token = tmp_path / "file[1]", "0123456789abcdef"
    old = [f".file[1].{token}.part", f".file[1].{token[::-1]}.part"]
    kept = [
        f".file1.{token}.part",
        f".file[1].{token}",
        f"file[1].{token}.part",
        ".file[1].mine.part",
        f".other.{token}.part",
    ]
    young = f".file[1].{'0' * 16}.part"
    for name in [*old, *kept, young]:
        (tmp_path / name).touch()
    for name in [*old, *kept]:
        os.utime(tmp_path / name, (1, time.time() - 100_000))
    with written_whole(path):
        pass
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, young, *kept}


def test_a_writer_that_is_killed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom fastmlp.writing import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as file:\n"
        "    file.write(b'new')\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    os.utime(left, (1, 1))
    with written_whole(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_errors_of_others_stay_as_they_are(tmp_path):
    """What is read while a file is written has a name of its own."""
    with pytest.raises(OSError, match="elsewhere") as caught, written_whole(tmp_path / "file"):
        raise OSError(errno.EIO, "broken", "elsewhere")
    assert caught.value.filename == "elsewhere"
