"""checkpoint: keep less for the backward pass, compute it again there.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost" (2016). The
linearized program is split at what the policy saves; the rest is computed a second time when the
cotangents arrive, behind a barrier that keeps the compiler from undoing this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from ferax.core.avals import Aval, Zero
from ferax.core.basis import moveaxis, stage_closed, with_zeros, without_zeros
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr, prune, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.transforms.arguments import FlatCall, name_of
from ferax.transforms.batching import batch_jaxpr
from ferax.transforms.forward import jvp_jaxpr
from ferax.transforms.reverse import backward_pass, linearize_jaxpr
from ferax.transforms.staging import resolve_arguments
from ferax.tree_util import flatten, tree_map, unflatten

# -- what policies answer --------------------------------------------------------------------


class _Answer:
    def __init__(self, name: str, keeps: bool):
        self.name, self.keeps = name, keeps

    def __bool__(self) -> bool:
        return self.keeps

    def __repr__(self) -> str:
        return self.name


Saveable = _Answer("Saveable", True)  # as True
Recompute = _Answer("Recompute", False)  # as False


class Offloadable(NamedTuple):
    """Kept, but in another memory: `Offloadable("device", "pinned_host")`."""

    src: str
    dst: str

    def __bool__(self) -> bool:
        raise NotImplementedError(
            f"checkpoint: a policy answered {self}, but values are kept where they are computed; "
            "answer Saveable or Recompute"
        )


Policy = Callable[..., Any]


# -- the operation ---------------------------------------------------------------------------


class Checkpoint(Primitive, interned=False):
    """Runs a program without constants; its linearization saves only what `policy` says."""

    jaxpr: Jaxpr
    policy: Policy | None
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:
        return self.jaxpr.effects

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for e in self.jaxpr.eqns)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.jaxpr.out_avals

    numpy = cannot("it is executed as a program")

    def execute(self, args: list[Any]) -> list[Any]:
        return eval_jaxpr(self.jaxpr, (), args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.jaxpr, *values)  # type: ignore[no-any-return]

    transpose = cannot("not linear")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        both, out_nonzero = jvp_jaxpr(self.jaxpr, nonzero)
        results = Checkpoint(both, self.policy).bind(*primals, *moving)
        outs, touts = results[: len(out_nonzero)], results[len(out_nonzero) :]
        return outs, with_zeros(outs, touts, out_nonzero)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        plan = derived(_Plan, self.jaxpr, tuple(nonzero), self.policy)
        results = eval_jaxpr(plan.forward, (), primals)
        outs, saved = results[: plan.n_outs], results[plan.n_outs :]
        op = CheckpointTangent(plan.recompute, plan.linear)
        touts = op.bind(*primals, *saved, *moving)
        return outs, with_zeros(outs, touts, plan.out_nonzero)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        jaxpr, out_mapped = batch_jaxpr(self.jaxpr, axis, mapped)
        front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        outs = Checkpoint(jaxpr, self.policy).bind(*front)
        return outs, [0 if m else None for m in out_mapped]


class _Plan:
    """A program split into a forward part that saves little and one that computes the rest."""

    def __init__(self, jaxpr: Jaxpr, nonzero: tuple[bool, ...], policy: Policy | None):
        whole, self.linear, self.out_nonzero = linearize_jaxpr(jaxpr, nonzero)
        self.n_outs = len(self.out_nonzero)
        outs, residuals = whole.outvars[: self.n_outs], whole.outvars[self.n_outs :]
        saved: list[Any] = []
        if policy is not None:
            for eqn in whole.eqns:
                if policy(eqn.op, *[v.aval for v in eqn.inputs], **eqn.params):
                    saved += eqn.outputs
        rest = [e for e in whole.eqns if not all(v in set(saved) for v in e.outputs)]
        self.recompute, _ = prune(Jaxpr([*whole.invars, *saved], residuals, rest))
        self.forward, _ = prune(Jaxpr(whole.invars, [*outs, *saved], whole.eqns))


class CheckpointTangent(Primitive, interned=False):
    """Linear in its last operands; residuals are computed from the first ones when needed."""

    recompute: Jaxpr
    linear: Jaxpr
    name = "checkpoint_tangent"
    calls = True
    keeps_weak_type = False

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.linear.out_avals

    numpy = cannot("it is executed as a program")

    def whole(self, *args: Any) -> list[Any]:
        known, moving = (
            args[: len(self.recompute.invars)],
            args[len(self.recompute.invars) :],
        )
        residuals = eval_jaxpr(self.recompute, (), known)
        return eval_jaxpr(self.linear, (), [*residuals, *moving])

    def execute(self, args: list[Any]) -> list[Any]:
        return self.whole(*args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.program(), *values)  # type: ignore[no-any-return]

    def program(self) -> Jaxpr:
        return derived(_tangent_program, self.recompute, self)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero, moving = without_zeros(tangents)
        both, out_nonzero = jvp_jaxpr(self.program(), nonzero)
        results = eval_jaxpr(both, (), [*primals, *moving])
        outs, touts = results[: len(out_nonzero)], results[len(out_nonzero) :]
        return outs, with_zeros(outs, touts, out_nonzero)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        n = len(self.recompute.invars)
        known = Barrier().bind(*args[:n])
        residuals = eval_jaxpr(self.recompute, (), known)
        answers = backward_pass(self.linear, [*residuals, *args[n:]], cts)
        return [None] * n + answers[len(residuals) :]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        n = len(self.recompute.invars)
        mapped = [d is not None for d in dims]
        recompute, res_mapped = batch_jaxpr(self.recompute, axis, mapped[:n])
        linear, out_mapped = batch_jaxpr(self.linear, axis, [*res_mapped, *mapped[n:]])
        front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        outs = CheckpointTangent(recompute, linear).bind(*front)
        return outs, [0 if m else None for m in out_mapped]


def _tangent_program(recompute: Jaxpr, op: CheckpointTangent) -> Jaxpr:
    n = len(recompute.outvars)
    return stage_closed(
        op.whole, [*recompute.in_avals, *op.linear.in_avals[n:]], "checkpoint"
    )


class Barrier(Primitive):
    """The operands, unchanged, all computed before any result is used."""

    name = "optimization_barrier"

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(avals)

    def numpy(self, *values: Any) -> list[Any]:
        return list(values)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        if not values:
            return []
        outs = hlo.emit("optimization_barrier", list(values), list(hlo.out))
        return outs if isinstance(outs, list) else [outs]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        moving = iter(self.bind(*without_zeros(tangents)[1]))
        return outs, [t if type(t) is Zero else next(moving) for t in tangents]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        moving = iter(self.bind(*without_zeros(cts)[1]))
        return [c if type(c) is Zero else next(moving) for c in cts]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return self.bind(*args), list(dims)


# -- public --------------------------------------------------------------------------------


@public
def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    concrete: bool = False,
) -> Callable[..., Any]:
    """`fun`, whose intermediate values are computed again for the backward pass, not kept.

    Args:
      fun: function of arrays (or pytrees of them).
      prevent_cse: accepted; the recomputation is always kept apart from the first one.
      policy: decides by operation what is kept after all; see `checkpoint_policies`.
      static_argnums, static_argnames: arguments that are Python values.

    Returns:
      A function with the same results and derivatives.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.grad(ferax.checkpoint(lambda x: jnp.sin(jnp.sin(x))))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    if concrete:
        raise NotImplementedError("checkpoint: concrete=True")
    if fun is None:
        return lambda f: checkpoint(
            f,
            policy=policy,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
        )
    for function in (fun, policy):
        if function is not None and not callable(function):
            raise TypeError(f"checkpoint needs a function; got {function!r}")
    static, names = resolve_arguments(
        "checkpoint", fun, static_argnums, static_argnames, "static"
    )

    @wraps(fun)
    @public
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        places = {i % len(args) for i in static} if args else set()
        dynamic = tuple(a for i, a in enumerate(args) if i not in places)
        known = {k: v for k, v in kwargs.items() if k in names}
        moving_kwargs = {k: v for k, v in kwargs.items() if k not in names}
        leaves, tree = flatten((dynamic, moving_kwargs))
        leaves = [to_array(x, "checkpoint", "an argument") for x in leaves]

        def inner(*xs: Any) -> Any:
            rest, named = unflatten(tree, xs)
            moving = iter(rest)
            full = [a if i in places else next(moving) for i, a in enumerate(args)]
            return fun(*full, **named, **known)

        if state.trace is None:
            return inner(*leaves)
        call = FlatCall("checkpoint", inner)
        jaxpr, consts = stage(call, [x.aval for x in leaves], name_of(fun))
        outs = Checkpoint(jaxpr.closed(), policy).bind(*consts, *leaves)
        return unflatten(call.tree, outs)

    return checkpointed


