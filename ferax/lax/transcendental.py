"""Powers, roots, exponentials, logarithms, circular and hyperbolic functions, elementwise.

Results are within a few ulps of the exact ones, eager and compiled. Where XLA's expansion is not
(sinh, cosh; log1p and artanh in float64 on CPUs), the operations are written out in `kernels.py`.
16-bit floats are computed in float32 and rounded once. So `accuracy=` has nothing to choose from;
it is checked and otherwise ignored.

Inverse functions (`Inverse`) state the derivative of what they invert: dy/dx = 1 / (dx/dy). It is
infinite where that is 0: √x at 0, arcsin x at ±1. Powers guard their derivatives where the limit
is 0 although a factor has none: ∂xʸ/∂x = 0 for y = 0, ∂xʸ/∂y = 0 for x = 0 < y.
"""

from __future__ import annotations

import enum
import functools
import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.avals import Aval, Zero
from ferax.core.basis import (
    ADD,
    FLOATING,
    INEXACT,
    MUL,
    NUMERIC,
    Binary,
    Elementwise,
    Unary,
)
from ferax.core.primitive import cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import kernels
from ferax.lax.arithmetic import ABS, DIV, EQ, SQUARE
from ferax.lax.operands import ArrayLike, narrowed, pair, scalar
from ferax.lax.representation import AND

__all__ = [
    "AccuracyMode", "Tolerance", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh",
    "cbrt", "cos", "cosh", "exp", "exp2", "expm1", "integer_pow", "log", "log1p",
    "logistic", "pow", "reciprocal", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh",
    # operations
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cbrt", "Cos", "Cosh",
    "Exp", "Exp2", "Expm1", "IntegerPow", "Log", "Log1p", "LogAddExp", "Logistic", "Pow",
    "Rsqrt", "Sin", "Sinh", "Sqrt", "Tan", "Tanh",
]  # fmt: skip

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_LN2 = math.log(2.0)


class AccuracyMode(enum.Enum):
    """How much accuracy is asked for; ferax always gives the highest."""

    HIGHEST = 1
    DEFAULT = 2


@dataclass(frozen=True)
class Tolerance:
    """An error that is acceptable, absolute, relative and in ulps; ferax stays below it."""

    atol: float = 0.0
    rtol: float = 0.0
    ulps: int = 0

    def __post_init__(self) -> None:
        errors = (self.atol, self.rtol, self.ulps)
        if not all(isinstance(e, (int, float, np.number)) for e in errors):
            raise TypeError(f"Tolerance: errors must be numbers; got {self}")
        if min(errors) < 0:
            raise ValueError(f"Tolerance: errors cannot be negative; got {self}")
        if not any(errors):
            raise ValueError("Tolerance: one of atol, rtol and ulps must be positive")


Accuracy = Tolerance | AccuracyMode | None


def _check_accuracy(who: str, accuracy: Accuracy) -> None:
    if accuracy is not None and not isinstance(accuracy, Tolerance | AccuracyMode):
        raise NotImplementedError(
            f"{who}: accuracy must be None, a lax.Tolerance or a lax.AccuracyMode; got "
            f"{accuracy!r}"
        )


# -- families --------------------------------------------------------------------------------


def _wide(hlo: Any, x: Any) -> Any:
    """16-bit and smaller floats as float32: expansions must not round in between."""
    return hlo.convert(x, _FLOAT32) if np.dtype(x.dtype).itemsize < 4 else x


class _Function(Unary, family=True):
    """A function of floating or complex numbers."""

    accepts = INEXACT

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.convert(hlo.unary(self.mnemonic, _wide(hlo, x)), x.dtype)]


