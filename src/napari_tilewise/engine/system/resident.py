"""The memory of this process, as the system counts it."""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache

import psutil

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_LONGEST = 2**16
"""Bytes of a file about a process, which are fewer."""


def resident() -> int:
    """Return the resident memory of this process now, in bytes."""
    pages = _proc_file("statm")
    if pages is not None:
        return int(pages.split(maxsplit=2)[1]) * _PAGE
    return int(_process(os.getpid()).memory_info().rss)


@lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    """Return this process: to look it up takes longer than to ask it."""
    return psutil.Process(pid)


def _proc_file(name: str) -> bytes | None:
    """Return what Linux says of this process in a file; None where there is no such file.

    The file stays open: each item of a batch asks several times, and opening takes longest.
    """
    file = _open_proc_file(name, os.getpid()) if sys.platform == "linux" else None
    try:
        return None if file is None else os.pread(file, _LONGEST, 0)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _open_proc_file(name: str, pid: int) -> int | None:
    """Return the descriptor of a file about this process: one that was forked opens its own."""
    try:
        return os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def peak_resident() -> int:
    """Return the most memory that this process ever held, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # Linux counts the memory of the process that started this one into `ru_maxrss`.
    peak = re.search(rb"^VmHWM:\s*(\d+) kB", _proc_file("status") or b"", re.M)
    if peak is not None:
        return int(peak[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
