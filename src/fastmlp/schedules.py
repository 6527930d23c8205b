"""Learning-rate schedules: functions of the epoch, counted from 0, that return a factor on the learning rate.

``train`` evaluates a schedule once, before training, so any Python function will do and none costs time in the loop. Epochs
count on where a training goes on from another's net.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.checks import as_float, is_truth, shown

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class _WithWarmup:
    """A schedule that first climbs in equal steps over `warmup` epochs, and whose own epochs begin after them."""

    warmup: int

    def __post_init__(self) -> None:
        _require(lambda epochs: epochs >= 0 and epochs.is_integer(), "warmup", self.warmup, "a whole number from 0 on")

    def __call__(self, epoch: int) -> float:
        if epoch < self.warmup:
            return (epoch + 1) / (self.warmup + 1)
        return self.factor(epoch - self.warmup)

    def factor(self, epoch: int) -> float:
        """The factor after the warm-up."""
        return 1.0


@dataclass(frozen=True)
class _Exponential(_WithWarmup):
    decay: float

    def factor(self, epoch: int) -> float:
        return float(self.decay**epoch)


@dataclass(frozen=True)
class _InverseTime(_WithWarmup):
    decay: float

    def factor(self, epoch: int) -> float:
        return 1 / (1 + self.decay * epoch)


@dataclass(frozen=True)
class _Step(_WithWarmup):
    every: int
    decay: float

    def factor(self, epoch: int) -> float:
        return float(self.decay ** (epoch // self.every))


@dataclass(frozen=True)
class _Cosine(_WithWarmup):
    epochs: int
    final: float

    def factor(self, epoch: int) -> float:
        share = min(1.0, epoch / max(1, self.epochs - self.warmup))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class InverseScaling:
    """A schedule that counts samples, and so is complete once it knows how many an epoch has."""

    power_t: float

    def of(self, n_samples: int) -> Schedule:
        """The factor by epoch, of epochs with so many samples."""
        return lambda epoch: (epoch * n_samples + 1) ** -self.power_t


@dataclass(frozen=True)
class Adaptive:
    """A schedule that goes by how training goes, and so is none of the epoch."""

    decay: float
    least: float


def _require(condition: Callable[[float], bool], name: str, value: object, expected: str) -> None:
    try:
        number = as_float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}={value!r}: give {expected}") from None
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and condition(number)):
        raise ValueError(f"{name}={shown(value)}: give {expected}")


AnySchedule = str | Schedule | InverseScaling | Adaptive | None


def constant(*, warmup: int = 0) -> Schedule:
    """Keep the rate: the factor is 1, after `warmup` epochs of climbing to it."""
    return _WithWarmup(warmup)


def exponential(*, decay: float = 0.99, warmup: int = 0) -> Schedule:
    """Multiply the rate by `decay` after each epoch: ``decay**epoch``.

    Raises
    ------
    ValueError
        If `decay` is not above 0 and at most 1, or `warmup` is negative.
    """
    _require(lambda factor: 0 < factor <= 1, "decay", decay, "a number above 0, at most 1")
    return _Exponential(warmup, decay)


def inverse_time(*, decay: float = 0.01, warmup: int = 0) -> Schedule:
    """Let the rate fall like one over time: ``1 / (1 + decay * epoch)``.

    Raises
    ------
    ValueError
        If `decay` or `warmup` is negative.
    """
    _require(lambda factor: factor >= 0, "decay", decay, "a number from 0 on")
    return _InverseTime(warmup, decay)


def step(*, every: int, decay: float = 0.1, warmup: int = 0) -> Schedule:
    """Multiply the rate by `decay` after each `every` epochs: ``decay**(epoch // every)``.

    Raises
    ------
    ValueError
        If `every` is below 1, `decay` is not above 0 and at most 1, or `warmup` is negative.
    """
    _require(lambda number: number >= 1 and number.is_integer(), "every", every, "a whole number of epochs from 1 on")
    _require(lambda factor: 0 < factor <= 1, "decay", decay, "a number above 0, at most 1")
    return _Step(warmup, every, decay)


def cosine(*, epochs: int, final: float = 0.0, warmup: int = 0) -> Schedule:
    """Let the rate fall along half a cosine from 1 to `final` over `epochs` (warm-up included), then stay there.

    ``final + (1 - final) * (1 + cos(pi * epoch / epochs)) / 2`` (Loshchilov and Hutter 2017, without restarts).

    Raises
    ------
    ValueError
        If `epochs` is below 1, `final` is not between 0 and 1, or `warmup` is negative.
    """
    _require(lambda number: number >= 1 and number.is_integer(), "epochs", epochs, "a whole number from 1 on")
    _require(lambda factor: 0 <= factor <= 1, "final", final, "a number between 0 and 1")
    return _Cosine(warmup, epochs, final)


def invscaling(*, power_t: float = 0.5) -> InverseScaling:
    """Divide the rate by a power of the samples seen, as scikit-learn does: ``1 / (epoch * n_samples + 1)**power_t``.

    Raises
    ------
    ValueError
        If `power_t` is negative.
    """
    _require(lambda power: power >= 0, "power_t", power_t, "a number from 0 on")
    return InverseScaling(power_t)


def adaptive(*, decay: float = 0.2, least: float = 1e-6) -> Adaptive:
    """Multiply the rate by `decay` wherever training would else stop early; stop once the rate is no more than `least`.

    As scikit-learn's: after `patience` epochs (10 unless ``train`` is told) without a gain of `tol` in the objective or,
    with validation, in its score.

    Raises
    ------
    ValueError
        If `decay` is not between 0 and 1, or `least` is not above 0.
    """
    _require(lambda factor: 0 < factor < 1, "decay", decay, "a number above 0 and below 1")
    _require(lambda rate: rate > 0, "least", least, "a number above 0")
    return Adaptive(decay, least)


# What a name alone means, given the number of epochs.
NAMED: dict[str, Callable[[int], Schedule | InverseScaling | Adaptive]] = {
    "constant": lambda epochs: constant(),
    "exponential": lambda epochs: exponential(),
    "inverse_time": lambda epochs: inverse_time(),
    "step": lambda epochs: step(every=max(1, -(-epochs // 3))),
    "cosine": lambda epochs: cosine(epochs=epochs),
    "invscaling": lambda epochs: invscaling(),
    "adaptive": lambda epochs: adaptive(),
}


def named(schedule: AnySchedule, epochs: int) -> Schedule | InverseScaling | Adaptive:
    """The schedule that is meant, for training until so many epochs are done.

    Raises
    ------
    ValueError
        If `schedule` is an unknown name.
    TypeError
        If `schedule` is neither a name, a callable nor None.
    """
    if schedule is None:
        return constant()
    if isinstance(schedule, str):
        if schedule not in NAMED:
            names = ", ".join(map(repr, NAMED))
            raise ValueError(f"schedule={schedule!r} is unknown: choose one of {names}, or give a function of the epoch")
        return NAMED[schedule](epochs)
    if not callable(schedule) and not isinstance(schedule, InverseScaling | Adaptive):
        raise TypeError(f"schedule={schedule!r}: give a name or a function from the epoch to a factor")
    return schedule


def rates(
    schedule: AnySchedule, learning_rate: float, epochs: int, first: int = 0, n_samples: int = 1, name: str = "schedule"
) -> NDArray[np.float64]:
    """The learning rate of each of `epochs` epochs, counted from `first`, each of `n_samples` samples.

    Messages call the schedule `name`.

    Raises
    ------
    ValueError
        If `schedule` is an unknown name or returns a factor that is negative or not finite.
    TypeError
        If `schedule` is neither a name, a callable nor None, or returns what is no number.
    """
    schedule = named(schedule, first + epochs)
    if isinstance(schedule, Adaptive) or schedule == constant():
        return np.full(epochs, float(learning_rate))
    function = schedule.of(n_samples) if isinstance(schedule, InverseScaling) else schedule
    factors = np.array([_factor(name, epoch, function(epoch)) for epoch in range(first, first + epochs)])
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if wrong.size:
        raise ValueError(f"{name} returned {factors[wrong[0]]} for epoch {first + wrong[0]}: give finite factors from 0 on")
    return factors * learning_rate


def _factor(name: str, epoch: int, factor: Any) -> float:
    """What a schedule returned, as a number; a truth value switches the training of an epoch on or off."""
    try:
        return float(factor) if is_truth(factor) else as_float(factor)
    except (TypeError, ValueError):
        raise TypeError(f"{name} returned {shown(factor)} for epoch {epoch}: give finite factors from 0 on") from None
    except OverflowError:
        return math.inf
