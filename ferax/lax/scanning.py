"""scan: a loop with a known number of steps, as one operation.

The operation holds its body as a program `(consts, carry, x) -> (carry, y)`. Every rule is
"transform the body, then scan": the tangent of a scan is a scan of pairs, its linearization a
scan that stacks residuals and a linear scan that consumes them, its transpose a scan backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Zero
from ferax.core.basis import (
    add_tangents,
    convert,
    instantiate,
    moveaxis,
    stage_closed,
    with_zeros,
    without_zeros,
    zeros,
)
from ferax.core.jaxpr import Jaxpr, Var, derived, eval_jaxpr, prune
from ferax.core.primitive import Primitive
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.bodies import (
    COMPILE_SECONDS,
    EQUATION_SECONDS,
    count_equations,
    permuted,
    run_operation,
    trace_body,
)
from ferax.lax.residuals import loop_invariant, slimmed
from ferax.lax.shape import known_integer, stack
from ferax.transforms.arguments import name_of
from ferax.transforms.batching import batch_jaxpr, to_front
from ferax.transforms.forward import jvp_jaxpr
from ferax.transforms.reverse import backward_pass, linearize_jaxpr
from ferax.tree_util import flatten, leaf_path, unflatten

TINY_EQUATIONS = 16  # of a step, up to which
TINY_SIZE = 8  # elements of each of its results
CHEAP_COPY = 16384  # elements that are copied sooner than a kernel is compiled


class Scan(Primitive, interned=False):
    """Fold `body(consts, carry, x) -> (carry, y)` over the leading axis of the xs."""

    body: Jaxpr
    n_consts: int
    n_carry: int
    length: int
    reverse: bool = False
    unroll: int = 1
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:  # type: ignore[override]
        return self.body.effects

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for e in self.body.eqns)

    def parts(self, args: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Operands as (consts, carry, xs)."""
        c, k = self.n_consts, self.n_consts + self.n_carry
        return list(args[:c]), list(args[c:k]), list(args[k:])

    def like(
        self, body: Jaxpr, n_consts: int, n_carry: int, reverse: bool | None = None
    ) -> Scan:
        backwards = self.reverse if reverse is None else reverse
        return Scan(body, n_consts, n_carry, self.length, backwards, self.unroll)

    def abstract(self, *avals: Aval) -> list[Aval]:
        outs = self.body.out_avals
        ys = [a.update(shape=(self.length, *a.shape)) for a in outs[self.n_carry :]]
        return outs[: self.n_carry] + ys

    # -- running ---------------------------------------------------------------------------

    def numpy(self, *values: Any) -> list[Any]:
        avals = self.body.in_avals
        lead = [a.update(shape=(self.length, *a.shape)) for a in avals]
        k = self.n_consts + self.n_carry
        args = [
            Concrete((avals if i < k else lead)[i], v) for i, v in enumerate(values)
        ]
        return [o.host() for o in self.interpret(args)]

    def execute(self, args: list[Any]) -> list[Any]:
        work = self.length * (1 + count_equations(self.body)) * EQUATION_SECONDS
        elements = sum(a.size for a in self.body.out_avals) * self.length
        small = work < COMPILE_SECONDS and elements < 1_000_000
        if config.disable_jit or (small and all(a.on_host() for a in args)):
            return self.interpret(args)
        return run_operation(self, self.body, args)

    def interpret(self, args: Sequence[Any]) -> list[Any]:
        """A plain loop: the reference for all other ways to run it."""
        consts, carry, xs = self.parts(args)
        hosts = [x.host() for x in xs]
        avals = self.body.in_avals[self.n_consts + self.n_carry :]
        out_avals = self.abstract()[self.n_carry :]
        ys = [np.empty(a.shape, dtypes.carrier(a.dtype)) for a in out_avals]
        steps = range(self.length)
        for i in reversed(steps) if self.reverse else steps:
            slices = [Concrete(a, h[i, ...]) for a, h in zip(avals, hosts)]
            outs = eval_jaxpr(self.body, (), [*consts, *carry, *slices])
            carry = outs[: self.n_carry]
            for y, out in zip(ys, outs[self.n_carry :]):
                y[i] = out.host()
        last = [
            c if c.aval is a else Concrete(a, c.host())
            for c, a in zip(carry, self.body.out_avals)
        ]
        return last + [Concrete(a, y) for a, y in zip(out_avals, ys)]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        consts, carry, xs = self.parts(values)
        int32 = np.dtype(np.int32)
        y_avals = self.abstract()[self.n_carry :]
        if not self.length:
            return [*carry, *map(hlo.zero, y_avals)]
        steps = self.steps_per_turn()
        # In a loop each row of ys is overwritten: a copy of an operand spares the kernel of zeros.
        small = (x for x in xs if x.aval.size <= CHEAP_COPY and steps < self.length)
        alike = {(x.shape, x.dtype): x for x in small}
        ys = [alike.get((a.shape, a.dtype)) or hlo.zero(a) for a in y_avals]

        def step(i: Any, state: list[Any]) -> list[Any]:
            at = i
            if self.reverse:
                at = hlo.binary("subtract", hlo.constant(self.length - 1, int32), i)
            zero = hlo.constant(0, int32)
            slices = []
            for x in xs:
                inner = x.shape[1:]
                sizes = ", ".join(map(str, (1, *inner)))
                cut = hlo.emit(
                    "dynamic_slice",
                    [x, at, *[zero] * len(inner)],
                    Aval((1, *inner), x.dtype),
                    f"slice_sizes = array<i64: {sizes}>",
                )
                slices.append(hlo.reshape(cut, inner))
            outs = hlo.call_jaxpr(self.body, *consts, *state[: self.n_carry], *slices)
            written = []
            for y, out in zip(state[self.n_carry :], outs[self.n_carry :]):
                row = hlo.reshape(out, (1, *out.shape))
                written.append(
                    hlo.emit(
                        "dynamic_update_slice",
                        [y, row, at, *[zero] * len(out.shape)],
                        y.aval,
                    )
                )
            return [*outs[: self.n_carry], *written]

        def body(i: Any, *state: Any) -> list[Any]:
            current = list(state)
            one = hlo.constant(1, int32)
            for _ in range(steps):
                current = step(i, current)
                i = hlo.binary("add", i, one)
            return [i, *current]

        def condition(i: Any, *state: Any) -> Any:
            return hlo.compare(i, hlo.constant(self.length, int32), "LT")

        start = hlo.constant(0, int32)
        if steps == self.length:
            return body(start, *carry, *ys)[1:]
        return hlo.while_loop(condition, body, [start, *carry, *ys])[1:]  # type: ignore[no-any-return]

    def steps_per_turn(self) -> int:
        """How many steps are written into one turn of the compiled loop.

        Two, if a step is so small that the loop's own work counts and its program is not much
        longer for it (docs/performance.md).
        """
        choices = [self.unroll]
        # callbacks of a loop come step by step, though nothing else says that they must
        if self.unroll == 1 and self.is_tiny() and not self.effects:
            choices = [2, 3]
        return next((n for n in choices if self.length % n == 0), 1)

    def is_tiny(self) -> bool:
        """Whether a step is a handful of operations on a handful of numbers."""
        made = [v.aval for eqn in self.body.eqns for v in eqn.outputs]
        few = count_equations(self.body) <= TINY_EQUATIONS
        return few and all(a.size <= TINY_SIZE for a in made)

    # -- rules -----------------------------------------------------------------------------

    def moving_carry(
        self, nonzero: Sequence[bool], spread: Callable[..., Any]
    ) -> list[bool]:
        """Least set of carry leaves that move, given the operands that do.

        A leaf moves if it enters the loop moving or leaves a step so; `spread(operands)` tells
        which results of one step move. It grows at most n_carry times.
        """
        consts, carry, xs = self.parts(nonzero)
        while True:
            after = spread([*consts, *carry, *xs])[: self.n_carry]
            grown = [a or b for a, b in zip(carry, after)]
            if grown == carry:
                return carry
            carry = grown

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero = [type(t) is not Zero for t in tangents]
        moving = self.moving_carry(nonzero, lambda m: jvp_jaxpr(self.body, m)[1])
        consts_n, _, xs_n = self.parts(nonzero)
        full = [*consts_n, *moving, *xs_n]
        n_ys = len(self.body.outvars) - self.n_carry
        both, out_nonzero = jvp_jaxpr(self.body, full, [*moving, *[False] * n_ys])
        # (consts, carry, xs, their tangents) → (consts both, carry both, xs both)
        n_in = len(full)
        place = {i: n_in + sum(full[:i]) for i in range(n_in) if full[i]}
        groups = self.parts(range(n_in))
        order = [j for g in groups for j in [*g, *[place[i] for i in g if i in place]]]
        n_out = len(out_nonzero)
        out_place = {
            i: n_out + sum(out_nonzero[:i]) for i in range(n_out) if out_nonzero[i]
        }
        out_groups = [range(self.n_carry), range(self.n_carry, n_out)]
        out_order = [
            j
            for g in out_groups
            for j in [*g, *[out_place[i] for i in g if i in out_place]]
        ]
        body = permuted(both, order, out_order)
        operands = [
            [
                *[primals[i] for i in g],
                *[instantiate(tangents[i]) for i in g if full[i]],
            ]
            for g in groups
        ]
        op = self.like(body, len(operands[0]), len(operands[1]))
        results = op.bind(*[x for group in operands for x in group])
        where = dict(zip(out_order, results))
        outs = [where[i] for i in range(n_out)]
        return outs, [
            where[out_place[i]] if i in out_place else Zero(o.aval.tangent())
            for i, o in enumerate(outs)
        ]

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero = [type(t) is not Zero for t in tangents]
        moving = self.moving_carry(nonzero, lambda m: linearize_jaxpr(self.body, m)[2])
        consts_n, _, xs_n = self.parts(nonzero)
        full = (*consts_n, *moving, *xs_n)
        plan = derived(_ScanPlan, self.body, full, self.n_consts, self.n_carry)
        results = self.like(plan.forward, self.n_consts, self.n_carry).bind(*primals)
        n_out = len(self.body.outvars)
        outs = results[:n_out]
        groups = self.parts(range(len(primals)))
        t_consts, t_carry, t_xs = [
            [instantiate(tangents[i]) for i in g if full[i]] for g in groups
        ]
        fixed = [primals[i] for i in plan.const_sources]
        fixed += eval_jaxpr(plan.hoisted, (), primals[: self.n_consts])
        rows = [primals[i] if own else results[i] for own, i in plan.row_sources]
        op = self.like(plan.linear, len(fixed) + len(t_consts), len(t_carry))
        touts = op.bind(*fixed, *t_consts, *t_carry, *rows, *t_xs)
        return outs, with_zeros(outs, touts, plan.out_nonzero)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        lin_consts, lin_carry, lin_xs = self.parts(
            [type(a) is LinearInput for a in args]
        )
        # a known operand of the carry is a zero that was filled in: linear all the same
        linear = [*lin_consts, *[True] * self.n_carry, *lin_xs]
        groups = self.parts(range(len(args)))
        ct_carry = [instantiate(c) for c in cts[: self.n_carry]]
        ct_ys = cts[self.n_carry :]
        ys_nonzero, moving_ys = without_zeros(ct_ys)
        body = derived(
            _transposed_body,
            self.body,
            tuple(linear),
            self.n_consts,
            self.n_carry,
            tuple(ys_nonzero),
        )
        known = [[args[i] for i in g if not linear[i]] for g in groups]
        sums = [zeros(args[i].shape, args[i].dtype) for i in groups[0] if linear[i]]
        op = self.like(body, len(known[0]), len(sums) + self.n_carry, not self.reverse)
        results = op.bind(*known[0], *sums, *ct_carry, *known[2], *moving_ys)
        n = len(sums)
        ct_consts, ct_init, ct_xs = (
            iter(results[:n]), results[n : n + self.n_carry], iter(results[n + self.n_carry :])
        )  # fmt: skip
        return [
            *[next(ct_consts) if lin else None for lin in lin_consts],
            *[ct if lin else None for ct, lin in zip(ct_init, lin_carry)],
            *[next(ct_xs) if lin else None for lin in lin_xs],
        ]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        carry_mapped = self.moving_carry(
            mapped, lambda m: batch_jaxpr(self.body, axis, m)[1]
        )
        consts_m, _, xs_m = self.parts(mapped)
        n_ys = len(self.body.outvars) - self.n_carry
        body, out_mapped = batch_jaxpr(
            self.body,
            axis,
            [*consts_m, *carry_mapped, *xs_m],
            [*carry_mapped, *[False] * n_ys],
        )
        consts, carry, xs = self.parts(list(zip(args, dims)))
        operands = [
            *[x if d is None else moveaxis(x, d, 0) for x, d in consts],
            *[
                to_front(x, d, axis.size) if m else x
                for (x, d), m in zip(carry, carry_mapped)
            ],
            *[x if d is None else moveaxis(x, d, 1) for x, d in xs],
        ]
        outs = self.like(body, self.n_consts, self.n_carry).bind(*operands)
        return outs, [
            (0 if i < self.n_carry else 1) if m else None
            for i, m in enumerate(out_mapped)
        ]


