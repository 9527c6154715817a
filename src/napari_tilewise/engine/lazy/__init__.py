"""Lazy results: dask arrays in and out, computed by whatever scheduler dask is told to use."""

from napari_tilewise.engine.lazy.lazy_graph import keep_results, to_dask, value_of
from napari_tilewise.engine.lazy.sources import as_source

__all__ = ["as_source", "keep_results", "to_dask", "value_of"]
