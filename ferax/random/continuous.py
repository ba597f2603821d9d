"""Random numbers that are simple functions of uniform ones.

`uniform` makes a float in [0, 1) from the highest bits of an integer: k · 2⁻ⁿ with n the
number of bits that the mantissa keeps, so that all values are equally spaced and exact. The
other distributions are inversions of their distribution function, or as said at each of them.

Parameters broadcast against each other; `shape=None` means their common shape, another shape
must be one that they broadcast to.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ferax import dtypes, lax, shapes
from ferax.core.array import Array
from ferax.core.avals import Shape
from ferax.core.basis import broadcast_to, convert, select
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import keys as random_keys
from ferax.lax.shape import refuse_sharding, unstack
from ferax.random.keys import one_key

_UNSIGNED = {n: np.dtype(f"uint{n}") for n in (8, 16, 32, 64)}


# -- parameters ----------------------------------------------------------------------------


def float_dtype(who: str, dtype: Any) -> Any:
    """The floating dtype asked for; the default one for None."""
    found = dtypes.requested(float if dtype is None else dtype, f"random.{who}")
    if not dtypes.is_floating(found):
        raise ValueError(f"random.{who}: dtype must be floating; got {found}")
    return found


def common_shape(who: str, shape: Any, *parameters: Any) -> Shape:
    """The result's shape: that of the parameters, or `shape` if they broadcast to it."""
    own = shapes.broadcast_shapes(*(p.shape for p in parameters), who=f"random.{who}")
    if shape is None:
        return own
    asked = shapes.canonical_shape(shape, f"random.{who}")
    if (
        own != asked
        and shapes.broadcast_shapes(own, asked, who=f"random.{who}") != asked
    ):
        raise ValueError(
            f"random.{who}: the parameters have the common shape {own}, which does not "
            f"broadcast to shape={asked}"
        )
    return asked


def parameter(who: str, name: str, value: Any, dtype: Any) -> Any:
    """A parameter as an array of the result's dtype."""
    return convert(to_array(value, f"random.{who}", name), dtype)


# -- uniform and normal --------------------------------------------------------------------


