"""jit: caching, static arguments, donation, constants, stages, methods, guards, nesting."""

from __future__ import annotations

import functools
import gc
import weakref

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp


def traces(f):
    """How often a jitted function was traced."""
    return len(ferax.explain(f).traces)


def test_one_table_per_function():
    """Wrapping the same function again finds the traces."""

    def f(x):
        return x + 1

    ferax.jit(f)(1.0)
    assert float(ferax.jit(f)(2.0)) == 3.0
    assert traces(ferax.jit(f)) == 1


def test_weak_and_strong_types_are_different_kinds():
    """A Python number and an array are traced apart, and explain says so."""
    f = ferax.jit(lambda x: x * 2)
    assert f(1.0).weak_type
    assert not f(jnp.float32(1.0)).weak_type
    assert "Python number" in str(ferax.explain(f))


def test_structure_of_arguments_and_results():
    """Pytrees in and out, keyword arguments, None, no arguments."""
    f = ferax.jit(lambda a, *, b: {"sum": a["x"] + b[0], "none": None, "same": a})
    out = f({"x": 1.0}, b=(2.0,))
    assert float(out["sum"]) == 3.0
    assert out["none"] is None
    assert float(out["same"]["x"]) == 1.0
    assert ferax.jit(lambda: jnp.arange(3))().tolist() == [0, 1, 2]
    assert ferax.jit(lambda x: ())(1.0) == ()


def test_static_arguments():
    """By number, by name, negative, by keyword, with equal values found again."""

    @functools.partial(ferax.jit, static_argnums=(1,))
    def power(x, n):
        return x**n if n else 1.0

    assert float(power(2.0, 3)) == 8.0
    assert float(power(2.0, n=3)) == 8.0
    assert float(power(2.0, 0)) == 1.0
    count = traces(power)
    power(3.0, 3)
    assert traces(power) == count

    last = ferax.jit(lambda x, mode: x if mode == "a" else -x, static_argnums=-1)
    assert float(last(1.0, "b")) == -1.0


def test_static_values_of_different_types_are_different():
    """1, 1.0 and True are equal in Python, but not the same argument."""
    names = {bool: 10, int: 20, float: 30}
    f = ferax.jit(lambda x, s: x * 0 + names[type(s)], static_argnums=1)
    assert [int(f(0, s)) for s in (True, 1, 1.0)] == [10, 20, 30]


def test_closed_over_arrays_are_arguments_of_the_program():
    """Large constants are not written into the program, and are kept right."""
    table = jnp.arange(1000.0)
    f = ferax.jit(lambda i: table[i] + table.sum())
    assert float(f(3)) == 3 + 999 * 500
    assert "999" not in f.lower(3).as_text()


def test_unused_arguments_are_dropped_or_kept():
    """keep_unused says which."""
    for keep, count in ((False, 1), (True, 2)):
        f = ferax.jit(lambda x, y: x + 1, keep_unused=keep)
        assert float(f(1.0, 2.0)) == 2.0
        text = f.lower(1.0, 2.0).as_text()
        assert text.split("@main(")[1].split(")")[0].count("tensor") == count


def test_donation_reuses_memory():
    """A donated argument is deleted; others are not."""
    f = ferax.jit(lambda a, b: (a + b, b), donate_argnames="a")
    a, b = ferax.jit(lambda: (jnp.ones(1000), jnp.ones(1000)))()
    out, _ = f(a, b)
    assert a.is_deleted()
    assert not b.is_deleted()
    assert float(out[0]) == 2.0


def test_methods_partials_and_callables():
    """A method with static self, a partial, an object with __call__."""

    class Scale:
        def __init__(self, k):
            self.k = k

        @functools.partial(ferax.jit, static_argnums=0)
        def apply(self, x):
            return x * self.k

        def __call__(self, x):
            return x + self.k

    s = Scale(3.0)
    assert float(s.apply(2.0)) == 6.0
    assert float(ferax.jit(s)(2.0)) == 5.0
    assert float(ferax.jit(s.__call__)(2.0)) == 5.0
    assert float(ferax.jit(functools.partial(lambda a, b: a - b, 1.0))(2.0)) == -1.0


def test_nested_jits_are_calls_in_the_program():
    """One function of the module each, however often called."""

    @ferax.jit
    def inner(x):
        return jnp.sin(x)

    @ferax.jit
    def outer(x):
        return inner(x) + inner(x + 1)

    assert float(outer(0.0)) == pytest.approx(np.sin(1.0), rel=1e-6)
    assert outer.lower(0.0).as_text().count("func.func private @inner") == 1


