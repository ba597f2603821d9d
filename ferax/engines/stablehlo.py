"""From a jaxpr to StableHLO text.

The text is MLIR's generic form, written line by line and joined once: no MLIR objects are made,
so lowering costs a few microseconds per equation. `Builder` is what the `stablehlo` rules of
primitives receive as `hlo`; `lower_module` runs them over a jaxpr.

What is subtle: a value may be named only where its definition dominates, so constants are
shared within one region and never across regions. The bodies of `reduce`, `sort`, `scatter`
and their like must not refer to outer values; those of `while`, `if` and `case` may.

Format: the StableHLO specification (openxla.org/stablehlo/spec) and MLIR's language reference
(mlir.llvm.org/docs/LangRef), in which numbers that have no exact short decimal are written as
their bits.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core.avals import Aval, Shape
from ferax.core.jaxpr import Jaxpr, Var, stage
from ferax.sharding import NamedSharding

# -- types -----------------------------------------------------------------------------------

_ELEMENTS = {
    "bool": "i1",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
    "complex64": "complex<f32>",
    "complex128": "complex<f64>",
    **{f"int{n}": f"i{n}" for n in (2, 4, 8, 16, 32, 64)},
    **{f"uint{n}": f"ui{n}" for n in (2, 4, 8, 16, 32, 64)},
    "float4_e2m1fn": "f4E2M1FN",
    **{
        "float8_" + kind: "f8" + kind.upper()
        for kind in (
            "e3m4", "e4m3", "e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu",
        )
    },
}  # fmt: skip

_types: dict[Any, str] = {}
_carriers: dict[Any, np.dtype[Any]] = {}


def carrier(dtype: Any) -> np.dtype[Any]:
    """The NumPy dtype that holds the elements: of keys their carrier, bool for float0."""
    found = _carriers.get(dtype)
    if found is None:
        found = (
            np.dtype(bool)
            if dtype == dtypes.float0
            else np.dtype(dtypes.carrier(dtype))
        )
        _carriers[dtype] = found
    return found


def element_type(dtype: Any) -> str:
    """MLIR's name of an element type: `f32`, `ui8`, `i1`, `complex<f64>`."""
    try:
        return _ELEMENTS[carrier(dtype).name]
    except KeyError:
        raise NotImplementedError(f"XLA has no element type {dtype}") from None


def tensor_type(aval: Aval) -> str:
    """MLIR's name of an array type: `tensor<3x4xf32>`."""
    found = _types.get(aval)
    if found is None:
        sizes = "".join(f"{d}x" for d in aval.shape)
        found = _types[aval] = f"tensor<{sizes}{element_type(aval.dtype)}>"
    return found


def integers(values: Sequence[int]) -> str:
    """The text of a list of sizes or axes, as most StableHLO attributes want it."""
    if not values:
        return "array<i64>"
    return f"array<i64: {', '.join(map(str, values))}>"


def booleans(values: Sequence[bool]) -> str:
    """As `integers`, of truth values."""
    if not values:
        return "array<i1>"
    return f"array<i1: {', '.join('true' if v else 'false' for v in values)}>"


def quoted(text: str) -> str:
    """An MLIR string literal."""
    out = []
    for byte in text.encode():
        plain = 32 <= byte < 127 and byte not in (34, 92)
        out.append(chr(byte) if plain else f"\\{byte:02X}")
    return '"' + "".join(out) + '"'


# -- constants -------------------------------------------------------------------------------

_TOKEN = Aval((), np.dtype(np.int32))  # what ordered callbacks give to the next one
_FIRST_DEVICE = "first_device"  # symbol of the mesh that is one device
_LISTED = 32  # constants of more elements are written as their bytes


def _element_text(x: Any, dtype: np.dtype[Any]) -> str:
    """One number of a `dense<…>`."""
    kind = dtype.kind
    if kind == "b":
        return "true" if x else "false"
    if kind in "iu":
        return str(int(x))
    if kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        return f"({_element_text(x.real, real)}, {_element_text(x.imag, real)})"
    if dtypes.is_integer(dtype):  # int4 and its like
        return str(int(x))
    value = float(x)
    if math.isfinite(value):
        text = repr(value)
        if "." not in text:  # MLIR wants a point before the exponent
            text = text.replace("e", ".0e")
        return text
    return "0x" + np.asarray(x, dtype).tobytes()[::-1].hex().upper()


def _nested(x: np.ndarray, dtype: np.dtype[Any]) -> str:
    if x.ndim == 0:
        return _element_text(x[()], dtype)
    return "[" + ", ".join(_nested(row, dtype) for row in x) + "]"


def _is_packed(dtype: np.dtype[Any]) -> bool:
    """Whether MLIR's bytes of such elements may differ from NumPy's."""
    return dtype.kind == "b" or dtype.name in (
        "int2",
        "uint2",
        "int4",
        "uint4",
        "float4_e2m1fn",
    )


