"""The array: immutable values, on the host as NumPy's, on a device as XLA's, or both.

`Array` is what users see and test with `isinstance`; tracers are Arrays too. It has no state.
`Concrete` has values. Because they never change, the same values may be held twice: `_host`
(NumPy) and `_buffer` (jaxlib), each made when first asked for and kept.

The operators and methods of `Array` are NumPy-like functions that live five rooms further up;
`ferax/numpy/methods.py` installs them here once, when the first is asked for (one of the two
inversions of the house, the other is `slots.engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ferax import dtypes
from ferax.core.avals import Aval, Shape


class Slots:
    """The two things that upper floors plug in here; `import ferax` does so."""

    engine: Any = None
    load_engine: Callable[[], Any] | None = None
    load_operators: Callable[[], Any]


slots = Slots()


def engine() -> Any:
    """The device engine (XLA), loaded on first use."""
    if slots.engine is None:
        if slots.load_engine is None:
            raise RuntimeError(
                "no device engine is installed; `import ferax` installs XLA's"
            )
        slots.engine = slots.load_engine()
    return slots.engine


class Array:
    """An immutable n-dimensional array (or, under a transformation, a stand-in for one)."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 100
    aval: Aval

    @property
    def shape(self) -> Shape:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(self.aval.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.itemsize

    if TYPE_CHECKING:  # installed by ferax/numpy/methods.py

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __add__(self, other: Any, /) -> Any: ...
        def __radd__(self, other: Any, /) -> Any: ...
        def __sub__(self, other: Any, /) -> Any: ...
        def __rsub__(self, other: Any, /) -> Any: ...
        def __mul__(self, other: Any, /) -> Any: ...
        def __rmul__(self, other: Any, /) -> Any: ...
        def __truediv__(self, other: Any, /) -> Any: ...
        def __rtruediv__(self, other: Any, /) -> Any: ...
        def __floordiv__(self, other: Any, /) -> Any: ...
        def __rfloordiv__(self, other: Any, /) -> Any: ...
        def __mod__(self, other: Any, /) -> Any: ...
        def __rmod__(self, other: Any, /) -> Any: ...
        def __pow__(self, other: Any, /) -> Any: ...
        def __rpow__(self, other: Any, /) -> Any: ...
        def __matmul__(self, other: Any, /) -> Any: ...
        def __rmatmul__(self, other: Any, /) -> Any: ...
        def __and__(self, other: Any, /) -> Any: ...
        def __rand__(self, other: Any, /) -> Any: ...
        def __or__(self, other: Any, /) -> Any: ...
        def __ror__(self, other: Any, /) -> Any: ...
        def __xor__(self, other: Any, /) -> Any: ...
        def __rxor__(self, other: Any, /) -> Any: ...
        def __lshift__(self, other: Any, /) -> Any: ...
        def __rlshift__(self, other: Any, /) -> Any: ...
        def __rshift__(self, other: Any, /) -> Any: ...
        def __rrshift__(self, other: Any, /) -> Any: ...
        def __lt__(self, other: Any, /) -> Any: ...
        def __le__(self, other: Any, /) -> Any: ...
        def __gt__(self, other: Any, /) -> Any: ...
        def __ge__(self, other: Any, /) -> Any: ...

    def __len__(self) -> int:
        if not self.aval.shape:
            raise TypeError("len() of an array without dimensions")
        return self.aval.shape[0]

    def item(self, *args: int) -> Any:
        """The only element (or that at the given index) as a Python number."""
        raise NotImplementedError(f"{type(self).__name__}.item")

    def copy(self) -> Any:
        """An array with the same values in memory of its own."""
        return self.__deepcopy__(None)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:  # of traced values, which have no memory
        return self

    def __hash__(self) -> int:
        raise TypeError(
            f"an Array ({self.aval.short()}) is not hashable: its == compares elements. "
            "Use id(x), or x.item() for a scalar, or x.tobytes() of np.asarray(x)."
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "ferax arrays are immutable and cannot be assigned to. Instead of "
            f"x[{_show_index(index)}] = {_show(value)}, write "
            f"x = x.at[{_show_index(index)}].set({_show(value)})"
        )


def _on_first_use(name: str) -> Callable[..., Any]:
    """An operator that is not there yet: loading the operators puts the true one in its place."""

    def operator(self: Array, *operands: Any) -> Any:
        slots.load_operators()
        return getattr(self, name)(*operands)

    return operator


def _attribute_on_first_use(self: Array, name: str) -> Any:
    """Likewise for methods and properties; loading the operators deletes this function."""
    slots.load_operators()
    return getattr(self, name)


_BINARY = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or",
    "xor", "lshift", "rshift",
)  # fmt: skip
_OTHERS = (
    "eq", "ne", "lt", "le", "gt", "ge", "getitem", "neg", "pos", "abs", "invert", "round",
    "contains", "array_namespace",
)  # fmt: skip
for _name in [*_BINARY, *("r" + n for n in _BINARY), *_OTHERS]:
    setattr(Array, f"__{_name}__", _on_first_use(f"__{_name}__"))
