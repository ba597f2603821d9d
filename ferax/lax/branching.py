"""cond and switch: one of several programs, chosen by an index known when running.

Mapped over with a mapped index there is no choice left: all branches run and `select_n` picks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Zero
from ferax.core.basis import (
    SELECT_N,
    convert,
    expand_dims,
    instantiate,
    moveaxis,
    stage_closed,
    with_zeros,
    without_zeros,
    zeros,
)
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr
from ferax.core.primitive import Primitive
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.bodies import run_operation, trace_body
from ferax.transforms.arguments import name_of
from ferax.transforms.batching import batch_jaxpr, to_front
from ferax.transforms.forward import jvp_jaxpr
from ferax.transforms.reverse import linearize_jaxpr, transpose_jaxpr
from ferax.tree_util import flatten, leaf_path, unflatten


class Cond(Primitive, interned=False):
    """branches[clip(index)](*operands); all branches take and give the same types."""

    branches: tuple[Jaxpr, ...]
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:  # type: ignore[override]
        return any(b.effects for b in self.branches)

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for b in self.branches for e in b.eqns)

    def abstract(self, index: Aval, *operands: Aval) -> list[Aval]:
        weak = [all(b.out_avals[i].weak_type for b in self.branches)
                for i in range(len(self.branches[0].outvars))]  # fmt: skip
        return [a.update(weak_type=w) for a, w in zip(self.branches[0].out_avals, weak)]

    def chosen(self, index: Any) -> Jaxpr:
        return self.branches[min(max(int(index), 0), len(self.branches) - 1)]

    def numpy(self, index: Any, *values: Any) -> list[Any]:
        branch = self.chosen(index)
        args = [Concrete(a, v) for a, v in zip(branch.in_avals, values)]
        return [o.host() for o in eval_jaxpr(branch, (), args)]

    def execute(self, args: list[Any]) -> list[Any]:
        if all(a.on_host() for a in args):
            return eval_jaxpr(self.chosen(args[0]), (), args[1:])
        return run_operation(self, self.branches[0], args)

    def stablehlo(self, hlo: Any, index: Any, *values: Any) -> list[Any]:
        runs = [lambda b=b: hlo.call_jaxpr(b, *values) for b in self.branches]
        last = hlo.constant(len(runs) - 1, np.dtype(np.int32))
        zero = hlo.constant(0, np.dtype(np.int32))
        index = hlo.binary("minimum", hlo.binary("maximum", index, zero), last)
        return hlo.case(index, runs, hlo.out)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        index, *operands = primals
        nonzero, moving = without_zeros(tangents[1:])
        wanted = _union(jvp_jaxpr(b, nonzero)[1] for b in self.branches)
        both = tuple(jvp_jaxpr(b, nonzero, wanted)[0] for b in self.branches)
        results = Cond(both).bind(index, *operands, *moving)
        outs, touts = results[: len(wanted)], results[len(wanted) :]
        return outs, with_zeros(outs, touts, wanted)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        index, *operands = primals
        nonzero, moving = without_zeros(tangents[1:])
        plan = derived(_CondPlan, self.branches[0], self.branches, tuple(nonzero))
        results = Cond(plan.forward).bind(index, *operands)
        n = len(plan.wanted)
        outs, residuals = results[:n], results[n:]
        touts = Cond(plan.linear).bind(index, *residuals, *moving)
        return outs, with_zeros(outs, touts, plan.wanted)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        index, *operands = args
        linear = tuple(type(a) is LinearInput for a in operands)
        nonzero, moving = without_zeros(cts)
        wanted = _union(transpose_jaxpr(b, linear, nonzero)[1] for b in self.branches)
        key = tuple(nonzero)
        backs = tuple(_full_transpose(b, linear, key, wanted) for b in self.branches)
        known = [a for a, lin in zip(operands, linear) if not lin]
        results = iter(Cond(backs).bind(index, *known, *moving))
        answers = iter([next(results) if w else None for w in wanted])
        return [None, *[next(answers) if lin else None for lin in linear]]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        (index, *operands), (index_dim, *rest) = args, dims
        mapped = [d is not None for d in rest]
        front = [
            moveaxis(x, d, 0) if d is not None else x for x, d in zip(operands, rest)
        ]
        wanted = _union(batch_jaxpr(b, axis, mapped)[1] for b in self.branches)
        if index_dim is None:
            batched = tuple(
                batch_jaxpr(b, axis, mapped, wanted)[0] for b in self.branches
            )
            outs = Cond(batched).bind(index, *front)
            return outs, [0 if w else None for w in wanted]
        results = []
        for b in self.branches:
            jaxpr, out_mapped = batch_jaxpr(b, axis, mapped)
            outs = eval_jaxpr(jaxpr, (), front)
            results.append(
                [
                    to_front(o, 0 if m else None, axis.size)
                    for o, m in zip(outs, out_mapped)
                ]
            )
        picked = []
        for cases in zip(*results):
            which = expand_dims(index, tuple(range(1, cases[0].ndim)))
            if len(cases) == 1:
                picked.append(cases[0])
                continue
            if len(cases) == 2:
                which = convert(which, np.dtype(bool))
            picked.append(SELECT_N(which, *cases))
        return picked, [0] * len(picked)


def _union(masks: Any) -> tuple[bool, ...]:
    return tuple(any(column) for column in zip(*masks))


def _full_transpose(
    branch: Jaxpr,
    linear: tuple[bool, ...],
    nonzero: tuple[bool, ...],
    wanted: tuple[bool, ...],
) -> Jaxpr:
    back, have = transpose_jaxpr(branch, linear, nonzero)
    if have == wanted:
        return back
    avals = [a for a, lin in zip(branch.in_avals, linear) if lin]

    def fill(*args: Any) -> list[Any]:
        outs = iter(eval_jaxpr(back, (), args))
        full = [
            next(outs) if h else zeros(a.shape, a.dtype) for h, a in zip(have, avals)
        ]
        return [x for x, w in zip(full, wanted) if w]

    return stage_closed(fill, back.in_avals, "cond")


class _CondPlan:
    """How a choice linearizes: all branches give the residuals of all, zeros for the others'."""

    def __init__(
        self, first: Jaxpr, branches: tuple[Jaxpr, ...], nonzero: tuple[bool, ...]
    ):
        parts = [linearize_jaxpr(b, nonzero) for b in branches]
        self.wanted = _union(p[2] for p in parts)
        n_outs = len(self.wanted)
        shared: list[Aval] = []  # residual slots; branches share those of equal type
        places: list[list[int]] = []
        for forward, _, _ in parts:
            free = list(range(len(shared)))
            mine = []
            for a in forward.out_avals[n_outs:]:
                a = a.strong()
                fit = next((i for i in free if shared[i] is a), None)
                if fit is None:
                    shared.append(a)
                    fit = len(shared) - 1
                else:
                    free.remove(fit)
                mine.append(fit)
            places.append(mine)
        self.forward = tuple(
            _padded_forward(forward, n_outs, mine, shared)
            for (forward, _, _), mine in zip(parts, places)
        )
        self.linear = tuple(
            _picking_linear(linear, have, self.wanted, mine, shared, first)
            for (_, linear, have), mine in zip(parts, places)
        )


