"""What an index says: its parts, and its places as gather and scatter want them.

`parse` reads what stands between the brackets against the shape of the array into parts: `Span` (a
slice), `Point` (a known integer inside the axis), `Places` (an integer array, or an integer known
only later), `Mask`, and NEW (an axis of size 1). `Plan` is gather's and scatter's description
of parts with places.

What is subtle: where the axes of broadcast integer arrays go. If all places and points stand
next to each other, to the first of them; else to the front (NumPy, "Combining advanced and basic
indexing"). Known integers count as places there, once there is one array, and an ellipsis
separates even if it stands for no axis.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval, Shape
from ferax.core.tracing import Tracer, state
from ferax.lax import elementwise as el
from ferax.lax.indexing import GatherDimensionNumbers
from ferax.lax.shape import Concatenate
from ferax.numpy import creation
from ferax.numpy.ufuncs import minimum

# -- parts -----------------------------------------------------------------------------------


class Span(NamedTuple):
    """x[start], x[start + step], …: `size` elements of an axis, all of them inside."""

    start: int
    step: int
    size: int


class Point(NamedTuple):
    """One element of an axis."""

    place: int


class Places(NamedTuple):
    """The elements of an axis at the places in an integer array, known or not."""

    array: Any


class Mask(NamedTuple):
    """The elements of as many axes as the mask has where it is true."""

    array: Any


class _Mark:
    """A part that takes no axis of the array."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


NEW = _Mark("NEW")  # a new axis of size 1
GONE = _Mark("GONE")  # where a point was: its axis is gone already
_SLICE_ALL = slice(None)


class Parsed(NamedTuple):
    """An index: the shape it applies to (with an axis for each scalar bool) and its parts.

    `is_together` says that points, places and masks stand next to each other.
    """

    shape: Shape
    parts: list[Any]
    is_together: bool = True

    def has(self, kind: type) -> bool:
        return any(type(p) is kind for p in self.parts)


def parse(
    aval: Aval,
    index: Any,
    *,
    strict: bool = True,
    wrap: bool = True,
    keep_masks: bool = False,
) -> Parsed:
    """The parts of an index of an array.

    Args:
      aval: of the array.
      index: what stands between the brackets.
      strict: whether known integers out of bounds are errors; else they become places.
      wrap: whether negative integers count from the end.
      keep_masks: keep boolean arrays; else they become the places of their true elements.
    """
    items = (
        [_item(i) for i in index]
        if type(index) is tuple
        else [_item(index, alone=True)]
    )
    taken = sum(_axes_taken(i) for i in items)
    if taken > aval.ndim:
        raise IndexError(
            f"Too many indices: array is {aval.ndim}-dimensional, but {taken} were indexed; the "
            f"array is {aval.short()}"
        )
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    # an ellipsis separates even where it stands for no axis
    advanced = [k for k, i in enumerate(items) if type(i) is int or hasattr(i, "dtype")]
    is_together = not advanced or advanced[-1] - advanced[0] + 1 == len(advanced)
    k = dots[0] if dots else len(items)
    items[k : k + 1] = [_SLICE_ALL] * (aval.ndim - taken)
    shape: list[int] = []
    parts: list[Any] = []
    axis = 0
    for item in items:
        if item is None:
            parts.append(NEW)
        elif _is_mask(item):
            axis = _add_mask(aval, item, axis, shape, parts, keep_masks)
        else:
            shape.append(aval.shape[axis])
            parts.append(_part(aval, axis, item, strict, wrap))
            axis += 1
    return Parsed(tuple(shape), parts, is_together)


def _item(item: Any, alone: bool = False) -> Any:
    """One element of an index: None, Ellipsis, a slice, an int, or an array of ints or bools."""
    kind = type(item)
    if kind is int or kind is slice or item is None or item is Ellipsis:
        return item
    if isinstance(item, (bool, np.bool_)):
        return np.asarray(item)
    if isinstance(item, (list, tuple, range)):
        if alone:
            raise TypeError(
                "Using a non-tuple sequence for multidimensional indexing is not allowed: "
                f"x[{item!r}] could mean an array of places or several axes. Use "
                "x[jnp.array(sequence)] or x[tuple(sequence)]."
            )
        item = creation.asarray(item) if len(item) else np.zeros(0, np.intp)
    elif isinstance(item, str):
        raise TypeError(f"an index cannot be a string; got {item!r}")
    elif hasattr(item, "__jax_array__"):
        item = item.__jax_array__()
    elif not isinstance(item, (Array, np.ndarray, np.generic)):
        return _python_item(item)
    if not (dtypes.is_integer(item.dtype) or dtypes.is_bool(item.dtype)):
        raise TypeError(
            "Indexer must have integer or boolean type, got indexer with type "
            f"{item.dtype.name}. Convert it with .astype(int)."
        )
    if not item.shape and not dtypes.is_bool(item.dtype):
        known = host_of(item)
        return item if known is None else int(known)
    return item


