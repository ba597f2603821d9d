"""Shapes, joins, splits, repeats, rolls, padding: NumPy's results for any dtype."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import agree, same, staged

LINE = np.arange(3, dtype=np.int32)
GRID = np.arange(6, dtype=np.float32).reshape(2, 3)
BOX = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
ONES = np.zeros((1, 2, 1), np.float32)
NUMBER = np.float32(5)

CASES = [
    ("reshape", (GRID, (3, 2)), {}), ("reshape", (GRID, -1), {}), ("reshape", (BOX, (4, -1)), {}),
    ("reshape", (BOX, (4, -1)), {"order": "F"}), ("reshape", (NUMBER, (1, 1)), {}),
    ("ravel", (BOX,), {}), ("ravel", (GRID,), {"order": "F"}), ("transpose", (BOX,), {}),
    ("transpose", (BOX, (1, -1, 0)), {}), ("transpose", (LINE,), {}),
    ("permute_dims", (BOX, (2, 0, 1)), {}), ("matrix_transpose", (BOX,), {}),
    ("moveaxis", (BOX, (0, 1), (-1, 0)), {}), ("moveaxis", (BOX, 2, 0), {}),
    ("rollaxis", (BOX, 2), {}), ("rollaxis", (BOX, 0, 3), {}), ("swapaxes", (BOX, 0, -1), {}),
    ("squeeze", (ONES,), {}), ("squeeze", (ONES, 0), {}), ("squeeze", (ONES, (0, -1)), {}),
    ("expand_dims", (LINE, 0), {}), ("expand_dims", (GRID, (0, -1)), {}),
    ("broadcast_to", (LINE, (2, 3)), {}), ("broadcast_to", (NUMBER, 3), {}),
    ("atleast_1d", (NUMBER,), {}), ("atleast_2d", (LINE,), {}), ("atleast_3d", (LINE,), {}),
    ("atleast_3d", (GRID,), {}), ("tile", (LINE, 2), {}), ("tile", (GRID, (2, 1, 2)), {}),
    ("tile", (LINE, ()), {}), ("repeat", (GRID, 2), {}), ("repeat", (GRID, 2), {"axis": 1}),
    ("resize", (LINE, (2, 4)), {}), ("resize", (GRID, (2,)), {}), ("resize", (LINE, (0, 2)), {}),
    ("flip", (BOX,), {}), ("flip", (BOX, (0, -1)), {}), ("fliplr", (GRID,), {}),
    ("flipud", (LINE,), {}), ("rot90", (GRID,), {}), ("rot90", (GRID, 2), {}),
    ("rot90", (BOX, -1, (1, 2)), {}), ("roll", (LINE, 1), {}), ("roll", (GRID, 4), {}),
    ("roll", (GRID, (1, -2), (0, 1)), {}), ("roll", (GRID, 1, (0, 1)), {}),
    ("roll", (LINE, -4, 0), {}), ("tril", (GRID,), {}), ("tril", (BOX, 1), {}),
    ("triu", (GRID, -1), {}), ("triu", (BOX,), {}), ("diagonal", (GRID,), {}),
    ("diagonal", (GRID, 1), {}), ("diagonal", (GRID, -1), {}), ("diagonal", (GRID, 5), {}),
    ("diagonal", (BOX, 1, 0, 2), {}), ("diagonal", (BOX, -1, 2, 0), {}),
    ("append", (LINE, 4), {}), ("append", (GRID, GRID), {"axis": 0}),
    ("split", (BOX, 3), {"axis": 1}), ("split", (LINE, [1]), {}), ("split", (LINE, [1, 5]), {}),
    ("array_split", (LINE, 2), {}), ("array_split", (LINE, 5), {}), ("hsplit", (GRID, 3), {}),
    ("hsplit", (LINE, [1, 2]), {}), ("vsplit", (GRID, 2), {}), ("dsplit", (BOX, 2), {}),
    ("pad", (LINE, 1), {}), ("pad", (GRID, ((1, 0), (0, 2))), {}), ("pad", (LINE, (1, 2)), {}),
    ("pad", (LINE, 1), {"constant_values": 9}),
    ("pad", (GRID, 1), {"constant_values": ((1, 2), (3, 4))}),
    ("pad", (GRID, 2), {"mode": "edge"}), ("pad", (LINE, 5), {"mode": "reflect"}),
    ("pad", (LINE, 7), {"mode": "symmetric"}), ("pad", (GRID, (3, 1)), {"mode": "reflect"}),
    ("pad", (LINE, 5), {"mode": "reflect", "reflect_type": "odd"}),
    ("pad", (LINE, 4), {"mode": "symmetric", "reflect_type": "odd"}),
    ("pad", (NUMBER[None], 2), {"mode": "reflect"}), ("pad", (LINE, (5, 4)), {"mode": "wrap"}),
    ("pad", (LINE, 2), {"mode": "linear_ramp", "end_values": 9}),
    ("pad", (GRID, (2, 1)), {"mode": "linear_ramp", "end_values": ((3, -1),)}),
    ("pad", (GRID, 2), {"mode": "maximum"}), ("pad", (LINE, 2), {"mode": "mean"}),
    ("pad", (GRID, 2), {"mode": "mean", "stat_length": 2}), ("pad", (GRID, 1), {"mode": "median"}),
    ("pad", (LINE, 2), {"mode": "minimum", "stat_length": ((1, 2),)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), CASES)
def test_one_array_is_moved_about_as_by_numpy(name, args, options):
    """At once and staged, negative axes and several axes included."""
    agree(name, *args, **options)


JOINS = [
    ("concatenate", (LINE, LINE), {}), ("concatenate", (GRID, GRID), {"axis": -1}),
    ("concatenate", (LINE, GRID), {"axis": None}), ("concat", (GRID, GRID), {"axis": 1}),
    ("stack", (LINE, LINE), {}), ("stack", (GRID, GRID), {"axis": -1}),
    ("vstack", (LINE, GRID), {}), ("hstack", (LINE, LINE), {}),
    ("hstack", (GRID, GRID), {}), ("dstack", (LINE, LINE), {}),
    ("dstack", (GRID, GRID), {}), ("column_stack", (LINE, LINE), {}),
    ("column_stack", (GRID.T, LINE), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arrays", "options"), JOINS)
def test_arrays_are_joined_as_by_numpy(name, arrays, options):
    """Sequences of arrays of several dtypes, or one array's slices."""
    want = getattr(np, name)(arrays, **options)
    want = want.astype(np.float32) if want.dtype == np.float64 else want
    f = getattr(jnp, name)
    mine = [jnp.asarray(a) for a in arrays]
    same(f(mine, **options), want)
    same(staged(lambda *xs: f(xs, **options), *mine), want)
    if name != "concat":
        same(f(jnp.asarray(BOX), **options), getattr(np, name)(BOX, **options))


