"""Callbacks: eager, compiled, mapped, differentiated, in loops, in order, and when they fail."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.errors import JaxRuntimeError
from ferax.experimental import io_callback

SCALAR = ferax.ShapeDtypeStruct((), np.float32)


def printed(capsys, fun, *args):
    """The lines printed by a call, with its result."""
    out = fun(*args)
    ferax.effects_barrier()
    return capsys.readouterr().out.splitlines(), out


# -- pure_callback -------------------------------------------------------------------------


def test_pure_callback_is_the_function_eagerly_and_compiled():
    """The callback gets Arrays in the structure of the arguments, keywords included."""
    seen = []

    def host(pair, scale):
        seen.append(type(pair["a"]))
        return {"out": np.asarray(pair["a"]) * np.asarray(scale), "n": 3}

    shapes = {"n": ferax.ShapeDtypeStruct((), np.int32), "out": jnp.zeros(3)}

    def f(x):
        return ferax.pure_callback(host, shapes, {"a": x}, scale=2.0)

    x = jnp.arange(3.0)
    for g in (f, ferax.jit(f)):
        out = g(x)
        np.testing.assert_array_equal(out["out"], [0, 2, 4])
        assert int(out["n"]) == 3
    assert all(issubclass(kind, ferax.Array) for kind in seen)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "complex64"]
)
def test_callbacks_take_and_give_every_dtype(dtype):
    """Values of narrow and complex dtypes arrive unchanged."""
    x = jnp.array([0, 1, 3]).astype(dtype)
    out = ferax.jit(lambda x: ferax.pure_callback(lambda v: v[::-1], x, x))(x)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(out), np.asarray(x)[::-1])


def test_random_keys_reach_callbacks():
    """A key is a key there too."""
    key = ferax.random.key(3)
    seen = []
    ferax.jit(lambda k: ferax.debug.callback(seen.append, k))(key)
    ferax.effects_barrier()
    np.testing.assert_array_equal(
        ferax.random.key_data(seen[0]), ferax.random.key_data(key)
    )


def test_results_are_checked_against_what_was_announced():
    """Another shape, dtype or number of results raises, with both types in the message."""
    x = jnp.arange(3.0)
    with pytest.raises(ValueError, match=r"float32\[2\].*float32\[3\]"):
        ferax.pure_callback(lambda v: v[:2], x, x)
    with pytest.raises(ValueError, match=r"int32\[3\].*float32\[3\]"):
        ferax.pure_callback(lambda v: v.astype(int), x, x)
    with pytest.raises(TypeError, match="returned 2 arrays"):
        ferax.pure_callback(lambda v: (v, v), x, x)
    with pytest.raises(JaxRuntimeError, match=r"float32\[2\]"):
        ferax.jit(lambda x: ferax.pure_callback(lambda v: v[:2], x, x))(
            x
        ).block_until_ready()


def test_double_precision_and_python_numbers_are_converted():
    """NumPy's float64 results fit float32 ones, as do Python numbers."""
    x = jnp.arange(3.0)
    out = ferax.pure_callback(lambda v: np.sin(np.asarray(v, np.float64)), x, x)
    np.testing.assert_allclose(out, np.sin(np.arange(3)), rtol=1e-6)
    assert float(ferax.pure_callback(lambda v: 2, SCALAR, x)) == 2
    with pytest.raises(ValueError, match="returned float64"):
        ferax.pure_callback(lambda v: 1.5, ferax.ShapeDtypeStruct((), np.int32), x)


