"""Start weights, drawn in Python so that both engines begin alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.checks import as_array

Random = np.random.Generator | np.random.RandomState
# One over the variance of the normals, from fan_in and fan_out; lecun_normal is the article's.
NORMALS = {
    "glorot_normal": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "he_normal": lambda fan_in, fan_out: fan_in / 2,
    "lecun_normal": lambda fan_in, fan_out: fan_in,
}
NAMES = ("glorot_uniform", *NORMALS)
# Nets with no more parameters than these have their scales remembered: thousands are drawn in a row.
MOST_REMEMBERED = 4096
# Keys are drawn below this.
KEYS = 1 << 62
# Where some of them stand among the numbers that they have ready, and how many those are.
PLACES = {"MT19937": ("pos", 624), "Philox": ("buffer_pos", 4)}
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def draw_key(random: Random) -> int:
    """What decides over counted numbers: those of dropout, or of row orders."""
    if isinstance(random, np.random.Generator):
        return int(random.integers(1, KEYS))
    return int(random.randint(1, KEYS, dtype=np.int64))


class Remembered:
    """A random source as it stood, to draw from again; a copy of a Generator itself takes thirty times as long."""

    def __init__(self, random: Random) -> None:
        self._source: Any = None
        self._state: Any
        if isinstance(random, np.random.Generator):
            self._source, self._state = type(random.bit_generator), random.bit_generator.state
        else:
            self._state = dict(random.get_state(legacy=False))

    @property
    def is_legacy(self) -> bool:
        """Whether it is a RandomState."""
        return self._source is None

    def restored(self) -> Random:
        """A source that draws what the remembered one drew next."""
        if self._source is None:
            random = np.random.RandomState()
            random.set_state(self._state)
            return random
        bits = self._source()
        bits.state = self._state
        return np.random.Generator(bits)

    def put_into(self, random: Random) -> None:
        """Have a source of the same kind draw what the remembered one drew next."""
        if isinstance(random, np.random.Generator):
            random.bit_generator.state = self._state
        else:
            random.set_state(self._state)

    def described(self) -> dict[str, Any]:
        """The source as JSON has it.

        Raises
        ------
        TypeError
            If its bit generator is not one of NumPy's own.
        """
        name, legacy = self._state["bit_generator"], self.is_legacy
        if name not in BIT_GENERATORS or (legacy and name != "MT19937"):
            where = "in a RandomState " if legacy else ""
            raise TypeError(f"the state of a {name} {where}cannot be written: use a generator of NumPy's own")
        return {"legacy": legacy, "state": _listed(self._state)}

    @classmethod
    def of(cls, described: dict[str, Any]) -> Remembered:
        """The source that was described so.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is not what :meth:`described` gives.
        """
        name, legacy = described["state"]["bit_generator"], described["legacy"]
        if name not in BIT_GENERATORS or (legacy and name != "MT19937"):
            raise ValueError(f"{name!r} is no bit generator of NumPy's own")
        remembered = cls(np.random.RandomState() if legacy else np.random.Generator(getattr(np.random, name)()))
        # Places in memory that NumPy does not check.
        place, last = PLACES.get(name, ("", 0))
        where = described["state"]["state"]["pos"] if place == "pos" else described["state"].get(place, 0)
        if type(where) is not int or not 0 <= where <= last:
            raise ValueError(f"{place}={where!r} is no place in the numbers of {name}")
        try:
            remembered._state = _unlisted(described["state"], np.uint32 if name == "MT19937" else np.uint64)
            # What NumPy does not take is refused here.
            remembered.restored()
        except (IndexError, OverflowError, AttributeError) as error:
            raise ValueError(f"no state of {name} ({error})") from None
        return remembered


def _listed(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _listed(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


def _unlisted(state: Any, dtype: Any) -> Any:
    if isinstance(state, dict):
        return {name: _unlisted(value, dtype) for name, value in state.items()}
    return np.array(state, dtype) if isinstance(state, list) else state


def start_params(
    init: str | tuple[Sequence[ArrayLike], Sequence[ArrayLike]],
    sizes: Sequence[int],
    random: Random,
    uniform_factor: float = 6.0,
) -> NDArray[np.float64]:
    """The flat start parameters: all weights, layer after layer, each (fan_in, fan_out), then all biases.

    ``glorot_uniform`` draws weights and biases from +-sqrt(6 / (fan_in + fan_out)), or another factor in place of 6, each
    layer's weights first (Glorot and Bengio 2010; biases as in scikit-learn). The normals leave the biases at zero
    (``he_normal``: He et al. 2015; ``lecun_normal``: LeCun et al. 1998).

    Raises
    ------
    ValueError
        If `init` is an unknown name, or holds arrays of wrong shapes or with values that are not finite.
    TypeError
        If `init` is neither a name nor a pair (weights, biases).
    """
    if isinstance(init, str):
        return _draw(init, tuple(sizes), random, uniform_factor)
    if not isinstance(init, Sequence) or len(init) != 2:
        raise TypeError(f"init={init!r}: give a name ({', '.join(NAMES)}) or a pair (weights, biases)")
    weights, biases = _given(init[0], init[1], sizes)
    return np.concatenate([part.ravel() for part in (*weights, *biases)])


def _draw(name: str, sizes: tuple[int, ...], random: Random, uniform_factor: float) -> NDArray[np.float64]:
    """One draw for all layers: it has the numbers that one for each would have."""
    is_small = sum((a + 1) * b for a, b in pairwise(sizes)) <= MOST_REMEMBERED
    if name == "glorot_uniform":
        bounds, places = (_uniform if is_small else _uniform.__wrapped__)(sizes, uniform_factor)
        return np.asarray((random.random(bounds.size) * (2 * bounds) - bounds)[places])
    if name not in NORMALS:
        raise ValueError(f"init={name!r} is unknown: choose one of {', '.join(NAMES)}, or give (weights, biases)")
    scales = (_scales if is_small else _scales.__wrapped__)(name, sizes)
    params = np.zeros(scales.size + sum(sizes[1:]))
    np.divide(random.standard_normal(scales.size), scales, out=params[: scales.size])
    return params


@lru_cache(maxsize=64)
def _uniform(sizes: tuple[int, ...], factor: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The bound of each number in the order of the draws, a layer's weights and then its biases, and where params stand."""
    layers = list(pairwise(sizes))
    bounds = [np.full((fan_in + 1) * fan_out, math.sqrt(factor / (fan_in + fan_out))) for fan_in, fan_out in layers]
    starts = np.cumsum([0, *((fan_in + 1) * fan_out for fan_in, fan_out in layers)])
    weights = [start + np.arange(a * b) for start, (a, b) in zip(starts, layers, strict=False)]
    biases = [start + np.arange(a * b, (a + 1) * b) for start, (a, b) in zip(starts, layers, strict=False)]
    return np.concatenate(bounds), np.concatenate([*weights, *biases])


