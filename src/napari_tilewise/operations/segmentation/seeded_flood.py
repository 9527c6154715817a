"""`skimage.segmentation.flood` and `flood_fill`: `skimage.morphology`'s under its older names."""

from __future__ import annotations

from dataclasses import replace

from napari_tilewise.operations.morphology.flood import FLOOD, FLOOD_FILL
from napari_tilewise.operations.spec import families

OPERATIONS = (
    replace(FLOOD, name="segmentation.flood", family=families.SEGMENTATION),
    replace(FLOOD_FILL, name="segmentation.flood_fill", family=families.SEGMENTATION),
)
