"""Transformations in any order and depth, eager and under jit, against finite differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax


def close(got, want, tol=1e-4):
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=tol, atol=tol)


def mlp(params, x):
    for w, b in params[:-1]:
        x = jnp.tanh(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def make_params(sizes=(3, 4, 2)):
    rng = np.random.default_rng(0)
    return [
        (jnp.asarray(rng.normal(size=(m, n)), jnp.float32), jnp.zeros(n))
        for m, n in itertools.pairwise(sizes)
    ]


FUNCTIONS = {
    "elementwise": lambda x: jnp.sum(jnp.sin(x) * x**2),
    "scan": lambda x: lax.scan(lambda c, v: (jnp.sin(c) + v * c, c * v), 1.0, x)[0],
    "scan reversed": lambda x: jnp.sum(
        lax.scan(lambda c, v: (c * v, c + v), x[0], x, reverse=True)[1]
    ),
    "cond": lambda x: lax.cond(
        x[0] > 0, lambda v: jnp.sum(v**3), lambda v: jnp.sum(v), x
    ),
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, c: jnp.cos(c) * x[i], 1.0),
    "while": lambda x: lax.while_loop(
        lambda s: s[0] < 5, lambda s: (s[0] + 1, jnp.sin(s[1]) + x[0] * s[1]), (0, x[1])
    )[1],
    "jit": lambda x: ferax.jit(lambda v: jnp.sum(v * jnp.exp(v)))(x),
    "nested jit": lambda x: ferax.jit(lambda v: ferax.jit(jnp.sin)(v).sum() * v[0])(x),
    "checkpoint": lambda x: ferax.checkpoint(lambda v: jnp.sum(jnp.sin(jnp.sin(v))))(x),
    "indexing": lambda x: jnp.sum(x[jnp.array([0, 2, 2])] ** 2) * x[-1],
    "update": lambda x: jnp.sum(x.at[1].set(x[0] * x[2]) ** 2),
    "sort": lambda x: jnp.sum(jnp.sort(x) * jnp.arange(3.0)),
    "dot": lambda x: jnp.dot(x, x[::-1]),
    "matmul": lambda x: jnp.sum(jnp.outer(x, x) @ x),
    "cumsum": lambda x: jnp.sum(jnp.cumsum(x) ** 2),
    "max": lambda x: jnp.max(x * x[0]),
    "logsumexp": lambda x: jnp.log(jnp.sum(jnp.exp(x))),
    "switch": lambda x: lax.switch(1, [jnp.sum, lambda v: jnp.prod(v), jnp.max], x),
}
POINT = np.array([0.7, -0.4, 1.3])
named = pytest.mark.parametrize("name", FUNCTIONS)


def numeric_gradient(f, x, step=1e-6):
    out = []
    for i in range(x.size):
        e = np.zeros_like(x)
        e[i] = step
        out.append(
            (float(f(jnp.asarray(x + e))) - float(f(jnp.asarray(x - e)))) / (2 * step)
        )
    return np.array(out)


@named
def test_gradients(name):
    """grad, jit(grad), grad(jit), jacfwd: all equal finite differences."""
    f = FUNCTIONS[name]
    with ferax.enable_x64(True):
        want = numeric_gradient(f, POINT)
        x = jnp.asarray(POINT)
        for g in (
            ferax.grad(f),
            ferax.jit(ferax.grad(f)),
            ferax.grad(ferax.jit(f)),
            ferax.jacfwd(f),
            ferax.jit(ferax.jacfwd(f)),
        ):
            close(g(x), want, 1e-6)


@named
def test_mapped_gradients(name):
    """vmap(grad), jit(vmap(grad)), grad of the sum of vmap, vmap(jit(grad)): as a loop."""
    f = FUNCTIONS[name]
    with ferax.enable_x64(True):
        xs = jnp.asarray(np.stack([POINT, POINT[::-1] * 0.9]))
        want = np.stack([np.asarray(ferax.grad(f)(x)) for x in xs])
        for g in (
            ferax.vmap(ferax.grad(f)),
            ferax.jit(ferax.vmap(ferax.grad(f))),
            ferax.grad(lambda v: jnp.sum(ferax.vmap(f)(v))),
            ferax.vmap(ferax.jit(ferax.grad(f))),
            ferax.vmap(ferax.grad(ferax.jit(f))),
        ):
            close(g(xs), want, 1e-8)


@named
def test_second_derivatives(name):
    """Hessians in all four combinations of modes."""
    f = FUNCTIONS[name]
    with ferax.enable_x64(True):
        x = jnp.asarray(POINT)
        want = np.stack(
            [
                (np.asarray(ferax.grad(f)(x + e)) - np.asarray(ferax.grad(f)(x - e)))
                / 2e-5
                for e in np.eye(3) * 1e-5
            ],
            axis=1,
        )
        for outer, inner in itertools.product((ferax.jacfwd, ferax.jacrev), repeat=2):
            close(outer(inner(f))(x), want, 1e-4)
        close(ferax.jit(ferax.hessian(f))(x), want, 1e-4)


def test_training_steps_agree():
    """Loss and gradient of a small network: eager, jitted, and per example."""
    params = make_params()
    x = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)), jnp.float32)
    y = jnp.asarray(np.random.default_rng(2).normal(size=(5, 2)), jnp.float32)

    def loss(params, x, y):
        return jnp.mean((mlp(params, x) - y) ** 2)

    value, grads = ferax.value_and_grad(loss)(params, x, y)
    value2, grads2 = ferax.jit(ferax.value_and_grad(loss))(params, x, y)
    close(value, value2)
    for a, b in zip(ferax.tree.leaves(grads), ferax.tree.leaves(grads2), strict=True):
        close(a, b)
    each = ferax.vmap(ferax.grad(loss), (None, 0, 0))(params, x[:, None], y[:, None])
    for a, b in zip(ferax.tree.leaves(grads), ferax.tree.leaves(each), strict=True):
        close(a, np.mean(np.asarray(b), axis=0))


def test_perturbations_are_not_confused():
    """d/dx (x · d/dy (x + y)) = 1, in both modes."""
    f = lambda x: x * ferax.grad(lambda y: x + y)(1.0)
    assert float(ferax.grad(f)(2.0)) == 1.0
    g = lambda x: x * ferax.jvp(lambda y: x + y, (1.0,), (1.0,))[1]
    assert float(ferax.jvp(g, (2.0,), (1.0,))[1]) == 1.0


def test_linearize_and_transpose():
    """push is jvp, pull is vjp, linear_transpose is the adjoint."""
    f = FUNCTIONS["elementwise"]
    x, t = jnp.asarray(POINT, jnp.float32), jnp.ones(3)
    value, push = ferax.linearize(f, x)
    close(push(t), ferax.jvp(f, (x,), (t,))[1])
    close(value, f(x))
    a = jnp.arange(6.0).reshape(2, 3)
    (back,) = ferax.linear_transpose(lambda v: a @ v, x)(jnp.ones(2))
    close(back, np.asarray(a).sum(0))


@pytest.mark.parametrize(
    ("across", "along"),
    [(lax.pmax, jnp.max), (lax.pmin, jnp.min)],
    ids=["pmax", "pmin"],
)
def test_extrema_across_an_axis_have_the_derivative_of_those_along_it(across, along):
    """Differentiated around the map and as a member of it, in both modes, twice."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), "float32")

    def member(v):
        return jnp.sum(jnp.sin(v) * across(jnp.cos(v) * v, "i"))

    def outside(x):
        return jnp.sum(ferax.vmap(member, axis_name="i")(x))

    def plain(x):
        return jnp.sum(jnp.sin(x) * along(jnp.cos(x) * x, 0))

    want = ferax.grad(plain)(x)
    for run in (lambda f: f, ferax.jit):
        close(run(ferax.grad(outside))(x), want)
        # the cotangents of all members meet in each
        close(run(ferax.vmap(ferax.grad(member), axis_name="i"))(x), want)
    push = lambda v: ferax.jvp(member, (v,), (jnp.cos(v),))[1]
    close(
        jnp.sum(ferax.vmap(push, axis_name="i")(x)),
        ferax.jvp(plain, (x,), (jnp.cos(x),))[1],
    )
    twice = lambda f: ferax.grad(lambda x: jnp.sum(jnp.square(ferax.grad(f)(x))))
    close(twice(outside)(x), twice(plain)(x))


