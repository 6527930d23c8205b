"""A step of 64-100-10 with each option of `train`."""

from typing import Any

import numpy as np
import pytest

import options


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["solver sgd", *options.OPTIONS])
def test_option(benchmark: Any, name: str, dtype: str) -> None:
    chosen = options.OPTIONS.get(name, options.BASE)
    options.train(chosen, dtype, 1)
    benchmark.group = f"options: 64-100-10, batch 200, {dtype}"
    net = benchmark.pedantic(options.train, (chosen, dtype, 30), rounds=5)
    assert np.isfinite(net.loss_curve).all()
