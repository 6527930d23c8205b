"""A training, epoch after epoch: chunks of compiled work, and between them all that Python has to see to.

Chunks take about `CHUNK_SECONDS` and do not show in the results. Where something has to be seen to after certain epochs
(validation, callbacks) a chunk ends there too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.batches import InMemory, Streamed
from fastmlp.interrupts import Interrupts, left_to_finish
from fastmlp.network import Network
from fastmlp.options import Snapshot, Status
from fastmlp.progress import Report, reporting
from fastmlp.schedules import Adaptive
from fastmlp.state import Best
from fastmlp.validation import Evaluator

CHUNK_SECONDS = 0.05
# What is not finite any more, and which network is given out then.
OBJECTIVE, PARAMETERS = "objective is", "parameters are"
LAST, FIRST = "the last network whose objective was finite", "the network that training began with"
BEST = "the best network so far"

Array = NDArray[Any]


@dataclass
class Epoch:
    """What a callback is told after an epoch.

    Attributes
    ----------
    epoch : epochs done, those of a training gone on from among them.
    loss : the epoch's mean objective, as in ``loss_curve``.
    learning_rate : that of the epoch.
    validation_loss, validation_score : as in ``validation_curve`` and ``validation_scores``; None without validation.
    """

    epoch: int
    loss: float
    learning_rate: float
    validation_loss: float | None
    validation_score: float | None
    _describe: Callable[[], Network] = field(repr=False)

    @property
    def network(self) -> Network:
        """The net as it is now, a copy."""
        return self._describe()


Callback = Callable[[Epoch], Any]
# Asked after each chunk: returns the status to end with, or None.
Halted = Callable[[], str | None]
# Called at the ends of epochs, for a state of the training that can be gone on from.
Keep = Callable[["Loop"], None]


@dataclass
class Job:
    """A training, checked and ready to begin.

    `rates` has one for each epoch to be done, in float64, and `rate_factor` is what the adaptive schedule has made of them
    so far. `first` counts the epochs done before, and `curves` are theirs: losses, validation losses, scores. `describe`
    makes a net of parameters, curves and status. What an `evaluator` finds is recorded, and decides over the parameters
    given out and over when to stop if the run `keeps_best`. `interrupts` tell of Ctrl-C, which ends the training between
    two chunks. With `keep`, chunks end where epochs do. `explain` tells, of a training that diverged after so many epochs,
    the cause and the remedy; `start` are the parameters it began with.
    """

    run: Any
    batches: InMemory | Streamed
    n_samples: int
    dtype: np.dtype[Any]
    rates: Array
    rate_factor: float
    first: int
    curves: tuple[Array, Array, Array]
    describe: Callable[[Array, tuple[Array, Array, Array], str], Network]
    evaluator: Evaluator | None
    keeps_best: bool
    best: Best
    patience: int | None
    tol: float
    adaptive: Adaptive | None
    callback: Callback | None
    callback_every: int
    max_seconds: float
    progress: bool
    halted: Halted = lambda: None
    interrupts: Interrupts = field(default_factory=Interrupts)
    keep: Keep | None = None
    explain: Callable[[int], str] = lambda epochs: "the learning rate is probably too large"
    start: Array | None = None


class Loop:
    """A training in progress; ``status`` says how it ended."""

    def __init__(self, job: Job) -> None:
        self.job, self.run = job, job.run
        self.losses = np.zeros(len(job.rates), job.dtype)
        self.rates = (job.rates * job.rate_factor).astype(job.dtype)
        self.validation: list[float] = []
        self.scores: list[float] = []
        self.rate_factor = job.rate_factor
        self.status = "finished"
        self.notice: str | None = None
        self._seen = 0
        self._is_settled = True
        # Of a training that diverged: what was not finite first, and what is given out.
        self._not_finite, self._kept = OBJECTIVE, LAST
        self._begin = time.perf_counter()

    def train(self) -> None:
        """Train to the end, or to where something stops it."""
        with reporting(self.job.progress, len(self.rates)) as report:
            try:
                if not self.run.is_compiled:
                    # LLVM hears no signal for seconds.
                    with self.job.interrupts.raised():
                        left_to_finish(self.run.compile)
                self._advance(report)
            except KeyboardInterrupt:
                self.status = "interrupted"

    @property
    def done(self) -> int:
        """Whole epochs done."""
        return int(self.run.done // self.job.n_samples)

    @property
    def is_at_end_of_epoch(self) -> bool:
        """Whether an epoch has ended, and all that it asked for has been seen to."""
        return self._is_settled and bool(self.run.done % self.job.n_samples == 0)

    def _advance(self, report: Report) -> None:
        job, run, pace = self.job, self.run, Pace()
        total = len(self.rates) * job.n_samples
        while run.done < total:
            ahead = pace.epochs(job.n_samples) if job.keep is not None else len(self.rates)
            until = min(job.batches.ready_until(run), min(self._next_look(), self.done + ahead) * job.n_samples)
            self._is_settled = False
            begin, done = time.perf_counter(), run.done
            status = run.advance(self.rates, self.losses, until, pace.budget)
            pace.learn(time.perf_counter() - begin, status == Status.RUNNING, run.done - done)
            if status == Status.DIVERGED:
                self.status = "diverged"
                return
            stops = self._look() if self.done > self._seen else False
            if status == Status.STALLED:
                stops = stops or self._stall()
            self._is_settled = True
            self._tell(report)
            if stops:
                return
            if job.keep is not None and self.is_at_end_of_epoch:
                job.keep(self)
            if self.is_halted():
                return

    def is_halted(self) -> bool:
        """Whether there is no time left, or somebody has said that it is enough; the status says which."""
        status = "out of time" if time.perf_counter() - self._begin > self.job.max_seconds else self.job.halted()
        # After the last epoch there is nothing left to be cut off.
        status = "interrupted" if self.job.interrupts.heard and self.done < len(self.rates) else status
        self.status = status or self.status
        return status is not None

    def _next_look(self) -> int:
        """How many epochs may be done before something has to be seen to."""
        job, done = self.job, self.done
        if job.evaluator is not None:
            return done + 1
        if job.callback is not None:
            return min(len(self.rates), done + job.callback_every - (job.first + done) % job.callback_every)
        return len(self.rates)

    def _look(self) -> bool:
        """See to what an epoch's end asks for; say whether to stop."""
        self._seen = self.done
        stops = self._validate(self.run.params, self._seen) if self.job.evaluator is not None else False
        return self._call_back() or stops

    def _validate(self, params: Array, done: int) -> bool:
        """Measure the parameters after so many epochs and keep the best; say whether there was no gain for too long."""
        job, best = self.job, self.job.best
        assert job.evaluator is not None
        if not np.isfinite(params).all():
            # Whatever the score: an infinite weight of a unit that is always 0 does not show.
            self.status, self._not_finite = "diverged", PARAMETERS
            return True
        with job.interrupts.raised():
            loss, score = job.evaluator(job.describe(params, job.curves, self.status))
        self.validation.append(loss)
        self.scores.append(score)
        if not job.keeps_best:
            return False
        best.stalled = 0 if score >= best.score + job.tol else best.stalled + 1
        if score > best.score:
            best.score, best.epoch, best.params = score, job.first + done, params.copy()
        if job.patience is None or best.stalled < job.patience:
            return False
        best.stalled = 0
        return self._stall()

    def _stall(self) -> bool:
        """Lower the rate, or say that it is time to stop."""
        adaptive, done = self.job.adaptive, self.done
        if adaptive is not None and self.job.rates[min(done, len(self.rates) - 1)] * self.rate_factor > adaptive.least:
            self.rate_factor *= adaptive.decay
            self.rates[done:] = self.job.rates[done:] * self.rate_factor
            return False
        self.status = "stopped early"
        return True

    def _call_back(self) -> bool:
        """Tell the callback, where it is its turn; say whether it wants to stop."""
        job, done = self.job, self._seen
        if job.callback is None or (job.first + done) % job.callback_every:
            return False
        state = Epoch(
            job.first + done,
            float(self.losses[done - 1]),
            float(self.rates[done - 1]),
            self.validation[-1] if self.validation else None,
            self.scores[-1] if self.scores else None,
            lambda: job.describe(self.run.params.copy(), self.curves(), self.status),
        )
        with job.interrupts.raised():
            said = job.callback(state)
        if not (isinstance(said, bool | np.bool_) and said):
            return False
        self.status = "stopped by callback"
        return True

    def _tell(self, report: Report) -> None:
        done = self.done
        validation = self.validation[-1] if self.validation else math.nan
        last = max(0, done - 1)
        report(done, float(self.losses[last]), float(self.rates[min(done, len(self.rates) - 1)]), validation)

    def curves(self) -> tuple[Array, Array, Array]:
        """Losses, validation losses and scores of all epochs done."""
        return joined_curves(self.job.curves, self.losses[: self.done], self.validation, self.scores)

    def origin(self) -> tuple[Array | None, int]:
        """Parameters that training can be repeated from, and the iterations since: of L-BFGS alone."""
        return None, 0

    def snapshot(self) -> Snapshot | None:
        """What another training can go on from; None after one that diverged."""
        return None if self.status == "diverged" else self.run.snapshot()

    def params(self) -> Array:
        """The parameters to be given out: the best, the last, or the last before the objective was not finite."""
        params: Array = self.run.params
        if self.status != "diverged" and not np.isfinite(params).all():
            self.status, self._not_finite = "diverged", PARAMETERS
        if self.status == "diverged":
            params, start = self.run.previous_params, self.job.start
            if start is not None and not np.isfinite(params).all():
                params = start.copy()
            if start is not None and np.array_equal(params, start):
                self._kept = FIRST
        best = self.job.best.params
        return params if best is None else best.copy()

    def warning(self) -> str | None:
        """What to warn the user of."""
        if self.job.interrupts.heard and self.status != "interrupted":
            return f"interrupted when training had ended ({self.status}): this is the whole of it"
        return self.how_it_ended()

    def how_it_ended(self) -> str | None:
        """What the end itself gives reason to warn of, whenever Ctrl-C was heard."""
        epoch, epochs = self.job.first + self.done + 1, self.job.first + len(self.rates)
        kept = self._kept if self.job.best.params is None else BEST
        if self.status == "interrupted":
            kept = "the network trained so far" if self.job.best.params is None else kept
            return f"interrupted in epoch {epoch} of {epochs}: this is {kept}"
        if self.status == "diverged":
            epoch -= self._not_finite == PARAMETERS
            return told_of_divergence(self._not_finite, min(epoch, epochs), epochs, self.job.explain(self.done), kept)
        return self.notice


