"""Transformations that are not under `jit`, and how fast programs are traced."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case, Library, Measure, once, timed

BOTH = ("ferax", "jax")
WIDTHS = (64, 128, 128, 10)
LONG = 10_000  # equations of the long program


def _small(jnp: Any) -> Callable[[Any], Any]:
    return lambda x: jnp.sum(jnp.sin(x) * x)


def mlp(library: Library) -> tuple[Callable[..., Any], list[Any], Any, Any]:
    """The loss of a 3-layer perceptron, its parameters, and 32 inputs with targets."""
    jnp = library.jnp
    params = [
        {"w": library.normal(n, m, seed=n + m) * 0.1, "b": jnp.zeros(m)}
        for n, m in itertools.pairwise(WIDTHS)
    ]

    def loss(params: Any, x: Any, y: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = jnp.tanh(x @ layer["w"] + layer["b"])
        return jnp.mean((x @ last["w"] + last["b"] - y) ** 2)

    return loss, params, library.normal(32, 64), library.normal(32, 10, seed=1)


def _grad(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    grad = library.lib.grad(_small(library.jnp))
    return timed(lambda: grad(x), library.wait)


def _value_and_grad(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    function = library.lib.value_and_grad(_small(library.jnp))
    return timed(lambda: function(x), library.wait)


def _vmap(library: Library) -> dict[str, Measure]:
    x = library.normal(10, 10)
    function = library.lib.vmap(_small(library.jnp))
    return timed(lambda: function(x), library.wait)


def _vmap_grad(library: Library) -> dict[str, Measure]:
    x = library.normal(10, 10)
    function = library.lib.vmap(library.lib.grad(_small(library.jnp)))
    return timed(lambda: function(x), library.wait)


def _mlp(library: Library) -> dict[str, Measure]:
    loss, params, x, y = mlp(library)
    function = library.lib.value_and_grad(loss)
    return timed(lambda: function(params, x, y), library.wait)


def _mlp_torch(library: Library) -> dict[str, Measure]:
    torch = library.lib
    params = [
        (library.normal(n, m, seed=n + m) * 0.1, torch.zeros(m))
        for n, m in itertools.pairwise(WIDTHS)
    ]
    leaves = [p.requires_grad_() for layer in params for p in layer]
    first, y = library.normal(32, 64), library.normal(32, 10, seed=1)

    def step() -> Any:
        x = first
        for w, b in params[:-1]:
            x = torch.tanh(x @ w + b)
        w, b = params[-1]
        return torch.autograd.grad(((x @ w + b - y) ** 2).mean(), leaves)

    return timed(step, library.wait)


def _mlp_any(library: Library) -> dict[str, Measure]:
    return _mlp_torch(library) if library.name == "torch" else _mlp(library)


def _mlp_per_example(library: Library) -> dict[str, Measure]:
    loss, params, x, y = mlp(library)
    per_example = library.lib.vmap(library.lib.grad(loss), in_axes=(None, 0, 0))
    return timed(lambda: per_example(params, x, y), library.wait)


def long_program(jnp: Any) -> Callable[[Any], Any]:
    """A function of 10,000 equations. Each call makes a new one: no cache knows it."""

    def function(x: Any) -> Any:
        for _ in range(LONG // 4):
            x = jnp.sin(x) * x + jnp.cos(x)
        return x

    return function


def _trace(library: Library) -> dict[str, Measure]:
    x = library.normal(8)
    make_jaxpr, jnp = library.lib.make_jaxpr, library.jnp
    make_jaxpr(long_program(jnp))(x)
    return {"": lambda turn: once(lambda: make_jaxpr(long_program(jnp))(x)) / LONG}


def _trace_mlp(library: Library) -> dict[str, Measure]:
    loss, params, x, y = mlp(library)

    def fresh() -> Any:
        new = lambda *args: loss(*args)  # noqa: E731, PLW0108  a function no cache knows
        function = library.lib.value_and_grad(new)
        return library.lib.make_jaxpr(function)(params, x, y)

    return timed(fresh, lambda x: x)


CASES = [
    Case("transforms: grad of a small function", _grad, BOTH),
    Case("transforms: value_and_grad of a small function", _value_and_grad, BOTH),
    Case("transforms: vmap of a small function", _vmap, BOTH),
    Case("transforms: vmap(grad) of a small function", _vmap_grad, BOTH),
    Case("transforms: value_and_grad of a 3-layer MLP", _mlp_any, (*BOTH, "torch")),
    Case("transforms: vmap(grad) of a 3-layer MLP", _mlp_per_example, BOTH),
    Case("tracing: one of 10,000 equations", _trace, BOTH, rounds=5),
    Case("tracing: value_and_grad of a 3-layer MLP", _trace_mlp, BOTH),
]
