"""The gamma distribution, what is made from it, and counts by rejection.

Gamma: G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26
(2000): accept d·v with v = (1 + c x)³, x normal. Below shape 1 the sample for a + 1 is
multiplied by u^(1/a), in logarithms, since for small a it is smaller than any float. Samples
are differentiated with respect to a by the implicit derivative -∂F/∂a / ∂F/∂x
(`lax.random_gamma_grad`).

Poisson: D. E. Knuth, "The Art of Computer Programming" 2, section 3.4.1 (products of uniforms)
for means below 10, else the transformed rejection PTRS of W. Hörmann, "The transformed
rejection method for generating Poisson random variables", Insurance 12 (1993). Binomial: sums
of geometric waiting times for means up to 10, else BTRS of W. Hörmann, "The generation of
binomial random variates", J. Stat. Comput. Simul. 46 (1993).

What is subtle: all elements are drawn side by side, each until it is accepted. Gamma gives each
element a key of its own; the counts draw whole arrays with one key a round.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ferax import dtypes, lax
from ferax.core.array import Array
from ferax.core.avals import Shape
from ferax.core.basis import broadcast_to, convert, reshape, select
from ferax.errors import public
from ferax.lax import keys as random_keys
from ferax.lax.custom import custom_jvp
from ferax.lax.custom_mapping import custom_vmap
from ferax.lax.shape import refuse_sharding, unstack
from ferax.random.continuous import (
    common_shape,
    draw_exponential,
    draw_normal,
    float_dtype,
    parameter,
    unit_uniform,
)
from ferax.random.discrete import integer_dtype
from ferax.random.keys import one_key, several

Parameters = tuple[Any, ...]
_SINGLE = np.dtype(np.float32)


def prepared(
    who: str, key: Any, shape: Any, dtype: Any, out_sharding: Any, **parameters: Any
) -> tuple[Any, Shape, Any, list[Any]]:
    """Key, shape, floating dtype, and the parameters at that shape and dtype."""
    refuse_sharding(f"random.{who}", out_sharding)
    dtype = float_dtype(who, dtype)
    keys, _ = one_key(who, key)
    values = [parameter(who, name, value, dtype) for name, value in parameters.items()]
    shape = common_shape(who, shape, *values)
    return keys, shape, dtype, [broadcast_to(v, shape) for v in values]


def _any(x: Any) -> Any:
    return lax.reduce_or(x, range(x.ndim))


# -- gamma ---------------------------------------------------------------------------------


def _rejection_round(d: Any, c: Any, state: Parameters) -> Parameters:
    """One trial for each element that has none accepted yet."""
    keys, cube, active = state
    new_keys, x_keys, u_keys = unstack(random_keys.split_keys(keys, (3,)), d.ndim)

    def draw(inner: Parameters) -> Parameters:
        own, x, v = inner
        rest, normal_keys = unstack(random_keys.split_keys(own, (2,)), d.ndim)
        again = lax.le(v, 0.0)
        drawn = draw_normal(normal_keys, (), d.dtype)
        grown = lax.add(lax.mul(drawn, c), 1.0)
        return (
            select(again, rest, own),
            select(again, drawn, x),
            select(again, grown, v),
        )

    start = (x_keys, lax.full_like(d, 0), lax.full_like(d, -1))
    _, x, v = lax.while_loop(lambda inner: _any(lax.le(inner[2], 0.0)), draw, start)
    square, new_cube = lax.mul(x, x), lax.mul(lax.mul(v, v), v)
    u = unit_uniform(u_keys, (), d.dtype)
    squeeze = lax.sub(1.0, lax.mul(lax.mul(square, square), 0.0331))
    exact = lax.add(lax.sub(1.0, new_cube), lax.log(new_cube))
    bound = lax.add(lax.mul(square, 0.5), lax.mul(d, exact))
    refused = lax.bitwise_and(lax.ge(u, squeeze), lax.ge(lax.log(u), bound))
    return (
        select(active, new_keys, keys),
        select(active, new_cube, cube),
        lax.bitwise_and(active, refused),
    )


def _by_rejection(keys: Any, a: Any) -> Any:
    """log of a gamma variable for each key and shape parameter, all at once."""
    small = lax.lt(a, 1.0)
    d = lax.sub(select(small, lax.add(a, 1.0), a), 1.0 / 3)
    c = lax.div(1.0 / 3, lax.sqrt(d))
    keys, boost_keys = unstack(random_keys.split_keys(keys, (2,)), a.ndim)
    start = (keys, lax.full_like(d, 1), lax.full(d.shape, True, bool))
    _, cube, _ = lax.while_loop(
        lambda state: _any(state[2]), functools.partial(_rejection_round, d, c), start
    )
    boost = lax.neg(lax.div(draw_exponential(boost_keys, (), a.dtype), a))
    sample = lax.add(lax.log(d), lax.log(cube))
    return lax.add(sample, select(small, boost, lax.full_like(boost, 0)))


@custom_vmap
def _in_turn(keys: Any, a: Any) -> Any:
    """As `_by_rejection`, for keys of which the first would draw for all: one by one."""
    columns = reshape(keys, (a.size,)), reshape(a, (a.size,))
    return reshape(lax.map(lambda each: _by_rejection(*each), columns), a.shape)


@_in_turn.def_vmap
def _in_turn_mapped(size: int, mapped: Any, keys: Any, a: Any) -> tuple[Any, bool]:
    shape = (size, *a.shape[mapped[1] :])
    return _in_turn(broadcast_to(keys, shape), broadcast_to(a, shape)), True


@custom_jvp
def _log_gamma_samples(keys: Any, a: Any) -> Any:
    """log of a gamma variable for each key and shape parameter."""
    known = keys.dtype is random_keys.THREEFRY
    return _by_rejection(keys, a) if known else _in_turn(keys, a)


@_log_gamma_samples.defjvp
def _log_gamma_jvp(primals: Parameters, tangents: Parameters) -> tuple[Any, Any]:
    keys, a = primals
    sample = _log_gamma_samples(keys, a)
    # near underflow F = x^a / Γ(a + 1) to rounding, so that log x moves by (ψ(a + 1) - log x) / a
    edge = 0.5 * math.log(float(dtypes.finfo(a.dtype).tiny))
    low = lax.lt(sample, lax.full_like(sample, edge))
    x = lax.exp(select(low, lax.full_like(sample, 0), sample))
    slope = lax.div(lax.random_gamma_grad(a, x), x)
    steep = lax.div(lax.sub(lax.digamma(lax.add(a, 1.0)), sample), a)
    return sample, lax.mul(tangents[1], select(low, steep, slope))


def draw_log_gamma(keys: Any, shape: Shape, a: Any) -> Any:
    """log of gamma variables with the shape parameters `a`, which has the shape `shape`."""
    return _log_gamma_samples(random_keys.split_keys(keys, shape), a)


@public
def loggamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Logarithms of gamma distributed numbers, exact also where those underflow.

    Args:
      key: one key.
      a: shape parameter, ≥ 0; differentiable.
      shape: of the result; by default that of `a`.
      dtype: floating.

    >>> from ferax import random
    >>> random.loggamma(random.key(42), 0.3, (2,)).round(3)
    Array([-0.83 , -1.139], dtype=float32)
    """
    keys, shape, _, (a,) = prepared("loggamma", key, shape, dtype, out_sharding, a=a)
    return draw_log_gamma(keys, shape, a)


