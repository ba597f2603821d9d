"""Exception classes with their causes and cures, tracebacks, and the user's source line.

An exception tells who raised it, what came, which rule it broke and how to mend it. For traced
values the message also quotes the user's line, which `user_frame` finds: the innermost frame
whose file is not in this package.

`public` folds ferax's own frames out of tracebacks, so that the user reads his own lines only.
`config.update("traceback_filtering", "off")` shows everything.
"""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
import warnings
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, ClassVar, TypeVar

from ferax.config import config

F = TypeVar("F", bound=Callable[..., Any])


# -- the user's frames ---------------------------------------------------------------------

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _InternalFiles(dict[str, bool]):
    """File name -> whether the file is of this package."""

    def __missing__(self, filename: str) -> bool:
        found = os.path.abspath(filename).startswith(_PACKAGE)
        return self.setdefault(filename, found)


# By file name: strings remember their hash, code objects compute it from their contents.
_internal_files = _InternalFiles()


def is_internal(code: CodeType) -> bool:
    """Whether the code belongs to this package."""
    return _internal_files[code.co_filename]


Frame = tuple[CodeType, int]  # code and the offset of an instruction in it


def user_frame() -> Frame | None:
    """Code and instruction offset of the innermost frame outside of this package.

    Called for each traced equation; `describe` makes text of it when someone looks.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not _internal_files[code.co_filename]:
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def describe(frame: Frame) -> str:
    """Where an instruction is: "file.py:12 in f: `y = jnp.sin(x)`"."""
    code, lasti = frame
    lines = (line for _, end, line in code.co_lines() if lasti < end and line)
    line = next(lines, code.co_firstlineno)
    place = f"{_shown_path(code.co_filename)}:{line} in {code.co_name}"
    source = linecache.getline(code.co_filename, line).strip()
    return f"{place}: `{source}`" if source else place


def _shown_path(filename: str) -> str:
    if filename.startswith("<"):
        return filename
    near = os.path.relpath(filename)
    return filename if near.startswith("..") else near


def user_line() -> str:
    """The user's current line as an indented line of a message, or nothing."""
    found = user_frame()
    return "" if found is None else f"  at {describe(found)}\n"


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points at the user's line."""
    level, frame = 2, sys._getframe(1)
    while is_internal(frame.f_code) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


# -- folding tracebacks --------------------------------------------------------------------

# What ferax calls; frames of these are folded where they follow a folded frame.
_LIBRARIES = ("numpy", "ml_dtypes", "optree", "scipy", "jaxlib", "opt_einsum")


@functools.cache
def _is_library_file(filename: str) -> bool:
    path = os.path.abspath(filename)
    _, installed, inner = path.rpartition(f"site-packages{os.sep}")
    if installed:
        return inner.split(os.sep)[0] in _LIBRARIES
    return filename.startswith("<frozen") or path.startswith(
        os.path.dirname(os.__file__) + os.sep
    )


