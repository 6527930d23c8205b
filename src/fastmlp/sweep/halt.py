"""A word from outside that trainings end."""

from __future__ import annotations

import math
import time

from fastmlp.interrupts import Interrupts


class Halt:
    """Asked after each chunk of a training; several share it.

    Parameters
    ----------
    max_seconds : from now on, for all together.

    Attributes
    ----------
    interrupts : tell of Ctrl-C, which ends them too.
    """

    def __init__(self, max_seconds: float = math.inf) -> None:
        self._deadline = time.monotonic() + max_seconds
        self._status: str | None = None
        self.interrupts = Interrupts()

    def say(self, status: str) -> None:
        """End all trainings with this status, unless one has been said before."""
        self._status = self() or status

    def seconds_left(self) -> float:
        """Until the time is over."""
        return self._deadline - time.monotonic()

    def __call__(self) -> str | None:
        """The status to end with, or None."""
        if self._status is None and self.interrupts.heard:
            self._status = "interrupted"
        if self._status is None and time.monotonic() > self._deadline:
            self._status = "out of time"
        return self._status
