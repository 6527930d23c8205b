"""Pictures of results: scores of nets, and figures of benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.plotting import COLOURS, lines, panels

if TYPE_CHECKING:
    from fastmlp.plotting import Axes, Figure

# So many points are drawn: more take long and only darken the picture.
MOST_POINTS = 5000
# Classes and values whose names and counts can be read in a picture.
MOST_NAMES = 30
LONGEST_NAME = 24


def sizes_chart(curves: Sequence[tuple[str, ArrayLike, ArrayLike]], title: str) -> Figure:
    """Seconds against numbers of samples, both on logarithmic scales: a line for each name.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure, (ax,) = panels(1, 1, 5.0, 3.6)
    lines(curves, ax)
    ax.set(xscale="log", yscale="log", xlabel="samples", ylabel="seconds for a pass", title=title)
    ax.grid(alpha=0.3)
    return figure


def confusion_chart(labels: Sequence[Any], confusion: NDArray[Any]) -> Figure:
    """Which class is taken for which: the deeper a field, the larger its share of the row, the true class.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    n_classes = len(labels)
    side = 2.2 + 0.45 * min(n_classes, MOST_NAMES)
    figure, (ax,) = panels(1, 1, side, side)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n_classes <= MOST_NAMES:
        names = [_literal(str(label)) for label in labels]
        ax.set_xticks(range(n_classes), names, rotation=90 if max(map(len, names)) > 3 else 0)
        ax.set_yticks(range(n_classes), names)
        for row, column in np.argwhere(confusion > 0):
            colour = "white" if shares[row, column] > 0.5 else "black"
            ax.text(column, row, f"{confusion[row, column]:,}", ha="center", va="center", color=colour, size="small")
    in_order = "" if n_classes <= MOST_NAMES else ", by their order"
    right = np.trace(confusion) / confusion.sum()
    ax.set(xlabel=f"taken for{in_order}", ylabel=f"true class{in_order}", title=f"{right:.1%} right")
    return figure


def shortened(name: str) -> str:
    """The beginning of a name that is too long for a picture or a table."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def _literal(name: str) -> str:
    """A name whose dollars are no mathematics, and which leaves the picture its place."""
    return shortened(name).replace("$", r"\$")


def residuals_chart(y_true: NDArray[Any], y_predicted: NDArray[Any], name: str) -> Figure:
    """What is true, and by how much it is missed, against what is predicted; some of the points where there are many.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure, (left, right) = panels(1, 2, 4.2, 3.6)
    some = slice(None, None, -(-len(y_true) // MOST_POINTS))
    name = _literal(name)
    true, predicted = y_true[some], y_predicted[some]
    dots: dict[str, Any] = {"s": 9, "alpha": 0.5, "color": COLOURS[0], "linewidths": 0}
    left.scatter(predicted, true, **dots)
    left.axline((float(predicted.mean()),) * 2, slope=1, color="black", linewidth=1)
    left.set(xlabel=f"predicted {name}", ylabel=f"true {name}")
    right.scatter(predicted, true - predicted, **dots)
    right.axhline(0, color="black", linewidth=1)
    right.set(xlabel=f"predicted {name}", ylabel="true less predicted")
    for ax in (left, right):
        ax.grid(alpha=0.3)
    return figure


def scores_chart(
    parameter: str, values: Sequence[Any] | NDArray[Any], scores: ArrayLike, measure: str, ax: Axes | None = None
) -> Axes:
    """Nets' scores over a parameter by which they differ, and the mean of each value.

    Scores of minus infinity are crosses at the lower edge.

    Parameters
    ----------
    parameter : str
        What it is called.
    values : sequence or ndarray (n_nets,)
        In an array of numbers each has its place, on a logarithmic axis where all are positive and the largest is 100 times
        the least or more; all else stands side by side in the order given.
    scores : array-like (n_nets,)
        Not all of minus infinity.
    measure : str
        What the scores are.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    ax = panels(1, 1, 6.4, 4.8)[1][0] if ax is None else ax
    heights, names = np.asarray(scores, np.float64), list(dict.fromkeys(map(str, values)))
    is_numeric = isinstance(values, np.ndarray) and values.dtype.kind in "iuf"
    where = np.asarray(values) if is_numeric else np.array([names.index(str(value)) for value in values])
    lost = np.isneginf(heights)
    ax.scatter(where[~lost], heights[~lost], s=26, color=COLOURS[0], alpha=0.6, linewidths=0, label="a net")
    places = np.unique(where[~lost])
    means = np.array([heights[~lost & (where == place)].mean() for place in places])
    mean: dict[str, Any] = {"color": "black", "linewidth": 1.5, "label": "mean"}
    if is_numeric:
        ax.plot(places, means, **mean)
    elif len(places) < np.sum(~lost):
        ax.hlines(means, places - 0.2, places + 0.2, **mean)
    if lost.any():
        cross: dict[str, Any] = {"marker": "x", "linestyle": "none", "color": COLOURS[-1], "clip_on": False}
        ax.plot(where[lost], np.zeros(lost.sum()), transform=ax.get_xaxis_transform(), label="diverged", **cross)
    ax.set(xlabel=parameter, ylabel=f"score: {measure}")
    ax.grid(alpha=0.3)
    if is_numeric:
        _number_axis(ax, where)
    else:
        _name_axis(ax, [_literal(name) for name in names])
    if len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(framealpha=0.9)
    return ax


def _number_axis(ax: Axes, numbers: NDArray[Any]) -> None:
    """Powers of ten where numbers go far; else ticks at the values while these are few and apart, or at a few places."""
    if numbers.min() > 0 and numbers.max() >= 100 * numbers.min():
        ax.set_xscale("log")
        return
    values = np.unique(numbers.astype(np.float64))
    if len(values) <= 8 and np.diff(values).min(initial=np.inf) >= 0.08 * (values[-1] - values[0]):
        ax.set_xticks(values, [f"{value:g}" for value in values])
    else:
        ax.locator_params("x", nbins=6, steps=(1, 2, 5, 10))


def _name_axis(ax: Axes, names: Sequence[str]) -> None:
    """Names side by side while there is room, else aslant or upright; of very many some."""
    every = -(-len(names) // MOST_NAMES)
    turned: dict[str, Any] = {}
    if sum(map(len, names)) > 50:
        turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(names) <= 10 else {"rotation": 90}
    ax.set_xticks(range(0, len(names), every), names[::every], **turned)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.grid(visible=False, axis="x")
