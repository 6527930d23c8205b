"""The tour's pictures: what each chapter found, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastmlp import article, exercises, plotting
from fastmlp.article import Data, Fit, percent

if TYPE_CHECKING:
    from fastmlp.plotting import Axes, Figure

PANEL_RESOLUTION = 200
LAST_PASSES = 20
# The titles of small panels, in points.
SMALL = 10


def moons(result: article.Moons) -> Figure:
    """The points."""
    figure, (ax,) = plotting.panels(1, 1, 6.4, 4.8)
    plotting.points(*result.data.train, ax)
    ax.set_title(f"{len(result.data.train.y)} points on two moons")
    return figure


def baseline(result: article.Baseline) -> Figure:
    """The straight border of logistic regression."""
    figure, (ax,) = plotting.panels(1, 1, 6.4, 4.8)
    plotting.decision_boundary(result.model, *result.data.train, ax)
    ax.set_title(f"logistic regression: {_accuracies(result)}")
    return figure


def network(result: article.ArticleNetwork) -> Figure:
    """The border of the 2-3-2 net, its losses, and the last of them."""
    figure, (border, losses, last) = plotting.panels(1, 3, 4.6, 4.0)
    net = result.fit.net
    plotting.decision_boundary(net, *result.data.train, border)
    border.set_title(f"2-3-2: {_accuracies(result.fit)}")
    plotting.loss_curve(net, losses)
    losses.set(xscale="log", title="loss, pass by pass")
    _draw_last([result.fit], last)
    return figure


def sizes(result: article.Sizes) -> Figure:
    """The borders by hidden size, how accuracy goes with size, and the borders under a stronger penalty."""
    figure, axes = plotting.panels(3, 4, 3.1, 2.8)
    *borders, accuracies = axes[:8]
    _draw_borders(result.data, result.fits, borders, first_legend=True)
    _draw_borders(result.data, result.stronger, axes[8:])
    curves = [
        ("training", result.sizes, [one.accuracy for one in result.fits]),
        ("held out", result.sizes, [one.held_out for one in result.fits]),
        (f"held out, l2 x {article.STRONGER}", result.stronger_sizes, [one.held_out for one in result.stronger]),
    ]
    plotting.lines(curves, accuracies, xscale="log", xlabel="hidden units")
    accuracies.set_title("accuracy by size", fontsize=SMALL)
    accuracies.yaxis.tick_right()
    accuracies.set_xticks(result.sizes, [str(size) for size in result.sizes])
    accuracies.minorticks_off()
    return figure


def minibatches(result: exercises.Minibatches) -> Figure:
    """The losses over passes and over seconds."""
    figure, (by_pass, by_time) = plotting.panels(1, 2, 5.2, 4.2)
    curves = [(one.label, np.arange(1, one.net.n_epochs + 1), one.net.loss_curve) for one in result.fits]
    plotting.lines(curves, by_pass, xscale="log", yscale="log", xlabel="pass", ylabel="loss", title="loss by passes")
    timed = [(one.label, result.seconds(one), one.net.loss_curve) for one in result.fits]
    plotting.lines(timed, by_time, xscale="log", yscale="log", xlabel="seconds", ylabel="loss", title="loss by time")
    return figure


def annealing(result: exercises.Annealing) -> Figure:
    """The rates, the losses, and the last of them."""
    figure, (rates, losses, last) = plotting.panels(1, 3, 4.6, 4.0)
    curves = [
        (one.label, np.arange(1, len(factors) + 1), article.LEARNING_RATE * factors)
        for one, factors in zip(result.fits, result.rates, strict=True)
    ]
    plotting.lines(curves, rates, xlabel="pass", ylabel="learning rate", title="rates")
    plotting.loss_curve({one.label: one.net for one in result.fits}, losses)
    losses.set(xscale="log", title="loss, pass by pass")
    _draw_last(result.fits, last)
    return figure


def activations(result: exercises.Activations) -> Figure:
    """The border with each activation, that of logistic regression, and the losses."""
    figure, axes = plotting.panels(2, 3, 3.8, 3.3)
    *borders, straight, losses = axes
    _draw_borders(result.data, result.fits, borders, first_legend=True)
    plotting.decision_boundary(
        result.baseline.model, *result.data.train, straight, legend=False, resolution=PANEL_RESOLUTION
    )
    straight.set_title(f"logistic regression\n{_accuracies(result.baseline)}", fontsize=SMALL)
    straight.label_outer()
    plotting.loss_curve({one.label: one.net for one in result.fits}, losses)
    losses.set(xscale="log", ylabel="")
    losses.set_title("loss, pass by pass", fontsize=SMALL)
    losses.yaxis.tick_right()
    return figure


def three_classes(result: exercises.Nets) -> Figure:
    """The borders on the spiral, with hidden layers and without."""
    figure, axes = plotting.panels(1, len(result.fits), 4.2, 4.0)
    _draw_borders(result.data, result.fits, axes, first_legend=True)
    return figure


def four_layers(result: exercises.Nets) -> Figure:
    """The borders on the spiral by the sizes of the hidden layers."""
    figure, axes = plotting.panels(2, len(result.fits) // 2, 3.2, 3.1)
    _draw_borders(result.data, result.fits, axes, first_legend=True)
    return figure


def _accuracies(result: Fit | article.Baseline) -> str:
    return f"training {percent(result.accuracy)}, held out {percent(result.held_out)}"


def _draw_borders(data: Data, fits: Sequence[Fit], axes: Sequence[Axes], first_legend: bool = False) -> None:
    for place, (one, ax) in enumerate(zip(fits, axes, strict=True)):
        legend = first_legend and place == 0
        plotting.decision_boundary(one.net, *data.train, ax, legend=legend, resolution=PANEL_RESOLUTION)
        ax.set_title(f"{one.label}\n{_accuracies(one)}", fontsize=SMALL)
        ax.label_outer()


def _draw_last(fits: Sequence[Fit], ax: Axes) -> None:
    """The last few losses, on a scale of their own, where an oscillation shows."""
    curves = []
    for one in fits:
        passes = np.arange(1, one.net.n_epochs + 1)[-LAST_PASSES:]
        curves.append((one.label, passes, one.net.loss_curve[-LAST_PASSES:]))
    plotting.lines(curves, ax, xlabel="pass", ylabel="loss", title=f"the last {LAST_PASSES} passes")
    ax.ticklabel_format(axis="y", useOffset=False)
