"""Random integers, choices and permutations.

`randint` reduces 2n random bits modulo the width of the interval, so that the bias is at most
2⁻ⁿ for integers of n bits. Permutations sort by random 32-bit numbers, as many times as make
ties unlikely. Categories are drawn by the Gumbel trick: the largest of log p + Gumbel noise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ferax import dtypes, lax, shapes
from ferax.core.array import Array
from ferax.core.avals import Shape
from ferax.core.basis import (
    broadcast_to,
    convert,
    moveaxis,
    reshape,
    select,
)
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import keys as random_keys
from ferax.lax.shape import refuse_sharding, unstack
from ferax.numpy.searching import searchsorted, take
from ferax.random.continuous import (
    common_shape,
    draw_gumbel,
    parameter,
    unit_uniform,
)
from ferax.random.keys import one_key


def integer_dtype(who: str, dtype: Any) -> Any:
    """The integer dtype asked for; the default one for None."""
    found = dtypes.requested(int if dtype is None else dtype, f"random.{who}")
    if not dtypes.is_integer(found):
        raise TypeError(f"random.{who}: dtype must be an integer dtype; got {found}")
    return found


# -- integers ------------------------------------------------------------------------------


@public
def randint(
    key: Any,
    shape: Any,
    minval: Any,
    maxval: Any,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Uniformly distributed integers in [minval, maxval).

    Args:
      key: one key.
      shape: of the result.
      minval, maxval: integers, broadcast to `shape`. Where minval ≥ maxval the result is
        minval. Bounds outside of the dtype's range count as its ends.
      dtype: integer; int32 by default (int64 with `enable_x64`).

    >>> from ferax import random
    >>> random.randint(random.key(42), (5,), 0, 10)
    Array([4, 4, 1, 9, 9], dtype=int32)
    """
    refuse_sharding("random.randint", out_sharding)
    dtype = integer_dtype("randint", dtype)
    keys, _ = one_key("randint", key)
    shape = shapes.canonical_shape(shape, "random.randint")
    if type(minval) is int and type(maxval) is int:
        return _integers_between(keys, shape, minval, maxval, dtype)
    low, _ = _bound("minval", minval, dtype)
    high, beyond = _bound("maxval", maxval, dtype)
    common_shape("randint", shape, low, high)
    word = _word(dtype)
    low, high = broadcast_to(low, shape), broadcast_to(high, shape)
    span = lax.sub(convert(high, word), convert(low, word))
    # a bound of one beyond the largest number: the span is one more, and 0 means all numbers
    span = lax.add(span, convert(broadcast_to(beyond, shape), word))
    empty = lax.bitwise_and(
        lax.ge(low, high), lax.bitwise_not(broadcast_to(beyond, shape))
    )
    span = select(empty, lax.full_like(span, 1), span)
    pair = random_keys.split_keys(keys, (2,))
    high_bits, low_bits = random_keys.bits_of_each(pair, shape, word)
    safe = select(lax.eq(span, lax.full_like(span, 0)), lax.full_like(span, 1), span)
    factor = lax.rem(lax.full_like(span, 1 << 4 * word.itemsize), safe)
    factor = lax.rem(lax.mul(factor, factor), safe)
    offset = lax.add(lax.mul(lax.rem(high_bits, safe), factor), lax.rem(low_bits, safe))
    offset = select(
        lax.eq(span, lax.full_like(span, 0)), low_bits, lax.rem(offset, safe)
    )
    return lax.add(low, convert(offset, dtype))


