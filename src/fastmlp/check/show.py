"""What was found, as tables for the terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from fastmlp.check.checks import DIFFERENCES, Row
from fastmlp.check.facts import lines
from fastmlp.kernels.cache import LANES_VARIABLE

# Columns of all sections stand below each other.
WIDTH, WHAT, NUMBER, VERDICT = 80, 36, 8, 7
DTYPES = ("float32", "float64")
MISSING = "-"


def facts_table(found: dict[str, Any]) -> Table:
    """A line for each fact."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, told in lines(found):
        table.add_row(name, Text(told))
    return table


def legend() -> str:
    """What the numbers are."""
    return (
        "Errors are relative to the largest number of an array, in steps to the largest change; the last table counts. A "
        "row is ok where no error is above its bound."
    )


def section_table(title: str, rows: Sequence[Row]) -> Table:
    """A line for each check: of either dtype what was found and its bound."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, width=WHAT)
    for dtype in DTYPES:
        table.add_column(dtype, justify="right", width=NUMBER)
        table.add_column("at most", justify="right", width=NUMBER, style="dim")
    table.add_column("", width=VERDICT)
    for what, some in groupby(rows, key=lambda row: row.what):
        by_dtype = {row.dtype: row for row in some}
        cells: list[Text | str] = [what]
        for dtype in DTYPES:
            row = by_dtype.get(dtype)
            cells += [MISSING, MISSING] if row is None else [_found(row), number(row.bound)]
        holds = all(row.holds for row in by_dtype.values())
        table.add_row(*cells, Text("ok", "green") if holds else Text("FAILED", "bold red"))
    return table


def _found(row: Row) -> Text:
    return Text("error" if row.error else number(row.found), "" if row.holds else "bold red")


def number(value: float) -> str:
    """With two digits where it is small, three else."""
    return f"{value:.1e}".replace(".0e", "e") if 0 < abs(value) < 1e-2 else f"{value:.3g}"


def verdict(rows: Sequence[Row], seconds: float) -> str:
    """The closing line."""
    failed = sum(not row.holds for row in rows)
    if not failed:
        return f"All {len(rows)} checks held, in {seconds:.0f} s."
    return f"{failed} of {len(rows)} checks FAILED, in {seconds:.0f} s:"


def failures(rows: Sequence[Row]) -> list[str]:
    """A line for each check that failed."""
    return [
        f"- {row.what}, {row.dtype} ({row.section}): " + (row.error or f"{number(row.found)}, above {number(row.bound)}")
        for row in rows
        if not row.holds
    ]


def advice(found: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    """What to do where a check has failed."""
    if any(row.section == DIFFERENCES and not row.holds for row in rows):
        return [
            "The reference itself failed, which is plain NumPy: the other checks say nothing before it holds.",
            "Install NumPy anew, or with another BLAS, and check again.",
            "Report it, with all of this output.",
        ]
    forced, lanes = found["settings"].get(LANES_VARIABLE), found["lanes"]["float32"]
    narrower = [f"{LANES_VARIABLE}={fewer} fastmlp check" for fewer in (8, 4) if fewer < lanes]
    steps = [
        'Until it is clear, train with engine="reference": plain NumPy, which is slow, and whose own checks held.',
        "Remove the compiled kernels, which are made anew, and check again: fastmlp cache --clear.",
    ]
    if forced:
        steps.append(f"{LANES_VARIABLE}={forced} is set: check without it.")
    elif narrower:
        steps.append(f"Try narrower vectors: {', then '.join(narrower)}. Where that holds, keep the setting.")
    return [*steps, "Report it, with all of this output."]


def as_json(found: dict[str, Any], rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """All of it; what is no finite number is a text."""
    return {
        "facts": found,
        "held": all(row.holds for row in rows),
        "seconds": seconds,
        "checks": [{**asdict(row), "found": _plain(row.found), "holds": row.holds} for row in rows],
    }


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
