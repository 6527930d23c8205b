"""A walk through the article in the terminal: a screen and a picture for each chapter."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fastmlp import article, exercises, pictures, plotting
from fastmlp.training import train

if TYPE_CHECKING:
    from fastmlp.plotting import Figure

FAST_PASSES = article.PASSES // 4
LOSS_COLUMNS = 4


class Chapter(NamedTuple):
    """A chapter: `run` takes whether to be fast and returns a result with a claim, which `table` and `picture` show."""

    name: str
    title: str
    lead: str
    run: Callable[[bool], Any]
    table: Callable[[Any], RenderableType]
    picture: Callable[[Any], Figure]


def find(wanted: str | None) -> list[tuple[int, Chapter]]:
    """The chapters meant, with their numbers from 1: all, or the one of that number or name.

    Raises
    ------
    ValueError
        If there is no such chapter; the message lists those that are.
    """
    numbered = list(enumerate(CHAPTERS, start=1))
    if wanted is None:
        return numbered
    for number, chapter in numbered:
        if wanted.strip().lower() in (str(number), chapter.name):
            return [(number, chapter)]
    names = ", ".join(f"{number} {chapter.name}" for number, chapter in numbered)
    raise ValueError(f"there is no chapter {wanted!r}: choose a number or a name of {names}")


def walk(console: Console, chapters: Sequence[tuple[int, Chapter]], out: Path | None, fast: bool) -> None:
    """Run the chapters and tell of them; their pictures go into the folder `out`, or are left out where it is None.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, during training too.
    OSError
        If a picture cannot be written.
    """
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # Interrupted, `train` warns and gives back the net so far: right for a user's training, but here it must end.
        warnings.filterwarnings("error", "interrupted", RuntimeWarning)
        try:
            _warm_up(console)
            for number, chapter in chapters:
                _tell(console, number, chapter, out, fast)
        except RuntimeWarning as warning:
            if str(warning).startswith("interrupted"):
                raise KeyboardInterrupt from None
            raise
    console.print()
    end = f"[bold]The end[/], after {time.perf_counter() - begin:.1f} s."
    console.print(end if out is None else f"{end} The pictures are in {escape(str(out))}", soft_wrap=True)


def _warm_up(console: Console) -> None:
    console.print("[dim]Starting the kernels. The first time on a machine they are compiled, for about five seconds.[/]")
    begin = time.perf_counter()
    with console.status("starting the kernels"):
        X, y = article.X[:4], np.array([0, 1, 0, 1])
        train(X, y, 2, epochs=1, seed=0).predict(X)
    console.print(f"[dim]Ready after {time.perf_counter() - begin:.1f} s.[/]")


def _tell(console: Console, number: int, chapter: Chapter, out: Path | None, fast: bool) -> None:
    console.print()
    console.rule(f"[bold]{number} · {chapter.title}", align="left")
    console.print(chapter.lead)
    with console.status("training"):
        result = chapter.run(fast)
    console.print(Padding(chapter.table(result), (1, 2)))
    console.print(Text(result.claim, style="bold"))
    if out is not None:
        with console.status("drawing"):
            path = plotting.save(chapter.picture(result), out / f"{number}-{chapter.name}.png")
        # Not wrapped, so that it can be clicked and copied.
        console.print(f"[dim]picture:[/] {escape(str(path))}", soft_wrap=True)


def _passes(fast: bool) -> int:
    return FAST_PASSES if fast else article.PASSES


def _run_network(fast: bool) -> article.ArticleNetwork:
    return article.network(_passes(fast), FAST_PASSES // 5 if fast else 0)


def _moons_table(result: article.Moons) -> RenderableType:
    table = Table("points", "number", "class 0", "class 1", box=None, pad_edge=False)
    for name, labels in (("to train on", result.data.train.y), ("held out", result.data.held_out.y)):
        zeros, ones = np.bincount(labels)
        table.add_row(name, str(len(labels)), str(zeros), str(ones))
    return table


def _baseline_table(result: article.Baseline) -> RenderableType:
    table = Table("model", "training", "held out", box=None, pad_edge=False)
    table.add_row("logistic regression", article.percent(result.accuracy), article.percent(result.held_out))
    return table


def _losses_table(result: article.ArticleNetwork) -> RenderableType:
    """The losses in columns, read downwards, above the net's line."""
    table = Table(*["after pass", "loss"] * LOSS_COLUMNS, box=None, pad_edge=False)
    rows = -(-len(result.losses) // LOSS_COLUMNS)
    for row in range(rows):
        table.add_row(*(text for passes, loss in result.losses[row::rows] for text in (str(passes), f"{loss:.6f}")))
    oscillation = (
        "At its rate the article's run ends in a period-2 oscillation between 0.070758 and 0.071316. Rounding decides "
        "which comes last: the article prints the one, the same code on another NumPy the other."
    )
    return Group(table, "", _fits_table([result.fit]), "", oscillation)


def _fits_table(fits: Sequence[article.Fit]) -> RenderableType:
    """A line for each net, the sum of the times, and how the reference was timed."""
    table = Table("", "training", "held out", "loss", "kernels", "reference", "ratio", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in fits:
        shown = (article.percent(one.accuracy), article.percent(one.held_out), f"{one.net.loss_curve[-1]:.4f}")
        table.add_row(one.label, *shown, *_times([one]))
    if len(fits) > 1:
        table.add_row("together", "", "", "", *_times(fits), style="bold")
    passes, timed = fits[0].net.n_epochs, fits[0].reference_passes
    how = f"{passes:,} passes each, by kernels and reference alike."
    if timed < passes:
        how = f"{passes:,} passes each; the reference's times are those of {timed:,} passes, scaled."
    return Group(table, Text(how, style="dim"))


def _times(fits: Sequence[article.Fit]) -> tuple[str, str, str]:
    kernels, reference = sum(one.seconds for one in fits), sum(one.reference_seconds for one in fits)
    return f"{kernels:.3f} s", f"{reference:.2f} s", f"{reference / kernels:.0f}x"


CHAPTERS = (
    Chapter(
        "moons",
        "The moons",
        "Two measurements of each patient, and two kinds of patients: 200 points on two noisy half circles.",
        lambda fast: article.moons(),
        _moons_table,
        pictures.moons,
    ),
    Chapter(
        "baseline",
        "Logistic regression",
        "A linear model first: scikit-learn's LogisticRegressionCV, which can only draw a straight line.",
        lambda fast: article.baseline(),
        _baseline_table,
        pictures.baseline,
    ),
    Chapter(
        "network",
        "A net with one hidden layer",
        "Two inputs, three tanh units, two softmax outputs, trained by gradient descent on all points at once. "
        "The units find the features that the straight line lacks.",
        _run_network,
        _losses_table,
        pictures.network,
    ),
    Chapter(
        "sizes",
        "Hidden layers of several sizes",
        "Too few units cannot bend far enough; too many learn the noise, which only points held out from training reveal. "
        "The remedies: fewer units, or a stronger penalty on the weights.",
        lambda fast: article.sizes(_passes(fast)),
        lambda result: _fits_table([*result.fits, *result.stronger]),
        pictures.sizes,
    ),
    Chapter(
        "minibatches",
        "Exercise 1: minibatches",
        f"An update after every few points, not after all of them; the rate is {exercises.STABLE_RATE:g} for all. "
        "A pass then costs more, and goes further.",
        lambda fast: exercises.minibatches(_passes(fast) // 10),
        lambda result: _fits_table(result.fits),
        pictures.minibatches,
    ),
    Chapter(
        "annealing",
        "Exercise 2: a rate that falls",
        "The article's rate is so large that the end swings to and fro across a valley. Schedules begin with it and lower "
        "it as training goes on.",
        lambda fast: exercises.annealing(_passes(fast)),
        lambda result: _fits_table(result.fits),
        pictures.annealing,
    ),
    Chapter(
        "activations",
        "Exercise 3: other activations",
        f"The same net with {exercises.ACTIVATION_UNITS} hidden units at a rate of {exercises.STABLE_RATE:g}, each time "
        "with another function behind them.",
        lambda fast: exercises.activations(_passes(fast)),
        lambda result: _fits_table(result.fits),
        pictures.activations,
    ),
    Chapter(
        "classes",
        "Exercise 4: three classes",
        "Three arms of a spiral, 100 points on each, and a third output for the third class.",
        lambda fast: exercises.three_classes(_passes(fast)),
        lambda result: _fits_table(result.fits),
        pictures.three_classes,
    ),
    Chapter(
        "layers",
        "Exercise 5: four layers",
        "A second hidden layer, on the spiral; for comparison, first, a net with one.",
        lambda fast: exercises.four_layers(_passes(fast) // 4),
        lambda result: _fits_table(result.fits),
        pictures.four_layers,
    ),
)
