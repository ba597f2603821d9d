"""x[index] and x.at[index] against NumPy, at once and staged, with NumPy as the oracle."""

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ferax
import ferax.numpy as jnp
from ferax import lax
from ferax.core.jaxpr import eval_jaxpr

quick = settings(max_examples=60, deadline=None)


def staged(f, *args):
    """f(*args), recorded as a program first: the operations are those that jit compiles."""
    program = ferax.make_jaxpr(f)(*args)
    return eval_jaxpr(program.jaxpr, program.consts, [jnp.asarray(a) for a in args])[0]


def numbers(shape, dtype=np.float32):
    return (np.arange(int(np.prod(shape))).reshape(shape) % 97 + 1).astype(dtype)


@st.composite
def indexed(draw):
    """A shape and an index of any kind that NumPy takes."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5))
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    parts, axis, dots = [], 0, False
    while axis < len(shape):
        n = shape[axis]
        kind = draw(
            st.sampled_from(["int", "slice", "array", "mask", "new", "dots", "stop"])
        )
        if kind == "stop" and not dots:
            break
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
            axis += 1
        elif kind == "slice":
            parts.append(draw(st.slices(n)))
            axis += 1
        elif kind == "array":
            dims = draw(st.integers(0, len(common)))
            if any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts):
                dims = 0
            sub = tuple(
                draw(st.sampled_from([1, m])) for m in common[len(common) - dims :]
            )
            parts.append(
                draw(hnp.arrays(np.int32, sub, elements=st.integers(-n, n - 1)))
            )
            axis += 1
        elif kind == "mask" and not any(isinstance(p, np.ndarray) for p in parts):
            parts.append(draw(hnp.arrays(bool, n)))
            common = ()  # its number of elements would have to agree
            axis += 1
        elif kind == "new" and len(parts) < 6:
            parts.append(None)
        elif kind == "dots" and not dots:
            dots = True
            parts.append(Ellipsis)
            axis = draw(st.integers(axis, len(shape)))
    return shape, tuple(parts)


# -- reading ---------------------------------------------------------------------------------


@quick
@given(st.data())
def test_basic_indices_are_numpys(data):
    """Integers, slices with steps, new axes and ellipses select what NumPy selects."""
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    x = numbers(shape)
    np.testing.assert_array_equal(jnp.asarray(x)[index], x[index])
    np.testing.assert_array_equal(staged(lambda x: x[index], x), x[index])


@quick
@given(indexed())
def test_all_kinds_of_indices_are_numpys(case):
    """Integer arrays and masks between slices and integers put their axes where NumPy does."""
    shape, index = case
    x = numbers(shape)
    expected = x[index]
    eager = jnp.asarray(x)[index]
    assert eager.shape == expected.shape
    np.testing.assert_array_equal(eager, expected)
    np.testing.assert_array_equal(staged(lambda x: x[index], x), expected)


@quick
@given(indexed())
def test_traced_integers_are_indices_too(case):
    """Integers and integer arrays may be traced."""
    shape, index = case
    places = [
        i
        for i in index
        if type(i) is int or (isinstance(i, np.ndarray) and i.dtype != bool)
    ]
    if any(isinstance(i, np.ndarray) and i.dtype == bool for i in index):
        return

    def f(x, *places):
        found = iter(places)
        known = (slice, type(None), type(Ellipsis))
        return x[tuple(i if isinstance(i, known) else next(found) for i in index)]

    x = numbers(shape)
    np.testing.assert_array_equal(staged(f, x, *places), x[index])


@quick
@given(indexed())
def test_the_derivative_of_reading_is_adding(case):
    """The gradient of sum(w · x[index]) adds w at the places that are read."""
    shape, index = case
    x = numbers(shape)
    w = numbers(x[index].shape)
    expected = np.zeros_like(x)
    np.add.at(expected, index, w)
    got = ferax.grad(lambda x: (x[index] * w).sum())(x)
    np.testing.assert_allclose(got, expected)


@quick
@given(st.data())
def test_masks_of_several_axes(data):
    """A mask takes as many axes as it has."""
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    k = data.draw(st.integers(1, len(shape)))
    mask = data.draw(hnp.arrays(bool, shape[:k]))
    x = numbers(shape)
    np.testing.assert_array_equal(jnp.asarray(x)[jnp.asarray(mask)], x[mask])
    np.testing.assert_array_equal(staged(lambda x: x[mask], x), x[mask])


def test_scalar_bools_add_an_axis():
    """True adds an axis of size 1, False one of size 0."""
    x = numbers((3, 4))
    for index in (
        True,
        False,
        (True, 0),
        (0, True),
        (np.array([1, 2]), True),
        (False, None),
    ):
        assert jnp.asarray(x)[index].shape == x[index].shape
        assert staged(lambda x, index=index: x[index], x).shape == x[index].shape


def test_known_integers_out_of_bounds_raise():
    """x[10] of 5 elements is an IndexError that names index, axis and size, traced or not."""
    x = jnp.arange(5)
    message = (
        "index 10 is out of bounds for axis 0 with size 5; the array is int32\\[5\\]"
    )
    for index in (10, np.int64(10), jnp.array(10)):
        with pytest.raises(IndexError, match=message):
            x[index]
    with pytest.raises(IndexError, match=message):
        ferax.make_jaxpr(lambda x: x[10])(x)
    with pytest.raises(
        IndexError, match="index -3 is out of bounds for axis 1 with size 2"
    ):
        jnp.zeros((4, 2))[:, -3]


def test_traced_integers_and_arrays_clamp():
    """Places that are known only later, and arrays of places, are moved inside."""
    x = jnp.arange(5.0)
    assert staged(lambda x, i: x[i], x, 10) == 4
    assert staged(lambda x, i: x[i], x, -7) == 0
    places = np.array([10, -10, -1])
    np.testing.assert_array_equal(x[jnp.array(places)], [4, 0, 4])
    np.testing.assert_array_equal(staged(lambda x, i: x[i], x, places), [4, 0, 4])


def test_simple_indices_stage_simple_operations():
    """Static slices are slices, one traced integer is a dynamic_slice."""
    x = jnp.zeros((4, 5))

    def names(f, *args):
        return [e.primitive.name for e in ferax.make_jaxpr(f)(*args).eqns]

    assert names(lambda x: x[1], x) == ["slice", "reshape"]
    assert names(lambda x: x[1:3, ::2], x) == ["slice"]
    assert names(lambda x: x[::-1], x) == ["rev"]
    assert names(lambda x: x[:, None], x) == ["reshape"]
    assert names(lambda x: x[...], x) == []
    assert names(lambda x, i: x[i], x, 1)[-2:] == ["dynamic_slice", "reshape"]
    assert names(lambda x, i: x[i], x, np.array([1, 2]))[-1] == "gather"
    assert names(lambda x: x.at[1].set(2.0), x)[-1] == "dynamic_update_slice"


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        ([0, 1], TypeError, "non-tuple sequence"),
        (1.0, TypeError, "integer or boolean type"),
        (
            np.array([1.0]),
            TypeError,
            "integer or boolean type, got indexer with type float64",
        ),
        ("a", TypeError, "cannot be a string"),
        ({}, IndexError, "only integers, slices"),
        (
            (0, 0, 0),
            IndexError,
            "Too many indices: array is 2-dimensional, but 3 were indexed",
        ),
        ((..., ...), IndexError, "single ellipsis"),
        (np.array([True, False]), IndexError, "boolean index did not match shape"),
        ((np.array([0, 1]), np.array([0, 1, 2])), IndexError, "could not be broadcast"),
    ],
)
def test_what_is_no_index_is_refused(index, error, text):
    """Each wrong kind of index has an error that says what is wrong."""
    x = jnp.zeros((3, 4))
    with pytest.raises(error, match=text):
        x[index]
    with pytest.raises(error, match=text):
        ferax.make_jaxpr(lambda x: x[index])(x)


def test_traced_masks_and_slices_are_explained():
    """x[mask] with a traced mask, and traced slice bounds, are errors with ways out."""
    x = jnp.arange(5.0)
    with pytest.raises(
        ferax.errors.NonConcreteBooleanIndexError, match=r"jnp.where\(mask, x, 0\)"
    ):
        ferax.make_jaxpr(lambda x: x[x > 1])(x)
    with pytest.raises(IndexError, match=r"lax\.dynamic_slice_in_dim"):
        ferax.make_jaxpr(lambda x, i: x[i : i + 2])(x, 1)


def test_modes_of_get():
    """Out of bounds: the nearest element, a fill value, or nothing is promised."""
    x = jnp.arange(5.0)
    i = jnp.array([1, 10, -1, -10])
    np.testing.assert_array_equal(x.at[i].get(), [1, 4, 4, 0])
    np.testing.assert_array_equal(x.at[i].get(mode="clip"), [1, 4, 4, 0])
    np.testing.assert_array_equal(x.at[i].get(mode="fill"), [1, np.nan, 4, np.nan])
    np.testing.assert_array_equal(x.at[i].get(mode="fill", fill_value=7), [1, 7, 4, 7])
    np.testing.assert_array_equal(
        x.at[i].get(mode="fill", fill_value=7, wrap_negative_indices=False),
        [1, 7, 7, 7],
    )
    assert x.at[10].get() == 4
    assert np.isnan(x.at[10].get(mode="fill"))
    assert jnp.arange(5).at[10].get(mode="fill") == np.iinfo(np.int32).min
    assert jnp.arange(5, dtype="uint8").at[10].get(mode="fill") == 255
    assert (x > 2).at[10].get(mode="fill")
    with pytest.raises(ValueError, match='Unknown gather mode "bad"'):
        x.at[0].get(mode="bad")


def test_arrays_without_elements():
    """Nothing can be taken from an empty axis, except nothing."""
    x = jnp.zeros((0, 3))
    assert x[jnp.zeros((2, 0), int)].shape == (2, 0, 3)
    with pytest.raises(IndexError, match="without elements"):
        x[jnp.array([0])]
    assert np.isnan(x.at[jnp.array([0])].get(mode="fill")).all()
    assert x.at[jnp.array([0])].set(1.0).shape == (0, 3)


def test_weak_types_and_views():
    """Indexing keeps weak types; results do not follow later writes into a NumPy array."""
    assert jnp.asarray(1.0)[None].weak_type
    assert jnp.asarray(1.0).at[...].set(2).weak_type
    host = np.arange(5.0)
    y = jnp.asarray(host)[1:]
    host[:] = 0
    np.testing.assert_array_equal(y, [1, 2, 3, 4])


# -- writing ---------------------------------------------------------------------------------

UFUNCS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "divide": np.divide,
}


@st.composite
def updated(draw):
    """A shape, an index and values that broadcast to what it selects."""
    shape, index = draw(indexed())
    target = numbers(shape)[index].shape
    dims = draw(st.integers(0, len(target)))
    values = tuple(draw(st.sampled_from([1, n])) for n in target[len(target) - dims :])
    return shape, index, numbers(values) / 4


@quick
@given(updated())
def test_set_is_assignment(case):
    """x.at[index].set(v) is x[index] = v; x itself stays."""
    shape, index, values = case
    x = numbers(shape)
    expected = x.copy()
    expected[index] = values
    a = jnp.asarray(x)
    np.testing.assert_array_equal(a.at[index].set(values), expected)
    np.testing.assert_array_equal(a, x)
    np.testing.assert_array_equal(
        staged(lambda x, v: x.at[index].set(v), x, values), expected
    )


@quick
@given(updated(), st.sampled_from(sorted(UFUNCS)))
def test_updates_are_those_of_ufunc_at(case, name):
    """The other updates are NumPy's ufunc.at, also where places repeat."""
    shape, index, values = case
    x = numbers(shape)
    expected = x.copy()
    # spread first: NumPy 2.4's ufunc.at reads past the end of values that it broadcasts
    UFUNCS[name].at(expected, index, np.broadcast_to(values, x[index].shape))
    a = jnp.asarray(x)
    np.testing.assert_allclose(getattr(a.at[index], name)(values), expected, rtol=1e-5)
    got = staged(lambda x, v: getattr(x.at[index], name)(v), x, values)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@quick
