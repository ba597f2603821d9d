"""A small language model that learns to write Python from Python's own standard library.

A transformer (Vaswani et al., 2017; normalised before each block as in GPT-2) reads the text of
the library character by character and guesses what comes next. Everything is here: the text, the
model for *one* piece of it (`vmap` makes the batch), Adam, and the writing, which is one `scan`.
Two or three minutes on two cores teach it words, indentation and docstrings, if not what they mean:

    python examples/character_transformer.py        (--steps 10000: a better writer)

and look at outputs/character_transformer.png.
"""

from __future__ import annotations

import argparse
import math
import sys
import sysconfig
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import lax, nn, random

LAYERS, WIDTH, HEADS, CONTEXT = 2, 128, 4, 128
BATCH, RATE, WARM_UP = 8, 5e-3, 50
CHARACTERS = "\n\t" + "".join(map(chr, range(32, 127)))  # anything else is left out
PROMPT = "\n\nclass Stack:\n\n\tdef "
INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"


def read_library(size: int = 1_500_000) -> np.ndarray:
    """The library's first `size` characters, four spaces being one (a tab): int32[size]."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py"))
    text = "\n".join(path.read_text("utf-8", "ignore") for path in paths)
    place = {character: i for i, character in enumerate(CHARACTERS)}
    known = [place[c] for c in text[: 2 * size].replace("    ", "\t") if c in place]
    return np.array(known[:size], np.int32)


# -- the model: parameters are plain lists and dicts ------------------------------------------


def init(key: Any) -> dict[str, Any]:
    """Weights that keep the size of what passes through; each block begins as almost nothing."""
    keys = iter(random.split(key, 2 + 4 * LAYERS))

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Any:
        return random.normal(next(keys), (rows, columns)) * gain / math.sqrt(rows)

    def layer() -> dict[str, Any]:
        blocks = {"qkv": matrix(WIDTH, 3 * WIDTH), "mix": matrix(WIDTH, WIDTH, 0.2)}
        blocks |= {
            "up": matrix(WIDTH, 4 * WIDTH),
            "down": matrix(4 * WIDTH, WIDTH, 0.2),
        }
        return {"scales": jnp.ones((2, WIDTH)), **blocks}

    return {
        "characters": 0.05 * random.normal(next(keys), (len(CHARACTERS), WIDTH)),
        "places": 0.05 * random.normal(next(keys), (CONTEXT, WIDTH)),
        "layers": [layer() for _ in range(LAYERS)],
        "scale": jnp.ones(WIDTH),
    }


def attend(x: Any, layer: dict[str, Any]) -> Any:
    """Every place looks at itself and those before it: float32[n,width] -> the same."""
    # half of each place is what its neighbour has ("token shift", Peng 2023)
    half = WIDTH // 2
    x = jnp.hstack([x[:, :half], jnp.pad(x[:-1, half:], ((1, 0), (0, 0)))])
    q, k, v = jnp.split((x @ layer["qkv"]).reshape(len(x), 3 * HEADS, -1), 3, axis=1)
    scores = jnp.einsum("ihd,jhd->hij", q, k) / math.sqrt(WIDTH // HEADS)
    past = jnp.tril(jnp.ones((len(x), len(x)), bool))
    weights = nn.softmax(jnp.where(past, scores, -jnp.inf))
    return jnp.einsum("hij,jhd->ihd", weights, v).reshape(x.shape) @ layer["mix"]


def predict(params: dict[str, Any], text: Any) -> Any:
    """Log probabilities of what follows each character: int32[n] -> float32[n,characters]."""
    x = params["characters"][text] + params["places"][: len(text)]
    for layer in params["layers"]:
        first, second = layer["scales"]
        x = x + attend(nn.standardize(x) * first, layer)
        x = x + nn.gelu(nn.standardize(x) * second @ layer["up"]) @ layer["down"]
    x = nn.standardize(x) * params["scale"]
    return nn.log_softmax(x @ params["characters"].T)


def loss(params: dict[str, Any], texts: Any) -> Any:
    """Nats per character: the mean cross entropy of int32[batch,n+1]."""
    guesses = ferax.vmap(predict, in_axes=(None, 0))(params, texts[:, :-1])
    return -jnp.mean(jnp.take_along_axis(guesses, texts[:, 1:, None], axis=-1))


# -- training and writing ---------------------------------------------------------------------


def start(key: Any) -> tuple[Any, ...]:
    """The parameters, Adam's means of gradients and of their squares, the steps done."""
    params = init(key)
    mean, square = (ferax.tree.map(jnp.zeros_like, params) for _ in range(2))
    return params, mean, square, jnp.float32(0)


def cut(key: Any, corpus: Any, pieces: int) -> Any:
    """Pieces from anywhere in the text, one character longer than what the model reads."""
    begins = random.randint(key, (pieces, 1), 0, len(corpus) - CONTEXT)
    return corpus[begins + jnp.arange(CONTEXT + 1)]


