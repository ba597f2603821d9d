"""What newcomers type in the first hour, row by row: arrays, jit, grad, vmap, random, pytrees."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax import lax, random


def close(got, want, tol=1e-5):
    np.testing.assert_allclose(np.asarray(got), want, rtol=tol, atol=tol)


# -- arrays --------------------------------------------------------------------------------


def test_item_assignment_tells_what_to_write():
    """The message repeats the user's own index and value."""
    base = jnp.array([1, 2, 3, 4, 5])
    with pytest.raises(TypeError, match=re.escape("x = x.at[0].set(100)")):
        base[0] = 100
    with pytest.raises(TypeError, match=re.escape("x = x.at[1:3, ...].set(7)")):
        base[1:3, ...] = 7


def test_at_set_gives_a_new_array():
    """The old one is unchanged."""
    base = jnp.array([1, 2, 3, 4, 5])
    assert base.at[0].set(100).tolist() == [100, 2, 3, 4, 5]
    assert base.tolist() == [1, 2, 3, 4, 5]


def test_static_index_out_of_range_is_an_index_error():
    """Index, axis and size are named, eager and when traced."""
    x = jnp.arange(5)
    with pytest.raises(IndexError, match=r"10.*axis 0.*size 5"):
        x[10]
    with pytest.raises(IndexError, match=r"10.*axis 0.*size 5"):
        ferax.jit(lambda v: v[10])(x)
    assert int(ferax.jit(lambda v, i: v[i])(x, 10)) == 4  # a traced index clamps


@pytest.mark.parametrize(
    ("method", "ufunc"),
    [("add", np.add), ("mul", np.multiply), ("multiply", np.multiply), ("min", np.minimum),
     ("max", np.maximum), ("power", np.power), ("divide", np.divide), ("subtract", np.subtract)],
)  # fmt: skip
def test_at_updates(method, ufunc):
    """Each update equals NumPy's ufunc.at, repeated indices included."""
    x = np.arange(1.0, 6.0, dtype=np.float32)
    index = np.array([0, 2, 2, -1])
    want = x.copy()
    ufunc.at(want, index, np.float32(2))
    for run in (lambda f: f, ferax.jit):
        got = run(lambda v: getattr(v.at[index], method)(2.0))(jnp.asarray(x))
        close(got, want)


def test_at_out_of_bounds_modes():
    """Updates outside are dropped; reads are filled, clipped or promised."""
    x = jnp.arange(3.0)
    i = jnp.array([1, 7])
    assert x.at[i].set(9.0).tolist() == [0.0, 9.0, 2.0]
    assert x.at[i].get(mode="clip").tolist() == [1.0, 2.0]
    assert x.at[i].get(mode="fill", fill_value=-1.0).tolist() == [1.0, -1.0]
    assert np.isnan(np.asarray(x.at[i].get(mode="fill"))[1])
    assert x.at[jnp.array([True, False, True])].set(5.0).tolist() == [5.0, 1.0, 5.0]
    assert x.at[1:].apply(jnp.exp).shape == (3,)


def test_numpy_and_arrays_mix():
    """NumPy functions take arrays; np.asarray is a read-only view of the same memory."""
    x = jnp.arange(3.0)
    view = np.asarray(x)
    assert not view.flags.writeable
    assert np.shares_memory(view, np.asarray(x))
    close(np.sin(x), np.sin(view))
    close(jnp.sin(np.arange(3.0)), np.sin(np.arange(3.0)))


def test_numpy_on_a_tracer_says_jnp():
    """The error names the line and what to use."""
    with pytest.raises(ferax.errors.TracerArrayConversionError, match=r"jnp\.") as info:
        ferax.jit(lambda x: np.sin(x))(1.0)
    assert "test_behaviours.py" in str(info.value)


def test_repr():
    """Values, dtype, and weak_type where it is."""
    assert repr(jnp.array([1.0, 2.0])) == "Array([1., 2.], dtype=float32)"
    assert repr(jnp.asarray(1.0)) == "Array(1., dtype=float32, weak_type=True)"


def test_waiting_for_results():
    """block_until_ready on arrays and trees gives them back."""
    x = ferax.jit(lambda v: v + 1)(jnp.ones(3))
    assert x.block_until_ready() is x
    assert ferax.block_until_ready({"a": x})["a"] is x


