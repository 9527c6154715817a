"""`skimage.feature`: edges, corners, peaks, textures and gradients."""

from __future__ import annotations

from napari_tilewise.operations.feature import (
    blobs,
    canny,
    corners,
    daisy,
    hog,
    patterns,
    peaks,
    points,
    templates,
    tensors,
    textures,
)

OPERATIONS = (
    *canny.OPERATIONS,
    *tensors.OPERATIONS,
    *corners.OPERATIONS,
    hog.OPERATION,
    patterns.OPERATION,
    *peaks.OPERATIONS,
    *blobs.OPERATIONS,
    *points.OPERATIONS,
    templates.OPERATION,
    *textures.OPERATIONS,
    daisy.OPERATION,
)