def test_collectives():
    """psum and its like within vmap, nested, under jit and grad."""
    x = jnp.arange(3.0)
    for run in (lambda f: f, ferax.jit):
        close(run(ferax.vmap(lambda v: lax.psum(v, "i"), axis_name="i"))(x), [3.0] * 3)
        close(
            run(ferax.vmap(lambda v: v - lax.pmean(v, "i"), axis_name="i"))(x),
            [-1, 0, 1],
        )
        close(run(ferax.vmap(lambda v: lax.pmax(v, "i"), axis_name="i"))(x), [2.0] * 3)
        close(run(ferax.vmap(lambda v: lax.pmin(v, "i"), axis_name="i"))(x), [0.0] * 3)
        close(
            run(ferax.vmap(lambda v: lax.all_gather(v, "i"), axis_name="i"))(x), [x] * 3
        )
        close(
            run(ferax.vmap(lambda v: v * lax.axis_index("i"), axis_name="i"))(x),
            [0, 1, 4],
        )
    nested = ferax.vmap(
        ferax.vmap(lambda v: lax.psum(v, ("i", "j")), axis_name="i"), axis_name="j"
    )
    close(nested(jnp.ones((2, 3))), np.full((2, 3), 6.0))
    f = lambda v: jnp.sum(ferax.vmap(lambda a: a * lax.psum(a, "i"), axis_name="i")(v))
    close(ferax.grad(f)(x), np.full(3, 6.0))
    m = jnp.arange(6.0).reshape(3, 2)
    shifted = ferax.vmap(
        lambda v: lax.ppermute(v, "i", [(0, 1), (1, 2)]), axis_name="i"
    )
    close(shifted(m), [[0, 0], [0, 1], [2, 3]])
    square = jnp.arange(9.0).reshape(3, 3)
    parts = ferax.vmap(lambda v: lax.psum_scatter(v, "i"), axis_name="i")
    close(parts(square), np.asarray(square).sum(0))
    tiled = ferax.vmap(lambda v: lax.all_gather(v, "i", tiled=True), axis_name="i")
    close(tiled(m), np.broadcast_to(np.arange(6.0), (3, 6)))
    for g in (
        shifted,
        parts,
        ferax.vmap(lambda v: lax.all_gather(v, "i"), axis_name="i"),
    ):
        arg = square
        out, pull = ferax.vjp(g, arg)
        t = jnp.cos(arg)
        ct = jnp.sin(jnp.arange(float(out.size))).reshape(out.shape)
        pushed = ferax.jvp(g, (arg,), (t,))[1]
        close(jnp.vdot(pushed, ct), jnp.vdot(t, pull(ct)[0]))
    inner = ferax.vmap(ferax.jit(lambda v: lax.psum(v, "i")), axis_name="i")
    close(inner(x), [3.0] * 3)


