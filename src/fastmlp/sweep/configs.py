"""What each net of a sweep is asked for: from lists, grids or distributions to parameters of ``train``, seeds settled."""

from __future__ import annotations

import copy
import difflib
import inspect
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastmlp.arguments import random_source, whole
from fastmlp.notices import warn
from fastmlp.training import train

Config = dict[str, Any]
# What `train` takes beside X and y, with its defaults.
DEFAULTS: Config = {
    name: parameter.default
    for name, parameter in inspect.signature(train).parameters.items()
    if parameter.default is not inspect.Parameter.empty
}
# What the sweep sees to itself.
OF_THE_SWEEP = ("threads", "progress")
# What is one net's alone.
OF_ONE_NET = ("checkpoint", "checkpoint_seconds")
# Seeds drawn for those who gave none are below this.
SEEDS = 1 << 63
# Of larger grids the combinations are not all numbered to draw some.
MOST_PERMUTED = 1 << 20
DIGIT = 16


def expanded(configs: Any, n_draws: int | None, draw_seed: Any) -> list[Config]:
    """A config for each net.

    A list stays as it is; of a mapping of lists comes every combination, the last name in the alphabet varying fastest, as
    in scikit-learn's ParameterGrid; with `n_draws` so many of these, no two alike, or, with distributions (anything with
    ``rvs``), so many draws.

    Raises
    ------
    TypeError, ValueError
        If there is no config, one is no mapping, or a mapping holds neither lists nor distributions.
    """
    if isinstance(configs, Mapping):
        return _of_mapping(configs, n_draws, draw_seed)
    if n_draws is not None:
        raise ValueError(
            f"n_draws={n_draws!r}: there is nothing to draw from; give configs as a mapping of lists or distributions"
        )
    if isinstance(configs, str) or not isinstance(configs, Iterable):
        raise TypeError(f"configs={configs!r}: give a list of dicts of train's parameters, or a mapping of lists")
    chosen = list(configs)
    for place, config in enumerate(chosen):
        if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
            raise TypeError(f"configs[{place}]={config!r}: give a dict of train's parameters by name")
    if not chosen:
        raise ValueError("configs is empty: give at least one dict of train's parameters, {} for its defaults")
    return [dict(config) for config in chosen]


def _of_mapping(configs: Mapping[str, Any], n_draws: int | None, draw_seed: Any) -> list[Config]:
    for name in configs:
        if not isinstance(name, str):
            raise TypeError(f"configs has the name {name!r}: give train's parameters by name")
    names = sorted(configs)
    drawn = [name for name in names if hasattr(configs[name], "rvs")]
    values: dict[str, Any] = {name: configs[name] if name in drawn else _listed(name, configs[name]) for name in names}
    if drawn and n_draws is None:
        raise ValueError(f"n_draws=None: configs[{drawn[0]!r}] is a distribution; say how many configs to draw")
    if n_draws is None:
        return [dict(zip(names, point, strict=True)) for point in itertools.product(*values.values())]
    n_draws, random = whole("n_draws", n_draws), random_source(draw_seed, "draw_seed")
    if not drawn:
        return _some_of_grid(values, n_draws, random)
    return [
        {
            name: _plain(values[name].rvs(random_state=random))
            if name in drawn
            else values[name][int(_integer(random, len(values[name])))]
            for name in names
        }
        for _ in range(n_draws)
    ]


def _some_of_grid(values: dict[str, Any], n_draws: int, random: Any) -> list[Config]:
    size = math.prod(map(len, values.values()))
    if n_draws > size:
        warn(f"n_draws={n_draws} is more than the {size} combinations there are; each is taken once", UserWarning)
    points = []
    for number in _different(random, n_draws, size):
        rest, point = number, Config()
        for name in reversed(values):
            rest, place = divmod(rest, len(values[name]))
            point[name] = values[name][place]
        points.append(dict(reversed(point.items())))
    return points


def _different(random: Any, count: int, size: int) -> list[int]:
    """Up to `count` numbers below `size`, no two alike."""
    if size <= MOST_PERMUTED:
        return [int(number) for number in random.permutation(size)[:count]]
    found: dict[int, None] = {}
    while len(found) < min(count, size):
        number, bits = 0, size.bit_length()
        # There may be more than an integer of 64 bits holds.
        for start in range(0, bits, DIGIT):
            more = min(DIGIT, bits - start)
            number = number << more | int(_integer(random, 1 << more))
        if number < size:
            found[number] = None
    return list(found)


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise TypeError(f"configs[{name!r}]={values!r}: give a list of values to try, or what has rvs to draw from")
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if not listed:
        raise ValueError(f"configs[{name!r}] is empty: give at least one value to try, or leave {name} out")
    return listed


def _integer(random: Any, below: int) -> Any:
    return random.integers(below) if isinstance(random, np.random.Generator) else random.randint(below)


def _plain(value: Any) -> Any:
    """Numbers of Python's own, which read better."""
    return value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0) else value


def check_names(names: Iterable[str]) -> None:
    """Raise TypeError where one of the names is no parameter of a net."""
    for name in names:
        if name in OF_THE_SWEEP:
            raise TypeError(f"{name}: the nets share the sweep's; give it to train_many")
        if name in OF_ONE_NET:
            raise TypeError(f"{name}: a file has one net's training; give it to train")
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, 1)
            hint = f"did you mean {near[0]!r}?" if near else "see fastmlp.train for those there are"
            raise TypeError(f"{name}: train has no such parameter; {hint}")


def settle_seeds(configs: list[Config], common: Mapping[str, Any]) -> list[Any]:
    """Give each config a seed of its own, so that it says all about its net; return what each net is to draw from.

    An int stays. Where several configs share a Generator, each gets one of its children (``Generator.spawn``), and of a
    RandomState an int drawn from it, in the configs' order; nets draw from copies of these, so that those in the configs
    give the nets again. Where there is no seed one is drawn, unless a net goes on from another's numbers.
    """
    shared: dict[int, list[int]] = {}
    for place, config in enumerate(configs):
        seed = config.setdefault("seed", common.get("seed"))
        if seed is None and getattr(config.get("start", common.get("start")), "_training", None) is not None:
            continue
        if seed is None or isinstance(seed, np.random.Generator | np.random.RandomState):
            shared.setdefault(id(seed), []).append(place)
    sources = [config["seed"] for config in configs]
    for places in shared.values():
        seed = sources[places[0]]
        if seed is None:
            seeds: Any = np.random.default_rng().integers(SEEDS, size=len(places)).tolist()
        elif len(places) == 1:
            continue
        elif isinstance(seed, np.random.Generator):
            seeds = seed.spawn(len(places))
        else:
            seeds = [np.random.RandomState(number) for number in seed.randint(1 << 31, size=len(places), dtype=np.int64)]
        for place, own in zip(places, seeds, strict=True):
            configs[place]["seed"], sources[place] = own, copy.deepcopy(own)
    return sources
