"""Transfers, compiled programs, devices: what the engine promises the core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import ml_dtypes
import numpy as np
import pytest

import ferax
from ferax import dtypes, errors, random
from ferax.core import basis
from ferax.core.array import Concrete, engine
from ferax.core.avals import Aval
from ferax.core.jaxpr import stage
from ferax.engines import runtime, xla
from ferax.lax import hot
from tests.engines.programs import avals_of, program, run_python, run_rule

F32 = np.dtype(np.float32)
ADD = """module @add {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %0 = "stablehlo.add"(%x, %x) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    func.return %0 : tensor<3xf32>
  }
}
"""


def aligned(n: int) -> np.ndarray:
    """float32 zeros whose memory XLA can take over."""
    raw = np.zeros(4 * n + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + 4 * n].view(np.float32)


def compile_fun(fun, *avals, donated=()):
    jaxpr, _ = stage(lambda *xs: [fun(*xs)], avals)
    return engine().compile_jaxpr(jaxpr, "fun", donated)


# -- transfers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint64", "float16", "float64", "complex64", "bfloat16", "int4"],
)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (4, 1, 5)])
def test_values_come_back_from_the_device(dtype, shape):
    """Every dtype and shape goes to the device and back."""
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    x = np.random.default_rng(0).integers(0, 2, shape).astype(kind)
    aval = Aval(shape, kind)
    out = engine().get(engine().put(x, aval), aval)
    assert out.dtype == kind
    assert out.shape == shape
    np.testing.assert_array_equal(out, x)


def test_strided_views_are_transferred_by_value():
    """Memory need not be contiguous."""
    x = np.arange(24, dtype=np.float32).reshape(4, 6)[::-2, ::3].T
    aval = Aval(x.shape, F32)
    np.testing.assert_array_equal(engine().get(engine().put(x, aval), aval), x)


def test_keys_are_carried_as_64_bit_words():
    """A key array is uint64 on the device, also while 64-bit types are off."""
    aval = Aval((2,), dtypes.key_dtype("threefry2x32"))
    words = np.array([1, 2**63 + 5], np.uint64)
    np.testing.assert_array_equal(engine().get(engine().put(words, aval), aval), words)


def test_aligned_memory_is_not_copied():
    """On CPU values go to XLA and back without a copy."""
    x = aligned(1000)
    aval = Aval((1000,), F32)
    buffer = engine().put(x, aval)
    assert buffer.unsafe_buffer_pointer() == x.ctypes.data
    assert np.shares_memory(engine().get(buffer, aval), x)


def test_donation_never_writes_into_memory_that_numpy_sees():
    """A donated buffer that shares memory with a NumPy array leaves that array as it was."""
    aval = Aval((16,), F32)
    double = compile_fun(lambda x: basis.add(x, x), aval, donated=(True,))
    x = aligned(16)
    x += 1
    (buffer,) = double.run([engine().put(x, aval)])
    seen = engine().get(buffer, aval)
    (second,) = double.run([buffer])
    np.testing.assert_array_equal(x, 1)
    np.testing.assert_array_equal(seen, 2)
    np.testing.assert_array_equal(engine().get(second, aval), 4)


def test_values_outlive_the_buffers_that_gave_them():
    """The memory behind a NumPy view stays while the view does."""
    aval = Aval((1000,), F32)
    run = compile_fun(lambda x: basis.add(x, x), aval).run
    views = []
    for i in range(20):
        (buffer,) = run([engine().put(np.full(1000, i, np.float32), aval)])
        views.append(engine().get(buffer, aval))
        del buffer
    for i, view in enumerate(views):
        np.testing.assert_array_equal(view, 2 * i)


# -- programs ------------------------------------------------------------------------------


def test_text_can_be_compiled():
    """`compile` takes StableHLO text; the executable tells its HLO, cost and memory."""
    aval = Aval((3,), F32)
    executable = engine().compile(ADD, [aval], [aval])
    (out,) = executable.run([engine().put(np.arange(3, dtype=np.float32), aval)])
    np.testing.assert_array_equal(engine().get(out, aval), [0, 2, 4])
    assert "add" in executable.text()
    assert executable.cost_analysis()["flops"] == 3.0
    assert executable.memory_analysis().argument_size_in_bytes == 12


def test_lowered_text_is_printed_by_mlir():
    """`lower` gives StableHLO in its usual form, `as_hlo` the same as HLO."""
    jaxpr, _ = stage(lambda x: [basis.add(x, x)], [Aval((3,), F32)])
    text = engine().pretty(engine().lower(jaxpr, "twice"))
    assert "module @twice" in text
    assert "%0 = stablehlo.add %arg0, %arg0 : tensor<3xf32>" in text
    assert "ROOT add" in engine().as_hlo(text)


def test_text_that_is_not_stablehlo_is_refused():
    """What XLA cannot parse is a JaxRuntimeError with XLA's words."""
    with pytest.raises(errors.JaxRuntimeError, match="nonsense"):
        engine().compile("nonsense", [], [])


