"""What do ten measurements say about the course of diabetes? Bayes' answer, by sampling.

Linear regression on the 442 patients of scikit-learn's diabetes data (Efron et al., 2004), with
unknown noise and an unknown width of the prior of the coefficients. Hamiltonian Monte Carlo
(Duane et al., 1987; Neal, 2011) walks through the twelve unknowns: `grad` gives the force, `scan`
the leapfrog steps, `vmap` the chains, and one `jit` compiles all of it. During warm-up the step
size is adapted by dual averaging (Hoffman and Gelman, 2014, section 3.2). Run it with

    python examples/hamiltonian_monte_carlo.py

and look at outputs/hamiltonian_monte_carlo.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax import lax, random

CHAINS, LEAPS, TARGET = 4, 16, 0.8  # TARGET: the share of proposals to accept
INK, BLUE, RED, GREY = "#1b263b", "#2a6f97", "#c8553d", "#8d99ae"
COLOURS = (BLUE, RED, "#e9a03b", "#5b8e7d")


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
    prior = jnp.sum(weights**2) / (2 * jnp.exp(2 * log_width)) + len(weights) * log_width
    wide = (log_noise**2 + log_width**2) / 2  # both are 1 within a factor of e or so
    return misfit + len(y) * log_noise + prior + wide


# -- the sampler: for *one* chain -------------------------------------------------------------


class Chain(NamedTuple):
    """Where a chain is, and how its step size has been found so far."""

    position: Any
    log_step: Any
    mean_log_step: Any  # the one to keep after warm-up
    shortfall: Any  # running mean of TARGET - acceptance
    turn: Any


def start(key: Any, dimensions: int) -> Chain:
    """Somewhere at random, with a careful step."""
    position = random.normal(key, (dimensions,))
    zero = jnp.float32(0)
    return Chain(position, jnp.log(jnp.float32(0.01)), zero, zero, zero)


def leapfrog(position: Any, momentum: Any, step: Any, force: Any) -> tuple[Any, Any]:
    """LEAPS steps of the motion dq/dt = p, dp/dt = force(q), keeping volume, nearly the energy."""

    def leap(state: Any, _: Any) -> tuple[Any, None]:
        position, momentum = state
        momentum = momentum + step / 2 * force(position)
        position = position + step * momentum
        return (position, momentum + step / 2 * force(position)), None

    return lax.scan(leap, (position, momentum), None, LEAPS)[0]


def move(chain: Chain, key: Any, x: Any, y: Any, warming: Any) -> tuple[Chain, Any]:
    """Give the chain a random push, follow the motion, accept where it ends or stay."""
    potential = partial(energy, x=x, y=y)
    push_key, accept_key, length_key = random.split(key, 3)
    push = random.normal(push_key, chain.position.shape)
    step = jnp.exp(jnp.where(warming, chain.log_step, chain.mean_log_step))
    step *= random.uniform(length_key, minval=0.8, maxval=1.2)  # against resonances
    end, speed = leapfrog(chain.position, push, step, lambda q: -ferax.grad(potential)(q))
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


def closed_form(x: Any, y: Any, noise: Any, width: Any) -> tuple[Any, Any]:
    """Means and deviations of the weights where noise and width are known: Gauss's formula."""
    precision = x.T @ x / noise**2 + jnp.eye(x.shape[1]) / width**2
    mean = jnp.linalg.solve(precision, x.T @ y / noise**2)
    return mean, jnp.sqrt(jnp.diag(jnp.linalg.inv(precision)))


