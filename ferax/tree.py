"""Short names for working with pytrees: `ferax.tree.map(f, tree)`. See `ferax.tree_util`."""

from __future__ import annotations

import dataclasses
from typing import Any

from ferax.tree_util import tree_all as all
from ferax.tree_util import tree_broadcast as broadcast
from ferax.tree_util import tree_flatten as flatten
from ferax.tree_util import tree_flatten_with_path as flatten_with_path
from ferax.tree_util import tree_leaves as leaves
from ferax.tree_util import tree_leaves_with_path as leaves_with_path
from ferax.tree_util import tree_map as map
from ferax.tree_util import tree_map_with_path as map_with_path
from ferax.tree_util import tree_reduce as reduce
from ferax.tree_util import tree_reduce_associative as reduce_associative
from ferax.tree_util import tree_structure as structure
from ferax.tree_util import tree_transpose as transpose
from ferax.tree_util import tree_unflatten as unflatten

__all__ = [
    "all", "broadcast", "flatten", "flatten_with_path", "leaves", "leaves_with_path", "map",
    "map_with_path", "reduce", "reduce_associative", "static", "structure", "transpose",
    "unflatten",
]  # fmt: skip


def static(**kwargs: Any) -> Any:
    """A dataclass field that `register_dataclass` makes part of the structure."""
    metadata = {**kwargs.pop("metadata", {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)
