"""`skimage.restoration`: noise, blur, holes."""

from __future__ import annotations

from napari_tilewise.operations.restoration import (
    deconvolution,
    denoising,
    inpainting,
    invariant,
    wavelets,
)

OPERATIONS = (
    *denoising.OPERATIONS,
    *invariant.OPERATIONS,
    *inpainting.OPERATIONS,
    *deconvolution.OPERATIONS,
    *wavelets.OPERATIONS,
)
