"""What a core of this machine can do at most, measured."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastmlp.bench.workload import Workload

ROUNDS = 7
SECONDS = 0.02


def of_a_core(dtype: str) -> float:
    """Seconds of one multiplication or addition: the best of some rounds."""
    from fastmlp.kernels import peak

    return _least(lambda rounds: peak.arithmetic(dtype, rounds))


def _least(loop: Callable[[int], int]) -> float:
    """Seconds of one operation of a loop that returns how many it made."""
    loop(1)
    rounds, best = 1, float("inf")
    while _timed(loop, rounds)[0] < SECONDS:
        rounds *= 2
    for _ in range(ROUNDS):
        taken, count = _timed(loop, rounds)
        best = min(best, taken / count)
    return best


def _timed(loop: Callable[[int], int], rounds: int) -> tuple[float, int]:
    begin = time.perf_counter()
    count = loop(rounds)
    return time.perf_counter() - begin, count


def share(workload: Workload, seconds: float, limit: float, threads: int) -> float:
    """The time that so many cores need for the products alone, as a share of that which a pass took."""
    return workload.arithmetic * limit / threads / seconds
