"""Alike small nets of a sweep, trained several at a time in the lanes of vectors, each to the bits it has alone."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.arguments import AUTO_BATCH
from fastmlp.batches import CountedOrders
from fastmlp.fitting import Drawn, described, draw, rates_of, state_of, why_diverged
from fastmlp.kernels.abreast_run import AbreastRun, can_go_abreast, kind_of, lanes_of, nets_worth_it, packed, packed_size
from fastmlp.kernels.run import Run
from fastmlp.loop import BEST, FIRST, LAST, OBJECTIVE, PARAMETERS, Halted, Pace, joined_curves, told_of_divergence
from fastmlp.network import Network
from fastmlp.options import Status
from fastmlp.setup import Setup
from fastmlp.state import Best
from fastmlp.sweep.lane_validation import LaneValidation, can_be_validated
from fastmlp.sweep.tasks import Outcome, Task, outcome_of

Array = NDArray[Any]
# Row orders drawn ahead of all lanes together, as many bytes as a second cache holds beside the rest.
BYTES_DRAWN_AHEAD = 256 * 1024
NONE = np.empty(0)
# What Python does for a group is done for one after the other: draws let go of the interpreter for an instant, and threads
# that take turns by that lose more time than the work takes.
TURN = Lock()

# Nets abreast have a copy of the samples, and a number for each row and lane: of larger ones nets are trained alone.
LARGEST_PACK = 4_000_000
LARGEST_ORDER = 1_000_000
# What a net costs in a group, beside one alone, to tell which pieces of work to begin with.
COST_ABREAST = 0.4


def _new_turn() -> None:
    """In a forked process: whoever had the turn is not in it."""
    global TURN
    TURN = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


class Packs:
    """Samples as nets abreast take them: one copy for all."""

    def __init__(self) -> None:
        self._packs: dict[Any, tuple[Array, Any]] = {}

    def of(self, setup: Setup) -> Array:
        """The rows of a training's samples."""
        samples, smoothing = setup.samples, setup.problem.hyperparameters.label_smoothing
        key = _samples_of(setup)
        if key not in self._packs:
            # The samples stay with it, since their places in memory are its name.
            self._packs[key] = packed(samples.X, samples.values(smoothing)), samples
        return self._packs[key][0]


def _samples_of(setup: Setup) -> tuple[Any, ...]:
    samples = setup.samples
    return id(samples.X), id(samples.targets.values), id(samples.weights), setup.problem.hyperparameters.label_smoothing


def _rows_in_batch(setup: Setup) -> int:
    """How many rows a batch has, or very nearly so: a share that is held out may be a row less."""
    n_samples, size = setup.samples.n_samples, setup.batch_size
    if isinstance(setup.validation, float):
        n_samples -= round(setup.validation * n_samples)
    if size is None:
        return n_samples
    return min(n_samples, AUTO_BATCH if isinstance(size, str) else size)


def group_of(setup: Setup) -> tuple[Any, ...] | None:
    """What trainings have in common that can go abreast; None for one that cannot."""
    samples, problem, before = setup.samples, setup.problem, setup.before
    dtype, size = samples.targets.values.dtype, _rows_in_batch(setup)
    alone = (
        setup.engine != "kernels" or samples.streamed or not can_be_validated(setup) or setup.callback is not None
        or setup.max_seconds < np.inf or isinstance(schedules.named(setup.schedule, setup.epochs), schedules.Adaptive)
    )  # fmt: skip
    order = 4 * samples.n_samples * lanes_of(dtype)
    alone = alone or order > LARGEST_ORDER or packed_size(samples.X.shape, samples.targets.values) > LARGEST_PACK
    # Of a batch without weight there is no step.
    if alone or not can_go_abreast(problem, size, dtype) or (samples.weights is not None and not samples.weights.min() > 0):
        return None
    step = 0 if before.net is None else before.snapshot(problem.solver, dtype).step
    return (
        kind_of(problem), dtype, samples.n_samples, size, setup.epochs, step, before.n_epochs, _samples_of(setup),
        setup.validation if isinstance(setup.validation, float) else id(setup.validation),
    )  # fmt: skip


