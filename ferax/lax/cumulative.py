"""Cumulative operations along an axis: sums, products, extrema, logsumexp.

Lowering. A running fold of n elements is computed from that of the n/2 sums of neighbours, so
with about 2n combinations in 2 log2(n) vectorised steps: G. Blelloch, "Prefix sums and their
applications" (1990), section 1.3. Short axes go to XLA's reduce_window (n² work, one kernel).
XLA's own way is several times slower on CPUs from a thousand elements on.

Derivatives. Every running fold y[i] = f(y[i-1], x[i]) has the tangent

    t[i] = ∂f/∂y · t[i-1] + ∂f/∂x · dx[i],

a linear recurrence with known coefficients. `LinearRecurrence` computes it, is linear in its
second operand, and its adjoint is a recurrence running the other way; it is the one derivative
rule of all but the sum, which is linear itself. Products need no division, so zeros do no harm.
Where extrema tie, the later element and the running extremum get half of the tangent each.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval, Zero
from ferax.core.basis import INEXACT, NUMERIC, Kinds, Linear
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise
from ferax.lax.reduction import identity
from ferax.lax.shape import Pad, align_mapped, concatenate, part, rev

__all__ = ["cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"]

_SHORT = 32  # up to this length reduce_window is the faster lowering
_ROW = 64  # from this many elements per step on, NumPy is faster step by step

Combine = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


# -- the scan on ferax arrays --------------------------------------------------------------


def _shifted(x: Any, axis: int, neutral: Any, reverse: bool = False) -> Any:
    """The preceding element (the following one if `reverse`) along an axis."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (-1, 1, 0) if reverse else (1, -1, 0)
    return Pad(tuple(config))(x, basis.full((), neutral, x.dtype))


def _interleaved(x: Any, y: Any, axis: int) -> Any:
    """x[0], y[0], x[1], y[1], …"""
    shape = list(x.shape)
    shape[axis] *= 2
    pairs = concatenate(
        [basis.expand_dims(x, (axis + 1,)), basis.expand_dims(y, (axis + 1,))], axis + 1
    )
    return basis.reshape(pairs, tuple(shape))


def scan_arrays(
    combine: Combine,
    xs: Sequence[Any],
    axis: int,
    neutral: Sequence[Any],
    short: Callable[[Sequence[Any]], list[Any]] | None = None,
) -> list[Any]:
    """Running fold of (tuples of) arrays by an associative function.

    `neutral` are the scalars that change nothing; `short` does short axes.
    """
    n = xs[0].shape[axis]
    if n <= 1:
        return list(xs)
    if short is not None and n <= _SHORT:
        return short(xs)
    half, odd = n // 2, n % 2
    evens = [part(x, axis, 0, half + odd, 2) for x in xs]
    odds = [part(x, axis, 1, half, 2) for x in xs]
    pairs = combine([part(x, axis, 0, half) for x in evens], odds)
    at_odds = scan_arrays(combine, pairs, axis, neutral, short)
    before = []
    for x, value in zip(at_odds, neutral):
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (1, odd - 1, 0)
        before.append(Pad(tuple(config))(x, basis.full((), value, x.dtype)))
    at_evens = combine(before, evens)
    out = []
    for x, y in zip(at_evens, at_odds):
        z = _interleaved(part(x, axis, 0, half), y, axis)
        out.append(concatenate([z, part(x, axis, half, 1)], axis) if odd else z)
    return out


# -- the scan on NumPy arrays --------------------------------------------------------------


def _backward(x: np.ndarray, axis: int) -> np.ndarray:
    return x[(builtins.slice(None),) * axis + (builtins.slice(None, None, -1),)]


def _accumulate(
    ufunc: Any, x: np.ndarray, axis: int, reverse: bool, dtype: Any
) -> np.ndarray:
    """`ufunc.accumulate`, row by row where rows are long: it is slow along outer axes."""
    if reverse:
        x = _backward(x, axis)
    inner = shapes.size(x.shape[axis + 1 :])
    if inner >= _ROW and x.size:
        y = np.empty(x.shape, dtype)
        rows, values = np.moveaxis(y, axis, 0), np.moveaxis(x, axis, 0)
        rows[0] = values[0]
        for i in range(1, len(rows)):
            ufunc(rows[i - 1], values[i], out=rows[i])
    else:
        y = ufunc.accumulate(x, axis, dtype)
    return _backward(y, axis) if reverse else y


