"""What nets were asked for, and what came of it, net by net: columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.network import Network
from fastmlp.sweep.configs import DEFAULTS, Config


def names_of(configs: Sequence[Config]) -> list[str]:
    """The parameters that any config names, in the order in which they come up."""
    return list(dict.fromkeys(name for config in configs for name in config))


def values_of(name: str, configs: Sequence[Config], common: Mapping[str, Any]) -> list[Any]:
    """The parameter's value for each net, its own, the common one or the default; None where there is none of these."""
    other = common.get(name, DEFAULTS.get(name))
    return [config.get(name, other) for config in configs]


def differing(configs: Sequence[Config], common: Mapping[str, Any]) -> list[str]:
    """The parameters by which nets differ."""
    return [name for name in names_of(configs) if len({_token(value) for value in values_of(name, configs, common)}) > 1]


def _token(value: Any) -> Any:
    """What is equal where values are, of those without a hash too."""
    if isinstance(value, list | tuple):
        return type(value), tuple(_token(part) for part in value)
    if isinstance(value, dict):
        return dict, tuple((name, _token(part)) for name, part in value.items())
    try:
        hash(value)
    except TypeError:
        return id(value)
    return isinstance(value, bool), value


def column(values: Sequence[Any]) -> NDArray[Any]:
    """Values as an array: of truth values, int64 or float64 where all are such, else of the objects themselves."""
    kinds = {_kind(value) for value in values}
    for dtype, allowed in ((np.bool_, {"b"}), (np.int64, {"i"}), (np.float64, {"i", "f"})):
        if values and kinds <= allowed:
            return np.array(values, dtype)
    objects = np.empty(len(values), object)
    for place, value in enumerate(values):  # NumPy would make a matrix of tuples
        objects[place] = value
    return objects


def _kind(value: Any) -> str:
    """A letter for truth values, integers of 64 bits and floats, another for all else."""
    if isinstance(value, bool | np.bool_):
        return "b"
    if isinstance(value, int | np.integer):
        return "i" if -(1 << 63) <= value < 1 << 63 else "O"
    return "f" if isinstance(value, float | np.floating) else "O"


def score_of(net: Network | None, was_validated: bool) -> float:
    """The larger the better: the best validation score, else minus the last loss; -inf where the net only diverged."""
    if net is None:
        return np.nan
    if net.best_epoch is not None and net.validation_scores is not None:
        return float(net.validation_scores[net.best_epoch - 1])
    if net.status == "diverged":
        return -np.inf
    if was_validated or not net.n_epochs:
        return np.nan
    return -float(net.loss_curve[-1])


def measure_of(net: Network, metric: Any) -> str:
    """What the net's score is, in words; scores of different measures cannot be compared."""
    if net.best_epoch is not None and metric != "loss":
        return f"held-out {metric if isinstance(metric, str) else 'metric'}"
    # Of two classes either loss is minus the mean log-likelihood.
    of_classes = net.classes is not None
    loss = "cross entropy" if of_classes else net.loss.name.lower().replace("_", " ")
    return f"minus the {'training' if net.best_epoch is None else 'held-out'} {loss}"
