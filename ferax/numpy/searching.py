"""Elements by index, by condition and by value: take, nonzero, where, select, searchsorted, interp.

Results whose size depends on values (`nonzero`, `compress`, …) need known values, or `size=`: the
number of elements that the result shall have, cut off or filled up with `fill_value`. Known means:
not traced; under `jit` that are constants.

What is subtle: `take` and `take_along_axis` read NaN (or another fill value) out of bounds while
`x[index]` clamps; both are JAX's documented behaviour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumSum
from ferax.lax.indexing import (
    Gather,
    GatherDimensionNumbers,
    GatherScatterMode,
    Scatter,
    scalar_fill,
)
from ferax.lax.looping import fori_loop
from ferax.lax.shape import Concatenate, Iota
from ferax.numpy.creation import default_int
from ferax.numpy.indexing import DROP, PROMISE, read
from ferax.numpy.ordering import argsort
from ferax.numpy.places import (
    Parsed,
    Places,
    Span,
    counted,
    hosts_now,
    index_dtype,
    known_values,
)
from ferax.numpy.promoting import (
    ArrayLike,
    as_bool,
    cast,
    check_ranks,
    inexact_dtype,
    operand,
    pair,
    promote,
    unsupported_out,
)
from ferax.numpy.ufuncs import clip, remainder

_INT32 = np.dtype(np.int32)


# -- by index ----------------------------------------------------------------------------------


@public
def take(
    a: ArrayLike, indices: ArrayLike, axis: int | None = None, out: None = None,
    mode: str | None = None, unique_indices: bool = False, indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:  # fmt: skip
    """The elements (or slices along an axis) at an array of indices.

    Args:
      a: array of any dtype.
      indices: integers; their axes replace the axis.
      axis: None takes from the flattened array.
      mode: "fill" (default, None): out of bounds are `fill_value`s, negative indices count from
        the end; "clip": to the nearest index, also negative ones; "wrap": modulo the size.
      unique_indices, indices_are_sorted: promises that allow faster code.
      fill_value: by default NaN, True, the least signed or the largest unsigned integer.

    Raises:
      IndexError: something is taken from an axis without elements.

    >>> import ferax.numpy as jnp
    >>> jnp.take(jnp.array([10.0, 20.0]), jnp.array([1, -2, 5]))
    Array([20., 10., nan], dtype=float32)
    """
    unsupported_out("take", out)
    if mode == "raise":
        raise NotImplementedError("The 'raise' mode to jnp.take is not supported.")
    if mode not in (None, "fill", "clip", "wrap"):
        raise ValueError(
            f"Invalid mode '{mode}' for np.take; there are 'fill', 'clip', 'wrap'"
        )
    x, i = operand("take", a, 0), _indices("take", operand("take", indices, 1))
    if axis is None:
        x, axis = basis.reshape(x, (x.size,)), 0
    axis = shapes.canonical_axis(axis, x.ndim, "take")
    found = _taken_now(x, i, axis) if mode in (None, "fill") else None
    if found is not None:
        return found
    n = x.shape[axis]
    if n == 0 and i.size:
        raise IndexError("take: cannot take elements from an axis without elements")
    wrap, parsed = True, DROP
    if mode == "clip":
        i, wrap, parsed = clip(i, 0, max(n - 1, 0)), False, PROMISE
    elif mode == "wrap":
        i, wrap, parsed = remainder(i, np.asarray(max(n, 1), i.dtype)), False, PROMISE
    parts: list[Any] = [Span(0, 1, d) for d in x.shape]
    parts[axis] = Places(i)
    return read(
        x, Parsed(x.shape, parts), mode=parsed, fill_value=scalar_fill(fill_value, x.dtype),
        wrap=wrap, is_sorted=bool(indices_are_sorted), is_unique=bool(unique_indices),
    )  # fmt: skip


def _indices(who: str, i: Any) -> Any:
    """Indices as integers of at least 32 bits; bools count as 0 and 1."""
    if dtypes.is_bool(i.dtype):
        return basis.convert(i, _INT32)
    if not dtypes.is_integer(i.dtype):
        raise TypeError(f"{who}: indices must be integers; got {i.aval.short()}")
    return cast(i, _INT32) if i.dtype.itemsize < 4 else i


def _taken_now(x: Any, i: Any, axis: int) -> Any:
    """`take` by NumPy on known values; None if something is out of bounds."""
    known = hosts_now(x, i)
    if known is None:
        return None
    try:
        out = known[0].take(known[1], axis)
    except IndexError:
        return None
    out = np.asarray(out, dtypes.carrier(x.dtype))
    return Concrete(Aval(out.shape, x.dtype, x.aval.weak_type), out)


@public
def take_along_axis(
    arr: ArrayLike, indices: ArrayLike, axis: int | None = -1, mode: Any = None,
    fill_value: Any = None, *, wrap_negative_indices: bool | None = None,
) -> Array:  # fmt: skip
    """y[…, i, …] = x[…, indices[…, i, …], …] along an axis; the other axes run together.

    Args:
      arr: array of any dtype.
      indices: integers, with as many axes, broadcastable to `arr` but for the axis.
      axis: None takes from the flattened array.
      mode: "fill" (default, None), "clip" or "promise_in_bounds".
      fill_value: out of bounds if mode is "fill"; by default NaN, True, the least signed or the
        largest unsigned integer.
      wrap_negative_indices: whether they count from the end; by default unless promised in bounds.

    >>> import ferax.numpy as jnp
    >>> x = jnp.array([[3, 1, 2], [6, 5, 4]])
    >>> jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1)
    Array([[1, 2, 3],
           [4, 5, 6]], dtype=int32)
    """
    x, i = operand("take_along_axis", arr, 0), operand("take_along_axis", indices, 1)
    if not dtypes.is_integer(i.dtype):
        raise TypeError(
            f"take_along_axis indices must be of integer type, got {i.aval.short()}"
        )
    if axis is None:
        if i.ndim != 1:
            raise ValueError(
                f"take_along_axis indices must be 1D if axis=None, got shape {i.shape}"
            )
        x, axis = basis.reshape(x, (x.size,)), 0
    parsed = GatherScatterMode.from_any(mode)
    wrap = (
        parsed is not PROMISE
        if wrap_negative_indices is None
        else wrap_negative_indices
    )
    x, i, axis = aligned_along("take_along_axis", x, i, axis)
    if x.shape[axis] == 0 and i.size:
        raise IndexError("take_along_axis: cannot take from an axis without elements")
    if i.size == 0:
        return basis.full(i.shape, 0, x.dtype)
    numbers, vectors = along(x, i, axis, wrap)
    fill = scalar_fill(fill_value, x.dtype) if parsed is DROP else None
    return Gather(numbers, (1,) * x.ndim, False, False, parsed, fill)(x, vectors)


def aligned_along(who: str, x: Any, i: Any, axis: int) -> tuple[Any, Any, int]:
    """Array and indices with equal sizes along the other axes; the canonical axis."""
    if x.ndim != i.ndim:
        raise ValueError(
            f"{who}: indices and arr must have the same number of dimensions; got "
            f"{i.aval.short()} and {x.aval.short()}"
        )
    axis = shapes.canonical_axis(axis, x.ndim, who)
    one = shapes.keep_axes(x.shape, (axis,)), shapes.keep_axes(i.shape, (axis,))
    common = shapes.broadcast_shapes(*one, who=who)

    def fit(a: Any) -> Any:
        return basis.broadcast_to(
            a, (*common[:axis], a.shape[axis], *common[axis + 1 :])
        )

    return fit(x), fit(i), axis


def along(x: Any, i: Any, axis: int, wrap: bool) -> tuple[GatherDimensionNumbers, Any]:
    """Gather's description of places along an axis, the others being batching ones."""
    dtype = index_dtype((i,))
    others = tuple(d for d in range(x.ndim) if d != axis)
    places = basis.expand_dims(counted(i, x.shape[axis], dtype, wrap), (x.ndim,))
    return GatherDimensionNumbers((), (axis,), (axis,), others, others), places


