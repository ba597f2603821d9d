"""Samples of the reductions."""

from __future__ import annotations

import numpy as np

from ferax.lax import reduction
from tests.samples.base import Sample, array

_NANS = np.array([[1, np.nan, 2], [-np.inf, 3, np.inf]], "float32")
_TIES = np.array([[1, 1, 0], [2, 2, 2]], "float32")


def _extremum(cls):
    return [
        Sample(cls((1,)), [array((2, 3))]),
        Sample(cls((0, 2)), [array((2, 3, 2))]),
        Sample(cls(()), [array((2,))]),
        Sample(cls((0,)), [array((0, 2))], differentiable=(), note="no elements"),
        Sample(cls((0,)), [array((0, 2), "int8")], note="no elements"),
        Sample(cls((0,)), [array((4,), "int32")]),
        Sample(cls((0,)), [array((4,), "uint8")]),
        Sample(cls((0,)), [array((4,), "bool")]),
        Sample(cls((0,)), [array((5,), "complex64")], differentiable=()),
        Sample(cls((0,)), [array((5,), "bfloat16")]),
        Sample(cls((1,)), [_NANS], differentiable=(), note="nan and inf"),
        Sample(cls((1,)), [_TIES], differentiable=(), note="ties"),
    ]


def _bits(cls):
    return [
        Sample(cls((0,)), [array((3, 4), "bool")]),
        Sample(cls((0, 1)), [array((3, 4), "int32")]),
        Sample(cls((1,)), [array((3, 4), "uint8")]),
        Sample(cls((0,)), [array((0, 2), "int16")], note="no elements"),
    ]


def _position(cls):
    int32, uint8 = np.dtype("int32"), np.dtype("uint8")
    return [
        Sample(cls(0, int32), [array((4,))]),
        Sample(cls(1, int32), [array((2, 5))]),
        Sample(cls(1, uint8), [array((2, 5, 2), "int16")]),
        Sample(cls(0, int32), [array((4,), "bool")]),
        Sample(cls(0, int32), [array((4,), "bfloat16")]),
        Sample(cls(0, int32), [array((4, 0))], note="no elements"),
        Sample(cls(1, int32), [_NANS], note="nan and inf"),
        Sample(cls(1, int32), [_TIES], note="ties"),
        Sample(cls(0, int32), [np.array([-np.inf, -np.inf], "float32")]),
    ]


SAMPLES = {
    reduction.ReduceMax: _extremum(reduction.ReduceMax),
    reduction.ReduceMin: _extremum(reduction.ReduceMin),
    reduction.ReduceProd: [
        Sample(reduction.ReduceProd((0,)), [array((5,))]),
        Sample(reduction.ReduceProd((0, 2)), [array((3, 2, 2))]),
        Sample(
            reduction.ReduceProd((1,)), [np.array([[0, 2, 3], [0, 0, 5.0]], "float32")]
        ),
        Sample(reduction.ReduceProd((0,)), [array((3,), "complex64")]),
        Sample(reduction.ReduceProd((0,)), [array((0, 2))], note="no elements"),
        Sample(reduction.ReduceProd((1,)), [array((2, 3), "int32")]),
        Sample(
            reduction.ReduceProd((1,)), [array((2, 3), "bfloat16")], differentiable=()
        ),
    ],
    reduction.ReduceAnd: _bits(reduction.ReduceAnd),
    reduction.ReduceOr: _bits(reduction.ReduceOr),
    reduction.ReduceXor: _bits(reduction.ReduceXor),
    reduction.ArgMax: _position(reduction.ArgMax),
    reduction.ArgMin: _position(reduction.ArgMin),
}
