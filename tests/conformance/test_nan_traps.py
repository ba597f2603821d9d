"""Places where naive derivatives are nan, each with the value that is documented.

Conventions. At a kink a derivative lies between the one-sided ones: |x| and relu have 0 at 0, what
ties for the maximum shares it evenly. A norm and a standard deviation have 0 where they are 0, an
angle at the origin. Where only one side exists it is the one-sided one: √x has inf at 0. Where a
factor 0 makes the limit finite it is the limit.

What was not taken passes exactly 0 on, and what is linear in it multiplies that by its slope. So an
infinite slope under an untaken branch is 0 · inf = nan, as no linear rule can know better: give the
branch a harmless operand (`guarded_sqrt`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax, nn

grad, inf, nan = ferax.grad, math.inf, math.nan


class Trap(NamedTuple):
    """A thunk, what it gives, and why."""

    run: Any
    want: Any
    note: str = ""


def _ops() -> Any:
    return pytest.importorskip("ferax.ops")


def second(f: Any) -> Any:
    return grad(grad(f))


def total(f: Any) -> Any:
    """The gradient of the sum of f's results."""
    return grad(lambda *xs: jnp.sum(f(*xs)))


def both(f: Any) -> Any:
    return grad(f, (0, 1))


def guarded_sqrt(x: Any) -> Any:
    """The idiom: the branch that is not taken gets a harmless operand."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def zeros(n: int = 3) -> Any:
    return jnp.zeros(n)


def _masked_scan(xs: Any) -> Any:
    """The sum of the logarithms of the positive elements."""

    def step(carry: Any, x: Any) -> Any:
        safe = jnp.where(x > 0, x, 1.0)
        return carry + jnp.where(x > 0, jnp.log(safe), 0.0), None

    return lax.scan(step, 0.0, xs)[0]


TRAPS: dict[str, Trap] = {
    # branches that are not taken
    "where, naive": Trap(
        lambda: grad(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0))(0.0), nan
    ),
    "where, naive, away from the pole": Trap(
        lambda: grad(lambda x: jnp.where(x > 0, jnp.sin(x), jnp.exp(-x)))(200.0),
        math.cos(200.0),
    ),
    "where, double": Trap(
        lambda: grad(guarded_sqrt)(0.0),
        0.0,
    ),
    "where, log, double": Trap(
        lambda: total(
            lambda x: jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0)
        )(jnp.array([-1.0, 0.0, 2.0])),
        [0.0, 0.0, 0.5],
    ),
    "where, double, second": Trap(
        lambda: second(guarded_sqrt)(0.0),
        0.0,
    ),
    "where, 0/0, double": Trap(
        lambda: grad(
            lambda x: jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))
        )(0.0),
        0.0,
    ),
    "where under vmap": Trap(
        lambda: ferax.vmap(grad(guarded_sqrt))(jnp.array([-1.0, 0.0, 4.0])),
        [0.0, 0.0, 0.25],
    ),
    "cond": Trap(
        lambda: grad(lambda x: lax.cond(x > 0, jnp.sqrt, lambda v: 0.0 * v, x))(0.0),
        0.0,
    ),
    "scan with masked steps": Trap(
        lambda: grad(_masked_scan)(jnp.array([2.0, -1.0, 0.0, 4.0])),
        [0.5, 0.0, 0.0, 0.25],
    ),
    "select": Trap(lambda: grad(lambda x: jnp.select([x > 0], [x], 0.0))(nan), 0.0),
    "piecewise": Trap(
        lambda: total(lambda x: jnp.piecewise(x, [x > 1.0], [jnp.sin, 2.0]))(
            jnp.array([0.0, 1.0])
        ),
        [0.0, 0.0],
    ),
    # roots and powers at 0
    "sqrt": Trap(lambda: grad(jnp.sqrt)(0.0), inf, "one-sided"),
    "sqrt of square, shifted": Trap(
        lambda: grad(lambda x: jnp.sqrt(1e-12 + x * x))(0.0), 0.0
    ),
    "cbrt": Trap(lambda: grad(jnp.cbrt)(0.0), inf),
    "rsqrt": Trap(lambda: grad(lax.rsqrt)(inf), 0.0),
    "x**2": Trap(
        lambda: [grad(lambda x: x**2)(0.0), second(lambda x: x**2)(0.0)], [0.0, 2.0]
    ),
    "x**2.0": Trap(
        lambda: [grad(lambda x: x**2.0)(0.0), second(lambda x: x**2.0)(0.0)], [0.0, 2.0]
    ),
    "x**0": Trap(
        lambda: [grad(lambda x: x**0)(0.0), second(lambda x: x**0)(0.0)], [0.0, 0.0]
    ),
    "x**0.0": Trap(lambda: grad(lambda x: jnp.power(x, 0.0))(0.0), 0.0),
    "x**1.0": Trap(lambda: grad(lambda x: jnp.power(x, 1.0))(0.0), 1.0),
    "x**0.5": Trap(lambda: grad(lambda x: x**0.5)(0.0), inf, "one-sided"),
    "power, by the exponent": Trap(
        lambda: [grad(lambda y: jnp.power(0.0, y))(y) for y in (0.0, 1.0, 2.0)],
        [0.0, 0.0, 0.0],
    ),
    "power, both": Trap(lambda: both(jnp.power)(0.0, 2.0), (0.0, 0.0)),
    "power, both, 0⁰": Trap(lambda: both(jnp.power)(0.0, 0.0), (0.0, 0.0)),
    "power, mixed second": Trap(
        lambda: grad(lambda x: grad(jnp.power, 1)(x, 2.0))(0.0), 0.0, "2 x log x + x"
    ),
    "power of a negative base": Trap(
        lambda: grad(lambda x: jnp.power(x, 3.0))(-2.0), 12.0
    ),
    "float_power": Trap(lambda: grad(lambda x: jnp.float_power(x, 2))(0.0), 0.0),
    # norms and lengths
    "norm": Trap(lambda: grad(jnp.linalg.norm)(zeros()), [0.0] * 3),
    "norm, order 1": Trap(
        lambda: grad(lambda x: jnp.linalg.norm(x, 1))(zeros()), [0.0] * 3
    ),
    "norm, order inf": Trap(
        lambda: grad(lambda x: jnp.linalg.norm(x, jnp.inf))(zeros()), [0.0] * 3
    ),
    "norm, order 3": Trap(
        lambda: grad(lambda x: jnp.linalg.norm(x, 3))(zeros()), [0.0] * 3
    ),
    "norm, Frobenius": Trap(
        lambda: grad(lambda x: jnp.linalg.norm(x, "fro"))(jnp.zeros((2, 2))),
        np.zeros((2, 2)),
    ),
    "norm, by rows": Trap(
        lambda: total(lambda x: jnp.linalg.norm(x, axis=1))(
            jnp.array([[3.0, 4.0], [0.0, 0.0]])
        ),
        [[0.6, 0.8], [0.0, 0.0]],
    ),
    "hypot": Trap(lambda: both(jnp.hypot)(0.0, 0.0), (0.0, 0.0)),
    "hypot, one 0": Trap(lambda: both(jnp.hypot)(3.0, 0.0), (1.0, 0.0)),
    "abs of a complex 0": Trap(lambda: grad(lambda x: jnp.abs(x + 0j * x))(0.0), 0.0),
    "arctan2": Trap(lambda: both(jnp.arctan2)(0.0, 0.0), (0.0, 0.0)),
    "arctan2 on the axes": Trap(lambda: both(jnp.arctan2)(0.0, 2.0), (0.5, 0.0)),
    "angle": Trap(lambda: grad(lambda x: jnp.angle(x + 1j * x))(0.0), 0.0),
    # kinks and ties
    "abs": Trap(lambda: [grad(jnp.abs)(0.0), second(jnp.abs)(0.0)], [0.0, 0.0]),
    "sign": Trap(lambda: grad(jnp.sign)(0.0), 0.0),
    "relu": Trap(lambda: [grad(nn.relu)(0.0), second(nn.relu)(0.0)], [0.0, 0.0]),
    "maximum, tie": Trap(lambda: both(jnp.maximum)(1.0, 1.0), (0.5, 0.5)),
    "max, ties": Trap(
        lambda: grad(jnp.max)(jnp.array([1.0, 3.0, 3.0])), [0.0, 0.5, 0.5]
    ),
    "min of infinities": Trap(lambda: grad(jnp.min)(jnp.array([inf, inf])), [0.5, 0.5]),
    "clip at its bounds": Trap(
        lambda: total(lambda x: jnp.clip(x, 0.0, 1.0))(jnp.array([-1.0, 0.5, 2.0])),
        [0, 1, 0],
    ),
    "clip of nan's neighbour": Trap(
        lambda: grad(lambda x: jnp.clip(x, 0.0, 1.0))(inf), 0.0
    ),
    "floor, round, ceil": Trap(
        lambda: [grad(f)(1.0) for f in (jnp.floor, jnp.round, jnp.ceil)], [0.0] * 3
    ),
    "median": Trap(
        lambda: grad(jnp.median)(jnp.array([1.0, 1.0, 1.0])), [0.0, 1.0, 0.0]
    ),
    "percentile": Trap(
        lambda: grad(lambda x: jnp.percentile(x, 50.0))(jnp.array([1.0, 2.0])),
        [0.5, 0.5],
    ),
    "sort with infinities": Trap(
        lambda: grad(lambda x: jnp.sort(x)[0])(jnp.array([inf, 1.0, inf])),
        [0.0, 1.0, 0.0],
    ),
    # logarithms of sums, probabilities
    "logaddexp": Trap(lambda: both(jnp.logaddexp)(-inf, -inf), (0.5, 0.5)),
    "logaddexp, one": Trap(lambda: both(jnp.logaddexp)(-inf, 1.0), (0.0, 1.0)),
    "logaddexp of inf": Trap(lambda: both(jnp.logaddexp)(inf, inf), (0.5, 0.5)),
    "logsumexp of -inf": Trap(
        lambda: grad(nn.logsumexp)(jnp.full(2, -inf)), [0.0, 0.0], "nothing to share"
    ),
    "logsumexp, some -inf": Trap(
        lambda: grad(nn.logsumexp)(jnp.array([-inf, 0.0, 0.0])), [0.0, 0.5, 0.5]
    ),
    "logsumexp, huge": Trap(
        lambda: grad(nn.logsumexp)(jnp.array([1e4, 1e4])), [0.5, 0.5]
    ),
    "softmax with -inf": Trap(
        lambda: grad(lambda x: nn.softmax(x)[1])(jnp.array([-inf, 0.0, 0.0])),
        [0.0, 0.25, -0.25],
    ),
    "softmax, masked": Trap(
        lambda: grad(lambda x: nn.softmax(x, where=jnp.array([True, True, False]))[0])(
            jnp.array([0.0, 0.0, nan])
        ),
        [0.25, -0.25, 0.0],
    ),
    "log_softmax, extreme": Trap(
        lambda: grad(lambda x: nn.log_softmax(x)[0])(jnp.array([1e4, -1e4])), [0.0, 0.0]
    ),
    "log_softmax with -inf": Trap(
        lambda: grad(lambda x: nn.log_softmax(x)[1])(jnp.array([-inf, 0.0])), [0.0, 0.0]
    ),
    "x log x, guarded": Trap(
        lambda: grad(
            lambda x: jnp.where(x == 0, 0.0, x * jnp.log(jnp.where(x == 0, 1.0, x)))
        )(0.0),
        0.0,
    ),
    "logit": Trap(
        lambda: [grad(lambda p: jnp.log(p) - jnp.log1p(-p))(p) for p in (0.0, 1.0)],
        [inf, inf],
    ),
    "log1p": Trap(lambda: grad(jnp.log1p)(-1.0), inf, "a pole"),
    "log": Trap(lambda: grad(jnp.log)(0.0), inf, "a pole"),
    "expm1": Trap(lambda: [grad(jnp.expm1)(x) for x in (-1e4, 0.0)], [0.0, 1.0]),
    "cumlogsumexp": Trap(
        lambda: total(lax.cumlogsumexp)(jnp.array([-inf, -inf, 0.0])), [0.0, 0.0, 1.0]
    ),
    # saturation
    "sigmoid": Trap(
        lambda: [grad(nn.sigmoid)(x) for x in (-1e4, 0.0, 1e4)], [0.0, 0.25, 0.0]
    ),
    "sigmoid, second": Trap(
        lambda: [second(nn.sigmoid)(x) for x in (-1e4, 1e4)], [0.0, 0.0]
    ),
    "log_sigmoid": Trap(
        lambda: [grad(nn.log_sigmoid)(x) for x in (-1e4, 1e4)], [1.0, 0.0]
    ),
    "softplus": Trap(
        lambda: [grad(nn.softplus)(x) for x in (-1e4, 0.0, 1e4)], [0.0, 0.5, 1.0]
    ),
    "softplus, second": Trap(
        lambda: [second(nn.softplus)(x) for x in (-1e4, 0.0, 1e4)], [0.0, 0.25, 0.0]
    ),
    "tanh": Trap(
        lambda: [grad(jnp.tanh)(x) for x in (-1e4, 0.0, inf)] + [second(jnp.tanh)(1e4)],
        [0.0, 1.0, 0.0, 0.0],
    ),
    "gelu": Trap(lambda: [grad(nn.gelu)(x) for x in (-1e4, 1e4)], [0.0, 1.0]),
    "gelu, exact": Trap(
        lambda: [grad(lambda v: nn.gelu(v, approximate=False))(x) for x in (-1e4, 1e4)],
        [0.0, 1.0],
    ),
    "silu": Trap(lambda: [grad(nn.silu)(x) for x in (-1e4, 1e4)], [0.0, 1.0]),
    "elu": Trap(lambda: [grad(nn.elu)(x) for x in (-1e4, 1e4)], [0.0, 1.0]),
    "selu, celu": Trap(
        lambda: [grad(f)(1e4) for f in (nn.selu, nn.celu)], [1.0507009873554805, 1]
    ),
    "erf_inv": Trap(lambda: [grad(lax.erf_inv)(x) for x in (-1.0, 1.0)], [inf, inf]),
    "erf, erfc": Trap(lambda: [grad(f)(inf) for f in (lax.erf, lax.erfc)], [0.0, 0.0]),
    "arcsin, arccos": Trap(
        lambda: [grad(f)(x) for f in (jnp.arcsin, jnp.arccos) for x in (-1.0, 1.0)],
        [inf, inf, -inf, -inf],
    ),
    "arctan": Trap(lambda: grad(jnp.arctan)(1e30), 0.0),
    "arcsinh": Trap(
        lambda: [grad(jnp.arcsinh)(x) for x in (1e30, -1e30)], [1e-30, 1e-30]
    ),
    "arctanh": Trap(lambda: grad(jnp.arctanh)(1.0), inf, "a pole"),
    "arccosh": Trap(lambda: grad(jnp.arccosh)(1.0), inf, "one-sided"),
    "nan_to_num": Trap(
        lambda: total(jnp.nan_to_num)(jnp.array([nan, inf, -inf, 1.0])),
        [0.0, 0.0, 0.0, 1.0],
    ),
    "sinc": Trap(
        lambda: [grad(jnp.sinc)(0.0), second(jnp.sinc)(0.0)], [0.0, -(math.pi**2) / 3]
    ),
    # products and reductions
    "prod with a 0": Trap(
        lambda: grad(jnp.prod)(jnp.array([2.0, 0.0, 3.0])), [0.0, 6.0, 0.0]
    ),
    "prod with two 0": Trap(
        lambda: grad(jnp.prod)(jnp.array([0.0, 0.0, 3.0])), [0.0] * 3
    ),
    "cumprod with a 0": Trap(
        lambda: total(jnp.cumprod)(jnp.array([2.0, 0.0, 3.0])), [1.0, 8.0, 0.0]
    ),
    "var of constants": Trap(lambda: grad(jnp.var)(jnp.ones(3)), [0.0] * 3),
    "std of constants": Trap(lambda: grad(jnp.std)(jnp.ones(3)), [0.0] * 3),
    "std of one": Trap(lambda: grad(jnp.std)(jnp.ones(1)), [0.0]),
    "standardize constants": Trap(
        lambda: total(nn.standardize)(jnp.ones(4)), [0.0] * 4
    ),
    "mean where nothing": Trap(
        lambda: grad(lambda x: jnp.sum(x, where=jnp.zeros(3, bool)))(
            jnp.array([1.0, nan, inf])
        ),
        [0.0] * 3,
    ),
    "sum where": Trap(
        lambda: grad(lambda x: jnp.sum(x * x, where=jnp.isfinite(x)))(
            jnp.array([1.0, 2.0, 3.0])
        ),
        [2.0, 4.0, 6.0],
    ),
    "nanmean": Trap(
        lambda: grad(jnp.nanmean)(jnp.array([1.0, nan, 3.0])), [0.5, 0.0, 0.5]
    ),
    "nansum, nanprod": Trap(
        lambda: [grad(f)(jnp.array([2.0, nan])) for f in (jnp.nansum, jnp.nanprod)],
        [[1.0, 0.0], [1.0, 0.0]],
    ),
    "nanstd": Trap(
        lambda: grad(jnp.nanvar)(jnp.array([1.0, nan, 1.0])), [0.0, 0.0, 0.0]
    ),
    "nanmax": Trap(
        lambda: grad(jnp.nanmax)(jnp.array([1.0, nan, 3.0])), [0.0, 0.0, 1.0]
    ),
    "sum of nothing": Trap(lambda: grad(jnp.sum)(jnp.zeros(0)), np.zeros(0)),
    "segment_sum, empty segment": Trap(
        lambda: total(lambda x: _ops().segment_sum(x, jnp.array([0, 2]), 3) ** 2)(
            jnp.array([1.0, 2.0])
        ),
        [2.0, 4.0],
    ),
    "segment_max, empty segment": Trap(
        lambda: grad(lambda x: _ops().segment_max(x, jnp.array([0, 2, 2]), 3)[2])(
            jnp.array([1.0, 2.0, 5.0])
        ),
        [0.0, 0.0, 1.0],
    ),
    "division, guarded": Trap(
        lambda: grad(
            lambda x, y: jnp.where(y == 0, 0.0, x / jnp.where(y == 0, 1.0, y)), (0, 1)
        )(1.0, 0.0),
        (0.0, 0.0),
    ),
    "fmod, remainder": Trap(
        lambda: [grad(lambda x: jnp.fmod(x, 2.0))(4.0), grad(lambda x: x % 2.0)(4.0)],
        [1.0, 1.0],
    ),
    "lgamma, digamma at infinity": Trap(lambda: grad(lax.lgamma)(1e30), math.log(1e30)),
    "bessel": Trap(
        lambda: [grad(f)(0.0) for f in (lax.bessel_i0e, lax.bessel_i1e)], [0.0, 0.5]
    ),
    "interp at a node": Trap(
        lambda: grad(
            lambda x: jnp.interp(
                x, jnp.array([0.0, 1.0, 1.0, 2.0]), jnp.array([0.0, 1.0, 2.0, 3.0])
            )
        )(0.5),
        1.0,
    ),
    "distance to itself": Trap(
        lambda: total(lambda x: jnp.linalg.norm(x[:, None] - x[None], axis=-1))(
            jnp.array([[0.0, 0.0], [3.0, 4.0]])
        ),
        [[-1.2, -1.6], [1.2, 1.6]],
    ),
}


def _numbers(x: Any) -> list[Any]:
    return [np.asarray(leaf, np.float64) for leaf in ferax.tree.leaves(x)]


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize("name", TRAPS)
def test_the_documented_value(name, way):
    """Each trap gives its documented value, not nan, eager and compiled."""
    trap = TRAPS[name]
    got = trap.run() if way == "eager" else ferax.jit(trap.run)()
    got, want = _numbers(got), _numbers(trap.want)
    got = np.concatenate([g.ravel() for g in got])
    want = np.concatenate([w.ravel() for w in want])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
