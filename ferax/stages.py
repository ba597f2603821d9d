"""The stages of compilation: `jit(f)` → `Traced` → `Lowered` → `Compiled`."""

from __future__ import annotations

from ferax.engines.stages import ArgInfo, Compiled, Lowered
from ferax.transforms.staging import JitFunction, Traced

Wrapped = JitFunction
CompilerOptions = dict[str, str | bool]  # XLA's options by name

__all__ = ["ArgInfo", "Compiled", "CompilerOptions", "Lowered", "Traced", "Wrapped"]
