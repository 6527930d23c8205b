"""Training by L-BFGS: scipy's, on the objective and gradient that an engine computes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.loop import Job, Loop, Pace
from fastmlp.options import Status
from fastmlp.progress import Report

# How many times the largest objective met the line search is told where there is none that is finite: it interpolates, and
# would step back too far from a much larger one.
NOT_FINITE = 1e6
# scipy's status, where it is not for the iterations.
OUT_OF_EVALUATIONS = 1


class ElsewhereError(Exception):
    """The iterations so far, made again, did not lead to where they had led."""


class HaltedError(Exception):
    """There is no time left, in the middle of an iteration."""


class Lbfgs(Loop):
    """A training whose epochs are the iterations of ``scipy.optimize.minimize(method="L-BFGS-B")`` (Liu and Nocedal 1989).

    What it remembers of past steps is scipy's own, so a training goes on from another by making that one's iterations
    again, from its `start`; where they lead elsewhere, as with other data, it begins anew at the run's parameters.
    """

    def __init__(self, job: Job, start: NDArray[Any], iterations: int, max_fun: int) -> None:
        super().__init__(job)
        self.start, self._again, self._max_fun = start, iterations, max_fun
        self._current = job.run.params
        self._iterations = 0
        self._objective: float | None = None
        self._largest = 0.0
        self._pace = Pace()
        # scipy's own, once it has come to an end.
        self.result: Any = None

    def origin(self) -> tuple[NDArray[Any], int]:
        """The parameters that the iterations began with, and how many there were, those not yet made again among them."""
        return self.start, max(self._iterations, self._again)

    @property
    def done(self) -> int:
        """Iterations done, those made again left out."""
        return max(0, self._iterations - self._again)

    def _advance(self, report: Report) -> None:
        self._report = report
        if not len(self.rates):
            # All that was asked for had been done before.
            self._iterations = self._again
            return
        try:
            try:
                self._minimise()
            except ElsewhereError:
                self.start, self._again = self._current, 0
                self._minimise()
        except HaltedError:
            pass
        finally:
            # The last parameters tried may not be the last accepted.
            self.run.begin_again(self._current)

    def _minimise(self) -> None:
        from scipy.optimize import minimize

        self._iterations, self._objective, self._largest = 0, None, 0.0
        self.result = result = minimize(
            self._objective_and_gradient,
            self.start.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=self._after_iteration,
            options={"maxiter": self._again + len(self.rates), "maxfun": self._max_fun, "gtol": self.job.tol},
        )
        if self._iterations < self._again and self.status == "finished":
            raise ElsewhereError
        if self.status == "finished" and self.done < len(self.rates):
            self.status = "converged" if result.success else "stopped early"
            # Where the line search ends because there is no more precision, there is nothing to be done about it.
            if result.status == OUT_OF_EVALUATIONS:
                first = self.job.first
                self.notice = (
                    f"L-BFGS stopped after {first + self.done} of {first + len(self.rates)} iterations, for "
                    f"max_fun={self._max_fun}"
                )

    def _objective_and_gradient(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        job, run = self.job, self.run
        run.begin_again(x.astype(self.rates.dtype))
        job.batches.begin_again()
        objective, rates = np.zeros(1, self.rates.dtype), np.ones(1, self.rates.dtype)
        while run.done < job.n_samples:
            begin = time.perf_counter()
            until = min(job.n_samples, job.batches.ready_until(run))
            status = run.advance(rates, objective, until, self._pace.budget)
            self._pace.learn(time.perf_counter() - begin, status == Status.RUNNING)
            if status == Status.DIVERGED:
                if self._objective is None:
                    self.status = "diverged"
                return NOT_FINITE * (1 + self._largest), np.zeros_like(x)
            if self.is_halted():
                raise HaltedError
        if self._objective is None:
            self._objective = float(objective[0])
        self._largest = max(self._largest, abs(float(objective[0])))
        return float(objective[0]), run.gradient.astype(np.float64)

    # The parameter's name is what makes scipy tell the objective too.
    def _after_iteration(self, intermediate_result: Any) -> None:
        params = intermediate_result.x.astype(self.rates.dtype)
        self._iterations += 1
        if self._iterations == self._again and params.tobytes() != self._current.tobytes():
            raise ElsewhereError
        before, self._objective = self._objective, float(intermediate_result.fun)
        if self._iterations <= self._again:
            return
        self._current, self._is_settled = params, False
        self.losses[self.done - 1] = before
        self.run.begin_again(params)
        stops = self._look()
        self._is_settled = True
        self._tell(self._report)
        if stops:
            raise StopIteration
        if self.job.keep is not None:
            self.job.keep(self)
        if self.is_halted():
            raise StopIteration
