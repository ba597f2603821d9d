"""Operators, methods and properties of arrays, installed on `Array` once by `install`.

`core.array.Array` is below this room and knows shapes and values only; what `x + y` and
`x.sum()` mean is NumPy, and is said here. Tracers are Arrays, so they get the same.

Operators answer NotImplemented to what is no array and no number, so that the other operand is
asked next. They are the hottest functions of the library: operands of one dtype go straight to
the operation; `_fold` keeps ferax's frames out of tracebacks without a wrapper call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferax import dtypes, errors
from ferax.config import config
from ferax.core import basis
from ferax.core.array import Array, Concrete, engine
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.keys import WIDE_KEYS
from ferax.lax.shape import Concatenate, Rev
from ferax.numpy import (
    contracting,
    creation,
    elementary,
    indexing,
    operations,
    ordering,
    reducing,
    searching,
    shaping,
    ufuncs,
)
from ferax.numpy.promoting import check_ranks, operand, scalar_adapts

_BOOL = np.dtype(np.bool_)
_NUMBERS = dtypes.SCALAR_AVALS
_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))
_COMPLEX = tuple(dtypes.COMPLEX)
_WHOLE = frozenset((_BOOL, *dtypes.INTEGERS))
_KINDS = (Array, np.ndarray, np.generic, bool, int, float, complex)


def _folded(error: Exception) -> Exception:
    if config.traceback_filtering == "off":
        return error
    return error.with_traceback(errors.fold(error.__traceback__))


def _operator(
    name: str, function: Callable[..., Any], op: Any = None, skip: Any = (),
    reflected: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """The method `name`. `op` is the operation for operands of one dtype that is not in `skip`."""

    def method(self: Any, other: Any) -> Any:
        try:
            a = self.aval
            dtype = a.dtype
            if op is not None and dtype not in skip:
                if isinstance(other, Array):
                    b = other.aval
                    if b.dtype is dtype:
                        if b is not a and len(a.shape) != len(b.shape):
                            check_ranks(name, (self, other))
                        return op(other, self) if reflected else op(self, other)
                elif type(other) in _NUMBERS and scalar_adapts(type(other), dtype):
                    other = basis.typed_scalar(other, dtype)
                    return op(other, self) if reflected else op(self, other)
            if not isinstance(other, _KINDS) and not hasattr(other, "__jax_array__"):
                if name in _COMPARISONS and isinstance(other, (list, tuple)):
                    raise TypeError(
                        f"unsupported operand types of {name}: Array and "
                        f"{type(other).__name__}. Convert it with jnp.array(…) first."
                    )
                return NotImplemented
            return function(other, self) if reflected else function(self, other)
        except Exception as error:
            raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904

    method.__name__ = f"__{name}__"
    method.__qualname__ = f"Array.__{name}__"
    method.__doc__ = function.__doc__
    return method


def _operators() -> dict[str, Callable[..., Any]]:
    o, u = operations, ufuncs
    arithmetic: dict[str, tuple[Any, ...]] = {
        "add": (u._add, o.ADD, (o.BOOL,)),
        "sub": (u._subtract, o.SUB),
        "mul": (u._multiply, o.MUL, (o.BOOL,)),
        "truediv": (u.true_divide, o.DIV, _WHOLE),
        "floordiv": (u.floor_divide,),
        "mod": (u.remainder,),
        "divmod": (u.divmod,),
        "pow": (u.power,),
        "matmul": (contracting.matmul,),
        "and": (u._bitwise_and, o.AND),
        "or": (u._bitwise_or, o.OR),
        "xor": (u._bitwise_xor, o.XOR),
        "lshift": (u.left_shift,),
        "rshift": (u.right_shift,),
    }
    comparisons: dict[str, tuple[Any, ...]] = {
        "eq": (u.equal, o.EQ, WIDE_KEYS),
        "ne": (u.not_equal, o.NE, WIDE_KEYS),
        "lt": (u.less, o.LT, _COMPLEX),
        "le": (u.less_equal, o.LE, _COMPLEX),
        "gt": (u.greater, o.GT, _COMPLEX),
        "ge": (u.greater_equal, o.GE, _COMPLEX),
    }
    out = {}
    for name, parts in {**arithmetic, **comparisons}.items():
        out[f"__{name}__"] = _operator(name, *parts)
    for name, (function, *rest) in arithmetic.items():
        op = rest[0] if rest else None
        skip = rest[1] if len(rest) > 1 else ()
        out[f"__r{name}__"] = _operator(f"r{name}", function, op, skip, True)
    return out


# -- methods that are not functions of the namespace ---------------------------------------


def _reshape(self: Any, *args: Any, order: str = "C", out_sharding: Any = None) -> Any:
    """`jnp.reshape(x, shape)`; the sizes may also be given one by one."""
    shape = args[0] if len(args) == 1 else args
    try:
        return shaping.reshape(self, shape, order, out_sharding=out_sharding)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


def _transpose(self: Any, *args: Any) -> Any:
    """`jnp.transpose(x, axes)`; the axes may also be given one by one."""
    axes: Any = args or None
    if len(args) == 1 and (args[0] is None or np.iterable(args[0])):
        axes = args[0]
    try:
        return shaping.transpose(self, axes)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


def _flatten(self: Any, order: str = "C", *, out_sharding: Any = None) -> Any:
    """The elements as a vector."""
    try:
        return shaping.ravel(self, order, out_sharding=out_sharding)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


def _astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Any:
    """`jnp.astype(x, dtype)`"""
    try:
        return creation.astype(self, dtype, copy=copy, device=device)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


@public
def _view(self: Any, dtype: Any = None, type: None = None) -> Any:
    """The same bytes read as another dtype; the last axis changes if the widths differ.

    >>> import ferax.numpy as jnp
    >>> jnp.array([1.5], jnp.float32).view(jnp.int32)
    Array([1069547520], dtype=int32)
    """
    if type is not None:
        raise NotImplementedError("view: the 'type' argument is not supported")
    if dtype is None:
        return self
    wanted, own = dtypes.requested(dtype, "view"), self.dtype
    if wanted == own:
        return self
    narrow = self.ndim == 0
    if narrow and wanted.itemsize != own.itemsize:
        raise ValueError(
            "view() of a 0d array is only supported if the itemsize is unchanged."
        )
    x = basis.reshape(self, (1,)) if narrow else self
    if (x.shape[-1] * own.itemsize) % wanted.itemsize:
        raise ValueError(
            f"view: the last axis of {self.aval.short()} ({x.shape[-1] * own.itemsize} bytes) is "
            f"no multiple of the {wanted.itemsize} bytes of {wanted}"
        )
    x = _of_plain(_reread(_as_plain(x), _plain(wanted)), wanted)
    return basis.reshape(x, ()) if narrow else x


def _plain(dtype: Any) -> Any:
    """The dtype whose elements make up those of bools and of complex numbers."""
    if dtype == _BOOL:
        return np.dtype(np.uint8)
    return dtypes.to_real(dtype) if dtypes.is_complex(dtype) else dtype


def _as_plain(x: Any) -> Any:
    """Bools as bytes, complex numbers as pairs along the last axis."""
    if x.dtype == _BOOL:
        return basis.convert(x, np.dtype(np.uint8))
    if not dtypes.is_complex(x.dtype):
        return x
    place = (x.ndim,)
    parts = [basis.expand_dims(f(x), place) for f in (elementary.real, elementary.imag)]
    pairs = Concatenate(x.ndim)(*parts)
    return basis.reshape(pairs, (*x.shape[:-1], 2 * x.shape[-1]))


def _of_plain(x: Any, wanted: Any) -> Any:
    if wanted == _BOOL:
        return _NE_ZERO(x)
    if not dtypes.is_complex(wanted):
        return x
    pairs = basis.reshape(x, (*x.shape[:-1], x.shape[-1] // 2, 2))
    return el.Complex()(pairs[..., 0], pairs[..., 1])


def _reread(x: Any, wanted: Any) -> Any:
    """The bytes along the last axis as another dtype."""
    own, (*lead, last) = x.dtype, x.shape
    if wanted.itemsize == own.itemsize:
        return x if wanted == own else el.bitcast_convert_type(x, wanted)
    if wanted.itemsize < own.itemsize:
        parts = el.bitcast_convert_type(x, wanted)
        return basis.reshape(parts, (*lead, last * (own.itemsize // wanted.itemsize)))
    ratio = wanted.itemsize // own.itemsize
    grouped = basis.reshape(x, (*lead, last // ratio, ratio))
    return el.bitcast_convert_type(grouped, wanted)


def _NE_ZERO(x: Any) -> Any:
    return operations.NE(x, basis.typed_scalar(0, x.dtype))


@public
def _byteswap(self: Any) -> Any:
    """The bytes of each element in reverse order."""
    own = self.dtype
    if dtypes.is_complex(own):
        parts = [_byteswap(elementary.real(self)), _byteswap(elementary.imag(self))]
        return el.Complex()(*parts)
    if own.itemsize == 1:
        return self
    parts = el.bitcast_convert_type(self, np.dtype(np.uint8))
    return el.bitcast_convert_type(Rev((parts.ndim - 1,))(parts), own)


@public
def _round_number(number: Any, ndigits: int | None = None) -> Any:
    """round(x) is integer, round(x, n) has the dtype of x"""
    out = elementary.round(number, ndigits or 0)
    return out.astype(int) if ndigits is None else out


@public
def _contains(self: Any, other: Any) -> Any:
    """Whether an element equals a number."""
    query = operand("__contains__", other)
    if query.ndim:
        raise ValueError(
            f"Array.__contains__: query value must be a scalar, got query.shape={query.shape}"
        )
    return reducing.any(ufuncs.equal(self, query))


def _clip(self: Any, min: Any = None, max: Any = None) -> Any:
    """`jnp.clip(x, min, max)`"""
    try:
        return ufuncs.clip(self, min, max)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


def _compress(
    self: Any, condition: Any, axis: int | None = None, *, out: None = None,
    size: int | None = None, fill_value: Any = 0,
) -> Any:  # fmt: skip
    """`jnp.compress(condition, x, axis)`"""
    return searching.compress(
        condition, self, axis=axis, out=out, size=size, fill_value=fill_value
    )


def _namespace(self: Any, *, api_version: str | None = None) -> Any:
    """The module `ferax.numpy`."""
    if api_version not in (None, "2024.12"):
        raise ValueError(
            f"{api_version=} is not available; available versions are: ['2024.12']"
        )
    import sys

    return sys.modules["ferax.numpy"]


def _to_device(self: Any, device: Any, *, stream: Any = None) -> Any:
    """The array on another device."""
    if stream is not None:
        raise NotImplementedError("to_device: streams are not supported")
    return creation.placed(self, device)


def _addressable_data(self: Any, index: int) -> Any:
    """The part of the array that the index-th of this process's devices holds."""
    return engine().shards(self)[index].data


