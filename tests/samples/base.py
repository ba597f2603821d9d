"""What the conformance suite knows of an operation: an instance, operands, what is smooth.

Each room has a file here with `SAMPLES`, a table from operation class to samples. The suite takes
every sample through every rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ferax import dtypes


@dataclass(frozen=True)
class Sample:
    """One operation with operands.

    operands: ndarrays, or Arrays where NumPy has no such dtype (random keys).
    differentiable: operands whose derivative is checked; None means all that are floating or
      complex; () that there is none at this place (a kink, an undefined order).
    linear: operands in which the operation is jointly linear, so that it can be transposed.
    order: up to which derivative: 0, 1 or 2; `why` says why it is not 2.
    tolerance: of compiled against eager results, in units of the dtype's precision.
    note: what is special about the sample.
    """

    op: Any
    operands: Any
    differentiable: tuple[int, ...] | None = None
    linear: tuple[int, ...] | None = None
    note: str = ""
    order: int = 2
    why: str = ""
    tolerance: float = 8.0


def array(
    shape: tuple[int, ...] = (),
    dtype: Any = "float32",
    seed: int = 0,
    low: float | None = None,
    high: float | None = None,
) -> np.ndarray:
    """Numbers of [low, high), the same for the same arguments.

    Floats are distinct, so that finite differences meet no kinks; by default in [-2, 2).
    """
    dtype = dtypes.as_dtype(dtype)
    size = int(np.prod(shape))
    rng = np.random.default_rng(seed + 7919 * size)
    if dtypes.is_bool(dtype):
        return rng.integers(0, 2, shape).astype(bool)
    if dtypes.is_integer(dtype):
        least = 0 if dtypes.is_unsigned(dtype) else -7
        bounds = least if low is None else int(low), 8 if high is None else int(high)
        return rng.integers(*bounds, shape).astype(dtype)
    first, last = -2.0 if low is None else low, 2.0 if high is None else high

    def numbers() -> np.ndarray:
        line = first + (last - first) * (np.arange(size) + 0.5) / max(size, 1)
        return rng.permutation(line).reshape(shape)

    values = numbers()
    return (values + 1j * numbers() if dtypes.is_complex(dtype) else values).astype(
        dtype
    )
