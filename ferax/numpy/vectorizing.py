"""Functions of small arrays applied to the leading axes of large ones.

`vectorize` is `vmap` with NumPy's broadcasting: the loop axes of all arguments are broadcast
together, and the function is mapped over one after another, arguments that are not repeated along
an axis staying unmapped there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ferax import shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.numpy.creation import asarray
from ferax.numpy.promoting import ArrayLike, operand
from ferax.numpy.shaping import expand_dims
from ferax.numpy.universal import ufunc
from ferax.shapes import canonical_axis
from ferax.transforms.batching import vmap

_ARGUMENT = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*,?\s*\)"
_ARGUMENTS = rf"\s*(?:{_ARGUMENT}(?:\s*,\s*{_ARGUMENT})*)?\s*"
_SIGNATURE = re.compile(rf"^{_ARGUMENTS}->{_ARGUMENTS}$")

Core = tuple[str, ...]


@functools.lru_cache(maxsize=256)
def _parse(signature: str) -> tuple[list[Core], list[Core]]:
    """ "(m,n),(n)->(m)" as the names of the core axes of arguments and results."""
    if not _SIGNATURE.match(signature):
        raise ValueError(f"not a valid gufunc signature: {signature}")
    sides = []
    for side in signature.split("->"):
        found = re.findall(_ARGUMENT, side)
        sides.append([tuple(re.findall(r"\w+", a)) for a in found])
    return sides[0], sides[1]


def _core_shapes(
    cores: Sequence[Core], arrays: Sequence[Any], sizes: dict[str, int], what: str
) -> list[tuple[int, ...]]:
    """Check the core axes against `sizes`, which grows; the loop shapes."""
    loops = []
    for core, x in zip(cores, arrays):
        if x.ndim < len(core):
            raise ValueError(
                f"vectorize: {what} of shape {x.shape} does not have enough dimensions for all "
                f"core dimensions {core}"
            )
        split = x.ndim - len(core)
        for name, n in zip(core, x.shape[split:]):
            wanted = int(name) if name.isdigit() else sizes.setdefault(name, n)
            if n != wanted:
                raise ValueError(
                    f"vectorize: inconsistent size for core dimension {name!r}: {n} vs {wanted}"
                )
        loops.append(tuple(x.shape[:split]))
    return loops


@public
def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Collection[int | str] = frozenset(),
    signature: str | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """A function of numbers (or, with a signature, of small arrays) that broadcasts.

    Args:
      pyfunc: function of arrays of the core shapes.
      excluded: positions and names of arguments that are passed as they are.
      signature: the core axes of arguments and results, such as "(m,n),(n)->(m)"; by default
        none.

    >>> import ferax.numpy as jnp
    >>> norm = jnp.vectorize(lambda v: jnp.sqrt(v @ v), signature="(n)->()")
    >>> norm(jnp.array([[3., 4.], [6., 8.]]))
    Array([ 5., 10.], dtype=float32)
    """
    if any(not isinstance(e, (int, str)) for e in excluded):
        raise TypeError(
            f"vectorize: excluded must hold positions and names; got {excluded!r}"
        )
    if any(isinstance(e, int) and e < 0 for e in excluded):
        raise ValueError(
            f"vectorize: positions in excluded must not be negative; got {excluded!r}"
        )
    cores = None if signature is None else _parse(signature)

    @functools.wraps(pyfunc, updated=())
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        mapped_names = [k for k in kwargs if k not in excluded]
        if mapped_names and signature is not None:
            raise ValueError(
                f"vectorize: keyword arguments {mapped_names} do not go with a signature; pass "
                "them by position or name them in excluded"
            )
        places = [i for i in range(len(args)) if i not in excluded]

        def inner(*arrays: Any) -> Any:
            full = list(args)
            for i, x in zip(places, arrays):
                full[i] = x
            named = dict(kwargs, **dict(zip(mapped_names, arrays[len(places) :])))
            return pyfunc(*full, **named)

        given = [args[i] for i in places] + [kwargs[k] for k in mapped_names]
        arrays = [asarray(x) if isinstance(x, (list, tuple)) else operand("vectorize", x, i)
                  for i, x in enumerate(given)]  # fmt: skip
        return _mapped(inner, arrays, cores)

    return vectorized


def _mapped(
    function: Callable[..., Any],
    arrays: list[Any],
    cores: tuple[list[Core], list[Core]] | None,
) -> Any:
    if cores is None:
        inputs: list[Core] = [()] * len(arrays)
    else:
        inputs = cores[0]
        if len(inputs) != len(arrays):
            raise TypeError(
                f"vectorize: wrong number of positional arguments: expected {len(inputs)}, got "
                f"{len(arrays)}"
            )
    sizes: dict[str, int] = {}
    loops = _core_shapes(inputs, arrays, sizes, "an argument")
    shape = shapes.broadcast_shapes(*loops, who="vectorize")
    checked = function if cores is None else _checked(function, cores[1], sizes)
    # axes of size 1 stay unmapped: each mapped axis is squeezed out of the arguments without it
    squeezed = []
    for x, loop in zip(arrays, loops):
        kept = tuple([n for n in loop if n != 1])
        squeezed.append(basis.reshape(x, (*kept, *x.shape[len(loop) :])))
    for i in range(len(shape) - 1, -1, -1):
        if shape[i] == 1 and all(_size_at(loop, i, len(shape)) == 1 for loop in loops):
            continue
        in_axes = tuple(
            [0 if _size_at(loop, i, len(shape)) != 1 else None for loop in loops]
        )
        checked = vmap(checked, in_axes=in_axes)
    out = checked(*squeezed)
    ones = [i for i in range(len(shape)) if shape[i] == 1]
    if not ones:
        return out
    if isinstance(out, (tuple, list)):
        return type(out)([expand_dims(o, ones) for o in out])
    return expand_dims(out, ones)


def _size_at(loop: tuple[int, ...], i: int, rank: int) -> int:
    """The size of an array's loop axis, counted in the broadcast shape."""
    place = i - (rank - len(loop))
    return loop[place] if place >= 0 else 1


