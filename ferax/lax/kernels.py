"""Numerics of special functions: one text that runs on NumPy arrays and writes StableHLO.

A kernel is a function `kernel(m, x, …)` in ordinary arithmetic. `m` is its mathematics: `OnHost`
(NumPy) or `InProgram`, where `+`, `m.where`, `m.exp`… write operations of the program being
lowered. `written` is a `stablehlo` rule made of a kernel. Kernels exist where XLA's own expansion
is off by tens or thousands of ulps, where XLA has none, or (`igamma_grad_a`) where SciPy has none.

Sources. erfc: the scaling (1 + 2x) exp(x²) erfc x in (x - k)/(x + k) of M. M. Shepherd and
J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", 1981. erf_inv:
the variable w = -log(1 - x²) and its square root of M. Giles, "Approximating the erfinv
function", 2012. lgamma, digamma, zeta: recurrences, reflection and Stirling's series, NIST DLMF
5.5, 5.11. Incomplete gamma and beta functions: DLMF 8.7.1, 8.9.2, 8.17.22, the fractions by
Lentz's method as modified by Thompson and Barnett (1986); for large parameters their prefactors
are expanded around the maximum so that big logarithms do not cancel. The coefficients are our
own: interpolation in Chebyshev nodes at 60 digits (mpmath's `chebyfit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax.core.avals import Aval

__all__ = ["InProgram", "OnHost", "Term", "on_host", "written"]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_BOOL = np.dtype(np.bool_)

Kernel = Callable[..., Any]


# -- the two mathematics ---------------------------------------------------------------------


class OnHost:
    """A kernel's mathematics in NumPy: operands are arrays of `dtype` or smaller."""

    least = 0.0  # steps of a fraction
    exp = staticmethod(np.exp)
    expm1 = staticmethod(np.expm1)
    log = staticmethod(np.log)
    log1p = staticmethod(np.log1p)
    sqrt = staticmethod(np.sqrt)
    sin = staticmethod(np.sin)
    tan = staticmethod(np.tan)
    abs = staticmethod(np.abs)
    sign = staticmethod(np.sign)
    floor = staticmethod(np.floor)
    minimum = staticmethod(np.minimum)

    def __init__(self, dtype: np.dtype[Any]):
        self.number = dtype.type
        self.is_double = dtype == _FLOAT64
        self.epsilon = float(np.finfo(dtype).eps)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, self.number(y) if isinstance(y, float) else y)

    def erf(self, x: Any) -> Any:
        from scipy import special

        return special.erf(x)

    def zeta(self, s: Any, q: Any) -> Any:
        from scipy import special

        return special.zeta(s, q)

    def leading(self, x: Any) -> Any:
        """`x` cut to half of its digits: its square is exact."""
        word: Any = np.uint64 if self.is_double else np.uint32
        mask = word(_MASK64 if self.is_double else _MASK32)
        return (np.asarray(x).view(word) & mask).view(x.dtype)

    def loop(self, active: Kernel, step: Kernel, state: Sequence[Any]) -> Sequence[Any]:
        """`state = step(*state)` while any element of `active(*state)` holds."""
        while np.any(active(*state)):
            state = step(*state)
        return state


_MASK32 = 0xFFFFF000
_MASK64 = 0xFFFFFFFFF8000000


class Term:
    """A value of the program being written, with the operators of arithmetic."""

    __slots__ = ("m", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, m: InProgram, value: Any):
        self.m = m
        self.value = value

    def __add__(self, other: Any) -> Term:
        return self.m.binary("add", self, other)

    def __radd__(self, other: Any) -> Term:
        return self.m.binary("add", other, self)

    def __sub__(self, other: Any) -> Term:
        return self.m.binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Term:
        return self.m.binary("subtract", other, self)

    def __mul__(self, other: Any) -> Term:
        return self.m.binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Term:
        return self.m.binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Term:
        return self.m.binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.m.binary("divide", other, self)

    def __and__(self, other: Any) -> Term:
        return self.m.binary("and", self, other)

    def __or__(self, other: Any) -> Term:
        return self.m.binary("or", self, other)

    def __neg__(self) -> Term:
        return self.m.unary("negate", self)

    def __invert__(self) -> Term:
        return self.m.unary("not", self)

    def __lt__(self, other: Any) -> Term:
        return self.m.compare(self, other, "LT")

    def __le__(self, other: Any) -> Term:
        return self.m.compare(self, other, "LE")

    def __gt__(self, other: Any) -> Term:
        return self.m.compare(self, other, "GT")

    def __ge__(self, other: Any) -> Term:
        return self.m.compare(self, other, "GE")

    def __eq__(self, other: Any) -> Term:  # type: ignore[override]
        return self.m.compare(self, other, "EQ")

    def __ne__(self, other: Any) -> Term:  # type: ignore[override]
        return self.m.compare(self, other, "NE")


