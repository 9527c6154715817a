"""Pyramids: made in memory for small images, read back from a run's output for large ones.

Stored ones live in one temporary directory per process, which is removed when it ends.
"""

from __future__ import annotations

import tempfile
import threading
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_lock = threading.Lock()
_numbers = count(1)
_directory: tempfile.TemporaryDirectory[str] | None = None


def new_store() -> Path:
    """Return the path of a new temporary OME-Zarr."""
    global _directory
    with _lock:
        if _directory is None:
            _directory = tempfile.TemporaryDirectory(
                prefix="napari-tilewise-", ignore_cleanup_errors=True
            )
        return Path(_directory.name) / f"{next(_numbers)}.ome.zarr"


def stored_levels(path: Path, axes: Sequence[str], *, average: bool) -> list[da.Array]:
    """Return the levels of an OME-Zarr that a run wrote, as dask arrays, at least two.

    A small image is stored with one level, and napari takes no multiscale labels of one.

    Parameters
    ----------
    path
        The store.
    axes
        The order to give the axes, by name; names that are not stored are left out. (OME-Zarr
        has its own order: channels before space.)
    average
        Whether pixels are averaged; labels and masks never are.
    """
    import zarr

    group = zarr.open_group(path, mode="r")
    names = sorted((name for name in group.array_keys() if name.isdigit()), key=int)
    ome: Any = group.attrs["ome"]
    stored = [axis["name"] for axis in ome["multiscales"][0]["axes"]]
    order = [stored.index(axis) for axis in axes if axis in stored]
    levels = [da.from_zarr(group[name]) for name in names]
    if len(levels) == 1:
        halves = [axis in "yx" for axis in stored]
        levels.append(_halved(levels[0], halves, average=average))
    return [level.transpose(order) for level in levels]


def _halved(level: da.Array, halves: Sequence[bool], *, average: bool) -> da.Array:
    """Return the next level, lazily; chunks that a run wrote have even lengths, the last aside."""
    from napari_tilewise.io.pyramid import halve

    chunks = tuple(
        tuple(-(-n // 2) for n in lengths) if half else lengths
        for lengths, half in zip(level.chunks, halves, strict=True)
    )
    halved: da.Array = da.map_blocks(
        halve, level, tuple(halves), average=average, chunks=chunks, dtype=level.dtype
    )
    return halved


def smaller(
    array: np.ndarray, shapes: Sequence[Sequence[int]], *, average: bool
) -> list[np.ndarray]:
    """Return an array followed by its coarser levels.

    Parameters
    ----------
    array
        Full resolution.
    shapes
        The input's levels' shapes, whose ratios the result's levels repeat.
    average
        Whether pixels are averaged; labels and masks never are.
    """
    levels = [array]
    for finer, coarser in pairwise(shapes):
        ratios = [max(1, round(a / b)) for a, b in zip(finer, coarser, strict=True)]
        if len(ratios) != array.ndim:
            ratios = ratios[-array.ndim :]
        levels.append(_reduced(levels[-1], ratios, average=average))
    return levels


def _reduced(array: np.ndarray, ratios: Sequence[int], *, average: bool) -> np.ndarray:
    if not average:
        return np.ascontiguousarray(array[tuple(slice(None, None, r) for r in ratios)])
    result: Any = array
    for axis, ratio in enumerate(ratios):
        if ratio > 1:
            starts = np.arange(0, result.shape[axis], ratio)
            sums = np.add.reduceat(result, starts, axis=axis, dtype=np.float64)
            lengths = np.diff(np.append(starts, result.shape[axis]))
            others = tuple(i for i in range(result.ndim) if i != axis)
            result = sums / np.expand_dims(lengths, others)
    if array.dtype.kind in "ui":
        result = np.rint(result)
    return np.asarray(result, dtype=array.dtype)
