"""``fastmlp predict``: from a model and a table in a file to a line for each row."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from rich.console import Console

from fastmlp.command_line import make_writable
from fastmlp.files import show
from fastmlp.files.errors import TableError
from fastmlp.files.model import Model
from fastmlp.files.opening import open_table, reading
from fastmlp.files.parts import NUMBER, TEXT, Array, Layout, Part, Report, Source, shown
from fastmlp.files.scores import Score, score_of
from fastmlp.writing import written_whole


def run_prediction(
    model_path: Path, path: Path, layout: Layout, out: Path | None, new_as_none: bool, console: Console
) -> None:
    """Write the predictions for a table to a CSV file, or to the terminal's output, and the score if the target is there.

    Raises
    ------
    TableError
        If the model or the table cannot be read, or do not fit; then nothing is written.
    """
    model = Model.load(model_path)
    source = open_table(path, layout)
    model.check_columns(source)
    kinds = model.columns.kinds
    unknown = [name for name in source.names if name not in kinds and name != model.target.name]
    if unknown:
        console.print(f"Not used: {shown(unknown)}.", markup=False, soft_wrap=True)
    judge = _Judge(model) if model.target.name in source.names else None
    if judge is not None:
        kinds = kinds | {model.target.name: judge.kind}
    with reading(source) as report, _output(out) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        n_rows, filled = _write(model, source, kinds, judge, new_as_none, text, report)
        text.flush()
        text.detach()
    for name, count in filled.items():
        console.print(f"{count:,} missing in {name!r}, where none was in training: taken for the mean, or for no category.")
    if judge is not None and judge.true:
        for told in show.score_lines(judge.score(), "rows"):
            console.print(told)
    console.print(f"{n_rows:,} predictions: {'on the output' if out is None else out}", markup=False, soft_wrap=True)


def _write(
    model: Model, source: Source, kinds: dict[str, str], judge: _Judge | None, new_as_none: bool, text: Any, report: Report
) -> tuple[int, dict[str, int]]:
    """Write a line for each row; how many there are, and how many values of each column were missing unexpectedly."""
    writer, n_rows = csv.writer(text, lineterminator="\n"), 0
    filled: dict[str, int] = {}
    classes = model.network.classes
    labels = [] if classes is None else [f"probability of {label}" for label in classes.tolist()]
    writer.writerow([f"predicted {model.target.name}", *labels])
    for part in source.parts(kinds, report):
        for name, count in _unexpectedly_missing(model, part):
            if count:
                filled[name] = filled.get(name, 0) + count
        predicted, probabilities = model.predict(
            model.columns.rows(part, source, model.network.dtype, new_as_none=new_as_none)
        )
        if judge is not None:
            judge.see(part, predicted)
        n_rows += part.n_rows
        if probabilities is None:
            writer.writerows([f"{value:.8g}"] for value in predicted.tolist())
        else:
            for label, of_row in zip(predicted.tolist(), probabilities.tolist(), strict=True):
                writer.writerow([label, *(f"{value:.6g}" for value in of_row)])
    if not n_rows:
        raise TableError(f"{source.path}: there are no rows; give at least one")
    return n_rows, filled


def _unexpectedly_missing(model: Model, part: Part) -> Iterator[tuple[str, int]]:
    for number in model.columns.numbers:
        if not number.missing:
            yield number.name, int(np.isnan(part.numbers[number.name]).sum())
    for category in model.columns.categories:
        if not category.missing:
            yield category.name, int((part.texts[category.name].codes < 0).sum())


class _Judge:
    """Compares predictions with the target where the table has it; rows without it, or of a new class, do not count."""

    def __init__(self, model: Model) -> None:
        self._target = model.target
        labels = model.target.labels
        self.kind = TEXT if labels is not None and isinstance(labels[0], str) else NUMBER
        self.true: list[Array] = []
        self.predicted: list[Array] = []

    def see(self, part: Part, predicted: Array) -> None:
        """Take the predictions for a part."""
        target = self._target
        if self.kind == TEXT:
            texts = part.texts[target.name]
            places = {label: place for place, label in enumerate(target.labels or [])}
            true: Array = np.array([places.get(text, -1) for text in texts.values] + [-1])[texts.codes]
            known = true >= 0
        else:
            true = part.numbers[target.name]
            known = ~np.isnan(true)
            if target.labels is not None:
                places_of = np.minimum(np.searchsorted(target.classes, true), len(target.labels) - 1)
                known = target.classes[places_of] == true
                true = places_of
        if target.labels is not None:
            predicted = np.searchsorted(target.classes, predicted)
        if known.any():
            self.true.append(true[known])
            self.predicted.append(predicted[known])

    def score(self) -> Score:
        """On all rows seen."""
        return score_of(self._target.labels, np.concatenate(self.true), np.concatenate(self.predicted))


@contextmanager
def _output(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        return
    make_writable(out.parent)
    with written_whole(out) as file:
        yield file