class InProgram:
    """A kernel's mathematics in StableHLO: operands are Terms of one shape and dtype."""

    least = 0.0

    def __init__(self, hlo: Any, aval: Aval):
        self.hlo = hlo
        self.aval = aval
        self.is_double = aval.dtype == _FLOAT64
        self.epsilon = float(np.finfo(aval.dtype).eps)

    def value(self, x: Any) -> Any:
        if isinstance(x, Term):
            return x.value
        return self.hlo.full(self.aval.shape, x, self.aval.dtype)

    def unary(self, op: str, x: Any) -> Term:
        return Term(self, self.hlo.unary(op, self.value(x)))

    def binary(self, op: str, x: Any, y: Any) -> Term:
        return Term(self, self.hlo.binary(op, self.value(x), self.value(y)))

    def compare(self, x: Any, y: Any, direction: str) -> Term:
        return Term(self, self.hlo.compare(self.value(x), self.value(y), direction))

    def where(self, condition: Term, x: Any, y: Any) -> Term:
        return Term(
            self, self.hlo.select(condition.value, self.value(x), self.value(y))
        )

    def exp(self, x: Any) -> Term:
        return self.unary("exponential", x)

    def expm1(self, x: Any) -> Term:
        return self.unary("exponential_minus_one", x)

    def log(self, x: Any) -> Term:
        return self.unary("log", x)

    def log1p(self, x: Any) -> Term:
        return log1p(self, x) if self.is_double else self.unary("log_plus_one", x)

    def sqrt(self, x: Any) -> Term:
        return self.unary("sqrt", x)

    def sin(self, x: Any) -> Term:
        return self.unary("sine", x)

    def tan(self, x: Any) -> Term:
        return self.unary("tan", x)

    def abs(self, x: Any) -> Term:
        return self.unary("abs", x)

    def sign(self, x: Any) -> Term:
        return self.unary("sign", x)

    def floor(self, x: Any) -> Term:
        return self.unary("floor", x)

    def erf(self, x: Any) -> Term:
        return self.unary("chlo.erf", x)

    def minimum(self, x: Any, y: Any) -> Term:
        return self.binary("minimum", x, y)

    def zeta(self, s: Any, q: Any) -> Term:
        return self.binary("chlo.zeta", s, q)

    def leading(self, x: Term) -> Term:
        """`x` cut to half of its digits: its square is exact."""
        dtype = np.dtype(np.uint64 if self.is_double else np.uint32)
        aval = Aval(self.aval.shape, dtype)
        bits = self.hlo.emit("bitcast_convert", (x.value,), aval)
        mask = self.hlo.full(aval.shape, _MASK64 if self.is_double else _MASK32, dtype)
        kept = self.hlo.binary("and", bits, mask)
        return Term(self, self.hlo.emit("bitcast_convert", (kept,), self.aval))

    def power_of_two(self, n: Term) -> Term:
        """2ⁿ for whole n within the range of normal numbers."""
        dtype, bias, digits = (
            (np.int64, 1023, 52) if self.is_double else (np.int32, 127, 23)
        )
        biased = self.hlo.convert((n + float(bias)).value, np.dtype(dtype))
        places = self.hlo.full(self.aval.shape, digits, np.dtype(dtype))
        bits = self.hlo.binary("shift_left", biased, places)
        return Term(self, self.hlo.emit("bitcast_convert", (bits,), self.aval))

    def loop(self, active: Kernel, step: Kernel, state: Sequence[Any]) -> list[Term]:
        """`state = step(*state)` while any element of `active(*state)` holds."""
        hlo, axes = self.hlo, tuple(range(len(self.aval.shape)))

        def condition(*values: Any) -> Any:
            found = active(*(Term(self, v) for v in values)).value
            return (
                hlo.reduce("or", found, hlo.constant(False, _BOOL), axes)
                if axes
                else found
            )

        def body(*values: Any) -> list[Any]:
            return [self.value(t) for t in step(*(Term(self, v) for v in values))]

        outs = hlo.while_loop(condition, body, [self.value(t) for t in state])
        return [Term(self, v) for v in outs]


def written(
    hlo: Any, kernel: Kernel, *values: Any, iterates: bool = False
) -> list[Any]:
    """What a `stablehlo` rule returns: the kernel's operations, written into the program.

    16-bit and smaller floats are computed in float32. Kernels that iterate to convergence lose
    digits on their way: they run in float64 where the platform has it.
    """
    values = tuple(hlo.broadcast_operands(*values))
    dtype = values[0].dtype
    wide = _FLOAT32 if np.dtype(dtype).itemsize < 4 else dtype
    if iterates and hlo.platform != "tpu":
        wide = _FLOAT64
    m = InProgram(hlo, Aval(values[0].shape, wide))
    out = kernel(m, *(Term(m, hlo.convert(v, wide)) for v in values))
    return [hlo.convert(m.value(out), dtype)]


def on_host(kernel: Kernel, *arrays: Any, iterates: bool = False) -> list[Any]:
    """What a `numpy` rule returns: the kernel's result in the arrays' dtype."""
    dtype = arrays[0].dtype
    wide = _FLOAT64 if iterates or dtype == _FLOAT64 else _FLOAT32
    out = kernel(OnHost(wide), *(np.asarray(x, wide) for x in arrays))
    return [np.asarray(out, dtype)]


# -- polynomials -----------------------------------------------------------------------------


def polynomial(m: Any, table: Any, x: Any) -> Any:
    """Horner's scheme, highest power first; `table` has coefficients for 24 and 53 bits."""
    coefficients = table[m.is_double]
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


