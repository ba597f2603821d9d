"""The list of rules: what one operation has to say about itself.

A primitive is a class. Its annotated fields are its static parameters; its methods are its
rules. Instances are interned by their fields: building the same operation twice gives the same
object, so operations compare and hash by identity and remember their result types.

    class Reverse(Structural):
        axes: tuple[int, ...]
        def numpy(self, x): ...

The families that carry what operations have in common are in `core/basis.py`.
"""

from __future__ import annotations

import re
from inspect import get_annotations
from typing import Any, ClassVar, dataclass_transform

from ferax.core.avals import Aval
from ferax.core.tracing import eager, eager_one, state

_FULL = (
    4096  # interned instances (or remembered result types) before a table starts afresh
)


class cannot:
    """A rule that does not exist, with the reason: `transpose = cannot("not linear")`."""

    def __init__(self, reason: str):
        self.reason = reason

    def __set_name__(self, owner: Any, rule: str) -> None:
        self.rule = rule

    def __get__(self, op: Any, owner: Any) -> Any:
        if op is None:
            return self

        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError(
                f"{owner.name} has no {self.rule} rule: {self.reason}"
            )

        return refuse


class _Interned(type):
    """Calling the class gives the one instance with these fields."""

    fields: tuple[str, ...]
    _defaults: dict[str, Any]
    _instances: dict[tuple[Any, ...], Any] | None

    def __call__(cls, *values: Any, **named: Any) -> Any:
        if named or len(values) != len(cls.fields):
            values = cls._complete(values, named)
        table = cls._instances
        if table is None:
            return cls._build(values)
        op = table.get(values)
        if op is None:
            if len(table) >= _FULL:
                table.clear()
            op = table.setdefault(values, cls._build(values))
        return op

    def _complete(
        cls, values: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Any, ...]:
        given = dict(zip(cls.fields, values))
        if (
            len(values) > len(cls.fields)
            or (set(named) & set(given))
            or set(named) - set(cls.fields)
        ):
            raise TypeError(
                f"{cls.__name__} has the fields {cls.fields}; got {values}, {named}"
            )
        given = {**cls._defaults, **given, **named}
        try:
            return tuple(given[f] for f in cls.fields)
        except KeyError as missing:
            raise TypeError(f"{cls.__name__} needs the field {missing}") from None

    def _build(cls, values: tuple[Any, ...]) -> Any:
        op: Any = object.__new__(cls)  # type: ignore[arg-type]
        op.__dict__.update(zip(cls.fields, values))
        op.__dict__["_results"] = {}
        return op


@dataclass_transform(frozen_default=True, eq_default=False)
class Primitive(metaclass=_Interned):
    """One operation. Every final subclass states six rules, or says why it cannot.

    abstract(*avals) -> avals           shapes and dtypes of the results; checks the operands
    numpy(*arrays) -> arrays            the operation on NumPy arrays; may return views
    stablehlo(hlo, *values) -> values   its lowering (see `engines/stablehlo.py`)
    jvp(primals, tangents) -> outs, tangents_out       tangents may be Zero(aval)
    transpose(cts, args) -> cts         args[i] is LinearInput(aval) where the op is linear,
                                        a value elsewhere; the answer is None for values
    batch(axis, args, dims) -> outs, dims              dims[i] is None where unmapped;
                                        `axis` has `size` and `name`

    Results are always lists. Optional: `linearize` (default: `jvp`, recording what is done
    with the tangents), `effects` (True keeps the equation when its results are unused).
    """

    RULES: ClassVar[tuple[str, ...]] = (
        "abstract", "numpy", "stablehlo", "jvp", "transpose", "batch",
    )  # fmt: skip
    name: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ()
    is_family: ClassVar[bool] = True  # it carries what operations have in common
    effects: ClassVar[bool] = False
    calls: ClassVar[bool] = (
        False  # it runs programs: `execute` instead of `numpy` when eager
    )
    keeps_weak_type: ClassVar[bool] = True  # results are weak where all operands are
    _defaults: ClassVar[dict[str, Any]] = {}
    _instances: ClassVar[dict[tuple[Any, ...], Any] | None] = {}
    _results: dict[Any, tuple[Aval, ...]]

    def __init_subclass__(cls, family: bool = False, interned: bool = True) -> None:
        own = [
            f
            for f, t in get_annotations(cls).items()
            if not str(t).startswith("ClassVar")
        ]
        cls.is_family = family
        cls.fields = tuple(dict.fromkeys([*cls.fields, *own]))
        cls._defaults = {f: getattr(cls, f) for f in cls.fields if hasattr(cls, f)}
        cls._instances = {} if interned else None
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        silent = [] if family else [r for r in cls.RULES if not hasattr(cls, r)]
        if silent:
            raise TypeError(
                f"primitive {cls.__name__} has no {', '.join(silent)} rule; "
                f"write it, or say why: `{silent[0]} = cannot('…')`"
            )

    def bind(self, *args: Any) -> list[Any]:
        """Apply the operation: at once, or as the innermost transformation wants it."""
        trace = state.trace
        if trace is None:
            return eager(self, args)
        return trace.process(self, args)

    def __call__(self, *args: Any) -> Any:
        """`bind` for operations with one result."""
        trace = state.trace
        if trace is None:
            return eager_one(self, args)
        return trace.process(self, args)[0]

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        """`jvp`, in a form in which only linear operations see the tangents."""
        return self.jvp(primals, tangents)  # type: ignore[attr-defined,no-any-return]

    def uses_axis(self, name: Any) -> bool:
        """Whether the operation refers to the named axis (collectives, and what holds them)."""
        return False

    def execute(self, args: list[Any]) -> list[Any]:
        """For operations that hold programs (`calls`): run eagerly on Arrays."""
        raise NotImplementedError(f"{self.name}.execute")

    def infer(self, avals: tuple[Aval, ...]) -> tuple[Aval, ...]:
        """The avals of the results, remembered per operand avals."""
        found = self._results.get(avals)
        if found is None:
            outs = self.abstract(*avals)  # type: ignore[attr-defined]
            if self.keeps_weak_type and avals and all(a.weak_type for a in avals):
                outs = [o.update(weak_type=True) for o in outs]
            if len(self._results) >= _FULL:
                self._results.clear()
            found = self._results.setdefault(avals, tuple(outs))
        return found

    @property
    def params(self) -> dict[str, Any]:
        """The static parameters, as printed in jaxprs."""
        return {f: self.__dict__[f] for f in self.fields}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; cannot set {name!r}")

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.params.items())
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self.__dict__[f] for f in self.fields)
