"""Operands of `lax` functions: strict about dtypes and ranks, lenient about Python numbers.

The public functions of `lax` take operands of one dtype, and of one number of dimensions unless
they are scalars. Python numbers take the dtype of the array they meet, if that can hold their kind
(bool < int < float < complex). Everything here is on the path of each eager call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.tracing import to_array

ArrayLike: TypeAlias = Array | np.ndarray | np.generic | bool | int | float | complex

_SCALARS = dtypes.SCALAR_AVALS


# -- operands --------------------------------------------------------------------------------


_adapting: dict[Any, bool] = {}


def _adapts(kind: type, dtype: Any) -> bool:
    """Whether an array of `dtype` can hold Python numbers of this type."""
    found = _adapting.get((kind, dtype))
    if found is None:
        if kind is bool:
            found = dtypes.is_bool(dtype)
        else:
            found = dtypes.is_complex(dtype)
            found = found or (kind is not complex and dtypes.is_floating(dtype))
            found = found or (kind is int and dtypes.is_integer(dtype))
        _adapting[kind, dtype] = found
    return found


def adapted(who: str, *values: Any) -> list[Any]:
    """Operands as Arrays; Python numbers take the dtype of the arrays among them."""
    dtype = None
    for v in values:
        if isinstance(v, Array):
            dtype = v.aval.dtype
            break
        if isinstance(v, np.ndarray | np.generic):
            dtype = dtypes.canonical(v.dtype)
            break
    out = []
    for place, v in enumerate(values):
        if isinstance(v, Array):
            out.append(v)
        elif type(v) in _SCALARS and dtype is not None and _adapts(type(v), dtype):
            out.append(basis.typed_scalar(v, dtype))
        else:
            out.append(to_array(v, who, f"the operand at position {place}"))
    return out


def operands(who: str, *values: Any) -> list[Any]:
    """As `adapted`, and all that are not scalars must have one number of dimensions."""
    arrays = adapted(who, *values)
    ranks = {len(x.aval.shape) for x in arrays} - {0}
    if len(ranks) > 1:
        listing = " and ".join(x.aval.short() for x in arrays)
        raise TypeError(
            f"{who}: operands have different numbers of dimensions: {listing}. lax broadcasts "
            "scalars and axes of size 1 only; reshape an operand, or use jnp's function."
        )
    return arrays


def pair(who: str, x: Any, y: Any) -> Any:
    """`operands` of two, short for the usual cases."""
    if isinstance(x, Array):
        if isinstance(y, Array):
            a, b = x.aval.shape, y.aval.shape
            if a == b or not a or not b:
                return x, y
        elif type(y) in _SCALARS and _adapts(type(y), x.aval.dtype):
            return x, basis.typed_scalar(y, x.aval.dtype)
    elif (
        type(x) in _SCALARS and isinstance(y, Array) and _adapts(type(x), y.aval.dtype)
    ):
        return basis.typed_scalar(x, y.aval.dtype), y
    return operands(who, x, y)


def narrowed(y: Any, x: Any) -> Any:
    """A ufunc's result in the dtype of its operand: of 4-bit integers NumPy makes int8."""
    return y if y.dtype == x.dtype else y.astype(x.dtype)


def batch_of_none(
    op: Any, args: Sequence[Any], dims: Sequence[int | None]
) -> tuple[list[Any], list[int]]:
    """The batch rule of an operation that is mapped over no elements at all.

    For operations whose general rule would make a window of a mapped axis, or groups of it: they
    have at least one element.
    """
    avals = [
        a.aval
        if d is None
        else a.aval.update(shape=a.shape[:d] + a.shape[d + 1 :], weak_type=False)
        for a, d in zip(args, dims)
    ]
    outs = op.infer(tuple(avals))
    return [basis.zeros((0, *y.shape), y.dtype) for y in outs], [0] * len(outs)


def scalar(value: Any, x: Any) -> Any:
    """A number as a scalar of the dtype of `x`."""
    return basis.typed_scalar(value, x.dtype)
