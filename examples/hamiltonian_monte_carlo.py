"""What do ten measurements say about the course of diabetes? Bayes' answer, by sampling.

Linear regression on the 442 patients of scikit-learn's diabetes data (Efron et al., 2004), with
unknown noise and an unknown width of the prior of the coefficients. Hamiltonian Monte Carlo
(Duane et al., 1987; Neal, 2011) walks through the twelve unknowns: `grad` gives the force, `scan`
the leapfrog steps, `vmap` the chains, and one `jit` compiles all of it. During warm-up the step
size is adapted by dual averaging (Hoffman and Gelman, 2014, section 3.2). At the end the answer
stands beside the one in closed form, which this model happens to have. Run it with

    python examples/hamiltonian_monte_carlo.py

and look at outputs/hamiltonian_monte_carlo.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import lax, nn, random

CHAINS, LEAPS, BLOCK = 4, 16, 50
TARGET = 0.8  # the share of proposals to accept
INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"
COLOURS = (BLUE, RED, "#e9a03b", "#5b8e7d")
TITLE = {"loc": "left", "weight": "bold", "pad": 12}


def load() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Ten measurements of each patient and the progression, all of mean 0 and deviation 1."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = ((a - a.mean(0)) / a.std(0) for a in (x, y))
    names = "age sex bmi pressure cholesterol ldl hdl chol/hdl triglycerides glucose"
    return x.astype(np.float32), y.astype(np.float32), names.split()


# -- the model: position = ten coefficients, log noise, log width of the prior ----------------


def energy(position: Any, x: Any, y: Any) -> Any:
    """Minus the log posterior density, but for a constant: float32[12] -> float32[]."""
    weights, log_noise, log_width = position[:-2], position[-2], position[-1]
    misfit = jnp.sum((y - x @ weights) ** 2) / (2 * jnp.exp(2 * log_noise))
    prior = (
        jnp.sum(weights**2) / (2 * jnp.exp(2 * log_width)) + len(weights) * log_width
    )
    wide = (log_noise**2 + log_width**2) / 2  # both are 1 within a factor of e or so
    return misfit + len(y) * log_noise + prior + wide


# -- the sampler: for *one* chain -------------------------------------------------------------


class Chain(NamedTuple):
    """Where a chain is, and how its step size has been found so far."""

    position: Any
    log_step: Any = jnp.log(jnp.float32(0.01))
    mean_log_step: Any = jnp.float32(0)  # the one to keep after warm-up
    shortfall: Any = jnp.float32(0)  # the mean of TARGET - acceptance, so far
    turn: Any = jnp.float32(0)


def leapfrog(position: Any, momentum: Any, step: Any, force: Any) -> tuple[Any, Any]:
    """LEAPS steps of dq/dt = p, dp/dt = force(q), which keep volume and, nearly, energy."""

    def leap(state: Any, _: Any) -> tuple[Any, None]:
        position, momentum = state
        position = position + step * momentum
        return (position, momentum + step * force(position)), None

    momentum = momentum + step / 2 * force(position)
    position, momentum = lax.scan(leap, (position, momentum), None, LEAPS)[0]
    return position, momentum - step / 2 * force(position)


def move(chain: Chain, key: Any, x: Any, y: Any, warming: Any) -> tuple[Chain, Any]:
    """Give the chain a random push, follow the motion, accept where it ends or stay."""
    potential = partial(energy, x=x, y=y)
    push_key, accept_key, length_key = random.split(key, 3)
    push = random.normal(push_key, chain.position.shape)
    step = jnp.exp(jnp.where(warming, chain.log_step, chain.mean_log_step))
    step *= random.uniform(length_key, minval=0.8, maxval=1.2)  # against resonances
    end, speed = leapfrog(
        chain.position, push, step, lambda q: -ferax.grad(potential)(q)
    )
    before = potential(chain.position) + push @ push / 2
    change = potential(end) + speed @ speed / 2 - before
    chance = jnp.where(jnp.isnan(change), 0, jnp.exp(jnp.minimum(0, -change)))
    moved = jnp.where(random.uniform(accept_key) < chance, end, chain.position)
    # Dual averaging, with Hoffman and Gelman's constants.
    turn = chain.turn + 1
    shortfall = chain.shortfall + (TARGET - chance - chain.shortfall) / (turn + 10)
    log_step = jnp.log(0.1) - jnp.sqrt(turn) / 0.05 * shortfall
    weight = turn**-0.75
    mean_log_step = weight * log_step + (1 - weight) * chain.mean_log_step
    adapted = Chain(moved, log_step, mean_log_step, shortfall, turn)
    kept = chain._replace(position=moved)
    chain = ferax.tree.map(partial(jnp.where, warming), adapted, kept)
    return chain, (moved, chance)


@partial(ferax.jit, static_argnames="length")
def sample(chains: Chain, key: Any, x: Any, y: Any, warming: Any, length: int) -> Any:
    """`length` moves of every chain: chains, positions [chain, move, 12], chances of acceptance."""

    def one(chain: Chain, key: Any) -> Any:
        moves = random.split(key, length)
        return lax.scan(lambda c, k: move(c, k, x, y, warming), chain, moves)

    return ferax.vmap(one)(chains, random.split(key, len(chains.position)))


# -- what comes out ---------------------------------------------------------------------------


def r_hat(draws: Any) -> Any:
    """Gelman and Rubin's: the deviation of all draws over that within half chains; 1 is good."""
    halves = jnp.concatenate(jnp.split(draws, 2, axis=1))
    within = jnp.mean(jnp.var(halves, axis=1, ddof=1), axis=0)
    between = jnp.var(jnp.mean(halves, axis=1), axis=0, ddof=1)
    return jnp.sqrt(1 - 1 / halves.shape[1] + between / within)


