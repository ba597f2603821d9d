"""Programs from the Python functions that control flow is given.

A function is traced once per kind of arguments and remembered, as by `jit`: a loop in Python that
calls `scan` with the same function does not trace it again, nor compile it again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval
from ferax.core.jaxpr import Eqn, Jaxpr, Var, derived, stage
from ferax.core.tracing import state
from ferax.transforms.arguments import FlatCall, check_callable, name_of
from ferax.transforms.calls import run_compiled
from ferax.transforms.guards import guards_of
from ferax.tree_util import unflatten

EQUATION_SECONDS = 2e-6  # what NumPy takes for a small operation
COMPILE_SECONDS = 0.1  # what a small program takes to compile


class Body:
    """A traced function: `jaxpr` takes the values it closed over (`consts`) first."""

    def __init__(self, jaxpr: Jaxpr, consts: list[Any], tree: Any, guards: list[Any]):
        self.jaxpr = jaxpr.closed()
        self.consts = consts
        self.tree = tree
        self.guards = guards
        self.out_avals = jaxpr.out_avals

    def holds(self) -> bool:
        return all(g.holds() for g in self.guards)


_bodies: weakref.WeakKeyDictionary[Any, dict[Any, Body]] = weakref.WeakKeyDictionary()


def trace_body(
    who: str,
    fun: Callable[..., Any],
    tree: Any,
    avals: Sequence[Aval],
    n_args: int | None = None,
) -> Body:
    """Trace `fun(*arguments)`, whose arguments have the structure `tree` (of a tuple)."""
    check_callable(who, fun)
    key = (tree, tuple(avals), config.trace_key(), state.axes)
    try:
        table = _bodies.setdefault(fun, {})
    except TypeError:  # no weak references to it: traced anew
        table = {}
    found = table.get(key)
    if found is not None and found.holds():
        return found
    guards = guards_of(fun) if config.guard_globals else []
    call = FlatCall(who, lambda *xs: fun(*unflatten(tree, xs)))
    jaxpr, consts = stage(call, avals, f"{name_of(fun)} given to {who}")
    body = Body(jaxpr, consts, call.tree, guards)
    if all(type(c) is Concrete for c in consts):
        table[key] = body
    return body


def permuted(
    jaxpr: Jaxpr, inputs: Sequence[int], outputs: Sequence[int] | None = None
) -> Jaxpr:
    """The same program with its inputs (and outputs) in another order, remembered."""
    return derived(  # type: ignore[no-any-return]
        _permuted, jaxpr, tuple(inputs), None if outputs is None else tuple(outputs)
    )


def _permuted(
    jaxpr: Jaxpr, inputs: tuple[int, ...], outputs: tuple[int, ...] | None
) -> Jaxpr:
    outvars = jaxpr.outvars if outputs is None else [jaxpr.outvars[i] for i in outputs]
    return Jaxpr([jaxpr.invars[i] for i in inputs], outvars, jaxpr.eqns)


def count_equations(jaxpr: Jaxpr) -> int:
    """Equations of a program, those of programs inside of it included."""
    return derived(_count, jaxpr)  # type: ignore[no-any-return]


def _count(jaxpr: Jaxpr) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        inner = [p for p in eqn.op.params.values() if isinstance(p, Jaxpr)]
        total += 1 + sum(map(count_equations, inner)) * getattr(eqn.op, "length", 1)
    return total


def run_operation(op: Any, jaxpr: Jaxpr, args: Sequence[Any]) -> list[Any]:
    """Run one control flow operation on Arrays as a compiled program.

    The compiled program is kept with `jaxpr`, a program that the operation holds.
    """
    fields = tuple(op.__dict__[f] for f in op.fields)
    program = derived(_single, jaxpr, type(op), fields, tuple(a.aval for a in args))
    return run_compiled(program, op.name, args)


def _single(
    jaxpr: Jaxpr, kind: type, fields: tuple[Any, ...], avals: tuple[Aval, ...]
) -> Jaxpr:
    op = kind(*fields)
    invars = [Var(a) for a in avals]
    outvars = [Var(a) for a in op.infer(avals)]
    return Jaxpr(invars, outvars, [Eqn(op, list(invars), outvars)])
