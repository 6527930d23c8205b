"""How a cell of the table is measured. `pytest bench` measures; with `--benchmark-disable` it is a short smoke test."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

import table

VERSIONS = ("fastmlp", "numpy", "numba", "scikit-learn")
EXTRAS = ("torch", "jax")


def is_smoke_test(config: pytest.Config) -> bool:
    return bool(config.getoption("benchmark_disable"))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Reports say what was measured."""
    installed = [name for name in EXTRAS if find_spec(name)]
    machine_info["versions"] = {name: version(name) for name in (*VERSIONS, *installed)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `cell` runs once for each entry of its module's PROBLEMS."""
    if "cell" in metafunc.fixturenames:
        cells = table.cells(metafunc.module.PROBLEMS, is_smoke_test(metafunc.config))
        metafunc.parametrize("cell", [pytest.param(cell, id=str(cell), marks=as_benchmark(cell)) for cell in cells])


def as_benchmark(cell: table.Cell) -> pytest.MarkDecorator:
    return pytest.mark.benchmark(
        group=f"{cell.problem.table}: {cell.problem.name}", timer=ClockByPass(cell.library.passes(cell.problem))
    )


class ClockByPass:
    """A clock that gives seconds a pass: libraries make different numbers of passes, and their tables must be fair."""

    __name__ = "seconds_a_pass"

    def __init__(self, passes: int) -> None:
        self._passes = passes

    def __call__(self) -> float:
        return time.perf_counter() / self._passes


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """Time a cell after what a user's program does once."""

    def run(cell: table.Cell, rounds: int) -> None:
        library, problem = cell.library, cell.problem
        if reason := library.left_out(problem):
            pytest.skip(reason)
        train = cell.prepare()
        benchmark.extra_info.update(cell.info())
        # After the preparation: only libraries already loaded can be limited.
        with threadpool_limits(limits=cell.threads or None):
            losses = benchmark.pedantic(train, rounds=rounds)
        benchmark.extra_info["loss"] = float(losses[min(problem.passes, len(losses)) - 1])
        if benchmark.stats is not None:
            benchmark.extra_info["samples_per_second"] = problem.n_samples / benchmark.stats.stats.median

    return run