@public
def bits(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Uniformly distributed unsigned integers, all values possible.

    Args:
      key: one key.
      shape: of the result.
      dtype: uint8, uint16, uint32 (the default), or uint64 with `enable_x64`.

    >>> from ferax import random
    >>> random.bits(random.key(42), (3,), "uint8")
    Array([162, 217, 249], dtype=uint8)
    """
    refuse_sharding("random.bits", out_sharding)
    found = dtypes.requested(np.uint32 if dtype is None else dtype, "random.bits")
    if found not in _UNSIGNED.values():
        raise ValueError(
            f"random.bits: dtype must be unsigned, of 8 to 64 bits; got {found}"
        )
    keys, _ = one_key("bits", key)
    return random_keys.key_bits(
        keys, shapes.canonical_shape(shape, "random.bits"), found
    )


def unit_uniform(keys: Any, shape: Shape, dtype: Any) -> Any:
    """k · 2⁻ⁿ with k uniform in [0, 2ⁿ), n the stored bits of the mantissa."""
    mantissa = dtypes.finfo(dtype).nmant
    # 8 bits are enough for a bfloat16
    width = max(8, dtypes.itemsize_bits(dtype)) if mantissa >= 8 else 8
    words = random_keys.key_bits(keys, shape, _UNSIGNED[width])
    whole = lax.shift_right_logical(words, width - mantissa)
    return lax.mul(convert(whole, dtype), 2.0**-mantissa)


def draw_uniform(
    keys: Any, shape: Shape, dtype: Any, low: Any = 0.0, high: Any = 1.0
) -> Any:
    """Uniform in [low, high), which are floats or arrays of the shape and dtype."""
    x = unit_uniform(keys, shape, dtype)
    if type(low) is float and type(high) is float:
        if low == 0.0 and high == 1.0:
            return x
        low, high = dtype.type(low), dtype.type(high)
        width = high - low
    else:
        width = lax.sub(high, low)
    x = lax.add(lax.mul(x, width), low)
    return lax.max(x, low)  # rounding must not lead below


@public
def uniform(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    *,
    out_sharding: Any = None,
) -> Array:
    """Uniformly distributed numbers in [minval, maxval).

    Args:
      key: one key.
      shape: of the result.
      dtype: floating; float32 by default (float64 with `enable_x64`).
      minval, maxval: real, broadcast to `shape`.

    >>> from ferax import random
    >>> random.uniform(random.key(42), (3,)).round(3)
    Array([0.489, 0.68 , 0.616], dtype=float32)
    """
    refuse_sharding("random.uniform", out_sharding)
    dtype = float_dtype("uniform", dtype)
    keys, _ = one_key("uniform", key)
    shape = shapes.canonical_shape(shape, "random.uniform")
    if type(minval) in (int, float) and type(maxval) in (int, float):
        return draw_uniform(keys, shape, dtype, float(minval), float(maxval))
    low = parameter("uniform", "minval", minval, dtype)
    high = parameter("uniform", "maxval", maxval, dtype)
    common_shape("uniform", shape, low, high)
    return draw_uniform(
        keys, shape, dtype, broadcast_to(low, shape), broadcast_to(high, shape)
    )


def draw_normal(keys: Any, shape: Shape, dtype: Any) -> Any:
    """Normal by inversion: √2 erf⁻¹(u) with u uniform in (-1, 1)."""
    if dtypes.is_complex(dtype):
        real = dtypes.to_real(dtype)
        parts = [
            draw_normal(k, shape, real)
            for k in unstack(random_keys.split_keys(keys, (2,)))
        ]
        return lax.mul(lax.complex(*parts), math.sqrt(0.5))
    low = float(np.nextafter(dtype.type(-1), dtype.type(0)))
    return lax.mul(
        lax.erf_inv(draw_uniform(keys, shape, dtype, low, 1.0)), math.sqrt(2)
    )


@public
def normal(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Normally distributed numbers of mean 0 and variance 1.

    Args:
      key: one key.
      shape: of the result.
      dtype: floating, or complex: real and imaginary part then have variance 1/2 each.

    >>> from ferax import random
    >>> random.normal(random.key(42), (3,)).round(3)
    Array([-0.028,  0.467,  0.296], dtype=float32)
    """
    refuse_sharding("random.normal", out_sharding)
    dtype = dtypes.requested(float if dtype is None else dtype, "random.normal")
    if not dtypes.is_inexact(dtype):
        raise ValueError(
            f"random.normal: dtype must be floating or complex; got {dtype}"
        )
    keys, _ = one_key("normal", key)
    return draw_normal(keys, shapes.canonical_shape(shape, "random.normal"), dtype)


@public
def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Normally distributed numbers under the condition lower < x < upper.

    Args:
      key: one key.
      lower, upper: real, broadcast to `shape`.
      shape: of the result; by default that of the bounds.
      dtype: floating.

    >>> from ferax import random
    >>> random.truncated_normal(random.key(42), -1.0, 2.0, (2,)).round(3)
    Array([0.148, 0.568], dtype=float32)
    """
    refuse_sharding("random.truncated_normal", out_sharding)
    dtype = float_dtype("truncated_normal", dtype)
    keys, _ = one_key("truncated_normal", key)
    low = parameter("truncated_normal", "lower", lower, dtype)
    high = parameter("truncated_normal", "upper", upper, dtype)
    shape = common_shape("truncated_normal", shape, low, high)
    low, high = broadcast_to(low, shape), broadcast_to(high, shape)
    ends = [lax.erf(lax.mul(x, math.sqrt(0.5))) for x in (low, high)]
    x = lax.mul(lax.erf_inv(draw_uniform(keys, shape, dtype, *ends)), math.sqrt(2))
    infinity = lax.full_like(x, math.inf)
    inside = lax.nextafter(low, infinity), lax.nextafter(high, lax.neg(infinity))
    return lax.clamp(inside[0], x, inside[1])


# -- inversions without parameters ---------------------------------------------------------


def _plain(
    who: str, key: Any, shape: Any, dtype: Any, out_sharding: Any
) -> tuple[Any, Shape, Any]:
    refuse_sharding(f"random.{who}", out_sharding)
    dtype = float_dtype(who, dtype)
    return one_key(who, key)[0], shapes.canonical_shape(shape, f"random.{who}"), dtype


def draw_exponential(keys: Any, shape: Shape, dtype: Any) -> Any:
    """-log(1 - u)."""
    return lax.neg(lax.log1p(lax.neg(unit_uniform(keys, shape, dtype))))


@public
def exponential(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Exponentially distributed numbers: density exp(-x) for x ≥ 0.

    >>> from ferax import random
    >>> random.exponential(random.key(42), (2,)).round(3)
    Array([0.671, 1.139], dtype=float32)
    """
    return draw_exponential(*_plain("exponential", key, shape, dtype, out_sharding))


def draw_gumbel(keys: Any, shape: Shape, dtype: Any, mode: str | None = None) -> Any:
    """-log(-log u). In mode "high" two draws give u more bits near 0 and 1."""
    if mode not in (None, "low", "high"):
        raise ValueError(f"random.gumbel: mode must be 'low' or 'high'; got {mode!r}")
    info = dtypes.finfo(dtype)
    if mode == "high":
        coarse, fine = unstack(unit_uniform(keys, (2, *shape), dtype))
        small = lax.lt(coarse, 0.5)  # above, the sum could round up to 1
        u = select(small, lax.add(coarse, lax.mul(fine, 2.0**-info.nmant)), coarse)
        return lax.neg(lax.log(lax.neg(lax.log1p(lax.neg(u)))))
    u = draw_uniform(keys, shape, dtype, float(info.tiny), 1.0)
    return lax.neg(lax.log(lax.neg(lax.log(u))))


@public
def gumbel(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Gumbel distributed numbers: density exp(-x - exp(-x)).

    Args:
      key: one key.
      shape: of the result.
      dtype: floating.
      mode: "low" (the default) draws the bits of one float for each number; "high" twice as
        many, for tails that are exact further out.

    >>> from ferax import random
    >>> random.gumbel(random.key(42), (2,)).round(3)
    Array([0.334, 0.952], dtype=float32)
    """
    return draw_gumbel(*_plain("gumbel", key, shape, dtype, out_sharding), mode)


@public
def laplace(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Laplace distributed numbers: density exp(-|x|) / 2."""
    keys, shape, dtype = _plain("laplace", key, shape, dtype, out_sharding)
    low = -1 + float(dtypes.finfo(dtype).epsneg)
    u = draw_uniform(keys, shape, dtype, low, 1.0)
    return lax.mul(lax.sign(u), lax.log1p(lax.neg(lax.abs(u))))


@public
def logistic(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Logistically distributed numbers: distribution function 1 / (1 + exp(-x))."""
    keys, shape, dtype = _plain("logistic", key, shape, dtype, out_sharding)
    u = draw_uniform(keys, shape, dtype, float(dtypes.finfo(dtype).tiny), 1.0)
    return lax.sub(lax.log(u), lax.log1p(lax.neg(u)))


@public
def cauchy(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Cauchy distributed numbers: density 1 / (π (1 + x²))."""
    keys, shape, dtype = _plain("cauchy", key, shape, dtype, out_sharding)
    u = draw_uniform(keys, shape, dtype, float(dtypes.finfo(dtype).eps), 1.0)
    return lax.tan(lax.mul(lax.sub(u, 0.5), math.pi))


@public
def maxwell(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Maxwell distributed numbers: the length of a normal vector of three components."""
    keys, shape, dtype = _plain("maxwell", key, shape, dtype, out_sharding)
    x = draw_normal(keys, (*shape, 3), dtype)
    return lax.sqrt(lax.reduce_sum(lax.square(x), (len(shape),)))
