"""Products and sums of products: dot, matmul, einsum and their relatives.

Every function becomes `dot_general`s by naming axes (`lax/contraction.py`); operands are promoted
first, as everywhere in this package. Eager calls find their operation in a table keyed by the
operands' shapes, so that a product of small arrays costs little more than NumPy's.

`einsum` sums lone labels, takes diagonals of repeated ones and multiplies pair by pair; the
order of more than two operands is opt_einsum's (D. Smith, J. Gray, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ferax import dtypes, shapes
from ferax.config import config
from ferax.core import basis
from ferax.core.array import Array
from ferax.errors import public
from ferax.lax import contraction, convolution, matrices, reduction
from ferax.lax import shape as lax_shape
from ferax.lax.contraction import DotGeneral, PrecisionLike, contract
from ferax.lax.shape import integers, refuse_sharding
from ferax.numpy.elementary import conjugate
from ferax.numpy.promoting import (
    ArrayLike,
    cast,
    operand,
    pair,
    promote,
    promote_inexact,
    unsupported_out,
)

__all__ = [
    "convolve", "correlate", "cross", "dot", "einsum", "einsum_path", "inner", "kron", "matmul",
    "matvec", "outer", "tensordot", "trace", "vdot", "vecdot", "vecmat",
]  # fmt: skip

Labels = tuple[Any, ...]


def _product(
    who: str, plan: Any, x: Any, y: Any, precision: Any, preferred: Any
) -> Any:
    """Contract as a plan says: (shape of x, of y without broadcast axes, labels of x, y, z)."""
    x_shape, y_shape, lx, ly, lz = plan
    x, y = basis.reshape(x, x_shape), basis.reshape(y, y_shape)
    precision = contraction.canonical_precision(precision)
    return contract(
        x, lx, y, ly, lz, precision, contraction.preferred_dtype(who, preferred)
    )


def _mismatch(who: str, xs: Any, ys: Any, rule: str) -> TypeError:
    return TypeError(f"{who}: shapes {tuple(xs)} and {tuple(ys)} do not fit: {rule}")


# -- dot and matmul --------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _dot_op(
    xs: Any, ys: Any, precision: Any = None, preferred: Any = None
) -> DotGeneral:
    """The operation for NumPy's dot; its result needs no permutation."""
    axis = max(len(ys) - 2, 0)
    if xs[-1] != ys[axis]:
        raise _mismatch(
            "dot",
            xs,
            ys,
            f"the last axis of the first (size {xs[-1]}) and axis {axis} of the second (size "
            f"{ys[axis]}) must be equal",
        )
    return DotGeneral(((len(xs) - 1,), (axis,)), ((), ()), precision, preferred)