@given(updated(), st.sampled_from(["set", "add", "multiply", "min"]))
def test_derivatives_of_updates_are_differences(case, name):
    """Forward and reverse mode agree with each other and with finite differences."""
    shape, index, values = case
    with ferax.enable_x64(True):
        x = jnp.asarray(numbers(shape, np.float64) + 0.25)
        values = np.asarray(values, np.float64)
        f = lambda x, v: getattr(x.at[index], name)(v)
        rng = np.random.default_rng(0)
        t = rng.normal(size=x.shape), rng.normal(size=values.shape)
        y, forward = ferax.jvp(f, (x, values), t)
        eps = 1e-6
        above, below = (
            np.asarray(f(x + s * t[0], values + s * t[1])) for s in (eps, -eps)
        )
        np.testing.assert_allclose(
            forward, (above - below) / (2 * eps), rtol=1e-4, atol=1e-4
        )
        ct = rng.normal(size=y.shape)
        back = ferax.vjp(f, x, values)[1](ct)
        left, right = np.vdot(ct, forward), sum(np.vdot(c, s) for c, s in zip(back, t))
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)


def test_power_and_apply():
    """power and apply repeat where places repeat."""
    x = jnp.arange(1.0, 5.0)
    np.testing.assert_allclose(x.at[jnp.array([1, 1])].power(2.0), [1, 16, 3, 4])
    np.testing.assert_allclose(x.at[1:3].power(2.0), [1, 4, 9, 4])
    i = jnp.array([1, 1, 2])
    np.testing.assert_allclose(x.at[i].apply(lambda v: v * 10), [1, 200, 30, 4])
    assert staged(lambda x, i: x.at[i].apply(lambda v: v * 10), x, i).tolist() == [
        1,
        200,
        30,
        4,
    ]
    assert x.at[2].apply(jnp.square).tolist() == [1, 2, 9, 4]
    assert x.at[::2].apply(lambda v: -v).tolist() == [-1, 2, -3, 4]
    assert x.at[x > 2].apply(lambda v: 0 * v).tolist() == [1, 2, 0, 0]
    got = ferax.grad(lambda x: x.at[i].apply(jnp.square).sum())(x)
    np.testing.assert_allclose(got, [1, 4 * 2.0**3, 2 * 3.0, 1])


