"""numpy.linalg against NumPy, and the derivatives that are given in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.numpy import linalg

DTYPES = ["float64", "complex128"]


@pytest.fixture(autouse=True)
def _double_precision():
    with ferax.enable_x64(True):
        yield


def array(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if dtype == "complex128" else x


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(shape, dtype):
    x = array(shape, dtype)
    return x @ adjoint(x) + np.eye(shape[-1])


def check(got, want, tolerance=1e-9):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def assert_gradients(f, *xs, tolerance=1e-5):
    """jvp along random directions is the difference quotient; grad and compiled grad agree."""
    xs = [jnp.array(x) for x in xs]
    ts = [jnp.array(array(x.shape, x.dtype.name, 7 + i)) for i, x in enumerate(xs)]

    def scalar(*xs):
        outs = f(*xs)
        outs = outs if isinstance(outs, (tuple, list)) else (outs,)
        total = 0.0
        for i, out in enumerate(outs):
            out = jnp.asarray(out)
            total += jnp.sum(jnp.real(out) * array(out.shape, seed=20 + i))
            if jnp.iscomplexobj(out):
                total += jnp.sum(jnp.imag(out) * array(out.shape, seed=30 + i))
        return total

    step = 1e-6
    after = scalar(*(x + step * t for x, t in zip(xs, ts)))
    before = scalar(*(x - step * t for x, t in zip(xs, ts)))
    want = (after - before) / (2 * step)
    check(ferax.jvp(scalar, tuple(xs), tuple(ts))[1], want, tolerance)
    gradient = ferax.grad(scalar, tuple(range(len(xs))))
    grads = gradient(*xs)
    check(sum(np.real(np.sum(g * t)) for g, t in zip(grads, ts)), want, tolerance)
    for got, expected in zip(ferax.jit(gradient)(*xs), grads):
        check(got, expected, 1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (1, 1)])
def test_inverse_and_determinants(shape, dtype):
    """inv, det and slogdet by both methods, with derivatives."""
    x = array(shape, dtype)
    check(linalg.inv(x), np.linalg.inv(x))
    check(linalg.det(x), np.linalg.det(x))
    for method in (None, "lu", "qr"):
        for got, want in zip(linalg.slogdet(x, method=method), np.linalg.slogdet(x)):
            check(got, want)
        assert_gradients(lambda x, m=method: linalg.slogdet(x, method=m), x)
    assert_gradients(linalg.inv, x)
    assert_gradients(linalg.det, x)
    result = linalg.slogdet(x)
    assert result.sign is result[0]


@pytest.mark.parametrize(
    "x",
    [np.array([[1.0, 2.0], [2.0, 4.0]]), np.zeros((2, 2)), np.array([[0.0, 1.0], [0.0, 0.0]]),
     np.diag([0.0, 1.0, 2.0]), np.diag([1.0, 2.0, 0.0]), np.diag([0.0, 0.0, 2.0]), np.eye(3)],
)  # fmt: skip
def test_gradient_of_det_is_the_cofactors(x):
    """Also where the matrix is singular, whatever its rank."""
    n = len(x)
    want = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(x, i, 0), j, 1)
            want[i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    check(ferax.grad(linalg.det)(jnp.array(x)), want)
    check(ferax.jit(ferax.grad(linalg.det))(jnp.array(x)), want)


def test_second_derivatives_of_determinants():
    """d²det = tr tr - tr(· ·), d²log|det| = -tr(A⁻¹ dA A⁻¹ dA)."""
    a, t = jnp.array(array((3, 3))), array((3, 3), seed=1)
    inverse = np.linalg.inv(a)
    turned = inverse @ t
    second = ferax.hessian(lambda s: linalg.slogdet(a + s * t)[1])(0.0)
    check(second, -np.trace(turned @ turned))
    second = ferax.hessian(lambda s: linalg.det(a + s * t))(0.0)
    check(
        second, np.linalg.det(a) * (np.trace(turned) ** 2 - np.trace(turned @ turned))
    )


def test_singular_matrices():
    """inf or nan instead of exceptions; log|det| is -inf."""
    assert not np.isfinite(linalg.inv(jnp.zeros((2, 2)))).any()
    sign, value = linalg.slogdet(jnp.zeros((2, 2)))
    assert (float(sign), float(value)) == (0.0, -np.inf)
    assert float(linalg.cond(jnp.zeros((2, 2)))) == np.inf
    assert float(linalg.cond(jnp.zeros((2, 2)), 1)) == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("a", "b"),
    [((4, 4), (4,)), ((4, 4), (4, 3)), ((2, 4, 4), (4,)), ((2, 4, 4), (4, 3)),
     ((4, 4), (5, 4, 3)), ((2, 4, 4), (2, 4, 3)), ((2, 1, 4, 4), (3, 4, 2))],
)  # fmt: skip
def test_solve(a, b, dtype):
    """Vectors, matrices, leading axes on either side."""
    a, b = array(a, dtype), array(b, dtype, 1)
    check(linalg.solve(a, b), np.linalg.solve(a, b))
    assert_gradients(linalg.solve, a, b)


def test_solve_factors_once():
    """The gradient of a solution reuses the factors; mapped right-hand sides too."""
    a, b = jnp.array(array((4, 4))), jnp.array(array((4,), seed=1))
    loss = lambda a, b: jnp.sum(linalg.solve(a, b) ** 2)
    text = repr(ferax.make_jaxpr(ferax.grad(loss))(a, b))
    assert text.count("= lu ") == 1
    many = ferax.vmap(linalg.solve, (None, 0))
    bs = jnp.array(array((7, 4)))
    text = repr(ferax.make_jaxpr(many)(a, bs))
    assert text.count("= lu ") == 1
    assert "f64[4,7]" in text  # one system with seven right-hand sides
    check(many(a, bs), np.linalg.solve(a, np.asarray(bs).T).T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype):
    """Lower and upper; derivatives through the symmetrized matrix."""
    a = positive((2, 4, 4), dtype)
    check(linalg.cholesky(a), np.linalg.cholesky(a))
    check(linalg.cholesky(a, upper=True), adjoint(np.linalg.cholesky(a)))
    upper = linalg.cholesky(np.triu(a), upper=True, symmetrize_input=False)
    check(upper, adjoint(np.linalg.cholesky(a)))
    assert_gradients(linalg.cholesky, a)


@pytest.mark.parametrize("mode", ["reduced", "complete", "r", "raw"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_qr_modes(shape, mode):
    """NumPy's modes; "raw" is LAPACK's storage, transposed."""
    x = array(shape)
    got, want = linalg.qr(x, mode), np.linalg.qr(x, mode)
    if mode == "r":
        check(got, want)
    else:
        check(got.Q, want[0])
        check(got.R, want[1])
    if mode == "reduced":
        assert_gradients(linalg.qr, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigenvalues(dtype):
    """eigh and eigvalsh, eig and eigvals; values are differentiable."""
    a, x = positive((2, 4, 4), dtype), array((2, 4, 4), dtype)
    check(linalg.eigh(a).eigenvalues, np.linalg.eigvalsh(a))
    check(linalg.eigvalsh(a), np.linalg.eigvalsh(a))
    check(linalg.eigh(a, "U").eigenvalues, np.linalg.eigvalsh(a))
    w, v = linalg.eig(x)
    check(w, np.linalg.eigvals(x))
    check(x @ np.asarray(v), np.asarray(v) * np.asarray(w)[:, None])
    check(linalg.eigvals(x), np.linalg.eigvals(x))
    assert_gradients(linalg.eigvalsh, a)
    assert_gradients(linalg.eigvals, x)
    assert_gradients(lambda a: jnp.abs(linalg.eigh(a).eigenvectors), a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_svd(dtype):
    """Values and vectors; by eigh for Hermitian matrices."""
    x = array((3, 5), dtype)
    for full in (True, False):
        for got, want in zip(linalg.svd(x, full), np.linalg.svd(x, full)):
            check(got, want)
    check(linalg.svd(x, compute_uv=False), np.linalg.svd(x, compute_uv=False))
    check(linalg.svdvals(x), np.linalg.svdvals(x))
    a = positive((4, 4), dtype) - 3 * np.eye(4)
    u, s, vh = map(np.asarray, linalg.svd(a, hermitian=True))
    check(u * s @ vh, a)
    check(s, np.linalg.svdvals(a))
    check(linalg.svd(a, hermitian=True, compute_uv=False), s)
    assert_gradients(linalg.svdvals, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pinv(dtype):
    """All shapes and ranks; differentiable at constant rank, also with equal singular values."""
    for shape in [(4, 4), (3, 5), (5, 3), (2, 3, 4)]:
        x = array(shape, dtype)
        check(linalg.pinv(x), np.linalg.pinv(x))
        assert_gradients(linalg.pinv, x)
    u, v = array((4,), dtype), array((3,), dtype, 1)
    check(linalg.pinv(np.outer(u, v)), np.linalg.pinv(np.outer(u, v)))
    assert_gradients(lambda u, v: linalg.pinv(jnp.outer(u, v)), u, v)
    assert_gradients(linalg.pinv, np.eye(3, 4))
    a = positive((3, 3), dtype)
    check(linalg.pinv(a, hermitian=True), np.linalg.pinv(a))
    half = np.diag([1.0, 0.1])
    check(linalg.pinv(half, rcond=0.5), np.diag([1.0, 0.0]))
    check(linalg.pinv(half, 0.01), np.diag([1.0, 10.0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b"), [((3, 5), (3,)), ((5, 3), (5, 2)), ((4, 4), (4,))])
def test_lstsq(a, b, dtype):
    """Solution, residuals, rank and singular values, with derivatives."""
    a, b = array(a, dtype), array(b, dtype, 1)
    x, residuals, rank, s = linalg.lstsq(a, b)
    want = np.linalg.lstsq(a, b)
    check(x, want[0])
    assert int(rank) == want[2]
    check(s, want[3])
    check(linalg.lstsq(a, b, numpy_resid=True)[1], want[1])
    if a.shape[0] > a.shape[1]:
        check(residuals, want[1])
    assert_gradients(lambda a, b: linalg.lstsq(a, b)[::3], a, b)


def test_lstsq_of_deficient_rank_is_the_shortest_solution():
    """As the pseudo-inverse; rcond sets what counts as zero."""
    a = np.outer(array((4,)), array((3,), seed=1))
    b = array((4,), seed=2)
    x, _, rank, _ = linalg.lstsq(a, b)
    check(x, np.linalg.pinv(a) @ b)
    assert int(rank) == 1
    assert int(linalg.lstsq(np.diag([1.0, 0.1]), b[:2], rcond=0.5)[2]) == 1


def test_matrix_rank():
    """Of matrices, stacks and vectors, with relative and absolute limits."""
    x = array((3, 5))
    for m in (x, np.outer(x[0], x[1]), np.zeros((2, 2)), x[0], array((2, 3, 3))):
        check(linalg.matrix_rank(m), np.linalg.matrix_rank(m))
    assert linalg.matrix_rank(positive((3, 3), "float64"), hermitian=True) == 3
    assert linalg.matrix_rank(np.diag([1.0, 0.1]), rtol=0.5) == 1
    assert linalg.matrix_rank(np.diag([1.0, 0.1]), tol=0.01) == 2


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8, -1, -3])
def test_matrix_power(n):
    """Any integer power; of integers, integers."""
    x = array((2, 3, 3))
    check(linalg.matrix_power(x, n), np.linalg.matrix_power(x, n), 1e-8)
    if n >= 0:
        i = np.array([[1, 1], [1, 0]])
        got = linalg.matrix_power(i, n)
        check(got, np.linalg.matrix_power(i, n))
        assert got.dtype == i.dtype


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_cond(p):
    """Condition numbers in all norms."""
    x = array((2, 4, 4))
    check(linalg.cond(x, p), np.linalg.cond(x, p), 1e-8)


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, -1, 2.5, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_vector_norms(order, dtype):
    """Over one axis or several."""
    x = array((2, 4, 3), dtype)
    check(linalg.norm(x[0, 0], order), np.linalg.norm(x[0, 0], order))
    got = linalg.norm(x, order, axis=1, keepdims=True)
    check(got, np.linalg.norm(x, order, axis=1, keepdims=True))
    if order is not None:
        check(
            linalg.vector_norm(x, ord=order, axis=(0, 2)),
            np.linalg.vector_norm(x, ord=order, axis=(0, 2)),
        )
    if order not in (0, None):
        assert_gradients(lambda x: linalg.norm(x, order), x[0, 0])


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_norms(order, dtype):
    """Over any two axes, in either order."""
    x = array((3, 4, 5), dtype)
    for axes in ((0, 2), (2, 0), (1, 2), (-1, 0)):
        for keepdims in (False, True):
            got = linalg.norm(x, order, axes, keepdims)
            check(got, np.linalg.norm(x, order, axes, keepdims))
    check(linalg.norm(x), np.linalg.norm(x))
    if order is not None:
        check(linalg.matrix_norm(x, ord=order), np.linalg.matrix_norm(x, ord=order))
    assert_gradients(lambda x: linalg.norm(x, order), x[0])


@pytest.mark.parametrize("order", [None, 2, 3, 1.5])
def test_norms_have_a_gradient_at_zero(order):
    """It is zero, one of the subgradients; nan stays nan."""
    norm = lambda x: linalg.norm(x, order)
    check(ferax.grad(norm)(jnp.zeros(3)), np.zeros(3))
    check(ferax.jit(ferax.grad(norm))(jnp.zeros(3)), np.zeros(3))
    rows = lambda x: jnp.sum(linalg.norm(x, order, axis=1))
    got = ferax.grad(rows)(jnp.array([[0.0, 0.0], [3.0, 4.0]]))
    check(got[0], np.zeros(2))
    assert np.isnan(norm(jnp.array([np.nan, 1.0])))
    assert np.isnan(ferax.grad(norm)(jnp.array([np.nan, 1.0]))[0])


def test_chains():
    """multi_dot multiplies matrices, and vectors at the ends."""
    a, b, v = array((4, 50)), array((50, 3)), array((3,))
    check(linalg.multi_dot([a, b]), a @ b)
    check(linalg.multi_dot([a, b, v]), a @ (b @ v))
    check(linalg.multi_dot([v, b.T, a.T]), v @ b.T @ a.T)
    check(linalg.multi_dot([v, b.T, b, v]), v @ b.T @ b @ v)


def test_tensor_equations():
    """tensorsolve and tensorinv."""
    a, b = array((2, 3, 6)), array((2, 3), seed=1)
    check(linalg.tensorsolve(a, b), np.linalg.tensorsolve(a, b))
    check(linalg.tensorinv(a), np.linalg.tensorinv(a))
    a = array((2, 6, 3))
    check(linalg.tensorsolve(a, b, axes=(1,)), np.linalg.tensorsolve(a, b, axes=(1,)))


def test_functions_of_other_rooms():
    """The array API's names for products, diagonals and traces."""
    x, y = array((2, 3, 3)), array((2, 3, 3), seed=1)
    check(linalg.matmul(x, y), x @ y)
    check(linalg.tensordot(x, y[0], axes=1), np.tensordot(x, y[0], 1))
    check(linalg.vecdot(x, y), np.linalg.vecdot(x, y))
    check(linalg.outer(x[0, 0], y[0, 0]), np.outer(x[0, 0], y[0, 0]))
    check(linalg.cross(x, y), np.cross(x, y))
    check(linalg.diagonal(x, offset=1), np.linalg.diagonal(x, offset=1))
    check(linalg.trace(x, offset=-1), np.linalg.trace(x, offset=-1))
    check(linalg.matrix_transpose(x), x.swapaxes(1, 2))


