"""Hares and lynxes: an equation fitted to a century-old record of furs.

The Hudson's Bay Company bought these many thousand pelts of hares and lynxes from 1900 to 1920
(Howard, 2009, after Hewitt, 1921); Lotka and Volterra's equation (1925) says that hares are born
and eaten, lynxes eat and die. What rates explain the record? Runge and Kutta's method of fourth
order inside a `scan` computes the populations, `grad` goes back through all of its steps, Adam
follows, and at the end the `hessian` says how sure all of this is. Run it with

    python examples/fit_ode.py

and look at outputs/fit_ode.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import lax, random

YEARS = np.arange(1900, 1921)
HARES = [30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1,
         40.3, 57, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7]  # fmt: skip
LYNXES = [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4,
          8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]  # fmt: skip
RECORD = np.array([HARES, LYNXES], np.float32).T
FINE, BLOCK = 20, 50  # steps of the method per year, steps of the descent per call
NAMES = ("birth of hares", "hunting", "death of lynxes", "feeding", "hares in 1900",
         "lynxes in 1900", "noise")  # fmt: skip
UNITS = ("a year", "a year and 1000 lynxes", "a year", "a year and 1000 hares", "thousand",
         "thousand", "of the number")  # fmt: skip
# A cycle of ten years is 2π/√(birth death), the means are death/feeding and birth/hunting.
FIRST_GUESS = (0.63, 0.03, 0.63, 0.018, 30.0, 4.0, 0.5)
INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"


# -- the equation and its solution ------------------------------------------------------------


def change(animals: Any, rates: Any) -> Any:
    """d(hares, lynxes)/dt, float32[2] -> float32[2]."""
    hares, lynxes = animals
    birth, hunting, death, feeding = rates
    return jnp.stack([
        (birth - hunting * lynxes) * hares,
        (feeding * hares - death) * lynxes,
    ])  # fmt: skip


def runge_kutta(animals: Any, rates: Any, step: float) -> Any:
    """One step of the classical method: four looks at the slope."""
    a = change(animals, rates)
    b = change(animals + step / 2 * a, rates)
    c = change(animals + step / 2 * b, rates)
    d = change(animals + step * c, rates)
    return animals + step / 6 * (a + 2 * b + 2 * c + d)


def solve(logs: Any, years: int = len(YEARS) - 1) -> Any:
    """The animals at each of FINE steps per year: float32[7] -> float32[FINE*years+1,2]."""
    rates, first = jnp.exp(logs[:4]), jnp.exp(logs[4:6])

    def step(animals: Any, _: Any) -> tuple[Any, Any]:
        after = runge_kutta(animals, rates, 1 / FINE)
        return after, after

    _, later = lax.scan(step, first, None, FINE * years)
    return jnp.concatenate([first[None], later])


def loss(logs: Any, record: Any) -> Any:
    """Minus the log posterior density: log-normal errors, and rates within reason.

    The unknowns are logarithms, so that everything stays positive and errors are shares.
    """
    misfit = jnp.log(record) - jnp.log(solve(logs)[::FINE])
    likelihood = jnp.sum(misfit**2) / (2 * jnp.exp(2 * logs[6])) + misfit.size * logs[6]
    return likelihood + jnp.sum((logs - jnp.log(jnp.array(FIRST_GUESS))) ** 2) / 2


@ferax.jit
def descend(state: Any, record: Any) -> tuple[Any, Any]:
    """BLOCK steps of Adam (Kingma and Ba, 2015), shorter and shorter: state, losses."""

    def step(state: Any, _: Any) -> tuple[Any, Any]:
        logs, mean, square, done = state
        value, grad = ferax.value_and_grad(loss)(logs, record)
        done = done + 1
        mean, square = 0.9 * mean + 0.1 * grad, 0.99 * square + 0.01 * grad**2
        direction = mean / (1 - 0.9**done) / jnp.sqrt(square / (1 - 0.99**done) + 1e-12)
        rate = 0.03 / jnp.sqrt(1 + done / 100)
        return (logs - rate * direction, mean, square, done), value

    return lax.scan(step, state, None, BLOCK)


@ferax.jit
def plausible(key: Any, logs: Any, record: Any) -> tuple[Any, Any, Any]:
    """Laplace's approximation: the posterior is normal where the hessian is its precision.

    Returns the covariance float32[7,7], the eigenvalues of the hessian (all positive at a
    minimum), and 200 courses of the animals drawn from the posterior.
    """
    precision = ferax.hessian(loss)(logs, record)
    covariance = jnp.linalg.inv(precision)
    draws = random.multivariate_normal(key, logs, covariance, (200,))
    return covariance, jnp.linalg.eigvalsh(precision), ferax.vmap(solve)(draws)


def draw(losses: Any, courses: Any, drawn: Any, rates: Any, path: Path) -> None:
    """The record with its fit and what else could have been; the way down; the rates found."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.6, 1), hspace=0.04)
    axes, (down, found) = top.subplots(), bottom.subplots(1, 2, width_ratios=(1, 1.2))
    for each in (axes, down, found):
        each.spines[["top", "right"]].set_visible(False)
    title = {"loc": "left", "weight": "bold", "pad": 10}
    axes.set_title(
        "Hares and lynxes: record, fit, and 95% of what else is plausible", **title
    )
    years = np.linspace(YEARS[0], YEARS[-1], courses[0].shape[0])
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    for i, (name, colour) in enumerate((("hares", BLUE), ("lynxes", RED))):
        axes.fill_between(
            years, low[:, i], high[:, i], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(years, courses[0][:, i], ":", color=colour, linewidth=1.2)
        axes.plot(years, courses[-1][:, i], color=colour, linewidth=2.5, label=name)
        axes.plot(YEARS, RECORD[:, i], "o", color=colour, markersize=7)
    axes.plot([], [], ":", color=INK, label="first guess")
    axes.plot([], [], "o", color=INK, label="record")
    axes.set(
        ylabel="thousand pelts", ylim=(0, 115), xlim=(1899.7, 1920.3), xticks=YEARS[::2]
    )
    axes.legend(frameon=False, ncols=4, loc="upper right")
    down.set_title("The way down", **title)
    down.plot(range(1, len(losses) + 1), losses, color=BLUE, linewidth=2)
    down.set(xlabel="step", ylabel="minus log posterior density", xlim=1, xscale="log")
    found.set_title("What was found, with 95% intervals", **title)
    for row, (value, spread) in enumerate(zip(*rates)):
        low, high = (value * np.exp(sign * 1.96 * spread) for sign in (-1, 1))
        found.plot((low / value, high / value), (row, row), color=BLUE, linewidth=6)
        found.plot(1, row, "o", color="white", markersize=4)
        text = f"{value:.3g}  ({low:.3g} to {high:.3g})  {UNITS[row]}"
        found.text(1.55, row, text, va="center")
    found.set_yticks(range(len(NAMES)), NAMES)
    found.set(xlim=(0.7, 2.5), ylim=(6.6, -0.6), xticks=(0.75, 1, 1.25))
    found.spines["bottom"].set_bounds(0.7, 1.4)
    found.set_xlabel("relative to the best value", loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit with a progress bar, print what was found, draw the picture."""
    parser = argparse.ArgumentParser(description="Fit an equation to hares and lynxes.")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the plausible courses")
    parser.add_argument("--output", type=Path, default="outputs/fit_ode.png")
    options = parser.parse_args(arguments)
    missing = [x for x in ("matplotlib", "rich") if find_spec(x) is None]
    if missing:
        print(f"This needs {', '.join(missing)} too: pip install 'ferax[viz]'")
        return 1
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    begin = time.perf_counter()
    record, first = jnp.asarray(RECORD), jnp.log(jnp.array(FIRST_GUESS))
    state = (first, jnp.zeros_like(first), jnp.zeros_like(first), jnp.float32(0))
    losses: list[float] = []
    fields = TextColumn("step {task.completed}/{task.total}  {task.description}")
    with Progress(BarColumn(), fields, TimeElapsedColumn()) as progress:
        task = progress.add_task("compiling", total=options.steps)
        while len(losses) < options.steps:
            state, some = descend(state, record)
            losses += some.tolist()
            progress.update(task, advance=BLOCK, description=f"loss {losses[-1]:.4f}")
    logs = state[0]
    covariance, curvatures, drawn = plausible(random.key(options.seed), logs, record)
    rates = np.exp(np.asarray(logs)), np.sqrt(np.diag(np.asarray(covariance)))
    for name, unit, value, spread in zip(NAMES, UNITS, *rates):
        print(f"{name:>16} {value:8.4f}  ± {spread:3.0%}  {unit}")
    print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} steps; "
          f"the least curvature is {np.min(curvatures):.2f} > 0: a minimum; "
          f"{time.perf_counter() - begin:.1f} s in all")  # fmt: skip
    courses = [np.asarray(solve(each)) for each in (first, logs)]
    draw(losses, courses, np.asarray(drawn), rates, options.output)
    print(f"picture: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
