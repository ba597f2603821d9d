"""Calling what is compiled already: what stands between the user and the program."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Case, Library, Measure, timed
from benchmarks.transforms import mlp

BOTH = ("ferax", "jax")


def _one_leaf(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    function = library.lib.jit(lambda x: x + 1)
    return timed(lambda: function(x), library.wait)


def _chained(library: Library) -> dict[str, Measure]:
    """Each call takes the result of the one before, as training loops do."""
    function = library.lib.jit(lambda x: x * 0.5 + 1)
    state = [library.normal(100)]

    def call() -> Any:
        state[0] = function(state[0])
        return state[0]

    return timed(call, library.wait)


def _forty_leaves(library: Library) -> dict[str, Measure]:
    tree = {f"layer{i}": [library.normal(4), library.normal(4)] for i in range(20)}
    increment = library.lib.jit(
        lambda tree: {k: [x + 1 for x in v] for k, v in tree.items()}
    )
    return timed(lambda: increment(tree), library.wait)


def _static(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    function = library.lib.jit(lambda x, n: x * n, static_argnums=1)
    return timed(lambda: function(x, 3), library.wait)


def _numpy_operand(library: Library) -> dict[str, Measure]:
    x = np.ones(100, np.float32)
    function = library.lib.jit(lambda x: x + 1)
    return timed(lambda: function(x), library.wait)


def _eager_between(library: Library) -> dict[str, Measure]:
    """A jitted call whose result is used by an eager operation, and the other way round."""
    function = library.lib.jit(lambda x: x + 1)
    x = library.normal(100)
    return timed(lambda: function(x * 2.0) * 2.0, library.wait)


def _mlp(library: Library) -> dict[str, Measure]:
    loss, params, x, y = mlp(library)
    function = library.lib.jit(library.lib.value_and_grad(loss))
    return timed(lambda: function(params, x, y), library.wait)


CASES = [
    Case("dispatch: 1 leaf", _one_leaf, BOTH),
    Case("dispatch: 40 leaves", _forty_leaves, BOTH),
    Case("dispatch: its own result", _chained, BOTH),
    Case("dispatch: a static argument", _static, BOTH),
    Case("dispatch: a NumPy operand", _numpy_operand, BOTH),
    Case("dispatch: eager before and after", _eager_between, BOTH),
    Case("dispatch: value_and_grad of a 3-layer MLP", _mlp, BOTH),
]
