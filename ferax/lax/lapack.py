"""Calls of LAPACK from compiled programs, and loops over stacks of matrices on the host.

XLA on the CPU reaches LAPACK through custom calls that jaxlib registers: `lapack_spotrf_ffi` and
so on. LAPACK stores matrices by columns, so operands and results are laid out that way, in
row-major batches. Where a routine reports failure (`info`), results are filled with nan: a
compiled program cannot raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core.avals import Aval

INT = np.dtype(np.int32)
MATRIX_DTYPES = {
    np.dtype(np.float32): "s",
    np.dtype(np.float64): "d",
    np.dtype(np.complex64): "c",
    np.dtype(np.complex128): "z",
}

# routines of complex matrices that have another name than those of real ones
_COMPLEX_NAMES = {
    "orgqr": "ungqr",
    "ormqr": "unmqr",
    "syevd": "heevd",
    "sytrd": "hetrd",
}


def routine_name(routine: str, dtype: Any) -> str:
    """LAPACK's name of a routine for a dtype: "potrf" and float32 give "spotrf"."""
    if dtypes.is_complex(dtype):
        routine = _COMPLEX_NAMES.get(routine, routine)
    return MATRIX_DTYPES[dtype] + routine


# -- in StableHLO ----------------------------------------------------------------------------


def flag(letter: str) -> str:
    """A one-letter option of LAPACK as an attribute."""
    return f"{ord(letter)} : ui8"


def call(
    hlo: Any,
    who: str,
    routine: str,
    operands: Sequence[Any],
    results: Sequence[Aval],
    batch: int,
    **attributes: str,
) -> list[Any]:
    """Call a routine on stacks of matrices and vectors behind `batch` leading axes."""
    if hlo.platform != "cpu":
        raise NotImplementedError(
            f"{who} has no lowering for {hlo.platform}; compute it on the CPU: "
            "with ferax.default_device(ferax.devices('cpu')[0]): …"
        )
    target = f"lapack_{routine_name(routine, operands[0].dtype)}_ffi"
    return hlo.custom_call(  # type: ignore[no-any-return]
        target,
        operands,
        results,
        attributes,
        operand_layouts=[_layout(x.ndim, batch) for x in operands],
        result_layouts=[_layout(a.ndim, batch) for a in results],
    )


def _layout(ndim: int, batch: int) -> list[int]:
    """Axes from minor to major: matrices by columns, everything else row-major."""
    axes = list(range(ndim - 1, -1, -1))
    if ndim - batch == 2:
        axes[:2] = [ndim - 2, ndim - 1]
    return axes


def nan_unless(hlo: Any, ok: Any, x: Any) -> Any:
    """x where `ok` (over the leading axes) holds, nan elsewhere."""
    wide = hlo.broadcast(ok, x.shape, range(ok.ndim))
    return hlo.select(wide, x, hlo.full(x.shape, np.nan, x.dtype))


def succeeded(hlo: Any, info: Any, positive_too: bool = False) -> Any:
    """Whether a routine did its work; `positive_too` where info > 0 is only a remark."""
    return hlo.compare(info, hlo.zero(info), "GE" if positive_too else "EQ")


def triangle(hlo: Any, x: Any, lower: bool) -> Any:
    """The lower (or upper) triangle of matrices, zeros elsewhere."""
    rows = hlo.iota(x.shape, INT, x.ndim - 2)
    columns = hlo.iota(x.shape, INT, x.ndim - 1)
    inside = hlo.compare(rows, columns, "GE" if lower else "LE")
    return hlo.select(inside, x, hlo.zero(x))


def eye(hlo: Any, aval: Aval) -> Any:
    """Ones on the diagonal of matrices, zeros elsewhere (of vectors without elements: those)."""
    if not aval.size or aval.ndim < 2:
        return hlo.zero(aval)
    return triangle(hlo, triangle(hlo, hlo.one(aval), lower=True), lower=False)


def columns(hlo: Any, x: Any, count: int) -> Any:
    """The first `count` columns of matrices, with zeros for those that are missing."""
    n = x.shape[-1]
    if count > n:
        high = [0] * (x.ndim - 1) + [count - n]
        return hlo.pad(x, hlo.constant(0, x.dtype), [0] * x.ndim, high)
    return hlo.slice(x, [0] * x.ndim, [*x.shape[:-1], count])


