"""Updates of views: XLA's CPU compiler may write over what it has still to read.

`x.reshape(-1).at[1:].set(x[0])` and `y.at[1:].set(y[:-1])[None]` under jit give wrong numbers with
jaxlib 0.10 and 0.11 (openxla/xla#49176): the view and the update become one loop in x's memory.
Each program here was one of these, or is a near relation; compiled and eager results must be the
same.
"""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def flat(x):
    return x.reshape(-1)


def positive(x):
    return jnp.where(x > 0, x, 1.0)


def shifted(x):
    return x.at[1:].set(x[:-1])


def first_shifted(x):
    return x.at[0, 1:].set(x[0, :-1])


shifting = ferax.jit(shifted)
new_axis = ferax.jit(lambda x: x[None])
inner = ferax.jit(lambda y, x: y.at[0, 1:].set(flat(x)[:11]))
reshaped = ferax.jit(lambda x: x.reshape(2, 12))

PROGRAMS = {
    "flat": lambda x: flat(x).at[1:13].set(flat(x)[:12]),
    "flat, from rows": lambda x: flat(x).at[:6].set(x[0] * x[0, 0]),
    "matrix": lambda x: x.reshape(2, 12).at[0, 1:].set(flat(x)[:11]),
    "product": lambda x: x.reshape(2, 12).at[0, 1:].multiply(flat(x)[:11]),
    "new axis": lambda x: x[:, None].at[0].set(x[0] * x[0, 0]),
    "of a computed array": lambda x: flat(x * 2).at[:6].set((x * 2)[0] * (x * 2)[0, 0]),
    "computed twice": lambda x: flat(positive(x)).at[1:5].set(positive(x)[0, :4]),
    "left out": lambda x: flat(lax.select(x == x, x, x)).at[1:6].set(x[0, :5]),
    "squeezed": lambda x: jnp.squeeze(x[None]).at[0, 1:].set(x[0, :5]),
    "swapped": lambda x: jnp.swapaxes(x[None], 0, 1).at[0, 0, 1:].set(x[0, :5]),
    "summed over one": lambda x: x[None].sum(0).at[0, 1:].set(x[0, :5]),
    "traced start": lambda x: lax.dynamic_update_slice(
        x.reshape(2, 12), flat(x)[None, :12] * x[0, 0], (jnp.argmin(x[0]) * 0, 0)
    ),
    "in a loop": lambda x: lax.fori_loop(
        0, 3, lambda i, y: flat(y).at[1:13].set(flat(y)[:12] + i).reshape(4, 6), x
    ),
    "within a function": lambda x: inner(x.reshape(2, 12), x),
    "from a function": lambda x: reshaped(x).at[0, 1:].set(flat(x)[:11]),
    "twice": lambda x: x.reshape(2, 12).at[1, 3].set(5.0).at[0, 1:].set(flat(x)[:11]),
    "mapped": lambda x: lax.map(lambda p: p + 0.3 * x.mean(), flat(x), batch_size=12),
    "then a new axis": lambda x: shifted(x + 1)[None],
    "then another function": ferax.jit(lambda x: new_axis(shifted(x + 1))),
    "in a function, then a new axis": lambda x: shifting(x + 1)[None],
    "updated again, then a new axis": lambda x: shifted(x + 1).at[0, 0].set(3.0)[None],
    "then summed": lambda x: first_shifted(x[:1] + 1).sum(0),
    "then multiplied": lambda x: first_shifted(x[:1] + 1) @ x.T,
    "of a vmapped function, then a new axis": lambda x: ferax.vmap(shifted)(x + 1)[
        None
    ],
    "then accumulated": lambda x: lax.cumsum(shifted(x + 1)[None], 1),
    "no view": lambda x: x.at[0, 1:].set(flat(x)[:5]),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_compiled_updates_of_views(program):
    """An update that is computed from the array below a view sees it as it was."""
    compiled, eager = ferax.jit(program)(X), program(jnp.array(X))
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


def test_updates_stay_in_place_where_that_is_safe():
    """Other updates are left to XLA: in loops it writes them in place."""

    def fill(rows):
        def step(i, y):
            return y.reshape(2, 12).at[i % 2].set(rows[i]).reshape(4, 6)

        return lax.fori_loop(0, 4, step, jnp.zeros((4, 6)))

    rows = np.ones((4, 12), np.float32)
    alone = ferax.jit(lambda x, u: x.reshape(2, 12).at[0, 1:].set(u))
    for program in (
        ferax.jit(fill).lower(rows),
        alone.lower(X, rows[0, 1:]),
        ferax.jit(PROGRAMS["no view"]).lower(X),
    ):
        assert "xi1>, tensor<i32>" not in program.as_text()  # no mask is written
    assert "xi1>, tensor<i32>" in ferax.jit(PROGRAMS["matrix"]).lower(X).as_text()
