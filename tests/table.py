"""The problems on which the engines are compared, and what the tests measure them with."""

import os
from itertools import combinations, pairwise, product
from typing import NamedTuple

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.kernels.run import Run
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Snapshot, Solver, Status

ENGINES = {"kernels": Run, "reference": reference.Run}
# What max|a - b| / max|b| may come to for one gradient or update.
TOLERANCES = {np.float64: 1e-12, np.float32: 5e-6}
DTYPES = list(TOLERANCES)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
by_engine = pytest.mark.parametrize("engine", ENGINES)
# A budget that no call uses up.
WHOLE = 1 << 40

IDENTITY, LOGISTIC, TANH, RELU = tuple(Activation)[:4]
# A net of each kind: with a vector of partial sums for every weight, for those of some layers, and for none.
NETS = {"narrow": (4, 20, 3), "between": (33, 40, 17, 3), "wide": (200, 170, 3)}
SOLVERS = {
    "sgd": (Solver.SGD, {}),
    "momentum": (Solver.SGD, {"momentum": 0.9}),
    "nesterov": (Solver.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (Solver.ADAM, {}),
    "adam-epsilon-inside": (Solver.ADAM, {"epsilon_inside": True, "epsilon": 1e-3}),
    "adam-epsilon-outside": (Solver.ADAM, {"epsilon": 1e-3, "beta_1": 0.5, "beta_2": 0.9}),
    "adam-without-memory": (Solver.ADAM, {"beta_1": 0.0, "beta_2": 0.0, "epsilon": 1e-3}),
    "adamw": (Solver.ADAMW, {"weight_decay": 0.3, "epsilon": 1e-3}),
    "rmsprop": (Solver.RMSPROP, {"epsilon": 1e-3}),
    "rmsprop-momentum": (Solver.RMSPROP, {"epsilon": 1e-3, "momentum": 0.8, "rho": 0.9}),
    "rprop": (Solver.RPROP, {"step_sizes": (1e-6, 0.01)}),
}
PENALTIES = {
    "free": {},
    "l2": {"l2": 0.3},
    "l2-per-sample": {"l2": 5.0, "l2_per_sample": True},
    "l1": {"l1": 0.1},
    "l1-l2": {"l1": 0.05, "l2": 0.2},
    "clipped": {"max_grad_norm": 0.1},
    "clipped-l1-l2": {"max_grad_norm": 0.2, "l1": 0.05, "l2": 0.2},
    "loosely-clipped": {"max_grad_norm": 1e3},
}
# What a loss is given beside its name.
SHAPES_OF_LOSS = {
    "smooth": {"label_smoothing": 0.2},
    "narrow-huber": {"delta": 0.3},
    "high-quantile": {"quantile": 0.9},
}
WEIGHTS = ("none", "some", "many-zero", "zero-batch")


class Case(NamedTuple):
    """A problem and its data; the defaults are what a case varies from."""

    sizes: tuple[int, ...] = (2, 3, 2)
    activations: tuple[Activation, ...] = (TANH,)
    loss: Loss = Loss.CROSS_ENTROPY
    solver: str = "sgd"
    penalty: str = "l2"
    n_samples: int = 65
    batch_size: int = 65
    weights: str = "none"
    dropout: tuple[float, ...] = ()
    shape: str = ""

    def __str__(self):
        shape = "-".join(map(str, self.sizes))
        names = "+".join(activation.name.lower() for activation in dict.fromkeys(self.activations)) or "linear"
        samples = f"{self.n_samples}by{self.batch_size}"
        loss = f"{self.shape}-{self.loss.name.lower()}" if self.shape else self.loss.name.lower()
        others = f"-{self.weights}" * (self.weights != "none") + "-dropout" * bool(self.dropout)
        return f"{shape}-{names}-{loss}-{self.solver}-{self.penalty}-{samples}{others}"

    @property
    def problem(self):
        solver, settings = SOLVERS.get(self.solver, (Solver.LBFGS, {}))
        hyperparameters = Hyperparameters(**settings, **PENALTIES[self.penalty], **SHAPES_OF_LOSS.get(self.shape, {}))
        return Problem(self.sizes, self.activations, self.loss, solver, hyperparameters, self.dropout)

    @property
    def batches(self):
        return -(-self.n_samples // self.batch_size)


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


class Start(NamedTuple):
    """What a run begins with; `y` has the samples' weights behind the targets, where there are any."""

    params: np.ndarray
    X: np.ndarray
    y: np.ndarray
    order: np.ndarray
    total_weight: float | None = None


def start(case, dtype=np.float64, epochs=1, seed=142):
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
    elif case.loss == Loss.POISSON:
        y = random.poisson(1.5, (case.n_samples, n_outputs))
    else:
        y = random.standard_normal((case.n_samples, n_outputs))
    n_orders = epochs if case.batch_size < case.n_samples else 0
    order = np.array([random.permutation(case.n_samples) for _ in range(n_orders)], np.int32)
    order = order.reshape(n_orders, case.n_samples)
    weights = sample_weights(case, order, random)
    if weights is not None:
        y = np.column_stack([y, weights])
    single = [array.astype(np.float32).astype(dtype) for array in (params, X, y)]
    return Start(*single, order, None if weights is None else float(single[2][:, -1].sum(dtype=np.float64)))


def sample_weights(case, order, random):
    """None, or weights of which some are 0: one in three, or all of the first batch unless that is all there is."""
    if case.weights == "none":
        return None
    weights = random.uniform(0.5, 2, case.n_samples)
    if case.weights == "many-zero" and case.n_samples > 1:
        weights[1::3] = 0
    elif case.weights == "zero-batch" and case.batches > 1:
        weights[order[0, : case.batch_size]] = 0
    return weights


def begin(engine, case, given, reached=None, threads=1, learns=True, **settings):
    """A run of the engine, from the beginning or from what another run has reached, with other settings than the case's."""
    order, problem = given.order.reshape(-1), case.problem
    problem = problem._replace(hyperparameters=problem.hyperparameters._replace(**settings))
    start = reached or Snapshot(given.params.copy(), key=20150903)
    return ENGINES[engine](
        problem, start, given.X, given.y, order, case.n_samples, case.batch_size, threads, given.total_weight, learns
    )


def trained(engine, case, given, epochs, rate, budget=WHOLE, **others):
    """A run after some epochs, in calls of `budget` blocks, and its losses."""
    run = begin(engine, case, given, **others)
    losses = np.full(epochs, np.nan, given.params.dtype)
    rates = np.full(epochs, rate, given.params.dtype)
    status, until = Status.RUNNING, epochs * case.n_samples
    while status == Status.RUNNING:
        before = run.done
        status = run.advance(rates, losses, until, budget)
        assert before <= run.done <= until
    assert status == Status.FINISHED
    return run, losses


def bits(run, losses):
    """All that a run has reached, and its losses, which show what the sums over the weights are good for."""
    reached = run.snapshot()._replace(penalties=None)
    return [np.asarray(part).tobytes() for part in (*reached, losses)]


def objective_and_gradient(engine, case, given):
    """Of the first batch that has any weight, by the solver that makes no step."""
    run = begin(engine, case._replace(solver="none"), given)
    losses = np.full(1, np.nan, given.params.dtype)
    # Of a batch without weight there is no gradient: of the next one, then.
    batches = 2 if case.weights == "zero-batch" and case.batches > 1 else 1
    until = min(case.n_samples, batches * case.batch_size)
    run.advance(np.ones(1, given.params.dtype), losses, until, WHOLE)
    np.testing.assert_array_equal(run.params, given.params)
    return losses[0], run.gradient


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
