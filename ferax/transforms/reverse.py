"""Reverse mode: linearize, then transpose.

`LinearizeTrace` runs the user's function once. Primal values are computed as they come (eagerly,
or staged into an outer program); what happens to tangents is recorded on a tape of linear
operations, because `jvp` rules run with `TangentTrace` innermost, which records exactly the
operations that meet a tangent. `transpose_tape` then walks the tape backwards with each
operation's `transpose` rule. No program is built twice and no Python function is run twice.

Reference: R. Frostig, M. Johnson, D. Maclaurin, A. Paszke, A. Radul, "Decomposing reverse-mode
automatic differentiation" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import config, watch
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Zero
from ferax.core.basis import add_tangents, convert, instantiate, stage_closed
from ferax.core.jaxpr import (
    Eqn,
    Jaxpr,
    Literal,
    StageTracer,
    Var,
    derived,
    eval_jaxpr,
)
from ferax.core.tracing import (
    DualTracer,
    Trace,
    Tracer,
    aval_of,
    running,
    state,
    to_array,
)
from ferax.errors import public
from ferax.transforms.arguments import (
    Chosen,
    FlatCall,
    basis_of,
    check_callable,
    choose,
    describe_tree_difference,
    name_of,
)
from ferax.transforms.batching import vmap
from ferax.transforms.forward import jacfwd
from ferax.tree_util import Partial, flatten, tree_map, unflatten


class TangentTracer(Tracer):
    """A tangent: a variable on the tape."""

    __slots__ = ("variable",)

    def __init__(self, trace: Trace, var: Var):
        self.owner = trace
        self.aval = var.aval
        self.variable = var


class TangentTrace(Trace):
    """Records the operations that meet a tangent; all others happen outside."""

    __slots__ = ("tape",)

    def __init__(self, parent: Trace | None) -> None:
        super().__init__(parent)
        self.tape: list[tuple[Any, list[Any], list[Var]]] = []

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        inputs: list[Any] = []
        moved = False
        for a in args:
            if type(a) is TangentTracer and a.owner is self:
                inputs.append(a.variable)
                moved = True
            else:
                inputs.append(to_array(a))
        if not moved:
            state.trace = self.parent
            try:
                return op.bind(*args)  # type: ignore[no-any-return]
            finally:
                state.trace = self
        outs = [Var(a) for a in op.infer(tuple([v.aval for v in inputs]))]
        self.tape.append((op, inputs, outs))
        return [TangentTracer(self, v) for v in outs]


class LinearizeTracer(DualTracer):
    """A primal with its tangent on the tape."""

    __slots__ = ()


class LinearizeTrace(Trace):
    """Computes primals, records tangents."""

    __slots__ = ("tangents",)

    def __init__(self, parent: Trace | None) -> None:
        super().__init__(parent)
        self.tangents = TangentTrace(parent)

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        primals: list[Any] = []
        tangents: list[Any] = []
        moved = False
        for a in args:
            if type(a) is LinearizeTracer and a.owner is self:
                primals.append(a.primal)
                tangents.append(a.tangent)
                moved = True
            else:
                primals.append(a)
                tangents.append(Zero(aval_of(a).tangent()))
        if not moved:
            state.trace = self.parent
            try:
                return op.bind(*args)  # type: ignore[no-any-return]
            finally:
                state.trace = self
        state.trace = self.tangents
        try:
            outs, tangents_out = op.linearize(primals, tangents)
        finally:
            state.trace = self
        # a tangent that is no tracer depends on no input: it is a filled-in zero
        return [
            LinearizeTracer(self, o, t) if type(t) is TangentTracer else o
            for o, t in zip(outs, tangents_out)
        ]


class Linearized:
    """The values of a function at a point and its derivative there, as a tape."""

    __slots__ = ("outs", "trace", "in_vars", "out_vars", "in_avals", "tape", "depth")

    def __init__(
        self,
        fun: Callable[..., Sequence[Any]],
        primals: Sequence[Any],
        nonzero: Sequence[bool] | None = None,
    ):
        trace = self.trace = LinearizeTrace(state.trace)
        self.in_avals = [p.aval for p in primals]
        self.in_vars: list[Var | None] = []
        args: list[Any] = []
        for i, p in enumerate(primals):
            smooth = dtypes.is_inexact(p.dtype) and (nonzero is None or nonzero[i])
            var = Var(p.aval.tangent()) if smooth else None
            self.in_vars.append(var)
            args.append(
                LinearizeTracer(trace, p, TangentTracer(trace.tangents, var))
                if var
                else p
            )
        try:
            with running(trace):
                outs = fun(*args)
        finally:
            trace.tangents.alive = False
        self.tape = trace.tangents.tape
        self.outs: list[Any] = []
        self.out_vars: list[Var | None] = []
        for out in outs:
            out = to_array(out, "the result")
            mine = type(out) is LinearizeTracer and out.owner is trace
            self.outs.append(out.primal if mine else out)
            self.out_vars.append(out.tangent.variable if mine else None)

    def strip(self, tree: Any) -> Any:
        """Auxiliary data without the tracers of this run."""
        return tree_map(
            lambda x: (
                x.primal if type(x) is LinearizeTracer and x.owner is self.trace else x
            ),
            tree,
        )

    def pull(self, cts: Sequence[Any], once: bool = False) -> list[Any]:
        """Cotangents of the inputs for those of the results."""
        totals: dict[Var, Any] = {}
        for var, ct in zip(self.out_vars, cts):
            if var is not None and type(ct) is not Zero:
                totals[var] = add_tangents(totals[var], ct) if var in totals else ct
        transpose_tape(self.tape, totals, once)
        return [
            Zero(a.tangent()) if v is None else _as_weak(totals.get(v, Zero(v.aval)), a)
            for v, a in zip(self.in_vars, self.in_avals)
        ]


def _as_weak(ct: Any, aval: Aval) -> Any:
    """A cotangent that promotes as its primal does."""
    if type(ct) is Zero:
        return ct
    weak = aval.weak_type
    if dtypes.is_complex(aval.dtype):  # parts of a complex number are strongly typed
        weak = weak and ct.aval.weak_type
    return convert(ct, ct.dtype, weak)


def transpose_tape(
    tape: list[tuple[Any, list[Any], list[Var]]],
    totals: dict[Var, Any],
    once: bool = False,
) -> None:
    """Walk the tape backwards, adding up in `totals` the cotangent of each variable.

    `once` frees each entry of the tape when it has been used.
    """
    position = len(tape)
    while position:
        position -= 1
        op, inputs, outputs = tape.pop() if once else tape[position]
        if not any(v in totals for v in outputs):
            continue
        cts = [totals.pop(v) if v in totals else Zero(v.aval) for v in outputs]
        args = [LinearInput(v.aval) if type(v) is Var else v for v in inputs]
        for v, ct in zip(inputs, op.transpose(cts, args)):
            if type(v) is not Var or ct is None or type(ct) is Zero:
                continue
            if watch.results and config.enable_checks:
                _check_cotangent(op, v.aval, ct)
            totals[v] = add_tangents(totals[v], ct) if v in totals else ct


def _check_cotangent(op: Any, aval: Aval, ct: Any) -> None:
    if ct.shape != aval.shape or ct.dtype != aval.dtype:
        raise TypeError(
            f"the transpose rule of {op.name} gave a cotangent {ct.aval.short()} for an operand "
            f"{aval.short()}"
        )


# -- on programs (for operations that hold one) --------------------------------------------


def _linearize_jaxpr(
    jaxpr: Jaxpr, nonzero: tuple[bool, ...]
) -> tuple[Jaxpr, Jaxpr, tuple[bool, ...]]:
    parts: list[Any] = []

    def forward(*primals: Any) -> list[Any]:
        lin = Linearized(lambda *xs: eval_jaxpr(jaxpr, (), xs), primals, nonzero)
        linear, residuals = tape_program(lin)
        parts[:] = [linear, tuple(v is not None for v in lin.out_vars)]
        return lin.outs + residuals

    made = stage_closed(forward, jaxpr.in_avals, "linearize")
    return made, parts[0], parts[1]


def linearize_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool]
) -> tuple[Jaxpr, Jaxpr, tuple[bool, ...]]:
    """Split a program into what is known before the tangents are, and what is linear in them.

    Gives `forward`: inputs → results and residuals; `linear`: residuals, tangents (where
    `nonzero`) → tangents of the results for which the third answer is True.
    """
    return derived(_linearize_jaxpr, jaxpr, tuple(nonzero))  # type: ignore[no-any-return]


def tape_program(lin: Linearized) -> tuple[Jaxpr, list[Any]]:
    """The tape as a program of (residuals, tangents), and the values of the residuals."""
    needed = {v for v in lin.out_vars if v is not None}
    entries = []
    for op, inputs, outputs in reversed(lin.tape):
        if any(v in needed for v in outputs):
            entries.append((op, inputs, outputs))
            needed.update(v for v in inputs if type(v) is Var)
    residuals: dict[int, tuple[Var, Any]] = {}

    def known(x: Any) -> Var | Literal:
        if type(x) is Concrete and not x.shape and x._host is not None:
            return Literal(x._host, x.aval)
        key = id(
            x.variable if type(x) is StageTracer else x
        )  # two tracers may stand for one variable
        if key not in residuals:
            residuals[key] = (Var(x.aval), x)
        return residuals[key][0]

    eqns = [
        Eqn(op, [v if type(v) is Var else known(v) for v in inputs], outputs)
        for op, inputs, outputs in reversed(entries)
    ]
    outvars = [v for v in lin.out_vars if v is not None]
    invars = [var for var, _ in residuals.values()] + [
        v for v in lin.in_vars if v is not None
    ]
    return Jaxpr(invars, outvars, eqns), [value for _, value in residuals.values()]


def backward_pass(jaxpr: Jaxpr, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """Transpose a program at `args`, LinearInput where it is linear, values elsewhere.

    Gives cotangents (Zero or arrays) where linear and None elsewhere. Equations on values only
    are run first, in order.
    """
    values: dict[Any, Any] = {}
    for v, a in zip(jaxpr.invars, args, strict=True):
        if type(a) is not LinearInput:
            values[v] = a
    tape = []
    linear = {v for v, a in zip(jaxpr.invars, args) if type(a) is LinearInput}
    for eqn in jaxpr.eqns:
        inputs = [
            Concrete(v.aval, v.value)
            if type(v) is Literal
            else v
            if v in linear
            else values[v]
            for v in eqn.inputs
        ]
        if any(type(v) is Var for v in inputs):
            tape.append((eqn.op, inputs, eqn.outputs))
            linear.update(eqn.outputs)
        else:
            values.update(zip(eqn.outputs, eqn.op.bind(*inputs)))
    totals: dict[Var, Any] = {}
    for v, ct in zip(jaxpr.outvars, cts, strict=True):
        if v in linear and type(ct) is not Zero:
            totals[v] = add_tangents(totals[v], ct) if v in totals else ct
    transpose_tape(tape, totals, once=True)
    return [
        totals.get(v, Zero(v.aval)) if type(a) is LinearInput else None
        for v, a in zip(jaxpr.invars, args)
    ]


def _transpose_jaxpr(
    jaxpr: Jaxpr, linear: tuple[bool, ...], ct_nonzero: tuple[bool, ...]
) -> tuple[Jaxpr, tuple[bool, ...]]:
    known_avals = [a for a, lin in zip(jaxpr.in_avals, linear) if not lin]
    ct_avals = [a for a, n in zip(jaxpr.out_avals, ct_nonzero) if n]
    out_nonzero: list[bool] = []

    def back(*operands: Any) -> list[Any]:
        known, cts = (
            iter(operands[: len(known_avals)]),
            iter(operands[len(known_avals) :]),
        )
        args = [
            LinearInput(a) if lin else next(known)
            for a, lin in zip(jaxpr.in_avals, linear)
        ]
        full_cts = [
            next(cts) if n else Zero(a) for a, n in zip(jaxpr.out_avals, ct_nonzero)
        ]
        results = backward_pass(jaxpr, args, full_cts)
        answers = [r for r, lin in zip(results, linear) if lin]
        out_nonzero[:] = [type(r) is not Zero for r in answers]
        return [r for r in answers if type(r) is not Zero]

    made = stage_closed(back, [*known_avals, *ct_avals], "transpose")
    return made, tuple(out_nonzero)


def transpose_jaxpr(
    jaxpr: Jaxpr, linear: Sequence[bool], ct_nonzero: Sequence[bool]
) -> tuple[Jaxpr, tuple[bool, ...]]:
    """(known inputs, cotangents where nonzero) → cotangents of the linear inputs.

    The second answer says for which of the linear inputs there is one.
    """
    return derived(_transpose_jaxpr, jaxpr, tuple(linear), tuple(ct_nonzero))  # type: ignore[no-any-return]


# -- public --------------------------------------------------------------------------------


def _linearized(
    who: str, fun: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool
) -> tuple[Any, FlatCall, Linearized]:
    """The structure of the primals, the function on their leaves, and its run."""
    check_callable(who, fun)
    leaves, tree = flatten(primals)
    leaves = [to_array(x, who, "a primal") for x in leaves]
    call = FlatCall(who, lambda *xs: fun(*unflatten(tree, xs)), has_aux)
    return tree, call, Linearized(call, leaves)


@public
def vjp(
    fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Any = ()
) -> Any:
    """Value of `fun` and the function that pulls cotangents back: v ↦ vᵀ ∂f(x).

    Args:
      fun: function of arrays (or pytrees of them).
      *primals: its positional arguments.
      has_aux: `fun` returns (result, auxiliary data).

    Returns:
      (f(primals), pull), where `pull` takes a cotangent like the result and returns a tuple of
      cotangents, one per primal; and the auxiliary data if `has_aux`. `pull` is a pytree of what
      it keeps of f's run: transformed functions may return it and take it.

    >>> import ferax, ferax.numpy as jnp
    >>> value, pull = ferax.vjp(jnp.sin, 0.0)
    >>> pull(2.0)
    (Array(2., dtype=float32, weak_type=True),)
    """
    if reduce_axes:
        raise NotImplementedError("vjp: reduce_axes")
    tree, call, lin = _linearized("vjp", fun, primals, has_aux)
    value = unflatten(call.tree, lin.outs)
    program, residuals = tape_program(lin)
    in_avals, out_avals = lin.in_avals, [o.aval for o in lin.outs]
    ins, outs = (
        [v is not None for v in lin.in_vars],
        [v is not None for v in lin.out_vars],
    )
    needs = f"the pull-back of {name_of(fun)} needs a cotangent"

    @public
    def pull(residuals: list[Any], ct: Any) -> Any:
        flat, ct_tree = flatten(ct)
        if ct_tree != call.tree:
            raise ValueError(
                f"the pull-back of {name_of(fun)} takes a cotangent with the structure of the "
                "result; "
                + describe_tree_difference(
                    ct, unflatten(call.tree, out_avals), "cotangents", "results"
                )
            )
        cts = [checked_tangent(a, c, needs) for a, c in zip(out_avals, flat)]
        moving = [LinearInput(a.tangent()) for a, moves in zip(in_avals, ins) if moves]
        args = [*residuals, *moving]
        answers = backward_pass(program, args, [c for c, o in zip(cts, outs) if o])
        pulled = iter(answers[len(residuals) :])
        return unflatten(
            tree,
            [
                instantiate(_as_weak(next(pulled) if moves else Zero(a.tangent()), a))
                for a, moves in zip(in_avals, ins)
            ],
        )

    back = Partial(pull, residuals)
    return (value, back, lin.strip(call.aux)) if has_aux else (value, back)


def checked_tangent(aval: Aval, t: Any, needs: str, error: type = ValueError) -> Any:
    """A tangent or cotangent given by the user for a value of this kind."""
    want = aval.tangent()
    if type(t) is Zero or want.dtype == dtypes.float0:
        return Zero(want)
    t = to_array(t, needs)
    differs = t.dtype != want.dtype
    if differs and t.aval.weak_type and dtypes.promote(t.aval, want)[0] == want.dtype:
        t = t.astype(want.dtype)  # a Python number
    if t.shape != want.shape or t.dtype != want.dtype:
        part = "shape" if t.shape != want.shape else "dtype"
        raise error(
            f"{needs} of the {part} of the value, {want.short()}; got {t.aval.short()}"
        )
    return t


@public
def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of `fun` and its derivative at `primals` as a function: t ↦ ∂f(x)·t.

    The function is run once; the derivative may be applied to many tangents.

    Args:
      fun: function of arrays (or pytrees of them).
      *primals: its positional arguments.
      has_aux: `fun` returns (result, auxiliary data).

    Returns:
      (f(primals), push), where `push` takes one tangent per primal; and the auxiliary data if
      `has_aux`. `push` is a pytree of what it keeps of f's run, as `vjp`'s answer is.

    >>> import ferax, ferax.numpy as jnp
    >>> value, push = ferax.linearize(jnp.sin, 0.0)
    >>> push(2.0)
    Array(2., dtype=float32, weak_type=True)
    """
    tree, call, lin = _linearized("linearize", fun, primals, has_aux)
    value = unflatten(call.tree, lin.outs)
    program, residuals = tape_program(lin)
    in_avals, out_avals = lin.in_avals, [o.aval for o in lin.outs]
    ins, outs = (
        [v is not None for v in lin.in_vars],
        [v is not None for v in lin.out_vars],
    )
    needs = f"the derivative of {name_of(fun)} needs a tangent"

    @public
    def push(residuals: list[Any], *tangents: Any) -> Any:
        flat, t_tree = flatten(tangents)
        if t_tree != tree:
            raise TypeError(
                f"the derivative of {name_of(fun)} takes tangents with the structure of the "
                "primals; "
                + describe_tree_difference(
                    tangents, unflatten(tree, in_avals), "tangents", "primals"
                )
            )
        given = [checked_tangent(a, t, needs) for a, t in zip(in_avals, flat)]
        moving = [instantiate(t) for t, moves in zip(given, ins) if moves]
        pushed = iter(eval_jaxpr(program, (), [*residuals, *moving]))
        return unflatten(
            call.tree,
            [
                next(pushed) if moves else instantiate(Zero(a.tangent()))
                for a, moves in zip(out_avals, outs)
            ],
        )

    forth = Partial(push, residuals)
    return (value, forth, lin.strip(call.aux)) if has_aux else (value, forth)