def test_stages_can_be_used_apart():
    """trace, lower, compile; the compiled function takes only its own types."""
    f = ferax.jit(lambda x, n: x * n, static_argnums=1)
    traced = f.trace(ferax.ShapeDtypeStruct((3,), "float32"), 2)
    assert traced.out_info == ferax.ShapeDtypeStruct((3,), "float32")
    assert "mul" in str(traced.jaxpr)
    compiled = traced.lower().compile()
    assert compiled(jnp.ones(3)).tolist() == [2.0] * 3
    with pytest.raises(TypeError, match=r"float32\[3\].*float32\[4\]"):
        compiled(jnp.ones(4))
    with pytest.raises(TypeError, match="structure"):
        compiled(jnp.ones(3), jnp.ones(3))


def test_guards_watch_closures_and_called_functions():
    """A changed closure variable, a redefined function, an array in its place."""
    rate = 1.0
    weights = jnp.ones(2)

    def scale(x):
        return x * rate

    @ferax.jit
    def f(x):
        return scale(x) + weights.sum()

    assert float(f(1.0)) == 3.0
    rate = 2.0
    assert float(f(1.0)) == 4.0
    weights = jnp.zeros(2)
    assert float(f(1.0)) == 2.0
    rate = 1.0
    count = traces(f)
    weights = jnp.ones(2)
    f(1.0)
    assert traces(f) == count + 1  # another array is another value
    assert "rate changed: 1.0 → 2.0" in str(ferax.explain(f))


def test_guards_can_be_switched_off():
    """Then the traced value stays, as in JAX."""
    k = 1

    @ferax.jit
    def f(x):
        return x + k

    ferax.config.update("guard_globals", False)
    try:
        assert int(f(1)) == 2
        k = 5
        assert int(f(1)) == 2
    finally:
        ferax.config.update("guard_globals", True)


def test_a_global_that_always_changes_is_warned_about():
    """The warning names it."""
    k = 0

    @ferax.jit
    def f(x):
        return x + k

    def run():
        nonlocal k
        for k in range(12):
            assert int(f(1)) == 1 + k

    with pytest.warns(UserWarning, match=r"k changed.*Pass it as an argument"):
        run()


def test_disable_jit():
    """Python runs, with values."""
    seen = []

    @ferax.jit
    def f(x):
        seen.append(float(x))
        return x + 1

    with ferax.disable_jit():
        assert float(f(1.0)) == 2.0
    assert seen == [1.0]


def test_caches_let_go():
    """A function that is gone takes its programs along; clear_cache and clear_caches work."""

    def make():
        return ferax.jit(lambda x: x + 1)

    f = make()
    f(1.0)
    ref = weakref.ref(f.table)
    del f
    gc.collect()
    assert ref() is None
    g = make()
    g(1.0)
    g.clear_cache()
    g(1.0)
    assert traces(g) == 2
    ferax.clear_caches()
    g(1.0)
    assert "cache was cleared" in str(ferax.explain(g))


def test_named_scopes_are_in_the_program():
    """The names of enclosing scopes stand with the equations."""

    def f(x):
        with ferax.named_scope("outer"), ferax.named_scope("inner"):
            return jnp.sin(x)

    jaxpr = ferax.make_jaxpr(f)(1.0)
    assert jaxpr.eqns[0].names == ("outer", "inner")
    assert "test_jit.py" in jaxpr.eqns[0].where()


def test_eval_shape():
    """Shapes and dtypes without computing."""
    got = ferax.eval_shape(
        lambda a, b: (a @ b, a.sum()), jnp.ones((2, 3)), jnp.ones((3, 4))
    )
    assert got[0] == ferax.ShapeDtypeStruct((2, 4), "float32")
    assert got[1].shape == ()


def test_a_donated_array_is_named_without_what_xla_says():
    """Using an array again that was donated is one error, not two."""
    step = ferax.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.ones(8)
    step(x)
    with pytest.raises(RuntimeError, match=r"float32\[8\]\) was deleted") as caught:
        step(x)
    assert caught.value.__suppress_context__


def test_static_and_donated_arguments_in_every_form_of_call():
    """By position, by name, left out: each form of call finds its own places."""

    @functools.partial(ferax.jit, static_argnames=("n", "mode"), donate_argnums=0)
    def f(x, n, y=2.0, mode="add"):
        assert isinstance(n, int)
        assert isinstance(mode, str)
        return x * n + y if mode == "add" else x * n * y

    x = np.arange(3.0, dtype=np.float32)
    np.testing.assert_array_equal(f(jnp.array(x), 3), x * 3 + 2)
    np.testing.assert_array_equal(f(jnp.array(x), 3, 4.0, "mul"), x * 12)
    np.testing.assert_array_equal(f(jnp.array(x), n=3, mode="mul"), x * 6)
    np.testing.assert_array_equal(f(x=jnp.array(x), mode="add", n=2), x * 2 + 2)
    np.testing.assert_array_equal(f(jnp.array(x), 3, y=1.0), x * 3 + 1)
    given = jnp.array(x)
    f(given, 3, 4.0, "mul")
    assert given.is_deleted()
