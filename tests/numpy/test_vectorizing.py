"""vectorize, apply_along_axis, apply_over_axes; polynomials; packed bits."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.numpy.tables import agree, same

BOX = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_vectorize_broadcasts_like_numpys():
    """Loop axes of all arguments broadcast together, axes of size 1 included."""
    f = jnp.vectorize(lambda a, b: jnp.where(a > b, a - b, a + b))
    g = np.vectorize(lambda a, b: a - b if a > b else a + b)
    x, y = np.arange(4.0, dtype=np.float32), np.float32([[1], [2]])
    for a, b in (
        (x, y),
        (x, np.float32(2)),
        (y[None], x),
        (np.float32(1), np.float32(2)),
    ):
        same(f(jnp.asarray(a), jnp.asarray(b)), g(a, b).astype(np.float32))


@pytest.mark.parametrize(
    ("signature", "function", "shapes"),
    [
        ("(n)->()", lambda v: v.sum(), [(2, 3, 4)]),
        ("(n),(n)->()", lambda v, w: v @ w, [(2, 1, 4), (3, 4)]),
        ("(m,n),(n)->(m)", lambda a, v: a @ v, [(5, 3, 4), (4,)]),
        ("(n)->(n),()", lambda v: (v * 2, v[0]), [(2, 3)]),
        ("(),(n)->(n)", lambda s, v: s * v, [(2, 1), (3, 4)]),
        ("(3)->(3)", lambda v: v + 1, [(2, 3)]),
    ],
)
def test_vectorize_with_a_signature(signature, function, shapes):
    """Core axes are the last ones; results are checked."""
    arrays = [np.arange(np.prod(s), dtype=np.float32).reshape(s) for s in shapes]
    got = jnp.vectorize(function, signature=signature)(*map(jnp.asarray, arrays))
    want = np.vectorize(function, signature=signature)(*arrays)
    same(got, want)
    same(ferax.jit(jnp.vectorize(function, signature=signature))(*arrays), want)


def test_vectorize_excludes_and_checks():
    """Excluded arguments are passed as they are; wrong shapes are named."""
    f = jnp.vectorize(lambda x, n: x**n, excluded=(1,))
    assert f(jnp.arange(3), 2).tolist() == [0, 1, 4]
    named = jnp.vectorize(lambda x, power: x**power, excluded=("power",))
    assert named(jnp.arange(3), power=2).tolist() == [0, 1, 4]
    dot = jnp.vectorize(lambda a, b: a @ b, signature="(n),(n)->()")
    with pytest.raises(
        ValueError, match="inconsistent size for core dimension 'n': 4 vs 3"
    ):
        dot(jnp.ones(3), jnp.ones(4))
    with pytest.raises(ValueError, match="does not have enough dimensions"):
        dot(1.0, jnp.ones(3))
    with pytest.raises(TypeError, match="expected 2, got 1"):
        dot(jnp.ones(3))
    with pytest.raises(ValueError, match="not a valid gufunc signature"):
        jnp.vectorize(lambda a: a, signature="(n->()")
    with pytest.raises(ValueError, match="core dimensions"):
        jnp.vectorize(lambda a: a[None], signature="(n)->(n)")(jnp.ones(2))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_apply_along_axis_replaces_the_axis(axis):
    """By the result's axes: fewer, as many, or more."""
    for f in (
        lambda v: v.sum(),
        lambda v: v * 2,
        lambda v: v[:2],
        lambda v: v[:, None] * v,
    ):
        same(
            jnp.apply_along_axis(f, axis, jnp.asarray(BOX)),
            np.apply_along_axis(f, axis, BOX),
        )


def test_apply_over_axes_keeps_them():
    """Reduced axes stay with size 1."""
    same(
        jnp.apply_over_axes(jnp.sum, jnp.asarray(BOX), [0, 2]),
        np.apply_over_axes(np.sum, BOX, [0, 2]),
    )
    with pytest.raises(ValueError, match="correct shape"):
        jnp.apply_over_axes(lambda x, axis: x.sum(), jnp.asarray(BOX), [0])


