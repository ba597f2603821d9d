"""Custom rules: both modes at once, symbolic zeros, vmap; and the checks of test_util."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.custom_batching import custom_vmap, sequential_vmap
from ferax.custom_derivatives import (
    CustomVJPPrimal,
    SymbolicZero,
    custom_derivative,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)
from ferax.test_util import (
    check_derivatives_agree,
    check_grads,
    check_jvp,
    check_vjp,
)

WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit], ids=["eager", "jit"])


# -- custom_derivative ---------------------------------------------------------------------


def cube_with(log):
    """x³ with both rules, which note when they are used."""

    def jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        log.append("jvp")
        return cube(x), 3 * x**2 * t

    def bwd(x, ct):
        log.append("vjp")
        return (3 * x**2 * ct,)

    cube = custom_derivative(lambda x: x**3, jvp=jvp, vjp=(lambda x: (cube(x), x), bwd))
    return cube


@WRAPS
def test_each_mode_uses_its_own_rule(wrap):
    """grad runs the VJP only, jvp the JVP only."""
    log = []
    cube = cube_with(log)
    assert float(wrap(ferax.grad(cube))(2.0)) == 12
    assert set(log) == {"vjp"}
    log.clear()
    assert float(wrap(lambda x: ferax.jvp(cube, (x,), (1.0,))[1])(2.0)) == 12
    assert set(log) == {"jvp"}


@WRAPS
def test_both_rules_compose(wrap):
    """Second derivatives in all four ways, under vmap, in scan and through jit."""
    cube = cube_with([])
    for f in (cube, ferax.jit(cube)):
        for outer in (ferax.grad, ferax.jacfwd):
            for inner in (ferax.grad, ferax.jacfwd):
                assert float(wrap(outer(inner(f)))(2.0)) == 12
        xs = jnp.array([1.0, 2.0])
        np.testing.assert_allclose(wrap(ferax.vmap(ferax.grad(f)))(xs), [3, 12])
        np.testing.assert_allclose(wrap(ferax.vmap(ferax.jacfwd(f)))(xs), [3, 12])
        np.testing.assert_allclose(wrap(ferax.vmap(ferax.hessian(f)))(xs), [6, 12])

        def twice(x, f=f):
            return lax.scan(lambda c, _: (f(c), None), x, length=2)[0]

        for outer in (ferax.grad, ferax.jacfwd, ferax.hessian):
            want = outer(lambda x: x**9)(1.1)
            np.testing.assert_allclose(wrap(outer(twice))(1.1), want, rtol=1e-5)


def test_rules_that_disagree_are_found():
    """check_derivatives_agree compares the two; check_grads each with the function."""
    check_derivatives_agree(cube_with([]), (2.0,), order=2)
    check_grads(cube_with([]), (2.0,), order=2)
    wrong = custom_derivative(
        lambda x: x**3,
        jvp=lambda p, t: (p[0] ** 3, 3 * p[0] ** 2 * t[0]),
        vjp=(lambda x: (x**3, x), lambda x, ct: (2 * x**2 * ct,)),
    )
    with pytest.raises(AssertionError, match="transpose of the JVP"):
        check_derivatives_agree(wrong, (2.0,))
    check_grads(wrong, (2.0,), order=1, modes=["fwd"])
    with pytest.raises(AssertionError, match=r"vjp.*finite difference"):
        check_grads(wrong, (2.0,), order=1, modes=["rev"])


def test_straight_through_rules_agree_though_they_are_not_the_derivative():
    """A rounding whose derivative is said to be 1."""
    through = custom_derivative(
        lambda x: jnp.round(x),
        jvp=lambda p, t: (jnp.round(p[0]), t[0]),
        vjp=(lambda x: (jnp.round(x), None), lambda _, ct: (ct,)),
    )
    check_derivatives_agree(through, (jnp.array([0.2, 1.7]),))
    np.testing.assert_array_equal(ferax.jacrev(through)(jnp.ones(2)), np.eye(2))


# -- symbolic zeros ------------------------------------------------------------------------


@WRAPS
def test_symbolic_zeros_in_a_jvp_rule(wrap):
    """Tangents of what does not move are SymbolicZeros, and may be returned."""
    seen = []

    @ferax.custom_jvp
    def f(x, y):
        return x * y, y

    def rule(primals, tangents):
        (x, y), (tx, ty) = primals, tangents
        seen.append((type(tx) is SymbolicZero, type(ty) is SymbolicZero))
        assert type(tx) is SymbolicZero or tx.shape == x.shape
        return f(x, y), (tx * y, ty)

    f.defjvp(rule, symbolic_zeros=True)
    both = wrap(lambda x: ferax.jvp(lambda x: f(x, 2.0), (x,), (1.0,))[1])(3.0)
    assert [float(t) for t in both] == [2, 0]
    assert float(wrap(ferax.grad(lambda x: f(x, 2.0)[0]))(3.0)) == 2
    out = wrap(ferax.vmap(ferax.grad(lambda x: f(x, 2.0)[0])))(jnp.ones(3))
    np.testing.assert_array_equal(out, [2, 2, 2])
    assert set(seen) == {(False, True)}


@WRAPS
def test_symbolic_zeros_in_a_vjp_rule(wrap):
    """The forward rule learns what moves, the backward rule which cotangents are zero."""
    seen = []

    @ferax.custom_vjp
    def f(x, y):
        return x * y, x + y

    def fwd(x, y):
        assert isinstance(x, CustomVJPPrimal)
        seen.append((x.perturbed, y.perturbed))
        x, y = custom_vjp_primal_tree_values((x, y))
        return f(x, y), y

    def bwd(y, cts):
        seen.append([type(c) is SymbolicZero for c in cts])
        return cts[0] * y, SymbolicZero.from_primal_value(y)

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    assert float(wrap(ferax.grad(lambda x: f(x, 2.0)[0]))(3.0)) == 2
    assert seen == [(True, False), [False, True]]
    got = wrap(ferax.grad(lambda x, y: f(x, y)[0], (0, 1)))(3.0, 2.0)
    assert [float(g) for g in got] == [2, 0]
    assert seen[2] == (True, True)


def test_zeros_from_primals():
    """Arrays, float0 for integers, or SymbolicZeros."""
    np.testing.assert_array_equal(zero_from_primal(jnp.ones(2)), [0, 0])
    assert zero_from_primal(jnp.arange(2)).dtype == ferax.float0
    zero = zero_from_primal(jnp.ones(2), symbolic_zeros=True)
    assert (zero.shape, zero.dtype, zero.ndim) == ((2,), np.float32, 1)
    assert repr(zero) == "SymbolicZero(float32[2])"


# -- custom_vmap ---------------------------------------------------------------------------


def marked():
    """x + y, which vmap makes x + 10 y, to be seen; and the log of the rule's calls."""
    log = []

    @custom_vmap
    def f(x, y):
        return x + y

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        log.append((axis_size, in_batched, x.shape, y.shape))
        return x + 10 * y, in_batched[0] or in_batched[1]

    return f, log


