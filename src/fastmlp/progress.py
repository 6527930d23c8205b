"""A progress bar for the terminal; nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, float, float], None]


@contextmanager
def reporting(wanted: bool, epochs: int) -> Iterator[Report]:
    """A function to be told the epochs done, the last loss and the rate."""
    if not wanted:
        yield lambda epoch, loss, rate: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.6g}  rate {task.fields[rate]:.3g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=epochs, loss=float("nan"), rate=float("nan"))
        yield lambda epoch, loss, rate: bar.update(task, completed=epoch, loss=loss, rate=rate)