class _ScanPlan:
    """How a scan linearizes: a forward body that stacks residuals, a linear body.

    Residuals that are constants of the loop, or its xs, are not stacked again; those that follow
    from constants alone are computed once (`hoisted`, a program of the constants).
    """

    def __init__(
        self, body: Jaxpr, nonzero: tuple[bool, ...], n_consts: int, n_carry: int
    ):
        n_ys = len(body.outvars) - n_carry
        forward, linear, out_nonzero = linearize_jaxpr(body, nonzero)
        n_out = n_carry + n_ys
        forward, linear = slimmed(forward, linear, n_consts, n_carry, n_out)
        carry_nonzero = nonzero[n_consts : n_consts + n_carry]
        wanted = [*carry_nonzero, *out_nonzero[n_carry:]]
        self.out_nonzero = tuple(wanted)
        inputs = {v: i for i, v in enumerate(forward.invars)}
        n_res = len(forward.outvars) - n_out
        stored: list[Any] = []
        # where a row is found: among the primals or among the forward scan's results
        self.row_sources: list[tuple[bool, int]] = []
        rows: dict[Any, tuple[bool, int]] = {
            v: (False, i) for i, v in enumerate(forward.outvars[:n_out]) if i >= n_carry
        }
        rows |= {v: (True, i) for v, i in inputs.items() if i >= n_consts + n_carry}
        self.const_sources: list[int] = []
        const_places, hoisted_places, row_places = [], [], []
        fixed, fixed_eqns = loop_invariant(forward, n_consts)
        hoisted = []
        for place, v in enumerate(forward.outvars[n_out:]):
            i = inputs.get(v) if type(v) is Var else None
            if i is not None and i < n_consts:
                self.const_sources.append(i)
                const_places.append(place)
            elif v in fixed:
                hoisted.append(v)
                hoisted_places.append(place)
            else:
                if v not in rows:
                    rows[v] = (False, n_out + len(stored))
                    stored.append(v)
                self.row_sources.append(rows[v])
                row_places.append(place)
        outs = [*forward.outvars[:n_out], *stored]
        self.forward, _ = prune(Jaxpr(forward.invars, outs, forward.eqns))
        self.hoisted, _ = prune(Jaxpr(forward.invars[:n_consts], hoisted, fixed_eqns))
        const_places += hoisted_places
        t_counts = [
            sum(nonzero[:n_consts]), sum(carry_nonzero), sum(nonzero[n_consts + n_carry :]),
        ]  # fmt: skip
        t_start = [n_res, n_res + t_counts[0], n_res + t_counts[0] + t_counts[1]]
        t_places = [list(range(s, s + n)) for s, n in zip(t_start, t_counts)]
        order = [*const_places, *t_places[0], *t_places[1], *row_places, *t_places[2]]
        self.linear = permuted(_filled(linear, out_nonzero, wanted, body), order)