def test_integers_divide_and_powers():
    """Divided integers become floating; integer powers stay integer."""
    x = jnp.arange(5)
    np.testing.assert_array_equal(x.at[3].divide(2), [0, 1, 2, 1.5, 4])
    np.testing.assert_array_equal(x.at[3].power(2), [0, 1, 2, 9, 4])
    assert x.at[3].power(2).dtype == np.int32


def test_out_of_bounds_updates():
    """They are dropped, or clipped on demand."""
    x = jnp.arange(5.0)
    for index in (10, -10, jnp.array([10, -10])):
        np.testing.assert_array_equal(x.at[index].set(9.0), x)
        np.testing.assert_array_equal(x.at[index].add(9.0), x)
    np.testing.assert_array_equal(x.at[10].set(9.0, mode="clip"), [0, 1, 2, 3, 9])
    np.testing.assert_array_equal(x.at[10].set(9.0, mode="drop"), x)
    np.testing.assert_array_equal(x.at[-1].set(9.0, wrap_negative_indices=False), x)
    np.testing.assert_array_equal(staged(lambda x, i: x.at[i].set(9.0), x, 10), x)
    np.testing.assert_array_equal(
        staged(lambda x, i: x.at[i].set(9.0), x, -1), [0, 1, 2, 3, 9]
    )


