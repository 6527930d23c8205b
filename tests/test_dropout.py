"""Dropout: the same outputs are left out by both engines, as many as there should be, and one as likely as another."""

from itertools import pairwise, product

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.kernels.blocks import plan
from fastmlp.options import Loss, Snapshot, Status
from table import IDENTITY, TANH, TOLERANCES, WHOLE, Case, Start, begin, by_dtype, by_engine, parts, relative_error

# How many samples of a batch tell in one output what is left out.
DIGITS = 12
# The last hidden layer is read, the first to the third of its net; a wide net's is divided by units or by inputs.
READ = {
    "narrow": (1, 5, 64),
    "narrow-second": (1, 3, 5, 64),
    "narrow-third": (1, 3, 2, 5, 64),
    "between": (1, 40, 60),
    "between-second": (1, 17, 33, 60),
    "wide-by-units": (1, 300, 110),
    "wide-by-inputs": (300, 120, 20, 64),
}


def last_sums(sizes, rate, dtype, key, step, batch_size):
    """Of each unit of the last hidden layer and each output the sum of the last batch's deltas that keep the unit.

    As the gradient tells it, where every unit returns 1, every output 0; and as it should be if all units were kept alone.
    The delta of the sample at place t is a power of two, of output t // DIGITS.
    """
    n_samples, hidden = DIGITS * sizes[-1], len(sizes) - 2
    case = Case(sizes, (IDENTITY,) * hidden, Loss.SQUARED_ERROR, "none", "free", n_samples, batch_size)
    case = case._replace(dropout=(rate,) * hidden)
    n_weights = sum(a * b for a, b in pairwise(sizes))
    params = np.zeros(n_weights + sum(sizes[1:]), dtype)
    params[n_weights : -sizes[-1]] = 1
    places = np.arange(n_samples)
    deltas = np.zeros((n_samples, sizes[-1]))
    deltas[places, places // DIGITS] = 2.0 ** (places % DIGITS)
    order = places if case.batches == 1 else np.random.default_rng(2).permutation(n_samples)
    y = np.empty(deltas.shape, dtype)
    y[order] = -deltas
    given = Start(params, np.ones((n_samples, sizes[0]), dtype), y, order.astype(np.int32))
    run = begin("kernels", case, given, Snapshot(params, key=key, step=step))
    last = n_samples - (case.batches - 1) * batch_size
    for until in (n_samples - last, n_samples):
        # Batches add up: only the last one is to be seen.
        run._state.moments[:] = 0
        assert run.advance(np.ones(1, dtype), np.zeros(1, dtype), until, WHOLE) == Status.FINISHED
    kept = reference.kept_units(rate, key, step + case.batches - 1, hidden - 1, last, sizes[-2], np.float64)
    return parts(case, run.gradient)[hidden].astype(np.float64) * n_samples, kept, deltas[-last:]


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.97])
@by_dtype
@pytest.mark.parametrize("sizes", READ.values(), ids=READ)
def test_kernels_leave_out_what_the_reference_does(sizes, dtype, rate):
    n_samples = DIGITS * sizes[-1]
    for key, step in ((20150903, 0), (0, 1), ((1 << 63) - 1, 1_000_000_007)):
        for batch_size in (n_samples, n_samples * 2 // 3):
            told, kept, deltas = last_sums(sizes, rate, dtype, key, step, batch_size)
            scale = 1 / (1 - rate)
            np.testing.assert_array_equal(np.rint(told / scale), (kept > 0).T @ deltas)
            assert relative_error(told, kept.T @ deltas) <= TOLERANCES[dtype]


def test_nets_of_every_kind_are_read():
    for name, sizes in READ.items():
        net = plan(sizes, (IDENTITY,) * (len(sizes) - 2), int(Loss.SQUARED_ERROR), 1, np.float32, DIGITS * sizes[-1])
        assert name.startswith("narrow" if net.narrow else "wide" if net.wide else "between")
        assert DIGITS * sizes[-1] > net.block


RATES = [0.5, 0.1, 0.9]
SHAPE = KEYS, STEPS, LAYERS, SAMPLES, UNITS = 3, 100, 3, 70, 33
# In standard errors. One in a million figures that chance makes lies beyond 4.9 of them.
FAR = 5


@pytest.fixture(scope="module", params=RATES)
def draws(request):
    """The share that is left out, and what is kept of all draws, brought to mean 0 and variance 1."""
    rate = request.param
    keys = np.random.default_rng(1).integers(1 << 63, size=KEYS)
    some = [
        reference.kept_units(rate, int(key), step, layer, SAMPLES, UNITS, np.float64) > 0
        for key, step, layer in product(keys, range(STEPS), range(LAYERS))
    ]
    kept = np.array(some).reshape(SHAPE)
    return rate, (kept - (1 - rate)) / np.sqrt(rate * (1 - rate))


def test_the_share_that_is_kept(draws):
    """In all and of each key, step, layer, sample and unit."""
    _, values = draws
    for axes in ((), (0,), (1,), (2,), (3,), (4,), (2, 4), (3, 4)):
        others = tuple(axis for axis in range(5) if axis not in axes)
        sums = values.sum(axis=others) / np.sqrt(np.prod([SHAPE[axis] for axis in others]))
        assert np.abs(sums).max() < FAR
        # And not more even than by chance: a mean of squares is 1, to a standard error of sqrt(2 / n), as of a normal one.
        if sums.size > 20:
            assert abs((sums**2).mean() - 1) < FAR * np.sqrt(2 / sums.size)


LAGS = [lags for lags in product(range(2), range(3), range(2), range(4), range(4)) if any(lags)]


def test_what_is_kept_does_not_hang_together(draws):
    """Of any two draws as far apart in keys, steps, layers, samples and units."""
    _, values = draws
    found = []
    for lags in LAGS:
        here = values[tuple(slice(None, size - lag) for size, lag in zip(SHAPE, lags, strict=True))]
        there = values[tuple(slice(lag, None) for lag in lags)]
        found.append((here * there).sum() / np.sqrt(here.size))
    assert np.abs(found).max() < FAR
    assert abs(np.square(found).mean() - 1) < FAR * np.sqrt(2 / len(found))


@by_engine
@pytest.mark.parametrize("rate", RATES)
def test_the_mean_output_is_that_without_dropout(engine, rate):
    """Of many samples alike, in many updates: what is kept is scaled up by as much as there is less of it."""
    n_samples, updates, sizes = 500, 20, (3, 40, 2)
    case = Case(sizes, (TANH,), Loss.SQUARED_ERROR, "none", "free", n_samples, n_samples, dropout=(rate,))
    random = np.random.default_rng(4)
    params = random.standard_normal(3 * 40 + 40 * 2 + 42)
    X = np.tile(random.standard_normal(3), (n_samples, 1))
    weights, biases = reference.views(params, sizes)
    z, a = reference.forward(weights, biases, case.activations, X[:1])
    means = []
    for step in range(updates):
        reached = Snapshot(params, key=7, step=step)
        run = begin(engine, case, Start(params, X, np.zeros((n_samples, 2)), np.zeros((0, n_samples), np.int32)), reached)
        run.advance(np.ones(1), np.zeros(1), n_samples, WHOLE)
        # With targets of 0 the gradient of an output's bias is the mean of the outputs.
        means.append(run.gradient[-2:])
    variance = (a[1].T * weights[1]) ** 2 * rate / (1 - rate)
    standard_error = np.sqrt(variance.sum(axis=0) / (n_samples * updates))
    assert (np.abs(np.mean(means, axis=0) - z[-1][0]) < FAR * standard_error).all()
    # And what varies is as much as that.
    assert np.std(means, axis=0) == pytest.approx(standard_error * np.sqrt(updates), rel=0.5)
