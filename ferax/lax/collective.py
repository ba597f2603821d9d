"""Operations across a named axis: of `vmap(…, axis_name=…)`.

Each is one operation with the axis' name as parameter. The `vmap` that owns the name removes it
with the `batch` rule; a `vmap` with another name maps over it like over any operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, shapes
from ferax.core.array import Concrete
from ferax.core.avals import Aval, Zero
from ferax.core.basis import (
    Linear,
    Structural,
    broadcast_in_dim,
    convert,
    moveaxis,
    mul,
    reduce_sum,
    reshape,
    select,
    zeros,
)
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.lax.reduction import ReduceMax, ReduceMin
from ferax.tree_util import tree_map


def axis_size(axis_name: Any) -> int:
    """The size of the named axis in scope, or the product of several.

    Raises NameError if there is none.
    """
    if isinstance(axis_name, (tuple, list)):
        return math.prod(map(axis_size, axis_name))
    for known, size in reversed(state.axes):
        if known == axis_name:
            return int(size)
    names = ", ".join(repr(n) for n, _ in state.axes) or "none"
    raise NameError(
        f"no axis named {axis_name!r} is in scope (axes in scope: {names}); bind it with "
        f"vmap(f, axis_name={axis_name!r})"
    )


class _Collective(Primitive, family=True):
    """Works across the axis `axis_name`."""

    axis_name: Any
    size: int
    numpy = cannot("its named axis is not bound by a vmap")
    stablehlo = cannot("its named axis is not bound by a vmap")

    def uses_axis(self, name: Any) -> bool:
        return bool(name == self.axis_name)

    def others(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        """Mapped over another axis: the same operation, one axis more."""
        return self.bind(*args), list(dims)


class PSum(_Collective, Linear):
    """Σ over the named axis; its transpose is itself."""

    name = "psum"

    def abstract(self, x: Aval) -> list[Aval]:
        return [x]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [self(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        if axis.name != self.axis_name:
            return self.others(axis, args, dims)
        (x,), (d,) = args, dims
        return [mul(x, axis.size) if d is None else reduce_sum(x, (d,))], [None]


class PMax(_Collective):
    """The largest over the named axis; its derivative is that of reduce_max."""

    name = "pmax"
    transpose = cannot("not linear")
    reduction: ClassVar[Any] = ReduceMax((0,))

    def abstract(self, x: Aval) -> list[Aval]:
        return [x]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (t,) = tangents
        if type(t) is Zero:
            return self.bind(*primals), [t]
        gather = AllGather(self.axis_name, self.size, 0)
        return self.reduction.jvp([gather(*primals)], [gather(t)])  # type: ignore[no-any-return]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        if axis.name != self.axis_name:
            return self.others(axis, args, dims)
        (x,), (d,) = args, dims
        return [x if d is None else type(self.reduction)((d,))(x)], [None]


class PMin(PMax):
    """The smallest over the named axis; its derivative is that of reduce_min."""

    name = "pmin"
    reduction = ReduceMin((0,))


class AllGather(_Collective, Structural):
    """The values of all members, along a new axis `axis`."""

    axis: int
    name = "all_gather"

    def abstract(self, x: Aval) -> list[Aval]:
        return [
            x.update(shape=(*x.shape[: self.axis], self.size, *x.shape[self.axis :]))
        ]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [PSumScatter(self.axis_name, self.size, self.axis)(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        (x,), (d,) = args, dims
        if axis.name != self.axis_name:
            moved = d + (d >= self.axis)
            place = self.axis + (d < self.axis)
            return [AllGather(self.axis_name, self.size, place)(x)], [moved]
        if d is None:
            shape = (*x.shape[: self.axis], axis.size, *x.shape[self.axis :])
            dims_in = tuple(i + (i >= self.axis) for i in range(x.ndim))
            return [broadcast_in_dim(x, shape, dims_in)], [None]
        return [moveaxis(x, d, self.axis)], [None]


class PSumScatter(_Collective, Linear):
    """Member i gets slice i (along `axis`) of the sum over all members."""

    axis: int
    name = "reduce_scatter"

    def abstract(self, x: Aval) -> list[Aval]:
        return [x.update(shape=(*x.shape[: self.axis], *x.shape[self.axis + 1 :]))]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [AllGather(self.axis_name, self.size, self.axis)(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        (x,), (d,) = args, dims
        if axis.name != self.axis_name:
            place = self.axis + (d <= self.axis)
            return [PSumScatter(self.axis_name, self.size, place)(x)], [d - (place < d)]
        total = mul(x, axis.size) if d is None else reduce_sum(x, (d,))
        return [total], [self.axis]


class PPermute(_Collective, Structural):
    """Member `target` gets the value of member `source`, for (source, target) in `pairs`."""

    pairs: tuple[tuple[int, int], ...]
    name = "ppermute"

    def abstract(self, x: Aval) -> list[Aval]:
        return [x]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        inverse = tuple((t, s) for s, t in self.pairs)
        return [PPermute(self.axis_name, self.size, inverse)(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        if axis.name != self.axis_name:
            return self.others(axis, args, dims)
        (x,), (d,) = args, dims
        if d is None:
            x, d = (
                broadcast_in_dim(x, (axis.size, *x.shape), tuple(range(1, x.ndim + 1))),
                0,
            )
        x = moveaxis(x, d, 0)
        source = np.full(axis.size, -1)
        for s, t in self.pairs:
            source[t] = s
        y = x[np.maximum(source, 0)]
        got = Concrete(Aval((axis.size,), np.dtype(bool)), source >= 0)
        got = broadcast_in_dim(got, y.shape, (0,))
        return [select(got, y, zeros(y.shape, y.dtype))], [0]


class AllToAll(_Collective, Structural):
    """Member i gets slice i along `split` from every member, along a new axis `joined`.

    The axis `split` goes away; `joined` counts without it.
    """

    split: int
    joined: int
    name = "all_to_all"

    def abstract(self, x: Aval) -> list[Aval]:
        rest = [d for i, d in enumerate(x.shape) if i != self.split]
        rest.insert(self.joined, self.size)
        return [x.update(shape=tuple(rest))]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [AllToAll(self.axis_name, self.size, self.joined, self.split)(cts[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        (x,), (d,) = args, dims
        if axis.name != self.axis_name:
            op = AllToAll(self.axis_name, self.size, self.split + 1, self.joined + 1)
            return [op(moveaxis(x, d, 0))], [0]
        if d is None:
            x, d = (
                broadcast_in_dim(x, (axis.size, *x.shape), tuple(range(1, x.ndim + 1))),
                0,
            )
        x = moveaxis(moveaxis(x, d, 0), self.split + 1, 0)  # receiver, sender, …
        return [moveaxis(x, 1, self.joined + 1)], [0]


class AxisIndex(_Collective):
    """The place of this member along the named axis."""

    name = "axis_index"
    keeps_weak_type = False
    transpose = cannot("it has no operands")
    jvp = cannot("it has no operands")

    def abstract(self) -> list[Aval]:
        return [Aval((), np.dtype(np.int32))]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        places = Concrete(
            Aval((axis.size,), np.dtype(np.int32)), np.arange(axis.size, dtype=np.int32)
        )
        return [places], [0]


# -- public --------------------------------------------------------------------------------


def _names(axis_name: Any) -> tuple[Any, ...]:
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)


def _sizes(names: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple([axis_size(name) for name in names])


def _parted(x: Any, axis: int, sizes: tuple[int, ...], rest: tuple[int, ...]) -> Any:
    """`axis` of x as the axes `sizes`, one for each named axis, and `rest`."""
    return reshape(x, (*x.shape[:axis], *sizes, *rest, *x.shape[axis + 1 :]))


def _merged(x: Any, axis: int, count: int) -> Any:
    """`count` axes of x, from `axis` on, as one."""
    if count < 2:
        return x
    size = math.prod(x.shape[axis : axis + count])
    return reshape(x, (*x.shape[:axis], size, *x.shape[axis + count :]))


def whole_axis(who: str, axis_index_groups: Any) -> None:
    """Groups of members are not offered."""
    if axis_index_groups is not None:
        raise NotImplementedError(f"{who}: axis_index_groups")


def _over(kind: Any, who: str, x: Any, axis_name: Any) -> Any:
    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, who)
        if kind is PSum and dtypes.is_bool(leaf.dtype):
            leaf = convert(leaf, np.dtype(np.int32))
        for name in _names(axis_name):
            leaf = kind(name, axis_size(name))(leaf)
        return leaf

    return tree_map(one, x)


@public
def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum of `x` over the named axis.

    Args:
      x: array (or pytree of them) of numbers, or of bools, which are counted.
      axis_name: name of an axis in scope, or a tuple of names.

    Returns:
      Arrays like `x`, the same for all members of the axis. Of a Python number: a number.

    Raises:
      NameError: no axis has that name.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> ferax.vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(jnp.array([1., 3.]))
    Array([0.25, 0.75], dtype=float32)
    """
    whole_axis("psum", axis_index_groups)
    if isinstance(x, (int, float)):
        total = int(x) if isinstance(x, bool) else x
        for name in _names(axis_name):
            total = total * axis_size(name)
        return total
    return _over(PSum, "psum", x, axis_name)