Array.__getattr__ = _attribute_on_first_use  # type: ignore[method-assign]


def _show(value: Any) -> str:
    if isinstance(value, Array):
        return "value"
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else "value"


def _show_index(index: Any) -> str:
    if isinstance(index, tuple) and index:
        return ", ".join(_show_index(i) for i in index)
    if isinstance(index, slice):
        parts = ["" if p is None else _show(p) for p in (index.start, index.stop)]
        return ":".join(parts if index.step is None else [*parts, _show(index.step)])
    if index is Ellipsis:
        return "..."
    return _show(index) if _show(index) != "value" else "index"


class Concrete(Array):
    """An array with values."""

    __slots__ = ("aval", "_host", "_buffer", "_committed")

    def __init__(
        self,
        aval: Aval,
        host: np.ndarray | None,
        buffer: Any = None,
        committed: Any = False,
    ):
        self.aval = aval
        self._host = host
        self._buffer = buffer
        self._committed = committed  # the device or sharding, or something false

    def host(self) -> np.ndarray:
        """The values in NumPy (of a key array: its carrier)."""
        if self._host is None:
            if self._buffer is None or self._buffer.is_deleted():
                raise self.deletion()
            host = engine().get(self._buffer, self.aval)
            if not self.on_host():
                return host  # type: ignore[no-any-return]
            self._host = host
        return self._host

    def deletion(self) -> RuntimeError:
        """The error for an array whose values are gone."""
        return RuntimeError(
            f"this Array ({self.aval.short()}) was deleted: it was donated to a jitted function "
            "(donate_argnums) or its delete() was called. Use the function's result, or pass a "
            "copy: x.copy()."
        )

    def numbers(self) -> np.ndarray:
        """`host()` of numbers; random keys are none."""
        if dtypes.is_key(self.aval.dtype):
            raise TypeError("random keys are opaque; see random.key_data")
        return self.host()

    def buffer(self) -> Any:
        """The values on a device; on the default device if they are on none yet."""
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = engine().put(self.host(), self.aval)
        elif buffer.is_deleted():
            self._host = None
            self.host()  # raises
        return buffer

    # -- as NumPy and Python ---------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        view = self.numbers().view()
        view.flags.writeable = False
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ValueError(
                    f"cannot view {self.aval.short()} as {dtype} without a copy"
                )
            return view.astype(dtype)
        return view.copy() if copy else view

    def __dlpack__(self, **kwargs: Any) -> Any:
        if (
            not self.on_host() or self.aval.carrier.kind == "V"
        ):  # NumPy hands over its own
            return engine().to_dlpack(self.buffer(), **kwargs)
        view = self.host().view()
        view.flags.writeable = False
        try:
            return view.__dlpack__(**kwargs)
        except BufferError:  # the consumer knows of no memory that is not to be written
            return view.copy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.on_host():
            return self.host().__dlpack_device__()
        return engine().dlpack_device(self._buffer)  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth value of an array with {self.size} elements ({self.aval.short()}) "
                "is ambiguous; use x.any() or x.all()"
            )
        return bool(self.numbers().reshape(())[()])

    def _scalar(self, kind: str) -> Any:
        if self.aval.shape:
            raise TypeError(
                f"only arrays without dimensions convert to {kind}; got {self.aval.short()}. "
                "x.item() takes the element of an array of size 1."
            )
        return self.numbers()[()]

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        value = self._scalar("an index")
        if not dtypes.is_integer(self.aval.dtype):
            raise TypeError(
                f"only integer arrays can be indices; got {self.aval.short()}"
            )
        return int(value)

    def item(self, *args: int) -> Any:
        return self.numbers().item(*args)

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.numbers().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        return self.numbers().tobytes(order)

    def __iter__(self) -> Iterator[Any]:
        if not self.aval.shape:
            raise TypeError("iteration over an array without dimensions")
        return (self[i] for i in range(self.aval.shape[0]))

    def __repr__(self) -> str:
        if dtypes.is_key(self.aval.dtype):
            words = dtypes.key_words(self.host(), self.aval.dtype)
            return f"Array({self.aval.short()}) overlaying:\n{words}"
        kind = f"dtype={self.aval.dtype.name}" + (
            ", weak_type=True" if self.weak_type else ""
        )
        if self.size == 0:
            return f"Array([], shape={self.shape}, {kind})"
        body = np.array2string(
            self.host(), separator=", ", prefix="Array(", suffix=", )"
        )
        return f"Array({body}, {kind})"

    def __str__(self) -> str:
        return str(self.host()) if not dtypes.is_key(self.aval.dtype) else repr(self)

    def __format__(self, spec: str) -> str:
        alone = not self.shape and not dtypes.is_key(self.aval.dtype)
        return format(self.host()[()] if alone else str(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (np.asarray(self.host()), self.aval)

    def __deepcopy__(self, memo: Any) -> Concrete:
        return Concrete(self.aval, self.host().copy(), None, self._committed)

    # -- on devices ------------------------------------------------------------------------

    @property
    def device(self) -> Any:
        """The device that holds the array, or its sharding if there are several."""
        return engine().device_of(self)

    def devices(self) -> set[Any]:
        """The set of devices that hold parts of the array."""
        return engine().devices_of(self)  # type: ignore[no-any-return]

    @property
    def sharding(self) -> Any:
        """How the array is laid out over devices."""
        return engine().sharding_of(self)

    @property
    def addressable_shards(self) -> list[Any]:
        """The parts of the array on the devices of this process."""
        return engine().shards(self)  # type: ignore[no-any-return]

    @property
    def global_shards(self) -> list[Any]:
        """The parts of the array; within one process all of them have values."""
        return self.addressable_shards

    @property
    def committed(self) -> bool:
        """Whether the user chose its device (`device_put(x, device)`)."""
        return bool(self._committed)

    @property
    def is_fully_addressable(self) -> bool:
        return True

    @property
    def is_fully_replicated(self) -> bool:
        return len(self.devices()) == 1 or self.sharding.is_fully_replicated

    def block_until_ready(self) -> Concrete:
        """Wait until the values are there."""
        if self._buffer is not None and not self._buffer.is_deleted():
            engine().wait([self._buffer])
        return self

    def copy_to_host_async(self) -> None:
        """Start fetching the values to the host."""
        if self._host is None:
            engine().fetch_early(self._buffer)

    def is_ready(self) -> bool:
        return self._buffer is None or self._buffer.is_ready()

    def delete(self) -> None:
        """Free the memory now; the array cannot be used afterwards."""
        if self._buffer is not None and not self._buffer.is_deleted():
            self._buffer.delete()
        self._host = self._buffer = None

    def is_deleted(self) -> bool:
        if self._buffer is not None:
            return self._buffer.is_deleted()  # type: ignore[no-any-return]
        return self._host is None

    def on_host(self) -> bool:
        """Whether the values are in host memory, or get there without a copy."""
        return self._host is not None or engine().is_host_memory(self._buffer)


def _unpickle(host: np.ndarray, aval: Aval) -> Concrete:
    return Concrete(aval, host)


_ALIGNED = 64  # bytes: XLA takes memory that begins there over without another copy


def owned(host: np.ndarray, dtype: Any) -> np.ndarray:
    """A copy as `dtype`; of a large array, where XLA can take it over."""
    if host.nbytes < 1 << 16 or not host.flags.c_contiguous:
        return host.astype(dtype)
    room = np.empty(host.size * dtype.itemsize + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    copy: np.ndarray = room[start : start - _ALIGNED].view(dtype).reshape(host.shape)
    np.copyto(copy, host, casting="unsafe")
    return copy


def aligned(host: np.ndarray) -> np.ndarray:
    """The array, or a copy if it is large and XLA could not take it over."""
    fits = host.nbytes < 1 << 16 or host.ctypes.data % _ALIGNED == 0
    return host if fits else owned(host, host.dtype)
