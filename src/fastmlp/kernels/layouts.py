"""Samples laid out once for several nets."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from fastmlp.kernels.blocks import lay_out

# Nets of different sizes may want others, each as large as the samples.
MOST_KEPT = 2


class Layouts:
    """Full batches as the kernels take them: a copy for each form, for all nets that want it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, tuple[NDArray[Any], NDArray[Any]]] = OrderedDict()
        self._lock = Lock()

    def of(self, rows: NDArray[Any], slab: int, stride: int) -> NDArray[Any]:
        """What :func:`fastmlp.kernels.blocks.lay_out` makes of the rows."""
        key = (id(rows), slab, stride)
        with self._lock:
            if key not in self._kept:
                # The rows stay with it, since their place in memory is their name.
                self._kept[key] = rows, lay_out(rows, slab, stride)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key][1]
