"""Row orders from a key and the number of the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import MOST_COUNTED_ROWS


def draw_orders(keys: NDArray[np.int64], epoch: int, rows: NDArray[np.int32], orders: NDArray[np.int32]) -> None:
    """Write the orders (n_epochs, n_samples, n_nets) of the epochs from `epoch` on.

    `rows`, (n_nets or 1, n_samples), are shuffled as in Durstenfeld (1964): from the last place on each is exchanged with
    one not above it, by the numbers that splitmix64 (Steele et al. 2014) draws from the net's key. Each epoch has
    `MOST_COUNTED_ROWS` of them for itself, so that no order hangs on another.
    """
    n_epochs, n_samples, n_nets = orders.shape
    places = np.arange(n_samples - 1, 0, -1, dtype=np.uint64)
    for net in range(n_nets):
        for at in range(n_epochs):
            drawn = _drawn(int(keys[net]), places + np.uint64((epoch + at) * MOST_COUNTED_ROWS))
            others = (drawn * (places + np.uint64(1))) >> np.uint64(32)
            order = rows[min(net, len(rows) - 1)].tolist()
            for here, there in zip(places.tolist(), others.tolist(), strict=True):
                order[here], order[there] = order[there], order[here]
            orders[at, :, net] = order


def _drawn(key: int, counters: NDArray[np.uint64]) -> Any:
    """32 bits for each counter."""
    x = np.uint64(key) + counters * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) >> np.uint64(32)