def test_device_put_and_get():
    """Data moves to a device and back; choosing a device commits."""
    x = ferax.device_put(np.arange(3.0, dtype=np.float32))
    assert isinstance(x, ferax.Array)
    put = ferax.device_put(x, ferax.devices()[0])
    assert put.devices() == {ferax.devices()[0]}
    assert put.committed
    back = ferax.device_get({"x": put})
    assert isinstance(back["x"], np.ndarray)


def test_sixty_four_bits_are_off_by_default():
    """float32 unless asked; asking while off warns; enable_x64 switches."""
    assert jnp.array(1.5).dtype == jnp.float32
    with pytest.warns(UserWarning, match="float64"):
        assert jnp.zeros(2, "float64").dtype == jnp.float32
    with ferax.enable_x64(True):
        assert jnp.array(1.5).dtype == np.float64


# -- three layers --------------------------------------------------------------------------


def test_numpy_promotes_and_lax_does_not():
    """jnp.add(1, 1.0) works, lax.add names both dtypes."""
    assert float(jnp.add(1, 1.0)) == 2.0
    with pytest.raises(TypeError, match=r"int32.*float32"):
        lax.add(jnp.int32(1), jnp.float32(1.0))
    with pytest.raises(TypeError):
        lax.add(1, 1.0)


def test_convolve_in_both_layers():
    """The same numbers; lax needs three dimensions and says so."""
    x, y = jnp.array([1.0, 2.0, 1.0]), jnp.ones(10)
    want = np.convolve([1, 2, 1], np.ones(10))
    close(jnp.convolve(x, y), want)
    got = lax.conv_general_dilated(
        x.reshape(1, 1, 3), y.reshape(1, 1, 10), window_strides=(1,), padding=[(9, 9)]
    )
    close(got[0, 0], want)
    with pytest.raises((TypeError, ValueError)):
        lax.conv_general_dilated(x, y, window_strides=(1,), padding=[(9, 9)])


def test_stages_have_texts_and_costs():
    """StableHLO after lowering, HLO after compiling, costs and memory."""
    lowered = ferax.jit(lambda x: jnp.sin(x) @ x).lower(jnp.ones((4, 4)))
    assert "stablehlo.sine" in lowered.as_text()
    compiled = lowered.compile()
    assert "HloModule" in compiled.as_text()
    assert compiled.cost_analysis()["flops"] > 0
    assert compiled.memory_analysis() is not None
    close(compiled(jnp.ones((4, 4))), np.sin(np.ones((4, 4))) @ np.ones((4, 4)))


# -- jit -----------------------------------------------------------------------------------


def test_all_forms_of_jit():
    """Function, decorator, partial with static arguments, donation."""

    @ferax.jit
    def f(x):
        return x + 1

    @functools.partial(ferax.jit, static_argnums=1)
    def g(x, n):
        return x * n if n > 2 else x

    @functools.partial(ferax.jit, static_argnames=("flip",))
    def h(x, *, flip=False):
        return -x if flip else x

    donating = ferax.jit(lambda x: x + 1, donate_argnums=0)
    assert float(f(1.0)) == 2.0
    assert float(g(2.0, 3)) == 6.0
    assert float(h(2.0, flip=True)) == -2.0
    assert float(donating(jnp.float32(1))) == 2.0


def test_tracing_happens_once_per_type(capsys):
    """print runs when traced; a new shape traces again."""

    @ferax.jit
    def f(x):
        print("tracing")  # noqa: T201
        return x * 2

    f(jnp.ones(3))
    f(jnp.zeros(3))
    assert capsys.readouterr().out.count("tracing") == 1
    f(jnp.ones(4))
    assert capsys.readouterr().out.count("tracing") == 1
    report = str(ferax.explain(f))
    assert "2 times" in report
    assert "float32[3] → float32[4]" in report


def test_selu_compiled_equals_eager():
    """To rounding."""

    def selu(x, alpha=1.67, lmbda=1.05):
        return lmbda * jnp.where(x > 0, x, alpha * jnp.exp(x) - alpha)

    x = random.normal(random.key(0), (1000,))
    close(ferax.jit(selu)(x).block_until_ready(), np.asarray(selu(x)), 1e-6)


def test_jaxpr_of_an_impure_function():
    """Side effects are not in the program."""
    log = []

    def log2(x):
        log.append(x)
        return jnp.log(x) / jnp.log(2.0)

    text = str(ferax.make_jaxpr(log2)(3.0))
    assert " ".join(text.split()) == (
        "{ lambda ; a:f32[]. let b:f32[] = log a c:f32[] = log 2.0 d:f32[] = div b c in (d,) }"
    )


