"""Averages, covariances, differences and integrals of sampled functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.contraction import DotGeneral
from ferax.lax.cumulative import CumSum
from ferax.lax.shape import Concatenate, known_integer, slice_of
from ferax.numpy import reducing
from ferax.numpy.elementary import conjugate, real
from ferax.numpy.operations import (
    ABS,
    ADD,
    AND,
    BOOL,
    DIV,
    EQ,
    GT,
    LT,
    MUL,
    NE,
    SUB,
    scalar,
)
from ferax.numpy.promoting import (
    ArrayLike,
    DTypeLike,
    cast,
    inexact,
    operand,
    promote,
    promote_inexact,
)
from ferax.numpy.shaping import diagonal, spread
from ferax.numpy.ufuncs import _mod, clip
from ferax.shapes import canonical_axes, canonical_axis


def part(x: Any, axis: int, start: int, stop: int) -> Any:
    """x[start:stop] along an axis"""
    starts, limits = [0] * x.ndim, list(x.shape)
    starts[axis], limits[axis] = start, stop
    return slice_of(x, tuple(starts), tuple(limits))


# -- averages and covariances --------------------------------------------------------------


@public
def average(
    a: ArrayLike, axis: Any = None, weights: ArrayLike | None = None, returned: bool = False,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """Σ w a / Σ w over the given axes; the mean without weights.

    Args:
      weights: of the shape of `a`, or one for each index along `axis`.
      returned: return (average, sum of the weights).

    >>> import ferax.numpy as jnp
    >>> jnp.average(jnp.array([1., 2., 6.]), weights=jnp.array([1., 1., 2.]))
    Array(3.75, dtype=float32)
    """
    if weights is None:
        x = inexact("average", a)
        out = reducing.mean(x, axis, keepdims=keepdims)
        count = x.size / max(out.size, 1)
        total = basis.full(out.shape, count, out.dtype)
        return (out, total) if returned else out
    x, w = promote_inexact("average", a, operand("average", weights, 2))
    axes = None if axis is None else canonical_axes(axis, x.ndim, "average")
    if x.shape != w.shape:
        if axes is None:
            raise ValueError(
                "Axis must be specified when shapes of a and weights differ."
            )
        if w.shape != tuple([x.shape[i] for i in axes]):
            raise ValueError(
                "Shape of weights must be consistent with shape of a along specified axis; got "
                f"{w.aval.short()} for {x.aval.short()} and axis {axis}"
            )
        order = sorted(range(len(axes)), key=lambda i: axes[i])
        w = basis.permute(w, tuple(order))
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        w = spread(basis.reshape(w, tuple(shape)), x.shape)
    total = reducing.sum(w, axis, keepdims=keepdims)
    out = DIV(reducing.sum(MUL(x, w), axis, keepdims=keepdims), total)
    return (out, total) if returned else out


def _observations(who: str, m: Any, y: Any, rowvar: bool, dtype: Any) -> Any:
    """Variables along axis 0, their observations along axis 1."""
    given = [operand(who, m)] if y is None else promote(who, m, y)
    if dtype is not None:
        wanted = dtypes.requested(dtype, who)
        given = [basis.convert(x, wanted) for x in given]
    rows: list[Any] = []
    for x in given:
        if x.ndim > 2:
            raise ValueError(
                f"{who}: arrays must have at most 2 axes; got {x.aval.short()}"
            )
        x = inexact(who, x)
        # as in NumPy: vectors are rows, and so is a second operand of one row
        is_row = x.ndim < 2 or (rows and x.shape[0] == 1)
        x = basis.reshape(x, (1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x
        rows.append(x if rowvar or is_row else basis.permute(x, (1, 0)))
    return rows[0] if len(rows) == 1 else Concatenate(0)(*rows)


@public
def cov(
    m: ArrayLike, y: ArrayLike | None = None, rowvar: bool = True, bias: bool = False,
    ddof: int | None = None, fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None, dtype: DTypeLike = None,
) -> Array:  # fmt: skip
    """The covariance matrix of variables, one in each row of `m` (and of `y`).

    Args:
      rowvar: if False, a variable is a column.
      bias: divide by n instead of n - 1; `ddof` says what is taken from n.
      fweights: how often each observation counts; integers.
      aweights: the weight of each observation.

    >>> import ferax.numpy as jnp
    >>> jnp.cov(jnp.array([[0., 1., 2.], [2., 1., 0.]]))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    if ddof is not None and not (isinstance(ddof, (Real, Array)) and ddof == int(ddof)):
        raise ValueError(f"ddof must be integer; got {ddof!r}")
    x = _observations("cov", m, y, rowvar, dtype)
    if x.shape[0] == 0:
        return basis.zeros((0, 0), x.dtype)
    ddof = (0 if bias else 1) if ddof is None else int(ddof)
    real_dtype = dtypes.to_real(x.dtype)
    n = x.shape[1]
    w = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        g = operand("cov", given)
        if g.ndim != 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if g.shape[0] != n:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        if name == "fweights" and not dtypes.is_integer(g.dtype):
            raise TypeError("fweights must be integer.")
        g = ABS(cast(g, real_dtype))
        w = g if w is None else MUL(w, g)
    if w is None:
        center = reducing.mean(x, 1, keepdims=True)
        freedom: Any = scalar(float(max(n - ddof, 0)), real_dtype)
    else:
        center = average(x, 1, cast(w, x.dtype), keepdims=True)
        mass = reducing.sum(w)
        if aweights is None or ddof == 0:
            freedom = SUB(mass, scalar(ddof, real_dtype))
        else:
            weighted = reducing.sum(
                MUL(w, ABS(cast(operand("cov", aweights), real_dtype)))
            )
            freedom = SUB(mass, DIV(MUL(weighted, scalar(ddof, real_dtype)), mass))
    x = SUB(x, center)
    scaled = x if w is None else MUL(x, cast(w, x.dtype))
    product = DotGeneral(((1,), (1,)))(scaled, conjugate(x))
    out = DIV(product, cast(freedom, x.dtype))
    kept = tuple([d for d in out.shape if d != 1])
    return basis.reshape(out, kept)


