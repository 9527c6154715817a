"""Labels grown to a distance, with SciPy's choice among equally near ones; masks, as one label."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import morphology

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_LONGEST = 20000


def _is_short(image: np.ndarray) -> bool:
    """Return whether squares of distances in an image are whole numbers that kernels hold."""
    return image.ndim in (2, 3) and image.size > 0 and max(image.shape) < _LONGEST


def _exact(label_image: np.ndarray, distance: Any = 1, spacing: Any = 1) -> bool:
    return (
        label_image.dtype.kind in "iu"
        and _is_short(label_image)
        and np.ndim(distance) == 0
        and bool(distance >= 0)
        and np.ndim(spacing) == 0
        and bool(spacing == 1)
        and bool(np.any(label_image))
    )


def expand_labels(label_image: np.ndarray, distance: Any = 1, spacing: Any = 1) -> np.ndarray:
    """Grow labels without overlap, as `skimage.segmentation.expand_labels` does.

    Parameters
    ----------
    label_image, distance, spacing
        As there.
    """
    labels = contiguous(label_image)
    result = np.empty_like(labels)
    shape = labels.shape if labels.ndim == 3 else (labels.shape[0], 1, labels.shape[1])
    call("expand", labels, result, labels.dtype.itemsize, integers(shape), float(distance))
    return result


EXPAND_LABELS = Kernel("skimage.segmentation.expand_labels", _exact, expand_labels)


# -- masks -----------------------------------------------------------------------------------------


def _exact_for_mask(
    image: np.ndarray, radius: float, out: np.ndarray | None = None, spacing: Any = None
) -> bool:
    return (
        image.dtype.kind in "buif"
        and _is_short(image)
        and out is None
        and bool(radius >= 0)
        and (spacing is None or bool(np.all(np.equal(spacing, 1))))
    )


def _as_mask(image: np.ndarray) -> np.ndarray:
    return contiguous(image if image.dtype == np.bool_ else image != 0)


def _dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    if not mask.any():  # SciPy then measures to a pixel beside the image
        return np.asarray(morphology.isotropic_dilation(mask, radius))
    return expand_labels(mask.view(np.uint8), radius).view(bool)


def _eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    background = np.logical_not(mask)
    if not background.any():
        return np.asarray(morphology.isotropic_erosion(mask, radius))
    near = _dilated(background, radius)
    np.logical_not(near, out=near)
    return near


def isotropic_dilation(
    image: np.ndarray, radius: float, out: np.ndarray | None = None, spacing: Any = None
) -> np.ndarray:
    """Return where a mask is no farther than a radius, as `skimage.morphology` does.

    Parameters
    ----------
    image, radius, out, spacing
        As in `skimage.morphology.isotropic_dilation`.
    """
    return _dilated(_as_mask(image), radius)


def isotropic_erosion(
    image: np.ndarray, radius: float, out: np.ndarray | None = None, spacing: Any = None
) -> np.ndarray:
    """Return where the background is farther than a radius, as `skimage.morphology` does.

    Parameters
    ----------
    image, radius, out, spacing
        As in `skimage.morphology.isotropic_erosion`.
    """
    return _eroded(_as_mask(image), radius)


def isotropic_opening(
    image: np.ndarray, radius: float, out: np.ndarray | None = None, spacing: Any = None
) -> np.ndarray:
    """Erode a mask, then dilate it, as `skimage.morphology` does.

    Parameters
    ----------
    image, radius, out, spacing
        As in `skimage.morphology.isotropic_opening`.
    """
    return _dilated(_eroded(_as_mask(image), radius), radius)


def isotropic_closing(
    image: np.ndarray, radius: float, out: np.ndarray | None = None, spacing: Any = None
) -> np.ndarray:
    """Dilate a mask, then erode it, as `skimage.morphology` does.

    Parameters
    ----------
    image, radius, out, spacing
        As in `skimage.morphology.isotropic_closing`.
    """
    return _eroded(_dilated(_as_mask(image), radius), radius)


ISOTROPIC = (
    Kernel("skimage.morphology.isotropic_dilation", _exact_for_mask, isotropic_dilation),
    Kernel("skimage.morphology.isotropic_erosion", _exact_for_mask, isotropic_erosion),
    Kernel("skimage.morphology.isotropic_opening", _exact_for_mask, isotropic_opening),
    Kernel("skimage.morphology.isotropic_closing", _exact_for_mask, isotropic_closing),
)
