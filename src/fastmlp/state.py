"""What a training has reached beside its net, so that another can go on as if there had been no end."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.arguments import hidden_activations, hidden_sizes
from fastmlp.initialise import Remembered
from fastmlp.network import Network
from fastmlp.options import Activation, Loss, Problem, Snapshot, Solver
from fastmlp.targets import Kind, named_loss

Array = NDArray[Any]


@dataclass
class Best:
    """The best validation so far: its score, the epoch after which it was taken, its parameters, and how many since."""

    score: float = -np.inf
    epoch: int = 0
    params: Array | None = None
    stalled: int = 0


@dataclass
class TrainingState:
    """Where a training stands at the end of an epoch.

    Attributes
    ----------
    problem, run : what was minimised, and what the run has reached.
    random : what draws the next row orders.
    order : the order that the next one is a shuffle of.
    counted : the key and the number of the next one, where orders follow from these.
    n_rows, share, held_out : rows that X had, the share of them held out for validation, and their numbers, if any.
    rate_factor : what the adaptive schedule has made of the learning rate.
    best, validated : the best validation so far, and by what metric on which samples.
    start, iterations : of L-BFGS, the parameters that its iterations began with.
    """

    problem: Problem
    run: Snapshot
    random: Remembered
    order: Array
    counted: tuple[int, int] | None
    n_rows: int
    share: float | None
    held_out: NDArray[np.intp] | None
    rate_factor: float
    best: Best
    validated: tuple[Any, ...] | None
    start: Array | None
    iterations: int


class Before:
    """What a training goes on from: a net and the state of its training, a net alone, or nothing."""

    def __init__(self, net: Network | None) -> None:
        if net is not None and not isinstance(net, Network):
            raise TypeError(f"start={net!r}: give a Network to go on from, or None")
        self.net = net
        self.n_epochs = 0 if net is None else net.n_epochs
        # A copy, so that the net can be gone on from more than once.
        self.state: TrainingState | None = None if net is None else copy.deepcopy(net._training)
        if net is not None and self.state is not None:
            self._heed_changes(net, self.state)

    def _heed_changes(self, net: Network, state: TrainingState) -> None:
        """Go on from the net's parameters where these are not the ones that its training left."""
        left = state.run.params if state.best.params is None else state.best.params
        if not np.array_equal(net.params, left):
            state.run = state.run._replace(
                params=net.params.copy(), penalties=None, previous=None, best_loss=np.inf, stalled=0
            )
            state.best, state.start = Best(), None

    def dtype(self, dtype: Any) -> Any:
        """The dtype wanted: the net's where none is named."""
        return self.net.dtype if self.net is not None and dtype is None else dtype

    def kind(self, loss: str | Loss | None) -> Kind | None:
        """What the net predicts."""
        net = self.net
        if net is None:
            return None
        if loss is not None and named_loss(loss) != net.loss:
            raise ValueError(f"loss={loss!r}, but start was trained with {net.loss.name.lower()!r}; leave loss at None")
        return Kind(net.loss, net.sizes[-1], net.classes, net.flat_targets)

    def shape(
        self, n_features: int, n_outputs: int, hidden: Any, activation: Any, defaults: tuple[Any, Any]
    ) -> tuple[tuple[int, ...], tuple[Activation, ...]]:
        """Sizes and activations: the net's, which arguments that are not their defaults must agree with."""
        units = hidden_sizes(hidden)
        if self.net is None:
            return (n_features, *units, n_outputs), hidden_activations(activation, len(units))
        sizes, activations = self.net.sizes, self.net.activations
        if n_features != sizes[0]:
            raise ValueError(f"X has {n_features} columns, but start was trained on {sizes[0]}; give the same")
        if hidden is not defaults[0] and units != sizes[1:-1]:
            raise ValueError(f"hidden={hidden!r}, but start has hidden layers of {sizes[1:-1]}; leave hidden out")
        given = hidden_activations(activation, len(sizes) - 2)
        if activation != defaults[1] and given != activations:
            names = [member.name.lower() for member in activations]
            raise ValueError(f"activation={activation!r}, but start has {names}; leave activation out")
        return sizes, activations

    def forget_unless(self, problem: Problem, n_rows: int, dtype: np.dtype[Any]) -> None:
        """Drop what belongs to other samples, another objective or another dtype."""
        state = self.state
        if state is None:
            return
        if state.n_rows != n_rows:
            state.held_out, state.best = None, Best()
            state.run = state.run._replace(best_loss=np.inf, stalled=0, previous=None)
            state.order = np.empty(0, np.int32)
        if state.best.params is not None and state.best.params.dtype != dtype:
            state.best = Best()
        if _objective(problem) != _objective(state.problem):
            state.run = state.run._replace(best_loss=np.inf, stalled=0, previous=None)

    def check_validation(self, validation: Any, metric: str, validated: tuple[Any, ...] | None) -> None:
        """Refuse scores that cannot be compared; drop those of other samples.

        Raises
        ------
        ValueError
            If the metric or the share held out is not that of the training before.
        """
        state = self.state
        if state is None or validated is None:
            return
        if state.share is not None and isinstance(validation, float) and validation != state.share:
            raise ValueError(f"validation={validation!r}, but start held out {state.share!r}; give the same")
        if state.best.params is not None and state.validated is not None:
            if state.validated[0] != metric:
                raise ValueError(f"metric={metric!r}, but start was validated by {state.validated[0]!r}; give the same")
            if state.validated != validated:
                state.best = Best()

    def snapshot(self, solver: Solver, dtype: np.dtype[Any]) -> Snapshot:
        """What the run begins with, all of it only where solver and dtype are the same."""
        assert self.net is not None
        if self.state is None:
            return Snapshot(self.net.params.astype(dtype))
        run = self.state.run
        if self.state.problem.solver != solver or run.params.dtype != dtype:
            return Snapshot(run.params.astype(dtype), key=run.key)
        return run

    def counted(self, seed: Any) -> tuple[int, int] | None:
        """The key of row orders and the next one's number, where there are any and no `seed` has come in their place."""
        return None if self.state is None or seed is not None else self.state.counted

    def curves(self) -> tuple[Array, Array, Array]:
        """Losses, validation losses and scores of the epochs before, NaN where there was no validation."""
        if self.net is None:
            return np.empty(0), np.empty(0), np.empty(0)
        missing = np.full(self.n_epochs, np.nan)
        losses, scores = self.net.validation_curve, self.net.validation_scores
        return (
            self.net.loss_curve,
            missing.astype(self.net.dtype) if losses is None else losses,
            missing if scores is None else scores,
        )


def _objective(problem: Problem) -> tuple[Any, ...]:
    """What of a problem decides how large its objective is."""
    settings = problem.hyperparameters
    penalties = (settings.l1, settings.l2, settings.l2_per_sample)
    return (*penalties, settings.label_smoothing, settings.delta, settings.quantile, problem.loss, problem.dropout)
