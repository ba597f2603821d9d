"""Sorting: sort, argsort by several keys, the k largest.

Order. Ascending, nan behind all numbers, -0.0 equal to 0.0, complex numbers by real then imaginary
part, False before True. Sorts by keys are always stable. `top_k` orders by the bits of its floats
(IEEE 754, section 5.10, totalOrder), as XLA does: 0.0 above -0.0, positive nan above inf.

Everything rests on one map: the bits of a float, seen as a signed integer with the lower bits
flipped for negative numbers, are ordered as the floats are. Integers sort several times faster
than floats with a nan-aware comparison; and a key of up to 32 bits packed with its index into 64
bits makes a stable argsort out of a plain sort: several times faster than XLA's own, twice as
fast as NumPy's.

Tangents follow their elements: they are gathered with the permutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval, Zero
from ferax.core.basis import ORDERED
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from ferax.lax.shape import align_mapped

__all__ = ["approx_max_k", "approx_min_k", "sort", "sort_key_val", "top_k"]

_INT32, _UINT32 = np.dtype(np.int32), np.dtype(np.uint32)
_UINT64 = np.dtype(np.uint64)
_PACK = 2048  # elements from which packing pays on the host


def take_along(x: Any, index: Any, axis: int) -> Any:
    """x[…, index[…, i, …], …]: elements along an axis; the other axes run together."""
    if shapes.size(x.shape) == 0:
        return basis.zeros(index.shape, x.dtype)
    others = tuple(d for d in range(x.ndim) if d != axis)
    numbers = GatherDimensionNumbers(
        offset_dims=(),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
        operand_batching_dims=others,
        start_indices_batching_dims=others,
    )
    rows = basis.expand_dims(index, (x.ndim,))
    mode = GatherScatterMode.PROMISE_IN_BOUNDS
    return gather(x, rows, numbers, (1,) * x.ndim, mode=mode)


# -- floats as integers --------------------------------------------------------------------


def _signed(dtype: Any) -> np.dtype:
    return np.dtype(f"i{dtype.itemsize}")


def _order_bits(x: np.ndarray) -> np.ndarray:
    """Signed integers that are ordered as the floats are (nan by sign, -0.0 below 0.0)."""
    bits = np.ascontiguousarray(x).view(_signed(x.dtype))
    top = bits.dtype.itemsize * 8 - 1
    return bits ^ ((bits >> top) & np.iinfo(bits.dtype).max)


def _host_key(x: np.ndarray) -> np.ndarray:
    """Integers ordered as the elements of a key are: equal ones equal, nan last."""
    if dtypes.is_floating(x.dtype):
        key = _order_bits(x)
        key[x == 0] = 0
        key[x != x] = np.iinfo(key.dtype).max
        return key
    return x.astype(np.int8) if x.dtype.kind == "V" or x.dtype.itemsize < 1 else x


def hlo_key(hlo: Any, x: Any, total: bool = False) -> Any:
    """The same in StableHLO; `total` keeps -0.0 below 0.0."""
    dtype = x.dtype
    if dtypes.is_floating(dtype):
        integer = _signed(dtype)
        bits = hlo.emit("bitcast_convert", (x,), Aval(x.shape, integer))
        most = np.iinfo(integer).max
        sign = hlo.binary(
            "shift_right_arithmetic",
            bits,
            hlo.full(x.shape, 8 * dtype.itemsize - 1, integer),
        )
        flip = hlo.binary("and", sign, hlo.full(x.shape, most, integer))
        key = hlo.binary("xor", bits, flip)
        if not total:  # negative ones move up by one, so that -0.0 becomes 0
            key = hlo.binary("subtract", key, sign)
        return hlo.select(
            hlo.compare(x, x, "NE"), hlo.full(x.shape, most, integer), key
        )
    if dtypes.is_bool(dtype) or dtypes.itemsize_bits(dtype) < 8:
        return hlo.convert(x, np.dtype(np.int8))
    return x


def _hlo_from_key(hlo: Any, key: Any, dtype: Any) -> Any:
    """The elements of which `hlo_key(…, total=True)` made keys."""
    if dtypes.is_floating(dtype):
        integer = key.dtype
        top = hlo.full(key.shape, 8 * integer.itemsize - 1, integer)
        most = hlo.full(key.shape, np.iinfo(integer).max, integer)
        flip = hlo.binary("and", hlo.binary("shift_right_arithmetic", key, top), most)
        bits = hlo.binary("xor", key, flip)
        return hlo.emit("bitcast_convert", (bits,), Aval(key.shape, dtype))
    return hlo.convert(key, dtype)


def _hlo_keys(hlo: Any, x: Any) -> list[Any]:
    """One integer key, or two for complex numbers."""
    if dtypes.is_complex(x.dtype):
        real = Aval(x.shape, dtypes.to_real(x.dtype))
        return [hlo_key(hlo, hlo.emit(part, (x,), real)) for part in ("real", "imag")]
    return [hlo_key(hlo, x)]


def _packable(bits: int, n: int) -> bool:
    """Whether a key and an index along the axis fit into 64 bits together."""
    return bits <= 32 and n <= 2**31


def _hlo_sort(hlo: Any, xs: Sequence[Any], axis: int, keys: int) -> list[Any]:
    """Sort integer arrays together by the first `keys` of them, stably."""

    def precedes(*pairs: Any) -> Any:
        a, b = pairs[0 : 2 * keys : 2], pairs[1 : 2 * keys : 2]
        answer = hlo.compare(a[-1], b[-1], "LT")
        for p, q in zip(reversed(a[:-1]), reversed(b[:-1])):
            tied = hlo.binary("and", hlo.compare(p, q, "EQ"), answer)
            answer = hlo.binary("or", hlo.compare(p, q, "LT"), tied)
        return answer

    scalars = [Aval((), x.dtype) for x in xs for _ in range(2)]
    region = hlo.region(scalars, precedes)
    last = xs[0].ndim - 1
    order = [*(i for i in range(last + 1) if i != axis), axis]
    inverse = [order.index(i) for i in range(last + 1)]
    # the axis is sorted faster where its elements lie side by side
    rows = [hlo.transpose(x, order) for x in xs]
    attrs = f"dimension = {last} : i64, is_stable = true"
    outs = hlo.emit("sort", rows, [x.aval for x in rows], attrs, (region,))
    return [hlo.transpose(x, inverse) for x in outs]


def _hlo_packed(hlo: Any, key: Any, axis: int) -> Any:
    """Unsigned 64-bit numbers: the key above, the index along the axis below."""
    if dtypes.is_signed(key.dtype):
        wide = hlo.convert(key, _INT32)
        bits = hlo.emit("bitcast_convert", (wide,), Aval(key.shape, _UINT32))
        biased = hlo.binary("xor", bits, hlo.full(key.shape, 1 << 31, _UINT32))
    else:
        biased = hlo.convert(key, _UINT32)
    high = hlo.convert(biased, _UINT64)
    high = hlo.binary("shift_left", high, hlo.full(key.shape, 32, _UINT64))
    return hlo.binary("or", high, hlo.iota(key.shape, _UINT64, axis))


def _widened(x: np.ndarray) -> np.ndarray:
    """Small floats as float32, which holds each exactly: NumPy has no fast sort for them, and
    puts the nan of those that it does not know anywhere."""
    small = dtypes.is_floating(x.dtype) and x.dtype.itemsize < 4
    return x.astype(np.float32) if small else x


# -- one array -----------------------------------------------------------------------------


class Sort(Primitive):
    """The elements in ascending order along `axis`."""

    axis: int

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in ORDERED:
            raise TypeError(f"sort accepts {ORDERED.name} arrays; got {x.short()}")
        return [x]

    def numpy(self, x: Any) -> list[Any]:
        return [np.sort(_widened(x), self.axis).astype(x.dtype, copy=False)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        if dtypes.is_complex(x.dtype):
            return hlo.inline(self.gathered, x)  # type: ignore[no-any-return]
        key = hlo_key(hlo, x, total=True)
        (key,) = _hlo_sort(hlo, [key], self.axis, 1)
        return [_hlo_from_key(hlo, key, x.dtype)]

    def gathered(self, x: Any) -> Any:
        return take_along(x, ArgSort(self.axis)(x), self.axis)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        if type(t) is Zero:
            return self.bind(x), [Zero(x.aval.tangent())]
        order = ArgSort(self.axis)(x)
        return [take_along(x, order, self.axis)], [take_along(t, order, self.axis)]

    transpose = cannot("not linear")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (d,) = dims
        return Sort(self.axis + (self.axis >= d)).bind(*args), [d]


class ArgSort(Primitive):
    """The int32 permutation along `axis` that sorts by the operands, the first being decisive."""

    axis: int
    keeps_weak_type = False
    name = "argsort"

    def abstract(self, *keys: Aval) -> list[Aval]:
        for key in keys:
            if key.dtype not in ORDERED:
                raise TypeError(
                    f"sort: keys must be {ORDERED.name} arrays; got {key.short()}"
                )
        if len({key.shape for key in keys}) > 1:
            listing = ", ".join(key.short() for key in keys)
            raise TypeError(f"sort: operands must have one shape; got {listing}")
        return [Aval(keys[0].shape, _INT32)]

    def numpy(self, *keys: Any) -> list[Any]:
        if len(keys) > 1:
            rows = [_widened(x) for x in keys[::-1]]
            return [np.lexsort(rows, self.axis).astype(np.int32)]
        (x,) = keys
        n = x.shape[self.axis]
        if n >= _PACK and x.dtype.kind != "c" and _packable(8 * x.dtype.itemsize, n):
            packed = np.sort(_packed(_host_key(x), self.axis), self.axis)
            return [packed.astype(np.uint32).view(np.int32)]
        return [np.argsort(_widened(x), self.axis, "stable").astype(np.int32)]

    def stablehlo(self, hlo: Any, *operands: Any) -> list[Any]:
        keys = [key for x in operands for key in _hlo_keys(hlo, x)]
        n = keys[0].shape[self.axis]
        bits = 8 * keys[0].dtype.itemsize
        if len(keys) == 1 and hlo.platform != "tpu" and _packable(bits, n):
            (packed,) = _hlo_sort(
                hlo, [_hlo_packed(hlo, keys[0], self.axis)], self.axis, 1
            )
            return [hlo.convert(packed, _INT32)]
        index = hlo.iota(keys[0].shape, _INT32, self.axis)
        return [_hlo_sort(hlo, [*keys, index], self.axis, len(keys))[-1]]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (order,) = self.bind(*primals)
        return [order], [Zero(order.aval.tangent())]

    transpose = cannot("its result is an integer")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        keys, d = align_mapped(axis, args, dims)
        return ArgSort(self.axis + (self.axis >= d)).bind(*keys), [d]


def _packed(key: np.ndarray, axis: int) -> np.ndarray:
    """As `_hlo_packed`."""
    if key.dtype.kind == "u" or key.dtype.kind == "b":
        high = key.astype(np.uint64)
    else:
        high = (key.astype(np.int64) + 2**31).view(np.uint64)
    index = np.arange(key.shape[axis], dtype=np.uint64)
    shape = [1] * key.ndim
    shape[axis] = -1
    return high << np.uint64(32) | index.reshape(shape)


@public
def sort(
    operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1
) -> Any:
    """Sort along an axis, ascending, nan last; other arrays in the order of the first ones.

    Args:
      operand: array, or sequence of arrays of one shape.
      dimension: the axis.
      is_stable: kept for compatibility; every sort is stable.
      num_keys: how many of the arrays are compared, the first being decisive.

    Returns:
      The array sorted, or a tuple of arrays.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.sort((jnp.array([2, 1, 2, 1]), jnp.arange(4)))
    (Array([1, 1, 2, 2], dtype=int32), Array([1, 3, 0, 2], dtype=int32))
    """
    if not isinstance(operand, Sequence):
        x = to_array(operand, "sort")
        return Sort(shapes.canonical_axis(dimension, x.ndim, who="sort"))(x)
    xs = [to_array(x, "sort", "an operand") for x in operand]
    if not xs:
        raise TypeError("sort: needs at least one operand")
    axis = shapes.canonical_axis(dimension, xs[0].ndim, who="sort")
    if not 1 <= num_keys <= len(xs):
        raise ValueError(f"sort: num_keys must be from 1 to {len(xs)}, got {num_keys}")
    if len({x.shape for x in xs}) > 1:
        listing = ", ".join(x.aval.short() for x in xs)
        raise TypeError(f"sort: operands must have one shape; got {listing}")
    if len(xs) == 1:
        return (Sort(axis)(xs[0]),)
    order = ArgSort(axis)(*xs[:num_keys])
    return tuple(take_along(x, order, axis) for x in xs)


@public
def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Any, Any]:
    """`keys` sorted along an axis, and `values` in the same order.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.sort_key_val(jnp.array([3, 1]), jnp.array([0., 1.]))[1]
    Array([1., 0.], dtype=float32)
    """
    return sort((keys, values), dimension, is_stable, 1)  # type: ignore[no-any-return]


# -- the k largest -------------------------------------------------------------------------


class TopK(Primitive):
    """The k largest elements along the last axis, descending, and their int32 indices."""

    k: int
    keeps_weak_type = False

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in ORDERED or dtypes.is_complex(x.dtype):
            raise ValueError(
                f"top_k accepts bool, integer and floating arrays; got {x.short()}"
            )
        if not 0 <= self.k <= x.shape[-1]:
            raise ValueError(
                f"top_k: k must be from 0 to the size of the axis; got {self.k} for {x.short()}"
            )
        shape = (*x.shape[:-1], self.k)
        return [Aval(shape, x.dtype, x.weak_type), Aval(shape, _INT32)]

    def numpy(self, x: Any) -> list[Any]:
        key = _order_bits(x) if dtypes.is_floating(x.dtype) else _host_key(x)
        key = ~key if key.dtype.kind != "b" else ~key.astype(np.int8)
        n = x.shape[-1]
        if n >= _PACK and _packable(8 * key.dtype.itemsize, n):
            packed = _packed(key, x.ndim - 1)
            if 0 < self.k < n:
                packed = np.partition(packed, self.k - 1, -1)[..., : self.k]
            order = np.sort(packed[..., : self.k], -1).astype(np.uint32).view(np.int32)
        else:
            order = np.argsort(key, -1, "stable")[..., : self.k].astype(np.int32)
        return [np.take_along_axis(x, order, -1), order]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        out, index = hlo.out
        key = (
            hlo.convert(x, np.dtype(np.int8))
            if dtypes.itemsize_bits(x.dtype) < 8
            else x
        )
        results = [Aval(out.shape, key.dtype), index]
        values, order = hlo.emit("chlo.top_k", (key,), results, f"k = {self.k} : i64")
        return [hlo.convert(values, x.dtype), order]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (t,) = tangents
        y, order = self.bind(*primals)
        none = Zero(order.aval.tangent())
        if type(t) is Zero:
            return [y, order], [Zero(y.aval.tangent()), none]
        return [y, order], [take_along(t, order, t.ndim - 1), none]

    transpose = cannot("not linear")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        x = basis.moveaxis(args[0], dims[0], 0)
        return self.bind(x), [0, 0]


@public
def top_k(operand: Any, k: int, *, axis: int = -1) -> list[Any]:
    """The `k` largest elements along an axis, in descending order, and their indices.

    Equal elements come in the order of their indices. Floats are ordered by their bits: nan is
    above inf, 0.0 above -0.0.

    Args:
      operand: bool, integer or floating array.
      k: from 0 to the size of the axis.
      axis: the axis.

    Returns:
      Values and int32 indices.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.top_k(jnp.array([3., 9., 5., 9.]), 2)
    [Array([9., 9.], dtype=float32), Array([1, 3], dtype=int32)]
    """
    x = to_array(operand, "top_k")
    axis = shapes.canonical_axis(axis, x.ndim, who="top_k")
    last = x.ndim - 1
    outs = TopK(shapes.dimension(k, "top_k")).bind(basis.moveaxis(x, axis, last))
    return [basis.moveaxis(o, last, axis) for o in outs]


def _approx(
    who: str, operand: Any, k: int, axis: int, recall_target: float, largest: bool
) -> list[Any]:
    x = to_array(operand, who)
    if not dtypes.is_floating(x.dtype):
        raise ValueError(f"{who} accepts floating arrays; got {x.aval.short()}")
    if not 0 < recall_target <= 1:
        raise ValueError(f"{who}: recall_target must be in (0, 1]; got {recall_target}")
    values, order = top_k(x if largest else basis.neg(x), k, axis=axis)
    return [values if largest else basis.neg(values), order]


@public
def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Any]:
    """The `k` largest elements along an axis and their indices; here exact, so the recall is 1.

    Args:
      operand: floating array.
      k: how many.
      reduction_dimension: the axis.
      recall_target: in (0, 1]; met in any case.
      reduction_input_size_override, aggregate_to_topk: without effect on an exact result.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.approx_max_k(jnp.array([3., 9., 5.]), 2)[0]
    Array([9., 5.], dtype=float32)
    """
    return _approx("approx_max_k", operand, k, reduction_dimension, recall_target, True)


@public
def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> list[Any]:
    """The `k` smallest elements along an axis and their indices; see `approx_max_k`.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.approx_min_k(jnp.array([3., 9., 5.]), 2)[1]
    Array([0, 2], dtype=int32)
    """
    return _approx(
        "approx_min_k", operand, k, reduction_dimension, recall_target, False
    )
