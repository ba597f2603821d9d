"""For all tests: programs and results are checked at every step (`config.enable_checks`)."""

from __future__ import annotations

import os

os.environ.setdefault("FERAX_ENABLE_CHECKS", "1")
