"""Elementary functions, complex parts and the anatomy of floating point, elementwise.

Everything here is floating or complex: integers and bools are converted to the default floating
dtype first (float32, float64 with `enable_x64`). Derivatives at kinks and poles are finite where
the function has a one-sided or limiting one: the unused branch of a `select` is given a harmless
argument before it is evaluated, so that no 0 · inf reaches a gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.marks import STOP_GRADIENT, optimization_barrier
from ferax.lax.shape import known_integer
from ferax.numpy.operations import (
    ABS,
    ADD,
    AND,
    BOOL,
    DIV,
    EQ,
    EVEN,
    EXP,
    GT,
    LOG,
    LOG1P,
    LT,
    MAX,
    MIN,
    MUL,
    NE,
    NEG,
    NOT,
    OR,
    SIN,
    SQRT,
    SQUARE,
    SUB,
    at_once,
    scalar,
)
from ferax.numpy.promoting import (
    ArrayLike,
    cast,
    inexact,
    numeric,
    operand,
    pair_inexact,
    strong_scalar,
    unsupported_out,
)
from ferax.numpy.ufuncs import _finite, iscomplexobj
from ferax.numpy.universal import ufunc

# -- powers and logarithms -----------------------------------------------------------------


@public
def exp(x: ArrayLike, /) -> Array:
    """e^x

    >>> import ferax.numpy as jnp
    >>> jnp.exp(jnp.array([-jnp.inf, 0.]))
    Array([0., 1.], dtype=float32)
    """
    return EXP(inexact("exp", x))


@public
def exp2(x: ArrayLike, /) -> Array:
    """2^x"""
    return el.Exp2()(inexact("exp2", x))


@public
def expm1(x: ArrayLike, /) -> Array:
    """e^x - 1, accurate near 0"""
    return el.Expm1()(inexact("expm1", x))


@public
def log(x: ArrayLike, /) -> Array:
    """The natural logarithm; nan for negative real x, -inf at 0.

    >>> import ferax.numpy as jnp
    >>> jnp.log(jnp.array([0., 1., jnp.e]))
    Array([-inf,   0.,   1.], dtype=float32)
    """
    return LOG(inexact("log", x))


@public
def log1p(x: ArrayLike, /) -> Array:
    """log(1 + x), accurate near 0"""
    return LOG1P(inexact("log1p", x))


@public
def log2(x: ArrayLike, /) -> Array:
    """The logarithm to base 2"""
    return _by_number(DIV, LOG(inexact("log2", x)), math.log(2))


@public
def log10(x: ArrayLike, /) -> Array:
    """The logarithm to base 10"""
    x = inexact("log10", x)
    if dtypes.to_real(x.dtype).itemsize == 8:  # log e rounds better than ln 10
        return _by_number(MUL, LOG(x), math.log10(math.e))
    return _by_number(DIV, LOG(x), math.log(10))


def _by_number(op: Any, x: Any, number: float) -> Any:
    """op(x, number) with a real number: part by part, for (-inf + 0j) (c + 0j) has nan in it."""
    factor = scalar(number, dtypes.to_real(x.dtype))
    if dtypes.is_complex(x.dtype):
        return el.Complex()(op(el.Real()(x), factor), op(el.Imag()(x), factor))
    return op(x, factor)


@public
def sqrt(x: ArrayLike, /) -> Array:
    """√x; nan for negative real x. d√x/dx(0) = inf."""
    return SQRT(inexact("sqrt", x))


@public
def cbrt(x: ArrayLike, /) -> Array:
    """The real cube root of real x.

    >>> import ferax.numpy as jnp
    >>> jnp.cbrt(jnp.array([-8., 1.]))
    Array([-2.,  1.], dtype=float32)
    """
    return el.Cbrt()(inexact("cbrt", x))


@public
def _logaddexp(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """log(e^x1 + e^x2) without overflow.

    >>> import ferax.numpy as jnp
    >>> jnp.logaddexp(1e30, jnp.array([0., 1e30]))
    Array([1.e+30, 1.e+30], dtype=float32)
    """
    x, y = pair_inexact("logaddexp", x1, x2)
    if dtypes.is_complex(x.dtype):
        return _complex_logaddexp(x, y)
    return el.LogAddExp()(x, y)


def _complex_logaddexp(x: Any, y: Any) -> Any:
    """As `logaddexp`, the imaginary part brought to (-π, π]."""
    swap = LT(el.Real()(x), el.Real()(y))
    large, small = basis.select(swap, y, x), basis.select(swap, x, y)
    gap = basis.select(EQ(x, y), scalar(0, x.dtype), SUB(small, large))
    total = ADD(large, LOG1P(EXP(gap)))
    angle_ = el.Imag()(total)
    turns = EVEN(DIV(angle_, scalar(2 * math.pi, angle_.dtype)))
    wrapped = SUB(angle_, MUL(turns, scalar(2 * math.pi, angle_.dtype)))
    return el.Complex()(el.Real()(total), wrapped)


logaddexp = ufunc(_logaddexp, 2, 1, name="logaddexp", identity=-np.inf)


@public
def _logaddexp2(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """log2(2^x1 + 2^x2) without overflow."""
    x, y = pair_inexact("logaddexp2", x1, x2)
    if dtypes.is_complex(x.dtype):
        ln2 = scalar(math.log(2), x.dtype)
        return DIV(_complex_logaddexp(MUL(x, ln2), MUL(y, ln2)), ln2)
    return el.LogAddExp(binary=True)(x, y)


logaddexp2 = ufunc(_logaddexp2, 2, 1, name="logaddexp2", identity=-np.inf)


@public
def hypot(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """√(x1² + x2²) of real numbers without overflow.

    >>> import ferax.numpy as jnp
    >>> jnp.hypot(jnp.array([3., 3e30]), jnp.array([4., 4e30]))
    Array([5.e+00, 5.e+30], dtype=float32)
    """
    x, y = pair_inexact("hypot", x1, x2)
    if dtypes.is_complex(x.dtype):
        raise ValueError(
            f"hypot is not defined for complex numbers; got {x.aval.short()}. Use abs(x) first."
        )
    known = at_once(np.hypot, x, y)
    if known is not None:
        return known
    x, y = ABS(x), ABS(y)
    large, small = MAX(x, y), MIN(x, y)
    dtype = x.dtype
    zero, one, infinity = scalar(0, dtype), scalar(1, dtype), scalar(math.inf, dtype)
    infinite = OR(EQ(x, infinity), EQ(y, infinity))  # even if the other one is nan
    large = basis.select(infinite, infinity, large)
    trivial = OR(infinite, EQ(large, zero))
    ratio = basis.select(trivial, zero, DIV(small, basis.select(trivial, one, large)))
    return basis.select(trivial, large, MUL(large, SQRT(ADD(one, SQUARE(ratio)))))


# -- trigonometric and hyperbolic ----------------------------------------------------------


@public
def sin(x: ArrayLike, /) -> Array:
    """The sine of x, in radians.

    >>> import ferax.numpy as jnp
    >>> jnp.sin(jnp.array([0., jnp.pi / 2]))
    Array([0., 1.], dtype=float32)
    """
    return SIN(inexact("sin", x))


@public
def cos(x: ArrayLike, /) -> Array:
    """The cosine of x, in radians"""
    return el.Cos()(inexact("cos", x))


@public
def tan(x: ArrayLike, /) -> Array:
    """The tangent of x, in radians"""
    return el.Tan()(inexact("tan", x))


@public
def arcsin(x: ArrayLike, /) -> Array:
    """The angle in [-π/2, π/2] whose sine is x; nan outside of [-1, 1]"""
    return el.Asin()(inexact("arcsin", x))


@public
def arccos(x: ArrayLike, /) -> Array:
    """The angle in [0, π] whose cosine is x; nan outside of [-1, 1]"""
    return el.Acos()(inexact("arccos", x))


@public
def arctan(x: ArrayLike, /) -> Array:
    """The angle in (-π/2, π/2) whose tangent is x"""
    return el.Atan()(inexact("arctan", x))


@public
def arctan2(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The angle in [-π, π] of the point with ordinate x1 and abscissa x2.

    >>> import ferax.numpy as jnp
    >>> jnp.arctan2(jnp.array([1., -1.]), jnp.array([0., -1.]))
    Array([ 1.5707964, -2.3561945], dtype=float32)
    """
    return el.Atan2()(*pair_inexact("arctan2", x1, x2))


