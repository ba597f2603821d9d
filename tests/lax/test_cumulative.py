"""Cumulative sums and their like."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
from ferax import lax
from tests.lax.test_shape import check
from tests.samples.base import array

NUMPY = {
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "cummax": np.maximum.accumulate,
    "cummin": np.minimum.accumulate,
    "cumlogsumexp": np.logaddexp.accumulate,
}


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize(
    ("shape", "axis"), [((7,), 0), ((45,), 0), ((3, 70), 0), ((2, 33, 3), 1)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_values_are_numpys(name, shape, axis, reverse):
    """Forwards and backwards, eager and compiled, short, long and odd."""
    x = array(shape, low=0.5)
    fun = getattr(lax, name)
    want = NUMPY[name](np.flip(x, axis) if reverse else x, axis)
    want = np.flip(want, axis) if reverse else want
    np.testing.assert_allclose(fun(x, axis, reverse), want, rtol=2e-5)
    np.testing.assert_allclose(
        ferax.jit(lambda x: fun(x, axis, reverse))(x), want, rtol=2e-5
    )


def test_integers_wrap_and_stay_what_they_are():
    """No promotion in lax."""
    x = array((300,), "uint8", low=0, high=255)
    check(lax.cumsum(x), np.cumsum(x, dtype="uint8"))
    check(ferax.jit(lax.cumsum)(x), np.cumsum(x, dtype="uint8"))


def test_what_is_refused():
    """Bools, axes that are not there, integers for logsumexp."""
    with pytest.raises(TypeError, match="cumsum accepts"):
        lax.cumsum(np.array([True]))
    with pytest.raises(TypeError, match="cumlogsumexp accepts"):
        lax.cumlogsumexp(np.arange(3))
    with pytest.raises(ValueError, match="out of bounds"):
        lax.cumsum(1.0)
    with pytest.raises(ValueError, match="axis 2"):
        lax.cummax(np.zeros((2, 2)), 2)


def test_nan_stays():
    """From the first nan on an extremum is nan."""
    x = np.float32([1, np.nan, 3])
    check(lax.cummax(x), np.float32([1, np.nan, np.nan]))
    check(ferax.jit(lax.cummin)(x), np.float32([1, np.nan, np.nan]))


@pytest.mark.parametrize("n", [5, 40, 70])
def test_gradients_of_products_with_zeros(n):
    """No division: zeros among the factors do no harm, to second order."""
    x = array((n,), low=0.9, high=1.1)
    x[[1, n - 2]] = 0
    weights = array((n,), seed=1)

    def loss(x):
        return lax.reduce_sum(lax.mul(lax.cumprod(x), weights), (0,))

    want = np.zeros(n)
    for i in range(n):
        others = np.where(np.arange(n) == i, 1.0, x)
        want[i] = (np.cumprod(others) * weights * (np.arange(n) >= i)).sum()
    np.testing.assert_allclose(ferax.grad(loss)(x), want, rtol=1e-4, atol=1e-5)


def test_gradients_of_extrema_follow_the_attaining_element():
    """The last maximum so far gets the cotangent; equal ones share it."""
    grad = ferax.grad(lambda x: lax.reduce_sum(lax.cummax(x), (0,)))
    np.testing.assert_allclose(grad(np.float32([1, 0, 3, 2])), [2, 0, 2, 0])
    np.testing.assert_allclose(grad(np.float32([1, 1])), [1.5, 0.5])
    np.testing.assert_allclose(grad(np.float32([-np.inf, 1])), [1, 1])


def test_gradients_of_logsumexp_are_softmax_and_finite_behind_infinities():
    """Elements of -inf get no share of what comes after them."""
    x = np.float32([-np.inf, -np.inf, 1, 2])
    grad = ferax.grad(lambda x: lax.cumlogsumexp(x)[3])(x)
    np.testing.assert_allclose(
        grad, [0, 0, 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-6
    )


def test_derivatives_compile_and_map():
    """vmap of grad under jit equals the loop."""
    x = array((3, 37), low=0.5)
    grad = ferax.grad(lambda x: lax.reduce_max(lax.cumprod(x, reverse=True), (0,)))
    got = ferax.jit(ferax.vmap(grad))(x)
    np.testing.assert_allclose(
        got, np.stack([grad(row) for row in x]), rtol=1e-4, atol=1e-6
    )