remat = checkpoint


class checkpoint_policies:
    """What `checkpoint` keeps: functions of an operation, to be passed as `policy`."""

    @staticmethod
    def everything_saveable(op: Any, *_: Any, **__: Any) -> bool:
        """Keep all: as without checkpoint."""
        return True

    @staticmethod
    def nothing_saveable(op: Any, *_: Any, **__: Any) -> bool:
        """Keep the arguments only (the default)."""
        return False

    @staticmethod
    def dots_saveable(op: Any, *_: Any, **__: Any) -> bool:
        """Keep results of matrix products and convolutions."""
        return op.name in ("dot_general", "conv_general_dilated")

    checkpoint_dots = dots_saveable

    @staticmethod
    def dots_with_no_batch_dims_saveable(op: Any, *_: Any, **__: Any) -> bool:
        """Keep results of matrix products without batch axes: those of weights."""
        return op.name == "dot_general" and not op.batch_axes[0]

    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_only_these_names(*names: str) -> Policy:
        """Keep values named so by `checkpoint_name`."""
        return lambda op, *_, **__: op.name == "name" and op.label in names

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Policy:
        """Keep all but values named so by `checkpoint_name`."""
        return lambda op, *_, **__: not (op.name == "name" and op.label in names)

    @staticmethod
    def save_any_names_but_these(*names: str) -> Policy:
        """Keep values named by `checkpoint_name`, but not these."""
        return lambda op, *_, **__: op.name == "name" and op.label not in names

    @staticmethod
    def save_from_both_policies(a: Policy, b: Policy) -> Policy:
        """Keep what either of two policies keeps."""
        return lambda op, *avals, **params: (
            a(op, *avals, **params) or b(op, *avals, **params)
        )


class Name(Primitive):
    """The operand, with a name that policies refer to."""

    label: str

    def abstract(self, x: Aval) -> list[Aval]:
        return [x]

    def numpy(self, x: Any) -> list[Any]:
        return [x]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [x]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return self.bind(*primals), list(tangents)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return list(cts)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return self.bind(*args), list(dims)


@public
def checkpoint_name(x: Any, name: str) -> Any:
    """`x`, an array or a pytree of them, named for the policies of `checkpoint`.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax.ad_checkpoint import checkpoint_name
    >>> f = lambda x: jnp.sin(checkpoint_name(jnp.sin(x), "inner"))
    >>> kept = ferax.checkpoint_policies.save_only_these_names("inner")
    >>> ferax.grad(ferax.checkpoint(f, policy=kept))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return tree_map(lambda leaf: Name(name)(to_array(leaf, "checkpoint_name")), x)
