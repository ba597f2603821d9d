"""Slices whose position is a value: dynamic_slice and dynamic_update_slice.

The size is static, the start is data. A start that would let the slice reach over the end is
moved back, one below zero up to zero: all of the slice is always inside the array. So say the
StableHLO specification, and here every engine. Before that, the public functions let negative
starts count from the end.

Where a start differs over a mapped axis there is no single slice any more: the batch rules
are a gather and a scatter (`lax/indexing.py`) which clamp in the same way.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval, LinearInput
from ferax.core.basis import Structural
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.elementwise import lt
from ferax.lax.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather,
    scatter,
)
from ferax.lax.operands import batch_of_none
from ferax.lax.shape import concatenate, inserted, integers, scalar_like, slice_of

__all__ = [
    "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim",
    "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim",
]  # fmt: skip


def _window(
    starts: Sequence[Any], sizes: Sequence[int], shape: Sequence[int]
) -> tuple[slice, ...]:
    """NumPy's index of the slice, moved inside the array."""
    first = [min(max(int(s), 0), n - m) for s, m, n in zip(starts, sizes, shape)]
    return tuple([slice(a, a + m) for a, m in zip(first, sizes)])


def _check_starts(who: str, x: Aval, starts: Sequence[Aval]) -> None:
    if len(starts) != x.ndim:
        raise ValueError(
            f"{who}: {x.short()} has {x.ndim} axes and needs as many start indices; got "
            f"{len(starts)}"
        )
    kinds = {s.dtype for s in starts}
    if len(kinds) > 1 or any(not dtypes.is_integer(k) for k in kinds):
        listing = ", ".join(s.short() for s in starts)
        raise TypeError(
            f"{who}: start indices must be integers of one dtype; got {listing}"
        )
    if any(s.shape for s in starts):
        listing = ", ".join(s.short() for s in starts)
        raise TypeError(f"{who}: start indices must be scalars; got {listing}")


def _mapped_starts(axis: Any, starts: Sequence[Any], dims: Sequence[Any]) -> Any:
    """The start indices as the rows of one array, (size, number of axes)."""
    columns = [
        basis.broadcast_in_dim(s, (axis.size, 1), () if d is None else (0,))
        for s, d in zip(starts, dims)
    ]
    return concatenate(columns, 1)


