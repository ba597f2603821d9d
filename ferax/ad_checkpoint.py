"""Rematerialisation: what the backward pass keeps and what it computes again."""

from __future__ import annotations

from ferax.lax.rematerialize import (
    Offloadable,
    Recompute,
    Saveable,
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    remat,
)
from ferax.lax.saved import print_saved_residuals

__all__ = [
    "Offloadable", "Recompute", "Saveable", "checkpoint", "checkpoint_name",
    "checkpoint_policies", "print_saved_residuals", "remat",
]  # fmt: skip
