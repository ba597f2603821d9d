"""lax's functions that move elements about."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
from ferax import lax
from tests.samples.base import array


def check(got, want):
    """Equal elements, shape and dtype."""
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_array_equal(got, want)


X = array((3, 4))


def test_reshape_reads_in_row_major_order_or_in_that_of_dimensions():
    """`dimensions` permutes the axes before the elements are read."""
    check(lax.reshape(X, (2, 6)), X.reshape(2, 6))
    check(lax.reshape(X, (4, 3), (1, 0)), X.T.reshape(4, 3))
    check(lax.reshape(1.5, (1, 1)), np.full((1, 1), 1.5, "float32"))
    assert lax.reshape(1, (1,)).weak_type


def test_reshape_to_another_number_of_elements_is_a_type_error():
    """The message gives both numbers."""
    with pytest.raises(TypeError, match=r"reshape: float32\[3,4\] has 12 elements"):
        lax.reshape(X, (5,))
    with pytest.raises(TypeError, match="reshape"):
        lax.reshape(X, (2, -1))


def test_transpose_permutes_axes():
    """Axis i of the result is axis permutation[i]."""
    x = array((2, 3, 4))
    check(lax.transpose(x, (2, 0, 1)), x.transpose(2, 0, 1))
    with pytest.raises(TypeError, match="not a permutation"):
        lax.transpose(x, (0, 0, 1))


def test_broadcasts():
    """broadcast adds leading axes, broadcast_in_dim maps axes, the others follow NumPy."""
    check(lax.broadcast(X, (2,)), np.broadcast_to(X, (2, 3, 4)))
    check(
        lax.broadcast_in_dim(X, (3, 4, 2), (0, 1)),
        np.broadcast_to(X[..., None], (3, 4, 2)),
    )
    check(lax.broadcast_in_dim(X, (4, 3), (1, 0)), X.T)
    check(lax.broadcast_in_dim(7, (2,), ()), np.full(2, 7, "int32"))
    check(lax.broadcast_like(X[:1], X), np.broadcast_to(X[:1], (3, 4)))
    check(lax.broadcast_to_rank(X, 4), X[None, None])
    assert lax.broadcast_shapes((2, 1), (1, 3), ()) == (2, 3)
    with pytest.raises(ValueError, match="broadcast"):
        lax.broadcast_shapes((2,), (3,))
    with pytest.raises(ValueError, match="broadcast_in_dim"):
        lax.broadcast_in_dim(X, (3, 5), (0, 1))


def test_axes_of_size_one():
    """expand_dims inserts, squeeze removes, collapse merges."""
    check(lax.expand_dims(X, (0, -1)), X[None, :, :, None])
    check(lax.squeeze(X[None, :, :, None], (0, -1)), X)
    check(lax.collapse(X[None], 1), X.reshape(1, 12))
    check(lax.collapse(X[None], -2, None), X.reshape(1, 12))
    check(lax.collapse(X, 0, 1), X)
    with pytest.raises(ValueError, match="squeeze"):
        lax.squeeze(X, (0,))
    with pytest.raises(ValueError, match="named twice"):
        lax.expand_dims(X, (0, 0))
    with pytest.raises(ValueError, match="out of bounds"):
        lax.expand_dims(X, (5,))
    with pytest.raises(ValueError, match="collapse"):
        lax.collapse(X, 1, 0)


def test_tile_repeats():
    """tile repeats whole arrays, for each axis."""
    check(lax.tile(X, (2, 3)), np.tile(X, (2, 3)))
    check(lax.tile(X, (0, 1)), np.zeros((0, 4), "float32"))
    with pytest.raises(TypeError, match="tile"):
        lax.tile(X, (2,))


def test_iota_counts():
    """iota along a line, broadcasted_iota along an axis."""
    check(lax.iota("float32", 4), np.arange(4, dtype="float32"))
    check(lax.broadcasted_iota("int8", (2, 3), 0), np.array([[0] * 3, [1] * 3], "int8"))
    assert lax.iota(complex, 3).dtype == np.complex64
    with pytest.raises(TypeError, match="bool"):
        lax.iota(bool, 3)
    with pytest.raises(TypeError, match="negative"):
        lax.iota(int, -1)
    with pytest.raises(ValueError, match="dimension 2"):
        lax.broadcasted_iota(int, (2, 3), 2)


def test_full_takes_the_dtype_of_its_value():
    """A Python number stays weak unless a dtype is named."""
    assert lax.full((2,), 1.0).weak_type
    assert lax.full((2,), 1).dtype == np.int32
    check(lax.full((2, 1), 1.5, int), np.ones((2, 1), "int32"))
    check(lax.full_like(X, 2), np.full((3, 4), 2, "float32"))
    check(lax.full_like(np.int32(1), 2.7), np.int32(2))
    check(lax.full_like(X, 2, shape=()), np.float32(2))
    assert lax.full_like(2, 3).weak_type
    with pytest.raises(TypeError, match="scalar"):
        lax.full((2,), np.ones(2))
    with pytest.raises(TypeError, match="negative"):
        lax.full((-1,), 1)


def test_rev_reverses():
    """rev is NumPy's flip."""
    check(lax.rev(X, (0, 1)), np.flip(X))
    with pytest.raises(TypeError, match="distinct"):
        lax.rev(X, (0, 0))
    with pytest.raises(TypeError, match="axes of"):
        lax.rev(X, (2,))