@quick
@given(st.data())
def test_masks_may_be_traced_when_writing(data):
    """x.at[mask].set(v) and its like select, so that the mask need not be known."""
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    k = data.draw(st.integers(1, len(shape) - axis))
    mask = data.draw(hnp.arrays(bool, shape[axis : axis + k]))
    name = data.draw(st.sampled_from(["set", *UFUNCS]))
    index = (*(slice(None),) * axis, mask)
    values = (
        numbers(
            data.draw(st.sampled_from([(), shape[axis + k :], (1, *shape[axis + k :])]))
        )
        / 4
    )
    x = numbers(shape)
    expected = x.copy()
    if name == "set":
        expected[index] = values
    else:
        UFUNCS[name].at(expected, index, np.broadcast_to(values, x[index].shape))

    def f(x, mask, values):
        return getattr(x.at[(*(slice(None),) * axis, mask)], name)(values)

    np.testing.assert_allclose(staged(f, x, mask, values), expected, rtol=1e-6)


def test_a_traced_mask_with_counted_values_is_explained():
    """Values along the true elements need a known mask."""
    x = jnp.arange(4.0)
    with pytest.raises(ferax.errors.NonConcreteBooleanIndexError):
        ferax.make_jaxpr(lambda x: x.at[x > 1].set(jnp.array([1.0, 2.0])))(x)
    with pytest.raises(ferax.errors.NonConcreteBooleanIndexError):
        ferax.make_jaxpr(lambda x: x.at[x > 1].get())(x)


