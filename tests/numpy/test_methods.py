"""Operators, methods and properties of arrays."""

import copy
import operator
import pickle

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import same, staged

X = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]], np.float32)
I = np.array([[1, 2, 3], [4, 5, 6]], np.int32)  # noqa: E741
B = np.array([True, False, True])

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv,
              operator.mod]  # fmt: skip
BITWISE = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
COMPARE = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


def in_float32(x):
    x = np.asarray(x)
    return x.astype({"f": np.float32, "i": np.int32}.get(x.dtype.kind, x.dtype))


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARE], ids=lambda f: f.__name__)
@pytest.mark.parametrize("other", [2, 0.5, I[0] - 7, X[1] + 8, np.float32(3)], ids=repr)
def test_operators_on_either_side(op, other):
    """With numbers, NumPy's numbers and arrays, and Arrays, before or behind the array."""
    for x in (X, I):
        mine, theirs = jnp.asarray(x), other
        same(op(mine, theirs), in_float32(op(x, other)), 1e-5)
        same(op(theirs, mine), in_float32(op(other, x)), 1e-5)
        if isinstance(other, np.ndarray):
            same(op(mine, jnp.asarray(other)), in_float32(op(x, other)), 1e-5)
        assert isinstance(op(theirs, mine), jnp.ndarray)
        same(staged(lambda a, b=theirs: op(a, b), x), in_float32(op(x, other)), 1e-5)


@pytest.mark.parametrize("op", BITWISE, ids=lambda f: f.__name__)
def test_bit_operators(op):
    """On integers; and, or and xor on bools."""
    same(op(jnp.asarray(I), 1), op(I, 1))
    same(op(3, jnp.asarray(I)), op(3, I).astype(np.int32))
    if op in BITWISE[:3]:
        same(op(jnp.asarray(B), jnp.asarray(~B)), op(B, ~B))
    with pytest.raises(TypeError):
        op(jnp.asarray(X), 1)


def test_unary_operators_and_powers():
    """-x, +x, abs(x), ~x, x ** 2, 2 ** x, divmod, round."""
    x = jnp.asarray(X)
    same(-x, -X)
    same(+x, X)
    same(abs(x), abs(X))
    same(~jnp.asarray(B), ~B)
    same(x**2, X**2)
    same(2**x, (2**X).astype(np.float32))
    same(divmod(x, 2), list(divmod(X, 2)))
    same(divmod(7, jnp.asarray(I)), [v.astype(np.int32) for v in divmod(7, I)])
    assert round(jnp.array(2.567)).dtype == jnp.int32
    assert round(jnp.array(2.567), 1).item() == pytest.approx(2.6)
    same(jnp.asarray(I) @ jnp.asarray(I.T), I @ I.T)
    same(np.ones((2, 2), np.float32) @ x, np.ones((2, 2), np.float32) @ X)


def test_what_is_no_operand_is_left_to_python():
    """Unknown types are asked themselves; == with None is False; lists are refused."""

    class Other:
        def __radd__(self, left):
            return "asked"

    x = jnp.arange(3)
    assert x + Other() == "asked"
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    for bad in (lambda: x + [1, 2, 3], lambda: [1.0] * x, lambda: x + "a", lambda: x < None,
                lambda: x == [0, 1, 2]):  # fmt: skip
        with pytest.raises(TypeError):
            bad()


def test_comparisons_of_complex_numbers_are_lexicographic():
    """By real, then by imaginary part, as jnp.less."""
    z = jnp.array([1 + 2j, 1 - 1j, 0])
    assert (z < 1 + 0j).tolist() == [False, True, True]
    assert (z >= z).tolist() == [True, True, True]


