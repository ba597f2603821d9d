"""Types for annotations: what functions take as an array, and as a dtype."""

from __future__ import annotations

from ferax.numpy.promoting import ArrayLike, DTypeLike

__all__ = ["ArrayLike", "DTypeLike"]