def test_boolean_mask_under_jit():
    """The error says that the shape depends on values, where, and what else to do."""
    with pytest.raises(
        ferax.errors.NonConcreteBooleanIndexError, match="where"
    ) as info:
        ferax.jit(lambda x: x[x < 0])(jnp.ones(3))
    assert "test_behaviours.py" in str(info.value)


def test_branching_on_a_traced_value():
    """The error shows the argument, the line, and lax.cond and static_argnums."""

    @ferax.jit
    def f(x):
        if x > 0:
            return x
        return -x

    with pytest.raises(ferax.errors.TracerBoolConversionError) as info:
        f(1.0)
    for part in ("lax.cond", "static_argnums", "test_behaviours.py", "if x > 0"):
        assert part in str(info.value)


def test_shapes_are_static():
    """np.prod(x.shape) is computed while tracing."""
    f = ferax.jit(lambda x: x.reshape(np.prod(x.shape)))
    assert f(jnp.ones((2, 3))).shape == (6,)


n_pies = 0


def test_changed_globals_are_noticed():
    """10, then 30: the function is traced again."""
    global n_pies

    @ferax.jit
    def add_pies(x):
        return n_pies + x

    n_pies = 0
    assert int(add_pies(10)) == 10
    n_pies = 20
    assert int(add_pies(10)) == 30
    assert "n_pies changed: 0 → 20" in str(ferax.explain(add_pies))
    pure = ferax.jit(lambda pies, x: pies + x)
    assert [int(pure(0, 10)), int(pure(20, 10))] == [10, 30]


# -- grad ----------------------------------------------------------------------------------


def test_grad_of_a_square():
    """Python ints count as floats; integer arrays do not."""

    def square(x):
        return x**2

    assert float(ferax.grad(square)(8)) == 16.0
    assert float(ferax.grad(ferax.grad(square))(8)) == 2.0
    with pytest.raises(TypeError, match=r"int32\[\]"):
        ferax.grad(square)(jnp.array(8))


def test_grad_of_a_sum_of_sigmoids():
    """The known numbers."""
    got = ferax.grad(lambda x: jnp.sum(1.0 / (1.0 + jnp.exp(-x))))(jnp.arange(3.0))
    close(got, [0.25, 0.19661194, 0.10499357], 1e-6)


def test_grad_needs_a_scalar():
    """The error gives the shape and names jacrev and vjp."""
    with pytest.raises(TypeError, match=r"float32\[3\].*jacrev.*vjp"):
        ferax.grad(lambda x: x * 2)(jnp.ones(3))


Point = collections.namedtuple("Point", "x y")


@ferax.tree_util.register_dataclass
@dataclasses.dataclass
class Model:
    w: ferax.Array
    b: ferax.Array


def test_argnums_and_pytrees():
    """Gradients have the structure of the arguments."""

    def f(a, b):
        return jnp.sum(a * b)

    assert float(ferax.grad(f, argnums=1)(2.0, 3.0)) == 2.0
    assert [float(g) for g in ferax.grad(f, argnums=(0, 1))(2.0, 3.0)] == [3.0, 2.0]
    got = ferax.grad(lambda p: p.x * p.y)(Point(2.0, 3.0))
    assert isinstance(got, Point)
    assert float(got.x) == 3.0
    tree = {"a": [1.0, None], "b": (2.0,)}
    got = ferax.grad(lambda t: t["a"][0] * t["b"][0])(tree)
    assert got["a"][1] is None
    assert float(got["b"][0]) == 1.0
    model = ferax.grad(lambda m: jnp.sum(m.w) * m.b)(Model(jnp.ones(2), jnp.float32(3)))
    assert model.w.tolist() == [3.0, 3.0]


def test_value_and_grad_and_aux():
    """(value, gradient); ((value, aux), gradient)."""
    value, gradient = ferax.value_and_grad(lambda x: x**2)(3.0)
    assert (float(value), float(gradient)) == (9.0, 6.0)
    (value, aux), gradient = ferax.value_and_grad(
        lambda x: (x**2, {"x": x}), has_aux=True
    )(3.0)
    assert (float(value), float(aux["x"]), float(gradient)) == (9.0, 3.0, 6.0)


