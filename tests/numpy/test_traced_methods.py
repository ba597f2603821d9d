"""Methods and properties of arrays that are tracers: what is theirs must not hide a method."""

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.core.array import Array
from ferax.core.tracing import Tracer
from tests.numpy.tables import same

X = np.array([[3.0, -1.0, 2.0], [0.5, 7.0, -2.0]], np.float32)
CALLS = [
    ("all", ()), ("any", ()), ("argmax", ()), ("argmin", (1,)), ("argsort", ()), ("clip", (0, 2)),
    ("conj", ()), ("copy", ()), ("cumprod", (1,)), ("cumsum", ()), ("diagonal", (1,)),
    ("flatten", ()), ("max", (0,)), ("mean", ()), ("min", (1,)), ("prod", ()), ("ptp", ()),
    ("ravel", ()), ("repeat", (2,)), ("reshape", (3, 2)), ("round", (1,)), ("sort", ()),
    ("squeeze", ()), ("std", ()), ("sum", ()), ("swapaxes", (0, 1)), ("trace", ()),
    ("transpose", ()), ("var", ()), ("view", (jnp.int32,)), ("astype", (jnp.int32,)),
]  # fmt: skip
PARTS = ["T", "mT", "real", "imag"]


def transformed(f):
    """f under each transformation, as functions of one array with the value of f."""
    return {
        "jit": ferax.jit(f),
        "vmap": lambda x: ferax.vmap(f)(x[None])[0],
        "jvp": lambda x: ferax.jvp(f, (x,), (x,))[0],
        "vjp": lambda x: ferax.vjp(f, x)[0],
        "jit of vjp": ferax.jit(lambda x: ferax.vjp(f, x)[0]),
    }


@pytest.mark.parametrize(("name", "args"), [*CALLS, *[(part, None) for part in PARTS]])
def test_methods_of_tracers_are_those_of_arrays(name, args):
    """Each method gives under each transformation what it gives of an array with values."""

    def f(x):
        return getattr(x, name) if args is None else getattr(x, name)(*args)

    want = f(jnp.asarray(X))
    for g in transformed(f).values():
        same(g(jnp.asarray(X)), want)


@pytest.mark.parametrize("name", ["trace", "var", "std", "mean", "sum", "ptp"])
def test_tangents_have_the_methods_too(name):
    """A linear function may call methods of what it is linear in: it is transposed all the same."""
    total = getattr(jnp, name)
    x = jnp.asarray(X)
    want = ferax.grad(total)(x)
    same(ferax.grad(lambda x: getattr(x, name)())(x), want)
    if name in ("trace", "mean", "sum"):
        (got,) = ferax.linear_transpose(lambda t: getattr(t, name)(), x)(jnp.float32(1))
        same(got, want)


def families(cls):
    """The class and all classes that are made of it."""
    return [cls, *[c for sub in cls.__subclasses__() for c in families(sub)]]


def test_no_tracer_has_a_field_with_the_name_of_a_method():
    """A field would hide the method: x.trace() and x.var() once failed under jit so."""
    public = {name for name in dir(Array) if not name.startswith("_")}
    for cls in families(Tracer):
        fields = {s for c in cls.__mro__ for s in vars(c).get("__slots__", ())}
        assert not fields & (public - {"aval"}), cls
