"""Data sets of growing size: how long a pass takes, beside others, and how it grows."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

from threadpoolctl import ThreadpoolController, threadpool_limits

from fastmlp.bench.memory import with_peak
from fastmlp.bench.peers import CORES, OURS, Losses, Peer, Training, train_fastmlp
from fastmlp.bench.rounds import Timing, interleave
from fastmlp.bench.workload import Array, Workload

# A round of one contender lasts at least so long, so that the clock and the call's own start do not count.
SECONDS_OF_A_ROUND = 0.03
MOST_PASSES = 20_000
# Of so many seconds are the stretches by which passes are watched.
SECONDS_OF_A_STRETCH = 0.005
LARGEST_PEER_BYTES = 2_000_000_000


@dataclass
class Cell:
    """One contender on one workload: seconds of a pass, or why there are none.

    `ready` is what the first training took beyond a later one: loading, compiling. `memory` is what it needed beside the
    data, in bytes.
    """

    name: str
    n_samples: int
    timing: Timing | None = None
    ready: float = math.nan
    memory: int | None = None
    loss: float = math.nan
    threads: int = 0
    why: str = ""


@dataclass
class Size:
    """All contenders on one workload; ours first."""

    workload: Workload
    cells: list[Cell] = field(default_factory=list)

    @property
    def ours(self) -> Cell:
        """fastmlp's."""
        return self.cells[0]


@dataclass
class Contender:
    """A peer made ready for a workload."""

    cell: Cell
    training: Training
    passes: int


def measure(
    workload: Workload,
    peers: Sequence[Peer],
    before: Mapping[str, Cell],
    *,
    rounds: int,
    seconds: float,
    threads: int,
    data: tuple[Array, Array] | None = None,
) -> Size:
    """Time a pass of every contender, in turn; those that would take too long, as `before` tells, are left out.

    `threads` 0 lets fastmlp choose, and runs the others on one or on all cores, whichever is faster.
    """
    X, y = workload.data() if data is None else data
    size, ready = Size(workload), []
    share = seconds / (len(peers) + 1)
    for peer in (OURS, *peers):
        cell = Cell(peer.name, workload.n_samples, threads=threads)
        size.cells.append(cell)
        cell.why = _reason(peer, workload, before.get(peer.name), share if peer is not OURS else math.inf)
        if not cell.why:
            ready.append(_prepared(peer, workload, cell, X, y, threads))
    works = {one.cell.name: one.training for one in ready}
    limits = {one.cell.name: one.cell.threads for one in ready}
    # After the preparation: only libraries already loaded can be limited.
    controller = ThreadpoolController()
    timings = interleave(works, rounds, seconds, lambda name: controller.limit(limits=limits[name] or None))
    for one in ready:
        one.cell.timing = timings[one.cell.name].per(one.passes)
    return size


def in_turn(sizes: Sequence[Size], rounds: int, seconds: float, data: Mapping[int, tuple[Array, Array]]) -> list[Timing]:
    """fastmlp's passes once more: those of all sizes in turn, and without what a training takes before its first pass.

    A machine that slows down while one size follows the other would bend the line through them, and so would that start,
    which is shared among more passes where they are short.
    """
    taken: dict[str, list[float]] = {}
    works = {}
    for size in sizes:
        workload, cell = size.workload, size.ours
        assert cell.timing is not None
        each = max(1, math.ceil(SECONDS_OF_A_STRETCH / cell.timing.median))
        count = max(2, math.ceil(SECONDS_OF_A_ROUND / (each * cell.timing.median)))
        name = str(workload.n_samples)
        taken[name] = []
        works[name] = partial(_watch, taken[name], workload, *data[workload.n_samples], cell.threads, each, count)
    interleave(works, rounds, seconds)
    return [Timing(tuple(times)) for times in taken.values()]


def _watch(taken: list[float], workload: Workload, X: Array, y: Array, threads: int, each: int, count: int) -> None:
    """Train for so many stretches of `each` passes, and one before them, and note the seconds of a pass in each."""
    seen: list[float] = []
    wanted = replace(workload, passes=each * (count + 1))
    train_fastmlp(wanted, X, y, threads, callback=lambda _: seen.append(time.perf_counter()), callback_every=each)
    taken.extend((after - before) / each for before, after in pairwise(seen))


def _reason(peer: Peer, workload: Workload, before: Cell | None, seconds: float) -> str:
    """Why a contender is left out."""
    if peer is not OURS and workload.batch_bytes > LARGEST_PEER_BYTES:
        return "too much memory"
    if before is None or peer is OURS:
        return ""
    if before.timing is None:
        return before.why
    # A pass to warm up, with one core and with all, and three to measure.
    expected = before.timing.median * workload.n_samples / before.n_samples
    return "too long" if 5 * expected > seconds else ""


def _timed(training: Training, threads: int) -> tuple[float, Losses]:
    with threadpool_limits(limits=threads or None):
        begin = time.perf_counter()
        losses = training()
        return time.perf_counter() - begin, losses


def _prepared(peer: Peer, workload: Workload, cell: Cell, X: Array, y: Array, threads: int) -> Contender:
    """A contender with as many passes as make a round, and with the number of threads that serves it best."""
    once = replace(workload, passes=1)
    tried = (threads,) if threads or peer is OURS else tuple(sorted({1, CORES}, reverse=True))
    best: tuple[float, int] = (math.inf, tried[0])
    for place, number in enumerate(tried):
        begin = time.perf_counter()
        training = peer.prepare(once, X, y, number)
        (_, losses), memory = with_peak(partial(_timed, training, number))
        first = time.perf_counter() - begin
        warm = min(_timed(training, number)[0] for _ in range(2 if first < SECONDS_OF_A_ROUND else 1))
        if place == 0:
            cell.ready, cell.memory = max(0.0, first - warm), memory
        best = min(best, (warm, number))
    warm, cell.threads = best
    cell.loss = float(losses[-1])
    passes = 1
    # Twice, since what a call takes to begin is most of a single short pass.
    for _ in range(2):
        if passes * warm >= SECONDS_OF_A_ROUND:
            break
        passes = max(1, min(MOST_PASSES, math.ceil(SECONDS_OF_A_ROUND / warm)))
        training = peer.prepare(replace(workload, passes=passes), X, y, cell.threads)
        warm = min(_timed(training, cell.threads)[0] for _ in range(2)) / passes
    if passes == 1:
        training = peer.prepare(once, X, y, cell.threads)
    return Contender(cell, training, passes)
