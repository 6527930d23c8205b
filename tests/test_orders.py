"""Row orders that follow from a key and the number of the epoch."""

import numpy as np
import pytest

from fastmlp import train
from fastmlp.batches import CountedOrders
from fastmlp.options import MOST_COUNTED_ROWS
from table import ENGINES, by_engine


def drawn(engine, keys, epoch, rows, n_epochs):
    orders = np.full((n_epochs, rows.shape[1], len(keys)), -1, np.int32)
    ENGINES[engine].draw_orders(np.array(keys), epoch, rows.astype(np.int32), orders)
    return orders


@pytest.mark.parametrize("n_samples", [1, 2, 3, 17, 150, MOST_COUNTED_ROWS])
@pytest.mark.parametrize("n_nets", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_engines_draw_alike(random, n_samples, n_nets, shared):
    keys = random.integers(1, 1 << 62, n_nets)
    rows = np.stack([random.permutation(5 * n_samples)[:n_samples] for _ in range(1 if shared else n_nets)])
    ours, wanted = (drawn(engine, keys, 7, rows, 2) for engine in ENGINES)
    np.testing.assert_array_equal(ours, wanted)
    for net in range(n_nets):
        for order in ours[..., net]:
            np.testing.assert_array_equal(np.sort(order), np.sort(rows[0 if shared else net]))


@by_engine
def test_an_order_hangs_on_key_and_epoch_alone(engine):
    rows = np.arange(50)[np.newaxis]
    together = drawn(engine, [3, 4], 0, rows, 3)
    for net, key in enumerate((3, 4)):
        for epoch in range(3):
            np.testing.assert_array_equal(drawn(engine, [key], epoch, rows, 1)[0, :, 0], together[epoch, :, net])
    assert len({order.tobytes() for order in together.transpose(0, 2, 1).reshape(-1, 50)}) == 6


def test_every_order_is_as_likely(random):
    """Of the 24 orders of four rows each comes as often, by a chi-squared test on 23 degrees of freedom."""
    keys = random.integers(1, 1 << 62, 8)
    orders = drawn("kernels", keys, 0, np.arange(4)[np.newaxis], 3000).transpose(0, 2, 1).reshape(-1, 4)
    _, counts = np.unique(orders @ [1, 4, 16, 64], return_counts=True)
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7  # one in a thousand is above


def test_every_row_comes_to_every_place_as_often():
    """Chi-squared over 99 places of row 0, of keys 1 to 20,000: one in a thousand is above 149."""
    orders = drawn("kernels", np.arange(1, 20_001), 0, np.arange(100)[np.newaxis], 1)[0]
    counts = np.bincount((orders == 0).argmax(axis=0), minlength=100)
    assert ((counts - 200) ** 2 / 200).sum() < 149


def test_draws_can_be_taken_back():
    orders = CountedOrders(5, 0, 20, None, ENGINES["kernels"].draw_orders)
    first, again = np.empty((2, 4, 20), np.int32)
    orders.draw(first[:1])
    place = orders.place()
    orders.draw(first[1:])
    orders.come_back(place)
    orders.skip(1)
    orders.draw(again[2:])
    np.testing.assert_array_equal(again[2:], first[2:])
    assert orders.epoch == 4


@pytest.mark.parametrize("n_samples", [MOST_COUNTED_ROWS, MOST_COUNTED_ROWS + 1])
@by_engine
def test_both_sides_of_the_rule_train_alike(random, n_samples, engine):
    """Int and Generator seeds give the same orders, and so do both engines, whichever way orders come."""
    X = random.standard_normal((n_samples, 2))
    y = (X[:, 0] > 0).astype(int)
    options = {"hidden": 2, "epochs": 2, "batch_size": 1000, "engine": engine}
    nets = [train(X, y, seed=seed, **options) for seed in (3, np.random.default_rng(3))]
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
    reference = train(X, y, seed=3, **{**options, "engine": "reference"})
    np.testing.assert_allclose(nets[0].params, reference.params, rtol=1e-9)
