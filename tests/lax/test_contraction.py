"""dot_general and its relatives: values, dtypes, precision, messages."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from tests.samples.base import array

MATRICES = (((1,), (0,)), ((), ()))


@pytest.mark.parametrize(
    ("x", "y", "numbers", "subscripts"),
    [
        ((3, 4), (4, 5), MATRICES, "ik,kj->ij"),
        ((4, 3), (5, 4), (((0,), (1,)), ((), ())), "ki,jk->ij"),
        ((4,), (4, 5), (((0,), (0,)), ((), ())), "k,kj->j"),
        ((2, 3, 4), (2, 4, 5), (((2,), (1,)), ((0,), (0,))), "bik,bkj->bij"),
        ((3, 2, 4), (5, 4, 2), (((2,), (1,)), ((1,), (2,))), "ibk,jkb->bij"),
        ((3, 4, 2), (2, 5, 4), (((1, 2), (2, 0)), ((), ())), "ikl,ljk->ij"),
        ((2, 3), (4,), (((), ()), ((), ())), "ij,k->ijk"),
        ((2, 3), (3, 2), (((), ()), ((0, 1), (1, 0))), "ij,ji->ij"),
        ((2, 0), (0, 3), MATRICES, "ik,kj->ij"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int32", "uint8"])
def test_dot_general_is_einsum(x, y, numbers, subscripts, dtype):
    """Batch axes first, then what remains of lhs, then of rhs."""
    x, y = array(x, dtype, 1), array(y, dtype, 2)
    got = lax.dot_general(x, y, numbers)
    assert got.dtype == dtype
    want = np.einsum(subscripts, x, y).astype(dtype)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_bools_are_or_of_ands():
    """A product of truth values is a truth value."""
    x, y = array((3, 4), "bool", 1), array((4, 2), "bool", 2)
    got = lax.dot_general(x, y, MATRICES)
    np.testing.assert_array_equal(got, x @ y)
    counts = lax.dot_general(x, y, MATRICES, preferred_element_type=np.int32)
    np.testing.assert_array_equal(counts, x.astype(int) @ y.astype(int))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn"])
def test_narrow_floats_are_summed_in_float32(dtype):
    """A thousand ones and an epsilon each do not stall, nor overflow on the way."""
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x, y = np.ones((1, 300), dtype), np.ones((300, 1), dtype)
    got = lax.dot_general(x, y, MATRICES)
    assert got.dtype == dtype
    assert got[0, 0] == np.asarray(300, np.float32).astype(dtype)
    wide = lax.dot_general(x, y, MATRICES, preferred_element_type=np.float32)
    assert wide.dtype == np.float32
    assert float(wide[0, 0]) == 300


def test_large_integer_products_are_exact():
    """Where float64 holds the sums they are computed there; else they wrap as integers do."""
    rng = np.random.default_rng(0)
    for size in (10**3, 10**9):
        x = rng.integers(-size, size, (60, 60)).astype(np.int32)
        np.testing.assert_array_equal(lax.dot(x, x), x @ x)


def test_preferred_element_type():
    """Results have the dtype asked for; what cannot hold them is refused."""
    x = array((2, 2), "int8")
    got = lax.dot(x, x, preferred_element_type=np.int32)
    np.testing.assert_array_equal(got, x.astype(np.int32) @ x.astype(np.int32))
    assert lax.dot(x, x, preferred_element_type=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="cannot hold sums of products of int32"):
        lax.dot(x.astype("int32"), x.astype("int32"), preferred_element_type=np.int8)
    z = x.astype("complex64")
    with pytest.raises(TypeError, match="cannot hold sums of products of complex64"):
        lax.dot(z, z, preferred_element_type=np.float32)


def test_two_dtypes_meet():
    """Operands of different dtypes are promoted; their cotangents keep their own."""
    x, y = array((2, 3)), array((3, 2), "bfloat16")
    assert lax.dot(x, y).dtype == np.float32
    gx, gy = ferax.grad(lambda x, y: lax.dot(x, y).sum(), (0, 1))(
        jnp.array(x), jnp.array(y)
    )
    assert (gx.dtype, gy.dtype) == (x.dtype, y.dtype)
    z = array((3, 2), "complex64")
    gx, gz = ferax.grad(lambda x, z: lax.dot(x, z).real.sum(), (0, 1))(
        jnp.array(x), jnp.array(z)
    )
    assert (gx.dtype, gz.dtype) == (x.dtype, z.dtype)
    np.testing.assert_allclose(gx, np.broadcast_to(z.real.sum(1), (2, 3)), rtol=1e-6)


def test_weak_types_stay_weak():
    """A product of Python numbers is as weak as they are."""
    assert jnp.dot(2, 3).weak_type
    assert not jnp.dot(2, jnp.arange(3)).weak_type


def test_strided_operands():
    """Transposed, reversed and broadcast memory gives the same numbers."""
    x, y = array((2, 6, 4)), array((2, 5, 4), seed=1)
    numbers = (((2,), (1,)), ((0,), (0,)))
    transposed = jnp.transpose(jnp.array(y), (0, 2, 1))
    got = lax.dot_general(jnp.array(x)[:, ::-2], transposed, numbers)
    np.testing.assert_allclose(got, x[:, ::-2] @ y.swapaxes(1, 2), rtol=1e-5)
    wide = jnp.broadcast_to(jnp.array(x[0]), (2, 6, 4))
    got = lax.dot_general(wide, transposed, numbers)
    np.testing.assert_allclose(got, x[:1] @ y.swapaxes(1, 2), rtol=1e-5)


@pytest.mark.parametrize(
    "precision",
    ["highest", "float32", lax.Precision.HIGH, ("high", "default"), "BF16_BF16_F32",
     lax.DotAlgorithmPreset.TF32_TF32_F32,
     lax.DotAlgorithm("bfloat16", "bfloat16", "float32")],
)  # fmt: skip
def test_precision_in_all_forms(precision):
    """Names, enums, pairs and algorithms; on the CPU the result is the same."""
    x = jnp.array(array((2, 2)))
    want = lax.dot(x, x)
    got = ferax.jit(lambda x: lax.dot(x, x, precision=precision))(x)
    np.testing.assert_allclose(lax.dot(x, x, precision=precision), want, rtol=1e-6)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_precision_reaches_the_program():
    """As argument, and as the flag default_matmul_precision."""
    x = jnp.ones((2, 2))
    text = ferax.jit(lambda x: lax.dot(x, x, precision="highest")).lower(x).as_text()
    assert "[HIGHEST, HIGHEST]" in text
    with ferax.default_matmul_precision("high"):
        text = ferax.jit(lambda x: jnp.dot(x, x)).lower(x).as_text()
    assert "[HIGH, HIGH]" in text


def test_dot_general_messages():
    """Who, both shapes, the rule, and the remedy."""
    x, y = jnp.ones((3, 4)), jnp.ones((3, 5))
    with pytest.raises(
        TypeError,
        match=r"dot_general: x float32\[3,4\] and y float32\[3,5\] contract axis 1 \(size 4\) "
        r"with axis 0 \(size 3\); contracted sizes must be equal",
    ):
        lax.dot_general(x, y, MATRICES)
    with pytest.raises(TypeError, match=r"contract axes \(0, 1\) of x and \(0,\) of y"):
        lax.dot_general(x, y, (((0, 1), (0,)), ((), ())))
    with pytest.raises(
        TypeError, match=r"must be distinct, not negative, and less than"
    ):
        lax.dot_general(x, y, (((-1,), (0,)), ((), ())))
    with pytest.raises(TypeError, match=r"must be distinct"):
        lax.dot_general(x, y, (((0,), (0,)), ((0,), (0,))))
    with pytest.raises(TypeError, match="dimension_numbers must be"):
        lax.dot_general(x, y, (1, 0))
    with pytest.raises(ValueError, match=r"lax.dot: float32\[3,4\] and float32\[3,5\]"):
        lax.dot(x, y)
    with pytest.raises(ValueError, match="precision must be None"):
        lax.dot(x, x.T, precision="nope")
    with pytest.raises(ValueError, match=r"got float32\[3,4\] and float32\[4\]"):
        lax.batch_matmul(x, jnp.ones(4))


def test_batch_matmul():
    """Equal leading axes, matrix by matrix."""
    x, y = array((2, 3, 4, 5)), array((2, 3, 5, 2), seed=1)
    np.testing.assert_allclose(lax.batch_matmul(x, y), x @ y, rtol=1e-4, atol=1e-5)


def test_vmap_of_one_operand_adds_no_batch_axis():
    """A mapped operand beside an unmapped one stays one matrix product."""
    text = repr(
        ferax.make_jaxpr(ferax.vmap(lambda x, y: lax.dot(x, y), (0, None)))(
            jnp.ones((5, 3)), jnp.ones((3, 4))
        )
    )
    assert "batch_axes=((), ())" in text
    assert "transpose" not in text


def test_gradient_is_two_products():
    """The transpose rule permutes nothing in the usual case."""
    x, y = jnp.ones((3, 4)), jnp.ones((4, 5))
    _, pull = ferax.vjp(lax.dot, x, y)
    text = repr(ferax.make_jaxpr(pull)(jnp.ones((3, 5))))
    assert text.count("dot_general") == 2
    assert "transpose" not in text


def test_ragged_dot_multiplies_each_group_by_its_matrix():
    """Rows behind the last group are zero; sizes beyond the end are cut."""
    x = np.arange(12, dtype="float32").reshape(4, 3)
    w = np.arange(12, dtype="float32").reshape(2, 3, 2)
    for sizes in ([1, 3], [1, 2], [3, 0], [1, 5]):
        want = np.zeros((4, 2), "float32")
        start = 0
        for size, matrix in zip(sizes, w):
            want[start : start + size] = x[start : start + size] @ matrix
            start += size
        got = lax.ragged_dot(x, w, jnp.array(sizes))
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_ragged_contraction_gives_one_sum_per_group():
    """With a contracted ragged axis the groups become the first axis."""
    x, y = array((5, 3)), array((5, 2), seed=1)
    numbers = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), [0], [])
    got = lax.ragged_dot_general(x, y, jnp.array([2, 3]), numbers)
    np.testing.assert_allclose(got, [x[:2].T @ y[:2], x[2:].T @ y[2:]], rtol=1e-5)


def test_ragged_batches_have_their_own_sizes():
    """group_sizes may differ along axes before the ragged one."""
    x = np.arange(24, dtype="float32").reshape(2, 4, 3)
    w = np.arange(12, dtype="float32").reshape(2, 3, 2)
    numbers = lax.RaggedDotDimensionNumbers((((2,), (1,)), ((), ())), [1], [0])
    got = lax.ragged_dot_general(x, w, jnp.array([[1, 3], [2, 2]]), numbers)
    for i, cut in enumerate((1, 2)):
        want = np.concatenate([x[i, :cut] @ w[0], x[i, cut:] @ w[1]])
        np.testing.assert_allclose(got[i], want, rtol=1e-6)
    with pytest.raises(TypeError, match="needs an axis of 3 groups"):
        lax.ragged_dot(x[0], w, jnp.array([1, 2, 1]))
    with pytest.raises(TypeError, match="group_sizes must be integers"):
        lax.ragged_dot(x[0], w, jnp.array([1.0, 2.0]))


def test_scaled_dot_multiplies_runs_by_their_scales():
    """Each scale is for neighbours along the contracted axis."""
    x, y = array((2, 6)), array((6, 3), seed=1)
    s, r = array((2, 2), seed=2), array((3, 3), seed=3)
    got = lax.scaled_dot(
        x, y, lhs_scale=s, rhs_scale=r, preferred_element_type="float32"
    )
    want = (x * np.repeat(s, 3, 1)) @ (y * np.repeat(r, 2, 0))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert lax.scaled_dot(x, y).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="does not fit the operand"):
        lax.scaled_dot(x, y, lhs_scale=np.ones((2, 4), "float32"))
