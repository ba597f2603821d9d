"""Which residuals of a loop's step are kept for the way back, and which are computed there.

A loop in reverse mode stacks the residuals of every step. Many follow from others, from the
carry or from what is stacked anyway, by a few additions and products; then to keep what they
follow from takes less memory, and time: the way back waits for its own chain of operations, and
computes them in between. This is the cut that T. Chen et al., "Training deep nets with sublinear
memory cost" (2016) make by hand, made where it costs no operation worth counting.

A residual can be computed on the way back if all equations between it and what is at hand are
1. of one pass over their operands (`_LIGHT`), or
2. of no use on the way there, so that they are only put off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ferax.core import basis
from ferax.core.basis import stage_closed
from ferax.core.jaxpr import Eqn, Jaxpr, Var, eval_jaxpr
from ferax.lax import arithmetic, representation, shape, transcendental

_LIGHT = (
    basis.Add, basis.Sub, basis.Mul, basis.Neg, basis.SelectN, basis.Convert,
    basis.BroadcastInDim, basis.Reshape, basis.Permute,
    arithmetic.Div, arithmetic.Abs, arithmetic.Sign, arithmetic.Square, arithmetic.Max,
    arithmetic.Min, arithmetic.Clamp, arithmetic.Eq, arithmetic.Ne, arithmetic.Lt,
    arithmetic.Le, arithmetic.Gt, arithmetic.Ge, transcendental.IntegerPow,
    representation.And, representation.Or, representation.Xor, representation.Not,
    representation.Real, representation.Imag, representation.Conj, representation.Complex,
    shape.Slice, shape.Pad, shape.Concatenate, shape.Rev,
)  # fmt: skip


def slimmed(
    forward: Jaxpr, linear: Jaxpr, n_consts: int, n_carry: int, n_outs: int
) -> tuple[Jaxpr, Jaxpr]:
    """A linearized step with residuals that take less memory.

    `forward`: (consts, carry, x) → (carry, y, residuals); `linear`: (residuals, tangents) →
    tangents. Both come back with the same meaning, and other residuals between them.
    """
    residuals = [v for v in forward.outvars[n_outs:] if type(v) is Var]
    k = n_consts + n_carry
    stacked = [v for v in forward.outvars[n_carry:n_outs] if type(v) is Var]
    at_hand = {*forward.invars[:n_consts], *forward.invars[k:], *stacked}
    at_hand |= loop_invariant(forward, n_consts)[0]
    origins = _origins(forward, at_hand, forward.invars[n_consts:k], n_outs)
    leaves = _best_leaves({v: origins[v] for v in residuals if v not in at_hand})
    if leaves is None:
        return forward, linear
    leaves |= at_hand
    leaves |= {v for v in residuals if not origins[v] <= leaves}
    kept, eqns = _way_to(forward, leaves, residuals)
    again = Jaxpr(kept, forward.outvars[n_outs:], eqns)

    def whole(*args: Any) -> list[Any]:
        values = eval_jaxpr(again, (), args[: len(kept)])
        return eval_jaxpr(linear, (), [*values, *args[len(kept) :]])

    moving = linear.in_avals[len(forward.outvars) - n_outs :]
    fuller = stage_closed(whole, [*[v.aval for v in kept], *moving], "scan")
    outs = [*forward.outvars[:n_outs], *kept]
    return Jaxpr(forward.invars, outs, forward.eqns), fuller


def loop_invariant(body: Jaxpr, n_consts: int) -> tuple[set[Var], list[Eqn]]:
    """What is the same in every step: variables, and the equations that give them."""
    fixed = set(body.invars[:n_consts])
    eqns = []
    for eqn in body.eqns:
        depends = any(type(v) is Var and v not in fixed for v in eqn.inputs)
        if not depends and not eqn.op.effects:
            fixed.update(eqn.outputs)
            eqns.append(eqn)
    return fixed, eqns


def _origins(
    forward: Jaxpr, at_hand: set[Var], carry: Sequence[Var], n_outs: int
) -> dict[Var, frozenset[Var]]:
    """What must be kept so that a variable can be computed on the way back, where it can.

    A residual for which there is no way has to be kept itself.
    """
    needed = _needed(forward.outvars[:n_outs], forward.eqns)
    residuals = set(forward.outvars[n_outs:])
    found = {v: frozenset([v]) for v in carry} | dict.fromkeys(at_hand, frozenset())
    for eqn in forward.eqns:
        inputs = [v for v in eqn.inputs if type(v) is Var]
        light = isinstance(eqn.op, _LIGHT) or not needed.intersection(eqn.outputs)
        possible = light and not eqn.op.effects and not eqn.op.calls
        if possible and all(v in found for v in inputs):
            origin = frozenset().union(*(found[v] for v in inputs))
            found.update({v: origin for v in eqn.outputs if v not in at_hand})
        else:
            kept = [v for v in eqn.outputs if v in residuals and v not in at_hand]
            found.update({v: frozenset([v]) for v in kept})
    return found


def _needed(outs: Iterable[Any], eqns: Sequence[Eqn]) -> set[Any]:
    """The variables that some results depend on."""
    needed = {v for v in outs if type(v) is Var}
    for eqn in reversed(eqns):
        if eqn.op.effects or needed.intersection(eqn.outputs):
            needed.update(v for v in eqn.inputs if type(v) is Var)
    return needed


def _best_leaves(origins: dict[Var, frozenset[Var]]) -> set[Var] | None:
    """What to keep so that the most bytes of residuals need not be; None if nothing helps."""
    saved: dict[frozenset[Var], int] = {}  # in order: of equals the first one is taken
    for leaves in [
        frozenset(),
        *origins.values(),
        frozenset().union(*origins.values()),
    ]:
        if leaves in saved:
            continue
        dropped = [v for v, origin in origins.items() if origin <= leaves]
        saved[leaves] = sum(map(_bytes, dropped)) - sum(map(_bytes, leaves))
    best = max(saved, key=lambda leaves: saved[leaves])
    return set(best) if saved[best] > 0 else None


def _bytes(v: Var) -> int:
    return v.aval.size * max(v.aval.carrier.itemsize, 1)


def _way_to(
    forward: Jaxpr, leaves: set[Var], wanted: Sequence[Var]
) -> tuple[list[Var], list[Eqn]]:
    """The leaves that the wanted variables follow from, in order, and the equations between."""
    open_ = set(wanted)
    eqns = []
    for eqn in reversed(forward.eqns):
        if any(v in open_ and v not in leaves for v in eqn.outputs):
            eqns.append(eqn)
            open_.update(v for v in eqn.inputs if type(v) is Var)
    made = {v for eqn in eqns for v in eqn.outputs}
    order = [*forward.invars, *(v for eqn in forward.eqns for v in eqn.outputs)]
    return [v for v in order if v in open_ and v not in made], eqns[::-1]