@public
def sinh(x: ArrayLike, /) -> Array:
    """(e^x - e^-x) / 2"""
    return el.Sinh()(inexact("sinh", x))


@public
def cosh(x: ArrayLike, /) -> Array:
    """(e^x + e^-x) / 2"""
    return el.Cosh()(inexact("cosh", x))


@public
def tanh(x: ArrayLike, /) -> Array:
    """sinh(x) / cosh(x)"""
    return el.Tanh()(inexact("tanh", x))


@public
def arcsinh(x: ArrayLike, /) -> Array:
    """The inverse of sinh"""
    return el.Asinh()(inexact("arcsinh", x))


@public
def arccosh(x: ArrayLike, /) -> Array:
    """The inverse of cosh on [1, ∞); nan below 1"""
    return el.Acosh()(inexact("arccosh", x))


@public
def arctanh(x: ArrayLike, /) -> Array:
    """The inverse of tanh on (-1, 1)"""
    return el.Atanh()(inexact("arctanh", x))


asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh


@public
def deg2rad(x: ArrayLike, /) -> Array:
    """π x / 180"""
    x = inexact("deg2rad", x)
    return MUL(x, scalar(math.pi / 180, x.dtype))


@public
def rad2deg(x: ArrayLike, /) -> Array:
    """180 x / π"""
    x = inexact("rad2deg", x)
    return MUL(x, scalar(180 / math.pi, x.dtype))


