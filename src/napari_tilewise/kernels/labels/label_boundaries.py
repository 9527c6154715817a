"""Boundaries between labels: where the highest and the lowest of the neighbours differ.

Only the order of the labels counts, so that they are looked at in the shortest data type that holds
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage import segmentation

from napari_tilewise.kernels.grey_morphology import DILATION, EROSION
from napari_tilewise.kernels.kernel import Kernel

_MOST = (
    (2**8 - 1, np.dtype(np.uint8)),
    (2**16 - 1, np.dtype(np.uint16)),
    (2**24, np.dtype(np.float32)),
    (2**53, np.dtype(np.float64)),
)
"""The largest label up to which each data type holds all of them."""
_MODES = ("thick", "inner", "outer")


def _exact(
    label_img: np.ndarray, connectivity: Any = 1, mode: str = "thick", background: Any = 0
) -> bool:
    return (
        label_img.dtype.kind in "bui"
        and label_img.size > 0
        and type(connectivity) is int
        and 1 <= connectivity <= label_img.ndim
        and mode in _MODES
        # The function raises the background to the largest integer, which SciPy holds as a float.
        and (mode != "outer" or label_img.dtype.itemsize <= 4)
        and type(background) is int
        # Of the data type in which the window is moved the shape alone decides.
        and EROSION.exact_for(
            np.broadcast_to(np.uint8(0), label_img.shape),
            ndi.generate_binary_structure(label_img.ndim, label_img.ndim),
        )
    )


def _shortened(labels: np.ndarray) -> np.ndarray | None:
    """Return the labels in the shortest data type that holds them; None where none does."""
    if labels.dtype.itemsize == 1 and labels.dtype.kind != "i":
        return labels.view(np.uint8)
    least, most = int(labels.min()), int(labels.max())
    for limit, dtype in _MOST:
        if most <= limit and (least >= 0 or (dtype.kind == "f" and least >= -limit)):
            return labels.astype(dtype, copy=False)
    return None


def _differs(low: np.ndarray, high: np.ndarray, connectivity: int) -> np.ndarray:
    """Return where neighbours differ: the lowest of one image from the highest of another."""
    structure = ndi.generate_binary_structure(low.ndim, connectivity)
    return np.asarray(DILATION.run(high, structure) != EROSION.run(low, structure))


def find_boundaries(
    label_img: np.ndarray, connectivity: int = 1, mode: str = "thick", background: int = 0
) -> np.ndarray:
    """Return which pixels have a neighbour of another label, as `skimage.segmentation` does.

    Parameters
    ----------
    label_img, connectivity, mode, background
        As in `skimage.segmentation.find_boundaries`.
    """
    labels = _shortened(np.ascontiguousarray(label_img))
    if labels is None:
        return np.asarray(segmentation.find_boundaries(label_img, connectivity, mode, background))
    boundaries = _differs(labels, labels, connectivity)
    if mode == "thick":
        return boundaries
    outside = np.equal(label_img, background)
    if mode == "inner":
        boundaries &= ~outside
        return boundaries
    # Beside the background only other labels count: it is as high as the highest.
    raised = np.where(outside, labels.max(), labels)
    boundaries &= outside | _differs(raised, labels, labels.ndim)
    return boundaries


FIND_BOUNDARIES = Kernel("skimage.segmentation.find_boundaries", _exact, find_boundaries)
