"""Random bits from XLA's own generators: rng_bit_generator, rng_uniform.

They are not what `ferax.random` draws from, unless the key is one of `rbg`. `rng_bit_generator`
gives the same bits for the same key, but which ones is up to the platform; it is compiled when
called eagerly too.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core.array import engine
from ferax.core.avals import Aval, Zero
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.custom_mapping import in_turn
from ferax.lax.shape import refuse_sharding

_UINT32, _UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)


class RandomAlgorithm(enum.IntEnum):
    """How `rng_bit_generator` makes bits; the default one is the platform's fastest."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2

    def __str__(self) -> str:
        return self.name


_MNEMONICS = ("DEFAULT", "THREE_FRY", "PHILOX")


class RngBitGenerator(Primitive):
    """(new key, bits) from a key: 4 words of 32 bits or 2 of 64."""

    shape: tuple[int, ...]
    dtype: Any
    algorithm: RandomAlgorithm
    keeps_weak_type = False
    transpose = cannot("not linear")

    def abstract(self, key: Aval) -> list[Aval]:
        wide = key.dtype == _UINT64
        if key.shape != (2 if wide else 4,) or key.dtype not in (_UINT32, _UINT64):
            raise TypeError(
                f"rng_bit_generator: the key must be uint32[4] or uint64[2]; got {key.short()}"
            )
        if not dtypes.is_unsigned(self.dtype):
            raise TypeError(
                "rng_bit_generator: the bits must be uint8, uint16, uint32 or uint64; got "
                f"{np.dtype(self.dtype).name}"
            )
        return [key, Aval(self.shape, self.dtype)]

    def numpy(self, key: Any) -> list[Any]:
        return engine().hot(self, (Aval(key.shape, key.dtype),))(key)  # type: ignore[no-any-return]

    def stablehlo(self, hlo: Any, key: Any) -> list[Any]:
        return generated(hlo, key, hlo.out[1], self.algorithm)

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        return outs, [Zero(o.aval.tangent()) for o in outs]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return in_turn(self.bind, axis.size, args, dims), [0, 0]


def generated(hlo: Any, key: Any, bits: Aval, algorithm: RandomAlgorithm) -> list[Any]:
    """The new key and bits of this aval, by one of XLA's generators."""
    words, narrow = key, key.dtype == _UINT32
    state = Aval((2,), _UINT64)
    if narrow:
        pairs = hlo.reshape(key, (2, 2))
        words = hlo.emit("bitcast_convert", (pairs,), state)
    after, made = hlo.emit(
        "rng_bit_generator",
        (words,),
        [state, bits],
        f"rng_algorithm = #stablehlo<rng_algorithm {_MNEMONICS[algorithm]}>",
    )
    if narrow:
        pairs = hlo.emit("bitcast_convert", (after,), Aval((2, 2), _UINT32))
        after = hlo.reshape(pairs, (4,))
    return [after, made]


class RngUniform(Primitive):
    """Numbers of [a, b), other ones in each run."""

    shape: tuple[int, ...]
    jvp = cannot("its results are not a function of its operands")
    transpose = cannot("not linear")

    def abstract(self, a: Aval, b: Aval) -> list[Aval]:
        fits = a.dtype == b.dtype and not (a.shape or b.shape)
        if not fits or not (dtypes.is_floating(a.dtype) or dtypes.is_integer(a.dtype)):
            raise TypeError(
                "rng_uniform: the bounds must be integer or floating scalars of one dtype; got "
                f"{a.short()} and {b.short()}"
            )
        return [Aval(self.shape, a.dtype)]

    def numpy(self, a: Any, b: Any) -> list[Any]:
        rng = np.random.default_rng()
        if dtypes.is_integer(a.dtype):
            return [rng.integers(a, b, self.shape).astype(a.dtype)]
        unit = rng.random(self.shape).astype(a.dtype)
        out = a + (b - a) * unit
        return [np.where(out < b, out, a)]  # rounding may have reached b

    def stablehlo(self, hlo: Any, a: Any, b: Any) -> list[Any]:
        shape = hlo.constant(np.asarray(self.shape, np.int64), np.dtype(np.int64))
        attrs = "rng_distribution = #stablehlo<rng_distribution UNIFORM>"
        return [hlo.emit("rng", (a, b, shape), hlo.out[0], attrs)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return in_turn(self.bind, axis.size, args, dims), [0]


# -- public --------------------------------------------------------------------------------


@public
def rng_bit_generator(
    key: Any,
    shape: Any,
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Any, Any]:
    """Random bits by one of XLA's generators: (new key, bits).

    Args:
      key: uint32, (4,), or uint64, (2,).
      shape: of the bits.
      dtype: uint8, uint16, uint32 or uint64.
      algorithm: a `RandomAlgorithm`. Bits are the same for the same key, platform and version.

    Raises:
      TypeError: the key or the dtype is another.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.rng_bit_generator(jnp.array([1, 2, 3, 4], "uint32"), (2,))[0]
    Array([1, 2, 4, 4], dtype=uint32)
    """
    refuse_sharding("rng_bit_generator", out_sharding)
    op = RngBitGenerator(
        shapes.canonical_shape(shape),
        dtypes.canonical(dtype),
        RandomAlgorithm(algorithm),
    )
    new_key, bits = op.bind(to_array(key, "rng_bit_generator", "the key"))
    return new_key, bits


@public
def rng_uniform(a: Any, b: Any, shape: Any) -> Any:
    """Numbers drawn from [a, b) by a generator that nobody seeds: other ones in each run.

    Args:
      a, b: integer or floating scalars of one dtype.
      shape: of the result. For numbers that can be drawn again use `ferax.random.uniform`.

    >>> from ferax import lax
    >>> lax.rng_uniform(0.0, 1.0, (3,)).shape
    (3,)
    """
    a, b = to_array(a, "rng_uniform"), to_array(b, "rng_uniform")
    return RngUniform(shapes.canonical_shape(shape))(a, b)


class Token:
    """Stands for an order of effects; ferax keeps that order by itself (`ordered=True`)."""

    def block_until_ready(self) -> Token:
        return self

    def __repr__(self) -> str:
        return "Token"


def create_token(_: Any = None) -> Token:
    """A token that waits for nothing."""
    return Token()


def after_all(*operands: Any) -> Token:
    """A token that waits for others.

    Raises:
      TypeError: an operand is no token.
    """
    for x in operands:
        if not isinstance(x, Token):
            raise TypeError(f"after_all: operands must be tokens; got {x!r}")
    return Token()
