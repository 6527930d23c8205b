"""The limits of this machine's cores, to which reports compare what the steps reach; and tanh beside NumPy's."""

from typing import Any

import numpy as np
import pytest

from fastmlp.kernels import peak

ROUNDS = {"arithmetic": 1_000_000, "activations": 2_000}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("limit", ROUNDS)
def test_limit(benchmark: Any, limit: str, dtype: str) -> None:
    loop = getattr(peak, limit)
    count = loop(dtype, 10) // 10 * ROUNDS[limit]
    benchmark.group = "limits of a core"
    benchmark.extra_info.update(limit=limit, dtype=dtype, count=count)
    assert benchmark.pedantic(loop, (dtype, ROUNDS[limit]), rounds=9) == count


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_of_numpy(benchmark: Any, dtype: str) -> None:
    x = np.linspace(-4, 4, peak.VALUES).astype(dtype)
    y = np.empty_like(x)
    benchmark.group = "limits of a core"
    benchmark.extra_info.update(limit="NumPy's tanh", dtype=dtype, count=peak.VALUES)
    benchmark(np.tanh, x, y)
    assert np.abs(y).max() < 1
