"""A pytree of arrays as one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ferax.numpy as jnp
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.tree_util import flatten, unflatten


@public
def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All elements of a pytree as one vector, and the way back.

    Args:
      pytree: a pytree of arrays and numbers.

    Returns:
      (vector, unravel): `vector` has shape (n,) and the promoted dtype of the leaves;
      `unravel(vector)` gives the pytree, with the leaves' shapes and dtypes.

    >>> import ferax.numpy as jnp
    >>> from ferax.flatten_util import ravel_pytree
    >>> vector, unravel = ravel_pytree({"b": jnp.zeros(1), "w": jnp.ones((1, 2))})
    >>> vector
    Array([0., 1., 1.], dtype=float32)
    >>> unravel(vector)["w"]
    Array([[1., 1.]], dtype=float32)
    """
    leaves, tree = flatten(pytree)
    leaves = [to_array(x, "ravel_pytree", "a leaf") for x in leaves]
    if not leaves:
        return jnp.zeros(0), lambda vector: unflatten(tree, [])
    vector = jnp.concatenate([jnp.ravel(x) for x in leaves])
    vector = vector.astype(vector.dtype)  # Python numbers are none any more
    types = [(x.shape, x.dtype, x.size) for x in leaves]

    @public
    def unravel(flat: Any) -> Any:
        flat = to_array(flat, "unravel")
        if flat.shape != vector.shape:
            raise ValueError(
                f"unravel: needs a vector of shape {vector.shape}; got {flat.aval.short()}"
            )
        parts, start = [], 0
        for shape, dtype, size in types:
            parts.append(flat[start : start + size].reshape(shape).astype(dtype))
            start += size
        return unflatten(tree, parts)

    return vector, unravel
