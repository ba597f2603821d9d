"""Reading handwritten digits: a classifier trained from nothing, in about a hundred lines.

The data are the 1,797 digits of 8 x 8 pixels that come with scikit-learn. The model is written
for *one* image; `vmap` makes it work on a batch. The training step is *one* function; `jit`
compiles it together with its gradient. Run it with

    python examples/digits.py            (or: python -m ferax.demo)

and look at outputs/digits.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import lax, nn, random

WIDTHS = (64, 256, 128, 10)  # pixels, two hidden layers, classes
BATCH = 64
RATE = 2e-3
DECAY = 1e-4  # of the weights, per unit of rate
SMOOTHING = 0.05  # of the targets: nobody is ever quite sure


# -- the model: parameters are plain lists and dicts ------------------------------------------


def init(key: Any) -> list[dict[str, Any]]:
    """He's initialisation: normal weights of variance 2 / (number of inputs), no bias."""
    keys = random.split(key, len(WIDTHS) - 1)
    return [
        {"w": random.normal(k, (m, n)) * jnp.sqrt(2.0 / n), "b": jnp.zeros(m)}
        for k, n, m in zip(keys, WIDTHS, WIDTHS[1:])
    ]


def predict(params: list[dict[str, Any]], image: Any) -> Any:
    """Logarithms of the ten probabilities for one image, float32[8,8] -> float32[10]."""
    x = image.reshape(-1)
    *hidden, last = params
    for layer in hidden:
        x = nn.relu(layer["w"] @ x + layer["b"])
    return nn.log_softmax(last["w"] @ x + last["b"])


def shifted(key: Any, image: Any) -> Any:
    """One image moved by up to a pixel up, down, left or right: more data for nothing."""
    corner = random.randint(key, (2,), 0, 3)
    return lax.dynamic_slice(jnp.pad(image, 1), (corner[0], corner[1]), image.shape)


def example_loss(params: list[dict[str, Any]], image: Any, label: Any) -> Any:
    """Cross entropy of one prediction with the smoothed truth."""
    truth = nn.one_hot(label, WIDTHS[-1]) * (1 - SMOOTHING) + SMOOTHING / WIDTHS[-1]
    return -jnp.sum(truth * predict(params, image))


def loss(params: list[dict[str, Any]], images: Any, labels: Any) -> Any:
    """The mean over a batch: `vmap` maps the images and labels, not the parameters."""
    return jnp.mean(
        ferax.vmap(example_loss, in_axes=(None, 0, 0))(params, images, labels)
    )


# -- training -------------------------------------------------------------------------------


class State(NamedTuple):
    """Everything that a training step changes."""

    params: Any
    mean: Any  # Adam's running means of the gradient
    square: Any  # and of its square
    step: Any


def start(key: Any) -> State:
    params = init(key)
    zeros = ferax.tree.map(jnp.zeros_like, params)
    return State(params, zeros, zeros, jnp.float32(0))


@ferax.jit
def train_step(state: State, key: Any, images: Any, labels: Any, rate: Any) -> Any:
    """One step of Adam (Kingma and Ba, 2015, algorithm 1) with decoupled weight decay."""
    images = ferax.vmap(shifted)(random.split(key, len(images)), images)
    value, grads = ferax.value_and_grad(loss)(state.params, images, labels)
    step = state.step + 1
    mean = ferax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.mean, grads)
    square = ferax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, state.square, grads)

    def update(p: Any, m: Any, s: Any) -> Any:
        m, s = m / (1 - 0.9**step), s / (1 - 0.999**step)
        return p - rate * (m / (jnp.sqrt(s) + 1e-8) + DECAY * p)

    return State(
        ferax.tree.map(update, state.params, mean, square), mean, square, step
    ), value


@ferax.jit
def probabilities(params: Any, images: Any) -> Any:
    """float32[n,8,8] -> float32[n,10]; each row sums to 1."""
    return jnp.exp(ferax.vmap(predict, in_axes=(None, 0))(params, images))


class Result(NamedTuple):
    """What training leaves behind."""

    losses: list[float]  # per epoch
    accuracies: list[float]  # on the test images, per epoch
    images: np.ndarray  # the test images
    labels: np.ndarray
    chances: np.ndarray  # the predicted probabilities, float32[n,10]
    seconds: float


