"""The device engine: jaxprs compiled by XLA, run on its devices.

`Engine` is what the core calls through its one door (`core.array.engine()`). A program goes from
jaxpr to StableHLO text (`stablehlo.lower_module`), from there to a loaded executable, by way of
two caches that know the text: of this process, and on disk (`cache`). `Executable.run` takes and
gives raw buffers: it is the path of every call of a jitted function.

What is subtle:
- XLA refuses buffers that are not where the program runs. To look at each buffer would cost
  as much as running a small program, so this begins only after the first value was put
  somewhere else than on the default device (`_scattered`).
- XLA compiles in C++, deaf to Ctrl-C. On the main thread compilation is left to another thread,
  so that waiting for it can be interrupted; what it gives is kept for the next attempt.
"""

from __future__ import annotations

import atexit
import functools
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval
from ferax.core.jaxpr import Eqn, Jaxpr, Var
from ferax.core.tracing import to_array
from ferax.engines import cache, runtime, stablehlo
from ferax.engines.devices import Shard
from ferax.engines.placing import Placing
from ferax.engines.runtime import (
    Failure,
    OnDevice,
    cause,
    placement,
    platforms,
    translated,
)
from ferax.engines.stages import Lowered
from ferax.sharding import NamedSharding, Sharding
from ferax.transforms.staging import Traced

_KEPT_OPERATIONS = 4096
_KEPT = 256  # loaded programs that are kept though nobody holds them
_WORTH_KEEPING = (
    0.01  # seconds of compilation from which on a program is written to disk
)

log = logging.getLogger("ferax.compile")


class Executable:
    """A compiled program.

    `run(buffers) -> buffers` runs it: one buffer per argument in, one per result out. It
    returns before the program has finished; errors on the device are raised when a result is
    read, or here if they come early.
    """

    __slots__ = (
        "run",
        "loaded",
        "in_avals",
        "out_avals",
        "where",
        "commitments",
        "_arguments",
        "_mesh",
    )

    run: Callable[[list[Any]], list[Any]]

    def __init__(
        self,
        loaded: Any,
        in_avals: Sequence[Aval],
        out_avals: Sequence[Aval],
        where: Any,
        in_shardings: Sequence[Any] = (),
        out_shardings: Sequence[Any] = (),
        module: stablehlo.Module | None = None,
    ):
        self.loaded = loaded
        self.in_avals = tuple(in_avals)
        self.out_avals = tuple(out_avals)
        self.where = where  # the placement of the program: its devices, in order
        single = type(where) is OnDevice
        known = [
            s for s in (*in_shardings, *out_shardings) if isinstance(s, NamedSharding)
        ]
        self._mesh = known[0].mesh if known else None
        if single:
            self._arguments: list[Any] = [where] * len(self.in_avals)
            results = [where] * len(self.out_avals)
        else:
            self._arguments = self._placements(
                loaded.get_parameter_shardings(), in_avals, in_shardings
            )
            results = self._placements(
                loaded.get_output_shardings(), out_avals, out_shardings
            )
        # the device or sharding of each result, as arrays that are committed to it say it
        self.commitments = [
            w.device if type(w) is OnDevice else w.public for w in results
        ]
        handlers = [
            runtime.result_handler(a, w) for a, w in zip(self.out_avals, results)
        ]
        look = not single or where is not home()
        if module is not None and module.callbacks:
            self.run = self._calling_runner(handlers, module.ordered)
        else:
            self.run = self._runner(handlers, always_look=look)

    def _placements(
        self, found: Any, avals: Sequence[Aval], given: Sequence[Any]
    ) -> list[Any]:
        """Where XLA wants or leaves values; as the user's own sharding where that is known."""
        shardings = runtime.compiled_shardings(found, self.where.devices, len(avals))
        public = [*given, *[None] * (len(avals) - len(given))]
        return [
            placement(
                p if _is_many(p) else runtime.named(s, a.ndim, self._mesh), a.ndim
            )
            for s, p, a in zip(shardings, public, avals)
        ]

    def placed(self, buffers: Sequence[Any]) -> list[Any]:
        """The buffers of the first arguments, moved to where the program wants them."""
        return _placed(buffers, self.in_avals, self._arguments)

    def _runner(
        self, handlers: list[Any], always_look: bool
    ) -> Callable[..., list[Any]]:
        # no `self` in the closure: programs are large, and cycles live long
        execute, avals, arguments = (
            self.loaded.execute_sharded,
            self.in_avals,
            self._arguments,
        )
        scattered = _scattered

        def run(buffers: list[Any]) -> list[Any]:
            if always_look or scattered:
                buffers = _placed(buffers, avals, arguments)
            try:
                return execute(buffers).consume_with_handlers(handlers)  # type: ignore[no-any-return]
            except Failure as error:
                raise translated(error) from cause(error)

        return run

    def _calling_runner(
        self, handlers: list[Any], ordered: bool
    ) -> Callable[..., list[Any]]:
        """As `_runner`, for a program with callbacks, which others may have to wait for."""

        def run(buffers: list[Any]) -> list[Any]:
            if ordered:
                runtime.unfinished.wait()
            try:
                results = self.loaded.execute_sharded(
                    self.placed(buffers), with_tokens=True
                )
                outs = results.consume_with_handlers(handlers)
                runtime.unfinished.add(results.consume_token())
            except Failure as error:
                raise translated(error) from cause(error)
            return outs  # type: ignore[no-any-return]

        return run

    def text(self) -> str:
        """The optimised HLO."""
        return "\n\n".join(m.to_string() for m in self.loaded.hlo_modules())

    def cost_analysis(self) -> dict[str, float]:
        """XLA's estimates: "flops", "bytes accessed" and more."""
        return self.loaded.cost_analysis()  # type: ignore[no-any-return]

    def memory_analysis(self) -> Any:
        """Bytes of arguments, results, temporaries and code, as attributes `…_in_bytes`."""
        return self.loaded.get_compiled_memory_stats()


