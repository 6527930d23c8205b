"""A progress bar for the terminal; nothing where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, float, float, float], None]


@contextmanager
def reporting(wanted: bool, epochs: int) -> Iterator[Report]:
    """A function to be told the epochs done, the last loss, the rate and the validation loss, NaN where there is none."""
    if not wanted:
        yield lambda epoch, loss, rate, validation: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.6g}{task.fields[validation]}  rate {task.fields[rate]:.3g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=epochs, loss=float("nan"), rate=float("nan"), validation="")

        def report(epoch: int, loss: float, rate: float, validation: float) -> None:
            shown = "" if math.isnan(validation) else f"  validation {validation:.6g}"
            bar.update(task, completed=epoch, loss=loss, rate=rate, validation=shown)

        yield report


@contextmanager
def counting(wanted: bool, total: int, what: str = "nets") -> Iterator[Callable[[int], None]]:
    """A function to be told how many of the nets, or whatever they are, are done."""
    if not wanted:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