def test_equal_programs_are_compiled_once(monkeypatch):
    """The text is what counts: a second jaxpr with the same text compiles nothing."""
    aval = Aval((7,), F32)
    compile_fun(lambda x: basis.mul(x, x), aval)
    monkeypatch.setattr(runtime, "build", lambda *args: pytest.fail("compiled again"))
    (out,) = compile_fun(lambda x: basis.mul(x, x), aval).run(
        [engine().put(np.full(7, 3, np.float32), aval)]
    )
    np.testing.assert_array_equal(engine().get(out, aval), 9)


def test_options_of_xla_can_be_given():
    """Options reach XLA, which names those it does not know."""
    jaxpr, _ = stage(lambda x: [basis.add(x, x)], [Aval((3,), F32)])
    engine().compile_jaxpr(jaxpr, options={"xla_cpu_enable_fast_math": True})
    with pytest.raises(errors.JaxRuntimeError, match="xla_no_such_option"):
        engine().compile_jaxpr(jaxpr, options={"xla_no_such_option": True})


def test_operations_run_on_device_arrays():
    """`run_operation` gives arrays with their avals, compiled once per kind of operands."""
    x = Concrete(Aval((3,), F32, True), np.arange(3, dtype=np.float32))
    op = basis.Add()
    (out,) = engine().run_operation(op, [x, x])
    assert out.aval is x.aval
    np.testing.assert_array_equal(np.asarray(out), [0, 2, 4])
    assert engine()._operation(op, (x.aval, x.aval), None) is engine()._operation(
        op, (x.aval, x.aval), None
    )


def test_several_threads_compile_and_run():
    """Threads may compile the same and different programs at once."""
    results: dict[int, float] = {}

    def work(i):
        aval = Aval((4,), F32)
        executable = compile_fun(lambda x: basis.add(x, float(i % 3)), aval)
        (out,) = executable.run([engine().put(np.zeros(4, np.float32), aval)])
        results[i] = float(engine().get(out, aval)[0])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: float(i % 3) for i in range(8)}


def test_the_wait_for_a_compilation_can_be_interrupted():
    """Ctrl-C while XLA compiles raises KeyboardInterrupt at once."""
    began = time.perf_counter()
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        xla.interruptible(lambda: time.sleep(3))
    assert time.perf_counter() - began < 1.5


# -- functions that programs call ------------------------------------------------------------


def calls_back(callback, *arrays, out):
    """Run a program that calls a Python function."""

    def rule(hlo, *values):
        return hlo.callback(callback, values, avals_of([out]))

    return run_rule(rule, arrays, [out])[0]


def test_programs_call_python():
    """A callback gets NumPy arrays and gives what the program goes on with."""
    x = np.array([3, 1, 2], np.float32)
    out = calls_back(lambda v: (np.sort(v),), x, out=x)
    np.testing.assert_array_equal(out, [1, 2, 3])


