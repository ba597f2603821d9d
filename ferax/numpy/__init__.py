"""NumPy's functions on ferax arrays: `import ferax.numpy as jnp`.

The door to the rooms of this folder. Importing it also gives arrays their operators and methods.
Rooms that few programs enter are loaded when one of their names is first asked for.
"""

# ruff: isort: skip_file
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# NumPy's abstract scalar types are for issubdtype
from numpy import (
    character, complexfloating, dtype, e, euler_gamma, flexible, floating, generic, inexact, inf,
    integer, nan, newaxis, number, object_, pi, signedinteger, unsignedinteger,
)  # fmt: skip
from numpy.exceptions import ComplexWarning

from ferax.core.array import Array as ndarray
from ferax.dtypes import finfo, iinfo, result_type
from ferax.numpy.contracting import (
    convolve, correlate, cross, dot, einsum, einsum_path, inner, kron, matmul, matvec,
    outer, tensordot, trace, vdot, vecdot, vecmat,
)  # fmt: skip
from ferax.numpy.creation import (
    arange, array, asarray, astype, copy, empty, empty_like, from_dlpack, frombuffer,
    fromfile, fromiter, fromstring, full, full_like, geomspace, linspace, load,
    logspace, ones, ones_like, zeros, zeros_like,
)  # fmt: skip
from ferax.numpy.elementary import (
    acos, acosh, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh,
    around, asin, asinh, atan, atan2, atanh, cbrt, ceil, conj, conjugate, copysign, cos,
    cosh, deg2rad, degrees, exp, exp2, expm1, floor, frexp, heaviside, hypot, i0, imag,
    iscomplex, isfinite, isinf, isnan, isneginf, isposinf, isreal, isrealobj, isscalar,
    ldexp, log, log10, log1p, log2, logaddexp, logaddexp2, modf, nan_to_num, nextafter,
    rad2deg, radians, real, rint, round, signbit, sin, sinc, sinh, spacing, sqrt, tan,
    tanh, trunc,
)  # fmt: skip
from ferax.numpy.grids import (
    bartlett, blackman, c_, diag, diag_indices, diag_indices_from, diagflat, eye,
    fromfunction, hamming, hanning, identity, index_exp, indices, kaiser, mask_indices,
    meshgrid, mgrid, ogrid, r_, s_, tri, tril_indices, tril_indices_from, triu_indices,
    triu_indices_from, vander,
)  # fmt: skip
from ferax.numpy.information import (
    array_repr, array_str, can_cast, get_printoptions, isdtype, issubdtype, iterable,
    printoptions, promote_types, save, savez, set_printoptions,
)  # fmt: skip
from ferax.numpy.ordering import (
    argpartition, argsort, lexsort, median, nanmedian, nanpercentile, nanquantile,
    partition, percentile, quantile, sort, sort_complex,
)  # fmt: skip
from ferax.numpy.reducing import (
    all, amax, amin, any, argmax, argmin, count_nonzero, cumprod, cumsum,
    cumulative_prod, cumulative_sum, max, mean, min, nanargmax, nanargmin, nancumprod,
    nancumsum, nanmax, nanmean, nanmin, nanprod, nanstd, nansum, nanvar, prod, ptp, std,
    sum, var,
)  # fmt: skip
from ferax.numpy.scalars import (
    bfloat16, bool_, cdouble, complex128, complex64, complex_, csingle, double, float16,
    float32, float4_e2m1fn, float64, float6_e2m3fn, float6_e3m2fn, float8_e3m4,
    float8_e4m3, float8_e4m3b11fnuz, float8_e4m3fn, float8_e4m3fnuz, float8_e5m2,
    float8_e5m2fnuz, float8_e8m0fnu, float_, int1, int16, int2, int32, int4, int64,
    int8, int_, single, uint, uint1, uint16, uint2, uint32, uint4, uint64, uint8,
)  # fmt: skip
from ferax.numpy.searching import (
    argwhere, choose, compress, digitize, extract, flatnonzero, interp, ix_, nonzero,
    piecewise, ravel_multi_index, searchsorted, select, take, take_along_axis,
    unravel_index, where,
)  # fmt: skip
from ferax.numpy.shaping import (
    append, array_split, atleast_1d, atleast_2d, atleast_3d, block, broadcast_arrays,
    broadcast_shapes, broadcast_to, column_stack, concat, concatenate, diagonal, dsplit,
    dstack, expand_dims, flip, fliplr, flipud, hsplit, hstack, matrix_transpose,
    moveaxis, ndim, permute_dims, ravel, repeat, reshape, resize, roll, rollaxis, rot90,
    shape, size, split, squeeze, stack, swapaxes, tile, transpose, tril, trim_zeros,
    triu, unstack, vsplit, vstack,
)  # fmt: skip
from ferax.numpy.ufuncs import (
    abs, absolute, add, allclose, array_equal, array_equiv, bitwise_and, bitwise_count,
    bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift,
    bitwise_xor, clip, divide, divmod, equal, fabs, float_power, floor_divide, fmax,
    fmin, fmod, gcd, greater, greater_equal, invert, isclose, iscomplexobj, lcm,
    left_shift, less, less_equal, logical_and, logical_not, logical_or, logical_xor,
    maximum, minimum, mod, multiply, negative, not_equal, positive, pow, power,
    reciprocal, remainder, right_shift, sign, square, subtract, true_divide,
)  # fmt: skip
from ferax.numpy.universal import (
    ufunc,
)  # fmt: skip
from ferax.numpy import methods as _methods

