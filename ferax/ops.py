"""Segments: elements of an array put together by the group that each belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax import numpy as jnp
from ferax.core.array import Array
from ferax.core.tracing import Tracer, to_array
from ferax.errors import ConcretizationTypeError, public
from ferax.lax.windows import GatherScatterMode

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]

_DROPPING = (None, "drop", "fill", GatherScatterMode.FILL_OR_DROP)


def _lowest(dtype: Any) -> Any:
    if dtypes.is_bool(dtype):
        return False
    return -np.inf if dtypes.is_inexact(dtype) else dtypes.iinfo(dtype).min


def _highest(dtype: Any) -> Any:
    if dtypes.is_bool(dtype):
        return True
    return np.inf if dtypes.is_inexact(dtype) else dtypes.iinfo(dtype).max


# name -> (method of x.at[…], reduction of an axis, result for a group without elements)
_WAYS: dict[str, tuple[str, Callable[..., Any], Callable[[Any], Any]]] = {
    "segment_sum": ("add", jnp.sum, lambda dtype: 0),
    "segment_prod": ("multiply", jnp.prod, lambda dtype: 1),
    "segment_max": ("max", jnp.max, _lowest),
    "segment_min": ("min", jnp.min, _highest),
}


def _segment(
    who: str,
    data: Any,
    segment_ids: Any,
    num_segments: Any,
    indices_are_sorted: bool,
    unique_indices: bool,
    bucket_size: int | None,
    mode: Any,
) -> Array:
    method, reduce, empty = _WAYS[who]
    data = to_array(data, who, "data")
    ids = to_array(segment_ids, who, "segment_ids")
    if not dtypes.is_integer(ids.dtype):
        raise TypeError(f"{who}: segment_ids must be integers; got {ids.aval.short()}")
    if ids.ndim != 1 or data.ndim < 1 or data.shape[0] != ids.shape[0]:
        raise ValueError(
            f"{who}: segment_ids must have one number for each element of the first axis of data; "
            f"got data {data.aval.short()} and segment_ids {ids.aval.short()}"
        )
    if num_segments is None:
        if not ids.size:
            raise ValueError(f"{who}: without elements, num_segments must be given")
        if isinstance(ids, Tracer):
            raise ConcretizationTypeError(
                f"{who}: the shape of the result depends on segment_ids, which are traced here; "
                "give num_segments"
            )
        num_segments = int(jnp.max(ids)) + 1
    count = shapes.dimension(num_segments, who)
    if count < 0:
        raise ValueError(f"{who}: num_segments must not be negative; got {count}")
    if bucket_size is not None and bucket_size < 1:
        raise ValueError(f"{who}: bucket_size must be positive; got {bucket_size}")
    if dtypes.is_bool(data.dtype) and method in ("add", "multiply"):
        raise TypeError(
            f"{who}: data must be numbers; got {data.aval.short()}. Convert it with "
            "x.astype(int), or use segment_max (any) or segment_min (all)."
        )
    if mode in _DROPPING:  # not from the end, as indices count
        ids, mode = jnp.where(ids < 0, count, ids), "drop"
    elif mode in ("clip", GatherScatterMode.CLIP):
        ids = jnp.maximum(ids, 0)
    n, shape = ids.shape[0], (count, *data.shape[1:])
    buckets = 1 if bucket_size is None else max(-(-n // bucket_size), 1)
    out = jnp.full((buckets, *shape), empty(data.dtype), data.dtype)
    bucket = 0 if bucket_size is None else jnp.arange(n) // bucket_size
    update = getattr(out.at[bucket, ids], method)
    out = update(
        data,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )
    if buckets == 1:
        return out[0]  # type: ignore[no-any-return]
    return reduce(out, 0).astype(data.dtype)  # type: ignore[no-any-return]


@public
def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """Sums by group: y[k] = Σ data[i] over the i with segment_ids[i] = k.

    Args:
      data: array, (n, …).
      segment_ids: integers, (n,), in any order. Those outside of [0, num_segments) are dropped.
      num_segments: how many groups there are; by default one more than the largest number, which
        must then be known (not traced).
      indices_are_sorted, unique_indices: promises about `segment_ids`.
      bucket_size: sum in blocks of so many elements first, which is more exact.
      mode: what numbers outside mean, as in `x.at[…]`, but for negative ones, which count from
        the end nowhere: "clip" puts them into the first group.

    Returns:
      Array like `data`, (num_segments, …).

    Raises:
      ValueError: shapes do not fit. TypeError: `segment_ids` are no integers.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.ops.segment_sum(jnp.array([1., 2., 3.]), jnp.array([0, 0, 2]))
    Array([3., 0., 3.], dtype=float32)
    """
    return _segment(
        "segment_sum", data, segment_ids, num_segments, indices_are_sorted,
        unique_indices, bucket_size, mode,
    )  # fmt: skip


@public
def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """Products by group, 1 for empty ones; arguments as of `segment_sum`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.ops.segment_prod(jnp.array([2., 2., 3.]), jnp.array([0, 0, 2]))
    Array([4., 1., 3.], dtype=float32)
    """
    return _segment(
        "segment_prod", data, segment_ids, num_segments, indices_are_sorted,
        unique_indices, bucket_size, mode,
    )  # fmt: skip


@public
def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """Largest elements by group, the lowest value for empty ones; arguments as of `segment_sum`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.ops.segment_max(jnp.array([1., 2., 3.]), jnp.array([0, 0, 2]))
    Array([  2., -inf,   3.], dtype=float32)
    """
    return _segment(
        "segment_max", data, segment_ids, num_segments, indices_are_sorted,
        unique_indices, bucket_size, mode,
    )  # fmt: skip


@public
def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
) -> Array:
    """Smallest elements by group, the highest value for empty ones; arguments as of `segment_sum`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.ops.segment_min(jnp.array([1., 2., 3.]), jnp.array([0, 0, 2]))
    Array([ 1., inf,  3.], dtype=float32)
    """
    return _segment(
        "segment_min", data, segment_ids, num_segments, indices_are_sorted,
        unique_indices, bucket_size, mode,
    )  # fmt: skip
