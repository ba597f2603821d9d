"""The operations behind the functions: one instance each, and the scalars they meet.

Functions of this folder apply operations directly where dtypes are settled: `ADD(x, y)` is a
bind without a second round of checks, and promotes nothing. `at_once` is for the few functions
that take many operations but are one function of NumPy with the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferax.core.array import Concrete
from ferax.core.avals import Aval
from ferax.core.basis import ADD, MUL, NEG, SUB
from ferax.core.basis import typed_scalar as scalar
from ferax.core.tracing import state
from ferax.lax import elementwise as el

__all__ = [
    "ABS", "ADD", "AND", "BOOL", "DIV", "EQ", "EVEN", "EXP", "GE", "GT", "LE", "LOG", "LOG1P",
    "LT", "MAX", "MIN", "MUL", "NE", "NEG", "NOT", "OR", "POW", "REM", "SIN", "SQRT", "SQUARE",
    "SUB", "XOR", "at_once", "scalar",
]  # fmt: skip

BOOL = np.dtype(np.bool_)

DIV, REM, POW, MAX, MIN = el.Div(), el.Rem(), el.Pow(), el.Max(), el.Min()
ABS, SQUARE, SQRT = el.Abs(), el.Square(), el.Sqrt()
AND, OR, XOR, NOT = el.And(), el.Or(), el.Xor(), el.Not()
EQ, NE, LT, LE, GT, GE = el.Eq(), el.Ne(), el.Lt(), el.Le(), el.Gt(), el.Ge()
EXP, LOG, LOG1P, SIN = el.Exp(), el.Log(), el.Log1p(), el.Sin()
EVEN = el.Round(el.RoundingMethod.TO_NEAREST_EVEN)


def at_once(function: Callable[..., Any], *arrays: Any, dtype: Any = None) -> Any:
    """`function` of arrays of one dtype whose values are at hand; None if one's are not.

    `dtype`: of the result, if it is not that of the arrays.
    """
    if state.trace is not None:
        return None
    hosts = []
    weak = dtype is None
    for x in arrays:
        if type(x) is not Concrete or x._host is None:
            return None
        hosts.append(x._host)
        weak = weak and x.aval.weak_type
    try:
        out = state.quiet(function, *hosts)
    except ValueError:  # shapes do not fit: the operation says it better
        return None
    carrier = hosts[0].dtype if dtype is None else dtype
    if type(out) is not np.ndarray or out.dtype != carrier:
        out = np.asarray(out, carrier)
    return Concrete(
        Aval(out.shape, arrays[0].aval.dtype if dtype is None else dtype, weak), out
    )
