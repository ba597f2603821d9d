"""Keys of four words, whose bits come from the compiler's own generator: rbg, unsafe_rbg.

    seed s      both generators: the words of the Threefry key of s, twice
    bits        both: XLA's default generator (on CPU Philox) started with the four words
    split       rbg: of both halves, as Threefry keys; unsafe_rbg: every tenth group of four
                words among the bits of the key
    fold_in d   rbg: into both halves; unsafe_rbg: the key, exclusive or the tenth group of four
                words among the bits of the key of seed d

All of it is made of the operations in `bits`, and of `RbgBits`: of several keys the *first*
draws for all. So a mapped draw is one run of the generator; and it is what JAX documents for
these generators: `vmap` over keys gives other numbers than a loop over them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core.avals import Aval, Shape
from ferax.core.basis import broadcast_to, expand_dims, moveaxis, reshape
from ferax.lax.bits import (
    THREEFRY,
    UINT32,
    KeyOperation,
    RandomFoldIn,
    RandomSeed,
    RandomSplit,
    RandomUnwrap,
    RandomWrap,
    unwrapped,
)
from ferax.lax.generators import RandomAlgorithm, RngBitGenerator, generated
from ferax.lax.representation import bitwise_xor
from ferax.lax.shape import index_in_dim, slice_in_dim

STRIDE = 10  # groups of words from one key of unsafe_rbg to the next


class RbgBits(KeyOperation):
    """Uniformly distributed integers: `shape` of them for each key, drawn by the first one."""

    shape: tuple[int, ...]
    dtype: np.dtype  # uint8, uint16, uint32, uint64

    def abstract(self, keys: Aval) -> list[Aval]:
        if not dtypes.is_key(keys.dtype) or keys.dtype.words != 4:
            raise TypeError(
                f"{self.name}: needs an array of random keys of four words; got {keys.short()}"
            )
        return [Aval((*keys.shape, *self.shape), self.dtype)]

    def numpy(self, keys: np.ndarray) -> list[np.ndarray]:
        whole = (*keys.shape, *self.shape)
        if not keys.size:
            return [np.empty(whole, self.dtype)]
        words = keys.reshape(-1)[:1].view(UINT32)
        op = RngBitGenerator(whole, self.dtype, RandomAlgorithm.RNG_DEFAULT)
        return op.numpy(words)[1:]

    def stablehlo(self, hlo: Any, keys: Any) -> list[Any]:
        if not shapes.size(keys.shape):
            return [hlo.zero(hlo.out[0])]
        ones = (1,) * keys.ndim
        first = hlo.slice(keys, (0,) * keys.ndim, ones, ones)
        words = unwrapped(hlo, hlo.reshape(first, ()))
        return generated(hlo, words, hlo.out[0], RandomAlgorithm.RNG_DEFAULT)[1:]


def _halves(keys: Any) -> Any:
    """Both halves of each key as Threefry keys, in a last axis."""
    words = RandomUnwrap()(keys)
    return RandomWrap(THREEFRY.impl)(reshape(words, (*keys.shape, 2, 2)))


def _joined(halves: Any, impl: str) -> Any:
    words = RandomUnwrap()(halves)
    return RandomWrap(impl)(reshape(words, (*halves.shape[:-1], 4)))


def seed(x: Any, impl: str) -> Any:
    """The keys that belong to integers."""
    keys = RandomSeed()(x)
    return _joined(
        broadcast_to(expand_dims(keys, (keys.ndim,)), (*keys.shape, 2)), impl
    )


def bits(keys: Any, shape: Shape, dtype: Any) -> Any:
    """Random unsigned integers of shape (*keys.shape, *shape)."""
    return RbgBits(shape, dtype)(keys)


def split(keys: Any, shape: Shape) -> Any:
    """New keys of shape (*keys.shape, *shape)."""
    made = RandomSplit(shape)(_halves(keys))  # (*keys.shape, 2, *shape)
    return _joined(moveaxis(made, keys.ndim, made.ndim - 1), keys.dtype.impl)


def fold_in(keys: Any, data: Any) -> Any:
    """A new key for each key and uint32 number."""
    data = expand_dims(data, (data.ndim,))
    return _joined(RandomFoldIn()(_halves(keys), data), keys.dtype.impl)


def unsafe_split(keys: Any, shape: Shape) -> Any:
    """As `split`, by the generator itself, with no proof of independence."""
    words = bits(keys, (STRIDE * shapes.size(shape), 4), UINT32)
    words = slice_in_dim(words, 0, None, STRIDE, keys.ndim)
    return RandomWrap(keys.dtype.impl)(reshape(words, (*keys.shape, *shape, 4)))


def unsafe_fold_in(keys: Any, data: Any) -> Any:
    """As `fold_in`, by the generator itself."""
    words = bits(seed(data, keys.dtype.impl), (STRIDE, 4), UINT32)
    words = index_in_dim(words, STRIDE - 1, data.ndim, keepdims=False)
    return RandomWrap(keys.dtype.impl)(bitwise_xor(RandomUnwrap()(keys), words))
