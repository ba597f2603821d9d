"""Elementwise functions: NumPy's values, JAX's dtypes, derivatives that stay finite."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import agree, same, staged

REAL = np.array([-2.5, -1.0, -0.25, 0.0, 0.5, 1.0, 3.75], np.float32)
UNIT = np.array([-1.0, -0.5, 0.0, 0.25, 1.0], np.float32)
POSITIVE = np.array([0.0, 0.5, 1.0, 7.0, np.inf], np.float32)
SPECIAL = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], np.float32)
WHOLE = np.array([-7, -1, 0, 1, 6], np.int32)
COMPLEX = np.array([1 + 2j, -0.5j, 2.0], np.complex64)

UNARY = [
    ("abs", REAL, SPECIAL, WHOLE, COMPLEX), ("negative", REAL, WHOLE, COMPLEX),
    ("positive", REAL, WHOLE), ("sign", REAL, WHOLE, SPECIAL), ("square", REAL, WHOLE, COMPLEX),
    ("reciprocal", REAL[:3], COMPLEX), ("sqrt", POSITIVE, COMPLEX), ("cbrt", REAL),
    ("exp", REAL, SPECIAL, COMPLEX), ("exp2", REAL), ("expm1", REAL), ("log", POSITIVE, COMPLEX),
    ("log2", POSITIVE), ("log10", POSITIVE), ("log1p", POSITIVE), ("sin", REAL, COMPLEX),
    ("cos", REAL, COMPLEX), ("tan", REAL), ("arcsin", UNIT), ("arccos", UNIT),
    ("arctan", REAL, SPECIAL), ("sinh", REAL, COMPLEX), ("cosh", REAL), ("tanh", REAL, SPECIAL),
    ("arcsinh", REAL), ("arccosh", POSITIVE[2:]), ("arctanh", UNIT), ("deg2rad", REAL),
    ("rad2deg", REAL), ("sinc", REAL), ("i0", REAL), ("floor", REAL, SPECIAL, WHOLE),
    ("ceil", REAL, SPECIAL, WHOLE), ("trunc", REAL, SPECIAL, WHOLE), ("rint", REAL, SPECIAL),
    ("round", REAL, WHOLE), ("fabs", REAL, SPECIAL), ("real", REAL, COMPLEX),
    ("imag", REAL, COMPLEX), ("conj", REAL, COMPLEX), ("angle", COMPLEX),
    ("isnan", REAL, SPECIAL, WHOLE, COMPLEX), ("isfinite", SPECIAL, WHOLE, COMPLEX),
    ("isinf", SPECIAL, WHOLE, COMPLEX), ("isposinf", SPECIAL), ("isneginf", SPECIAL),
    ("iscomplex", REAL, COMPLEX), ("isreal", REAL, COMPLEX), ("signbit", SPECIAL, REAL),
    ("nan_to_num", SPECIAL, WHOLE), ("frexp", REAL, SPECIAL), ("modf", REAL),
    ("spacing", REAL), ("logical_not", REAL, WHOLE), ("bitwise_not", WHOLE),
]  # fmt: skip

BINARY = [
    ("add", REAL, WHOLE, COMPLEX), ("subtract", REAL, WHOLE, COMPLEX),
    ("multiply", REAL, WHOLE, COMPLEX), ("true_divide", REAL, COMPLEX),
    ("floor_divide", REAL, WHOLE, SPECIAL), ("remainder", REAL, WHOLE, SPECIAL),
    ("divmod", REAL, WHOLE), ("fmod", REAL, WHOLE), ("power", POSITIVE), ("float_power", POSITIVE),
    ("maximum", REAL, WHOLE, SPECIAL), ("minimum", REAL, WHOLE, SPECIAL), ("fmax", REAL, SPECIAL),
    ("fmin", REAL, SPECIAL), ("arctan2", REAL, SPECIAL), ("hypot", REAL, SPECIAL),
    ("logaddexp", REAL, SPECIAL), ("logaddexp2", REAL), ("copysign", REAL, SPECIAL),
    ("heaviside", REAL, SPECIAL), ("nextafter", REAL), ("equal", REAL, WHOLE, SPECIAL, COMPLEX),
    ("not_equal", REAL, SPECIAL), ("less", REAL, SPECIAL, COMPLEX), ("less_equal", REAL, COMPLEX),
    ("greater", REAL, WHOLE, COMPLEX), ("greater_equal", REAL, COMPLEX), ("logical_and", REAL),
    ("logical_or", REAL), ("logical_xor", WHOLE), ("bitwise_and", WHOLE), ("bitwise_or", WHOLE),
    ("bitwise_xor", WHOLE), ("gcd", WHOLE), ("lcm", WHOLE), ("isclose", REAL, SPECIAL),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x"), [(n, x) for n, *xs in UNARY for x in xs])
def test_a_function_of_one_array_is_numpys(name, x):
    """Values agree at once and staged; results are float32 where NumPy has float64."""
    agree(name, x)


@pytest.mark.parametrize(("name", "x"), [(n, x) for n, *xs in BINARY for x in xs])
def test_a_function_of_two_arrays_is_numpys_on_all_pairs(name, x):
    """Operands broadcast inside the operation: (n, 1) against (n,)."""
    agree(name, x[:, None], x)


DTYPES = [
    ("int32 + 1.0", lambda: jnp.arange(3) + 1.0, "float32", True),
    ("float32 + 1", lambda: jnp.ones(3) + 1, "float32", False),
    ("bool + 1", lambda: jnp.array([True]) + 1, "int32", True),
    ("int8 + uint8", lambda: jnp.ones(1, "int8") + jnp.ones(1, "uint8"), "int16", False),
    ("bfloat16 + float16", lambda: jnp.bfloat16(1) + jnp.float16(1), "float32", False),
    ("int32 + float16", lambda: jnp.arange(1) + jnp.float16(1), "float16", False),
    ("int8 / int8", lambda: jnp.ones(1, "int8") / jnp.ones(1, "int8"), "float32", False),
    ("int32 ** 2", lambda: jnp.arange(3) ** 2, "int32", False),
    ("int32 ** 0.5", lambda: jnp.arange(3) ** 0.5, "float32", True),
    ("bool * bool", lambda: jnp.array([True]) * jnp.array([True]), "bool", False),
    ("bool // bool", lambda: jnp.array([True]) // jnp.array([True]), "int32", False),
    ("float32 * 1j", lambda: jnp.ones(1) * 1j, "complex64", False),
    ("sin of bool", lambda: jnp.sin(jnp.array([True])), "float32", False),
    ("add(1, 2.0)", lambda: jnp.add(1, 2.0), "float32", True),
    ("int32 < 1.5", lambda: jnp.arange(3) < 1.5, "bool", False),
    ("uint8 + 300", lambda: jnp.ones(1, "uint8") + 300, "uint8", False),
    ("floor of int", lambda: jnp.floor(jnp.arange(2)), "int32", False),
    ("abs of complex", lambda: jnp.abs(jnp.array([3 + 4j])), "float32", False),
    ("bitwise_count", lambda: jnp.bitwise_count(jnp.array([7])), "uint8", False),
    ("heaviside", lambda: jnp.heaviside(jnp.ones(1), 0.5), "float32", False),
    ("copysign(1, array)", lambda: jnp.copysign(1, jnp.float16(-1)), "float16", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "dtype", "weak"), [c[1:] for c in DTYPES], ids=[c[0] for c in DTYPES]
)
def test_results_have_the_promoted_dtype_and_weakness(run, dtype, weak):
    """The table of promotion, seen through functions."""
    got = run()
    assert (got.dtype.name, got.weak_type) == (dtype, weak)


def test_constants_are_not_converted_in_programs():
    """A Python number enters a program as a literal of the array's dtype: one equation."""
    text = str(ferax.make_jaxpr(lambda a, b: a * 2 + b)(jnp.ones((3, 1)), jnp.ones(4)))
    assert text.count("=") == 2
    assert "convert" not in text
    assert "broadcast" not in text


