"""Functions on arrays of random keys, whatever generator the keys are of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes, shapes
from ferax.core.array import Concrete
from ferax.core.avals import Aval, Shape
from ferax.core.basis import broadcast_to
from ferax.lax import rbg
from ferax.lax.arithmetic import eq
from ferax.lax.bits import (
    MASK,
    THREEFRY,
    UINT32,
    UINT64,
    RandomBits,
    RandomFoldIn,
    RandomSeed,
    RandomSplit,
    RandomUnwrap,
    RandomWrap,
)
from ferax.lax.reduction import reduce_and
from ferax.lax.shape import unstack

#: of keys that can be told apart by their words only
WIDE_KEYS = frozenset(d for d in dtypes.KEY_DTYPES.values() if d.words > 2)


class Generator(NamedTuple):
    """What one generator does with keys of its dtype."""

    seed: Callable[[Any], Any]  # integers -> keys
    bits: Callable[[Any, Shape, Any], Any]  # keys, shape, dtype -> integers
    split: Callable[[Any, Shape], Any]  # keys, shape -> keys
    fold_in: Callable[[Any, Any], Any]  # keys, uint32 -> keys


GENERATORS = {
    THREEFRY.impl: Generator(
        RandomSeed(),
        lambda keys, shape, dtype: RandomBits(shape, dtype)(keys),
        lambda keys, shape: RandomSplit(shape)(keys),
        RandomFoldIn(),
    ),
    "rbg": Generator(
        functools.partial(rbg.seed, impl="rbg"), rbg.bits, rbg.split, rbg.fold_in
    ),
    "unsafe_rbg": Generator(
        functools.partial(rbg.seed, impl="unsafe_rbg"),
        rbg.bits,
        rbg.unsafe_split,
        rbg.unsafe_fold_in,
    ),
}


def seed_keys(x: Any, impl: str) -> Any:
    """The keys of a generator that belong to integers."""
    return GENERATORS[impl].seed(x)


def wrap_keys(words: Any, impl: str) -> Any:
    """The keys of a generator with these words."""
    return RandomWrap(impl)(words)


def unwrap_keys(keys: Any) -> Any:
    """The words of keys, in a last axis."""
    return RandomUnwrap()(keys)


def split_keys(keys: Any, shape: Shape) -> Any:
    """New keys of shape (*keys.shape, *shape)."""
    return GENERATORS[keys.dtype.impl].split(keys, shape)


def fold_into_keys(keys: Any, data: Any) -> Any:
    """A new key for each key and uint32 number."""
    return GENERATORS[keys.dtype.impl].fold_in(keys, data)


def key_bits(keys: Any, shape: Shape, dtype: Any = UINT32) -> Any:
    """Random unsigned integers of shape (*keys.shape, *shape)."""
    return GENERATORS[keys.dtype.impl].bits(keys, shape, dtype)


def bits_of_each(keys: Any, shape: Shape, dtype: Any = UINT32) -> tuple[Any, ...]:
    """Random unsigned integers for each key of one axis, as if drawn one after the other."""
    if keys.dtype is THREEFRY:  # keys don't know of each other: one operation
        return unstack(key_bits(keys, shape, dtype))
    return tuple(key_bits(k, shape, dtype) for k in unstack(keys))


def same_keys(x: Any, y: Any) -> Any:
    """Whether keys of one generator are equal, element by element; the operands broadcast."""
    shape = shapes.broadcast_shapes(x.shape, y.shape, who="equal")
    words = [broadcast_to(RandomUnwrap()(k), (*shape, k.dtype.words)) for k in (x, y)]
    return reduce_and(eq(*words), (len(shape),))


def known_key(seed: int, impl: str) -> Concrete:
    """The key that belongs to a Python integer, without an operation: for eager use."""
    dtype = dtypes.key_dtype(impl)
    host = np.array((seed & MASK) << 32 | (seed >> 32 & MASK), UINT64)
    if dtype is not THREEFRY:
        host = np.array([host, host]).view(dtype.carrier).reshape(())
    return Concrete(Aval((), dtype), host)
