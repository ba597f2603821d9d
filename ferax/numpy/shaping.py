"""Shape manipulation: reshape, transpose, broadcast, join, split, repeat, roll, flip.

All of it moves elements only; any dtype goes, random keys included. Axes and shapes are checked
here, with the function's name, before an operation is built, and functions that change nothing
return their argument: an operation that is not there costs nothing anywhere.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.basis import BroadcastInDim, Permute, Reshape
from ferax.core.tracing import Tracer, state
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumSum
from ferax.lax.dynamic import dynamic_slice_in_dim
from ferax.lax.shape import Concatenate, Iota, Rev, Split, known_integer, slice_of
from ferax.numpy.creation import asarray
from ferax.numpy.operations import at_once
from ferax.numpy.promoting import (
    ArrayLike,
    DTypeLike,
    cast,
    common_dtype,
    operand,
)
from ferax.shapes import canonical_axes, canonical_axis


def no_sharding(who: str, out_sharding: Any) -> None:
    """`out_sharding=` is a constraint on the result."""
    if out_sharding is not None:
        raise NotImplementedError(
            f"{who}: out_sharding is not supported; apply "
            "lax.with_sharding_constraint(result, sharding) instead"
        )


# -- one array's shape ---------------------------------------------------------------------


@public
def reshape(
    a: ArrayLike, shape: Any, order: str = "C", *, copy: bool | None = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """The elements of `a`, read in the given order, in another shape.

    Args:
      shape: an integer or integers, one of which may be -1: what is left.
      order: "C" (the last index runs fastest) or "F" (the first one).

    Raises:
      TypeError: the numbers of elements differ.

    >>> import ferax.numpy as jnp
    >>> jnp.reshape(jnp.arange(6), (2, -1), order="F")
    Array([[0, 2, 4],
           [1, 3, 5]], dtype=int32)
    """
    if out_sharding is not None:
        no_sharding("reshape", out_sharding)
    x = a if isinstance(a, Array) else operand("reshape", a)
    return reshaped(x, shape, order)


def reshaped(x: Any, shape: Any, order: str = "C") -> Any:
    """`reshape` of an Array"""
    if type(shape) is not tuple:
        shape = tuple(shape) if np.iterable(shape) else (shape,)
    size_ = x.aval.size
    rest, unknown = 1, -1
    for i, d in enumerate(shape):
        if type(d) is not int or d < -1 or (d == -1 and unknown >= 0):
            break  # what is wrong, if anything, is found below
        if d == -1:
            unknown = i
        else:
            rest *= d
    else:
        if unknown >= 0 and rest and size_ % rest == 0:
            shape = (*shape[:unknown], size_ // rest, *shape[unknown + 1 :])
            rest = size_
        if rest == size_ and -1 not in shape:
            return (
                basis.reshape(x, shape) if order == "C" else _reordered(x, shape, order)
            )
    dims = tuple([shapes.dimension(d, "reshape") for d in shape])
    if dims.count(-1) > 1 or any(d < -1 for d in dims):
        raise TypeError(f"reshape: at most one size may be -1, none below; got {dims}")
    if any(type(d) is not int for d in shape):
        return reshaped(x, dims, order)
    raise TypeError(
        f"cannot reshape array of shape {x.shape} (size {size_}) into shape {dims} "
        + (
            f"because the product of specified axis sizes ({rest}) does not evenly divide {size_}"
            if unknown >= 0
            else f"(size {rest})"
        )
    )


def _reordered(x: Any, shape: tuple[int, ...], order: str) -> Any:
    """Elements read and laid out with the first index running fastest."""
    if order != "F":
        raise NotImplementedError(
            f"reshape: order={order!r}; 'C' and 'F' are supported"
        )
    turned = basis.reshape(basis.permute(x, tuple(range(x.ndim))[::-1]), shape[::-1])
    return basis.permute(turned, tuple(range(len(shape)))[::-1])


@public
def ravel(a: ArrayLike, order: str = "C", *, out_sharding: Any = None) -> Array:
    """The elements of `a` as a vector.

    >>> import ferax.numpy as jnp
    >>> jnp.ravel(jnp.arange(4).reshape(2, 2), order="F")
    Array([0, 2, 1, 3], dtype=int32)
    """
    no_sharding("ravel", out_sharding)
    x = operand("ravel", a)
    return reshaped(x, (x.size,), "C" if order == "K" else order)


@public
def transpose(a: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """Axis i of the result is axis axes[i] of `a`; by default the order is reversed.

    >>> import ferax.numpy as jnp
    >>> jnp.transpose(jnp.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    x = operand("transpose", a)
    return transposed(x, axes)


def transposed(x: Any, axes: Any = None) -> Any:
    ndim = x.ndim
    if axes is None:
        return x if ndim < 2 else Permute(tuple(range(ndim))[::-1])(x)
    if not np.iterable(axes):
        raise TypeError(f"transpose: axes must be a sequence of integers; got {axes!r}")
    order = tuple([canonical_axis(i, ndim, "transpose") for i in axes])
    return basis.permute(x, order) if len(order) == ndim else Permute(order)(x)


@public
def permute_dims(a: ArrayLike, /, axes: Sequence[int]) -> Array:
    """`transpose(a, axes)`"""
    return transposed(operand("permute_dims", a), axes)


@public
def matrix_transpose(x: ArrayLike, /) -> Array:
    """The last two axes swapped"""
    x = operand("matrix_transpose", x)
    if x.ndim < 2:
        raise ValueError(
            f"x must be at least two-dimensional for matrix_transpose; got ndim={x.ndim}"
        )
    return Permute((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))(x)


@public
def moveaxis(
    a: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> Array:
    """Axes moved to other places; the rest keep their order.

    >>> import ferax.numpy as jnp
    >>> jnp.moveaxis(jnp.zeros((2, 3, 4)), (0, 1), (-1, 0)).shape
    (3, 4, 2)
    """
    x = operand("moveaxis", a)
    sources = canonical_axes(source, x.ndim, "moveaxis")
    places = canonical_axes(destination, x.ndim, "moveaxis")
    if len(sources) != len(places):
        raise ValueError(
            f"moveaxis: {len(sources)} sources but {len(places)} destinations"
        )
    order = [i for i in range(x.ndim) if i not in sources]
    for place, origin in sorted(zip(places, sources)):
        order.insert(place, origin)
    return basis.permute(x, tuple(order))


@public
def rollaxis(a: ArrayLike, axis: int, start: int = 0) -> Array:
    """One axis moved before the place `start`"""
    x = operand("rollaxis", a)
    axis = canonical_axis(axis, x.ndim, "rollaxis")
    if not -x.ndim <= start <= x.ndim:
        raise ValueError(f"rollaxis: start {start} must lie in [{-x.ndim}, {x.ndim}]")
    start += x.ndim * (start < 0)
    return basis.moveaxis(x, axis, start - (axis < start))


@public
def swapaxes(a: ArrayLike, axis1: int, axis2: int) -> Array:
    """Two axes exchanged"""
    x = operand("swapaxes", a)
    i = canonical_axis(axis1, x.ndim, "swapaxes")
    j = canonical_axis(axis2, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return basis.permute(x, tuple(order))


@public
def squeeze(a: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """Axes of size 1 removed: the given ones, or all."""
    x = operand("squeeze", a)
    axes = shapes.squeezed_axes(x.shape, axis, "squeeze")
    return basis.reshape(x, shapes.drop_axes(x.shape, axes))


@public
def expand_dims(a: ArrayLike, axis: int | Sequence[int]) -> Array:
    """Axes of size 1 inserted, at these places of the result.

    >>> import ferax.numpy as jnp
    >>> jnp.expand_dims(jnp.arange(3), (0, -1)).shape
    (1, 3, 1)
    """
    x = operand("expand_dims", a)
    if axis is None:
        raise TypeError("expand_dims: axis must be an integer or several; got None")
    return basis.reshape(x, shapes.expanded(x.shape, axis, "expand_dims"))


@public
def broadcast_to(array: ArrayLike, shape: Any, *, out_sharding: Any = None) -> Array:
    """The array repeated to a shape: axes are aligned at the end, those of size 1 stretched.

    >>> import ferax.numpy as jnp
    >>> jnp.broadcast_to(jnp.arange(3), (2, 3))
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    no_sharding("broadcast_to", out_sharding)
    x = operand("broadcast_to", array)
    return spread(x, shapes.canonical_shape(shape, "broadcast_to"))


def spread(x: Any, shape: Any) -> Any:
    """`broadcast_to` of an Array"""
    if x.shape == shape:
        return x
    if x.ndim > len(shape):
        raise ValueError(
            f"Cannot broadcast to shape with fewer dimensions: arr_shape={x.shape} shape={shape}"
        )
    if any(n not in (1, m) for n, m in zip(x.shape[::-1], shape[::-1])):
        raise ValueError(
            f"broadcast_to: {x.aval.short()} does not broadcast to shape {shape}"
        )
    return BroadcastInDim(shape, tuple(range(len(shape) - x.ndim, len(shape))))(x)


@public
def broadcast_arrays(*args: ArrayLike) -> list[Array]:
    """The arrays, each broadcast to their common shape."""
    arrays = [operand("broadcast_arrays", x, i) for i, x in enumerate(args)]
    shape = shapes.broadcast_shapes(*(x.shape for x in arrays), who="broadcast_arrays")
    return [spread(x, shape) for x in arrays]


@public
def broadcast_shapes(*shapes_: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes (or sizes) broadcast to.

    >>> import ferax.numpy as jnp
    >>> jnp.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    given = [shapes.canonical_shape(s, "broadcast_shapes") for s in shapes_]
    return shapes.broadcast_shapes(*given)


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array or of what can become one"""
    return a.shape if hasattr(a, "shape") else np.shape(a)


def ndim(a: Any) -> int:
    """The number of axes of an array or of what can become one"""
    return len(shape(a))


def size(a: Any, axis: int | Sequence[int] | None = None) -> int:
    """The number of elements, or of those along the given axes"""
    dims = shape(a)
    if axis is None:
        return math.prod(dims)
    return math.prod([dims[i] for i in canonical_axes(axis, len(dims), "size")])


@public
def atleast_1d(*arys: ArrayLike) -> Any:
    """Numbers become vectors of one element; arrays stay. Several arguments give a list."""
    out = [operand("atleast_1d", x, i) for i, x in enumerate(arys)]
    out = [basis.reshape(x, (1,)) if x.ndim == 0 else x for x in out]
    return out[0] if len(out) == 1 else out


@public
def atleast_2d(*arys: ArrayLike) -> Any:
    """Vectors become matrices of one row. Several arguments give a list."""
    out = [operand("atleast_2d", x, i) for i, x in enumerate(arys)]
    out = [
        basis.reshape(x, (1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x
        for x in out
    ]
    return out[0] if len(out) == 1 else out


@public
def atleast_3d(*arys: ArrayLike) -> Any:
    """(n,) becomes (1, n, 1), (m, n) becomes (m, n, 1). Several arguments give a list."""
    out = []
    for i, a in enumerate(arys):
        x = operand("atleast_3d", a, i)
        if x.ndim < 2:
            x = basis.reshape(x, (1, x.size, 1))
        elif x.ndim == 2:
            x = basis.reshape(x, (*x.shape, 1))
        out.append(x)
    return out[0] if len(out) == 1 else out


# -- joining -------------------------------------------------------------------------------


def joined_operands(who: str, arrays: Any, dtype: Any) -> list[Any]:
    """The arrays to be joined, of one dtype. An array stands for its slices along axis 0."""
    if isinstance(arrays, (Array, np.ndarray)):
        if not arrays.shape:
            raise TypeError(
                f"{who}: needs a sequence of arrays; got an array without axes"
            )
        xs = list(unstack(arrays))
    else:
        if not hasattr(arrays, "__len__"):
            raise TypeError(
                f"{who}: needs a sequence of arrays, and object of type "
                f"'{type(arrays).__name__}' has no len()"
            )
        xs = [
            x if isinstance(x, Array) else operand(who, x, i)
            for i, x in enumerate(arrays)
        ]
    if not xs:
        raise ValueError(f"Need at least one array to {who}.")
    if dtype is not None:
        dtype = dtypes.requested(dtype, who)
        return [basis.convert(cast(x, dtype), dtype) for x in xs]
    first = xs[0].aval.dtype
    for x in xs:
        if x.aval.dtype is not first:
            dtype, weak = common_dtype(xs)
            return [cast(x, dtype, weak) for x in xs]
    return xs


@public
def concatenate(arrays: Any, axis: int | None = 0, dtype: DTypeLike = None) -> Array:
    """Arrays one after another along an axis that they have (None: all elements as a vector).

    Raises:
      TypeError: the arrays differ in more than their size along the axis.

    >>> import ferax.numpy as jnp
    >>> jnp.concatenate([jnp.arange(3), jnp.array([0.5])])
    Array([0. , 1. , 2. , 0.5], dtype=float32)
    """
    return joined(joined_operands("concatenate", arrays, dtype), axis)


def joined(xs: list[Any], axis: int | None) -> Any:
    """`concatenate` of Arrays of one dtype"""
    if axis is None:
        xs, axis = [basis.reshape(x, (x.size,)) for x in xs], 0
    rank = xs[0].ndim
    if not rank:
        raise ValueError("Zero-dimensional arrays cannot be concatenated.")
    for x in xs:
        if x.ndim != rank:
            raise TypeError(
                "Cannot concatenate arrays with different numbers of dimensions: got "
                + ", ".join(str(x.shape) for x in xs)
                + "."
            )
    place = (
        axis
        if type(axis) is int and 0 <= axis < rank
        else canonical_axis(axis, rank, "concatenate")
    )
    return Concatenate(place)(*xs)


@public
def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """`concatenate`, by its name in the array API standard"""
    return joined(joined_operands("concat", arrays, None), axis)


@public
def stack(
    arrays: Any, axis: int = 0, out: None = None, dtype: DTypeLike = None
) -> Array:
    """Arrays of one shape side by side along a new axis.

    >>> import ferax.numpy as jnp
    >>> jnp.stack([jnp.arange(3), jnp.ones(3, int)], axis=1)
    Array([[0, 1],
           [1, 1],
           [2, 1]], dtype=int32)
    """
    if out is not None:
        raise NotImplementedError("The 'out' argument to jnp.stack is not supported.")
    xs = joined_operands("stack", arrays, dtype)
    dims = xs[0].aval.shape
    for x in xs:
        if x.aval.shape != dims:
            raise ValueError(
                "stack: all arrays must have the same shape; got "
                + ", ".join(x.aval.short() for x in xs)
            )
    place = 0 if axis == 0 else canonical_axis(axis, len(dims) + 1, "stack")
    shape_ = (*dims[:place], 1, *dims[place:])
    known = at_once(
        lambda *xs: np.concatenate([x.reshape(shape_) for x in xs], place), *xs
    )
    if known is not None:
        return known
    op = Reshape(shape_)
    return Concatenate(place)(*[op(x) for x in xs])


def _at_least(who: str, arrays: Any, dtype: Any, widen: Any) -> list[Any]:
    return [widen(x) for x in joined_operands(who, arrays, dtype)]


@public
def vstack(tup: Any, dtype: DTypeLike = None) -> Array:
    """Arrays on top of each other: vectors are rows."""
    return joined(_at_least("vstack", tup, dtype, atleast_2d), 0)


@public
def hstack(tup: Any, dtype: DTypeLike = None) -> Array:
    """Arrays side by side: along axis 1, vectors along axis 0."""
    xs = _at_least("hstack", tup, dtype, atleast_1d)
    return joined(xs, 0 if xs[0].ndim == 1 else 1)


@public
def dstack(tup: Any, dtype: DTypeLike = None) -> Array:
    """Arrays behind each other: along axis 2."""
    return joined(_at_least("dstack", tup, dtype, atleast_3d), 2)


def _as_columns(x: Any) -> Any:
    return basis.reshape(x, (x.size, 1)) if x.ndim < 2 else x


@public
def column_stack(tup: Any) -> Array:
    """Vectors as the columns of a matrix; matrices side by side.

    >>> import ferax.numpy as jnp
    >>> jnp.column_stack([jnp.arange(2), jnp.array([5, 6])])
    Array([[0, 5],
           [1, 6]], dtype=int32)
    """
    return joined(_at_least("column_stack", tup, None, _as_columns), 1)


@public
def block(arrays: Any) -> Array:
    """An array from nested lists of blocks: the innermost lists are joined along the last axis.

    >>> import ferax.numpy as jnp
    >>> jnp.block([[jnp.ones((1, 2)), jnp.zeros((1, 1))], [jnp.array([7., 8., 9.])]])
    Array([[1., 1., 0.],
           [7., 8., 9.]], dtype=float32)
    """
    return _block(arrays)[0]


def _block(xs: Any) -> tuple[Any, int]:
    if isinstance(xs, tuple):
        raise ValueError("jnp.block allows lists, but not tuples")
    if not isinstance(xs, list):
        return operand("block", xs), 1
    if not xs:
        raise ValueError("jnp.block does not allow empty list arguments")
    parts, depths = zip(*map(_block, xs))
    if any(d != depths[0] for d in depths):
        raise ValueError("Mismatched list depths in jnp.block")
    rank = max(depths[0], *(p.ndim for p in parts))
    aligned = [basis.reshape(p, (1,) * (rank - p.ndim) + p.shape) for p in parts]
    return joined(joined_operands("block", aligned, None), -depths[0]), depths[0] + 1


@public
def append(arr: ArrayLike, values: ArrayLike, axis: int | None = None) -> Array:
    """`values` behind `arr` along an axis (None: both as vectors).

    >>> import ferax.numpy as jnp
    >>> jnp.append(jnp.arange(2), 7)
    Array([0, 1, 7], dtype=int32)
    """
    return joined(joined_operands("append", (arr, values), None), axis)


# -- splitting -----------------------------------------------------------------------------


def _sections(who: str, n: int, spec: Any, equal: bool) -> tuple[int, ...]:
    """The sizes of the pieces that an integer or bounds cut `n` into."""
    if isinstance(spec, (list, tuple)) or (hasattr(spec, "shape") and spec.shape):
        bounds = [known_integer(b, who, "a bound") for b in spec]
        bounds = [min(b + n if b < 0 else b, n) if b >= -n else 0 for b in bounds]
        cuts = [0, *bounds, n]
        if any(a > b for a, b in pairwise(cuts)):
            raise ValueError(
                f"{who}: bounds must increase within [0, {n}]; got {bounds}"
            )
        return tuple([b - a for a, b in pairwise(cuts)])
    count = known_integer(spec, who, "the number of sections")
    if count <= 0:
        raise ValueError(
            f"{who}: number of sections must be larger than 0; got {count}"
        )
    part, rest = builtins.divmod(n, count)
    if rest and equal:
        raise ValueError(
            f"array split does not result in an equal division: rest is {rest}. {who} cuts "
            f"size {n} into {count} equal parts; jnp.array_split allows unequal ones."
        )
    return (part + 1,) * rest + (part,) * (count - rest)


def _split(who: str, a: Any, spec: Any, axis: int, equal: bool = True) -> list[Any]:
    x = operand(who, a)
    axis = canonical_axis(axis, x.ndim, who)
    return Split(_sections(who, x.shape[axis], spec, equal), axis).bind(x)


@public
def split(ary: ArrayLike, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """The array cut along an axis, into so many equal parts or at the given indices.

    >>> import ferax.numpy as jnp
    >>> jnp.split(jnp.arange(5), [2])
    [Array([0, 1], dtype=int32), Array([2, 3, 4], dtype=int32)]
    """
    return _split("split", ary, indices_or_sections, axis)


@public
def array_split(ary: ArrayLike, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """As `split`; parts may differ in size by one"""
    return _split("array_split", ary, indices_or_sections, axis, equal=False)


@public
def vsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 0"""
    return _split("vsplit", ary, indices_or_sections, 0)


@public
def hsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 1, of vectors along axis 0"""
    return _split("hsplit", ary, indices_or_sections, 0 if ndim(ary) == 1 else 1)


@public
def dsplit(ary: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 2"""
    return _split("dsplit", ary, indices_or_sections, 2)


@public
def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis, without it: the inverse of `stack`"""
    x = operand("unstack", x)
    place = canonical_axis(axis, x.ndim, "unstack")
    dims = x.shape
    rest = (*dims[:place], *dims[place + 1 :])
    return tuple(
        [basis.reshape(p, rest) for p in Split((1,) * dims[place], place).bind(x)]
    )


# -- repeating -----------------------------------------------------------------------------


@public
def tile(A: ArrayLike, reps: Any) -> Array:
    """The array repeated as a whole, `reps[i]` times along axis i.

    >>> import ferax.numpy as jnp
    >>> jnp.tile(jnp.arange(3), (2, 2))
    Array([[0, 1, 2, 0, 1, 2],
           [0, 1, 2, 0, 1, 2]], dtype=int32)
    """
    x = operand("tile", A)
    counts = shapes.canonical_shape(reps, "tile")
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    dims = (1,) * (rank - x.ndim) + x.shape
    x = basis.reshape(x, dims)
    doubled = tuple([n for pair_ in zip(counts, dims) for n in pair_])
    y = basis.broadcast_in_dim(x, doubled, tuple(range(1, 2 * rank, 2)))
    return basis.reshape(y, tuple([r * d for r, d in zip(counts, dims)]))


@public
def repeat(
    a: ArrayLike, repeats: ArrayLike, axis: int | None = None, *,
    total_repeat_length: int | None = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Each slice along an axis (None: each element) repeated so many times.

    Args:
      repeats: an integer, or one for each slice. Values that are traced need
      total_repeat_length: the size of the result, cut off or filled with the last slice.

    >>> import ferax.numpy as jnp
    >>> jnp.repeat(jnp.arange(3), jnp.array([1, 0, 2]))
    Array([0, 2, 2], dtype=int32)
    """
    no_sharding("repeat", out_sharding)
    x = operand("repeat", a)
    if axis is None:
        x, place = basis.reshape(x, (x.size,)), 0
    else:
        place = canonical_axis(axis, x.ndim, "repeat")
    n = x.shape[place]
    counts = operand("repeat", repeats, 1)
    if counts.ndim > 1 or (counts.size not in (1, n)):
        raise ValueError(
            f"repeat: repeats {counts.aval.short()} must be a number or hold one for each of "
            f"the {n} slices"
        )
    known = counts.concrete() if isinstance(counts, Tracer) else counts
    if known is not None:
        times = known.host().reshape(-1)
        if (times < 0).any():
            raise ValueError(
                f"repeat: repeats must not be negative; got {times.tolist()}"
            )
        if times.size == 1 and total_repeat_length is None:
            return _repeat_each(x, int(times[0]), place)
        source = np.repeat(np.arange(n), times if times.size == n else int(times[0]))
        if total_repeat_length is not None:
            last = source[-1] if source.size else n - 1
            source = np.append(source, np.full(total_repeat_length, last))[
                :total_repeat_length
            ]
        return _taken(x, asarray(source.astype(np.int32)), place)
    if total_repeat_length is None:
        message = errors.traced_value_message(
            "shape", counts.aval.short(), counts.origin()
        )
        raise errors.ConcretizationTypeError(
            f"repeat: {message}\nOr give total_repeat_length, the size of the result."
        )
    return _taken(x, _repeat_sources(counts, n, total_repeat_length), place)


def _repeat_each(x: Any, times: int, axis: int) -> Any:
    dims = x.shape
    shape_ = (*dims[: axis + 1], times, *dims[axis + 1 :])
    kept = tuple([i for i in range(len(shape_)) if i != axis + 1])
    y = basis.broadcast_in_dim(x, shape_, kept)
    return basis.reshape(y, (*dims[:axis], dims[axis] * times, *dims[axis + 1 :]))


def _repeat_sources(counts: Any, n: int, total: int) -> Any:
    """For each of `total` places of the result, the slice that stands there."""
    counts = spread(basis.reshape(counts, (counts.size,)), (n,))
    ends = CumSum(0)(counts)
    place = Iota(ends.dtype, (total, 1), 0)()
    passed = basis.convert(el.Le()(ends, place), np.dtype(np.int32))
    index = basis.reduce_sum(passed, (1,))
    return el.Min()(index, basis.typed_scalar(n - 1, index.dtype))


def _taken(x: Any, index: Any, axis: int) -> Any:
    return x[(builtins.slice(None),) * axis + (index,)]


@public
def resize(a: ArrayLike, new_shape: Any) -> Array:
    """The elements of `a`, repeated from the start or cut off, in another shape.

    >>> import ferax.numpy as jnp
    >>> jnp.resize(jnp.arange(3), (2, 4))
    Array([[0, 1, 2, 0],
           [1, 2, 0, 1]], dtype=int32)
    """
    x = operand("resize", a)
    wanted = shapes.canonical_shape(new_shape, "resize")
    total = math.prod(wanted)
    if not x.size or not total:
        return basis.zeros(wanted, x.dtype)
    flat = basis.reshape(x, (x.size,))
    copies = -(-total // x.size)
    flat = Concatenate(0)(*[flat] * copies) if copies > 1 else flat
    return basis.reshape(slice_of(flat, (0,), (total,)), wanted)


# -- rearranging ---------------------------------------------------------------------------


@public
def flip(m: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """The order of elements reversed along the given axes (None: all).

    >>> import ferax.numpy as jnp
    >>> jnp.flip(jnp.arange(6).reshape(2, 3), 1)
    Array([[2, 1, 0],
           [5, 4, 3]], dtype=int32)
    """
    x = operand("flip", m)
    axes = canonical_axes(axis, x.ndim, "flip")
    return Rev(axes)(x) if axes else x


@public
def fliplr(m: ArrayLike) -> Array:
    """`flip` along axis 1"""
    return flip(m, 1)


@public
def flipud(m: ArrayLike) -> Array:
    """`flip` along axis 0"""
    return flip(m, 0)


@public
def rot90(m: ArrayLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """The array turned by k right angles in the plane of two axes, from the first to the second.

    >>> import ferax.numpy as jnp
    >>> jnp.rot90(jnp.arange(4).reshape(2, 2))
    Array([[1, 3],
           [0, 2]], dtype=int32)
    """
    x = operand("rot90", m)
    if x.ndim < 2:
        raise ValueError(
            f"rot90 requires its first argument to have ndim at least two; got {x.aval.short()}"
        )
    i, j = canonical_axes(tuple(axes), x.ndim, "rot90")
    turns = k % 4
    if turns == 0:
        return x
    if turns == 2:
        return Rev((i, j))(x)
    return swapaxes(Rev((j,))(x), i, j) if turns == 1 else Rev((j,))(swapaxes(x, i, j))


@public
def roll(a: ArrayLike, shift: Any, axis: int | Sequence[int] | None = None) -> Array:
    """Elements moved along axes (None: along the vector of all); what leaves comes in again.

    Args:
      shift: an integer or one for each axis; may be traced.

    >>> import ferax.numpy as jnp
    >>> jnp.roll(jnp.arange(5), 2)
    Array([3, 4, 0, 1, 2], dtype=int32)
    """
    x = operand("roll", a)
    if axis is None:
        flat = basis.reshape(x, (x.size,))
        return basis.reshape(roll(flat, shift, 0), x.shape)
    axes = tuple(axis) if np.iterable(axis) else (axis,)
    axes = tuple([canonical_axis(i, x.ndim, "roll") for i in axes])
    if isinstance(shift, (Array, np.ndarray)) and shift.shape:
        steps: list[Any] = (
            list(unstack(shift)) if isinstance(shift, Array) else shift.tolist()
        )
    else:
        steps = list(shift) if isinstance(shift, (list, tuple)) else [shift]
    steps = [
        s if isinstance(s, Array) else known_integer(s, "roll", "a shift")
        for s in steps
    ]
    if len(steps) == 1:
        steps *= len(axes)
    if len(axes) == 1:
        axes *= len(steps)
    if len(steps) != len(axes):
        raise ValueError(f"roll: {len(steps)} shifts do not fit {len(axes)} axes")
    for step, place in zip(steps, axes):
        x = _rolled(x, step, place)
    return x


def _rolled(x: Any, step: Any, axis: int) -> Any:
    n = x.shape[axis]
    if n == 0:
        return x
    known = step.concrete() if isinstance(step, Tracer) else step
    if known is not None:
        cut = -operator.index(known) % n
        if cut == 0:
            return x
        return Concatenate(axis)(*Split((cut, n - cut), axis).bind(x)[::-1])
    step = el.Rem()(step, basis.typed_scalar(n, step.dtype))
    doubled = Concatenate(axis)(x, x)
    start = basis.sub(n, step)  # in (0, 2n): a negative step starts beyond n
    start = basis.select(el.Ge()(start, basis.typed_scalar(n, start.dtype)), basis.sub(start, n),
                         start)  # fmt: skip
    return dynamic_slice_in_dim(doubled, start, n, axis)


# -- triangles and diagonals ---------------------------------------------------------------


def triangle_mask(n: int, m: int, k: int) -> Any:
    """Bools (n, m): True where column <= row + k."""
    if state.trace is None:
        return asarray(np.tri(n, m, k, np.bool_))
    row = Iota(np.dtype(np.int32), (n, 1), 0)()
    column = Iota(np.dtype(np.int32), (1, m), 1)()
    return el.Ge()(basis.add(row, k) if k else row, column)


def _triangle(who: str, m: Any, k: Any) -> tuple[Any, Any]:
    x = operand(who, m)
    if x.ndim < 2:
        raise ValueError(
            f"Argument to jnp.{who} must be at least 2D; got {x.aval.short()}"
        )
    return x, known_integer(k, who, "k")


def _zero(x: Any) -> Any:
    return (
        basis.typed_scalar(0, x.dtype)
        if not dtypes.is_bool(x.dtype)
        else asarray(False)
    )


@public
def tril(m: ArrayLike, k: int = 0) -> Array:
    """The lower triangle: zeros above the k-th diagonal.

    >>> import ferax.numpy as jnp
    >>> jnp.tril(jnp.ones((2, 3)))
    Array([[1., 0., 0.],
           [1., 1., 0.]], dtype=float32)
    """
    x, k = _triangle("tril", m, k)
    return basis.select(triangle_mask(x.shape[-2], x.shape[-1], k), x, _zero(x))


@public
def triu(m: ArrayLike, k: int = 0) -> Array:
    """The upper triangle: zeros below the k-th diagonal"""
    x, k = _triangle("triu", m, k)
    return basis.select(triangle_mask(x.shape[-2], x.shape[-1], k - 1), _zero(x), x)


@public
def diagonal(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements a[i, i + offset] of two axes, as a new last axis.

    >>> import ferax.numpy as jnp
    >>> jnp.diagonal(jnp.arange(6).reshape(2, 3), 1)
    Array([1, 5], dtype=int32)
    """
    x = operand("diagonal", a)
    if x.ndim < 2:
        raise ValueError(
            f"diagonal requires an array of at least two dimensions; got {x.aval.short()}"
        )
    first, second = canonical_axes((axis1, axis2), x.ndim, "diagonal")
    offset = known_integer(offset, "diagonal", "offset")
    order = [i for i in range(x.ndim) if i not in (first, second)]
    x = basis.permute(x, (*order, first, second))
    *rest, n, m = x.shape
    count = max(0, min(n, m - offset) if offset >= 0 else min(n + offset, m))
    start = offset if offset >= 0 else -offset * m
    # row-major, neighbours on a diagonal are m + 1 apart
    flat = basis.reshape(x, (*rest, n * m))
    lead = (0,) * len(rest)
    if not count:
        return slice_of(flat, (*lead, 0), (*rest, 0))
    stop = start + (count - 1) * (m + 1) + 1
    return slice_of(flat, (*lead, start), (*rest, stop), (*(1,) * len(rest), m + 1))


@public
def trim_zeros(filt: ArrayLike, trim: str = "fb", axis: Any = None) -> Array:
    """Leading ("f") and trailing ("b") zeros cut off. The values have to be known."""
    x = operand("trim_zeros", filt)
    if not isinstance(trim, str) or set(trim.lower()) - set("fb"):
        raise ValueError(f"trim_zeros: trim must be 'f', 'b' or 'fb'; got {trim!r}")
    known = x.concrete() if isinstance(x, Tracer) else x
    host = np.asarray(
        x if known is None else known
    )  # raises where the values are traced
    axes = canonical_axes(axis, x.ndim, "trim_zeros")
    index = []
    for i in range(x.ndim):
        line = (host != 0).any(tuple(j for j in range(x.ndim) if j != i))
        found = np.flatnonzero(line)
        low, high = (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)
        if i not in axes or "f" not in trim.lower():
            low = 0
        if i not in axes or "b" not in trim.lower():
            high = x.shape[i]
        index.append((low, high))
    return slice_of(x, tuple([a for a, _ in index]), tuple([b for _, b in index]))
