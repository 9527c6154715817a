"""`skimage.util`: data types, arithmetic, noise."""

from __future__ import annotations

from napari_tilewise.operations.util import cropping, dtypes, inversion, noise

OPERATIONS = (
    *inversion.OPERATIONS,
    *dtypes.OPERATIONS,
    *cropping.OPERATIONS,
    *noise.OPERATIONS,
)
