"""Flags: values, scopes, threads, names."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import ferax
from ferax.config import FLAGS, config, scoped


@pytest.fixture(autouse=True)
def _as_before():
    """Every test leaves the flags as it found them."""
    before = config.values()
    yield
    for name, value in before.items():
        config.update(name, value)


def test_update_holds_for_all_threads():
    """config.update is seen by other threads."""
    config.update("enable_x64", True)
    assert in_thread(lambda: config.enable_x64) is True


def test_context_holds_for_its_thread_and_block():
    """An override is seen inside the block, in this thread only, and then gone."""
    with scoped["enable_x64"](True):
        assert config.enable_x64 is True
        assert in_thread(lambda: config.enable_x64) is False
        with scoped["enable_x64"](False):
            assert config.enable_x64 is False
        assert config.enable_x64 is True
    assert config.enable_x64 is False


def test_override_wins_over_update():
    """Inside a block the override counts, whatever update says."""
    with scoped["debug_nans"](True):
        config.update("debug_nans", False)
        assert config.debug_nans is True
    assert config.debug_nans is False


def test_override_ends_when_the_block_raises():
    """An exception leaves no override behind."""
    with pytest.raises(KeyError), scoped["enable_x64"](True):
        raise KeyError
    assert config.enable_x64 is False


def test_context_as_decorator():
    """A context manager of a flag decorates functions, also recursive ones."""

    @scoped["enable_x64"](True)
    def f(n):
        return [config.enable_x64] + (f(n - 1) if n else [])

    assert f(2) == [True] * 3
    assert config.enable_x64 is False


def test_jax_names_are_aliases():
    """Existing programs say jax_enable_x64."""
    config.update("jax_enable_x64", True)
    assert config.enable_x64 is True
    assert config.jax_enable_x64 is True
    config.update("jax_num_cpu_devices", 4)
    assert config.cpu_devices == 4
    config.update("check", True)
    assert config.enable_checks is True


def test_package_attribute_has_update_and_values():
    """ferax.config is what programs write."""
    ferax.config.update("enable_x64", True)
    assert ferax.config.enable_x64 is True


def test_unknown_name_names_neighbours():
    """A typing error is answered with the nearest flags."""
    with pytest.raises(AttributeError) as caught:
        config.update("enable_x46", True)
    assert (
        str(caught.value)
        == "config: unknown flag 'enable_x46'; did you mean 'enable_x64'?"
    )
    with pytest.raises(AttributeError, match="unknown flag 'nonsense'; flags are: "):
        config.nonsense


def test_wrong_value_says_what_is_allowed():
    """A value out of range names the flag, the value and the choices."""
    with pytest.raises(ValueError) as caught:
        config.update("numpy_rank_promotion", "maybe")
    assert str(caught.value) == (
        "config: numpy_rank_promotion = 'maybe', but it must be one of 'allow', 'warn', "
        "'raise' (what happens when operands of different ndim are broadcast)"
    )
    with pytest.raises(ValueError, match="must be True or False"):
        config.update("enable_x64", 2)
    with pytest.raises(ValueError, match="an integer of at least 1"):
        config.update("cpu_devices", 0)


def test_flags_of_one_value():
    """Programs may say what is so anyway."""
    config.update("jax_threefry_partitionable", True)
    with pytest.raises(ValueError, match="the older layout is not offered"):
        config.update("jax_threefry_partitionable", False)


def test_assignment_points_to_update():
    """Flags are not assigned to."""
    with pytest.raises(AttributeError, match=r"config\.update\('enable_x64', True\)"):
        config.enable_x64 = True
    with pytest.raises(AttributeError, match=r"config\.update"):
        ferax.config.enable_x64 = True


def test_trace_key_follows_traced_flags_only():
    """Equal flags have equal keys; flags that don't alter traces don't count."""
    key = config.trace_key()
    with scoped["enable_x64"](True):
        other = config.trace_key()
    assert other != key
    assert config.trace_key() == key
    config.update("log_compiles", True)
    assert config.trace_key() == key
    config.update("enable_x64", True)
    assert config.trace_key() == other
    assert in_thread(config.trace_key) == other


def test_trace_key_sees_update_within_override():
    """An update of another flag is in the key of a thread that has overrides."""
    with scoped["enable_x64"](True):
        key = config.trace_key()
        in_thread(lambda: config.update("disable_jit", True))
        assert config.trace_key() != key


def test_context_needs_a_value_where_none_is_evident():
    """`with enable_x64():` means True; for other flags the value must be given."""
    with scoped["enable_x64"]():
        assert config.enable_x64 is True
    with pytest.raises(TypeError, match="default_matmul_precision: needs a value"):
        scoped["default_matmul_precision"]()


def test_traceback_filtering_takes_jax_values():
    """JAX's modes of filtering all mean on."""
    config.update("jax_traceback_filtering", "remove_frames")
    assert config.traceback_filtering == "on"


def test_environment_sets_the_start_value():
    """FERAX_<NAME> is read at import."""
    program = (
        "from ferax.config import config; print(config.enable_x64, config.cpu_devices)"
    )
    env = {**os.environ, "FERAX_ENABLE_X64": "1", "FERAX_CPU_DEVICES": "3"}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "True 3\n"


def test_every_flag_is_readable_and_has_a_context():
    """No flag is declared without its attribute, its help and its context manager."""
    assert set(config.values()) == set(FLAGS) == set(scoped)
    assert all(flag.help for flag in FLAGS.values())
    assert all(name in vars(type(config)) for name in FLAGS)


def in_thread(f):
    """The result of f in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(f()))
    thread.start()
    thread.join()
    return found[0]