P, Q = np.float32([1, -3, 2]), np.float32([2, 1])
POLYNOMIALS = [
    ("polyadd", (P, Q), {}), ("polysub", (Q, P), {}), ("polymul", (P, Q), {}),
    ("polyder", (P,), {}), ("polyder", (P, 2), {}), ("polyder", (P, 5), {}), ("polyint", (P,), {}),
    ("polyint", (P, 3), {"k": [1, 2, 3]}), ("polyval", (P, np.float32([0, 1, 2.5])), {}),
    ("poly", (Q,), {}), ("vander", (P,), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), POLYNOMIALS)
def test_polynomials_are_numpys(name, args, options):
    """Coefficients come highest power first."""
    if "k" in options:
        options = {"k": np.float32(options["k"])}
    agree(name, *args, tolerance=1e-5, **options)


def test_long_polynomials_are_looped_over():
    """The same values; a program that does not grow with the number of coefficients."""
    p = np.linspace(-1, 1, 40).astype(np.float32)
    f = ferax.jit(lambda p, x: jnp.polyval(p, x))
    same(f(p, np.float32(0.9)), np.float32(np.polyval(p.astype(np.float64), 0.9)), 1e-4)
    program = ferax.make_jaxpr(lambda p, x: jnp.polyval(p, x))(p, 0.9)
    assert len(program.jaxpr.eqns) < 10


def test_division_of_polynomials():
    """u = quotient v + remainder; the remainder keeps its size unless trimmed."""
    quotient, rest = jnp.polydiv(jnp.asarray(P), jnp.asarray(Q))
    same(quotient, np.polydiv(P, Q)[0].astype(np.float32))
    assert rest.shape == (3,)
    same(jnp.polymul(quotient, jnp.asarray(Q)) + rest, P, 1e-6)
    assert (
        jnp.polydiv(jnp.asarray(P), jnp.array([1.0, -1.0]), trim_leading_zeros=True)[
            1
        ].size
        == 0
    )


def test_roots_are_eigenvalues():
    """Leading and trailing zeros are roots of other degrees."""
    for p in ([1, -3, 2], [0, 1, -3, 2], [1, 0, 0], [2], [1, 2, 3], [0, 0]):
        got = np.sort_complex(np.asarray(jnp.roots(jnp.array(p, jnp.float32))))
        np.testing.assert_allclose(got, np.sort_complex(np.roots(p)), atol=1e-4)
    kept = jnp.roots(jnp.array([0.0, 1, -3, 2]), strip_zeros=False)
    assert jnp.isnan(kept).tolist() == [False, False, True]
    with pytest.raises(TypeError, match="not known"):
        ferax.make_jaxpr(jnp.roots)(jnp.ones(3))


def test_polyfit_goes_through_points():
    """Least squares, with weights, full output, and covariance."""
    x = np.arange(6, dtype=np.float32)
    y = np.float32([1, 3, 4, 8, 9, 11])
    mine = jnp.asarray(x), jnp.asarray(y)
    same(jnp.polyfit(*mine, 2), np.polyfit(x, y, 2).astype(np.float32), 1e-3)
    w = np.float32([1, 2, 1, 2, 1, 2])
    same(
        jnp.polyfit(*mine, 1, w=jnp.asarray(w)),
        np.polyfit(x, y, 1, w=w).astype(np.float32),
        1e-3,
    )
    c, v = jnp.polyfit(*mine, 1, cov=True)
    want_c, want_v = np.polyfit(x, y, 1, cov=True)
    same([c, v], [want_c.astype(np.float32), want_v.astype(np.float32)], 1e-3)
    c, residuals, rank, _, _ = jnp.polyfit(*mine, 1, full=True)
    assert int(rank) == 2
    np.testing.assert_allclose(residuals, np.polyfit(x, y, 1, full=True)[1], rtol=1e-3)


BITS = [
    ("packbits", (np.array([1, 0, 1, 0, 0, 0, 0, 1, 1]),), {}),
    ("packbits", (np.array([[1, 0], [0, 1]]),), {"axis": 1}),
    ("packbits", (np.array([1, 0, 1]),), {"bitorder": "little"}),
    ("unpackbits", (np.uint8([5, 128]),), {}), ("unpackbits", (np.uint8([5]),), {"count": 12}),
    ("unpackbits", (np.uint8([[5, 128]]),), {"axis": 1, "count": 10}),
    ("unpackbits", (np.uint8([5]),), {"bitorder": "little", "count": -3}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), BITS)
def test_bits_are_packed_as_by_numpy(name, args, options):
    """Along an axis, in both orders, cut off or filled."""
    agree(name, *args, **options)
