"""Sorting and what is read off sorted elements: partitions, medians, quantiles.

Order: ascending, nan last, complex numbers by real, then imaginary part; every sort is stable.
A descending sort is the reverse of an ascending one of the reversed array, which keeps it stable.

Quantiles at levels that are known when the line runs are read at known places (slices); traced
levels, and levels of columns with different numbers of nans, are gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumSum
from ferax.lax.shape import Concatenate, Rev, slice_of
from ferax.lax.sorting import ArgSort, Sort, take_along
from ferax.numpy import reducing
from ferax.numpy.operations import ADD, DIV, LT, MAX, MIN, MUL, NE, SUB, scalar
from ferax.numpy.promoting import ArrayLike, cast, inexact, inexact_dtype, operand
from ferax.shapes import canonical_axes, canonical_axis

_INT, _INT32 = np.dtype(np.int64), np.dtype(np.int32)


# -- sorting -------------------------------------------------------------------------------


def _sortable(
    who: str, a: Any, axis: Any, kind: Any = None, order: Any = None
) -> tuple[Any, int]:
    """The array and the axis to sort along; None means all elements as a vector."""
    if kind is not None:
        raise TypeError(
            f"'kind' argument to {who} is not supported: every sort is stable. Leave it out."
        )
    if order is not None:
        raise TypeError(f"'order' argument to {who} is not supported.")
    x = operand(who, a)
    if axis is None:
        return basis.reshape(x, (x.size,)), 0
    return x, canonical_axis(axis, x.ndim, who)


@public
def sort(
    a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
    stable: bool = True, descending: bool = False,
) -> Array:  # fmt: skip
    """The elements in order along an axis (None: of the vector of all).

    >>> import ferax.numpy as jnp
    >>> jnp.sort(jnp.array([2, 3, 1]), descending=True)
    Array([3, 2, 1], dtype=int32)
    """
    x, place = _sortable("sort", a, axis, kind, order)
    out = Sort(place)(x)
    return Rev((place,))(out) if descending else out


@public
def argsort(
    a: ArrayLike, axis: int | None = -1, *, kind: None = None, order: None = None,
    stable: bool = True, descending: bool = False,
) -> Array:  # fmt: skip
    """The indices that sort the elements along an axis; equal ones keep their order.

    >>> import ferax.numpy as jnp
    >>> jnp.argsort(jnp.array([2, 3, 1]))
    Array([2, 0, 1], dtype=int32)
    """
    x, place = _sortable("argsort", a, axis, kind, order)
    if not descending:
        return _as_index(ArgSort(place)(x))
    found = Rev((place,))(ArgSort(place)(Rev((place,))(x)))
    return _as_index(SUB(scalar(x.shape[place] - 1, _INT32), found))


def _as_index(x: Any) -> Any:
    return basis.convert(x, dtypes.canonical(_INT))


@public
def lexsort(keys: Any, axis: int = -1) -> Array:
    """The indices that sort by several keys, the last one being decisive.

    >>> import ferax.numpy as jnp
    >>> jnp.lexsort((jnp.array([3, 1, 2]), jnp.array([0, 1, 0])))
    Array([2, 0, 1], dtype=int32)
    """
    if not np.iterable(keys) or (isinstance(keys, Array) and not keys.ndim):
        raise TypeError(f"lexsort: keys must be a sequence of arrays; got {keys!r}")
    rows = [operand("lexsort", k, i) for i, k in enumerate(keys)]
    if not rows:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    if len({r.shape for r in rows}) > 1:
        raise ValueError("lexsort: all keys need to be the same shape")
    if rows[0].ndim == 0:
        return basis.full((), 0, dtypes.canonical(_INT))
    place = canonical_axis(axis, rows[0].ndim, "lexsort")
    return _as_index(ArgSort(place)(*rows[::-1]))


def _checked_kth(who: str, x: Any, kth: int, axis: int) -> None:
    canonical_axis(kth, x.shape[axis], who)


@public
def partition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """The elements with the kth in its place, smaller ones before, larger ones behind it.

    Here all of them are in order.
    """
    x, place = _sortable("partition", a, axis)
    _checked_kth("partition", x, kth, place)
    return Sort(place)(x)


@public
def argpartition(a: ArrayLike, kth: int, axis: int = -1) -> Array:
    """The indices that partition; see `partition`"""
    x, place = _sortable("argpartition", a, axis)
    _checked_kth("argpartition", x, kth, place)
    return ArgSort(place)(x)


@public
def sort_complex(a: ArrayLike) -> Array:
    """The elements in order along the last axis, as complex numbers"""
    x = operand("sort_complex", a)
    out = Sort(canonical_axis(-1, x.ndim, "sort_complex"))(x)
    return (
        out
        if dtypes.is_complex(out.dtype)
        else cast(out, dtypes.to_complex(inexact_dtype(out.dtype)))
    )


# -- quantiles -----------------------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


def _quantile(
    who: str, a: Any, q: Any, axis: Any, out: Any, overwrite_input: bool, method: str,
    keepdims: bool, weights: Any, skip_nans: bool,
) -> Any:  # fmt: skip
    if overwrite_input:
        raise ValueError(
            f"{who}: overwrite_input is not supported: arrays are immutable"
        )
    reducing.refuse(who, out)
    if method not in _METHODS:
        raise ValueError(
            f"method can only be {', '.join(map(repr, _METHODS))}; got {method!r}"
        )
    x, levels = operand(who, a), operand(who, q, 1)
    if dtypes.is_complex(x.dtype):
        raise ValueError(f"{who} does not support complex input: it has no order")
    if levels.ndim > 1:
        raise ValueError(f"q must be have rank <= 1, got shape {levels.shape}")
    x = inexact(who, x)
    result = x.dtype
    if x.dtype.itemsize < 4:  # 16 bits cannot count far
        x = basis.convert(x, np.dtype(np.float32))
    axes = tuple(range(x.ndim)) if axis is None else canonical_axes(axis, x.ndim, who)
    kept = [1 if i in axes else n for i, n in enumerate(x.shape)]
    rows = _rows(x, axes)
    if weights is not None:
        if method != "inverted_cdf":
            raise NotImplementedError(
                f"{method} doesn't support weights. Only method 'inverted_cdf' supports weights."
            )
        found = _weighted(
            rows, _rows(_weights(who, x, weights, axes), axes), levels, skip_nans
        )
    else:
        found = _read_quantiles(rows, levels, method, skip_nans)
    found = basis.convert(found, result)
    return basis.reshape(found, (*levels.shape, *kept)) if keepdims else found


def _rows(x: Any, axes: tuple[int, ...]) -> Any:
    """The given axes joined into the last one."""
    rest = [i for i in range(x.ndim) if i not in axes]
    x = basis.permute(x, (*rest, *axes))
    return basis.reshape(x, (*x.shape[: len(rest)], math.prod(x.shape[len(rest) :])))


def _weights(who: str, x: Any, weights: Any, axes: tuple[int, ...]) -> Any:
    w = cast(operand(who, weights, 7), x.dtype)
    if w.shape == x.shape:
        return w
    if w.ndim == 1 and len(axes) == 1 and w.shape[0] == x.shape[axes[0]]:
        shape = [1] * x.ndim
        shape[axes[0]] = w.shape[0]
        return basis.broadcast_to(basis.reshape(w, tuple(shape)), x.shape)
    raise ValueError(
        f"{who}: weights {w.aval.short()} must have the shape of a ({x.aval.short()}) or one "
        "number for each element along the axis"
    )


def _known(levels: Any) -> np.ndarray | None:
    return levels.host().astype(np.float64) if type(levels) is Concrete else None


def _read_quantiles(rows: Any, levels: Any, method: str, skip_nans: bool) -> Any:
    """Quantiles of the last axis: shape levels.shape + rest."""
    n = rows.shape[-1]
    dtype = rows.dtype
    missing = NE(rows, rows)
    rest = rows.shape[:-1]
    if n == 0:
        return basis.full((*levels.shape, *rest), math.nan, dtype)
    known = _known(levels)
    if known is not None and not skip_nans:
        ordered = Sort(rows.ndim - 1)(rows)
        parts = [_at_known(ordered, float(p), method) for p in known.reshape(-1)]
        if not levels.ndim:
            return _spoiled(parts[0], missing)
        stacked = [basis.reshape(p, (1, *rest)) for p in parts]
        if len(stacked) == 1:
            out = stacked[0]
        else:
            out = (
                Concatenate(0)(*stacked) if stacked else basis.zeros((0, *rest), dtype)
            )
        out = basis.reshape(out, (*levels.shape, *rest))
    else:
        out = _at_traced(rows, missing, levels, method, skip_nans)
    if skip_nans:
        return out
    return _spoiled(out, missing)


def _spoiled(out: Any, missing: Any) -> Any:
    """nan where a row has a nan."""
    return basis.select(reducing.any(missing, -1), scalar(math.nan, out.dtype), out)


def _places(position: float, method: str, n: int) -> tuple[int, int, float]:
    """(lower index, upper index, weight of the upper one) of a known position."""
    low, high = math.floor(position), math.ceil(position)
    low, high = (min(max(i, 0), n - 1) for i in (low, high))
    if method == "lower":
        return low, low, 0.0
    if method == "higher":
        return high, high, 0.0
    if method == "nearest":
        near = low if position - math.floor(position) <= 0.5 and (
            position - math.floor(position) < 0.5 or low % 2 == 0
        ) else high  # fmt: skip
        return near, near, 0.0
    if method == "midpoint":
        return low, high, 0.0 if low == high else 0.5
    return low, high, position - math.floor(position)


def _at_known(ordered: Any, level: float, method: str) -> Any:
    n = ordered.shape[-1]
    rest = ordered.shape[:-1]
    if math.isnan(level):
        return basis.full(rest, math.nan, ordered.dtype)
    if method == "inverted_cdf":
        low = high = min(max(math.ceil(level * n - 1e-6) - 1, 0), n - 1)
        part = 0.0
    else:
        low, high, part = _places(level * (n - 1), method, n)
    first = _column(ordered, low)
    if part == 0.0 or low == high:
        return first
    dtype = ordered.dtype
    second = _column(ordered, high)
    return ADD(MUL(first, scalar(1 - part, dtype)), MUL(second, scalar(part, dtype)))


def _column(x: Any, i: int) -> Any:
    rest = x.shape[:-1]
    lead = (0,) * len(rest)
    return basis.reshape(slice_of(x, (*lead, i), (*rest, i + 1)), rest)


def _at_traced(
    rows: Any, missing: Any, levels: Any, method: str, skip_nans: bool
) -> Any:
    """Levels that are values, or rows that have different numbers of elements."""
    dtype = rows.dtype
    rest, n = rows.shape[:-1], rows.shape[-1]
    ordered = Sort(rows.ndim - 1)(rows)
    one, zero = scalar(1, dtype), scalar(0, dtype)
    if skip_nans:
        count = basis.reduce_sum(
            basis.convert(el.Not()(missing), dtype), (rows.ndim - 1,)
        )
        count = basis.reshape(count, (*rest, 1))
    else:
        count = basis.full((*rest, 1), n, dtype)
    q = basis.reshape(cast(levels, dtype), (1,) * len(rest) + (levels.size,))
    last = MAX(SUB(count, one), zero)
    if method == "inverted_cdf":
        slack = scalar(1e-6, dtype)
        position = SUB(el.Ceil()(SUB(MUL(q, count), slack)), one)
    else:
        position = MUL(q, last)
    below, above = el.Floor()(position), el.Ceil()(position)
    part = SUB(position, below)
    low, high = (MIN(MAX(i, zero), last) for i in (below, above))
    if method == "nearest":
        low = high = MIN(
            MAX(el.Round(el.RoundingMethod.TO_NEAREST_EVEN)(position), zero), last
        )
    if method == "higher":
        low = high
    first = take_along(ordered, basis.convert(low, _INT32), len(rest))
    if method in ("lower", "higher", "nearest", "inverted_cdf"):
        out = first
    else:
        second = take_along(ordered, basis.convert(high, _INT32), len(rest))
        if method == "midpoint":
            out = MUL(ADD(first, second), scalar(0.5, dtype))
        else:
            # the upper element counts for nothing where the place is whole: it may be inf
            second = basis.select(el.Eq()(low, high), first, second)
            out = ADD(MUL(first, SUB(one, part)), MUL(second, part))
    out = basis.moveaxis(out, len(rest), 0)
    return basis.reshape(out, (*levels.shape, *rest))


def _weighted(rows: Any, weights: Any, levels: Any, skip_nans: bool) -> Any:
    """The first element whose cumulative weight reaches the level's share of the total."""
    dtype = rows.dtype
    rest, n = rows.shape[:-1], rows.shape[-1]
    place = len(rest)
    missing = NE(rows, rows)
    if skip_nans:
        weights = basis.select(missing, scalar(0, dtype), weights)
    order = ArgSort(place)(rows)
    ordered, shares = take_along(rows, order, place), take_along(weights, order, place)
    running = CumSum(place)(shares)
    total = _column(running, n - 1)
    q = basis.reshape(cast(levels, dtype), (levels.size,) + (1,) * len(rest))
    wanted = MUL(q, total)
    wanted = basis.reshape(wanted, (*wanted.shape, 1))
    before = basis.convert(LT(running, wanted), _INT32)
    index = basis.reduce_sum(before, (before.ndim - 1,))
    index = MIN(index, scalar(n - 1, _INT32))
    index = basis.moveaxis(index, 0, place)
    out = basis.moveaxis(take_along(ordered, index, place), place, 0)
    if not skip_nans:
        out = basis.select(reducing.any(missing, -1), scalar(math.nan, dtype), out)
    return basis.reshape(out, (*levels.shape, *rest))


