"""The article's nets on its 200 moons, 20,000 full-batch passes, against its own loop and what else trains them."""

from collections.abc import Callable

import problems
import table

PROBLEMS = problems.ARTICLE


def test_article_net(cell: table.Cell, measure: Callable[..., None]) -> None:
    measure(cell, rounds=5)
