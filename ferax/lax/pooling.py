"""Reductions over windows that slide along the axes: pooling.

A window of several axes is reduced axis by axis, the last one first, which for an
associative operation is the order of the elements. Along one axis the result is a fold of
strided slices: k of them for a window of k elements, or about 2 log2(k) by doubling, where
that is less work. One generic function, `fold_axis`, is the host's implementation, the
lowering for CPUs (where it beats XLA's reduce_window by up to ten times), the way functions
of the user are run, and, on pairs (value, tangent), the derivative of extrema: the tangent of
a window is that of its first extremal element.

The adjoint of a sum over windows is again a sum over windows, with strides and base dilation
exchanged; V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
chapter 4, with a kernel of ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval, Shape, Zero
from ferax.core.basis import NUMERIC, ORDERED, Kinds, Linear
from ferax.core.primitive import Primitive, cannot
from ferax.errors import public
from ferax.lax import elementwise
from ferax.lax.reduction import Combiner, identity, is_identity, reduction_operands
from ferax.lax.shape import Pad, inserted, integers, part

__all__ = ["reduce_window", "reduce_window_shape_tuple"]

Combine = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


# -- folding -------------------------------------------------------------------------------


def fold_axis(
    combine: Combine,
    xs: Sequence[Any],
    axis: int,
    size: int,
    stride: int,
    dilation: int,
    take: Callable[[Any, int, int, int, int], Any],
) -> list[Any]:
    """Fold windows of `size` elements along one axis of the operands.

    `take(x, axis, start, count, stride)` gives elements along an axis.
    """
    n = xs[0].shape[axis]
    count = shapes.window_count(n, (size - 1) * dilation + 1, stride)

    def every(
        arrays: Sequence[Any], start: int, number: int, step: int = 1
    ) -> list[Any]:
        return [take(x, axis, start, number, step) for x in arrays]

    if count == 0:
        return every(xs, 0, 0)
    if size * count <= 2 * size.bit_length() * n:
        total = every(xs, 0, count, stride)
        for i in range(1, size):
            total = combine(total, every(xs, i * dilation, count, stride))
        return total
    # `power` holds folds of 2^j elements from each place; sizes are sums of such
    power, width, done, parts = list(xs), 1, 0, None
    while True:
        if size & width:
            piece = every(power, done * dilation, count, stride)
            parts = piece if parts is None else combine(parts, piece)
            done += width
        if done == size:
            return parts  # type: ignore[return-value]
        left = power[0].shape[axis] - width * dilation
        power = combine(every(power, 0, left), every(power, width * dilation, left))
        width *= 2


def _take_numpy(x: Any, axis: int, start: int, count: int, stride: int) -> Any:
    stop = start + (count - 1) * stride + 1 if count else start
    return x[(slice(None),) * axis + (slice(start, stop, stride),)]


# -- the family ----------------------------------------------------------------------------

Pairs = tuple[tuple[int, int], ...]


class ReduceWindow(Primitive, family=True):
    """Windows of x, dilated by base_dilation and padded, combined to one element each."""

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]
    accepts: ClassVar[Kinds] = NUMERIC
    kind: ClassVar[str]  # as in `reduction.identity`
    ufunc: ClassVar[Any]
    mnemonic: ClassVar[str]  # StableHLO's name of the operation

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in self.accepts:
            raise TypeError(
                f"{self.name} accepts {self.accepts.name} arrays; got {x.short()}"
            )
        return [Aval(self.result_shape("reduce_window", x.shape), x.dtype)]

    def result_shape(self, who: str, shape: Shape) -> Shape:
        """The number of windows along each axis."""
        lengths = {len(getattr(self, f)) for f in self.fields}
        positive = (
            *self.window,
            *self.strides,
            *self.base_dilation,
            *self.window_dilation,
        )
        if lengths != {len(shape)} or any(n < 1 for n in positive):
            raise TypeError(
                f"{who}: an operand of shape {shape} needs {len(shape)} positive window "
                f"dimensions, strides and dilations and as many pairs of padding; got window "
                f"{self.window}, strides {self.strides}, padding {self.padding}, base_dilation "
                f"{self.base_dilation}, window_dilation {self.window_dilation}"
            )
        return tuple(
            shapes.window_count(shapes.padded(n, lo, hi, b - 1), (k - 1) * w + 1, s)
            for n, (lo, hi), b, k, w, s in zip(
                shape, self.padding, self.base_dilation, self.window, self.window_dilation,
                self.strides,
            )
        )  # fmt: skip

    def pad(self) -> Pad:
        """The dilation and padding of the operand."""
        pairs = zip(self.padding, self.base_dilation)
        return Pad(tuple((lo, hi, b - 1) for (lo, hi), b in pairs))

    def is_padded(self) -> bool:
        return any(lo or hi for lo, hi in self.padding) or any(
            b > 1 for b in self.base_dilation
        )

    def fold(
        self,
        combine: Combine,
        xs: Sequence[Any],
        inits: Sequence[Any],
        take: Any = part,
    ) -> list[Any]:
        """The windows of several operands (ferax arrays) combined together."""
        if self.is_padded():
            xs = [self.pad()(x, init) for x, init in zip(xs, inits)]
        for axis in reversed(range(len(self.window))):
            k, s, w = self.window[axis], self.strides[axis], self.window_dilation[axis]
            xs = fold_axis(combine, xs, axis, k, s, w, take)
        return list(xs)

    def numpy(self, x: Any) -> list[Any]:
        rounds = (
            dtypes.is_floating(x.dtype) and x.dtype.itemsize <= 2 and self.kind == "add"
        )
        y = x.astype(np.float32) if rounds else x
        if self.is_padded():
            (y,) = self.pad().numpy(y, identity(self.kind, y.dtype))
        for axis in reversed(range(x.ndim)):
            k, s, w = self.window[axis], self.strides[axis], self.window_dilation[axis]
            (y,) = fold_axis(self.combine_numpy, [y], axis, k, s, w, _take_numpy)
        return [y if y.dtype == x.dtype else y.astype(x.dtype)]

    def combine_numpy(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [self.ufunc(a[0], b[0])]

    def combine(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [getattr(elementwise, self.kind)(a[0], b[0])]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if hlo.platform == "cpu" or dtypes.is_complex(x.dtype):
            init = identity(self.kind, x.dtype)

            def folded(x: Any) -> Any:
                return self.fold(self.combine, [x], [basis.full((), init, x.dtype)])

            return hlo.inline(folded, x)  # type: ignore[no-any-return]
        attrs = ", ".join(
            f"{name} = array<i64{': ' if x.ndim else ''}{', '.join(map(str, values))}>"
            for name, values in (
                ("window_dimensions", self.window),
                ("window_strides", self.strides),
                ("base_dilations", self.base_dilation),
                ("window_dilations", self.window_dilation),
            )
        )
        pairs = [list(p) for p in self.padding] if x.ndim else ""
        attrs += f", padding = dense<{pairs}> : tensor<{x.ndim}x2xi64>"
        init = hlo.constant(identity(self.kind, x.dtype), x.dtype)
        region = hlo.combiner(self.mnemonic, x.dtype)
        return [hlo.emit("reduce_window", (x, init), hlo.out[0], attrs, (region,))]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (d,) = dims
        op = type(self)(
            inserted(self.window, d, 1),
            inserted(self.strides, d, 1),
            inserted(self.padding, d, (0, 0)),
            inserted(self.base_dilation, d, 1),
            inserted(self.window_dilation, d, 1),
        )
        return op.bind(*args), [d]


class ReduceWindowSum(ReduceWindow, Linear):
    """y[i] = Σ of window i."""

    kind, ufunc, mnemonic = "add", np.add, "add"

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x,) = cts, args
        if shapes.size(ct.shape) == 0 or shapes.size(x.shape) == 0:
            return [basis.zeros(x.shape, ct.dtype)]
        padding = []
        for n, m, k, s, (lo, _), b, w in zip(
            x.shape, ct.shape, self.window, self.strides, self.padding, self.base_dilation,
            self.window_dilation,
        ):  # fmt: skip
            reach = (k - 1) * w
            low = reach - lo
            padding.append((low, (n - 1) * b + reach - low - (m - 1) * s))
        op = ReduceWindowSum(
            self.window,
            self.base_dilation,
            tuple(padding),
            self.strides,
            self.window_dilation,
        )
        return [op(ct)]


class _WindowExtremum(ReduceWindow, family=True):
    accepts = ORDERED

    def wins(self, a: Any, b: Any) -> Any:
        """Where the former of two elements is the extremum."""
        raise NotImplementedError(f"{self.name}.wins")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        if type(t) is Zero:
            (y,) = self.bind(x)
            return [y], [Zero(y.aval.tangent())]

        def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
            former = self.wins(a[0], b[0])
            return [basis.select(former, p, q) for p, q in zip(a, b)]

        inits = [
            basis.full((), identity(self.kind, x.dtype), x.dtype),
            basis.zeros((), t.dtype),
        ]
        y, moved = self.fold(combine, [x, t], inits)
        return [y], [moved]

    transpose = cannot("not linear")


class ReduceWindowMax(_WindowExtremum):
    """y[i] = max of window i; its tangent is that of the first largest element."""

    kind, ufunc, mnemonic = "max", np.maximum, "maximum"

    def wins(self, a: Any, b: Any) -> Any:
        # a nan wins in either place
        return elementwise.bitwise_or(elementwise.ge(a, b), elementwise.ne(a, a))


class ReduceWindowMin(_WindowExtremum):
    """y[i] = min of window i; its tangent is that of the first smallest element."""

    kind, ufunc, mnemonic = "min", np.minimum, "minimum"

    def wins(self, a: Any, b: Any) -> Any:
        return elementwise.bitwise_or(elementwise.le(a, b), elementwise.ne(a, a))


class _Fold(ReduceWindow, family=True):
    """Holds the parameters for functions of the user; is never bound."""


_MONOIDS = {"add": ReduceWindowSum, "max": ReduceWindowMax, "min": ReduceWindowMin}


# -- public --------------------------------------------------------------------------------


def _parameters(
    who: str,
    shape: Shape,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None,
    padding: str | Sequence[tuple[int, int]],
    base_dilation: Sequence[int] | None,
    window_dilation: Sequence[int] | None,
) -> tuple[Any, ...]:
    """The fields of `ReduceWindow`, checked."""
    rank = len(shape)
    ones = (1,) * rank
    window = integers(window_dimensions)
    strides = ones if window_strides is None else integers(window_strides)
    base = ones if base_dilation is None else integers(base_dilation)
    inner = ones if window_dilation is None else integers(window_dilation)
    if {len(window), len(strides), len(base), len(inner)} != {rank}:
        raise TypeError(
            f"{who}: an operand of shape {shape} needs {rank} window dimensions, strides and "
            f"dilations; got window {window}, strides {strides}, base_dilation {base}, "
            f"window_dilation {inner}"
        )
    if isinstance(padding, str):
        sizes = [shapes.dilated(n, b) for n, b in zip(shape, base)]
        reach = [shapes.dilated(k, w) for k, w in zip(window, inner)]
        pads = shapes.window_padding(sizes, reach, strides, padding, who)
    else:
        pads = tuple(integers(p) for p in padding)  # type: ignore[misc]
    return window, strides, pads, base, inner


@public
def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Combine the elements of each window that slides over an array with an associative function.

    Args:
      operand: array, or pytree of arrays of one shape.
      init_value: a scalar for each operand: what is padded with, and is combined with the
        result of each window. As a rule the neutral element of `computation`.
      computation: (a, b) -> c for scalars, or pytrees of them like `operand`. `lax.add`,
        `lax.max` and `lax.min` are recognised, also inside of a lambda.
      window_dimensions: size of the window along each axis.
      window_strides: distance between windows; 1 by default.
      padding: "VALID", "SAME", "SAME_LOWER" or (low, high) for each axis.
      base_dilation: distance between elements of `operand`, with `init_value` in between.
      window_dilation: distance between elements of a window.

    Returns:
      Arrays with an element for each window, in the structure of `operand`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_window(jnp.arange(6.), -jnp.inf, lax.max, (3,), (2,), "SAME")
    Array([2., 4., 5.], dtype=float32)
    """
    who = "reduce_window"
    xs, inits, tree = reduction_operands(who, operand, init_value)
    combine = Combiner(who, computation, tree, [x.aval for x in xs])
    fields = _parameters(
        who, xs[0].shape, window_dimensions, window_strides, padding, base_dilation,
        window_dilation,
    )  # fmt: skip
    if combine.kind in _MONOIDS and is_identity(combine.kind, inits[0]):
        return combine.tree(_MONOIDS[combine.kind](*fields).bind(xs[0]))
    op = _Fold(*fields)
    shape = op.result_shape(who, xs[0].shape)
    starts = [basis.broadcast_in_dim(i, shape, ()) for i in inits]
    if shapes.size(shape) == 0:
        return combine.tree(starts)
    return combine.tree(combine(starts, op.fold(combine, xs, inits)))


@public
def reduce_window_shape_tuple(
    operand_shape: Shape,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Shape:
    """The shape of the result of `reduce_window`.

    >>> from ferax import lax
    >>> lax.reduce_window_shape_tuple((7, 8), (2, 2), (2, 2), "SAME")
    (4, 4)
    """
    who = "reduce_window_shape_tuple"
    shape = integers(operand_shape)
    fields = _parameters(
        who,
        shape,
        window_dimensions,
        window_strides,
        padding,
        base_dilation,
        window_dilation,
    )
    return _Fold(*fields).result_shape(who, shape)
