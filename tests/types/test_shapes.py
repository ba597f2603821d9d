"""Arithmetic on shapes, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferax import shapes

DIMS = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(st.lists(DIMS, min_size=1, max_size=3))
def test_broadcast_agrees_with_numpy(given_shapes):
    """Shapes broadcast as in NumPy, or fail as there."""
    try:
        expected = np.broadcast_shapes(*given_shapes)
    except ValueError:
        with pytest.raises(ValueError, match="cannot be broadcast together"):
            shapes.broadcast_shapes(*given_shapes)
    else:
        assert shapes.broadcast_shapes(*given_shapes) == expected


def test_broadcast_error_names_both_shapes():
    """The message has the caller, the shapes, the sizes that clash, and the rule."""
    with pytest.raises(ValueError) as caught:
        shapes.broadcast_shapes((2, 3), (4,), who="add")
    assert str(caught.value) == (
        "add: shapes (2, 3) and (4,) cannot be broadcast together: 3 and 4 meet in one axis; "
        "sizes must be equal or 1, counted from the last axis"
    )


@given(DIMS, st.lists(st.integers(-1, 4), max_size=3).map(tuple))
def test_reshape_agrees_with_numpy(old, new):
    """-1 is filled in as NumPy does, and what does not fit is refused."""
    try:
        expected = np.empty(old).reshape(new).shape
    except ValueError:
        with pytest.raises(ValueError, match="reshape: "):
            shapes.reshaped(old, new)
    else:
        assert shapes.reshaped(old, new) == expected


def test_axes_are_canonical_and_distinct():
    """Negative axes count from the end; None is all; twice the same is an error."""
    assert shapes.canonical_axis(-1, 3) == 2
    assert shapes.canonical_axes((-1, 0), 3) == (2, 0)
    assert shapes.canonical_axes(None, 2) == (0, 1)
    assert shapes.canonical_axes(1, 2) == (1,)
    with pytest.raises(ValueError, match="sum: an axis is named twice"):
        shapes.canonical_axes((0, -2), 2, "sum")


def test_axis_error_is_numpys():
    """An axis out of bounds is a ValueError and an IndexError, with caller and rank."""
    with pytest.raises(np.exceptions.AxisError) as caught:
        shapes.canonical_axis(3, 2, "sum")
    assert str(caught.value) == (
        "sum: axis 3 is out of bounds for an array of dimension 2; must lie in [-2, 2)"
    )
    with pytest.raises(TypeError, match=r"an axis must be an integer; got 1\.5"):
        shapes.canonical_axis(1.5, 2)


def test_shapes_given_by_users():
    """An integer is a shape with one axis; negative and broken dimensions are refused."""
    assert shapes.canonical_shape(3) == (3,)
    assert shapes.canonical_shape([np.int64(2), 3]) == (2, 3)
    with pytest.raises(
        ValueError, match="zeros: dimensions of a shape cannot be negative"
    ):
        shapes.canonical_shape((2, -1), "zeros")
    with pytest.raises(TypeError, match=r"must be integers; got 1\.5 \(float\)"):
        shapes.canonical_shape((1.5,), "zeros")


def test_axes_come_and_go():
    """Dropping, keeping, inserting, expanding and squeezing axes."""
    assert shapes.size((2, 3, 4)) == 24
    assert shapes.size(()) == 1
    assert shapes.drop_axes((2, 3, 4), (1,)) == (2, 4)
    assert shapes.keep_axes((2, 3, 4), (1,)) == (2, 1, 4)
    assert shapes.insert_axis((2, 3), 1, 5) == (2, 5, 3)
    assert shapes.expanded((2, 3), (0, -1)) == (1, 2, 3, 1)
    assert shapes.squeezed_axes((1, 2, 1), None) == (0, 2)
    with pytest.raises(ValueError, match=r"axis 1 of shape .* has size 2"):
        shapes.squeezed_axes((1, 2), 1)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4))
def test_slice_size_agrees_with_range(start, stop, step):
    """The number of elements of a slice."""
    assert shapes.slice_size(start, stop, step) == len(range(10)[start:stop:step])


@given(st.integers(0, 12), st.integers(1, 4), st.integers(1, 4))
def test_same_padding_gives_the_quotient_rounded_up(d, window, stride):
    """SAME pads so that ⌈d / stride⌉ windows fit."""
    for mode in ("SAME", "same_lower"):
        ((low, high),) = shapes.window_padding((d,), (window,), (stride,), mode, "conv")
        assert abs(low - high) <= 1
        if d:
            whole = shapes.padded(d, low, high)
            assert shapes.window_count(whole, window, stride) == -(-d // stride)
    assert shapes.window_padding((d,), (window,), (stride,), "VALID", "conv") == (
        (0, 0),
    )


def test_windows_and_dilation():
    """Windows that do not fit count zero; dilation makes holes."""
    assert shapes.window_count(2, 3, 1) == 0
    assert shapes.window_count(7, 3, 2) == 3
    assert shapes.dilated(3, 2) == 5
    assert shapes.dilated(0, 2) == 0
    assert shapes.padded(3, 1, -2, interior=1) == 4
    with pytest.raises(ValueError, match="conv: padding must be 'VALID'"):
        shapes.window_padding((3,), (1,), (1,), "FULL", "conv")
