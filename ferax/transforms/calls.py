"""The operation that calls a program: what a jitted function is inside of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferax.config import config, scoped
from ferax.core.array import Concrete, engine
from ferax.core.avals import Aval, LinearInput
from ferax.core.basis import moveaxis, with_zeros, without_zeros
from ferax.core.jaxpr import Jaxpr, Var, derived, eval_jaxpr
from ferax.core.primitive import Primitive
from ferax.core.tracing import examine
from ferax.errors import NonFiniteError
from ferax.transforms.batching import batch_jaxpr
from ferax.transforms.forward import jvp_jaxpr
from ferax.transforms.reverse import linearize_jaxpr, transpose_jaxpr


class JitCall(Primitive, interned=False):
    """Runs `jaxpr` (a program without constants) as one compiled unit."""

    label: str
    jaxpr: Jaxpr
    name = "jit"
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:
        return self.jaxpr.effects

    @property
    def params(self) -> dict[str, Any]:
        return {"name": self.label, "jaxpr": self.jaxpr}

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for e in self.jaxpr.eqns)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.jaxpr.out_avals

    def numpy(self, *values: Any) -> list[Any]:
        args = [Concrete(a, v) for a, v in zip(self.jaxpr.in_avals, values)]
        return [o.host() for o in eval_jaxpr(self.jaxpr, (), args)]

    def execute(self, args: list[Any]) -> list[Any]:
        return run_compiled(self.jaxpr, self.label, args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_function(self.jaxpr, self.label, values)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        both, out_nonzero = jvp_jaxpr(self.jaxpr, nonzero)
        results = JitCall(self.label, both).bind(*primals, *moving)
        outs, touts = results[: len(out_nonzero)], results[len(out_nonzero) :]
        return outs, with_zeros(outs, touts, out_nonzero)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        parts = derived(_split, self.jaxpr, tuple(nonzero))
        results = JitCall(self.label, parts.forward).bind(*primals)
        outs, stored = results[: parts.n_outs], results[parts.n_outs :]
        residuals = [primals[i] if own else stored[i] for own, i in parts.sources]
        touts = JitCall(self.label, parts.linear).bind(*residuals, *moving)
        return outs, with_zeros(outs, touts, parts.out_nonzero)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        linear = [type(a) is LinearInput for a in args]
        nonzero, moving = without_zeros(cts)
        back, out_nonzero = transpose_jaxpr(self.jaxpr, linear, nonzero)
        known = [a for a, lin in zip(args, linear) if not lin]
        results = iter(JitCall(self.label, back).bind(*known, *moving))
        answers = iter([next(results) if n else None for n in out_nonzero])
        return [next(answers) if lin else None for lin in linear]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        jaxpr, out_mapped = batch_jaxpr(self.jaxpr, axis, mapped)
        front = [moveaxis(x, d, 0) if d is not None else x for x, d in zip(args, dims)]
        outs = JitCall(self.label, jaxpr).bind(*front)
        return outs, [0 if m else None for m in out_mapped]


class _Split:
    """A linearized program whose residuals are not copied where they are inputs or results."""

    def __init__(self, forward: Jaxpr, linear: Jaxpr, out_nonzero: tuple[bool, ...]):
        self.linear, self.out_nonzero = linear, out_nonzero
        self.n_outs = len(out_nonzero)
        inputs = {v: i for i, v in enumerate(forward.invars)}
        stored: dict[Any, int] = {}
        self.sources: list[tuple[bool, int]] = []  # (whether an input, its place)
        for v in forward.outvars[self.n_outs :]:
            if type(v) is Var and v in inputs:
                self.sources.append((True, inputs[v]))
            else:
                self.sources.append((False, stored.setdefault(v, len(stored))))
        self.forward = Jaxpr(
            forward.invars, [*forward.outvars[: self.n_outs], *stored], forward.eqns
        )


def _split(jaxpr: Jaxpr, nonzero: tuple[bool, ...]) -> _Split:
    return _Split(*linearize_jaxpr(jaxpr, nonzero))


# -- compiled programs ---------------------------------------------------------------------


def compiled(
    jaxpr: Jaxpr,
    label: str,
    donated: tuple[bool, ...] = (),
    device: Any = None,
    **more: Any,
) -> Any:
    """The executable of a program without constants."""
    donated = donated or (False,) * len(jaxpr.invars)
    return engine().compile_jaxpr(jaxpr, label, donated, device, **more)


def run_compiled(jaxpr: Jaxpr, label: str, args: Sequence[Any]) -> list[Any]:
    """Run a program without constants on Arrays, compiled once for all calls."""
    device = next((a._committed for a in args if a._committed), None)
    executable = derived(compiled, jaxpr, label, (), device)
    buffers = executable.run([a.buffer() for a in args])
    outs = [Concrete(v, None, b) for v, b in zip(jaxpr.out_avals, buffers)]
    if config.examine_results:
        examine_program(label, jaxpr, (), args, outs)
    return outs


def examine_program(
    label: str,
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    args: Sequence[Any],
    outs: Sequence[Any],
) -> None:
    """Under debug_nans or debug_infs: find the operation that gave a result such a value.

    The program is run again, operation by operation, until one raises NonFiniteError.
    """
    try:
        examine(f"the compiled function {label}", outs)
    except NonFiniteError:
        if not any(a.is_deleted() for a in args):  # donated
            try:
                with scoped["disable_jit"](True):
                    eval_jaxpr(jaxpr, consts, args)
            except NonFiniteError as found:
                raise found from None
        raise