@public
def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean of `x` over the named axis; arguments and result as `psum`."""
    whole_axis("pmean", axis_index_groups)
    count = psum(1, axis_name)
    return tree_map(lambda v: v / count, psum(x, axis_name))


@public
def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The largest of `x` over the named axis, element by element; arguments as `psum`."""
    whole_axis("pmax", axis_index_groups)
    return _over(PMax, "pmax", x, axis_name)


@public
def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The smallest of `x` over the named axis, element by element; arguments as `psum`."""
    whole_axis("pmin", axis_index_groups)
    return _over(PMin, "pmin", x, axis_name)


@public
def all_gather(
    x: Any,
    axis_name: Any,
    *,
    axis_index_groups: Any = None,
    axis: int = 0,
    tiled: bool = False,
    to: str = "varying",
) -> Any:
    """The values of all members of the named axis, along a new axis `axis`.

    Args:
      x: array (or pytree of them).
      axis_name: name of an axis in scope, or a tuple of names: members in their order.
      axis: where the new axis goes.
      tiled: concatenate along the existing axis `axis` instead of making a new one.
      to: "varying" or "invarying": whether the result counts as one that differs between
        members; under vmap this changes nothing.

    Returns:
      Arrays with one more axis, of the size of the named one.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> ferax.vmap(lambda x: lax.all_gather(x, "i"), axis_name="i")(jnp.arange(2))
    Array([[0, 1],
           [0, 1]], dtype=int32)
    """
    whole_axis("all_gather", axis_index_groups)
    if to == "reduced":
        raise NotImplementedError("all_gather: to='reduced' along an axis of vmap")
    if to not in ("varying", "invarying"):
        raise ValueError(
            f"all_gather: to must be 'varying', 'reduced' or 'invarying'; got {to!r}"
        )

    names = _names(axis_name)

    def one(leaf: Any) -> Any:
        out = leaf = to_array(leaf, "all_gather")
        place = shapes.canonical_axis(axis, leaf.ndim + (not tiled), "all_gather")
        for name in reversed(names):
            out = AllGather(name, axis_size(name), place)(out)
        return _merged(out, place, len(names) + tiled)

    return tree_map(one, x)


@public
def psum_scatter(
    x: Any,
    axis_name: Any,
    *,
    scatter_dimension: int = 0,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Slice i, along `scatter_dimension`, of the sum over the named axis, for member i."""
    whole_axis("psum_scatter", axis_index_groups)

    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, "psum_scatter")
        d = shapes.canonical_axis(scatter_dimension, leaf.ndim, "psum_scatter")
        rest = _parts("psum_scatter", leaf, d, axis_name, tiled)
        names = _names(axis_name)
        leaf = _parted(leaf, d, _sizes(names), rest)
        for name in names:
            leaf = PSumScatter(name, axis_size(name), d)(leaf)
        return leaf

    return tree_map(one, x)


