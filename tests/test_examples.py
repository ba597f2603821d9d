"""The examples that are real work, in small: they learn, they agree with what is known."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")


def run(
    name: str, capsys: pytest.CaptureFixture[str], picture: Path, *arguments: str
) -> str:
    """What `python examples/<name>.py …` prints; its picture must be one."""
    example = importlib.import_module(f"examples.{name}")
    assert example.main([*arguments, "--output", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    return capsys.readouterr().out


def numbers(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


def test_character_transformer_learns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ninety steps teach a small model the frequent characters; it writes too."""
    example = importlib.import_module("examples.character_transformer")
    monkeypatch.setattr(example, "WIDTH", 64)
    monkeypatch.setattr(example, "CONTEXT", 32)
    arguments = ("--steps", "90", "--length", "40")
    output = run("character_transformer", capsys, tmp_path / "text.png", *arguments)
    (line,) = re.findall(r"nats per character.*", output)
    first, last, _ = numbers(line)
    assert first == pytest.approx(np.log(len(example.CHARACTERS)), abs=0.3)
    assert last < 3.3


def test_character_transformer_looks_only_back() -> None:
    """What follows a character has no influence on the guess after it."""
    example = importlib.import_module("examples.character_transformer")
    random = importlib.import_module("ferax.random")
    params = example.init(random.key(0))
    text = np.arange(20, dtype=np.int32)
    changed = np.where(np.arange(20) < 12, text, 3)
    one, other = (np.asarray(example.predict(params, x)) for x in (text, changed))
    np.testing.assert_allclose(one[:12], other[:12], atol=1e-5)
    assert not np.allclose(one[12:], other[12:], atol=1e-2)


def test_hamiltonian_monte_carlo_agrees_with_the_closed_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means, deviations of the ten weights are those of the formula; the chains have mixed."""
    pytest.importorskip("sklearn")
    arguments = ("--warm-up", "200", "--steps", "600")
    output = run("hamiltonian_monte_carlo", capsys, tmp_path / "chains.png", *arguments)
    table = np.array([x for x in map(numbers, output.splitlines()) if len(x) == 5])
    assert len(table) == 10
    mean, deviation, rough, exact_mean, exact_deviation = table.T
    assert np.all(np.abs(mean - exact_mean) < 0.2 * exact_deviation)
    np.testing.assert_allclose(deviation, exact_deviation, rtol=0.2)
    assert np.all(rough < 1.05)
    (accepted,) = re.findall(r"accepted ([\d.]+)% of", output)
    assert 60 < float(accepted) < 97


def test_effective_draws_of_a_known_process() -> None:
    """x[i] = r x[i-1] + noise: n (1 - r)/(1 + r) draws, whether r is positive or negative."""
    example = importlib.import_module("examples.hamiltonian_monte_carlo")
    rates = np.array([0.0, 0.5, 0.9, -0.5])
    noise = np.random.default_rng(0).standard_normal((4, 5000, 4)).astype(np.float32)
    draws = noise / np.sqrt(1 - rates**2)
    for i in range(1, noise.shape[1]):
        draws[:, i] = rates * draws[:, i - 1] + noise[:, i]
    found = np.asarray(example.effective_draws(draws.astype(np.float32)))
    np.testing.assert_allclose(found, 20_000 * (1 - rates) / (1 + rates), rtol=0.15)
    np.testing.assert_allclose(example.r_hat(draws.astype(np.float32)), 1, atol=0.02)


def test_fit_ode_finds_the_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hundred steps give the rates that others found for this record (Howard, 2009)."""
    output = run("fit_ode", capsys, tmp_path / "ode.png", "--steps", "200")
    found = dict(re.findall(r"(\w[\w ]+?) +([\d.]+)  ±", output))
    assert float(found["birth of hares"]) == pytest.approx(0.55, rel=0.1)
    assert float(found["death of lynxes"]) == pytest.approx(0.80, rel=0.1)
    assert float(found["hares in 1900"]) == pytest.approx(34, rel=0.1)
    assert float(found["noise"]) < 0.3
    assert "a minimum" in output


def test_fit_ode_solves_the_equation() -> None:
    """The conserved quantity of the equation stays where it began, to the method's error."""
    example = importlib.import_module("examples.fit_ode")
    logs = np.log(np.array(example.FIRST_GUESS, np.float32))
    hares, lynxes = np.asarray(example.solve(logs), np.float64).T
    birth, hunting, death, feeding = example.FIRST_GUESS[:4]
    kept = feeding * hares - death * np.log(hares) + hunting * lynxes
    kept -= birth * np.log(lynxes)
    np.testing.assert_allclose(kept, kept[0], rtol=1e-4)
