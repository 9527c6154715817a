"""Operations of one's own: plain functions, NumPy in and NumPy out, with a line above each.

napari-tilewise check my_ops.py
napari-tilewise run my_ops.flatten SRC DST -p sigma=20 --functions my_ops.py
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from scipy import ndimage as ndi

import napari_tilewise as tw
from napari_tilewise.operations.spec.parameters import Number

Sigma = Annotated[float, Number(minimum=0.1, maximum=100, usual=(1, 5), length=True)]


@tw.operation(halo=lambda sigma: int(4 * sigma + 0.5), dtype=np.float32)
def flatten(
    image: np.ndarray,
    sigma: Sigma = 3.0,
    mode: Literal["subtract", "divide"] = "subtract",
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Take the uneven background away.

    Parameters
    ----------
    image
        The image.
    sigma
        Size of the neighbourhood that counts as background, in pixels.
    mode
        What is done with the background.
    mask
        Where the result is kept; 0 elsewhere.
    """
    pixels = image.astype(np.float32)
    background = ndi.gaussian_filter(pixels, sigma)
    flat = pixels - background if mode == "subtract" else pixels / np.maximum(background, 1e-3)
    return flat if mask is None else np.where(mask, flat, np.float32(0))


@tw.operation(dtype=bool)
def between(image: np.ndarray, low: float = 0.2, high: float = 0.8) -> np.ndarray:
    """Tell which pixels lie between two values.

    Parameters
    ----------
    image
        The image.
    low, high
        The values; both are within.
    """
    return (image >= low) & (image <= high)


@tw.operation(halo=None, dtype=float)
def normalize(image: np.ndarray) -> np.ndarray:
    """Bring the image to the range from 0 to 1: this needs all of it at once.

    Parameters
    ----------
    image
        The image.
    """
    pixels = image.astype(float)
    low, high = pixels.min(), pixels.max()
    return (pixels - low) / (high - low or 1.0)
