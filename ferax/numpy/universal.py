"""`ufunc`: a function of scalars, applied elementwise, with NumPy's derived methods.

`jnp.add` and its like are instances. Calling one is calling its function: the methods `reduce`,
`accumulate`, `at`, `outer` and `reduceat` cost nothing until they are used. Where a reduction of
its own exists (`add` has `sum`), `reducing.py` registers it in `REDUCTIONS`; other functions
are folded element by element with `lax.scan`, whose order is NumPy's: from the left.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ferax.core import basis
from ferax.core.array import Array, Concrete
from ferax.lax.scanning import scan
from ferax.lax.shape import Concatenate, Iota, stack
from ferax.numpy.promoting import ArrayLike, DTypeLike, cast, operand
from ferax.shapes import canonical_axes

#: name of a ufunc -> (its reduction, its cumulative form or None)
REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {}

_INT32 = np.dtype(np.int32)
_SCATTERS = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min"}


class ufunc:
    """A function of `nin` scalars with `nout` results, applied elementwise with broadcasting.

    >>> import ferax.numpy as jnp
    >>> x = jnp.arange(1, 5)
    >>> jnp.multiply.reduce(x), jnp.add.accumulate(x)
    (Array(24, dtype=int32), Array([ 1,  3,  6, 10], dtype=int32))
    >>> mad = jnp.frompyfunc(lambda a, b: a * b + 1, nin=2, nout=1)
    >>> mad.reduce(x)
    Array(41, dtype=int32)
    """

    def __init__(
        self, func: Callable[..., Any], /, nin: int, nout: int, *, name: str | None = None,
        nargs: int | None = None, identity: Any = None,
        call: Callable[..., Any] | None = None, reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None, at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self._function = call or func
        self._own = {
            "reduce": reduce,
            "accumulate": accumulate,
            "at": at,
            "reduceat": reduceat,
        }
        self.nin = nin
        self.nout = nout
        self.nargs = nin if nargs is None else nargs
        self.identity = identity
        self.__name__ = name or func.__name__
        self.__doc__ = func.__doc__
        self.__module__ = func.__module__

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        if out is not None or where is not None:
            given = "out" if out is not None else "where"
            raise NotImplementedError(
                f"the {given} argument of {self!r} is not supported: arrays are immutable. "
                "Use the result, or jnp.where(…, result, other)."
            )
        return self._function(*args)

    def __repr__(self) -> str:
        return f"<jnp.ufunc '{self.__name__}'>"

    def __reduce__(self) -> Any:
        return self.__name__  # found again under its name in its module

    # -- derived methods -------------------------------------------------------------------

    def _check(self, method: str, out: Any = None) -> None:
        if self.nin != 2 or self.nout != 1:
            raise ValueError(
                f"{method} only supported for binary ufuncs; {self!r} takes {self.nin}"
            )
        if out is not None:
            raise NotImplementedError(f"out argument of {self!r}.{method}")

    def reduce(
        self, a: ArrayLike, axis: Any = 0, dtype: DTypeLike = None, out: None = None,
        keepdims: bool = False, initial: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> Array:  # fmt: skip
        """Fold the function over one axis (None: over all elements) of `a`."""
        self._check("reduce", out)
        if self.identity is None and where is not None and initial is None:
            raise ValueError(
                f"reduction operation {self.__name__!r} does not have an identity, so to use a "
                "where mask one has to specify 'initial'."
            )
        own = self._own["reduce"]
        if own is not None:
            return own(a, axis=axis, dtype=dtype, out=out, keepdims=keepdims, initial=initial,
                       where=where)  # fmt: skip
        if self.__name__ in REDUCTIONS:
            extra = {} if dtype is None else {"dtype": dtype}
            return REDUCTIONS[self.__name__][0](
                a, axis=axis, keepdims=keepdims, initial=initial, where=where, **extra
            )
        x, axis, shape = self._leading(a, axis, dtype, keepdims)
        if where is not None:
            mask = self._leading(basis.broadcast_to(operand("reduce", where), np.shape(a)), axis,
                                 None, keepdims)[0]  # fmt: skip
        first = self.identity if initial is None and where is not None else initial
        if first is None:
            if not x.shape[0]:
                if self.identity is None:
                    raise ValueError(
                        f"zero-size array to reduction operation {self.__name__} which has no "
                        "identity"
                    )
                first = self.identity
            else:
                return basis.reshape(self._fold(x[0], x[1:])[0], shape)
        carry = basis.broadcast_to(cast(operand("reduce", first), x.dtype), x.shape[1:])
        carry = basis.convert(carry, x.dtype)
        if where is None:
            return basis.reshape(self._fold(carry, x)[0], shape)

        def step(carry: Any, xm: Any) -> Any:
            return basis.select(xm[1], self._function(carry, xm[0]), carry), None

        return basis.reshape(scan(step, carry, (x, mask))[0], shape)

    def _leading(self, a: Any, axis: Any, dtype: Any, keepdims: bool) -> Any:
        """`a` with the reduced axis in front, and the shape of the result."""
        x = operand(self.__name__, a)
        if dtype is not None:
            x = x.astype(dtype)
        if axis is None:
            shape = (1,) * x.ndim if keepdims else ()
            return basis.reshape(x, (x.size,)), None, shape
        if isinstance(axis, tuple):
            raise NotImplementedError(f"{self!r}: reduction over several axes {axis}")
        (place,) = canonical_axes((axis,), x.ndim, who=self.__name__)
        kept = list(x.shape)
        kept[place : place + 1] = [1] if keepdims else []
        return basis.moveaxis(x, place, 0), place, tuple(kept)

    def _fold(self, carry: Any, x: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            new = basis.convert(self._function(carry, x), carry.dtype)
            return new, new

        return scan(step, carry, x)

    def accumulate(
        self, a: ArrayLike, axis: int = 0, dtype: DTypeLike = None, out: None = None
    ) -> Array:
        """The fold's intermediate results along one axis: element i is that of a[:i + 1]."""
        self._check("accumulate", out)
        own = self._own["accumulate"]
        if own is None and self.__name__ in REDUCTIONS:
            own = REDUCTIONS[self.__name__][1]
        if own is not None:
            return own(a, axis=axis, dtype=dtype)
        if axis is None:
            raise ValueError("accumulate does not allow multiple axes")
        x, place, _ = self._leading(a, axis, dtype, False)
        if not x.shape[0]:
            return basis.moveaxis(x, 0, place)
        _, rest = self._fold(x[0], x[1:])
        return basis.moveaxis(Concatenate(0)(x[:1], rest), 0, place)

    def at(
        self,
        a: ArrayLike,
        indices: Any,
        b: ArrayLike | None = None,
        /,
        *,
        inplace: bool = True,
    ) -> Array:
        """`a` with f(a[i], b[i]) at the indices; an index that comes twice is applied twice."""
        if inplace:
            raise NotImplementedError(
                f"{self!r}.at cannot write into an immutable array; pass inplace=False and use "
                "the result: x = jnp.add.at(x, indices, values, inplace=False)"
            )
        own = self._own["at"]
        if own is not None:
            return own(a, indices) if b is None else own(a, indices, b)
        x = operand(self.__name__, a)
        if b is None:
            return x.at[indices].apply(self._function)
        if self.__name__ in _SCATTERS:
            return getattr(x.at[indices], _SCATTERS[self.__name__])(b)
        places = basis.reshape(Iota(_INT32, (x.size,), 0)(), x.shape)[indices]
        values = basis.broadcast_to(operand(self.__name__, b), places.shape)

        def step(flat: Any, item: Any) -> Any:
            place, value = item
            return flat.at[place].set(self._function(flat[place], value)), None

        flat = scan(
            step, basis.reshape(x, (x.size,)),
            (basis.reshape(places, (places.size,)), basis.reshape(values, (values.size,))),
        )[0]  # fmt: skip
        return basis.reshape(flat, x.shape)

    def outer(self, A: ArrayLike, B: ArrayLike, /) -> Array:
        """f(A[i…], B[j…]) for all pairs of elements: shape A.shape + B.shape."""
        self._check("outer")
        x, y = operand(self.__name__, A), operand(self.__name__, B)
        return self._function(basis.reshape(x, x.shape + (1,) * y.ndim), y)

    def reduceat(
        self, a: ArrayLike, indices: Any, axis: int = 0, dtype: DTypeLike = None,
        out: None = None,
    ) -> Array:  # fmt: skip
        """Reductions of the slices a[i:j] between consecutive indices; a[i] where j <= i."""
        self._check("reduceat", out)
        own = self._own["reduceat"]
        if own is not None:
            return own(a, indices, axis=axis, dtype=dtype)
        starts = operand(f"{self.__name__}.reduceat", indices, 1)
        x, place, _ = self._leading(a, axis, dtype, False)
        n = x.shape[0]
        if type(starts) is Concrete:
            bounds = [*starts.host().tolist(), n]
            outside = [i for i in bounds[:-1] if not 0 <= i < n]
            if outside:
                raise IndexError(
                    f"{self.__name__}.reduceat: index {outside[0]} is out of bounds for axis "
                    f"{place} with size {n}; it must lie in [0, {n})"
                )
            if len(bounds) == 1:
                dtype = self.reduce(x[:1]).dtype if n else x.dtype
                return basis.moveaxis(basis.zeros((0, *x.shape[1:]), dtype), 0, place)
            parts = [
                self.reduce(x[i:j]) if j > i else self.reduce(x[i : i + 1])
                for i, j in pairwise(bounds)
            ]
            return basis.moveaxis(stack(parts, 0), 0, place)
        if self.identity is None:
            raise NotImplementedError(
                f"{self!r}.reduceat with traced indices: the function has no identity"
            )
        ends = Concatenate(0)(starts[1:], basis.full((1,), n, starts.dtype))
        position = Iota(starts.dtype, (1, n), 1)()
        begin = starts[:, None]
        mask = (position == begin) | ((position >= begin) & (position < ends[:, None]))
        mask = basis.reshape(mask, (*mask.shape, *(1,) * (x.ndim - 1)))
        repeated = basis.broadcast_to(x, (starts.shape[0], *x.shape))
        return basis.moveaxis(
            self.reduce(
                repeated, axis=1, where=basis.broadcast_to(mask, repeated.shape)
            ),
            0,
            place,
        )
