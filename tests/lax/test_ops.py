"""Segment operations against loops over the elements."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax, ops

WAYS = {
    ops.segment_sum: (np.add, 0),
    ops.segment_prod: (np.multiply, 1),
    ops.segment_max: (np.maximum, -np.inf),
    ops.segment_min: (np.minimum, np.inf),
}


def by_loop(fun, data, ids, count):
    combine, empty = WAYS[fun]
    out = np.full((count, *data.shape[1:]), empty, data.dtype)
    for row, k in zip(data, ids):
        if 0 <= k < count:
            out[k] = combine(out[k], row)
    return out


@pytest.mark.parametrize("fun", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(7,), (7, 2), (7, 2, 1)])
@pytest.mark.parametrize("bucket_size", [None, 3])
def test_segments_are_reduced_group_by_group(fun, shape, bucket_size):
    """In any order; numbers outside, negative ones too, are dropped; eager and compiled."""
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ids = np.array([0, 2, 2, -1, 9, 0, 3])
    want = by_loop(fun, data, ids, 5)
    f = lambda d, i: fun(d, i, 5, bucket_size=bucket_size)
    for g in (f, ferax.jit(f)):
        np.testing.assert_allclose(g(data, ids), want, rtol=1e-5)


def test_number_of_segments():
    """By default one more than the largest number, if that is known."""
    data, ids = jnp.array([1, 2, 3]), jnp.array([0, 0, 2])
    np.testing.assert_array_equal(ops.segment_sum(data, ids), [3, 0, 3])
    with pytest.raises(ferax.errors.ConcretizationTypeError):
        ferax.jit(ops.segment_sum)(data, ids)
    with pytest.raises(ValueError, match="num_segments must be given"):
        ops.segment_sum(jnp.zeros(0), jnp.zeros(0, int))
    with pytest.raises(ValueError, match="negative"):
        ops.segment_sum(data, ids, -1)


def test_empty_groups_of_every_kind_of_dtype():
    """The neutral element: the ends of the range for integers, infinities, truth values."""
    ids = jnp.array([0, 2])
    for dtype, low, high in [
        ("int8", -128, 127), ("uint8", 0, 255), ("bool", False, True), ("float16", -np.inf, np.inf),
    ]:  # fmt: skip
        data = jnp.array([1, 1]).astype(dtype)
        assert ops.segment_max(data, ids)[1] == low
        assert ops.segment_min(data, ids)[1] == high
        assert ops.segment_max(data, ids).dtype == dtype


def test_modes_and_errors():
    """'clip' moves numbers into the range; shapes and dtypes are checked."""
    data = jnp.array([1, 2, 3])
    out = ops.segment_sum(data, jnp.array([0, -3, 7]), 2, mode="clip")
    np.testing.assert_array_equal(out, [3, 3])
    with pytest.raises(ValueError, match=r"int32\[3\].*int32\[2\]"):
        ops.segment_sum(data, jnp.array([0, 1]))
    with pytest.raises(TypeError, match="must be integers"):
        ops.segment_sum(data, jnp.array([0.0, 1.0, 1.0]))


def test_segments_differentiate_and_map():
    """The gradient of a sum by group is a gather."""
    ids = jnp.array([0, 2, 2])
    grad = ferax.grad(lambda d: (ops.segment_sum(d, ids, 3) * jnp.arange(3.0)).sum())
    np.testing.assert_array_equal(grad(jnp.ones(3)), [0, 2, 2])
    many = jnp.arange(6.0).reshape(2, 3)
    out = ferax.vmap(lambda d: ops.segment_max(d, ids, 3))(many)
    np.testing.assert_array_equal(out, [[0, -np.inf, 2], [3, -np.inf, 5]])


@pytest.mark.parametrize("fun", WAYS)
@pytest.mark.parametrize("mode", ["clip", lax.GatherScatterMode.CLIP])
def test_clipped_numbers_go_to_the_first_and_last_group(fun, mode):
    """A negative number is below the first group; it does not count from the end."""
    data = np.array([1, 2, 3, 4, -5], np.float32)
    got = fun(jnp.array(data), jnp.array([0, -1, 7, 1, 1]), 3, mode=mode)
    np.testing.assert_allclose(got, by_loop(fun, data, [0, 0, 2, 1, 1], 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x, i: ops.segment_max(x, i, 3, bucket_size=0), ValueError, "bucket_size.*got 0"),
        (lambda x, i: ops.segment_min(x, i, 2.0), TypeError, "segment_min.*integers; got 2.0"),
        (lambda x, i: ops.segment_sum(x > 0, i), TypeError, "numbers; got bool.*segment_max"),
        (ferax.jit(ops.segment_sum), ferax.errors.ConcretizationTypeError, "give num_segments"),
    ],
)  # fmt: skip
def test_messages_of_segments(call, kind, message):
    """They name the function and what to give instead."""
    with pytest.raises(kind, match=message):
        call(jnp.arange(3.0), jnp.arange(3))
