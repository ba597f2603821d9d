"""numpy.fft against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.numpy import fft
from tests.samples.base import array


@pytest.fixture(autouse=True)
def _double_precision():
    with ferax.enable_x64(True):
        yield


def check(got, want):
    """The same shape, dtype and values."""
    got = np.asarray(got)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def operand(name, shape):
    real = name in ("ihfft",) or name.startswith("rfft")
    return array(shape, "float64" if real else "complex128")


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
def test_one_axis(name, norm):
    """Any axis, cut or filled up to any length, in all normalizations."""
    for shape in [(5,), (6,), (4, 5), (3, 1, 6)]:
        x = operand(name, shape)
        for axis in range(-1, len(shape)):
            for n in (None, 1, 3, 8):
                if n is None and name in ("irfft", "hfft") and shape[axis] == 1:
                    continue
                got = getattr(fft, name)(x, n, axis, norm)
                check(got, getattr(np.fft, name)(x, n, axis, norm))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_several_axes(name, norm):
    """Two axes, all of them, given ones in any order, more than three at once."""
    for shape in [(4, 5), (3, 4, 6), (2, 3, 4, 5), (2, 2, 3, 2, 3)]:
        x = operand(name, shape)
        two, many = getattr(fft, name + "2"), getattr(fft, name + "n")
        np_two, np_many = getattr(np.fft, name + "2"), getattr(np.fft, name + "n")
        check(two(x, norm=norm), np_two(x, norm=norm))
        check(many(x, norm=norm), np_many(x, norm=norm))
        for s, axes in [(None, (0, 1)), ((3, 7), (1, 0)), ((3, 7), (-2, -1))]:
            check(many(x, s, axes, norm), np_many(x, s, axes, norm))
            check(two(x, s, axes, norm), np_two(x, s, axes, norm))
    x = operand(name, (2, 3, 4, 5))
    check(
        getattr(fft, name + "n")(x, (3,) * 4, (2, 0, 1, 3)),
        getattr(np.fft, name + "n")(x, (3,) * 4, (2, 0, 1, 3)),
    )


def test_frequencies_and_shifts():
    """fftfreq and rfftfreq of even and odd lengths, and shifts there and back."""
    for n in range(1, 8):
        check(fft.fftfreq(n, 0.3), np.fft.fftfreq(n, 0.3))
        check(fft.rfftfreq(n, 0.3), np.fft.rfftfreq(n, 0.3))
    assert fft.fftfreq(4, dtype="float32").dtype == np.float32
    for shape in [(5,), (4, 5)]:
        x = array(shape, "float64")
        check(fft.fftshift(x), np.fft.fftshift(x))
        check(fft.ifftshift(x, 0), np.fft.ifftshift(x, 0))
        check(fft.ifftshift(fft.fftshift(x)), x)


def test_dtypes():
    """Single precision stays single; integers and narrow floats become floating."""
    with ferax.enable_x64(False):
        assert fft.fft(jnp.ones(4)).dtype == np.complex64
        assert fft.irfft(jnp.ones(4)).dtype == np.float32
        assert fft.fft(jnp.arange(4)).dtype == np.complex64
        assert fft.rfft(jnp.ones(4, "float16")).dtype == np.complex64
        assert fft.fftfreq(4).dtype == np.float32


def test_gradients():
    """Parseval: Σ|X|² has the gradient 2 n x; the real transform keeps a real gradient."""
    x = jnp.array(array((6,), "float64"))
    got = ferax.grad(lambda x: jnp.sum(jnp.abs(fft.fft(x)) ** 2))(x)
    np.testing.assert_allclose(got, 12 * x, rtol=1e-9)
    got = ferax.grad(lambda x: jnp.sum(fft.irfft(fft.rfft(x) * 3) * x))(x)
    np.testing.assert_allclose(got, 6 * x, rtol=1e-9)
    f = lambda x: fft.irfft(fft.rfft(x) ** 2)
    jacobian = ferax.jacrev(f)(x)
    np.testing.assert_allclose(jacobian, ferax.jacfwd(f)(x), atol=1e-9)


def test_vmap_and_jit():
    """Mapped over any axis and compiled, the numbers are the same."""
    x = array((3, 4, 5), "complex128")
    got = ferax.jit(ferax.vmap(lambda x: fft.fft(x, axis=0), 1, 1))(x)
    np.testing.assert_allclose(got, np.fft.fft(x, axis=0), rtol=1e-9, atol=1e-9)


MESSAGES = [
    (lambda: fft.fft(jnp.ones(())), ValueError, "axis -1 is out of bounds"),
    (
        lambda: fft.fft(jnp.ones(3), 0),
        ValueError,
        r"fft: lengths must be positive; got \(0,\)",
    ),
    (
        lambda: fft.fft(jnp.ones(3), norm="x"),
        ValueError,
        "norm must be 'backward', 'ortho'",
    ),
    (lambda: fft.hfft(jnp.ones(3), norm="x"), ValueError, "hfft: norm must be"),
    (lambda: fft.rfft(jnp.ones(3) * 1j), TypeError, "rfft: the input must be real"),
    (
        lambda: fft.fftn(jnp.ones((2, 2)), (2, 2), (0,)),
        ValueError,
        "must have the same length",
    ),
    (lambda: fft.fftn(jnp.ones((2, 2)), axes=(0, 0)), ValueError, "named twice"),
    (
        lambda: fft.fft2(jnp.ones((2, 2)), axes=(0,)),
        ValueError,
        "fft2: two axes are needed",
    ),
    (
        lambda: fft.fft([1.0, 2.0]),
        TypeError,
        "fft requires ndarray or scalar arguments",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES)
def test_messages(call, error, message):
    """Wrong axes, lengths, norms and dtypes are named."""
    with pytest.raises(error, match=message):
        call()
