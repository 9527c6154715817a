"""Computes the shown part of a lazy result before its layer is added.

napari reads the shown part on the window's thread. If its tiles are in memory, that costs nothing;
all other tiles stay lazy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product, zip_longest
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from napari_tilewise._napari.layers.snapshot import Box

SAMPLE = 256
"""The most pixels per axis and tile from which contrast limits are chosen."""


def with_shown(
    lazy: da.Array, box: Box, cancel: threading.Event
) -> tuple[da.Array, tuple[float, float] | None]:
    """Return an array with the tiles of a box in memory, and the range of their values.

    Parameters
    ----------
    lazy
        A lazy result.
    box
        The shown part, along all axes.
    cancel
        Set to stop within one tile's time.

    Raises
    ------
    Cancelled
        If `cancel` is set.
    """
    positions = list(product(*(_covering(n, s) for n, s in zip(lazy.chunks, box, strict=True))))
    tiles: dict[tuple[int, ...], np.ndarray] = {}

    def compute(position: tuple[int, ...]) -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled: no layer was added.")
        tiles[position] = block(lazy, position)

    compute(positions[0])  # passes over the whole image happen once, in the first tile
    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(compute, positions[1:]))
    return _with_tiles(lazy, tiles), value_range(tiles.values())


def block(lazy: da.Array, position: tuple[int, ...]) -> np.ndarray:
    """Return one block, computed in this thread without dask's callbacks.

    dask's callbacks are global to the process. napari registers its cache of dask's tasks as one
    whenever its window slices a dask layer, and that cache holds the state of one computation.

    Parameters
    ----------
    lazy
        A lazy array.
    position
        The index of the block along all axes.
    """
    return np.asarray(lazy.blocks[position].compute(scheduler="synchronous", callbacks=()))


class Boxes:
    """A lazy array whose parts are NumPy arrays; blocks are cached.

    Parameters
    ----------
    lazy
        Its blocks are computed at most once while they are in the cache.
    dtype
        The data type of the parts; that of the array by default.
    """

    def __init__(self, lazy: da.Array, dtype: np.dtype | None = None) -> None:
        self.lazy = lazy
        self.shape, self.ndim = lazy.shape, lazy.ndim
        self.dtype = lazy.dtype if dtype is None else dtype
        self._token = object()
        self._starts = [np.cumsum([0, *lengths]) for lengths in lazy.chunks]

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        """Return a part; axes with a number as key are dropped."""
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


class DisplayedBoxes:
    """A level of a pyramid, of which the visible box is cut first and then a position is taken.

    Nothing is computed before both are known: the box alone would be that of every plane.

    Parameters
    ----------
    boxes
        The level.
    """

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes
        self.shape, self.ndim, self.dtype = boxes.shape, boxes.ndim, boxes.dtype

    def __getitem__(self, box: tuple[slice, ...]) -> _DisplayedCut:
        """Return the visible box of all planes, lazily."""
        return _DisplayedCut(self._boxes, box)


class _DisplayedCut:
    """A box of which a position is still to be taken."""

    def __init__(self, boxes: Boxes, box: tuple[slice, ...]) -> None:
        self._boxes, self._box = boxes, box

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        """Return the part at a position along the axes that are not displayed."""
        both = zip_longest(self._box, key, fillvalue=slice(None))
        return self._boxes[tuple(cut if k == slice(None) else k for cut, k in both)]


def _covering(lengths: tuple[int, ...], span: slice) -> range:
    ends = np.cumsum(lengths)
    first = int(np.searchsorted(ends, span.start, "right"))
    last = int(np.searchsorted(ends, span.stop - 1, "right"))
    return range(first, min(last, len(lengths) - 1) + 1)


def _with_tiles(lazy: da.Array, tiles: dict[tuple[int, ...], np.ndarray]) -> da.Array:
    """Return a lazy array with some of its blocks replaced by computed ones."""
    name = f"shown-{lazy.name}"
    layer: dict[Any, Any] = {
        (name, *position): tiles.get(position, (lazy.name, *position))
        for position in product(*(range(len(n)) for n in lazy.chunks))
    }
    sources: Any = [lazy]
    graph = HighLevelGraph.from_collections(name, layer, dependencies=sources)
    return da.Array(graph, name, lazy.chunks, dtype=lazy.dtype)


def value_range(arrays: Iterable[np.ndarray]) -> tuple[float, float] | None:
    """Return the smallest and largest finite value of samples; None if there is none.

    Parameters
    ----------
    arrays
        Pixels in memory.
    """
    low, high = np.inf, -np.inf
    for array in arrays:
        if array.size == 0:
            continue
        step = tuple(slice(None, None, -(-n // SAMPLE)) for n in array.shape)
        sample = array[step]
        sample = sample[np.isfinite(sample)]
        if sample.size:
            low, high = min(low, float(sample.min())), max(high, float(sample.max()))
    return (low, high) if low <= high else None