def test_ordered_callbacks_run_in_the_order_of_the_program():
    """Through loops and called functions, whatever their operands depend on."""
    seen: list[str] = []

    def tell(hlo, what, *values):
        hlo.callback(lambda *_: seen.append(what), values, [], ordered=True)

    x = np.ones((400, 400), np.float32)
    inner = program(
        lambda hlo, v: (tell(hlo, "inner", v), v)[1], avals_of([x]), avals_of([x])
    )

    def rule(hlo, v):
        attrs = (
            "dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], "
            "rhs_contracting_dimensions = [0]>"
        )
        slow = hlo.emit("dot_general", (v, v), v.aval, attrs)
        tell(hlo, "slow", slow)
        tell(hlo, "fast", v)
        (v,) = hlo.call_function(inner, "inner", [v])

        def body(i):
            tell(hlo, "loop", i)
            odd = hlo.binary("and", i, hlo.one(i))
            hlo.case(
                odd,
                [lambda: tell(hlo, "even") or [], lambda: tell(hlo, "odd") or []],
                [],
            )
            return [hlo.binary("add", i, hlo.one(i))]

        start = hlo.full((), 0, np.dtype(np.int32))
        hlo.while_loop(
            lambda i: hlo.compare(i, hlo.full((), 2, i.dtype), "LT"), body, [start]
        )
        tell(hlo, "after")
        return hlo.call_function(inner, "inner", [slow])

    run_rule(rule, [x], [x])
    loop = ["loop", "even", "loop", "odd"]
    assert seen == ["slow", "fast", "inner", *loop, "after", "inner"]


def test_errors_of_callbacks_are_the_cause():
    """What the callback raised is the cause of the JaxRuntimeError."""

    def broken(x):
        raise ZeroDivisionError("by design")

    x = np.zeros(3, np.float32)
    with pytest.raises(errors.JaxRuntimeError, match="by design") as caught:
        calls_back(broken, x, out=x)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_lapack_is_registered_when_a_program_needs_it():
    """A custom call of LAPACK works without further ado."""
    x = np.array([[4, 2], [2, 3]], np.float32)
    status = Aval((), np.dtype(np.int32))

    def rule(hlo, v):
        factor, _ = hlo.custom_call(
            "lapack_spotrf_ffi", [v], [v.aval, status], {"uplo": "76 : ui8"},
            operand_layouts=[(0, 1)], result_layouts=[(0, 1), ()], aliases={0: 0},
        )  # fmt: skip
        return factor

    (factor,) = run_rule(rule, [x], [x])
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(x), rtol=1e-6)


# -- devices -------------------------------------------------------------------------------


def test_devices_of_this_process():
    """The CPU is always there; a platform that is not says what there is."""
    assert ferax.devices("cpu")[0].platform == "cpu"
    assert ferax.device_count("cpu") == ferax.local_device_count("cpu") >= 1
    assert ferax.process_index() == 0
    assert ferax.process_count() == 1
    with pytest.raises(
        RuntimeError, match=r"platform 'nowhere' was found; there are .*cpu"
    ):
        ferax.devices("nowhere")


def test_device_put_and_get_keep_the_structure():
    """Pytrees go to a device, committed, and come back as NumPy arrays."""
    tree = {"a": np.arange(3, dtype=np.float32), "b": (1, 2.5)}
    there = ferax.device_put(tree, ferax.devices("cpu")[0])
    assert there["a"].committed
    assert not ferax.device_put(tree)["a"].committed
    assert there["b"][0].weak_type
    back = ferax.device_get(there)
    np.testing.assert_array_equal(back["a"], tree["a"])
    assert isinstance(back["b"][1], np.ndarray)


def test_device_put_refuses_what_is_no_device():
    """A string is no device."""
    with pytest.raises(TypeError, match="must be a Device or a Sharding; got 'cpu'"):
        ferax.device_put(np.ones(3), "cpu")


def test_block_until_ready_takes_any_tree():
    """Leaves that are no arrays are passed over."""
    x = ferax.jit(lambda v: basis.add(v, v))(np.ones(3, np.float32))
    tree = (x, 1, "s", None)
    assert ferax.block_until_ready(tree) is tree


def test_live_arrays_lists_what_has_values():
    """Arrays are listed until they are deleted."""
    x = ferax.device_put(np.ones(3), ferax.devices("cpu")[0])
    assert any(a is x for a in ferax.live_arrays())
    x.delete()
    assert not any(a is x for a in ferax.live_arrays())