def _padded_forward(
    forward: Jaxpr, n_outs: int, mine: list[int], shared: list[Aval]
) -> Jaxpr:
    def run(*args: Any) -> list[Any]:
        outs = eval_jaxpr(forward, (), args)
        slots: list[Any] = [None] * len(shared)
        for place, value in zip(mine, outs[n_outs:]):
            slots[place] = value
        return outs[:n_outs] + [
            zeros(a.shape, a.dtype) if s is None else s for s, a in zip(slots, shared)
        ]

    return stage_closed(run, forward.in_avals, "cond")


def _picking_linear(
    linear: Jaxpr,
    have: Sequence[bool],
    wanted: Sequence[bool],
    mine: list[int],
    shared: list[Aval],
    first: Jaxpr,
) -> Jaxpr:
    n_tangents = len(linear.invars) - len(mine)

    def run(*args: Any) -> list[Any]:
        slots, tangents = args[: len(shared)], args[len(shared) :]
        outs = iter(eval_jaxpr(linear, (), [*[slots[i] for i in mine], *tangents]))
        full = [
            next(outs) if h else Zero(v.aval.tangent())
            for h, v in zip(have, first.outvars)
        ]
        return [instantiate(t) for t, w in zip(full, wanted) if w]

    tangent_avals = linear.in_avals[len(linear.invars) - n_tangents :]
    return stage_closed(run, [*shared, *tangent_avals], "cond")


