"""Samples of dot_general."""

from __future__ import annotations

from ferax import dtypes
from ferax.lax.contraction import DotGeneral, Precision
from tests.samples.base import Sample, array

_MATRICES = DotGeneral(((1,), (0,)))
_BATCHED = DotGeneral(((2,), (1,)), ((0,), (0,)))


def _of(op, x, y, **options):
    """A sample with operands of these shapes, linear in either of them."""
    return [
        Sample(op, [array(x, seed=1), array(y, seed=2)], linear=(i,), **options)
        for i in (0, 1)
    ]


SAMPLES = {
    DotGeneral: [
        *_of(_MATRICES, (3, 4), (4, 5)),
        *_of(DotGeneral(((0,), (0,))), (6,), (6,)),
        *_of(DotGeneral(((1,), (0,))), (3, 4), (4,)),
        *_of(DotGeneral(((0,), (1,))), (4, 3), (5, 4)),
        *_of(_BATCHED, (2, 3, 4), (2, 4, 5)),
        *_of(DotGeneral(((1, 2), (2, 0))), (3, 4, 2), (2, 5, 4)),
        *_of(DotGeneral(((3,), (3,)), ((1, 2), (2, 0))), (2, 3, 2, 4), (2, 1, 3, 4, 2)),
        *_of(DotGeneral(((), ())), (2, 3), (4,), note="an outer product"),
        *_of(DotGeneral(((), ()), ((0,), (0,))), (4,), (4,), note="elementwise"),
        *_of(DotGeneral(((1,), (0,)), ((0,), (1,))), (2, 3), (3, 2)),
        *_of(_MATRICES, (2, 0), (0, 3), note="sums of nothing"),
        *_of(_MATRICES, (0, 2), (2, 3), note="no rows"),
        Sample(_MATRICES, [array((3, 4)).T, array((3, 5))[:, ::-1]], note="strides"),
        Sample(_BATCHED, [array((2, 3, 4), "complex64"), array((2, 4, 1), "complex64")]),
        Sample(_MATRICES, [array((3, 4), "int32"), array((4, 2), "int32", 1)]),
        Sample(_MATRICES, [array((3, 4), "uint8"), array((4, 2), "uint8", 1)]),
        Sample(_MATRICES, [array((3, 4), "bool"), array((4, 2), "bool", 1)]),
        Sample(_MATRICES, [array((3, 4), "bfloat16"), array((4, 2), "bfloat16", 1)]),
        Sample(_BATCHED, [array((2, 3, 4), "float16"), array((2, 4, 2), "float16", 1)]),
        Sample(_MATRICES, [array((3, 4)), array((4, 2), "bfloat16", 1)], order=1,
               why="the operands have different precisions", note="two dtypes"),
        Sample(
            DotGeneral(((1,), (0,)), preferred_element_type=dtypes.as_dtype("float32")),
            [array((3, 4), "bfloat16"), array((4, 2), "bfloat16", 1)],
            order=0,
            why="float64 operands have no narrower sums",
        ),
        Sample(
            DotGeneral(((1,), (0,)), preferred_element_type=dtypes.as_dtype("int32")),
            [array((3, 4), "int8"), array((4, 2), "int8", 1)],
        ),
        Sample(
            DotGeneral(((1,), (0,)), preferred_element_type=dtypes.as_dtype("float32")),
            [array((3, 4), "float8_e4m3fn"), array((4, 2), "float8_e5m2", 1)],
            order=0,
            why="the differences of 8-bit floats are not small",
            note="two kinds of 8-bit floats",
        ),
        Sample(
            DotGeneral(((1,), (0,)), precision=(Precision.HIGHEST, Precision.DEFAULT)),
            [array((3, 4)), array((4, 2), seed=1)],
        ),
    ]
}  # fmt: skip
