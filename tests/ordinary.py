"""Programs as people write them with JAX, for `test_programs.py`; each gives a dict of arrays.

Only the public API is used, and only under names that JAX has too: with `ferax` replaced by `jax`
in this file the programs run there, which is where `golden/programs.json` comes from.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import ferax
import ferax.numpy as jnp
from ferax import grad, jit, lax, nn, random, tree, vmap


class AdamState(NamedTuple):
    count: Any
    mu: Any
    nu: Any


def classifier_with_adam():
    """Layers as a dict, dropout, one_hot, clipping by the global norm, a schedule, has_aux."""
    x = random.normal(random.PRNGKey(42), (16, 6))
    y = random.randint(random.PRNGKey(1), (16,), 0, 3)
    keys = random.split(random.PRNGKey(7), 2)
    sizes = {"hidden": (6, 8), "out": (8, 3)}
    params = {
        name: {
            "w": nn.initializers.lecun_normal()(key, size),
            "b": jnp.zeros(size[1]),
        }
        for key, (name, size) in zip(keys, sizes.items())
    }

    def loss_fn(p, key):
        h = nn.gelu(x @ p["hidden"]["w"] + p["hidden"]["b"])
        h = jnp.where(random.bernoulli(key, 0.9, h.shape), h / 0.9, 0)
        logits = h @ p["out"]["w"] + p["out"]["b"]
        loss = -jnp.mean(jnp.sum(nn.one_hot(y, 3) * nn.log_softmax(logits), axis=-1))
        return loss, {"accuracy": jnp.mean(jnp.argmax(logits, -1) == y)}

    def adam(g, s, rate):
        count = s.count + 1
        mu = tree.map(lambda m, g: 0.9 * m + 0.1 * g, s.mu, g)
        nu = tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, s.nu, g)
        step = tree.map(
            lambda m, v: (
                -rate * m / (1 - 0.9**count) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            ),
            mu,
            nu,
        )
        return step, AdamState(count, mu, nu)

    @jit
    def train(p, s, key):
        key, sub = random.split(key)
        (loss, aux), g = ferax.value_and_grad(loss_fn, has_aux=True)(p, sub)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(a)) for a in tree.leaves(g)))
        g = tree.map(lambda a: lax.select(norm < 1.0, a, a / norm), g)
        step, s = adam(g, s, 0.01 * jnp.minimum(1.0, (s.count + 1) / 4))
        p = tree.map(lambda a, b: a + b, p, step)
        return p, s, key, {"loss": loss, "norm": norm, **aux}

    zeros = tree.map(jnp.zeros_like, params)
    state, key, history = AdamState(jnp.zeros([], jnp.int32), zeros, zeros), keys[0], []
    for _ in range(6):
        params, state, key, metrics = train(params, state, key)
        history.append(metrics)
    return {**tree.map(lambda *xs: jnp.stack(xs), *history), "w": params["out"]["w"]}


def language_model():
    """An LSTM by scan, batches by vmapped dynamic_slice, take_along_axis, sampling."""
    text = "the cat sat on the mat and the dog sat on the log "
    letters = sorted(set(text))
    data = jnp.array([letters.index(c) for c in text])
    size, hidden = len(letters), 6
    k = random.split(random.PRNGKey(0), 4)
    params = {
        "embed": random.normal(k[0], (size, 4)) * 0.3,
        "wx": random.uniform(k[1], (4, 4 * hidden), minval=-0.4, maxval=0.4),
        "wh": random.orthogonal(k[2], 4 * hidden)[:hidden],
        "b": jnp.zeros(4 * hidden).at[hidden : 2 * hidden].set(1.0),
        "out": random.normal(k[3], (hidden, size)) * 0.3,
    }

    def cell(p, carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def loss(p, key):
        starts = random.randint(key, (3,), 0, len(data) - 9)
        window = vmap(lambda i: lax.dynamic_slice_in_dim(data, i, 9))(starts)
        start = (jnp.zeros((3, hidden)), jnp.zeros((3, hidden)))
        inputs = jnp.swapaxes(p["embed"][window[:, :-1]], 0, 1)
        _, hs = lax.scan(partial(cell, p), start, inputs)
        logp = nn.log_softmax(jnp.einsum("tbh,hv->btv", hs, p["out"]))
        return -jnp.take_along_axis(logp, window[:, 1:, None], axis=-1).mean()

    @jit
    def train(p, key):
        value, g = ferax.value_and_grad(loss)(p, key)
        return tree.map(lambda a, b: a - 0.5 * b, p, g), value

    @partial(jit, static_argnums=2)
    def sample(p, key, n):
        def step(carry, key):
            state, token = carry
            state, h = cell(p, state, p["embed"][token])
            token = random.categorical(key, h @ p["out"])
            return (state, token), token

        start = ((jnp.zeros(hidden), jnp.zeros(hidden)), jnp.array(0))
        return lax.scan(step, start, random.split(key, n))[1]

    losses = []
    for i in range(4):
        params, value = train(params, random.fold_in(k[0], i))
        losses.append(value)
    return {"losses": jnp.array(losses), "sample": sample(params, k[1], 8)}


def kalman_filter():
    """Matrices in a scan's carry, solve and slogdet in it, its gradient and Hessian."""
    a = jnp.array([[1.0, 0.1], [0.0, 1.0]])
    c, q, r = jnp.array([[1.0, 0.0]]), 0.01 * jnp.eye(2), jnp.array([[0.1]])

    def simulate(x, key):
        first, second = random.split(key)
        x = a @ x + random.multivariate_normal(first, jnp.zeros(2), q)
        return x, c @ x + random.multivariate_normal(second, jnp.zeros(1), r)

    _, ys = lax.scan(simulate, jnp.array([0.0, 1.0]), random.split(random.key(0), 12))

    def log_likelihood(scale):
        def step(carry, y):
            m, p, total = carry
            m, p = a @ m, a @ p @ a.T + q
            s = c @ p @ c.T + scale * r
            gain = jnp.linalg.solve(s, c @ p).T
            v = y - c @ m
            total += -0.5 * (v @ jnp.linalg.inv(s) @ v + jnp.linalg.slogdet(s)[1])
            return (m + gain @ v, p - gain @ s @ gain.T, total), m

        start = (jnp.zeros(2), jnp.eye(2), 0.0)
        (_, _, total), means = lax.scan(step, start, ys)
        return total, means

    value, means = jit(log_likelihood)(1.0)
    first = grad(lambda s: log_likelihood(s)[0])(1.0)
    second = ferax.hessian(lambda s: log_likelihood(s)[0])(1.0)
    return {"value": value, "means": means, "first": first, "second": second}


