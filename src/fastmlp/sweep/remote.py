"""Sweeps on an executor: groups of nets sent out, what comes back, and what does not."""

from __future__ import annotations

import math
import os
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fastmlp.notices import warn
from fastmlp.samples import Source
from fastmlp.sweep import worker
from fastmlp.sweep.alone import Suspects
from fastmlp.sweep.configs import Config
from fastmlp.sweep.crew import Crew
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.portions import Group, Portions
from fastmlp.sweep.sending import Answer, Parcels, UnsendableError, carrier_of
from fastmlp.sweep.tasks import Outcome, Task
from fastmlp.sweep.worker import Terms

# What waits behind a group, so that its worker need not; what a worker is given at a time is lost with it.
GROUPS_FOR_EACH = 2
# A group that is lost so often is tried apart.
MOST_LOSSES = 3
# How long to wait for nets in progress when a sweep is ended, and how often to look whether it is.
GRACE_SECONDS = 0.35
SECONDS_BETWEEN_LOOKS = 0.05
# When nothing is heard of so long, groups may be lost.
SECONDS_OF_SILENCE = 1.0


def check_executor(executor: Any) -> None:
    """Raise TypeError where it is none."""
    if executor is None or isinstance(executor, Executor):
        return
    remedy = "give its get_executor()" if hasattr(executor, "get_executor") else "see concurrent.futures"
    raise TypeError(f"executor={executor!r} is no concurrent.futures.Executor; {remedy}, or None")


