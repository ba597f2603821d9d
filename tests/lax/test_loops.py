"""What control flow makes of Python numbers, of odd arguments and of functions' results."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax

WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit], ids=["eager", "jit"])


# -- Python numbers as carries -------------------------------------------------------------


@WRAPS
def test_numbers_handed_from_leaf_to_leaf_become_floats(wrap):
    """A float that wanders through a carry of ints makes floats of all of them, in the ys too."""
    step = lambda c, _: ((c[1], c[2], c[0] + 0.5), c)
    carry, ys = wrap(lambda: lax.scan(step, (0, 0, 0), length=3))()
    np.testing.assert_array_equal(carry, [0.5, 0.5, 0.5])
    np.testing.assert_array_equal(ys, [[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0.5]])
    assert {x.dtype for x in (*carry, *ys)} == {np.dtype("float32")}
    turn = lambda c: (c[1], c[2], c[3], c[0] + 0.5)
    out = wrap(lambda: lax.while_loop(lambda c: c[1] < 1, turn, (0, 0, 0, 0)))()
    np.testing.assert_array_equal(out, [0.5, 1, 1, 1])


@WRAPS
@pytest.mark.parametrize("length", [0, 2])
def test_numbers_in_a_carry_stay_numbers_within_a_step(wrap, length):
    """0.0 adds up in float32, and is a Python number to what it meets, as in JAX."""
    xs = jnp.arange(float(length)).astype(jnp.bfloat16)
    step = lambda c, x: (c + x.astype(jnp.float32), (c * x, c))
    total, (scaled, before) = wrap(lambda xs: lax.scan(step, 0.0, xs))(xs)
    assert (total.dtype, scaled.dtype, before.dtype) == (
        "float32",
        "bfloat16",
        "float32",
    )
    assert (total.weak_type, scaled.weak_type, before.weak_type) == (False, False, True)
    np.testing.assert_array_equal(before, np.arange(length) * 0.0)


@WRAPS
def test_weak_types_of_a_carry_are_those_of_a_step(wrap):
    """Which results are weakly typed does not depend on how many steps were made."""
    one = jnp.float32(1)
    carry, _ = wrap(
        lambda: lax.scan(lambda c, _: ((c[1], c[0] + one), 0), (0.0, 0.0), length=2)
    )()
    assert [c.weak_type for c in carry] == [True, False]


@WRAPS
def test_associative_scan_gives_arrays(wrap):
    """What it puts together of parts is no Python number any more."""
    ones = ferax.vmap(lambda _: 1.0)(jnp.arange(4))
    assert ones.weak_type
    out = wrap(lambda x: lax.associative_scan(jnp.add, x))(ones)
    assert not out.weak_type
    np.testing.assert_array_equal(out, [1, 2, 3, 4])


# -- arguments -----------------------------------------------------------------------------


@WRAPS
def test_cond_with_an_operand_for_each_function(wrap):
    """The historical form cond(pred, x, f, y, g)."""
    f = lambda x: lax.cond(
        x > 0, (x, 1.0), lambda t: t[0] + t[1], {"k": x}, lambda d: -d["k"]
    )
    assert float(wrap(f)(2.0)) == 3
    assert float(wrap(f)(-2.0)) == 2
    assert float(wrap(ferax.grad(f))(-2.0)) == -1
    np.testing.assert_array_equal(wrap(ferax.vmap(f))(jnp.array([2.0, -2.0])), [3, 2])


@WRAPS
def test_map_in_batches_of_no_size(wrap):
    """batch_size=0 is as None: one slice after another."""
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(
        wrap(lambda x: lax.map(jnp.square, x, batch_size=0))(x), x**2
    )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: lax.cond(1j, jnp.sin, jnp.cos, 1.0), TypeError, r"real number; got complex64\[\]"),
        (lambda: lax.cond(ferax.random.key(0), jnp.sin, jnp.cos, 1.0), TypeError, r"real number"),
        (lambda: lax.while_loop(lambda c: (c < 5,), lambda c: c + 1, 1), TypeError, r"structure"),
        (lambda: lax.scan(lambda c, x: (c, x), 0, length=2.0), TypeError, r"length.*integer.*2\.0"),
        (lambda: lax.scan(lambda c, x: (c, x), 0, jnp.ones(2), unroll=1.5), TypeError, r"unroll.*"),
        (lambda: lax.map(jnp.sin, jnp.ones(3), batch_size=-2), ValueError, r"positive; got -2"),
        (lambda: lax.map(jnp.sin, 1.0, batch_size=2), ValueError, r"map.*no leading axis"),
        (lambda: lax.map(jnp.sin, (), batch_size=2), ValueError, r"map: xs has no arrays"),
        (
            lambda: lax.map(sum, (jnp.ones(2), jnp.ones(3)), batch_size=2),
            ValueError,
            r"map: the leading axes.*float32\[2\].*float32\[3\]",
        ),
    ],
)  # fmt: skip
def test_messages_of_loops_and_choices(call, kind, message):
    """What was given, and what it should be."""
    with pytest.raises(kind, match=message):
        call()


# -- derivatives ---------------------------------------------------------------------------


@pytest.mark.parametrize("f", [jnp.abs, jnp.real, jnp.imag, jnp.angle])
@WRAPS
def test_gradients_by_parts_of_a_complex_number_are_strongly_typed(wrap, f):
    """As in JAX, where the parts of a cotangent make a complex64; by itself it stays weak."""
    assert not wrap(ferax.grad(f))(1 + 2j).weak_type
    assert wrap(ferax.grad(lambda z: z * z, holomorphic=True))(1 + 2j).weak_type


@pytest.mark.parametrize("ct", [(1.0,), jnp.ones(3), jnp.bfloat16(1), 1j, None])
def test_vjp_functions_refuse_what_is_no_cotangent(ct):
    """Another structure, shape or dtype than that of the result: a ValueError, as in JAX."""
    with pytest.raises(ValueError, match="cotangent"):
        ferax.vjp(jnp.sin, 1.0)[1](ct)


def test_linearized_functions_and_transposes_say_what_they_need():
    """The errors speak of tangents and cotangents, with both types."""
    with pytest.raises(
        ValueError, match=r"sin needs a tangent of the dtype.*bfloat16\[\]"
    ):
        ferax.linearize(jnp.sin, 1.0)[1](jnp.bfloat16(1))
    with pytest.raises(
        TypeError, match=r"needs a cotangent of the shape.*float32\[2\]"
    ):
        ferax.linear_transpose(lambda x: 2 * x, 1.0)(jnp.ones(2))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x,
        lambda x: x @ x,
        lambda x: x / x,
        lambda x: jnp.where(x > 0, x, 0),
    ],
)
def test_transposing_what_is_not_linear(f):
    """The error says that, not what the transposition stumbled on."""
    x = jnp.ones(2)
    with pytest.raises(TypeError, match="is not linear in its arguments"):
        ferax.linear_transpose(f, x)(f(x))


@pytest.mark.parametrize("jac", [ferax.jacrev, ferax.hessian])
def test_reverse_jacobians_of_complex_results(jac):
    """Half of the derivative would be lost; holomorphic functions say so."""
    with pytest.raises(TypeError, match="holomorphic=True"):
        jac(lambda x: x * 1j)(jnp.ones(2))
    out = ferax.jacrev(lambda z: z**2, holomorphic=True)(jnp.array([1j]))
    np.testing.assert_array_equal(out, [[2j]])


def test_jit_complains_at_once():
    """None is no function; without one jit is a decorator."""
    with pytest.raises(TypeError, match="jit needs a function; got None"):
        ferax.jit(None)
    assert float(ferax.jit(static_argnums=1)(lambda x, n: x * n)(2.0, 3)) == 6
