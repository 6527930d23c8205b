"""A training run and predictions by the compiled kernels, behind the interface that the reference has too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import lru_cache, partial
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.blocks import (
    BEST_LOSS,
    DONE,
    EPOCH_LOSS,
    EPOCH_REST,
    FAN_IN,
    FAN_OUT,
    FIRST,
    HERE,
    KEY,
    ROUND,
    STALLED,
    STEP,
    WHOLE_WEIGHT,
    Data,
    Net,
    aligned,
    begin_with,
    block_size,
    in_groups,
    in_rows,
    lay_out,
    new_state,
    plan,
    shape_of,
)
from fastmlp.kernels.epochs import predict, run_blocks, run_slabs
from fastmlp.kernels.layouts import Layouts
from fastmlp.kernels.optimizers import MOMENTS, settings_array
from fastmlp.kernels.orders import draw_orders
from fastmlp.kernels.threads import STOP, SYNC_SIZE
from fastmlp.options import Activation, Loss, Problem, Snapshot, Solver, Status

# A step must keep a thread busy for this long to be worth the hand-overs. From 2-3-2 with 2,000 samples on, 6 us a step, a
# second thread on a core of its own saves a third; half of that is left to machines that have other work.
MICROSECONDS_PER_THREAD = 5
# And a call as long as this, to be worth starting them.
MICROSECONDS_PER_CALL = 200
# Threads wait for each other within a step: where others have work for the same cores one alone is faster, up to five
# times. Which it is, is tried out once a second, each with a quarter of a call that takes long enough to tell.
SECONDS_BETWEEN_TRIALS = 1.0
TRIALS_OF_A_CALL = 4
LEAST_SECONDS_TO_TRY = 0.008
CLEARLY_FASTER = 0.9
# What a core does in a microsecond, roughly: multiplications and additions, and values of an activation, in float32.
ARITHMETIC_PER_MICROSECOND = 60_000
ACTIVATIONS_PER_MICROSECOND = 2_000


# Entry points and the dtypes that they have been compiled for.
_COMPILED: set[tuple[Any, np.dtype[Any]]] = set()


def available_cores() -> int:
    """Cores that this process may use, as its affinity and the variables that task managers set for workers say."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")]
    return max(1, min([cores, *(int(limit) for limit in limits if limit.isdigit())]))


def microseconds_per_sample(net: Net, itemsize: int) -> float:
    """What a sample takes on one core, roughly."""
    fan_in, fan_out = net.layers[:, FAN_IN], net.layers[:, FAN_OUT]
    arithmetic, activations = 6 * int((fan_in * fan_out).sum()), int(fan_out.sum())
    work = arithmetic / ARITHMETIC_PER_MICROSECOND + activations / ACTIVATIONS_PER_MICROSECOND
    return work * itemsize / 4


def suitable_threads(net: Net, batch_size: int, itemsize: int) -> int:
    """How many threads a step of this net keeps busy: one for small nets."""
    work = batch_size * microseconds_per_sample(net, itemsize)
    return max(1, min(available_cores(), int(work / MICROSECONDS_PER_THREAD)))


