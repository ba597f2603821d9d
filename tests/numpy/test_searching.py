"""take, nonzero, where, select, searchsorted, interp and their like against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ferax
import ferax.numpy as jnp
from ferax.core.jaxpr import eval_jaxpr

quick = settings(max_examples=40, deadline=None)
RNG = np.random.default_rng(0)
A = np.arange(12, dtype=np.float32).reshape(3, 4)


def staged(f, *args):
    """f(*args), recorded as a program first: the operations are those that jit compiles."""
    closed = ferax.make_jaxpr(f)(*args)
    outs = eval_jaxpr(closed.jaxpr, closed.consts, [jnp.asarray(a) for a in args])
    return outs[0] if len(outs) == 1 else outs


def same(got, want):
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6)


@quick
@given(
    st.sampled_from([None, 0, 1, -1]),
    st.sampled_from([None, "clip", "wrap"]),
    st.data(),
)
def test_take_is_numpys(axis, mode, data):
    """Inside all modes agree; outside "clip" and "wrap" are NumPy's."""
    n = A.size if axis is None else A.shape[axis]
    low, high = (-n, n - 1) if mode is None else (-3 * n, 3 * n)
    i = np.array(
        data.draw(st.lists(st.integers(low, high), min_size=1, max_size=5)), np.int32
    )
    if mode == "clip":  # NumPy's clip moves negative indices to 0
        want = np.take(A, i, axis, mode="clip")
    else:
        want = np.take(A, i, axis, mode="wrap" if mode == "wrap" else "raise")
    same(jnp.take(A, i, axis=axis, mode=mode), want)
    same(staged(lambda a, i: jnp.take(a, i, axis=axis, mode=mode), A, i), want)


def test_take_fills_out_of_bounds():
    """By default NaN, the least integer or a given value, as documented for JAX."""
    i = jnp.array([0, 7, -1, -9])
    np.testing.assert_array_equal(jnp.take(jnp.arange(5.0), i), [0, np.nan, 4, np.nan])
    same(jnp.take(jnp.arange(5.0), i, fill_value=3), [0, 3, 4, 3])
    least = np.iinfo(np.int32).min
    same(jnp.take(jnp.arange(5), i), [0, least, 4, least])
    with pytest.raises(NotImplementedError, match="The 'raise' mode"):
        jnp.take(A, 0, mode="raise")
    with pytest.raises(IndexError, match="without elements"):
        jnp.take(jnp.zeros(0), jnp.array([0]))
    assert jnp.take(jnp.zeros((0, 3)), jnp.zeros(0, int), axis=0).shape == (0, 3)


@quick
@given(st.sampled_from([0, 1, -1]), st.integers(1, 4))
def test_take_and_put_along_axis(axis, m):
    """The other axes run together, and broadcast."""
    shape = [3, 4]
    shape[axis] = m
    i = RNG.integers(-A.shape[axis], A.shape[axis], shape).astype(np.int32)
    want = np.take_along_axis(A, i, axis)
    same(jnp.take_along_axis(A, i, axis), want)
    same(staged(lambda a, i: jnp.take_along_axis(a, i, axis), A, i), want)
    distinct = np.argsort(RNG.random((3, 4)), axis=axis).astype(np.int32)
    want = A.copy()
    np.put_along_axis(want, distinct, -A, axis)
    put = jnp.put_along_axis(A, distinct, -A, axis, inplace=False)
    same(put, want)
    same(jnp.take_along_axis(A, np.array([[1]]), 1), A[:, 1:2])
    assert np.isnan(jnp.take_along_axis(A, np.array([[9]]), 1)).all()
    one_hot = jnp.take_along_axis(A, np.array([[9]]), 1, mode="clip")
    same(one_hot, A[:, 3:])


def test_the_derivative_of_take_along_axis():
    """It adds at the places that were taken."""
    i = np.array([[1, 1], [0, 3], [2, 2]])
    want = np.zeros_like(A)
    np.add.at(want, (np.arange(3)[:, None], i), 1)
    same(ferax.grad(lambda a: jnp.take_along_axis(a, i, 1).sum())(A), want)


