"""Samples of the discrete Fourier transform."""

from __future__ import annotations

from ferax.lax.fourier import Fft, FftType
from tests.samples.base import Sample, array


def _of(kind, lengths, shape):
    dtype = "float32" if kind is FftType.RFFT else "complex64"
    return Sample(Fft(kind, lengths), [array(shape, dtype)], linear=(0,), tolerance=16)


SAMPLES = {
    Fft: [
        _of(FftType.FFT, (5,), (5,)),
        _of(FftType.FFT, (2, 3), (4, 2, 3)),
        _of(FftType.FFT, (2, 3, 4), (2, 3, 4)),
        _of(FftType.IFFT, (6,), (2, 6)),
        _of(FftType.IFFT, (3, 2), (3, 2)),
        _of(FftType.RFFT, (6,), (2, 6)),
        _of(FftType.RFFT, (5,), (5,)),
        _of(FftType.RFFT, (3, 4), (2, 3, 4)),
        _of(FftType.RFFT, (1,), (2, 1)),
        _of(FftType.IRFFT, (6,), (2, 4)),
        _of(FftType.IRFFT, (5,), (3,)),
        _of(FftType.IRFFT, (3, 5), (3, 3)),
        _of(FftType.IRFFT, (2, 3, 4), (2, 3, 3)),
        _of(FftType.IRFFT, (1,), (1,)),
        _of(FftType.IRFFT, (2,), (2,)),
    ]
}
