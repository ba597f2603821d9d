"""jit: trace a Python function once per kind of arguments, compile it, run it from then on.

The life of a call `jit(f)(x)`: flatten the arguments; look up their avals in the function's
table; the entry found has the compiled program, if the globals that were read while tracing still
are what they were (`guards`). Otherwise `stage` records the program and the engine compiles it.
Under another transformation nothing is compiled: the program becomes one equation (`JitCall`).
"""

from __future__ import annotations

import inspect
import logging
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper, wraps
from itertools import repeat
from operator import is_
from typing import Any

from ferax import errors
from ferax.config import config, watch
from ferax.core.array import Array, Concrete, engine
from ferax.core.avals import Aval
from ferax.core.jaxpr import ClosedJaxpr, Jaxpr, prune, stage
from ferax.core.tracing import aval_of, state, to_array
from ferax.errors import public
from ferax.transforms.arguments import FlatCall, check_callable, name_of
from ferax.transforms.calls import JitCall, compiled, examine_program
from ferax.transforms.guards import Guard, guards_of
from ferax.tree_util import flatten, keystr, tree_flatten_with_path, unflatten

log = logging.getLogger("ferax.trace")
MAX_VARIANTS = 8  # traces kept per signature for different values of guarded globals


class Traced:
    """A function traced for one kind of arguments: the first stage of compilation."""

    placed: Any = None  # where arguments and results shall be, if the function was told
    compiler_options: Mapping[str, Any] = {}

    def __init__(
        self,
        jaxpr: Jaxpr,
        consts: list[Any],
        in_tree: Any,
        out_tree: Any,
        fun_name: str,
        donated: tuple[bool, ...],
        keep_unused: bool,
        guards: list[Guard],
    ):
        self.program = jaxpr  # with constvars
        self.consts = consts
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.gives_one = out_tree.is_leaf()
        self.fun_name = fun_name
        self.donated = donated
        self.guards = guards
        self.op = JitCall(fun_name, jaxpr.closed())
        pruned, used = prune(jaxpr)
        self.kept = [i for i, u in enumerate(used) if u or keep_unused]
        self.keeps_all = len(self.kept) == len(used)
        self.donates = any(donated)
        read = set(pruned.constvars)
        self.kept_consts = [c for v, c in zip(jaxpr.constvars, consts) if v in read]
        self.runnable = Jaxpr(
            pruned.constvars + [pruned.invars[i] for i in self.kept],
            pruned.outvars,
            pruned.eqns,
        )
        self.out_avals = jaxpr.out_avals
        self.cacheable = all(type(c) is Concrete for c in consts)
        self._executables: dict[Any, Any] = {}

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The program as a ClosedJaxpr."""
        return ClosedJaxpr(self.program, self.consts)

    @property
    def out_info(self) -> Any:
        """Shapes and dtypes of the results, in their structure."""
        return unflatten(self.out_tree, [_struct(a) for a in self.out_avals])

    def holds(self) -> bool:
        for guard in self.guards:  # noqa: SIM110  (all(…) takes three times as long)
            if not guard.holds():
                return False
        return True

    def runnable_donated(self) -> tuple[bool, ...]:
        return (False,) * len(self.kept_consts) + tuple(
            self.donated[i] for i in self.kept
        )

    def executable(self, device: Any = None) -> Any:
        found = self._executables.get(device)
        if found is None:
            place = device
            if isinstance(device, tuple):  # shardings of the arguments
                place = (None,) * len(self.kept_consts) + device
            made = compiled(
                self.runnable,
                self.fun_name,
                self.runnable_donated(),
                place,
                options=self.compiler_options,
                out_shardings=self.placed.outs if self.placed else (),
            )
            consts = made.placed([c.buffer() for c in self.kept_consts])
            found = self._executables[device] = (made, consts)
        return found

    def lower(self, *, lowering_platforms: Any = None) -> Any:
        """The program as StableHLO: a `stages.Lowered`."""
        return engine().lowered(self)

    def run(self, leaves: list[Any]) -> list[Any]:
        """Run the compiled program on concrete leaves."""
        device = None
        if self.placed is not None:
            leaves, device = self.placed.put(leaves)
        chosen = leaves if self.keeps_all else [leaves[i] for i in self.kept]
        try:
            buffers = []
            for x in chosen:
                if x._committed and device is None:
                    committed = [x._committed for x in chosen]
                    device = engine().place_of(committed, self.fun_name)
                buffers.append(x.buffer() if x._buffer is None else x._buffer)
            found = self._executables.get(device)
            executable, consts = self.executable(device) if found is None else found
            outs = executable.run(consts + buffers if consts else buffers)
        except Exception:
            for x in chosen:
                if x.is_deleted():
                    raise x.deletion() from None
            raise
        if self.donates:
            for x, donated in zip(leaves, self.donated):
                if donated and x._buffer is not None and x._buffer.is_deleted():
                    x._host = None
        if watch.results and config.examine_results:
            results = list(map(Concrete, self.out_avals, repeat(None), outs))
            examine_program(self.fun_name, self.program, self.consts, leaves, results)
        if device is not None:
            places = executable.commitments
            return [
                Concrete(a, None, b, p) for a, b, p in zip(self.out_avals, outs, places)
            ]
        return list(map(Concrete, self.out_avals, repeat(None), outs))


class Report:
    """What `explain` tells about a jitted function."""

    def __init__(self, name: str, traces: list[str]):
        self.name = name
        self.traces = traces

    def __repr__(self) -> str:
        times = "once" if len(self.traces) == 1 else f"{len(self.traces)} times"
        lines = [f"{self.name} was traced {times}" + (":" if self.traces else "")]
        lines += [f"  {i}. {t}" for i, t in enumerate(self.traces, 1)]
        return "\n".join(lines)


class _Table:
    """The traces of one Python function with one set of options."""

    def __init__(self) -> None:
        self.entries: dict[Any, list[Traced]] = {}
        self.history: list[str] = []
        self.last: Any = None
        self.lock = threading.Lock()


_tables: weakref.WeakKeyDictionary[Any, dict[Any, _Table]] = weakref.WeakKeyDictionary()
_all_tables: weakref.WeakSet[_Table] = weakref.WeakSet()


def _table_for(fun: Any, options: Any) -> _Table:
    """One table per function, however often it is wrapped in jit."""
    try:
        if inspect.ismethod(fun):  # made anew at each access: it cannot be a weak key
            raise TypeError
        table = _tables.setdefault(fun, {}).setdefault(options, _Table())
    except TypeError:
        table = _Table()
    _all_tables.add(table)
    return table


def leaves_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The leaves of the arguments, and their structure: how many there are if all are leaves."""
    if not kwargs:
        for x in args:
            if not isinstance(x, Array):
                break
        else:
            return args, len(args)
    leaves, tree = flatten((args, kwargs))
    if len(leaves) == len(args) and not kwargs and all(map(is_, leaves, args)):
        return leaves, len(args)
    return leaves, tree