@dataclass
class Group:
    """Nets that go abreast."""

    tasks: list[Task]
    rows: Array

    @property
    def cost(self) -> float:
        """Roughly the multiplications of their trainings, as a net alone has them."""
        return COST_ABREAST * sum(task.cost for task in self.tasks)

    @property
    def kernels(self) -> set[str]:
        """The entry points that they call."""
        return {"draw_orders", f"run_abreast {self.rows.dtype}"}

    def run(self, halted: Halted) -> list[Outcome]:
        """Train them."""
        begin = time.perf_counter()
        with TURN:
            drawn, outcomes = self._drawn()
        for alike in _alike(drawn):
            first = alike[0].drawn
            if not can_go_abreast(first.setup.problem, first.size, first.start.params.dtype):
                # Fewer were held out than it seemed, and a batch has a row too many.
                outcomes += [outcome_of(net.place, lambda net=net: net.drawn, halted) for net in alike]  # type: ignore[misc]
                continue
            with TURN:
                trainings = Trainings(alike, self.rows)
            status = trainings.train(halted)
            with TURN:
                networks = trainings.networks(status)
            outcomes += [
                Outcome(net.place, network, network.status, message=message)
                for net, network, message in zip(alike, networks, trainings.messages, strict=True)
            ]
        for outcome in outcomes:
            outcome.seconds = (time.perf_counter() - begin) / len(outcomes)
        return outcomes

    def _drawn(self) -> tuple[list[Ready], list[Outcome]]:
        """The nets ready to begin, and what came of those that are not."""
        ready, failed, known = [], [], dict[int, Array]()
        for task in self.tasks:
            try:
                if task.alike not in known:
                    known[task.alike] = rates_of(task.setup)
                ready.append(Ready(task.place, draw(task.setup), known[task.alike]))
            except Exception as error:  # one net must not end the others
                failed.append(Outcome(task.place, None, "failed", error))
        return ready, failed


class Ready(NamedTuple):
    """A net ready to begin: its place in the sweep, what was drawn, and the rates of its epochs."""

    place: int
    drawn: Drawn
    rates: Array


def _alike(nets: Sequence[Ready]) -> list[list[Ready]]:
    """Nets with as many samples to train on: where some are held out, that hangs on the classes of a net's rows."""
    by_size: dict[Any, list[Ready]] = {}
    for net in nets:
        held = 0 if net.drawn.held is None else len(net.drawn.held.y)
        by_size.setdefault((net.drawn.setup.samples.n_samples, net.drawn.size, held), []).append(net)
    return list(by_size.values())


