"""Special functions, elementwise: errors, gammas, betas, zetas, Bessel functions.

Eager results are SciPy's, which computes float32 in float64, or those of `kernels.py` where SciPy's
float64 is less exact; float16 and bfloat16 are computed in float32. Compiled ones are written out
in `kernels.py`, or are XLA's where those are exact enough.

Accuracy: a few ulps, but for these spots. Near zeros of lgamma and digamma at negative arguments
digits are lost to cancellation. In float64, the incomplete functions lose
digits where their prefactor is an exponential of a large number: about |log result| ulps.

Derivatives by parameters that have no formula are those of the kernels (`slopes.py`). The order of
polygamma has none: it is a whole number.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ferax.core import basis
from ferax.core.array import Array
from ferax.core.avals import Zero
from ferax.core.basis import ADD, FLOATING, MUL, NEG, SUB, Elementwise, Unary
from ferax.core.primitive import cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax import kernels
from ferax.lax.arithmetic import ABS, DIV, EQ, SIGN, SQUARE
from ferax.lax.operands import ArrayLike, operands, pair, scalar
from ferax.lax.slopes import sloped
from ferax.lax.transcendental import EXP, LOG, Log1p

__all__ = [
    "bessel_i0e", "bessel_i1e", "betainc", "digamma", "erf", "erf_inv", "erfc", "igamma",
    "igamma_grad_a", "igammac", "lgamma", "polygamma", "random_gamma_grad", "zeta",
    # operations
    "BesselI0e", "BesselI1e", "Digamma", "Erf", "ErfInv", "Erfc", "Igamma", "IgammaGradA",
    "Igammac", "Lgamma", "Polygamma", "RandomGammaGrad", "RegularizedIncompleteBeta",
    "Zeta",
]  # fmt: skip

_FLOAT64 = np.dtype(np.float64)
_FEW = 256  # elements


@cache
def _scipy(name: str) -> Any:
    """A function of SciPy, which is imported when it is first asked for."""
    from scipy import special

    return getattr(special, name)


def _on_host(name: str, *arrays: Any) -> list[Any]:
    """SciPy's function; of 16-bit floats in float32."""
    dtype = arrays[0].dtype
    if dtype.itemsize >= 4:
        return [_scipy(name)(*arrays)]
    return [
        np.asarray(_scipy(name)(*(np.asarray(x, np.float32) for x in arrays)), dtype)
    ]


def _by_math(function: Any, x: Any) -> list[Any]:
    """Python's own function of each of a few elements: SciPy takes 0.2 s to be loaded."""
    each = np.frompyfunc(function, 1, 1)(x.astype(_FLOAT64))
    return [np.asarray(each, _FLOAT64).astype(x.dtype)]


def _on_host_but_doubles(name: str, kernel: kernels.Kernel, x: Any) -> list[Any]:
    """As `_on_host`, but where SciPy's float64 is some 50 ulps off, the kernel."""
    return kernels.on_host(kernel, x) if x.dtype == _FLOAT64 else _on_host(name, x)


class _Special(Elementwise, family=True):
    """A function of several floating operands; the class states `partials`, one for each.

    A partial is an array, or the reason why there is none.
    """

    accepts = FLOATING

    def partials(self, *operands: Any) -> tuple[Any, ...]:
        """Functions () -> ∂result/∂operand, or strings."""
        raise NotImplementedError(f"{self.name}.partials")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        z = self(*primals)
        total: Any = Zero(z.aval.tangent())
        if all(type(t) is Zero for t in tangents):
            return [z], [total]
        for t, partial in zip(tangents, self.partials(*primals)):
            if type(t) is Zero:
                continue
            if isinstance(partial, str):
                raise NotImplementedError(
                    f"{self.name} has no derivative by its {partial}"
                )
            total = basis.add_tangents(
                total, basis.broadcast_to(MUL(t, partial()), z.shape)
            )
        return [z], [total]

    transpose = cannot("not linear")


class Slope(_Special):
    """z = the derivative of a kernel by the operands at the places `by`, in turn."""

    kernel: kernels.Kernel
    by: tuple[int, ...]
    name = "slope"

    def numpy(self, *values: Any) -> list[Any]:
        kernel = sloped(self.kernel, self.by)
        return kernels.on_host(kernel, *np.broadcast_arrays(*values), iterates=True)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        kernel = sloped(self.kernel, self.by)
        return kernels.written(hlo, kernel, *values, iterates=True)

    def partials(self, *values: Any) -> tuple[Any, ...]:
        return tuple(
            _by(self.kernel, *sorted((*self.by, i)))(*values)
            for i in range(len(values))
        )


