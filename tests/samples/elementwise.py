"""Samples of the elementwise operations: smooth points, dtypes, broadcasting, no elements."""

from __future__ import annotations

import numpy as np

from ferax.lax import arithmetic as ar
from ferax.lax import kernels
from ferax.lax import representation as rep
from ferax.lax import special as sp
from ferax.lax import transcendental as tr
from tests.samples.base import Sample, array

_EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], "float32")
_INT_EDGES = np.array([-(2**31), -1, 0, 1, 2**31 - 1], "int32")


def _unary(op, low=-2.0, high=2.0, complex_too=True, tolerance=8.0, edges=True):
    samples = [
        Sample(op, [array((3, 2), low=low, high=high)], tolerance=tolerance),
        Sample(op, [array((), low=low, high=high)], tolerance=tolerance),
        Sample(op, [array((0, 3))], note="no elements"),
        Sample(op, [array((5,), "bfloat16", low=low, high=high)], tolerance=tolerance),
        Sample(op, [array((5,), "float16", low=low, high=high)], tolerance=tolerance),
    ]
    if edges:
        samples.append(Sample(op, [_EDGES], differentiable=(), tolerance=tolerance))
    if complex_too:
        samples.append(
            Sample(op, [array((4,), "complex64", low=0.2, high=0.9)], tolerance=16.0)
        )
    return samples


def _binary(op, first=(-2.0, 2.0), second=(-2.0, 2.0), **named):
    (a, b), (c, d) = first, second
    return [
        Sample(
            op,
            [array((2, 3), low=a, high=b), array((2, 3), seed=1, low=c, high=d)],
            **named,
        ),
        Sample(
            op,
            [array((3, 1), low=a, high=b), array((1, 4), seed=1, low=c, high=d)],
            **named,
        ),
        Sample(
            op, [array((), low=a, high=b), array((5,), seed=1, low=c, high=d)], **named
        ),
        Sample(op, [array((0,)), array(())], note="no elements", **named),
        Sample(
            op,
            [array((4,), "bfloat16", low=a, high=b), array((4,), "bfloat16", 1, c, d)],
            **named,
        ),
    ]


def _integers(op, small=False):
    samples = [
        Sample(op, [array((3, 1), dtype), array((1, 4), dtype, 1)])
        for dtype in ("int8", "uint8", "int32", "uint32", "int64", "uint64")
    ]
    samples.append(
        Sample(op, [array((0,), "int32"), array((), "int32")], note="no elements")
    )
    samples.append(Sample(op, [_INT_EDGES, _INT_EDGES[::-1]], note="ends of the range"))
    if small:
        samples.append(Sample(op, [array((4,), "int4"), array((4,), "int4", 1)]))
    return samples


def _bits(op):
    return [
        *_integers(op, small=True),
        Sample(op, [array((3,), "bool"), array((2, 1), "bool", 1)]),
    ]


def _comparison(op, complex_too=False):
    samples = [
        Sample(op, [array((3, 1)), array((1, 4), seed=1)]),
        Sample(op, [array((3,), "int32"), array((3,), "int32", 1)]),
        Sample(op, [array((9,), "uint8"), array((), "uint8", 1)]),
        Sample(op, [array((9,), "bool"), array((9,), "bool", 1)]),
        Sample(op, [array((9,), "bfloat16"), array((9,), "bfloat16", 1)]),
        Sample(op, [_EDGES[:, None], _EDGES], note="nan, inf, signed zeros"),
        Sample(op, [array((0,)), array(())], note="no elements"),
    ]
    if complex_too:
        z = np.array([1 + 2j, 1 - 2j, 2j], "complex64")
        samples.append(Sample(op, [z[:, None], z]))
    return samples


def _extremum(op):
    z = np.array([1 + 2j, 1 - 2j, 2j, -1 - 1j], "complex64")
    return [
        *_binary(op, second=(-1.9, 2.3)),
        *_integers(op, small=True),
        Sample(op, [array((9,), "bool"), array((9,), "bool", 1)]),
        Sample(op, [_EDGES[:3], _EDGES[3:6]], differentiable=(), note="nan and inf"),
        Sample(op, [z[:, None], z + 0], differentiable=(), note="complex, ties"),
    ]


