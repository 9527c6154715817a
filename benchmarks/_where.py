"""Where the time of a call goes: the innermost function of ours in each running thread, sampled."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

STEP = 0.001
"""Seconds between samples."""
PACKAGE = "napari_tilewise"
IDLE = ("threading.py", "thread.py", "queue.py", "_base.py")
"""Files whose functions wait for other threads."""


def shares(call: Callable[[], Any], seconds: float, most: int = 3) -> list[tuple[str, float]]:
    """Return the functions that most of the running threads' samples lie in, and their shares.

    The call is repeated for at least so many seconds.
    """
    counts: Counter[str] = Counter()
    is_over = threading.Event()

    def sample() -> None:
        own = threading.get_ident()
        while not is_over.wait(STEP):
            frames = (frame for ident, frame in sys._current_frames().items() if ident != own)
            counts.update(name for name in map(_innermost, frames) if name is not None)

    sampler = threading.Thread(target=sample)
    sampler.start()
    end = time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            call()
    finally:
        is_over.set()
        sampler.join()
    total = max(1, sum(counts.values()))
    return [(name, count / total) for name, count in counts.most_common(most)]


def _innermost(frame: FrameType) -> str | None:
    """Return a running frame's innermost function of the package; None where the thread waits."""
    if Path(frame.f_code.co_filename).name in IDLE:
        return None
    walked: FrameType | None = frame
    while walked is not None:
        path = Path(walked.f_code.co_filename)
        if PACKAGE in path.parts:
            name = walked.f_code.co_name
            if name == "call" and path.stem == "library":
                return f"kernel {walked.f_locals.get('name')}"
            return f"{path.stem}.{name}"
        walked = walked.f_back
    return None


def floor(image: np.ndarray, result: Any) -> float:
    """Return the least seconds to read the image and to write its result, in one thread."""
    arrays = [image]
    if isinstance(result, np.ndarray) and result.size > 1:
        arrays.append(result)
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        for array in arrays:
            array.max() if array is image else np.copyto(np.empty_like(array), array)
        best = min(best, time.perf_counter() - begin)
    return best
