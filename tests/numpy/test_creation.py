"""Arrays from Python, from NumPy, and from nothing; grids, matrices with a pattern, windows."""

import io

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import same, staged

FROM_PYTHON = [
    ("a number", 2.5, "float32", True), ("an integer", 3, "int32", True),
    ("a bool", True, "bool", False), ("a list", [1, 2.5], "float32", False),
    ("bools and floats", [True, 1.5], "float32", False), ("complex", [1, 1j], "complex64", False),
    ("nested", [[1, 2], [3, 4]], "int32", False), ("tuples", ((1.0,), (2.0,)), "float32", False),
    ("nothing", [], "float32", False), ("a range", range(3), "int32", False),
    ("a NumPy number", np.float64(1), "float32", False), ("int8", np.int8(1), "int8", False),
    ("NumPy and Python", [np.float32(1), 2.0], "float32", False),
    ("int64", np.array([1, 2]), "int32", False), ("bytes", bytearray(b"ab"), "uint8", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("x", "dtype", "weak"),
    [c[1:] for c in FROM_PYTHON],
    ids=[c[0] for c in FROM_PYTHON],
)
def test_array_reads_what_python_and_numpy_have(x, dtype, weak):
    """Numbers alone are weak, everything else is strong; 64 bits become 32."""
    got = jnp.array(x)
    assert (got.dtype.name, got.weak_type) == (dtype, weak)
    np.testing.assert_array_equal(got, np.asarray(x))


def test_lists_with_arrays_take_their_promoted_dtype():
    """Known arrays are read by NumPy, traced ones are stacked."""
    x = jnp.bfloat16(1)
    assert jnp.array([x, 2.5]).dtype == jnp.bfloat16
    same(jnp.array([[1, 2], jnp.arange(2)]), np.array([[1, 2], [0, 1]], np.int32))
    same(
        staged(lambda a: jnp.array([[a, 1], [2, a]]), 5),
        np.array([[5, 1], [2, 5]], np.int32),
    )
    same(staged(lambda a: jnp.array([a, a + 1.5]), jnp.arange(2)),
         np.array([[0, 1], [1.5, 2.5]], np.float32))  # fmt: skip
    grad = ferax.grad(lambda t: (jnp.array([t, 2 * t]) ** 2).sum())(3.0)
    assert float(grad) == 30.0


def test_array_copies_and_asarray_does_not():
    """Later writes to a NumPy array are not seen; an Array comes back itself."""
    host = np.zeros(2, np.float32)
    x = jnp.asarray(host)
    host[0] = 7
    assert float(x[0]) == 0
    assert jnp.asarray(x) is x
    assert jnp.array(x, copy=False) is x
    assert jnp.array(x) is not x
    assert jnp.array([1, 2], ndmin=3).shape == (1, 1, 2)
    assert jnp.asarray(2.0, dtype="float32").weak_type is False


REFUSED = [
    ("None", lambda: jnp.array(None), ValueError, "None is not a valid value"),
    ("a string", lambda: jnp.array("a"), TypeError, "not a valid array type"),
    ("strings", lambda: jnp.array([1, "a"]), TypeError, "not a valid array type"),
    ("a set", lambda: jnp.array({1, 2}), TypeError, "not a valid array type"),
    ("ragged", lambda: jnp.array([[1, 2], [3]]), ValueError, "inhomogeneous"),
    ("too large", lambda: jnp.array([2**40]), OverflowError, "2"),
    ("too large alone", lambda: jnp.array(2**40), OverflowError, "too large"),
    ("negative unsigned", lambda: jnp.array([-1], dtype="uint8"), OverflowError, "out of bounds"),
    ("an order", lambda: jnp.array([1], order="F"), NotImplementedError, "order"),
    ("a list in full_like", lambda: jnp.zeros_like([1]), TypeError, "requires ndarray"),
    ("a negative size", lambda: jnp.zeros((2, -1)), ValueError, "negative"),
    ("a fractional size", lambda: jnp.zeros(2.5), TypeError, "integers"),
    ("step 0", lambda: jnp.arange(0, 3, 0), ZeroDivisionError, "zero"),
    ("a complex range", lambda: jnp.arange(1j), ValueError, "complex"),
    ("fromfile", lambda: jnp.fromfile("x"), NotImplementedError, "np.fromfile"),
    ("fromiter", lambda: jnp.fromiter([1], int), NotImplementedError, "np.fromiter"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "error", "match"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_is_no_array_is_refused(run, error, match):
    """Each with the error that NumPy or JAX raises."""
    with pytest.raises(error, match=match):
        run()


def test_sixty_four_bits_are_asked_for_with_a_warning():
    """An explicit request warns and gives 32 bits; the flag gives 64."""
    for make in (jnp.zeros, jnp.ones, jnp.empty, jnp.arange):
        with pytest.warns(UserWarning, match="Explicitly requested dtype float64"):
            assert make(3, dtype="float64").dtype == jnp.float32
    with ferax.enable_x64(True):
        assert jnp.array([1.5]).dtype == np.float64
        assert jnp.arange(3).dtype == np.int64


def test_constant_arrays_have_shape_and_dtype():
    """zeros, ones, full and their _like forms; fill values broadcast."""
    like = jnp.arange(6, dtype="int8").reshape(2, 3)
    same(jnp.zeros((2, 3), int), np.zeros((2, 3), np.int32))
    same(jnp.ones(np.int64(2)), np.ones(2, np.float32))
    same(jnp.full((2, 2), jnp.array([1, 2])), np.array([[1, 2], [1, 2]], np.int32))
    assert jnp.full(2, 3).weak_type
    for f in (jnp.zeros_like, jnp.ones_like, jnp.empty_like):
        assert f(like).dtype == np.int8
        assert f(like, dtype=float, shape=(4,)).aval.short() == "float32[4]"
    same(jnp.full_like(like, 2.7), np.full((2, 3), 2, np.int8))
    assert jnp.zeros_like(2.0).weak_type
    assert jnp.ones_like(ferax.ShapeDtypeStruct((2,), jnp.float16)).dtype == jnp.float16
    with pytest.raises(ValueError, match="does not broadcast"):
        jnp.full((2, 2), jnp.arange(3))


def test_constants_are_operations_in_programs():
    """Compiled programs count and fill; they do not carry large arrays as data."""
    for f in (
        lambda t: t + jnp.arange(10000).sum(),
        lambda t: t + jnp.zeros((100, 100)),
        lambda t: t + jnp.eye(100),
        lambda t: t + jnp.linspace(0, 1, 5000)[0],
    ):
        program = ferax.make_jaxpr(f)(1.0)
        assert sum(np.size(c) for c in program.consts) < 100


RANGES = [
    ((5,), {}), ((2, 5), {}), ((5, 0, -2), {}), ((0,), {}), ((3, 0), {}), ((2.5,), {}),
    ((0.0, 1.0, 0.25), {}), ((1, 4, 0.5), {}), ((4,), {"dtype": "uint8"}),
    ((1.5, 4), {"dtype": "int32"}), ((0, 3), {"dtype": "float16"}),
]  # fmt: skip


@pytest.mark.parametrize(("args", "options"), RANGES)
def test_arange_counts_as_numpy_does(args, options):
    """At once and staged, in the promoted dtype."""
    want = np.arange(*args, **options)
    if "dtype" not in options:
        want = want.astype({"f": np.float32, "i": np.int32}[want.dtype.kind])
    same(jnp.arange(*args, **options), want)
    same(staged(lambda: jnp.arange(*args, **options)), want)


def test_arange_needs_known_numbers():
    """A traced length is an error that tells the way out."""
    with pytest.raises(TypeError, match="stop is traced"):
        ferax.jit(lambda n: jnp.arange(n))(3)


SPACES = [
    ("linspace", (0, 1, 5), {}), ("linspace", (0, 1, 5), {"endpoint": False}),
    ("linspace", (3, -3, 4), {}), ("linspace", (0, 10, 1), {}), ("linspace", (0, 10, 0), {}),
    ("linspace", (0, 3j, 3), {}), ("linspace", (0, 9, 4), {"dtype": "int32"}),
    ("linspace", (np.zeros(2, np.float32), np.ones(2, np.float32), 3), {"axis": 1}),
    ("logspace", (0, 2, 3), {}), ("logspace", (0, 3, 4), {"base": 2.0}),
    ("geomspace", (1, 1000, 4), {}), ("geomspace", (-1, -100, 3), {}),
    ("geomspace", (1, 100, 4), {"endpoint": False}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), SPACES)
def test_spaces_are_numpys(name, args, options):
    """linspace, logspace and geomspace, at once and staged; the last point is exact."""
    want = getattr(np, name)(*args, **options)
    f = getattr(jnp, name)
    same(f(*args, **options), want, 1e-5)
    same(staged(lambda: f(*args, **options)), want, 1e-5)


def test_linspace_of_values_is_differentiable_and_gives_its_step():
    """retstep returns the distance; a negative number of samples is an error."""
    points, step = jnp.linspace(0.0, 10.0, 5, retstep=True, endpoint=False)
    assert float(step) == 2.0
    assert points.shape == (5,)
    got = ferax.grad(lambda b: jnp.linspace(0.0, b, 3).sum())(2.0)
    assert float(got) == 1.5
    with pytest.raises(ValueError, match="non-negative"):
        jnp.linspace(0, 1, -1)


PATTERNS = [
    ("eye", (3,), {}), ("eye", (2, 4, 1), {}), ("eye", (3,), {"k": -1}), ("identity", (2,), {}),
    ("tri", (3, 4, 1), {}), ("tri", (3,), {"k": -1}), ("vander", (np.arange(4),), {}),
    ("vander", (np.arange(4), 2), {"increasing": True}), ("diag", (np.arange(3),), {}),
    ("diag", (np.arange(3),), {"k": 2}), ("diag", (np.arange(3),), {"k": -1}),
    ("diag", (np.arange(6).reshape(2, 3),), {"k": 1}), ("diagflat", (np.ones((2, 2)), 1), {}),
    ("tril_indices", (3,), {}), ("triu_indices", (2, 1, 3), {}), ("diag_indices", (2, 3), {}),
    ("indices", ((2, 3),), {}), ("bartlett", (5,), {}), ("blackman", (6,), {}),
    ("hamming", (1,), {}), ("hanning", (0,), {}), ("kaiser", (5, 3.0), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), PATTERNS)
def test_patterns_are_numpys(name, args, options):
    """Matrices, indices and windows, at once and staged."""
    want = getattr(np, name)(*args, **options)
    f = getattr(jnp, name)
    mine = [jnp.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    same(f(*mine, **options), want, 1e-5)
    same(staged(lambda: f(*mine, **options)), want, 1e-5)


def test_grids_of_coordinates():
    """meshgrid in both orders, sparse or not; mgrid, ogrid, r_, c_, s_."""
    x, y = np.arange(3), np.arange(2.0, dtype=np.float32)
    for options in ({}, {"indexing": "ij"}, {"sparse": True}):
        got = jnp.meshgrid(jnp.asarray(x), jnp.asarray(y), **options)
        assert isinstance(got, list)
        same(got, list(np.meshgrid(x, y, **options)))
    same(jnp.mgrid[0:2, 0:3], np.mgrid[0:2, 0:3])
    same(jnp.mgrid[0:1:5j], np.mgrid[0:1:5j])
    same(jnp.ogrid[0:2, 0:3], list(np.ogrid[0:2, 0:3]))
    same(jnp.r_[1:4, 0, 5], np.r_[1:4, 0, 5])
    same(jnp.c_[jnp.arange(2), jnp.arange(2)], np.c_[np.arange(2), np.arange(2)])
    a = np.arange(2)
    for directive in ("0,2", "1,2,0", "0,3"):
        same(jnp.r_[directive, jnp.asarray(a), jnp.asarray(a)], np.r_[directive, a, a])
    assert jnp.r_["r", jnp.arange(2)].shape == (1, 2)
    assert jnp.r_["c", jnp.arange(2)].shape == (2, 1)
    assert jnp.s_[1:2, None] == (slice(1, 2), None)
    assert jnp.index_exp[1:2] == (slice(1, 2),)
    assert jnp.meshgrid() == []
    with pytest.raises(ValueError, match="indexing"):
        jnp.meshgrid(jnp.arange(2), indexing="zz")


def test_fromfunction_maps_over_indices():
    """The function sees one index at a time; the axes are in order."""
    same(jnp.fromfunction(lambda i, j: i + 10 * j, (2, 3), dtype=int),
         np.fromfunction(lambda i, j: i + 10 * j, (2, 3), dtype=int))  # fmt: skip


def test_bytes_strings_files_and_other_libraries(tmp_path):
    """frombuffer, fromstring, save and load, dlpack."""
    same(jnp.frombuffer(bytes([1, 0, 0, 0]), dtype="int32"), np.array([1], np.int32))
    same(jnp.fromstring("1, 2.5", sep=","), np.array([1, 2.5], np.float32))
    same(jnp.from_dlpack(np.arange(3)), np.arange(3))
    file = io.BytesIO()
    jnp.save(file, jnp.array([1.5], jnp.bfloat16))
    file.seek(0)
    assert jnp.load(file).dtype == jnp.bfloat16
    jnp.savez(tmp_path / "two.npz", a=jnp.arange(2))
    assert jnp.load(tmp_path / "two.npz")["a"].tolist() == [0, 1]


def test_scalar_types_are_dtypes_and_make_arrays():
    """jnp.float32 compares with NumPy's, is accepted as a dtype, and converts when called."""
    assert jnp.float32 == np.float32
    assert jnp.float32 == np.dtype("float32")
    assert np.dtype(jnp.bfloat16).name == "bfloat16"
    assert np.zeros(1, jnp.int8).dtype == np.int8
    assert hash(jnp.float32) == hash(np.float32)
    assert isinstance(np.float32(1), jnp.float32)
    assert jnp.float32([1, 2]).aval.short() == "float32[2]"
    assert jnp.int8(jnp.array(200)).item() == -56
    assert jnp.int_ is jnp.int64
    assert repr(jnp.float32) == "<class 'ferax.numpy.float32'>"
    assert jnp.issubdtype(jnp.bfloat16, jnp.floating)
    assert jnp.promote_types("int64", "float32") == np.float32
    assert jnp.promote_types("int64", "int32") == np.int64
    assert jnp.can_cast("int8", "int32")
    assert not jnp.can_cast("float32", "int32")
    assert jnp.isdtype("uint8", ("unsigned integer", "bool"))
    with pytest.raises(ValueError, match="Unrecognized kind"):
        jnp.isdtype("uint8", "foo")


def test_the_door_shows_every_name_it_has():
    """Lazy rooms are part of the namespace."""
    for name in jnp.__all__:
        assert getattr(jnp, name) is not None or name == "newaxis"
    assert "polyfit" in dir(jnp)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        jnp.nothing


def test_large_integers_fill_floating_arrays():
    """A Python int that fits no integer dtype here is a floating point number there."""
    assert jnp.full(2, 2**40, jnp.float32).tolist() == [2.0**40] * 2
    assert jnp.full_like(jnp.ones(2), 2**40).tolist() == [2.0**40] * 2
    with pytest.raises(OverflowError):
        jnp.full(2, 2**40, jnp.int32)
