"""The first model of everybody: a straight line through noisy points, by gradient descent.

A thousand steps of `theta - 0.1 * grad(loss)(theta, x, y)`, once operation by operation and once
compiled by `jit`: the same numbers, at two speeds. Run it with

    python examples/linear_regression.py

and look at outputs/linear_regression.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import random

SLOPE, OFFSET, NOISE = 3.0, -1.0, 0.1
POINTS, STEPS, RATE = 100, 1000, 0.1


def data(key: Any) -> tuple[Any, Any]:
    """Points around the line y = 3 x - 1: float32[100] twice."""
    x_key, noise_key = random.split(key)
    x = random.normal(x_key, (POINTS,))
    return x, SLOPE * x + OFFSET + NOISE * random.normal(noise_key, (POINTS,))


def predict(theta: Any, x: Any) -> Any:
    slope, offset = theta
    return slope * x + offset


def loss(theta: Any, x: Any, y: Any) -> Any:
    """The mean squared error."""
    return jnp.mean((predict(theta, x) - y) ** 2)


def update(theta: Any, x: Any, y: Any) -> Any:
    """One step down the gradient."""
    return theta - RATE * ferax.grad(loss)(theta, x, y)


def descend(step: Callable[..., Any], x: Any, y: Any) -> tuple[np.ndarray, float]:
    """The parameters before each step and after the last, float32[1001,2], and the seconds."""
    theta = jnp.array([1.0, 1.0])
    path = [theta]
    start = time.perf_counter()
    for _ in range(STEPS):
        theta = step(theta, x, y)
        path.append(theta)
    path_of_numbers = np.stack([np.asarray(theta) for theta in path])
    return path_of_numbers, time.perf_counter() - start


INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"


def draw(x: Any, y: Any, path: np.ndarray, output: Path) -> None:
    """The points with lines of some steps, and the way of the parameters over the loss."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {
        "font.size": 11,
        "axes.edgecolor": GREY,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 12,
        "text.color": INK,
        "axes.labelcolor": INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(13, 5.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_lines(left, np.asarray(x), np.asarray(y), path)
        draw_path(right, x, y, path)
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=130)


def draw_lines(axes: Any, x: np.ndarray, y: np.ndarray, path: np.ndarray) -> None:
    ends = np.array([x.min() - 0.2, x.max() + 0.2])
    axes.set_title("A line finds its points")
    axes.scatter(x, y, s=22, color=BLUE, alpha=0.75, linewidths=0, label="data")
    for step, alpha in ((0, 0.35), (2, 0.5), (5, 0.65), (STEPS, 1.0)):
        slope, offset = path[step]
        axes.plot(ends, slope * ends + offset, color=RED, alpha=alpha, linewidth=2)
        label = "start" if step == 0 else f"{step} steps"
        spot = (ends[1], slope * ends[1] + offset)
        axes.annotate(
            label,
            spot,
            xytext=(5, -4),
            textcoords="offset points",
            color=RED,
            alpha=alpha,
        )
    axes.set_xlim(ends[0], ends[1] + 1.0)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.spines[["top", "right"]].set_visible(False)
    slope, offset = path[-1]
    axes.text(
        0.03, 0.95, f"y = {slope:.2f} x {'−+'[int(offset > 0)]} {abs(offset):.2f}",
        transform=axes.transAxes,
        fontsize=15, fontweight="bold", color=RED, va="top",
    )  # fmt: skip


def draw_path(axes: Any, x: Any, y: Any, path: np.ndarray) -> None:
    slopes, offsets = np.meshgrid(np.linspace(0.5, 4.5, 81), np.linspace(-2.5, 1.5, 81))
    grid = np.stack([slopes.ravel(), offsets.ravel()], axis=1).astype(np.float32)
    losses = ferax.vmap(loss, in_axes=(0, None, None))(grid, x, y)  # all at once
    height = np.asarray(losses).reshape(slopes.shape)
    axes.set_title("The way down")
    levels = np.geomspace(0.06, 15, 14)
    filled = axes.contourf(
        slopes,
        offsets,
        height,
        levels=levels,
        norm="log",
        cmap="Blues_r",
        extend="both",
    )
    axes.figure.colorbar(filled, label="mean squared error", format="%.2g")
    axes.plot(path[:, 0], path[:, 1], ".-", color=RED, markersize=6, linewidth=1.5)
    axes.plot(SLOPE, OFFSET, "+", color="white", markersize=14, markeredgewidth=2)
    axes.annotate(
        "truth",
        (SLOPE, OFFSET),
        xytext=(10, -14),
        textcoords="offset points",
        color="white",
    )
    axes.set_xlabel("slope")
    axes.set_ylabel("offset")
    axes.set_aspect("equal")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit the line in both ways, report, draw."""
    parser = argparse.ArgumentParser(description="Fit a line by gradient descent.")
    parser.add_argument(
        "--output", type=Path, default=Path("outputs/linear_regression.png")
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    x, y = data(random.PRNGKey(options.seed))
    for name, step in (("eager", update), ("jit", ferax.jit(update))):
        path, seconds = descend(step, x, y)
        slope, offset = path[-1]
        print(
            f"{name:>5}: w = {slope:.3f}, b = {offset:.3f}   ({STEPS} steps in {seconds:.2f} s)"
        )
    draw(x, y, path, options.output)
    print(f"picture: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
