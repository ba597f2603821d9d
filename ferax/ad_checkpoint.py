"""Rematerialisation: what the backward pass keeps and what it computes again."""

from __future__ import annotations

from ferax.lax.rematerialize import (
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    remat,
)

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies", "remat"]
