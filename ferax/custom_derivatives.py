"""Derivatives that users give."""

from __future__ import annotations

from ferax.lax.custom import (
    closure_convert,
    custom_gradient,
    custom_jvp,
    custom_vjp,
)

__all__ = ["closure_convert", "custom_gradient", "custom_jvp", "custom_vjp"]
