"""What a traced function read from its surroundings, and whether that has changed since.

A trace bakes in the values of globals and closure variables. For each of these that the function
(or a Python function that it names) reads, a guard remembers the object found there. Numbers,
strings and tuples of such are compared by value, all else by identity; modules and the insides
of lists, dicts and objects are not watched.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator
from typing import Any

from ferax.errors import is_internal

_MISSING = object()
_PLAIN = (int, float, complex, bool, str, bytes, type(None), tuple, frozenset)
_SKIPPED = (types.ModuleType, types.BuiltinFunctionType, type)
_global_names: dict[types.CodeType, tuple[str, ...]] = {}


class Guard:
    """One name in one namespace, and the object it had when the function was traced."""

    __slots__ = ("space", "name", "value", "kind")

    def __init__(self, space: Any, name: str, value: Any):
        self.space = space  # a module's dict, or the cell of a closure variable
        self.name = name
        self.value = value
        self.kind = "global" if type(space) is dict else "closure variable"

    def now(self) -> Any:
        if type(self.space) is dict:
            return self.space.get(self.name, _MISSING)
        try:
            return self.space.cell_contents
        except ValueError:
            return _MISSING

    def holds(self) -> bool:
        now = self.now()
        if now is self.value:
            return True
        if type(now) is not type(self.value) or not isinstance(now, _PLAIN):
            return False
        try:
            return repr(now) == repr(self.value) and bool(now == self.value)
        except Exception:  # a tuple of arrays: not comparable, so changed
            return False

    def change(self) -> str:
        now = self.now()
        shown = "(deleted)" if now is _MISSING else _short(now)
        return f"the {self.kind} {self.name} changed: {_short(self.value)} → {shown}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def guards_of(fun: Any) -> list[Guard]:
    """Guards for everything that `fun` reads by name."""
    guards: dict[tuple[int, str], Guard] = {}
    seen: set[types.CodeType] = set()
    queue = [_python_function(fun)]
    while queue:
        function = queue.pop()
        if (
            function is None
            or function.__code__ in seen
            or is_internal(function.__code__)
        ):
            continue
        seen.add(function.__code__)
        for space, name, value in _reads(function):
            if isinstance(value, _SKIPPED):
                continue
            key = (id(space), name)
            if key not in guards:
                guards[key] = Guard(space, name, value)
                queue.append(_python_function(value))
    return list(guards.values())


def _python_function(value: Any) -> types.FunctionType | None:
    """The Python function behind methods, partials and wrappers, if there is one."""
    for _ in range(8):
        if isinstance(value, types.FunctionType):
            inner = getattr(value, "__wrapped__", None)
            if inner is None or not is_internal(value.__code__):
                return value
            value = inner
        elif isinstance(value, types.MethodType):
            value = value.__func__
        elif isinstance(value, functools.partial):
            value = value.func
        else:
            value = getattr(value, "__wrapped__", None)
    return None


def _reads(function: types.FunctionType) -> Iterator[tuple[Any, str, Any]]:
    space = function.__globals__
    for name in _names(function.__code__):
        if name in space:
            yield space, name, space[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield cell, name, cell.cell_contents
        except ValueError:
            continue  # not assigned yet


def _names(code: types.CodeType) -> tuple[str, ...]:
    """The globals that the code loads, its inner functions included."""
    found = _global_names.get(code)
    if found is None:
        names = {
            i.argval
            for i in dis.get_instructions(code)
            if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        }
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                names.update(_names(constant))
        found = _global_names[code] = tuple(sorted(names))
    return found
