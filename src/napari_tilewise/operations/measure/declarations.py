"""`skimage.measure`: labels, regions, contours, moments."""

from __future__ import annotations

from napari_tilewise.operations.measure import (
    block,
    blur,
    coloc,
    contours,
    labelling,
    marching,
    moments,
    perimeter,
    profile,
    regionprops,
)

OPERATIONS = (
    *labelling.OPERATIONS,
    *regionprops.OPERATIONS,
    *block.OPERATIONS,
    *contours.OPERATIONS,
    *marching.OPERATIONS,
    *perimeter.OPERATIONS,
    *moments.OPERATIONS,
    *blur.OPERATIONS,
    *coloc.OPERATIONS,
    *profile.OPERATIONS,
)
