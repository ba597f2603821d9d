"""bincount and histograms against NumPy."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp

RNG = np.random.default_rng(0)
X = RNG.normal(size=50).astype(np.float32)
Y = RNG.normal(size=50).astype(np.float32)
W = RNG.integers(1, 5, 50).astype(np.float32)


def same(got, want):
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5)


def test_bincount():
    """Counts and weighted counts; negative elements count as 0, large ones not with length."""
    x = np.array([1, 1, 3, 0])
    same(jnp.bincount(x), np.bincount(x))
    same(jnp.bincount(x, minlength=6), np.bincount(x, minlength=6))
    same(jnp.bincount(x, weights=W[:4]), np.bincount(x, W[:4]))
    same(
        ferax.jit(lambda x: jnp.bincount(x, length=3))(np.array([1, 7, -1])), [1, 1, 0]
    )
    assert jnp.bincount(jnp.zeros(0, int), minlength=3).tolist() == [0, 0, 0]
    with pytest.raises(ferax.errors.ConcretizationTypeError, match="length="):
        ferax.make_jaxpr(jnp.bincount)(x)
    with pytest.raises(TypeError, match="integer type"):
        jnp.bincount(X)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bins": 3},
        {"bins": np.array([-1.0, 0, 0.5, 2], np.float32)},
        {"bins": 4, "range": (-1.0, 1.0)},
        {"bins": 5, "weights": W},
        {"bins": 5, "density": True},
        {"bins": np.array([-1.0, 0, 2], np.float32), "weights": W, "density": True},
    ],
)
def test_histogram(options):
    """Counts and edges; also compiled, for the number of bins is static."""
    want = np.histogram(X, **options)
    for f in (
        jnp.histogram,
        lambda x, **k: ferax.jit(lambda x: jnp.histogram(x, **k))(x),
    ):
        counts, edges = f(X, **options)
        same(counts, want[0])
        np.testing.assert_allclose(edges, want[1], rtol=1e-5, atol=1e-6)


def test_edges():
    """One value gives bins around it."""
    same(jnp.histogram_bin_edges(X, 3), np.histogram_bin_edges(X, 3))
    same(jnp.histogram(jnp.array([2.0, 2.0]), bins=2)[1], [1.5, 2, 2.5])
    with pytest.raises(NotImplementedError, match="bins='auto'"):
        jnp.histogram(X, bins="auto")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bins": 4},
        {"bins": [3, np.array([-1.0, 0, 1], np.float32)]},
        {"bins": np.array([-1.0, 0, 2], np.float32)},
        {"bins": 3, "range": [(-1.0, 1.0), (0.0, 2.0)]},
        {"bins": 3, "weights": W},
        {"bins": 3, "density": True},
    ],
)
def test_histogram2d_and_dd(options):
    """Rectangles and boxes."""
    want = np.histogram2d(X, Y, **options)
    for got, w in zip(jnp.histogram2d(X, Y, **options), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-5, atol=1e-6)
    if not isinstance(options.get("bins"), np.ndarray):
        counts, edges = jnp.histogramdd(np.stack([X, Y], 1), **options)
        same(counts, want[0])
        assert len(edges) == 2
    with pytest.raises(ValueError, match="a bin for each dimension"):
        jnp.histogramdd(np.stack([X, Y], 1), bins=[2])
