"""Arrays from and to other libraries by DLPack."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import dlpack


class Foreign:
    """Another library's array: it offers DLPack and nothing else."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **kwargs):
        return self.x.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


SUPPORTED = ["bool", "int8", "uint32", "float16", "float32", "complex64", "bfloat16"]


@pytest.mark.parametrize("dtype", SUPPORTED)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_arrays_go_there_and_back(dtype, shape):
    """Every dtype that is said to be supported is, also those that NumPy does not have."""
    assert dlpack.is_supported_dtype(dtype)
    dtype = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for given in (Foreign(jnp.array(x)), jnp.array(x)):
        got = dlpack.from_dlpack(given)
        assert got.dtype == dtype
        assert not got.committed
        np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(
    "dtype", ["int4", "uint2", "float8_e5m2", "float0", "key<fry>"]
)
def test_unsupported_dtypes(dtype):
    """Small integers, float8 and what is no number cannot be handed over."""
    assert not dlpack.is_supported_dtype(ferax.dtypes.canonicalize_dtype(dtype, True))


def test_options_of_from_dlpack():
    """The device is that asked for; others' memory is not shared, so that copies are made."""
    device = ferax.devices("cpu")[0]
    x = np.arange(3, dtype=np.float32)
    got = dlpack.from_dlpack(x, device, True)
    assert got.device == device
    assert got.committed
    x[0] = 7
    assert got[0] == 0
    with pytest.raises(ValueError, match="from_dlpack: copy=False"):
        dlpack.from_dlpack(x, copy=False)
    assert dlpack.from_dlpack(got, copy=False) is got
