"""Operations that move elements about: reshape, transpose, pad, slice, concatenate, iota.

All are linear and take any dtype, random keys included. `Reshape`, `Permute` and
`BroadcastInDim` are in `core/basis.py`, because transformations emit them; their public functions
are here. Slices whose position is a value are in `lax/dynamic.py`.

Sizes and axes are Python integers, checked by the `abstract` rule of the operation, which runs
once per shape; the functions only bring them into tuples.

What is subtle: the adjoint of a strided slice is a pad with interior zeros, and the adjoint of
a pad is a pad with negated edges followed by a strided slice; so `Pad` and `Slice` need each
other and nothing else.
"""

from __future__ import annotations

import builtins
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core import basis
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Shape
from ferax.core.basis import Structural
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import Tracer, aval_of, state, to_array
from ferax.errors import public
from ferax.tree_util import flatten

__all__ = [
    "broadcast", "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to_rank",
    "broadcasted_iota", "collapse", "concatenate", "dce_sink", "empty", "expand_dims", "full",
    "full_like", "index_in_dim", "iota", "pad", "reshape", "rev",
    "shape_as_value", "slice", "slice_in_dim", "split", "squeeze", "stack", "tile", "transpose",
    "unstack",
]  # fmt: skip


def known_integer(x: Any, who: str, what: str) -> int:
    """An integer parameter: a Python one, or an array with a known value."""
    try:
        return operator.index(x)
    except TypeError:
        if isinstance(x, Tracer):
            raise
        raise TypeError(f"{who}: {what} must be an integer; got {x!r}") from None


def integers(values: Any, what: str = "sizes, axes and indices") -> tuple[int, ...]:
    """Sizes, axes or indices as a tuple of Python integers."""
    try:
        return tuple(map(operator.index, values))
    except errors.TracerIntegerConversionError:
        raise
    except TypeError:
        raise TypeError(
            f"{what} must be a sequence of integers; got {values!r}"
        ) from None


def align_mapped(
    axis: Any, args: Sequence[Any], dims: Sequence[Any]
) -> tuple[list[Any], int]:
    """Operands of equal rank, all with the mapped axis at one place; the place."""
    place = next(d for d in dims if d is not None)
    out = []
    for x, d in zip(args, dims):
        if d is None:
            size = (*x.shape[:place], axis.size, *x.shape[place:])
            kept = (*range(place), *range(place + 1, x.ndim + 1))
            out.append(basis.broadcast_in_dim(x, size, kept))
        else:
            out.append(basis.moveaxis(x, d, place))
    return out, place


def inserted(values: Sequence[Any], place: int, value: Any) -> tuple[Any, ...]:
    """The values as a tuple with one more before index `place`."""
    return (*values[:place], value, *values[place:])


def scalar_like(value: Any, x: Any, who: str, what: str) -> Any:
    """A Python number as a scalar of the dtype of `x`; other operands as Arrays."""
    if type(value) in dtypes.SCALAR_AVALS and not dtypes.is_key(x.dtype):
        return basis.typed_scalar(value, x.dtype)
    return to_array(value, who, what)


def refuse_sharding(who: str, sharding: Any) -> None:
    """Shardings are constraints on results, not parameters of operations."""
    if sharding is not None:
        raise NotImplementedError(
            f"{who}: out_sharding is not supported; apply "
            "lax.with_sharding_constraint(result, sharding) instead"
        )


# -- reshape, transpose, broadcast: the operations are in core/basis.py --------------------


