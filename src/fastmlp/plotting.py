"""Pictures of nets: what they decide, and how their training went.

The only file that imports matplotlib, and only when something is drawn. Figures are made without pyplot: none is kept
alive, none opens a window, and all work where there is no screen. A returned axes' ``figure`` can be saved, or shown in a
notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.inputs import as_matrix, check_lengths
from fastmlp.network import Network, Predictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

MISSING = 'pictures need matplotlib: pip install "fastmlp[plot]"'
# The colours of Okabe and Ito (2008), safe for colour-blind eyes. Those of classes begin with three that are far apart in
# grey too; those of lines leave out the yellow, which is lost on white.
CLASSES = ("#0072B2", "#E69F00", "#F0E442", "#000000", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DARK = ("#0072B2", "#000000", "#009E73", "#D55E00")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#D55E00")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
# How far beyond the points the picture goes, as a share of their spread.
MARGIN = 0.15
# The share of its class's colour where a net is in doubt, and where it is sure.
FAINTEST, DEEPEST = 0.04, 0.55
RESOLUTION = 300
DOTS_PER_INCH = 144


def require_matplotlib() -> None:
    """Raise ImportError, saying what to install, where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError(MISSING) from None


def panels(rows: int, columns: int, width: float = 3.4, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` x `columns` axes, each of the given size in inches; the axes row by row.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def save(figure: Figure, path: Path) -> Path:
    """Write the figure to `path`, as a PNG unless its name ends otherwise; return the path.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def decision_boundary(
    net_or_function: Network | Callable[[NDArray[Any]], ArrayLike] | Any,
    X: ArrayLike,
    y: ArrayLike,
    ax: Axes | None = None,
    *,
    legend: bool = True,
    resolution: int = RESOLUTION,
) -> Axes:
    """Draw which class is predicted where, with the points on top.

    Each region has its class's colour, the deeper the more probable the class; white is doubt. A function that only names
    classes gives flat regions. Black lines are the borders.

    Parameters
    ----------
    net_or_function : Network, Ensemble, fitted scikit-learn classifier, or function
        A function maps points (n, 2) to their classes (n,).
    X : array-like (n_samples, 2)
        The points to draw.
    y : array-like (n_samples,)
        Their classes.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.
    legend : bool
        Whether to say which mark stands for which class.
    resolution : int
        Points of the mesh along each side.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `X` has not two columns, `y` not one class for each row, or what predicts gives something else than classes.
    """
    points, labels = _checked_points(X, y)
    ax = _axes(ax)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * np.where(high > low, high - low, 1)
    first, second = np.linspace(low - margin, high + margin, resolution).T
    mesh = np.stack(np.meshgrid(first, second), axis=-1)
    classes, probabilities = _class_probabilities(net_or_function, mesh.reshape(-1, 2), labels)
    shares = probabilities.reshape(resolution, resolution, len(classes))
    extent = (first[0], first[-1], second[0], second[-1])
    ax.imshow(_shades(shares), origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    _draw_borders(ax, first, second, shares)
    _draw_points(ax, points, labels, classes, legend)
    ax.set(xlim=extent[:2], ylim=extent[2:])
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    return panels(1, 1, 6.4, 4.8)[1][0]


def _checked_points(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    points = as_matrix(X, np.dtype(np.float64))
    if points.shape[1] != 2:
        raise ValueError(f"X has {points.shape[1]} columns, but a picture needs two: choose two, or project X to two")
    labels = np.asarray(y)
    check_lengths(len(points), labels.shape[0] if labels.ndim else 0)
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}: give one class for each row of X")
    return points, labels


def _class_probabilities(model: Any, points: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The classes, and the probability of each at each point: 0 or 1 where the model only names a class."""
    if isinstance(model, Predictor) and model.classes is None:
        raise ValueError("decision_boundary: this net was not trained on classes, it has no borders to draw")
    classes = model.classes if isinstance(model, Predictor) else getattr(model, "classes_", None)
    if classes is not None and hasattr(model, "predict_proba"):
        probabilities = np.asarray(model.predict_proba(points), dtype=np.float64)
    else:
        predicted = np.asarray(getattr(model, "predict", model)(points))
        if predicted.shape != (len(points),):
            raise ValueError(
                f"decision_boundary: the function gave shape {predicted.shape} for {len(points)} points; it must name one "
                "class for each"
            )
        classes = np.union1d(predicted, labels)
        if len(classes) > len(labels):
            raise ValueError(
                f"decision_boundary: the function named {len(classes)} classes; it must not give probabilities"
            )
        probabilities = (predicted[:, np.newaxis] == classes).astype(np.float64)
    unknown = np.setdiff1d(labels, classes)
    if unknown.size:
        raise ValueError(f"y holds the class {unknown[0]!r}, which the net does not know: it knows {list(classes)}")
    return np.asarray(classes), probabilities


def _shades(shares: NDArray[Any]) -> NDArray[Any]:
    """The colour (..., 3) of each point of the mesh: its class's, mixed with the more white the less sure it is."""
    from matplotlib.colors import to_rgb

    n_classes = shares.shape[-1]
    colours = np.array([to_rgb(CLASSES[number % len(CLASSES)]) for number in range(n_classes)])
    sure = np.clip((shares.max(axis=-1) * n_classes - 1) / max(1, n_classes - 1), 0, 1)
    depth = (FAINTEST + (DEEPEST - FAINTEST) * sure)[..., np.newaxis]
    return np.asarray(1 - depth * (1 - colours[shares.argmax(axis=-1)]))


def _draw_borders(ax: Axes, first: NDArray[Any], second: NDArray[Any], shares: NDArray[Any]) -> None:
    n_classes = shares.shape[-1]
    # Between two classes there is one border; drawn for both it would only be thicker.
    for number in range(n_classes if n_classes > 2 else 1):
        lead = shares[..., number] - np.delete(shares, number, axis=-1).max(axis=-1, initial=0)
        if lead.min() < 0 < lead.max():
            ax.contour(first, second, lead, levels=[0], colors="black", linewidths=1.2)


def points(X: ArrayLike, y: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw points (n_samples, 2), with colour and mark by class.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `X` has not two columns, or `y` not one class for each row.
    """
    where, labels = _checked_points(X, y)
    ax = _axes(ax)
    _draw_points(ax, where, labels, np.unique(labels), legend=True)
    return ax


def _draw_points(ax: Axes, X: NDArray[Any], y: NDArray[Any], classes: NDArray[Any], legend: bool) -> None:
    for number, name in enumerate(classes):
        of_class = y == name
        colour = CLASSES[number % len(CLASSES)]
        # Dark marks have a light edge and light marks a dark one: they stand off in grey too.
        ax.scatter(
            X[of_class, 0],
            X[of_class, 1],
            s=26,
            marker=MARKERS[number % len(MARKERS)],
            color=colour,
            edgecolors="white" if colour in DARK else "black",
            linewidths=0.7,
            label=f"class {name}",
        )
    ax.set(xlabel="feature 1", ylabel="feature 2")
    if legend:
        ax.legend(loc="best", framealpha=0.9, fontsize="small", borderpad=0.3, handlelength=1)


def loss_curve(net_or_nets: Network | Sequence[Network] | Mapping[str, Network], ax: Axes | None = None) -> Axes:
    """Draw the loss of one or more nets over the passes of their training, and the validation loss of those that have one.

    Of a single net with validation a line stands where it was best.

    Parameters
    ----------
    net_or_nets : Network, a sequence of them, or a mapping from names to them
        Without names the nets are called by their sizes and activations.
    ax : matplotlib.axes.Axes or None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        With the loss on a logarithmic scale.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no net, or one whose training ended within its first pass.
    """
    if isinstance(net_or_nets, Mapping):
        named = list(net_or_nets.items())
    else:
        nets = [net_or_nets] if isinstance(net_or_nets, Network) else list(net_or_nets)
        named = [(_name(net), net) for net in nets]
    if not named:
        raise ValueError("loss_curve: there is no net to draw; give at least one")
    for name, net in named:
        if not net.n_epochs:
            raise ValueError(
                f"loss_curve: the net {name} has no losses, its training ended within the first pass; train it for longer"
            )
    curves = []
    for name, net in named:
        epochs = np.arange(1, net.n_epochs + 1)
        curves.append((name, epochs, net.loss_curve))
        if net.validation_curve is not None:
            curves.append((f"{name}, held out", epochs, net.validation_curve))
    ax = lines(curves, ax, xlabel="pass", ylabel="loss", yscale="log")
    best = named[0][1].best_epoch
    if len(named) == 1 and best is not None:
        ax.axvline(best, color="0.5", linewidth=1, zorder=1)
    return ax


def _name(net: Network) -> str:
    activations = ", ".join(dict.fromkeys(activation.name.lower() for activation in net.activations))
    return f"{'-'.join(map(str, net.sizes))} {activations or 'linear'}"


def lines(curves: Sequence[tuple[str, ArrayLike, ArrayLike]], ax: Axes | None = None, **settings: Any) -> Axes:
    """Draw named curves (name, x, y), the first on top, each with a colour and a stroke of its own.

    `settings` are those of ``Axes.set``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    ax = _axes(ax)
    styles = zip(curves, cycle(COLOURS), cycle(LINES), strict=False)
    for place, ((name, x, y), colour, stroke) in enumerate(styles):
        height = 3 - place / (1 + len(curves))
        ax.plot(np.asarray(x), np.asarray(y), color=colour, linestyle=stroke, linewidth=1.5, label=name, zorder=height)
    ax.set(**settings)
    ax.grid(alpha=0.3)
    _write_plain_numbers(ax)
    if len(curves) > 1:
        ax.legend(framealpha=0.9)
    return ax


def _write_plain_numbers(ax: Axes) -> None:
    """Label a short logarithmic axis 0.1, 0.2, 0.5, not by powers of ten, and a linear one at few enough places."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    low, high = ax.get_ylim()
    if ax.get_yscale() == "log" and high < 100 * low:
        plain = FuncFormatter(lambda value, place: f"{value:g}")
        ax.yaxis.set_major_formatter(plain)
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        ax.yaxis.set_minor_formatter(plain)
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