def test_division_by_a_known_number_needs_no_care_for_zero():
    """x % 2 is a remainder and its correction."""
    text = str(ferax.make_jaxpr(lambda x: x % 2)(jnp.arange(3)))
    assert text.count("=") == 4


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integers_by_zero_are_zero(name):
    """At once and compiled, as NumPy has it."""
    x, zero = jnp.array([5, -5, 0]), jnp.zeros(3, int)
    f = getattr(jnp, name)
    same(f(x, zero), np.zeros(3, np.int32))
    same(ferax.jit(f)(x, zero), np.zeros(3, np.int32))


def test_powers_with_whole_exponents():
    """Static ones are exact products; negative ones of integers are an error."""
    x = jnp.array([-2, 3])
    same(x**3, np.array([-8, 27], np.int32))
    same(x**0, np.array([1, 1], np.int32))
    same(jnp.power(x, jnp.array([2, 5])), np.array([4, 243], np.int32))
    same(2 ** jnp.arange(4), np.array([1, 2, 4, 8], np.int32))
    with pytest.raises(TypeError, match="negative powers"):
        x**-1


def test_shifts_fill_with_zeros_or_the_sign():
    """Left shifts beyond the width give 0; right shifts keep the sign of signed integers."""
    same(
        jnp.left_shift(jnp.array([1, -1]), jnp.array([4, 33])),
        np.array([16, 0], np.int32),
    )
    same(jnp.right_shift(jnp.array([-8, 8]), 1), np.array([-4, 4], np.int32))
    same(jnp.right_shift(jnp.array([200], "uint8"), 1), np.array([100], np.uint8))