def test_impossible_requests_are_refused():
    """No function, 64 bits without enable_x64, an unknown vmap_method."""
    with pytest.raises(TypeError, match="callable"):
        ferax.pure_callback(3, SCALAR)
    with pytest.raises(ValueError, match="enable_x64"):
        ferax.pure_callback(
            lambda: 1.0, ferax.ShapeDtypeStruct((), np.dtype("float64"))
        )
    with pytest.raises(ValueError, match=r"'expand_dims'.*'legacy'"):
        ferax.pure_callback(np.sin, SCALAR, 1.0, vmap_method="legacy")


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        ("sequential", [((), ())] * 3),
        ("sequential_unrolled", [((), ())] * 3),
        ("expand_dims", [((3,), (1,))]),
        ("broadcast_all", [((3,), (3,))]),
        ("legacy_vectorized", [((3,), ())]),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_vmap_methods(method, shapes, compiled):
    """What the callback sees of mapped and other arguments is what the method says."""
    seen = []

    def host(a, b):
        seen.append((a.shape, b.shape))
        return np.asarray(a) + np.asarray(b)

    f = ferax.vmap(
        lambda a, b: ferax.pure_callback(host, SCALAR, a, b, vmap_method=method),
        in_axes=(0, None),
    )
    out = (ferax.jit(f) if compiled else f)(jnp.arange(3.0), 1.0)
    np.testing.assert_array_equal(out, [1, 2, 3])
    assert seen == shapes


def test_nested_vmap_of_a_callback():
    """Two mapped axes become two leading axes."""
    f = lambda a, b: ferax.pure_callback(
        lambda a, b: np.asarray(a) * np.asarray(b),
        SCALAR,
        a,
        b,
        vmap_method="expand_dims",
    )
    x, y = jnp.arange(2.0), jnp.arange(3.0)
    both = ferax.vmap(ferax.vmap(f, in_axes=(None, 0)), in_axes=(0, None))
    np.testing.assert_array_equal(both(x, y), np.outer(np.arange(2), np.arange(3)))


def test_vmap_without_a_method_is_refused():
    """vmap of pure_callback has to be told what to do."""
    with pytest.raises(NotImplementedError, match="vmap_method"):
        ferax.vmap(lambda x: ferax.pure_callback(np.sin, SCALAR, x))(jnp.arange(2.0))


def test_derivatives_of_callbacks_are_refused_with_a_way_out():
    """The error names custom_jvp; a function with custom_jvp around it works."""
    f = lambda x: ferax.pure_callback(lambda v: np.sin(np.asarray(v)), SCALAR, x)
    with pytest.raises(ValueError, match="custom_jvp"):
        ferax.grad(f)(1.0)
    g = ferax.custom_jvp(f)
    g.defjvp(lambda p, t: (g(*p), jnp.cos(p[0]) * t[0]))
    for h in (ferax.grad(g), ferax.jit(ferax.grad(g))):
        np.testing.assert_allclose(h(1.0), np.cos(1), rtol=1e-6)
    h = ferax.grad(lambda x: x * f(lax.stop_gradient(x)))
    np.testing.assert_allclose(h(1.0), np.sin(1), rtol=1e-6)


def test_exceptions_of_callbacks():
    """Eagerly the exception itself; compiled it is the cause, and named in the message."""

    def broken(x):
        raise KeyError("by design")

    f = lambda x: ferax.pure_callback(broken, SCALAR, x)
    with pytest.raises(KeyError, match="by design") as caught:
        f(1.0)
    assert caught.traceback[-1].name == "broken"
    with pytest.raises(JaxRuntimeError, match="KeyError: 'by design'") as caught:
        ferax.jit(f)(1.0).block_until_ready()
    cause = caught.value.__cause__
    assert isinstance(cause, KeyError)
    names = []
    frame = cause.__traceback__
    while frame is not None:
        names.append(frame.tb_frame.f_code.co_name)
        frame = frame.tb_next
    assert names[-1] == "broken"


def test_unused_pure_callbacks_are_left_out_of_programs():
    """They may be: they have no side effects."""
    seen = []

    @ferax.jit
    def f(x):
        ferax.pure_callback(lambda v: seen.append(1) or v, x, x)
        return x

    f(1.0).block_until_ready()
    assert not seen


# -- io_callback ---------------------------------------------------------------------------


