"""Arithmetic, comparisons, logic and bits, elementwise with NumPy's promotion.

Each function is its operation after promotion; broadcasting is the operation's own, so that
`a[3, 1] + b[4]` is one equation. The functions whose `reduce`, `accumulate`, … people use are
`ufunc` objects. Transcendental functions, complex parts and the anatomy of floating point are in
`elementary.py`.

Integers follow two's complement and wrap; their quotient and remainder by zero are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.keys import WIDE_KEYS, same_keys
from ferax.lax.looping import while_loop
from ferax.lax.reduction import ReduceAnd
from ferax.numpy.operations import (
    ABS,
    ADD,
    AND,
    BOOL,
    DIV,
    EQ,
    EVEN,
    GE,
    GT,
    LE,
    LT,
    MAX,
    MIN,
    MUL,
    NE,
    NEG,
    NOT,
    OR,
    POW,
    REM,
    SQUARE,
    SUB,
    XOR,
    at_once,
    scalar,
)
from ferax.numpy.promoting import (
    ArrayLike,
    as_bool,
    cast,
    inexact,
    numeric,
    operand,
    pair,
    pair_inexact,
    promote,
    strong_scalar,
)
from ferax.numpy.universal import ufunc

_INT32 = np.dtype(np.int32)  # what bools become where they count
_SIGN = el.Sign()


# -- arithmetic ----------------------------------------------------------------------------


@public
def _add(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x + y; for bools, x or y. Operands broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.add(jnp.arange(3), 0.5)
    Array([0.5, 1.5, 2.5], dtype=float32, weak_type=True)
    """
    x, y = pair("add", x, y)
    return OR(x, y) if x.aval.dtype is BOOL else ADD(x, y)


add = ufunc(_add, 2, 1, name="add", identity=0)