class JitFunction:
    """A function that is compiled when called; made by `jit`."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Any,
        static_argnames: Any,
        donate_argnums: Any,
        donate_argnames: Any,
        keep_unused: bool,
        placing: Any,
        compiler_options: Mapping[str, Any],
    ):
        update_wrapper(self, fun)
        self.fun = fun
        self.name = name_of(fun)
        self.signature = _signature(fun)
        self.static_nums, self.static_names = resolve_arguments(
            "jit", fun, static_argnums, static_argnames, "static"
        )
        self.donate_nums, self.donate_names = resolve_arguments(
            "jit", fun, donate_argnums, donate_argnames, "donate"
        )
        self.keep_unused = keep_unused
        self.placing = placing
        self.compiler_options = compiler_options
        self.simple = not (
            self.static_nums
            or self.static_names
            or self.donate_nums
            or self.donate_names
        )
        options = (
            self.static_nums, self.static_names, self.donate_nums, self.donate_names, keep_unused,
            placing, tuple(sorted(compiler_options.items())),
        )  # fmt: skip
        self.table = _table_for(fun, options)
        self.layouts: dict[Any, tuple[Any, ...]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            given, named, statics = args, kwargs, ()
            if not self.simple:
                args, kwargs, statics = self._take_statics(args, kwargs)
            leaves, tree = leaves_of(args, kwargs)
            try:
                avals = tuple([x.aval for x in leaves])
            except AttributeError:
                leaves = self._arrays(args, kwargs, leaves)
                avals = tuple([x.aval for x in leaves])
            key = (tree, avals, statics, config.trace_key(), state.axes)
            for traced in self.table.entries.get(key, ()):
                if traced.holds():
                    break
            else:
                if config.disable_jit:  # part of the key, so that nothing was found
                    return self.fun(*given, **named)
                self._arrays(args, kwargs, leaves)  # arrays of others have avals too
                traced = self._trace(args, kwargs, statics, leaves, avals, key)
            if state.trace is None:
                outs = traced.run(leaves)
            else:
                outs = traced.op.bind(*traced.consts, *leaves)
            return outs[0] if traced.gives_one else unflatten(traced.out_tree, outs)
        except Exception as error:
            if config.traceback_filtering == "off":
                raise
            raise error.with_traceback(errors.fold(error.__traceback__))  # folded; whole: ferax.config.update("traceback_filtering", "off")  # fmt: skip  # noqa: B904, E501

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        return self if obj is None else partial(self, obj)

    def __deepcopy__(self, memo: Any) -> JitFunction:
        return self  # as functions do

    def __repr__(self) -> str:
        return f"<jitted function {self.name}>"

    def _arrays(self, args: Any, kwargs: Any, leaves: list[Any]) -> list[Any]:
        arrays = []
        for i, x in enumerate(leaves):
            try:
                arrays.append(to_array(x))
            except TypeError:
                raise TypeError(
                    f"jit: {self._label((args, kwargs), i)} of {self.name} must be an array, a "
                    f"number or a pytree of them; got {x!r} of type {type(x).__name__}. Name it in "
                    "static_argnums or static_argnames if the function is to be compiled anew for "
                    "each of its values."
                ) from None
        return arrays

    def _label(self, tree: Any, i: int) -> str:
        """What a leaf is for the user: `argument x['w']`."""
        path = tree_flatten_with_path(tree)[0][i][0]
        text = keystr(path[2:])
        if keystr(path[:1]) == "[1]":
            return f"the argument {keystr(path[1:2])[2:-2]}{text}"
        place = int(keystr(path[1:2])[1:-1])
        names = list(self.signature.parameters) if self.signature else []
        dynamic = [
            n
            for j, n in enumerate(names)
            if j not in self.static_nums and n not in self.static_names
        ]
        return f"the argument {dynamic[place] if place < len(dynamic) else place}{text}"

    def _take_statics(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Arguments without the static ones, and these as a hashable key."""
        kind = (len(args), *kwargs)
        layout = self.layouts.get(kind)
        if layout is None:
            layout = self.layouts[kind] = self._layout(len(args), kwargs)
        places, names, dynamic, dynamic_names, donated = layout
        positional = tuple([(i, type(args[i]), args[i]) for i in places])
        named = tuple([(k, type(kwargs[k]), kwargs[k]) for k in names])
        for where, _, value in positional + named:
            self._check_static(where, value)
        if places:
            args = tuple([args[i] for i in dynamic])
        if names:
            kwargs = {k: kwargs[k] for k in dynamic_names}
        return args, kwargs, (positional, named, *donated)

    def _layout(self, count: int, kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Which arguments of calls of this form are static, dynamic and donated."""
        for i in self.static_nums:
            if i >= count and not self.signature:
                raise ValueError(
                    f"jit: static_argnums names positional argument {i} of {self.name}, which was "
                    f"called with {count}"
                )
        places = {i % count if i < 0 else i for i in self.static_nums if count}
        donated = {i % count for i in self.donate_nums if count}
        return (
            [i for i in range(count) if i in places],
            sorted(k for k in kwargs if k in self.static_names),
            [i for i in range(count) if i not in places],
            [k for k in kwargs if k not in self.static_names],
            (
                tuple(i for i in range(count) if i in donated),
                tuple(k for k in kwargs if k in self.donate_names),
            ),
        )

    def _check_static(self, where: Any, value: Any) -> None:
        if isinstance(value, Array):
            raise ValueError(
                f"jit: the static argument {where!r} of {self.name} is an array "
                f"({value.aval.short()}); static arguments are compiled in, so they must be "
                "hashable Python values. Pass the array as an ordinary argument."
            )
        try:
            hash(value)
        except TypeError:
            raise ValueError(
                f"jit: the static argument {where!r} of {self.name} is not hashable: "
                f"{value!r} of type {type(value).__name__}. Static arguments are keys of the "
                "compilation cache; pass a tuple instead of a list, a frozen dataclass "
                "instead of a dict."
            ) from None

    def _restore(self, args: Any, kwargs: Any, statics: Any) -> tuple[Any, Any]:
        if not statics:
            return args, kwargs
        args = list(args)
        for i, _, value in statics[0]:
            args.insert(i, value)
        return args, {**kwargs, **{k: v for k, _, v in statics[1]}}

    def _donated(self, args: Any, kwargs: Any, statics: Any) -> tuple[bool, ...]:
        if not statics:
            return (False,) * len(flatten((args, kwargs))[0])
        static = {i for i, _, _ in statics[0]}
        dynamic = [i for i in range(len(args) + len(static)) if i not in static]
        groups = [(i in statics[2], x) for i, x in zip(dynamic, args)]
        groups += [(k in statics[3], kwargs[k]) for k in sorted(kwargs)]
        return tuple([flag for flag, x in groups for _ in flatten(x)[0]])

    def _trace(
        self,
        args: Any,
        kwargs: Any,
        statics: Any,
        leaves: Any,
        avals: Any,
        key: Any,
    ) -> Traced:
        tree = flatten((args, kwargs))[1]
        if config.no_tracing:
            raise RuntimeError(
                f"{self.name} would have to be traced for these arguments, but no_tracing is set"
            )
        guards = guards_of(self.fun) if config.guard_globals else []
        placing = self.placing
        ins = placing.ins(args, kwargs, len(leaves)) if placing else ()
        outs: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            given = placing.constrain(xs, ins) if placing else xs
            inner_args, inner_kwargs = unflatten(tree, given)
            inner_args, inner_kwargs = self._restore(inner_args, inner_kwargs, statics)
            results = call(*inner_args, **inner_kwargs)
            if placing:
                outs[:] = placing.outs(call.tree)
                results = placing.constrain(results, outs)
            return results

        call = FlatCall("jit", self.fun)
        jaxpr, consts = stage(
            flat, avals, self.name, lambda i: self._label((args, kwargs), i)
        )
        donated = self._donated(args, kwargs, statics)
        traced = Traced(
            jaxpr, consts, tree, call.tree, self.name, donated, self.keep_unused, guards
        )
        traced.compiler_options = self.compiler_options
        if placing:
            traced.placed = placing.plan(ins, outs, traced.kept)
        with self.table.lock:
            variants = self.table.entries.get(key, [])
            self._record(key, avals, variants)
            if len(variants) == MAX_VARIANTS and traced.cacheable:
                warnings.warn(
                    f"{self.name} is traced and compiled again and again because what it reads "
                    "from outside keeps changing: "
                    f"{table_reason(self.table)}. Pass it as an argument.",
                    stacklevel=4,
                )
            if traced.cacheable:
                kept = variants[-(MAX_VARIANTS - 1) :]
                self.table.entries[key] = [*kept, traced]
        return traced

    def _record(
        self, key: Any, avals: tuple[Aval, ...], variants: list[Traced]
    ) -> None:
        """Note in the history why this trace was made."""
        table = self.table
        signature = ", ".join(a.short() for a in avals) + "".join(
            f", {where}={value!r}" for part in key[2][:2] for where, _, value in part
        )
        frame = errors.user_frame()
        where = f" (called at {errors.describe(frame)})" if frame else ""
        if table.last is None:
            why = "first call"
        elif variants:
            changes = [g.change() for g in variants[-1].guards if not g.holds()]
            why = (
                "; ".join(changes) or "it closes over values of another transformation"
            )
        else:
            why = _difference(table.last, key)
        table.history.append(f"({signature}): {why}{where}")
        if config.explain_cache_misses:
            log.warning("jit traces %s%s", self.name, table.history[-1])
        table.last = key

    # -- stages ----------------------------------------------------------------------------

    @public
    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Trace for arguments like these (arrays or ShapeDtypeStructs) without compiling."""
        statics: Any = ()
        if not self.simple:
            args, kwargs, statics = self._take_statics(args, kwargs)
        leaves, tree = leaves_of(args, kwargs)
        avals = tuple(aval_of(x) for x in leaves)
        key = (tree, avals, statics, config.trace_key(), state.axes)
        for traced in self.table.entries.get(key, ()):
            if traced.holds():
                return traced
        return self._trace(args, kwargs, statics, leaves, avals, key)

    @public
    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Trace and lower to StableHLO for arguments like these."""
        return self.trace(*args, **kwargs).lower()

    @public
    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the results for arguments like these."""
        return self.trace(*args, **kwargs).out_info

    def clear_cache(self) -> None:
        """Forget all traces and compiled programs of this function."""
        self.table.entries.clear()

    def _cache_size(self) -> int:
        return sum(len(v) for v in self.table.entries.values())


def table_reason(table: _Table) -> str:
    """The reason of the last trace, without its place."""
    return table.history[-1].partition("): ")[2].partition(" (called")[0]


def _signature(fun: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def resolve_arguments(
    who: str, fun: Any, nums: Any, names: Any, what: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of the marked arguments; each implies the other."""
    nums = () if nums is None else (nums,) if isinstance(nums, int) else tuple(nums)
    names = (
        () if names is None else (names,) if isinstance(names, str) else tuple(names)
    )
    if not all(isinstance(i, int) for i in nums):
        raise TypeError(f"{who}: {what}_argnums must be ints; got {nums!r}")
    if not all(isinstance(n, str) for n in names):
        raise TypeError(f"{who}: {what}_argnames must be strings; got {names!r}")
    signature = _signature(fun) if nums or names else None
    if signature is None:
        return nums, names
    parameters = list(signature.parameters.values())
    by_name = {p.name: p for p in parameters}
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    keywords = any(p.kind is p.VAR_KEYWORD for p in parameters)
    places = [
        p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    for n in names:
        if n not in by_name and not keywords:
            raise ValueError(
                f"{who}: {what}_argnames names {n!r}, but {name_of(fun)} has the parameters "
                f"{list(by_name)}"
            )
    for i in nums:
        if not -len(places) <= i < len(places) and not starred:
            raise ValueError(
                f"{who}: {what}_argnums names positional argument {i}, but {name_of(fun)} has "
                f"{len(places)}: {[p.name for p in places]}"
            )
    all_nums = set(nums) | {i for i, p in enumerate(places) if p.name in names}
    all_names = set(names) | {
        places[i].name
        for i in nums
        if -len(places) <= i < len(places)
        and places[i].kind is not inspect.Parameter.POSITIONAL_ONLY
    }
    return tuple(sorted(all_nums)), tuple(sorted(all_names))


def _difference(before: Any, now: Any) -> str:
    """Why two signatures are not the same."""
    if before[0] != now[0]:
        return "another structure of arguments"
    changes = [
        f"{a.short()} → {b.short()}" for a, b in zip(before[1], now[1]) if a is not b
    ]
    if changes and before[1] != now[1]:
        weak = [
            c for a, b, c in zip(before[1], now[1], changes) if a.strong() is b.strong()
        ]
        note = " (a Python number in place of an array, or the reverse)" if weak else ""
        return f"other shapes or dtypes: {', '.join(changes)}{note}"
    if before[2] != now[2]:
        return "another value of a static argument"
    if before[3] != now[3]:
        return "another configuration (ferax.config)"
    return (
        "another named axis in scope"
        if before[4] != now[4]
        else "its cache was cleared"
    )


# -- public --------------------------------------------------------------------------------

_MISSING: Any = object()


@public
def jit(
    fun: Callable[..., Any] = _MISSING,
    /,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """Compile a function with XLA, at its first call for each kind of arguments.

    Args:
      fun: a function of arrays, numbers and pytrees of them; side effects happen when it is
        traced only. Without it, `jit` gives a decorator.
      static_argnums, static_argnames: arguments that are hashable Python values, compiled in.
      donate_argnums, donate_argnames: arguments whose memory may be reused for the results; they
        cannot be used afterwards.
      in_shardings: how the positional arguments shall lie on devices: a Sharding, a PartitionSpec
        of the mesh in context, None (as it comes), or a tuple of these and of pytrees of them, a
        prefix of the arguments. Arguments without a place of their own are put there.
      out_shardings: the same for the results; one for all, or a prefix of their structure.
      device, backend: where to run, instead of shardings: a device, or the first one of a
        platform ("cpu", "gpu", …).
      compiler_options: options of XLA by name, such as {"xla_cpu_enable_fast_math": True}.
      keep_unused: pass arguments to the compiled program that it does not use.
      inline: accepted; a jitted function inside of another is inlined by XLA in any case.

    Returns:
      A function with the same arguments and results, and the methods `trace`, `lower`,
      `eval_shape` and `clear_cache`. Globals and closure variables that the function reads are
      watched: when one changes, it is traced again (`ferax.explain` tells).

    Raises:
      ValueError: a static argument is not hashable, or named arguments do not exist; shardings do
        not fit the arguments, or an argument lies elsewhere already.
      TypeError: an argument is no array, number or pytree of them.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.jit(lambda x: 2 * x + 1)(jnp.arange(3.0))
    Array([1., 3., 5.], dtype=float32)
    """
    where = (in_shardings, out_shardings, device, backend)
    placing = None
    if any(w is not None for w in where):
        placing = engine().placing(*where)
    options = (
        static_argnums,
        static_argnames,
        donate_argnums,
        donate_argnames,
        keep_unused,
        placing,
        compiler_options or {},
    )
    if fun is _MISSING:
        return lambda f: jit_function(f, options)
    return jit_function(fun, options)


def jit_function(fun: Any, options: tuple[Any, ...]) -> JitFunction:
    check_callable("jit", fun)
    return JitFunction(fun, *options)


@public
def explain(fun: Any) -> Report:
    """How often a jitted function was traced, for what arguments, and why again.

    Args:
      fun: a function made by `jit`.

    Returns:
      A report to print: one line per trace with the arguments' types, the reason and the calling
      line.
    """
    if isinstance(fun, partial):
        fun = fun.func
    if not isinstance(fun, JitFunction):
        raise TypeError(f"explain needs a function made by jit; got {fun!r}")
    return Report(fun.name, list(fun.table.history))


@public
def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """A function that shows what `fun` does as a program.

    Args:
      fun: function of arrays (or pytrees of them).
      static_argnums: positional arguments that are Python values.
      axis_env: names and sizes of axes that collectives in `fun` refer to.
      return_shape: also give the shapes and dtypes of the results.

    Returns:
      A function with the arguments of `fun` that gives a ClosedJaxpr; or a pair with a pytree of
      ShapeDtypeStructs.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.make_jaxpr(lambda x: jnp.sin(x) * 2.0)(1.0)
    { lambda ; a:f32[]. let
        b:f32[] = sin a
        c:f32[] = mul b 2.0
      in (c,) }
    """
    check_callable("make_jaxpr", fun)
    static = (
        (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    )

    @wraps(fun)
    @public
    def make(*args: Any, **kwargs: Any) -> Any:
        dynamic = tuple(a for i, a in enumerate(args) if i not in static)
        leaves, tree = flatten((dynamic, kwargs))

        def with_statics(*xs: Any) -> Any:
            inner, inner_kwargs = unflatten(tree, xs)
            rest = iter(inner)
            full = [a if i in static else next(rest) for i, a in enumerate(args)]
            return fun(*full, **inner_kwargs)

        call = FlatCall("make_jaxpr", with_statics)
        outer = state.axes
        state.axes = (*outer, *(axis_env or ()))
        try:
            jaxpr, consts = stage(call, [aval_of(x) for x in leaves], name_of(fun))
        finally:
            state.axes = outer
        closed = ClosedJaxpr(jaxpr, consts)
        if return_shape:
            return closed, unflatten(call.tree, [_struct(a) for a in jaxpr.out_avals])
        return closed

    return make


class ShapeDtypeStruct:
    """Shape and dtype of an array that need not exist.

    Accepted in place of arrays by `eval_shape`, `make_jaxpr`, `jit(f).lower` and
    `linear_transpose`.
    """

    __slots__ = ("shape", "dtype", "sharding", "weak_type")

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        *,
        sharding: Any = None,
        weak_type: bool = False,
    ):
        aval = Aval(tuple(shape), dtype, weak_type)
        self.shape, self.dtype, self.weak_type = aval.shape, aval.dtype, weak_type
        self.sharding = sharding

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return Aval(self.shape, self.dtype).size

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (
            (self.shape, self.dtype, self.weak_type, self.sharding)
            == (other.shape, other.dtype, other.weak_type, other.sharding)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))


def _struct(aval: Aval) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


@public
def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of the results of `fun`, without computing anything.

    Args:
      fun: function of arrays (or pytrees of them).
      *args, **kwargs: its arguments: arrays, numbers or ShapeDtypeStructs.

    Returns:
      ShapeDtypeStructs in the structure of the results.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.eval_shape(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
    ShapeDtypeStruct(shape=(2, 4), dtype=float32)
    """
    return make_jaxpr(fun, return_shape=True)(*args, **kwargs)[1]


@public
def typeof(x: Any) -> Aval:
    """The abstract value of an array: its shape, dtype and weak type."""
    return aval_of(x)


def clear_caches() -> None:
    """Forget all traces and compiled programs of all jitted functions."""
    for table in list(_all_tables):
        table.entries.clear()
