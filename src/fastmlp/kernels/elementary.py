"""exp, log, tanh and the logistic function of vectors: range reduction and a minimax polynomial, without a branch.

NaN and infinities pass through. The polynomials' coefficients come from Remez exchanges in 60 digits, minimising the
relative error of the function itself; tests/test_elementary.py holds the errors in units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from fastmlp.kernels.vectors import EXACT, FEATURES, FMA, call, constant, is_float32

# exp(r) = 1 + r + r^2 q(r) for |r| <= ln(2) / 2: relative error 2^-26 in float32, 2^-55.6 in float64.
EXP_32 = (0.5000000061993178, 0.16666542991849068, 0.04166628186083463, 0.008366583995313105, 0.0013946459911789511)
EXP_64 = (
    0.5000000000000006,
    0.16666666666666685,
    0.041666666666573614,
    0.008333333333314607,
    0.001388888893238117,
    0.00019841269902994723,
    2.4801504443605134e-05,
    2.7557227987017084e-06,
    2.7626327340567545e-07,
    2.5114462210447368e-08,
)
# log(m) = 2 s + s z R(z), s = (m - 1) / (m + 1), z = s^2, for sqrt(1/2) <= m < sqrt(2): 2^-30.2 and 2^-59.5.
LOG_32 = (0.6666677641479134, 0.39977537022237003, 0.29871861241492803)
LOG_64 = (
    0.6666666666666734,
    0.39999999999414343,
    0.2857142874247159,
    0.22222198563731196,
    0.1818356485737583,
    0.15314036006321588,
    0.1479610425400759,
)
# ln(2) in two parts, the first short enough that its product with an exponent is exact.
LN2_32 = (0.693359375, -2.12194440054690583e-4)
LN2_64 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


class Lanes:
    """A vector while its instructions are written, so that formulas read as formulas."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    def like(self, other: Lanes | float) -> ir.Value:
        return other.value if isinstance(other, Lanes) else constant(self.value.type, other)

    def new(self, value: ir.Value) -> Lanes:
        return Lanes(self.builder, value)

    def __add__(self, other: Lanes | float) -> Lanes:
        return self.new(self.builder.fadd(self.value, self.like(other), flags=EXACT))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self.new(self.builder.fsub(self.value, self.like(other), flags=EXACT))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self.new(self.builder.fmul(self.value, self.like(other), flags=EXACT))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self.new(self.builder.fdiv(self.value, self.like(other), flags=EXACT))

    def __neg__(self) -> Lanes:
        return self.new(self.builder.fneg(self.value))

    def where(self, sign: str, bound: float, then: Lanes | float) -> Lanes:
        """`then` where the comparison with `bound` holds, else the vector itself: a NaN stays."""
        mask = self.builder.fcmp_ordered(sign, self.value, self.like(bound))
        return self.new(self.builder.select(mask, self.like(then), self.value))

    def choose(self, sign: str, bound: float, then: Lanes | float, other: Lanes | float) -> Lanes:
        """`then` where the comparison with `bound` holds, else `other`."""
        mask = self.builder.fcmp_ordered(sign, self.value, self.like(bound))
        return self.new(self.builder.select(mask, self.like(then), self.like(other)))

    def magnitude(self) -> Lanes:
        """The absolute value."""
        return self.new(call(self.builder, "llvm.fabs", self.value))


def fma(a: Lanes, b: Lanes | float, c: Lanes | float) -> Lanes:
    return a.new(call(a.builder, FMA, a.value, a.like(b), a.like(c)))


def polynomial(x: Lanes, coefficients: tuple[float, ...]) -> Lanes:
    """c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule."""
    result: Lanes | float = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        result = fma(x, result, coefficient)
    assert isinstance(result, Lanes)
    return result


def integers(x: Lanes) -> ir.VectorType:
    """The integer vector of the lanes' size."""
    return ir.VectorType(ir.IntType(32 if is_float32(x.value.type) else 64), x.value.type.count)


def every(whole: ir.VectorType, number: int) -> ir.Constant:
    """The integer vector with `number` in every lane."""
    return ir.Constant(whole, [number] * whole.count)


def times_power_of_two(x: Lanes, k: Lanes) -> Lanes:
    """x * 2**k for whole k, down into the subnormals and up to infinity."""
    kind, builder = x.value.type, x.builder
    if FEATURES.get("avx512f") and kind.count * (4 if is_float32(kind) else 8) == 64:
        short, mask = ("ps", 16) if is_float32(kind) else ("pd", 8)
        arguments = [x.value, k.value, x.value, ir.Constant(ir.IntType(mask), -1), ir.Constant(ir.IntType(32), 4)]
        signature = ir.FunctionType(kind, [argument.type for argument in arguments])
        name = f"llvm.x86.avx512.mask.scalef.{short}.512"
        return x.new(builder.call(cgutils.get_or_insert_function(builder.module, signature, name), arguments))
    # In two steps, since 2**k itself may lie outside the range where the product does not.
    whole = integers(x)
    exponent = builder.fptosi(k.value, whole)
    half = builder.ashr(exponent, every(whole, 1))
    return x * power_of_two(x, half) * power_of_two(x, builder.sub(exponent, half))


def power_of_two(x: Lanes, exponent: ir.Value) -> Lanes:
    """2**exponent by writing the bits of a float."""
    whole = exponent.type
    bias, digits = (127, 23) if is_float32(x.value.type) else (1023, 52)
    bits = x.builder.shl(x.builder.add(exponent, every(whole, bias)), every(whole, digits))
    return x.new(x.builder.bitcast(bits, x.value.type))


