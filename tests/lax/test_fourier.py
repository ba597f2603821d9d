"""The discrete Fourier transform operation: kinds, lengths, messages."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
from ferax import lax
from tests.samples.base import array


@pytest.mark.parametrize("lengths", [(5,), (6,), (3, 4), (2, 3, 5)])
@pytest.mark.parametrize("kind", ["FFT", "IFFT", "RFFT", "IRFFT"])
def test_kinds_are_numpys(kind, lengths):
    """Over the last axes, with a batch in front, in single precision."""
    shape = (2, *lengths)
    if kind == "IRFFT":
        shape = (*shape[:-1], lengths[-1] // 2 + 1)
    x = array(shape, "float32" if kind == "RFFT" else "complex64")
    axes = tuple(range(1, len(shape)))
    want = {
        "FFT": lambda: np.fft.fftn(x, axes=axes),
        "IFFT": lambda: np.fft.ifftn(x, axes=axes),
        "RFFT": lambda: np.fft.rfftn(x, axes=axes),
        "IRFFT": lambda: np.fft.irfftn(x, lengths, axes),
    }[kind]()
    for f in (lax.fft, ferax.jit(lax.fft, static_argnums=(1, 2))):
        got = f(x, kind, lengths)
        assert got.dtype == (np.float32 if kind == "IRFFT" else np.complex64)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_kinds_by_name_and_by_enum():
    """Names in either case, members of FftType, real input where complex is meant."""
    x = array((4,))
    want = lax.fft(x.astype("complex64"), lax.FftType.FFT, (4,))
    np.testing.assert_array_equal(lax.fft(x, "fft", (4,)), want)
    np.testing.assert_array_equal(lax.fft(x, "FFT", ()), x)


def test_messages():
    """Wrong kinds, dtypes and lengths are named."""
    x = array((4, 5), "complex64")
    with pytest.raises(ValueError, match="one of FFT, IFFT, RFFT, IRFFT; got 'bad'"):
        lax.fft(x, "bad", (5,))
    with pytest.raises(
        TypeError, match=r"RFFT takes float32 or float64.*complex64\[4,5\]"
    ):
        lax.fft(x, "RFFT", (5,))
    with pytest.raises(TypeError, match="RFFT takes float32"):
        lax.fft(x.real.astype("float16"), "RFFT", (5,))
    with pytest.raises(ValueError, match=r"takes last axes of sizes \(4,\)"):
        lax.fft(x, "FFT", (4,))
    with pytest.raises(ValueError, match=r"takes last axes of sizes \(3,\)"):
        lax.fft(x, "IRFFT", (5,))
    with pytest.raises(ValueError, match="one to three lengths"):
        lax.fft(np.zeros((1, 1, 1, 1), "complex64"), "FFT", (1, 1, 1, 1))
