"""jit's options that say where a program runs and what the compiler is told."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.errors import JaxRuntimeError
from ferax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from tests.engines.programs import run_python

HEAD = """
import numpy as np, ferax, ferax.numpy as jnp
from ferax.sharding import *
P = PartitionSpec
d = ferax.devices("cpu")
mesh = Mesh(np.array(d), ("x",))
S, R = NamedSharding(mesh, P("x")), NamedSharding(mesh, P())
x = jnp.arange(8.0)
double = lambda x: 2 * x
def refused(kind, part, call):
    try:
        call()
    except kind as error:
        assert part in str(error), str(error)
    else:
        raise AssertionError(part)
"""


def on_four_devices(code):
    """Run code in a process with four CPU devices, after `HEAD`."""
    program = HEAD + textwrap.dedent(code) + "\nprint('fine')"
    assert run_python(program, FERAX_CPU_DEVICES="4") == "fine\n"


def test_arguments_are_put_and_results_left_where_they_shall_be():
    """Shardings for all, by prefix, as a list; None leaves a value where it is."""
    on_four_devices("""
        for given in (S, (S,), [S]):
            y = ferax.jit(double, in_shardings=given)(x)
            assert y.sharding == S and y.committed
            np.testing.assert_array_equal(y, 2 * np.arange(8))
        assert x.devices() == {d[0]} and not x.committed
        f = lambda x, y: (x + 1, y["a"])
        for given in ((S, {"a": R}), (S, R)):
            u, v = ferax.jit(f, in_shardings=given)(x, {"a": x})
            assert (u.sharding, v.sharding) == (S, R)
        assert ferax.jit(lambda x, y: x + y, in_shardings=(S, None))(x, x).sharding == S
        assert ferax.jit(double, out_shardings=S)(x).sharding == S
        assert ferax.jit(double, in_shardings=S, out_shardings=R)(x).sharding == R
        assert ferax.jit(double, out_shardings=S)(ferax.device_put(x, R)).sharding == S
        made = ferax.jit(lambda: jnp.arange(8), out_shardings=S)()
        assert made.sharding == S and made.tolist() == list(range(8))
        both = ferax.jit(lambda x: {"a": x, "b": x}, out_shardings={"a": S, "b": R})(x)
        assert (both["a"].sharding, both["b"].sharding) == (S, R)
        unused = ferax.jit(lambda x, y: y, in_shardings=(R, S))(x, x)
        assert unused.sharding == S
        with set_mesh(mesh):
            assert ferax.jit(double, in_shardings=P("x"))(x).sharding == S
        f = ferax.jit(lambda n, x: n * x, in_shardings=S, static_argnums=0)
        assert f(2, x).sharding == S
    """)


def test_shardings_hold_inside_of_other_transformations():
    """Differentiated, mapped and nested functions keep to them."""
    on_four_devices("""
        total = ferax.jit(lambda x: (x * x).sum(), in_shardings=S)
        np.testing.assert_array_equal(ferax.grad(total)(x), 2 * np.arange(8))
        f = ferax.jit(double, in_shardings=S, out_shardings=S)
        inner = ferax.jit(lambda x: f(x) + 1)(x)
        assert inner.sharding.is_equivalent_to(S, 1)
        np.testing.assert_array_equal(inner, 2 * np.arange(8) + 1)
        rows = ferax.jit(ferax.vmap(f))(jnp.ones((3, 8)))
        assert rows.sharding.is_equivalent_to(NamedSharding(mesh, P(None, "x")), 2)
        assert ferax.grad(lambda x: f(x).sum())(x).tolist() == [2.0] * 8
        text = ferax.jit(double, in_shardings=S).lower(x).compile().as_text()
        assert "f32[2]" in text and "f32[8]" not in text
        compiled = f.lower(x).compile()
        assert compiled(x).sharding == S
    """)


def test_one_device():
    """`device` moves arguments, committed ones too; a sharding may be a single device."""
    on_four_devices("""
        f = ferax.jit(double, device=d[2])
        for v in (x, ferax.device_put(x, d[1])):
            assert f(v).devices() == {d[2]} and f(v).committed
        assert ferax.jit(lambda: jnp.ones(3), device=d[3])().devices() == {d[3]}
        assert ferax.jit(double, in_shardings=SingleDeviceSharding(d[1]))(x).device == d[1]
        assert ferax.jit(double, out_shardings=SingleDeviceSharding(d[1]))(x).device == d[1]
        assert ferax.jit(double, backend="cpu")(x).device == d[0]
    """)


def test_wrong_places():
    """Arguments that lie elsewhere, sizes that don't divide, and meshes that differ are errors."""
    on_four_devices("""
        f = ferax.jit(double, in_shardings=S)
        refused(ValueError, "move it with device_put", lambda: f(ferax.device_put(x, R)))
        refused(ValueError, "move it with device_put", lambda: f(ferax.device_put(x, d[1])))
        refused(ValueError, "axis 0 (size 7)", lambda: f(jnp.arange(7.0)))
        g = ferax.jit(double, out_shardings=S)
        refused(ValueError, "axis 0 (size 7)", lambda: g(jnp.arange(7.0)))
        half = NamedSharding(Mesh(np.array(d[:2]), ("x",)), P("x"))
        h = ferax.jit(lambda x, y: (x, y), in_shardings=(S, half))
        refused(ValueError, "over the same devices", lambda: h(x, x))
    """)


def test_options_are_checked():
    """What is given must be shardings, fit the arguments, and not contradict each other."""
    one = NamedSharding(
        Mesh(np.array(ferax.devices("cpu")[:1]), ("x",)), PartitionSpec()
    )
    device = ferax.devices("cpu")[0]
    with pytest.raises(ValueError, match="give device or backend, not both"):
        ferax.jit(jnp.sin, device=device, backend="cpu")
    with pytest.raises(ValueError, match="device and backend cannot be combined"):
        ferax.jit(jnp.sin, device=device, in_shardings=one)
    with pytest.raises(TypeError, match="needs a Sharding or a PartitionSpec; got 3"):
        ferax.jit(jnp.sin, in_shardings=3)(1.0)
    with pytest.raises(ValueError, match=r"positional arguments; .* called with x="):
        ferax.jit(lambda x: x, in_shardings=one)(x=1.0)
    with pytest.raises(ValueError, match="in_shardings: not a prefix"):
        ferax.jit(lambda x, y: x, in_shardings=(one,))(1.0, 2.0)
    with pytest.raises(ValueError, match="out_shardings: not a prefix"):
        ferax.jit(lambda x: {"a": x}, out_shardings=(one,))(1.0)
    with pytest.raises(RuntimeError, match="a PartitionSpec names axes of the mesh"):
        ferax.jit(jnp.sin, in_shardings=PartitionSpec("x"))(1.0)
    where = SingleDeviceSharding(device)
    assert ferax.jit(lambda x: x + 1, out_shardings=where)(1.0).sharding == where


def test_compiler_options():
    """They reach XLA, from jit and from the stages; equal ones share a table."""
    f = lambda x: x + 1
    options = {"xla_cpu_enable_fast_math": True}
    assert ferax.jit(f, compiler_options=options)(1.0) == 2
    assert ferax.jit(f).lower(1.0).compile(options)(1.0) == 2
    assert ferax.jit(f, compiler_options=options)._cache_size() == 1
    for call in (
        lambda: ferax.jit(f, compiler_options={"no_such": 1})(1.0),
        lambda: ferax.jit(f).lower(1.0).compile({"no_such": 1}),
    ):
        with pytest.raises(JaxRuntimeError, match="no_such"):
            call()
