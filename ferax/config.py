"""Every flag: its name, its type, what it decides, and in which scope it holds.

A flag's value is, in this order: what an enclosing `with` block of this thread says; what
`config.update` said, for all threads; the environment variable `FERAX_<NAME>` when ferax was
imported; the default. JAX's names (`jax_enable_x64`) are accepted for the same flags.

    from ferax.config import config
    config.enable_x64                     # read: one attribute, it sits on every hot path
    config.update("enable_x64", True)     # all threads
    with scoped["enable_x64"](True): ...  # this thread, this block

The trick behind the cheap read: `Config` is a `threading.local` whose class attributes are the
values for all threads and whose instance attributes are the overrides of the current one.
"""

from __future__ import annotations

import difflib
import os
import sys
import threading
import types
from collections.abc import Callable
from contextlib import ContextDecorator
from dataclasses import dataclass
from typing import Any

_UNSET: Any = object()


@dataclass(frozen=True)
class Flag:
    """A flag's name, default, parser (raises ValueError), and whether it alters traces."""

    name: str
    default: Any
    parse: Callable[[Any], Any]
    help: str
    traced: bool = False


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        if value.lower() in ("1", "true", "t", "yes", "y", "on"):
            return True
        if value.lower() in ("0", "false", "f", "no", "n", "off", ""):
            return False
    elif isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ValueError("must be True or False")


def _only_true(value: Any) -> bool:
    if not _boolean(value):
        raise ValueError("must be True")
    return True


def _choice(*options: str, **synonyms: str) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        value = synonyms.get(value, value) if isinstance(value, str) else value
        if value not in options:
            raise ValueError(f"must be one of {', '.join(map(repr, options))}")
        return value

    return parse


def _at_least(low: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or int(value) != float(value) or int(value) < low:
            raise ValueError(f"must be an integer of at least {low}")
        return int(value)

    return parse


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, (str, os.PathLike)):
        return os.fspath(value or "") or None
    raise ValueError("must be a string or None")


def _hashable(value: Any) -> Any:
    hash(value)
    return value


FLAGS: dict[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("enable_x64", False, _boolean,
             "64-bit dtypes are available; Python numbers become 64-bit", True),
        Flag("numpy_dtype_promotion", "standard", _choice("standard", "strict"),
             "'strict': operands of different dtypes are an error", True),
        Flag("numpy_rank_promotion", "allow", _choice("allow", "warn", "raise"),
             "what happens when operands of different ndim are broadcast", True),
        Flag("default_matmul_precision", None, _hashable,
             "precision of matrix products that ask for none: None or a name", True),
        Flag("default_prng_impl", "threefry2x32",
             _choice("threefry2x32", "rbg", "unsafe_rbg"),
             "the generator of keys that name none", True),
        Flag("enable_custom_prng", False, _boolean,
             "PRNGKey gives new-style keys (dtype key<fry>)", True),
        Flag("legacy_prng_key", "allow", _choice("allow", "warn", "error"),
             "what happens when a raw uint32 key is given to a random function", True),
        Flag("threefry_partitionable", True, _only_true,
             "random bits are counted per element; the older layout is not offered"),
        Flag("disable_jit", False, _boolean,
             "jit runs the Python function itself", True),
        Flag("debug_nans", False, _boolean,
             "an operation that gives nan raises FloatingPointError", True),
        Flag("debug_infs", False, _boolean,
             "an operation that gives inf raises FloatingPointError", True),
        Flag("enable_checks", False, _boolean,
             "every jaxpr that a transformation makes is checked", True),
        Flag("check_tracer_leaks", False, _boolean,
             "a traced value that outlives its transformation is an error", True),
        Flag("no_tracing", False, _boolean,
             "tracing a jitted function is an error"),
        Flag("explain_cache_misses", False, _boolean,
             "every trace of a jitted function is logged with its reason"),
        Flag("guard_globals", True, _boolean,
             "jit traces again when a global that the function read has changed"),
        Flag("log_compiles", False, _boolean,
             "every compilation is logged"),
        Flag("traceback_filtering", "on",
             _choice("on", "off", auto="on", tracebackhide="on", remove_frames="on",
                     quiet_remove_frames="on"),
             "'off': tracebacks show ferax's own frames too"),
        Flag("default_device", None, _hashable,
             "the device of values that name none", True),
        Flag("platforms", None, _text,
             "the platforms to look for, best first: 'cuda,cpu'; None: all"),
        Flag("cpu_devices", 1, _at_least(1),
             "number of CPU devices; read when the first device is asked for"),
        Flag("transfer_guard", "allow", _choice("allow"),
             "values move between host and device unasked; guarding that is not offered"),
        Flag("enable_compilation_cache", True, _boolean,
             "compiled programs are kept on disk"),
        Flag("compilation_cache_dir", None, _text,
             "where compiled programs are kept; None: the user's folder for caches"),
        Flag("compilation_cache_max_size", 2 << 30, _at_least(-1),
             "bytes of compiled programs kept on disk; -1: no limit"),
    )
}  # fmt: skip

_ALIASES = {
    "check": "enable_checks",
    "num_cpu_devices": "cpu_devices",
    "platform_name": "platforms",
}


