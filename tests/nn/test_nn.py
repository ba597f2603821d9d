"""nn: values against NumPy in double precision, derivatives at kinks, no nan out of infinities."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import special

import ferax
import ferax.numpy as jnp
from ferax import nn

NAN, INF = math.nan, math.inf
X = np.array([-100, -6, -3, -1.3, -0.4, 0, 0.3, 1.7, 3, 6, 100], np.float32)


def _sigmoid(x):
    return special.expit(x)


def _softplus(x):
    return np.logaddexp(x, 0)


EXACT = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x >= 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))
    ),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "sigmoid": _sigmoid,
    "log_sigmoid": lambda x: -_softplus(-x),
    "softplus": _softplus,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "soft_sign": lambda x: x / (1 + np.abs(x)),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_plus": lambda x: np.where(
        x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)
    ),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "identity": lambda x: x,
    "gelu": lambda x: (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_activations(name):
    """Values of formulas in double precision, eager and compiled; smooth points' derivatives."""
    f, exact = getattr(nn, name), EXACT[name]
    want = exact(X.astype(np.float64))
    for how in (f, ferax.jit(f)):
        y = how(X)
        assert y.dtype == np.float32
        np.testing.assert_allclose(np.asarray(y), want, rtol=2e-6, atol=1e-6)
    smooth = X[np.abs(X - np.round(X)) > 0.1].astype(np.float64)
    with ferax.enable_x64(True):
        slopes = np.asarray(ferax.vmap(ferax.grad(f))(smooth))
    differences = (exact(smooth + 1e-6) - exact(smooth - 1e-6)) / 2e-6
    np.testing.assert_allclose(slopes, differences, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_activations_of_other_dtypes(name):
    """16 bits stay 16 bits; integers become floats unless whole numbers stay whole."""
    f = getattr(nn, name)
    assert f(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
    stays = name in ("relu", "hard_tanh", "identity")
    assert f(jnp.array([-1, 0, 3])).dtype == (np.int32 if stays else np.float32)
    assert f(1.0).shape == ()


@pytest.mark.parametrize("name", EXACT)
def test_activations_of_nan_are_nan(name):
    """No comparison hides a nan."""
    assert np.isnan(getattr(nn, name)(NAN))


@pytest.mark.parametrize(
    ("name", "at", "want"),
    [
        ("relu", 0, 0),
        ("relu", INF, 1),
        ("relu", -INF, 0),
        ("relu6", 0, 0),
        ("relu6", 6, 0),
        ("relu6", 3, 1),
        ("leaky_relu", 0, 1),
        ("leaky_relu", -INF, 0.01),
        ("elu", 0, 1),
        ("elu", -INF, 0),
        ("elu", 1000, 1),
        ("selu", 0, 1.0507009873554805 * 1.6732632423543772),
        ("celu", -INF, 0),
        ("celu", 1000, 1),
        ("sigmoid", -1000, 0),
        ("sigmoid", INF, 0),
        ("softplus", 0, 0.5),
        ("softplus", 1000, 1),
        ("softplus", -1000, 0),
        ("softplus", INF, 1),
        ("softplus", -INF, 0),
        ("log_sigmoid", -INF, 1),
        ("log_sigmoid", 1000, 0),
        ("hard_tanh", 1, 1),
        ("hard_tanh", 2, 0),
        ("hard_sigmoid", 3, 0),
        ("hard_silu", 0, 0.5),
        ("soft_sign", 0, 1),
        ("sparse_plus", -1, 0),
        ("sparse_plus", 1, 1),
        ("sparse_plus", INF, 1),
        ("sparse_plus", -INF, 0),
        ("tanh", INF, 0),
        ("log1mexp", 0, INF),
        ("log1mexp", 1000, 0),
    ],
)
def test_derivatives_at_kinks_and_infinities(name, at, want):
    """Every kink has the documented derivative; large arguments give limits, not nan."""
    got = float(ferax.grad(getattr(nn, name))(float(at)))
    assert got == pytest.approx(want, rel=1e-6)


def test_parameters_of_activations():
    """Slopes and factors may be numbers or arrays."""
    x = jnp.array([-1.0, 2.0])
    np.testing.assert_allclose(nn.leaky_relu(x, 0.5), [-0.5, 2])
    np.testing.assert_allclose(
        nn.elu(x, jnp.array([0.5, 3.0])), [0.5 * math.expm1(-1), 2], rtol=1e-6
    )
    np.testing.assert_allclose(nn.celu(x, 2.0), [2 * math.expm1(-0.5), 2], rtol=1e-6)
    np.testing.assert_allclose(
        nn.squareplus(x, 1.0), [(-1 + 2**0.5) / 2, (2 + 5**0.5) / 2], rtol=1e-6
    )
    exact = X.astype(float) * special.ndtr(X.astype(float))
    np.testing.assert_allclose(
        nn.gelu(X, approximate=False), exact, rtol=1e-5, atol=1e-7
    )


def test_log1mexp():
    """Exact where 1 - e⁻ˣ cancels and where e⁻ˣ is tiny; nan below 0."""
    x = np.array([1e-7, 1e-3, 0.5, math.log(2), 1, 20, 80], np.float32)
    want = np.where(
        x < 1, np.log(-np.expm1(-x.astype(float))), np.log1p(-np.exp(-x.astype(float)))
    )
    want[-1] = -math.exp(-80)
    np.testing.assert_allclose(nn.log1mexp(x), want, rtol=1e-6)
    assert np.isnan(nn.log1mexp(-1.0))


def test_glu():
    """The first half, gated by the second; an odd size is refused."""
    x = np.arange(12, dtype=np.float32).reshape(4, 3) - 6
    want = x[:2] * _sigmoid(x[2:])
    np.testing.assert_allclose(nn.glu(x, axis=0), want, rtol=1e-6)
    message = "glu: axis -1 of float32[4,3] has size 3; it must be even to be halved"
    with pytest.raises(ValueError, match=re.escape(message)):
        nn.glu(x)


# -- softmax and relatives -------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, (0, 1), None])
def test_softmax(axis):
    """Values and Jacobian of SciPy's softmax, log_softmax, logsumexp; large numbers."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) * 50
    wide = x.astype(np.float64)
    for how in (lambda f: f, ferax.jit):
        soft = how(lambda x: nn.softmax(x, axis))(x)
        np.testing.assert_allclose(
            soft, special.softmax(wide, axis), rtol=2e-5, atol=1e-30
        )
        log = how(lambda x: nn.log_softmax(x, axis))(x)
        np.testing.assert_allclose(
            log, special.log_softmax(wide, axis), rtol=1e-5, atol=1e-5
        )
        total = how(lambda x: nn.logsumexp(x, axis))(x)
        np.testing.assert_allclose(total, special.logsumexp(wide, axis), rtol=1e-6)
    gradient = ferax.grad(lambda x: nn.logsumexp(x, axis).sum())(x)
    np.testing.assert_allclose(
        gradient, special.softmax(wide, axis), rtol=2e-5, atol=1e-7
    )


def test_masked_elements_count_for_nothing():
    """`where` hides values and derivatives of what it masks, even nan."""
    x, mask = jnp.array([1.0, NAN, 3.0]), jnp.array([True, False, True])
    want = special.softmax([1.0, 3.0])
    np.testing.assert_allclose(
        nn.softmax(x, where=mask), [want[0], 0, want[1]], rtol=1e-6
    )
    log = nn.log_softmax(x, where=mask)
    np.testing.assert_allclose(
        log, [math.log(want[0]), -INF, math.log(want[1])], rtol=1e-6
    )
    total = nn.logsumexp(x, where=mask)
    assert float(total) == pytest.approx(special.logsumexp([1.0, 3.0]))
    assert float(nn.logmeanexp(x, where=mask)) == pytest.approx(
        float(total) - math.log(2)
    )
    for f in (nn.softmax, nn.log_softmax):
        slopes = np.asarray(
            ferax.jacobian(lambda x, f=f: f(x, where=mask)[jnp.array([0, 2])])(x)
        )
        assert np.isfinite(slopes).all()
        np.testing.assert_array_equal(slopes[:, 1], 0)
    slopes = np.asarray(ferax.grad(lambda x: nn.logsumexp(x, where=mask))(x))
    np.testing.assert_allclose(slopes, [want[0], 0, want[1]], rtol=1e-6)


def test_nothing_left():
    """With everything masked softmax is 0 and logsumexp -inf, with derivatives 0."""
    x, none = jnp.array([1.0, 2.0]), jnp.array([False, False])
    np.testing.assert_array_equal(nn.softmax(x, where=none), [0, 0])
    np.testing.assert_array_equal(nn.log_softmax(x, where=none), [-INF, -INF])
    assert nn.logsumexp(x, where=none) == -INF
    assert nn.logsumexp(jnp.zeros(0)) == -INF
    assert nn.logsumexp(jnp.array([-INF, -INF])) == -INF
    np.testing.assert_array_equal(
        ferax.grad(nn.logsumexp)(jnp.array([-INF, -INF])), [0, 0]
    )
    slopes = ferax.grad(lambda x: nn.logsumexp(x, where=none))(x)
    np.testing.assert_array_equal(slopes, [0, 0])
    np.testing.assert_array_equal(
        ferax.jacobian(lambda x: nn.softmax(x, where=none))(x), np.zeros((2, 2))
    )


def test_minus_infinity_is_harmless():
    """-inf among numbers gives probability 0 and finite derivatives."""
    x = jnp.array([-INF, 1.0, 1.0])
    np.testing.assert_allclose(nn.softmax(x), [0, 0.5, 0.5])
    np.testing.assert_allclose(
        nn.log_softmax(x), [-INF, math.log(0.5), math.log(0.5)], rtol=1e-6
    )
    np.testing.assert_allclose(ferax.grad(nn.logsumexp)(x), [0, 0.5, 0.5])
    assert np.isfinite(np.asarray(ferax.jacobian(nn.softmax)(x))).all()
    slopes = np.asarray(ferax.jacobian(nn.log_softmax)(x))
    np.testing.assert_allclose(slopes[1:], [[0, 0.5, -0.5], [0, -0.5, 0.5]], atol=1e-6)
    assert nn.logsumexp(jnp.array([INF, 1.0])) == INF


def test_logsumexp_with_factors_and_signs():
    """Negative sums are nan, or come with their sign; complex ones have a direction."""
    a, b = jnp.array([1.0, 2.0]), jnp.array([1.0, -1.0])
    assert np.isnan(nn.logsumexp(a, b=b))
    size, sign = nn.logsumexp(a, b=b, return_sign=True)
    assert float(size) == pytest.approx(math.log(math.e**2 - math.e), rel=1e-6)
    assert float(sign) == -1
    size, sign = nn.logsumexp(a, b=0.0, return_sign=True)
    assert (float(size), float(sign)) == (-INF, 0)
    size = nn.logsumexp(jnp.array([NAN, 2.0]), b=jnp.array([0.0, 1.0]))
    assert float(size) == 2.0
    z = jnp.array([1 + 2j, 2.0])
    assert complex(nn.logsumexp(z)) == pytest.approx(1.9063238 + 0.37617138j)
    size, sign = nn.logsumexp(z, return_sign=True)
    assert (float(size.real), complex(sign)) == pytest.approx(
        (1.9063238, 0.9300779 + 0.36736223j)
    )
    assert nn.logsumexp(jnp.zeros((2, 3)), axis=(0, 1), keepdims=True).shape == (1, 1)
    assert nn.logsumexp(jnp.zeros((2, 3, 4)), axis=(0, -1)).shape == (3,)


def test_standardize():
    """Mean 0 and variance 1 along axes; given or masked statistics."""
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32) + 5
    wide = x.astype(float)
    want = (wide - wide.mean(1, keepdims=True)) / np.sqrt(
        wide.var(1, keepdims=True) + 1e-5
    )
    for algorithm in ("fast", "stable"):
        np.testing.assert_allclose(
            nn.standardize(x, algorithm=algorithm), want, rtol=1e-3, atol=1e-4
        )
    np.testing.assert_allclose(
        nn.standardize(jnp.arange(4.0), mean=1.0, variance=4.0, epsilon=0.0),
        [-0.5, 0, 0.5, 1],
    )
    masked = nn.standardize(jnp.arange(4.0), where=jnp.array([True, True, False, True]))
    np.testing.assert_allclose(
        masked, [-1.0690416, -0.26726043, 0.53452075, 1.3363019], rtol=1e-5
    )
    assert nn.standardize(jnp.arange(4)).dtype == np.float32
    with pytest.raises(
        ValueError, match='algorithm must be "fast" or "stable"; got \'slow\''
    ):
        nn.standardize(x, algorithm="slow")


def test_one_hot():
    """1 at each class along a new axis; classes out of range give zeros."""
    x = jnp.array([0, 1, 5, -1])
    np.testing.assert_array_equal(
        nn.one_hot(x, 3), [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    )
    assert nn.one_hot(x, 3, axis=0).shape == (3, 4)
    assert nn.one_hot(jnp.zeros((1, 2)), 3, axis=1).shape == (1, 3, 2)
    assert nn.one_hot(x, 3, dtype=jnp.int8).dtype == np.int8
    assert nn.one_hot(1, 3).tolist() == [0, 1, 0]
    assert nn.one_hot([0, 1], 3).shape == (2, 3)
    assert nn.one_hot(jnp.array([True, False]), 2).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        nn.one_hot(x, 3, axis=3)


# -- attention -------------------------------------------------------------------------------


def _attention(q, k, v, bias=0.0, allowed=True, scale=None):
    """By loops over heads, in double precision."""
    q, k, v = (np.asarray(x, float) for x in (q, k, v))
    group = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, group, 2), np.repeat(v, group, 2)
    scale = q.shape[3] ** -0.5 if scale is None else scale
    logits = np.einsum("btnh,bsnh->bnts", q, k) * scale + bias
    weights = special.softmax(np.where(allowed, logits, -1e30), -1)
    return np.einsum("bnts,bsnh->btnh", weights, v)


def _operands(t=5, s=7, n=4, k=4, b=2, h=3):
    rng = np.random.default_rng(0)
    shapes = ((b, t, n, h), (b, s, k, h), (b, s, k, h))
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
def test_attention(heads):
    """Multi-head, grouped and multi-query attention; bias, mask and scale."""
    q, k, v = _operands(n=heads[0], k=heads[1])
    rng = np.random.default_rng(1)
    bias = rng.normal(size=(2, 4, 5, 7)).astype(np.float32)
    mask = rng.random((1, 1, 5, 7)) < 0.7
    for how in (nn.dot_product_attention, ferax.jit(nn.dot_product_attention)):
        np.testing.assert_allclose(
            how(q, k, v), _attention(q, k, v), rtol=1e-4, atol=1e-5
        )
        want = _attention(q, k, v, bias, mask)
        np.testing.assert_allclose(how(q, k, v, bias, mask), want, rtol=1e-4, atol=1e-5)
    got = nn.dot_product_attention(q, k, v, scale=2.0)
    np.testing.assert_allclose(
        got, _attention(q, k, v, scale=2.0), rtol=1e-4, atol=1e-5
    )


def test_attention_to_parts():
    """Causal, windowed and limited by lengths; later queries are 0."""
    q, k, v = _operands()
    t, s = np.arange(5)[:, None], np.arange(7)
    cases = [
        ({"is_causal": True}, t >= s),
        ({"local_window_size": 1}, np.abs(t - s) <= 1),
        ({"local_window_size": (2, 0)}, (t - s <= 2) & (t >= s)),
        (
            {"key_value_seq_lengths": jnp.array([2, 6])},
            (s < np.array([[2], [6]]))[:, None, None],
        ),
    ]
    for options, allowed in cases:
        got = nn.dot_product_attention(q, k, v, **options)
        np.testing.assert_allclose(
            got, _attention(q, k, v, 0, allowed), rtol=1e-4, atol=1e-5
        )
    got = np.asarray(
        nn.dot_product_attention(q, k, v, query_seq_lengths=jnp.array([2, 5]))
    )
    np.testing.assert_array_equal(got[0, 2:], 0)
    np.testing.assert_allclose(got[1], _attention(q, k, v)[1], rtol=1e-4, atol=1e-5)


def test_attention_without_batch_and_in_sixteen_bits():
    """(T, N, H) operands; bfloat16 computes softmax in float32; residuals."""
    q, k, v = _operands(b=1)
    out, residual = nn.dot_product_attention(q[0], k[0], v[0], return_residual=True)
    np.testing.assert_allclose(out, _attention(q, k, v)[0], rtol=1e-4, atol=1e-5)
    logits = np.einsum("btnh,bsnh->btns", q, k).astype(float) / 3**0.5
    np.testing.assert_allclose(
        residual, special.logsumexp(logits, -1)[0], rtol=1e-4, atol=1e-5
    )
    half = [jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)]
    narrow = nn.dot_product_attention(*half)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.asarray(narrow, np.float32), _attention(*half), atol=0.03
    )


def test_attention_to_nothing_has_no_nan():
    """A query that may attend to no key attends to all equally, with finite derivatives."""
    q, k, v = _operands()
    nothing = jnp.zeros((1, 1, 5, 7), bool)
    f = lambda q, k, v: nn.dot_product_attention(q, k, v, mask=nothing)
    np.testing.assert_allclose(f(q, k, v)[:, 0], np.mean(v, 1), rtol=1e-4, atol=1e-5)
    for g in ferax.grad(lambda *x: f(*x).sum(), (0, 1, 2))(q, k, v):
        assert np.isfinite(np.asarray(g)).all()


def test_attention_refuses():
    """Errors show all shapes."""
    q, k, v = _operands(n=4, k=3)
    with pytest.raises(
        ValueError, match=r"a multiple of that of key and value; got query float32"
    ):
        nn.dot_product_attention(q, k, v)
    with pytest.raises(ValueError, match="must agree in batch and head size"):
        nn.dot_product_attention(q[:1], k, v)
    with pytest.raises(ValueError, match="mask must be bool"):
        nn.dot_product_attention(
            q, k[:, :, :1], v[:, :, :1], mask=jnp.ones((1, 1, 5, 7))
        )
    with pytest.raises(ValueError, match='implementation must be None or "xla"'):
        nn.dot_product_attention(q, k, v, implementation="fast")
    with pytest.raises(NotImplementedError, match="cudnn"):
        nn.dot_product_attention(q, k, v, implementation="cudnn")


def test_scaled_matmul():
    """Factors are repeated over the blocks of the contracted axis."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 5, 8))
    s, t = rng.random((2, 3, 2)), rng.random((2, 5, 4))
    want = np.einsum("bmk,bnk->bmn", a * np.repeat(s, 4, 2), b * np.repeat(t, 2, 2))
    got = nn.scaled_matmul(*(jnp.asarray(x, jnp.float32) for x in (a, b, s, t)))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    narrow = nn.scaled_matmul(
        jnp.ones((1, 2, 4), jnp.float8_e4m3fn), jnp.ones((1, 2, 4), jnp.float8_e4m3fn),
        jnp.full((1, 2, 1), 2, jnp.float8_e8m0fnu), jnp.ones((1, 2, 1), jnp.float8_e8m0fnu),
        preferred_element_type=jnp.bfloat16,
    )  # fmt: skip
    assert (narrow.dtype, narrow.tolist()) == (jnp.bfloat16, [[[8, 8], [8, 8]]])
    with pytest.raises(ValueError, match=r"its scales \(B, M, K / block\)"):
        nn.scaled_matmul(
            jnp.ones((1, 2, 4)),
            jnp.ones((1, 2, 4)),
            jnp.ones((1, 2, 3)),
            jnp.ones((1, 2, 1)),
        )


def test_scaled_dot_general():
    """Without configurations it is dot_general; with them it is refused by name."""
    x, y = jnp.ones((2, 3)), jnp.ones((3, 4))
    dimensions = (((1,), (0,)), ((), ()))
    assert nn.scaled_dot_general(x, y, dimensions).tolist() == [[3.0] * 4] * 2
    config = nn.get_scaled_dot_general_config("mxfp8")
    with pytest.raises(NotImplementedError, match="scaled_dot_general: configs"):
        nn.scaled_dot_general(x, y, dimensions, configs=[config] * 3)
    assert nn.get_scaled_dot_general_config("nvfp4").block_size == 16
    with pytest.raises(ValueError, match="mode must be"):
        nn.get_scaled_dot_general_config("int8")


# -- one_hot, glu, attention: classes, axes and shapes -------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bfloat16", "float16", "bool"])
def test_one_hot_of_more_classes_than_the_dtype_counts(dtype):
    """Each class has one place, also beyond the largest number of the dtype."""
    hot = nn.one_hot(jnp.array([0, 1], dtype), 5000)
    np.testing.assert_array_equal(np.argwhere(hot), [[0, 0], [1, 1]])


def test_one_hot_along_a_named_axis():
    """Each member of the axis gets its element."""
    rows = ferax.vmap(
        lambda _: nn.one_hot(jnp.array([1, 5]), 3, axis="i"), axis_name="i"
    )(jnp.arange(3))
    np.testing.assert_array_equal(rows, [[0, 0], [1, 0], [0, 0]])
    with pytest.raises(ValueError, match="'i' has size 2; it must be num_classes, 3"):
        ferax.vmap(lambda x: nn.one_hot(x, 3, axis="i"), axis_name="i")(jnp.arange(2))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.one_hot(jnp.arange(2), 2.0), TypeError, "one_hot.*integers; got 2.0"),
        (lambda: nn.one_hot(jnp.arange(2), -1), ValueError, "negative; got -1"),
        (lambda: nn.glu(jnp.ones((2, 4)), axis=3), ValueError, "glu: axis 3 is out of bounds"),
    ],
)  # fmt: skip
def test_messages_of_classes_and_axes(call, kind, message):
    """They name the function and what came."""
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": np.ones((2, 1, 3, 3), bool)}, r"mask must broadcast.*\(1, 2, 3, 3\)"),
        ({"bias": np.ones((2, 1, 3, 3))}, r"bias must broadcast.*\(1, 2, 3, 3\)"),
        ({"query_seq_lengths": np.array([1, 2])}, r"query_seq_lengths.*batch of 1; got int"),
        ({"key_value_seq_lengths": np.array([1.5])}, r"key_value_seq_lengths.*integers.*float"),
    ],
)  # fmt: skip
def test_attention_refuses_what_does_not_fit_its_batch(options, message):
    """More masks or lengths than there are sequences, and lengths that count nothing."""
    x = jnp.ones((3, 2, 4))
    with pytest.raises(ValueError, match=message):
        nn.dot_product_attention(x, x, x, **options)


def test_log_softmax_of_masked_elements_is_constant():
    """-inf where the mask is, whatever the others are: no derivative by them."""
    mask = jnp.array([True, False, True])
    jac = ferax.jacrev(lambda x: nn.log_softmax(x, where=mask))(
        jnp.array([0.0, 1.0, 0.0])
    )
    np.testing.assert_allclose(
        jac, [[0.5, 0, -0.5], [0, 0, 0], [-0.5, 0, 0.5]], atol=1e-6
    )
