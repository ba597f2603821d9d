"""Checks of derivatives: against finite differences, and of both modes against each other.

All go along random directions t and covectors c, so that each costs a few evaluations: ∂f·t is
compared with (f(x + εt) - f(x - εt)) / 2ε, and ⟨c, ∂f·t⟩ with ⟨cᵀ∂f, t⟩. For complex values the
products are real parts without conjugation, which suits ferax's convention for gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core.tracing import aval_of, to_array
from ferax.errors import public
from ferax.transforms.forward import jvp
from ferax.transforms.reverse import vjp
from ferax.tree_util import flatten, tree_map

__all__ = ["check_derivatives_agree", "check_grads", "check_jvp", "check_vjp"]

# by bytes of a real number: relative and absolute error allowed, step of differences
_TOLERANCE = {1: 0.5, 2: 0.1, 4: 5e-3, 8: 1e-6}
_STEP = {1: 0.5, 2: 0.05, 4: 5e-3, 8: 1e-5}


def _coarsest(table: dict[int, float], *trees: Any) -> float:
    """The entry for the narrowest floating dtype among the leaves."""
    sizes = [
        dtypes.to_real(d).itemsize
        for tree in trees
        for d in (aval_of(x).dtype for x in flatten(tree)[0])
        if dtypes.is_inexact(d)
    ]
    return table[min(sizes, default=8)]


def _direction(rng: np.random.Generator, x: Any) -> Any:
    """A random tangent of an array; float0 where it has none."""
    aval = aval_of(x).tangent()
    if aval.dtype == dtypes.float0:
        return np.zeros(aval.shape, dtypes.float0)
    t = rng.normal(size=aval.shape)
    if dtypes.is_complex(aval.dtype):
        t = t + 1j * rng.normal(size=aval.shape)
    return to_array(np.asarray(t).astype(aval.dtype))


def _directions(seed: int, tree: Any) -> Any:
    rng = np.random.default_rng(seed)
    return tree_map(lambda x: _direction(rng, x), tree)


def _wide(x: Any) -> np.ndarray:
    host = np.asarray(x)
    return host.astype(complex if dtypes.is_complex(host.dtype) else float)


def _moving(tree: Any) -> list[Any]:
    """Leaves that have tangents."""
    return [x for x in flatten(tree)[0] if dtypes.is_inexact(aval_of(x).dtype)]


def _product(a: Any, b: Any) -> float:
    pairs = zip(_moving(a), _moving(b), strict=True)
    return float(sum(np.sum(np.real(_wide(x) * _wide(y))) for x, y in pairs))


def _difference(f: Callable[..., Any], args: Any, ts: Any, step: float) -> list[Any]:
    """(f(x + εt) - f(x - εt)) / 2ε for the leaves that have tangents."""

    def moved(by: float) -> list[Any]:
        def shift(x: Any, t: Any) -> Any:
            if getattr(t, "dtype", None) == dtypes.float0:
                return x
            dtype = aval_of(x).dtype
            return to_array(np.asarray(_wide(x) + by * _wide(t)).astype(dtype))

        return [_wide(y) for y in _moving(f(*tree_map(shift, args, ts)))]

    return [(a - b) / (2 * step) for a, b in zip(moved(step), moved(-step))]


def _assert_close(
    got: Any, want: Any, atol: float, rtol: float, what: str, scale: float = 1.0
) -> None:
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(
            _wide(g), w, rtol=rtol, atol=atol * scale, err_msg=what
        )


@public
def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Raise AssertionError unless a forward derivative is that of finite differences.

    Args:
      f: function of arrays (or pytrees of them).
      f_jvp: function of (primals, tangents) that gives (f(*primals), tangent).
      args: where to check.
      atol, rtol: errors allowed; by default what the dtypes allow.
      eps: step of the differences, likewise.
      err_msg: put in front of the message.
    """
    args = tuple(args)
    tangents = _directions(0, args)
    value, tangent = f_jvp(args, tangents)
    tol = _coarsest(_TOLERANCE, args, value)
    step = _coarsest(_STEP, args, value) if eps is None else eps
    atol, rtol = tol if atol is None else atol, tol if rtol is None else rtol
    _assert_close(
        _moving(value), [_wide(x) for x in _moving(f(*args))], atol, rtol,
        f"{err_msg} the value that the JVP gives is not that of the function",
    )  # fmt: skip
    want = _difference(f, args, tangents, step)
    _assert_close(
        _moving(tangent), want, atol, rtol,
        f"{err_msg} the JVP (ACTUAL) is not the finite difference (DESIRED)",
    )  # fmt: skip


