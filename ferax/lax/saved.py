"""What a function keeps for its backward pass, listed with where it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ferax.core.jaxpr import Var, stage
from ferax.core.tracing import aval_of
from ferax.errors import public
from ferax.transforms.arguments import FlatCall, name_of
from ferax.transforms.reverse import Linearized, tape_program
from ferax.tree_util import flatten, keystr, tree_flatten_with_path, unflatten


@public
def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what reverse mode keeps of `f(*args, **kwargs)` until the backward pass.

    One line per array: its type, and the argument, constant or operation that it comes from.

    Args:
      f: function of arrays (or pytrees of them).
      *args, **kwargs: its arguments: arrays, numbers or ShapeDtypeStructs.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax.ad_checkpoint import print_saved_residuals
    >>> print_saved_residuals(ferax.checkpoint(jnp.sin), jnp.ones(3))
    f32[3] from the argument x
    """
    leaves, tree = flatten((args, kwargs))

    def inner(*xs: Any) -> Any:
        inner_args, inner_kwargs = unflatten(tree, xs)
        return f(*inner_args, **inner_kwargs)

    def residuals(*xs: Any) -> list[Any]:
        call = FlatCall("print_saved_residuals", inner)
        return tape_program(Linearized(call, xs))[1]

    program, _ = stage(residuals, [aval_of(x) for x in leaves], name_of(f))
    origins = dict.fromkeys(program.constvars, "from a constant")
    for var, label in zip(program.invars, _labels(f, args, kwargs)):
        origins[var] = f"from the argument {label}"
    for eqn in program.eqns:
        made = f"output of {eqn.op.name} from {eqn.where()}"
        origins.update(dict.fromkeys(eqn.outputs, made))
    for out in dict.fromkeys(v for v in program.outvars if type(v) is Var):
        print(f"{out.aval.terse()} {origins[out]}")  # noqa: T201


def _labels(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """For each leaf what the user calls it: `x['w']`."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # a builtin
        parameters = ()
    named = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    names = [*named[: len(args)], *(f"args[{i}]" for i in range(len(named), len(args)))]
    labels = []
    for name, value in [*zip(names, args), *sorted(kwargs.items())]:
        labels += [name + keystr(path) for path, _ in tree_flatten_with_path(value)[0]]
    return labels
