"""while_loop and what is made of loops: fori_loop, map, associative_scan.

A loop whose number of steps is known when traced becomes a scan, so that it has a reverse mode.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferax import dtypes
from ferax.config import config
from ferax.core.array import Concrete
from ferax.core.avals import Aval, Zero
from ferax.core.basis import (
    convert,
    instantiate,
    moveaxis,
    reduce_sum,
    reshape,
    select,
    stage_closed,
    with_zeros,
)
from ferax.core.jaxpr import Jaxpr, derived, eval_jaxpr
from ferax.core.primitive import Primitive, cannot
from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.bodies import permuted, run_operation, trace_body
from ferax.lax.reversible import linearize_while
from ferax.lax.scanning import (
    check_carry,
    leading_size,
    promote_weak,
    scan,
    strengthened,
)
from ferax.lax.shape import concatenate
from ferax.shapes import canonical_axis
from ferax.transforms.arguments import check_callable, name_of
from ferax.transforms.batching import batch_jaxpr, to_front, vmap
from ferax.transforms.forward import jvp_jaxpr
from ferax.tree_util import flatten, tree_map, unflatten

EAGER_STEPS = 2000  # steps of a loop run by NumPy before the rest is compiled


class While(Primitive, interned=False):
    """`while test(consts, carry): carry = body(consts, carry)`."""

    test: Jaxpr
    body: Jaxpr
    n_test: int  # leading operands that only the test reads
    n_body: int  # following operands that only the body reads
    name = "while"
    calls = True
    keeps_weak_type = False

    @property
    def effects(self) -> bool:  # type: ignore[override]
        return self.test.effects or self.body.effects

    def uses_axis(self, name: Any) -> bool:
        return any(e.op.uses_axis(name) for e in self.test.eqns + self.body.eqns)

    def parts(self, args: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Operands as (consts of the test, consts of the body, carry)."""
        a, b = self.n_test, self.n_test + self.n_body
        return list(args[:a]), list(args[a:b]), list(args[b:])

    def abstract(self, *avals: Aval) -> list[Aval]:
        return self.body.out_avals

    def numpy(self, *values: Any) -> list[Any]:
        avals = [
            *self.test.in_avals[: self.n_test],
            *self.body.in_avals,
        ]
        return [
            o.host()
            for o in self.execute([Concrete(a, v) for a, v in zip(avals, values)])
        ]

    def execute(self, args: list[Any]) -> list[Any]:
        tests, consts, carry = self.parts(args)
        if all(a.on_host() for a in args):
            small = sum(a.size for a in args) < 100_000
            for _ in range(EAGER_STEPS if small and not config.disable_jit else 2**62):
                if not bool(eval_jaxpr(self.test, (), [*tests, *carry])[0]):
                    return carry
                carry = eval_jaxpr(self.body, (), [*consts, *carry])
        return run_operation(self, self.body, [*tests, *consts, *carry])

    def stablehlo(self, hlo: Any, *values: Any) -> list[Any]:
        tests, consts, carry = self.parts(values)

        def condition(*state: Any) -> Any:
            (out,) = hlo.call_jaxpr(self.test, *tests, *state)
            if out.shape:  # mapped: go on while any of the elements does
                false = hlo.constant(False, np.dtype(bool))
                out = hlo.reduce("or", out, false, range(len(out.shape)))
            return out

        def body(*state: Any) -> list[Any]:
            return hlo.call_jaxpr(self.body, *consts, *state)  # type: ignore[no-any-return]

        return hlo.while_loop(condition, body, carry)  # type: ignore[no-any-return]

    def moving_carry(
        self, body_consts: list[bool], carry: list[bool], spread: Any
    ) -> list[bool]:
        while True:
            grown = [a or b for a, b in zip(carry, spread([*body_consts, *carry]))]
            if grown == carry:
                return carry
            carry = grown

    def jvp(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero = [type(t) is not Zero for t in tangents]
        _, consts_n, carry_n = self.parts(nonzero)
        carry_n = self.moving_carry(
            consts_n, carry_n, lambda m: jvp_jaxpr(self.body, m)[1]
        )
        both, _ = jvp_jaxpr(self.body, [*consts_n, *carry_n], carry_n)
        tests, consts, carry = self.parts(primals)
        _, t_consts, t_carry = self.parts(tangents)
        moving_c = [instantiate(t) for t, n in zip(t_consts, consts_n) if n]
        moving = [instantiate(t) for t, n in zip(t_carry, carry_n) if n]
        # (consts, carry, their tangents) → (consts, tangents of consts, carry, tangents)
        k, n_in = self.n_body, self.n_body + len(carry)
        n_tc = len(moving_c)
        order = [
            *range(k), *range(n_in, n_in + n_tc), *range(k, n_in),
            *range(n_in + n_tc, n_in + n_tc + len(moving)),
        ]  # fmt: skip
        test = _ignoring(self.test, tuple(m.aval for m in moving))
        op = While(test, permuted(both, order), self.n_test, k + n_tc)
        results = op.bind(*tests, *consts, *moving_c, *carry, *moving)
        outs, touts = results[: len(carry)], results[len(carry) :]
        return outs, with_zeros(outs, touts, carry_n)

    def linearize(self, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        nonzero = [type(t) is not Zero for t in tangents]
        _, consts_n, carry_n = self.parts(nonzero)
        carry_n = self.moving_carry(
            consts_n, carry_n, lambda m: jvp_jaxpr(self.body, m)[1]
        )
        return linearize_while(
            self, [*consts_n, *carry_n], primals, tangents, while_loop
        )

    transpose = cannot("a while_loop is not linear in its operands")

    def batch(self, axis: Any, args: Any, dims: Any) -> tuple[list[Any], list[Any]]:
        mapped = [d is not None for d in dims]
        tests_m, consts_m, carry_m = self.parts(mapped)
        carry_m = self.moving_carry(
            consts_m, carry_m, lambda m: batch_jaxpr(self.body, axis, m)[1]
        )
        test, (test_mapped,) = batch_jaxpr(self.test, axis, [*tests_m, *carry_m])
        if test_mapped:  # elements stop at different steps: hold those that are done
            carry_m = [True] * len(carry_m)
            test, _ = batch_jaxpr(self.test, axis, [*tests_m, *carry_m])
        body, _ = batch_jaxpr(self.body, axis, [*consts_m, *carry_m], carry_m)
        tests, consts, carry = self.parts(
            [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims)]
        )
        dims_c = self.parts(dims)[2]
        carry = [
            to_front(x, None, axis.size) if m and d is None else x
            for x, d, m in zip(carry, dims_c, carry_m)
        ]
        if test_mapped:
            body = derived(_holding, body, test, self.n_test, self.n_body)
            outs = While(_any(test), body, self.n_test, self.n_test + self.n_body).bind(
                *tests, *tests, *consts, *carry
            )
        else:
            outs = While(test, body, self.n_test, self.n_body).bind(
                *tests, *consts, *carry
            )
        return outs, [0 if m else None for m in carry_m]


def _ignoring(test: Jaxpr, extra: tuple[Aval, ...]) -> Jaxpr:
    """The test of a loop whose carry has more leaves behind its own."""
    return derived(_padded_test, test, extra)  # type: ignore[no-any-return]


def _padded_test(test: Jaxpr, extra: tuple[Aval, ...]) -> Jaxpr:
    return stage_closed(
        lambda *xs: eval_jaxpr(test, (), xs[: len(test.invars)]),
        [*test.in_avals, *extra],
        "while_loop",
    )


def _any(test: Jaxpr) -> Jaxpr:
    """Whether any element of a mapped test holds."""
    return derived(_any_of, test)  # type: ignore[no-any-return]


def _any_of(test: Jaxpr) -> Jaxpr:
    def run(*xs: Any) -> list[Any]:
        (out,) = eval_jaxpr(test, (), xs)
        counted = reduce_sum(out.astype(np.int32), tuple(range(out.ndim)))
        return [counted > 0]

    return stage_closed(run, test.in_avals, "while_loop")


def _holding(body: Jaxpr, test: Jaxpr, n_test: int, n_body: int) -> Jaxpr:
    """A mapped body that leaves elements alone whose test no longer holds."""
    test_avals = test.in_avals[:n_test]

    def run(*xs: Any) -> list[Any]:
        tests, consts, carry = (
            xs[:n_test],
            xs[n_test : n_test + n_body],
            xs[n_test + n_body :],
        )
        (going,) = eval_jaxpr(test, (), [*tests, *carry])
        after = eval_jaxpr(body, (), [*consts, *carry])
        return [
            select(reshape(going, (*going.shape, *(1,) * (a.ndim - going.ndim))), a, c)
            for a, c in zip(after, carry)
        ]

    return stage_closed(run, [*test_avals, *body.in_avals], "while_loop")


# -- public --------------------------------------------------------------------------------


@public
def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Repeat `val = body_fun(val)` while `cond_fun(val)` holds, as one operation.

    Args:
      cond_fun: function of the value that gives a bool scalar.
      body_fun: function of the value that gives one of the same structure, shapes and dtypes.
      init_val: the first value, a pytree of arrays.

    Returns:
      The value for which the condition no longer holds.

    Raises:
      TypeError: the condition is no bool scalar, or the body changes the type of the value (each
        leaf that differs is named).

    >>> from ferax import lax
    >>> lax.while_loop(lambda n: n < 100, lambda n: n * 2, 3)
    Array(192, dtype=int32, weak_type=True)
    """
    if not (callable(cond_fun) and callable(body_fun)):
        raise TypeError(
            "while_loop needs two functions: while_loop(cond_fun, body_fun, init_val)"
        )
    leaves, tree = flatten(init_val)
    leaves = [to_array(x, "while_loop", "a leaf of init_val") for x in leaves]
    if config.disable_jit:
        value = unflatten(tree, leaves)
        while bool(cond_fun(value)):
            value = body_fun(value)
        return value
    arguments = flatten((init_val,))[1]
    while True:
        avals = [x.aval for x in leaves]
        body = trace_body("while_loop", body_fun, arguments, avals)
        promoted = promote_weak(leaves, body.out_avals) if body.tree == tree else None
        if promoted is None:
            break
        leaves = promoted
    check_carry(
        "while_loop",
        body_fun,
        tree,
        [x.aval for x in leaves],
        body.tree,
        body.out_avals,
    )
    test = trace_body("while_loop", cond_fun, arguments, [x.aval for x in leaves])
    if (
        not test.tree.is_leaf()
        or test.out_avals[0].shape
        or not dtypes.is_bool(test.out_avals[0].dtype)
    ):
        got = ", ".join(a.short() for a in test.out_avals)
        got = got if test.tree.is_leaf() else f"the structure {test.tree} of {got}"
        raise TypeError(
            f"while_loop: {name_of(cond_fun)} must return one bool scalar; it returned {got}"
        )
    leaves = strengthened(leaves, body.out_avals)
    op = While(test.jaxpr, body.jaxpr, len(test.consts), len(body.consts))
    return unflatten(tree, op.bind(*test.consts, *body.consts, *leaves))


@public
def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """`for i in range(lower, upper): val = body_fun(i, val)`, as one operation.

    Bounds that are known when traced make a `scan`, which has a reverse mode; traced bounds a
    `while_loop`.

    Args:
      lower, upper: integer scalars.
      body_fun: function of (i, value) that gives a value of the same types.
      init_val: the first value, a pytree of arrays.
      unroll: as in `scan`, for known bounds.

    Returns:
      The last value.

    >>> from ferax import lax
    >>> lax.fori_loop(0, 5, lambda i, total: total + i, 0)
    Array(10, dtype=int32, weak_type=True)
    """
    check_callable("fori_loop", body_fun)
    try:
        first, last = operator.index(lower), operator.index(upper)
    except TypeError:
        return _traced_range(lower, upper, body_fun, init_val)
    if config.disable_jit:
        for i in range(first, last):
            init_val = body_fun(i, init_val)
        return init_val
    dtype = dtypes.promote(to_array(lower).aval, to_array(upper).aval)[0]

    def step(carry: Any, _: Any) -> Any:
        i, value = carry
        return (i + 1, body_fun(i, value)), None

    start = Concrete(Aval((), dtype, True), np.asarray(first, dtype))
    length = max(last - first, 0)
    (_, value), _ = scan(
        step, (start, init_val), None, length, unroll=1 if unroll is None else unroll
    )
    return value


def _traced_range(lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
    lower, upper = (
        to_array(lower, "fori_loop", "lower"),
        to_array(upper, "fori_loop", "upper"),
    )
    for bound in (lower, upper):
        if bound.shape or not dtypes.is_integer(bound.dtype):
            raise TypeError(
                f"fori_loop: the bounds must be integer scalars; got {bound.aval.short()}"
            )
    dtype = dtypes.promote(lower.aval, upper.aval)[0]

    def body(state: Any) -> Any:
        i, end, value = state
        return i + 1, end, body_fun(i, value)

    start = (lower.astype(dtype), upper.astype(dtype), init_val)
    return while_loop(lambda state: state[0] < state[1], body, start)[2]


@public
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply `f` to each slice along the leading axis, one after another, as one loop.

    Args:
      f: function of one slice.
      xs: a pytree of arrays with one leading axis size.
      batch_size: how many slices are done at once by `vmap`; one if it is None or 0.

    Returns:
      The results, stacked along a leading axis.

    Raises:
      ValueError: leading axes differ, or there are none, or `batch_size` is negative.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.map(lambda x: x + 1, jnp.arange(3))
    Array([1, 2, 3], dtype=int32)
    """
    check_callable("map", f)
    if not batch_size:
        return scan(lambda _, x: (None, f(x)), None, xs)[1]
    leaves, tree = flatten(xs)
    leaves = [to_array(x, "map", "a leaf of xs") for x in leaves]
    if batch_size < 0:
        raise ValueError(f"map: batch_size must be positive; got {batch_size}")
    n = leading_size("map", leaves, tree)
    whole = n // batch_size * batch_size
    chunks = unflatten(
        tree,
        [x[:whole].reshape(n // batch_size, batch_size, *x.shape[1:]) for x in leaves],
    )
    parts = []
    if whole:
        _, done = scan(lambda _, x: (None, vmap(f)(x)), None, chunks)
        parts.append(tree_map(lambda y: y.reshape(whole, *y.shape[2:]), done))
    if whole < n or not parts:
        parts.append(vmap(f)(unflatten(tree, [x[whole:] for x in leaves])))
    if len(parts) == 1:
        return parts[0]
    return tree_map(lambda a, b: concatenate([a, b], 0), *parts)


@public
def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of an associative operation, in logarithmic depth.

    After Blelloch, "Prefix sums and their applications" (1990): combine neighbours, scan the
    half as many results, and combine these with the elements between.

    Args:
      fn: associative function of two pytrees like `elems`, working on whole arrays at once along
        `axis`.
      elems: a pytree of arrays with equal size along `axis`.
      reverse: combine from the end.
      axis: the axis to go along.

    Returns:
      A pytree like `elems` whose slice i is elems[0] ∘ … ∘ elems[i].

    Raises:
      ValueError: the sizes along `axis` differ.

    >>> import ferax.numpy as jnp
    >>> from ferax import lax
    >>> lax.associative_scan(jnp.add, jnp.arange(5))
    Array([ 0,  1,  3,  6, 10], dtype=int32)
    """
    check_callable("associative_scan", fn)
    leaves, tree = flatten(elems)
    leaves = [to_array(x, "associative_scan", "an element") for x in leaves]
    if not leaves:
        return elems
    axis = canonical_axis(axis, leaves[0].ndim, "associative_scan")
    if len({x.shape[axis] for x in leaves}) > 1:
        listing = ", ".join(x.aval.short() for x in leaves)
        raise ValueError(
            f"associative_scan: sizes along axis {axis} must be equal; got {listing}"
        )

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        if reverse:
            a, b = b, a
        return flatten(fn(unflatten(tree, a), unflatten(tree, b)))[0]

    if reverse:
        leaves = [_flip(x, axis) for x in leaves]
    out = _prefixes(combine, leaves, axis)
    if reverse:
        out = [_flip(x, axis) for x in out]
    if leaves[0].shape[axis] > 1:  # put together of parts, which no Python number is
        out = [convert(x, x.dtype) for x in out]
    return unflatten(tree, out)


def _flip(x: Any, axis: int) -> Any:
    return x[(*[slice(None)] * axis, slice(None, None, -1))]


def _cut(
    xs: list[Any], axis: int, start: int | None, stop: int | None, step: int = 1
) -> list[Any]:
    return [x[(*[slice(None)] * axis, slice(start, stop, step))] for x in xs]


def _prefixes(combine: Callable[..., list[Any]], xs: list[Any], axis: int) -> list[Any]:
    n = xs[0].shape[axis]
    if n < 2:
        return xs
    pairs = combine(_cut(xs, axis, 0, n - 1, 2), _cut(xs, axis, 1, None, 2))
    odd = _prefixes(combine, pairs, axis)
    between = _cut(odd, axis, 0, None if n % 2 else -1)
    even = _cut(xs, axis, 0, 1)
    if between[0].shape[axis]:
        rest = combine(between, _cut(xs, axis, 2, None, 2))
        even = [concatenate([e, r], axis) for e, r in zip(even, rest)]
    return [_weave(e, o, axis) for e, o in zip(even, odd)]


def _weave(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], odd[1], … along the axis; even may have one more."""
    n, m = even.shape[axis], odd.shape[axis]
    tail = _cut([even], axis, m, None)[0] if n > m else None
    head = _cut([even], axis, 0, m)[0]
    shape = head.shape
    split = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    joined = concatenate([reshape(head, split), reshape(odd, split)], axis + 1)
    woven = reshape(joined, (*shape[:axis], 2 * m, *shape[axis + 1 :]))
    return woven if tail is None else concatenate([woven, tail], axis)
