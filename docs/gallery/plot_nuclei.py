"""
Objects of a slide, counted and measured
========================================

Smooth, threshold, label, measure: the same calls as in scikit-image, on an array of any size.
"""

# %%
# The image is a dask array; it could as well be a Zarr on disk or in a bucket.

import dask.array as da
import matplotlib.pyplot as plt
from skimage import data

import napari_tilewise.skimage as ski

coins = da.tile(da.from_array(data.coins(), chunks=(128, 128)), (2, 2))

# %%
# Nothing is computed before it is asked for. Otsu's threshold is that of the whole image.

smooth = ski.filters.gaussian(coins, sigma=2)
mask = smooth > ski.filters.threshold_otsu(smooth)
labels = ski.measure.label(ski.morphology.remove_small_objects(mask, max_size=99))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.imshow(coins[:300, :380], cmap="gray")
right.imshow(ski.color.label2rgb(labels[:300, :380].compute(), bg_label=0))
for axes in (left, right):
    axes.set_axis_off()

# %%
# The table holds every object once, also those that tiles cut.

table = ski.measure.regionprops_table(labels, properties=("label", "area", "centroid"))
figure, axes = plt.subplots(figsize=(5, 3))
axes.hist(table["area"], bins=30)
axes.set_xlabel("area [pixels]")
axes.set_ylabel("objects")
figure.tight_layout()
