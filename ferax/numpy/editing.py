"""Copies of arrays with elements replaced, left out or put in between.

NumPy's `put`, `place` and `fill_diagonal` write into their argument; arrays are immutable, so
here they need `inplace=False` and return the result; `x.at[index].set(values)` says the same.
`delete` and `insert` compute one gather from where each element of the result comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumSum
from ferax.lax.indexing import GatherScatterMode, Scatter
from ferax.lax.shape import Concatenate, Iota
from ferax.numpy.indexing import At
from ferax.numpy.ordering import argsort, sort
from ferax.numpy.places import host_of, known_values
from ferax.numpy.promoting import ArrayLike, as_bool, cast, operand
from ferax.numpy.searching import aligned_along, along, take
from ferax.numpy.ufuncs import clip, remainder

_INT32 = np.dtype(np.int32)


def _refuse_inplace(
    who: str, inplace: bool, error: type[Exception] = ValueError
) -> None:
    if inplace:
        raise error(
            f"jnp.{who} cannot modify arrays in-place, because arrays are immutable. Pass "
            "inplace=False to instead return an updated array."
        )


# -- replace -----------------------------------------------------------------------------------


@public
def put(
    a: ArrayLike,
    ind: ArrayLike,
    v: ArrayLike,
    mode: str | None = None,
    *,
    inplace: bool = True,
) -> Array:
    """`a` with the elements at places of the flattened array replaced.

    Args:
      ind: integers.
      v: values, repeated as often as needed.
      mode: places out of bounds are moved to the nearest element ("clip"; None: and negative ones
        count from the end) or taken modulo the size ("wrap").
      inplace: must be False.

    >>> import ferax.numpy as jnp
    >>> jnp.put(jnp.zeros((2, 2)), jnp.array([0, 3]), jnp.array([5, 6]), inplace=False)
    Array([[5., 0.],
           [0., 6.]], dtype=float32)
    """
    _refuse_inplace("put", inplace)
    if mode == "raise":
        raise NotImplementedError("The 'raise' mode to jnp.put is not supported.")
    if mode not in (None, "clip", "wrap"):
        raise ValueError(f"mode should be one of 'wrap' or 'clip'; got mode={mode!r}")
    x, i, values = operand("put", a, 0), operand("put", ind, 1), operand("put", v, 2)
    if x.size == 0 or i.size == 0 or values.size == 0:
        return x
    i = basis.reshape(i, (i.size,))
    values = _repeated(basis.reshape(values, (values.size,)), i.size)
    if mode == "wrap":
        i = remainder(i, np.asarray(x.size, i.dtype))
    elif mode == "clip":
        i = clip(i, 0, x.size - 1)
    flat = At(basis.reshape(x, (x.size,)))[i].set(values, mode="clip")
    return basis.reshape(flat, x.shape)


def _repeated(values: Any, n: int) -> Any:
    """The first n of a vector repeated end to end."""
    m = values.shape[0]
    return values[:n] if m >= n else take(values, np.arange(n, dtype=np.int32) % m)


@public
def put_along_axis(
    arr: ArrayLike, indices: ArrayLike, values: ArrayLike, axis: int | None,
    inplace: bool = True, *, mode: Any = None,
) -> Array:  # fmt: skip
    """`arr` with `values` at `indices` along an axis: what `take_along_axis` reads.

    Args:
      indices: integers with as many axes as `arr`.
      values: broadcastable to the indices.
      axis: None writes into the flattened array.
      inplace: must be False.
      mode: "drop" (default, None), "clip" or "promise_in_bounds".

    >>> import ferax.numpy as jnp
    >>> x = jnp.zeros((2, 3))
    >>> jnp.put_along_axis(x, jnp.array([[2], [0]]), 1.0, axis=1, inplace=False)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    _refuse_inplace("put_along_axis", inplace)
    x, i = operand("put_along_axis", arr, 0), operand("put_along_axis", indices, 1)
    v = cast(operand("put_along_axis", values, 2), x.dtype)
    shape = x.shape
    if axis is None:
        x, axis = basis.reshape(x, (x.size,)), 0
    if not dtypes.is_integer(i.dtype):
        raise TypeError(
            f"put_along_axis: indices must be integers; got {i.aval.short()}"
        )
    x_shape = x.shape
    x, i, axis = aligned_along("put_along_axis", x, i, axis)
    if x.shape != x_shape:
        raise ValueError(
            f"put_along_axis: indices of shape {i.shape} do not fit into an array of shape {shape}"
        )
    if len(v.shape) > i.ndim or any(
        n not in (1, m) for n, m in zip(v.shape[::-1], i.shape[::-1])
    ):
        raise ValueError(
            "put_along_axis argument 'values' must be broadcastable to 'indices'. Got "
            f"values.shape={v.shape} and indices.shape={i.shape}."
        )
    if i.size == 0 or x.size == 0:
        return basis.reshape(x, shape)
    numbers, places = along(x, i, axis, True)
    op = Scatter(numbers, False, False, GatherScatterMode.from_any(mode))
    return basis.reshape(op(x, places, basis.broadcast_to(v, i.shape)), shape)


