"""`skimage.segmentation`: boundaries, labels, watersheds, level sets."""

from __future__ import annotations

from napari_tilewise.operations.morphology import flood
from napari_tilewise.operations.segmentation import (
    boundaries,
    chan_vese,
    level_sets,
    relabel,
    superpixels,
    watershed,
)

OPERATIONS = (
    *boundaries.OPERATIONS,
    *watershed.OPERATIONS,
    *relabel.OPERATIONS,
    *superpixels.OPERATIONS,
    *level_sets.OPERATIONS,
    *chan_vese.OPERATIONS,
    *flood.SEGMENTATION,
)