def test_hessians_and_products_compose():
    """jit(jacfwd(jacrev)), jacrev(jacfwd), grad of a dot product."""

    def f(x):
        return jnp.sum(jnp.sin(x) * x**2)

    x, v = jnp.array([0.5, 1.5]), jnp.array([1.0, -1.0])
    want = np.diag(np.cos(x) * 2 * 2 * x + np.sin(x) * (2 - np.asarray(x) ** 2))
    for hessian in (
        ferax.jit(ferax.jacfwd(ferax.jacrev(f))),
        ferax.jacrev(ferax.jacfwd(f)),
        ferax.hessian(f),
    ):
        close(hessian(x), want)
    product = ferax.grad(lambda x: jnp.vdot(ferax.grad(f)(x), v))(x)
    close(product, want @ np.asarray(v))


def test_linear_regression():
    """A thousand steps find the line, eager and jitted."""
    xs = random.normal(random.key(0), (100,))
    ys = 3 * xs - 1 + 0.1 * random.normal(random.key(1), (100,))

    def loss(theta, x, y):
        return jnp.mean((theta[0] * x + theta[1] - y) ** 2)

    def update(theta):
        return theta - 0.1 * ferax.grad(loss)(theta, xs, ys)

    for step in (update, ferax.jit(update)):
        theta = jnp.array([1.0, 1.0])
        for _ in range(1000):
            theta = step(theta)
        close(theta, [3.0, -1.0], 0.05)


def test_stop_gradient_and_per_example_gradients():
    """A constant for differentiation; vmap(grad) gives one gradient per example."""
    assert float(ferax.grad(lambda x: x * lax.stop_gradient(x))(3.0)) == 3.0
    got = ferax.vmap(ferax.grad(lambda w, x: jnp.sin(w * x)), (None, 0))(
        2.0, jnp.arange(3.0)
    )
    close(got, np.cos(2 * np.arange(3.0)) * np.arange(3.0))


# -- vmap ----------------------------------------------------------------------------------


def test_mapping_a_function_of_one_image():
    """No batch dimension in the function."""
    weights = random.normal(random.key(0), (28 * 28, 10))
    images = random.normal(random.key(1), (64, 28, 28))

    def predict(image):
        return jnp.tanh(image.reshape(-1) @ weights)

    want = np.tanh(np.asarray(images).reshape(64, -1) @ np.asarray(weights))
    close(ferax.vmap(predict)(images), want, 1e-4)
    close(ferax.jit(ferax.vmap(predict))(images), want, 1e-4)


def test_convolve_mapped():
    """Both axes, one axis, axis 1 in and out: the same numbers as the loop."""
    x, w = np.arange(5.0, dtype=np.float32), np.array([2.0, 3.0, 4.0], np.float32)

    def convolve(x, w):
        return jnp.stack([jnp.dot(x[i - 1 : i + 2], w) for i in range(1, len(x) - 1)])

    xs, ws = np.stack([x, 2 * x]), np.stack([w, w + 1])
    loop = np.stack([np.asarray(convolve(a, b)) for a, b in zip(xs, ws)])
    close(ferax.vmap(convolve)(xs, ws), loop)
    close(ferax.vmap(convolve, in_axes=1, out_axes=1)(xs.T, ws.T), loop.T)
    one = np.stack([np.asarray(convolve(a, w)) for a in xs])
    close(ferax.vmap(convolve, in_axes=[0, None])(xs, w), one)


def test_vmap_of_control_flow_and_random():
    """scan, while_loop, cond and random inside of vmap equal the loop."""

    def collatz(n):
        def body(state):
            n, steps = state
            return lax.cond(
                n % 2 == 0, lambda m: m // 2, lambda m: 3 * m + 1, n
            ), steps + 1

        return lax.while_loop(lambda s: s[0] != 1, body, (n, 0))[1]

    ns = jnp.array([1, 6, 7, 27])
    assert ferax.vmap(collatz)(ns).tolist() == [0, 8, 16, 111]
    assert ferax.jit(ferax.vmap(collatz))(ns).tolist() == [0, 8, 16, 111]
    totals = ferax.vmap(lambda xs: lax.scan(lambda c, x: (c + x, c), 0.0, xs)[0])(
        jnp.ones((2, 4))
    )
    assert totals.tolist() == [4.0, 4.0]
    keys = random.split(random.key(0), 3)
    got = ferax.vmap(lambda k: random.normal(k, (2,)))(keys)
    close(got, np.stack([np.asarray(random.normal(k, (2,))) for k in keys]))


