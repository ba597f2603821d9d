"""Arrays have their operators whichever room made the first one."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_USES = {
    "an operator": "from ferax import lax; assert (1 + lax.iota('int32', 3))[2] == 3",
    "a method": "from ferax import lax; assert lax.iota('int32', 3).sum() == 3",
    "a property": "from ferax import lax; assert lax.full((2, 3), 0.0).T.shape == (3, 2)",
    "an index": "import ferax; ferax.random.split(ferax.random.key(0))[0]",
    "in a gradient": "import ferax; assert ferax.grad(lambda x: x * x)(3.0) == 6",
    "under jit": "import ferax; assert ferax.jit(lambda x: -x)(3.0) == -3",
    "no attribute": (
        "from ferax import lax; x = lax.iota('int32', 3); assert not hasattr(x, 'nothing')"
    ),
}


@pytest.mark.parametrize("program", FIRST_USES.values(), ids=FIRST_USES)
def test_arrays_need_no_import_of_ferax_numpy(program):
    """In a new process, a program that never names ferax.numpy uses an array."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
