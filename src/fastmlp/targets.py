"""Targets and weights as users hand them in, checked and brought into the form the engines take, with NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.checks import as_array, as_float, as_numbers, shown
from fastmlp.inputs import ROWS_AT_ONCE, check_lengths, finite_weights
from fastmlp.label_kinds import kind_of_labels
from fastmlp.notices import warn
from fastmlp.options import Loss


class Kind(NamedTuple):
    """What is predicted: `flat` says whether `y` had one dimension, so that predictions have one."""

    loss: Loss
    n_outputs: int
    classes: NDArray[Any] | None
    flat: bool


class Targets(NamedTuple):
    """What is to be predicted.

    `values` is (n_samples, 1) class numbers for the cross-entropy, else (n_samples, n_outputs) targets, in the working
    dtype.
    """

    values: NDArray[Any]
    kind: Kind


def as_targets(
    y: ArrayLike, n_samples: int, dtype: np.dtype[Any], loss: str | Loss | None, like: Kind | None = None, name: str = "y"
) -> Targets:
    """Labels to class numbers, values to targets, by the type of `y` unless `loss` says what is meant.

    float is regression; int, bool, string and object are classes; an integer matrix of 0 and 1 is multilabel. With `like`
    they must be of that kind, and labels among its classes. Messages call them `name`.

    Raises
    ------
    TypeError
        If `y` is complex, or mixes labels that cannot be compared.
    ValueError
        If `y` is empty, has another length than X, holds a single class, NaN or infinity, or does not suit `loss`.
    """
    array = as_array(name, y)
    check_lengths(n_samples, array.shape[0] if array.ndim else 0, name)
    kind_of_labels(name, y, array)
    if array.ndim > 2:
        raise ValueError(f"{name} has {array.ndim} dimensions: give one target, or one row of targets, for each row of X")
    if array.size == 0:
        raise ValueError(f"{name} has no columns, with shape {array.shape}: give at least one target for each row of X")
    flat = array.ndim == 1
    if array.ndim == 2 and array.shape[1] == 1 and (like is None or like.flat):
        array, flat = array[:, 0], True
    if like is not None:
        loss = like.loss
    chosen = named_loss(loss) if loss is not None else _inferred_loss(array)
    if chosen not in (Loss.CROSS_ENTROPY, Loss.BINARY_CROSS_ENTROPY):
        targets = _values(array, dtype, flat, chosen, name)
    elif array.ndim == 2:
        if chosen == Loss.CROSS_ENTROPY:
            raise ValueError(
                f"{name} has shape {array.shape}: the cross-entropy takes one label for each row; for rows of 0 and 1 "
                "name loss='binary_cross_entropy'"
            )
        targets = _labels(array, dtype, name)
    else:
        targets = _classes(array, dtype, chosen, like, name)
    if like is not None and targets.kind.n_outputs != like.n_outputs:
        raise ValueError(f"{name} has {targets.kind.n_outputs} columns, but the net has {like.n_outputs}; give the same")
    return targets


def named_loss(loss: str | Loss) -> Loss:
    """The loss of that name."""
    names = {member.name.lower(): member for member in Loss}
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in names:
        raise ValueError(f"loss={loss!r} is unknown: choose one of {', '.join(map(repr, names))}, or None to go by y")
    return names[loss]


def _chunks(y: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Some rows at a time: what is made of them stays small."""
    return (y[start : start + ROWS_AT_ONCE] for start in range(0, len(y), ROWS_AT_ONCE))


def _only_zeros_and_ones(y: NDArray[Any]) -> bool:
    return all(((part == 0) | (part == 1)).all() for part in _chunks(y))


def _inferred_loss(y: NDArray[Any]) -> Loss:
    if y.dtype.kind == "f":
        if y.size and _only_zeros_and_ones(y):
            warn(
                "y holds only 0.0 and 1.0, and floats mean regression; for classes give y.astype(int)",
                UserWarning,
            )
        return Loss.SQUARED_ERROR
    return Loss.BINARY_CROSS_ENTROPY if y.ndim == 2 else Loss.CROSS_ENTROPY


def _values(y: NDArray[Any], dtype: np.dtype[Any], flat: bool, loss: Loss, name: str) -> Targets:
    try:
        y = as_numbers(y)
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
    except OverflowError:
        raise ValueError(f"{name} holds values too large for {dtype}: scale y") from None
    except TypeError:
        called = loss.name.lower().replace("_", " ")
        raise ValueError(f"{name} holds what is no number: {called} needs numbers; for labels leave loss at None") from None
    if not np.isfinite(values).all():
        if np.isfinite(y).all():
            raise ValueError(f"{name} holds values too large for {dtype}: scale y, or give dtype='float64'")
        raise ValueError(f"{name} holds NaN or infinity: leave such rows out, of X and y alike")
    if loss == Loss.POISSON and values.min() < 0:
        raise ValueError(f"{name} holds {values.min():g}: loss='poisson' takes counts or rates, from 0 on")
    return Targets(values, Kind(loss, values.shape[1], None, flat))


