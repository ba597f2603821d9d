"""Factorizations: what they promise of their results, and the derivatives of what is unique."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.linalg

import ferax
import ferax.numpy as jnp
from ferax import lax

SHAPES = [(4, 4), (5, 3), (3, 5), (2, 4, 4), (2, 5, 3)]
DTYPES = ["float64", "complex128"]


@pytest.fixture(autouse=True)
def _double_precision():
    with ferax.enable_x64(True):
        yield


def array(shape, dtype="float64", seed=0):
    """Normally distributed: without the ties in which pivots jump."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if dtype == "complex128" else x


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(shape, dtype, seed=0):
    x = array(shape, dtype, seed)
    return x @ adjoint(x) + np.eye(shape[-1])


def hermitian(shape, dtype, seed=5):
    x = array(shape, dtype, seed)
    return x + adjoint(x)


def both(f):
    """The function, eager and compiled."""
    return (f, ferax.jit(f))


def assert_derivative(f, x, t, tolerance=1e-5):
    """jvp along t is the difference quotient, and vjp its adjoint."""
    x, t, step = jnp.array(x), jnp.array(t), 1e-6
    values, moved = ferax.jvp(f, (x,), (t,))
    after, before = f(x + step * t), f(x - step * t)
    assert len(moved) > 0
    for m, a, b in zip(moved, after, before):
        np.testing.assert_allclose(
            m, (a - b) / (2 * step), rtol=tolerance, atol=tolerance
        )
    cts = [jnp.array(array(v.shape, v.dtype.name, 9)) for v in values]
    (pulled,) = ferax.vjp(f, x)[1](cts)
    want = sum(np.real(np.sum(m * c)) for m, c in zip(moved, cts))
    np.testing.assert_allclose(np.real(np.sum(pulled * t)), want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("left", [True, False])
def test_triangular_solve(left, lower, dtype):
    """op(A) X = B, for each op, reading one triangle only."""
    a = array((2, 4, 4), dtype) + 4 * np.eye(4)
    b = array((2, 4, 3) if left else (2, 3, 4), dtype, 1)
    for transpose in (False, True):
        for conjugate in (False, True):
            for unit in (False, True):
                t = np.tril(a) if lower else np.triu(a)
                t = t * (1 - np.eye(4)) + np.eye(4) if unit else t
                t = t.swapaxes(-1, -2) if transpose else t
                t = t.conj() if conjugate else t
                options = {
                    "left_side": left,
                    "lower": lower,
                    "transpose_a": transpose,
                    "conjugate_a": conjugate,
                    "unit_diagonal": unit,
                }
                x = np.asarray(lax.linalg.triangular_solve(a, b, **options))
                np.testing.assert_allclose(t @ x if left else x @ t, b, atol=1e-10)


def test_triangular_solve_of_vectors():
    """A vector is a column on the right of A, a row on its left."""
    a, b = np.tril(array((3, 3))) + 4 * np.eye(3), array((3,), seed=1)
    left = lax.linalg.triangular_solve(a, b, left_side=True, lower=True)
    np.testing.assert_allclose(a @ left, b, atol=1e-6)
    right = lax.linalg.triangular_solve(a, b, lower=True)
    np.testing.assert_allclose(right @ a, b, atol=1e-6)
    with pytest.raises(ValueError, match="must have equal leading axes"):
        lax.linalg.triangular_solve(a, array((2, 4)), left_side=True)
    with pytest.raises(TypeError, match="must have the same dtype"):
        lax.linalg.triangular_solve(a, b + 1j, left_side=True)


def test_many_right_hand_sides_of_one_matrix_stay_one_system():
    """vmap over b alone adds columns."""
    a, b = jnp.eye(3) * 2, jnp.ones((7, 3, 2))
    solve = ferax.vmap(
        lambda b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True)
    )
    text = repr(ferax.make_jaxpr(solve)(b))
    assert "f64[3,14]" in text
    np.testing.assert_allclose(solve(b), b / 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype):
    """L Lᴴ is the matrix; its derivative holds along Hermitian directions."""
    a = positive((2, 4, 4), dtype)
    for f in both(lax.linalg.cholesky):
        factor = np.asarray(f(a))
        np.testing.assert_allclose(factor @ adjoint(factor), a, atol=1e-10)
        np.testing.assert_array_equal(factor, np.tril(factor))
    assert_derivative(
        lambda x: [lax.linalg.cholesky(x)], a, hermitian((2, 4, 4), dtype)
    )


