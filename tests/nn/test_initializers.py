"""Initialisers: the reference API's numbers, moments, shapes, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import random
from ferax.nn import initializers as init

KEY = random.key(0)

# what JAX 0.10.2 gives for key(0)
FACTS = [
    (init.normal(), (3,), [0.01622642, 0.02025265, -0.00433594]),
    (init.uniform(2.0), (3,), [1.895334, 1.9571598, 0.66458297]),
    (init.truncated_normal(1.0), (3,), [1.4559592, 1.7147487, -0.41267535]),
    (
        init.truncated_normal(1.0, lower=-1.0, upper=3.0),
        (3,),
        [1.692143, 2.0675178, -0.15660422],
    ),
    (
        init.variance_scaling(1.0, "fan_in", "normal"),
        (3, 2),
        [
            [0.93683285, 1.1692871],
            [-0.25033587, -0.04538975],
            [0.10166612, -0.56123596],
        ],
    ),
    (
        init.variance_scaling(1.0, "fan_out", "uniform"),
        (3, 2),
        [[1.0965558, 1.1722765], [-0.4108003, -0.07674628], [0.17119169, -0.81934696]],
    ),
    (
        init.variance_scaling(1.0, "fan_avg", "truncated_normal"),
        (3, 2),
        [[1.0468423, 1.2329134], [-0.29671577, -0.05394943], [0.12079362, -0.65617436]],
    ),
    (
        init.variance_scaling(1.0, "fan_geo_avg", "truncated_normal"),
        (3, 2),
        [[1.0575807, 1.2455604], [-0.29975942, -0.05450284], [0.12203269, -0.6629053]],
    ),
    (
        init.glorot_uniform(),
        (2, 2),
        [[1.0965558, 1.1722765], [-0.4108003, -0.07674628]],
    ),
    (init.glorot_normal(), (2, 2), [[1.1704054, 1.3784391], [-0.3317383, -0.0603173]]),
    (init.he_normal(), (2, 2), [[1.6552032, 1.9494075], [-0.46914884, -0.08530156]]),
    (init.he_uniform(), (2, 2), [[1.550764, 1.6578493], [-0.5809593, -0.10853563]]),
    (init.lecun_normal(), (2, 2), [[1.1704054, 1.3784391], [-0.3317383, -0.0603173]]),
    (init.lecun_uniform(), (2, 2), [[1.0965558, 1.1722765], [-0.4108003, -0.07674628]]),
    (
        init.orthogonal(),
        (3, 2),
        [[0.96083665, 0.18604839], [-0.25675002, 0.3188112], [0.10427104, -0.92937905]],
    ),
    (
        init.orthogonal(1.0, column_axis=0),
        (2, 3),
        [[0.96083665, -0.25675002, 0.10427104], [0.18604839, 0.3188112, -0.92937905]],
    ),
]


@pytest.mark.parametrize(("initializer", "shape", "want"), FACTS)
def test_numbers_are_those_of_the_reference(initializer, shape, want):
    """The same key gives the same weights, eager and compiled."""
    for how in (initializer, ferax.jit(initializer, static_argnums=1)):
        got = how(KEY, shape)
        assert got.dtype == np.float32
        np.testing.assert_allclose(np.asarray(got), want, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
def test_variances(mode, distribution):
    """The variance is scale / n for each way to count n, receptive fields included."""
    n = {
        "fan_in": 9 * 30,
        "fan_out": 9 * 50,
        "fan_avg": 9 * 40,
        "fan_geo_avg": 9 * 1500**0.5,
    }[mode]
    w = init.variance_scaling(2.0, mode, distribution)(KEY, (3, 3, 30, 50))
    assert float(jnp.var(w)) == pytest.approx(2.0 / n, rel=0.03)
    assert abs(float(jnp.mean(w))) < 0.01


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_complex_weights(distribution):
    """Variance and direction of complex numbers."""
    w = init.variance_scaling(1.0, "fan_in", distribution)(
        KEY, (200, 50), jnp.complex64
    )
    assert w.dtype == np.complex64
    assert float(jnp.mean(jnp.abs(w) ** 2)) == pytest.approx(1 / 200, rel=0.04)
    assert abs(complex(jnp.mean(w))) < 0.002


def test_axes_of_weights():
    """Inputs, outputs and batches may be any axes."""
    w = init.variance_scaling(
        1.0, "fan_in", "normal", in_axis=0, out_axis=1, batch_axis=2
    )
    assert float(w(KEY, (300, 20, 10)).std()) == pytest.approx(300**-0.5, rel=0.03)
    many = init.variance_scaling(1.0, "fan_in", "normal", in_axis=(0, 1), out_axis=2)
    assert float(many(KEY, (20, 20, 30)).std()) == pytest.approx(1 / 20, rel=0.03)


def test_constants():
    """zeros, ones, constant: numbers, arrays, dtypes."""
    assert init.zeros(KEY, (2,)).tolist() == [0, 0]
    assert init.ones(KEY, (2,), jnp.int32).dtype == np.int32
    assert init.constant(3.0)(KEY, (2,)).tolist() == [3, 3]
    assert init.constant(jnp.array([1.0, 2.0]))(KEY, (2, 2)).tolist() == [
        [1, 2],
        [1, 2],
    ]
    assert init.constant(3, jnp.int8)(KEY, (1,)).dtype == np.int8


def test_dtypes():
    """The dtype of the call wins over that of the maker, which wins over the default."""
    maker = init.normal(1.0, jnp.bfloat16)
    assert maker(KEY, (3,)).dtype == jnp.bfloat16
    assert maker(KEY, (3,), jnp.float32).dtype == np.float32
    with ferax.enable_x64(True):
        assert init.he_normal()(KEY, (2, 2)).dtype == np.float64
    assert isinstance(maker, init.Initializer)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 3), (4, 4)])
def test_orthogonal(shape):
    """The fewer of rows and columns are orthonormal."""
    w = np.asarray(init.orthogonal(2.0)(KEY, shape)).reshape(-1, shape[-1])
    if w.shape[0] < w.shape[1]:
        w = w.T
    np.testing.assert_allclose(w.T @ w, 4 * np.eye(w.shape[1]), atol=1e-5)


def test_delta_orthogonal():
    """An orthogonal matrix at the centre of the kernel, zeros around."""
    w = np.asarray(init.delta_orthogonal()(KEY, (3, 3, 2, 4)))
    np.testing.assert_allclose(w[1, 1] @ w[1, 1].T, np.eye(2), atol=1e-6)
    assert np.count_nonzero(w) == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: init.normal(1.0)(KEY, (3,), jnp.int32),
            "normal: dtype must be floating or complex",
        ),
        (
            lambda: init.truncated_normal()(KEY, (3,), jnp.complex64),
            "truncated_normal: dtype must be",
        ),
        (
            lambda: init.variance_scaling(1.0, "fan", "normal"),
            "variance_scaling: mode must be",
        ),
        (
            lambda: init.variance_scaling(1.0, "fan_in", "cauchy"),
            "distribution must be",
        ),
        (
            lambda: init.he_normal()(KEY, (3,)),
            r"a weight of shape \(3,\) has no second last axis",
        ),
        (
            lambda: init.orthogonal()(KEY, (3,)),
            "orthogonal: the shape must have at least two axes",
        ),
        (
            lambda: init.delta_orthogonal()(KEY, (2, 2)),
            "the shape must have 3, 4 or 5 axes",
        ),
        (
            lambda: init.delta_orthogonal()(KEY, (3, 3, 2)),
            "there must not be more inputs than outputs",
        ),
    ],
)
def test_errors(call, message):
    """Who, what came, and the rule."""
    with pytest.raises(ValueError, match=message):
        call()


def test_out_sharding_is_refused_by_name():
    """Shardings are constraints on results."""
    with pytest.raises(
        NotImplementedError, match="zeros: out_sharding is not supported"
    ):
        init.zeros(KEY, (2,), out_sharding=object())
    assert math.isfinite(float(init.zeros(KEY, ())))
