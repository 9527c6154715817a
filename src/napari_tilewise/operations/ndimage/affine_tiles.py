"""A tile of an affine map from the compiled kernel, which has SciPy's bits for every part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.operations.ndimage.nd_parameters import result_type

if TYPE_CHECKING:
    from napari_tilewise.operations.ndimage.coordinate_maps import Affine
    from napari_tilewise.operations.spec.operation import Block, Call


def affine_tile(call: Call, mapped: Affine, block: Block) -> np.ndarray | None:
    """Return a tile of the result, or None where SciPy's function is to compute it.

    Parameters
    ----------
    call
        A call with `order`, `mode` and `cval`.
    mapped
        The map of the first axes; those behind them number planes, which are mapped alike.
    block
        Pixels that the tile is made of.
    """
    from napari_tilewise.kernels.geometry import affine_maps

    pixels, n = block.data, mapped.ndim
    if call["order"] > 1 or pixels.dtype != result_type(call):
        return None
    tile = block.tile[:n]
    part = affine_maps.MappedTile(
        image_shape=call.shape[:n],
        start=tuple(block.start[:n]),
        first=tuple(span.start for span in tile),
        shape=tuple(span.stop - span.start for span in tile),
    )
    sampling = affine_maps.Interpolation(call["order"], call["mode"], call["cval"])
    affine = affine_maps.AffineMap(mapped.matrix, mapped.offset)
    result = np.empty((*part.shape, *pixels.shape[n:]), pixels.dtype)
    for index in np.ndindex(pixels.shape[n:]):
        plane = pixels[(..., *index)]
        if not affine_maps.maps_affinely(plane, affine, part, sampling):
            return None
        result[(..., *index)] = affine_maps.affine_samples(plane, affine, part, sampling)
    return result
