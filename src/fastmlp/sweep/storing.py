"""Sweeps in one safetensors file: all nets' parameters of a dtype in one array, their curves likewise."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import storage
from fastmlp.network import Network
from fastmlp.storage import SWEEP
from fastmlp.sweep.configs import Config
from fastmlp.sweep.tasks import Outcome
from fastmlp.sweep.values import as_json, from_json

FORMAT = 1
# A net's arrays. Those of a name and a dtype lie one behind another, net after net, as long as `lengths` says.
FIELDS = ("params", *storage.CURVES)
# Other errors come back as RuntimeError.
ERRORS = {"TypeError": TypeError, "ValueError": ValueError}


class _Kinds:
    """What nets are beside their numbers: of 10,000 nets there are few kinds."""

    def __init__(self) -> None:
        self.header: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any] | None] = []
        self._known: dict[Any, int] = {}
        self._texts: dict[str, int] = {}
        # The labels are kept alive: their ids must not become another's.
        self._seen: dict[int, tuple[Any, int]] = {}

    def place_of(self, net: Network) -> int:
        """Where the kind of this net stands in the header."""
        labels = self._place_of_labels(net.classes)
        arrays = [getattr(net, name) for name in FIELDS]
        dtypes = [None if array is None else array.dtype.name for array in arrays]
        key = (net.sizes, net.activations, net.loss, net.flat_targets, net.status, labels, *dtypes)
        if key not in self._known:
            self._known[key] = len(self.header)
            self.header.append({**storage.described(net), "labels": labels, "dtypes": dtypes})
        return self._known[key]

    def _place_of_labels(self, classes: NDArray[Any] | None) -> int | None:
        if classes is None:
            return None
        if id(classes) not in self._seen:
            described = storage.described_labels(classes)
            # As text, since 1 and True are equal.
            place = self._texts.setdefault(json.dumps(described), len(self.labels))
            if place == len(self.labels):
                self.labels.append(described)
            self._seen[id(classes)] = classes, place
        return self._seen[id(classes)][1]


def save(
    path: str | os.PathLike[str], configs: Sequence[Config], common: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> Path:
    """Write a sweep, whole or not at all; see :meth:`Sweep.save`."""
    kinds = _Kinds()
    nets = [outcome.network for outcome in outcomes]
    header = {
        "format": FORMAT,
        "configs": [as_json(config) for config in configs],
        "common": as_json(dict(common)),
        "statuses": [outcome.status for outcome in outcomes],
        "errors": [[outcome.place, *_told(outcome.error)] for outcome in outcomes if outcome.error is not None],
    }
    arrays: dict[str, NDArray[Any]] = {
        "kinds": np.array([-1 if net is None else kinds.place_of(net) for net in nets], np.int32),
        "best_epochs": np.array([0 if net is None or net.best_epoch is None else net.best_epoch for net in nets], np.int64),
        "seconds": np.array([outcome.seconds for outcome in outcomes], np.float64),
        "lengths": np.zeros((len(nets), len(FIELDS)), np.int64),
    }
    parts: dict[str, list[NDArray[Any]]] = {}
    for place, net in enumerate(nets):
        for number, name in enumerate(FIELDS):
            array = getattr(net, name, None)
            if array is not None:
                arrays["lengths"][place, number] = array.size
                parts.setdefault(f"{name}.{array.dtype.name}", []).append(array)
    arrays.update({name: np.concatenate(those) for name, those in parts.items()})
    return storage.write(path, SWEEP, {**header, "kinds": kinds.header, "labels": kinds.labels}, arrays)


def load(path: str | os.PathLike[str]) -> tuple[list[Config], Config, list[Outcome]]:
    """The configs, the common parameters and the outcomes that `save` wrote; see :meth:`Sweep.load`."""
    header, arrays = storage.read(path, SWEEP, FORMAT)
    errors = {place: ERRORS.get(kind, RuntimeError)(message) for place, kind, message in header["errors"]}
    nets, seconds = _networks(header, arrays), arrays["seconds"].tolist()
    outcomes = [
        Outcome(place, net, header["statuses"][place], errors.get(place), seconds[place]) for place, net in enumerate(nets)
    ]
    return [from_json(config) for config in header["configs"]], from_json(header["common"]), outcomes


def _networks(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Iterator[Network | None]:
    labels = [storage.labels_of(described) for described in header["labels"]]
    lengths, best_epochs = arrays["lengths"].tolist(), arrays["best_epochs"].tolist()
    reached = dict.fromkeys(arrays, 0)
    for place, number in enumerate(arrays["kinds"].tolist()):
        if number < 0:
            yield None
            continue
        kind, taken = header["kinds"][number], {}
        for field, dtype, length in zip(FIELDS, kind["dtypes"], lengths[place], strict=True):
            if dtype is not None:
                name = f"{field}.{dtype}"
                start, reached[name] = reached[name], reached[name] + length
                # A copy: who keeps one net must not keep the numbers of all.
                taken[field] = arrays[name][start : start + length].copy()
        classes = None if kind["labels"] is None else labels[kind["labels"]]
        yield storage.network_of(kind, taken.pop("params"), classes, taken, best_epochs[place] or None)


def _told(error: Exception) -> tuple[str, str]:
    """An error's kind, among those that come back as what they are, and its message."""
    for name, kind in ERRORS.items():
        if isinstance(error, kind):
            return name, str(error)
    return type(error).__name__, str(error)