def flag_name(name: str) -> str:
    """The name of a flag, given under it, as `jax_…`, or under an older alias.

    Raises AttributeError, with the nearest names, if there is none.
    """
    if name in FLAGS:
        return name
    short = name.removeprefix("jax_").removeprefix("ferax_").lower()
    short = _ALIASES.get(short, short)
    if short in FLAGS:
        return short
    close = difflib.get_close_matches(short, [*FLAGS, *_ALIASES], 2, 0.75)
    hint = f"flags are: {', '.join(sorted(FLAGS))}"
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    raise AttributeError(f"config: unknown flag {name!r}; {hint}")


def _parsed(name: str, value: Any) -> Any:
    flag = FLAGS[name]
    try:
        return flag.parse(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"config: {name} = {value!r}, but it {error} ({flag.help})"
        ) from None


_updates = 0  # how often `update` was called, in any thread
_key_numbers: dict[tuple[Any, ...], int] = {}  # of values of the traced flags


class _Watch:
    """Whether any thread may examine results: `config`, asked per thread, takes longer."""

    results = False


watch = _Watch()


class Config(threading.local):
    """The flags; see the head of this file."""

    examine_results: bool = False  # whether a flag asks to look at each result

    _key: tuple[int, int] = (-1, 0)  # (_updates at that time, the key)

    def update(self, name: str, value: Any) -> None:
        """Set a flag for all threads.

        Raises AttributeError for an unknown name, ValueError for a value it cannot have.

        >>> import ferax
        >>> ferax.config.update("enable_x64", True)
        >>> ferax.numpy.arange(2.).dtype
        dtype('float64')
        >>> ferax.config.update("enable_x64", False)
        """
        global _updates
        name = flag_name(name)
        setattr(Config, name, _parsed(name, value))
        _updates += 1
        Config.examine_results = any(vars(Config)[f] for f in _EXAMINING)
        watch.results |= Config.examine_results
        self._note_examining()

    def override(self, name: str, value: Any) -> Any:
        """Set a flag for this thread, or unset it; returns what was set before."""
        own = self.__dict__
        outer = own.pop(name, _UNSET)
        if value is not _UNSET:
            own[name] = value
        self._note_examining()
        self._renewed_key()
        return outer

    def trace_key(self) -> int:
        """A number that is the same iff all flags that alter traced programs are.

        Caches of traced or compiled programs put it into their keys.
        """
        updates, key = self._key
        return key if updates == _updates else self._renewed_key()

    def _note_examining(self) -> None:
        """Keep `examine_results` true to the flags of this thread."""
        own = self.__dict__
        own.pop("examine_results", None)
        if any(f in own for f in _EXAMINING):
            own["examine_results"] = any(getattr(self, f) for f in _EXAMINING)
            watch.results |= own["examine_results"]

    def _renewed_key(self) -> int:
        values = tuple(getattr(self, name) for name in _TRACED)
        key = _key_numbers.setdefault(values, len(_key_numbers))
        self.__dict__["_key"] = (_updates, key)
        return key

    def values(self) -> dict[str, Any]:
        """All flags as they are now in this thread."""
        return {name: getattr(self, name) for name in FLAGS}

    def read(self, name: str) -> Any:
        """The value of the flag with this name or alias."""
        return getattr(self, flag_name(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.read(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"config: flags are set by config.update({name!r}, {value!r})"
        )

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {value!r}" for name, value in self.values().items())


_TRACED = tuple(flag.name for flag in FLAGS.values() if flag.traced)
_EXAMINING = ("enable_checks", "debug_nans", "debug_infs")

for _flag in FLAGS.values():
    setattr(Config, _flag.name, _flag.default)
config = Config()
for _name in FLAGS:
    if (_given := os.environ.get(f"FERAX_{_name.upper()}")) is not None:
        config.update(_name, _given)


class _Override(ContextDecorator):
    """A flag's value within a `with` block, in this thread."""

    def __init__(self, name: str, value: Any):
        self.name = name
        self.value = value
        self.outer: list[Any] = []

    def __enter__(self) -> None:
        self.outer.append(config.override(self.name, self.value))

    def __exit__(self, *exception: Any) -> None:
        config.override(self.name, self.outer.pop())


class Scope:
    """`with ferax.enable_x64(True): …`: a flag's value for the block, in this thread."""

    def __init__(self, flag: Flag):
        self.flag = flag
        self.__name__ = flag.name
        self.__doc__ = f"Within the block, in this thread: {flag.help}."

    def __call__(self, new_val: Any = _UNSET) -> _Override:
        name = self.flag.name
        if new_val is _UNSET:
            if self.flag.parse not in (_boolean, _only_true):
                raise TypeError(f"{name}: needs a value; {self.flag.help}")
            new_val = True
        return _Override(name, _parsed(name, new_val))

    def __repr__(self) -> str:
        return f"<context manager for the flag {self.flag.name}>"


scoped: dict[str, Scope] = {name: Scope(flag) for name, flag in FLAGS.items()}

# `ferax.config` is this module, so it behaves as the object does: update, reading, no assigning.
update = config.update


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(config, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            setattr(config, name, value)  # raises, and says what to do
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Module
