"""What a pass computed of a tile and the last pass needs again, as far as it fits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.grid import Position

T = TypeVar("T")

MOST_BYTES = 2**25
"""What the tiles of one call may take together."""
OVERHEAD = 2**10
"""Bytes of a value's objects: very many small ones do not fit either."""


class Retained(Generic[T]):
    """Values by tile, each handed out once: what does not fit, or was taken, is computed again.

    Parameters
    ----------
    size
        Returns how many bytes a value takes.
    most
        Bytes of all values together.
    """

    def __init__(self, size: Callable[[T], int], most: int = MOST_BYTES) -> None:
        self._size = size
        self._free = most
        self._values: dict[Position, T] = {}
        self._lock = threading.Lock()

    def put(self, position: Position, value: T) -> T:
        """Retain a tile's value where it fits, and return it.

        Parameters
        ----------
        position
            The tile.
        value
            Not to be changed any more.
        """
        size = OVERHEAD + self._size(value)
        with self._lock:
            if size <= self._free and position not in self._values:
                self._free -= size
                self._values[position] = value
        return value

    def take(self, position: Position) -> T | None:
        """Return a tile's value, which is then forgotten; None where there is none.

        Parameters
        ----------
        position
            The tile.
        """
        with self._lock:
            value = self._values.pop(position, None)
            if value is not None:
                self._free += OVERHEAD + self._size(value)
        return value