def test_custom_rules():
    """custom_jvp and custom_vjp in all compositions."""

    @ferax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (f(p[0]), 3.0 * t[0]))

    @ferax.custom_vjp
    def g(x):
        return jnp.sin(x)

    g.defvjp(lambda x: (g(x), x), lambda res, ct: (ct * 3.0,))
    for h in (f, g):
        assert float(ferax.grad(h)(1.0)) == 3.0
        assert float(ferax.jit(ferax.grad(h))(1.0)) == 3.0
        assert float(ferax.grad(ferax.jit(h))(1.0)) == 3.0
        close(ferax.vmap(ferax.grad(h))(jnp.ones(2)), [3.0, 3.0])
        close(
            ferax.grad(lambda v, h=h: ferax.vmap(h)(v).sum())(jnp.ones(2)), [3.0, 3.0]
        )
        close(ferax.jit(h)(1.0), np.sin(1.0))
        close(
            ferax.grad(
                lambda x, h=h: lax.scan(lambda c, _: (h(c), None), x, None, length=2)[0]
            )(1.0),
            9.0,
        )
    assert float(ferax.jvp(f, (1.0,), (1.0,))[1]) == 3.0
    with pytest.raises(TypeError, match="custom VJP"):
        ferax.jvp(g, (1.0,), (1.0,))