def _checked(
    function: Callable[..., Any], cores: list[Core], sizes: dict[str, int]
) -> Callable[..., Any]:
    """`function` with its results checked against the signature."""

    def checked(*arrays: Any) -> Any:
        out = function(*arrays)
        results: Any = out if isinstance(out, (tuple, list)) else (out,)
        is_many = isinstance(out, (tuple, list))
        if len(cores) != len(results) or (is_many and len(cores) == 1):
            raise TypeError(
                f"vectorize: wrong number of results: the signature has {len(cores)}, the "
                f"function gave {len(results) if isinstance(out, (tuple, list)) else 1}"
            )
        results = tuple([asarray(r) for r in results])
        _core_shapes(cores, results, dict(sizes), "a result")
        for core, r in zip(cores, results):
            if r.ndim != len(core):
                raise ValueError(
                    f"vectorize: a result has shape {r.shape}, the core dimensions are {core}"
                )
        return results if isinstance(out, (tuple, list)) else results[0]

    return checked


@public
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: ArrayLike, *args: Any, **kwargs: Any
) -> Array:
    """`func1d(vector, *args, **kwargs)` of all vectors along an axis; results replace the axis.

    >>> import ferax.numpy as jnp
    >>> jnp.apply_along_axis(jnp.sum, 1, jnp.arange(6).reshape(2, 3))
    Array([ 3, 12], dtype=int32)
    """
    if not callable(func1d):
        raise TypeError(f"apply_along_axis: func1d must be a function; got {func1d!r}")
    x = operand("apply_along_axis", arr, 2)
    axis = canonical_axis(axis, x.ndim, "apply_along_axis")

    def function(v: Any) -> Any:
        return func1d(v, *args, **kwargs)

    mapped: Callable[..., Any] = function
    for _ in range(x.ndim - axis - 1):
        mapped = vmap(mapped, in_axes=-1, out_axes=-1)
    for _ in range(axis):
        mapped = vmap(mapped, in_axes=0, out_axes=0)
    return mapped(x)


@public
def apply_over_axes(func: Callable[[Any, int], Any], a: ArrayLike, axes: Any) -> Array:
    """`func(x, axis)` for one axis after another; reduced axes are kept with size 1.

    >>> import ferax.numpy as jnp
    >>> jnp.apply_over_axes(jnp.sum, jnp.ones((2, 3)), [0, 1])
    Array([[6.]], dtype=float32)
    """
    if not callable(func):
        raise TypeError(f"apply_over_axes: func must be a function; got {func!r}")
    x = operand("apply_over_axes", a, 1)
    given = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    for axis in (canonical_axis(axis, x.ndim, "apply_over_axes") for axis in given):
        y = func(x, axis)
        if y.ndim == x.ndim - 1:
            y = expand_dims(y, axis)
        if y.ndim != x.ndim:
            raise ValueError(
                "function is not returning an array of the correct shape: "
                f"{x.shape} became {y.shape}"
            )
        x = y
    return x


def frompyfunc(
    func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None
) -> ufunc:
    """A `ufunc` from a Python function of `nin` numbers (arrays without dimensions).

    >>> import ferax.numpy as jnp
    >>> jnp.frompyfunc(lambda x: (x, x + 1), 1, 2)(jnp.arange(2))
    (Array([0, 1], dtype=int32), Array([1, 2], dtype=int32))
    """
    if not callable(func):
        raise TypeError(f"frompyfunc: func must be a function; got {func!r}")
    return ufunc(func, nin, nout, identity=identity, call=vectorize(func))