@public
def _subtract(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x - y. Not for bools.

    >>> import ferax.numpy as jnp
    >>> jnp.subtract(jnp.arange(3), 1)
    Array([-1,  0,  1], dtype=int32)
    """
    return SUB(*pair("subtract", x, y))


subtract = ufunc(_subtract, 2, 1, name="subtract")


@public
def _multiply(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x y; for bools, x and y. Operands broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.multiply(jnp.arange(3)[:, None], jnp.arange(3))
    Array([[0, 0, 0],
           [0, 1, 2],
           [0, 2, 4]], dtype=int32)
    """
    x, y = pair("multiply", x, y)
    return AND(x, y) if x.aval.dtype is BOOL else MUL(x, y)


multiply = ufunc(_multiply, 2, 1, name="multiply", identity=1)


@public
def _negative(x: ArrayLike, /) -> Array:
    """-x. Not for bools; unsigned integers wrap."""
    return NEG(operand("negative", x))


negative = ufunc(_negative, 1, 1, name="negative")


@public
def true_divide(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 / x2, floating or complex; integers become floating.

    >>> import ferax.numpy as jnp
    >>> jnp.true_divide(jnp.array([1, 2]), 4)
    Array([0.25, 0.5 ], dtype=float32)
    """
    return DIV(*pair_inexact("true_divide", x1, x2))


divide = true_divide


@public
def floor_divide(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """⌊x1 / x2⌋ in the promoted dtype; not for complex numbers.

    >>> import ferax.numpy as jnp
    >>> jnp.floor_divide(jnp.array([7, -7]), 2)
    Array([ 3, -4], dtype=int32)
    """
    x, y = _divisible("floor_divide", x1, x2)
    return _floor_divide(x, y)


def _divisible(who: str, x1: Any, x2: Any) -> tuple[Any, Any]:
    """Promoted operands of an integer division; bools become int32."""
    x, y = pair(who, x1, x2)
    dtype = x.aval.dtype
    if dtype is BOOL:
        whole = _INT32
        return cast(x, whole), cast(y, whole)
    if dtypes.is_complex(dtype):
        raise TypeError(
            f"{who} does not support complex-valued inputs; got {x.aval.short()}"
        )
    return x, y


def _floor_divide(x: Any, y: Any) -> Any:
    known = at_once(np.floor_divide, x, y)
    if known is not None:
        return known
    dtype = x.aval.dtype
    zero, by_zero = scalar(0, dtype), None
    if not _known_divisor(y):
        by_zero = EQ(y, zero)
    if dtypes.is_unsigned(dtype):
        quotient = DIV(x, y)
    else:
        rest = REM(x, y)
        if dtypes.is_integer(dtype):
            quotient = DIV(x, y)
        else:
            whole = SUB(x, rest)  # a multiple of y, but for rounding; x / 0 is infinite
            quotient = EVEN(DIV(basis.select(by_zero, x, whole) if by_zero is not None else whole,
                                y))  # fmt: skip
        # truncation rounds up where a remainder has not the sign of the divisor
        one_more = basis.convert(_wrong_side(rest, y), dtype, rest.aval.weak_type)
        quotient = SUB(quotient, one_more)
    if by_zero is None or not dtypes.is_integer(dtype):
        return quotient
    return basis.select(by_zero, zero, quotient)


def _wrong_side(rest: Any, y: Any) -> Any:
    """Whether a remainder is not zero and has the other sign than the divisor."""
    zero = scalar(0, y.aval.dtype)
    known = _known_divisor(y)
    if known:
        return LT(rest, zero) if known > 0 else GT(rest, zero)
    return AND(NE(LT(rest, zero), LT(y, zero)), NE(rest, zero))


@public
def remainder(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 - x2 ⌊x1 / x2⌋: the remainder with the sign of the divisor (0 for an integer 0).

    >>> import ferax.numpy as jnp
    >>> jnp.remainder(jnp.array([7, -7]), 4)
    Array([3, 1], dtype=int32)
    """
    return _mod(*_divisible("remainder", x1, x2))


mod = remainder


def _mod(x: Any, y: Any) -> Any:
    known = at_once(np.remainder, x, y)
    if known is not None:
        return known
    dtype = x.aval.dtype
    if dtypes.is_integer(dtype):
        y = _nonzero(y)
        if dtypes.is_unsigned(dtype):
            return REM(x, y)
    rest = REM(x, y)
    return basis.select(_wrong_side(rest, y), ADD(rest, y), rest)


def _known_divisor(y: Any) -> Any:
    """The value of a divisor that is one known number; 0 otherwise (and for nan)."""
    if type(y) is not Concrete or y.aval.shape:
        return 0
    value = y.item()
    return value if value == value else 0


def _nonzero(y: Any) -> Any:
    """y with 1 for 0: the remainder of a division by 0 is 0."""
    if _known_divisor(y):
        return y
    dtype = y.aval.dtype
    return basis.select(EQ(y, scalar(0, dtype)), scalar(1, dtype), y)


@public
def divmod(x1: ArrayLike, x2: ArrayLike, /) -> tuple[Array, Array]:
    """(floor_divide(x1, x2), remainder(x1, x2)).

    >>> import ferax.numpy as jnp
    >>> jnp.divmod(jnp.array([7, -7]), 4)
    (Array([ 1, -2], dtype=int32), Array([3, 1], dtype=int32))
    """
    x, y = _divisible("divmod", x1, x2)
    return _floor_divide(x, y), _mod(x, y)


@public
def fmod(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The remainder of truncating division: it has the sign of x1 (0 for an integer 0)."""
    x, y = _divisible("fmod", x1, x2)
    return REM(x, _nonzero(y) if dtypes.is_integer(x.aval.dtype) else y)


@public
def power(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 to the power x2, in the promoted dtype.

    A Python integer as exponent gives repeated multiplication, exact derivatives at 0 included;
    an integer base with a negative one is a TypeError.

    >>> import ferax.numpy as jnp
    >>> jnp.power(jnp.array([1., 2., 3.]), 2)
    Array([1., 4., 9.], dtype=float32)
    """
    if type(x2) is int or isinstance(x2, np.integer):
        return _integer_power(x1, int(x2))
    x, y = operand("power", x1, 0), operand("power", x2, 1)
    if dtypes.is_integer(y.dtype) and dtypes.is_inexact(x.dtype) and not y.weak_type:
        return POW(x, y)  # the exponent's own type: lim x^n at x = 0 has its derivative
    x, y = promote("power", x, y)
    if x.dtype is BOOL:
        whole = _INT32
        x, y = cast(x, whole), cast(y, whole)
    return _power_of_integers(x, y) if dtypes.is_integer(x.dtype) else POW(x, y)


pow = power


def _integer_power(base: Any, exponent: int) -> Any:
    x = operand("power", base)
    if x.aval.dtype is BOOL:
        x = cast(x, _INT32)
    if exponent == 2:
        return SQUARE(x)
    if exponent == 1:
        return x
    if exponent == 0:
        return basis.broadcast_to(scalar(1, x.dtype) if x.weak_type else strong_scalar(1, x.dtype),
                                  x.shape)  # fmt: skip
    if exponent < 0 and dtypes.is_integer(x.aval.dtype):
        raise TypeError(
            "power: integers cannot be raised to negative powers; got "
            f"{x.aval.short()} to the power {exponent}. Convert first: x.astype(float)."
        )
    return el.IntegerPow(exponent)(x)


def _power_of_integers(x: Any, y: Any) -> Any:
    """x^y by squaring, over the bits of y."""
    dtype = x.dtype
    one, zero = scalar(1, dtype), scalar(0, dtype)
    out = basis.broadcast_to(
        strong_scalar(1, dtype), shapes.broadcast_shapes(x.shape, y.shape, who="power")
    )
    bits = (
        6 if dtypes.itemsize_bits(dtype) == 64 else 5
    )  # x^64 of |x| > 1 is 0 modulo 2^64
    for _ in range(bits + 1):
        out = basis.select(NE(AND(y, one), zero), MUL(out, x), out)
        x = SQUARE(x)
        y = el.ShiftRightLogical()(y, one)
    return out


@public
def float_power(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x to the power y in floating point, integers included.

    >>> import ferax.numpy as jnp
    >>> jnp.float_power(jnp.array([1, 2]), -1)
    Array([1. , 0.5], dtype=float32)
    """
    return POW(*pair_inexact("float_power", x, y))


@public
def reciprocal(x: ArrayLike, /) -> Array:
    """1 / x; integers become floating (NumPy divides them as integers)."""
    x = inexact("reciprocal", x)
    return DIV(scalar(1, x.dtype), x)


@public
def square(x: ArrayLike, /) -> Array:
    """x², in the dtype of x (bools become integers)."""
    x = operand("square", x)
    if x.aval.dtype is BOOL:
        x = cast(x, _INT32)
    return SQUARE(x)


@public
def absolute(x: ArrayLike, /) -> Array:
    """|x|: real also for complex x; bools and unsigned integers as they are.

    >>> import ferax.numpy as jnp
    >>> jnp.absolute(jnp.array([3 + 4j, -1]))
    Array([5., 1.], dtype=float32)
    """
    x = operand("absolute", x)
    dtype = x.aval.dtype
    return x if dtype is BOOL or dtypes.is_unsigned(dtype) else ABS(x)


abs = absolute


@public
def fabs(x: ArrayLike, /) -> Array:
    """|x| in floating point. Raises TypeError for complex x."""
    x = inexact("fabs", x)
    if dtypes.is_complex(x.dtype):
        raise TypeError(
            f"fabs does not support complex numbers; got {x.aval.short()}. Use abs."
        )
    return ABS(x)


@public
def sign(x: ArrayLike, /) -> Array:
    """-1, 0 or 1 as x is negative, zero or positive; x / |x| for complex x; nan for nan."""
    return _SIGN(operand("sign", x))


@public
def positive(x: ArrayLike, /) -> Array:
    """x itself."""
    return operand("positive", x)


# -- extrema -------------------------------------------------------------------------------


@public
def _maximum(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The larger of x and y; nan where either is nan. d max/dx = 1/2 where x = y.

    >>> import ferax.numpy as jnp
    >>> jnp.maximum(jnp.array([1., jnp.nan, 3.]), 2)
    Array([ 2., nan,  3.], dtype=float32)
    """
    return MAX(*pair("maximum", x, y))


maximum = ufunc(_maximum, 2, 1, name="maximum")


@public
def _minimum(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The smaller of x and y; nan where either is nan. d min/dx = 1/2 where x = y."""
    return MIN(*pair("minimum", x, y))


minimum = ufunc(_minimum, 2, 1, name="minimum")


@public
def fmax(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The larger of x1 and x2; the other one where one is nan."""
    x, y = pair("fmax", x1, x2)
    known = at_once(np.fmax, x, y)
    if known is not None:
        return known
    return basis.select(OR(_ordered(GT, x, y), NE(y, y)), x, y)


@public
def fmin(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The smaller of x1 and x2; the other one where one is nan."""
    x, y = pair("fmin", x1, x2)
    known = at_once(np.fmin, x, y)
    if known is not None:
        return known
    return basis.select(OR(_ordered(LT, x, y), NE(y, y)), x, y)


@public
def clip(
    arr: ArrayLike | None = None, /, min: ArrayLike | None = None,
    max: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """minimum(maximum(arr, min), max); a bound that is None does not bind.

    Raises ValueError for complex numbers.

    >>> import ferax.numpy as jnp
    >>> jnp.clip(jnp.arange(5), 1, 3)
    Array([1, 1, 2, 3, 3], dtype=int32)
    """
    if arr is None:
        raise ValueError("clip: no array was given; call jnp.clip(x, min, max)")
    x = operand("clip", arr)
    for bound in (x, min, max):
        if bound is not None and iscomplexobj(bound):
            raise ValueError(
                "clip: complex numbers have no order and cannot be clipped. Take the real or "
                "imaginary part or the absolute value first."
            )
    if min is not None:
        x = MAX(*pair("clip", min, x))
    if max is not None:
        x = MIN(*pair("clip", max, x))
    return x


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype of x (an array or a number) is complex."""
    if type(x) in dtypes.SCALAR_AVALS:
        return type(x) is complex
    dtype = getattr(x, "dtype", None)
    return dtypes.is_complex(np.asarray(x).dtype if dtype is None else dtype)


# -- comparisons ---------------------------------------------------------------------------


@public
def equal(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x == y as bools; nan equals nothing.

    >>> import ferax.numpy as jnp
    >>> jnp.equal(jnp.arange(3), jnp.array([0., 5., 2.]))
    Array([ True, False,  True], dtype=bool)
    """
    x, y = pair("equal", x, y)
    return same_keys(x, y) if x.dtype in WIDE_KEYS else EQ(x, y)


@public
def not_equal(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x != y as bools; nan differs from everything."""
    x, y = pair("not_equal", x, y)
    return bitwise_not(same_keys(x, y)) if x.dtype in WIDE_KEYS else NE(x, y)


def _ordered(op: Any, x: Any, y: Any) -> Any:
    """A comparison; of complex numbers by real, then imaginary part."""
    if not dtypes.is_complex(x.aval.dtype):
        return op(x, y)
    (a, b), (c, d) = ((el.Real()(z), el.Imag()(z)) for z in (x, y))
    return basis.select(EQ(a, c), op(b, d), op(a, c))


@public
def less(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x < y as bools; complex numbers are ordered by real, then imaginary part."""
    return _ordered(LT, *pair("less", x, y))


@public
def less_equal(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x <= y as bools; complex numbers are ordered by real, then imaginary part."""
    return _ordered(LE, *pair("less_equal", x, y))


@public
def greater(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x > y as bools; complex numbers are ordered by real, then imaginary part."""
    return _ordered(GT, *pair("greater", x, y))


@public
def greater_equal(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x >= y as bools; complex numbers are ordered by real, then imaginary part."""
    return _ordered(GE, *pair("greater_equal", x, y))


@public
def array_equal(a1: ArrayLike, a2: ArrayLike, equal_nan: bool = False) -> Array:
    """Whether two arrays have one shape and equal elements (nan = nan if `equal_nan`).

    >>> import ferax.numpy as jnp
    >>> jnp.array_equal(jnp.arange(3), jnp.array([0, 1, 2.]))
    Array(True, dtype=bool)
    """
    try:
        x, y = to_array(_sequence(a1)), to_array(_sequence(a2))
    except (TypeError, ValueError):
        return to_array(np.asarray(False))
    if x.shape != y.shape:
        return to_array(np.asarray(False))
    return _all(_equal_or_nan(x, y, equal_nan))


def _sequence(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (list, tuple)) else x


def _equal_or_nan(x: Any, y: Any, equal_nan: bool) -> Any:
    x, y = pair("array_equal", x, y)
    same = equal(x, y)
    if equal_nan and dtypes.is_inexact(x.dtype):
        same = OR(same, AND(NE(x, x), NE(y, y)))
    return same


def _all(x: Any) -> Any:
    """Whether every element of a bool array is True."""
    return ReduceAnd(tuple(range(x.ndim)))(basis.convert(x, BOOL))


@public
def array_equiv(a1: ArrayLike, a2: ArrayLike) -> Array:
    """Whether two arrays are equal after broadcasting.

    >>> import ferax.numpy as jnp
    >>> jnp.array_equiv(jnp.ones((2, 2)), 1)
    Array(True, dtype=bool)
    """
    try:
        x, y = pair("array_equiv", _sequence(a1), _sequence(a2))
        np.broadcast_shapes(x.shape, y.shape)
    except (TypeError, ValueError):
        return to_array(np.asarray(False))
    return _all(EQ(x, y))


@public
def isclose(
    a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08,
    equal_nan: bool = False,
) -> Array:  # fmt: skip
    """|a - b| <= atol + rtol |b|, elementwise; infinities are close to themselves only.

    >>> import ferax.numpy as jnp
    >>> jnp.isclose(jnp.array([1e6, 1., jnp.nan]), jnp.array([1e6 + 1, 1.1, jnp.nan]))
    Array([ True, False, False], dtype=bool)
    """
    x, y = promote("isclose", a, b)
    dtype = x.dtype
    if dtypes.is_inexact(dtype):
        if type(rtol) is float and type(atol) is float:
            known = at_once(_near(rtol, atol, equal_nan), x, y, dtype=BOOL)
            if known is not None:
                return known
        real = dtypes.to_real(dtype)
        margin = ADD(
            cast(operand("isclose", atol, 3), real),
            MUL(cast(operand("isclose", rtol, 2), real), ABS(y)),
        )
        near = AND(LE(ABS(SUB(x, y)), margin), _finite(y))
        return basis.convert(OR(near, _equal_or_nan(x, y, equal_nan)), BOOL)
    if dtype is BOOL:
        return basis.convert(EQ(x, y), BOOL)
    real = dtypes.canonical(np.dtype(np.float64))
    if dtypes.itemsize_bits(dtype) < 32:
        x, y = cast(x, _INT32), cast(y, _INT32)
    gap = SUB(MAX(x, y), MIN(x, y))
    if dtypes.is_signed(
        x.dtype
    ):  # where it overflows it is right as an unsigned number
        gap = basis.convert(gap, np.dtype(f"u{x.dtype.name}"))
    gap, size = cast(gap, real), ABS(cast(y, real))
    margin = ADD(
        cast(operand("isclose", atol, 3), real),
        MUL(cast(operand("isclose", rtol, 2), real), size),
    )
    return basis.convert(LE(gap, margin), BOOL)


def _near(rtol: float, atol: float, equal_nan: bool) -> Any:
    """`isclose` of NumPy arrays of one inexact dtype."""

    def near(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        out = np.abs(x - y) <= atol + rtol * np.abs(y)
        out = (out & np.isfinite(y)) | (x == y)
        return out | ((x != x) & (y != y)) if equal_nan else out

    return near


def _finite(x: Any) -> Any:
    if dtypes.is_complex(x.dtype):
        return AND(_finite(el.Real()(x)), _finite(el.Imag()(x)))
    return el.IsFinite()(x)


@public
def allclose(
    a: ArrayLike, b: ArrayLike, rtol: ArrayLike = 1e-05, atol: ArrayLike = 1e-08,
    equal_nan: bool = False,
) -> Array:  # fmt: skip
    """Whether all elements are close in the sense of `isclose`."""
    return _all(isclose(a, b, rtol, atol, equal_nan))


# -- logic ---------------------------------------------------------------------------------


@public
def _logical_and(x: ArrayLike, y: ArrayLike, /) -> Array:
    """(x != 0) and (y != 0)"""
    return AND(as_bool("logical_and", x), as_bool("logical_and", y))


@public
def _logical_or(x: ArrayLike, y: ArrayLike, /) -> Array:
    """(x != 0) or (y != 0)"""
    return OR(as_bool("logical_or", x), as_bool("logical_or", y))


@public
def _logical_xor(x: ArrayLike, y: ArrayLike, /) -> Array:
    """(x != 0) differs from (y != 0)"""
    return XOR(as_bool("logical_xor", x), as_bool("logical_xor", y))


@public
def logical_not(x: ArrayLike, /) -> Array:
    """x == 0 as bools"""
    return NOT(as_bool("logical_not", x))


logical_and = ufunc(_logical_and, 2, 1, name="logical_and", identity=True)
logical_or = ufunc(_logical_or, 2, 1, name="logical_or", identity=False)
logical_xor = ufunc(_logical_xor, 2, 1, name="logical_xor", identity=False)


# -- bits ----------------------------------------------------------------------------------


@public
def _bitwise_and(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The bits that x and y both have. Bools and integers."""
    return AND(*pair("bitwise_and", x, y))


@public
def _bitwise_or(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The bits that x or y has. Bools and integers."""
    return OR(*pair("bitwise_or", x, y))


@public
def _bitwise_xor(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The bits that one of x and y has. Bools and integers."""
    return XOR(*pair("bitwise_xor", x, y))


bitwise_and = ufunc(_bitwise_and, 2, 1, name="bitwise_and", identity=-1)
bitwise_or = ufunc(_bitwise_or, 2, 1, name="bitwise_or", identity=0)
bitwise_xor = ufunc(_bitwise_xor, 2, 1, name="bitwise_xor", identity=0)


@public
def bitwise_not(x: ArrayLike, /) -> Array:
    """All bits of x flipped; for bools, not x."""
    return NOT(operand("bitwise_not", x))


bitwise_invert = invert = bitwise_not


def _shiftable(who: str, x: Any, y: Any) -> tuple[Any, Any]:
    x, y = pair(who, x, y)
    if x.aval.dtype is BOOL:
        whole = _INT32
        return cast(x, whole), cast(y, whole)
    return x, y


@public
def left_shift(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x 2^y for integers; 0 where y is at least the width of the dtype.

    >>> import ferax.numpy as jnp
    >>> jnp.left_shift(1, jnp.arange(4))
    Array([1, 2, 4, 8], dtype=int32)
    """
    return el.ShiftLeft()(*_shiftable("left_shift", x, y))


@public
def right_shift(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """⌊x1 / 2^x2⌋ for integers: the sign is kept, unsigned ones are filled with zeros."""
    x, y = _shiftable("right_shift", x1, x2)
    signed = dtypes.is_signed(x.aval.dtype)
    return (el.ShiftRightArithmetic() if signed else el.ShiftRightLogical())(x, y)


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


@public
def bitwise_count(x: ArrayLike, /) -> Array:
    """The number of bits set in |x|, as uint8.

    >>> import ferax.numpy as jnp
    >>> jnp.bitwise_count(jnp.array([0, 7, -8]))
    Array([0, 3, 1], dtype=uint8)
    """
    x = numeric("bitwise_count", x)
    if x.dtype is BOOL:
        return cast(x, np.dtype(np.uint8))
    return basis.convert(el.PopulationCount()(absolute(x)), np.dtype(np.uint8))


# -- integers ------------------------------------------------------------------------------


def _integers(who: str, x1: Any, x2: Any) -> tuple[Any, Any]:
    x, y = pair(who, x1, x2)
    if not dtypes.is_integer(x.dtype):
        raise ValueError(f"{who}: operands must be integers; got {x.aval.short()}")
    return x, y


@public
def gcd(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The greatest common divisor of |x1| and |x2|; gcd(0, n) = |n|.

    >>> import ferax.numpy as jnp
    >>> jnp.gcd(jnp.array([12, 18, 0]), 8)
    Array([4, 2, 8], dtype=int32)
    """
    return _gcd(*_integers("gcd", x1, x2))


def _gcd(x: Any, y: Any) -> Any:
    """Euclid's algorithm on all elements at once, until every remainder is 0."""
    shape, dtype = shapes.broadcast_shapes(x.shape, y.shape, who="gcd"), x.dtype
    zero, one = scalar(0, dtype), scalar(1, dtype)
    x, y = (
        basis.broadcast_to(basis.convert(absolute(a), dtype), shape) for a in (x, y)
    )

    def unfinished(pair_: Any) -> Any:
        return NOT(_all(EQ(pair_[1], zero)))

    def step(pair_: Any) -> Any:
        a, b = pair_
        done = EQ(b, zero)
        rest = REM(a, basis.select(done, one, b))
        return basis.select(done, a, b), basis.select(done, zero, rest)

    # |least integer| overflows, so that remainders may be negative
    return absolute(while_loop(unfinished, step, (x, y))[0])


@public
def lcm(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The least common multiple of |x1| and |x2|; lcm(0, n) = 0.

    >>> import ferax.numpy as jnp
    >>> jnp.lcm(jnp.array([4, 6, 0]), 10)
    Array([20, 30,  0], dtype=int32)
    """
    x, y = _integers("lcm", x1, x2)
    x, y = absolute(x), absolute(y)
    common = _gcd(x, y)
    divisor = basis.select(EQ(common, scalar(0, x.dtype)), scalar(1, x.dtype), common)
    return MUL(x, DIV(y, divisor))