class _Inverse(_Function, family=True):
    """y = f(x), the inverse of a function of y; the class states its `slope(x, y)` = dx/dy."""

    def slope(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(f"{self.name}.slope")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        return [y], [DIV(t, self.slope(x, y))]


# -- powers and roots ------------------------------------------------------------------------


class IntegerPow(Unary):
    """x to a constant whole power y."""

    y: int
    accepts = NUMERIC

    def abstract(self, *avals: Aval) -> list[Aval]:
        (x,) = avals
        if self.y < 0 and dtypes.is_integer(x.dtype):
            raise TypeError(
                f"integer_pow: integers have no negative powers; got {x.short()} and y = "
                f"{self.y}. Convert x to a floating dtype first."
            )
        return super().abstract(*avals)

    def numpy(self, x: Any) -> list[Any]:
        if self.y == 0:
            return [np.ones(x.shape, x.dtype)]
        if self.y == -1:
            return [np.reciprocal(x)]
        if not dtypes.is_floating(x.dtype):
            return [narrowed(_whole_power(x, self.y, x.dtype.type(1)), x)]
        wide = np.asarray(x, _FLOAT32) if x.dtype.itemsize < 4 else x
        return [np.asarray(np.power(wide, float(self.y)), x.dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_integer(x.dtype):
            one, product = hlo.one(x), functools.partial(hlo.binary, "multiply")
            return [_whole_power(x, self.y, one, product)]
        # long chains of products lose an ulp each; XLA's power does not
        if (self.y > 16 or self.y < -16) and dtypes.is_floating(x.dtype):
            wide = _wide(hlo, x)
            power = hlo.binary("power", wide, hlo.full(x.shape, self.y, wide.dtype))
            return [hlo.convert(power, x.dtype)]
        return kernels.written(hlo, lambda m, x: _whole_power(x, self.y, 1.0), x)

    def derivative(self, x: Any, y: Any) -> Any:
        if self.y == 0:
            return basis.zeros_like(x)
        slope = x if self.y == 2 else IntegerPow(self.y - 1)(x)
        return basis.mul(slope, self.y)


def _whole_power(x: Any, n: int, one: Any, product: Any = operator.mul) -> Any:
    """xⁿ by repeated squaring."""
    left, power = n if n >= 0 else -n, None
    while left:
        if left & 1:
            power = x if power is None else product(power, x)
        left >>= 1
        if left:
            x = product(x, x)
    if power is None:
        return one
    return power if n > 0 else 1.0 / power


@public
def integer_pow(x: ArrayLike, y: int) -> Array:
    """x to the constant whole power y.

    Args:
      x: numeric.
      y: a Python integer; not negative if x is an integer array.

    Raises:
      TypeError: a negative power of integers.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.integer_pow(jnp.array([2.0, 4.0]), -2)
    Array([0.25  , 0.0625], dtype=float32)
    """
    exponent: Any = y
    if isinstance(exponent, float) and exponent.is_integer():
        exponent = int(exponent)
    if isinstance(exponent, float):
        raise TypeError(f"integer_pow: y must be an integer; got {y}. See pow.")
    return IntegerPow(operator.index(exponent))(to_array(x, "integer_pow", "x"))


@public
def reciprocal(x: ArrayLike) -> Array:
    """1 / x, floating or complex."""
    return IntegerPow(-1)(to_array(x, "reciprocal", "x"))


class Pow(Elementwise):
    """z = xʸ; y has the dtype of x or is integer."""

    accepts, mnemonic = INEXACT, "power"

    def abstract(self, *avals: Aval) -> list[Aval]:
        x, y = avals
        if not dtypes.is_integer(y.dtype):
            return super().abstract(x, y)
        self.check_dtype([x])
        return [Aval(self.result_shape(avals), x.dtype)]

    def numpy(self, x: Any, y: Any) -> list[Any]:
        if y.dtype == x.dtype:
            return [np.power(x, y)]
        if x.dtype.itemsize < 4:  # 16 bits do not hold every exponent
            return [
                np.asarray(
                    np.power(np.asarray(x, _FLOAT32), y.astype(_FLOAT32)), x.dtype
                )
            ]
        return [np.power(x, y.astype(x.dtype))]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        x, y = hlo.broadcast_operands(*values)
        wide = _wide(hlo, x)
        return [
            hlo.convert(hlo.binary("power", wide, hlo.convert(y, wide.dtype)), x.dtype)
        ]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        t: Any = Zero(z.aval.tangent())
        if type(tx) is not Zero:
            exponent, zero = basis.convert(y, x.dtype), scalar(0, x)
            # 0⁰ alone has a factor without limit; elsewhere nothing hides ∂²z/∂x∂y
            origin = AND(EQ(x, zero), EQ(exponent, zero))
            lower = basis.select(origin, 0, basis.sub(exponent, 1))
            slope = MUL(exponent, self(x, lower))
            t = basis.broadcast_to(MUL(tx, slope), z.shape)
        if type(ty) is not Zero and not dtypes.is_integer(y.dtype):
            base = basis.select(EQ(x, scalar(0, x)), 1, x)
            part = MUL(ty, MUL(z, LOG(base)))
            t = part if type(t) is Zero else ADD(t, part)
        return [z], [t]

    transpose = cannot("not linear")


POW = Pow()


@public
def pow(x: ArrayLike, y: ArrayLike) -> Array:
    """xʸ; nan for real x < 0 unless y is whole.

    Args:
      x: floating or complex.
      y: of the dtype of x, or an integer array.

    Derivatives are guarded where the limit is 0: ∂/∂x = 0 for y = 0, ∂/∂y = 0 for x = 0 < y.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.pow(jnp.array([2.0, 9.0]), jnp.array([3.0, 0.5]))
    Array([8., 3.], dtype=float32)
    """
    if (
        type(x) in dtypes.SCALAR_AVALS
        and isinstance(y, Array)
        and dtypes.is_integer(y.dtype)
    ):
        x = to_array(x, "pow", "x")
    if type(y) is int and isinstance(x, Array):
        y = to_array(y, "pow", "y")
    return POW(*pair("pow", x, y))


class Sqrt(_Inverse):
    """y = √x"""

    mnemonic = "sqrt"

    def numpy(self, x: Any) -> list[Any]:
        return [np.sqrt(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return basis.mul(y, 2)


class Rsqrt(_Function):
    """y = 1/√x"""

    mnemonic = "rsqrt"

    def numpy(self, x: Any) -> list[Any]:
        if x.dtype.itemsize < 4:
            wide = np.asarray(x, _FLOAT32)
            return [np.asarray(np.reciprocal(np.sqrt(wide)), x.dtype)]
        return [np.reciprocal(np.sqrt(x))]

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.mul(DIV(y, x), -0.5)


class Cbrt(_Inverse):
    """y = ∛x, real."""

    accepts, mnemonic = FLOATING, "cbrt"

    def numpy(self, x: Any) -> list[Any]:
        return [np.cbrt(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return basis.mul(SQUARE(y), 3)


SQRT = Sqrt()


@public
def sqrt(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """√x, floating or complex; nan for real x < 0. d√x/dx(0) = inf.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.sqrt(jnp.array([4.0, -4.0])), lax.sqrt(jnp.array([-4 + 0j]))
    (Array([ 2., nan], dtype=float32), Array([0.+2.j], dtype=complex64))
    """
    _check_accuracy("sqrt", accuracy)
    return SQRT(to_array(x, "sqrt", "x"))


@public
def rsqrt(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """1 / √x, floating or complex; inf at 0."""
    _check_accuracy("rsqrt", accuracy)
    return Rsqrt()(to_array(x, "rsqrt", "x"))


@public
def cbrt(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """The real cube root of x, floating, with the sign of x."""
    _check_accuracy("cbrt", accuracy)
    return Cbrt()(to_array(x, "cbrt", "x"))


# -- exponentials and logarithms -------------------------------------------------------------


class Exp(_Function):
    """y = eˣ"""

    mnemonic = "exponential"

    def numpy(self, x: Any) -> list[Any]:
        return [np.exp(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return y


EXP = Exp()


@public
def exp(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """eˣ, floating or complex.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.exp(jnp.array([0.0, 1.0, -jnp.inf])).round(4)
    Array([1.    , 2.7183, 0.    ], dtype=float32)
    """
    _check_accuracy("exp", accuracy)
    return EXP(to_array(x, "exp", "x"))


class Exp2(_Function):
    """y = 2ˣ"""

    def numpy(self, x: Any) -> list[Any]:
        return [np.exp2(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_complex(x.dtype):
            log2 = hlo.full(x.shape, math.log(2.0), x.dtype)
            return [hlo.unary("exponential", hlo.binary("multiply", x, log2))]
        return kernels.written(hlo, kernels.exp2, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.mul(y, math.log(2.0))


@public
def exp2(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """2ˣ, floating or complex."""
    _check_accuracy("exp2", accuracy)
    return Exp2()(to_array(x, "exp2", "x"))


class Expm1(_Function):
    """y = eˣ - 1"""

    mnemonic = "exponential_minus_one"

    def numpy(self, x: Any) -> list[Any]:
        return [np.expm1(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.add(y, 1)


@public
def expm1(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """eˣ - 1, floating or complex, exact to the last digits near 0.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.expm1(1e-10) / 1e-10, lax.exp(1e-10) - 1
    (Array(1., dtype=float32, weak_type=True), Array(0., dtype=float32, weak_type=True))
    """
    _check_accuracy("expm1", accuracy)
    return Expm1()(to_array(x, "expm1", "x"))


class Log(_Inverse):
    """y = log x, to base e."""

    mnemonic = "log"

    def numpy(self, x: Any) -> list[Any]:
        return [np.log(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return x


LOG = Log()


@public
def log(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """log x to base e, floating or complex; -inf at 0, nan for real x < 0.

    Complex: the branch with |Im| ≤ π, cut along the negative real axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.log(jnp.array([-1.0, 0.0, 1.0]))
    Array([ nan, -inf,   0.], dtype=float32)
    """
    _check_accuracy("log", accuracy)
    return LOG(to_array(x, "log", "x"))


class Log1p(_Inverse):
    """y = log(1 + x)"""

    mnemonic = "log_plus_one"

    def numpy(self, x: Any) -> list[Any]:
        return [np.log1p(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if x.dtype == _FLOAT64 and hlo.platform == "cpu":
            return kernels.written(hlo, kernels.log1p, x)
        return super().stablehlo(hlo, x)

    def slope(self, x: Any, y: Any) -> Any:
        return basis.add(x, 1)


@public
def log1p(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """log(1 + x), floating or complex, exact to the last digits near 0."""
    _check_accuracy("log1p", accuracy)
    return Log1p()(to_array(x, "log1p", "x"))


class Logistic(_Function):
    """y = 1 / (1 + e⁻ˣ)"""

    mnemonic = "logistic"

    def numpy(self, x: Any) -> list[Any]:
        if dtypes.is_complex(x.dtype):  # 1 / (1 + ∞) is NaN
            left = x.real < 0
            e = np.exp(np.where(left, x, -x))
            return [np.where(left, e, 1) / (1 + e)]
        wide = np.asarray(x, np.float32) if x.dtype.itemsize < 4 else x
        y = np.reciprocal(1 + np.exp(-wide))
        return [y if wide is x else np.asarray(y, x.dtype)]

    def derivative(self, x: Any, y: Any) -> Any:
        return MUL(y, basis.sub(1, y))


LOGISTIC = Logistic()


@public
def logistic(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """1 / (1 + e⁻ˣ), floating or complex.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.logistic(jnp.array([-jnp.inf, 0.0, 2.0])).round(4)
    Array([0.    , 0.5   , 0.8808], dtype=float32)
    """
    _check_accuracy("logistic", accuracy)
    return LOGISTIC(to_array(x, "logistic", "x"))


class LogAddExp(Binary):
    """z = log(bˣ + bʸ) to base b = e, or 2 if `binary`, without overflow.

    Its derivatives are smooth where x = y, which those of a formula with |x - y| are not.
    """

    binary: bool = False
    accepts = FLOATING
    name = "log_add_exp"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        function = np.logaddexp2 if self.binary else np.logaddexp
        if x.dtype.itemsize >= 4:
            return [function(x, y)]
        wide = function(np.asarray(x, _FLOAT32), np.asarray(y, _FLOAT32))
        return [np.asarray(wide, x.dtype)]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, self.kernel, *values)

    def kernel(self, m: Any, x: Any, y: Any) -> Any:
        gap = m.where(x == y, 0.0, m.abs(x - y))  # equal infinities have none
        power = kernels.exp2(m, -gap) if self.binary else m.exp(-gap)
        digits = m.log1p(power)
        # a nan is in `gap`, whichever operand it comes from
        return m.where(x > y, x, y) + (digits / _LN2 if self.binary else digits)

    def share(self, x: Any, y: Any) -> Any:
        """bˣ / (bˣ + bʸ), and a half for equal infinities."""
        infinite = AND(EQ(x, y), EQ(ABS(x), scalar(math.inf, x)))
        gap = basis.select(infinite, 0, basis.sub(x, y))
        return LOGISTIC(basis.mul(gap, _LN2) if self.binary else gap)

    def derivative_x(self, x: Any, y: Any, z: Any) -> Any:
        return self.share(x, y)

    def derivative_y(self, x: Any, y: Any, z: Any) -> Any:
        return self.share(y, x)


# -- circular functions ----------------------------------------------------------------------


class Sin(_Function):
    """y = sin x"""

    mnemonic = "sine"

    def numpy(self, x: Any) -> list[Any]:
        return [np.sin(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return COS(x)


class Cos(_Function):
    """y = cos x"""

    mnemonic = "cosine"

    def numpy(self, x: Any) -> list[Any]:
        return [np.cos(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.neg(SIN(x))


class Tan(_Function):
    """y = tan x"""

    mnemonic = "tan"

    def numpy(self, x: Any) -> list[Any]:
        return [np.tan(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.add(SQUARE(y), 1)


SIN, COS, TAN = Sin(), Cos(), Tan()


@public
def sin(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """sin x, floating or complex, x in radians."""
    _check_accuracy("sin", accuracy)
    return SIN(to_array(x, "sin", "x"))


@public
def cos(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """cos x, floating or complex, x in radians."""
    _check_accuracy("cos", accuracy)
    return COS(to_array(x, "cos", "x"))


@public
def tan(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """tan x, floating or complex, x in radians."""
    _check_accuracy("tan", accuracy)
    return TAN(to_array(x, "tan", "x"))


def _one_minus_square(x: Any) -> Any:
    """1 - x², of which no digits are lost near ±1."""
    return MUL(basis.sub(1, x), basis.add(1, x))


class Asin(_Inverse):
    """y = arcsin x"""

    mnemonic = "chlo.asin"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arcsin(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return SQRT(_one_minus_square(x))


class Acos(_Inverse):
    """y = arccos x"""

    mnemonic = "chlo.acos"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arccos(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return basis.neg(SQRT(_one_minus_square(x)))


class Atan(_Inverse):
    """y = arctan x"""

    mnemonic = "chlo.atan"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arctan(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return basis.add(SQUARE(x), 1)


@public
def asin(x: ArrayLike) -> Array:
    """The angle in [-π/2, π/2] with sine x, floating or complex; nan for real |x| > 1."""
    return Asin()(to_array(x, "asin", "x"))


@public
def acos(x: ArrayLike) -> Array:
    """The angle in [0, π] with cosine x, floating or complex; nan for real |x| > 1."""
    return Acos()(to_array(x, "acos", "x"))


@public
def atan(x: ArrayLike) -> Array:
    """The angle in [-π/2, π/2] with tangent x, floating or complex."""
    return Atan()(to_array(x, "atan", "x"))


class Atan2(Binary):
    """z = the angle of the point (y, x), in [-π, π]."""

    accepts, mnemonic = INEXACT, "atan2"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        if x.dtype.kind == "c":
            radius = np.sqrt(x * x + y * y)
            return [np.asarray(-1j * np.log((y + 1j * x) / radius), x.dtype)]
        return [np.arctan2(x, y)]

    def derivative_x(self, x: Any, y: Any, z: Any) -> Any:
        return DIV(y, _square_radius(x, y))

    def derivative_y(self, x: Any, y: Any, z: Any) -> Any:
        return DIV(basis.neg(x), _square_radius(x, y))


def _square_radius(x: Any, y: Any) -> Any:
    """x² + y², and 1 at the origin, where the angle has no derivative: 0 is taken."""
    square = ADD(SQUARE(x), SQUARE(y))
    return basis.select(EQ(square, scalar(0, square)), 1, square)


@public
def atan2(x: ArrayLike, y: ArrayLike) -> Array:
    """The angle in [-π, π] of the point with abscissa y and ordinate x, of one inexact dtype.

    Both derivatives are 0 at the origin.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.atan2(jnp.array([0.0, 1.0, 0.0]), jnp.array([1.0, 0.0, -1.0])).round(4)
    Array([0.    , 1.5708, 3.1416], dtype=float32)
    """
    return Atan2()(*pair("atan2", x, y))


# -- hyperbolic functions --------------------------------------------------------------------


class Sinh(_Function):
    """y = sinh x"""

    mnemonic = "chlo.sinh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.sinh(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_complex(x.dtype):
            return super().stablehlo(hlo, x)
        return kernels.written(hlo, kernels.sinh, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return COSH(x)


class Cosh(_Function):
    """y = cosh x"""

    mnemonic = "chlo.cosh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.cosh(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_complex(x.dtype):
            return super().stablehlo(hlo, x)
        return kernels.written(hlo, kernels.cosh, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return SINH(x)


class Tanh(_Function):
    """y = tanh x"""

    mnemonic = "tanh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.tanh(x)]

    def derivative(self, x: Any, y: Any) -> Any:
        return _one_minus_square(y)


SINH, COSH, TANH = Sinh(), Cosh(), Tanh()


@public
def sinh(x: ArrayLike) -> Array:
    """sinh x = (eˣ - e⁻ˣ) / 2, floating or complex."""
    return SINH(to_array(x, "sinh", "x"))


@public
def cosh(x: ArrayLike) -> Array:
    """cosh x = (eˣ + e⁻ˣ) / 2, floating or complex."""
    return COSH(to_array(x, "cosh", "x"))


@public
def tanh(x: ArrayLike, *, accuracy: Accuracy = None) -> Array:
    """tanh x = sinh x / cosh x, floating or complex."""
    _check_accuracy("tanh", accuracy)
    return TANH(to_array(x, "tanh", "x"))


class Asinh(_Inverse):
    """y = arsinh x"""

    mnemonic = "chlo.asinh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arcsinh(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return SQRT(basis.add(SQUARE(x), 1))


class Acosh(_Inverse):
    """y = arcosh x"""

    mnemonic = "chlo.acosh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arccosh(x)]

    def slope(self, x: Any, y: Any) -> Any:
        return MUL(SQRT(basis.sub(x, 1)), SQRT(basis.add(x, 1)))


class Atanh(_Inverse):
    """y = artanh x"""

    mnemonic = "chlo.atanh"

    def numpy(self, x: Any) -> list[Any]:
        return [np.arctanh(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if x.dtype == _FLOAT64 and hlo.platform == "cpu":
            return kernels.written(hlo, kernels.atanh, x)
        return super().stablehlo(hlo, x)

    def slope(self, x: Any, y: Any) -> Any:
        return _one_minus_square(x)


@public
def asinh(x: ArrayLike) -> Array:
    """The number with hyperbolic sine x, floating or complex."""
    return Asinh()(to_array(x, "asinh", "x"))


@public
def acosh(x: ArrayLike) -> Array:
    """The number ≥ 0 with hyperbolic cosine x, floating or complex; nan for real x < 1."""
    return Acosh()(to_array(x, "acosh", "x"))


@public
def atanh(x: ArrayLike) -> Array:
    """The number with hyperbolic tangent x, floating or complex; nan for real |x| > 1."""
    return Atanh()(to_array(x, "atanh", "x"))
