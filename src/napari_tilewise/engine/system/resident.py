"""The memory of this process, as the system counts it."""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path

import psutil


def resident() -> int:
    """Return the resident memory of this process now, in bytes."""
    return int(_process(os.getpid()).memory_info().rss)


@lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    """Return this process: to look it up takes longer than to ask it."""
    return psutil.Process(pid)


def peak_resident() -> int:
    """Return the most memory that this process ever held, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    try:
        # Linux counts the memory of the process that started this one into `ru_maxrss`.
        peak = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    except OSError:
        peak = None
    if peak is not None:
        return int(peak[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
