"""Triangular systems and the direct factorizations: Cholesky, LU, QR, tridiagonal.

Derivatives, with matrices A, dA and results named as in the classes:

* M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
  algorithmic differentiation" (2008): products, inverses, triangular systems.
* I. Murray, "Differentiation of the Cholesky decomposition" (2016), equation 10.
* S. F. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010):
  LU and QR. Rectangular factors are completed to square ones with rows or columns of the identity;
  the complement of a tall matrix's range, which QR does not determine, is taken to turn as
  little as possible.
* C. Puglisi, "Modification of the Householder method based on the compact WY representation"
  (1992): products of reflectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.avals import Aval, Zero
from ferax.core.primitive import Primitive
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax import lapack, reflectors
from ferax.lax.marks import STOP_GRADIENT
from ferax.lax.matrices import (
    Factorization,
    adjoint,
    as_column,
    as_row,
    block,
    check_matrix,
    conj,
    diagonal,
    halved_diagonal,
    identity,
    matrix_operand,
    on_diagonal,
    through_single,
    times,
    transposed,
    triangle,
)
from ferax.lax.reflectors import real
from ferax.lax.shape import Concatenate, Iota, align_mapped, pad_zeros

_INT = lapack.INT
_EQ, _REAL, _IMAG = el.Eq(), el.Real(), el.Imag()


# -- triangular systems ----------------------------------------------------------------------


class TriangularSolve(Primitive):
    """X with op(A) X = B (or X op(A) = B), A triangular; linear in B.

    op transposes (`transpose_a`) and conjugates (`conjugate_a`). The other triangle of A, and with
    `unit_diagonal` its diagonal, are not read.
    """

    left_side: bool
    lower: bool
    transpose_a: bool
    conjugate_a: bool
    unit_diagonal: bool

    def abstract(self, a: Aval, b: Aval) -> list[Aval]:
        check_matrix(self.name, a, square=True)
        if a.dtype != b.dtype:
            raise TypeError(
                f"{self.name}: a {a.short()} and b {b.short()} must have the same dtype"
            )
        size = b.shape[-2 if self.left_side else -1] if b.ndim == a.ndim else None
        if size != a.shape[-1] or a.shape[:-2] != b.shape[:-2]:
            raise ValueError(
                f"{self.name}: a {a.short()} and b {b.short()} must have equal leading axes, and "
                f"the {'rows' if self.left_side else 'columns'} of b be as many as a's"
            )
        return [Aval(b.shape, b.dtype)]

    def numpy(self, a: Any, b: Any) -> list[Any]:
        if not b.size:
            return [np.zeros(b.shape, b.dtype)]
        if self.conjugate_a and not self.transpose_a:
            a = a.conj()
        if lapack.is_stack_of_small(a) and self.left_side:
            a = a.swapaxes(-1, -2) if self.transpose_a else a
            a = a.conj() if self.transpose_a and self.conjugate_a else a
            lower = self.lower != self.transpose_a
            return [lapack.substitute(a, b, lower, self.unit_diagonal)]
        solve = lapack.scipy_routine("trsm", a.dtype)
        options = {
            # of the transposed system: row-major matrices are the transposed ones by columns
            "side": int(self.left_side),
            "lower": int(not self.lower),
            "trans_a": int(self.transpose_a) * (1 + int(self.conjugate_a)),
            "diag": int(self.unit_diagonal),
        }
        return lapack.each(
            lambda p, q: [solve(1.0, p.T, q.T, **options).T],
            b.shape[:-2],
            [Aval(b.shape, b.dtype)],
            a,
            b,
        )

    def stablehlo(self, hlo: Any, a: Any, b: Any) -> list[Any]:
        if self.conjugate_a and not self.transpose_a and dtypes.is_complex(a.dtype):
            (a,) = hlo.inline(conj, a)
        kind = "T" if self.transpose_a else "N"
        if kind == "T" and self.conjugate_a:
            kind = "C"
        if hlo.platform != "cpu" or 0 in b.shape:
            name = {"N": "NO_TRANSPOSE", "T": "TRANSPOSE", "C": "ADJOINT"}[kind]
            attrs = (
                f"left_side = {str(self.left_side).lower()}, lower = {str(self.lower).lower()}, "
                f"unit_diagonal = {str(self.unit_diagonal).lower()}, "
                f"transpose_a = #stablehlo<transpose {name}>"
            )
            return [hlo.emit("triangular_solve", (a, b), b.aval, attrs)]
        return lapack.call(
            hlo, self.name, "trsm", (a, b), [b.aval], b.ndim - 2,
            side=lapack.flag("L" if self.left_side else "R"),
            uplo=lapack.flag("L" if self.lower else "U"),
            trans_x=lapack.flag(kind),
            diag=lapack.flag("U" if self.unit_diagonal else "N"),
        )  # fmt: skip

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a, b), (ta, tb) = primals, tangents
        x = self(a, b)
        rest = tb
        if type(ta) is not Zero:
            moved = self.operator(self.masked(ta))
            moved = times(moved, x) if self.left_side else times(x, moved)
            rest = basis.neg(moved) if type(tb) is Zero else basis.sub(tb, moved)
        if type(rest) is Zero:
            return [x], [Zero(x.aval.tangent())]
        return [x], [self(a, rest)]

    def masked(self, a: Any) -> Any:
        """The part of A that is read."""
        offset = int(self.unit_diagonal)
        return triangle(a, -offset if self.lower else offset, self.lower)

    def operator(self, a: Any) -> Any:
        """op(A)."""
        a = transposed(a) if self.transpose_a else a
        return conj(a) if self.conjugate_a else a

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (a, _) = cts, args
        back = TriangularSolve(
            self.left_side,
            self.lower,
            not self.transpose_a,
            self.conjugate_a,
            self.unit_diagonal,
        )
        return [None, back(a, ct)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (a, b), (da, db) = args, dims
        if da is not None or db is None:
            moved = [None if d is None else 0 for d in dims]
            args = [
                x if d is None else basis.moveaxis(x, d, 0) for x, d in zip(args, dims)
            ]
            return self.bind(*align_mapped(axis, args, moved)[0]), [0]
        # one matrix, many right-hand sides: more columns (or rows) of B
        b, shape, place = folded(b, db, int(self.left_side))
        (x,) = self.bind(a, b)
        return [basis.reshape(x, shape)], [place]


def folded(b: Any, d: int, columns: int) -> tuple[Any, Any, int]:
    """Merge a mapped axis into columns (or rows): b, the shape apart, and the place in that."""
    place = b.ndim - 2 + columns
    b = basis.moveaxis(b, d, place)
    shape = b.shape
    merged = (*shape[: place - 1], shape[place - 1] * shape[place], *shape[place + 1 :])
    return basis.reshape(b, merged), shape, place


@public
@through_single
def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """X with op(a) X = b (`left_side`) or X op(a) = b, for triangular a.

    Args:
      a: floating or complex, (…, n, n); only one triangle is read. 16-bit floats are solved for
        in float32.
      b: the same dtype, (…, n, m), (…, m, n) if not `left_side`, or (…, n).
      left_side: see above.
      lower: a is lower (else upper) triangular.
      transpose_a, conjugate_a: op(a) is a transposed, conjugated.
      unit_diagonal: take the diagonal of a to be ones.

    Returns:
      Array of the shape of b; inf or nan where a is singular.

    >>> from ferax import lax, numpy as jnp
    >>> a = jnp.array([[2., 0.], [1., 4.]])
    >>> lax.linalg.triangular_solve(a, jnp.array([2., 9.]), left_side=True, lower=True)
    Array([1., 2.], dtype=float32)
    """
    who = "triangular_solve"
    x, y = matrix_operand(who, a, square=True), to_array(b, who, "b")
    if not dtypes.is_inexact(y.dtype):
        y = basis.convert(y, x.dtype)
    vector = y.ndim == x.ndim - 1
    if vector:
        y = as_column(y) if left_side else as_row(y)
    op = TriangularSolve(
        bool(left_side),
        bool(lower),
        bool(transpose_a),
        bool(conjugate_a) and dtypes.is_complex(x.dtype),
        bool(unit_diagonal),
    )
    z = op(x, y)
    return basis.reshape(z, (*z.shape[:-2], z.shape[-2] * z.shape[-1])) if vector else z


def solve_lower(a: Any, b: Any) -> Any:
    """L⁻¹ B."""
    return TriangularSolve(True, True, False, False, False)(a, b)


def solve_upper_right(b: Any, a: Any) -> Any:
    """B R⁻¹."""
    return TriangularSolve(False, False, False, False, False)(a, b)


# -- Cholesky --------------------------------------------------------------------------------


class Cholesky(Factorization):
    """Lower L with A = L Lᴴ. Reads the lower triangle of A; nan where A is not positive."""

    square = True

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        return [Aval(a.shape, a.dtype)]

    def numpy(self, a: Any) -> list[Any]:
        (factor,) = lapack.stacked(
            lambda x: [np.linalg.cholesky(x)], a.shape[:-2], [Aval(a.shape, a.dtype)], a
        )
        return [
            np.tril(factor) if factor.size and np.isnan(factor.flat[-1]) else factor
        ]

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        if hlo.platform != "cpu" or not a.aval.size:
            factor = hlo.unary("cholesky", a, "lower = true")
            return [lapack.triangle(hlo, factor, lower=True)]
        batch = a.shape[:-2]
        factor, info = lapack.call(
            hlo, self.name, "potrf", (a,), [a.aval, Aval(batch, _INT)], len(batch),
            uplo=lapack.flag("L"),
        )  # fmt: skip
        factor = lapack.nan_unless(hlo, lapack.succeeded(hlo, info), factor)
        return [lapack.triangle(hlo, factor, lower=True)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        factor = self(a)
        if type(t) is Zero:
            return [factor], self.zero_tangents([factor])
        # dL = L Φ(L⁻¹ dA L⁻ᴴ), Φ the lower triangle with half of the diagonal
        right = TriangularSolve(
            False, True, True, dtypes.is_complex(factor.dtype), False
        )
        return [factor], [
            times(factor, halved_diagonal(right(factor, solve_lower(factor, t))))
        ]


@public
def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower triangular L with x = L Lᴴ.

    Args:
      x: floating or complex, (…, n, n), positive definite.
      symmetrize_input: use (x + xᴴ) / 2; else only the lower triangle is read, and derivatives
        assume that x is Hermitian.

    Returns:
      Array of the shape of x; its lower triangle is nan where x is not positive definite.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.cholesky(jnp.array([[4., 2.], [2., 10.]]))
    Array([[2., 0.],
           [1., 3.]], dtype=float32)
    """
    x = matrix_operand("cholesky", x, square=True)
    return Cholesky()(symmetrized(x) if symmetrize_input else x)


