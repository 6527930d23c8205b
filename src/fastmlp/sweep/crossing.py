"""``cross_validate``: how well a net does on rows that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.arguments import random_source, whole
from fastmlp.checks import as_array
from fastmlp.initialise import Random
from fastmlp.inputs import as_matrix, check_lengths, is_streamed, working_dtype
from fastmlp.label_kinds import kind_of_labels
from fastmlp.network import Network
from fastmlp.options import Loss
from fastmlp.sweep.many import train_many
from fastmlp.sweep.result import Sweep
from fastmlp.sweep.rows import row_numbers
from fastmlp.targets import named_loss
from fastmlp.validation import score_by

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(eq=False)
class CrossValidation:
    """What :func:`cross_validate` finds.

    Attributes
    ----------
    scores : ndarray (n_folds,)
        Of each fold's net on the rows it was not trained on.
    folds : list of pairs of index arrays
        The rows each net was trained on, and those it was scored on.
    sweep : Sweep
        The nets, one for each fold.
    """

    scores: NDArray[np.float64]
    folds: list[Fold]
    sweep: Sweep
    _n_samples: int
    # What each net says of its fold's rows.
    _outputs: list[NDArray[Any]] = field(repr=False)

    def __repr__(self) -> str:
        return f"<CrossValidation of {len(self.folds)} folds: {self.scores.mean():.4g} +- {self.scores.std():.2g}>"

    @cached_property
    def predictions(self) -> NDArray[Any]:
        """For each row of X what the net predicts that was not trained on it, as :meth:`fastmlp.Network.predict` does.

        Raises
        ------
        ValueError
            If the folds score some rows not once.
        """
        return self._of_rows(lambda net, outputs: net._predicted(outputs))

    @cached_property
    def probabilities(self) -> NDArray[Any]:
        """The same as :meth:`fastmlp.Network.predict_proba` has it, (n_samples, n_classes).

        Raises
        ------
        ValueError
            If the folds score some rows not once, or the nets are regression nets.
        """
        if not self._nets[0].is_classifier:
            raise ValueError("probabilities: a regression net has none; see predictions")
        return self._of_rows(lambda net, outputs: net._probabilities(outputs))

    @property
    def _nets(self) -> list[Network]:
        return [net for net in self.sweep if net is not None]

    def _of_rows(self, told: Callable[[Network, NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        rows = np.concatenate([test for _, test in self.folds])
        counts = np.bincount(rows, minlength=self._n_samples)
        if (counts != 1).any():
            row = int(np.flatnonzero(counts != 1)[0])
            raise ValueError(
                f"the folds score row {row} {counts[row]} times: predictions need folds that score each row once"
            )
        parts = [told(net, outputs) for net, outputs in zip(self._nets, self._outputs, strict=True)]
        joined = np.concatenate(parts)
        result = np.empty_like(joined)
        result[rows] = joined
        return result


def cross_validate(
    X: ArrayLike,
    y: ArrayLike,
    config: Mapping[str, Any] | None = None,
    *,
    cv: int | Iterable[tuple[ArrayLike, ArrayLike]] | Any = 5,
    split_seed: int | Random | None = 0,
    scoring: Callable[[Any, Any], float] | None = None,
    **sweep: Any,
) -> CrossValidation:
    """Train a net on all rows but those of a fold, for each of some folds, and score it on these.

    The nets share X, and are trained at the same time by :func:`fastmlp.train_many`.

    Parameters
    ----------
    X, y : array-like
        As for :func:`fastmlp.train`.
    config : dict or None
        Parameters of ``train``. With an int as its seed each net begins alike.
    cv : int, splitter or iterable
        How many folds: with classes each has the same share of each, as nearly as may be. Or what has
        ``split(X, y)``, as scikit-learn's splitters, or pairs of index arrays, rows to train on and rows to score.
    split_seed : int, Generator, RandomState or None
        Draws which rows are in which fold, where `cv` is an int: the same ones each time, unless it is None.
    scoring : function of (y_true, y_pred) or None
        The larger the better. None is accuracy or R2, see :meth:`fastmlp.Network.score`.
    **sweep
        Of ``train_many``: `threads`, `executor`, `progress`, `callback`, `max_seconds`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    RuntimeError
        If the nets are not all trained, for the time or an interrupt.
    """
    config = {} if config is None else config
    if not isinstance(config, Mapping):
        raise TypeError(f"config={config!r}: give a dict of train's parameters")
    if scoring is not None and not callable(scoring):
        raise TypeError(f"scoring={scoring!r}: give a function of (y_true, y_pred), or None")
    dtype = working_dtype(X, config.get("dtype"))
    features: Any = X if is_streamed(X, dtype) else as_matrix(X, dtype)
    targets = as_array("y", y)
    check_lengths(features.shape[0], targets.shape[0] if targets.ndim else 0)
    kind_of_labels("y", y, targets)
    folds = _folds(cv, features, targets, config.get("loss"), split_seed)
    nets = train_many(features, y, [{} for _ in folds], rows=[train for train, _ in folds], **{**config, **sweep})
    outputs, scores = [], []
    for net, (_, test) in zip(nets, folds, strict=True):
        if net is None:
            raise RuntimeError(f"only {sum(n is not None for n in nets)} of {len(folds)} nets were trained: {nets!r}")
        outputs.append(net._outputs(np.asarray(features[test], dtype)))
        predicted = net._predicted(outputs[-1])
        wanted = targets[test].reshape(predicted.shape)
        scored = score_by("scoring", scoring, wanted, predicted) if scoring else net._scored(predicted, wanted, None)
        scores.append(scored)
    return CrossValidation(np.array(scores), folds, nets, len(targets), outputs)


def _folds(cv: Any, X: Any, y: NDArray[Any], loss: str | Loss | None, seed: Any) -> list[Fold]:
    n_samples = int(X.shape[0])
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        n_folds = whole("cv", cv, 2)
        if n_folds > n_samples:
            raise ValueError(f"cv={n_folds}: there are {n_samples} samples; give no more folds than these")
        of_row = _numbers_of_folds(n_folds, y, loss, random_source(seed, "split_seed"))
        return [(np.flatnonzero(of_row != fold), np.flatnonzero(of_row == fold)) for fold in range(n_folds)]
    pairs = cv.split(X, y) if hasattr(cv, "split") and not isinstance(cv, str) else cv
    if isinstance(pairs, str | Mapping) or not isinstance(pairs, Iterable):
        raise TypeError(f"cv={cv!r}: give a number of folds, a splitter, or pairs of index arrays")
    folds = []
    for place, pair in enumerate(pairs):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"cv: fold {place} is {pair!r}; give a pair of index arrays, to train on and to score")
        train, test = (row_numbers(f"cv: fold {place}", rows, n_samples) for rows in pair)
        folds.append((train, test))
    if not folds:
        raise ValueError("cv has no folds: give at least one pair of index arrays")
    return folds


def _numbers_of_folds(n_folds: int, y: NDArray[Any], loss: str | Loss | None, random: Random) -> NDArray[np.intp]:
    """The fold of each row: drawn, with as many rows of each class in each as may be."""
    drawn = random.permutation(len(y))
    chosen = None if loss is None else named_loss(loss)
    are_classes = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if are_classes and (
        y.dtype.kind != "f" if chosen is None else chosen in (Loss.CROSS_ENTROPY, Loss.BINARY_CROSS_ENTROPY)
    ):
        _, of_label = np.unique(y.reshape(-1), return_inverse=True)
        # Rows of a class one after the other: dealt out in turn, each fold gets its share of each.
        drawn = drawn[np.argsort(of_label[drawn], kind="stable")]
    of_row = np.empty(len(y), np.intp)
    of_row[drawn] = np.arange(len(y)) % n_folds
    return of_row
