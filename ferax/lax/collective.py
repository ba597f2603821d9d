"""Operations across a named axis: of `vmap(…, axis_name=…)`.

Each is one operation with the axis' name as parameter. The `vmap` that owns the name removes it
with the `batch` rule; a `vmap` with another name maps over it like over any operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferax.core.array import Concrete
from ferax.core.avals import Aval, Zero
from ferax.core.basis import (
    Linear,
    Structural,
    broadcast_in_dim,
    moveaxis,
    mul,
    reduce_sum,
    reshape,
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
        gathered = x[np.maximum(source, 0)]
        got = reshape(
            Concrete(Aval((axis.size,), np.dtype(bool)), source >= 0),
            (axis.size, *(1,) * (x.ndim - 1)),
        )
        return [gathered * got.astype(x.dtype)], [0]


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


def whole_axis(who: str, axis_index_groups: Any) -> None:
    """Groups of members are not offered."""
    if axis_index_groups is not None:
        raise NotImplementedError(f"{who}: axis_index_groups")


def _over(kind: Any, who: str, x: Any, axis_name: Any) -> Any:
    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, who)
        for name in _names(axis_name):
            leaf = kind(name, axis_size(name))(leaf)
        return leaf

    return tree_map(one, x)


@public
def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum of `x` over the named axis.

    Args:
      x: array (or pytree of them) of numbers.
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
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        total = x
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
      axis_name: name of an axis in scope.
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

    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, "all_gather")
        place = axis % (leaf.ndim if tiled else leaf.ndim + 1)
        out = AllGather(axis_name, axis_size(axis_name), place)(leaf)
        if not tiled:
            return out
        shape = leaf.shape
        joined = (*shape[:place], out.shape[place] * shape[place], *shape[place + 1 :])
        return reshape(out, joined)

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
        size = axis_size(axis_name)
        d = scatter_dimension % leaf.ndim
        if tiled:
            rest = leaf.shape[d] // size
            leaf = reshape(leaf, (*leaf.shape[:d], size, rest, *leaf.shape[d + 1 :]))
        if leaf.shape[d] != size:
            raise ValueError(
                f"psum_scatter: axis {d} of {leaf.aval.short()} must have the size {size} of the "
                f"named axis {axis_name!r}"
            )
        return PSumScatter(axis_name, size, d)(leaf)

    return tree_map(one, x)


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
    pairs = tuple((int(s), int(t)) for s, t in perm)
    if len({s for s, _ in pairs}) < len(pairs) or len({t for _, t in pairs}) < len(
        pairs
    ):
        raise ValueError(
            f"ppermute: sources and targets must be distinct; got {list(pairs)}"
        )
    return tree_map(
        lambda leaf: PPermute(axis_name, axis_size(axis_name), pairs)(
            to_array(leaf, "ppermute")
        ),
        x,
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
      axis_name: name of an axis in scope.
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
    size = axis_size(axis_name)

    def one(leaf: Any) -> Any:
        leaf = to_array(leaf, "all_to_all")
        cut, to = split_axis % leaf.ndim, concat_axis % leaf.ndim
        length = leaf.shape[cut]
        if length % size if tiled else length != size:
            wanted = "a multiple of the size" if tiled else "the size"
            raise ValueError(
                f"all_to_all: axis {cut} of {leaf.aval.short()} must have {wanted} {size} of the "
                f"named axis {axis_name!r}"
            )
        if not tiled:
            return AllToAll(axis_name, size, cut, to)(leaf)
        shape = (*leaf.shape[:cut], size, length // size, *leaf.shape[cut + 1 :])
        out = AllToAll(axis_name, size, cut, to)(reshape(leaf, shape))
        merged = (*out.shape[:to], size * out.shape[to + 1], *out.shape[to + 2 :])
        return reshape(out, merged)

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