def dense(x: np.ndarray) -> str:
    """The text `dense<…>` of an array, without its type."""
    dtype = x.dtype
    if x.size == 0:
        return "dense<>"
    if x.size == 1:
        return f"dense<{_element_text(x.reshape(())[()], dtype)}>"
    if x.size <= _LISTED or _is_packed(dtype):
        return f"dense<{_nested(x, dtype)}>"
    return f'dense<"0x{np.ascontiguousarray(x).tobytes().hex().upper()}">'


# Operations that XLA may leave out, if they keep the size; those that it does by way of them; those
# that it never computes in one loop with what uses them.
_VIEWS = {"reshape", "transpose", "broadcast_in_dim", "gather", "reduce", "func.call"}
_RESHAPING = {*_VIEWS, "dot_general", "convolution", "reduce_window", "sort"}
_APART = {
    "dot_general",
    "convolution",
    "custom_call",
    "fft",
    "cholesky",
    "triangular_solve",
}

# -- the builder -----------------------------------------------------------------------------


class Value:
    """A result in the program being written: its name in the text and its aval.

    `op` is the operation it comes from ("argument" of a function that is called, "" of a region or
    of the program); `sources` are the values that XLA may compute it from on the spot, in one loop
    with it.
    """

    __slots__ = ("name", "aval", "type", "op", "sources")

    def __init__(
        self,
        name: str,
        aval: Aval,
        type: str,
        op: str = "",
        sources: Sequence[Value] = (),
    ):
        self.name = name
        self.aval = aval
        self.type = type
        self.op = op
        self.sources = sources

    @property
    def shape(self) -> Shape:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    def __repr__(self) -> str:
        return f"Value({self.name}: {self.type})"


def _is_view(x: Value) -> bool:
    if x.op == "argument":
        return _is_view(x.sources[0])
    return x.op in _VIEWS and any(s.aval.size == x.aval.size for s in x.sources)


def _computed_from(values: Sequence[Value]) -> set[Value]:
    """These values and all that they are computed from in one loop, but for constants."""
    seen: set[Value] = set()
    open_ = list(values)
    while open_:
        value = open_.pop()
        if value not in seen and value.op != "constant":
            seen.add(value)
            open_ += value.sources
    return seen


