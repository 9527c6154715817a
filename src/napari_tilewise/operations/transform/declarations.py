"""`skimage.transform`: sizes, warps, integrals, projections."""

from __future__ import annotations

from napari_tilewise.operations.transform import (
    downscale,
    hough,
    integral,
    local_mean,
    pyramids,
    radon,
    resize,
    warps,
)

OPERATIONS = (
    *resize.OPERATIONS,
    *downscale.OPERATIONS,
    *local_mean.OPERATIONS,
    *pyramids.OPERATIONS,
    *warps.OPERATIONS,
    *integral.OPERATIONS,
    *hough.OPERATIONS,
    *radon.OPERATIONS,
)
