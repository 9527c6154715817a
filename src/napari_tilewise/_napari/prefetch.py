"""The part of a lazy result that napari shows at once is computed before the layer is added.

napari reads what it shows on the window's thread; a lazy array whose shown tiles are already in
memory costs nothing there, and every other tile stays as lazy as it was.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from napari_tilewise.engine.machine import processors
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.snapshot import Box

SAMPLE = 256
"""Pixels per axis and tile, at most, by which contrast limits are chosen."""


def with_shown(
    lazy: da.Array, box: Box, cancel: threading.Event
) -> tuple[da.Array, tuple[float, float] | None]:
    """Return the array with the tiles of a box in memory, and the range of values met there.

    Parameters
    ----------
    lazy
        A lazy result.
    box
        The part that is shown, along all of its axes.
    cancel
        Set it to stop within one tile's time.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    positions = list(product(*(_covering(n, s) for n, s in zip(lazy.chunks, box, strict=True))))
    tiles: dict[tuple[int, ...], np.ndarray] = {}

    def work(position: tuple[int, ...]) -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled: no layer was added.")
        tiles[position] = np.asarray(lazy.blocks[position].compute(scheduler="synchronous"))

    work(positions[0])  # passes over the whole image happen here, once
    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(work, positions[1:]))
    return _held(lazy, tiles), value_range(tiles.values())


def _covering(lengths: tuple[int, ...], span: slice) -> range:
    ends = np.cumsum(lengths)
    first = int(np.searchsorted(ends, span.start, "right"))
    last = int(np.searchsorted(ends, span.stop - 1, "right"))
    return range(first, min(last, len(lengths) - 1) + 1)


def _held(lazy: da.Array, tiles: dict[tuple[int, ...], np.ndarray]) -> da.Array:
    """Return the lazy array with some of its blocks replaced by what they are."""
    name = f"shown-{lazy.name}"
    layer: dict[Any, Any] = {
        (name, *position): tiles.get(position, (lazy.name, *position))
        for position in product(*(range(len(n)) for n in lazy.chunks))
    }
    sources: Any = [lazy]
    graph = HighLevelGraph.from_collections(name, layer, dependencies=sources)
    return da.Array(graph, name, lazy.chunks, dtype=lazy.dtype)


def value_range(arrays: Any) -> tuple[float, float] | None:
    """Return the smallest and largest finite value of a sample of some arrays.

    Parameters
    ----------
    arrays
        NumPy arrays.
    """
    low, high = np.inf, -np.inf
    for array in arrays:
        step = tuple(slice(None, None, -(-n // SAMPLE)) for n in array.shape)
        sample = array[step]
        sample = sample[np.isfinite(sample)]
        if sample.size:
            low, high = min(low, float(sample.min())), max(high, float(sample.max()))
    return (low, high) if low <= high else None
