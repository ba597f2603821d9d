"""Counting: bincount and histograms.

Counting is a scatter-add of weights at bin numbers. The edges of bins may be traced, their number
may not. The last bin of a histogram contains its upper edge, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval
from ferax.errors import public
from ferax.lax.shape import known_integer
from ferax.numpy.creation import asarray, default_int, linspace
from ferax.numpy.indexing import At
from ferax.numpy.places import known_values
from ferax.numpy.promoting import (
    ArrayLike,
    cast,
    inexact_dtype,
    operand,
    promote,
)
from ferax.numpy.reducing import max as amax
from ferax.numpy.reducing import min as amin
from ferax.numpy.searching import chosen, ravel_multi_index, searchsorted
from ferax.numpy.ufuncs import clip

_INT32 = np.dtype(np.int32)


@public
def bincount(
    x: ArrayLike, weights: ArrayLike | None = None, minlength: int = 0, *,
    length: int | None = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """How often each of 0, 1, 2, … occurs in a vector of integers.

    Args:
      x: integers; negative ones count as 0.
      weights: what each element counts; 1 by default.
      minlength: the least length of the result, which is otherwise max(x) + 1.
      length: the length of the result; needed where x is traced. Larger elements do not count.

    >>> import ferax.numpy as jnp
    >>> jnp.bincount(jnp.array([1, 3, 1]))
    Array([0, 2, 0, 1], dtype=int32)
    """
    if out_sharding is not None:
        raise NotImplementedError("bincount: out_sharding is not supported")
    values = operand("bincount", x, 0)
    if dtypes.is_bool(values.dtype):
        values = basis.convert(values, _INT32)
    if not dtypes.is_integer(values.dtype):
        raise TypeError(
            f"x argument to bincount must have an integer type; got {values.aval.short()}"
        )
    if values.ndim != 1:
        raise ValueError(
            f"only 1-dimensional input supported; got {values.aval.short()}"
        )
    counted = (
        basis.full((), 1, default_int())
        if weights is None
        else operand("bincount", weights)
    )
    if weights is not None and counted.shape != values.shape:
        raise ValueError(
            f"bincount: shape of weights must match shape of x; got {counted.aval.short()} and "
            f"{values.aval.short()}"
        )
    if length is None:
        known = known_values(
            values,
            "The length of the result of jnp.bincount",
            "Say length=, a static one.",
        )
        least = max(known_integer(minlength, "bincount", "minlength"), 0)
        length = max(least, int(known.max()) + 1) if known.size else least
        if weights is None and isinstance(values, Concrete):
            found = np.bincount(np.maximum(known, 0), minlength=length).astype(
                counted.dtype
            )
            return Concrete(Aval(found.shape, counted.dtype), found)
    length = shapes.dimension(length, "bincount")
    zeros = basis.zeros((length,), counted.dtype)
    return At(zeros)[clip(values, 0, None)].add(counted)


# -- histograms --------------------------------------------------------------------------------


@public
def histogram_bin_edges(
    a: ArrayLike, bins: Any = 10, range: Any = None, weights: Any = None
) -> Array:
    """The edges of the bins of a histogram.

    Args:
      a: values.
      bins: the number of bins of equal width, or their edges.
      range: (first, last) edge; by default the extremes of `a`.
      weights: not used.

    >>> import ferax.numpy as jnp
    >>> jnp.histogram_bin_edges(jnp.array([0.0, 4.0]), bins=2)
    Array([0., 2., 4.], dtype=float32)
    """
    del weights
    x = operand("histogram_bin_edges", a)
    return _edges("histogram_bin_edges", x, bins, range)


def _edges(who: str, x: Any, bins: Any, range: Any) -> Any:
    if isinstance(bins, str):
        raise NotImplementedError(
            f"{who}: bins={bins!r}; give the number of bins or their edges"
        )
    dtype = inexact_dtype(x.dtype)
    if np.ndim(bins) if not isinstance(bins, Array) else bins.ndim:
        edges = asarray(bins)
        if edges.ndim != 1:
            raise TypeError(
                f"{who}: bins must be a number or a vector of edges; got {edges.aval.short()}"
            )
        return cast(edges, dtype)
    count = shapes.dimension(bins, who)
    if count < 1:
        raise ValueError(f"{who}: bins must be at least 1; got {count}")
    if range is None:
        if x.size == 0:
            low, high = basis.zeros((), dtype), basis.full((), 1, dtype)
        else:
            low, high = cast(amin(x), dtype), cast(amax(x), dtype)
    else:
        ends = cast(asarray(range), dtype)
        if ends.shape != (2,):
            raise ValueError(
                f"{who}: range must be None or (first, last); got {range!r}"
            )
        low, high = ends[0], ends[1]
    is_point = high - low == 0
    low, high = chosen(is_point, low - 0.5, low), chosen(is_point, high + 0.5, high)
    return linspace(low, high, count + 1, dtype=dtype)


def _bin_numbers(x: Any, edges: Any) -> Any:
    """The bin of each value; as many as there are edges, or -1, for values outside."""
    n = edges.size - 1
    found = searchsorted(edges, x, side="right") - 1
    return chosen(x == edges[-1], n - 1, found)


@public
def histogram(
    a: ArrayLike, bins: Any = 10, range: Any = None, weights: ArrayLike | None = None,
    density: bool | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """How many values lie in each of some bins.

    Args:
      a: values, of any shape.
      bins: the number of bins of equal width, or their edges.
      range: (first, last) edge; by default the extremes of `a`.
      weights: what each value counts.
      density: divide so that the integral over the bins is 1.

    Returns:
      (counts, edges), both floating; there is one edge more than there are counts.

    >>> import ferax.numpy as jnp
    >>> jnp.histogram(jnp.array([0.0, 1.0, 1.5, 4.0]), bins=2)
    (Array([3., 1.], dtype=float32), Array([0., 2., 4.], dtype=float32))
    """
    if weights is None:
        x = operand("histogram", a)
        x = cast(x, inexact_dtype(x.dtype))
        counted = basis.full(x.shape, 1, x.dtype)
    else:
        x, counted = promote("histogram", a, weights)
        dtype = inexact_dtype(x.dtype)
        x, counted = cast(x, dtype), cast(counted, dtype)
        if x.shape != counted.shape:
            raise ValueError(
                f"weights should have the same shape as a; got {counted.shape} and {x.shape}"
            )
    edges = _edges("histogram", x, bins, range)
    x, counted = basis.reshape(x, (x.size,)), basis.reshape(counted, (x.size,))
    number = _bin_numbers(x, edges)
    counts = At(basis.zeros((edges.size - 1,), counted.dtype))[number].add(
        counted, wrap_negative_indices=False
    )
    if density:
        counts = counts / (edges[1:] - edges[:-1]) / counts.sum()
    return counts, edges


@public
def histogram2d(
    x: ArrayLike, y: ArrayLike, bins: Any = 10, range: Any = None,
    weights: ArrayLike | None = None, density: bool | None = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """How many points (x, y) lie in each of some rectangles.

    Args:
      x, y: vectors of coordinates.
      bins: the number of bins or their edges, for both axes or in a pair for each.
      range: pairs (first, last) for each axis, or None.
      weights, density: see `histogram`.

    Returns:
      (counts, edges of x, edges of y); counts are integers without weights and density.

    >>> import ferax.numpy as jnp
    >>> x, y = jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 2.0, 2.0])
    >>> jnp.histogram2d(x, y, bins=2)[0]
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    n = len(bins) if isinstance(bins, (list, tuple)) else np.ndim(
        bins) and np.shape(bins)[0]  # fmt: skip
    if n not in (0, 1, 2):
        bins = [asarray(bins)] * 2
    sample = [operand("histogram2d", x, 0), operand("histogram2d", y, 1)]
    if sample[0].ndim != 1 or sample[0].shape != sample[1].shape:
        raise ValueError(
            "histogram2d: x and y must be vectors of one length; got "
            f"{sample[0].aval.short()} and {sample[1].aval.short()}"
        )
    counts, edges = _histogramdd("histogram2d", sample, bins, range, weights, density)
    return counts, edges[0], edges[1]


