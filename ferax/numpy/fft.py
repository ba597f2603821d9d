"""NumPy's discrete Fourier transforms.

Each pads or cuts the axes to the lengths asked for, moves them to the end, transforms (three at a
time, which is what the operation can do) and moves them back. float16 and bfloat16 are transformed
as float32, integers as floating.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax.fourier import Fft, FftType
from ferax.lax.matrices import conj
from ferax.lax.shape import known_integer, pad_zeros
from ferax.numpy.creation import arange, placed
from ferax.numpy.promoting import ArrayLike, operand
from ferax.numpy.shaping import roll

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

# the factor of the forward transform is length ** (this), of the inverse one length ** (-1 - this)
_EXPONENTS = {None: 0.0, "backward": 0.0, "ortho": -0.5, "forward": -1.0}
_SWAPPED = {
    None: "forward",
    "backward": "forward",
    "ortho": "ortho",
    "forward": "backward",
}


def _operand(who: str, a: Any, real: bool) -> Any:
    x = operand(who, a)
    if dtypes.is_key(x.dtype):
        raise TypeError(f"{who} does not accept random keys; got {x.aval.short()}")
    if not dtypes.is_inexact(x.dtype):
        return basis.convert(x, dtypes.canonical(np.dtype(np.float64)))
    if real and dtypes.is_complex(x.dtype):
        raise TypeError(
            f"{who}: the input must be real; got {x.aval.short()}. Use fft instead."
        )
    if dtypes.itemsize_bits(x.dtype) < 32:
        return basis.convert(x, np.dtype(np.float32))
    return basis.convert(x, x.dtype)


def _axes(
    who: str, x: Any, s: Any, axes: Any
) -> tuple[tuple[int, ...], list[int] | None]:
    for name, given in (("s", s), ("axes", axes)):
        if given is not None and not np.iterable(given):
            raise TypeError(
                f"{who}: {name} must be a sequence of integers; got {given!r}"
            )
    if axes is None:
        count = x.ndim if s is None else len(s)
        axes = range(x.ndim - count, x.ndim)
    found = shapes.canonical_axes(tuple(axes), x.ndim, who)
    if s is None:
        return found, None
    lengths = [known_integer(n, who, "a length") for n in s]
    if len(lengths) != len(found):
        raise ValueError(
            f"{who}: s {tuple(s)} and axes {found} must have the same length"
        )
    if min(lengths, default=1) < 1:
        raise ValueError(f"{who}: lengths must be positive; got {tuple(s)}")
    return found, lengths


def _resized(x: Any, axes: tuple[int, ...], sizes: Sequence[int]) -> Any:
    """Zeros appended to the axes, or their ends cut off."""
    config = [(0, 0, 0)] * x.ndim
    for axis, size in zip(axes, sizes):
        config[axis] = (0, size - x.shape[axis], 0)
    return pad_zeros(x, tuple(config))


def _transform(
    who: str, kind: FftType, a: Any, s: Any, axes: Any, norm: str | None
) -> Any:
    if norm not in _EXPONENTS:
        raise ValueError(
            f"{who}: norm must be 'backward', 'ortho' or 'forward'; got {norm!r}"
        )
    x = _operand(who, a, kind is FftType.RFFT)
    if kind is not FftType.RFFT:
        x = basis.convert(x, dtypes.to_complex(x.dtype))
    places, lengths = _axes(who, x, s, axes)
    if not places:
        return x
    if lengths is None:
        lengths = [x.shape[i] for i in places]
        if kind is FftType.IRFFT:
            lengths[-1] = max(2 * (lengths[-1] - 1), 0)
    sizes = list(lengths)
    if kind is FftType.IRFFT:
        sizes[-1] = lengths[-1] // 2 + 1
    if s is not None:
        x = _resized(x, places, sizes)
    if 0 in lengths:
        if x.size:
            raise ValueError(f"{who}: {x.aval.short()} gives a result of length 0")
        turn = dtypes.to_real if kind is FftType.IRFFT else dtypes.to_complex
        return basis.convert(x, turn(x.dtype))
    rest = tuple(i for i in range(x.ndim) if i not in places)
    order = (*rest, *places)
    y = _last_axes(kind, basis.permute(x, order), lengths)
    total = shapes.size(lengths)
    inverse = kind in (FftType.IFFT, FftType.IRFFT)
    exponent = -_EXPONENTS[norm] if inverse else _EXPONENTS[norm]
    if exponent:
        y = basis.mul(y, math.pow(total, exponent))
    return basis.permute(y, tuple(map(order.index, range(x.ndim))))


def _last_axes(kind: FftType, x: Any, lengths: Sequence[int]) -> Any:
    """The transform of the last axes, at most three of them at once."""
    tail = tuple(lengths[-3:])
    if len(lengths) == len(tail):
        return Fft(kind, tail)(x)
    complex_kind = FftType.FFT if kind in (FftType.FFT, FftType.RFFT) else FftType.IFFT
    n, k = x.ndim, len(tail)
    forth = (
        *range(n - len(lengths)),
        *range(n - k, n),
        *range(n - len(lengths), n - k),
    )
    back = tuple(map(forth.index, range(n)))

    def others(y: Any) -> Any:
        y = _last_axes(complex_kind, basis.permute(y, forth), lengths[:-3])
        return basis.permute(y, back)

    if kind is FftType.IRFFT:
        return Fft(kind, tail)(others(x))
    return others(Fft(kind, tail)(x))


# -- one axis --------------------------------------------------------------------------------


def _one(n: int | None) -> list[int] | None:
    return None if n is None else [n]


@public
def fft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """y[k] = Σ_j a[j] exp(-2πi jk / n) along an axis.

    Args:
      a: numbers.
      n: length; the axis is cut or filled up with zeros. None: as it is.
      axis: which one.
      norm: "backward" (None): factor 1 here and 1/n in `ifft`; "ortho": 1/√n in both; "forward":
        1/n here and 1 in `ifft`.

    Returns:
      Complex array.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.fft(jnp.array([1., 0., 0., 0.]))
    Array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _transform("fft", FftType.FFT, a, _one(n), (axis,), norm)


