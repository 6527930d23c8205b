"""What an estimator's training goes on by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.batches import InMemory, Streamed
from fastmlp.estimators.tables import Table
from fastmlp.kernels.run import Run
from fastmlp.options import Problem, Snapshot

Array = NDArray[Any]


@dataclass
class Optimizer:
    """What training goes by from one ``partial_fit`` to the next: its schedule, the rate of the next epoch, its moments.

    `run` is that of the last one, and `made_for` what it suits.
    """

    solver: str
    schedule: schedules.Schedule | schedules.InverseScaling | schedules.Adaptive
    learning_rate_init: float
    learning_rate: float
    epochs: int = 0
    moments: Array | None = None
    step: int = 0
    key: int = 0
    run: Run | None = field(default=None, repr=False)
    made_for: Any = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "run": None, "made_for": None}
        if self.run is not None:
            snapshot = self.run.snapshot()
            state.update(moments=snapshot.moments, step=snapshot.step)
        return state

    def rates(self, epochs: int, n_samples: int, seen: int) -> Array:
        """The learning rate of each of the next `epochs`, after `seen` samples, those of earlier fits among them."""
        if isinstance(self.schedule, schedules.InverseScaling):
            rates = np.asarray(self._inverse(seen + n_samples * np.arange(epochs)))
            # As in scikit-learn, where each fit begins with the first rate.
            rates[0] = self.learning_rate
            return rates
        if isinstance(self.schedule, schedules.Adaptive):
            return np.full(epochs, self.learning_rate)
        return schedules.rates(self.schedule, self.learning_rate_init, epochs, self.epochs, n_samples, "learning_rate")

    def _inverse(self, seen: Any) -> Any:
        assert isinstance(self.schedule, schedules.InverseScaling)
        return self.learning_rate_init / (seen + 1.0) ** self.schedule.power_t

    def advance(self, rates: Array, epochs: int, seen: int) -> None:
        """Take note of `epochs` at the first of these rates, after which `seen` samples have been seen."""
        self.epochs += epochs
        if isinstance(self.schedule, schedules.InverseScaling):
            self.learning_rate = float(self._inverse(seen))
        else:
            self.learning_rate = float(rates[min(epochs, len(rates) - 1)])

    def remember(self, snapshot: Snapshot) -> None:
        """Take note of where a run stands."""
        self.moments, self.step = snapshot.moments, snapshot.step

    def run_on(
        self, problem: Problem, params: Array, table: Table, batches: InMemory | Streamed, size: int, threads: int | None
    ) -> Run:
        """A run on these samples: the last one where it was on as many, for it takes longer to make one than to update."""
        made_for = (problem, size, params.dtype, table.weights is None, threads) if size == table.n_samples else None
        if self.run is not None and made_for == self.made_for:
            self.run.take(batches.X, batches.y, table.total_weight)
            self.run.begin_again(params)
            return self.run
        if self.run is not None:
            self.remember(self.run.snapshot())
        self.run, self.made_for = None, made_for
        return Run(
            problem, Snapshot(params, self.moments, self.step, self.key), batches.X, batches.y, batches.order,
            table.n_samples, size, threads, table.total_weight,
        )  # fmt: skip

    def keep(self, run: Run) -> None:
        """Keep a run for the next batch, if it has laid out its own; else what it has reached, and not its samples."""
        if self.made_for is not None:
            self.run = run
        else:
            self.remember(run.snapshot())

    def forget_run(self) -> None:
        """Go on from what was remembered before the last run."""
        self.run = None
