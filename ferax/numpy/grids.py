"""Matrices and grids with a pattern: identity, diagonals, triangles, coordinates, windows.

Also the objects that are indexed rather than called: `mgrid`, `ogrid`, `r_`, `c_`, `s_`.
Static index arrays (`tril_indices` and its like) are computed by NumPy when the line runs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.tracing import state
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.shape import Iota, known_integer, pad_zeros
from ferax.numpy.creation import (
    arange,
    array,
    asarray,
    default_float,
    default_int,
    linspace,
    ones,
    placed,
)
from ferax.numpy.elementary import i0
from ferax.numpy.promoting import (
    ArrayLike,
    DTypeLike,
    operand,
    promote,
)
from ferax.numpy.shaping import (
    diagonal,
    joined,
    joined_operands,
    ravel,
    shape,
    spread,
    stack,
    triangle_mask,
)
from ferax.numpy.ufuncs import power
from ferax.transforms.batching import vmap

_INT32 = np.dtype(np.int32)


# -- matrices ------------------------------------------------------------------------------


def _line_mask(n: int, m: int, k: Any) -> Any:
    """Bools (n, m): True where column = row + k."""
    if state.trace is None and type(k) is int:
        return asarray(np.eye(n, m, k, np.bool_))
    row = Iota(_INT32, (n, 1), 0)()
    column = Iota(_INT32, (1, m), 1)()
    if type(k) is int:
        row = basis.add(row, k) if k else row
    else:
        offset = operand("eye", k)
        if dtypes.is_inexact(offset.dtype):
            raise TypeError(f"eye: k must be an integer; got {offset.aval.short()}")
        row = row + offset
    return el.Eq()(row, column)


@public
def eye(
    N: int,
    M: int | None = None,
    k: Any = 0,
    dtype: DTypeLike = None,
    *,
    device: Any = None,
) -> Array:
    """Ones on the k-th diagonal of an (N, M) matrix of zeros (M: N by default).

    >>> import ferax.numpy as jnp
    >>> jnp.eye(2, 3, 1)
    Array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    dtype = default_float() if dtype is None else dtypes.requested(dtype, "eye")
    n = shapes.dimension(N, "eye")
    m = n if M is None else shapes.dimension(M, "eye")
    if n < 0 or m < 0:
        raise ValueError(f"eye: negative dimensions are not allowed; got {n}, {m}")
    if isinstance(k, np.generic):
        k = k.item()
    return placed(basis.convert(_line_mask(n, m, k), dtype), device)


@public
def identity(n: int, dtype: DTypeLike = None) -> Array:
    """The (n, n) identity matrix"""
    return eye(n, dtype=dtype)


@public
def tri(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike = None) -> Array:
    """Ones at and below the k-th diagonal of an (N, M) matrix of zeros"""
    dtype = np.dtype(np.float32) if dtype is None else dtypes.requested(dtype, "tri")
    rows = known_integer(N, "tri", "N")
    columns = rows if M is None else known_integer(M, "tri", "M")
    return basis.convert(triangle_mask(rows, columns, k), dtype)


@public
def diag(v: ArrayLike, k: int = 0) -> Array:
    """The matrix with the vector v on its k-th diagonal; of a matrix, its k-th diagonal.

    >>> import ferax.numpy as jnp
    >>> jnp.diag(jnp.array([1, 2]), 1)
    Array([[0, 1, 0],
           [0, 0, 2],
           [0, 0, 0]], dtype=int32)
    """
    x = operand("diag", v)
    k = known_integer(k, "diag", "k")
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag input must be 1d or 2d; got {x.aval.short()}")
    # row-major, neighbours on a diagonal of an (n, n) matrix are n + 1 apart
    size, n = x.shape[0], x.shape[0] + abs(k)
    if not size:
        return basis.zeros((n, n), x.dtype)
    first = k if k >= 0 else -k * n
    rest = n * n - first - (size - 1) * (n + 1) - 1
    return basis.reshape(pad_zeros(x, ((first, rest, n),)), (n, n))


@public
def diagflat(v: ArrayLike, k: int = 0) -> Array:
    """`diag` of the elements of v as a vector"""
    return diag(ravel(v), k)