def test_joins_promote_and_check():
    """Python numbers stay weak; shapes and ranks that do not fit are named."""
    assert jnp.stack([1, 2.0]).weak_type
    assert jnp.concatenate([LINE, GRID[0]]).dtype == jnp.float32
    assert jnp.stack([1, 2.5], dtype=int).tolist() == [1, 2]
    with pytest.raises(ValueError, match="Need at least one array to concatenate"):
        jnp.concatenate([])
    with pytest.raises(
        TypeError, match=r"different numbers of dimensions: got \(3,\), \(2, 3\)"
    ):
        jnp.concatenate([LINE, GRID])
    with pytest.raises(ValueError, match="same shape"):
        jnp.stack([LINE, GRID])
    with pytest.raises(ValueError, match="Zero-dimensional"):
        jnp.concatenate([1, 2])
    with pytest.raises(TypeError, match="requires ndarray"):
        jnp.concatenate([[1], [2]])
    with pytest.raises(TypeError, match="has no len"):
        jnp.stack(3)


def test_blocks_are_joined_from_the_inside():
    """Lists nest evenly; the innermost are joined along the last axis."""
    a, b = np.ones((2, 2)), np.zeros((2, 1))
    same(jnp.block([[jnp.ones((2, 2)), jnp.zeros((2, 1))], [jnp.ones((1, 3))]]),
         np.block([[a, b], [np.ones((1, 3))]]))  # fmt: skip
    same(jnp.block([1, 2]), np.block([1, 2]))
    same(jnp.block([[1, jnp.arange(3)]]), np.block([[1, LINE]]))
    with pytest.raises(ValueError, match="Mismatched list depths"):
        jnp.block([[1], 2])


def test_trim_zeros_needs_known_values():
    """Zeros at either end are cut off; under jit the size would depend on values."""
    same(jnp.trim_zeros(jnp.array([0, 0, 3, 0, 4, 0])), np.array([3, 0, 4], np.int32))
    same(jnp.trim_zeros(jnp.array([0, 3, 0]), "b"), np.array([0, 3], np.int32))
    with pytest.raises(ferax.errors.TracerArrayConversionError):
        ferax.jit(jnp.trim_zeros)(jnp.arange(3))


def test_unstack_and_broadcast_arrays():
    """unstack is the inverse of stack; broadcast_arrays gives all one shape."""
    same(jnp.unstack(jnp.asarray(BOX), axis=1), [BOX[:, i] for i in range(3)])
    same(jnp.broadcast_arrays(jnp.asarray(LINE), jnp.asarray(GRID)),
         [np.broadcast_to(LINE, (2, 3)), GRID])  # fmt: skip
    assert jnp.broadcast_shapes((2, 1), 3) == (2, 3)
    assert (jnp.shape(GRID), jnp.ndim(3), jnp.size(GRID, 1)) == ((2, 3), 0, 3)


