"""Programs as data: variables, equations, jaxprs; how they are made, run, pruned and printed.

A `Jaxpr` is a list of equations `outputs = op(inputs)` between input and output variables. It is
made by running Python on tracers (`stage`): every operation met is recorded, also on constants.
`constvars` are inputs for values that the Python function closed over; `ClosedJaxpr` pairs them
with their values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes, errors
from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval
from ferax.core.tracing import Trace, Tracer, leak_message, running, state, to_array


class Var:
    """A value computed by a program."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval.terse()})"


class Literal:
    """A scalar constant written into an equation."""

    __slots__ = ("value", "aval")

    def __init__(self, value: np.ndarray, aval: Aval):
        self.value = value
        self.aval = aval

    @property
    def val(self) -> np.ndarray:
        return self.value

    def __repr__(self) -> str:
        return literal_text(self)


class Eqn:
    """`outputs = op(inputs)`, with the user's line that caused it and its named scopes."""

    __slots__ = ("op", "inputs", "outputs", "frame", "names")

    def __init__(
        self,
        op: Any,
        inputs: list[Var | Literal],
        outputs: list[Var],
        frame: Any = None,
        names: tuple[str, ...] = (),
    ):
        self.op = op
        self.inputs = inputs
        self.outputs = outputs
        self.frame = frame
        self.names = names

    @property
    def primitive(self) -> Any:
        return self.op

    @property
    def params(self) -> dict[str, Any]:
        return self.op.params  # type: ignore[no-any-return]

    @property
    def invars(self) -> list[Var | Literal]:
        return self.inputs

    @property
    def outvars(self) -> list[Var]:
        return self.outputs

    def where(self) -> str:
        """The user's line, for messages."""
        return errors.describe(self.frame) if self.frame else "an unknown line"

    def __repr__(self) -> str:
        return _Printer().eqn(self)


class Jaxpr:
    """A program. Compares and hashes by identity, so that it can key caches."""

    __slots__ = ("constvars", "invars", "outvars", "eqns", "memo", "__weakref__")

    def __init__(
        self,
        invars: Sequence[Var],
        outvars: Sequence[Var | Literal],
        eqns: Sequence[Eqn],
        constvars: Sequence[Var] = (),
    ):
        self.constvars = list(constvars)
        self.invars = list(invars)
        self.outvars = list(outvars)
        self.eqns = list(eqns)
        self.memo: dict[
            Any, Any
        ] = {}  # what transformations derived from it; see `derived`

    @property
    def in_avals(self) -> list[Aval]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[Aval]:
        return [v.aval for v in self.outvars]

    @property
    def effects(self) -> bool:
        return any(e.op.effects for e in self.eqns)

    def closed(self) -> Jaxpr:
        """The same program with its constants as leading inputs."""
        if not self.constvars:
            return self
        return Jaxpr(self.constvars + self.invars, self.outvars, self.eqns)

    def __repr__(self) -> str:
        return _Printer().jaxpr(self)

    def pretty_print(self) -> str:
        return repr(self)


class ClosedJaxpr:
    """A program with the values of its constants: what `make_jaxpr` gives."""

    __slots__ = ("jaxpr", "consts")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any]):
        self.jaxpr = jaxpr
        self.consts = list(consts)

    @property
    def eqns(self) -> list[Eqn]:
        return self.jaxpr.eqns

    @property
    def in_avals(self) -> list[Aval]:
        return self.jaxpr.in_avals

    @property
    def out_avals(self) -> list[Aval]:
        return self.jaxpr.out_avals

    @property
    def effects(self) -> bool:
        return self.jaxpr.effects

    def __repr__(self) -> str:
        return repr(self.jaxpr)

    def pretty_print(self) -> str:
        return repr(self.jaxpr)


def derived(make: Callable[..., Any], jaxpr: Jaxpr, *key: Any) -> Any:
    """`make(jaxpr, *key)`, remembered with the jaxpr for as long as that lives."""
    slot = (make, key)
    try:
        return jaxpr.memo[slot]
    except KeyError:
        pass
    result = jaxpr.memo[slot] = make(jaxpr, *key)
    return result


# -- staging -------------------------------------------------------------------------------


class StageTracer(Tracer):
    """Stands for a variable of the program being recorded."""

    __slots__ = ("variable", "frame")

    def __init__(self, trace: StageTrace, var: Var, frame: Any = None):
        self.owner = trace
        self.aval = var.aval
        self.variable = var
        self.frame = frame

    def origin(self) -> str:
        trace: Any = self.owner
        for i, var in enumerate(trace.invars):
            if var is self.variable:
                label = trace.label(i) if trace.label else f"input {i}"
                return f"It is {label} of the function {trace.who}."
        where = f" at {errors.describe(self.frame)}" if self.frame else ""
        return f"It was computed{where} while tracing the function {trace.who}."