class Builder:
    """Writes StableHLO; handed as `hlo` to the `stablehlo` rule of each primitive.

    `out` holds the result avals of the equation being lowered, `platform` what it is for:
    "cpu", "cuda", "rocm" or "tpu".
    """

    out: tuple[Aval, ...]

    def __init__(self, platform: str = "cpu"):
        self.platform = platform
        self.out = ()
        self.lines: list[str] = []
        self.constants: dict[Any, Value] = {}  # of the region being written
        self.functions: dict[Any, str | None] = {}  # by jaxpr; None: written in place
        self.token: Value | None = None  # what the next ordered callback waits for
        self.definitions: list[str] = []  # finished private functions
        self.names: set[str] = {"main", _FIRST_DEVICE}
        self.on_one = False  # whether something is done by the first device for all
        self.callbacks: list[Callable[..., Any]] = []
        self.targets: set[str] = set()  # custom calls in use
        self.meshes: dict[Any, str] = {}  # of shardings in use -> symbol
        self.devices: tuple[Any, ...] = ()  # where it runs, as XLA numbers them
        self._count = 0
        self._ordered = False  # whether the regions just written have ordered callbacks

    # -- writing ---------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        operands: Sequence[Value],
        results: Aval | Sequence[Aval],
        attrs: str = "",
        regions: Sequence[str] = (),
    ) -> Any:
        """Write one operation; a Value if `results` is an Aval, else a list of them.

        Args:
            op: the name; `stablehlo.` is put before names without a dot.
            operands: values.
            results: the aval of the result, or a list of avals.
            attrs: attributes as MLIR text without braces, `'dimension = 0 : i64'`.
            regions: texts made by `region`.
        """
        if op in _RESHAPING:
            operands = [self._below_view(v) for v in operands]
        n = self._count
        self._count = n + 1
        name = f"%{n}"
        answer: Any
        apart = op in _APART or (regions and op != "reduce")
        sources = () if apart else operands
        if isinstance(results, Aval):
            answer = Value(name, results, tensor_type(results), op, sources)
            left, out_type = name, answer.type
        else:
            types = [tensor_type(a) for a in results]
            if len(types) == 1:
                answer = [Value(name, results[0], types[0], op, sources)]
                left, out_type = name, types[0]
            else:
                answer = [
                    Value(f"{name}#{i}", a, t, op, sources)
                    for i, (a, t) in enumerate(zip(results, types))
                ]
                left, out_type = f"{name}:{len(types)}", f"({', '.join(types)})"
                if not types:
                    left = ""
        if "." not in op:
            op = "stablehlo." + op
        names = ", ".join([v.name for v in operands])
        in_types = ", ".join([v.type for v in operands])
        middle = f" ({', '.join(regions)})" if regions else ""
        if regions:
            self._ordered = False
        if attrs:
            middle += f" {{{attrs}}}"
        equals = f"{left} = " if left else ""
        self.lines.append(
            f'{equals}"{op}"({names}){middle} : ({in_types}) -> {out_type}'
        )
        return answer

    def dynamic_update_slice(self, x: Value, update: Value, starts: Any) -> Value:
        """x with `update` written from `starts` on.

        XLA's CPU compiler (jaxlib 0.10, 0.11; openxla/xla#49176) computes an update while it writes
        it into x's memory. If x is a view, or the result is looked at through one, it does not see
        that later elements need what the first replaced: such updates go by way of a mask.
        """
        if _is_view(x) and self.reads_itself(x, (update, *starts)):
            return self._masked_update(x, update, starts)
        operands = (x, update, *starts)
        return self.emit("dynamic_update_slice", operands, x.aval)  # type: ignore[no-any-return]

    def reads_itself(self, x: Value, values: Sequence[Value]) -> bool:
        """Whether values that are written into x may be computed in one loop from what x is.

        What both are computed from counts, too: XLA recognizes when something is computed twice.
        """
        if self.platform != "cpu":
            return False
        return not _computed_from([x]).isdisjoint(_computed_from(values))

    def _masked_update(self, x: Value, update: Value, starts: Sequence[Value]) -> Value:
        flags = Aval(x.shape, np.dtype(bool))
        ones = self.full(update.shape, True, flags.dtype)
        op = "dynamic_update_slice"
        inside = self.emit(op, (self.zero(flags), ones, *starts), flags)
        values = self.emit(op, (self.zero(x.aval), update, *starts), x.aval)
        return self.emit("select", (inside, values, x), x.aval)  # type: ignore[no-any-return]

    def _below_view(self, value: Value) -> Value:
        """A value that is to be looked at through a view: itself, or updated by way of masks."""
        if value.op != "dynamic_update_slice":
            return value
        x, update, *starts = value.sources
        below = self._below_view(x)
        if self.reads_itself(x, (update, *starts)):
            return self._masked_update(below, update, starts)
        return value if below is x else self.dynamic_update_slice(below, update, starts)

    def unary(self, op: str, x: Value, attrs: str = "") -> Value:
        """An operation whose result has the type of its operand."""
        return self.emit(op, (x,), x.aval, attrs)  # type: ignore[no-any-return]

    def binary(self, op: str, x: Value, y: Value) -> Value:
        """An operation on two operands of the same type, which is the result's too."""
        return self.emit(op, (x, y), x.aval)  # type: ignore[no-any-return]

    def region(
        self,
        in_avals: Sequence[Aval],
        fn: Callable[..., Any],
        end: str = "stablehlo.return",
    ) -> str:
        """The text of a region: `fn(*block_arguments)` gives the values it returns.

        Constants written inside stay inside. A Value is taken as a list of one.
        """
        n = self._count
        self._count = n + len(in_avals)
        values = [
            Value(f"%a{n + i}", a, tensor_type(a)) for i, a in enumerate(in_avals)
        ]
        outer = self.lines, self.constants, self.out, self.token
        self.lines, self.constants = [], {}
        try:
            outs = fn(*values)
            if isinstance(outs, Value):
                outs = [outs]
            names = ", ".join(v.name for v in outs)
            types = ", ".join(v.type for v in outs)
            signature = f" : ({types}) -> ()"
            self.lines.append(f'"{end}"({names}){signature}')
            body = "\n".join(self.lines)
            self._ordered |= self.token is not outer[3]
        finally:
            self.lines, self.constants, self.out, self.token = outer
        heads = ", ".join(f"{v.name}: {v.type}" for v in values)
        label = f"^bb0({heads}):" if heads else ""
        return f"{{\n{label}\n{body}\n}}"

    # -- constants -------------------------------------------------------------------------

    def constant(self, x: Any, dtype: Any = None) -> Value:
        """An array or a number written into the program."""
        host = np.asarray(x, None if dtype is None else carrier(dtype))
        if dtype is None:
            dtype = dtypes.canonical(host.dtype)
            host = np.asarray(host, carrier(dtype))
        aval = Aval(host.shape, dtype)
        key = (aval, host.tobytes())
        found = self.constants.get(key)
        if found is not None:
            return found
        if host.size > 1 and host.tobytes() == host.flat[:1].tobytes() * host.size:
            value = self.broadcast(self.constant(host.flat[0], dtype), aval.shape, ())
        elif host.size > _LISTED and _is_packed(host.dtype):
            wide = np.uint8 if host.dtype.kind == "b" else np.int8
            if host.dtype.name.startswith("float"):
                wide = np.float32
            value = self.convert(self.constant(host.astype(wide)), dtype)
        else:
            type_ = tensor_type(aval)
            value = self.emit("constant", (), aval, f"value = {dense(host)} : {type_}")
        self.constants[key] = value
        return value

    def full(self, shape: Shape, value: Any, dtype: Any) -> Value:
        """An array with all elements equal to a number."""
        scalar = self.constant(value, dtype)
        if not shape:
            return scalar
        key = (shape, scalar.name)
        found = self.constants.get(key)
        if found is None:
            found = self.constants[key] = self.broadcast(scalar, shape, ())
        return found

    def zero(self, aval: Any) -> Value:
        """Zeros of an aval, or the scalar zero of a dtype."""
        if isinstance(aval, (Aval, Value)):
            return self.full(aval.shape, 0, aval.dtype)
        return self.constant(0, aval)

    def one(self, aval: Any) -> Value:
        """Ones of an aval, or the scalar one of a dtype."""
        if isinstance(aval, (Aval, Value)):
            return self.full(aval.shape, 1, aval.dtype)
        return self.constant(1, aval)

    # -- shapes ----------------------------------------------------------------------------

    def broadcast(self, x: Value, shape: Shape, dims: Sequence[int]) -> Value:
        """`x` repeated: its axis i becomes axis dims[i]; sizes are equal or 1."""
        if shape == x.aval.shape:
            return x
        return self.emit(  # type: ignore[no-any-return]
            "broadcast_in_dim",
            (x,),
            Aval(shape, x.aval.dtype),
            f"broadcast_dimensions = {integers(dims)}",
        )

    def broadcast_operands(self, *values: Value) -> list[Value]:
        """The values at their common shape, by NumPy's rules."""
        shapes = {v.aval.shape for v in values}
        if len(shapes) == 1:
            return list(values)
        shape = np.broadcast_shapes(*shapes)
        n = len(shape)
        return [self.broadcast(v, shape, range(n - v.ndim, n)) for v in values]

    def reshape(self, x: Value, shape: Shape) -> Value:
        """The same elements in row-major order at another shape."""
        if tuple(shape) == x.aval.shape:
            return x
        return self.emit("reshape", (x,), Aval(tuple(shape), x.aval.dtype))  # type: ignore[no-any-return]

    def transpose(self, x: Value, perm: Sequence[int]) -> Value:
        """Axis i of the result is axis perm[i] of `x`."""
        if list(perm) == list(range(x.ndim)):
            return x
        aval = Aval(tuple(x.shape[p] for p in perm), x.dtype)
        return self.emit("transpose", (x,), aval, f"permutation = {integers(perm)}")  # type: ignore[no-any-return]

    def slice(
        self,
        x: Value,
        starts: Sequence[int],
        limits: Sequence[int],
        strides: Sequence[int] | None = None,
    ) -> Value:
        """x[start:limit:stride, …] with bounds inside the array."""
        steps = [1] * x.ndim if strides is None else strides
        shape = tuple(-(-(b - a) // s) for a, b, s in zip(starts, limits, steps))
        attrs = (
            f"start_indices = {integers(starts)}, limit_indices = {integers(limits)}, "
            f"strides = {integers(steps)}"
        )
        return self.emit("slice", (x,), Aval(shape, x.dtype), attrs)  # type: ignore[no-any-return]

    def concatenate(self, xs: Sequence[Value], axis: int) -> Value:
        """The arrays one after another along an axis."""
        if len(xs) == 1:
            return xs[0]
        shape = list(xs[0].shape)
        shape[axis] = sum(x.shape[axis] for x in xs)
        aval = Aval(tuple(shape), xs[0].dtype)
        return self.emit("concatenate", xs, aval, f"dimension = {axis} : i64")  # type: ignore[no-any-return]

    def pad(
        self,
        x: Value,
        value: Value,
        low: Sequence[int],
        high: Sequence[int],
        interior: Sequence[int] | None = None,
    ) -> Value:
        """`x` with the scalar `value` around (negative: cut off) and between its elements."""
        inner = [0] * x.ndim if interior is None else interior
        shape = tuple(
            lo + n + max(n - 1, 0) * i + hi
            for n, lo, hi, i in zip(x.shape, low, high, inner)
        )
        attrs = (
            f"edge_padding_low = {integers(low)}, edge_padding_high = {integers(high)}, "
            f"interior_padding = {integers(inner)}"
        )
        return self.emit("pad", (x, value), Aval(shape, x.dtype), attrs)  # type: ignore[no-any-return]

    def iota(self, shape: Shape, dtype: Any, axis: int) -> Value:
        """Each element is its index along the axis."""
        attrs = f"iota_dimension = {axis} : i64"
        return self.emit("iota", (), Aval(tuple(shape), dtype), attrs)  # type: ignore[no-any-return]

    # -- elements --------------------------------------------------------------------------

    def convert(self, x: Value, dtype: Any) -> Value:
        """The elements in another dtype; from complex the real part, to bool `x != 0`."""
        dtype = dtypes.as_dtype(dtype)
        if x.aval.dtype == dtype:
            return x
        aval = Aval(x.aval.shape, dtype)
        if dtypes.is_complex(x.dtype) and not dtypes.is_complex(dtype):
            if dtypes.is_bool(dtype):
                return self.compare(x, self.zero(x), "NE")
            real = Aval(x.shape, dtypes.to_real(x.dtype))
            return self.convert(self.emit("real", (x,), real), dtype)
        if dtypes.is_bool(dtype):
            return self.compare(x, self.zero(x), "NE")
        return self.emit("convert", (x,), aval)  # type: ignore[no-any-return]

    def compare(self, x: Value, y: Value, direction: str, kind: str = "") -> Value:
        """x EQ|NE|GE|GT|LE|LT y, elementwise; kind "TOTALORDER" orders nan and -0 too."""
        attrs = f"comparison_direction = #stablehlo<comparison_direction {direction}>"
        if kind:
            attrs += f", compare_type = #stablehlo<comparison_type {kind}>"
        return self.emit("compare", (x, y), Aval(x.aval.shape, np.dtype(bool)), attrs)  # type: ignore[no-any-return]

    def select(self, predicate: Value, x: Value, y: Value) -> Value:
        """x where the predicate (of x's shape, or a scalar) is true, else y."""
        return self.emit("select", (predicate, x, y), x.aval)  # type: ignore[no-any-return]

    # -- reductions and control flow ---------------------------------------------------------

    def combiner(self, op: str, dtype: Any) -> str:
        """The region of two scalars that a reduction combines with: "add", "maximum"…"""
        key = (op, dtype)
        found = _combiners.get(key)
        if found is None:
            t = tensor_type(Aval((), dtype))
            found = _combiners[key] = (
                f"{{\n^bb0(%x: {t}, %y: {t}):\n"
                f'%z = "stablehlo.{op}"(%x, %y) : ({t}, {t}) -> {t}\n'
                f'"stablehlo.return"(%z) : ({t}) -> ()\n}}'
            )
        return found

    def reduce(self, op: str, x: Value, init: Value, axes: Sequence[int]) -> Value:
        """`x` combined along the axes by a binary operation, beginning with `init`."""
        gone = set(axes)
        shape = tuple(d for i, d in enumerate(x.aval.shape) if i not in gone)
        return self.emit(  # type: ignore[no-any-return]
            "reduce",
            (x, init),
            Aval(shape, x.aval.dtype),
            f"dimensions = {integers(axes)}",
            (self.combiner(op, x.aval.dtype),),
        )

    def while_loop(
        self,
        condition: Callable[..., Value],
        body: Callable[..., Sequence[Value]],
        carry: Sequence[Value],
    ) -> list[Value]:
        """`while condition(*carry): carry = body(*carry)`; both may use outer values."""
        avals = [v.aval for v in carry]
        regions = [self.region(avals, condition), self.region(avals, body)]
        if not self._ordered:
            return self.emit("while", carry, avals, regions=regions)  # type: ignore[no-any-return]

        # Ordered callbacks: the loop carries what the next one waits for. XLA may know the
        # other results before the loop has run.
        def first(*values: Value) -> Value:
            return condition(*values[:-1])

        def further(*values: Value) -> list[Value]:
            self.token = values[-1]
            outs = body(*values[:-1])
            return [*outs, self.token]

        avals.append(_TOKEN)
        regions = [self.region(avals, first), self.region(avals, further)]
        outs = self.emit("while", [*carry, self._waiting()], avals, regions=regions)
        self.token = outs[-1]
        return outs[:-1]  # type: ignore[no-any-return]

    def case(
        self,
        index: Value,
        branches: Sequence[Callable[[], Any]],
        results: Sequence[Aval],
    ) -> list[Value]:
        """branches[index]() for an int32 scalar; an index out of range takes the last one."""
        regions = [self.region((), branch) for branch in branches]
        if not self._ordered:
            return self.emit("case", (index,), list(results), regions=regions)  # type: ignore[no-any-return]

        def further(branch: Callable[[], Any]) -> list[Value]:
            self.token = start
            outs = branch()
            return [*([outs] if isinstance(outs, Value) else outs), self.token]

        start = self._waiting()
        regions = [self.region((), functools.partial(further, b)) for b in branches]
        outs = self.emit("case", (index,), [*results, _TOKEN], regions=regions)
        self.token = outs[-1]
        return outs[:-1]  # type: ignore[no-any-return]

    def _waiting(self) -> Value:
        """What an ordered callback that comes now waits for."""
        return self.constant(0, _TOKEN.dtype) if self.token is None else self.token

    # -- calls -----------------------------------------------------------------------------

    def call_jaxpr(self, jaxpr: Any, *values: Value) -> list[Value]:
        """The equations of a jaxpr, written here; values of its constvars come first."""
        env: dict[Any, Value] = dict(
            zip([*jaxpr.constvars, *jaxpr.invars], values, strict=True)
        )
        atom = self.atom
        outer = self.out
        for eqn in jaxpr.eqns:
            self.out = tuple([v.aval for v in eqn.outputs])
            operands = [env[v] if type(v) is Var else atom(v) for v in eqn.inputs]
            outs = eqn.op.stablehlo(self, *operands)
            for var, out in zip(eqn.outputs, outs, strict=True):
                env[var] = out
        self.out = outer
        return [env[v] if type(v) is Var else atom(v) for v in jaxpr.outvars]

    def inline(self, fun: Callable[..., Any], *values: Value) -> list[Value]:
        """The operations that `fun(*arrays)`, a function on ferax arrays, does, written here."""
        avals = tuple([v.aval for v in values])
        if getattr(
            fun, "__closure__", None
        ):  # another object each time: not to be remembered
            jaxpr, consts = _staged(fun, avals)
        else:
            jaxpr, consts = _remembered(fun, avals, config.trace_key())
        known = [self.constant(c.host(), c.aval.dtype) for c in consts]
        return self.call_jaxpr(jaxpr, *known, *values)

    def atom(self, literal: Any) -> Value:
        """The value of a literal of a jaxpr."""
        return self.constant(literal.value, literal.aval.dtype)

    def call_function(
        self, jaxpr: Any, name: str, values: Sequence[Value]
    ) -> list[Value]:
        """A call of the jaxpr as a function of its own, written once however often called.

        One with ordered callbacks is written in place: the order goes from call to call.
        """
        if jaxpr not in self.functions:
            symbol = self.symbol(name)
            outer, self.token = self.token, None
            text = self.function(jaxpr, symbol, "private", values)
            ordered, self.token = self.token is not None, outer
            self.functions[jaxpr] = None if ordered else symbol
            if not ordered:
                self.definitions.append(text)
        found = self.functions[jaxpr]
        if found is None:
            return self.call_jaxpr(jaxpr, *values)
        avals = [v.aval for v in jaxpr.outvars]
        return self.emit("func.call", values, avals, f"callee = @{found}")  # type: ignore[no-any-return]

    def symbol(self, name: str) -> str:
        """A function name that is not taken yet."""
        base = re.sub(r"[^A-Za-z0-9_$.]", "_", name) or "function"
        if base[0].isdigit():
            base = "_" + base
        found, n = base, 0
        while found in self.names:
            n += 1
            found = f"{base}_{n}"
        self.names.add(found)
        return found

    def function(
        self,
        jaxpr: Any,
        symbol: str,
        visibility: str,
        values: Sequence[Value] = (),
        arg_attrs: Sequence[str] = (),
        result_attrs: Sequence[str] = (),
    ) -> str:
        """The text of a function with the body of a jaxpr; `values` are what it is called with."""
        outer = self.lines, self.constants
        self.lines, self.constants = [], {}
        try:
            args = []
            for i, var in enumerate([*jaxpr.constvars, *jaxpr.invars]):
                arg = Value(f"%arg{i}", var.aval, tensor_type(var.aval))
                if values:
                    arg.op, arg.sources = "argument", values[i : i + 1]
                args.append(arg)
            outs = self.call_jaxpr(jaxpr, *args)
            if values:
                outs = [self._below_view(v) for v in outs]
            self.lines.append(
                f'"func.return"({", ".join(v.name for v in outs)}) : '
                f"({', '.join(v.type for v in outs)}) -> ()"
            )
            body = "\n    ".join(self.lines)
        finally:
            self.lines, self.constants = outer
        heads = [
            f"{a.name}: {a.type}"
            + (f" {{{arg_attrs[i]}}}" if arg_attrs and arg_attrs[i] else "")
            for i, a in enumerate(args)
        ]
        tails = [
            v.type
            + (f" {{{result_attrs[i]}}}" if result_attrs and result_attrs[i] else "")
            for i, v in enumerate(outs)
        ]
        return (
            f"  func.func {visibility} @{symbol}({', '.join(heads)}) -> ({', '.join(tails)}) {{\n"
            f"    {body}\n  }}"
        )

    def custom_call(
        self,
        target: str,
        operands: Sequence[Value],
        results: Sequence[Aval],
        attributes: dict[str, str] | None = None,
        *,
        operand_layouts: Sequence[Sequence[int]] | None = None,
        result_layouts: Sequence[Sequence[int]] | None = None,
        aliases: dict[int, int] | None = None,
        has_side_effect: bool = False,
    ) -> list[Value]:
        """A call of a function that is registered with XLA's typed FFI.

        Args:
            target: the registered name.
            operands: values.
            results: avals of the results.
            attributes: names to MLIR attribute texts, `{"uplo": "76 : ui8"}`.
            operand_layouts: axes from minor to major for each operand; row-major if None.
            result_layouts: the same for each result.
            aliases: result index to the index of the operand whose memory it takes over.
            has_side_effect: keep the call though its results are unused.
        """
        self.targets.add(target)
        config = ", ".join(f"{k} = {v}" for k, v in (attributes or {}).items())
        ins = operand_layouts or [row_major(v.ndim) for v in operands]
        outs = result_layouts or [row_major(a.ndim) for a in results]
        attrs = [
            f"call_target_name = {quoted(target)}",
            "api_version = 4 : i32",
            f"backend_config = {{{config}}}",
            f"operand_layouts = [{', '.join(map(_layout, ins))}]",
            f"result_layouts = [{', '.join(map(_layout, outs))}]",
        ]
        if has_side_effect:
            attrs.append("has_side_effect = true")
            if len(self.devices) > 1:  # the first one acts for all
                self.on_one = True
                places = ", ".join([f"<@{_FIRST_DEVICE}, []>"] * max(len(results), 1))
                attrs.append(f"sdy.sharding = #sdy.sharding_per_value<[{places}]>")
        if aliases:
            single = len(results) == 1
            pairs = ", ".join(
                "#stablehlo.output_operand_alias<output_tuple_indices = "
                f"[{'' if single else out}], operand_index = {i}, operand_tuple_indices = []>"
                for out, i in aliases.items()
            )
            attrs.append(f"output_operand_aliases = [{pairs}]")
        return self.emit("custom_call", operands, list(results), ", ".join(attrs))  # type: ignore[no-any-return]

    def callback(
        self,
        function: Callable[..., Any],
        operands: Sequence[Value],
        results: Sequence[Aval],
        *,
        has_side_effect: bool = True,
        ordered: bool = False,
    ) -> list[Value]:
        """A call of `function(*NumPy arrays) -> tuple of arrays` while the program runs.

        Args:
            function: gives arrays of the shapes and dtypes of `results`.
            operands: what it is called with, as read-only arrays.
            results: avals.
            has_side_effect: call it also if its results are unused.
            ordered: call it after the ordered callbacks written before. XLA runs in parallel
                what does not depend on one another, so each takes a result of the one before.
        """
        if self.platform not in ("cpu", "cuda"):
            raise NotImplementedError(
                f"Python callbacks are not supported on {self.platform}"
            )
        count = len(results)
        if ordered:
            waits = [] if self.token is None else [self.token]
            function = _in_order(function, len(operands), count)
            operands = [*operands, *waits]
            results = [*results, _TOKEN]
        number = len(self.callbacks)
        self.callbacks.append(function)
        kind = "gpu" if self.platform == "cuda" else "cpu"
        outs = self.custom_call(
            f"xla_ffi_python_{kind}_callback",
            operands,
            results,
            {"index": f"{number} : ui64"},
            has_side_effect=has_side_effect or ordered,
        )
        if ordered:
            self.token = outs[-1]
        return outs[:count]

    def sharding(self, sharding: NamedSharding, ndim: int) -> str:
        """The text of a sharding: `#sdy.sharding<@mesh, [{"x"}, {}]>`."""
        mesh = sharding.mesh
        symbol = self.meshes.get(mesh)
        if not self.devices:  # the first mesh says where the program runs
            self.devices = tuple(mesh.devices.flat)
        if symbol is None:
            symbol = self.meshes[mesh] = self.symbol("mesh")
        axes: list[str] = []
        for entry in sharding.spec:
            if entry is sharding.spec.UNCONSTRAINED:
                axes.append("{?}")
                continue
            names = (
                entry if isinstance(entry, tuple) else () if entry is None else (entry,)
            )
            axes.append(f"{{{', '.join(quoted(str(name)) for name in names)}}}")
        axes += ["{}"] * (ndim - len(axes))
        return f"#sdy.sharding<@{symbol}, [{', '.join(axes)}]>"

    def sharding_constraint(self, x: Value, sharding: NamedSharding) -> Value:
        """`x`, to be laid out so."""
        attrs = f"sharding = {self.sharding(sharding, x.ndim)}"
        return self.emit("sdy.sharding_constraint", (x,), x.aval, attrs)  # type: ignore[no-any-return]

    def manual_computation(
        self,
        fn: Callable[..., Any],
        operands: Sequence[Value],
        in_shardings: Sequence[NamedSharding],
        out_shardings: Sequence[NamedSharding],
        results: Sequence[Aval],
        axes: Sequence[Any],
    ) -> list[Value]:
        """`fn` on the parts of the operands, the same program on every device.

        Args:
            fn: takes and gives values of the shapes of the parts.
            operands: whole values.
            in_shardings: how the operands are split into parts.
            out_shardings: how the results are put together.
            results: avals of the whole results.
            axes: the mesh axes over which `fn` is written for one device.
        """
        local = [
            v.aval.update(shape=s.shard_shape(v.shape))
            for v, s in zip(operands, in_shardings)
        ]
        ins = [self.sharding(s, v.ndim) for v, s in zip(operands, in_shardings)]
        outs = [self.sharding(s, a.ndim) for a, s in zip(results, out_shardings)]
        # inner attributes are written without the dialect's prefix
        inner = [
            ", ".join(t.removeprefix("#sdy.sharding") for t in ts) for ts in (ins, outs)
        ]
        names = ", ".join(quoted(str(a)) for a in axes)
        attrs = (
            f"in_shardings = #sdy.sharding_per_value<[{inner[0]}]>, "
            f"out_shardings = #sdy.sharding_per_value<[{inner[1]}]>, "
            f"manual_axes = #sdy<manual_axes{{{names}}}>"
        )
        body = self.region(local, fn, "sdy.return")
        return self.emit(  # type: ignore[no-any-return]
            "sdy.manual_computation", operands, list(results), attrs, (body,)
        )

    def mesh_lines(self) -> list[str]:
        """The declarations of the meshes in use."""
        numbers = {device: i for i, device in enumerate(self.devices)}
        lines = []
        if self.on_one:
            lines.append(f"  sdy.mesh @{_FIRST_DEVICE} = <[], device_ids=[0]>")
        for mesh, symbol in self.meshes.items():
            axes = ", ".join(f"{quoted(str(n))}={d}" for n, d in mesh.shape.items())
            order = [numbers[d] for d in mesh.devices.flat]
            ids = "" if order == sorted(order) else f", device_ids={order}"
            lines.append(f"  sdy.mesh @{symbol} = <[{axes}]{ids}>")
        return lines


def _in_order(
    function: Callable[..., Any], used: int, count: int
) -> Callable[..., Any]:
    """A callback with one more result; operands beyond the used ones only make it wait."""

    def called(*arrays: Any) -> Any:
        outs = function(*arrays[:used])
        return (*(outs if count else ()), np.int32(0))

    return called


_combiners: dict[Any, str] = {}


def _staged(
    fun: Callable[..., Any], avals: tuple[Aval, ...]
) -> tuple[Jaxpr, list[Any]]:
    """The program of a function that gives an array or a list of them."""

    def listed(*xs: Any) -> Sequence[Any]:
        outs = fun(*xs)
        return outs if isinstance(outs, (list, tuple)) else [outs]

    return stage(listed, avals, getattr(fun, "__name__", "inline"))


@functools.lru_cache(maxsize=512)
def _remembered(
    fun: Callable[..., Any], avals: tuple[Aval, ...], key: int
) -> tuple[Jaxpr, list[Any]]:
    return _staged(fun, avals)


def row_major(ndim: int) -> list[int]:
    """The layout NumPy calls C: the last axis is contiguous."""
    return list(range(ndim - 1, -1, -1))


def column_major(ndim: int) -> list[int]:
    """Matrices stored by columns, as LAPACK wants them, in row-major batches."""
    return [ndim - 2, ndim - 1, *range(ndim - 3, -1, -1)]


def _layout(axes: Sequence[int]) -> str:
    if not axes:
        return "dense<> : tensor<0xindex>"
    return f"dense<[{', '.join(map(str, axes))}]> : tensor<{len(axes)}xindex>"


# -- modules ---------------------------------------------------------------------------------


class Module(NamedTuple):
    """A lowered program and what it needs to be compiled."""

    text: str
    callbacks: tuple[Callable[..., Any], ...] = ()
    targets: frozenset[str] = frozenset()
    devices: tuple[Any, ...] = ()  # those of its meshes
    ordered: bool = False  # whether callbacks are to come after those of other programs


def lower_module(
    jaxpr: Any,
    name: str = "main",
    donated: Sequence[bool] = (),
    platform: str = "cpu",
    *,
    in_shardings: Sequence[Any] = (),
    out_shardings: Sequence[Any] = (),
    devices: Sequence[Any] = (),
) -> Module:
    """The StableHLO module of a jaxpr whose `main` takes its constvars, then its invars.

    Args:
        jaxpr: the program.
        name: of the module, as shown in profiles and dumps.
        donated: which arguments of `main` the program may overwrite with its results.
        platform: "cpu", "cuda", "rocm" or "tpu".
        in_shardings: how the arguments lie on devices: NamedShardings; None leaves it open.
        out_shardings: the same for the results.
        devices: where the program will run, if on several devices.
    """
    builder = Builder(platform)
    builder.devices = tuple(devices)
    args = [*jaxpr.constvars, *jaxpr.invars]
    attrs = [[] for _ in args]  # type: list[list[str]]
    tails = [""] * len(jaxpr.outvars)
    for i, text in _donations(jaxpr, donated).items():
        attrs[i].append(text)
    for var, given, texts in zip(args, in_shardings, attrs):
        if isinstance(given, NamedSharding):
            texts.append(f"sdy.sharding = {builder.sharding(given, var.aval.ndim)}")
    for i, (var, given) in enumerate(zip(jaxpr.outvars, out_shardings)):
        if isinstance(given, NamedSharding):
            tails[i] = f"sdy.sharding = {builder.sharding(given, var.aval.ndim)}"
    main = builder.function(
        jaxpr, "main", "public", (), [", ".join(t) for t in attrs], tails
    )
    symbol = re.sub(r"[^A-Za-z0-9_$.]", "_", name)
    head = f"module @{symbol} {{"
    text = "\n".join([head, *builder.mesh_lines(), main, *builder.definitions, "}", ""])
    return Module(
        text,
        tuple(builder.callbacks),
        frozenset(builder.targets),
        builder.devices,
        builder.token is not None,
    )


def _donations(jaxpr: Any, donated: Sequence[bool]) -> dict[int, str]:
    """Give each donated argument the first free result of its type."""
    free: dict[str, list[int]] = {}
    if any(donated):
        for i, var in enumerate(jaxpr.outvars):
            free.setdefault(tensor_type(var.aval), []).append(i)
    texts = {}
    for i, (var, given) in enumerate(zip([*jaxpr.constvars, *jaxpr.invars], donated)):
        if given:
            slots = free.get(tensor_type(var.aval))
            texts[i] = (
                f"tf.aliasing_output = {slots.pop(0)} : i32"
                if slots
                else "jax.buffer_donor = true"
            )
    return texts
