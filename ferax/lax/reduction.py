"""Reductions: sums, products, extrema, logical ones, argmax, and a general fold.

`ReduceSum` is in `core/basis.py`. What is decided here:

* The derivative of a maximum is shared equally among the elements that attain it.
* The derivative of a product is that of a balanced tree of products, so that zeros among the
  factors need no division; it costs O(n).
* `reduce` with a function of the user recognises sum, product, extrema and logical ones in the
  traced function. Any other is run on whole arrays, halving them: log2(n) vectorised steps of
  ordinary operations, which differentiate, batch and compile like any others. Like every parallel
  reduction it assumes the function to be associative, and it keeps the order of the operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Concrete
from ferax.core.avals import Aval, Zero
from ferax.core.basis import BITS, NUMERIC, ORDERED, Reduction
from ferax.core.jaxpr import Jaxpr, eval_jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise
from ferax.lax.shape import Iota, concatenate, refuse_sharding, slice_of
from ferax.lax.sorting import hlo_key
from ferax.transforms.batching import Axis, batch_flat
from ferax.tree_util import flatten, unflatten

__all__ = [
    "argmax", "argmin", "reduce", "reduce_and", "reduce_max", "reduce_min", "reduce_or",
    "reduce_prod", "reduce_sum", "reduce_xor",
]  # fmt: skip

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_PARTS, _LONG = 8, 1 << 15  # of an axis, for argmax; from this length on


def identity(kind: str, dtype: Any) -> Any:
    """The neutral element of "add", "mul", "max", "min", "and", "or" or "xor"."""
    if kind in ("add", "or", "xor"):
        return np.zeros((), dtype)[()]
    if kind == "mul":
        return np.ones((), dtype)[()]
    if kind == "and":
        return np.asarray(True if dtypes.is_bool(dtype) else -1).astype(dtype)[()]
    if dtypes.is_bool(dtype):
        return np.bool_(kind == "min")
    if dtypes.is_integer(dtype):
        info = dtypes.iinfo(dtype)
        return np.asarray(info.min if kind == "max" else info.max).astype(dtype)[()]
    worst = -math.inf if kind == "max" else math.inf
    if dtypes.is_complex(dtype):
        return np.asarray(complex(worst, worst), dtype)[()]
    value = np.asarray(worst).astype(dtype)
    if not np.isinf(value.astype(np.float32)):  # a dtype without infinities
        info = dtypes.finfo(dtype)
        value = np.asarray(info.min if kind == "max" else info.max).astype(dtype)
    return value[()]


class _Fold(Reduction, family=True):
    """A reduction by an associative ufunc."""

    kind: ClassVar[str]  # as in `identity`
    ufunc: ClassVar[Any]
    mnemonic: ClassVar[str]

    def numpy(self, x: Any) -> list[Any]:
        if x.size == 0:
            shape = shapes.drop_axes(x.shape, self.axes)
            return [np.full(shape, identity(self.kind, x.dtype), x.dtype)]
        y = self.ufunc.reduce(x, self.axes)
        # NumPy computes with the 4-bit integers in 8 bits
        return [y if y.dtype == x.dtype else y.astype(x.dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        init = hlo.constant(identity(self.kind, x.dtype), x.dtype)
        if not dtypes.is_complex(x.dtype):
            return [hlo.reduce(self.mnemonic, x, init, self.axes)]
        combine = getattr(elementwise, self.kind)
        scalar = Aval((), x.dtype)
        region = hlo.region((scalar, scalar), lambda a, b: hlo.inline(combine, a, b))
        axes = ", ".join(map(str, self.axes))
        attrs = f"dimensions = array<i64{': ' if axes else ''}{axes}>"
        return [hlo.emit("reduce", (x, init), hlo.out[0], attrs, (region,))]


class _DiscreteFold(_Fold, family=True):
    """A reduction of bits."""

    accepts = BITS

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (y,) = self.bind(*primals)
        return [y], [Zero(y.aval.tangent())]

    transpose = cannot("not linear")


def _axes(who: str, x: Any, axes: Any) -> tuple[int, ...]:
    if isinstance(axes, int):
        raise TypeError(f"{who}: axes must be a sequence of integers; got {axes}")
    return _sorted_axes(who, tuple(axes), x.ndim)


@lru_cache(maxsize=1024)
def _sorted_axes(who: str, axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return tuple(sorted(shapes.canonical_axes(axes, ndim, who)))


# -- sum and product -----------------------------------------------------------------------


@public
def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Σ x over `axes`, which disappear.

    Args:
      operand: integer, floating or complex array. 16-bit floats are summed in 32 bits.
      axes: distinct axes.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_sum(jnp.arange(6).reshape(2, 3), (1,))
    Array([ 3, 12], dtype=int32)
    """
    x = to_array(operand, "reduce_sum")
    refuse_sharding("reduce_sum", out_sharding)
    return basis.ReduceSum(_axes("reduce_sum", x, axes))(x)