@pytest.mark.parametrize("mask", [A > 5, A < 0, A > -1, A % 3 == 0])
@pytest.mark.parametrize("size", [None, 0, 3, 20])
def test_nonzero_and_its_relatives(mask, size):
    """Without size as NumPy; with size cut off or filled up, also when traced."""
    places = np.nonzero(mask)
    count = len(places[0])
    if size is None:
        for got, want in zip(jnp.nonzero(mask), places, strict=True):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(jnp.argwhere(mask), np.argwhere(mask))
        np.testing.assert_array_equal(jnp.flatnonzero(mask), np.flatnonzero(mask))
        same(jnp.extract(mask, A), A[mask])
        return

    def filled(values, fill):
        return np.concatenate([values[:size], np.full(max(size - count, 0), fill)])

    for f in (jnp.nonzero, lambda m, **k: ferax.jit(lambda m: jnp.nonzero(m, **k))(m)):
        for got, want in zip(f(mask, size=size, fill_value=-1), places, strict=True):
            np.testing.assert_array_equal(got, filled(want, -1))
    got = staged(lambda m: jnp.flatnonzero(m, size=size, fill_value=7), mask)
    np.testing.assert_array_equal(got, filled(np.flatnonzero(mask), 7))
    same(staged(lambda m, a: jnp.extract(m, a, size=size, fill_value=-5), mask, A),
         filled(A[mask], -5))  # fmt: skip


def test_unknown_sizes_are_explained():
    """Each function whose result's size depends on values says so, with the way out."""
    for f in (jnp.nonzero, jnp.argwhere, jnp.flatnonzero, jnp.where):
        with pytest.raises(ferax.errors.ConcretizationTypeError, match="say size="):
            ferax.make_jaxpr(f)(A)
    with pytest.raises(ValueError, match="0d arrays"):
        jnp.nonzero(jnp.array(3))


def test_compress():
    """Slices for which a condition is true; short conditions are padded with False."""
    for axis, condition in (
        (0, [True, False, True]),
        (1, [False, True]),
        (None, [True] * 3),
    ):
        condition = np.array(condition)
        want = np.compress(condition, A, axis)
        same(jnp.compress(condition, A, axis=axis), want)
        got = staged(
            lambda c, axis=axis: jnp.compress(c, A, axis=axis, size=2), condition
        )
        kept = want[
            tuple(
                slice(2) if a == (axis or 0) else slice(None) for a in range(want.ndim)
            )
        ]
        same(got[tuple(map(slice, kept.shape))], kept)
    with pytest.raises(ValueError, match="out of bounds"):
        jnp.compress(jnp.ones(5, bool), A, axis=0)


def test_where_and_select():
    """They broadcast and promote; the first true condition decides."""
    same(jnp.where(A > 5, A, 0), np.where(A > 5, A, 0))
    assert jnp.where(A > 2, jnp.int8(1), 2).dtype == np.int8
    assert jnp.where(True, 1, 2).weak_type
    with pytest.raises(TypeError, match="at position 2"):
        jnp.where(A > 2, 1)
    conditions, choices = [A < 3, A > 8, A[0] < 2], [A, 10 * A, -A]
    same(jnp.select(conditions, choices, 0.5), np.select(conditions, choices, 0.5))
    with pytest.raises(
        ValueError, match=r"must have length equal to choicelist \(1 vs 2\)"
    ):
        jnp.select([A < 3], [A, A])


def test_where_stops_derivatives():
    """Derivatives flow to the chosen element only."""
    g = ferax.grad(lambda a: jnp.where(a > 5, a * 2, 0.0).sum())(A)
    same(g, np.where(A > 5, 2, 0))


def test_piecewise():
    """The last true condition decides; the dtype is that of x."""
    x = np.arange(5.0, dtype=np.float32)
    args = [x < 2, x > 3], [-1, lambda v: v * 10, lambda v: v + 100]
    same(jnp.piecewise(x, *args), np.piecewise(x, *args))
    args = [x < 4, x > 2], [1, 2]
    same(jnp.piecewise(x, *args), np.piecewise(x, *args))
    with pytest.raises(ValueError, match="either 1 or 2 functions are expected; got 3"):
        jnp.piecewise(x, [x < 2], [1, 2, 3])


def test_choose():
    """Indices outside raise, clip or wrap."""
    a, choices = np.array([0, 3, -2]), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    choices = [np.array(c) for c in choices]
    for mode in ("clip", "wrap"):
        want = np.choose(a, choices, mode=mode)
        same(jnp.choose(a, choices, mode=mode), want)
        same(staged(lambda a, mode=mode: jnp.choose(a, choices, mode=mode), a), want)
    with pytest.raises(ValueError, match="invalid entry in choice array"):
        jnp.choose(a, choices)
    with pytest.raises(
        ferax.errors.ConcretizationTypeError, match="mode='clip' or mode='wrap'"
    ):
        ferax.make_jaxpr(lambda a: jnp.choose(a, choices))(a)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("method", ["scan", "scan_unrolled", "compare_all", "sort"])
