"""Pictures of results: scores of nets, and figures of benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.plotting import COLOURS, lines, panels

if TYPE_CHECKING:
    from fastmlp.plotting import Figure

# So many points are drawn: more take long and only darken the picture.
MOST_POINTS = 5000
# Classes whose names and counts can be read in a picture.
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