@lru_cache(maxsize=64)
def _scales(name: str, sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """What each weight of a standard normal distribution is divided by."""
    layers = pairwise(sizes)
    return np.concatenate([np.full(a * b, math.sqrt(NORMALS[name](a, b))) for a, b in layers])


def _given(weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], sizes: Sequence[int]) -> tuple[list[Any], list[Any]]:
    parts: tuple[list[Any], list[Any]] = ([], [])
    kinds: list[tuple[str, Sequence[ArrayLike], Any, list[Any]]] = [
        ("weights", weights, [*pairwise(sizes)], parts[0]),
        ("biases", biases, [(size,) for size in sizes[1:]], parts[1]),
    ]
    for name, arrays, wanted, part in kinds:
        if not isinstance(arrays, (Sequence, np.ndarray)) or isinstance(arrays, str):
            raise TypeError(f"init: {name} are {arrays!r}; give a list with an array for each layer")
        if len(arrays) != len(wanted):
            raise ValueError(f"init: {len(arrays)} {name} given, but the net has {len(wanted)} layers; give one for each")
        for layer, (array, shape) in enumerate(zip(arrays, wanted, strict=True)):
            values = _numbers(f"{name}[{layer}]", array)
            # The article's own biases are (1, n).
            if name == "biases" and values.shape == (1, *shape):
                values = values[0]
            if values.shape != shape:
                raise ValueError(f"init: {name}[{layer}] has shape {values.shape}, but the net needs {shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"init: {name}[{layer}] holds NaN or infinity; give finite start values")
            part.append(values)
    return parts


def _numbers(name: str, array: ArrayLike) -> NDArray[np.float64]:
    values = as_array(f"init: {name}", array)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"init: {name} holds {values.dtype} values; give real numbers")
    return values.astype(np.float64)
