"""NumPy's indexing, `x[index]`, and `x.at[index].set(…)` and its like.

What an index consists of (`ferax/numpy/places.py`) decides what is done:

  only spans and points       slice, rev, reshape; written back by dynamic_update_slice
  places without dimensions   one dynamic_slice
  places                      one gather; written by one scatter
  one mask, when writing      select, so that the mask may be traced

On values that are at hand none of this runs: NumPy indexes, with its own rules, which are the
same ones as long as nothing is out of bounds (`_known_index`, `_write`).

Out of bounds: `x[10]` with a known integer raises IndexError, as in NumPy. Integer arrays and
traced integers clamp when read and are dropped when written, unless `mode` says otherwise; that
is JAX's documented behaviour, and `x.at[10]`, which has a `mode`, follows it for known
integers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval, Shape
from ferax.core.tracing import state, to_array
from ferax.errors import public, warn
from ferax.lax import indexing as lax_indexing
from ferax.lax.applying import apply_elementwise, scatter_apply_points
from ferax.lax.dynamic import DynamicSlice, DynamicUpdateSlice
from ferax.lax.indexing import GatherScatterMode, scalar_fill
from ferax.lax.shape import Pad, Rev, slice_of
from ferax.numpy import creation
from ferax.numpy.operations import EQ, scalar
from ferax.numpy.places import (
    GONE,
    NEW,
    Mask,
    Parsed,
    Places,
    Plan,
    Point,
    Span,
    counted,
    host_of,
    index_dtype,
    parse,
    region_shape,
)
from ferax.numpy.promoting import cast, inexact_dtype
from ferax.numpy.ufuncs import maximum, minimum, power, true_divide

DROP = GatherScatterMode.FILL_OR_DROP
PROMISE = GatherScatterMode.PROMISE_IN_BOUNDS

# -- reading ---------------------------------------------------------------------------------

_PLAIN = frozenset((int, slice, type(None), type(Ellipsis)))
_UNKNOWN = object()
_SMALL = (
    256  # elements up to which a copy costs less than keeping the whole array alive
)


def getitem(x: Any, index: Any) -> Any:
    """`x[index]`: every kind of index that NumPy has, but for lists.

    Raises:
      IndexError: a known integer is out of bounds; too many indices; arrays do not broadcast.
      TypeError: an index is a list, a string or not integer.
      NonConcreteBooleanIndexError: a mask is traced.
    """
    if type(x) is Concrete:
        trace = state.trace
        if trace is None or not trace.stages:
            known = index if type(index) in _PLAIN else _known_index(index)
            if known is not _UNKNOWN:
                host = x._host
                if host is None and x.on_host():
                    host = x.host()
                if host is not None:
                    try:
                        out = host[known]
                    except (IndexError, TypeError, ValueError):
                        pass  # out of bounds, or an error that is explained below
                    else:
                        return _wrapped(x.aval, out)
    return _getitem(x, index)


def _wrapped(aval: Aval, out: Any) -> Concrete:
    """What NumPy gave, as an array like that of `aval`."""
    if type(out) is not np.ndarray:
        out = np.asarray(out, dtypes.carrier(aval.dtype))
    elif out.base is not None and out.size <= _SMALL:
        out = out.copy()
    return Concrete(Aval(out.shape, aval.dtype, aval.weak_type), out)


def _known_index(index: Any) -> Any:
    """The index as NumPy takes it, if all of it is known and on the host."""
    kind = type(index)
    if kind in _PLAIN or kind is bool:
        return index
    if kind is tuple:
        parts = [i if type(i) in _PLAIN else _known_index(i) for i in index]
        return _UNKNOWN if any(p is _UNKNOWN for p in parts) else tuple(parts)
    if kind is Concrete:
        dtype = index.aval.dtype
        if (dtypes.is_integer(dtype) or dtypes.is_bool(dtype)) and index.on_host():
            return index.host()
    elif (
        kind is np.ndarray or isinstance(index, np.generic)
    ) and index.dtype.kind in "iub":
        return index
    return _UNKNOWN


@public
def _getitem(x: Any, index: Any) -> Any:
    return read(x, parse(x.aval, index))


def read(
    x: Any, index: Parsed, *, mode: GatherScatterMode = PROMISE, fill_value: Any = None,
    wrap: bool = True, is_sorted: bool = False, is_unique: bool = False,
) -> Any:  # fmt: skip
    """The elements at a parsed index, as operations of the active transformation."""
    x = basis.reshape(x, index.shape)
    parts = index.parts
    places = [p for p in parts if type(p) is Places]
    if not places:
        return _read_spans(x, parts)
    if any(n == 0 for n in x.shape):
        return _read_nothing(x, index, mode, fill_value)
    if mode is DROP and _all_inside(x.shape, parts, wrap):
        mode = PROMISE
    if mode is not DROP and not any(p.array.shape for p in places):
        return _read_window(x, parts, wrap)
    x, parts = _without_points(x, parts)
    plan = Plan(parts, x.shape, index.is_together)
    op = lax_indexing.Gather(
        plan.numbers,
        plan.sizes,
        is_sorted,
        is_unique,
        mode,
        fill_value if mode is DROP else None,
    )
    return basis.reshape(op(x, plan.vectors(x.shape, wrap)), plan.shape)


def _all_inside(shape: Shape, parts: Sequence[Any], wrap: bool) -> bool:
    """Whether all places are known to be in bounds."""
    taking = [p for p in parts if p is not NEW]
    for n, p in zip(shape, taking):
        if type(p) is Places:
            known = host_of(p.array, fetch=False)
            if known is None:
                return False
            if known.size and (known.min() < (-n if wrap else 0) or known.max() >= n):
                return False
    return True


def _read_spans(x: Any, parts: Sequence[Any]) -> Any:
    """Spans and points: slice, rev, reshape."""
    starts: list[int] = []
    limits, strides, reverse, shape = [], [], [], []
    for p in parts:
        if p is NEW:
            shape.append(1)
            continue
        start, step, size = (p.place, 1, 1) if type(p) is Point else p
        if step < 0 and size:
            reverse.append(len(starts))
            start, step = start + (size - 1) * step, -step
        elif step < 0:
            start, step = 0, 1
        if type(p) is Span:
            shape.append(size)
        if size <= 1:
            step = 1
        starts.append(start)
        limits.append(start + (size - 1) * step + 1 if size else start)
        strides.append(step)
    x = slice_of(x, tuple(starts), tuple(limits), tuple(strides))
    if reverse and x.size > 1:
        x = Rev(tuple(reverse))(x)
    return basis.reshape(x, tuple(shape))


def _read_window(x: Any, parts: Sequence[Any], wrap: bool) -> Any:
    """Places without dimensions: one dynamic_slice, all of whose starts clamp."""
    x, parts = _stepped(x, parts)
    taking = [p for p in parts if p is not NEW]
    starts = [p.array if type(p) is Places else p[0] for p in taking]
    dtype = index_dtype([s for s in starts if type(s) is not int])
    values = [
        Concrete(Aval((), dtype), np.asarray(s, dtype))
        if type(s) is int
        else counted(s, x.shape[d], dtype, wrap)
        for d, s in enumerate(starts)
    ]
    sizes = tuple([p.size if type(p) is Span else 1 for p in taking])
    return basis.reshape(DynamicSlice(sizes)(x, *values), region_shape(parts))


def _stepped(x: Any, parts: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Slice along the axes whose span has a step other than 1."""
    if all(type(p) is not Span or p.step == 1 for p in parts):
        return x, list(parts)
    first: list[Any] = []
    rest: list[Any] = []
    axis = 0
    for p in parts:
        if p is NEW:
            rest.append(p)
            continue
        whole = Span(0, 1, x.shape[axis])
        is_stepped = type(p) is Span and p.step != 1
        first.append(p if is_stepped else whole)
        rest.append(Span(0, 1, p.size) if is_stepped else p)
        axis += 1
    return _read_spans(x, first), rest