def test_clip_binds_by_the_bounds_that_are_given():
    """Bounds may be left out or be arrays; complex numbers are refused."""
    x = jnp.arange(5)
    same(jnp.clip(x, 1, 3), np.clip(np.arange(5, dtype=np.int32), 1, 3))
    same(
        jnp.clip(x, max=jnp.array([0, 9, 9, 9, 2])), np.array([0, 1, 2, 3, 2], np.int32)
    )
    same(jnp.clip(x), np.arange(5, dtype=np.int32))
    with pytest.raises(ValueError, match="have no order"):
        jnp.clip(x * 1j, 0, 1)


def test_comparisons_of_whole_arrays():
    """array_equal and array_equiv answer False to shapes that do not fit."""
    x = jnp.array([1.0, jnp.nan])
    assert not jnp.array_equal(x, x)
    assert jnp.array_equal(x, x, equal_nan=True)
    assert not jnp.array_equal(x, jnp.ones(3))
    assert jnp.array_equal(jnp.arange(2), [0, 1])
    assert jnp.array_equiv(jnp.ones((2, 3)), jnp.ones(3))
    assert not jnp.array_equiv(jnp.ones((2, 3)), jnp.ones(2))
    assert jnp.allclose(jnp.array([1, 10]), jnp.array([1, 10]))
    assert not jnp.allclose(x, x)


def test_anatomy_of_floating_numbers_survives_subnormals():
    """frexp and ldexp are inverse to each other, at the ends of the range, too."""
    x = np.array([1e-45, 1.1754944e-38, -3.4e38, 3.0], np.float32)
    m, e = jnp.frexp(jnp.asarray(x))
    want_m, want_e = np.frexp(x)
    same(m, want_m)
    same(e, want_e)
    same(jnp.ldexp(m, e), x, 0)
    same(jnp.ldexp(jnp.float32(1), jnp.array([127, -149, 200])),
         np.array([2.0**127, 2.0**-149, np.inf], np.float32), 0)  # fmt: skip
    with pytest.raises(ValueError, match="integer x2"):
        jnp.ldexp(1.0, 2.0)