radians, degrees = deg2rad, rad2deg

# Maclaurin series of sin(p)/p in p²: enough terms for derivatives to order 9 at p = 0
_SINC_SERIES = [(-1) ** k / math.factorial(2 * k + 1) for k in range(5)]


@public
def sinc(x: ArrayLike, /) -> Array:
    """sin(π x) / (π x), and 1 at 0, where its derivatives are right as well.

    >>> import ferax.numpy as jnp
    >>> jnp.round(jnp.sinc(jnp.array([0., 0.5])), 4)
    Array([1.    , 0.6366], dtype=float32)
    """
    x = inexact("sinc", x)
    dtype = x.dtype
    p = MUL(x, scalar(math.pi, dtype))
    at_zero = EQ(x, scalar(0, dtype))
    safe = basis.select(at_zero, scalar(1, dtype), p)
    square_ = basis.select(at_zero, SQUARE(p), scalar(0, dtype))
    series = scalar(_SINC_SERIES[-1], dtype)
    for term in _SINC_SERIES[-2::-1]:
        series = ADD(MUL(series, square_), scalar(term, dtype))
    return basis.select(at_zero, series, DIV(_sin_pi(x, safe), safe))


def _sin_pi(x: Any, p: Any) -> Any:
    """sin(π x) where p = π x: of real x by the distance from a whole number."""
    if dtypes.is_complex(x.dtype):
        return SIN(p)
    whole = EVEN(x)
    half = MUL(whole, scalar(0.5, x.dtype))
    sine = SIN(MUL(SUB(x, whole), scalar(math.pi, x.dtype)))
    return basis.select(NE(half, EVEN(half)), NEG(sine), sine)


@public
def i0(x: ArrayLike) -> Array:
    """The modified Bessel function of the first kind, order 0, of real x.

    >>> import ferax.numpy as jnp
    >>> jnp.i0(0.)
    Array(1., dtype=float32, weak_type=True)
    """
    x = inexact("i0", x)
    if dtypes.is_complex(x.dtype):
        raise ValueError(f"i0: x must be real; got {x.aval.short()}")
    return MUL(EXP(ABS(x)), el.BesselI0e()(x))


# -- rounding ------------------------------------------------------------------------------


def _rounded(who: str, op: Any, x: Any) -> Any:
    """Integers and bools are whole already."""
    x = numeric(who, x)
    dtype = x.dtype
    return op(x) if dtypes.is_inexact(dtype) else x