if TYPE_CHECKING:
    from ferax.numpy import fft, linalg
    from ferax.numpy.editing import (
        delete, fill_diagonal, insert, place, put, put_along_axis,
    )  # fmt: skip
    from ferax.numpy.histograms import (
        bincount, histogram, histogram2d, histogram_bin_edges, histogramdd,
    )  # fmt: skip
    from ferax.numpy.packing import (
        packbits, unpackbits,
    )  # fmt: skip
    from ferax.numpy.padding import (
        pad,
    )  # fmt: skip
    from ferax.numpy.polynomials import (
        poly, polyadd, polyder, polydiv, polyfit, polyint, polymul, polysub, polyval,
        roots,
    )  # fmt: skip
    from ferax.numpy.setops import (
        intersect1d, isin, setdiff1d, setxor1d, union1d, unique, unique_all,
        unique_counts, unique_inverse, unique_values,
    )  # fmt: skip
    from ferax.numpy.statistics import (
        average, corrcoef, cov, diff, ediff1d, gradient, trapezoid, unwrap,
    )  # fmt: skip
    from ferax.numpy.vectorizing import (
        apply_along_axis, apply_over_axes, frompyfunc, vectorize,
    )  # fmt: skip

_LATER = {
    "": ["fft", "linalg"],
    ".editing": [
        "delete", "fill_diagonal", "insert", "place", "put", "put_along_axis",
    ],
    ".histograms": [
        "bincount", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd",
    ],
    ".packing": [
        "packbits", "unpackbits",
    ],
    ".padding": [
        "pad",
    ],
    ".polynomials": [
        "poly", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul",
        "polysub", "polyval", "roots",
    ],
    ".setops": [
        "intersect1d", "isin", "setdiff1d", "setxor1d", "union1d", "unique",
        "unique_all", "unique_counts", "unique_inverse", "unique_values",
    ],
    ".statistics": [
        "average", "corrcoef", "cov", "diff", "ediff1d", "gradient", "trapezoid",
        "unwrap",
    ],
    ".vectorizing": [
        "apply_along_axis", "apply_over_axes", "frompyfunc", "vectorize",
    ],
}  # fmt: skip
_ROOM = {name: room for room, names in _LATER.items() for name in names}

bool = bool_

