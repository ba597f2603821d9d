"""Polynomials as vectors of coefficients, the highest power first (NumPy's `poly*` functions).

The number of coefficients is static, so sums and quotients are unrolled; `polyval` loops when
there are many. Roots are the eigenvalues of the companion matrix (R. A. Horn and C. R. Johnson,
"Matrix Analysis", 1985, 3.3.14).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.tracing import Tracer
from ferax.errors import public
from ferax.lax.scanning import scan
from ferax.lax.shape import Concatenate, known_integer, pad_zeros
from ferax.numpy import linalg
from ferax.numpy.contracting import convolve, dot
from ferax.numpy.creation import arange, asarray, zeros
from ferax.numpy.elementary import sqrt
from ferax.numpy.grids import diag, vander
from ferax.numpy.operations import ABS, NE, scalar
from ferax.numpy.ordering import argsort
from ferax.numpy.promoting import (
    ArrayLike,
    cast,
    inexact,
    operand,
    promote,
    promote_inexact,
)
from ferax.numpy.reducing import all as all_
from ferax.numpy.reducing import argmax
from ferax.numpy.reducing import sum as sum_
from ferax.numpy.searching import where
from ferax.numpy.shaping import atleast_1d, concatenate, roll


def _vector(who: str, p: Any, place: int = 0) -> Any:
    x = operand(who, p, place)
    if x.ndim != 1:
        raise TypeError(f"{who}: coefficients must be a vector; got {x.aval.short()}")
    return x


def _known(x: Any) -> np.ndarray | None:
    known = x.concrete() if isinstance(x, Tracer) else x
    return known.host() if isinstance(known, Concrete) else None


def _trimmed(who: str, p: Any) -> Any:
    """p without leading zeros, whose number has to be known; at least one is left."""
    host = _known(p)
    if host is None:
        raise TypeError(
            f"{who}: how many leading coefficients of {p.aval.short()} are zero is not known "
            "while tracing, and decides the size of the result. Leave them in."
        )
    found = np.flatnonzero(host)
    return p[int(found[0]) if found.size else max(p.size - 1, 0) :]


@public
def polyval(p: ArrayLike, x: ArrayLike, *, unroll: int = 16) -> Array:
    """p[0] x^(n-1) + … + p[n-1] by Horner's scheme.

    Args:
      p: coefficients (n,), or (n, …) for several polynomials.
      x: where; broadcasts with the further axes of p.
      unroll: how many steps are written out; beyond it, they are looped over.

    >>> import ferax.numpy as jnp
    >>> jnp.polyval(jnp.array([1, 2, 3]), jnp.array([0, 2]))
    Array([ 3, 11], dtype=int32)
    """
    p, x = promote("polyval", operand("polyval", p, 0), operand("polyval", x, 1))
    if not p.ndim:
        p = basis.reshape(p, (1,))
    shape = shapes.broadcast_shapes(p.shape[1:], x.shape, who="polyval")
    y = basis.zeros(shape, x.dtype)
    if isinstance(p, Tracer) and p.shape[0] > unroll:
        return scan(lambda y, c: (y * x + c, None), y, p, unroll=unroll)[0]
    for i in range(p.shape[0]):
        y = y * x + p[i] if i else y + p[0]
    return y


def _aligned(who: str, a1: Any, a2: Any) -> tuple[Any, Any]:
    """Two polynomials with equally many coefficients."""
    a, b = promote(
        who, atleast_1d(operand(who, a1, 0)), atleast_1d(operand(who, a2, 1))
    )
    n = max(a.shape[0], b.shape[0])
    wide = [
        pad_zeros(x, ((n - x.shape[0], 0, 0), *[(0, 0, 0)] * (x.ndim - 1)))
        for x in (a, b)
    ]
    return wide[0], wide[1]


@public
def polyadd(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The sum of two polynomials.

    >>> import ferax.numpy as jnp
    >>> jnp.polyadd(jnp.array([1, 2, 3]), jnp.array([10]))
    Array([ 1,  2, 13], dtype=int32)
    """
    a, b = _aligned("polyadd", a1, a2)
    return a + b


