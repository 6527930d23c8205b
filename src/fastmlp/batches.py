"""Which rows come next: row orders, epoch by epoch, and rows that do not lie in memory as the engines take them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp.initialise import Random

# Row orders drawn ahead, one megabyte of them, so that a chunk can hold many short epochs.
ROWS_DRAWN_AHEAD = 262_144
# Rows that are read one after the other, and how many such runs are shuffled together, when blocks of rows are shuffled.
ROWS_IN_RUN = 256
RUNS_TOGETHER = 64
# What is read at once of data that are converted on the way.
BYTES_READ_AT_ONCE = 4_000_000


class Run(Protocol):
    """What is needed of an engine's run."""

    @property
    def done(self) -> int:
        """Samples done, in all epochs together."""

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the row order begins."""


class Orders:
    """The row order of each epoch: a shuffle of the one before, as in scikit-learn.

    Shuffling "blocks" draws the order of runs of `ROWS_IN_RUN` rows, and then shuffles the rows of `RUNS_TOGETHER` of them
    at a time: a batch is mixed from many places, and a reader goes to few.
    """

    def __init__(self, random: Random | None, n_samples: int, by_blocks: bool = False) -> None:
        self._random, self._by_blocks = random, by_blocks
        self._last = np.arange(n_samples, dtype=np.int32)
        self._runs = np.arange(-(-n_samples // ROWS_IN_RUN))

    def draw(self, into: NDArray[np.int32]) -> None:
        """Write the next epoch's order."""
        if self._random is None:
            into[:] = self._last
        elif self._by_blocks:
            self._random.shuffle(self._runs)
            places = (self._runs[:, np.newaxis] * ROWS_IN_RUN + np.arange(ROWS_IN_RUN)).ravel()
            into[:] = places[places < len(into)]
            for start in range(0, len(into), ROWS_IN_RUN * RUNS_TOGETHER):
                self._random.shuffle(into[start : start + ROWS_IN_RUN * RUNS_TOGETHER])
        else:
            into[:] = self._last
            self._random.shuffle(into)
            self._last = into


class InMemory:
    """Rows that lie in memory as the engines take them, which gather them by the row order."""

    def __init__(self, X: NDArray[Any], y: NDArray[Any], orders: Orders, batch_size: int, epochs: int) -> None:
        n_samples = len(X)
        self.X, self.y = X, y
        self._orders, self._total = orders, epochs * n_samples
        ahead = 0 if batch_size == n_samples else max(1, min(epochs, ROWS_DRAWN_AHEAD // n_samples))
        self._by_epoch = np.empty((ahead, n_samples), np.int32)
        self.order = self._by_epoch.reshape(-1)
        self._end = 0

    def ready_until(self, run: Run) -> int:
        """Until how many samples done the rows are there; draws more orders where they have run out."""
        if not len(self._by_epoch):
            return self._total
        if run.done == self._end:
            run.order_begins_at(self._end)
            n_samples = self._by_epoch.shape[1]
            n_orders = min(len(self._by_epoch), (self._total - self._end) // n_samples)
            for order in self._by_epoch[:n_orders]:
                self._orders.draw(order)
            self._end += n_orders * n_samples
        return self._end


class Streamed:
    """Rows that are read and converted some batches at a time, so that memory does not grow with the data.

    `source` is any array that takes increasing row numbers: a memory map, one of another dtype, a data set in a file. The
    labels, 4 or 8 bytes a row, and the row order, 4 bytes, are kept.
    """

    def __init__(self, source: Any, y: NDArray[Any], orders: Orders, batch_size: int, epochs: int) -> None:
        n_samples, n_features = source.shape
        self._source, self._targets, self._orders = source, y, orders
        self._total = epochs * n_samples
        batches = max(1, BYTES_READ_AT_ONCE // (batch_size * n_features * y.itemsize))
        rows = min(n_samples, batches * batch_size)
        self.X, self.y = np.empty((rows, n_features), y.dtype), np.empty((rows, y.shape[1]), y.dtype)
        self.order = np.arange(rows, dtype=np.int32)
        self._of_epoch = np.empty(n_samples, np.int32)
        self._end = 0

    def ready_until(self, run: Run) -> int:
        """Until how many samples done the rows are there; reads more where they have run out."""
        if run.done == self._end < self._total:
            n_samples = len(self._of_epoch)
            start = self._end % n_samples
            if start == 0:
                self._orders.draw(self._of_epoch)
            rows = self._of_epoch[start : start + len(self.X)]
            read_rows(self._source, rows, self.X)
            np.take(self._targets, rows, axis=0, out=self.y[: len(rows)])
            run.order_begins_at(self._end)
            self._end += len(rows)
        return self._end


def read_rows(source: Any, rows: NDArray[np.int32], into: NDArray[Any]) -> None:
    """Write the rows of the given numbers, no two alike, to the front of `into`.

    They are read from first to last, which disks are faster at and some formats insist on.
    """
    first, last = int(rows.min()), int(rows.max())
    if last - first + 1 == len(rows):
        block = np.asarray(source[first : last + 1])
        into[: len(rows)] = block[rows - first]
        return
    by_place = np.argsort(rows)
    into[by_place] = np.asarray(source[rows[by_place]])