@public
def corrcoef(
    x: ArrayLike,
    y: ArrayLike | None = None,
    rowvar: bool = True,
    dtype: DTypeLike = None,
) -> Array:
    """The correlation matrix: cov(x, y)ᵢⱼ / √(covᵢᵢ covⱼⱼ), clipped to [-1, 1].

    >>> import ferax.numpy as jnp
    >>> jnp.corrcoef(jnp.array([0., 1., 2.]), jnp.array([5., 3., 1.]))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return DIV(c, c)
    spread_ = el.Sqrt()(real(diagonal(c)))
    n = spread_.shape[0]
    spread_ = cast(spread_, c.dtype)
    c = DIV(DIV(c, basis.reshape(spread_, (n, 1))), basis.reshape(spread_, (1, n)))
    if dtypes.is_complex(c.dtype):
        return el.Complex()(clip(el.Real()(c), -1, 1), clip(el.Imag()(c), -1, 1))
    return clip(c, -1, 1)


# -- differences and integrals -------------------------------------------------------------


def _end(who: str, x: Any, value: Any, axis: int) -> Any:
    """What is put before or behind an array: a number becomes a slice."""
    v = operand(who, value)
    if v.ndim == 0:
        v = basis.broadcast_to(v, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    return v


@public
def diff(
    a: ArrayLike, n: int = 1, axis: int = -1, prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """a[i + 1] - a[i] along an axis, n times; of bools, whether they differ.

    >>> import ferax.numpy as jnp
    >>> jnp.diff(jnp.array([1, 4, 9, 16]), n=2)
    Array([2, 2], dtype=int32)
    """
    x, n = operand("diff", a), known_integer(n, "diff", "n")
    if n == 0:
        return x
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if x.ndim == 0:
        raise ValueError(
            f"diff requires input that is at least one dimensional; got {x.aval.short()}"
        )
    axis = canonical_axis(axis, x.ndim, "diff")
    parts = [x]
    if prepend is not None:
        parts.insert(0, _end("diff", x, prepend, axis))
    if append is not None:
        parts.append(_end("diff", x, append, axis))
    if len(parts) > 1:
        x = Concatenate(axis)(*promote("diff", *parts))
    for _ in range(n):
        size = x.shape[axis]
        later, earlier = (
            part(x, axis, min(1, size), size),
            part(x, axis, 0, max(size - 1, 0)),
        )
        x = NE(later, earlier) if x.dtype is BOOL else SUB(later, earlier)
    return x


@public
def ediff1d(
    ary: ArrayLike, to_end: ArrayLike | None = None, to_begin: ArrayLike | None = None
) -> Array:
    """The differences of neighbours in the vector of all elements, with others around them.

    >>> import ferax.numpy as jnp
    >>> jnp.ediff1d(jnp.array([1, 2, 4]), to_begin=-1)
    Array([-1,  1,  2], dtype=int32)
    """
    x = operand("ediff1d", ary)
    x = basis.reshape(x, (x.size,))
    parts = [SUB(part(x, 0, min(1, x.size), x.size), part(x, 0, 0, max(x.size - 1, 0)))]
    for value, place in ((to_begin, 0), (to_end, 1)):
        if value is not None:
            v = basis.convert(operand("ediff1d", value), x.dtype)
            v = basis.reshape(v, (v.size,))
            parts.insert(0, v) if place == 0 else parts.append(v)
    return parts[0] if len(parts) == 1 else Concatenate(0)(*parts)


@public
def gradient(
    f: ArrayLike, *varargs: ArrayLike, axis: int | Sequence[int] | None = None,
    edge_order: int | None = None,
) -> Any:  # fmt: skip
    """The derivative of a sampled function along the given axes (None: a list, along each).

    Second-order central differences inside, one-sided ones at the ends.

    Args:
      varargs: the distance of samples, or their coordinates; one for all axes or one for each.

    >>> import ferax.numpy as jnp
    >>> jnp.gradient(jnp.array([1., 2., 4., 7.]))
    Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    if edge_order is not None:
        raise NotImplementedError(
            "The 'edge_order' argument to jnp.gradient is not supported."
        )
    x = inexact("gradient", f)
    axes = canonical_axes(axis, x.ndim, "gradient")
    if not varargs:
        gaps: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1:
        gaps = list(varargs) * len(axes)
    elif len(varargs) == len(axes):
        gaps = list(varargs)
    else:
        raise TypeError(
            f"Invalid number of spacing arguments {len(varargs)} for axis={axis}"
        )
    out = [_slope(x, i, gap) for i, gap in zip(axes, gaps)]
    return out[0] if len(axes) == 1 else out


