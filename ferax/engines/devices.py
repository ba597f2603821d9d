"""Devices, and moving values to and from them: the public functions.

Nothing here imports jaxlib; the engine is loaded when the first device is asked for. Moving
values that are on the host already, and waiting for them, loads nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes, tree_util
from ferax.core.array import Array, Concrete, engine
from ferax.core.avals import Aval
from ferax.core.tracing import Tracer, to_array
from ferax.errors import public
from ferax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

__all__ = [
    "Shard", "block_until_ready", "copy_to_host_async", "default_backend", "device_count",
    "device_get", "device_put", "device_put_replicated", "device_put_sharded", "devices",
    "host_count", "host_id", "host_ids", "live_arrays", "local_device_count", "local_devices",
    "make_array_from_callback", "make_array_from_process_local_data",
    "make_array_from_single_device_arrays", "make_mesh", "process_count", "process_index",
    "process_indices",
]  # fmt: skip


# -- which there are -----------------------------------------------------------------------


@public
def devices(backend: str | None = None) -> list[Any]:
    """All devices of a platform, also those of other processes.

    Args:
      backend: "cpu", "gpu", "cuda", "rocm" or "tpu"; by default the best that has devices.
    Raises:
      RuntimeError: if the platform has none.

    >>> import ferax
    >>> ferax.devices("cpu")
    [CpuDevice(id=0)]
    """
    return engine().devices(backend)  # type: ignore[no-any-return]


@public
def local_devices(
    process_index: int | None = None,
    backend: str | None = None,
    host_id: int | None = None,
) -> list[Any]:
    """The devices of one process, by default this one. Arguments as in `devices`."""
    wanted = process_index if process_index is not None else host_id
    if wanted is None:
        return engine().local_devices(backend)  # type: ignore[no-any-return]
    found = [d for d in devices(backend) if d.process_index == wanted]
    if wanted not in process_indices(backend):
        raise ValueError(
            f"local_devices: there is no process {wanted}; processes are "
            f"{process_indices(backend)}"
        )
    return found


@public
def device_count(backend: str | None = None) -> int:
    """The number of devices of all processes."""
    return len(devices(backend))


@public
def local_device_count(backend: str | None = None) -> int:
    """The number of devices of this process."""
    return len(local_devices(backend=backend))


@public
def default_backend() -> str:
    """The platform that programs run on by default: "cpu", "gpu" or "tpu"."""
    return engine().default_backend()  # type: ignore[no-any-return]


@public
def process_index(backend: str | None = None) -> int:
    """The number of this process among those that share the devices."""
    return int(local_devices(backend=backend)[0].process_index)


@public
def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of all processes that share the devices."""
    return sorted({d.process_index for d in devices(backend)})


@public
def process_count(backend: str | None = None) -> int:
    """The number of processes that share the devices."""
    return max(process_indices(backend)) + 1


host_id = process_index
host_ids = process_indices
host_count = process_count


@public
def live_arrays(platform: str | None = None) -> list[Array]:
    """All arrays of this process that hold values, for finding out what fills the memory."""
    return engine().live_arrays(platform)  # type: ignore[no-any-return]


