"""Python functions called by programs while they run: pure_callback, io_callback, debug.*.

Eagerly a callback is called at once. In a compiled program it is a call from XLA back into
Python, on a thread of XLA's; its exception is the cause of the JaxRuntimeError that whoever
waits for the program gets. Callbacks with effects are kept though their results are unused;
ordered ones come one after another, also from program to program.

What is subtle: a callback gets Arrays whose values are in host memory. It may compute with them
eagerly (that is NumPy), but must not wait for other compiled programs on the same device: these
may be waiting for it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ferax import dtypes
from ferax.core.array import Array, Concrete, engine, slots
from ferax.core.avals import Aval, Zero
from ferax.core.basis import moveaxis
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import aval_of, to_array
from ferax.errors import public
from ferax.lax.custom_mapping import in_turn
from ferax.lax.shape import index_in_dim, stack
from ferax.transforms.arguments import name_of
from ferax.transforms.batching import to_front
from ferax.tree_util import flatten, unflatten

VMAP_METHODS = (
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
)


class Callback(Primitive, family=True, interned=False):
    """results = function(*Arrays): a list of arrays of the avals in `results`."""

    function: Callable[..., Sequence[Any]]
    results: tuple[Aval, ...]
    label: str
    calls = True
    keeps_weak_type = False
    in_order: ClassVar[bool] = False

    @property
    def params(self) -> dict[str, Any]:
        rest = {f: v for f, v in super().params.items() if f not in _OF_ALL}
        return {"callback": self.label, **rest}

    def abstract(self, *avals: Aval) -> list[Aval]:
        return list(self.results)

    def call(self, args: Sequence[Concrete]) -> list[np.ndarray]:
        """The results in host memory, checked."""
        outs = self.function(*args)
        if len(outs) != len(self.results):
            raise TypeError(
                f"{self.name}: {self.label} returned {len(outs)} arrays where "
                f"result_shape_dtypes has {len(self.results)}"
            )
        return [self._fitted(out, want) for out, want in zip(outs, self.results)]

    def _fitted(self, out: Any, want: Aval) -> np.ndarray:
        host = out.host() if isinstance(out, Concrete) else np.asarray(out)
        carrier = dtypes.carrier(want.dtype)
        fits = host.dtype == carrier or dtypes.canonical(host.dtype) == carrier
        if not fits and type(out) in dtypes.SCALAR_AVALS:
            fits = dtypes.promote(aval_of(out), want)[0] == want.dtype
        if not fits or host.shape != want.shape:
            got = f"{host.dtype.name}[{','.join(map(str, host.shape))}]"
            raise ValueError(
                f"{self.name}: {self.label} returned {got} where result_shape_dtypes says "
                f"{want.short()}; convert it with np.asarray(result, dtype) or reshape it"
            )
        return np.asarray(host, carrier, order="C")

    def numpy(self, *values: Any) -> list[Any]:
        return list(self.call([Concrete(Aval(v.shape, v.dtype), v) for v in values]))

    def execute(self, args: list[Any]) -> list[Any]:
        if self.in_order:
            effects_barrier()
        on_host = [Concrete(a.aval, a.host()) for a in args]
        return [Concrete(a, v) for a, v in zip(self.results, self.call(on_host))]

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        avals = [v.aval for v in values]

        def run(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(self.call([Concrete(a, x) for a, x in zip(avals, arrays)]))

        return hlo.callback(  # type: ignore[no-any-return]
            run,
            values,
            list(self.results),
            has_side_effect=self.effects,
            ordered=self.in_order,
        )

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        if self.results and any(type(t) is not Zero for t in tangents):
            raise ValueError(
                f"{self.name} of {self.label} cannot be differentiated: it is a Python function. "
                "Give it a derivative with ferax.custom_jvp or ferax.custom_vjp around a function "
                "that calls it, or put lax.stop_gradient around its arguments."
            )
        outs = self.bind(*primals)
        return outs, [Zero(o.aval.tangent()) for o in outs]

    transpose = cannot("not linear")


_OF_ALL = ("function", "results", "label")


class PureCallback(Callback, interned=False):
    """A call of a function without side effects, which may be left out or repeated."""

    vmap_method: str | None = None
    name = "pure_callback"

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        size, method = axis.size, self.vmap_method
        if method is None:
            raise NotImplementedError(
                f"vmap of pure_callback of {self.label} needs pure_callback(…, vmap_method=…): "
                f"{', '.join(map(repr, VMAP_METHODS))}"
            )
        if method == "sequential":
            return in_turn(self.bind, size, args, dims), [0] * len(self.results)
        if method == "sequential_unrolled":
            rows = [
                self.bind(*[
                    x if d is None else index_in_dim(x, i, d, keepdims=False)
                    for x, d in zip(args, dims)
                ])
                for i in range(size)
            ]  # fmt: skip
            return [stack(list(c)) for c in zip(*rows)], [0] * len(self.results)
        grown = tuple(a.update(shape=(size, *a.shape)) for a in self.results)
        op = PureCallback(self.function, grown, self.label, method)
        front = [self._aligned(x, d, size) for x, d in zip(args, dims)]
        return op.bind(*front), [0] * len(grown)

    def _aligned(self, x: Any, d: int | None, size: int) -> Any:
        if d is not None:
            return moveaxis(x, d, 0)
        if self.vmap_method == "legacy_vectorized":
            return x
        return to_front(x, None, 1 if self.vmap_method == "expand_dims" else size)


class IOCallback(Callback, interned=False):
    """A call of a function that acts on the world: it happens as often as it is written."""

    in_order: bool = False  # type: ignore[misc]
    name = "io_callback"
    effects = True

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        if self.in_order:
            raise ValueError(
                f"vmap of an ordered io_callback ({self.label}): there is no order among the "
                "elements of a mapped axis. Use ordered=False, or lax.map instead of vmap."
            )
        return in_turn(self.bind, axis.size, args, dims), [0] * len(self.results)


class DebugEffect:
    """What a debug callback does to the world: it shows something, at any time."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return "Debug"