@public
def reshape(
    operand: Any,
    new_sizes: Shape,
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """The elements of `operand`, in row-major order, in another shape.

    Args:
      operand: array of any dtype.
      new_sizes: the shape, with the same number of elements.
      dimensions: the order in which the axes of `operand` are read (a permutation).

    Raises:
      TypeError: the numbers of elements differ.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reshape(jnp.arange(6), (3, 2), dimensions=(0,))
    Array([[0, 1],
           [2, 3],
           [4, 5]], dtype=int32)
    """
    x = to_array(operand, "reshape")
    refuse_sharding("reshape", out_sharding)
    if dimensions is not None:
        x = basis.permute(x, integers(dimensions))
    return basis.reshape(
        x, integers(new_sizes if np.iterable(new_sizes) else [new_sizes])
    )


@public
def transpose(operand: Any, permutation: Any) -> Any:
    """Axis i of the result is axis permutation[i] of `operand`.

    Raises:
      TypeError: `permutation` does not hold each axis once.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.transpose(jnp.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
    """
    x = to_array(operand, "transpose")
    axes = integers(permutation)
    return x if axes == tuple(range(x.ndim)) else basis.Permute(axes)(x)


@public
def broadcast_in_dim(
    operand: Any,
    shape: Shape,
    broadcast_dimensions: Sequence[int],
    *,
    out_sharding: Any = None,
) -> Any:
    """Repeat `operand`: its axis i becomes axis broadcast_dimensions[i] of the result.

    Args:
      operand: array of any dtype; its sizes are 1 or those of the result.
      shape: of the result.
      broadcast_dimensions: increasing axes of the result, one for each axis of `operand`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.broadcast_in_dim(jnp.arange(2), (2, 3), (0,))
    Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    x = to_array(operand, "broadcast_in_dim")
    refuse_sharding("broadcast_in_dim", out_sharding)
    dims = integers(broadcast_dimensions)
    if list(dims) != sorted(dims) and len(dims) == x.ndim:
        order = tuple(sorted(range(len(dims)), key=dims.__getitem__))
        x, dims = basis.permute(x, order), tuple(sorted(dims))
    return basis.broadcast_in_dim(x, integers(shape), dims)


@public
def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Repeat `operand` along new leading axes of the given sizes.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.broadcast(jnp.arange(3), (2,)).shape
    (2, 3)
    """
    x = to_array(operand, "broadcast")
    refuse_sharding("broadcast", out_sharding)
    sizes = integers(sizes)
    if min(sizes, default=0) < 0:
        raise ValueError(f"broadcast: sizes must not be negative; got {sizes}")
    dims = tuple(range(len(sizes), len(sizes) + x.ndim))
    return basis.broadcast_in_dim(x, sizes + x.shape, dims)


@public
def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """`arr` broadcast by NumPy's rules to the shape of `like_arr`."""
    return basis.broadcast_to(to_array(arr, "broadcast_like"), aval_of(like_arr).shape)


@public
def broadcast_to_rank(x: Any, rank: int) -> Any:
    """`x` with leading axes of size 1, so that it has `rank` axes.

    Raises:
      ValueError: it has more already.
    """
    x = to_array(x, "broadcast_to_rank")
    if x.ndim > rank:
        raise ValueError(
            f"broadcast_to_rank: {x.aval.short()} has more than {rank} axes"
        )
    return basis.reshape(x, (1,) * (rank - x.ndim) + x.shape)


@public
def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast.

    >>> from ferax import lax
    >>> lax.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    return _broadcast_shapes(*(integers(s) for s in shapes), who="broadcast_shapes")


_broadcast_shapes = shapes.broadcast_shapes


@public
def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """Insert axes of size 1, so that they are at `dimensions` of the result.

    Raises:
      ValueError: a dimension is out of range or given twice.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.expand_dims(jnp.zeros((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    x = to_array(array, "expand_dims")
    return basis.reshape(x, shapes.expanded(x.shape, tuple(dimensions)))


@public
def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """Drop the given axes, whose sizes are 1.

    Raises:
      ValueError: an axis has another size.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.squeeze(jnp.zeros((1, 2, 1)), (0, -1)).shape
    (2,)
    """
    x = to_array(array, "squeeze")
    axes = shapes.squeezed_axes(x.shape, tuple(dimensions))
    return basis.reshape(x, shapes.drop_axes(x.shape, axes))


@public
def collapse(
    operand: Any, start_dimension: int, stop_dimension: int | None = None
) -> Any:
    """Merge the axes from `start_dimension` up to `stop_dimension` (exclusive) into one.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.collapse(jnp.zeros((2, 3, 4)), 0, 2).shape
    (6, 4)
    """
    x = to_array(operand, "collapse")
    start, stop, _ = builtins.slice(start_dimension, stop_dimension).indices(x.ndim)
    if stop < start:
        raise ValueError(
            f"collapse: start_dimension {start_dimension} of {x.aval.short()} lies behind "
            f"stop_dimension {stop_dimension}"
        )
    merged = shapes.size(x.shape[start:stop])
    return basis.reshape(x, (*x.shape[:start], merged, *x.shape[stop:]))


@public
def tile(operand: Any, reps: Sequence[int]) -> Any:
    """Repeat the whole array reps[i] times along axis i.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.tile(jnp.arange(2), (3,))
    Array([0, 1, 0, 1, 0, 1], dtype=int32)
    """
    x = to_array(operand, "tile")
    reps = integers(reps)
    if len(reps) != x.ndim or any(r < 0 for r in reps):
        raise TypeError(
            f"tile: reps must be {x.ndim} non-negative numbers, one for each axis of "
            f"{x.aval.short()}; got {reps}"
        )
    doubled = tuple(n for pair in zip(reps, x.shape) for n in pair)
    y = basis.broadcast_in_dim(x, doubled, tuple(range(1, 2 * x.ndim, 2)))
    return basis.reshape(y, tuple(r * d for r, d in zip(reps, x.shape)))


# -- constant arrays -----------------------------------------------------------------------


class Iota(Primitive):
    """y[i₀, i₁, …] = i_axis"""

    dtype: Any
    shape: tuple[int, ...]
    axis: int

    def abstract(self) -> list[Aval]:
        if any(d < 0 for d in self.shape):
            raise TypeError(f"iota: sizes must not be negative; got {self.shape}")
        if not 0 <= self.axis < len(self.shape):
            raise ValueError(
                f"iota: dimension {self.axis} is not an axis of the shape {self.shape}"
            )
        if self.dtype not in basis.NUMERIC:
            raise TypeError(
                f"iota gives {basis.NUMERIC.name} arrays; got dtype {self.dtype}"
            )
        return [Aval(self.shape, self.dtype)]

    def numpy(self) -> list[Any]:
        n = self.shape[self.axis]
        line = np.arange(n).astype(self.dtype)
        if len(self.shape) == 1:
            return [line]
        rest = len(self.shape) - self.axis - 1
        return [np.broadcast_to(line.reshape(n, *(1,) * rest), self.shape)]

    def stablehlo(self, hlo: Any) -> list[Any]:
        return [hlo.iota(self.shape, self.dtype, self.axis)]

    jvp = cannot("it has no operands")
    transpose = cannot("it has no operands")
    batch = cannot("it has no operands")


@public
def broadcasted_iota(
    dtype: Any, shape: Shape, dimension: int, *, out_sharding: Any = None
) -> Any:
    """An array in which each element is its own index along the axis `dimension`.

    Args:
      dtype: integer, floating or complex.
      shape: of the result.
      dimension: the axis that is counted.

    >>> from ferax import lax
    >>> lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    refuse_sharding("broadcasted_iota", out_sharding)
    dtype = dtypes.requested(dtype, "broadcasted_iota")
    return Iota(dtype, integers(shape), operator.index(dimension))()


@public
def iota(dtype: Any, size: int) -> Any:
    """The numbers 0, 1, …, size - 1.

    >>> from ferax import lax
    >>> lax.iota("float32", 3)
    Array([0., 1., 2.], dtype=float32)
    """
    return Iota(dtypes.requested(dtype, "iota"), (operator.index(size),), 0)()


@public
def full(
    shape: Shape, fill_value: Any, dtype: Any = None, *, sharding: Any = None
) -> Any:
    """An array of the given shape with all elements equal to `fill_value`.

    Args:
      shape: sizes, or one size.
      fill_value: number or array without dimensions.
      dtype: that of `fill_value` by default (then a Python number gives a weak type).

    Raises:
      TypeError: `fill_value` has dimensions; a size is negative.

    >>> from ferax import lax
    >>> lax.full((2, 2), 7.)
    Array([[7., 7.],
           [7., 7.]], dtype=float32, weak_type=True)
    """
    refuse_sharding("full", sharding)
    shape = integers(shape) if np.iterable(shape) else (operator.index(shape),)  # type: ignore[arg-type]
    if any(d < 0 for d in shape):
        raise TypeError(f"full: sizes must not be negative; got {shape}")
    value = to_array(fill_value, "full", "fill_value")
    if value.ndim:
        raise TypeError(f"full: fill_value must be a scalar; got {value.aval.short()}")
    if dtype is not None:
        dtype = dtypes.requested(dtype, "full")
        if not dtypes.is_key(dtype):
            value = basis.convert(value, dtype)
            if state.trace is None and type(value) is Concrete:
                return basis.full(shape, value.host()[()], dtype)
    return basis.broadcast_in_dim(value, shape, ())


@public
def full_like(
    x: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Shape | None = None,
    sharding: Any = None,
) -> Any:
    """As `full`, with shape and dtype taken from `x` where they are not given.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.full_like(jnp.arange(2), 2.7)
    Array([2, 2], dtype=int32)
    """
    like = aval_of(x)
    shape = like.shape if shape is None else integers(shape)
    weak = dtype is None and like.weak_type
    out = full(
        shape, fill_value, like.dtype if dtype is None else dtype, sharding=sharding
    )
    return basis.convert(out, out.dtype, weak_type=True) if weak else out


@public
def empty(shape: Shape, dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array whose elements are unspecified; here they are zeros."""
    refuse_sharding("empty", out_sharding)
    return full(shape, 0, dtype)


@public
def shape_as_value(shape: Shape) -> Any:
    """A shape as a vector of int32.

    >>> from ferax import lax
    >>> lax.shape_as_value((2, 3))
    Array([2, 3], dtype=int32)
    """
    return to_array(np.asarray(integers(shape), np.int32))


# -- reverse -------------------------------------------------------------------------------


class Rev(Structural):
    """The order of elements reversed along `axes`."""

    axes: tuple[int, ...]

    def abstract(self, x: Aval) -> list[Aval]:
        if len(set(self.axes)) != len(self.axes):
            raise TypeError(f"rev: the dimensions {self.axes} are not distinct")
        if not all(0 <= a < x.ndim for a in self.axes):
            raise TypeError(f"rev: {self.axes} are not all axes of {x.short()}")
        return [x.strong()]

    def numpy(self, x: Any) -> list[Any]:
        every, backward = builtins.slice(None), builtins.slice(None, None, -1)
        return [
            x[tuple([backward if i in self.axes else every for i in range(x.ndim)])]
        ]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        axes = ", ".join(map(str, self.axes))
        return [
            hlo.unary(
                "reverse", x, f"dimensions = array<i64{': ' if axes else ''}{axes}>"
            )
        ]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [self(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (d,) = dims
        return Rev(tuple(a + (a >= d) for a in self.axes)).bind(*args), [d]


@public
def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """Reverse the order of elements along the given axes.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.rev(jnp.arange(3), (0,))
    Array([2, 1, 0], dtype=int32)
    """
    return Rev(integers(dimensions))(to_array(operand, "rev"))


# -- concatenate and split -----------------------------------------------------------------


class Concatenate(Structural):
    """The operands one after another along `axis`."""

    axis: int

    def abstract(self, *avals: Aval) -> list[Aval]:
        first = avals[0]
        listing = ", ".join(a.short() for a in avals)
        if len({a.ndim for a in avals}) > 1 or not 0 <= self.axis < first.ndim:
            raise TypeError(
                f"concatenate: operands must have the same number of axes, one of them the "
                f"dimension {self.axis}; got {listing}"
            )
        rest = {a.shape[: self.axis] + a.shape[self.axis + 1 :] for a in avals}
        if len(rest) > 1:
            raise TypeError(
                f"concatenate: operands may differ only in their size along the dimension "
                f"{self.axis}; got {listing}"
            )
        if len({a.dtype for a in avals}) > 1:
            raise TypeError(
                f"concatenate: operands must have one dtype; got {listing}. jnp.concatenate "
                "promotes."
            )
        total = sum(a.shape[self.axis] for a in avals)
        shape = (*first.shape[: self.axis], total, *first.shape[self.axis + 1 :])
        return [Aval(shape, first.dtype)]

    def numpy(self, *xs: Any) -> list[Any]:
        return [np.concatenate(xs, self.axis)]

    def stablehlo(self, hlo: Any, *xs: Any) -> list[Any]:
        return [hlo.concatenate(xs, self.axis)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,) = cts
        answers: list[Any] = []
        starts, limits = [0] * ct.ndim, list(ct.shape)
        position = 0
        for x in args:
            starts[self.axis], limits[self.axis] = (
                position,
                position + x.shape[self.axis],
            )
            position = limits[self.axis]
            linear = type(x) is LinearInput
            answers.append(
                slice_of(ct, tuple(starts), tuple(limits)) if linear else None
            )
        return answers

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        xs, d = align_mapped(axis, args, dims)
        return Concatenate(self.axis + (self.axis >= d)).bind(*xs), [d]


@public
def concatenate(operands: Any, dimension: int) -> Any:
    """Put arrays one after another along an existing axis.

    Args:
      operands: arrays of one dtype, whose shapes differ only along `dimension`.
      dimension: the axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.concatenate([jnp.arange(3), jnp.arange(2)], 0)
    Array([0, 1, 2, 0, 1], dtype=int32)
    """
    xs = [to_array(x, "concatenate", "an operand") for x in operands]
    if not xs:
        raise ValueError("concatenate: needs at least one operand")
    op = Concatenate(operator.index(dimension))
    if len(xs) == 1:
        op.infer((xs[0].aval,))
        return xs[0]
    return op(*xs)


@public
def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape and dtype, side by side along a new axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.stack([jnp.zeros(3), jnp.ones(3)], axis=1).shape
    (3, 2)
    """
    xs = [to_array(x, "stack", "an operand") for x in operands]
    if not xs:
        raise ValueError("stack: needs at least one operand")
    place = shapes.canonical_axis(axis, xs[0].ndim + 1, who="stack")
    if len({x.shape for x in xs}) > 1:
        listing = ", ".join(x.aval.short() for x in xs)
        raise ValueError(f"stack: operands must have one shape; got {listing}")
    return concatenate([basis.expand_dims(x, (place,)) for x in xs], place)


class Split(Structural):
    """The operand cut along `axis` into pieces of the given sizes."""

    sizes: tuple[int, ...]
    axis: int

    def abstract(self, x: Aval) -> list[Aval]:
        n = x.shape[self.axis]
        if sum(self.sizes) != n or any(s < 0 for s in self.sizes):
            raise ValueError(
                f"split: sizes {self.sizes} must not be negative and add up to {n}, the size "
                f"of axis {self.axis} of {x.short()}"
            )
        shape = x.shape
        return [
            Aval((*shape[: self.axis], s, *shape[self.axis + 1 :]), x.dtype)
            for s in self.sizes
        ]

    def numpy(self, x: Any) -> list[Any]:
        lead = (builtins.slice(None),) * self.axis
        return [x[(*lead, builtins.slice(a, b))] for a, b in self.bounds()]

    def bounds(self) -> list[tuple[int, int]]:
        """First and last (exclusive) index of each piece."""
        return [
            (b - s, b) for s, b in zip(self.sizes, itertools.accumulate(self.sizes))
        ]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        outs = []
        for a, b in self.bounds():
            starts, limits = [0] * x.ndim, list(x.shape)
            starts[self.axis], limits[self.axis] = a, b
            outs.append(hlo.slice(x, starts, limits))
        return outs

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [Concatenate(self.axis)(*map(basis.instantiate, cts))]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (d,) = dims
        outs = Split(self.sizes, self.axis + (self.axis >= d)).bind(*args)
        return outs, [d] * len(outs)


@public
def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Cut an array along an axis into pieces of the given sizes.

    Raises:
      ValueError: the sizes do not add up to that of the axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.split(jnp.arange(5), (2, 3))
    [Array([0, 1], dtype=int32), Array([2, 3, 4], dtype=int32)]
    """
    x = to_array(operand, "split")
    return Split(
        integers(sizes), shapes.canonical_axis(axis, x.ndim, who="split")
    ).bind(x)


@public
def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The arrays that lie side by side along an axis; the inverse of `stack`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> [row.shape for row in lax.unstack(jnp.zeros((2, 3)))]
    [(3,), (3,)]
    """
    x = to_array(x, "unstack")
    axis = shapes.canonical_axis(axis, x.ndim, who="unstack")
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    pieces = Split((1,) * x.shape[axis], axis).bind(x)
    return tuple(basis.reshape(p, rest) for p in pieces)


# -- slice and pad -------------------------------------------------------------------------


class Slice(Structural):
    """y = x[starts[0]:limits[0]:strides[0], …], bounds inside the array."""

    starts: tuple[int, ...]
    limits: tuple[int, ...]
    strides: tuple[int, ...]

    def abstract(self, x: Aval) -> list[Aval]:
        lengths = {len(self.starts), len(self.limits), len(self.strides)}
        fits = lengths == {x.ndim} and all(
            0 <= a <= b <= n and s > 0
            for a, b, s, n in zip(self.starts, self.limits, self.strides, x.shape)
        )
        if not fits:
            raise TypeError(
                f"slice: start_indices {self.starts}, limit_indices {self.limits} and strides "
                f"{self.strides} must each have {x.ndim} numbers, with 0 <= start <= limit <= "
                f"size and stride > 0, for {x.short()}"
            )
        return [Aval(self.result_shape(), x.dtype)]

    def result_shape(self) -> Shape:
        return tuple(
            -((a - b) // s) for a, b, s in zip(self.starts, self.limits, self.strides)
        )

    def numpy(self, x: Any) -> list[Any]:
        return [x[tuple(map(builtins.slice, self.starts, self.limits, self.strides))]]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.slice(x, self.starts, self.limits, self.strides)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x,) = cts, args
        config = tuple(
            (a, n - a - (m - 1) * s - 1, s - 1) if m else (n, 0, 0)
            for a, s, m, n in zip(self.starts, self.strides, ct.shape, x.shape)
        )
        return [pad_zeros(ct, config)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (x,), (d,) = args, dims
        op = Slice(
            inserted(self.starts, d, 0),
            inserted(self.limits, d, x.shape[d]),
            inserted(self.strides, d, 1),
        )
        return op.bind(x), [d]


def slice_of(
    x: Any,
    starts: tuple[int, ...],
    limits: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
) -> Any:
    """x[start:limit:stride, …]; x itself if that is all of it."""
    if strides is None:
        strides = (1,) * len(starts)
    if limits == x.shape and not any(starts) and all(s == 1 for s in strides):
        return x
    return Slice(starts, limits, strides)(x)


def part(x: Any, axis: int, start: int, count: int, stride: int = 1) -> Any:
    """`count` elements along one axis."""
    starts, limits, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], strides[axis] = start, stride
    limits[axis] = start + (count - 1) * stride + 1 if count else start
    return slice_of(x, tuple(starts), tuple(limits), tuple(strides))


@public
def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Any:
    """`operand[start:limit:stride, …]` with static bounds.

    Args:
      operand: array of any dtype.
      start_indices, limit_indices: for each axis, 0 ≤ start ≤ limit ≤ size.
      strides: positive steps; 1 by default.

    Raises:
      TypeError: a bound is outside of the array, or there are not as many as axes.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.slice(jnp.arange(10), (1,), (8,), (3,))
    Array([1, 4, 7], dtype=int32)
    """
    x = to_array(operand, "slice")
    steps = None if strides is None else integers(strides)
    starts, limits = integers(start_indices), integers(limit_indices)
    if len(starts) == len(limits) == x.ndim:
        return slice_of(x, starts, limits, steps)
    return Slice(starts, limits, steps or (1,) * len(starts))(x)


@public
def slice_in_dim(
    operand: Any,
    start_index: int | None,
    limit_index: int | None,
    stride: int = 1,
    axis: int = 0,
) -> Any:
    """`operand[start:limit:stride]` along one axis; negative bounds count from the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.slice_in_dim(jnp.arange(10), -3, None)
    Array([7, 8, 9], dtype=int32)
    """
    x = to_array(operand, "slice_in_dim")
    axis = shapes.canonical_axis(axis, x.ndim, who="slice_in_dim")
    n = x.shape[axis]
    start = 0 if start_index is None else operator.index(start_index)
    limit = n if limit_index is None else operator.index(limit_index)
    starts, limits, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis] = start + n if start < 0 else start
    limits[axis] = limit + n if limit < 0 else limit
    strides[axis] = operator.index(stride)
    return slice_of(x, tuple(starts), tuple(limits), tuple(strides))


@public
def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """`operand[index]` along one axis, which is kept with size 1 unless `keepdims=False`.

    Raises:
      IndexError: the index is out of bounds.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.index_in_dim(jnp.arange(6).reshape(2, 3), -1, axis=1, keepdims=False)
    Array([2, 5], dtype=int32)
    """
    x = to_array(operand, "index_in_dim")
    axis = shapes.canonical_axis(axis, x.ndim, who="index_in_dim")
    index, n = operator.index(index), x.shape[axis]
    if not -n <= index < n:
        raise IndexError(
            f"index_in_dim: index {index} is out of bounds for axis {axis} of "
            f"{x.aval.short()}, whose size is {n}"
        )
    index %= n
    y = slice_in_dim(x, index, index + 1, 1, axis)
    return y if keepdims else basis.reshape(y, (*x.shape[:axis], *x.shape[axis + 1 :]))


class Pad(Structural):
    """x with copies of a scalar around it and between its elements.

    `config` has (low, high, interior) for each axis; negative low and high cut elements off.
    """

    config: tuple[tuple[int, int, int], ...]

    def abstract(self, x: Aval, value: Aval) -> list[Aval]:
        if value.dtype != x.dtype or value.shape:
            raise TypeError(
                f"pad: the padding value must be a scalar of the dtype of the operand "
                f"{x.short()}; got {value.short()}"
            )
        if len(self.config) != x.ndim or any(i < 0 for _, _, i in self.config):
            raise ValueError(
                f"pad: padding_config {self.config} must have (low, high, interior >= 0) for "
                f"each axis of {x.short()}"
            )
        shape = self.result_shape(x.shape)
        if any(d < 0 for d in shape):
            raise ValueError(
                f"pad: padding_config {self.config} leaves {x.short()} with the negative size "
                f"{shape}"
            )
        return [Aval(shape, x.dtype)]

    def result_shape(self, shape: Shape) -> Shape:
        return tuple(
            lo + n + max(n - 1, 0) * i + hi
            for n, (lo, hi, i) in zip(shape, self.config)
        )

    def numpy(self, x: Any, value: Any) -> list[Any]:
        out = np.empty(self.result_shape(x.shape), x.dtype)
        out[...] = value
        source, target = [], []
        for n, size, (lo, _, inner) in zip(x.shape, out.shape, self.config):
            step = inner + 1
            first = -(min(lo, 0) // step)  # first and last element that are not cut off
            last = min(n, (size - 1 - lo) // step + 1)
            source.append(builtins.slice(first, max(first, last)))
            target.append(
                builtins.slice(lo + first * step, max(lo + last * step, 0), step)
            )
        if all(s.stop > s.start for s in source):
            out[tuple(target)] = x[tuple(source)]
        return [out]

    def stablehlo(self, hlo: Any, x: Any, value: Any) -> list[Any]:
        low, high, interior = zip(*self.config) if self.config else ((), (), ())
        return [hlo.pad(x, value, low, high, interior)]

    def mask(self, shape: Shape) -> Any:
        """Where the result is padding."""
        bools = np.dtype(bool)
        return self(basis.full(shape, False, bools), basis.full((), True, bools))

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, value) = cts, args
        ct_x = ct_value = None
        if type(x) is LinearInput:
            edges = tuple((-lo, -hi, 0) for lo, hi, _ in self.config)
            strides = tuple(i + 1 for _, _, i in self.config)
            cut = pad_zeros(ct, edges)
            ct_x = slice_of(cut, (0,) * cut.ndim, cut.shape, strides)
        if type(value) is LinearInput:
            outside = basis.select(self.mask(x.shape), ct, basis.zeros((), ct.dtype))
            ct_value = basis.reduce_sum(outside, tuple(range(ct.ndim)))
        return [ct_x, ct_value]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (x, value), (dx, dv) = args, dims
        if dv is None:
            return Pad(inserted(self.config, dx, (0, 0, 0))).bind(x, value), [dx]
        if dx is None:
            kept = tuple(range(1, x.ndim + 1))
            x = basis.broadcast_in_dim(x, (axis.size, *x.shape), kept)
        else:
            x = basis.moveaxis(x, dx, 0)
        op = Pad(((0, 0, 0), *self.config))
        padded = op(x, basis.zeros((), x.dtype))
        values = basis.reshape(value, (axis.size, *(1,) * (x.ndim - 1)))
        return [basis.select(op.mask(x.shape), values, padded)], [0]


def pad_zeros(x: Any, config: tuple[tuple[int, int, int], ...]) -> Any:
    """`pad` with zeros; x itself if nothing is to do."""
    if not any(map(any, config)):
        return x
    return Pad(config)(x, basis.zeros((), x.dtype))


@public
def pad(
    operand: Any, padding_value: Any, padding_config: Sequence[Sequence[int]]
) -> Any:
    """Put `padding_value` around an array and between its elements.

    Args:
      operand: array of any dtype.
      padding_value: scalar of the same dtype; a Python number adapts.
      padding_config: (low, high, interior) for each axis: how many before the first element,
        behind the last, and between two; negative low and high cut elements off.

    Raises:
      TypeError: the dtypes differ.
      ValueError: the configuration does not fit, or more is cut off than there is.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.pad(jnp.arange(1, 4), 0, [(2, -1, 1)])
    Array([0, 0, 1, 0, 2, 0], dtype=int32)
    """
    x = to_array(operand, "pad")
    value = scalar_like(padding_value, x, "pad", "padding_value")
    config = tuple(integers(c) for c in padding_config)
    if any(len(c) != 3 for c in config):
        raise ValueError(
            f"pad: padding_config needs (low, high, interior); got {config}"
        )
    return Pad(config)(x, value)  # type: ignore[arg-type]


# -- keeping what nobody uses --------------------------------------------------------------


class DceSink(Primitive):
    """Uses its operand, so that the equations that compute it are kept."""

    effects = True

    def abstract(self, x: Aval) -> list[Aval]:
        return []

    def numpy(self, x: Any) -> list[Any]:
        return []

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return []

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return self.bind(*primals), []

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return self.bind(*args), []

    transpose = cannot("it has no results")


@public
def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Keep the equations that compute `val` (a pytree) in traced programs.

    The compiler may still drop them; to forbid it that too is not supported.
    """
    if prevent_mlir_dce:
        raise NotImplementedError("dce_sink: prevent_mlir_dce=True is not supported")
    for leaf in flatten(val)[0]:
        DceSink().bind(to_array(leaf, "dce_sink", "a leaf"))
