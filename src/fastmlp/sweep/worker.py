"""What workers of an executor do: train the nets that they are sent, on samples that they are sent once."""

from __future__ import annotations

import os
import pickle
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from fastmlp.interrupts import left_to_finish
from fastmlp.loop import Halted
from fastmlp.samples import Source
from fastmlp.sweep.configs import Config
from fastmlp.sweep.crew import Crew
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.tasks import Outcome, Setups, Task, tasks_of

# Of nets of fewer multiplications than these Python has more work than the kernels: then threads only wait for each other.
LEAST_COST = 300_000
# Sweeps whose samples a process keeps: one that is over makes room for the next.
MOST_KNOWN = 2


class Reference(NamedTuple):
    """Stands, in what is sent, for one of the things that workers have already."""

    number: int


class Terms(NamedTuple):
    """How a worker is to train.

    Attributes
    ----------
    threads : how many to train with.
    seconds : left before the sweep ends, infinity where it does not.
    flag : a file, on the machine where the sweep was called, that says how the sweep ended; see `Flag`.
    """

    threads: int
    seconds: float
    flag: str


class Shared:
    """What all nets of a sweep have in common; it is sent without what it has been read into."""

    def __init__(self, X: ArrayLike, y: ArrayLike, common: Mapping[str, Any], things: Sequence[Any]) -> None:
        self.source, self.common, self.things = Source(X, y), common, things
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Shared, (self.source.X, self.source.y, self.common, self.things)

    def opened(self, nets: bytes) -> tuple[list[int], list[Config], list[Any] | None]:
        """Places, configs and rows of nets that were sent."""
        places, configs, rows = pickle.loads(nets)
        configs = [{name: self._thing(value) for name, value in config.items()} for config in configs]
        return places, configs, None if rows is None else [self._thing(some) for some in rows]

    def _thing(self, value: Any) -> Any:
        return self.things[value.number] if isinstance(value, Reference) else value


class Flag:
    """Tells workers on the same machine that a sweep is over, and how.

    It is a file, empty while the sweep goes on. A worker that does not find it when it begins is elsewhere, and trains on.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._path, self._halt, self._is_here = path, Halt(seconds), os.path.exists(path)

    def __call__(self) -> str | None:
        """The status to end with, or None."""
        status = self._halt()
        if status is None and self._is_here:
            try:
                # Asked after every chunk: to read the file each time would take ten times as long.
                if os.stat(self._path).st_size:
                    self._halt.say(Path(self._path).read_text())
            except FileNotFoundError:
                self._halt.say("interrupted")
            status = self._halt()
        return status


def cores() -> int:
    """How many cores there are."""
    # When there is something to train: it is slow to import.
    from fastmlp.kernels.run import available_cores

    return available_cores()


def crew_of(tasks: Sequence[Task], threads: int | None, halted: Halted, tells: bool = True) -> Crew:
    """A crew that trains these nets, here or on a worker, on so many threads or one for each core; see :class:`Crew`.

    What it will call is compiled here, before it begins: Ctrl-C is heard meanwhile.
    """
    from fastmlp.kernels.warm import are_ready, make_ready
    from fastmlp.sweep.abreast import pieces_of

    if threads is None:
        threads = 1 if sum(task.cost for task in tasks) < LEAST_COST * len(tasks) else cores()
    pieces = pieces_of(tasks)
    wanted = set().union(*(piece.kernels for piece in pieces))
    if not are_ready(wanted):
        left_to_finish(lambda: make_ready(wanted))
    return Crew(pieces, threads, halted, tells)


def train_tasks(tasks: Sequence[Task], threads: int, halted: Halted) -> list[Outcome]:
    """Train nets that are set up."""
    return [outcome for finished in crew_of(tasks, threads, halted, False) for outcome in finished]


def fetch(shared: Shared) -> None:
    """Do nothing, with what Dask has to bring here for it."""


def train_group(shared: Shared, nets: bytes, terms: Terms) -> list[Outcome]:
    """Train nets that were sent. Those not begun before the sweep ends are left out."""
    flag = Flag(terms.flag, terms.seconds)
    places, configs, rows = shared.opened(nets)
    # The caller has been warned of the samples already.
    with shared.lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Rows that came with the nets go with them: what was set up for others is not kept.
        tasks, outcomes = tasks_of(
            Setups(shared.source, shared.common), configs, [config["seed"] for config in configs], rows
        )
    outcomes += train_tasks(tasks, terms.threads, flag)
    for outcome in outcomes:
        outcome.place, outcome.error = places[outcome.place], _sendable(outcome.error)
    return outcomes


def _sendable(error: Exception | None) -> Exception | None:
    """The error, or what it says where it cannot be sent: a result that cannot be read ends a pool of processes."""
    if error is None:
        return None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


_known: OrderedDict[str, Shared] = OrderedDict()
_lock = threading.RLock()


def _unlock() -> None:
    # A thread that held it did not come along.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def remember(token: str, shared: Shared) -> None:
    """Keep what a sweep shares, in place of what was used least recently."""
    with _lock:
        _known[token] = shared
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)


def forget(token: str) -> None:
    """Keep it no longer."""
    with _lock:
        _known.pop(token, None)


def train_sent(token: str, blob: bytes | None, nets: bytes, terms: Terms) -> list[Outcome] | None:
    """Train nets of the sweep of this token; None where what they share was neither sent, pickled, nor known before."""
    with _lock:
        if token not in _known:
            if blob is None:
                return None
            remember(token, pickle.loads(blob))
        _known.move_to_end(token)
        shared = _known[token]
    return train_group(shared, nets, terms)
