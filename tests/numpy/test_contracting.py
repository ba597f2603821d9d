"""dot, matmul, einsum and their relatives against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.samples.base import array


def both(x, dtype, seed=0):
    x = array(x, dtype, seed)
    return x, jnp.array(x)


def check(got, want, tolerance=2e-5):
    """Equal in shape and value; the dtype is NumPy's with 64 bits narrowed."""
    want = np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


PAIRS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((2, 0), (0, 3)),
    ((6, 1, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)), ((1, 2, 3), (5, 3, 4)),
    ((2, 3, 4, 5), (2, 1, 5, 3)), ((0, 2, 3), (3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int32"])
def test_matmul(x, y, dtype):
    """Leading axes broadcast, vectors lose their axis."""
    (x, jx), (y, jy) = both(x, dtype), both(y, dtype, 1)
    check(jnp.matmul(jx, jy), np.matmul(x, y))
    check(jx @ jy, x @ y)
    check(ferax.jit(jnp.matmul)(jx, jy), np.matmul(x, y))


@pytest.mark.parametrize(
    ("x", "y"), [*PAIRS[:4], ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
                 ((5, 2, 3), (6, 3, 4)), ((), (3,)), ((2, 3), ()), ((), ())],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_dot(x, y, dtype):
    """The last axis with the second to last, every pair of the others; scalars multiply."""
    (x, jx), (y, jy) = both(x, dtype), both(y, dtype, 1)
    check(jnp.dot(jx, jy), np.dot(x, y))


@pytest.mark.parametrize("name", ["inner", "outer", "kron", "vdot"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int32"])
def test_products_of_all_pairs(name, dtype):
    """inner, outer, kron and vdot, which conjugates."""
    (x, jx), (y, jy) = both((2, 3), dtype), both((2, 3), dtype, 1)
    check(getattr(jnp, name)(jx, jy), getattr(np, name)(x, y))
    if name != "vdot":
        check(getattr(jnp, name)(jx, 2), getattr(np, name)(x, np.asarray(2, dtype)))


def test_vector_products():
    """vecdot and vecmat conjugate their first operand; leading axes broadcast."""
    (x, jx), (y, jy) = both((4, 1, 3), "complex64"), both((5, 3), "complex64", 1)
    check(jnp.vecdot(jx, jy), np.vecdot(x, y))
    check(jnp.vecdot(jx, jx, axis=0), np.vecdot(x, x, axis=0))
    a, ja = both((5, 2, 3), "complex64")
    check(jnp.matvec(ja, jy), np.einsum("bij,bj->bi", a, y))
    v, jv = both((2,), "complex64")
    check(jnp.vecmat(jv, ja), np.einsum("i,bij->bj", v.conj(), a))


@pytest.mark.parametrize(
    ("x", "y", "axes"),
    [((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2, 3), (4,), 0),
     ((2, 3, 4), (4, 3), ((1, 2), (1, 0))),
     ((2, 3), (5, 2), (0, -1)), ((2, 3), (2, 5), ([0], [0]))],
)  # fmt: skip
def test_tensordot(x, y, axes):
    """Axes counted, named one by one, or in lists."""
    (x, jx), (y, jy) = both(x, "float32"), both(y, "float32", 1)
    check(jnp.tensordot(jx, jy, axes), np.tensordot(x, y, axes))


@pytest.mark.parametrize(
    ("x", "y", "options"),
    [((3,), (3,), {}), ((4, 3), (3,), {}), ((5, 1, 3), (4, 3), {}), ((3, 4), (3, 4), {"axis": 0}),
     ((3, 4), (4, 3), {"axisa": 0, "axisb": 1, "axisc": 0})],
)  # fmt: skip
def test_cross(x, y, options):
    """Three components along any axes."""
    (x, jx), (y, jy) = both(x, "float32"), both(y, "float32", 1)
    check(jnp.cross(jx, jy, **options), np.cross(x, y, **options))


def test_cross_in_the_plane():
    """Two components count as three with a last zero; two of two give the third alone."""
    (x, jx), (y, jy) = both((4, 2), "float32"), both((2,), "float32", 1)
    check(jnp.cross(jx, jy), x[:, 0] * y[1] - x[:, 1] * y[0])
    z, jz = both((3,), "float32", 2)
    padded = np.concatenate([x, np.zeros((4, 1), "float32")], 1)
    check(jnp.cross(jx, jz), np.cross(padded, z))


@pytest.mark.parametrize("offset", range(-5, 6))
def test_trace(offset):
    """Any diagonal of any two axes; narrow integers are summed as default ones."""
    x, jx = both((4, 5, 3), "float32")
    check(jnp.trace(jx, offset), np.trace(x, offset))
    check(jnp.trace(jx, offset, 2, 0), np.trace(x, offset, 2, 0))
    assert jnp.trace(jx.astype("int8"), offset).dtype == np.int32
    assert jnp.trace(jx, offset, dtype="float16").dtype == np.float16


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_convolve_and_correlate(mode, dtype):
    """All modes for all small lengths, the shorter operand first or last."""
    for n in range(1, 6):
        for m in range(1, 6):
            (x, jx), (y, jy) = both((n,), dtype), both((m,), dtype, 1)
            check(jnp.convolve(jx, jy, mode), np.convolve(x, y, mode))
            check(jnp.correlate(jx, jy, mode), np.correlate(x, y, mode))


def test_convolution_of_integers_is_floating():
    """As documented for JAX; NumPy stays with integers."""
    got = jnp.convolve(jnp.arange(3), jnp.arange(4))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.convolve(np.arange(3), np.arange(4)))
    got = jnp.convolve(jnp.ones(3), jnp.ones(2), preferred_element_type="complex64")
    assert got.dtype == np.complex64


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba,cb", (2, 3), (4, 2)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (3, 3, 2)), ("ijij->ji", (2, 3, 2, 3)),
    ("iii->i", (3, 3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("i,j->ij", (2,), (3,)), ("i,i", (3,), (3,)), ("bij,bjk->kbi", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...ij,jk", (6, 1, 2, 3), (3, 4)),
    ("...i,...i->...", (1, 3), (4, 3)), ("i...->...", (3, 2, 4)), ("i...->...i", (3, 2)),
    ("ij,jk,kl", (2, 3), (3, 4), (4, 5)), ("ij,jk,kl->li", (2, 3), (3, 4), (4, 5)),
    ("a,b,c,d->dcba", (2,), (3,), (4,), (5,)), ("ij,ik,il->jkl", (2, 3), (2, 4), (2, 5)),
    ("ab,bc,ca->", (2, 3), (3, 4), (4, 2)), ("bqhd,bkhd->bhqk", (2, 3, 4, 5), (2, 6, 4, 5)),
    ("ij,ij->ij", (2, 3), (2, 3)), ("ij,j->ij", (2, 3), (3,)), ("i,i->i", (1,), (3,)),
    (",", (), ()), ("", ()), ("ij,kl->il", (2, 3), (4, 5)), ("ii,jj->ij", (2, 2), (3, 3)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ijk,ilm,njm,nlk->n", (2, 3, 4), (2, 5, 6), (7, 3, 6), (7, 5, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
def test_einsum(case):
    """Sums, diagonals, permutations, broadcasting, chains; eager, compiled, in any order."""
    subscripts, *given = case
    pairs = [both(s, "complex64", i) for i, s in enumerate(given)]
    xs, jxs = zip(*pairs)
    want = np.einsum(subscripts, *xs)
    check(jnp.einsum(subscripts, *jxs), want, 1e-3)
    check(jnp.einsum(subscripts, *jxs, optimize=False), want, 1e-3)
    compiled = ferax.jit(jnp.einsum, static_argnums=0)
    check(compiled(subscripts, *jxs), want, 1e-3)


def test_einsum_by_lists():
    """Operands and label lists in turn, with and without an output."""
    (x, jx), (y, jy) = both((2, 3), "float32"), both((3, 4), "float32", 1)
    check(jnp.einsum(jx, [0, 1], jy, [1, 2], [0, 2]), x @ y)
    check(jnp.einsum(jx, [0, 1], jy, [1, 2]), x @ y)
    check(jnp.einsum(jx, [..., 1], jy, [1, 2], [..., 2]), x @ y)


def test_einsum_paths():
    """einsum_path gives opt_einsum's order, which einsum takes."""
    xs = [jnp.ones((2, 30)), jnp.ones((30, 4)), jnp.ones((4, 5))]
    path, report = jnp.einsum_path("ij,jk,kl", *xs)
    assert path == [(0, 1), (0, 1)]
    assert "FLOP" in str(report)
    check(
        jnp.einsum("ij,jk,kl", *xs, optimize=[(1, 2), (0, 1)]),
        np.full((2, 5), 120.0, "f"),
    )
    with pytest.raises(KeyError, match="Path optimizer"):
        jnp.einsum("ij,jk,kl", *xs, optimize="nope")


def test_einsum_dtypes():
    """Bools are or of ands, narrow integers stay, preferred dtypes are obeyed."""
    b, jb = both((3, 4), "bool")
    check(jnp.einsum("ij,kj->ik", jb, jb), b @ b.T)
    check(jnp.einsum("ij->i", jb), b.any(1))
    assert jnp.einsum("ij->j", jnp.ones((2, 3), "int8")).dtype == np.int8
    half = jnp.ones((2, 3), "bfloat16")
    assert (
        jnp.einsum("ij->i", half, preferred_element_type="float32").dtype == np.float32
    )
    assert (
        jnp.einsum("ij,ij->i", half, half, preferred_element_type="float32").dtype
        == np.float32
    )


def test_einsum_takes_a_substitute_for_dot_general():
    """`_dot_general` is called for each product."""
    from ferax import lax

    calls = []

    def spy(*args, **options):
        calls.append(args[2])
        return lax.dot_general(*args, **options)

    got = jnp.einsum("ij,jk->ik", jnp.ones((2, 3)), jnp.ones((3, 4)), _dot_general=spy)
    check(got, np.full((2, 4), 3, "float32"))
    assert calls == [(((1,), (0,)), ((), ()))]


def test_gradients_of_einsum():
    """Through diagonals, sums and products."""

    def f(x, y):
        return jnp.sum(jnp.einsum("iij,jk->ik", x, y) ** 2)

    x, y = jnp.array(array((3, 3, 2))), jnp.array(array((2, 4), seed=1))
    gx, gy = ferax.grad(f, (0, 1))(x, y)
    z = np.einsum("iij,jk->ik", x, y)
    want = np.zeros((3, 3, 2), "float32")
    want[np.arange(3), np.arange(3)] = np.einsum("ik,jk->ij", 2 * z, y)
    check(gx, want)
    check(gy, np.einsum("iij,ik->jk", x, 2 * z))


def test_promotion():
    """Operands of different dtypes and Python numbers, as everywhere."""
    x = jnp.ones(3, "int8")
    assert jnp.dot(x, 2.0).dtype == np.float32
    assert jnp.dot(x, 2).dtype == np.int8
    assert jnp.dot(jnp.ones(3, "bfloat16"), jnp.ones(3, "float16")).dtype == np.float32
    assert jnp.matmul(x, x, preferred_element_type="int32").dtype == np.int32
    assert jnp.dot(1.0, 2.0).weak_type


X, Y = jnp.ones((2, 3)), jnp.ones((3, 4))

MESSAGES = [
    (lambda: jnp.dot(X, X), TypeError,
     r"dot: shapes \(2, 3\) and \(2, 3\) do not fit: the last axis of the first \(size 3\)"),
    (lambda: jnp.dot(X, X), TypeError, r"axis 0 of the second \(size 2\) must be equal"),
    (lambda: jnp.matmul(X, X), TypeError, r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit"),
    (lambda: jnp.matmul(X, 1.0), ValueError, r"second operand has no dimensions"),
    (lambda: jnp.matmul(jnp.ones((3, 2, 4)), jnp.ones((5, 4, 6))), ValueError,
     r"leading axes \(3,\) and \(5,\)"),
    (lambda: jnp.inner(X, Y), TypeError, r"inner: shapes \(2, 3\) and \(3, 4\)"),
    (lambda: jnp.vdot(X, Y), TypeError, "vdot: .* equally many elements"),
    (lambda: jnp.vecdot(X, Y), ValueError, "vecdot: .* contracted sizes 3 and 4"),
    (lambda: jnp.vecdot(1.0, X), ValueError, "vecdot: operands need a dimension"),
    (lambda: jnp.matvec(X, jnp.ones(2)), ValueError, "matvec: .* contracted sizes 3 and 2"),
    (lambda: jnp.matvec(jnp.ones(3), jnp.ones(3)), ValueError, "at least 2 and 1 dimensions"),
    (lambda: jnp.tensordot(X, X, 1), TypeError, r"axis 1 \(size 3\) is contracted with axis 0"),
    (lambda: jnp.tensordot(X, X, 3), TypeError, "3 axes cannot be contracted"),
    (lambda: jnp.tensordot(X, X, ((0,), (0, 1))), TypeError, "must be pairs"),
    (lambda: jnp.cross(jnp.ones(4), jnp.ones(4)), ValueError, "2 or 3 components; got 4 and 4"),
    (lambda: jnp.convolve(X, Y), ValueError, r"one dimension; got float32\[2,3\]"),
    (lambda: jnp.convolve(jnp.ones(3), jnp.ones(0)), ValueError, "cannot be empty"),
    (lambda: jnp.convolve(jnp.ones(3), jnp.ones(1), "x"), ValueError, "mode must be"),
    (lambda: jnp.einsum("ij,jk", X, X), ValueError, "label 'j' has size 2 in operand 1"),
    (lambda: jnp.einsum("ij->k", X), ValueError, "output label 'k' is in no operand"),
    (lambda: jnp.einsum("ij->ii", X), ValueError, "output label 'i' occurs twice"),
    (lambda: jnp.einsum("ijk", X), ValueError, "3 subscripts for operand 0, which has 2"),
    (lambda: jnp.einsum("ij,jk", X), ValueError, "subscripts for 2 operands; got 1"),
    (lambda: jnp.einsum("i@", X), ValueError, "subscripts are letters"),
    (lambda: jnp.dot([1, 2], [3, 4]), TypeError, "dot requires ndarray or scalar arguments"),
    (lambda: jnp.outer(X, X, out=X), NotImplementedError, "The 'out' argument to jnp.outer"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES)
def test_messages(call, error, message):
    """Messages name the function, both shapes and the rule."""
    with pytest.raises(error, match=message):
        call()
