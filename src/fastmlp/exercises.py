"""The article's five exercises, each done: functions that train and return what they found, with one sentence on it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.article import PASSES, Baseline, Data, Fit, Points, baseline, fit, moons_data, percent

# Far enough below the edge of stability (2 for the article's net) for minibatches and for every activation.
STABLE_RATE = 0.5
BATCH_SIZES = (None, 50, 20)
LEVEL = 0.1
# Two losses in a row that differ by less are called steady.
STEADY = 1e-6
ACTIVATIONS = ("tanh", "logistic", "relu", "identity")
ACTIVATION_UNITS = 10
SPIRAL_L2 = 1e-4
SPIRAL_SIZES: tuple[tuple[int, ...], ...] = ((), (5,), (20,))
# The first has one hidden layer, and as many weights as 2-5-5-3.
FOUR_LAYERS: tuple[tuple[int, ...], ...] = ((10,), (2, 2), (3, 3), (5, 5), (10, 3), (3, 10), (10, 10), (20, 20))


class Minibatches(NamedTuple):
    """The first exercise: one update for a whole pass, or one for each of several batches."""

    data: Data
    fits: list[Fit]

    def seconds(self, fitted: Fit) -> NDArray[np.float64]:
        """When each pass ended, all passes taken to last alike."""
        passes = fitted.net.n_epochs
        return np.linspace(fitted.seconds / passes, fitted.seconds, passes)

    @staticmethod
    def reached(fitted: Fit) -> int | None:
        """The pass, counted from 1, in which the loss first is at most `LEVEL`; None where it never is."""
        below = np.flatnonzero(fitted.net.loss_curve <= LEVEL)
        return int(below[0]) + 1 if below.size else None

    @staticmethod
    def spread(fitted: Fit) -> float:
        """The greatest less the least loss in the last tenth of the passes."""
        return float(np.ptp(fitted.net.loss_curve[-max(2, fitted.net.n_epochs // 10) :]))

    @property
    def claim(self) -> str:
        """What is seen."""
        full, small = self.fits[0], self.fits[-1]
        return (
            f"To a loss of {LEVEL:g}, the full batch takes {self._cost(full)}, {small.label} {self._cost(small)}; at the "
            f"end the loss still varies by {self.spread(full):.1g} with the full batch, and by {self.spread(small):.1g} "
            f"with {small.label}."
        )

    def _cost(self, fitted: Fit) -> str:
        passes = self.reached(fitted)
        if passes is None:
            return f"more than {fitted.net.n_epochs} passes"
        return f"{passes} passes and {1000 * self.seconds(fitted)[passes - 1]:.1f} ms"


def minibatches(passes: int = PASSES // 10) -> Minibatches:
    """Train the article's net on the full batch and on batches of 50 and 20, at one rate."""
    data = moons_data()
    fits = []
    for size in BATCH_SIZES:
        label = "the full batch" if size is None else f"batches of {size}"
        fits.append(fit(label, data, 3, passes, learning_rate=STABLE_RATE, batch_size=size))
    return Minibatches(data, fits)


class Annealing(NamedTuple):
    """The second exercise: the article's fixed rate (first), and rates that fall."""

    fits: list[Fit]
    rates: list[NDArray[np.float64]]

    @staticmethod
    def swing(fitted: Fit) -> float:
        """The difference between the last two losses."""
        return float(abs(np.diff(fitted.net.loss_curve[-2:])[0]))

    @property
    def claim(self) -> str:
        """What is seen."""
        fixed, *annealed = self.fits
        low, high = sorted(fixed.net.loss_curve[-2:])
        lower = sum(one.net.loss_curve[-1] < low for one in annealed)
        steady = sum(self.swing(one) < STEADY for one in annealed)
        best = min(annealed, key=lambda one: float(one.net.loss_curve[-1]))
        return (
            f"The fixed rate ends with losses of {low:.6f} and {high:.6f} in turn; of {len(annealed)} falling rates "
            f"{lower} end lower and {steady} end steady, {best.label} lowest, at {best.net.loss_curve[-1]:.6f}."
        )


