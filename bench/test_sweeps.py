"""Small sweeps by `train_many`, and by a loop over `train`."""

from typing import Any

import numpy as np
import pytest

from conftest import is_smoke_test
from many_nets import LOOP, MANY, PROBLEMS
from trainers import TRAINERS

CASES = [
    pytest.param(problem, contender, id=f"{problem}-{short}")
    for problem in PROBLEMS
    for short, contender in {"many": MANY, "loop": LOOP}.items()
    if contender in PROBLEMS[problem].contenders
]
NETS = 100


@pytest.mark.parametrize(("problem", "contender"), CASES)
def test_sweep(benchmark: Any, request: pytest.FixtureRequest, problem: str, contender: str) -> None:
    nets = 10 if is_smoke_test(request.config) else NETS
    part = PROBLEMS[problem].part(nets / PROBLEMS[problem].nets)
    run = TRAINERS[contender].prepare(part, part.nets)
    benchmark.group = f"sweeps: {part.nets} nets of: {part.name}"
    benchmark.extra_info.update(nets=part.nets)
    result = benchmark.pedantic(run.train, setup=lambda: ((run.before(),), {}), rounds=5)
    benchmark.extra_info[part.shown] = run.outcome(result)
    assert np.isfinite(benchmark.extra_info[part.shown])
