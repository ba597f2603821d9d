"""Elementwise operations through `lax`: values, dtypes, kinks of derivatives, errors, accuracy."""

from __future__ import annotations

import math
import re

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import ferax
import ferax.numpy as jnp
from ferax import lax

NAN, INF = math.nan, math.inf


def floats(*values, dtype="float32"):
    return jnp.array(values, dtype=dtype)


def both(f, *args):
    """The eager result, after checking that the compiled one has the same values and type."""
    eager, compiled = f(*args), ferax.jit(f)(*args)
    assert eager.dtype == compiled.dtype
    np.testing.assert_array_equal(np.asarray(eager), np.asarray(compiled))
    return np.asarray(eager)


# -- operands --------------------------------------------------------------------------------


def test_python_numbers_take_the_dtype_of_the_array():
    """`lax.add(x, 1)` computes in the dtype of x, whatever that is."""
    for dtype in ("float32", "bfloat16", "int8", "complex64"):
        z = lax.add(jnp.ones(2, dtype), 1)
        assert (z.dtype, z.weak_type) == (np.dtype(dtype), False)
    assert lax.mul(2.5, jnp.ones(2)).dtype == np.float32
    assert lax.add(1, 2).weak_type


def test_python_numbers_that_do_not_fit_are_refused():
    """A float does not become an integer silently, nor a complex number a float."""
    message = (
        "add: operands have different dtypes: int32[3] and float32[]. lax does not promote; use "
        "jnp's function of that name, or convert with x.astype(…)."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        lax.add(jnp.arange(3), 1.5)
    with pytest.raises(TypeError, match="lax does not promote"):
        lax.add(1, 1.0)
    with pytest.raises(TypeError, match="lax does not promote"):
        lax.mul(jnp.ones(2), 1j)
    with pytest.raises(TypeError, match="lax does not promote"):
        lax.max(jnp.ones(2), jnp.arange(2))


def test_ranks_must_agree():
    """lax broadcasts scalars and axes of size 1, but adds no axes."""
    assert lax.add(jnp.ones((3, 1)), jnp.ones((1, 4))).shape == (3, 4)
    assert lax.add(jnp.ones((3, 4)), jnp.float32(1)).shape == (3, 4)
    message = (
        "add: operands have different numbers of dimensions: float32[3] and float32[1,3]. lax "
        "broadcasts scalars and axes of size 1 only; reshape an operand, or use jnp's function."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        lax.add(jnp.ones(3), jnp.ones((1, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lax.sin(1), "sin accepts floating or complex arrays; got int32[]"),
        (
            lambda: lax.neg(True),
            "neg accepts integer, floating or complex arrays; got bool[]",
        ),
        (lambda: lax.floor(1j), "floor accepts floating arrays; got complex64[]"),
        (lambda: lax.real(1.0), "real accepts complex arrays; got float32[]"),
        (lambda: lax.clz(1.0), "clz accepts integer arrays; got float32[]"),
        (
            lambda: lax.bitwise_not(1.0),
            "not accepts bool or integer arrays; got float32[]",
        ),
        (
            lambda: lax.abs(jnp.uint8(1)),
            "abs accepts signed integer, floating or complex arrays",
        ),
        (
            lambda: lax.lt(1j, 1j),
            "lt accepts bool, integer or floating arrays; got complex64[]",
        ),
        (
            lambda: lax.complex(jnp.bfloat16(1), jnp.bfloat16(1)),
            "float32 or float64 arrays",
        ),
        (
            lambda: lax.pow(jnp.arange(3), 2),
            "pow accepts floating or complex arrays; got int32[3]",
        ),
        (lambda: lax.sin([1.0]), "sin: x must be an array or a number; got list"),
    ],
)
def test_dtypes_that_an_operation_does_not_accept(call, message):
    """The error names the operation, what it accepts and what came."""
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_shapes_that_do_not_broadcast():
    """Sizes must be equal or 1."""
    with pytest.raises((TypeError, ValueError), match=r"add.*3.*4"):
        lax.add(jnp.ones(3), jnp.ones(4))


def test_accuracy_is_checked_and_otherwise_ignored():
    """There is nothing to choose: results are as exact as they can be."""
    x = floats(0.5)
    for accuracy in (lax.Tolerance(rtol=1e-3), lax.AccuracyMode.HIGHEST, None):
        assert lax.exp(x, accuracy=accuracy) == lax.exp(x)
    with pytest.raises(NotImplementedError, match="exp: accuracy must be None"):
        lax.exp(x, accuracy=3)
    with pytest.raises(ValueError, match="Tolerance: errors cannot be negative"):
        lax.Tolerance(atol=-1.0)


# -- integers --------------------------------------------------------------------------------


def test_division_of_integers():
    """The quotient is truncated toward zero; x / 0 has all bits set; the minimum wraps."""
    x = jnp.array([7, -7, 7, 0, -(2**31), -7])
    y = jnp.array([2, 2, 0, 0, -1, -3])
    assert both(lax.div, x, y).tolist() == [3, -3, -1, -1, -(2**31), 2]
    assert both(lax.rem, x, y).tolist() == [1, -1, 7, 0, 0, -1]
    u = jnp.array([7, 0, 250], "uint8")
    assert both(lax.div, u, jnp.array([0, 0, 7], "uint8")).tolist() == [255, 255, 35]
    assert both(lax.rem, u, jnp.array([0, 0, 7], "uint8")).tolist() == [7, 0, 5]


@given(st.integers(-128, 127), st.integers(-128, 127))
@settings(max_examples=50, deadline=None)
def test_division_is_that_of_whole_numbers(x, y):
    """x = y · div + rem, |rem| < |y|, rem has the sign of x."""
    a, b = jnp.array(x, "int16"), jnp.array(y, "int16")
    q, r = int(lax.div(a, b)), int(lax.rem(a, b))
    if y:
        assert x == y * q + r
        assert abs(r) < abs(y)
        assert r == 0 or (r > 0) == (x > 0)


def test_remainder_of_floats():
    """As C's fmod: the sign of x, nan for y = 0 and for infinite x."""
    z = both(lax.rem, floats(7, -7, 7, INF, 3, -0.0), floats(2, 2, 0, 2, INF, 2))
    np.testing.assert_array_equal(z, np.array([1, -1, NAN, NAN, 3, -0.0]))


def test_shifts_by_the_width_and_more():
    """Nothing is left but copies of the sign; negative amounts count as large."""
    amounts = jnp.array([0, 31, 32, 33, -1])
    assert both(lax.shift_left, jnp.full(5, 1), amounts).tolist() == [
        1,
        -(2**31),
        0,
        0,
        0,
    ]
    x = jnp.full(5, -8)
    assert both(lax.shift_right_logical, x, amounts).tolist() == [-8, 1, 0, 0, 0]
    assert both(lax.shift_right_arithmetic, x, amounts).tolist() == [-8, -1, -1, -1, -1]
    u = jnp.array([248, 8, 248], "uint8")
    n = jnp.array([1, 32, 33], "uint8")
    assert both(lax.shift_right_arithmetic, u, n).tolist() == [252, 0, 255]
    assert both(lax.shift_right_logical, u, n).tolist() == [124, 0, 0]


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"]
)
def test_bits_are_counted(dtype):
    """population_count and clz agree with the binary digits; mulhi with Python's product."""
    with ferax.enable_x64(True):
        info = np.iinfo(dtype)
        rng = np.random.default_rng(0)
        x = rng.integers(info.min, info.max, 40, dtype=dtype, endpoint=True)
        x[:4] = 0, 1, info.max, info.min
        y = x[::-1].copy()
        words = [int(v) % 2**info.bits for v in x]
        assert both(lax.population_count, x).tolist() == [w.bit_count() for w in words]
        assert both(lax.clz, x).tolist() == [info.bits - w.bit_length() for w in words]
        products = [(int(a) * int(b)) >> info.bits for a, b in zip(x, y, strict=True)]
        assert both(lax.mulhi, x, y).tolist() == products


def test_four_bit_integers():
    """NumPy computes them in int8; results are int4 again."""
    x, y = jnp.array([-8, 3, 7, 5], "int4"), jnp.array([1, 2, 3, 0], "int4")
    for f in (lax.add, lax.max, lax.bitwise_xor, lax.shift_left, lax.div, lax.rem):
        assert both(f, x, y).dtype == ml_dtypes.int4
    assert both(lax.div, x, y).astype(int).tolist() == [-8, 1, 2, -1]
    assert both(lax.population_count, x).astype(int).tolist() == [1, 2, 3, 2]


def test_logic():
    """Bools stay bools, integers work bit by bit."""
    p, q = jnp.array([True, True, False]), jnp.array([True, False, False])
    assert both(lax.bitwise_and, p, q).tolist() == [True, False, False]
    assert both(lax.bitwise_or, p, q).tolist() == [True, True, False]
    assert both(lax.bitwise_xor, p, q).tolist() == [False, True, False]
    assert both(lax.bitwise_not, p).tolist() == [False, False, True]
    assert both(lax.bitwise_not, jnp.array([0, 5])).tolist() == [-1, -6]


def test_products_in_another_dtype():
    """`out_dtype` converts the operands first."""
    x = jnp.array([200, 3], "uint8")
    z = lax.mul(x, x, out_dtype=jnp.int32)
    assert (z.dtype, z.tolist()) == (np.int32, [40000, 9])


# -- rounding and formats --------------------------------------------------------------------


def test_rounding():
    """Halves go away from zero or to the even neighbour; nothing below a half goes up."""
    x = floats(0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 8388609.0, -1e20)
    away = both(lax.round, x)
    np.testing.assert_array_equal(
        away, np.float32([1, 2, 3, -1, -2, 0, 8388609, -1e20])
    )
    even = both(lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), x)
    np.testing.assert_array_equal(
        even, np.float32([0, 2, 2, -0.0, -2, 0, 8388609, -1e20])
    )
    for dtype in ("bfloat16", "float16"):
        assert lax.round(floats(0.5, 2.5, dtype=dtype)).tolist() == [1, 3]
    with pytest.raises(ValueError, match="7"):
        lax.round(x, 7)


