"""Derivatives that users give: custom_jvp, custom_vjp, custom_derivative, custom_gradient.

Outside of all transformations such a function is simply called. Inside, it becomes one operation
that holds the function as a program and the user's rules as Python functions of flat lists.
Mapping the operation maps both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any

from ferax import dtypes
from ferax.core.avals import Aval, LinearInput, Placeholder, Zero
from ferax.core.basis import (
    instantiate,
    moveaxis,
    reduce_sum,
    with_zeros,
    without_zeros,
)
from ferax.core.jaxpr import Jaxpr, eval_jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.transforms.arguments import (
    FlatCall,
    check_callable,
    describe_tree_difference,
    name_of,
)
from ferax.transforms.batching import Axis, batch_flat, batch_jaxpr, to_front
from ferax.transforms.forward import jvp_flat
from ferax.tree_util import Partial, flatten, flatten_prefix, tree_map, unflatten


class _CustomCall(Primitive, family=True, interned=False):
    """A function, as a program whose first `n_consts` inputs it closed over, with a rule."""

    jaxpr: Jaxpr
    n_consts: int
    label: str
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

    numpy = cannot("it is executed as a program")

    def execute(self, args: list[Any]) -> list[Any]:
        return eval_jaxpr(self.jaxpr, (), args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.jaxpr, *values)  # type: ignore[no-any-return]

    transpose = cannot("not linear")

    def operands(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        """The primals and tangents of the arguments; closed-over values must not move."""
        if any(type(t) is not Zero for t in tangents[: self.n_consts]):
            raise TypeError(
                f"{self.label} has a custom derivative, so it cannot be differentiated by values "
                "that it closes over; pass them as arguments"
            )
        return list(primals[self.n_consts :]), list(tangents[self.n_consts :])


class CustomJVPCall(_CustomCall, interned=False):
    """A function with its own JVP: rule(primals, tangents) -> (results, tangents)."""

    rule: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]
    name = "custom_jvp_call"

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        if all(type(t) is Zero for t in tangents):
            outs = self.bind(*primals)
            return outs, [Zero(o.aval.tangent()) for o in outs]
        inner, moving = self.operands(primals, tangents)
        return self.rule(inner, moving)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        n_outs = len(self.jaxpr.outvars)
        jaxpr, _ = batch_jaxpr(self.jaxpr, axis, mapped, [True] * n_outs)
        front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        rule = partial(_mapped_jvp, self.rule, axis, mapped[self.n_consts :])
        outs = CustomJVPCall(jaxpr, self.n_consts, self.label, rule).bind(*front)
        return outs, [0] * n_outs


def _mapped_jvp(
    rule: Any,
    axis: Axis,
    mapped: Sequence[bool],
    primals: list[Any],
    tangents: list[Any],
) -> tuple[list[Any], list[Any]]:
    n = len(primals)
    nonzero, moving = without_zeros(tangents)

    def flat(*xs: Any) -> list[Any]:
        inner = list(xs[:n])
        outs, touts = rule(inner, with_zeros(inner, xs[n:], nonzero))
        return [*outs, *map(instantiate, touts)]

    dims = [0 if m else None for m in mapped]
    dims += [d for d, moves in zip(dims, nonzero) if moves]
    outs, out_dims = batch_flat(flat, axis, [*primals, *moving], dims)
    front = [to_front(o, d, axis.size) for o, d in zip(outs, out_dims)]
    return front[: len(front) // 2], front[len(front) // 2 :]


class CustomVJPCall(_CustomCall, interned=False):
    """A function with its own VJP.

    forward(arguments, which of them move) -> (results, residuals);
    backward(residuals, cotangents) -> cotangents, either of which may be Zero.
    """

    forward: Callable[[list[Any], list[bool]], tuple[list[Any], list[Any]]]
    backward: Callable[[list[Any], list[Any]], list[Any]]
    name = "custom_vjp_call"

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        if all(type(t) is Zero for t in tangents):
            outs = self.bind(*primals)
            return outs, [Zero(o.aval.tangent()) for o in outs]
        raise TypeError(_reverse_only(self.label))

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        if all(type(t) is Zero for t in tangents):
            return self.jvp(primals, tangents)
        inner, moving = self.operands(primals, tangents)
        outs, residuals = self.forward(inner, [type(t) is not Zero for t in moving])
        out_avals = tuple(o.aval.tangent() for o in outs)
        pull, residuals = self.derivative(inner, residuals, out_avals)
        return outs, pull.bind(*residuals, *map(instantiate, moving))

    def derivative(
        self, inner: list[Any], residuals: list[Any], out_avals: tuple[Aval, ...]
    ) -> tuple[CustomPull, list[Any]]:
        """The linear operation at the given arguments, and its residuals."""
        made = CustomPull(self.backward, None, len(residuals), out_avals, self.label)
        return made, residuals

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        n_outs = len(self.jaxpr.outvars)
        jaxpr, _ = batch_jaxpr(self.jaxpr, axis, mapped, [True] * n_outs)
        front = [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        op = self.mapped(jaxpr, axis, mapped[self.n_consts :])
        return op.bind(*front), [0] * n_outs

    def mapped(self, jaxpr: Jaxpr, axis: Axis, mapped: list[bool]) -> CustomVJPCall:
        """The operation with its rules mapped, around a mapped program."""
        return CustomVJPCall(
            jaxpr,
            self.n_consts,
            self.label,
            partial(_mapped_forward, self.forward, axis, mapped),
            partial(_mapped_backward, self.backward, axis, mapped),
        )


class CustomDerivativeCall(CustomVJPCall, interned=False):
    """A function with its own VJP, for reverse mode, and its own JVP, for forward mode."""

    rule: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]
    name = "custom_derivative_call"

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        if all(type(t) is Zero for t in tangents):
            outs = self.bind(*primals)
            return outs, [Zero(o.aval.tangent()) for o in outs]
        return self.rule(*self.operands(primals, tangents))

    def derivative(
        self, inner: list[Any], residuals: list[Any], out_avals: tuple[Aval, ...]
    ) -> tuple[CustomPull, list[Any]]:
        n = len(residuals)
        made = CustomPull(
            lambda known, cts: self.backward(known[:n], cts),
            lambda known, tangents: self.rule(known[n:], tangents)[1],
            n + len(inner),
            out_avals,
            self.label,
        )
        return made, [*residuals, *inner]

    def mapped(self, jaxpr: Jaxpr, axis: Axis, mapped: list[bool]) -> CustomVJPCall:
        both = super().mapped(jaxpr, axis, mapped)
        rule = partial(_mapped_jvp, self.rule, axis, mapped)
        return CustomDerivativeCall(
            jaxpr, self.n_consts, self.label, both.forward, both.backward, rule
        )


def _mapped_forward(
    forward: Any,
    axis: Axis,
    mapped: Sequence[bool],
    args: list[Any],
    moves: list[bool],
) -> tuple[list[Any], list[Any]]:
    counts: list[int] = []

    def flat(*xs: Any) -> list[Any]:
        outs, residuals = forward(list(xs), moves)
        counts.append(len(outs))
        return [*outs, *residuals]

    outs, dims = batch_flat(flat, axis, args, [0 if m else None for m in mapped])
    front = [to_front(o, d, axis.size) for o, d in zip(outs, dims)]
    return front[: counts[0]], front[counts[0] :]


def _mapped_backward(
    backward: Any,
    axis: Axis,
    mapped: Sequence[bool],
    residuals: list[Any],
    cts: list[Any],
) -> list[Any]:
    n = len(residuals)

    def flat(*xs: Any) -> list[Any]:
        return [instantiate(c) for c in backward(list(xs[:n]), list(xs[n:]))]

    args = [*residuals, *map(instantiate, cts)]
    outs, dims = batch_flat(flat, axis, args, [0] * len(args))
    return [
        to_front(o, d, axis.size) if m else reduce_sum(to_front(o, d, axis.size), (0,))
        for o, d, m in zip(outs, dims, mapped)
    ]


def _mapped_push(
    push: Any, axis: Axis, residuals: list[Any], tangents: list[Any]
) -> list[Any]:
    n = len(residuals)

    def flat(*xs: Any) -> list[Any]:
        return [instantiate(t) for t in push(list(xs[:n]), list(xs[n:]))]

    args = [*residuals, *tangents]
    outs, dims = batch_flat(flat, axis, args, [0] * len(args))
    return [to_front(o, d, axis.size) for o, d in zip(outs, dims)]


def _reverse_only(label: str) -> str:
    return (
        f"forward mode (jvp, jacfwd, hessian) through {label}, which has a custom VJP only. Give "
        "it a JVP too: ferax.custom_derivatives.custom_derivative(f, jvp=…, vjp=…)."
    )


class CustomPull(Primitive, interned=False):
    """The derivative of a function with its own VJP: (residuals, tangents) -> tangents.

    `backward` is its transpose; `push` is the operation itself, None where there is no JVP.
    """

    backward: Callable[[list[Any], list[Any]], list[Any]]
    push: Callable[[list[Any], list[Any]], list[Any]] | None
    n_residuals: int
    out_avals: tuple[Aval, ...]
    label: str
    calls = True
    keeps_weak_type = False

    @property
    def params(self) -> dict[str, Any]:
        return {"name": self.label}

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(self.out_avals)

    numpy = cannot("it is executed as a program")

    def execute(self, args: list[Any]) -> list[Any]:
        if self.push is None:
            raise TypeError(_reverse_only(self.label))
        n = self.n_residuals
        return [instantiate(t) for t in self.push(args[:n], args[n:])]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.inline(lambda *args: self.execute(list(args)), *values)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        n = self.n_residuals
        if any(type(t) is not Zero for t in tangents[:n]):
            return jvp_flat(lambda *args: self.execute(list(args)), primals, tangents)
        moving = map(instantiate, tangents[n:])
        return self.bind(*primals), self.bind(*primals[:n], *moving)

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        residuals = list(args[: self.n_residuals])
        answers = self.backward(residuals, list(cts))
        return [None] * self.n_residuals + [
            a if type(x) is LinearInput else None
            for a, x in zip(answers, args[self.n_residuals :])
        ]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        front = [to_front(x, d, axis.size) for x, d in zip(args, dims)]
        grown = tuple(a.update(shape=(axis.size, *a.shape)) for a in self.out_avals)
        linear = len(args) - self.n_residuals
        op = CustomPull(
            partial(_mapped_backward, self.backward, axis, [True] * linear),
            self.push and partial(_mapped_push, self.push, axis),
            self.n_residuals,
            grown,
            self.label,
        )
        return op.bind(*front), [0] * len(grown)


# -- public --------------------------------------------------------------------------------


class SymbolicZero(Placeholder):
    """A tangent or cotangent known to be zero, as rules with `symbolic_zeros=True` get it."""

    __slots__ = ()

    @staticmethod
    def from_primal_value(val: Any) -> SymbolicZero:
        """The zero tangent of a value."""
        return SymbolicZero(to_array(val).aval.tangent())


@dataclass(frozen=True)
class CustomVJPPrimal:
    """An argument of a forward rule with `symbolic_zeros=True`, and whether it moves."""

    value: Any
    perturbed: bool


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The values of a pytree of CustomVJPPrimals."""
    return tree_map(lambda p: p.value, tree)


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangent of a value: an array (float0 for integers), or a SymbolicZero."""
    zero = SymbolicZero.from_primal_value(val)
    return zero if symbolic_zeros else instantiate(Zero(zero.aval))


def _shown(t: Any, symbolic: bool) -> Any:
    """A (co)tangent as a user's rule gets it."""
    if type(t) is Zero and symbolic:
        return SymbolicZero(t.aval)
    return instantiate(t)


