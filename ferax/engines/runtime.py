"""jaxlib as ferax uses it: platforms, placements, transfers, callbacks. No other room but
`engines/xla.py` imports jaxlib.

jaxlib's Python bindings promise no stability, so the version is checked at import. Its classes
are never patched and none of its global state is set, so that the `jax` package may be used in
the same process.

What is subtle:
- `ArrayImpl.__array__` and `LoadedExecutable.execute` of jaxlib expect the `jax` package; here
  buffers are made by `batched_device_put` and by result handlers, and read by
  `_single_device_array_to_np_array_did_copy`.
- On CPU, host memory that is aligned to 64 bytes is taken over without a copy, and read back
  without one. XLA writes neither into memory it took over nor into memory that NumPy sees, even
  if the buffer is donated: it copies then.
"""

from __future__ import annotations

import atexit
import collections
import functools
import glob
import importlib
import importlib.util
import itertools
import math
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # XLA greets at level 0

try:
    import jaxlib.version
    from jaxlib import _jax

    try:
        from jaxlib import _hlo
    except ImportError:  # before 0.10.2 it is a part of the other
        _hlo = _jax
except ImportError as _error:
    raise ImportError(
        "ferax compiles with XLA, which comes with the package jaxlib; it could not be loaded "
        f"({_error}). Install it: pip install 'jaxlib>=0.10,<0.12'"
    ) from None

from ferax import errors
from ferax.config import config
from ferax.core.array import aligned
from ferax.core.avals import Aval
from ferax.engines.stablehlo import carrier
from ferax.sharding import NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

VERSION: str = jaxlib.version.__version__
if tuple(VERSION.split(".")[:2]) not in (("0", "10"), ("0", "11")):
    raise ImportError(
        f"ferax works with jaxlib 0.10 and 0.11; {VERSION} is installed. Install one of them: "
        "pip install 'jaxlib>=0.10,<0.12'"
    )

Failure: type[Exception] = _jax.JaxRuntimeError
Device = _jax.Device


def translated(error: BaseException) -> errors.JaxRuntimeError:
    """jaxlib's exception as ferax's; to be raised `from cause(error)`."""
    return errors.JaxRuntimeError(str(error))


def cause(error: BaseException) -> BaseException | None:
    """What a Python callback raised, if that is what the program failed of."""
    return callback_errors.pop() if "callback" in str(error) else None


# -- platforms -----------------------------------------------------------------------------

_ALIASES = {"gpu": ("cuda", "rocm"), "cuda": ("cuda",), "rocm": ("rocm",)}
_PLUGINS = {  # platform: packages that may hold its PJRT library, and the library's name
    "cuda": (
        ("jax_plugins.xla_cuda13", "jax_plugins.xla_cuda12"),
        "xla_cuda_plugin.so",
    ),
    "rocm": (("jax_plugins.xla_rocm7", "jax_plugins.xla_rocm60"), "xla_rocm_plugin.so"),
    "tpu": (("libtpu",), "libtpu.so"),
}
_DRIVERS = {  # files without which a platform has no device
    "cuda": ("/dev/nvidia*", "/dev/dxg", "/dev/nvmap"),
    "rocm": ("/dev/kfd",),
    "tpu": ("/dev/accel*", "/dev/vfio/*"),
}


def plugin_library(platform: str) -> str | None:
    """The path of the PJRT plugin of a platform, if its package is installed."""
    packages, library = _PLUGINS[platform]
    for name in packages:
        try:
            spec = importlib.util.find_spec(name)
        except ImportError:  # the parent package is not there
            continue
        for folder in (spec and spec.submodule_search_locations) or ():
            path = os.path.join(folder, library)
            if os.path.exists(path):
                return path
    return None


def _plugin_client(platform: str, path: str) -> Any:
    """Load a plugin and make its client; None if it finds no device."""
    if not _jax.pjrt_plugin_loaded(platform):
        capsule = _jax.load_pjrt_plugin(platform, path, None)
        if platform == "cuda":
            _register_cuda_targets(capsule)
    if not _jax.pjrt_plugin_initialized(platform):
        _jax.initialize_pjrt_plugin(platform)
    options: dict[str, Any] = {}
    if platform in ("cuda", "rocm"):
        from jaxlib import xla_client

        options = xla_client.generate_pjrt_gpu_plugin_options()
        options["platform_name"] = platform
    return _jax.get_c_api_client(platform, options)


