"""`skimage.color`: colour spaces, stains, overlays."""

from __future__ import annotations

from napari_tilewise.operations.color import color_spaces, gray, label2rgb

OPERATIONS = (
    *gray.OPERATIONS,
    *color_spaces.OPERATIONS,
    *label2rgb.OPERATIONS,
)