@public
def dot(
    a: ArrayLike,
    b: ArrayLike,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Σ_k a[…, k] b[…, k, j]: the last axis of `a` with the second to last of `b`.

    Args:
      a: numbers, (*i, k), or a scalar.
      b: numbers, (k,) or (*m, k, j), or a scalar (then the result is the product).
      precision: see `lax.Precision`.
      preferred_element_type: dtype in which to accumulate and answer.

    Returns:
      Array (*i, *m, j), or (*i,) for a vector `b`.

    Raises:
      TypeError: the sizes of the contracted axes differ.

    >>> import ferax.numpy as jnp
    >>> jnp.dot(jnp.arange(3.), jnp.arange(3.))
    Array(5., dtype=float32)
    """
    x, y = pair("dot", a, b)
    xs, ys = x.aval.shape, y.aval.shape
    plain = precision is preferred_element_type is out_sharding is None
    if plain and xs and ys and config.default_matmul_precision is None:
        return _dot_op(xs, ys)(x, y)
    refuse_sharding("dot", out_sharding)
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype("dot", preferred_element_type)
    if xs and ys:
        return _dot_op(xs, ys, precision, preferred)(x, y)
    z = _times(x, y)
    return z if preferred is None else basis.convert(z, preferred)


def _times(x: Any, y: Any) -> Any:
    """The elementwise product; of bools, and."""
    return basis.select(x, y, x) if dtypes.is_bool(x.dtype) else basis.mul(x, y)


@lru_cache(maxsize=4096)
def _matmul_plan(xs: Any, ys: Any) -> Any:
    """A DotGeneral where the batch axes allow, else a plan for `_product`."""
    if not xs or not ys:
        which = "first" if not xs else "second"
        raise ValueError(
            f"matmul: the {which} operand has no dimensions (shapes {xs} and {ys}); scalars are "
            "multiplied with *"
        )
    rows = ys[max(len(ys) - 2, 0)]
    if xs[-1] != rows:
        raise _mismatch(
            "matmul",
            xs,
            ys,
            f"the last axis of the first (size {xs[-1]}) and the "
            f"{'second to last' if len(ys) > 1 else 'only'} axis of the second (size {rows}) "
            "must be equal",
        )
    core_x = ("k",) if len(xs) == 1 else ("i", "k")
    core_y = ("k",) if len(ys) == 1 else ("k", "j")
    return batched_plan(
        "matmul", xs, core_x, ys, core_y, tuple({*core_x, *core_y} & {"i", "j"})
    )


def batched_plan(
    who: str, xs: Any, core_x: Labels, ys: Any, core_y: Labels, core_z: Labels
) -> Any:
    """Leading axes broadcast against each other, the last ones have the labels `core`.

    Axes of size 1 that broadcast are dropped, so that nothing is repeated in memory.
    """
    lead_x, lead_y = xs[: len(xs) - len(core_x)], ys[: len(ys) - len(core_y)]
    try:
        lead = np.broadcast_shapes(lead_x, lead_y)
    except ValueError:
        raise ValueError(
            f"{who}: the leading axes {lead_x} and {lead_y} of shapes {xs} and {ys} do not "
            "broadcast: aligned at the end, sizes must be equal or 1"
        ) from None
    n = len(lead)
    answers = []
    for given, full, core in ((lead_x, xs, core_x), (lead_y, ys, core_y)):
        first = n - len(given)
        kept = [
            i for i in range(len(given)) if not (given[i] == 1 and lead[first + i] != 1)
        ]
        shape = tuple(given[i] for i in kept) + tuple(full[len(given) :])
        answers.append((shape, tuple(first + i for i in kept) + core))
    (x_shape, lx), (y_shape, ly) = answers
    lz = tuple(range(n)) + tuple(sorted(core_z))
    flipped, contracted, batch, axes = contraction.plan(lx, ly, lz)
    if (
        not flipped
        and axes == tuple(range(len(axes)))
        and (x_shape, y_shape) == (xs, ys)
    ):
        return DotGeneral(contracted, batch)
    return x_shape, y_shape, lx, ly, lz


@public
def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The matrix product Σ_k a[…, i, k] b[…, k, j]; leading axes broadcast.

    Args:
      a: numbers, (*m, i, k) or (k,).
      b: numbers, (*m, k, j) or (k,).
      precision: see `lax.Precision`.
      preferred_element_type: dtype in which to accumulate and answer.

    Returns:
      Array (*m, i, j), without i or j where an operand is a vector.

    Raises:
      TypeError: the contracted sizes differ.
      ValueError: an operand is a scalar, or leading axes do not broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.matmul(jnp.ones((5, 2, 3)), jnp.ones((3, 4))).shape
    (5, 2, 4)
    """
    x, y = pair("matmul", a, b)
    plan = _matmul_plan(x.aval.shape, y.aval.shape)
    plain = precision is preferred_element_type is out_sharding is None
    if plain and type(plan) is DotGeneral and config.default_matmul_precision is None:
        return plan(x, y)
    refuse_sharding("matmul", out_sharding)
    return _planned("matmul", plan, x, y, precision, preferred_element_type)


def _planned(
    who: str, plan: Any, x: Any, y: Any, precision: Any, preferred: Any
) -> Any:
    if type(plan) is not DotGeneral:
        return _product(who, plan, x, y, precision, preferred)
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype(who, preferred)
    return DotGeneral(plan.contract_axes, plan.batch_axes, precision, preferred)(x, y)


@lru_cache(maxsize=4096)
def _core_plan(
    who: str, xs: Any, core_x: Labels, ys: Any, core_y: Labels, core_z: Labels
) -> Any:
    if len(xs) < len(core_x) or len(ys) < len(core_y):
        raise ValueError(
            f"{who}: operands need at least {len(core_x)} and {len(core_y)} dimensions; got "
            f"shapes {xs} and {ys}"
        )
    sizes = dict(zip(core_x, xs[len(xs) - len(core_x) :]))
    for label, size in zip(core_y, ys[len(ys) - len(core_y) :]):
        if sizes.setdefault(label, size) != size:
            error = _mismatch(
                who,
                xs,
                ys,
                f"the contracted sizes {sizes[label]} and {size} must be equal",
            )
            raise ValueError(str(error))
    return batched_plan(who, xs, core_x, ys, core_y, core_z)


@public
def vecdot(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    axis: int = -1,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ_k conj(x1[…, k]) x2[…, k] along `axis`; the other axes broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.vecdot(jnp.ones((4, 3)), jnp.arange(3.))
    Array([3., 3., 3., 3.], dtype=float32)
    """
    x, y = promote("vecdot", x1, x2)
    if x.ndim < 1 or y.ndim < 1:
        raise ValueError(
            f"vecdot: operands need a dimension; got {x.aval.short()}, {y.aval.short()}"
        )
    places = [shapes.canonical_axis(axis, v.ndim, "vecdot") for v in (x, y)]
    x, y = (basis.moveaxis(v, i, v.ndim - 1) for v, i in zip((x, y), places))
    plan = _core_plan("vecdot", x.shape, ("k",), y.shape, ("k",), ())
    return _planned(
        "vecdot", plan, _conjugated(x), y, precision, preferred_element_type
    )


def _conjugated(x: Any) -> Any:
    return conjugate(x) if dtypes.is_complex(x.dtype) else x


@public
def matvec(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Σ_k x1[…, i, k] x2[…, k]; leading axes broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.matvec(jnp.ones((5, 2, 3)), jnp.ones((5, 3))).shape
    (5, 2)
    """
    x, y = promote("matvec", x1, x2)
    plan = _core_plan("matvec", x.shape, ("i", "k"), y.shape, ("k",), ("i",))
    return _planned("matvec", plan, x, y, None, None)


@public
def vecmat(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Σ_k conj(x1[…, k]) x2[…, k, j]; leading axes broadcast.

    >>> import ferax.numpy as jnp
    >>> jnp.vecmat(jnp.ones((5, 2)), jnp.ones((5, 2, 3))).shape
    (5, 3)
    """
    x, y = promote("vecmat", x1, x2)
    plan = _core_plan("vecmat", x.shape, ("k",), y.shape, ("k", "j"), ("j",))
    return _planned("vecmat", plan, _conjugated(x), y, None, None)


@public
def vdot(
    a: ArrayLike,
    b: ArrayLike,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ conj(a) b over all elements of two arrays of equal size.

    >>> import ferax.numpy as jnp
    >>> jnp.vdot(jnp.array([1j, 2.]), jnp.array([1j, 2.]))
    Array(5.+0.j, dtype=complex64)
    """
    x, y = promote("vdot", a, b)
    if x.size != y.size:
        raise _mismatch(
            "vdot", x.shape, y.shape, "the operands must have equally many elements"
        )
    x, y = basis.reshape(x, (x.size,)), basis.reshape(y, (y.size,))
    return dot(
        _conjugated(x),
        y,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


@public
def inner(
    a: ArrayLike,
    b: ArrayLike,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ_k a[*i, k] b[*j, k], of shape (*i, *j); with a scalar, the product.

    >>> import ferax.numpy as jnp
    >>> jnp.inner(jnp.ones((2, 3)), jnp.ones((4, 3))).shape
    (2, 4)
    """
    x, y = promote("inner", a, b)
    if not x.shape or not y.shape:
        return dot(
            x, y, precision=precision, preferred_element_type=preferred_element_type
        )
    if x.shape[-1] != y.shape[-1]:
        raise _mismatch(
            "inner", x.shape, y.shape, "the last axes must have equal sizes"
        )
    pairs = ((x.ndim - 1,), (y.ndim - 1,))
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype("inner", preferred_element_type)
    return DotGeneral(pairs, ((), ()), precision, preferred)(x, y)


@public
def outer(a: ArrayLike, b: ArrayLike, out: None = None) -> Array:
    """a[i] b[j] for all pairs of elements, arrays flattened: shape (a.size, b.size).

    >>> import ferax.numpy as jnp
    >>> jnp.outer(jnp.arange(3), jnp.arange(2))
    Array([[0, 0],
           [0, 1],
           [0, 2]], dtype=int32)
    """
    unsupported_out("outer", out)
    x, y = promote("outer", a, b)
    return _times(basis.reshape(x, (x.size, 1)), basis.reshape(y, (1, y.size)))


@public
def kron(a: ArrayLike, b: ArrayLike) -> Array:
    """The Kronecker product: each element of `a` times all of `b`, as blocks.

    >>> import ferax.numpy as jnp
    >>> jnp.kron(jnp.array([1, 10]), jnp.array([1, 2]))
    Array([ 1,  2, 10, 20], dtype=int32)
    """
    x, y = promote("kron", a, b)
    n = max(x.ndim, y.ndim)
    xs = (1,) * (n - x.ndim) + x.shape
    ys = (1,) * (n - y.ndim) + y.shape
    apart_x = tuple(d for size in xs for d in (size, 1))
    apart_y = tuple(d for size in ys for d in (1, size))
    z = _times(basis.reshape(x, apart_x), basis.reshape(y, apart_y))
    return basis.reshape(z, tuple(p * q for p, q in zip(xs, ys)))


@public
def tensordot(
    a: ArrayLike,
    b: ArrayLike,
    axes: int | Sequence[int] | Sequence[Sequence[int]] = 2,
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Contract the given axes of `a` with those of `b`; the result has the rest, a's first.

    Args:
      a, b: numbers.
      axes: n: the last n axes of `a` with the first n of `b`; or (axes of a, axes of b), each a
        sequence or one axis.
      precision, preferred_element_type: as in `dot`.

    Raises:
      TypeError: axes are not pairs of equal sizes.

    >>> import ferax.numpy as jnp
    >>> jnp.tensordot(jnp.ones((2, 3, 4)), jnp.ones((4, 3, 5)), ((1, 2), (1, 0))).shape
    (2, 5)
    """
    refuse_sharding("tensordot", out_sharding)
    x, y = promote("tensordot", a, b)
    if isinstance(axes, (int, np.integer)):
        n = int(axes)
        if n > min(x.ndim, y.ndim):
            raise TypeError(
                f"tensordot: {n} axes cannot be contracted of {x.aval.short()} and "
                f"{y.aval.short()}, which have {x.ndim} and {y.ndim} dimensions"
            )
        pairs: Any = (tuple(range(x.ndim - n, x.ndim)), tuple(range(n)))
    else:
        pairs = _tensordot_axes(axes, x, y)
    for i, j in zip(*pairs):
        if x.shape[i] != y.shape[j]:
            raise _mismatch(
                "tensordot",
                x.shape,
                y.shape,
                f"axis {i} (size {x.shape[i]}) is contracted with axis {j} (size {y.shape[j]}); "
                "sizes must be equal",
            )
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype("tensordot", preferred_element_type)
    return DotGeneral(pairs, ((), ()), precision, preferred)(x, y)


def _tensordot_axes(axes: Any, x: Any, y: Any) -> Any:
    try:
        ax, ay = axes
    except (TypeError, ValueError):
        raise TypeError(
            f"tensordot: axes must be an integer or a pair (axes of a, axes of b); got {axes!r}"
        ) from None
    pairs = (
        shapes.canonical_axes(ax, x.ndim, "tensordot"),
        shapes.canonical_axes(ay, y.ndim, "tensordot"),
    )
    if len(pairs[0]) != len(pairs[1]):
        raise TypeError(
            f"tensordot: axes {ax} of {x.aval.short()} and {ay} of {y.aval.short()} must be "
            "pairs, as many of one as of the other"
        )
    return pairs


@public
def cross(
    a: ArrayLike,
    b: ArrayLike,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Array:
    """The vector product a × b of vectors of 3 (or 2) components.

    Args:
      a: numbers, with 2 or 3 components along `axisa`; the other axes broadcast.
      b: likewise along `axisb`.
      axisa, axisb, axisc: axes of the components in a, b and the result.
      axis: if given, all three of them.

    Returns:
      Array of the vectors, components along `axisc`; of the third components only (without that
      axis) if both operands have two.

    >>> import ferax.numpy as jnp
    >>> jnp.cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promote("cross", a, b)
    x = basis.moveaxis(x, shapes.canonical_axis(axisa, x.ndim, "cross"), x.ndim - 1)
    y = basis.moveaxis(y, shapes.canonical_axis(axisb, y.ndim, "cross"), y.ndim - 1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ValueError(
            f"cross: vectors must have 2 or 3 components; got {x.shape[-1]} and {y.shape[-1]} "
            f"(operands {a.shape if hasattr(a, 'shape') else a} and "
            f"{b.shape if hasattr(b, 'shape') else b})"
        )
    p, q = _components(x), _components(y)
    third = _crossed(p, q, 0, 1)
    if len(p) == len(q) == 2:
        return third
    parts = [_crossed(p, q, 1, 2), _crossed(p, q, 2, 0), third]
    shape = third.shape
    from_parts = [
        basis.expand_dims(basis.broadcast_to(v, shape), (len(shape),)) for v in parts
    ]
    z = lax_shape.Concatenate(len(shape))(*from_parts)
    return basis.moveaxis(z, z.ndim - 1, shapes.canonical_axis(axisc, z.ndim, "cross"))


def _components(x: Any) -> list[Any]:
    last = x.ndim - 1
    return [
        basis.reshape(lax_shape.slice_in_dim(x, i, i + 1, axis=last), x.shape[:-1])
        for i in range(x.shape[-1])
    ]


def _crossed(p: list[Any], q: list[Any], i: int, j: int) -> Any:
    """p_i q_j - p_j q_i; vectors of two components have a third that is zero."""
    forth = basis.mul(p[i], q[j]) if i < len(p) and j < len(q) else None
    back = basis.mul(p[j], q[i]) if j < len(p) and i < len(q) else None
    if forth is None:
        return basis.neg(back)
    return forth if back is None else basis.sub(forth, back)


# -- diagonals and trace ---------------------------------------------------------------------


def diagonal_of(x: Any, offset: int, axis1: int, axis2: int) -> Any:
    """x[…, i, i + offset], with i as the last axis."""
    rest = [i for i in range(x.ndim) if i not in (axis1, axis2)]
    return matrices.diagonal(basis.permute(x, (*rest, axis1, axis2)), offset)


@public
def trace(
    a: ArrayLike,
    offset: int | ArrayLike = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: Any = None,
    out: None = None,
) -> Array:
    """Σ_i a[i, i + offset] over the two axes; the others remain.

    Args:
      a: numbers or bools, at least two dimensions.
      offset: which diagonal; positive ones are above the main one.
      axis1, axis2: the axes of rows and columns.
      dtype: of the result; None: that of `a`, integers of less than 32 bits (64 with x64) widened.

    >>> import ferax.numpy as jnp
    >>> jnp.trace(jnp.arange(6.).reshape(2, 3))
    Array(4., dtype=float32)
    """
    unsupported_out("trace", out)
    x = operand("trace", a)
    first, second = shapes.canonical_axes((axis1, axis2), x.ndim, "trace")
    wanted = sum_dtype(x.dtype) if dtype is None else dtypes.requested(dtype, "trace")
    (offset,) = integers((offset,))
    x = diagonal_of(cast(x, wanted), offset, first, second)
    return basis.reduce_sum(x, (x.ndim - 1,))


def sum_dtype(dtype: Any) -> Any:
    """The dtype in which NumPy sums: narrow integers and bools become the default integer."""
    default = dtypes.canonical(
        np.dtype(np.uint64 if dtypes.is_unsigned(dtype) else np.int64)
    )
    narrow = not dtypes.is_inexact(dtype)
    narrow = narrow and dtypes.itemsize_bits(dtype) < dtypes.itemsize_bits(default)
    return default if narrow else dtype


# -- einsum ----------------------------------------------------------------------------------


class _Term:
    """How one operand enters: axes that broadcast dropped, repeated labels, the labels left."""

    def __init__(self, labels: Labels, shape: Any, sizes: dict[Any, int]):
        kept = [i for i, c in enumerate(labels) if shape[i] == sizes[c]]
        self.shape = tuple(shape[i] for i in kept)
        self.dropped = len(kept) < len(labels)
        self.labels = tuple(labels[i] for i in kept)
        self.diagonals: list[tuple[int, int]] = []  # to be taken in this order
        labels = self.labels
        while len(set(labels)) < len(labels):
            repeated = next(c for c in labels if labels.count(c) > 1)
            i = labels.index(repeated)
            j = labels.index(repeated, i + 1)
            self.diagonals.append((i, j))
            labels = tuple(c for k, c in enumerate(labels) if k not in (i, j)) + (
                repeated,
            )
        self.labels = labels

    def apply(self, x: Any) -> Any:
        x = basis.reshape(x, self.shape)
        for i, j in self.diagonals:
            x = diagonal_of(x, 0, i, j)
        return x


class _Plan:
    """An einsum made ready: terms, then steps (i, j, labels of the result), then the output."""

    def __init__(
        self, terms: list[_Term], output: Labels, path: Sequence[tuple[int, ...]]
    ):
        self.terms = terms
        self.output = output
        self.steps: list[tuple[Any, ...]] = []
        present = [t.labels for t in terms]
        self.sums = [self._lone(i, present) for i in range(len(present))]
        present = [_without(labels, axes) for labels, axes in zip(present, self.sums)]
        for places in path:
            group = sorted(places, reverse=True)
            picked = [(i, present.pop(i)) for i in group][::-1]
            labels = picked[0][1]
            orders = []
            for position, (_, other) in enumerate(picked[1:], 2):
                elsewhere = {c for ls in present for c in ls} | set(output)
                elsewhere |= {c for _, ls in picked[position:] for c in ls}
                final = not present and position == len(picked)
                result = output if final else _natural(labels, other, elsewhere)
                lone = [
                    tuple(
                        k
                        for k, c in enumerate(ls)
                        if c not in elsewhere and c not in rest
                    )
                    for ls, rest in ((labels, other), (other, labels))
                ]
                orders.append(
                    (*lone, _without(labels, lone[0]), _without(other, lone[1]), result)
                )
                labels = result
            self.steps.append(([i for i, _ in picked], orders))
            present.append(labels)
        self.final = tuple(present[0].index(c) for c in output)
        self.direct = self._single_product()

    def _single_product(self) -> DotGeneral | None:
        """The one operation that does it all, if there is one."""
        plain = len(self.terms) == 2 and not any(
            t.diagonals or t.dropped for t in self.terms
        )
        if not plain or any(self.sums):
            return None
        ((_, ((_, _, lx, ly, lz),)),) = self.steps
        flipped, contracted, batch, axes = contraction.plan(lx, ly, lz)
        ordered = axes == tuple(range(len(axes)))
        return DotGeneral(contracted, batch) if ordered and not flipped else None

    def _lone(self, i: int, present: list[Labels]) -> tuple[int, ...]:
        others = {c for k, labels in enumerate(present) if k != i for c in labels}
        others |= set(self.output)
        return tuple(k for k, c in enumerate(present[i]) if c not in others)

    def run(self, arrays: list[Any], multiply: Any) -> Any:
        arrays = [
            _summed(t.apply(x), axes)
            for t, x, axes in zip(self.terms, arrays, self.sums)
        ]
        for places, orders in self.steps:
            picked = [arrays[i] for i in places]
            for i in reversed(places):
                del arrays[i]
            z = picked[0]
            for y, (sum_z, sum_y, lz, ly, result) in zip(picked[1:], orders):
                z = multiply(_summed(z, sum_z), lz, _summed(y, sum_y), ly, result)
            arrays.append(z)
        return basis.permute(arrays[0], self.final)


def _without(labels: Labels, axes: tuple[int, ...]) -> Labels:
    return tuple(c for k, c in enumerate(labels) if k not in axes)


def _natural(lx: Labels, ly: Labels, wanted: set[Any]) -> Labels:
    """The labels of a pair's product that are still wanted, in the order that costs nothing."""
    shared = tuple(c for c in lx if c in ly and c in wanted)
    free = [c for c in lx if c not in ly] + [c for c in ly if c not in lx]
    return shared + tuple(c for c in free if c in wanted)


def _summed(x: Any, axes: tuple[int, ...]) -> Any:
    if axes and dtypes.is_bool(x.dtype):
        return reduction.reduce_or(x, axes)
    return basis.reduce_sum(x, axes)


@lru_cache(maxsize=1024)
def _parse(subscripts: str, count: int) -> tuple[tuple[Labels, ...], Labels | None]:
    """The labels of each operand and of the output (None: implicit)."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != count:
        raise ValueError(
            f"einsum: {subscripts!r} has subscripts for {len(terms)} operands; got {count}"
        )
    for term in (*terms, output):
        plain = term.replace("...", "", 1)
        if not all(c.isalpha() for c in plain):
            raise ValueError(
                f"einsum: {subscripts!r}: subscripts are letters and at most one ellipsis '...' "
                f"per operand; got {term!r}"
            )
    return tuple(map(_letters, terms)), _letters(output) if arrow else None


def _letters(term: str) -> Labels:
    before, dots, after = term.partition("...")
    return (*before, *([Ellipsis] if dots else []), *after)


def _expand(labels: Labels, shape: Any, place: int, shown: str) -> Labels:
    """An ellipsis becomes integer labels, counted from the last axis it stands for."""
    named = len(labels) - (Ellipsis in labels)
    hidden = len(shape) - named
    if hidden < 0 or (hidden and Ellipsis not in labels):
        raise ValueError(
            f"einsum: {shown!r} has {named} subscripts for operand {place}, which has "
            f"{len(shape)} dimensions (shape {tuple(shape)})"
        )
    if Ellipsis not in labels:
        return labels
    i = labels.index(Ellipsis)
    return (*labels[:i], *range(-hidden, 0), *labels[i + 1 :])


def _sizes(terms: list[Labels], given: Sequence[Any], shown: str) -> dict[Any, int]:
    sizes: dict[Any, int] = {}
    for place, (labels, shape) in enumerate(zip(terms, given)):
        for label, size in zip(labels, shape):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                name = (
                    f"label {label!r}"
                    if isinstance(label, str)
                    else "an axis of the ellipsis"
                )
                raise ValueError(
                    f"einsum: {shown!r}: {name} has size {size} in operand {place} and {known} "
                    f"before it (shapes {', '.join(map(str, given))})"
                )
    return sizes


def _output(terms: list[Labels], output: Labels | None, shown: str) -> Labels:
    counts: dict[Any, int] = {}
    for labels in terms:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
    dots = sorted(c for c in counts if _is_hidden(c))
    if output is None:
        return (
            *dots,
            *sorted(c for c, n in counts.items() if n == 1 and not _is_hidden(c)),
        )
    if Ellipsis in output:
        i = output.index(Ellipsis)
        output = (*output[:i], *dots, *output[i + 1 :])
    for label in output:
        if label not in counts:
            raise ValueError(
                f"einsum: {shown!r}: output label {label!r} is in no operand"
            )
        if output.count(label) > 1:
            raise ValueError(f"einsum: {shown!r}: output label {label!r} occurs twice")
    return output


def _is_hidden(label: Any) -> bool:
    return isinstance(label, int) and label < 0


@lru_cache(maxsize=1024)
def _einsum_plan(
    terms: tuple[Labels, ...],
    output: Labels | None,
    given: Any,
    optimize: Any,
    shown: str,
) -> _Plan:
    expanded = [_expand(t, s, i, shown) for i, (t, s) in enumerate(zip(terms, given))]
    sizes = _sizes(expanded, given, shown)
    out = _output(expanded, output, shown)
    if len(expanded) == 1:
        path: Any = []
    elif len(expanded) == 2:
        path = [(0, 1)]
    else:
        path = _path(expanded, out, given, optimize)[0]
    return _Plan([_Term(t, s, sizes) for t, s in zip(expanded, given)], out, path)


def _path(
    terms: list[Labels], output: Labels, given: Any, optimize: Any
) -> tuple[Any, Any]:
    import opt_einsum

    if isinstance(optimize, tuple):
        optimize = [p for p in optimize if not isinstance(p, str)]
    symbols: dict[Any, str] = {}
    for labels in terms:
        for label in labels:
            symbols.setdefault(label, opt_einsum.get_symbol(len(symbols)))
    texts = ["".join(map(symbols.__getitem__, labels)) for labels in (*terms, output)]
    subscripts = f"{','.join(texts[:-1])}->{texts[-1]}"
    try:
        return opt_einsum.contract_path(
            subscripts, *given, shapes=True, optimize=optimize
        )
    except (IndexError, TypeError):
        raise ValueError(
            f"einsum: optimize={optimize!r} is no path through "
            f"{len(terms)} operands, such as {[(0, 1)] * (len(terms) - 1)}"
        ) from None


def _operands(
    who: str, subscripts: Any, operands: Sequence[Any]
) -> tuple[tuple[Labels, ...], Labels | None, list[Any], str]:
    """Labels of the operands and of the output, the operands, and the text for messages."""
    if isinstance(subscripts, str):
        terms, output = _parse(subscripts, len(operands))
        return terms, output, list(operands), subscripts
    mixed = [subscripts, *operands]
    labelled = mixed[1::2] + (mixed[-1:] if len(mixed) % 2 else [])
    if len(mixed) < 2 or not all(isinstance(ls, Sequence) for ls in labelled):
        raise TypeError(
            f"{who}: give subscripts as text, such as 'ij,jk->ik', then the operands; or operands "
            f"and lists of labels in turn. Got {type(subscripts).__name__} first"
        )
    has_output = len(mixed) % 2 == 1
    arrays = mixed[: len(mixed) - has_output : 2]
    lists = [tuple(labels) for labels in mixed[1 : len(mixed) - has_output : 2]]
    output = tuple(mixed[-1]) if has_output else None
    shown = f"{who}(…, {', '.join(map(str, lists))}{f', {output}' if output else ''})"
    return tuple(lists), output, arrays, shown


def _hashable(optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)):
        return tuple(p if isinstance(p, str) else tuple(p) for p in optimize)
    return "auto" if optimize is True else optimize


@public
def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: None = None,
    optimize: str | bool | list[tuple[int, ...]] = "auto",
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    _dot_general: Any = None,
    out_sharding: Any = None,
) -> Array:
    """Einstein's summation: the sum over all labels that the output does not name.

    Args:
      subscripts: "ij,jk->ik": labels of each operand's axes and of the result's; "..." stands for
        any further axes, which broadcast. Without "->" the result has the labels that occur
        once, sorted. Or operands and lists of labels in turn: einsum(x, [0, 1], y, [1, 2], [0, 2]).
      operands: arrays of numbers; axes of size 1 broadcast.
      optimize: how three or more operands are ordered: a method of opt_einsum, a path, or False.
      precision, preferred_element_type: as in `dot`.

    Raises:
      ValueError: the subscripts do not fit the operands or each other.

    >>> import ferax.numpy as jnp
    >>> jnp.einsum("bij,bjk->bik", jnp.ones((5, 2, 3)), jnp.ones((5, 3, 4))).shape
    (5, 2, 4)
    """
    unsupported_out("einsum", out)
    refuse_sharding("einsum", out_sharding)
    terms, output, arrays, shown = _operands("einsum", subscripts, operands)
    arrays = promote("einsum", *arrays)
    given = tuple(x.aval.shape for x in arrays)
    ready = _einsum_plan(terms, output, given, _hashable(optimize), shown)
    plain = precision is preferred_element_type is _dot_general is None
    if plain and ready.direct is not None and config.default_matmul_precision is None:
        return ready.direct(*arrays)
    precision = contraction.canonical_precision(precision)
    preferred = contraction.preferred_dtype("einsum", preferred_element_type)

    def multiply(x: Any, lx: Labels, y: Any, ly: Labels, lz: Labels) -> Any:
        return contract(x, lx, y, ly, lz, precision, preferred, _dot_general)

    z = ready.run(arrays, multiply)
    return cast(z, preferred) if preferred is not None else z


@public
def einsum_path(
    subscripts: Any,
    /,
    *operands: Any,
    optimize: bool | str | list[tuple[int, ...]] = "auto",
) -> tuple[list[tuple[int, ...]], Any]:
    """The order in which `einsum` multiplies, and opt_einsum's report on its cost.

    >>> import ferax.numpy as jnp
    >>> x, y, z = jnp.ones((2, 30)), jnp.ones((30, 4)), jnp.ones((4, 5))
    >>> jnp.einsum_path("ij,jk,kl", x, y, z)[0]
    [(0, 1), (0, 1)]
    """
    terms, output, arrays, shown = _operands("einsum_path", subscripts, operands)
    given = [tuple(np.shape(x)) for x in arrays]
    expanded = [_expand(t, s, i, shown) for i, (t, s) in enumerate(zip(terms, given))]
    _sizes(expanded, given, shown)
    return _path(expanded, _output(expanded, output, shown), given, _hashable(optimize))


# -- convolution of vectors ------------------------------------------------------------------


def _vectors(who: str, a: Any, v: Any) -> tuple[Any, Any]:
    x, y = promote_inexact(who, a, v)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"{who}: operands must have one dimension; got {x.aval.short()} and {y.aval.short()}. "
            "For others see scipy.signal.convolve and lax.conv_general_dilated."
        )
    if not x.size or not y.size:
        raise ValueError(
            f"{who}: operands cannot be empty; got shapes {x.shape} and {y.shape}"
        )
    return x, y


def _slide(who: str, x: Any, y: Any, mode: str, precision: Any, preferred: Any) -> Any:
    """Σ_n x[n + k] y[n], for y not longer than x."""
    precision = contraction.canonical_precision(precision)
    op = _sliding(
        who, y.shape[0], mode, precision, contraction.preferred_dtype(who, preferred)
    )
    z = op(basis.reshape(x, (1, 1, x.size)), basis.reshape(y, (1, 1, y.size)))
    return basis.reshape(z, z.shape[2:])


@lru_cache(maxsize=1024)
def _sliding(who: str, n: int, mode: str, precision: Any, preferred: Any) -> Any:
    pads = {"full": (n - 1, n - 1), "same": (n // 2, n - n // 2 - 1), "valid": (0, 0)}
    if mode not in pads:
        raise ValueError(f"{who}: mode must be 'full', 'same' or 'valid'; got {mode!r}")
    return convolution.ConvGeneralDilated(
        window_strides=(1,),
        padding=(pads[mode],),
        lhs_dilation=(1,),
        rhs_dilation=(1,),
        dimension_numbers=convolution.ConvDimensionNumbers(*[(0, 1, 2)] * 3),
        precision=precision,
        preferred_element_type=preferred,
    )


@public
def convolve(
    a: ArrayLike,
    v: ArrayLike,
    mode: str = "full",
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ_n a[n] v[k - n] of two vectors.

    Args:
      a: numbers, (n,).
      v: numbers, (m,).
      mode: "full": all n + m - 1 values; "same": the middle max(n, m); "valid": those for which
        the shorter one lies within the other.
      precision, preferred_element_type: as in `dot`.

    Returns:
      Floating or complex vector.

    >>> import ferax.numpy as jnp
    >>> jnp.convolve(jnp.array([1., 2., 3.]), jnp.array([1., 10.]))
    Array([ 1., 12., 23., 30.], dtype=float32)
    """
    x, y = _vectors("convolve", a, v)
    if x.shape[0] < y.shape[0]:
        x, y = y, x
    y = lax_shape.rev(y, (0,))
    return _slide("convolve", x, y, mode, precision, preferred_element_type)


@public
def correlate(
    a: ArrayLike,
    v: ArrayLike,
    mode: str = "valid",
    *,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """Σ_n a[n + k] conj(v[n]) of two vectors.

    Args:
      a, v, precision, preferred_element_type: as in `convolve`.
      mode: "valid", "same" or "full", see `convolve`.

    >>> import ferax.numpy as jnp
    >>> jnp.correlate(jnp.array([1., 2., 3.]), jnp.array([0., 1., 0.5]), "full")
    Array([0.5, 2. , 3.5, 3. , 0. ], dtype=float32)
    """
    x, y = _vectors("correlate", a, v)
    y = _conjugated(y)
    if x.shape[0] >= y.shape[0]:
        return _slide("correlate", x, y, mode, precision, preferred_element_type)
    z = _slide("correlate", y, x, mode, precision, preferred_element_type)
    return lax_shape.rev(z, (0,))
