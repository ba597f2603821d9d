"""Small random programs, from a seed, as readable source.

A program is a Python function of a few float arrays, written statement by statement: each picks
one of the `forms` at random and operands among the names in scope whose kind ("float", "int",
"bool") and shape fit. Forms with bodies (loops, branches, transformed functions) write an inner
function, which sees the outer names too.

What is generated is differentiable almost everywhere, bounded by tame functions, and free of
ties by construction wherever a choice (argmax, a comparison, a rounding) is made, so that two
correct ways to run it cannot differ by more than rounding.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Shape = tuple[int, ...]

_SHAPES: tuple[Shape, ...] = ((), (2,), (3,), (4,), (2, 3), (3, 2), (3, 3), (2, 1, 3))


class Name(NamedTuple):
    """A variable in scope."""

    text: str
    kind: str  # "float", "int" or "bool"
    shape: Shape


@dataclass
class Program:
    """The source of `def program(x0, x1, …)` and the shapes of its arguments."""

    seed: int
    source: str
    shapes: list[Shape]

    @property
    def has_forward_mode(self) -> bool:
        """Whether nothing in it has a derivative in reverse mode only."""
        return "custom_vjp" not in self.source

    def function(self) -> Callable[..., Any]:
        """The Python function; its results are a tuple of arrays, the first one floating."""
        import ferax
        import ferax.numpy as jnp
        from ferax import lax, nn, random

        space: dict[str, Any] = {
            "ferax": ferax, "jnp": jnp, "lax": lax, "nn": nn, "random": random,
        }  # fmt: skip
        exec(compile(self.source, f"<program {self.seed}>", "exec"), space)
        return space["program"]

    def __str__(self) -> str:
        return f"seed {self.seed}, arguments {self.shapes}:\n{self.source}"


def generate(seed: int) -> Program:
    """The program of a seed."""
    choice = random.Random(seed)
    shapes = [choice.choice(_SHAPES) for _ in range(choice.randint(1, 3))]
    writer = Writer(choice)
    arguments = [Name(f"x{i}", "float", s) for i, s in enumerate(shapes)]
    writer.line(f"def program({', '.join(a.text for a in arguments)}):")
    with writer.indented():
        scope = writer.statements(list(arguments), choice.randint(2, 4), depth=2)
        floats = [n for n in scope if n.kind == "float" and n not in arguments]
        means = [f"jnp.mean({n.text})" for n in floats]
        results = [f"jnp.sin({' + '.join(means)})" if means else "jnp.sum(x0)"]
        results += [n.text for n in floats[-2:]]
        results += [n.text for n in scope if n.kind != "float"][-1:]
        writer.line(f"return {', '.join(results)},")
    return Program(seed, "\n".join(writer.lines) + "\n", shapes)


@dataclass
class Writer:
    """Writes statements; every random decision comes from `choice`."""

    choice: random.Random
    lines: list[str] = field(default_factory=list)
    depth: int = 0
    count: int = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextlib.contextmanager
    def indented(self) -> Iterator[None]:
        self.depth += 1
        yield
        self.depth -= 1

    def fresh(self, letter: str = "v") -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def statements(self, scope: list[Name], number: int, depth: int) -> list[Name]:
        """Write that many statements; the scope with their results."""
        for _ in range(number):
            while True:
                forms = NESTED if depth and self.choice.random() < 0.3 else FLAT
                made = self.choice.choice(forms)(self, scope, depth)
                if made is not None:
                    break
            scope = scope + made
        return scope

    # -- operands ----------------------------------------------------------------------

    def some(
        self, scope: list[Name], kind: str = "float", fits: Any = None
    ) -> Name | None:
        """A name of this kind whose shape fits, rather one of the last."""
        found = [n for n in scope if n.kind == kind and (fits is None or fits(n.shape))]
        if not found:
            return None
        return found[
            max(
                self.choice.randrange(len(found))
                for _ in range(self.choice.choice((1, 2)))
            )
        ]

    def number(self) -> str:
        return f"{self.choice.uniform(0.2, 1.7):.2f}"

    def assign(self, text: str, shape: Shape, kind: str = "float") -> list[Name]:
        name = self.fresh({"float": "v", "int": "n", "bool": "b"}[kind])
        self.line(f"{name} = {text}")
        return [Name(name, kind, shape)]

    def expression(self, kind: str, shape: Shape, scope: list[Name]) -> str:
        """Something of this kind and shape, out of what there is."""
        same = self.some(scope, kind, lambda s: s == shape)
        if same is not None:
            return same.text
        if kind == "int":
            index = self.some(scope, "int")
            return "1" if index is None else f"jnp.sum({index.text})"
        if kind == "bool":
            x = self.some(scope)
            assert x is not None
            return f"jnp.mean({x.text}) > {self.number()}"
        fitting = self.some(scope, "float", lambda s: broadcast(s, shape) == shape)
        if fitting is not None:
            return f"jnp.broadcast_to({fitting.text}, {shape})"
        x = self.some(scope)
        assert x is not None
        return f"jnp.full({shape}, jnp.mean({x.text}))"

    def function(
        self,
        parameters: list[Name],
        scope: list[Name],
        depth: int,
        results: list[tuple[str, Shape]],
        number: int | None = None,
    ) -> str:
        """Write an inner function; its name."""
        name = self.fresh("f")
        self.line(f"def {name}({', '.join(p.text for p in parameters)}):")
        with self.indented():
            number = self.choice.randint(1, 2) if number is None else number
            inner = self.statements(scope + parameters, number, depth - 1)
            new = inner[len(scope) :]
            texts = []
            for kind, shape in results:
                near = [n for n in new if n.kind == kind and n.shape == shape]
                texts.append(
                    near[-1].text if near else self.expression(kind, shape, inner)
                )
            # all that was computed matters, and a carry stays small
            last = [n.text for n in new if n.kind == "float"][-1:]
            rest = "".join(f" + 0.3 * jnp.mean({t})" for t in last)
            texts = [
                f"jnp.sin({t}{rest})" if kind == "float" else t
                for t, (kind, _) in zip(texts, results)
            ]
            self.line(f"return {', '.join(texts)}")
        return name


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """NumPy's rule, or None."""
    out = []
    for i in range(max(len(a), len(b))):
        m = a[-1 - i] if i < len(a) else 1
        n = b[-1 - i] if i < len(b) else 1
        if m != n and 1 not in (m, n):
            return None
        out.append(n if m == 1 else m)
    return tuple(reversed(out))


