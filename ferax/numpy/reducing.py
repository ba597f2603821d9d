"""Reductions, their nan-ignoring variants, and cumulative forms.

What they share is `_Reduction`: which dtype is summed in, what stands for elements that a mask
leaves out, what `initial` does. Results are never weakly typed. 16-bit floats are summed in 32
bits where the program is compiled (NumPy's rule of the operation does so anyway).

Sums of bools and of integers narrower than the default ones are in the default integer; results
of `mean` and its relatives are floating. Reductions of nothing are the neutral element; where
there is none (max, argmax, …) they are a ValueError.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.array import Array
from ferax.core.basis import ReduceSum
from ferax.core.tracing import state
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.cumulative import CumProd, CumSum
from ferax.lax.reduction import (
    ArgMax,
    ArgMin,
    ReduceAnd,
    ReduceMax,
    ReduceMin,
    ReduceOr,
    ReduceProd,
    ReduceXor,
    identity,
)
from ferax.lax.shape import Concatenate
from ferax.numpy import universal
from ferax.numpy.elementary import real
from ferax.numpy.operations import (
    ADD,
    AND,
    BOOL,
    DIV,
    EQ,
    GT,
    MAX,
    MIN,
    MUL,
    NE,
    OR,
    SQUARE,
    SUB,
    at_once,
    scalar,
)
from ferax.numpy.promoting import (
    ArrayLike,
    DTypeLike,
    as_bool,
    cast,
    inexact_dtype,
    operand,
    strong_scalar,
)
from ferax.shapes import broadcast_shapes, canonical_axes, canonical_axis, keep_axes

Axis = Any  # None, an integer, or a sequence of them

_INT, _UINT, _FLOAT32 = np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.float32)
_ALL = tuple(tuple(range(n)) for n in range(16))
_HALVES = frozenset((np.dtype(np.float16), np.dtype(dtypes.bfloat16)))


def refuse(who: str, out: Any) -> None:
    """`out=` writes into an array: arrays are immutable."""
    if out is not None:
        raise NotImplementedError(
            f"The 'out' argument to jnp.{who} is not supported: arrays are immutable."
        )


def reduced_axes(who: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes to reduce, sorted. None: all."""
    if axis is None:
        return _ALL[ndim] if ndim < 16 else tuple(range(ndim))
    if type(axis) is int and 0 <= axis < ndim:
        return (axis,)
    return tuple(sorted(canonical_axes(axis, ndim, who)))


def _widened(dtype: Any) -> Any:
    """The dtype of a sum: narrow integers and bools become the default integer."""
    if dtypes.is_inexact(dtype):
        return dtype
    wide = dtypes.canonical(_UINT if dtypes.is_unsigned(dtype) else _INT)
    return dtype if dtype.itemsize > wide.itemsize else wide


def _masked(who: str, x: Any, where: Any, neutral: Any) -> Any:
    """x with the neutral element where the mask is False."""
    mask = as_bool(who, operand(who, where))
    if mask.shape != x.shape:
        broadcast_shapes(mask.shape, x.shape, who=f"{who}: where and a")
    return basis.select(mask, x, _scalar_like(neutral, x))


