"""``fastmlp check``: the kernels against the reference, on the user's own machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from fastmlp.check import ahead, show
from fastmlp.check.checks import SECTIONS, Row, Section, carry_out
from fastmlp.check.facts import facts


def run(console: Console, path: Path | None = None) -> bool:
    """Make all checks, tell what they find as they go, and write it to the path too; whether all held."""
    # A terminal that is narrower breaks lines, where a table would cut its cells.
    console.width = max(console.width, show.WIDTH)
    begin, found, rows = time.perf_counter(), facts(), list[Row]()
    console.print(show.facts_table(found))
    console.print()
    console.print(show.legend())
    console.print()
    if ahead.is_needed():
        with console.status("compiling the kernels, once for this version"):
            ahead.compile_all()
    for section in SECTIONS:
        some = _rows(section, console)
        rows += some
        console.print(show.section_table(section.title, some))
        console.print()
    seconds = time.perf_counter() - begin
    _close(console, found, rows, seconds)
    if path is not None:
        path.write_text(json.dumps(show.as_json(found, rows, seconds), indent=1) + "\n", encoding="utf-8")
    return all(row.holds for row in rows)


def _rows(section: Section, console: Console) -> list[Row]:
    rows = []
    with console.status(section.title) as status:
        for check in section.checks:
            status.update(f"{section.title}: {check.what}")
            rows += [carry_out(section, check, dtype) for dtype in check.bounds]
    return rows


def _close(console: Console, found: dict[str, Any], rows: list[Row], seconds: float) -> None:
    held = all(row.holds for row in rows)
    console.print(Text(show.verdict(rows, seconds), "bold green" if held else "bold red"))
    if not held:
        for line in show.failures(rows):
            console.print(Text(line), soft_wrap=True)
        console.print()
        for line in show.advice(found, rows):
            console.print(Text(line), soft_wrap=True)