@pytest.mark.parametrize(("name", "bits"), [("bfloat16", (8, 7)), ("float16", (5, 10))])
def test_reduce_precision_agrees_with_casting(name, bits):
    """Rounding to a format's fields and casting to it give the same normal numbers."""
    rng = np.random.default_rng(1)
    x = (rng.normal(size=1000) * np.exp2(rng.integers(-2, 13, 1000))).astype(np.float32)
    x = np.concatenate([x, [NAN, INF, -INF, 0, 65519.0, 65520.0]]).astype(np.float32)
    dtype = getattr(ml_dtypes, name, None) or np.float16
    with np.errstate(over="ignore"):
        want = x.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(
        both(lambda x: lax.reduce_precision(x, *bits), x), want
    )


def test_reduce_precision_flushes_and_overflows():
    """Below the normal numbers is 0, above the largest infinity; no mantissa leaves powers of 2."""
    y = both(
        lambda x: lax.reduce_precision(x, 5, 2),
        floats(1e-5, -1e-8, 1e30, -1e30, 1.2345),
    )
    np.testing.assert_array_equal(y, np.float32([0, -0.0, INF, -INF, 1.25]))
    assert both(
        lambda x: lax.reduce_precision(x, 8, 0), floats(1.2, 1.6, 3.1)
    ).tolist() == [1, 2, 4]
    assert ferax.grad(lambda x: lax.reduce_precision(x, 5, 2))(3.3) == 1.0
    with pytest.raises(
        ValueError, match="reduce_precision: exponent_bits must be positive; got 0"
    ):
        lax.reduce_precision(1.0, 0, 2)
    with pytest.raises(ValueError, match="mantissa_bits must not be negative; got -1"):
        lax.reduce_precision(1.0, 5, -1)


