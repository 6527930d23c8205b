"""What a core of this machine can do at most: multiplications and additions, and values of tanh, a second."""

from __future__ import annotations

import numpy as np

from fastmlp.kernels.elementary import tanh
from fastmlp.kernels.jit import entry
from fastmlp.kernels.vectors import FLOAT32_LANES, fma, lanes, load, store

# Enough independent sums to hide the latency of a multiplication; their registers are all a core with AVX2 has.
SUMS = 12
VALUES = 1024


@entry
def multiply_and_add(x, rounds):
    width = lanes(x)
    factor, s0 = load(x, 0), load(x, width)
    s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 = s0, s0, s0, s0, s0, s0, s0, s0, s0, s0, s0
    for _ in range(rounds):
        s0, s1, s2 = fma(factor, s0, factor), fma(factor, s1, factor), fma(factor, s2, factor)
        s3, s4, s5 = fma(factor, s3, factor), fma(factor, s4, factor), fma(factor, s5, factor)
        s6, s7, s8 = fma(factor, s6, factor), fma(factor, s7, factor), fma(factor, s8, factor)
        s9, s10, s11 = fma(factor, s9, factor), fma(factor, s10, factor), fma(factor, s11, factor)
    # One place for each, lest the compiler leave some out.
    store(x, 0, s0 + s1 + s2 + s3 + s4 + s5)
    store(x, width, s6 + s7 + s8 + s9 + s10 + s11)


@entry
def tanh_of_all(x, y, rounds):
    for _ in range(rounds):
        for i in range(0, x.shape[0], lanes(x)):
            store(y, i, tanh(load(x, i)))


def arithmetic(dtype: str, rounds: int) -> int:
    """Run the loop of multiplications and additions; return how many it made."""
    x = np.full(32, 0.5, dtype)
    multiply_and_add(x, rounds)
    return rounds * SUMS * lanes_of(dtype) * 2


def activations(dtype: str, rounds: int) -> int:
    """Run the loop of values of tanh, from memory of the first cache into it; return how many it made."""
    x = np.linspace(-4, 4, VALUES).astype(dtype)
    tanh_of_all(x, np.empty_like(x), rounds)
    return rounds * VALUES


def lanes_of(dtype: str) -> int:
    return FLOAT32_LANES * 4 // np.dtype(dtype).itemsize
