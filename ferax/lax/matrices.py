"""What linear algebra's operations have in common, and the matrix functions their rules use.

Operations on matrices act on the last two axes; all others are a batch. `Factorization` is
the family: one matrix operand (or several), results with the same leading axes, so a mapped axis
simply becomes the first of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval, Zero
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.lax import elementwise as el
from ferax.lax.contraction import DotGeneral, Precision
from ferax.lax.lapack import MATRIX_DTYPES
from ferax.lax.shape import Iota, align_mapped, slice_of

_CONJ, _DIV, _GE = el.Conj(), el.Div(), el.Ge()
_EXACT = (Precision.HIGHEST, Precision.HIGHEST)


class Factorization(Primitive, family=True):
    """Results that LAPACK computes from stacks of matrices; never linear."""

    square: ClassVar[bool] = False

    transpose = cannot("not linear")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        moved = [None if d is None else 0 for d in dims]
        args = [x if d is None else basis.moveaxis(x, d, 0) for x, d in zip(args, dims)]
        outs = self.bind(*align_mapped(axis, args, moved)[0])
        return outs, [0] * len(outs)

    def check(self, x: Aval) -> None:
        check_matrix(self.name, x, self.square)

    def zero_tangents(self, outs: list[Any]) -> list[Any]:
        return [Zero(o.aval.tangent()) for o in outs]


def check_matrix(who: str, x: Any, square: bool = False) -> None:
    """Refuse what is no (square) matrix of a dtype that LAPACK knows."""
    aval = x if isinstance(x, Aval) else x.aval
    if aval.ndim < 2:
        raise ValueError(
            f"{who}: a matrix (at least two dimensions) is needed; got {aval.short()}"
        )
    if square and aval.shape[-1] != aval.shape[-2]:
        raise ValueError(f"{who}: the last two sizes must be equal; got {aval.short()}")
    if aval.dtype not in MATRIX_DTYPES:
        raise NotImplementedError(
            f"{who} is not implemented for {aval.short()}, only for float32, float64, complex64 "
            "and complex128; convert with x.astype(jnp.float32)"
        )


def matrix_operand(who: str, x: Any, square: bool = False) -> Any:
    """A public function's operand: integers become floating, everything else is checked."""
    x = to_array(x, who, "the operand")
    if not dtypes.is_inexact(x.dtype) and not dtypes.is_key(x.dtype):
        x = basis.convert(x, dtypes.canonical(np.dtype(np.float64)))
    check_matrix(who, x, square)
    return x


_HALVES = frozenset(map(np.dtype, (np.float16, dtypes.bfloat16)))


def through_single(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of two arrays that takes 16-bit floats, too, and computes in float32."""

    @functools.wraps(function)
    def run(a: Any, b: Any, **options: Any) -> Any:
        dtype = getattr(a, "dtype", None)
        if dtype not in _HALVES or getattr(b, "dtype", None) != dtype:
            return function(a, b, **options)
        wide = [basis.convert(to_array(v), np.dtype(np.float32)) for v in (a, b)]
        return basis.convert(function(*wide, **options), dtype)

    return run


# -- functions of matrices -------------------------------------------------------------------


def conj(x: Any) -> Any:
    return _CONJ(x) if dtypes.is_complex(x.dtype) else x


def transposed(x: Any) -> Any:
    """Rows and columns exchanged."""
    n = x.ndim
    return basis.permute(x, (*range(n - 2), n - 1, n - 2))


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conj(transposed(x))


def times(x: Any, y: Any) -> Any:
    """The product of stacks of matrices with equal leading axes, at full precision."""
    n = x.ndim
    batch = tuple(range(n - 2))
    return DotGeneral(((n - 1,), (n - 2,)), (batch, batch), _EXACT)(x, y)


def over(x: Any, y: Any) -> Any:
    """x / y."""
    return _DIV(x, y)


def triangle(x: Any, offset: int = 0, lower: bool = True) -> Any:
    """x[i, j] where j <= i + offset (or >=, for the upper triangle), zero elsewhere."""
    n, m = x.shape[-2:]
    i, j = Iota(np.dtype(np.int32), (n, 1), 0)(), Iota(np.dtype(np.int32), (1, m), 1)()
    i = basis.add(i, offset) if offset else i
    inside = _GE(i, j) if lower else _GE(j, i)
    return basis.select(inside, x, 0)


def identity(x: Any, n: int | None = None) -> Any:
    """Identity matrices with the leading axes and dtype of x, of size n (x's rows if None)."""
    n = x.shape[-2] if n is None else n
    ones = basis.full((*x.shape[:-2], n, n), 1, x.dtype)
    return triangle(triangle(ones), lower=False)


def diagonal(x: Any, offset: int = 0) -> Any:
    """x[…, i, i + offset] with i as the last axis: a strided slice of the rows laid end to end."""
    *lead, n, m = x.shape
    start = offset if offset >= 0 else -offset * m
    length = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    if not length:
        return basis.zeros((*lead, 0), x.dtype)
    flat = basis.reshape(x, (*lead, n * m))
    limit = start + shapes.dilated(length, m + 1)
    none = (0,) * len(lead)
    return slice_of(flat, (*none, start), (*lead, limit), (*(1 for _ in lead), m + 1))


def on_diagonal(x: Any) -> Any:
    """Square matrices with the vectors x[…, i] on their diagonals."""
    size = x.shape[-1]
    wide = basis.broadcast_in_dim(x, (*x.shape, size), tuple(range(x.ndim)))
    return triangle(triangle(wide), lower=False)


def as_row(x: Any) -> Any:
    """Vectors as matrices of one row."""
    return basis.expand_dims(x, (x.ndim - 1,))


def as_column(x: Any) -> Any:
    """Vectors as matrices of one column."""
    return basis.expand_dims(x, (x.ndim,))


def block(x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    """The part of matrices between two rows and two columns."""
    none, lead = (0,) * (x.ndim - 2), x.shape[:-2]
    return slice_of(x, (*none, rows[0], columns[0]), (*lead, rows[1], columns[1]))


def halved_diagonal(x: Any) -> Any:
    """The lower triangle of x, its diagonal halved."""
    return basis.mul(basis.add(triangle(x), triangle(x, -1)), 0.5)
