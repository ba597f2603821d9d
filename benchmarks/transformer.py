"""A training step of a 12-layer transformer, written as a Python loop over its layers.

Loss (next-token cross entropy), gradient and Adam's update in one function, about 3,000
equations before differentiation is counted. Trained on random tokens: the numbers mean
nothing, the work is that of a small language model.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Case, Library, Measure, once

LAYERS, WIDTH, HEADS, VOCABULARY = 12, 128, 4, 512
BATCH, LENGTH = 4, 64
BOTH = ("ferax", "jax")


def init(library: Library) -> dict[str, Any]:
    """The parameters, drawn one operation at a time as people write it."""
    jnp, random = library.jnp, library.random
    keys = iter(random.split(random.PRNGKey(0), 2 + 4 * LAYERS))

    def matrix(*shape: int) -> Any:
        return random.normal(next(keys), shape) / math.sqrt(shape[0])

    def layer() -> dict[str, Any]:
        return {
            "norm1": {"scale": jnp.ones(WIDTH), "shift": jnp.zeros(WIDTH)},
            "qkv": matrix(WIDTH, 3 * WIDTH),
            "out": matrix(WIDTH, WIDTH),
            "norm2": {"scale": jnp.ones(WIDTH), "shift": jnp.zeros(WIDTH)},
            "up": {"w": matrix(WIDTH, 4 * WIDTH), "b": jnp.zeros(4 * WIDTH)},
            "down": {"w": matrix(4 * WIDTH, WIDTH), "b": jnp.zeros(WIDTH)},
        }

    return {
        "tokens": matrix(VOCABULARY, WIDTH),
        "positions": matrix(LENGTH, WIDTH),
        "layers": [layer() for _ in range(LAYERS)],
        "norm": {"scale": jnp.ones(WIDTH), "shift": jnp.zeros(WIDTH)},
    }


def zeros_like_params() -> dict[str, Any]:
    """Parameters without randomness, where only shapes matter or NumPy should make them."""
    rng = np.random.default_rng(0)

    def matrix(*shape: int) -> Any:
        return rng.standard_normal(shape, np.float32) / math.sqrt(shape[0])

    def norm() -> dict[str, Any]:
        return {
            "scale": np.ones(WIDTH, np.float32),
            "shift": np.zeros(WIDTH, np.float32),
        }

    def layer() -> dict[str, Any]:
        return {
            "norm1": norm(),
            "qkv": matrix(WIDTH, 3 * WIDTH),
            "out": matrix(WIDTH, WIDTH),
            "norm2": norm(),
            "up": {"w": matrix(WIDTH, 4 * WIDTH), "b": np.zeros(4 * WIDTH, np.float32)},
            "down": {"w": matrix(4 * WIDTH, WIDTH), "b": np.zeros(WIDTH, np.float32)},
        }

    return {
        "tokens": matrix(VOCABULARY, WIDTH),
        "positions": matrix(LENGTH, WIDTH),
        "layers": [layer() for _ in range(LAYERS)],
        "norm": norm(),
    }


def make_loss(library: Library) -> Callable[[Any, Any], Any]:
    """The mean cross entropy of predicting each token from those before it."""
    jnp, nn = library.jnp, library.nn

    def normalise(x: Any, norm: Any) -> Any:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
        return centred / jnp.sqrt(variance + 1e-5) * norm["scale"] + norm["shift"]

    def attend(x: Any, layer: Any) -> Any:
        batch, length, width = x.shape
        heads = (x @ layer["qkv"]).reshape(batch, length, 3, HEADS, width // HEADS)
        q, k, v = (heads[:, :, i] for i in range(3))
        scores = jnp.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(width // HEADS)
        past = jnp.tril(jnp.ones((length, length), dtype=bool))
        weights = nn.softmax(jnp.where(past, scores, -1e9), axis=-1)
        mixed = jnp.einsum("bhij,bjhd->bihd", weights, v)
        return mixed.reshape(batch, length, width) @ layer["out"]

    def feed(x: Any, layer: Any) -> Any:
        hidden = nn.gelu(x @ layer["up"]["w"] + layer["up"]["b"])
        return hidden @ layer["down"]["w"] + layer["down"]["b"]

    def loss(params: Any, tokens: Any) -> Any:
        x = params["tokens"][tokens] + params["positions"]
        for layer in params["layers"]:
            x = x + attend(normalise(x, layer["norm1"]), layer)
            x = x + feed(normalise(x, layer["norm2"]), layer)
        logits = normalise(x, params["norm"]) @ params["tokens"].T
        log_probabilities = nn.log_softmax(logits[:, :-1])
        targets = nn.one_hot(tokens[:, 1:], VOCABULARY)
        return -jnp.mean(jnp.sum(log_probabilities * targets, axis=-1))

    return loss


def make_step(library: Library, rate: float) -> Callable[[Any, Any, Any, Any], Any]:
    """(params, mean, square, tokens) -> the same after one step of Adam, and the loss."""
    lib, jnp = library.lib, library.jnp
    loss = make_loss(library)
    tree_map = lib.tree_util.tree_map

    def step(params: Any, mean: Any, square: Any, tokens: Any) -> Any:
        value, grads = lib.value_and_grad(loss)(params, tokens)
        mean = tree_map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = tree_map(lambda s, g: 0.999 * s + 0.001 * g * g, square, grads)
        params = tree_map(
            lambda p, m, s: p - rate * m / (jnp.sqrt(s) + 1e-8), params, mean, square
        )
        return params, mean, square, value

    return step


def operands(library: Library) -> list[Any]:
    """Parameters, the two moments of Adam, and a batch of tokens."""
    tree_map = library.lib.tree_util.tree_map
    params = tree_map(library.array, zeros_like_params())
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, (BATCH, LENGTH), np.int32)
    moments = [tree_map(library.jnp.zeros_like, params) for _ in range(2)]
    return [params, *moments, library.array(tokens)]


# A rate of its own for each round makes each program new: no cache can know it.
def _rate(turn: int) -> float:
    return 1e-3 + 1e-7 * (turn + 1)


def _stages(library: Library) -> dict[str, Measure]:
    """Tracing, lowering, compiling and running, each phase of all libraries in turn."""
    lib = library.lib
    state = operands(library)
    made: dict[str, Any] = {}

    def trace(turn: int) -> float:
        step = make_step(library, _rate(turn))
        return once(lambda: lib.make_jaxpr(step)(*state))

    def lower(turn: int) -> float:
        step = make_step(library, _rate(turn))
        traced = lib.jit(step, donate_argnums=(0, 1, 2)).trace(*state)

        def lowering() -> None:
            made["lowered"] = traced.lower()

        return once(lowering)

    def compile_(turn: int) -> float:
        def compiling() -> None:
            made["compiled"] = made["lowered"].compile()

        return once(compiling)

    def run(turn: int) -> float:
        if turn == 0:
            library.wait(_advance(made["compiled"], state))
        number = 5
        return (
            once(lambda: library.wait(_advance(made["compiled"], state, number)))
            / number
        )

    return {"trace": trace, "lower": lower, "compile": compile_, "step": run}


def _advance(step: Callable[..., Any], state: list[Any], number: int = 1) -> Any:
    for _ in range(number):
        *state[:3], loss = step(*state)
    return loss


def _first_step(library: Library) -> dict[str, Measure]:
    """In a fresh process: drawing the parameters op by op, then the first jitted step."""
    state: list[Any] = []

    def initialise(turn: int) -> float:
        return once(lambda: library.wait(init(library)))

    def trace(turn: int) -> float:
        state.extend(operands(library))
        step = make_step(library, _rate(-2))
        return once(lambda: library.lib.make_jaxpr(step)(*state))

    def first(turn: int) -> float:
        step = library.lib.jit(
            make_step(library, _rate(turn)), donate_argnums=(0, 1, 2)
        )
        return once(lambda: library.wait(_advance(step, state)))

    return {
        "draw the parameters, first time": initialise,
        "trace, first time": trace,
        "first step (trace, lower, compile, run)": first,
    }


def _memory(library: Library) -> dict[str, Measure]:
    """In a fresh process: the memory of the step, as planned by the compiler and as seen."""
    made: dict[str, Any] = {}

    def planned(turn: int) -> float:
        state = made["state"] = operands(library)
        step = library.lib.jit(
            make_step(library, _rate(turn)), donate_argnums=(0, 1, 2)
        )
        made["step"] = step.lower(*state).compile()
        plan = made["step"].memory_analysis()
        return float(
            plan.temp_size_in_bytes
            + plan.argument_size_in_bytes
            + plan.output_size_in_bytes
            - plan.alias_size_in_bytes
        )

    def seen(turn: int) -> float:
        reset_peak()
        library.wait(_advance(made["step"], made["state"], 4))
        return peak_resident()

    return {"planned memory of the step": planned, "peak memory of the process": seen}


def reset_peak() -> None:
    """Give free memory back to the system and start counting the peak anew (Linux)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        time.sleep(0.01)
    except (AttributeError, OSError):
        pass


