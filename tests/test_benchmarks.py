"""The arithmetic of the benchmarks: ratios, figures, what counts as a regression."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import documents, report
from benchmarks.runner import Row, in_turn
from benchmarks.startup import PROGRAMS
from benchmarks.worker import all_cases

ABOUT = {"cpu": "some cpu", "cores": "2", "jax": "0.10.2"}


def row(name: str, ferax: list[float], jax: list[float], **others: list[float]) -> Row:
    return Row(name, {"ferax": ferax, "jax": jax, **others})


def test_ratio_is_the_median_of_pairs() -> None:
    """Rounds are compared with their neighbours: a slow second hits both and cancels."""
    result = report.ratio(row("x", [1.0, 10.0, 1.0], [2.0, 20.0, 2.0]))
    assert result == report.Ratio(0.5, 0.5, 0.5)


def test_ratio_without_a_partner_is_none() -> None:
    """A library that failed has no ratio."""
    assert report.ratio(row("x", [1.0], [])) is None


@pytest.mark.parametrize(
    ("name", "what", "at_most"),
    [
        ("startup: import", "import", 0.33),
        ("startup: first call: sin", "first call of any eager operation", 0.02),
        ("eager 100: a[3]", "eager a[3]", 0.03),
        ("eager 100: a[3:10]", "eager a[3:10]", 0.05),
        ("eager 100: a.at[3].set(1.)", "eager a.at[3].set(1.)", 0.02),
        ("transformer: lower", "lowering it", 0.4),
    ],
)
def test_rows_find_their_figures(name: str, what: str, at_most: float) -> None:
    """A row belongs to the first figure whose pattern it matches."""
    assert report.asked(row(name, [1.0], [1.0])) == (what, at_most)


def test_small_operations_may_cost_twice_numpy() -> None:
    """On 100 elements 2 x NumPy + 1.5 µs passes where that is more than a fifth of JAX."""
    limit = report.asked(row("eager 100: add", [1e-6], [5e-6], numpy=[0.5e-6]))
    assert limit == ("eager operations on 100 elements", pytest.approx(0.5))


def test_every_case_has_a_name_of_its_own() -> None:
    """Names are keys of the history."""
    cases = all_cases()
    names = [c.name for c in cases if not c.processes] + [p.name for p in PROGRAMS]
    assert len(names) == len(set(names))


def test_turns_alternate() -> None:
    """The library that begins changes from round to round."""
    assert [list(in_turn("ab", t)) for t in range(3)] == [
        ["a", "b"],
        ["b", "a"],
        ["a", "b"],
    ]


def test_history_shows_a_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ratio a tenth above that of the last runs, beyond their spread, is named."""
    path = tmp_path / "history.jsonl"
    for _ in range(3):
        report.record(path, [row("x", [1.0, 1.01, 0.99], [2.0] * 3)], ABOUT)
    entries = report.read(path)
    assert len(entries) == 3
    slower = [row("x", [1.3, 1.31, 1.29], [2.0] * 3)]
    assert report.compare(slower, entries, ABOUT) == ["x"]
    assert "worse" in capsys.readouterr().out
    same = [row("x", [1.02, 1.0, 1.01], [2.0] * 3)]
    assert report.compare(same, entries, ABOUT) == []
    assert report.compare(slower, entries, {**ABOUT, "cpu": "another"}) == []


def test_history_is_one_line_per_run(tmp_path: Path) -> None:
    """Each line is an object with the ratios' medians and quartiles."""
    path = tmp_path / "history.jsonl"
    report.record(path, [row("x", [1.0], [4.0]), row("y", [1.0], [])], ABOUT)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["ratios"] == {"x": [0.25, 0.25, 0.25]}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 µs"), (1.3e-7, "130 ns")],
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    """Numbers are shown with the unit that suits them."""
    assert report.in_seconds(seconds) == text


def test_documents_are_filled_between_markers() -> None:
    """Only what stands between the markers is replaced, as often as one likes."""
    text = "before\n<!-- x -->\nold\n<!-- end of x -->\nafter\n"
    once = documents.between(text, "x", "new")
    assert once == "before\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nafter\n"
    assert documents.between(once, "x", "new") == once


def test_summary_has_a_line_per_figure() -> None:
    """The summary shows the median of a figure's rows and how many of them reach it."""
    rows = [
        row("eager 1M: add", [1.0], [1.0]),
        row("eager 1M: sum", [2.0], [1.0]),
        row("unknown", [1.0], [1.0]),
    ]
    *_, line = documents.summary(rows).splitlines()
    assert line == "| eager operations on 1M elements | 1.1 | 1.5 | no (1 of 2 rows) |"
