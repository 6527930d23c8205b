"""``fit``: draws what is random, lets a run train, and makes a network of what comes out."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.arguments import in_dtype, random_source, rows_per_batch
from fastmlp.batches import AnyOrders, CountedOrders, InMemory, Orders, Streamed
from fastmlp.checkpoints import Checkpoint, Keeper, described_call, described_seed
from fastmlp.divergence import Case, cause_of, some_of
from fastmlp.initialise import Random, Remembered, draw_key, start_params
from fastmlp.inputs import check_total_weight
from fastmlp.interrupts import Interrupts, left_to_finish, noted
from fastmlp.lbfgs import Lbfgs
from fastmlp.loop import Halted, Job, Loop
from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.options import MOST_COUNTED_ROWS, Snapshot, Solver
from fastmlp.samples import hold_out
from fastmlp.scales import some_rows
from fastmlp.setup import Setup
from fastmlp.state import Before, Best, TrainingState
from fastmlp.validation import STREAMED_ROWS, Evaluator, Held, Metric

if TYPE_CHECKING:
    from fastmlp.kernels.run import Run as KernelRun
    from fastmlp.reference import Run as ReferenceRun

Array = NDArray[Any]
# A net that shares X with others, and takes some of its rows in full batches, has no larger a copy of them than this.
LARGEST_OWN_COPY = 1_000_000


@dataclass
class Drawn:
    """A training whose random numbers are drawn.

    Attributes
    ----------
    setup : what was asked for.
    random : where the numbers came from.
    start : what the run begins with.
    held, validated : samples held out, and what tells them from others.
    size : rows in a batch.
    orders : draws the row orders.
    """

    setup: Setup
    random: Random
    start: Snapshot
    held: Held | None
    validated: tuple[Any, ...] | None
    size: int
    orders: AnyOrders


def fit(setup: Setup) -> Network:
    """Train as set up, and warn where that did not go well."""
    with noted() as interrupts:
        with interrupts.raised():
            _import_engine(setup.engine)
        if setup.checkpoint is None:
            with interrupts.raised():
                drawn = draw(setup)
            net, message = trained(drawn, interrupts=interrupts)
        else:
            net, message = _with_checkpoint(setup, setup.checkpoint, interrupts)
    if message is not None:
        warn(message, RuntimeWarning)
    return net


def _with_checkpoint(setup: Setup, path: Path, interrupts: Interrupts) -> tuple[Network, str | None]:
    """Go on from what the file has of this call, and keep there what is reached."""
    seed = described_seed(setup.seed)
    with interrupts.raised(), _as_it_was_after_errors(setup.seed):
        drawn = whole = draw(setup)
        call = described_call(setup, seed, drawn.held, rates_of(setup))
        checkpoint = Checkpoint(path, setup.checkpoint_seconds, call)
        reached = checkpoint.read(setup)
        if reached is not None and reached.ended:
            if isinstance(setup.seed, Random):
                reached.random.put_into(setup.seed)
            return reached.net, reached.message
        if reached is not None:
            epochs = reached.net.n_epochs - setup.before.n_epochs
            drawn = draw(
                replace(setup, before=Before(reached.net), seed=None, epochs=setup.epochs - epochs, epochs_before=epochs)
            )
    net, message = trained(
        drawn, interrupts=interrupts, checkpoint=checkpoint, whole=whole if setup.seed is not None else None
    )
    if isinstance(setup.seed, Random) and drawn.random is not setup.seed:
        Remembered(drawn.random).put_into(setup.seed)
    return net, message


@contextmanager
def _as_it_was_after_errors(seed: Any) -> Iterator[None]:
    """What was drawn from a source of random numbers is taken back where an error follows: the call can be made again."""
    before = Remembered(seed) if isinstance(seed, Random) else None
    try:
        yield
    except BaseException:
        if before is not None:
            before.put_into(seed)
        raise


def draw(setup: Setup) -> Drawn:
    """Draw start weights, samples held out, dropout's key and what row orders begin with, in this order."""
    problem, samples, before = setup.problem, setup.samples, setup.before
    dtype = samples.targets.values.dtype
    before.forget_unless(problem, samples.n_chosen, dtype)
    state = before.state
    random = state.random.restored() if state is not None and setup.seed is None else random_source(setup.seed)
    if before.net is None:
        params = start_params(setup.init, problem.sizes, random)
        # What is drawn is in every dtype's range.
        start = Snapshot(params.astype(dtype) if isinstance(setup.init, str) else in_dtype("init", params, dtype))
    else:
        start = before.snapshot(problem.solver, dtype)
    held = hold_out(samples, setup.validation, random, None if state is None else state.held_out)
    validated = None if held is None else held.fingerprint(_name(setup.metric))
    before.check_validation(setup.validation, _name(setup.metric), validated)
    if problem.dropout and (not start.key or setup.seed is not None):
        start = start._replace(key=draw_key(random))
    if samples.total_weight is not None:
        check_total_weight(samples.total_weight, dtype, samples.weights_from)
    size = rows_per_batch(setup.batch_size, samples.n_samples)
    if samples.streamed and problem.solver == Solver.LBFGS:
        size = min(STREAMED_ROWS, samples.n_samples)
    return Drawn(setup, random, start, held, validated, size, _orders(setup, random, size))