def _scalar_like(value: Any, x: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return strong_scalar(value, x.dtype)


def _fold(
    who: str, op: Any, combine: Any, neutral: Any, x: Any, axis: Any, keepdims: bool,
    initial: Any, where: Any,
) -> Any:  # fmt: skip
    """One reduction of an Array in its own dtype; the result is strongly typed."""
    dtype, dims = x.aval.dtype, x.aval.shape
    axes = reduced_axes(who, axis, len(dims))
    if where is not None:
        x = _masked(who, x, where, neutral)
        if x.shape != dims:  # the mask has more axes
            dims = x.shape
            axes = reduced_axes(who, axis, len(dims))
    out = op(axes)(x) if axes else x
    if initial is not None:
        start = operand(who, initial, 4)
        if start.shape:
            raise ValueError(
                f"{who}: initial must be a number; got {start.aval.short()}"
            )
        out = combine(out, cast(start, dtype))
    if keepdims:
        out = basis.reshape(out, keep_axes(dims, axes))
    return basis.convert(out, dtype) if out.aval.weak_type else out


def _total(
    who: str, op: Any, combine: Any, neutral: Any, a: Any, axis: Any, dtype: Any,
    keepdims: bool, initial: Any, where: Any, promote_integers: bool,
) -> Any:  # fmt: skip
    """A sum or a product, in a dtype that is wide enough."""
    x = a if isinstance(a, Array) else operand(who, a)
    own = x.aval.dtype
    if dtype is not None:
        dtype = summed = dtypes.requested(dtype, who)
    else:
        dtype = summed = _widened(own) if promote_integers or own is BOOL else own
    if summed in _HALVES and state.trace is not None:
        summed = _FLOAT32
    if own is not summed:
        x = cast(x, summed)
    if summed is BOOL:  # as in NumPy: 1 + 1 is True
        op, combine, neutral = (
            (ReduceOr, OR, False) if op is ReduceSum else (ReduceAnd, AND, True)
        )
    out = _fold(who, op, combine, neutral, x, axis, keepdims, initial, where)
    return out if dtype is summed else basis.convert(out, dtype)


@public
def sum(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, initial: ArrayLike | None = None,
    where: ArrayLike | None = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """Σ a over the given axes (None: all).

    Args:
      axis: an axis or several.
      dtype: of the sum; by default that of `a`, for bools and narrow integers (unless
        `promote_integers=False`) the default integer.
      keepdims: keep the reduced axes with size 1.
      initial: is added.
      where: bools that broadcast with `a`; the others are left out.

    >>> import ferax.numpy as jnp
    >>> jnp.sum(jnp.arange(6).reshape(2, 3), axis=1, keepdims=True)
    Array([[ 3],
           [12]], dtype=int32)
    """
    if out is not None:
        refuse("sum", out)
    return _total("sum", ReduceSum, ADD, 0, a, axis, dtype, keepdims, initial, where,
                  promote_integers)  # fmt: skip


@public
def prod(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, initial: ArrayLike | None = None,
    where: ArrayLike | None = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """Π a over the given axes; arguments as of `sum`.

    >>> import ferax.numpy as jnp
    >>> jnp.prod(jnp.arange(1, 5))
    Array(24, dtype=int32)
    """
    if out is not None:
        refuse("prod", out)
    return _total("prod", ReduceProd, MUL, 1, a, axis, dtype, keepdims, initial, where,
                  promote_integers)  # fmt: skip


def _extremum(
    who: str, op: Any, combine: Any, a: Any, axis: Any, out: Any, keepdims: bool,
    initial: Any, where: Any,
) -> Any:  # fmt: skip
    if out is not None:
        refuse(who, out)
    x = a if isinstance(a, Array) else operand(who, a)
    neutral = None
    if where is not None:
        if initial is None:
            raise ValueError(
                f"reduction operation {who} does not have an identity, so to use a where mask "
                "one has to specify 'initial'"
            )
        neutral = identity(who, x.dtype)
    dims = x.aval.shape
    if 0 in dims:
        axes = reduced_axes(who, axis, len(dims))
        if 0 in [dims[i] for i in axes]:
            if initial is None:
                raise ValueError(
                    f"zero-size array to reduction operation {who} which has no identity"
                )
            rest = [1 if i in axes else n for i, n in enumerate(dims)]
            x = basis.full(tuple(rest), identity(who, x.dtype), x.dtype)
    return _fold(who, op, combine, neutral, x, axis, keepdims, initial, where)


@public
def max(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
    initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The largest element over the given axes (None: all); nan if there is one.

    The derivative is shared equally among the elements that attain it.

    Args:
      initial: is compared, too; needed with `where` and for no elements.
      where: bools that broadcast with `a`; the others are left out.

    >>> import ferax.numpy as jnp
    >>> jnp.max(jnp.array([[1, 5], [7, 2]]), axis=0)
    Array([7, 5], dtype=int32)
    """
    return _extremum("max", ReduceMax, MAX, a, axis, out, keepdims, initial, where)


@public
def min(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
    initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The smallest element over the given axes (None: all); nan if there is one."""
    return _extremum("min", ReduceMin, MIN, a, axis, out, keepdims, initial, where)


amax, amin = max, min


@public
def all(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False, *,
    where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """Whether all elements over the given axes differ from 0; True of no elements."""
    refuse("all", out)
    return _fold(
        "all", ReduceAnd, AND, True, as_bool("all", a), axis, keepdims, None, where
    )


@public
def any(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False, *,
    where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """Whether an element over the given axes differs from 0; False of no elements."""
    refuse("any", out)
    return _fold(
        "any", ReduceOr, OR, False, as_bool("any", a), axis, keepdims, None, where
    )


@public
def count_nonzero(a: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements over the given axes differ from 0.

    >>> import ferax.numpy as jnp
    >>> jnp.count_nonzero(jnp.eye(3), axis=0)
    Array([1, 1, 1], dtype=int32)
    """
    x = cast(as_bool("count_nonzero", a), dtypes.canonical(_INT))
    return _fold("count_nonzero", ReduceSum, ADD, 0, x, axis, keepdims, None, None)


@public
def ptp(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False
) -> Array:
    """The largest minus the smallest element over the given axes"""
    refuse("ptp", out)
    return SUB(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


# -- mean and variance ---------------------------------------------------------------------


def _count(who: str, x: Any, axis: Any, where: Any, dtype: Any, keepdims: bool) -> Any:
    """How many elements each result is made of: a number, or an array if there is a mask."""
    if where is None:
        axes = reduced_axes(who, axis, x.ndim)
        return math.prod([x.aval.shape[i] for i in axes])
    mask = as_bool(who, operand(who, where))
    mask = basis.broadcast_to(mask, np.broadcast_shapes(mask.shape, x.shape))
    return _fold(who, ReduceSum, ADD, 0, cast(mask, dtype), axis, keepdims, None, None)


def _computed_dtypes(who: str, own: Any, dtype: Any) -> tuple[Any, Any]:
    """The dtype a mean is computed in, and that of the result."""
    if dtype is None:
        result = inexact_dtype(own)
        computed = result
    else:
        result = dtypes.requested(dtype, who)
        computed = inexact_dtype(result)
        if dtypes.is_complex(own) and not dtypes.is_complex(computed):
            computed = dtypes.to_complex(computed)
    return (_FLOAT32 if computed in _HALVES else computed), result


@public
def mean(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, *, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The mean over the given axes (None: all); floating. Of no elements it is nan.

    >>> import ferax.numpy as jnp
    >>> jnp.mean(jnp.arange(6).reshape(2, 3), axis=0)
    Array([1.5, 2.5, 3.5], dtype=float32)
    """
    if out is not None:
        refuse("mean", out)
    x = a if isinstance(a, Array) else operand("mean", a)
    return _mean("mean", x, axis, dtype, keepdims, where)


def _mean(who: str, x: Any, axis: Any, dtype: Any, keepdims: bool, where: Any) -> Any:
    computed, result = _computed_dtypes(who, x.aval.dtype, dtype)
    if x.aval.dtype is not computed:
        x = cast(x, computed)
    total = _fold(who, ReduceSum, ADD, 0, x, axis, keepdims, None, where)
    count = _count(who, x, axis, where, computed, keepdims)
    out = DIV(total, scalar(count, computed) if type(count) is int else count)
    return out if result is computed else basis.convert(out, result)


def _correction(who: str, ddof: Any, correction: Any) -> Any:
    if correction is None:
        return ddof
    if not isinstance(ddof, int) or ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def _variance(
    who: str, a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: bool, where: Any,
    mean_: Any, root: bool,
) -> Any:  # fmt: skip
    x = operand(who, a)
    if dtype is not None and not dtypes.is_inexact(dtypes.as_dtype(dtype)):
        raise ValueError(f"{who}: dtype must be floating; got {dtypes.as_dtype(dtype)}")
    computed, result = _computed_dtypes(who, x.dtype, dtype)
    x = cast(x, computed)
    known_ddof = isinstance(ddof, (int, float))
    if not known_ddof:
        ddof = operand(who, ddof, 4)
    simple = mean_ is None and where is None and known_ddof
    if simple and not dtypes.is_complex(computed):
        known = at_once(
            _host_variance(who, x, axis, ddof, keepdims, root), x, dtype=computed
        )
        if known is not None:
            return basis.convert(known, result)
    if mean_ is None:
        mean_ = _mean(who, x, axis, computed, True, where)
    else:
        mean_ = cast(operand(who, mean_), computed)
    centered = SUB(x, mean_)
    real_ = dtypes.to_real(computed)
    if dtypes.is_complex(computed):
        squares = real(MUL(centered, el.Conj()(centered)))
    else:
        squares = SQUARE(centered)
    total = _fold(who, ReduceSum, ADD, 0, squares, axis, keepdims, None, where)
    count = _count(who, x, axis, where, real_, keepdims)
    if isinstance(count, int) and known_ddof:
        freedom = count - ddof
        out = DIV(total, scalar(freedom if freedom > 0 else math.nan, real_))
    else:
        count = scalar(count, real_) if isinstance(count, int) else count
        freedom = SUB(count, cast(operand(who, ddof), real_))
        fits = GT(freedom, scalar(0, real_))
        out = DIV(total, basis.select(fits, freedom, scalar(math.nan, real_)))
    if root:
        # of constants the slope is taken as 0, as that of a norm at 0
        constant = EQ(out, scalar(0, real_))
        out = basis.select(constant, 0, el.Sqrt()(basis.select(constant, 1, out)))
    return basis.convert(out, dtypes.to_real(result))


def _host_variance(
    who: str, x: Any, axis: Any, ddof: Any, keepdims: bool, root: bool
) -> Any:
    """What `_variance` computes, of a real NumPy array."""
    axes = reduced_axes(who, axis, x.ndim)
    count = math.prod([x.aval.shape[i] for i in axes])

    kept: Any = keepdims  # NumPy's stubs know True and False only

    def variance(x: Any) -> Any:
        freedom = count - ddof
        centered = x - np.add.reduce(x, axes, keepdims=True) / x.dtype.type(count)
        total = np.add.reduce(np.square(centered), axes, keepdims=kept)
        out = total / x.dtype.type(freedom if freedom > 0 else math.nan)
        return np.sqrt(out) if root else out

    return variance


@public
def var(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    ddof: int = 0, keepdims: bool = False, *, where: ArrayLike | None = None,
    mean: ArrayLike | None = None, correction: int | float | None = None,
) -> Array:  # fmt: skip
    """The variance over the given axes: Σ |a - mean|² / (n - ddof); real.

    Args:
      ddof, correction: two names of what is taken from the number of elements.
      mean: if it is known already, with the reduced axes kept.
      where: bools that broadcast with `a`; the others are left out.

    >>> import ferax.numpy as jnp
    >>> jnp.var(jnp.array([1., 3.]), ddof=1)
    Array(2., dtype=float32)
    """
    refuse("var", out)
    ddof = _correction("var", ddof, correction)
    return _variance("var", a, axis, dtype, ddof, keepdims, where, mean, False)


@public
def std(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    ddof: int = 0, keepdims: bool = False, *, where: ArrayLike | None = None,
    mean: ArrayLike | None = None, correction: int | float | None = None,
) -> Array:  # fmt: skip
    """The standard deviation: √var; arguments as of `var`. Its slope at constants is 0."""
    refuse("std", out)
    ddof = _correction("std", ddof, correction)
    return _variance("std", a, axis, dtype, ddof, keepdims, where, mean, True)


# -- without nans --------------------------------------------------------------------------


def _nans(x: Any) -> Any:
    """Where x is nan; None if its dtype has none."""
    return NE(x, x) if dtypes.is_inexact(x.dtype) else None


def _filled(x: Any, value: Any) -> Any:
    """x with nans replaced."""
    missing = _nans(x)
    return x if missing is None else basis.select(missing, scalar(value, x.dtype), x)


@public
def nansum(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """`sum` with 0 for nans"""
    return sum(
        _filled(operand("nansum", a), 0), axis, dtype, out, keepdims, initial, where
    )


@public
def nanprod(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """`prod` with 1 for nans"""
    return prod(
        _filled(operand("nanprod", a), 1), axis, dtype, out, keepdims, initial, where
    )


def _nan_extremum(
    who: str, reduce: Any, worst: float, a: Any, axis: Any, out: Any, keepdims: bool,
    initial: Any, where: Any,
) -> Any:  # fmt: skip
    x = operand(who, a)
    missing = _nans(x)
    if missing is None:
        return reduce(x, axis, out, keepdims, initial, where)
    found = reduce(_filled(x, worst), axis, out, keepdims, initial, where)
    if initial is not None:
        return found
    nothing = all(missing, axis, keepdims=keepdims)
    return basis.select(nothing, scalar(math.nan, x.dtype), found)


@public
def nanmax(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
    initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The largest element that is not nan; nan if there is none"""
    return _nan_extremum(
        "nanmax", max, -math.inf, a, axis, out, keepdims, initial, where
    )


@public
def nanmin(
    a: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False,
    initial: ArrayLike | None = None, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The smallest element that is not nan; nan if there is none"""
    return _nan_extremum(
        "nanmin", min, math.inf, a, axis, out, keepdims, initial, where
    )


def _present(who: str, x: Any, where: Any) -> Any:
    """The mask of the elements that count: those that are not nan, and in `where`."""
    missing = _nans(x)
    mask = None if where is None else as_bool(who, operand(who, where))
    if missing is None:
        return mask
    there = el.Not()(missing)
    return there if mask is None else AND(there, mask)


@public
def nanmean(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    keepdims: bool = False, where: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The mean of the elements that are not nan.

    >>> import ferax.numpy as jnp
    >>> jnp.nanmean(jnp.array([1., jnp.nan, 3.]))
    Array(2., dtype=float32)
    """
    refuse("nanmean", out)
    x = operand("nanmean", a)
    return _mean(
        "nanmean", _filled(x, 0), axis, dtype, keepdims, _present("nanmean", x, where)
    )


@public
def nanvar(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    ddof: int = 0, keepdims: bool = False, where: ArrayLike | None = None,
    mean: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The variance of the elements that are not nan"""
    refuse("nanvar", out)
    x = operand("nanvar", a)
    mask = _present("nanvar", x, where)
    return _variance(
        "nanvar", _filled(x, 0), axis, dtype, ddof, keepdims, mask, mean, False
    )


@public
def nanstd(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, out: None = None,
    ddof: int = 0, keepdims: bool = False, where: ArrayLike | None = None,
    mean: ArrayLike | None = None,
) -> Array:  # fmt: skip
    """The standard deviation of the elements that are not nan"""
    refuse("nanstd", out)
    x = operand("nanstd", a)
    mask = _present("nanstd", x, where)
    return _variance(
        "nanstd", _filled(x, 0), axis, dtype, ddof, keepdims, mask, mean, True
    )


# -- places of extrema ---------------------------------------------------------------------


def _arg_extremum(who: str, op: Any, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    if out is not None:
        refuse(who, out)
    x = operand(who, a)
    dims = x.shape
    if dtypes.is_complex(x.dtype):
        raise TypeError(f"{who} does not accept complex arrays; got {x.aval.short()}")
    if axis is None:
        x, place, kept = basis.reshape(x, (x.size,)), 0, (1,) * len(dims)
    else:
        if not dims and axis in (0, -1):
            x = basis.reshape(x, (1,))
        place = canonical_axis(axis, x.ndim, who)
        kept = keep_axes(dims, (place,))
    if x.shape[place] == 0:
        raise ValueError(f"attempt to get {who} of an empty sequence")
    found = op(place, dtypes.canonical(_INT))(x)
    if keepdims:
        found = basis.reshape(found, kept)
    return basis.convert(found, found.dtype)


@public
def argmax(
    a: ArrayLike,
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """The index of the first largest element along an axis (None: in the vector of all).

    >>> import ferax.numpy as jnp
    >>> jnp.argmax(jnp.array([[1, 9], [7, 2]]), axis=1)
    Array([1, 0], dtype=int32)
    """
    return _arg_extremum("argmax", ArgMax, a, axis, out, keepdims)


@public
def argmin(
    a: ArrayLike,
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """The index of the first smallest element along an axis (None: in the vector of all)"""
    return _arg_extremum("argmin", ArgMin, a, axis, out, keepdims)


def _nan_arg(
    who: str, find: Any, worst: float, a: Any, axis: Any, out: Any, keepdims: Any
) -> Any:
    x = operand(who, a)
    missing = _nans(x)
    if missing is None:
        return find(x, axis, out, keepdims)
    found = find(_filled(x, worst), axis, out, keepdims)
    # one number has no axes, but its place along axis 0 may be asked for
    nothing = all(missing, axis if x.ndim else None, keepdims=bool(keepdims))
    return basis.select(nothing, scalar(-1, found.dtype), found)


@public
def nanargmax(
    a: ArrayLike,
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """`argmax` of the elements that are not nan; -1 if there is none"""
    return _nan_arg("nanargmax", argmax, -math.inf, a, axis, out, keepdims)


@public
def nanargmin(
    a: ArrayLike,
    axis: int | None = None,
    out: None = None,
    keepdims: bool | None = None,
) -> Array:
    """`argmin` of the elements that are not nan; -1 if there is none"""
    return _nan_arg("nanargmin", argmin, math.inf, a, axis, out, keepdims)


# -- cumulative ----------------------------------------------------------------------------


def _cumulative(who: str, op: Any, a: Any, axis: Any, dtype: Any, out: Any) -> Any:
    if out is not None:
        refuse(who, out)
    x = operand(who, a)
    wanted = None if dtype is None else dtypes.requested(dtype, who)
    if wanted is not None:
        x = cast(x, wanted)
    if x.dtype is BOOL:  # sums and products of bools are counted, then compared with 0
        x = cast(x, dtypes.canonical(_INT))
    if axis is None:
        x, place = basis.reshape(x, (x.size,)), 0
    else:
        place = canonical_axis(axis, x.ndim, who)
    if x.dtype is BOOL:  # as in NumPy: 1 + 1 is True
        return cast(op(place)(cast(x, dtypes.canonical(_INT))), BOOL)
    y = op(place)(x)
    return basis.convert(y, y.dtype if wanted is None else wanted)


@public
def cumsum(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running sums along an axis (None: of the vector of all).

    >>> import ferax.numpy as jnp
    >>> jnp.cumsum(jnp.array([[1, 2], [3, 4]]), axis=1)
    Array([[1, 3],
           [3, 7]], dtype=int32)
    """
    return _cumulative("cumsum", CumSum, a, axis, dtype, out)


@public
def cumprod(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """Running products along an axis (None: of the vector of all)"""
    return _cumulative("cumprod", CumProd, a, axis, dtype, out)


@public
def nancumsum(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """`cumsum` with 0 for nans"""
    return _cumulative(
        "nancumsum", CumSum, _filled(operand("nancumsum", a), 0), axis, dtype, out
    )


@public
def nancumprod(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    out: None = None,
) -> Array:
    """`cumprod` with 1 for nans"""
    return _cumulative(
        "nancumprod", CumProd, _filled(operand("nancumprod", a), 1), axis, dtype, out
    )


def _cumulative_from(
    who: str,
    op: Any,
    neutral: int,
    x: Any,
    axis: Any,
    dtype: Any,
    include_initial: bool,
) -> Any:
    x = operand(who, x)
    if x.ndim == 0:
        raise ValueError(
            f"{who}: the input must be non-scalar to take a cumulative result"
        )
    if axis is None:
        if x.ndim > 1:
            raise ValueError(
                f"{who}: x {x.aval.short()} has {x.ndim} axes; say along which with axis="
            )
        axis = 0
    axis = canonical_axis(axis, x.ndim, who)
    y = _cumulative(who, op, x, axis, dtype, None)
    if not include_initial:
        return y
    first = basis.full((*y.shape[:axis], 1, *y.shape[axis + 1 :]), neutral, y.dtype)
    return Concatenate(axis)(first, y)


@public
def cumulative_sum(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:  # fmt: skip
    """`cumsum` of the array API standard: with `include_initial` a 0 comes first.

    Narrow integers are summed, as by `sum`, in the default integer.

    >>> import ferax.numpy as jnp
    >>> jnp.cumulative_sum(jnp.array([1, 2, 3]), include_initial=True)
    Array([0, 1, 3, 6], dtype=int32)
    """
    x = operand("cumulative_sum", x)
    wanted = _widened(x.dtype) if dtype is None else dtype
    return _cumulative_from(
        "cumulative_sum", CumSum, 0, x, axis, wanted, include_initial
    )


@public
def cumulative_prod(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:  # fmt: skip
    """`cumprod` of the array API standard: with `include_initial` a 1 comes first"""
    return _cumulative_from(
        "cumulative_prod", CumProd, 1, x, axis, dtype, include_initial
    )


# -- the reductions of ufuncs --------------------------------------------------------------


def _accumulated(op: Any) -> Any:
    """A cumulative form for `ufunc.accumulate`."""

    def accumulate(a: Any, axis: int = 0, dtype: Any = None) -> Any:
        return _cumulative("accumulate", op, a, axis, dtype, None)

    return accumulate


def _bits(who: str, op: Any, combine: Any, neutral: int) -> Any:
    def reduce(
        a: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None, where: Any = None,
        dtype: Any = None,
    ) -> Any:  # fmt: skip
        x = operand(who, a)
        x = x if dtype is None else cast(x, dtypes.requested(dtype, who))
        return _fold(who, op, combine, neutral, x, axis, keepdims, initial, where)

    return reduce


def _logical(who: str, op: Any, combine: Any, neutral: bool) -> Any:
    def reduce(
        a: Any, axis: Any = 0, keepdims: bool = False, initial: Any = None, where: Any = None,
        dtype: Any = None,
    ) -> Any:  # fmt: skip
        out = _fold(
            who, op, combine, neutral, as_bool(who, a), axis, keepdims, initial, where
        )
        return out if dtype is None else cast(out, dtypes.requested(dtype, who))

    return reduce


def _cast_first(who: str, reduction: Any) -> Any:
    """A reduction that is done in the dtype asked for."""

    def reduce(a: Any, dtype: Any = None, **options: Any) -> Any:
        x = operand(who, a)
        x = x if dtype is None else cast(x, dtypes.requested(dtype, who))
        return reduction(x, **options)

    return reduce


universal.REDUCTIONS.update(
    add=(sum, _accumulated(CumSum)),
    multiply=(prod, _accumulated(CumProd)),
    maximum=(_cast_first("maximum", max), None),
    minimum=(_cast_first("minimum", min), None),
    logical_and=(_logical("logical_and", ReduceAnd, AND, True), None),
    logical_or=(_logical("logical_or", ReduceOr, OR, False), None),
    logical_xor=(_logical("logical_xor", ReduceXor, el.Xor(), False), None),
    bitwise_and=(_bits("bitwise_and", ReduceAnd, AND, -1), None),
    bitwise_or=(_bits("bitwise_or", ReduceOr, OR, 0), None),
    bitwise_xor=(_bits("bitwise_xor", ReduceXor, el.Xor(), 0), None),
)
