"""Compiled kernels on disk: a cache that cannot go stale, and that no harm done to it turns into wrong code.

Numba's own cache looks at one file: it would go on running code compiled from yesterday's helpers. This one keeps each
compiled function under a folder named by a stamp of everything that shapes the machine code, one file a function and
signature. A file says what it is for and is closed by a checksum; it is believed only if both fit, and if nobody but this
user or root can have written it, since what is read there is run. Whatever goes wrong, the function is compiled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching, compiler
from numba.misc.appdirs import AppDirs

# No nnan, no ninf: a NaN must stay visible. No reassoc: the order of every sum is written out.
FASTMATH = ("nsz", "arcp", "contract")
LANES_VARIABLE = "FASTMLP_LANES"
FOLDER_VARIABLES = ("FASTMLP_CACHE_DIR", "NUMBA_CACHE_DIR")
# Code is written by its owner alone, and read by all: an image's kernels, made by root, serve whoever runs it.
FOLDER_MODE, FILE_MODE = 0o755, 0o644
DIGEST_BYTES = 32
KEEP_STAMPS_SECONDS = 30 * 24 * 3600
# What was written aside so long ago will not be renamed any more: whoever wrote it was killed.
KEEP_ASIDE_SECONDS = 3600
STAMP_NAME = re.compile(r"[0-9a-f]{16}")
FILE_NAME = re.compile(r"[\w.<>]+-[0-9a-f]{24}\.(bin|[0-9a-f]{32})")


def folder_variable() -> str | None:
    """The environment variable that says where compiled kernels are kept, or None."""
    return next((name for name in FOLDER_VARIABLES if os.environ.get(name)), None)


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``FASTMLP_CACHE_DIR``, else ``NUMBA_CACHE_DIR``, else the user's cache folder.

    None for a user without a home, whose kernels are not kept.
    """
    variable = folder_variable()
    if variable is not None:
        return Path(os.path.abspath(os.path.expanduser(os.environ[variable])), "fastmlp")
    folder = Path(AppDirs(appname="fastmlp", appauthor=False).user_cache_dir)
    # It would be a folder of that name wherever the process happens to be.
    return folder if folder.is_absolute() else None


@lru_cache(maxsize=1)
def stamp() -> str:
    """A digest of all that shapes the machine code and is not in Numba's own key."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in [*sorted(here.glob("*.py")), here.parent / "options.py"]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    settings = (
        FASTMATH,
        # What Python calls reads Python's objects.
        sys.version,
        numba.__version__,
        llvmlite.__version__,
        os.environ.get(LANES_VARIABLE),
        numba.config.BOUNDSCHECK,
        numba.config.OPT,
        numba.config.LOOP_VECTORIZE,
        numba.config.SLP_VECTORIZE,
    )
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


class KernelCache(caching._Cache):
    """The compiled forms of one function on disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name, self._home = function.__qualname__, function.__module__
        folder = cache_folder()
        self._folder = None if folder is None else folder / stamp()
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        return None if self._folder is None else str(self._folder)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):
                for file in self._folder.glob(f"{self._name}-*.bin"):
                    file.unlink(missing_ok=True)

    def holds(self, signature: Any, codegen: Any) -> bool:
        """Whether a whole and fitting file is there."""
        if self._folder is None:
            return False
        key, file = self._key_and_file(self._folder, signature, codegen)
        return is_fit(file, key)

    def _key_and_file(self, folder: Path, signature: Any, codegen: Any) -> tuple[bytes, Path]:
        """What a file begins with that has this function's code for these types and this CPU, and where it is."""
        made_for = (stamp(), self._home, self._name, signature, codegen.magic_tuple())
        key = hashlib.sha256(repr(made_for).encode()).digest()
        return key, folder / f"{self._name}-{key.hex()[:24]}.bin"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function, or None where there is no whole and fitting file."""
        target_context.refresh()
        if not self._enabled or self._folder is None:
            return None
        try:
            key, file = self._key_and_file(self._folder, signature, target_context.codegen())
            payload = payload_of(read_trusted(file), key)
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # a missing, damaged or foreign file must cost no more than compiling
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write the compiled function for others to find; give up silently."""
        if not self._enabled or self._folder is None:
            return
        with contextlib.suppress(Exception):  # a full disk or a read-only folder must not stop a training run
            key, file = self._key_and_file(self._folder, signature, compiled.codegen)
            content = key + caching.dumps(compiled._reduce())
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _write_aside(file, content + hashlib.sha256(content).digest())
            _prune(self._folder)


def is_fit(file: Path, key: bytes | None = None) -> bool:
    """Whether a file is whole, to be trusted and, if there is a key, made for that."""
    try:
        payload_of(read_trusted(file), key)
    except (OSError, ValueError):
        return False
    return True


def payload_of(content: bytes, key: bytes | None = None) -> bytes:
    """What a file holds behind its key, whichever one if none is given; ValueError where it is damaged or has another."""
    inside, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(inside).digest() != digest or len(inside) < DIGEST_BYTES:
        raise ValueError("not whole")
    if key is not None and inside[:DIGEST_BYTES] != key:
        raise ValueError("made for something else")
    return inside[DIGEST_BYTES:]


def read_trusted(file: Path) -> bytes:
    """The content of a file that is this user's or root's and that not everybody may write to.

    Raises
    ------
    OSError
        If there is none, or it is not to be trusted.
    """
    with open(file, "rb", opener=_without_waiting) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a file")
        # On Windows the user's profile is the user's alone.
        if hasattr(os, "geteuid") and (status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH):
            raise PermissionError("others may have written it")
        return opened.read()


def _without_waiting(path: str, flags: int) -> int:
    """Open, and do not wait for somebody to write where it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _write_aside(file: Path, content: bytes) -> None:
    """Write beside the file and rename, so that no reader sees a part; what was written goes whatever happens."""
    aside = file.with_suffix(f".{uuid.uuid4().hex}")
    try:
        with open(aside, "xb", opener=partial(os.open, mode=FILE_MODE)) as opened:
            opened.write(content)
        os.replace(aside, file)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def stamp_folders(folder: Path) -> Iterator[Path]:
    """The folders of all stamps, as their names say; no links, which may lead anywhere."""
    for inside in folder.iterdir():
        if STAMP_NAME.fullmatch(inside.name) and inside.is_dir() and not inside.is_symlink():
            yield inside


def files_of(stamped: Path) -> Iterator[Path]:
    """The files of a stamp that the cache has written, as their names say, those aside among them; no folders."""
    for file in stamped.iterdir():
        if FILE_NAME.fullmatch(file.name) and (file.is_symlink() or not file.is_dir()):
            yield file


def remove_stamp(stamped: Path) -> int:
    """Remove a stamp's files, and its folder if nothing else is in it; return how many there were.

    Raises
    ------
    OSError
        If a file cannot be removed.
    """
    files = list(files_of(stamped))
    for file in files:
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        stamped.rmdir()
    return len(files)


def _prune(current: Path) -> None:
    """Remove what interrupted processes left aside, and the stamps that nobody has written to for a month."""
    now = time.time()
    for file in files_of(current):
        if file.suffix != ".bin" and now - file.stat().st_mtime > KEEP_ASIDE_SECONDS:
            file.unlink(missing_ok=True)
    for stamped in stamp_folders(current.parent):
        if stamped != current and now - stamped.stat().st_mtime > KEEP_STAMPS_SECONDS:
            with contextlib.suppress(OSError):
                remove_stamp(stamped)
