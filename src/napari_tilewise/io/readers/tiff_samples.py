"""What the samples of a TIFF's pixels mean, as the file says; never guessed from their number."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_tilewise.errors import SourceWarning
from napari_tilewise.io.metadata.channels import (
    ALPHA,
    GRAY,
    INKS,
    LUMA_CHROMA,
    RED_GREEN_BLUE,
    Channel,
)

if TYPE_CHECKING:
    from napari_tilewise.types import Array

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_DECODED_AS_RGB = {6, 7, 33003, 33005, 34892}
"""Compressions whose decoder turns luma and chroma into red, green and blue: JPEG and its like."""
_IS_ALPHA = {1, 2}
"""Extra samples that are an alpha, associated or not."""


def samples_of_page(page: tifffile.TiffPage, count: int) -> tuple[Channel, ...]:
    """Return the samples of a page's pixels as channels; empty if they are channels of data.

    Parameters
    ----------
    page
        The page.
    count
        Number of channels of the image.
    """
    if count < 2 or page.samplesperpixel != count:
        return ()
    base = _base(page)
    if not base or count < len(base):
        return ()
    extra = tuple(page.extrasamples)
    kinds = (*extra, *[0] * count)[: count - len(base)]
    if base == (GRAY,) and not any(int(kind) in _IS_ALPHA for kind in kinds):
        return ()  # channels of data, interleaved
    return (*base, *(ALPHA if int(kind) in _IS_ALPHA else Channel() for kind in kinds))


def _base(page: tifffile.TiffPage) -> tuple[Channel, ...]:
    photometric = page.photometric
    if photometric == _PHOTOMETRIC.RGB:
        return RED_GREEN_BLUE
    if photometric == _PHOTOMETRIC.YCBCR:
        is_decoded = int(page.compression) in _DECODED_AS_RGB
        return RED_GREEN_BLUE if is_decoded else LUMA_CHROMA
    if photometric == _PHOTOMETRIC.SEPARATED:
        return INKS
    if photometric in (_PHOTOMETRIC.MINISBLACK, _PHOTOMETRIC.MINISWHITE):
        return (GRAY,)
    return ()


class InvertedPixels:
    """Pixels that are stored with 0 as white, with 0 as black.

    Parameters
    ----------
    array
        The pixels as they are stored: booleans or unsigned integers.
    highest
        The highest value that the file's bits hold.
    """

    def __init__(self, array: Any, highest: int) -> None:
        self._array, self._highest = array, highest
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = getattr(array, "chunks", None)

    def __getitem__(self, key: Any) -> Array:
        block = np.asarray(self._array[key])
        if block.dtype.kind == "b":
            return ~block
        inverted: Array = block.dtype.type(self._highest) - block
        return inverted


def is_white_zero(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> bool:
    """Return whether 0 is white in a page; ImageJ marks only how it shows such an image.

    Parameters
    ----------
    tiff
        The file.
    page
        The page.
    """
    is_unsigned = page.dtype is not None and page.dtype.kind in "bu"
    return page.photometric == _PHOTOMETRIC.MINISWHITE and is_unsigned and not tiff.is_imagej


def warn_of_palette(tiff: tifffile.TiffFile, page: tifffile.TiffPage, name: str) -> None:
    """Warn that pixels are numbers of colours; ImageJ's lookup tables show intensities.

    Parameters
    ----------
    tiff
        The file.
    page
        The page.
    name
        The source, as the user named it.
    """
    if page.photometric == _PHOTOMETRIC.PALETTE and not (tiff.is_imagej or tiff.is_ome):
        warnings.warn(
            f"{name!r} has a palette: its pixels are numbers of colours, not intensities, and are "
            "read as these numbers. Convert it to RGB for the picture.",
            SourceWarning,
            stacklevel=4,
        )
