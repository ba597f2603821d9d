"""Solutions that are differentiated by what they solve: custom_root, custom_linear_solve.

With f(x, θ) = 0, the implicit function theorem gives ∂f/∂x dx = -∂f/∂θ dθ; with A(θ) x = b,
linearity gives A dx = db - dA x, and pulling a cotangent v of x back to b solves Aᵀ u = v. So the
solvers themselves are never differentiated. θ is what the functions close over.

Also linear_call: a linear function whose transpose is given.

Reference: M. Blondel et al., "Efficient and modular implicit differentiation" (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ferax.core.avals import Aval, LinearInput, Zero
from ferax.core.basis import add_tangents, instantiate, moveaxis, neg
from ferax.core.jaxpr import Jaxpr, eval_jaxpr, stage
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import state, to_array
from ferax.errors import public
from ferax.lax.custom import CustomJVPCall
from ferax.transforms.arguments import FlatCall, split_aux
from ferax.transforms.batching import batch_jaxpr, to_front
from ferax.transforms.forward import jvp_flat
from ferax.transforms.reverse import backward_pass
from ferax.tree_util import flatten, tree_map, unflatten


def _staged(
    who: str, fun: Callable[..., Any], tree: Any, avals: Sequence[Aval]
) -> tuple[Jaxpr, list[Any], Any]:
    """`fun` of one pytree as (program with its constants first, these, structure)."""
    call = FlatCall(who, lambda *xs: fun(unflatten(tree, xs)))
    jaxpr, consts = stage(call, avals, who)
    return jaxpr.closed(), consts, call.tree


def _check_like(
    who: str, what: str, tree: Any, avals: Any, want: Any, like: Any
) -> None:
    """Raise unless results have the structure, shapes and dtypes that they should have."""
    if tree != want:
        raise TypeError(
            f"{who}: {what} must return the structure {want}; it returned {tree}"
        )
    for a, b in zip(avals, like):
        if a.shape != b.shape or a.dtype != b.dtype:
            error = ValueError if a.shape != b.shape else TypeError
            raise error(f"{who}: {what} must return {b.short()}; got {a.short()}")


def _leaves_like(who: str, what: str, value: Any, tree: Any, avals: Any) -> list[Any]:
    """The leaves of what a function returned, checked."""
    leaves, found = flatten(value)
    leaves = [to_array(x, who) for x in leaves]
    _check_like(who, what, found, [x.aval for x in leaves], tree, avals)
    return leaves


# -- linear functions with their transposes --------------------------------------------------


def _front_linear(
    axis: Any, args: Sequence[Any], dims: Sequence[Any], n_known: int
) -> tuple[list[Any], list[bool]]:
    """Operands with mapped axes in front: the linear ones mapped if any operand is."""
    known = [
        x if d is None else moveaxis(x, d, 0)
        for x, d in zip(args[:n_known], dims[:n_known])
    ]
    linear = [to_front(x, d, axis.size) for x, d in zip(args[n_known:], dims[n_known:])]
    return [*known, *linear], [d is not None for d in dims[:n_known]]


class LinearCall(Primitive, interned=False):
    """y = callee(known, x), linear in x; ct_x = transposed(known, ct_y)."""

    callee: Jaxpr
    transposed: Jaxpr
    n_known: int
    name = "linear_call"
    calls = True
    keeps_weak_type = False

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.callee.out_avals

    numpy = cannot("it is executed as a program")

    def execute(self, args: list[Any]) -> list[Any]:
        return eval_jaxpr(self.callee, (), args)

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        return hlo.call_jaxpr(self.callee, *values)  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        n = self.n_known
        outs = self.bind(*primals)
        total: list[Any] = [Zero(o.aval.tangent()) for o in outs]
        if any(type(t) is not Zero for t in tangents[n:]):
            total = self.bind(*primals[:n], *map(instantiate, tangents[n:]))
        if any(type(t) is not Zero for t in tangents[:n]):
            moved = jvp_flat(
                lambda *known: eval_jaxpr(self.callee, (), [*known, *primals[n:]]),
                primals[:n],
                tangents[:n],
            )[1]
            total = [add_tangents(a, b) for a, b in zip(total, moved)]
        return outs, total

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        n = self.n_known
        op = LinearCall(self.transposed, self.callee, n)
        answers = op.bind(*args[:n], *map(instantiate, cts))
        return [None] * n + [
            a if type(x) is LinearInput else None for a, x in zip(answers, args[n:])
        ]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        operands, known = _front_linear(axis, args, dims, self.n_known)
        both = []
        for jaxpr in (self.callee, self.transposed):
            linear = [True] * (len(jaxpr.invars) - self.n_known)
            n_outs = len(jaxpr.outvars)
            both.append(batch_jaxpr(jaxpr, axis, [*known, *linear], [True] * n_outs)[0])
        outs = LinearCall(both[0], both[1], self.n_known).bind(*operands)
        return outs, [0] * len(outs)


@public
def linear_call(
    fun: Callable[..., Any],
    fun_transpose: Callable[..., Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """A linear function whose transpose is given: fun(residual_args, linear_args).

    Args:
      fun: function of (residuals, x), linear in x. It must not close over traced values.
      fun_transpose: function of (residuals, cotangent like fun's result) that gives a cotangent
        like x.
      residual_args: what both depend on, a pytree of arrays.
      linear_args: a pytree of arrays.

    >>> import ferax
    >>> from ferax.custom_derivatives import linear_call
    >>> f = lambda x: linear_call(lambda r, x: x / r, lambda r, ct: ct / r, 2.0, x)
    >>> ferax.grad(f)(4.0)
    Array(0.5, dtype=float32, weak_type=True)
    """
    known, known_tree = flatten(residual_args)
    moving, moving_tree = flatten(linear_args)
    known = [to_array(x, "linear_call", "a residual") for x in known]
    moving = [to_array(x, "linear_call", "a linear argument") for x in moving]
    n = len(known)

    def traced(f: Callable[..., Any], tree: Any, avals: list[Aval]) -> Any:
        call = FlatCall(
            "linear_call",
            lambda *xs: f(unflatten(known_tree, xs[:n]), unflatten(tree, xs[n:])),
        )
        jaxpr, consts = stage(call, [*[x.aval for x in known], *avals], "linear_call")
        if consts:
            raise TypeError(
                "linear_call: the functions must not close over arrays; pass them in residual_args"
            )
        return jaxpr, call.tree

    avals = [x.aval for x in moving]
    callee, out_tree = traced(fun, moving_tree, avals)
    ct_avals = [a.tangent() for a in callee.out_avals]
    transposed, ct_tree = traced(fun_transpose, out_tree, ct_avals)
    _check_like(
        "linear_call",
        "fun_transpose",
        ct_tree,
        transposed.out_avals,
        moving_tree,
        avals,
    )
    outs = LinearCall(callee, transposed, n).bind(*known, *moving)
    return unflatten(out_tree, outs)


# -- linear equations ------------------------------------------------------------------------


class Solver:
    """Four programs that belong to a linear equation A x = b, each with its constants first.

    `apply` is A, `solve` gives x (and auxiliary results) of b; `back_apply` is Aᵀ, `back_solve`
    solves with it, or is None. `counts` are the numbers of their constants.
    """

    def __init__(self, programs: Sequence[Jaxpr | None], counts: Sequence[int]):
        self.programs = tuple(programs)
        self.counts = tuple(counts)

    @property
    def n_known(self) -> int:
        return sum(self.counts)

    def consts(self, i: int, known: Sequence[Any]) -> list[Any]:
        """The constants of program i among those of all."""
        start = sum(self.counts[:i])
        return list(known[start : start + self.counts[i]])

    def run(self, i: int, known: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
        jaxpr = self.programs[i]
        assert jaxpr is not None, "the equation has no transposed solver"
        return eval_jaxpr(jaxpr, (), [*self.consts(i, known), *xs])

    def flipped(self) -> Solver:
        """The transposed equation, whose constants come as (Aᵀ, its solver, A, its solver)."""
        return Solver(
            self.programs[2:] + self.programs[:2], self.counts[2:] + self.counts[:2]
        )

    def flip(self, known: Sequence[Any]) -> list[Any]:
        """The constants in the order of `flipped`."""
        half = sum(self.counts[:2])
        return [*known[half:], *known[:half]]

    def mapped(self, axis: Any, flags: Sequence[bool]) -> Solver:
        """All programs mapped, unknowns and right sides too."""
        made: list[Any] = []
        for i, jaxpr in enumerate(self.programs):
            if jaxpr is None:
                made.append(None)
                continue
            consts = self.consts(i, flags)
            linear = [True] * (len(jaxpr.invars) - len(consts))
            wanted = [True] * len(jaxpr.outvars)
            made.append(batch_jaxpr(jaxpr, axis, [*consts, *linear], wanted)[0])
        return Solver(made, self.counts)


APPLY, SOLVE, BACK_APPLY, BACK_SOLVE = range(4)


class LinearSolve(Primitive, interned=False):
    """(x, auxiliary results) with A x = b, for operands (constants of the programs, b)."""

    solver: Solver
    name = "custom_linear_solve"
    calls = True
    keeps_weak_type = False

    @property
    def program(self) -> Jaxpr:
        found = self.solver.programs[SOLVE]
        assert found is not None
        return found

    @property
    def params(self) -> dict[str, Any]:
        return {"matvec": self.solver.programs[APPLY], "solve": self.program}

    @property
    def effects(self) -> bool:  # type: ignore[override]
        return self.program.effects

    def uses_axis(self, name: Any) -> bool:
        programs = [p for p in self.solver.programs if p is not None]
        return any(e.op.uses_axis(name) for p in programs for e in p.eqns)

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.program.out_avals

    numpy = cannot("it is executed as a program")

    def execute(self, args: list[Any]) -> list[Any]:
        n = self.solver.n_known
        return self.solver.run(SOLVE, args[:n], args[n:])

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        n = self.solver.n_known
        known = self.solver.consts(SOLVE, values[:n])
        return hlo.call_jaxpr(self.program, *known, *values[n:])  # type: ignore[no-any-return]

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        solver, n = self.solver, self.solver.n_known
        outs = self.bind(*primals)
        known, right = list(primals[:n]), list(tangents[n:])
        x = outs[: len(right)]
        matrix = solver.programs[APPLY]
        assert matrix is not None
        moving = solver.consts(APPLY, tangents[:n])
        if any(type(t) is not Zero for t in moving):  # A dx = db - dA x
            moved = jvp_flat(
                lambda *consts: eval_jaxpr(matrix, (), [*consts, *x]),
                solver.consts(APPLY, known),
                moving,
            )[1]
            right = [
                t if type(m) is Zero else add_tangents(t, neg(m))
                for t, m in zip(right, moved)
            ]
        rest: list[Any] = [Zero(o.aval.tangent()) for o in outs[len(right) :]]
        if all(type(t) is Zero for t in right):
            return outs, [Zero(o.aval.tangent()) for o in x] + rest
        solution = self.bind(*known, *map(instantiate, right))
        return outs, solution[: len(right)] + rest

    def transpose(self, cts: Any, args: Any) -> list[Any]:
        solver, n = self.solver, self.solver.n_known
        if solver.programs[BACK_SOLVE] is None:
            raise TypeError(
                "custom_linear_solve: reverse mode solves the transposed equation; pass "
                "transpose_solve=, or symmetric=True if the matrix is symmetric"
            )
        right = [instantiate(c) for c in cts[: len(args) - n]]
        op = LinearSolve(solver.flipped())
        solution = op.bind(*solver.flip(args[:n]), *right)
        return [None] * n + [
            c if type(a) is LinearInput else None for c, a in zip(solution, args[n:])
        ]

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        operands, known = _front_linear(axis, args, dims, self.solver.n_known)
        outs = LinearSolve(self.solver.mapped(axis, known)).bind(*operands)
        return outs, [0] * len(outs)


@public
def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """Solve the linear equation matvec(x) = b, with derivatives that solve such equations too.

    Args:
      matvec: linear function of x; its derivative by what it closes over is taken.
      b: the right side, a pytree of arrays.
      solve: function of (matvec, b) that gives x; it is not differentiated.
      transpose_solve: function of (transposed matvec, right side) for reverse mode.
      symmetric: `matvec` is symmetric: `solve` serves for its transpose too.
      has_aux: the solvers return (x, auxiliary results).

    Returns:
      x, in the structure of `b`; (x, auxiliary results) if `has_aux`.

    Raises:
      ValueError: a function returns another shape than `b` has.
      TypeError: a function returns another structure or dtype than `b` has; or reverse mode
        without `transpose_solve` and `symmetric`.

    >>> import ferax
    >>> from ferax import lax
    >>> def f(a):
    ...     return lax.custom_linear_solve(
    ...         lambda x: a * x, 6.0, lambda _, b: b / a, symmetric=True
    ...     )
    >>> f(2.0), ferax.grad(f)(2.0)
    (Array(3., dtype=float32, weak_type=True), Array(-1.5, dtype=float32, weak_type=True))
    """
    who = "custom_linear_solve"
    right, tree = flatten(b)
    right = [to_array(x, who, "a leaf of b") for x in right]
    avals = [x.aval.strong() for x in right]
    if symmetric and transpose_solve is None:
        transpose_solve = solve
    trees: list[Any] = []

    def solved(solver: Any, apply: Any, what: str, value: Any) -> Any:
        out = solver(apply, value)
        x, aux = split_aux(f"{who}: {what}", out) if has_aux else (out, None)
        leaves, x_tree = flatten(x)
        leaves = [to_array(leaf, who) for leaf in leaves]
        _check_like(who, what, x_tree, [leaf.aval for leaf in leaves], tree, avals)
        trees.append(flatten(aux)[1])
        return leaves, aux

    apply, apply_consts, apply_tree = _staged(who, matvec, tree, avals)
    _check_like(who, "matvec", apply_tree, apply.out_avals, tree, avals)
    run, run_consts, _ = _staged(
        who, lambda value: solved(solve, matvec, "solve", value), tree, avals
    )

    def back(value: Any) -> Any:
        args = [*apply_consts, *map(LinearInput, avals)]
        cts = backward_pass(apply, args, flatten(value)[0])
        return unflatten(tree, [instantiate(c) for c in cts[len(apply_consts) :]])

    programs: list[Jaxpr | None] = [apply, run, None, None]
    consts = [apply_consts, run_consts, [], []]
    if transpose_solve is not None:
        vecmat = matvec if symmetric else back
        programs[BACK_APPLY], consts[BACK_APPLY], _ = _staged(who, vecmat, tree, avals)
        programs[BACK_SOLVE], consts[BACK_SOLVE], _ = _staged(
            who,
            lambda ct: solved(transpose_solve, vecmat, "transpose_solve", ct),
            tree,
            avals,
        )
    op = LinearSolve(Solver(programs, [len(c) for c in consts]))
    outs = op.bind(*[c for group in consts for c in group], *right)
    x = unflatten(tree, outs[: len(right)])
    return (x, unflatten(trees[0], outs[len(right) :])) if has_aux else x


# -- roots -----------------------------------------------------------------------------------


@public
def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """A root of `f`, differentiable by what `f` closes over through the implicit function theorem.

    Args:
      f: function from a pytree of arrays to one of the same structure and shapes.
      initial_guess: where to begin; the root does not depend on it.
      solve: function of (f, initial_guess) that gives x with f(x) = 0; it is not differentiated.
      tangent_solve: function of (g, y), with g linear, that gives x with g(x) = y; linear in y.
        For numbers: `lambda g, y: y / g(1.0)`.
      has_aux: `solve` returns (x, auxiliary results).

    Returns:
      x; (x, auxiliary results) if `has_aux`.

    Raises:
      ValueError: `f`, `solve` or `tangent_solve` returns another shape than `initial_guess` has.
      TypeError: one of them returns another structure or dtype.

    >>> import ferax, ferax.numpy as jnp
    >>> from ferax import lax
    >>> def sqrt(a):
    ...     return lax.custom_root(
    ...         lambda x: x**2 - a, 1.0, lambda f, x: jnp.sqrt(a), lambda g, y: y / g(1.0))
    >>> sqrt(4.0), ferax.grad(sqrt)(4.0)
    (Array(2., dtype=float32, weak_type=True), Array(0.25, dtype=float32, weak_type=True))
    """
    who = "custom_root"
    guess, tree = flatten(initial_guess)
    guess = [to_array(x, who, "a leaf of initial_guess") for x in guess]
    avals = [x.aval for x in guess]
    trees: list[Any] = []

    def solved(value: Any) -> Any:
        out = solve(f, value)
        x, aux = split_aux(f"{who}: solve", out) if has_aux else (out, None)
        leaves = _leaves_like(who, "solve", x, tree, avals)
        trees.append(flatten(aux)[1])
        return leaves, aux

    residual, f_consts, f_tree = _staged(who, f, tree, avals)
    _check_like(who, "f", f_tree, residual.out_avals, tree, avals)
    if state.trace is None:
        leaves, aux = solved(unflatten(tree, guess))
        x = unflatten(tree, leaves)
        return (x, tree_map(to_array, aux)) if has_aux else x
    run, run_consts, _ = _staged(who, solved, tree, avals)
    n_f = len(f_consts)
    # the first operands are only there to be differentiated by
    program = Jaxpr([*residual.invars[:n_f], *run.invars], run.outvars, run.eqns)

    def root(*operands: Any) -> list[Any]:
        return CustomJVPCall(program, 0, who, rule).bind(*operands)

    def rule(primals: list[Any], tangents: list[Any]) -> tuple[list[Any], list[Any]]:
        outs = root(*primals)
        x, consts = outs[: len(avals)], primals[:n_f]
        rest: list[Any] = [Zero(o.aval.tangent()) for o in outs[len(avals) :]]
        if all(type(t) is Zero for t in tangents[:n_f]):
            return outs, [Zero(o.aval.tangent()) for o in x] + rest
        moved = jvp_flat(
            lambda *cs: eval_jaxpr(residual, (), [*cs, *x]), consts, tangents[:n_f]
        )[1]

        def along(t: Any) -> Any:  # ∂f/∂x at the root
            leaves = [to_array(leaf, who) for leaf in flatten(t)[0]]
            pushed = jvp_flat(
                lambda *xs: eval_jaxpr(residual, (), [*consts, *xs]), x, leaves
            )[1]
            return unflatten(tree, [instantiate(p) for p in pushed])

        right = [neg(instantiate(m)) for m in moved]
        answer = tangent_solve(along, unflatten(tree, right))
        return outs, _leaves_like(who, "tangent_solve", answer, tree, avals) + rest

    outs = root(*f_consts, *run_consts, *guess)
    x = unflatten(tree, outs[: len(avals)])
    return (x, unflatten(trees[0], outs[len(avals) :])) if has_aux else x
