"""Scalar types: `jnp.float32` names a dtype and, called, makes an Array of it.

They are classes whose metaclass gives them a `dtype`, so NumPy, `np.dtype(jnp.float32)` and
`jnp.zeros(3, jnp.bfloat16)` understand them; they compare equal to the NumPy types they name.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from ferax import dtypes
from ferax.numpy.creation import asarray


class _ScalarMeta(type):
    """Calling the class makes an array; `dtype` is what it names."""

    dtype: np.dtype

    def __call__(cls, x: Any = 0) -> Any:
        return asarray(x, dtype=cls.dtype)

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __eq__(cls, other: Any) -> bool:
        if isinstance(other, _ScalarMeta):
            return cls is other
        return cls.dtype.type == other or (
            isinstance(other, np.dtype) and cls.dtype == other
        )

    def __ne__(cls, other: Any) -> bool:
        return not cls == other

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.dtype.type)

    def __reduce__(cls) -> str:
        return cls.__name__


def _scalar_type(dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    kind = _ScalarMeta(dtype.name, (), {"dtype": dtype, "__module__": "ferax.numpy"})
    name = dtype.name
    kind.__doc__ = (
        f"The dtype {name}; `jnp.{name}(x)` is `jnp.asarray(x, dtype={name})`."
    )
    return kind


bool_ = _scalar_type(np.bool_)
int8, int16 = _scalar_type(np.int8), _scalar_type(np.int16)
int32, int64 = _scalar_type(np.int32), _scalar_type(np.int64)
uint8, uint16 = _scalar_type(np.uint8), _scalar_type(np.uint16)
uint32, uint64 = _scalar_type(np.uint32), _scalar_type(np.uint64)
float16, float32, float64 = map(_scalar_type, (np.float16, np.float32, np.float64))
complex64, complex128 = map(_scalar_type, (np.complex64, np.complex128))
bfloat16 = _scalar_type(dtypes.bfloat16)
int2, int4 = _scalar_type(ml_dtypes.int2), _scalar_type(ml_dtypes.int4)
# ml_dtypes has them since 0.6
int1 = _scalar_type(ml_dtypes.int1) if hasattr(ml_dtypes, "int1") else None
uint1 = _scalar_type(ml_dtypes.uint1) if hasattr(ml_dtypes, "uint1") else None
uint2, uint4 = _scalar_type(ml_dtypes.uint2), _scalar_type(ml_dtypes.uint4)
float6_e2m3fn = _scalar_type(ml_dtypes.float6_e2m3fn)
float6_e3m2fn = _scalar_type(ml_dtypes.float6_e3m2fn)
float4_e2m1fn = _scalar_type(ml_dtypes.float4_e2m1fn)
float8_e3m4 = _scalar_type(ml_dtypes.float8_e3m4)
float8_e4m3 = _scalar_type(ml_dtypes.float8_e4m3)
float8_e4m3b11fnuz = _scalar_type(ml_dtypes.float8_e4m3b11fnuz)
float8_e4m3fn = _scalar_type(ml_dtypes.float8_e4m3fn)
float8_e4m3fnuz = _scalar_type(ml_dtypes.float8_e4m3fnuz)
float8_e5m2 = _scalar_type(ml_dtypes.float8_e5m2)
float8_e5m2fnuz = _scalar_type(ml_dtypes.float8_e5m2fnuz)
float8_e8m0fnu = _scalar_type(ml_dtypes.float8_e8m0fnu)

int_, uint, float_, complex_ = int64, uint64, float64, complex128
single, double, csingle, cdouble = float32, float64, complex64, complex128
