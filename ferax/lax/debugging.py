"""Stopping in a program to look at it: a prompt over the frames of the function being traced.

The frames are those of the time when the breakpoint is traced: of their variables the arrays are
handed to a callback, which sees what they are when the program gets there; all else is passed on
as it is. What cannot be known there is shown as text.
"""

from __future__ import annotations

import cmd
import linecache
import pprint
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from ferax import errors
from ferax.config import scoped
from ferax.core.array import Array, Concrete
from ferax.core.tracing import Tracer, to_array
from ferax.errors import public
from ferax.lax.host import debug_callback
from ferax.tree_util import flatten, unflatten

_AROUND = 5  # lines of source shown before and after the current one


class Place:
    """A frame as it was: code, line, and the module's names."""

    def __init__(self, frame: FrameType):
        self.code: CodeType = frame.f_code
        self.line = frame.f_lineno
        self.module = frame.f_globals

    def title(self) -> str:
        return f"{self.code.co_filename}:{self.line} in {self.code.co_name}"

    def source(self) -> str:
        """The lines around the current one, which is marked."""
        name, here = self.code.co_filename, self.line
        first = max(1, here - _AROUND)
        lines = [
            (n, linecache.getline(name, n)) for n in range(first, here + _AROUND + 1)
        ]
        return "".join(
            f"{'->' if n == here else '  '} {n:4} {text.rstrip()}\n"
            for n, text in lines
            if text
        )


class Prompt(cmd.Cmd):
    """Commands over frames and their variables, innermost first."""

    prompt = "(fdb) "

    def __init__(
        self, places: list[Place], values: list[dict[str, Any]], **options: Any
    ):
        super().__init__(**options)
        self.use_rawinput = "stdin" not in options
        self.places, self.values = places, values
        self.at = 0

    def say(self, text: str) -> None:
        self.stdout.write(text + "\n")

    def emptyline(self) -> bool:
        return False

    def default(self, line: str) -> bool | None:
        """Any Python expression is shown too."""
        if line == "EOF":
            return True
        self.do_p(line)
        return None

    def evaluated(self, text: str, show: Callable[[Any], str]) -> None:
        place, values = self.places[self.at], self.values[self.at]
        try:
            # a scope of one dict, so that comprehensions see the variables
            self.say(show(eval(text, {**place.module, **values})))
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}")

    def do_p(self, text: str) -> None:
        """p EXPRESSION: show its value."""
        self.evaluated(text, repr)

    def do_pp(self, text: str) -> None:
        """pp EXPRESSION: show its value over several lines."""
        self.evaluated(text, pprint.pformat)

    def do_a(self, _: str) -> None:
        """a: show the variables of the frame."""
        for name, value in self.values[self.at].items():
            self.say(f"{name} = {value!r}")

    def do_l(self, _: str) -> None:
        """l: show the source around the line."""
        self.say(f"{self.places[self.at].title()}\n{self.places[self.at].source()}")

    def do_bt(self, _: str) -> None:
        """bt: show all frames, the outermost first."""
        for i in reversed(range(len(self.places))):
            self.say(f"{'->' if i == self.at else '  '} {self.places[i].title()}")

    def do_u(self, _: str) -> None:
        """u: go to the calling frame."""
        self.move(1)

    def do_d(self, _: str) -> None:
        """d: go back to the called frame."""
        self.move(-1)

    def move(self, step: int) -> None:
        if not 0 <= self.at + step < len(self.places):
            return self.say("there is no further frame")
        self.at += step
        return self.say(self.places[self.at].title())

    def do_c(self, _: str) -> bool:
        """c: go on with the program."""
        return True

    def do_q(self, _: str) -> None:
        """q: end the program."""
        raise SystemExit("ended at a breakpoint")

    do_print, do_args, do_list, do_where = do_p, do_a, do_l, do_bt
    do_w, do_up, do_down, do_cont, do_continue = do_bt, do_u, do_d, do_c, do_c
    do_quit = do_exit = do_q