def effective_draws(draws: Any) -> Any:
    """How many independent draws would tell the means as well as these: float32[12].

    Correlations of a chain with itself, k moves later, are summed up to the first pair of them
    that is negative (Geyer, 1992), over all chains (Vehtari et al., 2021, equations 10 to 13).
    """
    chains, n, _ = draws.shape
    spectrum = jnp.fft.rfft(draws - draws.mean(1, keepdims=True), 2 * n, axis=1)
    lagged = jnp.fft.irfft(jnp.abs(spectrum) ** 2, 2 * n, axis=1)[:, :n].mean(0) / n
    within = lagged[0] * n / (n - 1)
    variance = lagged[0] + jnp.var(draws.mean(1), axis=0, ddof=1)
    correlation = 1 - (within - lagged) / variance
    pairs = correlation[: n // 2 * 2].reshape(n // 2, 2, -1).sum(1)
    pairs = jnp.where(lax.cummin(pairs) > 0, lax.cummin(pairs), 0)
    return chains * n / (2 * pairs.sum(0) - 1)


def closed_form(x: Any, y: Any) -> tuple[Any, Any]:
    """Means and deviations of the weights without sampling.

    Where noise and width are known, the weights are normal (Gauss) and the density of the data is
    known as well; over a grid of noises and widths, the latter says how much each counts.
    """

    def known(log_noise: Any, log_width: Any) -> tuple[Any, Any, Any]:
        noise, width = jnp.exp(2 * log_noise), jnp.exp(2 * log_width)
        precision = x.T @ x / noise + jnp.eye(x.shape[1]) / width
        mean = jnp.linalg.solve(precision, x.T @ y / noise)
        variance = jnp.diag(jnp.linalg.inv(precision))
        _, volume = jnp.linalg.slogdet(precision)
        best = energy(jnp.append(mean, jnp.array([log_noise, log_width])), x, y)
        return mean, variance, -best - volume / 2

    grid = jnp.meshgrid(jnp.linspace(-0.6, 0.2, 41), jnp.linspace(-4, 2, 121))
    means, variances, log_density = ferax.vmap(known)(*(a.ravel() for a in grid))
    share = nn.softmax(log_density)
    mean = share @ means
    return mean, jnp.sqrt(share @ (variances + (means - mean) ** 2))


def draw(draws: Any, warm_up: int, names: list[str], exact: Any, path: Path) -> None:
    """The ways of the chains through three of the unknowns, and what is known about ten."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    draw_traces(left, draws, warm_up, names)
    draw_weights(right.subplots(), draws[:, warm_up:], names, exact)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")


def draw_traces(figure: Any, draws: Any, warm_up: int, names: list[str]) -> None:
    """Where the chains were at each move, for three of the unknowns."""
    later = draws[:, warm_up:]
    total = later.shape[0] * later.shape[1]
    rough, effective = np.asarray(r_hat(later)), np.asarray(effective_draws(later))
    shown = min(2 * warm_up, draws.shape[1]) or draws.shape[1]
    panels = figure.subplots(3, 1, sharex=True)
    for axes, which in zip(panels, (2, 4, 10)):
        for chain, colour in zip(draws[:, :shown, which], COLOURS):
            axes.plot(chain, color=colour, linewidth=0.8, alpha=0.8)
        middle, spread = later[..., which].mean(), later[..., which].std()
        axes.axvspan(0, warm_up, color=GREY, alpha=0.2, linewidth=0)
        axes.set(ylabel=[*names, "log noise"][which], xlim=(0, shown))
        axes.set_ylim(middle - 6 * spread, middle + 8 * spread)
        axes.spines[["top", "right"]].set_visible(False)
        note = (
            f"R-hat {rough[which]:.3f}, {total:,} draws worth {effective[which]:,.0f}"
        )
        axes.text(0.995, 0.93, note, ha="right", va="top", transform=axes.transAxes)
    panels[0].set_title(f"Where {CHAINS} chains went (grey: warm-up)", **TITLE)
    panels[-1].set_xlabel(f"move (the first {shown} of {draws.shape[1]})")
    figure.align_ylabels()


def draw_weights(axes: Any, later: Any, names: list[str], exact: Any) -> None:
    """What the draws say about each weight, beside the closed form."""
    order = np.argsort(exact[0])
    weights = later[..., order].reshape(-1, len(order))
    lines = np.quantile(weights, (0.025, 0.25, 0.5, 0.75, 0.975), axis=0)
    colours = np.where(lines[0] * lines[4] > 0, RED, BLUE)
    rows = np.arange(len(order))
    axes.set_title("What the data say: 50% and 95% intervals", **TITLE)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.hlines(rows, lines[0], lines[4], colours, linewidth=2, alpha=0.6)
    axes.hlines(rows, lines[1], lines[3], colours, linewidth=7)
    axes.plot(lines[2], rows, "o", color="white", markersize=4, zorder=3)
    axes.plot(exact[0][order], rows, "|", color=INK, markersize=20, zorder=4)
    axes.set_yticks(rows, [names[i] for i in order])
    axes.set_xlabel("deviations of the progression per deviation of the measurement")
    notes = "red: not 0, most surely\n| mean in closed form"
    axes.text(0.99, 0.02, notes, color=INK, ha="right", transform=axes.transAxes)
    axes.spines[["top", "right", "left"]].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample with a progress bar, print a table, draw the picture."""
    parser = argparse.ArgumentParser(description="Bayesian regression by HMC.")
    parser.add_argument(
        "--steps", type=int, default=2000, help="moves of a chain after the warm-up"
    )
    parser.add_argument("--warm-up", type=int, default=300, help="moves before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", type=Path, default="outputs/hamiltonian_monte_carlo.png"
    )
    options = parser.parse_args(arguments)
    missing = [x for x in ("matplotlib", "rich", "sklearn") if find_spec(x) is None]
    if missing:
        print(f"This needs {', '.join(missing)} too: pip install 'ferax[viz]'")
        return 1
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    x, y, names = load()
    key = random.key(options.seed)
    starts = random.normal(random.fold_in(key, 1), (CHAINS, 12))
    chains = ferax.vmap(Chain)(starts)
    parts, begin = [], time.perf_counter()
    fields = TextColumn("move {task.completed}/{task.total}  {task.description}")
    with Progress(BarColumn(), fields, TimeElapsedColumn()) as progress:
        task = progress.add_task("compiling", total=options.warm_up + options.steps)
        while not progress.finished:
            done = int(progress.tasks[0].completed)
            key, part_key = random.split(key)
            warming = done < options.warm_up
            chains, part = sample(chains, part_key, x, y, warming, BLOCK)
            parts.append(ferax.tree.map(np.asarray, part))
            report = f"accepted {parts[-1][1].mean():.0%}" + " (warm-up)" * warming
            progress.update(task, advance=BLOCK, description=report)
    seconds = time.perf_counter() - begin
    draws, chances = (np.concatenate(a, axis=1) for a in zip(*parts))
    later = draws[:, options.warm_up :]
    mean, deviation = later.mean((0, 1)), later.std((0, 1))
    rough, effective = r_hat(later), effective_draws(later)
    exact = [np.asarray(a) for a in ferax.jit(closed_form)(x, y)]
    print(
        "                 mean      sd   R-hat  effective   closed form: mean      sd"
    )
    for i, name in enumerate([*names, "log noise", "log width"]):
        formula = f"{exact[0][i]:20.3f} {exact[1][i]:7.3f}" if i < len(names) else ""
        print(f"{name:>13} {mean[i]:7.3f} {deviation[i]:7.3f} {rough[i]:7.3f} "
              f"{effective[i]:10.0f} {formula}")  # fmt: skip
    steps = np.exp(np.asarray(chains.mean_log_step))
    print(f"accepted {chances[:, options.warm_up :].mean():.1%} of the proposals, "
          f"steps of {steps.min():.3f} to {steps.max():.3f}; "
          f"{CHAINS} chains of {draws.shape[1]} moves in {seconds:.1f} s")  # fmt: skip
    draw(draws, options.warm_up, names, exact, options.output)
    print(f"picture: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
