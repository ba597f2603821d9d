"""What is known about dtypes and objects, how arrays are printed and saved."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import scoped
from ferax.core.array import Array, Concrete
from ferax.numpy.promoting import DTypeLike


def promote_types(a: DTypeLike, b: DTypeLike) -> np.dtype:
    """The dtype that operands of two dtypes are promoted to; 64 bits stay 64 bits.

    >>> import ferax.numpy as jnp
    >>> jnp.promote_types(jnp.bfloat16, jnp.float16)
    dtype('float32')
    """
    with scoped["enable_x64"](True):
        return dtypes.result_type(a, b)


def issubdtype(arg1: DTypeLike, arg2: DTypeLike) -> bool:
    """Whether a dtype is another one, or of an abstract kind such as `jnp.floating`.

    >>> import ferax.numpy as jnp
    >>> jnp.issubdtype(jnp.bfloat16, jnp.floating)
    True
    """
    return dtypes.issubdtype(arg1, arg2)


def can_cast(from_: Any, to: DTypeLike, casting: str = "safe") -> bool:
    """Whether a dtype (or an array's) converts to another under NumPy's casting rule.

    >>> import ferax.numpy as jnp
    >>> jnp.can_cast(jnp.int32, jnp.int8)
    False
    """
    source = (
        from_ if isinstance(from_, (int, float, complex)) else dtypes.as_dtype(from_)
    )
    return np.can_cast(source, dtypes.as_dtype(to), casting)  # type: ignore[arg-type]


_CATEGORIES = {
    "bool": (dtypes.is_bool,),
    "signed integer": (dtypes.is_signed,),
    "unsigned integer": (dtypes.is_unsigned,),
    "integral": (dtypes.is_integer,),
    "real floating": (dtypes.is_floating,),
    "complex floating": (dtypes.is_complex,),
    "numeric": (dtypes.is_integer, dtypes.is_inexact),
}


def isdtype(dtype: DTypeLike, kind: Any) -> bool:
    """Whether a dtype is of a kind, a category of the array API standard, or one of several.

    >>> import ferax.numpy as jnp
    >>> jnp.isdtype(jnp.bfloat16, ("bool", "real floating"))
    True
    """
    found = dtypes.as_dtype(dtype)
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str) and one in _CATEGORIES:
            if any(test(found) for test in _CATEGORIES[one]):
                return True
            continue
        try:
            wanted = dtypes.as_dtype(one)
        except TypeError:
            raise ValueError(
                f"Unrecognized kind={one!r} expected one of {list(_CATEGORIES)}, or a dtype"
            ) from None
        if wanted == found:
            return True
    return False


def iterable(y: Any) -> bool:
    """Whether an object can be iterated over; arrays without axes cannot."""
    return bool(y.ndim) if isinstance(y, Array) else np.iterable(y)


# -- printing ------------------------------------------------------------------------------

set_printoptions = np.set_printoptions
get_printoptions = np.get_printoptions
printoptions = np.printoptions


def array_repr(
    arr: Any, max_line_width: int | None = None, precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:  # fmt: skip
    """`repr(arr)` with other print options"""
    if not isinstance(arr, Concrete):
        return repr(arr)
    with np.printoptions(**_given(max_line_width, precision, suppress_small)):
        return repr(arr)


def array_str(
    a: Any, max_line_width: int | None = None, precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:  # fmt: skip
    """`str(a)` with other print options"""
    if not isinstance(a, Concrete):
        return str(a)
    with np.printoptions(**_given(max_line_width, precision, suppress_small)):
        return str(a)


def _given(width: Any, precision: Any, suppress: Any) -> dict[str, Any]:
    options = {"linewidth": width, "precision": precision, "suppress": suppress}
    return {name: value for name, value in options.items() if value is not None}


# -- files ---------------------------------------------------------------------------------


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """`np.save` of an array"""
    np.save(file, np.asarray(arr), allow_pickle=allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """`np.savez` of arrays"""
    np.savez(
        file, *map(np.asarray, args), allow_pickle=allow_pickle,
        **{name: np.asarray(x) for name, x in kwds.items()},
    )  # fmt: skip