class Trainings:
    """Trainings in progress, abreast."""

    def __init__(self, nets: Sequence[Ready], rows: Array) -> None:
        self._nets, self._drawn = nets, [net.drawn for net in nets]
        drawn = self._drawn
        setup = drawn[0].setup
        samples, dtype = setup.samples, drawn[0].start.params.dtype
        self._n_samples, self._epochs, width = samples.n_samples, setup.epochs, lanes_of(dtype)
        self._orders = LaneOrders(drawn, width, setup.epochs)
        weights = None if samples.weights is None else [net.setup.samples.total_weight or 0.0 for net in drawn]
        self._run = AbreastRun(
            [net.setup.problem for net in drawn], [net.start for net in drawn], rows,
            samples.targets.values.shape[1] + (weights is not None), self._orders.order, drawn[0].size, weights,
        )  # fmt: skip
        self._rates = np.empty((setup.epochs, width), dtype)
        for lane in range(width):
            self._rates[:, lane] = nets[lane if lane < len(nets) else 0].rates
        self._losses = np.zeros_like(self._rates)
        self._validation = None if drawn[0].held is None else LaneValidation(drawn, rows, width)
        self._validated = 0
        self._networks: list[Network | None] = [None] * len(drawn)
        # Why nets diverged.
        self.messages: list[str | None] = [None] * len(drawn)

    def train(self, halted: Halted) -> str:
        """Train to the end, or to where all are halted; the status of those that have come as far."""
        run, pace, total = self._run, Pace(), self._epochs * self._n_samples
        ended = "finished"
        while run.done < total and None in self._networks:
            until = self._orders.ready_until(run)
            if self._validation is not None:
                until = min(until, (self._validated + 1) * self._n_samples)
            begin = time.perf_counter()
            status = run.advance(self._rates, self._losses, until, pace.budget)
            pace.learn(time.perf_counter() - begin, status == Status.RUNNING)
            if status in (Status.DIVERGED, Status.STALLED):
                self._end(run.ending(status), "diverged" if status == Status.DIVERGED else "stopped early")
            if self._validation is not None and run.done == (self._validated + 1) * self._n_samples:
                # Whatever their scores.
                self._end(np.flatnonzero(~self._finite() & self._living()).tolist(), "diverged", PARAMETERS)
                self._validated += 1
                stops = self._validation.after_epoch(run.flat_params(), self._validated)
                self._end([lane for lane in stops if self._networks[lane] is None], "stopped early")
            ended = halted() or ended
            if ended != "finished":
                break
        return ended

    def networks(self, status: str) -> list[Network]:
        """The networks in their order, of this status where they have no other."""
        self._end([lane for lane, network in enumerate(self._networks) if network is None], status)
        return [network for network in self._networks if network is not None]

    def _finite(self) -> NDArray[np.bool_]:
        """Of each lane whether all its parameters are."""
        return np.asarray(np.isfinite(self._run.flat_params()).all(axis=0))[: len(self._drawn)]

    def _living(self) -> NDArray[np.bool_]:
        return np.array([network is None for network in self._networks])

    def _end(self, lanes: Sequence[int], status: str, what: str = OBJECTIVE) -> None:
        """Make networks of what has been reached in some lanes; of those that diverged `what` was not finite first."""
        if not lanes:
            return
        run, all_losses = self._run, self._losses[: self._run.done // self._n_samples].T.copy()
        snapshots, previous, finite = run.snapshots(), run.previous_params(), self._finite()
        for lane in lanes:
            drawn, losses, params = self._drawn[lane], all_losses[lane], snapshots[lane].params
            diverged = status == "diverged" or not finite[lane]
            before, best = drawn.setup.before, Best() if self._validation is None else self._validation.best(lane)
            curves = (losses, NONE, NONE)
            if before.net is not None or self._validation is not None:
                measured = ([], []) if self._validation is None else self._validation.curves(lane)
                curves = joined_curves(before.curves(), losses, *measured)
            if diverged:
                before_it = previous[lane] if np.isfinite(previous[lane]).all() else drawn.start.params.copy()
                self.messages[lane] = self._told(lane, before_it, what if status == "diverged" else PARAMETERS, best)
                params = before_it
            if best.params is not None:
                params = best.params.copy()
            network = described(drawn.setup, params, curves, "diverged" if diverged else status)
            if best.params is not None:
                network.best_epoch = best.epoch
            self._orders.settle(lane, run.done)
            if not diverged:
                network._training = state_of(drawn, snapshots[lane], 1.0, best)
            self._networks[lane] = network
            run.take_out(lane)

    def _told(self, lane: int, params: Array, what: str, best: Best) -> str:
        """What :meth:`fastmlp.loop.Loop.warning` says of a net alone."""
        run, drawn = self._run, self._drawn[lane]
        done, first = run.done // self._n_samples, drawn.setup.before.n_epochs
        cause = why_diverged(drawn, self._nets[lane].rates, done, run.step - drawn.start.step)
        kept = FIRST if np.array_equal(params, drawn.start.params) else LAST
        epoch, epochs = first + done + (what == OBJECTIVE), first + self._epochs
        return told_of_divergence(what, min(epoch, epochs), epochs, cause, kept if best.params is None else BEST)


@dataclass
class LaneOrders:
    """The row orders of nets abreast: a number for each sample and lane."""

    drawn: Sequence[Drawn]
    width: int
    epochs: int
    order: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        first = self.drawn[0]
        self._n_samples = n_samples = first.setup.samples.n_samples
        self._orders: list[Any] = [net.orders for net in self.drawn]
        self._full = first.size == n_samples
        ahead = max(1, min(self.epochs, BYTES_DRAWN_AHEAD // (4 * n_samples * self.width)))
        self.order = np.zeros((1 if self._full else ahead, n_samples, self.width), np.int32)
        self._end = self._drawn_from = 0
        self._places: list[Any] = []
        for lane in range(self.width if self._full else 0):
            rows = self._net(lane).setup.samples.rows
            self.order[0, :, lane] = first.orders.rows if rows is None else rows

    def _net(self, lane: int) -> Drawn:
        """Lanes without a net of their own repeat the first."""
        return self.drawn[lane if lane < len(self.drawn) else 0]

    def ready_until(self, run: AbreastRun) -> int:
        """Until how many samples done the rows are there; draws more orders where they have run out."""
        total = self.epochs * self._n_samples
        if self._full:
            return total
        if run.done == self._end:
            run.order_begins_at(self._end)
            self._places, self._drawn_from = [None if one is None else one.place() for one in self._orders], self._end
            n_orders = min(len(self.order), (total - self._end) // self._n_samples)
            self._draw(self.order[:n_orders])
            self._end += n_orders * self._n_samples
        return self._end

    def _draw(self, into: NDArray[np.int32]) -> None:
        counted = all(isinstance(orders, CountedOrders) for orders in self._orders)
        if counted and len({orders.epoch for orders in self._orders}) == 1:
            nets = [self._orders[lane if lane < len(self._orders) else 0] for lane in range(self.width)]
            keys = np.array([orders.key for orders in nets])
            Run.draw_orders(keys, nets[0].epoch, np.stack([orders.rows for orders in nets]), into)
            for orders in self._orders:
                orders.skip(len(into))
            return
        own = np.empty(into.shape[:2], np.int32)
        for lane, orders in enumerate(self._orders):
            if orders is not None:
                orders.draw(own)
                into[..., lane] = own
        into[..., len(self._orders) :] = into[..., :1]

    def settle(self, lane: int, done: int) -> None:
        """Take back a net's draws of epochs that `done` samples have not begun; it draws no more."""
        orders = self._orders[lane]
        # Lanes without a living net need any rows. Counted orders cost least where all lanes have them.
        self._orders[lane] = copy.copy(orders) if isinstance(orders, CountedOrders) else None
        if not self._full and done < self._end:
            orders.come_back(self._places[lane])
            orders.skip(-(-(done - self._drawn_from) // self._n_samples))


def pieces_of(tasks: Sequence[Task]) -> list[Task | Group]:
    """Groups of nets that go abreast, where they are enough to be worth it, and the others one by one."""
    kinds: dict[Any, list[Task]] = {}
    pieces: list[Task | Group] = []
    groups: dict[int, Any] = {}
    for task in tasks:
        if task.alike not in groups:
            groups[task.alike] = group_of(task.setup)
        kind = groups[task.alike]
        if kind is None:
            pieces.append(task)
        else:
            kinds.setdefault(kind, []).append(task)
    packs = Packs()
    for alike in kinds.values():
        setup = alike[0].setup
        dtype = setup.samples.targets.values.dtype
        width, least = lanes_of(dtype), nets_worth_it(setup.problem, _rows_in_batch(setup), dtype)
        for start in range(0, len(alike), width):
            some = alike[start : start + width]
            pieces += [Group(some, packs.of(setup))] if len(some) >= least else some
    return pieces