@WRAPS
def test_vmap_follows_the_rule(wrap):
    """Mapped axes come in front; what is not mapped comes as it is."""
    f, log = marked()
    x = jnp.arange(3.0)
    assert float(wrap(f)(1.0, 2.0)) == 3
    assert not log
    np.testing.assert_array_equal(wrap(ferax.vmap(f))(x, x), 11 * np.arange(3))
    np.testing.assert_array_equal(wrap(ferax.vmap(f, (0, None)))(x, 1.0), [10, 11, 12])
    out = wrap(ferax.vmap(f, in_axes=(1, 0)))(jnp.ones((2, 3)), jnp.ones((3, 2)))
    assert out.shape == (3, 2)
    assert log == [
        (3, [True, True], (3,), (3,)),
        (3, [True, False], (3,), ()),
        (3, [True, True], (3, 2), (3, 2)),
    ]
    np.testing.assert_array_equal(
        wrap(ferax.vmap(lambda x: x + f(1.0, 2.0)))(x), [3, 4, 5]
    )


@WRAPS
def test_derivatives_of_functions_with_a_vmap_rule(wrap):
    """Both modes work; the forward derivative under vmap is that of the rule."""
    f, _ = marked()
    g = lambda x, y: f(x**2, y)
    assert float(wrap(ferax.grad(g))(3.0, 1.0)) == 6
    assert float(wrap(ferax.jacfwd(g, 1))(3.0, 1.0)) == 1
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(wrap(ferax.vmap(ferax.grad(g)))(x, x), 2 * x)
    push = lambda x: ferax.jvp(lambda y: g(x, y), (x,), (1.0,))[1]
    np.testing.assert_array_equal(wrap(ferax.vmap(push))(x), [10] * 3)
    total = lambda x: jnp.sum(ferax.vmap(f)(x, x))
    np.testing.assert_array_equal(wrap(ferax.grad(total))(x), [11] * 3)


