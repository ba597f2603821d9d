"""All arithmetic on shapes.

A dimension is an `int` today. Everything that computes with dimensions goes through this
module, so that it can become something else (a size known at run time) in one place: other
files never multiply dimensions or call `int()` on them.

`who` is the public function on whose behalf a check is made; it begins the message.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ferax import errors

Shape = tuple[int, ...]

AxisError = np.exceptions.AxisError


def _prefix(who: str) -> str:
    return f"{who}: " if who else ""


def size(shape: Iterable[int]) -> int:
    """Number of elements: the product of the dimensions."""
    return math.prod(shape)


def dimension(d: Any, who: str = "") -> int:
    """A dimension given by the user (any integer, or a known array of no dimensions)."""
    try:
        return operator.index(d)
    except errors.TracerIntegerConversionError:
        message = errors.traced_value_message("shape", d.aval.short(), d.origin())
        raise errors.ConcretizationTypeError(_prefix(who) + message) from None
    except TypeError:
        raise TypeError(
            f"{_prefix(who)}dimensions of a shape must be integers; got {d!r} "
            f"({type(d).__name__})"
        ) from None


def _dimensions(shape: Any, who: str) -> Shape:
    try:
        given = tuple(shape)
    except TypeError:  # one integer; a traced one says in `dimension` what is wrong
        given = (shape,)
    return tuple([dimension(d, who) for d in given])


def canonical_shape(shape: Any, who: str = "") -> Shape:
    """A shape given by the user: an integer or a sequence of them, none negative."""
    if type(shape) is tuple and all(type(d) is int and d >= 0 for d in shape):
        return shape
    dims = _dimensions(shape, who)
    if any(d < 0 for d in dims):
        raise ValueError(
            f"{_prefix(who)}dimensions of a shape cannot be negative; got {dims}"
        )
    return dims


def canonical_axis(axis: Any, ndim: int, who: str = "") -> int:
    """An axis in [0, ndim); negative ones count from the end. Raises AxisError."""
    try:
        given = operator.index(axis)
    except errors.TracerIntegerConversionError:
        raise
    except TypeError:
        raise TypeError(
            f"{_prefix(who)}an axis must be an integer; got {axis!r}"
        ) from None
    if not -ndim <= given < ndim:
        allowed = f"must lie in [{-ndim}, {ndim})" if ndim else "it has no axes"
        raise AxisError(
            f"{_prefix(who)}axis {given} is out of bounds for an array of dimension {ndim}; "
            f"{allowed}"
        )
    return given % ndim


def canonical_axes(axes: Any, ndim: int, who: str = "") -> tuple[int, ...]:
    """Distinct axes in [0, ndim), in the order given; None means all, an integer one."""
    if axes is None:
        return tuple(range(ndim))
    given = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    found = tuple([canonical_axis(a, ndim, who) for a in given])
    if len(set(found)) != len(found):
        raise ValueError(f"{_prefix(who)}an axis is named twice in {given}")
    return found


def broadcast_shapes(*shapes: Shape, who: str = "broadcast_shapes") -> Shape:
    """The common shape of operands by NumPy's rule: sizes agree, or are 1, or are missing."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    result = []
    for sizes in zip(*padded):
        others = {d for d in sizes if d != 1}
        if len(others) > 1:
            listing = " and ".join(str(tuple(s)) for s in dict.fromkeys(shapes))
            raise ValueError(
                f"{_prefix(who)}shapes {listing} cannot be broadcast together: "
                f"{' and '.join(map(str, sorted(others)))} meet in one axis; sizes must be "
                "equal or 1, counted from the last axis"
            )
        result.append(others.pop() if others else 1)
    return tuple(result)


