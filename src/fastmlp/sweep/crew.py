"""Threads that share the work of a sweep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import numpy as np

from fastmlp.loop import Halted
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.tasks import Outcome


class Piece(Protocol):
    """Work for one thread."""

    @property
    def cost(self) -> float:
        """What it costs, in whatever unit."""

    @property
    def kernels(self) -> set[str]:
        """The names of the entry points that it calls; see :mod:`fastmlp.kernels.warm`."""

    def run(self, halted: Halted) -> list[Outcome]:
        """Do it."""


class Crew:
    """Threads at work: each takes the costliest piece that waits.

    What comes of the pieces is taken by whoever iterates; then the work begins. Where all is halted the pieces that wait
    are left.

    Parameters
    ----------
    pieces : the work.
    threads : how many at most.
    halted : asked before each piece, and within.
    tells : whether what comes of a piece is there when it ends, not when a thread has no more to do: to wake up whoever
        waits for it takes longer than a small net.
    """

    def __init__(self, pieces: Sequence[Piece], threads: int, halted: Halted, tells: bool = True) -> None:
        self._tells = tells
        self._waiting = deque(sorted(pieces, key=lambda piece: -piece.cost))
        self._halted, self._finished = halted, SimpleQueue[Any]()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(min(threads, len(pieces)))]
        self._idle, self._working = self._threads.copy(), 0

    def close(self) -> None:
        """Wait until no thread is left."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        kept: list[Outcome] = []
        try:
            while self._halted() is None:
                try:
                    piece = self._waiting.popleft()
                except IndexError:
                    return
                outcomes = piece.run(self._halted)
                if self._tells:
                    self._finished.put(outcomes)
                else:
                    kept += outcomes
        except BaseException as error:
            self._finished.put(error)
        finally:
            if kept:
                self._finished.put(kept)
            self._finished.put(None)

    def __iter__(self) -> Crew:
        while self._idle:
            self._idle.pop().start()
            self._working += 1
        return self

    def __next__(self) -> list[Outcome]:
        while self._working:
            outcomes = self._finished.get()
            if isinstance(outcomes, BaseException):
                raise outcomes
            if outcomes is not None:
                return list(outcomes)
            self._working -= 1
        raise StopIteration


class Work(Protocol):
    """Nets in training: what comes of them, and an end that leaves nothing behind."""

    def __iter__(self) -> Iterator[list[Outcome]]:
        """Begin, if that has not been; the outcomes as they come."""

    def close(self) -> Any:
        """Leave nothing behind."""


@dataclass
class Watch:
    """Notes what comes of nets, tells the user, and hears when to end.

    Attributes
    ----------
    outcomes : by the nets' places; those of a net that has been trained on are its last, with the time of all.
    report : is told how many nets there are outcomes of.
    callback : the user's, or None.
    halt : ends what is watched.
    """

    outcomes: dict[int, Outcome]
    report: Callable[[int], None]
    callback: Callable[[Outcome], Any] | None
    halt: Halt

    def over(self, work: Work) -> None:
        """Watch over nets in training until nothing is left of them."""
        try:
            for finished in work:
                self.note(finished)
        except KeyboardInterrupt:
            self.halt.say("interrupted")
            self.callback = None
            for finished in work:
                self.note(finished)
        except BaseException:
            self.halt.say("interrupted")
            raise
        finally:
            work.close()

    def note(self, finished: Sequence[Outcome]) -> None:
        """Note outcomes, and tell of them: of all that have ended, also after a word to end."""
        for outcome in finished:
            before = self.outcomes.get(outcome.place)
            outcome.seconds += 0 if before is None else before.seconds
            self.outcomes[outcome.place] = outcome
        self.report(len(self.outcomes))
        if self.callback is None:
            return
        with self.halt.interrupts.raised():
            said = [self.callback(outcome) for outcome in finished]
        if any(isinstance(word, bool | np.bool_) and word for word in said):
            self.halt.say("stopped by callback")
