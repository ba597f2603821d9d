"""Bad input to transformations: the right class, the values, what to do; and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import threading
import traceback

import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.core.tracing import state


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ferax.grad(lambda x: x * 2.0)(jnp.ones(3)), TypeError, r"float32\[3\].*jacrev"),
        (lambda: ferax.grad(lambda x: (x, x))(1.0), TypeError, r"has_aux"),
        (lambda: ferax.grad(lambda x: x)(jnp.arange(3)), TypeError, r"int32\[3\].*astype"),
        (lambda: ferax.grad(lambda x: x)("a"), TypeError, r"argument 0.*'a'"),
        (lambda: ferax.grad(lambda x: x, argnums=2)(1.0), TypeError, r"argnums=2.*has 1"),
        (lambda: ferax.grad(lambda x: 1j * x)(1.0), TypeError, r"complex64.*holomorphic"),
        (lambda: ferax.grad(lambda x: x, has_aux=True)(1.0), TypeError, r"pair \(result, aux\)"),
        (lambda: ferax.grad(3), TypeError, r"needs a function"),
        (lambda: ferax.grad(lambda d: d["w"])({"w": jnp.arange(2)}), TypeError, r"0\['w'\]"),
        (lambda: ferax.jvp(jnp.sin, 1.0, 1.0), TypeError, r"\(x,\)"),
        (lambda: ferax.jvp(jnp.sin, (1.0,), (jnp.ones(2),)), ValueError, r"shapes must be equal"),
        (lambda: ferax.jvp(jnp.sin, (1.0,), (jnp.arange(1)[0],)), TypeError, r"float32.*int32"),
        (lambda: ferax.jvp(jnp.sin, ((1.0, 2.0),), ((1.0,),)), TypeError, r"lack"),
        (lambda: ferax.vjp(jnp.sin, 1.0)[1]((1.0, 2.0)), ValueError, r"structure"),
        (lambda: ferax.vjp(jnp.sin, 1.0)[1](jnp.ones(2)), ValueError, r"float32\[2\]"),
        (lambda: ferax.vmap(jnp.add)(jnp.ones(3), jnp.ones(4)), ValueError, r"axis 0 has size 3"),
        (lambda: ferax.vmap(jnp.add, (0, 0, 0))(1.0, 2.0), ValueError, r"3 entries.*2 positional"),
        (lambda: ferax.vmap(jnp.sin)(1.0), ValueError, r"axis 0.*shape \(\)"),
        (lambda: ferax.vmap(jnp.sin, in_axes="a"), TypeError, r"'a'"),
        (lambda: ferax.vmap(jnp.sin, in_axes=None)(1.0), ValueError, r"axis_size"),
        (lambda: ferax.vmap(jnp.sin, out_axes=None)(jnp.ones(2)), ValueError, r"out_axes is None"),
        (lambda: ferax.vmap(jnp.sin, out_axes=4)(jnp.ones(2)), ValueError, r"out_axes=4"),
        (lambda: ferax.vmap(lambda x: lax.psum(x, "j"))(jnp.ones(2)), NameError, r"'j'.*none"),
        (lambda: ferax.jit(lambda x: x)("text"), TypeError, r"argument x.*'text'.*static"),
        (lambda: ferax.jit(lambda x: x, static_argnums=3), ValueError, r"has 1"),
        (lambda: ferax.jit(lambda x: x, static_argnames="y"), ValueError, r"'y'.*\['x'\]"),
        (lambda: ferax.jit(lambda x: 1, static_argnums=0)([1]), ValueError, r"not hashable.*tuple"),
        (lambda: ferax.jit(lambda x: "a")(1.0), TypeError, r"'a'"),
        (lambda: ferax.jit(4), TypeError, r"needs a function"),
        (lambda: ferax.jacfwd(lambda x: x)(1j), TypeError, r"holomorphic"),
        (lambda: ferax.linear_transpose(jnp.sin, 1.0)(1.0), NotImplementedError, r"sin"),
        (lambda: ferax.vmap(jnp.sin, in_axes={"x": 0})(jnp.ones(2)), TypeError, r"in_axes"),
        (lambda: ferax.vmap(jnp.sin, out_axes="a")(jnp.ones(2)), TypeError, r"out_axes='a'"),
        (lambda: ferax.jit(lambda x: x, static_argnums=0)(jnp.ones(2)), ValueError, r"hashable"),
        (lambda: ferax.checkpoint(3), TypeError, r"needs a function"),
        (lambda: ferax.checkpoint(jnp.sin, policy="a"), TypeError, r"needs a function"),
        (lambda: lax.cond(True, jnp.sin, 1.0, 2.0), TypeError, r"functions"),
        (lambda: lax.switch(0, [jnp.sin, 3], 1.0), TypeError, r"needs a function"),
        (lambda: lax.fori_loop(0, 3, 4, 0.0), TypeError, r"needs a function"),
        (lambda: lax.map(3, jnp.ones(2)), TypeError, r"needs a function"),
        (lambda: lax.scan(lambda c, x: (c, x), 0, None, "a"), TypeError, r"length.*integer; got"),
        (lambda: lax.scan(lambda c, x: (c, x), 0, jnp.ones(2), unroll=-1), ValueError, r"unroll"),
        (lambda: lax.associative_scan(jnp.add, 1.0), ValueError, r"axis 0"),
        (lambda: lax.conv(jnp.ones(3), jnp.ones(3), (1,), "SAME"), ValueError, r"3 dimensions"),
        (lambda: lax.conv(*[jnp.ones((1, 1, 3))] * 2, (1,), None), TypeError, r"padding"),
        (lambda: lax.reshape(jnp.ones(3), "a"), TypeError, r"integers.*'a'"),
    ],
)  # fmt: skip
def test_message(call, kind, message):
    """Class and text."""
    with pytest.raises(kind, match=re.compile(message, re.DOTALL)):
        call()
    assert state.trace is None
    assert state.axes == ()


def test_rules_that_give_another_type_are_errors():
    """A cotangent of another shape, a complex tangent of a real result."""
    f = ferax.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, ct: (jnp.ones(3),))
    with pytest.raises(ValueError, match=r"float32\[3\].*float32\[\]"):
        ferax.grad(f)(1.0)
    g = ferax.custom_jvp(lambda x: x)
    g.defjvp(lambda p, t: (p[0], 1j))
    with pytest.raises(TypeError, match=r"complex64\[\].*float32\[\]"):
        ferax.grad(g)(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x[9],
        lambda x: x.reshape(2, 2),
        lambda x: x.transpose(0, 1),
        lambda x: x.astype("foo"),
        lambda x: x.flatten(3),
        lambda x: x.clip("a"),
        lambda x: x + jnp.ones(4),
    ],
)
def test_methods_fold_their_frames(call):
    """One frame of the package at most stands below the user's line."""
    with pytest.raises(
        (TypeError, ValueError, IndexError, NotImplementedError)
    ) as info:
        call(jnp.ones(3))
    package = os.path.dirname(ferax.__file__)
    frames = traceback.extract_tb(info.value.__traceback__)
    assert sum(f.filename.startswith(package) for f in frames) <= 1


