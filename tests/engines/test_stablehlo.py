"""Each helper of the StableHLO builder, compiled and compared with NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ferax import dtypes
from ferax.core import basis
from ferax.core.avals import Aval
from ferax.core.jaxpr import Jaxpr, Var, stage
from ferax.engines import stablehlo
from tests.engines.programs import program, run_rule

F32 = np.dtype(np.float32)
I32 = np.dtype(np.int32)
BOOL = np.dtype(bool)
NAMES = sorted(stablehlo._ELEMENTS)


def dtype_named(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def samples(name: str) -> list[np.ndarray]:
    """Arrays of a dtype in several shapes, with the values that are hard to write down."""
    dtype = dtype_named(name)
    rng = np.random.default_rng(0)
    found = []
    for shape in [(), (1,), (3,), (2, 3), (0, 3), (100,), (5, 1, 7)]:
        x = rng.normal(size=shape) * 2
        if name == "bool" or "int" in name:
            x = rng.integers(0, 2, size=shape)
        elif "e8m0" in name:
            x = 2.0 ** np.round(x)
        found.append(np.asarray(np.asarray(x).astype(dtype)))
        found.append(np.ones(shape, dtype))
    if name.startswith("int") and name not in ("int2", "int4"):
        info = np.iinfo(dtype)
        found.append(np.array([info.min, -1, info.max], dtype))
    if name in ("float16", "bfloat16", "float32", "float64"):
        found.append(
            np.array([np.nan, np.inf, -np.inf, -0.0, 1e-5, 1e30, 3e-41]).astype(dtype)
        )
        found.append(np.asarray(np.nan).astype(dtype))
    if name.startswith("complex"):
        found.append(np.array([complex(np.nan, -0.0), complex(-np.inf, 1e-30)], dtype))
    return found


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", NAMES)
def test_constants_of_every_dtype_keep_their_bits(name):
    """An array written into a program comes out with the same bytes."""
    arrays = samples(name)
    outs = run_rule(lambda hlo: [hlo.constant(x, x.dtype) for x in arrays], [], arrays)
    for x, out in zip(arrays, outs):
        assert out.dtype == x.dtype
        assert out.shape == x.shape
        assert out.tobytes() == x.tobytes()


def test_types_are_written_as_mlir_does():
    """Sizes and element type joined by x; keys are their 64-bit carrier, float0 a boolean."""
    assert stablehlo.tensor_type(Aval((2, 3), F32)) == "tensor<2x3xf32>"
    assert stablehlo.tensor_type(Aval((), np.dtype(np.uint8))) == "tensor<ui8>"
    assert (
        stablehlo.tensor_type(Aval((4,), np.dtype(np.complex64)))
        == "tensor<4xcomplex<f32>>"
    )
    key = dtypes.key_dtype("threefry2x32")
    assert stablehlo.tensor_type(Aval((4,), key)) == "tensor<4xui64>"
    assert stablehlo.tensor_type(Aval((4,), dtypes.float0)) == "tensor<4xi1>"


def test_equal_constants_of_one_region_are_written_once():
    """A constant is shared within its region."""
    builder = stablehlo.Builder()
    first = builder.constant(np.arange(3, dtype=np.int32))
    second = builder.constant(np.arange(3, dtype=np.int32))
    assert first is second
    assert len(builder.lines) == 1


def test_negative_zero_is_not_shared_with_zero():
    """Constants that compare equal but differ in bits stay apart."""
    builder = stablehlo.Builder()
    assert builder.constant(0.0, F32) is not builder.constant(-0.0, F32)


def test_constant_of_an_inner_region_is_not_seen_outside():
    """A value first written inside a loop body is written again after the loop."""

    def rule(hlo, x):
        def body(i):
            return [hlo.binary("add", i, hlo.constant(7, I32))]

        def condition(i):
            return hlo.compare(i, hlo.constant(100, I32), "LT")

        (last,) = hlo.while_loop(condition, body, [x])
        return hlo.binary("add", last, hlo.constant(7, I32))

    x = np.int32(3)
    (out,) = run_rule(rule, [x], [x])
    assert out == 101 + 7


def test_loops_may_use_outer_values():
    """The regions of `while` refer to values around them."""

    def rule(hlo, x, step):
        limit = hlo.full((), 10, I32)
        return hlo.while_loop(
            lambda i, n: hlo.compare(i, limit, "LT"),
            lambda i, n: [hlo.binary("add", i, step), hlo.binary("add", n, hlo.one(n))],
            [x, x],
        )

    i, n = run_rule(rule, [np.int32(0), np.int32(3)], [np.int32(0)] * 2)
    assert (i, n) == (12, 4)


def test_case_chooses_a_branch():
    """Branches run by index; an index out of range takes the last."""

    def rule(hlo, index):
        branches = [lambda k=k: hlo.full((), k, F32) for k in (1.0, 2.0, 3.0)]
        return hlo.case(index, branches, [Aval((), F32)])

    chosen = [run_rule(rule, [np.int32(i)], [np.float32(0)])[0] for i in (0, 1, 2, 7)]
    assert chosen == [1.0, 2.0, 3.0, 3.0]


X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

SHAPING = {
    "broadcast": (lambda hlo, x: hlo.broadcast(x, (2, 3, 5, 4), (0, 1, 3)),
                  np.broadcast_to(X[:, :, None], (2, 3, 5, 4))),
    "reshape": (lambda hlo, x: hlo.reshape(x, (6, 4)), X.reshape(6, 4)),
    "transpose": (lambda hlo, x: hlo.transpose(x, (2, 0, 1)), X.transpose(2, 0, 1)),
    "slice": (lambda hlo, x: hlo.slice(x, (0, 1, 0), (2, 3, 4), (1, 1, 3)), X[:, 1:3, ::3]),
    "concatenate": (lambda hlo, x: hlo.concatenate([x, x], 1), np.concatenate([X, X], 1)),
    "pad": (lambda hlo, x: hlo.pad(x, hlo.full((), 9.0, F32), (0, 1, -1), (0, 2, 0)),
            np.pad(X, ((0, 0), (1, 2), (0, 0)), constant_values=9.0)[:, :, 1:]),
    "iota": (lambda hlo, x: hlo.iota((2, 3), F32, 1), np.indices((2, 3))[1].astype(F32)),
    "full": (lambda hlo, x: hlo.full((2, 2), 1.5, F32), np.full((2, 2), 1.5, F32)),
    "zero": (lambda hlo, x: hlo.zero(x.aval), np.zeros_like(X)),
    "one": (lambda hlo, x: hlo.one(x), np.ones_like(X)),
    "unary": (lambda hlo, x: hlo.unary("negate", x), -X),
    "binary": (lambda hlo, x: hlo.binary("multiply", x, x), X * X),
    "select": (lambda hlo, x: hlo.select(hlo.compare(x, hlo.full(x.shape, 5, F32), "GT"), x,
                                         hlo.zero(x)), np.where(X > 5, X, 0)),
    "reduce": (lambda hlo, x: hlo.reduce("add", x, hlo.zero(F32), (0, 2)), X.sum((0, 2))),
    "maximum": (lambda hlo, x: hlo.reduce("maximum", x, hlo.full((), -np.inf, F32), (1,)),
                X.max(1)),
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPING)
def test_helpers_do_what_numpy_does(case):
    """Each helper gives NumPy's answer, and the aval that it says."""
    rule, want = SHAPING[case]
    (out,) = run_rule(rule, [X], [want])
    np.testing.assert_array_equal(out, want)


