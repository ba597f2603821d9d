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
FINE = 20  # steps of the method per year
NAMES = ("birth of hares", "hunting", "death of lynxes", "feeding", "hares in 1900",
         "lynxes in 1900", "noise")  # fmt: skip
FIRST_GUESS = (1.0, 0.05, 1.0, 0.05, 30.0, 4.0, 1.0)
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
def adam_step(logs: Any, mean: Any, square: Any, step: Any, record: Any) -> Any:
    """One step of Adam (Kingma and Ba, 2015), slower and slower."""
    value, grad = ferax.value_and_grad(loss)(logs, record)
    mean, square = 0.9 * mean + 0.1 * grad, 0.99 * square + 0.01 * grad**2
    direction = mean / (1 - 0.9**step) / jnp.sqrt(square / (1 - 0.99**step) + 1e-12)
    return logs - 0.03 / jnp.sqrt(1 + step / 100) * direction, mean, square, value


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


def draw(
    path: Path, losses: Any, courses: Any, logs: Any, spread: Any, drawn: Any
) -> None:
    """Record, fit and what else could have been; the way down; the rates found."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7.5), layout="constrained")
    (top, _), (left, right) = axes = figure.subplots(2, 2, height_ratios=(1.5, 1))
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    for each in axes[0]:
        each.remove()
    top = figure.add_subplot(axes[0, 0].get_gridspec()[0, :])
