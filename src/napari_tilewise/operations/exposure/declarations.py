"""`skimage.exposure`: intensities and their histograms."""

from __future__ import annotations

from napari_tilewise.operations.exposure import adjusting, contrast, intensity_histogram, matching

OPERATIONS = (
    *adjusting.OPERATIONS,
    *matching.OPERATIONS,
    *intensity_histogram.OPERATIONS,
    *contrast.OPERATIONS,
)
