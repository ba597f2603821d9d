"""What is made of the measurements: rows, the figures asked for, the history, regressions.

A ratio is the median of the ratios round by round (ferax divided by JAX: less is better), its
spread the quartiles. Only ratios are kept and compared: they survive a change of the machine's
load; absolute times do not. The history holds one line of JSON per run.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HISTORY = HERE / "history.jsonl"
TITLES = {"ferax": "ferax", "jax": "JAX", "numpy": "NumPy", "torch": "PyTorch"}
REMEMBERED = 5  # runs that a new one is compared with
TOLERANCE = 1.10  # a ratio that grew by less is not called a regression


@dataclass(frozen=True)
class Ratio:
    """The median of ratios and its quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(over: Sequence[float], under: Sequence[float]) -> Ratio | None:
        pairs = [a / b for a, b in zip(over, under)]
        if not pairs:
            return None
        if len(pairs) == 1:
            return Ratio(pairs[0], pairs[0], pairs[0])
        low, median, high = statistics.quantiles(pairs, n=4, method="inclusive")
        return Ratio(median, low, high)


def ratio(row: Any) -> Ratio | None:
    """ferax divided by JAX."""
    return Ratio.of(row.values.get("ferax", []), row.values.get("jax", []))


# -- the figures asked for -----------------------------------------------------------------


def asked(row: Any) -> tuple[str, float] | None:
    """The figure that a row belongs to, and the ratio that it may have at most."""
    for figure in _figures()["figure"]:
        if any(fnmatchcase(row.name, pattern) for pattern in figure["rows"]):
            limit = figure["at_most"]
            if "numpy_times" in figure and {"numpy", "jax"} <= set(row.values):
                allowed = figure["numpy_times"] * statistics.median(row.values["numpy"])
                allowed += figure["plus"]
                limit = max(limit, allowed / statistics.median(row.values["jax"]))
            return figure["what"], limit
    return None


def _figures() -> dict[str, Any]:
    return tomllib.loads((HERE / "figures.toml").read_text())


@dataclass(frozen=True)
class Reached:
    """How the rows of a figure stand to it; `worst` is the one furthest above its limit."""

    what: str
    good: int
    total: int
    median: float
    worst: str
    ratio: float
    limit: float