def test_nextafter():
    """The next number toward the second operand, of 16-bit floats too."""
    x, y = floats(0, 1, INF, -1, NAN), floats(1, 1, 0, -2, 0)
    np.testing.assert_array_equal(
        both(lax.nextafter, x, y), np.nextafter(np.asarray(x), np.asarray(y))
    )
    z = lax.nextafter(jnp.bfloat16(1), jnp.bfloat16(2))
    assert (z.dtype, float(z)) == (ml_dtypes.bfloat16, 1.0078125)


def test_bits_are_read_as_another_dtype():
    """Wider words split along a new last axis, narrower ones join along the last; lowest first."""
    x = floats(1.0, -2.0)
    assert both(lambda x: lax.bitcast_convert_type(x, jnp.int32), x).tolist() == [
        0x3F800000,
        -(2**30),
    ]
    parts = both(lambda x: lax.bitcast_convert_type(x, jnp.uint8), x)
    assert parts.tolist() == [[0, 0, 128, 63], [0, 0, 0, 192]]
    np.testing.assert_array_equal(
        both(lambda x: lax.bitcast_convert_type(x, jnp.float32), parts), x
    )
    whole = lax.bitcast_convert_type(jnp.arange(4, dtype="uint8"), jnp.int32)
    assert (whole.shape, int(whole)) == ((), 0x03020100)
    assert lax.bitcast_convert_type(1.0, jnp.int32) == 0x3F800000
    transposed = jnp.arange(6, dtype="float32").reshape(2, 3).T
    np.testing.assert_array_equal(
        lax.bitcast_convert_type(transposed, jnp.uint16),
        np.ascontiguousarray(transposed)[..., None].view("uint16"),
    )
    mapped = ferax.vmap(lambda x: lax.bitcast_convert_type(x, jnp.uint16), in_axes=1)(
        jnp.ones((2, 3))
    )
    assert mapped.shape == (3, 2, 2)


def test_bits_of_four_bit_integers():
    """Two int4 make one byte, the first in its lower half."""
    x = jnp.array([[1, 2], [-1, 7]], "int4")
    packed = both(lambda x: lax.bitcast_convert_type(x, jnp.uint8), x)
    assert packed.tolist() == [0x21, 0x7F]
    again = both(lambda x: lax.bitcast_convert_type(x, jnp.int4), packed)
    np.testing.assert_array_equal(again, x)


