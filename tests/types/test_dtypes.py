"""Dtypes: promotion, canonicalisation, kinds, the dtypes NumPy lacks."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferax.numpy as jnp
from ferax import dtypes
from ferax.config import scoped

GOLDEN = Path(__file__).parent.parent / "golden" / "promotion.json"
TABLE = json.loads(GOLDEN.read_text())["table"]
SCALARS = {"weak bool": True, "weak int": 1, "weak float": 1.0, "weak complex": 1j}


def operand(name):
    """What stands for a name of the golden table: a Python number or a dtype."""
    return SCALARS[name] if name in SCALARS else np.dtype(name)


@pytest.mark.parametrize("mode", ["x32", "x64"])
def test_promotion_of_pairs_is_that_of_the_golden_table(mode):
    """Every pair of dtypes and Python numbers promotes as recorded, weakness included."""
    with scoped["enable_x64"](mode == "x64"):
        for pair, expected in TABLE[mode].items():
            a, b = map(operand, pair.split(" + "))
            dtype, weak = dtypes.result_type(a, b, return_weak_type_flag=True)
            assert ("weak " if weak else "") + dtype.name == expected, pair


ARRAY_DTYPES = [
    operand(name)
    for name in sorted({p.split(" + ")[0] for p in TABLE["x64"]} - set(SCALARS))
]


@given(st.permutations(ARRAY_DTYPES).map(lambda p: p[:3]))
def test_promotion_does_not_depend_on_order(three):
    """The least upper bound of three dtypes is the same in each order."""
    with scoped["enable_x64"](True):
        found = {dtypes.result_type(*order) for order in itertools.permutations(three)}
    assert len(found) == 1


def test_small_dtypes_promote_with_python_numbers_only():
    """int4 and float8 meet Python numbers; other dtypes need an explicit conversion."""
    assert dtypes.result_type("int4", 1) == ml_dtypes.int4
    assert dtypes.result_type("float8_e5m2", 1.0, np.int8) == ml_dtypes.float8_e5m2
    for a, b in [("int4", "int8"), ("int4", 1.0), ("float8_e5m2", "float32")]:
        with pytest.raises(dtypes.TypePromotionError):
            dtypes.result_type(a, b)


def test_promotion_error_names_the_operands():
    """The message lists the dtypes, tells Python numbers apart, and shows the way out."""
    with pytest.raises(dtypes.TypePromotionError) as caught:
        dtypes.result_type("int4", 1.0)
    assert str(caught.value) == (
        "dtypes int4, float32 (a Python number's) have no common dtype to promote to; convert "
        "the operands with x.astype(dtype) first"
    )


def test_strict_promotion_lets_python_numbers_adapt_upwards_only():
    """strict: array with number of its kind or below; nothing else."""
    with scoped["numpy_dtype_promotion"]("strict"):
        assert dtypes.result_type(np.float16, 1) == np.float16
        assert dtypes.result_type(np.int8, 1) == np.int8
        assert dtypes.result_type(1, 1.0) == np.float32
        assert dtypes.result_type(np.int8, np.int8) == np.int8
        for a, b in [(np.int8, 1.0), (np.int8, np.int16), (np.float32, 1j)]:
            with pytest.raises(dtypes.TypePromotionError, match="strict"):
                dtypes.result_type(a, b)


def test_weak_operand_of_equal_dtype_leaves_the_result_strong():
    """A strong and a weak operand of one dtype give a strong result."""
    assert dtypes.result_type(np.int32, 1, return_weak_type_flag=True) == (
        np.int32,
        False,
    )
    assert dtypes.result_type(1, 2, return_weak_type_flag=True) == (np.int32, True)
    assert dtypes.result_type(True, return_weak_type_flag=True) == (np.bool_, False)


def test_canonical_halves_64_bits_unless_enabled():
    """64-bit dtypes become 32-bit ones; with enable_x64 they stay."""
    pairs = [("int64", "int32"), ("uint64", "uint32"), ("float64", "float32"),
             ("complex128", "complex64"), ("int8", "int8"), ("bfloat16", "bfloat16")]  # fmt: skip
    for wide, narrow in pairs:
        assert dtypes.canonical(np.dtype(wide)).name == narrow
        with scoped["enable_x64"](True):
            assert dtypes.canonical(np.dtype(wide)).name == wide


def test_canonical_refuses_what_arrays_cannot_hold():
    """Strings, objects and dates are no numbers."""
    for bad in ("U5", object, "datetime64[s]"):
        with pytest.raises(TypeError, match="are not supported"):
            dtypes.canonical(np.dtype(bad))


def test_requested_warns_where_64_bits_are_named():
    """Naming float64 while it is off warns; `float` names no width and does not."""
    with pytest.warns(UserWarning, match="float64") as caught:
        assert dtypes.requested("float64", "zeros") == np.float32
    assert str(caught[0].message) == (
        "Explicitly requested dtype float64 requested in zeros is not available, and will be "
        'truncated to dtype float32. To enable more dtypes, call ferax.config.update("enable_x64", '
        "True) or set the environment variable FERAX_ENABLE_X64=1."
    )
    assert dtypes.requested(float, "zeros") == np.float32
    assert dtypes.requested(np.int8, "zeros") == np.int8
    with scoped["enable_x64"](True):
        assert dtypes.requested(np.int64, "zeros") == np.int64


def test_python_numbers_are_weak_but_bool():
    """The dtype of a Python number follows enable_x64."""
    assert dtypes.python_scalar(1.0) == (np.float32, True)
    assert dtypes.python_scalar(True) == (np.bool_, False)
    with scoped["enable_x64"](True):
        assert dtypes.python_scalar(1) == (np.int64, True)
        assert dtypes.python_scalar(1j) == (np.complex128, True)
    with pytest.raises(TypeError, match="str is not a Python number"):
        dtypes.python_scalar("1")


def test_as_dtype_takes_names_types_and_arrays():
    """Whatever means a dtype is understood; None and strings of words are not."""
    assert dtypes.as_dtype("bfloat16") == ml_dtypes.bfloat16
    assert dtypes.as_dtype(ml_dtypes.int4).name == "int4"
    assert dtypes.as_dtype(float) == np.float64
    assert dtypes.as_dtype(np.zeros(2, np.int8)) == np.int8
    assert dtypes.as_dtype("key<fry>") is dtypes.key_dtype("threefry2x32")
    for bad in (None, "no such thing", 3):
        with pytest.raises(TypeError, match="is not a dtype"):
            dtypes.as_dtype(bad)


def test_kinds_cover_the_small_dtypes():
    """Every number dtype is of exactly one kind."""
    kinds = [dtypes.is_bool, dtypes.is_signed, dtypes.is_unsigned, dtypes.is_floating,
             dtypes.is_complex]  # fmt: skip
    assert len(dtypes.NUMBERS) == 28
    for dtype in dtypes.NUMBERS:
        assert sum(kind(dtype) for kind in kinds) == 1, dtype
    assert dtypes.is_integer(np.dtype("uint4"))
    assert dtypes.is_inexact(np.dtype("float8_e4m3fn"))
    assert not dtypes.is_inexact(dtypes.float0)


def test_issubdtype_knows_the_whole_hierarchy():
    """NumPy's abstract kinds contain ml_dtypes' dtypes; keys have kinds of their own."""
    key = dtypes.key_dtype("threefry2x32")
    assert dtypes.issubdtype(dtypes.bfloat16, np.floating)
    assert dtypes.issubdtype("int4", np.signedinteger)
    assert dtypes.issubdtype("uint2", np.unsignedinteger)
    assert dtypes.issubdtype(float, np.inexact)
    assert dtypes.issubdtype(np.float32, "float32")
    assert dtypes.issubdtype(key, dtypes.prng_key)
    assert dtypes.issubdtype(key, dtypes.extended)
    assert not dtypes.issubdtype(np.float32, dtypes.prng_key)
    assert not dtypes.issubdtype(dtypes.bfloat16, np.integer)
    assert not dtypes.issubdtype(np.float32, dtypes.bfloat16)
    assert dtypes.issubdtype(dtypes.bfloat16, dtypes.bfloat16)


def test_key_dtypes_are_single_instances():
    """Key dtypes compare by identity, survive pickling, and know their carrier."""
    key = dtypes.key_dtype("threefry2x32")
    assert key.name == repr(key) == "key<fry>"
    assert key.itemsize == 8
    assert pickle.loads(pickle.dumps(key)) is key
    assert dtypes.carrier(key) == np.uint64
    assert dtypes.carrier(np.dtype("int8")) == np.int8
    assert dtypes.is_key(key)
    assert not dtypes.is_key(np.dtype("int8"))
    with pytest.raises(ValueError, match="unknown generator 'foo'"):
        dtypes.key_dtype("foo")


def test_key_words_are_the_carriers_memory():
    """The carrier holds the first word below the second: the words' own memory."""
    host = np.array([[1, 2**32 * 5 + 7]], np.uint64)
    words = dtypes.key_words(host, dtypes.key_dtype("threefry2x32"))
    np.testing.assert_array_equal(words, np.array([[[1, 0], [7, 5]]], np.uint32))
    assert words.dtype == np.uint32


