"""Small kernels that are kept on disk as the package's are, and what is found there."""

import os
from pathlib import Path

import numpy as np

from fastmlp.kernels import cache as kept
from fastmlp.kernels.jit import entry

SOMEBODY = 12345
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def double(x):
    for i in range(x.shape[0]):
        x[i] = 2 * x[i]


def triple(x):
    for i in range(x.shape[0]):
        x[i] = 3 * x[i]


def check(function=double, factor=2, hits=None, dtype=np.float32):
    """As a new process would: find the code or make it, and run it; `hits` says which."""
    dispatcher, values = entry(function), np.arange(5, dtype=dtype)
    dispatcher(values)
    np.testing.assert_array_equal(values, factor * np.arange(5))
    if hits is not None:
        assert sum(dispatcher.stats.cache_hits.values()) == hits
        assert sum(dispatcher.stats.cache_misses.values()) == 1 - hits


def files_in(folder):
    """All files and links below a folder."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_symlink() or not path.is_dir())


def whole(folder):
    """The files in a cache folder; nothing must be there but whole ones."""
    files = files_in(folder)
    assert all(file.suffix == ".bin" and kept.is_fit(file) for file in files), files
    return files