class OrderedDebugEffect(DebugEffect):
    """What an ordered debug callback does: it shows something after those before it."""

    def __repr__(self) -> str:
        return "OrderedDebug"


class DebugCallback(Callback, interned=False):
    """A call of a function that only looks: transformations pass it by."""

    in_order: bool = False  # type: ignore[misc]
    name = "debug_callback"
    effects = True

    @property
    def effect(self) -> DebugEffect:
        return OrderedDebugEffect() if self.in_order else DebugEffect()

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        return in_turn(self.bind, axis.size, args, dims), []


# -- public --------------------------------------------------------------------------------


def _flat_function(
    callback: Callable[..., Any], tree: Any, fixed: dict[int, Any], keep: bool
) -> Callable[..., Sequence[Any]]:
    """The callback as a function of arrays that gives arrays (or nothing, if not `keep`).

    `fixed` are the arguments, by place among the leaves, that are no arrays.
    """
    count = tree.num_leaves

    def function(*arrays: Any) -> Sequence[Any]:
        rest = iter(arrays)
        leaves = [fixed[i] if i in fixed else next(rest) for i in range(count)]
        args, kwargs = unflatten(tree, leaves)
        out = callback(*args, **kwargs)
        return flatten(out)[0] if keep else ()

    return function


def _result_avals(who: str, shapes: Any) -> tuple[tuple[Aval, ...], Any]:
    leaves, tree = flatten(shapes)
    avals = []
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        aval = aval_of(leaf)
        asked = dtype is not None and not isinstance(leaf, (np.ndarray, np.generic))
        if asked and dtypes.canonical(dtype) != dtype:
            raise ValueError(
                f"{who}: result_shape_dtypes asks for {np.dtype(dtype).name}, which exists "
                "with ferax.config.update('enable_x64', True) only"
            )
        avals.append(aval.strong())
    return tuple(avals), tree


