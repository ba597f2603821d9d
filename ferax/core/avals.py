"""What is known of a value before it exists: shape, dtype, weakness.

An `Aval` (abstract value) is interned: equal ones are the same object, so that they compare
and hash by identity. Tables keyed by tuples of avals, which sit on every hot path (result
types of an operation, the cache of `jit`), cost one identity hash per argument.
"""

from __future__ import annotations

import math
from typing import Any

from ferax import dtypes

Shape = tuple[int, ...]

_TABLE: dict[tuple[Shape, Any, bool], Aval] = {}


class Aval:
    """The shape and dtype of an array; `weak_type` marks dtypes taken from Python scalars."""

    __slots__ = ("shape", "dtype", "weak_type", "carrier", "_tangent")

    shape: Shape
    dtype: Any  # np.dtype or an extended dtype such as that of random keys
    weak_type: bool
    carrier: Any  # the dtype of its values in NumPy
    _tangent: Aval | None

    def __new__(cls, shape: Shape, dtype: Any, weak_type: bool = False) -> Aval:
        key = (shape, dtype, weak_type)
        found = _TABLE.get(key)
        if found is not None:
            return found
        self = object.__new__(cls)
        set_ = object.__setattr__
        set_(self, "shape", tuple(int(d) for d in shape))
        set_(self, "dtype", dtypes.as_dtype(dtype))
        set_(self, "weak_type", bool(weak_type))
        set_(self, "carrier", dtypes.carrier(self.dtype))
        set_(self, "_tangent", None)
        # setdefault: two threads that meet here must leave with the same object
        return _TABLE.setdefault((self.shape, self.dtype, self.weak_type), self)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an Aval is immutable; cannot set {name!r}")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def update(
        self,
        shape: Shape | None = None,
        dtype: Any = None,
        weak_type: bool | None = None,
    ) -> Aval:
        """A copy with some of the fields replaced."""
        return Aval(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.weak_type if weak_type is None else weak_type,
        )

    def strong(self) -> Aval:
        return Aval(self.shape, self.dtype) if self.weak_type else self

    def tangent(self) -> Aval:
        """The aval of this value's tangents: itself, or float0 where it is discrete."""
        aval = self._tangent
        if aval is None:
            smooth = dtypes.is_inexact(self.dtype)
            aval = self.strong() if smooth else Aval(self.shape, dtypes.float0)
            object.__setattr__(self, "_tangent", aval)
        return aval

    def short(self) -> str:
        """As printed in jaxprs and error messages: `float32[3,4]`."""
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    def terse(self) -> str:
        """As printed in jaxprs: `f32[3,4]`."""
        return f"{dtypes.short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    def __repr__(self) -> str:
        return f"Aval({self.short()}{', weak_type=True' if self.weak_type else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Aval, (self.shape, self.dtype, self.weak_type)


class Placeholder:
    """Stands for a value of which nothing but the aval is needed."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    @property
    def shape(self) -> Shape:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return self.aval.ndim

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.aval.short()})"


class Zero(Placeholder):
    """A tangent or cotangent known to be zero; nothing is computed with it."""

    __slots__ = ()


class LinearInput(Placeholder):
    """Stands for the unknown operand of a linear operation when it is transposed."""

    __slots__ = ()
