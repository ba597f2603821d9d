"""scatter_apply: a function applied to elements at computed places.

It is no primitive: where places are known to be distinct it is gather, the mapped function,
scatter; where they may repeat the function is applied as often as a place occurs, in rounds. The
number of rounds is known when the indices are, else it is a while loop's (whose derivative
exists in forward mode only).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferax.core import basis
from ferax.core.array import Concrete
from ferax.core.avals import Aval, Shape
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.elementwise import gt, lt
from ferax.lax.indexing import Scatter, ScatterAdd
from ferax.lax.looping import while_loop
from ferax.lax.reduction import reduce_max
from ferax.lax.shape import integers
from ferax.lax.windows import (
    PROMISE,
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
)
from ferax.transforms.batching import vmap

__all__ = ["scatter_apply"]

_INT32 = np.dtype(np.int32)


def apply_elementwise(func: Callable[..., Any], x: Any) -> Any:
    """`func`, a function of a scalar, applied to each element; the dtype stays."""
    if x.size == 0:
        return x
    flat = basis.reshape(x, (x.size,))
    out = to_array(vmap(func)(flat), "apply", "the result of the function")
    if out.shape != flat.shape:
        raise TypeError(
            f"apply: the function must give a scalar for a scalar; it gave the shape "
            f"{out.shape[1:]}"
        )
    return basis.reshape(basis.convert(out, x.dtype, x.aval.weak_type), x.shape)


def scatter_apply_points(
    op: Scatter, x: Any, indices: Any, func: Callable[..., Any], shape: Shape
) -> Any:
    """`func` applied where `op` would write updates of the given shape."""
    updates = Aval(shape, x.dtype)
    if op.is_unique(x, indices, updates):
        old = op.reader(x, updates)(x, indices)
        write = Scatter(op.dimension_numbers, op.indices_are_sorted, True, op.mode)
        return write(x, indices, apply_elementwise(func, old))
    count = op.like(ScatterAdd)
    if type(indices) is Concrete and indices.on_host():
        zeros, ones = np.zeros(x.shape, _INT32), np.ones(shape, _INT32)
        (times,) = count.numpy(zeros, indices.host(), ones)
        return _in_known_rounds(x, times.ravel(), func)
    ones = basis.full(shape, 1, _INT32)
    times = count(basis.zeros(x.shape, _INT32), indices, ones)
    return _in_rounds(x, times, func)


def _in_known_rounds(x: Any, times: np.ndarray, func: Callable[..., Any]) -> Any:
    """Round k is for the elements that are named more than k times."""
    flat = basis.reshape(x, (x.size,))
    op = Scatter(GatherDimensionNumbers((), (0,), (0,)), True, True, PROMISE)
    for k in range(int(times.max(initial=0))):
        places = np.flatnonzero(times > k).astype(
            np.int64 if x.size >= 2**31 else np.int32
        )
        indices = to_array(places[:, None])
        old = op.reader(flat, Aval(places.shape, x.dtype))(flat, indices)
        flat = op(flat, indices, apply_elementwise(func, old))
    return basis.reshape(flat, x.shape)


def _in_rounds(x: Any, times: Any, func: Callable[..., Any]) -> Any:
    rounds = reduce_max(times, tuple(range(times.ndim)))

    def apply_once(carry: Any) -> Any:
        k, x = carry
        return basis.add(k, 1), basis.select(
            gt(times, k), apply_elementwise(func, x), x
        )

    start = basis.zeros((), _INT32)
    return while_loop(lambda carry: lt(carry[0], rounds), apply_once, (start, x))[1]


@public
def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Shape = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """An array with `func`, a function of a scalar, applied to each element of windows of it.

    An element that lies in n windows has `func` applied n times.

    Args:
      operand: array of any dtype, which `func` keeps.
      scatter_indices: integers, (…, k): index vectors.
      func: from scalar to scalar; it may close over other arrays.
      dimension_numbers: see `ScatterDimensionNumbers`.
      update_shape: the shape that the updates of a `scatter` to the same places would have.
      indices_are_sorted, unique_indices, mode: as for `scatter`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> points = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> i = jnp.array([[1], [3], [3]])
    >>> lax.scatter_apply(jnp.arange(4), i, lambda x: x * 10, points, update_shape=(3,))
    Array([  0,  10,   2, 300], dtype=int32)
    """
    x = to_array(operand, "scatter_apply", "operand")
    indices = to_array(scatter_indices, "scatter_apply", "scatter_indices")
    op = Scatter(
        GatherDimensionNumbers(*map(integers, dimension_numbers)),
        bool(indices_are_sorted),
        bool(unique_indices),
        GatherScatterMode.from_any(mode),
    )
    shape = integers(update_shape)
    op.abstract(x.aval, indices.aval, Aval(shape, x.dtype))
    return scatter_apply_points(op, x, indices, func, shape)
