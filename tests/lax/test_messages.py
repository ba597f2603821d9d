"""Messages along a named axis, against what they say in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax


def along(f, *args, **options):
    """`f` mapped over the leading axes, which are named "i"."""
    return ferax.vmap(f, axis_name="i", **options)(*args)


def test_pcast_changes_nothing():
    """Along an axis of vmap, and of pytrees; the axis has to be there."""
    x = jnp.arange(3.0)
    f = lambda x: lax.pcast({"a": x, "b": 1.0}, "i", to="varying")
    got = along(f, x)
    np.testing.assert_array_equal(got["a"], x)
    np.testing.assert_array_equal(got["b"], [1, 1, 1])
    with pytest.raises(ValueError, match=r"to must be 'varying', .* got 'here'"):
        lax.pcast(x, "i", to="here")
    with pytest.raises(NameError, match="no axis named 'i'"):
        lax.pcast(x, "i", to="varying")
    with pytest.raises(NotImplementedError, match="pcast: to='reduced'"):
        along(lambda x: lax.pcast(x, "i", to="reduced"), x)


def test_all_gather_says_how_its_result_counts():
    """`to` changes no values along an axis of vmap."""
    x = jnp.arange(2)
    for to in ("varying", "invarying"):
        got = along(lambda x, to=to: lax.all_gather(x, "i", to=to), x)
        np.testing.assert_array_equal(got, [[0, 1], [0, 1]])
    with pytest.raises(ValueError, match="all_gather: to must be"):
        along(lambda x: lax.all_gather(x, "i", to="all"), x)
    with pytest.raises(NotImplementedError, match="all_gather: to='reduced'"):
        along(lambda x: lax.all_gather(x, "i", to="reduced"), x)


def test_the_size_of_named_axes():
    """Of one by its name, of several their product."""
    seen = []

    def f(x):
        seen.append((lax.axis_size(axis_name="i"), lax.axis_size(("i", "j"))))
        return x

    ferax.vmap(ferax.vmap(f, axis_name="j"), axis_name="i")(jnp.zeros((2, 3)))
    assert seen == [(2, 6)]


@pytest.mark.parametrize("compiled", [False, True])
def test_values_sent_are_received(compiled):
    """psend and precv are the halves of ppermute, derivatives included."""
    perm = [(0, 2), (1, 0)]

    def f(x):
        token = lax.psend({"a": x, "b": 2 * x}, "i", perm)
        like = {"a": x, "b": ferax.ShapeDtypeStruct(x.shape, x.dtype)}
        return lax.precv(token, like, "i", perm)

    mapped = ferax.vmap(f, axis_name="i")
    got = (ferax.jit(mapped) if compiled else mapped)(jnp.arange(1.0, 4.0))
    np.testing.assert_array_equal(got["a"], [2, 0, 1])
    np.testing.assert_array_equal(got["b"], [4, 0, 2])
    slope = ferax.grad(lambda x: (mapped(x)["b"] * jnp.array([1.0, 5.0, 7.0])).sum())
    np.testing.assert_array_equal(slope(jnp.ones(3)), [14, 2, 0])


def test_what_is_received_has_been_sent():
    """The token must be psend's, along the same axis, of the same values."""
    perm = [(0, 1)]
    x = jnp.arange(2.0)
    with pytest.raises(TypeError, match="token must come from psend"):
        along(lambda x: lax.precv(lax.create_token(), x, "i", perm), x)
    with pytest.raises(ValueError, match="values were sent along 'i' by"):
        along(lambda x: lax.precv(lax.psend(x, "i", perm), x, "i", [(1, 0)]), x)
    with pytest.raises(
        ValueError, match=r"out_shape is int32\[\], but float32\[\] was"
    ):
        along(lambda x: lax.precv(lax.psend(x, "i", perm), jnp.int32(0), "i", perm), x)