def roots():
    """Newton by while_loop, custom_root, implicit derivatives by custom_jvp and custom_vjp."""

    def newton(f, x0):
        def step(state):
            x, fx, i = state
            x = x - jnp.linalg.solve(ferax.jacfwd(f)(x), fx)
            return x, f(x), i + 1

        unsolved = lambda s: (jnp.max(jnp.abs(s[1])) > 1e-5) & (s[2] < 50)
        return lax.while_loop(unsolved, step, (x0, f(x0), 0))[0]

    def root(theta):
        f = lambda x: x**3 + theta * x - 1.0
        solve = lambda f, x0: lax.while_loop(
            lambda x: jnp.abs(f(x)) > 1e-5, lambda x: x - f(x) / grad(f)(x), x0
        )
        return lax.custom_root(f, 1.0, solve, lambda g, y: y / g(1.0))

    @ferax.custom_jvp
    def sqrt(a):
        return lax.fori_loop(0, 8, lambda _, x: 0.5 * (x + a / x), a)

    @sqrt.defjvp
    def _sqrt_jvp(primals, tangents):
        y = sqrt(*primals)
        return y, tangents[0] / (2 * y)

    @ferax.custom_vjp
    def fixed_point(a):
        return lax.fori_loop(0, 60, lambda _, x: jnp.cos(a * x), 1.0)

    def forward(a):
        x = fixed_point(a)
        return x, (a, x)

    def backward(saved, g):
        _, pull = ferax.vjp(lambda a, x: jnp.cos(a * x), *saved)
        w = lax.fori_loop(0, 60, lambda _, w: g + pull(w)[1], g)
        return (pull(w)[0],)

    fixed_point.defvjp(forward, backward)
    system = lambda x: jnp.array(
        [x[0] ** 2 + x[1] ** 2 - 4.0, jnp.exp(x[0]) + x[1] - 1]
    )
    points = jnp.linspace(0.5, 2.0, 3)
    return {
        "system": jit(partial(newton, system))(jnp.array([1.0, -1.7])),
        "roots": vmap(ferax.value_and_grad(root))(points),
        "root_twice": jit(grad(grad(root)))(2.0),
        "sqrt": vmap(ferax.value_and_grad(sqrt))(points),
        "sqrt_twice": ferax.jacfwd(grad(sqrt))(points[0]),
        "fixed": vmap(ferax.value_and_grad(fixed_point))(0.5 * points),
    }