class StageTrace(Trace):
    """Records every operation as an equation."""

    __slots__ = ("eqns", "constvars", "consts", "kept", "invars", "label", "who")

    def __init__(
        self,
        parent: Trace | None,
        who: str,
        in_avals: Sequence[Aval],
        label: Callable[[int], str] | None = None,
    ) -> None:
        super().__init__(parent)
        self.eqns: list[Eqn] = []
        self.constvars: dict[int, Var] = {}
        self.consts: list[Any] = []
        self.kept: list[Any] = []  # keeps what `constvars` knows by id alive
        self.invars = [Var(a) for a in in_avals]
        self.label = label  # names an input, for messages
        self.who = who

    @property
    def stages(self) -> bool:
        return True

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        inputs = [
            a.variable
            if type(a) is StageTracer and a.owner is self
            else self.capture(a, op.name)
            for a in args
        ]
        avals = tuple([v.aval for v in inputs])
        results = op._results.get(avals)
        if results is None:
            results = op.infer(avals)
        outputs = [Var(a) for a in results]
        frame = errors.user_frame()
        self.eqns.append(Eqn(op, inputs, outputs, frame, state.names))
        return [StageTracer(self, v, frame) for v in outputs]

    def capture(self, x: Any, where: str) -> Var | Literal:
        """The input that stands for a value from outside."""
        known = self.constvars.get(id(x))
        if known is not None:
            return known
        value = to_array(x, where)
        if isinstance(value, Tracer):
            if value.owner is self:
                return value.variable  # type: ignore[no-any-return]
            if not value.owner.alive or not self.encloses(value.owner):
                raise errors.UnexpectedTracerError(leak_message(value, where))
        elif (
            not value.aval.shape
            and value._host is not None
            and not dtypes.is_key(value.dtype)
        ):
            return Literal(value._host, value.aval)
        var = self.constvars[id(x)] = Var(value.aval)
        self.consts.append(value)
        self.kept.append(x)
        return var

    def encloses(self, other: Trace) -> bool:
        """Whether `other` is one of the traces around this one."""
        trace = self.parent
        while trace is not None:
            if trace is other:
                return True
            trace = trace.parent
        return False


def stage(
    fun: Callable[..., Sequence[Any]],
    in_avals: Sequence[Aval],
    who: str = "<function>",
    label: Callable[[int], str] | None = None,
) -> tuple[Jaxpr, list[Any]]:
    """Run `fun` on tracers; give the recorded program and the values it closed over."""
    trace = StageTrace(state.trace, who, in_avals, label)
    with running(trace):
        outs = fun(*[StageTracer(trace, v) for v in trace.invars])
        outvars = [
            o.variable
            if type(o) is StageTracer and o.owner is trace
            else trace.capture(o, f"the result of {who}")
            for o in outs
        ]
    jaxpr = Jaxpr(trace.invars, outvars, trace.eqns, list(trace.constvars.values()))
    if config.enable_checks:
        check_jaxpr(jaxpr)
    return jaxpr, trace.consts