def test_searchsorted(side, method):
    """All methods agree with NumPy, NaN being last."""
    a = np.array([-np.inf, -1, 0, 0, 2, 2, np.inf, np.nan, np.nan], np.float32)
    v = np.array([[-2, 0, 1], [2, np.inf, np.nan], [-np.inf, 5, -0.0]], np.float32)
    for n in (0, 1, 2, 9):
        want = np.searchsorted(a[:n], v, side)
        got = staged(lambda a, v: jnp.searchsorted(a, v, side, method=method), a[:n], v)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(jnp.searchsorted(a[:n], v, side), want)
    sorter = np.array([2, 0, 1])
    assert jnp.searchsorted(jnp.array([5, 7, 1]), 6, sorter=sorter) == 2


def test_digitize():
    """Bins may increase or decrease."""
    x = np.array([0.5, 1, 2.5, 3, 9], np.float32)
    for bins in (
        np.array([1.0, 2, 2, 3], np.float32),
        np.array([3.0, 2, 1], np.float32),
    ):
        for right in (False, True):
            want = np.digitize(x, bins, right)
            np.testing.assert_array_equal(jnp.digitize(x, bins, right), want)
            got = staged(lambda x, b, right=right: jnp.digitize(x, b, right), x, bins)
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "options", [{}, {"left": -5.0}, {"left": -1.0, "right": 7}, {"period": 3.0}]
)
def test_interp(options):
    """Eager and staged values are NumPy's; the derivative is the slope."""
    x = np.array([-1, 0, 0.25, 1.5, 2, 3, np.nan, np.inf], np.float32)
    if "period" in options:
        x = x[:-1]
    xp, fp = np.array([0, 1, 2], np.float32), np.array([0, 10, 5], np.float32)
    want = np.interp(x, xp, fp, **options)
    same(jnp.interp(x, xp, fp, **options), want)
    same(staged(lambda x, xp, fp: jnp.interp(x, xp, fp, **options), x, xp, fp), want)
    assert ferax.grad(lambda x: jnp.interp(x, xp, fp, **options))(0.5) == 10
    jump = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 2, 3])
    same(staged(lambda x: jnp.interp(x, *jump), np.array([1, 1.5])), [2, 2.5])


def test_interp_continues_lines():
    """'extrapolate' continues the outer lines."""
    xp, fp = jnp.array([0.0, 1, 2]), jnp.array([0.0, 10, 0])
    got = jnp.interp(
        jnp.array([-1, 0.5, 3]), xp, fp, left="extrapolate", right="extrapolate"
    )
    same(got, [-10, 5, -10])
    assert jnp.interp(0.5, xp, fp + 1j) == 5 + 1j
    with pytest.raises(ValueError, match="equal size"):
        jnp.interp(1.0, xp, fp[:2])


def test_indices_as_numbers():
    """ravel_multi_index and unravel_index are inverse; ix_ opens vectors."""
    dims = (3, 4, 5)
    flat = np.array([0, 7, 59])
    several = np.unravel_index(flat, dims)
    for got, want in zip(jnp.unravel_index(flat, dims), several, strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(jnp.ravel_multi_index(several, dims), flat)
    for mode in ("wrap", "clip"):
        index = (np.array([4, -1]), np.array([1, 9]), np.array([-7, 0]))
        want = np.ravel_multi_index(index, dims, mode=mode)
        np.testing.assert_array_equal(
            jnp.ravel_multi_index(index, dims, mode=mode), want
        )
    want = np.ravel_multi_index(several, dims, order="F")
    np.testing.assert_array_equal(jnp.ravel_multi_index(several, dims, order="F"), want)
    with pytest.raises(ValueError, match="invalid entry in coordinates array"):
        jnp.ravel_multi_index((3, 0, 0), dims)
    for got, want in zip(
        jnp.unravel_index(np.array([99, -1, -99]), dims),
        ([2, 2, 0], [3, 3, 0], [4, 4, 0]),
    ):
        np.testing.assert_array_equal(got, want)
    rows, columns = jnp.ix_(jnp.array([0, 2]), jnp.array([True, False, True, True]))
    np.testing.assert_array_equal(
        jnp.asarray(A)[rows, columns], A[np.ix_([0, 2], [0, 2, 3])]
    )