@public
def floor(x: ArrayLike, /) -> Array:
    """The largest whole number not above x; integers as they are.

    >>> import ferax.numpy as jnp
    >>> jnp.floor(jnp.array([-1.5, 1.5]))
    Array([-2.,  1.], dtype=float32)
    """
    return _rounded("floor", el.Floor(), x)


@public
def ceil(x: ArrayLike, /) -> Array:
    """The smallest whole number not below x; integers as they are"""
    return _rounded("ceil", el.Ceil(), x)


@public
def trunc(x: ArrayLike) -> Array:
    """x rounded towards 0; integers as they are"""
    x = numeric("trunc", x)
    if not dtypes.is_inexact(x.dtype):
        return x
    if dtypes.is_complex(x.dtype):
        raise TypeError(f"trunc does not accept complex numbers; got {x.aval.short()}")
    return basis.select(LT(x, scalar(0, x.dtype)), el.Ceil()(x), el.Floor()(x))


@public
def rint(x: ArrayLike, /) -> Array:
    """x rounded to the nearest whole number, halves to the even one; floating.

    >>> import ferax.numpy as jnp
    >>> jnp.rint(jnp.array([0.5, 1.5, 2.5]))
    Array([0., 2., 2.], dtype=float32)
    """
    return _nearest_even(inexact("rint", x))


def _nearest_even(x: Any) -> Any:
    if dtypes.is_complex(x.dtype):
        return el.Complex()(EVEN(el.Real()(x)), EVEN(el.Imag()(x)))
    return EVEN(x)


@public
def round(a: ArrayLike, decimals: int = 0, out: None = None) -> Array:
    """a rounded to `decimals` digits behind the point, halves to even.

    >>> import ferax.numpy as jnp
    >>> jnp.round(jnp.array([1.25, 2.675]), 1)
    Array([1.2, 2.7], dtype=float32)
    """
    unsupported_out("round", out)
    x = numeric("round", a)
    decimals = known_integer(decimals, "round", "decimals")
    dtype = x.dtype
    if not dtypes.is_inexact(dtype):
        if decimals < 0:
            raise NotImplementedError("round: integers with decimals < 0")
        return x
    if decimals == 0:
        return _nearest_even(x)
    # half precision cannot hold 10^decimals times most numbers
    wide = np.dtype(np.float32) if dtype.itemsize < 4 else dtype
    factor = scalar(10.0 ** builtin_abs(decimals), wide)
    y = basis.convert(x, wide, x.weak_type)
    if decimals > 0:
        y = DIV(_nearest_even(MUL(y, factor)), factor)
    else:
        y = MUL(_nearest_even(DIV(y, factor)), factor)
    return basis.convert(y, dtype, x.weak_type)


around = round
builtin_abs = abs


# -- complex numbers -----------------------------------------------------------------------


@public
def real(val: ArrayLike, /) -> Array:
    """The real part: x itself if x is real"""
    x = operand("real", val)
    return el.Real()(x) if dtypes.is_complex(x.dtype) else x


@public
def imag(val: ArrayLike, /) -> Array:
    """The imaginary part: zeros if x is real"""
    x = operand("imag", val)
    return el.Imag()(x) if dtypes.is_complex(x.dtype) else basis.zeros_like(x)


@public
def conjugate(x: ArrayLike, /) -> Array:
    """The complex conjugate: x itself if x is real"""
    x = operand("conjugate", x)
    return el.Conj()(x) if dtypes.is_complex(x.dtype) else x


conj = conjugate


@public
def angle(z: ArrayLike, deg: bool = False) -> Array:
    """The argument of z in (-π, π], or in degrees.

    >>> import ferax.numpy as jnp
    >>> jnp.angle(jnp.array([1j, -1]), deg=True)
    Array([ 90., 180.], dtype=float32)
    """
    z = inexact("angle", z)
    if dtypes.is_complex(z.dtype):
        re, im = el.Real()(z), el.Imag()(z)
    else:
        re, im = z, basis.zeros_like(z)
    out = el.Atan2()(im, re)
    return MUL(out, scalar(180 / math.pi, out.dtype)) if deg else out


@public
def iscomplex(x: ArrayLike) -> Array:
    """Whether each element has an imaginary part that is not 0"""
    x = operand("iscomplex", x)
    if not dtypes.is_complex(x.dtype):
        return basis.full(x.shape, False, BOOL)
    part = el.Imag()(x)
    return NE(part, scalar(0, part.dtype))


