"""Bits packed into bytes, and bytes into bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.shape import pad_zeros, slice_of
from ferax.numpy.creation import asarray
from ferax.numpy.operations import AND, BOOL
from ferax.numpy.promoting import ArrayLike, as_bool, operand
from ferax.shapes import canonical_axis

_UINT8 = np.dtype(np.uint8)


def _shifts(bitorder: str) -> Any:
    """By how much each of the eight bits of a byte is shifted."""
    if bitorder not in ("big", "little"):
        raise ValueError("'order' must be either 'little' or 'big'")
    places = np.arange(8, dtype=np.uint8)
    return asarray(places[::-1] if bitorder == "big" else places)


def _last(who: str, x: Any, axis: int | None) -> tuple[Any, int]:
    """The array with the axis at the end (None: as a vector), and where it was."""
    if axis is None:
        return basis.reshape(x, (x.size,)), 0
    place = canonical_axis(axis, x.ndim, who)
    return basis.moveaxis(x, place, x.ndim - 1), place


@public
def packbits(a: ArrayLike, axis: int | None = None, bitorder: str = "big") -> Array:
    """Eight elements each, taken as bits, packed into a byte; the last one is filled with 0.

    >>> import ferax.numpy as jnp
    >>> jnp.packbits(jnp.array([1, 0, 1]))
    Array([160], dtype=uint8)
    """
    x = operand("packbits", a)
    if not (x.dtype == BOOL or dtypes.is_integer(x.dtype)):
        raise TypeError("Expected an input array of integer or boolean data type")
    shifts = _shifts(bitorder)
    x, place = _last("packbits", basis.convert(as_bool("packbits", x), _UINT8), axis)
    *lead, n = x.shape
    x = pad_zeros(x, ((0, 0, 0),) * len(lead) + ((0, -n % 8, 0),))
    x = basis.reshape(x, (*lead, -(-n // 8), 8))
    packed = basis.reduce_sum(el.ShiftLeft()(x, shifts), (x.ndim - 1,))
    return basis.moveaxis(packed, packed.ndim - 1, place)


@public
def unpackbits(
    a: ArrayLike,
    axis: int | None = None,
    count: int | None = None,
    bitorder: str = "big",
) -> Array:
    """The bits of bytes, as eight elements each.

    Args:
      count: how many are kept along the axis; zeros are added to fewer; negative ones count
        from the end.

    >>> import ferax.numpy as jnp
    >>> jnp.unpackbits(jnp.array([5], dtype=jnp.uint8))
    Array([0, 0, 0, 0, 0, 1, 0, 1], dtype=uint8)
    """
    x = operand("unpackbits", a)
    if x.dtype != _UINT8:
        raise TypeError(
            f"Expected an input array of unsigned byte data type; got {x.aval.short()}"
        )
    shifts = _shifts(bitorder)
    x, place = _last("unpackbits", x, axis)
    bits = el.ShiftRightLogical()(basis.reshape(x, (*x.shape, 1)), shifts)
    bits = AND(bits, basis.typed_scalar(1, _UINT8))
    *lead, n, _ = bits.shape
    bits = basis.reshape(bits, (*lead, 8 * n))
    if count is not None:
        size = count if count >= 0 else max(8 * n + count, 0)
        if size > 8 * n:
            bits = pad_zeros(bits, ((0, 0, 0),) * len(lead) + ((0, size - 8 * n, 0),))
        bits = slice_of(bits, (0,) * bits.ndim, (*lead, size))
    return basis.moveaxis(bits, bits.ndim - 1, place)
