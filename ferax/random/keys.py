"""Random keys: making, splitting, unwrapping.

A key is given in either of two forms, and functions answer in the form they were given:
new-style key arrays (`random.key`, dtype `key<fry>`, shape of the array of keys), and raw
words (`random.PRNGKey`), which belong to the generator `config.default_prng_impl`: `uint32[2]`
of threefry2x32, `uint32[4]` of rbg. Inside, all work is done on key arrays (`lax/keys.py`).

    generator      bits from        the same on all devices   vmap over keys equals a loop
    threefry2x32   Threefry         yes                       yes
    rbg            the compiler's   no                        splitting yes, drawing no
    unsafe_rbg     the compiler's   no                        no
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.config import config
from ferax.core.array import Array
from ferax.core.avals import Aval
from ferax.core.basis import convert
from ferax.core.tracing import to_array
from ferax.errors import public, warn
from ferax.lax import keys as random_keys
from ferax.lax.shape import unstack

UINT32 = random_keys.UINT32
_RAW = {d.impl: Aval((d.words,), UINT32) for d in dtypes.KEY_DTYPES.values()}


def _impl_name(impl: Any, dtype: Any = None) -> str:
    """The name of the generator asked for; raises if there is none of that name."""
    if dtype is not None:
        if impl is not None:
            raise ValueError("random.key: give impl or dtype, not both")
        impl = dtype
    if isinstance(impl, dtypes.KeyDtype):
        impl = impl.impl
    name = config.default_prng_impl if impl is None else str(impl)
    return dtypes.key_dtype(name).impl


def _seeded(who: str, seed: Any, impl: Any, dtype: Any = None) -> Any:
    """The key array, without axes, of a seed."""
    name = _impl_name(impl, dtype)
    if type(seed) is int:
        if not -(2**63) <= seed < 2**64:
            raise OverflowError(f"{who}: a seed has at most 64 bits; got {seed}")
        low = seed if config.enable_x64 else seed & 0xFFFFFFFF
        return random_keys.known_key(low, name)
    x = to_array(seed, f"random.{who}", "seed")
    if x.shape:
        raise TypeError(
            f"random.{who}: a seed has no axes; got {x.aval.short()}. For keys of many seeds "
            f"use vmap(random.{who})(seeds)."
        )
    if dtypes.is_bool(x.dtype):
        x = convert(x, UINT32)
    if not dtypes.is_integer(x.dtype):
        raise TypeError(
            f"random.{who}: a seed must be an integer; got {x.aval.short()}"
        )
    return random_keys.seed_keys(x, name)


@public
def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """A new-style key from an integer seed.

    Args:
      seed: integer, no axes. 64 bits count with `enable_x64`, else the low 32.
      impl: name of the generator: "threefry2x32" (unless `config.default_prng_impl` says
        another), "rbg" or "unsafe_rbg". The last two draw by the compiler's own generator: fast
        on accelerators, but the bits depend on the platform, and under `vmap` over keys the
        first key draws for all.
      dtype: the key dtype, instead of `impl`.
    Returns:
      Key array of dtype key<fry>, shape ().

    >>> from ferax import random
    >>> random.key(42).dtype
    key<fry>
    """
    return _seeded("key", seed, impl, dtype)


@public
def PRNGKey(seed: Any, *, impl: Any = None) -> Array:
    """A raw key from an integer seed: uint32[2], or uint32[4] of rbg and unsafe_rbg.

    As `key`, for programs that handle the words themselves.

    >>> from ferax import random
    >>> random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    made = _seeded("PRNGKey", seed, impl)
    if config.enable_custom_prng:
        return made
    return random_keys.unwrap_keys(made)


def as_keys(who: str, keys: Any) -> tuple[Any, bool]:
    """The key array meant by new-style keys or raw words, and whether it was raw."""
    if isinstance(keys, np.ndarray):
        keys = to_array(keys)
    if not isinstance(keys, Array):
        raise TypeError(
            f"random.{who}: key must come from random.key or random.PRNGKey; got "
            f"{type(keys).__name__}"
        )
    aval = keys.aval
    impl = config.default_prng_impl
    raw = _RAW[impl]
    if aval is not raw:
        if dtypes.is_key(aval.dtype):
            return keys, False
        if aval.dtype != UINT32 or aval.shape[-1:] != raw.shape:
            raise TypeError(
                f"random.{who}: key must be a key array or raw words {raw.short()}; got "
                f"{aval.short()}{_other_generator(aval)}"
            )
    if config.legacy_prng_key != "allow":
        _refuse_raw(who, aval)
    return random_keys.wrap_keys(keys, impl), True