@public
def isreal(x: ArrayLike) -> Array:
    """Whether each element has no imaginary part"""
    x = operand("isreal", x)
    if not dtypes.is_complex(x.dtype):
        return basis.full(x.shape, True, BOOL)
    part = el.Imag()(x)
    return EQ(part, scalar(0, part.dtype))


def isrealobj(x: Any) -> bool:
    """Whether the dtype of x (an array or a number) is not complex."""
    return not iscomplexobj(x)


# -- classification ------------------------------------------------------------------------


def _constant(who: str, x: Any, value: bool) -> Any:
    return basis.full(x.shape, value, BOOL)


@public
def isnan(x: ArrayLike, /) -> Array:
    """Whether each element is nan (of complex ones: either part).

    >>> import ferax.numpy as jnp
    >>> jnp.isnan(jnp.array([1., jnp.nan]))
    Array([False,  True], dtype=bool)
    """
    x = numeric("isnan", x)
    return NE(x, x) if dtypes.is_inexact(x.dtype) else _constant("isnan", x, False)


@public
def isfinite(x: ArrayLike, /) -> Array:
    """Whether each element is neither infinite nor nan"""
    x = numeric("isfinite", x)
    return _finite(x) if dtypes.is_inexact(x.dtype) else _constant("isfinite", x, True)


@public
def isinf(x: ArrayLike, /) -> Array:
    """Whether each element is infinite (of complex ones: either part)"""
    x = numeric("isinf", x)
    if dtypes.is_complex(x.dtype):
        return OR(_infinite(el.Real()(x)), _infinite(el.Imag()(x)))
    return _infinite(x) if dtypes.is_floating(x.dtype) else _constant("isinf", x, False)


def _infinite(x: Any) -> Any:
    return EQ(ABS(x), scalar(math.inf, x.dtype))


@public
def isposinf(x: ArrayLike, /, out: None = None) -> Array:
    """Whether each element is +inf; not for complex x"""
    return _is_value("isposinf", x, out, math.inf)


@public
def isneginf(x: ArrayLike, /, out: None = None) -> Array:
    """Whether each element is -inf; not for complex x"""
    return _is_value("isneginf", x, out, -math.inf)


def _is_value(who: str, x: Any, out: Any, value: float) -> Any:
    unsupported_out(who, out)
    x = numeric(who, x)
    if dtypes.is_complex(x.dtype):
        raise ValueError(
            f"{who} is not defined for complex numbers; got {x.aval.short()}"
        )
    if not dtypes.is_floating(x.dtype):
        return _constant(who, x, False)
    return EQ(x, scalar(value, x.dtype))


