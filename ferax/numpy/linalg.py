"""NumPy's linear algebra on stacks of matrices.

Operands are promoted, integers become floating. Derivatives that would go through a factorization
at needless cost or lose sense where it is not unique are given in closed form:

* det: cof(A) : dA, and log|det|: tr(A⁻¹ dA), from the same LU factors;
* pinv and lstsq: G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least
  squares problems whose variables separate" (1973), equation 4.12; defined as long as the rank
  does not change, also for coinciding singular values;
* the 2-norm: x / ‖x‖, and 0 at 0 (a subgradient).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.branching import cond as lax_cond
from ferax.lax.contraction import PrecisionLike
from ferax.lax.custom import custom_jvp
from ferax.lax.factorizations import Cholesky, Geqrf, Lu, LuSolve, Qr
from ferax.lax.factorizations import symmetrized as _symmetrized
from ferax.lax.marks import STOP_GRADIENT
from ferax.lax.matrices import (
    adjoint,
    as_column,
    as_row,
    check_matrix,
    conj,
    identity,
    times,
    transposed,
)
from ferax.lax.matrices import diagonal as _diagonal
from ferax.lax.shape import Concatenate, Iota
from ferax.lax.spectral import Eig, Eigh, Svd
from ferax.lax.spectral import svd as lax_svd
from ferax.numpy import contracting, reducing
from ferax.numpy.elementary import log, sqrt
from ferax.numpy.operations import GT
from ferax.numpy.ordering import argsort
from ferax.numpy.promoting import ArrayLike, operand, promote_inexact
from ferax.numpy.searching import take_along_axis, where
from ferax.numpy.shaping import matrix_transpose as _matrix_transpose
from ferax.numpy.ufuncs import absolute, power

__all__ = [
    "EigResult", "EighResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond",
    "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer",
    "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve",
    "trace", "vecdot", "vector_norm",
]  # fmt: skip


class EigResult(NamedTuple):
    """What `eig` returns."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


def _strong(who: str, *args: Any) -> list[Any]:
    """Operands of one floating or complex dtype that is not weak."""
    return [basis.convert(x, x.dtype) for x in promote_inexact(who, *args)]


def _matrix(who: str, a: Any, square: bool = False) -> Any:
    (x,) = _strong(who, a)
    check_matrix(who, x, square)
    return x


# -- systems of equations and determinants ---------------------------------------------------


@public
def solve(a: ArrayLike, b: ArrayLike) -> Array:
    """x with a x = b.

    Args:
      a: numbers, (…, n, n).
      b: numbers, (n,), or (…, n, m); leading axes broadcast.

    Returns:
      Floating or complex array, (…, n) for a vector b, else (…, n, m); inf or nan where a is
      singular.

    Raises:
      ValueError: a is not square, or b does not fit.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.solve(jnp.array([[2., 0.], [0., 4.]]), jnp.array([2., 2.]))
    Array([1. , 0.5], dtype=float32)
    """
    x, y = _strong("solve", a, b)
    check_matrix("solve", x, square=True)
    vector = y.ndim == 1
    y = as_column(y) if vector else y
    if y.ndim < 2 or y.shape[-2] != x.shape[-1]:
        hint = (
            "; for a stack of vectors pass b[..., None]"
            if y.ndim == x.ndim - 1 > 1
            else ""
        )
        raise ValueError(
            f"solve: a {x.aval.short()} needs b of shape ({x.shape[-1]},) or "
            f"(…, {x.shape[-1]}, m); got {operand('solve', b).aval.short()}{hint}"
        )
    z = _solve(x, y)
    return basis.reshape(z, z.shape[:-1]) if vector else z


def _solve(a: Any, b: Any) -> Any:
    """A⁻¹ B, leading axes broadcast. One matrix is factored once, whatever b's leading axes."""
    lu, _, order = Lu().bind(STOP_GRADIENT(a))
    if a.ndim == 2 and b.ndim > 2:
        *lead, n, m = b.shape
        k = len(lead)
        flat = basis.reshape(
            basis.permute(b, (k, *range(k), k + 1)), (n, shapes.size(lead) * m)
        )
        x = basis.reshape(LuSolve(False)(lu, order, a, flat), (n, *lead, m))
        return basis.permute(x, (*range(1, k + 1), 0, k + 1))
    lead = shapes.broadcast_shapes(a.shape[:-2], b.shape[:-2], who="solve")
    wide = [
        basis.broadcast_to(x, (*lead, *x.shape[x.ndim - core :]))
        for x, core in ((lu, 2), (order, 1), (a, 2), (b, 2))
    ]
    return LuSolve(False)(*wide)