def _labels(y: NDArray[Any], dtype: np.dtype[Any], name: str) -> Targets:
    if y.dtype.kind not in "iubf" or not _only_zeros_and_ones(y):
        raise ValueError(
            f"{name} is a matrix, which means one column of 0 and 1 for each label, but it holds other values; "
            "for regression give floats, for classes one label for each row"
        )
    values = np.ascontiguousarray(y, dtype=dtype)
    return Targets(values, Kind(Loss.BINARY_CROSS_ENTROPY, y.shape[1], None, False))


def _classes(y: NDArray[Any], dtype: np.dtype[Any], loss: Loss, like: Kind | None, name: str) -> Targets:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} holds NaN or infinity: leave such rows out, of X and y alike")
    try:
        found = np.unique(np.concatenate([np.unique(part) for part in _chunks(y)]))
        classes = found if like is None or like.classes is None else like.classes
        unknown = found[~np.isin(found, classes)]
    except TypeError:
        raise TypeError(f"{name} mixes labels that cannot be compared, or lacks some: give labels of one type") from None
    if len(unknown):
        raise ValueError(
            f"{name} holds the label {_shown(unknown[0])}, which the net does not know; its labels are "
            f"{', '.join(map(_shown, classes[:10]))}{', ...' if len(classes) > 10 else ''}"
        )
    if len(classes) < 2:
        raise ValueError(f"{name} holds a single class, {_shown(classes[0])}: give samples of at least two")
    if loss == Loss.BINARY_CROSS_ENTROPY and len(classes) > 2:
        raise ValueError(
            f"{name} holds {len(classes)} classes: loss='binary_cross_entropy' takes two, or a matrix of 0 and 1; "
            "for more classes leave loss at None"
        )
    n_outputs = 1 if loss == Loss.BINARY_CROSS_ENTROPY else len(classes)
    numbers = np.empty((len(y), 1), dtype)
    for start, part in enumerate(_chunks(y)):
        numbers[start * ROWS_AT_ONCE :][: len(part), 0] = np.searchsorted(classes, part)
    return Targets(numbers, Kind(loss, n_outputs, classes, True))


def _shown(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def smoothed(values: NDArray[Any], loss: Loss, share: float) -> NDArray[Any]:
    """Targets with label smoothing where it is no work of the loss itself."""
    if not share or loss != Loss.BINARY_CROSS_ENTROPY:
        return values
    return np.asarray(values * values.dtype.type(1 - share) + values.dtype.type(share / 2))


def as_weights(
    sample_weight: ArrayLike | None,
    by_class: NDArray[np.float64] | None,
    targets: Targets,
    dtype: np.dtype[Any],
    name: str = "sample_weight",
) -> NDArray[Any] | None:
    """One weight for each sample, its own times its class's, in the working dtype; None where neither is given.

    Raises
    ------
    TypeError, ValueError
        If weights are not finite numbers from 0 on, one for each sample.
    """
    n_samples = len(targets.values)
    called = name if by_class is None else name.replace("sample_weight", "class_weight")
    weights = None if sample_weight is None else finite_weights(sample_weight, n_samples, name)
    if by_class is not None:
        of_samples = by_class[targets.values[:, 0].astype(np.intp)]
        weights = of_samples if weights is None else weights * of_samples
    if weights is None:
        return None
    with np.errstate(over="ignore", under="ignore"):
        cast = weights.astype(dtype)
    with np.errstate(over="ignore"):
        finite = np.isfinite(cast.sum(dtype=np.float64))
    if not finite:
        raise ValueError(f"{called} holds weights too large for {dtype}: scale them, only their ratios count")
    return cast


def class_weights(
    class_weight: Mapping[Any, float] | str | None, targets: Targets, chosen: NDArray[np.intp] | None = None
) -> NDArray[np.float64] | None:
    """A weight for each class, in their order; "balanced" ones are inverse to how often it occurs among the chosen rows.

    Raises
    ------
    TypeError, ValueError
        If there are no classes, a label is unknown or a weight is not a finite number from 0 on.
    """
    if class_weight is None:
        return None
    classes = targets.kind.classes
    if classes is None:
        raise ValueError(f"class_weight={class_weight!r}: there are no classes in y; weight samples, by sample_weight")
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight={class_weight!r}: give 'balanced' or a dict from labels to weights")
        numbers = targets.values[:, 0] if chosen is None else targets.values[chosen, 0]
        counts = np.bincount(numbers.astype(np.intp), minlength=len(classes))
        return np.asarray(len(numbers) / (len(classes) * np.maximum(counts, 1)))
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight={class_weight!r}: give 'balanced' or a dict from labels to weights")
    places = {label: place for place, label in enumerate(classes.tolist())}
    weights = np.ones(len(classes))
    for label, weight in class_weight.items():
        if label not in places:
            raise ValueError(f"class_weight: {_shown(label)} is no label of y; those are {', '.join(map(_shown, classes))}")
        try:
            weights[places[label]] = number = as_float(weight)
        except (TypeError, ValueError):
            raise TypeError(f"class_weight: {weight!r} for {_shown(label)}; give a number from 0 on") from None
        except OverflowError:
            number = np.inf
        if not 0 <= number < np.inf:
            raise ValueError(f"class_weight: {shown(weight)} for {_shown(label)}; give a finite number from 0 on")
    return weights
