"""Small programs for the tests of the engines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferax.core.array import engine
from ferax.core.avals import Aval
from ferax.core.jaxpr import Eqn, Jaxpr, Var

ROOT = Path(__file__).parent.parent.parent


class Written:
    """An operation whose lowering is given as a function."""

    def __init__(self, rule: Callable[..., Any]):
        self.rule = rule

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        out = self.rule(hlo, *values)
        return list(out) if isinstance(out, (list, tuple)) else [out]


def avals_of(arrays: Sequence[Any]) -> list[Aval]:
    return [Aval(a.shape, a.dtype) for a in map(np.asarray, arrays)]


def program(
    rule: Callable[..., Any], ins: Sequence[Aval], outs: Sequence[Aval]
) -> Jaxpr:
    """The jaxpr of one operation lowered by `rule(hlo, *values)`."""
    invars, outvars = [Var(a) for a in ins], [Var(a) for a in outs]
    return Jaxpr(invars, outvars, [Eqn(Written(rule), list(invars), outvars)])


def run_rule(
    rule: Callable[..., Any], ins: Sequence[Any], outs: Sequence[Any]
) -> list[Any]:
    """Compile and run `rule(hlo, *values)`; `outs` are arrays like the results, or avals."""
    arrays = [np.asarray(x) for x in ins]
    results = [o if isinstance(o, Aval) else avals_of([o])[0] for o in outs]
    jaxpr = program(rule, avals_of(arrays), results)
    executable = engine().compile_jaxpr(jaxpr, "test")
    buffers = [engine().put(x.copy(), a) for x, a in zip(arrays, avals_of(arrays))]
    return [engine().get(b, a) for b, a in zip(executable.run(buffers), results)]


def run_python(code: str, **environment: str) -> str:
    """The output of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