# (artanh(r)/r - 1)/r² in r²
ARTANH = (
    (0.0953289447, 0.0722304742, 0.0912765172, 0.111096559, 0.142857415, 0.199999998,
     0.333333333),
    (0.07469414242989923, 0.026417061140686357, 0.04615972136684124, 0.04728581603605742,
     0.05265918906019942, 0.05882197051336885, 0.06666672661652989, 0.07692307538354587,
     0.09090909093440278, 0.11111111111086394, 0.1428571428571441, 0.2, 0.3333333333333333),
)  # fmt: skip
SCALED_ERFC = (
    (
        0.000361454043, 0.00132464097, -0.0097842357, 0.0286076717, -0.0586837419,
        0.0922423262, -0.108804986, 0.0822831704, 0.00358545128, -0.140240786, 1.23751263,
    ),
    (
        -4.020630346738334e-09, -2.799508553163587e-09, 3.758216058549546e-08,
        2.2090362667310285e-08, -2.5849967219140405e-07, -5.648610296274006e-08,
        1.7521464812141067e-06, -9.73759411786367e-07, -1.1444641488901304e-05,
        2.2384217090195526e-05, 5.164932681625849e-05, -0.00029015404644417017,
        0.0002937136043295499, 0.0017556258419161232, -0.009746579548166497,
        0.028362277420696476, -0.05869339859054548, 0.09230432116023751,
        -0.10880393014170636, 0.08227673849015016, 0.0035854154854636595,
        -0.14024059858554702, 1.2375126308378275,
    ),
)  # fmt: skip
ERF_INV_CENTER = (
    (
        2.35752833e-12, 6.67677608e-10, -4.66282747e-09, -2.49025601e-08, 4.26101255e-07,
        -1.38639688e-06, -1.3888333e-05, 0.000186781853, -0.000740697749, -0.00603371064,
        0.240158182, 1.65365457,
    ),
    (
        -3.5932028927020693e-22, 3.194015548136271e-21, 1.999259988861535e-20,
        -3.4734793888538036e-19, 6.075050702072414e-19, 1.5510787009902526e-17,
        -1.2215637192404172e-16, -3.94018812230432e-17, 6.521333511502239e-15,
        -4.0020031087558496e-14, -8.07192593899004e-14, 2.6305268312595183e-12,
        -1.2978805369932565e-11, -5.414303283919504e-11, 1.051223377050429e-09,
        -4.1126604371632185e-09, -2.907039127564132e-08, 4.23478816822246e-07,
        -1.3654691758785656e-06, -1.3882523393957483e-05, 0.00018673420801981186,
        -0.0007407025341546431, -0.006033670871426851, 0.24015818242558834,
        1.6536545626831027,
    ),
)  # fmt: skip
ERF_INV_MIDDLE = (
    (
        -3.17282156e-05, -0.000258303297, 0.000976206968, -0.00173027023, 0.00248790372,
        -0.00374457349, 0.00537106316, 1.00525869, 3.08388561,
    ),
    (
        7.680200479077053e-09, -1.5305397964152548e-08, -2.091453334773126e-08,
        1.3158663683192966e-07, -2.4549818963339823e-07, -2.761716223816241e-08,
        1.4815977874022539e-06, -3.985705945648173e-06, 2.93257845538535e-06,
        1.2465028224217455e-05, -4.732068066544697e-05, 6.828711739251955e-05,
        2.4031512865758357e-05, -0.0003550378137852452, 0.0009532893415794137,
        -0.0016882755354488555, 0.00249144209795696, -0.0037512085082247342,
        0.005370914553555033, 1.0052589676941655, 3.0838856104922208,
    ),
)  # fmt: skip
ERF_INV_TAIL = (
    (),
    (
        -1.968931701962242e-11, 4.2883063927487056e-11, 6.646144734325842e-11,
        -4.3752073162016196e-10, 1.3217356090705066e-09, -3.471592786518304e-09,
        7.815701028842222e-09, -1.525464535688987e-08, 2.9021987809100164e-08,
        -6.755650411430056e-08, 2.290516780486715e-07, -9.9302927406069e-07,
        4.526052743790951e-06, -1.9681770719043677e-05, 7.599527807604776e-05,
        -0.00021503011982656274, -0.0001387193183793902, 1.0103004648645453,
        4.849906401408584,
    ),
)  # fmt: skip
LGAMMA = (
    (
        0.00011347282, -0.000253817096, 0.000506517143, -0.00118586003, 0.00289079532,
        -0.00738617416, 0.0205807995, -0.0673522815, 0.322467033, 0.422784335,
    ),
    (
        -1.3219945666117874e-07, 2.78740805211359e-07, -4.3252393445604814e-07,
        9.200527894968101e-07, -2.0439048107029907e-06, 4.38470440459836e-06,
        -9.438715099211532e-06, 2.0505590755833454e-05, -4.49263133791557e-05,
        9.945767355819498e-05, -0.00022315475400520507, 0.0005096695154115458,
        -0.0011927539118428156, 0.002890510331034267, -0.0073855510286719986,
        0.02058080842778038, -0.0673523010531981, 0.32246703342411326, 0.42278433509846713,
    ),
)  # fmt: skip
DIGAMMA = (
    (
        0.0109025887, -0.0163736203, 0.017114989, -0.0257868836, 0.0408500267,
        -0.0620559804, 0.0949846851, -0.148398861, 0.240542535, -0.423627497, 0.951055876,
    ),
    (
        -0.00017312261802727394, 0.00025968482126430747, -0.00015148586836773365,
        0.0002272331660987376, -0.0004821990530566789, 0.0007233266279287554,
        -0.0010376374098418604, 0.0015566317474486838, -0.002345267632540769,
        0.003519006401502276, -0.005279964873257405, 0.007926944646403797,
        -0.011908218001568644, 0.0179072524394512, -0.02697579675613825,
        0.04076083381242074, -0.061922133273064534, 0.09498872445494122,
        -0.14840492305390884, 0.2405424842407742, -0.4236274212814605, 0.951055876031833,
    ),
)  # fmt: skip
BESSEL_I0E_NEAR = (
    (
        0.000335946139, -0.000850852698, 0.000469624873, -0.000759696728, 0.00406265365,
        -0.00800984961, 0.0116616341, -0.018865126, 0.0302974085, -0.0433137937,
        0.0567491108, -0.0694645149, 0.0792787442, -0.0849730496, 0.0873432153,
        -0.0890428892, 0.0945156319, -0.113004336, 0.207001921,
    ),
    (
        -1.1662904878442954e-09, 4.469372581856615e-09, -7.860369707508212e-09,
        2.6273368345256394e-08, -1.1339523685907105e-07, 3.675592893288293e-07,
        -1.0891964284507317e-06, 3.2293850630678377e-06, -9.25059710625537e-06,
        2.5202271984440893e-05, -6.550956130635514e-05, 0.0001624054672701359,
        -0.0003829015089457559, 0.0008563152483951447, -0.0018118870527295522,
        0.0036171264596770616, -0.006792399792271578, 0.011960077903963348,
        -0.019682654708082413, 0.03017791202356886, -0.04298594945226738,
        0.056777032019843215, -0.06954119561742342, 0.07927522590716898,
        -0.08496338091615124, 0.08734341617552291, -0.08904344136075991,
        0.09451562853995103, -0.11300432688620549, 0.2070019212239867,
    ),
)  # fmt: skip
BESSEL_I0E_FAR = (
    (
        3.21343457e-09, 3.17346827e-08, 1.0222958e-07, 3.07125179e-07, 1.48016687e-06,
        1.1139924e-05, 0.000136216348, 0.00336055223, 0.402176509,
    ),
    (
        2.0820835852793106e-11, -5.905024573995148e-11, -1.5066113686101474e-10,
        4.4789181847911815e-10, 5.122212147228388e-10, -1.5930354799216344e-09,
        -1.1448789558755036e-09, 3.5985362919394714e-09, 2.1053080134403423e-09,
        -5.91556056510856e-09, -3.905230623712341e-09, 7.406235049001522e-09,
        7.737147033780934e-09, -5.394456734259438e-09, -1.346629294837396e-08,
        -6.750552282740284e-09, 7.566352487698237e-09, 2.15488936175863e-08,
        3.932437699533459e-08, 8.872214307451732e-08, 2.9735996224521226e-07,
        1.4838475687894938e-06, 1.1143033787545386e-05, 0.00013621607439186705,
        0.0033605519836678944, 0.4021765094450081,
    ),
)  # fmt: skip
BESSEL_I1E_NEAR = (
    (
        -0.000119315815, 0.000307029646, -0.000221153768, 0.000412977838, -0.00166623656,
        0.00335892989, -0.00545739864, 0.00936950284, -0.0155984901, 0.0237616592,
        -0.0336660111, 0.0446596864, -0.0552805634, 0.0637688645, -0.0684825865,
        0.0680575449, -0.0611243382, 0.0446877102,
    ),
    (
        3.6696752013169966e-10, -1.4165980180332847e-09, 2.644330576999187e-09,
        -8.986801013193351e-09, 3.7901404602356164e-08, -1.2424046295570417e-07,
        3.7617292810159424e-07, -1.1327198008251626e-06, 3.29361514435675e-06,
        -9.136529630106953e-06, 2.4233987591498262e-05, -6.142361409267038e-05,
        0.00014842110758080817, -0.0003411760229204836, 0.0007445123998749739,
        -0.001538874564273584, 0.0030057624040464932, -0.005534567846988655,
        0.009583962153764291, -0.015571309244077562, 0.023686016957350876,
        -0.03367135552107505, 0.044674572621282986, -0.05528003922699226,
        0.06376740371340611, -0.0684826062058269, 0.06805759990951162,
        -0.061124338029666284, 0.044687709875608835,
    ),
)  # fmt: skip
BESSEL_I1E_FAR = (
    (
        7.80554429e-09, -2.3366532e-09, -5.33106981e-08, -1.18058193e-07, -3.45304452e-07,
        -1.82861264e-06, -1.50389031e-05, -0.000219236541, -0.00974957719, 0.389398459,
    ),
    (
        -1.9677083272584384e-11, 6.135932778393812e-11, 1.417650842869536e-10,
        -4.6561597954216946e-10, -4.798751536934023e-10, 1.657764699456319e-09,
        1.0715528639398075e-09, -3.75344338735913e-09, -1.992076551203188e-09,
        6.202984113000443e-09, 3.803814960536081e-09, -7.863004697555056e-09,
        -7.816968266767898e-09, 5.963645798166707e-09, 1.408852075202545e-08,
        6.737493433374833e-09, -8.43880090582137e-09, -2.337446787242448e-08,
        -4.312778920167609e-08, -1.0001282610189342e-07, -3.4838567401229716e-07,
        -1.8349101357991557e-06, -1.5038547197358572e-05, -0.00021923576383382282,
        -0.009749577193235768, 0.38939845902587233,
    ),
)  # fmt: skip


