"""Bits, dtypes, complex parts and choice: what numbers are made of, elementwise.

Shifts by the width of the dtype or more give 0, or the sign for `shift_right_arithmetic`, as in
XLA; NumPy agrees once the amount is read as an unsigned number. In NumPy 4-bit integers are
stored a byte each; their results are narrowed.

Complex numbers are pairs of real ones in derivatives too: ⟨ct, t⟩ = Re(ct · t), without
conjugation. So the adjoint of z ↦ Re z is ct ↦ ct + 0i and that of z ↦ Im z is ct ↦ 0 - ct i.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.avals import Aval, LinearInput, Zero
from ferax.core.basis import (
    ANY,
    BITS,
    FLOATING,
    INTEGRAL,
    SELECT_N,
    Discrete,
    Elementwise,
    Kinds,
    LinearUnary,
)
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import aval_of, to_array
from ferax.errors import public
from ferax.lax.operands import ArrayLike, adapted, narrowed, pair, scalar

__all__ = [
    "bitcast_convert_type", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor",
    "clz", "complex", "conj", "convert_element_type", "imag", "mulhi", "nextafter",
    "population_count", "real", "reduce_precision", "select", "select_n", "shift_left",
    "shift_right_arithmetic", "shift_right_logical",
    # operations
    "And", "BitcastConvertType", "Clz", "Complex", "Conj", "Copy", "Imag", "Mulhi",
    "Nextafter", "Not", "Or", "PopulationCount", "Real", "ReducePrecision", "ShiftLeft",
    "ShiftRightArithmetic", "ShiftRightLogical", "Xor",
]  # fmt: skip

_BOOL = np.dtype(np.bool_)
_COMPLEX = Kinds("complex", dtypes.is_complex)
_PART = Kinds(
    "float32 or float64", lambda d: d in (np.dtype("float32"), np.dtype("float64"))
)


@cache
def unsigned(dtype: Any) -> Any:
    """The unsigned integer dtype of the same width."""
    return dtype if dtypes.is_unsigned(dtype) else dtypes.as_dtype("u" + dtype.name)


@cache
def signed(dtype: Any) -> Any:
    """The signed integer dtype of the same width."""
    return dtype if dtypes.is_signed(dtype) else dtypes.as_dtype(dtype.name[1:])


# -- logic -----------------------------------------------------------------------------------


class And(Discrete):
    """z = x and y, bit by bit."""

    accepts, mnemonic = BITS, "and"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.bitwise_and(x, y), x)]


class Or(Discrete):
    """z = x or y, bit by bit."""

    accepts, mnemonic = BITS, "or"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.bitwise_or(x, y), x)]


class Xor(Discrete):
    """z = x or else y, bit by bit."""

    accepts, mnemonic = BITS, "xor"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.bitwise_xor(x, y), x)]


class Not(Discrete):
    """y = not x, bit by bit."""

    accepts, mnemonic = BITS, "not"

    def numpy(self, x: Any) -> list[Any]:
        return [narrowed(np.invert(x), x)]


AND, OR, XOR, NOT = And(), Or(), Xor(), Not()


@public
def bitwise_and(x: ArrayLike, y: ArrayLike) -> Array:
    """x and y bit by bit, of one integer dtype or bool."""
    return AND(*pair("bitwise_and", x, y))


@public
def bitwise_or(x: ArrayLike, y: ArrayLike) -> Array:
    """x or y bit by bit, of one integer dtype or bool."""
    return OR(*pair("bitwise_or", x, y))


@public
def bitwise_xor(x: ArrayLike, y: ArrayLike) -> Array:
    """Where x and y differ, bit by bit, of one integer dtype or bool.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.bitwise_xor(jnp.array([0b1100, 7]), jnp.array([0b1010, 7]))
    Array([6, 0], dtype=int32)
    """
    return XOR(*pair("bitwise_xor", x, y))


@public
def bitwise_not(x: ArrayLike) -> Array:
    """All bits of x flipped, integer: -1 - x for signed types; of bool the negation."""
    return NOT(to_array(x, "bitwise_not", "x"))


# -- integers as words -----------------------------------------------------------------------


class ShiftLeft(Discrete):
    """z = x 2ʸ, without what leaves the word."""

    accepts, mnemonic = INTEGRAL, "shift_left"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [narrowed(np.left_shift(x, y), x)]


class ShiftRightArithmetic(Discrete):
    """z = floor(x / 2ʸ), x read as a signed number."""

    accepts, mnemonic = INTEGRAL, "shift_right_arithmetic"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        dtype = signed(x.dtype)
        z = np.right_shift(x.view(dtype), y.view(dtype))
        return [np.asarray(z, dtype).view(x.dtype)]


class ShiftRightLogical(Discrete):
    """z = floor(x / 2ʸ), x read as an unsigned number."""

    accepts, mnemonic = INTEGRAL, "shift_right_logical"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        dtype = unsigned(x.dtype)
        z = np.right_shift(x.view(dtype), y.view(dtype))
        return [np.asarray(z, dtype).view(x.dtype)]


@public
def shift_left(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted left by y bits, of one integer dtype; 0 for y ≥ its width.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.shift_left(jnp.array([1, 1, 3]), jnp.array([4, 32, 31]))
    Array([         16,           0, -2147483648], dtype=int32)
    """
    return ShiftLeft()(*pair("shift_left", x, y))


