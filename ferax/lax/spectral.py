"""Eigenvalues and singular values: eigh, eig, svd, Schur, and the reductions before them.

Derivatives: M. Giles, "An extended collection of matrix derivative results for forward and reverse
mode algorithmic differentiation" (2008), sections 3.1 and 3.2; J. Townsend, "Differentiating the
singular value decomposition" (2016). Eigenvectors and singular vectors have no derivative
where their values coincide: there derivatives are nan or inf, not silently wrong. Values are
differentiable on their own: no vector's derivative is formed where it is not asked for.

Vectors are determined up to a factor only (a sign, or a phase). Derivatives of complex ones fix
it so: those of eigh leave vᴴ dv = 0, those of svd have it real for the right vectors, those of eig
keep the norm and let the largest component stay real.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.avals import Aval, Zero
from ferax.core.primitive import cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax import lapack, reflectors
from ferax.lax.factorizations import solve, symmetrized
from ferax.lax.matrices import (
    Factorization,
    adjoint,
    as_column,
    as_row,
    block,
    conj,
    diagonal,
    identity,
    matrix_operand,
    on_diagonal,
    over,
    times,
    transposed,
    triangle,
)
from ferax.lax.reduction import ArgMax
from ferax.lax.shape import Concatenate, Iota, Rev

_INT = lapack.INT
_REAL, _IMAG, _COMPLEX = el.Real(), el.Imag(), el.Complex()
_ABS, _EQ = el.Abs(), el.Eq()


class EigImplementation(enum.Enum):
    """Names of implementations of `eig`; on the CPU it is LAPACK's in any case."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """Names of implementations of `eigh`; on the CPU it is LAPACK's in any case."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """Names of algorithms for `svd`; on the CPU it is LAPACK's divide and conquer in any case."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _real(x: Any) -> Any:
    return _REAL(x) if dtypes.is_complex(x.dtype) else x


def _as_complex(x: Any) -> Any:
    return basis.convert(x, dtypes.to_complex(x.dtype))


def _column_differences(values: Any) -> Any:
    """1 / (values[j] - values[i]) off the diagonal, 0 on it."""
    gaps = basis.sub(as_row(values), as_column(values))
    eye = identity(gaps)
    # the identity keeps the diagonal away from 1/0; coinciding values give inf
    return basis.sub(over(basis.full((), 1, gaps.dtype), basis.add(gaps, eye)), eye)


# -- Hermitian matrices ----------------------------------------------------------------------


