"""Activation functions, elementwise.

Compositions of `lax` and NumPy functions; integers become floats, but for `relu`, `hard_tanh` and
`identity`. Derivatives are finite wherever the function has a one-sided one: the branch of a choice
that is not taken gets a harmless argument, so that no 0 · inf reaches a gradient. At kinks relu
has the derivative 0, relu6 0 at both, leaky_relu and elu that from the right.
"""

from __future__ import annotations

import math

import ferax.numpy as jnp
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax.arithmetic import CLAMP, LE
from ferax.lax.operands import scalar
from ferax.lax.special import erfc
from ferax.lax.transcendental import LOGISTIC
from ferax.numpy.promoting import ArrayLike, inexact, numeric
from ferax.shapes import canonical_axis

_SELU_ALPHA = (
    1.6732632423543772  # Klambauer et al. 2017, self-normalizing neural networks
)
_SELU_SCALE = 1.0507009873554805


@public
def identity(x: ArrayLike) -> Array:
    """x, as an array."""
    return numeric("identity", x)


@public
def relu(x: ArrayLike) -> Array:
    """max(x, 0), of any real dtype; nan stays nan. Its derivative at 0 is 0.

    >>> import ferax
    >>> import ferax.numpy as jnp
    >>> ferax.nn.relu(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)
    >>> ferax.vmap(ferax.grad(ferax.nn.relu))(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 1.], dtype=float32)
    """
    x = numeric("relu", x)
    zero = scalar(0, x)
    return basis.select(LE(x, zero), zero, x)


@public
def relu6(x: ArrayLike) -> Array:
    """min(max(x, 0), 6). Its derivative at 0 and 6 is 0."""
    x = inexact("relu6", x)
    return CLAMP(scalar(0, x), x, scalar(6, x))


@public
def leaky_relu(x: ArrayLike, negative_slope: ArrayLike = 0.01) -> Array:
    """x for x ≥ 0, else negative_slope · x."""
    x = inexact("leaky_relu", x)
    return jnp.where(x >= 0, x, negative_slope * x)


@public
def elu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """x for x > 0, else alpha (eˣ - 1).

    >>> import ferax
    >>> import ferax.numpy as jnp
    >>> ferax.nn.elu(jnp.array([-jnp.inf, 0.0, 2.0]), alpha=0.5)
    Array([-0.5,  0. ,  2. ], dtype=float32)
    """
    x = inexact("elu", x)
    positive = x > 0
    return jnp.where(positive, x, alpha * jnp.expm1(jnp.where(positive, 0, x)))


@public
def selu(x: ArrayLike) -> Array:
    """λ elu(x, α) with λ = 1.0507… and α = 1.6733…, which keep mean 0 and variance 1."""
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


@public
def celu(x: ArrayLike, alpha: ArrayLike = 1.0) -> Array:
    """x for x > 0, else alpha (exp(x / alpha) - 1): continuously differentiable."""
    x = inexact("celu", x)
    positive = x > 0
    return jnp.where(positive, x, alpha * jnp.expm1(jnp.where(positive, 0, x) / alpha))


