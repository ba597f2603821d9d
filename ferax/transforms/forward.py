"""Forward mode: every operation also computes the tangent of its result.

`JVPTrace` carries (primal, tangent) pairs through the user's function; an operation's `jvp` rule
says how a tangent moves through it. Tangents known to be zero are not carried: such a value
is no tracer at all, so that constants cost nothing.

Reference: A. Griewank, A. Walther, "Evaluating Derivatives" (2008), chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ferax import dtypes
from ferax.core.avals import Zero
from ferax.core.basis import instantiate, stage_closed
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr
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
    FlatCall,
    basis_of,
    check_callable,
    choose,
    describe_tree_difference,
    split_jacobian,
)
from ferax.transforms.batching import vmap
from ferax.tree_util import flatten, tree_map, unflatten


class JVPTracer(DualTracer):
    """A primal with its tangent (never a Zero)."""

    __slots__ = ()


class JVPTrace(Trace):
    """Applies `jvp` rules."""

    __slots__ = ()

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        primals = [
            a.primal if type(a) is JVPTracer and a.owner is self else a for a in args
        ]
        moved = any(p is not a for p, a in zip(primals, args))
        state.trace = self.parent
        try:
            if not moved:
                return op.bind(*primals)  # type: ignore[no-any-return]
            tangents = [
                a.tangent if p is not a else Zero(aval_of(a).tangent())
                for p, a in zip(primals, args)
            ]
            outs, tangents_out = op.jvp(primals, tangents)
        finally:
            state.trace = self
        return [
            o if type(t) is Zero else JVPTracer(self, o, t)
            for o, t in zip(outs, tangents_out)
        ]


def jvp_flat(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    trace: JVPTrace | None = None,
) -> tuple[list[Any], list[Any]]:
    """jvp of a function of flat operands to flat results; tangents in and out may be Zero."""
    trace = trace or JVPTrace(state.trace)
    with running(trace):
        outs = fun(
            *[
                p if type(t) is Zero else JVPTracer(trace, p, t)
                for p, t in zip(primals, tangents)
            ]
        )
    outs = [to_array(o, "jvp", "a result") for o in outs]
    mine = [type(o) is JVPTracer and o.owner is trace for o in outs]
    return (
        [o.primal if m else o for o, m in zip(outs, mine)],
        [o.tangent if m else Zero(o.aval.tangent()) for o, m in zip(outs, mine)],
    )


def _jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: tuple[bool, ...], wanted: tuple[bool, ...] | None
) -> tuple[Jaxpr, tuple[bool, ...]]:
    out_nonzero: list[bool] = []

    def both(*args: Any) -> list[Any]:
        primals = args[: len(nonzero)]
        moving = iter(args[len(nonzero) :])
        tangents = [
            next(moving) if n else Zero(p.aval.tangent())
            for p, n in zip(primals, nonzero)
        ]
        outs, touts = jvp_flat(lambda *xs: eval_jaxpr(jaxpr, (), xs), primals, tangents)
        out_nonzero[:] = [
            (type(t) is not Zero) or (wanted is not None and wanted[i])
            for i, t in enumerate(touts)
        ]
        return outs + [instantiate(t) for t, n in zip(touts, out_nonzero) if n]

    moving_avals = [a.tangent() for a, n in zip(jaxpr.in_avals, nonzero) if n]
    made = stage_closed(both, [*jaxpr.in_avals, *moving_avals], "jvp")
    return made, tuple(out_nonzero)


def jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], wanted: Sequence[bool] | None = None
) -> tuple[Jaxpr, tuple[bool, ...]]:
    """(primals, tangents where nonzero) → (results, their tangents where these are nonzero).

    The second answer says which results have a tangent; `wanted` asks for zeros to be filled in.
    """
    return derived(  # type: ignore[no-any-return]
        _jvp_jaxpr, jaxpr, tuple(nonzero), None if wanted is None else tuple(wanted)
    )


# -- public --------------------------------------------------------------------------------


@public
def jvp(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> Any:
    """Value of `fun` and its derivative along `tangents`: f(x), ∂f(x)·t.

    Args:
      fun: function of arrays (or pytrees of them).
      primals: tuple or list of its positional arguments.
      tangents: like `primals`; each leaf has the shape of its primal and its dtype (for integer
        and bool primals: float0).
      has_aux: `fun` returns (result, auxiliary data); the latter is returned undifferentiated.

    Returns:
      (f(primals), tangent), and the auxiliary data if `has_aux`.

    Raises:
      TypeError: primals and tangents differ in structure, shape or dtype.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.jvp(lambda x: x**2, (3.0,), (1.0,))
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(
        tangents, (tuple, list)
    ):
        raise TypeError(
            "jvp: primals and tangents must be tuples or lists of positional arguments; got "
            f"{type(primals).__name__} and {type(tangents).__name__}. For one argument write (x,)."
        )
    check_callable("jvp", fun)
    flat, tree = flatten(tuple(primals))
    flat_t, tree_t = flatten(tuple(tangents))
    if tree != tree_t:
        raise TypeError(
            "jvp: primals and tangents must have the same structure; "
            + describe_tree_difference(
                tuple(primals), tuple(tangents), "primals", "tangents"
            )
        )
    flat = [to_array(x, "jvp", "a primal") for x in flat]
    flat_t = [_checked_tangent(p, t) for p, t in zip(flat, flat_t)]
    call = FlatCall("jvp", lambda *leaves: fun(*unflatten(tree, leaves)), has_aux)
    trace = JVPTrace(state.trace)
    outs, touts = jvp_flat(call, flat, flat_t, trace)
    value = unflatten(call.tree, outs)
    tangent = unflatten(call.tree, [instantiate(t) for t in touts])
    return (value, tangent, strip(call.aux, trace)) if has_aux else (value, tangent)