@public
def ifft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `fft`: y[j] = Σ_k a[k] exp(2πi jk / n) / n; arguments as there.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.ifft(jnp.array([4., 0., 0., 0.]))
    Array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _transform("ifft", FftType.IFFT, a, _one(n), (axis,), norm)


@public
def rfft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """`fft` of real numbers: its first n // 2 + 1 values, which determine the others.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.rfft(jnp.arange(4.))
    Array([ 6.+0.j, -2.+2.j, -2.+0.j], dtype=complex64)
    """
    return _transform("rfft", FftType.RFFT, a, _one(n), (axis,), norm)


@public
def irfft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `rfft`, real; n is the length of the result, by default 2 (size - 1).

    >>> import ferax.numpy as jnp
    >>> jnp.fft.irfft(jnp.array([4., 0., 0.]))
    Array([1., 1., 1., 1.], dtype=float32)
    """
    return _transform("irfft", FftType.IRFFT, a, _one(n), (axis,), norm)


@public
def hfft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """`fft` of a signal with a[-j] = conj(a[j]), of which the first half is given; real.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.hfft(jnp.array([1., 0., 0.]))
    Array([1., 1., 1., 1.], dtype=float32)
    """
    if norm not in _SWAPPED:
        raise ValueError(
            f"hfft: norm must be 'backward', 'ortho' or 'forward'; got {norm!r}"
        )
    return _transform(
        "hfft",
        FftType.IRFFT,
        conj(operand("hfft", a)),
        _one(n),
        (axis,),
        _SWAPPED[norm],
    )


@public
def ihfft(
    a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Array:
    """The inverse of `hfft`: the first half of a signal with a[-j] = conj(a[j]).

    >>> import ferax.numpy as jnp
    >>> jnp.fft.ihfft(jnp.ones(4))
    Array([1.-0.j, 0.-0.j, 0.-0.j], dtype=complex64)
    """
    if norm not in _SWAPPED:
        raise ValueError(
            f"ihfft: norm must be 'backward', 'ortho' or 'forward'; got {norm!r}"
        )
    return conj(_transform("ihfft", FftType.RFFT, a, _one(n), (axis,), _SWAPPED[norm]))


# -- several axes ----------------------------------------------------------------------------


@public
def fftn(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`fft` along several axes.

    Args:
      a: numbers.
      s: lengths; the axes are cut or filled up with zeros. None: as they are.
      axes: which ones; None: the last len(s), or all.
      norm: as in `fft`, n being the product of the lengths.

    Returns:
      Complex array.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.fftn(jnp.ones((2, 3)), (4, 4)).shape
    (4, 4)
    """
    return _transform("fftn", FftType.FFT, a, s, axes, norm)