def _python_item(item: Any) -> int:
    if isinstance(item, (float, complex)):
        raise TypeError(
            f"Indexer must have integer or boolean type, got the {type(item).__name__} {item!r}"
        )
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or "
            f"boolean arrays are valid indices. Got {item!r}"
        ) from None


def host_of(x: Any, fetch: bool = True) -> np.ndarray | None:
    """The values of an array, if they are known now; `fetch` them also from a device."""
    if isinstance(x, Tracer):
        x = x.concrete()
        if x is None:
            return None
    if isinstance(x, Concrete):
        return x.host() if fetch or x.on_host() else None
    return np.asarray(x)


def known_values(x: Any, who: str, remedy: str) -> np.ndarray:
    """The values of an array on which a result depends that has to be known while tracing."""
    found = host_of(x)
    if found is None:
        raise errors.ConcretizationTypeError(
            f"{who} depends on the values of a traced array ({x.aval.short()}).\n"
            f"{errors.user_line()}{x.origin()}\n{remedy}"
        )
    return found


def hosts_now(*arrays: Any) -> list[Any] | None:
    """The values of arrays on which NumPy may work at once: known, and not to be staged."""
    trace = state.trace
    if trace is not None and trace.stages:
        return None
    if all(type(x) is Concrete and x.on_host() for x in arrays):
        return [x.host() for x in arrays]
    return None


def _is_mask(item: Any) -> bool:
    return isinstance(item, (Array, np.ndarray)) and dtypes.is_bool(item.dtype)


