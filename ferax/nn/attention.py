"""Attention: softmax(q kᵀ / √d + bias) v.

Letters: B batch, T queries, S keys and values, N heads of queries, K heads of keys and values,
G = N / K queries that share a head of keys, H the size of a head.

Logits, softmax and masks are computed in float32 for 16-bit operands. Masked logits are a large
negative number rather than -inf, so that a query that may attend to nothing attends to
everything equally, and has no nan.
"""

from __future__ import annotations

import math
from typing import Any

import ferax.numpy as jnp
from ferax import dtypes
from ferax.core.array import Array
from ferax.errors import public
from ferax.nn.normalizing import logsumexp, softmax
from ferax.numpy.promoting import ArrayLike, inexact

Window = int | tuple[int, int] | None


@public
def dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: ArrayLike | None = None,
    key_value_seq_lengths: ArrayLike | None = None,
    local_window_size: Window = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Array | tuple[Array, Array]:
    """softmax(scale · query keyᵀ + bias) value, for each head.

    Args:
      query: floating, (B, T, N, H) or (T, N, H).
      key: of the dtype of query, (B, S, K, H) or (S, K, H); N is a multiple of K.
      value: as key.
      bias: added to the logits, broadcasts to (B, N, T, S).
      mask: bool, broadcasts to (B, N, T, S): which keys each query may attend to.
      scale: 1 / √H if None.
      is_causal: query t attends to keys up to t only.
      query_seq_lengths: int, (B,); outputs of later queries are 0.
      key_value_seq_lengths: int, (B,); later keys are not attended to.
      local_window_size: (left, right), or one number for both: how far from its own place a
        query attends.
      implementation: None or "xla".
      return_residual: give the logsumexp of the logits too, (B, T, N) or (T, N).

    Returns:
      An array of the shape and dtype of query, or a pair.

    >>> import ferax
    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(6.0).reshape(3, 1, 2)
    >>> ferax.nn.dot_product_attention(0 * x, x, x, is_causal=True)[:, 0]
    Array([[0., 1.],
           [1., 2.],
           [2., 3.]], dtype=float32)
    """
    _check_implementation(implementation)
    q, k, v = (inexact("dot_product_attention", x) for x in (query, key, value))
    batched = q.ndim == 4
    if not batched:
        q, k, v = q[None], k[None], v[None]
    _check_shapes(q, k, v, batched)
    extras = [
        x if x is None or jnp.ndim(x) == 4 else jnp.expand_dims(x, 0)
        for x in (bias, mask)
    ]
    heads = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    _check_broadcast("bias", extras[0], heads)
    logits = _logits(
        q, k, extras[0], 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    )
    _check_extras(logits, extras[1], query_seq_lengths, key_value_seq_lengths)
    allowed = _allowed(
        logits, extras[1], is_causal, key_value_seq_lengths, local_window_size
    )
    if allowed is not None:
        logits = jnp.where(
            allowed, logits, -0.7 * float(dtypes.finfo(logits.dtype).max)
        )
    weights = softmax(logits).astype(k.dtype)
    out = _weighted(weights, v)
    residual: Any = jnp.moveaxis(logsumexp(logits, -1), 1, 2)  # type: ignore[arg-type]
    if query_seq_lengths is not None:
        within = jnp.arange(q.shape[1]) < jnp.reshape(
            jnp.asarray(query_seq_lengths), (-1, 1)
        )
        out = jnp.where(within[:, :, None, None], out, 0)
    if not batched:
        out, residual = out[0], residual[0]
    return (out, residual.astype(out.dtype)) if return_residual else out


def _check_implementation(implementation: str | None) -> None:
    if implementation == "cudnn":
        raise NotImplementedError(
            'dot_product_attention: implementation="cudnn" is not supported; leave it out'
        )
    if implementation not in (None, "xla"):
        raise ValueError(
            f'dot_product_attention: implementation must be None or "xla"; got {implementation!r}'
        )


def _check_shapes(q: Any, k: Any, v: Any, batched: bool) -> None:
    shapes = ", ".join(
        f"{name} {x.aval.short()}"
        for name, x in (("query", q), ("key", k), ("value", v))
    )
    lead = "(B, T, N, H)" if batched else "(T, N, H), here with a leading 1,"
    if any(x.ndim != 4 for x in (q, k, v)) or k.shape[:3] != v.shape[:3]:
        raise ValueError(
            f"dot_product_attention: query must be {lead} key and value (B, S, K, H) alike; "
            f"got {shapes}"
        )
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(
            f"dot_product_attention: query and key must agree in batch and head size; got {shapes}"
        )
    if k.shape[2] == 0 or q.shape[2] % k.shape[2]:
        raise ValueError(
            "dot_product_attention: the number of heads of query must be a multiple of that of "
            f"key and value; got {shapes}"
        )


def _check_broadcast(name: str, x: Any, shape: tuple[int, ...]) -> None:
    if x is not None and (
        x.ndim != 4 or any(a not in (1, b) for a, b in zip(x.shape, shape))
    ):
        raise ValueError(
            f"dot_product_attention: {name} must broadcast to (B, N, T, S) = {shape}; got the "
            f"shape {x.shape}"
        )


def _check_extras(logits: Any, mask: Any, *lengths: Any) -> None:
    _check_broadcast("mask", mask, logits.shape)
    size = logits.shape[0]
    for name, n in zip(("query_seq_lengths", "key_value_seq_lengths"), lengths):
        if n is None:
            continue
        n = jnp.asarray(n)
        if not dtypes.is_integer(n.dtype) or n.shape != (size,):
            raise ValueError(
                f"dot_product_attention: {name} must be integers, one for each of a batch of "
                f"{size}; got {n.aval.short()}"
            )


def _logits(q: Any, k: Any, bias: Any, scale: float) -> Any:
    """scale · q kᵀ + bias, (B, N, T, S), in float32 or float64."""
    b, t, n, h = q.shape
    groups = q.reshape(b, t, k.shape[2], n // k.shape[2], h)
    wide = jnp.promote_types(q.dtype, jnp.float32)
    logits = jnp.einsum("BTKGH,BSKH->BKGTS", groups, k, preferred_element_type=wide)
    logits = logits.reshape(b, n, t, k.shape[1]) * scale
    return logits if bias is None else logits + jnp.asarray(bias).astype(logits.dtype)


def _weighted(weights: Any, v: Any) -> Any:
    """Σ weights · v over keys, (B, T, N, H)."""
    b, n, t, s = weights.shape
    groups = weights.reshape(b, v.shape[2], n // v.shape[2], t, s)
    return jnp.einsum("BKGTS,BSKH->BTKGH", groups, v).reshape(b, t, n, v.shape[3])


def _allowed(logits: Any, mask: Any, causal: bool, lengths: Any, window: Window) -> Any:
    """Which key each query may attend to, or None if that is all."""
    t, s = logits.shape[2:]
    parts = [] if mask is None else [jnp.asarray(mask)]
    if mask is not None and parts[0].dtype != bool:
        raise ValueError(
            f"dot_product_attention: mask must be bool; got {parts[0].aval.short()}. What is to "
            "be added to the logits is the bias."
        )
    distance = jnp.arange(t)[:, None] - jnp.arange(
        s
    )  # positive: the key lies to the left
    if causal:
        parts.append(distance >= 0)
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        parts.append((distance <= left) & (distance >= -right))
    if lengths is not None:
        parts.append(jnp.arange(s) < jnp.reshape(jnp.asarray(lengths), (-1, 1, 1, 1)))
    allowed = None
    for part in parts:
        allowed = part if allowed is None else allowed & part
    return allowed