@public
def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """The result of a Python function without side effects, also in compiled programs.

    Args:
      callback: function of Arrays (in the structure of the arguments) that gives arrays, NumPy's
        too. It may be called any number of times, also never if its results are unused.
      result_shape_dtypes: what it returns: a pytree of ShapeDtypeStructs or arrays.
      *args, **kwargs: its arguments, arrays or pytrees of them.
      vmap_method: what vmap makes of it: "sequential" (a loop), "sequential_unrolled" (calls
        written one after another), "expand_dims" (one call; arguments that are not mapped get an
        axis of size 1), "broadcast_all" (one call; they are repeated), "legacy_vectorized" (one
        call; they stay as they are); None: an error.

    Returns:
      Arrays in the structure of `result_shape_dtypes`.

    Raises:
      ValueError: the callback's results have other shapes or dtypes; or it is differentiated.
      Eagerly also what the callback raises; in a compiled program this is the cause of a
      JaxRuntimeError.

    >>> import numpy as np
    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.jit
    ... def f(x):
    ...     return ferax.pure_callback(np.sort, x, x)
    >>> f(jnp.array([3., 1., 2.]))
    Array([1., 2., 3.], dtype=float32)
    """
    if not callable(callback):
        raise TypeError(
            f"pure_callback: the callback must be callable; got {callback!r}"
        )
    if sharding is not None:
        raise NotImplementedError("pure_callback: sharding")
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ValueError(
            f"pure_callback: vmap_method must be None or one of "
            f"{', '.join(map(repr, VMAP_METHODS))}; got {vmap_method!r}"
        )
    results, out_tree = _result_avals("pure_callback", result_shape_dtypes)
    leaves, tree = flatten((args, kwargs))
    leaves = [to_array(x, "pure_callback") for x in leaves]
    function = _flat_function(callback, tree, {}, True)
    op = PureCallback(function, results, name_of(callback), vmap_method)
    return unflatten(out_tree, op.bind(*leaves))


@public
def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """The result of a Python function that acts on the world, also in compiled programs.

    Args:
      callback: function of Arrays (in the structure of the arguments) that gives arrays, NumPy's
        too; it is called exactly as often as the program says.
      result_shape_dtypes: what it returns: a pytree of ShapeDtypeStructs or arrays, or None.
      *args, **kwargs: its arguments, arrays or pytrees of them.
      ordered: call it after all ordered callbacks that come before it, and not under vmap.

    Returns:
      Arrays in the structure of `result_shape_dtypes`.

    Raises:
      ValueError: the callback's results have other shapes or dtypes; or it is differentiated.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax.experimental import io_callback
    >>> log = []
    >>> @ferax.jit
    ... def f(x):
    ...     io_callback(log.append, None, x.sum(), ordered=True)
    ...     return x + 1
    >>> y = f(jnp.ones(3)); ferax.effects_barrier(); log
    [Array(3., dtype=float32)]
    """
    if not callable(callback):
        raise TypeError(f"io_callback: the callback must be callable; got {callback!r}")
    if sharding is not None:
        raise NotImplementedError("io_callback: sharding")
    results, out_tree = _result_avals("io_callback", result_shape_dtypes)
    leaves, tree = flatten((args, kwargs))
    leaves = [to_array(x, "io_callback") for x in leaves]
    function = _flat_function(callback, tree, {}, True)
    op = IOCallback(function, results, name_of(callback), bool(ordered))
    return unflatten(out_tree, op.bind(*leaves))


def _is_number(x: Any) -> bool:
    return isinstance(x, (Array, np.ndarray, np.generic)) or (
        type(x) in dtypes.SCALAR_AVALS
    )


