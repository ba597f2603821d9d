"""Sums of products: `dot_general`, and what is asked of it (precision, accumulation dtype).

Axes are named by labels: of `x[b, i, k]` and `y[b, k, j]`, labels in both and in the result are
batch axes, labels in both but not in the result are contracted. The transpose and the batch rule
then are the same contraction, relabelled (`contract`). Contractions are bilinear: nothing is
conjugated, so the transpose does not conjugate either.

On the host the contraction is one BLAS call wherever its axes allow (`_kernel` decides once per
operation and dtypes). NumPy has BLAS for float32, float64 and complex only: 16- and 8-bit floats
are widened to float32, and large integer products are computed in float64 as long as every
partial sum stays below 2**53, where that is exact.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ferax import dtypes, shapes
from ferax.config import config
from ferax.core import basis
from ferax.core.avals import Aval, LinearInput
from ferax.core.basis import Multilinear
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.shape import integers, refuse_sharding

__all__ = [
    "DotAlgorithm", "DotAlgorithmPreset", "DotDimensionNumbers", "Precision", "PrecisionLike",
    "batch_matmul", "dot", "dot_general",
]  # fmt: skip

AxisPairs = tuple[tuple[int, ...], tuple[int, ...]]  # axes of x, axes of y
DotDimensionNumbers = tuple[AxisPairs, AxisPairs]
Labels = tuple[Any, ...]


# -- precision -------------------------------------------------------------------------------


class Precision(enum.Enum):
    """How exactly float32 products are computed on hardware with faster, coarser units.

    DEFAULT is the fastest (bfloat16 or TensorFloat-32 inputs), HIGHEST full float32. CPUs always
    compute at full precision.
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    def __str__(self) -> str:
        return self.name


class DotAlgorithm(NamedTuple):
    """The arithmetic of a matrix product in full, as `precision=`; see StableHLO's dot_general.

    Accelerators obey it; on the CPU products are at least as exact.
    """

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


class DotAlgorithmPreset(enum.Enum):
    """Usual dot algorithms: operand type, operand type, accumulation type."""

    DEFAULT = enum.auto()
    ANY_F8_ANY_F8_F32 = enum.auto()
    ANY_F8_ANY_F8_F32_FAST_ACCUM = enum.auto()
    ANY_F8_ANY_F8_ANY = enum.auto()
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = enum.auto()
    F16_F16_F16 = enum.auto()
    F16_F16_F32 = enum.auto()
    BF16_BF16_BF16 = enum.auto()
    BF16_BF16_F32 = enum.auto()
    BF16_BF16_F32_X3 = enum.auto()
    BF16_BF16_F32_X6 = enum.auto()
    BF16_BF16_F32_X9 = enum.auto()
    TF32_TF32_F32 = enum.auto()
    TF32_TF32_F32_X3 = enum.auto()
    F32_F32_F32 = enum.auto()
    F64_F64_F64 = enum.auto()

    def __str__(self) -> str:
        return self.name


_SYNONYMS = {
    "default": Precision.DEFAULT, "bfloat16": Precision.DEFAULT, "fastest": Precision.DEFAULT,
    "high": Precision.HIGH, "bfloat16_3x": Precision.HIGH, "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST, "float32": Precision.HIGHEST,
}  # fmt: skip

PrecisionLike = (
    str | Precision | tuple[str, str] | tuple[Precision, Precision] | DotAlgorithm
    | DotAlgorithmPreset | None
)  # fmt: skip


def canonical_precision(precision: PrecisionLike) -> Any:
    """None, a pair of Precisions, or a dot algorithm; None asks the flag."""
    if precision is None:
        precision = config.default_matmul_precision
        if precision is None:
            return None
    return _parse_precision(precision)


@cache
def _parse_precision(precision: Any) -> Any:
    if isinstance(precision, (DotAlgorithm, DotAlgorithmPreset)):
        return precision
    if isinstance(precision, str) and precision in DotAlgorithmPreset.__members__:
        return DotAlgorithmPreset[precision]
    pair = (
        precision
        if isinstance(precision, tuple) and len(precision) == 2
        else (precision,) * 2
    )
    found = tuple(p if isinstance(p, Precision) else _SYNONYMS.get(p) for p in pair)
    if None in found:
        raise ValueError(
            f"precision must be None, a lax.Precision, one of {', '.join(map(repr, _SYNONYMS))}, "
            "a pair of these (for lhs and rhs), or a lax.DotAlgorithmPreset or its name; got "
            f"{precision!r}"
        )
    return found


