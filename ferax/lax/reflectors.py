"""Householder's reductions as programs of other operations, for the sake of their derivatives.

LAPACK's `geqrf`, `gehrd` and `sytrd` clear a matrix below some diagonal, column by column, with
reflectors H = I - τ v vᴴ; what they leave is a smooth function of the matrix wherever there is
something to clear. The reduction written out below takes the signs of what stays from LAPACK's
result, so that both are on the same branch.

G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th edition (2013), 5.1 and 7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.basis import stage_closed, with_zeros, without_zeros
from ferax.core.jaxpr import eval_jaxpr
from ferax.lax import elementwise as el
from ferax.lax.looping import fori_loop
from ferax.lax.matrices import as_column, as_row, conj, times
from ferax.lax.shape import Iota
from ferax.lax.transcendental import SQRT
from ferax.transforms.reverse import linearize_jaxpr

_INT = np.dtype(np.int32)
_REAL, _IMAG = el.Real(), el.Imag()


def derivative(
    op: Any,
    program: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
) -> tuple[list[Any], list[Any]]:
    """The results of an operation, and the tangents of `program(*results, *operands)`."""
    outs = op.bind(*primals)
    known, n = [*outs, *primals], len(outs)
    nonzero, moving = without_zeros(tangents)
    jaxpr = stage_closed(program, [x.aval for x in known], op.name)
    # linearized, not pushed through: only linear operations may meet tangents in a jvp rule
    forward, linear, have = linearize_jaxpr(jaxpr, [False] * n + nonzero)
    residuals = eval_jaxpr(forward, (), known)[n:]
    touts = eval_jaxpr(linear, (), [*residuals, *moving])
    return outs, with_zeros(outs, touts, have)


def real(x: Any) -> Any:
    return _REAL(x) if dtypes.is_complex(x.dtype) else x


def reduced(a: Any, kept: Any, offset: int, two_sided: bool) -> tuple[Any, Any]:
    """(A with the tails of reflectors in the place of what they cleared, τ).

    Args:
      a: (…, m, n).
      kept: (…, k), real; the first k columns are cleared below row j + offset, where something of
        the sign of kept[…, j] stays.
      offset: 0 for QR, 1 for Hessenberg form.
      two_sided: whether the reflectors act from the right, too.
    """
    *_, m, n = a.shape
    count = kept.shape[-1]
    rows, columns = Iota(_INT, (m,), 0)(), Iota(_INT, (n,), 0)()
    places = Iota(_INT, (count,), 0)()
    signs = basis.select(kept < 0, basis.full((), -1, kept.dtype), 1)

    def pick(x: Any, here: Any) -> Any:
        return basis.reduce_sum(basis.select(here, x, 0), (x.ndim - 1,))

    def step(j: Any, state: Any) -> Any:
        a, tails, taus = state
        row = j + offset
        here, below = rows == row, rows > row
        x = pick(a, columns == j)
        v, tau = reflector(pick(x, here), x, below, pick(signs, places == j))
        v = basis.add(v, basis.convert(here, v.dtype))
        column, line = as_column(v), as_row(conj(v))
        t = as_column(as_column(tau))
        a = a - basis.mul(conj(t), basis.mul(column, times(line, a)))
        if two_sided:
            a = a - basis.mul(t, basis.mul(times(a, column), line))
        tails = basis.select(
            columns == j,
            basis.mul(column, basis.convert(as_column(below), v.dtype)),
            tails,
        )
        return a, tails, basis.select(places == j, as_column(tau), taus)

    taus = basis.zeros(kept.shape, a.dtype)
    a, tails, taus = fori_loop(0, count, step, (a, basis.zeros(a.shape, a.dtype), taus))
    cleared = as_column(rows) > as_row(columns) + offset
    return basis.select(cleared, tails, a), taus


def reflector(alpha: Any, x: Any, below: Any, sign: Any) -> tuple[Any, Any]:
    """(v below the row of alpha, τ): the reflector that clears x there.

    Where nothing is to clear, v and τ are 0.
    """
    tail = basis.select(below, x, 0)
    rest = basis.reduce_sum(real(basis.mul(tail, conj(tail))), (tail.ndim - 1,))
    own = real(alpha)
    if dtypes.is_complex(alpha.dtype):
        rest = basis.add(rest, basis.mul(_IMAG(alpha), _IMAG(alpha)))
    flat = rest == 0
    square = basis.add(rest, basis.mul(own, own))
    beta = basis.mul(sign, SQRT(basis.select(flat, 1, square)))
    beta = basis.convert(beta, alpha.dtype)
    tau = basis.select(flat, 0, (beta - alpha) / beta)
    gap = basis.select(flat, 1, alpha - beta)
    return tail / as_column(gap), tau
