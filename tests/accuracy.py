"""Numbers at which functions of vectors are tried, and how far off they are."""

import numpy as np


def evaluated(compiled, function, values):
    """The function of an array of any length, as `compiled` makes it from whole vectors."""
    x = np.zeros(-(-values.size // 16) * 16, values.dtype)
    x[: values.size] = values
    y = np.full_like(x, 7)
    compiled(function, x, y)
    return y[: values.size]


def all_sizes(dtype, count=40_000):
    """Numbers drawn by their bits, so of any size down to the subnormals, of either sign, and the ends of the ranges."""
    random, info = np.random.default_rng(5), np.finfo(dtype)
    bits = random.integers(0, 1 << info.bits, count, dtype=np.uint64).astype(f"u{info.bits // 8}")
    drawn = bits.view(dtype)
    ends = np.array([0, info.smallest_subnormal, info.smallest_normal, info.tiny * 2, info.eps, 1, info.max], dtype)
    near = np.concatenate([np.nextafter(ends, dtype(0)), ends, np.nextafter(ends[:-1], dtype(np.inf))])
    return np.concatenate([drawn[np.isfinite(drawn)], near, -near])


def between(low, high, dtype, count=40_000):
    """Numbers spread evenly, with all the wholes and halves among them."""
    halves = np.arange(np.ceil(2 * low), 2 * high + 1) / 2
    return np.concatenate([np.random.default_rng(6).uniform(low, high, count), halves]).astype(dtype)


def ulps(values, exact):
    """How far the values lie from the exact ones, in spacings of their dtype around the exact one."""
    dtype = values.dtype.type
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    same = values == rounded
    with np.errstate(invalid="ignore"):
        distance = np.abs(values.astype(np.longdouble) - exact) / np.spacing(np.abs(rounded))
    return np.where(same, np.fmin(distance, 0.5), distance)