def test_io_callbacks_happen_though_unused():
    """Once per call, eagerly and compiled, also in branches that are taken."""
    seen = []

    def f(x):
        io_callback(lambda v: seen.append(float(v)), None, x)
        return lax.cond(
            x > 1,
            lambda: io_callback(lambda: seen.append("yes"), None) or 1,
            lambda: io_callback(lambda: seen.append("no"), None) or 2,
        )

    f(1.0)
    ferax.jit(f)(2.0)
    ferax.effects_barrier()
    assert seen == [1.0, "no", 2.0, "yes"]


def test_ordered_io_callbacks_keep_their_order():
    """Within a program and from one to the next."""
    seen = []

    @ferax.jit
    def f(x):
        slow = x
        for _ in range(20):
            slow = slow @ x / 300
        io_callback(lambda v: seen.append("slow"), None, slow[0, 0], ordered=True)
        io_callback(lambda: seen.append("fast"), None, ordered=True)
        return slow

    x = jnp.ones((300, 300))
    for _ in range(3):
        f(x)
    io_callback(lambda: seen.append("eager"), None, ordered=True)
    assert seen == ["slow", "fast"] * 3 + ["eager"]


def test_io_callback_under_vmap():
    """Element after element; an ordered one has no meaning there."""
    seen = []
    f = lambda x: io_callback(lambda v: seen.append(float(v)) or 2 * v, SCALAR, x)
    for g in (ferax.vmap(f), ferax.jit(ferax.vmap(f))):
        np.testing.assert_array_equal(g(jnp.arange(3.0)), [0, 2, 4])
        assert seen == [0, 1, 2]
        seen.clear()
    with pytest.raises(ValueError, match="order among"):
        ferax.vmap(lambda x: io_callback(lambda v: v, SCALAR, x, ordered=True))(
            jnp.arange(3.0)
        )


# -- debug ---------------------------------------------------------------------------------


def test_debug_print_formats_like_str_format(capsys):
    """Places by number and name, specs, values that are no arrays."""

    def f(x):
        ferax.debug.print("{} {b:.2f} {s} {n}", x, b=x[1] / 3, s="text", n=3)

    for g in (f, ferax.jit(f)):
        lines, _ = printed(capsys, g, jnp.arange(3.0))
        assert lines == ["[0. 1. 2.] 0.33 text 3"]


def test_debug_print_uses_the_print_options_of_its_call(capsys):
    """Also when it prints from another thread."""
    with np.printoptions(precision=2):
        lines, _ = printed(
            capsys,
            ferax.jit(lambda x: ferax.debug.print("{}", x)),
            jnp.array([1 / 3]),
        )
    assert lines == ["[0.33]"]


def test_debug_print_checks_its_format():
    """Unused and missing arguments are errors at once."""
    with pytest.raises(ValueError, match="no place for the arguments"):
        ferax.debug.print("x", 1.0)
    with pytest.raises(ValueError, match="f-string"):
        ferax.debug.print("x", y=1.0)
    with pytest.raises(IndexError):
        ferax.debug.print("{} {}", 1.0)
    with pytest.raises(TypeError, match="format string"):
        ferax.debug.print(jnp.ones(3))
    ferax.debug.print("", 1.0, skip_format_check=True)


def test_debug_functions_take_options_first(capsys):
    """Without a format or a function they give a function with the options."""
    assert printed(capsys, ferax.debug.print(ordered=True), "{}", 1)[0] == ["1"]
    assert printed(capsys, ferax.debug.callback(), print, 2)[0] == ["2"]
    with pytest.raises(TypeError, match="callable"):
        ferax.debug.callback(3)


