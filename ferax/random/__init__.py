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

import importlib
from typing import Any

_ROOMS = {
    "continuous": ["bits", "cauchy", "exponential", "gumbel", "laplace", "logistic",
        "maxwell", "normal", "truncated_normal", "uniform"],
    "discrete": ["bernoulli", "categorical", "choice", "geometric", "permutation",
        "rademacher", "randint"],
    "gammas": ["beta", "binomial", "chisquare", "f", "gamma", "loggamma", "poisson", "t"],
    "keys": ["PRNGKey", "clone", "fold_in", "key", "key_data", "key_dtype", "key_impl",
        "split", "wrap_key_data"],
    "shaped": ["double_sided_maxwell", "generalized_normal", "lognormal", "pareto",
        "rayleigh", "triangular", "wald", "weibull_min"],
    "vectors": ["ball", "dirichlet", "multinomial", "multivariate_normal", "orthogonal"],
}  # fmt: skip

_HOME = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """A name, looked up in its room when first asked for: a key needs no gamma functions."""
    if name not in _HOME:
        raise AttributeError(f"module 'ferax.random' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ferax.random.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