def _other_generator(aval: Aval) -> str:
    """A hint for raw words that are not those of the default generator."""
    counts = [(d.words,) for d in dtypes.KEY_DTYPES.values()]
    if aval.dtype != UINT32 or aval.shape[-1:] not in counts:
        return ""
    return (
        f". Raw words belong to the generator {config.default_prng_impl}; make those of another "
        "one into a key by random.wrap_key_data(words, impl=…)"
    )


def _refuse_raw(who: str, aval: Aval) -> None:
    message = (
        f"random.{who}: got a raw key ({aval.short()}); make new-style ones with "
        "random.key(seed) or random.wrap_key_data(words)"
    )
    if config.legacy_prng_key == "error":
        raise ValueError(message)
    warn(message)


def one_key(who: str, key: Any) -> tuple[Any, bool]:
    """As `as_keys`, for functions that take a single key."""
    keys, raw = as_keys(who, key)
    if keys.aval.shape:
        raise ValueError(
            f"random.{who}: accepts a single key; got {to_array(key).aval.short()}. For many "
            f"keys use vmap(random.{who})(keys)."
        )
    return keys, raw


@public
def split(key: Any, num: int | tuple[int, ...] = 2) -> Array:
    """New, independent keys from one, which should not be used again.

    Args:
      key: one key, raw or new-style.
      num: how many: an integer or a shape.
    Returns:
      Keys in the form and of the generator of `key`: key<fry>[*num], or uint32[*num, 2].

    >>> from ferax import random
    >>> random.split(random.PRNGKey(42))
    Array([[1832780943,  270669613],
           [  64467757, 2916123636]], dtype=uint32)
    """
    keys, raw = one_key("split", key)
    made = random_keys.split_keys(keys, shapes.canonical_shape(num, "random.split"))
    return random_keys.unwrap_keys(made) if raw else made


@public
def fold_in(key: Any, data: Any) -> Array:
    """A new key from a key and an integer, such as the number of a step or of a layer.

    Args:
      key: one key, raw or new-style.
      data: integer in [0, 2³²), no axes.
    Returns:
      A key in the form of `key`.

    >>> from ferax import random
    >>> random.fold_in(random.PRNGKey(42), 7)
    Array([2547012911, 1371500959], dtype=uint32)
    """
    keys, raw = one_key("fold_in", key)
    if type(data) is int:
        if not 0 <= data < 2**32:
            raise OverflowError(
                f"random.fold_in: data must lie in [0, 2**32); got {data}"
            )
        number: Any = np.uint32(data)
    else:
        number = to_array(data, "random.fold_in", "data")
        if number.shape:
            raise TypeError(
                f"random.fold_in: data has no axes; got {number.aval.short()}. For many keys "
                "use vmap(random.fold_in, in_axes=(None, 0))(key, data)."
            )
        number = convert(number, UINT32)
    made = random_keys.fold_into_keys(keys, number)
    return random_keys.unwrap_keys(made) if raw else made


@public
def key_data(keys: Any) -> Array:
    """The words of keys: uint32 of shape (*keys.shape, 2), of rbg (*keys.shape, 4).

    Raw keys are returned as they are.

    >>> from ferax import random
    >>> random.key_data(random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    array, raw = as_keys("key_data", keys)
    return to_array(keys) if raw else random_keys.unwrap_keys(array)


@public
def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """New-style keys from their words: uint32[…, 2] -> key<fry>[…]; of rbg from uint32[…, 4].

    >>> from ferax import random
    >>> random.wrap_key_data(random.PRNGKey(42)).shape
    ()
    """
    name = _impl_name(impl, dtype)
    words = to_array(key_bits_array, "random.wrap_key_data", "key_bits_array")
    return random_keys.wrap_keys(words, name)


@public
def key_impl(keys: Any) -> str:
    """The name of the keys' generator; raw keys belong to the default one.

    >>> from ferax import random
    >>> random.key_impl(random.key(42))
    'threefry2x32'
    """
    array, raw = as_keys("key_impl", keys)
    return config.default_prng_impl if raw else str(array.dtype.impl)


@public
def key_dtype(impl_spec: Any = None) -> dtypes.KeyDtype:
    """The dtype of keys of a generator.

    >>> from ferax import random
    >>> random.key_dtype()
    key<fry>
    """
    return dtypes.key_dtype(_impl_name(impl_spec))


@public
def clone(key: Any) -> Array:
    """The same keys, marked as fresh for checks of key reuse."""
    array, raw = as_keys("clone", key)
    return to_array(key) if raw else array


def several(who: str, key: Any, count: int) -> tuple[Any, ...]:
    """Key arrays made from one key, for functions that draw more than once."""
    keys, _ = one_key(who, key)
    return unstack(random_keys.split_keys(keys, (count,)))
