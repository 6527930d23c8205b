"""Values of configs as JSON, and back as they were; nothing is ever unpickled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.headers import HeaderError, shown, text
from fastmlp.labels import check_labels
from fastmlp.options import Activation, Loss, Solver

PLAIN = (bool, int, float, str, type(None))
OPTIONS = {option.__name__: option for option in (Activation, Loss, Solver)}
DTYPES = {"float32": np.float32, "float64": np.float64}
LONGEST_TEXT = 200


@dataclass(frozen=True)
class NotKept:
    """Stands, in a sweep that was loaded, for a value that a file does not hold: an array, a function, a Generator.

    Attributes
    ----------
    text : str
        What it was.
    """

    text: str

    def __repr__(self) -> str:
        return f"<not kept: {self.text}>"


def as_json(value: Any) -> Any:
    """What JSON has of a value: itself, or a dict of one entry that says what it is."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is list:
        return [as_json(part) for part in value]
    if kind is tuple:
        return {"tuple": [as_json(part) for part in value]}
    if kind is dict:
        return {"dict": [[as_json(name), as_json(part)] for name, part in value.items()]}
    if kind in OPTIONS.values():
        return {"option": [kind.__name__, value.name]}
    if isinstance(value, np.generic) and value.dtype.kind in "biufU" and (value.dtype.kind == "U" or value.itemsize <= 8):
        return {"numpy": [value.dtype.str, value.item()]}
    if kind is type and value in DTYPES.values():
        return {"type": value.__name__}
    if isinstance(value, np.dtype) and value in (np.float32, np.float64):
        return {"dtype": value.name}
    return {"not kept": value.text if kind is NotKept else _told(value)}


def from_json(kept: Any) -> Any:
    """The value that `as_json` wrote so; HeaderError where it did not."""
    if isinstance(kept, list):
        return [from_json(part) for part in kept]
    if not isinstance(kept, dict):
        return kept
    try:
        ((kind, content),) = kept.items()
        return READERS[kind](content)
    except HeaderError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError):
        raise HeaderError(f"{shown(kept)} is no value that a config has") from None


def _scalar(parts: Any) -> Any:
    """The NumPy scalar of a dtype, by its name, and a value that it holds."""
    dtype, value = parts
    if dtype == "object":
        raise HeaderError("a scalar is no object")
    # What is infinite is no label, but may be asked for.
    as_label = 0.0 if isinstance(value, float) and not math.isfinite(value) else value
    check_labels([{"dtype": dtype, "values": [as_label]}])
    return np.dtype(dtype).type(value)


def _text(value: Any) -> str:
    text(value, "what is told of a value")
    return str(value)


READERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda parts: tuple(from_json(part) for part in parts),
    "dict": lambda pairs: {from_json(name): from_json(part) for name, part in pairs},
    "option": lambda names: OPTIONS[names[0]][names[1]],
    "numpy": _scalar,
    "type": DTYPES.__getitem__,
    "dtype": lambda name: np.dtype(DTYPES[name]),
    "not kept": lambda value: NotKept(_text(value)),
}


def _told(value: Any) -> str:
    """What a value is, in short."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}, {value.dtype}"
    # Where in memory a function was tells nothing.
    name = getattr(value, "__qualname__", None)
    text = f"{type(value).__name__} {name}" if isinstance(name, str) else repr(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."
