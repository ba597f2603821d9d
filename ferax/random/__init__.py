"""Random numbers: explicit keys, and functions that turn one key into an array.

A key is a value. The same key gives the same numbers, on every device and under every
transformation, unless it was made for a generator of the compiler's (`keys` tells which); new
keys come from `split` and `fold_in`.

>>> from ferax import random
>>> key = random.key(42)
>>> first, second = random.split(key)
>>> random.normal(first, (2,)).round(3)
Array([ 0.076, -0.486], dtype=float32)
"""

from __future__ import annotations

from ferax.random.continuous import (
    bits,
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    maxwell,
    normal,
    truncated_normal,
    uniform,
)  # fmt: skip
from ferax.random.discrete import (
    bernoulli,
    categorical,
    choice,
    geometric,
    permutation,
    rademacher,
    randint,
)  # fmt: skip
from ferax.random.gammas import (
    beta,
    binomial,
    chisquare,
    f,
    gamma,
    loggamma,
    poisson,
    t,
)  # fmt: skip
from ferax.random.keys import (
    PRNGKey,
    clone,
    fold_in,
    key,
    key_data,
    key_dtype,
    key_impl,
    split,
    wrap_key_data,
)  # fmt: skip
from ferax.random.shaped import (
    double_sided_maxwell,
    generalized_normal,
    lognormal,
    pareto,
    rayleigh,
    triangular,
    wald,
    weibull_min,
)  # fmt: skip
from ferax.random.vectors import (
    ball,
    dirichlet,
    multinomial,
    multivariate_normal,
    orthogonal,
)  # fmt: skip

__all__ = [
    "PRNGKey", "ball", "bernoulli", "beta", "binomial", "bits", "categorical", "cauchy",
    "chisquare", "choice", "clone", "dirichlet", "double_sided_maxwell", "exponential", "f",
    "fold_in", "gamma", "generalized_normal", "geometric", "gumbel", "key", "key_data",
    "key_dtype", "key_impl", "laplace", "loggamma", "logistic", "lognormal", "maxwell",
    "multinomial", "multivariate_normal", "normal", "orthogonal", "pareto", "permutation",
    "poisson", "rademacher", "randint", "rayleigh", "split", "t", "triangular",
    "truncated_normal", "uniform", "wald", "weibull_min", "wrap_key_data",
]  # fmt: skip
