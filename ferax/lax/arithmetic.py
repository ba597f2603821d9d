"""Arithmetic, rounding and comparison, elementwise.

Operations broadcast as NumPy does; the public functions of `lax` are stricter (`operands.py`).

What is subtle. Integers are XLA's: division truncates toward zero, x / 0 = -1 (all bits set) and
x rem 0 = x. The larger of two complex numbers is the one with the larger real part, then the
larger imaginary part. At ties `max` and `min` give each operand half of the derivative; `clamp`
gives none at its bounds; d|x|/dx = sign x, which is 0 at 0.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.avals import Aval, Zero
from ferax.core.basis import (
    ADD,
    FLOATING,
    MUL,
    NEG,
    NUMERIC,
    ORDERED,
    REAL,
    SUB,
    Binary,
    Discrete,
    Elementwise,
    Kinds,
    Unary,
)
from ferax.core.primitive import cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.operands import ArrayLike, adapted, narrowed, pair, scalar
from ferax.lax.representation import AND, COMPLEX, CONJ, IMAG_PART, REAL_PART

__all__ = [
    "RoundingMethod", "abs", "add", "ceil", "clamp", "div", "eq", "floor", "ge", "gt",
    "is_finite", "le", "lt", "max", "min", "mul", "ne", "neg", "rem", "round", "sign",
    "square", "sub",
    # operations
    "Abs", "Ceil", "Clamp", "Div", "Eq", "Floor", "Ge", "Gt", "IsFinite", "Le", "Lt", "Max",
    "Min", "Ne", "Rem", "Round", "Sign", "Square",
]  # fmt: skip

_BOOL = np.dtype(np.bool_)
_EQUATABLE = Kinds(  # the carrier of keys of four words has no equality of bits
    "numbers, bool or keys of two words",
    lambda d: not dtypes.is_key(d) or d.words == 2,
)
_COMPARABLE = Kinds(
    "bool, integer or floating",
    lambda d: not (dtypes.is_complex(d) or dtypes.is_key(d)),
)


# -- sums and products -----------------------------------------------------------------------


@public
def add(x: ArrayLike, y: ArrayLike) -> Array:
    """x + y, of one numeric dtype.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.add(jnp.arange(3.0), 1.0)
    Array([1., 2., 3.], dtype=float32)
    """
    return ADD(*pair("add", x, y))


@public
def sub(x: ArrayLike, y: ArrayLike) -> Array:
    """x - y, of one numeric dtype; unsigned integers wrap around."""
    return SUB(*pair("sub", x, y))


@public
def mul(x: ArrayLike, y: ArrayLike, *, out_dtype: Any = None) -> Array:
    """x y, of one numeric dtype.

    Args:
      x, y: numeric, shapes that broadcast.
      out_dtype: the operands are converted to this dtype first.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> x = jnp.array([200, 3], dtype="uint8")
    >>> lax.mul(x, x), lax.mul(x, x, out_dtype="int32")
    (Array([64,  9], dtype=uint8), Array([40000,     9], dtype=int32))
    """
    x, y = pair("mul", x, y)
    if out_dtype is not None:
        dtype = dtypes.canonical(out_dtype)
        x, y = basis.convert(x, dtype), basis.convert(y, dtype)
    return MUL(x, y)


@public
def neg(x: ArrayLike) -> Array:
    """-x, numeric; unsigned integers wrap around."""
    return NEG(to_array(x, "neg", "x"))


class Div(Elementwise):
    """z = x / y; of integers truncated toward zero, -1 (all bits) for y = 0."""

    accepts, mnemonic = NUMERIC, "divide"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        if x.dtype.kind in "fc" or dtypes.is_inexact(x.dtype):
            return [np.divide(x, y)]
        if y.ndim == 0 and y > 0 and dtypes.is_unsigned(x.dtype):
            return [np.floor_divide(x, y)]
        dtype = x.dtype
        if dtypes.itemsize_bits(dtype) < 8:
            x, y = x.astype(np.int8), y.astype(np.int8)
        # the difference is a multiple of y, so that floor and truncation agree
        quotient = np.floor_divide(x - np.fmod(x, y), y)
        return [np.where(y == 0, np.array(-1).astype(x.dtype), quotient).astype(dtype)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        t: Any = Zero(z.aval.tangent())
        if type(tx) is not Zero:
            t = basis.broadcast_to(self(tx, y), z.shape)
        if type(ty) is not Zero:
            part = self(MUL(NEG(ty), z), y)
            t = part if type(t) is Zero else ADD(t, part)
        return [z], [t]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, y) = cts, args
        return [basis.unbroadcast(self(ct, y), x), None]


DIV = Div()


@public
def div(x: ArrayLike, y: ArrayLike) -> Array:
    """x / y, of one numeric dtype; integers are truncated toward zero.

    An integer divided by 0 is -1 (for unsigned types: the largest number).

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.div(jnp.array([7, -7, 7]), jnp.array([2, 2, 0]))
    Array([ 3, -3, -1], dtype=int32)
    """
    return DIV(*pair("div", x, y))


class Rem(Binary):
    """z = x - y trunc(x / y): the remainder has the sign of x; x for an integer y = 0."""

    accepts, mnemonic = REAL, "remainder"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        z = narrowed(np.fmod(x, y), x)
        return [np.where(y == 0, x, z) if dtypes.is_integer(x.dtype) else z]

    def derivative_x(self, x: Any, y: Any, z: Any) -> Any:
        return basis.ones_like(x)

    def derivative_y(self, x: Any, y: Any, z: Any) -> Any:
        quotient = DIV(x, y)
        return NEG(MUL(SIGN(quotient), FLOOR(ABS(quotient))))


REM = Rem()


@public
def rem(x: ArrayLike, y: ArrayLike) -> Array:
    """The remainder x - y trunc(x / y), real; it has the sign of x, as C's `%` and fmod.

    An integer x rem 0 is x; a floating one is nan.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.rem(jnp.array([7, -7, 7]), jnp.array([3, 3, 0]))
    Array([ 1, -1,  7], dtype=int32)
    """
    return REM(*pair("rem", x, y))


# -- sign and size ---------------------------------------------------------------------------

_MAGNITUDE = Kinds(
    "signed integer, floating or complex",
    lambda d: dtypes.is_signed(d) or dtypes.is_inexact(d),
)


class Abs(Unary):
    """y = |x|, of complex x its modulus."""

    accepts, mnemonic = _MAGNITUDE, "abs"

    def result_dtype(self, *of: Any) -> Any:
        return dtypes.to_real(of[0])

    def numpy(self, x: Any) -> list[Any]:
        return [narrowed(np.abs(x), x) if x.dtype.kind != "c" else np.abs(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return SIGN(x)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        if not dtypes.is_complex(x.dtype) or type(t) is Zero:
            return super().jvp(primals, tangents)
        return [self(x)], [REAL_PART(MUL(CONJ(SIGN(x)), t))]


ABS = Abs()


@public
def abs(x: ArrayLike) -> Array:
    """|x|, of a signed dtype; of complex x the modulus, which is real. d|x|/dx(0) = 0.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.abs(jnp.array([3 + 4j, -1j]))
    Array([5., 1.], dtype=float32)
    """
    return ABS(to_array(x, "abs", "x"))


class Sign(Unary):
    """y = x / |x|, and 0 at 0."""

    accepts, mnemonic = NUMERIC, "sign"

    def numpy(self, x: Any) -> list[Any]:
        return [narrowed(np.sign(x), x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_unsigned(x.dtype):
            return [hlo.convert(hlo.compare(x, hlo.zero(x), "NE"), x.dtype)]
        return [hlo.unary("sign", x)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if not dtypes.is_complex(x.dtype) or type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        # only the part of t across x turns it: i y Im(conj(y) t) / |x|
        size = ABS(x)
        zero = scalar(0, size)
        divisor = basis.select(EQ(size, zero), 1.0, size)
        across = COMPLEX(DIV(IMAG_PART(MUL(CONJ(y), t)), divisor), zero)
        return [y], [MUL(MUL(y, scalar(1j, x)), across)]


SIGN = Sign()


@public
def sign(x: ArrayLike) -> Array:
    """The sign of x, numeric: -1, 0 or 1, nan of nan; of complex x, x / |x|.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.sign(jnp.array([-2.5, 0.0, jnp.nan]))
    Array([-1.,  0., nan], dtype=float32)
    """
    return SIGN(to_array(x, "sign", "x"))


# -- rounding --------------------------------------------------------------------------------


class RoundingMethod(enum.IntEnum):
    """Where `round` takes numbers halfway between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class Floor(Discrete):
    """y = the largest integer ≤ x."""

    accepts, mnemonic = FLOATING, "floor"

    def numpy(self, x: Any) -> list[Any]:
        return [np.floor(x)]


