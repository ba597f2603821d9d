"""Reductions, cumulative forms, sorting, quantiles, statistics: NumPy's numbers."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import agree, same, staged

GRID = np.array([[3.0, -1.0, 2.5], [0.5, 7.0, -2.0]], np.float32)
WHOLE = np.array([[3, -1, 2], [0, 7, -2]], np.int32)
HOLES = np.array([[np.nan, 1.0, 2.0], [4.0, np.nan, 0.5]], np.float32)
BOOLS = np.array([[True, False, True], [True, True, True]])
COMPLEX = np.array([1 + 2j, -3j, 2.0], np.complex64)
TIES = np.array([2, 1, 2, 0, 1], np.int32)
BOX = np.arange(24, dtype=np.float32).reshape(2, 3, 4) % 7

AXES = [{}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": 1, "keepdims": True}]
PLAIN = ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "ptp", "count_nonzero",
         "median"]  # fmt: skip
NAN = [
    "nansum",
    "nanprod",
    "nanmax",
    "nanmin",
    "nanmean",
    "nanvar",
    "nanstd",
    "nanmedian",
]


def expected(name, x, options):
    """NumPy's answer in ferax's dtype."""
    want = np.asarray(getattr(np, name)(x, **options))
    if want.dtype == np.float64:
        want = want.astype(np.float32)
    return want.astype(np.int32) if want.dtype == np.int64 else want


@pytest.mark.parametrize("options", AXES, ids=str)
@pytest.mark.parametrize("x", [GRID, WHOLE, BOOLS], ids=["float", "int", "bool"])
@pytest.mark.parametrize("name", PLAIN)
def test_reductions_are_numpys(name, x, options):
    """Over all axes, one, several; with the axes kept."""
    if x is BOOLS and name == "ptp":
        x = WHOLE  # NumPy has no difference of bools either
    f = getattr(jnp, name)
    x64 = x.astype(np.float64) if name in ("var", "std") else x
    want = expected(name, x64, options)
    for got in (f(jnp.asarray(x), **options), staged(lambda a: f(a, **options), x)):
        same(got, want)
        assert not got.weak_type


@pytest.mark.parametrize("options", AXES, ids=str)
@pytest.mark.parametrize("name", NAN)
def test_nans_are_left_out(name, options):
    """Of arrays with nans, and of integers, which have none."""
    for x in (HOLES, WHOLE):
        want = expected(name, x, options)
        f = getattr(jnp, name)
        same(f(jnp.asarray(x), **options), want)
        same(staged(lambda a, f=f: f(a, **options), x), want)


DTYPES = [
    ("sum", np.ones(2, np.uint8), {}, "uint32"), ("sum", np.ones(2, np.int8), {}, "int32"),
    ("sum", np.ones(2, np.uint8), {"promote_integers": False}, "uint8"),
    ("sum", np.ones(2, np.float16), {}, "float16"), ("sum", BOOLS, {}, "int32"),
    ("sum", WHOLE, {"dtype": "float32"}, "float32"), ("prod", BOOLS, {}, "int32"),
    ("max", BOOLS, {}, "bool"), ("mean", WHOLE, {}, "float32"), ("mean", COMPLEX, {}, "complex64"),
    ("mean", np.ones(2, np.float16), {}, "float16"), ("mean", WHOLE, {"dtype": int}, "int32"),
    ("var", COMPLEX, {}, "float32"), ("var", WHOLE, {"dtype": "float16"}, "float16"),
    ("argmax", GRID, {}, "int32"), ("cumsum", np.ones(2, np.uint8), {}, "uint8"),
    ("cumsum", BOOLS, {}, "int32"), ("median", np.ones(2, np.float16), {}, "float16"),
    ("count_nonzero", GRID, {}, "int32"), ("argsort", GRID, {}, "int32"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "options", "dtype"), DTYPES)
def test_dtypes_of_reductions(name, x, options, dtype):
    """Narrow integers are widened for sums, means are floating, places are int32."""
    assert getattr(jnp, name)(jnp.asarray(x), **options).dtype.name == dtype


def test_sixteen_bits_are_summed_in_thirty_two():
    """4096 ones are 4096, at once and compiled."""
    x = jnp.ones(4096, jnp.bfloat16)
    assert float(jnp.sum(x)) == 4096
    assert float(ferax.jit(jnp.sum)(x)) == 4096
    assert float(ferax.jit(jnp.mean)(x)) == 1
    assert float(ferax.jit(jnp.var)(jnp.concatenate([x, 3 * x]))) == 1


def test_masks_and_initial_values():
    """where= leaves out, initial= is combined; maxima with a mask need one."""
    x, mask = jnp.asarray(WHOLE), jnp.asarray(BOOLS)
    for name in ("sum", "prod", "max", "min"):
        options = {"where": BOOLS, "initial": 2, "axis": 1}
        want = getattr(np, name)(WHOLE, **options)
        got = getattr(jnp, name)(x, where=mask, initial=2, axis=1)
        same(got, want.astype(np.int32))
    same(jnp.mean(x, where=mask), np.mean(WHOLE, where=BOOLS).astype(np.float32))
    same(jnp.var(x, where=mask, axis=1, ddof=1),
         np.var(WHOLE, where=BOOLS, axis=1, ddof=1).astype(np.float32))  # fmt: skip
    same(jnp.sum(jnp.arange(3), where=mask), np.int32(3 + 2))
    same(jnp.any(x, where=mask, axis=0), np.any(WHOLE, where=BOOLS, axis=0))
    with pytest.raises(ValueError, match="one has to specify 'initial'"):
        jnp.max(x, where=mask)


def test_nothing_has_neutral_elements_or_none():
    """Sums of nothing are 0, means nan; maxima and their places are errors."""
    nothing = jnp.zeros((0, 2))
    assert jnp.sum(nothing, axis=0).tolist() == [0, 0]
    assert jnp.prod(nothing).item() == 1
    assert jnp.isnan(jnp.mean(nothing))
    assert jnp.isnan(jnp.var(jnp.ones(2), ddof=3))
    assert jnp.max(nothing, initial=3.0).item() == 3
    assert jnp.max(nothing, axis=1).shape == (0,)
    assert not jnp.any(nothing)
    assert jnp.all(nothing)
    with pytest.raises(ValueError, match="zero-size array to reduction operation max"):
        jnp.max(nothing)
    with pytest.raises(ValueError, match="attempt to get argmax of an empty sequence"):
        jnp.argmax(nothing)
    assert jnp.nanargmax(jnp.array([jnp.nan])).item() == -1
    assert jnp.isnan(jnp.nanmax(jnp.array([jnp.nan])))


def test_variance_options():
    """correction is another name of ddof; a known mean is taken as it is."""
    x = jnp.arange(4.0)
    assert jnp.var(x, correction=1).item() == pytest.approx(
        np.var(np.arange(4), ddof=1)
    )
    assert jnp.var(x, mean=0.0).item() == pytest.approx(3.5)
    with pytest.raises(ValueError, match="simultaneously"):
        jnp.var(x, ddof=1, correction=1)
    with pytest.raises(NotImplementedError, match="'out' argument to jnp"):
        jnp.sum(x, out=x)
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        x.sum(axis=3)
    with pytest.raises(ValueError, match="twice"):
        jnp.sum(x, axis=(0, 0))


PLACES = [
    ("argmax", (GRID,), {}), ("argmin", (GRID,), {"axis": 1}), ("argmax", (TIES,), {}),
    ("argmin", (GRID,), {"axis": 0, "keepdims": True}), ("argmax", (GRID,), {"keepdims": True}),
    ("argmax", (HOLES,), {"axis": 1}), ("argmax", (BOOLS,), {"axis": -1}),
    ("nanargmax", (HOLES,), {"axis": 1}), ("nanargmin", (HOLES,), {}),
    ("cumsum", (GRID,), {}), ("cumsum", (GRID,), {"axis": 1}), ("cumprod", (WHOLE,), {"axis": 0}),
    ("nancumsum", (HOLES,), {"axis": 1}), ("nancumprod", (HOLES,), {}),
    ("cumulative_sum", (TIES,), {"include_initial": True}),
    ("cumulative_prod", (WHOLE,), {"axis": 1, "include_initial": True}),
    ("sort", (GRID,), {}), ("sort", (HOLES,), {"axis": 0}), ("sort", (GRID,), {"axis": None}),
    ("sort", (COMPLEX,), {}), ("sort_complex", (TIES,), {}),
    ("argsort", (TIES,), {"stable": True}), ("argsort", (HOLES,), {"axis": 0}),
    ("argsort", (GRID,), {"axis": None}), ("lexsort", (np.stack([TIES, TIES[::-1]]),), {}),
    ("quantile", (GRID, 0.3), {}), ("quantile", (GRID, 0.3), {"axis": 1, "keepdims": True}),
    ("quantile", (GRID, np.float32([0.0, 0.25, 1.0])), {"axis": 0}),
    ("quantile", (BOX, 0.4), {"axis": (0, 2)}), ("quantile", (GRID, 0.5), {"method": "lower"}),
    ("quantile", (GRID, 0.3), {"method": "higher", "axis": 1}),
    ("quantile", (GRID, 0.3), {"method": "nearest"}),
    ("quantile", (TIES, 0.3), {"method": "midpoint"}),
    ("quantile", (GRID, 0.45), {"method": "inverted_cdf"}),
    ("percentile", (GRID, 30.0), {"axis": 1}), ("quantile", (HOLES, 0.5), {"axis": 1}),
    ("nanquantile", (HOLES, 0.3), {"axis": 1}), ("nanpercentile", (HOLES, 75.0), {}),
    ("average", (GRID,), {"axis": 1}), ("cov", (GRID,), {}), ("cov", (GRID,), {"rowvar": False}),
    ("cov", (WHOLE,), {"bias": True}), ("cov", (TIES,), {}), ("corrcoef", (GRID,), {}),
    ("diff", (GRID,), {}), ("diff", (TIES,), {"n": 2}), ("diff", (BOOLS,), {}),
    ("diff", (GRID,), {"axis": 0, "n": 3}), ("diff", (TIES,), {"prepend": 5, "append": 1}),
    ("ediff1d", (GRID,), {}), ("ediff1d", (TIES,), {"to_begin": 9, "to_end": [7, 8]}),
    ("gradient", (GRID[0],), {}), ("gradient", (GRID,), {}), ("gradient", (GRID, 2.0), {"axis": 1}),
    ("gradient", (GRID[0], np.float32([0, 1, 3])), {}), ("trapezoid", (GRID,), {}),
    ("trapezoid", (GRID,), {"dx": 0.5, "axis": 0}),
    ("trapezoid", (GRID, np.float32([0, 1, 3])), {}),
    ("unwrap", (GRID * 3,), {}), ("unwrap", (TIES,), {"period": 4}),
    ("unwrap", (GRID * 3,), {"axis": 0, "discont": 4.0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), PLACES)
def test_places_orders_and_statistics_are_numpys(name, args, options):
    """At once and staged."""
    if "to_end" in options:
        options = {**options, "to_end": np.int32(options["to_end"])}
    agree(name, *args, tolerance=2e-5, **options)


def test_descending_sorts_are_stable():
    """Equal elements keep their order; nan comes first."""
    assert jnp.argsort(jnp.asarray(TIES), descending=True).tolist() == [0, 2, 1, 4, 3]
    assert jnp.isnan(jnp.sort(jnp.asarray(HOLES), descending=True)[0, 0])
    with pytest.raises(TypeError, match="'kind' argument to sort"):
        jnp.sort(jnp.arange(3), kind="quicksort")


def test_partitions_have_the_kth_in_place():
    """Smaller ones before it, larger ones behind it."""
    x = jnp.asarray(TIES)
    assert jnp.partition(x, 2)[2] == np.partition(TIES, 2)[2]
    assert x[jnp.argpartition(x, 2)[2]] == np.partition(TIES, 2)[2]
    with pytest.raises(ValueError, match="axis 9"):
        jnp.partition(x, 9)


def test_quantiles_at_traced_levels_and_with_weights():
    """The same numbers as at known levels; weights are for inverted_cdf."""
    q = jnp.array([0.1, 0.8])
    for method in ("linear", "lower", "higher", "midpoint", "nearest"):
        got = ferax.jit(
            lambda q, m=method: jnp.quantile(jnp.asarray(BOX), q, axis=1, method=m)
        )(q)
        want = np.quantile(BOX, np.asarray(q, np.float64), axis=1, method=method)
        same(got, want.astype(np.float32), 1e-5)
    w = np.array([1, 0, 3, 2, 1], np.float32)
    for level in (0.2, 0.5, 0.9):
        got = jnp.quantile(
            jnp.asarray(TIES), level, method="inverted_cdf", weights=jnp.asarray(w)
        )
        want = np.quantile(TIES, level, method="inverted_cdf", weights=w)
        same(got, want.astype(np.float32))
    with pytest.raises(NotImplementedError, match="doesn't support weights"):
        jnp.quantile(jnp.arange(3), 0.5, weights=jnp.ones(3))
    with pytest.raises(ValueError, match="method can only be"):
        jnp.quantile(jnp.arange(3), 0.5, method="hazen")


def test_averages_with_weights():
    """Weights of the array's shape, or one for each index along the axis."""
    w = np.array([1.0, 0.0, 3.0], np.float32)
    got, total = jnp.average(
        jnp.asarray(GRID), axis=1, weights=jnp.asarray(w), returned=True
    )
    want = np.average(GRID, axis=1, weights=w, returned=True)
    same([got, total], list(want))
    same(jnp.average(jnp.asarray(GRID), weights=jnp.asarray(WHOLE)),
         np.average(GRID, weights=WHOLE).astype(np.float32))  # fmt: skip
    with pytest.raises(ValueError, match="consistent with shape of a"):
        jnp.average(jnp.asarray(GRID), axis=0, weights=jnp.asarray(w))


