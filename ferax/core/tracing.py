"""Who sees an operation: the innermost transformation, or, if there is none, NumPy.

Each transformation runs the user's function with its `Trace` as the innermost one of this
thread and hands it tracers that know the trace. Every operation goes to the innermost trace,
with whatever operands it has; the trace treats tracers that are not its own as constants, and
does its own work one level further out. So nested transformations cannot be confused.

Where no trace is active an operation is executed at once by its `numpy` rule (`eager`).
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ferax import dtypes, errors
from ferax.config import config, watch
from ferax.core.array import Array, Concrete, engine, owned
from ferax.core.avals import Aval, LinearInput


class _State(threading.local):
    """What belongs to one thread."""

    trace: Trace | None
    axes: tuple[Any, ...]  # named axes in scope, innermost last: (name, size)
    names: tuple[str, ...]  # named_scope

    def __init__(self) -> None:
        self.trace = None
        self.axes = ()
        self.names = ()
        # NumPy's floating point warnings are off in this context: results are inf and nan, as
        # compiled. Entering a prepared context costs 30 ns, np.errstate a microsecond.
        quiet = contextvars.copy_context()
        quiet.run(np.seterr, all="ignore")
        self.quiet = quiet.run


state = _State()


class Trace:
    """One run of a transformation over the user's function."""

    __slots__ = ("alive", "parent")

    def __init__(self, parent: Trace | None) -> None:
        self.alive = True
        self.parent = parent  # the trace that this one does its own work in

    def process(self, op: Any, args: tuple[Any, ...]) -> list[Any]:
        raise NotImplementedError(f"{type(self).__name__}.process")

    @property
    def stages(self) -> bool:
        """Whether operations on known values are recorded too instead of run."""
        return self.parent is not None and self.parent.stages


@contextmanager
def active(trace: Trace | None) -> Iterator[None]:
    """Make `trace` the innermost one within the block."""
    outer = state.trace
    state.trace = trace
    try:
        yield
    finally:
        state.trace = outer


@contextmanager
def running(trace: Trace) -> Iterator[None]:
    """As `active`, for the run of the user's function: afterwards its tracers are dead."""
    outer = state.trace
    state.trace = trace
    try:
        yield
    finally:
        state.trace = outer
        trace.alive = False


class Tracer(Array):
    """A stand-in for an array under a transformation."""

    __slots__ = ("owner", "aval")

    owner: Trace

    def concrete(self) -> Concrete | None:
        """The values behind the tracer, where they are known (under eager `grad`)."""
        return None

    def origin(self) -> str:
        """Where the tracer comes from, as an indented line for error messages."""
        return ""

    def _known(self, error: type[Exception], what: str) -> Concrete:
        value = self.concrete()
        if value is None:
            raise error(
                errors.traced_value_message(what, self.aval.short(), self.origin())
            )
        return value

    def __bool__(self) -> bool:
        return bool(self._known(errors.TracerBoolConversionError, "bool"))

    def __int__(self) -> int:
        return int(self._known(errors.ConcretizationTypeError, "int"))

    def __float__(self) -> float:
        return float(self._known(errors.ConcretizationTypeError, "float"))

    def __complex__(self) -> complex:
        return complex(self._known(errors.ConcretizationTypeError, "complex"))

    def __index__(self) -> int:
        return self._known(errors.TracerIntegerConversionError, "index").__index__()

    def item(self, *args: int) -> Any:
        return self._known(errors.ConcretizationTypeError, "item").item(*args)

    def tolist(self) -> Any:
        return self._known(errors.ConcretizationTypeError, "tolist").tolist()

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise errors.TracerArrayConversionError(
            errors.traced_value_message("array", self.aval.short(), self.origin())
        )

    def __iter__(self) -> Iterator[Any]:
        if not self.aval.shape:
            raise TypeError("iteration over an array without dimensions")
        return (self[i] for i in range(self.aval.shape[0]))

    def __reduce__(self) -> Any:
        raise errors.ConcretizationTypeError(
            errors.traced_value_message("pickle", self.aval.short(), self.origin())
        )

    def block_until_ready(self) -> Tracer:
        return self

    def __repr__(self) -> str:
        return f"Traced<{self.aval.terse()}>with<{type(self.owner).__name__}>"