def reduced(x: Lanes) -> tuple[Lanes, Lanes]:
    """k and r with x = k ln(2) + r, k whole and |r| <= ln(2) / 2."""
    k = x.new(call(x.builder, "llvm.rint", (x * (1 / math.log(2))).value))
    return k, remainder_of(x, k)


def remainder_of(x: Lanes, k: Lanes) -> Lanes:
    """x - k ln(2)."""
    high, low = LN2_32 if is_float32(x.value.type) else LN2_64
    return fma(k, -low, fma(k, -high, x))


def expm1_reduced(r: Lanes) -> Lanes:
    """exp(r) - 1 for |r| <= ln(2) / 2."""
    return fma(r * r, polynomial(r, EXP_32 if is_float32(r.value.type) else EXP_64), r)


def exp_of(x: Lanes) -> Lanes:
    """e to the power of x."""
    # The bounds lie where the result is 0 and infinity already; beyond them k would not fit the bits of an exponent.
    least, most = (-104.0, 89.0) if is_float32(x.value.type) else (-746.0, 710.0)
    k, r = reduced(x.where("<", least, least).where(">", most, most))
    return times_power_of_two(expm1_reduced(r) + 1.0, k)


def exponent_of(x: Lanes) -> tuple[Lanes, Lanes]:
    """k, the whole number nearest to x / ln(2), and 2**k, for 0 <= x < 60.

    The sum with 1.5 * 2**digits + bias rounds to a whole number, and its last bits are those of the exponent of 2**k.
    """
    digits, bias = (23, 127) if is_float32(x.value.type) else (52, 1023)
    magic = 1.5 * 2.0**digits + bias
    shifted = fma(x, 1 / math.log(2), magic)
    whole = integers(x)
    bits = x.builder.shl(x.builder.bitcast(shifted.value, whole), every(whole, digits))
    return shifted - magic, x.new(x.builder.bitcast(bits, x.value.type))


def tanh_of(x: Lanes) -> Lanes:
    """m / (m + 2) with m = exp(2 |x|) - 1, which keeps its digits near 0; the sign is put back at the end.

    Three roundings, of m, of m + 2 and of the quotient, come to 2.5 units in the last place at most. Making good what m + 2
    loses would take that below 2, for a third more time.
    """
    kind = x.value.type
    size = x.magnitude()
    # Beyond, the result is 1 already.
    twice = (size + size).where(">", *((19.0, 19.0) if is_float32(kind) else (39.0, 39.0)))
    k, scale = exponent_of(twice)
    # In float32 one part of ln(2) will do: tanh is flat where k is so large that the other would show.
    r = fma(k, -math.log(2), twice) if is_float32(kind) else remainder_of(twice, k)
    m = fma(scale, expm1_reduced(r), scale - 1.0)
    return x.new(call(x.builder, "llvm.copysign", (m / (m + 2.0)).value, x.value))


def expm1_of(x: Lanes) -> Lanes:
    """exp(x) - 1 for x <= 0, exact near 0."""
    least = -20.0 if is_float32(x.value.type) else -40.0
    k, r = reduced(x.where("<", least, least))
    scale = times_power_of_two(x.new(constant(x.value.type, 1.0)), k)
    return fma(scale, expm1_reduced(r), scale - 1.0)


def logistic_of(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x))."""
    return x.new(constant(x.value.type, 1.0)) / (exp_of(-x) + 1.0)


def log_of(x: Lanes) -> Lanes:
    """The natural logarithm."""
    builder, kind, whole = x.builder, x.value.type, integers(x)
    digits, half_root, lift, least = (
        (23, 0x3F3504F3, 25, 2.0**-126) if is_float32(kind) else (52, 0x3FE6A09E667F3BCD, 54, 2.0**-1022)
    )
    tiny = builder.fcmp_ordered("<", x.value, constant(kind, least))
    normal = builder.select(tiny, (x * 2.0**lift).value, x.value)
    bits = builder.bitcast(normal, whole)
    exponent = builder.ashr(builder.sub(bits, every(whole, half_root)), every(whole, digits))
    m = x.new(builder.bitcast(builder.sub(bits, builder.shl(exponent, every(whole, digits))), kind))
    k = x.new(builder.sitofp(builder.sub(exponent, builder.select(tiny, every(whole, lift), every(whole, 0))), kind))
    high, low = LN2_32 if is_float32(kind) else LN2_64
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    # 2 s = f - s f: the part that is exact stands first.
    rest = fma(s, z * polynomial(z, LOG_32 if is_float32(kind) else LOG_64) - f, k * low)
    result = fma(k, high, f + rest)
    for sign, bound, value in (("==", math.inf, math.inf), ("==", 0.0, -math.inf), ("<", 0.0, math.nan)):
        mask = builder.fcmp_ordered(sign, x.value, constant(kind, bound))
        result = x.new(builder.select(mask, constant(kind, value), result.value))
    return x.new(builder.select(builder.fcmp_unordered("uno", x.value, x.value), x.value, result.value))


def intrinsic_of(formula: Callable[[Lanes], Lanes]) -> Any:
    """An intrinsic that applies the formula to each lane."""

    def typed(typingctx: Any, a: Any) -> Any:
        return a(a), lambda context, builder, signature, args: formula(Lanes(builder, args[0])).value

    typed.__name__ = typed.__qualname__ = formula.__name__.removesuffix("_of")
    typed.__doc__ = formula.__doc__
    return intrinsic(typed)


exp = intrinsic_of(exp_of)
expm1 = intrinsic_of(expm1_of)
log = intrinsic_of(log_of)
tanh = intrinsic_of(tanh_of)
logistic = intrinsic_of(logistic_of)
