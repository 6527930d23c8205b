"""Several nets that predict together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.inputs import in_parts
from fastmlp.network import Network, Predictor


class Ensemble(Predictor):
    """Nets whose predictions are averaged: probabilities of classes and labels, or values.

    ``predict``, ``predict_proba`` and ``score`` are those of :class:`fastmlp.Network`, of the mean over the nets. It is
    summed in float64, and given in the nets' dtype; of nets of both dtypes in float64.

    Parameters
    ----------
    networks : sequence of Network
        All for the same features, and either for the same classes, for as many labels, or for as many values. Nets with one
        logistic output for two classes go together with those that have an output for each.

    Attributes
    ----------
    networks : tuple of Network
    classes : ndarray or None
        The labels, sorted, in the order of `predict_proba`'s columns; None for regression and multilabel nets.
    flat_targets : bool
        Whether `y` had one dimension, so that `predict` returns one.

    Raises
    ------
    TypeError
        If one of `networks` is no Network.
    ValueError
        If there is none, or they do not predict the same.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        if not isinstance(networks, Iterable):
            raise TypeError(f"networks={networks!r}: give a list of Networks")
        self.networks = tuple(networks)
        if not self.networks:
            raise ValueError("networks is empty: give at least one Network")
        for place, net in enumerate(self.networks):
            if not isinstance(net, Network):
                raise TypeError(f"networks[{place}]={net!r}: give a Network")
            _check_alike(place, net, self.networks[0])
        self.classes, self.flat_targets = self.networks[0].classes, self.networks[0].flat_targets

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)} {'net' if len(self) == 1 else 'nets'}, {_told(self.networks[0])}>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: what predictions are given in."""
        return np.result_type(*{net.dtype for net in self.networks})

    @property
    def is_classifier(self) -> bool:
        """Whether classes or labels are predicted, not values."""
        return self.networks[0].is_classifier

    def _outputs(self, X: Any) -> NDArray[Any]:
        """The mean of the nets' probabilities (n_samples, n_classes or n_labels), or of their values."""
        total: NDArray[np.float64] | None = None
        for dtype in dict.fromkeys(net.dtype for net in self.networks):
            alike = [net for net in self.networks if net.dtype == dtype]
            # What costs most of a small net's prediction is to check and convert X: once for all of a dtype.
            sums = [_summed(alike, rows, first) for rows, first in in_parts(X, dtype)]
            of_dtype = sums[0] if len(sums) == 1 else np.concatenate(sums)
            total = of_dtype if total is None else total + of_dtype
        assert total is not None
        return (total / len(self)).astype(self.dtype, copy=False)


def _summed(networks: Sequence[Network], rows: NDArray[Any], first: int) -> NDArray[np.float64]:
    total = networks[0]._probabilities(networks[0]._outputs_of(rows, first)).astype(np.float64)
    for net in networks[1:]:
        total += net._probabilities(net._outputs_of(rows, first))
    return total


def _check_alike(place: int, net: Network, first: Network) -> None:
    """Raise ValueError where a net does not predict what the first one does."""
    ours, theirs = _told(net), _told(first)
    if ours == theirs and net.classes is not None:
        assert first.classes is not None
        if net.classes.dtype.kind != first.classes.dtype.kind or not np.array_equal(net.classes, first.classes):
            ours, theirs = (f"the classes {_some(each.classes)}" for each in (net, first))
    if ours == theirs and net.flat_targets != first.flat_targets:
        ours, theirs = (f"{'one dimension' if each.flat_targets else 'two dimensions'}" for each in (net, first))
    if ours == theirs and net.sizes[0] != first.sizes[0]:
        raise ValueError(
            f"networks[{place}] takes {net.sizes[0]} features, but networks[0] takes {first.sizes[0]}: give nets that were "
            "trained on the same features"
        )
    if ours != theirs:
        raise ValueError(
            f"networks[{place}] predicts {ours}, but networks[0] predicts {theirs}: give nets that predict the same"
        )


def _told(net: Network) -> str:
    """What a net predicts, in words."""
    if net.classes is not None:
        count, what = len(net.classes), "class"
    else:
        count, what = net.sizes[-1], "label" if net.is_classifier else "value"
    plural = {"class": "classes"}.get(what, f"{what}s")
    return f"{count} {what if count == 1 else plural}"


def _some(classes: Any) -> str:
    """The labels, or the first of them."""
    shown = ", ".join(repr(label) for label in classes[:5].tolist())
    return f"{shown}{', ...' if len(classes) > 5 else ''}"