@public
def choose(
    a: ArrayLike, choices: Any, out: None = None, mode: str = "raise"
) -> Array:  # fmt: skip
    """y[j] = choices[a[j]][j], all broadcast together.

    Args:
      a: integers.
      choices: a sequence of arrays, or an array whose axis 0 counts them.
      mode: what happens to values outside of [0, len(choices)): "raise" (for known values only),
        "clip" or "wrap".

    >>> import ferax.numpy as jnp
    >>> jnp.choose(jnp.array([1, 0]), [jnp.array([1, 2]), jnp.array([3, 4])])
    Array([3, 2], dtype=int32)
    """
    unsupported_out("choose", out)
    which = operand("choose", a)
    if not dtypes.is_integer(which.dtype):
        raise ValueError(
            f"choose: a must be an integer array; got {which.aval.short()}"
        )
    if isinstance(choices, (Array, np.ndarray)):
        choices = list(to_array(choices))
    if not isinstance(choices, Sequence):
        raise TypeError(
            f"choose: choices must be an array or a sequence of arrays; got {choices!r}"
        )
    n = len(choices)
    if mode == "raise":
        known = known_values(
            which,
            "jnp.choose with mode='raise', the default,",
            "Under transformations use mode='clip' or mode='wrap'.",
        )
        if known.size and (known.min() < 0 or known.max() >= n):
            raise ValueError(
                f"invalid entry in choice array: indices must be in [0, {n})"
            )
        which = clip(which, 0, n - 1)
    elif mode == "clip":
        which = clip(which, 0, n - 1)
    elif mode == "wrap":
        which = remainder(which, np.asarray(n, which.dtype))
    else:
        raise ValueError(
            f"mode={mode!r} not understood. Must be 'raise', 'wrap', or 'clip'"
        )
    if not n:
        raise ValueError("invalid entry in choice array: there are no choices")
    cases = promote("choose", *choices)
    shape = shapes.broadcast_shapes(
        which.shape, *(c.shape for c in cases), who="choose"
    )
    stacked = [basis.expand_dims(basis.broadcast_to(c, shape), (0,)) for c in cases]
    rows = Concatenate(0)(*stacked) if n > 1 else stacked[0]
    index = basis.expand_dims(
        basis.broadcast_to(basis.convert(which, _INT32), shape), (0,)
    )
    numbers, places = along(rows, index, 0, False)
    found = Gather(numbers, (1,) * rows.ndim, False, False, PROMISE, None)(rows, places)
    return basis.reshape(found, shape)