@public
def inv(a: ArrayLike) -> Array:
    """The inverse matrix.

    Args:
      a: numbers, (…, n, n).

    Returns:
      Floating or complex array of that shape; inf or nan where a is singular.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.inv(jnp.array([[2., 0.], [0., 4.]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    x = _matrix("inv", a, square=True)
    return _solve(x, identity(x))


def _factors(a: Any) -> tuple[Any, Any, Any, Any]:
    """LU, the row order, the diagonal of U, and the sign of the row order."""
    lu, pivots, order = Lu().bind(a)
    n = pivots.shape[-1]
    exchanged = el.Ne()(pivots, Iota(pivots.dtype, (n,), 0)())
    real = dtypes.to_real(a.dtype)
    count = basis.reduce_sum(
        basis.convert(exchanged, np.dtype(np.int32)), (pivots.ndim - 1,)
    )
    odd = el.rem(count, basis.full((), 2, np.dtype(np.int32)))
    sign = basis.sub(1, basis.mul(basis.convert(odd, real), 2))
    return lu, order, _diagonal(lu), basis.convert(sign, a.dtype)


@partial(custom_jvp, nondiff_argnums=(1,))
def _slogdet(a: Any, method: str) -> tuple[Any, Any]:
    if method == "lu":
        _, _, r, sign = _factors(a)
    else:
        factors, taus = Geqrf().bind(a)
        r = _diagonal(factors)
        # a reflector's determinant is -τ² / |τ|², or 1 where τ is 0
        turns = where(el.eq(taus, 0), 1, basis.neg(el.sign(basis.mul(taus, taus))))
        sign = reducing.prod(turns, -1)
    size = absolute(r)
    return (
        basis.mul(sign, reducing.prod(el.sign(r), -1)),
        basis.reduce_sum(log(size), (size.ndim - 1,)),
    )


@_slogdet.defjvp
def _slogdet_jvp(method: str, primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    sign, value = _slogdet(a, method)
    lu, _, order = Lu().bind(STOP_GRADIENT(a))
    change = _trace(LuSolve(False)(lu, order, a, t))
    if not dtypes.is_complex(a.dtype):
        return (sign, value), (basis.zeros_like(sign), change)
    turn = el.complex(basis.zeros((), value.dtype), el.imag(change))
    return (sign, value), (basis.mul(turn, sign), el.real(change))


def _trace(x: Any) -> Any:
    return basis.reduce_sum(_diagonal(x), (x.ndim - 2,))


@public
def slogdet(a: ArrayLike, *, method: str | None = None) -> SlogdetResult:
    """(sign, log|det|) of square matrices: det(a) = sign · exp(logabsdet) without overflow.

    Args:
      a: numbers, (…, n, n).
      method: None or "lu", or "qr".

    Returns:
      sign: 1, -1 or 0 (complex a: of modulus 1, or 0), (…,). logabsdet: real, (…,), -inf where a
      is singular.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.slogdet(jnp.array([[0., 2.], [2., 0.]]))
    SlogdetResult(sign=Array(-1., dtype=float32), logabsdet=Array(1.3862944, dtype=float32))
    """
    x = _matrix("slogdet", a, square=True)
    if method not in (None, "lu", "qr"):
        raise ValueError(f"slogdet: method must be None, 'lu' or 'qr'; got {method!r}")
    return SlogdetResult(*_slogdet(x, method or "lu"))


@custom_jvp
def _det(a: Any) -> Any:
    _, _, u, sign = _factors(a)
    return basis.mul(sign, reducing.prod(u, -1))


@_det.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    value = _det(a)

    def regular(a: Any, value: Any) -> Any:
        wide = basis.expand_dims(value, (value.ndim, value.ndim + 1))
        return basis.mul(wide, transposed(_solve(a, identity(a))))

    def singular(a: Any, value: Any) -> Any:
        # cof(U S Vᴴ) = cof(U) cof(S) cof(Vᴴ), and cof of a unitary matrix is det · conj
        u, s, vh = lax_svd(a)
        n = s.shape[-1]
        places = Iota(np.dtype(np.int32), (n,), 0)()
        # the product of the other singular values, for each
        rest = [reducing.prod(where(el.eq(places, i), 1, s), -1) for i in range(n)]
        last = s.ndim - 1
        others = Concatenate(last)(*[basis.expand_dims(r, (last,)) for r in rest])
        scaled = basis.mul(conj(u), as_row(basis.convert(others, u.dtype)))
        factor = basis.mul(_det(u), _det(vh))
        return basis.mul(
            basis.expand_dims(factor, (factor.ndim, factor.ndim + 1)),
            times(scaled, conj(vh)),
        )

    if not a.size:
        return value, basis.zeros_like(value)
    lost = reducing.any(el.eq(value, 0))
    cofactors = lax_cond(lost, singular, regular, a, value)
    return value, basis.reduce_sum(basis.mul(cofactors, t), (a.ndim - 2, a.ndim - 1))


@public
def det(a: ArrayLike) -> Array:
    """The determinants of square matrices.

    Args:
      a: numbers, (…, n, n).

    Returns:
      Floating or complex array (…,). Its derivative, the cofactors, exists for singular a too.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.det(jnp.array([[0., 2.], [3., 4.]]))
    Array(-6., dtype=float32)
    """
    return _det(_matrix("det", a, square=True))


@public
def matrix_power(a: ArrayLike, n: int) -> Array:
    """a · a · … · a, n factors; for negative n of the inverse.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.matrix_power(jnp.array([[1, 1], [1, 0]]), 10)
    Array([[89, 55],
           [55, 34]], dtype=int32)
    """
    x = operand("matrix_power", a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise TypeError(
            f"matrix_power: a square matrix is needed; got {x.aval.short()}"
        )
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: the exponent must be an integer; got {n!r}")
    if n < 0:
        x, n = inv(x), -n
    if n == 0:
        return identity(x)
    result = None
    while n:  # n in binary: squares of squares
        n, bit = divmod(n, 2)
        if bit:
            result = x if result is None else contracting.matmul(result, x)
        if n:
            x = contracting.matmul(x, x)
    return result  # type: ignore[return-value]


@public
def tensorsolve(
    a: ArrayLike, b: ArrayLike, axes: tuple[int, ...] | None = None
) -> Array:
    """x with tensordot(a, x, x.ndim) = b.

    Args:
      a: numbers, (*b.shape, *x.shape), with equally many elements in both parts.
      b: numbers.
      axes: axes of a to move to its end first.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.tensorsolve(jnp.eye(6).reshape(2, 3, 6), jnp.ones((2, 3))).shape
    (6,)
    """
    x, y = _strong("tensorsolve", a, b)
    if axes is not None:
        last = shapes.canonical_axes(axes, x.ndim, "tensorsolve")
        x = basis.permute(x, (*(i for i in range(x.ndim) if i not in last), *last))
    wanted = x.shape[y.ndim :]
    if x.shape[: y.ndim] != y.shape or shapes.size(wanted) != y.size:
        raise ValueError(
            f"tensorsolve: the first axes of a {x.aval.short()} must be the shape {y.shape} of b, "
            "and the others have as many elements together"
        )
    z = _solve(basis.reshape(x, (y.size, y.size)), basis.reshape(y, (y.size, 1)))
    return basis.reshape(z, wanted)


@public
def tensorinv(a: ArrayLike, ind: int = 2) -> Array:
    """The inverse of tensordot(a, ·): its first `ind` axes are a's last ones.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.tensorinv(jnp.eye(6).reshape(2, 3, 6)).shape
    (6, 2, 3)
    """
    (x,) = _strong("tensorinv", a)
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive; got {ind}")
    first, last = x.shape[:ind], x.shape[ind:]
    n = shapes.size(first)
    if n != shapes.size(last):
        raise ValueError(
            f"tensorinv: the first {ind} axes of a {x.aval.short()} must have as many elements "
            "together as the others"
        )
    return basis.reshape(inv(basis.reshape(x, (n, n))), (*last, *first))


# -- factorizations --------------------------------------------------------------------------


@public
def cholesky(
    a: ArrayLike, *, upper: bool = False, symmetrize_input: bool = True
) -> Array:
    """The triangular factor of Hermitian positive matrices: a = L Lᴴ, or Uᴴ U with `upper`.

    Args:
      a: numbers, (…, n, n).
      upper: give U instead of L.
      symmetrize_input: use (a + aᴴ) / 2; else one triangle is read, and derivatives assume that a
        is Hermitian.

    Returns:
      Floating or complex array of the shape of a; its triangle is nan where a is not positive.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.cholesky(jnp.array([[4., 2.], [2., 10.]]))
    Array([[2., 0.],
           [1., 3.]], dtype=float32)
    """
    x = _matrix("cholesky", a, square=True)
    if symmetrize_input:
        x = _symmetrized(x)
    elif upper:
        x = adjoint(x)
    factor = Cholesky()(x)
    return adjoint(factor) if upper else factor


@public
def qr(a: ArrayLike, mode: str = "reduced") -> Any:
    """a = Q R with orthonormal columns of Q and upper triangular R.

    Args:
      a: numbers, (…, m, n).
      mode: "reduced": Q (…, m, k), R (…, k, n), k = min(m, n); "complete": Q (…, m, m), R
        (…, m, n); "r": R only; "raw": LAPACK's reflectors, transposed, and τ.

    Returns:
      QRResult(Q, R), or R.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.qr(jnp.eye(3)[:, :2]).R
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    x = _matrix("qr", a)
    if mode == "raw":
        factors, taus = Geqrf().bind(x)
        return QRResult(transposed(factors), taus)
    if mode not in ("reduced", "complete", "full", "r"):
        raise ValueError(
            f"qr: mode must be 'reduced', 'complete', 'r' or 'raw'; got {mode!r}"
        )
    q, r = Qr(False, mode in ("complete", "full")).bind(x)
    return r if mode == "r" else QRResult(q, r)


