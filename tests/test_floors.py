"""The shape of the house: which way imports point, how big things are, what is said where.

Floors: 0 types, 1 core, 2 transforms, 3 lax, 4 libraries, 5 engines, 6 doors (re-exports, the
front desk, the demo). See docs/architecture.md. Where an exception is known it stands in a
table here with its reason; the tables may only become shorter.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ferax"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FLOORS = {
    "dtypes": 0, "errors": 0, "tree_util": 0, "config": 0, "shapes": 0, "version": 0,
    "core": 1,
    "transforms": 2,
    "lax": 3, "sharding": 3,
    "numpy": 4, "scipy": 4, "nn": 4, "random": 4, "image": 4, "flatten_util": 4,
    "engines": 5,
}  # fmt: skip
DOORS = 6

# Imported within functions only, when they are needed: loading them takes longer than
# everything else together.
ON_DEMAND = {"jaxlib", "scipy", "llvmlite", "opt_einsum"}
OF_THE_DEMO = {"matplotlib", "rich", "sklearn"}

MOST_LINES_OF_A_FILE = 1200
MOST_LINES_OF_A_FUNCTION = 60
# Floors 0 to 2, to be read in a weekend. This number may only become smaller.
MOST_LINES_BELOW = 5000

# Longer functions, with their length: path, name, lines (docstring not counted).
LONG_FUNCTIONS: dict[tuple[str, str], int] = {}


def module_of(path: Path) -> str:
    """`ferax.core.array` of ferax/core/array.py, `ferax.core` of ferax/core/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def floor_of(module: str) -> int:
    """The floor of a module of ferax."""
    parts = module.split(".")
    return FLOORS.get(parts[1], DOORS) if len(parts) > 1 else DOORS


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """The modules that a file imports: name, line, whether within a function."""

    def visit(node: ast.AST, inner: bool) -> Iterator[tuple[str, int, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, child.lineno, inner
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    deeper = f"{child.module}.{alias.name}"
                    name = deeper if deeper in MODULES else str(child.module)
                    yield ("." * child.level) + name, child.lineno, inner
            function = isinstance(
                child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            )
            yield from visit(child, inner or function)

    yield from visit(tree_of(path), False)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def report(findings: list[str]) -> None:
    """Fail with all findings, one a line."""
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_imports_point_downward() -> None:
    """A file imports only from its own floor and those below, by absolute names."""
    findings = []
    for path in FILES:
        own = floor_of(module_of(path))
        for name, line, _ in imports(path):
            if name.startswith("."):
                findings.append(
                    f"{where(path, line)}: write the absolute name of {name}"
                )
            elif (
                name.split(".")[0] == "ferax"
                and name != "ferax"
                and floor_of(name) > own
            ):
                findings.append(f"{where(path, line)}: floor {own} imports {name}")
            elif name == "ferax" and own < DOORS:
                findings.append(
                    f"{where(path, line)}: import the room, not the front desk"
                )
    report(findings)


def test_imports_are_acyclic() -> None:
    """No two files import each other, not even through others."""
    graph = {
        module_of(path): {
            name
            for name, _, inner in imports(path)
            if name in MODULES and not inner and name != module_of(path)
        }
        for path in FILES
        if floor_of(module_of(path)) < DOORS
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]), pytrace=False)


def test_imports_within_functions_are_for_heavy_packages() -> None:
    """Within functions stand heavy packages and the standard library; our own rooms do not."""
    findings = []
    for path in FILES:
        for name, line, inner in imports(path):
            top = name.split(".")[0]
            allowed = top in ON_DEMAND or top in sys.stdlib_module_names
            allowed |= top in OF_THE_DEMO and path.name == "demo.py"
            allowed |= top == "rich" and path.name == "drawing.py"
            if inner and not allowed and path != PACKAGE / "__init__.py":
                findings.append(
                    f"{where(path, line)}: {name} is imported in a function"
                )
            if not inner and top in ON_DEMAND and "engines" not in path.parts:
                findings.append(f"{where(path, line)}: {name} is imported at the top")
    report(findings)


