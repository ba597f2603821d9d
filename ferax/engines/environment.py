"""What bug reports need to know: versions, devices, the machine."""

from __future__ import annotations

import platform
import sys

import numpy as np

from ferax.engines import devices, runtime
from ferax.version import __version__


def print_environment_info(return_string: bool = False) -> str | None:
    """Print the versions and devices in use, or give them as text.

    >>> import ferax
    >>> ferax.print_environment_info(return_string=True).split(":")[0]
    'ferax'
    """
    known = devices.local_devices()
    lines = [
        f"ferax:  {__version__}",
        f"jaxlib: {runtime.VERSION}",
        f"numpy:  {np.__version__}",
        f"python: {sys.version.splitlines()[0]}",
        f"devices: {len(known)} of {known[0].device_kind}, on this process",
        f"process_count: {devices.process_count()}",
        f"platform: {platform.platform()}",
    ]
    if return_string:
        return "\n".join(lines)
    print("\n".join(lines))  # noqa: T201
    return None