def _register_cuda_targets(capsule: Any) -> None:
    """Tell XLA the CUDA kernels for linear algebra and the gate to Python callbacks."""
    for version in (13, 12):
        name = f"jax_cuda{version}_plugin.cuda_plugin_extension"
        try:
            extension = importlib.import_module(name)
        except ImportError:
            continue
        for name, kind in extension.ffi_types().items():
            extension.register_custom_type(capsule, name, kind)
        for name, target in extension.ffi_handlers().items():
            extension.register_custom_call_target(capsule, name, target, "CUDA", 1)
        for room in ("gpu_solver", "gpu_linalg", "gpu_prng", "gpu_sparse"):
            registrations = importlib.import_module(f"jaxlib.{room}").registrations()
            for name, target, api in registrations.get("CUDA", ()):
                extension.register_custom_call_target(
                    capsule, name, target, "CUDA", api
                )
        return


class Platforms:
    """The clients of this process, one per platform, each made when first asked for."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()

    def client(self, platform: str) -> Any:
        """The client of a platform, or None if there is none or it has no devices."""
        if platform not in self._clients:
            with self._lock:
                if platform not in self._clients:
                    self._clients[platform] = self._make(platform)
        return self._clients[platform]

    def _make(self, platform: str) -> Any:
        if platform == "cpu":
            return _jax.get_tfrt_cpu_client(
                asynchronous=True, num_devices=config.cpu_devices
            )
        path = plugin_library(platform) if platform in _PLUGINS else None
        if path is None or not any(glob.glob(p) for p in _DRIVERS[platform]):
            return None
        try:
            return _plugin_client(platform, path)
        except Failure as error:
            warnings.warn(
                f"the {platform} plugin of XLA is installed, but gives no device: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return None

    def order(self) -> list[str]:
        """The platforms to look for, best first."""
        given = config.platforms
        if given is None:
            return ["cuda", "rocm", "tpu", "cpu"]
        names: list[str] = []
        for name in given.split(","):
            names += _ALIASES.get(name.strip().lower(), (name.strip().lower(),))
        return names

    def named(self, backend: Any) -> Any:
        """The client meant by a platform name (None: the best). Raises RuntimeError."""
        if backend is not None and not isinstance(backend, str):
            return backend
        if backend is None:
            names = self.order()
        else:
            names = list(_ALIASES.get(backend, (backend,)))
        for name in names:
            client = self.client(name)
            if client is not None:
                return client
        raise RuntimeError(
            f"no device of the platform {backend or config.platforms!r} was found; there are "
            f"{', '.join(p for p in ('cuda', 'rocm', 'tpu', 'cpu') if self.client(p))}. GPUs "
            "need the package jax-cuda13-plugin with its library jax-cuda13-pjrt."
        )


platforms = Platforms()


# -- placements ----------------------------------------------------------------------------

_REPLICATED = _hlo.HloSharding.replicate()


class OnDevice(_jax.SingleDeviceSharding):  # type: ignore[misc]
    """jaxlib's view of "the whole array on this device"; one object per device."""

    # stated here, so that no property that the `jax` package may add to the base hides them
    memory_kind: Any = None
    public: Any = None
    on_cpu: bool = False
    device: Any = None
    devices: Any = ()
    _device_assignment: Any = ()

    def __init__(self, device: Any):
        super().__init__(device)
        self.public = SingleDeviceSharding(device)
        self.on_cpu = device.platform == "cpu"
        self.device = device
        self.devices = (device,)
        self._device_assignment = (device,)

    def _to_xla_hlo_sharding(self, ndim: int) -> Any:
        return _REPLICATED


class OnMany(_jax.GSPMDSharding):  # type: ignore[misc]
    """jaxlib's view of an array on several devices."""

    memory_kind: Any = None
    public: Any = None
    devices: Any = ()
    _device_assignment: Any = ()

    def __init__(self, public: Sharding, devices: tuple[Any, ...], hlo: Any):
        super().__init__(_jax.DeviceList(devices), hlo)
        self.public = public
        self.devices = devices
        self._device_assignment = devices

    def _to_xla_hlo_sharding(self, ndim: int) -> Any:
        return self._hlo_sharding


