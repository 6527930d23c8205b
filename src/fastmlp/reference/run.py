"""A training run in progress."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Problem, Snapshot, Solver, Status
from fastmlp.reference.dropout import kept_units
from fastmlp.reference.network import objective_and_gradient, views
from fastmlp.reference.optimizers import MOMENTS, update
from fastmlp.reference.orders import draw_orders

Array = NDArray[Any]


class Run:
    """A training run in progress.

    Parameters
    ----------
    problem : what is minimised, and how.
    start : what it begins with; the parameters of the working dtype, and what an earlier run has reached.
    X : (n_rows, n_features) rows in C order, of the working dtype.
    y : (n_rows, 1) class numbers or (n_rows, n_outputs) targets, of the working dtype; with weights, another column.
    order : the numbers, among the rows of X and y, of those that come next; refilled by the caller. Full batches need none:
        then they are all rows.
    n_samples : rows in an epoch; X and y have them all, or those that come next.
    batch_size : rows in a batch, at most n_samples.
    threads : of no effect here; NumPy has threads of its own.
    total_weight : the sum of the samples' weights, where there are any: the last column of `y`.
    learns : False for a run that only measures the objective, without dropout and updates.
    layouts : full batches laid out for other runs too, or None; of no effect here.
    """

    def __init__(
        self,
        problem: Problem,
        start: Snapshot,
        X: Array,
        y: Array,
        order: NDArray[np.int32],
        n_samples: int,
        batch_size: int,
        threads: int | None = None,
        total_weight: float | None = None,
        learns: bool = True,
        layouts: Any = None,
    ) -> None:
        self.problem, self.X, self.y, self.order = problem, X, y, order
        self.n_samples, self.batch_size = n_samples, batch_size
        self.params = start.params.copy()
        self.previous_params = (start.params if start.previous is None else start.previous).copy()
        self.moments = np.zeros((MOMENTS[problem.solver], start.params.size), start.params.dtype)
        if start.moments is not None:
            self.moments[...] = start.moments
        self._weight = n_samples if total_weight is None else total_weight
        self._weighted, self._learns = total_weight is not None, learns
        self._step, self._key = start.step, start.key
        self._best_loss, self._stalled = start.best_loss, start.stalled
        self.done = self._first = 0
        self._total = 0.0

    @staticmethod
    def draw_orders(keys: NDArray[np.int64], epoch: int, rows: NDArray[np.int32], orders: NDArray[np.int32]) -> None:
        """See :func:`fastmlp.reference.draw_orders`."""
        draw_orders(keys, epoch, rows, orders)

    @property
    def is_compiled(self) -> bool:
        """True: NumPy is ready."""
        return True

    def compile(self) -> None:
        """Do nothing."""

    def take(self, X: Array, y: Array, total_weight: float | None = None) -> None:
        """Go on with other samples, as many as those before."""
        self.X, self.y = X, y
        self._weight = len(X) if total_weight is None else total_weight

    def begin_again(self, params: Array) -> None:
        """Take other parameters, and count the samples from 0."""
        self.params = params.copy()
        self.done, self._total = 0, 0.0
        if self.problem.solver == Solver.LBFGS:
            self.moments[...] = 0

    def order_begins_at(self, done: int) -> None:
        """Say at how many samples done the first of the row order comes next."""
        self._first = done

    def snapshot(self) -> Snapshot:
        """What has been reached; exact at the end of an epoch."""
        return Snapshot(
            self.params.copy(), self.moments.copy(), self._step, self._key, float(self._best_loss), self._stalled,
            previous=self.previous_params.copy(),
        )  # fmt: skip

    @property
    def gradient(self) -> Array:
        """With the solver that makes no step, the gradient at the parameters, of all samples since the beginning, flat."""
        return np.array(self.moments[0])

    def advance(self, rates: Array, losses: Array, until: int, budget: int) -> Status:
        """Train until `until` samples are done or for `budget` batches; write each epoch's mean objective into `losses`.

        Samples count from the beginning of the run, those of every epoch anew. Objectives are means over an epoch's
        batches, weighted by their samples' weights, each taken before its update. An epoch may end the call: where the
        objective stalls, as the patience and tol of the problem say.
        """
        while budget > 0 and self.done < until:
            budget -= 1
            epoch = self.done // self.n_samples
            if not self._train_batch(float(rates[epoch])):
                return Status.DIVERGED
            if self.done % self.n_samples == 0:
                losses[epoch] = self._total / self._weight
                self._total = 0.0
                if self._has_stalled(losses[epoch]):
                    return Status.STALLED
        return Status.FINISHED if self.done == until else Status.RUNNING

    def _train_batch(self, rate: float) -> bool:
        """Make one update, or none where the objective is not finite, or no sample of the batch has a weight."""
        problem, n_samples = self.problem, self.n_samples
        size = min(self.batch_size, n_samples - self.done % n_samples)
        rows: Any = self.order[self.done - self._first :][:size] if self.order.size else slice(None)
        X, y = self.X[rows], self.y[rows]
        sample_weight = y[:, -1] if self._weighted else None
        y = y[:, :-1] if self._weighted else y
        weight = size if sample_weight is None else float(sample_weight.sum())
        if weight > 0:
            weights, biases = views(self.params, problem.sizes)
            # Overflow shows in the objective, or in the next one.
            with np.errstate(over="ignore", invalid="ignore"):
                objective, *gradients = objective_and_gradient(
                    self._problem_of_batch(weight), weights, biases, X, y, sample_weight, self._kept(size)
                )
            with np.errstate(over="ignore"):
                total = self.params.dtype.type(self._total + objective * weight)
            # That of the epoch has to be finite too.
            if not np.isfinite(total):
                return False
            if self._learns:
                gradient = np.concatenate([part.ravel() for parts in gradients for part in parts])
                # Without steps an epoch has one gradient, to which its batches add by their weight.
                share = weight / self._weight if problem.solver == Solver.LBFGS else 1
                self._update(rate, gradient * share)
            self._total += objective * weight
        self.done += size
        return True

    def _problem_of_batch(self, weight: float) -> Problem:
        """The problem; where batches add up, with the part that such a batch has in the penalty per sample."""
        settings = self.problem.hyperparameters
        if self.problem.solver != Solver.LBFGS or not settings.l2_per_sample:
            return self.problem
        return self.problem._replace(hyperparameters=settings._replace(l2=settings.l2 * weight / self._weight))

    def _kept(self, size: int) -> list[Array]:
        """What dropout leaves of each hidden layer's outputs."""
        units, dtype = self.problem.sizes[1:], self.params.dtype
        rates = self.problem.dropout if self._learns else ()
        return [
            kept_units(rate, self._key, self._step, layer, size, units[layer], dtype) for layer, rate in enumerate(rates)
        ]

    def _update(self, rate: float, gradient: Array) -> None:
        problem, sizes = self.problem, self.problem.sizes
        self._step += 1
        self.previous_params = self.params
        with np.errstate(over="ignore", invalid="ignore"):
            self.params = update(
                problem.solver, problem.hyperparameters, rate, self._step, self.params, gradient, list(self.moments),
                self.params.size - sum(sizes[1:]),
            )  # fmt: skip

    def _has_stalled(self, loss: float) -> bool:
        """Whether for so many epochs as the patience says no mean objective was below the least by more than tol."""
        settings = self.problem.hyperparameters
        if settings.patience == 0:
            return False
        self._stalled = self._stalled + 1 if loss > self._best_loss - settings.tol else 0
        self._best_loss = min(self._best_loss, loss)
        if self._stalled < settings.patience:
            return False
        self._stalled = 0
        return True
