"""`skimage.util`: operations on single pixels."""

from __future__ import annotations

from napari_tilewise.operations.model import Kind, Operation
from napari_tilewise.operations.parameters import Flag

OPERATIONS = (
    Operation(
        name="util.invert",
        kind=Kind.POINTWISE,
        specs={"signed_float": Flag()},
        working=3.0,
    ),
)
