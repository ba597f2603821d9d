"""Random vectors and matrices: each sample fills one or two axes of the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, lax, shapes
from ferax.core.array import Array
from ferax.core.avals import Aval
from ferax.core.basis import broadcast_to, convert, expand_dims, moveaxis, select
from ferax.errors import public
from ferax.lax import keys as random_keys
from ferax.lax import linalg
from ferax.lax.shape import refuse_sharding, unstack
from ferax.random.continuous import (
    draw_exponential,
    draw_normal,
    float_dtype,
    parameter,
)
from ferax.random.gammas import draw_binomial, draw_log_gamma
from ferax.random.keys import one_key, several
from ferax.random.shaped import draw_generalized_normal


@public
def dirichlet(
    key: Any,
    alpha: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Dirichlet distributed vectors: positive, with sum 1.

    Args:
      key: one key.
      alpha: concentrations, > 0, (…, n); differentiable.
      shape: of the samples; by default alpha.shape[:-1].
      dtype: floating.
    Returns:
      (*shape, n).

    >>> import ferax.numpy as jnp
    >>> from ferax import random
    >>> random.dirichlet(random.key(42), jnp.array([1.0, 2.0, 3.0])).round(3)
    Array([0.265, 0.135, 0.6  ], dtype=float32)
    """
    refuse_sharding("random.dirichlet", out_sharding)
    dtype = float_dtype("dirichlet", dtype)
    keys, _ = one_key("dirichlet", key)
    a = parameter("dirichlet", "alpha", alpha, dtype)
    if not a.ndim:
        raise ValueError(
            "random.dirichlet: alpha needs an axis of concentrations; got a number"
        )
    full = _full_shape("dirichlet", shape, a.shape[:-1], a.shape[-1])
    samples = draw_log_gamma(keys, full, broadcast_to(a, full))
    last = len(full) - 1
    # softmax of the logarithms: no sum underflows
    top = expand_dims(lax.stop_gradient(lax.reduce_max(samples, (last,))), (last,))
    parts = lax.exp(lax.sub(samples, broadcast_to(top, full)))
    total = expand_dims(lax.reduce_sum(parts, (last,)), (last,))
    return lax.div(parts, broadcast_to(total, full))


def _full_shape(who: str, shape: Any, batch: shapes.Shape, *event: int) -> shapes.Shape:
    """The shape of the samples (to which `batch` must broadcast), then that of one sample."""
    asked = batch if shape is None else shapes.canonical_shape(shape, f"random.{who}")
    if shapes.broadcast_shapes(asked, batch, who=f"random.{who}") != asked:
        raise ValueError(
            f"random.{who}: the parameters have the leading axes {batch}, which do not "
            f"broadcast to shape={asked}"
        )
    return (*asked, *event)


@public
def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
) -> Array:
    """Normally distributed vectors with the given mean and covariance.

    Args:
      key: one key.
      mean: (…, n).
      cov: (…, n, n), positive (semi)definite.
      shape: of the samples; by default the common leading axes of the parameters.
      dtype: floating.
      method: how the square root of `cov` is made: "cholesky", "eigh" or "svd"; the latter
        two allow semidefinite matrices.
    Returns:
      (*shape, n).
    """
    refuse_sharding("random.multivariate_normal", out_sharding)
    if method not in ("cholesky", "eigh", "svd"):
        raise ValueError(
            "random.multivariate_normal: method must be 'cholesky', 'eigh' or 'svd'; got "
            f"{method!r}"
        )
    dtype = float_dtype("multivariate_normal", dtype)
    keys, _ = one_key("multivariate_normal", key)
    wide = dtypes.promote(Aval((), dtype), Aval((), np.dtype(np.float32)))[0]
    center = parameter("multivariate_normal", "mean", mean, wide)
    matrix = parameter("multivariate_normal", "cov", cov, wide)
    if not center.ndim or matrix.ndim < 2 or matrix.shape[-2:] != center.shape[-1:] * 2:
        raise ValueError(
            "random.multivariate_normal: mean must be (…, n) and cov (…, n, n); got "
            f"{center.aval.short()} and {matrix.aval.short()}"
        )
    batch = shapes.broadcast_shapes(
        center.shape[:-1], matrix.shape[:-2], who="random.multivariate_normal"
    )
    full = _full_shape("multivariate_normal", shape, batch, center.shape[-1])
    factor = _square_root(matrix, method)
    z = expand_dims(draw_normal(keys, full, dtype).astype(wide), (len(full),))
    factor = broadcast_to(factor, (*full, full[-1]))
    batch_axes = tuple(range(len(full) - 1))
    contracted = (((len(full),), (len(full) - 1,)), (batch_axes, batch_axes))
    moved = lax.squeeze(lax.dot_general(factor, z, contracted), (len(full),))
    return lax.add(moved, broadcast_to(center, full)).astype(dtype)


def _square_root(matrix: Any, method: str) -> Any:
    """A with A Aᵀ = matrix."""
    if method == "cholesky":
        return linalg.cholesky(matrix)
    if method == "eigh":
        vectors, values = linalg.eigh(matrix)
    else:
        vectors, values, _ = linalg.svd(matrix)
    scale = expand_dims(lax.sqrt(values), (values.ndim - 1,))
    return lax.mul(vectors, broadcast_to(scale, vectors.shape))


