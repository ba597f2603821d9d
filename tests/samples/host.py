"""Samples for callbacks into Python, and for linear functions with given transposes."""

from __future__ import annotations

import numpy as np

import ferax.numpy as jnp
from ferax.core.avals import Aval
from ferax.lax.host import DebugCallback, IOCallback, PureCallback
from ferax.lax.implicit import LinearCall
from tests.samples.base import Sample, array
from tests.samples.control import program, sample

SCALAR, VECTOR = Aval((), np.dtype("float32")), Aval((3,), np.dtype("float32"))
HALF = Aval((2, 3), np.dtype("bfloat16"))


def _sorted(x):
    return [np.sort(np.asarray(x), -1)]


def _sum_of_products(x, y):
    return [np.sum(np.asarray(x) * np.asarray(y), -1), np.asarray(x)]


SAMPLES = {
    PureCallback: [
        Sample(PureCallback(_sorted, (VECTOR,), "sort", method), [array((3,))], ())
        for method in ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all")
    ]
    + [
        Sample(
            PureCallback(_sorted, (HALF,), "sort", "expand_dims"),
            [array((2, 3), "bfloat16")], (),
        ),
        Sample(
            PureCallback(_sum_of_products, (SCALAR, VECTOR), "dot", "broadcast_all"),
            [array((3,)), array((3,), seed=1)], (),
        ),
    ],
    IOCallback: [
        Sample(IOCallback(_sorted, (VECTOR,), "sort", False), [array((3,))], ()),
        Sample(IOCallback(lambda: (), (), "nothing", True), []),
    ],
    DebugCallback: [
        Sample(DebugCallback(lambda x: (), (), "look", ordered), [array((3,))], ())
        for ordered in (False, True)
    ],
    LinearCall: [
        sample(
            LinearCall(
                program(lambda r, x: [x * r], SCALAR, VECTOR),
                program(lambda r, c: [c * r], SCALAR, VECTOR),
                1,
            ),
            array(), array((3,)),
        ),
        sample(
            LinearCall(
                program(lambda x: [jnp.sum(x)], VECTOR),
                program(lambda c: [c * jnp.ones(3)], SCALAR),
                0,
            ),
            array((3,)),
        ),
    ],
}  # fmt: skip
