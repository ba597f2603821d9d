"""Parameters of `lax` functions that are rare: no elements to map over, small floats, messages."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from tests.samples.base import array

MATRICES = (((1,), (0,)), ((), ()))
ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))
POINTS = lax.ScatterDimensionNumbers((), (0,), (0,))
KERNEL = np.ones((2, 1, 2, 2), "float32")
NONE = np.zeros((0, 3, 4), "float32")


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x, i: lax.dynamic_slice(x, (i, 0), (2, 3)), (2, 3)),
        (lambda x, i: lax.dynamic_update_slice(x, x[:1], (i, 0)), (3, 4)),
        (lambda x, i: x[i], (4,)),
        (lambda x, i: x.at[i].add(1), (3, 4)),
        (lambda x, i: lax.conv(x[None, None], x[None, None], (1, 1), "SAME")[0, 0], (3, 4)),
        (lambda x, i: lax.conv(x[None, None], KERNEL, (1, 1), "SAME")[0], (2, 3, 4)),
        (lambda x, i: lax.conv(jnp.ones((1, 3, 4)), x[None], (1,), "SAME")[0], (1, 4)),
        (lambda x, i: lax.sort((x, x), num_keys=2)[1], (3, 4)),
    ],
)  # fmt: skip
def test_mapped_over_nothing(function, shape):
    """vmap over no elements gives none, eagerly and compiled, and so does its gradient."""
    starts = np.zeros(0, "int32")
    mapped = ferax.vmap(function)
    for run in (mapped, ferax.jit(mapped)):
        y = run(NONE, starts)
        assert y.shape == (0, *shape)
        assert y.dtype == np.float32
    slope = ferax.vmap(ferax.grad(lambda x, i: function(x, i).sum()))
    assert slope(NONE, starts).shape == NONE.shape


def test_nothing_is_read_from_nothing():
    """A gather at no places may have windows that an empty operand has no room for."""
    empty = np.zeros((0, 3), "float32")
    assert lax.gather(empty, np.zeros((0, 1), "int32"), ROWS, (1, 3)).shape == (0, 3)
    with pytest.raises(TypeError, match="slice_sizes"):
        lax.gather(empty, np.zeros((2, 1), "int32"), ROWS, (1, 3))


def test_index_take_counts_modulo_the_size():
    """Indices of index_take wrap around at both ends, also where the size exceeds their dtype."""
    x = np.arange(4)
    np.testing.assert_array_equal(
        lax.index_take(x, [np.array([9, 0, -1, -7])], (0,)), x[[1, 0, 3, 1]]
    )
    long = np.arange(300)
    np.testing.assert_array_equal(
        lax.index_take(long, [np.int8([-1, 5])], (0,)), [299, 5]
    )


SMALL = [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.mark.parametrize("wanted", [None, "float32", "bfloat16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_products_of_different_small_floats(wanted, compiled):
    """Two kinds of 8-bit floats multiply exactly; without a wish the longer range is the dtype."""
    x, y = jnp.asarray([[1.125, -2.0]], SMALL[0]), jnp.asarray([[3.0], [0.5]], SMALL[1])

    def product(x, y):
        return lax.dot_general(x, y, MATRICES, preferred_element_type=wanted)

    got = (ferax.jit(product) if compiled else product)(x, y)
    dtype = np.dtype(SMALL[1] if wanted is None else jnp.dtype(wanted))
    assert got.dtype == dtype
    assert float(got[0, 0]) == float(np.asarray(2.375).astype(dtype))


@pytest.mark.parametrize("kind", SMALL)
def test_gradients_through_small_floats(kind):
    """The cotangent of a wide product of 8-bit floats meets them; gradients keep their dtype."""
    x, y = jnp.asarray([[1.0, -2.0]], kind), jnp.asarray([[3.0], [0.5]], kind)

    def loss(x, y):
        return lax.dot_general(x, y, MATRICES, preferred_element_type="float32").sum()

    for gradient in (ferax.grad(loss, (0, 1)), ferax.jit(ferax.grad(loss, (0, 1)))):
        dx, dy = gradient(x, y)
        assert dx.dtype == dy.dtype == kind
        np.testing.assert_array_equal(dx.astype("float32"), [[3.0, 0.5]])
        np.testing.assert_array_equal(dy.astype("float32"), [[1.0], [-2.0]])


def test_small_floats_give_way():
    """In a product an 8-bit float takes the dtype of another float, and integers take its own."""
    x = jnp.asarray([[1.0, -2.0]], SMALL[0])
    for other, dtype in [("float16", "float16"), ("int32", SMALL[0])]:
        assert lax.dot(x, jnp.ones((2, 1), other)).dtype == jnp.dtype(dtype)
        assert lax.dot(jnp.ones((1, 1), other), x).dtype == jnp.dtype(dtype)


def test_complex_numbers_have_an_order():
    """scatter_max, scatter_min and clamp order complex numbers as max does, and differentiate."""
    z = np.array([1 + 2j, 1 - 1j, 0], "complex64")
    new = np.array([1 + 1j, 2 - 5j, 1 + 3j], "complex64")
    places = np.array([[0], [1], [0]])
    for scatter, best in [
        (lax.scatter_max, [1 + 3j, 2 - 5j, 0]),
        (lax.scatter_min, [1 + 1j, 1 - 1j, 0]),
    ]:

        def run(z, u, scatter=scatter):
            return scatter(z, places, u, POINTS)

        np.testing.assert_array_equal(run(z, new), best)
        np.testing.assert_array_equal(ferax.jit(run)(z, new), best)
        dz, du = ferax.vjp(run, z, new)[1](jnp.ones(3, "complex64"))
        np.testing.assert_array_equal(dz, np.equal(best, z))
        np.testing.assert_array_equal(
            du, [b == n for b, n in zip(np.take(best, [0, 1, 0]), new)]
        )
    clamped = [1 + 0j, 1 - 1j, 0]
    np.testing.assert_array_equal(lax.clamp(0j, z, 1 + 0j), clamped)
    np.testing.assert_array_equal(
        ferax.jit(lax.clamp)(z[2], z, np.complex64(1)), clamped
    )


def test_axes_given_as_integers():
    """dot_general takes an integer for a single axis of each operand; reductions want sequences."""
    x, y = array((2, 3)), array((3, 4))
    np.testing.assert_allclose(
        lax.dot_general(x, y, ((1, 0), ((), ()))), x @ y, rtol=1e-6
    )
    with pytest.raises(
        TypeError, match="reduce_max: axes must be a sequence of integers; got 0"
    ):
        lax.reduce_max(x, 0)


def test_messages_name_the_parameter():
    """Wrong paddings, window sizes, dimension numbers and flags are called by their names."""
    x, w = jnp.ones((1, 2, 3)), jnp.ones((2, 3, 4))
    with pytest.raises(TypeError, match=r"padtype_to_pads: padding must be.*got None"):
        lax.padtype_to_pads((2,), (2,), (1,), None)
    with pytest.raises(TypeError, match=r"must be three strings; got \('NC', 'IO'\)"):
        lax.conv_general_permutations(("NC", "IO"))
    with pytest.raises(TypeError, match=r"padding must be.*got None"):
        lax.conv_transpose(x, w, (1,), None)
    with pytest.raises(
        ValueError, match=r"filter_shape must have a size for each of the 1"
    ):
        lax.conv_general_dilated_patches(x, (2, 2), (1,), "SAME")
    with pytest.raises(
        ValueError, match=r"allow_negative_indices.*2 axes.*got \(True,\)"
    ):
        lax.dynamic_slice(x[0], (0, 0), (1, 1), allow_negative_indices=(True,))


@pytest.mark.parametrize(
    "dtype", ["int32", "uint8", "float32", "bfloat16", "complex64"]
)
def test_zeroth_powers(dtype):
    """integer_pow(x, 0) is one in the shape and dtype of x, and its derivative is zero."""
    x = jnp.zeros((2, 3), dtype)
    for run in (lax.integer_pow, ferax.jit(lax.integer_pow, static_argnums=1)):
        y = run(x, 0)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert (y == 1).all()
    assert ferax.vmap(lambda row: lax.integer_pow(row, 0))(x).shape == (2, 3)


def test_logistic_of_far_complex_numbers():
    """Where e⁻ᶻ overflows, the logistic function of a complex number is zero, not NaN."""
    z = np.array([-200 + 1j, 200 + 1j, -np.inf, 0.5 - 2j], "complex64")
    want = [0, 1, 0, 1 / (1 + np.exp(-0.5 + 2j))]
    np.testing.assert_allclose(lax.logistic(z), want, rtol=1e-6)
    np.testing.assert_allclose(ferax.jit(lax.logistic)(z), want, rtol=1e-6)


def test_negated_small_integers_stay_small():
    """The elements of a negated int4 array are int4 on the host, too."""
    x = np.array([3, -8, 0]).astype(ml_dtypes.int4)
    y = lax.neg(x)
    assert np.asarray(y).dtype == y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype("int32"), [-3, -8, 0])


def test_zeta_at_infinity():
    """zeta and polygamma vanish at infinity also in compiled programs."""
    for function, order in (
        (lax.zeta, 2.0),
        (lax.polygamma, 1.0),
        (lax.polygamma, 3.0),
    ):
        for run in (function, ferax.jit(function)):
            assert float(run(np.float32(order), np.float32(np.inf))) == 0.0


def test_transforms_of_length_zero():
    """A Fourier transform of length zero is empty, eagerly and compiled; RFFT has none."""
    for kind, shape, want in [
        ("FFT", (2, 0), (2, 0)),
        ("IFFT", (2, 0), (2, 0)),
        ("IRFFT", (2, 1), (2, 0)),
    ]:
        x = np.zeros(shape, "complex64")
        for run in (lax.fft, ferax.jit(lax.fft, static_argnums=(1, 2))):
            assert run(x, kind, (0,)).shape == want
    with pytest.raises(ValueError, match="RFFT needs at least one element"):
        lax.fft(np.zeros((2, 0), "float32"), "RFFT", (0,))


def test_tolerances_and_powers_are_checked():
    """A tolerance has positive numbers; whole powers are whole."""
    with pytest.raises(TypeError, match="must be numbers"):
        lax.Tolerance(atol="small")
    with pytest.raises(ValueError, match="must be positive"):
        lax.Tolerance()
    with pytest.raises(TypeError, match=r"integer_pow: y must be an integer; got 2\.5"):
        lax.integer_pow(2.0, 2.5)


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        (-2.5, "uint8", 0),
        (300.7, "uint8", 255),
        (np.nan, "int32", 0),
        (1e20, "int32", 2**31 - 1),
    ],
)
def test_filling_converts_as_programs_do(value, dtype, want):
    """full converts floats that an integer dtype cannot hold eagerly as it does compiled."""
    for run in (lax.full, ferax.jit(lax.full, static_argnums=(0, 2))):
        np.testing.assert_array_equal(run((2,), value, dtype), [want, want])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_systems_of_half_precision(dtype):
    """Triangular systems, symmetric products and Cholesky updates take 16-bit floats."""
    a = np.array([[2, 0], [1, 4]]).astype(jnp.dtype(dtype))
    b = np.array([[1, 2], [3, 4]]).astype(jnp.dtype(dtype))

    def solve(a, b):
        return lax.linalg.triangular_solve(a, b, left_side=True, lower=True)

    for run in (
        solve,
        ferax.jit(solve),
        ferax.vmap(solve, in_axes=(None, 1), out_axes=1),
    ):
        x = run(a, b)
        assert x.dtype == dtype
        np.testing.assert_array_equal(x.astype("float32"), [[0.5, 1], [0.625, 0.75]])
    slope = ferax.grad(lambda a: solve(a, b).astype("float32").sum())(jnp.asarray(a))
    assert slope.dtype == dtype
    wide = ferax.grad(lambda a: solve(a, b.astype("float32")).sum())(
        a.astype("float32")
    )
    np.testing.assert_allclose(slope.astype("float32"), wide, rtol=1e-2)
    product = lax.linalg.symmetric_product(a, b)
    assert product.dtype == dtype
    np.testing.assert_array_equal(product.astype("float32"), [[4, 2], [2, 17]])
    r = lax.linalg.cholesky_update(a.T, b[0])
    assert r.dtype == dtype
    with pytest.raises(
        NotImplementedError, match="triangular_solve is not implemented for"
    ):
        solve(a, b.astype("float32"))


def test_negative_sizes():
    """broadcast refuses them."""
    with pytest.raises(
        ValueError, match=r"broadcast: sizes must not be negative; got \(-1,\)"
    ):
        lax.broadcast(np.ones(2), (-1,))
