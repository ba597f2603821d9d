"""Samples for the operations of ferax/core/basis.py and the transformations' own."""

from __future__ import annotations

import numpy as np

from ferax.core import basis
from ferax.core.tracing import to_array
from tests.samples.base import Sample, array

_BINARY_SHAPES = [
    ((), ()),
    ((3,), (3,)),
    ((2, 1), (1, 3)),
    ((2, 3), (3,)),
    ((0, 2), (2,)),
]


def _binary(op, linear):
    samples = [
        Sample(op, [array(a, seed=1), array(b, seed=2)], linear=linear)
        for a, b in _BINARY_SHAPES
    ]
    samples += [
        Sample(op, [array((3,), d, 1, 0, 9), array((3,), d, 2, 0, 9)])
        for d in ("int32", "uint8", "bfloat16", "float16", "complex64")
    ]
    return samples


SAMPLES = {
    basis.Constant: [
        Sample(basis.Constant(to_array(array(s, d))), [])
        for s, d in [((), "float32"), ((2, 3), "bfloat16"), ((0, 2), "int32")]
    ],
    basis.Add: _binary(basis.ADD, (0, 1)),
    basis.Sub: _binary(basis.SUB, (0, 1)),
    basis.Mul: _binary(basis.MUL, (0,)) + _binary(basis.MUL, (1,))[:3],
    basis.Neg: [Sample(basis.NEG, [array(s)], linear=(0,)) for s in [(), (3,), (0, 2)]]
    + [Sample(basis.NEG, [array((3,), "int32", 0, -5, 5)])],
    basis.SelectN: [
        Sample(
            basis.SELECT_N, [array(w, "bool"), array(a, seed=1), array(b, seed=2)], linear=(1, 2)
        )
        for w, a, b in [((), (), ()), ((3,), (3,), (3,)), ((3,), (), (3,)), ((2, 1), (3,), ())]
    ]
    + [
        Sample(
            basis.SELECT_N,
            [np.array([0, 2, 1], np.int32), *[array((3,), seed=i) for i in range(3)]],
            linear=(1, 2, 3),
        )
    ],
    basis.Convert: [
        Sample(basis.Convert(np.dtype("float32")), [array((3,), d, 0, 0, 9)])
        for d in ("int32", "bool", "float16", "bfloat16", "float32")
    ]
    + [
        Sample(basis.Convert(np.dtype("int8")), [array((3,), "float32", 0, -9, 9)]),
        Sample(basis.Convert(np.dtype("complex64")), [array((3,), "float32")]),
        Sample(basis.Convert(np.dtype("float32")), [array((3,), "complex64")], ()),
        Sample(basis.Convert(np.dtype("bool")), [array((3,), "float32")]),
        *[
            Sample(
                basis.Convert(np.dtype(d)),
                [np.array([np.nan, np.inf, -np.inf, 300.0, -300.0, 3e9, -0.5], np.float32)],
            )
            for d in ("int8", "uint8", "int32", "uint32")
        ],
    ],
    basis.BroadcastInDim: [
        Sample(basis.BroadcastInDim(shape, dims), [array(s)], linear=(0,))
        for shape, dims, s in [
            ((3,), (), ()), ((2, 3), (1,), (3,)), ((2, 3), (0, 1), (2, 1)), ((0, 2), (1,), (2,)),
            ((2, 4, 3), (0, 2), (2, 3)),
        ]
    ]
    + [Sample(basis.BroadcastInDim((70, 70), (0,)), [array((70,), "int32", 0, 0, 9)])],
    basis.Reshape: [
        Sample(basis.Reshape(t), [array(s)], linear=(0,))
        for s, t in [((2, 3), (6,)), ((), (1, 1)), ((0, 3), (0,)), ((4,), (2, 2))]
    ],
    basis.Permute: [
        Sample(basis.Permute(axes), [array(s)], linear=(0,))
        for axes, s in [((1, 0), (2, 3)), ((2, 0, 1), (2, 3, 4)), ((), ()), ((1, 0), (0, 3))]
    ],
    basis.ReduceSum: [
        Sample(basis.ReduceSum(axes), [array(s)], linear=(0,))
        for axes, s in [((0,), (3,)), ((0, 2), (2, 3, 4)), ((1,), (2, 0)), ((), (3,))]
    ]
    + [Sample(basis.ReduceSum((0,)), [array((4,), d, 0, 0, 9)]) for d in ("int32", "bfloat16")],
}  # fmt: skip
