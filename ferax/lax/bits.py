"""Random bits as a function of key and counter, and the operations on key arrays.

A key is two 32-bit words. Bits come from Threefry-2x32 with 20 rounds (J. Salmon, M. Moraes,
R. Dror, D. Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3): a
bijection of a pair of words, the counter, chosen by the key. Element n of a result is made from
the counter n alone, so every engine and every splitting over devices gives the same numbers.

    seed s                the key (high word of s, low word of s)
    split, element n      the key threefry(key, n)
    fold_in d             the key threefry(key, d)
    bits, element n       of 64 bits: both words of threefry(key, n), high one first;
                          of 32 bits: their exclusive or; of 8 and 16: its low bits

A key array has the dtype `key<fry>`. Its carrier on the host and on devices is a 64-bit
integer with the *first* word in the low half: so `uint32[…, 2]` is the same memory. Keys of other
generators (`rbg`) may have four words; their carrier is a complex128, never calculated with.

All operations here take key arrays of any shape; what they make of one key stands in the axes
behind those of the keys. Which generator a key belongs to is asked in `keys`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core.avals import Aval, Shape, Zero
from ferax.core.basis import BITS, Discrete, moveaxis
from ferax.core.jaxpr import Jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.lax.hot import run_hot

UINT32 = np.dtype(np.uint32)
UINT64 = np.dtype(np.uint64)
THREEFRY = dtypes.key_dtype("threefry2x32")

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # table 2 of the paper
PARITY = 0x1BD11BDA
MASK = 0xFFFFFFFF
PARTS = ("real", "imag")  # of the carrier of four words, each two of them
FLOAT64 = np.dtype(np.float64)

# -- Threefry on the host ------------------------------------------------------------------

# Up to this number of blocks Python's integers are quicker than NumPy's hundred calls.
_FEW = 8
# Blocks worked on at a time, so that the words stay in the processor's cache.
_TILE = 1 << 14
# From this many numbers on it may pay to compile; and what one costs in NumPy.
_MANY = 1 << 17
_SECONDS = 13e-9

_SHIFTS = {
    r: (np.array(r, UINT32), np.array(32 - r, UINT32)) for rs in ROTATIONS for r in rs
}


def _threefry_numbers(k0: int, k1: int, x0: int, x1: int) -> tuple[int, int]:
    """The cipher on Python's integers."""
    keys = (k0, k1, k0 ^ k1 ^ PARITY)
    x0 += k0  # is cut to 32 bits only at the end
    x1 = x1 + k1 & MASK
    for step in range(5):
        for r in ROTATIONS[step % 2]:
            x0 += x1
            x1 = ((x1 << r | x1 >> 32 - r) ^ x0) & MASK
        x0 += keys[(step + 1) % 3]
        x1 = x1 + keys[(step + 2) % 3] + step + 1 & MASK
    return x0 & MASK, x1