@public
def svd(
    a: ArrayLike,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """a = U diag(S) Vh: singular values, descending, and orthonormal vectors.

    Args:
      a: numbers, (…, m, n).
      full_matrices: U is (…, m, m), Vh (…, n, n); else (…, m, k), (…, k, n), k = min(m, n).
      compute_uv: else S alone is returned.
      hermitian: a is Hermitian; then eigh is used.
      subset_by_index: (start, stop) of the values wanted, without full matrices.

    Returns:
      SVDResult(U, S, Vh) with real S (…, k), or S.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.svd(jnp.array([[0., 3.], [2., 0.]])).S
    Array([3., 2.], dtype=float32)
    """
    x = _matrix("svd", a, square=hermitian)
    if not hermitian:
        answer = lax_svd(
            x,
            full_matrices=full_matrices,
            compute_uv=compute_uv,
            subset_by_index=subset_by_index,
        )
        return SVDResult(*answer) if compute_uv else answer
    if subset_by_index is not None:
        raise NotImplementedError(
            "svd: subset_by_index with hermitian=True is not implemented"
        )
    v, w = Eigh(True).bind(_symmetrized(x))
    order = argsort(absolute(w), descending=True)
    s = take_along_axis(absolute(w), order, -1)
    if not compute_uv:
        return s
    v = take_along_axis(v, as_row(order), -1)
    sign = where(el.lt(take_along_axis(w, order, -1), 0), -1, 1)
    return SVDResult(v, s, adjoint(basis.mul(v, as_row(basis.convert(sign, v.dtype)))))


@public
def svdvals(x: ArrayLike, /) -> Array:
    """Singular values, descending: those of `svd`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.svdvals(jnp.array([[0., 3.], [2., 0.]]))
    Array([3., 2.], dtype=float32)
    """
    return Svd(False, False)(_matrix("svdvals", x))


@public
def eigh(
    a: ArrayLike, UPLO: str | None = None, symmetrize_input: bool = True
) -> EighResult:
    """Eigenvalues, ascending, and orthonormal eigenvectors of Hermitian matrices.

    Args:
      a: numbers, (…, n, n).
      UPLO: "L" (None) or "U": the triangle that is read if not `symmetrize_input`.
      symmetrize_input: use (a + aᴴ) / 2.

    Returns:
      EighResult: real eigenvalues (…, n), and eigenvectors (…, n, n) in columns.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.eigh(jnp.array([[2., 0.], [0., 1.]])).eigenvalues
    Array([1., 2.], dtype=float32)
    """
    if UPLO not in (None, "L", "U"):
        raise ValueError(f"eigh: UPLO must be None, 'L' or 'U'; got {UPLO!r}")
    x = _matrix("eigh", a, square=True)
    v, w = Eigh(UPLO != "U").bind(_symmetrized(x) if symmetrize_input else x)
    return EighResult(w, v)


@public
def eigvalsh(
    a: ArrayLike, UPLO: str | None = "L", *, symmetrize_input: bool = True
) -> Array:
    """Eigenvalues of Hermitian matrices, ascending; arguments as in `eigh`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.eigvalsh(jnp.array([[0., 1.], [1., 0.]]))
    Array([-1.,  1.], dtype=float32)
    """
    return eigh(a, UPLO, symmetrize_input).eigenvalues


@public
def eig(a: ArrayLike) -> EigResult:
    """Eigenvalues and right eigenvectors of square matrices.

    Args:
      a: numbers, (…, n, n).

    Returns:
      EigResult: complex eigenvalues (…, n), in no particular order, and eigenvectors (…, n, n) in
      columns of norm 1. For derivatives of the vectors see lax.linalg.eig.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.eig(jnp.array([[0., 1.], [-1., 0.]])).eigenvalues
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    return EigResult(*Eig(False, True).bind(_matrix("eig", a, square=True)))


@public
def eigvals(a: ArrayLike) -> Array:
    """Eigenvalues of square matrices, complex, in no particular order.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.eigvals(jnp.array([[0., 1.], [-1., 0.]]))
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    return Eig(False, False)(_matrix("eigvals", a, square=True))


# -- pseudo-inverse and least squares --------------------------------------------------------


def _inverted(s: Any, cutoff: Any) -> Any:
    """1 / s, and 0 for singular values that are not above the cutoff."""
    kept = el.gt(s, cutoff)
    inverse = el.div(basis.full((), 1, s.dtype), where(kept, s, 1))
    return where(kept, inverse, 0)


@custom_jvp
def _pinv(a: Any, rtol: Any) -> Any:
    if not a.size:
        return basis.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    s, u, vh = Svd(False, True).bind(a)
    largest = reducing.max(s, axis=-1, keepdims=True)
    inverse = _inverted(s, basis.mul(largest, basis.expand_dims(rtol, (rtol.ndim,))))
    scaled = basis.mul(adjoint(vh), as_row(basis.convert(inverse, a.dtype)))
    return times(scaled, adjoint(u))


@_pinv.defjvp
def _pinv_jvp(primals: Any, tangents: Any) -> Any:
    (a, rtol), (t, _) = primals, tangents
    p = _pinv(a, rtol)
    ph, th = adjoint(p), adjoint(t)
    # dP = -P dA P + P Pᴴ dAᴴ (I - A P) + (I - P A) dAᴴ Pᴴ P
    change = basis.neg(times(times(p, t), p))
    left = times(times(p, ph), th)
    change = basis.add(change, basis.sub(left, times(times(left, a), p)))
    right = times(th, times(ph, p))
    return p, basis.add(change, basis.sub(right, times(p, times(a, right))))


@public
def pinv(
    a: ArrayLike,
    rtol: ArrayLike | None = None,
    hermitian: bool = False,
    *,
    rcond: ArrayLike | None = None,
) -> Array:
    """The Moore-Penrose pseudo-inverse.

    Args:
      a: numbers, (…, m, n).
      rtol: singular values up to rtol times the largest count as zero; broadcasts with the leading
        axes of a. None: 10 max(m, n) times the precision of the dtype.
      hermitian: a is Hermitian.
      rcond: an older name of rtol.

    Returns:
      Floating or complex array (…, n, m). Its derivative takes the singular values that count as
      zero for zeros.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.pinv(jnp.array([[2., 0.], [0., 0.]]))
    Array([[0.5, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    x = _matrix("pinv", a, square=hermitian)
    rtol = rcond if rtol is None else rtol
    real = dtypes.to_real(x.dtype)
    if rtol is None:
        rtol = 10 * max(x.shape[-2:], default=1) * float(dtypes.finfo(real).eps)
    cutoff = basis.convert(operand("pinv", rtol), real)
    lead = shapes.broadcast_shapes(cutoff.shape, x.shape[:-2], who="pinv")
    cutoff = basis.broadcast_to(cutoff, lead)
    x = basis.broadcast_to(x, (*lead, *x.shape[-2:]))
    return _pinv(_symmetrized(x) if hermitian else x, cutoff)


@custom_jvp
def _least_squares(a: Any, b: Any, rcond: Any) -> tuple[Any, Any]:
    """The solution of least norm, and the singular values."""
    s, u, vh = Svd(False, True).bind(a)
    largest = reducing.max(s, axis=-1, keepdims=True)
    inverse = _inverted(s, basis.mul(largest, rcond))
    projected = basis.mul(
        times(adjoint(u), b), as_column(basis.convert(inverse, a.dtype))
    )
    return times(adjoint(vh), projected), s


@_least_squares.defjvp
def _least_squares_jvp(primals: Any, tangents: Any) -> Any:
    (a, b, rcond), (ta, tb, _) = primals, tangents
    x, s = _least_squares(a, b, rcond)
    p = _pinv(a, rcond)
    ph, tah = adjoint(p), adjoint(ta)
    rest = basis.sub(b, times(a, x))
    # d(P b) with P = A⁺: P (db - dA x) + P Pᴴ dAᴴ (b - A x) + (I - P A) dAᴴ Pᴴ x
    change = times(p, basis.sub(tb, times(ta, x)))
    change = basis.add(change, times(p, times(ph, times(tah, rest))))
    right = times(tah, times(ph, x))
    change = basis.add(change, basis.sub(right, times(p, times(a, right))))
    _, u, vh = Svd(False, True).bind(STOP_GRADIENT(a))
    ds = _diagonal(times(adjoint(u), times(ta, adjoint(vh))))
    return (x, s), (change, el.real(ds) if dtypes.is_complex(ds.dtype) else ds)


@public
def lstsq(
    a: ArrayLike, b: ArrayLike, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Array, Array, Array, Array]:
    """The x of least norm that minimizes ‖b - a x‖.

    Args:
      a: numbers, (m, n).
      b: numbers, (m,) or (m, k).
      rcond: singular values up to rcond times the largest count as zero; None: max(m, n) times
        the precision of the dtype.
      numpy_resid: give residuals only where NumPy does: m > n and full rank (a value, so not
        under jit).

    Returns:
      x (n,) or (n, k); squared residuals (1,) or (k,); the rank; the singular values. The
      derivative of x takes the singular values that count as zero for zeros.

    >>> import ferax.numpy as jnp
    >>> x, *_ = jnp.linalg.lstsq(jnp.array([[1.], [1.]]), jnp.array([1., 3.]))
    >>> jnp.round(x, 3)
    Array([2.], dtype=float32)
    """
    x, y = _strong("lstsq", a, b)
    check_matrix("lstsq", x)
    if x.ndim != 2 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise ValueError(
            "lstsq: a must have two dimensions, b one or two, and as many rows; got "
            f"{x.aval.short()} and {y.aval.short()}"
        )
    m, n = x.shape
    columns = as_column(y) if y.ndim == 1 else y
    real = dtypes.to_real(x.dtype)
    eps = float(dtypes.finfo(real).eps)
    if rcond is None:
        rcond = eps * max(m, n)
    elif isinstance(rcond, (int, float)) and rcond < 0:
        rcond = eps
    if not x.size:
        z, s = basis.zeros((n, columns.shape[1]), x.dtype), basis.zeros((0,), real)
        rank = basis.zeros((), dtypes.canonical(np.dtype(np.int64)))
    else:
        limit = basis.convert(operand("lstsq", rcond), real)
        z, s = _least_squares(x, columns, limit)
        above = el.gt(s, basis.mul(reducing.max(s, axis=-1, keepdims=True), limit))
        counted = basis.convert(above, dtypes.canonical(np.dtype(np.int64)))
        rank = basis.reduce_sum(counted, (0,))
    rest = basis.sub(columns, times(x, z))
    squares = basis.reduce_sum(_square(rest), (0,))
    if numpy_resid and (m <= n or int(rank) < n):
        squares = basis.zeros((0,), real)
    return (basis.reshape(z, (n,)) if y.ndim == 1 else z), squares, rank, s


def _square(x: Any) -> Any:
    """|x|², real."""
    if dtypes.is_complex(x.dtype):
        real, imag = el.real(x), el.imag(x)
        return basis.add(basis.mul(real, real), basis.mul(imag, imag))
    return basis.mul(x, x)


@public
def matrix_rank(
    M: ArrayLike,
    rtol: ArrayLike | None = None,
    *,
    hermitian: bool = False,
    tol: ArrayLike | None = None,
) -> Array:
    """The number of singular values that are not negligible.

    Args:
      M: numbers, (…, m, n), or fewer dimensions (then 1 unless all is zero).
      rtol: limit relative to the largest singular value; None: max(m, n) times the precision.
      hermitian: M is Hermitian.
      tol: absolute limit instead.

    Returns:
      Integer array (…,).

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.matrix_rank(jnp.ones((3, 3)))
    Array(1, dtype=int32)
    """
    (x,) = _strong("matrix_rank", M)
    default = dtypes.canonical(np.dtype(np.int64))
    if x.ndim < 2:
        return basis.convert(reducing.any(el.ne(x, 0)), default)
    s = absolute(Eigh(True).bind(_symmetrized(x))[1]) if hermitian else svdvals(x)
    if not s.size:
        return basis.zeros(x.shape[:-2], default)
    if tol is None:
        if rtol is None:
            rtol = max(x.shape[-2:]) * float(dtypes.finfo(s.dtype).eps)
        relative = basis.convert(operand("matrix_rank", rtol), s.dtype)
        tol = basis.mul(reducing.max(s, axis=-1), relative)
    limit = basis.convert(operand("matrix_rank", tol), s.dtype)
    above = GT(s, basis.expand_dims(limit, (limit.ndim,)))
    return basis.reduce_sum(basis.convert(above, default), (above.ndim - 1,))


# -- norms -----------------------------------------------------------------------------------


def _root(squares: Any) -> Any:
    """√x whose derivative at 0 counts as 0."""
    zero = el.eq(squares, 0)
    return where(zero, squares, sqrt(where(zero, 1, squares)))


def _check_order(who: str, order: Any) -> None:
    """Which norm it is decides which operations there are: its order cannot be an array."""
    if order is not None and not isinstance(order, (int, float, str, np.number)):
        raise TypeError(
            f"{who}: the order of a norm must be a number or a string; got {order!r}"
        )


def _vector_norm(x: Any, order: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if order is None or order == 2:
        norm_ = _root(basis.reduce_sum(_square(x), axes))
    elif isinstance(order, str):
        raise ValueError(
            f"norm: the order {order!r} is none of a vector norm; they are numbers"
        )
    elif order in (np.inf, -np.inf):
        size = absolute(x)
        if order > 0:
            norm_ = reducing.max(size, axis=axes, initial=0)
        else:
            norm_ = reducing.min(size, axis=axes)
    elif order == 0:
        norm_ = basis.reduce_sum(
            basis.convert(el.ne(x, 0), dtypes.to_real(x.dtype)), axes
        )
    elif order == 1:
        norm_ = basis.reduce_sum(absolute(x), axes)
    else:
        total = basis.reduce_sum(power(absolute(x), order), axes)
        if order < 0:
            norm_ = power(total, 1 / order)
        else:
            zero = el.eq(total, 0)
            norm_ = where(zero, total, power(where(zero, 1, total), 1 / order))
    return basis.expand_dims(norm_, axes) if keepdims else norm_


def _matrix_norm(x: Any, order: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    if order is None or order == "fro":
        return _vector_norm(x, None, tuple(sorted(axes)), keepdims)
    rows, columns = axes
    if order in (1, -1, np.inf, -np.inf):
        inner, outer_ = (rows, columns) if abs(order) == 1 else (columns, rows)
        sums = reducing.sum(absolute(x), axis=inner, keepdims=True)
        kind = reducing.max if order > 0 else reducing.min
        start: Any = {"initial": 0} if order > 0 else {}  # the norm of nothing is 0
        norm_ = reducing.sum(kind(sums, axis=outer_, keepdims=True, **start), axis=axes)
    elif order in (2, -2, "nuc"):
        rest = [i for i in range(x.ndim) if i not in axes]
        s = svdvals(basis.permute(x, (*rest, rows, columns)))
        kinds: Any = {
            2: partial(reducing.max, initial=0), -2: reducing.min, "nuc": reducing.sum,
        }  # fmt: skip
        norm_ = kinds[order](s, axis=-1)
    else:
        raise ValueError(
            f"norm: the order {order!r} is none of a matrix norm; they are None, 'fro', 'nuc', "
            "1, -1, 2, -2, inf, -inf"
        )
    return basis.expand_dims(norm_, tuple(sorted(axes))) if keepdims else norm_


@public
def norm(
    x: ArrayLike,
    ord: int | str | None = None,
    axis: tuple[int, ...] | int | None = None,
    keepdims: bool = False,
) -> Array:
    """The norm of vectors or matrices.

    Args:
      x: numbers.
      ord: None: the root of the sum of squares. Of vectors: p, inf, -inf, or 0 (the number of
        elements that are not zero). Of matrices: "fro", "nuc", 1, -1, 2, -2, inf, -inf.
      axis: one axis for vectors, two for matrices; None: all, x being a vector or a matrix unless
        ord is None.
      keepdims: leave axes of size 1.

    Returns:
      Real array without those axes. The derivative of the 2-norm (and of p-norms) at 0 is 0.

    Raises:
      ValueError: ord does not exist for that number of axes.

    >>> import ferax, ferax.numpy as jnp
    >>> jnp.linalg.norm(jnp.array([3., 4.]))
    Array(5., dtype=float32)
    >>> ferax.grad(jnp.linalg.norm)(jnp.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    (x,) = _strong("norm", x)
    _check_order("norm", ord)
    axes = shapes.canonical_axes(axis, x.ndim, "norm")
    if axis is None and ord is None:
        return _vector_norm(x, None, axes, keepdims)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)  # type: ignore[arg-type]
    raise ValueError(
        f"norm: a vector norm needs one axis and a matrix norm two; got axis={axis} for "
        f"{x.aval.short()}"
    )


@public
def vector_norm(
    x: ArrayLike,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: int | str = 2,
) -> Array:
    """(Σ |x|^ord)^(1/ord) over one, several or all axes.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.vector_norm(jnp.ones((2, 2)))
    Array(2., dtype=float32)
    """
    (x,) = _strong("vector_norm", x)
    _check_order("vector_norm", ord)
    axes = tuple(sorted(shapes.canonical_axes(axis, x.ndim, "vector_norm")))
    return _vector_norm(x, ord, axes, keepdims)


@public
def matrix_norm(
    x: ArrayLike, /, *, keepdims: bool = False, ord: str | int = "fro"
) -> Array:
    """The norm of the matrices in the last two axes; see `norm`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.matrix_norm(jnp.eye(3), ord="nuc")
    Array(3., dtype=float32)
    """
    (x,) = _strong("matrix_norm", x)
    _check_order("matrix_norm", ord)
    if x.ndim < 2:
        raise ValueError(
            f"matrix_norm: two dimensions are needed; got {x.aval.short()}"
        )
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@public
def cond(x: ArrayLike, p: Any = None) -> Array:
    """The condition number ‖x‖ ‖x⁻¹‖.

    Args:
      x: numbers, (…, m, n); square unless p is None, 2 or -2.
      p: the norm, as in `norm`; None and 2: the ratio of the extreme singular values.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.cond(jnp.array([[1., 0.], [0., 4.]]))
    Array(4., dtype=float32)
    """
    a = _matrix("cond", x)
    _check_order("cond", p)
    if not a.size:
        raise ValueError(
            f"cond is not defined for empty matrices; got {a.aval.short()}"
        )
    if p in (None, 2, -2):
        s = svdvals(a)
        large, small = reducing.max(s, axis=-1), reducing.min(s, axis=-1)
        ratio = el.div(*((small, large) if p == -2 else (large, small)))
    else:
        if a.shape[-1] != a.shape[-2]:
            raise ValueError(
                f"cond: for p={p!r} the matrix must be square; got {a.aval.short()}"
            )
        axes = (a.ndim - 2, a.ndim - 1)
        ratio = basis.mul(
            _matrix_norm(a, p, axes, False), _matrix_norm(inv(a), p, axes, False)
        )
    # the inverse of a singular matrix may be nan
    bad = el.ne(ratio, ratio)
    known = reducing.all(el.eq(a, a), axis=(-2, -1))
    return where(el.bitwise_and(bad, known), np.inf, ratio)


# -- products, and NumPy's functions under their array API names -----------------------------


@public
def multi_dot(arrays: Sequence[ArrayLike], *, precision: PrecisionLike = None) -> Array:
    """The product of a chain of matrices, multiplied in the cheapest order.

    Args:
      arrays: two or more matrices; the first and the last may be vectors.
      precision: see `lax.Precision`.

    >>> import ferax.numpy as jnp
    >>> x, y, z = jnp.ones((2, 50)), jnp.ones((50, 3)), jnp.ones(3)
    >>> jnp.linalg.multi_dot([x, y, z]).shape
    (2,)
    """
    given = [operand("multi_dot", x, i) for i, x in enumerate(arrays)]
    ends = [x.ndim for x in (given[0], given[-1])] if given else []
    inner = all(x.ndim == 2 for x in given[1:-1])
    if len(given) < 2 or not inner or not all(n in (1, 2) for n in ends):
        listing = ", ".join(x.aval.short() for x in given)
        raise ValueError(
            "multi_dot: two or more arrays of two dimensions are needed, of which the first and "
            f"the last may have one; got {listing or 'nothing'}"
        )
    terms: list[Any] = []
    for i, x in enumerate(given):
        labels = [i, i + 1] if x.ndim == 2 else ([i + 1] if i == 0 else [i])
        terms += [x, labels]
    output = [0] * (given[0].ndim == 2) + [len(given)] * (given[-1].ndim == 2)
    optimize = "optimal" if 2 < len(given) < 6 else "auto"
    return contracting.einsum(*terms, output, optimize=optimize, precision=precision)


@public
def matmul(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """The matrix product: `jnp.matmul`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.matmul(jnp.ones((2, 3)), jnp.ones((3, 4))).shape
    (2, 4)
    """
    return contracting.matmul(
        x1, x2, precision=precision, preferred_element_type=preferred_element_type
    )


@public
def tensordot(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    axes: int | tuple[Sequence[int], Sequence[int]] = 2,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Contraction of several axes: `jnp.tensordot`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.tensordot(jnp.ones((2, 3)), jnp.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    return contracting.tensordot(
        x1,
        x2,
        axes,
        precision=precision,
        preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )


@public
def vecdot(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    axis: int = -1,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ conj(x1) x2 along an axis: `jnp.vecdot`.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.vecdot(jnp.ones((2, 3)), jnp.ones(3))
    Array([3., 3.], dtype=float32)
    """
    return contracting.vecdot(
        x1,
        x2,
        axis=axis,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@public
def outer(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1[i] x2[j] of two vectors.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.outer(jnp.arange(2), jnp.arange(3)).shape
    (2, 3)
    """
    x, y = operand("outer", x1), operand("outer", x2, 1)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"linalg.outer: vectors are needed; got {x.aval.short()} and {y.aval.short()}. "
            "jnp.outer flattens its arguments."
        )
    return contracting.outer(x, y)


@public
def cross(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Array:
    """The vector product of vectors of three components along an axis.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    x, y = operand("cross", x1), operand("cross", x2, 1)
    sizes = [v.shape[shapes.canonical_axis(axis, v.ndim, "cross")] for v in (x, y)]
    if sizes != [3, 3]:
        raise ValueError(
            f"linalg.cross: vectors must have 3 components along axis {axis}; got "
            f"{x.aval.short()} and {y.aval.short()}"
        )
    return contracting.cross(x, y, axis=axis)


@public
def diagonal(x: ArrayLike, /, *, offset: int = 0) -> Array:
    """x[…, i, i + offset], of the last two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.diagonal(jnp.arange(4).reshape(2, 2))
    Array([0, 3], dtype=int32)
    """
    x = operand("diagonal", x)
    if x.ndim < 2:
        raise ValueError(f"diagonal: two dimensions are needed; got {x.aval.short()}")
    return _diagonal(x, offset)


@public
def trace(x: ArrayLike, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """Σ_i x[…, i, i + offset], of the last two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.trace(jnp.ones((5, 2, 2)))
    Array([2., 2., 2., 2., 2.], dtype=float32)
    """
    return contracting.trace(x, offset, -2, -1, dtype)


@public
def matrix_transpose(x: ArrayLike, /) -> Array:
    """The last two axes exchanged.

    >>> import ferax.numpy as jnp
    >>> jnp.linalg.matrix_transpose(jnp.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    return _matrix_transpose(x)
