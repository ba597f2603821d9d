"""Samples of convolutions."""

from __future__ import annotations

from ferax import dtypes
from ferax.lax.convolution import ConvDimensionNumbers, ConvGeneralDilated
from tests.samples.base import Sample, array

_LINE = ConvDimensionNumbers((0, 1, 2), (0, 1, 2), (0, 1, 2))
_PLANE = ConvDimensionNumbers((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3))
_CHANNELS_LAST = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_MIXED = ConvDimensionNumbers((2, 0, 1), (1, 2, 0), (1, 2, 0))
_POINT = ConvDimensionNumbers((0, 1), (0, 1), (1, 0))


def _line(strides=1, padding=(0, 0), lhs=1, rhs=1, numbers=_LINE, **options):
    return ConvGeneralDilated(
        (strides,), (padding,), (lhs,), (rhs,), numbers, **options
    )


def _plane(numbers, strides=(1, 1), padding=((0, 0), (0, 0)), **options):
    return ConvGeneralDilated(strides, padding, (1, 1), (1, 1), numbers, **options)


def _of(op, x, w, **options):
    operands = [array(x, seed=1), array(w, seed=2)]
    return [Sample(op, operands, linear=(i,), tolerance=16, **options) for i in (0, 1)]


SAMPLES = {
    ConvGeneralDilated: [
        *_of(_line(), (1, 1, 5), (1, 1, 3)),
        *_of(_line(2, (1, 2)), (2, 3, 6), (4, 3, 3)),
        *_of(_line(3, (0, 1), 1, 2), (1, 2, 9), (2, 2, 3), note="a rest of the stride"),
        *_of(_line(2, (2, 1), 3, 2), (1, 2, 4), (3, 2, 2), note="both dilated"),
        *_of(_line(1, (-1, -2)), (1, 2, 8), (2, 2, 2), note="cut off"),
        *_of(_line(2, (-2, 3), 2), (1, 1, 4), (1, 1, 2)),
        *_of(_line(numbers=_MIXED), (2, 6, 3), (2, 4, 2)),
        *_of(_plane(_PLANE, (1, 2), ((1, 1), (0, 2))), (2, 2, 4, 5), (3, 2, 3, 2)),
        *_of(_plane(_CHANNELS_LAST, (2, 1)), (2, 5, 4, 3), (2, 2, 3, 2)),
        *_of(ConvGeneralDilated((), (), (), (), _POINT), (2, 3), (4, 3)),
        *_of(_line(padding=(1, 0), feature_group_count=2), (2, 4, 5), (6, 2, 2)),
        *_of(_line(2, feature_group_count=3), (2, 3, 6), (3, 1, 2), note="depthwise"),
        *_of(_line(feature_group_count=2, numbers=_MIXED), (4, 5, 2), (2, 2, 2)),
        *_of(_line(padding=(1, 1), batch_group_count=2), (4, 3, 5), (2, 3, 2)),
        *_of(_line(2, batch_group_count=3), (3, 2, 5), (6, 2, 2)),
        *_of(_line(), (0, 2, 4), (3, 2, 2), note="no images"),
        *_of(_line(), (2, 0, 4), (3, 0, 2), note="no features"),
        *_of(_line(), (1, 2, 2), (3, 2, 3), note="the window does not fit"),
        Sample(_line(), [array((1, 2, 5), "complex64"), array((3, 2, 2), "complex64")],
               tolerance=16),
        Sample(_line(), [array((1, 2, 5), "int32"), array((3, 2, 2), "int32")]),
        Sample(_line(), [array((1, 2, 5), "uint8"), array((3, 2, 2), "uint8")]),
        Sample(_line(), [array((1, 2, 5), "bfloat16"), array((3, 2, 2), "bfloat16")]),
        Sample(
            _line(preferred_element_type=dtypes.as_dtype("float32")),
            [array((1, 2, 5), "float16"), array((3, 2, 2), "float16")],
            order=0,
            why="float64 operands have no narrower sums",
        ),
    ]
}  # fmt: skip