def test_values_are_cast_with_a_warning():
    """Values take the array's dtype; losing a fraction warns."""
    x = jnp.arange(3)
    with pytest.warns(
        FutureWarning, match="casts values from dtype=float32 to dtype=int32"
    ):
        assert x.at[0].set(1.5).tolist() == [1, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jnp.arange(3, dtype="uint8").at[0].set(-1).tolist() == [255, 1, 2]
        assert jnp.arange(3, dtype="uint8").at[0].set(300).tolist() == [44, 1, 2]
        assert jnp.arange(3, dtype="int8").at[0].set(jnp.array(300)).tolist() == [
            44,
            1,
            2,
        ]
        assert jnp.zeros(3).at[0].set(2).dtype == np.float32
    assert jnp.zeros((2, 2)).at[0].set([1, 2]).tolist() == [[1, 2], [0, 0]]


def test_values_that_do_not_fit_are_refused():
    """The message has both shapes."""
    with pytest.raises(
        ValueError, match=r"shape \(3,\) do not broadcast to the shape \(4,\)"
    ):
        jnp.zeros((2, 4)).at[0].set(jnp.ones(3))


def test_the_helpers_show_what_they_are():
    """x.at and x.at[i] print their array and index."""
    x = jnp.arange(2)
    assert repr(x.at[1]) == f"_IndexUpdateRef({x!r}, 1)"


def test_sixteen_bits():
    """Updates work for dtypes that NumPy does not have."""
    x = jnp.zeros(4, jnp.bfloat16)
    assert x.at[jnp.array([1, 1])].add(1.0).tolist() == [0, 2, 0, 0]
    assert x.at[1].add(1.5).dtype == jnp.bfloat16
    assert x.at[1:3].max(1.0).tolist() == [0, 1, 1, 0]


def test_transformed_indexing():
    """vmap over array, index or both; jit; grad of vmap."""
    x, i = numbers((3, 4)), np.array([3, 0, -1])
    both = ferax.vmap(lambda row, k: row[k])(x, i)
    np.testing.assert_array_equal(both, x[np.arange(3), i])
    np.testing.assert_array_equal(
        ferax.vmap(lambda k: jnp.asarray(x)[:, k])(i), x[:, i].T
    )
    rows = ferax.vmap(lambda row, k: row.at[k].add(1.0))(x, i)
    expected = x.copy()
    expected[np.arange(3), i] += 1
    np.testing.assert_array_equal(rows, expected)
    grads = ferax.grad(lambda x: ferax.vmap(lambda row, k: row[k] ** 2)(x, i).sum())(x)
    expected = np.zeros_like(x)
    expected[np.arange(3), i] = 2 * x[np.arange(3), i]
    np.testing.assert_array_equal(grads, expected)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[i],
        lambda x, i: x[:, i],
        lambda x, i: x[np.array([3, -1, 9]), ::2],
        lambda x, i: x[np.array([True, False, True, True]), 1],
        lambda x, i: x.at[np.array([3, -1, 9])].add(1.0),
        lambda x, i: x[i, :, i],
        lambda x, i: x[i[0], 1:3],
        lambda x, i: x.at[i].get(mode="fill"),
        lambda x, i: x.at[:, i].get(mode="clip"),
        lambda x, i: x.at[i].set(7.0),
        lambda x, i: x.at[:, i].add(7.0),
        lambda x, i: x.at[i, 1:3].multiply(2.0),
        lambda x, i: x.at[::2, i].min(3.0),
        lambda x, i: x.at[i[0]].max(3.0),
        lambda x, i: x.at[::-2].subtract(3.0),
        lambda x, i: x.at[i].set(7.0, mode="clip"),
        lambda x, i: jnp.take(x, i, axis=1),
        lambda x, i: jnp.take_along_axis(x, x.argsort(1), 1),
        lambda x, i: ferax.grad(lambda x: (x[i] ** 2).sum())(x),
        lambda x, i: ferax.grad(lambda x: (x.at[i].set(x[0]) ** 2).sum())(x),
        lambda x, i: ferax.vmap(lambda k: x[:, k])(i),
        lambda x, i: ferax.vmap(lambda row, k: row.at[k].add(1.0))(x, x.astype(int)),
    ],
)
def test_compiled_indexing_is_eager_indexing(f):
    """jit computes what the eager functions do, out of bounds included."""
    x = numbers((4, 4, 4))
    i = np.array([2, 9, -1, -9, 2], np.int32)
    np.testing.assert_allclose(
        ferax.jit(f)(x, i), f(jnp.asarray(x), jnp.asarray(i)), rtol=1e-6
    )


