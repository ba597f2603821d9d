"""Reverse mode through a while_loop, in bounded memory.

How many steps there will be is not known, so carries are kept in a fixed number of slots: every
`stride`-th one, and when the slots are full every second is dropped and the stride doubled (the
online scheme of P. Stumm and A. Walther, "New algorithms for optimal online checkpointing", 2010,
with the simplest of its placements). Going back, each stretch between two kept carries is run
again, its carries kept likewise in a second row of slots; within the short stretches that remain
each carry is recomputed from the nearest kept one. With m slots up to m² / 2 steps cost about three
times the forward loop; beyond, each step costs steps / m² more.

Everything here is made of `while_loop`, so it is traced, compiled, mapped and differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput
from ferax.core.basis import (
    add_tangents,
    instantiate,
    moveaxis,
    select,
    stage_closed,
    with_zeros,
    without_zeros,
    zeros,
)
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr
from ferax.core.primitive import Primitive, cannot
from ferax.lax.dynamic import dynamic_index_in_dim, dynamic_update_index_in_dim
from ferax.transforms.batching import batch_jaxpr
from ferax.transforms.forward import jvp_jaxpr
from ferax.transforms.reverse import backward_pass, linearize_jaxpr

INT = np.dtype(np.int32)
LARGE = 1 << 16  # elements of a carry from which fewer are kept
MANY, FEW = 128, 32


class Loop:
    """A while loop as programs, and what is needed to go back through it."""

    def __init__(
        self,
        body: Jaxpr,
        test: Jaxpr,
        n_test: int,
        n_body: int,
        nonzero: tuple[bool, ...],
        while_loop: Callable[..., Any],
    ):
        self.body, self.test, self.n_test, self.n_body = body, test, n_test, n_body
        self.nonzero = nonzero  # of the body's operands
        self.while_loop = while_loop
        self.forward, self.linear, have = linearize_jaxpr(body, nonzero)
        self.have = have
        self.n_carry = len(body.outvars)
        self.carry_avals = body.in_avals[n_body:]
        size = sum(a.size for a in self.carry_avals)
        self.slots = MANY if size < LARGE else FEW

    # Loop functions are made once per loop, and take all they need as state: so the programs
    # traced from them are found again.

    def empty(self) -> list[Any]:
        return [zeros((self.slots, *a.shape), a.dtype) for a in self.carry_avals]

    def goes_on(self, state: Any) -> Any:
        tests, carry = state[0], state[5]
        return eval_jaxpr(self.test, (), [*tests, *carry])[0]

    def has_room(self, state: Any) -> Any:
        """Whether a loop goes on, and the slots are not full."""
        return self.goes_on(state) & (state[2] < state[3] * self.slots)

    def record(self, state: Any) -> Any:
        """One step, after the carry went to its slot if its turn has come."""
        tests, consts, n, stride, rows, carry = state
        rows = _kept(rows, carry, n, stride)
        return tests, consts, n + 1, stride, rows, self.step(consts, carry)

    def record_many(self, state: Any) -> Any:
        """Steps until the slots are full, of which every second is dropped then, or to the end."""
        run = self.while_loop(self.has_room, self.record, state)
        tests, consts, n, stride, rows, carry = run
        full = n == stride * self.slots
        rows = [select(full, _thinned(r), r) for r in rows]
        return tests, consts, n, select(full, stride * 2, stride), rows, carry

    def step(self, consts: Sequence[Any], carry: Sequence[Any]) -> list[Any]:
        outs = eval_jaxpr(self.body, (), [*consts, *carry])
        return [
            o if o.aval is a else o.astype(a.dtype)
            for o, a in zip(outs, self.carry_avals)
        ]

    def before(self, state: Any) -> Any:
        return state[0] < state[1]

    def replay(self, state: Any) -> Any:
        """Steps from a kept carry, all of whose successors go to the second row of slots."""
        i, stop, start, stride, consts, rows, carry = state
        rows = _kept(rows, carry, i - start, stride)
        return i + 1, stop, start, stride, consts, rows, self.step(consts, carry)

    def advance(self, state: Any) -> Any:
        i, stop, consts, carry = state
        return i + 1, stop, consts, self.step(consts, carry)

    def any_left(self, state: Any) -> Any:
        return state[0] > state[1]

    def back_one(self, state: Any) -> Any:
        """Pull the cotangents through step i - 1, its carry recomputed from the second row."""
        i, low, start, stride, consts, rows, ct_consts, ct_carry = state
        i = i - 1
        slot = (i - start) // stride
        near = (start + slot * stride, i, consts, _row(rows, slot))
        carry = self.while_loop(self.before, self.advance, near)[3]
        ct_consts, ct_carry = self.pull(consts, carry, ct_consts, ct_carry)
        return i, low, start, stride, consts, rows, ct_consts, ct_carry

    def back_stretch(self, state: Any) -> Any:
        """Pull the cotangents through the stretch that ends at step i."""
        i, low, stride, consts, rows, again, ct_consts, ct_carry = state
        slot = (i - 1) // stride
        start = slot * stride
        inner = (i - start + self.slots - 1) // self.slots
        run = (start, i, start, inner, consts, again, _row(rows, slot))
        again = self.while_loop(self.before, self.replay, run)[5]
        back = (i, start, start, inner, consts, again, ct_consts, ct_carry)
        *_, again, ct_consts, ct_carry = self.while_loop(
            self.any_left, self.back_one, back
        )
        return start, low, stride, consts, rows, again, ct_consts, ct_carry

    def pull(
        self,
        consts: list[Any],
        carry: list[Any],
        ct_consts: list[Any],
        ct_carry: list[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Cotangents of one step's operands, the constants' added up."""
        values = eval_jaxpr(self.forward, (), [*consts, *carry])
        residuals = values[self.n_carry :]
        moving = [
            LinearInput(a.tangent())
            for a, n in zip(self.body.in_avals, self.nonzero)
            if n
        ]
        carries = self.nonzero[self.n_body :]
        given = iter(ct_carry)
        cts = [next(given) if n else None for n in carries]
        cts = [c for c, h in zip(cts, self.have) if h]
        answers = backward_pass(self.linear, [*residuals, *moving], cts)[
            len(residuals) :
        ]
        n_consts = sum(self.nonzero[: self.n_body])
        sums = [
            instantiate(add_tangents(s, c))
            for s, c in zip(ct_consts, answers[:n_consts])
        ]
        return sums, [instantiate(c) for c in answers[n_consts:]]


