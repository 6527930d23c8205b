"""The parameters of ``train``, checked before any work starts."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fastmlp.checks import as_float, check_room, is_truth, shown
from fastmlp.initialise import Random
from fastmlp.notices import warn
from fastmlp.options import Activation, Hyperparameters

Choice = TypeVar("Choice", bound=IntEnum)
AUTO_BATCH = 200
# What the compiled code can count to.
LARGEST = (1 << 63) - 1
# For each parameter: a start weight in float64, the weight and its gradient in float32. For each epoch: its rate in
# float64, the rate as it is taken and the loss in float32.
LEAST_BYTES = 16
NOT_ZERO = ("learning_rate", "max_grad_norm", "delta", "epsilon")


def whole(name: str, value: Any, least: int = 1, most: float = LARGEST) -> int:
    """`value` as an int of at least `least`; TypeError or ValueError where it is none."""
    try:
        if is_truth(value):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r}: give a whole number from {least} on") from None
    if number < least:
        raise ValueError(f"{name}={shown(value)}: give a whole number from {least} on")
    if number > most:
        raise ValueError(f"{name}={shown(value)}: give a whole number from {least} to {most}")
    return number


def truth(name: str, value: Any) -> bool:
    """`value`, which must be True or False; TypeError where it is neither."""
    if not is_truth(value):
        raise TypeError(f"{name}={value!r}: give True or False")
    return bool(value)


def is_sequence(value: Any) -> bool:
    """Whether `value` is a list, a tuple or an array, and no text."""
    if isinstance(value, str | bytes | bytearray):
        return False
    return isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim > 0)


def real(name: str, value: Any, low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> float:
    """`value` as a finite float between the bounds; `above` and `below` leave the bounds themselves out."""
    expected = f"{'above' if above else 'from'} {low:g}{' on' if not above and high == math.inf else ''}"
    if high < math.inf:
        expected += f" {'and below' if below else 'to'} {high:g}"
    try:
        number = as_float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}={value!r}: give a number {expected}") from None
    except OverflowError:
        number = math.inf
    inside = (number > low if above else number >= low) and (number < high if below else number <= high)
    if not inside or not math.isfinite(number):
        raise ValueError(f"{name}={shown(value)}: give a finite number {expected}")
    return number


def in_dtype(name: str, values: NDArray[np.float64] | np.float64, dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` in the working dtype; ValueError where it cannot hold them, or rounds to 0 what must not be."""
    with np.errstate(over="ignore", under="ignore"):
        cast = np.asarray(values).astype(dtype)
    wrong = ~np.isfinite(cast) | ((cast == 0) & (np.asarray(values) != 0) & (name in NOT_ZERO))
    if wrong.any():
        raise ValueError(f"{name}: {np.asarray(values)[wrong].flat[0]:g} is out of {dtype}'s range; give dtype='float64'")
    return cast


def check_hyperparameters(settings: Hyperparameters, dtype: np.dtype[Any]) -> None:
    """Raise ValueError where the working dtype cannot hold one."""
    named = [
        (name, value)
        for name, given in settings._asdict().items()
        for value in (given if isinstance(given, tuple) else (given,))
    ]
    numbers = np.array([value for _, value in named], np.float64)
    with np.errstate(over="ignore", under="ignore"):
        cast = numbers.astype(dtype)
    # One look at them all together takes far less time than one at each.
    if np.isfinite(cast).all() and ((cast != 0) == (numbers != 0)).all():
        return
    for name, value in named:
        in_dtype(name, np.float64(value), dtype)


def choice(name: str, value: Any, options: type[Choice]) -> Choice:
    """The member of `options` that `value` names."""
    if isinstance(value, options):
        return value
    names = {member.name.lower(): member for member in options}
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name}={value!r} is unknown: choose one of {', '.join(map(repr, names))}")
    return names[value]


def hidden_sizes(hidden: int | Sequence[int]) -> tuple[int, ...]:
    """Units of each hidden layer; ``()`` for none."""
    if not is_sequence(hidden):
        return (whole("hidden", hidden),)
    return tuple(whole(f"hidden[{place}]", size) for place, size in enumerate(cast(Sequence[int], hidden)))


