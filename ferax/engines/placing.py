"""The options of `jit` that say where: in_shardings, out_shardings, device, backend.

Arguments are put where they are wanted before the program is looked up; the program is
compiled for these places and for those of its results. Inside of other programs the same is said
by sharding constraints, which every transformation knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ferax.core.array import Concrete, engine
from ferax.lax.compiler import as_sharding, constrained
from ferax.sharding import Sharding, SingleDeviceSharding
from ferax.tree_util import flatten_prefix, unflatten


class Placing:
    """What one `jit` was told. Raises ValueError for options that exclude each other."""

    def __init__(
        self, in_shardings: Any, out_shardings: Any, device: Any, backend: Any
    ):
        if device is not None and backend is not None:
            raise ValueError("jit: give device or backend, not both")
        if backend is not None:
            device = engine().local_devices(backend)[0]
        if device is not None and not (in_shardings is None and out_shardings is None):
            raise ValueError(
                "jit: device and backend cannot be combined with in_shardings and "
                "out_shardings, which say the same more precisely"
            )
        self.device = device
        # a list of shardings stands for the tuple of arguments too
        as_list = isinstance(in_shardings, list)
        self.in_shardings = tuple(in_shardings) if as_list else in_shardings
        self.out_shardings = out_shardings

    def _key(self) -> tuple[Any, ...]:
        return self.in_shardings, self.out_shardings, self.device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placing) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())  # TypeError: the function gets a table of its own

    def ins(self, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> Any:
        """For each of the `count` leaves of the arguments its sharding, or None."""
        if self.device is not None:
            return [SingleDeviceSharding(self.device)] * count
        if self.in_shardings is None:
            return [None] * count
        if kwargs:
            raise ValueError(
                "jit: in_shardings are for positional arguments; the function was called with "
                f"{', '.join(f'{k}=' for k in kwargs)}"
            )
        wanted = flatten_prefix(self.in_shardings, args, "jit: in_shardings")
        return [as_sharding("jit: in_shardings", w) for w in wanted]

    def outs(self, tree: Any) -> list[Any]:
        """For each leaf of the results its sharding, or None."""
        count = tree.num_leaves
        if self.device is not None:
            return [SingleDeviceSharding(self.device)] * count
        full = unflatten(tree, range(count))
        wanted = flatten_prefix(self.out_shardings, full, "jit: out_shardings")
        return [as_sharding("jit: out_shardings", w) for w in wanted]

    def constrain(self, leaves: Sequence[Any], wanted: Sequence[Any]) -> list[Any]:
        """Traced leaves, with what is wanted of them said in the program."""
        return [
            x if w is None else constrained("jit", x, w) for x, w in zip(leaves, wanted)
        ]

    def plan(
        self, ins: Sequence[Any], outs: Sequence[Any], kept: Sequence[int]
    ) -> Placed:
        """For one program, of whose arguments only some are passed on."""
        given = [w for w in (*ins, *outs) if w is not None]
        for other in given:
            if other.device_set != given[0].device_set:
                raise ValueError(
                    "jit: all shardings must be over the same devices; got "
                    f"{given[0]} and {other}"
                )
        site: Any = None
        if self.device is not None:
            site = self.device
        elif given and given[0].num_devices == 1:
            site = next(iter(given[0].device_set))
        elif given:
            site = tuple(ins[i] for i in kept)
        return Placed(ins, outs, site, self.device is not None)


class Placed(NamedTuple):
    """Where one program runs, and where its arguments and results lie."""

    ins: Sequence[Any]  # a sharding or None for each argument
    outs: Sequence[Any]
    site: Any  # a device, or the shardings of the arguments passed on, or None
    moves: bool  # whether arguments that lie elsewhere are moved

    def put(self, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        """Arrays where they shall be, and the site."""
        placed = [x if w is None else self._put(x, w) for x, w in zip(leaves, self.ins)]
        return placed, self.site

    def _put(self, x: Concrete, where: Sharding) -> Concrete:
        if x._committed and not self.moves:
            own = engine().sharding_of(x)
            if not own.is_equivalent_to(where, x.ndim):
                raise ValueError(
                    f"jit: an argument ({x.aval.short()}) lies on {own}, but in_shardings wants "
                    f"it on {where}; move it with device_put before the call"
                )
        return engine().device_put(x, where)  # type: ignore[no-any-return]