class DualTracer(Tracer):
    """A primal with its tangent; what is known of the primal is known of it."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: Trace, primal: Any, tangent: Any):
        self.owner = trace
        self.aval = primal.aval
        self.primal = primal
        self.tangent = tangent

    def concrete(self) -> Concrete | None:
        primal = self.primal
        return primal.concrete() if isinstance(primal, Tracer) else primal

    def origin(self) -> str:
        return self.primal.origin() if isinstance(self.primal, Tracer) else ""


# -- operands ------------------------------------------------------------------------------


def to_array(x: Any, who: str = "", what: str = "argument") -> Any:
    """`x` as an Array (a Concrete or a Tracer): Python and NumPy numbers, NumPy arrays.

    Python numbers become weakly typed. Raises TypeError for lists and anything else.
    """
    if isinstance(x, Array):
        return x
    kind = type(x)
    if kind in dtypes.SCALAR_AVALS:
        return _from_scalar(x)
    if isinstance(x, (np.ndarray, np.generic)) or dtypes.is_scalar_type(kind):
        host = unmasked(x)
        dtype = dtypes.canonical(host.dtype)
        # the caller may write into its own array later
        return Concrete(Aval(host.shape, dtype), owned(host, dtype))
    if hasattr(x, "__jax_array__"):
        return x.__jax_array__()
    if isinstance(
        x, (bool, int, float, complex)
    ):  # their subclasses: np.float64, enums
        return _from_scalar(x)
    prefix = f"{who}: " if who else ""
    if type(x) is LinearInput:
        raise TypeError(
            f"{prefix}the function is not linear in its arguments, or a custom JVP rule is not "
            "linear in its tangents, so that it cannot be transposed"
        )
    raise TypeError(
        f"{prefix}{what} must be an array or a number; got {type(x).__name__}"
        + (
            ". Convert it with jnp.array(…) first."
            if isinstance(x, (list, tuple))
            else ""
        )
    )


def unmasked(x: Any) -> np.ndarray:
    """`x` as a plain NumPy array; a mask would be lost, so it is refused."""
    if type(x) is not np.ndarray and hasattr(x, "_mask"):
        raise ValueError(
            "masked arrays are not supported; fill the gaps first: x.filled(value)"
        )
    return np.asarray(x)


_scalars: dict[Any, Concrete] = {}


def _from_scalar(x: Any) -> Concrete:
    dtype, weak = dtypes.python_scalar(x)
    key = (x, type(x), dtype)
    found = _scalars.get(key)
    if found is None or x == 0:  # 0.0 and -0.0 are equal keys
        host = np.asarray(x, dtype)
        host.flags.writeable = False
        found = Concrete(Aval((), dtype, weak), host)
        if len(_scalars) > 1024:
            _scalars.clear()
        _scalars[key] = found
    return found


def aval_of(x: Any) -> Aval:
    """The aval of anything that `to_array` takes, or of what has a shape and a dtype."""
    if isinstance(x, Array):
        return x.aval
    if isinstance(x, (np.ndarray, np.generic)):
        return Aval(x.shape, dtypes.canonical(x.dtype))
    if isinstance(x, Aval):
        return x
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Aval(
            tuple(x.shape),
            dtypes.canonical(x.dtype),
            bool(getattr(x, "weak_type", False)),
        )
    return to_array(x).aval  # type: ignore[no-any-return]


# -- eager execution -----------------------------------------------------------------------


def eager_one(op: Any, args: tuple[Any, ...]) -> Any:
    """The first result of `eager`. Most eager calls come here: written out to be short."""
    if op.calls or watch.results:
        return eager(op, args)[0]
    try:
        if len(args) == 2:
            x, y = args
            a, b = x._host, y._host
            aval = op._results[x.aval, y.aval][0]
            if a is None or b is None:
                return eager(op, args)[0]
            out = state.quiet(op.numpy, a, b)[0]
        elif len(args) == 1:
            (x,) = args
            aval = op._results[x.aval,][0]
            if (a := x._host) is None:
                return eager(op, args)[0]
            out = state.quiet(op.numpy, a)[0]
        elif len(args) == 3:
            x, y, z = args
            a, b, c = x._host, y._host, z._host
            aval = op._results[x.aval, y.aval, z.aval][0]
            if a is None or b is None or c is None:
                return eager(op, args)[0]
            out = state.quiet(op.numpy, a, b, c)[0]
        else:
            return eager(op, args)[0]
    except (
        AttributeError,
        KeyError,
    ):  # operands that are not Concrete, or not met before
        return eager(op, args)[0]
    if type(out) is not np.ndarray:
        out = np.asarray(out, aval.carrier)
    return Concrete(aval, out)


def eager(op: Any, args: tuple[Any, ...]) -> list[Any]:
    """Run an operation now."""
    if op.calls:
        return op.execute([to_array(a, op.name) for a in args])  # type: ignore[no-any-return]
    try:
        values = [a._host for a in args]
        avals = tuple([a.aval for a in args])
    except AttributeError:  # not all of them are Concrete
        return eager(op, _concrete(op, args))
    for value in values:
        if value is None:
            return _eager_from_devices(op, args)
    results = op._results.get(avals)
    if results is None:
        results = op.infer(avals)
    arrays = []
    for aval, out in zip(results, state.quiet(op.numpy, *values)):
        if type(out) is not np.ndarray:
            out = np.asarray(out, aval.carrier)
        arrays.append(Concrete(aval, out))
    if watch.results and config.examine_results:
        if config.enable_checks:
            _check_results(op, arrays)
        examine(op.name, arrays)
    return arrays


def _concrete(op: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands as arrays with values."""
    arrays = tuple([to_array(a, op.name) for a in args])
    for a in arrays:
        if type(a) is not Concrete:
            raise errors.UnexpectedTracerError(leak_message(a, op.name))
    return arrays