def monte_carlo():
    """Chains by vmap: leapfrog in fori_loop, cond on a traced predicate; an Ising model."""

    def logp(x):
        return -0.5 * jnp.sum((x - 1.0) ** 2 / jnp.array([1.0, 4.0]))

    def transition(key, x):
        first, second = random.split(key)
        p = random.normal(first, x.shape)

        def leap(_, state):
            x, p = state
            p = p + 0.1 * grad(logp)(x)
            x = x + 0.2 * p
            return x, p + 0.1 * grad(logp)(x)

        y, w = lax.fori_loop(0, 5, leap, (x, p))
        ratio = jnp.exp(jnp.minimum(0.0, logp(y) - logp(x) - 0.5 * (w @ w - p @ p)))
        y = lax.cond(random.uniform(second) < ratio, lambda: y, lambda: x)
        return y, y

    @partial(jit, static_argnames="n")
    def chain(key, x, n=5):
        return lax.scan(lambda x, k: transition(k, x), x, random.split(key, n))[1]

    def sweep(i, spins):
        odd = (jnp.indices(spins.shape).sum(0) % 2).astype(bool)
        for j, cells in enumerate((odd, ~odd)):
            key = random.fold_in(random.fold_in(random.PRNGKey(6), i), j)
            field = sum(jnp.roll(spins, d, axis) for d in (1, -1) for axis in (0, 1))
            up = random.uniform(key, spins.shape) < nn.sigmoid(0.8 * field)
            spins = jnp.where(cells, jnp.where(up, 1, -1), spins)
        return spins

    keys = random.split(random.PRNGKey(0), 3)
    spins = random.choice(random.PRNGKey(5), jnp.array([-1, 1]), (6, 6))
    return {
        "chains": vmap(chain, (0, None))(keys, jnp.zeros(2)),
        "spins": lax.fori_loop(0, 3, sweep, spins),
    }