@public
def place(
    arr: ArrayLike, mask: ArrayLike, vals: ArrayLike, *, inplace: bool = True
) -> Array:
    """`arr` with the elements where the mask is true replaced by the values, one after another.

    Args:
      mask: bools, as many as `arr` has elements.
      vals: values, repeated as often as needed.
      inplace: must be False.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(5)
    >>> jnp.place(x, x > 1, jnp.array([-1, -2]), inplace=False)
    Array([ 0,  1, -1, -2, -1], dtype=int32)
    """
    _refuse_inplace("place", inplace)
    x, where, values = (
        operand("place", arr, 0),
        as_bool("place", mask),
        operand("place", vals, 2),
    )
    if x.size != where.size:
        raise ValueError(
            f"place: arr and mask must be the same size; got {x.aval.short()} and "
            f"{where.aval.short()}"
        )
    if values.size == 0:
        raise ValueError("Cannot place values from an empty array")
    if x.size == 0:
        return x
    flat = basis.reshape(where, (where.size,))
    rank = basis.sub(CumSum(0, False)(basis.convert(flat, _INT32)), 1)
    values = cast(basis.reshape(values, (values.size,)), x.dtype)
    chosen = take(values, remainder(rank, values.size))
    return basis.select(
        basis.reshape(where, x.shape), basis.reshape(chosen, x.shape), x
    )