def reshaped(shape: Shape, new: Any, who: str = "reshape") -> Shape:
    """The shape meant by `new` for an array of `shape`; one dimension may be -1."""
    dims = _dimensions(new, who)
    total = size(shape)
    unknown = dims.count(-1)
    if unknown > 1 or any(d < -1 for d in dims):
        raise ValueError(
            f"{who}: at most one dimension may be -1, none below; got {dims}"
        )
    if unknown:
        rest = size(d for d in dims if d != -1)
        if rest == 0 or total % rest:
            raise ValueError(
                f"{who}: an array of shape {shape} ({total} elements) cannot become {dims}: "
                f"{total} is not a multiple of {rest}"
            )
        dims = tuple([total // rest if d == -1 else d for d in dims])
    if size(dims) != total:
        raise ValueError(
            f"{who}: an array of shape {shape} has {total} elements, but shape {dims} has "
            f"{size(dims)}"
        )
    return dims


def drop_axes(shape: Sequence[int], axes: Iterable[int]) -> Shape:
    """The shape without these axes (canonical ones)."""
    gone = set(axes)
    return tuple([d for i, d in enumerate(shape) if i not in gone])


def keep_axes(shape: Sequence[int], axes: Iterable[int]) -> Shape:
    """The shape with these axes of size 1, as reductions with `keepdims` give it."""
    ones = set(axes)
    return tuple([1 if i in ones else d for i, d in enumerate(shape)])


def insert_axis(shape: Sequence[int], axis: int, d: int = 1) -> Shape:
    """The shape with a dimension `d` that becomes axis `axis`."""
    return (*shape[:axis], d, *shape[axis:])


def expanded(shape: Sequence[int], axes: Any, who: str = "expand_dims") -> Shape:
    """The shape with new dimensions 1 that become the axes `axes` of the result."""
    count = len(tuple(axes)) if isinstance(axes, Iterable) else 1
    rank = len(shape) + count
    places = set(canonical_axes(axes, rank, who))
    rest = iter(shape)
    return tuple([1 if i in places else next(rest) for i in range(rank)])


def squeezed_axes(
    shape: Sequence[int], axes: Any, who: str = "squeeze"
) -> tuple[int, ...]:
    """The axes that a squeeze removes; each must have size 1. None: all of size 1."""
    if axes is None:
        return tuple([i for i, d in enumerate(shape) if d == 1])
    found = canonical_axes(axes, len(shape), who)
    wrong = [a for a in found if shape[a] != 1]
    if wrong:
        raise ValueError(
            f"{who}: axis {wrong[0]} of shape {tuple(shape)} has size {shape[wrong[0]]}; only "
            "axes of size 1 can be removed"
        )
    return found


def slice_size(start: int, stop: int, step: int = 1) -> int:
    """Number of elements of `start:stop:step` for bounds that need no clipping."""
    return len(range(start, stop, step))


def dilated(d: int, dilation: int) -> int:
    """Size of an axis with `dilation - 1` holes between neighbours."""
    return 0 if d == 0 else 1 + dilation * (d - 1)


def padded(d: int, low: int, high: int, interior: int = 0) -> int:
    """Size of an axis after padding; negative padding crops."""
    return max(0, low + dilated(d, interior + 1) + high)


def window_count(d: int, window: int, stride: int) -> int:
    """How often a window fits along an axis: ⌊(d − window) / stride⌋ + 1, or 0."""
    return 0 if d < window else (d - window) // stride + 1


def window_padding(
    sizes: Sequence[int],
    windows: Sequence[int],
    strides: Sequence[int],
    mode: str,
    who: str,
) -> tuple[tuple[int, int], ...]:
    """(low, high) of each axis for the padding modes "VALID", "SAME", "SAME_LOWER".

    "SAME" makes the result's size ⌈size / stride⌉ and puts the odd element at the end,
    "SAME_LOWER" at the beginning. `windows` are the sizes after dilation.
    """
    kind = mode.upper()
    if kind == "VALID":
        return tuple([(0, 0)] * len(sizes))
    if kind not in ("SAME", "SAME_LOWER"):
        raise ValueError(
            f"{who}: padding must be 'VALID', 'SAME', 'SAME_LOWER' or pairs (low, high); "
            f"got {mode!r}"
        )
    pairs = []
    for d, window, stride in zip(sizes, windows, strides, strict=True):
        total = max(0, (-(-d // stride) - 1) * stride + window - d)
        halves = (total // 2, total - total // 2)
        pairs.append(halves if kind == "SAME" else halves[::-1])
    return tuple(pairs)
