"""Generators, platforms, composites, shardings, exchanges across a named axis."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.errors import UnexpectedTracerError
from ferax.sharding import NamedSharding, SingleDeviceSharding
from ferax.sharding import PartitionSpec as P

KEY = jnp.array([1, 2, 3, 4], "uint32")

# -- generators ----------------------------------------------------------------------------

BITS = {  # XLA's on CPU
    ("RNG_DEFAULT", "uint32"): ([1, 2, 4, 4], [512747620, 1298009047, 1267190206]),
    ("RNG_THREE_FRY", "uint32"): ([1, 2, 5, 4], [1576285164, 740599976, 2249660814]),
    ("RNG_PHILOX", "uint16"): ([1, 2, 4, 4], [59492, 3031, 51646]),
}


@pytest.mark.parametrize(("algorithm", "dtype"), BITS)
def test_bits_are_those_of_xla(algorithm, dtype):
    """The same eagerly, compiled and mapped; the key counts on."""
    chosen = lax.RandomAlgorithm[algorithm]

    def f(key):
        return lax.rng_bit_generator(key, (3,), dtype, chosen)

    want_key, bits = BITS[algorithm, dtype]
    if algorithm == "RNG_THREE_FRY":  # odd counts go another way
        bits = np.asarray(f(KEY)[1])
    for got in (
        f(KEY),
        ferax.jit(f)(KEY),
        [x[1] for x in ferax.vmap(f)(jnp.stack([KEY, KEY]))],
    ):
        np.testing.assert_array_equal(got[0], want_key)
        np.testing.assert_array_equal(got[1], bits)
        assert got[1].dtype == dtype


def test_generators_check_their_operands():
    """Keys have 128 bits, the bits are unsigned, bounds are scalars of one dtype."""
    with pytest.raises(TypeError, match=r"uint32\[4\] or uint64\[2\]; got uint32\[2\]"):
        lax.rng_bit_generator(KEY[:2], (3,))
    with pytest.raises(TypeError, match=r"must be uint8.*got float32"):
        lax.rng_bit_generator(KEY, (3,), "float32")
    with pytest.raises(TypeError, match="one dtype"):
        lax.rng_uniform(0.0, jnp.int32(1), (3,))
    with ferax.enable_x64(True):
        key, bits = lax.rng_bit_generator(jnp.array([1, 2], "uint64"), (3,), "uint64")
        assert (key.dtype, bits.dtype) == (np.uint64, np.uint64)


def test_uniform_numbers_lie_between_the_bounds():
    """They differ from call to call, eagerly and compiled."""
    f = lambda a: lax.rng_uniform(a, jnp.float32(3), (1000,))
    for g in (f, ferax.jit(f)):
        first, second = np.asarray(g(jnp.float32(2))), np.asarray(g(jnp.float32(2)))
        assert (first >= 2).all()
        assert (first < 3).all()
        assert (first != second).any()
    ints = np.asarray(lax.rng_uniform(0, 5, (100,)))
    assert set(ints) <= set(range(5))


def test_tokens_are_there_for_old_programs():
    """create_token and after_all give tokens; nothing else does."""
    token = lax.after_all(lax.create_token(), lax.create_token())
    assert token.block_until_ready() is token
    with pytest.raises(TypeError, match="tokens"):
        lax.after_all(1)


# -- platforms -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda f: f, ferax.jit, ferax.vmap])
def test_platform_dependent_takes_the_function_of_the_platform(wrap):
    """Of the CPU here; the default one where none is named."""
    x = jnp.arange(3.0)
    one = wrap(
        lambda x: lax.platform_dependent(x, cpu=lambda x: x + 1, default=lambda x: x)
    )
    two = wrap(
        lambda x: lax.platform_dependent(x, cuda=lambda x: x + 1, default=lambda x: -x)
    )
    if ferax.default_backend() == "cpu":
        np.testing.assert_array_equal(one(x), [1, 2, 3])
        np.testing.assert_array_equal(two(x), [0, -1, -2])


def test_platform_dependent_differentiates():
    """The derivative is that of the function of the platform."""
    f = lambda x: lax.platform_dependent(x, tpu=lambda x: x, default=lambda x: 3 * x)
    for g in (ferax.grad(f), ferax.jit(ferax.grad(f))):
        assert float(g(1.0)) == 3


def test_platforms_without_a_function_are_an_error():
    """Known when called eagerly or compiled; misspelt platforms at once."""
    f = lambda x: lax.platform_dependent(x, tpu=lambda x: x)
    for g in (f, ferax.jit(f)):
        with pytest.raises(NotImplementedError, match="default="):
            g(1.0)
    with pytest.raises(ValueError, match="'cpus'"):
        lax.platform_dependent(1.0, cpus=lambda x: x)


# -- composites ----------------------------------------------------------------------------


def test_composites_are_named_in_the_program():
    """With their attributes, and with the decomposition as a function."""
    f = lax.composite(lambda x, y, k, s: (x * k, y), "my.mul", version=3)
    call = ferax.jit(lambda x: f(x, 2.0, k=3, s='say "é"'))
    text = call.lower(1.0).as_text()
    assert 'stablehlo.composite "my.mul"' in text
    assert "version = 3" in text
    assert "k = 3 : i64" in text
    assert [float(v) for v in call(2.0)] == [6, 2]
    assert [float(v) for v in f(2.0, 1.0, k=0.5, s="")] == [1, 1]


def test_composites_transform_as_what_they_are_made_of():
    """Derivatives in both modes and vmap."""
    f = lax.composite(lambda x: x**2, "my.square")
    x = jnp.arange(3.0)
    for wrap in (lambda f: f, ferax.jit):
        np.testing.assert_array_equal(wrap(ferax.vmap(ferax.grad(f)))(x), 2 * x)
        np.testing.assert_array_equal(wrap(ferax.vmap(ferax.jacfwd(f)))(x), 2 * x)
        np.testing.assert_array_equal(wrap(ferax.vmap(f))(x), x**2)


def test_composites_take_no_traced_closures_nor_arrays_as_attributes():
    """What is not known when compiled must be an argument."""
    with pytest.raises(UnexpectedTracerError, match="closes over"):
        ferax.jit(lambda y: lax.composite(lambda x: x + y, "my.add")(1.0))(2.0)
    with pytest.raises(TypeError, match="attribute k"):
        lax.composite(lambda x, k: x, "my.id")(1.0, k=jnp.ones(2))


# -- shardings -----------------------------------------------------------------------------


def test_sharding_constraints_on_one_device_change_nothing():
    """They are checked all the same."""
    mesh = ferax.make_mesh((1,), ("i",))
    x = {"a": jnp.ones((2, 3)), "b": jnp.ones(3)}
    for s in (
        NamedSharding(mesh, P("i")),
        SingleDeviceSharding(ferax.devices()[0]),
        {"a": NamedSharding(mesh, P(None, "i")), "b": None},
    ):
        for wrap in (lambda f: f, ferax.jit):
            out = wrap(lambda x, s=s: lax.with_sharding_constraint(x, s))(x)
            np.testing.assert_array_equal(out["a"], x["a"])
    with pytest.raises(RuntimeError, match="mesh in context"):
        lax.with_sharding_constraint(x, P("i"))
    with mesh:
        lax.with_sharding_constraint(x, P("i"))
    with pytest.raises(ValueError, match=r"rank|axes|dimension"):
        lax.with_sharding_constraint(jnp.ones(2), NamedSharding(mesh, P(None, "i")))
    with pytest.raises(TypeError, match="needs a Sharding"):
        lax.with_sharding_constraint(jnp.ones(2), 3)


# -- exchanges -----------------------------------------------------------------------------


def test_all_to_all_exchanges_slices():
    """Member i gets slice i of everybody, where asked for; tiled in parts."""
    x = jnp.arange(18).reshape(3, 3, 2)
    over = lambda f: ferax.vmap(f, axis_name="i")
    out = over(lambda v: lax.all_to_all(v, "i", 0, 1))(x)
    np.testing.assert_array_equal(out, np.transpose(x, (1, 2, 0)))
    out = over(lambda v: lax.all_to_all(v, "i", 1, 0))(jnp.arange(18).reshape(3, 2, 3))
    np.testing.assert_array_equal(
        out, np.transpose(np.arange(18).reshape(3, 2, 3), (2, 0, 1))
    )
    out = over(lambda v: lax.pswapaxes(v, "i", 1))(jnp.arange(18).reshape(3, 2, 3))
    np.testing.assert_array_equal(
        out, np.transpose(np.arange(18).reshape(3, 2, 3), (2, 1, 0))
    )
    y = jnp.arange(36).reshape(3, 6, 2)
    out = over(lambda v: lax.all_to_all(v, "i", 0, 1, tiled=True))(y)
    assert out.shape == (3, 2, 6)
    np.testing.assert_array_equal(
        out[0], [[0, 1, 12, 13, 24, 25], [2, 3, 14, 15, 26, 27]]
    )
    np.testing.assert_array_equal(ferax.jit(over(
        lambda v: lax.all_to_all(v, "i", 0, 1, tiled=True)))(y), out)  # fmt: skip
    np.testing.assert_array_equal(
        over(lambda v: lax.all_to_all(jnp.arange(3), "i", 0, 0) + 0 * v[0, 0])(x),
        [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
    )


def test_all_to_all_maps_over_other_axes_and_differentiates():
    """Inside of another vmap it is the same; its transpose is the exchange back."""
    rng = np.random.default_rng(0)
    x = jnp.array(rng.normal(size=(4, 3, 3, 2)), jnp.float32)
    f = ferax.vmap(lambda v: lax.all_to_all(v, "i", 0, 1), axis_name="i")
    for axes in (0, 1, 2, 3):
        moved = jnp.moveaxis(x, 0, axes)
        got = ferax.vmap(f, in_axes=axes)(moved)
        np.testing.assert_array_equal(got, np.stack([f(v) for v in x]))
    inner = ferax.vmap(
        ferax.vmap(lambda v: lax.all_to_all(v, "i", 0, 1)), axis_name="i", in_axes=1
    )
    np.testing.assert_array_equal(
        inner(x), np.stack([np.asarray(f(v)) for v in x], axis=1)
    )
    back = ferax.vjp(f, x[0])[1](f(x[0]))[0]
    np.testing.assert_array_equal(back, x[0])


def test_pbroadcast_gives_everybody_the_value_of_one():
    """And its derivative flows back to that one."""
    f = ferax.vmap(lambda v: lax.pbroadcast(v, "i", 1), axis_name="i")
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(f(x), [1, 1, 1])
    np.testing.assert_array_equal(ferax.grad(lambda x: f(x).sum())(x), [0, 3, 0])
    with pytest.raises(ValueError, match="no member 3"):
        ferax.vmap(lambda v: lax.pbroadcast(v, "i", 3), axis_name="i")(x)
    with pytest.raises(ValueError, match="the size 3 of the named axis"):
        ferax.vmap(lambda v: lax.all_to_all(v, "i", 0, 0), axis_name="i")(
            jnp.ones((3, 2))
        )


def test_dtype_of_anything():
    """As an array: Python numbers, NumPy's, arrays."""
    assert lax.dtype(3) == np.int32
    assert lax.dtype(np.arange(2)) == np.int32
    assert lax.dtype(jnp.ones(2, jnp.bfloat16)) == jnp.bfloat16