def _recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """h[i] = a[i] h[i-1] + b[i] along axis 0."""
    n = len(a)
    h = np.empty_like(b)
    if n <= 16 or h[0].size >= _ROW:
        h[:1] = b[:1]
        for i in range(1, n):
            h[i] = a[i] * h[i - 1] + b[i]
        return h
    a_odd, b_odd = a[1::2], b[1::2]
    m = len(a_odd)
    h[1::2] = at_odds = _recurrence(
        a_odd * a[: 2 * m : 2], a_odd * b[: 2 * m : 2] + b_odd
    )
    h[0] = b[0]
    h[2::2] = a[2::2] * at_odds[: (n - 1) // 2] + b[2::2]
    return h


# -- the tangent of all of them ------------------------------------------------------------


class LinearRecurrence(Primitive):
    """h[i] = a[i] h[i-1] + b[i] along `axis`, from h[-1] = 0; reversed, from the end."""

    axis: int
    reverse: bool = False

    def abstract(self, a: Aval, b: Aval) -> list[Aval]:
        if a.strong() is not b.strong() or a.dtype not in INEXACT:
            raise TypeError(
                f"{self.name} takes two {INEXACT.name} arrays of one shape and dtype; got "
                f"{a.short()} and {b.short()}"
            )
        return [b]

    def numpy(self, a: Any, b: Any) -> list[Any]:
        a, b = np.moveaxis(a, self.axis, 0), np.moveaxis(b, self.axis, 0)
        h = _recurrence(a[::-1], b[::-1])[::-1] if self.reverse else _recurrence(a, b)
        return [np.moveaxis(h, 0, self.axis)]

    def stablehlo(self, hlo: Any, a: Any, b: Any) -> list[Any]:
        return hlo.inline(self.scan, a, b)  # type: ignore[no-any-return]

    def scan(self, a: Any, b: Any) -> Any:
        """By composing the maps h -> a h + b."""

        def compose(first: Sequence[Any], then: Sequence[Any]) -> list[Any]:
            (a1, b1), (a2, b2) = first, then
            return [basis.mul(a2, a1), basis.add(basis.mul(a2, b1), b2)]

        if self.reverse:
            a, b = rev(a, (self.axis,)), rev(b, (self.axis,))
        _, h = scan_arrays(compose, [a, b], self.axis, [1, 0])
        return rev(h, (self.axis,)) if self.reverse else h

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (a, b), (ta, drive) = primals, tangents
        h = self(a, b)
        if type(ta) is not Zero:
            before = _shifted(h, self.axis, 0, self.reverse)
            drive = basis.add_tangents(basis.mul(ta, before), drive)
        if type(drive) is Zero:
            return [h], [Zero(h.aval.tangent())]
        return [h], [self(a, drive)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (a, _) = cts, args
        following = _shifted(a, self.axis, 0, not self.reverse)
        return [None, LinearRecurrence(self.axis, not self.reverse)(following, ct)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        xs, d = align_mapped(axis, args, dims)
        return LinearRecurrence(self.axis + (self.axis >= d), self.reverse).bind(*xs), [
            d
        ]


# -- the family ----------------------------------------------------------------------------


class _Cumulative(Primitive, family=True):
    """A running fold along `axis`, from the end if `reverse`."""

    axis: int
    reverse: bool = False
    accepts: ClassVar[Kinds] = NUMERIC
    kind: ClassVar[str]  # as in `reduction.identity`
    ufunc: ClassVar[Any]
    mnemonic: ClassVar[str]  # StableHLO's name of the operation
    rounds: ClassVar[bool] = False  # 16-bit floats are folded in 32 bits

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in self.accepts:
            raise TypeError(
                f"{self.name} accepts {self.accepts.name} arrays; got {x.short()}"
            )
        return [x]

    def wide(self, x: Any) -> Any:
        """The dtype to compute in."""
        if self.rounds and dtypes.is_floating(x.dtype) and x.dtype.itemsize <= 2:
            return np.dtype(np.float32)
        if (
            not self.rounds
            and dtypes.is_integer(x.dtype)
            and dtypes.itemsize_bits(x.dtype) < 8
        ):
            return np.dtype(np.int8)
        return x.dtype

    def numpy(self, x: Any) -> list[Any]:
        y = _accumulate(self.ufunc, x, self.axis, self.reverse, self.wide(x))
        return [y if y.dtype == x.dtype else y.astype(x.dtype)]

    def combine(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [getattr(elementwise, self.kind)(a[0], b[0])]

    def neutral(self, dtype: Any) -> Any:
        return identity(self.kind, dtype)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if x.shape[self.axis] <= _SHORT and self.has_kernel(x.dtype):
            return [self.windowed(hlo, x)]
        return hlo.inline(self.scan, x)  # type: ignore[no-any-return]

    def has_kernel(self, dtype: Any) -> bool:
        """Whether reduce_window can do it as it is."""
        if self.wide(Aval((), dtype)) != dtype:
            return False
        return not (dtypes.is_complex(dtype) and self.kind in ("max", "min"))

    def scan(self, x: Any) -> Any:
        """By pairs, on ferax arrays."""
        wide = basis.convert(x, self.wide(x))
        if self.reverse:
            wide = rev(wide, (self.axis,))
        forward = type(self)(self.axis)
        short = (lambda xs: forward.bind(*xs)) if self.has_kernel(wide.dtype) else None
        neutral = self.neutral(wide.dtype)
        (y,) = scan_arrays(self.combine, [wide], self.axis, [neutral], short)
        if self.reverse:
            y = rev(y, (self.axis,))
        return basis.convert(y, x.dtype)

    def windowed(self, hlo: Any, x: Any) -> Any:
        """As a reduction over a window that reaches back to the beginning."""
        n = x.shape[self.axis]
        if x.aval.size == 0:
            return x
        window, padding = [1] * x.ndim, [[0, 0] for _ in range(x.ndim)]
        window[self.axis] = n
        padding[self.axis] = [0, n - 1] if self.reverse else [n - 1, 0]
        attrs = (
            f"window_dimensions = array<i64: {', '.join(map(str, window))}>, "
            f"padding = dense<{padding}> : tensor<{x.ndim}x2xi64>"
        )
        init = hlo.constant(identity(self.kind, x.dtype), x.dtype)
        region = hlo.combiner(self.mnemonic, x.dtype)
        return hlo.emit("reduce_window", (x, init), x.aval, attrs, (region,))

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (d,) = dims
        return type(self)(self.axis + (self.axis >= d), self.reverse).bind(*args), [d]


class _Recurrent(_Cumulative, family=True):
    """The tangent is a recurrence with the `coefficients` (∂f/∂y[i-1], ∂f/∂x[i])."""

    def coefficients(self, x: Any, y: Any) -> tuple[Any, Any]:
        raise NotImplementedError(f"{self.name}.coefficients")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        carried, entering = self.coefficients(x, y)
        drive = basis.mul(t, entering)
        return [y], [LinearRecurrence(self.axis, self.reverse)(carried, drive)]

    transpose = cannot("not linear")


def _checked(who: str, operand: Any, axis: int) -> tuple[Any, int]:
    x = to_array(operand, who)
    return x, shapes.canonical_axis(axis, x.ndim, who=who)


# -- sum -----------------------------------------------------------------------------------


class CumSum(_Cumulative, Linear):
    """y[i] = x[0] + … + x[i] along `axis`."""

    kind, ufunc, mnemonic, rounds = "add", np.add, "add", True
    name = "cumsum"

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [CumSum(self.axis, not self.reverse)(cts[0])]


@public
def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[i] = x[0] + … + x[i] along an axis.

    Args:
      operand: integer, floating or complex array.
      axis: the axis that is summed along.
      reverse: sum from the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.cumsum(jnp.arange(5))
    Array([ 0,  1,  3,  6, 10], dtype=int32)
    """
    x, axis = _checked("cumsum", operand, axis)
    return CumSum(axis, bool(reverse))(x)


# -- product -------------------------------------------------------------------------------


class CumProd(_Recurrent):
    """y[i] = x[0] · … · x[i] along `axis`."""

    kind, ufunc, mnemonic, rounds = "mul", np.multiply, "multiply", True
    name = "cumprod"

    def coefficients(self, x: Any, y: Any) -> tuple[Any, Any]:
        return x, _shifted(y, self.axis, 1, self.reverse)


@public
def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[i] = x[0] · … · x[i] along an axis.

    Args:
      operand: integer, floating or complex array.
      axis: the axis that is multiplied along.
      reverse: multiply from the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.cumprod(jnp.arange(1, 5), reverse=True)
    Array([24, 24, 12,  4], dtype=int32)
    """
    x, axis = _checked("cumprod", operand, axis)
    return CumProd(axis, bool(reverse))(x)


# -- extrema -------------------------------------------------------------------------------


class _CumExtremum(_Recurrent, family=True):
    def coefficients(self, x: Any, y: Any) -> tuple[Any, Any]:
        # nan before the first element: it equals nothing, so that nothing is carried in
        before = _shifted(y, self.axis, np.nan, self.reverse)
        one, half, zero = (basis.full((), v, x.dtype) for v in (1, 0.5, 0))
        if dtypes.is_complex(x.dtype):
            wins = elementwise.eq(before, y)
        else:  # y is not asked: compiled, it may differ from both in the last bit
            exceeds = elementwise.gt if self.kind == "max" else elementwise.lt
            wins = exceeds(before, x)
        carried = basis.select(wins, one, zero)
        carried = basis.select(elementwise.eq(before, x), half, carried)
        return carried, basis.sub(one, carried)


class CumMax(_CumExtremum):
    """y[i] = max(x[0], …, x[i]) along `axis`; nan from the first one on."""

    kind, ufunc, mnemonic = "max", np.maximum, "maximum"
    name = "cummax"


class CumMin(_CumExtremum):
    """y[i] = min(x[0], …, x[i]) along `axis`; nan from the first one on."""

    kind, ufunc, mnemonic = "min", np.minimum, "minimum"
    name = "cummin"


@public
def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[i] = max(x[0], …, x[i]) along an axis; nan from the first one on.

    Args:
      operand: integer, floating or complex array.
      axis: the axis that is compared along.
      reverse: begin at the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.cummax(jnp.array([1, 3, 2, 5, 4]))
    Array([1, 3, 3, 5, 5], dtype=int32)
    """
    x, axis = _checked("cummax", operand, axis)
    return CumMax(axis, bool(reverse))(x)


@public
def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[i] = min(x[0], …, x[i]) along an axis; nan from the first one on.

    Args:
      operand: integer, floating or complex array.
      axis: the axis that is compared along.
      reverse: begin at the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.cummin(jnp.array([4, 5, 2, 3, 1]))
    Array([4, 4, 2, 2, 1], dtype=int32)
    """
    x, axis = _checked("cummin", operand, axis)
    return CumMin(axis, bool(reverse))(x)


# -- logsumexp -----------------------------------------------------------------------------


def _log_add_exp(a: Any, b: Any) -> Any:
    """log(e^a + e^b), from the one with the greater real part; exact for equal infinities."""
    if dtypes.is_complex(a.dtype):
        swap = elementwise.lt(elementwise.real(a), elementwise.real(b))
    else:
        swap = elementwise.lt(a, b)
    big, small = basis.select(swap, b, a), basis.select(swap, a, b)
    return basis.add(big, elementwise.log1p(_exp_difference(small, big)))


def _exp_difference(a: Any, b: Any) -> Any:
    """exp(a - b); 1 where they are equal, infinite or not."""
    gap = basis.select(elementwise.eq(a, b), basis.zeros((), a.dtype), basis.sub(a, b))
    return elementwise.exp(gap)


def _log_add_exp_numpy(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """The same on complex NumPy arrays, which `np.logaddexp` does not take."""
    swap = a.real < b.real
    big, small = np.where(swap, b, a), np.where(swap, a, b)
    out[...] = big + np.log1p(np.exp(np.where(a == b, 0, small - big)))


class CumLogSumExp(_Recurrent):
    """y[i] = log(exp x[0] + … + exp x[i]) along `axis`."""

    accepts = INEXACT
    kind, ufunc, mnemonic, rounds = "", np.logaddexp, "", True
    name = "cumlogsumexp"

    def numpy(self, x: Any) -> list[Any]:
        if not dtypes.is_complex(x.dtype):
            return super().numpy(x)
        y = np.array(x)
        rows = np.moveaxis(y, self.axis, 0)
        if self.reverse:
            rows = rows[::-1]
        for i in range(1, len(rows)):
            _log_add_exp_numpy(rows[i - 1 : i], rows[i : i + 1], rows[i : i + 1])
        return [y]

    def combine(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [_log_add_exp(a[0], b[0])]

    def neutral(self, dtype: Any) -> Any:
        return np.asarray(-np.inf).astype(dtype)[()]

    def has_kernel(self, dtype: Any) -> bool:
        return False

    def coefficients(self, x: Any, y: Any) -> tuple[Any, Any]:
        before = _shifted(y, self.axis, -np.inf, self.reverse)
        # where nothing was summed yet, nothing has a share in it
        empty = elementwise.eq(y, basis.full((), -np.inf, y.dtype))
        total = basis.select(empty, basis.full((), np.inf, y.dtype), y)
        return _exp_difference(before, total), _exp_difference(x, total)


@public
def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[i] = log(exp x[0] + … + exp x[i]) along an axis, without overflow.

    Args:
      operand: floating or complex array.
      axis: the axis that is summed along.
      reverse: sum from the end.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.cumlogsumexp(jnp.zeros(2))
    Array([0.       , 0.6931472], dtype=float32)
    """
    x, axis = _checked("cumlogsumexp", operand, axis)
    return CumLogSumExp(axis, bool(reverse))(x)