# -- exponentials and logarithms -------------------------------------------------------------

_LOG_2 = math.log(2.0)


def exp2(m: Any, x: Any) -> Any:
    """2ˣ: the whole part by the exponent's bits, so that its size costs no accuracy."""
    limit = 1100.0 if m.is_double else 160.0
    x = m.where(x > limit, limit, m.where(x < -limit, -limit, x))
    n = m.floor(x + 0.5)
    half = m.floor(n * 0.5)
    y = m.exp((x - n) * _LOG_2)
    return y * m.power_of_two(half) * m.power_of_two(n - half)


def log1p_minus(m: Any, x: Any) -> Any:
    """log(1 + x) - x, without cancellation for |x| < 1/2: log(1 + x) = 2 artanh(x / (2 + x))."""
    r = x / (2.0 + x)
    z = r * r
    near = r * (2.0 * z * polynomial(m, ARTANH, z) - x)
    return m.where(m.abs(x) < 0.5, near, m.log(1.0 + x) - x)


def log1p(m: Any, x: Any) -> Any:
    return m.where(m.abs(x) < 0.5, x + log1p_minus(m, x), m.log(1.0 + x))


def sinh(m: Any, x: Any) -> Any:
    a = m.abs(x)
    e = m.expm1(a)
    h = m.exp(0.5 * a)
    y = m.where(a < 1.0, 0.5 * (e + e / (e + 1.0)), (0.5 * h) * h - 0.5 / (h * h))
    return m.sign(x) * y