def _by(kernel: kernels.Kernel, *places: int) -> Any:
    """How `partials` says that a derivative is that of the kernel."""
    return lambda *values: lambda: Slope(kernel, places)(*values)


def _log_or_zero(x: Any) -> Any:
    """log x, and 0 for x = 0."""
    return LOG(basis.select(EQ(x, scalar(0, x)), 1, x))


def _times_log(a: Any, x: Any) -> Any:
    """a log x, and 0 for a = 0."""
    constant = EQ(a, scalar(0, a))
    return MUL(a, LOG(basis.select(constant, scalar(1, x), x)))


# -- error functions -------------------------------------------------------------------------


class Erf(Unary):
    """y = 2/√π ∫₀ˣ exp(-t²) dt"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        return _by_math(math.erf, x) if x.size <= _FEW else _on_host("erf", x)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, lambda m, x: m.erf(x), x)

    def derivative(self, x: Any, y: Any) -> Any:
        return _gauss(x)


def _gauss(x: Any) -> Any:
    """2/√π exp(-x²)"""
    return basis.mul(EXP(NEG(SQUARE(x))), 2.0 / math.sqrt(math.pi))


class Erfc(Unary):
    """y = 1 - erf x"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        if x.size <= _FEW:
            return _by_math(math.erfc, x)
        return _on_host_but_doubles("erfc", kernels.erfc, x)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.erfc, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return NEG(_gauss(x))


class ErfInv(Unary):
    """y with erf y = x"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        if x.dtype == _FLOAT64:
            return _on_host("erfinv", x)
        return kernels.on_host(kernels.erf_inv, x)  # normal numbers without SciPy

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.erf_inv, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return basis.mul(EXP(SQUARE(y)), 0.5 * math.sqrt(math.pi))


@public
def erf(x: ArrayLike) -> Array:
    """The error function 2/√π ∫₀ˣ exp(-t²) dt, floating.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.erf(jnp.array([0.0, 0.5, jnp.inf])).round(4)
    Array([0.    , 0.5205, 1.    ], dtype=float32)
    """
    return Erf()(to_array(x, "erf", "x"))


@public
def erfc(x: ArrayLike) -> Array:
    """1 - erf x, floating, without cancellation for large x.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> 1 - lax.erf(5.0), (lax.erfc(5.0) * 1e12).round(2)
    (Array(0., dtype=float32, weak_type=True), Array(1.54, dtype=float32, weak_type=True))
    """
    return Erfc()(to_array(x, "erfc", "x"))


@public
def erf_inv(x: ArrayLike) -> Array:
    """The inverse of erf, floating: ±inf at ±1, nan outside of [-1, 1]."""
    return ErfInv()(to_array(x, "erf_inv", "x"))


# -- the gamma function and its logarithmic derivatives --------------------------------------


class Lgamma(Unary):
    """y = log |Γ(x)|"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        (y,) = _on_host_but_doubles("gammaln", kernels.lgamma, x)
        return [np.where(np.isinf(x), np.abs(x), y)]  # SciPy has -inf at -inf

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.lgamma, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return DIGAMMA(x)


