"""What ``verbose`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastmlp.loop import Epoch


class Teller:
    """Prints how training goes, in scikit-learn's words: where gains fail for too long a rate is lowered or training stops.

    `what` is to gain at least `tol` within `patience` epochs; `rate` is the first learning rate, which is lowered if it is
    `adaptive`.
    """

    def __init__(self, what: str, tol: float, patience: float, rate: float, adaptive: bool) -> None:
        self._no_gain = f"{what} did not improve more than tol={tol:f} for {patience} consecutive epochs."
        self._rate, self._adaptive = rate, adaptive

    def epoch(self, number: int, loss: float, score: float | None) -> None:
        """Tell of an epoch done."""
        print(f"Iteration {number}, loss = {loss:.8f}")
        if score is not None:
            print(f"Validation score: {score:f}")

    def next_rate(self, rate: float) -> None:
        """Tell of the rate that the next epoch has, if it is lower than before."""
        if self._adaptive and rate < self._rate:
            print(f"{self._no_gain} Setting learning rate to {rate:f}")
        self._rate = rate

    def stopped(self) -> None:
        """Tell why training has ended."""
        print(f"{self._no_gain}{' Learning rate too small.' if self._adaptive else ''} Stopping.")

    def beside(self, callback: Callable[[Epoch], Any] | None, scored: bool) -> Callable[[Epoch], Any]:
        """A callback that tells before it calls the user's own."""

        def tell(epoch: Epoch) -> Any:
            self.next_rate(epoch.learning_rate)
            self.epoch(epoch.epoch, epoch.loss, epoch.validation_score if scored else None)
            return None if callback is None else callback(epoch)

        return tell