def test_covariances_with_weights():
    """Frequencies and weights of the observations."""
    f, a = np.array([1, 2, 3]), np.array([0.5, 1.0, 2.0], np.float32)
    for options in (
        {"fweights": f},
        {"aweights": a},
        {"fweights": f, "aweights": a, "ddof": 0},
    ):
        mine = {
            k: jnp.asarray(v) if isinstance(v, np.ndarray) else v
            for k, v in options.items()
        }
        same(
            jnp.cov(jnp.asarray(GRID), **mine),
            np.cov(GRID, **options).astype(np.float32),
            1e-5,
        )
    same(jnp.corrcoef(jnp.asarray(GRID[0]), jnp.asarray(GRID[1])),
         np.corrcoef(GRID[0], GRID[1]).astype(np.float32), 1e-5)  # fmt: skip


def test_gradients_of_reductions():
    """Extrema share their derivative, products survive zeros, medians pick the middle."""
    x = jnp.array([2.0, 0.0, 2.0])
    assert ferax.grad(jnp.max)(x).tolist() == [0.5, 0, 0.5]
    assert ferax.grad(jnp.prod)(x).tolist() == [0, 4, 0]
    assert ferax.grad(jnp.median)(x + jnp.arange(3.0)).tolist() == [1, 0, 0]
    assert ferax.grad(lambda x: jnp.mean(x, where=x > 1))(x).tolist() == [0.5, 0, 0.5]
    np.testing.assert_allclose(
        ferax.grad(jnp.var)(x), 2 * (np.asarray(x) - 4 / 3) / 3, rtol=1e-5
    )
    assert (
        ferax.grad(lambda x: jnp.nansum(x * x))(jnp.array([1.0, jnp.nan])).tolist()[0]
        == 2
    )
    assert ferax.grad(lambda x: jnp.sort(x)[0])(x).tolist() == [0, 1, 0]


def test_programs_of_reductions_are_lean():
    """A mean is a sum and a quotient; a sum of float32 one equation."""
    count = lambda f: (
        str(ferax.make_jaxpr(f)(jnp.ones((3, 4)))).count("let\n")
        and len(ferax.make_jaxpr(f)(jnp.ones((3, 4))).jaxpr.eqns)
    )
    assert count(jnp.sum) == 1
    assert count(jnp.mean) == 2
    assert count(jnp.max) == 1
    assert count(lambda x: x.sum(axis=0, keepdims=True)) == 2
    assert count(jnp.var) <= 7
