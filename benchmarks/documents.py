"""The tables in README.md and docs/performance.md, written from a run (`--document`)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent


def between(text: str, name: str, new: str) -> str:
    """`text` with everything between `<!-- name -->` and `<!-- end of name -->` replaced."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, rest = text.split(start)
    return f"{head}{start}\n\n{new}\n\n{end}{rest.split(end)[1]}"


def table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column flush left."""
    bars = ["---", *("--:" for _ in titles[1:])]
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (titles, bars, *lines)
    )


def summary(rows: Sequence[Any]) -> str:
    """A line per figure asked for."""
    lines = []
    for each in report.reached(rows):
        count = "" if each.total == 1 else f" ({each.good} of {each.total} rows)"
        state = "yes" if each.good == each.total else "no"
        lines.append(
            [each.what, f"{each.limit:.2g}", f"{each.median:.2g}", state + count]
        )
    return table(["what", "asked, at most", "ferax / JAX", "reached"], lines)


def all_rows(rows: Sequence[Any], about: dict[str, str]) -> str:
    """A line per row, and on what machine it was measured."""
    lines = []
    for row in rows:
        limit, result = report.asked(row), report.ratio(row)
        if result is None:
            continue
        shown = f"{result.median:.3f}"
        missed = limit is not None and result.median > limit[1]
        lines.append(
            [
                row.name,
                value(row, "ferax"),
                value(row, "jax"),
                f"**{shown}**" if missed else shown,
                "" if limit is None else f"{limit[1]:.2f}",
                value(row, "numpy"),
                value(row, "torch"),
            ]
        )
    titles = ["what", "ferax", "JAX", "ratio", "asked", "NumPy", "PyTorch"]
    machine = f"{about['cpu']}, {about['cores']} cores; Python, NumPy {about['python, numpy']}"
    return f"{table(titles, lines)}\n\nBold: more than asked. Measured on {machine}."


def value(row: Any, library: str) -> str:
    """A library's median in the units of the row."""
    values = row.values.get(library)
    if not values:
        return ""
    median = statistics.median(values)
    return (
        report.in_bytes(median) if "memory" in row.name else report.in_seconds(median)
    )


def write(rows: Sequence[Any], about: dict[str, str]) -> None:
    """Fill in both documents."""
    tables = {
        "README.md": ("figures", summary(rows)),
        "docs/performance.md": ("table", all_rows(rows, about)),
    }
    for name, (marker, new) in tables.items():
        path = ROOT / name
        path.write_text(between(path.read_text(), marker, new))
