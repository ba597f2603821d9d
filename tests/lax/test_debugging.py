"""Breakpoints, shardings to look at, saved residuals."""

from __future__ import annotations

import io

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import debug
from ferax.ad_checkpoint import (
    Offloadable,
    Recompute,
    Saveable,
    checkpoint_name,
    checkpoint_policies,
    print_saved_residuals,
)
from ferax.lax.host import DebugCallback
from ferax.sharding import NamedSharding, PartitionSpec
from tests.engines.programs import run_python

# -- breakpoints ---------------------------------------------------------------------------

OUTSIDE = 5


def inner(y, script, screen, **options):
    z, n = 2 * y, 3
    debug.breakpoint(stdin=io.StringIO(script), stdout=screen, **options)
    return z + n


def outer(x, script, screen, **options):
    pair = {"a": x}
    return inner(pair["a"] + 1, script, screen, **options)


def session(script, transform=lambda f: f, x=1.0, **options):
    """What the prompt says, and the function's result."""
    screen = io.StringIO()
    result = transform(lambda x: outer(x, script, screen, **options))(x)
    ferax.effects_barrier()
    return screen.getvalue().replace("(fdb) ", ""), result


@pytest.mark.parametrize("transform", [lambda f: f, ferax.jit], ids=["eager", "jit"])
def test_a_breakpoint_shows_values(transform):
    """Expressions over the frame's variables, its module's names, and the calling frames."""
    script = "p z\ny + OUTSIDE\np [y for _ in range(2)]\np n\nu\np pair\nd\npp z\nc\n"
    text, result = session(script, transform, jnp.ones(2))
    np.testing.assert_array_equal(result, [7, 7])
    four, seven = ("Array([4., 4.], dtype=float32)", "Array([7., 7.], dtype=float32)")
    two = "Array([2., 2.], dtype=float32)"
    lines = text.splitlines()
    assert lines[:4] == [four, seven, f"[{two}, {two}]", "3"]
    assert lines[4].endswith("in outer")
    assert lines[5] == "{'a': Array([1., 1.], dtype=float32)}"
    assert lines[6].endswith("in inner")
    assert lines[7] == four


def test_a_breakpoint_shows_frames_and_source():
    """Frames of the user's code, as many as asked for; the line is marked."""
    text, _ = session("bt\nl\na\nc\n", num_frames=2)
    lines = text.splitlines()
    assert lines[0].endswith("in outer")
    assert lines[1].startswith("-> ")
    assert lines[1].endswith("in inner")
    assert any(line.startswith("->") and "debug.breakpoint(" in line for line in lines)
    assert "n = 3" in lines
    text, _ = session("u\nd\nd\nc\n", num_frames=1)
    assert text.splitlines() == ["there is no further frame"] * 3
    shown, _ = session("bt\nc\n", ferax.jit)
    whole, _ = session("bt\nc\n", ferax.jit, filter_frames=False)
    assert "staging.py" in whole
    assert "staging.py" not in shown


def test_mistakes_at_the_prompt_are_harmless():
    """Errors are shown, empty lines repeat nothing, the end of the input goes on."""
    text, result = session("p nothing\n\n1 +\n")
    assert result == 7
    lines = text.splitlines()
    assert lines[0] == "NameError: name 'nothing' is not defined"
    assert lines[1].startswith("SyntaxError")
    assert len(lines) == 2


def test_quitting_ends_the_program():
    """q leaves it from within."""
    with pytest.raises(SystemExit, match="ended at a breakpoint"):
        session("q\n")
    with pytest.raises(ferax.errors.JaxRuntimeError, match="ended at a breakpoint"):
        session("q\n", ferax.jit)


def test_breakpoints_under_transformations():
    """vmap stops per element; derivatives pass by; values of a dead trace are shown as text."""
    text, result = session("p y\nc\np y\nc\n", ferax.vmap, jnp.arange(2.0))
    np.testing.assert_array_equal(result, [5, 7])
    assert text.splitlines()[0] == "Array(1., dtype=float32)"
    text, slope = session("p y\nc\n", ferax.grad)
    assert slope == 2
    assert text.startswith("Array(2., dtype=float32")
    leaked = []
    ferax.jit(lambda x: leaked.append(x) or x)(1.0)
    screen = io.StringIO()

    def f(x):
        old = leaked[0]  # noqa: F841
        debug.breakpoint(stdin=io.StringIO("p old\nc\n"), stdout=screen, num_frames=1)
        return x

    ferax.jit(f)(1.0)
    ferax.effects_barrier()
    assert "Traced<" in screen.getvalue()


def test_options_of_breakpoints():
    """There is one backend, and order is asked for by `ordered`."""
    with pytest.raises(ValueError, match="the backend must be 'cli'; got 'web'"):
        debug.breakpoint(backend="web")
    with pytest.raises(NotImplementedError, match=r"debug\.breakpoint: token"):
        debug.breakpoint(token=1)


def test_effects_of_callbacks():
    """A debug callback says whether it keeps an order."""

    def f(x, ordered):
        debug.callback(lambda v: None, x, ordered=ordered)
        return x

    for ordered, kind in ((False, "DebugEffect"), (True, "OrderedDebugEffect")):
        jaxpr = ferax.make_jaxpr(f, static_argnums=1)(1.0, ordered)
        (op,) = [e.op for e in jaxpr.eqns if isinstance(e.op, DebugCallback)]
        assert op.effect == getattr(debug, kind)()
    assert debug.DebugEffect() != debug.OrderedDebugEffect()
    assert repr(debug.OrderedDebugEffect()) == "OrderedDebug"


