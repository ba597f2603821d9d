"""`pad` in all of NumPy's modes.

Constant padding is one operation. Modes that repeat elements (edge, wrap, reflect, symmetric) join
slices; the statistics modes join a broadcast statistic. Axes are padded one after another, so that
corners come from what is padded already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax.shape import Concatenate, Pad, Rev, slice_of
from ferax.numpy import ordering, reducing
from ferax.numpy.creation import linspace
from ferax.numpy.elementary import round
from ferax.numpy.promoting import ArrayLike, cast, operand
from ferax.numpy.shaping import unstack
from ferax.numpy.vectorizing import apply_along_axis

Widths = tuple[tuple[int, int], ...]

_OPTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "edge": (),
    "empty": (),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "median": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
}


def _pairs(values: Any, ndim: int, what: str) -> list[tuple[Any, Any]]:
    """(before, after) of each axis from one value, one pair, or a pair for each axis."""
    given = np.asarray(values, dtype=object)
    try:
        rows = np.broadcast_to(given, (ndim, 2))
    except ValueError:
        raise ValueError(
            f"pad: {what} must be one value, (before, after), or a pair for each of the {ndim} "
            f"axes; got {values!r}"
        ) from None
    return [(a, b) for a, b in rows]


def _widths(pad_width: Any, ndim: int) -> Widths:
    if isinstance(pad_width, dict) or np.asarray(pad_width).dtype.kind not in "iu":
        raise TypeError(f"`pad_width` must be of integral type; got {pad_width!r}")
    pairs = tuple([(int(a), int(b)) for a, b in _pairs(pad_width, ndim, "pad_width")])
    if any(n < 0 for pair in pairs for n in pair):
        raise ValueError(
            f"index can't contain negative values; got pad_width={pad_width!r}"
        )
    return pairs


@public
def pad(
    array: ArrayLike,
    pad_width: Any,
    mode: str | Callable[..., Any] = "constant",
    **kwargs: Any,
) -> Array:
    """The array with elements put around it.

    Args:
      pad_width: how many: one number, (before, after), or such a pair for each axis.
      mode: "constant" (`constant_values`, 0), "edge", "empty" (zeros), "linear_ramp" (towards
        `end_values`), "maximum", "mean", "median", "minimum" (of the `stat_length` next
        elements), "reflect" and "symmetric" (`reflect_type`: "even" or "odd"), "wrap", or a
        function of (vector, (before, after), axis, kwargs) that returns the vector.

    Raises:
      ValueError: negative widths; options of another mode; nothing to repeat in an axis.

    >>> import ferax.numpy as jnp
    >>> jnp.pad(jnp.arange(3), (2, 1), mode="reflect")
    Array([2, 1, 0, 1, 2, 1], dtype=int32)
    """
    x = operand("pad", array)
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _by_function(x, widths, mode, kwargs)
    if mode not in _OPTIONS:
        raise NotImplementedError(f"Unimplemented padding mode '{mode}' for jnp.pad.")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    if not any(map(any, widths)):
        return x
    if mode in ("constant", "empty"):
        return _constant(x, widths, kwargs.get("constant_values", 0))
    for axis, (before, after) in enumerate(widths):
        if (before or after) and x.shape[axis] == 0:
            raise ValueError(f"Cannot apply '{mode}' padding to empty axis")
    if mode in ("reflect", "symmetric"):
        odd = kwargs.get("reflect_type", "even")
        if odd not in ("even", "odd"):
            raise ValueError(f"pad: reflect_type must be 'even' or 'odd'; got {odd!r}")
        return _reflect(x, widths, mode == "symmetric", odd == "odd")
    if mode == "wrap":
        return _wrap(x, widths)
    if mode == "edge":
        return _around(
            x, widths, lambda x, axis, n, low: _repeated(_edge(x, axis, low), axis, n)
        )
    if mode == "linear_ramp":
        return _ramp(
            x, widths, _pairs(kwargs.get("end_values", 0), x.ndim, "end_values")
        )
    return _statistic(x, widths, mode, kwargs.get("stat_length"))


def _part(x: Any, axis: int, start: int, stop: int) -> Any:
    starts, limits = [0] * x.ndim, list(x.shape)
    starts[axis], limits[axis] = start, stop
    return slice_of(x, tuple(starts), tuple(limits))


def _edge(x: Any, axis: int, low: bool) -> Any:
    n = x.shape[axis]
    return _part(x, axis, 0, 1) if low else _part(x, axis, n - 1, n)


def _repeated(x: Any, axis: int, n: int) -> Any:
    shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
    return basis.broadcast_to(x, shape)


def _around(x: Any, widths: Widths, make: Callable[[Any, int, int, bool], Any]) -> Any:
    """`make(x, axis, width, is_before)` joined to both sides of each axis."""
    for axis, (before, after) in enumerate(widths):
        parts = [x]
        if before:
            parts.insert(0, make(x, axis, before, True))
        if after:
            parts.append(make(x, axis, after, False))
        if len(parts) > 1:
            x = Concatenate(axis)(*parts)
    return x


def _constant(x: Any, widths: Widths, values: Any) -> Any:
    if np.isscalar(values) or (isinstance(values, Array) and values.ndim == 0):
        value = basis.convert(
            cast(operand("pad", values), x.dtype), x.dtype, x.weak_type
        )
        return Pad(tuple([(a, b, 0) for a, b in widths]))(x, value)
    if isinstance(values, Array):
        values = [list(unstack(v)) for v in unstack(values)] if values.ndim > 1 else list(
            unstack(values)
        )  # fmt: skip
    for axis, sides in enumerate(_pairs(values, x.ndim, "constant_values")):
        for side, value in enumerate(sides):
            n = widths[axis][side]
            if n:
                config = [(0, 0, 0)] * x.ndim
                config[axis] = (n, 0, 0) if side == 0 else (0, n, 0)
                value = basis.convert(
                    cast(operand("pad", value), x.dtype), x.dtype, x.weak_type
                )
                x = Pad(tuple(config))(x, value)
    return x


def _wrap(x: Any, widths: Widths) -> Any:
    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        if not (before or after):
            continue
        whole_before, rest_before = divmod(before, n)
        whole_after, rest_after = divmod(after, n)
        parts = [_part(x, axis, n - rest_before, n)] if rest_before else []
        parts += [x] * (whole_before + 1 + whole_after)
        parts += [_part(x, axis, 0, rest_after)] if rest_after else []
        x = Concatenate(axis)(*parts) if len(parts) > 1 else x
    return x


def _reflect(x: Any, widths: Widths, with_edge: bool, odd: bool) -> Any:
    """Mirrored copies, as often as the width needs; odd: 2 edge - mirrored."""
    for axis, (before, after) in enumerate(widths):
        while before > 0 or after > 0:
            n = x.shape[axis]
            period = n if with_edge else n - 1
            if period == 0:  # one element, mirrored about itself
                parts = [_repeated(x, axis, before), x, _repeated(x, axis, after)]
                x = Concatenate(axis)(*[p for p in parts if p.shape[axis]])
                break
            skip = 0 if with_edge else 1
            low, high = min(period, before), min(period, after)
            parts = [x]
            if low:
                mirrored = Rev((axis,))(_part(x, axis, skip, skip + low))
                parts.insert(
                    0, _odd(mirrored, _edge(x, axis, True)) if odd else mirrored
                )
            if high:
                mirrored = Rev((axis,))(_part(x, axis, n - skip - high, n - skip))
                parts.append(_odd(mirrored, _edge(x, axis, False)) if odd else mirrored)
            x = Concatenate(axis)(*parts)
            before, after = before - low, after - high
    return x


def _odd(mirrored: Any, edge: Any) -> Any:
    return basis.sub(basis.mul(edge, 2), mirrored)


def _ramp(x: Any, widths: Widths, ends: list[tuple[Any, Any]]) -> Any:
    dtype = x.dtype

    def make(x: Any, axis: int, n: int, low: bool) -> Any:
        end = ends[axis][0 if low else 1]
        edge = basis.reshape(
            _edge(x, axis, low), (*x.shape[:axis], *x.shape[axis + 1 :])
        )
        ramp = basis.convert(
            linspace(end, edge, n, endpoint=False, axis=axis), dtype, x.weak_type
        )
        return ramp if low else Rev((axis,))(ramp)

    return _around(x, widths, make)


def _statistic(x: Any, widths: Widths, mode: str, stat_length: Any) -> Any:
    reduce: Any = {
        "maximum": reducing.max, "minimum": reducing.min, "mean": reducing.mean,
        "median": ordering.median,
    }[mode]  # fmt: skip
    lengths = (
        None if stat_length is None else _pairs(stat_length, x.ndim, "stat_length")
    )
    weak, dtype = x.weak_type, x.dtype

    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        parts = [x]
        for side, width in enumerate((before, after)):
            if not width:
                continue
            count = n if lengths is None else min(int(lengths[axis][side]), n)
            if count <= 0:
                raise ValueError(
                    f"pad: stat_length must be positive; got {stat_length!r}"
                )
            near = (
                _part(x, axis, 0, count) if side == 0 else _part(x, axis, n - count, n)
            )
            value = reduce(near, axis=axis, keepdims=True)
            if dtypes.is_integer(dtype) and not dtypes.is_integer(value.dtype):
                value = round(value)
            filled = _repeated(basis.convert(value, dtype, weak), axis, width)
            parts.insert(0, filled) if side == 0 else parts.append(filled)
        x = Concatenate(axis)(*parts) if len(parts) > 1 else x
    return x


def _by_function(
    x: Any, widths: Widths, function: Callable[..., Any], kwargs: Any
) -> Any:
    padded = _constant(x, widths, 0)
    for axis, pair in enumerate(widths):
        padded = apply_along_axis(function, axis, padded, pair, axis, kwargs)
    return padded
