"""vmap: every operation works on arrays with one more axis.

`BatchTrace` carries (value, axis) pairs; an operation's `batch` rule says what to do when some
operands have the extra axis. Values that do not depend on mapped arguments are no tracers, so
they are computed once. A named axis is reachable by collectives (`psum`, …) in the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

from ferax.core.avals import Aval
from ferax.core.basis import broadcast_in_dim, moveaxis, stage_closed
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr
from ferax.core.tracing import Trace, Tracer, running, state, to_array
from ferax.errors import public
from ferax.transforms.arguments import check_callable, name_of
from ferax.tree_util import (
    flatten,
    flatten_prefix,
    keystr,
    tree_flatten_with_path,
    unflatten,
)


class Axis(NamedTuple):
    """A mapped axis."""

    size: int
    name: Any = None


class BatchTracer(Tracer):
    """A value with a mapped axis, seen without it."""

    __slots__ = ("value", "dim")

    def __init__(self, trace: Trace, value: Any, dim: int):
        whole = value.aval
        shape = whole.shape
        self.owner = trace
        self.aval = Aval(shape[:dim] + shape[dim + 1 :], whole.dtype, whole.weak_type)
        self.value = value
        self.dim = dim

    def origin(self) -> str:
        inner = self.value.origin() if isinstance(self.value, Tracer) else ""
        return inner or "It is mapped by vmap, so it stands for many values at once."


class BatchTrace(Trace):
    """Applies `batch` rules."""

    __slots__ = ("axis",)

    def __init__(self, parent: Trace | None, axis: Axis) -> None:
        super().__init__(parent)
        self.axis = axis

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        values: list[Any] = []
        dims: list[int | None] = []
        mapped = False
        for a in args:
            if type(a) is BatchTracer and a.owner is self:
                values.append(a.value)
                dims.append(a.dim)
                mapped = True
            else:
                values.append(to_array(a))
                dims.append(None)
        state.trace = self.parent
        try:
            if not mapped and not (
                self.axis.name is not None and op.uses_axis(self.axis.name)
            ):
                return op.bind(*values)  # type: ignore[no-any-return]
            outs, out_dims = op.batch(self.axis, values, dims)
        finally:
            state.trace = self
        return [
            o if d is None else BatchTracer(self, o, d) for o, d in zip(outs, out_dims)
        ]


@contextmanager
def named(axis: Axis) -> Any:
    """Make an axis known by name within the block."""
    if axis.name is None:
        yield
        return
    outer = state.axes
    state.axes = (*outer, (axis.name, axis.size))
    try:
        yield
    finally:
        state.axes = outer


def batch_flat(
    fun: Callable[..., Sequence[Any]],
    axis: Axis,
    args: Sequence[Any],
    dims: Sequence[Any],
) -> tuple[list[Any], list[Any]]:
    """Map a function of flat operands to flat results; dims are None where unmapped."""
    trace = BatchTrace(state.trace, axis)
    with named(axis), running(trace):
        outs = fun(
            *[a if d is None else BatchTracer(trace, a, d) for a, d in zip(args, dims)]
        )
    outs = [to_array(o, "vmap", "a result") for o in outs]
    mine = [type(o) is BatchTracer and o.owner is trace for o in outs]
    return (
        [o.value if m else o for o, m in zip(outs, mine)],
        [o.dim if m else None for o, m in zip(outs, mine)],
    )


def to_front(x: Any, dim: int | None, size: int) -> Any:
    """`x` with its mapped axis first; repeated along a new one if it is not mapped."""
    if dim is None:
        return broadcast_in_dim(x, (size, *x.shape), tuple(range(1, x.ndim + 1)))
    return moveaxis(x, dim, 0)


def _batch_jaxpr(
    jaxpr: Jaxpr, axis: Axis, mapped: tuple[bool, ...], wanted: tuple[bool, ...] | None
) -> tuple[Jaxpr, tuple[bool, ...]]:
    out_mapped: list[bool] = []

    def body(*args: Any) -> list[Any]:
        dims = [0 if m else None for m in mapped]
        outs, out_dims = batch_flat(
            lambda *xs: eval_jaxpr(jaxpr, (), xs), axis, args, dims
        )
        out_mapped[:] = [
            d is not None or (wanted is not None and wanted[i])
            for i, d in enumerate(out_dims)
        ]
        return [
            to_front(o, d, axis.size) if m else o
            for o, d, m in zip(outs, out_dims, out_mapped)
        ]

    avals = [
        a.update(shape=(axis.size, *a.shape)) if m else a
        for a, m in zip(jaxpr.in_avals, mapped)
    ]
    made = stage_closed(body, avals, "vmap")
    return made, tuple(out_mapped)


def batch_jaxpr(
    jaxpr: Jaxpr,
    axis: Axis,
    mapped: Sequence[bool],
    wanted: Sequence[bool] | None = None,
) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The program on operands with a leading mapped axis where `mapped`.

    The second answer says which results have a leading mapped axis; `wanted` forces it.
    """
    return derived(  # type: ignore[no-any-return]
        _batch_jaxpr,
        jaxpr,
        axis,
        tuple(mapped),
        None if wanted is None else tuple(wanted),
    )


# -- public --------------------------------------------------------------------------------