def test_cholesky_of_what_is_not_positive_is_nan():
    """One bad matrix does not spoil the others of its stack."""
    a = np.stack([np.eye(3), -np.eye(3)])
    for f in both(lax.linalg.cholesky):
        factor = np.asarray(f(a))
        np.testing.assert_allclose(factor[0], np.eye(3))
        np.testing.assert_array_equal(np.isnan(factor[1]), np.tri(3, dtype=bool))


def test_one_triangle_is_read_where_nothing_is_symmetrized():
    """symmetrize_input=False leaves the other triangle alone."""
    a = positive((3, 3), "float64")
    half = np.tril(a) + 100 * np.triu(np.ones((3, 3)), 1)
    want = np.linalg.cholesky(a)
    np.testing.assert_allclose(lax.linalg.cholesky(half, symmetrize_input=False), want)
    for lower, x in ((True, half), (False, half.T)):
        _, w = lax.linalg.eigh(x, lower=lower, symmetrize_input=False)
        np.testing.assert_allclose(w, np.linalg.eigvalsh(a))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lu(shape, dtype):
    """x[permutation] = L U, and the pivots say the same."""
    x = array(shape, dtype)
    k = min(shape[-2:])
    for f in both(lax.linalg.lu):
        lu, pivots, order = map(np.asarray, f(x))
        lower = np.tril(lu, -1)[..., :k] + np.eye(shape[-2], k)
        upper = np.triu(lu)[..., :k, :]
        permuted = np.take_along_axis(x, order[..., None].astype(int), -2)
        np.testing.assert_allclose(lower @ upper, permuted, atol=1e-10)
        again = lax.linalg.lu_pivots_to_permutation(pivots, shape[-2])
        np.testing.assert_array_equal(again, order)
    assert_derivative(lambda x: [lax.linalg.lu(x)[0]], x, array(shape, dtype, 3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("pivoting", [True, False])
def test_qr(shape, dtype, full, pivoting):
    """Q R is the matrix, columns in order; Q Qᴴ of the complement is differentiable too."""
    x = array(shape, dtype, 2)
    k = min(shape[-2:])

    def parts(x):
        q, r, *_ = lax.linalg.qr(x, pivoting=pivoting, full_matrices=full)
        rest = q[..., k:]
        return [q[..., :k], r, rest @ jnp.conj(jnp.swapaxes(rest, -1, -2))]

    for f in both(lambda x: lax.linalg.qr(x, pivoting=pivoting, full_matrices=full)):
        q, r, *order = map(np.asarray, f(x))
        columns = order[0][..., None, :].astype(int) if pivoting else None
        want = np.take_along_axis(x, columns, -1) if pivoting else x
        np.testing.assert_allclose(q @ r, want, atol=1e-10)
        unit = np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2))
        np.testing.assert_allclose(adjoint(q) @ q, unit, atol=1e-10)
        np.testing.assert_array_equal(r, np.triu(r))
        if pivoting:
            sizes = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
            assert (np.diff(sizes, axis=-1) <= 1e-12).all()
    assert_derivative(parts, x, array(shape, dtype, 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh(dtype):
    """A V = V diag(w), w ascending; projections on eigenvectors are differentiable."""
    a = hermitian((2, 4, 4), dtype, 1)
    for f in both(lax.linalg.eigh):
        v, w = map(np.asarray, f(a))
        np.testing.assert_allclose(v * w[:, None] @ adjoint(v), a, atol=1e-10)
        assert (np.diff(w) > 0).all()

    def projections(x):
        v, w = lax.linalg.eigh(x)
        return [
            w,
            *(v[..., i : i + 1] @ jnp.conj(v[..., None, :, i]) for i in range(4)),
        ]

    assert_derivative(projections, a, hermitian((2, 4, 4), dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [True, False])
def test_svd(shape, dtype, full):
    """U diag(s) Vᴴ; what does not depend on the vectors' phases is differentiable."""
    x = array(shape, dtype, 3)
    k = min(shape[-2:])
    for f in both(lambda x: lax.linalg.svd(x, full_matrices=full)):
        u, s, vh = map(np.asarray, f(x))
        np.testing.assert_allclose(
            u[..., :k] * s[..., None, :] @ vh[..., :k, :], x, atol=1e-9
        )
        np.testing.assert_allclose(s, np.linalg.svd(x, compute_uv=False))
    np.testing.assert_allclose(lax.linalg.svd(x, compute_uv=False), s)

    def conjugate(x):
        return jnp.conj(jnp.swapaxes(x, -1, -2))

    def invariants(x):
        u, s, vh = lax.linalg.svd(x, full_matrices=full)
        outs = [
            s,
            u[..., k:] @ conjugate(u[..., k:]),
            conjugate(vh[..., k:, :]) @ vh[..., k:, :],
        ]
        for i in range(k):
            one, other = u[..., i : i + 1], vh[..., i : i + 1, :]
            outs += [one @ other, one @ conjugate(one), conjugate(other) @ other]
        return outs

    assert_derivative(invariants, x, array(shape, dtype, 4))
    alone = lambda x: [lax.linalg.svd(x, compute_uv=False)]
    assert_derivative(alone, x, array(shape, dtype, 4))


def test_subsets_of_values():
    """subset_by_index takes a range of eigenvalues or singular values."""
    a = hermitian((4, 4), "float64")
    v, w = lax.linalg.eigh(a, subset_by_index=(1, 3))
    np.testing.assert_allclose(w, np.linalg.eigvalsh(a)[1:3])
    np.testing.assert_allclose(a @ v, v * w, atol=1e-10)
    u, s, vh = lax.linalg.svd(a, full_matrices=False, subset_by_index=(0, 2))
    assert (u.shape, s.shape, vh.shape) == ((4, 2), (2,), (2, 4))
    with pytest.raises(ValueError, match="0 <= start < stop <= 4"):
        lax.linalg.eigh(a, subset_by_index=(3, 5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_eig(dtype):
    """Right and left eigenvectors, and derivatives of their projections where asked for."""
    x = array((2, 4, 4), dtype, 1)
    for f in both(lambda x: lax.linalg.eig(x)):
        w, left, right = map(np.asarray, f(x))
        np.testing.assert_allclose(x @ right, right * w[:, None], atol=1e-9)
        np.testing.assert_allclose(
            adjoint(left) @ x, w[..., None] * adjoint(left), atol=1e-9
        )

    def projections(x):
        w, left, right = lax.linalg.eig(x, enable_eigvec_derivs=True)
        outs = [w]
        for v in (left, right):
            outs += [v[..., i : i + 1] @ jnp.conj(v[..., None, :, i]) for i in range(4)]
        return outs

    assert_derivative(projections, x, array((2, 4, 4), dtype, 2))
    with pytest.raises(NotImplementedError, match="enable_eigvec_derivs=True"):
        ferax.jvp(lambda x: lax.linalg.eig(x)[1], (x,), (x,))


@pytest.mark.parametrize("dtype", DTYPES)
def test_schur(dtype):
    """Z T Zᴴ is the matrix, T has zeros below its first subdiagonal at least."""
    x = array((2, 4, 4), dtype)
    for f in both(lambda x: lax.linalg.schur(x)):
        t, z = map(np.asarray, f(x))
        np.testing.assert_allclose(z @ t @ adjoint(z), x, atol=1e-10)
        np.testing.assert_allclose(np.tril(t, -2 if dtype == "float64" else -1), 0)
    with pytest.raises(NotImplementedError, match="schur has no jvp rule"):
        ferax.jvp(lambda x: lax.linalg.schur(x)[0], (x,), (x,))
    with pytest.raises(NotImplementedError, match="sorting of eigenvalues"):
        lax.linalg.schur(x, sort_eig_vals=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hessenberg_and_its_reflectors(dtype):
    """Q H Qᴴ is the matrix, with Q from householder_product, or applied by ormqr."""
    x = array((4, 4), dtype)
    h, taus = lax.linalg.hessenberg(x)
    want = scipy.linalg.hessenberg(x)
    np.testing.assert_allclose(np.triu(h, -1), want, atol=1e-10)
    reflectors = h[1:, :-1]
    q = np.eye(4, dtype=dtype)
    q[1:, 1:] = lax.linalg.householder_product(reflectors, taus)
    np.testing.assert_allclose(q @ want @ adjoint(q), x, atol=1e-10)
    c = array((3, 3), dtype, 1)
    inner = q[1:, 1:]
    for left in (True, False):
        for transpose in (True, False):
            options = {"left": left, "transpose": transpose}
            f = partial(lax.linalg.ormqr, reflectors, taus, **options)
            factor = adjoint(inner) if transpose else inner
            expected = factor @ c if left else c @ factor
            for g in both(f):
                np.testing.assert_allclose(g(c), expected, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [True, False])
def test_tridiagonal(lower, dtype):
    """The tridiagonal matrix has the eigenvalues of the Hermitian one."""
    a = hermitian((5, 5), dtype)
    for f in both(lambda a: lax.linalg.tridiagonal(a, lower=lower)):
        _, d, e, taus = map(np.asarray, f(a))
        t = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
        np.testing.assert_allclose(np.linalg.eigvalsh(t), np.linalg.eigvalsh(a))
        assert taus.shape == (4,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tridiagonal_solve(dtype):
    """T X = B; all four operands are differentiable."""
    dl, du = array((2, 4), dtype), array((2, 4), dtype, 1)
    d, b = array((2, 4), dtype, 2) + 5, array((2, 4, 3), dtype, 3)
    t = np.zeros((2, 4, 4), dtype)
    for i in range(2):
        t[i] = np.diag(d[i]) + np.diag(dl[i, 1:], -1) + np.diag(du[i, :-1], 1)
    for f in both(lax.linalg.tridiagonal_solve):
        np.testing.assert_allclose(t @ np.asarray(f(dl, d, du, b)), b, atol=1e-10)
    for place in range(4):
        operands = [jnp.array(v) for v in (dl, d, du, b)]

        def one(x, place=place, operands=operands):
            moved = [x if i == place else v for i, v in enumerate(operands)]
            return [lax.linalg.tridiagonal_solve(*moved)]

        assert_derivative(one, operands[place], array(operands[place].shape, dtype, 4))


def test_nan_in_gives_nan_out():
    """A matrix with nan gives nan, and does not raise."""
    x = np.full((3, 3), np.nan)
    for f in (
        lambda x: lax.linalg.eigh(x)[1],
        lambda x: lax.linalg.svd(x)[1],
        lambda x: lax.linalg.eig(x)[0],
        lambda x: lax.linalg.schur(x)[0][0],
    ):
        for g in both(f):
            assert np.isnan(g(x)).all()


def test_matrices_without_elements():
    """Empty sizes give empty results, or identities where vectors are to be completed."""
    u, s, vh = lax.linalg.svd(np.zeros((2, 0)))
    np.testing.assert_array_equal(u, np.eye(2))
    assert (s.shape, vh.shape) == ((0,), (0, 0))
    for f in (
        lax.linalg.cholesky,
        lambda x: lax.linalg.lu(x)[0],
        lambda x: lax.linalg.eigh(x)[0],
    ):
        for g in both(f):
            assert g(np.zeros((3, 0, 0))).shape == (3, 0, 0)
    q, r = lax.linalg.qr(np.zeros((3, 0)))
    assert (q.shape, r.shape) == ((3, 3), (3, 0))


def test_small_helpers():
    """cholesky_update, symmetric_product and qdwh by their definitions."""
    a = positive((3, 3), "float64")
    r, w = np.linalg.cholesky(a).T, array((3,), "float64")
    new = lax.linalg.cholesky_update(r, w)
    np.testing.assert_allclose(
        new, np.linalg.cholesky(a + np.outer(w, w)).T, atol=1e-10
    )
    x = array((3, 4), "float64")
    got = lax.linalg.symmetric_product(x, a, alpha=2.0, beta=-1.0)
    np.testing.assert_allclose(got, 2 * x @ x.T - a)
    u, h, _, converged = lax.linalg.qdwh(x.T)
    np.testing.assert_allclose(u @ h, x.T, atol=1e-10)
    np.testing.assert_allclose(u.T @ u, np.eye(3), atol=1e-10)
    assert (np.linalg.eigvalsh(h) > 0).all()
    assert converged


def test_messages():
    """What is no square matrix of a supported dtype is refused by name."""
    with pytest.raises(
        ValueError, match=r"cholesky: the last two sizes.*float64\[3,5\]"
    ):
        lax.linalg.cholesky(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"svd: a matrix .* is needed"):
        lax.linalg.svd(np.ones(3))
    with pytest.raises(
        NotImplementedError, match=r"lu is not implemented for float16\[2,2\]"
    ):
        lax.linalg.lu(np.ones((2, 2), "float16"))
    assert lax.linalg.cholesky(np.eye(2, dtype=int)).dtype == np.float64