FLOOR = Floor()


@public
def floor(x: ArrayLike) -> Array:
    """The largest integer ≤ x, floating; its derivative is 0."""
    return FLOOR(to_array(x, "floor", "x"))


class Ceil(Discrete):
    """y = the smallest integer ≥ x."""

    accepts, mnemonic = FLOATING, "ceil"

    def numpy(self, x: Any) -> list[Any]:
        return [np.ceil(x)]


@public
def ceil(x: ArrayLike) -> Array:
    """The smallest integer ≥ x, floating; its derivative is 0."""
    return Ceil()(to_array(x, "ceil", "x"))


class Round(Discrete):
    """y = the integer nearest to x."""

    rounding_method: RoundingMethod
    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        if self.rounding_method == RoundingMethod.TO_NEAREST_EVEN:
            return [np.rint(x)]
        # the number before 1/2: adding 1/2 itself would round up what lies just below it
        half = np.nextafter(x.dtype.type(0.5), x.dtype.type(0.0))
        return [np.trunc(x + np.copysign(half, x))]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        even = self.rounding_method == RoundingMethod.TO_NEAREST_EVEN
        return [hlo.unary("round_nearest_even" if even else "round_nearest_afz", x)]


@public
def round(
    x: ArrayLike, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO
) -> Array:
    """The integer nearest to x, floating; its derivative is 0.

    Args:
      x: floating.
      rounding_method: for numbers halfway between two integers.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> x = jnp.array([0.5, 1.5, 2.5])
    >>> lax.round(x), lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    (Array([1., 2., 3.], dtype=float32), Array([0., 2., 2.], dtype=float32))
    """
    return Round(RoundingMethod(rounding_method))(to_array(x, "round", "x"))