def _parts(who: str, x: Any, axis: int, axis_name: Any, tiled: bool) -> tuple[int, ...]:
    """The length of a part of `axis` for each member; () if a part has no axis of its own."""
    size, length = axis_size(axis_name), x.shape[axis]
    if length % max(size, 1) if tiled else length != size:
        wanted = "a multiple of the size" if tiled else "the size"
        raise ValueError(
            f"{who}: axis {axis} of {x.aval.short()} must have {wanted} {size} of the named axis "
            f"{axis_name!r}"
        )
    return (length // max(size, 1),) if tiled else ()


@public
def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values along the named axis: member `target` gets that of `source`.

    Args:
      x: array (or pytree of them).
      axis_name: name of an axis in scope.
      perm: pairs (source, target); members that are no target get zeros.

    Raises:
      ValueError: a source or a target occurs twice.
    """
    if any(np.ndim(pair) != 1 or len(pair) != 2 for pair in perm):
        raise TypeError(f"ppermute: perm must be pairs (source, target); got {perm!r}")
    pairs = tuple((int(s), int(t)) for s, t in perm)
    if len(_names(axis_name)) != 1:
        raise NotImplementedError(f"ppermute: over several named axes, {axis_name!r}")
    (axis_name,) = _names(axis_name)
    size = axis_size(axis_name)
    if not all(0 <= i < size for pair in pairs for i in pair):
        raise ValueError(
            f"ppermute: sources and targets must be in [0, {size}), the members of the axis "
            f"{axis_name!r}; got {list(pairs)}"
        )
    if len({s for s, _ in pairs}) < len(pairs) or len({t for _, t in pairs}) < len(
        pairs
    ):
        raise ValueError(
            f"ppermute: sources and targets must be distinct; got {list(pairs)}"
        )
    return tree_map(
        lambda leaf: PPermute(axis_name, size, pairs)(to_array(leaf, "ppermute")), x
    )


@public
def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Member i gets the value of member perm[i]."""
    return ppermute(x, axis_name, [(s, t) for t, s in enumerate(perm)])


@public
def axis_index(axis_name: Any) -> Any:
    """The place of this member along the named axis: int32 scalar.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> ferax.vmap(lambda x: x + lax.axis_index("i"), axis_name="i")(jnp.zeros(3, int))
    Array([0, 1, 2], dtype=int32)
    """
    index: Any = 0
    for name in _names(axis_name):
        size = axis_size(name)
        place = AxisIndex(name, size)()
        index = place if len(_names(axis_name)) == 1 else index * size + place
    return index


@public
def all_to_all(
    x: Any,
    axis_name: Any,
    split_axis: int,
    concat_axis: int,
    *,
    axis_index_groups: Any = None,
    tiled: bool = False,
) -> Any:
    """Exchange: member i gets slice i along `split_axis` from every member of the named axis.

    Args:
      x: array (or pytree of them) whose size along `split_axis` is that of the named axis
        (`tiled`: a multiple of it).
      axis_name: name of an axis in scope, or a tuple of names: members in their order.
      split_axis: the axis that is cut.
      concat_axis: where what comes from the members is put together: a new axis of the result,
        in which `split_axis` is gone; if `tiled`, the existing axis.
      tiled: cut into as many parts as there are members instead of into single slices.

    Raises:
      ValueError: the size along `split_axis` does not fit.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> exchange = ferax.vmap(lambda x: lax.all_to_all(x, "i", 0, 0), axis_name="i")
    >>> exchange(jnp.array([[0, 1], [2, 3]]))
    Array([[0, 2],
           [1, 3]], dtype=int32)
    """
    whole_axis("all_to_all", axis_index_groups)
    names = _names(axis_name)
    sizes = _sizes(names)

    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, "all_to_all")
        cut, to = [
            shapes.canonical_axis(a, leaf.ndim, "all_to_all")
            for a in (split_axis, concat_axis)
        ]
        rest = _parts("all_to_all", leaf, cut, axis_name, tiled)
        out = _parted(leaf, cut, sizes, rest)
        if len(names) == 1:
            out = AllToAll(names[0], sizes[0], cut, to)(out)
        else:  # by way of the end, so that axes to be cut stay where they are
            for name, size in zip(names, sizes):
                out = AllToAll(name, size, cut, out.ndim - 1)(out)
            for _ in names:
                out = moveaxis(out, out.ndim - 1, to)
        return _merged(out, to, len(names) + tiled)

    return tree_map(one, x)


@public
def pswapaxes(
    x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None
) -> Any:
    """Swap the named axis with an axis of `x` of the same size; arguments as `all_to_all`."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


@public
def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value of the member `source` of the named axis, for all members.

    Raises:
      ValueError: there is no such member.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> ferax.vmap(lambda x: lax.pbroadcast(x, "i", 2), axis_name="i")(jnp.arange(3))
    Array([2, 2, 2], dtype=int32)
    """
    size = axis_size(axis_name)
    if not 0 <= source < size:
        raise ValueError(
            f"pbroadcast: the axis {axis_name!r} has {size} members; there is no member {source}"
        )
    return tree_map(lambda leaf: leaf[source], all_gather(x, axis_name))