@public
def orthogonal(
    key: Any,
    n: int,
    shape: Any = (),
    dtype: Any = None,
    m: int | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Matrices uniformly distributed over those with orthonormal rows (or columns).

    F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices
    of the AMS 54 (2007): Q of the QR decomposition of a normal matrix, with R's diagonal
    made positive.

    Args:
      key: one key.
      n, m: numbers of rows and columns; m = n by default.
      shape: of the samples.
      dtype: floating, or complex for unitary matrices.
    Returns:
      (*shape, n, m).
    """
    refuse_sharding("random.orthogonal", out_sharding)
    found = dtypes.requested(float if dtype is None else dtype, "random.orthogonal")
    if not dtypes.is_inexact(found):
        raise ValueError(
            f"random.orthogonal: dtype must be floating or complex; got {found}"
        )
    keys, _ = one_key("orthogonal", key)
    rows = shapes.dimension(n, "random.orthogonal")
    columns = rows if m is None else shapes.dimension(m, "random.orthogonal")
    lead = shapes.canonical_shape(shape, "random.orthogonal")
    z = draw_normal(keys, (*lead, max(rows, columns), min(rows, columns)), found)
    q, r = linalg.qr(z, full_matrices=False)
    rank = len(lead)
    diagonal = lax.reduce_sum(lax.mul(r, _eye_like(r)), (rank,))
    size = convert(lax.abs(diagonal), found)
    zero = lax.full_like(diagonal, 0)
    phase = lax.div(
        diagonal, select(lax.eq(diagonal, zero), lax.full_like(size, 1), size)
    )
    q = lax.mul(q, broadcast_to(expand_dims(phase, (rank,)), q.shape))
    if rows >= columns:
        return q
    return moveaxis(lax.conj(q) if dtypes.is_complex(found) else q, rank, rank + 1)


def _eye_like(x: Any) -> Any:
    row, column = (lax.broadcasted_iota("int32", x.shape, x.ndim - i) for i in (2, 1))
    return convert(lax.eq(row, column), x.dtype)


@public
def ball(
    key: Any,
    d: int,
    p: Any = 2,
    shape: Any = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Points uniformly distributed in the unit ball of the Lᵖ norm.

    F. Barthe, O. Guédon, S. Mendelson, A. Naor, "A probabilistic approach to the geometry of the
    l_p^n-ball", Annals of Probability 33 (2005).

    Args:
      key: one key.
      d: number of dimensions.
      p: of the norm, > 0.
      shape: of the samples.
      dtype: floating.
    Returns:
      (*shape, d).
    """
    refuse_sharding("random.ball", out_sharding)
    dtype = float_dtype("ball", dtype)
    lead = shapes.canonical_shape(shape, "random.ball")
    full = (*lead, shapes.dimension(d, "random.ball"))
    if isinstance(p, (int, float)) and np.isinf(p):
        raise ValueError(
            "random.ball: p must be finite; for the unit ball of the maximum norm use "
            "random.uniform(key, (*shape, d), minval=-1, maxval=1)"
        )
    direction_keys, radius_keys = several("ball", key, 2)
    power = parameter("ball", "p", p, dtype)
    wide = broadcast_to(power, full)
    gamma_keys, sign_keys = unstack(random_keys.split_keys(direction_keys, (2,)))
    x = draw_generalized_normal(gamma_keys, sign_keys, wide)
    length = lax.reduce_sum(lax.pow(lax.abs(x), wide), (len(lead),))
    length = lax.add(length, draw_exponential(radius_keys, lead, dtype))
    root = lax.pow(length, lax.div(1.0, broadcast_to(power, lead)))
    return lax.div(x, broadcast_to(expand_dims(root, (len(lead),)), full))


@public
def multinomial(
    key: Any,
    n: Any,
    p: Any,
    *,
    shape: Any = None,
    dtype: Any = None,
    unroll: int | bool = 1,
) -> Array:
    """How often each category occurs in n independent draws.

    Args:
      key: one key.
      n: number of draws, ≥ 0, (…).
      p: probabilities of the categories, (…, k), or numbers proportional to them.
      shape: of the result, (…, k); by default that of the parameters.
      dtype: floating.
      unroll: accepted for programs that tune the loop; has no effect.
    Returns:
      Counts that add up to n, (…, k).
    """
    dtype = float_dtype("multinomial", dtype)
    keys, _ = one_key("multinomial", key)
    count = parameter("multinomial", "n", n, dtype)
    weights = parameter("multinomial", "p", p, dtype)
    if not weights.ndim:
        raise ValueError(
            "random.multinomial: p needs an axis of categories; got a number"
        )
    batch = shapes.broadcast_shapes(
        count.shape, weights.shape[:-1], who="random.multinomial"
    )
    own = (*batch, weights.shape[-1])
    full = own if shape is None else shapes.canonical_shape(shape, "random.multinomial")
    if shapes.broadcast_shapes(own, full, who="random.multinomial") != full:
        raise ValueError(
            f"random.multinomial: the parameters have the common shape {own}, which does not "
            f"broadcast to shape={full}"
        )
    left, last = broadcast_to(count, full[:-1]), len(full) - 1
    rest = unstack(lax.cumsum(broadcast_to(weights, full), last, reverse=True), last)
    draws = unstack(random_keys.split_keys(keys, (full[-1],)))
    counts = []
    for weight, remaining, own_key in zip(
        unstack(broadcast_to(weights, full), last), rest, draws, strict=True
    ):
        share = lax.div(
            weight,
            select(lax.gt(remaining, 0.0), remaining, lax.full_like(remaining, 1)),
        )
        share = lax.clamp(lax.full_like(share, 0), share, lax.full_like(share, 1))
        counts.append(draw_binomial(own_key, left, share))
        left = lax.sub(left, counts[-1])
    return lax.stack(counts, last)
