"""Names for the operations within a block, for profiles and lowered text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ferax.core.tracing import active, state


@contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Name the operations within the block, for profiles and lowered text.

    Raises:
      TypeError: `name` is not a string.

    >>> import ferax
    >>> with ferax.named_scope("attention"):
    ...     pass
    """
    if not isinstance(name, str):
        raise TypeError(f"named_scope: the name must be a string; got {name!r}")
    outer = state.names
    state.names = (*outer, name)
    try:
        yield
    finally:
        state.names = outer


def named_call(
    fun: Callable[..., Any], *, name: str | None = None
) -> Callable[..., Any]:
    """`fun` within a `named_scope` of its own name (or `name`)."""

    @wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        with named_scope(name or fun.__name__):
            return fun(*args, **kwargs)

    return call


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Compute at once within the block, also while a function is being traced.

    Operations there may use known values only; a traced value raises UnexpectedTracerError.

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.jit
    ... def f(x):
    ...     with ferax.ensure_compile_time_eval():
    ...         n = int(jnp.ceil(jnp.sqrt(10.0)))  # a number, not a traced value
    ...     return jnp.tile(x, n)
    >>> f(jnp.ones(1)).shape
    (4,)
    """
    with active(None):
        yield
