"""``fit``: draws what is random, lets a run train, and makes a network of what comes out."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.arguments import in_dtype, random_source, rows_per_batch
from fastmlp.batches import AnyOrders, CountedOrders, InMemory, Orders, Streamed
from fastmlp.initialise import Random, draw_key, start_params
from fastmlp.lbfgs import Lbfgs
from fastmlp.loop import Job, Loop
from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.options import MOST_COUNTED_ROWS, Snapshot, Solver
from fastmlp.samples import hold_out
from fastmlp.setup import Setup
from fastmlp.state import Best, TrainingState
from fastmlp.targets import check_total_weight
from fastmlp.validation import STREAMED_ROWS, Evaluator, Metric

if TYPE_CHECKING:
    from fastmlp.kernels.run import Run as KernelRun
    from fastmlp.reference import Run as ReferenceRun

Array = NDArray[Any]


def fit(setup: Setup) -> Network:
    """Train as set up."""
    problem, samples, before = setup.problem, setup.samples, setup.before
    dtype = samples.targets.values.dtype
    before.forget_unless(problem, samples.n_chosen, dtype)
    state = before.state
    random = state.random if state is not None and setup.seed is None else random_source(setup.seed)
    # Draws in this order: start weights, samples held out, dropout's key, row orders.
    if before.net is None:
        begin = Snapshot(in_dtype("init", start_params(setup.init, problem.sizes, random), dtype))
    else:
        begin = before.snapshot(problem.solver, dtype)
    held = hold_out(samples, setup.validation, random, None if state is None else state.held_out)
    validated = None if held is None else held.fingerprint(_name(setup.metric))
    before.check_validation(setup.validation, _name(setup.metric), validated)
    if problem.dropout and (not begin.key or setup.seed is not None):
        begin = begin._replace(key=draw_key(random))
    if samples.total_weight is not None:
        check_total_weight(samples.total_weight, dtype)
    batches, size = _batches(setup, random)
    rates = _rates(setup, dtype)
    engine = _engine(setup.engine)
    run = engine(
        problem, begin, batches.X, batches.y, batches.order, samples.n_samples, size, setup.threads, samples.total_weight
    )
    evaluator = None if held is None else Evaluator(engine, problem, held, setup.metric, setup.threads)
    loop = _loop(setup, run, batches, rates, evaluator)
    loop.train()
    batches.settle(run.done)
    return _network(setup, loop, random, batches.orders, validated)


def _name(metric: Metric) -> str:
    return metric if isinstance(metric, str) else "a function"


def _engine(name: str) -> type[KernelRun] | type[ReferenceRun]:
    if name == "reference":
        from fastmlp.reference import Run

        return Run
    from fastmlp.kernels.run import Run as CompiledRun

    return CompiledRun


def _batches(setup: Setup, random: Random) -> tuple[InMemory | Streamed, int]:
    """The rows as they come, and how many are in a batch."""
    samples = setup.samples
    n_samples, rows, X = samples.n_samples, samples.rows, samples.X
    size = rows_per_batch(setup.batch_size, n_samples)
    if samples.streamed and setup.problem.solver == Solver.LBFGS:
        size = min(STREAMED_ROWS, n_samples)
    values = samples.values(setup.problem.hyperparameters.label_smoothing)
    streamed = samples.streamed and size < n_samples
    if size == n_samples:
        # Full batches take all that there is at once.
        if rows is not None:
            X, values, rows = X[rows], values[rows], None
        X = np.ascontiguousarray(X, values.dtype)
    orders = _orders(setup, random, n_samples, size, rows)
    return (Streamed if streamed else InMemory)(X, values, orders, size, setup.epochs), size


def _orders(setup: Setup, random: Random, n_samples: int, size: int, rows: NDArray[np.intp] | None) -> AnyOrders:
    """The row orders, going on from those of an earlier training."""
    by_blocks = setup.shuffle == "blocks"
    if not setup.shuffle or size == n_samples or setup.problem.solver == Solver.LBFGS:
        return Orders(None, n_samples, rows)
    if isinstance(random, np.random.Generator) and n_samples <= MOST_COUNTED_ROWS and not by_blocks:
        key, epoch = setup.before.counted(setup.seed) or (draw_key(random), 0)
        return CountedOrders(key, epoch, n_samples, rows, _engine(setup.engine).draw_orders)
    state = setup.before.state if setup.seed is None else None
    last = state.order if state is not None and len(state.order) == n_samples else None
    return Orders(random, n_samples, rows, last, by_blocks)


def _rates(setup: Setup, dtype: np.dtype[Any]) -> Array:
    """The learning rate of each epoch, as far as it is known before."""
    before, samples = setup.before, setup.samples
    rates = schedules.rates(setup.schedule, setup.learning_rate, setup.epochs, before.n_epochs, samples.n_samples)
    in_dtype("learning_rate", rates, dtype)
    return rates


def _loop(setup: Setup, run: Any, batches: InMemory | Streamed, rates: Array, evaluator: Evaluator | None) -> Loop:
    before, state, samples = setup.before, setup.before.state, setup.samples
    adaptive = schedules.named(setup.schedule, setup.epochs)
    best = Best() if state is None or evaluator is None else state.best
    job = Job(
        run=run,
        batches=batches,
        n_samples=samples.n_samples,
        dtype=samples.targets.values.dtype,
        rates=rates,
        rate_factor=state.rate_factor if state is not None and isinstance(adaptive, schedules.Adaptive) else 1.0,
        first=before.n_epochs,
        curves=before.curves(),
        describe=lambda params, curves, status: _described(setup, params, curves, status),
        evaluator=evaluator,
        keeps_best=True,
        best=best,
        patience=setup.patience,
        tol=setup.problem.hyperparameters.tol,
        adaptive=adaptive if isinstance(adaptive, schedules.Adaptive) else None,
        callback=setup.callback,
        callback_every=setup.callback_every,
        max_seconds=setup.max_seconds,
        progress=setup.progress,
    )
    if setup.problem.solver != Solver.LBFGS:
        return Loop(job)
    if state is not None and state.start is not None and state.problem.solver == Solver.LBFGS:
        return Lbfgs(job, state.start, state.iterations, setup.max_fun)
    return Lbfgs(job, run.params, 0, setup.max_fun)


def _described(setup: Setup, params: Array, curves: tuple[Array, Array, Array], status: str) -> Network:
    """The net of these parameters."""
    problem, kind = setup.problem, setup.samples.targets.kind
    losses, validation, scores = curves
    validated = bool(np.isfinite(scores).any())
    return Network(
        problem.sizes, problem.activations, problem.loss, params, kind.classes, kind.flat, losses,
        validation if validated else None, scores if validated else None, status=status,
    )  # fmt: skip


def _network(setup: Setup, loop: Loop, random: Random, orders: AnyOrders, validated: tuple[Any, ...] | None) -> Network:
    """The net that comes out, with what another training needs to go on from it."""
    params = loop.params()
    net = _described(setup, params, loop.curves(), loop.status)
    message = loop.warning()
    if message is not None:
        warn(message, RuntimeWarning)
    best = loop.job.best
    if best.params is not None:
        net.best_epoch = best.epoch
    snapshot, samples = loop.snapshot(), setup.samples
    if snapshot is None:
        return net
    net._training = TrainingState(
        setup.problem,
        snapshot,
        copy.deepcopy(random),
        orders.remembered(),
        (orders.key, orders.epoch) if isinstance(orders, CountedOrders) else setup.before.counted(setup.seed),
        samples.n_chosen,
        setup.validation if samples.held is not None else None,
        samples.held,
        loop.rate_factor,
        copy.copy(best),
        validated,
        *loop.origin(),
    )
    return net