# -- public --------------------------------------------------------------------------------


_NONE: Any = object()  # None is an operand


def _given(who: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    if operand is _NONE:
        return operands
    if operands:
        raise TypeError(f"{who}: give operands by position or operand=, not both")
    return (operand,)


@public
def switch(
    index: Any,
    branches: Sequence[Callable[..., Any]],
    *operands: Any,
    operand: Any = _NONE,
) -> Any:
    """branches[index](*operands), the index clamped to the range of the branches.

    Args:
      index: integer scalar.
      branches: functions of the operands whose results agree in structure, shapes and dtypes.
      *operands: arrays or pytrees of them.
      operand: a single operand by keyword (historical).

    Returns:
      The result of the chosen branch.

    Raises:
      TypeError: the index is no integer scalar, or results differ (the leaf is named).
      ValueError: there are no branches.

    >>> from ferax import lax
    >>> lax.switch(1, [lambda x: x, lambda x: x + 10, lambda x: x * 2], 5)
    Array(15, dtype=int32, weak_type=True)
    """
    operands = _given("switch", operands, operand)
    branches = list(branches)
    if not branches:
        raise ValueError("switch: there must be at least one branch")
    index = to_array(index, "switch", "the index")
    if index.shape or not dtypes.is_integer(index.dtype):
        raise TypeError(
            f"switch: the index must be an integer scalar; got {index.aval.short()}"
        )
    if config.disable_jit:
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    if len(branches) == 1:
        return branches[0](*operands)
    index = convert(index, np.dtype(np.int32))
    return _choose("switch", index, branches, operands)


@public
def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _NONE,
) -> Any:
    """true_fun(*operands) if pred else false_fun(*operands); under jit only one of them runs.

    Args:
      pred: bool scalar (numbers count as `pred != 0`).
      true_fun, false_fun: functions of the operands whose results agree in structure, shapes and
        dtypes.
      *operands: arrays or pytrees of them.
      operand: a single operand by keyword (historical).

    Returns:
      The result of the chosen function. Under `vmap` over `pred` both run, and `where` picks.

    Raises:
      TypeError: `pred` is no bool or real scalar, or results differ (the leaf is named).

    >>> from ferax import lax
    >>> lax.cond(True, lambda x: x + 1, lambda x: x - 1, 3.0)
    Array(4., dtype=float32, weak_type=True)
    """
    if not callable(true_fun) and len(operands) == 2 and callable(operands[1]):
        # historical: cond(pred, x, f, y, g), where each function has its own operand
        x, f, (y, g) = true_fun, false_fun, operands
        return cond(pred, lambda x, _: f(x), lambda _, y: g(y), x, y)
    if not (callable(true_fun) and callable(false_fun)):
        raise TypeError(
            "cond: true_fun and false_fun must be functions: cond(pred, f, g, x)"
        )
    operands = _given("cond", operands, operand)
    pred = to_array(pred, "cond", "the predicate")
    if pred.shape:
        raise TypeError(
            f"cond: the predicate must be a scalar; got {pred.aval.short()}. Use jnp.where for a "
            "choice by element, or reduce it with .all() or .any()."
        )
    if dtypes.is_key(pred.dtype) or dtypes.is_complex(pred.dtype):
        raise TypeError(
            f"cond: the predicate must be a bool or a real number; got {pred.aval.short()}"
        )
    if config.disable_jit:
        return true_fun(*operands) if pred else false_fun(*operands)
    if not dtypes.is_bool(pred.dtype):
        pred = pred != 0
    return _choose(
        "cond", convert(pred, np.dtype(np.int32)), [false_fun, true_fun], operands
    )


