"""Reductions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from tests.lax.test_shape import check
from tests.samples.base import array

X = array((2, 3, 4))


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_reductions_are_numpys(name, axes):
    """Values over one, several, all and no axes."""
    got = getattr(lax, f"reduce_{name}")(X, axes)
    np.testing.assert_allclose(got, getattr(np, name)(X, axis=axes), rtol=2e-6)
    assert got.dtype == np.float32


def test_reductions_of_bits():
    """Logical for bools, bit by bit for integers."""
    x = array((3, 4), "int32")
    check(lax.reduce_and(x, (0,)), np.bitwise_and.reduce(x, 0))
    check(lax.reduce_or(x, (1,)), np.bitwise_or.reduce(x, 1))
    check(lax.reduce_xor(x > 0, (0, 1)), np.logical_xor.reduce(x.ravel() > 0))
    with pytest.raises(TypeError, match="reduce_and accepts bool or integer"):
        lax.reduce_and(X, (0,))


def test_reductions_of_nothing_give_the_neutral_element():
    """Sums give 0, products 1, extrema the far end of the dtype."""
    empty = np.zeros((0, 2), "float32")
    check(lax.reduce_sum(empty, (0,)), np.zeros(2, "float32"))
    check(lax.reduce_prod(empty, (0,)), np.ones(2, "float32"))
    check(lax.reduce_max(empty, (0,)), np.full(2, -np.inf, "float32"))
    check(lax.reduce_min(empty.astype("int8"), (0,)), np.full(2, 127, "int8"))
    check(lax.reduce_max(empty.astype(bool), (0,)), np.zeros(2, bool))
    least = ml_dtypes.finfo(ml_dtypes.float8_e4m3fn).min
    got = lax.reduce_max(np.zeros((0,), ml_dtypes.float8_e4m3fn), (0,))
    assert float(got) == float(least)


def test_axes_are_checked():
    """An axis out of range or named twice is a ValueError, a wrong dtype a TypeError."""
    with pytest.raises(ValueError, match="axis 5 is out of bounds"):
        lax.reduce_sum(X, (5,))
    with pytest.raises(ValueError, match="named twice"):
        lax.reduce_max(X, (0, 0))
    with pytest.raises(TypeError, match="reduce_prod accepts"):
        lax.reduce_prod(X > 0, (0,))


def test_half_precision_sums_and_products_do_not_stall():
    """16-bit floats are folded in 32 bits."""
    ones = np.ones(4096, ml_dtypes.bfloat16)
    assert float(lax.reduce_sum(ones, (0,))) == 4096.0
    assert float(ferax.jit(lambda x: lax.reduce_sum(x, (0,)))(ones)) == 4096.0


def test_extrema_share_the_derivative_among_ties():
    """Three equal maxima get a third each."""
    grad = ferax.grad(lambda x: lax.reduce_max(x, (0,)))
    np.testing.assert_allclose(
        grad(np.float32([1, 3, 3, 0, 3])), [0, 1 / 3, 1 / 3, 0, 1 / 3]
    )
    np.testing.assert_allclose(
        ferax.grad(lambda x: lax.reduce_min(x, (0,)))(np.float32([1, 3])), [1, 0]
    )


def test_the_gradient_of_a_product_survives_zeros():
    """One zero leaves the product of the others, two leave nothing."""
    grad = ferax.grad(lambda x: lax.reduce_prod(x, (0,)))
    np.testing.assert_allclose(grad(np.float32([0, 2, 3])), [6, 0, 0])
    np.testing.assert_allclose(grad(np.float32([0, 2, 0])), [0, 0, 0])
    np.testing.assert_allclose(
        ferax.grad(lambda x: grad(x)[0])(np.float32([0, 2, 3])), [0, 3, 2]
    )


def test_argmax_takes_the_first_and_nan_counts():
    """As in NumPy; the dtype of the index is chosen."""
    x = np.float32([[1, 7, 7], [2, np.nan, np.nan], [-np.inf, -np.inf, -np.inf]])
    check(lax.argmax(x, 1, np.int32), np.int32([1, 1, 0]))
    check(lax.argmin(x, 1, np.int8), np.int8([0, 1, 0]))
    check(ferax.jit(lambda x: lax.argmax(x, 1, int))(x), np.int32([1, 1, 0]))
    check(lax.argmax(x > 2, 0, np.uint8), (x > 2).argmax(0).astype("uint8"))
    with pytest.raises(ValueError, match="has no elements"):
        lax.argmax(np.zeros((0, 3)), 0, int)
    with pytest.raises(TypeError, match="index_dtype"):
        lax.argmax(x, 0, float)
    with pytest.raises(TypeError, match="argmax accepts"):
        lax.argmax(x.astype(complex), 0, int)


def test_reduce_recognises_what_it_is_given():
    """lax.add and lambdas that do one operation become that reduction."""
    for fun, init, name in [
        (lax.add, 0.0, "reduce_sum"),
        (lambda a, b: lax.max(b, a), -np.inf, "reduce_max"),
        (lax.mul, 1.0, "reduce_prod"),
    ]:
        jaxpr = ferax.make_jaxpr(lambda x: lax.reduce(x, init, fun, (0, 2)))(X)  # noqa: B023
        assert [e.op.name for e in jaxpr.eqns] == [name]
    np.testing.assert_allclose(
        lax.reduce(X, 0.0, lax.add, (0, 2)), X.sum((0, 2)), rtol=2e-6
    )
    np.testing.assert_allclose(
        lax.reduce(X, 2.0, lax.add, (0, 2)), X.sum((0, 2)) + 2, rtol=2e-6
    )


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_reduce_folds_with_any_associative_function(n):
    """Order is kept: a product of 2×2 matrices, given as four arrays."""
    parts = tuple(array((n, 3), seed=i) for i in range(4))

    def product(a, b):
        return (
            a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3],
            a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3],
        )  # fmt: skip

    inits = (1.0, 0.0, 0.0, 1.0)
    got = lax.reduce(parts, inits, product, (0,))
    want = np.eye(2)[None].repeat(3, 0)
    for row in zip(*(np.moveaxis(p, 1, 0).T for p in parts)):
        want = want @ np.stack(row, -1).reshape(3, 2, 2)
    np.testing.assert_allclose(
        np.stack(got, -1).reshape(3, 2, 2), want, rtol=1e-4, atol=1e-4
    )
    compiled = ferax.jit(lambda *p: lax.reduce(p, inits, product, (0,)))(*parts)
    np.testing.assert_allclose(np.stack(compiled), np.stack(got), rtol=1e-4, atol=1e-5)


def test_reduce_checks_the_function():
    """Initial values and results must be scalars of the operands' dtypes."""
    with pytest.raises(TypeError, match="initial value"):
        lax.reduce(X, np.int32(0), lax.add, (0,))
    with pytest.raises(TypeError, match="computation must give"):
        lax.reduce(X, 0.0, lambda a, b: a > b, (0,))
    with pytest.raises(ValueError, match="one structure"):
        lax.reduce((X, X), 0.0, lax.add, (0,))
    with pytest.raises(ValueError, match="one shape"):
        lax.reduce((X, X[0]), (0.0, 0.0), lambda a, b: a, (0,))