class Digamma(Unary):
    """y = Γ'(x) / Γ(x)"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        return _on_host_but_doubles("psi", kernels.digamma, x)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.digamma, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return POLYGAMMA(scalar(1, x), x)


class Polygamma(_Special):
    """z = the m-th derivative of digamma at x, for whole m."""

    def numpy(self, m: Any, x: Any) -> list[Any]:
        dtype = x.dtype
        m, x = np.asarray(m, _FLOAT64), np.asarray(x, _FLOAT64)
        # SciPy's own polygamma takes integer arrays and computes all of this twice
        sign = np.where(m % 2 == 0, -1.0, 1.0)
        z = sign * _scipy("gamma")(m + 1.0) * _scipy("zeta")(m + 1.0, x)
        z = np.where(m == 0, _scipy("psi")(x), z)
        return [np.where((m >= 0) & (m % 1 == 0), z, np.nan).astype(dtype)]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.polygamma, *values, iterates=True)

    def partials(self, m: Any, x: Any) -> tuple[Any, ...]:
        return "order", lambda: self(basis.add(m, 1), x)


LGAMMA, DIGAMMA, POLYGAMMA = Lgamma(), Digamma(), Polygamma()


@public
def lgamma(x: ArrayLike) -> Array:
    """log |Γ(x)|, floating; inf at 0, -1, -2, …

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.lgamma(jnp.array([0.5, 1.0, 5.0])).round(4)
    Array([0.5724, 0.    , 3.1781], dtype=float32)
    """
    return LGAMMA(to_array(x, "lgamma", "x"))


@public
def digamma(x: ArrayLike) -> Array:
    """ψ(x) = d log Γ(x) / dx, floating; nan at -1, -2, …, infinite at 0."""
    return DIGAMMA(to_array(x, "digamma", "x"))


@public
def polygamma(m: ArrayLike, x: ArrayLike) -> Array:
    """The m-th derivative of digamma, (-1)ᵐ⁺¹ m! ζ(m + 1, x), of one floating dtype.

    nan unless m is 0, 1, 2, … There is no derivative by m.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.polygamma(1.0, jnp.array([1.0, 2.0])).round(4)
    Array([1.6449, 0.6449], dtype=float32)
    """
    return POLYGAMMA(*pair("polygamma", m, x))


class Zeta(_Special):
    """z = Σ (q + k)⁻ˢ over k = 0, 1, 2, …, the zeta function of Hurwitz."""

    def numpy(self, s: Any, q: Any) -> list[Any]:
        return _on_host("zeta", s, q)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.zeta, *values, iterates=True)

    def partials(self, s: Any, q: Any) -> tuple[Any, ...]:
        return _by(kernels.zeta_sum, 0)(s, q), lambda: NEG(
            MUL(s, self(basis.add(s, 1), q))
        )


@public
def zeta(x: ArrayLike, q: ArrayLike) -> Array:
    """Hurwitz' zeta function Σ (q + k)⁻ˣ over k ≥ 0, for x > 1, of one floating dtype.

    inf for x = 1, nan for x < 1. The derivative by x is for q > 0.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.zeta(jnp.array([2.0, 4.0]), 1.0).round(4)
    Array([1.6449, 1.0823], dtype=float32)
    """
    return Zeta()(*pair("zeta", x, q))


# -- the incomplete gamma function -----------------------------------------------------------


def _gamma_density(a: Any, x: Any) -> Any:
    """∂P(a, x)/∂x = xᵃ⁻¹ e⁻ˣ / Γ(a)"""
    return EXP(SUB(SUB(_times_log(basis.sub(a, 1), x), x), LGAMMA(a)))


class Igamma(_Special):
    """z = P(a, x), the lower incomplete gamma function over Γ(a)."""

    def numpy(self, a: Any, x: Any) -> list[Any]:
        return _on_host("gammainc", a, x)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.igamma, *values, iterates=True)

    def partials(self, a: Any, x: Any) -> tuple[Any, ...]:
        return lambda: IGAMMA_GRAD_A(a, x), lambda: _gamma_density(a, x)


class Igammac(_Special):
    """z = 1 - P(a, x)"""

    def numpy(self, a: Any, x: Any) -> list[Any]:
        return _on_host("gammaincc", a, x)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.igammac, *values, iterates=True)

    def partials(self, a: Any, x: Any) -> tuple[Any, ...]:
        return lambda: NEG(IGAMMA_GRAD_A(a, x)), lambda: NEG(_gamma_density(a, x))


class IgammaGradA(_Special):
    """z = ∂P(a, x)/∂a"""

    def numpy(self, a: Any, x: Any) -> list[Any]:
        return kernels.on_host(kernels.igamma_grad_a, a, x, iterates=True)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.igamma_grad_a, *values, iterates=True)

    def partials(self, a: Any, x: Any) -> tuple[Any, ...]:
        def mixed() -> Any:
            density = _gamma_density(a, x)
            return MUL(density, SUB(_log_or_zero(x), DIGAMMA(a)))

        return _by(kernels.igamma_grad_a, 0)(a, x), mixed


class RandomGammaGrad(_Special):
    """z = dx/da of a sample x of the gamma distribution with shape a."""

    def numpy(self, a: Any, x: Any) -> list[Any]:
        return kernels.on_host(kernels.random_gamma_grad, a, x, iterates=True)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.random_gamma_grad, *values, iterates=True)

    def partials(self, a: Any, x: Any) -> tuple[Any, ...]:
        def by_sample() -> Any:  # z = -∂P/∂a / p, and ∂²P/∂x∂a = ∂p/∂a
            slope = SUB(DIV(basis.sub(a, 1), x), scalar(1, x))  # of log p
            return SUB(SUB(DIGAMMA(a), LOG(x)), MUL(self(a, x), slope))

        return _by(kernels.random_gamma_grad, 0)(a, x), by_sample


IGAMMA_GRAD_A = IgammaGradA()


@public
def igamma(a: ArrayLike, x: ArrayLike) -> Array:
    """P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a) for a > 0 and x ≥ 0, of one floating dtype.

    nan for a < 0, x < 0 and a = x = 0. Differentiable by both operands.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.igamma(jnp.array([1.0, 2.0]), 1.0).round(4)
    Array([0.6321, 0.2642], dtype=float32)
    """
    return Igamma()(*pair("igamma", a, x))


@public
def igammac(a: ArrayLike, x: ArrayLike) -> Array:
    """Q(a, x) = 1 - P(a, x), exact also where it is small; see `igamma`."""
    return Igammac()(*pair("igammac", a, x))


@public
def igamma_grad_a(a: ArrayLike, x: ArrayLike) -> Array:
    """∂P(a, x)/∂a, of one floating dtype; see `igamma`. Differentiable by x only."""
    return IGAMMA_GRAD_A(*pair("igamma_grad_a", a, x))


@public
def random_gamma_grad(a: ArrayLike, sample: ArrayLike) -> Array:
    """d(sample)/da of samples of the gamma distribution with shape a, of one floating dtype.

    It is -(∂P/∂a) / (∂P/∂x) at x = sample: moving a and keeping the probability below it.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.random_gamma_grad(jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0])).round(4)
    Array([1.1736, 1.3218], dtype=float32)
    """
    return RandomGammaGrad()(*pair("random_gamma_grad", a, sample))


# -- the incomplete beta function ------------------------------------------------------------


class RegularizedIncompleteBeta(_Special):
    """z = I_x(a, b)"""

    def numpy(self, a: Any, b: Any, x: Any) -> list[Any]:
        # SciPy's float32 is some 200 ulps off
        wide = (np.asarray(v, _FLOAT64) for v in (a, b, x))
        return [np.asarray(_scipy("betainc")(*wide), x.dtype)]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return kernels.written(hlo, kernels.betainc, *values, iterates=True)

    def partials(self, a: Any, b: Any, x: Any) -> tuple[Any, ...]:
        def density() -> Any:
            inner = basis.sub(b, 1)
            flat = EQ(inner, scalar(0, b))
            power = MUL(inner, Log1p()(basis.select(flat, scalar(0, x), NEG(x))))
            log_beta = SUB(ADD(LGAMMA(a), LGAMMA(b)), LGAMMA(ADD(a, b)))
            return EXP(SUB(ADD(_times_log(basis.sub(a, 1), x), power), log_beta))

        by_a, by_b = (_by(kernels.betainc, i)(a, b, x) for i in (0, 1))
        return by_a, by_b, density


@public
def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """I_x(a, b) = ∫₀ˣ tᵃ⁻¹ (1 - t)ᵇ⁻¹ dt / B(a, b) for x in [0, 1], of one floating dtype.

    nan for negative a or b and x outside of [0, 1].

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.betainc(1.0, 2.0, jnp.array([0.0, 0.5, 1.0])).round(4)
    Array([0.  , 0.75, 1.  ], dtype=float32)
    """
    return RegularizedIncompleteBeta()(*operands("betainc", a, b, x))


# -- Bessel functions ------------------------------------------------------------------------


class BesselI0e(Unary):
    """y = e^-|x| I₀(x)"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        return _on_host_but_doubles("i0e", kernels.bessel_i0e, x)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.bessel_i0e, x)

    def derivative(self, x: Any, y: Any) -> Any:
        return SUB(BESSEL_I1E(x), MUL(SIGN(x), y))


class BesselI1e(Unary):
    """y = e^-|x| I₁(x)"""

    accepts = FLOATING

    def numpy(self, x: Any) -> list[Any]:
        return _on_host_but_doubles("i1e", kernels.bessel_i1e, x)

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return kernels.written(hlo, kernels.bessel_i1e, x)

    def derivative(self, x: Any, y: Any) -> Any:
        # I₁(x)/x tends to 1/2 at 0; below eps it is 1/2 in all digits
        small = basis.select(EQ(ABS(x), scalar(0, x)), 1, x)
        ratio = basis.select(EQ(x, scalar(0, x)), 0.5, DIV(y, small))
        return SUB(SUB(BesselI0e()(x), MUL(SIGN(x), y)), ratio)


BESSEL_I1E = BesselI1e()


@public
def bessel_i0e(x: ArrayLike) -> Array:
    """e^-|x| I₀(x), the modified Bessel function of order 0, scaled; floating."""
    return BesselI0e()(to_array(x, "bessel_i0e", "x"))


@public
def bessel_i1e(x: ArrayLike) -> Array:
    """e^-|x| I₁(x), the modified Bessel function of order 1, scaled; floating."""
    return BESSEL_I1E(to_array(x, "bessel_i1e", "x"))
