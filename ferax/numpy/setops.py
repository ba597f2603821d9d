"""Sets as arrays: distinct elements, intersection, union, differences, membership.

How many elements a result has depends on values: it needs known values, or `size=`, to which it is
cut off or filled up. On known values without `size` NumPy does the work; else the elements are
sorted, the first one of each run of equal ones is marked (`_runs`), and marked elements are
gathered to the front. The order of results is NumPy's: increasing, NaN last.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumSum
from ferax.lax.shape import Concatenate, Iota
from ferax.numpy.creation import default_int
from ferax.numpy.indexing import At
from ferax.numpy.ordering import argsort, lexsort
from ferax.numpy.places import hosts_now
from ferax.numpy.promoting import ArrayLike, cast, operand, promote
from ferax.numpy.searching import chosen, searchsorted, sized, take, true_places

_INT32 = np.dtype(np.int32)
_BOOL = np.dtype(np.bool_)


class _UniqueAllResult(NamedTuple):
    """What `unique_all` gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class _UniqueCountsResult(NamedTuple):
    """What `unique_counts` gives."""

    values: Array
    counts: Array


class _UniqueInverseResult(NamedTuple):
    """What `unique_inverse` gives."""

    values: Array
    inverse_indices: Array


def _array(values: np.ndarray, dtype: Any) -> Concrete:
    return Concrete(
        Aval(values.shape, dtype), values.astype(dtypes.carrier(dtype), copy=False)
    )


def _places(values: np.ndarray) -> Concrete:
    return _array(values, default_int())


# -- distinct elements -------------------------------------------------------------------------


@public
def unique(
    ar: ArrayLike, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, *, equal_nan: bool = True,
    size: int | None = None, fill_value: Any = None, sorted: bool = True,
) -> Any:  # fmt: skip
    """The distinct elements of an array (or slices along an axis), in increasing order.

    Args:
      return_index: also where each occurs first.
      return_inverse: also the places of the elements of `ar` in the result.
      return_counts: also how often each occurs.
      axis: None takes the elements.
      equal_nan: whether NaN equals NaN.
      size: of the result, cut off or filled up; needed where `ar` is traced.
      fill_value: the filling; by default the least element.

    Returns:
      The elements, or a tuple of them and what else is asked for.

    >>> import ferax.numpy as jnp
    >>> jnp.unique(jnp.array([3, 1, 3]), return_counts=True)
    (Array([1, 3], dtype=int32), Array([1, 2], dtype=int32))
    """
    del sorted  # the result always is
    x = operand("unique", ar)
    found = _unique(x, axis, equal_nan, size, fill_value)
    wanted = (True, return_index, return_inverse, return_counts)
    out = tuple([f for f, w in zip(found, wanted) if w])
    return out[0] if len(out) == 1 else out


def _unique(
    x: Any, axis: Any, equal_nan: bool, size: Any, fill_value: Any
) -> tuple[Any, ...]:
    """Values, first places, inverse, counts."""
    shape = x.shape
    if axis is None:
        rows, place = basis.reshape(x, (x.size,)), 0
    else:
        place = shapes.canonical_axis(axis, x.ndim, "unique")
        rows = x
    if size is None:
        known = hosts_now(x)
        if known is not None and x.dtype.kind in "biufc":
            return _unique_now(known[0], axis, equal_nan, x.dtype)
        size = _unique_size(rows, place, equal_nan)
    size = shapes.dimension(size, "unique")
    n = rows.shape[place]
    if n == 0 or rows.size == 0:
        return _unique_of_nothing(rows, place, size, fill_value)
    moved = basis.moveaxis(rows, place, 0)
    order, is_first = _runs(moved, equal_nan)
    number = basis.sub(CumSum(0, False)(basis.convert(is_first, _INT32)), 1)
    starts = true_places(is_first, size)  # in the sorted array
    total = number[-1] + 1
    inside = el.lt(Iota(_INT32, (size,), 0)(), basis.broadcast_to(total, (size,)))
    starts = basis.select(inside, starts, 0)
    indices = take(order, starts)
    values = take(moved, indices, axis=0)
    if fill_value is not None:
        fill = cast(operand("unique", fill_value), x.dtype)
        mask = basis.reshape(inside, (size,) + (1,) * (values.ndim - 1))
        values = basis.broadcast_to(basis.select(mask, values, fill), values.shape)
    inverse = At(basis.zeros((n,), _INT32))[order].set(number, unique_indices=True)
    counts = At(basis.zeros((size,), _INT32))[number].add(1)
    kind = default_int()
    inverse, counts = basis.convert(inverse, kind), basis.convert(counts, kind)
    if axis is None:
        inverse = basis.reshape(inverse, shape)
    return (
        basis.moveaxis(values, 0, place),
        basis.convert(indices, kind),
        inverse,
        counts,
    )


