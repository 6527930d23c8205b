"""The problems on which the engines are compared: every option, in the end, with every other."""

import os
from itertools import combinations, product

import numpy as np
import pytest

from fastmlp.check.accuracy import DTYPES as DTYPES
from fastmlp.check.accuracy import TOLERANCES as TOLERANCES
from fastmlp.check.accuracy import relative_error as relative_error
from fastmlp.check.accuracy import update_tolerance as update_tolerance
from fastmlp.check.cases import ENGINES as ENGINES
from fastmlp.check.cases import NETS as NETS
from fastmlp.check.cases import PENALTIES as PENALTIES
from fastmlp.check.cases import SOLVERS as SOLVERS
from fastmlp.check.cases import WEIGHTS as WEIGHTS
from fastmlp.check.cases import WHOLE as WHOLE
from fastmlp.check.cases import Case as Case
from fastmlp.check.cases import Start as Start
from fastmlp.check.cases import begin as begin
from fastmlp.check.cases import bits as bits
from fastmlp.check.cases import objective_and_gradient as objective_and_gradient
from fastmlp.check.cases import parts as parts
from fastmlp.check.cases import start as start
from fastmlp.check.cases import trained as trained
from fastmlp.check.cases import worst_error as worst_error
from fastmlp.options import Activation, Loss

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
by_engine = pytest.mark.parametrize("engine", ENGINES)
IDENTITY, LOGISTIC, TANH, RELU = tuple(Activation)[:4]

# Widths on either side of a vector's, no hidden layer, and layers with so many weights (33 x 40, 64 x 10) that their
# gradients are summed the other way.
HIDDEN = [(), (1,), (2,), (3,), (15,), (16, 17), (33,), (3, 1, 2), (40, 10), (64,)]
FEATURES = [1, 2, 3, 17, 33, 15, 16, 2, 33, 10]
OUTPUTS = {loss: (2, 3, 5) if loss == Loss.CROSS_ENTROPY else (1, 2, 5) for loss in Loss}
BATCHES = [(1, 1), (7, 7), (8, 8), (9, 9), (64, 64), (65, 65), (300, 300), (65, 1), (65, 7), (65, 8), (65, 9), (65, 64)]


def _shapes():
    """Every loss with every activation, each pair on some shapes, the article's on all of them."""
    for place, (loss, activation) in enumerate(product(Loss, Activation)):
        every = 1 if loss <= Loss.SQUARED_ERROR and activation <= RELU else 5
        for turn, (n_features, hidden) in enumerate(zip(FEATURES, HIDDEN, strict=True)):
            if (place + turn) % every == 0:
                n_outputs = OUTPUTS[loss][(place + turn) % 3]
                penalty = list(PENALTIES)[(place + turn) % len(PENALTIES)]
                yield Case((n_features, *hidden, n_outputs), (activation,) * len(hidden), loss, penalty=penalty)


def _batches():
    for loss, (n_samples, batch_size) in product(tuple(Loss)[:3], BATCHES):
        outputs = 1 if loss == Loss.BINARY_CROSS_ENTROPY else 3
        for sizes, activation in (((2, 3, outputs), TANH), ((33, 40, outputs), RELU)):
            yield Case(sizes, (activation,), loss, n_samples=n_samples, batch_size=batch_size)


def _solvers():
    for solver, penalty in product(SOLVERS, PENALTIES):
        for loss, outputs in ((Loss.CROSS_ENTROPY, 2), (Loss.SQUARED_ERROR, 2)):
            for sizes, activations in (((2, 3, outputs), (TANH,)), ((33, 40, 17, outputs), (LOGISTIC, TANH))):
                yield Case(sizes, activations, loss, solver, penalty, n_samples=50, batch_size=16)


def _others():
    yield Case((4, 5, 6, 7, 8, 3), (TANH, RELU, LOGISTIC, IDENTITY), penalty="l2")
    yield Case((4, 17, 33, 2, 3), (RELU, IDENTITY, TANH), Loss.SQUARED_ERROR, "nesterov", n_samples=300, batch_size=128)
    # So many classes that one logarithm cannot serve several vectors, and so many blocks that partial sums are folded.
    yield Case((2, 5000), (), n_samples=20, batch_size=20)
    for batch_size in (2600, 2500):
        yield Case((33, 40, 3), (TANH,), n_samples=2600, batch_size=batch_size)
        yield Case((2, 3, 2), (TANH,), n_samples=9000, batch_size=batch_size)
    yield Case((2, 3, 2), (TANH,), n_samples=70_000, batch_size=70_000)
    yield Case((33, 40, 2), (TANH,), n_samples=40_000, batch_size=40_000)
    # Nets whose gradients are sums over a whole slab, with several slabs, and with layers of few weights among them.
    for batch_size in (1, 63, 130, 700):
        yield Case((200, 170, 3), (TANH,), n_samples=700, batch_size=batch_size)
        yield Case((2, 4, 200, 180, 2, 5), (TANH, RELU, LOGISTIC, TANH), n_samples=700, batch_size=batch_size)


