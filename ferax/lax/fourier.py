"""The discrete Fourier transform.

One operation for its four kinds, over the last axes: y_k = Σ_n x_n exp(-2πi k n / N), its
inverse (with the factor 1/N), and both for real x, where k runs to N/2 only. The transform's matrix
is symmetric, so FFT and IFFT are their own transposes; those of the real kinds restore the half
of the frequencies that is not stored. Nothing is conjugated but where real numbers are
transformed: a real x has the cotangent Re Σ_k ct_k exp(-2πi k n / N).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.avals import Aval
from ferax.core.basis import Linear
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import elementwise as el
from ferax.lax.shape import Iota, integers, pad_zeros

__all__ = ["FftType", "fft"]


class FftType(enum.IntEnum):
    """Kinds of discrete Fourier transforms; the R is for real input (of IRFFT: real output)."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


class Fft(Linear):
    """The transform of one kind over the last len(fft_lengths) axes.

    The lengths are those of the axes of x; of the real array, where one side is real.
    """

    fft_type: FftType
    fft_lengths: tuple[int, ...]

    def abstract(self, x: Aval) -> list[Aval]:
        kind, lengths = self.fft_type, self.fft_lengths
        real_input = kind is FftType.RFFT
        fits = dtypes.is_floating(x.dtype) if real_input else dtypes.is_complex(x.dtype)
        if not fits or dtypes.itemsize_bits(x.dtype) < 32:
            needed = "float32 or float64" if real_input else "complex"
            raise TypeError(f"fft: {kind.name} takes {needed} arrays; got {x.short()}")
        if not 1 <= len(lengths) <= 3 or len(lengths) > x.ndim:
            raise ValueError(
                f"fft: one to three lengths, at most one per axis, are needed; got {lengths} for "
                f"{x.short()}"
            )
        halved = (*lengths[:-1], lengths[-1] // 2 + 1)
        given = halved if kind is FftType.IRFFT else lengths
        if x.shape[x.ndim - len(lengths) :] != given:
            raise ValueError(
                f"fft: {kind.name} with fft_lengths {lengths} takes last axes of sizes {given}; "
                f"got {x.short()}"
            )
        lead = x.shape[: x.ndim - len(lengths)]
        if kind is FftType.RFFT and not lengths[-1]:
            raise ValueError(
                f"fft: RFFT needs at least one element along the last axis; got {x.short()}"
            )
        if kind is FftType.RFFT:
            return [Aval((*lead, *halved), dtypes.to_complex(x.dtype))]
        if kind is FftType.IRFFT:
            return [Aval((*lead, *lengths), dtypes.to_real(x.dtype))]
        return [Aval(x.shape, x.dtype)]

    def numpy(self, x: Any) -> list[Any]:
        rank = len(self.fft_lengths)
        axes = tuple(range(-rank, 0))
        if 0 in self.fft_lengths:
            (out,) = self.abstract(Aval(x.shape, x.dtype))
            return [np.zeros(out.shape, out.dtype)]
        if self.fft_type is FftType.FFT:
            return [np.fft.fft(x) if rank == 1 else np.fft.fftn(x, axes=axes)]
        if self.fft_type is FftType.IFFT:
            return [np.fft.ifft(x) if rank == 1 else np.fft.ifftn(x, axes=axes)]
        if self.fft_type is FftType.RFFT:
            return [np.fft.rfft(x) if rank == 1 else np.fft.rfftn(x, axes=axes)]
        return [np.fft.irfftn(x, self.fft_lengths, axes)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        lengths = ", ".join(map(str, self.fft_lengths))
        attrs = (
            f"fft_type = #stablehlo<fft_type {self.fft_type.name}>, "
            f"fft_length = array<i64: {lengths}>"
        )
        return [hlo.emit("fft", (x,), hlo.out[0], attrs)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,) = cts
        if self.fft_type is FftType.RFFT:
            return [self.transposed_rfft(ct)]
        if self.fft_type is FftType.IRFFT:
            return [self.transposed_irfft(ct)]
        return [self(ct)]

    def transposed_rfft(self, ct: Any) -> Any:
        """The frequencies that are not stored have the cotangent zero."""
        missing = self.fft_lengths[-1] - ct.shape[-1]
        ct = pad_zeros(ct, (*((0, 0, 0),) * (ct.ndim - 1), (0, missing, 0)))
        return el.Real()(Fft(FftType.FFT, self.fft_lengths)(ct))

    def transposed_irfft(self, ct: Any) -> Any:
        """Each frequency but 0 (and N/2) stands for two."""
        y = Fft(FftType.RFFT, self.fft_lengths)(ct)
        *_, last = self.fft_lengths
        place = Iota(np.dtype(np.int32), (last // 2 + 1,), 0)()
        single = el.eq(place, 0)
        if last % 2 == 0:
            single = el.bitwise_or(single, el.eq(place, last // 2))
        factor = basis.select(single, 1.0, 2.0)
        scale = basis.mul(
            basis.convert(factor, y.dtype), 1 / shapes.size(self.fft_lengths)
        )
        return basis.mul(el.Conj()(y), scale)

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        return self.bind(basis.moveaxis(args[0], dims[0], 0)), [0]


@public
def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The discrete Fourier transform over the last axes.

    Args:
      x: complex for FFT, IFFT and IRFFT (floating is converted), float32 or float64 for RFFT.
      fft_type: a FftType or its name.
      fft_lengths: one to three sizes: those of the last axes of x, for IRFFT those of the result.

    Returns:
      Complex array of the shape of x; of RFFT with a last axis of n // 2 + 1; of IRFFT floating.

    >>> from ferax import lax, numpy as jnp
    >>> lax.fft(jnp.arange(4.), "RFFT", (4,))
    Array([ 6.+0.j, -2.+2.j, -2.+0.j], dtype=complex64)
    """
    if isinstance(fft_type, str):
        if fft_type.upper() not in FftType.__members__:
            names = ", ".join(FftType.__members__)
            raise ValueError(f"fft: fft_type must be one of {names}; got {fft_type!r}")
        kind = FftType[fft_type.upper()]
    else:
        kind = FftType(fft_type)
    x = to_array(x, "fft", "x")
    if not dtypes.is_inexact(x.dtype):
        x = basis.convert(x, dtypes.canonical(np.dtype(np.float64)))
    if kind is not FftType.RFFT and not dtypes.is_complex(x.dtype):
        x = basis.convert(x, dtypes.to_complex(x.dtype))
    lengths = integers(fft_lengths)
    return Fft(kind, lengths)(x) if lengths else x