def test_operands_are_broadcast_as_in_numpy():
    """Shapes are aligned at their ends and stretched where they are 1."""
    x, y = X[:, :1], np.float32(2)

    def rule(hlo, *values):
        return hlo.binary("add", *hlo.broadcast_operands(*values))

    (out,) = run_rule(rule, [x, y], [x])
    np.testing.assert_array_equal(out, x + y)


@pytest.mark.parametrize("direction", ["EQ", "NE", "GE", "GT", "LE", "LT"])
def test_comparisons(direction):
    """Comparisons give booleans; nothing but NE holds for nan."""
    x = np.array([1, 2, np.nan, 4], np.float32)
    y = np.array([1, 3, np.nan, 2], np.float32)
    fun = {"EQ": np.equal, "NE": np.not_equal, "GE": np.greater_equal, "GT": np.greater,
           "LE": np.less_equal, "LT": np.less}[direction]  # fmt: skip
    (out,) = run_rule(
        lambda hlo, a, b: hlo.compare(a, b, direction), [x, y], [fun(x, y)]
    )
    np.testing.assert_array_equal(out, fun(x, y))


def test_conversions():
    """To bool is `x != 0`, from complex takes the real part, 0.5 is true."""
    x = np.array([0.0, 0.5, -3.7], np.float32)
    z = np.array([0.0, 1j, 2.5 + 1j], np.complex64)
    wanted = [
        x.astype(bool), x.astype(np.int32), x.astype(np.complex64), z.astype(bool),
        z.real.astype(np.float16), x.astype(bool).astype(np.uint8),
    ]  # fmt: skip

    def rule(hlo, a, b):
        flags = hlo.convert(a, bool)
        return [
            flags, hlo.convert(a, np.int32), hlo.convert(a, np.complex64), hlo.convert(b, bool),
            hlo.convert(b, np.float16), hlo.convert(flags, np.uint8),
        ]  # fmt: skip

    for out, want in zip(run_rule(rule, [x, z], wanted), wanted):
        np.testing.assert_array_equal(out, want)