def signature_of(fun: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a function, None where there is none, as of some builtins."""
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def positional(
    label: str,
    signature: inspect.Signature | None,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> tuple[Any, ...]:
    """All arguments of a call by position, those that it leaves out with their defaults."""
    if signature is None:
        raise TypeError(f"{label}: it has no signature; pass its arguments by position")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{label}: {error}") from None
    bound.apply_defaults()
    if not bound.kwargs:
        return bound.args
    if kwargs:
        raise NotImplementedError(
            f"{label}: keyword-only arguments of functions with custom rules"
        )
    return tuple(args)


class _Custom:
    """What custom_jvp and custom_vjp share: arguments by name, non-differentiable ones apart."""

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Any = (),
        nondiff_argnames: Any = (),
    ):
        check_callable(type(self).__name__, fun)
        update_wrapper(self, fun)
        self.fun = fun
        self.label = name_of(fun)
        nums = (
            (nondiff_argnums,)
            if isinstance(nondiff_argnums, int)
            else tuple(nondiff_argnums)
        )
        names = (
            (nondiff_argnames,)
            if isinstance(nondiff_argnames, str)
            else nondiff_argnames
        )
        self.signature = signature_of(fun)
        if names and self.signature:
            parameters = list(self.signature.parameters)
            for n in names:
                if n not in parameters:
                    raise ValueError(
                        f"{type(self).__name__}: nondiff_argnames names {n!r}, but the parameters "
                        f"of {self.label} are {', '.join(parameters)}"
                    )
            nums = (*nums, *[parameters.index(n) for n in names])
        self.nondiff = tuple(sorted(set(nums)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(type(self).__name__)

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        return self if obj is None else partial(self, obj)

    def split(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """(positional arguments, differentiable ones, the others)."""
        if kwargs or self.signature:
            args = positional(self.label, self.signature, args, kwargs)
        if self.nondiff and self.nondiff[-1] >= len(args):
            raise ValueError(
                f"{self.label}: nondiff_argnums names positional argument {self.nondiff[-1]}, but "
                f"the call has {len(args)}"
            )
        nondiff = {i % len(args) for i in self.nondiff} if args else set()
        return (
            tuple(args),
            tuple(a for i, a in enumerate(args) if i not in nondiff),
            tuple(a for i, a in enumerate(args) if i in nondiff),
        )

    def joined(self, dynamic: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        """Positional arguments from the two groups."""
        total = len(dynamic) + len(fixed)
        nondiff = {i % total for i in self.nondiff} if total else set()
        a, b = iter(dynamic), iter(fixed)
        return [next(b) if i in nondiff else next(a) for i in range(total)]

    def staged(self, dynamic: Any, fixed: Any) -> Any:
        leaves, tree = flatten(dynamic)
        leaves = [to_array(x, self.label, "an argument") for x in leaves]
        call = FlatCall(
            self.label, lambda *xs: self.fun(*self.joined(unflatten(tree, xs), fixed))
        )
        jaxpr, consts = stage(call, [x.aval for x in leaves], self.label)
        return jaxpr.closed(), consts, leaves, tree, call.tree


class custom_jvp(_Custom):
    """A function whose derivative in forward mode is given; reverse mode transposes that.

    Args:
      fun: function of arrays (or pytrees of them).
      nondiff_argnums: positional arguments that are passed on as they are; the rule gets them
        first.

    `defjvp(rule)` sets rule(*nondiff, primals, tangents) -> (result, tangent), which must be
    linear in the tangents; `defjvps` one rule per argument.

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.custom_jvp
    ... def f(x):
    ...     return jnp.log(1 + jnp.exp(x))
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return f(x), t * (1 - 1 / (1 + jnp.exp(x)))
    >>> ferax.grad(f)(100.0)
    Array(1., dtype=float32, weak_type=True)
    """

    rule: Callable[..., Any] | None = None
    symbolic_zeros = False

    def defjvp(
        self, jvp: Callable[..., Any], symbolic_zeros: bool = False
    ) -> Callable[..., Any]:
        """Set the rule; gives it back, so that this works as a decorator.

        With `symbolic_zeros` tangents that are zero come as `SymbolicZero`s, and may be given back
        so.
        """
        check_callable(f"{self.label}.defjvp", jvp)
        self.rule = jvp
        self.symbolic_zeros = symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """One rule per argument: rule(tangent, result, *primals) -> tangent; None for zero."""

        def rule(*args: Any) -> Any:
            *fixed, primals, tangents = args
            out = self(*self.joined(primals, fixed))
            parts = [
                f(t, out, *primals) for f, t in zip(jvps, tangents) if f is not None
            ]
            if not parts:
                return out, tree_map(lambda o: o * 0, out)
            total = parts[0]
            for part in parts[1:]:
                total = tree_map(lambda a, b: a + b, total, part)
            return out, total

        self.rule = rule

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise AttributeError(
                f"{self.label}: no JVP rule is set; use {self.label}.defjvp"
            )
        if state.trace is None:
            return self.fun(*args, **kwargs)
        _, dynamic, fixed = self.split(args, kwargs)
        jaxpr, consts, leaves, tree, out_tree = self.staged(dynamic, fixed)
        rule = partial(self._flat_rule, tree, out_tree, fixed)
        outs = CustomJVPCall(jaxpr, len(consts), self.label, rule).bind(
            *consts, *leaves
        )
        return unflatten(out_tree, outs)

    def _flat_rule(
        self,
        tree: Any,
        out_tree: Any,
        fixed: Any,
        primals: list[Any],
        tangents: list[Any],
    ) -> tuple[list[Any], list[Any]]:
        answer = self.rule(  # type: ignore[misc]
            *fixed,
            unflatten(tree, primals),
            unflatten(tree, [_shown(t, self.symbolic_zeros) for t in tangents]),
        )
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(
                f"the JVP rule of {self.label} must return a pair (result, tangent); it returned "
                f"{type(answer).__name__}"
            )
        outs, t = flatten(answer[0])
        touts, t_tree = flatten(answer[1])
        if t != out_tree or t_tree != out_tree:
            raise TypeError(
                f"the JVP rule of {self.label} must return result and tangent with the structure "
                f"of the function's result, {out_tree}; got {t} and {t_tree}"
            )
        outs = [to_array(o, self.label) for o in outs]
        touts = [
            Zero(o.aval.tangent())
            if type(x) is SymbolicZero or getattr(x, "dtype", None) == dtypes.float0
            else to_array(x, self.label)
            for o, x in zip(outs, touts)
        ]
        for o, x in zip(outs, touts):
            want = o.aval.tangent()
            narrows = dtypes.is_complex(x.dtype) and not dtypes.is_complex(o.dtype)
            if x.shape != want.shape or narrows:
                raise TypeError(
                    f"the JVP rule of {self.label} returned a tangent {x.aval.short()} for a "
                    f"result {o.aval.short()}; they must have the same shape and dtype"
                )
        return outs, [
            x if type(x) is Zero or x.dtype == o.dtype else x.astype(o.dtype)
            for o, x in zip(outs, touts)
        ]


class custom_vjp(_Custom):
    """A function whose derivative in reverse mode is given.

    Args:
      fun: function of arrays (or pytrees of them).
      nondiff_argnums: positional arguments that are passed on as they are; `bwd` gets them first.

    `defvjp(fwd, bwd)` sets fwd(*args) -> (result, residuals) and
    bwd(*nondiff, residuals, cotangent) -> a tuple of cotangents, one per differentiable argument
    (None for zero).

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -1, 1),))
    >>> ferax.grad(lambda x: 5 * clipped(x))(2.0)
    Array(1., dtype=float32, weak_type=True)
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None
    symbolic_zeros = False

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the two halves of the rule.

        With `symbolic_zeros` the leaves of the arguments of `fwd` come as `CustomVJPPrimal`s, which
        say whether they are differentiated by; cotangents that are zero come as `SymbolicZero`s,
        and may be given back so. `optimize_remat` is accepted: nothing is to be gained.
        """
        for rule in (fwd, bwd):
            check_callable(f"{self.label}.defvjp", rule)
        self.fwd, self.bwd = fwd, bwd
        self.symbolic_zeros = symbolic_zeros

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None:
            raise AttributeError(
                f"{self.label}: no VJP rule is set; use {self.label}.defvjp"
            )
        if state.trace is None:
            return self.fun(*args, **kwargs)
        _, dynamic, fixed = self.split(args, kwargs)
        jaxpr, consts, leaves, tree, out_tree = self.staged(dynamic, fixed)
        trees: list[Any] = []
        op = CustomVJPCall(
            jaxpr,
            len(consts),
            self.label,
            partial(self._forward, tree, out_tree, fixed, trees),
            partial(self._backward, dynamic, tree, out_tree, fixed, trees),
        )
        return unflatten(out_tree, op.bind(*consts, *leaves))

    def _forward(
        self,
        tree: Any,
        out_tree: Any,
        fixed: Any,
        trees: list[Any],
        leaves: list[Any],
        moves: list[bool],
    ) -> tuple[list[Any], list[Any]]:
        if self.symbolic_zeros:
            leaves = [CustomVJPPrimal(x, m) for x, m in zip(leaves, moves)]
        answer = self.fwd(*self.joined(unflatten(tree, leaves), fixed))  # type: ignore[misc]
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(
                f"the forward rule of {self.label} must return a pair (result, residuals); it "
                f"returned {type(answer).__name__}"
            )
        outs, t = flatten(answer[0])
        if t != out_tree:
            raise TypeError(
                f"the forward rule of {self.label} must return a result with the structure of the "
                f"function's, {out_tree}; got {t}"
            )
        residuals, residual_tree = flatten(answer[1])
        trees[:] = [residual_tree]
        return [to_array(o) for o in outs], [to_array(r) for r in residuals]

    def _backward(
        self,
        dynamic: Any,
        tree: Any,
        out_tree: Any,
        fixed: Any,
        trees: list[Any],
        residuals: list[Any],
        cts: list[Any],
    ) -> list[Any]:
        cts = [_shown(c, self.symbolic_zeros) for c in cts]
        answer = self.bwd(  # type: ignore[misc]
            *fixed, unflatten(trees[0], residuals), unflatten(out_tree, cts)
        )
        if not isinstance(answer, (tuple, list)) or len(answer) != len(dynamic):
            got = f"a {type(answer).__name__}" + (
                f" of length {len(answer)}" if isinstance(answer, (tuple, list)) else ""
            )
            raise TypeError(
                f"the backward rule of {self.label} must return a tuple of {len(dynamic)} "
                f"cotangents, one per differentiable argument; it returned {got}"
            )
        flat: list[Any] = []
        for arg, ct in zip(dynamic, answer):
            leaves = flatten(arg)[0]
            if ct is None or type(ct) is SymbolicZero:
                flat += [Zero(to_array(x).aval.tangent()) for x in leaves]
                continue
            ct_leaves = _cotangent_leaves(ct, arg)
            if ct_leaves is None:
                raise TypeError(
                    f"the backward rule of {self.label} must return cotangents with the structure "
                    "of the arguments; "
                    + describe_tree_difference(ct, arg, "cotangents", "arguments")
                )
            flat += [
                _fit_cotangent(self.label, x, c) for x, c in zip(leaves, ct_leaves)
            ]
        return flat


def _cotangent_leaves(ct: Any, arg: Any) -> list[Any] | None:
    """The leaves of a cotangent of `arg`, in which None stands for any part that is zero.

    None if the structures differ.
    """
    leaves, tree = flatten(ct)
    if tree == flatten(arg)[1]:
        return leaves
    try:
        kept = tree_map(
            lambda c, a: None if c is None else a, ct, arg, is_leaf=lambda c: c is None
        )
    except (TypeError, ValueError):
        return None
    same = flatten(kept)[1] == tree
    return flatten_prefix(ct, arg, "cotangents") if same else None


def _fit_cotangent(label: str, x: Any, ct: Any) -> Any:
    want = to_array(x).aval.tangent()
    if (
        ct is None
        or type(ct) in (Zero, SymbolicZero)
        or want.dtype.name.startswith("void")
    ):
        return Zero(want)
    ct = to_array(ct)
    if ct.shape != want.shape:
        raise ValueError(
            f"the backward rule of {label} returned a cotangent {ct.aval.short()} for an argument "
            f"{want.short()}; they must have the same shape"
        )
    return ct if ct.dtype == want.dtype else ct.astype(want.dtype)


class custom_derivative(_Custom):
    """A function with its own derivatives in both modes.

    Args:
      fun: function of arrays (or pytrees of them).
      jvp: rule of forward mode, as for `custom_jvp.defjvp`.
      vjp: the pair (fwd, bwd) of reverse mode, as for `custom_vjp.defvjp`.
      nondiff_argnums: positional arguments that are passed on as they are.

    Reverse mode uses `vjp`, forward mode `jvp`; derivatives of derivatives (`hessian`)
    differentiate whichever rule comes last, so each should be differentiable, or call the
    function itself.
    `ferax.test_util.check_derivatives_agree` tells whether the two are the same derivative.

    >>> import ferax, ferax.numpy as jnp
    >>> def jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return cube(x), 3 * x**2 * t
    >>> cube = ferax.custom_derivatives.custom_derivative(
    ...     lambda x: x**3, jvp=jvp, vjp=(lambda x: (cube(x), x), lambda x, ct: (3 * x**2 * ct,))
    ... )
    >>> ferax.grad(cube)(2.0), ferax.hessian(cube)(2.0)
    (Array(12., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True))
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        *,
        jvp: Callable[..., Any],
        vjp: tuple[Callable[..., Any], Callable[..., Any]],
        nondiff_argnums: Any = (),
    ):
        super().__init__(fun, nondiff_argnums)
        self.in_forward = custom_jvp(fun, nondiff_argnums)
        self.in_forward.defjvp(jvp)
        self.in_reverse = custom_vjp(fun, nondiff_argnums)
        self.in_reverse.defvjp(*vjp)

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is None:
            return self.fun(*args, **kwargs)
        _, dynamic, fixed = self.split(args, kwargs)
        jaxpr, consts, leaves, tree, out_tree = self.staged(dynamic, fixed)
        trees: list[Any] = []
        op = CustomDerivativeCall(
            jaxpr,
            len(consts),
            self.label,
            partial(self.in_reverse._forward, tree, out_tree, fixed, trees),
            partial(self.in_reverse._backward, dynamic, tree, out_tree, fixed, trees),
            partial(self.in_forward._flat_rule, tree, out_tree, fixed),
        )
        return unflatten(out_tree, op.bind(*consts, *leaves))