class ReduceProd(_Fold):
    """y = Π x over `axes`."""

    accepts = NUMERIC
    kind, ufunc, mnemonic = "mul", np.multiply, "multiply"

    def numpy(self, x: Any) -> list[Any]:
        if x.dtype.itemsize <= 2 and dtypes.is_floating(x.dtype):
            return [np.multiply.reduce(x, self.axes, np.float32).astype(x.dtype)]
        return [np.multiply.reduce(x, self.axes, x.dtype)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        return [y], [self.derivative(x, t)]

    def derivative(self, x: Any, t: Any) -> Any:
        """The tangent, pairing factors until one is left."""
        x, t = _rows(x, self.axes), _rows(t, self.axes)
        if x.shape[0] == 0:
            return basis.zeros(x.shape[1:], x.dtype)
        while x.shape[0] > 1:
            (a, b, x_rest), (ta, tb, t_rest) = _halves(x), _halves(t)
            ab, tab = basis.mul(a, b), basis.add(basis.mul(ta, b), basis.mul(tb, a))
            x = ab if x_rest is None else concatenate([ab, x_rest], 0)
            t = tab if t_rest is None else concatenate([tab, t_rest], 0)
        return basis.reshape(t, t.shape[1:])

    transpose = cannot("not linear")


def _rows(x: Any, axes: tuple[int, ...]) -> Any:
    """The reduced axes in front and merged into one."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    moved = basis.permute(x, (*axes, *kept))
    count = shapes.size(x.shape[a] for a in axes)
    return basis.reshape(moved, (count, *(x.shape[i] for i in kept)))


def _halves(x: Any) -> tuple[Any, Any, Any]:
    """Rows 0, 2, 4, …, rows 1, 3, 5, …, and the last if their number is odd (else None)."""
    n, rest = x.shape[0], x.shape[1:]
    zeros, ones = (0,) * len(rest), (1,) * len(rest)
    even = n - n % 2
    a = slice_of(x, (0, *zeros), (even, *rest), (2, *ones))
    b = slice_of(x, (1, *zeros), (even, *rest), (2, *ones))
    return a, b, slice_of(x, (even, *zeros), x.shape) if n % 2 else None


@public
def reduce_prod(operand: Any, axes: Sequence[int]) -> Any:
    """Π x over `axes`, which disappear.

    Args:
      operand: integer, floating or complex array.
      axes: distinct axes.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_prod(jnp.arange(1., 5.), (0,))
    Array(24., dtype=float32)
    """
    x = to_array(operand, "reduce_prod")
    return ReduceProd(_axes("reduce_prod", x, axes))(x)


# -- extrema -------------------------------------------------------------------------------


class _Extremum(_Fold, family=True):
    """The derivative is shared equally among the elements that attain the extremum."""

    accepts = ORDERED

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero or shapes.size(x.shape) == 0:
            return [y], [Zero(y.aval.tangent())]
        most = basis.broadcast_in_dim(y, x.shape, self.kept(x))
        attained = elementwise.eq(x, most)
        if type(x) is not Concrete and not dtypes.is_complex(x.dtype):
            # compiled, y and x may differ in the last bit; then the first one attains it
            first = elementwise.bitwise_and(self._first(x), elementwise.eq(most, most))
            attained = elementwise.bitwise_or(attained, first)
        count = basis.reduce_sum(basis.convert(attained, x.dtype), self.axes)
        share = elementwise.div(basis.ones_like(count), count)
        moved = basis.select(attained, t, basis.zeros((), t.dtype))
        return [y], [basis.mul(basis.reduce_sum(moved, self.axes), share)]

    def _first(self, x: Any) -> Any:
        """Where the first of the extreme elements is."""
        axes = (*self.kept(x), *self.axes)
        shape = tuple(x.shape[a] for a in axes)
        kept = len(axes) - len(self.axes)
        rows = (*shape[:kept], shapes.size(shape[kept:]))
        line = basis.reshape(basis.permute(x, axes), rows)
        kind = ArgMax if self.kind == "max" else ArgMin
        place = basis.expand_dims(kind(kept, _INT32)(line), (kept,))
        found = elementwise.eq(
            basis.broadcast_to(place, rows), Iota(_INT32, rows, kept)()
        )
        inverse = tuple(axes.index(a) for a in range(len(axes)))
        return basis.permute(basis.reshape(found, shape), inverse)

    transpose = cannot("not linear")


class ReduceMax(_Extremum):
    """y = max x over `axes`; nan if there is one."""

    kind, ufunc, mnemonic = "max", np.maximum, "maximum"


class ReduceMin(_Extremum):
    """y = min x over `axes`; nan if there is one."""

    kind, ufunc, mnemonic = "min", np.minimum, "minimum"


@public
def reduce_max(operand: Any, axes: Sequence[int]) -> Any:
    """The largest element over `axes`, which disappear; nan if there is one.

    The least value of the dtype where there are no elements. The derivative is shared equally
    among the elements that attain the maximum.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_max(jnp.arange(6).reshape(2, 3), (0,))
    Array([3, 4, 5], dtype=int32)
    """
    x = to_array(operand, "reduce_max")
    return ReduceMax(_axes("reduce_max", x, axes))(x)


@public
def reduce_min(operand: Any, axes: Sequence[int]) -> Any:
    """The smallest element over `axes`, which disappear; nan if there is one.

    The greatest value of the dtype where there are no elements. The derivative is shared equally
    among the elements that attain the minimum.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_min(jnp.arange(6).reshape(2, 3), (1,))
    Array([0, 3], dtype=int32)
    """
    x = to_array(operand, "reduce_min")
    return ReduceMin(_axes("reduce_min", x, axes))(x)


# -- bits ----------------------------------------------------------------------------------


class ReduceAnd(_DiscreteFold):
    """y = the bits set in all elements over `axes`."""

    kind, ufunc, mnemonic = "and", np.bitwise_and, "and"


class ReduceOr(_DiscreteFold):
    """y = the bits set in any element over `axes`."""

    kind, ufunc, mnemonic = "or", np.bitwise_or, "or"


class ReduceXor(_DiscreteFold):
    """y = the bits set in an odd number of elements over `axes`."""

    kind, ufunc, mnemonic = "xor", np.bitwise_xor, "xor"


@public
def reduce_and(operand: Any, axes: Sequence[int]) -> Any:
    """Whether all elements over `axes` are true; bit by bit for integers.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_and(jnp.array([True, False]), (0,))
    Array(False, dtype=bool)
    """
    x = to_array(operand, "reduce_and")
    return ReduceAnd(_axes("reduce_and", x, axes))(x)


@public
def reduce_or(operand: Any, axes: Sequence[int]) -> Any:
    """Whether any element over `axes` is true; bit by bit for integers.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_or(jnp.array([1, 2, 4]), (0,))
    Array(7, dtype=int32)
    """
    x = to_array(operand, "reduce_or")
    return ReduceOr(_axes("reduce_or", x, axes))(x)


@public
def reduce_xor(operand: Any, axes: Sequence[int]) -> Any:
    """Whether an odd number of elements over `axes` is true; bit by bit for integers.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce_xor(jnp.array([True, True, True]), (0,))
    Array(True, dtype=bool)
    """
    x = to_array(operand, "reduce_xor")
    return ReduceXor(_axes("reduce_xor", x, axes))(x)


# -- positions of extrema ------------------------------------------------------------------


class _ArgExtremum(Primitive, family=True):
    """Index along `axis` of the first element that attains the extremum; nan counts as such."""

    axis: int
    index_dtype: Any
    keeps_weak_type = False
    extremum: ClassVar[str]  # StableHLO's name

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in ORDERED or dtypes.is_complex(x.dtype):
            raise TypeError(
                f"{self.name} accepts bool, integer and floating arrays; got {x.short()}"
            )
        if not dtypes.is_integer(self.index_dtype):
            raise TypeError(
                f"{self.name}: index_dtype must be integer; got {self.index_dtype}"
            )
        if x.shape[self.axis] == 0:
            raise ValueError(
                f"{self.name}: axis {self.axis} of {x.short()} has no elements"
            )
        return [Aval(shapes.drop_axes(x.shape, (self.axis,)), self.index_dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        # One reduction that sees each element once: XLA computes x again for each loop that
        # reads it, not always with the same last bit, so that no x need equal its maximum.
        n = x.shape[self.axis]
        width = max(dtypes.itemsize_bits(x.dtype), 8)
        if width > 32 or n > 2**31:
            return [
                hlo.convert(self._of_pairs(hlo, self._key(hlo, x)), self.index_dtype)
            ]
        words = self._words(hlo, x)
        least = hlo.constant(np.iinfo(_INT64).min, _INT64)
        best = hlo.reduce("maximum", words, least, (self.axis,))
        low = hlo.binary("and", best, hlo.full(best.shape, 2**32 - 1, _INT64))
        index = hlo.binary("subtract", hlo.full(best.shape, n - 1, _INT64), low)
        return [hlo.convert(index, self.index_dtype)]

    def _key(self, hlo: Any, x: Any) -> Any:
        """Integers of which the largest one belongs to the extremum."""
        key = hlo_key(hlo, x)
        if self.extremum == "minimum":
            key = hlo.unary("not", key)
            if dtypes.is_floating(x.dtype):
                most = hlo.full(x.shape, np.iinfo(key.dtype).max, key.dtype)
                key = hlo.select(hlo.compare(x, x, "NE"), most, key)
        return key

    def _words(self, hlo: Any, x: Any) -> Any:
        """64-bit words, key above and place from the end below, for a reduction to end with.

        XLA vectorises reductions of words, but those of long axes it splits into windows of 32
        and writes all words to memory first. The maximum of eight parts of the axis, element by
        element, is one loop.
        """
        n = x.shape[self.axis]
        each = n // _PARTS if n >= _LONG else n
        words = None
        for start in range(0, n, each):
            stop = min(start + each, n)
            part = self._part(hlo, x, start, stop)
            if words is None:
                words = part
            elif stop - start == each:
                words = hlo.binary("maximum", words, part)
            else:
                words = hlo.concatenate([words, part], self.axis)
        return words

    def _part(self, hlo: Any, x: Any, start: int, stop: int) -> Any:
        """The words of x[start:stop] along the axis."""
        n = x.shape[self.axis]
        if stop - start < n:
            starts, limits = [0] * x.ndim, list(x.shape)
            starts[self.axis], limits[self.axis] = start, stop
            x = hlo.slice(x, starts, limits, [1] * x.ndim)
        key = self._key(hlo, x)
        key, unsigned = hlo.convert(key, _INT64), dtypes.is_unsigned(key.dtype)
        if unsigned:  # into the range of signed ones
            key = hlo.binary("subtract", key, hlo.full(x.shape, 2**31, _INT64))
        last = hlo.full(x.shape, n - 1 - start, _INT64)
        place = hlo.binary("subtract", last, hlo.iota(x.shape, _INT64, self.axis))
        high = hlo.binary("shift_left", key, hlo.full(x.shape, 32, _INT64))
        return hlo.binary("or", high, place)

    def _of_pairs(self, hlo: Any, key: Any) -> Any:
        """The index of the first largest integer, by a reduction over pairs (key, index)."""

        def larger(a: Any, i: Any, b: Any, j: Any) -> list[Any]:
            tied = hlo.binary("and", hlo.compare(a, b, "EQ"), hlo.compare(i, j, "LT"))
            first = hlo.binary("or", hlo.compare(a, b, "GT"), tied)
            return [hlo.select(first, a, b), hlo.select(first, i, j)]

        places = hlo.iota(key.shape, _INT64, self.axis)
        least = hlo.constant(np.iinfo(key.dtype).min, key.dtype)
        behind = hlo.constant(np.iinfo(_INT64).max, _INT64)
        scalars = [Aval((), key.dtype), Aval((), _INT64)]
        outs = [
            Aval(shapes.drop_axes(key.shape, (self.axis,)), a.dtype) for a in scalars
        ]
        attrs = f"dimensions = array<i64: {self.axis}>"
        pairs = (key, places, least, behind)
        regions = (hlo.region(scalars * 2, larger),)
        return hlo.emit("reduce", pairs, outs, attrs, regions)[1]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (y,) = self.bind(*primals)
        return [y], [Zero(y.aval.tangent())]

    transpose = cannot("its result is an integer")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (x,), (d,) = args, dims
        moved = self.axis + (self.axis >= d)
        return type(self)(moved, self.index_dtype).bind(x), [d - (moved < d)]


class ArgMax(_ArgExtremum):
    """Index of the first largest element along `axis`; of the first nan if there is one."""

    extremum = "maximum"
    name = "argmax"

    def numpy(self, x: Any) -> list[Any]:
        return [x.argmax(self.axis).astype(self.index_dtype)]


class ArgMin(_ArgExtremum):
    """Index of the first smallest element along `axis`; of the first nan if there is one."""

    extremum = "minimum"
    name = "argmin"

    def numpy(self, x: Any) -> list[Any]:
        return [x.argmin(self.axis).astype(self.index_dtype)]


@public
def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index along `axis` of the first largest element; of the first nan if there is one.

    Args:
      operand: bool, integer or floating array.
      axis: the axis that disappears; it has elements.
      index_dtype: integer dtype of the result.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.argmax(jnp.array([3., 7., 7.]), 0, "int32")
    Array(1, dtype=int32)
    """
    x = to_array(operand, "argmax")
    axis = shapes.canonical_axis(axis, x.ndim, who="argmax")
    return ArgMax(axis, dtypes.requested(index_dtype, "argmax"))(x)


@public
def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index along `axis` of the first smallest element; of the first nan if there is one.

    Args:
      operand: bool, integer or floating array.
      axis: the axis that disappears; it has elements.
      index_dtype: integer dtype of the result.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.argmin(jnp.array([3., 7., 3.]), 0, "int32")
    Array(0, dtype=int32)
    """
    x = to_array(operand, "argmin")
    axis = shapes.canonical_axis(axis, x.ndim, who="argmin")
    return ArgMin(axis, dtypes.requested(index_dtype, "argmin"))(x)


# -- any function --------------------------------------------------------------------------

_MONOIDS: dict[str, Any] = {
    "add": basis.ReduceSum,
    "mul": ReduceProd,
    "max": ReduceMax,
    "min": ReduceMin,
    "and": ReduceAnd,
    "or": ReduceOr,
    "xor": ReduceXor,
}


class Combiner:
    """A user's function (a, b) -> c on scalars (or pytrees of them), traced once.

    `kind` is the name of the operation that it consists of, if that is one of `_MONOIDS`.
    """

    def __init__(
        self,
        who: str,
        computation: Callable[..., Any],
        tree: Any,
        avals: Sequence[Aval],
    ):
        self.count = len(avals)
        self.structure = tree
        scalars = [Aval((), a.dtype) for a in avals]

        def flat(*xs: Any) -> list[Any]:
            a, b = unflatten(tree, xs[: self.count]), unflatten(tree, xs[self.count :])
            leaves, out_tree = flatten(computation(a, b))
            if out_tree != tree:
                raise TypeError(
                    f"{who}: the computation must give what it takes, {tree}; it gives {out_tree}"
                )
            return [
                to_array(leaf, who, "a result of the computation") for leaf in leaves
            ]

        self.jaxpr, self.consts = stage(flat, scalars * 2, who)
        for found, wanted in zip(self.jaxpr.out_avals, scalars):
            if found.strong() is not wanted:
                raise TypeError(
                    f"{who}: the computation must give {wanted.short()}; it gives "
                    f"{found.short()}"
                )
        self.kind = _monoid(self.jaxpr)

    def tree(self, leaves: Sequence[Any]) -> Any:
        """Arrays in the structure of the operands."""
        return unflatten(self.structure, leaves)

    def __call__(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """The function on the elements of arrays of one shape."""
        shape = a[0].shape
        n = shapes.size(shape)
        flat = [basis.reshape(x, (n,)) for x in (*a, *b)]

        def run(*xs: Any) -> list[Any]:
            return eval_jaxpr(self.jaxpr, self.consts, xs)

        outs, dims = batch_flat(run, Axis(n), flat, [0] * len(flat))
        full = [
            basis.broadcast_in_dim(o, (n,), ()) if d is None else o
            for o, d in zip(outs, dims)
        ]
        return [basis.reshape(o, shape) for o in full]


def _monoid(jaxpr: Jaxpr) -> str | None:
    if len(jaxpr.eqns) != 1 or len(jaxpr.invars) != 2:
        return None
    (eqn,) = jaxpr.eqns
    if set(eqn.inputs) != set(jaxpr.invars) or eqn.outputs != jaxpr.outvars:
        return None
    return eqn.op.name if eqn.op.name in _MONOIDS else None


def reduction_operands(
    who: str, operands: Any, init_values: Any
) -> tuple[list[Any], list[Any], Any]:
    """Operands and initial values as flat lists of Arrays, and their pytree structure."""
    leaves, tree = flatten(operands)
    init_leaves, init_tree = flatten(init_values)
    if tree != init_tree or not leaves:
        raise ValueError(
            f"{who}: operands and init_values must have one structure with at least one array; "
            f"got {tree} and {init_tree}"
        )
    xs = [to_array(x, who, "an operand") for x in leaves]
    if len({x.shape for x in xs}) > 1:
        listing = ", ".join(x.aval.short() for x in xs)
        raise ValueError(f"{who}: operands must have one shape; got {listing}")
    inits = []
    for init, x in zip(init_leaves, xs):
        if type(init) in dtypes.SCALAR_AVALS:
            init = basis.typed_scalar(init, x.dtype)
        init = to_array(init, who, "an initial value")
        if init.shape or init.dtype != x.dtype:
            raise TypeError(
                f"{who}: the initial value must be a scalar of the dtype of the operand "
                f"{x.aval.short()}; got {init.aval.short()}"
            )
        inits.append(init)
    return xs, inits, tree


def is_identity(kind: str, init: Any) -> bool:
    """Whether an initial value is known and changes nothing."""
    if type(init) is not Concrete:
        return False
    value, neutral = init.host()[()], identity(kind, init.dtype)
    # -0.0 is neutral for sums, but so is 0.0 but for a sum of nothing
    return bool(value == neutral)


@public
def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: Any = None,
) -> Any:
    """Fold arrays over some of their axes with an associative function.

    Args:
      operands: array, or pytree of arrays of one shape.
      init_values: a scalar for each operand, combined with the result of the fold; the
        neutral element of `computation`, as a rule.
      computation: (a, b) -> c for scalars, or pytrees of them like `operands`.
      dimensions: the axes that disappear.

    Returns:
      Arrays, in the structure of `operands`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.reduce(jnp.arange(1., 5.), 0., lambda a, b: lax.max(a, b), (0,))
    Array(4., dtype=float32)
    """
    refuse_sharding("reduce", out_sharding)
    xs, inits, tree = reduction_operands("reduce", operands, init_values)
    axes = _axes("reduce", xs[0], dimensions)
    combine = Combiner("reduce", computation, tree, [x.aval for x in xs])
    shape = shapes.drop_axes(xs[0].shape, axes)
    if combine.kind is not None:
        (x,), (init,) = xs, inits
        y = _MONOIDS[combine.kind](axes)(x)
        if is_identity(combine.kind, init):
            return combine.tree([y])
        return combine.tree(combine([basis.broadcast_in_dim(init, shape, ())], [y]))
    starts = [basis.broadcast_in_dim(i, shape, ()) for i in inits]
    rows = [_rows(x, axes) for x in xs]
    if shapes.size(xs[0].shape) == 0:
        return combine.tree(starts)
    while rows[0].shape[0] > 1:
        pieces = [_halves(x) for x in rows]
        rows = combine([p[0] for p in pieces], [p[1] for p in pieces])
        if pieces[0][2] is not None:
            rows = [concatenate([x, p[2]], 0) for x, p in zip(rows, pieces)]
    ends = [basis.reshape(x, shape) for x in rows]
    return combine.tree(combine(starts, ends))
