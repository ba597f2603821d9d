"""Convolutions against a loop over every index, and their dimension arithmetic."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from tests.samples.base import array


def _dilated(size, step):
    return step * (size - 1) + 1 if size else 0


def by_loop(x, w, strides, padding, up, down, features=1, batches=1):
    """The definition, for x (n, c, *spatial) and w (o, c, *spatial)."""
    n, _, *sizes = x.shape
    o, c, *window = w.shape
    padded = [_dilated(i, u) + lo + hi for i, u, (lo, hi) in zip(sizes, up, padding)]
    space = np.zeros((*x.shape[:2], *(max(p, 0) for p in padded)))
    for place in itertools.product(*map(range, sizes)):
        target = [u * i + lo for i, u, (lo, _) in zip(place, up, padding)]
        if all(0 <= t < p for t, p in zip(target, padded)):
            space[(slice(None), slice(None), *target)] = x[(..., *place)]
    spatial = [
        max((p - _dilated(k, d)) // s + 1, 0)
        for p, k, d, s in zip(padded, window, down, strides)
    ]
    y = np.zeros((n // batches, o, *spatial))
    for i, j in itertools.product(range(n // batches), range(o)):
        group = j // (o // (features * batches))
        if batches > 1:
            seen = space[group * (n // batches) + i]
        else:
            seen = space[i, group * c : (group + 1) * c]
        for p in itertools.product(*map(range, spatial)):
            for k in itertools.product(*map(range, window)):
                at = [a * s + b * d for a, s, b, d in zip(p, strides, k, down)]
                y[(i, j, *p)] += seen[(slice(None), *at)] @ w[(j, slice(None), *k)]
    return y


CASES = [
    # x, w, strides, padding, lhs dilation, rhs dilation, feature groups, batch groups
    ((1, 1, 6), (1, 1, 3), (1,), [(0, 0)], (1,), (1,), 1, 1),
    ((2, 3, 7), (4, 3, 3), (2,), [(1, 2)], (1,), (2,), 1, 1),
    ((2, 3, 4), (4, 3, 3), (2,), [(2, -1)], (3,), (1,), 1, 1),
    ((1, 2, 5), (2, 2, 2), (1,), [(-2, -1)], (2,), (1,), 1, 1),
    ((2, 2, 4, 5), (3, 2, 2, 3), (1, 2), [(1, 0), (0, 2)], (1, 1), (2, 1), 1, 1),
    ((1, 2, 3, 3, 2), (2, 2, 2, 1, 2), (1, 2, 1), [(0, 1)] * 3, (1, 1, 2), (1,) * 3, 1, 1),
    ((2, 6, 5), (4, 3, 2), (1,), [(1, 1)], (1,), (1,), 2, 1),
    ((2, 3, 5), (3, 1, 2), (2,), [(0, 1)], (1,), (1,), 3, 1),
    ((2, 3, 5), (6, 1, 2), (1,), [(0, 1)], (1,), (1,), 3, 1),
    ((4, 3, 5), (4, 3, 2), (1,), [(0, 1)], (2,), (1,), 1, 2),
    ((2, 3), (4, 3), (), [], (), (), 1, 1),
    ((2, 3, 2), (4, 3, 3), (1,), [(0, 0)], (1,), (1,), 1, 1),
    ((0, 3, 4), (4, 3, 3), (1,), [(0, 0)], (1,), (1,), 1, 1),
    ((2, 0, 4), (4, 0, 3), (1,), [(0, 0)], (1,), (1,), 1, 1),
    ((2, 3, 0), (4, 3, 3), (1,), [(2, 3)], (1,), (1,), 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_every_option_is_the_definition(case, order):
    """Strides, paddings, dilations, groups and axis orders, eager and compiled."""
    x, w, strides, padding, up, down, features, batches = case
    x, w = array(x), array(w, seed=1)
    want = by_loop(x, w, strides, padding, up, down, features, batches)
    names = "XYZ"[: len(strides)]
    specs = [
        ("NC" + names, "OI" + names, "NC" + names),
        ("N" + names + "C", names + "IO", "N" + names + "C"),
        (names + "CN", "I" + names + "O", "C" + names[::-1] + "N"),
    ][order]
    lhs, rhs, out = lax.conv_general_permutations(specs)
    moved = x.transpose(np.argsort(lhs)), w.transpose(np.argsort(rhs))

    def convolve(x, w):
        return lax.conv_general_dilated(
            x, w, strides, padding, up, down, specs, features, batches
        )

    for f in (convolve, ferax.jit(convolve)):
        got = np.asarray(f(*moved))
        np.testing.assert_allclose(got.transpose(out), want, rtol=1e-4, atol=1e-5)


def test_large_convolutions_go_in_portions():
    """Windows are copied a part of the batch at a time."""
    x, w = array((5, 16, 40, 40)), array((8, 16, 9, 9), seed=1)
    got = lax.conv(x, w, (1, 1), "VALID")
    alone = lax.conv(x[3:4], w, (1, 1), "VALID")
    np.testing.assert_allclose(got[3:4], alone, rtol=1e-4, atol=1e-3)


def test_paddings_by_name():
    """SAME keeps the size at stride 1 and gives ceil(size / stride) else."""
    x, w = jnp.ones((1, 1, 8, 9)), jnp.ones((1, 1, 3, 4))
    assert lax.conv(x, w, (1, 1), "SAME").shape == (1, 1, 8, 9)
    assert lax.conv(x, w, (2, 3), "same").shape == (1, 1, 4, 3)
    assert lax.conv(x, w, (1, 1), "VALID").shape == (1, 1, 6, 6)
    assert lax.padtype_to_pads((8, 9), (3, 4), (2, 3), "SAME") == [(0, 1), (0, 1)]
    assert lax.padtype_to_pads((8, 9), (3, 4), (2, 3), "SAME_LOWER") == [(1, 0), (1, 0)]
    assert lax.padtype_to_pads((8, 9), (3, 4), (2, 3), "VALID") == [(0, 0), (0, 0)]


def test_dimension_numbers():
    """Strings, None, and the tuple itself."""
    numbers = lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NXYC", "XYIO", "NCXY"))
    assert numbers == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 1, 2, 3))
    assert lax.conv_dimension_numbers((1,) * 4, (1,) * 4, numbers) == numbers
    plain = lax.conv_dimension_numbers((1,) * 3, (1,) * 3, None)
    assert plain == lax.ConvDimensionNumbers((0, 1, 2), (0, 1, 2), (0, 1, 2))
    with pytest.raises(TypeError, match="'NHC' must name the 4 axes"):
        lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHC", "HWIO", "NHWC"))
    with pytest.raises(TypeError, match="among them 'O' and 'I'"):
        lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "HWXO", "NHWC"))
    with pytest.raises(TypeError, match="the same spatial axes"):
        lax.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "XWIO", "NHWC"))
    with pytest.raises(TypeError, match="equally many dimensions"):
        lax.conv_dimension_numbers((1,) * 4, (1,) * 3, None)
    with pytest.raises(TypeError, match="must be three strings"):
        lax.conv_dimension_numbers((1,) * 3, (1,) * 3, ((0, 1, 2),) * 3)


def test_shapes_without_arrays():
    """The shape functions agree with the operations."""
    numbers = ("NHWC", "HWIO", "NCHW")
    x, w = (2, 8, 9, 3), (3, 3, 3, 4)
    got = lax.conv_general_shape_tuple(x, w, (1, 2), "SAME", numbers)
    want = lax.conv_general_dilated(
        jnp.ones(x), jnp.ones(w), (1, 2), "SAME", dimension_numbers=numbers
    )
    assert got == want.shape
    got = lax.conv_transpose_shape_tuple(x, w, (1, 2), "SAME", numbers)
    want = lax.conv_transpose(
        jnp.ones(x), jnp.ones(w), (1, 2), "SAME", dimension_numbers=numbers
    )
    assert got == want.shape
    pads = [(0, 0), (1, 1)]
    assert lax.conv_shape_tuple((2, 3, 8, 9), (4, 3, 3, 3), (1, 2), pads) == (
        2,
        4,
        6,
        5,
    )
    assert lax.conv_shape_tuple((2, 3, 8, 9), (4, 3, 3, 3), (1, 2), pads, 2)[0] == 1


#: what an impulse in the middle of five gives with the kernel 1, 2, 3, 4: (padding, stride,
#: dilation, consistent padding) -> result
IMPULSES = {
    ("SAME", 1, 1, False): "04321",
    ("SAME", 1, 2, False): "03020",
    ("SAME", 2, 1, False): "0004321000",
    ("SAME", 2, 2, False): "0040302010",
    ("SAME", 5, 1, False): "0000000000432100000000000",
    ("VALID", 1, 1, False): "00432100",
    ("VALID", 2, 1, False): "000043210000",
    ("VALID", 2, 2, False): "000040302010000",
    ("VALID", 5, 2, False): "000000000040302010000000000",
    (((1, 2),), 1, 1, False): "43210",
    (((1, 2),), 1, 1, True): "04321",
    (((1, 2),), 2, 2, False): "030201",
    (((1, 2),), 2, 2, True): "000403020100",
}


@pytest.mark.parametrize("case", IMPULSES, ids=str)
def test_conv_transpose_places_the_kernel(case):
    """Sizes and positions for each padding; a transposed kernel is the flipped one."""
    padding, stride, dilation, consistent = case
    x = np.zeros((1, 1, 5), "float32")
    x[0, 0, 2] = 1
    w = np.array([1, 2, 3, 4], "float32").reshape(1, 1, 4)
    want = [float(c) for c in IMPULSES[case]]
    for flip in (False, True):
        got = lax.conv_transpose(
            x, w[..., ::-1] if flip else w, (stride,), padding, (dilation,),
            ("NCH", "OIH" if flip else "IOH", "NCH"), flip,
            use_consistent_padding=consistent,
        )  # fmt: skip
        np.testing.assert_array_equal(got[0, 0], want)


def test_conv_transpose_is_the_gradient():
    """With transpose_kernel it is the transpose of the strided convolution."""
    x, w = jnp.array(array((1, 8, 8, 3))), jnp.array(array((3, 3, 3, 4), seed=1))
    numbers = ("NHWC", "HWIO", "NHWC")

    def down(x):
        return lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=numbers)

    y = down(x)
    (want,) = ferax.linear_transpose(down, x)(y)
    got = lax.conv_transpose(y, w, (2, 2), "SAME", transpose_kernel=True)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_patches_times_kernel_is_the_convolution():
    """Patches are the windows, channel by channel."""
    x, w = array((2, 3, 5, 4)), array((2, 3, 2, 3), seed=1)
    patches = lax.conv_general_dilated_patches(x, (2, 3), (1, 2), "SAME")
    got = np.einsum("npxy,op->noxy", patches, w.reshape(2, -1))
    want = lax.conv_general_dilated(x, w, (1, 2), "SAME")
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("numbers", [None, ("NHWC", "HWIO", "NHWC")])
def test_local_convolution_has_a_kernel_per_position(numbers):
    """With the same kernel everywhere it is the convolution."""
    x, w = array((2, 3, 4, 5)), array((2, 3, 2, 2), seed=1)
    want = lax.conv(x, w, (1, 1), "VALID")
    local = np.broadcast_to(w.reshape(2, 12)[:, :, None, None], (2, 12, 3, 4))
    if numbers is not None:
        x, local = x.transpose(0, 2, 3, 1), local.transpose(2, 3, 1, 0)
        want = jnp.transpose(want, (0, 2, 3, 1))
    got = lax.conv_general_dilated_local(
        x, local, (1, 1), "VALID", (2, 2), dimension_numbers=numbers
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_dtypes():
    """Integers are exact, narrow floats are summed in 32 bits, results as wide as asked for."""
    x, w = array((1, 2, 6), "int8"), array((3, 2, 3), "int8", 1)
    got = lax.conv_general_dilated(x, w, (1,), "VALID", preferred_element_type="int32")
    want = by_loop(x.astype(float), w.astype(float), (1,), [(0, 0)], (1,), (1,))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, want)
    ones = jnp.ones((1, 300, 1), "bfloat16")
    assert lax.conv(ones, ones, (1,), "VALID")[0, 0, 0] == jnp.bfloat16(300)


def test_messages():
    """Every check names both operands and the rule."""
    x, w = jnp.ones((2, 3, 8)), jnp.ones((4, 3, 3))
    conv = lax.conv_general_dilated
    shown = r"lhs float32\[2,3,8\] and rhs float32\[4,3,3\]"
    with pytest.raises(ValueError, match=shown + ".*feature_group_count 2 must divide"):
        conv(x, w, (1,), "SAME", feature_group_count=2)
    with pytest.raises(ValueError, match="batch_group_count 3 must divide the batch"):
        conv(x, w, (1,), "SAME", batch_group_count=3)
    with pytest.raises(ValueError, match="only one of"):
        conv(x, w, (1,), "SAME", batch_group_count=2, feature_group_count=3)
    with pytest.raises(
        ValueError, match=r"axis 1 of lhs \(size 3\).*axis 1 of rhs \(size 2\)"
    ):
        conv(x, w[:, :2], (1,), "SAME")
    with pytest.raises(TypeError, match="must have the same dtype"):
        conv(x, w.astype("bfloat16"), (1,), "SAME")
    with pytest.raises(ValueError, match="window_strides must have as many"):
        conv(x, w, (1, 1), "SAME")
    with pytest.raises(ValueError, match="window_strides must be positive"):
        conv(x, w, (0,), [(0, 0)])
    with pytest.raises(ValueError, match=r"use lax\.conv_transpose"):
        conv(x, w, (1,), "SAME", (2,))
    with pytest.raises(ValueError, match="padding must be 'VALID'"):
        conv(x, w, (1,), "FULL")
    with pytest.raises(TypeError, match="equally many dimensions"):
        conv(x, w[0], (1,), "SAME")
