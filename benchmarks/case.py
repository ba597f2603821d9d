"""What a case is, and how a batch of calls is timed.

A case is made in each worker for that worker's library; what comes out is its phases: named
functions that each take the number of the round and give one measurement. All workers finish
a phase before any begins the next one. Most cases have the one phase `timed(call)`.
"""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Measure = Callable[[int], float]

BATCH = 0.02  # seconds that a batch of calls takes, about


@dataclass(frozen=True)
class Case:
    """One program to measure. `make(library)` prepares it and returns its phases."""

    name: str
    make: Callable[[Library], dict[str, Measure]]
    libraries: tuple[str, ...] = ("ferax", "jax", "numpy", "torch")
    rounds: int = 11
    processes: int = 0  # run in so many fresh processes, not in that of the other cases


class Library:
    """One of the libraries that are compared, under one set of names."""

    def __init__(self, name: str):
        self.name = name
        self.lib = importlib.import_module(name)
        self.transforms = name in ("ferax", "jax")
        self.wait: Callable[[Any], Any] = lambda x: x
        self.jnp: Any = self.lib
        if self.transforms:
            self.wait = self.lib.block_until_ready
            self.jnp = importlib.import_module(f"{name}.numpy")

    @property
    def nn(self) -> Any:
        return importlib.import_module(f"{self.name}.nn")

    @property
    def random(self) -> Any:
        return importlib.import_module(f"{self.name}.random")

    def array(self, values: np.ndarray) -> Any:
        """`values` as this library's array."""
        if self.name == "torch":
            return self.lib.from_numpy(values.copy())
        return self.jnp.asarray(values)

    def normal(self, *shape: int, seed: int = 0) -> Any:
        """The same normally distributed float32 numbers in every library."""
        return self.array(
            np.random.default_rng(seed).standard_normal(shape, np.float32)
        )


def timed(call: Callable[[], Any], wait: Callable[[Any], Any]) -> dict[str, Measure]:
    """The one phase of a case that is a call: seconds per call, in batches of about 20 ms."""
    wait(call())
    number = 1
    while (taken := _batch(call, wait, number)) < BATCH / 2 and number < 1_000_000:
        number = max(number + 1, int(number * min(BATCH / max(taken, 1e-7), 10)))

    def measure(turn: int) -> float:
        gc.collect()
        return _batch(call, wait, number) / number

    return {"": measure}


def _batch(call: Callable[[], Any], wait: Callable[[Any], Any], number: int) -> float:
    repeats = range(number)
    start = time.perf_counter()
    for _ in repeats:
        result = call()
    wait(result)  # what is computed asynchronously counts too
    return time.perf_counter() - start


def once(call: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