@public
def quantile(
    a: ArrayLike, q: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The values below which the share q of the elements lies.

    Args:
      a: real array, (…).
      q: level or vector of levels in [0, 1]; a vector's axis comes first in the result.
      axis: one or several; None: all elements.
      method: what is read between two elements: "linear" interpolation, the "lower", "higher"
        or "nearest" one, their "midpoint"; or the first one at which the share reaches q,
        "inverted_cdf".
      weights: of the elements, for "inverted_cdf".

    >>> import ferax.numpy as jnp
    >>> jnp.quantile(jnp.arange(5), jnp.array([0.1, 0.5]))
    Array([0.4, 2. ], dtype=float32)
    """
    return _quantile(
        "quantile", a, q, axis, out, overwrite_input, method, keepdims, weights, False
    )


@public
def nanquantile(
    a: ArrayLike, q: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """`quantile` of the elements that are not nan; nan if there is none"""
    return _quantile("nanquantile", a, q, axis, out, overwrite_input, method, keepdims, weights,
                     True)  # fmt: skip


def _hundredths(who: str, q: Any) -> Any:
    q = inexact(who, operand(who, q, 1))
    return DIV(q, scalar(100, q.dtype))


@public
def percentile(
    a: ArrayLike, q: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """`quantile` at levels in [0, 100].

    >>> import ferax.numpy as jnp
    >>> jnp.percentile(jnp.arange(5), 75)
    Array(3., dtype=float32)
    """
    return _quantile("percentile", a, _hundredths("percentile", q), axis, out, overwrite_input,
                     method, keepdims, weights, False)  # fmt: skip


@public
def nanpercentile(
    a: ArrayLike, q: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, method: str = "linear", keepdims: bool = False, *,
    weights: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """`percentile` of the elements that are not nan"""
    return _quantile("nanpercentile", a, _hundredths("nanpercentile", q), axis, out,
                     overwrite_input, method, keepdims, weights, True)  # fmt: skip


@public
def median(
    a: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, keepdims: bool = False,
) -> Array:  # fmt: skip
    """The middle element, or the mean of the two middle ones.

    >>> import ferax.numpy as jnp
    >>> jnp.median(jnp.array([[1, 5, 2], [4, 0, 9]]), axis=1)
    Array([2., 4.], dtype=float32)
    """
    return _quantile(
        "median", a, 0.5, axis, out, overwrite_input, "midpoint", keepdims, None, False
    )


@public
def nanmedian(
    a: ArrayLike, axis: int | Sequence[int] | None = None, out: None = None,
    overwrite_input: bool = False, keepdims: bool = False,
) -> Array:  # fmt: skip
    """`median` of the elements that are not nan; nan if there is none"""
    return _quantile("nanmedian", a, 0.5, axis, out, overwrite_input, "midpoint", keepdims, None,
                     True)  # fmt: skip
