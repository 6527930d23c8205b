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