def test_bits_that_cannot_be_read_otherwise():
    """bool and complex have one reading; words must fit."""
    with pytest.raises(
        TypeError, match=r"bitcast_convert_type: bool\[2\] cannot be read as uint8"
    ):
        lax.bitcast_convert_type(jnp.ones(2, bool), jnp.uint8)
    with pytest.raises(TypeError, match=r"float32\[2\] cannot be read as complex64"):
        lax.bitcast_convert_type(jnp.ones(2), jnp.complex64)
    message = (
        "bitcast_convert_type: uint8[3] cannot be read as int32: 4 words of 8 bits make one of "
        "32, so the last axis must have size 4"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lax.bitcast_convert_type(jnp.arange(3, dtype="uint8"), jnp.int32)


def test_conversion():
    """Floats truncate toward zero, bool is x ≠ 0, results are strongly typed."""
    assert both(
        lambda x: lax.convert_element_type(x, jnp.int32), floats(-1.7, 2.2)
    ).tolist() == [-1, 2]
    assert both(
        lambda x: lax.convert_element_type(x, bool), floats(0.5, 0, NAN)
    ).tolist() == [True, False, True]
    y = lax.convert_element_type(1, float)
    assert (y.dtype, y.weak_type) == (np.float32, False)
    with pytest.raises(
        ValueError, match="convert_element_type: new_dtype must be given"
    ):
        lax.convert_element_type(1.0, None)
    there_and_back = lambda x: lax.convert_element_type(
        lax.convert_element_type(x, jnp.int32), x.dtype
    )
    assert ferax.grad(there_and_back)(3.3) == 0.0


# -- comparison and choice -------------------------------------------------------------------


def test_comparison():
    """nan is unequal to all; results are strongly typed bools."""
    x, y = floats(1, NAN, 2, -0.0), floats(1, NAN, 3, 0.0)
    assert both(lax.eq, x, y).tolist() == [True, False, False, True]
    assert both(lax.ne, x, y).tolist() == [False, True, True, False]
    assert both(lax.lt, x, y).tolist() == [False, False, True, False]
    assert both(lax.ge, x, y).tolist() == [True, False, False, True]
    z = lax.gt(2.0, 1.0)
    assert (bool(z), z.dtype, z.weak_type) == (True, np.bool_, False)
    assert both(lax.lt, jnp.array([False]), jnp.array([True])).tolist() == [True]


def test_extrema():
    """nan wins; complex numbers are ordered by real part, then by imaginary part."""
    np.testing.assert_array_equal(
        both(lax.max, floats(NAN, 1, 5), floats(1, NAN, 7)), [NAN, NAN, 7]
    )
    np.testing.assert_array_equal(
        both(lax.min, floats(NAN, 1, 5), floats(1, NAN, 7)), [NAN, NAN, 5]
    )
    x, y = jnp.array([1 + 2j, 1 - 2j, 2j]), jnp.array([1 + 1j, 1 + 3j, 1])
    assert both(lax.max, x, y).tolist() == [1 + 2j, 1 + 3j, 1]
    assert both(lax.min, x, y).tolist() == [1 + 1j, 1 - 2j, 2j]


def test_clamp():
    """The upper bound wins over the lower one; nan stays."""
    assert both(lax.clamp, np.float32(0), jnp.arange(4.0), np.float32(2)).tolist() == [
        0,
        1,
        2,
        2,
    ]
    assert both(lax.clamp, np.float32(3), jnp.arange(2.0), np.float32(1)).tolist() == [
        1,
        1,
    ]
    np.testing.assert_array_equal(lax.clamp(0.0, floats(NAN), 1.0), [NAN])
    np.testing.assert_array_equal(lax.clamp(NAN, floats(0, 1), 1.0), [NAN, NAN])
    message = "clamp: max is float32[4]; it must be a scalar or have the shape of x, float32[2,4]"
    with pytest.raises(TypeError, match=re.escape(message)):
        lax.clamp(0.0, jnp.ones((2, 4)), jnp.ones(4))


def test_select():
    """Truth values choose among two, integers among many; out of range takes the nearest."""
    cases = [jnp.full(5, float(i)) for i in range(3)]
    which = jnp.array([0, 1, 2, 5, -3])
    assert both(lax.select_n, which, *cases).tolist() == [0, 1, 2, 2, 0]
    two = both(lax.select_n, jnp.array([True, False]), jnp.zeros(2), jnp.ones(2))
    assert two.tolist() == [1, 0]
    assert lax.select_n(True, jnp.zeros(2), jnp.ones(2)).tolist() == [1, 1]
    assert lax.select(jnp.array([True, False]), jnp.ones(2), jnp.zeros(2)).tolist() == [
        1,
        0,
    ]
    assert lax.select(True, 1, 2).weak_type
    with pytest.raises(TypeError, match="select_n: cases must have one shape"):
        lax.select_n(jnp.array([True]), jnp.zeros(1), 0.0)
    with pytest.raises(
        TypeError, match=r"select_n: the selector bool\[1\] must be a scalar"
    ):
        lax.select_n(jnp.array([True]), jnp.zeros(3), jnp.zeros(3))
    with pytest.raises(TypeError, match="a bool selector has 2 cases; got 3"):
        lax.select_n(True, jnp.zeros(3), jnp.zeros(3), jnp.zeros(3))
    with pytest.raises(TypeError, match="which must be bool or integer"):
        lax.select_n(1.0, jnp.zeros(3), jnp.zeros(3))
    with pytest.raises(ValueError, match="needs at least one case"):
        lax.select_n(True)


def test_the_branch_not_chosen_has_no_derivative():
    """Infinite slopes of the other case leave no nan."""
    f = lambda x: lax.select(lax.gt(x, 0.0), lax.sqrt(x), jnp.zeros_like(x))
    assert ferax.jvp(f, (0.0,), (1.0,))[1] == 0.0


# -- derivatives at kinks and poles ----------------------------------------------------------


def gradients(f, *at):
    return tuple(float(g) for g in ferax.grad(f, tuple(range(len(at))))(*at))


@pytest.mark.parametrize(
    ("f", "at", "want"),
    [
        (lax.abs, (0.0,), (0.0,)),
        (lax.abs, (-3.0,), (-1.0,)),
        (lax.sign, (0.5,), (0.0,)),
        (lax.max, (1.0, 1.0), (0.5, 0.5)),
        (lax.min, (1.0, 1.0), (0.5, 0.5)),
        (lax.max, (2.0, 1.0), (1.0, 0.0)),
        (lax.max, (NAN, 1.0), (0.0, 0.0)),
        (lax.rem, (5.0, 3.0), (1.0, -1.0)),
        (lax.rem, (-5.0, 3.0), (1.0, 1.0)),
        (lax.div, (1.0, 2.0), (0.5, -0.25)),
        (lax.sqrt, (0.0,), (INF,)),
        (lax.sqrt, (INF,), (0.0,)),
        (lax.cbrt, (-8.0,), (1 / 12,)),
        (lax.asin, (1.0,), (INF,)),
        (lax.acosh, (1.0,), (INF,)),
        (lax.tanh, (INF,), (0.0,)),
        (lax.logistic, (-INF,), (0.0,)),
        (lax.logistic, (200.0,), (0.0,)),
        (lax.atan2, (0.0, 0.0), (0.0, 0.0)),
        (lax.atan2, (1.0, 0.0), (0.0, -1.0)),
        (lax.pow, (0.0, 0.0), (0.0, 0.0)),
        (lax.pow, (0.0, 1.0), (1.0, 0.0)),
        (lax.pow, (0.0, 2.0), (0.0, 0.0)),
        (lax.pow, (0.0, 0.5), (INF, 0.0)),
        (lax.pow, (-2.0, 3.0), (12.0, NAN)),
        (lax.bessel_i0e, (0.0,), (0.0,)),
        (lax.bessel_i1e, (0.0,), (0.5,)),
        (lax.igamma, (1.0, 0.0), (0.0, 1.0)),
        (lax.igamma, (2.0, 0.0), (0.0, 0.0)),
        (lax.erf_inv, (1.0,), (INF,)),
        (lambda x: lax.betainc(1.0, 2.0, x), (0.0,), (2.0,)),
        (lambda x: lax.betainc(2.0, 1.0, x), (1.0,), (2.0,)),
        (lambda x: lax.clamp(0.0, x, 1.0), (0.0,), (0.0,)),
        (lambda x: lax.clamp(0.0, x, 1.0), (0.5,), (1.0,)),
        (lambda x: lax.clamp(0.0, x, 1.0), (1.5,), (0.0,)),
        (lambda low: lax.clamp(low, 0.0, 1.0), (0.5,), (1.0,)),
        (lambda high: lax.clamp(-1.0, 0.0, high), (-0.5,), (1.0,)),
        (lambda x: lax.integer_pow(x, -1), (0.0,), (-INF,)),
        (lambda x: lax.integer_pow(x, 0), (0.0,), (0.0,)),
        (lambda x: lax.integer_pow(x, 1), (0.0,), (1.0,)),
        (lambda x: lax.integer_pow(x, 2), (0.0,), (0.0,)),
    ],
)
def test_derivatives_at_special_points(f, at, want):
    """Kinks have the documented derivative, and no nan where a limit exists."""
    np.testing.assert_allclose(gradients(f, *at), want, rtol=1e-6)


def test_mixed_derivatives_of_powers():
    """∂²xʸ/∂x∂y = xʸ⁻¹ (1 + y log x), also at y = 0."""
    mixed = ferax.grad(ferax.grad(lax.pow, 0), 1)
    for x, y in ((2.0, 0.0), (2.0, 3.0)):
        want = x ** (y - 1) * (1 + y * math.log(x))
        assert float(mixed(x, y)) == pytest.approx(want, rel=1e-6)


def test_second_derivatives_of_the_incomplete_gamma_function():
    """∂²P/∂a∂x comes from the first derivative by a."""
    with ferax.enable_x64(True):
        mixed = ferax.grad(ferax.grad(lax.igamma, 0), 1)(2.0, 1.5)
        slope = lambda a: np.exp((a - 1) * np.log(1.5) - 1.5 - special.gammaln(a))
        assert float(mixed) == pytest.approx(
            (slope(2 + 1e-6) - slope(2 - 1e-6)) / 2e-6, rel=1e-7
        )


def _incomplete_beta(a, b, x):
    return mpmath.betainc(a, b, 0, x, regularized=True)


def _incomplete_gamma(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


@pytest.mark.parametrize(
    ("f", "exact", "places"),
    [
        (lax.betainc, _incomplete_beta, [(2.0, 3.0, 0.4), (0.3, 5.5, 0.9), (90.0, 70.0, 0.57)]),
        (lax.igamma, _incomplete_gamma, [(2.0, 1.5), (0.3, 0.1), (8.0, 12.0), (50.0, 44.0)]),
        (lax.zeta, mpmath.zeta, [(2.0, 1.0), (1.1, 0.3), (7.0, 20.0)]),
    ],
    ids=["betainc", "igamma", "zeta"],
)  # fmt: skip
def test_derivatives_by_parameters(f, exact, places):
    """By each of them, once and twice, eager and compiled, also where fractions end early."""
    with ferax.enable_x64(True), mpmath.workdps(40):
        for place in places:
            for i in range(max(1, len(place) - 1)):
                once = [int(j == i) for j in range(len(place))]
                twice = [once[0] + 1, *once[1:]]
                first = ferax.grad(f, i)
                for got, by in ((first, once), (ferax.grad(first), twice)):
                    want = float(mpmath.diff(exact, place, tuple(by)))
                    for run in (got, ferax.jit(got)):
                        assert float(run(*place)) == pytest.approx(want, rel=1e-11)


def test_polygamma_has_no_derivative_by_its_order():
    """The order is a whole number; the error says so."""
    with pytest.raises(
        NotImplementedError, match="polygamma has no derivative by its order"
    ):
        ferax.grad(lambda m: lax.polygamma(m, 2.0))(3.0)


def test_derivatives_of_complex_functions():
    """Holomorphic functions by their complex derivative, |z| and z/|z| by parts."""
    z = 0.3 + 0.4j
    for f in (lax.exp, lax.sin, lax.log, lax.sqrt, lax.tanh, lax.asin, lax.logistic):
        with ferax.enable_x64(True):
            got = ferax.grad(f, holomorphic=True)(z)
            want = (f(z + 1e-6) - f(z - 1e-6)) / 2e-6
            assert complex(got) == pytest.approx(complex(want), rel=1e-8)
    assert complex(ferax.grad(lax.abs)(3 + 4j)) == pytest.approx(0.6 - 0.8j)
    assert complex(ferax.grad(lax.abs)(0j)) == 0
    turned = ferax.jvp(lax.sign, (2.0 + 0j,), (1j,))[1]
    assert complex(turned) == pytest.approx(0.5j)
    assert complex(ferax.jvp(lax.sign, (0j,), (1j,))[1]) == 0


def test_parts_of_complex_numbers():
    """Parts, conjugates and their derivatives; conj of a real array is complex."""
    z = jnp.array([1 + 2j, complex(INF, NAN)])
    np.testing.assert_array_equal(both(lax.real, z), np.float32([1, INF]))
    np.testing.assert_array_equal(both(lax.imag, z), np.float32([2, NAN]))
    np.testing.assert_array_equal(
        both(lax.conj, z), np.array([1 - 2j, complex(INF, NAN)])
    )
    np.testing.assert_array_equal(both(lax.complex, floats(1, INF), floats(NAN, 2)),
                                  np.array([complex(1, NAN), complex(INF, 2)]))  # fmt: skip
    assert lax.conj(floats(1.0)).dtype == np.complex64
    assert both(lax.abs, jnp.array([3 + 4j])).tolist() == [5]
    gradient = ferax.grad(
        lambda x, y: lax.real(lax.mul(lax.complex(x, y), 2 + 3j)), (0, 1)
    )
    assert [float(g) for g in gradient(1.0, 1.0)] == [2, -3]


# -- powers ----------------------------------------------------------------------------------


def test_whole_powers():
    """Negative powers of floats, wrapping powers of integers; negative ones of those refused."""
    assert both(lambda x: lax.integer_pow(x, -2), floats(2, 4)).tolist() == [
        0.25,
        0.0625,
    ]
    assert both(lambda x: lax.integer_pow(x, 0), floats(NAN, 0)).tolist() == [1, 1]
    assert both(
        lambda x: lax.integer_pow(x, 3), jnp.array([-2, 3, 100], "int8")
    ).tolist() == [-8, 27, 64]
    assert lax.integer_pow(floats(2), 2.0).tolist() == [4]
    assert lax.reciprocal(floats(0, 4)).tolist() == [INF, 0.25]
    assert float(lax.integer_pow(jnp.bfloat16(1.0078125), 1001)) == pytest.approx(
        2400, rel=0.01
    )
    message = (
        "integer_pow: integers have no negative powers; got int32[3] and y = -1. Convert x to a "
        "floating dtype first."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        lax.integer_pow(jnp.arange(3), -1)


def test_powers():
    """Exponents of the same dtype or integers; whole powers of negative numbers exist."""
    np.testing.assert_allclose(
        lax.pow(floats(2, 9, -2, -2), floats(3, 0.5, 3, 0.5)), [8, 3, -8, NAN]
    )
    assert lax.pow(floats(2, 3), jnp.array([3, -1])).tolist() == pytest.approx(
        [8, 1 / 3]
    )
    assert lax.pow(jnp.ones(3), 2).dtype == np.float32
    assert lax.pow(2.0, jnp.arange(3)).tolist() == [1, 2, 4]


# -- accuracy --------------------------------------------------------------------------------

_BOTH_SIGNS = np.concatenate([s * np.geomspace(1e-6, 20, 40) for s in (1, -1)])
_POSITIVE = np.geomspace(1e-6, 1e4, 60)
_UNIT = np.concatenate(
    [s * np.array([1e-5, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999]) for s in (1, -1)]
)
# lgamma has its zeros at 1 and 2
_AWAY = np.concatenate(
    [
        np.linspace(0.02, 0.97, 15),
        np.linspace(1.05, 1.4, 8),
        np.linspace(1.6, 1.95, 8),
        np.linspace(2.05, 12, 40),
        np.geomspace(13, 1e4, 10),
    ]
)

ACCURACY = {
    "exp": (_BOTH_SIGNS, mpmath.exp),
    "exp2": (_BOTH_SIGNS * 5, lambda x: mpmath.power(2, x)),
    "expm1": (_BOTH_SIGNS, mpmath.expm1),
    "log": (_POSITIVE, mpmath.log),
    "log1p": (np.concatenate([_POSITIVE, -np.linspace(0.01, 0.99, 50)]), mpmath.log1p),
    "logistic": (_BOTH_SIGNS, lambda x: 1 / (1 + mpmath.exp(-x))),
    "sin": (_BOTH_SIGNS, mpmath.sin),
    "cos": (_BOTH_SIGNS, mpmath.cos),
    "tan": (_BOTH_SIGNS, mpmath.tan),
    "asin": (_UNIT, mpmath.asin),
    "acos": (_UNIT, mpmath.acos),
    "atan": (_BOTH_SIGNS, mpmath.atan),
    "sinh": (_BOTH_SIGNS * 4, mpmath.sinh),
    "cosh": (_BOTH_SIGNS * 4, mpmath.cosh),
    "tanh": (_BOTH_SIGNS, mpmath.tanh),
    "asinh": (_BOTH_SIGNS, mpmath.asinh),
    "acosh": (1 + _POSITIVE, mpmath.acosh),
    "atanh": (_UNIT, mpmath.atanh),
    "sqrt": (_POSITIVE, mpmath.sqrt),
    "rsqrt": (_POSITIVE, lambda x: 1 / mpmath.sqrt(x)),
    "cbrt": (_POSITIVE, mpmath.cbrt),
    "erf": (_BOTH_SIGNS / 4, mpmath.erf),
    "erfc": (np.linspace(-5, 9, 60), mpmath.erfc),
    "erf_inv": (_UNIT, mpmath.erfinv),
    "lgamma": (_AWAY, lambda x: mpmath.log(abs(mpmath.gamma(x)))),
    "digamma": (_AWAY[np.abs(_AWAY - 1.4616) > 0.1], mpmath.digamma),
    "bessel_i0e": (_BOTH_SIGNS, lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x))),
    "bessel_i1e": (_BOTH_SIGNS, lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x))),
}


