"""Looking at values while programs run."""

from __future__ import annotations

from ferax.engines.drawing import visualize_array_sharding, visualize_sharding
from ferax.lax.debugging import breakpoint, inspect_array_sharding
from ferax.lax.host import DebugEffect, OrderedDebugEffect
from ferax.lax.host import debug_callback as callback
from ferax.lax.host import debug_print as print

__all__ = [
    "DebugEffect", "OrderedDebugEffect", "breakpoint", "callback", "inspect_array_sharding",
    "print", "visualize_array_sharding", "visualize_sharding",
]  # fmt: skip
