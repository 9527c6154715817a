"""The watershed from markers: sorted levels take the place of scikit-image's queue.

With distances (`compactness`) or NaN it is the queue itself, as in `flood_slices`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage.util import regular_seeds

from napari_tilewise.kernels.arrays import GREY, ORDERED, contiguous, type_code
from napari_tilewise.kernels.extrema_plateaus import LOCAL_MINIMA
from napari_tilewise.kernels.flood_slices import (
    CAPACITY,
    NEXT,
    OUTSIDE,
    SIZE,
    STATE,
    Flood,
    entry_dtype,
)
from napari_tilewise.kernels.footprint_windows import has_nan
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.labels.scipy_components import NDIMAGE_LABEL
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.run_lists import RunLists

_INTEGERS = tuple(np.dtype(name) for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
_IMAGES = (*_INTEGERS, np.dtype("f4"), np.dtype("f8"), np.dtype(bool))
_FIRST_ROOM = 2**14
"""Entries that a queue has room for at first."""
_MOST_MEASURED = 2**18
"""Pixels of an image that is flooded with distances: each neighbour may put a pixel into the queue,
which may take more memory than anything else."""
_MOST_POPS = 2**62
"""How many of them may leave it before it is full."""


def _exact(
    image: np.ndarray,
    markers: Any = None,
    connectivity: Any = 1,
    offset: Any = None,
    mask: Any = None,
    compactness: float = 0,
    watershed_line: bool = False,
) -> bool:
    return (
        image.dtype in _IMAGES
        and 1 <= image.ndim <= 3
        and 0 < image.size < 2**30
        and _has_seeds(image, markers)
        and (mask is None or (np.shape(mask) == image.shape and mask.dtype == np.bool_))
        and type(connectivity) is int
        and 1 <= connectivity <= image.ndim
        and offset is None
        and _measures_in_order(image, compactness)
        and not watershed_line
        and not (markers is None and (image.dtype not in ORDERED or has_nan(image)))
    )


def _measures_in_order(image: np.ndarray, compactness: float) -> bool:
    """Return whether distances, if any, are those in the image, and take little memory.

    The function confuses the axes of an image that lies in another order in memory.
    """
    return compactness == 0 or (
        type(compactness) in (int, float)
        and 0 < compactness < np.inf
        and image.size <= _MOST_MEASURED
        and (image.ndim == 1 or image.flags.c_contiguous)
    )


def _has_seeds(image: np.ndarray, markers: Any) -> bool:
    """Return whether these are markers that scikit-image takes as labels."""
    if markers is None or type(markers) is int:
        return markers is None or markers > 0
    return (
        isinstance(markers, np.ndarray)
        and markers.dtype in _INTEGERS
        and markers.shape == image.shape
        and markers.flags.c_contiguous  # the function writes to a copy of others
    )


def _seeds(image: np.ndarray, markers: Any, connectivity: int, inside: np.ndarray) -> np.ndarray:
    """Return the markers as scikit-image makes them: labels inside the mask."""
    if markers is None:
        minima = LOCAL_MINIMA.run(image, connectivity=connectivity) * inside
        structure = ndi.generate_binary_structure(image.ndim, connectivity)
        return np.asarray(NDIMAGE_LABEL.run(minima, structure=structure)[0])
    if isinstance(markers, int):
        share = np.sum(inside) / image.size
        markers = regular_seeds(image.shape, int(markers / share))
    return np.asarray(markers * inside)


def _uncontested(inside: np.ndarray, seeds: np.ndarray, connectivity: int) -> np.ndarray | None:
    """Return the flood where no component of the mask holds seeds of two labels; else None."""
    runs = RunLists(inside, connectivity)
    flat = seeds.ravel()
    indices = np.flatnonzero(flat)
    components, labels = runs.labels().ravel()[indices], flat[indices]
    table = np.zeros(runs.count + 1, seeds.dtype)
    table[components] = labels
    return runs.look_up(table) if (table[components] == labels).all() else None


def _neighbour_steps(shape: tuple[int, ...], structure: np.ndarray) -> np.ndarray:
    """Return the steps from a pixel to its neighbours in the flattened image, nearest first.

    Equally distant neighbours keep the raster order, which decides ties as in scikit-image.
    """
    offsets = np.argwhere(structure) - 1
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    distances = np.abs(offsets).sum(axis=1)
    order = np.argsort(distances, kind="stable")[1:]  # without the pixel itself
    return np.ascontiguousarray(offsets[order] @ strides, np.int64)


def watershed(
    image: np.ndarray,
    markers: Any = None,
    connectivity: Any = 1,
    offset: Any = None,
    mask: Any = None,
    compactness: float = 0,
    watershed_line: bool = False,
) -> np.ndarray:
    """Flood an image from markers, as `skimage.segmentation.watershed` does.

    Parameters
    ----------
    image, markers, connectivity, offset, mask, compactness, watershed_line
        As there.
    """
    inside = np.ones(image.shape, bool) if mask is None else mask
    seeds = contiguous(_seeds(image, markers, connectivity, inside))
    filled = None if mask is None else _uncontested(inside, seeds, connectivity)
    if filled is not None:
        return filled
    arrays = {
        "image": np.pad(contiguous(image), 1),
        "inside": np.pad(contiguous(inside), 1),
        "labels": np.pad(seeds, 1),
    }
    del seeds  # of the image's size
    structure = ndi.generate_binary_structure(image.ndim, connectivity)
    steps = _neighbour_steps(arrays["image"].shape, structure)
    if compactness > 0 or has_nan(image):
        _flood_by_queue(arrays, steps, float(compactness))
    else:
        _flood_by_levels(arrays, steps)
    return arrays["labels"][(slice(1, -1),) * image.ndim].copy()


def _flood_by_levels(arrays: dict[str, np.ndarray], steps: np.ndarray) -> None:
    image, labels = arrays["image"], arrays["labels"]
    call(
        "flood",
        image,
        type_code(image.dtype),
        arrays["inside"],
        labels,
        labels.itemsize,
        image.size,
        steps,
        len(steps),
    )


def _flood_by_queue(arrays: dict[str, np.ndarray], steps: np.ndarray, compactness: float) -> None:
    """Flood with distances, or levels that have no order."""
    shape = arrays["image"].shape
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    flood = Flood(steps, np.ascontiguousarray(strides, np.int64), compactness, lines=False)
    if arrays["image"].dtype not in GREY:
        arrays["image"] = arrays["image"].astype(np.float64)
    image, labels = arrays["image"], arrays["labels"]
    arrays["places"] = np.where(arrays.pop("inside"), labels != 0, np.uint8(OUTSIDE))
    state = arrays["state"] = np.zeros(STATE, np.int64)
    entry = entry_dtype(flood, image.dtype, image.size, has_nan=True)
    arrays["heap"] = np.empty(_FIRST_ROOM, entry)
    while state[NEXT] < image.size or state[SIZE]:
        if len(arrays["heap"]) - state[SIZE] <= len(steps):
            full = arrays["heap"]
            arrays["heap"] = np.empty(2 * len(full) + len(steps), full.dtype)
            arrays["heap"][: len(full)] = full
        state[CAPACITY] = len(arrays["heap"])
        if state[NEXT] < image.size:
            flood.push_markers(arrays, image.size)
        else:
            flood.go(arrays, _MOST_POPS)
    flood.label(arrays["places"], labels, 0, image.size)


WATERSHED = Kernel("skimage.segmentation.watershed", _exact, watershed)