def test_operations_with_several_results():
    """`emit` with a list of avals gives a list of values, each usable."""

    def rule(hlo, x, y):
        scalars = [Aval((), F32), Aval((), F32), Aval((), I32), Aval((), I32)]
        compare = hlo.region(scalars, lambda a, b, c, d: hlo.compare(a, b, "LT"))
        attrs = "dimension = 0 : i64, is_stable = true"
        out = hlo.emit("sort", (x, y), [x.aval, y.aval], attrs, (compare,))
        return out[1], out[0]

    x = np.array([3, 1, 2], np.float32)
    y = np.arange(3, dtype=np.int32)
    order, ordered = run_rule(rule, [x, y], [y, x])
    np.testing.assert_array_equal(order, [1, 2, 0])
    np.testing.assert_array_equal(ordered, [1, 2, 3])


def test_inline_writes_what_a_function_on_arrays_does():
    """A lowering may be given as a function on ferax arrays, constants included."""
    table = np.arange(3, dtype=np.float32)

    def double_and_shift(x):
        return basis.add(basis.mul(x, 2.0), table)

    x = np.ones(3, np.float32)
    (out,) = run_rule(lambda hlo, v: hlo.inline(double_and_shift, v), [x], [x])
    np.testing.assert_array_equal(out, 2 * x + table)


def test_call_function_writes_a_function_once():
    """However often a jaxpr is called, its function is defined once."""
    aval = Aval((3,), F32)
    inner, _ = stage(lambda x: [basis.mul(x, x)], [aval])

    def rule(hlo, x):
        for _ in range(3):
            (x,) = hlo.call_function(inner, "square it!", [x])
        return x

    text = stablehlo.lower_module(program(rule, [aval], [aval]), "main").text
    assert text.count("func.func private @square_it_(") == 1
    assert text.count("callee = @square_it_") == 3
    x = np.array([1, 2, 3], np.float32)
    (out,) = run_rule(rule, [x], [x])
    np.testing.assert_array_equal(out, x**8)


def test_functions_of_the_same_name_are_told_apart():
    """Two jaxprs called by one name become two functions."""
    aval = Aval((), F32)
    one, _ = stage(lambda x: [basis.add(x, 1.0)], [aval])
    two, _ = stage(lambda x: [basis.mul(x, 2.0)], [aval])

    def rule(hlo, x):
        (x,) = hlo.call_function(one, "main", [x])
        return hlo.call_function(two, "main", [x])

    (out,) = run_rule(rule, [np.float32(3)], [np.float32(0)])
    assert out == 8.0


def test_donated_arguments_get_a_result_of_their_type():
    """A donated argument is aliased with a result of its type, or else given away."""
    vector, scalar = Aval((3,), F32), Aval((), F32)
    x, y, z = Var(vector), Var(scalar), Var(vector)
    jaxpr = Jaxpr([x, y, z], [z, x], [])
    text = stablehlo.lower_module(jaxpr, "f", (True, True, False)).text
    assert "%arg0: tensor<3xf32> {tf.aliasing_output = 0 : i32}" in text
    assert "%arg1: tensor<f32> {jax.buffer_donor = true}" in text
    assert "%arg2: tensor<3xf32>)" in text


def test_names_are_made_fit_for_mlir():
    """Any string will do as a name."""
    builder = stablehlo.Builder()
    assert builder.symbol("<lambda>") == "_lambda_"
    assert builder.symbol("1st") == "_1st"
    assert builder.symbol("main") == "main_1"
    assert stablehlo.quoted('a"b\\ü') == '"a\\22b\\5C\\C3\\BC"'


def test_unknown_element_types_say_so():
    """A dtype that XLA lacks is a NotImplementedError that names it."""
    with pytest.raises(NotImplementedError, match="XLA has no element type"):
        stablehlo.element_type(np.dtype("datetime64[s]"))
