"""The compiled kernels: made ahead, and kept on disk, where ``fastmlp cache`` tells of them and removes them."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp.progress import counting

if TYPE_CHECKING:
    from rich.console import Console

    from fastmlp.kernels.warm import Entry

DTYPES = ("float32", "float64")


def warmup(dtype: Any = None, progress: bool = False) -> list[str]:
    """Compile ahead all that training and prediction will need.

    After it ``train``, ``train_many``, ``predict`` and the estimators compile nothing: not in this process, and, as the
    compiled kernels are kept on disk, not in later ones on this machine. Where those are there already they are read. It
    takes some fifteen seconds for each dtype where nothing is.

    For an image of a container: ``RUN fastmlp cache --warm`` does the same and fails where nothing can be kept; with
    ``FASTMLP_CACHE_DIR`` set to a folder of the image it serves whichever user runs it. Kernels are made for the CPU that
    compiles them; on another kind of CPU they are compiled again.

    Parameters
    ----------
    dtype : "float32", "float64" or None
        As in ``train``; None for both.
    progress : bool
        Show a progress bar, if the output is a terminal.

    Returns
    -------
    list of str
        What was compiled and not read from disk: names of kernels with their dtype. Empty where all were there.

    Raises
    ------
    ValueError
        If `dtype` is none of these.
    """
    compiled = []
    wanted = _entries(dtype)
    with counting(progress, len(wanted), "kernels") as tell:
        for done, entry in enumerate(wanted, start=1):
            if entry.warm():
                compiled.append(entry.name)
            tell(done)
    return compiled


def _entries(dtype: Any) -> list[Entry]:
    """What there is to compile, each entry point once."""
    from fastmlp.kernels.warm import entries

    chosen = [np.dtype(name) for name in DTYPES if dtype is None or dtype in (name, np.dtype(name), np.dtype(name).type)]
    if not chosen:
        raise ValueError(f"dtype={dtype!r}: choose float32 or float64, or None for both")
    named = {entry.name: entry for one in chosen for entry in entries(one)}
    return list(named.values())


def keep_warm(dtype: str | None) -> list[str]:
    """Compile ahead, for later processes: :func:`warmup` with a progress bar.

    Raises
    ------
    OSError
        If something is not on disk then.
    """
    compiled = warmup(dtype, progress=True)
    missing = [entry.name for entry in _entries(dtype) if not entry.is_kept()]
    if missing:
        kept = look()
        where = "" if kept.folder is None else f" in {kept.folder}"
        raise OSError(f"Not kept{where}: {', '.join(missing)}; {kept.problem or 'there may be too little room'}.")
    return compiled


@dataclass(frozen=True)
class Kept:
    """What is kept on disk.

    Attributes
    ----------
    folder : where, or None where there is no place.
    reason : why there.
    problem : why nothing can be kept there, or None.
    unread : why what is there cannot be looked at, or None.
    current : files of this version of fastmlp, Numba and Python.
    unfit : those of them that are not used, since damaged or since others may have written them.
    others : files of other versions, and what processes that were killed had not yet given its name.
    versions : how many there are files of.
    size : bytes of all of them.
    """

    folder: Path | None
    reason: str
    problem: str | None = None
    unread: str | None = None
    current: tuple[Path, ...] = ()
    unfit: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    versions: int = 0
    size: int = 0


def look() -> Kept:
    """Find out what is kept on disk, and whether more can be."""
    from fastmlp.kernels import cache

    variable = cache.folder_variable()
    folder = cache.cache_folder()
    if folder is None:
        return Kept(None, "", "this user has no home folder")
    reason = f"as {variable} says" if variable else "in the user's cache folder; FASTMLP_CACHE_DIR names another"
    problem = _problem_of(folder / cache.stamp())
    try:
        places = sorted(cache.stamp_folders(folder)) if folder.exists() else []
        files = [file for place in places for file in sorted(cache.files_of(place))]
        current = [file for file in files if file.parent.name == cache.stamp() and file.suffix == ".bin"]
        others = [file for file in files if file not in current]
        size = sum(file.lstat().st_size for file in files)
        unfit = [file for file in current if not cache.is_fit(file)]
    except OSError as error:
        return Kept(folder, reason, problem, _told(error))
    return Kept(folder, reason, problem, None, tuple(current), tuple(unfit), tuple(others), len(places), size)


def _problem_of(folder: Path) -> str | None:
    """Why no file can be written in a folder that may have to be made, or None."""
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"0")
    except OSError as error:
        return _told(error)
    return None


def _told(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def clear() -> int:
    """Remove the compiled kernels of all versions, and nothing else; return how many files those were.

    Other files and folders in their place stay, and so does what links lead to.

    Raises
    ------
    OSError
        If something cannot be removed.
    """
    from fastmlp.kernels import cache

    folder = cache.cache_folder()
    if folder is None or not folder.is_dir():
        return 0
    removed = 0
    for place in sorted(cache.stamp_folders(folder)):
        removed += cache.remove_stamp(place)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return removed


def tell(kept: Kept, console: Console) -> None:
    """Say what is kept."""

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if kept.folder is None:
        say(f"Compiled kernels are not kept: {kept.problem}. Set FASTMLP_CACHE_DIR to a folder.")
        return
    say(f"Compiled kernels are kept in {kept.folder}, {kept.reason}.")
    if kept.problem is not None:
        say(
            f"Nothing can be written there: {kept.problem}. Each process compiles what it does not find, some five seconds."
        )
    if kept.unread is not None:
        say(f"What is there cannot be read: {kept.unread}.")
        return
    count = len(kept.current) + len(kept.others)
    say(f"{_counted(count, 'file')} of {_counted(kept.versions, 'version')}, {kept.size / 1e6:.1f} MB.")
    if kept.current:
        say(f"Of this version: {_named(kept.current)}.")
    if kept.unfit:
        say(f"Not used, since damaged or open to others: {_named(kept.unfit)}.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _named(files: tuple[Path, ...]) -> str:
    """The kernels that files hold, and how many forms there are of each: dtypes, and kinds of CPU."""
    forms = Counter(file.name.rsplit("-", 1)[0] for file in files)
    return ", ".join(f"{name} ({count})" for name, count in sorted(forms.items()))