def _placed(
    buffers: Sequence[Any], avals: Sequence[Aval], arguments: Sequence[Any]
) -> list[Any]:
    return [
        b if b._sharding is w else runtime.move(b, a, w)
        for b, a, w in zip(buffers, avals, arguments)
    ]


# True in spirit once a value is on another device than the default one; a list because its
# truth can be tested in closures at the price of a local variable.
_scattered: list[bool] = []
_home: list[Any] = []


def home() -> OnDevice:
    """The placement of values that name none, before any configuration."""
    if not _home:
        _home.append(placement(platforms.named(None).local_devices()[0]))
    return _home[0]  # type: ignore[no-any-return]


class Engine:
    """The devices of this process and the programs compiled for them."""

    name = "xla"

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, Any] = OrderedDict()
        self._operations: dict[Any, Executable] = {}
        self._lock = threading.Lock()
        self._disk: tuple[Any, cache.DiskCache] | None = None

    # -- devices ---------------------------------------------------------------------------

    def devices(self, platform: Any = None) -> list[Any]:
        """All devices of a platform; of the best one by default."""
        return platforms.named(platform).devices()  # type: ignore[no-any-return]

    def local_devices(self, platform: Any = None) -> list[Any]:
        """The devices of a platform that belong to this process."""
        return platforms.named(platform).local_devices()  # type: ignore[no-any-return]

    def default_backend(self) -> str:
        """ "cpu", "gpu" or "tpu"."""
        platform = str(platforms.named(None).platform)
        return "gpu" if platform in ("cuda", "rocm") else platform

    def default_device(self) -> Any:
        """Where values go that name no device."""
        chosen = config.default_device
        if chosen is None:
            return home().device
        if isinstance(chosen, str):
            return self.local_devices(chosen)[0]
        return chosen

    def _default(self) -> OnDevice:
        """The placement of the default device."""
        if config.default_device is None:
            return home()
        return self._at(self.default_device())  # type: ignore[no-any-return]

    def _at(self, where: Any, ndim: int = 0) -> Any:
        """The placement meant by a device, a sharding, or None."""
        if where is None:
            return self._default()
        found = placement(where, ndim)
        if found is not home() and not _scattered:
            _scattered.append(True)
        return found

    # -- arrays ----------------------------------------------------------------------------

    def put(self, host: np.ndarray, aval: Aval, device: Any = None) -> Any:
        """The buffer of values in host memory, which nobody may write into afterwards."""
        return runtime.put(host, aval, self._at(device, aval.ndim))

    def get(self, buffer: Any, aval: Aval) -> np.ndarray:
        """The values of a buffer. Raises JaxRuntimeError if they could not be computed."""
        return runtime.get(buffer, aval)

    def is_host_memory(self, buffer: Any) -> bool:
        """Whether NumPy is the engine for a buffer: it is on the default CPU device."""
        where = buffer._sharding
        return where is home() and where.device.platform == "cpu"

    def fetch_early(self, buffer: Any) -> None:
        """Start copying a buffer to the host."""
        runtime.fetch_early(buffer)

    def wait(self, buffers: Sequence[Any]) -> None:
        """Wait until buffers are computed. Raises JaxRuntimeError if one could not be."""
        runtime.wait(buffers)

    def to_dlpack(self, buffer: Any, **kwargs: Any) -> Any:
        """The DLPack capsule of a buffer in a GPU's memory."""
        return runtime.to_dlpack(buffer, kwargs.get("stream"))

    def dlpack_device(self, buffer: Any) -> tuple[int, int]:
        """DLPack's numbers for the device of a buffer."""
        return runtime.dlpack_device(buffer)

    def device_of(self, x: Concrete) -> Any:
        """The device of an array, or its sharding if it is on several."""
        where = self._where(x)
        return where.device if type(where) is OnDevice else where.public

    def devices_of(self, x: Concrete) -> set[Any]:
        return set(self._where(x).devices)

    def sharding_of(self, x: Concrete) -> Sharding:
        return self._where(x).public  # type: ignore[no-any-return]

    def _where(self, x: Concrete) -> Any:
        return self._default() if x._buffer is None else x._buffer._sharding

    def device_put(self, x: Any, where: Any = None) -> Concrete:
        """`x` on a device or over a sharding, committed to it; uncommitted if None is given."""
        array = to_array(x, "device_put")
        if where is None:
            return array  # type: ignore[no-any-return]
        target = self._at(_checked_place(where, array.aval), array.aval.ndim)
        committed = target.device if type(target) is OnDevice else where
        on_host = target is home() and target.device.platform == "cpu"
        if array._host is not None and (on_host or array._buffer is None):
            buffer = None if on_host else runtime.put(array._host, array.aval, target)
            return Concrete(
                array.aval, array._host if on_host else None, buffer, committed
            )
        return Concrete(
            array.aval,
            None,
            runtime.move(array.buffer(), array.aval, target),
            committed,
        )

    def shards(self, x: Concrete) -> list[Shard]:
        """The parts of an array that this process holds."""
        sharding = self.sharding_of(x)
        places = sharding.devices_indices_map(x.aval.shape)
        answer = []
        for device, part in runtime.shards(x.buffer()):
            shape = tuple(
                len(range(*s.indices(d)))
                for s, d in zip(places[device], x.aval.shape, strict=True)
            )
            aval = x.aval.update(shape=shape)
            data = Concrete(aval, None, runtime.adopted(part, aval), device)
            answer.append(Shard(device, sharding, x.aval.shape, data))
        return answer

    def from_shards(
        self, aval: Aval, sharding: Sharding, parts: Sequence[Concrete]
    ) -> Concrete:
        """One array of parts that lie on the devices of `sharding`, given in any order."""
        by_device = {self.device_of(p): p.buffer() for p in parts}
        where = self._at(sharding, aval.ndim)
        buffers = [by_device[d] for d in where.devices if d in by_device]
        return Concrete(aval, None, runtime.from_shards(aval, where, buffers), sharding)

    def from_dlpack(self, x: Any) -> Concrete:
        """The values of another library's array, copied by way of the host."""
        kind, number = x.__dlpack_device__()
        platform = {2: "cuda", 10: "rocm"}.get(int(kind), "cpu")
        device = platforms.named(platform).device_from_local_hardware_id(number)
        host = runtime.from_dlpack(x, device)
        aval = Aval(host.shape, dtypes.canonical(host.dtype))
        host = host.astype(aval.dtype, copy=False)
        return Concrete(aval, None, self.put(host, aval, device), device)

    def live_arrays(self, platform: Any = None) -> list[Concrete]:
        """The arrays of this process that have values."""
        client = None if platform is None else platforms.named(platform)
        return [
            x
            for x in gc.get_objects()
            if type(x) is Concrete
            and not x.is_deleted()
            and (client is None or self._where(x).devices[0].client is client)
        ]

    # -- programs --------------------------------------------------------------------------

    def lower(
        self, jaxpr: Jaxpr, name: str = "main", donated: Sequence[bool] = ()
    ) -> str:
        """A jaxpr as StableHLO text in generic form; `pretty` makes it nice to read."""
        return stablehlo.lower_module(
            jaxpr, name, donated, self._platform(self._default())
        ).text

    def pretty(self, text: str) -> str:
        """StableHLO text as MLIR prints it."""
        return str(runtime.mlir_module(text))

    def as_hlo(self, text: str) -> str:
        """StableHLO text as HLO, not optimised."""
        return runtime.hlo_text(text)

    def compile_jaxpr(
        self,
        jaxpr: Jaxpr,
        name: str = "main",
        donated: Sequence[bool] = (),
        device: Any = None,
        options: dict[str, Any] | None = None,
        in_shardings: Sequence[Any] = (),
        out_shardings: Sequence[Any] = (),
    ) -> Executable:
        """Lower and compile a program.

        Args:
            jaxpr: the program; its arguments are its constvars, then its invars.
            name: shown in profiles and logs.
            donated: which arguments may be overwritten; none by default.
            device: the device it runs on, or a sharding whose devices it runs on, or what
                `place_of` gives.
            options: XLA's options by name (`{"xla_cpu_enable_fast_math": True}`).
            in_shardings: NamedShardings of the arguments; None where XLA may choose.
            out_shardings: the same for the results.
        """
        if isinstance(device, tuple):
            in_shardings, device = device, None
        given = [s for s in (device, *in_shardings, *out_shardings) if _is_many(s)]
        where = runtime.site(given[0]) if given else self._at(device)
        module = stablehlo.lower_module(
            jaxpr,
            name,
            donated,
            self._platform(where),
            in_shardings=in_shardings,
            out_shardings=out_shardings,
            devices=where.devices if given else (),
        )
        if module.devices and not given:  # its own shardings say where it runs
            where = runtime.site_of(module.devices)
        if where is not home() and not _scattered:
            _scattered.append(True)
        ins = [v.aval for v in (*jaxpr.constvars, *jaxpr.invars)]
        outs = [v.aval for v in jaxpr.outvars]
        loaded = self._load(module, where, options or {}, name)
        return Executable(loaded, ins, outs, where, in_shardings, out_shardings, module)

    def compile(
        self,
        text: str,
        in_avals: Sequence[Aval],
        out_avals: Sequence[Aval],
        device: Any = None,
        options: dict[str, Any] | None = None,
        callbacks: Sequence[Callable[..., Any]] = (),
    ) -> Executable:
        """Compile StableHLO text. `custom_call`s of callbacks name them by their index."""
        targets = frozenset({"lapack_"} if '"lapack_' in text else ())
        module = stablehlo.Module(text, tuple(callbacks), targets)
        where = self._at(device)
        loaded = self._load(module, where, options or {}, "text")
        return Executable(loaded, in_avals, out_avals, where, module=module)

    def lowered(self, traced: Traced) -> Lowered:
        """A traced function as StableHLO."""
        return Lowered(traced)

    def placing(self, *options: Any) -> Placing:
        """What `jit` was told by in_shardings, out_shardings, device and backend."""
        return Placing(*options)

    def place_of(self, committed: Sequence[Any], who: str = "a program") -> Any:
        """Where a program runs whose arguments are committed so (falsy: they are not).

        None for the default device, a device, or, if some are spread over several devices, a
        tuple with the sharding of each argument or None. Raises ValueError if they disagree.
        """
        chosen = [c for c in committed if c]
        if not chosen:
            return None
        sets = [c.device_set if isinstance(c, Sharding) else {c} for c in chosen]
        odd = next((c for c, s in zip(chosen, sets) if s != sets[0]), None)
        if odd is not None:
            raise ValueError(
                f"{who}: its arguments are committed to different devices: {chosen[0]} and "
                f"{odd}. Move them to the same ones with device_put."
            )
        if len(sets[0]) == 1:
            return next(iter(sets[0]))
        return tuple(c or None for c in committed)

    def run_operation(self, op: Any, args: Sequence[Concrete]) -> list[Concrete]:
        """Run one operation on the device of its operands, compiled once per kind of these."""
        place = self.place_of([a._committed for a in args], op.name)
        executable = self._operation(op, tuple([a.aval for a in args]), place)
        buffers = executable.run([a.buffer() for a in args])
        return [
            Concrete(aval, None, buffer, place is not None and committed)
            for aval, buffer, committed in zip(
                executable.out_avals, buffers, executable.commitments
            )
        ]

    def _operation(self, op: Any, avals: tuple[Aval, ...], where: Any) -> Executable:
        key = (op, avals, config.default_device if where is None else where)
        found = self._operations.get(key)
        if found is None:
            ins = [Var(a) for a in avals]
            outs = [Var(a) for a in op.infer(avals)]
            jaxpr = Jaxpr(ins, outs, [Eqn(op, list(ins), outs)])
            if len(self._operations) >= _KEPT_OPERATIONS:
                self._operations.clear()
            found = self._operations[key] = self.compile_jaxpr(
                jaxpr, op.name, device=where
            )
        return found

    def hot(self, op: Any, avals: tuple[Aval, ...]) -> Callable[..., list[np.ndarray]]:
        """An operation compiled for the CPU, as a function of NumPy arrays."""
        at_home = home().device.platform == "cpu"
        device = None if at_home else self.local_devices("cpu")[0]
        executable = self._operation(op, avals, device)

        def run(*values: np.ndarray) -> list[np.ndarray]:
            buffers = [self.put(v, a, device) for v, a in zip(values, avals)]
            outs = executable.run(buffers)
            return [self.get(b, a) for b, a in zip(outs, executable.out_avals)]

        return run

    def finish_effects(self) -> None:
        """Wait until the programs that were started have called their callbacks."""
        runtime.unfinished.wait()

    def clear(self) -> None:
        """Forget the compiled programs of this process; those on disk stay."""
        self._loaded.clear()
        self._operations.clear()

    # -- compiling ---------------------------------------------------------------------------

    def _platform(self, where: Any) -> str:
        platform = str(where.devices[0].client.platform)
        return "cuda" if platform == "gpu" else platform

    def _load(
        self, module: stablehlo.Module, where: Any, options: dict[str, Any], name: str
    ) -> Any:
        """The loaded program of a module: known, from disk, or compiled now."""
        if any(t.startswith("lapack_") for t in module.targets):
            runtime.register_lapack()
        needed = runtime.needed_options(module.text, self._platform(where))
        settings, described = _options(
            where.devices, tuple({**needed, **options}.items())
        )
        if module.callbacks:
            return self._build(module, where.devices, settings, name)
        key = cache.digest(module.text.encode(), described)
        loaded = self._loaded.get(key)
        if loaded is None:
            disk = self._disk_cache()
            data = disk.get(key) if disk else None
            loaded = data and runtime.revive(data, where.devices, settings)
            if loaded is None:
                loaded = self._build(module, where.devices, settings, name, key)
        self._remember(key, loaded)
        return loaded

    def _remember(self, key: str, loaded: Any) -> None:
        with self._lock:
            self._loaded[key] = loaded
            self._loaded.move_to_end(key)
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)

    def _build(
        self,
        module: stablehlo.Module,
        devices: Any,
        settings: Any,
        name: str,
        key: str = "",
    ) -> Any:
        """Compile, remember under `key`, and write to disk if that was long."""

        def work() -> Any:
            began = time.perf_counter()
            loaded = runtime.build(module.text, devices, settings, module.callbacks)
            seconds = time.perf_counter() - began
            log.log(
                logging.WARNING if config.log_compiles else logging.DEBUG,
                "compiled %s for %s in %.3f s", name, devices[0].platform, seconds,
            )  # fmt: skip
            if key:
                self._remember(key, loaded)
                disk = self._disk_cache()
                if disk and seconds >= _WORTH_KEEPING:
                    cache.afterwards.add(functools.partial(_keep, disk, key, loaded))
            return loaded

        return interruptible(work)

    def _disk_cache(self) -> cache.DiskCache | None:
        """The cache on disk as configured now, or None."""
        if not config.enable_compilation_cache:
            return None
        chosen = (config.compilation_cache_dir, config.compilation_cache_max_size)
        if self._disk is None or self._disk[0] != chosen:
            folder = Path(chosen[0]) if chosen[0] else cache.default_folder()
            self._disk = (
                chosen,
                cache.DiskCache(folder, chosen[1], private=not chosen[0]),
            )
        return self._disk[1]


