"""Row orders from a key and the number of the epoch. See :func:`fastmlp.reference.draw_orders`."""

from __future__ import annotations

from fastmlp.kernels.counters import drawn
from fastmlp.kernels.jit import entry, routine
from fastmlp.kernels.vectors import memory
from fastmlp.options import MOST_COUNTED_ROWS


@routine
def shuffle(key, epoch, order, start, step, n_samples):
    """Shuffle every `step`-th element from `start` on (Durstenfeld 1964)."""
    counter = epoch * MOST_COUNTED_ROWS
    for i in range(n_samples - 1, 0, -1):
        here, there = start + i * step, start + ((drawn(key, counter + i) * (i + 1)) >> 32) * step
        order[here], order[there] = order[there], order[here]


@entry
def draw_orders(keys, epoch, rows, n_samples, orders):
    """Write the orders of the epochs from `epoch` on, flat (n_epochs, n_samples, n_nets).

    `rows` has the row numbers of each net, one net after the other, or once those of all.
    """
    n_nets, apart = keys.shape[0], n_samples if rows.shape[0] > n_samples else 0
    n_epochs = orders.shape[0] // (n_samples * n_nets)
    keys, rows, orders = memory(keys), memory(rows), memory(orders)
    for net in range(n_nets):
        for place in range(n_epochs):
            start = place * n_samples * n_nets + net
            for i in range(n_samples):
                orders[start + i * n_nets] = rows[net * apart + i]
            shuffle(keys[net], epoch + place, orders, start, n_nets, n_samples)
    return 0
