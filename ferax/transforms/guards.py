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
from typing import Any

from ferax.errors import is_internal

_MISSING = object()
_PLAIN = (int, float, complex, bool, str, bytes, type(None), tuple, frozenset)
_SKIPPED = (types.ModuleType, types.BuiltinFunctionType, type)


class Guard:
    """One name in one namespace, and the object it had when the function was traced."""

    __slots__ = ("space", "name", "value")

    def __init__(self, space: Any, name: str):
        self.space = space  # a module's dict, or the cell of a closure variable
        self.name = name
        self.value = self.now()

    def now(self) -> Any:
        if type(self.space) is dict:
            return self.space.get(self.name, _MISSING)
        try:
            return self.space.cell_contents
        except ValueError:  # not assigned yet
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
        kind = "global" if type(self.space) is dict else "closure variable"
        was, now = _short(self.value), _short(self.now())
        return f"the {kind} {self.name} changed: {was} → {now}"


def _short(value: Any) -> str:
    text = "(deleted)" if value is _MISSING else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def guards_of(fun: Any) -> list[Guard]:
    """Guards for everything that `fun` reads by name."""
    guards: dict[tuple[int, str], Guard] = {}
    seen: set[types.CodeType] = set()
    queue = [_python_function(fun)]
    while queue:
        function = queue.pop()
        if function is None or function.__code__ in seen:
            continue
        seen.add(function.__code__)
        if is_internal(function.__code__):
            continue
        for guard in _reads(function):
            key = (id(guard.space), guard.name)
            if key not in guards and not isinstance(guard.value, _SKIPPED):
                guards[key] = guard
                queue.append(_python_function(guard.value))
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


def _reads(function: types.FunctionType) -> list[Guard]:
    code = function.__code__
    cells = zip(function.__closure__ or (), code.co_freevars)
    found = [Guard(function.__globals__, name) for name in _names(code)]
    found += [Guard(cell, name) for cell, name in cells]
    return [guard for guard in found if guard.value is not _MISSING]


@functools.cache
def _names(code: types.CodeType) -> tuple[str, ...]:
    """The globals that the code loads, its inner functions included."""
    names = {
        i.argval
        for i in dis.get_instructions(code)
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_names(constant))
    return tuple(sorted(names))