def _row(rows: list[Any], slot: Any) -> list[Any]:
    return [dynamic_index_in_dim(r, slot, keepdims=False) for r in rows]


def _kept(rows: list[Any], carry: list[Any], n: Any, stride: Any) -> list[Any]:
    """The rows with the carry of step n in its slot, if it is one to keep."""
    slot = n // stride
    turn = n % stride == 0
    new = [select(turn, c, r) for c, r in zip(carry, _row(rows, slot))]
    return [dynamic_update_index_in_dim(r, x, slot, 0) for r, x in zip(rows, new)]


def _thinned(row: Any) -> Any:
    """Every second slot, in front."""
    half = row.shape[0] // 2
    return row.at[:half].set(row[::2])


class WhileTangent(Primitive, interned=False):
    """A loop's derivative: of constants, first carry, steps, stride, slots; and tangents."""

    loop: Loop
    keeps_weak_type = False
    calls = True

    @property
    def params(self) -> dict[str, Any]:
        return {"body": self.loop.body, "test": self.loop.test}

    def counts(self) -> tuple[int, int, int]:
        loop = self.loop
        return loop.n_test, loop.n_body, loop.n_carry

    def abstract(self, *avals: Aval) -> list[Aval]:
        carries = self.loop.nonzero[self.loop.n_body :]
        return [a.tangent() for a, n in zip(self.loop.carry_avals, carries) if n]

    numpy = cannot("it is executed as a program")

    def whole(self, *args: Any) -> list[Any]:
        """Forward mode: the loop again, with tangents."""
        loop = self.loop
        a, b, c = self.counts()
        tests, consts, carry = args[:a], args[a : a + b], args[a + b : a + b + c]
        moving = args[a + b + c + 2 + c :]
        both, _ = jvp_jaxpr(loop.body, loop.nonzero, loop.nonzero[b:])
        n_tc = sum(loop.nonzero[:b])

        def going(state: Any) -> Any:
            return eval_jaxpr(loop.test, (), [*tests, *state[:c]])[0]

        def step(state: Any) -> Any:
            return tuple(
                eval_jaxpr(both, (), [*consts, *state[:c], *moving[:n_tc], *state[c:]])
            )

        return list(loop.while_loop(going, step, (*carry, *moving[n_tc:]))[c:])

    def execute(self, args: list[Any]) -> list[Any]:
        return self.whole(*args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.program(values), *values)  # type: ignore[no-any-return]

    def program(self, args: Sequence[Any]) -> Jaxpr:
        """The derivative in forward mode."""
        return stage_closed(self.whole, [a.aval for a in args], "while_loop")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        both, have = jvp_jaxpr(self.program(primals), nonzero)
        results = eval_jaxpr(both, (), [*primals, *moving])
        outs, touts = results[: len(have)], results[len(have) :]
        return outs, with_zeros(outs, touts, have)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        forward, linear, have = linearize_jaxpr(self.program(primals), nonzero)
        results = eval_jaxpr(forward, (), primals)
        outs, residuals = results[: len(have)], results[len(have) :]
        touts = eval_jaxpr(linear, (), [*residuals, *moving])
        return outs, with_zeros(outs, touts, have)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        mapped = [d is not None for d in dims]
        avals = [
            x.aval.update(shape=x.shape[1:]) if m else x.aval
            for x, m in zip(front, mapped)
        ]
        program = stage_closed(self.whole, avals, "while_loop")
        jaxpr, out_mapped = batch_jaxpr(program, axis, mapped)
        return eval_jaxpr(jaxpr, (), front), [0 if m else None for m in out_mapped]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        loop = self.loop
        a, b, c = self.counts()
        consts = list(args[a : a + b])
        n, stride = args[a + b + c : a + b + c + 2]
        rows = list(args[a + b + c + 2 : a + b + c + 2 + c])
        moving = args[a + b + c + 2 + c :]
        n_tc = sum(loop.nonzero[:b])
        sums = [zeros(t.shape, t.dtype) for t in moving[:n_tc]]
        ct_carry = [instantiate(ct) for ct in cts]
        zero = Concrete(Aval((), INT), np.zeros((), INT))
        start = (n, zero, stride, consts, rows, loop.empty(), sums, ct_carry)
        *_, sums, ct_carry = loop.while_loop(loop.any_left, loop.back_stretch, start)
        answers = [*sums, *ct_carry]
        return [None] * (len(args) - len(moving)) + [
            x if isinstance(m, LinearInput) else None for x, m in zip(answers, moving)
        ]


def linearize_while(
    op: Any,
    nonzero: Sequence[bool],
    primals: Any,
    tangents: Any,
    while_loop: Callable[..., Any],
) -> tuple[list[Any], list[Any]]:
    """Run a `While`, keeping carries; its derivative as one operation on the tape.

    `nonzero` says which of the body's operands (constants, then carry) have a tangent.
    """
    loop = derived(
        Loop, op.body, op.test, op.n_test, op.n_body, tuple(nonzero), while_loop
    )
    tests, consts, carry = op.parts(primals)
    zero = Concrete(Aval((), INT), np.zeros((), INT))
    one = Concrete(Aval((), INT), np.ones((), INT))
    start = (tests, consts, zero, one, loop.empty(), carry)
    _, _, n, stride, rows, outs = while_loop(loop.goes_on, loop.record_many, start)
    _, t_consts, t_carry = op.parts(tangents)
    moving = [instantiate(t) for t, m in zip([*t_consts, *t_carry], nonzero) if m]
    known = [*tests, *consts, *carry, n, stride, *rows]
    touts = WhileTangent(loop).bind(*known, *moving)
    carries = nonzero[op.n_body :]
    return outs, with_zeros(outs, touts, carries)