@public
def vander(x: ArrayLike, N: int | None = None, increasing: bool = False) -> Array:
    """The matrix of powers of a vector, the highest first unless `increasing`.

    >>> import ferax.numpy as jnp
    >>> jnp.vander(jnp.array([1, 2, 3]))
    Array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]], dtype=int32)
    """
    v = operand("vander", x)
    if v.ndim != 1:
        raise ValueError(f"x must be a one-dimensional array; got {v.aval.short()}")
    n = v.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError("N must be nonnegative")
    if n == 0:
        return basis.zeros((v.shape[0], 0), v.dtype)
    columns = [power(v, i) for i in (range(n) if increasing else range(n - 1, -1, -1))]
    return stack(columns, axis=1)


# -- indices -------------------------------------------------------------------------------


def _as_indices(*found: np.ndarray) -> tuple[Array, ...]:
    return tuple([asarray(i.astype(default_int())) for i in found])


@public
def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Rows and columns of the lower triangle of an (n, m) matrix.

    >>> import ferax.numpy as jnp
    >>> jnp.tril_indices(2)
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    return _as_indices(*np.tril_indices(operator.index(n), operator.index(k), m))  # type: ignore[return-value]


@public
def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Rows and columns of the upper triangle of an (n, m) matrix"""
    return _as_indices(*np.triu_indices(operator.index(n), operator.index(k), m))  # type: ignore[return-value]


def _matrix_shape(who: str, arr: Any) -> tuple[int, int]:
    found = shape(arr)
    if len(found) != 2:
        raise ValueError(f"{who}: the array must be 2-d; got shape {found}")
    return found  # type: ignore[return-value]


@public
def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`tril_indices` of a matrix's shape"""
    n, m = _matrix_shape("tril_indices_from", arr)
    return tril_indices(n, k, m)


@public
def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """`triu_indices` of a matrix's shape"""
    n, m = _matrix_shape("triu_indices_from", arr)
    return triu_indices(n, k, m)


@public
def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the main diagonal of an array with `ndim` axes of size n"""
    n = known_integer(n, "diag_indices", "n")
    ndim = known_integer(ndim, "diag_indices", "ndim")
    if n < 0 or ndim < 0:
        raise ValueError(
            f"diag_indices: n and ndim must be nonnegative; got {n}, {ndim}"
        )
    return (arange(n),) * ndim


@public
def diag_indices_from(arr: ArrayLike) -> tuple[Array, ...]:
    """`diag_indices` of an array whose axes have one size"""
    found = shape(arr)
    if len(found) < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(found)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(found[0], len(found))


@public
def mask_indices(
    n: int, mask_func: Callable[..., Any], k: int = 0, *, size: int | None = None
) -> tuple[Array, Array]:
    """Where `mask_func(ones((n, n)), k)` is not 0.

    >>> import ferax.numpy as jnp
    >>> jnp.mask_indices(2, jnp.triu)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    return mask_func(ones((n, n)), k).nonzero(size=size)


@public
def indices(
    dimensions: Sequence[int], dtype: DTypeLike = None, sparse: bool = False
) -> Any:
    """For each axis the array of the indices along it, stacked; `sparse`: a tuple of open ones.

    >>> import ferax.numpy as jnp
    >>> jnp.indices((2, 2))
    Array([[[0, 0],
            [1, 1]],
    <BLANKLINE>
           [[0, 1],
            [0, 1]]], dtype=int32)
    """
    dtype = default_int() if dtype is None else dtypes.requested(dtype, "indices")
    dims = shapes.canonical_shape(dimensions, "indices")
    if not dims:
        return () if sparse else basis.zeros((0,), dtype)
    if sparse:
        return tuple([
            basis.reshape(arange(n, dtype=dtype), (1,) * i + (n,) + (1,) * (len(dims) - i - 1))
            for i, n in enumerate(dims)
        ])  # fmt: skip
    return stack([Iota(dtype, dims, i)() for i in range(len(dims))])


