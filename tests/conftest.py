"""For all tests: programs and results are checked at every step (`config.enable_checks`)."""

from __future__ import annotations

import os
import pathlib

os.environ.setdefault("FERAX_ENABLE_CHECKS", "1")
# not the user's own compilation cache, but one that outlives a run
_CACHE = pathlib.Path(__file__).parent.parent / ".pytest_cache" / "programs"
os.environ.setdefault("FERAX_COMPILATION_CACHE_DIR", str(_CACHE))