def size(shape: Shape) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def _drop(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _distinct(x: Name) -> str:
    """x with a small ramp, so that nothing in it is equal by construction."""
    return f"({x.text} + 0.01 * jnp.cos(jnp.arange(1.0, {size(x.shape)}.5)).reshape({x.shape}))"


FLAT: list[Any] = []
NESTED: list[Any] = []


def form(weight: int = 1, nested: bool = False) -> Any:
    """Register a way to write a statement; it answers the new names, or None if nothing fits."""

    def register(write: Any) -> Any:
        (NESTED if nested else FLAT).extend([write] * weight)
        return write

    return register


# -- elementwise -----------------------------------------------------------------------------

_UNARY = (
    "jnp.sin({x})", "jnp.cos({x})", "jnp.tanh({x})", "jnp.arctan({x})", "lax.logistic({x})",
    "lax.erf({x})", "lax.erfc({x})", "jnp.exp(-jnp.square({x}))", "jnp.log1p(jnp.square({x}))",
    "jnp.sqrt(1 + {x} * {x})", "lax.rsqrt(1 + {x}**2)", "jnp.expm1(jnp.sin({x}))", "-{x}",
    "jnp.exp2(jnp.tanh({x}))", "jnp.log(2 + jnp.sin({x}))", "jnp.sinh(jnp.tanh({x}))",
    "jnp.cosh(jnp.sin({x}))", "jnp.arcsinh({x})", "jnp.arcsin(0.9 * jnp.sin({x}))",
    "jnp.arccosh(2 + jnp.sin({x}))", "jnp.arctanh(0.8 * jnp.tanh({x}))", "jnp.tan(jnp.tanh({x}))",
    "jnp.cbrt(2 + jnp.sin({x}))", "jnp.sinc({x})", "jnp.abs({x})", "jnp.maximum({x}, 0)",
    "jnp.clip({x}, -0.61, 0.83)", "(2 + jnp.sin({x}))**1.7", "jnp.tanh({x})**3",
    "jnp.reciprocal(2 + jnp.sin({x}))", "1 / (2 + jnp.sin({x}))", "{c} - {x}", "{x} * {c}",
    "lax.lgamma(2 + jnp.sin({x}))", "lax.digamma(2 + jnp.sin({x}))", "{x} - jnp.floor({x})",
    "lax.erf_inv(0.8 * jnp.tanh({x}))", "jnp.sign({x}) * jnp.square(jnp.sin({x}))",
    "jnp.nan_to_num({x})", "jnp.where({x} > {c}, jnp.sin({x}), {x})", "jnp.i0(jnp.sin({x}))",
    "jnp.arccos(0.9 * jnp.sin({x}))", "lax.bessel_i1e({x})", "jnp.positive({x})",
    "jnp.piecewise({x}, [{x} < {c}], [jnp.sin, jnp.cos])", "jnp.heaviside({x}, 0.5) * {x}",
    "jnp.sqrt(jnp.where({x} > {c}, {x}, 1.0))", "lax.reduce_precision({x}, 11, 52)",
    "lax.clamp(-0.7, {x}, {c})", "jnp.deg2rad({x})", "jnp.modf({x})[0]", "jnp.real({x})",
    "jnp.copysign({x}, {c})", "jnp.exp({x} - jnp.max({x}))", "jnp.fmod({x}, {c})", "{x} % {c}",
    "nn.softplus({x})", "nn.gelu({x})", "nn.silu({x})", "nn.gelu({x}, approximate=False)",
    "nn.elu({x})", "nn.leaky_relu({x})", "nn.log_sigmoid({x})", "nn.relu6({x})",
    "nn.hard_tanh({x})",
    "jnp.vectorize(jnp.sin)({x})", "ferax.tree.map(jnp.cos, {x})", "jnp.exp(1j * {x}).real",
    "{x} * random.uniform(random.key(3), {x}.shape, {x}.dtype)", "jnp.abs({x} + 1j * jnp.cos({x}))",
    "jnp.angle(2 + jnp.sin({x}) + 1j * {x})",
    "lax.igamma(lax.full_like({x}, 1.5), 1 + jnp.square({x}))",
    "lax.betainc(lax.full_like({x}, 2.0), lax.full_like({x}, 1.5), lax.logistic({x}))",
    "lax.polygamma(lax.full_like({x}, 1.0), 2 + jnp.sin({x}))",
)  # fmt: skip
_BINARY = (
    "{x} + {y}", "{x} - {y}", "jnp.sin({x}) * {y}", "{x} * jnp.tanh({y})", "jnp.maximum({x}, {y})",
    "jnp.minimum({x}, {y})", "{x} / (2 + jnp.sin({y}))", "jnp.arctan2({x}, 2 + jnp.cos({y}))",
    "jnp.hypot({x}, 1 + {y}**2)", "(2 + jnp.sin({x}))**jnp.tanh({y})", "jnp.logaddexp({x}, {y})",
    "jnp.where({x} > {y} + {c}, {x}, {y})", "lax.select({x} + {c} < {x}, {x}, {x}) - {y}",
    "jnp.where({x} > {c}, {y}, jnp.cos({x}))", "jnp.power(jnp.exp(jnp.sin({x})), {y})",
    "jnp.fmax({x}, {y})", "jnp.copysign({x}, 2 + jnp.sin({y}))",
    "jnp.float_power(2.0, jnp.sin({x})) - {y}",
    "jnp.heaviside({x}, {y})", "jnp.fmod({x}, 2 + jnp.sin({y}))", "jnp.logaddexp2({x}, {y})",
    "jnp.add(*jnp.broadcast_arrays({x}, {y}))", "jnp.remainder({x}, 1.5 + jnp.cos({y}))",
)  # fmt: skip


@form(6)
def unary(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    return w.assign(w.choice.choice(_UNARY).format(x=x.text, c=w.number()), x.shape)


@form(6)
def binary(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    y = w.some(scope, "float", lambda s: broadcast(s, x.shape) is not None)
    shape = broadcast(x.shape, y.shape)
    return w.assign(
        w.choice.choice(_BINARY).format(x=x.text, y=y.text, c=w.number()), shape
    )


@form()
def compare(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    sign = w.choice.choice("<>")
    return w.assign(f"{x.text} {sign} {w.number()}", x.shape, "bool")


@form()
def masked(w: Writer, scope: list[Name], depth: int) -> Any:
    b = w.some(scope, "bool")
    if b is None:
        return None
    x = w.some(scope, "float", lambda s: broadcast(s, b.shape) is not None)
    if x is None:
        return None
    shape = broadcast(x.shape, b.shape)
    text = w.choice.choice(
        (
            "jnp.where({b}, {x}, 0.3)",
            "{x} * {b}",
            "jnp.where(~{b}, jnp.cos({x}), {x})",
            "jnp.select([{b}], [{x}], 0.5)",
        )
    )
    return w.assign(text.format(b=b.text, x=x.text), shape)


@form()
def from_integers(w: Writer, scope: list[Name], depth: int) -> Any:
    n = w.some(scope, "int")
    if n is None:
        return None
    x = w.some(scope, "float", lambda s: broadcast(s, n.shape) is not None)
    if x is None:
        return None
    text = w.choice.choice(("{x} * {n}", "{x} + 0.1 * {n}", "{x} / (1 + {n} % 3)"))
    shape = broadcast(x.shape, n.shape)
    return w.assign(f"jnp.sin({text.format(x=x.text, n=n.text)})", shape)


# -- reductions and scans along an axis ------------------------------------------------------

_REDUCTIONS = (
    "jnp.sum({x}{a})", "jnp.mean({x}{a})", "jnp.max({x}{a})", "jnp.min({x}{a})", "jnp.prod({x}{a})",
    "jnp.var({x}{a})", "jnp.sqrt(0.1 + jnp.var({x}{a}))", "jnp.log(jnp.sum(jnp.exp({x}){a}))",
    "jnp.linalg.norm(2 + jnp.sin({x}){a})", "jnp.median({d}{a})", "jnp.ptp({d}{a})",
    "jnp.nansum({x}{a})", "jnp.average({x}{a})", "jnp.std({d} * 2{a})", "jnp.quantile({d}, 0.3{a})",
    "jnp.nanmax({x}{a})", "jnp.mean({x}{a}, where={x} < 1.1e3)", "jnp.sum({x}{a}, where={x} > {c})",
    "jnp.max({x}{a}, initial=-0.4, where={x} < {c})", "jnp.nanmean({x}{a})",
    "nn.logsumexp({x}{a})", "jnp.nanvar({x}{a})", "nn.logsumexp({x}{a}, b=2 + jnp.sin({x}))",
)  # fmt: skip
_ALONG = (
    "jnp.cumsum({x}, axis={a})", "jnp.cumprod(jnp.tanh({x}), axis={a})", "jnp.sort({d}, axis={a})",
    "lax.cummax({x}, axis={a})", "lax.cumlogsumexp({x}, axis={a})", "jnp.flip({x}, {a})",
    "lax.cumsum({x}, axis={a}, reverse=True)", "jnp.roll({x}, 1, axis={a})",
    "jnp.exp({x}) / jnp.sum(jnp.exp({x}), axis={a}, keepdims=True)", "lax.cummin({x}, axis={a})",
    "lax.associative_scan(lambda a, b: jnp.sin(a + b) - a * 0, {x}, axis={a}) * 0 + {x}",
    "lax.associative_scan(jnp.add, {x}, axis={a})", "lax.rev({x}, ({a},))",
    "lax.associative_scan(jnp.multiply, jnp.sin({x}), axis={a}, reverse=True)",
    "jnp.take_along_axis({x}, jnp.argsort({d}, axis={a}), axis={a})",
    "jnp.gradient(jnp.cumsum({x}, {a}), axis={a})",
    "lax.sort_key_val({d}, {x}, {a})[1]",
    "jnp.apply_along_axis(jnp.sin, {a}, {x})", "{x} - jnp.mean({x}, {a}, keepdims=True)",
    "nn.softmax({x}, axis={a})", "nn.log_softmax({x}, axis={a})", "nn.standardize({d}, axis={a})",
    "jnp.fft.irfft(jnp.fft.rfft({x}, axis={a}) * 0.7, {n}, axis={a})",
    "jnp.fft.fft({x}, axis={a}).real",
    "jnp.cumulative_sum({x}, axis={a})", "lax.cumprod(jnp.sin({x}), axis={a}, reverse=True)",
)  # fmt: skip


@form(4)
def reduction(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    axis = w.choice.randrange(len(x.shape)) if x.shape else None
    if axis is None or w.choice.random() < 0.3:
        text, shape = "", ()
    elif w.choice.random() < 0.3:
        text = f", axis={axis}, keepdims=True"
        shape = x.shape[:axis] + (1,) + x.shape[axis + 1 :]
    else:
        axis = axis - len(x.shape) if w.choice.random() < 0.5 else axis
        text, shape = f", axis={axis}", _drop(x.shape, axis % len(x.shape))
    rule = w.choice.choice(_REDUCTIONS)
    if "norm(" in rule and "axis" not in text and len(x.shape) > 2:
        return None
    if "std" in rule and (size(x.shape) == size(shape)):
        return None
    if "average" in rule and "keepdims" in text:
        return None
    return w.assign(rule.format(x=x.text, a=text, d=_distinct(x), c=w.number()), shape)


@form(3)
def along(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: bool(s))
    if x is None:
        return None
    axis = w.choice.randrange(len(x.shape))
    rule = w.choice.choice(_ALONG)
    if "gradient" in rule and x.shape[axis] < 2:
        return None
    return w.assign(
        rule.format(x=x.text, a=axis, d=_distinct(x), n=x.shape[axis]), x.shape
    )


@form()
def positions(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: bool(s))
    if x is None:
        return None
    axis = w.choice.randrange(len(x.shape))
    rules = (
        (f"jnp.argmax({_distinct(x)}, axis={axis})", _drop(x.shape, axis)),
        (f"jnp.argmin({_distinct(x)})", ()),
        (f"jnp.argsort({_distinct(x)}, axis={axis})", x.shape),
        (f"jnp.sum({x.text} > {w.number()}, axis={axis})", _drop(x.shape, axis)),
        (f"jnp.count_nonzero({x.text} < {w.number()})", ()),
        (f"jnp.floor({x.text} * 3.3 + {w.number()}).astype(int)", x.shape),
        (f"lax.top_k({_distinct(x)}, 1)[1]", x.shape[:-1] + (1,)),
        (f"jnp.searchsorted(jnp.array([-0.31, 0.27, 0.93]), {x.text})", x.shape),
    )
    text, shape = w.choice.choice(rules)
    return w.assign(text, shape, "int")


# -- indexing and updates --------------------------------------------------------------------


def _index(w: Writer, scope: list[Name], shape: Shape) -> tuple[str, Shape] | None:
    """An index of an array of this shape with what is left of the shape."""
    n, rest = shape[0], shape[1:]
    kinds = [
        "int",
        "slice",
        "reverse",
        "new",
        "array",
        "dots",
        "pair",
        "traced",
        "list",
    ]
    kind = w.choice.choice(kinds)
    at = w.choice.randrange(-n, n)
    if kind == "int":
        return f"{at}", rest
    if kind == "slice":
        start = w.choice.randrange(n)
        return f"{start}:", (n - start, *rest)
    if kind == "reverse":
        return "::-1", shape
    if kind == "new":
        return "None", (1, *shape)
    if kind == "array":
        places = [w.choice.randrange(-n, n) for _ in range(2)]
        return f"jnp.array({places})", (2, *rest)
    if kind == "dots":
        return f"..., {w.choice.randrange(shape[-1])}", shape[:-1]
    if kind == "pair":
        if len(shape) < 2:
            return None
        rows = [w.choice.randrange(n) for _ in range(2)]
        columns = [w.choice.randrange(shape[1]) for _ in range(2)]
        return f"jnp.array({rows}), jnp.array({columns})", (2, *shape[2:])
    if kind == "list":
        return f"jnp.array([[0, {at % n}], [{at}, -1]])", (2, 2, *rest)
    traced = w.some(scope, "int", lambda s: len(s) <= 1)
    if traced is None:
        return None
    return f"{traced.text} % {n}", (*traced.shape, *rest)


@form(3)
def indexing(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: bool(s))
    found = x and _index(w, scope, x.shape)
    if not found or len(found[1]) > 4:
        return None
    return w.assign(f"{x.text}[{found[0]}]", found[1])


@form(3)
def update(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: bool(s))
    found = x and _index(w, scope, x.shape)
    # set at one place twice: which of two different values stays is not defined
    if not found or len(found[1]) > 3 or found[0].startswith("None"):
        return None
    several = "jnp.array" in found[0] or "%" in found[0]
    way = w.choice.choice(
        ("add", "multiply") if several else ("set", "add", "multiply", "max", "min")
    )
    value = w.expression("float", found[1], scope) if w.choice.random() < 0.7 else "0.7"
    if way in ("max", "min") and "v" in value:
        value = f"{value} + {w.number()}"
    if way == "multiply":
        value = f"jnp.cos({value})"
    return w.assign(f"{x.text}.at[{found[0]}].{way}({value})", x.shape)


@form(2)
def slicing(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: bool(s))
    if x is None:
        return None
    axis = w.choice.randrange(len(x.shape))
    n = x.shape[axis]
    start = w.expression("int", (), scope)
    row = w.expression("float", _drop(x.shape, axis), scope)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    places = f"jnp.array([{n - 1}, 0, {n - 1}])"
    rules = (
        (f"lax.dynamic_slice_in_dim({x.text}, {start}, 1, {axis})", (*before, 1, *after)),
        (f"lax.dynamic_index_in_dim({x.text}, {start}, {axis}, False)", before + after),
        (f"lax.dynamic_update_index_in_dim({x.text}, {row}, {start}, {axis})", x.shape),
        (f"jnp.take({x.text}, {start}, axis={axis}, mode='clip')", before + after),
        (f"jnp.take({x.text}, {places}, axis={axis})", (*before, 3, *after)),
        (f"lax.slice_in_dim({x.text}, 0, {n}, 2, {axis})", (*before, (n + 1) // 2, *after)),
    )  # fmt: skip
    text, shape = w.choice.choice(rules)
    return w.assign(text, shape)


# -- shapes and products ---------------------------------------------------------------------


@form(4)
def reshaping(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: size(s) <= 12 and len(s) < 4)
    if x is None:
        return None
    s, t = x.shape, x.text
    rules = [
        (f"jnp.ravel({t})", (size(s),)),
        (f"jnp.expand_dims({t}, 0)", (1, *s)),
        (f"jnp.stack([{t}, jnp.sin({t})])", (2, *s)),
        (f"jnp.broadcast_to({t}, {(2, *s)})", (2, *s)),
        (f"jnp.squeeze({t})", tuple(n for n in s if n != 1)),
        (f"{t}.T", s[::-1]),
        (f"jnp.tile({t}, 2)", (*s[:-1], 2 * s[-1]) if s else (2,)),
        (f"jnp.stack([{t}, {t}], axis=-1)", (*s, 2)),
    ]
    if s:
        n, rest = s[0], s[1:]
        rules += [
            (f"jnp.concatenate([{t}, {t}[:1]])", (n + 1, *rest)),
            (f"jnp.pad({t}, 1)", tuple(m + 2 for m in s)),
            (f"jnp.pad({t}, ((1, 0),) + ((0, 0),) * {len(rest)}, mode='edge')", (n + 1, *rest)),
            (f"jnp.repeat({t}, 2, axis=0)", (2 * n, *rest)),
            (f"jnp.moveaxis({t}, 0, -1)", (*rest, n)),
            (f"jnp.diff({t}, axis=0, prepend=0.5)", s),
            (f"lax.pad({t}, 0.4, [(0, 0, 1)] + [(1, -1, 0)] * {len(rest)})", (2 * n - 1, *rest)),
            (f"jnp.append({t}, 0.3)", (size(s) + 1,)),
            (f"jnp.split({t}, [1])[0]", (1, *rest)),
            (f"jnp.vstack([{t}, {t}])", (2 * n, *rest) if rest else (2, n)),
            (f"jnp.trapezoid({t}, dx=0.5)", s[:-1]),
        ]  # fmt: skip
    if len(s) == 2:
        rules += [
            (f"jnp.tril({t})", s),
            (f"jnp.triu({t}, 1)", s),
            (f"jnp.trace({t})", ()),
            (f"jnp.diagonal({t})", (min(s),)),
            (f"jnp.rot90({t})", s[::-1]),
            (f"jnp.fliplr({t})", s),
        ]
    if len(s) == 1:
        rules += [(f"jnp.diag({t})", (s[0], s[0]))]
    text, shape = w.choice.choice(rules)
    return w.assign(text, shape) if size(shape) <= 24 else None


@form(3)
def product(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: 0 < len(s) <= 3)
    if x is None:
        return None
    y = w.some(scope, "float", lambda s: len(s) in (1, 2) and s[0] == x.shape[-1])
    rules = [(f"jnp.tensordot({x.text}, jnp.cos({x.text}), {len(x.shape)})", ())]
    if y is not None:
        shape = x.shape[:-1] + y.shape[1:]
        rules += [(f"jnp.tensordot({x.text}, {y.text}, 1)", shape)] * 2
        if len(y.shape) == 1 or len(x.shape) < 3:
            rules += [(f"{x.text} @ {y.text}", shape)] * 4
            rules += [(f"jnp.dot({x.text}, {y.text})", shape)]
    if len(x.shape) == 1:
        n = x.shape[0]
        nodes = "jnp.array([-1.1, 0.2, 1.3])", "jnp.array([0.3, -0.4, 0.8])"
        rules += [
            (f"jnp.outer({x.text}, jnp.sin({x.text}))", (n, n)),
            (f"jnp.convolve({x.text}, jnp.array([0.5, -0.3]))", (n + 1,)),
            (f"jnp.vander({x.text}, 2)", (n, 2)),
            (f"jnp.kron({x.text}, jnp.array([1.0, -0.5]))", (2 * n,)),
            (f"jnp.correlate({x.text}, jnp.array([0.5, -0.3]), mode='same')", (max(n, 2),)),
            (f"jnp.ediff1d({x.text}, to_end=0.2)", (n,)),
            (f"jnp.interp({x.text}, {nodes[0]}, {nodes[1]})", (n,)),
        ]  # fmt: skip
    if len(x.shape) == 2:
        m, n = x.shape
        regular = f"jnp.eye({m}) * 3 + jnp.tanh({x.text} @ {x.text}.T)"
        ordered = f"jnp.diag(jnp.arange({m}.0) * 4) + jnp.tanh({x.text} @ {x.text}.T)"
        positive = f"jnp.eye({m}) + jnp.tanh({x.text}) @ jnp.tanh({x.text}).T"
        rules += [
            (f"jnp.einsum('ij,kj->ik', {x.text}, {x.text})", (m, m)),
            (f"jnp.einsum('ij,ij->j', {x.text}, jnp.cos({x.text}))", (n,)),
            (f"jnp.linalg.solve({regular}, {x.text})", (m, n)),
            (f"jnp.linalg.inv({regular})", (m, m)),
            (f"jnp.linalg.cholesky({positive})", (m, m)),
            (f"jnp.linalg.slogdet({regular})[1]", ()),
            (f"jnp.linalg.det({regular})", ()),
            (f"jnp.linalg.eigvalsh({ordered})", (m,)),
            (f"jnp.linalg.svd({ordered}, compute_uv=False)", (m,)),
            (f"jnp.abs(jnp.linalg.qr({regular})[1])", (m, m)),
            (f"lax.linalg.triangular_solve({regular}, {x.text}, left_side=True)", (m, n)),
            (f"lax.conv({x.text}[None], jnp.cos({x.text}[None, :, :1]), (1,), 'SAME')[0]", (1, n)),
            (f"lax.reduce_window({x.text}, -jnp.inf, lax.max, (2, 1), (1, 1), 'SAME')", (m, n)),
            (f"lax.reduce_window({x.text}, 0.0, lax.add, (2, 2), (1, 1), 'SAME')", (m, n)),
        ]  # fmt: skip
    if len(x.shape) == 3:
        b, m, n = x.shape
        rules += [
            (f"{x.text} @ jnp.swapaxes({x.text}, 1, 2)", (b, m, m)),
            (f"jnp.einsum('bij->bj', {x.text})", (b, n)),
        ]
    text, shape = w.choice.choice(rules)
    return w.assign(f"jnp.sin({text})", shape) if size(shape) <= 24 else None


# -- control flow ----------------------------------------------------------------------------


@form(2, nested=True)
def branches(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    shape = w.choice.choice((x.shape, ()))
    parameter = Name(w.fresh("p"), "float", x.shape)
    fs = [w.function([parameter], scope, depth, [("float", shape)]) for _ in range(2)]
    if w.choice.random() < 0.5:
        test = w.expression("bool", (), scope)
        return w.assign(f"lax.cond({test}, {', '.join(fs)}, {x.text})", shape)
    fs.append("lambda p: jnp.cos(jnp.sum(p)) + jnp.zeros(" + str(shape) + ")")
    which = f"{w.expression('int', (), scope)} % 4"
    return w.assign(f"lax.switch({which}, [{', '.join(fs)}], {x.text})", shape)


@form(3, nested=True)
def scan(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: 0 < len(s) <= 3)
    carry = w.some(scope, "float", lambda s: len(s) <= 2)
    if x is None or carry is None:
        return None
    c = Name(w.fresh("c"), "float", carry.shape)
    row = Name(w.fresh("p"), "float", x.shape[1:])
    shape = w.choice.choice((row.shape, c.shape, ()))
    results = [("float", c.shape), ("float", shape)]
    body = w.function([c, row], scope, depth, results)
    option = w.choice.choice(("", ", reverse=True", ", unroll=2", ""))
    carried, stacked = w.fresh(), w.fresh()
    w.line(f"{carried}, {stacked} = lax.scan({body}, {carry.text}, {x.text}{option})")
    return [
        Name(carried, "float", c.shape),
        Name(stacked, "float", (x.shape[0], *shape)),
    ]


@form(1, nested=True)
def scan_of_trees(w: Writer, scope: list[Name], depth: int) -> Any:
    """A carry of several leaves, one of them a count; no rows."""
    x, y = w.some(scope), w.some(scope)
    c, d = (Name(w.fresh("c"), "float", n.shape) for n in (x, y))
    body = w.function([c, d], scope, depth, [("float", c.shape), ("float", d.shape)])
    step, last, ys = w.fresh("g"), w.fresh("s"), w.fresh()
    w.line(f"def {step}(s, _):")
    with w.indented():
        w.line(f"a, b = {body}(s['a'], s['b'])")
        w.line("return {'a': a, 'b': b, 'n': s['n'] + 1}, s['n'] * jnp.mean(a)")
    start = f"{{'a': {x.text}, 'b': {y.text}, 'n': 0}}"
    w.line(f"{last}, {ys} = lax.scan({step}, {start}, length=3)")
    return [Name(ys, "float", (3,)), *w.assign(f"{last}['b']", d.shape)]


@form(2, nested=True)
def counted(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: len(s) <= 2)
    if x is None:
        return None
    i, c = Name(w.fresh("i"), "int", ()), Name(w.fresh("c"), "float", x.shape)
    body = w.function([i, c], scope, depth, [("float", x.shape)])
    known = w.choice.random() < 0.8
    stop = "3" if known else f"1 + {w.expression('int', (), scope)} % 3"
    return w.assign(f"lax.fori_loop(0, {stop}, {body}, {x.text})", x.shape)


@form(1, nested=True)
def unbounded(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: len(s) <= 2)
    if x is None:
        return None
    c = Name(w.fresh("c"), "float", x.shape)
    body = w.function([c], scope, depth, [("float", x.shape)])
    test = f"(s[0] < 4) & (jnp.mean(s[1]) < {w.number()})"
    step = f"lambda s: (s[0] + 1, {body}(s[1]))"
    return w.assign(
        f"lax.while_loop(lambda s: {test}, {step}, (0, {x.text}))[1]", x.shape
    )


@form(1, nested=True)
def mapped_loop(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: 0 < len(s) <= 3)
    if x is None:
        return None
    row = Name(w.fresh("p"), "float", x.shape[1:])
    body = w.function([row], scope, depth, [("float", row.shape)])
    option = w.choice.choice(("", ", batch_size=2"))
    return w.assign(f"lax.map({body}, {x.text}{option})", x.shape)


# -- transformations -------------------------------------------------------------------------


@form(3, nested=True)
def mapped(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: 0 < len(s) <= 3)
    if x is None:
        return None
    axis = w.choice.randrange(len(x.shape))
    n = x.shape[axis]
    p = Name(w.fresh("p"), "float", _drop(x.shape, axis))
    y = w.some(scope, "float", lambda s: len(s) <= 2)
    q = Name(w.fresh("q"), "float", y.shape) if y else None
    shape = w.choice.choice((p.shape, ()))
    body = w.function([p, q] if q else [p], scope, depth, [("float", shape)])
    axes = f"({axis}, None)" if q else f"{axis}"
    given = f"{x.text}, {y.text}" if q else x.text
    named = w.choice.random() < 0.3
    out = w.choice.randrange(len(shape) + 1)
    if named and q is None:
        how = w.choice.choice(("lax.psum", "lax.pmean", "lax.pmax"))
        inner = f"lambda p: p * {how}({body}(p), 'axis').sum()"
        call = f"ferax.vmap({inner}, {axes}, axis_name='axis')({given})"
        return w.assign(f"jnp.sin({call})", (n, *p.shape))
    call = f"ferax.vmap({body}, {axes}, out_axes={out})({given})"
    return w.assign(call, (*shape[:out], n, *shape[out:]))


_COLLECTIVES = (
    "lax.psum({m}, 'axis')", "lax.pmean({m}, 'axis')", "lax.ppermute({m}, 'axis', {shift})",
    "lax.pmax({m} + 0.1 * lax.axis_index('axis'), 'axis')",
    "lax.pmin({m} + 0.1 * lax.axis_index('axis'), 'axis')",
    "jnp.prod(lax.all_gather({m}, 'axis'), axis=0)", "{m} / (1 + lax.axis_index('axis'))",
    "lax.psum_scatter(jnp.sin(lax.all_gather({m}, 'axis')), 'axis')",
    "lax.all_to_all(jnp.cumsum(lax.all_gather({m}, 'axis'), 0), 'axis', 0, 0)[-1]",
)  # fmt: skip


@form(2, nested=True)
def collective(w: Writer, scope: list[Name], depth: int) -> Any:
    """Members of a named axis that see each other, at times differentiated as members."""
    x = w.some(scope, "float", lambda s: 0 < len(s) <= 3)
    if x is None:
        return None
    axis = w.choice.randrange(len(x.shape))
    n = x.shape[axis]
    p = Name(w.fresh("p"), "float", _drop(x.shape, axis))
    body = w.function([p], scope, depth, [("float", p.shape)])
    how = w.choice.choice(_COLLECTIVES).format(
        m=f"{body}(p)", shift=[(i, (i + 1) % n) for i in range(n)]
    )
    member = w.fresh("f")
    w.line(f"def {member}(p):")
    with w.indented():
        w.line(f"return jnp.cos(p) * {how}")
    way = w.choice.choice(
        (
            member,
            member,
            f"ferax.grad(lambda p: jnp.sum({member}(p)))",
            f"lambda p: ferax.jvp({member}, (p,), (jnp.cos(p),))[1]",
            f"ferax.checkpoint({member})",
        )
    )
    call = f"ferax.vmap({way}, {axis}, axis_name='axis')({x.text})"
    return w.assign(f"jnp.sin({call})", (n, *p.shape))


@form(3, nested=True)
def derived(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope, "float", lambda s: size(s) <= 9 and len(s) <= 2)
    if x is None:
        return None
    p = Name(w.fresh("p"), "float", x.shape)
    scalar = w.choice.random() < 0.6
    shape = () if scalar else x.shape
    f = w.function([p], scope, depth, [("float", shape)])
    t, rules = x.text, []
    if scalar:
        rules += [
            (f"ferax.grad({f})({t})", x.shape),
            (f"ferax.value_and_grad({f})({t})[1]", x.shape),
            (f"ferax.grad(ferax.checkpoint({f}))({t})", x.shape),
            (f"ferax.jit(ferax.grad({f}))({t})", x.shape),
            (f"ferax.grad(ferax.jit({f}))({t})", x.shape),
            (f"jnp.sum(ferax.hessian({f})({t}))", ()),
        ]
    else:
        rules += [
            (f"ferax.jvp({f}, ({t},), (jnp.cos({t}),))[1]", x.shape),
            (f"ferax.vjp({f}, {t})[1](jnp.cos({t}))[0]", x.shape),
            (f"ferax.linearize({f}, {t})[1]({t})", x.shape),
            (f"jnp.sum(ferax.jacfwd({f})({t}))", ()),
            (f"jnp.sum(ferax.jacrev({f})({t}))", ()),
            (
                f"ferax.vmap(ferax.linearize({f}, {t})[1])(jnp.stack([{t}, -{t}]))[0]",
                x.shape,
            ),
            (f"ferax.jvp(ferax.checkpoint({f}), ({t},), ({t},))[1]", x.shape),
        ]
    text, shape = w.choice.choice(rules)
    return w.assign(f"jnp.tanh({text})", shape)


@form(3, nested=True)
def wrapped(w: Writer, scope: list[Name], depth: int) -> Any:
    x = w.some(scope)
    p = Name(w.fresh("p"), "float", x.shape)
    f = w.function([p], scope, depth, [("float", x.shape)], w.choice.randint(1, 3))
    ways = ["ferax.jit", "ferax.checkpoint", "ferax.jit", "custom_jvp", "a policy"]
    # at the top only, where no forward mode runs over it
    how = w.choice.choice(ways + (["custom_vjp"] if depth == 2 else []))
    if how == "custom_jvp":
        own = w.fresh("g")
        w.line(f"{own} = ferax.custom_jvp(lambda x: jnp.sin(x) * 0.5)")
        w.line(f"{own}.defjvp(lambda p, t: ({own}(*p), 0.5 * jnp.cos(p[0]) * t[0]))")
        return w.assign(f"{own}({f}({x.text}))", x.shape)
    if how == "custom_vjp":
        own = w.fresh("g")
        w.line(f"{own} = ferax.custom_vjp(lambda x: jnp.sin(x) * 0.5)")
        w.line(
            f"{own}.defvjp(lambda x: ({own}(x), x), "
            "lambda x, ct: (0.5 * jnp.cos(x) * ct,))"
        )
        return w.assign(f"{own}({f}({x.text}))", x.shape)
    if how == "a policy":
        policy = w.choice.choice(("everything", "dots", "nothing")) + "_saveable"
        how = f"ferax.checkpoint(policy=ferax.checkpoint_policies.{policy})"
    return w.assign(f"{how}({f})({x.text})", x.shape)
