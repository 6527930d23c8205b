"""Timing: contenders in turn, and what their times say."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

Work = Callable[[], object]
# Rounds of the same work that differ by more than this, from the first to the third quarter, are noisy.
NOISY = 0.1


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender, round by round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def mean(self) -> float:
        """With all that disturbed some of them: what many of them take, as a share of the time."""
        return statistics.fmean(self.seconds)

    @property
    def spread(self) -> float:
        """The distance between the first and the third quarter, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median

    def per(self, count: float) -> Timing:
        """The seconds of one of so many parts."""
        return Timing(tuple(taken / count for taken in self.seconds))


@dataclass(frozen=True)
class Ratio:
    """How many times as long one contender takes as another: the median of the rounds' ratios, and where it may lie."""

    median: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether it is clear which of the two is faster."""
        return not self.low <= 1 <= self.high


def ratio(ours: Timing, theirs: Timing) -> Ratio:
    """Theirs over ours, with an interval of at least 95 % certainty where there are six rounds or more, else the range."""
    ratios = sorted(one / other for one, other in zip(theirs.seconds, ours.seconds, strict=True))
    cut = _ranks_to_leave_out(len(ratios))
    return Ratio(statistics.median(ratios), ratios[cut], ratios[-1 - cut])


def _ranks_to_leave_out(n: int) -> int:
    """How many of `n` sorted values may be left out at each end so that the median stays between with 95 % certainty.

    Of so many independent values the number below the true median is binomial.
    """
    below, term = 0.0, 0.5**n
    for rank in range(n // 2):
        below += term
        if 2 * below > 0.05:
            return max(0, rank - 1)
        term = term * (n - rank) / (rank + 1)
    return max(0, n // 2 - 1)


def interleave(
    works: Mapping[str, Work],
    rounds: int,
    seconds: float = float("inf"),
    around: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> dict[str, Timing]:
    """Run the contenders in turn (A B C, A B C, ...), so that a machine that drifts slows them all alike.

    What is to be `around` one, by its name, is not on the clock. Ends after `rounds`, or before one that would go beyond
    `seconds` if it took as long as the longest before it; at least one is run.
    """
    begin, longest = time.perf_counter(), 0.0
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        start = time.perf_counter()
        if longest and start - begin + longest > seconds:
            break
        for name, work in works.items():
            with around(name):
                before = time.perf_counter()
                work()
                taken[name].append(time.perf_counter() - before)
        longest = max(longest, time.perf_counter() - start)
    return {name: Timing(tuple(times)) for name, times in taken.items()}


def noise(timings: Sequence[Timing]) -> float:
    """The typical spread of the same work."""
    return statistics.median(timing.spread for timing in timings) if timings else 0.0