def test_concatenate_stack_split_unstack():
    """Putting together and taking apart are inverse to each other."""
    y = array((3, 2), seed=1)
    joined = lax.concatenate([X, y], 1)
    check(joined, np.concatenate([X, y], 1))
    first, second = lax.split(joined, (4, 2), 1)
    check(first, X)
    check(second, y)
    check(lax.stack([X, X], -1), np.stack([X, X], -1))
    for row, want in zip(lax.unstack(X, 1), X.T, strict=True):
        check(row, want)
    with pytest.raises(ValueError, match="at least one"):
        lax.concatenate([], 0)
    with pytest.raises(TypeError, match="one dtype"):
        lax.concatenate([X, X.astype(int)], 0)
    with pytest.raises(TypeError, match="number of axes"):
        lax.concatenate([X, X[0]], 0)
    with pytest.raises(TypeError, match="differ only"):
        lax.concatenate([X, y], 0)
    with pytest.raises(ValueError, match="add up to 4"):
        lax.split(X, (1, 2), 1)


def test_slices():
    """Static slices are NumPy's, within bounds."""
    check(lax.slice(X, (1, 0), (3, 4), (1, 3)), X[1:3, ::3])
    check(lax.slice_in_dim(X, -2, None, axis=-1), X[:, -2:])
    check(lax.slice_in_dim(X, None, None, 2), X[::2])
    check(lax.index_in_dim(X, -1), X[-1:])
    check(lax.index_in_dim(X, 1, 1, keepdims=False), X[:, 1])
    with pytest.raises(TypeError, match="slice"):
        lax.slice(X, (0, 0), (4, 4))
    with pytest.raises(TypeError, match="slice"):
        lax.slice(X, (0, 0), (2, 2), (1, 0))
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0"):
        lax.index_in_dim(X, 3)


def test_pad_goes_around_between_and_off():
    """Edges may be negative; the interior is between elements."""
    check(lax.pad(X, 0, ((1, 2, 0), (0, 1, 0))), np.pad(X, ((1, 2), (0, 1))))
    check(lax.pad(X, np.float32(9), ((-1, 0, 0), (0, -2, 0))), X[1:, :-2])
    got = lax.pad(X, -1, ((0, 0, 1), (0, 0, 0)))
    want = np.full((5, 4), -1, "float32")
    want[::2] = X
    check(got, want)
    check(
        lax.pad(X[0], 0.0, ((-3, 1, 2),)),
        np.float32([X[0, 1], 0, 0, X[0, 2], 0, 0, X[0, 3], 0]),
    )
    with pytest.raises(TypeError, match="dtype"):
        lax.pad(X, np.int32(0), ((1, 0, 0), (0, 0, 0)))
    with pytest.raises(ValueError, match="each axis"):
        lax.pad(X, 0.0, ((1, 0, 0),))
    with pytest.raises(ValueError, match="negative size"):
        lax.pad(X, 0.0, ((-2, -2, 0), (0, 0, 0)))
    with pytest.raises(ValueError, match="interior"):
        lax.pad(X, 0.0, ((0, 0, -1), (0, 0, 0)))


def test_gradient_with_respect_to_the_padding_value_counts_it():
    """d/dv Σ pad(x, v) is the number of padded places, also beside infinite elements."""
    x = np.array([1.0, np.inf], "float32")
    count = ferax.grad(lambda v: lax.reduce_sum(lax.pad(x, v, ((1, 2, 1),)), (0,)))(0.5)
    assert float(count) == 4.0


def test_optimization_barrier_gives_its_operands():
    """Pytrees go through unchanged, also under jit and grad."""
    a, (b,) = lax.optimization_barrier((X, [2]))
    check(a, X)
    assert b.weak_type
    assert float(ferax.grad(lambda x: 3 * lax.optimization_barrier(x))(1.0)) == 3.0
    assert (
        float(ferax.jit(lambda x: lax.optimization_barrier({"x": x})["x"])(2.0)) == 2.0
    )


def test_dce_sink_keeps_an_equation():
    """What it takes is computed though nothing uses it."""
    kept = ferax.make_jaxpr(lambda x: lax.dce_sink(lax.rev(x, (0,))))(X)
    assert [e.op.name for e in kept.eqns] == ["rev", "dce_sink"]


def test_random_keys_are_moved_like_numbers():
    """Structural operations take key arrays."""
    keys = ferax.random.split(ferax.random.key(0), 6)
    words = np.asarray(ferax.random.key_data(keys))
    got = lax.concatenate([lax.rev(keys, (0,)), keys[:1]], 0)
    check(ferax.random.key_data(got), np.concatenate([words[::-1], words[:1]]))
    check(ferax.random.key_data(lax.dynamic_slice(keys, (2,), (3,))), words[2:5])
