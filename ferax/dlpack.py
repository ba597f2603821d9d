"""Arrays from and to other libraries without a detour through files or lists."""

from __future__ import annotations

from ferax.numpy.exchange import from_dlpack, is_supported_dtype

__all__ = ["from_dlpack", "is_supported_dtype"]
