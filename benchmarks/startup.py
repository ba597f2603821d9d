"""What a fresh process waits for. Every measurement is a process of its own.

The programs are text, run by `python -c`, so that nothing is imported before the library. A
program prints a line when its result is there; the runner times from the start of the process
to that line, or the program times itself and prints its rows as a JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A program of a fresh process; `{lib}` stands for the library.

    Its row is the time from the start of the process to the printed line, unless `inner`:
    then the members of that line are its rows.
    """

    name: str
    text: str
    libraries: tuple[str, ...] = ("ferax", "jax")
    rounds: int = 9
    inner: bool = False
    warm_cache: bool = False  # may find on disk what the round before compiled

    def source(self, library: str) -> str:
        return self.text.replace("{lib}", library)


IMPORT = """
import time
start = time.perf_counter()
import {lib}
taken = time.perf_counter() - start
import json
print(json.dumps({"import": taken}), flush=True)
"""

FIRST_EAGER = """
import {lib} as lib, {lib}.numpy as jnp
result = jnp.arange(10.) + 1
lib.block_until_ready(result)
print("ready", flush=True)
"""

FIRST_JITTED = """
import {lib} as lib, {lib}.numpy as jnp
result = lib.jit(lambda x: jnp.sin(x) * x + 1)(jnp.arange(10.))
lib.block_until_ready(result)
print("ready", flush=True)
"""

FIRST_CALLS = """
import json, time
import {lib} as lib, {lib}.numpy as jnp
a = jnp.arange(100.0) / 100
b = a + 0.5
lib.block_until_ready(b)
rows = {}
def first(name, call):
    start = time.perf_counter()
    lib.block_until_ready(call())
    rows["first call: " + name] = time.perf_counter() - start
first("sin", lambda: jnp.sin(a))
first("sum", lambda: jnp.sum(a))
first("dot", lambda: jnp.dot(a, b))
first("where", lambda: jnp.where(a > 0.5, a, b))
first("reshape", lambda: jnp.reshape(a, (10, 10)))
first("stack", lambda: jnp.stack([a, b]))
first("sort", lambda: jnp.sort(a))
first("cumsum", lambda: jnp.cumsum(a))
first("argmax", lambda: jnp.argmax(a))
first("a[3]", lambda: a[3])
first("a.at[3].set", lambda: a.at[3].set(1.0))
first("softmax", lambda: lib.nn.softmax(a))
first("erf", lambda: lib.lax.erf(a))
first("PRNGKey", lambda: lib.random.PRNGKey(0))
first("normal", lambda: lib.random.normal(lib.random.PRNGKey(0), (100,)))
print(json.dumps(rows), flush=True)
"""

PROGRAMS = [
    Program("import", IMPORT, ("ferax", "jax", "numpy", "torch"), inner=True),
    Program("first eager result", FIRST_EAGER),
    Program("first jitted result", FIRST_JITTED),
    Program("first jitted result, cached on disk", FIRST_JITTED, warm_cache=True),
    Program("first calls", FIRST_CALLS, rounds=5, inner=True),
]