@public
def polysub(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The difference of two polynomials"""
    a, b = _aligned("polysub", a1, a2)
    return a - b


@public
def polymul(a1: ArrayLike, a2: ArrayLike, *, trim_leading_zeros: bool = False) -> Array:
    """The product of two polynomials.

    >>> import ferax.numpy as jnp
    >>> jnp.polymul(jnp.array([1, 1]), jnp.array([1, -1]))
    Array([ 1.,  0., -1.], dtype=float32)
    """
    a, b = promote_inexact("polymul", _vector("polymul", a1), _vector("polymul", a2, 1))
    if trim_leading_zeros:
        a, b = _trimmed("polymul", a), _trimmed("polymul", b)
    if not a.size:
        a = zeros((1,), a.dtype)
    if not b.size:
        b = zeros((1,), b.dtype)
    return convolve(a, b, mode="full")


@public
def polydiv(
    u: ArrayLike, v: ArrayLike, *, trim_leading_zeros: bool = False
) -> tuple[Array, Array]:
    """(quotient, remainder) of two polynomials: u = quotient v + remainder.

    The remainder has as many coefficients as u unless `trim_leading_zeros`.

    >>> import ferax.numpy as jnp
    >>> jnp.polydiv(jnp.array([1., -3., 2.]), jnp.array([1., -1.]))[0]
    Array([ 1., -2.], dtype=float32)
    """
    u, v = promote_inexact("polydiv", _vector("polydiv", u), _vector("polydiv", v, 1))
    steps = u.size - v.size + 1
    factors = []
    for i in range(steps):
        factor = u[i] / v[0]
        factors.append(basis.reshape(factor, (1,)))
        taken = pad_zeros(factor * v, ((i, u.size - v.size - i, 0),))
        u = u - taken
    quotient = concatenate(factors) if factors else zeros((1,), u.dtype)
    if trim_leading_zeros:
        host = _known(u)
        if host is None:
            _trimmed("polydiv", u)  # raises
        tiny = np.sqrt(np.finfo(np.asarray(host).dtype).eps)
        found = np.flatnonzero(np.abs(np.asarray(host)) > tiny)
        u = u[int(found[0]) if found.size else u.size :]
    return quotient, u


@public
def polyder(p: ArrayLike, m: int = 1) -> Array:
    """The m-th derivative.

    >>> import ferax.numpy as jnp
    >>> jnp.polyder(jnp.array([1, 2, 3]))
    Array([2., 2.], dtype=float32)
    """
    m = known_integer(m, "polyder", "m")
    if m < 0:
        raise ValueError("Order of derivative must be positive")
    p = inexact("polyder", _vector("polyder", p))
    if m == 0:
        return p
    power = np.arange(p.size - 1, m - 1, -1)
    factor = np.prod([power - i for i in range(m)], axis=0)
    return p[: max(p.size - m, 0)] * asarray(factor.astype(dtypes.to_real(p.dtype)))


@public
def polyint(p: ArrayLike, m: int = 1, k: Any = None) -> Array:
    """The m-th integral, with the constants of integration k (0 by default).

    >>> import ferax.numpy as jnp
    >>> jnp.polyint(jnp.array([2, 2]), k=5)
    Array([1., 2., 5.], dtype=float32)
    """
    m = known_integer(m, "polyint", "m")
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = inexact("polyint", _vector("polyint", p))
    constants = (
        zeros((m,), p.dtype) if k is None else atleast_1d(operand("polyint", k, 2))
    )
    if constants.shape == (1,):
        constants = basis.broadcast_to(constants, (m,))
    if constants.shape != (m,):
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or m.")
    if m == 0:
        return p
    p, constants = promote("polyint", p, constants)
    whole = Concatenate(0)(p, constants)
    # the i-th coefficient from behind was integrated i times, but at most m times
    power = np.arange(whole.size - 1, -1, -1)
    divisor = np.prod([np.maximum(power - i, 1) for i in range(m)], axis=0)
    return whole / asarray(divisor.astype(dtypes.to_real(whole.dtype)))


@public
def poly(seq_of_zeros: ArrayLike) -> Array:
    """The polynomial with the given roots, or the characteristic one of a square matrix.

    >>> import ferax.numpy as jnp
    >>> jnp.poly(jnp.array([1, 2]))
    Array([ 1., -3.,  2.], dtype=float32)
    """
    x = atleast_1d(inexact("poly", seq_of_zeros))
    if x.ndim == 2 and x.shape[0] == x.shape[1] and x.size:
        x = linalg.eigvals(x)
    if x.ndim != 1:
        raise ValueError(
            f"input must be 1d or non-empty square 2d array; got {x.aval.short()}"
        )
    if not x.size:
        return basis.full((), 1, x.dtype)
    out = basis.full((1,), 1, x.dtype)
    for i in range(x.size):
        out = pad_zeros(out, ((0, 1, 0),)) - x[i] * pad_zeros(out, ((1, 0, 0),))
    return out


def _companion_roots(p: Any) -> Any:
    """The roots of a polynomial whose first coefficient is not zero."""
    n = p.size - 1
    if n < 1:
        return zeros((0,), dtypes.to_complex(p.dtype))
    first = -p[1:] / p[0]
    below = diag(basis.full((n - 1,), 1, p.dtype), -1)
    row = pad_zeros(basis.reshape(first, (1, n)), ((0, n - 1, 0), (0, 0, 0)))
    return linalg.eigvals(row + below)


@public
def roots(p: ArrayLike, *, strip_zeros: bool = True) -> Array:
    """The complex roots of a polynomial.

    Args:
      strip_zeros: leave out leading coefficients that are zero; their number has to be
        known. If False, there is a nan for each of them behind the other roots.

    >>> import ferax.numpy as jnp
    >>> jnp.sort(jnp.roots(jnp.array([1., -3., 2.])).real)
    Array([1., 2.], dtype=float32)
    """
    p = atleast_1d(inexact("roots", p))
    if p.ndim != 1:
        raise ValueError(f"Input must be a rank-1 array; got {p.aval.short()}")
    if p.size < 2:
        return zeros((0,), dtypes.to_complex(p.dtype))
    if strip_zeros:
        p = _trimmed("roots", p)
        found_at = np.flatnonzero(np.asarray(_known(p)))
        trailing = p.size - 1 - int(found_at[-1]) if found_at.size else 0
        found = _companion_roots(p[: p.size - trailing])
        rest = zeros((trailing,), found.dtype)
        return Concatenate(0)(found, rest) if trailing else found
    leading = where(all_(p == 0), p.size - 1, argmax(NE(p, scalar(0, p.dtype))))
    found = _companion_roots(roll(p, -leading))
    # rolled to the end, each leading zero has become a root at zero: the smallest ones
    found = found[argsort(-ABS(found))]
    n = found.size
    return where(arange(n) < n - leading, found, np.complex64(complex("nan+nanj")))


@public
def polyfit(
    x: ArrayLike, y: ArrayLike, deg: int, rcond: float | None = None, full: bool = False,
    w: ArrayLike | None = None, cov: bool | str = False,
) -> Any:  # fmt: skip
    """The polynomial of degree `deg` through points, in the sense of least squares.

    Args:
      x: (n,); y: (n,) or (n, k), k polynomials.
      rcond: singular values below this share of the largest count as zero.
      full: also return (residuals, rank, singular values, rcond).
      w: weights of the points.
      cov: also return the covariance matrix of the coefficients; "unscaled": for weights
        that are 1 / σ.

    >>> import ferax.numpy as jnp
    >>> p = jnp.polyfit(jnp.arange(4.), jnp.array([1., 3., 5., 7.]), 1)
    >>> jnp.round(p, 3) + 0.
    Array([2., 1.], dtype=float32)
    """
    deg = known_integer(deg, "polyfit", "deg")
    if deg < 0:
        raise ValueError("expected deg >= 0")
    x, y = promote_inexact("polyfit", x, y)
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim not in (1, 2):
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    if rcond is None:
        rcond = x.size * float(dtypes.finfo(x.dtype).eps)
    lhs, rhs = vander(x, deg + 1), y
    if w is not None:
        w = cast(operand("polyfit", w, 5), x.dtype)
        if w.ndim != 1 or w.shape[0] != y.shape[0]:
            raise TypeError("expected a 1-d array for weights, of the length of y")
        lhs = lhs * w[:, None]
        rhs = rhs * (w if rhs.ndim == 1 else w[:, None])
    scale = sqrt(sum_(lhs * lhs, 0))
    c, residuals, rank, singular = linalg.lstsq(lhs / scale, rhs, rcond)
    c = c / (scale if c.ndim == 1 else scale[:, None])
    if full:
        return c, residuals, rank, singular, asarray(rcond)
    if not cov:
        return c
    base = linalg.inv(dot(lhs.T, lhs))
    if isinstance(cov, str) and cov == "unscaled":
        factor: Any = 1.0
    else:
        if x.size <= deg + 1:
            raise ValueError(
                "the number of data points must exceed order to scale the covariance matrix"
            )
        factor = residuals / (x.size - deg - 1)
    if y.ndim == 1:
        return c, base * factor
    return c, base[:, :, None] * factor
