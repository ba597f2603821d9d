"""Every rule of every operation, checked against another way to compute the same.

numpy = abstract's types · stablehlo = numpy · jvp = finite differences in float64, to second
order · ⟨J t, c⟩ = ⟨t, Jᵀ c⟩ · batch = a loop, over combinations of mapped operands.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import ferax
from ferax import dtypes
from ferax.core.array import Concrete
from ferax.core.avals import Aval
from ferax.core.tracing import to_array
from tests.samples import registry

CASES = [
    pytest.param(sample, id=f"{kind.name}-{i}")
    for kind, samples in registry.all_samples().items()
    for i, sample in enumerate(samples)
]
SMOOTH = [case for case in CASES if registry.smooth_places(case.values[0])]


def arrays(sample):
    return [
        to_array(np.asarray(x)) if not isinstance(x, Concrete) else x
        for x in sample.operands
    ]


def assert_close(got, want, tolerance=8.0):
    """Equal within `tolerance` units of the dtype's precision, relative to the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if got.dtype.kind in "biuV" and not dtypes.is_inexact(got.dtype):
        np.testing.assert_array_equal(got, want)
        return
    wide = np.complex128 if dtypes.is_complex(got.dtype) else np.float64
    got, want, eps = (
        got.astype(wide),
        want.astype(wide),
        float(dtypes.finfo(got.dtype).eps),
    )
    finite = np.abs(want[np.isfinite(want)])
    scale = max(1.0, float(finite.max(initial=0.0)))
    np.testing.assert_allclose(
        got, want, rtol=tolerance * eps, atol=tolerance * eps * scale
    )


@pytest.mark.parametrize("sample", CASES)
def test_numpy_rule_gives_what_abstract_says(sample):
    """Shapes and dtypes of eager results are those of the abstract rule."""
    args = arrays(sample)
    outs = sample.op.bind(*args)
    for out, aval in zip(
        outs, sample.op.infer(tuple(a.aval for a in args)), strict=True
    ):
        assert out.aval is aval
        if not dtypes.is_key(aval.dtype):
            host = np.asarray(out)
            assert (host.shape, host.dtype) == (aval.shape, aval.dtype)


@pytest.mark.parametrize("sample", CASES)
def test_compiled_equals_eager(sample):
    """XLA's result of the lowering is NumPy's result."""
    args = arrays(sample)
    want = sample.op.bind(*args)
    got = ferax.jit(lambda *xs: sample.op.bind(*xs))(*args)
    for g, w in zip(got, want, strict=True):
        if dtypes.is_key(w.dtype):
            np.testing.assert_array_equal(g.host(), w.host())
        else:
            assert_close(g, w, sample.tolerance)


def _wide(sample):
    """Operands in double precision."""

    def widen(x):
        x = np.asarray(x)
        if dtypes.is_complex(x.dtype):
            return x.astype(np.complex128)
        return x.astype(np.float64) if dtypes.is_floating(x.dtype) else x

    return [
        to_array(widen(x)) if not isinstance(x, Concrete) else x
        for x in sample.operands
    ]


def _direction(xs, seed):
    rng = np.random.default_rng(seed)

    def one(x):
        t = rng.normal(size=x.shape)
        if dtypes.is_complex(x.dtype):
            t = t + 1j * rng.normal(size=x.shape)
        return to_array(np.asarray(t, x.dtype))

    return [one(x) for x in xs]


def _restricted(sample, args, places):
    """The operation as a function of the smooth operands, giving its inexact results."""

    def fun(*moving):
        full = list(args)
        for place, value in zip(places, moving):
            full[place] = value
        return [o for o in sample.op.bind(*full) if dtypes.is_inexact(o.dtype)]

    return fun


def _shifted(xs, ts, step):
    return [to_array(np.asarray(x) + step * np.asarray(t)) for x, t in zip(xs, ts)]


def _differences(fun, xs, ts, step=1e-6):
    after, before = fun(*_shifted(xs, ts, step)), fun(*_shifted(xs, ts, -step))
    return [(np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in zip(after, before)]


@pytest.mark.parametrize("sample", SMOOTH)
def test_jvp_equals_finite_differences(sample):
    """First and second derivatives along random directions, in double precision."""
    if sample.order == 0:
        pytest.skip(sample.why or "the sample asks for no derivative")
    with ferax.enable_x64(True):
        args = _wide(sample)
        places = registry.smooth_places(sample)
        xs = [args[p] for p in places]
        ts, us = _direction(xs, 1), _direction(xs, 2)
        fun = _restricted(sample, args, places)

        def first(*moving):
            return ferax.jvp(fun, moving, tuple(ts))[1]

        narrow = registry.is_narrow(fun(*xs))
        loose, step = (2e-2, 1e-2) if narrow else (1e-5, 1e-6)
        for got, want in zip(first(*xs), _differences(fun, xs, ts, step)):
            np.testing.assert_allclose(np.asarray(got), want, rtol=loose, atol=loose)
        if sample.order > 1 and not narrow:
            for got, want in zip(
                ferax.jvp(first, tuple(xs), tuple(us))[1],
                _differences(first, xs, us, 1e-5),
            ):
                np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-4)


