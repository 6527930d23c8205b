"""One problem, its contenders in turn (A B C, A B C, ...), so that a machine that drifts slows them all alike.

    python bench/interleaved.py 2-3-2 --dtype float32 --rounds 11
    python bench/interleaved.py 30-64-64-2 --dtype float32 --samples 100000 --batch 256

Prints the median time of a pass, and how often fastmlp's it is: the median, least and greatest of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

from threadpoolctl import threadpool_limits

import problems


def seconds_per_pass(cell: problems.Cell) -> float:
    problem = cell.problem
    X, y = problems.data(problem.sizes[0], problem.n_samples, problem.dtype)
    problem = replace(problem, passes=cell.library.passes(problem))
    with threadpool_limits(limits=cell.threads):
        begin = time.perf_counter()
        cell.library.train(problem, X, y, cell.threads)
        return (time.perf_counter() - begin) / problem.passes


def interleaved(cells: list[problems.Cell], rounds: int) -> list[list[float]]:
    """For each cell its times of a pass, round by round; the first, which compiles, is not kept."""
    times = [[seconds_per_pass(cell) for cell in cells] for _ in range(rounds + 1)]
    return [list(column) for column in zip(*times[1:], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--batch", type=int, help="rows in a batch; without it all of them")
    parser.add_argument("--dtype", choices=problems.DTYPES, default="float64")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--passes", type=int, help="instead of the table's number")
    wanted = parser.parse_args()
    key = (wanted.net, wanted.samples, wanted.batch, wanted.dtype)
    # The article's own problems stand first.
    found = [p for p in problems.ARTICLE + problems.SIZES if (p.net, p.n_samples, p.batch_size, p.dtype) == key]
    if not found:
        known = dict.fromkeys(p.name for p in problems.ARTICLE + problems.SIZES)
        parser.error("that is not in the table; it has\n" + "\n".join(known))
    problem = replace(found[0], passes=wanted.passes or found[0].passes)
    cells = [cell for cell in problems.cells([problem]) if not cell.library.left_out(problem)]
    times = interleaved(cells, wanted.rounds)
    print(f"{problem.name}: {wanted.rounds} rounds of {problem.passes:,} passes")
    for cell, column in zip(cells, times, strict=True):
        ratios = [theirs / ours for theirs, ours in zip(column, times[0], strict=True)]
        print(
            f"{cell.library.name:24} {cell.threads} threads {statistics.median(column) * 1e6:12.2f} us a pass"
            f" {statistics.median(ratios):8.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