@public
def ifftn(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `fftn`; arguments as there.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.ifftn(jnp.ones((2, 2)))
    Array([[1.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _transform("ifftn", FftType.IFFT, a, s, axes, norm)


@public
def rfftn(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """`fftn` of real numbers: the last of the axes has n // 2 + 1 values; arguments as there.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.rfftn(jnp.ones((2, 6))).shape
    (2, 4)
    """
    return _transform("rfftn", FftType.RFFT, a, s, axes, norm)


@public
def irfftn(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Array:
    """The inverse of `rfftn`, real; s is the shape of the result.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.irfftn(jnp.ones((2, 4))).shape
    (2, 6)
    """
    return _transform("irfftn", FftType.IRFFT, a, s, axes, norm)


def _two(who: str, axes: Sequence[int]) -> Sequence[int]:
    if not np.iterable(axes) or len(axes) != 2:
        raise ValueError(f"{who}: two axes are needed; got axes={axes}")
    return axes


@public
def fft2(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`fftn` along two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.fft2(jnp.ones((2, 2)))
    Array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _transform("fft2", FftType.FFT, a, s, _two("fft2", axes), norm)


@public
def ifft2(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`ifftn` along two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.ifft2(jnp.ones((5, 2, 3))).shape
    (5, 2, 3)
    """
    return _transform("ifft2", FftType.IFFT, a, s, _two("ifft2", axes), norm)


@public
def rfft2(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`rfftn` along two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.rfft2(jnp.ones((5, 2, 4))).shape
    (5, 2, 3)
    """
    return _transform("rfft2", FftType.RFFT, a, s, _two("rfft2", axes), norm)


@public
def irfft2(
    a: ArrayLike,
    s: Sequence[int] | None = None,
    axes: Sequence[int] = (-2, -1),
    norm: str | None = None,
) -> Array:
    """`irfftn` along two axes.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.irfft2(jnp.ones((5, 2, 3))).shape
    (5, 2, 4)
    """
    return _transform("irfft2", FftType.IRFFT, a, s, _two("irfft2", axes), norm)


# -- frequencies -----------------------------------------------------------------------------


def _frequencies(counts: Any, n: int, d: Any, dtype: Any, device: Any, who: str) -> Any:
    wanted = np.float64 if dtype is None else dtypes.requested(dtype, who)
    wanted = dtypes.canonical(np.dtype(wanted))
    scale = operand(who, d)
    total = basis.mul(basis.convert(scale, wanted), n)
    return placed(basis.convert(counts, wanted) / total, device)


@public
def fftfreq(
    n: int, d: ArrayLike = 1.0, *, dtype: Any = None, device: Any = None
) -> Array:
    """The frequencies that the values of `fft` belong to, in cycles per unit of d.

    Args:
      n: length of the transform.
      d: distance of the samples.
      dtype: floating; None: the default float.
      device: where to put the result.

    Returns:
      Array (n,): 0, 1, … , then the negative ones from -n // 2, all divided by n d.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.fftfreq(5)
    Array([ 0. ,  0.2,  0.4, -0.4, -0.2], dtype=float32)
    """
    n = known_integer(n, "fftfreq", "n")
    half = (n + 1) // 2
    counts = roll(arange(-(n // 2), half), half) if n > 0 else arange(0)
    return _frequencies(counts, n, d, dtype, device, "fftfreq")


@public
def rfftfreq(
    n: int, d: ArrayLike = 1.0, *, dtype: Any = None, device: Any = None
) -> Array:
    """The frequencies that the values of `rfft` belong to; arguments as in `fftfreq`.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.rfftfreq(4)
    Array([0.  , 0.25, 0.5 ], dtype=float32)
    """
    n = known_integer(n, "rfftfreq", "n")
    return _frequencies(arange(n // 2 + 1), n, d, dtype, device, "rfftfreq")


def _shifted(who: str, x: Any, axes: Any, sign: int) -> Any:
    x = operand(who, x)
    given = axes if np.iterable(axes) else range(x.ndim) if axes is None else (axes,)
    places = tuple([shapes.canonical_axis(i, x.ndim, who) for i in given])
    by = [x.shape[i] // 2 if sign > 0 else -(x.shape[i] // 2) for i in places]
    return roll(x, tuple(by), places)


@public
def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """Move frequency 0 to the middle of the axes (None: all).

    >>> import ferax.numpy as jnp
    >>> jnp.fft.fftshift(jnp.fft.fftfreq(4))
    Array([-0.5 , -0.25,  0.  ,  0.25], dtype=float32)
    """
    return _shifted("fftshift", x, axes, 1)


@public
def ifftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`.

    >>> import ferax.numpy as jnp
    >>> jnp.fft.ifftshift(jnp.array([-0.5, -0.25, 0., 0.25]))
    Array([ 0.  ,  0.25, -0.5 , -0.25], dtype=float32)
    """
    return _shifted("ifftshift", x, axes, -1)