def _unique_now(
    host: np.ndarray, axis: Any, equal_nan: bool, dtype: Any
) -> tuple[Any, ...]:
    values, first, inverse, counts = np.unique(
        host, True, True, True, axis, equal_nan=equal_nan
    )
    inverse = inverse.reshape(host.shape if axis is None else (-1,))
    return _array(values, dtype), _places(first), _places(inverse), _places(counts)


def _unique_size(rows: Any, place: int, equal_nan: bool) -> int:
    known = sized("unique", rows)
    if known.dtype.kind not in "biufc":
        known = known.astype(np.float32)  # holds every 16- and 8-bit number
    axis = None if rows.ndim == 1 else place
    return int(np.unique(known, axis=axis, equal_nan=equal_nan).shape[axis or 0])


def _unique_of_nothing(
    rows: Any, place: int, size: int, fill_value: Any
) -> tuple[Any, ...]:
    if size and fill_value is None:
        raise ValueError(
            "jnp.unique: for zero-sized input with nonzero size argument, fill_value must be "
            "specified"
        )
    shape = (*rows.shape[:place], size, *rows.shape[place + 1 :])
    fill = cast(operand("unique", 0 if fill_value is None else fill_value), rows.dtype)
    none = basis.zeros((size,), default_int())
    inverse = basis.zeros((rows.shape[place],), default_int())
    return basis.broadcast_to(fill, shape), none, inverse, none


