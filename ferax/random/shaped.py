"""Continuous distributions with parameters, by inversion or from two simpler ones."""

from __future__ import annotations

from typing import Any

from ferax import lax, shapes
from ferax.core.array import Array
from ferax.core.basis import broadcast_to, select
from ferax.errors import public
from ferax.random.continuous import draw_exponential, draw_normal, unit_uniform
from ferax.random.discrete import signs
from ferax.random.gammas import draw_log_gamma, prepared
from ferax.random.keys import several


@public
def lognormal(
    key: Any,
    sigma: Any = 1.0,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """exp(sigma · z) with z normally distributed.

    Args:
      key: one key.
      sigma: ≥ 0.
      shape: of the result; by default that of `sigma`.
      dtype: floating.
    """
    given = prepared("lognormal", key, shape, dtype, out_sharding, sigma=sigma)
    keys, shape, dtype, (sigma,) = given
    return lax.exp(lax.mul(draw_normal(keys, shape, dtype), sigma))


@public
def pareto(
    key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Pareto distributed numbers: density b / x^(b+1) for x ≥ 1.

    Args:
      key: one key.
      b: > 0.
      shape: of the result; by default that of `b`.
      dtype: floating.
    """
    keys, shape, dtype, (b,) = prepared("pareto", key, shape, dtype, out_sharding, b=b)
    return lax.exp(lax.div(draw_exponential(keys, shape, dtype), b))


@public
def rayleigh(
    key: Any,
    scale: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Rayleigh distributed numbers: the length of a vector of two normal components.

    Args:
      key: one key.
      scale: standard deviation of the components, > 0.
      shape: of the result; by default that of `scale`.
      dtype: floating.
    """
    given = prepared("rayleigh", key, shape, dtype, out_sharding, scale=scale)
    keys, shape, dtype, (scale,) = given
    log_u = lax.log(unit_uniform(keys, shape, dtype))
    return lax.mul(lax.sqrt(lax.mul(log_u, -2.0)), scale)


@public
def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Numbers whose density rises linearly from `left` to `mode` and falls to `right`.

    Args:
      key: one key.
      left, mode, right: left ≤ mode ≤ right.
      shape: of the result; by default that of the parameters.
      dtype: floating.
    """
    given = prepared(
        "triangular", key, shape, dtype, out_sharding, left=left, mode=mode, right=right
    )
    keys, shape, dtype, (left, mode, right) = given
    u = unit_uniform(keys, shape, dtype)
    width, rise, fall = lax.sub(right, left), lax.sub(mode, left), lax.sub(right, mode)
    below = lax.add(left, lax.sqrt(lax.mul(lax.mul(u, width), rise)))
    above = lax.sub(right, lax.sqrt(lax.mul(lax.mul(lax.sub(1.0, u), width), fall)))
    return select(lax.lt(u, lax.div(rise, width)), below, above)


@public
def wald(
    key: Any,
    mean: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Wald (inverse Gaussian) distributed numbers of scale 1.

    J. R. Michael, W. R. Schucany, R. W. Haas, "Generating random variates using transformations
    with multiple roots", The American Statistician 30 (1976).

    Args:
      key: one key.
      mean: > 0.
      shape: of the result; by default that of `mean`.
      dtype: floating.
    """
    _, shape, dtype, (mean,) = prepared(
        "wald", key, shape, dtype, out_sharding, mean=mean
    )
    normal_keys, uniform_keys = several("wald", key, 2)
    v = lax.square(draw_normal(normal_keys, shape, dtype))
    u = unit_uniform(uniform_keys, shape, dtype)
    half, scaled = lax.mul(mean, 0.5), lax.mul(mean, v)
    root = lax.sqrt(lax.add(lax.mul(scaled, 4.0), lax.square(scaled)))
    x = lax.add(mean, lax.mul(half, lax.sub(scaled, root)))
    small = lax.le(u, lax.div(mean, lax.add(mean, x)))
    return select(small, x, lax.div(lax.square(mean), x))


def _added(
    who: str, key: Any, shape: Any, dtype: Any, **parameters: Any
) -> tuple[Any, ...]:
    """Key, `shape` as given, dtype, and the parameters at their own common shape."""
    keys, _, dtype, values = prepared(who, key, None, dtype, None, **parameters)
    return keys, shapes.canonical_shape(shape, f"random.{who}"), dtype, values


@public
def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None
) -> Array:
    """Weibull distributed numbers: scale · e^(1/concentration) with e exponential.

    Args:
      key: one key.
      scale: > 0.
      concentration: > 0.
      shape: of the numbers e that are drawn; parameters broadcast against them.
      dtype: floating.
    """
    given = _added(
        "weibull_min", key, shape, dtype, scale=scale, concentration=concentration
    )
    keys, shape, dtype, (scale, concentration) = given
    full = shapes.broadcast_shapes(shape, scale.shape, who="random.weibull_min")
    e = broadcast_to(draw_exponential(keys, shape, dtype), full)
    power = lax.pow(e, broadcast_to(lax.div(1.0, concentration), full))
    return lax.mul(power, broadcast_to(scale, full))


@public
def double_sided_maxwell(
    key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None
) -> Array:
    """loc + scale · x with |x| Maxwell distributed and its sign random.

    Args:
      key: one key.
      loc, scale: real.
      shape: of the samples, in front of the axes of the parameters; () counts as theirs.
      dtype: floating.
    """
    given = _added("double_sided_maxwell", key, shape, dtype, loc=loc, scale=scale)
    _, shape, dtype, (loc, scale) = given
    full = (*(shape or loc.shape), *loc.shape)
    length_keys, sign_keys = several("double_sided_maxwell", key, 2)
    squares = lax.square(draw_normal(length_keys, (*full, 3), dtype))
    length = lax.sqrt(lax.reduce_sum(squares, (len(full),)))
    x = lax.mul(
        lax.mul(length, signs(sign_keys, full, dtype)), broadcast_to(scale, full)
    )
    return lax.add(x, broadcast_to(loc, full))


@public
def generalized_normal(
    key: Any, p: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Numbers of density proportional to exp(-|x|^p).

    Args:
      key: one key.
      p: the exponent, > 0.
      shape: of the result; () for that of `p`.
      dtype: floating.
    """
    given = prepared("generalized_normal", key, shape or None, dtype, out_sharding, p=p)
    _, shape, dtype, (p,) = given
    gamma_keys, sign_keys = several("generalized_normal", key, 2)
    return draw_generalized_normal(gamma_keys, sign_keys, p)


def draw_generalized_normal(gamma_keys: Any, sign_keys: Any, p: Any) -> Any:
    """± g^(1/p) with g gamma distributed of shape parameter 1/p."""
    inverse = lax.div(1.0, p)
    log_g = draw_log_gamma(gamma_keys, p.shape, inverse)
    size = lax.exp(lax.mul(log_g, inverse))
    return lax.mul(size, signs(sign_keys, p.shape, p.dtype))
