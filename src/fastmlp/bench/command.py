"""``fastmlp bench``: from its options to its tables."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from fastmlp import command_line
from fastmlp.bench import show
from fastmlp.bench.forecast import Checked, Forecast, forecast
from fastmlp.bench.limits import of_a_core
from fastmlp.bench.own import own_data
from fastmlp.bench.peers import PEER_SOLVERS, PEERS, TORCH_ACTIVATIONS, Peer
from fastmlp.bench.profile import Profile, profile
from fastmlp.bench.sizes import Cell, Size, in_turn, measure
from fastmlp.bench.workload import Array, Workload, sizes_between
from fastmlp.command_line import UsageError, whole
from fastmlp.options import Activation, Solver

# A forecast is made from so many sizes.
FORECAST_FROM = 3
# What of the time goes into measuring once more, all sizes in turn, what a forecast is made from.
SHARE_FOR_FORECAST = 0.2
DEFAULT_SIZES = "200:2e5"
# Of the user's own table.
SMALLEST = 200
# The largest data set that a forecast of a larger one is made from.
LARGEST_FOR_FORECAST = 1_000_000


@dataclass
class Wanted:
    """What is to be measured; sizes are numbers of samples."""

    workload: Workload
    sizes: Sequence[int]
    against: Sequence[str] | None
    rounds: int
    seconds: float
    threads: int
    profile: bool = False
    forecast: int | None = None
    data: tuple[Array, Array] | None = None

    def rows(self, n_samples: int) -> tuple[Array, Array]:
        """So many samples: the first of the user's own data, if those are to be measured on."""
        if self.data is None:
            return self.workload.of(n_samples).data()
        return self.data[0][:n_samples], self.data[1][:n_samples]


