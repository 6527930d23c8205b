"""The problems on which the engines are compared, and what the tests measure them with."""

from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from fastmlp import reference
from fastmlp.kernels.run import Run
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver

ENGINES = {"kernels": Run, "reference": reference.Run}
# What max|a - b| / max|b| may come to for one gradient or update.
TOLERANCES = {np.float64: 1e-12, np.float32: 5e-6}
DTYPES = list(TOLERANCES)
# A budget that no call uses up.
WHOLE = 1 << 40

IDENTITY, LOGISTIC, TANH, RELU = Activation
SOLVERS = {
    "sgd": (Solver.SGD, {}),
    "momentum": (Solver.SGD, {"momentum": 0.9}),
    "nesterov": (Solver.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (Solver.ADAM, {}),
    "adam-epsilon-inside": (Solver.ADAM, {"epsilon_inside": True, "epsilon": 1e-3}),
    "adam-epsilon-outside": (Solver.ADAM, {"epsilon": 1e-3, "beta_1": 0.5, "beta_2": 0.9}),
    "adam-without-memory": (Solver.ADAM, {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e-3}),
}
PENALTIES = {"free": {}, "l2": {"l2": 0.3}, "l2-per-sample": {"l2": 5.0, "l2_per_sample": True}}


class Case(NamedTuple):
    """A problem and its data; the defaults are what a case varies from."""

    sizes: tuple[int, ...] = (2, 3, 2)
    activations: tuple[Activation, ...] = (TANH,)
    loss: Loss = Loss.CROSS_ENTROPY
    solver: str = "sgd"
    penalty: str = "l2"
    n_samples: int = 65
    batch_size: int = 65

    def __str__(self):
        shape = "-".join(map(str, self.sizes))
        names = "+".join(activation.name.lower() for activation in dict.fromkeys(self.activations)) or "linear"
        samples = f"{self.n_samples}by{self.batch_size}"
        return f"{shape}-{names}-{self.loss.name.lower()}-{self.solver}-{self.penalty}-{samples}"

    @property
    def problem(self):
        solver, settings = SOLVERS[self.solver]
        hyperparameters = Hyperparameters(**settings, **PENALTIES[self.penalty])
        return Problem(self.sizes, self.activations, self.loss, solver, hyperparameters)

    @property
    def batches(self):
        return -(-self.n_samples // self.batch_size)


# Widths on either side of a vector's, no hidden layer, and layers with so many weights (33 x 40, 64 x 10) that their
# gradients are summed the other way.
HIDDEN = [(), (1,), (2,), (3,), (15,), (16, 17), (33,), (3, 1, 2), (40, 10), (64,)]
FEATURES = [1, 2, 3, 17, 33, 15, 16, 2, 33, 10]
OUTPUTS = {Loss.CROSS_ENTROPY: (2, 3, 5), Loss.BINARY_CROSS_ENTROPY: (1, 2, 5), Loss.SQUARED_ERROR: (1, 2, 5)}
BATCHES = [(1, 1), (7, 7), (8, 8), (9, 9), (64, 64), (65, 65), (300, 300), (65, 1), (65, 7), (65, 8), (65, 9), (65, 64)]


def _shapes():
    """Every loss with every activation on every shape, penalties and numbers of outputs taking turns."""
    for place, (loss, activation) in enumerate(product(Loss, Activation)):
        for turn, (n_features, hidden) in enumerate(zip(FEATURES, HIDDEN, strict=True)):
            n_outputs = OUTPUTS[loss][(place + turn) % 3]
            penalty = list(PENALTIES)[turn % 3]
            yield Case((n_features, *hidden, n_outputs), (activation,) * len(hidden), loss, penalty=penalty)


def _batches():
    for loss, (n_samples, batch_size) in product(Loss, BATCHES):
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


CASES = list(dict.fromkeys([*_shapes(), *_ragged(), *_batches(), *_solvers(), *_others()]))


class Start(NamedTuple):
    """What a run begins with."""

    params: np.ndarray
    X: np.ndarray
    y: np.ndarray
    order: np.ndarray


def start(case, dtype=np.float64, epochs=1, seed=4):
    """Start weights, data and row orders. In both dtypes they are numbers that float32 holds.

    The seed is one with which no small array of a gradient is a sum that cancels by chance: such an array has no digits
    left to compare in float32.
    """
    random = np.random.default_rng(seed)
    n_biases = sum(case.sizes[1:])
    scales = [np.full(a * b, 1 / np.sqrt(a)) for a, b in pairwise(case.sizes)]
    params = random.standard_normal(sum(map(len, scales)) + n_biases) * np.concatenate([*scales, np.full(n_biases, 0.3)])
    X = random.standard_normal((case.n_samples, case.sizes[0]))
    n_outputs = case.sizes[-1]
    if case.loss == Loss.CROSS_ENTROPY:
        y = random.integers(n_outputs, size=(case.n_samples, 1))
    elif case.loss == Loss.BINARY_CROSS_ENTROPY:
        y = random.integers(2, size=(case.n_samples, n_outputs))
    else:
        y = random.standard_normal((case.n_samples, n_outputs))
    n_orders = epochs if case.batch_size < case.n_samples else 0
    order = np.array([random.permutation(case.n_samples) for _ in range(n_orders)], np.int32)
    single = [array.astype(np.float32).astype(dtype) for array in (params, X, y)]
    return Start(*single, order.reshape(n_orders, case.n_samples))


def begin(engine, case, given):
    """A run of the engine."""
    order = given.order.reshape(-1)
    return ENGINES[engine](case.problem, given.params.copy(), given.X, given.y, order, case.n_samples, case.batch_size)


def objective_and_gradient(engine, case, given):
    """Of the first batch, read off one step of plain gradient descent."""
    # A large rate, so that the difference keeps the gradient's digits; a power of two, so that it rounds nothing.
    rate = 1024.0
    run = begin(engine, case._replace(solver="sgd"), given)
    losses = np.full(1, np.nan, given.params.dtype)
    run.advance(np.full(1, rate, given.params.dtype), losses, case.batch_size, WHOLE)
    return losses[0], (given.params - run.params) / given.params.dtype.type(rate)


def parts(case, flat):
    """The weights and biases that a flat vector holds."""
    weights, biases = reference.views(np.asarray(flat), case.sizes)
    return [*weights, *biases]


def relative_error(a, b):
    """max|a - b| / max|b|; infinite where `a` is not finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    if not np.isfinite(a).all():
        return np.inf
    difference, size = np.abs(a - b).max(), np.abs(b).max()
    return difference / size if size > 0 else difference


def worst_error(case, a, b):
    """The largest relative error of any weight matrix or bias vector."""
    return max(relative_error(x, y) for x, y in zip(parts(case, a), parts(case, b), strict=True))
