"""Sweeps in one safetensors file: all nets' parameters of a dtype in one array, their curves likewise."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import storage
from fastmlp.headers import (
    LARGEST_WHOLE,
    HeaderError,
    anything,
    check_arrays,
    list_of,
    nothing_or,
    one_of,
    record,
    row_of,
    shown,
    text,
    whole,
)
from fastmlp.labels import LABELS, check_labels, described_labels, labels_of
from fastmlp.network import STATUSES, Network
from fastmlp.storage import FLOATS, SWEEP
from fastmlp.sweep.configs import Config
from fastmlp.sweep.tasks import Outcome
from fastmlp.sweep.values import as_json, from_json

FORMAT = 1
# A net's arrays. Those of a name and a dtype lie one behind another, net after net, as long as `lengths` says.
FIELDS = ("params", *storage.CURVES)
# Other errors come back as RuntimeError.
ERRORS = {"TypeError": TypeError, "ValueError": ValueError}

_FLOAT, _PERHAPS_FLOAT = one_of(FLOATS), nothing_or(one_of(FLOATS))
_KIND = record(
    {
        **storage.NETWORK,
        "labels": nothing_or(whole()),
        "dtypes": row_of(_FLOAT, _FLOAT, _PERHAPS_FLOAT, _PERHAPS_FLOAT),
    },
    storage.STATUS,
)
HEADER = record(
    {
        "format": whole(1),
        "configs": list_of(anything),
        "common": anything,
        "statuses": list_of(one_of([*STATUSES, "failed"])),
        "errors": list_of(row_of(whole(), text, text)),
        "kinds": list_of(_KIND),
        "labels": list_of(LABELS),
    },
    {"messages": list_of(row_of(whole(), text))},
)


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
            described = described_labels(classes)
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
        "messages": [[outcome.place, outcome.message] for outcome in outcomes if outcome.message is not None],
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
    return storage.write(path, SWEEP, {**header, "kinds": kinds.header, "labels": kinds.labels}, arrays, _check)


def load(path: str | os.PathLike[str]) -> tuple[list[Config], Config, list[Outcome]]:
    """The configs, the common parameters and the outcomes that `save` wrote; see :meth:`Sweep.load`."""
    header, arrays = storage.read(path, SWEEP, FORMAT, _check)
    with storage.believed(path, SWEEP):
        configs, common = [_config_of(config) for config in header["configs"]], _config_of(header["common"])
    errors = {place: ERRORS.get(kind, RuntimeError)(message) for place, kind, message in header["errors"]}
    # Files of older versions have none.
    messages = dict(header.get("messages", []))
    nets, seconds = _networks(header, arrays), arrays["seconds"].tolist()
    outcomes = [
        Outcome(place, net, header["statuses"][place], errors.get(place), seconds[place], messages.get(place))
        for place, net in enumerate(nets)
    ]
    return configs, common, outcomes


def _config_of(kept: Any) -> Config:
    config = from_json(kept)
    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise HeaderError(f"the config {shown(kept)} is no dict of parameters")
    return config


def _check(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise HeaderError where header and arrays are not those of a sweep; configs are checked when they are read."""
    HEADER(header, "the header")
    n_nets, kinds, labels = len(header["statuses"]), header["kinds"], header["labels"]
    if len(header["configs"]) != n_nets:
        raise HeaderError(f"there are {len(header['configs'])} configs for {n_nets} nets")
    failed = [place for place, _, _ in header["errors"]]
    if len(set(failed)) < len(failed) or max(failed, default=-1) >= n_nets:
        raise HeaderError(f"errors are of the nets {shown(failed)}, of {n_nets}, and some stand there twice")
    told = [place for place, _ in header.get("messages", [])]
    if len(set(told)) < len(told) or max(told, default=-1) >= n_nets:
        raise HeaderError(f"messages are of the nets {shown(told)}, of {n_nets}, and some stand there twice")
    check_labels(labels)
    for place, kind in enumerate(kinds):
        if kind["labels"] is not None:
            whole(0, len(labels) - 1)(kind["labels"], f"the labels of kinds[{place}]")
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
        "kinds": (np.int32, (n_nets,)),
        "best_epochs": (np.int64, (n_nets,)),
        "seconds": (np.float64, (n_nets,)),
        "lengths": (np.int64, (n_nets, len(FIELDS))),
    }
    check_arrays({name: array for name, array in arrays.items() if name in wanted}, wanted)
    if not np.isfinite(arrays["seconds"]).all():
        raise HeaderError("the seconds are not all finite")
    totals = _check_nets(header, arrays)
    check_arrays(arrays, wanted | {name: (name.split(".")[1], (total,)) for name, total in totals.items()})
    storage.check_finite({name: array for name, array in arrays.items() if name.startswith("params.")})


def _check_nets(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Counter[str]:
    """Raise HeaderError where a net's kind or lengths cannot be; how long the arrays of all nets are."""
    kinds, labels = header["kinds"], header["labels"]
    totals: Counter[str] = Counter()
    # Of 10,000 nets few differ in these.
    known: set[tuple[int, ...]] = set()
    parts = zip(arrays["kinds"].tolist(), arrays["best_epochs"].tolist(), arrays["lengths"].tolist(), strict=True)
    for place, (number, best_epoch, lengths) in enumerate(parts):
        whole(-1, len(kinds) - 1)(number, f"kinds[{place}]")
        dtypes = [None] * len(FIELDS) if number < 0 else kinds[number]["dtypes"]
        for name, dtype, length in zip(FIELDS, dtypes, lengths, strict=True):
            whole(0, 0 if dtype is None else LARGEST_WHOLE)(length, f"the length of {name} of net {place}")
            if dtype is not None:
                totals[f"{name}.{dtype}"] += length
        key = (number, best_epoch, *lengths)
        if number < 0 or key in known:
            continue
        known.add(key)
        kind = kinds[number]
        n_params = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(kind["sizes"]))
        if lengths[0] != n_params:
            raise HeaderError(f"net {place} has {lengths[0]} parameters, but {n_params} by its sizes")
        whole()(best_epoch, f"best_epochs[{place}]")
        curves = {name: length for name, dtype, length in zip(FIELDS, dtypes, lengths, strict=True) if dtype is not None}
        del curves["params"]
        storage.check_described(
            kind, None if kind["labels"] is None else labels[kind["labels"]], curves, best_epoch or None
        )
    return totals


def _networks(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Iterator[Network | None]:
    labels = [labels_of(described) for described in header["labels"]]
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