def load() -> list[np.ndarray]:
    """Training and test images (in [0, 1]) and their labels; a quarter is kept for the test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    return train_test_split(  # type: ignore[no-any-return]
        images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )


def train(epochs: int, seed: int, report: Any) -> Result:
    """Train for a number of passes over the data; `report(loss, accuracy)` after each."""
    images, test_images, labels, test_labels = load()
    begin = time.perf_counter()
    key = random.key(seed)
    state = start(random.fold_in(key, 0))
    batches = len(images) // BATCH
    losses, accuracies = [], []
    for epoch in range(epochs):
        key, order_key = random.split(key)
        order = np.asarray(random.permutation(order_key, len(images)))
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        values = []
        for batch in order[: batches * BATCH].reshape(batches, BATCH):
            key, step_key = random.split(key)
            state, value = train_step(
                state, step_key, images[batch], labels[batch], rate
            )
            values.append(value)
        chances = np.asarray(probabilities(state.params, test_images))
        losses.append(float(np.mean([float(v) for v in values])))
        accuracies.append(float(np.mean(chances.argmax(1) == test_labels)))
        report(losses[-1], accuracies[-1])
    seconds = time.perf_counter() - begin
    return Result(losses, accuracies, test_images, test_labels, chances, seconds)


# -- the picture ------------------------------------------------------------------------------

INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"


def draw(result: Result, path: Path) -> None:
    """Loss curve, confusion matrix, and the test images that the model is least sure of."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {
        "font.size": 11,
        "axes.edgecolor": GREY,
        "axes.titlesize": 13,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 12,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(14, 9.6), layout="constrained")
        figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.15)
        rows: Any = figure.subfigures(3, 1, height_ratios=(2.6, 1.1, 1))
        top, hardest, typical = rows
        left, right = top.subplots(1, 2, width_ratios=(1.2, 1))
        draw_curves(left, result)
        draw_confusion(right, result)
        truth = result.chances[np.arange(len(result.labels)), result.labels]
        least_sure = np.argsort(truth)[:10]
        draw_samples(hardest, "The ten hardest test images", result, least_sure)
        one_of_each = np.argmax(result.labels == np.arange(10)[:, None], axis=1)
        draw_samples(typical, "One of each", result, one_of_each)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, facecolor="white")


def draw_curves(axes: Any, result: Result) -> None:
    """Training loss on the left axis, test accuracy on the right one."""
    epochs = np.arange(1, len(result.losses) + 1)
    axes.set_title("Learning")
    axes.plot(epochs, result.losses, color=BLUE, linewidth=2)
    axes.set_ylim(0, 1.05 * max(result.losses))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (cross entropy)", color=BLUE)
    axes.tick_params(axis="y", colors=BLUE)
    axes.set_xlim(0, len(epochs) + 1)
    axes.grid(alpha=0.25)
    second = axes.twinx()
    second.plot(epochs, 100 * np.array(result.accuracies), color=RED, linewidth=2)
    second.set_ylabel("test accuracy (%)", color=RED)
    second.tick_params(axis="y", colors=RED)
    second.set_ylim(min(80, 100 * min(result.accuracies[1:] or [0])), 100.4)
    for each in (axes, second):
        each.spines["top"].set_visible(False)
    second.annotate(
        f"{result.accuracies[-1]:.1%}",
        (epochs[-1], 100 * result.accuracies[-1]),
        xytext=(-6, -22),
        textcoords="offset points",
        ha="right",
        color=RED,
        fontsize=15,
        fontweight="bold",
    )


def draw_confusion(axes: Any, result: Result) -> None:
    """How often digit i (row) was read as j (column); off the diagonal are mistakes."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (result.labels, result.chances.argmax(1)), 1)
    mistakes = counts * (1 - np.eye(10, dtype=int))
    axes.set_title(f"{mistakes.sum()} mistakes in {counts.sum()} test images")
    colours = np.ones((10, 10, 3))
    colours[np.eye(10, dtype=bool)] = (0.84, 0.90, 0.94)
    share = (mistakes / max(mistakes.max(), 1))[..., None]
    red = 1 - (0.3 + 0.6 * share) * np.array([0.2, 0.65, 0.75])
    colours = np.where(share > 0, red, colours)
    axes.imshow(colours)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            weight = "normal" if i == j else "bold"
            axes.text(j, i, count, ha="center", va="center", fontsize=10, weight=weight)
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.set_xticks(np.arange(-0.5, 10), minor=True)
    axes.set_yticks(np.arange(-0.5, 10), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("read as")
    axes.set_ylabel("written")


def draw_samples(figure: Any, title: str, result: Result, chosen: Any) -> None:
    """A row of test images, each with what it was read as and how surely."""
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    for axes, index in zip(figure.subplots(1, len(chosen)), chosen):
        chances = result.chances[index]
        read, written = int(chances.argmax()), int(result.labels[index])
        colour = BLUE if read == written else RED
        axes.imshow(result.images[index], cmap="gray_r", vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(colour)
        axes.spines[:].set_linewidth(1.6)
        truth = "" if read == written else f"\nwritten as {written}"
        axes.set_xlabel(
            f"{read}  ({chances[read]:.0%}){truth}", color=colour, labelpad=5
        )


# -- the program ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with a progress bar, print the result, draw the picture."""
    parser = argparse.ArgumentParser(
        description="Train a classifier of handwritten digits."
    )
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("outputs/digits.png"))
    options = parser.parse_args(arguments)
    missing = [x for x in ("matplotlib", "rich", "sklearn") if find_spec(x) is None]
    if missing:
        print(f"This needs {', '.join(missing)} too: pip install 'ferax[viz]'")
        return 1
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console()
    columns = (
        TextColumn("[bold]training"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=options.epochs, state="compiling")

        def report(loss: float, accuracy: float) -> None:
            state = f"loss {loss:.4f}  test accuracy [bold]{accuracy:.2%}"
            progress.update(task, advance=1, state=state)

        result = train(options.epochs, options.seed, report)
    draw(result, options.output)
    console.print(
        f"test accuracy [bold]{result.accuracies[-1]:.2%}[/] on {len(result.labels)} images "
        f"after {result.seconds:.1f} s of training, compilation included"
    )
    console.print(f"picture: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
