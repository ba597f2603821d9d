"""Samples of the cumulative operations."""

from __future__ import annotations

import numpy as np

from ferax.lax import cumulative
from tests.samples.base import Sample, array

_NANS = np.array([1, 3, np.nan, 2, np.inf], "float32")


def _all(cls, low=-2, integers=True):
    samples = [
        Sample(cls(0), [array((5,), low=low)]),
        Sample(cls(0, True), [array((5, 2), low=low)]),
        Sample(cls(1), [array((2, 6), low=low)]),
        Sample(cls(0), [array((3, 70), low=low)], note="long rows"),
        Sample(
            cls(0),
            [array((45,), low=low)],
            note="longer than reduce_window is used for",
        ),
        Sample(cls(1, True), [array((2, 38), low=low)], note="the same, backwards"),
        Sample(cls(0), [array((0, 2))], note="no elements"),
        Sample(cls(1), [array((2, 1))], note="one element"),
        Sample(cls(0), [array((6,), "bfloat16", low=low)], differentiable=()),
        Sample(cls(0), [_NANS], differentiable=(), note="nan and inf"),
    ]
    if integers:
        samples += [
            Sample(cls(0), [array((6,), "int32")]),
            Sample(cls(0, True), [array((40,), "uint8")]),
        ]
    return samples


def _complex(cls, **options):
    return [
        Sample(cls(0), [array((5,), "complex64")], **options),
        Sample(cls(0, True), [array((37,), "complex64")], **options),
    ]


SAMPLES = {
    cumulative.CumSum: _all(cumulative.CumSum) + _complex(cumulative.CumSum),
    cumulative.CumProd: _all(cumulative.CumProd, low=0.5)
    + [
        *_complex(cumulative.CumProd)[:1],
        Sample(
            cumulative.CumProd(0), [np.array([2, 0, 3, 0, 4], "float32")], note="zeros"
        ),
    ],
    cumulative.CumMax: _all(cumulative.CumMax)
    + _complex(cumulative.CumMax, differentiable=())
    + [
        Sample(
            cumulative.CumMax(0),
            [np.array([1.0, 1, 2, 2])],
            differentiable=(),
            note="ties",
        )
    ],
    cumulative.CumMin: _all(cumulative.CumMin)
    + _complex(cumulative.CumMin, differentiable=()),
    cumulative.CumLogSumExp: _all(cumulative.CumLogSumExp, integers=False)
    + _complex(cumulative.CumLogSumExp)[:1]
    + [
        Sample(
            cumulative.CumLogSumExp(0),
            [np.array([-np.inf, -np.inf, 1, 2], "float32")],
            differentiable=(),
            note="exp is zero",
        )
    ],
    cumulative.LinearRecurrence: [
        Sample(
            cumulative.LinearRecurrence(0),
            [array((5,)), array((5,), seed=1)],
            linear=(1,),
        ),
        Sample(
            cumulative.LinearRecurrence(1, True),
            [array((2, 21)), array((2, 21), seed=1)],
            linear=(1,),
        ),
        Sample(
            cumulative.LinearRecurrence(0),
            [array((4, 66), "complex64"), array((4, 66), "complex64", seed=1)],
            linear=(1,),
        ),
        Sample(cumulative.LinearRecurrence(0), [array((0,)), array((0,))], linear=(1,)),
    ],
}
