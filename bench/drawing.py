"""The charts of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

OURS = "fastmlp"
ONE_THREAD = f"{OURS}, 1 thread"
# Okabe and Ito's colours, told apart by the colour-blind; markers and dashes tell them apart in grey.
STYLES = {
    OURS: ("#0072B2", "o", "-"),
    "NumPy reference": ("#E69F00", "s", "--"),
    "scikit-learn": ("#009E73", "^", "-."),
    "NumPy as in the article": ("#CC79A7", "D", ":"),
    "PyTorch": ("#D55E00", "v", "--"),
    "JAX": ("#56B4E9", "P", "-."),
}
MORE_STYLES = (("#000000", "X", ":"), ("#F0E442", "h", "--"))


class Cell(NamedTuple):
    """What one library did on one problem, with as many threads as served it best."""

    table: str
    problem: str
    net: str
    batch: str
    dtype: str
    solver: str
    n_samples: int
    library: str
    threads: int
    steps: int  # of a pass, as are the two below
    arithmetic: int
    activations: int
    seconds: float  # a pass, median of the rounds
    loss: float


def libraries_of(problems: Iterable[dict[str, Cell]]) -> list[str]:
    """All libraries, fastmlp first, else in the order of the file."""
    found = dict.fromkeys(library for cells in problems for library in cells)
    return [OURS, *(library for library in found if library != OURS)]


def style(library: str, others: Sequence[str]) -> tuple[str, str, str]:
    if library in STYLES:
        return STYLES[library]
    strangers = [other for other in others if other not in STYLES]
    return MORE_STYLES[strangers.index(library) % len(MORE_STYLES)]


def draw_sizes(problems: Sequence[dict[str, Cell]], dtype: str, machine: str, path: Path) -> None:
    """Time of a pass against the number of samples: a panel for each net and kind of update, a line for each library."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    libraries = libraries_of(problems)
    cells = [cell for row in problems for cell in row.values()]
    nets = list(dict.fromkeys(cell.net for cell in cells))
    batches = list(dict.fromkeys(cell.batch for cell in cells))
    figure = Figure(figsize=(1 + 3.4 * len(nets), 1.4 + 2.8 * len(batches)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(batches), len(nets), sharex=True, sharey=True, squeeze=False)
    lines = {}
    for batch, row in zip(batches, panels, strict=True):
        for net, axes in zip(nets, row, strict=True):
            for library in libraries:
                points = sorted(
                    (cell.n_samples, cell.seconds)
                    for cell in cells
                    if (cell.net, cell.batch, cell.library) == (net, batch, library)
                )
                if points:
                    color, marker, dashes = style(library, libraries)
                    (lines[library],) = axes.loglog(
                        *zip(*points, strict=True),
                        color=color,
                        marker=marker,
                        linestyle=dashes,
                        linewidth=1.8,
                        markersize=6,
                    )
            axes.set_title(f"{net}, {batch}", fontsize=11)
            axes.grid(which="major", color="0.88")
            axes.minorticks_off()
            axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("samples")
    for axes in panels[:, 0]:
        axes.set_ylabel("seconds a pass")
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=len(lines), frameon=False, fontsize=11)
    figure.supxlabel(f"{dtype}. {machine}", fontsize=7, color="0.35")
    figure.savefig(path, dpi=150)


def draw_speed_ups(problems: Sequence[dict[str, Cell]], machine: str, path: Path) -> None:
    """How many times as long each library takes for an update: a group of bars for each problem, those below 1 as well."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    others = [name for name in libraries_of(problems) if not name.startswith(OURS)]
    rows = [cells for cells in problems if OURS in cells and len(cells) > 1]
    height = 0.8 / max(1, len(others))
    figure = Figure(figsize=(8, 1.6 + 0.42 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, name in enumerate(others):
        places = [row + (place + 0.5) * height - 0.4 for row, cells in enumerate(rows) if name in cells]
        ratios = [cells[name].seconds / cells[OURS].seconds for cells in rows if name in cells]
        color = style(name, others)[0]
        axes.barh(places, [ratio - 1 for ratio in ratios], height, left=1, color=color, label=name)
        for where, ratio in zip(places, ratios, strict=True):
            side = (2, 0, "left") if ratio >= 1 else (-2, 0, "right")
            axes.annotate(
                f"{ratio:.3g}", (ratio, where), side[:2], textcoords="offset points", va="center", ha=side[2], fontsize=6
            )
    firsts = [next(iter(cells.values())) for cells in rows]
    axes.set_yticks(range(len(rows)), [f"{cell.net}, {cell.batch}, {cell.dtype}" for cell in firsts], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.5, 1.6 * axes.get_xlim()[1])
    axes.set_xticks([1, 10, 100], ["1: as fastmlp", "10", "100"])
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.grid(which="major", axis="x", color="0.88")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("times as long as fastmlp takes for an update")
    figure.legend(loc="outside upper center", ncols=len(others), frameon=False, fontsize=9)
    figure.supxlabel(machine, fontsize=6, color="0.35")
    figure.savefig(path, dpi=150)