def symmetrized(x: Any) -> Any:
    """(x + xᴴ) / 2."""
    return basis.mul(basis.add(x, adjoint(x)), 0.5)


@public
@through_single
def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The upper triangular factor of RᵀR + w wᵀ, for upper triangular R.

    Args:
      r_matrix: floating, (n, n), with a positive diagonal.
      w_vector: floating, (n,).

    >>> from ferax import lax, numpy as jnp
    >>> r = lax.linalg.cholesky_update(jnp.eye(2), jnp.array([1., 1.]))
    >>> jnp.allclose(r.T @ r, jnp.array([[2., 1.], [1., 2.]]))
    Array(True, dtype=bool)
    """
    r, w = matrix_operand("cholesky_update", r_matrix, square=True), to_array(w_vector)
    # the triangle of QR of the rows of R and w, with rows signed so that its diagonal is positive
    _, u = Qr(False, False).bind(Concatenate(r.ndim - 2)(r, as_row(w)))
    sign = basis.select(el.lt(diagonal(u), 0), -1.0, 1.0)
    return basis.mul(u, as_column(basis.convert(sign, u.dtype)))


# -- LU --------------------------------------------------------------------------------------


class Lu(Factorization):
    """(LU, pivots, permutation) with A[permutation] = L U by partial pivoting.

    L has ones on its diagonal, which are not stored. Row i was exchanged with row pivots[i].
    """

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        *batch, m, n = a.shape
        pivots = Aval((*batch, min(m, n)), _INT)
        return [Aval(a.shape, a.dtype), pivots, Aval((*batch, m), _INT)]

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if not a.size:
            rows = np.arange(a.shape[-2], dtype=np.int32)
            shapes_ = [r.shape for r in results]
            return [
                a,
                np.zeros(shapes_[1], np.int32),
                np.broadcast_to(rows, shapes_[2]),
            ]
        if lapack.is_stack_of_small(a):
            return list(lapack.lu_of_stack(a))
        factor = lapack.scipy_routine("getrf", a.dtype)

        def one(x: np.ndarray) -> list[np.ndarray]:
            lu, pivots, _ = factor(x)
            return [lu, pivots, permutation_of(pivots, len(x))]

        return lapack.each(one, a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        matrix, pivot_aval, permutation_aval = hlo.out
        batch = a.shape[:-2]
        if not a.aval.size:
            rows = hlo.iota(permutation_aval.shape, _INT, len(batch))
            return [a, hlo.zero(pivot_aval), rows]
        results = [matrix, pivot_aval, Aval(batch, _INT)]
        lu, pivots, info = lapack.call(
            hlo, self.name, "getrf", (a,), results, len(batch)
        )
        lu = lapack.nan_unless(hlo, lapack.succeeded(hlo, info, positive_too=True), lu)
        pivots = hlo.binary("subtract", pivots, hlo.one(pivots))
        (permutation,) = hlo.inline(LuPivotsToPermutation(a.shape[-2]), pivots)
        return [lu, pivots, permutation]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        outs = lu, _, permutation = self.bind(a)
        zero = self.zero_tangents(outs)
        if type(t) is Zero:
            return outs, zero
        m, n = a.shape[-2:]
        k = min(m, n)
        lower = _completed(triangle(block(lu, (0, m), (0, k)), -1), m, m)
        upper = _completed(triangle(block(lu, (0, k), (0, n)), 0, lower=False), n, n)
        lower = basis.add(lower, _unit(lower, 0))
        upper = basis.add(upper, _unit(upper, k))
        # F = L⁻¹ P dA U⁻¹: its strict lower triangle belongs to dL, the rest to dU
        f = solve_unit_lower(lower, times(permutation_matrix(permutation, t.dtype), t))
        f = solve_upper_right(f, upper)
        d_lower = times(lower, _completed(triangle(block(f, (0, m), (0, k)), -1), m, n))
        d_upper = times(_completed(triangle(f, 0, lower=False), m, n), upper)
        return outs, [basis.add(d_lower, d_upper), *zero[1:]]


def solve_unit_lower(a: Any, b: Any) -> Any:
    """L⁻¹ B, where L has ones on its diagonal."""
    return TriangularSolve(True, True, False, False, True)(a, b)


def _completed(x: Any, n: int, m: int) -> Any:
    """Zeros below and to the right, up to n rows and m columns."""
    rows, columns = x.shape[-2:]
    if (rows, columns) == (n, m):
        return x
    none = ((0, 0, 0),) * (x.ndim - 2)
    return pad_zeros(x, (*none, (0, n - rows, 0), (0, m - columns, 0)))


def _unit(x: Any, start: int) -> Any:
    """Square matrices like x with ones on the diagonal from `start` on."""
    n = x.shape[-1]
    ones = basis.full((*x.shape[:-2], n - start), 1, x.dtype)
    none = ((0, 0, 0),) * (x.ndim - 2)
    return on_diagonal(pad_zeros(ones, (*none, (start, 0, 0))))


def permutation_matrix(permutation: Any, dtype: Any) -> Any:
    """P with (P A)[i] = A[permutation[i]]."""
    n = permutation.shape[-1]
    which = _EQ(as_column(permutation), Iota(_INT, (1, n), 1)())
    return basis.convert(which, dtype)


def permutation_of(pivots: Any, size: int) -> np.ndarray:
    """The row order that exchanging row i with row pivots[i] in turn gives."""
    rows = list(range(size))
    for i, j in enumerate(pivots.tolist()):
        rows[i], rows[j] = rows[j], rows[i]
    return np.asarray(rows, np.int32)


class LuPivotsToPermutation(Factorization):
    """The permutation that exchanging row i with row pivots[i], for each i in turn, makes."""

    permutation_size: int

    def abstract(self, pivots: Aval) -> list[Aval]:
        size = self.permutation_size
        if pivots.dtype != _INT or pivots.ndim < 1 or pivots.shape[-1] > size:
            raise ValueError(
                f"{self.name}: pivots must be int32, at most {size} of them; got {pivots.short()}"
            )
        return [Aval((*pivots.shape[:-1], size), _INT)]

    def numpy(self, pivots: Any) -> list[Any]:
        size, batch = self.permutation_size, pivots.shape[:-1]
        result = Aval((*batch, size), _INT)
        return lapack.each(lambda p: [permutation_of(p, size)], batch, [result], pivots)

    def stablehlo(self, hlo: Any, pivots: Any) -> list[Any]:
        (out,) = hlo.out
        last = len(out.shape) - 1
        count = pivots.shape[-1]
        places = hlo.iota(out.shape, _INT, last)
        if not count:
            return [places]
        scalar = Aval((), _INT)

        def going_on(i: Any, rows: Any) -> Any:
            return hlo.compare(i, hlo.constant(count, _INT), "LT")

        def exchange(i: Any, rows: Any) -> list[Any]:
            zero = hlo.constant(0, _INT)
            sizes = (*out.shape[:-1], 1)
            attrs = f"slice_sizes = array<i64: {', '.join(map(str, sizes))}>"
            operands = (pivots, *[zero] * last, i)
            j = hlo.emit("dynamic_slice", operands, Aval(sizes, _INT), attrs)
            j = hlo.broadcast(j, out.shape, range(last + 1))
            at_i = hlo.compare(places, hlo.broadcast(i, out.shape, ()), "EQ")
            at_j = hlo.compare(places, j, "EQ")
            row_i, row_j = (
                hlo.broadcast(
                    hlo.reduce(
                        "add", hlo.select(here, rows, hlo.zero(rows)), zero, (last,)
                    ),
                    out.shape,
                    range(last),
                )
                for here in (at_i, at_j)
            )
            rows = hlo.select(at_i, row_j, hlo.select(at_j, row_i, rows))
            return [hlo.binary("add", i, hlo.constant(1, _INT)), rows]

        start = [hlo.zero(scalar), places]
        return [hlo.while_loop(going_on, exchange, start)[1]]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        return outs, self.zero_tangents(outs)


@public
def lu(x: Any) -> tuple[Any, Any, Any]:
    """(LU, pivots, permutation) with x[permutation] = L U.

    Args:
      x: floating or complex, (…, m, n).

    Returns:
      L below the diagonal (its own diagonal of ones is not stored) and U on and above it; int32
      pivots (…, min(m, n)): row i was exchanged with row pivots[i]; int32 permutation (…, m).

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.lu(jnp.array([[1., 2.], [4., 4.]]))[0]
    Array([[4.  , 4.  ],
           [0.25, 1.  ]], dtype=float32)
    """
    return tuple(Lu().bind(matrix_operand("lu", x)))


@public
def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation that row exchanges make: start with 0, 1, 2…, exchange i with pivots[i].

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.lu_pivots_to_permutation(jnp.array([2, 1, 2]), 4)
    Array([2, 1, 0, 3], dtype=int32)
    """
    pivots = to_array(pivots, "lu_pivots_to_permutation", "pivots")
    return LuPivotsToPermutation(permutation_size)(basis.convert(pivots, _INT))