# -- dot_general -----------------------------------------------------------------------------


class DotGeneral(Multilinear):
    """z[b…, i…, j…] = Σ_k x[b, i, k] y[b, k, j]; result axes: batch, free of x, free of y."""

    contract_axes: AxisPairs
    batch_axes: AxisPairs = ((), ())
    precision: Any = None
    preferred_element_type: Any = None
    _last: ClassVar[Any] = (None,) * 5

    @property
    def keeps_weak_type(self) -> bool:  # type: ignore[override]
        return self.preferred_element_type is None

    def abstract(self, x: Aval, y: Aval) -> list[Aval]:
        _check_axes(self, x, y)
        lx, ly, lz = labels(self, x.ndim, y.ndim)
        sizes = dict(zip(lx + ly, x.shape + y.shape))
        shape = tuple(sizes[c] for c in lz)
        return [Aval(shape, sum_dtype(self.name, x, y, self.preferred_element_type))]

    def numpy(self, x: Any, y: Any) -> list[Any]:
        # an operation mostly meets the same kind of operands again
        x_dtype, y_dtype, nx, ny, run = self._last
        if x_dtype is x.dtype and y_dtype is y.dtype and nx == x.ndim and ny == y.ndim:
            return [run(x, y)]
        run = _kernel(self, x.ndim, y.ndim, x.dtype, y.dtype)
        self.__dict__["_last"] = x.dtype, y.dtype, x.ndim, y.ndim, run
        return [run(x, y)]

    def stablehlo(self, hlo: Any, x: Any, y: Any) -> list[Any]:
        (out,) = hlo.out
        x, y, dtype = meet_dtypes(hlo, x, y, out.dtype)
        (cx, cy), (bx, by) = self.contract_axes, self.batch_axes
        attrs = (
            f"dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = {list(bx)}, "
            f"rhs_batching_dimensions = {list(by)}, lhs_contracting_dimensions = {list(cx)}, "
            f"rhs_contracting_dimensions = {list(cy)}>"
        )
        attrs += _algorithm_text(self.precision, x, y, dtype, hlo.platform)
        z = hlo.emit("dot_general", (x, y), Aval(out.shape, dtype), attrs)
        return [hlo.convert(z, out.dtype)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, y) = cts, args
        lx, ly, lz = labels(self, x.ndim, y.ndim)
        if type(x) is LinearInput:
            return [contract(ct, lz, y, ly, lx, self.precision, x.dtype), None]
        return [None, contract(ct, lz, x, lx, ly, self.precision, y.dtype)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        op, place = _batched(self, args[0].ndim, args[1].ndim, *dims)
        return op.bind(*args), [place]


def contract(
    x: Any,
    lx: Labels,
    y: Any,
    ly: Labels,
    lz: Labels,
    precision: Any = None,
    dtype: Any = None,
    product: Any = None,
) -> Any:
    """Σ over the labels in lx and ly but not in lz of x y, with the axes in the order lz.

    Every label stands once in each of lx, ly, lz, and each of lx and ly is in two of the three.
    `dtype` is the dtype of the result (that of the operands if None); `product` a substitute for
    `dot_general`.
    """
    flipped, contracted, batch, axes = plan(lx, ly, lz)
    promoted = _promoted(x.aval, y.aval)
    if flipped:
        x, y = y, x
        precision = precision[::-1] if type(precision) is tuple else precision
    takes_real_part = dtypes.is_complex(promoted) and not dtypes.is_complex(
        dtype or promoted
    )
    preferred = None if dtype in (None, promoted) or takes_real_part else dtype
    if product is None:
        z = DotGeneral(contracted, batch, precision, preferred)(x, y)
    else:
        z = product(
            x,
            y,
            (contracted, batch),
            precision=precision,
            preferred_element_type=preferred,
        )
    z = basis.permute(z, axes)
    return basis.convert(z, dtype) if takes_real_part else z


@lru_cache(maxsize=4096)
def labels(op: DotGeneral, nx: int, ny: int) -> tuple[Labels, Labels, Labels]:
    """Labels of the axes of x, y and the result: axis i of x is i, free axis j of y nx + j."""
    (cx, cy), (bx, by) = op.contract_axes, op.batch_axes
    shared = dict(zip(by + cy, bx + cx))
    lx = tuple(range(nx))
    ly = tuple(shared.get(j, nx + j) for j in range(ny))
    free = [c for c in lx if c not in bx and c not in cx] + [c for c in ly if c >= nx]
    return lx, ly, (*bx, *free)


@lru_cache(maxsize=4096)
def plan(lx: Labels, ly: Labels, lz: Labels) -> tuple[bool, AxisPairs, AxisPairs, Any]:
    """Which operand comes first, the axes, and the permutation that remains to be done."""
    straight = _plan_in_order(lx, ly, lz)
    if straight[2] == tuple(range(len(lz))):
        return False, *straight
    flipped = _plan_in_order(ly, lx, lz)
    if flipped[2] == tuple(range(len(lz))):
        return True, *flipped
    return False, *straight


def _plan_in_order(
    lx: Labels, ly: Labels, lz: Labels
) -> tuple[AxisPairs, AxisPairs, Any]:
    batch = tuple(c for c in lz if c in lx and c in ly)
    contracted = tuple(c for c in lx if c in ly and c not in lz)
    out = batch + _free(lx, ly)
    return (
        _places(lx, ly, contracted),
        _places(lx, ly, batch),
        tuple(map(out.index, lz)),
    )


def _free(lx: Labels, ly: Labels) -> Labels:
    return tuple(c for c in lx if c not in ly) + tuple(c for c in ly if c not in lx)


def _places(lx: Labels, ly: Labels, labels: Labels) -> AxisPairs:
    return tuple(map(lx.index, labels)), tuple(map(ly.index, labels))


@lru_cache(maxsize=4096)
def _batched(
    op: DotGeneral, nx: int, ny: int, dx: int | None, dy: int | None
) -> tuple[DotGeneral, int]:
    """The operation on operands with a mapped axis, and where its result has that axis."""
    lx, ly, lz = labels(op, nx - (dx is not None), ny - (dy is not None))
    batch = lz[: len(op.batch_axes[0])]
    contracted = tuple(lx[i] for i in op.contract_axes[0])
    if dx is not None:
        lx = (*lx[:dx], "mapped", *lx[dx:])
    if dy is not None:
        ly = (*ly[:dy], "mapped", *ly[dy:])
    if dx is not None and dy is not None:
        batch = ("mapped", *batch)
    moved = DotGeneral(
        _places(lx, ly, contracted),
        _places(lx, ly, batch),
        op.precision,
        op.preferred_element_type,
    )
    return moved, (batch + _free(lx, ly)).index("mapped")


# -- checks and dtypes -----------------------------------------------------------------------


def _check_axes(op: DotGeneral, x: Aval, y: Aval) -> None:
    (cx, cy), (bx, by) = op.contract_axes, op.batch_axes
    who = f"{op.name}: x {x.short()} and y {y.short()}"
    for kind, ax, ay in (("contract", cx, cy), ("batch", bx, by)):
        if len(ax) != len(ay):
            raise TypeError(
                f"{who}: {kind} axes {ax} of x and {ay} of y must be pairs, as many of one as "
                "of the other"
            )
    for side, aval, axes in (("x", x, bx + cx), ("y", y, by + cy)):
        if len(set(axes)) != len(axes) or not all(0 <= a < aval.ndim for a in axes):
            raise TypeError(
                f"{who}: the batch and contract axes {axes} of {side} must be distinct, not "
                f"negative, and less than its {aval.ndim} dimensions"
            )
    for verb, ax, ay in (("contract", cx, cy), ("batch", bx, by)):
        for i, j in zip(ax, ay):
            if x.shape[i] != y.shape[j]:
                raise TypeError(
                    f"{who} {verb} axis {i} (size {x.shape[i]}) with axis {j} (size "
                    f"{y.shape[j]}); {verb}ed sizes must be equal. dimension_numbers are "
                    "((contract axes of x, of y), (batch axes of x, of y))."
                )


def _promoted(x: Aval, y: Aval) -> Any:
    """The common dtype of two operands; floats of eight bits, which elsewhere have none, meet too.

    They give way to all other inexact dtypes, and of two of them the one with the longer range
    stays.
    """
    if x.dtype == y.dtype:
        return x.dtype
    small = [
        d
        for d in (x.dtype, y.dtype)
        if dtypes.is_floating(d) and dtypes.itemsize_bits(d) <= 8
    ]
    inexact = [d for d in (x.dtype, y.dtype) if dtypes.is_inexact(d)]
    if not small:
        return dtypes.promote(x.strong(), y.strong())[0]
    if len(small) < len(inexact):
        return inexact[1] if inexact[0] in small else inexact[0]
    return max(small, key=lambda d: float(dtypes.finfo(d).max))


def sum_dtype(who: str, x: Aval, y: Aval, preferred: Any) -> Any:
    """The dtype of a sum of products; also of convolutions."""
    for a in (x, y):
        if dtypes.is_key(a.dtype):
            raise TypeError(
                f"{who} accepts arrays of numbers; got {x.short()} and {y.short()}"
            )
    dtype = _promoted(x, y)
    if preferred is None:
        return dtype
    real_part = dtypes.is_complex(dtype) and not dtypes.is_complex(preferred)
    exact = not dtypes.is_inexact(dtype)
    narrow = exact and dtypes.itemsize_bits(preferred) < dtypes.itemsize_bits(dtype)
    if (
        real_part
        or narrow
        or (dtypes.is_floating(dtype) and not dtypes.is_inexact(preferred))
    ):
        raise TypeError(
            f"{who}: preferred_element_type {preferred} cannot hold sums of products of "
            f"{dtype}; it must be a wider dtype of the same kind, or of a wider kind. To "
            "narrow the result, convert it with astype."
        )
    return preferred


def meet_dtypes(hlo: Any, x: Any, y: Any, out: Any) -> tuple[Any, Any, Any]:
    """Operands converted to one dtype, and the dtype of the result to ask XLA for."""
    dtype = _promoted(x.aval, y.aval)
    wider = dtypes.itemsize_bits(out) >= dtypes.itemsize_bits(dtype)
    wide = dtypes.itemsize_bits(dtype) > 8
    same_kind = any(is_kind(dtype) and is_kind(out) for is_kind in _KINDS)
    packed = (
        dtypes.itemsize_bits(dtype) < 8 and dtypes.is_integer(dtype) and dtype != out
    )
    if (
        not same_kind or packed
    ):  # XLA cannot widen several elements to a byte within a product
        dtype = out
    elif x.dtype != y.dtype and dtypes.is_floating(dtype) and not wide:
        # no float of eight bits holds another kind of them
        single = np.dtype(np.float32)
        return hlo.convert(x, single), hlo.convert(y, single), single
    x, y = hlo.convert(x, dtype), hlo.convert(y, dtype)
    return x, y, out if wider or not same_kind else dtype


_KINDS = (
    dtypes.is_floating,
    dtypes.is_signed,
    dtypes.is_unsigned,
    dtypes.is_complex,
    dtypes.is_bool,
)


def precision_text(precision: Any) -> str:
    """The `precision_config` attribute, with a comma before it; empty where none is asked for."""
    if type(precision) is not tuple:
        return ""
    names = ", ".join(f"#stablehlo<precision {p.name}>" for p in precision)
    return f", precision_config = [{names}]"


_PRESETS = {
    "F16_F16_F16": ("f16", "f16", "f16", 1),
    "F16_F16_F32": ("f16", "f16", "f32", 1),
    "BF16_BF16_BF16": ("bf16", "bf16", "bf16", 1),
    "BF16_BF16_F32": ("bf16", "bf16", "f32", 1),
    "BF16_BF16_F32_X3": ("bf16", "bf16", "f32", 3),
    "BF16_BF16_F32_X6": ("bf16", "bf16", "f32", 6),
    "BF16_BF16_F32_X9": ("bf16", "bf16", "f32", 9),
    "TF32_TF32_F32": ("tf32", "tf32", "f32", 1),
    "TF32_TF32_F32_X3": ("tf32", "tf32", "f32", 3),
    "F32_F32_F32": ("f32", "f32", "f32", 1),
    "F64_F64_F64": ("f64", "f64", "f64", 1),
}


def _algorithm_text(precision: Any, x: Any, y: Any, out: Any, platform: str) -> str:
    """Precision or algorithm as attributes. CPUs have one algorithm, and it is the best one."""
    if type(precision) is tuple or precision is None or platform == "cpu":
        return precision_text(precision)
    if isinstance(precision, DotAlgorithm):
        kinds = [dtypes.short_name(dtypes.as_dtype(t)) for t in precision[:3]]
        counts: tuple[Any, ...] = precision[3:6]
        loose = precision.allow_imprecise_accumulation
    elif precision is DotAlgorithmPreset.DEFAULT:
        return ""
    elif precision.name in _PRESETS:
        *kinds, products = _PRESETS[precision.name]
        counts, loose = (1, 1, products), False
    else:
        last = "f32" if "F8_F32" in precision.name else _mlir_float(out)
        kinds = [_mlir_float(x.dtype), _mlir_float(y.dtype), last]
        counts, loose = (1, 1, 1), precision.name.endswith("FAST_ACCUM")
    return (
        f", algorithm = #stablehlo.dot_algorithm<lhs_precision_type = {kinds[0]}, "
        f"rhs_precision_type = {kinds[1]}, accumulation_type = {kinds[2]}, "
        f"lhs_component_count = {counts[0]}, rhs_component_count = {counts[1]}, "
        f"num_primitive_operations = {counts[2]}, "
        f"allow_imprecise_accumulation = {str(bool(loose)).lower()}>"
    )


def _mlir_float(dtype: Any) -> str:
    name: str = dtypes.as_dtype(dtype).name
    return (
        "f8" + name[7:].upper()
        if name.startswith("float8_")
        else dtypes.short_name(dtype)
    )


# -- on the host -----------------------------------------------------------------------------

_EXACT = 2.0**53  # integers below are exact in float64
_SMALL = (
    1 << 15
)  # products of fewer multiplications are not worth a look at their values


@lru_cache(maxsize=4096)
def _kernel(
    op: DotGeneral, nx: int, ny: int, x_dtype: Any, y_dtype: Any
) -> Callable[[Any, Any], Any]:
    """The NumPy function of (x, y) for arrays of these dimensions and dtypes."""
    product = _product(op, nx, ny)
    avals = Aval((), x_dtype), Aval((), y_dtype)
    dtype = _promoted(*avals)
    out = dtype if op.preferred_element_type is None else op.preferred_element_type
    inner = product_dtype(dtype, out)
    if x_dtype == y_dtype == inner == out and inner.kind in "fc":
        return product

    def converted(x: Any, y: Any) -> Any:
        x = x if x.dtype == inner else x.astype(inner)
        y = y if y.dtype == inner else y.astype(inner)
        if inner.kind in "iu":
            z = _exactly(
                product, x, y, shapes.size(x.shape[i] for i in op.contract_axes[0])
            )
        else:
            z = product(x, y)
        if dtypes.is_bool(out):
            return np.not_equal(z, 0)
        return z if z.dtype == out else z.astype(out)

    return converted


@cache
def product_dtype(dtype: Any, out: Any) -> np.dtype[Any]:
    """The dtype in which NumPy computes sums of products of `dtype` that are wanted in `out`."""
    if dtypes.is_bool(out):
        return np.dtype(np.float32)  # sums of ones do not round to zero
    bits = dtypes.itemsize_bits
    if dtypes.is_integer(out):
        return np.dtype(np.int8) if bits(out) < 8 else np.dtype(out)
    wide = max((dtype, out), key=bits) if dtypes.is_inexact(dtype) else out
    return np.dtype(np.float32) if bits(wide) < 32 else np.dtype(wide)


def _exactly(product: Any, x: Any, y: Any, terms: int) -> Any:
    """The product of integers: by BLAS in float64 if that is exact for these values."""
    if exact_in_float64(x, y, terms):
        exact = product(x.astype(np.float64), y.astype(np.float64))
        return exact.astype(np.int64).astype(x.dtype)
    return np.asarray(product(x, y))


def exact_in_float64(x: Any, y: Any, terms: int) -> bool:
    """Whether sums of `terms` products are so numerous and so small that float64 is better."""
    if not x.size or not y.size or x.size * y.size < _SMALL * max(terms, 1):
        return False
    largest = [max(int(a.max()), -int(a.min())) for a in (x, y)]
    return float(largest[0]) * float(largest[1]) * terms < _EXACT


def _product(op: DotGeneral, nx: int, ny: int) -> Callable[[Any, Any], Any]:
    """The product as one call of NumPy on views of x and y, for dtypes that NumPy multiplies."""
    (cx, cy), (bx, by) = op.contract_axes, op.batch_axes
    if not bx and len(cx) == 1 and nx <= 2 and ny <= 2:
        # methods, because NumPy's functions first look for other array types
        if nx == ny == 1:
            return lambda x, y: x.dot(y, np.empty((), x.dtype))
        if cx[0] == nx - 1:
            return (lambda x, y: x.dot(y)) if cy[0] == 0 else (lambda x, y: x.dot(y.T))
        return (lambda x, y: x.T.dot(y)) if cy[0] == 0 else (lambda x, y: x.T.dot(y.T))
    batch = tuple(range(len(bx)))
    if (
        bx == by == batch
        and cx == (nx - 1,)
        and nx == len(bx) + 2 == ny
        and cy == (len(bx),)
    ):
        return lambda x, y: np.matmul(blas_ready(x), blas_ready(y))
    return _general_product(cx, cy, bx, by, nx, ny)


def _general_product(
    cx: Any, cy: Any, bx: Any, by: Any, nx: int, ny: int
) -> Callable[[Any, Any], Any]:
    free_x = tuple(i for i in range(nx) if i not in bx and i not in cx)
    free_y = tuple(j for j in range(ny) if j not in by and j not in cy)
    order_x, order_y = bx + free_x + cx, by + cy + free_y
    nb = len(bx)

    def general(x: Any, y: Any) -> Any:
        x, y = x.transpose(order_x), y.transpose(order_y)
        batch = x.shape[:nb]
        rows, columns = x.shape[nb : nx - len(cx)], y.shape[nb + len(cx) :]
        shape = batch + rows + columns
        if not cx:
            x = x.reshape(x.shape + (1,) * len(columns))
            return np.multiply(x, y.reshape(batch + (1,) * len(rows) + columns))
        terms = shapes.size(x.shape[nx - len(cx) :])
        x = x.reshape(*batch, shapes.size(rows), terms)
        y = y.reshape(*batch, terms, shapes.size(columns))
        if not nb:
            return np.dot(x, y).reshape(shape)
        if not rows and not columns:
            return np.einsum("...k,...k->...", x[..., 0, :], y[..., :, 0])
        return np.matmul(blas_ready(x), blas_ready(y)).reshape(shape)

    return general


def blas_ready(x: Any) -> Any:
    """A stack of matrices as `np.matmul` gives them to BLAS: rows or columns contiguous."""
    if x.flags.c_contiguous:
        return x
    rows, columns = x.strides[-2:]
    n, m = x.shape[-2:]
    size = x.itemsize
    if (columns == size and rows >= m * size) or (rows == size and columns >= n * size):
        return x
    return np.ascontiguousarray(x)


# -- public ----------------------------------------------------------------------------------


def axis_pairs(who: str, axes: Any) -> AxisPairs:
    try:
        x, y = axes
        if isinstance(x, int) and isinstance(y, int):
            return (x,), (y,)
        return integers(x), integers(y)
    except (TypeError, ValueError):
        raise TypeError(
            f"{who}: dimension_numbers must be ((contract axes of lhs, of rhs), (batch axes of "
            f"lhs, of rhs)), as in (((1,), (0,)), ((), ())); got {axes!r} in it"
        ) from None


def preferred_dtype(who: str, dtype: Any) -> Any:
    """`preferred_element_type` as a dtype that arrays can have, or None."""
    return None if dtype is None else dtypes.requested(dtype, who)


@public
def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Σ over pairs of contracted axes of lhs · rhs, for each index of the batch axes.

    Args:
      lhs: array of numbers (nothing is conjugated).
      rhs: array of numbers.
      dimension_numbers: ((contract axes of lhs, of rhs), (batch axes of lhs, of rhs)); axes that
        are paired have equal sizes.
      precision: see `Precision`; None takes the flag `default_matmul_precision`.
      preferred_element_type: dtype in which to accumulate and answer.

    Returns:
      Array of shape (batch axes, remaining axes of lhs, remaining axes of rhs).

    Raises:
      TypeError: sizes or numbers of paired axes differ, or an axis does not exist.

    >>> from ferax import lax, numpy as jnp
    >>> x, y = jnp.ones((5, 2, 3)), jnp.ones((5, 3, 4))
    >>> lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (5, 2, 4)
    """
    refuse_sharding("dot_general", out_sharding)
    try:
        contracted, batch = dimension_numbers
    except (TypeError, ValueError):
        contracted, batch = dimension_numbers, None
    op = DotGeneral(
        axis_pairs("dot_general", contracted),
        axis_pairs("dot_general", batch),
        canonical_precision(precision),
        preferred_dtype("dot_general", preferred_element_type),
    )
    return op(to_array(lhs, "dot_general", "lhs"), to_array(rhs, "dot_general", "rhs"))


@public
def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any = None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The product of vectors and matrices; with `dimension_numbers`, any `dot_general`.

    Args:
      lhs: numbers, (k,) or (i, k).
      rhs: numbers, (k,) or (k, j).
      dimension_numbers, precision, preferred_element_type: as in `dot_general`.

    Returns:
      Array of shape (), (i,), (j,) or (i, j).

    Raises:
      ValueError: lhs and rhs are no such pair and `dimension_numbers` is None.

    >>> from ferax import lax, numpy as jnp
    >>> lax.dot(jnp.arange(3.), jnp.arange(3.))
    Array(5., dtype=float32)
    """
    x, y = to_array(lhs, "dot", "lhs"), to_array(rhs, "dot", "rhs")
    if dimension_numbers is None:
        xs, ys = x.aval.shape, y.aval.shape
        if not (0 < len(xs) < 3 and 0 < len(ys) < 3 and xs[-1] == ys[0]):
            raise ValueError(
                f"lax.dot: {x.aval.short()} and {y.aval.short()} are not vectors or matrices "
                "whose inner sizes agree; for other products give dimension_numbers, as in "
                "dot_general, or use jnp.matmul"
            )
        if precision is preferred_element_type is out_sharding is None:
            return DotGeneral(
                ((len(xs) - 1,), (0,)), ((), ()), canonical_precision(None), None
            )(x, y)
        dimension_numbers = (((len(xs) - 1,), (0,)), ((), ()))
    return dot_general(
        x,
        y,
        dimension_numbers,
        precision,
        preferred_element_type,
        out_sharding=out_sharding,
    )


@public
def batch_matmul(lhs: Any, rhs: Any, precision: PrecisionLike = None) -> Any:
    """Matrix products over equal leading axes: (…, i, k), (…, k, j) → (…, i, j).

    >>> from ferax import lax, numpy as jnp
    >>> lax.batch_matmul(jnp.ones((7, 2, 3)), jnp.ones((7, 3, 4))).shape
    (7, 2, 4)
    """
    x, y = to_array(lhs, "batch_matmul", "lhs"), to_array(rhs, "batch_matmul", "rhs")
    if min(x.ndim, y.ndim) < 2 or x.ndim != y.ndim:
        raise ValueError(
            "batch_matmul: operands need at least two dimensions, and as many as each other; "
            f"got {x.aval.short()} and {y.aval.short()}. jnp.matmul broadcasts."
        )
    batch = tuple(range(x.ndim - 2))
    return dot_general(
        x, y, (((x.ndim - 1,), (x.ndim - 2,)), (batch, batch)), precision
    )