def load() -> Engine:
    """The engine of this process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_refuse_after_fork)
    return Engine()


def _refuse_after_fork() -> None:
    """XLA's threads do not survive a fork: its child is told so, and does not wait for them."""

    def refuse(*_: Any) -> Any:
        raise RuntimeError(
            "this process was forked after ferax had compiled programs, whose threads do not "
            "survive a fork; eager operations work here, compiled ones do not. Start processes by "
            "multiprocessing.get_context('spawn'), or before the first jit."
        )

    _scattered.append(True)  # so that every program looks at where its operands are
    globals()["_placed"] = refuse
    setattr(Engine, "_load", refuse)  # noqa: B010


def _is_many(where: Any) -> bool:
    return isinstance(where, Sharding) and where.num_devices > 1


def _checked_place(where: Any, aval: Aval) -> Any:
    """A device or sharding that an array of this aval can be put to; else raise."""
    if isinstance(where, Sharding):
        where.shard_shape(aval.shape)  # raises ValueError if it does not fit
        return where
    if hasattr(where, "client") and hasattr(where, "platform"):
        return where
    raise TypeError(
        f"device_put: the second argument must be a Device or a Sharding; got {where!r}. "
        "ferax.devices() lists the devices."
    )


def _keep(disk: cache.DiskCache, key: str, loaded: Any) -> None:
    """Write a program to disk, if it can be written."""
    try:
        data = loaded.serialize()
    except Failure:
        return
    disk.put(key, data)


