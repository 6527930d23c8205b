"""Which outputs of a layer an update leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def kept_units(rate: float, key: int, step: int, layer: int, n_samples: int, units: int, dtype: Any) -> NDArray[Any]:
    """0 for each output of a layer that the update leaves out, 1 / (1 - rate) for the others, (n_samples, units).

    They depend on the key, the number of updates made, the layer, the unit and the sample's place in the batch: a counter
    through a mixing function (splitmix64 for the unit, its own 32-bit kind for the sample), not a stream of numbers.
    """
    mask = (1 << 64) - 1
    starts: list[int] = []
    for unit in range(units):
        start = (key + 0x9E3779B97F4A7C15 * step + 0xD1B54A32D192ED03 * ((layer << 32) + unit + 1)) & mask
        start = (start ^ (start >> 30)) * 0xBF58476D1CE4E5B9 & mask
        start = (start ^ (start >> 27)) * 0x94D049BB133111EB & mask
        starts.append(start ^ (start >> 31))
    both = np.array(starts, np.uint64)
    x = np.arange(n_samples, dtype=np.uint32)[:, np.newaxis] + both.astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15)) ^ (both >> np.uint64(32)).astype(np.uint32)) * np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    threshold = int(rate * 2**32)
    return np.where(x >= threshold, 2**32 / (2**32 - threshold), 0).astype(dtype)
