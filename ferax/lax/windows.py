"""Windows of an array: how gather and scatter name them, and where their elements are on the host.

One description serves both directions: a scatter's updates are laid out as the result of the
gather that reads the same places, so `ScatterDimensionNumbers` are `GatherDimensionNumbers` under
other names. `Windows` is what follows from dimension numbers and shapes alone; it is made once
and remembered. The names are StableHLO's (openxla.org/stablehlo/spec, gather and scatter), with
the index vector in the last axis of the indices.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ferax.core.avals import Shape


class GatherScatterMode(enum.Enum):
    """What happens to windows that are not inside the operand."""

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()

    @staticmethod
    def from_any(mode: Any) -> GatherScatterMode:
        """A mode from itself, its name ("clip", "fill", "drop", "promise_in_bounds") or None."""
        if isinstance(mode, GatherScatterMode):
            return mode
        found = _MODES.get(mode) if mode is None or isinstance(mode, str) else None
        if found is None:
            raise ValueError(
                f'Unknown gather mode "{mode}"; there are "clip", "fill" (for reads) or "drop" '
                '(for writes), and "promise_in_bounds"'
            )
        return found


CLIP = GatherScatterMode.CLIP
DROP = GatherScatterMode.FILL_OR_DROP
PROMISE = GatherScatterMode.PROMISE_IN_BOUNDS
_MODES = {
    None: DROP,
    "clip": CLIP,
    "fill": DROP,
    "drop": DROP,
    "promise_in_bounds": PROMISE,
}


class GatherDimensionNumbers(NamedTuple):
    """How the axes of operand, indices and result of a gather belong together.

    offset_dims: result axes that run along windows; collapsed_slice_dims: operand axes without a
    result axis (windows of size 1); start_index_map: operand axis of each index component;
    operand_batching_dims and start_indices_batching_dims: axes that run together.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """How the axes of operand, indices and updates of a scatter belong together.

    The fields are those of `GatherDimensionNumbers`, in the same order, as a scatter names them.
    """

    update_window_dims: Sequence[int]
    inserted_window_dims: Sequence[int]
    scatter_dims_to_operand_dims: Sequence[int]
    operand_batching_dims: Sequence[int] = ()
    scatter_indices_batching_dims: Sequence[int] = ()


# -- on the host -----------------------------------------------------------------------------


class Windows:
    """The windows of one operation: which axes are whose, and where their elements are.

    `rank` and `sizes` are those of the result of a gather or the updates of a scatter. Batch axes
    are the axes of the indices but the last, and those of the result that are not `offset_dims`.
    """

    def __init__(
        self, numbers: GatherDimensionNumbers, sizes: Shape, shape: Shape, rank: int
    ):
        offset, collapsed, mapped, batching, _ = numbers
        self.numbers, self.sizes, self.shape, self.rank = numbers, sizes, shape, rank
        self.window_dims = tuple(
            d for d in range(len(shape)) if d not in collapsed and d not in batching
        )
        self.batch_axes = tuple(i for i in range(rank) if i not in offset)
        self.limits = np.array([shape[d] - sizes[d] for d in mapped], np.intp)
        # an index vector may name one element along the mapped axes and all of the others
        self.whole = (
            len(mapped) > 0
            and not batching
            and set(mapped) == set(collapsed)
            and all(sizes[d] == shape[d] for d in self.window_dims)
        )
        self.operand_order = (*mapped, *self.window_dims)  # if whole
        self.is_leading = self.operand_order == tuple(range(len(shape)))
        self.result_order = (*self.batch_axes, *offset)
        self.result_inverse = _inverse(self.result_order)
        self.taken_inverse: tuple[int, ...] = ()  # from the axes that `take` gives
        if self.whole and len(mapped) == 1:
            (d,) = mapped
            self.taken_inverse = _inverse((*offset[:d], *self.batch_axes, *offset[d:]))

    def starts(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Index vectors moved inside, and which of them were inside already (None: all)."""
        if indices.dtype.kind == "u" and indices.dtype.itemsize == 8:
            indices = np.minimum(indices, np.uint64(np.iinfo(np.intp).max))
        found = indices.astype(np.intp, copy=False)
        if found.size == 0:
            return found, None
        fits: Any = (found >= 0) & (found <= self.limits)
        if fits.all():
            return found, None
        return np.clip(found, 0, self.limits), fits.all(axis=-1)

    def single(self, starts: np.ndarray) -> tuple[slice, ...] | None:
        """NumPy's index of the window, if there is only one."""
        if any(n != 1 for n in starts.shape[:-1]) or self.numbers.operand_batching_dims:
            return None
        begin = [0] * len(self.shape)
        for d, place in zip(self.numbers.start_index_map, starts.ravel().tolist()):
            begin[d] = place
        return tuple([slice(a, a + n) for a, n in zip(begin, self.sizes)])

    def spread(self, batch: np.ndarray) -> np.ndarray:
        """An array over the batch axes, broadcastable to the result."""
        shape = [1] * self.rank
        for axis, n in zip(self.batch_axes, batch.shape):
            shape[axis] = n
        return batch.reshape(shape)

    def along(self, axis: int, n: int) -> np.ndarray:
        """0, 1, … along a result axis."""
        shape = [1] * self.rank
        shape[axis] = n
        return np.arange(n).reshape(shape)

    def index(self, starts: np.ndarray) -> tuple[Any, ...]:
        """For each operand axis the places of the elements, broadcastable to the result."""
        offset, _, mapped, batching, index_batching = self.numbers
        where: list[Any] = []
        for d, n in enumerate(self.shape):
            if d in batching:
                axis = index_batching[batching.index(d)]
                where.append(self.along(self.batch_axes[axis], n))
                continue
            place: Any = self.spread(starts[..., mapped.index(d)]) if d in mapped else 0
            if d in self.window_dims:
                axis = offset[self.window_dims.index(d)]
                place = place + self.along(axis, self.sizes[d])
            where.append(place)
        return tuple(where)

    def flat(self, starts: np.ndarray, shape: Shape) -> np.ndarray:
        """The places of the elements in the flattened operand, in the shape of the result."""
        total: Any = np.zeros((), np.intp)
        for place, n in zip(self.index(starts), self.shape):
            total = total * n + place
        return np.broadcast_to(total, shape)


@lru_cache(maxsize=1024)
def windows_of(
    numbers: GatherDimensionNumbers, sizes: Shape, shape: Shape, rank: int
) -> Windows:
    return Windows(numbers, sizes, shape, rank)


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(order)
    for i, axis in enumerate(order):
        inverse[axis] = i
    return tuple(inverse)


def permuted(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    return x if order == tuple(range(len(order))) else x.transpose(order)