def _inner(a, b):
    """The real part: operations such as conj are linear over the reals only."""
    return sum(np.sum(np.real(np.asarray(x) * np.asarray(y))) for x, y in zip(a, b))


@pytest.mark.parametrize("sample", SMOOTH)
def test_pulling_back_is_the_adjoint_of_pushing_forward(sample):
    """⟨J t, c⟩ = ⟨t, Jᵀ c⟩, in double precision, eager and compiled."""
    if sample.order == 0:
        pytest.skip(sample.why or "the sample asks for no derivative")
    with ferax.enable_x64(True):
        args = _wide(sample)
        places = registry.smooth_places(sample)
        xs = [args[p] for p in places]
        ts = _direction(xs, 3)
        fun = _restricted(sample, args, places)
        pushed = ferax.jvp(fun, tuple(xs), tuple(ts))[1]
        cts = _direction(pushed, 4)
        _, pull = ferax.vjp(fun, *xs)
        pulled = pull(cts)
        tolerance = 1e-3 if registry.is_narrow(pushed) else 1e-9
        np.testing.assert_allclose(
            _inner(pushed, cts), _inner(ts, pulled), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("sample", [c for c in CASES if c.values[0].linear])
def test_transpose_is_the_adjoint(sample):
    """⟨A t, c⟩ = ⟨t, Aᵀ c⟩ for the operands in which the operation is linear."""
    with ferax.enable_x64(True):
        args = _wide(sample)
        fun = _restricted(sample, args, sample.linear)
        ts = _direction([args[p] for p in sample.linear], 5)
        outs = fun(*ts)
        cts = _direction(outs, 6)
        pulled = ferax.linear_transpose(fun, *ts)(cts)
        np.testing.assert_allclose(
            _inner(outs, cts), _inner(ts, pulled), rtol=1e-9, atol=1e-9
        )


def _dims_to_try(args):
    """All operands mapped in front; each alone; all mapped behind."""
    n = len(args)
    plans = [(0,) * n] if n else []
    if n > 1:
        plans += [tuple(0 if j == i else None for j in range(n)) for i in range(n)]
    if any(a.ndim for a in args):
        plans.append(tuple(a.ndim for a in args))
    return list(dict.fromkeys(plans))


@pytest.mark.parametrize("sample", [c for c in CASES if c.values[0].operands])
def test_batch_equals_a_loop(sample):
    """vmap over combinations of operands gives what a Python loop gives."""
    args = arrays(sample)
    size = 2
    for dims in _dims_to_try(args):
        stacked = [
            a if d is None else _stack(a, size, d, seed=i)
            for i, (a, d) in enumerate(zip(args, dims))
        ]
        got = ferax.vmap(lambda *xs: sample.op.bind(*xs), in_axes=dims)(*stacked)
        for i in range(size):
            each = [s if d is None else _take(s, i, d) for s, d in zip(stacked, dims)]
            want = sample.op.bind(*each)
            for g, w in zip(got, want, strict=True):
                assert_close(g.host()[i], w.host(), max(sample.tolerance, 16.0))


def _stack(a, size, dim, seed):
    """`size` variations of an operand along a new axis: itself, and itself in another order."""
    host = a.host()
    others = [host]
    rng = np.random.default_rng(seed)
    for _ in range(size - 1):
        flat = host.reshape(-1).copy()
        same_is_valid = dtypes.is_inexact(a.dtype)
        others.append(
            rng.permutation(flat).reshape(host.shape) if same_is_valid else host
        )
    shape = a.shape[:dim] + (size,) + a.shape[dim:]
    return Concrete(Aval(shape, a.dtype), np.stack(others, dim))


def _take(a, i, dim):
    host = np.take(a.host(), i, dim)
    return Concrete(Aval(host.shape, a.dtype), np.asarray(host))


def test_every_primitive_has_samples():
    """An operation that nobody listed operands for is an error."""
    known = registry.all_samples().keys() | registry.tested_elsewhere().keys()
    missing = [p.__name__ for p in registry.all_primitives() if p not in known]
    assert not missing, f"add samples in tests/samples for: {missing}"


def test_tests_named_for_the_others_exist():
    """Operations tested elsewhere are, by a test of that name."""
    root = pathlib.Path(__file__).parent.parent
    for kind, where in registry.tested_elsewhere().items():
        file, name = where.split("::")
        assert f"def {name}(" in (root / file).read_text(), f"{kind.__name__}: {where}"