def _threefry_in_place(k0: Any, k1: Any, x0: np.ndarray, x1: np.ndarray) -> None:
    """The cipher on arrays of words, which it overwrites; keys broadcast against them."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    x0 += k0
    x1 += k1
    high = np.empty_like(x1)
    for step in range(5):
        for r in ROTATIONS[step % 2]:
            left, right = _SHIFTS[r]
            x0 += x1
            np.left_shift(x1, left, high)
            np.right_shift(x1, right, x1)
            np.bitwise_or(x1, high, x1)
            np.bitwise_xor(x1, x0, x1)
        x0 += keys[(step + 1) % 3]
        x1 += keys[(step + 2) % 3] + np.uint32(step + 1)


def _threefry_counted(
    keys: np.ndarray, count: int
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Both words made from each key (one axis) and the counters 0 … count-1, in blocks.

    Each block comes with its place in an array of shape (keys.size, count).
    """
    if keys.size * count <= _FEW:
        numbers = [
            _threefry_numbers(key & MASK, key >> 32, 0, n)
            for key in keys.tolist()
            for n in range(count)
        ]
        pairs = np.array(numbers, UINT32).reshape(keys.size, count, 2)
        yield ..., pairs[..., 0], pairs[..., 1]
        return
    words = _words_of(keys)
    step = max(1, _TILE // count)
    for left in range(0, count, _TILE):
        n = np.arange(left, min(left + _TILE, count), dtype=UINT64)
        for top in range(0, keys.size, step):
            k = words[top : top + step]
            x0 = np.empty((len(k), n.size), UINT32)
            x1 = np.empty((len(k), n.size), UINT32)
            x0[...] = n >> np.uint64(32)
            x1[...] = n
            _threefry_in_place(k[:, :1], k[:, 1:], x0, x1)
            yield np.s_[top : top + step, left : left + n.size], x0, x1


def _words_of(keys: np.ndarray) -> np.ndarray:
    """The words of keys, a view where the memory allows."""
    return np.ascontiguousarray(keys[..., None]).view(UINT32)


# -- primitives ----------------------------------------------------------------------------


class Threefry2x32(Discrete):
    """(y0, y1) = cipher of the counter (x0, x1) under the key (k0, k1); uint32, elementwise."""

    accepts = BITS
    name = "threefry2x32"

    def abstract(self, *avals: Aval) -> list[Aval]:
        listing = ", ".join(a.short() for a in avals)
        if len(avals) != 4 or any(a.dtype != UINT32 for a in avals):
            raise TypeError(f"{self.name}: needs four uint32 operands; got {listing}")
        return [Aval(self.result_shape(avals), UINT32)] * 2

    def numpy(self, k0: Any, k1: Any, x0: Any, x1: Any) -> list[np.ndarray]:
        shape = np.broadcast_shapes(k0.shape, k1.shape, x0.shape, x1.shape)
        y0 = np.array(np.broadcast_to(x0, shape))
        y1 = np.array(np.broadcast_to(x1, shape))
        _threefry_in_place(k0, k1, y0, y1)
        return [y0, y1]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        k0, k1, x0, x1 = hlo.broadcast_operands(*values)
        number = functools.partial(hlo.full, x0.shape, dtype=UINT32)
        keys = (k0, k1, hlo.binary("xor", hlo.binary("xor", k0, k1), number(PARITY)))
        x0 = hlo.binary("add", x0, k0)
        x1 = hlo.binary("add", x1, k1)
        for step in range(5):
            for r in ROTATIONS[step % 2]:
                x0 = hlo.binary("add", x0, x1)
                high = hlo.binary("shift_left", x1, number(r))
                low = hlo.binary("shift_right_logical", x1, number(32 - r))
                x1 = hlo.binary("xor", hlo.binary("or", high, low), x0)
            x0 = hlo.binary("add", x0, keys[(step + 1) % 3])
            x1 = hlo.binary("add", x1, keys[(step + 2) % 3])
            x1 = hlo.binary("add", x1, number(step + 1))
        return [x0, x1]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        outs, (dim,) = super().batch(axis, args, dims)
        return outs, [dim, dim]


class KeyOperation(Primitive, family=True):
    """An operation on keys whose results have the axes of the keys in front."""

    keeps_weak_type = False

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        return outs, [Zero(o.aval.tangent()) for o in outs]

    transpose = cannot("random bits are integers")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        return self.bind(moveaxis(args[0], dims[0], 0)), [0]


def _check_keys(who: str, keys: Aval) -> Any:
    if keys.dtype is not THREEFRY:
        raise TypeError(f"{who}: needs an array of {THREEFRY}; got {keys.short()}")
    return keys.dtype


class RandomWrap(KeyOperation):
    """Keys from their words: uint32[…, 2] -> key<fry>[…]."""

    impl: str = "threefry2x32"

    def abstract(self, words: Aval) -> list[Aval]:
        dtype = dtypes.key_dtype(self.impl)
        if words.dtype != UINT32 or not words.ndim or words.shape[-1] != dtype.words:
            raise TypeError(
                f"{self.name}: keys of {self.impl} are made from uint32[…,{dtype.words}]; "
                f"got {words.short()}"
            )
        return [Aval(words.shape[:-1], dtype)]

    def numpy(self, words: np.ndarray) -> list[np.ndarray]:
        carrier = dtypes.key_dtype(self.impl).carrier
        return [np.ascontiguousarray(words).view(carrier)[..., 0]]

    def stablehlo(self, hlo: Any, words: Any) -> list[Any]:
        return [wrapped(hlo, words, hlo.out[0])]


class RandomUnwrap(KeyOperation):
    """The words of keys: key<fry>[…] -> uint32[…, 2]."""

    def abstract(self, keys: Aval) -> list[Aval]:
        if not dtypes.is_key(keys.dtype):
            raise TypeError(
                f"{self.name}: needs an array of random keys; got {keys.short()}"
            )
        return [Aval((*keys.shape, keys.dtype.words), UINT32)]

    def numpy(self, keys: np.ndarray) -> list[np.ndarray]:
        return [_words_of(keys)]

    def stablehlo(self, hlo: Any, keys: Any) -> list[Any]:
        return [unwrapped(hlo, keys)]


class RandomSeed(KeyOperation):
    """Keys from integers: the high and the low 32 bits (of 32-bit integers: 0 and all)."""

    def abstract(self, seeds: Aval) -> list[Aval]:
        if not dtypes.is_integer(seeds.dtype):
            raise TypeError(
                f"{self.name}: a seed must be an integer; got {seeds.short()}"
            )
        return [Aval(seeds.shape, THREEFRY)]

    def numpy(self, seeds: np.ndarray) -> list[np.ndarray]:
        words = np.zeros((*seeds.shape, 2), UINT32)
        words[..., 1] = seeds
        if seeds.dtype.itemsize == 8:
            words[..., 0] = seeds >> np.array(32, seeds.dtype)
        return [words.view(UINT64)[..., 0]]

    def stablehlo(self, hlo: Any, seeds: Any) -> list[Any]:
        wide = np.dtype(f"uint{8 * seeds.dtype.itemsize}")
        number = hlo.emit("bitcast_convert", (seeds,), Aval(seeds.shape, wide))
        low = hlo.convert(seeds, UINT32)
        high = hlo.zero(low)
        if wide.itemsize == 8:
            shift = hlo.full(seeds.shape, 32, wide)
            high = hlo.convert(hlo.binary("shift_right_logical", number, shift), UINT32)
        return [_joined(hlo, high, low, hlo.out[0])]


class RandomBits(KeyOperation):
    """Uniformly distributed integers: `shape` of them from each key."""

    shape: tuple[int, ...]
    dtype: np.dtype  # uint8, uint16, uint32, uint64

    def abstract(self, keys: Aval) -> list[Aval]:
        _check_keys(self.name, keys)
        return [Aval((*keys.shape, *self.shape), self.dtype)]

    def numpy(self, keys: np.ndarray) -> list[np.ndarray]:
        count = keys.size * shapes.size(self.shape)
        if count >= _MANY:
            aval = Aval(keys.shape, THREEFRY)
            compiled = run_hot(self, (aval,), [keys], count * _SECONDS)
            if compiled is not None:
                return compiled
        out = np.empty((keys.size, shapes.size(self.shape)), self.dtype)
        for place, x0, x1 in _threefry_counted(keys.ravel(), out.shape[1]):
            out[place] = (
                x0.astype(UINT64) << UINT64.type(32) | x1
                if self.dtype == UINT64
                else x0 ^ x1
            )
        return [out.reshape((*keys.shape, *self.shape))]

    def stablehlo(self, hlo: Any, keys: Any) -> list[Any]:
        x0, x1 = _lower_counted(hlo, keys, self.shape)
        if self.dtype == UINT64:
            return [_joined(hlo, x1, x0, hlo.out[0])]
        return [hlo.convert(hlo.binary("xor", x0, x1), self.dtype)]


class RandomSplit(KeyOperation):
    """New keys: `shape` of them from each key."""

    shape: tuple[int, ...]

    def abstract(self, keys: Aval) -> list[Aval]:
        return [Aval((*keys.shape, *self.shape), _check_keys(self.name, keys))]

    def numpy(self, keys: np.ndarray) -> list[np.ndarray]:
        out = np.empty((keys.size, shapes.size(self.shape), 2), UINT32)
        for place, x0, x1 in _threefry_counted(keys.ravel(), out.shape[1]):
            block = out[place]
            block[..., 0] = x0
            block[..., 1] = x1
        return [out.view(UINT64).reshape((*keys.shape, *self.shape))]

    def stablehlo(self, hlo: Any, keys: Any) -> list[Any]:
        x0, x1 = _lower_counted(hlo, keys, self.shape)
        return [_joined(hlo, x0, x1, hlo.out[0])]


class RandomFoldIn(KeyOperation):
    """A new key from each key and each uint32 number; the operands broadcast."""

    def abstract(self, keys: Aval, data: Aval) -> list[Aval]:
        dtype = _check_keys(self.name, keys)
        if data.dtype != UINT32:
            raise TypeError(f"{self.name}: data must be uint32; got {data.short()}")
        return [
            Aval(shapes.broadcast_shapes(keys.shape, data.shape, who=self.name), dtype)
        ]

    def numpy(self, keys: np.ndarray, data: np.ndarray) -> list[np.ndarray]:
        out = np.empty((*np.broadcast_shapes(keys.shape, data.shape), 2), UINT32)
        if out.size <= 2 * _FEW:
            pairs = zip(*(x.ravel().tolist() for x in np.broadcast_arrays(keys, data)))
            for row, (key, number) in zip(out.reshape(-1, 2), pairs):
                row[:] = _threefry_numbers(key & MASK, key >> 32, 0, number)
        else:
            words = _words_of(keys)
            x0 = np.zeros(out.shape[:-1], UINT32)
            x1 = np.array(np.broadcast_to(data, x0.shape))
            _threefry_in_place(words[..., 0], words[..., 1], x0, x1)
            out[..., 0], out[..., 1] = x0, x1
        return [out.view(UINT64)[..., 0]]

    def stablehlo(self, hlo: Any, keys: Any, data: Any) -> list[Any]:
        keys, data = hlo.broadcast_operands(keys, data)
        k0, k1 = _key_pair(hlo, keys)
        x0, x1 = _lower_threefry(hlo, k0, k1, hlo.zero(data), data)
        return [_joined(hlo, x0, x1, hlo.out[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        return Discrete.batch(self, axis, args, dims)  # type: ignore[arg-type]


# -- lowering ------------------------------------------------------------------------------


def unwrapped(hlo: Any, keys: Any) -> Any:
    """The words of keys, in a last axis."""
    if keys.dtype.words == 2:
        return hlo.emit("bitcast_convert", (keys,), Aval((*keys.shape, 2), UINT32))
    halves = [hlo.emit(part, (keys,), Aval(keys.shape, FLOAT64)) for part in PARTS]
    pairs = [
        hlo.emit("bitcast_convert", (h,), Aval((*keys.shape, 2), UINT32))
        for h in halves
    ]
    return hlo.concatenate(pairs, keys.ndim)


def wrapped(hlo: Any, words: Any, aval: Aval) -> Any:
    """The keys, of this aval, that have these words."""
    if aval.dtype.words == 2:
        return hlo.emit("bitcast_convert", (words,), aval)
    pairs = hlo.reshape(words, (*aval.shape, 2, 2))
    halves = hlo.emit("bitcast_convert", (pairs,), Aval((*aval.shape, 2), FLOAT64))
    return hlo.emit("complex", last_pair(hlo, halves), aval)


def _key_pair(hlo: Any, keys: Any) -> list[Any]:
    """The first and the second words of keys, each of the keys' shape."""
    return last_pair(hlo, unwrapped(hlo, keys))


def last_pair(hlo: Any, x: Any) -> list[Any]:
    """Both halves of an array whose last axis has size 2."""
    *sizes, _ = x.shape
    starts = [0] * len(sizes)
    pair = []
    for i in (0, 1):
        one = hlo.slice(x, (*starts, i), (*sizes, i + 1), (1,) * x.ndim)
        pair.append(hlo.reshape(one, tuple(sizes)))
    return pair


def _joined(hlo: Any, first: Any, second: Any, aval: Aval) -> Any:
    """Both words as one 64-bit number, the first one low."""
    shape = (*first.shape, 1)
    words = hlo.concatenate(
        [hlo.reshape(w, shape) for w in (first, second)], len(shape) - 1
    )
    return hlo.emit("bitcast_convert", (words,), aval)


def _lower_counted(hlo: Any, keys: Any, shape: Shape) -> list[Any]:
    """As `_threefry_counted`: both words for each key and counter, (*keys, *shape)."""
    whole = (*keys.shape, *shape)
    k0, k1 = (hlo.broadcast(k, whole, range(keys.ndim)) for k in _key_pair(hlo, keys))
    count = shapes.size(shape)
    dtype = UINT32 if count <= MASK else UINT64
    # One iota per axis instead of a reshaped one, so that the counter shards like the result.
    counter = hlo.full(whole, 0, dtype)
    stride = count
    for axis, d in enumerate(shape):
        stride = stride // d if d else 0
        if d > 1:
            index = hlo.iota(whole, dtype, keys.ndim + axis)
            if stride != 1:
                index = hlo.binary("multiply", index, hlo.full(whole, stride, dtype))
            counter = hlo.binary("add", counter, index)
    if dtype == UINT32:
        return _lower_threefry(hlo, k0, k1, hlo.zero(counter), counter)
    high = hlo.binary("shift_right_logical", counter, hlo.full(whole, 32, dtype))
    return _lower_threefry(
        hlo, k0, k1, hlo.convert(high, UINT32), hlo.convert(counter, UINT32)
    )


def _lower_threefry(hlo: Any, *values: Any) -> list[Any]:
    """A call of the cipher: its text is long, so it is written once per shape."""
    return hlo.call_function(_cipher(values[0].shape), "threefry2x32", values)


@functools.lru_cache(maxsize=512)
def _cipher(shape: Shape) -> Jaxpr:
    jaxpr, _ = stage(Threefry2x32().bind, [Aval(shape, UINT32)] * 4, "threefry2x32")
    return jaxpr
