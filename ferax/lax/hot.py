"""Operations that NumPy does slowly, compiled once their cost has paid for the compilation.

Eager results must not depend on when something was compiled, so this is for operations whose
results are the same bits on every engine: those on integers and random keys. Compiling costs as
much as the seconds in `_PAYS`; an operation is compiled when NumPy has taken, or is about to
take, as long for it. At worst both together take twice the shorter time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferax.core.array import engine
from ferax.core.avals import Aval

_PAYS = 0.15  # seconds to load XLA and compile an operation of a few lines
_FULL = 256

_spent: dict[Any, float] = {}
_compiled: dict[Any, Any] = {}


def run_hot(
    op: Any, avals: tuple[Aval, ...], values: Sequence[np.ndarray], seconds: float
) -> list[np.ndarray] | None:
    """The results of an exact operation if it is, or is now worth being, compiled; else None.

    Args:
        op: the operation.
        avals: of its operands.
        values: the operands, of the carriers' dtypes.
        seconds: what NumPy will take for this run, about.
    """
    key = (op, avals)
    run = _compiled.get(key)
    if run is None:
        spent = _spent.get(key, 0.0) + seconds
        if spent < _PAYS:
            if len(_spent) >= _FULL:
                _spent.clear()
            _spent[key] = spent
            return None
        try:
            run = engine().hot(op, avals)
        except ImportError:  # there is no XLA here
            return None
        if len(_compiled) >= _FULL:
            _compiled.clear()
        _compiled[key] = run
    return run(*values)  # type: ignore[no-any-return]
