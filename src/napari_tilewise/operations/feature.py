"""`skimage.feature`: edges, peaks and gradients."""

from __future__ import annotations

from napari_tilewise.operations import canny, hog, peaks

OPERATIONS = (*canny.OPERATIONS, hog.OPERATION, peaks.OPERATION)