@pytest.mark.parametrize(
    ("counts", "total"), [([1, 0, 2], None), ([1, 0, 2], 5), ([1, 0, 2], 2), ([2], 4)]
)
def test_repeat_with_a_count_for_each_slice(counts, total):
    """A total length cuts off or repeats the last slice; traced counts need it."""
    want = np.repeat(LINE, counts)
    if total is not None:
        want = np.append(want, np.full(total, want[-1]))[:total].astype(np.int32)
    x, c = jnp.asarray(LINE), jnp.array(counts)
    same(jnp.repeat(x, c, total_repeat_length=total), want)
    if total is not None:
        same(
            ferax.jit(lambda x, c: jnp.repeat(x, c, total_repeat_length=total))(x, c),
            want,
        )
    else:
        with pytest.raises(ferax.errors.ConcretizationTypeError):
            ferax.jit(jnp.repeat)(x, c)


@pytest.mark.parametrize("shift", [0, 1, -1, 5, -7])
def test_roll_by_a_traced_shift(shift):
    """Any integer, as if it were known."""
    got = ferax.jit(lambda x, s: jnp.roll(x, s, axis=1))(jnp.asarray(GRID), shift)
    same(got, np.roll(GRID, shift, axis=1))


def test_padding_by_a_function():
    """The function gets a vector with zeros around it, and returns it filled."""

    def seven(v, width, axis, options):
        return v.at[: width[0]].set(options.get("value", 7))

    same(
        jnp.pad(jnp.asarray(LINE), 2, seven), np.array([7, 7, 0, 1, 2, 0, 0], np.int32)
    )
    same(
        jnp.pad(jnp.asarray(LINE), (1, 0), seven, value=3),
        np.array([3, 0, 1, 2], np.int32),
    )


def test_what_changes_nothing_returns_its_argument():
    """No operation is staged for a reshape to the same shape and its like."""
    x = jnp.asarray(GRID)
    for f in (
        lambda x: jnp.reshape(x, (2, 3)), lambda x: jnp.transpose(x, (0, 1)), jnp.squeeze,
        lambda x: jnp.broadcast_to(x, (2, 3)), lambda x: jnp.moveaxis(x, 0, 0),
        lambda x: jnp.rot90(x, 4), lambda x: jnp.pad(x, 0),
    ):  # fmt: skip
        assert f(x) is x


ERRORS = [
    ("reshape", (GRID, (4, -1)), TypeError, "does not evenly divide 6"),
    ("reshape", (GRID, (2, 2)), TypeError, r"\(size 6\) into shape \(2, 2\) \(size 4\)"),
    ("reshape", (GRID, (-1, -1)), TypeError, "at most one size may be -1"),
    ("transpose", (LINE, (0, 1)), ValueError, "axis 1 is out of bounds"),
    ("matrix_transpose", (LINE,), ValueError, "at least two-dimensional"),
    ("squeeze", (GRID, 0), ValueError, "size"), ("expand_dims", (LINE, 3), ValueError, "axis 3"),
    ("broadcast_to", (GRID, (3,)), ValueError, "fewer dimensions"),
    ("broadcast_to", (LINE, (2, 2)), ValueError, "does not broadcast"),
    ("split", (LINE, 2), ValueError, "equal division: rest is 1"),
    ("rot90", (LINE,), ValueError, "ndim at least two"),
    ("tril", (LINE,), ValueError, "at least 2D"),
    ("diagonal", (LINE,), ValueError, "at least two dimensions"),
    ("pad", (LINE, -1), ValueError, "negative values"), ("pad", (LINE, 1.5), TypeError, "integral"),
    ("pad", (LINE, 1, "foo"), NotImplementedError, "Unimplemented padding mode"),
    ("pad", (LINE[:0], 1, "edge"), ValueError, "empty axis"),
    ("repeat", (LINE, np.array([1, 2])), ValueError, "one for each of the 3 slices"),
    ("repeat", (LINE, np.array(-1)), ValueError, "negative"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "error", "match"), ERRORS)
def test_what_does_not_fit_is_named(name, args, error, match):
    """Errors say what came and which rule was broken."""
    with pytest.raises(error, match=match):
        getattr(jnp, name)(*args)


def test_gradients_follow_the_elements():
    """Each function's derivative is the permutation or embedding itself."""
    w = jnp.arange(1.0, 7.0).reshape(2, 3)
    for f in (
        lambda x: jnp.tile(x, 2), lambda x: jnp.roll(x, 1), lambda x: jnp.diagonal(x, 1),
        lambda x: jnp.pad(x, 2, mode="reflect"), lambda x: jnp.repeat(x, 3, axis=1),
        lambda x: jnp.stack([x, 2 * x]), lambda x: jnp.triu(x), lambda x: jnp.rot90(x),
        lambda x: jnp.array_split(x, 2, axis=1)[0], lambda x: jnp.resize(x, (3, 3)),
    ):  # fmt: skip
        got = ferax.grad(lambda x, f=f: (f(x) ** 2).sum())(w)
        step = 1e-2
        for i, j in ((0, 0), (1, 2)):
            up, down = (float((f(w.at[i, j].add(s)) ** 2).sum()) for s in (step, -step))
            np.testing.assert_allclose(
                got[i, j], (up - down) / (2 * step), rtol=1e-2, atol=1e-2
            )
