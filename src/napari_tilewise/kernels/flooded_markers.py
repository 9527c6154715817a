"""The watershed from markers: scikit-image's queue, with smaller entries."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage.util import regular_seeds

from napari_tilewise.kernels.arrays import GREY, contiguous, type_code
from napari_tilewise.kernels.extrema_plateaus import LOCAL_MINIMA
from napari_tilewise.kernels.footprint_windows import has_nan
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.run_lists import NDIMAGE_LABEL, RunLists

_LABELS = (np.dtype("i4"), np.dtype("i8"))


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
        image.dtype in GREY
        and 1 <= image.ndim <= 3
        and 0 < image.size < 2**30
        and _has_seeds(image, markers)
        and (mask is None or (np.shape(mask) == image.shape and mask.dtype == np.bool_))
        and type(connectivity) is int
        and 1 <= connectivity <= image.ndim
        and offset is None
        and compactness == 0
        and not watershed_line
        and not has_nan(image)
    )


def _has_seeds(image: np.ndarray, markers: Any) -> bool:
    """Return whether these are markers that scikit-image turns into 32- or 64-bit labels."""
    if markers is None or type(markers) is int:
        return markers is None or markers > 0
    return (
        isinstance(markers, np.ndarray)
        and markers.dtype in _LABELS
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
    padded = np.pad(contiguous(image), 1)
    labels = np.pad(seeds, 1)
    structure = ndi.generate_binary_structure(image.ndim, connectivity)
    steps = _neighbour_steps(padded.shape, structure)
    call(
        "flood",
        padded,
        type_code(padded.dtype),
        np.pad(contiguous(inside), 1),
        labels,
        type_code(labels.dtype),
        padded.size,
        steps,
        len(steps),
    )
    return labels[(slice(1, -1),) * image.ndim].copy()


WATERSHED = Kernel("skimage.segmentation.watershed", _exact, watershed)