@functools.lru_cache(maxsize=256)
def _options(
    devices: tuple[Any, ...], overrides: tuple[tuple[str, Any], ...]
) -> tuple[Any, bytes]:
    """XLA's options for these devices, and all but the text that a program depends on."""
    client = devices[0].client
    settings = runtime.compile_options(devices, dict(overrides))
    described = "\n".join(
        [
            runtime.VERSION,
            client.platform,
            client.platform_version,
            devices[0].device_kind,
        ]
        + [os.environ.get(n, "") for n in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    ).encode()
    if client.platform == "cpu":
        described += cache.processor()
    return settings, described + settings.SerializeAsString()


_given_up: list[threading.Thread] = []  # which compile what nobody waits for any more


def interruptible(work: Callable[[], Any]) -> Any:
    """`work()`, on another thread if this is the main one, so that Ctrl-C ends the wait."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    outcome: list[Any] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))
        done.set()

    thread = threading.Thread(target=run, daemon=True, name="ferax-compile")
    try:
        thread.start()
        done.wait()
    except BaseException:
        _given_up.append(thread)
        raise
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


@atexit.register
def _finish_given_up() -> None:
    """Let XLA finish: an interpreter that ends under it may crash. Ctrl-C again does not wait."""
    try:
        for thread in _given_up:
            if thread.is_alive():
                sys.stderr.write(
                    "ferax: XLA is finishing the compilation that was interrupted; press Ctrl-C "
                    "again to leave at once\n"
                )
                sys.stderr.flush()
                thread.join()
    except KeyboardInterrupt:
        sys.stdout.flush()
        os._exit(128 + signal.SIGINT)
