"""What the documents say of the code is true: names exist, links lead somewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def lookup(name: str) -> Any:
    """The object with this dotted name. Raises if there is none."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise LookupError(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_names_exist(page: Path) -> None:
    """Every `ferax.…` in backticks can be imported."""
    missing = []
    for name in set(re.findall(r"`(ferax(?:\.\w+)+)(?:\([^`]*\))?`", page.read_text())):
        try:
            lookup(name)
        except (AttributeError, ImportError, LookupError):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [x for x in links if not (page.parent / x).exists()] == []


def test_rooms_of_the_map_exist() -> None:
    """Every file in the architecture's table of rooms is there."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [
        room
        for line in text.splitlines()
        if line.startswith("| `")
        for room in re.findall(r"`([\w/]+\.py)`", line.split("|")[1])
    ]
    assert len(rooms) > 15
    assert [r for r in rooms if not (ROOT / "ferax" / r).exists()] == []


def test_the_life_of_a_call_names_functions() -> None:
    """The map tells the life of a call in eight steps, each of which names a function."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    steps = re.findall(r"^\d\. \*\*(.+?)(?=^\d\. \*\*|^Without)", text, re.M | re.S)
    assert len(steps) == 8
    assert all(re.search(r"`ferax\.[\w.]+`", step) for step in steps)
