"""Labels grown to a distance, with SciPy's choice among equally near ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_LONGEST = 20000


def _exact(label_image: np.ndarray, distance: Any = 1, spacing: Any = 1) -> bool:
    return (
        label_image.dtype.kind in "iu"
        and label_image.ndim in (2, 3)
        and max(label_image.shape) < _LONGEST
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
