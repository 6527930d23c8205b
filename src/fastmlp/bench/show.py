"""What was measured, as a table for the terminal and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from fastmlp.bench.forecast import Checked, Forecast
from fastmlp.bench.limits import share
from fastmlp.bench.peers import CORES, OURS, PEERS
from fastmlp.bench.profile import Profile
from fastmlp.bench.rounds import NOISY, noise, ratio
from fastmlp.bench.sizes import Cell, Size
from fastmlp.machine import cpu_name, versions

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
MISSING = "-"
# Of a column of ratios: their interval stays in one line.
LEAST_WIDTH = 9
# Forecasts for more than so many times the largest size that was measured are told with a caution.
FAR = 10


def duration(seconds: float) -> str:
    """In the unit that suits, with three digits."""
    for unit, factor in (("h", 1 / 3600), ("min", 1 / 60), ("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{_three(seconds * factor)} {unit}"
    return f"{_three(seconds * 1e6)} us"


def amount(count: float) -> str:
    """A number of bytes or of samples, in thousands, millions or billions of them."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{_three(count / size)} {unit}"
    return f"{_three(count)} "


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def sizes_table(sizes: Sequence[Size], limit: float) -> Table:
    """A row for each size: fastmlp's pass, and the others' as multiples of it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("samples", "a pass", "samples/s", "of peak"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in sizes[0].cells[1:]:
        table.add_column(cell.name, justify="right", min_width=LEAST_WIDTH)
    for size in sizes:
        table.add_row(*_row(size, limit))
    return table


def _row(size: Size, limit: float) -> list[str]:
    ours, workload = size.ours, size.workload
    assert ours.timing is not None
    seconds, threads = ours.timing.median, ours.threads or CORES
    return [
        f"{workload.n_samples:,}",
        f"{duration(seconds)} ±{50 * ours.timing.spread:.0f} %",
        f"{amount(workload.n_samples / seconds)}",
        f"{100 * share(workload, seconds, limit, threads):.0f} %",
        *(_ratio(ours, cell) for cell in size.cells[1:]),
    ]


def _ratio(ours: Cell, cell: Cell) -> str:
    if cell.timing is None or ours.timing is None:
        return cell.why or MISSING
    found = ratio(ours.timing, cell.timing)
    if not found.tells:
        return f"about 1x\n{found.low:.2f}-{found.high:.2f}"
    return f"{_three(found.median)}x\n{_three(found.low)}-{_three(found.high)}"


def ready_table(sizes: Sequence[Size]) -> Table:
    """What each contender's first training took beyond a later one, its memory, and its loss after a pass."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("first training: loading, compiling")
    for name in ("takes", "threads", "memory", "loss after a pass"):
        table.add_column(name, justify="right")
    for place, first in enumerate(sizes[0].cells):
        measured = [size.cells[place] for size in sizes if size.cells[place].timing is not None]
        if not measured:
            table.add_row(first.name, first.why, "", "", "")
            continue
        last = measured[-1]
        memory = MISSING if last.memory is None else f"{amount(last.memory)}B"
        threads = "its own choice" if last.threads == 0 else str(last.threads)
        table.add_row(first.name, duration(measured[0].ready), threads, memory, f"{last.loss:.4g} of {last.n_samples:,}")
    return table


def profile_line(parts: Profile) -> str:
    """The shares of a step."""
    whole = sum(asdict(parts).values())
    shares = ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in asdict(parts).items())
    return f"A step on one thread takes {duration(whole)}: {shares}."


def forecast_line(expected: Forecast, n_samples: int) -> str:
    """What is to be expected of a size that was not measured."""
    used = ", ".join(f"{size:,}" for size in expected.measured)
    far = n_samples > FAR * max(expected.measured)
    return (
        f"{n_samples:,} samples: a pass of about {duration(expected.seconds(n_samples))}, "
        f"and {amount(expected.bytes(n_samples))}B of memory, data included (from passes over {used})."
        + (f" That is more than {FAR} times the largest measured: caches and memory may tell another tale." if far else "")
    )


def checked_line(checked: Checked) -> str:
    """How right a forecast was."""
    made, n_samples, seconds = checked.forecast, checked.n_samples, checked.seconds
    used, said = ", ".join(f"{n:,}" for n in made.measured), made.seconds(n_samples)
    return (
        f"Forecast from {used} samples: {duration(said)} for {n_samples:,}; measured in turn with them: "
        f"{duration(seconds)}, {100 * (said / seconds - 1):+.0f} %."
    )


def noise_line(sizes: Sequence[Size]) -> str | None:
    """A warning where rounds of the same work differ much."""
    found = noise([cell.timing for size in sizes for cell in size.cells if cell.timing is not None])
    if found <= NOISY:
        return None
    return (
        f"This machine is noisy: rounds of the same work differ by {100 * found:.0f} %. Ratios nearer to 1 than that say "
        "nothing; close other programs, or give more --rounds."
    )


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    names = ["fastmlp", "numpy", "numba", *(DISTRIBUTIONS.get(name, name) for name in PEERS if name != "numpy")]
    return {"cpu": cpu_name(), "cores": CORES, "python": platform.python_version(), "versions": versions(names)}


def machine_line() -> str:
    """The same in a line."""
    found = machine()
    with_versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['cpu']}, {found['cores']} cores; Python {found['python']}, {with_versions}"


def as_json(sizes: Sequence[Size], limit: float, expected: Forecast | None, parts: Profile | None) -> dict[str, Any]:
    """All of it, times in seconds and memory in bytes."""
    return {
        "machine": machine(),
        "seconds_per_operation": limit,
        "sizes": [
            {"workload": asdict(size.workload), "cells": [_cell(size, cell) for cell in size.cells]} for size in sizes
        ],
        "forecast": None if expected is None else asdict(expected),
        "profile": None if parts is None else asdict(parts),
    }


def _cell(size: Size, cell: Cell) -> dict[str, Any]:
    described: dict[str, Any] = {"library": cell.name, "threads": cell.threads}
    if cell.timing is None:
        return {**described, "left_out": cell.why}
    found = {**described, "seconds": cell.timing.median, "rounds": list(cell.timing.seconds), "spread": cell.timing.spread}
    found |= {"ready": cell.ready, "memory": cell.memory, "loss": cell.loss}
    if cell.name != OURS.name and size.ours.timing is not None:
        found["ratio"] = asdict(ratio(size.ours.timing, cell.timing))
    return found