def _slope(x: Any, axis: int, gap: Any) -> Any:
    n = x.shape[axis]
    if n < 2:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least 2 elements "
            f"are required; got {x.aval.short()}"
        )
    distance = operand("gradient", gap, 1)
    first = SUB(part(x, axis, 1, 2), part(x, axis, 0, 1))
    last = SUB(part(x, axis, n - 1, n), part(x, axis, n - 2, n - 1))
    if distance.ndim == 0:
        inner = (part(x, axis, 2, n) - part(x, axis, 0, n - 2)) * 0.5 if n > 2 else None
        out = Concatenate(axis)(*[p for p in (first, inner, last) if p is not None])
        return out if type(gap) is float and gap == 1.0 else out / distance
    if distance.ndim != 1 or distance.shape[0] != n:
        raise ValueError(
            f"gradient: spacing {distance.aval.short()} must be a number or hold the {n} "
            f"coordinates along axis {axis}"
        )
    column = [1] * x.ndim
    column[axis] = n - 1
    steps = basis.reshape(inexact("gradient", diff(distance)), tuple(column))
    before, after = part(steps, axis, 0, n - 2), part(steps, axis, 1, n - 1)
    left, mid, right = (part(x, axis, i, n - 2 + i) for i in range(3))
    # the parabola through three neighbours, differentiated in the middle
    inner = (
        left * (-after / (before * (before + after)))
        + mid * ((after - before) / (before * after))
        + right * (before / (after * (before + after)))
    )
    first = first / part(steps, axis, 0, 1)
    last = last / part(steps, axis, n - 2, n - 1)
    return Concatenate(axis)(*promote("gradient", first, inner, last))


