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
from ferax.engines import runtime, xla
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


def _slope(f: Any, xs: list[Any], ts: list[Any], step: float) -> tuple[float, float]:
    """df(x + s t)/ds by central differences, extrapolated, and how much to doubt it."""

    def difference(step: float) -> float:
        after, before = f(*_moved(xs, ts, step)), f(*_moved(xs, ts, -step))
        return (float(after) - float(before)) / (2 * step)

    coarse, fine = difference(step), difference(step / 2)
    return (4 * fine - coarse) / 3, abs(fine - coarse)


def _moved(xs: list[Any], ts: list[Any], step: float) -> list[Any]:
    return [jnp.asarray(np.asarray(x) + step * t) for x, t in zip(xs, ts)]


def _differentiate(program: Program, loss: Any, gradient: Any) -> str:
    """Compare with finite differences; at another point only where this one is at a kink.

    Answers what is wrong, or "".
    """
    rng = np.random.default_rng((program.seed, 9))
    ts = [rng.normal(size=s) for s in program.shapes]

    def along(xs: list[Any]) -> float:
        return sum(float(np.sum(np.asarray(g) * t)) for g, t in zip(gradient(*xs), ts))

    for (xs,) in (_points(program, 1, salt) for salt in (1, 2, 3)):
        got = along(xs)
        # the shorter step is for kinks nearby
        for step in (_STEP, _STEP / 16):
            want, doubt = _slope(loss, xs, ts, step)
            if abs(got - want) <= 1e-6 * max(1.0, abs(want)) + 2 * doubt:
                return ""
        # what is smooth has slopes on both sides that approach each other with the distance
        far, near = (
            abs(along(_moved(xs, ts, h)) - along(_moved(xs, ts, -h)))
            for h in (_STEP, _STEP / 16)
        )
        if near <= max(far / 4, 1e-6 * max(1.0, abs(got))):
            return (
                f"{got} along the direction of {[t.tolist() for t in ts]}, not {want}"
            )
    return "nowhere smooth: three points at kinks"


def check(program: Program, thorough: bool = True) -> None:
    """Run it in every way; raises `Disagreement` with the source.

    Compiling takes most of the time: if not `thorough`, a program is compiled either as it is
    or mapped, by its seed.
    """
    try:
        with ferax.enable_x64(False):
            _check_types(program)
        with ferax.enable_x64(True):
            _check(program, thorough)
    except Disagreement:
        raise
    except Exception as failure:
        raise Disagreement(
            f"{type(failure).__name__}: {failure}; {program}"
        ) from failure


def _check_types(program: Program) -> None:
    """In single precision: traced, the program has the dtypes that it has eagerly."""
    f = program.function()
    (xs,) = _points(program, 1)
    eager = [(a.shape, a.dtype, a.weak_type) for a in f(*xs)]
    traced = [(a.shape, a.dtype, a.weak_type) for a in ferax.eval_shape(f, *xs)]
    if eager != traced:
        raise Disagreement(f"traced types: {traced}, not {eager}; {program}")


def _check(program: Program, thorough: bool) -> None:
    f = program.function()
    points = _points(program, 2)
    # the first argument is mapped, the others too, or not, in turn
    mapped = [i == 0 or program.seed % 2 == 0 for i in range(len(program.shapes))]
    rows = [[x if m else y for x, y, m in zip(p, points[0], mapped)] for p in points]
    columns = list(zip(*rows))
    stacked = [jnp.stack(c) if m else c[0] for c, m in zip(columns, mapped)]
    axes = tuple(0 if m else None for m in mapped)

    def loss(*args: Any) -> Any:
        return f(*args)[0]

    def with_results(*args: Any) -> Any:
        results = f(*args)
        return results[0], results

    numbers = tuple(range(len(mapped)))
    gradient = ferax.grad(loss, numbers)
    along = ferax.value_and_grad(with_results, numbers, has_aux=True)

    def both(*args: Any) -> Any:
        (_, results), cts = along(*args)
        return results, cts

    each = [both(*row) for row in rows]
    loop = ferax.tree.map(lambda *rs: np.stack([np.asarray(r) for r in rs]), *each)
    over = ferax.vmap(both, axes)
    ways = [
        ("vmap", over, stacked, loop),
        ("jit", ferax.jit(both), rows[0], each[0]),
        ("jit(vmap)", ferax.jit(over), stacked, loop),
    ]
    if not thorough:
        del ways[1 + program.seed % 2]
    _equal(program, "under grad", each[0][0], f(*rows[0]))
    for way, fun, args, want in ways:
        got = fun(*args)
        _equal(program, way, got[0], want[0])
        _equal(program, f"grad under {way}", got[1], want[1])
    if program.has_forward_mode:
        ts = points[1]
        _, pushed = ferax.jvp(loss, tuple(points[0]), tuple(ts))
        pulled = sum(jnp.sum(g * t) for g, t in zip(each[0][1], ts))
        _equal(program, "jvp against grad", pushed, pulled)
    wrong = _differentiate(program, loss, gradient)
    if wrong:
        raise Disagreement(f"grad is {wrong}; {program}")