def test_every_mapped_size_is_listed():
    """Each argument with its shape, by its path."""
    with pytest.raises(ValueError) as info:
        ferax.vmap(lambda a, d: a)(
            jnp.ones((3, 2)), {"w": jnp.ones(4), "b": jnp.ones(3)}
        )
    text = str(info.value)
    assert "argument 0: float32[3,2], axis 0 has size 3" in text
    assert "argument 1['w']: float32[4], axis 0 has size 4" in text


def _offending_line():
    return jnp.dot(jnp.ones(3), jnp.ones(4))


def test_traceback_ends_at_the_users_line():
    """Frames of the package are folded, but one; the switch shows them."""
    with pytest.raises((TypeError, ValueError)) as info:
        ferax.jit(_offending_line)()
    frames = traceback.extract_tb(info.value.__traceback__)
    package = os.path.dirname(ferax.__file__)
    own = [f for f in frames if f.filename.startswith(package)]
    names = [f.name for f in frames if f.filename == __file__]
    assert names[-1] == "_offending_line"
    assert all(f.name in ("public_call", "__call__") for f in own)
    with _unfolded(), pytest.raises((TypeError, ValueError)) as info:
        ferax.jit(_offending_line)()
    assert len(traceback.extract_tb(info.value.__traceback__)) > len(frames)


