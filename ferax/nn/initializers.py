"""Initial values of weights: functions that make `(key, shape, dtype)` functions.

Variance scaling: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep
feedforward neural networks", 2010; K. He et al., "Delving deep into rectifiers", 2015; Y. LeCun et
al., "Efficient BackProp", 1998. A weight of shape (…, in, out) has fan-in = in · receptive field,
fan-out = out · receptive field, where the receptive field is the product of the axes that are
neither input, output nor batch. Orthogonal: A. Saxe et al., 2013; delta-orthogonal: L. Xiao et al.,
2018. The numbers are those of the reference API bit for bit, but for matrix decompositions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import ferax.numpy as jnp
from ferax import dtypes, random
from ferax.core.array import Array
from ferax.errors import public
from ferax.numpy.promoting import ArrayLike
from ferax.shapes import canonical_axis, canonical_shape

__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform",
    "he_normal", "he_uniform", "kaiming_normal", "kaiming_uniform", "lecun_normal",
    "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform",
    "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Shape = Sequence[int]
Axes = int | Sequence[int]
Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Distribution = Literal["truncated_normal", "normal", "uniform"]

#: standard deviation of the standard normal distribution cut off at ±2
_TRUNCATED = 0.87962566103423978
#: what the reference API divides by for complex numbers; the exact deviation is 0.96196…
_TRUNCATED_COMPLEX = 0.95311164380491208


@runtime_checkable
class Initializer(Protocol):
    """A function from a random key and a shape to an array."""

    def __call__(
        self, key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        """The initial values; the dtype is that given to the maker, or the default, if None."""
        raise NotImplementedError


def _dtype(who: str, *wishes: Any) -> Any:
    """The first dtype that is given, else the default one."""
    wish = next((w for w in wishes if w is not None), float)
    return dtypes.requested(wish, who)


def _floating(who: str, *wishes: Any) -> Any:
    dtype = _dtype(who, *wishes)
    if not dtypes.is_inexact(dtype):
        raise ValueError(f"{who}: dtype must be floating or complex; got {dtype}")
    return dtype


def _placed(who: str, out_sharding: Any) -> None:
    if out_sharding is not None:
        raise NotImplementedError(
            f"{who}: out_sharding is not supported; apply "
            "lax.with_sharding_constraint(result, sharding) instead"
        )


@public
def zeros(
    key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
) -> Array:
    """Zeros; the key is not used.

    >>> import ferax
    >>> ferax.nn.initializers.zeros(ferax.random.key(0), (2, 3))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    _placed("zeros", out_sharding)
    return jnp.zeros(shape, _dtype("zeros", dtype))


@public
def ones(
    key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
) -> Array:
    """Ones; the key is not used."""
    _placed("ones", out_sharding)
    return jnp.ones(shape, _dtype("ones", dtype))


@public
def constant(value: ArrayLike, dtype: Any = None) -> Initializer:
    """All elements equal to a value, or to the array it broadcasts to.

    >>> import ferax
    >>> ferax.nn.initializers.constant(-7.0)(ferax.random.key(0), (2,))
    Array([-7., -7.], dtype=float32)
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("constant", out_sharding)
        return jnp.full(shape, value, _dtype("constant", dtype, made_for))

    return init


@public
def uniform(scale: float = 1e-2, dtype: Any = None) -> Initializer:
    """Uniformly distributed in [0, scale).

    >>> import ferax
    >>> ferax.nn.initializers.uniform(2.0)(ferax.random.key(0), (3,)).round(4)
    Array([1.8953, 1.9572, 0.6646], dtype=float32)
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("uniform", out_sharding)
        dtype = _floating("uniform", dtype, made_for)
        return random.uniform(key, shape, dtype) * jnp.asarray(scale, dtype)

    return init


@public
def normal(stddev: float = 1e-2, dtype: Any = None) -> Initializer:
    """Normally distributed with mean 0; complex dtypes have the variance in both parts together.

    >>> import ferax
    >>> ferax.nn.initializers.normal(5.0)(ferax.random.key(0), (3,)).round(4)
    Array([ 8.1132, 10.1263, -2.168 ], dtype=float32)
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("normal", out_sharding)
        dtype = _floating("normal", dtype, made_for)
        return random.normal(key, shape, dtype) * jnp.asarray(stddev, dtype)

    return init


@public
def truncated_normal(
    stddev: float = 1e-2, dtype: Any = None, lower: float = -2.0, upper: float = 2.0
) -> Initializer:
    """Normally distributed with mean 0, redrawn outside of [lower, upper] · stddev.

    `stddev` is that of the distribution before it is cut off.

    >>> import ferax
    >>> ferax.nn.initializers.truncated_normal(1.0)(ferax.random.key(0), (3,)).round(4)
    Array([ 1.456 ,  1.7147, -0.4127], dtype=float32)
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("truncated_normal", out_sharding)
        dtype = _floating("truncated_normal", dtype, made_for)
        if dtypes.is_complex(dtype):
            raise ValueError(f"truncated_normal: dtype must be floating; got {dtype}")
        return random.truncated_normal(key, lower, upper, shape, dtype) * jnp.asarray(
            stddev, dtype
        )

    return init