# -- pytrees and state ---------------------------------------------------------------------


def test_state_passed_explicitly():
    """A counter as a pair of functions; a leaked tracer is an error that names the line."""

    class Counter:
        def __init__(self):
            self.n = 0

        def count(self):
            self.n += 1
            return self.n

    count = ferax.jit(lambda n: (n + 1, n + 1))
    state = 0
    for want in (1, 2, 3):
        out, state = count(state)
        assert int(out) == want

    counter = Counter()

    @ferax.jit
    def bad(x):
        counter.n = counter.n + x
        return counter.n

    bad(1)
    with pytest.raises(ferax.errors.UnexpectedTracerError) as info:
        counter.n + 1
    assert "bad" in str(info.value)
    assert "test_behaviours.py" in str(info.value)


def test_reset_of_a_stateful_class():
    """A mapped counter: states are arrays."""
    count = ferax.vmap(lambda n: (n + 1, n + 1))
    out, state = count(jnp.zeros(3, int))
    assert out.tolist() == [1, 1, 1]
    assert state.tolist() == [1, 1, 1]


# -- rows that need a process, another library's object, or several transformations --------


def test_transformations_compose_in_any_order():
    """jvp, vjp, vmap, jit and grad nest either way round, with one answer."""
    f, x, t = (lambda v: jnp.sum(jnp.sin(v) * v)), jnp.array([0.5, 1.5]), jnp.ones(2)
    want = float(np.sum(np.cos(x) * x + np.sin(x)))
    for got in (
        ferax.jvp(f, (x,), (t,))[1],
        ferax.jit(lambda x, t: ferax.jvp(f, (x,), (t,))[1])(x, t),
        ferax.jvp(ferax.jit(f), (x,), (t,))[1],
        ferax.vjp(f, x)[1](1.0)[0].sum(),
        ferax.vmap(lambda v: ferax.jvp(f, (v,), (t,))[1])(x[None])[0],
        ferax.jvp(lambda v: ferax.vmap(f)(v[None])[0], (x,), (t,))[1],
    ):
        close(got, want)


def test_gradients_promote_as_their_arguments():
    """That by a Python number is weak: it takes the dtype of the array it meets."""
    scale = jnp.float32(3)
    assert ferax.grad(lambda x: x * scale)(2.0).weak_type
    assert ferax.jit(ferax.grad(lambda x: x * scale))(2.0).weak_type
    assert not ferax.grad(lambda x: x * 2.0)(scale).weak_type
    halved = jnp.ones(2, jnp.bfloat16) * ferax.grad(lambda x: x * scale)(2.0)
    assert halved.dtype == jnp.bfloat16


def test_branches_promote_alike_however_they_are_run():
    """A weak and a strong branch give a strong result, also where the predicate is known."""
    choose = lambda p: lax.cond(p, lambda: 1.0, lambda: jnp.float32(2))
    assert not choose(True).weak_type
    assert not ferax.jit(choose)(True).weak_type


def test_custom_rules_and_checkpoint():
    """custom_jvp, custom_vjp and checkpoint: the rule counts, and functions are given arrays."""
    double = ferax.custom_jvp(lambda x: x * 2)
    double.defjvp(lambda p, t: (double(p[0]), t[0] * 7))
    clipped = ferax.custom_vjp(lambda x: x)
    clipped.defvjp(lambda x: (x, None), lambda _, ct: (jnp.clip(ct, -1, 1),))
    assert float(ferax.grad(double)(1.0)) == 7.0
    assert ferax.vmap(ferax.grad(lambda x: 5 * clipped(x)))(jnp.ones(2)).tolist() == [
        1,
        1,
    ]
    total = ferax.checkpoint(lambda x: x.sum())
    assert float(total(2.0)) == 2.0
    assert ferax.grad(total)(jnp.ones(2)).tolist() == [1.0, 1.0]


def test_keys_split_and_fold():
    """The documented numbers of PRNGKey(0); a split key is as good as a folded one."""
    key = random.PRNGKey(0)
    close(random.normal(key, (2,)), [1.6226422, 2.0252647])
    assert random.split(key).tolist() == [
        [1797259609, 2579123966],
        [928981903, 3453687069],
    ]
    assert random.fold_in(key, 1).tolist() == random.split(key)[1].tolist()