class _unfolded:
    def __enter__(self):
        ferax.config.update("traceback_filtering", "off")

    def __exit__(self, *_):
        ferax.config.update("traceback_filtering", "on")


def test_leaked_tracer_names_its_maker():
    """Function, line and type; also from vmap and grad."""
    leaked = []

    def f(x):
        leaked.append(x * 2)
        return x

    for transform in (
        ferax.jit,
        ferax.vmap,
        lambda g: ferax.grad(lambda x: g(x).sum()),
    ):
        leaked.clear()
        transform(f)(jnp.ones(3))
        with pytest.raises(
            ferax.errors.UnexpectedTracerError, match=r"float32\["
        ) as info:
            leaked[0] + 1
        assert "has finished" in str(info.value)


def test_donated_buffer_used_again():
    """The error says that it was donated, and to copy."""
    f = ferax.jit(lambda x: x + 1, donate_argnums=0)
    x = ferax.jit(lambda x: x * 2)(jnp.ones(1000))
    f(x)
    assert x.is_deleted()
    with pytest.raises(RuntimeError, match=r"donated.*copy"):
        x + 1
    with pytest.raises(RuntimeError, match="donated"):
        f(x)


def test_carry_errors_name_the_leaf():
    """Path, and types in and out."""
    with pytest.raises(
        TypeError, match=re.escape("carry[1]['w']: float32[3] in, float32[3,1] out")
    ):
        lax.scan(
            lambda c, x: ((c[0], {"w": c[1]["w"].reshape(3, 1)}), x),
            (0.0, {"w": jnp.ones(3)}),
            jnp.arange(2.0),
        )
    with pytest.raises(TypeError, match="structure"):
        lax.while_loop(lambda c: c[0] < 3, lambda c: c[0], (0,))
    with pytest.raises(TypeError, match="bool scalar"):
        lax.while_loop(lambda c: c, lambda c: c, 0)
    with pytest.raises(TypeError, match=r"result: float32\[2\].*float32\[3\]"):
        lax.cond(True, lambda: jnp.ones(3), lambda: jnp.ones(2))


def test_a_failed_trace_leaves_nothing_behind():
    """State and caches are as before, and the function works afterwards."""
    fail = [True]

    @ferax.jit
    def f(x):
        if fail[0]:
            raise KeyError("mine")
        return x + 1

    for transform in (lambda g: g, ferax.grad, ferax.vmap):
        with pytest.raises(KeyError, match="mine"):
            transform(f)(jnp.ones(2) if transform is ferax.vmap else 1.0)
        assert state.trace is None
    fail[0] = False
    assert float(f(1.0)) == 2.0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
# Python drops an exception that a signal raises within a garbage collection callback, with a
# warning; then the next signal is the one that counts.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupt_while_tracing():
    """KeyboardInterrupt passes through; the next call works."""
    slow = [True]

    def interrupt(*_):
        if slow[0]:
            raise KeyboardInterrupt

    @ferax.jit
    def f(x):
        try:
            for _ in range(300_000 if slow[0] else 0):  # seconds, and not for ever
                x = x + 1
        finally:
            slow[0] = False
        return x

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        with pytest.raises(KeyboardInterrupt):
            f(1.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert state.trace is None
    assert float(f(1.0)) == 1.0


def test_threads_do_not_see_each_other():
    """Transformations in many threads at once give what each gives alone."""
    results, errors = {}, []

    def work(i):
        try:
            for _ in range(20):
                f = ferax.vmap(ferax.grad(lambda x: jnp.sin(x) * i))
                results[i] = f(jnp.arange(3.0) + i).tolist()
                assert int(ferax.jit(lambda n: n + i)(1)) == i + 1
        except Exception as error:  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    for i in range(4):
        alone = ferax.vmap(ferax.grad(lambda x, i=i: jnp.sin(x) * i))
        want = alone(jnp.arange(3.0) + i).tolist()
        assert results[i] == want