def _filled(
    linear: Jaxpr, have: Sequence[bool], want: Sequence[bool], body: Jaxpr
) -> Jaxpr:
    """A linear program with zeros for the results that are wanted but not there."""
    if list(have) == list(want):
        return linear

    def fill(*args: Any) -> list[Any]:
        outs = iter(eval_jaxpr(linear, (), args))
        full = [
            next(outs) if h else Zero(v.aval.tangent())
            for h, v in zip(have, body.outvars)
        ]
        return [instantiate(t) for t, w in zip(full, want) if w]

    return stage_closed(fill, linear.in_avals, "scan")


def _transposed_body(
    body: Jaxpr,
    linear: tuple[bool, ...],
    n_consts: int,
    n_carry: int,
    ys_nonzero: tuple[bool, ...],
) -> Jaxpr:
    """(known consts, sums, ct carry, known xs, ct ys) → (sums, ct carry, ct xs)."""
    avals = body.in_avals
    k = n_consts + n_carry
    y_avals = body.out_avals[n_carry:]
    known_c = [a for a, lin in zip(avals[:n_consts], linear) if not lin]
    sum_avals = [a.strong() for a, lin in zip(avals[:n_consts], linear) if lin]
    carry_avals = [a.strong() for a in avals[n_consts:k]]
    known_x = [a for a, lin in zip(avals[k:], linear[k:]) if not lin]
    ct_avals = [a for a, n in zip(y_avals, ys_nonzero) if n]
    counts = [len(g) for g in (known_c, sum_avals, carry_avals, known_x, ct_avals)]

    def back(*operands: Any) -> list[Any]:
        bounds = np.cumsum([0, *counts])
        consts, sums, ct_carry, rows, ct_ys = [
            list(operands[a:b]) for a, b in pairwise(bounds)
        ]
        known_consts, known_rows, moving = iter(consts), iter(rows), iter(ct_ys)
        args = [
            LinearInput(a)
            if lin
            else next(known_consts if i < n_consts else known_rows)
            for i, (a, lin) in enumerate(zip(avals, linear))
        ]
        cts = ct_carry + [
            next(moving) if n else Zero(a) for a, n in zip(y_avals, ys_nonzero)
        ]
        answers = backward_pass(body, args, cts)
        added = [
            add_tangents(s, c)
            for s, c in zip(sums, _linear(answers[:n_consts], linear))
        ]
        rest = [instantiate(c) for c in answers[n_consts:] if c is not None]
        return added + rest

    stage_avals = [*known_c, *sum_avals, *carry_avals, *known_x, *ct_avals]
    return stage_closed(back, stage_avals, "scan")