# -- by condition ----------------------------------------------------------------------------


def sized(who: str, x: Any) -> np.ndarray:
    """The values of an array on which the size of a result depends."""
    return known_values(
        x,
        f"The size of the result of jnp.{who}",
        "Under transformations say size=, the number of elements that it shall have: it is cut "
        "off or filled up.",
    )


@public
def nonzero(
    a: ArrayLike, *, size: int | None = None, fill_value: Any = None
) -> tuple[Array, ...]:
    """The indices of the elements that are not 0, one array for each axis.

    Args:
      a: array with at least one axis.
      size: of the results; needed where `a` is traced.
      fill_value: of surplus elements (or a tuple with one for each axis); 0 by default.

    Raises:
      ValueError: `a` has no axes.

    >>> import ferax.numpy as jnp
    >>> jnp.nonzero(jnp.array([0, 5, 0, 7]), size=3, fill_value=-1)
    (Array([ 1,  3, -1], dtype=int32),)
    """
    return _nonzero("nonzero", operand("nonzero", a), size, fill_value)


def _nonzero(who: str, x: Any, size: Any, fill_value: Any) -> tuple[Any, ...]:
    if not x.ndim:
        raise ValueError(
            f"Calling {who} on 0d arrays is not allowed. Use jnp.atleast_1d(scalar) first."
        )
    dtype = default_int()
    if size is None:
        found = [i.astype(dtype) for i in np.nonzero(sized(who, x))]
        return tuple([Concrete(Aval(i.shape, dtype), i) for i in found])
    size = shapes.dimension(size, who)
    fills = _fills(fill_value, x.ndim, dtype)
    flat = true_places(basis.reshape(as_bool(who, x), (x.size,)), size)
    count = _count(x, size)
    out = []
    stride = x.size
    for n, fill in zip(x.shape, fills):
        stride = stride // n if n else 1
        place = el.rem(el.div(flat, _like(stride, flat)), _like(n or 1, flat))
        out.append(basis.select(count, basis.convert(place, dtype), fill))
    return tuple(out)


def _like(value: int, x: Any) -> Any:
    """An integer in the shape and dtype of an array."""
    return basis.full(x.shape, value, x.dtype)


def _fills(fill_value: Any, ndim: int, dtype: Any) -> list[Any]:
    values = fill_value if isinstance(fill_value, tuple) else (fill_value,) * ndim
    if len(values) != ndim:
        raise ValueError(
            f"nonzero: fill_value has {len(values)} entries, the array {ndim} axes; they must "
            "be as many"
        )
    return [cast(operand("nonzero", 0 if v is None else v), dtype) for v in values]


def true_places(mask: Any, size: int) -> Any:
    """The first `size` places in a vector of bools that are True; 0 where there are fewer."""
    n = mask.shape[0]
    zeros = basis.zeros((size,), _INT32)
    if n == 0 or size == 0:
        return zeros
    rank = basis.sub(CumSum(0, False)(basis.convert(mask, _INT32)), 1)
    target = basis.select(mask, rank, size)  # where nothing is written
    places = Iota(_INT32, (n,), 0)()
    op = Scatter(GatherDimensionNumbers((), (0,), (0,)), False, True, DROP)
    return op(zeros, basis.reshape(target, (n, 1)), places)


