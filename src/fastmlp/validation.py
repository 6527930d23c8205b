"""Validation: which samples are held out, and how well a net does on them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastmlp.batches import InMemory, Orders, Streamed, one_epoch
from fastmlp.checks import as_float, is_truth, shown
from fastmlp.initialise import Random
from fastmlp.network import Network
from fastmlp.options import Hyperparameters, Loss, Problem, Snapshot, Solver

Metric = str | Callable[[Any, Any], float]
METRICS = ("loss", "accuracy", "r2")
OF_CLASSES = (Loss.CROSS_ENTROPY, Loss.BINARY_CROSS_ENTROPY)
# Rows of streamed data that are read for each step of a validation.
STREAMED_ROWS = 4096


class Engine(Protocol):
    """How an engine's runs are made."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """See :class:`fastmlp.reference.Run`."""


@dataclass
class Held:
    """Samples that are held out: rows of X, or X's rows of the given numbers where it is read some at a time.

    `targets` are as the engines take them, with any `weights` behind them; `y` is as the user gave it.
    """

    X: Any
    rows: NDArray[np.intp] | None
    targets: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None

    def fingerprint(self, metric: str) -> tuple[Any, ...]:
        """What tells these samples, and how they are scored, from others."""
        rows = self.rows if self.rows is not None else self.X
        return (
            metric,
            len(self.y),
            zlib.crc32(np.ascontiguousarray(rows).data),
            zlib.crc32(np.ascontiguousarray(self.targets).data),
        )

    def parts(self) -> Iterator[NDArray[Any]]:
        """The rows, all at once or some at a time."""
        if self.rows is None:
            yield self.X
            return
        for start in range(0, len(self.rows), STREAMED_ROWS):
            yield np.asarray(self.X[self.rows[start : start + STREAMED_ROWS]], self.targets.dtype)


def is_read_in_parts(n_samples: int) -> bool:
    """Whether so many rows of streamed data are read again and again, and not kept."""
    return n_samples > STREAMED_ROWS


def held_out(share: float, n_samples: int, labels: NDArray[Any] | None, random: Random) -> NDArray[np.intp]:
    """The numbers of the rows to hold out, in increasing order; of each label the same share, as nearly as may be.

    No label loses all its rows to validation.

    Raises
    ------
    ValueError
        If nothing is left to train on or to validate with.
    """
    wanted = round(share * n_samples)
    drawn = random.permutation(n_samples)
    if labels is not None:
        drawn = _stratified(share, wanted, drawn, labels)
    rows = np.sort(drawn[:wanted]).astype(np.intp)
    if not 0 < len(rows) < n_samples:
        raise ValueError(
            f"validation={share:g} of {n_samples} samples holds out {len(rows)} of them: at least one must be held out, "
            "and one of each class left; give more samples, another share or (X_val, y_val)"
        )
    return rows


def _stratified(share: float, wanted: int, drawn: NDArray[np.intp], labels: NDArray[Any]) -> NDArray[np.intp]:
    """Of the rows drawn `wanted` ones, shared out to the labels by the largest remainders."""
    _, of_label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    exact = share * counts
    quota = np.minimum(np.floor(exact).astype(np.intp), counts - 1)
    for label in np.argsort(quota - exact, kind="stable"):
        if quota.sum() < wanted and quota[label] < counts[label] - 1:
            quota[label] += 1
    kept = []
    for label, size in enumerate(quota):
        rows = drawn[of_label[drawn] == label]
        kept.append(rows[:size])
    return np.concatenate(kept)


class Evaluator:
    """Measures nets on samples held out: the loss, without penalties, label smoothing and dropout, and the score."""

    def __init__(self, engine: Engine, problem: Problem, held: Held, metric: Metric, threads: int | None) -> None:
        settings = problem.hyperparameters
        bare = Hyperparameters(delta=settings.delta, quantile=settings.quantile)
        self._problem = problem._replace(hyperparameters=bare, solver=Solver.SGD, dropout=())
        self._engine, self._held, self._metric, self._threads = engine, held, metric, threads
        n_samples = len(held.X if held.rows is None else held.rows)
        size, source = (n_samples, InMemory) if held.rows is None else (min(STREAMED_ROWS, n_samples), Streamed)
        self._batches = source(held.X, held.targets, Orders(None, n_samples, held.rows), size, 1)
        self._n_samples, self._size = n_samples, size
        self._run: Any = None

    def __call__(self, net: Network) -> tuple[float, float]:
        """The validation loss of the net, and its score: the larger the better."""
        loss = self._loss(net.params)
        return loss, -loss if self._metric == "loss" else self._score(net)

    def _loss(self, params: NDArray[Any]) -> float:
        batches = self._batches
        if self._run is None:
            weights = self._held.weights
            total = None if weights is None else float(weights.sum(dtype=np.float64))
            self._run = self._engine(
                self._problem, Snapshot(params), batches.X, batches.y, batches.order, self._n_samples, self._size,
                self._threads, total, learns=False,
            )  # fmt: skip
        else:
            self._run.begin_again(params)
            batches.begin_again()
        return one_epoch(self._run, batches, self._n_samples, np.ones(1, params.dtype))

    def _score(self, net: Network) -> float:
        held = self._held
        predicted = np.concatenate([net.predict(part) for part in held.parts()])
        if callable(self._metric):
            # Metrics such as scikit-learn's refuse what is not finite, which is no reason to lose the training.
            if predicted.dtype.kind == "f" and self._problem.loss not in OF_CLASSES and not np.isfinite(predicted).all():
                return np.nan
            return score_by("metric", self._metric, held.y, predicted)
        return net._scored(predicted, held.y, held.weights)


def score_by(name: str, metric: Callable[[Any, Any], float], wanted: Any, predicted: Any) -> float:
    """What a user's function says; TypeError where that is no number."""
    score = metric(wanted, predicted)
    try:
        return float(score) if is_truth(score) else as_float(score)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} returned {shown(score)}: give a function that returns a number") from None


def checked_metric(metric: Metric, loss: Loss) -> Metric:
    """`metric`, a name or a function of the true and the predicted; TypeError or ValueError where it does not suit."""
    if callable(metric):
        return metric
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(
            f"metric={metric!r} is unknown: choose one of {', '.join(map(repr, METRICS))}, or give a function of "
            "(y_true, y_pred) that is larger the better"
        )
    suits = {"loss": True, "accuracy": loss in OF_CLASSES}
    suits["r2"] = not suits["accuracy"]
    if not suits[metric]:
        other = "r2" if metric == "accuracy" else "accuracy"
        raise ValueError(f"metric={metric!r} does not suit {loss.name.lower()}; choose 'loss' or {other!r}")
    return metric
