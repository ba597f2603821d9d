"""The programs that are shown first: they run, learn, and leave their pictures."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def size_of_png(path: Path) -> tuple[int, int]:
    """Width and height in pixels."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return struct.unpack(">II", head[16:24])  # type: ignore[return-value]


@pytest.mark.slow
def test_demo_learns_the_digits(tmp_path: Path) -> None:
    """`python -m ferax.demo` reaches more than 97% on the test images and draws its picture."""
    output = run("-m", "ferax.demo", "--output", str(tmp_path / "digits.png"))
    accuracy = re.search(r"test accuracy ([\d.]+)% on 450", output)
    assert accuracy is not None
    assert float(accuracy[1]) > 97
    assert min(size_of_png(tmp_path / "digits.png")) > 800


def test_linear_regression_finds_the_line(tmp_path: Path) -> None:
    """Gradient descent finds w = 3 and b = -1, op by op and compiled, and draws its picture."""
    output = run(
        "examples/linear_regression.py", "--output", str(tmp_path / "line.png")
    )
    found = re.findall(r"(eager|jit): w = ([\d.]+), b = (-[\d.]+)", output)
    assert [name for name, _, _ in found] == ["eager", "jit"]
    for _, slope, offset in found:
        assert float(slope) == pytest.approx(3.0, abs=0.05)
        assert float(offset) == pytest.approx(-1.0, abs=0.05)
    assert size_of_png(tmp_path / "line.png")[0] > 800