def rows(hlo: Any, x: Any, count: int) -> Any:
    """The first `count` rows of matrices."""
    return hlo.slice(x, [0] * x.ndim, [*x.shape[:-2], count, x.shape[-1]])


# -- on the host -----------------------------------------------------------------------------


def scipy_routine(routine: str, dtype: Any) -> Any:
    """SciPy's function for a routine and a dtype."""
    import scipy.linalg

    name = routine_name(routine, dtype)
    library = scipy.linalg.blas if routine == "trsm" else scipy.linalg.lapack
    return getattr(library, name)


def each(
    function: Callable[..., Sequence[Any]],
    batch: Sequence[int],
    results: Sequence[Aval],
    *stacks: np.ndarray,
) -> list[np.ndarray]:
    """`function` of each matrix (or vector) behind the leading axes `batch`."""
    if not batch:
        return [np.asarray(v, a.dtype) for v, a in zip(function(*stacks), results)]
    outs = [np.empty(a.shape, a.dtype) for a in results]
    for place in np.ndindex(*batch):
        for out, value in zip(outs, function(*[s[place] for s in stacks])):
            out[place] = value
    return outs


def stacked(
    function: Callable[..., Sequence[Any]],
    batch: Sequence[int],
    results: Sequence[Aval],
    stack: np.ndarray,
) -> list[np.ndarray]:
    """`function` of a whole stack; matrices for which it fails give nan, the others results."""
    try:
        return [np.asarray(v, a.dtype) for v, a in zip(function(stack), results)]
    except np.linalg.LinAlgError:
        if not batch:
            return [np.full(a.shape, np.nan, a.dtype) for a in results]
    shape = tuple(batch)
    inner = [Aval(a.shape[len(shape) :], a.dtype) for a in results]
    return each(lambda x: stacked(function, (), inner, x), shape, results, stack)


# A call of LAPACK per matrix costs microseconds; many small ones are done all at once instead,
# one elimination step after the other.


def is_stack_of_small(x: np.ndarray) -> bool:
    """Whether NumPy's loops over the stack beat LAPACK's over each matrix."""
    size = max(x.shape[-2:])
    return x.ndim > 2 and 0 < size <= 32 and x.size >= 32 * size * size


def lu_of_stack(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LU, pivots and permutations by elimination with partial pivoting (Doolittle's method)."""
    *batch, m, n = a.shape
    lu = np.array(a).reshape(-1, m, n)
    every = np.arange(len(lu))
    order = np.broadcast_to(np.arange(m, dtype=np.int32), (len(lu), m)).copy()
    pivots = np.empty((len(lu), min(m, n)), np.int32)
    for k in range(min(m, n)):
        column = lu[:, k:, k]
        # LAPACK compares |re| + |im|
        size = (
            np.abs(column.real) + np.abs(column.imag)
            if a.dtype.kind == "c"
            else np.abs(column)
        )
        row = pivots[:, k] = k + size.argmax(1)
        for stack in (lu, order):
            stack[every, k], stack[every, row] = stack[every, row], stack[every, k]
        pivot = lu[:, k, k][:, None]
        lu[:, k + 1 :, k] /= np.where(pivot == 0, 1, pivot)
        lu[:, k + 1 :, k + 1 :] -= lu[:, k + 1 :, k, None] * lu[:, None, k, k + 1 :]
    shape = tuple(batch)
    return lu.reshape(a.shape), pivots.reshape(*shape, -1), order.reshape(*shape, m)


def substitute(a: np.ndarray, b: np.ndarray, lower: bool, unit: bool) -> np.ndarray:
    """X with A X = B for stacks of triangular A, row by row."""
    n = a.shape[-1]
    x = np.empty(b.shape, b.dtype)
    for i in range(n) if lower else reversed(range(n)):
        known = slice(0, i) if lower else slice(i + 1, n)
        row = (
            b[..., i, :]
            - np.matmul(a[..., i, None, known], x[..., known, :])[..., 0, :]
        )
        x[..., i, :] = row if unit else row / a[..., i, i, None]
    return x
