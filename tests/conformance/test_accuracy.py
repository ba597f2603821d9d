"""Errors of the elementwise functions in ulps, against mpmath, eager and compiled.

An ulp is the spacing of floating numbers at the exact result. The points of a function are spread
over all magnitudes of its domain, and denser where it has zeros, poles and changes of method. A
`Spot` is a part of the domain where more than eight ulps may be off, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax, nn

MEDIAN, WORST = 1.0, 8.0
POINTS, SWEEP = 60, 4000


@dataclass(frozen=True)
class Spot:
    """Where `within(*operands)` holds, larger errors are documented.

    size: near zeros of the function an ulp is that of its terms, which are of this size.
    ulps: how many are off.
    """

    within: Callable[..., Any]
    why: str
    size: float = 0.0
    ulps: float = WORST
    dtypes: tuple[str, ...] = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """A function, its exact counterpart, and intervals to take operands from.

    An interval is (low, high): uniform between them if one is 0 or their signs differ, else
    uniform in magnitude. `far` are further ones of the first operand, in double precision only.
    """

    fun: Callable[..., Any]
    exact: Callable[..., Any]
    domain: tuple[Any, ...]
    spots: tuple[Spot, ...] = ()
    median: float = MEDIAN
    sweep: int = SWEEP
    far: tuple[tuple[float, float], ...] = ()


def _signed(low: float, high: float) -> list[tuple[float, float]]:
    return [(low, high), (-high, -low)]


_ALL = _signed(1e-30, 1e30)
_SMALL = _signed(1e-8, 1.0)
_FAR = tuple(_signed(1e-300, 1e300))
_UNIT = [*_signed(1e-8, 0.5), (0.5, 1), (-1, -0.5), (0.99, 1), (-1, -0.99)]
_TURNS = [*_signed(1e-6, 1.0), (-10, 10), (-1e3, 1e3), *_signed(1e3, 1e8)]


def _times(n: Any) -> Any:
    return lambda *xs: n * xs[0]


def _bessel_e(order: int) -> Callable[[Any], Any]:
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))


def _sinc(x: Any) -> Any:
    return mpmath.sincpi(x)


def _log_add(base: Any) -> Callable[[Any, Any], Any]:
    return lambda x, y: mpmath.log(base**x + base**y) / mpmath.log(base)


def _erf_inv(x: Any) -> Any:
    return mpmath.erfinv(x)


def _lgamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x))) if x < 1e4 else mpmath.loggamma(x)


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x))


def _gelu_by_tanh(x: Any) -> Any:
    inner = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    return x / 2 * (1 + mpmath.tanh(inner))


def _igamma_grad_a(a: Any, x: Any) -> Any:
    return mpmath.diff(lambda a: mpmath.gammainc(a, 0, x, regularized=True), a)


def _random_gamma_grad(a: Any, x: Any) -> Any:
    density = mpmath.exp((a - 1) * mpmath.log(x) - x) / mpmath.gamma(a)
    return -_igamma_grad_a(a, x) / density


def _one(*intervals: Any) -> tuple[Any, ...]:
    return (list(intervals),)


_PREFACTOR = Spot(
    lambda *xs: True,
    "a prefactor such as xᵃ e⁻ˣ / Γ(a), whose large logarithm is exact to one ulp only; float32 "
    "is computed in float64",
    ulps=100.0,
    dtypes=("float64",),
)
_REFLECTED = Spot(
    lambda x: x < 0,
    "zeros between the poles, where two terms of the reflection formula cancel",
    size=4.0,
)
_CANCELLED = Spot(
    lambda x, y: np.minimum(x, y) < 0,
    "the larger operand and the logarithm of 1 + … cancel",
    size=1.0,
)

_FRACTIONS = [(0.05, 0.95)]
_PARAMETERS = [(0.1, 10.0)]

CASES: dict[str, Case] = {
    "exp": Case(jnp.exp, mpmath.exp, _one(*_SMALL, (-80, 80)), far=((-700, 700),)),
    "exp2": Case(
        jnp.exp2,
        lambda x: mpmath.mpf(2) ** x,
        _one(*_SMALL, (-120, 120)),
        far=((-1020, 1020),),
    ),
    "expm1": Case(
        jnp.expm1,
        mpmath.expm1,
        _one(*_signed(1e-20, 1), (-80, 80)),
        far=((-700, 700), (1e-300, 1e-20)),
    ),
    "log": Case(
        jnp.log,
        mpmath.log,
        _one((1e-30, 1e30), (0.5, 2), (0.999, 1.001)),
        far=((1e-300, 1e300),),
    ),
    "log1p": Case(
        jnp.log1p,
        mpmath.log1p,
        _one(*_signed(1e-20, 0.9), (0.1, 1e30)),
        far=((1e-300, 1e-20), (1, 1e300)),
    ),
    "log2": Case(
        jnp.log2,
        lambda x: mpmath.log(x, 2),
        _one((1e-30, 1e30), (0.5, 2)),
        far=((1e-300, 1e300),),
    ),
    "log10": Case(
        jnp.log10, mpmath.log10, _one((1e-30, 1e30), (0.5, 2)), far=((1e-300, 1e300),)
    ),
    "sqrt": Case(jnp.sqrt, mpmath.sqrt, _one((1e-30, 1e30)), far=((1e-300, 1e300),)),
    "rsqrt": Case(
        lax.rsqrt,
        lambda x: 1 / mpmath.sqrt(x),
        _one((1e-30, 1e30)),
        far=((1e-300, 1e300),),
    ),
    "cbrt": Case(
        jnp.cbrt, lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), _one(*_ALL), far=_FAR
    ),
    "square": Case(jnp.square, lambda x: x * x, _one(*_signed(1e-15, 1e15))),
    "reciprocal": Case(jnp.reciprocal, lambda x: 1 / x, _one(*_ALL)),
    "cube": Case(lambda x: x**3, lambda x: x**3, _one(*_signed(1e-10, 1e10))),
    "x**-2": Case(lambda x: x**-2, lambda x: x**-2, _one(*_signed(1e-10, 1e10))),
    "x**25": Case(lambda x: x**25, lambda x: x**25, _one(*_signed(0.1, 10))),
    "sin": Case(jnp.sin, mpmath.sin, _one(*_TURNS), far=tuple(_signed(1e8, 1e300))),
    "cos": Case(jnp.cos, mpmath.cos, _one(*_TURNS), far=tuple(_signed(1e8, 1e300))),
    "tan": Case(jnp.tan, mpmath.tan, _one(*_TURNS), far=tuple(_signed(1e8, 1e300))),
    "arcsin": Case(
        jnp.arcsin, mpmath.asin, _one(*_UNIT), far=tuple(_signed(1e-300, 1e-3))
    ),
    "arccos": Case(jnp.arccos, mpmath.acos, _one(*_UNIT)),
    "arctan": Case(jnp.arctan, mpmath.atan, _one(*_ALL, *_SMALL), far=_FAR),
    "sinh": Case(
        jnp.sinh, mpmath.sinh, _one(*_signed(1e-20, 1), (-80, 80)), far=((-700, 700),)
    ),
    "cosh": Case(jnp.cosh, mpmath.cosh, _one(*_SMALL, (-80, 80)), far=((-700, 700),)),
    "tanh": Case(
        jnp.tanh,
        mpmath.tanh,
        _one(*_signed(1e-20, 1), (-20, 20)),
        far=tuple(_signed(1e-300, 1e-3)),
    ),
    "arcsinh": Case(jnp.arcsinh, mpmath.asinh, _one(*_ALL, *_SMALL), far=_FAR),
    "arccosh": Case(
        jnp.arccosh,
        mpmath.acosh,
        _one((1, 2), (1, 1.001), (1, 1e30)),
        far=((1, 1e300),),
    ),
    "arctanh": Case(
        jnp.arctanh,
        mpmath.atanh,
        _one(*_signed(1e-20, 0.5), *_UNIT),
        far=tuple(_signed(1e-300, 1e-3)),
    ),
    "logistic": Case(
        lax.logistic,
        lambda x: 1 / (1 + mpmath.exp(-x)),
        _one(*_SMALL, (-80, 80)),
        far=((-700, 700),),
    ),
    "sinc": Case(
        jnp.sinc, _sinc, _one(*_SMALL, (-3, 3)), far=tuple(_signed(1e-300, 1e-3))
    ),
    "deg2rad": Case(jnp.deg2rad, lambda x: x * mpmath.pi / 180, _one(*_ALL)),
    "rad2deg": Case(jnp.rad2deg, lambda x: x * 180 / mpmath.pi, _one(*_ALL)),
    "erf": Case(
        lax.erf,
        mpmath.erf,
        _one(*_signed(1e-20, 1), (-6, 6)),
        far=tuple(_signed(1e-300, 1e-3)),
    ),
    "erfc": Case(lax.erfc, mpmath.erfc, _one(*_SMALL, (-4, 9)), far=((9, 26),)),
    "erf_inv": Case(lax.erf_inv, _erf_inv, _one(*_UNIT), sweep=300),
    "lgamma": Case(
        lax.lgamma,
        _lgamma,
        _one((1e-6, 3), (3, 1e6), (-5, 0)),
        spots=(_REFLECTED,),
        sweep=1000,
    ),
    "digamma": Case(
        lax.digamma,
        mpmath.digamma,
        _one((1e-6, 3), (3, 1e6), (-5, 0)),
        spots=(_REFLECTED,),
        sweep=1000,
    ),
    "bessel_i0e": Case(
        lax.bessel_i0e, _bessel_e(0), _one(*_SMALL, (-20, 20), (20, 1e3)), sweep=500
    ),
    "bessel_i1e": Case(
        lax.bessel_i1e, _bessel_e(1), _one(*_SMALL, (-20, 20), (20, 1e3)), sweep=500
    ),
    "i0": Case(
        jnp.i0, lambda x: mpmath.besseli(0, x), _one(*_SMALL, (-20, 20)), sweep=500
    ),
    "abs": Case(jnp.abs, abs, _one(*_ALL)),
    "divide": Case(
        jnp.divide,
        lambda x, y: x / y,
        (_signed(1e-10, 1e10), _signed(1e-10, 1e10)),
        far=tuple(_signed(1e-150, 1e150)),
    ),
    "fmod": Case(
        jnp.fmod,
        lambda x, y: x - y * _trunc(x / y),
        ([(-9, 9)], [(-3, 3)]),
    ),
    "power": Case(jnp.power, mpmath.power, ([(0.01, 100)], [(-8, 8)])),
    "arctan2": Case(
        jnp.arctan2, mpmath.atan2, (_signed(1e-5, 1e5), _signed(1e-5, 1e5))
    ),
    "hypot": Case(jnp.hypot, mpmath.hypot, (_signed(1e-25, 1e25),) * 2, far=_FAR),
    "logaddexp": Case(
        jnp.logaddexp, _log_add(mpmath.e), ([(-50, 50)],) * 2, (_CANCELLED,)
    ),
    "logaddexp2": Case(jnp.logaddexp2, _log_add(2), ([(-50, 50)],) * 2, (_CANCELLED,)),
    "power of what is near 1": Case(
        jnp.power, mpmath.power, ([(0.99, 1.01)], [(-1000, 1000)])
    ),
    "float_power": Case(
        lambda x, y: jnp.float_power(x, y).astype(x.dtype),
        mpmath.power,
        ([(0.01, 100)], [(-8, 8)]),
    ),
    "remainder": Case(
        jnp.remainder,
        lambda x, y: x - y * mpmath.floor(x / y),
        ([(-9, 9)], [(-3, 3)]),
    ),
    "angle": Case(
        lambda x, y: jnp.angle(lax.complex(x, y)),
        lambda x, y: mpmath.atan2(y, x),
        (_signed(1e-5, 1e5), _signed(1e-5, 1e5)),
    ),
    "abs of complex": Case(
        lambda x, y: jnp.abs(lax.complex(x, y)),
        mpmath.hypot,
        (_signed(1e-15, 1e15), _signed(1e-15, 1e15)),
    ),
    "zeta": Case(lax.zeta, mpmath.zeta, ([(1.1, 20)], [(0.1, 20)]), sweep=100),
    "polygamma": Case(
        lambda x: lax.polygamma(jnp.full_like(x, 2), x),
        lambda x: mpmath.polygamma(2, x),
        _one((0.1, 20)),
        sweep=300,
    ),
    "trigamma": Case(
        lambda x: lax.polygamma(jnp.ones_like(x), x),
        lambda x: mpmath.polygamma(1, x),
        _one((1e-5, 0.1), (0.1, 20), (20, 1e4)),
        sweep=300,
    ),
    "igamma_grad_a": Case(
        lax.igamma_grad_a,
        _igamma_grad_a,
        (_PARAMETERS, _PARAMETERS),
        spots=(_PREFACTOR,),
        median=4.0,
        sweep=60,
    ),
    "random_gamma_grad": Case(
        lax.random_gamma_grad,
        _random_gamma_grad,
        (_PARAMETERS, _PARAMETERS),
        spots=(_PREFACTOR,),
        median=4.0,
        sweep=60,
    ),
    "igamma": Case(
        lax.igamma,
        lambda a, x: mpmath.gammainc(a, 0, x, regularized=True),
        (_PARAMETERS, _PARAMETERS),
        spots=(_PREFACTOR,),
        median=2.0,
        sweep=500,
    ),
    "igammac": Case(
        lax.igammac,
        lambda a, x: mpmath.gammainc(a, x, regularized=True),
        (_PARAMETERS, _PARAMETERS),
        spots=(_PREFACTOR,),
        median=2.0,
        sweep=500,
    ),
    "betainc": Case(
        lax.betainc,
        lambda a, b, x: mpmath.betainc(a, b, 0, x, regularized=True),
        (_PARAMETERS, _PARAMETERS, _FRACTIONS),
        spots=(_PREFACTOR,),
        median=3.0,
        sweep=500,
    ),
    "softplus": Case(nn.softplus, _softplus, _one(*_SMALL, (-80, 80))),
    "log_sigmoid": Case(
        nn.log_sigmoid, lambda x: -_softplus(-x), _one(*_SMALL, (-80, 80))
    ),
    "silu": Case(nn.silu, lambda x: x / (1 + mpmath.exp(-x)), _one(*_SMALL, (-80, 80))),
    "mish": Case(
        nn.mish, lambda x: x * mpmath.tanh(_softplus(x)), _one(*_SMALL, (-20, 80))
    ),
    "elu": Case(
        nn.elu, lambda x: x if x > 0 else mpmath.expm1(x), _one(*_SMALL, (-80, 80))
    ),
    "celu": Case(
        nn.celu, lambda x: x if x > 0 else mpmath.expm1(x), _one(*_SMALL, (-80, 80))
    ),
    "soft_sign": Case(nn.soft_sign, lambda x: x / (1 + abs(x)), _one(*_ALL)),
    "log1mexp": Case(
        nn.log1mexp, lambda x: mpmath.log(-mpmath.expm1(-x)), _one((1e-5, 1), (1, 50))
    ),
    "gelu": Case(
        lambda x: nn.gelu(x, approximate=False),
        lambda x: x * mpmath.ncdf(x),
        _one(*_SMALL, (-8, 8)),
        spots=(
            Spot(
                lambda x: x < -2,
                "x / √2 is rounded, which in the tail is x² ulps",
                ulps=80,
            ),
        ),
    ),
    "gelu by tanh": Case(
        nn.gelu,
        _gelu_by_tanh,
        _one(*_SMALL, (-5, 8)),
        spots=(Spot(lambda x: x < 0, "1 and tanh cancel in the tail", size=4.0),),
    ),
    "squareplus": Case(
        nn.squareplus,
        lambda x: (x + mpmath.sqrt(x * x + 4)) / 2,
        _one(*_SMALL, (-80, 80)),
        spots=(Spot(lambda x: x < 0, "x and the root cancel", size=80.0),),
    ),
}


def _trunc(x: Any) -> Any:
    return mpmath.floor(x) if x > 0 else mpmath.ceil(x)


def operands(case: Case, dtype: str, number: int, seed: int = 0) -> list[np.ndarray]:
    """That many points, shared out evenly among the intervals of each operand."""
    rng = np.random.default_rng(seed)
    each = []
    for place, intervals in enumerate(case.domain):
        intervals = [
            *intervals,
            *(case.far if dtype == "float64" and not place else ()),
        ]
        parts = []
        for low, high in intervals:
            u = rng.uniform(size=-(-number // len(intervals)))
            sign = math.copysign(1.0, low)
            if low * sign > 0 and high * sign > 0 and not 0.1 < high / low < 10:
                low, high = math.log(abs(low)), math.log(abs(high))
                parts.append(sign * np.exp(low + (high - low) * u))
            else:
                parts.append(low + (high - low) * u)
        each.append(rng.permutation(np.concatenate(parts))[:number].astype(dtype))
    return each


def errors(got: np.ndarray, exact: list[Any], sizes: np.ndarray) -> np.ndarray:
    """Distances from the exact results, in ulps of these, or of `sizes` where that is more."""
    info = np.finfo(got.dtype)
    out = []
    for g, e, size in zip(got.tolist(), exact, sizes.tolist()):
        if abs(e) > info.max:
            out.append(0.0 if g == math.copysign(math.inf, e) else math.inf)
            continue
        largest = max(abs(e), size)
        power = mpmath.frexp(largest)[1] if largest else info.minexp
        # XLA flushes what is below the normal range to 0
        ulp = mpmath.ldexp(1, max(power, info.minexp + 1) - info.nmant - 1)
        flushed = g == 0 and abs(e) < info.tiny
        out.append(0.0 if flushed else float(abs(mpmath.mpf(g) - e) / ulp))
    return np.array(out)


def measured(case: Case, dtype: str, number: int) -> tuple[Any, dict[str, np.ndarray]]:
    """The points, and the errors eager and compiled."""
    with ferax.enable_x64(dtype == "float64"):
        points = operands(case, dtype, number)
        xs = [jnp.asarray(p) for p in points]
        results = {"eager": case.fun(*xs), "compiled": ferax.jit(case.fun)(*xs)}
        results = {way: np.asarray(r) for way, r in results.items()}
    for way, r in results.items():
        assert r.dtype == dtype, (way, r.dtype)
    with mpmath.workdps(45):
        exact = [
            case.exact(*[mpmath.mpf(float(v)) for v in row]) for row in zip(*points)
        ]
        sizes = np.zeros(len(exact))
        for spot in case.spots:
            if dtype in spot.dtypes:
                sizes = np.where(spot.within(*points), spot.size, sizes)
        return points, {way: errors(r, exact, sizes) for way, r in results.items()}


def check(name: str, dtype: str, number: int) -> None:
    """Median below one ulp, all below eight, or below what a spot documents."""
    case = CASES[name]
    points, found = measured(case, dtype, number)
    allowed = np.full(number, WORST)
    for spot in case.spots:
        if dtype in spot.dtypes:
            allowed = np.where(spot.within(*points), spot.ulps, allowed)
    for way, ulps in found.items():
        worst = int(np.argmax(ulps / allowed))
        place = tuple(float(p[worst]) for p in points)
        median = float(np.median(ulps))
        assert median < case.median, f"{name} {dtype} {way}: median error {median} ulp"
        assert ulps[worst] < allowed[worst], (
            f"{name} {dtype} {way}: {ulps[worst]:.1f} ulp at {place}, "
            f"allowed are {allowed[worst]}"
        )


named = pytest.mark.parametrize("name", CASES)
typed = pytest.mark.parametrize("dtype", ["float32", "float64"])


@typed
@named
def test_errors_of_a_sample(name, dtype):
    """At 60 points, eager and compiled: median below one ulp, worst below eight."""
    check(name, dtype, POINTS)


@pytest.mark.slow
@typed
@named
def test_errors_of_a_sweep(name, dtype):
    """The same at thousands of points."""
    check(name, dtype, CASES[name].sweep)