def trained(
    drawn: Drawn,
    halted: Halted = lambda: None,
    interrupts: Interrupts | None = None,
    checkpoint: Checkpoint | None = None,
    whole: Drawn | None = None,
) -> tuple[Network, str | None]:
    """The net that a training comes to, and what to warn of, if anything; `whole` is what it is the rest of."""
    setup, begun = drawn.setup, whole or drawn
    samples, batches, engine = setup.samples, _batches(drawn), _engine(setup.engine)
    rates = rates_of(setup)
    run = engine(
        setup.problem, drawn.start, batches.X, batches.y, batches.order, samples.n_samples, drawn.size, setup.threads,
        samples.total_weight, layouts=setup.layouts if samples.rows is None else None,
    )  # fmt: skip
    evaluator = None
    if drawn.held is not None:
        evaluator = Evaluator(engine, setup.problem, drawn.held, setup.metric, setup.threads)
    loop = _loop(setup, run, batches, rates, evaluator, halted)
    keeper = None if checkpoint is None else Keeper(checkpoint, drawn.random, lambda loop: reached_by(loop, drawn))
    loop.job.interrupts, loop.job.keep = interrupts or Interrupts(), keeper
    loop.job.start = begun.start.params
    loop.job.explain = lambda epochs: why_diverged(
        begun, rates_of(begun.setup), epochs + setup.epochs_before, run.snapshot().step - begun.start.step
    )
    try:
        loop.train()
    except BaseException:
        if keeper is not None:
            keeper.rescue()
        raise
    batches.settle(run.done)
    net = reached_by(loop, drawn)
    if keeper is not None:
        keeper.end(loop, net)
    return net, loop.warning()


def reached_by(loop: Loop, drawn: Drawn) -> Network:
    """The net that a loop has come to, with what another training needs to go on from it."""
    params, best = loop.params(), loop.job.best
    net = described(drawn.setup, params, loop.curves(), loop.status)
    if best.params is not None:
        net.best_epoch = best.epoch
    snapshot = loop.snapshot()
    if snapshot is not None:
        net._training = state_of(drawn, snapshot, loop.rate_factor, copy.copy(best), *loop.origin())
    return net


def why_diverged(drawn: Drawn, rates: Array, n_epochs: int, n_updates: int) -> str:
    """The cause and the remedy of a divergence after so many whole epochs and updates."""
    setup, samples, before = drawn.setup, drawn.setup.samples, drawn.setup.before
    y, weighted = samples.values(setup.problem.hyperparameters.label_smoothing), samples.weights is not None
    rows, X = samples.rows, samples.sample if samples.streamed else samples.X
    if samples.streamed:
        y, rows = some_rows(y), None
    given = "start" if before.net is not None else "" if isinstance(setup.init, str) else "init"
    case = Case(
        setup.problem, _engine(setup.engine), drawn.start, given, *some_of(X, y, weighted, rows), weighted, rates,
        setup.learning_rate,
    )  # fmt: skip
    return cause_of(case, n_epochs, n_updates)


def _name(metric: Metric) -> str:
    return metric if isinstance(metric, str) else "a function"


def _engine(name: str) -> type[KernelRun] | type[ReferenceRun]:
    if name == "reference":
        from fastmlp.reference import Run

        return Run
    from fastmlp.kernels.run import Run as CompiledRun

    return CompiledRun