@public
def fill_diagonal(
    a: ArrayLike, val: ArrayLike, wrap: bool = False, *, inplace: bool = True
) -> Array:
    """`a` with `val`, repeated as often as needed, on its main diagonal.

    >>> import ferax.numpy as jnp
    >>> jnp.fill_diagonal(jnp.zeros((2, 3)), jnp.array([5, 6]), inplace=False)
    Array([[5., 0., 0.],
           [0., 6., 0.]], dtype=float32)
    """
    _refuse_inplace("fill_diagonal", inplace, NotImplementedError)
    if wrap:
        raise NotImplementedError("wrap=True is not implemented, must use wrap=False")
    x, values = operand("fill_diagonal", a, 0), operand("fill_diagonal", val, 1)
    if x.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if x.ndim > 2 and len(set(x.shape)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    n = min(x.shape)
    if n == 0 or values.size == 0:
        return x
    values = basis.reshape(values, (values.size,))
    values = values[0] if values.size == 1 else _repeated(values, n)
    index = np.arange(n, dtype=np.int32)
    return At(x)[(index,) * x.ndim].set(
        values, unique_indices=True, indices_are_sorted=True
    )


# -- leave out ---------------------------------------------------------------------------------


@public
def delete(
    arr: ArrayLike,
    obj: Any,
    axis: int | None = None,
    *,
    assume_unique_indices: bool = False,
) -> Array:
    """`arr` without the slices at some indices of an axis.

    Args:
      obj: an integer, a slice, an array of integers, or one of bools. A traced integer is allowed;
        a traced array if its elements are promised to be distinct.
      axis: None deletes from the flattened array.
      assume_unique_indices: promises that.

    Raises:
      IndexError: a known index is out of bounds.

    >>> import ferax.numpy as jnp
    >>> jnp.delete(jnp.arange(6).reshape(2, 3), 1, axis=1)
    Array([[0, 2],
           [3, 5]], dtype=int32)
    """
    x = operand("delete", arr, 0)
    if axis is None:
        x, axis = basis.reshape(x, (x.size,)), 0
    axis = shapes.canonical_axis(axis, x.ndim, "delete")
    n = x.shape[axis]
    if isinstance(obj, slice):
        gone = np.arange(n)[obj]
    else:
        index = operand("delete", obj, 1)
        if dtypes.is_bool(index.dtype):
            gone = np.flatnonzero(_delete_mask(index, n))
        elif not dtypes.is_integer(index.dtype):
            raise ValueError(
                f"delete: obj must be integer or bool; got {index.aval.short()}"
            )
        else:
            known = host_of(index)
            if known is None:
                return _delete_traced(x, index, axis, assume_unique_indices)
            gone = known.ravel().astype(np.int64)
            wrong = gone[(gone < -n) | (gone >= n)]
            if wrong.size:
                raise IndexError(
                    f"index {wrong[0]} is out of bounds for axis {axis} with size {n}"
                )
    kept = np.ones(n, bool)
    kept[gone] = False
    return take(x, np.flatnonzero(kept).astype(np.int32), axis=axis)


def _delete_mask(mask: Any, n: int) -> np.ndarray:
    known = host_of(mask)
    if known is None:
        raise errors.NonConcreteBooleanIndexError(mask)
    if known.shape != (n,):
        raise ValueError(
            "delete: for boolean indices, obj must be one-dimensional with length matching "
            f"specified axis; got {mask.aval.short()} for size {n}"
        )
    return known


def _delete_traced(x: Any, index: Any, axis: int, is_unique: bool) -> Any:
    if index.ndim and not is_unique and index.size > 1:
        known_values(  # raises
            index,
            "The size of the result of jnp.delete",
            "If the indices are distinct, promise it with assume_unique_indices=True.",
        )
    n, m = x.shape[axis], index.size
    index = basis.convert(basis.reshape(index, (m,)), _INT32)
    index = basis.select(el.lt(index, 0), basis.add(index, n), index)
    # the k-th smallest index hides k others: it is passed by places from index - k on
    first = basis.sub(sort(index), Iota(_INT32, (m,), 0)())
    kept = Iota(_INT32, (n - m,), 0)()
    passed = el.ge(*_against(kept, first))
    return take(x, basis.add(kept, _true_counts(passed)), axis=axis)


def _against(x: Any, y: Any) -> tuple[Any, Any]:
    """Two vectors as matrices, x along the rows and y along the columns."""
    shape = (x.size, y.size)
    return basis.broadcast_in_dim(x, shape, (0,)), basis.broadcast_in_dim(
        y, shape, (1,)
    )


def _true_counts(mask: Any) -> Any:
    return basis.reduce_sum(basis.convert(mask, _INT32), (1,))


# -- put in between ----------------------------------------------------------------------------


@public
def insert(
    arr: ArrayLike, obj: Any, values: ArrayLike, axis: int | None = None
) -> Array:
    """`arr` with values put in before some indices of an axis.

    Args:
      obj: an integer, a slice, or an array of integers; of indices into `arr` as it is.
      values: broadcastable to the slices that are put in; before a single index there may be
        several.
      axis: None inserts into the flattened array.

    >>> import ferax.numpy as jnp
    >>> jnp.insert(jnp.arange(4), jnp.array([0, 2]), jnp.array([10, 20]))
    Array([10,  0,  1, 20,  2,  3], dtype=int32)
    """
    x, v = operand("insert", arr, 0), operand("insert", values, 2)
    if axis is None:
        x, axis = basis.reshape(x, (x.size,)), 0
    axis = shapes.canonical_axis(axis, x.ndim, "insert")
    n = x.shape[axis]
    if isinstance(obj, slice):
        index = operand("insert", np.arange(n, dtype=np.int32)[obj])
    else:
        index = operand("insert", obj, 1)
    if not dtypes.is_integer(index.dtype) or index.ndim > 1:
        raise ValueError(
            "jnp.insert(): index array must be integer typed, with at most one axis; got "
            f"{index.aval.short()}"
        )
    v = basis.reshape(v, (1,) * (x.ndim - v.ndim) + v.shape) if v.ndim < x.ndim else v
    if index.ndim == 0:
        v = basis.moveaxis(v, 0, axis)
    m = v.shape[axis] if index.size == 1 and v.ndim == x.ndim else index.size
    wanted = (*x.shape[:axis], m, *x.shape[axis + 1 :])
    if v.ndim > x.ndim or any(d not in (1, e) for d, e in zip(v.shape, wanted)):
        raise ValueError(
            f"insert: values {operand('insert', values).aval.short()} do not broadcast to the "
            f"shape {wanted} of what is put into {x.aval.short()} along axis {axis}"
        )
    v = basis.broadcast_to(cast(v, x.dtype), wanted)
    if m == 0:
        return x
    index = basis.convert(basis.broadcast_to(index, (m,)), _INT32)
    index = basis.select(el.lt(index, 0), basis.add(index, n), index)
    places = _insert_places(clip(index, 0, n), m)
    # element k of the result is value j if k is place j, else the next element of x
    is_new = At(basis.full((n + m,), False, np.dtype(bool)))[places].set(True)
    old = basis.sub(CumSum(0, False)(basis.convert(el.bitwise_not(is_new), _INT32)), 1)
    new = Iota(_INT32, (m,), 0)()
    source = At(old)[places].set(basis.add(new, n), unique_indices=True)
    return take(Concatenate(axis)(x, v), source, axis=axis)


def _insert_places(index: Any, m: int) -> Any:
    """Where values go that are to stand before the given indices, in stable order."""
    order = argsort(index)
    shift = At(basis.zeros((m,), _INT32))[order].set(Iota(_INT32, (m,), 0)())
    return basis.add(index, shift)
