"""Where the time of a step goes, by leaving out one part after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.bench.rounds import Timing, interleave
from fastmlp.bench.workload import Workload
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Snapshot, Solver, Status

WHOLE = 1 << 40
SECONDS_OF_A_ROUND = 0.02


@dataclass(frozen=True)
class Profile:
    """Seconds of a step: forward products and loss, activations in both directions, backward products, the update."""

    forward: float
    activation: float
    backward: float
    update: float


def profile(workload: Workload, rounds: int) -> Profile:
    """Of one step on one thread: the loss alone, with and without activations; then the gradient; then the update."""
    activation, solver = Activation[workload.activation.upper()], Solver[workload.solver.upper()]
    steps = {
        "loss": _Step(workload, Activation.IDENTITY, solver, learns=False),
        "gradient": _Step(workload, Activation.IDENTITY, Solver.LBFGS),
        "gradient with activations": _Step(workload, activation, Solver.LBFGS),
        "all": _Step(workload, activation, solver),
    }
    timings: dict[str, Timing] = interleave({name: step.run for name, step in steps.items()}, rounds)
    loss, gradient, activated, whole = (timings[name].per(step.count).median for name, step in steps.items())
    return Profile(loss, max(0.0, activated - gradient), max(0.0, gradient - loss), max(0.0, whole - activated))


class _Step:
    """The same batch again and again."""

    def __init__(self, workload: Workload, activation: Activation, solver: Solver, learns: bool = True) -> None:
        from fastmlp.kernels.run import Run

        size = workload.batch_size or workload.n_samples
        batch = workload.of(size)
        X, y = batch.data()
        dtype = X.dtype
        self.count, self._size = 1, size
        random = np.random.default_rng(0)
        weights = sum(a * b for a, b in zip(batch.sizes, batch.sizes[1:], strict=False)) + sum(batch.sizes[1:])
        params = (random.standard_normal(weights) * 0.1).astype(dtype)
        problem = Problem(
            batch.sizes, (activation,) * len(batch.hidden), Loss.CROSS_ENTROPY, solver, Hyperparameters(l2=workload.l2)
        )
        targets = y.astype(dtype)[:, np.newaxis]
        self._run: Any = Run(problem, Snapshot(params), X, targets, np.empty(0, np.int32), size, size, 1, learns=learns)
        self._dtype = dtype
        self._done = 0
        while interleave({"": self.run}, 1)[""].median < SECONDS_OF_A_ROUND:
            self.count *= 2

    def run(self) -> None:
        rates, losses = np.full(self.count, 1e-9, self._dtype), np.zeros(self.count, self._dtype)
        self._run.begin_again(self._run.params)
        status = self._run.advance(rates, losses, self.count * self._size, WHOLE)
        assert status == Status.FINISHED