@public
def debug_callback(
    callback: Callable[..., None] | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function with values as they are while the program runs.

    It is called under every transformation: once per element of a mapped axis, at the primal
    values of a derivative, at each step of a loop.

    Args:
      callback: function of the arguments, whose result is ignored. Without it, a function is
        returned that takes it with the arguments and has the options given here.
      *args, **kwargs: its arguments: Arrays, pytrees of them; anything else is passed on as it
        is.
      ordered: call it after all ordered callbacks that come before it.
      partitioned: accepted; the callback always sees whole arrays.

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.jit
    ... def f(x):
    ...     ferax.debug.callback(lambda v: print("x is", v), x)
    ...     return x + 1
    >>> y = f(1.0); ferax.effects_barrier()
    x is 1.0
    """
    if callback is None:
        return partial(debug_callback, ordered=ordered, partitioned=partitioned)
    if not callable(callback):
        raise TypeError(
            f"debug.callback: the first argument must be callable; got {callback!r}"
        )
    leaves, tree = flatten((args, kwargs))
    fixed = {i: x for i, x in enumerate(leaves) if not _is_number(x)}
    arrays = [to_array(x) for i, x in enumerate(leaves) if i not in fixed]
    function = _flat_function(callback, tree, fixed, False)
    DebugCallback(function, (), name_of(callback), bool(ordered)).bind(*arrays)
    return None


class _Anything:
    """Stands for an argument when a format string is checked."""

    def __getattr__(self, name: str) -> _Anything:
        return self

    def __getitem__(self, key: Any) -> _Anything:
        return self

    def __format__(self, spec: str) -> str:
        return ""

    def __str__(self) -> str:
        return ""


class _Checked(string.Formatter):
    """Formatting that does not pass over arguments."""

    def check_unused_args(self, used: Any, args: Any, kwargs: Any) -> None:
        extra = [i for i in range(len(args)) if i not in used]
        extra += [k for k in kwargs if k not in used]
        if extra:
            raise ValueError(
                f"debug.print: the format string has no place for the arguments {extra}. An "
                'f-string shows values when it is traced; write debug.print("x = {x}", x=x).'
            )


@public
def debug_print(
    fmt: str | None = None,
    *args: Any,
    ordered: bool = False,
    partitioned: bool = False,
    skip_format_check: bool = False,
    _use_logging: bool = False,
    **kwargs: Any,
) -> Any:
    """Print values as they are while the program runs: `print(fmt.format(*args, **kwargs))`.

    Args:
      fmt: format string, as of `str.format`. Without it, a function is returned that takes it
        with the arguments and has the options given here.
      *args, **kwargs: what the string has places for.
      ordered: print after all ordered callbacks that come before it.
      partitioned: accepted; whole arrays are printed.
      skip_format_check: do not check that all arguments are used.

    Raises:
      TypeError: `fmt` is no string.
      ValueError: an argument is not used; IndexError, KeyError: one is missing.

    >>> import ferax, ferax.numpy as jnp
    >>> @ferax.jit
    ... def f(x):
    ...     ferax.debug.print("x = {x}, sum {s:.1f}", x=x, s=x.sum())
    >>> f(jnp.arange(3.0)); ferax.effects_barrier()
    x = [0. 1. 2.], sum 3.0
    """
    if _use_logging:
        raise NotImplementedError("debug.print: _use_logging=True")
    if fmt is None:
        return partial(
            debug_print,
            ordered=ordered,
            partitioned=partitioned,
            skip_format_check=skip_format_check,
        )
    if not isinstance(fmt, str):
        raise TypeError(
            f"debug.print: the first argument must be a format string; got "
            f"{type(fmt).__name__}. Write debug.print('{{}}', x)."
        )
    if not skip_format_check:
        stands = {k: _Anything() for k in kwargs}
        _Checked().vformat(fmt, [_Anything() for _ in args], stands)
    options = np.get_printoptions()  # of this thread

    def show(*args: Any, **kwargs: Any) -> None:
        with np.printoptions(**options):
            print(fmt.format(*args, **kwargs))  # noqa: T201

    show.__name__ = f"print {fmt!r}"
    return debug_callback(show, *args, ordered=ordered, **kwargs)


@public
def effects_barrier() -> None:
    """Wait until all programs with callbacks that were started have called them.

    Raises:
      JaxRuntimeError: one of the callbacks raised; its exception is the cause.
    """
    if slots.engine is not None:
        engine().finish_effects()