@public
def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    sum_match: bool = False,
) -> Callable[..., Any]:
    """Vectorise `fun`: map it over an axis of its arguments without a loop.

    Args:
      fun: function of arrays (or pytrees of them).
      in_axes: for each positional argument the axis to map over (an int, or None for arguments
        that are the same in every call), or a prefix of the arguments' structure with such
        leaves; one int or None stands for all. Keyword arguments are mapped over axis 0.
      out_axes: where the mapped axis goes in the results, likewise; None for results that do not
        depend on mapped arguments.
      axis_name: a name by which `lax.psum` and its like reach the axis inside of `fun`.
      axis_size: size of the axis, needed only if no argument is mapped.

    Returns:
      The mapped function.

    Raises:
      ValueError: the sizes of the mapped axes differ (each is listed), an axis is out of range,
        or `in_axes` does not fit the arguments.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.vmap(jnp.dot, in_axes=(0, None))(jnp.ones((3, 2)), jnp.array([1., 2.]))
    Array([3., 3., 3.], dtype=float32)
    """
    if spmd_axis_name is not None:
        raise NotImplementedError("vmap: spmd_axis_name")
    if sum_match:
        raise NotImplementedError("vmap: sum_match=True")
    check_callable("vmap", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, (int, tuple))):
        raise TypeError(
            "vmap: in_axes must be an int, None or a tuple with an entry for each positional "
            f"argument; got {in_axes!r}"
        )

    @wraps(fun)
    @public
    def mapped_fun(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = flatten((args, kwargs))
        dims = _in_dims(fun, in_axes, args, kwargs)
        leaves = [to_array(x, "vmap", "an argument") for x in leaves]
        dims = [_canonical_dim(x, d, fun) for x, d in zip(leaves, dims)]
        size = _mapped_size(fun, args, kwargs, leaves, dims, axis_size)
        out_tree: list[Any] = []

        def flat_fun(*xs: Any) -> list[Any]:
            inner_args, inner_kwargs = unflatten(tree, xs)
            out, t = flatten(fun(*inner_args, **inner_kwargs))
            out_tree.append(t)
            return out

        outs, out_dims = batch_flat(flat_fun, Axis(size, axis_name), leaves, dims)
        return _place_results(fun, outs, out_dims, out_axes, out_tree[0], size)

    return mapped_fun


def _in_dims(fun: Any, in_axes: Any, args: Any, kwargs: Any) -> list[Any]:
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ValueError(
            f"vmap: in_axes has {len(in_axes)} entries ({in_axes}), but {name_of(fun)} was called "
            f"with {len(args)} positional arguments; give an entry for each"
        )
    dims = flatten_prefix(in_axes, args, "vmap: in_axes")
    return [*dims, *[0] * len(flatten(kwargs)[0])]


def _canonical_dim(x: Any, dim: Any, fun: Any) -> int | None:
    if dim is None:
        return None
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise TypeError(f"vmap: entries of in_axes must be ints or None; got {dim!r}")
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(
            f"vmap: in_axes asks for axis {dim} of an argument of {name_of(fun)} with shape "
            f"{x.shape}, which has {x.ndim} axes. Use None for arguments that are not mapped."
        )
    return int(dim % x.ndim)


def _mapped_size(
    fun: Any, args: Any, kwargs: Any, leaves: Any, dims: Any, axis_size: int | None
) -> int:
    sizes = {x.shape[d] for x, d in zip(leaves, dims) if d is not None}
    if axis_size is not None:
        sizes.add(axis_size)
    if len(sizes) == 1:
        return int(sizes.pop())
    if not sizes:
        raise ValueError(
            f"vmap of {name_of(fun)}: no argument is mapped (in_axes are all None, or there are no "
            "arrays among the arguments); pass axis_size=, or an axis in in_axes"
        )
    paths = [p for p, _ in tree_flatten_with_path((args, kwargs))[0]]
    lines = [
        f"  {_argument(p)}: {x.aval.short()}, axis {d} has size {x.shape[d]}"
        for p, x, d in zip(paths, leaves, dims)
        if d is not None
    ]
    if axis_size is not None:
        lines.append(f"  axis_size={axis_size}")
    raise ValueError(
        f"vmap of {name_of(fun)}: the mapped axes must have one size; they are\n"
        + "\n".join(lines)
    )


def _argument(path: Any) -> str:
    text = keystr(path[1:])
    return (
        f"argument {text[1:].replace(']', '', 1)}"
        if keystr(path[:1]) == "[0]"
        else f"kwargs{text}"
    )


def _place_results(
    fun: Any, outs: list[Any], dims: list[Any], out_axes: Any, tree: Any, size: int
) -> Any:
    template = unflatten(tree, range(len(outs)))
    wanted = flatten_prefix(out_axes, template, "vmap: out_axes")
    placed = []
    for out, dim, want in zip(outs, dims, wanted):
        if want is None:
            if dim is not None:
                raise ValueError(
                    f"vmap of {name_of(fun)}: out_axes is None for a result that depends on "
                    f"mapped arguments ({out.aval.short()} with mapped axis {dim}); give an axis"
                )
            placed.append(out)
            continue
        rank = out.ndim if dim is not None else out.ndim + 1
        if not isinstance(want, int) or not -rank <= want < rank:
            raise (ValueError if isinstance(want, int) else TypeError)(
                f"vmap of {name_of(fun)}: out_axes={want!r} is out of range for a result with "
                f"{rank} axes"
            )
        if dim is None:
            out, dim = to_front(out, None, size), 0
        placed.append(moveaxis(out, dim, want % rank))
    return unflatten(tree, placed)
