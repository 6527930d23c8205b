"""Where the kernels must give the same bits, and where they must not go on: how often they do otherwise."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.check.accuracy import DType
from fastmlp.check.cases import WHOLE, Case, begin, bits, start, trained
from fastmlp.check.engines import net_of
from fastmlp.network import Network
from fastmlp.options import Activation, Loss, Status
from fastmlp.sweep import train_many

Array = NDArray[Any]
EPOCHS = 2
RATE = 2.0**-7
# More than a group of the widest vectors has.
NETS_ABREAST = 18


def threads_that_differ(case: Case, dtype: DType) -> int:
    """Runs on 2 and 4 threads that do not have the bits of the run on one."""
    given = start(case, dtype, EPOCHS)
    alone = bits(*trained("kernels", case, given, EPOCHS, RATE))
    return sum(bits(*trained("kernels", case, given, EPOCHS, RATE, threads=threads)) != alone for threads in (2, 4))


def refits_that_differ(cases: list[Case], dtype: DType) -> int:
    """Runs that do not repeat their bits, in one call or in calls that end after some blocks."""
    missed = 0
    for case in cases:
        given = start(case, dtype, EPOCHS)
        first = bits(*trained("kernels", case, given, EPOCHS, RATE))
        missed += sum(bits(*trained("kernels", case, given, EPOCHS, RATE, budget)) != first for budget in (WHOLE, 3, 1))
    return missed


def abreast_that_differ(dtype: DType) -> int:
    """Nets trained several at a time that do not have the bits which each has alone."""
    random = np.random.default_rng(5)
    X: Array = random.standard_normal((37, 3)).astype(dtype)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    common: dict[str, Any] = {"hidden": 5, "activation": "tanh", "batch_size": 8, "epochs": 6}
    configs: list[dict[str, Any]] = [{"seed": seed, "learning_rate": 0.01 * (1 + seed % 3)} for seed in range(NETS_ABREAST)]
    together = train_many(X, y, configs, **common)
    if "interrupted" in together.statuses:
        raise KeyboardInterrupt
    missed = 0
    for net, config in zip(together, configs, strict=True):
        alone = net_of(X, y, **common, **config)
        missed += net is None or _bits_of(net) != _bits_of(alone)
    return missed


def _bits_of(net: Network) -> bytes:
    return net.params.tobytes() + net.loss_curve.tobytes()


def nans_unseen(dtype: DType) -> int:
    """Nets with a NaN among their parameters whose run does not say so at once and leave them as they are."""
    missed = 0
    for loss, activation in product(Loss, Activation):
        case = Case((2, 3, 2), (activation,), loss, "sgd", "free")
        # A weight and a bias of either layer.
        for place in (0, 6, 12, 15):
            given = start(case, dtype)
            given.params[place] = np.nan
            run, losses = begin("kernels", case, given), np.full(1, 7, dtype)
            status = run.advance(np.full(1, 0.5, dtype), losses, case.n_samples, WHOLE)
            kept = np.array_equal(run.params, given.params, equal_nan=True)
            missed += not (status == Status.DIVERGED and run.done == 0 and losses[0] == 7 and kept)
    return missed


def divergence_unseen(dtype: DType) -> int:
    """Runs with a step far too large that do not end, with finite parameters left from before."""
    missed = 0
    for activation in Activation:
        case = Case((2, 3, 1), (activation,), Loss.SQUARED_ERROR, "sgd", "l2")
        run, epochs = begin("kernels", case, start(case, dtype)), 50
        status = run.advance(np.full(epochs, 1e30, dtype), np.zeros(epochs, dtype), epochs * case.n_samples, WHOLE)
        missed += not (status == Status.DIVERGED and np.isfinite(run.previous_params).all())
    return missed


def inputs_unseen(dtype: DType) -> int:
    """NaN and infinities in a row to be predicted that are not refused."""
    X: Array = np.random.default_rng(6).standard_normal((100, 3)).astype(dtype)
    net = net_of(X, (X[:, 0] > 0).astype(int), hidden=4, epochs=1, seed=0)
    missed = 0
    for place, value in product((0, 50, 99), (np.nan, np.inf, -np.inf)):
        rows = X.copy()
        rows[place, 1] = value
        try:
            net.predict(rows)
        except ValueError:
            continue
        missed += 1
    return missed