@public
def shift_right_arithmetic(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted right by y bits, copies of the sign bit coming in, of one integer dtype."""
    return ShiftRightArithmetic()(*pair("shift_right_arithmetic", x, y))


@public
def shift_right_logical(x: ArrayLike, y: ArrayLike) -> Array:
    """x shifted right by y bits, zeros coming in, of one integer dtype.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> x = jnp.array([-8, 8])
    >>> lax.shift_right_logical(x, 1), lax.shift_right_arithmetic(x, 1)
    (Array([2147483644,          4], dtype=int32), Array([-4,  4], dtype=int32))
    """
    return ShiftRightLogical()(*pair("shift_right_logical", x, y))


class PopulationCount(Discrete):
    """y = how many bits of x are set."""

    accepts = INTEGRAL

    def numpy(self, x: Any) -> list[Any]:
        return [np.bitwise_count(x.view(unsigned(x.dtype))).astype(x.dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.itemsize_bits(x.dtype) >= 8:
            return [hlo.unary("popcnt", x)]
        word = hlo.emit("bitcast_convert", (x,), x.aval.update(dtype=unsigned(x.dtype)))
        count = hlo.unary("popcnt", hlo.convert(word, np.dtype(np.uint8)))
        return [hlo.convert(count, x.dtype)]


@public
def population_count(x: ArrayLike) -> Array:
    """How many bits of x, integer, are set.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.population_count(jnp.array([7, -1]))
    Array([ 3, 32], dtype=int32)
    """
    return PopulationCount()(to_array(x, "population_count", "x"))


class Clz(Discrete):
    """y = how many leading bits of x are not set."""

    accepts, mnemonic = INTEGRAL, "count_leading_zeros"

    def numpy(self, x: Any) -> list[Any]:
        word = x.view(unsigned(x.dtype))
        if x.dtype.itemsize < 8:
            length = np.frexp(word.astype(np.float64))[1]  # exact: 32 bits fit into 53
        else:
            high = np.frexp((word >> np.uint64(32)).astype(np.float64))[1]
            low = np.frexp((word & np.uint64(0xFFFFFFFF)).astype(np.float64))[1]
            length = np.where(high > 0, 32 + high, low)
        return [np.asarray(dtypes.itemsize_bits(x.dtype) - length).astype(x.dtype)]


@public
def clz(x: ArrayLike) -> Array:
    """How many leading bits of x, integer, are zero.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.clz(jnp.array([0, 1, 255, -1]))
    Array([32, 31, 24,  0], dtype=int32)
    """
    return Clz()(to_array(x, "clz", "x"))


class Mulhi(Discrete):
    """z = the upper half of the double-width product x y."""

    accepts, mnemonic = INTEGRAL, "chlo.mulhi"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        bits = dtypes.itemsize_bits(x.dtype)
        if bits < 64:
            wide = np.int64 if dtypes.is_signed(x.dtype) else np.uint64
            product = x.astype(wide) * y.astype(wide)
            return [np.asarray(product >> wide(bits)).astype(x.dtype)]
        z = _upper_half(x.view(np.uint64), y.view(np.uint64)).view(x.dtype)
        if dtypes.is_signed(x.dtype):  # a negative factor was read as 2⁶⁴ too large
            z = z - np.where(x < 0, y, 0) - np.where(y < 0, x, 0)
        return [z]


def _upper_half(x: Any, y: Any) -> Any:
    """The upper 64 bits of products of 64-bit words, from those of their halves."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    middle = x1 * y0 + ((x0 * y0) >> half)
    other = x0 * y1 + (middle & low)
    return np.asarray(x1 * y1 + (middle >> half) + (other >> half))


@public
def mulhi(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The upper half of the product of x and y in twice their width, of one integer dtype.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.mulhi(jnp.array([2**30, -5]), jnp.array([8, 3]))
    Array([ 2, -1], dtype=int32)
    """
    return Mulhi()(*pair("mulhi", x, y))


# -- complex numbers -------------------------------------------------------------------------


class Complex(Elementwise):
    """z = x + iy"""

    accepts, mnemonic = _PART, "complex"

    def result_dtype(self, *of: Any) -> Any:
        return dtypes.to_complex(of[0])

    def numpy(self, x: Any, y: Any) -> list[Any]:
        z = np.empty(np.broadcast_shapes(x.shape, y.shape), self.result_dtype(x.dtype))
        z.real, z.imag = x, y
        return [z]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        z = self(*primals)
        tx, ty = tangents
        if type(tx) is Zero and type(ty) is Zero:
            return [z], [Zero(z.aval.tangent())]
        zero = scalar(0, primals[0])
        t = self(zero if type(tx) is Zero else tx, zero if type(ty) is Zero else ty)
        return [z], [basis.broadcast_to(t, z.shape)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, y) = cts, args
        return [
            basis.unbroadcast(REAL_PART(ct), x) if type(x) is LinearInput else None,
            basis.unbroadcast(basis.neg(IMAG_PART(ct)), y)
            if type(y) is LinearInput
            else None,
        ]


class Real(LinearUnary):
    """y = Re x"""

    accepts, mnemonic = _COMPLEX, "real"

    def result_dtype(self, *of: Any) -> Any:
        return dtypes.to_real(of[0])

    def numpy(self, x: Any) -> list[Any]:
        return [x.real]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [COMPLEX(cts[0], basis.zeros((), cts[0].dtype))]


class Imag(LinearUnary):
    """y = Im x"""

    accepts, mnemonic = _COMPLEX, "imag"

    def result_dtype(self, *of: Any) -> Any:
        return dtypes.to_real(of[0])

    def numpy(self, x: Any) -> list[Any]:
        return [x.imag]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [COMPLEX(basis.zeros((), cts[0].dtype), basis.neg(cts[0]))]


class Conj(LinearUnary):
    """y = Re x - i Im x"""

    accepts = _COMPLEX

    def numpy(self, x: Any) -> list[Any]:
        return [np.conjugate(x)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        part = Aval(x.shape, dtypes.to_real(x.dtype))
        real, imag = hlo.emit("real", (x,), part), hlo.emit("imag", (x,), part)
        return [hlo.emit("complex", (real, hlo.unary("negate", imag)), x.aval)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [self(cts[0])]


COMPLEX, REAL_PART, IMAG_PART, CONJ = Complex(), Real(), Imag(), Conj()


@public
def complex(x: ArrayLike, y: ArrayLike) -> Array:
    """x + iy for real x and y of one dtype, float32 or float64.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.complex(jnp.array([1.0, 2.0]), -1.0)
    Array([1.-1.j, 2.-1.j], dtype=complex64)
    """
    return COMPLEX(*pair("complex", x, y))


@public
def real(x: ArrayLike) -> Array:
    """The real part of x, complex."""
    return REAL_PART(to_array(x, "real", "x"))


@public
def imag(x: ArrayLike) -> Array:
    """The imaginary part of x, complex."""
    return IMAG_PART(to_array(x, "imag", "x"))


@public
def conj(x: ArrayLike) -> Array:
    """The complex conjugate of x, which is complex, float32 or float64; the result is complex.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.conj(jnp.array([1 + 2j]))
    Array([1.-2.j], dtype=complex64)
    """
    x = to_array(x, "conj", "x")
    if x.dtype in _PART:
        return COMPLEX(x, scalar(0, x))
    return CONJ(x)


# -- choice ----------------------------------------------------------------------------------


@public
def select_n(which: ArrayLike, *cases: ArrayLike) -> Array:
    """cases[which[i]][i] at each place i.

    Args:
      which: bool (then there are at most two cases: False takes the first) or integer, of the
        shape of the cases or a scalar. Integers out of range take the first or the last case.
      cases: arrays of one dtype and one shape.

    Derivatives flow to the chosen elements only; those of the others are exactly 0, even where
    they are infinite or nan.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.select_n(jnp.array([0, 2, 1]), jnp.zeros(3), jnp.ones(3), jnp.full(3, 2.0))
    Array([0., 2., 1.], dtype=float32)
    """
    if not cases:
        raise ValueError("select_n: needs at least one case")
    which = to_array(which, "select_n", "which")
    arrays = adapted("select_n", *cases)
    _check_cases("select_n", which, arrays)
    if which.dtype not in BITS:
        raise TypeError(
            f"select_n: which must be bool or integer; got {which.aval.short()}"
        )
    return arrays[0] if len(arrays) == 1 else SELECT_N(which, *arrays)


@public
def select(pred: ArrayLike, on_true: ArrayLike, on_false: ArrayLike) -> Array:
    """on_true where `pred`, else on_false.

    Args:
      pred: bool, of the shape of the cases or a scalar.
      on_true, on_false: of one dtype and one shape.

    Derivatives flow to the chosen elements only (`select_n`).

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.select(jnp.array([True, False]), jnp.array([1, 2]), jnp.array([10, 20]))
    Array([ 1, 20], dtype=int32)
    """
    which = to_array(pred, "select", "pred")
    arrays = adapted("select", on_false, on_true)
    _check_cases("select", which, arrays)
    return SELECT_N(which, *arrays)


def _check_cases(who: str, which: Any, cases: Any) -> None:
    shape = cases[0].aval.shape
    if any(c.aval.shape != shape for c in cases):
        listing = ", ".join(c.aval.short() for c in cases)
        raise TypeError(
            f"{who}: cases must have one shape; got {listing}. Broadcast them first."
        )
    if which.aval.shape and which.aval.shape != shape:
        raise TypeError(
            f"{who}: the selector {which.aval.short()} must be a scalar or have the shape of the "
            f"cases, {cases[0].aval.short()}"
        )


# -- dtypes and precision --------------------------------------------------------------------


@public
def convert_element_type(operand: ArrayLike, new_dtype: Any) -> Array:
    """The elements of `operand` in another dtype.

    Args:
      operand: any dtype but random keys.
      new_dtype: a dtype. Floating to integer truncates toward zero; of complex numbers the real
        part remains; to bool is x ≠ 0.

    The result is not weakly typed. Numbers out of the range of an integer dtype are not
    defined. Derivatives pass between floating and complex dtypes; through integers they are 0.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.convert_element_type(jnp.array([-1.7, 2.2]), jnp.int32)
    Array([-1,  2], dtype=int32)
    """
    if new_dtype is None:
        raise ValueError("convert_element_type: new_dtype must be given")
    x = to_array(operand, "convert_element_type", "operand")
    return basis.convert(x, dtypes.requested(new_dtype, "convert_element_type"))


class BitcastConvertType(Primitive):
    """The bits of x read as another dtype; the last axis splits or joins words."""

    new_dtype: Any
    keeps_weak_type = False

    def abstract(self, x: Aval) -> list[Aval]:
        new = self.new_dtype
        fixed = {_BOOL, *dtypes.COMPLEX}
        if x.dtype != new and (
            x.dtype in fixed or new in fixed or dtypes.is_key(x.dtype)
        ):
            raise TypeError(
                f"bitcast_convert_type: {x.short()} cannot be read as {new}: bool, complex and "
                "keys have no other reading. Take x.view(dtype), lax.real and lax.imag, or "
                "random.key_data."
            )
        old_bits, bits = dtypes.itemsize_bits(x.dtype), dtypes.itemsize_bits(new)
        if bits <= old_bits:
            extra = (old_bits // bits,) if bits < old_bits else ()
            return [Aval((*x.shape, *extra), new)]
        count = bits // old_bits
        if not x.shape or x.shape[-1] != count:
            raise ValueError(
                f"bitcast_convert_type: {x.short()} cannot be read as {new}: {count} words of "
                f"{old_bits} bits make one of {bits}, so the last axis must have size {count}"
            )
        return [Aval(x.shape[:-1], new)]

    def numpy(self, x: Any) -> list[Any]:
        new = self.new_dtype
        old_bits, bits = dtypes.itemsize_bits(x.dtype), dtypes.itemsize_bits(new)
        if old_bits == bits:
            return [x.view(new)]
        if old_bits < 8 or bits < 8:
            return [_repack(x, old_bits, bits, new)]
        x = np.array(x, order="C", copy=None)
        if bits < old_bits:
            return [x[..., None].view(new)]
        return [x.view(new)[..., 0]]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.emit("bitcast_convert", (x,), hlo.out[0])]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        return outs, [Zero(o.aval.tangent()) for o in outs]

    transpose = cannot("not linear")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        return self.bind(basis.moveaxis(args[0], dims[0], 0)), [0]


def _repack(x: Any, old_bits: int, bits: int, new: Any) -> Any:
    """`bitcast_convert_type` between words of which one has less than a byte."""
    low = min(old_bits, bits)
    shifts = np.arange(0, max(old_bits, bits), low)
    if bits < old_bits:
        words = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").reshape(x.shape)
        return ((words[..., None] >> shifts.astype(words.dtype)) & ((1 << low) - 1)).astype(
            np.uint8
        ).astype(_UNSIGNED_SMALL[low]).view(new)  # fmt: skip
    parts = x.view(_UNSIGNED_SMALL[low]).astype(np.uint64) << shifts.astype(np.uint64)
    return (
        np.asarray(np.sum(parts, axis=-1, dtype=np.uint64))
        .astype(f"u{bits // 8}")
        .view(new)
    )


_UNSIGNED_SMALL = {2: dtypes.as_dtype("uint2"), 4: dtypes.as_dtype("uint4")}


@public
def bitcast_convert_type(operand: ArrayLike, new_dtype: Any) -> Array:
    """The bits of `operand` read as another dtype.

    Args:
      operand: integer or floating, (…); (…, k) if new_dtype is k times as wide.
      new_dtype: integer or floating.

    Returns:
      (…); (…, k) if the dtype of the operand is k times as wide. The first part is the one with
      the lowest bits.

    Raises:
      TypeError: bool and complex dtypes. ValueError: the last axis does not make whole words.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.bitcast_convert_type(jnp.array([1.0, -2.0]), "uint8")
    Array([[  0,   0, 128,  63],
           [  0,   0,   0, 192]], dtype=uint8)
    """
    x = to_array(operand, "bitcast_convert_type", "operand")
    return BitcastConvertType(dtypes.requested(new_dtype, "bitcast_convert_type"))(x)


class ReducePrecision(LinearUnary):
    """y = x rounded to a floating format of fewer bits, kept in its own dtype."""

    exponent_bits: int
    mantissa_bits: int
    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        wide = x if x.dtype.itemsize >= 4 else np.asarray(x, np.float32)
        return [
            np.asarray(_rounded(wide, self.exponent_bits, self.mantissa_bits), x.dtype)
        ]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        attrs = (
            f"exponent_bits = {self.exponent_bits} : i32, "
            f"mantissa_bits = {self.mantissa_bits} : i32"
        )
        return [hlo.unary("reduce_precision", x, attrs)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [self(cts[0])]


def _rounded(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """float32 or float64 to the nearest number with the given fields, ties to even.

    What overflows becomes infinite, what is below the normal numbers becomes 0, as in XLA.
    """
    double = x.dtype.itemsize == 8
    word, digits, width = (np.uint64, 52, 11) if double else (np.uint32, 23, 8)
    y = x
    if mantissa_bits < digits:
        bits, drop = x.view(word), digits - mantissa_bits
        last = (bits >> word(drop)) & word(1)
        bits = (bits + (last + word((1 << (drop - 1)) - 1))) & ~word((1 << drop) - 1)
        y = np.asarray(bits).view(x.dtype)
    if exponent_bits < width:
        bias = (1 << (exponent_bits - 1)) - 1
        top = np.ldexp(x.dtype.type(2.0), bias)
        y = np.where(np.abs(y) >= top, np.copysign(x.dtype.type(np.inf), x), y)
        least = np.ldexp(x.dtype.type(1.0), 1 - bias)
        y = np.where(np.abs(y) < least, np.copysign(x.dtype.type(0.0), x), y)
    return np.where(np.isfinite(x), y, x)


@public
def reduce_precision(
    operand: ArrayLike, exponent_bits: int, mantissa_bits: int
) -> Array:
    """`operand` rounded to a floating format of fewer bits, kept in its own dtype.

    Args:
      operand: floating.
      exponent_bits: at least 1; numbers out of range become infinite or 0.
      mantissa_bits: digits after the leading one, at least 0; ties round to even.

    It is linear for derivatives: they are rounded likewise.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_precision(jnp.array([1.2345, 1e30]), exponent_bits=5, mantissa_bits=10)
    Array([1.234375,      inf], dtype=float32)
    """
    if exponent_bits < 1:
        raise ValueError(
            f"reduce_precision: exponent_bits must be positive; got {exponent_bits}"
        )
    if mantissa_bits < 0:
        raise ValueError(
            f"reduce_precision: mantissa_bits must not be negative; got {mantissa_bits}"
        )
    op = ReducePrecision(int(exponent_bits), int(mantissa_bits))
    return op(to_array(operand, "reduce_precision", "operand"))


class Nextafter(Discrete):
    """z = the number next to x in the direction of y; y where they are equal."""

    accepts, mnemonic = FLOATING, "chlo.next_after"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.nextafter(x, y)]


@public
def nextafter(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The representable number next to x1 toward x2, of one floating dtype.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.nextafter(jnp.array([0.0, 1.0]), 1.0)
    Array([1.e-45, 1.e+00], dtype=float32)
    """
    return Nextafter()(*pair("nextafter", x1, x2))


class Copy(LinearUnary):
    """y = x in memory of its own."""

    accepts = ANY

    def numpy(self, x: Any) -> list[Any]:
        return [x.copy()]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [x]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [cts[0]]


COPY = Copy()


@public
def dtype(x: Any) -> Any:
    """The dtype that a value has as an array.

    >>> from ferax import lax
    >>> lax.dtype(1.5)
    dtype('float32')
    """
    return aval_of(x).dtype