@public
def linear_transpose(
    fun: Callable[..., Any], *primals: Any, reduce_axes: Any = ()
) -> Any:
    """The transpose of a function that is linear: ⟨A t, v⟩ = ⟨t, Aᵀ v⟩.

    Args:
      fun: a linear function of arrays (or pytrees of them).
      *primals: arrays or ShapeDtypeStructs that give the shapes and dtypes of its arguments.

    Returns:
      A function from a cotangent like the result of `fun` to a tuple of cotangents, one per
      argument.

    Raises:
      NotImplementedError: `fun` applies a non-linear operation to its arguments.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.linear_transpose(lambda x: 3.0 * x.sum(), jnp.ones(2))(1.0)
    (Array([3., 3.], dtype=float32, weak_type=True),)
    """
    if reduce_axes:
        raise NotImplementedError("linear_transpose: reduce_axes")
    check_callable("linear_transpose", fun)
    leaves, tree = flatten(primals)
    avals = [aval_of(x).strong() for x in leaves]
    for a in avals:
        if not dtypes.is_inexact(a.dtype):
            raise TypeError(
                f"linear_transpose needs floating or complex arguments; got {a.short()}"
            )
    call = FlatCall("linear_transpose", lambda *xs: fun(*unflatten(tree, xs)))
    trace = TangentTrace(state.trace)
    in_vars = [Var(a) for a in avals]
    with running(trace):
        outs = call(*[TangentTracer(trace, v) for v in in_vars])
    mine = [type(o) is TangentTracer and o.owner is trace for o in outs]
    if not all(mine):
        raise TypeError(
            "linear_transpose: a result does not depend linearly on the arguments"
        )

    @public
    def transposed(ct: Any) -> Any:
        flat, ct_tree = flatten(ct)
        if ct_tree != call.tree:
            raise TypeError(
                f"linear_transpose: the cotangent has the structure {ct_tree}, the result of "
                f"{name_of(fun)} has {call.tree}"
            )
        totals: dict[Var, Any] = {}
        needs = f"the transpose of {name_of(fun)} needs a cotangent"
        for out, c in zip(outs, flat):
            c = checked_tangent(out.aval, c, needs, TypeError)
            totals[out.variable] = (
                add_tangents(totals[out.variable], c) if out.variable in totals else c
            )
        transpose_tape(list(trace.tape), totals)
        return unflatten(
            tree, [instantiate(totals.get(v, Zero(v.aval))) for v in in_vars]
        )

    return transposed