# -- shardings -----------------------------------------------------------------------------


def test_inspecting_shardings():
    """Of arrays with values, under eager derivatives too; a traced value has none yet."""
    seen = []
    x = jnp.arange(3.0)
    debug.inspect_array_sharding(x, callback=seen.append)
    ferax.grad(lambda x: (debug.inspect_array_sharding(x, callback=seen.append), x)[1])(
        1.0
    )
    assert seen[0] == x.sharding
    assert len(seen) == 2
    with pytest.raises(NotImplementedError, match="a traced value has no sharding yet"):
        ferax.jit(lambda x: debug.inspect_array_sharding(x, callback=print))(x)


def test_pictures_of_shardings(capsys):
    """One part of one device; only arrays of one or two axes are drawn."""
    mesh = ferax.make_mesh((1,), ("i",))
    debug.visualize_array_sharding(
        ferax.device_put(jnp.ones(3), NamedSharding(mesh, PartitionSpec()))
    )
    assert capsys.readouterr().out == "┌─────────┐\n│  CPU 0  │\n└─────────┘\n"
    debug.visualize_sharding(
        (2, 12), NamedSharding(mesh, PartitionSpec("i")), scale=0.5, min_width=5,
        color_map=lambda t: (t, t, t, 1),
    )  # fmt: skip
    assert capsys.readouterr().out == "┌──────┐\n│CPU 0 │\n└──────┘\n"
    with pytest.raises(ValueError, match=r"one or two axes; got shape \(1, 2, 3\)"):
        debug.visualize_array_sharding(jnp.ones((1, 2, 3)))


PICTURES = """
import numpy as np, ferax
from ferax.sharding import *
P = PartitionSpec
mesh = Mesh(np.array(ferax.devices("cpu")).reshape(2, 2), ("x", "y"))
for spec, shape in ((P("y", "x"), (8, 8)), (P(None, "y"), (8, 24)), (P(), (8,))):
    ferax.debug.visualize_sharding(shape, NamedSharding(mesh, spec), use_color=False)
"""


def test_pictures_of_several_devices():
    """Parts stand where they are in the array, with the devices that hold them."""
    assert run_python(PICTURES, FERAX_CPU_DEVICES="4") == (
        "┌─────────┬─────────┐\n│  CPU 0  │  CPU 2  │\n"
        "├─────────┼─────────┤\n│  CPU 1  │  CPU 3  │\n"
        "└─────────┴─────────┘\n"
        "┌────────────┬────────────┐\n│  CPU 0,2   │  CPU 1,3   │\n"
        "└────────────┴────────────┘\n"
        "┌───────────┐\n│CPU 0,1,2,3│\n└───────────┘\n"
    )


# -- what is kept --------------------------------------------------------------------------

WEIGHTS = jnp.arange(3.0)


def wave(x, y):
    z = jnp.sin(x["a"]) * y
    w = checkpoint_name(jnp.exp(z), "w")
    return (w * WEIGHTS).sum()


def saved(capsys, f, *args, **kwargs):
    """The lines that are printed, without the places in the source."""
    print_saved_residuals(f, *args, **kwargs)
    lines = capsys.readouterr().out.splitlines()
    return sorted(
        line.partition(" from /")[0].partition(" from tests")[0] for line in lines
    )


def test_saved_residuals(capsys):
    """Each array that is kept, and where it comes from."""
    x = {"a": jnp.ones(3)}
    assert saved(capsys, wave, x, 2.0) == [
        "f32[3] from a constant", "f32[3] output of cos", "f32[3] output of exp",
        "f32[3] output of sin", "f32[] from the argument y",
    ]  # fmt: skip
    print_saved_residuals(wave, x, 2.0)
    assert 'in wave: `z = jnp.sin(x["a"]) * y`' in capsys.readouterr().out
    assert saved(capsys, ferax.checkpoint(wave), x, y=2.0) == [
        "f32[3] from a constant", "f32[3] from the argument x['a']", "f32[] from the argument y",
    ]  # fmt: skip
    named = checkpoint_policies.save_only_these_names("w")
    kept = saved(capsys, ferax.checkpoint(wave, policy=named), x, 2.0)
    assert "f32[3] output of name" in kept


def test_answers_of_policies():
    """Saveable and Recompute are as True and False; to offload is not offered."""
    x, y = {"a": jnp.ones(3)}, 2.0
    expected = ferax.grad(wave)(x, y)["a"]
    for answer in (Saveable, Recompute, True, False):
        f = ferax.checkpoint(wave, policy=lambda *_, a=answer, **__: a)
        np.testing.assert_allclose(ferax.grad(f)(x, y)["a"], expected, 1e-6)
    assert bool(Saveable)
    assert not bool(Recompute)
    moved = ferax.checkpoint(
        wave, policy=lambda *_, **__: Offloadable("device", "pinned_host")
    )
    with pytest.raises(NotImplementedError, match="answer Saveable or Recompute"):
        ferax.grad(moved)(x, y)
