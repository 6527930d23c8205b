"""``fastmlp train``: from a table in a file to a net, a score and pictures."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fastmlp import charts, plotting
from fastmlp.command_line import make_writable
from fastmlp.files import show
from fastmlp.files.data import TEST, TRAIN, VALIDATION, Data, Wanted, read
from fastmlp.files.errors import TableError
from fastmlp.files.model import Model
from fastmlp.files.opening import reading, table_with
from fastmlp.files.parts import Array, Layout
from fastmlp.files.scores import OfClasses, Score, score_of
from fastmlp.files.target import CLASSIFICATION, REGRESSION, TASKS
from fastmlp.network import Network
from fastmlp.training import train

OF_CLASSES = ("cross_entropy", "binary_cross_entropy")
# Its outputs are exponentials: the target stays as it is.
NOT_STANDARDISED = ("poisson",)


@dataclass
class Training:
    """What is to be trained: the table, the target, parameters of ``train``, and where the model goes."""

    path: Path
    layout: Layout
    wanted: Wanted
    parameters: dict[str, Any]
    out: Path

    def check(self) -> None:
        """Try the options on four samples, so that a wrong one is told before the table is read.

        Raises
        ------
        TypeError, ValueError
            If one is not what it must be.
        """
        wanted, loss = self.wanted, self.parameters.get("loss")
        if wanted.task is not None and wanted.task not in TASKS:
            raise ValueError(f"--task {wanted.task!r}: choose {' or '.join(TASKS)}")
        if wanted.validation + wanted.test >= 1:
            raise ValueError(f"--test {wanted.test:g} and --validation {wanted.validation:g} leave nothing to train on")
        for_classes = wanted.task == CLASSIFICATION if loss is None else loss in OF_CLASSES
        if loss is not None and wanted.task not in (None, CLASSIFICATION if for_classes else REGRESSION):
            raise ValueError(f"--loss {loss}: does not suit --task {wanted.task}")
        y = [0, 1, 0, 1] if for_classes else [0.0, 1.0, 2.0, 3.0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train([[0.0], [1.0], [0.0], [1.0]], y, **self.parameters | {"epochs": 1, "engine": "reference"})
        self.wanted.standardise_target = loss not in NOT_STANDARDISED


@dataclass
class Trained:
    """What came out: the model, the data and, if rows were held out for it, the score on them."""

    model: Model
    data: Data
    score: Score | None
    test: tuple[Array, Array] | None

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        return self.model.network.status == "interrupted"


def run_training(asked: Training, console: Console) -> Trained:
    """Read, train and judge, and tell what is done.

    Raises
    ------
    TableError
        If the table is not what can be learnt from.
    """
    asked.check()
    source, kinds = table_with(asked.wanted.target, asked.path, asked.layout)
    with reading(source) as report:
        data = read(source, kinds, asked.wanted, report)
    console.print(show.columns_table(data))
    for line in [*show.notes(data), show.rows_line(data)]:
        console.print(line, markup=False, soft_wrap=True)
    _check_loss(asked, data)
    make_writable(asked.out.parent)
    net = _trained(asked, data, console)
    model = Model.of(net, data.columns, data.target)
    test = (data.rows(TEST)[1], _predicted(model, data.rows(TEST)[0])) if data.counts[TEST] else None
    score = None
    if test is not None:
        score = score_of(data.target.labels, *_in_units(data, test))
        for told in show.score_lines(score, "test rows"):
            console.print(told)
    return Trained(model, data, score, None if test is None else _in_units(data, test))


def _check_loss(asked: Training, data: Data) -> None:
    loss = asked.parameters.get("loss")
    if loss is not None and (loss in OF_CLASSES) != (data.target.labels is not None):
        other = REGRESSION if data.target.labels is not None else CLASSIFICATION
        raise TableError(
            f"{asked.path}: the target {data.target.name!r} is taken for {data.target.task}, which --loss {loss} does not "
            f"suit; give --task {other}, or another --loss"
        )
    if loss == "poisson" and data.y.min() < 0:
        raise TableError(f"{asked.path}: the target is {data.y.min():g} in some row; --loss poisson takes counts from 0 on")


def _trained(asked: Training, data: Data, console: Console) -> Network:
    """Train, and tell what there was to warn of.

    Raises
    ------
    TableError
        If not one epoch came to its end, or the objective did not stay finite.
    """
    validation = data.rows(VALIDATION) if data.counts[VALIDATION] else None
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The columns are standardised: a wide one has an outlier, and one of a rare category is narrow.
        warnings.filterwarnings("ignore", message="X: column")
        net = train(*data.rows(TRAIN), validation=validation, progress=True, **asked.parameters)
    for warning in caught:
        console.print(str(warning.message), markup=False, soft_wrap=True, style="yellow")
    if net.status == "diverged":
        raise TableError(f"{asked.path}: the training diverged; give a smaller --learning-rate")
    if not net.n_epochs:
        raise KeyboardInterrupt
    console.print(show.training_line(net, time.perf_counter() - begin), soft_wrap=True)
    return net


def _predicted(model: Model, X: Array) -> Array:
    """Class numbers among the target's labels, or numbers in its units."""
    predicted, probabilities = model.predict(X)
    if probabilities is None:
        return predicted
    return np.searchsorted(model.target.classes, predicted)


def _in_units(data: Data, test: tuple[Array, Array]) -> tuple[Array, Array]:
    true, predicted = test
    target = data.target
    return (true, predicted) if target.labels else (target.mean + target.scale * true.astype(np.float64), predicted)


def draw(trained: Trained, out: Path, console: Console) -> None:
    """Draw the losses, and the confusion matrix or the residuals of the test rows, beside the model."""
    try:
        plotting.require_matplotlib()
    except ImportError as error:
        console.print(f"No pictures: {error}", markup=False, soft_wrap=True)
        return
    target = trained.data.target
    losses = plotting.loss_curve(trained.model.network).figure
    figures: dict[str, Any] = {"losses": losses}
    if isinstance(trained.score, OfClasses):
        figures["confusion"] = charts.confusion_chart(trained.score.labels, trained.score.confusion)
    elif trained.test is not None:
        figures["residuals"] = charts.residuals_chart(*trained.test, target.name)
    for name, figure in figures.items():
        path = plotting.save(figure, out.with_name(f"{out.stem}-{name}.png"))
        console.print(f"picture: {path}", markup=False, soft_wrap=True)
