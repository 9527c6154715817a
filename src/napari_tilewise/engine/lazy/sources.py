"""Any array is a source of pixels; a lazy result that comes back is its own operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da

from napari_tilewise.engine.lazy.dask_blocks import DaskBlocks
from napari_tilewise.engine.lazy.lazy_graph import stack_of
from napari_tilewise.engine.source import ChunkedSource, Source, array_source

if TYPE_CHECKING:
    from napari_tilewise.engine.system.cache import ChunkCache


def as_source(array: Any, cache: ChunkCache | None = None) -> Source:
    """Return any array-like as a source of pixels.

    Parameters
    ----------
    array
        The array-like.
    cache
        Holds decoded chunks; the process's own unless given.

    Raises
    ------
    InvalidImage
        For anything without `shape`, `dtype` and slicing.
    """
    if isinstance(array, da.Array):
        stack = stack_of(array)
        return ChunkedSource(DaskBlocks(array), cache) if stack is None else stack
    return array_source(array, cache)