@public
def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Raise AssertionError unless a reverse derivative is that of finite differences.

    Args are those of `check_jvp`, but for `f_vjp`, a function of the arguments that gives
    (f(*args), pull-back).
    """
    args = tuple(args)
    value, pull = f_vjp(*args)
    tol = _coarsest(_TOLERANCE, args, value)
    step = _coarsest(_STEP, args, value) if eps is None else eps
    atol, rtol = tol if atol is None else atol, tol if rtol is None else rtol
    _assert_close(
        _moving(value), [_wide(x) for x in _moving(f(*args))], atol, rtol,
        f"{err_msg} the value that the VJP gives is not that of the function",
    )  # fmt: skip
    tangents, cts = _directions(0, args), _directions(1, value)
    want = _product(_difference(f, args, tangents, step), _moving(cts))
    got = _product(pull(cts), tangents)
    sizes = sum(aval_of(c).size for c in _moving(cts))
    _assert_close(
        [got], [want], atol, rtol,
        f"{err_msg} the VJP (ACTUAL) is not the finite difference (DESIRED)",
        max(1.0, sizes**0.5),
    )  # fmt: skip


@public
def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Raise AssertionError unless the derivatives of `f` are those of finite differences.

    Args:
      f: function of arrays (or pytrees of them).
      args: where to check.
      order: up to which derivative; all sequences of modes are tried.
      modes: "fwd", "rev" or both.
      atol, rtol: errors allowed; by default what the dtypes allow.
      eps: step of the differences, likewise.

    >>> import ferax.numpy as jnp
    >>> from ferax.test_util import check_grads
    >>> check_grads(lambda x, y: jnp.sin(x) * y, (1.0, jnp.ones(3)), order=2)
    """
    unknown = set(modes) - {"fwd", "rev"}
    if unknown:
        raise ValueError(
            f"check_grads: modes are 'fwd' and 'rev'; got {sorted(unknown)}"
        )
    _check_order(f, tuple(args), order, tuple(modes), atol, rtol, eps, "")


def _check_order(
    f: Any, args: Any, order: int, modes: Any, atol: Any, rtol: Any, eps: Any, path: str
) -> None:
    if order < 1:
        return
    if "fwd" in modes:
        name = f"{path}jvp"
        check_jvp(f, partial(jvp, f), args, atol, rtol, eps, f"{name}:")
        if order > 1:
            tangents = _directions(2, args)

            def pushed(*xs: Any) -> Any:
                return jvp(f, xs, tangents)[1]

            _check_order(pushed, args, order - 1, modes, atol, rtol, eps, f"{name} of ")
    if "rev" in modes:
        name = f"{path}vjp"
        check_vjp(f, partial(vjp, f), args, atol, rtol, eps, f"{name}:")
        if order > 1:
            cts = _directions(3, f(*args))

            def pulled(*xs: Any) -> Any:
                return [
                    c
                    for c in flatten(vjp(f, *xs)[1](cts))[0]
                    if c.dtype != dtypes.float0
                ]

            _check_order(pulled, args, order - 1, modes, atol, rtol, eps, f"{name} of ")


@public
def check_derivatives_agree(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    atol: float | None = None,
    rtol: float | None = None,
) -> None:
    """Raise AssertionError unless forward and reverse mode give the same derivative.

    For functions whose modes have rules of their own (`custom_derivative`). Neither is compared
    with the function: the derivative of a rounding that is meant to be 1 is 1 in both.

    Args:
      f: function of arrays (or pytrees of them).
      args: where to check.
      order: up to which derivative: 1, or 2 for derivatives of both derivatives too.
      atol, rtol: errors allowed; by default what the dtypes allow.

    >>> from ferax.test_util import check_derivatives_agree
    >>> check_derivatives_agree(lambda x: x**3, (2.0,), order=2)
    """
    args = tuple(args)
    tangents = _directions(4, args)
    value, pushed = jvp(f, args, tangents)
    cts = _directions(5, value)
    pulled = vjp(f, *args)[1](cts)
    tol = _coarsest(_TOLERANCE, args, value)
    got, want = _product(pulled, tangents), _product(cts, pushed)
    np.testing.assert_allclose(
        got,
        want,
        rtol=tol if rtol is None else rtol,
        atol=tol if atol is None else atol,
        err_msg="the VJP (ACTUAL) is not the transpose of the JVP (DESIRED)",
    )
    if order > 1:

        def forward(*xs: Any) -> Any:
            return jvp(f, xs, tangents)[1]

        def reverse(*xs: Any) -> Any:
            return _moving(vjp(f, *xs)[1](cts))

        for derivative in (forward, reverse):
            check_derivatives_agree(derivative, args, order - 1, atol, rtol)
