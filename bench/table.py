"""The one table of the benchmarks: problems x libraries x threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from threadpoolctl import threadpool_limits

from libraries import AUTOMATIC, LIBRARIES, THREADS, Library, Training
from problems import Problem, data


@dataclass(frozen=True, repr=False)
class Cell:
    """One entry of the table."""

    problem: Problem
    library: Library
    threads: int

    def __repr__(self) -> str:
        # Only characters that `pytest -k` takes.
        problem = self.problem
        parts = (problem.net, f"{problem.n_samples} samples", problem.batch, problem.dtype, self.library.name, self.on)
        return "/".join(parts).replace(" ", "_").replace(",", "")

    @property
    def on(self) -> str:
        """The number of threads, in words."""
        return {AUTOMATIC: "threads by itself", 1: "1 thread"}.get(self.threads, f"{self.threads} threads")

    @property
    def name(self) -> str:
        """The library, and where it stands beside itself in a report, its threads."""
        alone = len(self.library.threads_for(self.problem)) == len(self.library.threads) or self.threads == AUTOMATIC
        return self.library.name if alone else f"{self.library.name}, {self.on}"

    def prepare(self) -> Training:
        """What a round runs, compiled and warmed up."""
        problem = replace(self.problem, passes=self.library.passes(self.problem))
        with threadpool_limits(limits=self.threads or None):
            return self.library.prepare(problem, *data(problem), self.threads)

    def info(self) -> dict[str, Any]:
        """What reports need to know, beside the times."""
        problem = self.problem
        return {
            "table": problem.table,
            "problem": problem.name,
            "net": problem.net,
            "n_samples": problem.n_samples,
            "batch": problem.batch,
            "dtype": problem.dtype,
            "solver": problem.solver,
            "library": self.name,
            "engine": self.library.engine,
            "threads": self.threads,
            "passes": self.library.passes(problem),
            "loss_after": problem.passes,
            "steps": problem.steps,
            "arithmetic": problem.arithmetic,
            "activations": problem.activations,
            "unit": "seconds a pass",
        }


def cells(problems: Sequence[Problem], smoke: bool = False) -> list[Cell]:
    """All entries of these problems, contenders of one problem side by side; for a smoke test few and short ones."""
    if smoke:
        problems = [replace(problem, passes=3, pace=1) for problem in problems if problem.n_samples <= 1000]
    return [
        Cell(problem, LIBRARIES[name], threads)
        for problem in problems
        for name in problem.libraries
        for threads in (THREADS[:1] if smoke else LIBRARIES[name].threads_for(problem))
    ]
