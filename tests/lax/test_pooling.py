"""Reductions over sliding windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import ferax
from ferax import lax
from tests.lax.test_shape import check
from tests.samples.base import array


def pooled(x, init, fun, window, strides, pads, base, inner):
    """By definition: a loop over windows and their elements."""
    dilated = np.full([1 + b * (n - 1) for n, b in zip(x.shape, base)], init, x.dtype)
    dilated[tuple(slice(None, None, b) for b in base)] = x
    padded = np.pad(dilated, pads, constant_values=init)
    counts = [
        (n - ((k - 1) * d + 1)) // s + 1
        for n, k, s, d in zip(padded.shape, window, strides, inner)
    ]
    out = np.full(counts, init, x.dtype)
    for place in np.ndindex(*counts):
        for offset in itertools.product(*map(range, window)):
            index = tuple(
                p * s + o * d for p, s, o, d in zip(place, strides, offset, inner)
            )
            out[place] = fun(out[place], padded[index])
    return out


PLANS = [
    ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
    ((3, 2), (2, 3), ((1, 1), (0, 2)), (1, 1), (1, 1)),
    ((2, 2), (1, 2), ((1, 0), (0, 1)), (2, 1), (1, 2)),
    ((6, 7), (1, 1), ((5, 5), (3, 3)), (1, 1), (1, 1)),
]
MONOIDS = [
    (lax.add, np.add, 0.0), (lax.max, np.maximum, -np.inf), (lax.min, np.minimum, np.inf),
    (lax.mul, np.multiply, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("fun", "ufunc", "init"), MONOIDS)
def test_windows_are_what_the_loop_gives(plan, fun, ufunc, init):
    """Strides, padding, both dilations; eager, compiled, and by a function of the user."""
    x = array((6, 7), low=0.5)
    window, strides, pads, base, inner = plan
    want = pooled(x, init, ufunc, *plan)

    def run(x, fun=fun):
        return lax.reduce_window(x, init, fun, window, strides, pads, base, inner)

    np.testing.assert_allclose(run(x), want, rtol=1e-5)
    np.testing.assert_allclose(ferax.jit(run)(x), want, rtol=1e-5)
    general = run(x, lambda a, b: fun(fun(a, b), init))
    np.testing.assert_allclose(general, want, rtol=1e-5)


def test_paddings_by_name():
    """SAME covers every element, with the odd one at the end, or at the beginning."""
    x = array((5, 5))
    got = lax.reduce_window(x, -np.inf, lax.max, (2, 2), (2, 2), "SAME")
    check(
        got,
        pooled(x, -np.inf, np.maximum, (2, 2), (2, 2), ((0, 1),) * 2, (1, 1), (1, 1)),
    )
    got = lax.reduce_window(x, -np.inf, lax.max, (2, 2), (2, 2), "SAME_LOWER")
    check(
        got,
        pooled(x, -np.inf, np.maximum, (2, 2), (2, 2), ((1, 0),) * 2, (1, 1), (1, 1)),
    )
    assert lax.reduce_window_shape_tuple((5, 5), (2, 2), (2, 2), "SAME") == (3, 3)
    assert lax.reduce_window_shape_tuple((5, 5), (2, 2), (2, 2), "VALID") == (2, 2)


def test_initial_values_count_once_per_window():
    """An initial value that is not neutral enters each window, and is what is padded with."""
    x = np.ones((4,), "float32")
    check(
        lax.reduce_window(x, 1.0, lax.add, (2,), (1,), ((1, 0),)),
        np.float32([3, 3, 3, 3]),
    )


def test_several_operands():
    """An argmax: values and their places are pooled together."""
    x, places = array((9,)), np.arange(9, dtype="int32")

    def better(a, b):
        former = lax.ge(a[0], b[0])
        return lax.select(former, a[0], b[0]), lax.select(former, a[1], b[1])

    values, index = lax.reduce_window((x, places), (-np.inf, -1), better, (4,))
    want = [i + int(np.argmax(x[i : i + 4])) for i in range(6)]
    check(index, np.int32(want))
    check(values, x[want])


def test_gradient_of_max_pooling_goes_to_the_first_maximum():
    """Ties within a window go to its first element, in row-major order."""

    def pool(x):
        y = lax.reduce_window(x, -np.inf, lax.max, (2, 2), (2, 2), "VALID")
        return lax.reduce_sum(y, (0, 1))

    x = np.float32([[1, 5, 2, 2], [5, 0, 2, 2]])
    want = np.float32([[0, 1, 1, 0], [0, 0, 0, 0]])
    check(ferax.grad(pool)(x), want)
    check(ferax.jit(ferax.grad(pool))(x), want)


def test_gradient_of_mean_pooling():
    """Every element gets the cotangents of the windows that it is in."""
    x = array((5, 6))
    plan = ((3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1), (1, 2))
    cts = np.asarray(lax.reduce_window(x, 0.0, lax.add, *plan)) * 0 + array(
        (3, 5), seed=1
    )

    def loss(x):
        y = lax.reduce_window(x, 0.0, lax.add, *plan)
        return lax.reduce_sum(lax.mul(y, cts), (0, 1))

    want = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        unit = np.zeros_like(x)
        unit[i] = 1
        want[i] = (pooled(unit, 0, np.add, *plan) * cts).sum()
    np.testing.assert_allclose(ferax.grad(loss)(x), want, rtol=1e-5, atol=1e-6)


def test_what_is_refused():
    """Windows need a positive size for each axis."""
    x = array((3, 4))
    with pytest.raises(TypeError, match="needs 2 window dimensions"):
        lax.reduce_window(x, 0.0, lax.add, (2,))
    with pytest.raises(TypeError, match="positive window"):
        lax.reduce_window(x, 0.0, lax.add, (2, 0))
    with pytest.raises(ValueError, match="padding must be"):
        lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "FULL")
    assert lax.reduce_window(x, 0.0, lax.add, (5, 2)).shape == (0, 3)
