"""Random numbers against the recorded ones of JAX: integers equal, floats to rounding."""

from __future__ import annotations

import json
import operator
from pathlib import Path

import ml_dtypes  # noqa: F401 - names bfloat16 for np.dtype
import numpy as np
import pytest
from scipy import special

import ferax
import ferax.numpy as jnp
from ferax import random
from ferax.config import scoped
from ferax.lax.rbg import RbgBits
from ferax.random import PRNGKey

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "random.json").read_text())["cases"]
MORE = json.loads((GOLDEN / "random_more.json").read_text())
RBG = json.loads((GOLDEN / "random_rbg.json").read_text())

# of small floats one unit in the last place
TOLERANCE = {"float16": 2e-3, "bfloat16": 1e-2, "float8_e4m3fn": 0.2}


def check(case):
    """The call gives what was recorded."""
    scope = {"jnp": jnp, "random": random, "PRNGKey": PRNGKey, "vmap": ferax.vmap}
    impl = case.get("impl")
    scope["K"] = random.key(42, impl=impl) if impl else PRNGKey(42)
    found = np.asarray(eval(case["call"], scope))
    dtype = np.dtype(case["dtype"])
    if "hex" in case:
        expected = np.frombuffer(bytes.fromhex(case["hex"]), dtype)
    else:
        expected = np.array(case["data"], dtype)
    expected = expected.reshape(tuple(case["shape"]))
    assert found.dtype == dtype
    assert found.shape == expected.shape
    if dtype.kind in "iub":
        np.testing.assert_array_equal(found, expected)
    else:
        wide = complex if dtype.kind == "c" else float
        tolerance = TOLERANCE.get(case["dtype"], 1e-5)
        np.testing.assert_allclose(found.astype(wide), expected.astype(wide), tolerance)


@pytest.mark.parametrize("case", CASES + MORE["cases"], ids=operator.itemgetter("call"))
def test_recorded(case):
    """With 32 bits."""
    check(case)


@pytest.mark.parametrize("case", MORE["x64"], ids=operator.itemgetter("call"))
def test_recorded_with_64_bits(case):
    """With 64 bits."""
    with scoped["enable_x64"](True):
        check(case)


def label(case):
    """The generator and the call."""
    return f"{case['impl']}: {case['call']}"


@pytest.mark.parametrize("case", RBG["cases"], ids=label)
def test_recorded_of_rbg(case):
    """Keys of four words: with 32 bits, also mapped."""
    check(case)


@pytest.mark.parametrize("case", RBG["x64"], ids=label)
def test_recorded_of_rbg_with_64_bits(case):
    """Keys of four words, with 64 bits."""
    with scoped["enable_x64"](True):
        check(case)


