"""`skimage.morphology`: footprints, objects, extrema, skeletons."""

from __future__ import annotations

from napari_tilewise.operations.morphology import (
    extrema,
    flood,
    footprints,
    hulls,
    isotropic,
    max_tree,
    reconstruction,
    skeleton,
    small_objects,
    spaced_objects,
)

OPERATIONS = (
    *footprints.OPERATIONS,
    *isotropic.OPERATIONS,
    *small_objects.OPERATIONS,
    *spaced_objects.OPERATIONS,
    *extrema.OPERATIONS,
    *reconstruction.OPERATIONS,
    *flood.OPERATIONS,
    *skeleton.OPERATIONS,
    *hulls.OPERATIONS,
    *max_tree.OPERATIONS,
)