def cosh(m: Any, x: Any) -> Any:
    h = m.exp(0.5 * m.abs(x))
    return (0.5 * h) * h + 0.5 / (h * h)


def atanh(m: Any, x: Any) -> Any:
    a = m.abs(x)
    return m.sign(x) * (0.5 * m.log1p(2.0 * a / (1.0 - a)))


# -- error functions -------------------------------------------------------------------------


def erfc(m: Any, x: Any) -> Any:
    y = m.minimum(m.where(x < 0.5, 0.5, x), 28.0)
    hi = m.leading(y)
    # exp(-y²) = exp(-hi²) exp(-(y - hi)(y + hi)): the first square is exact. XLA would join two
    # exponentials again, hence expm1.
    gauss = m.exp(-hi * hi)
    gauss = gauss + gauss * m.expm1((hi - y) * (hi + y))
    tail = gauss * polynomial(m, SCALED_ERFC, (y - 3.75) / (y + 3.75)) / (1.0 + 2.0 * y)
    return m.where(x < 0.5, 1.0 - m.erf(x), tail)


def erf_inv(m: Any, x: Any) -> Any:
    a = m.abs(x)
    w = -m.log((1.0 - a) * (1.0 + a))  # 1 - a is exact where it matters
    s = m.sqrt(w)
    y = m.where(
        w < 6.25,
        polynomial(m, ERF_INV_CENTER, w - 3.125),
        polynomial(m, ERF_INV_MIDDLE, s - 3.25),
    )
    if m.is_double:  # in single precision w stays below 16
        y = m.where(w < 16.0, y, polynomial(m, ERF_INV_TAIL, s - 5.0))
    return x * m.where(a == 1.0, math.inf, y)


# -- the gamma function ----------------------------------------------------------------------

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
)
# B_2k / (2k (2k - 1)) and B_2k / (2k), highest power first
_STIRLING = tuple(
    b / (2 * k * (2 * k - 1)) for k, b in reversed(list(enumerate(_BERNOULLI, 1)))
)  # fmt: skip
_STIRLING_SLOPE = tuple(
    b / (2 * k) for k, b in reversed(list(enumerate(_BERNOULLI, 1)))
)


def stirling(m: Any, x: Any) -> Any:
    """lgamma(x) - (x - 1/2) log x + x - log(2π)/2, for x ≥ 8."""
    r = 1.0 / x
    short = _STIRLING if m.is_double else _STIRLING[-4:]
    return polynomial(m, (short, short), r * r) * r


def lgamma_positive(m: Any, x: Any) -> Any:
    """log Γ(x) for x ≥ 0: around 2 a polynomial, up to 8.5 the recurrence, then Stirling."""
    n = m.where(x < 8.5, m.floor(x + 0.5), 2.0)  # t = x - n lies in [-1/2, 1/2]
    t = m.where(x < 8.5, x - n, 0.0)
    near = t * polynomial(m, LGAMMA, t)
    product = m.where(n < 1.0, x * (x + 1.0), m.where(n < 2.0, x, 1.0))
    for k in range(1, 7):
        product = m.where(n > k + 1.5, product * (x - float(k)), product)
    shift = m.log(product)
    near = m.where(n < 2.0, near - shift, near + shift)
    y = m.where(x < 8.5, 8.5, x)
    far = (y - 0.5) * (m.log(y) - 1.0) + ((_HALF_LOG_TWO_PI - 0.5) + stirling(m, y))
    far = m.where(y == math.inf, math.inf, far)
    return m.where(x < 8.5, near, far)


def lgamma(m: Any, x: Any) -> Any:
    """log |Γ(x)|; for x < 0 by reflection, so that only zeros there lose digits."""
    a = m.abs(x)
    y = lgamma_positive(m, a)
    fraction = a - m.floor(a)
    fraction = m.where(fraction > 0.5, 1.0 - fraction, fraction)
    sine = a * m.sin(math.pi * fraction)
    reflected = m.where(sine == 0.0, math.inf, m.log(math.pi / sine) - y)
    reflected = m.where(a == math.inf, math.inf, reflected)
    return m.where(x < 0.0, reflected, y)