class IsFinite(Discrete):
    """y = x is neither infinite nor nan."""

    accepts, mnemonic = FLOATING, "is_finite"
    keeps_weak_type = False

    def result_dtype(self, *of: Any) -> Any:
        return _BOOL

    def numpy(self, x: Any) -> list[Any]:
        return [np.isfinite(x)]


@public
def is_finite(x: ArrayLike) -> Array:
    """Whether x, floating, is neither infinite nor nan: bool.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.is_finite(jnp.array([1.0, -jnp.inf, jnp.nan]))
    Array([ True, False, False], dtype=bool)
    """
    return IsFinite()(to_array(x, "is_finite", "x"))


# -- powers and roots ------------------------------------------------------------------------


class Square(Unary):
    """y = x²"""

    accepts = NUMERIC

    def numpy(self, x: Any) -> list[Any]:
        return [narrowed(np.square(x), x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.binary("multiply", x, x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.mul(x, 2)


SQUARE = Square()


@public
def square(x: ArrayLike) -> Array:
    """x², numeric."""
    return SQUARE(to_array(x, "square", "x"))


# -- the larger and the smaller --------------------------------------------------------------


class _Extremum(Binary, family=True):
    """z is x or y; at ties each has half of the derivative."""

    accepts = ORDERED

    def chosen(self, hlo: Any, x: Any, y: Any) -> Any:
        if not dtypes.is_complex(x.dtype):
            return hlo.binary(self.mnemonic, x, y)
        (xr, xi), (yr, yi) = _parts(hlo, x), _parts(hlo, y)
        direction = "GT" if self.mnemonic == "maximum" else "LT"
        first = hlo.compare(xr, yr, direction)
        tied = hlo.binary(
            "and", hlo.compare(xr, yr, "EQ"), hlo.compare(xi, yi, direction)
        )
        nan = hlo.compare(x, x, "NE")
        return hlo.select(hlo.binary("or", hlo.binary("or", first, tied), nan), x, y)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return [self.chosen(hlo, *hlo.broadcast_operands(*values))]

    def share(self, mine: Any, other: Any) -> Any:
        # z is not asked: compiled, it may differ from both operands in the last bit
        if dtypes.is_complex(mine.dtype):
            wins: Any = EQ(self(mine, other), mine)
        else:
            wins = (GT if self.mnemonic == "maximum" else LT)(mine, other)
        whole = basis.select(wins, scalar(1, mine), 0.0)
        return basis.select(EQ(mine, other), 0.5, whole)

    def derivative_x(self, x: Any, y: Any, z: Any) -> Any:
        return self.share(x, y)

    def derivative_y(self, x: Any, y: Any, z: Any) -> Any:
        return self.share(y, x)


def _parts(hlo: Any, x: Any) -> tuple[Any, Any]:
    real = Aval(x.shape, dtypes.to_real(x.dtype))
    return hlo.emit("real", (x,), real), hlo.emit("imag", (x,), real)


class Max(_Extremum):
    """z = the larger of x and y; nan if either is."""

    mnemonic = "maximum"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.maximum(x, y), x)]


class Min(_Extremum):
    """z = the smaller of x and y; nan if either is."""

    mnemonic = "minimum"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.minimum(x, y), x)]


MAX, MIN = Max(), Min()


@public
def max(x: ArrayLike, y: ArrayLike) -> Array:
    """The larger of x and y, of one dtype (bool too); nan if either is.

    Complex numbers are ordered by their real parts, then by their imaginary parts. Where both
    are equal, each has half of the derivative.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.max(jnp.array([1.0, 2.0, jnp.nan]), 1.5)
    Array([1.5, 2. , nan], dtype=float32)
    """
    return MAX(*pair("max", x, y))