GRADIENTS = [
    (jnp.logaddexp, (0.0, 0.0), (0.5, 0.5)), (jnp.logaddexp, (-np.inf, -np.inf), (0.5, 0.5)),
    (jnp.logaddexp, (np.inf, 0.0), (1.0, 0.0)), (jnp.logaddexp2, (0.0, 0.0), (0.5, 0.5)),
    (jnp.hypot, (0.0, 0.0), (0.0, 0.0)), (jnp.hypot, (3.0, 4.0), (0.6, 0.8)),
    (jnp.maximum, (1.0, 1.0), (0.5, 0.5)), (jnp.remainder, (-5.0, 3.0), (1.0, 2.0)),
    (jnp.floor_divide, (5.0, 3.0), (0.0, 0.0)), (jnp.power, (0.0, 2.0), (0.0, 0.0)),
    (jnp.copysign, (1.5, -2.0), (-1.0, 0.0)), (jnp.heaviside, (0.0, 2.0), (0.0, 1.0)),
    (jnp.sinc, (0.0,), (0.0,)), (ferax.grad(jnp.sinc), (0.0,), (-(np.pi**2) / 3,)),
    (lambda x: x**1, (0.0,), (1.0,)), (lambda x: x**0, (0.0,), (0.0,)),
    (jnp.nan_to_num, (np.nan,), (0.0,)), (jnp.round, (1.5,), (0.0,)),
    (lambda x: jnp.ldexp(x, 2), (3.5,), (4.0,)), (jnp.abs, (0.0,), (0.0,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "at", "want"), GRADIENTS)
def test_gradients_at_kinks_and_poles(f, at, want):
    """Nothing is nan where a one-sided or limiting derivative exists."""
    got = ferax.grad(f, argnums=tuple(range(len(at))))(*map(float, at))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


BINARY_UFUNCS = [
    "add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "logical_xor",
    "bitwise_and", "bitwise_or", "bitwise_xor", "subtract",
]  # fmt: skip


@pytest.mark.parametrize("name", BINARY_UFUNCS)
def test_ufuncs_reduce_accumulate_and_spread(name):
    """reduce, accumulate, outer and reduceat are NumPy's."""
    x = np.array([[3, 1, 2], [0, 5, 4]], np.int32)
    mine, theirs = getattr(jnp, name), getattr(np, name)
    same(
        mine.reduce(jnp.asarray(x)),
        theirs.reduce(x, dtype=None if "log" in name else np.int32),
    )
    same(mine.reduce(jnp.asarray(x), axis=1, keepdims=True), theirs.reduce(x, axis=1, keepdims=True)
         .astype(bool if "log" in name else np.int32))  # fmt: skip
    same(mine.outer(jnp.asarray(x[0]), jnp.asarray(x)), theirs.outer(x[0], x))
    if not name.startswith("logical"):
        same(
            mine.accumulate(jnp.asarray(x), axis=1),
            theirs.accumulate(x, axis=1).astype(np.int32),
        )
        places = np.array([0, 2, 1])
        want = theirs.reduceat(x, places, axis=1).astype(np.int32)
        same(mine.reduceat(jnp.asarray(x), jnp.asarray(places), axis=1), want)


def test_ufuncs_of_python_functions():
    """frompyfunc vectorises; its folds go from the left; at() applies repeated indices twice."""
    mad = jnp.frompyfunc(lambda a, b: a * b + 1, 2, 1)
    x = jnp.arange(1, 5)
    same(mad(x, x[:, None]), np.asarray(x) * np.asarray(x)[:, None] + 1)
    assert int(mad.reduce(x)) == 41
    assert int(mad.reduce(x, initial=2)) == 89
    assert int(mad.reduce(x, initial=5, where=x > 2)) == 65
    same(mad.accumulate(x), np.array([1, 3, 10, 41], np.int32))
    same(
        mad.at(x, jnp.array([0, 0]), 2, inplace=False), np.array([7, 2, 3, 4], np.int32)
    )
    same(
        jnp.add.at(x, jnp.array([0, 0]), 2, inplace=False),
        np.array([5, 2, 3, 4], np.int32),
    )
    with pytest.raises(NotImplementedError, match="inplace=False"):
        jnp.add.at(x, 0, 1)
    with pytest.raises(ValueError, match="does not have an identity"):
        mad.reduce(x, where=x > 2)
    with pytest.raises(ValueError, match="binary"):
        jnp.negative.reduce(x)
    assert repr(jnp.add) == "<jnp.ufunc 'add'>"
    assert (jnp.add.nin, jnp.add.nout, jnp.add.identity) == (2, 1, 0)


def test_what_is_not_an_operand_is_refused():
    """Lists, None, out= and where= name the function; shapes that do not fit name both."""
    with pytest.raises(
        TypeError, match="add requires ndarray or scalar arguments, got <class 'list'>"
    ):
        jnp.add(jnp.arange(3), [1, 2, 3])
    with pytest.raises(TypeError, match="sin requires ndarray or scalar arguments"):
        jnp.sin(None)
    with pytest.raises(NotImplementedError, match="out argument"):
        jnp.add(1, 2, out=jnp.arange(3))
    with pytest.raises((TypeError, ValueError), match=r"\(3,\) and \(4,\)"):
        jnp.arange(3) + jnp.arange(4)
    with pytest.raises(TypeError, match="bool"):
        jnp.subtract(True, False)
    with pytest.raises(TypeError, match="complex"):
        jnp.floor_divide(1j, 2)


def test_promotion_obeys_the_flags():
    """Strict promotion and strict ranks are errors, scalars excepted."""
    with ferax.numpy_dtype_promotion("strict"):
        assert (jnp.ones(2) + 1).dtype == jnp.float32
        with pytest.raises(ValueError, match="strict"):
            jnp.ones(2) + jnp.arange(2)
    with ferax.numpy_rank_promotion("raise"):
        assert (jnp.ones((2, 2)) + 1).shape == (2, 2)
        with pytest.raises(ValueError, match="numpy_rank_promotion"):
            jnp.ones((2, 2)) + jnp.ones(2)
    with ferax.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="ranks"):
        jnp.add(jnp.ones((2, 2)), jnp.ones(2))


