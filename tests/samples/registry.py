"""All samples, and all primitives there are."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Any

import numpy as np

import ferax
import ferax.lax
import ferax.random
import tests.samples
from ferax import dtypes
from ferax.core.array import Concrete
from ferax.core.primitive import Primitive


@functools.cache
def all_samples() -> dict[type[Primitive], list[Any]]:
    """Samples by operation, from all modules of this folder."""
    found: dict[type[Primitive], list[Any]] = {}
    for module in pkgutil.iter_modules(tests.samples.__path__):
        table = getattr(
            importlib.import_module(f"tests.samples.{module.name}"), "SAMPLES", {}
        )
        for kind, samples in table.items():
            found.setdefault(kind, []).extend(samples)
    return found


@functools.cache
def tested_elsewhere() -> dict[type[Primitive], str]:
    """Operations that need a surrounding transformation, and the test that supplies it."""
    found: dict[type[Primitive], str] = {}
    for module in pkgutil.iter_modules(tests.samples.__path__):
        imported = importlib.import_module(f"tests.samples.{module.name}")
        found.update(getattr(imported, "TESTED_ELSEWHERE", {}))
    return found


def all_primitives() -> list[type[Primitive]]:
    """Every final primitive class of the package."""
    for module in pkgutil.walk_packages(ferax.__path__, "ferax."):
        if not module.name.startswith(("ferax.demo", "ferax.engines")):
            importlib.import_module(module.name)
    final, queue = [], [Primitive]
    while queue:
        kind = queue.pop()
        queue.extend(kind.__subclasses__())
        if kind.__module__.startswith("ferax.") and not kind.is_family:
            final.append(kind)
    return sorted(set(final), key=lambda k: k.__qualname__)


def smooth_places(sample: Any) -> tuple[int, ...]:
    """Operands to differentiate by, if any result can be differentiated."""
    avals = tuple(
        x.aval if isinstance(x, Concrete) else ferax.typeof(np.asarray(x))
        for x in sample.operands
    )
    if not any(dtypes.is_inexact(a.dtype) for a in sample.op.infer(avals)):
        return ()
    if sample.differentiable is not None:
        return tuple(sample.differentiable)
    return tuple(i for i, a in enumerate(avals) if dtypes.is_inexact(a.dtype))


def is_narrow(outs: Any) -> bool:
    """Whether results have less than double precision, whatever the operands' (casts)."""
    return any(float(dtypes.finfo(o.dtype).eps) > 1e-10 for o in outs)