def test_dlpack_hands_over_without_a_copy():
    """NumPy takes arrays through DLPack, and gives them."""
    x = ferax.jit(lambda v: basis.add(v, v))(np.ones(3, np.float32))
    seen = np.from_dlpack(x)
    assert not seen.flags.writeable
    np.testing.assert_array_equal(seen, 2)
    np.testing.assert_array_equal(
        np.asarray(engine().from_dlpack(np.arange(3))), [0, 1, 2]
    )


MANY = """
import numpy as np, ferax
from ferax.core import basis
from ferax.core.array import engine
from ferax.engines.devices import *
from ferax.sharding import *
d = ferax.devices()
assert len(d) == 4
x = np.arange(32, dtype=np.float32).reshape(8, 4)
mesh = make_mesh((2, 2), ("x", "y"))
split = NamedSharding(mesh, PartitionSpec("x", "y"))
rows = NamedSharding(mesh, PartitionSpec(("y", "x")))
whole = NamedSharding(mesh, PartitionSpec())
a = ferax.device_put(x, split)
assert a.sharding == split and len(a.devices()) == 4
assert [s.data.shape for s in a.addressable_shards] == [(4, 2)] * 4
for s in a.addressable_shards:
    np.testing.assert_array_equal(s.data, x[s.index])
np.testing.assert_array_equal(a, x)
for sharding in (rows, whole, split):
    b = ferax.device_put(a, sharding)
    assert b.sharding == sharding
    np.testing.assert_array_equal(b, x)
assert [s.replica_id for s in ferax.device_put(x, whole).addressable_shards] == [0, 1, 2, 3]

f = ferax.jit(lambda v: basis.add(basis.mul(v, 2.0), v))
y = f(a)
assert y.sharding == split and y.committed
np.testing.assert_array_equal(y, 3 * x)
z = basis.add(a, a)
assert z.sharding == split
np.testing.assert_array_equal(z, 2 * x)
total = ferax.jit(lambda v: basis.reduce_sum(v, (0, 1)))(a)
assert float(total) == x.sum() and total.is_fully_replicated

c = ferax.device_put(x, d[1])
assert c.device == d[1] and f(c).device == d[1] and basis.add(c, 1.0).device == d[1]
np.testing.assert_array_equal(f(c), 3 * x)
np.testing.assert_array_equal(c, x)
assert basis.add(c, c).device == d[1]
try:
    ferax.jit(lambda v, w: basis.add(v, w))(c, ferax.device_put(x, d[2]))
except ValueError as error:
    assert "committed to different devices: cpu:1 and cpu:2" in str(error)
else:
    raise AssertionError
with ferax.default_device(d[2]):
    assert f(x).device == d[2] and not f(x).committed
assert f(x).device == d[0]

from tests.engines.programs import program, avals_of
from ferax.core.avals import Aval
e = engine()
aval = avals_of([x])[0]
constrained = e.compile_jaxpr(
    program(lambda hlo, v: hlo.sharding_constraint(hlo.binary("add", v, v), rows), [aval], [aval])
)
(out,) = constrained.run([e.put(x, aval)])
np.testing.assert_array_equal(e.get(out, aval), 2 * x)
assert len(out._sharding.devices) == 4

def summed(hlo, v):
    total = Aval((), aval.dtype)
    group = "replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>"
    handle = "channel_handle = #stablehlo.channel_handle<handle = 1, type = 1>"
    def part(p):
        assert p.shape == (4, 4)
        s = hlo.reduce("add", p, hlo.zero(aval.dtype), (0, 1))
        region = hlo.combiner("add", aval.dtype)
        attrs = f"{group}, {handle}, use_global_device_ids"
        return hlo.emit("all_reduce", [s], [total], attrs, (region,))
    by_x = NamedSharding(mesh, PartitionSpec("x"))
    return hlo.manual_computation(part, [v], [by_x], [whole], [total], ["x", "y"])

total = Aval((), aval.dtype)
(out,) = e.compile_jaxpr(program(summed, [aval], [total])).run([e.put(x, aval)])
sums = [float(p._single_device_array_to_np_array_did_copy()[0]) for p in out._arrays]
assert sums == [2 * x[:4].sum()] * 2 + [2 * x[4:].sum()] * 2

q = make_array_from_single_device_arrays((8, 4), split, [s.data for s in a.addressable_shards])
np.testing.assert_array_equal(q, x)
np.testing.assert_array_equal(make_array_from_callback((8, 4), rows, lambda i: x[i]), x)
np.testing.assert_array_equal(device_put_sharded([x[0], x[1]], d[:2]), x[:2])
np.testing.assert_array_equal(device_put_replicated(x, d), np.stack([x] * 4))
try:
    ferax.device_put(np.ones((5, 5)), split)
except ValueError as error:
    assert "axis 0 (size 5) would be split into 2 equal parts" in str(error)
else:
    raise AssertionError
print("fine")
"""