METHODS = [
    ("all", (), {}), ("any", (), {"axis": 0}), ("argmax", (), {"axis": 1}), ("argmin", (), {}),
    ("argsort", (), {}), ("clip", (0, 2), {}), ("conj", (), {}), ("cumprod", (), {"axis": 1}),
    ("cumsum", (), {}), ("diagonal", (1,), {}), ("dot", (X.T.copy(),), {}), ("flatten", (), {}),
    ("flatten", ("F",), {}), ("max", (), {"axis": 0}), ("mean", (), {}), ("min", (), {"axis": 1}),
    ("nonzero", (), {}), ("prod", (), {"axis": 0}), ("ravel", (), {}), ("repeat", (2,), {}),
    ("reshape", (3, 2), {}), ("reshape", ((3, -1),), {}), ("reshape", (-1,), {"order": "F"}),
    ("round", (), {}), ("squeeze", (), {}), ("std", (), {}), ("sum", (), {"axis": (0, 1)}),
    ("swapaxes", (0, 1), {}), ("take", (np.array([1, 0]),), {"axis": 1}), ("trace", (), {}),
    ("transpose", (), {}), ("transpose", (1, 0), {}), ("transpose", ((1, 0),), {}),
    ("var", (), {"axis": 1, "ddof": 1}), ("tobytes", (), {}), ("tolist", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), METHODS)
def test_methods_are_numpys(name, args, options):
    """Methods call the function of the same name."""
    want = getattr(X, name)(*args, **options)
    got = getattr(jnp.asarray(X), name)(*args, **options)
    if isinstance(want, (bytes, list)):
        assert got == want
    else:
        same(got, want)


def test_methods_that_ndarray_lacks_or_has_otherwise():
    """ptp, sort, choose, compress, searchsorted, argpartition return arrays."""
    x = jnp.arange(3)
    assert x.ptp().item() == 2
    assert x.sort(descending=True).tolist() == [2, 1, 0]
    assert x.choose([x, x + 10, x + 20]).tolist() == [0, 11, 22]
    assert x.compress(x > 0).tolist() == [1, 2]
    assert x.searchsorted(2).item() == 2
    assert x.argpartition(1).tolist() == [0, 1, 2]
    assert x.conjugate() is x
    assert x.byteswap().tolist() == np.arange(3, dtype=np.int32).byteswap().tolist()
    with pytest.raises(NotImplementedError, match="flatten"):
        x.flat


def test_properties():
    """T, mT, real, imag, at and those of the shape."""
    x = jnp.asarray(X)
    same(x.T, X.T)
    same(x.mT, X.T)
    same((x + 2j).real, X)
    same((x + 2j).imag, np.full_like(X, 2))
    same(x.at[0, 1].set(9), np.array([[1.5, 9, 3], [0.5, 4, -1]], np.float32))
    assert (x.shape, x.ndim, x.size, x.nbytes, x.itemsize, len(x)) == (
        (2, 3),
        2,
        6,
        24,
        4,
        2,
    )
    assert jnp.zeros((2, 3, 4)).mT.shape == (2, 4, 3)
    with pytest.raises(ValueError, match="at least two-dimensional"):
        jnp.arange(3).mT


CASTS = [
    (X, "int32"), (X, bool), (I, "float16"), (B, int), (X, "bfloat16"), (I, complex), (X, None),
]  # fmt: skip


@pytest.mark.parametrize(("x", "dtype"), CASTS)
def test_astype_converts_values(x, dtype):
    """Floats truncate; the result is never weak."""
    got = jnp.asarray(x).astype(dtype)
    np.testing.assert_array_equal(
        np.asarray(got, np.complex64), x.astype(got.dtype).astype(np.complex64)
    )
    assert not jnp.array(2.0).astype("float32").weak_type


def test_view_reads_the_bytes_as_another_dtype():
    """Of the same, a smaller and a larger width; bools count as bytes."""
    x = np.array([[1.5, -2.0, 3.25, 0.0]], np.float32)
    for dtype in ("int32", "uint8", "int16", "float16"):
        same(jnp.asarray(x).view(dtype), x.view(dtype), 0)
        same(staged(lambda a, d=dtype: a.view(d), x), x.view(dtype), 0)
    same(jnp.asarray(x.view("int16")).view("float32"), x, 0)
    assert jnp.array([True, False]).view("uint8").tolist() == [1, 0]
    with pytest.raises(ValueError, match="0d array"):
        jnp.array(1).view("int8")
    with pytest.raises(ValueError, match="no multiple"):
        jnp.zeros(3, "int8").view("int32")