# -- running -------------------------------------------------------------------------------


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Run a program operation by operation, as the active transformation wants it."""
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    try:
        for eqn in jaxpr.eqns:
            inputs = [
                values[v] if type(v) is Var else Concrete(v.aval, v.value)  # type: ignore[union-attr]
                for v in eqn.inputs
            ]
            for var, out in zip(eqn.outputs, eqn.op.bind(*inputs)):
                values[var] = out
    except errors.NonFiniteError as error:  # say where the operation was written
        if eqn.frame is not None and not hasattr(error, "eqn"):
            message = str(error).partition("\n")[0]
            error.args = (f"{message}\n  at {eqn.where()}",)
            error.eqn = eqn  # type: ignore[attr-defined]
        raise
    return [
        values[v] if type(v) is Var else Concrete(v.aval, v.value)  # type: ignore[union-attr]
        for v in jaxpr.outvars
    ]


# -- pruning -------------------------------------------------------------------------------


def prune(
    jaxpr: Jaxpr, wanted: Sequence[bool] | None = None
) -> tuple[Jaxpr, list[bool]]:
    """Drop equations whose results nobody uses, and outputs that are not wanted.

    All inputs stay; the second result says which of them are used.
    """
    outvars = [v for i, v in enumerate(jaxpr.outvars) if wanted is None or wanted[i]]
    used = {v for v in outvars if type(v) is Var}
    eqns = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.op.effects or any(v in used for v in eqn.outputs):
            eqns.append(eqn)
            used.update(v for v in eqn.inputs if type(v) is Var)
    eqns.reverse()
    pruned = Jaxpr(
        jaxpr.invars, outvars, eqns, [v for v in jaxpr.constvars if v in used]
    )
    return pruned, [v in used for v in jaxpr.invars]


# -- checking ------------------------------------------------------------------------------


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Raise JaxprTypeError unless every variable is defined once, before use, as typed."""
    seen: set[Var] = set()

    def define(var: Var, where: str) -> None:
        if var in seen:
            raise errors.JaxprTypeError(f"{where}: {var} is defined twice in\n{jaxpr}")
        seen.add(var)

    for var in jaxpr.constvars + jaxpr.invars:
        define(var, "inputs")
    for eqn in jaxpr.eqns:
        for v in eqn.inputs:
            if type(v) is Var and v not in seen:
                raise errors.JaxprTypeError(f"{eqn} uses {v} before it is defined")
        results = eqn.op.infer(tuple(v.aval for v in eqn.inputs))
        found = tuple(v.aval for v in eqn.outputs)
        if [a.strong() for a in results] != [a.strong() for a in found]:
            raise errors.JaxprTypeError(
                f"{eqn} should give {results}, is typed {found}"
            )
        for var in eqn.outputs:
            define(var, eqn.op.name)
    for v in jaxpr.outvars:
        if type(v) is Var and v not in seen:
            raise errors.JaxprTypeError(f"the output {v} is not defined in\n{jaxpr}")


# -- printing ------------------------------------------------------------------------------


def literal_text(literal: Literal) -> str:
    value = (
        literal.value.item() if literal.value.dtype.kind != "V" else literal.value[()]
    )
    return str(value)


class _Printer:
    """Names variables a, b, … in order of appearance."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}

    def name(self, v: Var | Literal) -> str:
        if type(v) is Literal:
            return literal_text(v)
        if v not in self.names:
            n, text = len(self.names), ""
            while True:
                text = chr(ord("a") + n % 26) + text
                n = n // 26 - 1
                if n < 0:
                    break
            self.names[v] = text
        return self.names[v]

    def typed(self, v: Any) -> str:
        return f"{self.name(v)}:{v.aval.terse()}"

    def eqn(self, eqn: Eqn, indent: str = "") -> str:
        lhs = " ".join(self.typed(v) for v in eqn.outputs)
        shown = {
            k: self.param(v, indent) for k, v in eqn.params.items() if v is not None
        }
        inner = f"\n{indent}  ".join(f"{k}={v}" for k, v in shown.items())
        if len(inner) <= 80 and not any("\n" in v for v in shown.values()):
            inner = " ".join(f"{k}={v}" for k, v in shown.items())
            params = f"[{inner}]" if shown else ""
        else:
            params = f"[\n{indent}  {inner}\n{indent}]"
        return f"{lhs} = {eqn.op.name}{params} {' '.join(self.name(v) for v in eqn.inputs)}"

    def param(self, value: Any, indent: str) -> str:
        if isinstance(value, Jaxpr):
            return _Printer().jaxpr(value, indent + "  ")
        if isinstance(value, tuple) and value and isinstance(value[0], Jaxpr):
            return f"({', '.join(self.param(v, indent) for v in value)})"
        if isinstance(value, np.dtype):
            return value.name
        if callable(value) and hasattr(value, "__name__"):
            return str(value.__name__)
        return str(value)

    def jaxpr(self, jaxpr: Jaxpr, indent: str = "") -> str:
        consts = " ".join(self.typed(v) for v in jaxpr.constvars)
        inputs = " ".join(self.typed(v) for v in jaxpr.invars)
        lines = [self.eqn(e, indent + "    ") for e in jaxpr.eqns]
        outs = ", ".join(self.name(v) for v in jaxpr.outvars)
        outs = f"({outs},)" if len(jaxpr.outvars) == 1 else f"({outs})"
        gap = " " if consts else ""
        head = f"{{ lambda {consts}{gap}; {inputs}. let"
        if not lines:
            return f"{head} in {outs} }}"
        body = "".join(f"\n{indent}    {line}" for line in lines)
        return f"{head}{body}\n{indent}  in {outs} }}"
