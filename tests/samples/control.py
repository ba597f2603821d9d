"""Samples for operations that hold programs: loops, branches, calls, recomputation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import ferax.numpy as jnp
from ferax.core.avals import Aval
from ferax.core.jaxpr import Jaxpr, stage
from ferax.lax import collective
from ferax.lax.branching import Cond
from ferax.lax.custom import (
    CustomDerivativeCall,
    CustomJVPCall,
    CustomPull,
    CustomVJPCall,
)
from ferax.lax.custom_mapping import CustomVmapCall
from ferax.lax.implicit import LinearSolve
from ferax.lax.looping import While
from ferax.lax.marks import STOP_GRADIENT, StopGradient
from ferax.lax.rematerialize import Barrier, Checkpoint, CheckpointTangent, Name
from ferax.lax.reversible import WhileTangent
from ferax.lax.scanning import Scan
from ferax.transforms.calls import JitCall
from tests.samples.base import Sample, array

PLAIN = (
    "its program is typed for float32; double precision is tried in test_composition"
)
SCALAR, VECTOR = Aval((), np.dtype("float32")), Aval((3,), np.dtype("float32"))
INTEGER = Aval((), np.dtype("int32"))


def program(fun: Callable[..., Sequence[Any]], *avals: Aval) -> Jaxpr:
    """The function as a program without constants."""
    jaxpr, consts = stage(fun, avals)
    assert not consts
    return jaxpr


def sample(op: Any, *operands: Any, **kwargs: Any) -> Sample:
    """A sample without derivatives: programs are typed for float32."""
    return Sample(op, list(operands), order=0, why=PLAIN, **kwargs)


_step = program(lambda w, c, x: [jnp.sin(c) * w + x, c * x], SCALAR, SCALAR, SCALAR)
_count = program(lambda n: [n < 5], INTEGER)
_twice = program(lambda n: [n * 2], INTEGER)
_branches = (
    program(lambda x: [jnp.sin(x)], VECTOR),
    program(lambda x: [x * 2.0], VECTOR),
    program(lambda x: [x], VECTOR),
)
_wave = program(lambda x: [jnp.sin(x) * x], VECTOR)
_double = program(lambda x: [x * 2.0], VECTOR)

SAMPLES = {
    Scan: [
        sample(Scan(_step, 1, 1, 4), array(), array(seed=1), array((4,))),
        sample(Scan(_step, 1, 1, 4, True), array(), array(seed=1), array((4,))),
        sample(Scan(_step, 1, 1, 4, False, 2), array(), array(seed=1), array((4,))),
        sample(Scan(_step, 1, 1, 0), array(), array(seed=1), array((0,))),
    ],
    While: [
        sample(While(_count, _twice, 0, 0), np.int32(n)) for n in (1, 3, 9)
    ],
    Cond: [sample(Cond(_branches), np.int32(i), array((3,))) for i in (-1, 0, 1, 2, 7)],
    JitCall: [sample(JitCall("wave", _wave), array((3,)))],
    Checkpoint: [sample(Checkpoint(_wave, None), array((3,)))],
    CheckpointTangent: [
        sample(
            CheckpointTangent(_double, program(lambda r, t: [r * t], VECTOR, VECTOR)),
            array((3,)), array((3,), seed=1),
        )
    ],
    Barrier: [
        Sample(Barrier(), [array((3,)), array((2, 2))], linear=(0, 1)),
        Sample(Barrier(), [array((3,), "int32", 0, 0, 9)]),
    ],
    Name: [Sample(Name("x"), [array((3,))], linear=(0,))],
    StopGradient: [
        Sample(STOP_GRADIENT, [array(s, d)], (), order=0, why="its derivative counts as zero")
        for s, d in [((), "float32"), ((0, 2), "float32"), ((3,), "bfloat16")]
    ],
}  # fmt: skip

# Operations that cannot be run by themselves, and the tests that run them.
TESTED_ELSEWHERE = {
    collective.PSum: "transforms/test_composition.py::test_collectives",
    collective.PMax: "transforms/test_composition.py::test_collectives",
    collective.PMin: "transforms/test_composition.py::test_collectives",
    collective.AllGather: "transforms/test_composition.py::test_collectives",
    collective.PSumScatter: "transforms/test_composition.py::test_collectives",
    collective.PPermute: "transforms/test_composition.py::test_collectives",
    collective.AxisIndex: "transforms/test_composition.py::test_collectives",
    CustomJVPCall: "transforms/test_composition.py::test_custom_rules",
    CustomVJPCall: "transforms/test_composition.py::test_custom_rules",
    CustomDerivativeCall: "lax/test_custom.py::test_both_rules_compose",
    CustomVmapCall: "lax/test_custom.py::test_vmap_follows_the_rule",
    LinearSolve: "lax/test_implicit.py::test_linear_solve_is_solve",
    CustomPull: "transforms/test_composition.py::test_custom_rules",
    WhileTangent: "transforms/test_composition.py::test_while_loop_has_a_reverse_mode",
}