# -- variance scaling ------------------------------------------------------------------------


def _fans(
    shape: tuple[int, ...], in_axis: Axes, out_axis: Axes, batch_axis: Axes
) -> Any:
    """Fan-in and fan-out of a weight."""
    who, ndim = "variance_scaling", len(shape)
    if ndim < 2 and (in_axis == -2 or out_axis == -2):
        raise ValueError(
            f"{who}: a weight of shape {shape} has no second last axis; it must have two axes, "
            "or in_axis and out_axis be given"
        )

    def product(axes: Axes) -> int:
        given = (axes,) if isinstance(axes, int) else tuple(axes)
        return math.prod(shape[canonical_axis(a, ndim, who)] for a in given)

    inputs, outputs = product(in_axis), product(out_axis)
    field = math.prod(shape) / max(inputs * outputs * product(batch_axis), 1)
    return inputs * field, outputs * field


@public
def variance_scaling(
    scale: float,
    mode: Mode,
    distribution: Distribution,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Mean 0 and variance scale / n, where n counts connections.

    Args:
      scale: positive.
      mode: n is "fan_in", "fan_out", their mean "fan_avg" or their geometric mean "fan_geo_avg".
      distribution: "normal", "uniform", or "truncated_normal" (cut off at ±2 standard
        deviations; the variance is that after the cut).
      in_axis, out_axis: axes of inputs and of outputs.
      batch_axis: axes that count for neither.
      dtype: floating or complex.

    Raises:
      ValueError: an unknown mode or distribution, or (when called) fewer axes than are named.

    >>> import ferax
    >>> init = ferax.nn.initializers.variance_scaling(2.0, "fan_avg", "normal")
    >>> round(float(init(ferax.random.key(0), (300, 100)).std()), 3)
    0.1
    """
    if mode not in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        raise ValueError(
            'variance_scaling: mode must be "fan_in", "fan_out", "fan_avg" or "fan_geo_avg"; got '
            f"{mode!r}"
        )
    if distribution not in ("truncated_normal", "normal", "uniform"):
        raise ValueError(
            'variance_scaling: distribution must be "truncated_normal", "normal" or "uniform"; '
            f"got {distribution!r}"
        )
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("variance_scaling", out_sharding)
        dtype = _floating("variance_scaling", dtype, made_for)
        dims = canonical_shape(shape, "variance_scaling")
        inputs, outputs = _fans(dims, in_axis, out_axis, batch_axis)
        n = {
            "fan_in": inputs,
            "fan_out": outputs,
            "fan_avg": (inputs + outputs) / 2,
            "fan_geo_avg": math.sqrt(inputs * outputs),
        }[mode]
        variance = jnp.asarray(scale / n if n else math.inf, dtype)
        return _drawn(key, dims, dtype, distribution, variance)

    return init


def _drawn(key: Any, shape: Any, dtype: Any, distribution: str, variance: Any) -> Any:
    """Numbers with mean 0 and the given variance."""
    if distribution == "normal":
        return random.normal(key, shape, dtype) * jnp.sqrt(variance)
    if distribution == "uniform":
        if dtypes.is_complex(dtype):
            return _disc(key, shape, dtype) * jnp.sqrt(variance)
        return random.uniform(key, shape, dtype, -1) * jnp.sqrt(3 * variance)
    if dtypes.is_complex(dtype):
        stddev = jnp.sqrt(variance) / jnp.asarray(_TRUNCATED_COMPLEX, dtype)
        return _disc(key, shape, dtype, cut=2) * stddev
    stddev = jnp.sqrt(variance) / jnp.asarray(_TRUNCATED, dtype)
    return random.truncated_normal(key, -2, 2, shape, dtype) * stddev


def _disc(key: Any, shape: Any, dtype: Any, cut: float | None = None) -> Any:
    """Complex numbers, even in direction: uniform in a disc (variance 1), or normal below `cut`."""
    for_radius, for_angle = random.split(key)
    real = dtypes.to_real(dtype)
    u = random.uniform(for_radius, shape, real)
    if cut is None:
        radius = jnp.sqrt(2 * u)
    else:
        radius = jnp.sqrt(-jnp.log1p((math.exp(-(cut**2)) - 1) * u))
    angle = 2 * jnp.pi * random.uniform(for_angle, shape, real)
    return (radius * jnp.exp(1j * angle)).astype(dtype)


@public
def glorot_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(1, "fan_avg", "uniform")`; also called xavier_uniform.

    >>> import ferax
    >>> ferax.nn.initializers.glorot_uniform()(ferax.random.key(0), (2, 2)).round(4)
    Array([[ 1.0966,  1.1723],
           [-0.4108, -0.0767]], dtype=float32)
    """
    return variance_scaling(
        1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype
    )


@public
def glorot_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(1, "fan_avg", "truncated_normal")`; also called xavier_normal."""
    return variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


@public
def lecun_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(1, "fan_in", "uniform")`"""
    return variance_scaling(
        1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype
    )


@public
def lecun_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(1, "fan_in", "truncated_normal")`"""
    return variance_scaling(
        1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


@public
def he_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(2, "fan_in", "uniform")`; also called kaiming_uniform."""
    return variance_scaling(
        2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype
    )


@public
def he_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
) -> Initializer:
    """`variance_scaling(2, "fan_in", "truncated_normal")`; also called kaiming_normal."""
    return variance_scaling(
        2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


# -- orthogonal ------------------------------------------------------------------------------


@public
def orthogonal(
    scale: float = 1.0, column_axis: int = -1, dtype: Any = None
) -> Initializer:
    """Matrices with orthonormal rows or columns, whichever are fewer, times `scale`.

    Args:
      scale: factor.
      column_axis: the axis that makes the columns; the others together make the rows.
      dtype: floating or complex.

    >>> import ferax
    >>> q = ferax.nn.initializers.orthogonal()(ferax.random.key(0), (4, 2))
    >>> (q.T @ q).round(3) + 0.0
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("orthogonal", out_sharding)
        dtype = _floating("orthogonal", dtype, made_for)
        dims = canonical_shape(shape, "orthogonal")
        if len(dims) < 2:
            raise ValueError(
                f"orthogonal: the shape must have at least two axes; got {dims}"
            )
        columns = dims[column_axis]
        rows = math.prod(dims) // max(columns, 1)
        q = _orthonormal(key, max(rows, columns), min(rows, columns), dtype)
        if rows < columns:
            q = q.T
        others = [
            n for i, n in enumerate(dims) if i != canonical_axis(column_axis, len(dims))
        ]
        q = jnp.moveaxis(q.reshape(*others, columns), -1, column_axis)
        return jnp.asarray(scale, dtype) * q

    return init


def _orthonormal(key: Any, rows: int, columns: int, dtype: Any) -> Any:
    """Orthonormal columns, evenly distributed: the signs of R's diagonal made positive."""
    q, r = jnp.linalg.qr(random.normal(key, (rows, columns), dtype))
    diagonal = jnp.diag(r)
    return q * (diagonal / jnp.abs(diagonal))


@public
def delta_orthogonal(
    scale: float = 1.0, column_axis: int = -1, dtype: Any = None
) -> Initializer:
    """Convolution kernels that are an orthogonal matrix at their centre and 0 elsewhere.

    Shapes are (k…, in, out) with one to three spatial axes and in ≤ out.
    """
    made_for = dtype

    def init(
        key: Array, shape: Shape, dtype: Any = None, out_sharding: Any = None
    ) -> Array:
        _placed("delta_orthogonal", out_sharding)
        dtype = _floating("delta_orthogonal", dtype, made_for)
        dims = canonical_shape(shape, "delta_orthogonal")
        if len(dims) not in (3, 4, 5):
            raise ValueError(
                f"delta_orthogonal: the shape must have 3, 4 or 5 axes; got {dims}"
            )
        if dims[-2] > dims[-1]:
            raise ValueError(
                f"delta_orthogonal: the kernel {dims} has {dims[-2]} inputs and {dims[-1]} "
                "outputs; there must not be more inputs than outputs"
            )
        matrix = orthogonal(scale, column_axis, dtype)(key, dims[-2:])
        centre = tuple((k - 1) // 2 for k in dims[:-2])
        return jnp.zeros(dims, dtype).at[centre].set(matrix)

    return init