@public
def nan_to_num(
    x: ArrayLike, copy: bool = True, nan: ArrayLike = 0.0, posinf: ArrayLike | None = None,
    neginf: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """x with nan, inf and -inf replaced: by default by 0 and the dtype's extreme numbers.

    >>> import ferax.numpy as jnp
    >>> jnp.nan_to_num(jnp.array([jnp.nan, jnp.inf, 1.]), posinf=9.)
    Array([0., 9., 1.], dtype=float32)
    """
    x = numeric("nan_to_num", x)
    dtype = x.dtype
    if dtypes.is_complex(dtype):
        parts = [
            nan_to_num(p(x), copy, nan, posinf, neginf) for p in (el.Real(), el.Imag())
        ]
        return el.Complex()(*parts)
    if not dtypes.is_floating(dtype):
        return x
    info = dtypes.finfo(dtype)
    replacements = (
        (NE(x, x), nan),
        (EQ(x, scalar(math.inf, dtype)), float(info.max) if posinf is None else posinf),
        (
            EQ(x, scalar(-math.inf, dtype)),
            float(info.min) if neginf is None else neginf,
        ),
    )
    for found, value in replacements:
        x = basis.select(found, cast(operand("nan_to_num", value), dtype), x)
    return x


# -- anatomy of floating point -------------------------------------------------------------


@public
def signbit(x: ArrayLike, /) -> Array:
    """Whether the sign bit is set: negative numbers and -0.0.

    >>> import ferax.numpy as jnp
    >>> jnp.signbit(jnp.array([-1., -0., 0.]))
    Array([ True,  True, False], dtype=bool)
    """
    x = numeric("signbit", x)
    dtype = x.dtype
    if dtypes.is_signed(dtype):
        return LT(x, scalar(0, dtype))
    if not dtypes.is_inexact(dtype):
        return _constant("signbit", x, False)
    if dtypes.is_complex(dtype):
        raise ValueError(
            f"signbit is not defined for complex numbers; got {x.aval.short()}"
        )
    bits = np.dtype(f"int{8 * dtype.itemsize}")
    return LT(el.bitcast_convert_type(x, bits), scalar(0, bits))


@public
def copysign(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """|x1| with the sign of x2, in floating point"""
    x, y = pair_inexact("copysign", x1, x2)
    if dtypes.is_complex(x.dtype):
        raise TypeError(
            f"copysign does not support complex numbers; got {x.aval.short()}"
        )
    size = ABS(x if x.weak_type == y.weak_type else basis.convert(x, x.dtype))
    return basis.select(signbit(y), NEG(size), size)


@public
def heaviside(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """0 for x1 < 0, x2 for x1 = 0, 1 for x1 > 0, nan for nan; floating.

    >>> import ferax.numpy as jnp
    >>> jnp.heaviside(jnp.array([-1., 0., 2.]), 0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x, y = pair_inexact("heaviside", x1, x2)
    if dtypes.is_complex(x.dtype):
        raise TypeError(
            f"heaviside does not support complex numbers; got {x.aval.short()}"
        )
    dtype = x.dtype
    number = scalar if x.weak_type and y.weak_type else strong_scalar
    zero = number(0, dtype)
    out = basis.select(GT(x, zero), number(1, dtype), y)
    out = basis.select(LT(x, zero), zero, out)
    return basis.select(NE(x, x), number(math.nan, dtype), out)


@public
def nextafter(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The floating number next to x in the direction of y"""
    return el.Nextafter()(*pair_inexact("nextafter", x, y))


@public
def spacing(x: ArrayLike, /) -> Array:
    """The distance from |x| to the next larger floating number, with the sign of x.

    >>> import ferax.numpy as jnp
    >>> jnp.spacing(jnp.array([1., -2.]))
    Array([ 1.1920929e-07, -2.3841858e-07], dtype=float32)
    """
    x = inexact("spacing", x)
    if dtypes.is_complex(x.dtype):
        raise TypeError(
            f"spacing does not support complex numbers; got {x.aval.short()}"
        )
    x = STOP_GRADIENT(x)  # constant but for jumps
    outward = copysign(scalar(math.inf, x.dtype), x)
    return SUB(el.Nextafter()(x, outward), x)


def _split_exponent(x: Any) -> tuple[Any, Any]:
    """x = m 2^e with 1/2 <= |m| < 1 for finite x != 0; e as int32. Subnormals included."""
    dtype = x.dtype
    info = dtypes.finfo(dtype)
    width = 8 * dtype.itemsize
    bits, shift = np.dtype(f"int{width}"), int(info.nmant)
    mask = (1 << (width - 1 - shift)) - 1
    bias = mask >> 1
    lift = shift + 2  # brings subnormals into the normal range
    small = LT(ABS(x), scalar(float(info.tiny), dtype))
    y = basis.select(small, MUL(x, scalar(2.0**lift, dtype)), x)
    raw = el.bitcast_convert_type(y, bits)
    field = AND(el.ShiftRightLogical()(raw, scalar(shift, bits)), scalar(mask, bits))
    exponent = SUB(field, scalar(bias - 1, bits))
    exponent = SUB(exponent, basis.select(small, scalar(lift, bits), scalar(0, bits)))
    kept = ~(mask << shift) - (
        1 << width if ~(mask << shift) >= 1 << (width - 1) else 0
    )
    half = OR(AND(raw, scalar(kept, bits)), scalar((bias - 1) << shift, bits))
    return el.bitcast_convert_type(half, dtype), basis.convert(
        exponent, np.dtype(np.int32)
    )


@public
def frexp(x: ArrayLike, /) -> tuple[Array, Array]:
    """(m, e) with x = m 2^e and 1/2 <= |m| < 1; (x, 0) for 0, inf and nan.

    >>> import ferax.numpy as jnp
    >>> jnp.frexp(jnp.array([0., 3., -8.]))
    (Array([ 0.  ,  0.75, -0.5 ], dtype=float32), Array([0, 2, 4], dtype=int32))
    """
    x = inexact("frexp", x)
    if dtypes.is_complex(x.dtype):
        raise TypeError(f"frexp does not support complex numbers; got {x.aval.short()}")
    mantissa, exponent = _split_exponent(x)
    # the same number with a derivative, except for subnormal x, which compilers may flush to 0
    least = scalar(float(dtypes.finfo(x.dtype).smallest_normal), x.dtype)
    scaled = ldexp(x, SUB(scalar(0, exponent.dtype), exponent))
    mantissa = basis.select(LT(ABS(x), least), mantissa, scaled)
    trivial = OR(EQ(x, scalar(0, x.dtype)), NOT(el.IsFinite()(x)))
    return basis.select(trivial, x, mantissa), basis.select(
        trivial, scalar(0, np.dtype(np.int32)), exponent
    )


@public
def ldexp(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 2^x2 for integer x2; floating.

    >>> import ferax.numpy as jnp
    >>> jnp.ldexp(jnp.array([1., 3.]), jnp.array([-1, 2]))
    Array([ 0.5, 12. ], dtype=float32)
    """
    x, n = operand("ldexp", x1, 0), operand("ldexp", x2, 1)
    if dtypes.is_complex(x.dtype) or not (
        dtypes.is_integer(n.dtype) or n.dtype is BOOL
    ):
        raise ValueError(
            f"ldexp: needs real x1 and integer x2; got {x.aval.short()}, {n.aval.short()}"
        )
    x = inexact("ldexp", x)
    n = cast(n, np.dtype(np.int32))
    # two factors, as 2^n may be out of range where x 2^n is not; a third for subnormals; the
    # barriers keep compilers from multiplying the factors first where n is a constant
    limit = int(dtypes.finfo(x.dtype).maxexp) - 1
    for _ in range(3):
        part = MAX(MIN(n, scalar(limit, n.dtype)), scalar(-limit + 1, n.dtype))
        x = optimization_barrier(MUL(x, _power_of_two(part, x.dtype)))
        n = SUB(n, part)
    return x


def _power_of_two(n: Any, dtype: Any) -> Any:
    """2^n for int32 n in the normal range, exactly: n is the exponent field."""
    bits = np.dtype(f"int{8 * dtype.itemsize}")
    shift = int(dtypes.finfo(dtype).nmant)
    bias = int(dtypes.finfo(dtype).maxexp) - 1
    field = ADD(basis.convert(n, bits), scalar(bias, bits))
    return el.bitcast_convert_type(el.ShiftLeft()(field, scalar(shift, bits)), dtype)


@public
def modf(x: ArrayLike, /, out: None = None) -> tuple[Array, Array]:
    """(fraction, whole part) of x, both with the sign of x; floating.

    >>> import ferax.numpy as jnp
    >>> jnp.modf(jnp.array([3.25, -1.5]))
    (Array([ 0.25, -0.5 ], dtype=float32), Array([ 3., -1.], dtype=float32))
    """
    unsupported_out("modf", out)
    x = inexact("modf", x)
    if dtypes.is_complex(x.dtype):
        raise TypeError(f"modf does not accept complex numbers; got {x.aval.short()}")
    whole = trunc(x)
    infinite = EQ(ABS(x), scalar(math.inf, x.dtype))
    nothing = copysign(scalar(0, x.dtype), x)
    return basis.select(infinite, nothing, SUB(x, whole)), whole


def isscalar(element: Any) -> bool:
    """Whether an object is a number or an array without dimensions.

    >>> import ferax.numpy as jnp
    >>> jnp.isscalar(1.5), jnp.isscalar(jnp.array(1)), jnp.isscalar([1])
    (True, True, False)
    """
    if isinstance(element, (Array, np.ndarray)) or hasattr(element, "__jax_array__"):
        return not element.shape
    return np.isscalar(element)
