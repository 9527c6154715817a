"""Memory that was freed stays with the process while many small images follow each other.

The C library returns every large array to the system, which clears each of its pages again for the
next image: a third of the time that a small image takes.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of the options in glibc's malloc.h."""
RETAINED, LARGEST = 64 * 2**20, 16 * 2**20
"""Most bytes that stay at the end of a heap, and of an array that lies there."""


@cache
def keep_freed_memory() -> None:
    """Keep some freed memory for the next image, from now on; nothing where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, LARGEST)
        option(_TRIM_THRESHOLD, RETAINED)