def test_numpy_functions_accept_arrays():
    """np.asarray is a read-only view; NumPy's functions give NumPy arrays."""
    x = jnp.asarray(X)
    host = np.asarray(x)
    assert np.shares_memory(host, x.host())
    assert not host.flags.writeable
    assert type(np.sin(x)) is np.ndarray
    assert type(np.add(x, 1)) is np.ndarray
    assert isinstance(np.float64(2) * x, jnp.ndarray)
    assert (np.float64(2) * x).dtype == jnp.float32
    assert x.__array_namespace__() is jnp
    assert x.__array_namespace__(api_version="2024.12") is jnp
    with pytest.raises(ValueError, match="not available"):
        x.__array_namespace__(api_version="1999")


def test_membership_and_iteration():
    """`in` compares elements with a number; iterating gives rows."""
    x = jnp.arange(3)
    assert 2 in x
    assert 5 not in x
    assert [int(v) for v in x] == [0, 1, 2]
    assert [v.shape for v in jnp.ones((2, 3))] == [(3,), (3,)]
    a, b, c = x
    assert int(c) == 2
    assert (int(a), int(b)) == (0, 1)
    with pytest.raises(ValueError, match="must be a scalar"):
        x in x  # noqa: B015


def test_arrays_are_copied_and_pickled():
    """copy, deepcopy and pickle keep values, dtype and weakness."""
    for x in (jnp.asarray(X), jnp.array(2.0), jnp.ones(2, jnp.bfloat16)):
        for y in (
            x.copy(),
            copy.copy(x),
            copy.deepcopy(x),
            pickle.loads(pickle.dumps(x)),
        ):
            assert y.aval is x.aval
            assert (y == x).all()
    assert pickle.loads(pickle.dumps(jnp.add)) is jnp.add
    assert pickle.loads(pickle.dumps(jnp.float32)) is jnp.float32


def test_traced_values_are_copied():
    """copy and deepcopy of a traced value are the value; item needs one that is known."""
    x = jnp.arange(3.0)
    for duplicate in (ferax.Array.copy, copy.copy, copy.deepcopy):
        f = lambda x, duplicate=duplicate: (duplicate(x) ** 2).sum()
        assert ferax.jit(f)(x) == 5
        assert ferax.grad(f)(x).tolist() == [0, 2, 4]
        assert ferax.vmap(f)(x.reshape(3, 1)).tolist() == [0, 1, 4]
    assert ferax.grad(lambda x: x * x.item())(3.0) == 3
    with pytest.raises(ferax.errors.ConcretizationTypeError, match=r"with \.item\(\)"):
        ferax.jit(lambda x: x.item())(1.0)
    assert {"item", "copy", "__deepcopy__"} <= vars(ferax.Array).keys()


def test_arrays_say_where_they_are():
    """One shard on one device; a traced array has no place yet."""
    x = jnp.arange(3.0)
    assert len(x.devices()) == 1
    assert x.addressable_data(0).tolist() == [0, 1, 2]
    (shard,) = x.addressable_shards
    assert shard.data.shape == (3,)
    assert x.to_device(x.device).tolist() == [0, 1, 2]
    seen = []
    ferax.make_jaxpr(lambda t: seen.append(hasattr(t, "device")) or t)(x)
    assert seen == [False]


def test_operators_fold_the_library_out_of_tracebacks():
    """The innermost frame of an error in x + y is the user's."""
    with pytest.raises((TypeError, ValueError)) as caught:
        jnp.arange(3) + jnp.arange(4)
    frames = [entry.path.name for entry in caught.traceback]
    assert frames[0] == "test_methods.py"
    assert len(frames) <= 2


def test_augmented_assignment_makes_a_new_array():
    """x += 1 rebinds x; the old array is as it was."""
    x = y = jnp.arange(3)
    x += 1
    x *= 2
    assert x.tolist() == [2, 4, 6]
    assert y.tolist() == [0, 1, 2]
