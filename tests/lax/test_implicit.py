"""custom_root, custom_linear_solve, linear_call: values and derivatives under everything."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.custom_derivatives import linear_call


def newton(f, x0):
    """Newton's method as a while loop, which has no reverse mode of its own."""

    def body(state):
        x, _ = state
        y, dy = ferax.jvp(f, (x,), (jnp.ones_like(x),))
        return x - y / dy, x

    return lax.while_loop(lambda s: jnp.abs(s[0] - s[1]) > 1e-6, body, (x0, x0 + 1))[0]


def cube_root(a):
    return lax.custom_root(
        lambda x: x**3 - a, jnp.ones_like(a), newton, lambda g, y: y / g(1.0)
    )


@pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit], ids=["eager", "jit"])
def test_root_and_its_derivatives(wrap):
    """Both modes, second order, vmap: those of the cube root."""
    np.testing.assert_allclose(wrap(cube_root)(8.0), 2, rtol=1e-6)
    for d in (ferax.grad, ferax.jacfwd):
        np.testing.assert_allclose(wrap(d(cube_root))(8.0), 1 / 12, rtol=1e-5)
        for e in (ferax.grad, ferax.jacfwd):
            want = -2 / 9 * 8 ** (-5 / 3)
            np.testing.assert_allclose(wrap(e(d(cube_root)))(8.0), want, rtol=1e-4)
    a = jnp.array([1.0, 8.0, 27.0])
    np.testing.assert_allclose(wrap(ferax.vmap(cube_root))(a), [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(
        wrap(ferax.vmap(ferax.grad(cube_root)))(a), [1 / 3, 1 / 12, 1 / 27], rtol=1e-5
    )


def test_root_of_a_system_with_auxiliary_results():
    """x = A⁻¹b as the root of a vector function; aux passes through."""
    a = jnp.array([[4.0, 1.0], [1.0, 3.0]])

    def solution(b):
        return lax.custom_root(
            lambda x: {"x": a @ x["x"] - b},
            {"x": jnp.zeros(2)},
            lambda f, x: ({"x": jnp.linalg.solve(a, b)}, 7),
            lambda g, y: {"x": jnp.linalg.solve(ferax.jacobian(
                lambda t: g({"x": t})["x"])(y["x"]), y["x"])},
            has_aux=True,
        )  # fmt: skip

    b = jnp.array([1.0, 2.0])
    x, aux = solution(b)
    np.testing.assert_allclose(a @ x["x"], b, rtol=1e-5)
    assert int(aux) == 7
    jac = ferax.jacrev(lambda b: solution(b)[0]["x"])(b)
    np.testing.assert_allclose(jac, np.linalg.inv(np.asarray(a)), rtol=1e-5)
    assert int(ferax.jit(lambda b: solution(b)[1])(b)) == 7


def test_the_guess_has_no_derivative():
    """The root does not depend on where the search begins."""

    def f(x0):
        return lax.custom_root(
            lambda x: x**3 - 8.0, x0, newton, lambda g, y: y / g(1.0)
        )

    assert float(ferax.grad(f)(3.0)) == 0
    assert float(ferax.jit(ferax.grad(f))(3.0)) == 0


def test_root_checks_what_functions_return():
    """Structures and shapes are those of the guess."""
    solve, tangent = (lambda f, x: x), (lambda g, y: y / g(1.0))
    with pytest.raises(TypeError, match="f must return the structure"):
        lax.custom_root(lambda x: (x, x), 1.0, solve, tangent)
    with pytest.raises(ValueError, match=r"f must return float32\[\].*float32\[2\]"):
        lax.custom_root(lambda x: jnp.stack([x, x]), 1.0, solve, tangent)
    with pytest.raises(TypeError, match="solve must return"):
        lax.custom_root(lambda x: x, 1.0, lambda f, x: (x, x), tangent)
    twice = lambda a: lax.custom_root(lambda x: x - a, 1.0, solve, lambda g, y: (y, y))
    with pytest.raises(TypeError, match="tangent_solve must return the structure"):
        ferax.grad(twice)(1.0)


# -- linear equations ----------------------------------------------------------------------


def matrices(seed, *shape):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(*shape, 3, 3)) + 3 * np.eye(3)
    return jnp.array(a, jnp.float32), jnp.array(
        rng.normal(size=(*shape, 3)), jnp.float32
    )


def dense(matvec, b):
    return jnp.linalg.solve(ferax.jacobian(matvec)(b), b)


def solve_by_hand(a, b):
    return lax.custom_linear_solve(lambda x: a @ x, b, dense, dense)


@pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit], ids=["eager", "jit"])
def test_linear_solve_is_solve(wrap):
    """Values, Jacobians by matrix and right side in both modes, and vmap."""
    a, b = matrices(0)
    want = jnp.linalg.solve
    np.testing.assert_allclose(wrap(solve_by_hand)(a, b), want(a, b), rtol=1e-4)
    for d in (ferax.jacrev, ferax.jacfwd):
        for n in (0, 1):
            np.testing.assert_allclose(
                wrap(d(solve_by_hand, n))(a, b), d(want, n)(a, b), rtol=1e-3, atol=1e-5
            )
    many, rights = matrices(1, 4)
    for axes in ((0, 0), (0, None), (None, 0)):
        args = [x if m == 0 else x[0] for x, m in zip((many, rights), axes)]
        got = wrap(ferax.vmap(solve_by_hand, in_axes=axes))(*args)
        np.testing.assert_allclose(
            got, ferax.vmap(want, in_axes=axes)(*args), rtol=1e-3, atol=1e-5
        )

    def total(solve):
        return lambda a, b: jnp.sum(solve(a, b) ** 2)

    got = wrap(ferax.vmap(ferax.grad(total(solve_by_hand), (0, 1))))(many, rights)
    for g, w in zip(got, ferax.vmap(ferax.grad(total(want), (0, 1)))(many, rights)):
        np.testing.assert_allclose(g, w, rtol=1e-3, atol=1e-4)
    got = wrap(ferax.hessian(total(solve_by_hand)))(a, b)
    np.testing.assert_allclose(
        got, ferax.hessian(total(want))(a, b), rtol=1e-3, atol=1e-4
    )