def reached(rows: Sequence[Any]) -> list[Reached]:
    """The figures asked for that these rows say something of."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for row in rows:
        limit, result = asked(row), ratio(row)
        if limit is not None and result is not None:
            found.setdefault(limit[0], []).append((result.median, limit[1], row.name))
    answers = []
    for what, entries in found.items():
        value, limit_of_it, name = max(entries, key=lambda e: e[0] / e[1])
        good = sum(e[0] <= e[1] for e in entries)
        median = statistics.median(e[0] for e in entries)
        answers.append(
            Reached(what, good, len(entries), median, name, value, limit_of_it)
        )
    return answers


def figures(rows: Sequence[Any]) -> None:
    """Print what was asked for and how far the worst row of each figure is from it."""
    lines = Lines()
    lines.heading("figures asked for (ferax / JAX, at most)")
    for each in reached(rows):
        missed = each.good < each.total
        count = f"{each.good} of {each.total}" if each.total > 1 else ""
        state = "missed" if missed else "reached"
        cells = [
            each.what,
            state,
            count,
            f"{each.ratio:.3f}",
            f"≤ {each.limit:.3f}",
            each.worst,
        ]
        lines.row(cells, [48, -8, -9, 8, 9, -30], "red" if missed else "green")
    for size in _figures()["lines"]:
        number = sum(
            _count_lines(p) for pattern in size["paths"] for p in _glob(pattern)
        )
        good = number <= size["at_most"]
        state = "reached" if good else "missed"
        cells = [size["what"], state, "", str(number), f"≤ {size['at_most']}"]
        lines.row(cells, [48, -8, -9, 8, 9], "green" if good else "red")


def _glob(pattern: str) -> list[Path]:
    return sorted(HERE.parent.glob(pattern))


def _count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


# -- the table -----------------------------------------------------------------------------


class Lines:
    """Aligned lines on the terminal, in colour where rich is installed."""

    def __init__(self) -> None:
        try:
            from rich.console import Console
        except ImportError:
            self._console: Any = None
        else:
            self._console = Console(highlight=False, soft_wrap=True)

    def print(self, text: str, style: str = "") -> None:
        if self._console is None:
            print(text, flush=True)
        else:
            self._console.print(text, style=style or None, markup=False)

    def heading(self, text: str) -> None:
        self.print(f"\n{text}", "bold")

    def row(self, cells: Sequence[str], widths: Sequence[int], style: str = "") -> None:
        """Cells in columns; the first and those of negative width are flush left."""
        parts = [
            cell.ljust(abs(width)) if i == 0 or width < 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))
        ]
        self.print("  ".join(parts).rstrip(), style)


class Table:
    """The rows as they come, grouped by the first word of their names."""

    def __init__(self, libraries: Sequence[str]):
        self.lines = Lines()
        self.group = ""
        self.extra = [x for x in libraries if x not in ("ferax", "jax")]
        self.widths = [48, 10, 10, 8, 15, 9, *(10 for _ in self.extra)]

    def show(self, rows: Sequence[Any]) -> None:
        for row in rows:
            group = row.name.split(":")[0]
            if group != self.group:
                self.group = group
                self.lines.heading("")
                titles = ["ferax", "JAX", "ratio", "quartiles", "asked"]
                titles += [TITLES[x] for x in self.extra]
                self.lines.row([group, *titles], self.widths, "bold")
            self._row(row)

    def _row(self, row: Any) -> None:
        name = row.name.split(": ", 1)[-1]
        result, limit = ratio(row), asked(row)
        cells = [self._value(row, x) for x in ("ferax", "jax")]
        if result is None:
            cells += ["", ""]
        else:
            cells += [f"{result.median:.3f}", f"{result.low:.3f}–{result.high:.3f}"]
        cells.append("" if limit is None else f"≤ {limit[1]:.3f}")
        cells += [self._value(row, x) for x in self.extra]
        style = ""
        if result is not None and limit is not None:
            style = "green" if result.median <= limit[1] else "red"
        self.lines.row([name, *cells], self.widths, style)
        for library, error in row.errors.items():
            self.lines.print(f"    {TITLES[library]}: {error}"[:160], "yellow")

    def _value(self, row: Any, library: str) -> str:
        values = row.values.get(library)
        if not values:
            return "—" if library in ("ferax", "jax") else ""
        median = statistics.median(values)
        return in_bytes(median) if "memory" in row.name else in_seconds(median)

    def close(self) -> None:
        self.lines.print("")


def in_seconds(value: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if value >= size or unit == "ns":
            number = value / size
            digits = max(0, 2 - int(math.log10(max(number, 1))))
            return f"{number:.{digits}f} {unit}"
    return ""


def in_bytes(value: float) -> str:
    return f"{value / 2**20:.1f} MiB"


# -- the history ---------------------------------------------------------------------------


def versions(ferax: str, other: str) -> dict[str, str]:
    """What a run depends on: machine, Pythons, packages, the commit."""
    ask = "import importlib.metadata as m, platform; print({p}, m.version({q!r}))"
    python = ask.format(p="platform.python_version()", q="numpy")
    jax = ask.format(p="''", q="jax")

    def output(*command: str) -> str:
        found = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=HERE
        )
        return found.stdout.strip()

    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python, numpy": output(ferax, "-c", python),
        "jax": output(other, "-c", jax),
        "commit": output("git", "describe", "--always", "--dirty"),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def record(path: Path, rows: Sequence[Any], about: dict[str, str]) -> None:
    """Append this run to the history."""
    ratios = {
        row.name: [round(x, 5) for x in (result.median, result.low, result.high)]
        for row in rows
        if (result := ratio(row)) is not None
    }
    if ratios:
        entry = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **about}
        with path.open("a") as file:
            file.write(
                json.dumps({**entry, "ratios": ratios}, ensure_ascii=False) + "\n"
            )


def read(path: Path) -> list[dict[str, Any]]:
    """The entries of the history, oldest first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def compare(
    rows: Sequence[Any], entries: Sequence[dict[str, Any]], about: dict[str, str]
) -> list[str]:
    """Print the rows that are worse or better than in the last runs on such a machine.

    Worse: the ratio is more than a tenth above the median of the last five runs, and its lower
    quartile is above their upper quartile. Returns the names of the worse rows.
    """
    alike = [
        e for e in entries if all(e.get(k) == about[k] for k in ("cpu", "cores", "jax"))
    ]
    lines = Lines()
    lines.heading(f"against the last runs on this kind of machine ({len(alike)} known)")
    worse: list[str] = []
    for row in rows:
        before = [e["ratios"][row.name] for e in alike if row.name in e["ratios"]]
        result = ratio(row)
        if not before or result is None:
            continue
        median, low, high = (statistics.median(x) for x in zip(*before[-REMEMBERED:]))
        text = [row.name, f"{median:.3f}", "->", f"{result.median:.3f}"]
        if result.median > TOLERANCE * median and result.low > high:
            worse.append(row.name)
            lines.row([*text, "worse"], [60, 8, 2, 8, 6], "red")
        elif result.median * TOLERANCE < median and result.high < low:
            lines.row([*text, "better"], [60, 8, 2, 8, 6], "green")
    if not worse:
        lines.print("no row is worse")
    return worse