def _runs(rows: Any, equal_nan: bool) -> tuple[Any, Any]:
    """The order that sorts slices along axis 0, and which of them then begin a run of equals."""
    n = rows.shape[0]
    if rows.ndim == 1:
        order = argsort(rows)
        columns = take(rows, order)[:, None]
    else:
        columns = basis.reshape(rows, (n, rows.size // n))
        keys = [columns[:, k] for k in range(columns.shape[1] - 1, -1, -1)]
        order = lexsort(keys)
        columns = take(columns, order, axis=0)
    before, here = columns[:-1], columns[1:]
    differ = el.ne(before, here)
    if equal_nan and dtypes.is_inexact(columns.dtype):
        both = el.bitwise_and(el.ne(before, before), el.ne(here, here))
        differ = el.bitwise_and(differ, el.bitwise_not(both))
    changes = basis.reduce_sum(basis.convert(differ, _INT32), (1,)) > 0
    first = basis.full((1,), True, _BOOL)
    return basis.convert(order, _INT32), Concatenate(0)(first, changes)


@public
def unique_all(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> _UniqueAllResult:
    """`unique` with first places, inverse and counts; every NaN counts as distinct"""
    return _UniqueAllResult(
        *_unique(operand("unique_all", x), None, False, size, fill_value)
    )


@public
def unique_counts(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> _UniqueCountsResult:
    """`unique` with counts; every NaN counts as distinct"""
    found = _unique(operand("unique_counts", x), None, False, size, fill_value)
    return _UniqueCountsResult(found[0], found[3])


@public
def unique_inverse(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> _UniqueInverseResult:
    """`unique` with the inverse; every NaN counts as distinct"""
    found = _unique(operand("unique_inverse", x), None, False, size, fill_value)
    return _UniqueInverseResult(found[0], found[2])


@public
def unique_values(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """`unique`; every NaN counts as distinct"""
    return _unique(operand("unique_values", x), None, False, size, fill_value)[0]


# -- two sets ----------------------------------------------------------------------------------


def _flat_pair(who: str, ar1: Any, ar2: Any) -> tuple[Any, Any]:
    x, y = promote(who, ar1, ar2)
    return basis.reshape(x, (x.size,)), basis.reshape(y, (y.size,))


def _gathered(
    who: str, values: Any, keep: Any, size: int, fill_value: Any
) -> tuple[Any, Any, Any]:
    """The first `size` kept elements, filled up; their places; which are no filling."""
    places = true_places(keep, size)
    count = basis.reduce_sum(basis.convert(keep, _INT32), (0,))
    inside = el.lt(Iota(_INT32, (size,), 0)(), basis.broadcast_to(count, (size,)))
    if values.size == 0:
        fill = cast(operand(who, 0 if fill_value is None else fill_value), values.dtype)
        return basis.broadcast_to(fill, (size,)), places, inside
    found = take(values, places)
    if fill_value is None:  # the first element; 0 if there is none
        first = (
            chosen(count > 0, found[:1], basis.zeros((1,), values.dtype))
            if size
            else found
        )
        fill = basis.broadcast_to(first, (size,))
    else:
        fill = basis.broadcast_to(cast(operand(who, fill_value), values.dtype), (size,))
    return basis.select(inside, found, fill), places, inside


@public
def union1d(
    ar1: ArrayLike, ar2: ArrayLike, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The distinct elements of both arrays, sorted.

    Args:
      size, fill_value: see `unique`.

    >>> import ferax.numpy as jnp
    >>> jnp.union1d(jnp.array([3, 1]), jnp.array([1, 2]))
    Array([1, 2, 3], dtype=int32)
    """
    x, y = _flat_pair("union1d", ar1, ar2)
    return _unique(Concatenate(0)(x, y), None, True, size, fill_value)[0]


@public
def setdiff1d(
    ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Array:  # fmt: skip
    """The distinct elements of `ar1` that are not in `ar2`.

    Args:
      assume_unique: the elements of `ar1` are distinct; the result keeps their order.
      size: of the result; needed where arrays are traced.
      fill_value: by default the first element, or 0 if there is none.

    >>> import ferax.numpy as jnp
    >>> jnp.setdiff1d(jnp.array([3, 1, 2]), jnp.array([1]))
    Array([2, 3], dtype=int32)
    """
    x = operand("setdiff1d", ar1, 0)
    x, y = basis.reshape(x, (x.size,)), operand("setdiff1d", ar2, 1)
    if size is None:
        known_x, known_y = sized("setdiff1d", x), sized("setdiff1d", y)
        return _array(np.setdiff1d(known_x, known_y, assume_unique), x.dtype)
    size = shapes.dimension(size, "setdiff1d")
    if x.size == 0:
        return _gathered(
            "setdiff1d", x, basis.zeros((0,), _BOOL), size, fill_value or 0
        )[0]
    if assume_unique:
        values, keep = x, basis.full((x.size,), True, _BOOL)
    else:
        values, keep = _sorted_and_first(x)
    keep = el.bitwise_and(keep, el.bitwise_not(isin(values, y)))
    return _gathered(
        "setdiff1d", values, keep, size, 0 if fill_value is None else fill_value
    )[0]


def _sorted_and_first(x: Any) -> tuple[Any, Any]:
    order, is_first = _runs(x, True)
    return take(x, order), is_first


@public
def intersect1d(
    ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, return_indices: bool = False, *,
    size: int | None = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """The distinct elements that are in both arrays, sorted.

    Args:
      assume_unique: the elements of each array are distinct.
      return_indices: also where each occurs first in `ar1` and in `ar2`; of fillings, their sizes.
      size: of the result; needed where arrays are traced.
      fill_value: by default the least element, or 0 if there is none.

    >>> import ferax.numpy as jnp
    >>> jnp.intersect1d(jnp.array([3, 1, 2]), jnp.array([2, 3, 5]))
    Array([2, 3], dtype=int32)
    """
    x, y = _flat_pair("intersect1d", ar1, ar2)
    if size is None:
        known = sized("intersect1d", x), sized("intersect1d", y)
        found, first, second = np.intersect1d(
            *known, assume_unique, return_indices=True
        )
        if return_indices:
            return _array(found, x.dtype), _places(first), _places(second)
        return _array(found, x.dtype)
    size = shapes.dimension(size, "intersect1d")
    if x.size == 0 or y.size == 0:
        values = keep = basis.zeros((0,), _BOOL)
        values = basis.zeros((0,), x.dtype)
        order = basis.zeros((0,), _INT32)
    else:
        order, is_first = _runs(x, True)
        values = take(x, order)
        keep = el.bitwise_and(is_first, isin(values, y))
    found, places, inside = _gathered("intersect1d", values, keep, size, fill_value)
    if not return_indices:
        return found
    kind = default_int()
    if not values.size:
        ends = [basis.full((size,), a.size, kind) for a in (x, y)]
        return found, *ends
    first = basis.select(inside, take(order, places), x.size)
    order_y = argsort(y)
    place = searchsorted(take(y, order_y), take(values, places))
    second = basis.select(inside, basis.convert(take(order_y, place), _INT32), y.size)
    return found, basis.convert(first, kind), basis.convert(second, kind)


@public
def setxor1d(
    ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Array:  # fmt: skip
    """The distinct elements that are in exactly one of the arrays, sorted.

    Args:
      assume_unique: the elements of each array are distinct.
      size: of the result; needed where arrays are traced.
      fill_value: by default the least element, or 0 if there is none.

    >>> import ferax.numpy as jnp
    >>> jnp.setxor1d(jnp.array([3, 1, 2]), jnp.array([2, 3, 5]))
    Array([1, 5], dtype=int32)
    """
    x, y = _flat_pair("setxor1d", ar1, ar2)
    if size is None:
        known = sized("setxor1d", x), sized("setxor1d", y)
        return _array(np.setxor1d(*known, assume_unique), x.dtype)
    size = shapes.dimension(size, "setxor1d")
    both = Concatenate(0)(x, y)
    if both.size == 0:
        return _gathered("setxor1d", both, basis.zeros((0,), _BOOL), size, fill_value)[
            0
        ]
    values, keep = _sorted_and_first(both)
    common = el.bitwise_and(isin(values, x), isin(values, y))
    keep = el.bitwise_and(keep, el.bitwise_not(common))
    return _gathered("setxor1d", values, keep, size, fill_value)[0]


# -- membership --------------------------------------------------------------------------------

_COMPARED = 64  # test elements up to which all pairs are compared


@public
def isin(
    element: ArrayLike, test_elements: ArrayLike, assume_unique: bool = False,
    invert: bool = False, *, method: str = "auto",
) -> Array:  # fmt: skip
    """Which elements are among the test elements. NaN is among none.

    Args:
      assume_unique: not used.
      invert: which are not.
      method: how it is computed when compiled: "compare_all", "binary_search", "sort", or "auto".

    Returns:
      bool array of the shape of `element`.

    >>> import ferax.numpy as jnp
    >>> jnp.isin(jnp.arange(4), jnp.array([1, 3, 9]))
    Array([False,  True, False,  True], dtype=bool)
    """
    del assume_unique
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise ValueError(
            f"{method=} is not implemented; options are 'compare_all', 'binary_search', 'sort', "
            "and 'auto'"
        )
    x, tests = promote("isin", element, test_elements)
    tests = basis.reshape(tests, (tests.size,))
    known = hosts_now(x, tests)
    if known is not None and x.dtype.kind in "biufc":
        return _array(np.asarray(np.isin(known[0], known[1], invert=invert)), _BOOL)
    if tests.size == 0 or x.size == 0:
        return basis.full(x.shape, invert, _BOOL)
    if method == "compare_all" or (method == "auto" and tests.size <= _COMPARED):
        shape = (*x.shape, tests.size)
        each = basis.broadcast_in_dim(x, shape, tuple(range(x.ndim)))
        equal = el.eq(each, basis.broadcast_to(tests, shape))
        found = basis.reduce_sum(basis.convert(equal, _INT32), (x.ndim,)) > 0
    else:
        ordered = take(tests, argsort(tests))
        place = searchsorted(ordered, x)
        found = el.eq(take(ordered, place, mode="clip"), x)
    return el.bitwise_not(found) if invert else found
