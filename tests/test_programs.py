"""Ordinary programs give JAX's results, those with random numbers included.

`golden/programs.json` was written by the programs of `ordinary.py`, run with JAX 0.10.2.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import ferax
from tests.ordinary import PROGRAMS

GOLDEN = json.loads(
    pathlib.Path(__file__).with_name("golden").joinpath("programs.json").read_text()
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_program(program):
    """Names, shapes, dtypes, weak types and values of all results."""
    want = GOLDEN[program.__name__]
    got = {
        ferax.tree_util.keystr(path): x
        for path, x in ferax.tree_util.tree_flatten_with_path(program())[0]
    }
    assert sorted(got) == sorted(want)
    for name, (kind, weak, shape, values) in want.items():
        x = got[name]
        assert (x.dtype.name, x.weak_type, list(x.shape)) == (kind, weak, shape), name
        np.testing.assert_allclose(
            np.asarray(x).ravel(), values, 2e-4, 2e-5, err_msg=name
        )
