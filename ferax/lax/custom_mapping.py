"""What vmap does with a function, said by the user: custom_vmap, sequential_vmap.

Outside of vmap such a function is simply called. Inside it is one operation that holds the
function as a program and the rule as a Python function. Its derivative is that of the program;
the rule is kept for the primal values only, and is differentiated in forward mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from ferax import dtypes
from ferax.core.avals import Aval, Zero
from ferax.core.basis import instantiate, moveaxis, with_zeros, without_zeros
from ferax.core.jaxpr import Jaxpr, eval_jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.lax.custom import positional, signature_of
from ferax.lax.scanning import scan
from ferax.transforms.arguments import FlatCall, check_callable, name_of
from ferax.transforms.batching import Axis, batch_jaxpr, to_front
from ferax.transforms.calls import JitCall
from ferax.transforms.forward import jvp_flat, jvp_jaxpr
from ferax.tree_util import flatten, unflatten

# (axis size, which operands are mapped, operands, closed-over values)
# -> (results, which of them are mapped)
FlatRule = Callable[..., tuple[list[Any], list[bool]]]


def in_turn(
    fun: Callable[..., Sequence[Any]],
    size: int,
    args: Sequence[Any],
    dims: Sequence[Any],
) -> list[Any]:
    """`fun` applied to slice after slice of the operands, as one loop; results stacked."""
    rows = [moveaxis(x, d, 0) for x, d in zip(args, dims) if d is not None]

    def step(_: None, slices: list[Any]) -> tuple[None, list[Any]]:
        rest = iter(slices)
        each = [x if d is None else next(rest) for x, d in zip(args, dims)]
        return None, list(fun(*each))

    return scan(step, None, rows, size)[1]  # type: ignore[no-any-return]


class CustomVmapCall(Primitive, interned=False):
    """A function, as a program whose first `n_consts` inputs it closed over, with a rule."""

    jaxpr: Jaxpr
    n_consts: int
    label: str
    rule: FlatRule
    name = "custom_vmap_call"
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:  # type: ignore[override]
        return self.jaxpr.effects

    @property
    def params(self) -> dict[str, Any]:
        return {"name": self.label, "jaxpr": self.jaxpr}

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for e in self.jaxpr.eqns)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.jaxpr.out_avals

    numpy = cannot("it is executed as a program")
    transpose = cannot("not linear")

    def execute(self, args: list[Any]) -> list[Any]:
        return eval_jaxpr(self.jaxpr, (), args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.jaxpr, *values)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        n = self.n_consts
        nonzero, moving = without_zeros(tangents)
        smooth = [dtypes.is_inexact(a.dtype) for a in self.jaxpr.out_avals]
        both, _ = jvp_jaxpr(self.jaxpr, nonzero, smooth)
        if any(nonzero[:n]):  # closed-over values: the rule knows nothing of them
            results = JitCall(self.label, both).bind(*primals, *moving)
        else:
            rule = partial(_pushed_rule, self.rule, both, nonzero[n:])
            op = CustomVmapCall(both, n, f"jvp({self.label})", rule)
            results = op.bind(*primals, *moving)
        outs, touts = results[: len(smooth)], results[len(smooth) :]
        return outs, with_zeros(outs, touts, smooth)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return JitCall(self.label, self.jaxpr).linearize(primals, tangents)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        n = self.n_consts
        if all(d is None for d in dims[n:]):  # only what it closed over is mapped
            mapped = [d is not None for d in dims]
            jaxpr, out_mapped = batch_jaxpr(self.jaxpr, axis, mapped)
            front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
            outs = eval_jaxpr(jaxpr, (), front)
            return outs, [0 if m else None for m in out_mapped]
        if any(d is not None for d in dims[:n]):
            raise TypeError(
                f"{self.label} has a custom vmap rule, so it cannot close over mapped values; "
                "pass them as arguments"
            )
        mapped = [d is not None for d in dims[n:]]
        front = [
            x if d is None else moveaxis(x, d, 0) for x, d in zip(args[n:], dims[n:])
        ]
        outs, out_mapped = self.rule(axis.size, mapped, front, list(args[:n]))
        for out, aval, m in zip(outs, self.jaxpr.out_avals, out_mapped, strict=True):
            want = (axis.size, *aval.shape) if m else aval.shape
            if out.shape != want or out.dtype != aval.dtype:
                raise ValueError(
                    f"the vmap rule of {self.label} returned {out.aval.short()} where it should "
                    f"be {aval.update(shape=want).short()}"
                )
        return outs, [0 if m else None for m in out_mapped]


def _pushed_rule(
    rule: FlatRule,
    both: Jaxpr,
    nonzero: list[bool],
    size: int,
    mapped: list[bool],
    args: list[Any],
    consts: list[Any],
) -> tuple[list[Any], list[bool]]:
    """The rule for (primals, tangents where nonzero): the rule's own derivative.

    Where only tangents are mapped, as by jacfwd, the function is not: that is `both` mapped.
    """
    n = len(nonzero)
    axis = Axis(size)
    if not any(mapped[:n]):
        fixed = [False] * len(consts)
        jaxpr, out_flags = batch_jaxpr(both, axis, [*fixed, *mapped])
        return eval_jaxpr(jaxpr, (), [*consts, *args]), list(out_flags)
    rest = iter(zip(args[n:], mapped[n:]))
    primals, tangents, flags = [], [], []
    for x, m, moving in zip(args[:n], mapped[:n], nonzero):
        t, t_mapped = next(rest) if moving else (None, m)
        either = m or t_mapped
        flags.append(either)
        primals.append(x if m or not either else to_front(x, None, axis.size))
        if t is None:
            tangents.append(Zero(primals[-1].aval.tangent()))
        else:
            tangents.append(t if t_mapped or not either else to_front(t, None, size))
    out_mapped: list[bool] = []

    def flat(*xs: Any) -> list[Any]:
        outs, out_mapped[:] = rule(size, flags, list(xs), consts)
        return outs

    outs, touts = jvp_flat(flat, primals, tangents)
    smooth = [i for i, o in enumerate(outs) if dtypes.is_inexact(o.dtype)]
    return (
        [*outs, *[instantiate(touts[i]) for i in smooth]],
        [*out_mapped, *[out_mapped[i] for i in smooth]],
    )


class custom_vmap:
    """A function with its own rule for vmap.

    Args:
      fun: function of arrays (or pytrees of them), without keyword-only arguments. Arguments
        given by keyword reach the rule by position.

    `def_vmap(rule)` sets rule(axis_size, in_batched, *args) -> (result, out_batched): mapped
    arguments come with the mapped axis in front; `in_batched` and `out_batched` are bools in
    the structure of the arguments (as a list) and of the result.

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.custom_batching.custom_vmap
    ... def f(x):
    ...     return jnp.sin(x)
    >>> @f.def_vmap
    ... def f_mapped(axis_size, in_batched, x):
    ...     return jnp.cos(x), True  # to be seen
    >>> f(0.0), ferax.vmap(f)(jnp.zeros(2))
    (Array(0., dtype=float32, weak_type=True), Array([1., 1.], dtype=float32))
    """

    vmap_rule: Callable[..., Any] | None = None

    def __init__(self, fun: Callable[..., Any]):
        check_callable("custom_vmap", fun)
        update_wrapper(self, fun)
        self.fun = fun
        self.label = name_of(fun)

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule; gives it back, so that this works as a decorator."""
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        return self if obj is None else partial(self, obj)

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args = positional(self.label, signature_of(self.fun), args, kwargs)
        if state.trace is None:
            return self.fun(*args)
        leaves, tree = flatten(args)
        leaves = [to_array(x, self.label, "an argument") for x in leaves]
        call = FlatCall(self.label, lambda *xs: self.fun(*unflatten(tree, xs)))
        jaxpr, consts = stage(call, [x.aval for x in leaves], self.label)
        rule = partial(self._flat_rule, tree, call.tree)
        op = CustomVmapCall(jaxpr.closed(), len(consts), self.label, rule)
        return unflatten(call.tree, op.bind(*consts, *leaves))

    def _flat_rule(
        self,
        tree: Any,
        out_tree: Any,
        size: int,
        mapped: list[bool],
        args: list[Any],
        consts: list[Any],
    ) -> tuple[list[Any], list[bool]]:
        if self.vmap_rule is None:
            raise AttributeError(
                f"{self.label}: no vmap rule is set; use {self.label}.def_vmap"
            )
        in_batched = list(unflatten(tree, mapped))
        answer = self.vmap_rule(size, in_batched, *unflatten(tree, args))
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(
                f"the vmap rule of {self.label} must return a pair (result, out_batched); it "
                f"returned {type(answer).__name__}"
            )
        outs, t = flatten(answer[0])
        out_mapped, t_mapped = flatten(answer[1])
        if t != out_tree or t_mapped != out_tree:
            raise ValueError(
                f"the vmap rule of {self.label} must return result and out_batched with the "
                f"structure of the function's result, {out_tree}; got {t} and {t_mapped}"
            )
        return [to_array(o, self.label) for o in outs], [bool(m) for m in out_mapped]


@public
def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """`f`, which vmap applies to slice after slice in a loop instead of to all at once.

    Args:
      f: function of arrays (or pytrees of them).

    >>> import ferax, ferax.numpy as jnp
    >>> f = ferax.custom_batching.sequential_vmap(lambda x: x.ndim + 0 * x)
    >>> ferax.vmap(f)(jnp.zeros(3))
    Array([0., 0., 0.], dtype=float32)
    """
    made = custom_vmap(f)

    @made.def_vmap
    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> Any:
        leaves, tree = flatten(args)
        dims = [0 if m else None for m in flatten(in_batched)[0]]
        call = FlatCall(name_of(f), lambda *xs: f(*unflatten(tree, xs)))
        outs = in_turn(call, axis_size, leaves, dims)
        return unflatten(call.tree, outs), unflatten(call.tree, [True] * len(outs))

    return made
