"""Two NumPy operations on large arrays that NumPy itself does slowly."""

from __future__ import annotations

from typing import Any

import numpy as np

LARGE = 1 << 15  # elements from which these are faster

_ROW = 1024
_BLOCK = 1 << 18
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def long_sum(x: np.ndarray) -> Any:
    """Σ x of a vector: rows first, in einsum's wide registers, then the rows' sums pairwise."""
    rows = x.size // _ROW
    parts = np.einsum("ij->i", x[: rows * _ROW].reshape(rows, _ROW))
    rest = np.add.reduce(x[rows * _ROW :], None, x.dtype)
    return np.add.reduce(parts, None, x.dtype) + rest


def where_by_words(which: np.ndarray, x: np.ndarray, y: np.ndarray) -> Any:
    """`np.where` without a branch per element: y + which (x - y), on the bits as integers.

    None where it does not apply: x and y must have one element, or the shape of `which`.
    """
    word = _WORDS.get(x.dtype.itemsize)
    whole = all(
        a.flags.c_contiguous and a.shape == which.shape for a in (x, y) if a.size > 1
    )
    if word is None or not whole or not which.flags.c_contiguous:
        return None
    out = np.empty(which.shape, x.dtype)
    target, bits = out.reshape(-1).view(word), which.reshape(-1).view(np.uint8)
    x, y = (a.reshape(-1).view(word) for a in (x, y))
    room = np.empty(min(_BLOCK, bits.size), word)
    for i in range(0, bits.size, _BLOCK):
        block = slice(i, i + _BLOCK)
        z, b = target[block], y if y.size == 1 else y[block]
        ones = room[: z.size]
        np.copyto(ones, bits[block])
        np.subtract(x if x.size == 1 else x[block], b, z)
        np.multiply(z, ones, z)
        np.add(z, b, z)
    return out
