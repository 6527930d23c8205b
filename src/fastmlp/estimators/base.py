"""What the two estimators share: scikit-learn's parameters and attributes on one side, the training loop on the other."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import check_is_fitted

from fastmlp.arguments import AUTO_BATCH, check_epochs, check_parameters, in_dtype
from fastmlp.batches import InMemory, Streamed, one_epoch
from fastmlp.estimators.conventions import (
    CONSTRAINTS,
    FULL_BATCH,
    NOT_FINITE,
    OUT_ACTIVATIONS,
    STOCHASTIC,
    activations_of,
    check_numbers,
    check_problem,
    epochs_to_wait,
    epochs_without_gain,
    hidden_units,
    problem_of,
    schedule_of,
)
from fastmlp.estimators.diverging import warn_of_scales, why_diverged
from fastmlp.estimators.optimizer import Optimizer
from fastmlp.estimators.reading import Reading
from fastmlp.estimators.tables import SparseRows, Table, dense
from fastmlp.estimators.teller import Teller
from fastmlp.initialise import draw_key, start_params
from fastmlp.interrupts import noted
from fastmlp.kernels.run import Run
from fastmlp.lbfgs import Lbfgs
from fastmlp.loop import Job, Loop
from fastmlp.network import Network, layers_of
from fastmlp.notices import warn
from fastmlp.options import Activation, Loss, Problem, Snapshot, Solver
from fastmlp.schedules import Adaptive
from fastmlp.state import Best
from fastmlp.targets import Kind
from fastmlp.validation import STREAMED_ROWS, Evaluator, Held

Array = NDArray[Any]
# Rows of a sparse matrix that are dense at once to be predicted.
ROWS_AT_ONCE = 4096
NO_CURVES = (np.empty(0), np.empty(0), np.empty(0))


class BasePerceptron(Reading):
    """The common part of the classifier and the regressor."""

    _parameter_constraints = CONSTRAINTS
    label_smoothing: float = 0.0
    # What training leaves for later calls, beside scikit-learn's attributes.
    _optimizer: Optimizer | None = None
    _best: Best | None = None
    _validated: tuple[Any, ...] | None = None
    _checked: tuple[Any, ...] | None = None
    _no_improvement_count = 0

    def _validate_params(self) -> None:
        check_numbers(self)
        super()._validate_params()

    # Training.

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any]) -> None:
        """Train anew, or go on with ``warm_start``."""
        first = not self.__sklearn_is_fitted__() or not self.warm_start
        with self._undone_on_error():
            table = self._read(X, y, sample_weight, first, incremental=False)
            warn_of_scales(table)
            held = self._read_validation(*validation, table)
            problem = self._problem(table, waits=not self._stops_early() and self.solver != "lbfgs")
            self._random_state = check_random_state(self.random_state)
            params = self._begin(problem, table) if first else self._params(problem, table)
            if self._best is not None and (self._best.params is None or not np.array_equal(self._best.params, params)):
                # Somebody has changed the weights since they were the best.
                self._best = None
            optimizer = self._new_optimizer(problem)
            if held is None and self._stops_early():
                rows, held_rows = self._split(table)
                table, held = table.rows(rows), table.rows(held_rows).held()
            n_samples, size, epochs = table.n_samples, self._rows_in_batch(table), int(self.max_iter)
            check_epochs("max_iter", epochs)
            rates = optimizer.rates(epochs, n_samples, self.t_)
            in_dtype("learning_rate_init", rates, table.X.dtype)
        batches = table.batches(size, epochs, self._shuffles(), self.label_smoothing)
        best_loss = np.inf if self.best_loss_ is None else self.best_loss_
        start = Snapshot(params, key=optimizer.key, best_loss=best_loss, stalled=self._no_improvement_count)
        run = Run(problem, start, batches.X, batches.y, batches.order, n_samples, size, self._threads(), table.total_weight)
        teller = self._teller(float(rates[0]))
        loop = self._loop(problem, run, batches, table, rates, held, teller)
        loop.job.start = params
        loop.job.explain = lambda n: why_diverged(
            problem, start, table, rates, float(self.learning_rate_init), n, run.params, first
        )
        with noted() as loop.job.interrupts:
            loop.train()
            self._take_over(loop, problem, params)
            self._settle(batches, run.done, n_samples, size)
        if teller is not None and loop.status == "finished":
            teller.next_rate(optimizer.learning_rate)
        if teller is not None and loop.status == "stopped early":
            teller.stopped()
        self._warn(loop)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Train for one epoch."""
        first = not self.__sklearn_is_fitted__()
        with self._undone_on_error():
            table = self._read(X, y, sample_weight, first, incremental=True)
            if first:
                warn_of_scales(table)
            problem, n_samples, size = self._problem(table, waits=False), table.n_samples, self._rows_in_batch(table)
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        # To seed a generator takes as long as an update: not where nothing is drawn.
        if first or self._optimizer is None or size < n_samples or not isinstance(self.random_state, Integral):
            self._random_state = check_random_state(self.random_state)
        params = self._begin(problem, table) if first else self._params(problem, table)
        optimizer = self._optimizer
        if optimizer is None or optimizer.solver != self.solver:
            optimizer = self._new_optimizer(problem)
        batches = table.batches(size, 1, self._shuffles(), self.label_smoothing)
        rates = optimizer.rates(1, n_samples, self.t_)
        run = optimizer.run_on(problem, params, table, batches, size, self._threads())
        loss = one_epoch(run, batches, n_samples, rates.astype(table.X.dtype))
        before, params = params, run.params
        self._settle(batches, n_samples, n_samples, size)
        if not (np.isfinite(loss) and np.isfinite(params).all()):
            # Where the first objective was not finite there was no update.
            if np.isfinite(loss) or size < n_samples:
                optimizer.forget_run()
            rate = float(self.learning_rate_init)
            why = why_diverged(problem, Snapshot(before, key=optimizer.key), table, rates, rate, 0, params, first)
            raise ValueError(f"{NOT_FINITE} In this batch: {why}.")
        optimizer.keep(run)
        self._note([loss], n_samples)
        teller = self._teller(float(rates[0]))
        if teller is not None:
            teller.epoch(1, loss, None)
        plan = optimizer.schedule
        if self._no_improvement_count > self.n_iter_no_change and isinstance(plan, Adaptive) and rates[0] > plan.least:
            rates, self._no_improvement_count = rates * plan.decay, 0
        elif self._no_improvement_count > self.n_iter_no_change and teller is not None:
            teller.stopped()
        optimizer.advance(rates, 1, self.t_)
        if teller is not None:
            teller.next_rate(optimizer.learning_rate)
        self.coefs_, self.intercepts_ = layers_of(params, problem.sizes)

    # What training begins with.

    def _problem(self, table: Table, waits: bool) -> Problem:
        """What is minimised."""
        units, dtype = hidden_units(self.hidden_layer_sizes), table.X.dtype
        problem = problem_of(self, (table.X.shape[1], *units, table.kind.n_outputs), table.kind.loss, waits)
        asked = (problem, self.batch_size, self.metric, dtype)
        if asked != self._checked:
            check_parameters("hidden_layer_sizes", self.hidden_layer_sizes, problem.sizes)
            check_problem(*asked)
            self._checked = asked
        return problem

    def _begin(self, problem: Problem, table: Table) -> Array:
        """Forget earlier fits, and draw start weights as scikit-learn does."""
        for name in ("coefs_", "intercepts_"):
            self.__dict__.pop(name, None)
        early = self._stops_early()
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.n_outputs_, self.n_layers_ = problem.sizes[-1], len(problem.sizes)
        self.out_activation_ = OUT_ACTIVATIONS.get(problem.loss, "identity")
        self.loss_curve_: list[float] = []
        self.best_loss_ = None if early else np.inf
        self.validation_loss_curve_: list[float] | None = None
        self.validation_scores_: list[float] | None = [] if early else None
        self.best_validation_score_ = -np.inf if early else None
        self._best = self._held_rows = self._optimizer = None
        factor = 2.0 if set(problem.activations) == {Activation.LOGISTIC} else 6.0
        return start_params("glorot_uniform", problem.sizes, self._random_state, factor).astype(table.X.dtype)

    def _sizes(self) -> tuple[int, ...]:
        return (*(len(weights) for weights in self.coefs_), self.coefs_[-1].shape[1])

    def _params(self, problem: Problem, table: Table) -> Array:
        """The parameters as they are, whoever has set them."""
        if self._sizes() != problem.sizes:
            raise ValueError(
                f"The net has layers of {self._sizes()}, but hidden_layer_sizes and the samples ask for {problem.sizes}; "
                "give the same, or fit anew with warm_start=False."
            )
        return self._flat(table.X.dtype)

    def _flat(self, dtype: Any = None) -> Array:
        return np.concatenate([np.asarray(part, dtype).ravel() for part in (*self.coefs_, *self.intercepts_)])

    def _new_optimizer(self, problem: Problem) -> Optimizer:
        rate = float(self.learning_rate_init)
        key = draw_key(self._random_state) if problem.dropout else 0
        self._optimizer = Optimizer(self.solver, schedule_of(self), rate, rate, key=key)
        return self._optimizer

    def _stops_early(self) -> bool:
        return bool(self.early_stopping) and self.solver != "lbfgs"

    def _rows_in_batch(self, table: Table) -> int:
        n_samples = table.n_samples
        if self.solver in FULL_BATCH:
            # L-BFGS adds up what batches have to say, so that not all has to be dense at once.
            return min(STREAMED_ROWS, n_samples) if self.solver == "lbfgs" and issparse(table.X) else n_samples
        if isinstance(self.batch_size, str):
            return min(AUTO_BATCH, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                UserWarning,
            )
        return min(int(self.batch_size), n_samples)

    def _shuffles(self) -> np.random.RandomState | None:
        return self._random_state if self.shuffle and self.solver not in FULL_BATCH else None

    def _settle(self, batches: InMemory | Streamed, done: int, n_samples: int, size: int) -> None:
        """Leave a generator that others draw from too where scikit-learn does, which draws for full batches as well."""
        shuffles = self._shuffles()
        if shuffles is None or isinstance(self.random_state, Integral):
            return
        batches.settle(done)
        for _ in range(done // n_samples if size == n_samples else 0):
            shuffles.shuffle(np.arange(n_samples))

    def _threads(self) -> int | None:
        return None if self.n_jobs is None or self.n_jobs < 1 else int(self.n_jobs)

    def _loop(
        self,
        problem: Problem,
        run: Run,
        batches: InMemory | Streamed,
        table: Table,
        rates: Array,
        held: Held | None,
        teller: Teller | None,
    ) -> Loop:
        """The training loop, ready to begin."""
        early, kind, optimizer = self._stops_early(), table.kind, self._optimizer
        assert optimizer is not None
        evaluator = None
        if held is not None:
            metric = self.metric or ("r2" if self._y_numeric else "accuracy")
            evaluator = Evaluator(Run, problem, held, metric, self._threads())
            # Scores on other samples cannot be compared.
            validated = held.fingerprint(str(metric))
            if self._best is None or validated != self._validated:
                self._best, self._validated = Best(), validated
                self.best_validation_score_ = -np.inf if early else None
            self._best.stalled = self._no_improvement_count
        job = Job(
            run=run,
            batches=batches,
            n_samples=table.n_samples,
            dtype=table.X.dtype,
            rates=rates,
            rate_factor=1.0,
            first=0,
            curves=NO_CURVES,
            describe=lambda params, curves, status: self._net(params, problem.sizes, kind),
            evaluator=evaluator,
            keeps_best=early,
            best=self._best if early and self._best is not None else Best(),
            patience=epochs_to_wait(self) if early and self.n_iter_no_change < np.inf else None,
            tol=float(self.tol),
            adaptive=optimizer.schedule if isinstance(optimizer.schedule, Adaptive) else None,
            callback=self.callback if teller is None else teller.beside(self.callback, early),
            callback_every=1,
            max_seconds=np.inf,
            progress=bool(self.verbose) and sys.stderr.isatty(),
        )
        return Lbfgs(job, run.params, 0, int(self.max_fun)) if self.solver == "lbfgs" else Loop(job)

    def _teller(self, rate: float) -> Teller | None:
        """What prints as scikit-learn does, where that is wanted and there is no progress bar."""
        if not self.verbose or sys.stderr.isatty():
            return None
        what = "Validation score" if self._stops_early() else "Training loss"
        adaptive = self._optimizer is not None and isinstance(self._optimizer.schedule, Adaptive)
        return Teller(what, self.tol, self.n_iter_no_change, rate, adaptive)

    # What training has come to.

    def _note(self, losses: list[float], n_samples: int, patience: float = np.inf) -> None:
        """Take note of epochs done, where `patience` runs out and begins anew."""
        self.n_iter_ = len(losses)
        self.t_ += len(losses) * n_samples
        if not losses:
            return
        self.loss_ = losses[-1]
        self.loss_curve_.extend(losses)
        if self.best_loss_ is not None:
            self._count(losses, self.best_loss_, patience)
            self.best_loss_ = min(self.best_loss_, *losses)

    def _count(self, losses: list[float], best: float, patience: float) -> None:
        self._no_improvement_count = epochs_without_gain(losses, best, self._no_improvement_count, self.tol, patience)

    def _take_over(self, loop: Loop, problem: Problem, start: Array) -> None:
        """Turn what the loop has come to into scikit-learn's attributes; the parameters were `start`."""
        job, best, optimizer, early = loop.job, loop.job.best, self._optimizer, self._stops_early()
        assert optimizer is not None
        params = loop.params()
        losses, validation, scores = (curve.tolist() for curve in loop.curves())
        if loop.status == "diverged":
            if not early:
                raise ValueError(f"{NOT_FINITE} In iteration {loop.done + 1}: {job.explain(loop.done)}.")
            params = start if best.params is None else params
            losses, validation, scores = ([*curve, np.nan] for curve in (losses, validation, scores))
        patience = np.inf if job.adaptive is None else self.n_iter_no_change
        self._note(losses, 0 if isinstance(loop, Lbfgs) else job.n_samples, patience)
        if job.evaluator is not None:
            self.validation_loss_curve_ = (self.validation_loss_curve_ or []) + validation
            self.validation_scores_ = (self.validation_scores_ or []) + scores
        if early and self.best_validation_score_ is not None:
            self._count([-score for score in scores], -self.best_validation_score_, patience)
            self.best_validation_score_ = best.score
        if loop.status == "stopped early" and not isinstance(loop, Lbfgs):
            # Where the kernel's own precision decided otherwise.
            self._no_improvement_count = max(self._no_improvement_count, int(self.n_iter_no_change) + 1)
        if isinstance(loop, Lbfgs) and loop.result is not None:
            self.loss_ = float(loop.result.fun)
        optimizer.advance(job.rates * loop.rate_factor, len(losses), self.t_)
        snapshot = loop.snapshot() if self.solver in STOCHASTIC else None
        if snapshot is not None:
            optimizer.remember(snapshot)
        self.coefs_, self.intercepts_ = layers_of(params, problem.sizes)

    def _warn(self, loop: Loop) -> None:
        """Tell how training ended, as scikit-learn does."""
        if loop.status == "interrupted" or loop.job.interrupts.heard:
            warn("Training interrupted by user.", UserWarning)
        elif loop.status == "diverged":
            warn(
                f"Stochastic Optimizer: the objective is not finite in iteration {self.n_iter_}: "
                f"{loop.job.explain(loop.done)}. The best weights so far are kept.",
                ConvergenceWarning,
            )
        elif isinstance(loop, Lbfgs):
            if loop.result is not None and loop.status != "stopped by callback":
                self.n_iter_ = _check_optimize_result("lbfgs", loop.result, int(self.max_iter))
        elif loop.status == "finished":
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged "
                "yet.",
                ConvergenceWarning,
            )

    # The net.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def network_(self) -> Network:
        """The fitted net, a copy of the parameters with all that a :class:`fastmlp.Network` can do: `to_onnx` among it."""
        check_is_fitted(self)
        params = self._flat()
        net = self._net(params, self._sizes(), self._kind(self.n_outputs_))
        net.loss_curve = np.array(self.loss_curve_, params.dtype)
        if self.validation_loss_curve_ is not None and len(self.validation_loss_curve_) == net.n_epochs:
            net.validation_curve = np.array(self.validation_loss_curve_, params.dtype)
            net.validation_scores = np.array(self.validation_scores_)
        return net

    def _net(self, params: Array, sizes: tuple[int, ...], kind: Kind) -> Network:
        activations = activations_of(self, len(sizes) - 2)
        return Network(sizes, activations, kind.loss, params, kind.classes, kind.flat, np.empty(0, params.dtype))

    def _outputs(self, X: Any) -> tuple[Network, Array]:
        """The net, and what it puts out for these samples; sparse ones are dense some at a time."""
        check_is_fitted(self)
        net = self._net(self._flat(), self._sizes(), self._kind(self.n_outputs_))
        if not self._is_ready(X):
            X = self._checked_features(X)
        if not issparse(X):
            return net, net._outputs(X)
        rows = SparseRows(X)
        parts = [net._outputs(rows[start : start + ROWS_AT_ONCE]) for start in range(0, X.shape[0], ROWS_AT_ONCE)]
        return net, np.concatenate(parts)

    def _is_stochastic(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def _loss_grad_lbfgs(
        self, packed_coef_inter: Array, X: Any, y: Array, sample_weight: Array | None, *scratch: Any
    ) -> tuple[float, Array]:
        """The objective and its gradient at packed parameters; scikit-learn's own method, whose `scratch` is not needed.

        Parameters
        ----------
        packed_coef_inter : ndarray (n_parameters,)
        X : array-like (n_samples, n_features)
        y : ndarray (n_samples, n_outputs), a column of 0 and 1 for each class or label, or values
        sample_weight : ndarray (n_samples,) or None
        """
        kind, rows = self._kind(self.n_outputs_), dense(X)
        values = y.argmax(axis=1)[:, np.newaxis] if kind.loss == Loss.CROSS_ENTROPY else y
        table = Table(rows, y, np.asarray(values, rows.dtype), sample_weight, kind)
        batches, n_samples = table.batches(table.n_samples, 1, None), table.n_samples
        problem = self._problem(table, waits=False)._replace(solver=Solver.LBFGS)
        start = Snapshot(np.asarray(packed_coef_inter, rows.dtype))
        run = Run(problem, start, batches.X, batches.y, batches.order, n_samples, n_samples, 1, table.total_weight)
        return one_epoch(run, batches, n_samples, np.ones(1, rows.dtype)), run.gradient