def _count(x: Any, size: int) -> Any:
    """True for the first so many of `size` elements as x has elements that are not 0."""
    total = basis.reduce_sum(
        basis.convert(as_bool("nonzero", x), _INT32), tuple(range(x.ndim))
    )
    return el.lt(Iota(_INT32, (size,), 0)(), basis.broadcast_to(total, (size,)))


@public
def flatnonzero(
    a: ArrayLike, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The indices in the flattened array of the elements that are not 0; see `nonzero`.

    >>> import ferax.numpy as jnp
    >>> jnp.flatnonzero(jnp.array([[0, 5], [0, 7]]))
    Array([1, 3], dtype=int32)
    """
    x = operand("flatnonzero", a)
    return _nonzero("flatnonzero", basis.reshape(x, (x.size,)), size, fill_value)[0]


@public
def argwhere(a: ArrayLike, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The indices of the elements that are not 0, one row for each; see `nonzero`.

    >>> import ferax.numpy as jnp
    >>> jnp.argwhere(jnp.array([[0, 5], [0, 7]]))
    Array([[0, 1],
           [1, 1]], dtype=int32)
    """
    x = operand("argwhere", a)
    if not x.ndim:
        if size is None:
            size = int(bool(sized("argwhere", x)))
        return basis.zeros((size, 0), default_int())
    columns = _nonzero("argwhere", x, size, fill_value)
    columns = [basis.expand_dims(c, (1,)) for c in columns]
    return Concatenate(1)(*columns) if len(columns) > 1 else columns[0]


@public
def where(
    condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """x where the condition is true, else y; with the condition alone, `nonzero(condition)`.

    Args:
      condition: bools, or numbers of which 0 is false.
      x, y: arrays; all three broadcast together.
      size, fill_value: see `nonzero`; for the condition alone.

    Differs: derivatives flow to the chosen element only, but where that of the other one is
    infinite its product with 0 is NaN. Guard the argument, too:
    `jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), 0)`.

    >>> import ferax.numpy as jnp
    >>> x = jnp.array([1, -2, 3])
    >>> jnp.where(x > 0, x, 0)
    Array([1, 0, 3], dtype=int32)
    """
    if x is None and y is None:
        return _nonzero("where", operand("where", condition), size, fill_value)
    if size is not None or fill_value is not None:
        raise ValueError(
            "size and fill_value arguments cannot be used in three-term where function."
        )
    return chosen(as_bool("where", condition), x, y)


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """`where` of a bool Array."""
    if x is None or y is None:
        operand("where", None, 1 if x is None else 2)  # raises
    x, y = pair("where", x, y)
    if condition.ndim != x.ndim:
        check_ranks("where", (condition, x, y))
    return basis.SELECT_N(condition, y, x)


@public
def extract(
    condition: ArrayLike,
    arr: ArrayLike,
    *,
    size: int | None = None,
    fill_value: Any = 0,
) -> Array:
    """The elements of `arr` where the condition is true, as a vector.

    Args:
      size: of the result, filled up with `fill_value`; needed where the condition is traced.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(6)
    >>> jnp.extract(x % 2 == 0, x)
    Array([0, 2, 4], dtype=int32)
    """
    mask, x = as_bool("extract", condition), operand("extract", arr, 1)
    mask, x = basis.reshape(mask, (mask.size,)), basis.reshape(x, (x.size,))
    return _compressed("extract", mask, x, 0, size, fill_value)


@public
def compress(
    condition: ArrayLike, a: ArrayLike, axis: int | None = None, *, size: int | None = None,
    fill_value: Any = 0, out: None = None,
) -> Array:  # fmt: skip
    """The slices along an axis for which the condition, a vector of bools, is true.

    Args:
      condition: if shorter than the axis, the rest counts as False.
      axis: None selects from the flattened array.
      size: of the result along the axis, filled up with `fill_value`; needed where the condition
        is traced.

    >>> import ferax.numpy as jnp
    >>> jnp.compress(jnp.array([False, True]), jnp.arange(6).reshape(2, 3), axis=0)
    Array([[3, 4, 5]], dtype=int32)
    """
    unsupported_out("compress", out)
    mask, x = as_bool("compress", condition), operand("compress", a, 1)
    if mask.ndim != 1:
        raise ValueError(f"condition must be a 1D array; got {mask.aval.short()}")
    if axis is None:
        x, axis = basis.reshape(x, (x.size,)), 0
    axis = shapes.canonical_axis(axis, x.ndim, "compress")
    return _compressed("compress", mask, x, axis, size, fill_value)


def _compressed(
    who: str, mask: Any, x: Any, axis: int, size: Any, fill_value: Any
) -> Any:
    n = x.shape[axis]
    if mask.shape[0] > n:
        if sized(who, mask)[n:].any():
            raise ValueError(
                f"{who}: condition contains entries that are out of bounds: it has "
                f"{mask.shape[0]} elements, the axis {n}"
            )
        mask = mask[:n]
    if size is None:
        places = np.flatnonzero(sized(who, mask)).astype(np.int32)
        return take(x, places, axis=axis)
    size = shapes.dimension(size, who)
    fill = basis.convert(cast(operand(who, fill_value), x.dtype), x.dtype)
    if n == 0 or size == 0:
        wanted = shapes.insert_axis(shapes.drop_axes(x.shape, (axis,)), axis, size)
        return basis.broadcast_to(fill, wanted)
    places = basis.select(_count(mask, size), true_places(mask, size), n)
    found = take(x, places, axis=axis, mode="clip")
    inside = basis.reshape(_count(mask, size), (size,) + (1,) * (x.ndim - axis - 1))
    return basis.broadcast_to(basis.select(inside, found, fill), found.shape)


@public
def select(
    condlist: Sequence[ArrayLike],
    choicelist: Sequence[ArrayLike],
    default: ArrayLike = 0,
) -> Array:
    """The element of the first choice whose condition is true, else the default.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(5)
    >>> jnp.select([x < 2, x > 3], [x, 10 * x], -1)
    Array([ 0,  1, -1, -1, 40], dtype=int32)
    """
    if len(condlist) != len(choicelist):
        raise ValueError(
            "condlist must have length equal to choicelist "
            f"({len(condlist)} vs {len(choicelist)})"
        )
    if len(condlist) == 0:
        raise ValueError("condlist must be non-empty")
    *choices, out = promote("select", *choicelist, default)
    conditions = [as_bool("select", c) for c in condlist]
    check_ranks("select", (*conditions, *choices))
    for condition, choice in zip(reversed(conditions), reversed(choices)):
        out = basis.SELECT_N(condition, out, choice)
    return out


@public
def piecewise(
    x: ArrayLike, condlist: Any, funclist: Any, *args: Any, **kw: Any
) -> Array:
    """f_k(x) where the k-th condition is true; of several true ones the last counts.

    Args:
      x: array; its dtype is that of the result.
      condlist: conditions of the shape of x.
      funclist: a function of the array, or a number, for each condition; one more is for where
        none is true, else that is 0. Every function is computed for all of x.
      args, kw: further arguments of the functions.

    >>> import ferax.numpy as jnp
    >>> jnp.piecewise(jnp.arange(-2, 3), [jnp.arange(-2, 3) < 0], [lambda v: -v, lambda v: v * v])
    Array([2, 1, 0, 1, 4], dtype=int32)
    """
    x = operand("piecewise", x)
    if isinstance(condlist, (Array, np.ndarray)):
        condlist = list(to_array(condlist))
    conditions = [as_bool("piecewise", c) for c in condlist]
    n, functions = len(conditions), list(funclist)
    if len(functions) == n:
        functions.append(0)
    elif len(functions) != n + 1:
        raise ValueError(
            f"with {n} condition(s), either {n} or {n + 1} functions are expected; got "
            f"{len(functions)}"
        )

    def value(f: Any) -> Any:
        y = f(x, *args, **kw) if callable(f) else f
        return cast(operand("piecewise", y), x.dtype)

    out = basis.broadcast_to(value(functions[-1]), x.shape)
    for condition, f in zip(conditions, functions):
        out = basis.SELECT_N(condition, out, value(f))
    return out


# -- by value ----------------------------------------------------------------------------------


def _before(x: Any, y: Any) -> Any:
    """x < y in the order of sorted arrays, which have NaN at their end."""
    if dtypes.is_complex(x.dtype):
        a, b = el.real(x), el.real(y)
        same = el.bitwise_and(
            el.bitwise_not(_before(a, b)), el.bitwise_not(_before(b, a))
        )
        rest = el.bitwise_and(same, _before(el.imag(x), el.imag(y)))
        return el.bitwise_or(_before(a, b), rest)
    less = el.lt(x, y)
    if not dtypes.is_inexact(x.dtype):
        return less
    return el.bitwise_or(less, el.bitwise_and(el.ne(y, y), el.eq(x, x)))


@public
def searchsorted(
    a: ArrayLike, v: ArrayLike, side: str = "left", sorter: ArrayLike | None = None, *,
    method: str = "scan",
) -> Array:  # fmt: skip
    """The places in a sorted vector where values would be inserted.

    Args:
      a: vector in increasing order, NaN last.
      v: values, of any shape.
      side: "left": a[i - 1] < v <= a[i]; "right": a[i - 1] <= v < a[i].
      sorter: indices that sort `a`.
      method: how it is computed when compiled: "scan" (binary search in a loop), "scan_unrolled",
        "compare_all" (for short vectors on accelerators) or "sort".

    Returns:
      int32 array of the shape of v.

    >>> import ferax.numpy as jnp
    >>> jnp.searchsorted(jnp.array([1, 2, 2, 3]), jnp.array([2, 5]))
    Array([1, 4], dtype=int32)
    """
    if side not in ("left", "right"):
        raise ValueError(f"invalid argument side={side!r}, expected 'left' or 'right'")
    if method not in ("scan", "scan_unrolled", "sort", "compare_all"):
        raise ValueError(
            f"invalid argument method={method!r}, expected one of "
            "['compare_all', 'scan', 'scan_unrolled', 'sort']"
        )
    x, y = promote("searchsorted", a, v)
    if x.ndim != 1:
        raise ValueError(f"a should be 1-dimensional; got {x.aval.short()}")
    if sorter is not None:
        x = take(x, sorter)
    known = hosts_now(x, y)
    if known is not None and x.dtype.kind in "biufc":
        found = np.asarray(
            np.searchsorted(known[0], known[1], "right" if side == "right" else "left"),
            _INT32,
        )
        return Concrete(Aval(found.shape, _INT32), found)
    if x.size == 0:
        return basis.zeros(y.shape, _INT32)
    if method == "compare_all":
        return _rank_by_comparing(x, y, side)
    return _rank_by_halving(x, y, side, method != "scan_unrolled")


def _is_behind(element: Any, value: Any, side: str) -> Any:
    """Whether the value belongs behind the element."""
    if side == "left":
        return _before(element, value)
    return el.bitwise_not(_before(value, element))


def _rank_by_comparing(x: Any, y: Any, side: str) -> Any:
    shape = (*y.shape, x.size)
    values = basis.broadcast_in_dim(y, shape, tuple(range(y.ndim)))
    behind = _is_behind(basis.broadcast_to(x, shape), values, side)
    return basis.reduce_sum(basis.convert(behind, _INT32), (y.ndim,))


def _rank_by_halving(x: Any, y: Any, side: str, is_loop: bool) -> Any:
    """Invariant: the answer is in [low, high]."""
    numbers = GatherDimensionNumbers((), (0,), (0,))
    op = Gather(numbers, (1,), False, False, PROMISE, None)

    def halve(_: Any, bounds: Any) -> Any:
        low, high = bounds
        middle = el.shift_right_logical(
            basis.add(low, high), basis.full(y.shape, 1, _INT32)
        )
        element = op(x, basis.expand_dims(middle, (y.ndim,)))
        behind = _is_behind(element, y, side)
        is_open = el.lt(low, high)
        low = basis.select(el.bitwise_and(is_open, behind), basis.add(middle, 1), low)
        high = basis.select(
            el.bitwise_or(el.bitwise_not(is_open), behind), high, middle
        )
        return low, high

    bounds: Any = basis.zeros(y.shape, _INT32), basis.full(y.shape, x.size, _INT32)
    rounds = x.size.bit_length()
    if is_loop:
        return fori_loop(0, rounds, halve, bounds)[0]
    for k in range(rounds):
        bounds = halve(k, bounds)
    return bounds[0]


@public
def digitize(
    x: ArrayLike, bins: ArrayLike, right: bool = False, *, method: str | None = None
) -> Array:
    """The number of the bin that each value lies in.

    Args:
      x: values, of any shape.
      bins: vector of edges, increasing (bins[i - 1] <= x < bins[i] is i) or decreasing.
      right: whether a bin contains its upper edge instead of its lower one.
      method: see `searchsorted`.

    >>> import ferax.numpy as jnp
    >>> jnp.digitize(jnp.array([0.5, 1.0, 9.0]), jnp.array([1.0, 2.0, 3.0]))
    Array([0, 1, 3], dtype=int32)
    """
    values, edges = operand("digitize", x, 0), operand("digitize", bins, 1)
    if edges.ndim != 1:
        raise ValueError(
            f"digitize: bins must be a 1-dimensional array; got {edges.aval.short()}"
        )
    if edges.size == 0:
        return basis.zeros(values.shape, _INT32)
    side = "left" if right else "right"
    kind = "scan" if method is None else method
    up = searchsorted(edges, values, side, method=kind)
    down = basis.sub(
        basis.full(up.shape, edges.size, _INT32),
        searchsorted(edges[::-1], values, side, method=kind),
    )
    return basis.SELECT_N(edges[-1] >= edges[0], down, up)


@public
def interp(
    x: ArrayLike, xp: ArrayLike, fp: ArrayLike, left: Any = None, right: Any = None,
    period: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """Piecewise linear interpolation of the points (xp, fp) at x.

    Args:
      x: real array.
      xp: increasing vector of the same length as fp.
      fp: real or complex vector.
      left, right: the values before the first and behind the last point; by default those there;
        "extrapolate" continues the first and last line.
      period: if given, xp need not be sorted, and both ends are joined.

    >>> import ferax.numpy as jnp
    >>> jnp.interp(jnp.array([0.5, 3.0]), jnp.array([0.0, 1.0]), jnp.array([0.0, 10.0]))
    Array([ 5., 10.], dtype=float32)
    """
    for name, value in (("left", left), ("right", right)):
        if isinstance(value, str) and value != "extrapolate":
            raise ValueError(
                f"the only valid string value of `{name}` is 'extrapolate', but got: {value!r}"
            )
    values = operand("interp", fp, 2)
    if dtypes.is_complex(operand("interp", x).dtype):
        raise ValueError("jnp.interp: complex x values not supported.")
    if values.ndim != 1 or operand("interp", xp, 1).shape != values.shape:
        raise ValueError("xp and fp must be one-dimensional arrays of equal size")
    if not values.size:
        raise ValueError("interp: xp and fp are empty; give at least one point")
    if dtypes.is_complex(values.dtype):
        places, points = promote("interp", x, xp)
        dtype = inexact_dtype(places.dtype)
        places, points = cast(places, dtype), cast(points, dtype)
    else:
        places, points, values = promote("interp", x, xp, fp)
        dtype = inexact_dtype(places.dtype)
        places, points, values = (cast(a, dtype) for a in (places, points, values))
    ends: Any = (left, right, period)
    known = hosts_now(places, points, values)
    is_plain = dtype.kind == "f" and not any(isinstance(e, (str, Array)) for e in ends)
    if (
        known is not None
        and is_plain
        and values.dtype == dtype
        and values.size
        and period != 0
    ):
        y = np.asarray(np.interp(known[0], known[1], known[2], *ends), dtype)
        return Concrete(Aval(y.shape, dtype, places.aval.weak_type), y)
    if period is not None:
        places, points, values = _periodic(places, points, values, period)
        left = right = None
    return _interpolated(places, points, values, left, right)


def _periodic(
    places: Any, points: Any, values: Any, period: Any
) -> tuple[Any, Any, Any]:
    """One period, sorted, with a point of the neighbouring periods at each end."""
    length = cast(operand("interp", period, 5), points.dtype)
    if length.ndim:
        raise ValueError(f"interp: period must be a scalar; got {length.aval.short()}")
    length = abs(length)
    places, points = remainder(places, length), remainder(points, length)
    order = argsort(points)
    points, values = points[order], values[order]
    ends = points[-1:] - length, points, points[:1] + length
    return (
        places,
        Concatenate(0)(*ends),
        Concatenate(0)(values[-1:], values, values[:1]),
    )


def _interpolated(x: Any, xp: Any, fp: Any, left: Any, right: Any) -> Any:
    n = xp.shape[0]
    if n == 1:
        y = basis.broadcast_to(fp, x.shape or (1,))
        y = basis.reshape(y, x.shape)
    else:
        i = clip(searchsorted(xp, x, side="right"), 1, n - 1)
        x0, y0 = take(xp, i - 1, mode="clip"), take(fp, i - 1, mode="clip")
        width = take(xp, i, mode="clip") - x0
        # not maximum and minimum: at the ends the slope is that of the line, not half of it
        inner = x if left == "extrapolate" else basis.select(x < xp[0], xp[0], x)
        if right != "extrapolate":
            inner = basis.select(x > xp[-1], xp[-1], inner)
        is_jump = width == 0
        share = (inner - x0) / basis.select(is_jump, 1, width)
        slope = take(fp, i, mode="clip") - y0
        y = basis.select(is_jump, y0, y0 + share.astype(slope.dtype) * slope)
    if left is not None and not isinstance(left, str):
        y = basis.select(
            x < xp[0],
            basis.broadcast_to(cast(operand("interp", left), y.dtype), y.shape),
            y,
        )
    if right is not None and not isinstance(right, str):
        y = basis.select(
            x > xp[-1],
            basis.broadcast_to(cast(operand("interp", right), y.dtype), y.shape),
            y,
        )
    return y


# -- indices as numbers ------------------------------------------------------------------------


@public
def ix_(*args: ArrayLike) -> tuple[Array, ...]:
    """Vectors of indices, each along an axis of its own: `x[jnp.ix_(rows, columns)]`.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(12).reshape(3, 4)
    >>> x[jnp.ix_(jnp.array([0, 2]), jnp.array([1, 3]))]
    Array([[ 1,  3],
           [ 9, 11]], dtype=int32)
    """
    out = []
    for i, a in enumerate(args):
        x = operand("ix_", a, i)
        if x.ndim != 1:
            raise ValueError(
                f"Arguments to ix_ must be 1-dimensional, got shape {x.shape}"
            )
        if dtypes.is_bool(x.dtype):
            x = _nonzero("ix_", x, None, None)[0]
        elif x.size == 0:
            x = basis.zeros((0,), default_int())
        out.append(basis.reshape(x, (1,) * i + (x.size,) + (1,) * (len(args) - i - 1)))
    return tuple(out)


@public
def ravel_multi_index(
    multi_index: Sequence[ArrayLike], dims: Sequence[int], mode: str = "raise", order: str = "C",
    *, dtype: Any = None,
) -> Array:  # fmt: skip
    """The places in the flattened array for an index array for each axis.

    Args:
      multi_index: integer arrays that broadcast together.
      dims: the shape of the array.
      mode: for indices out of bounds: "raise" (needs known values), "wrap", "clip" or "ignore".
      order: "C" or "F".

    >>> import ferax.numpy as jnp
    >>> jnp.ravel_multi_index((jnp.array([0, 1]), jnp.array([2, 0])), (2, 3))
    Array([2, 3], dtype=int32)
    """
    if mode not in ("raise", "wrap", "clip", "ignore"):
        raise ValueError(
            f"invalid mode={mode!r}. Expected 'raise', 'wrap', 'clip', or 'ignore'."
        )
    if order not in ("C", "F"):
        raise ValueError(f"invalid order={order!r}. Expected 'C' or 'F'")
    dims = shapes.canonical_shape(dims, "ravel_multi_index")
    if len(multi_index) != len(dims):
        raise ValueError(
            f"ravel_multi_index: {len(multi_index)} index arrays for {len(dims)} dims; they "
            "must be as many"
        )
    columns = promote("ravel_multi_index", *multi_index) if dims else []
    if any(not dtypes.is_integer(c.dtype) for c in columns):
        raise ValueError(
            f"ravel_multi_index: dtype={columns[0].dtype} is not an integer type."
        )
    if dtype is not None:
        kind = dtypes.requested(dtype, "ravel_multi_index")
        columns = [basis.convert(c, kind) for c in columns]
    columns = [_bounded(c, n, mode) for c, n in zip(columns, dims)]
    pairs = list(zip(columns, dims))
    total: Any = basis.zeros((), default_int() if not columns else columns[0].dtype)
    for column, n in pairs if order == "C" else reversed(pairs):
        total = basis.add(basis.mul(total, n), column)
    return total


def _bounded(index: Any, n: int, mode: str) -> Any:
    if mode == "raise":
        known = known_values(
            index,
            "jnp.ravel_multi_index with mode='raise', the default,",
            "Under transformations use mode='wrap', 'clip' or 'ignore'.",
        )
        if known.size and (known.min() < 0 or known.max() >= n):
            raise ValueError(f"invalid entry in coordinates array: must be in [0, {n})")
    elif mode == "clip":
        return clip(index, 0, n - 1)
    elif mode == "wrap":
        return remainder(index, np.asarray(n, index.dtype))
    return index


@public
def unravel_index(indices: ArrayLike, shape: Any) -> tuple[Array, ...]:
    """For each axis the indices of places in the flattened array; the nearest if out of bounds.

    >>> import ferax.numpy as jnp
    >>> jnp.unravel_index(jnp.array([2, 3]), (2, 3))
    (Array([0, 1], dtype=int32), Array([2, 0], dtype=int32))
    """
    dims = shapes.canonical_shape(shape, "unravel_index")
    flat = operand("unravel_index", indices)
    total = math.prod(dims)
    flat = chosen(flat < 0, flat + total, flat)
    flat = clip(flat, 0, max(total - 1, 0))
    out = []
    for n in reversed(dims):
        out.append(remainder(flat, max(n, 1)))
        flat = flat // max(n, 1)
    return tuple(reversed(out))
