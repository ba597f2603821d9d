"""Samples of the operations that move elements about (also those of the basis)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ferax import dtypes
from ferax.lax import dynamic, shape
from tests.samples.base import Sample, array


def _i(*values: int, dtype: str = "int32") -> list[np.ndarray]:
    return [np.asarray(v, dtype) for v in values]


_SAMPLES = {
    shape.Iota: [
        Sample(shape.Iota(np.dtype("int32"), (4,), 0), []),
        Sample(shape.Iota(np.dtype("float32"), (2, 3), 0), []),
        Sample(shape.Iota(np.dtype("complex64"), (2, 3), 1), []),
        Sample(shape.Iota(np.dtype("int32"), (0, 3), 0), [], note="no elements"),
    ],
    shape.Rev: [
        Sample(shape.Rev((0,)), [array((3, 4))]),
        Sample(shape.Rev((1, 0)), [array((3, 4), "complex64")]),
        Sample(shape.Rev(()), [array((), "int8")]),
        Sample(shape.Rev((0,)), [array((0, 2), "bfloat16")], note="no elements"),
    ],
    shape.Concatenate: [
        Sample(shape.Concatenate(0), [array((2, 3)), array((1, 3), seed=1)]),
        Sample(shape.Concatenate(1), [array((2, 3)), array((2, 0)), array((2, 2), seed=1)]),
        Sample(shape.Concatenate(0), [array((2,), "bool"), array((3,), "bool")]),
    ],
    shape.Split: [
        Sample(shape.Split((1, 0, 3), 1), [array((2, 4))]),
        Sample(shape.Split((2, 2), 0), [array((4, 2), "int16")]),
    ],
    shape.Slice: [
        Sample(shape.Slice((1, 0), (4, 3), (1, 2)), [array((5, 3))]),
        Sample(shape.Slice((0,), (7,), (3,)), [array((8,), "complex64")]),
        Sample(shape.Slice((2,), (2,), (1,)), [array((4,))], note="an empty slice"),
        Sample(shape.Slice((), (), ()), [array((), "int32")]),
    ],
    shape.Pad: [
        Sample(shape.Pad(((1, 2, 0), (0, 1, 2))), [array((2, 3)), array((), seed=1)]),
        Sample(shape.Pad(((-1, 2, 1),)), [array((4,)), array((), seed=1)]),
        Sample(shape.Pad(((-3, -2, 2),)), [array((4,)), array((), seed=1)], note="cuts"),
        Sample(shape.Pad(((2, 1, 1),)), [array((0,), "int32"), array((), "int32")]),
        Sample(shape.Pad(()), [array(()), array((), seed=1)], note="nothing to pad"),
        Sample(shape.Pad(((0, 1, 0),)), [array((2,), "bool"), array((), "bool")]),
    ],
    shape.DceSink: [Sample(shape.DceSink(), [array((2,))], differentiable=())],
    dynamic.DynamicSlice: [
        Sample(dynamic.DynamicSlice((2, 3)), [array((4, 5)), *_i(1, 2)]),
        Sample(dynamic.DynamicSlice((2,)), [array((4,)), *_i(9)], note="moved back"),
        Sample(dynamic.DynamicSlice((2,)), [array((4,)), *_i(-3)], note="moved to the start"),
        Sample(dynamic.DynamicSlice((0, 2)), [array((4, 2), "int32"), *_i(1, 0)]),
        Sample(dynamic.DynamicSlice((1,)), [array((4,), "bool"), *_i(3, dtype="uint8")]),
        Sample(dynamic.DynamicSlice(()), [array(())], note="no axes"),
    ],
    dynamic.DynamicUpdateSlice: [
        Sample(dynamic.DynamicUpdateSlice(), [array((4, 5)), array((2, 1), seed=1), *_i(1, 2)]),
        Sample(dynamic.DynamicUpdateSlice(), [array((4,)), array((2,), seed=1), *_i(9)]),
        Sample(dynamic.DynamicUpdateSlice(), [array((4,)), array((2,), seed=1), *_i(-1)]),
        Sample(
            dynamic.DynamicUpdateSlice(), [array((4,), "int8"), array((0,), "int8"), *_i(1)],
            note="nothing written",
        ),
        Sample(dynamic.DynamicUpdateSlice(), [array(()), array((), seed=1)], note="no axes"),
    ],
}  # fmt: skip


def _linear(sample: Sample) -> Sample:
    """All of these operations are linear in their floating operands together."""
    places = [i for i, x in enumerate(sample.operands) if dtypes.is_inexact(x.dtype)]
    return replace(sample, linear=tuple(places))


SAMPLES = {
    kind: [_linear(s) if kind is not shape.DceSink else s for s in samples]
    for kind, samples in _SAMPLES.items()
}
