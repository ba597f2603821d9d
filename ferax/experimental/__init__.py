"""What JAX keeps under `experimental`."""

from __future__ import annotations

from ferax.lax.host import io_callback

__all__ = ["io_callback"]
