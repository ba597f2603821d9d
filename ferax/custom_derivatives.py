"""Derivatives that users give."""

from __future__ import annotations

from ferax.lax.custom import (
    CustomVJPPrimal,
    SymbolicZero,
    closure_convert,
    custom_derivative,
    custom_gradient,
    custom_jvp,
    custom_vjp,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)
from ferax.lax.implicit import linear_call

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_derivative",
    "custom_gradient",
    "custom_jvp",
    "custom_vjp",
    "custom_vjp_primal_tree_values",
    "linear_call",
    "zero_from_primal",
]
