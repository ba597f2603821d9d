"""Compiled programs on disk, so that a program is compiled once per machine, not per process.

An entry is a file named by the hash of all that the program depends on. It begins with a
checksum; one that is truncated or damaged is deleted and counts as absent. Files are written
beside their place and moved into it, so that several processes can share the folder. When the
files exceed the limit, the ones not used for longest are deleted.

Loading a program means running its code: the default folder must belong to the user alone.
A cache that cannot be read or written is no error: programs are compiled then.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import platform
import stat
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

_MAGIC = b"ferax 1\n"
_DIGEST = 16
_SUFFIX = ".program"
_KEEP = 0.8  # of the limit remains after an eviction

log = logging.getLogger("ferax.cache")


def digest(*parts: bytes) -> str:
    """A name for the entry that depends on these bytes."""
    state = hashlib.blake2b(digest_size=20)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def default_folder() -> Path:
    """Where programs are kept if the user chose no folder."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen) / "ferax"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (
            (Path(local) if local else Path.home() / "AppData" / "Local")
            / "ferax"
            / "cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ferax"
    return Path.home() / ".cache" / "ferax"


@cache
def processor() -> bytes:
    """What of this machine a program compiled for its CPU depends on."""
    features = b""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            for line in file:
                if line.startswith((b"flags", b"Features", b"model name")):
                    features += line
                if line == b"\n":  # the end of the first processor
                    break
    except OSError:
        features = platform.processor().encode()
    return platform.machine().encode() + features


class DiskCache:
    """A folder of entries, bytes by name, of limited size.

    Args:
        folder: made when first written to.
        limit: bytes of all entries; -1 for no limit.
        private: refuse the folder unless it is this user's alone.
    """

    def __init__(self, folder: Path, limit: int, private: bool = False):
        self.folder = folder
        self.limit = limit
        self.private = private
        self._total: int | None = (
            None  # bytes in the folder, as far as this process knows
        )
        self._lock = threading.Lock()
        self._trusted: bool | None = None

    def get(self, name: str) -> bytes | None:
        """The entry, or None."""
        path = self.folder / (name + _SUFFIX)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        if not self._is_trusted():
            return None
        data = _unpacked(raw)
        try:
            if data is None:
                log.warning("deleted the damaged entry %s", path)
                path.unlink()
            else:
                os.utime(path)  # the eviction goes by this time
        except OSError:
            pass
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep an entry."""
        raw = _packed(data)
        if 0 <= self.limit < len(raw):
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_trusted():
                return
            handle, draft = tempfile.mkstemp(suffix=".draft", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(raw)
                os.replace(draft, self.folder / (name + _SUFFIX))
            except BaseException:
                os.unlink(draft)
                raise
            self._count(len(raw))
        except OSError as error:
            log.info("a program was not kept in %s: %s", self.folder, error)

    def remove(self, name: str) -> None:
        """Forget an entry."""
        try:
            (self.folder / (name + _SUFFIX)).unlink()
        except OSError:
            pass

    def clear(self) -> None:
        """Forget all entries."""
        for path in self.folder.glob("*" + _SUFFIX):
            self.remove(path.name.removesuffix(_SUFFIX))
        self._total = None

    def _is_trusted(self) -> bool:
        if self._trusted is None:
            self._trusted = not self.private or _owned(self.folder)
            if not self._trusted:
                log.warning("%s is not this user's alone; it is not used", self.folder)
        return self._trusted

    def _count(self, added: int) -> None:
        """Note what was added; make room if it is too much."""
        if self.limit < 0:
            return
        with self._lock:
            if self._total is not None:
                self._total += added
                if self._total <= self.limit:
                    return
            entries = []
            with os.scandir(self.folder) as listing:
                for entry in listing:
                    try:
                        status = entry.stat()
                    except OSError:  # another process deleted it
                        continue
                    entries.append((status.st_mtime_ns, status.st_size, entry.path))
            self._total = sum(size for _, size, _ in entries)
            if self._total <= self.limit:
                return
            for _, size, path in sorted(entries):
                try:
                    os.unlink(path)
                except OSError:
                    pass
                self._total -= size
                if self._total <= self.limit * _KEEP:
                    return


class Afterwards:
    """Work that can wait until the program's first results are there.

    To serialize a program holds Python up for some milliseconds: not when it is about to run
    for the first time, but a second later, or when the interpreter ends.
    """

    DELAY = 1.0  # seconds

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._lock = threading.Lock()  # of the list
        self._working = threading.Lock()

    def add(self, work: Callable[[], None]) -> None:
        """Do this after the delay, on another thread."""
        with self._lock:
            self._waiting.append(work)
            first = len(self._waiting) == 1
        if first:
            threading.Thread(target=self._run, daemon=True, name="ferax-cache").start()

    def _run(self) -> None:
        time.sleep(self.DELAY)
        self.finish()

    def finish(self) -> None:
        """Do now what is waiting; what another thread is at is waited for."""
        with self._working:
            with self._lock:
                works, self._waiting = self._waiting, []
            for work in works:
                work()


afterwards = Afterwards()
atexit.register(afterwards.finish)
if hasattr(os, "register_at_fork"):
    # a forked child has neither the thread nor the locks
    os.register_at_fork(after_in_child=afterwards.__init__)  # type: ignore[misc]


def _packed(data: bytes) -> bytes:
    body = zlib.compress(data, 1)
    return _MAGIC + hashlib.blake2b(body, digest_size=_DIGEST).digest() + body


def _unpacked(raw: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST
    body = raw[start:]
    if raw[: len(_MAGIC)] != _MAGIC:
        return None
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != raw[len(_MAGIC) : start]:
        return None
    return zlib.decompress(body)


def _owned(folder: Path) -> bool:
    """Whether nobody but this user can write into the folder."""
    if not hasattr(os, "getuid"):
        return True
    try:
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (
        stat.S_IWGRP | stat.S_IWOTH
    )
