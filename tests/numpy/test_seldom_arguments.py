"""Arguments that are seldom given, and what functions say to those that they cannot take."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import same

X = np.array([[3.0, -1.0, 2.0], [0.5, 7.0, -2.0]], np.float32)
WHOLE = np.array([[3, -1, 2], [0, 7, -2]], np.int32)
BOOLS = np.array([[True, False, True], [True, True, False]])
EMPTY = np.zeros((0, 3), np.float32)


# -- reductions ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["var", "std", "nanvar", "nanstd"])
def test_ddof_may_be_an_array(name):
    """Eagerly and traced; a number less than n is taken off the number of elements."""
    f = getattr(jnp, name)
    want = getattr(np, name)(X, axis=1, ddof=1)
    for ddof in (jnp.float32(1), np.int64(1), np.float64(1)):
        same(f(jnp.asarray(X), axis=1, ddof=ddof), want)
    same(ferax.jit(lambda d: f(jnp.asarray(X), axis=1, ddof=d))(1), want)


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "nansum", "nanprod",
                                  "nancumsum", "nancumprod"])  # fmt: skip
@pytest.mark.parametrize("x", [BOOLS, WHOLE, X], ids=["bool", "int", "float"])
def test_sums_of_truths_are_or_and_products_and(name, x):
    """With dtype=bool, as in NumPy: True + True is True."""
    f = getattr(jnp, name)
    want = getattr(np, name)(x, axis=1, dtype=bool)
    same(f(jnp.asarray(x), axis=1, dtype=bool), want)
    same(ferax.jit(lambda x: f(x, axis=1, dtype=bool))(x), want)


def test_reductions_of_ufuncs_take_dtypes():
    """The elements are converted first; results of logical ones are converted after."""
    x = jnp.asarray(X)
    assert jnp.maximum.reduce(x, dtype="float16").dtype == jnp.float16
    same(jnp.minimum.reduce(x, axis=1, dtype="int32"), np.array([-1, -2], np.int32))
    same(jnp.logical_and.reduce(x, dtype="int32"), np.ones(3, np.int32))
    same(jnp.logical_or.reduce(x, axis=None, dtype="int32"), np.int32(1))


def test_reduceat_of_no_indices_and_of_wrong_ones():
    """No slices have no reductions; an index must be one of an element."""
    x = jnp.asarray(X)
    assert jnp.add.reduceat(x, jnp.array([], int)).shape == (0, 3)
    assert jnp.add.reduceat(x, jnp.array([], int), axis=1).shape == (2, 0)
    assert jnp.add.reduceat(jnp.array([True]), jnp.array([], int)).dtype == jnp.int32
    for index in (2, -1):
        with pytest.raises(
            IndexError, match=rf"maximum.reduceat: index {index} is out of bounds"
        ):
            jnp.maximum.reduceat(x, jnp.array([0, index]))


def test_ufuncs_of_one_operand_are_applied_once_for_each_index():
    """Twice negative is as before."""
    x = np.array([1.0, 2.0, 3.0], np.float32)
    want = x.copy()
    np.negative.at(want, [0, 0, 1])
    same(jnp.negative.at(jnp.asarray(x), jnp.array([0, 0, 1]), inplace=False), want)


def test_places_of_extrema_of_one_number():
    """It is at 0 along axis 0, as in NumPy; -1 if it is nan."""
    for name in ("nanargmax", "nanargmin"):
        f = getattr(jnp, name)
        assert f(jnp.float32(3), axis=0).item() == 0
        assert f(jnp.float32(jnp.nan), axis=-1).item() == -1


# -- linear algebra ------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, np.inf, "nuc", "fro"])
def test_norms_of_empty_matrices_are_zero(order):
    """The largest of no sums is 0, as in NumPy."""
    assert jnp.linalg.norm(jnp.asarray(EMPTY), order).item() == 0
    assert jnp.linalg.matrix_norm(jnp.asarray(EMPTY.T), ord=order).item() == 0


@pytest.mark.parametrize("order", [-1, -2, -0.5])
def test_norms_of_negative_order(order):
    """0 where an element is 0, infinite of no elements, as in NumPy."""
    for x in ([3.0, -4.0], [0.0, 2.0], []):
        x = np.array(x, np.float32)
        with np.errstate(divide="ignore"):
            want = np.linalg.norm(x, order)
        same(jnp.linalg.norm(jnp.asarray(x), order), want)


def test_limits_of_singular_values_broadcast():
    """One matrix with several limits is several matrices."""
    x, limits = (
        np.diag([1.0, 0.5, 0.1]).astype(np.float32),
        np.array([0.2, 0.7], np.float32),
    )
    same(
        jnp.linalg.matrix_rank(jnp.asarray(x), rtol=limits), np.array([2, 1], np.int32)
    )
    want = np.stack([np.linalg.pinv(x, rcond=r) for r in limits])
    same(jnp.linalg.pinv(jnp.asarray(x), rtol=limits), want)
    same(jnp.linalg.pinv(jnp.asarray(x), rtol=limits[:, None]), want[:, None])


def test_ranks_are_default_integers():
    """int64 with 64 bits, also of vectors and of nothing."""
    with ferax.enable_x64(True):
        for x in (jnp.eye(2), jnp.ones(2), jnp.zeros((0, 2))):
            assert jnp.linalg.matrix_rank(x).dtype == jnp.int64
        for x in (jnp.eye(2), jnp.zeros((2, 0))):
            assert jnp.linalg.lstsq(x, jnp.ones(2))[2].dtype == jnp.int64


@pytest.mark.parametrize("name", ["norm", "vector_norm", "matrix_norm", "cond"])
def test_the_order_of_a_norm_is_no_array(name):
    """It decides what is computed, so that it cannot be traced."""
    f = getattr(jnp.linalg, name)
    option = "p" if name == "cond" else "ord"
    with pytest.raises(
        TypeError, match=f"{name}: the order of a norm must be a number"
    ):
        f(jnp.eye(2), **{option: jnp.float32(2)})


# -- Fourier transforms ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_transforms_of_nothing_have_the_dtype_of_all_others(name):
    """Real where the transform of numbers is real."""
    f = getattr(jnp.fft, name)
    for x in (jnp.zeros(0), jnp.zeros((2, 0), int)):
        assert f(x).dtype == f(jnp.ones(4)).dtype
        assert f(x).shape == x.shape


@pytest.mark.parametrize("axes", [(0, 0), (1, 0, 1), (-1, 1), None, 0])
def test_axes_shifted_twice_are_shifted_twice(axes):
    """As in NumPy."""
    x = np.arange(15).reshape(3, 5).astype(np.int32)
    same(jnp.fft.fftshift(jnp.asarray(x), axes), np.fft.fftshift(x, axes))
    same(jnp.fft.ifftshift(jnp.asarray(x), axes), np.fft.ifftshift(x, axes))


# -- polynomials, shapes, bytes --------------------------------------------------------------


def test_several_polynomials():
    """Further axes of coefficients broadcast with where they are evaluated."""
    p, x = (
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([1.0, 2.0, 3.0], np.float32),
    )
    want = np.polyval(p, x)
    same(jnp.polyval(jnp.asarray(p), jnp.asarray(x)), want)
    same(ferax.jit(lambda p, x: jnp.polyval(p, x, unroll=1))(p, x), want)
    same(jnp.polyval(jnp.asarray(p), 2.0), np.polyval(p, np.float32(2)))
    same(
        jnp.polyadd(jnp.asarray(p), jnp.asarray(p[:1])),
        p + np.array([[0], [1]]) * p[:1],
    )


def test_grids_of_no_points():
    """An imaginary step is how many there are."""
    assert jnp.mgrid[0:1:0j].shape == np.mgrid[0:1:0j].shape == (0,)
    assert jnp.ogrid[0:1:0j].shape == (0,)


def test_jumps_of_unsigned_numbers():
    """Their differences have no sign to take away."""
    assert jnp.unwrap(jnp.array([0, 5, 10, 3], "uint8"), period=3).dtype == jnp.uint8


VIEWED = ["bool", "int8", "uint8", "int16", "uint32", "float16", "float32", "complex64"]


@pytest.mark.parametrize("to", VIEWED)
@pytest.mark.parametrize("of", VIEWED)
def test_views_are_numpys(of, to):
    """The same bytes as any other dtype, bools and complex numbers too."""
    for shape in ((8,), (2, 8), (0,), ()):
        x = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2).astype(of)
        if shape == () and x.dtype.itemsize != np.dtype(to).itemsize:
            with pytest.raises(ValueError, match="0d array"):
                jnp.asarray(x).view(to)
            continue
        # a byte is True if it is not 0; NumPy's bools keep the byte
        want = x.view("uint8") != 0 if to == "bool" else x.view(to)
        for got in (jnp.asarray(x).view(to), ferax.jit(lambda x: x.view(to))(x)):
            assert got.dtype == to
            assert np.array_equal(got, want, equal_nan=to in VIEWED[5:])
    with pytest.raises(ValueError, match="no multiple of the 8 bytes of complex64"):
        jnp.ones(3, "uint8").view("complex64")


# -- powers at places, and derivatives -------------------------------------------------------


def test_powers_at_places_leave_the_others_alone():
    """Also their derivatives: x ** 1 has none by its exponent where x < 0."""
    x, index = jnp.array([3.0, -1.0, 2.0]), jnp.array([0, 0, 2])

    def f(x, v):
        return x.at[index].power(v)

    v = jnp.array([2.0, 0.5, 3.0])
    same(f(x, v), np.array([3.0, -1.0, 8.0], np.float32))
    t = ferax.jvp(f, (x, v), (jnp.ones(3), jnp.zeros(3)))[1]
    same(t, np.array([1.0, 1.0, 12.0], np.float32))
    forward = ferax.jvp(f, (x, v), (jnp.zeros(3), jnp.ones(3)))[1]
    same(forward, np.array([3 * np.log(3) * 2.5, 0, 8 * np.log(2)], np.float32), 1e-5)
    same(ferax.jacrev(f, 1)(x, v).sum(1), forward, 1e-5)


def test_powers_of_bools_at_places_are_integers():
    """As they are elsewhere."""
    same(jnp.array([True, False]).at[1].power(2), np.array([1, 0], np.int32))


def test_the_fraction_of_infinite_numbers_is_zero():
    """With their sign, as in NumPy."""
    x = np.array([np.inf, -np.inf, 2.5, -2.5, np.nan], np.float32)
    for got in (jnp.modf(jnp.asarray(x)), ferax.jit(jnp.modf)(x)):
        same(got, np.modf(x))
        assert np.array_equal(np.signbit(got[0])[:4], [False, True, False, True])


def test_the_spacing_of_numbers_is_piecewise_constant():
    """Its derivative is 0."""
    assert ferax.grad(jnp.spacing)(1.0).item() == 0


# -- errors ------------------------------------------------------------------------------------

ERRORS = [
    (TypeError, "var requires ndarray or scalar", lambda x: jnp.var(x, ddof=None)),
    (TypeError, "roll: a shift must be an integer; got 1.5", lambda x: jnp.roll(x, 1.5, 0)),
    (TypeError, "roll: a shift must be an integer; got None", lambda x: jnp.roll(x, None)),
    (TypeError, "tri: N must be an integer; got 'a'", lambda x: jnp.tri("a")),
    (TypeError, "polyfit: deg must be an integer; got 1.5",
     lambda x: jnp.polyfit(x[0], x[0], 1.5)),
    (TypeError, "indexed with slices; got 1", lambda x: jnp.mgrid[0:3, 1]),
    (TypeError, "indexed with slices; got 1", lambda x: jnp.ogrid[0:3, 1]),
    (ValueError, "trim_zeros: trim must be 'f', 'b' or 'fb'; got 'x'",
     lambda x: jnp.trim_zeros(x[0], "x")),
    (ValueError, "got None", lambda x: jnp.trim_zeros(x[0], None)),
    (ValueError, r"svd: subset_by_index must be \(start, stop\)",
     lambda x: jnp.linalg.svd(x, False, subset_by_index=1)),
    (TypeError, "fftfreq: n must be an integer; got 2.5", lambda x: jnp.fft.fftfreq(2.5)),
    (TypeError, "indexed with slices; got 3", lambda x: jnp.mgrid[3]),
    (TypeError, "fftn: axes must be a sequence of integers; got 0",
     lambda x: jnp.fft.fftn(x, axes=0)),
    (TypeError, "ifftn: s must be a sequence of integers; got 3", lambda x: jnp.fft.ifftn(x, 3)),
    (ValueError, "fft2: two axes are needed; got axes=0", lambda x: jnp.fft.fft2(x, axes=0)),
    (TypeError, "polyder: m must be an integer; got 'a'", lambda x: jnp.polyder(x[0], "a")),
    (TypeError, "polyint: m must be an integer; got 1.5", lambda x: jnp.polyint(x[0], 1.5)),
    (TypeError, "trunc does not accept complex numbers", lambda x: jnp.trunc(x + 1j)),
    (TypeError, "modf does not accept complex numbers", lambda x: jnp.modf(x + 1j)),
    (ValueError, r"sum: where and a: shapes \(4,\) and \(2, 3\) cannot be broadcast",
     lambda x: jnp.sum(x, where=jnp.ones(4, bool))),
    (TypeError, "fft: a length must be an integer; got 2.5", lambda x: jnp.fft.fft(x, 2.5)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "f"), ERRORS)
def test_errors_name_the_function_and_what_was_wrong(error, message, f):
    """Not an attribute that an argument lacks, deep inside."""
    with pytest.raises(error, match=message):
        f(jnp.asarray(X))


# -- weak types --------------------------------------------------------------------------------

DIVISIONS = {
    "x // 2": lambda x: x // 2, "2.5 // x": lambda x: 2.5 // x, "x // 2.5": lambda x: x // 2.5,
    "x % 2": lambda x: x % 2, "2.5 % x": lambda x: 2.5 % x, "divmod": lambda x: divmod(x, 2.5)[0],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float32"])
@pytest.mark.parametrize("f", DIVISIONS.values(), ids=DIVISIONS)
def test_divisions_are_as_weakly_typed_staged_as_at_once(f, dtype):
    """What a number of Python meets decides, not how the result is computed."""
    x = jnp.array([1, 1, 1]).astype(dtype)
    want = f(x)
    for got in (ferax.jit(f)(x), ferax.vmap(f)(x)):
        assert (got.dtype, got.weak_type) == (want.dtype, want.weak_type)
