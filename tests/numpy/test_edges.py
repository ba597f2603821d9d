"""Cases at the edge of their domain in which functions a-l once differed from NumPy or JAX."""

import ml_dtypes
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import agree, same, staged

LEAST, MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32])
@pytest.mark.parametrize("atol", [0, 1, 100])
def test_isclose_of_integers_does_not_overflow(dtype, atol):
    """Differences and absolute values that the dtype cannot hold count as they are."""
    info = np.iinfo(dtype)
    values = np.array([info.min, info.max, info.max - 1, 0, 1, 100], dtype)
    x, y = values[:, None], values[None, :]
    exact = abs(x.astype(np.int64) - y.astype(np.int64)) <= atol
    close = lambda x, y: jnp.isclose(x, y, rtol=0.0, atol=atol)
    np.testing.assert_array_equal(close(x, y), exact)
    np.testing.assert_array_equal(staged(close, x, y), exact)
    assert jnp.allclose(values, values)


def test_gcd_of_the_least_integer_is_positive():
    """Its absolute value overflows; the divisor does not."""
    x, y = np.array([LEAST, LEAST], np.int32), np.array([MOST, 6], np.int32)
    same(jnp.gcd(x, y), np.array([1, 2], np.int32))
    same(staged(jnp.gcd, x, y), np.array([1, 2], np.int32))


@pytest.mark.parametrize("name", ["log2", "log10"])
def test_a_complex_logarithm_of_zero_has_no_nan(name):
    """log 0 = -inf + 0j to any base."""
    agree(name, np.array([0, 1j, 3 - 4j], np.complex64))


@pytest.mark.parametrize(
    "name", ["divide", "hypot", "arctan2", "logaddexp", "logaddexp2"]
)
def test_a_python_integer_need_not_fit_an_integer_operand_of_a_floating_result(name):
    """int8 and 300 meet as floats, not as int8."""
    x = np.array([1, 3, 2], np.int8)
    want = getattr(np, name)(x.astype(np.float32), np.float32(300))
    same(getattr(jnp, name)(x, 300), want)
    same(staged(lambda x: getattr(jnp, name)(x, 300), x), want)


def test_frexp_has_the_derivative_of_its_mantissa():
    """m = x 2^-e with e constant: dm/dx = 2^-e; subnormals keep their exact mantissa."""
    x = jnp.array([1.0, 3.0, -8.0, 0.3])
    slope = ferax.grad(lambda x: jnp.frexp(x)[0].sum())(x)
    same(slope, np.array([0.5, 0.25, 0.0625, 2.0], np.float32))
    agree("frexp", np.array([1e-40, -3e-45, 1.0, 0.0, np.inf, 3e38], np.float32))


@pytest.mark.parametrize(("x", "n"), [(2.0**-100, 200), (2.0**100, -200), (0.0, 300)])
def test_ldexp_by_a_constant_is_compiled_without_overflow(x, n):
    """2^n is no float32, x 2^n is one; its derivative is 2^n where that is."""
    want = np.ldexp(np.float32(x), n)
    assert jnp.ldexp(x, n) == ferax.jit(lambda x: jnp.ldexp(x, n))(x) == want
    assert ferax.jit(ferax.grad(lambda x: jnp.ldexp(x, 3)))(x) == 8


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e5m2, np.float32]
)
def test_nan_is_last_in_the_order_of_small_floats(dtype):
    """Of floats that NumPy has no order of its own for, too."""
    x = np.array([1, np.nan, np.inf, -np.inf, 0, np.nan]).astype(dtype)
    order = np.array([3, 4, 0, 2, 1, 5], np.int32)
    same(jnp.argsort(x), order)
    same(jnp.lexsort([jnp.zeros(6), x]), order)
    same(staged(jnp.argsort, x), order)
    same(jnp.sort(x).astype(jnp.float32), x[order].astype(np.float32))


@pytest.mark.parametrize(
    "name", ["cumsum", "cumprod", "cumulative_sum", "cumulative_prod"]
)
def test_cumulative_functions_of_bools(name):
    """With dtype=bool a sum says whether any element was true so far, a product whether all."""
    x = np.array([[0, 2, 0], [1, 1, 0]], np.int32)
    want = getattr(np, name)(x, axis=1, dtype=bool)
    same(getattr(jnp, name)(x, axis=1, dtype=bool), want)
    same(staged(lambda x: getattr(jnp, name)(x, axis=1, dtype=bool), x), want)


def test_cumulative_sum_widens_narrow_integers():
    """As `sum` does; `cumsum` keeps the dtype, as in JAX."""
    for narrow, wide in (("int8", "int32"), ("uint8", "uint32"), ("bool", "int32")):
        x = jnp.ones(200, narrow)
        y = jnp.cumulative_sum(x)
        assert y.dtype == wide
        assert y[-1] == 200
        assert jnp.cumulative_sum(x, dtype="int8").dtype == jnp.int8
        assert jnp.cumulative_sum(jnp.float32([1, 2])).dtype == jnp.float32


