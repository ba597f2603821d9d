"""The stages of compilation: `jit(f)` → `Traced` → `Lowered` → `Compiled`."""

from __future__ import annotations

from ferax.transforms.staging import Compiled, JitFunction, Lowered, Traced

Wrapped = JitFunction

__all__ = ["Compiled", "Lowered", "Traced", "Wrapped"]