def check_parameters(name: str, hidden: Any, sizes: Sequence[int]) -> None:
    """Raise ValueError where the machine has no room for a net of these layers, of which `hidden` are called `name`."""
    n_params = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
    check_room(f"{name}={hidden!r}: a net of {n_params:.3g} parameters", LEAST_BYTES * n_params)


def check_epochs(name: str, epochs: int) -> None:
    """Raise ValueError where the machine has no room for what is kept of each epoch."""
    check_room(f"{name}={epochs}: what is kept of so many epochs", LEAST_BYTES * epochs)


def hidden_activations(activation: str | Activation | Sequence[str], n_hidden: int) -> tuple[Activation, ...]:
    """The activation of each hidden layer, from one for all or a sequence."""
    if isinstance(activation, (str, Activation)) or not isinstance(activation, Sequence):
        return (choice("activation", activation, Activation),) * n_hidden
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation has {len(activation)} entries, but there are {n_hidden} hidden layers; "
            "give one for each, or one name for all"
        )
    return tuple(choice(f"activation[{place}]", name, Activation) for place, name in enumerate(activation))


def dropout_shares(dropout: float | Sequence[float], n_hidden: int) -> tuple[float, ...]:
    """The share of each hidden layer's outputs that an update leaves out; empty where there is none to leave out."""
    if is_sequence(dropout):
        dropout = cast(Sequence[float], dropout)
        if len(dropout) != n_hidden:
            raise ValueError(
                f"dropout has {len(dropout)} entries, but there are {n_hidden} hidden layers; "
                "give one for each, or one number for all"
            )
        shares = tuple(real(f"dropout[{place}]", share, 0, 1, below=True) for place, share in enumerate(dropout))
    else:
        shares = (real("dropout", dropout, 0, 1, below=True),) * n_hidden
    return shares if any(shares) else ()


def pair(name: str, values: Any, low: float, middle: float) -> tuple[float, float]:
    """Two numbers, the first above `low` and at most `middle`, the second from `middle` on; `middle` 0 only orders them."""
    if not is_sequence(values) or len(values) != 2:
        raise TypeError(f"{name}={values!r}: give two numbers")
    first, second = values
    first, second = real(f"{name}[0]", first, low, above=True), real(f"{name}[1]", second, low, above=True)
    if first > second or (middle and not first <= middle <= second):
        order = f"the first no more and the second no less than {middle:g}" if middle else "the lesser one first"
        raise ValueError(f"{name}={values!r}: give two numbers, {order}")
    return first, second


def checked_batch_size(batch_size: int | str | None) -> int | str | None:
    """A whole number, "auto" or None; TypeError or ValueError for what is neither."""
    if batch_size is None:
        return None
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise ValueError(f"batch_size={batch_size!r}: give a whole number, 'auto', or None for full batches")
        return batch_size
    return whole("batch_size", batch_size)


def rows_per_batch(batch_size: int | str | None, n_samples: int) -> int:
    """Rows in a batch: all for None, min(200, n) for "auto"; more than there are is clipped with a warning."""
    if batch_size is None:
        return n_samples
    if isinstance(batch_size, str):
        return min(AUTO_BATCH, n_samples)
    if batch_size > n_samples:
        warn(
            f"batch_size={batch_size} is more than the {n_samples} samples; each batch has them all",
            UserWarning,
        )
    return min(batch_size, n_samples)


def random_source(seed: int | Random | None, name: str = "seed") -> Random:
    """Where random numbers come from."""
    if isinstance(seed, (np.random.Generator, np.random.RandomState)):
        return seed
    if seed is None:
        return np.random.default_rng()
    try:
        return np.random.default_rng(whole(name, seed, 0, math.inf))
    except TypeError:
        raise TypeError(
            f"{name}={seed!r}: give a whole number from 0 on, a numpy.random.Generator or RandomState, or None"
        ) from None