def ulps(got, exact):
    """Distances in units of the last place of the exact results."""
    errors = []
    for g, e in zip(np.asarray(got), exact, strict=True):
        unit = np.spacing(np.abs(got.dtype.type(float(e))))
        errors.append(float(abs(mpmath.mpf(float(g)) - e) / mpmath.mpf(float(unit))))
    return np.array(errors)


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name):
    """Eager and compiled, single and double: median below 1 ulp, worst below 8."""
    points, exactly = ACCURACY[name]
    f = getattr(lax, name)
    with ferax.enable_x64(True), mpmath.workdps(40):
        for dtype in (np.float32, np.float64):
            x = points.astype(dtype)
            exact = [exactly(mpmath.mpf(float(v))) for v in x]
            for how in (f, ferax.jit(f)):
                y = np.asarray(how(x))
                assert y.dtype == dtype
                error = ulps(y, exact)
                assert np.median(error) < 1
                assert error.max() < 8, x[error.argmax()]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ACCURACY)
def test_sixteen_bits_are_rounded_once(name, dtype):
    """Results are those of float32, rounded."""
    points, _ = ACCURACY[name]
    f = getattr(lax, name)
    x = jnp.asarray(points[np.abs(points) < 100].astype("float32")).astype(dtype)
    want = np.asarray(f(x.astype("float32")))
    eps = float(jnp.finfo(dtype).eps)
    tiny = float(jnp.finfo(dtype).smallest_subnormal)
    for how in (f, ferax.jit(f)):
        y = how(x)
        assert y.dtype == x.dtype
        got, limit = np.asarray(y).astype("float64"), float(jnp.finfo(dtype).max)
        kept = np.isfinite(want) & (np.abs(want) < limit)
        np.testing.assert_allclose(got[kept], want[kept], rtol=eps, atol=2 * tiny)


