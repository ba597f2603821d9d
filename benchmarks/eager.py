"""Operations one by one, nothing compiled by the user: on 100 elements and on 1M."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.case import Case, Library, Measure, timed

Operation = Callable[[Any, Any, Any], Any]  # of the array namespace and two arrays


def _numpy_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


# What NumPy, JAX, ferax and PyTorch write in the same way.
SMALL: dict[str, Operation] = {
    "add": lambda jnp, x, y: x + y,
    "sin": lambda jnp, x, y: jnp.sin(x),
    "sum": lambda jnp, x, y: jnp.sum(x),
    "dot": lambda jnp, x, y: jnp.dot(x, y),
    "reshape": lambda jnp, x, y: x.reshape((10, 10)),
    "where": lambda jnp, x, y: jnp.where(x > 0, x, y),
    "stack": lambda jnp, x, y: jnp.stack([x, y]),
}
LARGE: dict[str, Operation] = {
    "add": lambda jnp, x, y: x + y,
    "multiply": lambda jnp, x, y: x * y,
    "sin": lambda jnp, x, y: jnp.sin(x),
    "exp": lambda jnp, x, y: jnp.exp(x),
    "tanh": lambda jnp, x, y: jnp.tanh(x),
    "sqrt": lambda jnp, x, y: jnp.sqrt(y * y),
    "where": lambda jnp, x, y: jnp.where(x > 0, x, y),
    "sum": lambda jnp, x, y: jnp.sum(x),
    "max": lambda jnp, x, y: jnp.max(x),
    "sum of axis 0": lambda jnp, x, y: jnp.sum(x.reshape((1000, 1000)), 0),
    "argmax": lambda jnp, x, y: jnp.argmax(x),
    "cumsum": lambda jnp, x, y: jnp.cumsum(x, 0),
    "dot": lambda jnp, x, y: jnp.dot(x, y),
    "matmul": lambda jnp, x, y: x.reshape((1000, 1000)) @ y.reshape((1000, 1000)),
    "greater": lambda jnp, x, y: x > y,
}


def _operation(
    operation: Operation, size: int
) -> Callable[[Library], dict[str, Measure]]:
    def make(library: Library) -> dict[str, Measure]:
        x, y = library.normal(size), library.normal(size, seed=1)
        jnp = library.jnp
        return timed(lambda: operation(jnp, x, y), library.wait)

    return make


def _softmax(size: int) -> Callable[[Library], dict[str, Measure]]:
    def make(library: Library) -> dict[str, Measure]:
        x = library.normal(size)
        if library.name == "numpy":
            return timed(lambda: _numpy_softmax(x), library.wait)
        if library.name == "torch":
            return timed(lambda: library.lib.softmax(x, 0), library.wait)
        return timed(lambda: library.nn.softmax(x), library.wait)

    return make


def _sort(library: Library) -> dict[str, Measure]:
    x = library.normal(1_000_000)
    return timed(lambda: library.jnp.sort(x), library.wait)


def _take(library: Library) -> dict[str, Measure]:
    x = library.normal(1_000_000)
    index = library.array(np.random.default_rng(2).integers(0, 1_000_000, 1_000_000))
    return timed(lambda: x[index], library.wait)


def _from_list(library: Library) -> dict[str, Measure]:
    values = [float(i) for i in range(100)]
    if library.name == "torch":
        return timed(lambda: library.lib.tensor(values), library.wait)
    jnp = library.jnp
    return timed(lambda: jnp.array(values, dtype=jnp.float32), library.wait)


def _element(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    return timed(lambda: x[3], library.wait)


def _slice(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    return timed(lambda: x[3:10], library.wait)


def _set(library: Library) -> dict[str, Measure]:
    x = library.normal(100)
    if library.transforms:
        return timed(lambda: x.at[3].set(1.0), library.wait)
    copy = x.clone if library.name == "torch" else x.copy

    def changed() -> Any:
        result = copy()
        result[3] = 1.0
        return result

    return timed(changed, library.wait)


CASES = [
    *(Case(f"eager 100: {name}", _operation(op, 100)) for name, op in SMALL.items()),
    Case("eager 100: softmax", _softmax(100)),
    Case("eager 100: array from a list", _from_list),
    Case("eager 100: a[3]", _element),
    Case("eager 100: a[3:10]", _slice),
    Case("eager 100: a.at[3].set(1.)", _set),
    *(
        Case(f"eager 1M: {name}", _operation(op, 1_000_000))
        for name, op in LARGE.items()
    ),
    Case("eager 1M: softmax", _softmax(1_000_000)),
    Case("eager 1M: sort", _sort),
    Case("eager 1M: a[indices]", _take),
]