@public
def meshgrid(
    *xi: ArrayLike, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Array]:
    """The coordinates of the points of a grid, from those along its axes.

    Args:
      sparse: leave the other axes at size 1.
      indexing: "xy": the second vector runs along axis 0, the first along axis 1; "ij": in
        the order given.

    >>> import ferax.numpy as jnp
    >>> x, y = jnp.meshgrid(jnp.arange(3), jnp.arange(2))
    >>> y
    Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    if not copy:
        raise ValueError("jnp.meshgrid only supports copy=True")
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for indexing are 'xy' and 'ij', got {indexing}")
    lines = [operand("meshgrid", x, i) for i, x in enumerate(xi)]
    if any(x.ndim > 1 for x in lines):
        raise ValueError(
            f"Arguments to jnp.meshgrid must be 1D, got: {[x.shape for x in lines]}"
        )
    rank = len(lines)
    order = list(range(rank))
    if indexing == "xy" and rank > 1:
        order[0], order[1] = 1, 0
    full = [0] * rank
    for place, x in zip(order, lines):
        full[place] = x.size
    out = []
    for place, x in zip(order, lines):
        x = basis.reshape(x, (1,) * place + (x.size,) + (1,) * (rank - place - 1))
        out.append(x if sparse else spread(x, tuple(full)))
    return out


@public
def fromfunction(
    function: Callable[..., Array],
    shape: Any,
    *,
    dtype: DTypeLike = float,
    **kwargs: Any,
) -> Array:
    """`function` of the indices of each element, mapped over all of them.

    >>> import ferax.numpy as jnp
    >>> jnp.fromfunction(lambda i, j: i + 10 * j, (2, 3), dtype=int)
    Array([[ 0, 10, 20],
           [ 1, 11, 21]], dtype=int32)
    """
    dims = shapes.canonical_shape(shape, "fromfunction")
    for i in range(len(dims)):
        in_axes = [0 if j == i else None for j in range(len(dims))]
        function = vmap(function, in_axes=tuple(in_axes[::-1]))
    return function(*[arange(n, dtype=dtype) for n in dims], **kwargs)


# -- indexed objects -----------------------------------------------------------------------


def _range_of(s: slice) -> Any:
    """start:stop:step; an imaginary step is the number of points, ends included."""
    if not isinstance(s, slice):
        raise TypeError(f"mgrid and ogrid are indexed with slices; got {s!r}")
    start, step = s.start or 0, 1 if s.step is None else s.step
    if isinstance(step, complex):
        return linspace(start, s.stop, int(abs(step)))
    return arange(start, s.stop, step)


def _ranges(key: Any) -> list[Any]:
    key = key if isinstance(key, tuple) else (key,)
    lines = [_range_of(k) for k in key]
    return promote("mgrid", *[line[:1] for line in lines]) and [
        basis.convert(line, dtypes.promote(*[x.aval for x in lines])[0])
        for line in lines
    ]


class _MeshGrid:
    """`mgrid[0:3, 0:1:5j]`: the coordinates of a grid, stacked.

    >>> import ferax.numpy as jnp
    >>> jnp.mgrid[0:2, 0:2].shape
    (2, 2, 2)
    """

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, slice):
            return _range_of(key)
        lines = _ranges(key)
        dims = tuple([x.size for x in lines])
        if not lines:
            return basis.zeros((0,), default_int())
        return stack([
            spread(basis.reshape(x, (x.size,) + (1,) * (len(dims) - i - 1)), dims)
            for i, x in enumerate(lines)
        ])  # fmt: skip


class _OpenMeshGrid:
    """`ogrid[0:3, 0:2]`: the coordinates of a grid, each along its own axis only."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range_of(key)
        lines = _ranges(key)
        rank = len(lines)
        return [
            basis.reshape(x, (1,) * i + (x.size,) + (1,) * (rank - i - 1))
            for i, x in enumerate(lines)
        ]


class _Joiner:
    """`r_[1:4, 0, x]`: what is listed, joined along an axis.

    A string may come first: "axis,ndmin,place", as in NumPy; "r" and "c" make matrices.

    >>> import ferax.numpy as jnp
    >>> jnp.r_[1:4, 0, jnp.array([7, 8])]
    Array([1, 2, 3, 0, 7, 8], dtype=int32)
    """

    def __init__(self, name: str, axis: int, ndmin: int, place: int) -> None:
        self._name, self._defaults = name, (axis, ndmin, place)

    def __getitem__(self, key: Any) -> Array:
        items = key if isinstance(key, tuple) else (key,)
        axis, ndmin, place = self._defaults
        matrix = None
        if items and isinstance(items[0], str):
            directive, items = items[0], items[1:]
            if directive in ("r", "c"):
                matrix = directive
                axis, ndmin, place = 0, 1, -1
            else:
                axis, ndmin, place = self._parsed(directive)
        parts = []
        for item in items:
            if isinstance(item, str):
                raise ValueError(
                    f"{self._name}: a directive must come first; got {item!r}"
                )
            x = _range_of(item) if isinstance(item, slice) else _element(item)
            parts.append(_with_rank(x, ndmin, place))
        out = joined(joined_operands(self._name, parts, None), axis)
        if matrix is None or out.ndim > 1:
            return out
        return basis.reshape(out, (1, out.size) if matrix == "r" else (out.size, 1))

    def _parsed(self, directive: str) -> tuple[int, int, int]:
        try:
            given = [int(n) for n in directive.split(",")]
        except ValueError as error:
            raise ValueError(f"could not understand directive {directive!r}") from error
        if len(given) > 3:
            raise ValueError(f"could not understand directive {directive!r}")
        axis, ndmin, place = self._defaults
        return tuple(given + [axis, ndmin, place][len(given) :])  # type: ignore[return-value]