@public
def gamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Gamma distributed numbers: density x^(a-1) exp(-x) / Γ(a).

    Args:
      key: one key.
      a: shape parameter, ≥ 0; differentiable.
      shape: of the result; by default that of `a`.
      dtype: floating.

    >>> from ferax import random
    >>> random.gamma(random.key(42), 2.5, (2,)).round(3)
    Array([4.378, 1.501], dtype=float32)
    """
    keys, shape, _, (a,) = prepared("gamma", key, shape, dtype, out_sharding, a=a)
    return lax.exp(draw_log_gamma(keys, shape, a))


@public
def beta(
    key: Any,
    a: Any,
    b: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Beta distributed numbers: density proportional to x^(a-1) (1-x)^(b-1) on (0, 1).

    Args:
      key: one key.
      a, b: shape parameters, > 0; differentiable.
      shape: of the result; by default that of the parameters.
      dtype: floating.
    """
    _, shape, _, (a, b) = prepared("beta", key, shape, dtype, out_sharding, a=a, b=b)
    first, second = several("beta", key, 2)
    x, y = draw_log_gamma(first, shape, a), draw_log_gamma(second, shape, b)
    return lax.logistic(lax.sub(x, y))


@public
def chisquare(
    key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """χ² distributed numbers: sums of the squares of df normal ones.

    Args:
      key: one key.
      df: degrees of freedom, > 0.
      shape: of the result; by default that of `df`.
      dtype: floating.
    """
    keys, shape, _, (df,) = prepared(
        "chisquare", key, shape, dtype, out_sharding, df=df
    )
    return _chisquare(keys, shape, df)


def _chisquare(keys: Any, shape: Shape, df: Any) -> Any:
    return lax.mul(lax.exp(draw_log_gamma(keys, shape, lax.mul(df, 0.5))), 2.0)


@public
def f(
    key: Any,
    dfnum: Any,
    dfden: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """F distributed numbers: the ratio of two χ² variables, each over its degrees of freedom.

    Args:
      key: one key.
      dfnum, dfden: degrees of freedom of numerator and denominator, > 0.
      shape: of the result; by default that of the parameters.
      dtype: floating.
    """
    given = prepared("f", key, shape, dtype, out_sharding, dfnum=dfnum, dfden=dfden)
    _, shape, _, (above, below) = given
    below_keys, above_keys = several("f", key, 2)
    ratio = lax.div(_chisquare(above_keys, shape, above), above)
    return lax.div(ratio, lax.div(_chisquare(below_keys, shape, below), below))


@public
def t(
    key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Student's t distributed numbers.

    Args:
      key: one key.
      df: degrees of freedom, > 0.
      shape: of the result; by default that of `df`.
      dtype: floating.
    """
    _, shape, dtype, (df,) = prepared("t", key, shape, dtype, out_sharding, df=df)
    normal_keys, gamma_keys = several("t", key, 2)
    half = lax.mul(df, 0.5)
    spread = lax.div(half, lax.exp(draw_log_gamma(gamma_keys, shape, half)))
    return lax.mul(draw_normal(normal_keys, shape, dtype), lax.sqrt(spread))


# -- counts --------------------------------------------------------------------------------


def _poisson_by_products(keys: Any, mean: Any) -> Any:
    """How many uniforms can be multiplied before the product falls below exp(-mean)."""
    # in single precision whatever the mean's: the numbers do not depend on enable_x64
    shape, limit = mean.shape, lax.neg(convert(mean, _SINGLE))

    def step(state: Parameters) -> Parameters:
        count, own, log_product = state
        own, draw = unstack(random_keys.split_keys(own, (2,)))
        going = convert(lax.gt(log_product, limit), count.dtype)
        u = unit_uniform(draw, shape, _SINGLE)
        return lax.add(count, going), own, lax.add(log_product, lax.log(u))

    start = (
        lax.full(shape, 0, dtypes.canonical(int)),
        keys,
        lax.full(shape, 0.0, _SINGLE),
    )
    count, _, _ = lax.while_loop(lambda s: _any(lax.gt(s[2], limit)), step, start)
    return lax.sub(count, 1)


def _two_uniforms(keys: Any, shape: Shape, dtype: Any) -> tuple[Any, Any]:
    u, v = (unit_uniform(k, shape, dtype) for k in keys)
    return lax.sub(u, 0.5), v


def _poisson_by_rejection(keys: Any, mean: Any) -> Any:
    """PTRS; the names are those of the paper."""
    shape, log_mean = mean.shape, lax.log(mean)
    b = lax.add(lax.mul(lax.sqrt(mean), 2.53), 0.931)
    a = lax.sub(lax.mul(b, 0.02483), 0.059)
    inverse_alpha = lax.add(lax.div(1.1328, lax.sub(b, 3.4)), 1.1239)
    v_r = lax.sub(0.9277, lax.div(3.6224, lax.sub(b, 2.0)))

    def step(state: Parameters) -> Parameters:
        found, accepted, own = state
        own, *draws = unstack(random_keys.split_keys(own, (3,)))
        u, v = _two_uniforms(draws, shape, mean.dtype)
        us = lax.sub(0.5, lax.abs(u))
        slope = lax.add(lax.div(lax.mul(a, 2.0), us), b)
        k = lax.floor(lax.add(lax.add(lax.mul(slope, u), mean), 0.43))
        s = lax.log(
            lax.div(lax.mul(v, inverse_alpha), lax.add(lax.div(a, lax.mul(us, us)), b))
        )
        t_ = lax.sub(lax.sub(lax.mul(k, log_mean), mean), lax.lgamma(lax.add(k, 1.0)))
        surely = lax.bitwise_and(lax.ge(us, 0.07), lax.le(v, v_r))
        thin = lax.bitwise_and(lax.lt(us, 0.013), lax.gt(v, us))
        never = lax.bitwise_or(lax.lt(k, 0.0), thin)
        taken = lax.bitwise_or(
            surely, lax.bitwise_and(lax.bitwise_not(never), lax.le(s, t_))
        )
        return select(taken, k, found), lax.bitwise_or(accepted, taken), own

    start = (lax.full_like(mean, -1), lax.full(shape, False, bool), keys)
    found, _, _ = lax.while_loop(lambda s: _any(lax.bitwise_not(s[1])), step, start)
    return found


@public
def poisson(
    key: Any,
    lam: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Poisson distributed counts.

    Args:
      key: one key.
      lam: mean, ≥ 0; where it is nan or infinite the result is -1.
      shape: of the result; by default that of `lam`.
      dtype: integer.

    >>> from ferax import random
    >>> random.poisson(random.key(42), 4.0, (5,))
    Array([6, 3, 2, 2, 5], dtype=int32)
    """
    dtype = integer_dtype("poisson", dtype)
    given = prepared("poisson", key, shape, None, out_sharding, lam=lam)
    keys, shape, _, (mean,) = given
    finite = lax.is_finite(mean)
    few = lax.bitwise_or(lax.lt(mean, 10.0), lax.bitwise_not(finite))
    zero = lax.full_like(mean, 0)
    by_products = _poisson_by_products(
        keys, select(few, select(finite, mean, zero), zero)
    )
    many = select(few, lax.full_like(mean, 1e5), mean)
    by_rejection = convert(_poisson_by_rejection(keys, many), dtypes.canonical(int))
    count = convert(select(few, by_products, by_rejection), dtype)
    count = select(lax.eq(mean, zero), lax.full_like(count, 0), count)
    return (
        select(finite, count, lax.full_like(count, -1))
        if dtypes.is_signed(dtype)
        else count
    )


_STIRLING = (
    0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
    0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
    0.009255462182712733, 0.008330563433362871,
)  # fmt: skip


def _stirling_rest(k: Any) -> Any:
    """log k! - (Stirling's formula for it): a table up to 9, then the asymptotic series."""
    next_ = lax.add(k, 1.0)
    square = lax.mul(next_, next_)
    inner = lax.sub(1.0 / 360, lax.div(1.0 / 1260, square))
    rest = lax.div(lax.sub(1.0 / 12, lax.div(inner, square)), next_)
    for number, value in enumerate(_STIRLING):
        rest = select(lax.eq(k, float(number)), lax.full_like(k, value), rest)
    return rest


def _binomial_by_waiting(keys: Any, n: Any, p: Any) -> Any:
    """How many geometric waiting times fit into n trials."""
    shape, log_miss = n.shape, lax.log1p(lax.neg(p))

    def step(state: Parameters) -> Parameters:
        count, trials, own = state
        draw, own = unstack(random_keys.split_keys(own, (2,)))
        going = convert(lax.le(trials, n), n.dtype)
        u = unit_uniform(draw, shape, n.dtype)
        wait = lax.ceil(lax.div(lax.log(u), log_miss))
        return lax.add(count, going), lax.add(trials, wait), own

    start = (lax.full_like(n, 0), lax.full_like(n, 0), keys)
    count, _, _ = lax.while_loop(lambda s: _any(lax.le(s[1], n)), step, start)
    return lax.sub(count, 1.0)


def _binomial_by_rejection(keys: Any, n: Any, p: Any) -> Any:
    """BTRS for p ≤ 1/2; the names are those of the paper."""
    shape, miss = n.shape, lax.sub(1.0, p)
    mean = lax.mul(n, p)
    deviation = lax.sqrt(lax.mul(mean, miss))
    b = lax.add(lax.mul(deviation, 2.53), 1.15)
    a = lax.add(lax.sub(lax.mul(b, 0.0248), 0.0873), lax.mul(p, 0.01))
    c = lax.add(mean, 0.5)
    v_r = lax.sub(0.92, lax.div(4.2, b))
    alpha = lax.mul(lax.add(lax.div(5.1, b), 2.83), deviation)
    r = lax.div(p, miss)
    m = lax.floor(lax.mul(lax.add(n, 1.0), p))
    at_mode = _log_binomial_terms(n, m, r)

    def step(state: Parameters) -> Parameters:
        found, accepted, own = state
        own, *draws = unstack(random_keys.split_keys(own, (3,)))
        u, v = _two_uniforms(draws, shape, n.dtype)
        us = lax.sub(0.5, lax.abs(u))
        slope = lax.add(lax.div(lax.mul(a, 2.0), us), b)
        k = lax.floor(lax.add(lax.mul(slope, u), c))
        surely = lax.bitwise_and(lax.ge(us, 0.07), lax.le(v, v_r))
        inside = lax.bitwise_and(lax.ge(k, 0.0), lax.le(k, n))
        log_v = lax.log(
            lax.div(lax.mul(v, alpha), lax.add(lax.div(a, lax.mul(us, us)), b))
        )
        bound = _log_ratio(n, m, k, r, at_mode)
        taken = lax.bitwise_or(surely, lax.bitwise_and(inside, lax.le(log_v, bound)))
        return select(taken, k, found), lax.bitwise_or(accepted, taken), own

    start = (lax.full_like(n, -1), lax.full(shape, False, bool), keys)
    found, _, _ = lax.while_loop(lambda s: _any(lax.bitwise_not(s[1])), step, start)
    return found


def _log_binomial_terms(n: Any, m: Any, r: Any) -> Any:
    """The part of the log ratio that depends on the mode m alone."""
    room = lax.add(lax.sub(n, m), 1.0)
    up = lax.log(lax.div(lax.add(m, 1.0), lax.mul(r, room)))
    rest = lax.add(_stirling_rest(m), _stirling_rest(lax.sub(n, m)))
    return lax.add(lax.mul(lax.add(m, 0.5), up), rest)


def _log_ratio(n: Any, m: Any, k: Any, r: Any, at_mode: Any) -> Any:
    """log of the probability of k over that of the mode m."""
    room_m, room_k = lax.add(lax.sub(n, m), 1.0), lax.add(lax.sub(n, k), 1.0)
    middle = lax.mul(lax.add(n, 1.0), lax.log(lax.div(room_m, room_k)))
    down = lax.log(lax.div(lax.mul(r, room_k), lax.add(k, 1.0)))
    rest = lax.add(_stirling_rest(k), _stirling_rest(lax.sub(n, k)))
    tail = lax.sub(lax.mul(lax.add(k, 0.5), down), rest)
    return lax.add(lax.add(at_mode, middle), tail)


def draw_binomial(keys: Any, n: Any, p: Any) -> Any:
    """Binomial counts for arrays of one shape; nan where the parameters make no sense."""
    zero, one = lax.full_like(n, 0), lax.full_like(n, 1)
    more_than_half = lax.ge(p, 0.5)
    q = select(more_than_half, lax.sub(1.0, p), p)
    sensible = lax.bitwise_and(
        lax.ge(n, 0.0), lax.bitwise_and(lax.ge(p, 0.0), lax.le(p, 1.0))
    )
    trivial = lax.bitwise_or(
        lax.bitwise_not(sensible), lax.bitwise_or(lax.eq(q, zero), lax.eq(n, zero))
    )
    few = lax.le(lax.mul(n, q), 10.0)
    waiting = lax.bitwise_and(few, lax.bitwise_not(trivial))
    rejecting = lax.bitwise_and(lax.bitwise_not(few), lax.bitwise_not(trivial))
    by_waiting = _binomial_by_waiting(
        keys, select(waiting, n, zero), select(waiting, q, lax.full_like(q, 0.5))
    )
    by_rejection = _binomial_by_rejection(
        keys,
        select(rejecting, n, lax.full_like(n, 1e4)),
        select(rejecting, q, lax.full_like(q, 0.5)),
    )
    count = select(trivial, zero, select(few, by_waiting, by_rejection))
    count = select(more_than_half, lax.sub(n, count), count)
    return select(sensible, count, lax.full_like(one, math.nan))


@public
def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Array:
    """The number of successes in n trials that succeed with probability p.

    Args:
      key: one key.
      n: number of trials, ≥ 0.
      p: probability in [0, 1].
      shape: of the result; by default that of the parameters.
      dtype: floating (so that nan can stand for parameters out of range).

    >>> from ferax import random
    >>> random.binomial(random.key(42), 10.0, 0.3, (5,))
    Array([2., 5., 2., 2., 4.], dtype=float32)
    """
    keys, _, _, (n, p) = prepared("binomial", key, shape, dtype, None, n=n, p=p)
    return draw_binomial(keys, n, p)
