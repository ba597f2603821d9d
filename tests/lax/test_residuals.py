"""What a loop in reverse mode keeps of its steps, and that derivatives do not depend on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax

N = 30


def looped(step: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """The sum of what `step(constant, state, x)` -> (state, y) leaves behind and gives out."""

    def loop(constant: Any, start: Any, xs: Any) -> Any:
        state, ys = lax.scan(lambda s, x: step(constant, s, x), start, xs)
        return sum(jnp.sum(leaf) for leaf in ferax.tree.leaves((state, ys)))

    return loop


def written_out(step: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """The same as a loop in Python, in which every operation is linearized by itself."""

    def loop(constant: Any, state: Any, xs: Any) -> Any:
        total = jnp.float32(0)
        for x in xs:
            state, y = step(constant, state, x)
            total += sum(jnp.sum(leaf) for leaf in ferax.tree.leaves(y))
        return total + sum(jnp.sum(leaf) for leaf in ferax.tree.leaves(state))

    return loop


def logistic(c: Any, s: Any, x: Any) -> Any:
    """Light operations only: all follow from the carry."""
    r = c[0] * s
    return r * (1 - s) + 0.01 * x * s * s, None


def pendulum(c: Any, s: Any, x: Any) -> Any:
    """The cosine follows from what is given out anyway."""
    angle, speed = s
    speed = speed + c[1] * (x - jnp.sin(angle) - 0.1 * speed)
    return (angle + 0.1 * speed, speed), angle


def network(c: Any, s: Any, x: Any) -> Any:
    """A product of matrices is kept; what is light before and behind it is not."""
    h = jnp.tanh(s @ jnp.outer(c, c) + x)
    return h * jnp.maximum(s, 0.1) / (1 + s * s), h**3


def gated(c: Any, s: Any, x: Any) -> Any:
    """Heavy operations of loop invariants, of the row, of the carry; a choice; a conversion."""
    gate = jnp.exp(-c) * jnp.exp(-(x**2))
    y = jnp.where(s > x, s * gate, jnp.exp(s * 0.1) * gate)
    return y + s.astype(jnp.float16).astype(jnp.float32) * 0.5, (y, jnp.sum(y * s))


def two_places(c: Any, s: Any, x: Any) -> Any:
    """One part of the carry follows from nothing, the other moves elements about."""
    a, b = s
    turned = jnp.concatenate([b[1:], b[:1]]) * b[::-1]
    return (jnp.sin(a * turned), b + 0.1 * turned * x), a[0]


VECTOR = np.linspace(0.2, 0.9, 3).astype(np.float32)
CASES: dict[str, tuple[Any, Any]] = {
    "logistic": (logistic, np.float32(0.3)),
    "pendulum": (pendulum, (np.float32(0.4), np.float32(0.1))),
    "network": (network, VECTOR),
    "gated": (gated, VECTOR),
    "two places": (two_places, (VECTOR, VECTOR[::-1].copy())),
}


def operands(name: str) -> tuple[Any, Any, Any]:
    xs = np.random.default_rng(0).standard_normal(N).astype(np.float32) * 0.3
    return VECTOR * 2, CASES[name][1], xs


def close(one: Any, other: Any) -> None:
    for a, b in zip(ferax.tree.leaves(one), ferax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_loop_in_python(name: str, compiled: bool) -> None:
    """With respect to constants, the start and the rows."""
    step, _ = CASES[name]
    grad = ferax.grad(looped(step), argnums=(0, 1, 2))
    found = (ferax.jit(grad) if compiled else grad)(*operands(name))
    close(found, ferax.grad(written_out(step), argnums=(0, 1, 2))(*operands(name)))


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_and_batches(name: str) -> None:
    """The way back is a program like any other: it has derivatives, and is mapped."""
    step, _ = CASES[name]
    constant, start, xs = operands(name)
    xs = xs[:5]

    def second(loop: Any, scale: Any) -> Any:
        inner = ferax.grad(lambda c: loop(c * scale, start, xs))
        return ferax.grad(lambda c: jnp.sum(inner(c) ** 2))(constant)

    scales = np.array([0.5, 1.0], np.float32)
    found = ferax.jit(ferax.vmap(lambda s: second(looped(step), s)))(scales)
    close(found, jnp.stack([second(written_out(step), s) for s in scales]))


def kept_bytes(loop: Any, *args: Any) -> int:
    """What the forward loop stacks for the way back, what it gives out included."""
    program = ferax.make_jaxpr(ferax.grad(loop, argnums=1))(*args)
    first = next(e for e in program.eqns if e.op.name == "scan")
    rows = [v.aval for v in first.outputs[first.op.n_carry :]]
    return sum(a.size * a.dtype.itemsize for a in rows)


def test_light_steps_keep_their_carry_only() -> None:
    """One number per step, however many products a step is made of."""

    def step(c: Any, s: Any, x: Any) -> Any:
        for _ in range(10):
            s = s + 0.01 * x * s * (1 - s)
        return s, None

    assert kept_bytes(looped(step), *operands("logistic")) == 4 * N


def test_what_is_given_out_is_not_kept_twice() -> None:
    """The angle is a result of the loop; its cosine is computed on the way back."""
    assert kept_bytes(looped(pendulum), *operands("pendulum")) == 4 * N


def test_heavy_results_are_kept() -> None:
    """An exponential that the way there needs is not computed twice."""

    def step(c: Any, s: Any, x: Any) -> Any:
        return jnp.exp(-s), None

    program = ferax.make_jaxpr(ferax.grad(looped(step), argnums=1))(
        *operands("logistic")
    )
    text = str(program)
    assert text.count("= exp ") == 1


def test_a_small_result_of_a_large_carry_is_kept_itself() -> None:
    """To keep the carry would take a thousand times the memory."""

    def step(c: Any, s: Any, x: Any) -> Any:
        table, total = s
        return (table, total * (1 + table[0])), None

    start = (np.ones(1000, np.float32), np.float32(1))
    assert kept_bytes(looped(step), VECTOR, start, np.ones(N, np.float32)) <= 8 * N
