"""Samples of the sorts."""

from __future__ import annotations

import numpy as np

from ferax.lax import sorting
from tests.samples.base import Sample, array

_ODD = np.array([2, np.nan, -np.inf, 1, np.inf, -3, np.nan, 0], "float32")
_ZEROS = np.array([0.0, -0.0, 1, -0.0, 0.0, -1], "float32")
_DTYPES = ("int8", "uint8", "int32", "uint32", "float16", "bfloat16", "bool")

SAMPLES = {
    sorting.Sort: [
        Sample(sorting.Sort(0), [array((7,))]),
        Sample(sorting.Sort(0), [array((4, 3))]),
        Sample(sorting.Sort(1), [array((2, 5))]),
        Sample(sorting.Sort(0), [array((6,), "complex64")]),
        Sample(sorting.Sort(0), [_ODD], differentiable=(), note="nan and inf"),
        Sample(sorting.Sort(0), [array((0, 2))], note="no elements"),
        *(
            Sample(sorting.Sort(0), [array((9,), d)], differentiable=())
            for d in _DTYPES
        ),
    ],
    sorting.ArgSort: [
        Sample(sorting.ArgSort(0), [array((7,))]),
        Sample(sorting.ArgSort(0), [array((4, 3))]),
        Sample(sorting.ArgSort(0), [array((2100,), "int8")], note="many ties, packed"),
        Sample(
            sorting.ArgSort(1), [np.round(array((2, 2100)))], note="many ties, packed"
        ),
        Sample(sorting.ArgSort(0), [_ODD], note="nan and inf"),
        Sample(sorting.ArgSort(0), [_ZEROS], note="zeros of both signs are equal"),
        Sample(sorting.ArgSort(0), [array((6,), "complex64")]),
        Sample(sorting.ArgSort(0), [array((6,), "int8"), array((6,), seed=1)]),
        Sample(
            sorting.ArgSort(0),
            [array((6,), "bool"), _ODD[:6]],
            note="nan in second key",
        ),
        Sample(sorting.ArgSort(0), [array((0,))], note="no elements"),
        *(Sample(sorting.ArgSort(0), [array((9,), d)]) for d in _DTYPES),
    ],
    sorting.TopK: [
        Sample(sorting.TopK(3), [array((7,))]),
        Sample(sorting.TopK(2), [array((3, 5))]),
        Sample(sorting.TopK(5), [array((3, 5))], note="all"),
        Sample(sorting.TopK(0), [array((3, 5))], differentiable=(), note="none"),
        Sample(sorting.TopK(40), [array((2100,), "int8")], note="many ties"),
        Sample(sorting.TopK(40), [np.round(array((2, 2100)))], differentiable=()),
        Sample(sorting.TopK(8), [_ODD], differentiable=(), note="nan and inf"),
        Sample(
            sorting.TopK(6), [_ZEROS], differentiable=(), note="zeros of both signs"
        ),
        *(
            Sample(sorting.TopK(4), [array((9,), d)], differentiable=())
            for d in _DTYPES
        ),
    ],
}