def test_sixteen_bits_are_kept():
    """Functions of float16 and bfloat16 stay in them; quotients are rounded once."""
    x = jnp.array([0.5, 2.25], "bfloat16")
    for f in (jnp.sin, jnp.exp, jnp.sqrt, jnp.floor, jnp.sign):
        assert f(x).dtype == jnp.bfloat16
        assert staged(f, x).dtype == jnp.bfloat16
    assert jnp.round(jnp.float16(1234.567), 1).dtype == jnp.float16


TOO_LARGE = {
    "add": lambda x: x + 2**40,
    "reflected": lambda x: -(2**40) - x,
    "compare": lambda x: x < 2**40,
    "function": lambda x: jnp.maximum(x, 2**40),
    "mask": lambda x: x & 0xFFFFFFFF,
    "where": lambda x: jnp.where(x > 1, x, 2**40),
    "lax": lambda x: ferax.lax.add(x, 2**40),
    "traced": lambda x: ferax.jit(lambda x: x + 2**40)(x),
    "mapped": lambda x: ferax.vmap(lambda x: x + 2**40)(x),
    "bytes": lambda x: x.astype("int8") + 2**40,
    "more than 64 bits": lambda x: x + 2**70,
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_python_integers_that_do_not_fit(name):
    """An integer beyond the default integer dtype is an error beside integers, also again."""
    for _ in range(2):
        with pytest.raises(OverflowError):
            TOO_LARGE[name](jnp.arange(3))


def test_python_integers_that_fit_wrap_around():
    """Integers of the default width adapt to narrower and to unsigned dtypes as casts do."""
    x = jnp.arange(3)
    assert (x.astype("int8") + 200).tolist() == [-56, -55, -54]
    assert (x.astype("uint8") - 1).tolist() == [255, 0, 1]
    assert (x.astype("uint32") & 0xFFFFFFFF).tolist() == [0, 1, 2]
    with ferax.enable_x64(True):
        assert (jnp.arange(3) + 2**40).tolist() == [2**40, 2**40 + 1, 2**40 + 2]
        assert (jnp.arange(3, dtype="int32") + 2**40).tolist() == [0, 1, 2]
    with pytest.raises(OverflowError):
        x + 2**40