@public
def trapezoid(
    y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1
) -> Array:
    """The integral of samples y along an axis by the trapezoidal rule.

    Args:
      x: the coordinates of the samples: a vector, or an array like y.
      dx: their distance, if there is no x.

    >>> import ferax.numpy as jnp
    >>> jnp.trapezoid(jnp.array([1., 2., 3.]), dx=2.)
    Array(8., dtype=float32)
    """
    if x is None:
        (values,) = promote_inexact("trapezoid", y)
        axis = canonical_axis(axis, values.ndim, "trapezoid")
        steps: Any = dx
    else:
        values, places = promote_inexact("trapezoid", y, x)
        axis = canonical_axis(axis, values.ndim, "trapezoid")
        if places.ndim == 1:
            shape = [1] * values.ndim
            shape[axis] = -1
            places = basis.reshape(
                places, tuple([places.size if d < 0 else d for d in shape])
            )
        steps = diff(places, axis=axis - values.ndim)
    n = values.shape[axis]
    heights = part(values, axis, min(1, n), n) + part(values, axis, 0, max(n - 1, 0))
    if isinstance(steps, Array) and steps.ndim:
        return 0.5 * reducing.sum(heights * steps, axis)
    return 0.5 * (steps * reducing.sum(heights, axis))


@public
def unwrap(
    p: ArrayLike, discont: ArrayLike | None = None, axis: int = -1,
    period: ArrayLike = 2 * math.pi,
) -> Array:  # fmt: skip
    """Angles along an axis, with jumps of more than half a period taken out.

    Args:
      discont: the smallest jump that is taken out; at least half a period.

    >>> import ferax.numpy as jnp
    >>> jnp.unwrap(jnp.array([0, 3, 5, 1]), period=4)
    Array([ 0, -1,  1,  1], dtype=int32)
    """
    x = operand("unwrap", p)
    if dtypes.is_complex(x.dtype):
        raise ValueError("jnp.unwrap does not support complex inputs.")
    if x.shape[canonical_axis(axis, x.ndim, "unwrap")] == 0:
        return inexact("unwrap", x)
    period_ = operand("unwrap", period, 3)
    x, period_ = promote("unwrap", x, period_)
    dtype = x.dtype
    x = basis.convert(x, dtype)
    axis = canonical_axis(axis, x.ndim, "unwrap")
    n = x.shape[axis]
    steps = diff(x, axis=axis)
    if dtypes.is_integer(dtype):
        half = period_ // 2
        ambiguous = EQ(_mod(period_, scalar(2, dtype)), scalar(0, dtype))
    else:
        half = period_ / 2
        ambiguous = None
    wrapped = SUB(
        _mod(ADD(steps, half), basis.broadcast_to(period_, steps.shape)), half
    )
    at_edge = AND(EQ(wrapped, -half), GT(steps, scalar(0, dtype)))
    if ambiguous is not None:
        at_edge = AND(at_edge, ambiguous)
    wrapped = basis.select(at_edge, half, wrapped)
    limit = period_ / 2 if discont is None else operand("unwrap", discont, 1)
    length = steps if dtypes.is_unsigned(dtype) else ABS(steps)
    size, limit = promote("unwrap", length, limit)
    correction = basis.select(LT(size, limit), scalar(0, dtype), SUB(wrapped, steps))
    moved = ADD(part(x, axis, 1, n), CumSum(axis)(correction))
    return Concatenate(axis)(part(x, axis, 0, 1), moved)
