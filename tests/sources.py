"""Sources that tests read from."""

from __future__ import annotations

import itertools
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import zarr

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


class LoggedArray:
    """A Zarr array on disk that notes each chunk that is read, in a file that processes share."""

    def __init__(self, path: str, log: str) -> None:
        self.path, self.log = path, log
        self._array = zarr.open_array(path, mode="r")
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self.chunks = self._array.chunks

    def __reduce__(self):
        return LoggedArray, (self.path, self.log)

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        spans = [
            range(s.start // c, -(-s.stop // c)) for s, c in zip(region, self.chunks, strict=True)
        ]
        lines = "".join(f"{position}\n" for position in itertools.product(*spans))
        with open(self.log, "a") as file:
            file.write(lines)
        return self._array[region]

    def reads(self) -> float:
        """Return how often each chunk was read since the last call."""
        path = Path(self.log)
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return len(lines) / prod(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))