WIDTHS = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 100, 1000)
SIZES = (1, 5, 63, 64, 65, 200, 1000)


def _ragged():
    """Every width as that of the inputs and of a hidden layer beside others, with every batch size in turn."""
    for place, width in enumerate(WIDTHS):
        for turn, other in enumerate(WIDTHS):
            if width * other <= 33_000:
                batch_size = SIZES[(place + 2 * turn) % len(SIZES)]
                yield Case((width, other, 3), (TANH,), n_samples=batch_size, batch_size=batch_size)
                sizes, loss = (5, other, width, 2), Loss.SQUARED_ERROR
                yield Case(sizes, (RELU, TANH), loss, "nesterov", n_samples=batch_size, batch_size=batch_size)


# Factors of which every two values meet in some case.
FACTORS = {
    "hidden": [(3,), (16, 17), (40, 10), (200, 170), (130,), (3, 5, 4)],
    "activation": list(Activation),
    "loss": [*((loss, "") for loss in Loss), (Loss.CROSS_ENTROPY, "smooth"), (Loss.HUBER, "narrow-huber"),
             (Loss.QUANTILE, "high-quantile")],
    "solver": list(SOLVERS),
    "penalty": list(PENALTIES),
    "weights": list(WEIGHTS),
    "dropout": [0.0, 0.5, 0.1],
    "batch": [(65, 65), (65, 9), (150, 64), (1, 1), (300, 300), (600, 520)],
    "outputs": [0, 1, 2],
}  # fmt: skip


def covering(factors, seed):
    """Choices from the factors such that every two values of different factors meet: greedy, from random candidates."""
    random = np.random.default_rng(seed)
    names = list(factors)
    left = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i, j in product(range(len(factors[a])), range(len(factors[b])))
    }
    while left:
        (a, i), (b, j) = min(left)
        candidates = [{name: int(random.integers(len(factors[name]))) for name in names} | {a: i, b: j} for _ in range(30)]
        met = [{((x, c[x]), (y, c[y])) for x, y in combinations(names, 2)} for c in candidates]
        best = max(range(len(met)), key=lambda place: len(met[place] & left))
        left -= met[best]
        yield {name: factors[name][candidates[best][name]] for name in names}


def _mixed():
    """Every two options together."""
    for seed in (0, 1, 2):
        for chosen in covering(FACTORS, seed):
            (loss, shape), (n_samples, batch_size), hidden = chosen["loss"], chosen["batch"], chosen["hidden"]
            yield Case(
                (5, *hidden, OUTPUTS[loss][chosen["outputs"]]), (chosen["activation"],) * len(hidden), loss,
                chosen["solver"], chosen["penalty"], n_samples, batch_size, chosen["weights"],
                (chosen["dropout"],) * len(hidden) if chosen["dropout"] else (), shape,
            )  # fmt: skip


def _together():
    """What changes a gradient, by threes and fours, with solvers that do not only add it up, in a net of each kind.

    Of batches that are cut into several parts and blocks, or slabs.
    """
    batches = {"narrow": (4600, 4300), "between": (700, 600), "wide": (1030, 600)}
    for net, sizes in NETS.items():
        hidden = len(sizes) - 2
        for activation, loss, solver, penalty, weights, dropout, shape in (
            (Activation.GELU, Loss.CROSS_ENTROPY, "adamw", "clipped-l1-l2", "some", 0.5, "smooth"),
            (Activation.ELU, Loss.HUBER, "rmsprop", "l1", "none", 0.1, "narrow-huber"),
            (Activation.MISH, Loss.POISSON, "rmsprop-momentum", "clipped", "many-zero", 0.0, ""),
            (Activation.TANH, Loss.QUANTILE, "rprop", "l1-l2", "zero-batch", 0.5, "high-quantile"),
            (Activation.SELU, Loss.ABSOLUTE_ERROR, "none", "clipped-l1-l2", "some", 0.2, ""),
        ):
            yield Case(
                sizes, (activation,) * hidden, loss, solver, penalty, *batches[net], weights,
                (dropout,) * hidden if dropout else (), shape,
            )  # fmt: skip


TOGETHER = list(_together())
# Where the tests are run again, for other machines, some of the cases must do.
EVERY = int(os.environ.get("FASTMLP_TESTS_EVERY", "1"))
CASES = list(dict.fromkeys([*_shapes(), *_ragged(), *_batches(), *_solvers(), *_others(), *_mixed(), *TOGETHER]))[::EVERY]