def test_dtypes():
    """Integers become floating; single precision stays; weak types become strong."""
    with ferax.enable_x64(False):
        assert linalg.inv(jnp.eye(2, dtype=int)).dtype == np.float32
        assert linalg.norm(jnp.arange(3)).dtype == np.float32
        assert linalg.eigvals(jnp.eye(2)).dtype == np.complex64
        assert not linalg.norm(2.0).weak_type
    assert linalg.norm(jnp.ones(3, "bfloat16")).dtype == jnp.bfloat16
    assert linalg.solve(jnp.eye(2), jnp.ones(2) * 1j).dtype == np.complex128


W = jnp.ones((3, 5))
A = jnp.ones((3, 3))

MESSAGES = [
    (lambda: linalg.inv(W), ValueError, r"the last two sizes must be equal; got float32\[3,5\]"),
    (lambda: linalg.det(2.0), ValueError, "det: a matrix"),
    (lambda: linalg.solve(A, jnp.ones(4)), ValueError, r"needs b of shape \(3,\) or \(…, 3, m\)"),
    (lambda: linalg.solve(jnp.ones((2, 3, 3)), jnp.ones((2, 3))), ValueError,
     r"pass b\[..., None\]"),
    (lambda: linalg.norm(jnp.ones((2, 3, 3)), 2), ValueError, "one axis and a matrix norm two"),
    (lambda: linalg.norm(A, 3), ValueError, "the order 3 is none of a matrix norm"),
    (lambda: linalg.norm(A[0], "fro"), ValueError, "'fro' is none of a vector norm"),
    (lambda: linalg.eigh(A, "X"), ValueError, "UPLO must be None, 'L' or 'U'; got 'X'"),
    (lambda: linalg.qr(A, "x"), ValueError, "mode must be 'reduced'"),
    (lambda: linalg.slogdet(A, method="x"), ValueError, "method must be None, 'lu' or 'qr'"),
    (lambda: linalg.cond(W, 1), ValueError, "for p=1 the matrix must be square"),
    (lambda: linalg.multi_dot([A]), ValueError, "two or more arrays"),
    (lambda: linalg.multi_dot([jnp.ones((2, 3, 3)), A]), ValueError, "two or more arrays of two"),
    (lambda: linalg.outer(A, A), ValueError, "vectors are needed"),
    (lambda: linalg.cross(jnp.ones(2), jnp.ones(2)), ValueError, "3 components along axis -1"),
    (lambda: linalg.tensorinv(A, 0), ValueError, "ind must be positive; got 0"),
    (lambda: linalg.tensorsolve(W, jnp.ones(3)), ValueError, "the first axes of a"),
    (lambda: linalg.matrix_power(W, 2), TypeError, "a square matrix is needed"),
    (lambda: linalg.matrix_power(A, 2.0), TypeError, "must be an integer; got 2.0"),
    (lambda: linalg.lstsq(A, jnp.ones(4)), ValueError, "as many rows"),
    (lambda: linalg.inv([[1.0]]), TypeError, "inv requires ndarray or scalar arguments"),
    (lambda: linalg.inv(jnp.ones((2, 2), "float16")), NotImplementedError,
     r"inv is not implemented for float16\[2,2\]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES)
def test_messages(call, error, message):
    """Messages name the function, what came and the rule."""
    with pytest.raises(error, match=message):
        call()