def asked(
    sizes: str | None, features: int, hidden: str, classes: int, batch: str, solver: str, activation: str, dtype: str,
    threads: int, against: str | None, rounds: int, seconds: float, profile: bool, forecast: str | None,
    path: Path | None = None, target: str | None = None,
) -> Wanted:  # fmt: skip
    """The options of the command line, checked; the table at `path`, if there is one, read.

    Raises
    ------
    UsageError
        Naming the option that is not what it must be.
    TableError
        If the table is not what can be measured on.
    """
    rows, units = command_line.batch(batch), command_line.units(hidden)
    if dtype not in ("float32", "float64"):
        raise UsageError(f"--dtype {dtype!r}: choose float32 or float64")
    for option, name, known in (("--solver", solver, Solver), ("--activation", activation, Activation)):
        if name.upper() not in known.__members__ or name == "lbfgs":
            names = [member.lower() for member in known.__members__ if member != "LBFGS"]
            raise UsageError(f"{option} {name!r}: choose one of {', '.join(names)}")
    if solver == "rprop":
        rows = "full"
    if not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds}: give a finite number from 1 on")
    chosen = None if against is None else [name for name in against.split(",") if name]
    unknown = [name for name in chosen or () if name not in PEERS]
    if unknown:
        raise UsageError(f"--against: {unknown[0]!r} is unknown; choose from {', '.join(PEERS)}")
    if (path is None) != (target is None):
        raise UsageError("--data and --target: give both, a table and its column that is to be predicted")
    goal = None if forecast is None else whole("--forecast", forecast.removeprefix("n="), 1000)
    numbers = parse_sizes(DEFAULT_SIZES if sizes is None else sizes)
    data, most = None, LARGEST_FOR_FORECAST
    if path is not None and target is not None:
        X, y, classes = own_data(path, target, dtype)
        data, features, most = (X, y), X.shape[1], len(X)
        numbers = sizes_between(min(SMALLEST, most), most) if sizes is None else numbers
        if numbers[-1] > most:
            raise UsageError(f"--sizes {sizes!r}: {path} has {most:,} rows; ask for no more")
    if goal is not None:
        high = min(LARGEST_FOR_FORECAST, most, goal // 10)
        numbers, chosen = sorted({max(2, high // 100), max(2, high // 10), high}), []
    workload = Workload(numbers[0], features, units, classes, rows, solver, dtype, activation)
    return Wanted(workload, numbers, chosen, rounds, seconds, threads, profile, goal, data)


def parse_sizes(text: str) -> list[int]:
    """Sizes from ``200:1e6`` (a range), ``200,1000`` (a list) or ``200``.

    Raises
    ------
    UsageError
        If they are not whole numbers from 2 on.
    """
    ends = text.split(":")
    if len(ends) == 2:
        low, high = (whole("--sizes", part, 2) for part in ends)
        if low > high:
            raise UsageError(f"--sizes {text!r}: give the smaller number first")
        return sizes_between(low, high)
    return sorted({whole("--sizes", part, 2) for part in text.split(",")})


def contenders(wanted: Wanted) -> tuple[list[Peer], list[str]]:
    """The others, and why some are not among them.

    Raises
    ------
    UsageError
        If a name is unknown, or a library asked for by name is not installed or has not what is to be measured.
    """
    names = list(PEERS) if wanted.against is None else list(wanted.against)
    found, notes = [], []
    for name in names:
        reason = _unfit(name, wanted.workload)
        if reason and wanted.against is not None:
            raise UsageError(f"{name}: {reason}")
        if reason:
            notes.append(f"{PEERS[name].name} is left out: {reason}.")
        else:
            found.append(PEERS[name])
    return found, notes


def _unfit(name: str, workload: Workload) -> str:
    if not PEERS[name].is_installed:
        return f"not installed (pip install {show.DISTRIBUTIONS.get(name, name)})"
    if name == "numpy":
        return ""
    if workload.solver not in PEER_SOLVERS:
        return f"it is compared with the solvers {' and '.join(PEER_SOLVERS)} alone"
    if workload.activation not in TORCH_ACTIVATIONS:
        return f"it is compared with the activations {', '.join(TORCH_ACTIVATIONS)} alone"
    return ""


@dataclass
class Measured:
    """What came out."""

    sizes: list[Size]
    limit: float
    checked: Checked | None
    expected: Forecast | None
    parts: Profile | None


def run(wanted: Wanted, console: Console) -> Measured:
    """Measure, showing on the terminal how far it is."""
    peers, notes = contenders(wanted)
    for note in notes:
        console.print(note, style="dim")
    begin = time.perf_counter()
    sizes: list[Size] = []
    before: dict[str, Cell] = {}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("the limit of a core")
        limit = of_a_core(wanted.workload.dtype)
        for place, n_samples in enumerate(wanted.sizes):
            bar.update(task, description=f"{n_samples:,} samples")
            left = wanted.seconds * (1 - SHARE_FOR_FORECAST) - (time.perf_counter() - begin)
            share = max(1.0, left) / (len(wanted.sizes) - place)
            size = measure(
                wanted.workload.of(n_samples), peers, before, rounds=wanted.rounds, seconds=share,
                threads=wanted.threads, data=wanted.rows(n_samples),
            )  # fmt: skip
            before = {cell.name: cell for cell in size.cells}
            sizes.append(size)
        parts = None
        if wanted.profile:
            bar.update(task, description="the parts of a step")
            parts = profile(wanted.workload.of(max(wanted.sizes)), wanted.rounds)
        bar.update(task, description="all sizes in turn")
        checked, expected = _forecasts(wanted, sizes)
    return Measured(sizes, limit, checked, expected, parts)


def _forecasts(wanted: Wanted, sizes: Sequence[Size]) -> tuple[Checked | None, Forecast | None]:
    """Of the largest size from the smallest ones, beside what is measured; or of what the user asked for."""
    is_asked_for = wanted.forecast is not None
    used = list(sizes) if is_asked_for else [*sizes[:-1][:FORECAST_FROM], sizes[-1]]
    if len(used) < (2 if is_asked_for else 1 + FORECAST_FROM):
        return None, None
    data = {size.workload.n_samples: wanted.rows(size.workload.n_samples) for size in used}
    timings = in_turn(used, wanted.rounds, SHARE_FOR_FORECAST * wanted.seconds, data)
    if is_asked_for:
        return None, forecast(used, timings)
    last = used[-1].workload.n_samples
    return Checked(forecast(used[:-1], timings[:-1]), last, timings[-1].mean), None


def tell(measured: Measured, wanted: Wanted, console: Console) -> None:
    """Print the tables."""
    workload = wanted.workload
    console.print(show.machine_line(), style="dim", soft_wrap=True)
    console.print(f"{workload.net}, {workload.activation}, {workload.solver}, batch {workload.batch}, {workload.dtype}")
    console.print()
    console.print(show.sizes_table(measured.sizes, measured.limit))
    console.print()
    console.print(show.ready_table(measured.sizes))
    lines = [show.noise_line(measured.sizes)]
    if measured.checked is not None:
        lines.append(show.checked_line(measured.checked))
    if measured.expected is not None and wanted.forecast is not None:
        lines.append(show.forecast_line(measured.expected, wanted.forecast))
    if measured.parts is not None:
        lines.append(show.profile_line(measured.parts))
    for line in filter(None, lines):
        console.print()
        console.print(line, soft_wrap=True)


def lines(measured: Measured) -> list[tuple[str, list[int], list[float]]]:
    """For each contender its name, the numbers of samples and the seconds of a pass."""
    found = []
    for place, cell in enumerate(measured.sizes[0].cells):
        cells = [size.cells[place] for size in measured.sizes]
        points = [(cell.n_samples, cell.timing.median) for cell in cells if cell.timing is not None]
        if points:
            found.append((cell.name, [n for n, _ in points], [seconds for _, seconds in points]))
    return found


def write_json(measured: Measured, path: Path) -> None:
    """Write all of it to a file."""
    made = measured.checked.forecast if measured.checked is not None else measured.expected
    content = show.as_json(measured.sizes, measured.limit, made, measured.parts)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