def _linear(answers: Sequence[Any], linear: Sequence[bool]) -> list[Any]:
    return [a for a, lin in zip(answers, linear) if lin]


# -- public --------------------------------------------------------------------------------


@public
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """Fold a function over the leading axis of arrays, keeping what each step gives out.

    In Python: `for x in xs: carry, y = f(carry, x); ys.append(y)`, compiled as one loop.

    Args:
      f: function of (carry, x) that gives (carry, y); the carry keeps structure, shapes and
        dtypes from step to step.
      init: the first carry, a pytree of arrays.
      xs: a pytree of arrays with leading axis `length`, or None.
      length: the number of steps, needed if `xs` has no arrays.
      reverse: go from the last slice to the first; `ys` stay in the order of `xs`.
      unroll: how many steps are written into one turn of the compiled loop; True for all.

    Returns:
      (last carry, ys), where ys has the structure of y with a leading axis `length`.

    Raises:
      TypeError: the carry changes its structure, shape or dtype (each leaf that does is named), or
        `f` does not return a pair.
      ValueError: leading axes differ, or `length` is missing.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.scan(lambda total, x: (total + x, total), 0, jnp.arange(4))
    (Array(6, dtype=int32), Array([0, 0, 1, 3], dtype=int32, weak_type=True))
    """
    if not callable(f):
        raise TypeError(f"scan needs a function of (carry, x); got {f!r}")
    if known_integer(unroll, "scan", "unroll") < 0:
        raise ValueError(f"scan: unroll must not be negative; got {unroll}")
    x_leaves, x_tree = flatten(xs)
    x_leaves = [to_array(x, "scan", "a leaf of xs") for x in x_leaves]
    length = leading_size("scan", x_leaves, x_tree, length)
    carry, carry_tree = flatten(init)
    carry = [to_array(c, "scan", "a leaf of init") for c in carry]
    if config.disable_jit and length:
        return _python_scan(f, init, x_leaves, x_tree, length, reverse)
    tree = flatten((init, xs))[1]
    slices = [x.aval.update(shape=x.shape[1:]) for x in x_leaves]
    while True:
        body = trace_body("scan", f, tree, [*[c.aval for c in carry], *slices])
        inner = _carry_tree(f, body)
        promoted = promote_weak(carry, body.out_avals)
        if promoted is None:
            break
        carry = promoted
    check_carry("scan", f, carry_tree, [c.aval for c in carry], inner, body.out_avals)
    carry = strengthened(carry, body.out_avals)
    n_carry = len(carry)
    steps = length if unroll is True else max(1, unroll)
    op = Scan(
        body.jaxpr,
        len(body.consts),
        n_carry,
        length,
        bool(reverse),
        min(steps, max(length, 1)),
    )
    outs = op.bind(*body.consts, *carry, *x_leaves)
    y_tree = body.tree.children()[1]
    return unflatten(carry_tree, outs[:n_carry]), unflatten(y_tree, outs[n_carry:])