# the zero of digamma in two parts, for 24 and for 53 bits
_DIGAMMA_ZERO = (
    (1.4616321325302124, 1.2438149938918909542e-8),
    (1.4616321449683622, 9.5499954299656977152e-17),
)


def digamma_positive(m: Any, x: Any) -> Any:
    """ψ(x) for x > 0: (x - zero) times a polynomial in [1, 2], the recurrence, then Stirling."""
    n = m.where(x < 10.0, m.floor(x), 1.0) - 1.0
    y = x - n  # in [1, 2)
    high, low = _DIGAMMA_ZERO[m.is_double]
    # XLA would join the subtraction of two constants, hence the harmless factor y / high
    near = ((y - high) - y * (low / high)) * polynomial(m, DIGAMMA, y - 1.5)
    # the sum of 1/(x - k) as one fraction
    top = m.where(n < 0.0, -1.0, 0.0)
    bottom = m.where(n < 0.0, x, 1.0)
    for k in range(1, 9):
        z = x - float(k)
        top = m.where(n > k - 0.5, top * z + bottom, top)
        bottom = m.where(n > k - 0.5, bottom * z, bottom)
    near = near + top / bottom
    z = m.where(x < 10.0, 10.0, x)
    r = 1.0 / z
    short = _STIRLING_SLOPE if m.is_double else _STIRLING_SLOPE[-4:]
    far = m.log(z) - 0.5 * r - polynomial(m, (short, short), r * r) * (r * r)
    return m.where(x < 10.0, near, far)


def digamma(m: Any, x: Any) -> Any:
    """ψ(x) = Γ'/Γ; for x < 0 by reflection; NaN at negative integers, -1/x at zeros."""
    y = digamma_positive(m, m.where(x <= 0.0, 1.0 - x, x))
    fraction = x - m.floor(x + 0.5)
    reflected = y - math.pi / m.tan(math.pi * fraction)
    reflected = m.where(fraction == 0.0, math.nan, reflected)
    reflected = m.where(x == 0.0, -1.0 / x, reflected)
    return m.where(x <= 0.0, reflected, y)


def zeta(m: Any, s: Any, q: Any) -> Any:
    """ζ(s, q): infinite at its poles q = 0, -1, -2, …, and 0 at ∞, where XLA has nan."""
    pole = (q <= 0.0) & (m.floor(q) == q) & (s > 1.0)
    value = m.where((q == math.inf) & (s > 1.0), 0.0, m.zeta(s, q))
    return m.where(pole, math.inf, value)


def zeta_sum(m: Any, s: Any, q: Any) -> Any:
    """ζ(s, q) for s > 1 and q > 0 by Euler and Maclaurin's formula, with derivatives by s."""
    r = m.where((q > 0.0) & (s > 1.0), q, math.nan)
    total = m.exp(-s * m.log(r))
    for k in range(1, 12):
        total = total + m.exp(-s * m.log(r + float(k)))
    end = r + 12.0
    last = m.exp(-s * m.log(end))
    total = total + last * (end / (s - 1.0) + 0.5)
    term = last * s / end
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + term * (b / math.factorial(2 * k))
        term = term * ((s + (2.0 * k - 1.0)) * (s + 2.0 * k)) / (end * end)
    return total


def polygamma(m: Any, n: Any, x: Any) -> Any:
    """The n-th derivative of ψ: (-1)ⁿ⁺¹ n! ζ(n + 1, x); NaN unless n is 0, 1, 2, …"""
    whole = (n >= 0.0) & (m.floor(n) == n)
    n = m.where(whole & (n < 1000.0), n, 0.0)
    _, factorial = m.loop(
        lambda k, f: k < n,
        lambda k, f: (k + 1.0, m.where(k < n, f * (k + 1.0), f)),
        (0.0 * n, 1.0 + 0.0 * n),
    )
    odd = n - 2.0 * m.floor(0.5 * n)
    high = (2.0 * odd - 1.0) * factorial * zeta(m, n + 1.0, x)
    return m.where(whole, m.where(n == 0.0, digamma(m, x), high), math.nan)


# -- the incomplete gamma function -----------------------------------------------------------


def gamma_density(m: Any, a: Any, x: Any) -> Any:
    """xᵃ e⁻ˣ / Γ(a + 1)."""
    big = m.where(a < 10.0, 10.0, a)
    mu = m.where(a < 10.0, 0.0, (x - big) / big)
    far = m.exp(big * log1p_minus(m, mu) - stirling(m, big)) / m.sqrt(
        2.0 * math.pi * big
    )
    small = m.where(a < 10.0, a, 1.0)
    near = m.exp(small * m.log(x) - x - lgamma_positive(m, small + 1.0))
    return m.where(a < 10.0, near, far)