class LuSolve(Factorization):
    """X with op(A) X = B from A's factors; its derivative needs no further factorization.

    Operands: LU and permutation of A (as `Lu` gives them; taken as constants), A, B.
    op transposes; A itself is read by derivatives only.
    """

    transposed: bool

    def abstract(self, lu: Aval, permutation: Aval, a: Aval, b: Aval) -> list[Aval]:
        check_matrix(self.name, a, square=True)
        if a.dtype != b.dtype or b.shape[:-1] != a.shape[:-1]:
            raise ValueError(
                f"{self.name}: a {a.short()} and b {b.short()} must have equal dtypes, leading "
                "axes and rows"
            )
        return [Aval(b.shape, b.dtype)]

    def numpy(self, lu: Any, permutation: Any, a: Any, b: Any) -> list[Any]:
        if lapack.is_stack_of_small(lu):
            return [self.stack(lu, permutation[..., None].astype(np.intp), b)]
        return lapack.each(
            self.one, b.shape[:-2], [Aval(b.shape, b.dtype)], lu, permutation, b
        )

    def stack(self, lu: Any, rows: Any, b: Any) -> Any:
        if not self.transposed:
            y = lapack.substitute(lu, np.take_along_axis(b, rows, -2), True, True)
            return lapack.substitute(lu, y, False, False)
        flipped = lu.swapaxes(-1, -2)
        y = lapack.substitute(flipped, b, True, False)
        y = lapack.substitute(flipped, y, False, True)
        x = np.empty_like(y)
        np.put_along_axis(x, rows, y, -2)
        return x

    def one(self, lu: Any, permutation: Any, b: Any) -> list[Any]:
        if not b.size:
            return [b]
        solve = lapack.scipy_routine("trsm", lu.dtype)
        if self.transposed:
            y = solve(1.0, lu, b, lower=0, trans_a=1)
            y = solve(1.0, lu, y, lower=1, trans_a=1, diag=1)
            x = np.empty_like(y)
            x[permutation] = y
            return [x]
        y = solve(1.0, lu, b[permutation], lower=1, diag=1)
        return [solve(1.0, lu, y, lower=0)]

    def composed(self, lu: Any, permutation: Any, b: Any) -> Any:
        """The same from triangular systems."""
        p = permutation_matrix(permutation, b.dtype)
        lower = TriangularSolve(True, True, self.transposed, False, True)
        upper = TriangularSolve(True, False, self.transposed, False, False)
        if self.transposed:
            return times(transposed(p), lower(lu, upper(lu, b)))
        return upper(lu, lower(lu, times(p, b)))

    def stablehlo(
        self, hlo: Any, lu: Any, permutation: Any, a: Any, b: Any
    ) -> list[Any]:
        return hlo.inline(self.composed, lu, permutation, b)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (lu, permutation, a, b), (_, _, ta, tb) = primals, tangents
        x = self(lu, permutation, a, b)
        rest = tb
        if type(ta) is not Zero:
            moved = times(transposed(ta) if self.transposed else ta, x)
            rest = basis.neg(moved) if type(tb) is Zero else basis.sub(tb, moved)
        if type(rest) is Zero:
            return [x], self.zero_tangents([x])
        return [x], [self(lu, permutation, a, rest)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        lu, permutation, a, _ = args
        back = LuSolve(not self.transposed)
        return [None, None, None, back(lu, permutation, a, cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if any(d is not None for d in dims[:3]):
            return super().batch(axis, args, dims)
        b, shape, place = folded(args[3], dims[3], 1)
        (x,) = self.bind(*args[:3], b)
        return [basis.reshape(x, shape)], [place]


def solve(a: Any, b: Any) -> Any:
    """A⁻¹ B for stacks of matrices with equal leading axes."""
    lu, _, permutation = Lu().bind(STOP_GRADIENT(a))
    return LuSolve(False)(lu, permutation, a, b)


# -- QR --------------------------------------------------------------------------------------


class Qr(Factorization):
    """(Q, R), or (Q, R, p) with pivoting: A (or A[:, p]) = Q R, R upper triangular.

    Q has orthonormal columns: min(m, n) of them, or m with `full_matrices`.
    """

    pivoting: bool
    full_matrices: bool

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        *batch, m, n = a.shape
        k = m if self.full_matrices else min(m, n)
        outs = [Aval((*batch, m, k), a.dtype), Aval((*batch, k, n), a.dtype)]
        return [*outs, Aval((*batch, n), _INT)] if self.pivoting else outs

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        mode: Any = "complete" if self.full_matrices else "reduced"
        if not self.pivoting:
            return lapack.stacked(
                lambda x: np.linalg.qr(x, mode), a.shape[:-2], results, a
            )
        import scipy.linalg

        mode = "full" if self.full_matrices else "economic"
        return lapack.each(
            lambda x: scipy.linalg.qr(x, mode=mode, pivoting=True, check_finite=False),
            a.shape[:-2], results, a,
        )  # fmt: skip

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        q_aval, r_aval, *rest = hlo.out
        *lead, m, n = a.shape
        batch, k = tuple(lead), min(m, n)
        if not a.aval.size:
            orders = [hlo.iota(p.shape, _INT, len(batch)) for p in rest]
            return [lapack.eye(hlo, q_aval), hlo.zero(r_aval), *orders]
        taus = Aval((*batch, k), a.dtype)
        if self.pivoting:
            free = hlo.zero(rest[0])
            results = [a.aval, rest[0], taus]
            a, order, taus = lapack.call(
                hlo, self.name, "geqp3", (a, free), results, len(batch)
            )
            rest = [hlo.binary("subtract", order, hlo.one(order))]
        else:
            a, taus = lapack.call(
                hlo, self.name, "geqrf", (a,), [a.aval, taus], len(batch)
            )
        r = lapack.triangle(hlo, a, lower=False)
        r = lapack.rows(hlo, r, r_aval.shape[-2])
        vectors = lapack.columns(hlo, a, q_aval.shape[-1])
        (q,) = lapack.call(
            hlo, self.name, "orgqr", (vectors, taus), [q_aval], len(batch)
        )
        return [q, r, *rest]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a,), (t,) = primals, tangents
        outs = q, r, *order = self.bind(a)
        zero = self.zero_tangents(outs)
        if type(t) is Zero:
            return outs, zero
        m, n = a.shape[-2:]
        k = min(m, n)
        if order:
            t = times(t, transposed(permutation_matrix(order[0], t.dtype)))
        # with R₁ the square part of R: C = Qᴴ dA₁ R₁⁻¹, dQ = Q Ω, dR = (…) so that QR follows A
        c = times(adjoint(q), t)
        square = block(r, (0, k), (0, k))
        c1 = solve_upper_right(block(c, (0, q.shape[-1]), (0, k)), square)
        omega = _turn(c1)
        d_q = times(q, omega)
        if q.shape[-1] < m:  # the part of dA outside of the range of Q
            outside = basis.sub(t, times(q, c))
            d_q = basis.add(d_q, solve_upper_right(outside, square))
        d_r = triangle(basis.sub(c, times(omega, r)), 0, lower=False)
        return outs, [d_q, d_r, *zero[2:]]


def _turn(c: Any) -> Any:
    """The skew-Hermitian Ω whose strict lower triangle (and imaginary diagonal) is that of C.

    C has as many rows as Ω, and perhaps fewer columns; what it says nothing about is zero.
    """
    size = c.shape[-2]
    c = _completed(c, size, size)
    low = triangle(c, -1)
    omega = basis.sub(low, adjoint(low))
    if dtypes.is_complex(c.dtype):
        imaginary = el.Complex()(
            basis.zeros((), dtypes.to_real(c.dtype)), _IMAG(diagonal(c))
        )
        omega = basis.add(omega, on_diagonal(imaginary))
    return omega


@public
def qr(
    x: Any,
    *,
    pivoting: bool = False,
    full_matrices: bool = True,
    use_magma: bool | None = None,
) -> Any:
    """(Q, R) with x = Q R, Q orthonormal, R upper triangular; (Q, R, p) with x[:, p] = Q R.

    Args:
      x: floating or complex, (…, m, n).
      pivoting: order the columns so that the diagonal of R decreases.
      full_matrices: Q is (…, m, m) and R (…, m, n); else (…, m, k), (…, k, n), k = min(m, n).
      use_magma: has no effect here.

    >>> from ferax import lax, numpy as jnp
    >>> q, r = lax.linalg.qr(jnp.ones((4, 2)), full_matrices=False)
    >>> q.shape, r.shape
    ((4, 2), (2, 2))
    """
    return tuple(Qr(bool(pivoting), bool(full_matrices)).bind(matrix_operand("qr", x)))


class Geqrf(Factorization):
    """(R and reflectors, τ): QR as LAPACK stores it."""

    def abstract(self, a: Aval) -> list[Aval]:
        self.check(a)
        *batch, m, n = a.shape
        return [Aval(a.shape, a.dtype), Aval((*batch, min(m, n)), a.dtype)]

    def numpy(self, a: Any) -> list[Any]:
        results = self.abstract(Aval(a.shape, a.dtype))
        if not a.size:
            return [np.zeros(r.shape, r.dtype) for r in results]
        factor = lapack.scipy_routine("geqrf", a.dtype)
        return lapack.each(lambda x: factor(x)[:2], a.shape[:-2], results, a)

    def stablehlo(self, hlo: Any, a: Any) -> list[Any]:
        if not a.aval.size:
            return [hlo.zero(aval) for aval in hlo.out]
        return lapack.call(hlo, self.name, "geqrf", (a,), hlo.out, a.ndim - 2)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def program(r: Any, _: Any, a: Any) -> tuple[Any, Any]:
            return reflectors.reduced(a, real(diagonal(r)), 0, two_sided=False)

        return reflectors.derivative(self, program, primals, tangents)


class HouseholderProduct(Factorization):
    """The first n columns of H₁ H₂ … with Hᵢ = I - τᵢ vᵢ vᵢᴴ, vᵢ below the diagonal of A."""

    def abstract(self, a: Aval, taus: Aval) -> list[Aval]:
        self.check(a)
        *batch, m, n = a.shape
        fits = taus.dtype == a.dtype and taus.shape[:-1] == tuple(batch)
        if m < n or not fits or taus.shape[-1] > n:
            raise ValueError(
                f"{self.name}: a must have at least as many rows as columns, and taus its dtype, "
                f"leading axes and at most {n} elements; got {a.short()} and {taus.short()}"
            )
        return [Aval(a.shape, a.dtype)]

    def numpy(self, a: Any, taus: Any) -> list[Any]:
        if not a.size:
            return [a]
        product = lapack.scipy_routine("orgqr", a.dtype)
        result = [Aval(a.shape, a.dtype)]
        return lapack.each(
            lambda x, t: product(x, t)[:1], a.shape[:-2], result, a, taus
        )

    def stablehlo(self, hlo: Any, a: Any, taus: Any) -> list[Any]:
        return lapack.call(hlo, self.name, "orgqr", (a, taus), hlo.out, a.ndim - 2)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def program(_: Any, a: Any, taus: Any) -> list[Any]:
            m, n = a.shape[-2:]
            v, t = _compact(a, taus)
            top = adjoint(block(v, (0, n), (0, v.shape[-1])))
            start = block(identity(a), (0, m), (0, n))
            return [basis.sub(start, times(v, times(t, top)))]

        return reflectors.derivative(self, program, primals, tangents)


@public
def householder_product(a: Any, taus: Any) -> Any:
    """The first n columns of a product of Householder reflectors, as `hessenberg` gives them.

    Args:
      a: floating or complex, (…, m, n), m >= n; reflector i is in column i below the diagonal.
      taus: the reflectors' factors, (…, k), k <= n.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.householder_product(jnp.ones((3, 2)), jnp.ones(2))
    Array([[ 0.,  1.],
           [-1.,  1.],
           [-1.,  0.]], dtype=float32)
    """
    a = matrix_operand("householder_product", a)
    return HouseholderProduct()(a, to_array(taus, "householder_product", "taus"))


class Ormqr(Factorization):
    """Q C, Qᴴ C, C Q or C Qᴴ with Q the product of Householder reflectors (m, m)."""

    left: bool
    transpose_q: bool

    def abstract(self, a: Aval, taus: Aval, c: Aval) -> list[Aval]:
        self.check(a)
        self.check(c)
        size = c.shape[-2 if self.left else -1]
        if a.shape[-2] != size or not a.dtype == taus.dtype == c.dtype:
            raise ValueError(
                f"{self.name}: a {a.short()}, taus {taus.short()} and c {c.short()} must have one "
                f"dtype, and c as many {'rows' if self.left else 'columns'} as a has rows"
            )
        return [Aval(c.shape, c.dtype)]

    def numpy(self, a: Any, taus: Any, c: Any) -> list[Any]:
        if not c.size:
            return [c]
        multiply = lapack.scipy_routine("ormqr", a.dtype)
        side = "L" if self.left else "R"
        trans = ("C" if a.dtype.kind == "c" else "T") if self.transpose_q else "N"

        def one(x: Any, t: Any, y: Any) -> Any:
            work = 64 * max(y.shape)
            return multiply(side, trans, x[:, : len(t)], t, y, work)[:1]

        return lapack.each(one, c.shape[:-2], [Aval(c.shape, c.dtype)], a, taus, c)

    def stablehlo(self, hlo: Any, a: Any, taus: Any, c: Any) -> list[Any]:
        vectors = lapack.columns(hlo, a, taus.shape[-1])
        return lapack.call(
            hlo, self.name, "ormqr", (vectors, taus, c), hlo.out, a.ndim - 2,
            left=str(self.left).lower(), transpose=str(self.transpose_q).lower(),
        )  # fmt: skip

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def program(_: Any, a: Any, taus: Any, c: Any) -> list[Any]:
            v, t = _compact(a, taus)
            t = adjoint(t) if self.transpose_q else t
            if self.left:
                moved = times(v, times(t, times(adjoint(v), c)))
            else:
                moved = times(times(times(c, v), t), adjoint(v))
            return [basis.sub(c, moved)]

        return reflectors.derivative(self, program, primals, tangents)


def _compact(a: Any, taus: Any) -> tuple[Any, Any]:
    """(V, T): the reflectors in a's first columns multiply to I - V T Vᴴ.

    With D = diag τ and U the strict upper triangle of VᴴV, T is (I + D U)⁻¹ D.
    """
    size = (0, a.shape[-2]), (0, taus.shape[-1])
    v = basis.add(triangle(block(a, *size), -1), block(identity(a), *size))
    scaled = basis.mul(as_column(taus), times(adjoint(v), v))
    solve_upper = TriangularSolve(True, False, False, False, True)
    return v, solve_upper(scaled, on_diagonal(taus))


@public
def ormqr(
    a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False
) -> Any:
    """Q c (or c Q, or with Qᴴ if `transpose`), for the Q of Householder reflectors.

    Args:
      a, taus: reflectors as in `householder_product`; Q is (…, m, m).
      c: the same dtype, (…, m, p), or (…, p, m) if not `left`.

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.ormqr(jnp.ones((2, 1)), jnp.zeros(1), jnp.eye(2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    a, c = matrix_operand("ormqr", a), matrix_operand("ormqr", c)
    return Ormqr(bool(left), bool(transpose))(a, to_array(taus, "ormqr", "taus"), c)


# -- tridiagonal systems ---------------------------------------------------------------------


class TridiagonalSolve(Factorization):
    """X with T X = B, T having d on its diagonal, dl[1:] below and du[:-1] above it."""

    def abstract(self, dl: Aval, d: Aval, du: Aval, b: Aval) -> list[Aval]:
        self.check(b)
        if len({dl, d, du}) != 1 or d.dtype != b.dtype or d.shape != b.shape[:-1]:
            raise ValueError(
                f"{self.name}: dl, d and du must have one dtype and shape, and b that shape and "
                f"columns; got {dl.short()}, {d.short()}, {du.short()} and {b.short()}"
            )
        return [Aval(b.shape, b.dtype)]

    def numpy(self, dl: Any, d: Any, du: Any, b: Any) -> list[Any]:
        if not b.size:
            return [b]
        gtsv = lapack.scipy_routine("gtsv", b.dtype)

        def one(dl: Any, d: Any, du: Any, b: Any) -> list[Any]:
            if len(d) == 1:
                return [b / d]
            *_, x, info = gtsv(dl[1:], d, du[:-1], b)
            return [np.full_like(x, np.nan) if info else x]

        return lapack.each(one, b.shape[:-2], [Aval(b.shape, b.dtype)], dl, d, du, b)

    def stablehlo(self, hlo: Any, dl: Any, d: Any, du: Any, b: Any) -> list[Any]:
        batch = b.shape[:-2]
        results = [dl.aval, d.aval, du.aval, b.aval, Aval(batch, _INT)]
        *_, x, info = lapack.call(
            hlo, self.name, "gtsv", (dl, d, du, b), results, len(batch)
        )
        return [lapack.nan_unless(hlo, lapack.succeeded(hlo, info), x)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (dl, d, du, b), (*td, tb) = primals, tangents
        x = self(dl, d, du, b)
        rest = tb
        for offset, t in zip((-1, 0, 1), td):
            if type(t) is not Zero:
                moved = basis.neg(_banded(t, x, offset))
                rest = moved if type(rest) is Zero else basis.add(rest, moved)
        if type(rest) is Zero:
            return [x], self.zero_tangents([x])
        return [x], [self(dl, d, du, rest)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        dl, d, du, _ = args
        back = self(_shifted(du, -1), d, _shifted(dl, 1), cts[0])
        return [None, None, None, back]


def _shifted(x: Any, by: int) -> Any:
    """y[…, i] = x[…, i + by], zero beyond the ends."""
    none = ((0, 0, 0),) * (x.ndim - 1)
    return pad_zeros(x, (*none, (-by, by, 0)))


def _banded(t: Any, x: Any, offset: int) -> Any:
    """(T x)[i] = t[i] x[i + offset], for one diagonal of a tridiagonal matrix."""
    none = ((0, 0, 0),) * (x.ndim - 2)
    moved = pad_zeros(x, (*none, (-offset, offset, 0), (0, 0, 0))) if offset else x
    return basis.mul(as_column(t), moved)


@public
def tridiagonal_solve(
    dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False
) -> Any:
    """X with T X = b, for tridiagonal T.

    Args:
      dl: floating or complex, (…, n), below the diagonal; dl[…, 0] is not read.
      d: the diagonal, (…, n).
      du: above the diagonal, (…, n); du[…, n - 1] is not read.
      b: (…, n, m).
      perturb_singular: not supported.

    >>> from ferax import lax, numpy as jnp
    >>> off, d = jnp.array([0., 0., 1.]), jnp.array([2., 4., 1.])
    >>> lax.linalg.tridiagonal_solve(off, d, jnp.zeros(3), jnp.ones((3, 1)))[:, 0]
    Array([0.5 , 0.25, 0.75], dtype=float32)
    """
    if perturb_singular:
        raise NotImplementedError(
            "tridiagonal_solve: perturb_singular is not implemented"
        )
    operands = [to_array(x, "tridiagonal_solve") for x in (dl, d, du)]
    return TridiagonalSolve()(*operands, matrix_operand("tridiagonal_solve", b))


@public
@through_single
def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Any:
    """α A Aᵀ + β C.

    Args:
      a_matrix: floating, (…, n, k).
      c_matrix: the same dtype, (…, n, n).
      alpha, beta: numbers.
      symmetrize_output: promise both triangles of the result (they are given here in any case).

    >>> from ferax import lax, numpy as jnp
    >>> lax.linalg.symmetric_product(jnp.ones((2, 3)), jnp.eye(2), beta=2.0)
    Array([[5., 3.],
           [3., 5.]], dtype=float32)
    """
    a = matrix_operand("symmetric_product", a_matrix)
    c = matrix_operand("symmetric_product", c_matrix, square=True)
    if c.shape != (*a.shape[:-1], a.shape[-2]):
        raise ValueError(
            f"symmetric_product: A {a.aval.short()} needs a C of shape "
            f"{(*a.shape[:-1], a.shape[-2])}; got {c.aval.short()}"
        )
    return basis.add(basis.mul(times(a, transposed(a)), alpha), basis.mul(c, beta))