def _without_points(x: Any, parts: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Do the static part first: what remains are whole axes and places."""
    first: list[Any] = []
    rest: list[Any] = []
    axis = 0
    for p in parts:
        if p is NEW:
            rest.append(NEW)
            continue
        first.append(Span(0, 1, x.shape[axis]) if type(p) is Places else p)
        rest.append(
            GONE if type(p) is Point else Span(0, 1, p.size) if type(p) is Span else p
        )
        axis += 1
    return _read_spans(x, first), rest


def _read_nothing(
    x: Any, index: Parsed, mode: GatherScatterMode, fill_value: Any
) -> Any:
    """Places in an array without elements."""
    x, parts = _without_points(x, index.parts)
    plan = Plan(parts, x.shape, index.is_together)
    if shapes.size(plan.shape) == 0:
        return basis.full(plan.shape, 0, x.dtype)
    if mode is DROP:
        op = lax_indexing.Gather(
            plan.numbers, plan.sizes, False, False, mode, fill_value
        )
        return basis.full(plan.shape, op.fill(x.dtype)[()], x.dtype)
    raise IndexError(
        f"an array without elements ({x.aval.short()}) has nothing at any index; "
        "x.at[index].get(mode='fill') reads a fill value"
    )


# -- writing ---------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """A way to update elements."""

    name: str
    ufunc: Any  # NumPy's; None to replace
    combine: Callable[[Any, Any], Any]  # of old elements and values, on arrays
    scatter: Any  # the primitive, None if there is none
    identity: int | None  # the value that changes nothing


_SET = _Kind("set", None, lambda x, v: v, lax_indexing.Scatter, None)
_ADD = _Kind("add", np.add, basis.add, lax_indexing.ScatterAdd, 0)
_SUBTRACT = _Kind("subtract", np.subtract, basis.sub, lax_indexing.ScatterSub, 0)
_MULTIPLY = _Kind("multiply", np.multiply, basis.mul, lax_indexing.ScatterMul, 1)
_DIVIDE = _Kind("divide", np.divide, true_divide, None, 1)
_POWER = _Kind("power", np.power, power, None, 1)
_MIN = _Kind("min", np.minimum, minimum, lax_indexing.ScatterMin, None)
_MAX = _Kind("max", np.maximum, maximum, lax_indexing.ScatterMax, None)

_RANKS = {bool: 0, int: 1, float: 2, complex: 3}
_MANY = 4096  # values from which on the scatter primitive's ways of summing pay


def _rank(dtype: Any) -> int:
    """0 for bool, 1 integer, 2 floating, 3 complex."""
    found = _RANKS.get(dtype)
    if found is None:
        found = _RANKS[dtype] = 4 if dtypes.is_key(dtype) else _RANKS[dtypes.scalar_type_of(
            np.zeros(0, dtype))]  # fmt: skip
    return found


def _write(x: Concrete, index: Any, values: Any, kind: _Kind) -> Concrete | None:
    """The update by NumPy, on known values; None where its rules are not ours."""
    known = index if type(index) in _PLAIN else _known_index(index)
    if known is _UNKNOWN or not x.on_host():
        return None
    host = x.host()
    dtype = x.aval.dtype
    given = type(values)
    strong = None
    if given in _RANKS:
        if _RANKS[given] > _rank(dtype):
            return None
    elif given is Concrete:
        if not values.on_host() or _rank(values.aval.dtype) > _rank(dtype):
            return None
        strong = None if values.aval.weak_type else values.aval.dtype
        values = values.host()
    elif (
        given is not np.ndarray
        or values.dtype.kind not in "biufc"
        or _rank(values.dtype) > _rank(dtype)
    ):
        return None
    else:
        strong = dtypes.canonical(values.dtype)
    if dtypes.is_key(dtype):
        return None
    is_wide = strong not in (None, dtype) and dtypes.result_type(strong, dtype) != dtype
    if is_wide and kind is not _SET:
        return None  # computed in the wider dtype
    out = host.copy()
    try:
        if kind.ufunc is None:
            state.quiet(out.__setitem__, known, values)
        elif not _combine(out, known, values, kind):
            return None
    except (IndexError, TypeError, ValueError, OverflowError):
        return None  # explained, or done by other rules, elsewhere
    return Concrete(x.aval, out)


def _combine(out: np.ndarray, index: Any, values: Any, kind: _Kind) -> bool:
    """out[index] = ufunc(out[index], values), repeatedly where places repeat."""
    if _rank(out.dtype) == 0 or (kind in (_DIVIDE, _POWER) and _rank(out.dtype) < 2):
        return False
    values = np.asarray(values).astype(out.dtype, copy=False)
    parts = index if type(index) is tuple else (index,)
    repeats = any(
        isinstance(p, np.ndarray) and p.dtype.kind in "iu" and p.size > 1 for p in parts
    )
    if not repeats:
        out[index] = state.quiet(kind.ufunc, out[index], values)
        return True
    if kind is _POWER or values.size > _MANY:
        return False
    if (
        values.ndim
    ):  # NumPy 2.4's ufunc.at reads past the end of values that it broadcasts
        values = np.broadcast_to(values, out[index].shape)
    state.quiet(kind.ufunc.at, out, index, values)
    return True


def write(
    x: Any, index: Any, values: Any, kind: _Kind, *, mode: GatherScatterMode = DROP,
    wrap: bool = True, is_sorted: bool = False, is_unique: bool = False,
) -> Any:  # fmt: skip
    """The updated array, as operations of the active transformation."""
    if kind is _DIVIDE and not dtypes.is_inexact(x.dtype):
        x = basis.convert(x, inexact_dtype(x.dtype))
    if kind is _POWER and x.dtype == np.bool_:  # powers of bools are integers
        x = basis.convert(x, dtypes.canonical(np.dtype(np.int64)))
    values = creation.asarray(values)
    _check_values(x, values, kind)
    if kind is not _SET and values.dtype != x.dtype:
        wide, _ = dtypes.promote(x.aval, values.aval)
        if wide != x.dtype and kind.scatter is not None:
            found = write(
                basis.convert(x, wide), index, values.astype(wide), kind, mode=mode, wrap=wrap,
                is_sorted=is_sorted, is_unique=is_unique,
            )  # fmt: skip
            return basis.convert(found, x.dtype, x.aval.weak_type)
    values = cast(values, x.dtype, x.aval.weak_type)
    parsed = parse(x.aval, index, strict=False, wrap=wrap, keep_masks=True)
    if parsed.has(Mask):
        found = _write_masked(x, parsed, values, kind)
        if found is not None:
            return found
        parsed = parse(x.aval, index, strict=False, wrap=wrap)
    shape = x.shape
    x = basis.reshape(x, parsed.shape)
    if not parsed.has(Places):
        region = region_shape(parsed.parts)
        values = _fitted(values, region)
        if kind is _SET:
            new = basis.broadcast_to(values, region)
        else:
            new = kind.combine(_read_spans(x, parsed.parts), values)
        return basis.reshape(_write_spans(x, parsed.parts, new), shape)
    plan = Plan(parsed.parts, x.shape, parsed.is_together)
    values = _fitted(values, plan.shape)
    if shapes.size(plan.shape) == 0 or any(n == 0 for n in x.shape):
        return basis.reshape(x, shape)
    values = basis.reshape(basis.broadcast_to(values, plan.shape), plan.inner)
    single = plan.is_single
    options = plan.numbers, is_sorted or single, is_unique or single, mode
    vectors = plan.vectors(x.shape, wrap)
    if kind.scatter is not None:
        return basis.reshape(kind.scatter(*options)(x, vectors, values), shape)
    # a product of several divisors, or exponents, of one element
    multiply = lax_indexing.ScatterMul(*options)
    factors = multiply(basis.ones_like(x), vectors, values)
    if kind is _DIVIDE:
        return basis.reshape(kind.combine(x, factors), shape)
    # x ** 1 has no derivative by its exponent where x < 0: leave the other elements alone
    zeros = basis.zeros_like(values)
    touched = EQ(multiply(basis.ones_like(x), vectors, zeros), scalar(0, x.dtype))
    powers = kind.combine(basis.select(touched, x, scalar(1, x.dtype)), factors)
    return basis.reshape(basis.select(touched, powers, x), shape)


def _check_values(x: Any, values: Any, kind: _Kind) -> None:
    """A warning where the dtype of the array cannot hold what the values are."""
    if values.dtype == x.dtype:
        return
    if dtypes.is_key(x.dtype) or dtypes.is_key(values.dtype):
        raise TypeError(
            f"x.at[…].{kind.name}: values {values.aval.short()} cannot be written into "
            f"{x.aval.short()}"
        )
    if _rank(values.dtype) > _rank(x.dtype):
        warn(
            f"scatter inputs have incompatible types: x.at[…].{kind.name} casts values from "
            f"dtype={values.dtype.name} to dtype={x.dtype.name}, which loses information. Convert "
            "x or the values with .astype(…); in future this will be an error.",
            FutureWarning,
        )


def _fitted(values: Any, shape: Shape) -> Any:
    """Values that broadcast to the shape of what they update."""
    extra = values.ndim - len(shape)
    if extra > 0 and all(n == 1 for n in values.shape[:extra]):
        values = basis.reshape(values, values.shape[extra:])
    if values.ndim > len(shape) or any(
        n not in (1, m) for n, m in zip(values.shape[::-1], shape[::-1])
    ):
        raise ValueError(
            f"x.at[…]: values of shape {values.shape} do not broadcast to the shape {shape} of "
            "the elements to update"
        )
    return values


def _write_spans(x: Any, parts: Sequence[Any], new: Any) -> Any:
    """`x` with the elements at spans and points replaced by `new`."""
    if new.size == 0:
        return x
    taking = [p for p in parts if p is not NEW]
    spans = [p if type(p) is Span else Span(p.place, 1, 1) for p in taking]
    block = basis.reshape(new, tuple([s.size for s in spans]))
    reverse = tuple([i for i, s in enumerate(spans) if s.step < 0 and s.size > 1])
    if reverse:
        block = Rev(reverse)(block)
    spans = [
        Span(s.start + (s.size - 1) * s.step, -s.step, s.size) if s.step < 0 else s
        for s in spans
    ]
    spans = [s if s.size > 1 else Span(s.start, 1, s.size) for s in spans]
    if block.shape == x.shape:
        return basis.convert(block, x.dtype, x.aval.weak_type)
    if all(s.step == 1 for s in spans):
        starts = [
            Concrete(Aval((), _INT32), np.asarray(s.start, _INT32)) for s in spans
        ]
        return DynamicUpdateSlice()(x, block, *starts)
    config = []
    mask: Any = np.ones((1,) * x.ndim, bool)
    for d, (s, n) in enumerate(zip(spans, x.shape)):
        last = s.start + (s.size - 1) * s.step
        config.append((s.start, n - 1 - last, s.step - 1))
        along = np.zeros(n, bool)
        along[s.start : last + 1 : s.step] = True
        if not along.all():
            mask = mask & along.reshape([n if i == d else 1 for i in range(x.ndim)])
    spread = Pad(tuple(config))(block, basis.zeros((), x.dtype))
    return basis.select(to_array(mask), spread, x)


_INT32 = np.dtype(np.int32)


def _write_masked(x: Any, index: Parsed, values: Any, kind: _Kind) -> Any:
    """An update where a mask is true, by select; None if that needs the mask's values."""
    found = _masked_region(x, index)
    if found is None:
        return None
    mask, region, behind, is_in_place = found
    place = values.ndim - behind - 1 if is_in_place else 0
    if 0 <= place < values.ndim:  # the axis along which the true elements are counted
        if values.shape[place] != 1 or not is_in_place:
            if host_of(mask) is None:
                raise errors.NonConcreteBooleanIndexError(mask)
            return None
        shape = values.shape
        values = basis.reshape(
            values, (*shape[:place], *(1,) * mask.ndim, *shape[place + 1 :])
        )
    chosen = basis.reshape(to_array(mask), tuple(mask.shape) + (1,) * behind)
    old = _read_spans(x, region)
    values = _fitted(values, old.shape)
    if kind.identity is None:
        new = basis.select(chosen, kind.combine(old, values), old)
    else:  # so that derivatives at other elements stay finite
        same = basis.full((), kind.identity, x.dtype)
        new = kind.combine(old, basis.select(chosen, values, same))
    return _write_spans(x, region, basis.broadcast_to(new, old.shape))


def _masked_region(x: Any, index: Parsed) -> tuple[Any, list[Any], int, bool] | None:
    """The mask of an index with one mask and no places; the spans that it lies in.

    Also how many axes of the result are behind it, and whether its own axis is in its place: not
    so if points stand apart from it (see the head of this file).
    """
    masks = [p for p in index.parts if type(p) is Mask]
    if len(masks) > 1 or index.has(Places):
        for m in masks:
            if host_of(m.array) is None:
                raise errors.NonConcreteBooleanIndexError(m.array)
        return None
    region: list[Any] = []
    behind = 0
    seen = False
    for p in index.parts:
        if type(p) is Mask:
            seen = True
            region.extend(Span(0, 1, n) for n in p.array.shape)
        else:
            region.append(p)
            behind += seen and type(p) is not Point
    return masks[0].array, region, behind, index.is_together


def _apply(
    x: Any, index: Any, func: Callable[..., Any], mode: GatherScatterMode, wrap: bool,
    is_sorted: bool, is_unique: bool,
) -> Any:  # fmt: skip
    """`func` applied to the elements at an index, repeatedly where places repeat."""
    parsed = parse(x.aval, index, strict=False, wrap=wrap, keep_masks=True)
    if parsed.has(Mask):
        found = _masked_region(x, parsed)
        if found is not None:
            mask, region, behind, _ = found
            old = _read_spans(x, region)
            chosen = basis.reshape(to_array(mask), tuple(mask.shape) + (1,) * behind)
            new = basis.select(chosen, apply_elementwise(func, old), old)
            return _write_spans(x, region, new)
        parsed = parse(x.aval, index, strict=False, wrap=wrap)
    shape = x.shape
    x = basis.reshape(x, parsed.shape)
    if not parsed.has(Places):
        old = _read_spans(x, parsed.parts)
        new = _write_spans(x, parsed.parts, apply_elementwise(func, old))
        return basis.reshape(new, shape)
    plan = Plan(parsed.parts, x.shape, parsed.is_together)
    if shapes.size(plan.shape) == 0 or any(n == 0 for n in x.shape):
        return basis.reshape(x, shape)
    op = lax_indexing.Scatter(
        plan.numbers, is_sorted or plan.is_single, is_unique or plan.is_single, mode
    )
    new = scatter_apply_points(op, x, plan.vectors(x.shape, wrap), func, plan.inner)
    return basis.reshape(new, shape)


# -- x.at ------------------------------------------------------------------------------------


class At:
    """`x.at`: brackets on it name the elements to update, `x.at[index].set(value)`."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def __getitem__(self, index: Any) -> AtIndex:
        return AtIndex(self.array, index)

    def __repr__(self) -> str:
        return f"_IndexUpdateHelper({self.array!r})"


class AtIndex:
    """`x.at[index]`: its methods give a new array in which those elements differ.

    All take `indices_are_sorted` and `unique_indices` (promises that allow faster code), `mode`
    ("drop", the default: elements out of bounds are not written; "clip": the nearest one is;
    "promise_in_bounds"), and `wrap_negative_indices` (True: they count from the end). Where an
    index names an element several times it is updated several times; of several values that are
    set, the last one stays (on accelerators, any). The values are converted to the dtype of the
    array.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any):
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"_IndexUpdateRef({self.array!r}, {self.index!r})"

    @public
    def get(
        self, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        fill_value: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x[index]`, with a choice of what is read out of bounds.

        Args:
          mode: "clip" (as if by default) the nearest element; "fill" the `fill_value`;
            "promise_in_bounds" nothing is out of bounds.
          fill_value: by default NaN, True, the least signed or the largest unsigned integer.

        >>> import ferax.numpy as jnp
        >>> jnp.arange(3).at[jnp.array([1, 5])].get(mode="fill", fill_value=-1)
        Array([ 1, -1], dtype=int32)
        """
        _no_sharding("get", out_sharding)
        return _get(
            self.array, self.index, mode, fill_value, wrap_negative_indices,
            indices_are_sorted, unique_indices,
        )  # fmt: skip

    @public
    def set(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] = values`.

        >>> import ferax.numpy as jnp
        >>> jnp.zeros(4).at[1:3].set(jnp.array([5.0, 6.0]))
        Array([0., 5., 6., 0.], dtype=float32)
        """
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _SET)
            if found is not None:
                return found
        return _update(
            self, values, _SET, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def add(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] += values`, repeatedly where places repeat.

        >>> import ferax.numpy as jnp
        >>> jnp.zeros(4).at[jnp.array([1, 1, 2])].add(1.0)
        Array([0., 2., 1., 0.], dtype=float32)
        """
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _ADD)
            if found is not None:
                return found
        return _update(
            self, values, _ADD, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def subtract(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] -= values`."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _SUBTRACT)
            if found is not None:
                return found
        return _update(
            self, values, _SUBTRACT, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def multiply(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] *= values`."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _MULTIPLY)
            if found is not None:
                return found
        return _update(
            self, values, _MULTIPLY, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    mul = multiply

    @public
    def divide(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] /= values`; integers become floating."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _DIVIDE)
            if found is not None:
                return found
        return _update(
            self, values, _DIVIDE, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def power(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] **= values`."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _POWER)
            if found is not None:
                return found
        return _update(
            self, values, _POWER, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def min(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] = minimum(x[index], values)`; ties share the derivative."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _MIN)
            if found is not None:
                return found
        return _update(
            self, values, _MIN, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def max(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `x[index] = maximum(x[index], values)`; ties share the derivative."""
        if mode is None and wrap_negative_indices and out_sharding is None:
            found = _now(self.array, self.index, values, _MAX)
            if found is not None:
                return found
        return _update(
            self, values, _MAX, mode, wrap_negative_indices, indices_are_sorted,
            unique_indices, out_sharding,
        )  # fmt: skip

    @public
    def apply(
        self, func: Callable[..., Any], *, indices_are_sorted: bool = False,
        unique_indices: bool = False, mode: Any = None, out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Array:  # fmt: skip
        """`x` with `func`, a function of a scalar, applied to each element of `x[index]`.

        >>> import ferax.numpy as jnp
        >>> jnp.arange(4).at[jnp.array([1, 1, 2])].apply(lambda v: v * 10)
        Array([  0, 100,  20,   3], dtype=int32)
        """
        _no_sharding("apply", out_sharding)
        return _update_by(
            self, func, mode, wrap_negative_indices, indices_are_sorted, unique_indices
        )


def _no_sharding(who: str, out_sharding: Any) -> None:
    if out_sharding is not None:
        raise NotImplementedError(f"x.at[…].{who}: out_sharding is not supported")


def _now(x: Any, index: Any, values: Any, kind: _Kind) -> Concrete | None:
    """The update by NumPy, if no transformation has to see it."""
    trace = state.trace
    if type(x) is Concrete and (trace is None or not trace.stages):
        return _write(x, index, values, kind)
    return None


@public
def _update(
    ref: AtIndex, values: Any, kind: _Kind, mode: Any, wrap: bool, is_sorted: bool,
    is_unique: bool, out_sharding: Any,
) -> Any:  # fmt: skip
    _no_sharding(kind.name, out_sharding)
    return write(
        ref.array, ref.index, values, kind, mode=GatherScatterMode.from_any(mode), wrap=wrap,
        is_sorted=is_sorted, is_unique=is_unique,
    )  # fmt: skip


@public
def _update_by(
    ref: AtIndex,
    func: Any,
    mode: Any,
    wrap: bool,
    is_sorted: bool,
    is_unique: bool,
) -> Any:
    parsed = GatherScatterMode.from_any(mode)
    return _apply(ref.array, ref.index, func, parsed, wrap, is_sorted, is_unique)


@public
def _get(
    x: Any,
    index: Any,
    mode: Any,
    fill_value: Any,
    wrap: bool,
    is_sorted: bool,
    is_unique: bool,
) -> Any:
    parsed = PROMISE if mode is None else GatherScatterMode.from_any(mode)
    return read(
        x, parse(x.aval, index, strict=False, wrap=wrap), mode=parsed,
        fill_value=scalar_fill(fill_value, x.dtype), wrap=wrap, is_sorted=is_sorted,
        is_unique=is_unique,
    )  # fmt: skip
