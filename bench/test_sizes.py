"""How the time of a pass grows with the data, from 200 samples to a million."""

from collections.abc import Callable

import problems
import table

PROBLEMS = problems.SIZES


def test_data_set_size(cell: table.Cell, measure: Callable[..., None]) -> None:
    measure(cell, rounds=3)
