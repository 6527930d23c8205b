"""Validation of nets abreast, after each epoch: the loss of the samples held out, of all nets at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.fitting import Drawn
from fastmlp.kernels.abreast_run import AbreastRun, can_go_abreast, packed
from fastmlp.options import Hyperparameters, Problem
from fastmlp.setup import Setup
from fastmlp.state import Best

Array = NDArray[Any]


def can_be_validated(setup: Setup) -> bool:
    """Whether a training's validation, if it has any, can be one of nets abreast: by the loss, of one block of samples."""
    if setup.validation is None:
        return True
    if setup.metric != "loss" or setup.problem.hyperparameters.label_smoothing:
        return False
    dtype, n_held = setup.samples.targets.values.dtype, _rows_held(setup)
    return n_held > 0 and can_go_abreast(_bare(setup.problem), n_held, dtype)


def _rows_held(setup: Setup) -> int:
    """How many samples are held out, at most; 0 where that cannot be told."""
    if isinstance(setup.validation, float):
        return math.ceil(setup.validation * setup.samples.n_chosen)
    given = setup.validation[0] if isinstance(setup.validation, tuple) and setup.validation else None
    return len(given) if isinstance(given, np.ndarray) else 0


def _bare(problem: Problem) -> Problem:
    """What the samples held out are measured by: the loss alone."""
    settings = problem.hyperparameters
    return problem._replace(hyperparameters=Hyperparameters(delta=settings.delta, quantile=settings.quantile), dropout=())


class LaneValidation:
    """The validations of nets abreast so far.

    Parameters
    ----------
    drawn : the nets, with what each holds out.
    rows : the packed samples that they are trained on.
    width : lanes.
    """

    def __init__(self, drawn: Sequence[Drawn], rows: Array, width: int) -> None:
        first = drawn[0].held
        assert first is not None
        n_held = len(first.y)
        order = np.empty((1, n_held, width), np.int32)
        for lane in range(width):
            order[0, :, lane] = _numbers(drawn[lane if lane < len(drawn) else 0], n_held)
        if drawn[0].setup.samples.held is None:
            rows = packed(first.X, first.targets)
        weights = None if first.weights is None else [_weight(net) for net in drawn]
        self._run = AbreastRun(
            [_bare(net.setup.problem) for net in drawn], [net.start for net in drawn], rows, first.targets.shape[1], order,
            n_held, weights, learns=False,
        )  # fmt: skip
        self._first = drawn[0].setup.before.n_epochs
        bests = [Best() if net.setup.before.state is None else net.setup.before.state.best for net in drawn]
        self._best = np.array([best.score for best in bests])
        self._epochs = np.array([best.epoch for best in bests])
        self._params: list[Array | None] = [best.params for best in bests]
        self._stalled = np.array([best.stalled for best in bests])
        self._tol = np.array([net.setup.problem.hyperparameters.tol for net in drawn])
        self._patience = np.array([net.setup.patience or math.inf for net in drawn])
        self._losses: list[Array] = []

    def after_epoch(self, params: Array, done: int) -> list[int]:
        """Measure parameters (n_parameters, lanes) after so many epochs and keep the best; the lanes that gain no more."""
        losses = self._run.objectives(params)[: len(self._best)].astype(np.float64)
        self._losses.append(losses)
        scores = -losses
        self._stalled = np.where(scores >= self._best + self._tol, 0, self._stalled + 1)
        for lane in np.flatnonzero(scores > self._best):
            self._best[lane], self._epochs[lane] = scores[lane], self._first + done
            self._params[lane] = params[:, lane].copy()
        stops = self._stalled >= self._patience
        self._stalled[stops] = 0
        return [int(lane) for lane in np.flatnonzero(stops)]

    def curves(self, lane: int) -> tuple[list[float], list[float]]:
        """A net's losses, and its scores."""
        losses = [float(of_all[lane]) for of_all in self._losses]
        return losses, [-loss for loss in losses]

    def best(self, lane: int) -> Best:
        """A net's best so far."""
        score, epoch = float(self._best[lane]), int(self._epochs[lane])
        return Best(score, epoch, self._params[lane], int(self._stalled[lane]))


def _numbers(net: Drawn, n_held: int) -> NDArray[Any]:
    """The rows of the pack that are a net's held-out samples."""
    samples = net.setup.samples
    if samples.held is None:
        return np.arange(n_held)
    return samples.held if samples.chosen is None else samples.chosen[samples.held]


def _weight(net: Drawn) -> float:
    assert net.held is not None
    assert net.held.weights is not None
    return float(net.held.weights.sum(dtype=np.float64))