def _shards(self: Any) -> Any:
    """The parts of the array on its devices, each with `device`, `index`, and `data`."""
    return engine().shards(self)


# what only arrays with values have; `Concrete` defines them
_OF_VALUES = (
    "addressable_data", "addressable_shards", "committed", "copy_to_host_async", "device",
    "devices", "global_shards", "is_fully_addressable", "is_fully_replicated", "sharding",
)  # fmt: skip


def _unplaced(name: str) -> property:
    def refuse(self: Any) -> Any:
        raise AttributeError(
            f"a traced array ({self.aval.short()}) has no {name!r}: where its values will be is "
            "decided when the program runs. Ask the array that you pass in, or the result."
        )

    return property(refuse)


def _flat(self: Any) -> Any:
    raise NotImplementedError(
        "arrays do not implement the arr.flat property: use arr.flatten()"
    )


def _matrix_transposed(self: Any) -> Any:
    """The last two axes swapped."""
    return shaping.matrix_transpose(self)


def _getitem(self: Any, index: Any) -> Any:
    try:
        return indexing.getitem(self, index)
    except Exception as error:
        raise _folded(error)  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: E501, B904


_METHODS: dict[str, Callable[..., Any]] = {
    "__getitem__": _getitem,
    "__neg__": ufuncs._negative,
    "__pos__": ufuncs.positive,
    "__abs__": ufuncs.absolute,
    "__invert__": ufuncs.bitwise_not,
    "__round__": _round_number,
    "__contains__": _contains,
    "__array_namespace__": _namespace,
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": _flatten,
    "ravel": shaping.ravel,
    "squeeze": shaping.squeeze,
    "swapaxes": shaping.swapaxes,
    "repeat": shaping.repeat,
    "diagonal": shaping.diagonal,
    "astype": _astype,
    "view": _view,
    "byteswap": _byteswap,
    "to_device": _to_device,
    "clip": _clip,
    "round": elementary.round,
    "conj": elementary.conjugate,
    "conjugate": elementary.conjugate,
    "sum": reducing.sum,
    "prod": reducing.prod,
    "max": reducing.max,
    "min": reducing.min,
    "mean": reducing.mean,
    "var": reducing.var,
    "std": reducing.std,
    "all": reducing.all,
    "any": reducing.any,
    "ptp": reducing.ptp,
    "argmax": reducing.argmax,
    "argmin": reducing.argmin,
    "cumsum": reducing.cumsum,
    "cumprod": reducing.cumprod,
    "sort": ordering.sort,
    "argsort": ordering.argsort,
    "argpartition": ordering.argpartition,
    "trace": contracting.trace,
    "dot": contracting.dot,
    "take": searching.take,
    "choose": searching.choose,
    "compress": _compress,
    "nonzero": searching.nonzero,
    "searchsorted": searching.searchsorted,
}

_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "T": shaping.transposed,
    "mT": _matrix_transposed,
    "real": elementary.real,
    "imag": elementary.imag,
    "at": indexing.At,
    "flat": _flat,
}


def install() -> None:
    """Give `Array` its operators, methods and properties."""
    del Array.__getattr__  # which loads this room
    for name, method in {**_operators(), **_METHODS}.items():
        setattr(Array, name, method)
    for name, getter in _PROPERTIES.items():
        setattr(Array, name, property(getter))
    for name in _OF_VALUES:
        setattr(Array, name, _unplaced(name))
    Concrete.addressable_data = _addressable_data  # type: ignore[attr-defined]
    for name in ("addressable_shards", "global_shards"):
        setattr(Concrete, name, property(_shards))
