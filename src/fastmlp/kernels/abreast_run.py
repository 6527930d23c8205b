"""Nets abreast, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.abreast import (
    ALIVE,
    LANE_BEST,
    LANE_RUNNING,
    LANE_STALLED,
    LANE_SUMS,
    LANE_WEIGHT,
    OBJECTIVE,
    run_abreast,
)
from fastmlp.kernels.blocks import (
    CURSOR_SIZE,
    DONE,
    FIRST,
    HERE,
    LARGEST_BLOCK,
    PAD,
    SLICE,
    STEP,
    Data,
    Net,
    State,
    aligned,
    block_size,
    is_narrow,
    plan,
    shape_of,
)
from fastmlp.kernels.optimizers import MOMENTS, Setting, settings_array
from fastmlp.kernels.run import writable
from fastmlp.kernels.turning import FOUR
from fastmlp.kernels.vectors import FLOAT32_LANES
from fastmlp.options import Hyperparameters, Problem, Snapshot, Solver, Status

Array = NDArray[Any]
# Settings by which nets side by side may differ; others choose between formulas.
FREE = (
    "l2", "beta_1", "beta_2", "epsilon", "weight_decay", "rho", "etas", "step_sizes", "delta", "quantile", "patience", "tol"
)  # fmt: skip


def lanes_of(dtype: np.dtype[Any]) -> int:
    """How many nets go abreast."""
    return FLOAT32_LANES * 4 // dtype.itemsize


def _n_parameters(sizes: Sequence[int]) -> int:
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def can_go_abreast(problem: Problem, batch_size: int, dtype: np.dtype[Any]) -> bool:
    """Whether nets of this kind can: every weight has a vector of partial sums alone, and a batch is one block."""
    settings, sizes = problem.hyperparameters, problem.sizes
    return (
        is_narrow(sizes)
        and _n_parameters(sizes) < 2 * SLICE - PAD
        and batch_size <= min(LARGEST_BLOCK, block_size(sizes, dtype.itemsize))
        and problem.solver != Solver.LBFGS
        and not (problem.dropout or settings.l1 or settings.max_grad_norm or settings.l2_per_sample)
    )


def nets_worth_it(problem: Problem, batch_size: int, dtype: np.dtype[Any]) -> int:
    """How many nets of a kind take less time abreast than one after the other; more than there are lanes where none do.

    Measured: a group takes as long as 0.3 of its nets where a batch alone is one vector, most of whose lanes are idle, and
    ever longer as batches and nets grow, when vectors are full and all that nets abreast save is the rest of a step.
    """
    lanes, sizes = lanes_of(dtype), problem.sizes
    vectors, n_parameters = -(-batch_size // lanes), _n_parameters(sizes)
    share = 0.35 if vectors == 1 else 0.6 if vectors == 2 else 0.85
    if (vectors > 2 and n_parameters > 600) or (vectors > 4 and n_parameters > 100):
        return lanes + 1
    return int(share * lanes) + 1


def kind_of(problem: Problem) -> tuple[Any, ...]:
    """What nets side by side must have in common."""
    settings = problem.hyperparameters._asdict()
    for name in FREE:
        del settings[name]
    # Whether there is momentum or smoothing chooses the formula, how much does not.
    settings["momentum"], settings["label_smoothing"] = settings["momentum"] > 0, settings["label_smoothing"] > 0
    return (problem.sizes, problem.activations, problem.loss, problem.solver, *settings.values())


def packed(X: Array, y: Array) -> Array:
    """Rows of features and, behind them, targets, padded to whole groups of four columns."""
    n_samples, n_features = X.shape
    rows = np.zeros((n_samples, _columns(n_features + y.shape[1])), X.dtype)
    rows[:, :n_features], rows[:, n_features : n_features + y.shape[1]] = X, y
    return rows


def packed_size(shape: tuple[int, int], y: Array) -> int:
    """Bytes of such rows for features of this shape, with a column of weights."""
    return int(shape[0] * _columns(shape[1] + y.shape[1] + 1) * y.itemsize)


def _columns(wanted: int) -> int:
    """So many columns in whole groups of four."""
    return -(-wanted // FOUR) * FOUR


class AbreastRun:
    """Runs of alike nets in progress, up to one for each lane of a vector.

    Parameters
    ----------
    problems, starts : of each net. See :class:`fastmlp.reference.Run`.
    rows : what :func:`packed` makes of the samples of all nets.
    n_targets : columns of targets, and of weights, among them.
    order : (n_epochs, n_samples, lanes) numbers of the rows that come next, refilled by the caller; of full batches once.
    batch_size : rows in a batch.
    total_weights : the sums of the samples' weights of each net, or None.
    learns : False for a run that only measures objectives.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        starts: Sequence[Snapshot],
        rows: Array,
        n_targets: int,
        order: NDArray[np.int32],
        batch_size: int,
        total_weights: Sequence[float] | None,
        learns: bool = True,
    ) -> None:
        dtype, n_samples, first = starts[0].params.dtype, order.shape[1], problems[0]
        self.lanes, self._size, self._solver = lanes_of(dtype), starts[0].params.size, first.solver
        weighted = total_weights is not None
        # The layout hangs on nothing else of the problem.
        shape = first._replace(hyperparameters=Hyperparameters())
        self._net = _plan(shape, n_targets, dtype, batch_size, self.lanes, weighted, learns)
        self._layers, self._shape = self._net.layers, shape_of(self._net)
        self._settings = np.zeros((len(Setting), PAD), dtype)
        self._state = self._new_state(dtype, MOMENTS[first.solver])
        self._data = Data(writable(rows), writable(rows), order.reshape(-1), n_samples, batch_size, batch_size == n_samples)
        # Lanes without a net of their own repeat the first.
        nets = [*range(len(starts)), *[0] * (self.lanes - len(starts))]
        self._begin([starts[net] for net in nets])
        self._settle([problems[net].hyperparameters for net in nets], dtype)
        self._vector(LANE_WEIGHT)[:] = n_samples if total_weights is None else [total_weights[net] for net in nets]
        self._vector(ALIVE)[: len(starts)] = 1
        self._state.cursor[STEP] = starts[0].step

    def _new_state(self, dtype: np.dtype[Any], n_moments: int) -> State:
        size, squares = self._net.n_parameters, PAD * self.lanes
        sizes = (LANE_RUNNING, squares, 0, 2 * size, (LANE_SUMS + 1) * size, squares, n_moments * size, self._net.scratch)
        memory, ends = aligned(sum(sizes), dtype), np.cumsum(sizes).tolist()
        parts = [memory[end - length : end] for end, length in zip(ends, sizes, strict=True)]
        return State(np.zeros(CURSOR_SIZE, np.int64), *parts)

    def _begin(self, starts: Sequence[Snapshot]) -> None:
        """Put what a net begins with in each lane."""
        params, size = np.array([start.params for start in starts]), self._net.n_parameters
        self._rows(self._state.params, 0)[...] = params.T
        self._state.params[size:] = self._state.params[:size]
        # Overflow shows in the objective.
        with np.errstate(over="ignore"):
            self._squares[0] = np.square(params[:, : self._n_weights].astype(np.float64)).sum(axis=1)
        for lane, start in enumerate(starts):
            for place, moment in enumerate(() if start.moments is None else start.moments):
                self._rows(self._state.moments, place * size)[:, lane] = moment
            if start.penalties is not None and start.penalties.size == 2 * PAD:
                self._squares[:, lane] = start.penalties[: self.lanes]
            if start.previous is not None:
                self._rows(self._state.params, size)[:, lane] = start.previous
        self._vector(LANE_BEST)[:] = [start.best_loss for start in starts]
        self._vector(LANE_STALLED)[:] = [start.stalled for start in starts]

    def _settle(self, settings: Sequence[Hyperparameters], dtype: np.dtype[Any]) -> None:
        """Write each net's settings in its lane, alike ones once."""
        different = {id(chosen): chosen for chosen in settings}
        columns = {name: settings_array(self._solver, chosen, dtype)[::PAD] for name, chosen in different.items()}
        if len(columns) == 1:
            self._settings[...] = columns[id(settings[0])][:, np.newaxis]
            return
        for lane, chosen in enumerate(settings):
            self._settings[:, lane] = columns[id(chosen)]

    @property
    def _n_weights(self) -> int:
        return self._net.n_weights // self.lanes

    def _rows(self, flat: Array, start: int) -> Array:
        """Parameters (n_parameters, lanes) that stand in flat values from `start` on."""
        return flat[start : start + self._size * self.lanes].reshape(self._size, self.lanes)

    @property
    def _squares(self) -> Array:
        """The sums of squared weights, as the lanes of a net alone have them, for each net."""
        return self._state.squares[: self.lanes**2].reshape(self.lanes, self.lanes)

    def _vector(self, place: int) -> Array:
        return self._state.running[place : place + self.lanes]

    def advance(self, rates: Array, losses: Array, until: int, budget: int) -> Status:
        """Train until `until` samples of each net are done, or for `budget` batches.

        `rates` and `losses` are (n_epochs, lanes). DIVERGED and STALLED say that :meth:`ending` has nets to take out.
        """
        arguments = (self._layers, self._shape, self._data, self._state, int(self._solver), self._settings.reshape(-1))
        return Status(run_abreast(*arguments, rates.reshape(-1), losses.reshape(-1), until, budget))

    def ending(self, status: Status) -> list[int]:
        """The lanes of living nets that have diverged or stalled, as the status says."""
        alive = self._vector(ALIVE) > 0
        if status == Status.DIVERGED:
            ends = ~np.isfinite(self._vector(OBJECTIVE))
        else:
            patience = self._settings[int(Setting.PATIENCE) // PAD, : self.lanes]
            ends = (patience > 0) & (self._vector(LANE_STALLED) >= patience)
        return [int(lane) for lane in np.flatnonzero(alive & ends)]

    def take_out(self, lane: int) -> None:
        """Go on without the net of this lane."""
        self._vector(ALIVE)[lane] = 0

    def flat_params(self) -> Array:
        """All nets' parameters as they stand in memory, (n_parameters, lanes); not a copy."""
        return self._rows(self._state.params, int(self._state.cursor[HERE]))

    def objectives(self, params: Array) -> Array:
        """Each net's mean objective over a full batch with these parameters; NaN where it is not finite.

        Of a run that does not learn; `params` are those that :meth:`flat_params` gives.
        """
        self._rows(self._state.params, 0)[...] = params
        self._state.cursor[DONE] = 0
        rates = np.zeros(self.lanes, params.dtype)
        losses = np.zeros_like(rates)
        self.advance(rates, losses, self._data.n_samples, 1)
        return np.where(np.isfinite(self._vector(OBJECTIVE)), losses, np.nan)

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the first of the row order comes next."""
        self._state.cursor[FIRST] = done

    @property
    def done(self) -> int:
        """Samples done of each net, in all epochs together."""
        return int(self._state.cursor[DONE])

    @property
    def step(self) -> int:
        """Updates made, those before among them."""
        return int(self._state.cursor[STEP])

    def params(self) -> Array:
        """A copy of all nets' parameters, (lanes, n_parameters)."""
        return self.flat_params().T.copy()

    def previous_params(self) -> Array:
        """A copy of all nets' parameters before the last update."""
        return self._rows(self._state.params, self._net.n_parameters - int(self._state.cursor[HERE])).T.copy()

    def snapshots(self) -> list[Snapshot]:
        """What each net has reached, as the run of a net alone has it; exact at the end of an epoch."""
        params, previous = self.params(), self.previous_params()
        penalties = np.zeros((self.lanes, 2 * PAD), params.dtype)
        penalties[:, : self.lanes] = self._squares.T
        penalties[:, PAD] = np.abs(params[:, : self._n_weights], dtype=np.float64).sum(axis=1)
        size = self._net.n_parameters
        places = range(0, self._state.moments.size, size)
        moments = np.stack([self._rows(self._state.moments, place).T for place in places], axis=1)
        patience = self._settings[int(Setting.PATIENCE) // PAD, : self.lanes]
        stalled = self._vector(LANE_STALLED)
        waiting = np.where((patience > 0) & (stalled >= patience), 0, stalled).tolist()
        best, step = self._vector(LANE_BEST).tolist(), int(self._state.cursor[STEP])
        return [
            Snapshot(params[lane], moments[lane], step, 0, best[lane], int(waiting[lane]), penalties[lane], previous[lane])
            for lane in range(self.lanes)
        ]


@lru_cache(maxsize=16)
def _plan(
    problem: Problem, n_targets: int, dtype: np.dtype[Any], batch_size: int, lanes: int, weighted: bool, learns: bool
) -> Net:
    """The layout of nets abreast: a vector for each sample in the panels, and for each parameter."""
    # Of a few samples each lane has room for as many.
    room = -(-batch_size // lanes) * lanes
    net = plan(
        problem.sizes, problem.activations, int(problem.loss), n_targets, dtype, batch_size, weighted=weighted,
        learns=learns, stride=room * lanes,
    )  # fmt: skip
    return net._replace(n_weights=net.n_weights * lanes, n_parameters=net.n_parameters * lanes)
