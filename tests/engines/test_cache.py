"""The cache of compiled programs on disk: found, damaged, shared, limited."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import ferax
from ferax.core import basis
from ferax.core.array import engine
from ferax.core.avals import Aval
from ferax.core.jaxpr import stage
from ferax.engines import cache, runtime, xla

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of this test's own; every program is worth keeping."""
    monkeypatch.setattr(xla, "_WORTH_KEEPING", 0.0)
    before = ferax.config.compilation_cache_dir
    ferax.config.update("compilation_cache_dir", str(tmp_path))
    engine().clear()
    yield tmp_path
    ferax.config.update("compilation_cache_dir", before)


def run_once(shift: float = 1.0) -> float:
    """Compile and run a program; wait until it is on disk."""
    aval = Aval((3,), np.dtype(np.float32))
    jaxpr, _ = stage(lambda x: [basis.add(x, shift)], [aval])
    (out,) = (
        engine().compile_jaxpr(jaxpr).run([engine().put(np.zeros(3, np.float32), aval)])
    )
    cache.afterwards.finish()
    return float(engine().get(out, aval)[0])


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.program"))


def test_a_program_is_compiled_once_for_all_processes(folder, monkeypatch):
    """A program on disk is loaded, not compiled."""
    assert run_once() == 1.0
    assert len(entries(folder)) == 1
    engine().clear()
    monkeypatch.setattr(runtime, "build", lambda *args: pytest.fail("compiled again"))
    assert run_once() == 1.0


def test_other_programs_have_other_names(folder):
    """A constant makes another program; an option too."""
    run_once(1.0)
    run_once(2.0)
    assert len(entries(folder)) == 2
    jaxpr, _ = stage(lambda x: [basis.add(x, 1.0)], [Aval((3,), np.dtype(np.float32))])
    engine().compile_jaxpr(jaxpr, options={"xla_cpu_enable_fast_math": True})
    run_once(3.0)
    assert len(entries(folder)) == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_damaged_entries_are_replaced(folder, damage):
    """A file that is not what was written is dropped, and the program compiled anew."""
    run_once()
    (path,) = entries(folder)
    good = path.read_bytes()
    bad = {
        "truncated": good[: len(good) // 2],
        "flipped": good[:-5] + bytes([good[-5] ^ 1]) + good[-4:],
        "empty": b"",
        "foreign": b"something else entirely",
    }[damage]
    path.write_bytes(bad)
    engine().clear()
    assert run_once() == 1.0
    assert path.read_bytes() != bad
    engine().clear()
    assert run_once() == 1.0


def test_entries_that_xla_cannot_load_are_replaced(folder):
    """A file that is whole but no program of this XLA is compiled anew and overwritten."""
    run_once()
    (path,) = entries(folder)
    cache.DiskCache(folder, -1).put(path.name.removesuffix(".program"), b"no program")
    engine().clear()
    assert run_once() == 1.0
    assert (
        cache.DiskCache(folder, -1).get(path.name.removesuffix(".program"))
        != b"no program"
    )


def test_the_cache_can_be_switched_off(folder):
    """Nothing is written while enable_compilation_cache is False."""
    ferax.config.update("enable_compilation_cache", False)
    try:
        run_once()
    finally:
        ferax.config.update("enable_compilation_cache", True)
    assert entries(folder) == []


def test_folders_that_cannot_be_used_are_no_error(tmp_path):
    """Where a file stands in the way, programs are not kept, and nothing is raised."""
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    disk = cache.DiskCache(obstacle / "folder", -1)
    disk.put("name", b"data")
    assert disk.get("name") is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="rights are POSIX's")
def test_folders_that_others_can_write_are_not_trusted(tmp_path):
    """Programs are code: the default folder must be this user's alone."""
    tmp_path.chmod(0o777)
    disk = cache.DiskCache(tmp_path, -1, private=True)
    disk.put("name", b"data")
    assert entries(tmp_path) == []
    cache.DiskCache(tmp_path, -1).put("name", b"data")
    assert disk.get("name") is None


def test_the_least_recently_used_go_first(tmp_path):
    """Beyond the limit, what was not read for longest is deleted."""
    rng = np.random.default_rng(0)
    disk = cache.DiskCache(tmp_path, 10_000)
    for i in range(8):
        disk.put(f"n{i}", rng.bytes(1000))
        os.utime(tmp_path / f"n{i}.program", (i, i))
    assert disk.get("n0") is not None  # read: now the youngest
    for i in range(8, 12):
        disk.put(f"n{i}", rng.bytes(1000))
    left = {p.name.removesuffix(".program") for p in entries(tmp_path)}
    assert sum(p.stat().st_size for p in entries(tmp_path)) <= 10_000
    assert "n0" in left
    assert "n11" in left
    assert "n1" not in left


def test_entries_larger_than_the_limit_are_not_kept(tmp_path):
    """One entry never empties the whole cache."""
    disk = cache.DiskCache(tmp_path, 500)
    disk.put("small", b"x")
    disk.put("large", np.random.default_rng(0).bytes(1000))
    assert [p.stem for p in entries(tmp_path)] == ["small"]


def test_several_writers_leave_whole_entries(tmp_path):
    """Writers of the same entry do not disturb one another or their readers."""
    data = [np.random.default_rng(i).bytes(20_000) for i in range(4)]
    caches = [cache.DiskCache(tmp_path, 100_000) for _ in range(4)]

    def work(i: int) -> bool:
        caches[i % 4].put("name", data[i % 4])
        found = caches[(i + 1) % 4].get("name")
        return found in data

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(60)))
    assert list(tmp_path.glob("*.draft")) == []


def test_clear_forgets_all(tmp_path):
    """`clear` deletes the entries, nothing else."""
    disk = cache.DiskCache(tmp_path, -1)
    disk.put("a", b"1")
    (tmp_path / "other.txt").write_text("stays")
    disk.clear()
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


def test_a_second_process_loads_what_the_first_compiled(tmp_path):
    """The time to the first result of a second process holds no compilation."""
    code = """
import numpy as np, ferax
from ferax.core import basis
from ferax.engines import xla, runtime
xla._WORTH_KEEPING = 0.0
builds = []
build = runtime.build
runtime.build = lambda *a: builds.append(1) or build(*a)
f = ferax.jit(lambda x: basis.add(basis.mul(x, x), 1.0))
print(float(f(np.float32(3))), len(builds))
"""
    environment = {**os.environ, "FERAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True,
            text=True, check=True,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert outputs == ["10.0 1\n", "10.0 0\n"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_writing_to_its_parent(tmp_path):
    """What waits to be written is written once, and the child ends."""
    code = """
import atexit, os, sys
import ferax, ferax.numpy as jnp
from ferax.engines import xla
xla._WORTH_KEEPING = 0.0
ferax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(3))
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), len(os.listdir(sys.argv[1])))
else:
    atexit._run_exitfuncs()
    os._exit(0)  # XLA's own parts do not survive the end of a forked child
"""
    environment = {**os.environ, "FERAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "0 0\n"
    assert len(entries(tmp_path)) == 1
