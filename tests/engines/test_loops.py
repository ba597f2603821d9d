"""How loops run on the CPU: small steps are compiled into one function with their loop."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ferax, ferax.numpy as jnp
from ferax import lax
def loop(x):
    return lax.fori_loop(0, 100, lambda i, x: x + 0.1 * jnp.tanh(x), x)
print("xla_cpu_small_call" in ferax.jit(loop).lower(jnp.ones({size})).compile().as_text())
"""


def is_inlined(size: int, flags: str = "") -> bool:
    """Whether XLA says of the loop that it is called as one function."""
    environment = {**os.environ, "XLA_FLAGS": flags, "FERAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM.format(size=size)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() == "True"


@pytest.mark.parametrize(("size", "inlined"), [(1000, True), (1_000_000, False)])
def test_loops_with_small_steps_are_one_function(size: int, inlined: bool) -> None:
    """Up to 64 KiB per step; a large step is left to XLA's threads."""
    assert is_inlined(size) == inlined


def test_flags_of_the_user_win() -> None:
    """XLA_FLAGS may set another limit."""
    flag = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=16"
    assert not is_inlined(1000, flag)
