"""Operations that compute nothing and say something: about derivatives, or to the compiler."""

from __future__ import annotations

from typing import Any

from ferax import dtypes
from ferax.core.array import Concrete
from ferax.core.basis import Discrete
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.rematerialize import Barrier
from ferax.tree_util import flatten, tree_map, unflatten


class StopGradient(Discrete):
    """y = x, whose derivative counts as zero."""

    def numpy(self, x: Any) -> list[Any]:
        return [x]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [x]


STOP_GRADIENT = StopGradient()


@public
def stop_gradient(x: Any) -> Any:
    """`x`, treated as a constant by differentiation.

    Args:
      x: array (or pytree of them).

    >>> import ferax
    >>> from ferax import lax
    >>> ferax.grad(lambda x: x * lax.stop_gradient(x))(3.0)
    Array(3., dtype=float32, weak_type=True)
    """

    if type(x) is Concrete:  # known values have no derivative
        return x

    def stopped(leaf: Any) -> Any:
        leaf = to_array(leaf, "stop_gradient")
        return STOP_GRADIENT(leaf) if dtypes.is_inexact(leaf.dtype) else leaf

    return tree_map(stopped, x)


@public
def optimization_barrier(operand: Any) -> Any:
    """`operand` unchanged, which the compiler may not look through.

    All arrays of the pytree `operand` are computed before any of the results is used.
    """
    leaves, tree = flatten(operand)
    return unflatten(
        tree, Barrier().bind(*[to_array(x, "optimization_barrier") for x in leaves])
    )


@public
def stage(x: Any, /) -> Any:
    """A number or NumPy array as an Array of the function being traced; Arrays as they are.

    >>> from ferax import lax
    >>> lax.stage(3)
    Array(3, dtype=int32, weak_type=True)
    """
    return to_array(x, "stage")