def test_reduce_differentiates_and_maps():
    """A user's function of several steps has derivatives like any composition."""

    def logsumexp(x):
        return lax.reduce(
            x,
            -1e30,
            lambda a, b: lax.max(a, b) + lax.log1p(lax.exp(-lax.abs(a - b))),
            (0,),
        )

    x = array((5,))
    np.testing.assert_allclose(
        ferax.grad(logsumexp)(x), np.exp(x) / np.exp(x).sum(), rtol=1e-5
    )
    got = ferax.vmap(logsumexp)(array((3, 5)))
    np.testing.assert_allclose(got, np.log(np.exp(array((3, 5))).sum(1)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(32_768,), (100_003,), (2, 40_001, 3)])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extrema_on_long_axes(name: str, shape: tuple[int, ...]) -> None:
    """Compiled, a long axis is folded in parts: the first of equals wins, nan above all."""
    axis = len(shape) // 2
    find, n = ferax.jit(lambda x: getattr(jnp, name)(x, axis)), shape[axis]
    x = np.random.default_rng(0).integers(-99, 99, shape).astype(np.float32)
    for dtype in (np.float32, np.int8, np.uint16, np.float16):
        y = np.abs(x).astype(dtype) if dtype == np.uint16 else x.astype(dtype)
        np.testing.assert_array_equal(find(y), getattr(np, name)(y, axis))
    for place in (n - 1, n // 2, 7):
        np.moveaxis(x, axis, 0)[place] = np.nan
        assert np.all(np.asarray(find(x)) == place)
