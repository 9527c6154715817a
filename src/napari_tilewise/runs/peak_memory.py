"""The most memory that a run held, measured while it ran: this process and those that it started.

Samples miss what lasts for less than the time between two of them; where the system's own mark of
the process rose during the run, the mark is used.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import psutil

from napari_tilewise.engine.system.resident import peak_resident

if TYPE_CHECKING:
    from types import TracebackType

FIRST, LONGEST = 0.005, 0.1
"""Seconds to the first sample, and between two of a long run."""


class PeakMemory:
    """Measures the peak of resident memory between its start and its end.

    Parameters
    ----------
    children
        Whether the processes that this one started count too.
    """

    def __init__(self, *, children: bool = False) -> None:
        self._process = psutil.Process()
        self._has_children = children
        self._mark = peak_resident()
        self._highest = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tilewise-memory", daemon=True)

    @property
    def bytes(self) -> int:
        """The most memory held until now, in bytes."""
        mark = peak_resident()
        return max(self._highest, mark) if mark > self._mark else self._highest

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        pause = FIRST
        while not self._is_over.wait(pause):
            self._sample()
            pause = min(2 * pause, LONGEST)

    def _sample(self) -> None:
        total = 0
        for process in (self._process, *self._children()):
            try:
                total += int(process.memory_info().rss)
            except psutil.Error:  # it has just ended
                continue
        self._highest = max(self._highest, total)

    def _children(self) -> list[psutil.Process]:
        if not self._has_children:
            return []
        try:
            return self._process.children(recursive=True)
        except psutil.Error:
            return []
