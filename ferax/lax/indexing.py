"""gather and scatter: windows of an array, read and written at places that are data.

Dimension numbers are StableHLO's, with the index vector in the last axis of the indices. A
window begins at `indices[b, :]` (component k is along operand axis `start_index_map[k]`) and
has `slice_sizes`; its axes appear in the result at `offset_dims`, except for those that are
collapsed (size 1) or batching. An operand batching axis runs together with an axis of the
indices. A scatter is the same with `updates` for the result: one description,
`GatherDimensionNumbers` and sizes, serves both directions, so that each transposes into the
other by relabelling.

Out of bounds, exactly so on every engine:
  CLIP               a window is moved to the nearest place inside the operand;
  FILL_OR_DROP       a window not wholly inside reads `fill_value`, or is not written;
  PROMISE_IN_BOUNDS  not checked by whoever differentiates; reads clip, writes drop.

What is subtle: `scatter` may write one element several times. The last update wins on the host
and on XLA's CPU; which one wins elsewhere is not defined, so under differentiation the winners
are determined first (`Scatter.winners`) and value and derivative both use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Shape, Zero
from ferax.core.basis import (
    ANY,
    NUMERIC,
    ORDERED,
    Kinds,
    add,
    instantiate,
    moveaxis,
    mul,
    neg,
    select,
)
from ferax.core.primitive import Primitive
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.arithmetic import MAX, MIN
from ferax.lax.elementwise import div, eq, lt, rem
from ferax.lax.operands import batch_of_none
from ferax.lax.shape import Iota, concatenate, integers
from ferax.lax.windows import (
    CLIP,
    DROP,
    PROMISE,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    Windows,
    permuted,
    windows_of,
)

__all__ = [
    "GatherDimensionNumbers", "GatherScatterMode", "ScatterDimensionNumbers", "gather",
    "index_take", "scatter", "scatter_add", "scatter_max", "scatter_min", "scatter_mul",
    "scatter_sub",
]  # fmt: skip


# -- checks ----------------------------------------------------------------------------------


def _check_numbers(
    who: str,
    numbers: GatherDimensionNumbers,
    operand: Aval,
    indices: Aval,
    fields: Sequence[str],
) -> None:
    """Dimension numbers in themselves and against operand and indices."""
    offset, collapsed, mapped, batching, index_batching = numbers

    def demand(holds: bool, field: int, rule: str) -> None:
        if not holds:
            raise TypeError(
                f"{who}: {fields[field]}={tuple(numbers[field])} {rule}; operand "
                f"{operand.short()}, indices {indices.short()}"
            )

    if not dtypes.is_integer(indices.dtype):
        raise ValueError(f"{who}: indices must be integers; got {indices.short()}")
    if not indices.shape:
        raise TypeError(
            f"{who}: indices need a last axis of index vectors; got no axes at all"
        )
    rank = operand.ndim
    result = indices.ndim - 1 + len(offset)
    for i, bound in ((0, result), (1, rank), (3, rank)):
        axes = list(numbers[i])
        demand(axes == sorted(set(axes)), i, "must increase")
        demand(all(0 <= a < bound for a in axes), i, f"must be in [0, {bound})")
    demand(len(set(mapped)) == len(mapped), 2, "has an axis twice")
    demand(all(0 <= d < rank for d in mapped), 2, f"must be in [0, {rank})")
    demand(
        len(mapped) == indices.shape[-1], 2,
        f"must have as many entries as index vectors ({indices.shape[-1]})",
    )  # fmt: skip
    demand(
        not set(batching) & {*collapsed, *mapped},
        3,
        "must not be collapsed or indexed too",
    )
    demand(
        len(offset) + len(collapsed) + len(batching) == rank, 0,
        f"must have an entry for each of the {rank} operand axes that is neither collapsed nor "
        "batching",
    )  # fmt: skip
    demand(
        len(index_batching) == len(batching), 4, "must pair with operand_batching_dims"
    )
    demand(
        all(0 <= a < indices.ndim - 1 for a in index_batching)
        and len(set(index_batching)) == len(index_batching),
        4, f"must be distinct axes in [0, {indices.ndim - 1})",
    )  # fmt: skip
    for d, a in zip(batching, index_batching):
        demand(
            operand.shape[d] == indices.shape[a], 3,
            f"must have the sizes of the axes {tuple(index_batching)} of the indices",
        )  # fmt: skip


# -- lowering --------------------------------------------------------------------------------


def _wide(hlo: Any, indices: Any) -> Any:
    """Indices of at least 32 bits, which can hold every size."""
    return (
        hlo.convert(indices, np.dtype(np.int32))
        if indices.dtype.itemsize < 4
        else indices
    )


def _limits(hlo: Any, indices: Any, w: Windows) -> Any:
    limits = np.minimum(w.limits, np.iinfo(indices.dtype).max).astype(indices.dtype)
    return hlo.broadcast(hlo.constant(limits), indices.shape, (indices.ndim - 1,))


def _clamped(hlo: Any, indices: Any, w: Windows) -> Any:
    bounds = hlo.zero(indices), indices, _limits(hlo, indices, w)
    return hlo.emit("clamp", bounds, indices.aval)


def _numbers_text(
    kind: str, names: Sequence[str], numbers: Sequence[Any], last: int
) -> str:
    pairs = [f"{n} = [{', '.join(map(str, v))}]" for n, v in zip(names, numbers) if v]
    return f"#stablehlo.{kind}<{', '.join([*pairs, f'index_vector_dim = {last}'])}>"


def _array_text(values: Sequence[int]) -> str:
    return f"array<i64: {', '.join(map(str, values))}>" if values else "array<i64>"


def _flag(value: bool) -> str:
    return "true" if value else "false"


# -- gather ----------------------------------------------------------------------------------


class Indexed(Primitive, family=True):
    """Operations whose first operand is an array and whose second one is indices into it."""

    def infer(self, avals: tuple[Aval, ...]) -> tuple[Aval, ...]:
        found = self._results.get(avals)
        if found is None:  # the weakness of the indices does not count
            (out,) = self.abstract(*avals)  # type: ignore[attr-defined]
            found = self._results[avals] = (out.update(weak_type=avals[0].weak_type),)
        return found


class Gather(Indexed):
    """y[batch, offset] = x[start(batch) + offset], windows of x at computed places.

    Adjoint: `ScatterAdd` at the same places.
    """

    dimension_numbers: GatherDimensionNumbers
    slice_sizes: tuple[int, ...]
    indices_are_sorted: bool = False
    unique_indices: bool = False
    mode: GatherScatterMode = PROMISE
    fill_value: Any = None

    def abstract(self, x: Aval, indices: Aval) -> list[Aval]:
        numbers, sizes = self.dimension_numbers, self.slice_sizes
        _check_numbers("gather", numbers, x, indices, GatherDimensionNumbers._fields)
        if len(sizes) != x.ndim or any(not 0 <= m <= n for m, n in zip(sizes, x.shape)):
            raise TypeError(
                f"gather: slice_sizes {sizes} must have one number for each axis of the operand "
                f"{x.short()}, from 0 to the size of the axis"
            )
        gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
        if any(sizes[d] > 1 for d in gone):
            raise TypeError(
                f"gather: slice_sizes {sizes} must be 1 along the axes {gone} that the result "
                "does not have"
            )
        return [Aval(self.result_shape(indices.shape), x.dtype)]

    def result_shape(self, indices: Shape) -> Shape:
        numbers = self.dimension_numbers
        gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
        kept = [n for d, n in enumerate(self.slice_sizes) if d not in gone]
        window = dict(zip(numbers.offset_dims, kept))
        batch = iter(indices[:-1])
        rank = len(indices) - 1 + len(kept)
        return tuple([window[i] if i in window else next(batch) for i in range(rank)])

    def windows(self, shape: Shape, rank: int) -> Windows:
        return windows_of(self.dimension_numbers, self.slice_sizes, shape, rank)

    def fill(self, dtype: Any) -> np.ndarray:
        """What is read out of bounds: NaN, or the extreme value of an integer."""
        carrier = dtypes.carrier(dtype)
        if isinstance(self.fill_value, bytes):
            return np.frombuffer(self.fill_value, carrier)[0]  # type: ignore[no-any-return]
        if self.fill_value is not None:
            return np.asarray(self.fill_value).astype(carrier)
        if dtypes.is_inexact(dtype):
            return np.asarray(np.nan).astype(carrier)
        if dtypes.is_bool(dtype):
            return np.asarray(True)
        info = dtypes.iinfo(carrier)
        return np.asarray(info.min if dtypes.is_signed(dtype) else info.max, carrier)

    def numpy(self, x: Any, indices: Any) -> list[Any]:
        rank = indices.ndim - 1 + len(self.dimension_numbers.offset_dims)
        w = self.windows(x.shape, rank)
        starts, inside = w.starts(indices)
        if self.mode is not DROP:
            inside = None
        one = w.single(starts)
        if one is not None:
            y = x[one].reshape(self.result_shape(indices.shape))
        elif w.taken_inverse:
            y = x.take(
                starts[..., 0], self.dimension_numbers.start_index_map[0], mode="clip"
            )
            y = permuted(y, w.taken_inverse)
        elif w.whole:
            rows = permuted(x, w.operand_order)
            y = rows[tuple([starts[..., k] for k in range(starts.shape[-1])])]
            y = permuted(y, w.result_inverse)
        else:
            y = np.broadcast_to(x[w.index(starts)], self.result_shape(indices.shape))
        if inside is not None:
            y = np.where(w.spread(inside), y, self.fill(x.dtype))
        return [y]

    def stablehlo(self, hlo: Any, x: Any, indices: Any) -> list[Any]:
        (out,) = hlo.out
        w = self.windows(x.shape, out.ndim)
        indices = _wide(hlo, indices)
        if self.mode is CLIP:
            indices = _clamped(hlo, indices, w)
        numbers = _numbers_text(
            "gather", _GATHER_NAMES, self.dimension_numbers, indices.ndim - 1
        )
        attrs = (
            f"dimension_numbers = {numbers}, indices_are_sorted = "
            f"{_flag(self.indices_are_sorted)}, slice_sizes = {_array_text(self.slice_sizes)}"
        )
        y = hlo.emit("gather", (x, indices), out, attrs)
        if self.mode is not DROP or not indices.shape[-1]:
            return [y]
        above = hlo.compare(indices, hlo.zero(indices), "GE")
        fits = hlo.compare(indices, _limits(hlo, indices, w), "LE")
        inside = hlo.reduce(
            "and",
            hlo.binary("and", above, fits),
            hlo.constant(True),
            (indices.ndim - 1,),
        )
        inside = hlo.broadcast(inside, out.shape, w.batch_axes)
        return [
            hlo.select(inside, y, hlo.full(out.shape, self.fill(x.dtype)[()], x.dtype))
        ]

    def linear(self) -> Gather:
        """The operation on tangents: it reads zeros out of bounds."""
        if self.mode is not DROP:
            return self
        return Gather(
            self.dimension_numbers,
            self.slice_sizes,
            self.indices_are_sorted,
            self.unique_indices,
            self.mode,
            0,
        )

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, indices), (t, _) = primals, tangents
        y = self(x, indices)
        if type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        return [y], [self.linear()(t, indices)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, indices) = cts, args
        op = ScatterAdd(
            self.dimension_numbers,
            self.indices_are_sorted,
            self.unique_indices,
            self.mode,
        )
        return [op(basis.zeros(x.shape, ct.dtype), indices, ct), None]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if not axis.size:
            return batch_of_none(self, args, dims)
        (x, indices), (dx, di) = args, dims
        numbers, sizes = self.dimension_numbers, self.slice_sizes
        mapped_x, mapped_i = dx is not None, di is not None
        if mapped_x:
            x = moveaxis(x, dx, 0)
            sizes = (1 if mapped_i else axis.size, *sizes)
        if mapped_i:
            indices = moveaxis(indices, di, 0)
        op = Gather(
            _batched(numbers, mapped_x, mapped_i),
            sizes,
            self.indices_are_sorted and mapped_x,
            self.unique_indices and mapped_x,
            self.mode,
            self.fill_value,
        )
        return op.bind(x, indices), [0]


_GATHER_NAMES = (
    "offset_dims", "collapsed_slice_dims", "start_index_map", "operand_batching_dims",
    "start_indices_batching_dims",
)  # fmt: skip


def _batched(
    numbers: GatherDimensionNumbers, mapped_x: bool, mapped_i: bool
) -> GatherDimensionNumbers:
    """The dimension numbers with one more axis, in front of operand and/or indices."""
    offset, collapsed, mapped, batching, index_batching = numbers
    offset = tuple(a + 1 for a in offset)
    if mapped_i:
        index_batching = tuple(a + 1 for a in index_batching)
    if mapped_x:
        collapsed = tuple(d + 1 for d in collapsed)
        mapped = tuple(d + 1 for d in mapped)
        batching = tuple(d + 1 for d in batching)
    if mapped_x and mapped_i:
        batching = (0, *batching)
        index_batching = (0, *index_batching)
    elif mapped_x:  # the axis is part of each window
        offset = (0, *offset)
    return GatherDimensionNumbers(offset, collapsed, mapped, batching, index_batching)


# -- scatter ---------------------------------------------------------------------------------


class ScatterFamily(Indexed, family=True):
    """y = x with `updates` combined into windows of it; operands x, indices, updates.

    A class states how an element meets an update: `combiner` (StableHLO's operation, None to
    replace the element) and `ufunc` (NumPy's).
    """

    dimension_numbers: GatherDimensionNumbers
    indices_are_sorted: bool = False
    unique_indices: bool = False
    mode: GatherScatterMode = DROP
    accepts: ClassVar[Kinds] = NUMERIC
    combiner: ClassVar[str | None]
    ufunc: ClassVar[Any]

    def abstract(self, x: Aval, indices: Aval, updates: Aval) -> list[Aval]:
        numbers = self.dimension_numbers
        who = self.name.replace("-", "_")
        _check_numbers(who, numbers, x, indices, ScatterDimensionNumbers._fields)
        if updates.dtype != x.dtype:
            raise TypeError(
                f"{who}: operand and updates must have one dtype; got {x.short()} and "
                f"{updates.short()}"
            )
        if x.dtype not in self.accepts:
            raise TypeError(
                f"{who} accepts {self.accepts.name} arrays; got {x.short()}"
            )
        batch = tuple(
            n for i, n in enumerate(updates.shape) if i not in numbers.offset_dims
        )
        if updates.ndim != indices.ndim - 1 + len(numbers.offset_dims) or (
            batch != indices.shape[:-1]
        ):
            raise TypeError(
                f"{who}: the axes of updates {updates.short()} that are not update_window_dims="
                f"{numbers.offset_dims} must have the sizes {indices.shape[:-1]} of the indices "
                f"{indices.short()}"
            )
        sizes = self.window_sizes(x, updates)
        if any(m > n for m, n in zip(sizes, x.shape)):
            raise TypeError(
                f"{who}: windows of updates {updates.short()} have the sizes {sizes}, larger "
                f"than the operand {x.short()}"
            )
        return [Aval(x.shape, x.dtype)]

    def window_sizes(self, x: Any, updates: Any) -> Shape:
        """The sizes of a window along each operand axis."""
        numbers = self.dimension_numbers
        gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
        along = iter(numbers.offset_dims)
        return tuple(
            [
                1 if d in gone else updates.shape[next(along)]
                for d in range(len(x.shape))
            ]
        )

    def windows(self, x: Any, updates: Any) -> Windows:
        sizes = self.window_sizes(x, updates)
        return windows_of(
            self.dimension_numbers, sizes, tuple(x.shape), len(updates.shape)
        )

    def reader(self, x: Any, updates: Any) -> Gather:
        """The gather that reads what this operation writes; zeros where it writes nothing."""
        return Gather(
            self.dimension_numbers,
            self.window_sizes(x, updates),
            self.indices_are_sorted,
            self.unique_indices,
            self.mode,
            0 if self.mode is DROP else None,
        )

    def like(self, kind: Any) -> Any:
        """The operation of another class at the same places."""
        return kind(*[getattr(self, f) for f in self.fields])

    # -- on the host -----------------------------------------------------------------------

    def numpy(self, x: Any, indices: Any, updates: Any) -> list[Any]:
        w = self.windows(x, updates)
        starts, inside = w.starts(indices)
        if self.mode is CLIP:
            inside = None
        out = np.array(x, order="C")
        if updates.size == 0:
            return [out]
        one = w.single(starts)
        if one is not None:
            if inside is None:
                target = out[one]
                self.write(target, ..., updates.reshape(target.shape))
        elif w.whole:
            rows = updates.transpose(w.result_order)
            if inside is not None:
                starts, rows = starts[inside], rows[inside]
            self.write_rows(out, w, starts, rows)
        else:
            places = w.flat(starts, updates.shape)
            if inside is not None:
                kept = np.broadcast_to(w.spread(inside), updates.shape)
                places, updates = places[kept], updates[kept]
            self.write_elements(out.reshape(-1), places.ravel(), updates.ravel())
        return [out]

    def write(self, target: np.ndarray, places: Any, updates: np.ndarray) -> None:
        """Write at distinct places."""
        target[places] = self.ufunc(target[places], updates)

    def write_rows(
        self, out: np.ndarray, w: Windows, starts: np.ndarray, rows: np.ndarray
    ) -> None:
        """Write whole rows; `rows` has the batch axes in front."""
        places = tuple([starts[..., k] for k in range(starts.shape[-1])])
        if self.unique_indices or starts.size == starts.shape[-1]:
            self.write(permuted(out, w.operand_order), places, rows)
            return
        if not w.is_leading:  # the target must be a view of `out`
            out_rows = np.ascontiguousarray(permuted(out, w.operand_order))
            self.write_rows_at(out_rows, places, rows)
            permuted(out, w.operand_order)[...] = out_rows
            return
        self.write_rows_at(out, places, rows)

    def write_rows_at(
        self, out: np.ndarray, places: tuple[np.ndarray, ...], rows: np.ndarray
    ) -> None:
        count = len(places)
        flat = np.ravel_multi_index(places, out.shape[:count]).ravel()
        width = shapes.size(out.shape[count:])
        if width == 1:
            self.write_elements(out.reshape(-1), flat, rows.ravel())
            return
        target, rows = out.reshape(-1, width), rows.reshape(-1, width)
        if not self.sum_rows(target, flat, rows):
            elements = (flat[:, None] * width + np.arange(width)).ravel()
            self.write_elements(out.reshape(-1), elements, rows.ravel())

    def sum_rows(
        self, target: np.ndarray, places: np.ndarray, rows: np.ndarray
    ) -> bool:
        """Add many rows at once where there is a faster way; whether it was done."""
        return False

    def write_elements(
        self, flat: np.ndarray, places: np.ndarray, updates: np.ndarray
    ) -> None:
        """Write at places that may repeat."""
        if self.unique_indices:
            self.write(flat, places, updates)
        else:
            self.ufunc.at(flat, places, updates)

    # -- elsewhere -------------------------------------------------------------------------

    def stablehlo(self, hlo: Any, x: Any, indices: Any, updates: Any) -> list[Any]:
        indices = _wide(hlo, indices)
        if self.mode is CLIP:
            indices = _clamped(hlo, indices, self.windows(x, updates))
        numbers = _numbers_text(
            "scatter", _SCATTER_NAMES, self.dimension_numbers, indices.ndim - 1
        )
        attrs = (
            f"indices_are_sorted = {_flag(self.indices_are_sorted)}, "
            f"scatter_dimension_numbers = {numbers}, unique_indices = {_flag(self.unique_indices)}"
        )
        return [
            hlo.emit(
                "scatter",
                (x, indices, updates),
                hlo.out[0],
                attrs,
                (self.combination(hlo, x.dtype),),
            )
        ]

    def combination(self, hlo: Any, dtype: Any) -> str:
        """The region that combines an element with an update."""
        if self.combiner is not None:
            return hlo.combiner(self.combiner, dtype)  # type: ignore[no-any-return]
        scalar = Aval((), dtype)
        return hlo.region([scalar, scalar], lambda old, new: [new])  # type: ignore[no-any-return]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if not axis.size:
            return batch_of_none(self, args, dims)
        (x, indices, updates), (dx, di, du) = args, dims
        mapped_i = di is not None
        op = type(self)(
            _batched(self.dimension_numbers, True, mapped_i),
            self.indices_are_sorted,
            self.unique_indices,
            self.mode,
        )
        indices = moveaxis(indices, di, 0) if mapped_i else indices
        return op.bind(_leading(axis, x, dx), indices, _leading(axis, updates, du)), [0]


_SCATTER_NAMES = (
    "update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims",
    "input_batching_dims", "scatter_indices_batching_dims",
)  # fmt: skip


def _leading(axis: Any, x: Any, d: int | None) -> Any:
    """The operand with the mapped axis in front, repeated along it if it has none."""
    if d is None:
        return basis.broadcast_in_dim(
            x, (axis.size, *x.shape), tuple(range(1, x.ndim + 1))
        )
    return moveaxis(x, d, 0)


class Scatter(ScatterFamily):
    """y = x with windows replaced by updates; of several updates of an element the last wins.

    Linear in x and updates. Where places may repeat (`unique_indices` False) the derivative is
    that of the updates that win.
    """

    accepts, combiner, ufunc = ANY, None, None

    def write(self, target: np.ndarray, places: Any, updates: np.ndarray) -> None:
        target[places] = updates

    def write_rows_at(
        self, out: np.ndarray, places: tuple[np.ndarray, ...], rows: np.ndarray
    ) -> None:
        out[places] = rows

    def write_elements(
        self, flat: np.ndarray, places: np.ndarray, updates: np.ndarray
    ) -> None:
        flat[places] = updates

    def is_unique(self, x: Any, indices: Any, updates: Any) -> bool:
        """Whether no element is written twice, as far as that is known."""
        if self.unique_indices or shapes.size(indices.shape[:-1]) <= 1:
            return True
        numbers = self.dimension_numbers
        # windows of more than one element overlap also at distinct places
        points = set(numbers.start_index_map) == set(numbers.collapsed_slice_dims)
        if not points or not numbers.start_index_map or numbers.operand_batching_dims:
            return False
        if type(indices) is not Concrete or not indices.on_host():
            return False
        starts = indices.host()
        if self.mode is CLIP:
            starts, _ = self.windows(x, updates).starts(starts)
        vectors = starts.reshape(-1, starts.shape[-1])
        return len(np.unique(vectors, axis=0)) == len(vectors)

    def winners(self, x: Any, indices: Any, updates: Any) -> Any:
        """Which elements of the updates stay in the result, as bool."""
        batch = indices.shape[:-1]
        ids = basis.reshape(Iota(np.dtype(np.int32), (shapes.size(batch),), 0)(), batch)
        axes = self.windows(x, updates).batch_axes
        ids = basis.broadcast_in_dim(ids, updates.shape, axes)
        none = basis.full(x.shape, -1, np.dtype(np.int32))
        written = self(none, indices, ids)
        return eq(self.reader(x, updates)(written, indices), ids)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, indices, updates), (tx, _, tu) = primals, tangents
        if type(tx) is Zero and type(tu) is Zero:
            y = self(x, indices, updates)
            return [y], [Zero(y.aval.tangent())]
        if type(tu) is Zero or self.is_unique(x, indices, updates):
            y = self(x, indices, updates)
            op = self
            if type(tu) is not Zero and not self.unique_indices:
                op = Scatter(
                    self.dimension_numbers, self.indices_are_sorted, True, self.mode
                )
            return [y], [op(instantiate(tx), indices, instantiate(tu))]
        won = self.winners(x, indices, updates)
        y = self.choose(x, indices, updates, won)
        return [y], [self.choose(instantiate(tx), indices, tu, won)]

    def choose(self, x: Any, indices: Any, updates: Any, won: Any) -> Any:
        """The result by known winners, however the engine orders updates."""
        cleared = self(x, indices, basis.zeros_like(updates))
        kept = select(won, updates, basis.zeros_like(updates))
        return self.like(ScatterAdd)(cleared, indices, kept)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, indices, updates) = cts, args
        answers: list[Any] = [None, None, None]
        if type(x) is LinearInput:
            answers[0] = self(ct, indices, basis.zeros(updates.shape, ct.dtype))
        if type(updates) is LinearInput:
            found = self.reader(ct, updates)(ct, indices)
            if not self.is_unique(x, indices, updates):
                won = self.winners(ct, indices, updates)
                found = select(won, found, basis.zeros_like(found))
            answers[2] = found
        return answers


class ScatterAdd(ScatterFamily):
    """y = x with updates added to windows of it. Adjoint: `Gather` at the same places."""

    name = "scatter-add"
    combiner, ufunc = "add", np.add

    def write_elements(
        self, flat: np.ndarray, places: np.ndarray, updates: np.ndarray
    ) -> None:
        many = len(places) > 512 and 4 * len(places) > len(flat)
        if many and not self.unique_indices and dtypes.is_floating(flat.dtype):
            # sums in float64
            total = np.bincount(places, updates, len(flat))
            np.add(flat, total, out=flat, casting="unsafe")
        else:
            super().write_elements(flat, places, updates)

    def sum_rows(
        self, target: np.ndarray, places: np.ndarray, rows: np.ndarray
    ) -> bool:
        if rows.size < _SPARSE or dtypes.is_complex(target.dtype):
            return False
        # as the product of a sparse matrix of ones: ten times ufunc.at
        from scipy.sparse import csc_array

        wide = target.dtype if target.dtype.itemsize >= 4 else np.dtype(np.float32)
        if not dtypes.is_floating(target.dtype):
            wide = target.dtype
        ones = np.ones(len(places), wide)
        steps = np.arange(len(places) + 1)
        matrix = csc_array((ones, places, steps), shape=(len(target), len(places)))
        np.add(
            target, matrix @ rows.astype(wide, copy=False), out=target, casting="unsafe"
        )
        return True

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return _linear_jvp(self, primals, tangents)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, indices, updates) = cts, args
        answers: list[Any] = [None, None, None]
        if type(x) is LinearInput:
            answers[0] = ct
        if type(updates) is LinearInput:
            answers[2] = self.reader(ct, updates)(ct, indices)
        return answers


_SPARSE = 8192  # elements from which on a sparse matrix product pays


class ScatterSub(ScatterFamily):
    """y = x with updates subtracted from windows of it."""

    name = "scatter-sub"
    combiner, ufunc = "subtract", np.subtract

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return _linear_jvp(self, primals, tangents)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        ct, _, found = self.like(ScatterAdd).transpose(cts, args)
        return [ct, None, None if found is None else neg(found)]


def _linear_jvp(op: Any, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    """For operations that are linear in operand and updates."""
    (x, indices, updates), (tx, _, tu) = primals, tangents
    y = op(x, indices, updates)
    if type(tu) is Zero:
        return [y], [tx]
    return [y], [op(instantiate(tx), indices, tu)]


class ScatterMul(ScatterFamily):
    """y = x with windows of it multiplied by updates. Linear in x."""

    name = "scatter-mul"
    combiner, ufunc = "multiply", np.multiply

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, indices, updates), (tx, _, tu) = primals, tangents
        y = self(x, indices, updates)
        out: Any = Zero(y.aval.tangent())
        if type(tx) is not Zero:
            out = self(tx, indices, updates)
        if type(tu) is not Zero:
            moved = mul(tu, self.others(x, indices, updates))
            base = basis.zeros_like(x) if type(out) is Zero else out
            out = self.like(ScatterAdd)(base, indices, moved)
        return [y], [out]

    def others(self, x: Any, indices: Any, updates: Any) -> Any:
        """dy/du for each update u: the element times all other updates of it."""
        read = self.reader(x, updates)
        if self.unique_indices or shapes.size(indices.shape[:-1]) == 1:
            return read(x, indices)
        # y / u, but for zeros: with one zero among its factors an element depends on that alone
        is_zero = eq(updates, basis.zeros_like(updates))
        one = basis.ones_like(updates)
        safe = select(is_zero, one, updates)
        product = read(self(x, indices, safe), indices)
        count = basis.convert(is_zero, np.dtype(np.int32))
        none = basis.zeros(x.shape, np.dtype(np.int32))
        zeros = read(self.like(ScatterAdd)(none, indices, count), indices)
        is_free = eq(zeros, count)  # no other update is zero
        return select(is_free, div(product, safe), basis.zeros_like(updates))

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, indices, updates) = cts, args
        if type(x) is LinearInput:
            return [self(ct, indices, updates), None, None]
        read = self.reader(ct, updates)
        return [None, None, mul(read(ct, indices), self.others(x, indices, updates))]


class ScatterExtremum(ScatterFamily, family=True):
    """y = the extremum of windows of x and updates; ties share the derivative equally."""

    accepts = ORDERED
    chosen: ClassVar[Any]  # of two scalars, also of complex ones

    def combination(self, hlo: Any, dtype: Any) -> str:
        if not dtypes.is_complex(dtype):
            return super().combination(hlo, dtype)
        scalar = Aval((), dtype)
        return hlo.region(  # type: ignore[no-any-return]
            [scalar, scalar], lambda old, new: hlo.inline(self.chosen, old, new)
        )

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, indices, updates), (tx, _, tu) = primals, tangents
        y = self(x, indices, updates)
        if type(tx) is Zero and type(tu) is Zero:
            return [y], [Zero(y.aval.tangent())]
        read, sum_at = self.reader(x, updates), self.like(ScatterAdd)
        stays = basis.convert(eq(x, y), x.dtype)
        comes = basis.convert(eq(updates, read(y, indices)), x.dtype)
        ties = sum_at(stays, indices, comes)
        ties = select(eq(ties, basis.zeros_like(ties)), basis.ones_like(ties), ties)
        out: Any = (
            basis.zeros_like(x) if type(tx) is Zero else mul(tx, div(stays, ties))
        )
        if type(tu) is not Zero:
            share = mul(comes, read(div(basis.ones_like(ties), ties), indices))
            out = sum_at(out, indices, mul(tu, share))
        return [y], [out]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        raise NotImplementedError(
            f"{self.name} has no transpose rule: it is not linear"
        )


class ScatterMin(ScatterExtremum):
    """y = min(x, updates) on windows of x."""

    name = "scatter-min"
    combiner, ufunc, chosen = "minimum", np.minimum, MIN


class ScatterMax(ScatterExtremum):
    """y = max(x, updates) on windows of x."""

    name = "scatter-max"
    combiner, ufunc, chosen = "maximum", np.maximum, MAX


# -- public ----------------------------------------------------------------------------------


def scalar_fill(value: Any, dtype: Any) -> Any:
    """A fill value as a Python number, hashable and equal to itself also if it is NaN.

    Of random keys, whose carriers are not numbers: the bytes of words with all bits set.
    """
    if dtypes.is_key(dtype):
        if value is not None:
            raise TypeError(
                "random keys have no fill value: out of bounds are words with all bits set; got "
                f"fill_value={value!r}"
            )
        return b"\xff" * dtype.itemsize
    if value is None or isinstance(value, (bool, int)):
        return value
    number = value.item() if hasattr(value, "item") else value
    return np.nan if isinstance(number, float) and number != number else number


@public
def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> Any:
    """Windows of an array at computed places; `x[indices]` of ferax.numpy is easier to use.

    Args:
      operand: array of any dtype.
      start_indices: integers, (…, k): index vectors.
      dimension_numbers: see `GatherDimensionNumbers`.
      slice_sizes: of a window, for each operand axis.
      unique_indices, indices_are_sorted: promises that allow faster code.
      mode: "clip", "fill" or "promise_in_bounds" (default, None).
      fill_value: read out of bounds if mode is "fill"; by default NaN, True, the least signed or
        the largest unsigned integer.

    Raises:
      TypeError: the dimension numbers do not fit the shapes.
      ValueError: indices are not integers; unknown mode.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> rows = lax.GatherDimensionNumbers((1,), (0,), (0,))
    >>> x = jnp.arange(6).reshape(3, 2)
    >>> lax.gather(x, jnp.array([[2], [0]]), rows, (1, 2))
    Array([[4, 5],
           [0, 1]], dtype=int32)
    """
    x = to_array(operand, "gather", "operand")
    indices = to_array(start_indices, "gather", "start_indices")
    numbers = GatherDimensionNumbers(*map(integers, dimension_numbers))
    parsed = PROMISE if mode is None else GatherScatterMode.from_any(mode)
    fill = scalar_fill(fill_value, x.dtype) if parsed is DROP else None
    op = Gather(
        numbers,
        integers(slice_sizes),
        bool(indices_are_sorted),
        bool(unique_indices),
        parsed,
        fill,
    )
    if 0 in indices.shape[:-1] and 0 in x.shape and len(op.slice_sizes) == x.ndim:
        # nothing is read, so that windows need not fit into an operand without elements
        _check_numbers("gather", numbers, x.aval, indices.aval, numbers._fields)
        return basis.zeros(op.result_shape(indices.shape), x.dtype)
    return op(x, indices)


def _scatter(
    kind: Any,
    operand: Any,
    indices: Any,
    updates: Any,
    numbers: ScatterDimensionNumbers,
    is_sorted: bool,
    is_unique: bool,
    mode: Any,
) -> Any:
    who = kind.name.replace("-", "_")
    x = to_array(operand, who, "operand")
    indices = to_array(indices, who, "scatter_indices")
    if type(updates) in dtypes.SCALAR_AVALS:
        updates = basis.typed_scalar(updates, x.dtype)
    updates = to_array(updates, who, "updates")
    op = kind(
        GatherDimensionNumbers(*map(integers, numbers)),
        bool(is_sorted),
        bool(is_unique),
        GatherScatterMode.from_any(mode),
    )
    return op(x, indices, updates)


@public
def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with windows replaced by `updates`; the last of several updates wins on CPUs.

    Args:
      operand: array of any dtype.
      scatter_indices: integers, (…, k): index vectors.
      updates: of the operand's dtype; its axes are those of the indices and of a window.
      dimension_numbers: see `ScatterDimensionNumbers`.
      indices_are_sorted, unique_indices: promises that allow faster code; where unique_indices is
        false the result is undefined on some accelerators if places repeat.
      mode: "clip", "drop" (default, None) or "promise_in_bounds".

    Raises:
      TypeError: dimension numbers, shapes or dtypes do not fit.
      ValueError: indices are not integers; unknown mode.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([ 0, 10,  2, 20], dtype=int32)
    """
    return _scatter(
        Scatter, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with `updates` added to windows of it.

    Arguments and errors are those of `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_add(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([ 0, 11,  2, 23], dtype=int32)
    """
    return _scatter(
        ScatterAdd, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with `updates` subtracted from windows of it.

    Arguments and errors are those of `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_sub(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([  0,  -9,   2, -17], dtype=int32)
    """
    return _scatter(
        ScatterSub, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with windows of it multiplied by `updates`.

    Arguments and errors are those of `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_mul(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([ 0, 10,  2, 60], dtype=int32)
    """
    return _scatter(
        ScatterMul, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with the minimum of its windows and `updates`; ties share the derivative.

    Arguments and errors are those of `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_min(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([0, 1, 2, 3], dtype=int32)
    """
    return _scatter(
        ScatterMin, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with the maximum of its windows and `updates`; ties share the derivative.

    Arguments and errors are those of `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_max(jnp.arange(4), jnp.array([[1], [3]]), jnp.array([10, 20]), points)
    Array([ 0, 10,  2, 20], dtype=int32)
    """
    return _scatter(
        ScatterMax, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted,
        unique_indices, mode,
    )  # fmt: skip


@public
def index_take(src: Any, idxs: Any, axes: Sequence[int]) -> Any:
    """The slices of an array at the index arrays `idxs`, one (n,) for each of `axes`.

    Indices count modulo the size of their axis, so that negative ones count from the end. The
    result has the n slices along its axis 0.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.index_take(jnp.arange(6).reshape(2, 3), (jnp.array([0, 1]), jnp.array([2, -1])), (0, 1))
    Array([2, 5], dtype=int32)
    """
    x = to_array(src, "index_take", "src")
    axes = tuple([shapes.canonical_axis(a, x.ndim, who="index_take") for a in axes])
    columns = []
    for index, a in zip(idxs, axes, strict=True):
        i = to_array(index, "index_take", "idxs")
        if i.dtype.itemsize < 4:  # the size may not fit
            i = basis.convert(i, np.dtype(np.int32))
        i = rem(i, max(x.shape[a], 1))
        if dtypes.is_signed(i.dtype):
            i = select(lt(i, 0), add(i, x.shape[a]), i)
        columns.append(basis.expand_dims(i, (i.ndim,)))
    indices = concatenate(columns, columns[0].ndim - 1)
    kept = tuple(d for d in range(x.ndim) if d not in axes)
    numbers = GatherDimensionNumbers(
        tuple(range(indices.ndim - 1, indices.ndim - 1 + len(kept))),
        tuple(sorted(axes)),
        axes,
    )
    sizes = tuple(1 if d in axes else n for d, n in enumerate(x.shape))
    return Gather(numbers, sizes)(x, indices)
