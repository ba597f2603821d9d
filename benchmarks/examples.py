"""The examples' own programs, and the operations that such programs lean on.

An example is measured as it stands: its source is read with the library's name in place of
`ferax` (they are JAX programs but for that), and the functions found there are called.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Case, Library, Measure, once, timed
from benchmarks.transformer import peak_resident, reset_peak

BOTH = ("ferax", "jax")
ROOT = Path(__file__).resolve().parent.parent
MILLION = 1_000_000


def example(library: Library, name: str) -> Any:
    """The module `examples/<name>.py`, written for `library`."""
    source = (
        (ROOT / "examples" / f"{name}.py").read_text().replace("ferax", library.name)
    )
    module = types.ModuleType(f"{library.name}_{name}")
    sys.modules[module.__name__] = module
    exec(compile(source, f"{name}.py for {library.name}", "exec"), module.__dict__)
    return module


# -- each example: its jitted step and an endless supply of calls ------------------------------

Step = tuple[Callable[..., Any], tuple[Any, ...], Callable[[], Any]]


def _transformer(library: Library) -> Step:
    module = example(library, "character_transformer")
    key = library.random.key(0)
    corpus = np.random.default_rng(0).integers(0, 97, 100_000, np.int32)
    operands = [module.start(key), key, library.array(corpus), 1000.0]

    def step() -> Any:
        operands[0], value = module.train_step(*operands)
        return value

    return module.train_step, tuple(operands), step


def _monte_carlo(library: Library) -> Step:
    module = example(library, "hamiltonian_monte_carlo")
    key = library.random.key(0)
    rng = np.random.default_rng(0)
    x, y = (library.array(rng.standard_normal(s, np.float32)) for s in ((442, 10), 442))
    starts = library.random.normal(key, (module.CHAINS, 12))
    chains = library.lib.vmap(module.Chain)(starts)
    operands = (chains, key, x, y, True, module.BLOCK)
    return module.sample, operands, lambda: module.sample(*operands)


def _ode(library: Library) -> Step:
    module, jnp = example(library, "fit_ode"), library.jnp
    logs, zeros = jnp.log(jnp.array(module.FIRST_GUESS)), jnp.zeros(len(module.NAMES))
    operands = ((logs, zeros, zeros, jnp.float32(0)), library.array(module.RECORD))
    return module.descend, operands, lambda: module.descend(*operands)


STEPS = {
    "character transformer": _transformer,
    "50 moves of Monte Carlo": _monte_carlo,
    "50 steps of the fit of an ODE": _ode,
}


def _speed(make: Callable[[Library], Step]) -> Callable[[Library], dict[str, Measure]]:
    def case(library: Library) -> dict[str, Measure]:
        *_, step = make(library)
        return timed(step, library.wait)

    return case


def _memory(make: Callable[[Library], Step]) -> Callable[[Library], dict[str, Measure]]:
    def case(library: Library) -> dict[str, Measure]:
        def planned(turn: int) -> float:
            function, operands, _ = make(library)
            plan = function.lower(*operands).compile().memory_analysis()
            return float(
                plan.temp_size_in_bytes
                + plan.argument_size_in_bytes
                + plan.output_size_in_bytes
                - plan.alias_size_in_bytes
            )

        def seen(turn: int) -> float:
            *_, step = make(library)
            library.wait(step())
            reset_peak()
            for _ in range(4):
                library.wait(step())
            return peak_resident()

        return {"planned memory": planned, "peak memory of the process": seen}

    return case


# -- scan -------------------------------------------------------------------------------------


def _scan(size: int | None) -> Callable[[Library], dict[str, Measure]]:
    """A thousand small steps: a damped pendulum, or `size` of them, with the gradient."""

    def case(library: Library) -> dict[str, Measure]:
        lib, jnp = library.lib, library.jnp
        lax = importlib.import_module(f"{library.name}.lax")
        shape = () if size is None else (size,)
        operands = (jnp.ones(shape), library.normal(1000, *shape))
        made: dict[str, Any] = {}

        def program(turn: int) -> Callable[..., Any]:
            damping = 0.1 + 1e-5 * turn  # a program of its own for each round

            def swing(start: Any, pushes: Any) -> Any:
                def step(state: Any, push: Any) -> Any:
                    angle, speed = state
                    speed = speed + 0.01 * (push - jnp.sin(angle) - damping * speed)
                    return (angle + 0.01 * speed, speed), angle

                begin = (start, jnp.zeros(shape))
                (_, speed), path = lax.scan(step, begin, pushes)
                return jnp.sum(speed**2) + jnp.mean(path**2)

            return lib.value_and_grad(swing, argnums=(0, 1))

        def trace(turn: int) -> float:
            return once(lambda: lib.make_jaxpr(program(turn))(*operands))

        def compile_(turn: int) -> float:
            lowered = lib.jit(program(turn)).lower(*operands)

            def compiling() -> None:
                made["run"] = lowered.compile()

            return once(compiling)

        def run(turn: int) -> float:
            # long enough that the processors have come back from compiling
            batches, repeats = range(20), range(20)

            def calls() -> None:
                for _ in batches:
                    library.wait([made["run"](*operands) for _ in repeats])

            calls()
            return once(calls) / (len(batches) * len(repeats))

        trace(-1)
        return {"trace": trace, "compile": compile_, "run": run}

    return case


# -- operations on a million numbers ----------------------------------------------------------


def _operations(library: Library) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    """Name, function, operand."""
    jnp, random = library.jnp, library.random
    lax = importlib.import_module(f"{library.name}.lax")
    numbers = library.normal(MILLION)
    for name in ("sort", "argsort", "median", "cumsum", "argmax"):
        yield name, getattr(jnp, name), numbers
    yield "permutation", lambda key: random.permutation(key, MILLION), random.key(0)

    def pooled(images: Any) -> Any:
        window = (1, 2, 2, 1)
        return jnp.sum(
            lax.reduce_window(images, -jnp.inf, lax.max, window, window, "VALID") ** 2
        )

    yield "max-pool gradient", library.lib.grad(pooled), library.normal(16, 64, 64, 16)


OPERATIONS = (
    "sort", "argsort", "median", "permutation", "cumsum", "argmax", "max-pool gradient",
)  # fmt: skip


def _jitted(wanted: str) -> Callable[[Library], dict[str, Measure]]:
    def case(library: Library) -> dict[str, Measure]:
        (chosen,) = (x for x in _operations(library) if x[0] == wanted)
        _, function, operand = chosen
        jitted = library.lib.jit(function)
        return timed(lambda: jitted(operand), library.wait)

    return case


CASES = [
    *(Case(f"examples: step: {n}", _speed(m), BOTH) for n, m in STEPS.items()),
    *(
        Case(f"examples: {n}", _memory(m), BOTH, rounds=1, processes=2)
        for n, m in STEPS.items()
    ),
    Case("scan of 1,000 steps", _scan(None), BOTH, rounds=7),
    Case("scan of 1,000 steps of 32 pendulums", _scan(32), BOTH, rounds=7),
    *(Case(f"jit 1M: {n}", _jitted(n), BOTH, rounds=7) for n in OPERATIONS),
]