@pytest.mark.parametrize(
    "dtype",
    [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn],
)
@pytest.mark.parametrize("wide", ["int32", "int64", "uint64", "int8"])
def test_small_floats_become_wide_integers(dtype, wide):
    """The bounds of 64-bit integers are no numbers of small floats; the values are kept."""
    with ferax.enable_x64(True):
        x = np.array([0.5, 1.5, -1.0, 96.0]).astype(dtype)
        want = np.array([0, 1, 0 if wide == "uint64" else -1, 96])
        same(jnp.asarray(x).astype(wide), want.astype(wide))
        ends = np.array([-np.inf, np.inf]).astype(ml_dtypes.bfloat16)
        least, most = jnp.asarray(ends).astype(wide).tolist()
        assert (least, most) == (np.iinfo(wide).min, np.iinfo(wide).max)


@pytest.mark.parametrize(
    ("value", "want"), [(np.nan, 0), (np.inf, MOST), (-1e20, LEAST)]
)
def test_a_number_out_of_range_converts_as_an_array_does(value, want, recwarn):
    """At once and compiled, without a warning: nan is 0, what is too large the nearest integer."""
    assert jnp.full((), value, dtype="int32") == want
    assert jnp.full_like(2, value) == want
    x = jnp.arange(4, dtype="int32").reshape(2, 2)
    same(jnp.astype(jnp.full((2,), value), "int32"), np.full(2, want, np.int32))
    assert ferax.jit(lambda x: jnp.full_like(x, value))(x)[0, 0] == want
    assert not recwarn.list


def test_columns_of_one_row_are_variables():
    """rowvar=False with one observation of three variables: a 3 by 3 matrix, as in NumPy."""
    x = np.array([[0.5, 1.5, 1.0]], np.float32)
    assert (
        jnp.cov(x, rowvar=False).shape == jnp.corrcoef(x, rowvar=False).shape == (3, 3)
    )
    same(jnp.cov(x, rowvar=False, bias=True), np.zeros((3, 3), np.float32))


def test_a_covariance_without_observations_is_nan():
    """As in NumPy, which takes at least 0 for the degrees of freedom."""
    assert np.isnan(jnp.cov(jnp.zeros((0,))))
    same(jnp.cov(jnp.zeros((2, 0))), np.full((2, 2), np.nan, np.float32))


def test_linspace_meets_whole_numbers():
    """Ends that are exact multiples of the step give exact multiples, 0 included."""
    same(jnp.linspace(-1, 1.5, 11), np.linspace(-1, 1.5, 11).astype(np.float32), 0)
    assert jnp.linspace(-1, 1.5, 11)[4] == 0
    counts = jnp.histogram(np.array([0.5, 1.5, 1.0, 0.0, -1.0], np.float32))[0]
    same(counts, np.array([1, 0, 0, 0, 1, 0, 1, 0, 1, 1], np.float32))


@pytest.mark.parametrize("name", ["linspace", "geomspace"])
def test_infinite_and_zero_ends_do_not_warn(name, recwarn):
    """The numbers between them are infinite, nan or 0, quietly."""
    getattr(jnp, name)(0, np.inf, 4)
    getattr(jnp, name)(0, 1, 4)
    assert not recwarn.list


def test_complex_geomspace_is_numpys():
    """The start is divided by its sign, so that the spiral begins at it."""
    agree("geomspace", 1j, -8, 4)


@pytest.mark.parametrize("name", ["linspace", "geomspace", "logspace"])
def test_spaced_numbers_between_narrow_integers_are_float32(name):
    """With 64 bits, too: only 64-bit integers become float64."""
    spaced = getattr(jnp, name)
    with ferax.enable_x64(True):
        assert spaced(jnp.int32(1), jnp.int8(4), 3).dtype == jnp.float32
        assert spaced(jnp.int64(1), 4, 3).dtype == jnp.float64
        assert spaced(1, 4, 3).dtype == jnp.float64


def test_selections_keep_their_dtype_and_fill_where_nothing_is_selected():
    """Of size 0, and from an axis without elements."""
    assert jnp.extract(np.array([True]), np.array([True]), size=0).dtype == bool
    assert not jnp.extract(np.array([True]), np.array([1]), size=0).weak_type
    found = jnp.compress(
        np.zeros(0, bool), np.zeros((0, 2), np.float32), 0, size=2, fill_value=7
    )
    same(found, np.full((2, 2), 7, np.float32))


def test_windows_take_whole_floats():
    """NumPy's callers compute the number of points."""
    same(jnp.hanning(4.0), np.hanning(4).astype(np.float32))
    same(jnp.kaiser(np.float64(4), 1.0), np.kaiser(4, 1.0).astype(np.float32))


@pytest.mark.parametrize("at", [0.0, 3.0])
def test_interp_has_a_full_slope_at_its_ends(at):
    """d/dx there is the slope of the line that ends there."""
    xp, fp = jnp.array([0.0, 1.0, 3.0]), jnp.array([1.0, 4.0, 2.0])
    slope = ferax.grad(lambda x: jnp.interp(x, xp, fp))(at)
    assert slope == (3.0 if at == 0 else -1.0)


def test_eye_takes_a_bool_for_its_diagonal():
    """True is 1, as elsewhere in Python."""
    same(jnp.eye(2, 3, True), np.eye(2, 3, 1, dtype=np.float32))