@public
def histogramdd(
    sample: ArrayLike, bins: Any = 10, range: Any = None, weights: ArrayLike | None = None,
    density: bool | None = None,
) -> tuple[Array, list[Array]]:  # fmt: skip
    """How many points lie in each of some boxes.

    Args:
      sample: (n, d) points.
      bins: the number of bins for all axes, or a sequence with that or the edges for each.
      range: pairs (first, last) for each axis, or None.
      weights, density: see `histogram`.

    Returns:
      (counts, list of edges).

    >>> import ferax.numpy as jnp
    >>> points = jnp.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.9]])
    >>> jnp.histogramdd(points, bins=2)[0]
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    points = operand("histogramdd", sample)
    if points.ndim != 2:
        raise ValueError(
            f"histogramdd: sample must be (n, d); got {points.aval.short()}"
        )
    columns = [points[:, i] for i in np.arange(points.shape[1]).tolist()]
    return _histogramdd("histogramdd", columns, bins, range, weights, density)


def _histogramdd(
    who: str, columns: Sequence[Any], bins: Any, range: Any, weights: Any, density: Any
) -> tuple[Any, list[Any]]:
    d, n = len(columns), columns[0].size
    if isinstance(bins, (list, tuple)) or np.ndim(bins):
        if len(bins) != d:
            raise ValueError(
                f"{who}: there should be a bin for each dimension; got {len(bins)}"
            )
        each = list(bins)
    else:
        each = [bins] * d
    ranges = [None] * d if range is None else list(range)
    if len(ranges) != d:
        raise ValueError(f"{who}: range must have an entry for each of {d} dimensions")
    edges, numbers, inside = [], [], None
    for column, b, r in zip(columns, each, ranges):
        x = cast(column, inexact_dtype(column.dtype))
        found = _edges(who, x, b, r)
        number = _bin_numbers(x, found)
        fits = (number >= 0) & (number < found.size - 1)
        inside = fits if inside is None else inside & fits
        edges.append(found)
        numbers.append(number)
    shape = tuple(e.size - 1 for e in edges)
    counted = (
        basis.full((n,), 1, default_int()) if weights is None else operand(who, weights)
    )
    if counted.shape != (n,):
        raise ValueError(
            f"{who}: should have one weight for each sample; got {counted.shape}"
        )
    place = ravel_multi_index(numbers, shape, mode="clip")
    total = shapes.size(shape)
    counts = At(basis.zeros((total,), counted.dtype))[chosen(inside, place, total)].add(
        counted
    )
    counts = basis.reshape(counts, shape)
    if density:
        counts = counts / counts.sum()
        for i, e in enumerate(edges):
            widths = e[1:] - e[:-1]
            counts = counts / basis.reshape(widths, (widths.size,) + (1,) * (d - i - 1))
    return counts, edges
