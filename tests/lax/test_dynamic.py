"""Slices at computed positions."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
from ferax import lax
from tests.lax.test_shape import check
from tests.samples.base import array

X = array((3, 4))
START = np.int32


def test_starts_are_moved_inside():
    """A slice never reaches over an edge; negative starts count from the end."""
    check(lax.dynamic_slice(X, (5, -1), (1, 2)), X[2:, 2:])
    check(lax.dynamic_slice(X, (-9, 1), (2, 2)), X[:2, 1:3])
    check(lax.dynamic_slice(X, np.array([1, 2]), (1, 1)), X[1:2, 2:3])
    check(ferax.jit(lambda i: lax.dynamic_slice(X, (i, -1), (2, 2)))(-1), X[1:, 2:])
    check(
        ferax.jit(lambda i: lax.dynamic_slice(X, (i, 0), (2, 2)))(np.uint8(9)),
        X[1:, :2],
    )


def test_narrow_index_dtypes_reach_far():
    """An int8 start works for axes longer than int8 counts."""
    x = np.arange(300)
    got = ferax.jit(lambda i: lax.dynamic_slice(x, (i,), (1,)))(np.int8(-1))
    assert int(got[0]) == 299


def test_slices_in_one_dimension():
    """The _in_dim functions slice one axis; index functions drop it on demand."""
    check(lax.dynamic_slice_in_dim(X, START(1), 2, -1), X[:, 1:3])
    check(lax.dynamic_index_in_dim(X, START(1)), X[1:2])
    check(lax.dynamic_index_in_dim(X, START(-1), 1, keepdims=False), X[:, -1])
    want = X.copy()
    want[1] = 0
    check(lax.dynamic_update_index_in_dim(X, np.zeros(4, "float32"), 1, 0), want)
    check(lax.dynamic_update_slice_in_dim(X, np.zeros((1, 4), "float32"), 1, 0), want)
    check(
        lax.dynamic_update_index_in_dim(np.zeros(3, "int32"), 7, 2, 0),
        np.int32([0, 0, 7]),
    )


def test_update_writes_a_block():
    """The operand is not changed."""
    before = X.copy()
    got = lax.dynamic_update_slice(X, np.ones((2, 1), "float32"), (9, -2))
    want = X.copy()
    want[1:, 2:3] = 1
    check(got, want)
    check(X, before)


def test_what_is_refused():
    """Each error says what came."""
    with pytest.raises(TypeError, match="slice_sizes"):
        lax.dynamic_slice(X, (0, 0), (4, 1))
    with pytest.raises(ValueError, match="as many start indices; got 1"):
        lax.dynamic_slice(X, (0,), (1, 1))
    with pytest.raises(
        TypeError, match=r"integers without dimensions; got float32\[\]"
    ):
        lax.dynamic_slice(X, (0.0, 0), (1, 1))
    with pytest.raises(TypeError, match=r"got int32\[1\]"):
        lax.dynamic_slice(X, (np.int32([1]), 0), (1, 1))
    with pytest.raises(ValueError, match="allow_negative_indices"):
        lax.dynamic_slice(X, (0, -1), (1, 1), allow_negative_indices=False)
    with pytest.raises(TypeError, match="fit into it"):
        lax.dynamic_update_slice(X, np.ones((5, 1), "float32"), (0, 0))
    with pytest.raises(TypeError, match="one dtype"):
        lax.dynamic_update_slice(X, np.ones((1, 1), "int32"), (0, 0))
    with pytest.raises(TypeError, match="slice of size 1"):
        lax.dynamic_update_index_in_dim(X, np.zeros((2, 4), "float32"), 0, 0)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_mapped_starts_and_operands(axes):
    """vmap over operand, start or both is a loop, and so is its gradient."""
    x = array((5, 6)) if axes[0] == 0 else array((6,))
    starts = np.int32([0, 3, 9, -1, 2]) if axes[1] == 0 else np.int32(4)

    def one(x, i):
        return lax.dynamic_slice(x, (i,), (3,))

    def at(i):
        return (x[i] if axes[0] == 0 else x), (starts[i] if axes[1] == 0 else starts)

    got = ferax.vmap(one, axes)(x, starts)
    check(got, np.stack([np.asarray(one(*at(i))) for i in range(5)]))
    grads = ferax.grad(
        lambda x: lax.reduce_sum(ferax.vmap(one, axes)(x, starts), (0, 1))
    )(x)
    count = np.zeros_like(x)
    for i in range(5):
        row = count[i] if axes[0] == 0 else count
        s = int(at(i)[1])
        s = min(max(s + 6 if s < 0 else s, 0), 3)
        row[s : s + 3] += 1
    check(grads, count)


def test_mapped_updates():
    """vmap of dynamic_update_slice over starts writes a different place in each row."""
    got = ferax.vmap(lambda i: lax.dynamic_update_slice(X[0], np.float32([7]), (i,)))(
        np.int32([0, 2])
    )
    want = np.stack([X[0], X[0]])
    want[0, 0] = want[1, 2] = 7
    check(got, want)
