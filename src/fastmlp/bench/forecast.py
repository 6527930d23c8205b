"""From some sizes to others: what a pass takes is a start, and a time for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastmlp.bench.rounds import Timing
from fastmlp.bench.sizes import Size
from fastmlp.bench.workload import Workload


@dataclass(frozen=True)
class Forecast:
    """Seconds of a pass by the number of samples, from so many measured ones; bytes beside and with the data."""

    workload: Workload
    start: float
    per_sample: float
    memory: float
    measured: tuple[int, ...]

    def seconds(self, n_samples: int) -> float:
        """Of a pass."""
        return self.start + self.per_sample * n_samples

    def bytes(self, n_samples: int) -> float:
        """Of the data and of what training needs beside them."""
        return self.workload.of(n_samples).data_bytes + self.memory


@dataclass(frozen=True)
class Checked:
    """A forecast, and what was measured in turn with what it was made from: seconds of a pass."""

    forecast: Forecast
    n_samples: int
    seconds: float


def forecast(sizes: Sequence[Size], timings: Sequence[Timing]) -> Forecast:
    """A line through fastmlp's times, by least squares of the relative errors, from no less than nothing on.

    The larger a size the more it counts: it is nearer to what is asked for, in caches and in the threads that are busy.
    The times are means, for what disturbs a machine now and then takes its share of long passes, but no part of most short
    ones. Sizes of a single batch are left out if there are others: such a batch is laid out once and never shuffled.

    Raises
    ------
    ValueError
        If there are fewer than two sizes.
    """
    if len(sizes) < 2:
        raise ValueError("a forecast needs two sizes or more")
    alike = [place for place, size in enumerate(sizes) if size.workload.batch_size is not None]
    if len(alike) < 2:
        alike = list(range(len(sizes)))
    n = np.array([sizes[place].workload.n_samples for place in alike], np.float64)
    seconds = np.array([timings[place].mean for place in alike])
    weights = np.sqrt(n / n.max())
    design = np.column_stack([weights / seconds, weights * n / seconds])
    start, per_sample = np.linalg.lstsq(design, weights, rcond=None)[0]
    if start < 0:
        start, per_sample = 0.0, (weights @ design[:, 1]) / (design[:, 1] @ design[:, 1])
    memory = max(size.ours.memory or 0 for size in sizes)
    return Forecast(sizes[0].workload, float(start), float(per_sample), memory, tuple(int(size) for size in n))
