"""Activations beyond tanh, the logistic function and relu, as formulas of vectors, and their slopes.

The slope is that of the weighted sum for gelu, silu and mish, which cannot be undone; of the others it is given by what the
activation returned. A formula and its slope share what they have in common once both are compiled into one loop.
"""

from __future__ import annotations

import math

from fastmlp.kernels.elementary import Lanes, exp_of, expm1_of, fma, intrinsic_of, log_of, logistic_of, polynomial
from fastmlp.kernels.vectors import is_float32

LEAK = 0.01
# Klambauer et al. 2017, equation 14.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# The share of a normal distribution above x >= 0, over exp(-x^2 / 2), is P(u) / (x + 4) with u = (x - 4) / (x + 4), as far
# as the exponential is not 0: relative error 2^-26.7 for x <= 15 in float32, 2^-59.3 for x <= 39 in float64.
TAIL_32 = (
    0.7552851352531199,
    -0.6078965798762681,
    0.3871369165181638,
    -0.18652365630728532,
    0.06040348947934117,
    -0.007524004344940402,
    -0.0035102109640857073,
    0.0015684082610547812,
    0.000174659313491768,
    -0.00013419628581826622,
)
TAIL_64 = (
    0.7552851304157515,
    -0.6078966419718921,
    0.38713740074221487,
    -0.18652185795965862,
    0.06039657489091965,
    -0.007540188966683533,
    -0.0034796923670200523,
    0.0016308184569825371,
    0.00013334430815128856,
    -0.000231094930709264,
    -1.908229964288534e-06,
    3.5144667773007945e-05,
    7.165464432324721e-07,
    -5.920133556837058e-06,
    -6.293706947227301e-07,
    1.0215259122227517e-06,
    2.712319556497497e-07,
    -1.5502949548000486e-07,
    -8.478023752158522e-08,
    1.3454343217575073e-08,
    1.9228267260049657e-08,
    1.75728118225271e-09,
    -2.416392377245304e-09,
    -6.709018862867513e-10,
)
TAIL_ENDS = (15.0, 39.0)
# From here on tanh(log(1 + exp(x))) is 1.
MISH_ENDS = (20.0, 40.0)


def log1p_of(x: Lanes) -> Lanes:
    """log(1 + x) for 0 <= x <= 1: what 1 + x loses is put back."""
    u = x + 1.0
    return log_of(u) + (x - (u - 1.0)) / u


def gaussian_of(x: Lanes) -> Lanes:
    """exp(-x^2 / 2), with what the square loses put back."""
    square = x * x
    lost = fma(x, x, -square)
    return exp_of(square * -0.5) * fma(lost, -0.5, 1.0)


def normal_of(x: Lanes) -> tuple[Lanes, Lanes]:
    """The share of a standard normal distribution below x, and exp(-x^2 / 2)."""
    narrow = is_float32(x.value.type)
    end = TAIL_ENDS[0] if narrow else TAIL_ENDS[1]
    size = x.magnitude().where(">", end, end)
    density = gaussian_of(size)
    share = (size - 4.0) / (size + 4.0)
    tail = density * polynomial(share, TAIL_32 if narrow else TAIL_64) / (size + 4.0)
    return x.choose(">", 0.0, -tail + 1.0, tail), density


def leaky_relu_of(x: Lanes) -> Lanes:
    """X, or a hundredth of it where it is negative (Maas et al. 2013)."""
    return x.where("<", 0.0, x * LEAK)


def leaky_relu_slope_of(a: Lanes) -> Lanes:
    return a.choose(">", 0.0, 1.0, LEAK)


def elu_of(x: Lanes) -> Lanes:
    """X, or exp(x) - 1 where it is negative (Clevert et al. 2016)."""
    return x.choose(">", 0.0, x, expm1_of(x.where(">", 0.0, 0.0)))


def elu_slope_of(a: Lanes) -> Lanes:
    return a.choose(">", 0.0, 1.0, a + 1.0)


def selu_of(x: Lanes) -> Lanes:
    """An elu whose outputs keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return x.choose(">", 0.0, x, expm1_of(x.where(">", 0.0, 0.0)) * SELU_ALPHA) * SELU_SCALE


def selu_slope_of(a: Lanes) -> Lanes:
    return a.choose(">", 0.0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA)


def softplus_of(x: Lanes) -> Lanes:
    """log(1 + exp(x))."""
    return x.where("<", 0.0, 0.0) + log1p_of(exp_of(-x.magnitude()))


def softplus_slope_of(a: Lanes) -> Lanes:
    return -expm1_of(-a)


def gelu_of(x: Lanes) -> Lanes:
    """X times the share of a standard normal distribution below it (Hendrycks and Gimpel 2016)."""
    return x * normal_of(x)[0]


def gelu_slope_of(x: Lanes) -> Lanes:
    share, density = normal_of(x)
    return fma(x * (1 / math.sqrt(2 * math.pi)), density, share)


def silu_of(x: Lanes) -> Lanes:
    """X times its logistic function (Elfwing et al. 2018)."""
    return x * logistic_of(x)


def silu_slope_of(x: Lanes) -> Lanes:
    s = logistic_of(x)
    return fma(x * s, -s + 1.0, s)


def _mish_parts(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """X no greater than it matters, e = exp(x) and n = e (e + 2), of which n / (n + 2) is tanh(log(1 + e))."""
    end = MISH_ENDS[0] if is_float32(x.value.type) else MISH_ENDS[1]
    x = x.where(">", end, end)
    e = exp_of(x)
    return x, e, e * (e + 2.0)


def mish_of(x: Lanes) -> Lanes:
    """X times tanh(softplus(x)) (Misra 2019)."""
    _, _, n = _mish_parts(x)
    return x * (n / (n + 2.0))


def mish_slope_of(x: Lanes) -> Lanes:
    low, e, n = _mish_parts(x)
    d = n + 2.0
    return n / d + low * (e * 4.0) * (e + 1.0) / (d * d)


leaky_relu, leaky_relu_slope = intrinsic_of(leaky_relu_of), intrinsic_of(leaky_relu_slope_of)
elu, elu_slope = intrinsic_of(elu_of), intrinsic_of(elu_slope_of)
selu, selu_slope = intrinsic_of(selu_of), intrinsic_of(selu_slope_of)
softplus, softplus_slope = intrinsic_of(softplus_of), intrinsic_of(softplus_slope_of)
gelu, gelu_slope = intrinsic_of(gelu_of), intrinsic_of(gelu_slope_of)
silu, silu_slope = intrinsic_of(silu_of), intrinsic_of(silu_slope_of)
mish, mish_slope = intrinsic_of(mish_of), intrinsic_of(mish_slope_of)