__all__ = [
    "ComplexWarning", "abs", "absolute", "acos", "acosh", "add", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "apply_along_axis", "apply_over_axes",
    "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "argmax", "argmin", "argpartition", "argsort", "argwhere", "around", "array",
    "array_equal", "array_equiv", "array_repr", "array_split", "array_str", "asarray",
    "asin", "asinh", "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d",
    "atleast_3d", "average", "bartlett", "bfloat16", "bincount", "bitwise_and",
    "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "blackman", "block", "bool",
    "bool_", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "c_", "can_cast",
    "cbrt", "cdouble", "ceil", "character", "choose", "clip", "column_stack",
    "complex128", "complex64", "complex_", "complexfloating", "compress", "concat",
    "concatenate", "conj", "conjugate", "convolve", "copy", "copysign", "corrcoef",
    "correlate", "cos", "cosh", "count_nonzero", "cov", "cross", "csingle", "cumprod",
    "cumsum", "cumulative_prod", "cumulative_sum", "deg2rad", "degrees", "delete",
    "diag", "diag_indices", "diag_indices_from", "diagflat", "diagonal", "diff",
    "digitize", "divide", "divmod", "dot", "double", "dsplit", "dstack", "dtype", "e",
    "ediff1d", "einsum", "einsum_path", "empty", "empty_like", "equal", "euler_gamma",
    "exp", "exp2", "expand_dims", "expm1", "extract", "eye", "fabs", "fft",
    "fill_diagonal", "finfo", "flatnonzero", "flexible", "flip", "fliplr", "flipud",
    "float16", "float32", "float4_e2m1fn", "float64", "float6_e2m3fn", "float6_e3m2fn",
    "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float_",
    "float_power", "floating", "floor", "floor_divide", "fmax", "fmin", "fmod", "frexp",
    "from_dlpack", "frombuffer", "fromfile", "fromfunction", "fromiter", "frompyfunc",
    "fromstring", "full", "full_like", "gcd", "generic", "geomspace",
    "get_printoptions", "gradient", "greater", "greater_equal", "hamming", "hanning",
    "heaviside", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd",
    "hsplit", "hstack", "hypot", "i0", "identity", "iinfo", "imag", "index_exp",
    "indices", "inexact", "inf", "inner", "insert", "int1", "int16", "int2", "int32",
    "int4", "int64", "int8", "int_", "integer", "interp", "intersect1d", "invert",
    "isclose", "iscomplex", "iscomplexobj", "isdtype", "isfinite", "isin", "isinf",
    "isnan", "isneginf", "isposinf", "isreal", "isrealobj", "isscalar", "issubdtype",
    "iterable", "ix_", "kaiser", "kron", "lcm", "ldexp", "left_shift", "less",
    "less_equal", "lexsort", "linalg", "linspace", "load", "log", "log10", "log1p",
    "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logspace", "mask_indices", "matmul", "matrix_transpose", "matvec",
    "max", "maximum", "mean", "median", "meshgrid", "mgrid", "min", "minimum", "mod",
    "modf", "moveaxis", "multiply", "nan", "nan_to_num", "nanargmax", "nanargmin",
    "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndarray",
    "ndim", "negative", "newaxis", "nextafter", "nonzero", "not_equal", "number",
    "object_", "ogrid", "ones", "ones_like", "outer", "packbits", "pad", "partition",
    "percentile", "permute_dims", "pi", "piecewise", "place", "poly", "polyadd",
    "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval",
    "positive", "pow", "power", "printoptions", "prod", "promote_types", "ptp", "put",
    "put_along_axis", "quantile", "r_", "rad2deg", "radians", "ravel",
    "ravel_multi_index", "real", "reciprocal", "remainder", "repeat", "reshape",
    "resize", "result_type", "right_shift", "rint", "roll", "rollaxis", "roots",
    "rot90", "round", "s_", "save", "savez", "searchsorted", "select",
    "set_printoptions", "setdiff1d", "setxor1d", "shape", "sign", "signbit",
    "signedinteger", "sin", "sinc", "single", "sinh", "size", "sort", "sort_complex",
    "spacing", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum",
    "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace",
    "transpose", "trapezoid", "tri", "tril", "tril_indices", "tril_indices_from",
    "trim_zeros", "triu", "triu_indices", "triu_indices_from", "true_divide", "trunc",
    "ufunc", "uint", "uint1", "uint16", "uint2", "uint32", "uint4", "uint64", "uint8",
    "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values", "unpackbits", "unravel_index", "unsignedinteger", "unstack",
    "unwrap", "vander", "var", "vdot", "vecdot", "vecmat", "vectorize", "vsplit",
    "vstack", "where", "zeros", "zeros_like",
]  # fmt: skip

_methods.install()


def __getattr__(name: str) -> Any:
    room = _ROOM.get(name)
    if room is None:
        raise AttributeError(f"module 'ferax.numpy' has no attribute {name!r}")
    if not room:
        return importlib.import_module(f"ferax.numpy.{name}")
    value = globals()[name] = getattr(
        importlib.import_module(f"ferax.numpy{room}"), name
    )
    return value


def __dir__() -> list[str]:
    return __all__
