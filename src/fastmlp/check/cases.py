"""Problems on which the engines are compared: what a run of either begins with, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp import reference
from fastmlp.check.accuracy import DType, relative_error
from fastmlp.kernels.run import Run
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Snapshot, Solver, Status

Array = NDArray[Any]
AnyRun = Run | reference.Run
ENGINES: Mapping[str, type[AnyRun]] = {"kernels": Run, "reference": reference.Run}
# A budget that no call uses up.
WHOLE = 1 << 40

# A net of each kind: with a vector of partial sums for every weight, for those of some layers, and for none.
NETS = {"narrow": (4, 20, 3), "between": (33, 40, 17, 3), "wide": (200, 170, 3)}
SOLVERS: dict[str, tuple[Solver, dict[str, Any]]] = {
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
PENALTIES: dict[str, dict[str, Any]] = {
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
SHAPES_OF_LOSS: dict[str, dict[str, Any]] = {
    "smooth": {"label_smoothing": 0.2},
    "narrow-huber": {"delta": 0.3},
    "high-quantile": {"quantile": 0.9},
}
WEIGHTS = ("none", "some", "many-zero", "zero-batch")


class Case(NamedTuple):
    """A problem and its data; the defaults are what a case varies from."""

    sizes: tuple[int, ...] = (2, 3, 2)
    activations: tuple[Activation, ...] = (Activation.TANH,)
    loss: Loss = Loss.CROSS_ENTROPY
    solver: str = "sgd"
    penalty: str = "l2"
    n_samples: int = 65
    batch_size: int = 65
    weights: str = "none"
    dropout: tuple[float, ...] = ()
    shape: str = ""

    def __str__(self) -> str:
        shape = "-".join(map(str, self.sizes))
        names = "+".join(activation.name.lower() for activation in dict.fromkeys(self.activations)) or "linear"
        samples = f"{self.n_samples}by{self.batch_size}"
        loss = f"{self.shape}-{self.loss.name.lower()}" if self.shape else self.loss.name.lower()
        others = f"-{self.weights}" * (self.weights != "none") + "-dropout" * bool(self.dropout)
        return f"{shape}-{names}-{loss}-{self.solver}-{self.penalty}-{samples}{others}"

    @property
    def problem(self) -> Problem:
        """What is minimised, and how; by a name that is no solver's, L-BFGS, which makes no step."""
        solver, settings = SOLVERS.get(self.solver, (Solver.LBFGS, {}))
        hyperparameters = Hyperparameters(**settings, **PENALTIES[self.penalty], **SHAPES_OF_LOSS.get(self.shape, {}))
        return Problem(self.sizes, self.activations, self.loss, solver, hyperparameters, self.dropout)

    @property
    def batches(self) -> int:
        """In an epoch."""
        return -(-self.n_samples // self.batch_size)


class Start(NamedTuple):
    """What a run begins with; `y` has the samples' weights behind the targets, where there are any."""

    params: Array
    X: Array
    y: Array
    order: NDArray[np.int32]
    total_weight: float | None = None


def start(case: Case, dtype: DType = np.float64, epochs: int = 1, seed: int = 142) -> Start:
    """Start weights, data and row orders. In both dtypes they are numbers that float32 holds.

    The seed is one with which no small array of a gradient is a sum that cancels by chance: such an array has no digits
    left to compare in float32.
    """
    random = np.random.default_rng(seed)
    n_biases = sum(case.sizes[1:])
    scales = [np.full(a * b, 1 / np.sqrt(a)) for a, b in pairwise(case.sizes)]
    params: Array = random.standard_normal(sum(map(len, scales)) + n_biases) * np.concatenate(
        [*scales, np.full(n_biases, 0.3)]
    )
    X: Array = random.standard_normal((case.n_samples, case.sizes[0]))
    y: Array
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
    params, X, y = (array.astype(np.float32).astype(dtype) for array in (params, X, y))
    return Start(params, X, y, order, None if weights is None else float(y[:, -1].sum(dtype=np.float64)))


def sample_weights(case: Case, order: NDArray[np.int32], random: np.random.Generator) -> Array | None:
    """None, or weights of which some are 0: one in three, or all of the first batch unless that is all there is."""
    if case.weights == "none":
        return None
    weights = random.uniform(0.5, 2, case.n_samples)
    if case.weights == "many-zero" and case.n_samples > 1:
        weights[1::3] = 0
    elif case.weights == "zero-batch" and case.batches > 1:
        weights[order[0, : case.batch_size]] = 0
    return weights


def begin(
    engine: str,
    case: Case,
    given: Start,
    reached: Snapshot | None = None,
    threads: int = 1,
    learns: bool = True,
    **settings: Any,
) -> AnyRun:
    """A run of the engine, from the beginning or from what another run has reached, with other settings than the case's."""
    order, problem = given.order.reshape(-1), case.problem
    problem = problem._replace(hyperparameters=problem.hyperparameters._replace(**settings))
    start = reached or Snapshot(given.params.copy(), key=20150903)
    return ENGINES[engine](
        problem, start, given.X, given.y, order, case.n_samples, case.batch_size, threads, given.total_weight, learns
    )


def trained(
    engine: str, case: Case, given: Start, epochs: int, rate: float, budget: int = WHOLE, **others: Any
) -> tuple[AnyRun, Array]:
    """A run after some epochs, in calls of `budget` blocks, and its losses.

    Raises
    ------
    RuntimeError
        If it ends otherwise than by having done them.
    """
    run = begin(engine, case, given, **others)
    losses = np.full(epochs, np.nan, given.params.dtype)
    rates = np.full(epochs, rate, given.params.dtype)
    status, until = Status.RUNNING, epochs * case.n_samples
    while status == Status.RUNNING:
        before = run.done
        status = run.advance(rates, losses, until, budget)
        if not before <= run.done <= until:
            raise RuntimeError(f"from {before} samples done the {engine} came to {run.done}, which is not up to {until}")
    if status != Status.FINISHED:
        raise RuntimeError(f"a run of the {engine} ended as {status.name.lower()}")
    return run, losses


def bits(run: AnyRun, losses: Array) -> list[bytes]:
    """All that a run has reached, and its losses, which show what the sums over the weights are good for."""
    reached = run.snapshot()._replace(penalties=None)
    return [np.asarray(part).tobytes() for part in (*reached, losses)]


def objective_and_gradient(engine: str, case: Case, given: Start) -> tuple[float, Array]:
    """Of the first batch that has any weight, by the solver that makes no step.

    Raises
    ------
    RuntimeError
        If it makes one.
    """
    run = begin(engine, case._replace(solver="none"), given)
    losses = np.full(1, np.nan, given.params.dtype)
    # Of a batch without weight there is no gradient: of the next one, then.
    batches = 2 if case.weights == "zero-batch" and case.batches > 1 else 1
    until = min(case.n_samples, batches * case.batch_size)
    run.advance(np.ones(1, given.params.dtype), losses, until, WHOLE)
    if not np.array_equal(run.params, given.params):
        raise RuntimeError(f"the {engine} changed parameters where only the gradient was asked for")
    return losses[0], run.gradient


def parts(case: Case, flat: Array) -> list[Array]:
    """The weights and biases that a flat vector holds."""
    weights, biases = reference.views(np.asarray(flat), case.sizes)
    return [*weights, *biases]


def worst_error(case: Case, a: Array, b: Array) -> float:
    """The largest relative error of any weight matrix or bias vector."""
    return max(relative_error(x, y) for x, y in zip(parts(case, a), parts(case, b), strict=True))
