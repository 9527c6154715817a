"""SciPy's labels and filled holes, found as lists of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.run_lists import RunLists, is_labelable


def _connectivity_of(structure: Any, ndim: int) -> int | None:
    """Return the connectivity whose structuring element this is, or None."""
    if structure is None:
        return 1
    structure = np.asarray(structure)
    for connectivity in range(1, ndim + 1):
        if np.array_equal(structure, ndi.generate_binary_structure(ndim, connectivity)):
            return connectivity
    return None


def _exact_for_ndimage_label(input: np.ndarray, structure: Any = None, output: Any = None) -> bool:
    connectivity = _connectivity_of(structure, input.ndim)
    return (
        output is None
        and input.dtype.kind in "buif"
        and connectivity is not None
        and is_labelable(input, connectivity)
    )


def ndimage_label(
    input: np.ndarray, structure: Any = None, output: Any = None
) -> tuple[np.ndarray, int]:
    """Label connected components of what is not 0, as `scipy.ndimage.label` does.

    Parameters
    ----------
    input, structure, output
        As there.
    """
    mask = input if input.dtype == np.bool_ else input != 0
    runs = RunLists(mask, _connectivity_of(structure, input.ndim))
    return runs.labels(np.int32), runs.count


NDIMAGE_LABEL = Kernel("scipy.ndimage.label", _exact_for_ndimage_label, ndimage_label)


def _exact_for_filling(
    input: np.ndarray,
    structure: Any = None,
    output: Any = None,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> bool:
    is_plain = output is None and axes is None and not np.any(origin)
    return is_plain and _exact_for_ndimage_label(input, structure)


def binary_fill_holes(
    input: np.ndarray,
    structure: Any = None,
    output: Any = None,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Fill the holes of a mask, as `scipy.ndimage` does.

    Parameters
    ----------
    input, structure, output, origin, axes
        As in `scipy.ndimage.binary_fill_holes`.
    """
    mask = input if input.dtype == np.bool_ else input != 0
    background = RunLists(mask, _connectivity_of(structure, input.ndim), background=1)
    border = np.ones(input.shape, bool)
    border[(slice(1, -1),) * input.ndim] = False
    filled = ~background.touched(border)
    filled[0] = True  # the objects themselves
    return background.look_up(filled)


BINARY_FILL_HOLES = Kernel("scipy.ndimage.binary_fill_holes", _exact_for_filling, binary_fill_holes)
