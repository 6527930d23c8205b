"""``fastmlp train``: from a table in a file to a net, a score and pictures."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fastmlp import charts, plotting
from fastmlp.arguments import check_epochs, whole
from fastmlp.command_line import UsageError, check_output, made_writable
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


@dataclass
class Training:
    """What is to be trained: the table, the target, parameters of ``train``, where the model goes, and any checkpoint."""

    path: Path
    layout: Layout
    wanted: Wanted
    parameters: dict[str, Any]
    out: Path
    checkpoint: Path | None = None

    def check(self) -> None:
        """Try the options on four samples, so that a wrong one is told before the table is read.

        Raises
        ------
        UsageError
            If one is not what it must be.
        """
        check_output(self.out, self.path)
        if self.checkpoint is not None and self.checkpoint.absolute() in (self.out.absolute(), self.path.absolute()):
            raise UsageError(f"--checkpoint {self.checkpoint}: is the table's or the model's place; give another file")
        wanted, loss = self.wanted, self.parameters.get("loss")
        if wanted.task is not None and wanted.task not in TASKS:
            raise UsageError(f"--task {wanted.task!r}: choose {' or '.join(TASKS)}")
        for option, share in (("--test", wanted.test), ("--validation", wanted.validation)):
            if share >= 1:
                raise UsageError(f"{option} {share:g}: leaves nothing to train on; give a share below 1")
        for_classes = wanted.task == CLASSIFICATION if loss is None else loss in OF_CLASSES
        if loss is not None and wanted.task not in (None, CLASSIFICATION if for_classes else REGRESSION):
            raise UsageError(f"--loss {loss}: does not suit --task {wanted.task}")
        y = [0, 1, 0, 1] if for_classes else [0.0, 1.0, 2.0, 3.0]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check_epochs("epochs", whole("epochs", self.parameters["epochs"]))
                train([[0.0], [1.0], [0.0], [1.0]], y, **self.parameters | {"epochs": 1, "engine": "reference"})
        except (TypeError, ValueError) as error:
            raise UsageError(_by_option(str(error), self.parameters)) from None


def _by_option(message: str, parameters: Mapping[str, Any]) -> str:
    """A message of `train`, beginning with the option in place of the parameter."""
    name = re.match(r"\w*", message)
    assert name is not None
    if name[0] not in parameters:
        return message
    option = {"batch_size": "--batch"}.get(name[0], f"--{name[0].replace('_', '-')}")
    return f"{option}{message[name.end() :]}"


@dataclass
class Trained:
    """What came out: the model and, if rows were held out for it, their targets, true and predicted, and the score."""

    model: Model
    test: tuple[Array, Array] | None
    score: Score | None
    is_interrupted: bool


def run_training(asked: Training, console: Console) -> Trained:
    """Read, train, save the model and judge it, and tell what is done.

    Raises
    ------
    UsageError
        If an option is not what it must be.
    TableError
        If the table is not what can be learnt from; then nothing is written.
    """
    asked.check()
    source, kinds = table_with(asked.wanted.target, asked.path, asked.layout)
    with reading(source) as report:
        data = read(source, kinds, asked.wanted, report)
    show.tell(console, show.columns_table(data), *source.notes, *show.notes(data), show.rows_line(data))
    _check_loss(asked, data)
    with made_writable(asked.out.parent):
        net, is_interrupted = _trained(asked, data, console)
        model = Model.of(net, data.columns, data.target)
        model.save(asked.out)
    show.tell(console, f"model: {asked.out}")
    if not data.counts[TEST]:
        return Trained(model, None, None, is_interrupted)
    test = _test(model, data)
    score = score_of(data.target.labels, *test)
    show.tell(console, *show.score_lines(score, "test rows", console.width))
    return Trained(model, test, score, is_interrupted)


def _test(model: Model, data: Data) -> tuple[Array, Array]:
    """What is true of the test rows and what the net predicts: class numbers, or numbers in the target's units."""
    X, y = data.rows(TEST)
    predicted, _ = model.predict(X)
    target = data.target
    if target.labels is not None:
        return y, np.searchsorted(target.classes, predicted)
    return target.mean + target.scale * y.astype(np.float64), predicted


def _check_loss(asked: Training, data: Data) -> None:
    loss = asked.parameters.get("loss")
    if loss is not None and (loss in OF_CLASSES) != (data.target.labels is not None):
        other = REGRESSION if data.target.labels is not None else CLASSIFICATION
        raise TableError(
            f"{asked.path}: the target {data.target.name!r} is taken for {data.target.task}, which --loss {loss} does not "
            f"suit; give --task {other}, or another --loss"
        )
    n_classes = len(data.target.labels or ())
    if loss == "binary_cross_entropy" and n_classes > 2:
        raise TableError(f"{asked.path}: the target has {n_classes} classes, but --loss {loss} takes two; leave it out")
    if loss == "poisson" and data.y.min() < 0:
        raise TableError(f"{asked.path}: the target is {data.y.min():g} in some row; --loss poisson takes counts from 0 on")


def _trained(asked: Training, data: Data, console: Console) -> tuple[Network, bool]:
    """Train, and tell what there was to warn of; the net, and whether Ctrl-C came.

    Raises
    ------
    UsageError
        If the checkpoint is not one of this training.
    TableError
        If not one epoch came to its end, or the objective did not stay finite.
    """
    validation = data.rows(VALIDATION) if data.counts[VALIDATION] else None
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The columns are standardised: a wide one has an outlier, and one of a rare category is narrow.
        warnings.filterwarnings("ignore", message="X: (no )?column")
        try:
            net = train(
                *data.rows(TRAIN), validation=validation, progress=True, checkpoint=asked.checkpoint, **asked.parameters
            )
        except ValueError as error:
            raise UsageError(_by_option(str(error), {"checkpoint": asked.checkpoint})) from None
    show.tell(console, *(str(warning.message) for warning in caught), style="yellow")
    if net.status == "diverged":
        raise TableError(f"{asked.path}: the training diverged; give a smaller --learning-rate")
    if not net.n_epochs:
        raise KeyboardInterrupt
    show.tell(console, show.training_line(net, time.perf_counter() - begin))
    return net, any(str(warning.message).startswith("interrupted") for warning in caught)


def draw(trained: Trained, out: Path, console: Console) -> None:
    """Draw the losses, and the confusion matrix or the residuals of the test rows, beside the model."""
    try:
        plotting.require_matplotlib()
    except ImportError as error:
        show.tell(console, f"No pictures: {error}")
        return
    losses = plotting.loss_curve(trained.model.network).figure
    figures: dict[str, Any] = {"losses": losses}
    if isinstance(trained.score, OfClasses):
        figures["confusion"] = charts.confusion_chart(trained.score.labels, trained.score.confusion)
    elif trained.test is not None:
        figures["residuals"] = charts.residuals_chart(*trained.test, trained.model.target.name)
    for name, figure in figures.items():
        with warnings.catch_warnings():
            # Names may be in scripts that the fonts at hand do not have.
            warnings.filterwarnings("ignore", message="Glyph")
            path = plotting.save(figure, out.with_name(f"{out.stem}-{name}.png"))
        show.tell(console, f"picture: {path}")