def _eager_from_devices(op: Any, args: tuple[Any, ...]) -> list[Any]:
    """Fetch operands that are in the host's memory after all; else run where they are."""
    for a in args:
        if not a.on_host():
            outs = engine().run_operation(op, args)
            if watch.results and config.examine_results:
                examine(op.name, outs)
            return outs  # type: ignore[no-any-return]
    return eager(op, tuple([Concrete(a.aval, a.host()) for a in args]))


def _check_results(op: Any, arrays: list[Any]) -> None:
    for a in arrays:
        host = a._host
        if host.shape != a.shape or host.dtype != a.aval.carrier:
            raise TypeError(
                f"the numpy rule of {op.name} gave {host.dtype.name}{list(host.shape)} where its "
                f"abstract rule says {a.aval.short()}"
            )


def examine(who: str, arrays: Any) -> None:
    """Under debug_nans or debug_infs: raise NonFiniteError if there is such a value."""
    tests = [("nan", np.isnan)] * config.debug_nans + [
        ("inf", np.isinf)
    ] * config.debug_infs
    for a in arrays:
        for word, test in tests if dtypes.is_inexact(a.dtype) else ():
            if state.quiet(test, a.host()).any():
                raise errors.NonFiniteError(
                    f"invalid value ({word}) encountered in {who}: its result is "
                    f"{a.aval.short()}\n{errors.user_line().rstrip()}"
                )


def leak_message(tracer: Any, where: str) -> str:
    """The text for a tracer met where it has no business."""
    running = "is running elsewhere (in another thread?)"
    fate = running if tracer.owner.alive else "has finished"
    return (
        f"{where}: a traced value ({tracer.aval.short()}) was used outside of the "
        f"transformation that made it, which {fate}. It was probably stored in a global, an "
        "attribute or a list; return it from the transformed function instead.\n"
        f"{tracer.origin()}"
    )