def exchanged(x, out, starts, sizes, targets):
    """The exchange as loops: slice i of each member to member i // (n / members)."""
    members, n = starts.shape
    out = out.copy()
    for receiver in range(members):
        for sender in range(members):
            for k in range(n // members):
                i = receiver * (n // members) + k
                a, length, b = starts[sender, i], sizes[sender, i], targets[sender, i]
                out[receiver, b : b + length] = x[sender, a : a + length]
    return out


def plan(members, per, rows, rng):
    """Offsets and sizes of slices that do not overlap where they are written."""
    n = members * per
    sizes = rng.integers(0, 3, (members, n))
    starts = rng.integers(0, rows - 2, (members, n))
    targets = np.zeros((members, n), int)
    for receiver in range(members):
        position = 1
        for sender in range(members):
            for i in range(receiver * per, (receiver + 1) * per):
                targets[sender, i] = position
                position += sizes[sender, i]
    to = sizes.reshape(members, members, per)
    return starts, sizes, targets, to.transpose(1, 0, 2).reshape(members, n)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("members", "per"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("rest", [(), (2,)])
def test_ragged_exchange(members, per, rest, compiled):
    """Slices arrive where their senders say; other rows stay; derivatives go back."""
    rng = np.random.default_rng(members)
    rows, out_rows = 5, 2 * members * per + 2
    x = rng.normal(size=(members, rows, *rest)).astype("f")
    out = rng.normal(size=(members, out_rows, *rest)).astype("f")
    starts, sizes, targets, received = plan(members, per, rows, rng)

    def exchange(x, out, *numbers):
        return lax.ragged_all_to_all(x, out, *numbers, axis_name="i")

    f = ferax.vmap(exchange, axis_name="i")
    g = ferax.jit(f) if compiled else f
    numbers = starts, sizes, targets, received
    expected = exchanged(x, out, starts, sizes, targets)
    np.testing.assert_array_equal(g(x, out, *numbers), expected)
    weights = rng.normal(size=expected.shape).astype("f")
    loss = lambda x, out: (f(x, out, *numbers) * weights).sum()
    dx, dout = ferax.grad(loss, (0, 1))(x, out)
    one_x, one_out = np.zeros_like(x), np.ones_like(out)
    kept = exchanged(one_x, one_out, starts, sizes, targets)
    np.testing.assert_allclose(dout, weights * kept, 1e-6)
    np.testing.assert_allclose(
        (np.asarray(dx) * x).sum() + (np.asarray(dout) * out).sum(), loss(x, out), 1e-4
    )


def test_ragged_exchange_checks_its_operands():
    """Dtypes, trailing axes, and the number of slices have to fit."""
    ok = jnp.zeros((2, 2), int)

    def call(x, out, numbers=ok):
        f = lambda x, out, n: lax.ragged_all_to_all(x, out, n, n, n, n, axis_name="i")
        return along(f, x, out, numbers)

    x = jnp.zeros((2, 3))
    with pytest.raises(TypeError, match="must have the same dtype"):
        call(x, x.astype(int))
    with pytest.raises(ValueError, match="agree in all axes but the first"):
        call(x, jnp.zeros((2, 3, 1)))
    with pytest.raises(ValueError, match=r"n a multiple of the size 2 .* int32\[3\]"):
        call(x, x, jnp.zeros((2, 3), int))
    with pytest.raises(TypeError, match="offsets and sizes must be integers"):
        call(x, x, jnp.zeros((2, 2)))
    assert call(x, jnp.zeros((2, 0))).shape == (2, 0)


def test_a_single_operand_by_keyword():
    """cond and switch take it, None included."""
    assert lax.cond(True, lambda x: x + 1, lambda x: x, operand=1) == 2
    assert lax.cond(False, lambda _: 1, lambda _: 2, operand=None) == 2
    assert lax.switch(1, [jnp.sin, jnp.cos], operand=0.0) == 1
    assert lax.switch(0, [lambda _: 1, lambda _: 2], operand=None) == 1
    for call in (
        lambda: lax.switch(1, [jnp.sin, jnp.cos], 1.0, operand=0.0),
        lambda: lax.cond(True, jnp.sin, jnp.cos, 1.0, operand=0.0),
    ):
        with pytest.raises(TypeError, match="by position or operand=, not both"):
            call()


def test_stage():
    """Numbers and NumPy arrays become Arrays; Arrays and traced values stay."""
    x = jnp.arange(3)
    assert lax.stage(x) is x
    assert lax.stage(np.arange(3)).dtype == "int32"
    assert lax.stage(2.0).weak_type
    assert ferax.jit(lambda x: lax.stage(x) + lax.stage(1))(2) == 3


def test_static_arguments_of_checkpoint():
    """They are named by position or by name, and stay Python values either way."""

    def f(x, n, kind="sin"):
        assert isinstance(n, int)
        y = jnp.sin(x) if kind == "sin" else jnp.cos(x)
        return y**n

    g = ferax.checkpoint(f, static_argnames=("n", "kind"))
    expected = ferax.grad(f)(0.3, 2, "cos")
    for call in (
        lambda x: g(x, 2, "cos"),
        lambda x: g(x, n=2, kind="cos"),
        lambda x: ferax.checkpoint(static_argnames="kind", static_argnums=1)(f)(
            x, 2, kind="cos"
        ),
    ):
        np.testing.assert_allclose(ferax.grad(call)(0.3), expected, 1e-6)
    with pytest.raises(ValueError, match="checkpoint: static_argnames names 'm'"):
        ferax.checkpoint(f, static_argnames="m")


def two_axes(function):
    """The function under two vmaps, over 'i' and inside of it over 'j'."""
    return ferax.vmap(ferax.vmap(function, axis_name="j"), axis_name="i")


@pytest.mark.parametrize("names", [("i", "j"), ("j", "i"), ("i",)])
@pytest.mark.parametrize("tiled", [False, True])
def test_several_named_axes_are_one(names, tiled):
    """Of a tuple of names the members are counted in its order, the last name fastest."""
    members = {"i": 2, "j": 3}
    count = int(np.prod([members[n] for n in names]))
    x = np.arange(2 * 3 * count * 2 * count, dtype="float32")
    x = x.reshape(2, 3, count, 2 * count)

    def run(x):
        me = lax.axis_index(names)
        everyone = lax.all_gather(x, names)
        sent = lax.all_to_all(x, names, 1, 0, tiled=True)
        mine = lax.dynamic_slice_in_dim(everyone, 2 * me, 2, axis=2)
        part = lax.dynamic_slice_in_dim(everyone.sum(0), me, 1, axis=0)
        scattered = lax.psum_scatter(x, names, tiled=tiled)
        gathered = lax.all_gather(x, names, axis=1, tiled=tiled)
        wanted = jnp.concatenate(everyone, 1) if tiled else jnp.stack(everyone, 1)
        return (
            sent - mine.reshape(-1, 2),
            scattered - (part if tiled else part[0]),
            gathered - wanted,
        )

    for function in (two_axes(run), ferax.jit(two_axes(run))):
        for difference in function(x):
            np.testing.assert_allclose(difference, 0, atol=1e-4)


def test_exchange_over_two_axes():
    """all_to_all puts the new axis anywhere, and is its own transpose with axes exchanged."""
    x = np.arange(6 * 5 * 6, dtype="float32").reshape(2, 3, 5, 6)

    def run(x):
        return lax.all_to_all(x, ("i", "j"), 1, 0)

    got = two_axes(run)(x)
    np.testing.assert_array_equal(
        got.reshape(6, 6, 5), x.reshape(6, 5, 6).transpose(2, 0, 1)
    )
    (back,) = ferax.vjp(two_axes(run), x)[1](got)
    np.testing.assert_array_equal(back, x)


def test_bools_are_counted():
    """psum of bools is an int32, pmean of them a float32."""
    x = np.array([True, False, True, True])
    total, mean, one = ferax.vmap(
        lambda v: (lax.psum(v, "i"), lax.pmean(v, "i"), lax.psum(True, "i")),
        axis_name="i",
    )(x)
    assert (total.dtype, mean.dtype) == ("int32", "float32")
    assert (int(total[0]), float(mean[0]), int(one[0])) == (3, 0.75, 4)


def test_who_gets_nothing_gets_zero():
    """Members that are no target of ppermute get zeros, whatever the others have."""
    x = np.array([np.nan, -np.inf, 5], "float32")
    got = ferax.vmap(lambda v: lax.ppermute(v, "i", [(2, 0)]), axis_name="i")(x)
    np.testing.assert_array_equal(got, [5, 0, 0])
    assert not np.signbit(np.asarray(got)).any()


def test_axes_and_members_out_of_bounds():
    """Axes, members and pairs that do not exist are named; ppermute has one axis."""
    x = np.zeros((4, 4), "float32")

    def over(function):
        return ferax.vmap(function, axis_name="i")(x)

    with pytest.raises(ValueError, match="all_to_all: axis 2 is out of bounds"):
        over(lambda v: lax.all_to_all(v, "i", 2, 0))
    with pytest.raises(ValueError, match="all_gather: axis 2 is out of bounds"):
        over(lambda v: lax.all_gather(v, "i", axis=2))
    with pytest.raises(ValueError, match="psum_scatter: axis 1 is out of bounds"):
        over(lambda v: lax.psum_scatter(v, "i", scatter_dimension=1))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 4\)"):
        over(lambda v: lax.ppermute(v, "i", [(0, 4)]))
    with pytest.raises(TypeError, match=r"pairs \(source, target\); got \[0, 1\]"):
        over(lambda v: lax.ppermute(v, "i", [0, 1]))
    with pytest.raises(NotImplementedError, match="over several named axes"):
        two_axes(lambda v: lax.ppermute(v, ("i", "j"), [(0, 1)]))(x)
