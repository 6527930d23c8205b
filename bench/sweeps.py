"""Many nets on the same samples: `train_many` beside a loop, scikit-learn in processes, and JAX and PyTorch by vmap.

    python bench/sweeps.py --rounds 5
    python bench/sweeps.py --problems moons iris --contenders JAX PyTorch
    python bench/sweeps.py --scale 0.02

They take turns (A B C, A B C, ...), ten minutes for all of them. Prints the median time of all nets and of one, and how
often that of `train_many` it is: the median, least and greatest of the rounds' ratios. The mean loss of the last pass, or
the mean accuracy on rows held out, tells that all did the same; scikit-learn's is a little apart where there are two
classes, for which it has a single output. Where "of 24 nets" stands so many were measured, one after the other, and their
time is multiplied to that of all. What JAX compiles is apart; PyTorch is on one thread or all cores, whichever is faster.
"""

from __future__ import annotations

import argparse
import statistics

from many_nets import PROBLEMS, Problem, Run
from trainers import TRAINERS

COLUMNS = ("", "all nets", "a net", "times ours", "{shown}", "measured")


def prepared(problem: Problem, wanted: tuple[str, ...]) -> dict[str, Run]:
    """What a round runs, for each contender wanted that is installed; ours is first, and always there."""
    first, *others = problem.contenders
    runs = {}
    for name in (first, *(name for name in others if name.startswith(wanted))):
        trainer = TRAINERS[name]
        if trainer.is_installed:
            runs[name] = trainer.prepare(problem, problem.measured(name))
        else:
            print(f"{name} is left out: {trainer.module} is not installed", flush=True)
    return runs


def interleaved(problem: Problem, runs: dict[str, Run], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Each one's seconds for all nets, round by round, and the mean of what is shown, of the last round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    outcomes = {}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds, outcomes[name] = run.seconds()
            times[name].append(seconds / problem.measured(name) * problem.nets)
    return times, outcomes


def report(problem: Problem, wanted: tuple[str, ...], rounds: int) -> str:
    """A problem's table."""
    runs = prepared(problem, wanted)
    times, outcomes = interleaved(problem, runs, rounds)
    ours = next(iter(times.values()))
    rows = []
    for name, run in runs.items():
        median = statistics.median(times[name])
        ratios = [one / other for one, other in zip(times[name], ours, strict=True)]
        rows.append(
            [
                ", ".join(filter(None, (name, run.note))),
                duration(median),
                duration(median / problem.nets),
                f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{outcomes[name]:.4f}",
                measured(problem, name, run),
            ]
        )
    return markdown([column.format(shown=problem.shown) for column in COLUMNS], rows)


def measured(problem: Problem, name: str, run: Run) -> str:
    """How many nets the time was taken of, and what is not in it."""
    nets = problem.measured(name)
    of_nets = "all" if nets == problem.nets else f"of {nets:,} nets"
    return f"{of_nets}; compiled before, {duration(run.compiling)}" if run.compiling else of_nets


def duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1 or unit == "us":
            break
    value = seconds * factor
    # Three digits, and never the exponents of the g format.
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *others in (columns, rule, *rows):
        cells = (first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--problems",
        nargs="+",
        choices=PROBLEMS,
        default=list(PROBLEMS),
        metavar="PROBLEM",
        help=f"of {', '.join(PROBLEMS)}",
    )
    parser.add_argument("--contenders", nargs="+", default=[""], help="only those whose names begin so, beside train_many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the nets to train, for a quick run")
    wanted = parser.parse_args()
    if wanted.rounds < 1 or not 0 < wanted.scale <= 1:
        parser.error("give --rounds of at least 1, and a --scale above 0 and up to 1")
    if unknown := [name for name in wanted.contenders if not any(one.startswith(name) for one in TRAINERS)]:
        parser.error(f"no contender begins with {', '.join(unknown)}; there are {'; '.join(TRAINERS)}")
    for name in wanted.problems:
        whole = PROBLEMS[name]
        part = whole.part(wanted.scale)
        cut = "" if part.nets == whole.nets else f"; here only {part.nets:,} of these {whole.nets:,} nets"
        print(f"\n{whole.name}{cut}; rounds: {wanted.rounds}", flush=True)
        print(f"\n{report(part, tuple(wanted.contenders), wanted.rounds)}", flush=True)


if __name__ == "__main__":
    main()