class CompilerSharding(Sharding):
    """A placement that XLA chose for the result of a program."""

    def __init__(self, devices: tuple[Any, ...], hlo: Any):
        self.devices = devices
        self.hlo = hlo

    @property
    def device_set(self) -> set[Any]:
        return set(self.devices)

    @property
    def is_fully_replicated(self) -> bool:
        return bool(self.hlo.is_replicated())

    def _tiles(self, ndim: int) -> tuple[list[int], list[int]]:
        """Parts along each axis, and the devices' numbers in order of the tiles."""
        if not self.hlo.is_tiled():
            return [1] * ndim, list(range(len(self.devices)))
        dims = list(self.hlo.tile_assignment_dimensions())
        return dims[:ndim], list(self.hlo.tile_assignment_devices())

    def shard_shape(self, global_shape: tuple[int, ...]) -> tuple[int, ...]:
        parts, _ = self._tiles(len(global_shape))
        return tuple(-(-d // n) for d, n in zip(global_shape, parts))

    def devices_indices_map(self, global_shape: tuple[int, ...]) -> dict[Any, Any]:
        parts, order = self._tiles(len(global_shape))
        sizes = self.shard_shape(global_shape)
        copies = len(order) // int(np.prod(parts, dtype=int))
        found: dict[Any, Any] = {}
        for place, number in enumerate(order):
            at = np.unravel_index(place // copies, parts) if parts else ()
            found[self.devices[number]] = tuple(
                slice(None) if n == 1 else slice(int(i) * size, int(i + 1) * size)
                for i, n, size in zip(at, parts, sizes)
            )
        return {d: found[d] for d in self.devices}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CompilerSharding)
            and self.devices == other.devices
            and self.hlo == other.hlo
        )

    def __hash__(self) -> int:
        return hash((self.devices, str(self.hlo)))

    def __repr__(self) -> str:
        return f"CompilerSharding({self.hlo})"


def ordered_devices(sharding: Sharding) -> tuple[Any, ...]:
    """The devices of a sharding, in the order in which XLA numbers them."""
    if isinstance(sharding, SingleDeviceSharding):
        return (sharding._device,)
    if isinstance(sharding, NamedSharding):
        return tuple(sharding.mesh.devices.flat)
    if isinstance(sharding, CompilerSharding):
        return sharding.devices
    return tuple(sharding.devices_indices_map(()))


def hlo_sharding(sharding: Sharding, ndim: int) -> Any:
    """XLA's description of a sharding, read off where each device's part begins."""
    if isinstance(sharding, CompilerSharding):
        return sharding.hlo
    if sharding.is_fully_replicated:
        return _REPLICATED
    devices = ordered_devices(sharding)
    n = len(devices)
    probe = (n,) * ndim  # every split divides the number of devices
    places = sharding.devices_indices_map(probe)
    parts = [n // d for d in sharding.shard_shape(probe)]
    tiles: dict[tuple[int, ...], list[int]] = {}
    for number, device in enumerate(devices):
        tile = tuple((s.start or 0) * p // n for s, p in zip(places[device], parts))
        tiles.setdefault(tile, []).append(number)
    order = [number for tile in sorted(tiles) for number in tiles[tile]]
    copies = len(order) // len(tiles)
    dims = [*parts, copies] if copies > 1 else parts
    last = " last_tile_dim_replicate" if copies > 1 else ""
    return _hlo.HloSharding.from_string(
        f"{{devices=[{','.join(map(str, dims))}]{','.join(map(str, order))}{last}}}"
    )


def named(sharding: CompilerSharding, ndim: int, mesh: Any) -> Sharding:
    """The same placement in the names of a mesh, if it can be said so."""
    if mesh is None or tuple(mesh.devices.flat) != sharding.devices:
        return sharding
    if sharding.is_fully_replicated:
        return NamedSharding(mesh, PartitionSpec())
    probe = (len(sharding.devices),) * ndim
    places = sharding.devices_indices_map(probe)
    parts = [p // d for p, d in zip(probe, sharding.shard_shape(probe))]
    for entries in _entries(parts, dict(mesh.shape)):
        found = NamedSharding(mesh, PartitionSpec(*entries))
        if found.devices_indices_map(probe) == places:
            return found
    return sharding


def _entries(parts: list[int], axes: dict[Any, int]) -> Iterator[list[tuple[Any, ...]]]:
    """The ways to split array axes into `parts` by distinct mesh axes of these sizes."""
    if not parts:
        yield []
        return
    for count in range(len(axes) + 1):
        for names in itertools.permutations(axes, count):
            if math.prod(axes[n] for n in names) == parts[0]:
                left = {n: d for n, d in axes.items() if n not in names}
                for rest in _entries(parts[1:], left):
                    yield [names, *rest]


@functools.lru_cache(maxsize=4096)
def placement(where: Any, ndim: int = 0) -> Any:
    """jaxlib's view of a device or a sharding; one object for equal ones."""
    if isinstance(where, _jax.Device):
        return OnDevice(where)
    if isinstance(where, SingleDeviceSharding) or len(ordered_devices(where)) == 1:
        return placement(ordered_devices(where)[0])
    return OnMany(where, ordered_devices(where), hlo_sharding(where, ndim))


def site(sharding: Sharding) -> Any:
    """The placement of a program that runs on the devices of a sharding."""
    return site_of(ordered_devices(sharding))


def site_of(devices: tuple[Any, ...]) -> Any:
    """The placement of a program that runs on these devices."""
    return placement(CompilerSharding(devices, _REPLICATED))


# -- transfers -----------------------------------------------------------------------------

_put = _jax.batched_device_put
_ZERO_COPY = _jax.HostBufferSemantics.ZERO_COPY
_PLAIN: dict[Aval, Aval] = {}


def plain(aval: Aval) -> Aval:
    """The aval with the dtype that jaxlib sees: that of the carrier."""
    found = _PLAIN.get(aval)
    if found is None:
        found = _PLAIN[aval] = Aval(aval.shape, carrier(aval.dtype), aval.weak_type)
    return found


def put_on_device(
    host: np.ndarray, aval: Aval, where: OnDevice, committed: bool = True
) -> Any:
    """Values on one device. The memory may be taken over: nobody may write into it."""
    if where.on_cpu:
        host = aligned(host)
    return _put(
        plain(aval), where, (host,), where.devices, committed, False, _ZERO_COPY, True
    )  # fmt: skip


def put(host: np.ndarray, aval: Aval, where: Any) -> Any:
    """Values on the device or devices of a placement."""
    if type(where) is OnDevice:
        return put_on_device(host, aval, where)
    places = where.public.devices_indices_map(aval.shape)
    devices = [d for d in where.devices if d.process_index == d.client.process_index()]
    parts = [host[places[d]] for d in devices]
    return _put(plain(aval), where, parts, devices, True, False, _ZERO_COPY, True)


def move(buffer: Any, aval: Aval, where: Any) -> Any:
    """A buffer copied to another placement; itself if it is there already."""
    if buffer._sharding is where:
        return buffer
    client = where.devices[0].client
    if (
        type(where) is OnDevice
        and type(buffer._sharding) is OnDevice
        and buffer._sharding.device.client is client
    ):
        return _put(
            plain(aval), where, (buffer,), where.devices, True, False, _ZERO_COPY, True
        )
    return put(get(buffer, aval), aval, where)


def get(buffer: Any, aval: Aval) -> np.ndarray:
    """The values in host memory; on CPU without a copy. Waits for them.

    Raises JaxRuntimeError if the program that computes them failed.
    """
    try:
        if type(buffer._sharding) is OnDevice:
            return _on_host(buffer)
        return _assembled(buffer, aval)
    except Failure as error:
        raise translated(error) from cause(error)


def _on_host(buffer: Any) -> np.ndarray:
    """The values of an array on one device.

    jaxlib's own method tries to import the jax package the first time it meets an array, which
    takes 0.1 ms where there is none and most of a second where there is. The buffer protocol
    does not, but it serves only the CPU, and not dtypes that are no NumPy's own.
    """
    try:
        return np.asarray(memoryview(buffer))
    except BufferError:
        return buffer._single_device_array_to_np_array_did_copy()[0]  # type: ignore[no-any-return]


def _assembled(buffer: Any, aval: Aval) -> np.ndarray:
    """The values of an array on several devices."""
    parts = buffer._arrays
    where = buffer._sharding
    if where.public.is_fully_replicated:
        return _on_host(parts[0])
    places = where.public.devices_indices_map(aval.shape)
    whole = np.empty(aval.shape, carrier(aval.dtype))
    for part, device in zip(parts, where.devices, strict=True):
        target = whole[places[device]]
        values = _on_host(part)
        # XLA pads the last part where the split is uneven
        target[...] = values[tuple(slice(0, d) for d in target.shape)]
    whole.flags.writeable = False
    return whole


def shards(buffer: Any) -> list[tuple[Any, Any]]:
    """(device, single-device buffer) for each part of a buffer."""
    where = buffer._sharding
    if type(where) is OnDevice:
        return [(where.device, buffer)]
    return list(zip(where.devices, buffer._arrays, strict=True))


def adopted(part: Any, aval: Aval) -> Any:
    """A part of a buffer as one that knows its aval and placement as ferax's do."""
    device = part._sharding._device
    return part._rewrap_with_aval_and_sharding(plain(aval), placement(device))


def from_shards(aval: Aval, where: Any, parts: Sequence[Any]) -> Any:
    """One array of single-device buffers, in the order of the placement's devices."""
    return _put(
        plain(aval), where, list(parts), where.devices, True, False, _ZERO_COPY, True
    )


def result_handler(aval: Aval, where: Any) -> Any:
    """What turns a result of a program into a buffer."""
    try:  # without checks, which are methods of JAX's own arrays; 0.11.2 has none
        return _jax.array_result_handler(plain(aval), where, True, True)
    except TypeError:
        return _jax.array_result_handler(plain(aval), where, True)


def compiled_shardings(
    found: Any, devices: tuple[Any, ...], count: int
) -> list[CompilerSharding]:
    """The shardings that XLA reports for the arguments or results of a program."""
    if found is None:
        return [CompilerSharding(devices, _REPLICATED)] * count
    return [CompilerSharding(devices, _hlo.HloSharding.from_proto(f)) for f in found]


def fetch_early(buffer: Any) -> None:
    """Start copying a buffer to the host."""
    for _, part in shards(buffer):
        part._copy_single_device_array_to_host_async()


def wait(buffers: Sequence[Any]) -> None:
    """Wait until buffers are computed. Raises JaxRuntimeError if one could not be."""
    try:
        _jax.batched_block_until_ready(buffers)
    except Failure as error:
        raise translated(error) from cause(error)


_DLPACK = {"cpu": 1, "gpu": 2, "cuda": 2, "rocm": 10}


def dlpack_device(buffer: Any) -> tuple[int, int]:
    """DLPack's numbers for the device of a buffer."""
    device = buffer._sharding.devices[0]
    return _DLPACK[device.client.platform], device.local_hardware_id or 0


def to_dlpack(buffer: Any, stream: Any = None) -> Any:
    """The DLPack capsule of a buffer on one device."""
    return _jax.buffer_to_dlpack_managed_tensor(buffer, stream=stream)


def from_dlpack(x: Any, device: Any) -> np.ndarray:
    """The values of another library's array on this device, in host memory."""
    gpu = device.client.platform != "cpu"
    stream = device.get_stream_for_external_ready_events() if gpu else None
    capsule = x.__dlpack__(stream=stream)
    buffer = _jax.dlpack_managed_tensor_to_buffer(capsule, device, stream, True)
    return _on_host(buffer)


# -- functions that programs call ------------------------------------------------------------


class CallbackErrors:
    """What Python callbacks raised lately; jaxlib passes on only the text."""

    def __init__(self) -> None:
        self._last: BaseException | None = None

    def watch(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The callback, with its exceptions noted."""

        def watched(*arrays: Any) -> Any:
            try:
                return callback(*arrays)
            except BaseException as error:
                self._last = error
                raise

        return watched

    def pop(self) -> BaseException | None:
        last, self._last = self._last, None
        return last


callback_errors = CallbackErrors()


class Unfinished:
    """Programs with callbacks that were started and perhaps have not called them yet."""

    MOST = 64  # then a new one waits for the oldest

    def __init__(self) -> None:
        self._tokens: collections.deque[Any] = collections.deque()

    def add(self, token: Any) -> None:
        """Note a program by the token that it gives when it has finished."""
        self._tokens.append(token)
        if len(self._tokens) > self.MOST:
            self._wait_for_one()

    def wait(self) -> None:
        """Wait for all of them. Raises JaxRuntimeError if a callback raised."""
        while self._tokens:
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        try:
            token = self._tokens.popleft()
        except IndexError:  # another thread took it
            return
        try:
            token.block_until_ready()
        except Failure as error:
            raise translated(error) from cause(error)


unfinished = Unfinished()
atexit.register(unfinished.wait)  # what was to be printed is printed


@functools.cache
def register_lapack() -> None:
    """Tell XLA the LAPACK routines (`lapack_spotrf_ffi`…); needs SciPy, which has them."""
    from jaxlib import lapack
    from jaxlib.cpu import _lapack

    _lapack.initialize()
    for name, target, api in lapack.registrations()["cpu"]:
        _jax.register_custom_call_target(name, target, "cpu", api)


class _Mlir(threading.local):
    """MLIR contexts, one per thread: they are not made for use by several at once."""

    context: Any = None


_mlir = _Mlir()


def mlir_module(text: str) -> Any:
    """The module as an MLIR object, which callbacks and pretty printing need."""
    from jaxlib.mlir import ir

    if _mlir.context is None:
        from jaxlib.mlir._mlir_libs import _jax_mlir_ext
        from jaxlib.mlir.dialects import sdy, stablehlo

        context = ir.Context()
        registry = ir.DialectRegistry()
        _jax_mlir_ext.register_dialects(registry)
        context.append_dialect_registry(registry)
        context.load_all_available_dialects()
        stablehlo.register_dialect(context)
        sdy.register_dialect(context)
        _mlir.context = context
    return ir.Module.parse(text, context=_mlir.context)


def hlo_text(text: str) -> str:
    """The module as HLO, before any optimisation."""
    computation = _jax.mlir.mlir_module_to_xla_computation(text, False, False)
    return computation.as_hlo_text()  # type: ignore[no-any-return]


# -- compiling -----------------------------------------------------------------------------


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer's message that holds fewer than 16,384 bytes."""
    sizes = [number << 3 | 2, len(content)]
    return b"".join(bytes((n & 127 | 128, n >> 7)) for n in sizes) + content


def _extra_option(name: str, value: int) -> bytes:
    """An entry of `xla_backend_extra_options`, as a part of serialized CompileOptions.

    Messages that are concatenated are merged, so nothing else need be known of them.
    """
    entry = _field(1, name.encode()) + _field(2, str(value).encode())
    return _field(3, _field(3, _field(500, entry)))


# XLA's CPU compiler writes a loop that touches fewer bytes per step than this, and calls no
# library, as one function; of any other it runs each operation through its scheduler, which
# costs 0.1 µs or more a time. Its own limit of 1 KiB is a few dozen scalars; up to 64 KiB no
# step was found that runs slower, most compile faster, and threads would not help yet.
_INLINE_LOOPS = _extra_option("xla_cpu_small_while_loop_byte_threshold", 1 << 16)


# XLA's library of reductions crashes on some arrays of seven axes and more (jax-ml/jax#39257).
_CRASHES = (0, 10, 2) <= jaxlib.version.__version_info__[:3] < (0, 11, 2)
_MANY_AXES = re.compile(r"tensor<(?:\d+x){7}")
_WITHOUT_LIBRARY = {"xla_cpu_experimental_ynn_fusion_type": ""}


def needed_options(text: str, platform: str) -> dict[str, Any]:
    """Options of the compiler that this module needs in order to run."""
    fragile = _CRASHES and platform == "cpu" and _MANY_AXES.search(text)
    return _WITHOUT_LIBRARY if fragile else {}


def compile_options(devices: Sequence[Any], overrides: dict[str, Any]) -> Any:
    """XLA's options for a program that is partitioned over these devices."""
    options = _jax.CompileOptions()
    if devices[0].platform == "cpu":
        # first, so that what the user says in XLA_FLAGS has the last word
        described = _INLINE_LOOPS + options.SerializeAsString()
        options = _jax.CompileOptions.ParseFromString(described)
    build = options.executable_build_options
    options.num_partitions = build.num_partitions = len(devices)
    ids = np.array([[d.id for d in devices]], np.int32)
    build.device_assignment = _jax.DeviceAssignment.create(ids)
    if len(devices) > 1:
        build.use_spmd_partitioning = True
        build.use_shardy_partitioner = True
        build.allow_spmd_sharding_propagation_to_parameters = [True]
        build.allow_spmd_sharding_propagation_to_output = [True]
    if overrides:
        options.env_option_overrides = list(overrides.items())
    return options


def build(
    text: str,
    devices: Sequence[Any],
    options: Any,
    callbacks: Sequence[Callable[..., Any]],
) -> Any:
    """Compile a module. Raises JaxRuntimeError."""
    client = devices[0].client
    try:
        if callbacks:
            watched = [callback_errors.watch(c) for c in callbacks]
            module = mlir_module(text)
            return client.compile_and_load(
                module, _jax.DeviceList(tuple(devices)), options, watched
            )
        return client.compile_and_load(text, _jax.DeviceList(tuple(devices)), options)
    except Failure as error:
        raise translated(error) from cause(error)


def revive(data: bytes, devices: Sequence[Any], options: Any) -> Any:
    """The executable that `LoadedExecutable.serialize` wrote; None if it does not load here."""
    try:
        return devices[0].client.deserialize_executable(
            data, _jax.DeviceList(tuple(devices)), options
        )
    except Failure:
        return None
