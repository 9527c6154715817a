"""
A function of your own, tile by tile
====================================

One line says how far around a pixel a function looks. The rest is the same as for
scikit-image's functions.
"""

# %%
# The local contrast of an image: its range in a window of 9 x 9 pixels.

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage as ndi
from skimage import data

import napari_tilewise as tw


@tw.operation(halo=4)
def local_range(image: np.ndarray) -> np.ndarray:
    """Return the range of the values around each pixel."""
    return ndi.maximum_filter(image, 9) - ndi.minimum_filter(image, 9)


# %%
# Decorated, the function is still a function. As an operation it runs tile by tile.

camera = data.camera()
result = tw.apply(local_range, camera, tiles=100)
assert np.array_equal(result, local_range(camera))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.imshow(camera, cmap="gray")
right.imshow(result, cmap="magma")
for axes in (left, right):
    axes.set_axis_off()
