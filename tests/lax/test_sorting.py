"""Sorts and the k largest."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ferax
from ferax import lax
from tests.lax.test_shape import check
from tests.samples.base import array

ODD = np.float32([1, np.nan, 3, -np.inf, np.nan, -0.0, 0.0])


@pytest.mark.parametrize(
    "dtype", ["float32", "int32", "uint8", "bool", "float16", "complex64"]
)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sort_is_numpys(dtype, axis):
    """Along any axis, for any dtype, eager and compiled."""
    x = array((6, 5), dtype)
    check(lax.sort(x, axis), np.sort(x, axis))
    check(ferax.jit(lambda x: lax.sort(x, axis))(x), np.sort(x, axis))


def test_sort_of_bfloat16():
    """ml_dtypes' floats sort as their values."""
    x = array((700,)).astype(ml_dtypes.bfloat16)
    check(lax.sort(x).astype("float32"), np.sort(x.astype("float32")))
    check(ferax.jit(lax.sort)(x).astype("float32"), np.sort(x.astype("float32")))


@pytest.mark.parametrize("sort", [lax.sort, ferax.jit(lax.sort)])
def test_nan_is_last_and_zeros_are_equal(sort):
    """The order of equal elements is kept, zeros of both signs are equal."""
    keys, order = sort((ODD, np.arange(7)))
    check(keys, np.float32([-np.inf, -0.0, 0.0, 1, 3, np.nan, np.nan]))
    check(order, np.int32([3, 5, 6, 0, 2, 1, 4]))
    check(sort((np.float32([-0.0, 0.0, -0.0]), np.arange(3)))[1], np.int32([0, 1, 2]))


@pytest.mark.parametrize("n", [9, 3000])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "uint32", "float32", "bool"]
)
def test_stable_with_many_ties(n, dtype):
    """The permutation is that of a stable sort, packed or not."""
    x = array((n,), dtype) if dtype != "float32" else np.round(array((n,)))
    want = np.argsort(x, kind="stable").astype("int32")
    check(lax.sort_key_val(x, np.arange(n))[1], want)
    check(ferax.jit(lax.sort_key_val)(x, np.arange(n))[1], want)


def test_several_keys():
    """Later keys decide among equal earlier ones."""
    a, b, c = array((50,), "int8"), array((50,)), np.arange(50)
    order = np.lexsort((b, a))
    for sort in (lax.sort, ferax.jit(lax.sort, static_argnames=("num_keys",))):
        for got, x in zip(sort((a, b, c), num_keys=2), (a, b, c)):
            check(got, (x.astype("int32") if x is c else x)[order])


def test_what_sort_refuses():
    """Errors name the rule."""
    with pytest.raises(TypeError, match="at least one"):
        lax.sort(())
    with pytest.raises(TypeError, match="one shape"):
        lax.sort((ODD, ODD[:2]))
    with pytest.raises(ValueError, match="num_keys must be from 1 to 2"):
        lax.sort((ODD, ODD), num_keys=3)
    with pytest.raises(ValueError, match="out of bounds"):
        lax.sort(ODD, 1)


def test_tangents_follow_their_elements():
    """The gradient of a weighted sorted array is the weights, permuted back."""
    x, w = array((8,)), array((8,), seed=1)
    want = np.empty(8, "float32")
    want[np.argsort(x)] = w

    def loss(x):
        return lax.reduce_sum(lax.mul(lax.sort(x), w), (0,))

    check(ferax.grad(loss)(x), want)
    check(ferax.jit(ferax.grad(loss))(x), want)
    rows = np.stack([x, -x])
    got = ferax.vmap(ferax.grad(loss))(rows)
    check(got, np.stack([np.asarray(ferax.grad(loss)(r)) for r in rows]))


def test_top_k_orders_by_value_then_index():
    """nan above all, 0.0 above -0.0, ties by index; also compiled."""
    for top_k in (lax.top_k, ferax.jit(lax.top_k, static_argnames=("k", "axis"))):
        values, order = top_k(ODD, k=7)
        check(values, np.float32([np.nan, np.nan, 3, 1, 0.0, -0.0, -np.inf]))
        check(order, np.int32([1, 4, 2, 0, 6, 5, 3]))
        values, order = top_k(np.int8([1, 3, 3, 2]), k=2)
        check(order, np.int32([1, 2]))
        x = array((4, 3))
        check(top_k(x, k=2, axis=0)[0], -np.sort(-x, 0)[:2])
    big = np.round(array((3000,)) * 10)
    want = np.argsort(-big, kind="stable")[:50].astype("int32")
    check(lax.top_k(big, 50)[1], want)
    check(ferax.jit(lambda x: lax.top_k(x, 50))(big)[1], want)


def test_top_k_checks_k():
    """k lies between 0 and the size of the axis; complex numbers have no order here."""
    assert lax.top_k(ODD, 0)[0].shape == (0,)
    for k in (-1, 8):
        with pytest.raises(ValueError, match="k must be from 0"):
            lax.top_k(ODD, k)
    with pytest.raises(ValueError, match="top_k accepts"):
        lax.top_k(ODD.astype(complex), 1)
    with pytest.raises(ValueError, match="out of bounds"):
        lax.top_k(1.0, 1)


def test_approximate_is_exact():
    """approx_max_k and approx_min_k give the true extrema."""
    x = array((3, 9))
    check(lax.approx_max_k(x, 2)[0], -np.sort(-x)[:, :2])
    values, order = lax.approx_min_k(x, 2, reduction_dimension=0)
    check(values, np.sort(x, 0)[:2])
    check(order, np.argsort(x, 0)[:2].astype("int32"))
    with pytest.raises(ValueError, match="floating"):
        lax.approx_max_k(np.arange(3), 1)
