"""From a file's name, and from options of commands, to what reads it."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastmlp.command_line import UsageError
from fastmlp.files import arrow
from fastmlp.files.arrays import Npz
from fastmlp.files.errors import TableError
from fastmlp.files.parts import Layout, Report, Source, shown
from fastmlp.files.plain import PlainCsv

CSV = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz")
PARQUET = (".parquet", ".pq")


def open_table(path: Path, layout: Layout) -> Source:
    """The table in a file, by the end of its name.

    Raises
    ------
    TableError
        If there is no such file, or none that can be read.
    ImportError
        If a library for it is missing.
    """
    if not path.exists():
        raise TableError(f"{path}: no such file")
    if not path.is_file():
        problem = (
            "a folder; give a file" if path.is_dir() else "not a file; save it as one, since it is read more than once"
        )
        raise TableError(f"{path}: {problem}")
    name = path.name.lower()
    try:
        if name.endswith(PARQUET):
            return arrow.Parquet(path, layout)
        if name.endswith(".npz"):
            return Npz(path, layout)
        if name.endswith(CSV) or layout.delimiter is not None:
            return (arrow.ArrowCsv if arrow.is_installed() else PlainCsv)(path, layout)
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error})") from None
    known = ", ".join((*CSV, *PARQUET, ".npz"))
    raise TableError(
        f"{path}: a kind of file that is not known by the end of its name; give one of {known}, or --delimiter"
    )


def layout(
    delimiter: str | None,
    decimal: str,
    encoding: str,
    has_header: bool,
    texts: Collection[str] = (),
    left_out: Collection[str] = (),
) -> Layout:
    """How a CSV file is written, checked.

    Raises
    ------
    UsageError
        Naming the option that is not what it must be.
    """
    named = {"tab": "\t", "\\t": "\t", "space": " "}
    if delimiter is not None:
        delimiter = named.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '\n\r"':
            raise UsageError(f"--delimiter {delimiter!r}: give one character, or tab")
    if decimal not in (".", ","):
        raise UsageError(f"--decimal {decimal!r}: choose . or ,")
    try:
        if not codecs.lookup(encoding)._is_text_encoding:
            raise LookupError
    except LookupError:
        raise UsageError(f"--encoding {encoding!r}: unknown; give utf-8, latin-1, cp1252 or another of Python's") from None
    return Layout(delimiter, decimal, encoding, has_header, texts, left_out)


def table_with(target: str, path: Path, layout: Layout) -> tuple[Source, dict[str, str]]:
    """A table to learn from, and what its columns hold.

    Raises
    ------
    TableError
        If it cannot be read, or lacks a column that is named.
    """
    source = open_table(path, layout)
    for option, names in (("--target", [target]), ("--drop", layout.left_out), ("--category", layout.texts)):
        for name in names:
            if name not in source.names:
                near = difflib.get_close_matches(name, source.names, 1)
                hint = f"; did you mean {near[0]!r}" if near else ""
                raise TableError(f"{path}: no column {name!r}, as {option} says{hint}? There are {shown(source.names, 20)}")
    if target in layout.left_out:
        raise TableError(f"{path}: --drop names the target {target!r}; leave out another column")
    return source, source.kinds()


@contextmanager
def reading(source: Source) -> Iterator[Report]:
    """Shows on the terminal, if there is one, how far the file is read."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading", total=source.size)
        yield lambda done: bar.update(task, completed=done)
