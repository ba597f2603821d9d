"""Pictures of shardings for the terminal, drawn by rich: which device holds which part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferax.core.tracing import to_array
from ferax.errors import public
from ferax.lax.debugging import inspect_array_sharding
from ferax.sharding import Sharding

_COLORS = (
    "dark_blue", "dark_red", "dark_green", "purple4", "dark_goldenrod", "deep_pink4",
    "dark_cyan", "grey37",
)  # fmt: skip


@public
def visualize_sharding(
    shape: Sequence[int],
    sharding: Sharding,
    *,
    use_color: bool = True,
    scale: float = 1.0,
    min_width: int = 9,
    max_width: int = 80,
    color_map: Any = None,
) -> None:
    """Print which devices hold which parts of an array of this shape.

    Args:
      shape: of one or two axes; the second one runs to the right, as does a single one.
      sharding: how the array lies on devices.
      use_color: give each part a colour (on terminals).
      scale: characters per element of the axis that runs to the right, within the limits.
      min_width: least characters per part.
      max_width: most characters of the picture.
      color_map: function of a number in [0, 1] that gives (red, green, blue, …) in [0, 1].

    Raises:
      ValueError: the shape has another number of axes, or the sharding does not fit.
      ImportError: the package rich is missing.

    >>> import ferax
    >>> from ferax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(ferax.make_mesh((1,), ("i",)), P("i"))
    >>> ferax.debug.visualize_sharding((8, 16), rows)
    ┌────────────────┐
    │     CPU 0      │
    └────────────────┘
    """
    if len(shape) not in (1, 2):
        raise ValueError(
            "visualize_sharding draws arrays of one or two axes; got shape "
            f"{tuple(shape)}"
        )
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        raise ImportError(
            "visualize_sharding draws with rich: pip install 'ferax[viz]'"
        ) from None
    parts = _parts(shape, sharding)
    tops, lefts = (sorted({at[i] for at in parts}) for i in (0, 1))
    table = Table(
        show_header=False, show_lines=True, padding=0, box=box.SQUARE, pad_edge=False
    )
    across, most = shape[-1], (max_width - 1) // len(lefts) - 1
    for left, end in zip(lefts, [*lefts[1:], across]):
        widest = max(len(parts[top, left]) for top in tops)
        width = min(max(round(scale * (end - left)), min_width, widest), most)
        table.add_column(justify="center", width=width, no_wrap=True)
    styles = _styles(len(parts), color_map) if use_color else [""] * len(parts)
    style = dict(zip(sorted(parts), styles))
    for top in tops:
        row = [(top, left) for left in lefts]
        table.add_row(
            *(f"[{style[at]}]{parts[at]}" if style[at] else parts[at] for at in row)
        )
    Console(width=max_width).print(table)


def _parts(shape: Sequence[int], sharding: Sharding) -> dict[tuple[int, int], str]:
    """Where each part begins (row, column), and the devices that hold it."""
    found: dict[tuple[int, int], list[Any]] = {}
    for device, index in sharding.devices_indices_map(tuple(shape)).items():
        starts = [s.indices(d)[0] for s, d in zip(index, shape)]
        top, left = starts if len(starts) == 2 else (0, starts[0])
        found.setdefault((top, left), []).append(device)
    return {
        at: f"{devices[0].platform.upper()} {','.join(str(d.id) for d in devices)}"
        for at, devices in found.items()
    }


def _styles(count: int, color_map: Any) -> list[str]:
    """A background for each part."""
    if color_map is None:
        return [f"white on {_COLORS[i % len(_COLORS)]}" for i in range(count)]
    styles = []
    for i in range(count):
        red, green, blue = (round(255 * c) for c in color_map(i / count)[:3])
        bright = 2 * red + 5 * green + blue > 4 * 255
        styles.append(f"{'black' if bright else 'white'} on rgb({red},{green},{blue})")
    return styles


@public
def visualize_array_sharding(arr: Any, **kwargs: Any) -> None:
    """Print which devices hold which parts of an array; options as of `visualize_sharding`.

    >>> import ferax, ferax.numpy as jnp
    >>> ferax.debug.visualize_array_sharding(jnp.ones((2, 12)))
    ┌────────────┐
    │   CPU 0    │
    └────────────┘
    """
    array = to_array(arr, "visualize_array_sharding")
    inspect_array_sharding(
        array, callback=lambda s: visualize_sharding(array.shape, s, **kwargs)
    )
