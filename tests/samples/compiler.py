"""Samples for XLA's own generators and for what is said to the compiler."""

from __future__ import annotations

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax.lax import collective
from ferax.lax.compiler import CompositeCall, PlatformIndex, ShardingConstraint
from ferax.lax.generators import RandomAlgorithm, RngBitGenerator, RngUniform
from ferax.sharding import Mesh, NamedSharding, PartitionSpec
from tests.samples.base import Sample, array
from tests.samples.control import VECTOR, program, sample

KEY = np.array([1, 2, 3, 4], np.uint32)
ONE_DEVICE = Mesh(np.array(ferax.devices("cpu")[:1]), ("i",))

SAMPLES = {
    RngBitGenerator: [
        Sample(RngBitGenerator(shape, np.dtype(dtype), algorithm), [KEY])
        for algorithm in RandomAlgorithm
        for shape, dtype in [((), "uint32"), ((2, 3), "uint32"), ((9,), "uint8"), ((5,), "uint16")]
    ],
    RngUniform: [
        Sample(RngUniform((3,)), [np.float32(2), np.float32(2)], (), note="one value only"),
        Sample(RngUniform((2, 2)), [np.int32(2), np.int32(3)], (), note="one value only"),
    ],
    PlatformIndex: [Sample(PlatformIndex((("tpu",), ("cpu",), ())), [])],
    CompositeCall: [
        sample(
            CompositeCall("my.wave", program(lambda x: [jnp.sin(x), x], VECTOR), 2, (("k", "é"),)),
            array((3,)),
        )
    ],
    ShardingConstraint: [
        Sample(
            ShardingConstraint(NamedSharding(ONE_DEVICE, PartitionSpec("i"))),
            [array((3, 2))], linear=(0,),
        )
    ],
}  # fmt: skip

TESTED_ELSEWHERE = {
    collective.AllToAll: "lax/test_compiler.py::test_all_to_all_exchanges_slices",
}
