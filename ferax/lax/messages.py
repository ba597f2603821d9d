"""Messages between the members of a named axis: single ones, and ragged exchanges.

All of it is composed of the collectives in `collective`; so it maps, differentiates and compiles
as these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferax import dtypes
from ferax.core.array import Array
from ferax.core.basis import (
    broadcast_in_dim,
    broadcast_to,
    convert,
    select,
)
from ferax.core.tracing import aval_of, to_array
from ferax.errors import public
from ferax.lax.arithmetic import clamp, ge, lt
from ferax.lax.collective import (
    all_gather,
    all_to_all,
    axis_size,
    ppermute,
    whole_axis,
)
from ferax.lax.generators import Token
from ferax.lax.indexing import index_take
from ferax.lax.reduction import argmax, reduce_or
from ferax.lax.representation import bitwise_and
from ferax.lax.shape import iota, rev
from ferax.tree_util import flatten, unflatten


@public
def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """`x`, seen as a value that differs between the members of the named axis.

    Under `vmap` every value may differ, so that nothing changes; it matters to functions that
    are mapped over devices.

    Args:
      x: array (or pytree of them).
      axis_name: name of an axis in scope, or several.
      to: "varying".

    Raises:
      NameError: there is no such axis in scope.
      ValueError: `to` is another word.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> ferax.vmap(lambda x: lax.pcast(x, "i", to="varying"), axis_name="i")(jnp.arange(2))
    Array([0, 1], dtype=int32)
    """
    if to not in ("varying", "reduced", "unreduced"):
        raise ValueError(
            f"pcast: to must be 'varying', 'reduced' or 'unreduced'; got {to!r}"
        )
    axis_size(axis_name)
    if to != "varying":
        raise NotImplementedError(f"pcast: to={to!r} along an axis of vmap")
    leaves, tree = flatten(x)
    return unflatten(tree, [to_array(leaf, "pcast") for leaf in leaves])


class Sent(Token):
    """Stands for the end of a `psend`; it has what is to be received."""

    def __init__(self, values: list[Any], axis_name: Any, perm: Any):
        self.values, self.axis_name, self.perm = values, axis_name, perm


def _pairs(perm: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(int(s), int(t)) for s, t in perm]


@public
def psend(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Token:
    """Send values along the named axis: the first half of `ppermute`.

    Args:
      x: array (or pytree of them).
      axis_name: name of an axis in scope.
      perm: pairs (source, target).

    Returns:
      A token to be given to the `precv` that receives the values.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> def f(x):
    ...     token = lax.psend(x, "i", [(0, 1), (1, 0)])
    ...     return lax.precv(token, x, "i", [(0, 1), (1, 0)])
    >>> ferax.vmap(f, axis_name="i")(jnp.arange(2))
    Array([1, 0], dtype=int32)
    """
    moved = ppermute(x, axis_name, perm)
    return Sent(flatten(moved)[0], axis_name, _pairs(perm))


@public
def precv(
    token: Any, out_shape: Any, axis_name: Any, perm: Sequence[tuple[int, int]]
) -> Any:
    """Receive what was sent along the named axis: the second half of `ppermute`.

    Args:
      token: what `psend` gave.
      out_shape: array or ShapeDtypeStruct (or pytree of them): what is received.
      axis_name, perm: those of `psend`.

    Returns:
      Arrays like `out_shape`; members that are no target get zeros.

    Raises:
      TypeError: `token` does not come from `psend`.
      ValueError: something else was sent, or elsewhere.
    """
    if not isinstance(token, Sent):
        raise TypeError(
            f"precv: the token must come from psend, with the same perm; got {token!r}"
        )
    if (token.axis_name, token.perm) != (axis_name, _pairs(perm)):
        raise ValueError(
            f"precv: along {axis_name!r} by {_pairs(perm)}; the values were sent along "
            f"{token.axis_name!r} by {token.perm}"
        )
    wanted, tree = flatten(out_shape)
    avals = [aval_of(w).strong().short() for w in wanted]
    found = [v.aval.strong().short() for v in token.values]
    if avals != found:
        raise ValueError(
            f"precv: out_shape is {', '.join(avals)}, but {', '.join(found)} was sent"
        )
    return unflatten(tree, token.values)


@public
def ragged_all_to_all(
    operand: Any,
    output: Any,
    input_offsets: Any,
    send_sizes: Any,
    output_offsets: Any,
    recv_sizes: Any,
    *,
    axis_name: Any,
    axis_index_groups: Any = None,
) -> Any:
    """Exchange slices of different lengths between all members of the named axis.

    Slice i of n, `operand[input_offsets[i]:][:send_sizes[i]]`, goes to the member
    i // (n / members), which writes it at row `output_offsets[i]` of its `output`.

    Args:
      operand: (rows, …); what is sent.
      output: (rows', …) of the same dtype and other axes; what is written into.
      input_offsets, send_sizes, output_offsets: integers, (n,), with n a multiple of the number
        of members.
      recv_sizes: integers, (n,): how long the slices are that this member gets, by sender; so
        `send_sizes` of one is what `all_to_all` makes of `recv_sizes` of all.
      axis_name: name of an axis in scope.

    Returns:
      `output` with the slices received; where several overlap, the last one counts.

    Raises:
      ValueError: shapes do not fit.
      TypeError: dtypes do not fit.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> to_one = jnp.array([[0, 0, 2], [0, 0, 1]])  # all rows go to member 1
    >>> f = lambda x, ins, sizes, outs, got: lax.ragged_all_to_all(
    ...     x, jnp.zeros(3), ins, sizes, outs, got, axis_name="i")
    >>> ferax.vmap(f, axis_name="i")(
    ...     jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.zeros((2, 2), int), to_one[:, 1:],
    ...     jnp.array([[0, 0], [0, 2]]), jnp.array([[0, 0], [2, 1]]))
    Array([[0., 0., 0.],
           [1., 2., 3.]], dtype=float32)
    """
    who = "ragged_all_to_all"
    whole_axis(who, axis_index_groups)
    members = axis_size(axis_name)
    x, out = to_array(operand, who, "operand"), to_array(output, who, "output")
    given = (input_offsets, send_sizes, output_offsets, recv_sizes)
    numbers = [to_array(v, who, "an offset or size") for v in given]
    _check_ragged(x, out, numbers, members)
    starts, _, targets, sizes = numbers
    # of each slice that comes here: where it begins there and here, and how long it is
    starts = all_to_all(starts, axis_name, 0, 0, tiled=True)
    targets = all_to_all(targets, axis_name, 0, 0, tiled=True)
    rows, n = out.shape[0], sizes.shape[0]
    if not rows or not x.shape[0] or not n:
        return out
    number = broadcast_in_dim(iota(targets.dtype, rows), (rows, n), (0,))
    offset = number - broadcast_to(targets, (rows, n))
    inside = bitwise_and(ge(offset, 0), lt(offset, broadcast_to(sizes, (rows, n))))
    slices = broadcast_to(iota("int32", n), (rows, n))
    # the last slice that covers the row; any one where none does
    last = n - 1 - argmax(rev(inside, (1,)), 1, "int32")
    at = (iota("int32", rows), last)
    row = index_take(broadcast_to(starts, (rows, n)) + offset, at, (0, 1))
    row = clamp(0, convert(row, "int32"), x.shape[0] - 1)
    sender = index_take(slices, at, (0, 1)) // (n // members)
    everyone = all_gather(x, axis_name)
    taken = index_take(everyone, (sender, row), (0, 1))
    covered = reduce_or(inside, (1,))
    return select(broadcast_in_dim(covered, out.shape, (0,)), taken, out)


def _check_ragged(x: Array, out: Array, numbers: list[Any], members: int) -> None:
    who = "ragged_all_to_all"
    if x.dtype != out.dtype:
        raise TypeError(
            f"{who}: operand and output must have the same dtype; got {x.aval.short()} and "
            f"{out.aval.short()}"
        )
    if not x.ndim or not out.ndim or x.shape[1:] != out.shape[1:]:
        raise ValueError(
            f"{who}: operand and output must agree in all axes but the first; got "
            f"{x.aval.short()} and {out.aval.short()}"
        )
    listing = ", ".join(v.aval.short() for v in numbers)
    if not all(dtypes.is_integer(v.dtype) for v in numbers):
        raise TypeError(f"{who}: offsets and sizes must be integers; got {listing}")
    shapes = {v.shape for v in numbers}
    if len(shapes) > 1 or numbers[0].ndim != 1 or numbers[0].shape[0] % members:
        raise ValueError(
            f"{who}: offsets and sizes must all have shape (n,), n a multiple of the size "
            f"{members} of the named axis; got {listing}"
        )