def test_several_devices():
    """Arrays are spread over devices; programs follow them; results say where they are."""
    assert run_python(MANY, FERAX_CPU_DEVICES="4") == "fine\n"


GIVEN_UP = """
import sys, time
from ferax.engines import xla

def compile():
    print("compiling", flush=True)
    time.sleep(float(sys.argv[1]))
    print("compiled")

try:
    xla.interruptible(compile)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupted(seconds):
    """A process that was interrupted in a long compilation and is about to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", GIVEN_UP, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "compiling\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert "press Ctrl-C again" in process.stderr.readline()
    return process


def test_an_interrupted_compilation_is_finished_at_exit():
    """An interpreter that ends while XLA is at work may crash, so it waits, and says so."""
    process = interrupted(5)
    assert process.communicate() == ("compiled\n", "")
    assert process.returncode == 0


def test_a_second_interruption_leaves_at_once():
    """Who does not want to wait for that either need not."""
    process = interrupted(100)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=50)[0] == ""
    assert process.returncode == 130


def test_hot_operations_are_compiled_and_give_the_same(monkeypatch):
    """An exact operation that took long enough is compiled; the bits stay the same."""
    monkeypatch.setattr(hot, "_PAYS", 0.002)
    monkeypatch.setattr(hot, "_compiled", {})
    monkeypatch.setattr(hot, "_spent", {})
    key = random.key(3)
    first = np.asarray(random.bits(key, (1 << 17,)))
    assert len(hot._compiled) == 0
    second = np.asarray(random.bits(key, (1 << 17,)))
    assert len(hot._compiled) == 1
    np.testing.assert_array_equal(first, second)


def test_no_state_of_jaxlib_is_set():
    """The engine leaves jaxlib's own switches as they are."""
    code = """
import numpy as np, ferax
from ferax.core import basis
from jaxlib import _jax
before = {n: getattr(_jax.ArrayImpl, n) for n in dir(_jax.ArrayImpl)}
print(ferax.jit(lambda v: basis.add(v, v))(np.ones(2, np.float32)))
assert before == {n: getattr(_jax.ArrayImpl, n) for n in dir(_jax.ArrayImpl)}
"""
    assert run_python(code) == "[2. 2.]\n"


def test_program_with_keys_and_weak_types():
    """Results get the avals of the jaxpr, whatever XLA knows of them."""
    key = Aval((2,), dtypes.key_dtype("threefry2x32"))
    jaxpr = program(
        lambda hlo, x: hlo.reshape(x, (1, 2)), [key], [key.update(shape=(1, 2))]
    )
    words = np.array([3, 4], np.uint64)
    (out,) = engine().compile_jaxpr(jaxpr).run([engine().put(words, key)])
    np.testing.assert_array_equal(engine().get(out, key.update(shape=(1, 2))), [[3, 4]])


def test_fetching_results_does_not_look_for_jax(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values come to the host without jaxlib's attempt to import the jax package."""
    wanted: list[str] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            wanted.append(name)

    result = ferax.jit(lambda x: x + 1)(np.ones(3, np.float32))
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    np.testing.assert_array_equal(np.asarray(result), [2, 2, 2])
    assert "jax" not in wanted


def test_reductions_of_seven_axes_run():
    """XLA's library of reductions crashed the process on them (jax-ml/jax#39257)."""
    code = """
import ferax, ferax.numpy as jnp
x = jnp.full((3, 1, 2, 2, 8, 8, 8), 2.0)
print(ferax.jit(lambda a, b: (a * b).sum(3))(x, x).sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "24576.0\n"), done.stderr
