"""debug_nans and debug_infs: which operation made a nan or an inf, and on which line."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax


def inner(x):
    y = jnp.log(x)  # the culprit
    return jnp.sum(y + 1)


@pytest.mark.parametrize(
    "fun",
    [
        inner,
        ferax.jit(inner),
        ferax.jit(lambda x: 2 * ferax.jit(inner)(x)),
        lambda x: lax.scan(lambda c, _: (c + inner(x), None), 0.0, length=3)[0],
        ferax.jit(lambda x: lax.fori_loop(0, 3, lambda i, c: c + inner(x), 0.0)),
        ferax.jit(lambda x: lax.cond(x[0, 0] < 0, inner, jnp.sum, x)),
        ferax.jit(ferax.vmap(inner, in_axes=1)),
    ],
    ids=["eager", "jit", "nested", "scan", "loop", "cond", "vmap"],
)
def test_the_operation_that_gave_nan_is_named(fun):
    """The message has the operation and the user's line, however deep in a program it is."""
    x = jnp.full((2, 2), -1.0)
    assert np.isnan(np.asarray(fun(x))).all()
    with ferax.debug_nans(True):
        with pytest.raises(FloatingPointError, match=r"\(nan\).* log") as caught:
            fun(x)
        assert "y = jnp.log(x)" in str(caught.value)
        assert np.isfinite(np.asarray(fun(-x))).all()
    assert np.isnan(np.asarray(fun(x))).all()


def test_the_operation_that_gave_inf_is_named():
    """debug_infs does the same for infinities, and does not mind nan."""
    with ferax.debug_infs(True):
        with pytest.raises(FloatingPointError, match=r"\(inf\).* div"):
            1 / jnp.zeros(())
        with pytest.raises(FloatingPointError, match=r"\(inf\).* exp"):
            ferax.jit(jnp.exp)(1000.0)
        assert np.isnan(jnp.sqrt(-1.0))


def test_derivatives_are_examined_too():
    """The gradient of sqrt at 0 is found."""
    with ferax.debug_infs(True):
        for f in (ferax.grad(jnp.sqrt), ferax.jit(ferax.grad(jnp.sqrt))):
            with pytest.raises(FloatingPointError, match="inf"):
                f(0.0)


def test_nan_inside_of_a_program_alone_is_no_error():
    """A compiled function is looked at by its results only."""
    f = ferax.jit(lambda x: jnp.where(x > 0, jnp.log(x), 0.0))
    with ferax.debug_nans(True):
        np.testing.assert_array_equal(f(jnp.array([-1.0, 1.0])), [0, 0])


def test_donated_arguments():
    """They are gone: the function is named, its operations are not run again."""
    f = ferax.jit(lambda x: jnp.log(x), donate_argnums=0)
    with ferax.debug_nans(True), pytest.raises(FloatingPointError):
        f(jnp.full((100,), -1.0))


def test_flags_of_other_threads_do_not_count():
    """A `with` block holds in its own thread; an update holds in all."""
    seen = []

    def run():
        seen.append(ferax.config.examine_results)

    def elsewhere():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return seen.pop()

    with ferax.enable_checks(False):
        assert not ferax.config.examine_results
        with ferax.debug_nans(True):
            assert ferax.config.examine_results
        assert not ferax.config.examine_results
    checks = ferax.config.enable_checks
    ferax.config.update("enable_checks", False)
    try:
        with ferax.debug_nans(True):
            assert not elsewhere()
        ferax.config.update("debug_infs", True)
        assert elsewhere()
        assert ferax.config.examine_results
    finally:
        ferax.config.update("debug_infs", False)
        assert not ferax.config.examine_results
        ferax.config.update("enable_checks", checks)
