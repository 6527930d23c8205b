"""Samples on their way from the user to the engines: checked, cast, split and laid out in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.arguments import real
from fastmlp.initialise import Random
from fastmlp.inputs import as_matrix, check_lengths, checked_sample, is_streamed, lengths_differ
from fastmlp.options import Loss
from fastmlp.scales import warn_of_wild_scales, warn_of_wild_targets
from fastmlp.targets import Kind, Targets, as_targets, as_weights, class_weights, smoothed
from fastmlp.validation import Held, held_out, is_read_in_parts


@dataclass
class Samples:
    """Samples to train on.

    Attributes
    ----------
    X : rows in C order in the working dtype, or what they are read from some at a time if `streamed`.
    sample : rows in the working dtype, all or many of them.
    y : as the user gave it.
    targets : as the engines take them, and of what kind.
    weights : one for each sample, or None.
    by_class : one for each class, or None.
    chosen : the numbers of the rows of X that the training has, or None for all.
    rows : the numbers of those to train on, or None for all.
    weights_from : the argument that weights come from.
    held : the places, among the chosen ones, of those held out, or None.
    """

    X: Any
    streamed: bool
    sample: NDArray[Any]
    y: ArrayLike
    targets: Targets
    weights: NDArray[Any] | None
    by_class: NDArray[np.float64] | None
    chosen: NDArray[np.intp] | None = None
    rows: NDArray[np.intp] | None = None
    weights_from: str = "sample_weight"
    held: NDArray[np.intp] | None = None

    @property
    def n_samples(self) -> int:
        """Samples to train on."""
        return len(self.targets.values) if self.rows is None else len(self.rows)

    @property
    def n_chosen(self) -> int:
        """Samples to train on and to validate with."""
        return len(self.targets.values) if self.chosen is None else len(self.chosen)

    @property
    def total_weight(self) -> float | None:
        """The sum of the weights of those to train on, if they have any."""
        if self.weights is None:
            return None
        weights = self.weights if self.rows is None else self.weights[self.rows]
        return float(weights.sum(dtype=np.float64))

    def values(self, label_smoothing: float = 0.0) -> NDArray[Any]:
        """The targets with the weights behind them; smoothed here where that is no work of the loss itself."""
        values = smoothed(self.targets.values, self.targets.kind.loss, label_smoothing)
        return values if self.weights is None else np.column_stack([values, self.weights])


class Source:
    """X and y as the user gave them, read once for each form that trainings need them in."""

    def __init__(self, X: ArrayLike, y: ArrayLike) -> None:
        self.X, self.y = X, y
        self._features: dict[Any, tuple[Any, bool, NDArray[Any]]] = {}
        self._targets: dict[Any, Targets] = {}
        self._weights: dict[Any, tuple[Any, Any, Any]] = {}
        # Whether the user has been warned of the scales of X and of y.
        self._told_of_X = self._told_of_y = False

    def read(
        self,
        dtype: np.dtype[Any],
        *,
        loss: str | Loss | None,
        like: Kind | None,
        sample_weight: ArrayLike | None,
        class_weight: Mapping[Any, float] | str | None,
        full_batch: bool,
        chosen: NDArray[np.intp] | None = None,
    ) -> Samples:
        """Check X, y and weights, and bring them into the form the engines take; of the `chosen` rows alone, if given."""
        # Before all of X is read, which may take long.
        if lengths_differ(self.X, self.y):
            check_lengths(np.shape(self.X)[0], np.shape(self.y)[0])
        rows, streamed, sample = self._features_in(dtype, full_batch)
        targets = self._targets_in(dtype, len(sample) if not streamed else rows.shape[0], loss, like)
        weights, by_class = self._weights_of(sample_weight, class_weight, targets, dtype, chosen)
        origin = "class_weight" if sample_weight is None else "sample_weight"
        return Samples(rows, streamed, sample, self.y, targets, weights, by_class, chosen, chosen, origin)

    def _features_in(self, dtype: np.dtype[Any], full_batch: bool) -> tuple[Any, bool, NDArray[Any]]:
        streamed = not full_batch and is_streamed(self.X, dtype)
        if (dtype, streamed) not in self._features:
            rows: Any = self.X if streamed else as_matrix(self.X, dtype)
            sample = checked_sample(rows, dtype) if streamed else rows
            self._told_of_X = self._told_of_X or warn_of_wild_scales(sample)
            self._features[dtype, streamed] = rows, streamed, sample
        return self._features[dtype, streamed]

    def _targets_in(self, dtype: np.dtype[Any], n_samples: int, loss: str | Loss | None, like: Kind | None) -> Targets:
        # What is no name is refused, and may have no hash.
        key = (dtype, loss if loss is None else str(loss), _token(like))
        if key not in self._targets:
            self._targets[key] = targets = as_targets(self.y, n_samples, dtype, loss, like)
            self._told_of_y = self._told_of_y or warn_of_wild_targets(targets.values, targets.kind.loss)
        return self._targets[key]

    def _weights_of(
        self, sample_weight: Any, class_weight: Any, targets: Targets, dtype: np.dtype[Any], chosen: NDArray[np.intp] | None
    ) -> tuple[NDArray[Any] | None, NDArray[np.float64] | None]:
        """The samples' weights and the classes'."""
        balanced = isinstance(class_weight, str)
        rows = id(chosen) if balanced else 0
        key = (id(sample_weight), class_weight if balanced else id(class_weight), id(targets.values), rows)
        if key not in self._weights:
            by_class = class_weights(class_weight, targets, chosen)
            weights = as_weights(sample_weight, by_class, targets, dtype)
            # What they are made of stays with them, since its place in memory is its name.
            self._weights[key] = weights, by_class, (sample_weight, class_weight, targets, chosen)
        return self._weights[key][:2]


def _token(kind: Kind | None) -> Any:
    """What is equal where kinds are."""
    if kind is None or kind.classes is None:
        return kind
    return kind._replace(classes=None), kind.classes.dtype.str, tuple(kind.classes.tolist())


def hold_out(samples: Samples, validation: Any, random: Random, rows: NDArray[np.intp] | None) -> Held | None:
    """The samples to validate with: a share of the others, which then are no longer trained on, or samples apart.

    `rows` are the places of those held out before, among as many chosen ones; they are held out again.

    Raises
    ------
    TypeError, ValueError
        If `validation` is neither a share, nor samples like those trained on, nor None, or leaves too few.
    """
    if validation is None:
        return None
    if are_samples(validation):
        return _given(samples, *validation)
    share = checked_share(validation)
    chosen = np.arange(samples.n_chosen) if samples.chosen is None else samples.chosen
    labels = None if samples.targets.kind.classes is None else samples.targets.values[chosen, 0]
    samples.held = held_out(share, len(chosen), labels, random) if rows is None else rows
    samples.rows, out = np.delete(chosen, samples.held), chosen[samples.held]
    weights = None if samples.weights is None else samples.weights[out]
    values, wanted = samples.values(), _as_predicted(samples.y, samples.targets.kind)[out]
    if weights is not None and weights.sum() == 0:
        raise ValueError("validation: all samples held out have the weight 0; give (X_val, y_val), or another seed")
    if samples.streamed and is_read_in_parts(len(out)):
        return Held(samples.X, out, values, wanted, weights)
    return Held(np.asarray(samples.X[out], values.dtype), None, values[out], wanted, weights)


def checked_share(validation: Any) -> float:
    """The share of samples to validate with; TypeError or ValueError where it is none."""
    if isinstance(validation, Sequence):
        raise TypeError(f"validation={validation!r}: give a share such as 0.1, or (X_val, y_val), or None")
    return real("validation", validation, 0, 1, above=True, below=True)


def are_samples(validation: Any) -> bool:
    """Whether samples apart are given to validate with."""
    return isinstance(validation, Sequence) and not isinstance(validation, str | bytes) and len(validation) in (2, 3)


def _given(samples: Samples, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Held:
    """Samples given for validation alone."""
    dtype = samples.targets.values.dtype
    try:
        rows = as_matrix(X, dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation: {error}") from None
    if rows.shape[1] != samples.X.shape[1]:
        raise ValueError(f"validation: X_val has {rows.shape[1]} columns, but X has {samples.X.shape[1]}; give the same")
    targets = as_targets(y, len(rows), dtype, None, samples.targets.kind, "validation: y_val")
    weights = as_weights(sample_weight, samples.by_class, targets, dtype, "validation: sample_weight")
    if weights is not None and not weights.sum() > 0:
        raise ValueError("validation: all samples have the weight 0; give some a positive one")
    values = targets.values if weights is None else np.column_stack([targets.values, weights])
    return Held(rows, None, values, _as_predicted(y, samples.targets.kind), weights)


def _as_predicted(y: ArrayLike, kind: Kind) -> NDArray[Any]:
    """Targets in the shape that predictions have."""
    array = np.asarray(y)
    return array.reshape(len(array)) if kind.flat else array
