"""How arrays lie on several devices, as plain data: meshes, partition specs, shardings.

A `Mesh` names the axes of an array of devices. A `PartitionSpec` says for each axis of an array
over which mesh axes it is split; a `NamedSharding` is both together. Nothing here knows what a
device is: any object with an `id` will do.
"""

from __future__ import annotations

import enum
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Index = tuple[slice, ...]
Shape = tuple[int, ...]


class AxisType(enum.Enum):
    """Who decides about a mesh axis: the compiler, the types, or the user by hand."""

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()

    def __repr__(self) -> str:
        return self.name


def _axis_types(types: Any, count: int) -> tuple[AxisType, ...]:
    if types is None:
        types = AxisType.Auto
    if isinstance(types, AxisType):
        return (types,) * count
    if len(types) != count:
        raise ValueError(
            f"a mesh with {count} axes got {len(types)} axis_types: {types}"
        )
    return tuple(types)


class _Value:
    """Compared and hashed by its `_fields()`."""

    __slots__ = ()

    def _fields(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, _Value)
            and type(self) is type(other)
            and self._fields() == other._fields()
        )

    def __hash__(self) -> int:
        return hash(self._fields())


class AbstractMesh(_Value):
    """The names and sizes of mesh axes, without devices."""

    def __init__(
        self,
        axis_sizes: Sequence[int],
        axis_names: Sequence[Any],
        axis_types: AxisType | Sequence[AxisType] | None = None,
    ):
        self.axis_sizes = tuple(axis_sizes)
        self.axis_names = (
            (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        )
        if len(self.axis_sizes) != len(self.axis_names):
            raise ValueError(
                f"a mesh of {len(self.axis_sizes)} axes needs as many names; got "
                f"axis_names={self.axis_names}"
            )
        if len(set(self.axis_names)) != len(self.axis_names):
            raise ValueError(
                f"a mesh axis is named twice in axis_names={self.axis_names}"
            )
        self.axis_types = _axis_types(axis_types, len(self.axis_names))

    @property
    def shape(self) -> OrderedDict[Any, int]:
        """Axis name -> size, in order."""
        return OrderedDict(zip(self.axis_names, self.axis_sizes))

    @property
    def size(self) -> int:
        """Number of devices."""
        return math.prod(self.axis_sizes)

    @property
    def empty(self) -> bool:
        return not self.axis_names

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return self

    def _fields(self) -> tuple[Any, ...]:
        return self.axis_sizes, self.axis_names, self.axis_types

    def __repr__(self) -> str:
        axes = ", ".join(f"{n!r}: {s}" for n, s in self.shape.items())
        return f"{type(self).__name__}({axes}, axis_types={self.axis_types})"


class Mesh(AbstractMesh):
    """An array of devices with named axes.

    Args:
      devices: devices, array-like of shape (s1, …, sn).
      axis_names: n names.
      axis_types: who partitions each axis; by default the compiler.

    As a context (`with mesh:`) it becomes the mesh of bare partition specs.

    >>> import numpy as np
    >>> from ferax.sharding import Mesh
    >>> dict(Mesh(np.array(["cpu0", "cpu1"]), ("batch",)).shape)
    {'batch': 2}
    """

    def __init__(self, devices: Any, axis_names: Any, axis_types: Any = None):
        array = np.empty(np.shape(devices), object)
        array[...] = devices
        array.flags.writeable = False
        self.devices = array
        super().__init__(array.shape, axis_names, axis_types)
        self._hash = hash(self._fields())

    def _fields(self) -> tuple[Any, ...]:
        return *super()._fields(), *self.devices.flat

    @property
    def abstract_mesh(self) -> AbstractMesh:
        return AbstractMesh(self.axis_sizes, self.axis_names, self.axis_types)

    @property
    def device_ids(self) -> np.ndarray:
        """The devices' ids, in the shape of the mesh."""
        ids = [d.id for d in self.devices.flat]
        return np.array(ids, int).reshape(self.devices.shape)

    @property
    def local_devices(self) -> list[Any]:
        """The devices of this process."""
        return [
            d for d in self.devices.flat if d.process_index == d.client.process_index()
        ]

    @property
    def is_multi_process(self) -> bool:
        return len(self.local_devices) != self.size

    def __hash__(self) -> int:
        return self._hash

    def __enter__(self) -> Mesh:
        _meshes.stack.append(self)
        return self

    def __exit__(self, *exception: Any) -> None:
        _meshes.stack.pop()


class _Meshes(threading.local):
    def __init__(self) -> None:
        self.stack: list[Any] = [Mesh(np.empty((), object), ())]


_meshes = _Meshes()


def get_mesh() -> Mesh:
    """The innermost mesh in scope; an empty one if there is none."""
    return _meshes.stack[-1]  # type: ignore[no-any-return]


def get_abstract_mesh() -> AbstractMesh:
    """Names and sizes of the innermost mesh in scope."""
    return get_mesh().abstract_mesh


class set_mesh:
    """Make a mesh the current one: for the block of a `with`, or from now on."""

    def __init__(self, mesh: Mesh | None):
        self.mesh = Mesh(np.empty((), object), ()) if mesh is None else mesh
        self.outer = _meshes.stack[-1]
        _meshes.stack[-1] = self.mesh

    def __enter__(self) -> Mesh:
        return self.mesh

    def __exit__(self, *exception: Any) -> None:
        _meshes.stack[-1] = self.outer


class use_abstract_mesh:
    """As `set_mesh`, for a mesh without devices."""

    def __init__(self, mesh: AbstractMesh):
        self.mesh = mesh

    def __enter__(self) -> None:
        _meshes.stack.append(self.mesh)

    def __exit__(self, *exception: Any) -> None:
        _meshes.stack.pop()


class _Unconstrained:
    """The entry of a PartitionSpec that leaves an axis to the compiler."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "_UNCONSTRAINED"


_UNCONSTRAINED = _Unconstrained()


class PartitionSpec(_Value):
    """For each axis of an array: the mesh axis or axes over which it is split, or None.

    Axes beyond the last entry are not split.

    >>> from ferax.sharding import PartitionSpec
    >>> PartitionSpec("batch", None)
    P('batch', None)
    """

    UNCONSTRAINED = _UNCONSTRAINED
    __slots__ = ("_partitions", "reduced", "unreduced")

    def __init__(
        self, *partitions: Any, unreduced: Any = frozenset(), reduced: Any = frozenset()
    ):
        self._partitions = tuple(_entry(p) for p in partitions)
        self.unreduced = frozenset(unreduced)
        self.reduced = frozenset(reduced)

    @property
    def partitions(self) -> tuple[Any, ...]:
        return self._partitions

    def mesh_axes(self) -> tuple[tuple[Any, ...], ...]:
        """For each entry the tuple of mesh axes, () where nothing is split or prescribed."""
        free = (None, _UNCONSTRAINED)
        written = [() if p in free else p for p in self._partitions]
        return tuple([p if isinstance(p, tuple) else (p,) for p in written])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._partitions)

    def __len__(self) -> int:
        return len(self._partitions)

    def __getitem__(self, index: Any) -> Any:
        return self._partitions[index]

    def __add__(self, other: Any) -> PartitionSpec:
        return PartitionSpec(
            *self, *other, unreduced=self.unreduced, reduced=self.reduced
        )

    def __radd__(self, other: Any) -> PartitionSpec:
        return PartitionSpec(
            *other, *self, unreduced=self.unreduced, reduced=self.reduced
        )

    def count(self, entry: Any) -> int:
        return self._partitions.count(_entry(entry))

    def index(self, entry: Any) -> int:
        return self._partitions.index(_entry(entry))

    def update(self, **fields: Any) -> PartitionSpec:
        """A copy with `partitions`, `unreduced` or `reduced` replaced."""
        partitions = fields.pop("partitions", self._partitions)
        kept = {"unreduced": self.unreduced, "reduced": self.reduced}
        return PartitionSpec(*partitions, **{**kept, **fields})

    def _fields(self) -> tuple[Any, ...]:
        return self._partitions, self.unreduced, self.reduced

    def __repr__(self) -> str:
        parts = [repr(p) for p in self._partitions]
        parts += [
            f"{n}={set(v)}" for n in ("unreduced", "reduced") if (v := getattr(self, n))
        ]
        return f"P({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_spec, self._fields()


P = PartitionSpec


def _entry(p: Any) -> Any:
    """One mesh axis is written without a tuple, none as None."""
    if isinstance(p, (tuple, list)):
        return None if not p else p[0] if len(p) == 1 else tuple(p)
    return p


def _rebuild_spec(partitions: Any, unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*partitions, unreduced=unreduced, reduced=reduced)


class Sharding:
    """How an array lies on devices. Subclasses give `device_set` and `devices_indices_map`."""

    memory_kind: str | None = None

    @property
    def device_set(self) -> set[Any]:
        raise NotImplementedError(f"{type(self).__name__}.device_set")

    def devices_indices_map(self, global_shape: Shape) -> Mapping[Any, Index]:
        """Device -> the index of its part of an array of this shape."""
        raise NotImplementedError(f"{type(self).__name__}.devices_indices_map")

    def shard_shape(self, global_shape: Shape) -> Shape:
        """The shape of one device's part. Raises ValueError if sizes don't divide."""
        raise NotImplementedError(f"{type(self).__name__}.shard_shape")

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device holds the whole array."""
        raise NotImplementedError(f"{type(self).__name__}.is_fully_replicated")

    @property
    def num_devices(self) -> int:
        return len(self.device_set)

    @property
    def addressable_devices(self) -> set[Any]:
        """The devices of this process."""
        return {
            d for d in self.device_set if d.process_index == d.client.process_index()
        }

    @property
    def is_fully_addressable(self) -> bool:
        return self.addressable_devices == self.device_set

    def addressable_devices_indices_map(
        self, global_shape: Shape
    ) -> Mapping[Any, Index]:
        """As `devices_indices_map`, for the devices of this process."""
        ours = self.addressable_devices
        return {
            d: i for d, i in self.devices_indices_map(global_shape).items() if d in ours
        }

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether both place every array of `ndim` axes alike."""
        if self.device_set != other.device_set:
            return False
        # sizes that every split divides, so that all parts differ
        probe = (math.lcm(self.num_devices, other.num_devices) * 2,) * ndim
        return self.devices_indices_map(probe) == other.devices_indices_map(probe)

    def with_memory_kind(self, kind: str) -> Sharding:
        """The same placement in another memory of the devices."""
        raise NotImplementedError(f"{type(self).__name__}.with_memory_kind")


class SingleDeviceSharding(_Value, Sharding):
    """The whole array on one device."""

    def __init__(self, device: Any, *, memory_kind: str | None = None):
        self._device = device
        self.memory_kind = memory_kind

    @property
    def device_set(self) -> set[Any]:
        return {self._device}

    @property
    def is_fully_replicated(self) -> bool:
        return True

    def devices_indices_map(self, global_shape: Shape) -> Mapping[Any, Index]:
        return {self._device: (slice(None),) * len(global_shape)}

    def shard_shape(self, global_shape: Shape) -> Shape:
        return tuple(global_shape)

    def with_memory_kind(self, kind: str) -> SingleDeviceSharding:
        return SingleDeviceSharding(self._device, memory_kind=kind)

    def _fields(self) -> tuple[Any, ...]:
        return self._device, self.memory_kind

    def __repr__(self) -> str:
        return f"SingleDeviceSharding(device={self._device!r}, memory_kind={self.memory_kind})"


def make_single_device_sharding(
    device: Any, *, memory_kind: str | None = None
) -> Sharding:
    """The whole array on one device."""
    return SingleDeviceSharding(device, memory_kind=memory_kind)


class NamedSharding(_Value, Sharding):
    """The axes of an array split over the named axes of a mesh.

    Args:
      mesh: the devices.
      spec: for each axis of the array, the mesh axes that split it.
      memory_kind: which of the devices' memories.
    Raises:
      ValueError: if `spec` names an axis that the mesh lacks, or one twice.
    """

    def __init__(
        self, mesh: Any, spec: PartitionSpec, *, memory_kind: str | None = None
    ):
        if not isinstance(spec, PartitionSpec):
            raise TypeError(
                f"NamedSharding: spec must be a PartitionSpec; got {spec!r}"
            )
        self.mesh = mesh
        self.spec = spec
        self.memory_kind = memory_kind
        named = [a for axes in spec.mesh_axes() for a in axes]
        missing = [a for a in named if a not in mesh.axis_names]
        if missing:
            raise ValueError(
                f"NamedSharding: {spec} names the axis {missing[0]!r}; the mesh has "
                f"{', '.join(map(repr, mesh.axis_names)) or 'no axes'}"
            )
        if len(set(named)) != len(named):
            raise ValueError(f"NamedSharding: a mesh axis is named twice in {spec}")

    @property
    def device_set(self) -> set[Any]:
        return set(self.mesh.devices.flat)

    @property
    def num_devices(self) -> int:
        return self.mesh.size  # type: ignore[no-any-return]

    def splits(self, ndim: int) -> tuple[int, ...]:
        """Into how many parts each axis is split."""
        if len(self.spec) > ndim:
            raise ValueError(
                f"{self.spec} has {len(self.spec)} entries, but the array has {ndim} axes"
            )
        sizes = self.mesh.shape
        counts = [math.prod(sizes[a] for a in axes) for axes in self.spec.mesh_axes()]
        return (*counts, *(1,) * (ndim - len(counts)))

    @property
    def is_fully_replicated(self) -> bool:
        return math.prod(self.splits(len(self.spec))) == 1

    def shard_shape(self, global_shape: Shape) -> Shape:
        splits = self.splits(len(global_shape))
        for axis, (d, count) in enumerate(zip(global_shape, splits)):
            if d % count:
                raise ValueError(
                    f"an array of shape {tuple(global_shape)} cannot be placed by {self.spec}: "
                    f"axis {axis} (size {d}) would be split into {count} equal parts"
                )
        return tuple(d // count for d, count in zip(global_shape, splits))

    def devices_indices_map(self, global_shape: Shape) -> Mapping[Any, Index]:
        part = self.shard_shape(global_shape)
        splits = self.splits(len(global_shape))
        axes = self.spec.mesh_axes()
        sizes = self.mesh.shape
        found: dict[Any, Index] = {}
        for place, device in np.ndenumerate(self.mesh.devices):
            at = dict(zip(self.mesh.axis_names, place))
            index = []
            for axis, (size, count) in enumerate(zip(part, splits)):
                number = 0  # of this part: the mesh coordinates as digits, first axis highest
                for name in axes[axis] if axis < len(axes) else ():
                    number = number * sizes[name] + at[name]
                whole = count == 1
                index.append(
                    slice(None) if whole else slice(number * size, (number + 1) * size)
                )
            found[device] = tuple(index)
        return found

    def with_memory_kind(self, kind: str) -> NamedSharding:
        return NamedSharding(self.mesh, self.spec, memory_kind=kind)

    def update(self, **fields: Any) -> NamedSharding:
        """A copy with `mesh`, `spec` or `memory_kind` replaced."""
        own = {"mesh": self.mesh, "spec": self.spec, "memory_kind": self.memory_kind}
        return NamedSharding(**{**own, **fields})

    def _fields(self) -> tuple[Any, ...]:
        return self.mesh, self.spec, self.memory_kind

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh}, spec={self.spec}, memory_kind={self.memory_kind})"
