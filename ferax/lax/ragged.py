"""Matrix products of groups of rows, and of operands that come with scales.

Both are written with `dot_general`: a ragged product masks the rows of each group and contracts
over the groups as well, a scaled one multiplies the scales in first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core import basis
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import contraction
from ferax.lax import elementwise as el
from ferax.lax.contraction import DotGeneral, PrecisionLike
from ferax.lax.cumulative import cumsum
from ferax.lax.shape import Iota, integers, refuse_sharding

__all__ = [
    "RaggedDotDimensionNumbers",
    "ragged_dot",
    "ragged_dot_general",
    "scaled_dot",
]

_GROUP = "group"


@dataclass(frozen=True)
class RaggedDotDimensionNumbers:
    """Axes of a ragged product.

    dot_dimension_numbers: as in `dot_general`.
    lhs_ragged_dimensions: the one axis of lhs whose elements are in groups.
    rhs_group_dimensions: the axis of rhs that has one entry per group, or none.
    """

    dot_dimension_numbers: Any
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]


@public
def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Each row of lhs times the matrix of its group; rows behind the last group give zeros.

    Args:
      lhs: numbers, (m, k); the first group_sizes[0] rows are group 0, and so on.
      rhs: numbers, (g, k, n).
      group_sizes: integers, (g,).
      precision, preferred_element_type: as in `dot_general`.
      group_offset: not supported.

    Returns:
      Array (m, n).

    >>> from ferax import lax, numpy as jnp
    >>> w = jnp.stack([jnp.ones((2, 1)), 10 * jnp.ones((2, 1))])
    >>> lax.ragged_dot(jnp.ones((3, 2)), w, jnp.array([1, 2]))[:, 0]
    Array([ 2., 20., 20.], dtype=float32)
    """
    numbers = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
    return ragged_dot_general(
        lhs,
        rhs,
        group_sizes,
        numbers,
        precision,
        preferred_element_type,
        group_offset,
        out_sharding,
    )


