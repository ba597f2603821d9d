"""Random programs (`programs.py`), each run in every way there is; all must agree.

Eager, compiled, mapped against a loop, differentiated against finite differences in float64, and
derivatives compiled and mapped. What fails is shown with its seed and source:
`programs.generate(seed)` gives it again. To try other seeds: `check(generate(seed))`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from tests.conformance.programs import Program, generate

PER_CHUNK = 20
IN_CI = range(200)
IN_FULL = range(1000, 11000)
_TOLERANCE = 1e-9
_STEP = 2e-4


class Disagreement(AssertionError):
    """Two ways to run one program gave different results."""


def _chunks(seeds: range, size: int) -> list[range]:
    return [seeds[i : i + size] for i in range(0, len(seeds), size)]


def _equal(program: Program, way: str, got: Any, want: Any) -> None:
    """Same structure, dtypes and shapes; floats within `_TOLERANCE` of the largest value."""
    got, want = ferax.tree.leaves(got), ferax.tree.leaves(want)
    if len(got) != len(want):
        raise Disagreement(f"{way}: {len(got)} results, not {len(want)}; {program}")
    for i, (g, w) in enumerate(zip(got, want)):
        g, w = np.asarray(g), np.asarray(w)
        if (g.shape, g.dtype) != (w.shape, w.dtype):
            raise Disagreement(
                f"{way}: result {i} is {g.dtype}{g.shape}, not {w.dtype}{w.shape}; {program}"
            )
        if g.dtype.kind != "f":
            same = np.array_equal(g, w)
        else:
            scale = max(1.0, float(np.max(np.abs(w), initial=0.0)))
            same = np.allclose(g, w, rtol=0, atol=_TOLERANCE * scale, equal_nan=True)
        if not same:
            raise Disagreement(f"{way}: result {i} is\n{g}\nnot\n{w}\n{program}")


def _points(program: Program, number: int, salt: int = 0) -> list[list[Any]]:
    rng = np.random.default_rng((program.seed, salt))
    return [
        [jnp.asarray(rng.uniform(-1.5, 1.5, s)) for s in program.shapes]
        for _ in range(number)
    ]


def _slope(f: Any, xs: list[Any], ts: list[Any]) -> tuple[float, float]:
    """df(x + s t)/ds by central differences, extrapolated, and how much to doubt it."""

    def difference(step: float) -> float:
        after = f(*[jnp.asarray(np.asarray(x) + step * t) for x, t in zip(xs, ts)])
        before = f(*[jnp.asarray(np.asarray(x) - step * t) for x, t in zip(xs, ts)])
        return (float(after) - float(before)) / (2 * step)

    coarse, fine = difference(_STEP), difference(_STEP / 2)
    return (4 * fine - coarse) / 3, abs(fine - coarse)


def _differentiate(program: Program, loss: Any, gradient: Any) -> str:
    """Compare with finite differences; at another point where there is a kink nearby.

    Answers what is wrong, or "".
    """
    wrong = ""
    compiled = ferax.jit(loss)
    for (xs,) in (_points(program, 1, salt) for salt in (1, 2, 3)):
        rng = np.random.default_rng((program.seed, 9))
        ts = [rng.normal(size=s) for s in program.shapes]
        want, doubt = _slope(compiled, xs, ts)
        gs = gradient(*xs)
        got = sum(float(np.sum(np.asarray(g) * t)) for g, t in zip(gs, ts))
        if abs(got - want) <= 1e-6 * max(1.0, abs(want)) + 2 * doubt:
            return ""
        wrong = f"{got} along the direction of {[t.tolist() for t in ts]}, not {want}"
    return wrong


def check(program: Program) -> None:
    """Run it in every way; raises `Disagreement` with the source."""
    try:
        with ferax.enable_x64(False):
            _check_types(program)
        with ferax.enable_x64(True):
            _check(program)
    except Disagreement:
        raise
    except Exception as failure:
        raise Disagreement(f"{type(failure).__name__}: {failure}; {program}") from failure


def _check_types(program: Program) -> None:
    """In single precision: traced, the program has the dtypes that it has eagerly."""
    f = program.function()
    (xs,) = _points(program, 1)
    shown = [a.str_short() if hasattr(a, "str_short") else str(a) for a in f(*xs)]
    del shown
    eager = [(a.shape, a.dtype, a.weak_type) for a in f(*xs)]
    traced = [(a.shape, a.dtype, a.weak_type) for a in ferax.eval_shape(f, *xs)]
    if eager != traced:
        raise Disagreement(f"traced types: {traced}, not {eager}; {program}")


def _check(program: Program) -> None:
    f = program.function()
    points = _points(program, 2)
    xs = points[0]
    each = [f(*p) for p in points]
    _equal(program, "jit", ferax.jit(f)(*xs), each[0])

    # the first argument mapped, the others too, or not, in turn
    mapped = [i == 0 or program.seed % 2 == 0 for i in range(len(xs))]
    stacked = [
        jnp.stack([p[i] for p in points]) if m else xs[i] for i, m in enumerate(mapped)
    ]
    rows = [[p[i] if m else xs[i] for i, m in enumerate(mapped)] for p in points]
    axes = tuple(0 if m else None for m in mapped)
    loop = _stack([f(*row) for row in rows])
    _equal(program, "vmap", ferax.vmap(f, axes)(*stacked), loop)

    def loss(*args: Any) -> Any:
        return f(*args)[0]

    gradient = ferax.grad(loss, tuple(range(len(xs))))
    here = [gradient(*row) for row in rows]
    _equal(program, "jit(grad)", ferax.jit(gradient)(*rows[0]), here[0])
    _equal(program, "vmap(grad)", ferax.vmap(gradient, axes)(*stacked), _stack(here))
    both = ferax.jit(ferax.vmap(gradient, axes))
    _equal(program, "jit(vmap(grad))", both(*stacked), _stack(here))
    if program.has_forward_mode:
        ts = points[1]
        _, pushed = ferax.jvp(loss, tuple(xs), tuple(ts))
        pulled = sum(jnp.sum(g * t) for g, t in zip(gradient(*xs), ts))
        _equal(program, "jvp against grad", pushed, pulled)
    wrong = _differentiate(program, loss, gradient)
    if wrong:
        raise Disagreement(f"grad is {wrong}; {program}")


def _stack(results: list[Any]) -> Any:
    return ferax.tree.map(lambda *rs: np.stack([np.asarray(r) for r in rs]), *results)


@pytest.mark.parametrize("seeds", _chunks(IN_CI, PER_CHUNK), ids=str)
def test_random_programs_agree(seeds):
    """Eager, compiled, mapped and differentiated results of 200 programs are the same."""
    for seed in seeds:
        check(generate(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", _chunks(IN_FULL, 100), ids=str)
def test_many_random_programs_agree(seeds):
    """The same of 10,000 more programs."""
    for seed in seeds:
        check(generate(seed))


def test_a_seed_gives_one_program():
    """A seed that is printed on failure is enough to see the failure again."""
    for seed in (0, 7, 123):
        assert str(generate(seed)) == str(generate(seed))
        compile(generate(seed).source, "program", "exec")