@ferax.jit(donate_argnums=0)
def train_step(state: Any, key: Any, corpus: Any, steps: Any) -> tuple[Any, Any]:
    """One step of Adam (Kingma and Ba, 2015), the rate warmed up, then let down to nothing."""
    params, mean, square, step = state
    texts = cut(random.fold_in(key, step), corpus, BATCH)
    value, grads = ferax.value_and_grad(loss)(params, texts)
    step = step + 1
    rate = RATE * jnp.minimum(
        step / WARM_UP, 0.5 + 0.5 * jnp.cos(jnp.pi * step / steps)
    )
    mean = ferax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
    square = ferax.tree.map(lambda s, g: 0.99 * s + 0.01 * g * g, square, grads)

    def update(p: Any, m: Any, s: Any) -> Any:
        return p - rate * m / (1 - 0.9**step) / (jnp.sqrt(s / (1 - 0.99**step)) + 1e-8)

    return (ferax.tree.map(update, params, mean, square), mean, square, step), value


@ferax.jit(static_argnums=3)
def write(params: Any, key: Any, prompt: Any, length: int, warmth: Any = 0.7) -> Any:
    """Go on after the prompt: characters, log probabilities; int32[length], float32[length]."""

    def one_more(window: Any, key: Any) -> tuple[Any, Any]:
        chances = predict(params, window)[-1]
        character = random.categorical(key, chances / warmth)
        return jnp.append(window[1:], character), (character, chances[character])

    window = jnp.full(CONTEXT, prompt[0]).at[-len(prompt) :].set(prompt)
    return lax.scan(one_more, window, random.split(key, length))[1]


def draw(losses: Any, tests: Any, text: str, surprise: Any, path: Path) -> None:
    """How it learnt, and what it wrote."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    title = {"loc": "left", "weight": "bold", "pad": 12}
    left.set_title("Learning", **title)
    left.plot(losses, color=BLUE, alpha=0.35, linewidth=1, label="each batch")
    left.plot(*zip(*tests), "o-", color=RED, markersize=5, label="unseen modules")
    left.axhline(
        math.log(len(CHARACTERS)), color=GREY, linestyle=":", label="guessing at random"
    )
    left.set(xlabel="step", ylabel="nats per character", xlim=0, ylim=(0, 4.8))
    left.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, loc="lower left")
    right.set_title(
        "Writing (the redder, the less it expected its own character)", **title
    )
    right.set(xlim=(0, 88), ylim=(36, 0))
    right.set_axis_off()
    colours = LinearSegmentedColormap.from_list("", [INK, BLUE, RED, RED])
    style = {"family": "monospace", "fontsize": 9.5, "va": "top"}
    row = column = 0
    for character, amount in zip(text, surprise):
        width = 4 if character == "\t" else 1
        if character == "\n" or column + width > 88:
            row, column = row + 1, 0
        if character != "\n" and row < 36:
            right.text(
                column, row, character.strip(), color=colours(amount / 5), **style
            )
            column += width
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with a progress bar, let the model write, draw the picture."""
    parser = argparse.ArgumentParser(description="Learn to write Python, by character.")
    parser.add_argument("--steps", type=int, default=2000, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--length", type=int, default=1200, help="of what it writes")
    default = Path("outputs/character_transformer.png")
    parser.add_argument("--output", type=Path, default=default)
    options = parser.parse_args(arguments)
    missing = [x for x in ("matplotlib", "rich") if find_spec(x) is None]
    if missing:
        print(f"This needs {', '.join(missing)} too: pip install 'ferax[viz]'")
        return 1
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    begin = time.perf_counter()
    corpus, unseen = jnp.split(jnp.asarray(read_library()), [1_400_000])
    key, test = random.key(options.seed), ferax.jit(loss)
    state, losses, tests = start(key), [], []
    unseen = cut(key, unseen, 32)
    fields = TextColumn("step {task.completed}/{task.total}  {task.description}")
    with Progress(BarColumn(), fields, TimeRemainingColumn()) as progress:
        task = progress.add_task("compiling", total=options.steps)
        for step in range(options.steps):
            state, value = train_step(state, key, corpus, options.steps)
            losses.append(float(value))
            if step % 100 == 0 or step == options.steps - 1:
                tests.append((step, float(test(state[0], unseen))))
            report = f"loss {losses[-1]:.3f}  unseen [bold]{tests[-1][1]:.3f}"
            progress.update(task, advance=1, description=report)
    seconds = time.perf_counter() - begin
    prompt = np.array([CHARACTERS.index(c) for c in PROMPT], np.int32)
    written, chances = write(state[0], key, prompt, options.length)
    text = PROMPT + "".join(CHARACTERS[i] for i in np.asarray(written))
    print(text.expandtabs(4))
    print(f"\nnats per character of unseen modules: {tests[0][1]:.3f} at first, "
          f"{tests[-1][1]:.3f} after {options.steps} steps in {seconds:.1f} s")  # fmt: skip
    surprise = [0.0] * len(PROMPT) + list(-np.asarray(chances))
    draw(losses, tests, text, surprise, options.output)
    print(f"picture: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
