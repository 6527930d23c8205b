"""Which rows come next: row orders, epoch by epoch, and rows that do not lie in memory as the engines take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp.initialise import Random
from fastmlp.options import Status

# Row orders drawn ahead, half a millisecond of work, so that a chunk can hold many short epochs.
ROWS_DRAWN_AHEAD = 32_768
# Rows that are read one after the other, and how many such runs are shuffled together, when blocks of rows are shuffled.
ROWS_IN_RUN = 256
RUNS_TOGETHER = 64
# What is read at once of data that are converted on the way.
BYTES_READ_AT_ONCE = 4_000_000
# Blocks worked through before Ctrl-C is heard.
BLOCKS_AT_ONCE = 1024


# See :func:`fastmlp.reference.draw_orders`.
DrawOrders = Callable[[NDArray[np.int64], int, NDArray[np.int32], NDArray[np.int32]], None]


class Run(Protocol):
    """What is needed of an engine's run."""

    @property
    def done(self) -> int:
        """Samples done, in all epochs together."""

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the row order begins."""


class Orders:
    """The row order of each epoch.

    Shuffling "blocks" draws the order of runs of `ROWS_IN_RUN` rows, and then shuffles the rows of `RUNS_TOGETHER` of them
    at a time: a batch is mixed from many places, and a reader goes to few.

    Parameters
    ----------
    random : draws the orders; None keeps the rows as they are.
    n_samples : rows in an epoch.
    rows : their numbers, or None where those are 0, 1, ...
    last : the order that the first one is a shuffle of, or None; others than of these rows are passed over.
    by_blocks : shuffle blocks.
    """

    def __init__(
        self,
        random: Random | None,
        n_samples: int,
        rows: NDArray[Any] | None = None,
        last: NDArray[Any] | None = None,
        by_blocks: bool = False,
    ) -> None:
        self.random, self.n_samples, self._by_blocks = random, n_samples, by_blocks
        self.rows = np.arange(n_samples, dtype=np.int32) if rows is None else rows.astype(np.int32)
        # As in scikit-learn, for whom the numbers of a RandomState must be the same; else there is nothing to remember.
        self._goes_on = isinstance(random, np.random.RandomState) and not by_blocks
        is_theirs = last is not None and np.array_equal(np.sort(last), np.sort(self.rows))
        self.last = last.astype(np.int32) if last is not None and is_theirs else self.rows

    def draw(self, into: NDArray[np.int32]) -> None:
        """Write the orders of the next epochs, (n_epochs, n_samples)."""
        for order in into:
            self._draw(order)

    def skip(self, epochs: int) -> None:
        """Draw so many orders for nobody."""
        self.draw(np.empty((epochs, self.n_samples), np.int32))

    def _draw(self, into: NDArray[np.int32]) -> None:
        into[:] = self.last
        if self.random is None:
            return
        if self._by_blocks:
            runs = self.random.permutation(-(-len(into) // ROWS_IN_RUN))
            places = (runs[:, np.newaxis] * ROWS_IN_RUN + np.arange(ROWS_IN_RUN)).ravel()
            into[:] = self.rows[places[places < len(into)]]
            for start in range(0, len(into), ROWS_IN_RUN * RUNS_TOGETHER):
                self.random.shuffle(into[start : start + ROWS_IN_RUN * RUNS_TOGETHER])
            return
        self.random.shuffle(into)
        if self._goes_on:
            self.last = into.copy()

    def remembered(self) -> NDArray[np.int32]:
        """The order that the next one is a shuffle of; empty where it is one of the rows as they are."""
        return self.last if self._goes_on else np.empty(0, np.int32)

    def place(self) -> tuple[Any, NDArray[np.int32]]:
        """Where the draws stand, to come back to."""
        if self.random is None:
            return None, self.last
        if isinstance(self.random, np.random.Generator):
            return self.random.bit_generator.state, self.last
        return self.random.get_state(legacy=False), self.last

    def come_back(self, place: tuple[Any, NDArray[np.int32]]) -> None:
        """Draw from there again."""
        drawn, self.last = place
        if isinstance(self.random, np.random.Generator):
            self.random.bit_generator.state = drawn
        elif self.random is not None:
            self.random.set_state(drawn)


class CountedOrders:
    """Row orders that follow from a key and the number of the epoch, so that there is nothing to remember.

    Parameters
    ----------
    key, epoch : what they follow from, and the next one's number.
    n_samples : rows in an epoch.
    rows : their numbers, or None where those are 0, 1, ...
    draw_orders : an engine's.
    """

    def __init__(self, key: int, epoch: int, n_samples: int, rows: NDArray[Any] | None, draw_orders: DrawOrders) -> None:
        self.key, self.epoch, self.n_samples, self._draw_orders = key, epoch, n_samples, draw_orders
        self.rows = np.arange(n_samples, dtype=np.int32) if rows is None else rows.astype(np.int32)

    def draw(self, into: NDArray[np.int32]) -> None:
        """Write the orders of the next epochs, (n_epochs, n_samples)."""
        self._draw_orders(np.array([self.key]), self.epoch, self.rows[np.newaxis], into[:, :, np.newaxis])
        self.epoch += len(into)

    def skip(self, epochs: int) -> None:
        """Leave out so many orders."""
        self.epoch += epochs

    def remembered(self) -> NDArray[np.int32]:
        """No order: the next one is not a shuffle of one before."""
        return np.empty(0, np.int32)

    def place(self) -> int:
        """Where the draws stand, to come back to."""
        return self.epoch

    def come_back(self, place: int) -> None:
        """Draw from there again."""
        self.epoch = place


AnyOrders = Orders | CountedOrders


class InMemory:
    """Rows that lie in memory as the engines take them, which gather them by the row order.

    Full batches are all rows, in their order, unless they too are gathered.
    """

    def __init__(
        self, X: NDArray[Any], y: NDArray[Any], orders: AnyOrders, batch_size: int, epochs: int, gathers: bool = False
    ) -> None:
        n_samples = orders.n_samples
        self.X, self.y = X, y
        self.orders: Any = orders
        self._total = epochs * n_samples
        ahead = max(1, min(epochs, ROWS_DRAWN_AHEAD // n_samples))
        if batch_size == n_samples:
            ahead = 1 if gathers else 0
        self._by_epoch = np.empty((ahead, n_samples), np.int32)
        self.order = self._by_epoch.reshape(-1)
        self._end = self._drawn_from = 0
        self._before = orders.place()

    def begin_again(self) -> None:
        """Do nothing: all rows are there."""

    def settle(self, done: int) -> None:
        """Take back the draws of epochs that `done` samples have not begun."""
        if not len(self._by_epoch):
            return
        n_samples = self._by_epoch.shape[1]
        begun = -(-(done - self._drawn_from) // n_samples)
        if self._drawn_from + begun * n_samples < self._end:
            self.orders.come_back(self._before)
            self.orders.skip(begun)

    @contextmanager
    def settled(self, done: int) -> Iterator[None]:
        """For as long as this lasts, the draws of epochs that `done` samples have not begun are taken back."""
        ahead = self.orders.place()
        self.settle(done)
        try:
            yield
        finally:
            self.orders.come_back(ahead)

    def ready_until(self, run: Run) -> int:
        """Until how many samples done the rows are there; draws more orders where they have run out."""
        if not len(self._by_epoch):
            return self._total
        if run.done == self._end:
            run.order_begins_at(self._end)
            n_samples = self._by_epoch.shape[1]
            self._before, self._drawn_from = self.orders.place(), self._end
            n_orders = min(len(self._by_epoch), (self._total - self._end) // n_samples)
            self.orders.draw(self._by_epoch[:n_orders])
            self._end += n_orders * n_samples
        return self._end


class Streamed:
    """Rows that are read and converted some batches at a time, so that memory does not grow with the data.

    `source` is any array that takes increasing row numbers: a memory map, one of another dtype, a data set in a file. The
    labels, 4 or 8 bytes a row, and the row order, 4 bytes, are kept.
    """

    def __init__(self, source: Any, y: NDArray[Any], orders: AnyOrders, batch_size: int, epochs: int) -> None:
        n_samples = orders.n_samples
        n_features = source.shape[1]
        self._source, self._targets, self.orders = source, y, orders
        self._total = epochs * n_samples
        batches = max(1, BYTES_READ_AT_ONCE // (batch_size * n_features * y.itemsize))
        rows = min(n_samples, batches * batch_size)
        self.X, self.y = np.empty((rows, n_features), y.dtype), np.empty((rows, y.shape[1]), y.dtype)
        self.order = np.arange(rows, dtype=np.int32)
        self._of_epoch = np.empty(n_samples, np.int32)
        self._end = 0

    def settle(self, done: int) -> None:
        """Do nothing: orders are drawn when their epochs begin."""

    def settled(self, done: int) -> AbstractContextManager[None]:
        """Do nothing, for the same reason, at an epoch's end."""
        return nullcontext()

    def begin_again(self) -> None:
        """Read from the first row on again."""
        self._end = 0

    def ready_until(self, run: Run) -> int:
        """Until how many samples done the rows are there; reads more where they have run out."""
        if run.done == self._end < self._total:
            n_samples = len(self._of_epoch)
            start = self._end % n_samples
            if start == 0:
                self.orders.draw(self._of_epoch[np.newaxis])
            rows = self._of_epoch[start : start + len(self.X)]
            read_rows(self._source, rows, self.X)
            np.take(self._targets, rows, axis=0, out=self.y[: len(rows)])
            run.order_begins_at(self._end)
            self._end += len(rows)
        return self._end


def one_epoch(run: Any, batches: InMemory | Streamed, n_samples: int, rate: NDArray[Any]) -> float:
    """Train a run that is at its beginning for one epoch at the `rate` (1,); its mean objective, NaN where it diverges."""
    losses = np.zeros_like(rate)
    while run.done < n_samples:
        if run.advance(rate, losses, batches.ready_until(run), BLOCKS_AT_ONCE) == Status.DIVERGED:
            return float("nan")
    return float(losses[0])


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
