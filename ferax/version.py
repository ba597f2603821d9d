"""The version of this package: read by `ferax.__version__` and by the build."""

from __future__ import annotations

__version__ = "0.1.0"
__version_info__ = tuple(int(part) for part in __version__.split("."))
