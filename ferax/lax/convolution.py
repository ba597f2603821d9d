"""Convolutions: one operation, `ConvGeneralDilated`, behind all public functions.

With x dilated by u (zeros between its elements) and padded by (lo, hi), for each group

    y[n, o, p] = Σ_{c,k} x[n, c, s p + d k - lo] w[o, c, k],        s strides, d dilation of w

(a correlation: w is not flipped). Feature groups split the features of x and the outputs of w;
batch groups split the batch of x and the outputs of w. Both transposes and all batch rules are
again such convolutions: with respect to x the roles of y and x change, u and s are exchanged and
w is flipped; with respect to w batch and feature axes are exchanged, s and d too, and feature
groups become batch groups (and conversely). The paddings follow from the sizes.

V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4.

On the host a convolution is a matrix product of its windows (strided views, copied in portions)
with the kernel; depthwise ones are a sum over kernel positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval, LinearInput, Shape
from ferax.core.basis import Multilinear
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import contraction
from ferax.lax.contraction import PrecisionLike
from ferax.lax.operands import batch_of_none
from ferax.lax.shape import integers, refuse_sharding, rev

__all__ = [
    "ConvDimensionNumbers", "conv", "conv_dimension_numbers", "conv_general_dilated",
    "conv_general_dilated_local", "conv_general_dilated_patches", "conv_general_permutations",
    "conv_general_shape_tuple", "conv_shape_tuple", "conv_transpose",
    "conv_transpose_shape_tuple", "conv_with_general_padding", "padtype_to_pads",
]  # fmt: skip

Pads = tuple[tuple[int, int], ...]


class ConvDimensionNumbers(NamedTuple):
    """Which axes mean what: (batch, feature, *spatial), (out, in, *spatial), (batch, feature, …)"""

    lhs_spec: Sequence[int]
    rhs_spec: Sequence[int]
    out_spec: Sequence[int]


class ConvGeneralDilated(Multilinear):
    """y = windows of x times w; see the head of the file."""

    window_strides: tuple[int, ...]
    padding: Pads
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: ConvDimensionNumbers
    feature_group_count: int = 1
    batch_group_count: int = 1
    precision: Any = None
    preferred_element_type: Any = None

    def abstract(self, x: Aval, w: Aval) -> list[Aval]:
        _check(self, x, w)
        lhs, rhs, out = self.dimension_numbers
        sizes = [x.shape[lhs[0]] // self.batch_group_count, w.shape[rhs[0]]]
        sizes += self.spatial(x, w)
        shape = [0] * x.ndim
        for axis, size in zip(out, sizes):
            shape[axis] = size
        dtype = contraction.sum_dtype(
            "conv_general_dilated", x, w, self.preferred_element_type
        )
        return [Aval(tuple(shape), dtype)]

    def spatial(self, x: Any, w: Any) -> list[int]:
        """Sizes of the spatial axes of the result."""
        lhs, rhs, _ = self.dimension_numbers
        return [
            shapes.window_count(
                shapes.padded(x.shape[i], lo, hi, u - 1), shapes.dilated(w.shape[k], d), s
            )
            for i, k, u, d, s, (lo, hi) in zip(
                lhs[2:], rhs[2:], self.lhs_dilation, self.rhs_dilation, self.window_strides,
                self.padding,
            )
        ]  # fmt: skip

    def numpy(self, x: Any, w: Any) -> list[Any]:
        if x.shape[:2] == w.shape[:2] == (1, 1) and self.is_line and x.dtype in _DIRECT:
            ((low, high),) = self.padding
            n, m = x.shape[2], w.shape[2]
            if min(low, high) >= 0 and n + low + high >= m:
                line = np.zeros(n + low + high, x.dtype)
                line[low : low + n] = x[0, 0]
                return [np.correlate(line, w[0, 0].conj(), "valid")[None, None]]
        return [_convolve(self, x, w)]

    @property
    def is_line(self) -> bool:
        """Whether it slides one vector over another, without more ado."""
        plain = self.window_strides == self.lhs_dilation == self.rhs_dilation == (1,)
        return (
            plain
            and self.dimension_numbers == _LINE
            and self.preferred_element_type is None
        )

    def stablehlo(self, hlo: Any, x: Any, w: Any) -> list[Any]:
        (out,) = hlo.out
        x, w, dtype = contraction.meet_dtypes(hlo, x, w, out.dtype)
        y = hlo.emit("convolution", (x, w), Aval(out.shape, dtype), _attributes(self))
        return [hlo.convert(y, out.dtype)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, w) = cts, args
        if 0 in ct.shape:
            return [
                basis.zeros(a.shape, a.dtype) if type(a) is LinearInput else None
                for a in args
            ]
        if type(x) is LinearInput:
            w = basis.convert(w, ct.dtype)
            return [basis.convert(_transpose_lhs(self, ct, x, w), x.dtype), None]
        x = basis.convert(x, ct.dtype)
        return [None, basis.convert(_transpose_rhs(self, ct, x, w), w.dtype)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        if not axis.size:
            return batch_of_none(self, args, dims)
        (x, w), (dx, dw) = args, dims
        (n, c, *_), (o, *_), (out_n, out_o, *_) = self.dimension_numbers
        features, batches = self.feature_group_count, self.batch_group_count
        if dw is None:
            (y,) = self.bind(fold(x, dx, n, batches), w)
            return [unfold(y, out_n, axis.size)], [out_n]
        if dx is None:
            groups = features * batches
            (y,) = self.bind(x, fold(w, dw, o, groups))
            return [unfold(y, out_o, axis.size, groups)], [out_o]
        if batches > 1:
            op = self.replace(batch_group_count=batches * axis.size)
            x = fold(x, dx, n)
        else:
            op = self.replace(feature_group_count=features * axis.size)
            x = fold(x, dx, c)
        (y,) = op.bind(x, fold(w, dw, o))
        return [unfold(y, out_o, axis.size)], [out_o]

    def replace(self, **changes: Any) -> ConvGeneralDilated:
        """The operation with some of its parameters changed."""
        return ConvGeneralDilated(**{**self.params, **changes})


def fold(x: Any, source: int, axis: int, groups: int = 1) -> Any:
    """Merge axis `source` into `axis` (counted without it): (groups, source, rest of axis)."""
    x = basis.moveaxis(x, source, axis)
    size, n = x.shape[axis : axis + 2]
    before, after = x.shape[:axis], x.shape[axis + 2 :]
    if groups > 1:
        x = basis.reshape(x, (*before, size, groups, n // groups, *after))
        x = basis.moveaxis(x, axis, axis + 1)
    return basis.reshape(x, (*before, size * n, *after))


def unfold(x: Any, axis: int, size: int, groups: int = 1) -> Any:
    """The reverse of `fold`: the merged-in axis appears at `axis`, before the rest."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if groups > 1:
        x = basis.reshape(x, (*before, groups, size, n // (size * groups), *after))
        x = basis.moveaxis(x, axis + 1, axis)
    return basis.reshape(x, (*before, size, n // size, *after))


# -- transposes ------------------------------------------------------------------------------


def _transpose_lhs(op: ConvGeneralDilated, ct: Any, x: Any, w: Any) -> Any:
    lhs, rhs, out = op.dimension_numbers
    groups = op.feature_group_count * op.batch_group_count
    kernel = rev(w, tuple(rhs[2:]))
    spec: Sequence[int] = (rhs[1], rhs[0], *rhs[2:])
    if (
        groups > 1
    ):  # the axes (groups out, in) become (out, groups in) and change their roles
        kernel = fold(unfold(kernel, rhs[0], groups), rhs[0], rhs[1])
    paddings = []
    for i, k, p, u, d, s, (lo, _) in zip(
        lhs[2:],
        rhs[2:],
        out[2:],
        op.lhs_dilation,
        op.rhs_dilation,
        op.window_strides,
        op.padding,
    ):
        low = shapes.dilated(w.shape[k], d) - 1 - lo
        # the remainder of the stride, which the forward windows did not reach, is included
        paddings.append(
            (low, shapes.dilated(x.shape[i], u) + lo - shapes.dilated(ct.shape[p], s))
        )
    back = ConvGeneralDilated(
        window_strides=op.lhs_dilation,
        padding=tuple(paddings),
        lhs_dilation=op.window_strides,
        rhs_dilation=op.rhs_dilation,
        dimension_numbers=ConvDimensionNumbers(out, tuple(spec), lhs),
        feature_group_count=groups,
        precision=op.precision,
    )
    (result,) = back.bind(ct, kernel)
    if op.batch_group_count > 1:
        # the groups come out as features and belong to the batch
        n, c = lhs[:2]
        result = unfold(result, c, groups)
        result = fold(result, c, n)
    return result


def _transpose_rhs(op: ConvGeneralDilated, ct: Any, x: Any, w: Any) -> Any:
    lhs, rhs, out = op.dimension_numbers
    paddings = []
    for i, k, p, u, d, s, (lo, _) in zip(
        lhs[2:],
        rhs[2:],
        out[2:],
        op.lhs_dilation,
        op.rhs_dilation,
        op.window_strides,
        op.padding,
    ):
        high = shapes.dilated(w.shape[k], d) - 1 - shapes.dilated(x.shape[i], u) - lo
        paddings.append((lo, high + shapes.dilated(ct.shape[p], s)))
    back = ConvGeneralDilated(
        window_strides=op.rhs_dilation,
        padding=tuple(paddings),
        lhs_dilation=op.lhs_dilation,
        rhs_dilation=op.window_strides,
        dimension_numbers=ConvDimensionNumbers(
            (lhs[1], lhs[0], *lhs[2:]),
            (out[1], out[0], *out[2:]),
            (rhs[1], rhs[0], *rhs[2:]),
        ),
        feature_group_count=op.batch_group_count,
        batch_group_count=op.feature_group_count,
        precision=op.precision,
    )
    return back.bind(x, ct)[0]


# -- checks and text -------------------------------------------------------------------------


def _check(op: ConvGeneralDilated, x: Aval, w: Aval) -> None:
    lhs, rhs, _ = op.dimension_numbers
    who = f"conv_general_dilated: lhs {x.short()} and rhs {w.short()}"
    if x.dtype != w.dtype:
        raise TypeError(f"{who} must have the same dtype; convert one with astype")
    n = x.ndim - 2
    fields = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")
    for name in fields:
        values = getattr(op, name)
        if len(values) != n:
            raise ValueError(
                f"{who} have {n} spatial axes; {name} must have as many entries, got {values}"
            )
        if name != "padding" and min(values, default=1) < 1:
            raise ValueError(f"{who}: {name} must be positive, got {values}")
    if 0 in (w.shape[k] for k in rhs[2:]):
        raise ValueError(f"{who}: the kernel's spatial sizes must not be 0")
    batches, features = op.batch_group_count, op.feature_group_count
    counts = {"batch_group_count": batches, "feature_group_count": features}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{who}: {name} must be positive, got {count}")
    if batches > 1 and features > 1:
        raise ValueError(f"{who}: only one of {counts} may be greater than 1")
    for name, count, what, size in (
        ("batch_group_count", batches, "batch axis of lhs", x.shape[lhs[0]]),
        ("batch_group_count", batches, "output axis of rhs", w.shape[rhs[0]]),
        ("feature_group_count", features, "feature axis of lhs", x.shape[lhs[1]]),
        ("feature_group_count", features, "output axis of rhs", w.shape[rhs[0]]),
    ):
        if size % count:
            raise ValueError(
                f"{who}: {name} {count} must divide the {what}, of size {size}"
            )
    if x.shape[lhs[1]] // features != w.shape[rhs[1]]:
        raise ValueError(
            f"{who}: the feature axis {lhs[1]} of lhs (size {x.shape[lhs[1]]}) divided by "
            f"feature_group_count {features} must equal the input axis {rhs[1]} of rhs (size "
            f"{w.shape[rhs[1]]}); dimension_numbers say which axes these are"
        )


def _attributes(op: ConvGeneralDilated) -> str:
    n = len(op.window_strides)
    lhs, rhs, out = (
        _spec_text(spec, names)
        for spec, names in zip(op.dimension_numbers, ("bf", "oi", "bf"))
    )
    pads = f"dense<{[list(p) for p in op.padding]}> : " if n else "dense<> : "
    return (
        f"window_strides = {_array(op.window_strides)}, padding = {pads}tensor<{n}x2xi64>, "
        f"lhs_dilation = {_array(op.lhs_dilation)}, rhs_dilation = {_array(op.rhs_dilation)}, "
        f"dimension_numbers = #stablehlo.conv<[{lhs}]x[{rhs}]->[{out}]>, "
        f"feature_group_count = {op.feature_group_count} : i64, "
        f"batch_group_count = {op.batch_group_count} : i64"
        + contraction.precision_text(op.precision)
    )


def _array(values: Sequence[int]) -> str:
    return f"array<i64: {', '.join(map(str, values))}>" if values else "array<i64>"


def _spec_text(spec: Sequence[int], names: str) -> str:
    labels = [*names, *map(str, range(len(spec) - 2))]
    return ", ".join(label for _, label in sorted(zip(spec, labels)))


# -- on the host -----------------------------------------------------------------------------

_LINE = ((0, 1, 2),) * 3
_DIRECT = frozenset(map(np.dtype, ("float32", "float64", "complex64", "complex128")))
_PORTION = 1 << 22  # elements of windows that are copied at a time
_UNROLLED = 256  # kernel positions up to which a depthwise convolution is summed


def _convolve(op: ConvGeneralDilated, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    lhs, rhs, out_spec = op.dimension_numbers
    spatial = op.spatial(x, w)
    dtype = x.dtype if op.preferred_element_type is None else op.preferred_element_type
    inner = contraction.product_dtype(x.dtype, dtype)
    x, w = x.transpose(lhs), w.transpose(rhs)
    terms = w.size // max(w.shape[0], 1)
    if inner.kind in "iu" and contraction.exact_in_float64(x, w, terms):
        inner = np.dtype(np.float64)
    x, w = x.astype(inner, copy=False), w.astype(inner, copy=False)
    x = _padded(x, op.padding, op.lhs_dilation)
    y = _correlate(op, x, w, spatial)
    y = y.transpose(np.argsort(out_spec))
    if y.dtype == dtype:
        return y
    if dtypes.is_bool(dtype):
        return np.not_equal(y, 0)
    if dtypes.is_integer(dtype) and y.dtype.kind == "f":
        y = y.astype(np.int64)
    return y.astype(dtype)


def _padded(x: np.ndarray, padding: Pads, dilation: Sequence[int]) -> np.ndarray:
    """x (n, c, *spatial) dilated and padded with zeros; negative padding cuts off."""
    if not any(map(any, padding)) and max(dilation, default=1) == 1:
        return x
    shape, source, target = list(x.shape[:2]), [slice(None)] * 2, [slice(None)] * 2
    for size, (lo, hi), step in zip(x.shape[2:], padding, dilation):
        length = shapes.padded(size, lo, hi, step - 1)
        first = max(-(lo // step), 0)  # the first element that is not cut off
        last = max(min(size, -((lo - length) // step)), first)
        shape.append(length)
        source.append(slice(first, last))
        start = lo + step * first
        stop = start + shapes.dilated(last - first, step)
        target.append(slice(start, max(stop, 0), step))
    if all(
        t.start == 0 and t.step == 1 and t.stop == n
        for t, n in zip(target[2:], shape[2:])
    ):
        return x[tuple(source)]
    padded = np.zeros(shape, x.dtype)
    padded[tuple(target)] = x[tuple(source)]
    return padded


def _correlate(
    op: ConvGeneralDilated, x: np.ndarray, w: np.ndarray, spatial: Sequence[int]
) -> np.ndarray:
    """x (n, c, *padded), w (o, c', *k) -> y (n', o, *spatial), in the dtype of x."""
    groups = op.batch_group_count * op.feature_group_count
    o, c, *window = w.shape
    n = x.shape[0] // op.batch_group_count
    if 0 in (n, o, c, *spatial):
        return np.zeros((n, o, *spatial), x.dtype)
    if op.batch_group_count > 1:
        x = x.reshape(groups, n, *x.shape[1:])
    else:
        x = x.reshape(n, groups, c, *x.shape[2:]).swapaxes(0, 1)
    w = w.reshape(groups, o // groups, c, *window)
    view = _windows(op, x, window, spatial)
    if groups > 1 and o == groups and c == 1 and shapes.size(window) <= _UNROLLED:
        y = _sum_positions(view[:, :, 0], w[:, 0, 0])
        return y.swapaxes(0, 1)
    y = np.empty((groups, n, o // groups, *spatial), x.dtype)
    portion = max(1, _PORTION // (shapes.size(view.shape) // n))
    for start in range(0, n, portion):
        part = slice(start, start + portion)
        y[:, part] = _multiply(op, view[:, part], w)
    return y.swapaxes(0, 1).reshape(n, o, *spatial)


def _windows(
    op: ConvGeneralDilated, x: np.ndarray, window: Sequence[int], spatial: Sequence[int]
) -> np.ndarray:
    """A view of x (groups, n, c, *padded) as (groups, n, c, *spatial, *window)."""
    steps = x.strides[3:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:3], *spatial, *window),
        (
            *x.strides[:3],
            *(step * s for step, s in zip(steps, op.window_strides)),
            *(step * d for step, d in zip(steps, op.rhs_dilation)),
        ),
        writeable=False,
    )


def _sum_positions(view: Any, w: Any) -> np.ndarray:
    """Depthwise: view (groups, n, *spatial, *window), w (groups, *window)."""
    rank = w.ndim - 1
    y = np.zeros(view.shape[: 2 + rank], view.dtype)
    for place in itertools.product(*map(range, w.shape[1:])):
        y += view[(..., *place)] * w[(slice(None), *place)].reshape(
            -1, *(1,) * (rank + 1)
        )
    return y


def _multiply(op: ConvGeneralDilated, view: np.ndarray, w: np.ndarray) -> np.ndarray:
    """view (groups, n, c, *spatial, *window) times w (groups, o, c, *window).

    What is copied is copied in the longest runs there are in memory.
    """
    rank = len(op.window_strides)
    groups, n, c, *rest = view.shape
    spatial, window = rest[:rank], rest[rank:]
    outside, inside = range(3, 3 + rank), range(3 + rank, 3 + 2 * rank)
    o, terms = w.shape[1], c * shapes.size(window)
    lhs = op.dimension_numbers.lhs_spec
    if rank and lhs[1] > min(lhs[2:]):  # features last
        rows = view.transpose(0, 1, *outside, *inside, 2).reshape(groups, -1, terms)
        w = w.transpose(0, *range(3, w.ndim), 2, 1)
    elif shapes.size(window) > shapes.size(spatial):
        rows = view.transpose(0, 1, *outside, 2, *inside).reshape(groups, -1, terms)
        w = w.transpose(0, *range(2, w.ndim), 1)
    else:
        columns = view.transpose(0, 1, 2, *inside, *outside).reshape(
            groups, n, terms, -1
        )
        rows = w.reshape(groups, 1, o, terms)
        return np.matmul(rows, columns).reshape(groups, n, o, *spatial)
    y = np.matmul(rows, w.reshape(groups, terms, o)).reshape(groups, n, *spatial, o)
    return np.moveaxis(y, -1, 2)


# -- dimension numbers and paddings ----------------------------------------------------------


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Axes of operands and result from strings such as ("NHWC", "HWIO", "NHWC").

    Args:
      lhs_shape: shape of lhs.
      rhs_shape: shape of rhs, of the same length.
      dimension_numbers: a ConvDimensionNumbers (returned as it is), None for ("NCH…", "OIH…",
        "NCH…"), or three strings: N batch, C feature; O output, I input feature; every other
        character a spatial axis, named alike in all three.

    Raises:
      TypeError: the strings do not fit the shapes or each other.

    >>> from ferax import lax
    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 5), ("NHWC", "HWIO", "NCHW"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 1, 2, 3))
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return ConvDimensionNumbers(*map(integers, dimension_numbers))
    if len(lhs_shape) != len(rhs_shape):
        raise TypeError(
            "convolution: lhs and rhs must have equally many dimensions; got shapes "
            f"{tuple(lhs_shape)} and {tuple(rhs_shape)}"
        )
    rank = len(lhs_shape)
    if dimension_numbers is None:
        return ConvDimensionNumbers(*[tuple(range(rank))] * 3)
    if len(dimension_numbers) != 3 or not all(
        isinstance(s, str) for s in dimension_numbers
    ):
        raise TypeError(
            "convolution: dimension_numbers must be three strings, a ConvDimensionNumbers or "
            f"None; got {dimension_numbers!r}"
        )
    for spec in dimension_numbers:
        if len(spec) != rank:
            raise TypeError(
                f"convolution: the dimension numbers {spec!r} must name the {rank} axes of lhs "
                f"{tuple(lhs_shape)} and rhs {tuple(rhs_shape)}"
            )
    return ConvDimensionNumbers(*conv_general_permutations(dimension_numbers))


def conv_general_permutations(dimension_numbers: Sequence[str]) -> tuple[Any, Any, Any]:
    """The axes that three dimension strings mean, without a look at shapes.

    >>> from ferax import lax
    >>> lax.conv_general_permutations(("NHWC", "HWIO", "NCHW"))
    ((0, 3, 1, 2), (3, 2, 0, 1), (0, 1, 2, 3))
    """
    if np.ndim(dimension_numbers) != 1 or len(dimension_numbers) != 3:
        raise TypeError(
            "convolution: dimension_numbers must be three strings; got "
            f"{dimension_numbers!r}"
        )
    lhs, rhs, out = dimension_numbers
    for spec, first, second in ((lhs, "N", "C"), (rhs, "O", "I"), (out, "N", "C")):
        if (
            spec.count(first) != 1
            or spec.count(second) != 1
            or len(set(spec)) != len(spec)
        ):
            raise TypeError(
                f"convolution: the dimension numbers {spec!r} must name each axis once, among "
                f"them {first!r} and {second!r}"
            )
    names = [c for c in rhs if c not in "OI"]
    for spec in (lhs, out):
        if sorted(set(spec) - set("NC")) != sorted(names):
            raise TypeError(
                "convolution: the dimension numbers of lhs, rhs and result must name the same "
                f"spatial axes; got {lhs!r}, {rhs!r}, {out!r}"
            )
    specs = ((lhs, "NC"), (rhs, "OI"), (out, "NC"))
    return tuple(tuple(map(s.index, [*two, *names])) for s, two in specs)  # type: ignore[return-value]


def padtype_to_pads(
    in_shape: Any, window_shape: Any, window_strides: Any, padding: Any
) -> list[tuple[int, int]]:
    """The (low, high) paddings that "SAME", "SAME_LOWER" or "VALID" stand for.

    SAME gives ceil(size / stride) results; an odd one of its zeros goes to the end (SAME_LOWER: to
    the beginning). VALID pads nothing.

    >>> from ferax import lax
    >>> lax.padtype_to_pads((8, 9), (3, 3), (2, 2), "SAME")
    [(0, 1), (1, 1)]
    """
    name = getattr(padding, "name", padding)
    if not isinstance(name, str):
        raise TypeError(
            f"padtype_to_pads: padding must be 'VALID', 'SAME' or 'SAME_LOWER'; got {padding!r}"
        )
    sizes, windows, strides = map(integers, (in_shape, window_shape, window_strides))
    return list(shapes.window_padding(sizes, windows, strides, name, "padtype_to_pads"))


def conv_shape_tuple(
    lhs_shape: Shape,
    rhs_shape: Shape,
    strides: Any,
    pads: Any,
    batch_group_count: int = 1,
) -> Shape:
    """The shape of a convolution of (n, c, *spatial) with (o, i, *spatial).

    >>> from ferax import lax
    >>> lax.conv_shape_tuple((2, 3, 8, 9), (4, 3, 3, 3), (1, 2), [(0, 0), (1, 1)])
    (2, 4, 6, 5)
    """
    if len(lhs_shape) != len(rhs_shape):
        raise TypeError(
            "conv_shape_tuple: lhs and rhs must have equally many dimensions; got shapes "
            f"{tuple(lhs_shape)} and {tuple(rhs_shape)}"
        )
    if isinstance(pads, str):
        pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    if len(pads) != len(lhs_shape) - 2:
        raise TypeError(
            f"conv_shape_tuple: {len(lhs_shape) - 2} pairs of paddings are needed, got {pads}"
        )
    spatial = [
        shapes.window_count(shapes.padded(size, lo, hi), window, stride)
        for size, window, stride, (lo, hi) in zip(
            lhs_shape[2:], rhs_shape[2:], strides, pads
        )
    ]
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *spatial)


def conv_general_shape_tuple(
    lhs_shape: Shape,
    rhs_shape: Shape,
    window_strides: Any,
    padding: Any,
    dimension_numbers: Any,
) -> Shape:
    """As `conv_shape_tuple`, for operands in the order of `dimension_numbers`."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    canonical = conv_shape_tuple(
        tuple(lhs_shape[i] for i in lhs),
        tuple(rhs_shape[i] for i in rhs),
        window_strides,
        padding,
    )
    return tuple(canonical[i] for i in np.argsort(out))


def conv_transpose_shape_tuple(
    lhs_shape: Shape,
    rhs_shape: Shape,
    window_strides: Any,
    padding: Any,
    dimension_numbers: Any,
) -> Shape:
    """The shape of `conv_transpose` of such operands."""
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    x, w = [lhs_shape[i] for i in lhs], [rhs_shape[i] for i in rhs]
    if isinstance(padding, str):
        padding = [
            _transposed_pads(k, s, padding)
            for k, s in zip(w[2:], window_strides, strict=True)
        ]
    x[2:] = [shapes.dilated(n, s) for n, s in zip(x[2:], window_strides)]
    canonical = conv_shape_tuple(tuple(x), tuple(w), (1,) * (len(x) - 2), padding)
    return tuple(canonical[i] for i in np.argsort(out))


# -- public ----------------------------------------------------------------------------------


@public
def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Correlation of lhs with the kernel rhs over any number of spatial axes.

    Args:
      lhs: numbers, (n, c, *spatial), or as `dimension_numbers` say.
      rhs: numbers of the same dtype, (o, c / feature_group_count, *spatial).
      window_strides: step of the window, per spatial axis.
      padding: zeros before and after each spatial axis (negative: elements cut off), or "SAME",
        "SAME_LOWER", "VALID".
      lhs_dilation: lhs gets u - 1 zeros between neighbours ("transposed convolution").
      rhs_dilation: likewise the kernel ("atrous convolution").
      dimension_numbers: see `conv_dimension_numbers`.
      feature_group_count: number of groups of features that are convolved on their own.
      batch_group_count: number of groups of the batch, each with its own outputs.
      precision, preferred_element_type: as in `dot_general`.

    Returns:
      Array (n / batch_group_count, o, *spatial), or as `dimension_numbers` say, with
      floor((dilated lhs + padding - dilated rhs) / stride) + 1 along each spatial axis.

    Raises:
      TypeError: dtypes differ, or dimension numbers don't fit.
      ValueError: sizes don't fit each other or the group counts.

    >>> from ferax import lax, numpy as jnp
    >>> x, w = jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 16))
    >>> lax.conv_general_dilated(x, w, (2, 2), "SAME",
    ...                          dimension_numbers=("NHWC", "HWIO", "NHWC")).shape
    (1, 4, 4, 16)
    """
    who = "conv_general_dilated"
    refuse_sharding(who, out_sharding)
    x, w = to_array(lhs, who, "lhs"), to_array(rhs, who, "rhs")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    n = x.ndim - 2
    ones = (1,) * n
    x_steps = integers(ones if lhs_dilation is None else lhs_dilation, "lhs_dilation")
    w_steps = integers(ones if rhs_dilation is None else rhs_dilation, "rhs_dilation")
    strides = integers(window_strides, "window_strides")
    if len(strides) != n:
        raise ValueError(
            f"{who}: lhs and rhs need {len(strides) + 2} dimensions (batch, feature and spatial "
            f"axes), and window_strides must have as many entries as there are spatial axes; "
            f"got {x.aval.short()}, {w.aval.short()} and {strides}"
        )
    if min(strides, default=1) < 1:
        raise ValueError(f"{who}: window_strides must be positive; got {strides}")
    if isinstance(padding, str):
        if max(x_steps, default=1) > 1:
            raise ValueError(
                f"{who}: padding {padding!r} is not defined with lhs_dilation {x_steps}; give "
                "pairs of integers, or use lax.conv_transpose"
            )
        window = [
            shapes.dilated(w.shape[k], d) for k, d in zip(numbers.rhs_spec[2:], w_steps)
        ]
        sizes = [x.shape[i] for i in numbers.lhs_spec[2:]]
        padding = padtype_to_pads(sizes, window, strides, padding)
    feature_groups, batch_groups = integers(
        (feature_group_count, batch_group_count), "group counts"
    )
    op = ConvGeneralDilated(
        window_strides=strides,
        padding=_pads(padding),
        lhs_dilation=x_steps,
        rhs_dilation=w_steps,
        dimension_numbers=numbers,
        feature_group_count=feature_groups,
        batch_group_count=batch_groups,
        precision=contraction.canonical_precision(precision),
        preferred_element_type=contraction.preferred_dtype(who, preferred_element_type),
    )
    return op(x, w)


def _pads(padding: Any) -> Pads:
    pairs = [integers(p, "padding") for p in padding] if np.iterable(padding) else [()]
    if any(len(p) != 2 for p in pairs):
        raise TypeError(
            "padding must be 'VALID', 'SAME', 'SAME_LOWER' or a pair (low, high) for each spatial "
            f"axis; got {padding!r}"
        )
    return tuple(pairs)  # type: ignore[arg-type]


@public
def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv_general_dilated` without dilation, of (n, c, *spatial) and (o, c, *spatial).

    >>> from ferax import lax, numpy as jnp
    >>> lax.conv(jnp.ones((1, 3, 8, 8)), jnp.ones((16, 3, 3, 3)), (1, 1), "VALID").shape
    (1, 16, 6, 6)
    """
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@public
def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv_general_dilated` of (n, c, *spatial) and (o, c, *spatial) in one group.

    >>> from ferax import lax, numpy as jnp
    >>> x, w = jnp.ones((1, 3, 8)), jnp.ones((5, 3, 2))
    >>> lax.conv_with_general_padding(x, w, (1,), [(0, 2)], (2,), None).shape
    (1, 5, 16)
    """
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def _transposed_pads(window: int, stride: int, padding: str) -> tuple[int, int]:
    """Paddings of the strided-up lhs: SAME gives size · stride results, VALID all non-zero ones."""
    name = padding.upper()
    if name == "SAME":
        total = window + stride - 2
        low = window - 1 if stride > window - 1 else -(-total // 2)
    elif name == "VALID":
        total = window + stride - 2 + max(window - stride, 0)
        low = window - 1
    else:
        raise ValueError(
            f"conv_transpose: padding must be 'SAME', 'VALID' or pairs; got {padding!r}"
        )
    return low, total - low


_CHANNELS_LAST = {2: ("NC", "IO", "NC"), 3: ("NHC", "HIO", "NHC"), 4: ("NHWC", "HWIO", "NHWC"),
                  5: ("NHWDC", "HWDIO", "NHWDC")}  # fmt: skip


@public
def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Convolution with stride 1 / strides: the shape-reversing partner of a strided one.

    Args:
      lhs: numbers, (n, *spatial, c), or as `dimension_numbers` say.
      rhs: numbers, (*spatial, c, o), or as `dimension_numbers` say.
      strides: factor by which each spatial axis grows.
      padding: "SAME" (results: size · stride), "VALID", or pairs: zeros around the strided-up
        lhs; with `use_consistent_padding`, the padding of the convolution that is transposed.
      rhs_dilation: dilation of the kernel.
      dimension_numbers: as in `conv_dimension_numbers`; None: channels last.
      transpose_kernel: flip the kernel and exchange its input and output axes. Then the result is
        exactly the gradient of the strided convolution with respect to its lhs.
      precision, preferred_element_type: as in `dot_general`.
      use_consistent_padding: see `padding`.

    >>> from ferax import lax, numpy as jnp
    >>> x, w = jnp.ones((1, 8, 8, 16)), jnp.ones((3, 3, 16, 3))
    >>> lax.conv_transpose(x, w, (2, 2), "SAME").shape
    (1, 16, 16, 3)
    """
    x, w = (
        to_array(lhs, "conv_transpose", "lhs"),
        to_array(rhs, "conv_transpose", "rhs"),
    )
    if dimension_numbers is None:
        if x.ndim not in _CHANNELS_LAST:
            raise ValueError(
                f"conv_transpose: give dimension_numbers for lhs {x.aval.short()}; there are "
                "defaults for up to three spatial axes"
            )
        dimension_numbers = _CHANNELS_LAST[x.ndim]
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    steps = (1,) * (x.ndim - 2) if rhs_dilation is None else tuple(rhs_dilation)
    windows = [
        shapes.dilated(w.shape[k], d) for k, d in zip(numbers.rhs_spec[2:], steps)
    ]
    if isinstance(padding, str):
        pads = [_transposed_pads(k, s, padding) for k, s in zip(windows, strides)]
    elif use_consistent_padding:
        pads = [
            (k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(windows, _pads(padding))
        ]
    else:
        pads = list(_pads(padding))
    if transpose_kernel:
        o, i, *places = numbers.rhs_spec
        w = rev(w, tuple(places))
        numbers = numbers._replace(rhs_spec=(i, o, *places))
    return conv_general_dilated(
        x,
        w,
        (1,) * (x.ndim - 2),
        pads,
        strides,
        steps,
        numbers,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@public
def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The windows that a convolution sees, as features: c · prod(filter_shape) of them.

    Args:
      lhs: floating, (n, c, *spatial), or as `dimension_numbers` say.
      filter_shape: sizes of the window.
      window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision,
        preferred_element_type: as in `conv_general_dilated`.

    Returns:
      Array (n, c · prod(filter_shape), *spatial); the channel is the slower index.

    >>> from ferax import lax, numpy as jnp
    >>> x = jnp.arange(9.).reshape(1, 1, 3, 3)
    >>> lax.conv_general_dilated_patches(x, (2, 2), (1, 1), "VALID")[0, :, 0, 0]
    Array([0., 1., 3., 4.], dtype=float32)
    """
    x = to_array(lhs, "conv_general_dilated_patches", "lhs")
    window = integers(filter_shape)
    if len(window) != x.ndim - 2:
        raise ValueError(
            f"conv_general_dilated_patches: filter_shape must have a size for each of the "
            f"{x.ndim - 2} spatial axes of lhs {x.aval.short()}; got {window}"
        )
    numbers = conv_dimension_numbers(x.shape, (0,) * x.ndim, dimension_numbers)
    channels, terms = x.shape[numbers.lhs_spec[1]], shapes.size(window)
    kernel = np.tile(np.eye(terms, dtype=dtypes.carrier(x.dtype)), (channels, 1))
    shape = (channels * terms, 1, *window)
    kernel = kernel.reshape(shape).transpose(np.argsort(numbers.rhs_spec))
    return conv_general_dilated(
        x,
        kernel,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        feature_group_count=channels,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@public
def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: PrecisionLike = None,
) -> Any:
    """A convolution with a kernel of its own at each position of the result.

    Args:
      lhs: floating, (n, c, *spatial), or as `dimension_numbers` say.
      rhs: floating, (o, c · prod(filter_shape), *spatial of the result), or likewise.
      filter_shape: sizes of the window.
      window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision: as in
        `conv_general_dilated`.

    Returns:
      Array (n, o, *spatial), or as `dimension_numbers` say.

    >>> from ferax import lax, numpy as jnp
    >>> x, w = jnp.ones((1, 2, 5)), jnp.ones((4, 6, 3))
    >>> lax.conv_general_dilated_local(x, w, (1,), "VALID", (3,)).shape
    (1, 4, 3)
    """
    who = "conv_general_dilated_local"
    x, w = to_array(lhs, who, "lhs"), to_array(rhs, who, "rhs")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    patches = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation,
        numbers._replace(out_spec=numbers.lhs_spec), precision,
    )  # fmt: skip
    labels = [["n", "terms"], ["o", "terms"], ["n", "o"]]
    ordered = []
    for spec, names in zip(numbers, labels):
        named = dict(zip(spec, [*names, *range(x.ndim - 2)]))
        ordered.append(tuple(named[i] for i in range(x.ndim)))
    lx, lw, ly = ordered
    precision = contraction.canonical_precision(precision)
    return contraction.contract(patches, lx, w, lw, ly, precision)