class Run:
    """A run in progress. See :class:`fastmlp.reference.Run` for what the arguments are."""

    def __init__(
        self,
        problem: Problem,
        start: Snapshot,
        X: NDArray[Any],
        y: NDArray[Any],
        order: NDArray[np.int32],
        n_samples: int,
        batch_size: int,
        threads: int | None = 1,
        total_weight: float | None = None,
        learns: bool = True,
        layouts: Layouts | None = None,
    ) -> None:
        params, dtype, settings = start.params, start.params.dtype, problem.hyperparameters
        full_batch = batch_size == n_samples
        self._problem = problem
        self._n_parameters = params.size
        self._net = plan(
            problem.sizes, problem.activations, int(problem.loss), y.shape[1], dtype, batch_size,
            dropout=problem.dropout if learns else (), weighted=total_weight is not None, learns=learns,
        )  # fmt: skip
        self._shape, self._entry = shape_of(self._net), run_slabs if self._net.wide else run_blocks
        # A call's threads are ours to choose where none are asked for.
        self._samples_per_thread = 0.0
        if threads is None:
            self._samples_per_thread = MICROSECONDS_PER_CALL / microseconds_per_sample(self._net, dtype.itemsize)
            threads = suitable_threads(self._net, batch_size, dtype.itemsize)
        # More threads than shares of the work would only wait.
        self.threads = min(threads, self._net.shares)
        self._chosen, self._calls_are_long, self._next_trial = self.threads, False, 0.0
        self._settings = settings_array(problem.solver, settings, dtype)
        clips = settings.l1 > 0 or settings.max_grad_norm > 0
        self._state = new_state(self._net, dtype, MOMENTS[problem.solver], clips, self.threads)
        self._state.running[WHOLE_WEIGHT] = n_samples if total_weight is None else total_weight
        self._take_up(start)
        # Full batches always visit the same blocks: they are laid out once. Minibatches are gathered from the rows.
        laid_out = full_batch and not order.size
        self._place = partial(lay_out, slab=self._net.slab, stride=self._net.stride) if laid_out else writable
        shared = layouts.of(X, self._net.slab, self._net.stride) if laid_out and layouts is not None else None
        X_placed = self._place(X) if shared is None else shared
        self._data = Data(X_placed, self._place(y), order, n_samples, batch_size, laid_out)

    def _take_up(self, start: Snapshot) -> None:
        """Go on from what another run has reached."""
        cursor, size = self._state.cursor, self._net.n_parameters
        cursor[STEP], cursor[KEY], cursor[STALLED] = start.step, start.key, start.stalled
        self._state.running[BEST_LOSS] = start.best_loss
        for place, moment in enumerate(() if start.moments is None else start.moments):
            self._state.moments[place * size :][: self._n_parameters] = in_groups(self._net, moment)
        begin_with(self._net, self._state, start.params, start.penalties)
        if start.previous is not None:
            self._state.params[size : size + self._n_parameters] = in_groups(self._net, start.previous)

    @staticmethod
    def draw_orders(keys: NDArray[np.int64], epoch: int, rows: NDArray[np.int32], orders: NDArray[np.int32]) -> None:
        """See :func:`fastmlp.reference.draw_orders`."""
        draw_orders(keys, epoch, rows.reshape(-1), rows.shape[1], orders.reshape(-1))

    def take(self, X: NDArray[Any], y: NDArray[Any], total_weight: float | None = None) -> None:
        """Go on with other samples, as many as those before."""
        self._data = self._data._replace(X=self._place(X), y=self._place(y))
        self._state.running[WHOLE_WEIGHT] = len(X) if total_weight is None else total_weight

    def begin_again(self, params: NDArray[Any]) -> None:
        """Take other parameters, and count the samples from 0."""
        self._state.cursor[DONE] = self._state.cursor[ROUND] = 0
        self._state.running[EPOCH_LOSS] = self._state.running[EPOCH_REST] = 0
        if self._problem.solver == Solver.LBFGS:
            self._state.moments[:] = 0
        begin_with(self._net, self._state, params, None)

    def snapshot(self) -> Snapshot:
        """What has been reached; exact at the end of an epoch."""
        cursor, size = self._state.cursor, self._net.n_squares
        first = 2 * size * int(cursor[STEP] % 2)
        penalties = self._state.squares[first : first + 2 * size].copy()
        if not self._problem.hyperparameters.l1:
            # Nobody has kept those of the absolute weights.
            penalties[size:] = 0
            penalties[size] = np.abs(self.params[: self._net.n_weights], dtype=np.float64).sum()
        return Snapshot(
            self.params, self._moments(), int(cursor[STEP]), int(cursor[KEY]), float(self._state.running[BEST_LOSS]),
            int(cursor[STALLED]), penalties, self.previous_params,
        )  # fmt: skip

    def _moments(self) -> NDArray[Any]:
        rows = self._state.moments.reshape(-1, self._net.n_parameters)[:, : self._n_parameters]
        return np.array([in_rows(self._net, row) for row in rows])

    @property
    def gradient(self) -> NDArray[Any]:
        """With the solver that makes no step, the gradient at the parameters, of all samples since the beginning, flat."""
        return in_rows(self._net, self._state.moments[: self._n_parameters])

    @property
    def is_compiled(self) -> bool:
        """Whether what trains has been compiled in this process, or read from the cache."""
        return (self._entry, self._state.params.dtype) in _COMPILED

    def compile(self) -> None:
        """Compile what trains, or read it from the cache."""
        rates = np.ones(1, self._state.params.dtype)
        arguments = (*self._arguments(rates, rates, 0, 0), 0, 1, np.zeros(SYNC_SIZE, np.int64))
        self._entry.compile(tuple(map(self._entry.typeof_pyval, arguments)))
        _COMPILED.add((self._entry, rates.dtype))

    def advance(self, rates: NDArray[Any], losses: NDArray[Any], until: int, budget: int) -> Status:
        """Train until `until` samples are done, in all epochs together, or for `budget` blocks of them."""
        if self._samples_per_thread and until - self.done <= self.threads * self._samples_per_thread:
            return self._call(rates, losses, until, budget, 1)
        begin = time.perf_counter()
        if self.threads > 1 and self._samples_per_thread and self._calls_are_long and begin > self._next_trial:
            self._next_trial = begin + SECONDS_BETWEEN_TRIALS
            status = self._try_threads(rates, losses, until, budget // TRIALS_OF_A_CALL)
            if status != Status.RUNNING:
                return status
            budget -= 2 * (budget // TRIALS_OF_A_CALL)
        status = self._call(rates, losses, until, budget, self._chosen)
        self._calls_are_long = time.perf_counter() - begin > LEAST_SECONDS_TO_TRY
        return status

    def _call(self, rates: NDArray[Any], losses: NDArray[Any], until: int, budget: int, threads: int) -> Status:
        return Status(together(self._entry, self._arguments(rates, losses, until, budget), threads))

    def _arguments(self, rates: NDArray[Any], losses: NDArray[Any], until: int, budget: int) -> tuple[Any, ...]:
        return (
            self._net.layers, self._shape, self._data, self._state, int(self._problem.solver), self._settings, rates,
            losses, until, budget
        )  # fmt: skip

    def _try_threads(self, rates: NDArray[Any], losses: NDArray[Any], until: int, budget: int) -> Status:
        """Choose between one thread and all by a trial of each, which are part of the training."""
        taken = []
        for threads in (self.threads, 1):
            begin, done = time.perf_counter(), self.done
            status = self._call(rates, losses, until, budget, threads)
            taken.append((time.perf_counter() - begin) / max(1, self.done - done))
            if status != Status.RUNNING:
                break
        if len(taken) == 2:
            self._chosen = 1 if taken[1] < CLEARLY_FASTER * taken[0] else self.threads
        return status

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the first of the row order comes next."""
        self._state.cursor[FIRST] = done

    @property
    def done(self) -> int:
        """Samples done, in all epochs together."""
        return int(self._state.cursor[DONE])

    @property
    def params(self) -> NDArray[Any]:
        """A copy of the parameters."""
        return self._parameters_at(int(self._state.cursor[HERE]))

    @property
    def previous_params(self) -> NDArray[Any]:
        """A copy of the parameters before the last update."""
        return self._parameters_at(self._net.n_parameters - int(self._state.cursor[HERE]))

    def _parameters_at(self, start: int) -> NDArray[Any]:
        return in_rows(self._net, self._state.params[start : start + self._n_parameters])


class Predictor:
    """The shape of a net made ready for predictions."""

    def __init__(
        self, sizes: tuple[int, ...], activations: tuple[Activation, ...], loss: Loss, dtype: np.dtype[Any]
    ) -> None:
        net = plan(sizes, activations, int(loss), 1, dtype, block_size(sizes, dtype.itemsize))
        self._layers, self._shape = net.layers, shape_of(net)
        self._order = np.arange(net.slab, dtype=np.int32)
        self._scratch_size, self._n_outputs = net.scratch, sizes[-1]
        # Scratch that no call is using: as many as there were calls at once.
        self._scratch: list[NDArray[Any]] = []

    def outputs(self, params: NDArray[Any], X: NDArray[Any]) -> tuple[NDArray[Any], bool]:
        """The net's outputs (n_samples, n_outputs) for rows in C order in the working dtype; and whether X is finite."""
        out = np.empty((len(X), self._n_outputs), X.dtype)
        try:
            scratch = self._scratch.pop()
        except IndexError:
            scratch = aligned(self._scratch_size, X.dtype)
        rows, flat = writable(X), out.reshape(-1)
        is_finite = predict(self._layers, self._shape, writable(params), rows, self._order, scratch, flat)
        self._scratch.append(scratch)
        return out, is_finite


@lru_cache(maxsize=16)
def predictor(sizes: tuple[int, ...], activations: tuple[Activation, ...], loss: Loss, dtype: np.dtype[Any]) -> Predictor:
    """One for all nets of a shape, kept as long as not many other shapes have come since."""
    return Predictor(sizes, activations, loss, dtype)


def together(function: Callable[..., int], arguments: tuple[Any, ...], threads: int) -> int:
    """Call ``function(*arguments, rank, threads, sync)`` on as many threads at once; on this one alone where others fail.

    Threads live for one call, of some 50 ms: none is left over to be lost in a fork or to keep a process from ending.
    """
    sync = np.zeros(SYNC_SIZE, np.int64)
    gate, size = Event(), threads
    helpers: list[Thread] = []

    def help_as(rank: int) -> None:
        gate.wait()
        if size > 1:
            function(*arguments, rank, size, sync)

    try:
        try:
            for rank in range(1, threads):
                helper = Thread(target=help_as, args=(rank,), daemon=True)
                helper.start()
                helpers.append(helper)
        except RuntimeError:  # no more threads to be had
            size = 1
        gate.set()
        return function(*arguments, 0, size, sync)
    finally:
        # Where Ctrl-C came before this thread's own call, the others must not wait for it.
        sync[STOP] = 1
        gate.set()
        for helper in helpers:
            helper.join()


class _Memory:
    """The memory of an array, without its write protection."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def writable(array: NDArray[Any]) -> NDArray[Any]:
    """A flat view whose type Numba knows already: read-only arrays have one of their own, and would compile anew."""
    flat = array.reshape(-1)
    return flat if flat.flags.writeable else np.asarray(_Memory(flat))
