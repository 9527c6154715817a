"""Sources that tests read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class ArrayLike:
    """Shape, dtype, slicing and nothing else: a source the engine knows nothing about."""

    def __init__(self, array: np.ndarray, chunks: tuple[int, ...]) -> None:
        self._array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, chunks
        self.reads: list[tuple[slice, ...]] = []

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        self.reads.append(region)
        return self._array[region]