def strip(tree: Any, trace: Trace) -> Any:
    """Auxiliary data without the tracers of a finished trace."""
    return tree_map(
        lambda x: x.primal if isinstance(x, Tracer) and x.owner is trace else x,
        tree,
    )


def _checked_tangent(primal: Any, tangent: Any) -> Any:
    want = primal.aval.tangent()
    if type(tangent) is Zero:
        return tangent
    if getattr(tangent, "dtype", None) == dtypes.float0:
        if want.dtype != dtypes.float0:
            raise TypeError(
                f"jvp: the primal {primal.aval.short()} needs a tangent of its dtype; got float0"
            )
        return Zero(want)
    t = to_array(tangent, "jvp", "a tangent")
    if t.shape != want.shape:
        raise ValueError(
            "jvp: primal and tangent shapes must be equal; got primal "
            f"{primal.aval.short()} and tangent {t.aval.short()}"
        )
    if want.dtype == dtypes.float0:
        raise TypeError(
            f"jvp: the primal {primal.aval.short()} is not differentiable, so its tangent must "
            f"have dtype float0; got {t.aval.short()}. Pass floats as primals, or "
            "np.zeros(shape, ferax.dtypes.float0) as tangent."
        )
    if t.dtype != want.dtype:
        if t.aval.weak_type and dtypes.promote(t.aval, want)[0] == want.dtype:
            return t.astype(want.dtype)  # a Python number
        raise TypeError(
            "jvp: primal and tangent dtypes must be equal; got primal "
            f"{primal.aval.short()} and tangent {t.aval.short()}"
        )
    return t


@public
def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of `fun`, column by column in forward mode: best for tall Jacobians.

    Args:
      fun: function of arrays (or pytrees of them).
      argnums: which positional argument(s) to differentiate by.
      has_aux: `fun` returns (result, auxiliary data).
      holomorphic: whether `fun` is promised to be holomorphic (complex arguments).

    Returns:
      A function with the arguments of `fun` that gives, for results of shape (*r) and arguments of
      shape (*a), arrays of shape (*r, *a), in the structure of the results with that of the
      arguments at each leaf.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.jacfwd(lambda x: x**2)(jnp.array([1., 2.]))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """

    check_callable("jacfwd", fun)

    @wraps(fun)
    @public
    def jacobian_fun(*args: Any, **kwargs: Any) -> Any:
        chosen = choose("jacfwd", fun, argnums, args, kwargs)
        chosen.check_smooth(holomorphic)
        call = FlatCall("jacfwd", chosen.call, has_aux)

        def push(*tangents: Any) -> Any:
            trace = JVPTrace(state.trace)
            outs, touts = jvp_flat(call, chosen.leaves, tangents, trace)
            call.aux = strip(call.aux, trace)
            return outs, [instantiate(t) for t in touts]

        outs, columns = vmap(push, out_axes=(None, -1))(*basis_of(chosen.leaves))
        call.check_outputs(outs, holomorphic)
        blocks = [split_jacobian(c, o.shape, chosen) for c, o in zip(columns, outs)]
        result = unflatten(call.tree, blocks)
        return (result, call.aux) if has_aux else result

    return jacobian_fun
