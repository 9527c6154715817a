"""Pyramids of results: computed in memory for small images, read from a run's output for large.

Stored pyramids are in a temporary directory per process, which is deleted when it ends.
"""

from __future__ import annotations

import tempfile
import threading
from itertools import count, pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.widgets.settings import results_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.io.image import Image
    from napari_tilewise.types import Array

LARGE = 64 * 2**20
"""The most pixels of a plane that is shown without a pyramid."""
_SIDE = 1024
"""The chunk along y and x of a file without chunks."""
_SAMPLE = 2**22
"""The most pixels that are all read to choose contrast limits."""

_lock = threading.Lock()
_numbers = count(1)
_directories: dict[Path, tempfile.TemporaryDirectory[str]] = {}


def new_store() -> Path:
    """Return the path of a new temporary OME-Zarr, in the folder that the user prefers.

    Raises
    ------
    DestinationUnwritable
        If nothing can be written there.
    """
    with _lock:
        folder = results_folder()
        if folder not in _directories:
            _directories[folder] = tempfile.TemporaryDirectory(
                prefix="napari-tilewise-", dir=folder, ignore_cleanup_errors=True
            )
        return Path(_directories[folder].name) / f"{next(_numbers)}.ome.zarr"


def can_show(image: Image) -> bool:
    """Return whether a stored image has a pyramid, or planes that need none.

    Parameters
    ----------
    image
        A run's output.
    """
    shape = tuple(image.data.shape)
    plane = shape[-2:]
    if {"y", "x"} <= set(image.axes):
        plane = tuple(n for axis, n in zip(image.axes, shape, strict=True) if axis in "yx")
    return len(image.levels) > 1 or prod(plane) <= LARGE


def stored_levels(
    image: Image, axes: Sequence[str], *, dtype: np.dtype, average: bool
) -> list[da.Array]:
    """Return the levels of a run's output as dask arrays, at least two.

    A small image is stored with one level, but napari's multiscale labels need two.

    Parameters
    ----------
    image
        A run's output.
    axes
        The axes of the result. (A file may order them otherwise, or drop axes of length one.)
    dtype
        The data type of the result. (A file may store masks as integers.)
    average
        Whether pixels are averaged; not for labels and masks.
    """
    stored = list(image.axes)
    renamed = len(stored) == len(axes) and set(stored) != set(axes)
    if not stored or image.has_guessed_axes or renamed:
        stored = list(axes)  # the file has them in this order
    levels = [_lazy(level, stored).astype(dtype) for level in image.levels]
    if len(levels) == 1:
        halves = [axis in "yx" for axis in stored]
        levels.append(_halved(levels[0], halves, average=average))
    return [_ordered(level, stored, axes) for level in levels]


def _lazy(level: Any, axes: Sequence[str]) -> da.Array:
    """Return a stored level in chunks of even lengths, except the last."""
    chunks = getattr(level, "chunks", None) or [_SIDE if axis in "yx" else 1 for axis in axes]
    even = tuple(min(n, c + c % 2) for c, n in zip(chunks, level.shape, strict=True))
    lazy: da.Array = da.from_array(level, chunks=even, name=False, asarray=True)
    return lazy


def _ordered(level: da.Array, stored: Sequence[str], axes: Sequence[str]) -> da.Array:
    """Return a level with the axes of the result.

    A file may drop an axis of length one, or add one.
    """
    level = level[tuple(slice(None) if axis in axes else 0 for axis in stored)]
    common = [axis for axis in stored if axis in axes]
    level = level.transpose([common.index(axis) for axis in axes if axis in common])
    full: da.Array = level[tuple(slice(None) if axis in common else None for axis in axes)]
    return full


def sample(level: da.Array) -> Array:
    """Return pixels to choose contrast limits from: all of a small level, else one plane.

    Parameters
    ----------
    level
        The coarsest level of a result.
    """
    if level.size > _SAMPLE:
        # The middle along all axes except the two longest and samples.
        plane = sorted(range(level.ndim), key=lambda axis: level.shape[axis])[-2:]
        whole = [axis in plane or n <= 4 for axis, n in enumerate(level.shape)]
        middle = (n // 2 for n in level.shape)
        level = level[tuple(slice(None) if w else n for w, n in zip(whole, middle, strict=True))]
    return np.asarray(level)


def _halved(level: da.Array, halves: Sequence[bool], *, average: bool) -> da.Array:
    """Return the next level, lazily; all chunks but the last have even lengths."""
    from napari_tilewise.io.writers.pyramid import halve

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
        The pixels at full resolution.
    shapes
        The shapes of the input's levels; the result's levels have the same ratios.
    average
        Whether pixels are averaged; not for labels and masks.
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
