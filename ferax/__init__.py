"""ferax: composable transformations of NumPy programs, without the wait.

The front desk: names are looked up in their rooms when first asked for, so that importing the
package costs next to nothing. It also connects the two things that lower floors take from
upper ones: the operators of arrays (`ferax.numpy.methods`) and the device engine (XLA).
"""

from __future__ import annotations

import importlib
from typing import Any

from ferax.version import __version__

_ROOMS = {
    "ferax.core.array": ["Array"],
    "ferax.dtypes": ["float0"],
    "ferax.transforms.forward": ["jacfwd", "jvp"],
    "ferax.transforms.reverse": [
        "grad", "hessian", "jacobian", "jacrev", "linear_transpose", "linearize",
        "value_and_grad", "vjp",
    ],
    "ferax.transforms.batching": ["vmap"],
    "ferax.transforms.staging": [
        "ShapeDtypeStruct", "clear_caches", "eval_shape", "explain", "jit", "make_jaxpr", "typeof",
    ],
    "ferax.lax.custom": [
        "closure_convert", "custom_gradient", "custom_jvp", "custom_vjp",
    ],
    "ferax.lax.rematerialize": ["checkpoint", "checkpoint_policies", "remat"],
    "ferax.lax.host": ["effects_barrier", "pure_callback"],
    "ferax.transforms.scopes": ["ensure_compile_time_eval", "named_call", "named_scope"],
    "ferax.lax.debugging": ["disable_jit"],
    "ferax.engines.devices": [
        "Shard", "block_until_ready", "copy_to_host_async", "default_backend", "device_count",
        "device_get", "device_put", "device_put_replicated", "device_put_sharded", "devices",
        "host_count", "host_id", "host_ids",
        "live_arrays", "local_device_count", "local_devices", "make_array_from_callback",
        "make_array_from_process_local_data", "make_array_from_single_device_arrays",
        "make_mesh", "process_count", "process_index", "process_indices",
    ],
    "ferax.engines.environment": ["print_environment_info"],
    "ferax.engines.runtime": ["Device"],
    "ferax.sharding": ["NamedSharding", "P"],
}  # fmt: skip

# Flags as context managers: `with ferax.enable_x64(True): …`
_SCOPES = [
    "check_tracer_leaks", "debug_infs", "debug_nans", "default_device",
    "default_matmul_precision", "default_prng_impl", "enable_checks",
    "enable_custom_prng", "enable_x64", "explain_cache_misses", "legacy_prng_key",
    "log_compiles", "no_tracing", "numpy_dtype_promotion", "numpy_rank_promotion",
    "threefry_partitionable",
]  # fmt: skip

_SUBMODULES = [
    "ad_checkpoint", "config", "custom_batching", "custom_derivatives", "debug", "dlpack", "dtypes",
    "errors", "experimental", "flatten_util", "lax", "nn", "numpy", "ops", "random", "sharding",
    "stages", "test_util", "tree", "tree_util", "typing",
]  # fmt: skip

_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = ["__version__", *sorted(_HOME), *_SCOPES, *_SUBMODULES]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"ferax.{name}")
    if name in _SCOPES:
        return importlib.import_module("ferax.config").scoped[name]
    room = _HOME.get(name)
    if room is None:
        import difflib

        near = difflib.get_close_matches(name, __all__, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"module 'ferax' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _load_engine() -> Any:
    from ferax.engines.xla import load

    return load()


def _connect() -> None:
    from ferax.core.array import slots

    slots.load_engine = _load_engine
    slots.load_operators = lambda: importlib.import_module("ferax.numpy")


_connect()
