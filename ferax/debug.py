"""Looking at values while programs run."""

from __future__ import annotations

from ferax.lax.host import debug_callback as callback
from ferax.lax.host import debug_print as print

__all__ = ["callback", "print"]
