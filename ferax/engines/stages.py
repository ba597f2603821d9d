"""The stages of compilation after tracing: StableHLO text, and the compiled program."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from ferax.core.array import Concrete, engine
from ferax.core.avals import Aval
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.transforms.staging import Traced, leaves_of
from ferax.tree_util import flatten, unflatten


@dataclass(frozen=True)
class ArgInfo:
    """One array among a function's arguments: its type, and whether it is donated."""

    _aval: Aval
    donated: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        return self._aval.dtype


def _args_info(traced: Traced) -> Any:
    """An ArgInfo for each array of the arguments, as (args, kwargs)."""
    avals = traced.program.in_avals
    return unflatten(traced.in_tree, list(map(ArgInfo, avals, traced.donated)))


class Lowered:
    """A function as StableHLO: the second stage."""

    def __init__(self, traced: Traced):
        self._traced = traced
        self.in_tree, self.out_tree = traced.in_tree, traced.out_tree
        self.args_info = _args_info(traced)
        self.text = engine().lower(
            traced.runnable, traced.fun_name, traced.runnable_donated()
        )

    @property
    def out_info(self) -> Any:
        return self._traced.out_info

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The module as StableHLO text (dialect "stablehlo"), or as HLO (dialect "hlo")."""
        if dialect in (None, "stablehlo"):
            return str(engine().pretty(self.text))
        if dialect == "hlo":
            return str(engine().as_hlo(self.text))
        raise ValueError(
            f"as_text: dialect must be 'stablehlo' or 'hlo'; got {dialect!r}"
        )

    def compile(self, compiler_options: Any = None) -> Compiled:
        """Compile the module for its devices, or the default one."""
        traced = copy(self._traced)
        if compiler_options:
            traced.compiler_options = {**traced.compiler_options, **compiler_options}
            traced._executables = {}
        return Compiled(traced)

    def cost_analysis(self) -> Any:
        """XLA's estimate of floating point operations and bytes accessed."""
        return self.compile().cost_analysis()


class Compiled:
    """A function compiled for one kind of arguments: the last stage; callable."""

    def __init__(self, traced: Traced):
        self._traced = traced
        self.in_tree, self.out_tree = traced.in_tree, traced.out_tree
        self.args_info = _args_info(traced)
        self._executable = traced.executable(traced.placed and traced.placed.site)[0]
        self._wanted = [a.strong() for a in traced.program.in_avals]
        places = unflatten(traced.in_tree, range(len(self._wanted)))
        self._structure = leaves_of(*places)[1]

    @property
    def out_info(self) -> Any:
        return self._traced.out_info

    def as_text(self) -> str:
        """The optimised HLO."""
        return str(self._executable.text())

    def cost_analysis(self) -> dict[str, float]:
        """XLA's estimates: "flops", "bytes accessed" and so on."""
        return dict(self._executable.cost_analysis())

    def memory_analysis(self) -> Any:
        """Bytes of arguments, results, temporaries and code."""
        return self._executable.memory_analysis()

    def runtime_executable(self) -> Any:
        return self._executable

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = leaves_of(args, kwargs)
        if structure != self._structure:
            raise TypeError(
                f"{self._traced.fun_name} was compiled for arguments of the structure "
                f"{self.in_tree}; got {flatten((args, kwargs))[1]}"
            )
        for x, want in zip(leaves, self._wanted):
            if type(x) is not Concrete or x.aval is not want:
                leaves = self._checked(leaves)
                break
        if state.trace is not None:
            outs = self._traced.op.bind(*self._traced.consts, *leaves)
        else:
            outs = self._traced.run(leaves)
        return unflatten(self.out_tree, outs)

    def _checked(self, leaves: Any) -> list[Any]:
        """The leaves as arrays. Raises TypeError if one is not of the kind compiled for."""
        name = self._traced.fun_name
        arrays = [x if type(x) is Concrete else to_array(x, name) for x in leaves]
        for x, want in zip(arrays, self._wanted):
            if x.aval is not want and x.aval.strong() is not want:
                raise TypeError(
                    f"{name} was compiled for {want.short()}; got {x.aval.short()}. A compiled "
                    "function takes only what it was compiled for."
                )
        return arrays
