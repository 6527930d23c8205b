"""One problem, its contenders in turn (A B C, A B C, ...), so that a machine that drifts slows them all alike.

    python bench/interleaved.py 2-3-2 --dtype float32
    python bench/interleaved.py --table steps --dtype float32 --libraries JAX PyTorch --rounds 7

Prints the median time of a step, and how often fastmlp's it is: the median, least and greatest of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time

from threadpoolctl import threadpool_limits

import problems
import table
from libraries import Training

TABLE = problems.ARTICLE + problems.SIZES + problems.STEPS


def seconds_per_step(cell: table.Cell, train: Training) -> float:
    with threadpool_limits(limits=cell.threads or None):
        begin = time.perf_counter()
        train()
        return (time.perf_counter() - begin) / (cell.library.passes(cell.problem) * cell.problem.steps)


def interleaved(cells: list[table.Cell], rounds: int) -> list[list[float]]:
    """For each cell its times of a step, round by round."""
    prepared = [(cell, cell.prepare()) for cell in cells]
    times = [[seconds_per_step(cell, train) for cell, train in prepared] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", nargs="?", help="one net; without it all of the table")
    parser.add_argument("--table", choices=("article", "sizes", "steps"), default="article")
    parser.add_argument("--samples", type=int, help="only problems with so many samples")
    parser.add_argument("--dtype", choices=problems.DTYPES, help="only problems in this dtype")
    parser.add_argument("--libraries", nargs="+", default=[""], help="only libraries whose names begin so")
    parser.add_argument("--rounds", type=int, default=11)
    wanted = parser.parse_args()
    found = [
        problem
        for problem in TABLE
        if problem.table == wanted.table
        and wanted.net in (None, problem.net)
        and wanted.samples in (None, problem.n_samples)
        and wanted.dtype in (None, problem.dtype)
    ]
    if not found:
        known = dict.fromkeys(f"{problem.table}: {problem.name}" for problem in TABLE)
        parser.error("that is not in the table; it has\n" + "\n".join(known))
    for problem in found:
        report(problem, tuple(wanted.libraries), wanted.rounds)


def report(problem: problems.Problem, libraries: tuple[str, ...], rounds: int) -> None:
    cells = [
        cell
        for cell in table.cells([problem])
        if cell.library.name.startswith(("fastmlp", *libraries)) and not cell.library.left_out(problem)
    ]
    times = interleaved(cells, rounds)
    print(f"{problem.name}: {rounds} rounds")
    for cell, column in zip(cells, times, strict=True):
        ratios = [theirs / ours for theirs, ours in zip(column, times[0], strict=True)]
        print(
            f"  {cell.library.name:24} {cell.on:18} {statistics.median(column) * 1e6:12.2f} us a step"
            f" {statistics.median(ratios):8.2f}x ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