def peak_resident() -> float:
    """The largest resident size since `reset_peak`, in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return float(line.split()[1]) * 1024


def _torch_step(library: Library) -> dict[str, Measure]:
    """The same step in PyTorch, eager."""
    torch = library.lib
    functional = torch.nn.functional

    def as_torch(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {k: as_torch(v) for k, v in tree.items()}
        if isinstance(tree, list):
            return [as_torch(v) for v in tree]
        return torch.from_numpy(tree).requires_grad_()

    def leaves(tree: Any) -> list[Any]:
        if isinstance(tree, (dict, list)):
            values = tree.values() if isinstance(tree, dict) else tree
            return [leaf for value in values for leaf in leaves(value)]
        return [tree]

    params = as_torch(zeros_like_params())
    flat = leaves(params)
    optimiser = torch.optim.Adam(flat, lr=1e-3)
    rng = np.random.default_rng(1)
    tokens = torch.from_numpy(rng.integers(0, VOCABULARY, (BATCH, LENGTH)))
    past = torch.tril(torch.ones(LENGTH, LENGTH, dtype=torch.bool))

    def normalise(x: Any, norm: Any) -> Any:
        return functional.layer_norm(x, (WIDTH,), norm["scale"], norm["shift"])

    def attend(x: Any, layer: Any) -> Any:
        heads = (x @ layer["qkv"]).reshape(BATCH, LENGTH, 3, HEADS, WIDTH // HEADS)
        q, k, v = heads.unbind(2)
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(WIDTH // HEADS)
        weights = torch.softmax(torch.where(past, scores, -1e9), -1)
        mixed = torch.einsum("bhij,bjhd->bihd", weights, v)
        return mixed.reshape(BATCH, LENGTH, WIDTH) @ layer["out"]

    def feed(x: Any, layer: Any) -> Any:
        hidden = functional.gelu(
            x @ layer["up"]["w"] + layer["up"]["b"], approximate="tanh"
        )
        return hidden @ layer["down"]["w"] + layer["down"]["b"]

    def step() -> None:
        x = params["tokens"][tokens] + params["positions"]
        for layer in params["layers"]:
            x = x + attend(normalise(x, layer["norm1"]), layer)
            x = x + feed(normalise(x, layer["norm2"]), layer)
        logits = normalise(x, params["norm"]) @ params["tokens"].T
        loss = functional.cross_entropy(
            logits[:, :-1].reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    nothing = {name: (lambda turn: math.nan) for name in ("trace", "lower", "compile")}
    return {
        **nothing,
        "step": lambda turn: once(lambda: [step() for _ in range(5)]) / 5,
    }


def _stages_any(library: Library) -> dict[str, Measure]:
    return _torch_step(library) if library.name == "torch" else _stages(library)


CASES = [
    Case("transformer", _first_step, BOTH, rounds=1, processes=3),
    Case("transformer", _stages_any, (*BOTH, "torch"), rounds=5, processes=1),
    Case("transformer", _memory, BOTH, rounds=1, processes=2),
]