def neural_ode():
    """Runge-Kutta by scan over a network; checkpoint, adaptive steps, both Jacobians."""
    keys = random.split(random.PRNGKey(0), 2)
    sizes = ((3, 8), (8, 2))
    params = [(random.normal(k, s) * 0.3, jnp.zeros(s[1])) for k, s in zip(keys, sizes)]

    def field(p, y, t):
        x = jnp.append(y, t)
        for w, b in p[:-1]:
            x = jnp.tanh(x @ w + b)
        return x @ p[-1][0] + p[-1][1]

    def rk4(f, y, t, h):
        k1 = f(y, t)
        k2 = f(y + h / 2 * k1, t + h / 2)
        k3 = f(y + h / 2 * k2, t + h / 2)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(y + h * k3, t + h))

    def solve(f, y0, ts):
        def step(y, times):
            y = rk4(f, y, times[0], times[1] - times[0])
            return y, y

        return lax.scan(step, y0, (ts[:-1], ts[1:]))[1]

    def adaptive(p, y0):
        def step(state):
            y, t, h = state
            h = jnp.minimum(h, 1.0 - t)
            f = partial(field, p)
            once, half = rk4(f, y, t, h), rk4(f, y, t, h / 2)
            twice = rk4(f, half, t + h / 2, h / 2)
            error = jnp.linalg.norm(once - twice)
            good = error < 1e-4
            grown = h * jnp.clip(0.9 * (1e-4 / (error + 1e-8)) ** 0.2, 0.2, 5.0)
            return jnp.where(good, twice, y), jnp.where(good, t + h, t), grown

        return lax.while_loop(lambda s: s[1] < 1.0, step, (y0, 0.0, 0.5))[0]

    y0, ts = jnp.array([1.0, 0.0]), jnp.linspace(0.0, 2.0, 9)

    def loss(p, remat):
        f = ferax.checkpoint(field) if remat else field
        return jnp.mean((solve(partial(f, p), y0, ts) - 0.5) ** 2)

    last = lambda y: solve(partial(field, params), y, ts)[-1]
    return {
        "gradient": grad(loss)(params, False)[0],
        "again": grad(loss)(params, True)[0],
        "reverse": ferax.jacrev(last)(y0),
        "forward": jit(ferax.jacfwd(last))(y0),
        "adaptive": jit(adaptive)(params, y0),
    }


