"""Derivatives of the kernels of special functions by parameters that have no formula.

A kernel (see `kernels.py`) runs in any mathematics. That of `Slopes` is arithmetic on pairs of a
value and its derivative by one operand (R. E. Wengert, "A simple automatic derivative evaluation
program", 1964); pairs of pairs give second derivatives. A loop ends when the values have converged,
and so have the slopes by then, but for a few digits; except in fractions that end early, as they do
for small whole parameters: hence `least`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferax.lax.kernels import Kernel


class Dual:
    """A value and its slope (None: 0), with the operators of arithmetic."""

    __slots__ = ("slope", "value")
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # NumPy's arrays leave operators to this class

    def __init__(self, value: Any, slope: Any):
        self.value = value
        self.slope = slope

    def __add__(self, other: Any) -> Dual:
        return Dual(self.value + value(other), _sum(self.slope, slope(other)))

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, None if self.slope is None else -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -other

    def __rsub__(self, other: Any) -> Dual:
        return other + -self

    def __mul__(self, other: Any) -> Dual:
        x, y = self.value, value(other)
        return Dual(x * y, _sum(_times(self.slope, y), _times(slope(other), x)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        return _quotient(self, other)

    def __rtruediv__(self, other: Any) -> Dual:
        return _quotient(other, self)

    def __lt__(self, other: Any) -> Any:
        return self.value < value(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= value(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > value(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= value(other)

    def __eq__(self, other: Any) -> Any:
        return self.value == value(other)

    def __ne__(self, other: Any) -> Any:
        return self.value != value(other)


def value(x: Any) -> Any:
    return x.value if type(x) is Dual else x


def slope(x: Any) -> Any:
    return x.slope if type(x) is Dual else None


def _sum(x: Any, y: Any) -> Any:
    if x is None:
        return y
    return x if y is None else x + y


def _times(x: Any, y: Any) -> Any:
    return None if x is None else x * y


def _quotient(x: Any, y: Any) -> Dual:
    divisor = value(y)
    ratio = value(x) / divisor
    change = _sum(slope(x), _times(slope(y), -ratio))
    return Dual(ratio, None if change is None else change / divisor)


class Slopes:
    """A kernel's mathematics on Duals, in terms of another mathematics."""

    least = 60.0

    def __init__(self, m: Any):
        self.m = m
        self.is_double = m.is_double
        self.epsilon = m.epsilon

    def chained(self, x: Any, y: Any, factor: Any) -> Dual:
        """y = f(x) with f'(x) = factor()."""
        return Dual(y, None if slope(x) is None else slope(x) * factor())

    def exp(self, x: Any) -> Dual:
        y = self.m.exp(value(x))
        return self.chained(x, y, lambda: y)

    def log(self, x: Any) -> Dual:
        return self.chained(x, self.m.log(value(x)), lambda: 1.0 / value(x))

    def log1p(self, x: Any) -> Dual:
        return self.chained(x, self.m.log1p(value(x)), lambda: 1.0 / (1.0 + value(x)))

    def sqrt(self, x: Any) -> Dual:
        y = self.m.sqrt(value(x))
        return self.chained(x, y, lambda: 0.5 / y)

    def abs(self, x: Any) -> Dual:
        return self.chained(x, self.m.abs(value(x)), lambda: self.m.sign(value(x)))

    def sign(self, x: Any) -> Dual:
        return Dual(self.m.sign(value(x)), None)

    def floor(self, x: Any) -> Dual:
        return Dual(self.m.floor(value(x)), None)

    def where(self, condition: Any, x: Any, y: Any) -> Dual:
        chosen = self.m.where(condition, value(x), value(y))
        dx, dy = slope(x), slope(y)
        if dx is None and dy is None:
            return Dual(chosen, None)
        dx, dy = (0.0 if d is None else d for d in (dx, dy))
        return Dual(chosen, self.m.where(condition, dx, dy))

    def loop(self, active: Kernel, step: Kernel, state: Sequence[Any]) -> list[Dual]:
        """The same loop; what ends it are the values."""

        def paired(parts: Sequence[Any]) -> list[Dual]:
            return [Dual(v, s) for v, s in zip(parts[::2], parts[1::2])]

        def parts(state: Sequence[Any]) -> list[Any]:
            found: list[Any] = []
            for x in state:
                v, s = value(x), slope(x)
                found += [v, 0.0 * v if s is None else s]
            return found

        outs = self.m.loop(
            lambda *now: active(*paired(now)),
            lambda *now: parts(step(*paired(now))),
            parts(state),
        )
        return paired(outs)


def sloped(kernel: Kernel, by: Sequence[int]) -> Kernel:
    """The kernel of the derivative of `kernel` by the operands at the places `by`, in turn."""
    if not by:
        return kernel
    place, inner = by[0], sloped(kernel, by[1:])

    def derivative(m: Any, *xs: Any) -> Any:
        duals = [
            Dual(x, 1.0 + 0.0 * x if i == place else None) for i, x in enumerate(xs)
        ]
        result = slope(inner(Slopes(m), *duals))
        return 0.0 * xs[place] if result is None else result

    return derivative
