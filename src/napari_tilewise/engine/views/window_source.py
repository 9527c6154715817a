"""A source of which some boxes stay in memory, so that what a view needs is read once."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from napari_tilewise.grid import clip, grow, intersect, within

if TYPE_CHECKING:
    import numpy as np

    from napari_tilewise.engine.source import Source
    from napari_tilewise.grid import Region

MOST_BOXES = 3
"""How many boxes stay in memory: views of neighbouring planes, or before and after a zoom."""


class WindowSource:
    """A source that reads the boxes it holds from memory, and all others from the inner source.

    Parameters
    ----------
    inner
        Where pixels are pulled from.
    """

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.shape = inner.shape
        self.ndim = len(inner.shape)
        self.dtype = inner.dtype
        self.chunks = inner.chunks
        self._lock = threading.Lock()
        self._boxes: deque[tuple[Region, np.ndarray]] = deque(maxlen=MOST_BOXES)

    def hold(self, region: Region, margin: int = 0) -> None:
        """Hold a box in memory; the boxes before the last few are dropped.

        Parameters
        ----------
        region
            The box.
        margin
            By how many pixels it is grown along each axis longer than one, unless it is held
            already: the view moves, and neighbourhoods grow.
        """
        if self._in_memory(region) is not None:
            return
        spans = [(margin, margin) if span.stop - span.start > 1 else (0, 0) for span in region]
        box = clip(grow(region, tuple(spans)), self.shape)
        pixels = self.inner.read(box)
        with self._lock:
            self._boxes.append((box, pixels))

    def read(self, region: Region) -> np.ndarray:
        """Return a box."""
        pixels = self._in_memory(region)
        return self.inner.read(region) if pixels is None else pixels

    def _in_memory(self, region: Region) -> np.ndarray | None:
        with self._lock:
            for box, pixels in self._boxes:
                if intersect(region, box) == region:
                    return pixels[within(region, box)]
        return None

    def prepare(self, region: Region | None = None) -> None:
        """Prepare the inner source."""
        self.inner.prepare(region)

    @property
    def waits(self) -> bool:
        """Whether reading the inner source waits."""
        return self.inner.waits

    def fetch(self, region: Region) -> bool:
        """Begin to read a box, unless it is in memory."""
        return self._in_memory(region) is not None or self.inner.fetch(region)
