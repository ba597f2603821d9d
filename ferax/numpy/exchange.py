"""Arrays from and to other libraries by DLPack."""

from __future__ import annotations

from typing import Any

from ferax import dtypes
from ferax.core.array import Array
from ferax.errors import public
from ferax.numpy import creation


@public
def from_dlpack(
    external_array: Any, device: Any = None, copy: bool | None = None
) -> Array:
    """The array behind an object of another library that offers `__dlpack__`.

    Args:
      external_array: the object.
      device: a device or sharding to put it on.
      copy: False is an error, as the memory of others is never shared.

    >>> import numpy as np
    >>> import ferax
    >>> ferax.dlpack.from_dlpack(np.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    return creation.from_dlpack(external_array, device=device, copy=copy)


@public
def is_supported_dtype(dtype: Any) -> bool:
    """Whether arrays of this dtype can be handed over: numbers of 8 bits and more, but float8.

    >>> import ferax
    >>> ferax.dlpack.is_supported_dtype("bfloat16"), ferax.dlpack.is_supported_dtype("int4")
    (True, False)
    """
    found = dtypes.as_dtype(dtype)
    if found == dtypes.bfloat16 or dtypes.is_bool(found) or dtypes.is_complex(found):
        return True
    whole = dtypes.is_integer(found) and dtypes.itemsize_bits(found) >= 8
    return whole or (dtypes.is_floating(found) and dtypes.itemsize_bits(found) >= 16)
