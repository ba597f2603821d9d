"""What the tests of this folder share: each function at once, staged, and in NumPy."""

import numpy as np

import ferax
import ferax.numpy as jnp
from ferax.core.jaxpr import eval_jaxpr


def staged(f, *args):
    """f(*args), recorded as a program first: the operations are those that jit compiles."""
    args = [jnp.asarray(a) for a in args]
    program = ferax.make_jaxpr(f, return_shape=True)(*args)
    program, shape = program
    flat = eval_jaxpr(program.jaxpr, program.consts, args)
    return ferax.tree_util.tree_unflatten(ferax.tree_util.tree_structure(shape), flat)


def same(got, want, tolerance=2e-6):
    """Shapes equal, kinds equal, values close (exact where they are no floats)."""
    if isinstance(want, (list, tuple)):
        assert len(got) == len(want)
        for g, w in zip(got, want):
            same(g, w, tolerance)
        return
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype.kind == want.dtype.kind
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def agree(name, *args, tolerance=2e-6, **options):
    """`jnp.name` is `np.name`, at once and staged."""
    hosts = [np.asarray(a) if isinstance(a, (jnp.ndarray, list)) else a for a in args]
    with np.errstate(all="ignore"):
        want = getattr(np, name)(*hosts, **options)
    f = getattr(jnp, name)
    same(f(*args, **options), want, tolerance)
    places = [i for i, a in enumerate(args) if isinstance(a, (jnp.ndarray, np.ndarray))]

    def program(*arrays):
        full = list(args)
        for i, a in zip(places, arrays):
            full[i] = a
        return f(*full, **options)

    same(staged(program, *[args[i] for i in places]), want, tolerance)
