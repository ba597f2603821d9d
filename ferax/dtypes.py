"""Dtypes: kinds, 32/64-bit canonicalisation, promotion, and the dtypes NumPy does not have.

A dtype is a `np.dtype`, among them ml_dtypes' bfloat16, float8 and 4-bit ones, or a
`KeyDtype`, the dtype of random keys. While 64-bit types are off (`config.enable_x64`) every
64-bit dtype that enters becomes its 32-bit relative: `canonical`.

Promotion follows the published lattice of JAX: three nodes stand for Python numbers (weak
types), everything else is a dtype; the result is the least upper bound (`_EDGES`). Differences
from NumPy: a Python number takes the dtype of the array of its own kind or above; integers and
floats give the float's dtype whatever their widths.
"""

from __future__ import annotations

import enum
from functools import cache, lru_cache
from typing import Any

import numpy as np
from ml_dtypes import bfloat16 as bfloat16
from ml_dtypes import finfo as finfo
from ml_dtypes import iinfo as iinfo

from ferax.config import config
from ferax.errors import warn

__all__ = [
    "TypePromotionError", "bfloat16", "canonicalize_dtype", "extended", "finfo", "float0",
    "iinfo", "issubdtype", "itemsize_bits", "prng_key", "result_type", "scalar_type_of",
]  # fmt: skip


class TypePromotionError(ValueError):
    """The operands' dtypes have no implicit promotion; convert one with `astype`."""


class extended(np.generic):
    """Abstract scalar type of the dtypes that are not numbers."""


class prng_key(extended):
    """Abstract scalar type of random keys: `issubdtype(key.dtype, prng_key)`."""


#: the dtype of tangents of integers and booleans: no information, zero bytes
float0 = np.dtype([("float0", np.void, 0)])


class KeyDtype:
    """The dtype of random keys of one generator. There is one instance per generator."""

    def __init__(self, impl: str, tag: str, words: int):
        self.impl = impl  # as in random.key(0, impl=…)
        self.name = f"key<{tag}>"
        self.words = words  # uint32 words per key, as in random.key_data
        self.itemsize = 4 * words
        # four words need 16 bytes; a complex128 is what both NumPy and XLA have of that size
        self.carrier = np.dtype(np.uint64 if words == 2 else np.complex128)

    type = prng_key
    kind = "k"

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return key_dtype, (self.impl,)


KEY_DTYPES = {
    "threefry2x32": KeyDtype("threefry2x32", "fry", 2),
    "rbg": KeyDtype("rbg", "rbg", 4),
    "unsafe_rbg": KeyDtype("unsafe_rbg", "urbg", 4),
}


def key_dtype(impl: str) -> KeyDtype:
    """The dtype of keys of the generator with this name."""
    if impl not in KEY_DTYPES:
        raise ValueError(
            f"unknown generator {impl!r}; there are {', '.join(KEY_DTYPES)}"
        )
    return KEY_DTYPES[impl]


def key_words(host: np.ndarray, dtype: KeyDtype) -> np.ndarray:
    """The uint32 words of keys held in their carrier, first word first: (..., words)."""
    return np.ascontiguousarray(host[..., None]).view(np.uint32)


# -- names and kinds -----------------------------------------------------------------------


def _dtypes(*names: str) -> tuple[np.dtype, ...]:
    return tuple(map(np.dtype, names))


