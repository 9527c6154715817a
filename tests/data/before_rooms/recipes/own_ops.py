"""A user's own operation; each call adds a line to a file beside this one."""

from pathlib import Path

import numpy as np
from scipy import ndimage as ndi

import napari_tilewise as tw

CALLS = Path(__file__).with_suffix(".calls")


@tw.operation(halo=lambda radius: radius, dtype="same")
def widen(image: np.ndarray, radius: int = 1) -> np.ndarray:
    """Return the largest pixel of each square neighbourhood.

    Parameters
    ----------
    image
        The image.
    radius
        Half the side of the square, in pixels.
    """
    with CALLS.open("a") as file:
        file.write(f"{image.shape}\n")
    return ndi.maximum_filter(image, 2 * radius + 1, mode="reflect")