def leading_size(
    who: str, leaves: list[Any], tree: Any, length: int | None = None
) -> int:
    """The size of the axis that a loop goes along, which all leaves of xs must share."""
    for i, x in enumerate(leaves):
        if not x.shape:
            raise ValueError(
                f"{who}: the leaf xs{leaf_path(tree, i)} has no leading axis to go along: "
                f"{x.aval.short()}"
            )
    sizes = {x.shape[0] for x in leaves}
    if length is not None:
        sizes.add(known_integer(length, "scan", "length"))
    if len(sizes) > 1:
        listing = ", ".join(
            f"xs{leaf_path(tree, i)}: {x.aval.short()}" for i, x in enumerate(leaves)
        )
        given = "" if length is None else f", length={length}"
        raise ValueError(
            f"{who}: the leading axes must have one size; got {listing}{given}"
        )
    if not sizes:
        needed = ", so the number of steps must be given: length=" * (who == "scan")
        raise ValueError(f"{who}: xs has no arrays{needed}")
    return int(sizes.pop())


def _carry_tree(f: Any, body: Any) -> Any:
    children = body.tree.children()
    data = body.tree.node_data()
    if data is None or data[0] not in (tuple, list) or len(children) != 2:
        raise TypeError(
            f"scan: {name_of(f)} must return a pair (carry, y); it returned {body.tree}"
        )
    return children[0]