class Remote:
    """Nets in training on an executor.

    As of a Crew, what comes of them is taken, in the order in which they end, by whoever iterates. A group that is lost
    with its worker is sent again by halves, and after `MOST_LOSSES` tried here in a process of its own: a net that ends
    that too has failed. What an executor that is broken or shut down leaves is trained here.

    Parameters
    ----------
    tasks : the nets to train, of those of `configs` and `rows`, on X and y of `source`.
    threads : for each worker, or None for one.

    Attributes
    ----------
    close : a function that calls back what is in flight, and leaves nothing behind.
    """

    def __init__(
        self, executor: Executor, tasks: Sequence[Task], source: Source, common: Mapping[str, Any],
        configs: Sequence[Config], rows: Sequence[Any] | None, threads: int | None, halt: Halt,
    ) -> None:  # fmt: skip
        self._executor, self._asked, self._threads, self._halt = executor, threads, threads or 1, halt
        self._portions, self._parcels = Portions(tasks), Parcels(source.X, source.y, common, configs, rows)
        self._carrier = carrier_of(executor, self._parcels, halt)
        self._flying: dict[Future[Answer], Group] = {}
        self._landed = SimpleQueue[Future[Answer]]()
        self._suspects: list[Group] = []
        self._broken: BaseException | None = None
        self._losses = 0
        self._here: Crew | None = None
        self._unsent: list[Outcome] = []
        self._heard = time.monotonic()
        self._warned, self._grace_ends = False, math.inf
        file, self._flag = tempfile.mkstemp(prefix="fastmlp-")
        os.close(file)
        self.close = weakref.finalize(self, _end, self._flying, self._flag, getattr(self._carrier, "token", ""))

    def __iter__(self) -> Remote:
        return self

    def __next__(self) -> list[Outcome]:
        while True:
            if self._here is not None:
                try:
                    return next(self._here)
                except StopIteration:
                    self._here = None
            if (status := self._halt()) is not None:
                self._call_in(status)
            elif self._broken is None:
                self._send_more()
            if self._unsent:
                return [self._unsent.pop()]
            if not self._flying and status is None:
                self._here = self._rest_here()
            if self._here is None and (not self._flying or time.monotonic() > self._grace_ends):
                raise StopIteration
            if self._flying and (outcomes := self._received()):
                return outcomes

    def _send_more(self) -> None:
        try:
            self._carrier.look_around()
        except TypeError:
            raise
        except Exception as error:
            self._broken = error
            return
        workers = self._carrier.workers
        # Until it is known how long nets take, no more than there are workers to find it out.
        while self._portions and len(self._flying) < workers * (GROUPS_FOR_EACH if self._portions.is_timed else 1):
            self._send(self._portions.cut(workers, self._threads))
            if self._broken is not None:
                return

    def _send(self, group: Group, again: bool = False) -> None:
        terms = Terms(self._threads, self._halt.seconds_left(), self._flag)
        try:
            future = self._carrier.submit(group.tasks, terms, again)
        except UnsendableError as error:
            if len(group.tasks) == 1:
                self._unsent.append(Outcome(group.tasks[0].place, None, "failed", error))
            else:
                self._take_back(group.halves())
        except TypeError:
            raise
        except Exception as error:
            # Pools that are shut down or broken say so here.
            self._broken = error
            self._take_back([group])
        else:
            self._flying[future] = group
            future.add_done_callback(self._landed.put)

    def _received(self) -> list[Outcome]:
        """What has come back, if something has in a moment's time."""
        try:
            future = self._landed.get(timeout=SECONDS_BETWEEN_LOOKS)
        except Empty:
            self._look_after_those_in_flight(SECONDS_OF_SILENCE)
            return []
        self._heard = time.monotonic()
        group = self._flying.pop(future, None)
        if group is None:
            return []
        error = CancelledError("cancelled") if future.cancelled() else future.exception()
        if error is not None:
            self._lose(group, error, not (future.cancelled() and self._carrier.tells_begun))
            self._look_after_those_in_flight(0.0)
            return []
        answer = future.result()
        if answer is None:
            self._send(group, again=True)
            return []
        return self._noted(group, answer)

    def _noted(self, group: Group, outcomes: list[Outcome]) -> list[Outcome]:
        self._portions.learn(group.tasks, outcomes)
        self._losses = 0
        there = {outcome.place for outcome in outcomes}
        left = [task for task in group.tasks if task.place not in there]
        if left:
            # The worker was told that the sweep is over.
            self._lose(Group(left, group.losses), CancelledError("left by the worker"), False)
        return outcomes

    def _look_after_those_in_flight(self, silence: float) -> None:
        """Give them up where they are lost without anybody saying so; asked after so many seconds of silence."""
        if self._halt() is not None or time.monotonic() < self._heard + silence:
            return
        self._heard = time.monotonic()
        if not self._carrier.is_cut_off():
            return
        lost = dict(self._flying)
        self._flying.clear()
        for future, group in lost.items():
            future.cancel()
            self._lose(group, CancelledError("lost with what it needs"), True)

    def _lose(self, group: Group, error: BaseException, may_have_begun: bool) -> None:
        """Have nets trained again that did not come back."""
        self._losses += 1
        if self._losses > MOST_LOSSES * GROUPS_FOR_EACH * self._carrier.workers or isinstance(error, BrokenExecutor):
            self._broken = error
        # What no worker began has ended none, and threads end with this process alone.
        if not may_have_begun or not self._carrier.is_apart:
            self._take_back([group])
            return
        group.losses += 1
        # Dask has tried several times then.
        if self._broken is not None or group.losses >= MOST_LOSSES or type(error).__name__ == "KilledWorker":
            self._suspects.append(group)
        else:
            self._take_back(group.halves())

    def _take_back(self, groups: Sequence[Group]) -> None:
        for group in groups:
            self._portions.take_back(group)

    def _rest_here(self) -> Crew | None:
        """What the executor leaves, in training here; None where all is done."""
        threads = self._asked or worker.cores()
        lost, rest = self._portions.rest()
        self._suspects += lost
        if self._broken is not None and not self._warned and (rest or self._suspects):
            self._warned = True
            n_nets = len(rest) + sum(len(group.tasks) for group in self._suspects)
            warn(
                f"executor={self._executor!r} trains no longer ({type(self._broken).__name__}: {self._broken}); the "
                f"{n_nets} nets left are trained here. Make a new one for the next sweep",
                RuntimeWarning,
            )
        if rest:
            return iter(worker.crew_of(rest, threads, self._halt))
        if not self._suspects:
            return None
        terms = Terms(1, math.inf, self._flag)
        suspects = [Suspects(group.tasks, self._parcels, terms) for group in self._suspects]
        self._suspects = []
        return iter(Crew(suspects, threads, self._halt))

    def _call_in(self, status: str) -> None:
        """Tell workers that the sweep is over, and wait no longer than a moment for nets in progress."""
        if self._grace_ends < math.inf:
            return
        self._grace_ends = time.monotonic() + GRACE_SECONDS
        # What nobody has begun yet begins and ends at once, and is cancelled when the moment is over.
        Path(self._flag).write_text(status)


def _end(flying: dict[Future[Answer], Group], flag: str, token: str) -> None:
    for future in list(flying):
        future.cancel()
    Path(flag).unlink(missing_ok=True)
    worker.forget(token)
