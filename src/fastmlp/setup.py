"""``set_up``: the parameters of a training, checked before any work starts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.arguments import (
    check_epochs,
    check_hyperparameters,
    check_parameters,
    checked_batch_size,
    choice,
    dropout_shares,
    pair,
    real,
    truth,
    whole,
)
from fastmlp.initialise import Random
from fastmlp.inputs import working_dtype
from fastmlp.loop import Callback
from fastmlp.options import Hyperparameters, Problem, Solver
from fastmlp.samples import Samples, Source, are_samples, checked_share
from fastmlp.state import Before
from fastmlp.validation import Metric, checked_metric

if TYPE_CHECKING:
    from fastmlp.kernels.layouts import Layouts

ENGINES = ("kernels", "reference")
# Solvers that take no minibatches and set their steps themselves.
FULL_BATCH = (Solver.RPROP, Solver.LBFGS)
DEFAULT_HIDDEN = (100,)
DEFAULT_ACTIVATION = "relu"
# scikit-learn's n_iter_no_change.
ADAPTIVE_PATIENCE = 10


@dataclass
class Setup:
    """A training as asked for; all but samples to validate with, start weights, the schedule and the seed is checked."""

    problem: Problem
    samples: Samples
    before: Before
    validation: Any
    metric: Metric
    learning_rate: float
    schedule: schedules.AnySchedule
    epochs: int
    batch_size: int | str | None
    shuffle: bool | str
    init: Any
    seed: int | Random | None
    patience: int | None
    max_seconds: float
    max_fun: int
    callback: Callback | None
    callback_every: int
    progress: bool
    threads: int | None
    engine: str
    checkpoint: Path | None
    checkpoint_seconds: float
    # Of trainings that share their samples.
    layouts: Layouts | None = None
    # Epochs that an earlier call has done of those asked for.
    epochs_before: int = 0

    @property
    def epochs_asked(self) -> int:
        """Epochs that were asked for, those that an earlier call has done among them."""
        return self.epochs_before + self.epochs


def set_up(source: Source, asked: Mapping[str, Any], chosen: NDArray[np.intp] | None = None) -> Setup:
    """Check what a training is asked for, all the parameters of ``train`` by name, and read its samples.

    It has the `chosen` rows of X alone, where they are given.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not what it must be; the message names it, its value and the remedy.
    """
    ask = SimpleNamespace(**asked)
    solver, epochs = choice("solver", ask.solver, Solver), whole("epochs", ask.epochs)
    check_epochs("epochs", epochs)
    patience = None if ask.patience is None else whole("patience", ask.patience)
    if isinstance(schedules.named(ask.schedule, epochs), schedules.Adaptive) and patience is None:
        patience = ADAPTIVE_PATIENCE
    settings = _hyperparameters(ask, solver, patience)
    _check_choices(ask)
    validation = ask.validation
    if validation is not None and not are_samples(validation):
        validation = checked_share(validation)
    batch_size = checked_batch_size(ask.batch_size)
    full_batch = batch_size is None or solver in FULL_BATCH
    before = Before(ask.start)
    samples = source.read(
        working_dtype(source.X, before.dtype(ask.dtype)), loss=ask.loss, like=before.kind(ask.loss),
        sample_weight=ask.sample_weight, class_weight=ask.class_weight,
        # L-BFGS adds up what batches have to say.
        full_batch=full_batch and solver != Solver.LBFGS, chosen=chosen,
    )  # fmt: skip
    kind = samples.targets.kind
    sizes, activations = before.shape(
        samples.X.shape[1], kind.n_outputs, ask.hidden, ask.activation, (DEFAULT_HIDDEN, DEFAULT_ACTIVATION)
    )
    check_parameters("hidden", ask.hidden, sizes)
    problem = Problem(sizes, activations, kind.loss, solver, settings, dropout_shares(ask.dropout, len(activations)))
    _check_solver(problem, batch_size, ask.schedule)
    check_hyperparameters(settings, samples.targets.values.dtype)
    return Setup(
        problem=problem,
        samples=samples,
        before=before,
        validation=validation,
        metric=checked_metric(ask.metric, kind.loss),
        learning_rate=real("learning_rate", ask.learning_rate, 0, above=True),
        schedule=ask.schedule,
        epochs=epochs,
        batch_size=None if full_batch else batch_size,
        shuffle=ask.shuffle,
        init=ask.init,
        seed=ask.seed,
        patience=patience,
        max_seconds=math.inf if ask.max_seconds is None else real("max_seconds", ask.max_seconds, 0, above=True),
        max_fun=whole("max_fun", ask.max_fun),
        callback=ask.callback,
        callback_every=whole("callback_every", ask.callback_every),
        progress=truth("progress", ask.progress),
        threads=None if ask.threads is None else whole("threads", ask.threads),
        engine=ask.engine,
        checkpoint=_checked_path(ask.checkpoint),
        checkpoint_seconds=real("checkpoint_seconds", ask.checkpoint_seconds, 0),
    )


def _hyperparameters(ask: SimpleNamespace, solver: Solver, patience: int | None) -> Hyperparameters:
    clips = ask.max_grad_norm is not None
    return Hyperparameters(
        l2=real("l2", ask.l2, 0),
        l1=real("l1", ask.l1, 0),
        momentum=real("momentum", ask.momentum, 0, 1, below=True),
        nesterov=truth("nesterov", ask.nesterov),
        beta_1=real("beta_1", ask.beta_1, 0, 1, below=True),
        beta_2=real("beta_2", ask.beta_2, 0, 1, below=True),
        epsilon=real("epsilon", ask.epsilon, 0, above=True),
        weight_decay=real("weight_decay", ask.weight_decay, 0),
        rho=real("rho", ask.rho, 0, 1, below=True),
        etas=pair("etas", ask.etas, 0, 1),
        step_sizes=pair("step_sizes", ask.step_sizes, 0, 0),
        max_grad_norm=real("max_grad_norm", ask.max_grad_norm, 0, above=True) if clips else 0.0,
        label_smoothing=real("label_smoothing", ask.label_smoothing, 0, 1),
        delta=real("delta", ask.delta, 0, above=True),
        quantile=real("quantile", ask.quantile, 0, 1, above=True, below=True),
        # With validation it is the score that may stall, and L-BFGS has a rule of its own.
        patience=0 if patience is None or ask.validation is not None or solver == Solver.LBFGS else patience,
        tol=real("tol", ask.tol, 0),
    )


def _check_choices(ask: SimpleNamespace) -> None:
    if not isinstance(ask.engine, str) or ask.engine not in ENGINES:
        raise ValueError(f"engine={ask.engine!r} is unknown: choose one of {', '.join(map(repr, ENGINES))}")
    if not isinstance(ask.shuffle, bool | np.bool_) and not (isinstance(ask.shuffle, str) and ask.shuffle == "blocks"):
        raise ValueError(f"shuffle={ask.shuffle!r} is unknown: choose True, False or 'blocks'")
    if ask.callback is not None and not callable(ask.callback):
        raise TypeError(f"callback={ask.callback!r}: give a function, or None")


def _checked_path(path: Any) -> Path | None:
    """Where the checkpoint is; TypeError or ValueError where there can be no file."""
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"checkpoint={path!r}: give the path of a file, or None")
    # Where it is now: a callback may change the working directory.
    place = Path(os.path.realpath(path))
    if (place.exists() and not place.is_file()) or not place.parent.is_dir():
        what = "is in no folder that there is"
        if place.exists():
            what = "is a folder" if place.is_dir() else "is no regular file"
        raise ValueError(f"checkpoint={str(path)!r} {what}; give the path of a file")
    if not os.access(place.parent, os.W_OK):
        raise ValueError(f"checkpoint={str(path)!r}: its folder cannot be written; give another file")
    return place


def _check_solver(problem: Problem, batch_size: int | str | None, schedule: schedules.AnySchedule) -> None:
    """Raise ValueError where options do not go with the solver."""
    name = problem.solver.name.lower()
    if problem.solver not in FULL_BATCH:
        return
    if batch_size not in (None, "auto"):
        raise ValueError(f"batch_size={batch_size!r}: solver={name!r} takes full batches; leave batch_size out")
    if schedule is not None:
        raise ValueError(f"schedule={schedule!r}: solver={name!r} finds its own steps; leave schedule at None")
    if problem.solver != Solver.LBFGS:
        return
    if problem.dropout:
        raise ValueError("dropout: solver='lbfgs' needs the same objective at each step; choose another solver")
    if problem.hyperparameters.max_grad_norm:
        raise ValueError("max_grad_norm: solver='lbfgs' needs the gradient as it is; leave max_grad_norm at None")
