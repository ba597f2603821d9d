"""put, place, delete, insert and fill_diagonal against NumPy."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.core.jaxpr import eval_jaxpr

A = np.arange(12).reshape(3, 4)


def staged(f, *args):
    """f(*args), recorded as a program first: the operations are those that jit compiles."""
    closed = ferax.make_jaxpr(f)(*args)
    return eval_jaxpr(closed.jaxpr, closed.consts, [jnp.asarray(a) for a in args])[0]


same = np.testing.assert_array_equal


@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_put(mode):
    """Values are repeated; places outside clip or wrap."""
    places, values = np.array([0, 13, 5, -20]), np.array([-1, -2])
    want = A.copy()
    np.put(want, places, values, mode=mode)
    same(jnp.put(A, places, values, mode=mode, inplace=False), want)
    same(
        staged(lambda a, i: jnp.put(a, i, values, mode=mode, inplace=False), A, places),
        want,
    )


def test_arrays_do_not_change_in_place():
    """Without inplace=False the functions that write refuse."""
    for f in (
        lambda: jnp.put(A, 0, 1),
        lambda: jnp.place(A, A > 1, 1),
        lambda: jnp.put_along_axis(A, A[:1] * 0, 1, 0),
        lambda: jnp.fill_diagonal(A, 1),
    ):
        with pytest.raises((ValueError, NotImplementedError), match="inplace=False"):
            f()


def test_place():
    """Values follow each other over the true elements."""
    want = A.copy()
    np.place(want, A > 4, [-1, -2, -3])
    values = np.array([-1, -2, -3])
    same(jnp.place(A, A > 4, values, inplace=False), want)
    same(staged(lambda a: jnp.place(a, a > 4, values, inplace=False), A), want)
    with pytest.raises(ValueError, match="empty array"):
        jnp.place(A, A > 4, jnp.zeros(0), inplace=False)


@pytest.mark.parametrize("shape", [(3, 4), (4, 2), (3, 3), (2, 2, 2)])
def test_fill_diagonal(shape):
    """A number, or values in turn."""
    for values in (9, np.array([7, 8])):
        want = np.zeros(shape, np.int32)
        np.fill_diagonal(want, values)
        same(jnp.fill_diagonal(jnp.zeros(shape, int), values, inplace=False), want)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize(
    "obj",
    [0, -1, slice(0, 2), slice(None, None, 2), np.array([0, 0, -1]), np.array([1])],
)
def test_delete(obj, axis):
    """Integers, slices and integer arrays."""
    want = np.delete(A, obj, axis)
    same(jnp.delete(A, obj, axis), want)
    same(staged(lambda a: jnp.delete(a, obj, axis), A), want)


def test_delete_by_masks_and_traced_indices():
    """Known masks; traced integers; traced distinct indices."""
    mask = np.array([True, False, True, False])
    same(jnp.delete(A, mask, 1), np.delete(A, mask, 1))
    same(staged(lambda i: jnp.delete(A, i, 1), -2), np.delete(A, -2, 1))
    f = lambda i: jnp.delete(A, i, 1, assume_unique_indices=True)
    same(staged(f, np.array([3, 0])), np.delete(A, [3, 0], 1))
    with pytest.raises(
        ferax.errors.ConcretizationTypeError, match="assume_unique_indices"
    ):
        ferax.make_jaxpr(lambda i: jnp.delete(A, i, 1))(np.array([3, 0]))
    with pytest.raises(
        IndexError, match="index 9 is out of bounds for axis 1 with size 4"
    ):
        jnp.delete(A, 9, 1)


@pytest.mark.parametrize(
    ("obj", "values", "axis"),
    [
        (1, 9, None),
        (1, 9, 0),
        (-1, 9, 1),
        (4, [7, 8, 9], 1),
        (1, [1, 2, 3, 4], 0),
        (2, [5, 6], None),
        ([0, 0, 2], [7, 8, 9], None),
        ([3, 1], 9, 1),
        ([1, 2], [[7], [8]], 0),
        ([1], [[7], [8], [9]], 1),
        (slice(0, 2), [7, 8], None),
        (0, np.zeros((2, 4), int), 0),
    ],
)
def test_insert(obj, values, axis):
    """Before an index, several ones, or with several values before one."""
    obj = np.array(obj) if isinstance(obj, list) else obj
    values = np.array(values)
    want = np.insert(A, obj, values, axis)
    same(jnp.insert(A, obj, values, axis), want)
    if not isinstance(obj, slice):
        same(staged(lambda a, i: jnp.insert(a, i, values, axis), A, obj), want)
