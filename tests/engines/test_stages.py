"""What is known of programs, of the process they run in, and when they are made."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import ferax
import ferax.numpy as jnp
from ferax.stages import ArgInfo


def test_arguments_of_compiled_functions():
    """Types and donation, in the structure of the arguments."""
    lowered = ferax.jit(lambda x, y: x + y, donate_argnums=0).lower(
        jnp.ones(2), y={"a": 3}["a"]
    )
    for stage in (lowered, lowered.compile()):
        (first,), named = stage.args_info
        assert isinstance(first, ArgInfo)
        assert (first.shape, first.dtype, first.donated) == ((2,), np.float32, True)
        assert (named["y"].shape, named["y"].donated) == ((), False)
    assert ferax.stages.CompilerOptions == dict[str, str | bool]


def test_names_of_devices_and_hosts():
    """The class of devices, the short name of partition specs, and the hosts of a process."""
    assert isinstance(ferax.devices()[0], ferax.Device)
    assert ferax.P is ferax.sharding.PartitionSpec
    assert (ferax.host_count(), ferax.host_id(), ferax.host_ids()) == (1, 0, [0])


def test_environment(capsys):
    """It names ferax, jaxlib, NumPy, Python and the devices."""
    text = ferax.print_environment_info(return_string=True)
    assert [line.split(":")[0] for line in text.splitlines()] == [
        "ferax", "jaxlib", "numpy", "python", "devices", "process_count", "platform",
    ]  # fmt: skip
    assert np.__version__ in text
    assert ferax.print_environment_info() is None
    assert capsys.readouterr().out == text + "\n"


def test_tracing_can_be_forbidden():
    """Under no_tracing only functions that are traced already run."""
    f = ferax.jit(lambda x: x + 1)
    f(1.0)
    with ferax.no_tracing(True):
        assert f(2.0) == 3
        with pytest.raises(RuntimeError, match="but no_tracing is set"):
            f(jnp.ones(2))
    assert f(jnp.ones(2)).shape == (2,)


def test_traces_are_explained(caplog):
    """Under explain_cache_misses each trace is logged with its reason."""
    f = ferax.jit(lambda x: x + 1)
    f(1.0)
    with caplog.at_level(logging.WARNING), ferax.explain_cache_misses(True):
        f(1.0)
        f(jnp.ones(2))
    (record,) = caplog.records
    assert "other shapes or dtypes: float32[] → float32[2]" in record.getMessage()
