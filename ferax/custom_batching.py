"""What vmap does with a function, said by the user."""

from __future__ import annotations

from ferax.lax.custom_mapping import custom_vmap, sequential_vmap

__all__ = ["custom_vmap", "sequential_vmap"]