@public
def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + e⁻ˣ)

    >>> import ferax
    >>> ferax.nn.sigmoid(ferax.numpy.array([-200.0, 0.0, 2.0])).round(4)
    Array([0.    , 0.5   , 0.8808], dtype=float32)
    """
    return LOGISTIC(inexact("sigmoid", x))


@public
def log_sigmoid(x: ArrayLike) -> Array:
    """log(1 / (1 + e⁻ˣ)), exact also for large |x|."""
    return -softplus(-inexact("log_sigmoid", x))


@public
def softplus(x: ArrayLike) -> Array:
    """log(1 + eˣ), exact also for large |x|; its derivative is sigmoid(x).

    >>> import ferax
    >>> ferax.nn.softplus(ferax.numpy.array([-100.0, 0.0, 100.0])).round(4)
    Array([  0.    ,   0.6931, 100.    ], dtype=float32)
    """
    x = inexact("softplus", x)
    return jnp.logaddexp(x, scalar(0, x))


@public
def silu(x: ArrayLike) -> Array:
    """x sigmoid(x); also called swish."""
    x = inexact("silu", x)
    return x * LOGISTIC(x)


swish = silu


@public
def gelu(x: ArrayLike, approximate: bool = True) -> Array:
    """x Φ(x), where Φ is the distribution function of the standard normal distribution.

    Args:
      x: real.
      approximate: take ½ (1 + tanh(√(2/π) (x + 0.044715 x³))) for Φ, off by at most 5e-4.

    >>> import ferax
    >>> x = ferax.numpy.array([-1.0, 0.0, 1.0])
    >>> ferax.nn.gelu(x, approximate=False).round(4)
    Array([-0.1587,  0.    ,  0.8413], dtype=float32)
    """
    x = inexact("gelu", x)
    if approximate:
        inner = x * (math.sqrt(2 / math.pi) * (1 + 0.044715 * (x * x)))
        return x * (0.5 * (1 + jnp.tanh(inner)))
    return 0.5 * x * erfc(x * -math.sqrt(0.5))


@public
def tanh(x: ArrayLike, /) -> Array:
    """tanh x"""
    return jnp.tanh(x)


@public
def hard_tanh(x: ArrayLike) -> Array:
    """x limited to [-1, 1], of any real dtype. Its derivative at ±1 is 1."""
    x = numeric("hard_tanh", x)
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


@public
def hard_sigmoid(x: ArrayLike) -> Array:
    """relu6(x + 3) / 6"""
    return relu6(inexact("hard_sigmoid", x) + 3) / 6


@public
def hard_silu(x: ArrayLike) -> Array:
    """x hard_sigmoid(x); also called hard_swish."""
    x = inexact("hard_silu", x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


@public
def soft_sign(x: ArrayLike) -> Array:
    """x / (|x| + 1)"""
    x = inexact("soft_sign", x)
    return x / (jnp.abs(x) + 1)


@public
def mish(x: ArrayLike) -> Array:
    """x tanh(softplus(x))"""
    x = inexact("mish", x)
    return x * jnp.tanh(softplus(x))


@public
def squareplus(x: ArrayLike, b: ArrayLike = 4) -> Array:
    """½ (x + √(x² + b)), a softplus without exponentials."""
    x = inexact("squareplus", x)
    return 0.5 * (x + jnp.sqrt(jnp.square(x) + b))


@public
def sparse_plus(x: ArrayLike) -> Array:
    """0 for x ≤ -1, ¼ (x + 1)² up to 1, x beyond; its derivative is sparse_sigmoid(x)."""
    x = inexact("sparse_plus", x)
    inner = jnp.where(jnp.abs(x) >= 1, 0, x)
    return jnp.where(x <= -1, 0, jnp.where(x >= 1, x, 0.25 * jnp.square(inner + 1)))


@public
def sparse_sigmoid(x: ArrayLike) -> Array:
    """½ (x + 1), limited to [0, 1]."""
    return 0.5 * jnp.clip(inexact("sparse_sigmoid", x) + 1, 0, 2)


@public
def log1mexp(x: ArrayLike) -> Array:
    """log(1 - e⁻ˣ) for x ≥ 0, exact near 0 and for large x; nan for x < 0.

    M. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012: two forms that meet at log 2.

    >>> import ferax
    >>> ferax.nn.log1mexp(ferax.numpy.array([0.0, 1.0, 50.0])).round(4)
    Array([   -inf, -0.4587, -0.    ], dtype=float32)
    """
    x = inexact("log1mexp", x)
    near = x < math.log(2)
    small = jnp.log(-jnp.expm1(-jnp.where(near, x, 1)))
    return jnp.where(near, small, jnp.log1p(-jnp.exp(-jnp.where(near, 1, x))))


@public
def glu(x: ArrayLike, axis: int = -1) -> Array:
    """a sigmoid(b), where a and b are the halves of x along an axis.

    Args:
      x: real, (…, 2n, …).
      axis: the one that is halved.

    Returns:
      (…, n, …).

    >>> import ferax
    >>> ferax.nn.glu(ferax.numpy.arange(4.0)).round(4)
    Array([0.    , 0.9526], dtype=float32)
    """
    x = inexact("glu", x)
    size = x.shape[canonical_axis(axis, x.ndim, "glu")]
    if size % 2:
        raise ValueError(
            f"glu: axis {axis} of {x.aval.short()} has size {size}; it must be even to be halved"
        )
    a, b = jnp.split(x, 2, axis)
    return a * LOGISTIC(b)