DRAWS = {
    "bits": lambda k: random.bits(k, (5,), "uint8"),
    "uniform": lambda k: random.uniform(k, (2, 3)),
    "normal": lambda k: random.normal(k, (3,)),
    "complex normal": lambda k: random.normal(k, (2,), "complex64"),
    "randint": lambda k: random.randint(k, (3,), 0, jnp.array([3, 10, 2**30])),
    "bernoulli": lambda k: random.bernoulli(k, 0.3, (5,)),
    "permutation": lambda k: random.permutation(k, jnp.arange(12).reshape(4, 3)),
    "choice": lambda k: random.choice(k, 3, (4,), p=jnp.array([0.1, 0.3, 0.6])),
    "choice without": lambda k: random.choice(k, 7, (3,), replace=False),
    "categorical": lambda k: random.categorical(k, jnp.zeros((3, 4))),
    "gamma": lambda k: random.gamma(k, jnp.array([0.5, 2.0])),
    "poisson": lambda k: random.poisson(k, jnp.array([3.0, 30.0])),
    "binomial": lambda k: random.binomial(k, jnp.array([10.0, 100.0]), 0.3),
    "dirichlet": lambda k: random.dirichlet(k, jnp.array([1.0, 2.0])),
    "split": lambda k: random.key_data(random.split(k, 3)),
    "fold_in": lambda k: random.key_data(random.fold_in(k, 3)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_both_forms_of_keys_under_all_transformations(name):
    """Raw and new-style keys, jit and vmap give the numbers of the plain call."""
    draw = DRAWS[name]
    new, raw = random.key(42), PRNGKey(42)
    expected = np.asarray(draw(new))
    same = lambda x: np.testing.assert_allclose(np.asarray(x), expected, 2e-6)
    same(draw(raw))
    same(ferax.jit(draw)(new))
    same(ferax.jit(draw)(raw))
    for key in (new, raw):
        keys = random.split(key, 3)
        rows = np.stack([np.asarray(draw(k)) for k in keys])
        np.testing.assert_allclose(np.asarray(ferax.vmap(draw)(keys)), rows, 2e-6)
        np.testing.assert_allclose(
            np.asarray(ferax.jit(ferax.vmap(draw))(keys)), rows, 2e-6
        )


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
@pytest.mark.parametrize("name", DRAWS)
def test_keys_of_four_words_compiled(impl, name):
    """Compiled draws are the eager ones; raw keys are those of the default generator."""
    key, draw = random.key(42, impl=impl), DRAWS[name]
    expected = np.asarray(draw(key))
    same = lambda x: np.testing.assert_allclose(np.asarray(x), expected, 2e-6)
    same(ferax.jit(draw)(key))
    with ferax.default_prng_impl(impl):
        same(draw(PRNGKey(42)))
        same(ferax.jit(draw)(PRNGKey(42)))
    keys = random.split(key, 3)
    mapped = ferax.vmap(draw)
    np.testing.assert_allclose(
        np.asarray(ferax.jit(mapped)(keys)), np.asarray(mapped(keys)), 2e-6
    )


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_several_keys_of_rbg_draw_by_the_first(impl):
    """Mapped over keys, one run of the generator makes all numbers, eagerly and compiled."""
    keys = random.split(random.key(1, impl=impl), (2, 3))
    draw = ferax.vmap(ferax.vmap(lambda k: random.bits(k, (4,), "uint16")))
    expected = np.asarray(random.bits(keys[0, 0], (2, 3, 4), "uint16"))
    np.testing.assert_array_equal(draw(keys), expected)
    np.testing.assert_array_equal(ferax.jit(draw)(keys), expected)
    for f in (draw, ferax.jit(draw)):
        assert f(keys[:, :0]).shape == (2, 0, 4)
    with pytest.raises(TypeError, match=r"keys of four words; got key<fry>\[\]"):
        RbgBits((), np.dtype("uint32"))(random.key(0))


# words that as floats would be zeros, denormals, infinities and signalling NaNs
WORDS = np.array(
    [
        [0, 42, 0, 42], [1, 0x7FF00000, 1, 0xFFF00000], [0xFFFFFFFF] * 4,
        [0, 0x80000000, 5, 0], [3, 0x7FF7FFFF, 9, 0x0000FFFF],
    ],
    "uint32",
)  # fmt: skip
MOVES = {
    "nothing": lambda k, i: k,
    "element": lambda k, i: k[i[0]],
    "reverse": lambda k, i: k[::-1],
    "transpose": lambda k, i: k.reshape(5, 1).T,
    "concatenate": lambda k, i: jnp.concatenate([k, k[:2]]),
    "choose": lambda k, i: jnp.where(i[0] > 0, k, k[::-1]),
    "choose each": lambda k, i: jnp.where(jnp.arange(5) > i[0], k, k[::-1]),
    "slice": lambda k, i: ferax.lax.dynamic_slice(k, (i[0],), (2,)),
    "update": lambda k, i: ferax.lax.dynamic_update_slice(k, k[:2], (i[1],)),
    "set": lambda k, i: k.at[i].set(k[1]),
    "take": lambda k, i: k[i],
    "broadcast": lambda k, i: jnp.broadcast_to(k, (3, 5)),
    "cond": lambda k, i: ferax.lax.cond(i[0] > 0, lambda k: k[1], lambda k: k[2], k),
    "scan": lambda k, i: ferax.lax.scan(lambda c, x: (x, c), k[1], k)[1],
}


@pytest.mark.parametrize("name", MOVES)
def test_keys_of_four_words_are_moved_unchanged(name):
    """Their carrier is a complex number, whose bits nothing may interpret."""
    i = jnp.array([1, 3, 2])
    move = MOVES[name]
    moved = lambda keys, i: random.key_data(move(keys, i))
    keys = random.wrap_key_data(WORDS, impl="rbg")
    rows = random.wrap_key_data(WORDS[:, :2])  # the same moves on keys of two words
    expected = np.concatenate(
        [
            moved(rows, i),
            moved(random.wrap_key_data(np.ascontiguousarray(WORDS[:, 2:])), i),
        ],
        -1,
    )
    np.testing.assert_array_equal(moved(keys, i), expected)
    np.testing.assert_array_equal(ferax.jit(moved)(keys, i), expected)
    constant = ferax.jit(lambda i: moved(keys, i))
    np.testing.assert_array_equal(constant(i), expected)


def test_keys_read_out_of_bounds():
    """They have all bits set, those of two words and those of four."""
    for impl, count in (("threefry2x32", 2), ("rbg", 4)):
        keys = random.split(random.key(0, impl=impl), 3)
        f = lambda k, i: random.key_data(k.at[i].get(mode="fill"))
        for g in (f, ferax.jit(f)):
            got = np.asarray(g(keys, jnp.array([1, 7])))
            np.testing.assert_array_equal(got[0], random.key_data(keys)[1])
            np.testing.assert_array_equal(got[1], [2**32 - 1] * count)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_are_equal_by_their_words(impl):
    """Also where the words of a key would be the nan or the zero of a float."""
    keys = random.wrap_key_data(WORDS[:, : random.key_dtype(impl).words], impl=impl)
    one = keys[3]
    for f in (
        lambda a, b: (a == b, a != b),
        lambda a, b: (jnp.equal(a, b), jnp.not_equal(a, b)),
    ):
        for g in (f, ferax.jit(f)):
            same, other = g(keys, keys)
            assert same.tolist() == [True] * 5
            assert other.tolist() == [False] * 5
            assert g(keys, one)[0].tolist() == [False, False, False, True, False]
    minus_zero = np.zeros_like(WORDS[0])
    minus_zero[1] = 0x80000000
    minus_zero = minus_zero[: random.key_dtype(impl).words]
    assert random.wrap_key_data(minus_zero, impl=impl) != random.key(0, impl=impl)
    with pytest.raises(ferax.dtypes.TypePromotionError):
        keys == random.key(0, impl="unsafe_rbg")  # noqa: B015


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_are_opaque(impl):
    """Their carrier is not shown as a number."""
    key = random.key(3, impl=impl)
    for convert in (
        int,
        bool,
        float,
        np.asarray,
        lambda k: k.item(),
        lambda k: k.tolist(),
    ):
        with pytest.raises(TypeError, match="random keys are opaque"):
            convert(key)
    assert f"{key}" == str(key) == repr(key)


def test_the_default_generator():
    """default_prng_impl decides on keys that name no generator, and on raw words."""
    with ferax.default_prng_impl("unsafe_rbg"):
        raw = PRNGKey(7)
        assert random.key(7).dtype.name == "key<urbg>"
        assert random.key_impl(raw) == "unsafe_rbg"
        assert random.key_dtype() is random.key(7).dtype
        assert random.wrap_key_data(raw).dtype is random.key(7).dtype
        assert random.key(7, impl="threefry2x32").dtype.name == "key<fry>"
        np.testing.assert_array_equal(raw, [0, 7, 0, 7])
    np.testing.assert_array_equal(PRNGKey(7), [0, 7])
    assert repr(random.key(7, impl="rbg")) == (
        "Array(key<rbg>[]) overlaying:\n[0 7 0 7]"
    )


def test_keys_in_loops():
    """Keys are carried through compiled loops as any other value."""

    def draw(key):
        def step(i, carry):
            key, total = carry
            key, own = random.split(key)
            return key, total + random.normal(own)

        return ferax.lax.fori_loop(0, 4, step, (key, 0.0))[1]

    key, total = random.key(1), 0.0
    for _ in range(4):
        key, own = random.split(key)
        total += random.normal(own)
    np.testing.assert_allclose(ferax.jit(draw)(random.key(1)), total, 1e-5)


def test_many_elements_do_not_depend_on_how_they_are_made():
    """Small, large, tiled and per-key results agree where they overlap."""
    key = random.key(3)
    many = np.asarray(random.bits(key, (40000,)))
    for n in (1, 8, 9, 17000):
        np.testing.assert_array_equal(random.bits(key, (n,)), many[:n])
    np.testing.assert_array_equal(random.bits(key, (200, 200)), many.reshape(200, 200))
    keys = random.split(key, 5000)
    each = np.asarray(ferax.vmap(lambda k: random.bits(k, (7,)))(keys))
    np.testing.assert_array_equal(each[4321], random.bits(keys[4321], (7,)))


def test_gamma_is_differentiable():
    """Implicit derivatives: the mean's derivative with respect to a is 1; a value of JAX's."""
    key = random.key(42)
    slope = ferax.grad(lambda a: random.gamma(key, a, (5,)).sum())
    np.testing.assert_allclose(slope(2.5), 5.17614, 1e-5)
    np.testing.assert_allclose(slope(0.5), 5.8378987, 1e-5)
    log_slope = ferax.grad(lambda a: jnp.exp(random.loggamma(key, a, (5,))).sum())
    np.testing.assert_allclose(log_slope(2.5), 5.17614, 1e-5)
    wide = ferax.grad(lambda a: random.gamma(key, a, (4000,)).mean())(jnp.float32(3.0))
    np.testing.assert_allclose(wide, 1.0, 0.05)


def test_uniform_is_differentiable_in_its_bounds():
    """d/d maxval of low + u (high - low) is u."""
    key = random.key(0)
    u = random.uniform(key)
    np.testing.assert_allclose(
        ferax.grad(lambda b: random.uniform(key, maxval=b))(2.0), u
    )


MOMENTS = [
    (lambda k, n: random.uniform(k, (n,)), 1 / 2, 1 / 12),
    (lambda k, n: random.normal(k, (n,)), 0, 1),
    (lambda k, n: random.exponential(k, (n,)), 1, 1),
    (lambda k, n: random.gumbel(k, (n,)), 0.5772, np.pi**2 / 6),
    (lambda k, n: random.laplace(k, (n,)), 0, 2),
    (lambda k, n: random.logistic(k, (n,)), 0, np.pi**2 / 3),
    (lambda k, n: random.gamma(k, 3.0, (n,)), 3, 3),
    (lambda k, n: random.beta(k, 2.0, 3.0, (n,)), 0.4, 0.04),
    (lambda k, n: random.poisson(k, 4.0, (n,)), 4, 4),
    (lambda k, n: random.poisson(k, 40.0, (n,)), 40, 40),
    (lambda k, n: random.binomial(k, 50.0, 0.4, (n,)), 20, 12),
    (lambda k, n: random.geometric(k, 0.25, (n,)), 4, 12),
    (lambda k, n: random.chisquare(k, 4.0, (n,)), 4, 8),
    (lambda k, n: random.wald(k, 2.0, (n,)), 2, 8),
    (lambda k, n: random.rayleigh(k, 1.0, (n,)), np.sqrt(np.pi / 2), 2 - np.pi / 2),
    (lambda k, n: random.triangular(k, 0.0, 0.5, 1.0, (n,)), 0.5, 1 / 24),
]


@pytest.mark.parametrize(("draw", "mean", "variance"), MOMENTS)
def test_moments(draw, mean, variance):
    """Mean and variance of 20,000 draws are those of the distribution."""
    x = np.asarray(draw(random.key(11), 20_000), float)
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / x.size)
    assert abs(x.var() - variance) < 0.12 * variance


def test_permutation_permutes():
    """Every element comes once; whole slices move unless `independent`."""
    key = random.key(5)
    assert sorted(random.permutation(key, 100).tolist()) == list(range(100))
    x = jnp.arange(20).reshape(10, 2)
    together = np.asarray(random.permutation(key, x))
    np.testing.assert_array_equal(together[:, 1] - together[:, 0], 1)
    apart = np.asarray(random.permutation(key, x, independent=True))
    assert sorted(apart[:, 0]) == list(range(0, 20, 2))
    assert random.permutation(key, 0).shape == (0,)


def test_new_style_keys_are_arrays():
    """They have a shape, are indexed, reshaped and stacked, and show their words."""
    keys = random.split(random.key(0), 6)
    assert keys.dtype.name == "key<fry>"
    assert ferax.dtypes.issubdtype(keys.dtype, ferax.dtypes.prng_key)
    assert keys.reshape(2, 3).shape == (2, 3)
    np.testing.assert_array_equal(
        random.key_data(keys[2]), np.asarray(random.key_data(keys))[2]
    )
    np.testing.assert_array_equal(
        random.key_data(jnp.stack([keys[1], keys[0]])),
        np.asarray(random.key_data(keys))[[1, 0]],
    )
    words = random.key_data(keys)
    np.testing.assert_array_equal(random.key_data(random.wrap_key_data(words)), words)
    assert random.key_impl(keys) == "threefry2x32"
    assert random.key_dtype() is keys.dtype
    np.testing.assert_array_equal(random.key_data(random.clone(keys)), words)


def test_seeds_of_traced_and_of_many_values():
    """Seeds may be arrays under jit and vmap."""
    seeds = jnp.array([0, 5, -1])
    raw = np.asarray(ferax.vmap(PRNGKey)(seeds))
    for i, seed in enumerate(seeds.tolist()):
        np.testing.assert_array_equal(raw[i], PRNGKey(seed))
        np.testing.assert_array_equal(ferax.jit(PRNGKey)(seed), PRNGKey(seed))
        key = ferax.jit(random.key)(jnp.int32(seed))
        np.testing.assert_array_equal(random.key_data(key), PRNGKey(seed))


KEY = PRNGKey(0)
ERRORS = [
    (lambda: random.split(random.split(random.key(0), 3)), ValueError,
     ("random.split: accepts a single key; got key<fry>[3]. For many keys use "
     "vmap(random.split)(keys).")),
    (lambda: random.uniform(jnp.zeros((3, 2), "uint32")), ValueError,
     ("random.uniform: accepts a single key; got uint32[3,2]. For many keys use "
     "vmap(random.uniform)(keys).")),
    (lambda: random.uniform(jnp.zeros(2)), TypeError,
     "random.uniform: key must be a key array or raw words uint32[2]; got float32[2]"),
    (lambda: random.uniform(0), TypeError,
     "random.uniform: key must come from random.key or random.PRNGKey; got int"),
    (lambda: random.uniform(KEY, (2,), "int32"), ValueError,
     "random.uniform: dtype must be floating; got int32"),
    (lambda: random.bits(KEY, (2,), "int32"), ValueError,
     "random.bits: dtype must be unsigned, of 8 to 64 bits; got int32"),
    (lambda: random.normal(KEY, (2,), "int32"), ValueError,
     "random.normal: dtype must be floating or complex; got int32"),
    (lambda: random.randint(KEY, (2,), 0, 2, "float32"), TypeError,
     "random.randint: dtype must be an integer dtype; got float32"),
    (lambda: PRNGKey(1.5), TypeError, "random.PRNGKey: a seed must be an integer; got float32[]"),
    (lambda: PRNGKey(jnp.array([1, 2])), TypeError,
     ("random.PRNGKey: a seed has no axes; got int32[2]. For keys of many seeds use "
     "vmap(random.PRNGKey)(seeds).")),
    (lambda: PRNGKey(2**70), OverflowError,
     "PRNGKey: a seed has at most 64 bits; got 1180591620717411303424"),
    (lambda: random.key(0, impl="foo"), ValueError,
     "unknown generator 'foo'; there are threefry2x32, rbg, unsafe_rbg"),
    (lambda: random.uniform(PRNGKey(0, impl="rbg")), TypeError,
     ("random.uniform: key must be a key array or raw words uint32[2]; got uint32[4]. Raw words "
     "belong to the generator threefry2x32; make those of another one into a key by "
     "random.wrap_key_data(words, impl=…)")),
    (lambda: random.fold_in(KEY, -1), OverflowError,
     "random.fold_in: data must lie in [0, 2**32); got -1"),
    (lambda: random.fold_in(KEY, jnp.arange(2)), TypeError,
     ("random.fold_in: data has no axes; got int32[2]. For many keys use vmap(random.fold_in, "
     "in_axes=(None, 0))(key, data).")),
    (lambda: random.split(KEY, -1), ValueError,
     "random.split: dimensions of a shape cannot be negative; got (-1,)"),
    (lambda: random.wrap_key_data(jnp.zeros((3, 4), "uint32")), TypeError,
     "random_wrap: keys of threefry2x32 are made from uint32[…,2]; got uint32[3,4]"),
    (lambda: random.gamma(KEY, jnp.ones(3), (2,)), ValueError,
     ("random.gamma: shapes (3,) and (2,) cannot be broadcast together: 2 and 3 meet in one axis; "
     "sizes must be equal or 1, counted from the last axis")),
    (lambda: random.gamma(KEY, jnp.ones(3), ()), ValueError,
     ("random.gamma: the parameters have the common shape (3,), which does not broadcast to "
     "shape=()")),
    (lambda: random.bernoulli(KEY, 1), TypeError,
     "random.bernoulli: p must be floating; got int32[]"),
    (lambda: random.permutation(KEY, 2.5), TypeError,
     "random.permutation: x must be an integer or have an axis; got float32[]"),
    (lambda: random.choice(KEY, 3, (5,), replace=False), ValueError,
     "random.choice: 5 different elements cannot be drawn from 3; pass replace=True"),
    (lambda: random.choice(KEY, 0, (5,)), ValueError,
     "random.choice: there is nothing to choose from"),
    (lambda: random.choice(KEY, 3, p=jnp.ones(2)), ValueError,
     "random.choice: p must have shape (3,), one number per element; got float32[2]"),
    (lambda: random.categorical(KEY, jnp.zeros((2, 3)), shape=(3,)), ValueError,
     ("random.categorical: shapes (3,) and (2,) cannot be broadcast together: 2 and 3 meet in one "
     "axis; sizes must be equal or 1, counted from the last axis")),
    (lambda: random.gumbel(KEY, (2,), mode="x"), ValueError,
     "random.gumbel: mode must be 'low' or 'high'; got 'x'"),
    (lambda: random.multivariate_normal(KEY, jnp.zeros(2), jnp.eye(3)), ValueError,
     ("random.multivariate_normal: mean must be (…, n) and cov (…, n, n); got float32[2] and "
     "float32[3,3]")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    """Wrong keys, seeds, dtypes, shapes and options are named with their remedy."""
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


def test_raw_keys_can_be_forbidden():
    """legacy_prng_key warns of raw keys, or refuses them."""
    with (
        scoped["legacy_prng_key"]("error"),
        pytest.raises(ValueError, match="got a raw key"),
    ):
        random.uniform(KEY)
    with (
        scoped["legacy_prng_key"]("warn"),
        pytest.warns(UserWarning, match="got a raw key"),
    ):
        random.uniform(KEY)


def test_custom_keys_by_default():
    """enable_custom_prng makes PRNGKey give new-style keys."""
    with scoped["enable_custom_prng"](True):
        assert PRNGKey(0).dtype.name == "key<fry>"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("method", ["cholesky", "eigh", "svd"])
def test_multivariate_normal_of_16_bits(dtype, method):
    """The square root of the covariance is made in float32; only the sample is small."""
    key, mean, cov = (
        random.key(7),
        jnp.array([1.0, 2.0]),
        jnp.array([[2.0, 0.5], [0.5, 1.0]]),
    )
    z = np.asarray(random.normal(key, (3, 2), dtype), np.float32)
    got = random.multivariate_normal(key, mean, cov, (3,), dtype, method)
    assert got.dtype == dtype
    moved = np.asarray(got, np.float32) - np.asarray(mean)
    # whatever root A is taken, |A z|² / |z|² lies between the eigenvalues of A Aᵀ = cov
    stretch = np.sum(moved**2, -1) / np.sum(z**2, -1)
    low, high = np.linalg.eigvalsh(cov)
    assert np.all((low - 0.05 < stretch) & (stretch < high + 0.05))
    if method == "cholesky":
        np.testing.assert_allclose(moved, z @ np.linalg.cholesky(cov).T, atol=0.05)


def test_signs_as_bools_and_permutations_of_no_numbers():
    """As numbers -1 and 1 are both true; there is one order of nothing."""
    key = random.key(7)
    np.testing.assert_array_equal(random.rademacher(key, (3,), bool), [True] * 3)
    assert random.permutation(key, -1).shape == (0,)
    with pytest.raises(
        ValueError, match=r"random\.permutation: axis 1 is out of bounds"
    ):
        random.permutation(key, 5, axis=1)


def test_device_get_gives_keys_back():
    """Their words are no numbers; the arrays beside them come as NumPy arrays."""
    tree = {"key": random.key(3), "x": jnp.arange(2)}
    got = ferax.device_get(tree)
    assert got["key"].dtype == tree["key"].dtype
    assert type(got["x"]) is np.ndarray


@pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit], ids=["eager", "jit"])
def test_gradients_of_gamma_numbers_that_underflow(wrap):
    """For a small x its distribution is x^a / Γ(a + 1): d log x / da = (ψ(a + 1) - log x) / a."""
    key, a = random.key(7), np.array([0.1, 0.05, 0.02, 1e-3], np.float32)
    draw = lambda a: random.loggamma(key, a)
    samples = np.array([draw(x) for x in a], np.float64)
    slopes = wrap(ferax.vmap(ferax.grad(draw)))(jnp.array(a))
    np.testing.assert_allclose(
        slopes, (special.digamma(a + 1) - samples) / a, rtol=1e-5
    )
    of_gamma = wrap(ferax.vmap(ferax.grad(lambda a: random.gamma(key, a))))(
        jnp.array(a)
    )
    np.testing.assert_allclose(
        of_gamma, np.exp(samples) * np.asarray(slopes), atol=1e-20
    )


def test_the_ball_of_the_maximum_norm_is_a_cube():
    """p = inf is refused, with what to write instead."""
    with pytest.raises(ValueError, match=r"p must be finite; .* random\.uniform"):
        random.ball(random.key(7), 3, jnp.inf)
