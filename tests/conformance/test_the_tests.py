"""The suite catches bugs: rules are broken on purpose, and the check they belong to must fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ferax
from ferax import lax
from ferax.core import basis
from ferax.core.avals import Aval
from ferax.core.basis import Unary
from ferax.core.primitive import Primitive, cannot
from ferax.lax import arithmetic, reduction, transcendental
from tests.conformance import (
    test_accuracy,
    test_compositions,
    test_nan_traps,
    test_rules,
)
from tests.conformance.programs import Program
from tests.samples import registry
from tests.samples.base import Sample, array


def _wrong_sign(self: Any, x: Any, y: Any) -> Any:
    return transcendental.SIN(x)


def _forgets_to_sum(self: Any, cts: Any, args: Any) -> list[Any]:
    return [cts[0] if type(a) is basis.LinearInput else None for a in args]


def _wrong_axis(self: Any, axis: Any, args: Any, dims: Any) -> Any:
    return basis.ReduceSum(self.axes).bind(args[0]), [0]


def _wrong_dims(self: Any, axis: Any, args: Any, dims: Any) -> Any:
    (x,), (d,) = args, dims
    return basis.Permute((d, *(a + (a > d) for a in self.axes))).bind(x), [0]


def _wrong_dtype(self: Any, x: Any) -> list[Any]:
    return [np.exp(x.astype(np.float64))]


def _wrong_shape(self: Any, x: Aval) -> list[Aval]:
    return [Aval(self.shape[::-1], x.dtype)]


def _wrong_result(self: Any, x: Any, y: Any) -> list[Any]:
    return [np.maximum(x, y) + (x == y)]


def _wrong_lowering(self: Any, hlo: Any, x: Any) -> list[Any]:
    return [hlo.unary("cosine", x)]


def _wrong_adjoint(self: Any, cts: Any, args: Any) -> list[Any]:
    return [cts[0]]


def _wrong_second_order(self: Any, x: Any, y: Any) -> Any:
    return basis.mul(lax.stop_gradient(x), 2)


_SIN = Sample(transcendental.SIN, [array((3,))])
_COS = Sample(transcendental.Cos(), [array((3,))])
_ADD = Sample(basis.ADD, [array((3, 1)), array((1, 4), seed=1)], linear=(0, 1))
_SUM = Sample(basis.ReduceSum((1,)), [array((3, 3))])
_PERMUTE = Sample(basis.Permute((1, 0)), [array((2, 3))])
_EXP = Sample(transcendental.EXP, [array((3,))])
_TILE = Sample(basis.BroadcastInDim((2, 3), (1,)), [array((3,))])
_MAX = Sample(arithmetic.MAX, [array((3,)), array((3,))], differentiable=())
_NEG = Sample(basis.NEG, [array((3,))], linear=(0,))
_SQUARE = Sample(arithmetic.SQUARE, [array((3,))])

# class, rule, its wrong text, a sample that shows it, the check that must fail
PLANTED = {
    "the sign of a derivative": (
        transcendental.Cos, "derivative", _wrong_sign, _COS, "test_jvp_equals_finite_differences",
    ),
    "a derivative right to first order only": (
        arithmetic.Square, "derivative", _wrong_second_order, _SQUARE,
        "test_jvp_equals_finite_differences",
    ),
    "a transpose that forgets to sum": (
        basis.Add, "transpose", _forgets_to_sum, _ADD, "test_transpose_is_the_adjoint",
    ),
    "the same, seen by reverse mode": (
        basis.Add, "transpose", _forgets_to_sum, _ADD,
        "test_pulling_back_is_the_adjoint_of_pushing_forward",
    ),
    "a transpose that is not the adjoint": (
        basis.Neg, "transpose", _wrong_adjoint, _NEG, "test_transpose_is_the_adjoint",
    ),
    "a batch rule that reduces the wrong axis": (
        basis.ReduceSum, "batch", _wrong_axis, _SUM, "test_batch_equals_a_loop",
    ),
    "a batch rule that shifts axes by one too few": (
        basis.Permute, "batch", _wrong_dims, _PERMUTE, "test_batch_equals_a_loop",
    ),
    "a lowering to another operation": (
        transcendental.Sin, "stablehlo", _wrong_lowering, _SIN, "test_compiled_equals_eager",
    ),
    "an eager result that differs at ties": (
        arithmetic.Max, "numpy", _wrong_result, _MAX, "test_compiled_equals_eager",
    ),
    "an eager result of another dtype": (
        transcendental.Exp, "numpy", _wrong_dtype, _EXP,
        "test_numpy_rule_gives_what_abstract_says",
    ),
    "an abstract result of another shape": (
        basis.BroadcastInDim, "abstract", _wrong_shape, _TILE,
        "test_numpy_rule_gives_what_abstract_says",
    ),
}  # fmt: skip


def _forget(kind: Any) -> None:
    """Drop what is remembered of an operation's results, and all that was compiled."""
    for op in (kind._instances or {}).values():
        op._results.clear()
    ferax.clear_caches()