def _python_scan(
    f: Any, carry: Any, leaves: list[Any], tree: Any, length: int, reverse: bool
) -> tuple[Any, Any]:
    ys = []
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, unflatten(tree, [x[i] for x in leaves]))
        ys.append(y)
    if reverse:
        ys.reverse()
    columns = [flatten(y)[0] for y in ys]
    y_tree = flatten(ys[0])[1]
    stacked = [stack([to_array(y) for y in column]) for column in zip(*columns)]
    return carry, unflatten(y_tree, stacked)


def promote_weak(carry: list[Any], out_avals: Sequence[Aval]) -> list[Any] | None:
    """The carry with weakly typed leaves of the dtypes that the loop returns; None if they are.

    So that `scan(f, 0, xs)` works for a float sum: the 0 takes the dtype of the sum. A leaf that
    changes is weakly typed no more, so that this comes to an end.
    """
    new = []
    for c, out in zip(carry, out_avals):
        differs = c.aval.weak_type and c.dtype != out.dtype and c.shape == out.shape
        if differs and dtypes.promote(c.aval, out)[0] == out.dtype:
            c = c.astype(out.dtype)
        new.append(c)
    return new if any(a is not b for a, b in zip(new, carry)) else None


def strengthened(carry: list[Any], out_avals: Sequence[Aval]) -> list[Any]:
    """The carry without weak types where steps return none.

    The body, traced with them, keeps the dtypes that a Python number has in it.
    """
    return [
        convert(c, out.dtype) if c.aval.weak_type and not out.weak_type else c
        for c, out in zip(carry, out_avals)
    ]


def check_carry(
    who: str,
    f: Any,
    tree: Any,
    avals: Sequence[Aval],
    out_tree: Any,
    outs: Sequence[Aval],
) -> None:
    """Raise unless the carry comes out of a step as it went in; names each leaf that does not."""
    if tree != out_tree:
        raise TypeError(
            f"{who}: {name_of(f)} must return a carry of the structure it got, {tree}; it "
            f"returned {out_tree}"
        )
    wrong = [
        f"  carry{leaf_path(tree, i)}: {a.short()} in, {o.short()} out"
        for i, (a, o) in enumerate(zip(avals, outs))
        if a.shape != o.shape or a.dtype != o.dtype
    ]
    if wrong:
        raise TypeError(
            f"{who}: {name_of(f)} must return a carry with the shapes and dtypes it got, but\n"
            + "\n".join(wrong)
            + "\nConvert with .astype or reshape inside of the function, or give an initial value "
            "of the type that it returns."
        )