def _import_engine(name: str) -> None:
    """Have it imported: Numba takes half a second for it, and may not work any more where that is cut off."""
    if name == "kernels" and "fastmlp.kernels.run" not in sys.modules:
        left_to_finish(lambda: _engine(name))


def _batches(drawn: Drawn) -> InMemory | Streamed:
    """The rows as they come."""
    setup, samples, size = drawn.setup, drawn.setup.samples, drawn.size
    values, X = samples.values(setup.problem.hyperparameters.label_smoothing), samples.X
    if size < samples.n_samples:
        source = Streamed if samples.streamed else InMemory
        return source(X, values, drawn.orders, size, setup.epochs)
    # Full batches take all that there is at once.
    if samples.rows is not None and samples.chosen is not None and X.itemsize * X.shape[1] * size > LARGEST_OWN_COPY:
        return InMemory(X, values, drawn.orders, size, setup.epochs, gathers=True)
    if samples.rows is not None:
        X, values = X[samples.rows], values[samples.rows]
    return InMemory(np.ascontiguousarray(X, values.dtype), values, drawn.orders, size, setup.epochs)


def _orders(setup: Setup, random: Random, size: int) -> AnyOrders:
    """The row orders, going on from those of an earlier training."""
    n_samples, rows, by_blocks = setup.samples.n_samples, setup.samples.rows, setup.shuffle == "blocks"
    if not setup.shuffle or size == n_samples or setup.problem.solver == Solver.LBFGS:
        return Orders(None, n_samples, rows)
    if isinstance(random, np.random.Generator) and n_samples <= MOST_COUNTED_ROWS and not by_blocks:
        key, epoch = setup.before.counted(setup.seed) or (draw_key(random), 0)
        return CountedOrders(key, epoch, n_samples, rows, _engine(setup.engine).draw_orders)
    state = setup.before.state if setup.seed is None else None
    return Orders(random, n_samples, rows, None if state is None else state.order, by_blocks)


def rates_of(setup: Setup) -> Array:
    """The learning rate of each epoch, as far as it is known before."""
    before, samples = setup.before, setup.samples
    first = before.n_epochs - setup.epochs_before
    rates = schedules.rates(setup.schedule, setup.learning_rate, setup.epochs_asked, first, samples.n_samples)
    rates = rates[setup.epochs_before :]
    in_dtype("learning_rate", rates, samples.targets.values.dtype)
    return rates


def _loop(
    setup: Setup,
    run: Any,
    batches: InMemory | Streamed,
    rates: Array,
    evaluator: Evaluator | None,
    halted: Halted,
) -> Loop:
    before, state, samples = setup.before, setup.before.state, setup.samples
    adaptive = schedules.named(setup.schedule, setup.epochs_asked)
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
        describe=lambda params, curves, status: described(setup, params, curves, status),
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
        halted=halted,
    )
    if setup.problem.solver != Solver.LBFGS:
        return Loop(job)
    if state is not None and state.start is not None and state.problem.solver == Solver.LBFGS:
        return Lbfgs(job, state.start, state.iterations, setup.max_fun)
    return Lbfgs(job, run.params, 0, setup.max_fun)


def described(setup: Setup, params: Array, curves: tuple[Array, Array, Array], status: str) -> Network:
    """The net of these parameters."""
    problem, kind = setup.problem, setup.samples.targets.kind
    losses, validation, scores = curves
    # Epochs without validation have NaN; a score may be infinite, or NaN beside a loss that is none.
    validated = not (np.isnan(validation).all() and np.isnan(scores).all())
    return Network(
        problem.sizes, problem.activations, problem.loss, params, kind.classes, kind.flat, losses,
        validation if validated else None, scores if validated else None, status=status,
    )  # fmt: skip


def state_of(
    drawn: Drawn, run: Snapshot, rate_factor: float, best: Best, start: Array | None = None, iterations: int = 0
) -> TrainingState:
    """What another training needs to go on from this one."""
    setup, samples, orders = drawn.setup, drawn.setup.samples, drawn.orders
    counted = (orders.key, orders.epoch) if isinstance(orders, CountedOrders) else setup.before.counted(setup.seed)
    return TrainingState(
        setup.problem, run, Remembered(drawn.random), orders.remembered(), counted, samples.n_chosen,
        None if samples.held is None else setup.validation, samples.held, rate_factor, best, drawn.validated, start,
        iterations,
    )  # fmt: skip
