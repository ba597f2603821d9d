"""Promotion at the door: operands of NumPy functions become Arrays of one dtype.

The lattice itself is in `ferax.dtypes`; here it meets values. Python numbers are weak: they take
the dtype of the array they meet if that can hold their kind (bool < int < float < complex). They
are converted on the host, so that no equation is staged for a constant.

The weak type of a result is not decided here: an operation's result is weak where all of its
operands are, so it suffices that every converted operand is as weak as the promoted type.
Everything here is on the path of each eager call: no generic helpers, tables instead.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval
from ferax.core.tracing import state, to_array
from ferax.errors import warn

_SCALARS = dtypes.SCALAR_AVALS
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_BOOL = np.dtype(np.bool_)

ArrayLike: TypeAlias = Array | np.ndarray | np.generic | bool | int | float | complex
DTypeLike: TypeAlias = Any

_RANKS = {bool: 0, int: 1, float: 2, complex: 3}

# (type of a Python number, dtype) -> whether the number takes that dtype
_adapts: dict[Any, bool] = {}


def scalar_adapts(kind: type, dtype: Any) -> bool:
    """Whether a Python number takes an array's dtype."""
    found = _adapts.get((kind, dtype))
    if found is None:
        rank = (
            -1
            if dtypes.is_key(dtype)
            else _RANKS[dtypes.scalar_type_of(np.empty(0, dtype))]
        )
        found = _adapts[kind, dtype] = _RANKS[kind] <= rank
    return found