def test_pytree_classes():
    """A registered class goes through transformations; paths and flat vectors of it."""

    @ferax.tree_util.register_pytree_node_class
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_flatten(self):
            return (self.a, self.b), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    doubled = ferax.jit(lambda p: ferax.tree.map(lambda x: x * 2, p))(Pair(1, 2))
    assert isinstance(doubled, Pair)
    assert int(doubled.b) == 4
    flat, back = ferax.flatten_util.ravel_pytree({"b": jnp.ones(2), "a": 3.0})
    assert flat.tolist() == [3.0, 1.0, 1.0]
    assert float(back(flat * 2)["a"]) == 6.0
    paths = ferax.tree_util.tree_flatten_with_path({"a": [1, {"b": 2}]})[0]
    assert [ferax.tree_util.keystr(p) for p, _ in paths] == [
        "['a'][0]",
        "['a'][1]['b']",
    ]


def test_warnings_point_at_the_users_line():
    """Not at a file of the package."""
    with pytest.warns(UserWarning, match="float64") as seen:
        jnp.arange(3, dtype=np.float64)
    assert seen[0].filename == __file__


def test_numpy_arrays_of_any_layout():
    """Strides, read-only, empty and 0-d; masks, records and foreign byte orders are refused."""
    base = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    frozen = base.copy()
    frozen.flags.writeable = False
    variants = (np.asfortranarray(base), base.repeat(2, 1)[:, ::2], frozen)
    for x in variants:
        for run in (jnp.negative, ferax.jit(jnp.negative), ferax.vmap(jnp.negative)):
            assert np.array_equal(run(x), -base)
    assert ferax.jit(jnp.negative)(base[:0]).shape == (0, 3)
    assert float(jnp.negative(np.array(2.0))) == -2.0
    with pytest.raises(ValueError, match=r"filled"):
        jnp.negative(np.ma.array([1.0, 2.0], mask=[True, False]))
    others = [np.zeros(2, [("a", "f4")]), np.array([None]), np.array(["a"])]
    for x in (*others, base.astype(">f4")):
        with pytest.raises(TypeError):
            jnp.negative(x)


def test_arrays_of_other_libraries():
    """asarray takes what has __array__; functions and jit ask for the conversion."""

    class Series:
        shape, dtype, aval = (2,), np.dtype(np.float32), object()

        def __array__(self, dtype=None, copy=None):
            return np.ones(2, np.float32)

    assert jnp.asarray(Series()).tolist() == [1.0, 1.0]
    for f in (jnp.sin, ferax.jit(jnp.sin)):
        with pytest.raises(TypeError, match="Series"):
            f(Series())


def test_integers_that_do_not_fit():
    """They are an OverflowError, not a wrong comparison; what fits 32 bits wraps around."""
    x = jnp.arange(3)
    for f in (lambda x: x == 2**40, lambda x: jnp.where(x > 0, x, 2**40)):
        for run in (f, ferax.jit(f)):
            with pytest.raises(OverflowError):
                run(x)
    assert int(jnp.uint8(1) + 256) == 1
    assert int(jnp.uint32(1) + (2**32 - 2)) == 2**32 - 1


def test_copies_and_pickles():
    """Arrays and keys keep their types; a jitted function is its own copy."""
    for x in (jnp.arange(3), jnp.asarray(1.0), jnp.ones(2, jnp.bfloat16)):
        for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert (y.dtype, y.weak_type, y.tolist()) == (
                x.dtype,
                x.weak_type,
                x.tolist(),
            )
    key = pickle.loads(pickle.dumps(random.key(3)))
    assert random.key_data(key).tolist() == [0, 3]
    f = ferax.jit(lambda x: x * 2)
    assert float(copy.deepcopy({"f": f})["f"](2.0)) == 4.0


FORKED = """
import os, sys
import ferax, ferax.numpy as jnp
f = ferax.jit(lambda x: x + 1)
f(1.0)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert float(jnp.sin(0.0)) == 0.0
for g in (f, ferax.jit(lambda x: x * 3)):
    try:
        g(1.0)
    except RuntimeError as error:
        assert "spawn" in str(error)
    else:
        os._exit(2)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_compiled_programs_after_a_fork_are_an_error():
    """They would wait for ever for threads that the fork left behind."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
