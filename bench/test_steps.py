"""What an update costs, from 2-3-2 to 784-1024-1024-10, against the libraries that people would take instead."""

from collections.abc import Callable

import problems
import table

PROBLEMS = problems.STEPS


def test_step(cell: table.Cell, measure: Callable[..., None]) -> None:
    measure(cell, rounds=5)
