"""How many of a number of tiles or items are done, how fast, and when the rest will be."""

from __future__ import annotations

import time

from napari_tilewise.sizes import duration, plural


class Speed:
    """The speed of work that has a known number of parts.

    Parameters
    ----------
    total
        Number of parts.
    unit
        What a part is: ``"tile"``, ``"item"``.
    """

    def __init__(self, total: int, unit: str) -> None:
        self.done, self._total, self._unit = 0, total, unit
        self._started = time.monotonic()

    def __str__(self) -> str:
        """Return how far the work is, its rate and the time left."""
        seconds = time.monotonic() - self._started
        text = f"{self.done}/{plural(self._total, self._unit)}"
        if not self.done:
            return f"{text} after {duration(seconds)}"
        rate = self.done / max(seconds, 1e-9)
        speed = f"{rate:.1f} per second" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{text}, {speed}, {duration((self._total - self.done) / rate)} left"