def told_of_divergence(what: str, epoch: int, epochs: int, cause: str, kept: str) -> str:
    """What to warn of where something is not finite any more."""
    return f"the {what} not finite in epoch {epoch} of {epochs}: {cause}. This is {kept}"


def joined_curves(
    before: tuple[Array, Array, Array], losses: Array, validation: list[float], scores: list[float]
) -> tuple[Array, Array, Array]:
    """Losses, validation losses and scores of the epochs `before` and of those since."""
    # There may have been no validation, or none yet of the last epoch.
    curves = np.full((2, len(losses)), np.nan)
    curves[0, : len(validation)], curves[1, : len(scores)] = validation, scores
    return (
        np.concatenate([before[0].astype(losses.dtype), losses]),
        np.concatenate([before[1], curves[0]]).astype(losses.dtype),
        np.concatenate([before[2], curves[1]]),
    )


class Pace:
    """How many blocks make a chunk of about `CHUNK_SECONDS`; it learns from the chunks that used up their budget."""

    def __init__(self) -> None:
        self.budget = 16
        self._chunks = 0
        self._samples_in_chunk = 0.0

    def epochs(self, n_samples: int) -> int:
        """How many whole epochs a chunk may have, at least one."""
        return max(1, int(self._samples_in_chunk / n_samples))

    def learn(self, seconds: float, budget_used_up: bool, n_samples: int = 0) -> None:
        """Take note of how long a chunk of so many samples took."""
        self._chunks += 1
        self._samples_in_chunk = n_samples * CHUNK_SECONDS / max(seconds, 1e-9)
        # The first chunk may have compiled the kernels; one that ended where row orders ran out was shorter than it may be.
        if self._chunks > 1 and (budget_used_up or seconds > CHUNK_SECONDS):
            growth = min(8.0, CHUNK_SECONDS / max(seconds, 1e-9))
            self.budget = max(1, int(self.budget * growth))