@public
def min(x: ArrayLike, y: ArrayLike) -> Array:
    """The smaller of x and y, of one dtype; see `max`."""
    return MIN(*pair("min", x, y))


class Clamp(Elementwise):
    """y = min(max(x, low), high); operands low, x, high."""

    accepts = _COMPARABLE

    def numpy(self, low: Any, x: Any, high: Any) -> list[Any]:
        return [narrowed(np.minimum(np.maximum(x, low), high), x)]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        low, x, high = hlo.broadcast_operands(*values)
        return [hlo.emit("clamp", (low, x, high), x.aval)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        low, x, high = primals
        y = self(low, x, high)
        masks = (LT(x, low), AND(LT(low, x), LT(x, high)), LT(high, x))
        total: Any = Zero(y.aval.tangent())
        for mask, t in zip(masks, tangents):
            if type(t) is not Zero:
                part = basis.broadcast_to(basis.select(mask, t, 0), y.shape)
                total = basis.add_tangents(total, part)
        return [y], [total]

    transpose = cannot("not linear")


CLAMP = Clamp()


@public
def clamp(min: ArrayLike, x: ArrayLike, max: ArrayLike) -> Array:
    """x limited to [min, max]: min(max(x, min), max), so that max wins where min > max.

    Args:
      min, max: of the dtype of x; scalars or of its shape.
      x: any dtype; complex numbers are ordered as in `max`.

    The derivative by x is 1 strictly inside of the bounds and 0 at them.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.clamp(0.0, jnp.array([-1.0, 0.5, 7.0]), 1.0)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    low, x, high = adapted("clamp", min, x, max)
    for name, bound in (("min", low), ("max", high)):
        if bound.shape not in ((), x.shape):
            raise TypeError(
                f"clamp: {name} is {bound.aval.short()}; it must be a scalar or have the shape "
                f"of x, {x.aval.short()}"
            )
    if dtypes.is_complex(x.dtype):
        return MIN(MAX(x, low), high)
    return CLAMP(low, x, high)


# -- comparison ------------------------------------------------------------------------------


class _Comparison(Discrete, family=True):
    """A truth value for each pair of elements."""

    accepts = _COMPARABLE
    keeps_weak_type = False
    direction: ClassVar[str]

    def result_dtype(self, *of: Any) -> Any:
        return _BOOL

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return [hlo.compare(*hlo.broadcast_operands(*values), self.direction)]


class Eq(_Comparison):
    """z = (x = y)"""

    accepts, direction = _EQUATABLE, "EQ"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.equal(x, y)]


class Ne(_Comparison):
    """z = (x ≠ y)"""

    accepts, direction = _EQUATABLE, "NE"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.not_equal(x, y)]


class Lt(_Comparison):
    """z = (x < y)"""

    direction = "LT"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.less(x, y)]


class Le(_Comparison):
    """z = (x ≤ y)"""

    direction = "LE"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.less_equal(x, y)]


class Gt(_Comparison):
    """z = (x > y)"""

    direction = "GT"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.greater(x, y)]


class Ge(_Comparison):
    """z = (x ≥ y)"""

    direction = "GE"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.greater_equal(x, y)]


EQ, NE, LT, LE, GT, GE = Eq(), Ne(), Lt(), Le(), Gt(), Ge()


@public
def eq(x: ArrayLike, y: ArrayLike) -> Array:
    """x = y, of one dtype (random keys too): bool; nan equals nothing.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.eq(jnp.array([1.0, jnp.nan]), jnp.array([1.0, jnp.nan]))
    Array([ True, False], dtype=bool)
    """
    return EQ(*pair("eq", x, y))


@public
def ne(x: ArrayLike, y: ArrayLike) -> Array:
    """x ≠ y, of one dtype (random keys too): bool; nan differs from everything."""
    return NE(*pair("ne", x, y))


@public
def lt(x: ArrayLike, y: ArrayLike) -> Array:
    """x < y, of one real dtype or bool: bool; False for nan."""
    return LT(*pair("lt", x, y))


@public
def le(x: ArrayLike, y: ArrayLike) -> Array:
    """x ≤ y, of one real dtype or bool: bool; False for nan."""
    return LE(*pair("le", x, y))


@public
def gt(x: ArrayLike, y: ArrayLike) -> Array:
    """x > y, of one real dtype or bool: bool; False for nan."""
    return GT(*pair("gt", x, y))


@public
def ge(x: ArrayLike, y: ArrayLike) -> Array:
    """x ≥ y, of one real dtype or bool: bool; False for nan."""
    return GE(*pair("ge", x, y))