def gamma_series(m: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """s = Σ xⁿ / ((a + 1)…(a + n)) and ds/da."""

    def active(n: Any, c: Any, dc: Any, s: Any, ds: Any) -> Any:
        return m.abs(c) + m.abs(dc) > 0.1 * m.epsilon * (s + m.abs(ds))

    def step(n: Any, c: Any, dc: Any, s: Any, ds: Any) -> Any:
        n = n + 1.0
        r = 1.0 / (a + n)
        c = c * x * r
        dc = dc * x * r - c * r
        return n, c, dc, s + c, ds + dc

    zero = 0.0 * a
    state = (zero, zero + 1.0, zero, zero + 1.0, zero)
    return m.loop(active, step, state)[3:]  # type: ignore[no-any-return]


# Elements that have converged are frozen: their factors 1 ± ε would add up to a drift while
# others go on. The cap is never reached by operands whose results are not all but 0 or 1.
_CLOSE = 4.0  # machine epsilons by which the last factor may differ from 1
_PATIENCE = 1e6


def _going(m: Any, i: Any, error: Any) -> Any:
    """Whether step i of a fraction is not the last one."""
    open_ = error > _CLOSE * m.epsilon
    return (open_ | (i < m.least)) if m.least else open_


def gamma_fraction(m: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """h = Γ(a, x) eˣ x⁻ᵃ and d(log h)/da, for x > 1 and x > a."""

    def active(
        i: Any, b: Any, c: Any, dc: Any, d: Any, dd: Any, h: Any, dh: Any, e: Any
    ) -> Any:
        return _going(m, i, e) & (i < _PATIENCE)

    def step(
        i: Any, b: Any, c: Any, dc: Any, d: Any, dd: Any, h: Any, dh: Any, e: Any
    ) -> Any:
        i, b = i + 1.0, b + 2.0  # b has the derivative -1, the numerator p has i
        p = i * (a - i)
        dd = i * d + p * dd - 1.0
        d = 1.0 / (p * d + b)
        dd = -d * d * dd
        dc = (i - p * dc / c) / c - 1.0
        c = b + p / c
        factor, change = c * d, dc / c + dd / d
        going = _going(m, i, e)
        h, dh = m.where(going, h * factor, h), m.where(going, dh + change, dh)
        e = m.where(going, m.abs(factor - 1.0) + m.abs(change), e)
        return i, b, c, dc, d, dd, h, dh, e

    one = 0.0 * a + 1.0
    b = x + 1.0 - a
    d = 1.0 / b
    # the first partial quotient has no predecessor: c starts near infinity
    state = (0.0 * one, b, 1e30 * one, 0.0 * one, d, d * d, d, d, one)
    return m.loop(active, step, state)[6:8]  # type: ignore[no-any-return]


def _gamma_regions(m: Any, a: Any, x: Any) -> Any:
    """Where the fraction converges, and harmless operands for fraction and series."""
    regular = (a > 0.0) & (x > 0.0) & (x < math.inf) & (a < math.inf)
    upper = regular & (x > 1.0) & (x > a)
    lower = regular & ~upper
    return (
        upper,
        (m.where(upper, a, 1.0), m.where(upper, x, 2.0)),
        (m.where(lower, a, 1.0), m.where(lower, x, 0.0)),
    )


def _gamma_edges(
    m: Any, a: Any, x: Any, y: Any, at_zero: float, at_infinity: float
) -> Any:
    """Values of an incomplete gamma function outside of 0 < a, x < ∞."""
    y = m.where((x == 0.0) | (a == math.inf), at_zero, y)
    y = m.where((x == math.inf) | (a == 0.0), at_infinity, y)
    undefined = ((a == 0.0) & (x == 0.0)) | ((a == math.inf) & (x == math.inf))
    undefined = undefined | (a < 0.0) | (x < 0.0) | (a != a) | (x != x)
    return m.where(undefined, math.nan, y)


def _gamma_parts(m: Any, a: Any, x: Any) -> tuple[Any, Any, Any]:
    upper, (fa, fx), (sa, sx) = _gamma_regions(m, a, x)
    q = gamma_density(m, fa, fx) * fa * gamma_fraction(m, fa, fx)[0]
    p = gamma_density(m, sa, sx) * gamma_series(m, sa, sx)[0]
    return upper, p, q


def igamma(m: Any, a: Any, x: Any) -> Any:
    """P(a, x) = γ(a, x) / Γ(a)."""
    upper, p, q = _gamma_parts(m, a, x)
    return _gamma_edges(m, a, x, m.where(upper, 1.0 - q, p), 0.0, 1.0)


def igammac(m: Any, a: Any, x: Any) -> Any:
    """Q(a, x) = 1 - P(a, x)."""
    upper, p, q = _gamma_parts(m, a, x)
    return _gamma_edges(m, a, x, m.where(upper, q, 1.0 - p), 1.0, 0.0)


def igamma_grad_a(m: Any, a: Any, x: Any) -> Any:
    """∂P(a, x)/∂a."""
    upper, (fa, fx), (sa, sx) = _gamma_regions(m, a, x)
    h, dh = gamma_fraction(m, fa, fx)
    high = (
        -gamma_density(m, fa, fx) * fa * h * (m.log(fx) - digamma_positive(m, fa) + dh)
    )
    s, ds = gamma_series(m, sa, sx)
    slope = m.where(sx == 0.0, 0.0, m.log(sx)) - digamma_positive(m, sa + 1.0)
    low = gamma_density(m, sa, sx) * (slope * s + ds)
    y = _gamma_edges(m, a, x, m.where(upper, high, low), 0.0, 0.0)
    return m.where((a > 0.0) & (x >= 0.0), y, math.nan)


def random_gamma_grad(m: Any, a: Any, x: Any) -> Any:
    """dx/da of a Gamma(a) sample x: -(∂P/∂a) / (∂P/∂x), in which the density cancels."""
    upper, (fa, fx), (sa, sx) = _gamma_regions(m, a, x)
    h, dh = gamma_fraction(m, fa, fx)
    high = fx * h * (m.log(fx) - digamma_positive(m, fa) + dh)
    s, ds = gamma_series(m, sa, sx)
    slope = m.where(sx == 0.0, 0.0, m.log(sx)) - digamma_positive(m, sa + 1.0)
    low = -(sx / sa) * (slope * s + ds)
    y = m.where(upper, high, low)
    return m.where((a > 0.0) & (x >= 0.0) & (x < math.inf), y, math.nan)


# -- the incomplete beta function ------------------------------------------------------------


def beta_density(m: Any, a: Any, b: Any, x: Any) -> Any:
    """xᵃ (1 - x)ᵇ / B(a, b)."""
    large = (a >= 10.0) & (b >= 10.0)
    la, lb = m.where(large, a, 10.0), m.where(large, b, 10.0)
    n = la + lb
    mu = (x * lb - (1.0 - x) * la) / la
    nu = ((1.0 - x) * la - x * lb) / lb
    corrections = stirling(m, n) - stirling(m, la) - stirling(m, lb)
    far = m.exp(la * log1p_minus(m, mu) + lb * log1p_minus(m, nu) + corrections)
    far = far * m.sqrt(la * lb / (2.0 * math.pi * n))
    sa, sb = m.where(large, 1.0, a), m.where(large, 1.0, b)
    log_beta = (
        lgamma_positive(m, sa) + lgamma_positive(m, sb) - lgamma_positive(m, sa + sb)
    )
    near = m.exp(sa * m.log(x) + sb * m.log1p(-x) - log_beta)
    return m.where(large, far, near)


def beta_fraction(m: Any, a: Any, b: Any, x: Any) -> Any:
    """The continued fraction DLMF 8.17.22 without its prefactor, for x < (a + 1)/(a + b + 2)."""

    def active(i: Any, c: Any, d: Any, h: Any, e: Any) -> Any:
        return _going(m, i, e) & (i < _PATIENCE)

    def step(i: Any, c: Any, d: Any, h: Any, e: Any) -> Any:
        i = i + 1.0
        even = i * (b - i) * x / ((a + 2.0 * i - 1.0) * (a + 2.0 * i))
        odd = -(a + i) * (a + b + i) * x / ((a + 2.0 * i) * (a + 2.0 * i + 1.0))
        d, c = 1.0 / (1.0 + even * d), 1.0 + even / c
        first = c * d
        d, c = 1.0 / (1.0 + odd * d), 1.0 + odd / c
        second = c * d
        going = _going(m, i, e)
        h = m.where(going, h * (first * second), h)
        e = m.where(going, m.abs(first - 1.0) + m.abs(second - 1.0), e)
        return i, c, d, h, e

    one = 0.0 * a + 1.0
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    return m.loop(active, step, (0.0 * one, one, d, d, one))[3]


def betainc(m: Any, a: Any, b: Any, x: Any) -> Any:
    """I_x(a, b), the regularized incomplete beta function."""
    inner = (
        (a > 0.0) & (b > 0.0) & (x > 0.0) & (x < 1.0) & (a < math.inf) & (b < math.inf)
    )
    a1, b1, x1 = m.where(inner, a, 1.0), m.where(inner, b, 1.0), m.where(inner, x, 0.5)
    swap = x1 * (a1 + b1 + 2.0) > a1 + 1.0
    p, q = m.where(swap, b1, a1), m.where(swap, a1, b1)
    z = m.where(swap, 1.0 - x1, x1)
    y = beta_density(m, a1, b1, x1) * beta_fraction(m, p, q, z) / p
    y = m.where(swap, 1.0 - y, y)
    ordinary = (a > 0.0) & (b > 0.0) & (x >= 0.0) & (x <= 1.0)
    zero = (x == 0.0) | (b == 0.0) | (a == math.inf)
    one = (x == 1.0) | (a == 0.0) | (b == math.inf)
    y = m.where(inner, y, m.where(zero, 0.0, m.where(one, 1.0, y)))
    limit = ((a == 0.0) & (b > 0.0)) | ((b == 0.0) & (a > 0.0))
    limit = limit & (x >= 0.0) & (x <= 1.0)
    both = (a == math.inf) & (b == math.inf)
    return m.where((ordinary | limit) & ~both, y, math.nan)


# -- Bessel functions ------------------------------------------------------------------------


def _bessel(m: Any, a: Any, near: Any, far: Any) -> Any:
    """A polynomial for a < 8, beyond that one in 1/a over √a."""
    y = m.where(a < 8.0, 8.0, a)
    inner = polynomial(m, near, m.where(a < 8.0, 0.25 * a, 1.0) - 1.0)
    return m.where(a < 8.0, inner, polynomial(m, far, 16.0 / y - 1.0) / m.sqrt(y))


def bessel_i0e(m: Any, x: Any) -> Any:
    """e^-|x| I₀(x)"""
    return _bessel(m, m.abs(x), BESSEL_I0E_NEAR, BESSEL_I0E_FAR)


def bessel_i1e(m: Any, x: Any) -> Any:
    """e^-|x| I₁(x); near 0 the polynomial is that of I₁(x)/x."""
    a = m.abs(x)
    y = _bessel(m, a, BESSEL_I1E_NEAR, BESSEL_I1E_FAR)
    return m.where(a < 8.0, x, m.sign(x)) * y
