"""Threads that share the work of a sweep."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from fastmlp.loop import Halted
from fastmlp.sweep.tasks import Outcome


class Piece(Protocol):
    """Work for one thread."""

    @property
    def cost(self) -> float:
        """What it costs, in whatever unit."""

    def run(self, halted: Halted) -> list[Outcome]:
        """Do it."""


class Crew:
    """Threads at work: each takes the costliest piece that waits.

    What comes of the pieces is taken, in the order in which they end, by whoever iterates; then the work begins. Where all
    is halted the pieces that wait are left.
    """

    def __init__(self, pieces: Sequence[Piece], threads: int, halted: Halted) -> None:
        self._waiting = deque(sorted(pieces, key=lambda piece: -piece.cost))
        self._halted, self._finished = halted, SimpleQueue[Any]()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(min(threads, len(pieces)))]
        self._idle, self._working = self._threads.copy(), 0

    def wait(self) -> None:
        """Wait until no thread is left."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        try:
            while self._halted() is None:
                try:
                    piece = self._waiting.popleft()
                except IndexError:
                    return
                self._finished.put(piece.run(self._halted))
        except BaseException as error:
            self._finished.put(error)
        finally:
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