def test_symmetric_solve_with_auxiliary_results():
    """`symmetric` needs no transposed solver; aux has no derivative."""

    def f(a):
        x, aux = lax.custom_linear_solve(
            lambda x: a * x, a**3, lambda m, b: (b / m(1.0), {"n": 3}),
            symmetric=True, has_aux=True,
        )  # fmt: skip
        return x * aux["n"]

    assert float(f(2.0)) == 12
    assert float(ferax.grad(f)(2.0)) == 12
    assert float(ferax.jit(ferax.grad(f))(2.0)) == 12


def test_reverse_mode_needs_a_transposed_solver():
    """Without it forward mode works, and reverse mode says what is missing."""
    f = lambda b: lax.custom_linear_solve(lambda x: 2 * x, b, lambda m, b: b / 2)
    assert float(ferax.jvp(f, (3.0,), (1.0,))[1]) == 0.5
    with pytest.raises(TypeError, match="transpose_solve"):
        ferax.grad(f)(3.0)


def test_solvers_may_be_loops():
    """A while loop inside is not differentiated: the point of it all."""

    def jacobi(matvec, b):
        def body(x):
            return b - matvec(x) + x

        return lax.fori_loop(0, jnp.int32(30), lambda i, x: body(x), b)

    f = lambda t: lax.custom_linear_solve(lambda x: t * x, 1.0, jacobi, jacobi)
    np.testing.assert_allclose(ferax.grad(f)(1.2), -1 / 1.44, rtol=1e-5)
    np.testing.assert_allclose(ferax.jit(ferax.grad(f))(1.2), -1 / 1.44, rtol=1e-5)


# -- linear_call ---------------------------------------------------------------------------


def test_linear_call():
    """Its transpose is the one given; it is differentiable by the residuals too."""

    def f(r, x):
        return linear_call(lambda r, x: x / r, lambda r, ct: 100 * ct / r, r, x)

    assert float(f(2.0, 4.0)) == 2
    assert float(ferax.grad(f, 1)(2.0, 4.0)) == 50
    assert float(ferax.jvp(f, (2.0, 4.0), (1.0, 1.0))[1]) == 0.5 - 1
    np.testing.assert_array_equal(
        ferax.vmap(ferax.grad(f, 1))(jnp.array([1.0, 2.0]), jnp.ones(2)), [100, 50]
    )
    np.testing.assert_array_equal(
        ferax.jit(ferax.vmap(f, (0, None)))(jnp.array([1.0, 2.0]), 1.0), [1, 0.5]
    )
    with pytest.raises(TypeError, match="fun_transpose must return"):
        linear_call(lambda r, x: x, lambda r, ct: (ct, ct), 1.0, 1.0)