def _element(item: Any) -> Any:
    return array(item) if isinstance(item, (list, tuple)) else operand("r_", item)


def _with_rank(x: Any, ndmin: int, place: int) -> Any:
    """New axes before (`place` -1) or, counted from there, behind the old ones."""
    if x.ndim == 0:
        x = basis.reshape(x, (1,))
    missing = ndmin - x.ndim
    if missing <= 0:
        return x
    behind = missing if place >= 0 else 0
    if place >= 0:
        behind = missing - place
        return basis.reshape(x, (1,) * place + x.shape + (1,) * behind)
    return basis.reshape(x, (1,) * missing + x.shape)


class _IndexMaker:
    """`s_[1:2, None]`: what Python makes of an index expression."""

    def __init__(self, as_tuple: bool) -> None:
        self._as_tuple = as_tuple

    def __getitem__(self, item: Any) -> Any:
        return (item,) if self._as_tuple and not isinstance(item, tuple) else item


mgrid, ogrid = _MeshGrid(), _OpenMeshGrid()
r_, c_ = _Joiner("r_", 0, 1, -1), _Joiner("c_", -1, 2, 0)
s_, index_exp = _IndexMaker(False), _IndexMaker(True)


# -- windows -------------------------------------------------------------------------------


def _points(name: str, M: Any) -> int:
    """The number of points; NumPy's callers may compute it in floating point."""
    whole = isinstance(M, (float, np.floating)) and float(M).is_integer()
    return known_integer(int(M) if whole else M, name, "M")


def _window(name: str, M: int, of_phase: Callable[[np.ndarray], np.ndarray]) -> Array:
    """A window of M points: a function of n / (M - 1), computed by NumPy in double precision."""
    count = _points(name, M)
    dtype = default_float()
    if count <= 1:
        return ones((max(count, 0),), dtype)
    return asarray(of_phase(np.arange(count) / (count - 1)).astype(dtype))


@public
def bartlett(M: int) -> Array:
    """The triangular window of M points, zero at its ends.

    >>> import ferax.numpy as jnp
    >>> jnp.bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window("bartlett", M, lambda t: 1 - np.abs(2 * t - 1))


@public
def blackman(M: int) -> Array:
    """0.42 - 0.5 cos 2πt + 0.08 cos 4πt at M points t in [0, 1]"""
    return _window(
        "blackman", M,
        lambda t: 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t),
    )  # fmt: skip


@public
def hamming(M: int) -> Array:
    """0.54 - 0.46 cos 2πt at M points t in [0, 1]"""
    return _window("hamming", M, lambda t: 0.54 - 0.46 * np.cos(2 * np.pi * t))


@public
def hanning(M: int) -> Array:
    """0.5 - 0.5 cos 2πt at M points t in [0, 1]"""
    return _window("hanning", M, lambda t: 0.5 - 0.5 * np.cos(2 * np.pi * t))


@public
def kaiser(M: int, beta: ArrayLike) -> Array:
    """I₀(β √(1 - (2t - 1)²)) / I₀(β) at M points t in [0, 1]"""
    count = _points("kaiser", M)
    if count <= 1:
        return ones((max(count, 0),))
    beta = operand("kaiser", beta)
    t = np.linspace(-1.0, 1.0, count)
    arch = asarray(np.sqrt(np.maximum(1 - t * t, 0)).astype(default_float()))
    return i0(beta * arch) / i0(beta)