def _integers_between(
    keys: Any, shape: Shape, minval: int, maxval: int, dtype: Any
) -> Any:
    """`randint` with known bounds: what depends on them alone is done here, in Python."""
    info = dtypes.iinfo(dtype)
    low = min(max(minval, int(info.min)), int(info.max))
    beyond = maxval > int(info.max)
    high = min(max(maxval, int(info.min)), int(info.max))
    span = 1 if maxval <= minval else high - low + beyond
    word = _word(dtype)
    bits = 8 * word.itemsize
    factor = (2 ** (bits // 2) % span) ** 2 % 2**bits % span
    pair = random_keys.split_keys(keys, (2,))
    if factor:
        high_bits, low_bits = random_keys.bits_of_each(pair, shape, word)
        offset = lax.mul(lax.rem(high_bits, word.type(span)), word.type(factor))
        offset = lax.rem(
            lax.add(offset, lax.rem(low_bits, word.type(span))), word.type(span)
        )
    else:  # the high bits don't count
        low_bits = random_keys.key_bits(unstack(pair)[1], shape, word)
        offset = low_bits if span == 2**bits else lax.rem(low_bits, word.type(span))
    # in the unsigned dtype additions wrap around as they should
    return convert(lax.add(offset, word.type(low % 2**bits)), dtype)


def _word(dtype: Any) -> np.dtype:
    """What integers of a dtype are drawn from: small ones too from 32 bits."""
    return np.dtype(np.uint64 if dtype.itemsize == 8 else np.uint32)


def _bound(name: str, value: Any, dtype: Any) -> tuple[Any, Any]:
    """A bound clipped to the dtype's range, and whether it lies above."""
    info = dtypes.iinfo(dtype)
    if type(value) is int:
        clipped = min(max(value, int(info.min)), int(info.max))
        return to_array(dtype.type(clipped)), to_array(np.bool_(value > int(info.max)))
    x = to_array(value, "random.randint", name)
    if x.dtype == dtype:
        return x, to_array(np.bool_(False))
    if not dtypes.is_integer(x.dtype):
        return convert(x, dtype), to_array(np.bool_(False))
    own = dtypes.iinfo(x.dtype)
    above: Any = to_array(np.bool_(False))
    if int(own.max) > int(info.max):
        above = lax.gt(x, x.dtype.type(info.max))
        x = lax.min(x, x.dtype.type(info.max))
    if int(own.min) < int(info.min):
        x = lax.max(x, x.dtype.type(info.min))
    return convert(x, dtype), above


@public
def bernoulli(
    key: Any,
    p: Any = 0.5,
    shape: Any = None,
    mode: str = "low",
    *,
    out_sharding: Any = None,
) -> Array:
    """Booleans that are True with probability p.

    Args:
      key: one key.
      p: floating, probability in [0, 1].
      shape: of the result; by default that of `p`.
      mode: "low" resolves p to 2⁻²³ (for float32), "high" to 2⁻⁴⁶ with twice the work.

    >>> from ferax import random
    >>> random.bernoulli(random.key(42), 0.6, (3,))
    Array([ True, False, False], dtype=bool)
    """
    refuse_sharding("random.bernoulli", out_sharding)
    if mode not in ("low", "high"):
        raise ValueError(
            f"random.bernoulli: mode must be 'low' or 'high'; got {mode!r}"
        )
    keys, _ = one_key("bernoulli", key)
    x = to_array(p, "random.bernoulli", "p")
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"random.bernoulli: p must be floating; got {x.aval.short()}")
    shape = common_shape("bernoulli", shape, x)
    return _flips(keys, broadcast_to(x, shape), shape, mode)


def _flips(keys: Any, p: Any, shape: Shape, mode: str) -> Any:
    dtype = p.dtype
    if mode == "low":
        return lax.lt(unit_uniform(keys, shape, dtype), p)
    coarse, fine = unstack(unit_uniform(keys, (2, *shape), dtype))
    step = 2.0 ** -dtypes.finfo(dtype).nmant
    return lax.lt(coarse, lax.sub(p, lax.mul(fine, step)))


@public
def rademacher(
    key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """-1 or 1, each with probability 1/2.

    Args:
      key: one key.
      shape: of the result.
      dtype: integer (the default) or floating. As unsigned integers -1 is the largest number,
        as bools it is True.

    >>> from ferax import random
    >>> random.rademacher(random.key(42), (4,))
    Array([ 1, -1, -1, -1], dtype=int32)
    """
    refuse_sharding("random.rademacher", out_sharding)
    keys, _ = one_key("rademacher", key)
    dtype = dtypes.requested(int if dtype is None else dtype, "random.rademacher")
    return signs(keys, shapes.canonical_shape(shape, "random.rademacher"), dtype)


def signs(keys: Any, shape: Shape, dtype: Any) -> Any:
    """-1 or 1."""
    unit = unit_uniform(keys, shape, dtypes.canonical(float))
    if dtypes.is_bool(dtype):
        return lax.full(shape, True, dtype)
    one = lax.full(shape, 1, dtype)
    return select(lax.lt(unit, 0.5), one, lax.neg(one))


@public
def geometric(
    key: Any,
    p: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """The number of trials until the first success, which has probability p: 1, 2, …

    Args:
      key: one key.
      p: probability in (0, 1].
      shape: of the result; by default that of `p`.
      dtype: integer.
    """
    refuse_sharding("random.geometric", out_sharding)
    dtype = integer_dtype("geometric", dtype)
    keys, _ = one_key("geometric", key)
    chance = parameter("geometric", "p", p, dtypes.canonical(float))
    shape = common_shape("geometric", shape, chance)
    u = lax.log(unit_uniform(keys, shape, chance.dtype))
    miss = lax.log1p(lax.neg(broadcast_to(chance, shape)))
    return convert(lax.add(lax.floor(lax.div(u, miss)), 1.0), dtype)


# -- permutations and choices --------------------------------------------------------------


def _shuffled(keys: Any, x: Any, axis: int) -> Any:
    """Sort along `axis` by random numbers; again until ties have become unlikely."""
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        keys, own = unstack(random_keys.split_keys(keys, (2,)))
        order = random_keys.key_bits(own, x.shape)
        _, x = lax.sort_key_val(order, x, axis)
    return x


def _permuted_indices(keys: Any, n: int) -> Any:
    return _shuffled(keys, lax.iota(dtypes.canonical(int), n), 0)


@public
def permutation(
    key: Any,
    x: Any,
    axis: int = 0,
    independent: bool = False,
    *,
    out_sharding: Any = None,
) -> Array:
    """The elements of an array, or the numbers 0 … x-1, in random order.

    Args:
      key: one key.
      x: an array of any dtype with at least one axis, or an integer; a negative one is as 0.
      axis: along which is permuted.
      independent: permute each vector along `axis` by itself, not all alike.

    >>> from ferax import random
    >>> random.permutation(random.key(42), 6)
    Array([4, 2, 5, 3, 0, 1], dtype=int32)
    """
    refuse_sharding("random.permutation", out_sharding)
    keys, _ = one_key("permutation", key)
    values = to_array(x, "random.permutation", "x")
    if not values.shape:
        if not dtypes.is_integer(values.dtype):
            raise TypeError(
                "random.permutation: x must be an integer or have an axis; got "
                f"{values.aval.short()}"
            )
        n = shapes.dimension(x, "random.permutation")
        shapes.canonical_axis(axis, 1, "random.permutation")
        return _permuted_indices(keys, max(n, 0))
    place = shapes.canonical_axis(axis, values.ndim, "random.permutation")
    if independent or values.ndim == 1:
        return _shuffled(keys, values, place)
    order = _permuted_indices(keys, values.shape[place])
    return take(values, order, axis=place, mode="clip")


@public
def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Array:
    """Random elements of an array, or of the numbers 0 … a-1.

    Args:
      key: one key.
      a: an array with at least one axis, or an integer.
      shape: of the sample; it takes the place of `axis` in the result.
      replace: whether an element may be drawn again.
      p: floating, (a.shape[axis],): the probabilities, or numbers proportional to them.
        By default all are equal.
      axis: along which is drawn.
      mode: for draws with `p` without replacement, as in `gumbel`.
    Raises:
      ValueError: if there are fewer elements than are to be drawn, or `p` does not fit.

    >>> from ferax import random
    >>> random.choice(random.key(42), 10, (5,))
    Array([4, 4, 1, 9, 9], dtype=int32)
    """
    keys, _ = one_key("choice", key)
    shape = shapes.canonical_shape(shape, "random.choice")
    values = to_array(a, "random.choice", "a")
    if not values.shape and not dtypes.is_integer(values.dtype):
        raise TypeError(
            f"random.choice: a must be an integer or have an axis; got {values.aval.short()}"
        )
    place = (
        shapes.canonical_axis(axis, values.ndim, "random.choice") if values.shape else 0
    )
    n = values.shape[place] if values.shape else shapes.dimension(a, "random.choice")
    count = shapes.size(shape)
    if count and n <= 0:
        raise ValueError("random.choice: there is nothing to choose from")
    if not replace and count > n:
        raise ValueError(
            f"random.choice: {count} different elements cannot be drawn from {n}; pass "
            "replace=True"
        )
    index = _chosen(keys, n, shape, replace, p, mode)
    if not values.shape:
        return index
    return take(values, index, axis=place, mode="clip")


def _chosen(
    keys: Any, n: int, shape: Shape, replace: bool, p: Any, mode: str | None
) -> Any:
    """The indices of the elements drawn."""
    if p is None:
        if replace:
            return _integers_between(keys, shape, 0, n, dtypes.canonical(int))
        first = lax.slice_in_dim(_permuted_indices(keys, n), 0, shapes.size(shape))
        return reshape(first, shape)
    weights = to_array(p, "random.choice", "p")
    if not dtypes.is_inexact(weights.dtype):
        weights = convert(weights, dtypes.canonical(float))
    if weights.shape != (n,):
        raise ValueError(
            f"random.choice: p must have shape ({n},), one number per element; got "
            f"{weights.aval.short()}"
        )
    if not replace:
        noisy = lax.add(draw_gumbel(keys, (n,), weights.dtype, mode), lax.log(weights))
        return reshape(
            convert(lax.top_k(noisy, shapes.size(shape))[1], dtypes.canonical(int)),
            shape,
        )
    total = lax.cumsum(weights)
    whole = reshape(lax.slice_in_dim(total, n - 1, n), ())
    u = lax.sub(1.0, unit_uniform(keys, shape, weights.dtype))
    return searchsorted(total, lax.mul(u, broadcast_to(whole, shape)))


@public
def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Any = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Array:
    """Random categories, with probabilities proportional to exp(logits) along an axis.

    Args:
      key: one key.
      logits: floating, the categories along `axis`.
      axis: of the categories.
      shape: of the result; must end with the other axes of `logits`, which it is by default.
      replace: whether the draws along the leading axes of `shape` may repeat a category.
      mode: "low" or "high", as in `gumbel`.
    Returns:
      Integers in [0, logits.shape[axis]).

    >>> import ferax.numpy as jnp
    >>> from ferax import random
    >>> random.categorical(random.key(42), jnp.log(jnp.array([0.1, 0.4, 0.5])), shape=(4,))
    Array([1, 2, 1, 2], dtype=int32)
    """
    refuse_sharding("random.categorical", out_sharding)
    keys, _ = one_key("categorical", key)
    x = to_array(logits, "random.categorical", "logits")
    if not dtypes.is_floating(x.dtype):
        x = convert(x, dtypes.canonical(float))
    place = shapes.canonical_axis(axis, x.ndim, "random.categorical")
    batch = shapes.drop_axes(x.shape, (place,))
    asked = (
        batch if shape is None else shapes.canonical_shape(shape, "random.categorical")
    )
    lead = len(asked) - len(batch)
    if (
        lead < 0
        or shapes.broadcast_shapes(asked[lead:], batch, who="random.categorical")
        != asked[lead:]
    ):
        raise ValueError(
            f"random.categorical: shape={asked} must end with the axes of logits that are not "
            f"categories, {batch}"
        )
    index_dtype = dtypes.canonical(int)
    if replace:
        own = shapes.insert_axis(asked[lead:], place, x.shape[place])
        full = (*asked[:lead], *own)
        noise = draw_gumbel(keys, full, x.dtype, mode)
        return lax.argmax(
            lax.add(noise, broadcast_to(x, full)), lead + place, index_dtype
        )
    count = shapes.size(asked[:lead])
    if count > x.shape[place]:
        raise ValueError(
            f"random.categorical: {count} different categories cannot be drawn from "
            f"{x.shape[place]}; pass replace=True"
        )
    noisy = lax.add(draw_gumbel(keys, x.shape, x.dtype, mode), x)
    best = convert(lax.top_k(moveaxis(noisy, place, x.ndim - 1), count)[1], index_dtype)
    return reshape(moveaxis(best, best.ndim - 1, 0), asked)