@public
def breakpoint(
    *,
    backend: str | None = None,
    filter_frames: bool = True,
    num_frames: int | None = None,
    ordered: bool = False,
    token: Any = None,
    **kwargs: Any,
) -> None:
    """Stop here when the program runs, with a prompt over the values of the traced frames.

    Commands: `p x` (or any expression) shows a value, `pp` over several lines, `a` all variables
    of the frame, `l` the source, `bt` the frames, `u` and `d` go up and down between them, `c`
    goes on, `q` ends the program, `help` lists them. Under vmap it stops once per element.

    Args:
      backend: "cli", the only one.
      filter_frames: leave out frames of ferax itself.
      num_frames: how many frames are kept, from the innermost; by default all.
      ordered: stop after all ordered callbacks that come before it.
      token: must be None; the order is kept by `ordered`.
      **kwargs: options of Python's `cmd.Cmd`: `stdin`, `stdout`, `completekey`.

    Raises:
      ValueError: another backend.

    >>> import ferax, io
    >>> @ferax.jit
    ... def f(x):
    ...     y = x + 1
    ...     ferax.debug.breakpoint(stdin=io.StringIO("p y\\nc\\n"), num_frames=1)
    ...     return y
    >>> z = f(1.0); ferax.effects_barrier()
    (fdb) Array(2., dtype=float32, weak_type=True)
    (fdb)
    """
    if backend not in (None, "cli"):
        raise ValueError(
            f"debug.breakpoint: the backend must be 'cli'; got {backend!r}"
        )
    if token is not None:
        raise NotImplementedError("debug.breakpoint: token; use ordered=True")
    places: list[Place] = []
    values: list[dict[str, Any]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (num_frames is None or len(places) < num_frames):
        if not filter_frames or not errors.is_internal(frame.f_code):
            places.append(Place(frame))
            values.append(_usable(frame.f_locals, frame.f_globals))
        frame = frame.f_back

    leaves, tree = flatten(values)
    moving = [x for x in leaves if isinstance(x, Array)]
    is_moving = [isinstance(x, Array) for x in leaves]
    fixed = [None if m else x for m, x in zip(is_moving, leaves)]

    def stop(*arrays: Any) -> None:
        known = iter(arrays)
        full = [next(known) if m else x for m, x in zip(is_moving, fixed)]
        Prompt(places, unflatten(tree, full), **kwargs).cmdloop()

    debug_callback(stop, *moving, ordered=ordered)


def _usable(names: dict[str, Any], module: dict[str, Any]) -> dict[str, Any]:
    """Variables; of those whose transformation is over only the type."""
    if names is module:  # they are looked up there
        return {}
    found = {}
    for name, value in names.items():
        try:
            leaves, tree = flatten(value)
            found[name] = unflatten(tree, [_alive(x) for x in leaves])
        except Exception:  # a container that cannot be taken apart
            found[name] = repr(value)
    return found


def _alive(x: Any) -> Any:
    return repr(x) if isinstance(x, Tracer) and not x.owner.alive else x


@public
def inspect_array_sharding(value: Any, *, callback: Callable[[Any], None]) -> None:
    """Call a function with the sharding of an array.

    Args:
      value: array with values, or one being differentiated or mapped eagerly.
      callback: function of the sharding.

    Raises:
      NotImplementedError: within a function being compiled, where the compiler chooses.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.debug.inspect_array_sharding(jnp.ones(3), callback=lambda s: print(s.num_devices))
    1
    """
    array = to_array(value, "debug.inspect_array_sharding")
    known = array.concrete() if isinstance(array, Tracer) else array
    if not isinstance(known, Concrete):
        raise NotImplementedError(
            "debug.inspect_array_sharding: a traced value has no sharding yet "
            f"({array.aval.short()}); look at that of the function's argument or result, or fix "
            "it with lax.with_sharding_constraint"
        )
    callback(known.sharding)


@public
def disable_jit(disable: bool = True) -> Any:
    """Within the block, in this thread: jit runs the Python function itself.

    Loops and branches run in Python too, so that values can be printed and stepped through.

    >>> import ferax
    >>> with ferax.disable_jit():
    ...     y = ferax.jit(lambda x: x + 1 if x > 0 else x)(2.0)
    >>> float(y)
    3.0
    """
    return scoped["disable_jit"](disable)
