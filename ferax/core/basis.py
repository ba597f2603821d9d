"""What operations have in common, and the few operations that transformations emit.

First the families: `Elementwise` (`Unary`, `Binary`, `Discrete`), `Linear` (`Structural`),
`Multilinear`, `Reduction`. Then the basis: what the chain rule, accumulation of cotangents and
batching themselves need: add, sub, mul, neg, select_n, convert, broadcast_in_dim, reshape,
permute, reduce_sum. Everything else is upstairs in `lax/`.

Elementwise operations broadcast as NumPy does, inside the operation. A jaxpr of a NumPy program
so has one equation where the program has one `+`; only `lax`'s public functions are stricter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes, errors, shapes
from ferax.core.array import Concrete
from ferax.core.avals import Aval, LinearInput, Shape, Zero
from ferax.core.jaxpr import Eqn, Jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import leak_message, state, to_array
from ferax.core.vectors import LARGE, long_sum, where_by_words


class Kinds:
    """A set of dtypes, by predicate, with the name it has in error messages."""

    def __init__(self, name: str, contains: Callable[[Any], bool]):
        self.name = name
        self.contains = contains

    def __contains__(self, dtype: Any) -> bool:
        return self.contains(dtype)


def _not_key(dtype: Any) -> bool:
    return not dtypes.is_key(dtype)


ANY = Kinds("any", lambda d: True)
ORDERED = Kinds("bool, integer, floating or complex", _not_key)
NUMERIC = Kinds(
    "integer, floating or complex", lambda d: _not_key(d) and not dtypes.is_bool(d)
)
INEXACT = Kinds("floating or complex", dtypes.is_inexact)
FLOATING = Kinds("floating", dtypes.is_floating)
REAL = Kinds(
    "integer or floating", lambda d: dtypes.is_integer(d) or dtypes.is_floating(d)
)
INTEGRAL = Kinds("integer", dtypes.is_integer)
BITS = Kinds("bool or integer", lambda d: dtypes.is_integer(d) or dtypes.is_bool(d))


# -- families ------------------------------------------------------------------------------


class Elementwise(Primitive, family=True):
    """One result, computed element by element from operands that broadcast as in NumPy."""

    accepts: ClassVar[Kinds] = ANY
    mnemonic: ClassVar[str] = ""

    def result_dtype(self, *operands: Any) -> Any:
        return operands[0]

    def abstract(self, *avals: Aval) -> list[Aval]:
        first = avals[0].dtype
        for a in avals:
            if a.dtype != first:
                listing = " and ".join(a.short() for a in avals)
                raise TypeError(
                    f"{self.name}: operands have different dtypes: {listing}. lax does not "
                    "promote; use jnp's function of that name, or convert with x.astype(…)."
                )
        self.check_dtype(avals)
        return [
            Aval(self.result_shape(avals), self.result_dtype(*(a.dtype for a in avals)))
        ]

    def check_dtype(self, avals: Sequence[Aval]) -> None:
        if avals[0].dtype not in self.accepts:
            listing = ", ".join(a.short() for a in avals)
            raise TypeError(
                f"{self.name} accepts {self.accepts.name} arrays; got {listing}"
            )

    def result_shape(self, avals: Sequence[Aval]) -> Shape:
        first = avals[0].shape
        if all(a.shape == first for a in avals):
            return first
        return shapes.broadcast_shapes(*(a.shape for a in avals), who=self.name)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return [hlo.emit(self.mnemonic, hlo.broadcast_operands(*values), hlo.out[0])]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        ranks = [x.ndim - (d is not None) for x, d in zip(args, dims)]
        rank = max(ranks)
        (dim, *more) = {d for d in dims if d is not None}
        alike = not more
        for r, d in zip(ranks, dims):
            alike = alike and r == (0 if d is None else rank)
        if alike:
            return self.bind(*args), [dim]
        aligned = [
            x if d is None else align_ranks(moveaxis(x, d, 0), rank)
            for x, d in zip(args, dims)
        ]
        return self.bind(*aligned), [0]


def align_ranks(x: Any, rank: int) -> Any:
    """Insert axes behind the mapped axis 0 so that the rest has `rank` dimensions."""
    missing = rank - (x.ndim - 1)
    return reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:])) if missing else x


class Unary(Elementwise, family=True):
    """y = f(x); the class states `derivative(x, y)` = dy/dx."""

    def derivative(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(f"{self.name}.derivative")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero:
            return [y], [Zero(y.aval.tangent())]
        return [y], [mul(t, self.derivative(x, y))]

    transpose = cannot("not linear")


class LinearUnary(Unary, family=True):
    """y = f(x), linear in x; the class states `transpose`."""

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        return [y], [Zero(y.aval.tangent()) if type(t) is Zero else self(t)]


class Binary(Elementwise, family=True):
    """z = f(x, y); the class states `derivative_x(x, y, z)` and `derivative_y(x, y, z)`."""

    def derivative_x(self, x: Any, y: Any, z: Any) -> Any:
        raise NotImplementedError(f"{self.name}.derivative_x")

    def derivative_y(self, x: Any, y: Any, z: Any) -> Any:
        raise NotImplementedError(f"{self.name}.derivative_y")

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        out: Any = None
        if type(tx) is not Zero:
            out = mul(tx, self.derivative_x(x, y, z))
        if type(ty) is not Zero:
            part = mul(ty, self.derivative_y(x, y, z))
            out = part if out is None else add(out, part)
        return [z], [
            Zero(z.aval.tangent()) if out is None else broadcast_to(out, z.shape)
        ]

    transpose = cannot("not linear")


class Discrete(Elementwise, family=True):
    """An elementwise operation whose derivative is zero or does not exist."""

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        return outs, [Zero(o.aval.tangent()) for o in outs]

    transpose = cannot("not linear")


class Linear(Primitive, family=True):
    """Jointly linear in the operands `linear_operands` (None: in all of them)."""

    linear_operands: ClassVar[tuple[int, ...] | None] = None

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        linear = self.linear_operands
        places = range(len(primals)) if linear is None else linear
        if all(type(tangents[i]) is Zero for i in places):
            return outs, [Zero(o.aval.tangent()) for o in outs]
        moved = list(primals)
        for i in places:
            moved[i] = instantiate(tangents[i])
        return outs, self.bind(*moved)


class Structural(Linear, family=True):
    """A linear operation that only moves elements: any dtype, random keys included."""


class Multilinear(Primitive, family=True):
    """Linear in each operand: the product rule."""

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outs = self.bind(*primals)
        total: list[Any] = [Zero(o.aval.tangent()) for o in outs]
        for i, t in enumerate(tangents):
            if type(t) is not Zero:
                moved = self.bind(*primals[:i], t, *primals[i + 1 :])
                total = [add_tangents(a, b) for a, b in zip(total, moved)]
        return outs, total


class Reduction(Primitive, family=True):
    """One operand, whose `axes` (sorted, distinct, non-negative) are reduced away."""

    axes: tuple[int, ...]
    accepts: ClassVar[Kinds] = ANY

    def kept(self, x: Any) -> tuple[int, ...]:
        return tuple(i for i in range(x.ndim) if i not in self.axes)

    def abstract(self, x: Aval) -> list[Aval]:
        if x.dtype not in self.accepts:
            raise TypeError(
                f"{self.name} accepts {self.accepts.name} arrays; got {x.short()}"
            )
        shapes.canonical_axes(self.axes, x.ndim, who=self.name)
        return [Aval(tuple(x.shape[i] for i in self.kept(x)), x.dtype)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (x,), (d,) = args, dims
        moved = tuple(a + (a >= d) for a in self.axes)
        values = [moved if f == "axes" else self.__dict__[f] for f in self.fields]
        return [type(self)(*values)(x)], [d - sum(a < d for a in moved)]


# -- arithmetic ----------------------------------------------------------------------------


class Add(Elementwise):
    """z = x + y"""

    accepts, mnemonic = NUMERIC, "add"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.add(x, y)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        if type(tx) is not Zero and type(ty) is not Zero:
            return [z], [self(tx, ty)]
        t = ty if type(tx) is Zero else tx
        return [z], [
            Zero(z.aval.tangent()) if type(t) is Zero else broadcast_to(t, z.shape)
        ]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,) = cts
        return [unbroadcast(ct, a) if type(a) is LinearInput else None for a in args]


class Sub(Elementwise):
    """z = x - y"""

    accepts, mnemonic = NUMERIC, "subtract"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.subtract(x, y)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        if type(ty) is Zero:
            t = tx
        else:
            t = neg(ty) if type(tx) is Zero else self(tx, ty)
        return [z], [
            Zero(z.aval.tangent()) if type(t) is Zero else broadcast_to(t, z.shape)
        ]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, y) = cts, args
        return [
            unbroadcast(ct, x) if type(x) is LinearInput else None,
            unbroadcast(neg(ct), y) if type(y) is LinearInput else None,
        ]


class Neg(LinearUnary):
    """y = -x"""

    accepts, mnemonic = NUMERIC, "negate"

    def numpy(self, x: Any) -> list[Any]:
        return [np.negative(x).astype(x.dtype, copy=False)]  # int4 becomes int8

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [neg(cts[0])]


class Mul(Elementwise):
    """z = x y"""

    accepts, mnemonic = NUMERIC, "multiply"

    def numpy(self, x: Any, y: Any) -> list[Any]:
        return [np.multiply(x, y)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x, y), (tx, ty) = primals, tangents
        z = self(x, y)
        if type(tx) is Zero and type(ty) is Zero:
            return [z], [Zero(z.aval.tangent())]
        if type(ty) is Zero:
            return [z], [self(tx, y)]
        if type(tx) is Zero:
            return [z], [self(x, ty)]
        return [z], [add(self(tx, y), self(x, ty))]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x, y) = cts, args
        if type(x) is LinearInput:
            return [unbroadcast(self(ct, y), x), None]
        return [None, unbroadcast(self(x, ct), y)]


class SelectN(Elementwise):
    """y[i] = cases[which[i]][i]; `which` is bool (two cases) or int32, cases have one dtype."""

    def abstract(self, which: Aval, *cases: Aval) -> list[Aval]:
        if not (dtypes.is_bool(which.dtype) or dtypes.is_integer(which.dtype)):
            raise TypeError(
                f"select_n: the selector must be bool or int32; got {which.short()}"
            )
        if dtypes.is_bool(which.dtype) and len(cases) > 2:
            raise TypeError(f"select_n: a bool selector has 2 cases; got {len(cases)}")
        if len({c.dtype for c in cases}) > 1:
            listing = ", ".join(c.short() for c in cases)
            raise TypeError(f"select_n: cases must have one dtype; got {listing}")
        return [Aval(self.result_shape([which, *cases]), cases[0].dtype)]

    def infer(self, avals: tuple[Aval, ...]) -> tuple[Aval, ...]:
        found = self._results.get(avals)
        if found is None:  # the selector's weakness does not count
            (out,) = self.abstract(*avals)
            weak = all(c.weak_type for c in avals[1:])
            found = self._results[avals] = (out.update(weak_type=weak),)
        return found

    def numpy(self, which: Any, *cases: Any) -> list[Any]:
        if len(cases) == 2:
            out = None
            if which.size >= LARGE and dtypes.is_bool(which.dtype):
                out = where_by_words(which, cases[1], cases[0])
            return [np.where(which, cases[1], cases[0]) if out is None else out]
        index = np.clip(which, 0, len(cases) - 1)
        out = cases[0]
        for i, case in enumerate(cases[1:], 1):
            out = np.where(index == i, case, out)
        return [
            np.array(np.broadcast_to(out, np.broadcast_shapes(which.shape, out.shape)))
        ]

    def stablehlo(self, hlo: Any, which: Any, *cases: Any) -> list[Any]:
        shape = hlo.out[0].shape
        if dtypes.is_bool(which.dtype) and len(cases) == 2:
            which, f, t = hlo.broadcast_operands(which, *cases)
            return [hlo.select(which, t, f)]
        index = hlo.broadcast_operands(which, hlo.full(shape, 0, which.dtype))[0]
        out = hlo.broadcast_operands(cases[0], index)[0]
        for i, case in enumerate(cases[1:], 1):
            case = hlo.broadcast_operands(case, index)[0]
            at_least = hlo.compare(index, hlo.full(shape, i, which.dtype), "GE")
            out = hlo.select(at_least, case, out)
        return [out]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (y,) = self.bind(*primals)
        cases = tangents[1:]
        if all(type(t) is Zero for t in cases):
            return [y], [Zero(y.aval.tangent())]
        # scalars stand in for the zeros: the operation broadcasts
        filled = [zeros((), t.dtype) if type(t) is Zero else t for t in cases]
        return [y], [broadcast_to(self(primals[0], *filled), y.shape)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (which, *cases) = cts, args
        zero = zeros((), ct.dtype)
        answers: list[Any] = [None]
        for i, case in enumerate(cases):
            if type(case) is not LinearInput:
                answers.append(None)
                continue
            picked = [ct if j == i else zero for j in range(len(cases))]
            answers.append(
                unbroadcast(broadcast_to(self(which, *picked), ct.shape), case)
            )
        return answers


class Convert(Primitive):
    """y = x as another dtype.

    Floats become integers by truncation; what is out of range becomes the nearest integer, nan 0.
    To bool is x ≠ 0.
    """

    dtype: Any
    weak_type: bool = False
    name = "convert_element_type"
    keeps_weak_type = False

    def abstract(self, x: Aval) -> list[Aval]:
        if dtypes.is_key(x.dtype) or dtypes.is_key(self.dtype):
            raise TypeError(f"{self.name}: random keys do not convert; got {x.short()}")
        return [Aval(x.shape, self.dtype, self.weak_type)]

    def numpy(self, x: Any) -> list[Any]:
        if x.dtype.kind == "c" and not dtypes.is_complex(self.dtype):
            x = (x != 0) if dtypes.is_bool(self.dtype) else x.real
        if dtypes.is_integer(self.dtype) and dtypes.is_floating(x.dtype):
            return [_saturated(x, self.dtype)]
        return [x.astype(self.dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.convert(x, self.dtype)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        (x,), (t,) = primals, tangents
        y = self(x)
        if type(t) is Zero or not dtypes.is_inexact(self.dtype):
            return [y], [Zero(y.aval.tangent())]
        return [y], [self(t)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [convert(cts[0], args[0].dtype)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        return self.bind(*args), list(dims)


def _saturated(x: Any, dtype: Any) -> Any:
    """Floats as integers, as compiled programs convert them; NumPy leaves the ends undefined."""
    info = dtypes.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    y = x.astype(dtype)
    if x.size and not (x.min() > float(low - 1) and x.max() < float(high + 1)):
        y = np.asarray(y)
        y[x >= float(high + 1)] = high
        y[x <= float(low)] = low
        y[np.isnan(x)] = 0
    return y


# -- shape ---------------------------------------------------------------------------------

_MATERIALIZE = (
    4096  # elements up to which filling costs less than NumPy's broadcast views
)


class BroadcastInDim(Structural):
    """Result axis dims[i] is operand axis i; the others repeat the operand."""

    shape: tuple[int, ...]
    dims: tuple[int, ...]

    def abstract(self, x: Aval) -> list[Aval]:
        fits = len(self.dims) == x.ndim and all(
            0 <= d < len(self.shape) and n in (1, self.shape[d])
            for n, d in zip(x.shape, self.dims)
        )
        if not fits or list(self.dims) != sorted(set(self.dims)):
            raise ValueError(
                f"broadcast_in_dim: {x.short()} does not broadcast to shape {self.shape} along "
                f"dimensions {self.dims}: they must increase, one for each operand axis, and "
                "each operand size be 1 or that of the result"
            )
        return [Aval(self.shape, x.dtype)]

    def numpy(self, x: Any) -> list[Any]:
        kept = [1] * len(self.shape)
        for n, d in zip(x.shape, self.dims):
            kept[d] = n
        x = x.reshape(kept)
        if math.prod(self.shape) > _MATERIALIZE:
            return [np.broadcast_to(x, self.shape)]
        out = np.empty(self.shape, x.dtype)
        out[...] = x
        return [out]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.broadcast(x, self.shape, self.dims)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        (ct,), (x,) = cts, args
        grown = {d for n, d in zip(x.shape, self.dims) if n == 1 and self.shape[d] != 1}
        new = [d for d in range(len(self.shape)) if d not in self.dims]
        summed = reduce_sum(ct, tuple(sorted([*new, *grown])))
        return [reshape(summed, x.shape)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        x = moveaxis(args[0], dims[0], 0)
        op = BroadcastInDim((axis.size, *self.shape), (0, *(d + 1 for d in self.dims)))
        return op.bind(x), [0]


class Reshape(Structural):
    """The same elements, in row-major order, in another shape."""

    shape: tuple[int, ...]

    def abstract(self, x: Aval) -> list[Aval]:
        if shapes.size(self.shape) != x.size or any(d < 0 for d in self.shape):
            raise TypeError(
                f"reshape: {x.short()} has {x.size} elements, the new shape {self.shape} has "
                f"{shapes.size(self.shape)}; they must be equal"
            )
        return [Aval(self.shape, x.dtype)]

    def numpy(self, x: Any) -> list[Any]:
        return [x.reshape(self.shape)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.reshape(x, self.shape)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [reshape(cts[0], args[0].shape)]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        x = moveaxis(args[0], dims[0], 0)
        return Reshape((axis.size, *self.shape)).bind(x), [0]


class Permute(Structural):
    """Result axis i is operand axis axes[i] (NumPy's transpose)."""

    axes: tuple[int, ...]
    name = "transpose"

    def abstract(self, x: Aval) -> list[Aval]:
        if sorted(self.axes) != list(range(x.ndim)):
            raise TypeError(
                f"transpose: axes {self.axes} are not a permutation of the {x.ndim} axes of "
                f"{x.short()}"
            )
        return [Aval(tuple(x.shape[a] for a in self.axes), x.dtype)]

    def numpy(self, x: Any) -> list[Any]:
        return [x.transpose(self.axes)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.transpose(x, self.axes)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        inverse = [0] * len(self.axes)
        for i, a in enumerate(self.axes):
            inverse[a] = i
        return [permute(cts[0], tuple(inverse))]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[int]]:
        (x,), (d,) = args, dims
        return Permute((d, *(a + (a >= d) for a in self.axes))).bind(x), [0]


class ReduceSum(Reduction, Linear):
    """y = Σ x over `axes`."""

    accepts = NUMERIC

    def numpy(self, x: Any) -> list[Any]:
        if x.dtype.itemsize <= 2 and dtypes.is_floating(x.dtype):
            # sixteen bits lose too much in a running sum
            return [np.add.reduce(x, self.axes, np.float32).astype(x.dtype)]
        whole = len(self.axes) == x.ndim and x.size >= LARGE and x.dtype.kind == "f"
        if whole and x.flags.c_contiguous:
            return [long_sum(x.reshape(-1))]
        return [np.add.reduce(x, self.axes, x.dtype)]

    def stablehlo(self, hlo: Any, x: Any) -> list[Any]:
        return [hlo.reduce("add", x, hlo.zero(Aval((), x.dtype)), self.axes)]

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        return [broadcast_in_dim(cts[0], args[0].shape, self.kept(args[0]))]


ADD, SUB, MUL, NEG, SELECT_N = Add(), Sub(), Mul(), Neg(), SelectN()


# -- constants -----------------------------------------------------------------------------


class Constant(Primitive, interned=False):
    """An array written into a program that may not close over anything."""

    value: Concrete
    keeps_weak_type = False
    transpose = cannot("it has no operands")
    batch = cannot("it has no operands")

    def abstract(self) -> list[Aval]:
        return [self.value.aval]

    def numpy(self) -> list[Any]:
        return [self.value.host()]

    def stablehlo(self, hlo: Any) -> list[Any]:
        return [hlo.constant(self.value.host(), self.value.dtype)]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        return [self()], [Zero(self.value.aval.tangent())]


def stage_closed(
    fun: Callable[..., Sequence[Any]], in_avals: Sequence[Aval], who: str
) -> Jaxpr:
    """`stage` for programs that other programs are made into: constants become equations."""
    jaxpr, consts = stage(fun, in_avals, who)
    for const in consts:
        if type(const) is not Concrete:
            raise errors.UnexpectedTracerError(leak_message(const, who))
    made = [Eqn(Constant(c), [], [v]) for c, v in zip(consts, jaxpr.constvars)]
    return Jaxpr(jaxpr.invars, jaxpr.outvars, [*made, *jaxpr.eqns])


# -- functions -----------------------------------------------------------------------------

_typed: dict[Any, Concrete] = {}


def typed_scalar(value: Any, dtype: Any) -> Any:
    """A Python number as a weakly typed scalar Array of the given dtype."""
    key = (value, type(value), dtype)
    found = _typed.get(key)
    if found is None:
        if type(value) is int and dtypes.is_integer(dtype):
            info = dtypes.iinfo(dtype)
            if not info.min <= value <= info.max:
                # OverflowError; what fits the default integer, as it is now, wraps around
                host = to_array(value).host().astype(dtype)
                return Concrete(Aval((), dtype, True), host)
        host = np.asarray(value).astype(dtype)
        host.flags.writeable = False
        found = Concrete(Aval((), dtype, True), host)
        if value or type(value) in (int, bool):  # 0.0 equals -0.0
            if len(_typed) > 1024:
                _typed.clear()
            _typed[key] = found
    return found


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    if type(x) in dtypes.SCALAR_AVALS:
        x = to_array(x) if type(y) in dtypes.SCALAR_AVALS else typed_scalar(x, y.dtype)
    if type(y) in dtypes.SCALAR_AVALS:
        y = typed_scalar(y, x.dtype)
    return x, y


def add(x: Any, y: Any) -> Any:
    return ADD(*_pair(x, y))


def sub(x: Any, y: Any) -> Any:
    return SUB(*_pair(x, y))


def mul(x: Any, y: Any) -> Any:
    return MUL(*_pair(x, y))


def neg(x: Any) -> Any:
    return NEG(x)


def select(pred: Any, x: Any, y: Any) -> Any:
    """x where `pred`, else y."""
    x, y = _pair(x, y)
    return SELECT_N(pred, y, x)


def convert(x: Any, dtype: Any, weak_type: bool = False) -> Any:
    dtype = dtypes.as_dtype(dtype)
    if x.dtype == dtype and x.aval.weak_type == weak_type:
        return x
    return Convert(dtype, weak_type)(x)


def broadcast_in_dim(x: Any, shape: Shape, dims: tuple[int, ...]) -> Any:
    if x.shape == shape and len(dims) == len(shape):
        return x
    return BroadcastInDim(shape, dims)(x)


def broadcast_to(x: Any, shape: Shape) -> Any:
    """NumPy's broadcast_to: axes are aligned at the end."""
    if x.shape == shape:
        return x
    return BroadcastInDim(shape, tuple(range(len(shape) - x.ndim, len(shape))))(x)


def reshape(x: Any, shape: Shape) -> Any:
    return x if x.shape == shape else Reshape(shape)(x)


def expand_dims(x: Any, axes: Sequence[int]) -> Any:
    """Insert axes of size 1 at the given (non-negative, sorted) places of the result."""
    shape = list(x.shape)
    for a in axes:
        shape.insert(a, 1)
    return reshape(x, tuple(shape))


def permute(x: Any, axes: tuple[int, ...]) -> Any:
    return x if axes == tuple(range(len(axes))) else Permute(axes)(x)


def moveaxis(x: Any, source: int, target: int) -> Any:
    """Move one axis to another place; the others keep their order."""
    if source == target:
        return x
    order = [i for i in range(x.ndim) if i != source]
    order.insert(target, source)
    return Permute(tuple(order))(x)


def reduce_sum(x: Any, axes: tuple[int, ...]) -> Any:
    return ReduceSum(axes)(x) if axes else x


def full(shape: Shape, value: Any, dtype: Any) -> Any:
    """An array of one value: filled at once when eager, a broadcast when staged."""
    if state.trace is None:
        return Concrete(
            Aval(shape, dtype),
            np.full(shape, value, dtypes.carrier(dtypes.as_dtype(dtype))),
        )
    host = np.asarray(value).astype(dtypes.carrier(dtypes.as_dtype(dtype)))
    return broadcast_in_dim(Concrete(Aval((), dtype), host), shape, ())


def zeros(shape: Shape, dtype: Any) -> Any:
    return full(shape, 0, dtype)


def zeros_like(x: Any) -> Any:
    return full(x.shape, 0, x.dtype)


def ones_like(x: Any) -> Any:
    return full(x.shape, 1, x.dtype)


def unbroadcast(ct: Any, x: Any) -> Any:
    """Sum a cotangent over the axes along which `x` was broadcast: the adjoint of that."""
    if ct.shape == x.shape:
        return ct
    extra = ct.ndim - x.ndim
    grown = [
        i + extra for i, n in enumerate(x.shape) if n == 1 and ct.shape[i + extra] != 1
    ]
    return reshape(reduce_sum(ct, (*range(extra), *grown)), x.shape)


def instantiate(t: Any) -> Any:
    """An array in place of a symbolic zero."""
    if type(t) is not Zero:
        return t
    if t.dtype == dtypes.float0:
        return np.zeros(t.shape, dtypes.float0)
    return zeros(t.shape, t.dtype)


def without_zeros(tangents: Any) -> tuple[list[bool], list[Any]]:
    """Which tangents (or cotangents) are not zero, and these."""
    nonzero = [type(t) is not Zero for t in tangents]
    return nonzero, [t for t, n in zip(tangents, nonzero) if n]


def with_zeros(outs: Any, moving: Any, nonzero: Any) -> list[Any]:
    """A tangent for each result: the moving ones in their places, zeros elsewhere."""
    rest = iter(moving)
    return [next(rest) if n else Zero(o.aval.tangent()) for o, n in zip(outs, nonzero)]


def add_tangents(a: Any, b: Any) -> Any:
    """The sum of two (co)tangents, either of which may be a symbolic zero."""
    if type(a) is Zero:
        return b
    return a if type(b) is Zero else ADD(a, b)