def pair(who: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands as Arrays of their common dtype."""
    if isinstance(x, Array):
        if isinstance(y, Array):
            a, b = x.aval, y.aval
            if a.dtype is b.dtype:
                if a.shape and b.shape and len(a.shape) != len(b.shape):
                    check_ranks(who, (x, y))
                return x, y
        elif type(y) in _SCALARS and scalar_adapts(type(y), x.aval.dtype):
            return x, basis.typed_scalar(y, x.aval.dtype)
    elif (
        type(x) in _SCALARS
        and isinstance(y, Array)
        and scalar_adapts(type(x), y.aval.dtype)
    ):
        return basis.typed_scalar(x, y.aval.dtype), y
    one, two = promote(who, x, y)
    return one, two


def promote(who: str, *args: Any) -> list[Any]:
    """Operands as Arrays of their common dtype."""
    arrays = [operand(who, x, i) for i, x in enumerate(args)]
    check_ranks(who, arrays)
    dtype, weak = common_dtype(arrays)
    return [cast(x, dtype, weak) for x in arrays]


def promote_inexact(who: str, *args: Any) -> list[Any]:
    """As `promote`, and integers and bools become floating."""
    arrays = [operand(who, x, i) for i, x in enumerate(args)]
    check_ranks(who, arrays)
    dtype, weak = common_dtype(arrays)
    dtype = inexact_dtype(dtype)
    return [cast(x, dtype, weak) for x in arrays]


def pair_inexact(who: str, x: Any, y: Any) -> tuple[Any, Any]:
    """As `pair`, and integers and bools become floating."""
    a, b = pair(who, x, y)
    aval = a.aval
    if dtypes.is_inexact(aval.dtype):
        return a, b
    weak = aval.weak_type and b.aval.weak_type
    dtype = inexact_dtype(aval.dtype)
    if not weak:  # a Python integer need not fit into the integers that it meets
        a = basis.typed_scalar(x, dtype) if type(x) is int else a
        b = basis.typed_scalar(y, dtype) if type(y) is int else b
    return cast(a, dtype, weak), cast(b, dtype, weak)


def inexact(who: str, x: Any) -> Any:
    """One operand as an Array of a floating or complex dtype."""
    if not isinstance(x, Array):
        x = operand(who, x)
    aval = x.aval
    if dtypes.is_inexact(aval.dtype):
        return x
    return cast(x, inexact_dtype(aval.dtype), aval.weak_type)


def numeric(who: str, x: Any) -> Any:
    """One operand as an Array; TypeError where it is no number (random keys)."""
    x = operand(who, x)
    if dtypes.is_key(x.dtype):
        raise TypeError(f"{who} does not accept random keys; got {x.aval.short()}")
    return x


def operand(who: str, x: Any, place: int = 0) -> Any:
    """One operand as an Array."""
    if isinstance(x, Array):
        return x
    if isinstance(x, (list, tuple)) or x is None:
        raise TypeError(
            f"{who} requires ndarray or scalar arguments, got {type(x)} at position {place}."
            + ("" if x is None else " Convert it with jnp.array(…) first.")
        )
    return to_array(x, who, f"the argument at position {place}")


def cast(x: Any, dtype: Any, weak: bool = False) -> Any:
    """An Array as `dtype`; of known scalars on the host, so that constants stay constants."""
    aval = x.aval
    if aval.dtype == dtype:
        return x
    if type(x) is Concrete and not aval.shape and not dtypes.is_key(aval.dtype):
        if dtypes.is_complex(aval.dtype) and not dtypes.is_complex(dtype):
            return basis.convert(x, dtype, weak)
        if dtypes.is_integer(dtype) and dtypes.is_floating(aval.dtype):
            op = basis.Convert(dtype, weak)  # nan is 0, infinities are the ends
            return Concrete(Aval((), dtype, weak), state.quiet(op.numpy, x.host())[0])
        return Concrete(Aval((), dtype, weak), x.host().astype(dtype))
    return basis.convert(x, dtype, weak)


_strong: dict[Any, Any] = {}


def strong_scalar(value: Any, dtype: Any) -> Any:
    """A number as a scalar Array that is not weakly typed."""
    key = (value, type(value), dtype)
    found = _strong.get(key)
    if found is None:
        found = Concrete(Aval((), dtype), np.asarray(value).astype(dtype))
        if value != 0 and value == value:  # 0.0 equals -0.0, nan nothing
            if len(_strong) > 1024:
                _strong.clear()
            _strong[key] = found
    return found


def common_dtype(arrays: Any) -> tuple[Any, bool]:
    """The dtype that operands are promoted to, and whether it is weak."""
    avals = [x.aval for x in arrays]
    first = avals[0].dtype
    if all(a.dtype == first for a in avals):
        return first, all(a.weak_type for a in avals)
    return dtypes.promote(*avals)


def check_ranks(who: str, arrays: Any) -> None:
    """Obey `numpy_rank_promotion`: scalars always broadcast, other ranks may have to agree."""
    policy = config.numpy_rank_promotion
    if policy == "allow":
        return
    found = [x.aval.shape for x in arrays if x.aval.shape]
    if len({len(s) for s in found}) <= 1:
        return
    text = (
        f"{who}: operands of different ranks {', '.join(map(str, found))} while "
        f"numpy_rank_promotion is {policy!r}. Add axes of size 1 with x[None] or reshape."
    )
    if policy == "raise":
        raise ValueError(text)
    warn(text)


def inexact_dtype(dtype: Any) -> Any:
    """The dtype in which a function with fractional results is computed.

    64-bit integers, which exist with `enable_x64` only, become float64, all others float32.
    """
    if dtypes.is_inexact(dtype):
        return dtype
    return _FLOAT64 if dtype.itemsize == 8 else _FLOAT32


def as_bool(who: str, x: Any) -> Any:
    """An operand as a bool Array: x != 0."""
    x = operand(who, x)
    return x if x.dtype == _BOOL else cast(x, _BOOL)


def unsupported_out(who: str, out: Any) -> None:
    """`out=` writes into an array: arrays are immutable here."""
    if out is not None:
        raise NotImplementedError(
            f"The 'out' argument to jnp.{who} is not supported: arrays are immutable. Use the "
            "result, or x.at[…].set(result)."
        )
