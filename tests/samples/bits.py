"""Samples of the operations on random keys."""

from __future__ import annotations

import numpy as np

from ferax import random
from ferax.lax import bits, rbg
from tests.samples.base import Sample, array

KEY = random.key(42)
KEYS = random.split(random.key(7), (2, 3))
NONE = random.split(random.key(7), 0)
WIDE = random.split(random.key(7, impl="unsafe_rbg"), (2, 3))


def words(shape, seed=0):
    """Any 32-bit words."""
    return array(shape, "uint32", seed, 0, 2**32 - 1)


SAMPLES = {
    bits.Threefry2x32: [
        Sample(bits.Threefry2x32(), [words((), i) for i in range(4)]),
        Sample(bits.Threefry2x32(), [words((3, 1)), words(()), words((4,)), words((3, 4), 1)]),
        Sample(bits.Threefry2x32(), [words(()), words(()), words((0,)), words((0,))]),
    ],
    bits.RandomWrap: [
        Sample(bits.RandomWrap(), [words((2,))]),
        Sample(bits.RandomWrap(), [words((3, 4, 2))]),
        Sample(bits.RandomWrap(), [words((5, 2)).T.copy().T], note="strided"),
        Sample(bits.RandomWrap(), [words((0, 2))]),
        *(Sample(bits.RandomWrap("rbg"), [words((*s, 4))]) for s in ((), (3, 1), (0,))),
    ],
    bits.RandomUnwrap: [
        Sample(bits.RandomUnwrap(), [k]) for k in (KEY, KEYS, NONE, WIDE, WIDE[0, 0], WIDE[:, :0])
    ],
    bits.RandomSeed: [
        Sample(bits.RandomSeed(), [np.array(-5, "int32")]),
        Sample(bits.RandomSeed(), [array((4,), "uint8")]),
        Sample(bits.RandomSeed(), [words((2, 2))]),
    ],
    bits.RandomBits: [
        *(Sample(bits.RandomBits(s, np.dtype("uint32")), [KEY]) for s in ((), (3,), (4, 0, 2))),
        *(Sample(bits.RandomBits((5,), np.dtype(d)), [KEYS]) for d in ("uint8", "uint16")),
        Sample(bits.RandomBits((2, 1, 3), np.dtype("uint32")), [KEYS]),
        Sample(bits.RandomBits((2,), np.dtype("uint32")), [NONE]),
        Sample(bits.RandomBits((20000,), np.dtype("uint32")), [KEY], note="several tiles"),
    ],
    bits.RandomSplit: [
        *(Sample(bits.RandomSplit(s), [KEY]) for s in ((), (2,), (2, 3), (0,), (30,))),
        Sample(bits.RandomSplit((2,)), [KEYS]),
    ],
    bits.RandomFoldIn: [
        Sample(bits.RandomFoldIn(), [KEY, np.array(7, "uint32")]),
        Sample(bits.RandomFoldIn(), [KEYS, words((3,))]),
        Sample(bits.RandomFoldIn(), [KEY, words((20,))]),
        Sample(bits.RandomFoldIn(), [NONE, words(())]),
    ],
}  # fmt: skip

TESTED_ELSEWHERE = {  # mapped it is no loop
    rbg.RbgBits: "random/test_random.py::test_several_keys_of_rbg_draw_by_the_first",
}