def _words(op):
    samples = [
        Sample(op, [array((3, 2), dtype)])
        for dtype in (
            "int8",
            "uint8",
            "int16",
            "int32",
            "uint32",
            "int64",
            "uint64",
            "int4",
        )
    ]
    return [*samples, Sample(op, [_INT_EDGES]), Sample(op, [array((0,), "int32")])]


def _shift(op):
    width = np.array([0, 1, 31, 32, 40], "int32")
    return [
        *_integers(op),
        Sample(
            op,
            [np.array([[-8], [7], [1 << 30]], "int32"), width],
            note="the width and above",
        ),
        Sample(
            op,
            [np.array([-8, 7], "int8"), np.array([-1, 9], "int8")],
            note="out of range",
        ),
        Sample(op, [np.array([248, 7], "uint8"), np.array([3, 200], "uint8")]),
    ]


_QUOTIENTS = (
    np.array([7, -7, 7, 0, -(2**31), -7], "int32"),
    np.array([2, 2, 0, 0, -1, -3], "int32"),
)
_POSITIVE = (0.3, 4.0)


def _power(dtype="float32"):
    return [array((2, 3), dtype, low=0.3, high=3.0), array((2, 3), dtype, 1)]


SAMPLES = {
    ar.Div: [
        *_binary(ar.DIV, second=_POSITIVE),
        Sample(
            ar.DIV,
            [array((3,), low=1.0, high=2.0), array((2, 3), low=-3.0, high=-1.0)],
            linear=(0,),
        ),
        Sample(
            ar.DIV, [array((3,), "complex64"), array((3,), "complex64", 1, 0.5, 2.0)]
        ),
        *_integers(ar.DIV, small=True),
        Sample(ar.DIV, _QUOTIENTS, note="toward zero, by zero, overflow"),
        Sample(
            ar.DIV, [_EDGES[:, None], _EDGES], differentiable=(), note="nan, inf, zeros"
        ),
    ],
    ar.Rem: [
        *_binary(ar.REM, (3.1, 3.9), (1.2, 1.4)),
        *_integers(ar.REM, small=True),
        Sample(ar.REM, _QUOTIENTS, note="sign of x, by zero"),
        Sample(
            ar.REM, [_EDGES[:, None], _EDGES], differentiable=(), note="nan, inf, zeros"
        ),
    ],
    ar.Abs: [
        *_unary(ar.ABS, 0.1, 2.0, complex_too=False),
        *_unary(ar.ABS, -2.0, -0.1, complex_too=False),
        Sample(ar.ABS, [array((4,), "complex64")]),
        Sample(ar.ABS, [array((4,), "int8")]),
        Sample(ar.ABS, [array((4,), "int4")]),
        Sample(ar.ABS, [_INT_EDGES]),
    ],
    ar.Sign: [
        *_unary(ar.SIGN, 0.1, 2.0, complex_too=False),
        Sample(ar.SIGN, [array((4,), "complex64")]),
        Sample(ar.SIGN, [np.array([0, 1j], "complex64")], differentiable=()),
        Sample(ar.SIGN, [array((9,), "int32")]),
        Sample(ar.SIGN, [array((9,), "uint8")]),
        Sample(ar.SIGN, [array((9,), "int4")]),
    ],
    ar.Floor: _unary(ar.Floor(), -2.2, complex_too=False),
    ar.Ceil: _unary(ar.Ceil(), -2.2, complex_too=False),
    ar.Round: [
        sample
        for method in ar.RoundingMethod
        for sample in (
            *_unary(ar.Round(method), complex_too=False),
            Sample(
                ar.Round(method),
                [np.array([0.5, 1.5, 2.5, -0.5, 0.49999997, 8388609, 1e20], "float32")],
                differentiable=(),
            ),
        )
    ],
    ar.IsFinite: _unary(ar.IsFinite(), complex_too=False),
    ar.Square: [*_unary(ar.SQUARE), Sample(ar.SQUARE, [array((5,), "int32")])],
    ar.Max: _extremum(ar.MAX),
    ar.Min: _extremum(ar.MIN),
    ar.Clamp: [
        Sample(ar.CLAMP, [np.float32(-1.1), array((2, 3)), np.float32(1.1)]),
        Sample(
            ar.CLAMP,
            [array((2, 3), low=-1.5, high=-1.0), array((2, 3)), array((2, 3), low=0.5)],
        ),
        Sample(
            ar.CLAMP,
            [array((3, 1), low=-1.5, high=-1.0), array((4,)), array((), low=0.5)],
        ),
        Sample(ar.CLAMP, [np.int32(-2), array((7,), "int32"), np.int32(3)]),
        Sample(
            ar.CLAMP,
            [np.float32(3), _EDGES, np.float32(1)],
            differentiable=(),
            note="crossed",
        ),
        Sample(ar.CLAMP, [array((0,)), array((0,)), array((0,))], note="no elements"),
    ],
    ar.Eq: _comparison(ar.EQ, complex_too=True),
    ar.Ne: _comparison(ar.NE, complex_too=True),
    ar.Lt: _comparison(ar.LT),
    ar.Le: _comparison(ar.LE),
    ar.Gt: _comparison(ar.GT),
    ar.Ge: _comparison(ar.GE),
    rep.And: _bits(rep.AND),
    rep.Or: _bits(rep.OR),
    rep.Xor: _bits(rep.XOR),
    rep.Not: [*_words(rep.NOT), Sample(rep.NOT, [array((5,), "bool")])],
    rep.ShiftLeft: _shift(rep.ShiftLeft()),
    rep.ShiftRightArithmetic: _shift(rep.ShiftRightArithmetic()),
    rep.ShiftRightLogical: _shift(rep.ShiftRightLogical()),
    rep.PopulationCount: _words(rep.PopulationCount()),
    rep.Clz: _words(rep.Clz()),
    rep.Mulhi: [
        *_integers(rep.Mulhi()),
        Sample(
            rep.Mulhi(), [np.array([200, 255], "uint8"), np.array([80, 255], "uint8")]
        ),
    ],
    rep.Complex: [
        Sample(rep.COMPLEX, [array((2, 3)), array((2, 3), seed=1)], linear=(0, 1)),
        Sample(rep.COMPLEX, [array((3, 1)), array((4,), seed=1)], linear=(0, 1)),
        Sample(rep.COMPLEX, [array(()), array((0,))], note="no elements"),
        Sample(rep.COMPLEX, [_EDGES, _EDGES[::-1]], differentiable=()),
    ],
    rep.Real: [
        Sample(rep.REAL_PART, [array((2, 3), "complex64")], linear=(0,)),
        Sample(rep.REAL_PART, [array((), "complex64")]),
        Sample(rep.REAL_PART, [array((0,), "complex64")], note="no elements"),
    ],
    rep.Imag: [
        Sample(rep.IMAG_PART, [array((2, 3), "complex64")], linear=(0,)),
        Sample(rep.IMAG_PART, [array((), "complex64")]),
    ],
    rep.Conj: [
        Sample(rep.CONJ, [array((2, 3), "complex64")], linear=(0,)),
        Sample(rep.CONJ, [array((), "complex64")]),
    ],
    rep.BitcastConvertType: [
        Sample(rep.BitcastConvertType(np.dtype(new)), [x], differentiable=())
        for new, x in [
            ("int32", array((2, 3))),
            ("float32", np.array([1, 2**30], "int32")),
            ("uint8", array((2, 3))),
            ("uint16", array(())),
            ("int32", array((2, 4), "uint8")),
            ("float32", array((2,), "uint16")),
            ("bfloat16", array((3,), "int16")),
            ("uint32", array((0, 3))),
        ]
    ],
    rep.ReducePrecision: [
        Sample(
            rep.ReducePrecision(e, m),
            [np.array([1.2345678, -3e4, 1e-7, 7e4, 1.5, np.nan, -np.inf, 0], dtype)],
            order=0,
            why="the results are steps",
        )
        for e, m in [(5, 10), (8, 7), (4, 3), (2, 0), (8, 23), (11, 52)]
        for dtype in ("float32", "float64", "bfloat16")
    ],
    rep.Nextafter: [
        Sample(rep.Nextafter(), [_EDGES[:, None], _EDGES], differentiable=()),
        Sample(
            rep.Nextafter(),
            [array((4,), "bfloat16"), array((), "bfloat16", 1)],
            differentiable=(),
        ),
        Sample(rep.Nextafter(), [array((0,)), array(())], note="no elements"),
    ],
    rep.Copy: [
        Sample(rep.COPY, [array((2, 3))], linear=(0,)),
        Sample(rep.COPY, [array((3,), "int32")]),
    ],
    tr.IntegerPow: [
        *_unary(tr.IntegerPow(3)),
        *_unary(tr.IntegerPow(-2), 0.5, 2.0),
        *_unary(tr.IntegerPow(0), complex_too=False),
        *_unary(tr.IntegerPow(1), complex_too=False),
        *_unary(tr.IntegerPow(2), complex_too=False),
        *_unary(tr.IntegerPow(-1), 0.5, 2.0),
        *_unary(tr.IntegerPow(40), 0.8, 1.1, complex_too=False),
        Sample(tr.IntegerPow(0), [array((5,), "int32")]),
        Sample(tr.IntegerPow(0), [array((5,), "complex64")]),
        Sample(tr.IntegerPow(7), [array((5,), "int32")]),
        Sample(tr.IntegerPow(200), [array((5,), "uint8")]),
        Sample(tr.IntegerPow(3), [array((5,), "int4")]),
    ],
    tr.Pow: [
        *_binary(tr.POW, (0.3, 3.0), tolerance=16.0),
        Sample(tr.POW, [array((4,)), array((4,), "int32")], differentiable=(0,)),
        Sample(
            tr.POW, [array((4,), "bfloat16"), array((4,), "int32")], differentiable=(0,)
        ),
        Sample(
            tr.POW,
            [array((4,), "complex64", low=0.5), array((4,), "complex64", 1)],
            tolerance=32.0,
        ),
        Sample(
            tr.POW, [_EDGES[:, None], _EDGES], differentiable=(), note="nan, inf, zeros"
        ),
    ],
    tr.Sqrt: _unary(tr.SQRT, *_POSITIVE),
    tr.Rsqrt: _unary(tr.Rsqrt(), *_POSITIVE),
    tr.Cbrt: _unary(tr.Cbrt(), 0.3, 4.0, complex_too=False),
    tr.Exp: _unary(tr.EXP),
    tr.Exp2: _unary(tr.Exp2()),
    tr.Expm1: _unary(tr.Expm1()),
    tr.Log: _unary(tr.LOG, *_POSITIVE),
    tr.Log1p: _unary(tr.Log1p(), -0.7, 4.0),
    tr.Logistic: _unary(tr.LOGISTIC),
    tr.Sin: _unary(tr.SIN),
    tr.Cos: _unary(tr.COS),
    tr.Tan: _unary(tr.TAN, -1.0, 1.0),
    tr.Asin: _unary(tr.Asin(), -0.9, 0.9),
    tr.Acos: _unary(tr.Acos(), -0.9, 0.9),
    tr.Atan: _unary(tr.Atan()),
    tr.LogAddExp: [
        sample
        for op in (tr.LogAddExp(), tr.LogAddExp(binary=True))
        for sample in (
            *_binary(op),
            Sample(op, [array((4,)), array((4,))], note="equal"),
            Sample(
                op, [_EDGES[:, None], _EDGES], differentiable=(), note="nan and inf"
            ),
        )
    ],
    tr.Atan2: [
        *_binary(tr.Atan2(), second=(0.5, 2.0)),
        Sample(
            tr.Atan2(), [_EDGES[:, None], _EDGES], differentiable=(), note="quadrants"
        ),
        Sample(
            tr.Atan2(),
            [array((3,), "complex64", low=0.2), array((3,), "complex64", 1, 0.5)],
        ),
    ],
    tr.Sinh: _unary(tr.SINH),
    tr.Cosh: _unary(tr.COSH),
    tr.Tanh: _unary(tr.TANH),
    tr.Asinh: _unary(tr.Asinh()),
    tr.Acosh: _unary(tr.Acosh(), 1.2, 4.0),
    tr.Atanh: _unary(tr.Atanh(), -0.9, 0.9),
    sp.Erf: _unary(sp.Erf(), complex_too=False),
    sp.Erfc: _unary(sp.Erfc(), complex_too=False),
    sp.ErfInv: _unary(sp.ErfInv(), -0.9, 0.9, complex_too=False),
    sp.Lgamma: _unary(sp.LGAMMA, 0.3, 9.0, complex_too=False),
    sp.Digamma: [
        *_unary(sp.DIGAMMA, 0.3, 12.0, complex_too=False),
        *_unary(sp.DIGAMMA, -2.9, -2.1, complex_too=False, tolerance=32.0),
    ],
    sp.Polygamma: [
        Sample(
            sp.POLYGAMMA,
            [np.array([0, 1, 2, 3], "float32"), array((4,), low=0.5, high=4.0)],
            (1,),
        ),
        Sample(
            sp.POLYGAMMA,
            [np.array([[1], [2]], "bfloat16"), array((3,), "bfloat16", 0, 0.5, 4)],
            (1,),
        ),
        Sample(sp.POLYGAMMA, [np.float32(1.5), array((3,))], (), note="nan"),
    ],
    sp.Zeta: [
        Sample(
            sp.Zeta(),
            [array((3, 1), low=1.5, high=4.0), array((4,), low=0.5, high=4.0)],
        ),
        Sample(sp.Zeta(), [np.float32(2), array((4,), low=0.5, high=4.0)], (1,)),
        Sample(
            sp.Zeta(),
            [np.array([1, 2, 2], "float32"), np.array([2, 0, -1.5], "float32")],
            (),
        ),
    ],
    sp.Igamma: _binary(sp.Igamma(), *[_POSITIVE] * 2),
    sp.Igammac: _binary(sp.Igammac(), *[_POSITIVE] * 2),
    sp.IgammaGradA: _binary(sp.IGAMMA_GRAD_A, *[_POSITIVE] * 2),
    sp.RandomGammaGrad: _binary(sp.RandomGammaGrad(), *[_POSITIVE] * 2),
    sp.Slope: [
        *_binary(sp.Slope(kernels.random_gamma_grad, (0,)), *[_POSITIVE] * 2),
        Sample(
            sp.Slope(kernels.betainc, (0, 1)),
            [
                array((2,), low=0.5, high=4.0),
                array((2,), low=0.5, high=4.0),
                np.float32(0.3),
            ],
        ),
    ],
    sp.RegularizedIncompleteBeta: [
        Sample(
            sp.RegularizedIncompleteBeta(),
            [
                array((3, 1), low=0.5, high=4.0),
                array((4,), low=0.5, high=4.0),
                array((4,), low=0.1, high=0.9),
            ],
        ),
        Sample(
            sp.RegularizedIncompleteBeta(),
            [
                array((), low=20, high=30),
                array((), low=20, high=30),
                array((4,), low=0.1, high=0.9),
            ],
        ),
        Sample(
            sp.RegularizedIncompleteBeta(),
            [
                np.array([1, 0, 1, 0, 2, 2, -1], "float32"),
                np.array([1, 1, 0, 0, 2, 2, 1], "float32"),
                np.array([0.5, 0.5, 0.5, 0.5, -0.1, 1, 0.5], "float32"),
            ],
            (),
            note="edges",
        ),
    ],
    sp.BesselI0e: _unary(sp.BesselI0e(), 0.2, 12.0, complex_too=False),
    sp.BesselI1e: _unary(sp.BESSEL_I1E, 0.2, 12.0, complex_too=False),
}