def test_names_and_sizes():
    """Short names are those of jaxprs; sizes count bits of information."""
    names = {"float32": "f32", "bfloat16": "bf16", "int8": "i8", "uint16": "u16", "bool": "bool",
             "complex64": "c64", "int4": "i4", "float8_e5m2": "f8_e5m2"}  # fmt: skip
    for long, short in names.items():
        assert dtypes.short_name(np.dtype(long)) == short
    assert dtypes.short_name(dtypes.float0) == "float0"
    assert dtypes.itemsize_bits("int4") == 4
    assert dtypes.itemsize_bits(np.float64) == 64
    assert dtypes.itemsize_bits(bool) == 8


def test_scalar_type_and_real_complex_partners():
    """Each number has its Python type; real and complex dtypes come in pairs."""
    assert dtypes.scalar_type_of(np.int8(3)) is int
    assert dtypes.scalar_type_of(1.5) is float
    assert dtypes.scalar_type_of(complex) is complex
    assert dtypes.scalar_type_of(np.float32) is float
    assert dtypes.to_complex(np.dtype("float32")) == np.complex64
    assert dtypes.to_complex(np.dtype("float64")) == np.complex128
    assert dtypes.to_complex(np.dtype("int8")) == np.complex64
    assert dtypes.to_real(np.dtype("complex128")) == np.float64
    assert dtypes.to_real(np.dtype("int8")) == np.int8


def test_what_is_no_dtype_is_shown():
    """A second list in the place of a dtype, as newcomers write it, is named."""
    with pytest.raises(TypeError, match=r"a dtype is needed here; got \[3, 4\]"):
        jnp.array([1, 2], [3, 4])
