"""Samples of the reductions over windows."""

from __future__ import annotations

from ferax.lax import pooling
from tests.samples.base import Sample, array

_FIELDS = [
    ((5, 6), ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1))),
    ((5, 6), ((3, 2), (2, 3), ((1, 1), (0, 1)), (1, 1), (1, 1))),
    ((4, 5), ((2, 2), (1, 2), ((1, 0), (0, 1)), (2, 1), (1, 2))),
    ((7,), ((3,), (2,), ((-1, 2),), (1,), (2,))),
    ((30,), ((21,), (1,), ((3, 3),), (1,), (1,))),
    ((2,), ((4,), (1,), ((0, 0),), (1,), (1,))),
    ((0,), ((2,), (1,), ((2, 1),), (1,), (1,))),
    ((), ((), (), (), (), ())),
]


def _all(cls):
    return [
        *(
            # a window of nothing but padding is infinite
            Sample(
                cls(*fields), [array(shape)], differentiable=() if 0 in shape else None
            )
            for shape, fields in _FIELDS
        ),
        Sample(cls(*_FIELDS[1][1]), [array((5, 6), "int32")]),
        Sample(cls(*_FIELDS[0][1]), [array((5, 6), "bfloat16")], differentiable=()),
    ]


SAMPLES = {
    pooling.ReduceWindowSum: [
        *(
            Sample(pooling.ReduceWindowSum(*fields), [array(shape)], linear=(0,))
            for shape, fields in _FIELDS
        ),
        *_all(pooling.ReduceWindowSum)[len(_FIELDS) :],
        Sample(pooling.ReduceWindowSum(*_FIELDS[0][1]), [array((5, 6), "complex64")]),
    ],
    pooling.ReduceWindowMax: _all(pooling.ReduceWindowMax),
    pooling.ReduceWindowMin: _all(pooling.ReduceWindowMin),
}
