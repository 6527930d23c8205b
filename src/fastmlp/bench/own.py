"""The user's own table, as data to measure on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastmlp.bench.workload import Array
from fastmlp.files.data import Wanted, read
from fastmlp.files.errors import TableError
from fastmlp.files.opening import reading, table_with
from fastmlp.files.parts import Layout


def own_data(path: Path, target: str, dtype: str) -> tuple[Array, Array, int]:
    """Features, class numbers and how many classes there are; any first rows make a smaller data set of its own.

    Raises
    ------
    TableError
        If the table cannot be read, or its target holds no classes.
    """
    source, kinds = table_with(target, path, Layout())
    with reading(source) as report:
        data = read(source, kinds, Wanted(target, dtype=dtype), report)
    if data.target.labels is None:
        raise TableError(
            f"{path}: the target {target!r} holds numbers; what is compared are classes, choose another target"
        )
    # One of each class comes first, so that the smallest data set has them all.
    _, first = np.unique(data.y, return_index=True)
    rest = np.random.default_rng(0).permutation(len(data.y))
    order = np.concatenate([first, rest[~np.isin(rest, first)]])
    return data.X[order], data.y[order].astype(np.int64), len(data.target.labels)