@pytest.mark.parametrize("seeds", _chunks(IN_CI, PER_CHUNK), ids=str)
def test_random_programs_agree(seeds):
    """Eager, compiled, mapped and differentiated results of 200 programs are the same."""
    for seed in seeds:
        check(generate(seed), thorough=False)


@pytest.fixture
def hasty(monkeypatch):
    """XLA compiles in a sixth of the time: its older emitters, and LLVM does not optimise.

    What ferax lowers to and XLA's own passes are the same; the 200 above are compiled as always.
    """
    usual = runtime.compile_options
    hasty = {
        "xla_cpu_use_fusion_emitters": False,
        "xla_backend_optimization_level": 0,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    monkeypatch.setattr(
        runtime, "compile_options", lambda ds, given: usual(ds, {**hasty, **given})
    )
    xla._options.cache_clear()
    yield
    xla._options.cache_clear()
    ferax.clear_caches()  # thousands of programs that nobody asks for again


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("seeds", _chunks(IN_FULL, 100), ids=str)
def test_many_random_programs_agree(seeds):
    """The same of 10,000 more programs."""
    for seed in seeds:
        check(generate(seed))


ONCE_WRONG = {
    "reverse mode through the derivative of a while_loop": """
def program(x0):
    def f(p):
        return lax.while_loop(
            lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(p) * s[1]), (0, x0)
        )[1]
    push = ferax.linearize(f, x0)[1]
    return push(x0) + jnp.sum(ferax.vmap(push)(jnp.stack([x0, 0.5 * x0]))),
""",
    "second derivatives of logarithms of sums of equal numbers": """
def program(x0):
    g = lambda x, y: jnp.logaddexp(x, y) + jnp.logaddexp2(y, x) * jnp.logaddexp(x, 0 * x)
    return ferax.grad(lambda x: g(x, 1.0 * x) * g(jnp.sin(x), x))(x0),
""",
    "all elements set to a number make no weak array": """
def program(x0):
    v = jnp.stack([x0, x0])
    return jnp.sum(v), v.at[::-1].set(0.7), v.at[:].set(0.7), v.at[None].set(0.7)
""",
}


@pytest.mark.parametrize("name", ONCE_WRONG)
def test_programs_that_were_once_wrong(name):
    """What random programs or their readers found."""
    check(Program(0, ONCE_WRONG[name], [()]), thorough=False)


def test_extrema_of_what_is_computed_twice():
    """XLA computes x again for each loop that reads it, at times with another last bit.

    Nothing may rest on an element being equal to the maximum.
    """
    ramp = lambda x: x + 0.01 * jnp.sqrt(jnp.arange(20) + 0.3).reshape(4, 5)
    wave = lambda x: x + 0.01 * jnp.cos(jnp.arange(1.0, 6.5)).reshape(2, 1, 3)
    rng = np.random.default_rng(0)
    for f, axis, shape in ((ramp, 1, (4, 5)), (wave, 0, (2, 1, 3))):
        xs = jnp.asarray(rng.normal(size=(200, *shape)))

        def both(x, f=f, axis=axis):
            top = lambda x: jnp.sum(jnp.max(f(x), axis) - jnp.min(f(x), axis))
            return jnp.argmax(f(x), axis), jnp.argmin(f(x), axis), ferax.grad(top)(x)

        want = ferax.vmap(both)(xs)
        for g, w in zip(ferax.jit(ferax.vmap(both))(xs), want):
            np.testing.assert_array_equal(g, w)


def test_a_seed_gives_one_program():
    """A seed that is printed on failure is enough to see the failure again."""
    for seed in (0, 7, 123):
        assert str(generate(seed)) == str(generate(seed))
        compile(generate(seed).source, "program", "exec")