_BOOL = np.dtype(np.bool_)
_SIGNED = _dtypes("int8", "int16", "int32", "int64")
_UNSIGNED = _dtypes("uint8", "uint16", "uint32", "uint64")
_FLOATS = _dtypes("bfloat16", "float16", "float32", "float64")
_COMPLEX = _dtypes("complex64", "complex128")
_SMALL_SIGNED = _dtypes("int2", "int4")
_SMALL_UNSIGNED = _dtypes("uint2", "uint4")
_SMALL_FLOATS = _dtypes(
    "float4_e2m1fn", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip

SIGNED = frozenset(_SIGNED + _SMALL_SIGNED)
UNSIGNED = frozenset(_UNSIGNED + _SMALL_UNSIGNED)
INTEGERS = SIGNED | UNSIGNED
FLOATING = frozenset(_FLOATS + _SMALL_FLOATS)
COMPLEX = frozenset(_COMPLEX)
INEXACT = FLOATING | COMPLEX
NUMBERS = INEXACT | INTEGERS | {_BOOL}

#: Python's number types
SCALAR_AVALS = frozenset((bool, int, float, complex))

is_signed = SIGNED.__contains__
is_unsigned = UNSIGNED.__contains__
is_integer = INTEGERS.__contains__
is_floating = FLOATING.__contains__
is_complex = COMPLEX.__contains__
is_inexact = INEXACT.__contains__


def is_bool(dtype: Any) -> bool:
    return dtype == _BOOL  # type: ignore[no-any-return]


def is_key(dtype: Any) -> bool:
    return isinstance(dtype, KeyDtype)


def is_scalar_type(kind: type) -> bool:
    """Whether values of this type are numbers: Python's, NumPy's, ml_dtypes'."""
    return kind in SCALAR_AVALS or issubclass(kind, np.generic)


def as_dtype(x: Any) -> Any:
    """The dtype meant by a dtype, a scalar type, a name, or anything with a `.dtype`.

    Does not canonicalise. Raises TypeError if `x` means none (also for None).
    """
    if isinstance(x, (np.dtype, KeyDtype)):
        return x
    if x is None:
        raise TypeError("None is not a dtype")
    if not isinstance(x, (type, str)) and hasattr(x, "dtype"):
        return as_dtype(x.dtype)
    try:
        return np.dtype(x)
    except TypeError:
        pass
    own = _UNKNOWN_TO_NUMPY.get(x) if isinstance(x, str) else getattr(x, "dtype", None)
    if isinstance(own, (np.dtype, KeyDtype)):
        return own
    raise TypeError(f"{x!r} is not a dtype")


_UNKNOWN_TO_NUMPY = {"float0": float0, **{d.name: d for d in KEY_DTYPES.values()}}
_SHORT = {"bfloat": "bf", "float": "f", "uint": "u", "int": "i", "complex": "c"}


@cache
def short_name(dtype: Any) -> str:
    """As printed in jaxprs: 'f32', 'bf16', 'i32', 'u8', 'c64', 'bool', 'key<fry>'."""
    if dtype == float0:
        return "float0"
    name: str = dtype.name
    for long, short in _SHORT.items():
        if name.startswith(long):
            return short + name[len(long) :]
    return name


def carrier(dtype: Any) -> np.dtype:
    """The NumPy dtype that holds the values: the dtype itself but for keys."""
    return dtype.carrier if isinstance(dtype, KeyDtype) else dtype


def itemsize_bits(dtype: Any) -> int:
    """Bits per element: 4 for int4, 8 for bool, 64 for float64."""
    dtype = as_dtype(dtype)
    return _BITS.get(dtype) or 8 * int(dtype.itemsize)


_BITS = {d: int(iinfo(d).bits) for d in _SMALL_SIGNED + _SMALL_UNSIGNED}
_BITS |= {d: int(finfo(d).bits) for d in _SMALL_FLOATS}


def scalar_type_of(x: Any) -> type:
    """The Python number type (bool, int, float, complex) of a value, or of such a type."""
    if isinstance(x, type):
        return _python_type(as_dtype(x))
    return _python_type(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)


def _python_type(dtype: Any) -> type:
    for kind, members in _KINDS:
        if dtype in members:
            return kind
    raise TypeError(f"{dtype} is not a dtype of numbers")


_KINDS = ((bool, {_BOOL}), (int, INTEGERS), (float, FLOATING), (complex, COMPLEX))


def to_complex(dtype: Any) -> np.dtype:
    """complex128 for float64 and complex128, complex64 for every other number."""
    return _COMPLEX[dtype in (_FLOATS[-1], _COMPLEX[-1])]


def to_real(dtype: Any) -> Any:
    """float32 for complex64, float64 for complex128; other dtypes as they are."""
    return _REAL.get(dtype, dtype)


_REAL = dict(zip(_COMPLEX, _FLOATS[2:]))


# -- 32 and 64 bits ------------------------------------------------------------------------

_NARROWED = {
    family[-1]: family[-2] for family in (_SIGNED, _UNSIGNED, _FLOATS, _COMPLEX)
}
_canonical_32: dict[Any, Any] = {}
_canonical_64: dict[Any, Any] = {}


def canonical(dtype: Any) -> Any:
    """The dtype as ferax has it now: 64 bits become 32 unless `config.enable_x64`.

    Raises TypeError for dtypes that arrays cannot have (strings, objects, dates).
    """
    table = _canonical_64 if config.enable_x64 else _canonical_32
    try:
        found = table.get(dtype)
    except TypeError:  # as of array([1, 2], [3, 4])
        raise TypeError(f"a dtype is needed here; got {dtype!r}") from None
    if found is None:
        found = as_dtype(dtype)
        if found not in NUMBERS and found != float0 and not isinstance(found, KeyDtype):
            raise TypeError(
                f"arrays of dtype {found} are not supported; they hold numbers, booleans "
                "or random keys"
            )
        if table is _canonical_32:
            found = _NARROWED.get(found, found)
        table[dtype] = found
    return found


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> Any:
    """`dtype` with 64 bits turned into 32 unless `config.enable_x64`.

    >>> import ferax
    >>> ferax.dtypes.canonicalize_dtype("int64")
    dtype('int32')
    """
    found = canonical(dtype)
    if isinstance(found, KeyDtype) and not allow_extended_dtype:
        raise ValueError(f"canonicalize_dtype: {found} is not a dtype of numbers")
    return found


def requested(dtype: Any, who: str) -> Any:
    """`canonical(dtype)`, with a warning if the caller named 64 bits and cannot get them.

    Python's `int`, `float` and `complex` name no width and do not warn.
    """
    found = canonical(dtype)
    if dtype is found or dtype in SCALAR_AVALS:
        return found
    wanted = as_dtype(dtype)
    if wanted != found:
        warn(
            f"Explicitly requested dtype {wanted} requested in {who} is not available, and "
            f"will be truncated to dtype {found}. To enable more dtypes, call "
            'ferax.config.update("enable_x64", True) or set the environment variable '
            "FERAX_ENABLE_X64=1."
        )
    return found


def python_scalar(x: Any) -> tuple[np.dtype, bool]:
    """The dtype of a Python number, and whether it is weak (all but bool are)."""
    for kind in (float, bool, int, complex):
        if isinstance(x, kind):
            return canonical(kind), kind is not bool
    raise TypeError(f"{type(x).__name__} is not a Python number")


def issubdtype(a: Any, b: Any) -> bool:
    """Whether dtype `a` is `b` or of the abstract kind `b`, as `np.issubdtype`.

    Knows also bfloat16, float8, the small integers, and `prng_key` and `extended`.

    >>> import numpy as np
    >>> import ferax
    >>> ferax.dtypes.issubdtype(ferax.numpy.bfloat16, np.floating)
    True
    """
    return issubclass(_scalar_class(a), _scalar_class(b))


# For the scalar types of ml_dtypes, which do not derive from NumPy's abstract ones.
_STAND_INS = {
    dtype.type: type(dtype.name, (base,), {})
    for base, family in (
        (np.signedinteger, _SMALL_SIGNED),
        (np.unsignedinteger, _SMALL_UNSIGNED),
        (np.floating, (_FLOATS[0], *_SMALL_FLOATS)),
    )
    for dtype in family
}


def _scalar_class(x: Any) -> type:
    known = isinstance(x, type) and issubclass(x, np.generic)
    kind: type = x if known else as_dtype(x).type
    return _STAND_INS.get(kind, kind)


# -- promotion -----------------------------------------------------------------------------


class _Python(enum.Enum):
    """The nodes of Python numbers."""

    INT = int
    FLOAT = float
    COMPLEX = complex


# An edge leads to the next wider type.
_u1, _u2, _u4, _u8 = _UNSIGNED
_i1, _i2, _i4, _i8 = _SIGNED
_b2, _f2, _f4, _f8 = _FLOATS
_c8, _c16 = _COMPLEX
_EDGES: dict[Any, tuple[Any, ...]] = {
    _BOOL: (_Python.INT,),
    _Python.INT: (_u1, _i1, *_SMALL_SIGNED, *_SMALL_UNSIGNED),
    _u1: (_u2, _i2), _u2: (_u4, _i4), _u4: (_u8, _i8), _u8: (_Python.FLOAT,),
    _i1: (_i2,), _i2: (_i4,), _i4: (_i8,), _i8: (_Python.FLOAT,),
    _Python.FLOAT: (_b2, _f2, *_SMALL_FLOATS, _Python.COMPLEX),
    _b2: (_f4,), _f2: (_f4,), _f4: (_f8, _c8), _f8: (_c16,),
    _Python.COMPLEX: (_c8,), _c8: (_c16,),
}  # fmt: skip


def _above(node: Any) -> frozenset[Any]:
    reached = {node}
    for upper in _EDGES.get(node, ()):
        reached |= _above(upper)
    return frozenset(reached)


_UPPER = {node: _above(node) for node in [*_EDGES, _c16, *NUMBERS]}


def _node(dtype: Any, weak: bool) -> Any:
    return _Python(_python_type(dtype)) if weak else dtype


def _join(nodes: frozenset[Any], named: tuple[Any, ...]) -> Any:
    """The least upper bound of nodes of the lattice."""
    common = frozenset.intersection(*(_UPPER.get(n, frozenset()) for n in nodes))
    for node in common:
        if common == _UPPER[node]:
            return node
    raise TypePromotionError(
        f"dtypes {_listed(named)} have no common dtype to promote to; convert the operands "
        "with x.astype(dtype) first"
    )


def _listed(named: tuple[Any, ...]) -> str:
    return ", ".join(d.name + (" (a Python number's)" if w else "") for d, w in named)


def _promoted(operands: tuple[tuple[Any, bool], ...]) -> tuple[Any, bool]:
    strict = config.numpy_dtype_promotion == "strict"
    return _promoted_under(config.enable_x64, strict, operands)


@lru_cache(maxsize=4096)
def _promoted_under(
    x64: bool, strict: bool, operands: tuple[tuple[Any, bool], ...]
) -> tuple[Any, bool]:
    weak = all(weak for _, weak in operands)
    if len({dtype for dtype, _ in operands}) == 1:
        return operands[0][0], weak
    nodes = frozenset([_node(d, w and d != _BOOL) for d, w in operands])
    found = _join(nodes, operands)
    if strict:
        _check_strict(nodes, found, operands)
    if isinstance(found, _Python):
        return canonical(found.value), True
    return canonical(found), weak


def _check_strict(nodes: frozenset[Any], found: Any, named: tuple[Any, ...]) -> None:
    """Strict promotion: Python numbers adapt to arrays of a kind that holds them; no more."""
    arrays = {n for n in nodes if not isinstance(n, _Python)}
    if len(arrays) > 1 or (arrays and found not in arrays):
        raise TypePromotionError(
            f"dtypes {_listed(named)} are promoted only implicitly, which "
            'config.numpy_dtype_promotion = "strict" forbids; convert the operands with '
            "x.astype(dtype) first"
        )


def promote(*avals: Any) -> tuple[Any, bool]:
    """The (dtype, weak_type) that these operands (anything with both) are converted to.

    Raises TypePromotionError if there is none.
    """
    first = avals[0]
    dtype, weak = first.dtype, first.weak_type
    for other in avals[1:]:
        if other.dtype is not dtype or other.weak_type is not weak:
            break
    else:
        return dtype, weak
    return _promoted(tuple([(a.dtype, a.weak_type) for a in avals]))


def _typed(x: Any) -> tuple[Any, bool]:
    """(dtype, weak) of an operand or of what names a dtype."""
    kind = x if isinstance(x, type) else type(x)
    if kind in SCALAR_AVALS:
        return canonical(kind), kind is not bool
    dtype = getattr(x, "dtype", None)
    if not isinstance(x, type) and dtype is not None:
        return canonical(dtype), bool(getattr(x, "weak_type", False))
    return canonical(x), False


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype to which arrays, Python numbers, dtypes and scalar types promote.

    Python numbers, and the types `int`, `float`, `complex`, adapt to what they meet.

    >>> import numpy as np
    >>> import ferax
    >>> ferax.dtypes.result_type(np.int8, 1.0)
    dtype('float32')
    >>> ferax.dtypes.result_type(ferax.numpy.bfloat16, 1)
    dtype(bfloat16)
    """
    if not args:
        raise ValueError("result_type: needs at least one operand or dtype")
    dtype, weak = _promoted(tuple([_typed(x) for x in args]))
    return (dtype, weak) if return_weak_type_flag else dtype
