"""Between the user's arguments and the flat lists of arrays that transformations work on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.core.array import Array, Concrete
from ferax.core.avals import Aval
from ferax.core.tracing import to_array
from ferax.tree_util import (
    flatten,
    keystr,
    leaf_path,
    tree_flatten_with_path,
    unflatten,
)


def name_of(fun: Any) -> str:
    """The name of a callable, for messages."""
    while hasattr(fun, "func") and not hasattr(fun, "__name__"):
        fun = fun.func  # functools.partial
    return getattr(fun, "__name__", type(fun).__name__)


def split_aux(who: str, out: Any) -> tuple[Any, Any]:
    """The (result, aux) of a function that was announced with has_aux=True."""
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        length = f" of length {len(out)}" if isinstance(out, (tuple, list)) else ""
        raise TypeError(
            f"{who}: with has_aux=True the function must return a pair (result, aux); it "
            f"returned {type(out).__name__}{length}"
        )
    return out[0], out[1]


def check_callable(who: str, fun: Any) -> None:
    if not callable(fun):
        raise TypeError(
            f"{who} needs a function; got {fun!r} of type {type(fun).__name__}"
        )


class FlatCall:
    """A function of leaves that gives leaves, and keeps the structure of its results."""

    def __init__(self, who: str, fun: Callable[..., Any], has_aux: bool = False):
        self.who = who
        self.fun = fun
        self.has_aux = has_aux
        self.tree: Any = None
        self.aux: Any = None

    def __call__(self, *leaves: Any, **kwargs: Any) -> list[Any]:
        out = self.fun(*leaves, **kwargs)
        if self.has_aux:
            out, self.aux = split_aux(self.who, out)
        flat, self.tree = flatten(out)
        for i, leaf in enumerate(flat):
            if not isinstance(leaf, Array):
                try:
                    flat[i] = to_array(leaf)
                except TypeError:
                    raise TypeError(
                        f"{self.who}: the function's result{leaf_path(self.tree, i)} must be an "
                        f"array or a number; got {leaf!r} of type {type(leaf).__name__}"
                    ) from None
        return flat

    def check_outputs(
        self, outs: Sequence[Any], holomorphic: bool, fits: Any = dtypes.is_inexact
    ) -> None:
        """Results that a Jacobian can be taken of."""
        want = "floating or complex" if fits is dtypes.is_inexact else (
            "floating; pass holomorphic=True for a holomorphic function, and for any other use vjp"
        )  # fmt: skip
        if holomorphic:
            fits, want = dtypes.is_complex, "complex (holomorphic=True)"
        for i, out in enumerate(outs):
            if not fits(out.dtype):
                raise TypeError(
                    f"{self.who}: the result{leaf_path(self.tree, i)} must be {want}; got "
                    f"{out.aval.short()}"
                )


class Chosen:
    """The arguments that a derivative is taken by, as leaves; the others stay fixed."""

    def __init__(
        self,
        who: str,
        fun: Callable[..., Any],
        argnums: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ):
        self.who = who
        self.fun = fun
        self.args = list(args)
        self.kwargs = kwargs
        self.single = not isinstance(argnums, (tuple, list))
        wanted = (argnums,) if self.single else argnums
        self.places = tuple([self.place(i, argnums) for i in wanted])
        picked = tuple(self.args[i] for i in self.places)
        self.picked = picked[0] if self.single else picked
        leaves, self.tree = flatten(self.picked)
        self.leaves = [self.smooth_number(i, x) for i, x in enumerate(leaves)]

    def place(self, i: Any, argnums: Any) -> int:
        """The position that an element of `argnums` means."""
        count = len(self.args)
        try:
            i = operator.index(i)
        except TypeError:
            raise TypeError(
                f"{self.who}: argnums must be integers; got {argnums!r}"
            ) from None
        if not -count <= i < count:
            raise TypeError(
                f"{self.who}: argnums={argnums} names positional argument {i}, but the call has "
                f"{count}; arguments passed by keyword cannot be differentiated by"
            )
        return int(i % count)

    def smooth_number(self, i: int, x: Any) -> Any:
        """A leaf as an array; Python ints become floats, as users write `grad(f)(3)`."""
        if type(x) is int:
            x = float(x)
        try:
            return to_array(x)
        except TypeError:
            raise TypeError(
                f"{self.who}: argument{self.path(i)} of {name_of(self.fun)} must be an array or "
                f"a number to differentiate by; got {x!r} of type {type(x).__name__}. Choose "
                "other arguments with argnums=, or close over this one with a lambda."
            ) from None

    def path(self, i: int) -> str:
        key = keystr(tree_flatten_with_path(self.picked)[0][i][0])
        return f" {self.places[0]}{key}" if self.single else f"s {self.places}{key}"

    def call(self, *leaves: Any) -> Any:
        """The function at these leaves in place of the chosen ones."""
        args = list(self.args)
        picked = unflatten(self.tree, leaves)
        for place, value in zip(self.places, (picked,) if self.single else picked):
            args[place] = value
        return self.fun(*args, **self.kwargs)

    def check_smooth(self, holomorphic: bool, allow_int: bool = False) -> None:
        """Raise unless all leaves have dtypes that can be differentiated by."""
        for i, x in enumerate(self.leaves):
            dtype = x.dtype
            if holomorphic:
                if not dtypes.is_complex(dtype):
                    raise TypeError(
                        f"{self.who} with holomorphic=True needs complex arguments; "
                        f"argument{self.path(i)} is {x.aval.short()}"
                    )
            elif dtypes.is_complex(dtype) and self.who == "jacfwd":
                raise TypeError(
                    f"jacfwd needs real arguments; argument{self.path(i)} is {x.aval.short()}. "
                    "Pass holomorphic=True for a holomorphic function."
                )
            elif not dtypes.is_inexact(dtype) and not allow_int:
                raise TypeError(
                    f"{self.who} needs floating or complex arguments; argument{self.path(i)} of "
                    f"{name_of(self.fun)} is {x.aval.short()}. Convert it with "
                    "x.astype(jnp.float32), choose other arguments with argnums=, or pass "
                    "allow_int=True for float0 gradients."
                )


choose = Chosen  # as it reads where it is called


def describe_tree_difference(a: Any, b: Any, name_a: str, name_b: str) -> str:
    """Where two trees first differ, as a clause of an error message."""
    paths_a = {keystr(p): x for p, x in tree_flatten_with_path(a)[0]}
    paths_b = {keystr(p): x for p, x in tree_flatten_with_path(b)[0]}
    for path in paths_a:
        if path not in paths_b:
            return f"{name_a} have a leaf at {path or 'the top'} that {name_b} lack"
    for path in paths_b:
        if path not in paths_a:
            return f"{name_b} have a leaf at {path or 'the top'} that {name_a} lack"
    return f"{name_a}: {flatten(a)[1]}; {name_b}: {flatten(b)[1]}"


# -- Jacobians -----------------------------------------------------------------------------


def basis_of(leaves: Sequence[Any]) -> list[Any]:
    """For each leaf its part of the standard basis of all leaves: (n, *shape)."""
    sizes = [x.size for x in leaves]
    n, start = sum(sizes), 0
    parts = []
    for x, size in zip(leaves, sizes):
        block = np.eye(n, size, -start, x.dtype)
        parts.append(Concrete(Aval((n, *x.shape), x.dtype), block.reshape(n, *x.shape)))
        start += size
    return parts


def split_jacobian(columns: Any, shape: tuple[int, ...], chosen: Chosen) -> Any:
    """(*shape, n) → the chosen arguments' structure of (*shape, *argument shape)."""
    blocks, start = [], 0
    for x in chosen.leaves:
        part = columns[..., start : start + x.size]
        blocks.append(part.reshape(*shape, *x.shape))
        start += x.size
    return unflatten(chosen.tree, blocks)
