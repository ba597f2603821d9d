"""Samples of gather and the scatters: every mode, layout of axes, and repeated places."""

from __future__ import annotations

import numpy as np

from ferax.lax import indexing
from ferax.lax.indexing import Gather, GatherDimensionNumbers
from ferax.lax.windows import CLIP, DROP, PROMISE
from tests.samples.base import Sample, array

_ROWS = GatherDimensionNumbers((1,), (0,), (0,))
_COLUMNS = GatherDimensionNumbers((0,), (1,), (1,))
_POINTS = GatherDimensionNumbers((), (0,), (0,))
_PAIRS = GatherDimensionNumbers((0,), (0, 2), (2, 0))
_PARTS = GatherDimensionNumbers((1, 2), (), (0, 1))
_ALONG = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
_BATCH = GatherDimensionNumbers((2,), (), (1,), (0,), (1,))
_REPEAT = GatherDimensionNumbers((1, 2), (), ())


def _places(*values: int, dtype: str = "int32") -> np.ndarray:
    return np.array(values, dtype)[:, None]


_INSIDE = _places(2, 0, 2)
_OUTSIDE = _places(3, -1, 1, 7)
_TWO = np.array([[1, 0], [4, 2], [1, 0], [-1, 5]], "int32")


def _gather(numbers, sizes, x, indices, mode=PROMISE, fill=None, **kinds):
    op = Gather(numbers, sizes, False, False, mode, fill)
    kinds.setdefault(
        "linear", (0,) if np.asarray(x).dtype.kind == "f" and not fill else None
    )
    if mode is DROP and fill is None:
        kinds["linear"] = None  # NaN is not linear
        kinds.setdefault("differentiable", ())
    return Sample(op, [x, indices], **kinds)


_GATHERS = [
    _gather(_ROWS, (1, 3), array((4, 3)), _INSIDE),
    _gather(_ROWS, (1, 3), array((3, 3)), _OUTSIDE, CLIP),
    _gather(_ROWS, (1, 3), array((3, 3)), _OUTSIDE, DROP, 0),
    _gather(_ROWS, (1, 3), array((3, 3)), _OUTSIDE, DROP, note="fills NaN"),
    _gather(_ROWS, (1, 3), array((3, 3)), _OUTSIDE, DROP, 2.5),
    _gather(_COLUMNS, (4, 1), array((4, 3)), _INSIDE),
    _gather(_POINTS, (1,), array((5,)), np.array([[[1], [4]], [[0], [1]]], "int32")),
    _gather(_PAIRS, (1, 4, 1), array((3, 4, 5)), _TWO, CLIP),
    _gather(_PAIRS, (1, 4, 1), array((3, 4, 5)), _TWO, DROP, 0),
    _gather(
        _PARTS,
        (2, 2),
        array((4, 3)),
        np.array([[0, 1], [2, 0], [3, -1]], "int32"),
        CLIP,
    ),
    _gather(
        _PARTS, (2, 2), array((4, 3)), np.array([[0, 1], [3, -1]], "int32"), DROP, 0
    ),
    _gather(
        _ALONG,
        (1, 1),
        array((3, 4)),
        np.array([[[1], [3]], [[0], [0]], [[2], [9]]]),
        CLIP,
    ),
    _gather(
        _BATCH,
        (1, 2),
        array((3, 4)),
        np.array([[[1], [2], [0]]] * 2),
        note="batching axis",
    ),
    _gather(
        _REPEAT,
        (2, 3),
        array((2, 3)),
        np.zeros((4, 0), "int32"),
        note="no index components",
    ),
    _gather(_ROWS, (1, 3), array((4, 3)), np.zeros((0, 1), "int32"), note="nothing"),
    _gather(_ROWS, (1, 0), array((4, 0)), _INSIDE, note="empty windows"),
    *(
        _gather(_ROWS, (1, 2), array((4, 2)), _places(1, 3, 5, dtype=d), CLIP)
        for d in ("int8", "uint8", "int16", "uint32")
    ),
    *(
        _gather(_ROWS, (1, 2), array((3, 2), d), _OUTSIDE, DROP)
        for d in ("int8", "uint8", "int32", "bool", "float16", "bfloat16", "complex64")
    ),
]


def _scatters(kind):
    smooth = (
        {} if kind in (indexing.ScatterMin, indexing.ScatterMax) else {"linear": (0, 2)}
    )
    if kind is indexing.ScatterMul:
        smooth = {"linear": (0,)}

    def one(numbers, x, indices, updates, mode=DROP, unique=False, **options):
        op = kind(numbers, False, unique, mode)
        return Sample(op, [x, indices, updates], **{**smooth, **options})

    dtypes = ["int32", "uint8", "float16", "bfloat16"]
    dtypes += ["bool"] if kind is indexing.Scatter else ["complex64"]
    return [
        one(_ROWS, array((4, 3)), _places(3, 0), array((2, 3), seed=1), unique=True),
        one(_ROWS, array((4, 3)), _places(2), array((1, 3), seed=1)),
        one(_ROWS, array((4, 3)), _INSIDE, array((3, 3), seed=1), note="repeated"),
        one(_ROWS, array((3, 3)), _OUTSIDE, array((4, 3), seed=1, high=2.1), note="dropped"),
        one(_ROWS, array((3, 3)), _OUTSIDE, array((4, 3), seed=1, high=2.1), CLIP, note="clipped"),
        one(_COLUMNS, array((4, 3)), _INSIDE, array((4, 3), seed=1, high=2.1), PROMISE),
        one(_POINTS, array((5,)), _places(1, 1, 1, 4), array((4,), seed=1)),
        one(_PAIRS, array((3, 4, 5)), _TWO, array((4, 4), seed=1)),
        one(_PARTS, array((4, 3)), np.array([[0, 1], [1, 0]], "int32"), array((2, 2, 2), seed=1),
            note="windows overlap"),
        one(_ALONG, array((3, 4)), np.array([[[1], [3]], [[0], [0]], [[2], [9]]]),
            array((3, 2), seed=1)),
        one(_ROWS, array((4, 3)), np.zeros((0, 1), "int32"), array((0, 3)), note="nothing"),
        one(_POINTS, array((4,)), _places(1, 3, 9, dtype="int8"), array((3,), seed=1)),
        *(
            one(_POINTS, array((4,), d), _places(2, 2, 0), array((3,), d, seed=1),
                differentiable=(), linear=None)
            for d in dtypes
        ),
    ]  # fmt: skip


SAMPLES = {
    Gather: _GATHERS,
    indexing.Scatter: _scatters(indexing.Scatter),
    indexing.ScatterAdd: [
        *_scatters(indexing.ScatterAdd),
        Sample(
            indexing.ScatterAdd(_ROWS, False, False, DROP),
            [
                array((40, 16)),
                array((600, 1), "int32", low=-2, high=44),
                array((600, 16)),
            ],
            differentiable=(),
            tolerance=64.0,
            note="many rows",
        ),
        Sample(
            indexing.ScatterAdd(_POINTS, False, False, DROP),
            [
                array((100,)),
                array((2000, 1), "int32", low=-2, high=104),
                array((2000,)),
            ],
            differentiable=(),
            tolerance=64.0,
            note="many points",
        ),
    ],
    indexing.ScatterSub: _scatters(indexing.ScatterSub),
    indexing.ScatterMul: _scatters(indexing.ScatterMul),
    indexing.ScatterMin: _scatters(indexing.ScatterMin),
    indexing.ScatterMax: _scatters(indexing.ScatterMax),
}
