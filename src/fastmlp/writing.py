"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# Of the name of a file, what its aside begins with: more would be too long for some file systems.
KEPT_SIGNS = 50
# What a writer that was killed left behind is so old, in seconds: nobody writes a file for so long.
STALE = 86_400.0
# Windows would make two signs of each end of line.
BINARY = getattr(os, "O_BINARY", 0)


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system name this path, the one that the user knows, and no other."""
    try:
        yield
    except OSError as error:
        if error.filename == os.fspath(path) or str(error).startswith(f"{path}: "):
            raise
        if error.errno is None:
            raise OSError(f"{path}: {error}") from None
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


class _File(io.FileIO):
    """A file whose errors name the path that the user knows it by."""

    def __init__(self, handle: int, path: Path) -> None:
        super().__init__(handle, "wb")
        self._path = path

    def write(self, data: Any) -> int:
        """Write some of the data, as the system likes."""
        with named(self._path):
            return super().write(data)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` to write to, which takes its place at the end; a reader sees the old file or the new one.

    It is flushed to the disk before, and its folder after that. After an error the old file is as it was, and nothing is
    left beside it; what a process that was killed left there, the next one removes a day later. The new file has the old
    one's permissions, or the usual ones where there was none. Links are followed, and what is no file, a pipe or a device,
    is written to as it is.

    Raises
    ------
    OSError
        If that cannot be done; it names `path`. A file that is protected against writing is not replaced either.
    """
    with named(path):
        place = Path(os.path.realpath(path))
        mode = _mode_of(place)
    if mode is not None and not stat.S_ISREG(mode):
        with named(path):
            handle = os.open(place, os.O_WRONLY | BINARY)
        with io.BufferedWriter(_File(handle, path)) as stream:
            yield stream
        return
    with named(path):
        if mode is not None and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    aside = _beside(place)
    file: IO[bytes] | None = None
    try:
        with named(path):
            # The system takes from the mode what the umask says; no other thread sees another umask for that.
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666 if mode is None else mode & 0o777)
        file = io.BufferedWriter(_File(handle, path))
        yield file
        with named(path):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            _keep_mode(aside, mode)
            os.replace(aside, place)
    except BaseException:
        _give_up(file, aside)
        raise
    _settle(place)


def _mode_of(place: Path) -> int | None:
    """What is there and who may do what with it; None where nothing is."""
    try:
        return os.stat(place).st_mode
    except FileNotFoundError:
        return None


def _beside(place: Path) -> Path:
    """A name in the same folder that no other writer has."""
    return place.with_name(f".{place.name[:KEPT_SIGNS]}.{os.urandom(8).hex()}.part")


def _keep_mode(aside: Path, mode: int | None) -> None:
    """Give back what the umask took of the old file's permissions; where there are none, fewer do."""
    if mode is not None:
        with suppress(OSError):
            os.chmod(aside, mode & 0o777)


def _give_up(file: IO[bytes] | None, aside: Path) -> None:
    """Leave nothing behind, as far as the system lets."""
    try:
        if file is not None:
            # What is still to be written it tries once more; that it is closed already may be told as a ValueError.
            with suppress(OSError, ValueError):
                file.close()
    finally:
        with suppress(OSError):
            os.unlink(aside)


def _settle(place: Path) -> None:
    """Flush the folder, where the system can, and remove what others have left there: the file is in its place already."""
    with suppress(OSError):
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    left = re.compile(rf"\.{re.escape(place.name[:KEPT_SIGNS])}\.[0-9a-f]{{16}}\.part")
    with suppress(OSError), os.scandir(place.parent) as entries:
        for entry in entries:
            if left.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                os.unlink(entry)
