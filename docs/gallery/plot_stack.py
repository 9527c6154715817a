"""
A time series, frame by frame or as a volume
============================================

Axes have names. ``spatial`` says which of them an operation runs over; it never mixes the others.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np
from skimage import data, filters

import napari_tilewise as tw

coins = data.coins()[:150, :150]
focus = np.stack([filters.gaussian(coins, abs(z) + 0.1) for z in range(-3, 4)])  # z, y, x
frames = np.stack([focus, focus[:, ::-1], focus[:, :, ::-1]])  # t, z, y, x

# %%
# Plane by plane, and volume by volume.

planes = tw.apply("filters.sobel", frames, axes="tzyx", spatial="yx")
volumes = tw.apply("filters.sobel", frames, axes="tzyx", spatial="zyx")

figure, axes = plt.subplots(1, 3, figsize=(10, 3.5))
for axis, image, title in zip(
    axes, (frames, planes, volumes), ("image", "in planes", "in volumes"), strict=True
):
    axis.imshow(image[0, 3], cmap="gray")
    axis.set_title(title)
    axis.set_axis_off()