class DynamicSlice(Structural):
    """y = x[start₀ : start₀ + sizes[0], …]; operands x and one start for each axis."""

    sizes: tuple[int, ...]
    linear_operands = (0,)

    def abstract(self, x: Aval, *starts: Aval) -> list[Aval]:
        _check_starts(self.name, x, starts)
        if len(self.sizes) != x.ndim or any(
            not 0 <= m <= n for m, n in zip(self.sizes, x.shape)
        ):
            raise TypeError(
                f"dynamic_slice: slice_sizes {self.sizes} must have {x.ndim} numbers between 0 "
                f"and the size of the axis, for {x.short()}"
            )
        return [Aval(self.sizes, x.dtype, x.weak_type)]

    keeps_weak_type = False

    def numpy(self, x: Any, *starts: Any) -> list[Any]:
        return [x[_window(starts, self.sizes, x.shape)]]

    def stablehlo(self, hlo: Any, x: Any, *starts: Any) -> list[Any]:
        if not starts:
            return [x]
        sizes = ", ".join(map(str, self.sizes))
        return [
            hlo.emit(
                "dynamic_slice",
                (x, *starts),
                hlo.out[0],
                f"slice_sizes = array<i64: {sizes}>",
            )
        ]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, *starts) = cts, args
        whole = DynamicUpdateSlice()(basis.zeros(x.shape, ct.dtype), ct, *starts)
        return [whole, *(None for _ in starts)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if not axis.size:
            return batch_of_none(self, args, dims)
        (x, *starts), (dx, *ds) = args, dims
        if all(d is None for d in ds):
            first = np.zeros((), starts[0].dtype if starts else np.int32)
            op = DynamicSlice(inserted(self.sizes, dx, axis.size))
            return op.bind(x, *inserted(starts, dx, first)), [dx]
        rank = len(self.sizes)
        lead = 0 if dx is None else 1
        numbers = GatherDimensionNumbers(
            offset_dims=tuple(range(1, rank + 1)),
            collapsed_slice_dims=(),
            start_index_map=tuple(range(lead, rank + lead)),
            operand_batching_dims=(0,) * lead,
            start_indices_batching_dims=(0,) * lead,
        )
        y = gather(
            x if dx is None else basis.moveaxis(x, dx, 0),
            _mapped_starts(axis, starts, ds),
            numbers,
            (1,) * lead + self.sizes,
            mode=GatherScatterMode.CLIP,
        )
        return [y], [0]


class DynamicUpdateSlice(Structural):
    """x with `update` written at a start; operands x, update and one start for each axis."""

    linear_operands = (0, 1)
    keeps_weak_type = False

    def abstract(self, x: Aval, update: Aval, *starts: Aval) -> list[Aval]:
        _check_starts(self.name, x, starts)
        if update.dtype != x.dtype:
            raise TypeError(
                f"dynamic_update_slice: operand and update must have one dtype; got {x.short()} "
                f"and {update.short()}"
            )
        if update.ndim != x.ndim or any(m > n for m, n in zip(update.shape, x.shape)):
            raise TypeError(
                f"dynamic_update_slice: the update {update.short()} must have the rank of the "
                f"operand {x.short()} and fit into it"
            )
        return [Aval(x.shape, x.dtype, x.weak_type and update.weak_type)]

    def numpy(self, x: Any, update: Any, *starts: Any) -> list[Any]:
        out = x.copy()
        out[_window(starts, update.shape, x.shape)] = update
        return [out]

    def stablehlo(self, hlo: Any, x: Any, update: Any, *starts: Any) -> list[Any]:
        return [hlo.dynamic_update_slice(x, update, starts)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, update, *starts) = cts, args
        answers: list[Any] = [None] * len(args)
        if type(x) is LinearInput:
            answers[0] = self(ct, basis.zeros(update.shape, ct.dtype), *starts)
        if type(update) is LinearInput:
            answers[1] = DynamicSlice(update.shape)(ct, *starts)
        return answers

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if not axis.size:
            return batch_of_none(self, args, dims)
        (x, update, *starts), (dx, du, *ds) = args, dims
        rank = len(starts)
        x = _leading(axis, x, dx)
        if all(d is None for d in ds):
            first = np.zeros((), starts[0].dtype if starts else np.int32)
            return self.bind(x, _leading(axis, update, du), first, *starts), [0]
        numbers = ScatterDimensionNumbers(
            update_window_dims=tuple(range(1, rank + 1)),
            inserted_window_dims=(),
            scatter_dims_to_operand_dims=tuple(range(1, rank + 1)),
            operand_batching_dims=(0,),
            scatter_indices_batching_dims=(0,),
        )
        y = scatter(
            x,
            _mapped_starts(axis, starts, ds),
            _leading(axis, update, du),
            numbers,
            indices_are_sorted=True,
            unique_indices=True,
            mode=GatherScatterMode.CLIP,
        )
        return [y], [0]


def _leading(axis: Any, x: Any, d: int | None) -> Any:
    """The operand with the mapped axis in front, repeated along it if it has none."""
    if d is None:
        return basis.broadcast_in_dim(
            x, (axis.size, *x.shape), tuple(range(1, x.ndim + 1))
        )
    return basis.moveaxis(x, d, 0)


# -- public --------------------------------------------------------------------------------

_INT32 = np.dtype(np.int32)


def start_arrays(
    who: str, x: Any, starts: Any, negative: bool | Sequence[bool]
) -> list[Any]:
    """Start indices as integer scalars of one dtype, negative ones counted from the end.

    `negative` says, for each axis or for all, whether starts may be negative.
    """
    if isinstance(starts, (Array, np.ndarray)):
        starts = to_array(starts, who, "start_indices")
        if starts.ndim != 1:
            raise TypeError(
                f"{who}: start_indices must be a vector or scalars; got {starts.aval.short()}"
            )
        starts = [
            basis.reshape(slice_of(starts, (i,), (i + 1,)), ())
            for i in range(starts.shape[0])
        ]
    if len(starts) != x.ndim:
        raise ValueError(
            f"{who}: {x.aval.short()} has {x.ndim} axes and needs as many start indices; got "
            f"{len(starts)}"
        )
    allowed = (negative,) * x.ndim if isinstance(negative, bool) else tuple(negative)
    if len(allowed) != x.ndim:
        raise ValueError(
            f"{who}: allow_negative_indices must be a bool, or one for each of the {x.ndim} axes "
            f"of {x.aval.short()}; got {negative!r}"
        )
    found = [
        _start(who, s, n, axis, a)
        for axis, (s, n, a) in enumerate(zip(starts, x.shape, allowed))
    ]
    kinds = {s.dtype for s in found if type(s) is not int}
    dtype = kinds.pop() if kinds else _INT32
    if kinds or dtype.itemsize < 4:  # a static start may not fit into a narrow dtype
        dtype = (
            np.dtype(np.int64)
            if any(k.itemsize == 8 for k in (dtype, *kinds))
            else _INT32
        )
    return [
        Concrete(Aval((), dtype), np.asarray(s, dtype))
        if type(s) is int
        else basis.convert(s, dtype)
        for s in found
    ]


def _start(who: str, start: Any, size: int, axis: int, negative: bool) -> Any:
    """A start index as a Python integer, if it is known, or else a scalar Array."""
    if not isinstance(start, Array):
        try:
            start = operator.index(start)
        except TypeError:
            start = to_array(start, who, "a start index")
    if isinstance(start, Array):
        if not dtypes.is_integer(start.dtype) or start.shape:
            raise TypeError(
                f"{who}: start indices must be integers without dimensions; got "
                f"{start.aval.short()}"
            )
        if type(start) is not Concrete:
            return _from_end(start, size) if negative else start
        start = int(start.host())
    if start < 0 and not negative:
        raise ValueError(
            f"{who}: start index {start} of axis {axis} is negative, which "
            "allow_negative_indices=False forbids"
        )
    return start + size if start < 0 else start


def _from_end(start: Any, size: int) -> Any:
    """start + size where the start is negative."""
    if dtypes.is_unsigned(start.dtype):
        return start
    if start.dtype.itemsize < 4:  # the size may not fit
        start = basis.convert(start, _INT32)
    return basis.select(lt(start, 0), basis.add(start, size), start)


def _starts_along(x: Any, axis: int, index: Any) -> list[Any]:
    """Start indices that are zero but for one axis."""
    return [index if i == axis else 0 for i in range(x.ndim)]


@public
def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """The part of an array, of static size, that begins at a computed position.

    Args:
      operand: array of any dtype.
      start_indices: one integer for each axis, or a vector of them. Negative ones count from
        the end; then the slice is moved as far as it takes to be inside the array.
      slice_sizes: of the result.
      allow_negative_indices: False, for all axes or each, saves the test for negative starts.

    Raises:
      TypeError: a size exceeds that of the axis; starts are not integer scalars.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_slice(jnp.arange(5), (4,), (2,))
    Array([3, 4], dtype=int32)
    """
    x = to_array(operand, "dynamic_slice")
    starts = start_arrays("dynamic_slice", x, start_indices, allow_negative_indices)
    return DynamicSlice(integers(slice_sizes))(x, *starts)


@public
def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """`operand` with `update` written at a computed position.

    Args:
      operand: array of any dtype.
      update: array of that dtype and rank which fits into it.
      start_indices, allow_negative_indices: as in `dynamic_slice`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_update_slice(jnp.zeros(5), jnp.ones(2), (-1,))
    Array([0., 0., 0., 1., 1.], dtype=float32)
    """
    who = "dynamic_update_slice"
    x = to_array(operand, who)
    starts = start_arrays(who, x, start_indices, allow_negative_indices)
    return DynamicUpdateSlice()(x, scalar_like(update, x, who, "update"), *starts)


@public
def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_slice` along one axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_slice_in_dim(jnp.arange(6).reshape(3, 2), 1, 2).shape
    (2, 2)
    """
    x = to_array(operand, "dynamic_slice_in_dim")
    axis = shapes.canonical_axis(axis, x.ndim, who="dynamic_slice_in_dim")
    sizes = list(x.shape)
    sizes[axis] = operator.index(slice_size)
    starts = _starts_along(x, axis, start_index)
    return dynamic_slice(
        x, starts, sizes, allow_negative_indices=allow_negative_indices
    )


@public
def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The slice of size 1 at a computed index of one axis, which is kept by default.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_index_in_dim(jnp.arange(6).reshape(3, 2), 1, keepdims=False)
    Array([2, 3], dtype=int32)
    """
    x = to_array(operand, "dynamic_index_in_dim")
    axis = shapes.canonical_axis(axis, x.ndim, who="dynamic_index_in_dim")
    y = dynamic_slice_in_dim(
        x, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    return y if keepdims else basis.reshape(y, (*x.shape[:axis], *x.shape[axis + 1 :]))


@public
def dynamic_update_slice_in_dim(
    operand: Any,
    update: Any,
    start_index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_update_slice` along one axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_update_slice_in_dim(jnp.zeros(4), jnp.ones(2), 1, axis=0)
    Array([0., 1., 1., 0.], dtype=float32)
    """
    x = to_array(operand, "dynamic_update_slice_in_dim")
    axis = shapes.canonical_axis(axis, x.ndim, who="dynamic_update_slice_in_dim")
    starts = _starts_along(x, axis, start_index)
    return dynamic_update_slice(
        x, update, starts, allow_negative_indices=allow_negative_indices
    )


@public
def dynamic_update_index_in_dim(
    operand: Any,
    update: Any,
    index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`operand` with the slice at a computed index of one axis replaced.

    `update` has the shape of `operand` with size 1 along `axis`, or without that axis.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.dynamic_update_index_in_dim(jnp.zeros(4), 1., 2, axis=0)
    Array([0., 0., 1., 0.], dtype=float32)
    """
    who = "dynamic_update_index_in_dim"
    x = to_array(operand, who)
    update = scalar_like(update, x, who, "update")
    axis = shapes.canonical_axis(axis, x.ndim, who=who)
    if update.ndim == x.ndim - 1:
        update = basis.expand_dims(update, (axis,))
    if update.ndim != x.ndim or update.shape[axis] != 1:
        raise TypeError(
            f"{who}: the update {update.aval.short()} must be a slice of size 1 along axis "
            f"{axis} of {x.aval.short()}, or a slice without that axis"
        )
    return dynamic_update_slice_in_dim(
        x, update, index, axis, allow_negative_indices=allow_negative_indices
    )
