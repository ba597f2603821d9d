"""Matrix products of block-scaled operands: narrow numbers that share a factor per block.

The formats are those of the Open Compute Project, "Microscaling formats (MX) specification", 2023
(mxfp8: blocks of 32, factors that are powers of 2), and NVIDIA's nvfp4 (blocks of 16, factors in
float8 with one global factor). Products are computed in float32: the formats are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes

import ferax.numpy as jnp
from ferax import dtypes, lax
from ferax.core.array import Array
from ferax.core.tracing import to_array
from ferax.errors import public


@dataclass
class BlockScaleConfig:
    """How an operand of `scaled_dot_general` is to be narrowed."""

    mode: str
    block_size: int
    data_type: Any
    scale_type: Any
    global_scale: Any = None
    infer_only: bool = False


@public
def get_scaled_dot_general_config(
    mode: Literal["nvfp4", "mxfp8"], global_scale: Any = None
) -> BlockScaleConfig:
    """The configuration of a block-scaled format, for `scaled_dot_general`.

    >>> import ferax
    >>> ferax.nn.get_scaled_dot_general_config("mxfp8").block_size
    32
    """
    if mode == "mxfp8":
        return BlockScaleConfig(
            mode, 32, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu
        )
    if mode == "nvfp4":
        scale = jnp.ones((1,), jnp.float32) if global_scale is None else global_scale
        return BlockScaleConfig(
            mode, 16, ml_dtypes.float4_e2m1fn, ml_dtypes.float8_e4m3fn, scale
        )
    raise ValueError(
        f'get_scaled_dot_general_config: mode must be "mxfp8" or "nvfp4"; got {mode!r}'
    )


@public
def scaled_matmul(
    lhs: Array,
    rhs: Array,
    lhs_scales: Array,
    rhs_scales: Array,
    preferred_element_type: Any = jnp.float32,
) -> Array:
    """Σ_k (lhs · its scale)[b, m, k] (rhs · its scale)[b, n, k], in float32.

    Args:
      lhs: (B, M, K).
      rhs: (B, N, K).
      lhs_scales: (B, M, K / block), a factor for each block of elements along the last axis.
      rhs_scales: (B, N, K / block).
      preferred_element_type: dtype of the result.

    Returns:
      (B, M, N).

    >>> import ferax
    >>> import ferax.numpy as jnp
    >>> a, b = jnp.array([[[1.0, 2.0, 3.0]]]), jnp.array([[[4.0, 5.0, 6.0]]])
    >>> half = jnp.full((1, 1, 1), 0.5)
    >>> ferax.nn.scaled_matmul(a, b, half, half)
    Array([[[8.]]], dtype=float32)
    """
    x = _scaled("lhs", to_array(lhs, "scaled_matmul", "lhs"), lhs_scales)
    y = _scaled("rhs", to_array(rhs, "scaled_matmul", "rhs"), rhs_scales)
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        raise ValueError(
            "scaled_matmul: lhs and rhs must agree in the first and the last axis; got "
            f"{x.aval.short()} and {y.aval.short()}"
        )
    product = jnp.einsum("BMK,BNK->BMN", x, y, precision="highest")
    return product.astype(preferred_element_type)


def _scaled(name: str, x: Any, scales: Any) -> Any:
    s = to_array(scales, "scaled_matmul", f"{name}_scales")
    if (
        x.ndim != 3
        or s.shape[:-1] != x.shape[:-1]
        or not s.shape[-1]
        or x.shape[2] % s.shape[2]
    ):
        raise ValueError(
            f"scaled_matmul: {name} must be (B, M, K) and its scales (B, M, K / block); got "
            f"{x.aval.short()} and {s.aval.short()}"
        )
    factors = jnp.repeat(s.astype(jnp.float32), x.shape[2] // s.shape[2], axis=2)
    return x.astype(jnp.float32) * factors


@public
def scaled_dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    preferred_element_type: Any = jnp.float32,
    configs: list[BlockScaleConfig] | None = None,
    implementation: Literal["cudnn"] | None = None,
) -> Array:
    """`lax.dot_general` of operands narrowed to block-scaled formats.

    Without `configs` it is `lax.dot_general`. Narrowing operands is not supported: quantise them
    and call `scaled_matmul`.
    """
    if configs is not None:
        raise NotImplementedError(
            "scaled_dot_general: configs are not supported; quantise the operands and call "
            "nn.scaled_matmul, or leave configs out"
        )
    return lax.dot_general(
        lhs,
        rhs,
        dimension_numbers,
        preferred_element_type=dtypes.canonical(preferred_element_type),
    )
