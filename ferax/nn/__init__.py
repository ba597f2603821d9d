"""Building blocks of neural networks: activations, normalisation, attention, initialisers."""

from __future__ import annotations

from typing import Any

from ferax.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log1mexp,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
)  # fmt: skip
from ferax.nn.attention import dot_product_attention
from ferax.nn.normalizing import (
    log_softmax,
    logmeanexp,
    logsumexp,
    one_hot,
    softmax,
    standardize,
)  # fmt: skip
from ferax.nn.scaling import (
    get_scaled_dot_general_config,
    scaled_dot_general,
    scaled_matmul,
)  # fmt: skip

__all__ = [
    "celu", "dot_product_attention", "elu", "gelu", "get_scaled_dot_general_config", "glu",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "initializers",
    "leaky_relu", "log1mexp", "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "mish",
    "one_hot", "relu", "relu6", "scaled_dot_general", "scaled_matmul", "selu", "sigmoid", "silu",
    "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus",
    "standardize", "swish", "tanh",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "initializers":  # it loads `ferax.random`
        import importlib

        return importlib.import_module("ferax.nn.initializers")
    raise AttributeError(f"module 'ferax.nn' has no attribute {name!r}")
