"""What is told on the terminal about tables, trainings and scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastmlp.charts import shortened
from fastmlp.files.columns import NO_TEXT, Category, Number
from fastmlp.files.data import TRAIN, Data
from fastmlp.files.parts import Array
from fastmlp.files.scores import OfNumbers, Score
from fastmlp.network import Network

# Of a wide table so many columns are listed; of a column so many texts; of a confusion so many classes.
MOST_COLUMNS = 40
MOST_TEXTS = 8
MOST_CLASSES = 12
TRUE = "true, taken for"
# From so many bytes on it is told how large the matrix is.
LARGE = 100_000_000
MANY = 1000


def tell(console: Console, *told: str | Table, style: str | None = None) -> None:
    """Print lines as they are, whatever the terminal's width and whatever brackets stand in names, and tables."""
    for one in told:
        if isinstance(one, str):
            console.print(one, markup=False, soft_wrap=True, style=style)
        else:
            console.print(one)


def columns_table(data: Data) -> Table:
    """A row for each column: what it is taken for, and what is done with it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("column", "taken as", "missing", "in the rows to train on"):
        table.add_column(name, justify="right" if name == "missing" else "left")
    columns = data.columns.all
    for column in columns[:MOST_COLUMNS]:
        table.add_row(Text(shortened(column.name)), *_described(column))
    if len(columns) > MOST_COLUMNS:
        rest = Counter(type(column).__name__.lower() for column in columns[MOST_COLUMNS:])
        table.add_row("...", ", ".join(f"{count:,} more of {kind}" for kind, count in rest.items()))
    target = data.target
    if target.labels is None:
        is_standardised = (target.mean, target.scale) != (0.0, 1.0)
        described = _moments(target.mean, target.scale) if is_standardised else "as it is"
    else:
        counts = np.bincount(data.rows(TRAIN)[1], minlength=len(target.labels))
        named = [f"{shortened(str(label))} {count:,}" for label, count in zip(target.labels, counts, strict=True)]
        described = _listed(named)
    kind = "number" if target.labels is None else f"{len(target.labels)} classes"
    table.add_row(Text(shortened(target.name)), f"target, {kind}", f"{data.left_out:,}", Text(described))
    return table


def _described(column: Number | Category) -> tuple[str, str, Text]:
    missing = f"{column.missing:,}" if column.missing else ""
    if isinstance(column, Number) and not column.scale:
        return "number", missing, Text(f"always {column.mean:.6g}: not looked at")
    if isinstance(column, Number):
        filled = ", missing ones are the mean" if column.missing else ""
        return "number", missing, Text(_moments(column.mean, column.scale) + filled)
    names = [shortened(text) for text in column.values]
    return f"category, {column.width}", missing, Text(_listed(names + [NO_TEXT] * bool(column.missing)))


def _moments(mean: float, scale: float) -> str:
    return f"mean {mean:.4g}, sd {scale:.4g}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST_TEXTS]) + (f", and {len(names) - MOST_TEXTS} more" if len(names) > MOST_TEXTS else "")


def notes(data: Data) -> list[str]:
    """What the user should know about the columns."""
    found = []
    if data.left_out:
        found.append(f"{data.left_out:,} rows without a {data.target.name!r} are left out.")
    for number in data.columns.numbers:
        if _counts_rows(data, number):
            found.append(f'Column {number.name!r} counts the rows; leave it out with --drop "{number.name}".')
    return found


def _counts_rows(data: Data, number: Number) -> bool:
    n_rows = len(data.X)
    if number.missing or not number.scale or n_rows < 3:
        return False
    # Of many rows the spread alone tells, and the matrix need not be read again: that of 1, 2, ..., n is n / sqrt(12).
    if n_rows > MANY and not 0.5 < number.scale * np.sqrt(12) / n_rows < 2:
        return False
    column = data.X[:, data.columns.numbers.index(number)]
    low, high = float(column.min()), float(column.max())
    step = (high - low) * number.scale / (n_rows - 1)
    # Rows lie in other places by now: each value once.
    return abs(step - 1) < 1e-3 and len(np.unique(np.rint((column - low) * number.scale))) == n_rows


def rows_line(data: Data) -> str:
    """What the rows are for."""
    n_train, n_validation, n_test = data.counts
    line = f"{n_train:,} rows to train on"
    line += f", {n_validation:,} to find the best epoch with" if n_validation else ""
    line += f", {n_test:,} to test on" if n_test else ""
    return line + (f"; {data.X.nbytes / 1e6:,.0f} MB, {data.X.shape[1]:,} numbers each." if data.X.nbytes > LARGE else ".")


def training_line(net: Network, seconds: float) -> str:
    """How the training went."""
    shape = "-".join(map(str, net.sizes))
    line = f"{shape}: {net.n_epochs:,} epochs in {seconds:.3g} s, {net.status}, loss {net.loss_curve[-1]:.4g}"
    if net.best_epoch is None:
        return f"{line}."
    is_cut_short = net.status == "finished" and net.best_epoch == net.n_epochs
    more = " It was still learning: more --epochs may do better." if is_cut_short else ""
    return f"{line}; the net is that of epoch {net.best_epoch:,}.{more}"


def score_lines(score: Score, rows: str, width: int) -> list[str | Table]:
    """The score on `rows`, and the confusion matrix if it is small, with numbers for names if `width` is too little."""
    if isinstance(score, OfNumbers):
        return [
            f"R2 {score.r2:.4f} on {score.n_rows:,} {rows}; off by {score.mean_absolute:.4g} on average, "
            f"root mean square {score.root_mean_square:.4g}."
        ]
    lines: list[str | Table] = [
        f"{100 * score.accuracy:.1f} % of {score.n_rows:,} {rows} are right (accuracy {score.accuracy:.4f}); the commonest "
        f"class alone has {100 * score.without_a_net:.1f} %."
    ]
    if len(score.labels) <= MOST_CLASSES:
        lines.append(_confusion(score.labels, score.confusion, width))
    return lines


def _confusion(labels: Sequence[Any], confusion: Array, width: int) -> Table:
    names = [shortened(str(label)) for label in labels]
    counts = [[f"{count:,}" if count else "" for count in column] for column in confusion.T]
    columns = [[name, *column] for name, column in zip(names, counts, strict=True)]
    if max(map(len, [TRUE, *names])) + sum(2 + max(map(len, column)) for column in columns) > width:
        names = [f"{place}: {name}" for place, name in enumerate(names)]
        columns = [[str(place), *column[1:]] for place, column in enumerate(columns)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(TRUE)
    for column in columns:
        table.add_column(Text(column[0]), justify="right", no_wrap=True, min_width=max(map(len, column)))
    for place, name in enumerate(names):
        table.add_row(Text(name), *(column[1 + place] for column in columns))
    return table
