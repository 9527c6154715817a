"""How often a chunk of the source is decoded per pass: aim at most 1.3 times."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import zarr

import napari_tilewise as tw

SIZE = 8192
CHUNK = 512
CHAIN = [("filters.gaussian", {"sigma": 2}), ("filters.sobel", {}), ("filters.gaussian", {})]


class Counted:
    """An array with `shape`, `dtype`, `chunks` and slicing that counts the chunks it decodes."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self.decoded = 0
        self._lock = threading.Lock()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a box and count the chunks that it touches."""
        key = key if isinstance(key, tuple) else (key,)
        touched = 1
        for length, chunk, part in zip(self.shape, self.chunks, key, strict=False):
            start, stop, _ = (
                part.indices(length) if isinstance(part, slice) else (part, part + 1, 1)
            )
            touched *= (stop - 1) // chunk - start // chunk + 1 if stop > start else 0
        with self._lock:
            self.decoded += touched
        return np.asarray(self.array[key])


def measure(size: int, chunk: int) -> None:
    """Print the count for a chain of neighbourhood operations."""
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(size, size), chunks=(chunk, chunk), dtype="uint16"
    )
    source = Counted(array)
    result: Any = source
    chain = [(name, params) for name, params in CHAIN if name in tw.OPERATIONS]
    for name, params in chain:
        result = tw.apply(name, result, **params)
    result[...].sum().compute()
    chunks = (-(-size // chunk)) ** 2
    names = " -> ".join(name for name, _ in chain)
    print(
        f"{size} x {size}, chunks {chunk}: {names}: {source.decoded} decodes of {chunks} chunks, "
        f"{source.decoded / chunks:.2f} each"
    )


if __name__ == "__main__":
    measure(SIZE, CHUNK)
    measure(SIZE, 1024)
    measure(6000, 700)
