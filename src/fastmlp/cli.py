"""The command line: ``fastmlp tour`` and its fellows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

import fastmlp
from fastmlp.command_line import INTERRUPTED, UsageError, make_writable
from fastmlp.files.errors import TableError

app = typer.Typer(
    help="Train multi-layer perceptrons on the CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Delimiter = Annotated[str | None, typer.Option(metavar="CHAR", help="Between a CSV file's values; found by itself.")]
Decimal = Annotated[str, typer.Option(metavar="CHAR", help="Of a CSV file's numbers: . or ,")]
Encoding = Annotated[str, typer.Option(help="Of a CSV file: utf-8, latin-1, ...")]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The CSV file begins with values: its columns are 'column 1', ...")
]


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
            make_writable(folder)
        walk(console, chapters, folder, fast)
    except OSError as error:
        typer.echo(
            f"Cannot write pictures to {out}: {error.strerror or error}. Choose another folder with --out.", err=True
        )
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise _interrupted() from None


@app.command()
def bench(
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="Measure on your own table, with --target.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of --data: the classes.")] = None,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="FROM:TO", help="Numbers of samples: 200:1e6, or 200,5000; 200:2e5, or up to your table's."),
    ] = None,
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
    with _errors_told():
        wanted = command.asked(
            sizes, features, hidden, classes, batch, solver, activation, dtype, threads, against, rounds, seconds, profile,
            forecast, data, target,
        )  # fmt: skip
        for path in (json, plot):
            if path is not None:
                make_writable(path.parent)
        if plot is not None:
            from fastmlp import charts, plotting

            plotting.require_matplotlib()
        measured = command.run(wanted, console)
        command.tell(measured, wanted, console)
        if json is not None:
            command.write_json(measured, json)
        if plot is not None:
            plotting.save(charts.sizes_chart(command.lines(measured), wanted.workload.net), plot)


@app.command()
def check(
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all of it there.")] = None,
) -> None:
    """Hold the compiled kernels against the plain-NumPy reference on this machine; a support request can start with it."""
    from rich.console import Console

    from fastmlp.check import command

    with _errors_told():
        if json is not None:
            make_writable(json.parent)
        held = command.run(Console(highlight=False), json)
    if not held:
        raise typer.Exit(1)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="FILE", help="A table: .csv, .csv.gz, .tsv, .parquet or .npz.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the model goes.")] = Path(
        "model.safetensors"
    ),
    task: Annotated[
        str | None, typer.Option(help="classification or regression; by itself texts and few whole numbers are classes.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Leave the column out; may be repeated.")] = None,
    category: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Its numbers are names; may be repeated.")
    ] = None,
    most_categories: Annotated[int, typer.Option(min=1, help="Of one column.")] = 100,
    hidden: Annotated[
        str, typer.Option(metavar="UNITS", help="Units of each hidden layer: 100, or 64,64, or none.")
    ] = "100",
    activation: Annotated[str, typer.Option()] = "relu",
    loss: Annotated[str | None, typer.Option(help="As of train in Python; by itself it suits the target.")] = None,
    solver: Annotated[str, typer.Option(help="adam, sgd, adamw, rmsprop, rprop or lbfgs.")] = "adam",
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    l2: Annotated[float, typer.Option(help="Penalty on squared weights.")] = 0.0,
    dropout: Annotated[float, typer.Option(help="Share of each hidden layer left out in each update.")] = 0.0,
    batch: Annotated[str, typer.Option(metavar="ROWS", help="auto (200), full, or a number.")] = "auto",
    epochs: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows left by --test that finds the best epoch; 0 for none.")
    ] = 0.1,
    patience: Annotated[int, typer.Option(min=1, help="Stop after so many epochs without a gain.")] = 10,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of rows held out for the score; 0 for none.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    threads: Annotated[int, typer.Option(min=0, help="At most; 0 chooses.")] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Written once a minute; the same command goes on from there, whatever ended it."),
    ] = None,
    delimiter: Delimiter = None,
    decimal: Decimal = ".",
    encoding: Encoding = "utf-8",
    no_header: NoHeader = False,
    pictures: Annotated[
        bool, typer.Option(help="Draw the losses and the confusion matrix or the residuals, beside the model.")
    ] = True,
) -> None:
    """Train a net on a table, tell how well it does on rows held out, and keep it together with what the columns are."""
    from rich.console import Console

    from fastmlp import command_line
    from fastmlp.files import train as training
    from fastmlp.files.data import Wanted
    from fastmlp.files.opening import layout

    console = Console(highlight=False)
    with _errors_told():
        written = layout(delimiter, decimal, encoding, not no_header, category or (), drop or ())
        rows = command_line.batch(batch)
        asked = training.Training(
            data, written, Wanted(target, task, loss != "poisson", validation, test, most_categories, dtype, seed),
            {
                "hidden": command_line.units(hidden), "activation": activation, "loss": loss, "solver": solver,
                "learning_rate": learning_rate, "l2": l2, "dropout": dropout,
                "batch_size": None if rows == "full" else rows, "epochs": epochs, "patience": patience, "seed": seed,
                "dtype": dtype, "threads": threads or None,
            },
            out,
            checkpoint,
        )  # fmt: skip
        trained = training.run_training(asked, console)
        if trained.is_interrupted:
            raise KeyboardInterrupt
        if pictures:
            training.draw(trained, out, console)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="What fastmlp train has written.")],
    data: Annotated[Path, typer.Argument(metavar="FILE", help="A table with the columns that the net was trained on.")],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="A CSV file with a line for each row; - for the output.")
    ] = "predictions.csv",
    new_categories: Annotated[
        str, typer.Option(metavar="refuse|as-none", help="Texts that did not occur in training.")
    ] = "refuse",
    delimiter: Delimiter = None,
    decimal: Decimal = ".",
    encoding: Encoding = "utf-8",
    no_header: NoHeader = False,
) -> None:
    """Predict for the rows of a table: classes and their probabilities, or numbers. Judged, if the target is there."""
    from rich.console import Console

    from fastmlp.files.opening import layout
    from fastmlp.files.predict import run_prediction

    console = Console(highlight=False, stderr=out == "-")
    with _errors_told():
        if new_categories not in ("refuse", "as-none"):
            raise UsageError(f"--new-categories {new_categories!r}: choose refuse or as-none")
        written = layout(delimiter, decimal, encoding, not no_header)
        place = None if out == "-" else Path(out)
        run_prediction(model, data, written, place, new_categories == "as-none", console)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all compiled kernels, and nothing else.")] = False,
    warm: Annotated[bool, typer.Option("--warm", help="Compile all there is, so that no later process has to.")] = False,
    dtype: Annotated[str | None, typer.Option(metavar="DTYPE", help="Of --warm: float32 or float64; else both.")] = None,
) -> None:
    """Tell where compiled kernels are kept and what they take; remove them, or compile all ahead.

    For an image of a container: RUN fastmlp cache --warm, with FASTMLP_CACHE_DIR set to a folder of the image. Kernels are
    made for the kind of CPU that compiles them.
    """
    from rich.console import Console

    from fastmlp import cache as kernels

    console = Console(highlight=False)
    with _errors_told():
        if dtype not in (None, *kernels.DTYPES):
            raise UsageError(f"--dtype {dtype!r}: choose float32 or float64, or leave it out for both")
        if clear:
            console.print(f"Removed {kernels.clear()} files.")
        if warm:
            compiled = kernels.keep_warm(dtype)
            console.print(f"Compiled: {', '.join(compiled) or 'nothing, all was there'}.", markup=False, soft_wrap=True)
        kernels.tell(kernels.look(), console)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell what is wrong, without a traceback, and leave: 2 if the command was, 1 if what it met, 130 after Ctrl-C."""
    try:
        yield
    except BrokenPipeError:
        # Who reads the output has enough of it; Python would complain again when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ImportError, TableError) as error:
        typer.echo(
            f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error, err=True
        )
        raise typer.Exit(1) from None
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    except KeyboardInterrupt:
        raise _interrupted() from None


def _interrupted() -> typer.Exit:
    typer.echo("Interrupted.", err=True)
    return typer.Exit(INTERRUPTED)