def test_importing_loads_no_heavy_package() -> None:
    """`import ferax` and an eager operation load neither jaxlib nor scipy."""
    program = (
        "import sys, ferax, ferax.numpy as jnp\n"
        "x = jnp.arange(10.) + 1\n"
        "y = ferax.grad(lambda x: jnp.sum(jnp.sin(x) @ x))(x)\n"
        f"print(*sorted({ON_DEMAND!r} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ""


def test_front_desk_is_lazy() -> None:
    """`import ferax` alone loads no room above floor 1, and `dir(ferax)` still lists them."""
    program = (
        "import sys, ferax\n"
        "rooms = [m for m in sys.modules if m.startswith('ferax.')]\n"
        "print(*[m for m in rooms if m.split('.')[1] in "
        "('transforms', 'lax', 'numpy', 'nn', 'random', 'engines')])\n"
        "print({'grad', 'jit', 'vmap', 'numpy', 'random'} <= set(dir(ferax)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines() == ["", "True"]


def test_files_are_short() -> None:
    """A file has at most 1,200 lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    report([
        f"{path.relative_to(ROOT)} has {n} lines; split it by family"
        for path, n in lengths.items()
        if n > MOST_LINES_OF_A_FILE
    ])  # fmt: skip


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions and methods of a file with their qualified names, outer ones only."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield f"{node.name}.{item.name}", item


def length_of(function: ast.FunctionDef) -> int:
    """Its lines without the docstring."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or 0) - first.lineno + 1)


def test_functions_are_short() -> None:
    """A function has at most 60 lines; the list of those that have more may only shrink."""
    long = {
        (str(path.relative_to(ROOT)), name): length_of(function)
        for path in FILES
        for name, function in functions(tree_of(path))
        if length_of(function) > MOST_LINES_OF_A_FUNCTION
    }
    findings = [
        f"{path}: {name} has {n} lines; at most {LONG_FUNCTIONS.get((path, name), 60)}"
        for (path, name), n in long.items()
        if n > LONG_FUNCTIONS.get((path, name), MOST_LINES_OF_A_FUNCTION)
    ]
    findings += [
        f"{key} is short now: delete it here" for key in LONG_FUNCTIONS.keys() - long
    ]
    report(findings)


def test_lower_floors_are_small() -> None:
    """Floors 0 to 2 have at most 5,000 lines of code (comments, docstrings, blanks apart)."""
    total = sum(len(code_lines(p)) for p in FILES if floor_of(module_of(p)) <= 2)
    assert total <= MOST_LINES_BELOW


def code_lines(path: Path) -> set[int]:
    """The numbers of the lines that hold code."""
    tree = tree_of(path)
    quiet = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
    )
    with path.open("rb") as file:
        lines = {
            line
            for token in tokenize.tokenize(file.readline)
            if token.type not in (*quiet, tokenize.ENCODING, tokenize.ENDMARKER)
            for line in range(token.start[0], token.end[0] + 1)
        }
    for node in ast.walk(tree):
        if isinstance(
            node, (ast.Module, ast.ClassDef, ast.FunctionDef)
        ) and ast.get_docstring(node):
            text = node.body[0]
            lines -= set(range(text.lineno, (text.end_lineno or 0) + 1))
    return lines


def test_files_say_what_they_are_for() -> None:
    """Every file begins with a docstring of at most 25 lines that ends in a full stop."""
    findings = []
    for path in FILES:
        text = ast.get_docstring(tree_of(path))
        if not text:
            findings.append(f"{path.relative_to(ROOT)}: no docstring at its head")
        elif len(text.splitlines()) > 25:
            findings.append(
                f"{path.relative_to(ROOT)}: a head of {len(text.splitlines())} lines"
            )
    report(findings)


def is_public(function: ast.FunctionDef) -> bool:
    """Whether it is marked `@public`: part of the API that users call."""
    names = {d.id for d in function.decorator_list if isinstance(d, ast.Name)}
    return "public" in names


def test_public_functions_are_documented_and_annotated() -> None:
    """Every function marked `@public` has a docstring and annotates what it takes and gives."""
    findings = []
    for path in FILES:
        for name, function in functions(tree_of(path)):
            if not is_public(function) or name.split(".")[-1].startswith("_"):
                continue
            if not ast.get_docstring(function):
                findings.append(
                    f"{where(path, function.lineno)}: {name} has no docstring"
                )
            arguments = function.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            bare = [a.arg for a in every if a.annotation is None and a.arg != "self"]
            if bare or function.returns is None:
                missing = ", ".join(bare) or "its result"
                findings.append(
                    f"{where(path, function.lineno)}: {name}: annotate {missing}"
                )
    report(findings)


def test_tests_say_what_they_show() -> None:
    """Every test has a docstring that states the behaviour."""
    report([
        f"{where(path, function.lineno)}: {name}"
        for path in TESTS
        for name, function in functions(tree_of(path))
        if name.split(".")[-1].startswith("test_") and not ast.get_docstring(function)
    ])  # fmt: skip


UNWANTED = {
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "say it in an issue",
    r"^\s*(import|from) jax\b(?!lib)": "ferax does without the jax package",
    r"\bjax\._src\b": "the insides of jax are not ours to use",
    r"[\"'\s(]/(home|root|work|opt|Users)/\w": "a path of one machine",
}


def test_nothing_unwanted_is_written() -> None:
    """No unfinished business, no jax package, no paths of one machine in what is shipped."""
    files = [*FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    files += [*(ROOT / "examples").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    findings = []
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, reason in UNWANTED.items():
                if re.search(pattern, line):
                    findings.append(
                        f"{where(path, number)}: {line.strip()[:60]} ({reason})"
                    )
    report(findings)


def test_version_is_that_of_the_package() -> None:
    """`ferax.__version__` is what the installed package says."""
    from importlib.metadata import PackageNotFoundError, version

    import ferax

    try:
        installed = version("ferax")
    except PackageNotFoundError:
        pytest.skip("ferax is not installed")
    assert ferax.__version__ == installed