@pytest.fixture
def plant(monkeypatch):
    """Replace a rule for the time of a test; nothing that was derived from it survives."""

    def replace(kind: Any, rule: str, wrong: Any) -> None:
        monkeypatch.setattr(kind, rule, wrong)
        _forget(kind)
        planted.append(kind)

    planted: list[Any] = []
    yield replace
    monkeypatch.undo()
    for kind in planted:
        _forget(kind)


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_caught(plant, bug):
    """Each conformance check passes with the right rule and fails with a wrong one."""
    kind, rule, wrong, sample, name = PLANTED[bug]
    check = getattr(test_rules, name)
    check(sample)
    plant(kind, rule, wrong)
    with pytest.raises((AssertionError, ValueError, TypeError, RuntimeError)):
        check(sample)


def test_random_programs_catch_a_wrong_rule(plant):
    """A wrong derivative, lowering or batch rule shows in a program that uses it."""
    program = Program(
        0,
        "def program(x0):\n    return jnp.sum(jnp.cos(x0) + x0[:, :1], axis=1)[0],\n",
        [(3, 3)],
    )
    test_compositions.check(program)
    for kind, rule, wrong in (
        (transcendental.Cos, "derivative", _wrong_sign),
        (transcendental.Cos, "stablehlo", lambda s, hlo, x: [hlo.unary("sine", x)]),
        (basis.ReduceSum, "batch", _wrong_axis),
        (basis.Add, "transpose", _forgets_to_sum),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, rule, wrong)
            ferax.clear_caches()
            with pytest.raises(
                test_compositions.Disagreement, match=r"(?s)seed 0.*def program"
            ):
                test_compositions.check(program)
        ferax.clear_caches()


def test_errors_of_many_ulps_are_caught(plant):
    """A function whose last digits are wrong fails its accuracy check, eager as compiled."""
    test_accuracy.check("cbrt", "float32", 40)
    plant(
        transcendental.Cbrt,
        "numpy",
        lambda self, x: [np.cbrt(x) * x.dtype.type(1 + 2e-6)],
    )
    with pytest.raises(AssertionError, match="cbrt float32 eager"):
        test_accuracy.check("cbrt", "float32", 40)


def test_a_nan_in_a_trap_is_caught(plant):
    """Without its guard the angle at the origin has nan derivatives, which its trap shows."""
    test_nan_traps.test_the_documented_value("arctan2", "eager")
    unguarded = lambda self, x, y, z: lax.div(y, lax.add(lax.mul(x, x), lax.mul(y, y)))
    plant(transcendental.Atan2, "derivative_x", unguarded)
    with pytest.raises(AssertionError):
        test_nan_traps.test_the_documented_value("arctan2", "eager")


def test_a_primitive_without_a_rule_fails_at_its_definition():
    """The error names the rules that are missing, and how to say that there is none."""
    with pytest.raises(
        TypeError, match=r"primitive Halved has no jvp, transpose rule; write it"
    ):

        class Halved(Primitive):
            def abstract(self, x): ...
            def numpy(self, x): ...
            def stablehlo(self, hlo, x): ...
            def batch(self, axis, args, dims): ...

    class Spoken(Unary):
        mnemonic = "abs"
        numpy = cannot("it is only here to be refused")

        def derivative(self, x: Any, y: Any) -> Any:
            return y

    with pytest.raises(
        NotImplementedError, match=r"spoken has no numpy rule: it is only here"
    ):
        Spoken()(1.0)


def test_a_primitive_without_samples_fails(monkeypatch):
    """The suite knows every operation of the package and asks for its operands."""
    known = {
        k: v for k, v in registry.all_samples().items() if k is not reduction.ReduceMax
    }
    monkeypatch.setattr(registry, "all_samples", lambda: known)
    with pytest.raises(AssertionError, match="ReduceMax"):
        test_rules.test_every_primitive_has_samples()