# -- special functions of several operands ---------------------------------------------------


def _grid(*ranges, n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [np.exp(rng.uniform(np.log(a), np.log(b), n)) for a, b in ranges]


@pytest.mark.parametrize(
    ("f", "reference", "ranges"),
    [
        (lax.igamma, special.gammainc, [(0.05, 50), (0.05, 50)]),
        (lax.igammac, special.gammaincc, [(0.05, 50), (0.05, 50)]),
        (lax.igamma, special.gammainc, [(500, 2000), (500, 2000)]),
        (lax.zeta, special.zeta, [(1.1, 20), (0.1, 50)]),
        (lax.betainc, special.betainc, [(0.1, 50), (0.1, 50), (0.01, 0.99)]),
        (lax.betainc, special.betainc, [(200, 900), (200, 900), (0.3, 0.7)]),
    ],
)
def test_compiled_special_functions_agree_with_scipy(f, reference, ranges):
    """The kernels that are written into programs converge to SciPy's values."""
    args = _grid(*ranges)
    with ferax.enable_x64(True):
        want = reference(*args)
        np.testing.assert_array_equal(np.asarray(f(*args)), want)
        np.testing.assert_allclose(
            np.asarray(ferax.jit(f)(*args)), want, rtol=1e-11, atol=1e-290
        )
    singles = [a.astype(np.float32) for a in args]
    want = reference(*(a.astype(float) for a in singles))
    got = np.asarray(ferax.jit(f)(*singles))
    np.testing.assert_allclose(got, want, rtol=2e-7, atol=1e-37)


def test_polygamma():
    """Orders 0, 1, 2, … are derivatives of digamma, other orders nan."""
    x = np.linspace(0.3, 8, 12)
    with ferax.enable_x64(True):
        for how in (lax.polygamma, ferax.jit(lax.polygamma)):
            for n in range(6):
                got = how(np.float64(n), x)
                np.testing.assert_allclose(got, special.polygamma(n, x), rtol=2e-14)
            assert np.isnan(how(1.5, 2.0))
            assert np.isnan(how(-1.0, 2.0))


EDGES = [
    (lax.igamma, [0, 0, 1, -1, NAN, 1, 1, 2], [0, 1, 0, 1, 1, -1, INF, NAN],
     [NAN, 1, 0, NAN, NAN, NAN, 1, NAN]),
    (lax.igammac, [0, 0, 1, -1, NAN, 1, 1, 2], [0, 1, 0, 1, 1, -1, INF, NAN],
     [NAN, 0, 1, NAN, NAN, NAN, 0, NAN]),
    (lax.zeta, [1, 0.5, 2, 3], [1, 1, 0, -2], [INF, NAN, INF, INF]),
    (lax.atan2, [0, 0, -0.0, 0], [0, -1, -1, 1], [0, np.pi, -np.pi, 0]),
    (lax.pow, [0, 0, INF, -1, 1], [0, -1, 0, INF, NAN], [1, INF, 1, 1, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "y", "want"), EDGES)
def test_edges_of_two_operands(f, x, y, want):
    """Values at the ends of the domains, eager and compiled."""
    for how in (f, ferax.jit(f)):
        np.testing.assert_allclose(
            np.asarray(how(floats(*x), floats(*y))), np.float32(want), rtol=1e-6
        )


@pytest.mark.parametrize(
    ("f", "x", "want"),
    [
        (lax.lgamma, [0, -1, INF, -INF, NAN, 1, 2], [INF, INF, INF, INF, NAN, 0, 0]),
        (lax.digamma, [-1, INF, NAN, 0, -0.0], [NAN, INF, NAN, -INF, INF]),
        (lax.erf_inv, [0, -1, 1, 2, NAN], [0, -INF, INF, NAN, NAN]),
        (lax.erfc, [INF, -INF, NAN, 30], [0, 2, NAN, 0]),
        (lax.bessel_i0e, [0, INF, -INF, NAN], [1, 0, 0, NAN]),
        (lax.bessel_i1e, [0, INF, -INF, NAN], [0, 0, 0, NAN]),
        (lax.exp2, [INF, -INF, NAN, 2000, -2000, 3], [INF, 0, NAN, INF, 0, 8]),
        (lax.sinh, [INF, -INF, NAN, 89], [INF, -INF, NAN, np.sinh(89.0)]),
        (lax.cosh, [INF, -INF, NAN, 89], [INF, INF, NAN, np.cosh(89.0)]),
        (lax.log1p, [-1, -2, INF, NAN, 0], [-INF, NAN, INF, NAN, 0]),
        (lax.logistic, [INF, -INF, NAN], [1, 0, NAN]),
        (lax.sign, [NAN, 0, -2, INF], [NAN, 0, -1, 1]),
    ],
)
def test_edges_of_one_operand(f, x, want):
    """Values at poles, infinities and nan, eager and compiled, single and double."""
    with ferax.enable_x64(True):
        for dtype in ("float32", "float64"):
            for how in (f, ferax.jit(f)):
                got = np.asarray(how(floats(*x, dtype=dtype)))
                np.testing.assert_allclose(got, np.array(want, dtype), rtol=1e-6)


def test_betainc_edges():
    """Parameters 0 and infinite concentrate all probability at an end."""
    a, b = [1, 0, 1, 0, 2, 2, INF, 2, -1, 2, 2], [1, 1, 0, 0, 2, 2, 1, INF, 1, 2, 2]
    x = [0.5, 0.5, 0.5, 0.5, -0.1, 1.1, 0.5, 0.5, 0.5, 0, 1]
    want = [0.5, 1, 0, NAN, NAN, NAN, 0, 1, NAN, 0, 1]
    for how in (lax.betainc, ferax.jit(lax.betainc)):
        np.testing.assert_allclose(
            how(floats(*a), floats(*b), floats(*x)), np.float32(want), rtol=1e-6
        )


def test_derivative_of_the_incomplete_gamma_function_by_its_parameter():
    """igamma_grad_a is the difference quotient; random_gamma_grad keeps the probability."""
    a, x = _grid((0.1, 60), (0.1, 60), n=30)
    with ferax.enable_x64(True):
        h = 1e-5 * a
        want = (special.gammainc(a + h, x) - special.gammainc(a - h, x)) / (2 * h)
        for how in (lax.igamma_grad_a, ferax.jit(lax.igamma_grad_a)):
            np.testing.assert_allclose(
                np.asarray(how(a, x)), want, rtol=1e-5, atol=1e-9
            )
        gradient = ferax.grad(lambda a, x: lax.igamma(a, x).sum())(
            jnp.asarray(a), jnp.asarray(x)
        )
        np.testing.assert_allclose(np.asarray(gradient), want, rtol=1e-5, atol=1e-9)
        p = np.clip(special.gammainc(a, x), 0.01, 0.99)
        sample = special.gammaincinv(a, p)
        want = (special.gammaincinv(a + h, p) - special.gammaincinv(a - h, p)) / (2 * h)
        for how in (lax.random_gamma_grad, ferax.jit(lax.random_gamma_grad)):
            np.testing.assert_allclose(np.asarray(how(a, sample)), want, rtol=1e-5)


def test_no_elements():
    """Loops to convergence end at once where there is nothing to converge."""
    empty = jnp.zeros((0, 3))
    for f in (lax.igamma, lax.zeta, lax.polygamma, lax.random_gamma_grad, lax.pow):
        assert f(empty, empty).shape == (0, 3)
        assert ferax.jit(f)(empty, empty).shape == (0, 3)


def test_copy_of_a_weak_number_stays_weak():
    """Results of unary operations on Python numbers are weakly typed, of arrays not."""
    assert lax.sin(1.0).weak_type
    assert not lax.sin(jnp.float32(1)).weak_type
    assert not lax.is_finite(1.0).weak_type