def _axes_taken(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_mask(item) else 1


def _add_mask(
    aval: Aval, mask: Any, axis: int, shape: list[int], parts: list[Any], keep: bool
) -> int:
    """Append the part(s) of a boolean array; the next axis."""
    for i, (n, m) in enumerate(zip(mask.shape, aval.shape[axis:])):
        if n != m:
            raise IndexError(
                f"boolean index did not match shape of indexed array in index {axis + i}: got "
                f"{mask.shape}, expected {list(aval.shape[axis : axis + mask.ndim])}"
            )
    known = host_of(mask)
    if keep:
        parts.append(Mask(mask if known is None else known))
        shape.extend(mask.shape)
    elif known is None:
        raise errors.NonConcreteBooleanIndexError(mask)
    elif not mask.shape:  # NumPy: a new axis, of which all or nothing is taken
        shape.append(1)
        parts.append(Places(np.zeros(int(known), np.int32)))
    else:
        shape.extend(mask.shape)
        parts.extend(Places(i.astype(np.int32)) for i in np.nonzero(known))
    return axis + mask.ndim


def _part(aval: Aval, axis: int, item: Any, strict: bool, wrap: bool) -> Any:
    n = aval.shape[axis]
    if type(item) is int:
        if 0 <= item < n:
            return Point(item)
        if -n <= item < 0 and wrap:
            return Point(item + n)
        if strict:
            raise IndexError(
                f"index {item} is out of bounds for axis {axis} with size {n}; the array is "
                f"{aval.short()}"
            )
        return Places(np.asarray(item, np.int64 if abs(item) >= 2**31 else np.int32))
    if type(item) is slice:
        try:
            start, stop, step = item.indices(n)
        except errors.TracerIntegerConversionError:
            raise IndexError(
                f"Slice entries must be static integers. Got {item} for axis {axis}. With a "
                "traced start and a static size, use lax.dynamic_slice_in_dim(x, start, size); "
                "otherwise keep the size and mask: jnp.where((i >= start) & (i < stop), x, 0) "
                "with i = jnp.arange(n)."
            ) from None
        return Span(start, step, len(range(start, stop, step)))
    return Places(item)


def region_shape(parts: Sequence[Any]) -> Shape:
    """The shape of what spans, points and new axes select."""
    kept: list[Any] = [p for p in parts if p is NEW or type(p) is Span]
    return tuple([1 if p is NEW else p.size for p in kept])


# -- places ----------------------------------------------------------------------------------


def index_dtype(arrays: Sequence[Any]) -> np.dtype:
    """The dtype that places are computed in: 64 bits if any has them and they are enabled."""
    is_wide = any(a.dtype.itemsize == 8 for a in arrays)
    return dtypes.canonical(np.dtype(np.int64)) if is_wide else np.dtype(np.int32)  # type: ignore[no-any-return]


def counted(places: Any, n: int, dtype: np.dtype, wrap: bool) -> Any:
    """Places in `dtype`, negative ones counted from the end of an axis of size `n`."""
    known = host_of(places, fetch=False)
    if known is not None:
        if dtypes.is_unsigned(known.dtype):
            known = np.minimum(known, min(n, np.iinfo(known.dtype).max))
        if known.dtype.itemsize > dtype.itemsize:  # what is far outside stays outside
            info = np.iinfo(dtype)
            known = np.clip(known, info.min, info.max)
        found = known.astype(dtype, copy=False)
        if wrap and found.size and found.min() < 0:
            found = np.where(found < 0, found + n, found).astype(dtype)
        elif type(places) is Concrete and found is known:
            return places
        return Concrete(Aval(found.shape, dtype), found)
    if dtypes.is_unsigned(places.dtype):
        if places.dtype.itemsize >= 4:  # beyond the end stays beyond the end
            places = minimum(places, np.asarray(n, places.dtype))
        return basis.convert(places, dtype)
    places = basis.convert(places, dtype)
    if not wrap:
        return places
    return basis.select(el.lt(places, 0), basis.add(places, n), places)


class Plan:
    """Gather's and scatter's description of an index.

    `shape` is that of the result; `inner` the same without new axes, as gather and scatter see it.
    `sizes` are those of a window. Partial spans are windows with a known start, spans with a step
    are places.
    """

    def __init__(self, parts: Sequence[Any], operand: Shape, is_together: bool):
        advanced = [
            k for k, p in enumerate(parts) if type(p) in (Point, Places) or p is GONE
        ]
        first = advanced[0] if is_together else 0
        self.common = _common_shape([p.array for p in parts if type(p) is Places])
        shape: list[int] = []
        inner: list[int] = []
        offset, sizes, mapped, collapsed = [], [], [], []
        self.columns: list[tuple[Any, int | None]] = []  # values, and their batch axis
        self.common_at = 0
        batch = 0
        axis = 0
        for k, p in enumerate(parts):
            if k == first:
                self.common_at = batch
                batch += len(self.common)
                shape.extend(self.common)
                inner.extend(self.common)
            if p is NEW:
                shape.append(1)
                continue
            if p is GONE:
                continue
            if type(p) is Span:
                shape.append(p.size)
                is_window = p.step == 1 or p.size <= 1
                if is_window:
                    offset.append(len(inner))
                inner.append(p.size)
                sizes.append(p.size if is_window else 1)
                if not is_window:
                    collapsed.append(axis)
                    steps = np.arange(p.size) * p.step + p.start
                    self.columns.append((steps.astype(np.int32), batch))
                    mapped.append(axis)
                    batch += 1
                elif p.size != operand[axis]:
                    self.columns.append((p.start, None))
                    mapped.append(axis)
            else:
                sizes.append(1)
                collapsed.append(axis)
                mapped.append(axis)
                self.columns.append((p[0], None))
            axis += 1
        self.shape, self.inner, self.sizes = tuple(shape), tuple(inner), tuple(sizes)
        self.batch = tuple(n for i, n in enumerate(inner) if i not in offset)
        self.mapped = tuple(mapped)
        self.numbers = GatherDimensionNumbers(
            tuple(offset), tuple(collapsed), tuple(mapped)
        )

    @property
    def is_single(self) -> bool:
        """Whether there is only one window."""
        return shapes.size(self.batch) == 1

    def vectors(self, operand: Shape, wrap: bool) -> Any:
        """The index vectors, (*batch, k)."""
        rank = len(self.batch)
        dtype = index_dtype([c for c, _ in self.columns if type(c) is not int])
        columns = []
        for (values, at), axis in zip(self.columns, self.mapped):
            if type(values) is int:
                column = Concrete(Aval((), dtype), np.asarray(values, dtype))
            else:
                column = counted(values, operand[axis], dtype, wrap)
            place = (
                self.common_at + len(self.common) - column.ndim if at is None else at
            )
            lead = place if column.ndim else 0
            tail = rank - lead - column.ndim if column.ndim else rank
            columns.append(
                _reshaped(column, (*(1,) * lead, *column.shape, *(1,) * tail, 1))
            )
        target = (*self.batch, 1)
        known: list[Any] = [
            c.host() if type(c) is Concrete and c.on_host() else None for c in columns
        ]
        if len(columns) == 1 and columns[0].shape == target:
            return columns[0]
        if all(k is not None for k in known):
            joined = np.concatenate(
                [np.broadcast_to(k, target) for k in known], axis=-1
            )
            return Concrete(Aval(joined.shape, joined.dtype), joined)
        columns = [basis.broadcast_to(c, target) for c in columns]
        return columns[0] if len(columns) == 1 else Concatenate(rank)(*columns)


def _reshaped(x: Any, shape: Shape) -> Any:
    """`reshape` that does not stage an operation for known values."""
    if type(x) is Concrete and x.on_host():
        return Concrete(Aval(shape, x.aval.dtype), x.host().reshape(shape))
    return basis.reshape(x, shape)


def _common_shape(arrays: Sequence[Any]) -> Shape:
    try:
        return shapes.broadcast_shapes(*(tuple(a.shape) for a in arrays))
    except ValueError:
        listing = " ".join(str(tuple(a.shape)) for a in arrays)
        raise IndexError(
            "shape mismatch: indexing arrays could not be broadcast together with shapes "
            f"{listing}"
        ) from None