def test_while_loop_has_a_reverse_mode():
    """Thousands of steps, a count that depends on values, in bounded memory, eager and compiled."""

    def root(a):  # Newton's iteration; the number of steps depends on a
        step = lambda s: ((s[0] + a / s[0]) / 2, s[0])
        return lax.while_loop(
            lambda s: jnp.abs(s[0] - s[1]) > 1e-6, step, (a, 0.0 * a)
        )[0]

    with ferax.enable_x64(True):
        close(ferax.grad(root)(2.0), 0.5 / np.sqrt(2), 1e-9)
        close(ferax.jit(ferax.grad(root))(2.0), 0.5 / np.sqrt(2), 1e-9)
        close(
            ferax.vmap(ferax.grad(root))(jnp.array([2.0, 9.0])),
            [0.5 / np.sqrt(2), 1 / 6],
            1e-9,
        )
        for hessian in (ferax.hessian(root), ferax.grad(ferax.grad(root))):
            close(hessian(2.0), -0.25 * 2**-1.5, 1e-8)

        def grown(x):
            return lax.while_loop(
                lambda s: s[0] < 3000,
                lambda s: (s[0] + 1, s[1] * (1 + x / 3000)),
                (0, x),
            )[1]

        want = (1 + 1 / 3000) ** 3000 + (1 + 1 / 3000) ** 2999
        close(ferax.jit(ferax.grad(grown))(1.0), want, 1e-8)


def test_constants_in_user_rules():
    """Rules may make arrays of their own, within control flow, and be differentiated again."""

    @ferax.custom_jvp
    def weighted(x):
        return x**2 * jnp.arange(3.0).sum()

    @weighted.defjvp
    def weighted_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return weighted(x), 2 * x * t * (jnp.arange(3.0) @ jnp.ones(3))

    def f(x):
        return lax.cond(x > 0, weighted, lambda v: v, x)

    for g in (ferax.hessian(f), ferax.grad(ferax.grad(f)), ferax.jit(ferax.hessian(f))):
        assert float(g(2.0)) == 6.0
    assert ferax.vmap(ferax.grad(f))(jnp.array([1.0, -1.0])).tolist() == [6.0, 1.0]


# -- pull-backs as values ------------------------------------------------------------------


def test_pull_backs_are_pytrees():
    """jit and vmap return what vjp and linearize return; it may be passed in again."""
    x = jnp.array([0.5, 1.0, 2.0])
    y = jnp.array([1.0, -1.0, 3.0])

    def f(x):
        return jnp.sin(x) * y

    value, pull = ferax.jit(lambda x: ferax.vjp(f, x))(x)
    np.testing.assert_allclose(value, f(x), rtol=1e-6)
    slope = np.cos(x) * y
    np.testing.assert_allclose(pull(jnp.ones(3))[0], slope, rtol=1e-6)
    apply = ferax.jit(lambda pull, ct: pull(ct)[0])
    np.testing.assert_allclose(apply(pull, 2 * jnp.ones(3)), 2 * slope, rtol=1e-6)
    pulls = ferax.vmap(lambda x: ferax.vjp(jnp.sin, x)[1])(x)
    (each,) = ferax.vmap(lambda pull: pull(1.0))(pulls)
    np.testing.assert_allclose(each, np.cos(x), rtol=1e-6)
    push = ferax.jit(lambda x: ferax.linearize(f, x)[1])(x)
    np.testing.assert_allclose(push(jnp.ones(3)), slope, rtol=1e-6)
    assert all(leaf.size <= 3 for leaf in ferax.tree.leaves(pull))


def test_pull_backs_keep_only_what_they_need():
    """The leaves of a pull-back are the residuals: none for a linear function of constants."""
    assert ferax.tree.leaves(ferax.vjp(lambda x: x + x, 3.0)[1]) == []
    (residual,) = ferax.tree.leaves(ferax.vjp(jnp.exp, jnp.ones(4))[1])
    np.testing.assert_allclose(residual, np.exp(np.ones(4)), rtol=1e-6)
