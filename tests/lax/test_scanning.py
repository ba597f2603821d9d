"""scan as a compiled loop: the same as step by step, however it is written out."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax


def step(carry, x):
    """Two carries, rows of the type of x and of another one."""
    low, high = carry
    low = low * 0.5 + x
    return (low, jnp.maximum(high, low)), (low, low > high)


def expected(xs, reverse):
    """The same in NumPy, one step after the other."""
    low, high = np.float32(0), np.float32(0.25)
    lows, above = np.empty_like(xs), np.empty(len(xs), bool)
    order = range(len(xs))
    for i in reversed(order) if reverse else order:
        low = low * np.float32(0.5) + xs[i]
        lows[i], above[i] = low, low > high
        high = max(high, low)
    return (low, high), (lows, above)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 7])
def test_loops_of_tiny_steps_of_any_length(length, reverse):
    """Several steps are written into one turn only where the length allows it."""
    xs = np.linspace(-1, 1, length, dtype=np.float32)
    run = ferax.jit(lambda xs: lax.scan(step, (0.0, 0.25), xs, reverse=reverse))
    got = run(xs)
    for a, b in zip(ferax.tree.leaves(got), ferax.tree.leaves(expected(xs, reverse))):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    per_turn = {0: 0, 1: 1, 2: 2, 3: 3, 4: 2, 5: 1, 7: 1}[length]
    assert run.lower(xs).as_text().count("stablehlo.maximum") == per_turn


@pytest.mark.parametrize("unroll", [1, 2, 3, 4, True])
def test_unrolled_loops_and_their_gradients(unroll):
    """Whatever `unroll` says, results and gradients stay what they are."""
    xs = jnp.linspace(-1.0, 1.0, 6)

    def loss(xs, unroll):
        (low, high), (lows, _) = lax.scan(step, (0.0, 0.25), xs, unroll=unroll)
        return low * high + jnp.sum(lows**2)

    with ferax.disable_jit():
        plain = ferax.value_and_grad(loss)(xs, 1)
    got = ferax.jit(ferax.value_and_grad(loss), static_argnums=1)(xs, unroll)
    np.testing.assert_allclose(got[0], plain[0], rtol=1e-6)
    np.testing.assert_allclose(got[1], plain[1], rtol=1e-5)


@pytest.mark.parametrize("length", [0, 3])
def test_python_loops_are_transformed(length):
    """Without jit a scan is a loop in Python, which grad and vmap see through."""
    xs = jnp.linspace(0.5, 1.0, length)

    def total(xs):
        carry, ys = lax.scan(lambda c, x: (c * x + 1.0, c), 1.0, xs)
        return carry + jnp.sum(ys)

    batch = jnp.stack([xs, xs + 1])
    want = ferax.grad(total)(xs), ferax.vmap(total)(batch)
    with ferax.disable_jit():
        got = ferax.grad(total)(xs), ferax.vmap(total)(batch)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_operands_survive_rows_of_their_type():
    """The rows a loop gives out are written to memory of their own, not over its operand."""
    xs = jnp.arange(8.0)
    twice = ferax.jit(
        lambda xs: (lax.scan(lambda c, x: (c + x, 2 * x), 0.0, xs)[1], xs)
    )
    ys, same = twice(xs)
    np.testing.assert_array_equal(ys, 2 * np.arange(8.0))
    np.testing.assert_array_equal(same, np.arange(8.0))
    np.testing.assert_array_equal(xs, np.arange(8.0))
