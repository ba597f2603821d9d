"""Functions along axes: softmax and its relatives, standardisation, one-hot vectors.

Exponentials are taken relative to the largest element, which is a constant for derivatives, as it
cancels. Elements that are -inf or masked by `where` contribute exactly nothing, to values and to
derivatives, whatever they hold. A logsumexp of nothing is -inf, with derivatives 0.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import ferax.numpy as jnp
from ferax import dtypes
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax.collective import axis_index, axis_size
from ferax.lax.marks import stop_gradient
from ferax.numpy.operations import at_once
from ferax.numpy.promoting import ArrayLike, inexact, promote_inexact
from ferax.shapes import canonical_axis, dimension

Axis = int | tuple[int, ...] | None


def _masked(x: Any, where: Any) -> Any:
    return x if where is None else jnp.where(where, x, -jnp.inf)


def _largest(x: Any, axis: Axis) -> Any:
    """The largest element, as a constant; 0 where there is none but -inf or one is inf."""
    top = _top(x, axis)
    return jnp.where(jnp.isfinite(top), top, 0)


def _top(x: Any, axis: Axis) -> Any:
    """The largest element, as a constant; -inf if there are none."""
    if x.size:
        return stop_gradient(jnp.max(x, axis, keepdims=True))
    return stop_gradient(jnp.max(x, axis, keepdims=True, initial=-jnp.inf))


def _softmax_numpy(axis: Any, x: np.ndarray) -> np.ndarray:
    """The same in NumPy: five calls instead of eight operations. ValueError if `x` is empty."""
    if isinstance(axis, list):
        axis = tuple(axis)
    e = np.empty_like(x)
    np.subtract(x, np.maximum.reduce(x, axis, keepdims=True), e)
    np.exp(e, e)
    return np.divide(e, np.add.reduce(e, axis, keepdims=True), e)


@public
def softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> Array:
    """exp(x) / Σ exp(x) along axes.

    Args:
      x: real.
      axis: one or several axes; None means all.
      where: bool, broadcasts to x: the elements that take part. The others give 0.

    Where all elements are masked the result is 0; where they are all -inf it is nan.

    >>> import ferax
    >>> x = ferax.numpy.array([1.0, 2.0, 3.0])
    >>> ferax.nn.softmax(x).round(4)
    Array([0.09  , 0.2447, 0.6652], dtype=float32)
    >>> ferax.nn.softmax(x, where=ferax.numpy.array([True, False, True])).round(4)
    Array([0.1192, 0.    , 0.8808], dtype=float32)
    """
    x = inexact("softmax", x)
    if where is None:
        known = (
            at_once(partial(_softmax_numpy, axis), x) if x.dtype == np.float32 else None
        )
        if known is not None:
            return known
        e = jnp.exp(x - _top(x, axis))
        return e / jnp.sum(e, axis, keepdims=True)
    x = _masked(x, where)
    e = jnp.exp(x - _largest(x, axis))
    total = jnp.sum(e, axis, keepdims=True)
    return e / jnp.where(total == 0, 1, total)


@public
def log_softmax(x: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None) -> Array:
    """log(softmax(x)) = x - log Σ exp(x) along axes.

    Args:
      x: real.
      axis: one or several axes; None means all.
      where: bool, broadcasts to x: the elements that take part. The others give -inf.

    >>> import ferax
    >>> ferax.nn.log_softmax(ferax.numpy.array([0.0, 0.0, -ferax.numpy.inf])).round(4)
    Array([-0.6931, -0.6931,    -inf], dtype=float32)
    """
    x = inexact("log_softmax", x)
    if where is None:
        shifted = x - _top(x, axis)
        return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))
    x = _masked(x, where)
    shifted = x - _largest(x, axis)
    total = jnp.sum(jnp.exp(shifted), axis, keepdims=True)
    # masked again: -inf is a constant there, that moves with no element
    return _masked(shifted - jnp.log(jnp.where(total == 0, 1, total)), where)


@public
def logsumexp(
    a: ArrayLike,
    axis: Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Array | tuple[Array, Array]:
    """log Σ b exp(a) along axes.

    Args:
      a: real or complex.
      axis: one or several axes; None means all.
      b: factors that broadcast to a; where they are 0, a does not count, whatever it is.
      keepdims: keep the reduced axes with size 1.
      return_sign: give (log |Σ|, sign of Σ) instead of a logarithm that is nan for Σ < 0.
      where: bool, broadcasts to a: the elements that take part.

    >>> import ferax
    >>> x = ferax.numpy.array([1000.0, 1000.0])
    >>> ferax.nn.logsumexp(x).round(2)
    Array(1000.69, dtype=float32)
    >>> ferax.nn.logsumexp(x, b=ferax.numpy.array([1.0, -2.0]), return_sign=True)
    (Array(1000., dtype=float32), Array(-1., dtype=float32))
    """
    if b is None:
        a = inexact("logsumexp", a)
        a = _masked(a, where)
    else:
        a, b = promote_inexact("logsumexp", a, b)
        counts = b != 0 if where is None else (b != 0) & where
        a, b = _masked(a, counts), jnp.where(counts, b, 0)
    top = _largest(a.real if dtypes.is_complex(a.dtype) else a, axis)
    terms = jnp.exp(a - top)
    total = jnp.sum(terms if b is None else b * terms, axis, keepdims=True)
    empty = total == 0
    filled = jnp.where(empty, 1, total)
    sign = jnp.sign(total)
    if return_sign:
        filled = jnp.abs(filled)
    elif not dtypes.is_complex(a.dtype):
        filled = jnp.where(sign < 0, jnp.nan, filled)
    out = jnp.where(empty, -jnp.inf, jnp.log(filled) + top)
    if not keepdims:
        out, sign = (
            jnp.squeeze(out, _reduced(a, axis)),
            jnp.squeeze(sign, _reduced(a, axis)),
        )
    return (out, sign) if return_sign else out


def _reduced(x: Any, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(canonical_axis(a, x.ndim) for a in axes)


@public
def logmeanexp(
    x: ArrayLike,
    axis: Axis = None,
    where: ArrayLike | None = None,
    keepdims: bool = False,
) -> Array:
    """log of the mean of exp(x) along axes; see `logsumexp`.

    >>> import ferax
    >>> ferax.nn.logmeanexp(ferax.numpy.array([1000.0, 1000.0]))
    Array(1000., dtype=float32)
    """
    x = inexact("logmeanexp", x)
    total = logsumexp(x, axis, where=where, keepdims=keepdims)
    counted = (
        jnp.ones_like(x) if where is None else jnp.where(where, jnp.ones_like(x), 0)
    )
    return total - jnp.log(jnp.sum(counted, axis, keepdims=keepdims))


@public
def standardize(
    x: ArrayLike,
    axis: Axis = -1,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    epsilon: ArrayLike = 1e-5,
    where: ArrayLike | None = None,
    *,
    algorithm: str = "fast",
) -> Array:
    """(x - mean) / √(variance + epsilon) along axes.

    Args:
      x: real.
      axis: one or several axes; None means all.
      mean, variance: broadcast to x; those of x if None.
      epsilon: added to the variance.
      where: bool, broadcasts to x: the elements that mean and variance are computed of.
      algorithm: "fast", the mean of squares minus the square of the mean, or "stable", the mean
        of squared distances from the mean.

    >>> import ferax
    >>> ferax.nn.standardize(ferax.numpy.arange(4.0)).round(4)
    Array([-1.3416, -0.4472,  0.4472,  1.3416], dtype=float32)
    """
    if algorithm not in ("fast", "stable"):
        raise ValueError(
            f'standardize: algorithm must be "fast" or "stable"; got {algorithm!r}'
        )
    x = inexact("standardize", x)
    if mean is None:
        mean = jnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        if algorithm == "fast":
            squares = jnp.mean(jnp.square(x), axis, keepdims=True, where=where)
            variance = squares - jnp.square(mean)
        else:
            variance = jnp.mean(jnp.square(x - mean), axis, keepdims=True, where=where)
    return (x - mean) / jnp.sqrt(variance + jnp.asarray(epsilon, x.dtype))


@public
def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: Any = -1) -> Array:
    """1 at the place given by x along a new axis, 0 elsewhere.

    Args:
      x: classes, (…); those outside of [0, num_classes) give zeros only.
      num_classes: size of the new axis.
      dtype: of the result; the default floating dtype if None.
      axis: where the new axis stands in the result; or the name of an axis in scope, of size
        num_classes, of whose members each gets its element.

    Raises:
      ValueError: the named axis has another size.

    >>> import ferax
    >>> ferax.nn.one_hot(ferax.numpy.array([0, 2, 7]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    x = jnp.asarray(x)
    kind = dtypes.canonical(float if dtype is None else dtype)
    num_classes = dimension(num_classes, "one_hot")
    if num_classes < 0:
        raise ValueError(
            f"one_hot: num_classes must not be negative; got {num_classes}"
        )
    if x.dtype.itemsize < 4:  # of which there may be fewer than classes
        x = x.astype("float32" if dtypes.is_inexact(x.dtype) else "int32")
    if isinstance(axis, str):
        if axis_size(axis) != num_classes:
            raise ValueError(
                f"one_hot: the axis {axis!r} has size {axis_size(axis)}; it must be num_classes, "
                f"{num_classes}"
            )
        return (x == axis_index(axis)).astype(kind)
    place = canonical_axis(axis, x.ndim + 1, "one_hot")
    classes = jnp.arange(num_classes, dtype=x.dtype)
    classes = classes.reshape((num_classes, *(1,) * (x.ndim - place)))
    hot = jnp.expand_dims(x, place) == classes
    return hot.astype(kind)