def test_misuse_of_custom_vmap_is_explained():
    """No rule, a rule that gives another structure or shape, mapped closures."""
    f = custom_vmap(lambda x: x)
    x = jnp.arange(3.0)
    with pytest.raises(AttributeError, match="def_vmap"):
        ferax.vmap(f)(x)
    f.def_vmap(lambda n, b, x: x)
    with pytest.raises(TypeError, match="must return a pair"):
        ferax.vmap(f)(jnp.ones((3, 3)))
    f.def_vmap(lambda n, b, x: ((x, x), (True, True)))
    with pytest.raises(ValueError, match="structure"):
        ferax.vmap(f)(x)
    f.def_vmap(lambda n, b, x: (x[0], True))
    with pytest.raises(ValueError, match=r"float32\[\].*float32\[3\]"):
        ferax.vmap(f)(x)
    g = lambda y: custom_vmap(lambda x: x + y)(y)
    with pytest.raises(TypeError, match="close over mapped values"):
        ferax.vmap(g)(x)


@WRAPS
def test_custom_vmap_takes_arguments_by_keyword(wrap):
    """They reach the rule by position, defaults too."""
    f, log = marked()
    x = jnp.arange(3.0)
    mapped = wrap(ferax.vmap(lambda x: f(y=x, x=x)))
    np.testing.assert_array_equal(mapped(x), 11 * np.arange(3))
    assert log == [(3, [True, True], (3,), (3,))]
    g = custom_vmap(lambda x, *, y: x + y)
    with pytest.raises(NotImplementedError, match="keyword-only"):
        ferax.vmap(lambda x: g(x, y=x))(x)


@WRAPS
def test_sequential_vmap_goes_one_by_one(wrap):
    """The function sees one element after another, whatever is mapped."""
    seen = []

    def f(x, y):
        ferax.debug.callback(lambda v: seen.append(float(v)), x)
        return {"sum": x + y}

    one_by_one = wrap(ferax.vmap(sequential_vmap(f), in_axes=(0, None)))
    out = one_by_one(jnp.arange(3.0), 1.0)
    ferax.effects_barrier()
    np.testing.assert_array_equal(out["sum"], [1, 2, 3])
    assert seen == [0, 1, 2]


# -- custom_vjp, custom_gradient -----------------------------------------------------------


@WRAPS
def test_none_stands_for_the_cotangent_of_any_part(wrap):
    """For a leaf, for a tuple inside of an argument, for all of it."""
    f = ferax.custom_vjp(lambda d: d["a"] * d["b"][0])
    x = {"a": jnp.float32(2), "b": (jnp.float32(3), jnp.ones(2))}
    for ct, want in [
        ({"a": 5.0, "b": None}, (5, 0)),
        ({"a": None, "b": (7.0, None)}, (0, 7)),
        (None, (0, 0)),
    ]:
        f.defvjp(lambda d: (f(d), None), lambda _, g, ct=ct: (ct,))
        got = wrap(ferax.grad(f))(x)
        assert (float(got["a"]), float(got["b"][0])) == want
        np.testing.assert_array_equal(got["b"][1], [0, 0])
    for ct in [{"a": 5.0, "b": 1.0}, {"a": 5.0}, (5.0, None), {"a": (5.0,), "b": None}]:
        f.defvjp(lambda d: (f(d), None), lambda _, g, ct=ct: (ct,))
        with pytest.raises(TypeError, match="structure of the arguments"):
            wrap(ferax.grad(f))(x)


@WRAPS
def test_each_call_of_a_custom_gradient_has_its_own_pull_back(wrap):
    """Two calls before the first backward pass, with other shapes and other rules."""

    @ferax.custom_gradient
    def f(x):
        return x**2, lambda ct: ct * x.size

    loss = lambda x: jnp.sum(f(x[:2])) + jnp.sum(f(x))
    np.testing.assert_array_equal(wrap(ferax.grad(loss))(jnp.ones(3)), [5, 5, 3])