def fold(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package and of what they called."""
    kept = []
    folding = True
    while traceback is not None:
        code = traceback.tb_frame.f_code
        folding = is_internal(code) or (folding and _is_library_file(code.co_filename))
        if not folding:
            kept.append(traceback)
        traceback = traceback.tb_next
    folded = None
    for entry in reversed(kept):
        folded = TracebackType(folded, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return folded


def public(f: F) -> F:
    """Mark a function that users call: exceptions leave it without ferax's own frames."""
    if hasattr(f, "_is_public"):
        return f

    @functools.wraps(f)
    def public_call(*args: Any, **kwargs: Any) -> Any:
        try:
            return f(*args, **kwargs)
        except Exception as error:
            if config.traceback_filtering == "off":
                raise
            # Tracebacks show the next line, comment included; it is for their readers.
            raise error.with_traceback(fold(error.__traceback__))  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: B904, E501

    public_call._is_public = True  # type: ignore[attr-defined]
    return public_call  # type: ignore[return-value]


# -- messages about traced values ----------------------------------------------------------

# For each use of a traced value: what was done, and below it the ways out.
_USES = """
bool: was used where Python needs True or False (`if`, `while`, `and`, `or`, `assert`)
    To choose between values, use jnp.where(condition, a, b); between functions,
    lax.cond(condition, f, g, x); to repeat while it holds, lax.while_loop. If the value comes
    from an argument that may be compiled in, name that argument in
    jit(f, static_argnums=…) or static_argnames.
int, float, complex: was converted with {kind}()
    To change the dtype, use x.astype({kind}). If Python needs the number itself, compute it
    outside of the transformed function, or name the argument in jit(f, static_argnums=…).
index: was used where Python needs an integer (range(), an index of a list or a NumPy array)
    To index with it, make the indexed object an array: jnp.array(a)[i]; to loop, use
    lax.fori_loop or lax.scan; or name the argument in jit(f, static_argnums=…).
item: was asked for its value with .item()
    Leave out .item() and compute with the array, or return the array and call .item() on the
    result. To look at values while running, use ferax.debug.print.
tolist: was asked for its values with .tolist()
    Compute with the array itself, or return it and call .tolist() on the result.
array: was given to NumPy (np.…) or to another library that converts to NumPy arrays
    Use the function of the same name in jnp, jnp.… instead of np.…; to call a function that
    only NumPy has, use ferax.pure_callback.
pickle: was pickled or copied to another process
    Return it from the transformed function, and pickle the result.
shape: was used as a dimension of a shape; shapes are fixed when a function is traced
    Take the dimension from x.shape or from an argument named in jit(f, static_argnums=…), or
    compute with the largest shape and a mask.
boolean_mask: was used as a boolean mask; the shape of x[mask] depends on the mask's values
    Keep the shape: jnp.where(mask, x, 0), x.at[mask].set(…), jnp.sum(x, where=mask), or
    jnp.nonzero(mask, size=…) with the largest number of elements; or select outside of the
    transformed function.
hash: was hashed (as a key of a dict, a member of a set, a static argument)
    Arguments named in static_argnums must be Python values; elsewhere use id(x).
"""
_WAYS_OUT = {
    kind: (symptom.format(kind=kind), " ".join(cure.format(kind=kind).split()))
    for kinds, symptom, cure in re.findall(r"(?m)^(\S.*?): (.+)\n((?: .+\n)+)", _USES)
    for kind in kinds.split(", ")
}


def traced_value_message(kind: str, short_aval: str, origin: str = "") -> str:
    """Symptom, place, cause and ways out, for a traced value used as a known one.

    Args:
      kind: a key of the table above.
      short_aval: the value's type as `float32[3]`.
      origin: where the tracer was made, an indented line.
    """
    symptom, ways_out = _WAYS_OUT[kind]
    origin = origin and origin.rstrip("\n") + "\n"
    return (
        f"a traced value ({short_aval}) {symptom}.\n"
        f"{user_line()}"
        "While a function is being traced (by jit, grad, vmap, scan, …) its values are not "
        "known, only their shapes and dtypes.\n"
        f"{origin}{ways_out}"
    )


# -- exception classes ---------------------------------------------------------------------


class JAXTypeError(TypeError):
    """A TypeError about traced values."""


class JAXIndexError(IndexError):
    """An IndexError about traced values."""


class _AboutTracer(Exception):
    """Made from a message or from the tracer that it is about."""

    kind: ClassVar[str] = "array"

    def __init__(self, message: Any = "", context: str = ""):
        if not isinstance(message, str):
            message = traced_value_message(
                self.kind, message.aval.short(), message.origin()
            )
        super().__init__(f"{message}\n{context}" if context else message)


class ConcretizationTypeError(_AboutTracer, JAXTypeError):
    """A traced value was used where a known one is needed.

    Under a transformation a value stands for all values of its shape and dtype. Python's
    `int(x)`, `range(x)`, shapes and axes need the value itself. Ways out: a function that
    works on traced values (`x.astype`, `lax.fori_loop`, `lax.dynamic_slice`), or an argument
    that is compiled in (`jit(f, static_argnums=…)`).
    """

    kind = "int"


class TracerBoolConversionError(ConcretizationTypeError):
    """Python's `if`, `while`, `and`, `assert` were given a traced value.

    Ways out: `jnp.where`, `lax.cond`, `lax.while_loop`, `static_argnums`.
    """

    kind = "bool"


class TracerIntegerConversionError(_AboutTracer, JAXTypeError):
    """A traced value was used as a Python integer: `range(x)`, `a_list[x]`.

    Ways out: `jnp.array(a_list)[x]`, `lax.fori_loop`, `static_argnums`.
    """

    kind = "index"


class TracerArrayConversionError(_AboutTracer, JAXTypeError):
    """A NumPy function was given a traced value.

    Ways out: the function of the same name in `jnp`; `ferax.pure_callback`.
    """

    kind = "array"


class NonConcreteBooleanIndexError(_AboutTracer, JAXIndexError):
    """`x[mask]` with a traced mask: the result's shape would depend on values.

    Ways out: `jnp.where(mask, x, 0)`, `x.at[mask].set`, `jnp.nonzero(mask, size=n)`.
    """

    kind = "boolean_mask"


class UnexpectedTracerError(JAXTypeError):
    """A traced value was used outside of the transformation that made it.

    It was stored in a global, an attribute or a list while the function was being traced.
    Return it from the function instead.
    """


class KeyReuseError(JAXTypeError):
    """A random key was used twice."""


class InconclusiveDimensionOperation(Exception):
    """An operation on symbolic dimensions has no answer that holds for all sizes."""


class JaxprTypeError(TypeError):
    """A jaxpr is not well formed: a variable is unbound, or types do not match."""


class NonFiniteError(FloatingPointError):
    """An operation gave nan or inf while `debug_nans` or `debug_infs` was on.

    The message names the operation and the line that asked for it. Ways out: mind the arguments
    (`jnp.log(jnp.maximum(x, tiny))`), or switch the flag off within
    `with ferax.debug_nans(False):` where such values are meant.
    """


class JaxRuntimeError(RuntimeError):
    """A compiled program failed on the device."""
