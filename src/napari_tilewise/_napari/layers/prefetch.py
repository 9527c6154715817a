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

from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.engine.machine import processors
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.layers.snapshot import Box

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
        tiles[position] = block(lazy, position)

    work(positions[0])  # passes over the whole image happen here, once
    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(work, positions[1:]))
    return _held(lazy, tiles), value_range(tiles.values())


def block(lazy: da.Array, position: tuple[int, ...]) -> np.ndarray:
    """Return one block, computed in this thread and unheard by dask's callbacks.

    Those registered are the process's, and whoever computes in any thread meets them: napari's
    cache of dask's tasks is registered whenever its window slices a dask layer, and holds the
    state of one computation at a time.

    Parameters
    ----------
    lazy
        A lazy array.
    position
        Which block, along all axes.
    """
    return np.asarray(lazy.blocks[position].compute(scheduler="synchronous", callbacks=()))


class Boxes:
    """A lazy array whose boxes are NumPy arrays: blocks are computed at most once while kept.

    Parameters
    ----------
    lazy
        The lazy array.
    """

    def __init__(self, lazy: da.Array) -> None:
        self.lazy = lazy
        self.shape, self.dtype, self.ndim = lazy.shape, lazy.dtype, lazy.ndim
        self._token = object()
        self._starts = [np.cumsum([0, *lengths]) for lengths in lazy.chunks]

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        """Return a box; an axis where the key holds a number is dropped."""
        key += (slice(None),) * (self.ndim - len(key))
        spans = [
            slice(*(k if isinstance(k, slice) else slice(k, k + 1)).indices(n)[:2])
            for k, n in zip(key, self.shape, strict=True)
        ]
        out = np.empty([s.stop - s.start for s in spans], self.dtype)

        def fill(position: tuple[int, ...]) -> None:
            tile = shared_cache().get((self._token, position), lambda: block(self.lazy, position))
            to, of = [], []
            for starts, p, s in zip(self._starts, position, spans, strict=True):
                low, high = max(starts[p], s.start), min(starts[p + 1], s.stop)
                to.append(slice(low - s.start, high - s.start))
                of.append(slice(low - starts[p], high - starts[p]))
            out[tuple(to)] = tile[tuple(of)]

        with ThreadPoolExecutor(processors()) as pool:
            covered = (_covering(n, s) for n, s in zip(self.lazy.chunks, spans, strict=True))
            list(pool.map(fill, product(*covered)))
        return out[tuple(slice(None) if isinstance(k, slice) else 0 for k in key)]


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