def test_misuse_of_custom_rules_is_explained():
    """Names of no parameter, numbers of no argument, rules that are no functions."""
    with pytest.raises(ValueError, match=r"names 'n', but the parameters of .* are x"):
        ferax.custom_jvp(lambda x: x, nondiff_argnames="n")
    f = ferax.custom_jvp(lambda x: x, nondiff_argnums=5)
    f.defjvp(lambda n, p, t: (p, t))
    with pytest.raises(
        ValueError, match="names positional argument 5, but the call has 1"
    ):
        ferax.grad(f)(1.0)
    with pytest.raises(TypeError, match="defvjp needs a function; got None"):
        ferax.custom_vjp(lambda x: x).defvjp(lambda x: (x, None), None)
    with pytest.raises(TypeError, match="must return a pair"):
        ferax.custom_gradient(lambda x: x**2)(1.0)
    square = ferax.custom_jvp(lambda x: 2 * x)
    square.defjvp(lambda p, t: (2 * p[0], t[0] * t[0]))
    with pytest.raises(TypeError, match="not linear in its tangents"):
        ferax.grad(square)(1.0)


# -- test_util -----------------------------------------------------------------------------


def test_check_grads_takes_trees_and_integers():
    """Integer leaves stay as they are; complex ones move in both directions."""
    args = ({"a": jnp.ones(2), "n": 3}, jnp.array([1 + 2j, 0.5j]))
    check_grads(lambda d, z: (d["a"] * d["n"], z**2, d["n"]), args, order=2)
    check_grads(lambda z: jnp.abs(z) ** 2, (jnp.array(1 + 2j),), order=1)
    check_grads(lambda x: x**2, (jnp.ones(3, jnp.float16),), order=1)
    with ferax.enable_x64(True):
        check_grads(jnp.sin, (jnp.array(1.0),), order=3)
    with pytest.raises(ValueError, match="'fwd' and 'rev'"):
        check_grads(jnp.sin, (1.0,), 1, modes=["forward"])


def test_the_checks_can_fail():
    """A wrong derivative, a wrong value, a wrong second derivative."""
    wrong = ferax.custom_jvp(jnp.sin)
    wrong.defjvp(lambda p, t: (jnp.sin(p[0]), 1.1 * jnp.cos(p[0]) * t[0]))
    with pytest.raises(AssertionError, match="finite difference"):
        check_grads(wrong, (1.0,), 1)
    with pytest.raises(AssertionError, match="value that the JVP"):
        check_jvp(jnp.sin, lambda p, t: ferax.jvp(jnp.cos, p, t), (1.0,))
    with pytest.raises(AssertionError, match="value that the VJP"):
        check_vjp(jnp.sin, lambda x: ferax.vjp(jnp.cos, x), (1.0,))
    late = ferax.custom_jvp(jnp.sin)
    late.defjvp(lambda p, t: (late(p[0]), lax.stop_gradient(jnp.cos(p[0])) * t[0]))
    check_grads(late, (1.0,), 1)
    with pytest.raises(AssertionError, match="of "):
        check_grads(late, (1.0,), 2)


def test_linearize_pushes_through_what_has_a_jvp():
    """The linear function of `linearize` runs a custom_derivative's own JVP; a VJP has none."""

    def jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return jnp.sin(x), 3.0 * x * t  # recognisable, and no derivative of sin

    def bwd(x, ct):
        return (3.0 * x * ct,)

    f = ferax.custom_derivatives.custom_derivative(
        jnp.sin, jvp=jvp, vjp=(lambda x: (jnp.sin(x), x), bwd)
    )
    push = lambda x, t: ferax.linearize(f, x)[1](t)
    x, t = jnp.arange(1.0, 4.0), jnp.array([1.0, 0.5, 2.0])
    np.testing.assert_allclose(push(x, t), 3 * x * t)
    np.testing.assert_allclose(ferax.jit(push)(x, t), 3 * x * t)
    np.testing.assert_allclose(ferax.vmap(push)(x, t), 3 * x * t)
    np.testing.assert_allclose(
        ferax.jvp(push, (x, t), (t, x))[1], 3 * t * t + 3 * x * x
    )
    back = ferax.grad(lambda t: jnp.sum(push(x, t) * t))(t)
    np.testing.assert_allclose(back, 6 * x * t)

    g = ferax.custom_vjp(jnp.sin)
    g.defvjp(lambda x: (jnp.sin(x), x), bwd)
    with pytest.raises(TypeError, match="has a custom VJP only"):
        ferax.linearize(g, x)[1](t)
