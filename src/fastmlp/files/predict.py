"""``fastmlp predict``: from a model and a table in a file to a line for each row."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fastmlp.command_line import check_output, made_writable
from fastmlp.files import show
from fastmlp.files.columns import Category
from fastmlp.files.errors import TableError
from fastmlp.files.model import Model
from fastmlp.files.opening import open_table, reading
from fastmlp.files.parts import NUMBER, TEXT, Array, Layout, Part, Report, Source, shown
from fastmlp.files.plain import as_number
from fastmlp.files.scores import score_of
from fastmlp.files.target import Target
from fastmlp.writing import written_whole


def run_prediction(
    model_path: Path, path: Path, layout: Layout, out: Path | None, new_as_none: bool, console: Console
) -> None:
    """Write the predictions for a table to a CSV file, or to the output, and tell the score if the target is there.

    Raises
    ------
    UsageError
        If the predictions would take the place of the table or the model.
    TableError
        If the model or the table cannot be read, or do not fit; then no file is written.
    """
    if out is not None:
        check_output(out, model_path, path)
    model = Model.load(model_path)
    source = open_table(path, replace(layout, decides=False))
    model.check_columns(source)
    kinds = model.columns.kinds
    source.check(kinds)
    unknown = [name for name in source.names if name not in kinds and name != model.target.name]
    if unknown:
        show.tell(console, f"Not used: {shown(unknown)}.")
    judge = Judge(model.target, layout.decimal) if model.target.name in source.names else None
    if judge is not None:
        kinds = kinds | {model.target.name: TEXT}
    with reading(source) as report, _output(out) as text:
        n_rows, filled = _write(model, source, kinds, judge, new_as_none, text, report)
    for name, count in filled.items():
        show.tell(console, f"{count:,} missing in {name!r}, where none was in training: taken for {_filling(model, name)}.")
    if judge is not None:
        show.tell(console, *judge.lines(console.width))
    show.tell(console, f"{n_rows:,} predictions: {'on the output' if out is None else out}")


def _filling(model: Model, name: str) -> str:
    return "the mean" if model.columns.kinds[name] == NUMBER else "none of the categories"


def _write(
    model: Model, source: Source, kinds: dict[str, str], judge: Judge | None, new_as_none: bool, text: Any, report: Report
) -> tuple[int, Counter[str]]:
    """Write a line for each row; how many there are, and how many values of each column were missing unexpectedly."""
    writer, n_rows = csv.writer(text, lineterminator="\n"), 0
    filled: Counter[str] = Counter()
    classes = model.network.classes
    labels = [] if classes is None else [f"probability of {label}" for label in classes.tolist()]
    for part in source.parts(kinds, report):
        filled.update(_unexpectedly_missing(model, part))
        X = model.columns.rows(part, source, model.network.dtype, new_as_none=new_as_none)
        predicted, probabilities = model.predict(X)
        if judge is not None:
            judge.see(part, predicted)
        if not n_rows:
            writer.writerow([f"predicted {model.target.name}", *labels])
        n_rows += part.n_rows
        if probabilities is None:
            writer.writerows([value] for value in predicted.tolist())
        else:
            for label, of_row in zip(predicted.tolist(), probabilities.tolist(), strict=True):
                writer.writerow([label, *(f"{value:.6g}" for value in of_row)])
    if not n_rows:
        raise TableError(f"{source.path}: there are no rows; give at least one")
    return n_rows, filled


def _unexpectedly_missing(model: Model, part: Part) -> dict[str, int]:
    counts = {
        number.name: int(np.isnan(part.numbers[number.name]).sum())
        for number in model.columns.numbers
        if not number.missing
    }
    for category in model.columns.categories:
        if not category.missing:
            counts[category.name] = int((part.texts[category.name].codes < 0).sum())
    return {name: count for name, count in counts.items() if count}


class Judge:
    """Compares predictions with the target where the table has it, as the net knows it."""

    def __init__(self, target: Target, decimal: str) -> None:
        self._target, self._decimal = target, decimal
        self._true: list[Array] = []
        self._predicted: list[Array] = []
        self._missing, self._unknown = 0, Counter[str]()

    def see(self, part: Part, predicted: Array) -> None:
        """Take the predictions for a part."""
        target, texts = self._target, part.texts[self._target.name]
        if target.labels is not None and isinstance(target.labels[0], str):
            values: Array = Category(target.name, target.labels).places(texts.values)
            known = (values >= 0) & (values < len(target.labels))
        else:
            numbers = [as_number(text, self._decimal) for text in texts.values]
            values = np.array([np.nan if number is None else number for number in numbers] + [np.nan])
            known = np.isfinite(values)
        if target.labels is not None:
            predicted = np.searchsorted(target.classes, predicted)
            if values.dtype == np.float64:
                places = np.minimum(np.searchsorted(target.classes, values), len(target.labels) - 1)
                known &= target.classes[places] == values
                values = places
        self._missing += int((texts.codes < 0).sum())
        counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.values))
        for text, count, is_known in zip(texts.values, counts.tolist(), known[:-1].tolist(), strict=True):
            if not is_known:
                self._unknown[text] += count
        judged = known[texts.codes]
        self._true.append(values[texts.codes[judged]])
        self._predicted.append(predicted[judged])

    def lines(self, width: int) -> list[str | Table]:
        """The score, and which rows it is not of."""
        found: list[str | Table] = []
        true = np.concatenate(self._true)
        if len(true):
            found += show.score_lines(score_of(self._target.labels, true, np.concatenate(self._predicted)), "rows", width)
        if self._missing:
            found.append(f"{self._missing:,} rows without a {self._target.name!r} are not judged.")
        if self._unknown:
            what = "number" if self._target.labels is None else "class that the net knows"
            found.append(
                f"{self._unknown.total():,} rows are not judged: their {self._target.name!r} is no {what}, such as "
                f"{shown(self._unknown, 3)}."
            )
        return found


@contextmanager
def _output(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with made_writable(out.parent), written_whole(out) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        yield text
        text.flush()
        text.detach()