@pytest.mark.parametrize("compiled", [False, True])
def test_debug_print_under_transformations(capsys, compiled):
    """Once at the primal in grad, once per element in vmap, each step in loops."""
    wrap = ferax.jit if compiled else (lambda f: f)

    def square(x):
        ferax.debug.print("x {}", x)
        return x**2

    lines, out = printed(capsys, wrap(ferax.grad(square)), 3.0)
    assert (lines, float(out)) == (["x 3.0"], 6.0)
    lines, _ = printed(capsys, wrap(lambda x: ferax.jvp(square, (x,), (1.0,))), 3.0)
    assert lines == ["x 3.0"]
    lines, out = printed(capsys, wrap(ferax.vmap(square)), jnp.arange(3.0))
    assert lines == ["x 0.0", "x 1.0", "x 2.0"]
    np.testing.assert_array_equal(out, [0, 1, 4])
    lines, _ = printed(capsys, wrap(ferax.vmap(ferax.grad(square))), jnp.arange(2.0))
    assert lines == ["x 0.0", "x 1.0"]

    def step(c, x):
        ferax.debug.print("s {} {}", c, x)
        return c + x, c

    lines, _ = printed(capsys, wrap(lambda x: lax.scan(step, 0.0, x)), jnp.arange(3.0))
    assert lines == ["s 0.0 0.0", "s 0.0 1.0", "s 1.0 2.0"]
    lines, _ = printed(
        capsys, wrap(ferax.grad(lambda x: lax.scan(step, 0.0, x)[0])), jnp.arange(2.0)
    )
    assert lines == ["s 0.0 0.0", "s 0.0 1.0"]

    def count(i):
        ferax.debug.print("w {}", i, ordered=True)
        return i + 1

    lines, _ = printed(
        capsys, wrap(lambda n: lax.while_loop(lambda i: i < n, count, 0)), 3
    )
    assert lines == ["w 0", "w 1", "w 2"]
    lines, _ = printed(capsys, wrap(ferax.checkpoint(square)), 3.0)
    assert lines == ["x 3.0"]


def test_effects_barrier_waits_for_programs_that_run(capsys):
    """Afterwards all has been printed."""
    seen = []

    @ferax.jit
    def f(x):
        for _ in range(10):
            x = x @ x / 500
        ferax.debug.callback(lambda v: (time.sleep(0.1), seen.append(1)), x[0, 0])
        return x

    f(jnp.ones((500, 500)))
    ferax.effects_barrier()
    assert seen == [1]


def test_effects_barrier_raises_what_a_callback_raised():
    """A callback without results fails there at the latest."""

    @ferax.jit
    def f(x):
        ferax.debug.callback(lambda v: 1 / 0, x)

    def run():
        f(1.0)
        ferax.effects_barrier()

    with pytest.raises(JaxRuntimeError, match="division by zero") as caught:
        run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    ferax.effects_barrier()  # it is raised once


def test_programs_with_callbacks_print_in_jaxprs():
    """The callback's name is shown, not its address."""
    text = str(ferax.make_jaxpr(lambda x: ferax.pure_callback(np.sin, x, x))(1.0))
    assert "pure_callback[callback=sin" in text


def test_callbacks_of_programs_on_several_devices():
    """They are called once, with whole arrays, and ordered ones in order."""
    program = """
        import numpy as np, ferax, ferax.numpy as jnp
        from ferax.experimental import io_callback
        from ferax.sharding import NamedSharding, PartitionSpec as P

        rows = NamedSharding(ferax.make_mesh((4,), ("i",)), P("i"))
        x = ferax.device_put(jnp.arange(8.0), rows)
        seen = []

        @ferax.jit
        def f(x):
            y = io_callback(lambda v: 2 * np.asarray(v), x, x)
            io_callback(lambda v: seen.append(("first", v.shape)), None, y, ordered=True)
            io_callback(lambda v: seen.append(("then", v.shape)), None, x, ordered=True)
            return y + ferax.pure_callback(np.sin, x, x)

        np.testing.assert_allclose(f(x), 2 * np.arange(8) + np.sin(np.arange(8)), rtol=1e-6)
        ferax.effects_barrier()
        assert seen == [("first", (8,)), ("then", (8,))], seen
    """
    env = {**os.environ, "FERAX_CPU_DEVICES": "4"}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