@public
def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`dot_general` of operands one axis of which is in groups of the given sizes.

    Args:
      lhs, rhs: numbers.
      group_sizes: integers, (g,), or (b, x, g): b batch axes, x axes of lhs before the ragged one
        and of its kind (contracted, or not).
      ragged_dot_dimension_numbers: which axes. Where the ragged axis is not contracted, rhs has
        an axis of groups, and each element of the ragged axis meets that of its group. Where it is
        contracted, the result gets a leading axis of groups, one sum for each. Where it is a
        batch axis, groups make no difference.
      precision, preferred_element_type: as in `dot_general`.
      group_offset: not supported.

    >>> from ferax import lax, numpy as jnp
    >>> numbers = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), [0], [])
    >>> x, y = jnp.ones((3, 2)), jnp.ones((3, 1))
    >>> lax.ragged_dot_general(x, y, jnp.array([1, 2]), numbers)[:, 0, 0]
    Array([1., 2.], dtype=float32)
    """
    who = "ragged_dot_general"
    refuse_sharding(who, out_sharding)
    if group_offset is not None:
        raise NotImplementedError(f"{who}: group_offset is not implemented")
    x, y = to_array(lhs, who, "lhs"), to_array(rhs, who, "rhs")
    sizes = to_array(group_sizes, who, "group_sizes")
    if not dtypes.is_integer(sizes.dtype) or sizes.ndim < 1:
        raise TypeError(
            f"{who}: group_sizes must be integers, (…, g); got {sizes.aval.short()}"
        )
    contracted, batch = (
        contraction.axis_pairs(who, pairs)
        for pairs in ragged_dot_dimension_numbers.dot_dimension_numbers
    )
    (ragged,) = integers(ragged_dot_dimension_numbers.lhs_ragged_dimensions)
    groups = integers(ragged_dot_dimension_numbers.rhs_group_dimensions)
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype(who, preferred_element_type)
    if ragged in batch[0]:
        return DotGeneral(contracted, batch, precision, preferred)(x, y)
    lx, ly, lz = contraction.labels(DotGeneral(contracted, batch), x.ndim, y.ndim)
    if ragged in contracted[0]:
        outer = [a for a in contracted[0] if a < ragged]
        lz = (_GROUP, *lz)
    else:
        outer = [a for a in range(ragged) if a not in (*contracted[0], *batch[0])]
        if len(groups) != 1 or y.shape[groups[0]] != sizes.shape[-1]:
            raise TypeError(
                f"{who}: rhs {y.aval.short()} needs an axis of {sizes.shape[-1]} groups, one for "
                f"each of group_sizes; rhs_group_dimensions are {groups}"
            )
        extra = ly[groups[0]]
        lz = tuple(c for c in lz if c != extra)
        ly = tuple(_GROUP if c == extra else c for c in ly)
    masked = _in_groups(who, x, sizes, [*batch[0], *outer], ragged)
    return contraction.contract(masked, (_GROUP, *lx), y, ly, lz, precision, preferred)


def _in_groups(who: str, x: Any, sizes: Any, outer: list[int], ragged: int) -> Any:
    """x, once for each group along a new first axis, with zeros outside of the group."""
    n_groups = sizes.shape[-1]
    wanted = (*(x.shape[a] for a in outer), n_groups)
    if sizes.ndim == 1:
        outer, wanted = [], (n_groups,)
    if sizes.shape != wanted:
        raise TypeError(
            f"{who}: group_sizes {sizes.aval.short()} must have the shape ({n_groups},) or {wanted}"
        )
    stops = cumsum(sizes, axis=sizes.ndim - 1)
    starts = basis.sub(stops, sizes)
    shape = [1] * (x.ndim + 1)
    for axis, size in zip(outer, sizes.shape):
        shape[axis + 1] = size
    shape[0] = n_groups

    def placed(v: Any) -> Any:
        """(outer axes, groups) to (groups, axes of x)."""
        order = (len(outer), *np.argsort(outer).tolist())
        return basis.reshape(basis.permute(v, order), tuple(shape))

    places = Iota(
        sizes.dtype,
        (*(x.shape[i] if i == ragged else 1 for i in range(x.ndim)),),
        ragged,
    )
    index = basis.expand_dims(places(), (0,))
    inside = el.And()(el.Ge()(index, placed(starts)), el.Lt()(index, placed(stops)))
    return basis.select(inside, basis.expand_dims(x, (0,)), 0)


@public
def scaled_dot(
    lhs: Any,
    rhs: Any,
    *,
    lhs_scale: Any = None,
    rhs_scale: Any = None,
    dimension_numbers: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The product of lhs · lhs_scale and rhs · rhs_scale, for operands of few bits.

    Args:
      lhs, rhs: floating.
      lhs_scale, rhs_scale: like the operand, but shorter along contracted axes: each scale is
        for a run of neighbours. None: 1.
      dimension_numbers: as in `dot_general`; None: of two or three (then batched) dimensions.
      preferred_element_type: dtype of the result; None: bfloat16.

    >>> from ferax import lax, numpy as jnp
    >>> x, y = jnp.ones((2, 64), jnp.float8_e4m3fn), jnp.ones((64, 2), jnp.float8_e4m3fn)
    >>> lax.scaled_dot(x, y, lhs_scale=2 * jnp.ones((2, 2)))[0]
    Array([128, 128], dtype=bfloat16)
    """
    who = "scaled_dot"
    x, y = to_array(lhs, who, "lhs"), to_array(rhs, who, "rhs")
    if dimension_numbers is None:
        if x.ndim not in (2, 3):
            raise ValueError(f"{who}: give dimension_numbers for lhs {x.aval.short()}")
        last, lead = x.ndim - 1, tuple(range(x.ndim - 2))
        dimension_numbers = (((last,), (last - 1,)), (lead, lead))
    contracted, batch = (
        contraction.axis_pairs(who, pairs) for pairs in dimension_numbers
    )
    preferred = contraction.preferred_dtype(who, preferred_element_type)
    dtype = np.dtype(dtypes.bfloat16) if preferred is None else preferred
    x = _scaled(who, x, lhs_scale, contracted[0], dtype)
    y = _scaled(who, y, rhs_scale, contracted[1], dtype)
    return DotGeneral(contracted, batch)(x, y)


def _scaled(who: str, x: Any, scale: Any, axes: tuple[int, ...], dtype: Any) -> Any:
    x = basis.convert(x, dtype)
    if scale is None:
        return x
    scale = basis.convert(to_array(scale, who, "a scale"), dtype)
    runs = []
    for i, (size, count) in enumerate(zip(x.shape, scale.shape)):
        if count and size % count == 0 and (size == count or i in axes):
            runs += [count, size // count]
    if scale.ndim != x.ndim or len(runs) != 2 * x.ndim:
        raise ValueError(
            f"{who}: a scale {scale.aval.short()} does not fit the operand {x.aval.short()}: sizes "
            "must be equal, along contracted axes divide the operand's"
        )
    wide = basis.expand_dims(scale, range(1, 2 * x.ndim, 2))
    return basis.reshape(basis.mul(basis.reshape(x, tuple(runs)), wide), x.shape)