class Eigh(Factorization):
    """(V, w) with A V = V diag(w), V unitary, w real and ascending, A Hermitian.

    Reads one triangle of A; derivatives assume that dA is Hermitian.
    """

    lower: bool
    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        return [Aval(a.shape, a.dtype), Aval(a.shape[:-1], dtypes.to_real(a.dtype))]

    def numpy(self, a: Any) -> list[Any]:
        triangle_name: Any = "L" if self.lower else "U"
        results = self.abstract(Aval(a.shape, a.dtype))

        def both(x: Any) -> list[Any]:
            w, v = np.linalg.eigh(x, triangle_name)
            return [v, w]

        return lapack.stacked(both, a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        vectors, values = hlo.out
        if not a.aval.size:
            return [hlo.zero(vectors), hlo.zero(values)]
        batch = a.shape[:-2]
        v, w, info = lapack.call(
            hlo, self.name, "syevd", (a,), [vectors, values, Aval(batch, _INT)], len(batch),
            mode=lapack.flag("V"), uplo=lapack.flag("L" if self.lower else "U"),
        )  # fmt: skip
        ok = lapack.succeeded(hlo, info)
        return [lapack.nan_unless(hlo, ok, v), lapack.nan_unless(hlo, ok, w)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        v, w = self.bind(a)
        if type(t) is Zero:
            return [v, w], self.zero_tangents([v, w])
        moved = times(adjoint(v), times(t, v))
        gaps = _column_differences(w)
        if gaps.dtype != v.dtype:
            gaps = basis.convert(gaps, v.dtype)
        return [v, w], [times(v, basis.mul(moved, gaps)), _real(diagonal(moved))]


@public
def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Any, Any]:
    """(v, w): eigenvectors and eigenvalues of a Hermitian matrix, x v = v diag(w).

    Args:
      x: floating or complex, (…, n, n).
      lower: which triangle is read if not `symmetrize_input`.
      symmetrize_input: use (x + xᴴ) / 2.
      sort_eigenvalues: has no effect here: they ascend.
      subset_by_index: (start, stop) of the eigenvalues wanted.
      implementation: has no effect here.

    Returns:
      v: the dtype of x, (…, n, n), columns are vectors. w: real, (…, n). nan where the iteration
      fails.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.eigh(jnp.array([[2., 0.], [0., 1.]]))[1]
    Array([1., 2.], dtype=float32)
    """
    x = matrix_operand("eigh", x, square=True)
    v, w = Eigh(bool(lower)).bind(symmetrized(x) if symmetrize_input else x)
    if subset_by_index is not None:
        start, stop = _subset("eigh", subset_by_index, x.shape[-1])
        v = block(v, (0, x.shape[-1]), (start, stop))
        w = basis.reshape(
            block(as_row(w), (0, 1), (start, stop)), (*w.shape[:-1], stop - start)
        )
    return v, w


def _subset(who: str, subset: tuple[int, int], size: int) -> tuple[int, int]:
    start, stop = subset if isinstance(subset, (tuple, list)) else (-1, -1)
    if not 0 <= start < stop <= size:
        raise ValueError(
            f"{who}: subset_by_index must be (start, stop) with 0 <= start < stop <= {size}; got "
            f"{subset}"
        )
    return start, stop


# -- singular values -------------------------------------------------------------------------


class Svd(Factorization):
    """(s,) or (s, U, Vᴴ) with A = U diag(s) Vᴴ, s descending; U, Vᴴ square if `full_matrices`."""

    full_matrices: bool
    compute_uv: bool

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        *batch, m, n = a.shape
        k = min(m, n)
        outs = [Aval((*batch, k), dtypes.to_real(a.dtype))]
        if self.compute_uv:
            outs.append(Aval((*batch, m, m if self.full_matrices else k), a.dtype))
            outs.append(Aval((*batch, n if self.full_matrices else k, n), a.dtype))
        return outs

    def numpy(self, a: Any) -> list[Any]:
        def decompose(x: Any) -> list[Any]:
            if not self.compute_uv:
                return [np.linalg.svd(x, compute_uv=False)]
            u, s, vh = np.linalg.svd(x, self.full_matrices)
            return [s, u, vh]

        results = self.abstract(Aval(a.shape, a.dtype))
        return lapack.stacked(decompose, a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        *batch, m, n = a.shape
        k = min(m, n)
        if not a.aval.size:
            return [lapack.eye(hlo, aval) for aval in hlo.out]
        mode = ("A" if self.full_matrices else "S") if self.compute_uv else "N"
        factors = hlo.out[1:] or (
            Aval((*batch, m, k), a.dtype),
            Aval((*batch, k, n), a.dtype),
        )
        results = [a.aval, hlo.out[0], *factors, Aval(tuple(batch), _INT)]
        _, *outs, info = lapack.call(
            hlo, self.name, "gesdd", (a,), results, len(batch), mode=lapack.flag(mode)
        )
        ok = lapack.succeeded(hlo, info)
        return [lapack.nan_unless(hlo, ok, x) for x in outs[: len(hlo.out)]]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        outs = self.bind(a)
        if type(t) is Zero:
            return outs, self.zero_tangents(outs)
        m, n = a.shape[-2:]
        k = min(m, n)
        s, u, vh = outs if self.compute_uv else Svd(False, True).bind(a)
        p = times(
            adjoint(u), times(t, adjoint(vh))
        )  # dA in the bases of singular vectors
        core = block(p, (0, k), (0, k))
        if not self.compute_uv:
            return outs, [_real(diagonal(core))]
        ds, omega_u, omega_v = _svd_turns(s, core, a.dtype)
        du = times(block(u, (0, m), (0, k)), omega_u)
        v = adjoint(vh)
        dv = times(block(v, (0, n), (0, k)), omega_v)
        row = as_row(basis.convert(s, a.dtype))
        if m > k:
            du = _leave_range(du, u, times(t, v), p, row, k)
        if n > k:
            dv = _leave_range(dv, v, times(adjoint(t), u), adjoint(p), row, k)
        return outs, [ds, du, adjoint(dv)]


def _svd_turns(s: Any, p: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """ds, and how U and V turn within their first columns: dU = U Ωu, dV = V Ωv."""
    squares = _column_differences(basis.mul(s, s))
    row = as_row(s)
    if dtype != s.dtype:
        squares, row = basis.convert(squares, dtype), basis.convert(row, dtype)
    column = transposed(row)
    omega_u = basis.mul(
        squares, basis.add(basis.mul(p, row), basis.mul(column, adjoint(p)))
    )
    omega_v = basis.mul(
        squares, basis.add(basis.mul(column, p), basis.mul(adjoint(p), row))
    )
    if dtypes.is_complex(
        dtype
    ):  # the phase that singular vectors are free in goes to U
        phase = _COMPLEX(basis.zeros((), s.dtype), over(_IMAG(diagonal(p)), s))
        omega_u = basis.add(omega_u, on_diagonal(phase))
    return _real(diagonal(p)), omega_u, omega_v


def _leave_range(du: Any, u: Any, moved: Any, p: Any, s: Any, k: int) -> Any:
    """Add to dU what leaves the span of the first k vectors; `moved` is dA V, p is Uᴴ dA V."""
    m, size = u.shape[-2:]
    first = block(u, (0, m), (0, k))
    if size == k:
        head = block(moved, (0, m), (0, k))
        outside = basis.sub(head, times(first, block(p, (0, k), (0, k))))
        return basis.add(du, over(outside, s))
    # the other vectors are there: they turn with the first ones, and among themselves not at all
    low = over(block(p, (k, size), (0, k)), s)
    rest = block(u, (0, m), (k, size))
    du = basis.add(du, times(rest, low))
    return Concatenate(du.ndim - 1)(du, basis.neg(times(first, adjoint(low))))


@public
def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """(u, s, vᴴ) with x = u diag(s) vᴴ: singular values, descending, and orthonormal vectors.

    Args:
      x: floating or complex, (…, m, n).
      full_matrices: u is (…, m, m) and vᴴ (…, n, n); else (…, m, k) and (…, k, n).
      compute_uv: else only s is computed and returned.
      subset_by_index: (start, stop) of the singular values wanted; not with full matrices.
      algorithm: has no effect here.

    Returns:
      s is real, (…, k) with k = min(m, n). nan where the iteration fails.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.svd(jnp.array([[0., 3.], [2., 0.]]), compute_uv=False)
    Array([3., 2.], dtype=float32)
    """
    x = matrix_operand("svd", x)
    s, *vectors = Svd(bool(full_matrices), bool(compute_uv)).bind(x)
    if subset_by_index is not None:
        m, n = x.shape[-2:]
        start, stop = _subset("svd", subset_by_index, min(m, n))
        if vectors and full_matrices and m != n:
            raise ValueError("svd: subset_by_index needs full_matrices=False")
        s = basis.reshape(
            block(as_row(s), (0, 1), (start, stop)), (*s.shape[:-1], stop - start)
        )
        if vectors:
            u, vh = vectors
            vectors = [
                block(u, (0, m), (start, stop)),
                block(vh, (start, stop), (0, n)),
            ]
    return (vectors[0], s, vectors[1]) if vectors else s


@public
def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[int, int] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """The polar decomposition x = u h: u with orthonormal columns, h Hermitian, not negative.

    Args:
      x: floating or complex, (m, n), m >= n.
      is_hermitian, max_iterations, eps: have no effect here; the result comes from svd.
      dynamic_shape: not supported.

    Returns:
      u, h, the number of iterations (0) and whether they converged.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.qdwh(jnp.array([[0., -2.], [3., 0.]]))[1]
    Array([[3., 0.],
           [0., 2.]], dtype=float32)
    """
    if dynamic_shape is not None:
        raise NotImplementedError("qdwh: dynamic_shape is not implemented")
    x = matrix_operand("qdwh", x)
    if x.shape[-2] < x.shape[-1]:
        raise ValueError(
            f"qdwh: at least as many rows as columns are needed; got {x.aval.short()}"
        )
    s, u, vh = Svd(False, True).bind(x)
    scaled = basis.mul(as_column(basis.convert(s, x.dtype)), vh)
    found = el.IsFinite()(block(as_row(s), (0, 1), (0, 1)))
    return (
        times(u, vh),
        symmetrized(times(adjoint(vh), scaled)),
        to_array(np.int32(0)),
        basis.reshape(found, s.shape[:-1]),
    )


# -- general matrices ------------------------------------------------------------------------


class Eig(Factorization):
    """(w[, Vₗ][, Vᵣ]) with A Vᵣ = Vᵣ diag(w), Vₗᴴ A = diag(w) Vₗᴴ; always complex."""

    left: bool
    right: bool
    differentiable_vectors: bool = False
    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        dtype = dtypes.to_complex(a.dtype)
        vectors = [Aval(a.shape, dtype)] * (self.left + self.right)
        return [Aval(a.shape[:-1], dtype), *vectors]

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if not a.size:
            return [np.zeros(r.shape, r.dtype) for r in results]
        if not self.left and np.isfinite(a).all():
            whole = np.linalg.eig if self.right else lambda x: [np.linalg.eigvals(x)]
            return lapack.stacked(whole, a.shape[:-2], results, a)
        return lapack.each(self.one, a.shape[:-2], results, a)

    def one(self, a: Any) -> Any:
        import scipy.linalg

        if not np.isfinite(a).all():
            vectors = [np.full(a.shape, np.nan)] * (self.left + self.right)
            return [np.full(a.shape[:-1], np.nan), *vectors]
        answer = scipy.linalg.eig(
            a, left=self.left, right=self.right, check_finite=False
        )
        return answer if self.left or self.right else [answer]

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        values = hlo.out[0]
        if not a.aval.size:
            return [hlo.zero(aval) for aval in hlo.out]
        batch = a.shape[:-2]
        is_real = not dtypes.is_complex(a.dtype)
        vector = Aval(a.shape, values.dtype)
        parts = [Aval(values.shape, a.dtype)] * 2 if is_real else [values]
        *outs, left, right, info = lapack.call(
            hlo, self.name, "geev", (a,), [*parts, vector, vector, Aval(batch, _INT)], len(batch),
            compute_left=lapack.flag("V" if self.left else "N"),
            compute_right=lapack.flag("V" if self.right else "N"),
        )  # fmt: skip
        w = hlo.emit("complex", outs, values) if is_real else outs[0]
        ok = lapack.succeeded(hlo, info)
        wanted = [w, *([left] if self.left else []), *([right] if self.right else [])]
        return [lapack.nan_unless(hlo, ok, x) for x in wanted]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        outs = self.bind(a)
        if type(t) is Zero:
            return outs, self.zero_tangents(outs)
        if (self.left or self.right) and not self.differentiable_vectors:
            raise NotImplementedError(
                "eig: eigenvectors of general matrices have no derivative where eigenvalues "
                "coincide, and depend on their normalization. If that is no concern, ask for it: "
                "lax.linalg.eig(x, enable_eigvec_derivs=True). Eigenvalues alone "
                "(jnp.linalg.eigvals) are differentiable."
            )
        w = outs[0]
        v = outs[-1] if self.right else Eig(False, True, True).bind(a)[1]
        moved = solve(v, times(_as_complex(t), v))  # V⁻¹ dA V
        d_outs = [diagonal(moved)]
        gaps = _column_differences(w) if self.left or self.right else None
        if self.left:
            # the left vectors are the columns of V⁻ᴴ, scaled
            left = outs[1]
            turn = basis.mul(moved, gaps)
            back = basis.neg(times(left, adjoint(_scaled(left, v, turn))))
            d_outs.append(_normalized(left, back))
        if self.right:
            d_outs.append(_normalized(v, times(v, basis.mul(moved, gaps))))
        return outs, d_outs


def _scaled(left: Any, v: Any, turn: Any) -> Any:
    """The turn of V as seen by left vectors of their own lengths: D Ω D⁻¹, D = diag(Vₗᴴ V)."""
    lengths = diagonal(times(adjoint(left), v))
    return over(basis.mul(as_column(lengths), turn), as_row(lengths))


def _normalized(v: Any, dv: Any) -> Any:
    """dv plus what keeps v as LAPACK has it: of norm 1, its largest component real."""
    along = basis.reduce_sum(basis.mul(conj(v), dv), (v.ndim - 2,))
    dv = basis.sub(dv, basis.mul(v, as_row(along)))
    largest = ArgMax(v.ndim - 2, _INT)(_ABS(v))
    there = _EQ(Iota(_INT, (v.shape[-2], 1), 0)(), as_row(largest))

    def picked(x: Any) -> Any:
        return basis.reduce_sum(basis.select(there, x, 0), (v.ndim - 2,))

    phase = over(_IMAG(picked(dv)), _REAL(picked(v)))
    turn = _COMPLEX(basis.zeros((), phase.dtype), phase)
    return basis.sub(dv, basis.mul(v, as_row(turn)))


@public
def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Any]:
    """[w, vₗ, vᵣ]: eigenvalues and eigenvectors of a general square matrix.

    Args:
      x: floating or complex, (…, n, n).
      compute_left_eigenvectors: vₗ with vₗᴴ x = diag(w) vₗᴴ.
      compute_right_eigenvectors: vᵣ with x vᵣ = vᵣ diag(w).
      enable_eigvec_derivs: let the vectors be differentiated too. Where eigenvalues coincide the
        result is nan or inf; vectors keep their norm, their largest component stays real.
      implementation, use_magma: have no effect here.

    Returns:
      Complex w (…, n) and those asked for of vₗ and vᵣ (…, n, n), in columns of norm 1.

    >>> from ferax import lax, numpy as jnp
    >>> w, = lax.linalg.eig(jnp.array([[0., 1.], [-1., 0.]]), compute_left_eigenvectors=False,
    ...                     compute_right_eigenvectors=False)
    >>> w
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    x = matrix_operand("eig", x, square=True)
    op = Eig(
        bool(compute_left_eigenvectors),
        bool(compute_right_eigenvectors),
        bool(enable_eigvec_derivs),
    )
    return op.bind(x)


class Schur(Factorization):
    """(T,) or (T, Z) with A = Z T Zᴴ, Z unitary, T upper triangular (real: in 2 by 2 blocks)."""

    compute_vectors: bool
    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        return [Aval(a.shape, a.dtype)] * (1 + self.compute_vectors)

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if not a.size:
            return [a] * len(results)
        gees = lapack.scipy_routine("gees", a.dtype)

        def one(x: Any) -> list[Any]:
            if not np.isfinite(x).all():
                return [np.full(x.shape, np.nan)] * 2
            answer = gees(lambda *w: None, x, compute_v=self.compute_vectors)
            return [answer[0], answer[-3]]

        return lapack.each(one, a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        if not a.aval.size:
            return [a] * len(hlo.out)
        batch = a.shape[:-2]
        values = Aval(a.shape[:-1], a.dtype)
        parts = [values] if dtypes.is_complex(a.dtype) else [values] * 2
        info = Aval(batch, _INT)
        t, z, *_, info = lapack.call(
            hlo, self.name, "gees", (a,), [a.aval, a.aval, *parts, info, info], len(batch),
            mode=lapack.flag("V" if self.compute_vectors else "N"), sort=lapack.flag("N"),
        )  # fmt: skip
        ok = lapack.succeeded(hlo, info)
        return [lapack.nan_unless(hlo, ok, x) for x in (t, z)[: len(hlo.out)]]

    jvp = cannot(
        "the phases of its vectors, on which T depends, are LAPACK's choice; differentiate eig"
    )


@public
def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Callable[..., Any] | None = None,
) -> list[Any]:
    """[T, Z] with x = Z T Zᴴ, Z unitary and T upper triangular (real x: with 2 by 2 blocks).

    Args:
      x: floating or complex, (…, n, n).
      compute_schur_vectors: else only [T].
      sort_eig_vals, select_callable: not supported.

    >>> from ferax import lax, numpy as jnp
    >>> t, z = lax.linalg.schur(jnp.array([[2., 1.], [0., 3.]]))
    >>> t
    Array([[2., 1.],
           [0., 3.]], dtype=float32)
    """
    if sort_eig_vals or select_callable is not None:
        raise NotImplementedError("schur: sorting of eigenvalues is not implemented")
    return Schur(bool(compute_schur_vectors)).bind(
        matrix_operand("schur", x, square=True)
    )


class Hessenberg(Factorization):
    """(H and reflectors, τ) with A = Q H Qᴴ, H zero below its first subdiagonal."""

    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        return [
            Aval(a.shape, a.dtype),
            Aval((*a.shape[:-2], max(a.shape[-1] - 1, 0)), a.dtype),
        ]

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if a.shape[-1] < 2:
            return [a, np.zeros(results[1].shape, a.dtype)]
        gehrd = lapack.scipy_routine("gehrd", a.dtype)
        return lapack.each(lambda x: gehrd(x)[:2], a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        n, batch = a.shape[-1], a.shape[:-2]
        if n < 2:
            return [a, hlo.zero(hlo.out[1])]
        h, taus, _ = lapack.call(
            hlo, self.name, "gehrd", (a,), [*hlo.out, Aval(batch, _INT)], len(batch),
            low="1 : i32", high=f"{n} : i32",
        )  # fmt: skip
        return [h, taus]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def program(h: Any, _: Any, a: Any) -> tuple[Any, Any]:
            return reflectors.reduced(a, _real(diagonal(h, -1)), 1, two_sided=True)

        return reflectors.derivative(self, program, primals, tangents)


@public
def hessenberg(a: Any) -> tuple[Any, Any]:
    """(h, τ): a = Q H Qᴴ, H zero below its first subdiagonal, where h stores Q's reflectors.

    Args:
      a: floating or complex, (…, n, n).

    Returns:
      h (…, n, n), and τ (…, n - 1) for `householder_product`.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.hessenberg(jnp.eye(2))
    (Array([[1., 0.],
           [0., 1.]], dtype=float32), Array([0.], dtype=float32))
    """
    return tuple(Hessenberg().bind(matrix_operand("hessenberg", a, square=True)))  # type: ignore[return-value]


class Tridiagonal(Factorization):
    """(reflectors, d, e, τ) with A = Q T Qᴴ, T real, tridiagonal: diagonal d, off-diagonals e."""

    lower: bool
    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        *batch, n, _ = a.shape
        real = dtypes.to_real(a.dtype)
        less = (*batch, max(n - 1, 0))
        return [
            Aval(a.shape, a.dtype),
            Aval((*batch, n), real),
            Aval(less, real),
            Aval(less, a.dtype),
        ]

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if a.shape[-1] < 2:
            d = a.diagonal(axis1=-2, axis2=-1).real
            return [a, d, *(np.zeros(r.shape, r.dtype) for r in results[2:])]
        sytrd = lapack.scipy_routine("sytrd", a.dtype)
        return lapack.each(
            lambda x: sytrd(x, lower=int(self.lower))[:4], a.shape[:-2], results, a
        )

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        batch = a.shape[:-2]
        if a.shape[-1] < 2:
            d = hlo.reshape(a, hlo.out[1].shape)
            return [a, hlo.convert(d, hlo.out[1].dtype), *map(hlo.zero, hlo.out[2:])]
        *outs, _ = lapack.call(
            hlo, self.name, "sytrd", (a,), [*hlo.out, Aval(batch, _INT)], len(batch),
            uplo=lapack.flag("L" if self.lower else "U"),
        )  # fmt: skip
        return outs

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return reflectors.derivative(self, self.program, primals, tangents)

    def program(self, _: Any, d: Any, e: Any, taus: Any, a: Any) -> list[Any]:
        """The Hessenberg form of the whole matrix, turned about so that the half read is below."""

        def about(x: Any, *axes: int) -> Any:
            return x if self.lower else Rev(axes)(x)

        row, column = a.ndim - 2, a.ndim - 1
        x = about(a, row, column)
        strict = triangle(x, -1)
        middle = on_diagonal(_real(diagonal(x)))
        if middle.dtype != x.dtype:
            middle = basis.convert(middle, x.dtype)
        whole = basis.add(basis.add(strict, adjoint(strict)), middle)
        form, taus = reflectors.reduced(whole, about(e, row), 1, two_sided=True)
        d, e = _real(diagonal(form)), _real(diagonal(form, -1))
        packed = basis.add(triangle(form), basis.sub(x, triangle(x)))
        return [about(packed, row, column), *(about(v, row) for v in (d, e, taus))]


@public
def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """(reflectors, d, e, τ): Hermitian a = Q T Qᴴ with real tridiagonal T.

    Args:
      a: floating or complex, (…, n, n), Hermitian.
      lower: which triangle is read.

    Returns:
      The reflectors of Q below (or above) the diagonal (…, n, n); the diagonal d (…, n) and the
      off-diagonal e (…, n - 1) of T; τ (…, n - 1).

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.tridiagonal(jnp.diag(jnp.arange(3.)))[1]
    Array([0., 1., 2.], dtype=float32)
    """
    return tuple(
        Tridiagonal(bool(lower)).bind(matrix_operand("tridiagonal", a, square=True))
    )  # type: ignore[return-value]