@public
def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[Any],
    axis_types: AxisType | Sequence[AxisType] | None = None,
    *,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh of the first devices, in their order.

    Args:
      axis_shapes: devices along each axis.
      axis_names: as many names.
      axis_types: who partitions each axis; by default the compiler.
      devices: which ones; by default all.
    Raises:
      ValueError: if there are too few devices.
    """
    available = engine().devices() if devices is None else list(devices)
    wanted = math.prod(axis_shapes)
    if wanted > len(available):
        raise ValueError(
            f"make_mesh: a mesh of {tuple(axis_shapes)} needs {wanted} devices; there are "
            f"{len(available)}. FERAX_CPU_DEVICES={wanted} in the environment makes as many of "
            "the CPU."
        )
    array = np.empty(wanted, object)
    array[:] = available[:wanted]
    return Mesh(array.reshape(tuple(axis_shapes)), axis_names, axis_types)


# -- moving and waiting --------------------------------------------------------------------


@public
def device_put(
    x: Any,
    device: Any = None,
    *,
    src: Any = None,
    donate: Any = False,
    may_alias: Any = None,
) -> Any:
    """The arrays of a pytree, moved to a device or spread over several.

    Args:
      x: arrays, NumPy arrays or numbers, in any pytree.
      device: a Device or a Sharding, or a pytree of these that begins like `x`. The results
        are then committed: programs on them run there. None leaves arrays where they are.
      src: accepted; arrays know where they are.
      donate: whether the memory of the arguments may be given up.
      may_alias: accepted; immutable values are shared wherever memory is.
    Returns:
      Arrays in the structure of `x`.
    Raises:
      ValueError: if the sharding does not divide an array evenly.

    >>> import numpy as np
    >>> import ferax
    >>> ferax.device_put(np.arange(3.), ferax.devices()[0]).committed
    True
    """
    leaves, tree = tree_util.tree_flatten(x)
    targets = _spread_over(device, x, len(leaves))
    moved = [_moved(leaf, target) for leaf, target in zip(leaves, targets)]
    if donate is True:
        for old, new in zip(leaves, moved):
            if isinstance(old, Concrete) and old is not new and not _shares(old, new):
                old.delete()
    return tree_util.tree_unflatten(tree, moved)


def _spread_over(prefix: Any, tree: Any, count: int) -> list[Any]:
    if prefix is None or not tree_util.is_tree_node(type(prefix)):
        return [prefix] * count
    return tree_util.flatten_prefix(prefix, tree, "device_put: device")


def _moved(leaf: Any, target: Any) -> Any:
    array = to_array(leaf, "device_put")
    if target is None or isinstance(
        array, Tracer
    ):  # a compiled program has one placement
        return array
    return engine().device_put(array, target)


def _shares(x: Concrete, y: Concrete) -> bool:
    return (x._host is not None and x._host is y._host) or (
        x._buffer is not None and x._buffer is y._buffer
    )


@public
def device_get(x: Any) -> Any:
    """The arrays of a pytree as NumPy arrays, read-only; random keys, other leaves as they are.

    >>> import ferax.numpy as jnp
    >>> import ferax
    >>> ferax.device_get({"a": jnp.arange(3), "b": 1.5})
    {'a': array([0, 1, 2], dtype=int32), 'b': 1.5}
    """
    copy_to_host_async(x)

    def fetched(v: Any) -> Any:
        if not isinstance(v, Array) or dtypes.is_key(v.dtype):
            return v
        return np.asarray(v)

    return tree_util.tree_map(fetched, x)


@public
def copy_to_host_async(x: Any) -> Any:
    """Start fetching the arrays of a pytree to the host; returns `x`."""
    for leaf in tree_util.tree_leaves(x):
        if isinstance(leaf, Concrete) and leaf._host is None and not leaf.is_deleted():
            leaf.copy_to_host_async()
    return x


@public
def block_until_ready(x: Any) -> Any:
    """Wait until all arrays of a pytree are computed; returns `x`.

    Raises:
      JaxRuntimeError: if the program that computes one of them failed.
    """
    leaves = tree_util.tree_leaves(x)
    found = [leaf._buffer for leaf in leaves if type(leaf) is Concrete]
    buffers = [b for b in found if b is not None and not b.is_deleted()]
    if buffers:
        engine().wait(buffers)
    return x


# -- arrays made of parts --------------------------------------------------------------------


class Shard:
    """The part of an array that one device holds."""

    def __init__(
        self,
        device: Any,
        sharding: Sharding,
        global_shape: tuple[int, ...],
        data: Any = None,
    ):
        self.device = device
        self.data = data
        self._sharding = sharding
        self._global_shape = global_shape

    @property
    def index(self) -> tuple[slice, ...]:
        """Where the part belongs in the whole."""
        places = self._sharding.devices_indices_map(self._global_shape)
        return places[self.device]

    @property
    def replica_id(self) -> int:
        """The number of this copy among those of the same part."""
        places = self._sharding.devices_indices_map(self._global_shape)
        same = [d for d, index in places.items() if index == places[self.device]]
        return same.index(self.device)

    def __repr__(self) -> str:
        return (
            f"Shard(device={self.device!r}, index={self.index}, "
            f"replica_id={self.replica_id}, data={self.data})"
        )


@public
def make_array_from_single_device_arrays(
    shape: Sequence[int],
    sharding: Sharding,
    arrays: Sequence[Any],
    *,
    dtype: Any = None,
) -> Array:
    """One array of parts that are on the devices of `sharding`.

    Args:
      shape: of the whole.
      sharding: where each part belongs.
      arrays: one part per device of this process, of the shape `sharding.shard_shape(shape)`.
      dtype: needed if `arrays` is empty.
    Raises:
      ValueError: if a part has another shape or dtype.
    """
    whole, parts = tuple(shape), [to_array(a) for a in arrays]
    part_shape = sharding.shard_shape(whole)
    kind = dtypes.canonical(dtype) if dtype is not None else parts[0].dtype
    for part in parts:
        if part.shape != part_shape or part.dtype != kind:
            raise ValueError(
                f"make_array_from_single_device_arrays: a part is {part.aval.short()}; the "
                f"sharding makes {Aval(part_shape, kind).short()} of a whole of shape {whole}"
            )
    return engine().from_shards(Aval(whole, kind), sharding, parts)  # type: ignore[no-any-return]


@public
def make_array_from_callback(
    shape: Sequence[int],
    sharding: Sharding,
    data_callback: Callable[[Any], Any],
    dtype: Any = None,
) -> Array:
    """The array whose part at `index` is `data_callback(index)`.

    Args:
      shape: of the whole.
      sharding: where the parts go.
      data_callback: takes a tuple of slices, gives array-like values.
      dtype: of the result; by default that of the parts.
    """
    whole = tuple(shape)
    places = sharding.addressable_devices_indices_map(whole)
    parts = []
    for device, index in places.items():
        part = np.asarray(data_callback(index))
        part = part if dtype is None else part.astype(dtypes.canonical(dtype))
        parts.append(device_put(part, device))
    return make_array_from_single_device_arrays(whole, sharding, parts)


@public
def make_array_from_process_local_data(
    sharding: Sharding, local_data: Any, global_shape: Sequence[int] | None = None
) -> Array:
    """An array of which each process gives its own part; in one process, the whole.

    Raises:
      NotImplementedError: if several processes share the devices.
    """
    data = np.asarray(local_data)
    if process_count() > 1:
        raise NotImplementedError(
            "make_array_from_process_local_data works within one process only; "
            "make_array_from_callback works with several"
        )
    if global_shape is not None and tuple(global_shape) != data.shape:
        raise ValueError(
            f"make_array_from_process_local_data: with one process the data must be whole, of "
            f"shape {tuple(global_shape)}; got {data.shape}"
        )
    return device_put(data, sharding)  # type: ignore[no-any-return]


@public
def device_put_replicated(x: Any, devices: Sequence[Any]) -> Any:
    """A copy of `x` on each device, stacked along a new leading axis."""
    return tree_util.tree_map(
        lambda leaf: _stacked(
            [to_array(leaf, "device_put_replicated")] * len(devices), devices
        ),
        x,
    )


@public
def device_put_sharded(shards: Sequence[Any], devices: Sequence[Any]) -> Any:
    """The i-th tree of `shards` on the i-th device, stacked along a new leading axis."""
    if len(shards) != len(devices):
        raise ValueError(
            f"device_put_sharded: got {len(shards)} shards for {len(devices)} devices"
        )
    return tree_util.tree_map(
        lambda *leaves: _stacked(
            [to_array(v, "device_put_sharded") for v in leaves], devices
        ),
        *shards,
    )


def _stacked(parts: Sequence[Any], where: Sequence[Any]) -> Array:
    """The parts along a leading axis that is split over the devices."""
    array = np.empty(len(where), object)
    array[:] = list(where)
    sharding = NamedSharding(Mesh(array, ("devices",)), PartitionSpec("devices"))
    whole = np.stack([p.host() for p in parts])
    aval = Aval(whole.shape, parts[0].aval.dtype)
    return engine().device_put(Concrete(aval, whole), sharding)  # type: ignore[no-any-return]