@public
def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Any = (),
) -> Callable[..., Any]:
    """A function that gives both f(x) and ∇f(x).

    Args and errors are those of `grad`.

    Returns:
      A function with the arguments of `fun` that gives (value, gradient), or
      ((value, aux), gradient) if `has_aux`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.value_and_grad(lambda x: x**2)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    return _value_and_grad(
        "value_and_grad", fun, argnums, has_aux, holomorphic, allow_int, reduce_axes
    )


def _value_and_grad(
    who: str,
    fun: Callable[..., Any],
    argnums: Any,
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    reduce_axes: Any,
    only_grad: bool = False,
) -> Callable[..., Any]:
    if reduce_axes:
        raise NotImplementedError(f"{who}: reduce_axes")
    check_callable(who, fun)

    @wraps(fun)
    @public
    def grad_fun(*args: Any, **kwargs: Any) -> Any:
        chosen = choose(who, fun, argnums, args, kwargs)
        chosen.check_smooth(holomorphic, allow_int)
        call = FlatCall(who, chosen.call, has_aux)
        lin = Linearized(call, chosen.leaves)
        out = _scalar_output(who, fun, call, lin.outs, holomorphic)
        seed = Concrete(*_one(out.aval))
        grads = [instantiate(g) for g in lin.pull([seed], once=True)]
        gradient = unflatten(chosen.tree, grads)
        value = unflatten(call.tree, lin.outs)
        if has_aux:
            aux = lin.strip(call.aux)
            return (gradient, aux) if only_grad else ((value, aux), gradient)
        return gradient if only_grad else (value, gradient)

    return grad_fun


_ones: dict[Aval, Any] = {}


def _one(aval: Aval) -> tuple[Aval, Any]:
    if aval not in _ones:
        host = np.ones((), aval.dtype)
        host.flags.writeable = False
        _ones[aval] = host
    return aval, _ones[aval]


def _scalar_output(
    who: str, fun: Any, call: FlatCall, outs: list[Any], holomorphic: bool
) -> Any:
    if len(outs) != 1 or call.tree.num_nodes != 1 or outs[0].shape:
        shapes = ", ".join(o.aval.short() for o in outs)
        raise TypeError(
            f"{who}: {name_of(fun)} must return one number (an array without dimensions) to have a "
            f"gradient; it returned {shapes or 'no array'}"
            + (" in " + str(call.tree) if len(outs) != 1 else "")
            + ". Reduce it (jnp.sum, jnp.mean), or use jacrev for a Jacobian or vjp for a product "
            "with it; for auxiliary results pass has_aux=True."
        )
    (out,) = outs
    if holomorphic:
        if not dtypes.is_complex(out.dtype):
            raise TypeError(
                f"{who} with holomorphic=True needs a complex result; got {out.aval.short()}"
            )
    elif not dtypes.is_floating(out.dtype):
        hint = (
            " Pass holomorphic=True if the function is holomorphic."
            if dtypes.is_complex(out.dtype)
            else ""
        )
        raise TypeError(
            f"{who}: {name_of(fun)} must return a real floating number; it returned "
            f"{out.aval.short()}.{hint}"
        )
    return out


@public
def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Any = (),
) -> Callable[..., Any]:
    """The gradient of a scalar function, in reverse mode.

    Args:
      fun: function of arrays (or pytrees of them) that returns a floating array of shape ().
      argnums: which positional argument(s) to differentiate by.
      has_aux: `fun` returns (result, auxiliary data).
      holomorphic: whether `fun` is promised to be holomorphic; then arguments and result are
        complex.
      allow_int: allow integer arguments, whose gradients are zeros of dtype float0.

    Returns:
      A function with the arguments of `fun` that gives the gradient, with the structure, shapes
      and dtypes of the chosen argument (a tuple for several); if `has_aux`, (gradient, aux).
      Python ints among the arguments count as floats. For complex arguments x = a + ib of a real
      f the gradient is ∂f/∂a - i ∂f/∂b.

    Raises:
      TypeError: the result is not a real scalar, or an argument is not differentiable.
      ValueError: `argnums` is out of range.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.grad(lambda x: jnp.sum(x**2))(jnp.array([1., 2.]))
    Array([2., 4.], dtype=float32)
    """
    return _value_and_grad(
        "grad", fun, argnums, has_aux, holomorphic, allow_int, reduce_axes, True
    )


@public
def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, row by row in reverse mode: best for wide Jacobians.

    Args and result are those of `jacfwd`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.jacrev(lambda x: x**2)(jnp.array([1., 2.]))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """

    check_callable("jacrev", fun)

    @wraps(fun)
    @public
    def jacobian_fun(*args: Any, **kwargs: Any) -> Any:
        chosen = choose("jacrev", fun, argnums, args, kwargs)
        chosen.check_smooth(holomorphic, allow_int)
        call = FlatCall("jacrev", chosen.call, has_aux)
        lin = Linearized(call, chosen.leaves)
        call.check_outputs(lin.outs, holomorphic, dtypes.is_floating)

        def pull(*cts: Any) -> list[Any]:
            return [instantiate(c) for c in lin.pull(cts)]

        rows = vmap(pull)(*basis_of(lin.outs)) if lin.outs else []
        result = unflatten(call.tree, _split_rows(rows, lin.outs, chosen))
        return (result, lin.strip(call.aux)) if has_aux else result

    return jacobian_fun


def _split_rows(rows: list[Any], outs: list[Any], chosen: Chosen) -> list[Any]:
    blocks, start = [], 0
    for out in outs:
        part = [
            r[start : start + out.size].reshape(*out.shape, *r.shape[1:]) for r in rows
        ]
        blocks.append(unflatten(chosen.tree, part))
        start += out.size
    return blocks


jacobian = jacrev


@public
def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The matrix of second derivatives, as forward over reverse mode.

    Args are those of `jacfwd`. For a scalar `fun` of an array of shape (*a) the result has shape
    (*a, *a).

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([1., 2.]))
    Array([[4., 2.],
           [2., 0.]], dtype=float32)
    """
    return jacfwd(
        jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic
    )
