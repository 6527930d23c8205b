"""The command line: ``fastmlp tour`` and its fellows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import fastmlp

app = typer.Typer(
    help="Train multi-layer perceptrons on the CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastmlp {fastmlp.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train multi-layer perceptrons on the CPU."""


@app.command()
def tour(
    chapter: Annotated[
        str | None, typer.Option(metavar="NAME_OR_NUMBER", help="Only this chapter: moons, ..., layers, or 1 to 9.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the pictures go; made if missing.")] = Path(
        "fastmlp-tour"
    ),
    fast: Annotated[bool, typer.Option("--fast", help="A quarter of the passes.")] = False,
) -> None:
    """Walk through the article that fastmlp grew out of, from the data to the last exercise, with pictures."""
    # Imported here, as other commands need none of it.
    from rich.console import Console

    from fastmlp import plotting
    from fastmlp.tour import find, walk

    try:
        chapters = find(chapter)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--chapter") from None
    console = Console(highlight=False)
    folder: Path | None = out
    try:
        plotting.require_matplotlib()
    except ImportError as error:
        console.print(f"No pictures: {error}", markup=False, soft_wrap=True)
        folder = None
    try:
        if folder is not None:
            _make_writable(folder)
        walk(console, chapters, folder, fast)
    except OSError as error:
        typer.echo(
            f"Cannot write pictures to {out}: {error.strerror or error}. Choose another folder with --out.", err=True
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def bench(
    sizes: Annotated[str, typer.Option(metavar="FROM:TO", help="Numbers of samples: 200:1e6, or 200,5000.")] = "200:2e5",
    features: Annotated[int, typer.Option(min=1)] = 20,
    hidden: Annotated[str, typer.Option(metavar="UNITS", help="Units of each hidden layer: 100, or 64,64.")] = "100",
    classes: Annotated[int, typer.Option(min=2)] = 2,
    batch: Annotated[str, typer.Option(metavar="ROWS", help="auto (200), full, or a number.")] = "auto",
    solver: Annotated[str, typer.Option(help="As of train; the others know adam and sgd.")] = "adam",
    activation: Annotated[str, typer.Option()] = "relu",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    threads: Annotated[
        int, typer.Option(min=0, help="For all of them; 0: fastmlp chooses, others the better of one and all.")
    ] = 0,
    against: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Some of numpy,sklearn,torch,jax; those installed.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="At most so many.")] = 15,
    seconds: Annotated[float, typer.Option(min=1, help="About how long it may take.")] = 45,
    profile: Annotated[bool, typer.Option("--profile", help="Also the parts of a step.")] = False,
    forecast: Annotated[
        str | None, typer.Option(metavar="n=SAMPLES", help="Only say what so many samples will take.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all figures there.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw time against samples.")] = None,
) -> None:
    """Measure how long training takes on this machine, by the number of samples, beside other libraries."""
    from rich.console import Console

    from fastmlp.bench import command

    console = Console(highlight=False)
    try:
        wanted = command.asked(
            sizes, features, hidden, classes, batch, solver, activation, dtype, threads, against, rounds, seconds, profile,
            forecast,
        )  # fmt: skip
        for path in (json, plot):
            if path is not None:
                _make_writable(path.parent)
        if plot is not None:
            from fastmlp import plotting

            plotting.require_matplotlib()
        measured = command.run(wanted, console)
        command.tell(measured, wanted, console)
        if json is not None:
            command.write_json(measured, json)
        if plot is not None:
            plotting.save(plotting.sizes_chart(command.lines(measured), wanted.workload.net), plot)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except (OSError, ImportError) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _make_writable(folder: Path) -> None:
    """Make the folder and try it, so that a long run does not end in an error that could be told at its start.

    Raises
    ------
    OSError
        If it cannot be made, or no file can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