def _choose(who: str, index: Any, funs: list[Any], operands: tuple[Any, ...]) -> Any:
    leaves, tree = flatten(operands)
    leaves = [to_array(x, who, "an operand") for x in leaves]
    avals = [x.aval for x in leaves]
    bodies = [trace_body(who, f, tree, avals) for f in funs]
    first = bodies[0]
    for f, body in zip(funs[1:], bodies[1:]):
        _check_same(who, funs[0], first, f, body)
    consts = [c for b in bodies for c in b.consts]
    counts = [len(b.consts) for b in bodies]
    kinds = [_common(column) for column in zip(*[b.out_avals for b in bodies])]
    branches = tuple(
        _with_all_consts(
            b.jaxpr, sum(counts[:i]), counts[i], len(consts), consts, kinds
        )
        for i, b in enumerate(bodies)
    )
    outs = Cond(branches).bind(index, *consts, *leaves)
    return unflatten(first.tree, outs)


_Kind = tuple[Any, bool]  # dtype, and whether it is weak


def _common(avals: Sequence[Aval]) -> _Kind:
    if dtypes.is_key(avals[0].dtype):
        return avals[0].dtype, False
    return dtypes.promote(*avals)[0], all(a.weak_type for a in avals)


def _with_all_consts(
    jaxpr: Jaxpr,
    start: int,
    count: int,
    total: int,
    consts: list[Any],
    kinds: list[_Kind],
) -> Jaxpr:
    """A branch that takes the constants of all branches, and gives the common dtypes."""
    same = [(a.dtype, a.weak_type) for a in jaxpr.out_avals] == kinds
    if count == total and same:
        return jaxpr
    const_avals = tuple(c.aval for c in consts)
    return derived(_widened, jaxpr, start, count, const_avals, tuple(kinds))  # type: ignore[no-any-return]


def _widened(
    jaxpr: Jaxpr,
    start: int,
    count: int,
    const_avals: tuple[Aval, ...],
    kinds: tuple[_Kind, ...],
) -> Jaxpr:
    total = len(const_avals)

    def run(*args: Any) -> list[Any]:
        outs = eval_jaxpr(jaxpr, (), [*args[start : start + count], *args[total:]])
        return [convert(to_array(o), *kind) for o, kind in zip(outs, kinds)]

    return stage_closed(run, [*const_avals, *jaxpr.in_avals[count:]], "cond")


def _check_same(who: str, f: Any, a: Any, g: Any, b: Any) -> None:
    if a.tree != b.tree:
        raise TypeError(
            f"{who}: the functions must return the same structure; {name_of(f)} returned {a.tree}, "
            f"{name_of(g)} {b.tree}"
        )
    wrong = [
        f"  result{leaf_path(a.tree, i)}: {x.short()} from {name_of(f)}, "
        f"{y.short()} from {name_of(g)}"
        for i, (x, y) in enumerate(zip(a.out_avals, b.out_avals))
        if x.shape != y.shape
        or (x.dtype != y.dtype and not (x.weak_type or y.weak_type))
    ]
    if wrong:
        raise TypeError(
            f"{who}: the functions must return the same shapes and dtypes, but\n"
            + "\n".join(wrong)
        )