def annealing(passes: int = PASSES) -> Annealing:
    """Train the article's net at its fixed rate and along four schedules that start from it."""
    falling: dict[str, schedules.Schedule] = {
        "fixed": schedules.constant(),
        "exponential": schedules.exponential(decay=0.01 ** (1 / passes)),
        "inverse time": schedules.inverse_time(decay=20 / passes),
        "step": schedules.step(every=max(1, passes // 4), decay=0.5),
        "cosine": schedules.cosine(epochs=passes),
    }
    data = moons_data()
    fits = [fit(name, data, 3, passes, schedule=schedule) for name, schedule in falling.items()]
    return Annealing(fits, [np.array([schedule(epoch) for epoch in range(passes)]) for schedule in falling.values()])


class Activations(NamedTuple):
    """The third exercise: hidden layers with other activations, beside logistic regression."""

    data: Data
    fits: list[Fit]
    baseline: Baseline

    @property
    def claim(self) -> str:
        """What is seen."""
        *bent, straight = self.fits
        names = ", ".join(f"{one.label} {percent(one.held_out)}" for one in bent)
        better = straight.held_out > self.baseline.held_out + 0.005
        return (
            f"Held out, right are {names}. Identity makes the whole net linear: {percent(straight.held_out)}, "
            f"{'better' if better else 'no better'} than logistic regression's {percent(self.baseline.held_out)}."
        )


def activations(passes: int = PASSES) -> Activations:
    """Train 2-10-2 with tanh, the logistic function, ReLU and no activation at all."""
    data = moons_data()
    fits = [fit(name, data, ACTIVATION_UNITS, passes, activation=name, learning_rate=STABLE_RATE) for name in ACTIVATIONS]
    return Activations(data, fits, baseline())


def spiral(n_per_arm: int, seed: int, noise: float = 0.2) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points on three arms that wind round each other.

    Returns
    -------
    ndarray (3 * n_per_arm, 2), ndarray (3 * n_per_arm,)
        The points, within the unit circle, and the arm of each: 0, 1 or 2.
    """
    random = np.random.RandomState(seed)
    arm = np.repeat(np.arange(3), n_per_arm)
    radius = np.tile(np.linspace(0.05, 1, n_per_arm), 3)
    angle = 4 * radius + arm * 2 * np.pi / 3 + noise * random.standard_normal(len(arm))
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), arm


def spiral_data() -> Data:
    """Three arms of 100 points to train on, and of 400 to test on."""
    return Data(Points(*spiral(100, 0)), Points(*spiral(400, 1)))


def shape(hidden: tuple[int, ...]) -> str:
    """The layers of a net for the spiral, as "2-5-5-3"."""
    return "-".join(map(str, (2, *hidden, 3)))


class Nets(NamedTuple):
    """Nets of several shapes on one set of data, with what is seen."""

    data: Data
    fits: list[Fit]
    claim: str


def three_classes(passes: int = PASSES) -> Nets:
    """The fourth exercise: the same net with three outputs, on a spiral."""
    data = spiral_data()
    fits = _on_spiral(data, SPIRAL_SIZES, passes)
    linear, best = fits[0], fits[-1]
    claim = (
        f"Without a hidden layer three straight borders are right for {percent(linear.held_out)} of the points held out; "
        f"{best.label}, the article's net with a third output and more hidden units, is for {percent(best.held_out)}."
    )
    return Nets(data, fits, claim)


def four_layers(passes: int = PASSES // 4) -> Nets:
    """The fifth exercise: two hidden layers of several sizes, and one of as many weights as 2-5-5-3, on the spiral."""
    data = spiral_data()
    fits = _on_spiral(data, FOUR_LAYERS, passes)
    shallow, deep = fits[0], fits[FOUR_LAYERS.index((5, 5))]
    smallest = fits[FOUR_LAYERS.index((2, 2))]
    claim = (
        f"With {deep.net.params.size} weights and biases {deep.label} ends at a loss of {deep.net.loss_curve[-1]:.3f}, "
        f"{shallow.label} with {shallow.net.params.size} at {shallow.net.loss_curve[-1]:.3f}. Held out, {smallest.label} "
        f"is right for {percent(smallest.held_out)}, {fits[-1].label} for {percent(fits[-1].held_out)}."
    )
    return Nets(data, fits, claim)


def _on_spiral(data: Data, shapes: tuple[tuple[int, ...], ...], passes: int) -> list[Fit]:
    options: dict[str, Any] = {"learning_rate": STABLE_RATE, "l2": SPIRAL_L2}
    return [fit(shape(hidden), data, hidden, passes, **options) for hidden in shapes]
