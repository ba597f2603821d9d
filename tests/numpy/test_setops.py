"""Sets as arrays against NumPy, with known and with traced values."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ferax
import ferax.numpy as jnp
from ferax.core.jaxpr import eval_jaxpr

quick = settings(max_examples=40, deadline=None)
small = hnp.arrays(np.int32, st.integers(1, 7), elements=st.integers(0, 4))
same = np.testing.assert_array_equal


def staged(f, *args):
    """f(*args), recorded as a program first: the operations are those that jit compiles."""
    closed = ferax.make_jaxpr(f)(*args)
    outs = eval_jaxpr(closed.jaxpr, closed.consts, [jnp.asarray(a) for a in args])
    return outs[0] if len(outs) == 1 else outs


@quick
@given(small, st.integers(1, 9))
def test_unique(x, size):
    """Values, first places, inverse and counts; with size cut off or filled up."""
    want = np.unique(x, True, True, True)
    for got, w in zip(jnp.unique(x, True, True, True), want, strict=True):
        same(got, w)
    found = staged(lambda x: jnp.unique(x, True, True, True, size=size), x)
    k = min(size, len(want[0]))
    for i in (0, 1, 3):
        same(found[i][:k], want[i][:k])
    same(found[0][k:], want[0][0])
    same(found[2], want[2])
    same(found[3][k:], 0)
    same(staged(lambda x: jnp.unique(x, size=9, fill_value=-7), x)[len(want[0]) :], -7)


@quick
@given(
    hnp.arrays(np.int32, (4, 3), elements=st.integers(0, 1)), st.sampled_from([0, 1])
)
def test_unique_slices(x, axis):
    """Along an axis slices are compared."""
    want = np.unique(x, True, True, True, axis=axis)
    for got, w in zip(jnp.unique(x, True, True, True, axis=axis), want, strict=True):
        same(got, w)
    found = staged(lambda x: jnp.unique(x, True, True, True, axis=axis, size=4), x)
    k = len(want[1])
    same(np.moveaxis(np.asarray(found[0]), axis, 0)[:k], np.moveaxis(want[0], axis, 0))
    same(found[2], want[2].ravel())


def test_nan_is_one_value_or_many():
    """equal_nan decides; the functions of the array API standard count every NaN."""
    x = np.array([np.nan, 1, np.nan], np.float32)
    assert jnp.unique(x).shape == (2,)
    assert jnp.unique(x, equal_nan=False).shape == (3,)
    assert jnp.unique_values(x).shape == (3,)
    assert staged(lambda x: jnp.unique(x, return_counts=True, size=3), x)[
        1
    ].tolist() == [1, 2, 0]
    assert jnp.unique_counts(jnp.array([2, 2])).counts.tolist() == [2]
    assert jnp.unique_inverse(jnp.array([[3], [2]])).inverse_indices.tolist() == [
        [1],
        [0],
    ]
    assert jnp.unique_all(jnp.array([3, 2])).indices.tolist() == [1, 0]


def test_unknown_sizes_are_explained():
    """Traced values need size=."""
    for f in (
        jnp.unique,
        lambda x: jnp.intersect1d(x, x),
        lambda x: jnp.setdiff1d(x, x),
    ):
        with pytest.raises(ferax.errors.ConcretizationTypeError, match="say size="):
            ferax.make_jaxpr(f)(np.arange(3))
    with pytest.raises(ValueError, match="fill_value must be specified"):
        jnp.unique(jnp.zeros(0), size=2)


@quick
@given(
    small, small, st.sampled_from(["union1d", "intersect1d", "setdiff1d", "setxor1d"])
)
def test_two_sets(x, y, name):
    """Known values as in NumPy; traced ones filled up to size."""
    want = getattr(np, name)(x, y)
    same(getattr(jnp, name)(x, y), want)
    got = staged(lambda x, y: getattr(jnp, name)(x, y, size=12, fill_value=-1), x, y)
    same(got, np.concatenate([want, np.full(12 - len(want), -1)]))


@quick
@given(small, small)
def test_where_common_elements_are(x, y):
    """intersect1d with indices."""
    want = np.intersect1d(x, y, return_indices=True)
    for got, w in zip(jnp.intersect1d(x, y, return_indices=True), want, strict=True):
        same(got, w)
    found = staged(
        lambda x, y: jnp.intersect1d(x, y, return_indices=True, size=6), x, y
    )
    k = len(want[0])
    for got, w in zip(found, want, strict=True):
        same(got[:k], w)
    same(found[1][k:], len(x))


@quick
@given(
    small,
    small,
    st.sampled_from(["auto", "compare_all", "binary_search", "sort"]),
    st.booleans(),
)
def test_isin(x, y, method, invert):
    """Every method agrees with NumPy."""
    want = np.isin(x, y, invert=invert)
    same(jnp.isin(x, y, invert=invert), want)
    same(staged(lambda x, y: jnp.isin(x, y, invert=invert, method=method), x, y), want)