@public
def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns its result together with its pull-back.

    Args:
      fun: function that returns (result, pull), where pull(cotangent) gives the cotangent of its
        argument, or a tuple of them for several.

    >>> import ferax
    >>> @ferax.custom_gradient
    ... def f(x):
    ...     return x**2, lambda ct: (ct * x,)
    >>> ferax.grad(f)(3.0)
    Array(3., dtype=float32, weak_type=True)
    """

    check_callable("custom_gradient", fun)

    def called(*args: Any) -> tuple[Any, Any]:
        answer = fun(*args)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(
                f"custom_gradient: {name_of(fun)} must return a pair (result, pull-back); it "
                f"returned {type(answer).__name__}"
            )
        check_callable("custom_gradient: the pull-back", answer[1])
        return answer[0], answer[1]

    @custom_vjp
    def wrapped(*args: Any) -> Any:
        return called(*args)[0]

    def forward(*args: Any) -> Any:
        out, pull = called(*args)
        leaves, tree = flatten(out)
        avals = [to_array(x).aval.tangent() for x in leaves]
        call = FlatCall("custom_gradient", lambda *cts: pull(unflatten(tree, cts)))
        jaxpr, consts = stage(call, avals, "the pull-back")
        closed = jaxpr.closed()

        def pulled(*values: Any) -> Any:
            return unflatten(call.tree, eval_jaxpr(closed, (), values))

        return out, Partial(pulled, *consts)

    def backward(pull: Any, ct: Any) -> Any:
        answer = pull(*flatten(ct)[0])
        return answer if isinstance(answer, tuple) else (answer,)

    wrapped.defvjp(forward, backward)
    update_wrapper(wrapped, fun)
    return wrapped


@public
def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """`fun` as a function that takes the values it closed over as further arguments.

    Returns:
      (converted, values) with fun(*args) == converted(*args, *values).

    >>> import ferax, ferax.numpy as jnp
    >>> w = jnp.ones(2)
    >>> g, values = ferax.closure_convert(lambda x: x * w, jnp.zeros(2))
    >>> len(values)
    1
    """
    leaves, tree = flatten(example_args)
    call = FlatCall("closure_convert", lambda *xs: fun(*unflatten(tree, xs)))
    jaxpr, consts = stage(call, [to_array(x).aval for x in leaves], name_of(fun))

    def converted(*args: Any) -> Any:
        n = len(args) - len(consts)
        flat = flatten(tuple(args[:n]))[0]
        return unflatten(call.tree, eval_jaxpr(jaxpr, args[n:], flat))

    return converted, consts
