"""Environments, worker processes, turns.

A row is a list of rounds; in each round every library measures once, in an order that turns
around from round to round, so that a drift of the machine's speed favours nobody.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import documents, report
from benchmarks.case import Case
from benchmarks.startup import PROGRAMS, Program
from benchmarks.worker import all_cases

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Row:
    """The measurements of one thing: per library one number per round, in order."""

    name: str
    values: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, library: str, value: float) -> None:
        self.values.setdefault(library, []).append(value)


@dataclass(frozen=True)
class Environments:
    """Which Python runs which library."""

    ferax: str
    other: str
    cache: str  # a folder for what is compiled and kept on disk, empty at the beginning

    def python(self, library: str) -> str:
        return self.ferax if library == "ferax" else self.other

    def variables(self, warm_cache: bool = False) -> dict[str, str]:
        """The environment of a process; nothing compiled earlier is found unless wanted."""
        cache = self.cache if warm_cache else tempfile.mkdtemp(dir=self.cache)
        return {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "FERAX_PLATFORMS": "cpu",
            "FERAX_COMPILATION_CACHE_DIR": cache,
            "OMP_WAIT_POLICY": "passive",  # PyTorch's idle threads leave the cores alone
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONWARNINGS": "ignore",
        }

    def has(self, library: str) -> bool:
        """Whether the library can be imported in its environment."""
        door = f"{library}.numpy" if library in ("ferax", "jax") else library
        command = [self.python(library), "-c", f"import {door}"]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True)
        return done.returncode == 0


class Worker:
    """A running `benchmarks.worker` and the conversation with it."""

    def __init__(self, library: str, environments: Environments):
        self.library = library
        self.process = subprocess.Popen(
            [environments.python(library), "-m", "benchmarks.worker", library],
            cwd=ROOT,
            env=environments.variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the worker has died"}

    def close(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        self.process.wait()


def in_turn(items: Sequence[Any], turn: int) -> Iterator[Any]:
    """The items, in an order that turns around every round."""
    return iter(items if turn % 2 == 0 else items[::-1])


# -- cases in workers ----------------------------------------------------------------------


def run_case(
    index: int, case: Case, workers: Sequence[Worker], rounds: int
) -> list[Row]:
    """Prepare a case in each worker, then take turns phase by phase."""
    taking_part, phases, errors = [], [], {}
    for worker in workers:
        if worker.library in case.libraries:
            answer = worker.ask(prepare=index)
            if "error" in answer:
                errors[worker.library] = answer["error"]
            else:
                taking_part.append(worker)
                phases = answer["phases"] if worker.library != "torch" else phases
    names = {p: f"{case.name}: {p}" if p else case.name for p in phases or [""]}
    rows = {p: Row(name, errors=dict(errors)) for p, name in names.items()}
    for turn in range(rounds):
        for phase, row in rows.items():
            for worker in in_turn(taking_part, turn):
                if worker.library not in row.errors:
                    answer = worker.ask(measure=index, phase=phase, turn=turn)
                    if "error" in answer:
                        row.errors[worker.library] = answer["error"]
                    elif not math.isnan(answer["value"]):
                        row.add(worker.library, answer["value"])
    return list(rows.values())


def run_fresh(
    index: int,
    case: Case,
    libraries: Sequence[str],
    environments: Environments,
    rounds: int,
) -> list[Row]:
    """As `run_case`, in processes that have run nothing else."""
    merged: dict[str, Row] = {}
    for turn in range(case.processes):
        wanted = [x for x in libraries if x in case.libraries]
        workers = [Worker(x, environments) for x in in_turn(wanted, turn)]
        try:
            for row in run_case(index, case, workers, rounds):
                whole = merged.setdefault(row.name, Row(row.name))
                whole.errors.update(row.errors)
                for library, values in row.values.items():
                    whole.values.setdefault(library, []).extend(values)
        finally:
            for worker in workers:
                worker.close()
    return list(merged.values())


# -- programs ------------------------------------------------------------------------------


def run_program(
    program: Program, libraries: Sequence[str], environments: Environments, rounds: int
) -> list[Row]:
    """Run a program in fresh processes, the libraries in turn; the first round warms disks."""
    rows: dict[str, Row] = {}
    for turn in range(-1, rounds):
        for library in in_turn([x for x in libraries if x in program.libraries], turn):
            answer = _one_process(program, library, environments)
            if "error" in answer:
                name = f"startup: {program.name}"
                rows.setdefault(name, Row(name)).errors[library] = answer["error"]
            elif turn >= 0:
                for name, value in answer.items():
                    rows.setdefault(name, Row(name)).add(library, value)
    return list(rows.values())


def _one_process(
    program: Program, library: str, environments: Environments
) -> dict[str, Any]:
    command = [environments.python(library), "-c", program.source(library)]
    variables = environments.variables(program.warm_cache)
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - start
        complaint = process.stderr.read()
    if not line:
        return {"error": (complaint.strip().splitlines() or ["no output"])[-1]}
    if program.inner:
        return {f"startup: {k}": v for k, v in json.loads(line).items()}
    return {f"startup: {program.name}": taken}


# -- all of it -----------------------------------------------------------------------------


def measure(options: argparse.Namespace, environments: Environments) -> list[Row]:
    """Every row that the options ask for, shown as it comes."""
    available = [x for x in ("ferax", "jax", "numpy", "torch") if environments.has(x)]
    for missing in {"ferax", "jax"} - set(available):
        print(f"{missing} cannot be imported by {environments.python(missing)}")
    table = report.Table(available)
    rows: list[Row] = []

    def keep(found: list[Row]) -> None:
        rows.extend(found)
        table.show(found)

    def wanted(*names: str) -> bool:
        return not options.only or any(o in n for o in options.only for n in names)

    for program in PROGRAMS:
        if wanted(f"startup: {program.name}"):
            rounds = options.rounds or program.rounds
            keep(run_program(program, available, environments, rounds))
    workers = [Worker(x, environments) for x in available]
    try:
        for index, case in enumerate(all_cases()):
            if wanted(case.name):
                rounds = min(options.rounds or case.rounds, case.rounds)
                if case.processes:
                    keep(run_fresh(index, case, available, environments, rounds))
                else:
                    keep(run_case(index, case, workers, rounds))
    finally:
        for worker in workers:
            worker.close()
    table.close()
    return rows


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="ferax beside JAX, NumPy and PyTorch"
    )
    parser.add_argument(
        "only",
        nargs="*",
        help="rows whose name contains this, e.g. startup, eager, dispatch",
    )
    parser.add_argument(
        "--rounds", type=int, help="measurements per row (default: by row)"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that has ferax"
    )
    parser.add_argument(
        "--jax-python",
        default=str(ROOT / ".venv-bench" / "bin" / "python"),
        help="the Python that has jax, and torch if it is to be shown (default: .venv-bench)",
    )
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument(
        "--no-record", action="store_true", help="do not append to the history"
    )
    parser.add_argument(
        "--document", action="store_true", help="write the tables of the documents"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a row regressed"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, report, compare with the history, record."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="ferax-bench-") as cache:
        environments = Environments(options.python, options.jax_python, cache)
        rows = measure(options, environments)
        versions = report.versions(environments.ferax, environments.other)
    report.figures(rows)
    entries = report.read(options.history)
    regressions = report.compare(rows, entries, versions)
    if options.document:
        documents.write(rows, versions)
    if not options.no_record:
        report.record(options.history, rows, versions)
    return 1 if options.check and regressions else 0
