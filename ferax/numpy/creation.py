"""Arrays from nothing, from Python and from NumPy.

Eagerly, arrays are made by NumPy at once; under a transformation that stages, the constant ones
are operations (`iota`, a broadcast scalar), so that compiled programs do not carry them as data.

Python numbers alone give weak types (`jnp.array(2.0)`); lists of them give strong ones. A list
is read in one pass by NumPy if it holds Python numbers only; lists with arrays in them take their
promoted dtype, and are stacked if one of them is traced.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array, Concrete, engine, owned
from ferax.core.avals import Aval
from ferax.core.tracing import Tracer, aval_of, state, to_array, unmasked
from ferax.errors import public
from ferax.lax.elementwise import Floor
from ferax.lax.shape import Concatenate, Iota, known_integer
from ferax.numpy.elementary import log10
from ferax.numpy.promoting import (
    ArrayLike,
    DTypeLike,
    cast,
    inexact_dtype,
    operand,
    promote,
)
from ferax.numpy.ufuncs import power, sign

_BOOL, _INT, _FLOAT, _COMPLEX = map(
    np.dtype, (np.bool_, np.int64, np.float64, np.complex128)
)
_OF_PYTHON = {bool: _BOOL, int: _INT, float: _FLOAT, complex: _COMPLEX}
_PYTHON_NUMBERS = frozenset(_OF_PYTHON)
_CONSTANT = 1024  # elements up to which a compiled program may carry an array as data


def default_float() -> np.dtype:
    """float32, or float64 with `enable_x64`."""
    return dtypes.canonical(_FLOAT)


def default_int() -> np.dtype:
    """int32, or int64 with `enable_x64`."""
    return dtypes.canonical(_INT)


def placed(x: Any, device: Any, out_sharding: Any = None, who: str = "array") -> Any:
    """The array on a device, or laid out as a sharding says."""
    where = device if out_sharding is None else out_sharding
    # in a compiled program placement is a constraint, not an operation
    return (
        x if where is None or isinstance(x, Tracer) else engine().device_put(x, where)
    )


# -- array ---------------------------------------------------------------------------------


@public
def array(
    object: Any, dtype: DTypeLike = None, copy: bool = True, order: str | None = "K",
    ndmin: int = 0, *, device: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """An Array with the values of a number, an array, or nested sequences of them.

    Args:
      object: number, array, nested lists and tuples of those, or anything with `__array__`.
      dtype: of the result; by default the promoted one of all elements. 64-bit dtypes become
        32-bit ones unless `enable_x64`.
      copy: if False, an Array of the wanted dtype is returned as it is.
      ndmin: axes of size 1 are put in front until there are so many.

    Raises:
      TypeError: an element is no number.
      OverflowError: an integer does not fit.
      ValueError: the sequences are ragged; `object` is None.

    >>> import ferax.numpy as jnp
    >>> jnp.array([[1, 2], [3, 4.5]])
    Array([[1. , 2. ],
           [3. , 4.5]], dtype=float32)
    >>> jnp.array(2.5)
    Array(2.5, dtype=float32, weak_type=True)
    """
    if order is not None and order != "K":
        raise NotImplementedError(
            f"array: order={order!r}; arrays have one order, use 'K'"
        )
    if dtype is not None:
        dtype = dtypes.requested(dtype, "array")
    x = _from_object(object, dtype)
    if copy and x is object and type(x) is Concrete:
        x = x.copy()
    ndmin = known_integer(ndmin, "array", "ndmin")
    if ndmin > x.ndim:
        x = basis.reshape(x, (1,) * (ndmin - x.ndim) + x.shape)
    if device is None and out_sharding is None:
        return x
    return placed(x, device, out_sharding)


@public
def asarray(
    a: Any, dtype: DTypeLike = None, order: str | None = None, *, copy: bool | None = None,
    device: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """As `array`, without a copy where `a` is an Array of the wanted dtype already.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(3)
    >>> jnp.asarray(x) is x
    True
    """
    if order is not None and order != "K":
        raise NotImplementedError(
            f"asarray: order={order!r}; arrays have one order, use 'K'"
        )
    if dtype is not None:
        dtype = dtypes.requested(dtype, "asarray")
    x = _from_object(a, dtype)
    if copy and x is a and type(x) is Concrete:
        x = x.copy()
    if device is None and out_sharding is None:
        return x
    return placed(x, device, out_sharding)


def _from_object(x: Any, dtype: Any) -> Any:
    kind = type(x)
    if kind is list or kind is tuple:
        return _from_sequence(x, dtype)
    if isinstance(x, Array):
        return x if dtype is None else basis.convert(x, dtype)
    if kind in _PYTHON_NUMBERS:
        if dtype is None:
            return _checked_scalar(x)
        return Concrete(Aval((), dtype), np.array(x, dtypes.carrier(dtype)))
    if kind is np.ndarray or isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(x, dtype)
    if x is None:
        raise ValueError("None is not a valid value for jnp.array")
    if hasattr(x, "__jax_array__"):
        return _from_object(x.__jax_array__(), dtype)
    if isinstance(x, (list, tuple)):
        return _from_sequence(x, dtype)
    if isinstance(x, (bool, int, float, complex)):
        return _from_object(np.asarray(x) if dtype is not None else to_array(x), dtype)
    return _from_numpy(np.asarray(x), dtype, x)


def _checked_scalar(x: Any) -> Any:
    if type(x) is int and not -0x80000000 <= x <= 0x7FFFFFFF:
        info = np.iinfo(default_int())
        if not info.min <= x <= info.max:
            raise OverflowError(
                f"Python int {x} too large to convert to {default_int()}"
            )
    return to_array(x)


def _from_numpy(x: Any, dtype: Any, given: Any = None) -> Any:
    host = unmasked(x)
    if host.dtype.kind in "OSUMm" or (
        host.dtype.kind == "V" and host.dtype.fields is not None
    ):
        shown = repr(given if given is not None else x)
        if host.dtype != dtypes.float0:
            raise TypeError(
                f"Value {shown[:80]} with dtype {host.dtype} is not a valid array type; arrays "
                "hold numbers and booleans."
            )
    if dtype is None:
        dtype = dtypes.canonical(host.dtype)
    elif dtypes.is_key(dtype):
        raise TypeError(
            f"array: numbers do not become random keys; got dtype {host.dtype}"
        )
    # a copy in any case: the owner of `x` may write into it later
    if host.dtype.kind == "c" and dtype.kind != "c" and dtype != _BOOL:
        host = host.real
    return Concrete(Aval(host.shape, dtype), owned(host, dtypes.carrier(dtype)))


# -- sequences -----------------------------------------------------------------------------


def _leaf_types(sequence: Any, found: set[type]) -> None:
    """Collect the types of what is not itself a list or tuple."""
    kinds = set(map(type, sequence))
    if list in kinds or tuple in kinds:
        for item in sequence:
            if type(item) is list or type(item) is tuple:
                _leaf_types(item, found)
            else:
                found.add(type(item))
    else:
        found |= kinds


def _from_sequence(sequence: Any, dtype: Any) -> Any:
    kinds: set[type] = set()
    _leaf_types(sequence, kinds)
    if kinds <= _PYTHON_NUMBERS:
        if dtype is None:
            wanted = _FLOAT
            for kind in (complex, float, int, bool):
                if kind in kinds:
                    wanted = _OF_PYTHON[kind]
                    break
            dtype = dtypes.canonical(wanted)
        host = np.array(sequence, dtype)
        return Concrete(Aval(host.shape, dtype), host)
    if kinds <= _PYTHON_NUMBERS | {Concrete} or not any(map(_is_array_type, kinds)):
        return _from_known(sequence, dtype)
    return _from_traced(sequence, dtype)


def _is_array_type(kind: type) -> bool:
    return issubclass(kind, Array) or hasattr(kind, "__jax_array__")


def _leaves(sequence: Any) -> list[Any]:
    out: list[Any] = []
    for item in sequence:
        if isinstance(item, (list, tuple)):
            out.extend(_leaves(item))
        else:
            out.append(item)
    return out


def _common_dtype(leaves: Sequence[Any]) -> Any:
    avals = []
    for leaf in leaves:
        if leaf is None:
            raise ValueError("None is not a valid value for jnp.array")
        if isinstance(leaf, (Array, np.ndarray, np.generic, bool, int, float, complex)):
            avals.append(aval_of(leaf))
        else:
            avals.append(_from_object(leaf, None).aval)
    return dtypes.promote(*dict.fromkeys(avals))[0]


def _from_known(sequence: Any, dtype: Any) -> Any:
    """Sequences whose leaves have values: NumPy makes the array, in the promoted dtype."""
    if dtype is None:
        leaves = _leaves(sequence)
        dtype = _common_dtype(leaves) if leaves else default_float()
    if dtypes.is_key(dtype):
        return _from_traced(sequence, dtype)
    host = np.array(_hosts(sequence), dtype)
    return Concrete(Aval(host.shape, dtype), host)


def _hosts(sequence: Any) -> Any:
    return [
        _hosts(item) if isinstance(item, (list, tuple))
        else item.host() if type(item) is Concrete else item
        for item in sequence
    ]  # fmt: skip


def _from_traced(sequence: Any, dtype: Any) -> Any:
    """Sequences with traced arrays in them: stacked along a new first axis."""
    if dtype is None:
        dtype = _common_dtype(_leaves(sequence))
    parts = [
        _from_traced(item, dtype) if isinstance(item, (list, tuple)) and _leaves(item)
        else _from_object(item, None if dtypes.is_key(dtype) else dtype)
        for item in sequence
    ]  # fmt: skip
    found = {p.shape for p in parts}
    if len(found) > 1:
        raise ValueError(
            f"array: the sequence is ragged; its elements have the shapes {sorted(found)}"
        )
    if not parts:
        return basis.zeros((0,), dtype)
    rows = [basis.reshape(p, (1, *p.shape)) for p in parts]
    return rows[0] if len(rows) == 1 else Concatenate(0)(*rows)


@public
def copy(a: ArrayLike, order: str | None = None) -> Array:
    """An array with the values of `a` in memory of its own."""
    return array(operand("copy", a), copy=True, order=order)


@public
def astype(
    x: ArrayLike, dtype: DTypeLike, /, *, copy: bool = False, device: Any = None
) -> Array:
    """x as another dtype: floats to integers truncate, numbers to bools are x != 0.

    >>> import ferax.numpy as jnp
    >>> jnp.astype(jnp.array([-1.5, 2.5]), int)
    Array([-1,  2], dtype=int32)
    """
    dtype = default_float() if dtype is None else dtypes.requested(dtype, "astype")
    x = operand("astype", x)
    out = basis.convert(x, dtype)
    if copy and out is x and type(x) is Concrete:
        out = x.copy()
    return out if device is None else placed(out, device)


@public
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """The array behind an object of another library that offers `__dlpack__`.

    Raises:
      ValueError: copy=False; memory in which others may write is never shared.

    >>> import numpy as np
    >>> import ferax.numpy as jnp
    >>> jnp.from_dlpack(np.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    if isinstance(x, Array):
        return array(x, copy=builtins.bool(copy), device=device)
    if copy is False:
        raise ValueError(
            "from_dlpack: copy=False, but the owner may write into its memory later, and "
            "Arrays never change; leave out copy"
        )
    if x.__dlpack_device__()[0] not in (1, 13):  # kDLCPU, kDLCUDAHost
        return placed(engine().from_dlpack(x), device)
    try:
        host = np.from_dlpack(x)
    except (BufferError, RuntimeError):  # a dtype that NumPy does not have
        host = engine().from_dlpack(x).host()
    return placed(_from_numpy(host, None), device)


@public
def frombuffer(
    buffer: Any, dtype: DTypeLike = float, count: int = -1, offset: int = 0
) -> Array:
    """A vector from the bytes of an object.

    >>> import ferax.numpy as jnp
    >>> jnp.frombuffer(bytes([1, 2, 3]), dtype=jnp.uint8)
    Array([1, 2, 3], dtype=uint8)
    """
    host = np.frombuffer(buffer, dtypes.as_dtype(dtype), count, offset)
    return _from_numpy(host, None)


@public
def fromstring(
    string: str, dtype: DTypeLike = float, count: int = -1, *, sep: str
) -> Array:
    """A vector from numbers written in a string.

    >>> import ferax.numpy as jnp
    >>> jnp.fromstring("1, 2.5", sep=",")
    Array([1. , 2.5], dtype=float32)
    """
    return _from_numpy(
        np.fromstring(string, dtypes.as_dtype(dtype), count, sep=sep), None
    )


@public
def fromfile(*args: Any, **kwargs: Any) -> Array:
    """Not offered, as its result depends on more than its arguments: jnp.array(np.fromfile(…))."""
    raise NotImplementedError(
        "fromfile depends on a file: use jnp.array(np.fromfile(…))"
    )


@public
def fromiter(*args: Any, **kwargs: Any) -> Array:
    """Not offered, as it consumes an iterator: jnp.array(np.fromiter(…))."""
    raise NotImplementedError(
        "fromiter consumes an iterator: use jnp.array(np.fromiter(…))"
    )


@public
def load(file: Any, *args: Any, **kwargs: Any) -> Array:
    """The array in a .npy file (or the mapping of those in a .npz file)."""
    out = np.load(file, *args, **kwargs)
    if not isinstance(out, np.ndarray):
        return out
    if out.dtype == np.dtype("V2"):  # how NumPy writes bfloat16
        out = out.view(dtypes.bfloat16)
    return _from_numpy(out, None)


# -- constant arrays -----------------------------------------------------------------------


def _filled(
    who: str, shape: Any, value: Any, dtype: Any, device: Any, sharding: Any
) -> Any:
    dtype = default_float() if dtype is None else dtypes.requested(dtype, who)
    shape = shapes.canonical_shape(shape, who)
    if state.trace is None and not value and not dtypes.is_key(dtype):
        x = Concrete(Aval(shape, dtype), np.zeros(shape, dtype))
    else:
        x = basis.full(shape, value, dtype)
    return x if device is None and sharding is None else placed(x, device, sharding)


@public
def zeros(
    shape: Any, dtype: DTypeLike = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """An array of zeros; float32 by default.

    >>> import ferax.numpy as jnp
    >>> jnp.zeros((2, 3), dtype=int)
    Array([[0, 0, 0],
           [0, 0, 0]], dtype=int32)
    """
    return _filled("zeros", shape, 0, dtype, device, out_sharding)


@public
def ones(
    shape: Any, dtype: DTypeLike = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """An array of ones; float32 by default."""
    return _filled("ones", shape, 1, dtype, device, out_sharding)


@public
def empty(
    shape: Any, dtype: DTypeLike = None, *, device: Any = None, out_sharding: Any = None
) -> Array:
    """As `zeros`: memory with arbitrary contents would make results unrepeatable."""
    return _filled("empty", shape, 0, dtype, device, out_sharding)


@public
def full(
    shape: Any, fill_value: ArrayLike, dtype: DTypeLike = None, *, device: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """`fill_value`, broadcast to `shape`.

    >>> import ferax.numpy as jnp
    >>> jnp.full((2, 2), jnp.array([1., 2.]))
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    if dtype is not None:
        dtype = dtypes.requested(dtype, "full")
    value = _filling("full", fill_value, dtype)
    if dtype is not None and not dtypes.is_key(dtype):
        value = cast(value, dtype)
        value = basis.convert(value, dtype)
    out = _spread(value, shapes.canonical_shape(shape, "full"), "full")
    return (
        out
        if device is None and out_sharding is None
        else placed(out, device, out_sharding)
    )


def _filling(who: str, value: Any, dtype: Any) -> Any:
    if type(value) is int and dtype is not None and dtypes.is_inexact(dtype):
        value = float(value)  # it need not fit an integer dtype
    return operand(who, value, 1)


def _spread(value: Any, shape: Any, who: str) -> Any:
    """NumPy's broadcast_to, checked."""
    if value.shape != shape:
        if value.ndim > len(shape) or any(
            n not in (1, m) for n, m in zip(value.shape[::-1], shape[::-1])
        ):
            raise ValueError(
                f"{who}: {value.aval.short()} does not broadcast to shape {shape}"
            )
        if state.trace is None and type(value) is Concrete and not value.aval.shape:
            aval = value.aval.update(shape=shape)
            return Concrete(aval, np.full(shape, value.host()))
    return basis.broadcast_to(value, shape)


def _filled_like(
    who: str, a: Any, value: Any, dtype: Any, shape: Any, device: Any
) -> Any:
    if isinstance(a, (list, tuple)):
        operand(who, a)  # raises
    like = aval_of(a)
    weak = dtype is None and like.weak_type
    dtype = like.dtype if dtype is None else dtypes.requested(dtype, who)
    shape = like.shape if shape is None else shapes.canonical_shape(shape, who)
    if weak:
        x = _spread(basis.typed_scalar(value, dtype), shape, who)
    elif state.trace is None and not value and not dtypes.is_key(dtype):
        x = Concrete(Aval(shape, dtype), np.zeros(shape, dtype))
    else:
        x = basis.full(shape, value, dtype)
    return x if device is None else placed(x, device)


@public
def zeros_like(
    a: Any, dtype: DTypeLike = None, shape: Any = None, *, device: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Zeros with the shape and dtype of `a` (an array, or anything that has both)."""
    return _filled_like("zeros_like", a, 0, dtype, shape, device or out_sharding)


@public
def ones_like(
    a: Any, dtype: DTypeLike = None, shape: Any = None, *, device: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """Ones with the shape and dtype of `a`"""
    return _filled_like("ones_like", a, 1, dtype, shape, device or out_sharding)


@public
def empty_like(
    prototype: Any, dtype: DTypeLike = None, shape: Any = None, *, device: Any = None,
    out_sharding: Any = None,
) -> Array:  # fmt: skip
    """As `zeros_like`"""
    return _filled_like(
        "empty_like", prototype, 0, dtype, shape, device or out_sharding
    )


@public
def full_like(
    a: Any, fill_value: ArrayLike, dtype: DTypeLike = None, shape: Any = None, *,
    device: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """`fill_value`, broadcast to the shape and converted to the dtype of `a`.

    >>> import ferax.numpy as jnp
    >>> jnp.full_like(jnp.arange(3), 2.7)
    Array([2, 2, 2], dtype=int32)
    """
    if isinstance(a, (list, tuple)):
        operand("full_like", a)  # raises
    like = aval_of(a)
    shape = like.shape if shape is None else shapes.canonical_shape(shape, "full_like")
    weak = dtype is None and like.weak_type
    wanted = like.dtype if dtype is None else dtypes.requested(dtype, "full_like")
    value = cast(_filling("full_like", fill_value, wanted), wanted, weak)
    value = basis.convert(value, wanted, weak)
    out = _spread(value, shape, "full_like")
    return (
        out
        if device is None and out_sharding is None
        else placed(out, device, out_sharding)
    )


# -- ranges --------------------------------------------------------------------------------


def _range_number(x: Any, what: str) -> Any:
    """A known number, for the length of a range has to be known."""
    if type(x) is int or type(x) is float:
        return x
    x = operand("arange", x)
    known = x.concrete() if isinstance(x, Tracer) else x
    if known is None:
        raise TypeError(
            f"arange: {what} is traced ({x.aval.short()}), but the length of the result has to "
            "be known. Use jnp.arange(n) with the largest n and a mask, or name the argument "
            "in jit(f, static_argnums=…)."
        )
    if known.shape:
        raise TypeError(f"arange: {what} must be a number; got {x.aval.short()}")
    return known


@public
def arange(
    start: ArrayLike, stop: ArrayLike | None = None, step: ArrayLike | None = None,
    dtype: DTypeLike | None = None, *, device: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """start, start + step, …, up to but without stop; arange(n) is 0, …, n - 1.

    Args:
      start, stop, step: numbers that are known when the line is traced.
      dtype: by default the promoted one of the three.

    >>> import ferax.numpy as jnp
    >>> jnp.arange(5), jnp.arange(0., 1., 0.25)
    (Array([0, 1, 2, 3, 4], dtype=int32), Array([0.  , 0.25, 0.5 , 0.75], dtype=float32))
    """
    if dtype is not None:
        dtype = dtypes.requested(dtype, "arange")
    if stop is None and step is None and type(start) is int:
        x = _counted(max(start, 0), default_int() if dtype is None else dtype)
        return (
            x
            if device is None and out_sharding is None
            else placed(x, device, out_sharding)
        )
    if stop is None:
        start, stop = 0, start
    given = [_range_number(start, "start"), _range_number(stop, "stop")]
    if step is not None:
        given.append(_range_number(step, "step"))
    if dtype is None:
        dtype = dtypes.result_type(
            *(x if isinstance(x, (int, float)) else x.aval for x in given)
        )
        if dtypes.is_bool(dtype):
            raise TypeError("arange: bools do not count; give dtype or numbers")
    low, high, *rest = (x if isinstance(x, (int, float)) else x.item() for x in given)
    by = rest[0] if rest else 1
    if isinstance(low, complex) or isinstance(high, complex) or isinstance(by, complex):
        raise ValueError(
            "arange: complex numbers have no order; start, stop and step must be real"
        )
    if by == 0:
        raise ZeroDivisionError("arange: step must not be zero")
    length = (high - low) / by
    if not math.isfinite(length):
        raise ValueError(
            f"arange: from {low} to {high} in steps of {by} is no finite number of elements"
        )
    count = max(0, math.ceil(length))
    x = _stepped(low, by, count, dtype)
    return (
        x
        if device is None and out_sharding is None
        else placed(x, device, out_sharding)
    )


def _counted(n: int, dtype: Any) -> Any:
    """0, …, n - 1"""
    if state.trace is None:
        return Concrete(Aval((n,), dtype), np.arange(n).astype(dtype, copy=False))
    return Iota(dtype, (n,), 0)()


def _stepped(low: Any, by: Any, count: int, dtype: Any) -> Any:
    if dtypes.is_integer(dtype):
        if isinstance(low, int) and isinstance(by, int):
            if state.trace is None:
                host = np.arange(low, low + count * by, by).astype(dtype, copy=False)
                return Concrete(Aval((count,), dtype), host)
            x = _counted(count, dtype)
        else:
            return basis.convert(_stepped(low, by, count, default_float()), dtype)
    else:
        x = _counted(count, dtype)
    if by != 1:
        x = basis.MUL(x, basis.typed_scalar(by, dtype))
    return basis.ADD(x, basis.typed_scalar(low, dtype)) if low != 0 else x


@public
def linspace(
    start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
    retstep: bool = False, dtype: DTypeLike | None = None, axis: int = 0, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """`num` numbers at equal distances from start to stop (which is left out if not `endpoint`).

    Args:
      start, stop: numbers or arrays; the new axis is `axis` of the result.
      retstep: return (numbers, distance).

    >>> import ferax.numpy as jnp
    >>> jnp.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    num = known_integer(num, "linspace", "num")
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    a, b = promote("linspace", start, stop)
    computed = inexact_dtype(a.dtype)
    wanted = computed if dtype is None else dtypes.requested(dtype, "linspace")
    if dtype is not None:  # of integers: computed in floating point, then floored
        computed = inexact_dtype(
            dtypes.promote(Aval((), computed), Aval((), wanted))[0]
        )
    a, b = (basis.convert(cast(x, computed), computed) for x in (a, b))
    shape = np.broadcast_shapes(a.shape, b.shape)
    divisions = num - 1 if endpoint else num
    place = shapes.canonical_axis(axis, len(shape) + 1, "linspace")
    out = _interpolated(a, b, num, divisions, endpoint, shape)
    if dtypes.is_integer(wanted) and not dtypes.is_integer(out.dtype):
        out = Floor()(out)
    out = basis.convert(basis.moveaxis(out, 0, place), wanted)
    out = placed(out, device)
    if not retstep:
        return out
    if divisions <= 0:
        return out, _spread(basis.full((), math.nan, computed), shape, "linspace")
    gap = basis.sub(b, a)
    return out, basis.mul(gap, 1 / divisions) if num else gap


def _interpolated(
    a: Any, b: Any, num: int, divisions: int, endpoint: bool, shape: Any
) -> Any:
    """(1 - t) a + t b along a new first axis; the last one is b itself, without rounding."""
    dtype = a.dtype
    if num == 0:
        return basis.zeros((0, *shape), dtype)
    if num == 1:
        return basis.reshape(_spread(a, shape, "linspace"), (1, *shape))
    real = dtypes.to_real(dtype)
    inner = num - 1 if endpoint else num
    known = type(a) is Concrete and type(b) is Concrete and not shape
    if known and (state.trace is None or num <= _CONSTANT):
        wide = _COMPLEX if dtypes.is_complex(dtype) else _FLOAT
        ends = a.host().astype(wide), b.host().astype(wide)
        steps = np.arange(inner)
        with np.errstate(all="ignore"):  # of infinite ends and of narrow dtypes
            gap = (ends[1] - ends[0]) / divisions
            if np.isfinite(
                gap
            ):  # as NumPy does, so that whole steps meet whole numbers
                host = ends[0] + steps * gap
            else:
                t = steps / divisions
                host = (1 - t) * ends[0] + t * ends[1]
            host = np.append(host, ends[1])[:num].astype(dtype)
        return Concrete(Aval((num,), dtype), host)
    if state.trace is None:
        t = np.arange(inner, dtype=np.float64) / divisions
        t = Concrete(Aval((inner,), dtype), t.astype(real).astype(dtype))
    else:
        steps = basis.mul(Iota(real, (inner,), 0)(), 1 / divisions)
        t = basis.convert(steps, dtype)
    t = basis.reshape(t, (inner, *(1,) * len(shape)))
    out = basis.add(basis.mul(basis.sub(1, t), a), basis.mul(t, b))
    if endpoint:
        last = basis.reshape(_spread(b, shape, "linspace"), (1, *shape))
        out = Concatenate(0)(out, last)
    return out


@public
def logspace(
    start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
    base: ArrayLike = 10.0, dtype: DTypeLike | None = None, axis: int = 0,
) -> Array:  # fmt: skip
    """base^start, …, base^stop with exponents at equal distances.

    >>> import ferax.numpy as jnp
    >>> jnp.logspace(0, 2, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    if dtype is not None:
        dtype = dtypes.requested(dtype, "logspace")
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = power(base, exponents)
    return out if dtype is None else basis.convert(out, dtype)


@public
def geomspace(
    start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True,
    dtype: DTypeLike | None = None, axis: int = 0,
) -> Array:  # fmt: skip
    """`num` numbers with equal ratios from start to stop, which have the same sign.

    >>> import ferax.numpy as jnp
    >>> jnp.geomspace(1, 100, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    if dtype is not None:
        dtype = dtypes.requested(dtype, "geomspace")
    a, b = promote("geomspace", start, stop)
    computed = inexact_dtype(a.dtype)
    a, b = (basis.convert(cast(x, computed), computed) for x in (a, b))
    side = sign(a)
    # of real numbers, side is its own inverse; 0 then gives -inf instead of nan
    starts, stops = (
        (x / side if dtypes.is_complex(computed) else x * side) for x in (a, b)
    )
    exponents = linspace(log10(starts), log10(stops), num, endpoint, axis=0)
    out = basis.mul(power(10.0, exponents), side)
    if num > 0:  # the ends are given, not computed
        shape = (1, *out.shape[1:])
        ends = [
            basis.reshape(_spread(x, out.shape[1:], "geomspace"), shape) for x in (a, b)
        ]
        if endpoint and num > 1:
            out = Concatenate(0)(ends[0], out[1:-1], ends[1])
        else:
            out = Concatenate(0)(ends[0], out[1:])
    place = shapes.canonical_axis(axis, out.ndim, "geomspace")
    out = basis.moveaxis(out, 0, place)
    return out if dtype is None else basis.convert(out, dtype)