def convolutional_network():
    """NHWC convolutions (strided, grouped, transposed), batch norm with state, pooling."""
    k = random.split(random.PRNGKey(0), 5)
    x = random.normal(k[0], (2, 8, 8, 3))
    params = {
        "c1": nn.initializers.he_normal()(k[1], (3, 3, 3, 4)),
        "c2": nn.initializers.he_uniform()(k[2], (3, 3, 1, 4)),
        "scale": jnp.ones(4),
        "out": nn.initializers.xavier_normal()(k[3], (4, 3)),
    }

    def conv(x, w, groups=1, strides=(1, 1)):
        names = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, w, strides, "SAME", dimension_numbers=names, feature_group_count=groups
        )

    def loss(p, mean):
        h = conv(x, p["c1"])
        new = h.mean((0, 1, 2))
        h = (h - new) * lax.rsqrt(h.var(axis=(0, 1, 2)) + 1e-5) * p["scale"]
        h = lax.reduce_window(
            nn.relu(h), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
        h = nn.silu(conv(h, p["c2"], 4, (2, 2)))
        logits = h.mean(axis=(1, 2)) @ p["out"]
        picked = nn.log_softmax(logits)[jnp.arange(2), jnp.array([0, 2])]
        return -picked.mean(), 0.9 * mean + 0.1 * new

    run = jit(ferax.value_and_grad(loss, has_aux=True))
    (value, mean), g = run(params, jnp.zeros(4))
    up = lax.conv_transpose(x, random.normal(k[4], (3, 3, 3, 2)), (2, 2), "SAME")
    return {"value": value, "mean": mean, "g": g, "up": up[:, ::5, ::5]}


def attention():
    """Masked attention by einsum, and again in blocks with a running maximum in a scan."""
    q, k, v = (random.normal(key, (8, 2, 4)) for key in random.split(random.key(3), 3))
    mask = jnp.tril(jnp.ones((8, 8), bool))

    def whole(q, k, v):
        s = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(q.shape[-1])
        s = jnp.where(mask, s, jnp.finfo(s.dtype).min)
        return jnp.einsum("hqk,khd->qhd", nn.softmax(s, axis=-1), v)

    def in_blocks(q, k, v):
        def step(carry, i):
            out, high, total = carry
            keys = lax.dynamic_slice_in_dim(k, i * 4, 4)
            values = lax.dynamic_slice_in_dim(v, i * 4, 4)
            s = q @ keys.T / jnp.sqrt(q.shape[-1])
            seen = jnp.arange(8)[:, None] >= i * 4 + jnp.arange(4)
            s = jnp.where(seen, s, -jnp.inf)
            new = jnp.maximum(high, s.max(-1))
            p, shrink = jnp.exp(s - new[:, None]), jnp.exp(high - new)
            out = out * shrink[:, None] + p @ values
            return (out, new, total * shrink + p.sum(-1)), None

        start = (jnp.zeros_like(q), jnp.full(8, -1e30), jnp.zeros(8))
        (out, _, total), _ = lax.scan(step, start, jnp.arange(2))
        return out / total[:, None]

    heads = vmap(in_blocks, in_axes=1, out_axes=1)
    half = q.astype(jnp.bfloat16)
    return {
        "whole": whole(q, k, v),
        "blocks": jit(heads)(q, k, v),
        "gradient": grad(lambda q: heads(q, k, v).sum())(q),
        "library": nn.dot_product_attention(q, k, v, is_causal=True),
        "half": jnp.einsum("qhd,khd->hqk", half, half).astype(jnp.float32),
    }


def graph_network():
    """Messages by indexing and segment sums, attention over edges, shortest paths by at.min."""
    keys = random.split(random.PRNGKey(0), 4)
    senders, receivers = (random.randint(k, (12,), 0, 5) for k in keys[:2])
    x, w = random.normal(keys[2], (5, 4)), random.normal(keys[3], (4, 4)) * 0.3

    def layer(w):
        h = x @ w
        score = nn.leaky_relu((h[senders] * h[receivers]).sum(-1), 0.2)
        high = ferax.ops.segment_max(score, receivers, 5)
        e = jnp.exp(score - high[receivers])
        total = ferax.ops.segment_sum(e, receivers, num_segments=5)
        share = e / (total[receivers] + 1e-9)
        return nn.elu(ferax.ops.segment_sum(share[:, None] * h[senders], receivers, 5))

    weights = jnp.abs(random.normal(keys[0], (12,)))
    start = jnp.full(5, jnp.inf).at[senders[0]].set(0.0)
    relax = lambda _, d: d.at[receivers].min(d[senders] + weights)
    return {
        "out": jit(layer)(w),
        "gradient": grad(lambda w: (layer(w) ** 2).sum())(w),
        "distances": lax.fori_loop(0, 5, relax, start),
        "top": lax.top_k(x, 2),
    }


def beam_search():
    """while_loop over a tuple with early end, top_k, divmod, gathers of beams; vmapped."""
    k = random.split(random.PRNGKey(2), 3)
    embed, w, out = (random.normal(k[0], (7, 5)), random.normal(k[1], (5, 5)),
                     random.normal(k[2], (5, 7)))  # fmt: skip

    @jit
    def search(h0):
        def going(state):
            return (state[0] < 5) & ~jnp.all(state[-1])

        def body(state):
            t, seqs, scores, h, token, done = state
            h = jnp.tanh(h @ w + embed[token])
            logp = nn.log_softmax(h @ out)
            stay = jnp.full(7, -jnp.inf).at[0].set(0.0)
            logp = jnp.where(done[:, None], stay, logp)
            scores, best = lax.top_k((scores[:, None] + logp).reshape(-1), 3)
            beam, token = jnp.divmod(best, 7)
            seqs = seqs[beam].at[:, t].set(token)
            return t + 1, seqs, scores, h[beam], token, done[beam] | (token == 0)

        start = (0, jnp.zeros((3, 5), jnp.int32), jnp.array([0.0, -1e9, -1e9]))
        start += (jnp.tile(h0, (3, 1)), jnp.ones(3, jnp.int32), jnp.zeros(3, bool))
        return lax.while_loop(going, body, start)[:3]

    return {
        "one": search(jnp.zeros(5)),
        "two": vmap(search)(k[:2, :1] % 3 * jnp.ones(5)),
    }


def curvature():
    """Hessian-vector products in every order of jvp, vjp, grad and linearize; Newton-CG."""
    k = random.split(random.PRNGKey(0), 3)
    x, w = random.normal(k[0], (12, 3)), random.normal(k[1], (3,))
    y = 2 * (random.uniform(k[2], (12,)) > 0.5).astype(jnp.float32) - 1
    v = jnp.arange(3.0)

    def f(w):
        return jnp.mean(jnp.logaddexp(0.0, -y * (x @ w))) + 0.05 * w @ w

    def solve(a, b):
        def step(_, state):
            u, r, p, rr = state
            ap = a(p)
            alpha = rr / (p @ ap)
            r = r - alpha * ap
            new = r @ r
            return u + alpha * p, r, r + new / rr * p, new

        return lax.fori_loop(0, 3, step, (jnp.zeros_like(b), b, b, b @ b))[0]

    newton = w
    for _ in range(3):
        product = lambda v, w=newton: ferax.jvp(grad(f), (w,), (v,))[1]
        newton = newton - solve(product, grad(f)(newton))
    ridge = lambda b: lax.custom_linear_solve(
        lambda u: x.T @ (x @ u) + u, x.T @ b, solve, symmetric=True
    )
    return {
        "jvp_grad": ferax.jvp(grad(f), (w,), (v,))[1],
        "grad_grad": grad(lambda w: jnp.vdot(grad(f)(w), v))(w),
        "vjp_jvp": ferax.vjp(lambda w: ferax.jvp(f, (w,), (v,))[1], w)[1](1.0)[0],
        "linearized": ferax.linearize(grad(f), w)[1](v),
        "third": ferax.jacfwd(ferax.jacrev(grad(f)))(w),
        "newton": newton,
        "ridge": ridge(y),
        "ridge_gradient": grad(lambda b: ridge(b).sum())(y),
    }


def gaussian_process():
    """A kernel by nested vmap, Cholesky and triangular solves in a loss, momentum, spectra."""
    x = jnp.linspace(-3, 3, 8)[:, None]
    y = jnp.sin(x[:, 0]) + 0.1 * random.normal(random.PRNGKey(0), (8,))

    def gram(p, a, b):
        distance = lambda u, v: jnp.sum((u - v) ** 2) / jnp.exp(2 * p["length"])
        inner = lambda u: vmap(lambda v: distance(u, v))(b)
        return jnp.exp(p["scale"] - 0.5 * vmap(inner)(a))

    def loss(p):
        k = gram(p, x, x) + (jnp.exp(p["noise"]) + 1e-4) * jnp.eye(8)
        low = jnp.linalg.cholesky(k)
        u = lax.linalg.triangular_solve(low, y[:, None], left_side=True, lower=True)
        return 0.5 * jnp.sum(u**2) + jnp.log(jnp.diag(low)).sum()

    @jit
    def train(p, m):
        value, g = ferax.value_and_grad(loss)(p)
        m = tree.map(lambda m, g: 0.9 * m + g, m, g)
        return tree.map(lambda p, m: p - 0.01 * m, p, m), m, value

    p = {
        "scale": jnp.asarray(0.0),
        "length": jnp.asarray(0.0),
        "noise": jnp.asarray(-2.0),
    }
    hessian = ferax.hessian(loss)(p)
    m, losses = tree.map(jnp.zeros_like, p), []
    for _ in range(4):
        p, m, value = train(p, m)
        losses.append(value)
    spectrum = jnp.fft.rfft(y)
    return {
        "losses": jnp.stack(losses),
        "p": p,
        "hessian": hessian,
        "mean": gram(p, x[:3] + 0.1, x)
        @ jnp.linalg.solve(gram(p, x, x) + jnp.eye(8), y),
        "low_pass": jnp.fft.irfft(jnp.where(jnp.arange(5) < 3, spectrum, 0), n=8),
    }


PROGRAMS = [
    classifier_with_adam, language_model, kalman_filter, roots, monte_carlo, neural_ode,
    convolutional_network, attention, graph_network, beam_search, curvature, gaussian_process,
]  # fmt: skip