# -- lax -------------------------------------------------------------------------------------


def test_lax_checks_dimension_numbers():
    """Wrong dimension numbers, sizes and dtypes are named."""
    x, i = jnp.zeros((3, 4)), jnp.array([[0], [1]])
    rows = lax.GatherDimensionNumbers((1,), (0,), (0,))
    for args, error, text in [
        ((x, i, rows, (1, 5)), TypeError, "slice_sizes"),
        ((x, i, rows, (2, 4)), TypeError, "must be 1 along the axes"),
        ((x, i, rows, (1,)), TypeError, "one number for each axis"),
        ((x, jnp.zeros((2, 1)), rows, (1, 4)), ValueError, "must be integers"),
        ((x, i, rows._replace(offset_dims=(5,)), (1, 4)), TypeError, "offset_dims"),
        (
            (x, i, rows._replace(start_index_map=(0, 1)), (1, 4)),
            TypeError,
            "start_index_map",
        ),
    ]:
        with pytest.raises(error, match=text):
            lax.gather(*args)
    points = lax.ScatterDimensionNumbers((), (0,), (0,))
    with pytest.raises(TypeError, match="one dtype"):
        lax.scatter(jnp.zeros(3), i, jnp.array([1, 2]), points)
    with pytest.raises(TypeError, match="axes of updates"):
        lax.scatter_add(jnp.zeros(3), i, jnp.ones(3), points)
